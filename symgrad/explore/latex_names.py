"""What inputs, outputs, extents, parts and loops are called in a formula: no two alike where that could be mistaken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from ..graph.graph import Graph, sizes_of
from ..graph.node import Node, positional
from .latex_pieces import CONSTANTS, SYMBOL, literal, symbol

_LISTED = 10  # names, beyond which some are left out
_LETTERS = "ijklmnpqrstuvw"  # of loops
_ENTRY = re.compile(r"([A-Za-z]+)\[(\d+(?:, \d+)*)\]")  # of an output that is an array of numbers


class Involved(Exception):
    """Arrays are read in a way that has no notation here."""


class Texts:
    """What inputs, extents, parts and loops are called: no two alike where that could be mistaken."""

    def __init__(self, graph: Graph) -> None:
        self._taken = {sign for node in graph.order() if (sign := _sign(node))}
        self._names: set[str] = set()
        self._arrays: set[str] = set()
        shapes = ((),) * len(graph.inputs) if graph.over_points else graph.shapes
        inputs = dict.fromkeys(range(len(shapes)), "")
        for position in sorted(inputs, key=lambda position: not shapes[position]):  # arrays first
            inputs[position] = self._new(graph.inputs[position], bool(shapes[position]))
        self.inputs = list(inputs.values())
        self.sizes = dict(zip(graph.inputs, self.inputs, strict=True))  # an extent may be an argument
        for name in sorted({size.name for size in sizes_of(graph)} - self.sizes.keys() - graph.derived.keys()):
            self.sizes[name] = self._new(name, False)
        scalars = {node: name for node, name in graph.names.items() if graph.over_points or not node.rank}
        self.parts = {node: self._new(name, False) for node, name in scalars.items()}
        self.outputs = self._outputs(graph)

    def _outputs(self, graph: Graph) -> list[str]:
        """The user's names, else a letter, with the number of the output where there are several."""
        ends = [""] if len(graph.values) == 1 else [f"_{{{k}}}" for k in range(1, len(graph.values) + 1)]
        arrays = [bool(output.shape) and not graph.over_points for output in graph.values]
        letters = (
            letter
            for letter in "fghFGH"
            if self._is_new(letter, False)
            and all(self._is_new(letter + end, is_array) for end, is_array in zip(ends, arrays, strict=True))
        )
        letter = next(letters, r"\mathrm{value}")
        found = []
        for output, end, is_array in zip(graph.values, ends, arrays, strict=True):
            node = output.view.node
            if not output.name:
                found.append(self._taking(letter + end, is_array))
            elif node in self.parts and graph.names[node] == output.name:
                found.append(self.parts[node])
            else:
                found.append(self._new(output.name, is_array))
        return found

    def _new(self, name: str, is_array: bool) -> str:
        # Two symbols of one name differ by more than a font.
        spellings = islice(_spellings(name), 2 if name in self._names else 0, None)
        self._names.add(name)
        return self._taking(next(text for text in spellings if self._is_new(text, is_array)), is_array)

    def _taking(self, text: str, is_array: bool) -> str:
        self._taken.add(text)
        if is_array:
            self._arrays.add(text)
        return text

    def _is_new(self, text: str, is_array: bool) -> bool:
        """Whether nothing else is called so, nor an entry of an array: x_{0} is x0, or the first of x."""
        entries = (other for other in self._taken if is_array and other.startswith(f"{text}_"))
        return text not in self._taken and text.split("_{")[0] not in self._arrays and not any(entries)

    def letter(self, wanted: str, scope: frozenset[str]) -> str:
        """A letter for a loop, the wanted one where it is free."""
        wishes = [symbol(wanted)] if SYMBOL.fullmatch(wanted) else []
        for letter in wishes + list(_LETTERS):
            if letter not in scope and letter not in ("e", r"\delta") and self._is_new(letter, False):
                return letter
        raise Involved

    def matrix(self, letter: str, otherwise: str) -> str:
        """What a matrix is called: the letter where that is free."""
        return self._taking(letter, True) if self._is_new(letter, True) else self._new(otherwise, True)

    def is_free(self, text: str) -> bool:
        """Whether a sign has its usual meaning."""
        return text not in self._taken


def _sign(node: Node) -> str:
    """The sign that a name must not look like: of a constant, of the gamma function."""
    if node.gate.name == "gamma":
        return node.gate.latex
    number = positional(node).number
    return CONSTANTS[number] if isinstance(number, str) and number in CONSTANTS and number != "E" else ""


def _spellings(name: str) -> Iterator[str]:
    entry = _ENTRY.fullmatch(name)
    yield rf"{symbol(entry[1])}_{{{entry[2]}}}" if entry else symbol(name)
    yield literal(name)
    number = 2
    while True:
        yield literal(f"{name} ({number})")
        number += 1


def listed(texts: Sequence[str]) -> str:
    """Names with commas between them, of many the first few and the last."""
    return ", ".join(texts if len(texts) <= _LISTED else [*texts[:3], r"\ldots", texts[-1]])
