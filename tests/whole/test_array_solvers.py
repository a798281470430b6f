"""Unknowns and states that are arrays: residuals and right-hand sides beside NumPy, and solutions by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares, root

import symgrad

i, n, m = sp.symbols("i n m", integer=True)
u, v = sp.IndexedBase("u", shape=(n,)), sp.IndexedBase("v", shape=(n,))
X, w = sp.MatrixSymbol("X", n, m), sp.MatrixSymbol("w", m, 1)
D, a, b, c, t = sp.symbols("D a b c t")
RNG = np.random.default_rng(8)


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def differences(fun: Callable[[Any], Any], at: Any) -> Any:
    """The Jacobian by central differences."""
    steps = 1e-6 * np.eye(len(at))
    return np.stack([(fun(at + step) - fun(at - step)) / 2e-6 for step in steps], axis=-1)


# --- a reaction and its diffusion: the Brusselator on a ring ----------------------------------------------------------


def spread(w: Any) -> Any:
    return w[sp.Mod(i + 1, n)] - 2 * w[i] + w[sp.Mod(i - 1, n)]


BRUSSELATOR = [
    symgrad.family(a + u[i] ** 2 * v[i] - (b + 1) * u[i] + D * spread(u), (i, n)),
    symgrad.family(b * u[i] - u[i] ** 2 * v[i] + D * spread(v), (i, n)),
]


def by_numpy(t: float, y: Any) -> Any:
    one, two = np.split(np.asarray(y), 2)
    left = [np.roll(own, 1) + np.roll(own, -1) - 2 * own for own in (one, two)]
    return np.concatenate([1 + one**2 * two - 4 * one + 0.5 * left[0], 3 * one - one**2 * two + 0.5 * left[1]])


def brusselator() -> tuple[Any, Any]:
    system = symgrad.ode(BRUSSELATOR, [u, v], t, a=1.0, b=3.0, D=0.5)
    start = system.pack(u=1 + np.sin(np.arange(9)) / 2, v=np.full(9, 3.0))
    return system, start


def test_a_state_of_arrays() -> None:
    system, start = brusselator()
    close(system.fun(0.0, start), by_numpy(0.0, start))
    close(system.jac(0.0, start), differences(lambda y: by_numpy(0.0, y), start), 1e-7)
    many = np.stack([start, start + 1, start**2], axis=-1)
    close(system.fun(0.0, many), np.stack([by_numpy(0.0, y) for y in many.T], axis=-1))
    parts = system.unpack(start)
    close(parts["u"], start[:9])
    close(system.pack(v=parts["v"], u=parts["u"]), start)
    assert system.state == (u, v)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_solve_ivp(method: str) -> None:
    system, start = brusselator()
    found = solve_ivp(system.fun, (0.0, 3.0), start, method, jac=system.jac, rtol=1e-8, atol=1e-10)
    want = solve_ivp(by_numpy, (0.0, 3.0), start, "DOP853", rtol=1e-11, atol=1e-12)
    close(found.y[:, -1], want.y[:, -1], 1e-5)


def test_an_extent_tells_the_shapes() -> None:
    system = symgrad.ode(BRUSSELATOR, ["u", "v"], None, {n: 9}, a=1.0, b=3.0, D=0.5)
    close(system.fun(0.0, np.ones(18)), by_numpy(0.0, np.ones(18)))


def test_numbers_beside_arrays_and_time() -> None:
    rhs = [symgrad.family(-c * u[i] + sp.sin(t), (i, n)), sp.Sum(u[i], (i, 0, n - 1)) - c]
    system = symgrad.ode(rhs, [u, c], t)
    y = system.pack(u=[1.0, 2.0, 4.0], c=0.5)
    close(system.fun(2.0, y), [*(-0.5 * y[:3] + np.sin(2.0)), 6.5])
    close(system.jac(2.0, y), np.block([[-0.5 * np.eye(3), -y[:3, None]], [np.ones((1, 3)), -np.ones((1, 1))]]))
    assert system.unpack(y)["c"] == 0.5


def test_text() -> None:
    text = "u: vector(n)\n[k*(u[i + 1] - 2*u[i] + u[i - 1]) if 0 < i < n - 1 else 0 for i in range(n)]"
    system = symgrad.ode(text, "u", k=2.0)
    y = system.pack(u=np.arange(5.0) ** 2)
    close(system.fun(0.0, y), [0, 4, 4, 4, 0])
    close(system.jac(0.0, y)[2], [0, 2, -4, 2, 0])


# --- residuals --------------------------------------------------------------------------------------------------------

DATA = RNG.normal(size=(12, 3))
TRUE = np.array([0.5, -1.0, 2.0])


@pytest.mark.parametrize("kind", ["matrix", "indexed", "text"])
def test_a_fit_of_a_vector(kind: str) -> None:
    y = sp.IndexedBase("y", shape=(n,))
    if kind == "matrix":
        expr: Any = sp.exp(c) * sp.ones(1, 1)[0] * X * w - sp.MatrixSymbol("y", n, 1)
        values, shape = DATA @ TRUE[:, None], (3, 1)
    elif kind == "indexed":
        j, W = sp.Symbol("j", integer=True), sp.IndexedBase("w", shape=(m,))
        Z = sp.IndexedBase("X", shape=(n, m))
        expr = symgrad.family(sp.exp(c) * sp.Sum(Z[i, j] * W[j], (j, 0, m - 1)) - y[i], (i, n))
        values, shape = DATA @ TRUE, (3,)
    else:
        expr, values, shape = "X: matrix(n, m)\nw: vector(m)\ny: vector(n)\nexp(c)*X @ w - y", DATA @ TRUE, (3,)
    fit = symgrad.residuals(expr, ["w", "c"], X=DATA, y=values)
    at = fit.pack(w=np.ones(shape), c=0.25)
    wanted = np.exp(0.25) * DATA @ np.ones(3) - DATA @ TRUE
    close(fit.fun(at), wanted)
    close(fit.jac(at), np.exp(0.25) * np.column_stack([DATA, DATA @ np.ones(3)]))
    found = least_squares(fit.fun, at, fit.jac, xtol=1e-14, gtol=1e-14)
    close(np.exp(found.x[3]) * found.x[:3], TRUE, 1e-9)
    assert fit.unpack(found.x)["w"].shape == shape


def test_broyden_tridiagonal_by_root() -> None:
    inner = (3 - 2 * u[i]) * u[i] + 1
    left = sp.Piecewise((u[i - 1], i > 0), (0, True))
    right = sp.Piecewise((2 * u[i + 1], i < n - 1), (0, True))
    system = symgrad.residuals(symgrad.family(inner - left - right, (i, n)), u, n=10)
    found = root(system.fun, -np.ones(10), jac=system.jac, tol=1e-13)
    assert found.success
    x = np.pad(found.x, 1)
    close((3 - 2 * x[1:-1]) * x[1:-1] - x[:-2] - 2 * x[2:] + 1, np.zeros(10), 1e-9)
    close(system.jac(found.x), differences(system.fun, found.x), 1e-6)


def test_numbers_pack_too() -> None:
    fit = symgrad.residuals([a * b, a - b], (a, b))
    assert fit.unpack(fit.pack(b=3.0, a=2.0)) == {"a": 2.0, "b": 3.0}
    close(fit.fun(fit.pack(b=3.0, a=2.0)), [6.0, -1.0])
    assert symgrad.residuals("a*b - 1", "b", a=2.0).jac([5.0]).tolist() == [[2.0]]
    with pytest.raises(ValueError, match="missing b"):
        fit.pack(a=1.0)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no shapes": (
        lambda: symgrad.ode(BRUSSELATOR, [u, v], None, a=1.0, b=3.0, D=1.0).fun(0.0, np.ones(4)),
        symgrad.ShapeError,
        "the shapes of u, v are not known yet: make the vector with pack",
    ),
    "another length": (lambda: brusselator()[0].fun(0.0, np.ones(4)), symgrad.ShapeError, "18 elements wanted"),
    "no value": (lambda: symgrad.ode(BRUSSELATOR, [u, v], a=1.0), ValueError, "no value for D, b"),
    "an unknown is fixed": (
        lambda: symgrad.ode(BRUSSELATOR, [u, v], a=1.0, b=1.0, D=1.0, u=np.ones(3)),
        ValueError,
        "u is of the state or the time: it has no fixed value",
    ),
    "a number is an array": (
        lambda: symgrad.ode(BRUSSELATOR, [u, v], a=1.0, b=1.0, D=np.ones(3)),
        ValueError,
        r"D is fixed at an array of shape \(3,\): a number is wanted",
    ),
    "one equation": (lambda: symgrad.ode(BRUSSELATOR[:1], [u, v]), ValueError, "1 equations for a state of 2"),
    "of another shape": (
        lambda: symgrad.ode(symgrad.family(u[i] * u[i + 1], (i, n - 1)), u, n=4).fun(0.0, np.ones(4)),
        symgrad.ShapeError,
        r"the equation of u has the shape \(3,\), and u \(4,\)",
    ),
    "not used": (lambda: symgrad.residuals(symgrad.family(u[i], (i, n)), v), ValueError, "wrt 'v'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    call, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        call()
