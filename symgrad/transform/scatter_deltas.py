"""Sums with a Kronecker delta of a table of indices as scatters: each term goes where it belongs.

    sum over l of delta(f[l], b)*v[l] for every b     is     v[l], added up at f[l]

which is as much work as there are terms, where the sum is that many times as many as there are b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..analysis.domains import Domains
from ..analysis.extents import Bound
from ..gates.table import GATES
from ..graph.affine import Axis, Index, axis, substituted
from ..graph.graph import Graph
from ..graph.node import AnyIndex, Gather, Node, Reduction, View, plain_axis
from ..graph.rebuild import read_after, rebuilt
from ..graph.sums import product_of
from .differentiate import SHORT_AXIS


@dataclass(frozen=True)
class _Delta:
    """What a sum over loops is where its body is 0 but at one index of an axis of its result."""

    place: Axis
    index: View  # the integer that the index is, along the loops
    value: View


def scatter_deltas(graph: Graph) -> Graph:
    """`graph` with sums over deltas as scatters, along axes that are not short.

    An index that is none of the axis, as -1 is that stands for nothing, adds nothing, as before.
    """
    found = {node: delta for node in graph.order() if (delta := _delta_of(graph, node)) is not None}
    if not found:
        return graph
    domains = Domains(graph)
    views: dict[Node, View] = {}
    for node in graph.order():
        own = domains.own[node].bounds if node in found else ()
        bounds = [bound for bound in own if bound is not None]
        if node not in found or len(bounds) < len(own) or _is_short(bounds[found[node].place]):
            views[node] = rebuilt(graph.table, node, views)
        else:
            views[node] = _scattered(node, found[node], bounds, views)
    return graph.rebuilt(views)


def _is_short(bound: Bound) -> bool:
    length = bound[1].minus(bound[0])
    return not length.terms and length.offset < SHORT_AXIS


def _delta_of(graph: Graph, node: Node) -> _Delta | None:
    """The delta that is a factor of all terms of a sum; None where there is none."""
    own = node.attribute
    if node.gate.name != "sum" or not isinstance(own, Reduction) or not own.is_plain or node.loops == node.rank:
        return None
    factors, stack = list[View](), [node.arguments[0]]
    found: tuple[Axis, View] | None = None
    while stack:
        view = stack.pop()
        name = view.node.gate.name
        chosen = _chosen(graph, node, view) if name == "select" and found is None else None
        if chosen is not None:
            found = chosen
            stack.append(view.arguments[1])
        elif name == "neg":
            factors.append(node.table.constant(-1))
            stack += view.arguments
        elif name == "mul":
            stack += reversed(view.arguments)
        else:
            factors.append(view)
    if found is None or any(found[0] in form.axes for form in own.constraints):
        return None
    value = [factor for factor in factors if factor.number != 1]
    return _Delta(*found, product_of(node.arguments[0], value))


def _chosen(graph: Graph, node: Node, view: View) -> tuple[Axis, View] | None:
    """The axis of the result that has to be the index that a table has, where a choice is 0 at all others."""
    condition, _, otherwise = view.arguments
    if otherwise.number != 0 or condition.node.gate.name != "eq":
        return None
    for table, place in (condition.arguments, condition.arguments[::-1]):
        is_table = table.node.gate.name == "input" and table.node.position in graph.integers
        own = plain_axis(place.index[0]) if place.node.gate.name == "position" else None
        if is_table and own is not None and own < node.rank and own not in table.axes:
            return own, table
    return None


def _scattered(node: Node, delta: _Delta, bounds: Sequence[Bound], views: Mapping[Node, View]) -> View:
    table = node.table
    names: dict[Axis, AnyIndex] = {loop: axis(table.fresh()) for loop in range(node.loops)}
    low, high = (table.number_of(end) for end in bounds[delta.place])
    index = read_after(views, delta.index).at(names)
    inside = index.call("max", low).call("min", high)
    names[delta.place] = Gather(inside)
    value = inside.equals(index).where(read_after(views, delta.value).at(names), 0)
    affine = {loop: name for loop, name in names.items() if isinstance(name, Index)}
    limits = [substituted(form, affine) for form in node.reduction.constraints]
    for loop, (first, last) in enumerate(bounds):
        if loop != delta.place:
            limits += [affine[loop].minus(first), last.minus(affine[loop])]
    out = tuple(names[loop] for loop in range(node.rank))
    return table.reduce(GATES["sum"], value, (), limits, out, tuple(range(node.rank)))
