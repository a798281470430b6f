"""Gathered reads: what is computed for all c anyway is read at c = y[i], and not computed once more for y[i].

A score at [i, y[i]] is lowered as a contraction of its own, sum over k of X[i, k]*W[k, y[i]]. Where the scores at
[i, c] exist as well it becomes a read of them.
"""

from __future__ import annotations

from ..graph.affine import axis
from ..graph.graph import Graph
from ..graph.node import AnyIndex, Gather, Node, Reduction, View, positional
from ..graph.rebuild import rebuilt


def share_gathers(graph: Graph) -> Graph:
    """`graph` with gathered reductions as reads of those that exist without the gather."""
    order = graph.order()
    if not any(isinstance(index, Gather) for node in order for edge in node.arguments for index in edge.index):
        return graph
    table, existing = graph.table, set(order)
    views: dict[Node, View] = {}
    # The same node with one gathered index left open, and what is gathered there.
    opened: dict[Node, tuple[View, int, Gather]] = {}
    shared: set[Node] = set()
    for node in order:
        views[node] = rebuilt(table, node, views) if node.arguments else positional(node)
        found = _opened(node, opened)
        if found is None:
            continue
        view, name, gather = found
        opened[node] = found
        # What is made of gathered inputs only is as well made where it is read; and what is in a sum waits for the sum.
        is_worth_it = isinstance(node.attribute, Reduction) or any(edge.node in shared for edge in node.arguments)
        if is_worth_it and view.node in existing:
            views[node] = view.at({name: gather})
            shared.add(node)
    return graph.rebuilt(views)


def _opened(node: Node, opened: dict[Node, tuple[View, int, Gather]]) -> tuple[View, int, Gather] | None:
    """The node with its one gathered index replaced by a new axis; None where there is not exactly one."""
    table = node.table
    name = table.fresh()
    found: Gather | None = None
    edges = []
    for edge in node.arguments:
        if edge.node in opened:
            view, inner, gather = opened[edge.node]
            own = dict(enumerate(edge.index))
            if any(isinstance(index, Gather) for index in edge.index):
                return None
            here = View(gather.view.node, gather.view.at(own).index)
            edge, gathers = view.at({**own, inner: axis(name)}), [Gather(here)]
        else:
            gathers = [index for index in edge.index if isinstance(index, Gather)]
            edge = View(edge.node, tuple(_open(index, name) for index in edge.index))
        for gather in gathers:
            if found is not None and found != gather:
                return None
            found = gather
        edges.append(edge)
    if found is None or not (node.loops == node.rank or isinstance(node.attribute, Reduction)):
        return None
    if isinstance(node.attribute, Reduction):
        if not node.attribute.is_plain or set(found.axes) & set(range(node.rank, node.loops)):
            return None
        reduced = range(node.rank, node.loops)
        return table.reduce(node.gate, edges[0], reduced, node.attribute.constraints), name, found
    return table.apply(node.gate, *edges, attribute=node.attribute), name, found


def _open(index: AnyIndex, name: int) -> AnyIndex:
    return axis(name) if isinstance(index, Gather) else index
