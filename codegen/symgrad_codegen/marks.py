"""What the verifier knows of the values and arrays of a program: what is filled, and which integers they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .program import Affine, Call, Element, Expression, Holds, Integer, Literal, Number, Pass, Program, Read, Storage
from .text.arrays import is_length
from .text.expressions import affine_text, expression_text

# An argument of a trial: a number for an extent, integers for an array of integers, else the shape of an array.
Argument = Any
NEVER = 1 << 62  # when an entry is filled that is not


class BrokenProgram(Exception):
    """A program that breaks a rule: which, where, and at which extents."""


class Value(NamedTuple):
    """An expression in all iterations: whether it is made of filled entries only, and which integer or truth it is."""

    good: Any  # a truth value or an array of them
    number: Any = None  # a number or an array of them, NaN where it is not known; None: not known anywhere


# Of integers and conditions; of everything else nothing is known.
_KNOWN: dict[str, Callable[..., Any]] = {
    "add": lambda *a: sum(a[1:], a[0]),
    "mul": lambda *a: np.prod(np.broadcast_arrays(*a), axis=0),
    "neg": np.negative,
    "div": np.divide,
    "mod": np.mod,
    "quotient": np.floor_divide,
    "int": np.trunc,
    "floor": np.floor,
    "ceil": np.ceil,
    "abs": np.abs,
    "max": lambda *a: np.max(np.broadcast_arrays(*a), axis=0),
    "min": lambda *a: np.min(np.broadcast_arrays(*a), axis=0),
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "not": lambda a: 1 - a,
}


def applied(name: str, arguments: list[Value]) -> Value:
    """A function of values."""
    if name == "select":
        return _selected(*arguments)
    if name in ("and", "or"):
        return _decided(0 if name == "and" else 1, arguments)
    good: Any = True
    for argument in arguments:
        good = good & argument.good
    numbers = [np.asarray(argument.number, float) for argument in arguments if argument.number is not None]
    if name == "mul" and numbers:  # nothing times a number is nothing: what inputs hold is taken to be finite
        numbers += [np.asarray(np.nan)] * (len(arguments) - len(numbers))
    elif name not in _KNOWN or len(numbers) < len(arguments):
        return Value(good)
    unknown = np.isnan(np.broadcast_arrays(*numbers)).any(axis=0)
    with np.errstate(all="ignore"):
        found = np.where(unknown, np.nan, _KNOWN[name](*numbers))
    is_nothing = np.equal(np.broadcast_arrays(*numbers), 0).any(axis=0) if name == "mul" else False
    return Value(good, np.where(is_nothing, 0.0, found))


def _selected(condition: Value, one: Value, two: Value) -> Value:
    """One of two values: where both are the same number it is no matter which."""
    sides = one.good & two.good
    a, b = (np.nan if side.number is None else side.number for side in (one, two))
    same = np.equal(a, b)
    if condition.number is None:
        return Value((condition.good & sides) | (same & sides), np.where(same, a, np.nan))
    is_open, holds = np.isnan(condition.number), condition.number != 0
    good = np.where(is_open, condition.good & sides, condition.good & np.where(holds, one.good, two.good))
    return Value(good | (same & sides), np.where(same, a, np.where(is_open, np.nan, np.where(holds, a, b))))


def _decided(decisive: int, arguments: list[Value]) -> Value:
    """A conjunction (0 decides) or disjunction (1 decides): one that decides is enough, whatever the others are."""
    good: Any = True
    decided: Any = False
    known: Any = True
    for argument in arguments:
        number = np.nan if argument.number is None else argument.number
        good = good & argument.good
        decided = decided | ((number == decisive) & argument.good)
        known = known & ~np.isnan(number)
    return Value(good | decided, np.where(decided, decisive, np.where(known, 1 - decisive, np.nan)))


@dataclass(eq=False)
class Marks:
    """An array: when each of its entries was filled, and in a pass by which index of the data."""

    filled: Any
    writer: Any = None  # None outside of a pass, -1 where nothing was written in it
    data: int | None = None  # the place of the data axis of an array that holds rows of one pass
    start: float | None = None  # what all of it holds, where it was filled with one number and not written since
    numbers: Any = None  # of an array of integers or truth values what is known: NaN where nothing is
    is_input: bool = False
    kind: str = "real"
    spoilt: str = ""  # why entries that were written count as not filled
    joined: str | None = None  # what passes have joined in it since it was filled, so that another one may go on


def unfilled(shape: Sequence[int], kind: str = "real", data: int | None = None) -> Marks:
    """An array of which nothing is known."""
    numbers = None if kind == "real" else np.full(shape, np.nan)
    return Marks(np.full(shape, NEVER), data=data, numbers=numbers, kind=kind)


@dataclass(eq=False)
class Memory:
    """What a program has made so far, run at one set of extents."""

    program: Program
    trial: Sequence[Argument]
    numbers: dict[str, Value] = field(default_factory=dict)  # extents, scalars, loop indices, temporaries
    arrays: dict[str, Marks] = field(default_factory=dict)
    clock: int = 1
    now: Any = 1  # the time of the statement that runs, for each iteration
    count: int = 1  # of iterations
    where: str = "the value"
    in_pass: Pass | None = None
    span: range = range(0)  # of the data, in a pass
    changing: frozenset[str] = frozenset()  # arrays that the nest that runs writes to
    open: frozenset[str] = frozenset()  # arrays that are being accumulated: known when the loop is over
    made: dict[str, Expression] = field(default_factory=dict)  # numbers that have a name, temporaries of the nest
    # Of the arrays that the nest stores to: the places that are read of it, iteration by iteration.
    watched: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def begin(self) -> None:
        """Inputs, extents, and arrays that nothing has filled."""
        for own, given in zip(self.program.inputs, self.trial, strict=True):
            if own.kind == "extent":
                self.numbers[own.name] = Value(True, int(given))
            elif not own.shape:
                self.numbers[own.name] = Value(True, int(given) if own.kind == "integer" else None)
            else:
                shape = given.shape if own.kind == "integer" else given
                numbers = np.asarray(given, float) if own.kind == "integer" else None
                self.arrays[own.name] = Marks(np.zeros(shape, int), None, None, None, numbers, True, own.kind)
        for extent in self.program.extents:
            if extent.told_by is not None:
                array, place, factor, offset = extent.told_by
                number = (self.arrays[array].filled.shape[place] - offset) // factor
            elif extent.derived is None:  # nothing tells it: any number will do
                number = 2
            else:
                kind, one, two = extent.derived
                number = (max if kind == "max" else min)(self.affine(one), self.affine(two))
            self.numbers[extent.name] = Value(True, number)
        for storage in self.program.storages:
            if storage.data is None:
                self.arrays[storage.name] = unfilled(self.shape(storage), storage.kind)
        for name, output in self.program.results.items():
            self.arrays[name] = unfilled([max(0, self.affine(extent)) for extent in output.shape] or [1])

    def shape(self, storage: Storage) -> list[int]:
        """The shape of an array of the program's own: lengths as `length_text` has them."""
        derived = self.program.derived
        return [max(self.affine(own), 0 if is_length(own, derived) else 1) for own in storage.shape] or [1]

    # --- entries ------------------------------------------------------------------------------------------------------

    def array(self, name: str) -> Marks:
        """An array that is read."""
        if name not in self.arrays:
            self.breach(f"there is no array {name} here")
        return self.arrays[name]

    def written(self, name: str) -> Marks:
        """An array that is written."""
        marks = self.array(name)
        if marks.is_input:
            self.breach(f"the input {name} is written")
        return marks

    def places(self, element: Element, marks: Marks) -> tuple[list[Any], Any]:
        """Where an entry is, inside of its array (None: anywhere along an axis); and whether it is the one meant."""
        if len(element.index) != marks.filled.ndim:
            self.breach(f"{_text(element)} has {len(element.index)} indices, its array {marks.filled.ndim} axes")
        held = dict(element.clamped)
        places: list[Any] = []
        good: Any = True
        for axis, (place, length) in enumerate(zip(element.index, marks.filled.shape, strict=True)):
            if marks.data == axis and (self.in_pass is None or place != self.data_index or axis in held):
                self.breach(f"{_text(element)} is not at the index of the data, where the row is")
            if isinstance(place, Affine):
                at = self.affine(place) - (self.span.start if marks.data == axis else 0)
            else:
                index = self._index(place, element, axis in held)
                good = good & index.good
                if index.number is None or np.isnan(index.number).any():
                    places.append(None)
                    continue
                at = np.asarray(index.number, int)
            if axis in held:
                extent = self.affine(held[axis])
                if extent > length:
                    self.breach(f"{_text(element)} is held inside of {extent} entries along axis {axis}, of {length}")
                good = good & (at >= 0) & (at < extent)
                if not length:  # targets have an entry to spare for it, which nothing reads
                    places.append(None)
                    continue
                at = np.maximum(0, np.minimum(at, extent - 1))
            outside = (at < 0) | (at >= length)
            if np.any(outside):
                self.breach(f"{_text(element)} is outside of its array along axis {axis}, of length {length}", outside)
            places.append(at)
        return places, good

    def _index(self, place: Expression, element: Element, held: bool) -> Value:
        """A computed index: it is an integer."""
        is_integer = self.array(place.array).kind == "integer" if isinstance(place, Element) else False
        if not is_integer and not isinstance(place, Integer):
            self.breach(f"an index of {_text(element)} is no integer")
        value = self.value(place)
        if not held and not np.all(value.good):
            self.breach(f"an index of {_text(element)} is made of what is not filled", ~np.asarray(value.good))
        number = np.asarray(np.nan if value.number is None else value.number, float)
        if np.any((number != np.floor(number)) & ~np.isnan(number)):
            self.breach(f"an index of {_text(element)} is no integer")
        return value

    @property
    def data_index(self) -> Affine:
        assert self.in_pass is not None
        return Affine(((self.in_pass.axis, 1),))

    @staticmethod
    def at(array: Any, places: list[Any]) -> Any:
        """Of an array of times those of some entries; the last one where it may be any along an axis."""
        for axis, place in enumerate(places):
            if place is None:
                array = array.max(axis=axis, keepdims=True, initial=-1)
        return array[tuple(0 if place is None else place for place in places)]

    def _read(self, element: Element) -> Value:
        marks = self.array(element.array)
        places, good = self.places(element, marks)
        number = None
        if marks.numbers is not None and all(place is not None for place in places):
            number = np.where(good, marks.numbers[tuple(places)], np.nan)
        elif marks.start is not None and element.array not in self.changing:
            number = np.where(good, marks.start, np.nan)
        if marks.is_input:
            return Value(good, number)
        if element.array in self.open:
            self.breach(f"{_text(element)} is read while it is accumulated")
        if marks.writer is not None:
            writer = self.at(marks.writer, places)
            other = (writer != -1) & (writer != self.affine(self.data_index))
            if np.any(other):
                self.breach(f"{_text(element)} is written for another index of the data in the same pass", other)
        if element.array in self.watched and all(place is not None for place in places):
            self.watched[element.array].append(self.entries(places))
        return Value(good & (self.at(marks.filled, places) < self.now), number)

    def entries(self, places: list[Any]) -> tuple[Any, ...]:
        """The entry of each iteration."""
        return tuple(np.broadcast_to(place, self.count) for place in places)

    # --- expressions --------------------------------------------------------------------------------------------------

    def affine(self, form: Affine) -> Any:
        total: Any = form.offset
        for name, factor in form.terms:
            if name not in self.numbers or self.numbers[name].number is None:
                self.breach(f"{name} in {affine_text(form)} is no integer that is known here")
            total = total + factor * self.numbers[name].number
        return total

    def value(self, expression: Expression) -> Value:
        """Expressions are of bounded depth: the schedule names what is deeper."""
        if isinstance(expression, Read):
            if expression.name not in self.numbers:
                self.breach(f"{expression.name} is read before it is made")
            return self.numbers[expression.name]
        if isinstance(expression, Literal):
            return Value(True, float(expression.value))
        if isinstance(expression, (Integer, Number)):
            inner = expression.value
            return Value(True, self.affine(inner)) if isinstance(inner, Affine) else self.value(inner)
        if isinstance(expression, Holds):
            return Value(True, self.affine(expression.value) >= 0)
        if isinstance(expression, Element):
            return self._read(expression)
        return applied(expression.function.name, [self.value(argument) for argument in expression.arguments])

    def spoilt(self, expression: Expression, value: Value) -> str:
        """What is wrong with a value that is made of an entry that nothing has filled; empty where nothing is."""
        bad = ~np.asarray(value.good)
        if not bad.any():
            return ""
        entry = self._blamed(expression, int(np.argmax(bad)))
        if isinstance(entry, Element) and self.arrays[entry.array].spoilt:
            return self.arrays[entry.array].spoilt
        return self.told(f"{_text(entry)} is read before it is filled", bad)

    def _blamed(self, expression: Expression, iteration: int) -> Expression:
        """The entry that makes an expression no good there."""

        def here(known: Any) -> Any:
            return known[iteration] if np.ndim(known) else known

        stack: list[Any] = [expression]
        while stack:
            part = stack.pop()
            if isinstance(part, Read) and part.name in self.made:
                stack.append(self.made[part.name])
            elif isinstance(part, Call):
                inside = part.arguments
                condition = here(self.value(inside[0]).number) if part.function.name == "select" else None
                if condition is not None and not np.isnan(condition):
                    inside = (inside[0], inside[1 if condition else 2])
                stack.extend(reversed(inside))
            elif isinstance(part, (Integer, Number)):
                stack.append(part.value)
            elif isinstance(part, Element) and not here(self._read(part).good):
                return part
        return expression

    def told(self, what: str, bad: Any = None) -> str:
        """What is wrong, where, in the first iteration that is bad, and with which extents."""
        loops = {}
        if np.ndim(bad) and np.any(bad):
            axes = {name: own.number for name, own in self.numbers.items() if name not in self.made}
            loops = {name: int(at[np.argmax(bad)]) for name, at in axes.items() if np.ndim(at)}
        extents = {own.name: self.numbers[own.name].number for own in self.program.extents if own.name in self.numbers}
        extents |= {o.name: self.numbers[o.name].number for o in self.program.inputs if o.kind == "extent"}
        at = f" at {_listed(loops)}" if loops else ""
        given = f" (with {_listed(extents)})" if extents else ""
        return f"program {self.program.name}, {self.where}: {what}{at}{given}"

    def breach(self, what: str, bad: Any = None) -> NoReturn:
        raise BrokenProgram(self.told(what, bad))


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {number}" for name, number in numbers.items())


def _text(expression: Expression) -> str:
    return expression_text(expression, "float64")
