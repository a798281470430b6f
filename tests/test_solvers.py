"""Residuals and right-hand sides for SciPy: the numbers, the shapes, whole solutions, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares, root

import symgrad

a, b, x, y, q, p, k, t = sp.symbols("a b x y q p k t")
X, Y = np.linspace(0.0, 2.0, 7), 2.5 * np.exp(-1.3 * np.linspace(0.0, 2.0, 7))


def test_a_fit_has_a_residual_for_each_point() -> None:
    fit = symgrad.residuals(a * sp.exp(b * x) - y, (a, b), x=X, y=Y)
    at = np.array([2.0, -1.0])
    np.testing.assert_allclose(fit.fun(at), 2 * np.exp(-X) - Y, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(fit.jac(at), np.column_stack([np.exp(-X), 2 * X * np.exp(-X)]), rtol=1e-14, atol=1e-15)
    found = least_squares(fit.fun, at, fit.jac, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(found.x, [2.5, -1.3], rtol=1e-12)


def test_several_residuals_at_several_points_are_point_by_point() -> None:
    fit = symgrad.residuals([a * x, b - y], [b, a], {x: [1.0, 2.0], "y": 3.0})
    np.testing.assert_array_equal(fit.fun([5.0, 7.0]), [7.0, 2.0, 14.0, 2.0])
    np.testing.assert_array_equal(fit.jac([5.0, 7.0]), [[0, 1], [1, 0], [0, 2], [1, 0]])


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root(method: str) -> None:
    system = symgrad.residuals(sp.Matrix([a**2 + b**2 - 4, a - b]), (a, b))
    found = root(system.fun, [1.0, 2.0], jac=system.jac, method=method, tol=1e-14)
    np.testing.assert_allclose(found.x, [np.sqrt(2)] * 2, rtol=1e-13)


def test_one_unknown() -> None:
    fit = symgrad.residuals(a**2 - 2, a)
    np.testing.assert_array_equal(fit.fun([3.0]), [7.0])
    np.testing.assert_array_equal(fit.jac([3.0]), [[6.0]])


def test_an_oscillator_and_its_jacobian() -> None:
    system = symgrad.ode([p, -k * q + sp.cos(t)], [q, p], t, k=4.0)
    np.testing.assert_allclose(system.fun(0.5, [1.0, 2.0]), [2.0, np.cos(0.5) - 4.0], rtol=1e-15)
    np.testing.assert_array_equal(system.jac(0.5, [1.0, 2.0]), [[0.0, 1.0], [-4.0, 0.0]])
    states = np.arange(6.0).reshape(2, 3)
    for place, state in enumerate(states.T):
        np.testing.assert_allclose(system.fun(0.5, states)[:, place], system.fun(0.5, state), rtol=1e-15)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_solve_ivp(method: str) -> None:
    """The Robertson problem, whose solution at 400 is published (Hairer & Wanner, Solving ODEs II, section IV.10)."""
    species = sp.symbols("y1:4")
    slow, fast, second = sp.Rational(4, 100) * species[0], 3 * 10**7 * species[1] ** 2, 10**4 * species[1] * species[2]
    system = symgrad.ode([second - slow, slow - second - fast, fast], species)
    found = solve_ivp(system.fun, (0.0, 40.0), [1.0, 0.0, 0.0], method, jac=system.jac, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.y[:, -1], [0.7158270688, 0.9185534764e-5, 0.2841637457], rtol=1e-6)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "fewer equations": (lambda: symgrad.ode([p], [q, p]), ValueError, "1 equations for a state of 2"),
    "no value": (lambda: symgrad.residuals(a - x, a), ValueError, "no value for x: give it by name"),
    "no such symbol": (
        lambda: symgrad.residuals(a - x, a, x=1, z=2),
        ValueError,
        "value of z is not used; there are x",
    ),
    "both": (lambda: symgrad.residuals(a - x, a, x=1, a=2), ValueError, "a is an unknown"),
    "time is no constant": (lambda: symgrad.ode([q * t], q, t, t=1.0), ValueError, "t is of the state or the time"),
    "two of one name": (
        lambda: symgrad.residuals(a - x * sp.Symbol("x", positive=True), a, x=1),
        ValueError,
        "x is the name of two symbols",
    ),
    "a short vector": (
        lambda: symgrad.residuals(a - b, (a, b)).fun([1.0]),
        symgrad.ShapeError,
        r"vector of 2 \(a, b\)",
    ),
    "a number": (lambda: symgrad.residuals(a, a).jac(1.0), symgrad.ShapeError, "a vector of 1"),
    "nothing": (lambda: symgrad.residuals([], a), ValueError, "empty list"),
    "no unknowns": (lambda: symgrad.residuals(a, ()), ValueError, "unknowns are empty"),
    "a name twice": (lambda: symgrad.residuals(a, (a, a)), ValueError, "a symbol twice"),
    "no symbol": (lambda: symgrad.residuals(a, [1.0]), TypeError, "unknowns are symbols or arrays"),
    "no such name": (lambda: symgrad.residuals(a, "b"), ValueError, "no symbol 'b' in the expressions: a"),
    "an array in a system": (lambda: symgrad.ode([k * q], q, k=[1.0, 2.0]), ValueError, "k is fixed at an array"),
    "a condition": (lambda: symgrad.residuals(a > 1, a).fun([1.0]), symgrad.UnsupportedExpression, "a condition"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    call, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        call()
