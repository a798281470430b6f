"""Differentials of operations on whole matrices: what one entry of an argument changes, for families of entries.

    d inv(A) = -inv(A) dA inv(A)        d det(A) = det(A) trace(inv(A) dA)        d log det(A) = trace(inv(A) dA)
    A X = B:  dX = inv(A) dB - inv(A) dA X

(Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation, 2008, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..gates.table import GATES
from ..graph.affine import Axis, axis, own_axes
from ..graph.node import AnyIndex, Node, View, positional


def loops_of(node: Node, edge: View) -> dict[Axis, AnyIndex]:
    """Index expressions for the loops along which an argument is read; columns to solve for are the result's."""
    first = node.rank
    if node.gate.name == "solve" and edge is node.arguments[1]:
        columns = {first + 2 + place: axis(place) for place in range(1, node.rank)}
        return {first + 2: axis(node.table.fresh()), **columns}
    return {first: axis(node.table.fresh()), first + 1: axis(node.table.fresh())}


def differential(
    node: Node, edge: View, places: Mapping[Axis, AnyIndex], change: View
) -> tuple[tuple[AnyIndex, ...], View]:
    """What a `change` of an argument's entry at `places`, by loop, is for the result: at which row, and how much."""
    name, first = node.gate.name, node.rank
    own: tuple[AnyIndex, ...] = own_axes(node.rank)
    if name == "solve" and edge is node.arguments[1]:
        columns = tuple(places[first + 2 + place] for place in range(1, node.rank))
        return (axis(0), *columns), _inverse(node, axis(0), places[first + 2]) * change
    row, column = places[first], places[first + 1]
    if name == "inverse":
        return own, -(View(node, (axis(0), row)) * change * View(node, (column, axis(1))))
    if name == "solve":
        return own, -(_inverse(node, axis(0), row) * change * View(node, (column, *own[1:])))
    trace = change * _inverse(node, column, row)
    return own, trace if name == "log_determinant" else trace * positional(node)


def _inverse(node: Node, row: AnyIndex, column: AnyIndex) -> View:
    """An entry of the inverse of a node's first argument."""
    table, size = node.table, node.extents[0]
    one, two = table.fresh(), table.fresh()
    argument = node.arguments[0].at({node.rank: axis(one), node.rank + 1: axis(two)})
    return View(table.whole(GATES["inverse"], [argument], [(one, two)], 2, (size,) * 4), (row, column))
