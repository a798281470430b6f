"""Families of entries: the whole matrix by differences of many digits, and as many entries as are not 0."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from array_problems import ARRAY_PROBLEMS, MORE_PROBLEMS, ArrayProblem, array, positions
from several import arrays
from sparse import matrix_of, stacked

from symgrad.evaluate.trials import trials
from symgrad.gates.table import GATES
from symgrad.graph.graph import Output
from symgrad.graph.rows import graph_of, rows_of
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.scatter_deltas import scatter_deltas
from symgrad.transform.simplify import simplify
from symgrad.verify import verify_graph

from .test_spread import differences

PROBLEMS = {**{name: make() for name, make in ARRAY_PROBLEMS.items()}, **MORE_PROBLEMS}
del PROBLEMS["vector twice"]  # the Hessian of a vector is no matrix

# Matrices that are dense, with entries that happen to be 0, or where two factors are: there more are stored.
DENSE = {"softmax of large scores", "two factors that are 0", "Huber loss", "some columns", "largest", "det", "kernel"}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name: str) -> None:
    problem = PROBLEMS[name]
    wrt, is_hessian = positions(problem), problem.derivative == "hessian"
    graph = scatter_deltas(arrays(problem.values, problem.inputs))
    derived = derive(graph, Wanted(wrt, problem.derivative, is_sparse=True))
    verify_graph(derived, "differentiate", trials(graph))
    first = derive(graph, Wanted(wrt, "jacobian")) if is_hessian else graph
    rows = [Output(output.view, output.shape) for output in (first.derivatives if is_hessian else graph.values)]
    found = differences(first, rows, problem, wrt)
    names = [output.by[0] for output in first.derivatives] if is_hessian else range(len(rows))
    want = stacked(graph, {(names[row], by): own for (row, by), own in found.items()}, wrt, problem.sizes, is_hessian)
    want = want.astype(float)
    for made in (derived, simplify(derived, ("cheaper", "spelling"))):
        matrix, stored = matrix_of(made, problem.point, problem.sizes)
        assert matrix.shape == want.shape
        assert np.max(np.abs(matrix.astype(float) - want), initial=0) <= 1e-9 * (1 + np.max(np.abs(want), initial=0))
        if name not in DENSE:
            assert stored == np.count_nonzero(np.abs(want) > 1e-20)
    again = graph_of(rows_of(derived), GATES)
    assert (
        matrix_of(again, problem.point, problem.sizes)[0] == matrix_of(derived, problem.point, problem.sizes)[0]
    ).all()


def test_a_delta_of_a_table_is_a_scatter() -> None:
    """Also where the table has indices that are none."""
    n, m, i, k = sp.symbols("n m i k", integer=True)
    x, at = array("x", m), array("at", m, integer=True)
    value = sp.Sum(sp.KroneckerDelta(at[k], i) * sp.sin(x[k]), (k, 0, m - 1))
    point = [np.array([0.3, 0.7, -1.1, 2.0]), np.array([2, -1, 2, 7]), 3]
    problem = ArrayProblem([(value, ((i, n),))], [x, at, n], [x], "jacobian", point, {"n": 3, "m": 4})
    graph = arrays(problem.values, problem.inputs)
    scattered = scatter_deltas(graph)
    assert any(node.gathered and node.gate.name == "sum" for node in scattered.order())
    derived = derive(scattered, Wanted([0], "jacobian", is_sparse=True))
    matrix, stored = matrix_of(derived, point, problem.sizes)
    want = np.zeros((3, 4))
    want[2, [0, 2]] = np.cos([0.3, -1.1])
    assert stored == 2
    assert np.allclose(matrix.astype(float), want, rtol=1e-15)


def test_what_is_added_up_and_read_at_gathered_places() -> None:
    """A delta of two tables stays a choice among all: right, and dense."""
    m, i, k = sp.symbols("m i k", integer=True)
    x, at, there = array("x", m), array("at", m, integer=True), array("there", m, integer=True)
    value = sp.Sum(sp.KroneckerDelta(at[k], there[i]) * sp.sin(x[k]), (k, 0, m - 1)) ** 2
    point = [np.array([0.3, 0.7, -1.1, 2.0]), np.array([2, 0, 2, 1]), np.array([1, 2, 2, 0])]
    graph = scatter_deltas(arrays([(value, ((i, m),))], [x, at, there]))
    derived = derive(graph, Wanted([0], "jacobian", is_sparse=True))
    matrix, _ = matrix_of(derived, point, {"m": 4})
    met = (point[1][None, :] == point[2][:, None]).astype(float)
    want = 2 * (met @ np.sin(point[0]))[:, None] * met * np.cos(point[0])
    assert np.allclose(matrix.astype(float), want, rtol=1e-14)


def test_without_terms_no_table_is_read() -> None:
    """A product over nothing has no entries, and its table need not have the index at which there would be one."""
    n, m, d, i = sp.symbols("n m d i", integer=True)
    x, at = array("x", m), array("at", n, integer=True)
    value = sp.Product(x[at[1]], (i, 1, d - 1))
    for extent, table, stored in ((1, [0], 0), (1, [0, 2], 0), (3, [0, 2], 1)):
        point = [np.array([0.5, -1.0, 2.0]), np.array(table), extent]
        graph = arrays([(value, ())], [x, at, d])
        derived = derive(graph, Wanted([0], "hessian", is_sparse=True))
        matrix, count = matrix_of(derived, point, {"n": len(table), "m": 3, "d": extent})
        want = np.zeros((3, 3))
        want[2, 2] = 2.0 if stored else 0.0
        assert count == stored
        assert (matrix.astype(float) == want).all()
