"""Axes that are one: united along plain reads, and never two of one item."""

from __future__ import annotations

from symgrad.gates.table import GATES
from symgrad.graph.affine import Index, Size, axis
from symgrad.graph.intern import InternTable
from symgrad.graph.node import Node, View
from symgrad.schedule.axes import AxisClasses

N = Index(((Size("n"), 1),))


class Nodes:
    """exp(x[i]) and what reads it."""

    def __init__(self) -> None:
        self.table = InternTable(dict(GATES))
        self.exp = self.table.input(0, (0,)).call("exp").node

    def read(self, *index: Index) -> View:
        return View(self.exp, index)

    def classes(self, *items: Node) -> AxisClasses:
        return AxisClasses([self.exp, *items])


def test_axis_that_is_read_plainly_is_the_readers() -> None:
    nodes = Nodes()
    sine = nodes.read(axis(0)).call("sin").node
    classes = nodes.classes(sine)
    assert classes.root((nodes.exp, 0)) == classes.root((sine, 0))


def test_shifted_axis_is_the_same_and_scaled_or_opposite_ones_are_not() -> None:
    nodes = Nodes()
    for index, is_one in ((axis(0).plus(2), True), (axis(0).scaled(2), False), (N.minus(axis(0)), False)):
        limits = [axis(0), N.minus(axis(0))]
        reader = nodes.table.reduce(GATES["sum"], nodes.read(index), [0], limits).node
        classes = nodes.classes(reader)
        assert (classes.root((nodes.exp, 0)) == classes.root((reader, 0))) == is_one, index


def test_two_axes_of_one_item_stay_two() -> None:
    """exp(x[i]) + exp(x[j]) reads one axis along two: one of them goes through an array."""
    nodes = Nodes()
    both = (nodes.read(axis(0)) * nodes.read(axis(1))).node
    assert both.rank == 2
    classes = nodes.classes(both)
    assert classes.root((both, 0)) != classes.root((both, 1))
    assert classes.root((nodes.exp, 0)) in (classes.root((both, 0)), classes.root((both, 1)))


def test_two_axes_stay_two_by_way_of_others() -> None:
    nodes = Nodes()
    sine, cosine = (nodes.read(axis(0)).call(name).node for name in ("sin", "cos"))
    outer = (View(sine, (axis(0),)) * View(cosine, (axis(1),))).node
    classes = nodes.classes(sine, cosine, outer)
    assert classes.root((outer, 0)) != classes.root((outer, 1))


def test_inputs_identify_nothing() -> None:
    nodes = Nodes()
    x = nodes.table.input(0, (0,))
    sine, cosine = x.call("sin").node, x.call("cos").node
    classes = nodes.classes(sine, cosine)
    assert classes.root((sine, 0)) != classes.root((cosine, 0))


def test_united_axes_are_one_with_all_that_each_was() -> None:
    nodes = Nodes()
    sine = nodes.read(axis(0)).call("sin").node
    cosine = nodes.table.input(0, (0,)).call("cos").node
    classes = nodes.classes(sine, cosine)
    classes.unite((sine, 0), (cosine, 0))
    assert len({classes.root((node, 0)) for node in (nodes.exp, sine, cosine)}) == 1
