"""What a nest says of itself: whether it belongs to the values or to the gradients, and what it makes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from ..graph.formula import stored_formula
from ..graph.node import Node, Reduction
from .items import Item, Sink
from .layout import Layout, Rolled

_COMMENT, _TERM = 110, 72  # characters of a comment, and of one formula in it


class Comments:
    """The comments of one program."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def of(self, items: list[Item], names: Mapping[Rolled, str] | None = None) -> str:
        """Whether it belongs to the value or to the gradients, and what it makes, in the user's terms where short."""
        found: dict[str, None] = {}
        for item in items:
            if item in self.layout.locations:
                array = self.layout.locations[item].array
                formula = self._formula(item, names or {}) if isinstance(item, Node) else ""
                found[f"{array}{formula}" if self._is_forward(item) else array] = None
        parts = {self._is_forward(item) for item in items}
        part = "forward and backward" if len(parts) > 1 else "forward" if True in parts else "backward"
        return textwrap.shorten(f"{part}: {', '.join(found)}", _COMMENT, placeholder=" ...")

    def _is_forward(self, item: Item) -> bool:
        """Whether it belongs to the values."""
        is_value = isinstance(item, Sink) and item.output is not None and not item.output.by
        return is_value or item in self.layout.forward

    def _formula(self, node: Node, names: Mapping[Rolled, str]) -> str:
        """What a stored value is at its indices: [i] = sum over j of w[j] * X[i, j]; empty where that is long."""
        if isinstance(node.attribute, Reduction) and not node.attribute.is_plain:
            return ""  # its terms arrive at computed places
        letters = self.letters(node, names)
        text = stored_formula(node, letters, self.layout.worded, self.layout.stored, self.layout.size_names, _TERM)
        indices = ", ".join(letters[own] for own in self.layout.locations[node].order)
        return f"{f'[{indices}]' if indices else ''} = {text}" if text else ""

    def letters(self, node: Node, names: Mapping[Rolled, str]) -> list[str]:
        """The names of the loop axes of a node: of the loops around it, else as the user calls them."""
        rolled, data = self.layout.rolled(node), self.layout.plan.data_axis(node)
        found: dict[int, str] = {own: names[loop] for own, loop in rolled.items() if loop in names}
        if data is not None:
            found[data] = self.layout.data_name
        for own in (own for own in range(node.loops) if own not in found):
            found[own] = self.layout.loop_name(self.layout.plan.class_of(node, own), found.values())
        return [found[own] for own in range(node.loops)]
