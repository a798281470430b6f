"""The intern table: no two nodes say the same, whatever their axes are called and in whatever order one writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from symgrad.gates.table import GATES
from symgrad.graph.affine import Size, axis, number_index
from symgrad.graph.intern import InternTable
from symgrad.graph.node import Gather, View, plain_axis


@pytest.fixture
def table() -> InternTable:
    return InternTable(dict(GATES))


def test_equal_operations_are_one_node(table: InternTable) -> None:
    x, y = table.input(0, (0,)), table.input(1, (0,))
    assert (x * y).node is (x * y).node
    assert (x - y).node is not (y - x).node
    assert x.call("exp").node is not x.call("log").node


def test_what_commutes_keeps_the_order_of_its_first_writing(table: InternTable) -> None:
    x, y = table.input(0, (0,)), table.input(1, (0,))
    first = (y + x).node
    assert (x + y).node is first
    assert [edge.node for edge in first.arguments] == [y.node, x.node]


@pytest.mark.parametrize("gate", ["add", "sub"])
def test_axes_are_positions_and_names_stand_on_views(gate: str, table: InternTable) -> None:
    def combined(i: int, j: int) -> View:
        a, b = table.input(0, (i,)), table.input(1, (j,))
        return a + b if gate == "add" else a - b

    one, other, square = combined(10, 11), combined(31, 30), combined(5, 5)
    assert one.node is other.node
    assert one.axes == (10, 11)
    assert set(other.axes) == {30, 31}
    assert square.node is not one.node  # a[i] + b[i] is not a[i] + b[j]
    assert square.node.rank == 1


def test_a_sum_over_an_axis_of_either_order(table: InternTable) -> None:
    """b[j] + a[i] is a[i] + b[j]: each node is read along the axis that it was written with."""
    a, b = table.input(0, (10,)), table.input(1, (11,))
    one, other = a + b, b + a
    assert one == other
    edges = {edge.node: [one.index[name] for name in edge.axes] for edge in one.node.arguments}
    assert edges == {a.node: [axis(10)], b.node: [axis(11)]}


def test_reductions_are_one_whatever_is_reduced_is_called(table: InternTable) -> None:
    def total(i: int, j: int) -> View:
        limits = [axis(j), number_index(3).minus(axis(j))]
        return table.reduce(GATES["sum"], table.input(0, (i, j)), [j], limits)

    one, other = total(4, 5), total(9, 2)
    assert one.node is other.node
    assert (one.axes, other.axes) == ((4,), (9,))
    assert (one.node.rank, one.node.loops) == (1, 2)
    assert table.loop_names[one.node] == (4, 5)  # of its first writing


def test_constants_are_exact_and_one_for_each_number(table: InternTable) -> None:
    assert table.constant(2).node is table.constant(Fraction(4, 2)).node
    assert table.constant(Fraction(1, 3)).number == Fraction(1, 3)
    assert table.constant("pi").node is not table.constant("oo").node


def test_what_depends_on_no_input_is_known(table: InternTable) -> None:
    assert (table.constant("pi") * 2).node.fixed
    assert not (table.input(0, ()) * 2).node.fixed
    assert not table.position(axis(0)).node.fixed
    assert not table.has_loops
    assert not table.size(Size("n")).node.fixed
    assert table.has_loops


def test_arguments_are_numbered_before_their_readers(table: InternTable) -> None:
    x = table.input(0, (0,))
    y = (x * x + 1).call("exp")
    assert [node.number for node in table.nodes] == list(range(len(table.nodes)))
    assert all(edge.node.number < node.number for node in table.nodes for edge in node.arguments)
    assert y.node is table.nodes[-1]


def test_a_node_knows_the_integers_that_its_indices_read(table: InternTable) -> None:
    outer, inner, x = table.input(0, (0,)), table.input(1, (7,)), table.input(2, (8,))
    nested = outer.at({0: Gather(inner)})
    read = x.at({8: Gather(nested)}) * 2
    assert {view.node for view in read.node.gathered} == {outer.node, inner.node}
    assert not (x * 2).node.gathered


def test_an_index_of_a_gather_and_more_is_a_gather_of_the_sum(table: InternTable) -> None:
    """x[2*i + 1] at i = y[j] reads x at the value of 2*y[j] + 1."""
    y = table.input(1, (3,))
    form = axis(0).scaled(2).plus(1)
    read = View(table.input(0, (0,)).node, (form,)).at({0: Gather(y)})
    (index,) = read.index
    assert isinstance(index, Gather)
    assert index.view == table.constant(1) + y * 2
    assert read.axes == (3,)


def test_fresh_axes_are_new(table: InternTable) -> None:
    names = [table.fresh() for _ in range(3)]
    assert len(set(names)) == 3
    assert min(names) > 1_000_000  # positions are far below
    assert plain_axis(axis(names[0])) == names[0]
