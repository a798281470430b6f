"""Entries of arrays in JavaScript: flat typed arrays in C order, and indices that stay inside of them.

An index that is not known to stay inside of its array is checked where it is used: JavaScript gives `undefined` for
what is outside, which becomes NaN unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...functions import ATOM, COMPARE, PRODUCT, SUM
from ...program import Affine, Element, Expression
from ...text.arrays import expression_names, is_length, length_text, one_of_text
from ...text.expressions import Piece, affine_text, bracketed
from ...text.scope import ArrayScope
from .expressions import piece

Bounds = tuple[tuple[Affine, ...], tuple[Affine, ...]]  # of a loop: the largest of the first, the smallest of the last


class Entries:
    """Where entries are, within the loops that are open; and the functions of the run-time text that are called."""

    def __init__(self, scope: ArrayScope) -> None:
        self.scope = scope
        self.stop = scope.free("stop")
        self.ranges: dict[str, Bounds] = {}
        self.called: dict[str, None] = {}

    def call(self, function: str) -> str:
        self.called[function] = None
        return function

    def open(self, axis: str, low: tuple[Affine, ...], high: tuple[Affine, ...]) -> str:
        """The head of a loop; its limits are computed once."""
        self.ranges[axis] = low, high
        first = one_of_text("Math.max", low)
        last = one_of_text("Math.min", tuple(form._replace(offset=form.offset + 1) for form in high))
        if len(high) == 1:
            return f"for (let {axis} = {first}; {axis} < {last}; {axis}++) {{"
        return f"for (let {axis} = {first}, {self.stop} = {last}; {axis} < {self.stop}; {axis}++) {{"

    def close(self, axes: Iterable[str]) -> None:
        for axis in axes:
            del self.ranges[axis]

    def is_local(self, array: str) -> bool:
        """Whether an array is kept for one index of the data only."""
        return self.scope.data(array) is not None

    def axes(self, array: str) -> list[int]:
        """The axes that an array has here."""
        data = self.scope.data(array)
        return [place for place in range(len(self.scope.shape(array))) if place != data]

    def is_number(self, array: str) -> bool:
        return not self.axes(array)

    def length(self, array: str, place: int) -> Piece:
        """How long an axis of an array is; at least 1 where an array of the program's own may have none."""
        length, derived = self.scope.shape(array)[place], self.scope.program.derived
        if array in self.scope.storages:
            text = length_text(length, derived, "Math.")
            return (text, ATOM) if text.startswith("Math.") or text.isdigit() else _affine(length)
        is_given = array in self.scope.inputs or self.scope.given_shape(array)
        if is_given or not length.terms or is_length(length, derived):
            return _affine(length)
        return f"Math.max(0, {affine_text(length)})", ATOM

    def lengths(self, array: str) -> list[Piece]:
        return [self.length(array, place) for place in self.axes(array)]

    def text(self, expression: Expression) -> str:
        return self._piece(expression)[0]

    def _piece(self, expression: Expression) -> Piece:
        return piece(expression, self.scope.program.dtype, self._entry)

    def _entry(self, element: Element) -> Piece:
        """An entry that is read."""
        text = self.place(element)
        if element.clamped and self.scope.needs_room(element):
            text = f"({text} ?? 0)"  # of an array that has no entries
        if self.scope.kind(element.array) == "boolean" and not self.is_number(element.array):
            return f"{text} === 1", COMPARE
        return text, ATOM

    def place(self, element: Element) -> str:
        """An entry: of a flat array, in C order."""
        flat: Piece = "0", ATOM
        axes = self.axes(element.array)
        for place in axes:
            index = self._index(element, place)
            if flat[0] != "0":
                row = f"{bracketed(flat, PRODUCT)} * {bracketed(self.length(element.array, place), ATOM)}"
                index = (row if index[0] == "0" else f"{row} + {bracketed(index, SUM)}", SUM)
            flat = index
        return f"{element.array}[{flat[0]}]" if axes else element.array

    def _index(self, element: Element, place: int) -> Piece:
        """An index: held inside where it may be outside, known to be inside, or checked."""
        index, array, held = element.index[place], element.array, dict(element.clamped)
        own = _affine(index) if isinstance(index, Affine) else self._piece(index)
        if place in held:
            return f"{self.call('clamped')}({own[0]}, {affine_text(held[place])})", ATOM
        if isinstance(index, Affine) and self._stays_inside(index, self.scope.shape(array)[place]):
            return own
        given = [own[0], self.length(array, place)[0], *self._whose(element, place)]
        return f"{self.call('inside')}({', '.join(given)})", ATOM

    def _whose(self, element: Element, place: int) -> list[str]:
        """What an index that is out of bounds is told to be: of which axis, and made of what."""
        index, result = element.index[place], element.array in self.scope.results
        array = self.scope.given_shape(element.array) if result else element.array
        names = [] if isinstance(index, Affine) else sorted(expression_names(index) & set(self.scope.inputs))
        made_of = [f'"{",".join(names)}"'] if names else []
        return [f'"{array}"' if array in self.scope.inputs else '""', str(place), *made_of]

    def _stays_inside(self, index: Affine, length: Affine) -> bool:
        last = _sum(length, index, -1)
        return self.is_certain(index) and self.is_certain(last._replace(offset=last.offset - 1))

    def is_certain(self, form: Affine, in_loop: bool = False) -> bool:
        """Whether a form is >= 0 in all iterations of the loops that are open: bounds in the place of their indices."""
        for axis, (low, high) in reversed(self.ranges.items()):
            factor = dict(form.terms).get(axis, 0)
            if factor:
                return any(
                    self.is_certain(_sum(_sum(form, Affine(((axis, 1),)), -factor), bound, factor), in_loop)
                    for bound in (low if factor > 0 else high)
                )
        if form == Affine(()) or is_length(form, self.scope.program.derived):
            return True
        # In a loop there is an index: its last one is not below its first.
        bounds = self.ranges.values() if not in_loop else ()
        gaps = (_sum(two, one, -1) for low, high in bounds for one in low for two in high)
        return any(self.is_certain(_sum(form, gap, -1), in_loop=True) for gap in gaps)


def _sum(one: Affine, two: Affine, factor: int) -> Affine:
    """one + factor*two."""
    terms = dict(one.terms)
    for name, own in two.terms:
        terms[name] = terms.get(name, 0) + factor * own
    return Affine(tuple((name, own) for name, own in terms.items() if own), one.offset + factor * two.offset)


def _affine(form: Affine) -> Piece:
    text = affine_text(form)
    return text, ATOM if text.isidentifier() or text.isdigit() else SUM
