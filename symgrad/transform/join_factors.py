"""Rational factors become one number each, rounded once: 3*a/10 is 0.3*a."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence

from ..graph.graph import Graph
from ..graph.node import Node, View
from ..graph.rebuild import rebuilt, translated
from ..graph.sums import product_of
from .laws.cheaper import constant_factors, split
from .laws.law import constant, quotient_of


def join_factors(
    graph: Graph, fragile_nodes: Callable[[Sequence[Node]], Container[Node]], fired: Counter[str]
) -> Graph:
    """p*a/q becomes c*a with c = p/q rounded: a division less, and as many roundings.

    a/q alone is left a division, which rounds once. And p*a/q stays where a step or an edge is reached by it: it is a
    whole number where p*a is one that q divides, which c*a may miss.
    """
    order = graph.order()
    quotients = [node for node in order if node.gate.name == "div" and not node.fixed and _has_two_factors(node)]
    if not quotients:
        return graph
    fragile = fragile_nodes(order)
    joined = {node for node in quotients if node not in fragile}
    if not joined:
        return graph
    fired["join_factors"] += len(joined)
    views: dict[Node, View] = {}
    for node in order:
        if node in joined:
            views[node] = _joined(node.own, *translated(views, node.arguments))
        elif all(views[source] is source.own for source in node.sources):
            views[node] = node.own
        else:
            views[node] = rebuilt(graph.table, node, views)
    return graph.rebuilt(views)


def _has_two_factors(node: Node) -> bool:
    """Whether a quotient has a rational factor above, which costs a multiplication, and one below."""
    if not all(constant_factors(edge) for edge in node.arguments):
        return False
    (top, _, rest), (bottom, _, _) = (split(edge) for edge in node.arguments)
    is_rational = not (top.above or top.below or bottom.above or bottom.below)
    return is_rational and bool(rest) and 1 not in (abs(top.rational), bottom.rational)


def _joined(like: View, above: View, below: View) -> View:
    (top, _, over), (bottom, _, under) = split(above), split(below)
    factor = top.rational / bottom.rational
    rest = quotient_of(like, [product_of(like, over)], under)
    return -(constant(like, -factor) * rest) if factor < 0 else constant(like, factor) * rest
