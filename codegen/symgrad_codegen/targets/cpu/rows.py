"""How the loop over the lanes of a block reaches the entries of arrays, and which rows a pass holds for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...program import Accumulate, Affine, Assignment, Element, Fill, Nest, Pass, Product, Statement, Store
from ...text.arrays import elements_in
from .scope import Scope

# Points of the data per block: few where a pass keeps many rows, so that they stay in the cache.
_FEW, _SOME, _MANY = 64, 128, 256
_SOME_LENGTH = 32  # what a symbolic extent is taken for when rows are counted


class Copy(NamedTuple):
    """Rows for what an array of the kernel holds at the points of a block, or so many places later.

    Read from: transposed (packed), or a vector that may end before (shifted). Written to: transposed (unpacked).
    """

    role: Literal["packed", "shifted", "unpacked"]
    array: str
    shift: int
    name: str


class Access(NamedTuple):
    """How an entry is read in the loop over the lanes.

    The same for all (constant); along a row that the nest is given (lanes), or that it cuts out of an array before the
    loop (slice); else where it stands (anywhere).
    """

    way: Literal["constant", "lanes", "slice", "anywhere"]
    name: str  # what stands for the array in the nest
    given: str  # what the pass gives for it
    place: int = -1  # of the index that moves along a row
    shift: int = 0  # how far that is from the index of the data
    copy: Copy | None = None


@dataclass(frozen=True)
class Block:
    """One block of a pass: its names, and what decides how lanes reach entries."""

    scope: Scope
    axis: str
    start: str
    stop: str
    first: str
    count: str
    stored: frozenset[str]
    joined: frozenset[str]

    def begin(self, shift: int) -> str:
        """The first index of the block, or so many places later."""
        return f"{self.first} {'+' if shift > 0 else '-'} {abs(shift)}" if shift else self.first

    def span(self, shift: int) -> str:
        """The indices of the block, or those so many places later, as a slice."""
        begin = self.begin(shift)
        return f"{begin}:{begin} + {self.count}"

    def is_constant(self, element: Element) -> bool:
        return all(isinstance(p, Affine) and self.axis not in dict(p.terms) for p in element.index)

    def is_running(self, statement: Statement) -> bool:
        """Whether a statement adds to one entry, whatever the lane."""
        return isinstance(statement, Accumulate) and self.is_constant(statement.target)

    def access(self, element: Element, held: frozenset[str]) -> Access:
        """How lanes reach an entry; `held` are the arrays that have another name in this nest."""
        array = element.array
        if self.is_constant(element) and not element.clamped:
            return self._direct("constant", array, held)
        shifts = [self._shift(index) for index in element.index]
        if self.is_copied(element):
            return self._copied("shifted", element, 0, shifts[0] or 0)
        moving = [p for p, i in enumerate(element.index) if not isinstance(i, Affine) or self.axis in dict(i.terms)]
        shift = shifts[moving[0]] if len(moving) == 1 and not element.clamped else None
        return self._direct("anywhere", array, held) if shift is None else self._row(element, moving[0], shift, held)

    def _shift(self, index: object) -> int | None:
        """How far a place is from the index of the data, where it moves with that."""
        return index.offset if isinstance(index, Affine) and index.terms == ((self.axis, 1),) else None

    def is_copied(self, element: Element) -> bool:
        """Whether a copy of a part of the vector serves, with its last entry where there is none."""
        is_vector = len(element.index) == 1 and element.array in self.scope.inputs
        return bool(element.clamped) and is_vector and self._shift(element.index[0]) is not None

    def _row(self, element: Element, place: int, shift: int, held: frozenset[str]) -> Access:
        """An entry of a row of lanes, where there is one."""
        array, rank = element.array, len(element.index)
        if self.scope.data(array) is not None:
            return Access("lanes", array, array, place)
        if rank == 1:
            return Access("lanes", self._name(array, shift), f"{array}[{self.span(shift)}]", place)
        if place == rank - 1:
            return Access("slice", array, array, place, shift)
        if place or rank > 3 or self.scope.kind(array) != "real" or array in self.joined:
            return self._direct("anywhere", array, held)
        return self._copied("unpacked" if array in self.stored else "packed", element, place, shift)

    def _direct(self, way: Literal["constant", "anywhere"], array: str, held: frozenset[str]) -> Access:
        name = self.scope.held[array] if array in held else array
        return Access(way, name, name)

    def _copied(
        self, role: Literal["packed", "shifted", "unpacked"], element: Element, place: int, shift: int
    ) -> Access:
        array = element.array
        name = self.scope.local(f"{array}_{_shift_name(shift)}") if role == "shifted" else self._name(array, shift)
        return Access("lanes", name, name, place, shift, Copy(role, array, shift, name))

    def _name(self, array: str, shift: int) -> str:
        return self.scope.local(f"{array}_block{f'_{_shift_name(shift)}' if shift else ''}")


class Entries(NamedTuple):
    """A nest, and how its lanes reach entries: in the order in which text is made of them, the value first."""

    nest: Nest
    accesses: Mapping[Element, Access]
    in_lanes: frozenset[Element]  # all but those that are joined over the lanes, and reached before and after that


class Rows(NamedTuple):
    """What a pass holds for a block."""

    arrays: frozenset[str]  # all that it reaches
    buffers: tuple[str, ...]  # those that vary along the data
    copies: tuple[Copy, ...]
    held: tuple[str, ...]  # those that have another name, as they may have no entries
    points: int  # of a block


def block_of(scope: Scope, step: Pass) -> Block:
    start, stop, first, count = map(scope.local, ("start", "stop", "first", "count"))
    statements = [s for inner in step.steps if isinstance(inner, Nest) for s in inner.body]
    stored = frozenset(own.target.array for own in statements if isinstance(own, Store))
    joined = frozenset(own.target.array for own in statements if isinstance(own, Accumulate))
    return Block(scope, step.axis, start, stop, first, count, stored, joined)


def entries_of(block: Block, nest: Nest) -> Entries:
    elements: list[Element] = []
    in_lanes: list[Element] = []
    for statement in nest.body:
        own = elements_in(statement.value)
        target = [] if isinstance(statement, Assignment) else elements_in(statement.target)
        elements += [*own, *target]
        in_lanes += own if block.is_running(statement) else [*own, *target]
    # One name for an array: a nest is told that its arrays do not overlap.
    scope = block.scope
    held = frozenset(own.array for own in elements if scope.needs_room(own) and not block.is_copied(own))
    accesses = {element: block.access(element, held) for element in dict.fromkeys(elements)}
    return Entries(nest, accesses, frozenset(in_lanes))


def rows_of(block: Block, step: Pass, nests: Mapping[str, Entries]) -> Rows:
    """Everything that the nests and products of a pass reach."""
    scope = block.scope
    arrays: dict[str, None] = {}
    for inner in step.steps:
        if isinstance(inner, Nest):
            arrays |= dict.fromkeys(element.array for element in nests[inner.name].accesses)
        elif isinstance(inner, Product):
            arrays |= dict.fromkeys(own.array for own in (inner.target, inner.left, inner.right))
        elif isinstance(inner, Fill):
            arrays[inner.array] = None
    buffers = tuple(array for array in arrays if scope.data(array) is not None)
    accesses = [(element.array, access) for own in nests.values() for element, access in own.accesses.items()]
    held = tuple(dict.fromkeys(array for array, own in accesses if own.name == scope.held.get(array)))
    copies = list(dict.fromkeys(own.copy for _, own in accesses if own.copy is not None))
    copies.sort(key=lambda own: ("packed", "shifted", "unpacked").index(own.role))
    return Rows(frozenset(arrays), buffers, tuple(copies), held, _points(scope, step, buffers, copies))


def _points(scope: Scope, step: Pass, buffers: Sequence[str], copies: Sequence[Copy]) -> int:
    rows = 0
    for array in buffers:
        count = 1
        for length in scope.lengths(array):
            count *= max(1, length.offset + _SOME_LENGTH * sum(factor for _, factor in length.terms))
        rows += count
    # What is transposed into rows has to stay in the first cache while it is read.
    rows += _SOME_LENGTH * sum(own.role != "shifted" for own in copies)
    if any(isinstance(inner, Product) for inner in step.steps):
        return _MANY
    return _MANY if rows < _SOME_LENGTH else _SOME if rows <= 250 else _FEW


def _shift_name(shift: int) -> str:
    return f"{'after' if shift >= 0 else 'before'}_{abs(shift)}"
