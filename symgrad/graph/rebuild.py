"""What a pass puts in the place of nodes: edges and nodes read the views that replaced what they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .node import AnyIndex, Builder, Gather, Node, Reduction, View


def read_after(views: Mapping[Node, View], edge: View) -> View:
    """What an edge reads after a pass: `views` say what replaced each node, over the node's own axes."""
    found = views[edge.node]
    if edge.index is edge.node.own.index:
        return found
    at = tuple(index_after(views, index) for index in edge.index)
    return found.at(dict(enumerate(at)))


def index_after(views: Mapping[Node, View], index: AnyIndex) -> AnyIndex:
    return Gather(read_after(views, index.view)) if isinstance(index, Gather) else index


def translated(views: Mapping[Node, View], edges: Sequence[View]) -> list[View]:
    """The arguments of a node after a pass: each edge reads the view that replaced its node."""
    return [read_after(views, edge) for edge in edges]


def rebuilt(table: Builder, node: Node, views: Mapping[Node, View]) -> View:
    """The view that replaces `node` where `views` replace those that it reads; over the node's own axes."""
    if not node.arguments:
        return table.intern(node.gate, (), node.attribute, node.rank).own
    arguments = [
        views[source] if index is source.own.index else read_after(views, View(source, index))
        for source, index in node.arguments
    ]
    if node.attribute is None and node.loops == node.rank:  # most often
        return table.apply(node.gate, *arguments)
    if isinstance(node.attribute, Reduction):
        own = node.attribute
        out = tuple(index_after(views, index) for index in own.out)
        if own.is_plain:
            return table.reduce(node.gate, arguments[0], range(node.rank, node.loops), own.constraints)
        return table.reduce(node.gate, arguments[0], (), own.constraints, out, tuple(range(node.rank)))
    if node.loops != node.rank:
        inside = tuple(range(node.rank, node.loops))
        edges = tuple(arguments)
        return table.intern(node.gate, edges, node.attribute, node.rank, node.rank + len(inside)).own
    return table.apply(node.gate, *arguments, attribute=node.attribute)
