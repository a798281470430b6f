"""Domains: they hold every index for which a node is read, and no more where that is easy to see."""

from __future__ import annotations

import itertools
import random

import pytest

from symgrad.analysis.domains import Domains
from symgrad.analysis.extents import numeric, with_derived
from symgrad.gates.table import GATES
from symgrad.graph.affine import Index, Size, axis, number_index, substituted
from symgrad.graph.graph import Graph, Output
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View

N, M = (Index(((Size(name), 1),)) for name in "nm")
AT_I, AT_J = axis(0), axis(1)
ZERO = number_index(0)


def over(low: Index | int, index: Index, high: Index) -> list[Index]:
    return [index.minus(low), high.minus(index)]


def graph_of(table: InternTable, view: View) -> Graph:
    return Graph(table, ("x",), (Output(view, ()),), ((N,),))


def empty() -> Domains:
    table = InternTable(dict(GATES))
    return Domains(graph_of(table, table.reduce(GATES["sum"], table.input(0, (0,)), [0], over(0, AT_I, N.minus(1)))))


@pytest.mark.parametrize("seed", range(100))
def test_box_holds_every_index_that_is_allowed(seed: int) -> None:
    choices = random.Random(seed)
    forms = [*over(0, AT_I, N.minus(1)), *over(0, AT_J, M)]
    for _ in range(choices.randint(1, 3)):
        a, b = choices.choice([(1, -1), (-1, 1), (1, 1), (-1, -1), (1, -2), (0, 1), (-1, 0), (2, 1)])
        forms.append(
            AT_I.scaled(a).plus(AT_J.scaled(b)).plus(N.scaled(choices.randint(0, 1))).plus(choices.randint(-2, 2))
        )
    domains = empty()
    domain = domains.limited([None, None], forms)
    for n, m in itertools.product(range(5), repeat=2):
        sizes = with_derived({"n": n, "m": m}, domains.derived)
        for i, j in itertools.product(range(-1, 7), repeat=2):
            at = {0: number_index(i), 1: number_index(j)}
            if all(numeric(substituted(form, at), sizes) >= 0 for form in forms):
                # No constraint got lost or was made sharper: the box and what couples its axes are the same set.
                assert all(numeric(substituted(form, at), sizes) >= 0 for form in domain.constraints())
            elif all(numeric(substituted(form, at), sizes) >= 0 for form in domain.constraints()):
                pytest.fail(f"{forms} do not allow {i, j} at {n, m}, {domain} does")


@pytest.mark.parametrize(
    ("forms", "bounds"),
    [
        ([*over(0, AT_I, N.minus(1)), *over(0, AT_J, AT_I)], ((ZERO, N.minus(1)), (ZERO, N.minus(1)))),
        (
            [*over(0, AT_I, N.minus(1)), *over(2, AT_J, AT_I)],
            ((number_index(2), N.minus(1)), (number_index(2), N.minus(1))),
        ),
        (
            [*over(0, AT_I, N.minus(1)), *over(AT_I.plus(1), AT_J, N.minus(1))],
            ((ZERO, N.minus(2)), (number_index(1), N.minus(1))),
        ),
        ([*over(0, AT_I, N.minus(1)), AT_J.minus(0)], ((ZERO, N.minus(1)), None)),
    ],
)
def test_triangles(forms: list[Index], bounds: tuple[object, ...]) -> None:
    assert empty().limited([None, None], forms).bounds == bounds


def test_demand_is_that_of_the_readers() -> None:
    """The node exp(x[i]) is read at i + 1 for i from 0 to n - 3, and at n - 1 - i for the same: from 1 to n - 1."""
    table = InternTable(dict(GATES))
    node = table.input(0, (0,)).call("exp").node
    reads = [View(node, (AT_I.plus(1),)), View(node, (N.minus(1).minus(AT_I),))]
    one = table.reduce(GATES["sum"], reads[0], [0], over(0, AT_I, N.minus(3)))
    assert Domains(graph_of(table, one)).of[node].bounds == ((number_index(1), N.minus(2)),)
    both = table.reduce(GATES["sum"], reads[0] * reads[1], [0], over(0, AT_I, N.minus(3)))
    assert Domains(graph_of(table, both)).of[node].bounds == ((number_index(1), N.minus(1)),)


def test_inputs_are_what_they_are_declared() -> None:
    table = InternTable(dict(GATES))
    x = table.input(0, (0,))
    found = Domains(graph_of(table, table.reduce(GATES["sum"], x, [0], over(3, AT_I, N.minus(4)))))
    assert found.of[x.node].bounds == ((ZERO, N.minus(1)),)


@pytest.mark.parametrize(
    ("form", "is_implied"),
    [
        (AT_I, True),
        (AT_J, True),
        (N.minus(1).minus(AT_J), True),  # j <= i <= n - 1
        (AT_I.minus(AT_J), True),
        (AT_I.minus(AT_J).minus(1), False),
        (N.minus(1), True),  # there is an index at all
        (N.minus(2), False),
    ],
)
def test_implied_in_a_triangle(form: Index, is_implied: bool) -> None:
    domains = empty()
    triangle = domains.limited([None, None], [*over(0, AT_I, N.minus(1)), *over(0, AT_J, AT_I)])
    assert domains.implies(triangle, form) == is_implied
    sizes = range(1, 5)
    found = [
        numeric(substituted(form, {0: number_index(i), 1: number_index(j)}), {"n": n})
        for n in sizes
        for i in range(n)
        for j in range(i + 1)
    ]
    assert (min(found) >= 0) == is_implied
