"""Sparse results: formats, triangles, patterns that are remembered, `out`, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.errors import ShapeError, SymgradError

n, m, i, j, k = sp.symbols("n m i j k", integer=True)
a, b, c = sp.symbols("a b c")
x = sp.IndexedBase("x", shape=(n,))
CHAIN = sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, n - 2))
POINT = np.random.default_rng(0).uniform(-1, 2, 9)
CHAIN_AT_POINT = float(np.sum(100 * (POINT[1:] - POINT[:-1] ** 2) ** 2 + (1 - POINT[:-1]) ** 2))


def dense(expr: Any, derivative: str, *args: Any, **options: Any) -> Any:
    found = symgrad.compile(expr, derivative=derivative, **options)(*args)
    return found.hessian["x", "x"] if derivative == "hessian" else found.jacobian


@pytest.mark.parametrize("storage", ["csr", "csc", "coo"])
@pytest.mark.parametrize("symmetric", [None, "lower"])
def test_hessian(storage: str, symmetric: str | None) -> None:
    kernel = symgrad.compile(CHAIN, derivative="hessian", sparse=storage, symmetric=symmetric)
    want = dense(CHAIN, "hessian", POINT)
    found = kernel(POINT)
    assert found.hessian.format == storage
    assert found.hessian.nnz == (17 if symmetric else 25)
    assert np.allclose(found.hessian.toarray(), np.tril(want) if symmetric else want, rtol=1e-14)
    assert found.value == pytest.approx(CHAIN_AT_POINT, rel=1e-14)
    again = pickle.loads(pickle.dumps(kernel))(POINT)
    assert (again.hessian != found.hessian).nnz == 0


@pytest.mark.parametrize("storage", ["csr", "csc", "coo"])
def test_jacobian_of_numbers(storage: str) -> None:
    kernel = symgrad.compile([a * b, b + c**2, sp.Integer(3)], sparse=storage)
    value, jacobian = kernel(2.0, 3.0, 4.0)
    assert value.tolist() == [6.0, 19.0, 3.0]
    assert jacobian.format == storage
    assert jacobian.nnz == 4
    assert jacobian.toarray().tolist() == [[3.0, 2.0, 0.0], [0.0, 1.0, 8.0], [0.0, 0.0, 0.0]]


def test_hessian_of_numbers() -> None:
    found = symgrad.compile(a**2 * b + c, derivative="hessian", sparse="csr", symmetric="lower")(2.0, 3.0, 4.0)
    assert found.hessian.toarray().tolist() == [[6.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert found.hessian.nnz == 2


def test_the_pattern_is_found_once_and_its_arrays_are_shared() -> None:
    kernel = symgrad.compile(CHAIN, derivative="hessian", sparse="csr")
    one, two = kernel(POINT).hessian, kernel(POINT + 1).hessian
    assert np.shares_memory(one.indices, two.indices)
    assert np.shares_memory(one.indptr, two.indptr)
    assert not np.shares_memory(one.data, two.data)
    assert kernel(np.ones(4)).hessian.shape == (4, 4)
    assert kernel(POINT).hessian.shape == (9, 9)


def test_a_table_that_is_changed_in_place_changes_the_pattern() -> None:
    at = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(m,))
    kernel = symgrad.compile(symgrad.family(x[at[k]] ** 2, (k, m)), sparse="csr")
    table = np.array([0, 2])
    point = np.array([1.0, 2.0, 3.0])
    assert kernel(table, point).jacobian.toarray().tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, 6.0]]
    table[0] = 1
    assert kernel(table, point).jacobian.toarray().tolist() == [[0.0, 4.0, 0.0], [0.0, 0.0, 6.0]]


def test_entries_of_one_place_are_added() -> None:
    one, two = (sp.IndexedBase(sp.Symbol(name, integer=True), shape=(m,)) for name in ("one", "two"))
    expr = sp.Sum(x[one[k]] * x[two[k]] ** 2, (k, 0, m - 1))
    point, tables = np.array([1.0, 2.0, 3.0]), [np.array([0, 0, 2, 1]), np.array([1, 1, 2, 0])]
    for threads in (None, 2):
        kernel = symgrad.compile(expr, [one, two, x], derivative="hessian", sparse="csr", threads=threads)
        want = symgrad.compile(expr, [one, two, x], derivative="hessian")(*tables, point).hessian["x", "x"]
        assert np.allclose(kernel(*tables, point).hessian.toarray(), want, rtol=1e-14)
    lower = symgrad.compile(expr, [one, two, x], derivative="hessian", sparse="csc", symmetric="lower")
    assert np.allclose(lower(*tables, point).hessian.toarray(), np.tril(want), rtol=1e-14)


def test_out_writes_into_the_data() -> None:
    kernel = symgrad.compile(CHAIN, derivative="hessian", sparse="csr")
    first = kernel(POINT)
    data = first.hessian.data
    again = kernel(POINT + 1, out=first)
    assert again.hessian.data is data or np.shares_memory(again.hessian.data, data)
    assert np.allclose(again.hessian.toarray(), dense(CHAIN, "hessian", POINT + 1), rtol=1e-14)
    with pytest.raises(ValueError, match="csr"):
        kernel(POINT, out=first._replace(hessian=first.hessian.tocsc()))


def test_without_entries() -> None:
    kernel = symgrad.compile(symgrad.family(sp.floor(x[i]) + a, (i, n)), wrt=[x], args=[x, a], sparse="csr")
    found = kernel(np.ones(3), 2.0)
    assert found.jacobian.shape == (3, 3)
    assert found.jacobian.nnz == 0
    assert symgrad.compile(CHAIN, derivative="hessian", sparse="csr")(np.ones(1)).hessian.toarray().tolist() == [[0.0]]
    assert symgrad.compile(CHAIN, derivative="hessian", sparse="csr")(np.ones(0)).hessian.shape == (0, 0)


def test_float32_and_strict() -> None:
    for options in ({"dtype": "float32"}, {"accuracy": "strict"}):
        kernel = symgrad.compile(CHAIN, derivative="hessian", sparse="csr", **options)
        found = kernel(POINT).hessian
        assert found.dtype == options.get("dtype", "float64")
        tolerance = 1e-5 if "dtype" in options else 1e-13
        assert np.allclose(found.toarray(), dense(CHAIN, "hessian", POINT), rtol=tolerance, atol=tolerance * 1000)


def test_the_hessian_of_a_weighted_sum() -> None:
    kernel = symgrad.compile([CHAIN, symgrad.family(x[i] ** 3, (i, n))], derivative="jacobian", sparse="csr")
    weights = np.arange(9.0)
    found = kernel.weighted_hessian((POINT,), [2.0, weights])
    want = 2 * dense(CHAIN, "hessian", POINT) + np.diag(6 * weights * POINT)
    assert np.allclose(found.toarray(), want, rtol=1e-13)
    numbers = symgrad.compile([a * b, a**3], sparse="coo").weighted_hessian((2.0, 3.0), [5.0, 7.0])
    assert numbers.toarray().tolist() == [[84.0, 5.0], [5.0, 0.0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparse": "dia"}, "csr, csc, coo"),
        ({"sparse": "csr", "derivative": "gradient"}, "Jacobian or Hessian"),
        ({"sparse": "csr", "derivative": None}, "Jacobian or Hessian"),
        ({"symmetric": "lower", "derivative": "hessian"}, "sparse"),
        ({"sparse": "csr", "derivative": "hessian", "symmetric": "upper"}, "lower"),
        ({"sparse": "csr", "derivative": "jacobian", "symmetric": "lower"}, "Hessian"),
        ({"sparse": "csr", "derivative": "hessian", "batch": True}, "one instance"),
        ({"sparse": "csr", "derivative": "hessian", "target": "cuda"}, "cpu"),
    ],
)
def test_bad_options(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        symgrad.compile(CHAIN, **options)


def test_batches_are_refused() -> None:
    with pytest.raises(ShapeError, match="one point"):
        symgrad.compile([a * b, a], sparse="csr")(np.ones(3), 2.0)
    with pytest.raises(ShapeError, match="one instance"):
        symgrad.compile(a * CHAIN, derivative="hessian", sparse="csr")(np.ones(3), POINT)
    with pytest.raises(SymgradError, match="sparse"):
        symgrad.compile([a * b, a]).weighted_hessian((1.0, 2.0), [1.0, 2.0])


def test_a_table_out_of_range() -> None:
    at = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(m,))
    kernel = symgrad.compile(symgrad.family(x[at[k]] ** 2, (k, m)), sparse="csr")
    with pytest.raises(IndexError, match="at holds 3"):
        kernel(np.array([0, 3]), np.ones(3))
