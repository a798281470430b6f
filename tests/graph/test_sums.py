"""Sums as they are built, against loops over the indices that their constraints allow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from symgrad.evaluate.evaluation import evaluate
from symgrad.gates.table import GATES
from symgrad.graph.affine import Index, Size, axis, number_index
from symgrad.graph.graph import Graph, Output
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View
from symgrad.graph.sums import guarded, total

N = Index(((Size("n"), 1),))
AT_I, AT_J = axis(100), axis(101)
NAMES = {"i": 100, "j": 101}


def between(low: Index | int, index: Index, high: Index | int) -> list[Index]:
    return [index.minus(low), (number_index(high) if isinstance(high, int) else high).minus(index)]


def over_n(index: Index) -> list[Index]:
    return between(0, index, N.minus(1))


class Sum(NamedTuple):
    """A body, the axes that are summed, what holds for them; the same for a term at numbers, and how it is built."""

    body: Callable[[View, View, View], View]  # of x[i], y[j] and a number
    reduced: str
    constraints: list[Index]
    term: Callable[[Any, Any, float, int, int], float]  # of the arrays x and y, the number, i and j
    allowed: Callable[[int, int, int], bool]  # i, j, n
    gates: set[str]  # of the result, beside inputs, constants and arithmetic with extents


SUMS = {
    "plain": Sum(
        lambda x, y, a: x.call("exp"),
        "i",
        over_n(AT_I),
        lambda x, y, a, i, j: np.exp(x[i]),
        lambda i, j, n: j == 0,
        {"sum", "exp"},
    ),
    "factor": Sum(
        lambda x, y, a: a * x, "i", over_n(AT_I), lambda x, y, a, i, j: a * x[i], lambda i, j, n: j == 0, {"sum", "mul"}
    ),
    "nothing_varies": Sum(
        lambda x, y, a: a, "i", over_n(AT_I), lambda x, y, a, i, j: a, lambda i, j, n: j == 0, {"size", "mul"}
    ),
    "product_of_two": Sum(
        lambda x, y, a: x * y,
        "ij",
        over_n(AT_I) + over_n(AT_J),
        lambda x, y, a, i, j: x[i] * y[j],
        lambda i, j, n: True,
        {"sum", "mul"},
    ),
    "triangle": Sum(
        lambda x, y, a: x * y,
        "ij",
        over_n(AT_I) + between(0, AT_J, AT_I),
        lambda x, y, a, i, j: x[i] * y[j],
        lambda i, j, n: j <= i,
        {"sum", "mul"},
    ),
    "triangle_counted": Sum(
        lambda x, y, a: x,
        "ij",
        over_n(AT_I) + between(0, AT_J, AT_I),
        lambda x, y, a, i, j: x[i],
        lambda i, j, n: j <= i,
        {"sum", "mul", "add", "max", "position"},
    ),
    "diagonal": Sum(
        lambda x, y, a: x * y,
        "ij",
        over_n(AT_I) + over_n(AT_J) + [AT_I.minus(AT_J), AT_J.minus(AT_I)],
        lambda x, y, a, i, j: x[i] * y[j],
        lambda i, j, n: i == j,
        {"sum", "mul"},
    ),
    "contradiction": Sum(
        lambda x, y, a: x * y,
        "ij",
        over_n(AT_I) + over_n(AT_J) + [AT_I.minus(5), number_index(3).minus(AT_I)],
        lambda x, y, a, i, j: 1.0,
        lambda i, j, n: False,
        set(),
    ),
    "guarded_body": Sum(
        lambda x, y, a: guarded(x, [AT_I.minus(2)]),
        "i",
        over_n(AT_I),
        lambda x, y, a, i, j: x[i],
        lambda i, j, n: j == 0 and i >= 2,
        {"sum"},
    ),
    "two_bounds_that_say_the_same": Sum(
        lambda x, y, a: x,
        "i",
        [*over_n(AT_I), AT_I.minus(1)],
        lambda x, y, a, i, j: x[i],
        lambda i, j, n: j == 0 and i >= 1,
        {"sum"},
    ),
}


def views() -> tuple[InternTable, View, View, View]:
    table = InternTable(dict(GATES))
    return table, table.input(0, (NAMES["i"],)), table.input(1, (NAMES["j"],)), table.input(2, ())


def graph_of(table: InternTable, view: View, shape: tuple[Index, ...] = ()) -> Graph:
    return Graph(table, ("x", "y", "a"), (Output(view, shape),), ((N,), (N,), ()))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("name", SUMS)
def test_total_is_the_loop(name: str, n: int) -> None:
    own = SUMS[name]
    table, x, y, a = views()
    found = total(own.body(x, y, a), [NAMES[letter] for letter in own.reduced], own.constraints)
    xs, ys, number = np.linspace(-1.5, 2.0, n), np.linspace(0.5, 3.0, n), -1.25
    (got,) = evaluate(graph_of(table, found), [xs, ys, number], {"n": n})
    indices = itertools.product(range(n), range(max(n, 1)))
    want = sum(own.term(xs, ys, number, i, j) for i, j in indices if own.allowed(i, j, n))
    assert float(got) == pytest.approx(float(want), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("name", SUMS)
def test_what_does_not_vary_stands_outside(name: str) -> None:
    own = SUMS[name]
    table, x, y, a = views()
    found = total(own.body(x, y, a), [NAMES[letter] for letter in own.reduced], own.constraints)
    nodes = graph_of(table, found).order()
    assert {node.gate.name for node in nodes} - {"input", "constant"} == own.gates
    for node in nodes:
        if node.gate.name == "sum":
            assert node.arguments[0].node.gate.name != "mul" or all(edge.axes for edge in node.arguments[0].arguments)


def test_product_over_two_indices_is_two_sums() -> None:
    """n terms each, and not n*n: no loop of the result is over two axes."""
    table, x, y, _ = views()
    found = total(x * y, [NAMES["i"], NAMES["j"]], over_n(AT_I) + over_n(AT_J))
    assert max(node.loops for node in graph_of(table, found).order()) == 1


def test_factor_counts_nothing_where_there_are_no_terms() -> None:
    """0 times infinity is NaN: a sum without terms is 0 whatever came out of it."""
    table, x, _, a = views()
    found = total((1 / a) * x, [NAMES["i"]], over_n(AT_I), may_be_empty=True)
    (got,) = evaluate(graph_of(table, found), [np.zeros(0), np.zeros(0), 0.0], {"n": 0})
    assert float(got) == 0


def test_guarded_is_zero_elsewhere() -> None:
    table, x, _, _ = views()
    found = guarded(x, [AT_I.minus(1), N.minus(AT_I).minus(3)])  # 1 <= i <= n - 3
    (got,) = evaluate(graph_of(table, found.at({NAMES["i"]: axis(0)}), (N,)), [np.ones(6), np.ones(6), 0.0], {"n": 6})
    assert got.tolist() == [0, 1, 1, 1, 0, 0]
    assert guarded(x, []) is x
