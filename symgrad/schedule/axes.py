"""Which axes are one: those that edges identify."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.affine import Index
from ..graph.node import Node
from .items import Item, Key, is_leaf, is_matrix, own_axis


class AxisClasses:
    """Axes of items in classes: united where edges identify them, but never two axes of one item.

    A read along two axes of one item goes through an array that is kept. Inputs identify nothing.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._parent: dict[Key, Key] = {}
        self._owners: dict[Key, set[object]] = {}  # the items that have an axis in a class, by its root
        for item in items:
            if is_matrix(item):
                continue
            for edge in (*item.arguments, *item.gathered):
                if is_leaf(edge.node):
                    continue
                for place, index in enumerate(edge.index):
                    if not isinstance(index, Index) or len(index.axes) != 1 or index.coefficient(index.axes[0]) != 1:
                        continue
                    self.join(self.key(edge.node, place), (item, index.axes[0]))

    def join(self, one: Key, two: Key) -> None:
        """Two axes become one, if no item has both."""
        one, two = self.root(one), self.root(two)
        if one == two:
            return
        first, second = self._owners.get(one, {one[0]}), self._owners.get(two, {two[0]})
        if first.isdisjoint(second):
            self._parent[one] = two
            few, many = (first, second) if len(first) < len(second) else (second, first)
            many |= few
            self._owners[two] = many

    @staticmethod
    def key(node: Node, place: int) -> Key:
        """The loop axis that a result's axis is; of places that are computed a key of its own."""
        axis = own_axis(node, place)
        return (node, -1 - place) if axis is None else (node, axis)

    def root(self, key: Key) -> Key:
        """The key that stands for a class; the path to it is halved (Tarjan & van Leeuwen, J. ACM 31, 1984)."""
        parent = self._parent
        above = parent.setdefault(key, key)
        while above != key:
            parent[key] = parent[above]
            key, above = parent[key], parent[parent[key]]
        return key

    def unite(self, one: Key, two: Key) -> None:
        """Two axes become one."""
        self._parent[self.root(one)] = self.root(two)
