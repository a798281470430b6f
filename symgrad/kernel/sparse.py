"""Sparse results: where the entries of each family go in the data of one matrix, found once per extents and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..analysis.extents import numeric, with_derived
from ..evaluate.evaluation import Evaluator
from ..graph.affine import Index
from ..graph.graph import Pattern, reachable
from ..options import TRIPLETS, Options
from ..stats import Stats
from .batch import check_memory
from .sparsity import Span, SparsityPattern

_ROOM = 3  # integers, for each that is told of an entry


class Part(NamedTuple):
    """Some places in the data of a matrix, as those of an array with strides: its first one, and its strides."""

    start: int
    strides: tuple[int, ...]

    def of(self, data: Any, box: tuple[int, ...]) -> Any:
        """The array. `as_strided` is this with checks, and takes ten times as long."""
        strides = [step * data.itemsize for step in self.strides or (1,)]
        return np.ndarray(box or (1,), data.dtype, data, self.start * data.itemsize, strides)


class Family(NamedTuple):
    """How what a kernel computes of one family becomes entries of the matrix."""

    box: tuple[int, ...]  # the lengths of its loops
    parts: tuple[Part, ...] = ()  # of the data, to which it goes as it is; the second one is its mirror image
    is_there: bool = False  # whether it is computed in the first of these at once: that has no gaps
    sources: Any = None  # without parts: which of its entries, in C order,
    places: Any = None  # go to which place in the data
    is_added: bool = False  # whether another entry goes to one of these as well


class Placed(NamedTuple):
    """A pattern, and how the families that a kernel computes become its entries."""

    matrix: SparsityPattern
    families: tuple[Family, ...]
    cleared: Any  # places in the data to which entries are added

    def arrays(self, data: Any) -> list[Any]:
        """An array without gaps for each family, of those that have none in the data just these."""
        return [
            own.parts[0].of(data, own.box) if own.is_there else np.empty(own.box or 1, data.dtype)
            for own in self.families
        ]

    def finish(self, arrays: Sequence[Any], data: Any) -> None:
        """Puts the rest where it belongs. Entries of one place are added in the order of families."""
        if len(self.cleared):
            data[self.cleared] = 0
        for own, array in zip(self.families, arrays, strict=True):
            for part in own.parts[own.is_there :]:
                part.of(data, own.box)[...] = array
            if own.is_added:
                np.add.at(data, own.places, array.ravel()[own.sources])
            elif not own.parts:
                data[own.places] = array.ravel()[own.sources]


class Patterns:
    """The patterns of a kernel by extents and tables of indices: the last one is remembered."""

    def __init__(
        self, pattern: Pattern, options: Options, names: tuple[list[str], list[str]], stats: Stats | None = None
    ) -> None:
        """`names` are those of the blocks of rows and of columns; `stats` keep how long the last pattern took."""
        self._stats = stats
        self._pattern, self._names = pattern, names
        self._format, self._is_lower = options.sparse or "csr", options.symmetric == "lower"
        self._evaluator = Evaluator(pattern.graph)
        nodes = reachable(view.node for view in pattern.graph.views)
        self._tables = sorted(node.position for node in nodes if node.gate.name == "input")
        self._last: tuple[Mapping[str, int], list[Any], Placed] | None = None

    def at(self, inputs: Sequence[Any], sizes: Mapping[str, int]) -> Placed:
        """The pattern for some inputs, of which the integers matter alone."""
        tables = [np.asarray(inputs[place]) for place in self._tables]
        if self._last is not None:
            known, others, placed = self._last
            if known == sizes and all(map(np.array_equal, tables, others)):
                return placed
        with nullcontext() if self._stats is None else self._stats.timed("pattern"):
            placed = self._found(inputs, sizes)
        self._last = dict(sizes), [table.copy() for table in tables], placed
        return placed

    def _found(self, inputs: Sequence[Any], sizes: Mapping[str, int]) -> Placed:
        rows, columns = _Blocks(self._pattern.rows, sizes), _Blocks(self._pattern.columns, sizes)
        listed = list(self._listed(inputs, sizes, rows, columns))
        spans = rows.spans(self._names[0]), columns.spans(self._names[1])
        return _placed((rows.end, columns.end), listed, self._format, spans)

    def _listed(
        self, inputs: Sequence[Any], sizes: Mapping[str, int], rows: _Blocks, columns: _Blocks
    ) -> Iterator[_Listed]:
        graph = self._pattern.graph
        if not self._pattern.families:
            return
        known = with_derived(sizes, graph.derived)
        boxes = [tuple(max(0, numeric(own, known)) for own in output.shape) for output in graph.outputs]
        # What is told of each entry, and about as many integers again to find its place.
        check_memory(["the pattern"], [(_ROOM * sum(map(prod, boxes)),)], 8)
        numbers = self._evaluator.floats(inputs, sizes)
        for own, row, column, is_there in self._pattern.by_family(numbers):
            box, sources = np.shape(is_there), np.flatnonzero(is_there)
            one, two = rows.flat(own.row, row, sources), columns.flat(own.column, column, sources)
            yield _Listed(box, *self._wanted(sources, one, two, own.is_mirrored))

    def _wanted(self, sources: Any, rows: Any, columns: Any, is_mirrored: bool) -> tuple[Any, Any, Any]:
        """The entries that are stored: with mirror images, or of these the one in the lower triangle."""
        if is_mirrored and not self._is_lower:
            order = np.concatenate([sources, sources])
            return order, np.concatenate([rows, columns]), np.concatenate([columns, rows])
        if is_mirrored:
            twice = np.flatnonzero(rows == columns)  # both images are there
            below = np.maximum(rows, columns), np.minimum(rows, columns)
            one, two = (np.concatenate([own, own[twice]]) for own in below)
            return np.concatenate([sources, sources[twice]]), one, two
        if self._is_lower:
            kept = np.flatnonzero(rows >= columns)
            return sources[kept], rows[kept], columns[kept]
        return sources, rows, columns


def matrix_of_numbers(
    grid: Sequence[Sequence[int]], storage: str, is_lower: bool, names: tuple[list[str], list[str]]
) -> tuple[SparsityPattern, tuple[int, ...]]:
    """The pattern of a matrix of numbers, and what is stored in its order: what is negative in `grid` is 0.

    `names` are those of rows and columns.
    """
    there = [
        (row, column)
        for row, cells in enumerate(grid)
        for column, cell in enumerate(cells)
        if cell >= 0 and not (is_lower and column > row)
    ]
    there.sort(key=(lambda at: at[::-1]) if storage == "csc" else None)
    rows, columns = np.array(there, np.int32).reshape(-1, 2).T
    shape = len(names[0]), len(names[1])
    spans = [tuple(Span(name, place, place + 1) for place, name in enumerate(own)) for own in names]
    matrix = SparsityPattern(
        shape, rows.copy(), columns.copy(), storage, _pointers(shape, rows, columns, storage), *spans
    )
    return matrix, tuple(grid[row][column] for row, column in there)


class _Listed(NamedTuple):
    """The entries of one family: at which of its loops' indices, in C order, and in which row and column."""

    box: tuple[int, ...]
    sources: Any
    rows: Any
    columns: Any


class _Blocks:
    """Rows or columns, in blocks: arrays one after the other."""

    def __init__(self, shapes: Sequence[tuple[Index, ...]], sizes: Mapping[str, int]) -> None:
        self.shapes = [tuple(numeric(own, sizes) for own in shape) for shape in shapes]
        self._starts = [0]
        for shape in self.shapes:
            self._starts.append(self._starts[-1] + prod(shape))
        self.end = self._starts[-1]

    def spans(self, names: Sequence[str]) -> list[Span]:
        """The blocks by name."""
        ends = pairwise(self._starts)
        return [Span(name, *own, shape) for name, own, shape in zip(names, ends, self.shapes, strict=True)]

    def flat(self, block: int, indices: Sequence[Any], sources: Any) -> Any:
        """Which row or column each entry is in, by its indices in a block."""
        found = np.zeros(len(sources), np.int64)
        for length, index in zip(self.shapes[block], indices, strict=True):
            found = found * length + index.ravel()[sources].astype(np.int64)
        return found + self._starts[block]


def _pointers(shape: tuple[int, int], rows: Any, columns: Any, storage: str) -> Any:
    """Where the entries of each row begin, or of each column; None where a format has no such thing."""
    if storage not in ("csr", "csc"):
        return None
    major = columns if storage == "csc" else rows
    return np.searchsorted(major, np.arange(shape[storage == "csc"] + 1)).astype(rows.dtype)


def _placed(
    shape: tuple[int, int], listed: Sequence[_Listed], storage: str, spans: tuple[Sequence[Span], Sequence[Span]]
) -> Placed:
    """The pattern of all entries, and where each goes."""
    none = np.empty(0, np.int64)
    rows = np.concatenate([none, *(own.rows for own in listed)])
    columns = np.concatenate([none, *(own.columns for own in listed)])
    major, minor = (columns, rows) if storage == "csc" else (rows, columns)
    order = np.arange(len(rows)) if storage == TRIPLETS else np.lexsort((minor, major))
    is_new = np.ones(len(order), bool)
    if storage != TRIPLETS:
        is_new[1:] = (np.diff(major[order]) != 0) | (np.diff(minor[order]) != 0)
    places = np.empty(len(order), np.int64)
    places[order] = np.cumsum(is_new) - 1
    first = order[is_new]
    kind = np.int32 if max(*shape, len(first)) < 2**31 else np.int64
    own_rows, own_columns = rows[first].astype(kind), columns[first].astype(kind)
    pointers = _pointers(shape, own_rows, own_columns, storage)
    matrix = SparsityPattern(shape, own_rows, own_columns, storage, pointers, *map(tuple, spans))
    counts = np.bincount(places, minlength=len(first))
    families, cleared, start = [], [none], 0
    for own in listed:
        part = places[start : start + len(own.sources)]
        start += len(own.sources)
        is_added = bool((counts[part] > 1).any())
        parts = () if is_added else _as_parts(own, part)
        if parts:
            families.append(Family(own.box, parts, parts[0].strides == _strides(own.box)))
        else:
            families.append(Family(own.box, (), False, own.sources, part, is_added))
        if is_added:
            cleared.append(part)
    return Placed(matrix, tuple(families), np.unique(np.concatenate(cleared)))


def _as_parts(own: _Listed, places: Any) -> tuple[Part, ...]:
    """The parts of the data that a family goes to as it is, and as its mirror image; none where these are no arrays."""
    length = prod(own.box)
    if not length or len(places) not in (length, 2 * length):
        return ()
    found = []
    for start in range(0, len(places), length):
        is_whole = np.array_equal(own.sources[start : start + length], np.arange(length))
        part = _as_part(own.box, places[start : start + length]) if is_whole else None
        if part is None:
            return ()
        found.append(part)
    return tuple(found)


def _as_part(box: tuple[int, ...], places: Any) -> Part | None:
    """The array that places in the data are, if they are one."""
    grid, start = places.reshape(box), int(places[0])
    strides = []
    found: Any = start
    for axis, length in enumerate(box):
        step = int(np.take(grid, 1, axis).ravel()[0]) - start if length > 1 else _strides(box)[axis]
        strides.append(step)
        along = [1] * len(box)
        along[axis] = length
        found = found + step * np.arange(length).reshape(along)
    return Part(start, tuple(strides)) if np.array_equal(grid, np.broadcast_to(found, box)) else None


def _strides(box: tuple[int, ...]) -> tuple[int, ...]:
    """Those of an array without gaps."""
    return tuple(prod(box[axis + 1 :]) for axis in range(len(box)))
