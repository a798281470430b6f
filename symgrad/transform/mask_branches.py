"""Masks: inside a branch that is not taken, a gate with a limited domain is given a safe argument instead of its own.

The value is the same, as that branch is not taken; but library functions are slow, and plain Python raises, outside of
a function's domain. The derivative passes through the mask and so stays exactly 0 where the branch is not taken.
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node, View, positional
from ..graph.rebuild import rebuilt, translated
from .activity import activity


def mask_branches(graph: Graph) -> Graph:
    """`graph` with `select(branch is taken, argument, safe point)` for the first argument of gates that have one."""
    order = graph.order()
    if not any(node.gate.name == "select" for node in order):
        return graph
    active = activity(order, set(order), [view.node for view in graph.views])
    views: dict[Node, View] = {}
    for node in order:
        views[node] = positional(node)
        if not node.arguments:
            continue
        where = active.get(node)
        if node.gate.safe is not None and where is not None and not node.arguments[0].node.fixed:
            arguments = translated(views, node.arguments)
            arguments[0] = where.where(arguments[0], node.gate.safe(arguments[0]))
            views[node] = graph.table.apply(node.gate, *arguments, attribute=node.attribute)
        else:
            views[node] = rebuilt(graph.table, node, views)
    return graph.rebuilt(views)
