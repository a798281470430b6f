"""Packing: from an array for each result to arrays that hold several, one point or instance after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from symgrad_codegen.run import device
from symgrad_codegen.run.host import RunPoints

from .batch import as_items
from .results import NOTHING, Target

# Numbers of a part of the points, so few that they stay in the cache until they are packed; and points of a part, a
# multiple of every block of them.
_NUMBERS, _POINTS = 1 << 15, 256
# On a device the numbers are as many as its memory does not notice, and enough to keep it busy.
_DEVICE_NUMBERS = 1 << 24


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


def over_points_on_device(module: Any, targets: Sequence[Target], count: int) -> Callable[..., None]:
    """The same for the module of a GPU: fills the arrays of targets, which are on the device, on a stream."""
    if are_apart(targets, count):
        run_points: Callable[..., None] = module.run_points
        return run_points
    size = max(1, _DEVICE_NUMBERS // count // _POINTS) * _POINTS

    @cache
    def cells() -> list[Any]:
        """The cells of each target, copied to the device once."""
        return [device.to_device(np.array(target.cells, np.int64), 0) for target in targets]

    def run(inputs: Sequence[Any], arrays: Sequence[Any], stream: Any = 0) -> None:
        points = len(arrays[0])
        rows = module.room(stream, "rows", (count, min(size, points)))
        for start in range(0, points, size):
            stop = min(start + size, points)
            module.run_points(
                [array if len(array) == 1 else array[start:stop] for array in inputs],
                [rows[row, : stop - start] for row in range(count)],
                stream,
            )
            for own, array in zip(cells(), arrays, strict=True):
                module.pack(rows, own, array[start:stop].ravel(), stream)

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


Clear: TypeAlias = Callable[[Any], None]  # sets an array to 0
Copy: TypeAlias = Callable[..., None]  # an array into another, its axes in their order or in a given one


def _clear(array: Any) -> None:
    array[...] = 0


def _copy(source: Any, target: Any, axes: Sequence[int] | None = None) -> None:
    target[...] = source.transpose(axes)


def block_of(array: Any, target: Target, shape: tuple[int, ...]) -> Any:
    """The array of a target of one instance: if it holds several results, with these along the first axis.

    `shape` is that of one cell.
    """
    return array if target.is_plain else array.reshape(len(target.cells), *(shape or (1,)))


def blocks_of(arrays: Sequence[Any], targets: Sequence[Target], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """The same of all targets."""
    return [block_of(*own) for own in zip(arrays, targets, shapes, strict=True)]


def items_of(
    arrays: Sequence[Any], targets: Sequence[Target], shapes: Sequence[tuple[int, ...]], batch: tuple[int, ...]
) -> list[Any]:
    """The same of a batch, one instance after the other along an axis in front."""
    return [
        as_items(array, batch, own if target.is_plain else (len(target.cells), *(own or (1,))))
        for array, target, own in zip(arrays, targets, shapes, strict=True)
    ]


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

    def finish(self, blocks: Sequence[Any], clear: Clear = _clear, copy: Copy = _copy) -> None:
        """What is 0, what is there twice, and mirror images; by functions of the device where the arrays are there."""
        for number, place in self._zeros:
            clear(blocks[number][place])
        for number, place, source, of in self._copies:
            copy(blocks[source][of], blocks[number][place])
        for number, source, axes in self._mirrors:
            copy(blocks[source], blocks[number][0], axes)
