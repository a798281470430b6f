"""What is scheduled: nodes, and arrays that are written in whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeGuard

from ..analysis.extents import Domain
from ..gates.linear_algebra import MATRIX_RULES
from ..graph.graph import Output
from ..graph.node import Gather, Node, Reduction, View, plain_axis

_INDICES = {"constant", "size", "position"}
LEAVES = {"input", *_INDICES}


@dataclass(eq=False)
class Sink:
    """An array that is written in whole: a view over axes 0 .. rank - 1."""

    view: View
    domain: Domain
    purpose: Literal["output", "argument", "kept"]  # an argument of a matrix operation; kept for another pass
    output: Output | None = None  # that it is
    attribute: None = None

    @property
    def rank(self) -> int:
        return len(self.domain.bounds)

    loops = rank

    @property
    def arguments(self) -> tuple[View, ...]:
        return (self.view,)

    @property
    def gathered(self) -> tuple[View, ...]:
        return tuple(index.view for index in self.view.index if isinstance(index, Gather))


Item = Node | Sink

Key = tuple[Item, int]  # an axis of an item


def edges_of(item: Item) -> Iterator[View]:
    """What an item reads, gathered indices included, over its own loop axes."""
    stack = [*item.arguments, *item.gathered]
    while stack:
        edge = stack.pop()
        yield edge
        stack += [index.view for index in edge.index if isinstance(index, Gather)]


def is_leaf(node: Node) -> bool:
    """Whether a node is known, or computed, wherever it is read."""
    return node.gate.name in LEAVES or node.fixed or _compares_indices(node)


def _compares_indices(node: Node) -> bool:
    """Whether it is a condition of indices and extents alone. The nearest ones first: where it is not, that ends it."""
    if node.kind != "boolean":
        return False
    seen, queue = {node}, deque([node])
    while queue:
        for source, _ in queue.popleft().arguments:
            if source.kind == "boolean":
                if source not in seen:
                    seen.add(source)
                    queue.append(source)
            elif source.gate.name not in _INDICES:
                return False
    return True


def is_reduction(item: Item) -> TypeGuard[Node]:
    return isinstance(item, Node) and isinstance(item.attribute, Reduction) and not item.is_guard


def is_matrix(item: Item) -> TypeGuard[Node]:
    return isinstance(item, Node) and item.gate.name in MATRIX_RULES


def own_axis(item: Item, place: int) -> int | None:
    """The loop axis that a result axis is, or None where terms arrive at computed places."""
    if isinstance(item.attribute, Reduction):
        return plain_axis(item.attribute.out[place])
    return place
