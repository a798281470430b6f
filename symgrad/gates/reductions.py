"""Reductions: what is added, multiplied or chosen along axes, and the integers that axes are.

A rule is like any other: the result and the argument, both over its loop axes, and one local gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..graph.affine import axis, substituted
from ..graph.node import View
from .table import GATES, gate, no_gradient


class Kind(NamedTuple):
    """A kind of reduction."""

    empty: int | str  # the constant that it is without terms
    of_two: str  # the gate that joins two terms
    stored: str  # what people call an array of its results


KINDS = {
    "sum": Kind(0, "add", "total"),
    "product": Kind(1, "mul", "product"),
    "largest": Kind("-oo", "max", "largest"),
    "smallest": Kind("oo", "min", "smallest"),
}

no_gradient("position", kind="integer", has={"finite", "rounding"})  # the value of an axis
no_gradient("size", kind="integer", has={"finite", "non_negative", "rounding"})  # the value of a symbolic extent


@gate("detached", None, lambda a: a, lambda a: a, expansion=lambda a: a, analytic=False, has={"passing"})
def detached(y: View, a: View) -> tuple[View, ...]:
    """The argument, with a derivative of 0: a shift that cancels in the value, such as that of a log-sum-exp."""
    return (y.node.table.constant(0),)


def _reduced(y: View, name: str, body: View) -> View:
    """Another reduction over the same loops as that which `y` is the result of."""
    return y.node.table.reduce(GATES[name], body, range(y.node.rank, y.node.loops), y.node.reduction.constraints)


@gate("sum", None, np.add, label="Σ", has={"finite"}, latex=r"\sum")
def sum(y: View, a: View) -> tuple[View, ...]:
    return (y.node.table.constant(1),)


@gate("product", None, np.multiply, label="Π", has={"finite"}, latex=r"\prod")
def product(y: View, a: View) -> tuple[View, ...]:
    # The product of the others. Where one factor is 0 it is that of the nonzero ones, where two are, 0.
    is_zero = a.equals(0)
    zeros = _reduced(y, "sum", is_zero.where(1, 0))
    others = _reduced(y, "product", is_zero.where(1, a))
    return (is_zero.where((zeros < 2).where(others, 0), (zeros < 1).where(y / is_zero.where(1, a), 0)),)


def product_of_others(y: View, a: View) -> View:
    """The local gradient of a product as the product of all other factors, each time anew.

    It costs as many operations as there are pairs of factors. What is differentiated once more has to be it: where two
    factors are 0 the derivative by both is the product of the others, of which `product` says nothing.
    """
    table, node = y.node.table, y.node
    loops = range(node.rank, node.loops)
    names = {loop: table.fresh() for loop in loops}
    moved = {loop: axis(name) for loop, name in names.items()}
    same = [table.position(axis(loop)).equals(table.position(axis(name))) for loop, name in names.items()]
    is_own = same[0].call("and", *same[1:]) if len(same) > 1 else same[0]
    limits = [substituted(form, moved) for form in node.reduction.constraints]
    return table.reduce(GATES["product"], is_own.where(1, a.at(moved)), names.values(), limits)


def _routed(y: View, a: View) -> tuple[View, ...]:
    # Ties share evenly. Without terms none hits, which a body that does not vary is not told.
    hit = a.equals(y)
    return (hit.where(1 / _reduced(y, "sum", hit.where(1, 0)).call("max", y.node.table.constant(1)), 0),)


gate("largest", None, np.maximum, label="max", has={"passing", "choosing"}, latex=r"\max")(_routed)
gate("smallest", None, np.minimum, label="min", has={"passing", "choosing"}, latex=r"\min")(_routed)
