"""How many operations something is made of, once the laws have seen to signs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..graph.graph import operations, reachable
from ..graph.node import Node, View


def cost(views: Sequence[View]) -> int:
    """How many operations views are made of.

    That a term of a sum is negative costs nothing of its own, nor does a minus before a number times something: -(2*a)
    is the product with -2, bit for bit.
    """
    order = [node for node in reachable(view.node for view in views) if node.arguments and not node.fixed]
    readers = Counter(edge.node for node in order for edge in node.arguments)
    outputs = {view.node for view in views}
    read = outputs | {edge.node for node in order if node.gate.name != "add" for edge in node.arguments}

    def is_free(node: Node) -> bool:
        """Whether the minus is that of a term, or of a number that nothing else is multiplied by."""
        inside = node.arguments[0].node
        is_multiple = inside.gate.name == "mul" and any(factor.node.fixed for factor in inside.arguments)
        return node not in read or (is_multiple and readers[inside] == 1 and inside not in outputs)

    return operations(node for node in order if node.gate.name != "neg" or not is_free(node))
