"""Patterns without values: the same arrays as those of results, names of blocks, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.errors import ShapeError, SymgradError

n, m, i, j = sp.symbols("n m i j", integer=True)
a, b, c = sp.symbols("a b c")
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(m,))
at = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(m,))
CHAIN = sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2, (i, 0, n - 2)) + sp.Sum(y[j] * x[at[j]] ** 2, (j, 0, m - 1))
POINT = np.array([0, 3, 4]), np.linspace(1, 2, 9), np.ones(3)


@pytest.mark.parametrize("storage", ["csr", "csc", "coo"])
def test_the_arrays_are_those_of_every_result(storage: str) -> None:
    kernel = symgrad.compile(CHAIN, derivative="hessian", sparse=storage)
    pattern = kernel.pattern(*POINT)
    assert pattern is kernel.pattern(at=POINT[0], y=POINT[2], x=POINT[1])
    for shift in (0, 1):
        found = kernel(POINT[0], POINT[1] + shift, POINT[2]).hessian
        assert pattern.shape == found.shape == (12, 12)
        assert pattern.nnz == found.nnz == 31
        if storage == "coo":
            assert found.row is pattern.rows
            assert found.col is pattern.columns
            assert pattern.indices is None
            assert pattern.indptr is None
        else:
            assert found.indices is pattern.indices
            assert found.indptr is pattern.indptr
    dense = symgrad.compile(CHAIN, derivative="hessian")(*POINT).hessian
    want = np.block([[dense[p, q] for q in "xy"] for p in "xy"]) != 0
    assert (pattern.of(np.ones(31)).toarray().astype(bool) == want).all()


def test_numbers() -> None:
    kernel = symgrad.compile({"f": a * b, "g": b + c**2}, sparse="csr")
    pattern = kernel.pattern(1.0, 2.0, 3.0)
    assert pattern.indices is kernel(1.0, 2.0, 3.0).jacobian.indices
    assert pattern.indices.tolist() == [0, 1, 1, 2]
    assert pattern.indptr.tolist() == [0, 2, 4]
    assert pattern.row_spans == (("f", 0, 1, ()), ("g", 1, 2, ()))
    assert [span.name for span in pattern.column_spans] == ["a", "b", "c"]
    assert repr(pattern) == "<symgrad pattern in the format csr, 2 by 3, 4 entries>"


def test_blocks_have_the_names_of_outputs_and_inputs() -> None:
    family = symgrad.family(x[i] * y[0] + x[i + 1], (i, n - 1))
    pattern = symgrad.compile({"f": family, "g": y[1] ** 2}, sparse="csr").pattern(np.ones(4), np.ones(2))
    assert pattern.row_spans == (("f", 0, 3, (3,)), ("g", 3, 4, ()))
    assert pattern.column_spans == (("x", 0, 4, (4,)), ("y", 4, 6, (2,)))
    assert pattern.columns.tolist() == [0, 1, 4, 1, 2, 4, 2, 3, 4, 5]
    names = [name for name, _ in pattern.named(np.arange(10.0))]
    assert names == [
        *(f"d_f_{of}[{r}, {k}]" for r in range(3) for of, k in (("x", r), ("x", r + 1), ("y", 0))),
        "d_g_y[1]",
    ]
    kernel = symgrad.compile([CHAIN], sparse="coo").weighted_hessian
    assert kernel.pattern(POINT, [1.0]).row_spans == (("x", 0, 9, (9,)), ("y", 9, 12, (3,)))


@pytest.mark.parametrize(
    ("reach", "bands"), [((i,), (0, 0)), ((i, i + 1), (0, 1)), ((i, i + 1, i + 3), (0, 3)), ((n - 1 - i,), (4, 4))]
)
def test_bandwidths(reach: Any, bands: tuple[int, int]) -> None:
    family = symgrad.family(sum(x[sp.Min(at, n - 1)] ** 2 for at in reach), (i, n))
    pattern = symgrad.compile(family, sparse="csc").pattern(np.ones(5))
    assert pattern.bandwidths() == bands


def test_bandwidths_without_entries() -> None:
    assert symgrad.compile([sp.Integer(3), a - a], [a, b], sparse="csr").pattern(1.0, 2.0).bandwidths() == (0, 0)


def test_refusals() -> None:
    for kernel in (symgrad.compile(CHAIN), symgrad.compile(CHAIN, derivative="hessian")):
        with pytest.raises(SymgradError, match="no sparse result"):
            kernel.pattern(*POINT)
    kernel = symgrad.compile(CHAIN, derivative="hessian", sparse="csr")
    with pytest.raises(SymgradError, match="no sparse result"):
        symgrad.compile([a * b, a], sparse="csr").jvp.pattern((1.0, 2.0), (1.0, 2.0))
    with pytest.raises(TypeError, match="missing"):
        kernel.pattern(*POINT[:2])
    with pytest.raises(IndexError, match="at holds 9"):
        kernel.pattern(np.array([0, 3, 9]), *POINT[1:])
    with pytest.raises(ShapeError):
        kernel.pattern(np.array([0, 3]), *POINT[1:])


def test_a_pattern_larger_than_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = symgrad.compile(sp.Sum(x[i] * x[j], (i, 0, n - 1), (j, 0, n - 1)), derivative="hessian", sparse="csr")
    monkeypatch.setattr("symgrad.kernel.batch._memory", lambda: 2**36)
    with pytest.raises(MemoryError, match="the pattern"):
        kernel.pattern(np.ones(100_000))
    with pytest.raises(MemoryError, match="the pattern"):
        kernel(np.ones(100_000))
    assert kernel.pattern(np.ones(3)).nnz == 9


def test_stats_tell_of_families() -> None:
    kernel = symgrad.compile(CHAIN, derivative="hessian", sparse="csr")
    assert (kernel.stats["families"], kernel.stats["dense_families"]) == (4, 0)
    assert "pattern" not in kernel.stats["seconds"]
    kernel.pattern(*POINT)
    assert kernel.stats["seconds"]["pattern"] > 0
    matrix, vector = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("v", n, 1)
    kernel = symgrad.compile(matrix.I * vector, wrt=[vector], sparse="csr")
    assert (kernel.stats["families"], kernel.stats["dense_families"]) == (1, 1)
    assert "families" not in symgrad.compile(a * b).stats
