"""Outputs and inputs that are arrays: values, Jacobians, Hessians and products, by formulas in NumPy."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.errors import ShapeError, UnsupportedExpression

n, m = sp.symbols("n m", integer=True)
i, j, k = sp.symbols("i j k", integer=True)
s, t = sp.symbols("s t")
A = sp.MatrixSymbol("A", n, m)
v = sp.MatrixSymbol("v", m, 1)
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(m,))
OVER_N = (i, 0, n - 1)

RNG = np.random.default_rng(4)
GIVEN: dict[str, Any] = {
    "A": RNG.normal(size=(3, 2)),
    "v": RNG.normal(size=(2, 1)),
    "x": RNG.uniform(0.2, 1, 4),
    "y": RNG.normal(size=3),
    "s": 0.75,
    "t": -1.5,
}
TOTAL, SQUARES = sp.Sum(sp.sin(s * x[i]), OVER_N), sp.Sum(t * x[i] ** 2, OVER_N)


def called(kernel: Any, **more: Any) -> Any:
    return kernel(**{own.name: GIVEN[own.name] for own in kernel.args}, **more)


def close(found: Any, wanted: Any) -> None:
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_a_matrix_expression() -> None:
    kernel = symgrad.compile(s * A * v)
    value, jacobian = called(kernel)
    close(value, GIVEN["s"] * GIVEN["A"] @ GIVEN["v"])
    close(jacobian["s"], GIVEN["A"] @ GIVEN["v"])
    by_v, by_A = np.zeros((3, 1, 2, 1)), np.zeros((3, 1, 3, 2))
    by_v[:, 0, :, 0] = GIVEN["s"] * GIVEN["A"]
    for row in range(3):
        by_A[row, 0, row] = GIVEN["s"] * GIVEN["v"][:, 0]
    close(jacobian["v"], by_v)
    close(jacobian["A"], by_A)
    assert list(jacobian.as_dict()) == ["A", "s", "v"]
    close(called(symgrad.compile(s * A * v, derivative=None)), value)


def test_a_family() -> None:
    outer = symgrad.family(x[i] ** 2 * sp.cos(y[j]), (i, n), (j, m))
    value, jacobian = called(symgrad.compile(outer))
    own, other = GIVEN["x"], GIVEN["y"]
    close(value, np.outer(own**2, np.cos(other)))
    close(jacobian["x"], np.einsum("a,b,ac->abc", 2 * own, np.cos(other), np.eye(4)))
    close(jacobian["y"], np.einsum("a,b,bc->abc", own**2, -np.sin(other), np.eye(3)))
    steps = symgrad.family((x[i + 1] - x[i]) ** 2, (i, n - 1))
    value, jacobian = called(symgrad.compile(steps))
    close(value, np.diff(own) ** 2)
    close(jacobian["x"], 2 * np.diff(own)[:, None] * np.diff(np.eye(4), axis=0))


def test_structures_of_arrays_and_numbers() -> None:
    kernel = symgrad.compile({"f": symgrad.family(s * x[i], (i, n)), "g": [TOTAL, SQUARES], "h": SQUARES})
    value, jacobian = called(kernel)
    own, a, b = GIVEN["x"], GIVEN["s"], GIVEN["t"]
    close(value["f"], a * own)
    close(value["g"], [np.sin(a * own).sum(), b * (own**2).sum()])
    close(value["h"], b * (own**2).sum())
    close(jacobian["f"]["x"], a * np.eye(4))
    close(jacobian["f"]["t"], np.zeros(4))
    close(jacobian["g"]["x"], [a * np.cos(a * own), 2 * b * own])
    close(jacobian["g"]["s"], [(own * np.cos(a * own)).sum(), 0.0])
    close(jacobian["h"]["t"], (own**2).sum())
    out = copy.deepcopy(symgrad.result.JacobianResult(value, jacobian))
    found = called(kernel, out=out)
    close(found.jacobian["g"]["x"], jacobian["g"]["x"])
    assert np.shares_memory(found.jacobian["g"]["x"], out.jacobian["g"]["x"])
    again = pickle.loads(pickle.dumps(kernel))
    close(called(again).jacobian["g"]["x"], jacobian["g"]["x"])


def test_numbers_by_numbers_beside_arrays_are_one_array() -> None:
    jacobian = called(symgrad.compile([TOTAL, SQUARES], wrt=[t, s])).jacobian
    own, a = GIVEN["x"], GIVEN["s"]
    close(jacobian, [[0.0, (own * np.cos(a * own)).sum()], [(own**2).sum(), 0.0]])
    close(jacobian["t"], [0.0, (own**2).sum()])
    result = called(symgrad.compile(TOTAL * SQUARES, wrt=[s, t], derivative="hessian"))
    mixed = (own * np.cos(a * own)).sum() * (own**2).sum()
    curved = -(own**2 * np.sin(a * own)).sum() * GIVEN["t"] * (own**2).sum()
    close(result.hessian, [[curved, mixed], [mixed, 0.0]])
    close(result.hessian["s", "t"], mixed)


def test_hessians_of_arrays() -> None:
    kernel = symgrad.compile(sp.Sum(sp.exp(s * x[i]) * x[i], OVER_N) * s, derivative="hessian")
    value, grad, hessian = called(kernel)
    own, a = GIVEN["x"], GIVEN["s"]
    e = np.exp(a * own)
    close(value, a * (e * own).sum())
    close(grad["x"], a * e * (1 + a * own))
    close(hessian["x", "x"], np.diag(a * e * (2 * a + a**2 * own)))
    close(hessian["s", "x"], e * (1 + a * own) + a * e * own * (2 + a * own))
    close(hessian["x", "s"], hessian["s", "x"])
    close(hessian["s", "s"], (2 * e * own**2 + a * e * own**3).sum())
    assert hessian["x"]["s"].flags.c_contiguous
    two = symgrad.compile(sp.Sum(x[i] * y[i] ** 2, (i, 0, n - 1)), args=[x, y], derivative="hessian", extents=None)
    ones = np.arange(1.0, 5.0)
    found = two(ones, 2 * ones)
    close(found.hessian["x", "y"], np.diag(4 * ones))
    close(found.hessian["y", "x"], np.diag(4 * ones))
    close(found.hessian["x", "x"], np.zeros((4, 4)))


def test_products_of_arrays() -> None:
    kernel = symgrad.compile({"f": symgrad.family(s * x[i] ** 2, (i, n)), "g": TOTAL})
    own, a = GIVEN["x"], GIVEN["s"]
    point = {"x": own, "s": a}
    direction = {"s": 2.0, "x": np.ones(4)}
    tangent = kernel.jvp(point, direction).jvp
    close(tangent["f"], 2 * own**2 + 2 * a * own)
    close(tangent["g"], (2 * own * np.cos(a * own) + a * np.cos(a * own)).sum())
    weights = np.arange(4.0)
    found = kernel.vjp(point, {"f": weights, "g": 3.0}).vjp
    close(found["x"], weights * 2 * a * own + 3 * a * np.cos(a * own))
    close(found["s"], (weights * own**2).sum() + 3 * (own * np.cos(a * own)).sum())
    hvp = symgrad.compile(TOTAL).hvp(point, direction).hvp
    whole = symgrad.compile(TOTAL, derivative="hessian")(a, own).hessian
    close(hvp["x"], 2.0 * whole["x", "s"] + whole["x", "x"] @ np.ones(4))
    close(hvp["s"], 2.0 * whole["s", "s"] + whole["s", "x"] @ np.ones(4))
    with pytest.raises(ShapeError):
        kernel.jvp(point, {"s": 2.0, "x": np.ones(5)})
    with pytest.raises(ShapeError, match=r"takes an array for each of s, x"):
        kernel.jvp(point, np.ones(5))


def test_batches() -> None:
    kernel = symgrad.compile([TOTAL, SQUARES, SQUARES * TOTAL], batch=True)
    one = symgrad.compile([TOTAL, SQUARES, SQUARES * TOTAL])
    many, slopes = RNG.uniform(size=(2, 3, 4)), RNG.uniform(size=3)
    found = kernel(s=slopes, t=GIVEN["t"], x=many)
    assert found.value.shape == (2, 3, 3)
    assert found.jacobian["x"].shape == (2, 3, 3, 4)
    for place in np.ndindex(2, 3):
        want = one(s=float(slopes[place[1]]), t=GIVEN["t"], x=many[place])
        close(found.value[place], want.value)
        for name in ("x", "s", "t"):
            close(found.jacobian[name][place], want.jacobian[name])
    hessian = symgrad.compile(TOTAL * SQUARES, derivative="hessian", batch=True)(s=slopes, t=2.0, x=many).hessian
    alone = symgrad.compile(TOTAL * SQUARES, derivative="hessian")(s=float(slopes[1]), t=2.0, x=many[1, 1]).hessian
    for pair in (("x", "s"), ("s", "x"), ("x", "x"), ("t", "t")):
        close(hessian[pair][1, 1], alone[pair])


def test_float32_and_threads() -> None:
    kernel = symgrad.compile([TOTAL, SQUARES], dtype="float32", threads=2)
    found = called(kernel)
    want = called(symgrad.compile([TOTAL, SQUARES]))
    assert found.jacobian["x"].dtype == np.float32
    np.testing.assert_allclose(found.jacobian["x"], want.jacobian["x"], rtol=1e-5)


def test_a_free_index_is_refused() -> None:
    with pytest.raises(UnsupportedExpression, match=r"the index i is bound by no Sum; sum over it, or make an array"):
        symgrad.compile([x[i] ** 2, TOTAL])
    with pytest.raises(UnsupportedExpression, match=r"symgrad\.family\(\.\.\., \(k, n\)\)"):
        symgrad.compile(symgrad.family(x[i] * y[sp.Idx("k", 3)], (i, n)))
    with pytest.raises(UnsupportedExpression, match=r"write symgrad\.family\(x\[i\], \(i, n\)\)"):
        symgrad.compile([x])


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ((), "at least one axis"),
        (((i, 0, n),), "takes axes"),
        (((i, n), (i, m)), "an index twice"),
        ((n,), "takes axes"),
    ],
)
def test_axes_of_families(axes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        symgrad.family(x[i], *axes)


def test_empty_outputs_and_those_of_less() -> None:
    kernel = symgrad.compile({"g": symgrad.family(x[i + 2] - x[i], (i, n - 2)), "h": s})
    value, jacobian = kernel(2.0, np.ones(2))
    close(value["g"], np.zeros(0))
    close(jacobian["g"]["x"], np.zeros((0, 2)))
    assert (value["h"], jacobian["h"]["s"]) == (2.0, 1.0)
    with pytest.raises(ShapeError, match=r"axis 0 of g has n - 2 entries, which are -1 where n = 1"):
        kernel(2.0, np.ones(1))
    batch = symgrad.compile(symgrad.family(x[i + 2] - x[i], (i, n - 2)), batch=True)
    with pytest.raises(ShapeError, match="axis 0 of value"):
        batch(np.ones((3, 1)))
    close(batch(np.ones((3, 2))).value, np.zeros((3, 0)))


@pytest.mark.parametrize(
    ("body", "axes", "message"),
    [
        (s, ((i, -2),), "-2 entries along i"),
        (symgrad.family(x[i], (i, n)), ((j, m),), "a family of families has all axes"),
        ([s, t], ((i, n),), "a number, not a list"),
        (sp.Matrix([s, t]), ((i, n),), "a number, not a MutableDenseMatrix"),
        (A, ((i, n),), "a number, not a MatrixSymbol"),
    ],
)
def test_bodies_of_families(body: Any, axes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        symgrad.family(body, *axes)


def test_mixed_outputs() -> None:
    kernel = symgrad.compile([A, s * t, symgrad.family(x[i], (i, n)), sp.Matrix([s, t])])
    found = kernel(A=GIVEN["A"], s=2.0, t=3.0, x=np.ones(3))
    close(found.value[0], GIVEN["A"])
    close(found.value[1], 6.0)
    close(found.value[2], np.ones(3))
    close(found.value[3], [[2.0], [3.0]])
    close(found.jacobian[1]["t"], 2.0)
    close(found.jacobian[3]["s"], [[1.0], [0.0]])
    close(found.jacobian[2]["A"], np.zeros((3, 3, 2)))


def test_a_jacobian_that_does_not_fit_in_memory_is_refused_before_it_is_made() -> None:
    kernel = symgrad.compile(symgrad.family(x[i] * x[j], (i, n), (j, n)))
    with pytest.raises(MemoryError, match=r"d_x of shape \(100000, 100000, 100000\) most of it.*kernel\.jvp"):
        kernel(np.ones(100_000))
    points = symgrad.compile([s * t] * 20)
    with pytest.raises(MemoryError, match=r"take [\d,]+ GB, jacobian of shape \(20000000000, 20, 2\)"):
        points(np.broadcast_to(1.0, (20_000_000_000,)), 2.0)
