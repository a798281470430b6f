"""Emitted modules of sparse derivatives: kernel and pattern make the matrix that symgrad's own kernel returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from array_problems import ARRAY_PROBLEMS, MORE_PROBLEMS, positions
from scipy import sparse
from several import arrays
from sparse import matrix_of
from symgrad_codegen.run import build
from symgrad_codegen.targets import TARGETS

import symgrad
from symgrad.emission import source_of
from symgrad.errors import UnsupportedExpression
from symgrad.evaluate.evaluation import evaluate
from symgrad.options import Options
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.scatter_deltas import scatter_deltas
from symgrad.transform.simplify import simplify

PROBLEMS = {**{name: make() for name, make in ARRAY_PROBLEMS.items()}, **MORE_PROBLEMS}
del PROBLEMS["vector twice"]  # the Hessian of a vector is no matrix

n, m, i, j, k = sp.symbols("n m i j k", integer=True)
c = sp.Symbol("c")
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(m,))
u = sp.IndexedBase("u", shape=(n, m))
at = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(m,))
CHAIN = sp.Sum(c * (x[i + 1] - x[i] ** 2) ** 2, (i, 0, n - 2)) + sp.Sum(y[k] * x[at[k]] ** 2, (k, 0, m - 1))
FAMILY = symgrad.family(x[at[k]] ** 2 * y[k] + sp.sin(x[k + 1]), (k, m))
GRID = symgrad.family((u[sp.Min(i + 1, n - 1), j] - u[i, j]) * u[i, sp.Mod(j - 1, m)], (i, n), (j, m))
HALF = symgrad.family(sp.Piecewise((x[i] * x[i - 1] ** 2, i > 0), (x[n - 1] ** 2, True)), (i, n))
POINT: dict[str, Any] = {
    "at": np.array([2, 0, 2]),
    "c": 1.5,
    "u": np.random.default_rng(0).random((4, 3)),
    "x": np.linspace(0.5, 1.5, 5),
    "y": np.array([2.0, -1.0, 0.5]),
}
CASES: dict[str, tuple[Any, str]] = {
    "chain": (CHAIN, "hessian"),
    "gathered": ({"g": FAMILY, "total": CHAIN}, "jacobian"),
    "grid": (GRID, "jacobian"),
    "branches": ([HALF, x[0] * c], "jacobian"),
}


def assembled(pattern: list[Any], mirrored: Any, families: list[Any], shape: tuple[int, int]) -> Any:
    """The matrix of families of entries, as a user of a module makes it."""
    found = np.zeros(shape)
    for (rows, columns), is_mirrored, values in zip(pattern, mirrored, families, strict=True):
        is_there = rows >= 0
        assert (is_there == (columns >= 0)).all()
        assert rows.shape == np.shape(values)
        data = np.asarray(values)[is_there], (rows[is_there], columns[is_there])
        own = sparse.coo_array(data, shape).toarray()
        found += own + own.T if is_mirrored else own
    return found


@pytest.mark.parametrize("target", ["cpu", "python"])
@pytest.mark.parametrize("case", CASES)
def test_a_module_stands_alone(case: str, target: str) -> None:
    expr, derivative = CASES[case]
    source = symgrad.emit(expr, derivative=derivative, sparse="csr", target=target)
    assert "import symgrad" not in source
    module = build.load(source)
    point = [POINT[name] for name in module.ARGUMENTS]
    *_, derivatives = module.kernel(*point)
    want = symgrad.compile(expr, derivative=derivative, sparse="csr")(*point)[-1].toarray()
    families = derivatives[len(derivatives) - len(module.MIRRORED) :]
    found = assembled(module.kernel_pattern(*point), module.MIRRORED, families, want.shape)
    np.testing.assert_allclose(found, want, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", PROBLEMS)
def test_patterns_of_problems(name: str) -> None:
    """The integers of the emitted function beside the pattern that the reference evaluator makes."""
    problem = PROBLEMS[name]
    wrt = positions(problem)
    graph = scatter_deltas(arrays(problem.values, problem.inputs))
    made = simplify(derive(graph, Wanted(wrt, problem.derivative, is_sparse=True)), ("cheaper", "spelling"))
    assert made.pattern is not None
    source = source_of(made, graph, Options(target="python", sparse="csr"), is_alone=True)
    module = build.load(source)
    outputs = evaluate(made, problem.point, problem.sizes)
    families = list(outputs)[len(outputs) - len(made.pattern.families) :]
    want = matrix_of(made, problem.point, problem.sizes)[0].astype(float)
    found = assembled(module.kernel_pattern(*problem.point), module.MIRRORED, families, want.shape)
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-9)


def test_comments_name_the_entries() -> None:
    body = symgrad.emit(CHAIN, derivative="hessian", sparse="csr", body=True)
    for words in (
        "# d2 value / d x[at[k]] d x[at[k]]",
        "# d2 value / d x[i] d x[i]",
        "# d2 value / d x[i] d x[i - 1]",
        "# d2 value / d y[k] d x[at[k]]",
        "d_x_x_at[k] = ",
        "d_x_x_before_1",
    ):
        assert words in body
    body = symgrad.emit({"g": FAMILY}, sparse="csr", body=True)
    for words in ("# d g[i] / d x[i + 1]", "# d g[i] / d x[at[i]]", "# d g[i] / d y[i]", "d_x_after_1[", "d_x_at"):
        assert words in body


def test_a_user_may_have_the_names_of_the_pattern() -> None:
    names = ("rows", "columns", "found", "there", "pattern_places", "MIRRORED", "kernel_pattern", "k")
    inputs = [sp.IndexedBase(name, shape=(n,)) for name in names]
    expr = symgrad.family(sum(own[i] ** 2 for own in inputs), (i, n))
    module = build.load(symgrad.emit(expr, inputs, sparse="csr", target="python"))
    point = [np.arange(3.0) + place for place in range(len(names))]
    _, derivatives = module.kernel(*point)
    found = assembled(module.kernel_pattern(*point), module.MIRRORED, derivatives, (3, 3 * len(names)))
    np.testing.assert_allclose(found, np.hstack([2 * np.diag(own) for own in point]))


def test_numbers_are_told_by_the_table_of_entries() -> None:
    a, b = sp.symbols("a b")
    module = build.load(symgrad.emit({"f": a * b, "g": b**2}, sparse="csr", target="python"))
    assert module.ENTRIES == (("f", "a"), ("f", "b"), ("g", "b"))
    assert module.kernel(2.0, 3.0) == ((6.0, 9.0), (3.0, 2.0, 6.0))


def test_what_has_no_patterns_refuses() -> None:
    for target in TARGETS:
        if TARGETS[target].patterns:
            assert "kernel_pattern" in symgrad.emit(FAMILY, sparse="csc", target=target)
        else:
            with pytest.raises(UnsupportedExpression, match="no sparse derivatives"):
                symgrad.emit(FAMILY, sparse="csc", target=target)
    with pytest.raises(ValueError, match="Jacobian or Hessian"):
        symgrad.emit(CHAIN, sparse="csr")
    with pytest.raises(ValueError, match="csr, csc, coo"):
        symgrad.emit(FAMILY, sparse="dia")
