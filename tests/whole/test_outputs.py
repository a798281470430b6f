"""Several outputs, and outputs over axes: from the graph to numbers, on every target that has arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from symgrad_codegen.run import build
from symgrad_codegen.targets import TARGETS

from symgrad.emission import program_of
from symgrad.evaluate.evaluation import evaluate
from symgrad.evaluate.trials import trials
from symgrad.gates.table import GATES
from symgrad.graph.affine import Index, Size, axis, number_index
from symgrad.graph.graph import Graph, Output, as_node
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View
from symgrad.graph.rows import graph_of, rows_of
from symgrad.options import Options
from symgrad.transform.differentiate import differentiate
from symgrad.transform.simplify import simplify
from symgrad.verify import verify_graph, verify_program

FAMILIES = ("cheaper", "spelling")
N, D = (Index(((Size(name), 1),)) for name in "nd")
ROW, COLUMN = 0, 1


def below(name: int, extent: Index) -> list[Index]:
    return [axis(name), extent.minus(1).minus(axis(name))]


def layer() -> tuple[InternTable, View, View, View]:
    """X[n, d], w[d], and the margins X @ w."""
    table = InternTable(dict(GATES))
    X, w = table.input(0, (ROW, COLUMN)), table.input(1, (COLUMN,))
    return table, X, w, table.reduce(GATES["sum"], X * w, [COLUMN], below(COLUMN, D))


def graph_with(table: InternTable, outputs: Sequence[Output]) -> Graph:
    return Graph(table, ("X", "w"), tuple(outputs), ((N, D), (D,)))


def loss_and_more() -> Graph:
    """A number, its gradients, and beside it a vector, a matrix, a single number of the data and a constant vector."""
    table, X, w, margins = layer()
    loss = table.reduce(GATES["sum"], margins.call("tanh"), [ROW], below(ROW, N))
    graph = differentiate(graph_with(table, [Output(as_node(loss))]), (0, 1))
    hidden = View(margins.node, (axis(0),))
    more = [
        Output(hidden.call("tanh"), (N,)),
        Output(View(X.node, (axis(0), axis(1))) * w.at({COLUMN: axis(1)}), (N, D)),
        Output(as_node(View(X.node, (number_index(0), number_index(0))))),
        Output(table.constant(3), (D,)),
        Output(View(margins.node, (N.minus(1).minus(axis(0)),)), (N,)),  # from the last to the first
    ]
    return Graph(table, graph.inputs, (*graph.values, *more, *graph.derivatives), graph.shapes, adjoints=graph.adjoints)


def no_sum_at_all() -> Graph:
    """Nothing is summed up: the data axis is one of the value's."""
    table = InternTable(dict(GATES))
    X, w = table.input(0, (0, 1)), table.input(1, (1,))
    return graph_with(table, [Output((X * w).call("exp"), (N, D))])


def want(graph: Graph, X: Any, w: Any) -> list[Any]:
    if len(graph.outputs) == 1:
        return [np.exp(X * w)]
    margins = X @ w
    slope = 1 - np.tanh(margins) ** 2
    return [
        np.tanh(margins).sum(),
        np.tanh(margins),
        X * w,
        X[0, 0],
        np.full(len(w), 3.0),
        margins[::-1],
        np.outer(slope, w),
        X.T @ slope,
    ]


MADE = {"loss and more": loss_and_more, "no sum": no_sum_at_all}


def run(graph: Graph, target: str, dtype: str, *arrays: Any) -> list[Any]:
    options = Options(target=target, dtype=dtype)
    module = build.load(TARGETS[target].emit(program_of(simplify(graph, FAMILIES), graph, options)))
    values, gradients = module.kernel(*(np.asarray(array, dtype) for array in arrays))
    return [*(values if len(graph.values) > 1 else [values]), *gradients]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("target", ["python", "cpu"])
@pytest.mark.parametrize("made", MADE)
def test_outputs_over_axes(made: str, target: str, dtype: str) -> None:
    graph = MADE[made]()
    for n, d in ((5, 3), (1, 1), (300, 2)):
        rng = np.random.default_rng(n)
        X, w = rng.normal(size=(n, d)), rng.normal(size=d)
        found, wanted = run(graph, target, dtype, X, w), want(graph, X, w)
        tolerance = 1e-12 if dtype == "float64" else 2e-5
        for got, number in zip(found, wanted, strict=True):
            assert np.shape(got) == np.shape(number)
            np.testing.assert_allclose(got, number, rtol=tolerance, atol=tolerance * n)


@pytest.mark.parametrize("made", MADE)
def test_reference_evaluator_and_verifier(made: str) -> None:
    graph = MADE[made]()
    X, w = np.random.default_rng(1).normal(size=(4, 3)), np.arange(3.0)
    found = evaluate(graph, [X, w], {"n": 4, "d": 3})
    for got, number in zip(found, want(graph, X, w), strict=True):
        assert np.shape(got) == np.shape(number)
        np.testing.assert_allclose(got, number, rtol=1e-12, atol=1e-12)
    verify_graph(graph, "test", trials(graph))
    for target in ("cpu", "cuda", "python"):
        options = Options(target=target)
        verify_program(program_of(simplify(graph, FAMILIES), graph, options), graph)


@pytest.mark.parametrize("made", MADE)
def test_outputs_are_kept_by_rows(made: str) -> None:
    graph = MADE[made]()
    again = graph_of(rows_of(graph), dict(GATES))
    assert str(again) == str(graph.compact()) or str(again).count("\n") == str(graph).count("\n")
    assert [(o.shape, o.by, o.of, o.name) for o in again.outputs] == [
        (o.shape, o.by, o.of, o.name) for o in graph.outputs
    ]
    X, w = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    for one, two in zip(*(evaluate(g, [X, w], {"n": 2, "d": 3}) for g in (graph, again)), strict=True):
        np.testing.assert_array_equal(one, two)
