"""Regions: what is elementwise between two boundaries is linearised once, by vertex elimination.

A boundary is what is no elementwise gate: an input, a reduction, an operation on whole matrices. Read at some indices
it is a slot of the regions that read it; their roots are the bodies of reductions, what matrix operations read, and the
outputs. So a reduction is an intermediate variable, whose derivative is not written out for each that reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..gates.linear_algebra import MATRIX_RULES
from ..graph.node import Node, Reduction, View
from .cost import cost
from .elimination import ORDERS, Edge, eliminated, linearised

# Slopes of a region, by the slots that it reads: each over the axes of the root.
Slopes = dict[View, Edge]

# Of regions with more slopes than this together one order is made, not all.
_MANY_SLOPES = 1000


def is_boundary(node: Node) -> bool:
    """Whether a node is no elementwise gate of others."""
    return not node.arguments or isinstance(node.attribute, Reduction) or node.gate.name in MATRIX_RULES


def slopes(roots: Sequence[View], varying: Collection[Node]) -> dict[View, Slopes]:
    """The derivatives of roots by the slots that they read and that vary, in the order with the fewest operations."""
    every = list(dict.fromkeys(root for root in roots if root.node in varying))
    linear = linearised(every, lambda view: is_boundary(view.node), lambda view: view.node in varying)
    found = [eliminated(linear, ORDERS[0])]
    if sum(map(len, found[0])) <= _MANY_SLOPES:
        found += [eliminated(linear, order) for order in ORDERS[1:]]
    least = min(found, key=lambda rows: cost([*every, *(edge.view for row in rows for edge in row.values())]))
    return dict(zip(every, least, strict=True))
