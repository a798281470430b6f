"""Packing: from an array for each result to arrays that hold several, one point or instance after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from symgrad_codegen.run.host import RunPoints

from .results import NOTHING, Target

# Numbers of a part of the points, so few that they stay in the cache until they are packed; and points of a part, a
# multiple of every block of them.
_NUMBERS, _POINTS = 1 << 15, 256


def over_points(run_points: RunPoints, targets: Sequence[Target], count: int) -> RunPoints:
    """Fills the arrays of targets, the points along their first axis, by a function that fills `count` arrays."""
    if are_apart(targets, count):
        return run_points
    packed = [_Packed(target) for target in targets]
    size = max(1, _NUMBERS // (count + sum(len(target.cells) for target in targets)) // _POINTS) * _POINTS

    def run(inputs: Sequence[Any], arrays: Sequence[Any]) -> None:
        points = len(arrays[0])
        rows = np.empty((count, min(size, points)), arrays[0].dtype)
        for start in range(0, points, size):
            stop = min(start + size, points)
            part = [row[: stop - start] for row in rows]
            run_points([array[start:stop] for array in inputs], part)
            for own, array in zip(packed, arrays, strict=True):
                own.fill(rows[:, : stop - start], array[start:stop])

    return run


def are_apart(targets: Sequence[Target], count: int) -> bool:
    """Whether each of `count` results is an array of its own, in their order."""
    places = [target.cells[0] if target.is_plain else None for target in targets]
    return places == list(range(count))


class _Packed:
    """How the cells of one target are filled from rows of results."""

    def __init__(self, target: Target) -> None:
        cells = target.cells
        self._cells, self._is_alone = cells, not target.lead
        is_run = NOTHING not in cells and list(cells) == list(range(cells[0], cells[0] + len(cells))) if cells else True
        self._run = slice(cells[0], cells[0] + len(cells)) if cells and is_run else None

    def fill(self, rows: Any, array: Any) -> None:
        """`rows[result, point]` to `array[point, ...]`."""
        if self._is_alone:
            array[...] = rows[self._cells[0]] if self._cells[0] != NOTHING else 0
            return
        flat = array.reshape(len(array), len(self._cells))
        if self._run is not None:
            flat[...] = rows[self._run].T
            return
        for place, cell in enumerate(self._cells):
            flat[:, place] = rows[cell] if cell != NOTHING else 0


class Cells:
    """The cells of the targets of one instance over arrays: where each result is written, and what is copied behind it.

    A target that is one result is an array of that; another one an array with its cells along the first axis.
    """

    def __init__(self, targets: Sequence[Target], ranks: Sequence[int]) -> None:
        """`ranks` are those of the inputs."""
        self.places: dict[int, tuple[int, int | None]] = {}  # of each result: target, and which cell of it
        self._copies: list[tuple[int, int, int, int]] = []
        self._zeros: list[tuple[int, int]] = []
        self._mirrors: list[tuple[int, int, tuple[int, ...]]] = []  # with the order of the axes
        for number, target in enumerate(targets):
            if target.is_plain:
                self.places[target.cells[0]] = number, None
            elif target.is_data:
                self.places.update((cell, (number, place)) for place, cell in enumerate(target.cells))
            elif target.mirrors is not None and targets[target.mirrors].is_plain:
                last, first = (ranks[place] for place in target.by)
                axes = (*range(first, first + last), *range(first))
                self._mirrors.append((number, target.mirrors, axes or (0,)))
            else:
                self._cells(number, target)

    def _cells(self, number: int, target: Target) -> None:
        for place, cell in enumerate(target.cells):
            if cell == NOTHING or target.mirrors is not None:
                self._zeros.append((number, place))
            elif cell in self.places:
                source, of = self.places[cell]
                assert of is not None, "a result that is an array of its own is in no other"
                self._copies.append((number, place, source, of))
            else:
                self.places[cell] = number, place

    def finish(self, blocks: Sequence[Any]) -> None:
        """What is 0, what is there twice, and mirror images."""
        for number, place in self._zeros:
            blocks[number][place] = 0
        for number, place, source, of in self._copies:
            blocks[number][place] = blocks[source][of]
        for number, source, axes in self._mirrors:
            blocks[number][0] = blocks[source].transpose(axes)
