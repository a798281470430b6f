"""Kernels that a kernel makes: Jacobian, Hessian and products with them, of points in any form."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.errors import ShapeError, SymgradError
from symgrad.result import HessianResult, HvpResult, JacobianResult, JvpResult, VjpResult
from tests.kernel.test_results import FUNCTIONS, SYMBOLS, exact

x, y, z = SYMBOLS
F, G, H = FUNCTIONS
POINT = (0.7, 1.3, 0.4)
V = np.array([0.5, -2.0, 1.25])
STRUCTURE = {"f": F, "g": sp.Matrix([[G, H]])}
VALUES = [F, G, H]


def close(found: Any, wanted: Any) -> Any:
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(wanted, float), rtol=2e-14, atol=2e-14)


def jacobian() -> np.ndarray:
    return np.array([[exact(sp.diff(own, by), POINT) for by in SYMBOLS] for own in VALUES])


def hessian(expression: sp.Expr) -> np.ndarray:
    return np.array([[exact(sp.diff(expression, one, two), POINT) for two in SYMBOLS] for one in SYMBOLS])


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run on the reference evaluator, and nothing is compiled."""
    monkeypatch.setattr("symgrad.kernel.compiled.MAX_OPERATIONS", -1)


AS_DICT = dict(zip("xyz", POINT, strict=True))


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("point", [POINT, list(POINT), AS_DICT, {z: 0.4, x: 0.7, "y": 1.3}, np.array(POINT)])
def test_points(point: Any) -> None:
    kernel = symgrad.compile(F * G, SYMBOLS)
    value, found = kernel.jacobian(point)
    assert isinstance(kernel.jacobian(point), JacobianResult)
    close(value, exact(F * G, POINT))
    close(found, [[exact(sp.diff(F * G, by), POINT) for by in SYMBOLS]])
    result = kernel.hessian(point)
    assert isinstance(result, HessianResult)
    close(result.hessian, hessian(F * G))
    close(result.hessian["x", "z"], hessian(F * G)[0, 2])


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("v", [V, tuple(V), list(V), dict(zip("zyx", V[::-1], strict=True))])
def test_directions(v: Any) -> None:
    result = symgrad.compile(F * G, SYMBOLS).hvp(POINT, v)
    assert isinstance(result, HvpResult)
    close(result.value, exact(F * G, POINT))
    close(result.hvp, hessian(F * G) @ V)
    close(result.hvp["y"], (hessian(F * G) @ V)[1])
    tangent = symgrad.compile(STRUCTURE, SYMBOLS).jvp(POINT, v)
    assert isinstance(tangent, JvpResult)
    want = jacobian() @ V
    close(tangent.jvp["f"], want[0])
    close(tangent.jvp["g"], want[None, 1:])
    close(tangent.value["g"], [[exact(G, POINT), exact(H, POINT)]])


@pytest.mark.usefixtures("interpreted")
def test_cotangents() -> None:
    kernel = symgrad.compile(STRUCTURE, SYMBOLS)
    result = kernel.vjp(POINT, {"f": 2.0, "g": [[-1.0, 0.5]]})
    assert isinstance(result, VjpResult)
    close(result.vjp, np.array([2.0, -1.0, 0.5]) @ jacobian())
    close(symgrad.compile(F, SYMBOLS).vjp(POINT, 3.0).vjp, 3 * jacobian()[0])


@pytest.mark.usefixtures("interpreted")
def test_wrt_chooses_the_columns() -> None:
    kernel = symgrad.compile([F, G, H], SYMBOLS, wrt=[z, x])
    close(kernel.jvp(POINT, [0.5, 2.0]).jvp, jacobian()[:, [2, 0]] @ [0.5, 2.0])
    close(kernel.vjp(POINT, [1.0, 2.0, 3.0]).vjp, [1.0, 2.0, 3.0] @ jacobian()[:, [2, 0]])
    one = symgrad.compile(F * G, SYMBOLS, wrt=y)
    close(one.hvp(POINT, 2.0).hvp, [2 * hessian(F * G)[1, 1]])
    close(one.hvp(POINT, [2.0]).hvp, [2 * hessian(F * G)[1, 1]])


@pytest.mark.usefixtures("interpreted")
def test_batches() -> None:
    points = np.random.default_rng(1).uniform(0.3, 1.2, (4, 3))
    kernel = symgrad.compile([F, G], SYMBOLS)
    many = kernel.jvp(tuple(points.T), V)
    weighted = kernel.vjp(tuple(points.T), np.array([1.0, -3.0]))
    assert many.jvp.shape == (4, 2)
    assert weighted.vjp.shape == (4, 3)
    for place, point in enumerate(points):
        close(many.jvp[place], kernel.jvp(point, V).jvp)
        close(weighted.vjp[place], kernel.vjp(point, [1.0, -3.0]).vjp)
    directions = np.random.default_rng(2).normal(size=(4, 3))
    found = symgrad.compile(F * G, SYMBOLS).hvp(tuple(points.T), directions)
    close(found.hvp[2], symgrad.compile(F * G, SYMBOLS).hvp(points[2], directions[2]).hvp)
    out = symgrad.compile(F * G, SYMBOLS).hvp(tuple(points.T), directions, out=HvpResult(*map(np.empty_like, found)))
    close(out.hvp, found.hvp)


def test_each_is_a_kernel_of_its_own() -> None:
    kernel = symgrad.compile(F * G, SYMBOLS)
    assert kernel.hvp is kernel.hvp
    for own in (kernel.jacobian, kernel.hessian, kernel.jvp, kernel.vjp, kernel.hvp):
        assert isinstance(own, symgrad.Kernel)
        assert own.stats["runs"] == "numba"
        assert "def kernel(x, y, z" in own.source
    assert "v_x, v_y, v_z" in kernel.hvp.source
    again = pickle.loads(pickle.dumps(kernel.hvp))
    close(again(POINT, V).hvp, kernel.hvp(POINT, V).hvp)
    assert "hvp by (x, y, z)" in repr(again)


@pytest.mark.usefixtures("interpreted")
def test_a_users_symbol_may_have_the_name_of_a_direction() -> None:
    v_x, c_value = sp.symbols("v_x c_value")
    kernel = symgrad.compile(x**2 * v_x + c_value * x, args=[x, v_x, c_value])
    close(kernel.hvp((2.0, 3.0, 5.0), [1.0, 0.0, 0.0]).hvp, [6.0, 4.0, 1.0])
    close(kernel.vjp((2.0, 3.0, 5.0), 2.0).vjp, [34.0, 8.0, 4.0])


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "short point": (
        lambda k, s: k.hvp((1.0, 2.0), V),
        TypeError,
        "the point has 2 parts, and the arguments are 3: x, y",
    ),
    "no point": (lambda k, s: k.hvp(1.0, V), TypeError, "a point is a tuple or dict of the arguments (x, y, z)"),
    "no v": (lambda k, s: k.hvp(POINT), TypeError, "hvp takes point and v, not 1 arguments"),
    "lacking": (lambda k, s: k.hvp({"x": 1.0}, V), TypeError, "missing y, z in the point"),
    "unknown": (lambda k, s: k.hvp({**AS_DICT, "q": 1.0}, V), ValueError, "no symbol 'q' in args: x, y, z"),
    "short v": (
        lambda k, s: k.hvp(POINT, V[:2]),
        ShapeError,
        "v has the shape (2,), and it takes a number for each of x",
    ),
    "two parts": (lambda k, s: k.hvp(POINT, [1.0, 2.0]), ShapeError, "v has 2 parts"),
    "matrix": (lambda k, s: k.hvp(POINT, np.zeros((3, 2))), ShapeError, "v has the shape (3, 2)"),
    "tangents": (lambda k, s: s.jvp(POINT, [1.0]), ShapeError, "tangents has 1 parts"),
    "cotangents": (lambda k, s: s.vjp(POINT, [1.0]), ShapeError, "cotangents are a dict with the keys f, g"),
    "cells": (
        lambda k, s: s.vjp(POINT, {"f": 1.0, "g": [1.0, 2.0]}),
        ShapeError,
        "cotangents have the shape (2,), and those of the values are (1, 2)",
    ),
    "hessian of several": (lambda k, s: s.hessian, SymgradError, "a Hessian is of one number, and this kernel has 3"),
    "hvp of several": (lambda k, s: s.hvp, SymgradError, "a Hessian is of one number"),
    "twice": (lambda k, s: k.hvp.jvp, SymgradError, "makes none itself"),
}


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    call, error, message = REFUSED[case]
    kernel, several = symgrad.compile(F * G, SYMBOLS), symgrad.compile(STRUCTURE, SYMBOLS)
    with pytest.raises(error, match=re.escape(message)):
        call(kernel, several)


def test_a_shifted_read_at_a_gathered_place() -> None:
    """What a stencil reads beside its index is read beside a gathered one: the place is computed in integers."""
    n, m, i, j = sp.symbols("n m i j", integer=True)
    x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(m,))
    at = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(m,))
    stencil = sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2, (i, 0, n - 2))
    expr = stencil + sp.Sum(y[j] * x[at[j]] ** 2, (j, 0, m - 1))
    point = {"at": np.array([0, 2, 2]), "x": np.linspace(0.3, 1.2, 5), "y": np.array([1.0, 2.0, -1.0])}
    v = {"x": np.arange(5.0) - 1, "y": np.array([0.5, -1.0, 2.0])}
    kernel = symgrad.compile(expr)
    found = kernel.hvp(point, v).hvp
    hessian = kernel.hessian(point).hessian
    assert np.allclose(found["x"], hessian["x", "x"] @ v["x"] + hessian["x", "y"] @ v["y"], rtol=1e-13)
    assert np.allclose(found["y"], hessian["y", "x"] @ v["x"] + hessian["y", "y"] @ v["y"], rtol=1e-13)
