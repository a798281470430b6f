"""Nests as one thread of a GPU runs them: which entries it keeps in registers, and the text of its statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from ...program import (
    Accumulate,
    Assignment,
    Element,
    Expression,
    Fill,
    Nest,
    Read,
    Store,
    forms,
    mapped,
    walk,
)
from ...reductions import REDUCTIONS
from ...text.arrays import (
    Line,
    elements_in,
    expression_names,
    loop_line,
    loop_names,
    nest_lines,
    number_text,
    place_text,
    start_text,
)
from ...text.expressions import expression_text
from .functions import spelled
from .scope import DeviceScope
from .segments import is_injective, known_place

Entry = tuple[str, tuple[int, ...]]  # an array, and a known place in it but for that of the data


class Total(NamedTuple):
    """What several indices of the data add to: each thread for itself, then its block, then all blocks."""

    kind: str
    array: str
    place: tuple[int, ...] | None  # None: at all entries, each of which a thread has in memory of its own
    own: str  # the register of a thread, or that memory
    sums: str  # those of the blocks


@dataclass(frozen=True)
class Thread:
    """What stands for entries of arrays in one thread: what is in no register or total is in memory."""

    scope: DeviceScope
    name: str = ""
    axes: tuple[str, ...] = ()  # what is shared out among the threads
    registers: Mapping[Entry, str] = field(default_factory=dict)
    totals: tuple[Total, ...] = ()
    lanes: Mapping[str, str] = field(default_factory=dict)  # of arrays that vary along the data: the last place

    def lines(self, steps: Sequence[Nest | Fill | Assignment], indent: str) -> list[str]:
        running = (self.scope.local(f"running_{number}") for number in count(1))
        lines: list[str] = []
        for step in steps:
            if isinstance(step, Fill):
                lines += self._fill(step, indent)
            elif isinstance(step, Nest):
                lines += self._nest(step, indent, running)
            else:  # outside of the passes
                lines += Line(f"{step.name}[0] = {self._expression(step.value)}", step.comment).written(indent)
        return lines

    def uses(self, steps: Sequence[Nest | Fill | Assignment]) -> set[str]:
        """The names that these steps need."""
        found: set[str] = set()
        for step in steps:
            if isinstance(step, Assignment):
                found |= {step.name, *self._names(step.value)}
            elif isinstance(step, Nest):
                found |= loop_names(step.loops)
                for statement in step.body:
                    found |= self._names(statement.value)
                    if not isinstance(statement, Assignment):
                        array = statement.target.array
                        names = self._names(statement.target)
                        found |= names if self._total(statement) is None else names - {array}
            elif not self._registers(step.array):
                lengths = self.scope.lengths(step.array)
                found |= {step.array, *(name for length in lengths for name, _ in length.terms)}
        return found

    def _names(self, expression: Expression) -> set[str]:
        found: set[str] = set()
        for part in walk(expression):
            if isinstance(part, Read):
                found.add(part.name)
            elif isinstance(part, Element) and self._register(part) is None:
                found.add(part.array)
            found |= {name for form in forms(part) for name, _ in form.terms}
        return found

    # --- entries ------------------------------------------------------------------------------------------------------

    def _registers(self, array: str) -> list[str]:
        return [register for (own, _), register in self.registers.items() if own == array]

    def _register(self, element: Element) -> str | None:
        place = known_place(element, self.scope.data(element.array))
        return None if place is None else self.registers.get((element.array, place))

    def _total(self, statement: Store | Accumulate) -> Total | None:
        """What a statement adds to, where several indices of the data add to it."""
        if not isinstance(statement, Accumulate) or not is_joined(self.scope, statement.target, self.axes):
            return None
        array, place = statement.target.array, known_place(statement.target)
        return next(own for own in self.totals if own.array == array and own.place in (None, place))

    def _target(self, statement: Store | Accumulate) -> str:
        total = self._total(statement)
        if total is None:
            return self._entry(statement.target)
        return total.own if total.place is not None else self._place(total.own, statement.target, self.name)

    def _entry(self, element: Element) -> str:
        """An entry of an array, or the register that holds it."""
        register = self._register(element)
        return register or self._place(element.array, element, self.lanes.get(element.array, ""))

    def _place(self, array: str, element: Element, lane: str) -> str:
        """An entry in memory; what varies along the data has the place of that at the end."""
        data = self.scope.data(element.array)
        places = [place_text(element, p, self._expression) for p in range(len(element.index)) if p != data]
        return f"{array}[{', '.join([*places, lane] if lane else places)}]"

    def _expression(self, expression: Expression) -> str:
        program = self.scope.program
        return expression_text(mapped(spelled(expression, program.accuracy), self._read), program.dtype)

    def _read(self, part: Expression) -> Expression | None:
        if isinstance(part, Element):
            return Read(self._entry(part))
        if isinstance(part, Read) and part.name in self.scope.kinds:
            return Read(f"{part.name}[0]")  # a number is an array of one entry
        return None

    # --- steps --------------------------------------------------------------------------------------------------------

    def _fill(self, step: Fill, indent: str) -> list[str]:
        """What varies along the data is set to a number, in each thread its own."""
        value = f"real({number_text(step.value)})"
        registers = self._registers(step.array)
        if registers:
            return [f"{indent}{register} = {value}" for register in registers]
        lengths = self.scope.row_shape(self.scope.storages[step.array], "")
        return at_all_entries(lengths, indent, f"{step.array}[{{}}] = {value}", self.lanes[step.array])

    def _nest(self, nest: Nest, indent: str, running: Iterator[str]) -> list[str]:
        """The loops and their statements. A sum over inner loops runs in a register, and is stored after them."""
        read = {element.array for statement in nest.body for element in elements_in(statement.value)}
        before: dict[int, list[str]] = {}
        after: dict[int, list[str]] = {}
        body: list[Line] = []
        for statement in nest.body:
            value = self._expression(statement.value)
            if isinstance(statement, Assignment):
                body.append(Line(f"{statement.name} = {value}", statement.comment))
                continue
            target = self._target(statement)
            if isinstance(statement, Store):
                body.append(Line(f"{target} = {value}", statement.comment))
                continue
            kind, level = statement.kind, _level(statement.target, nest)
            if level < len(nest.loops) and not target.isidentifier() and statement.target.array not in read:
                register = next(running)
                before.setdefault(level, []).append(f"{register} = {start_text(kind)}")
                after.setdefault(level, []).append(f"{target} = {joined(kind, target, register)}")
                target = register
            body.append(Line(f"{target} = {joined(kind, target, value)}", statement.comment))
        comment = [f"{indent}# {nest.comment}"] if nest.comment else []
        return [*comment, *nest_lines([loop_line(loop) for loop in nest.loops], body, before, after, indent)]


def is_joined(scope: DeviceScope, target: Element, axes: Sequence[str]) -> bool:
    """Whether several indices of the data add to one entry."""
    return scope.data(target.array) is None and not is_injective(target, axes)


def joined(kind: str, one: str, two: str) -> str:
    if kind == "sum":
        return f"{one} + {two}" if two.isidentifier() else f"{one} + ({two})"
    return f"joined({REDUCTIONS[kind].cuda}, {one}, {two})"


def at_all_entries(lengths: Sequence[str], indent: str, line: str, *last: str) -> list[str]:
    """A line for every entry of an array; `{}` in it is the place, with `last` at its end."""
    entry = [f"entry_{place}" for place in range(len(lengths))]
    loops = [f"for {name} in range({length}):" for name, length in zip(entry, lengths, strict=True)]
    return nest_lines(loops, [Line(line.format(", ".join([*entry, *last])))], {}, {}, indent)


def _level(element: Element, nest: Nest) -> int:
    """How many of the loops, from the first on, the place of an entry needs, also by way of what has a name."""
    made = {statement.name: statement.value for statement in nest.body if isinstance(statement, Assignment)}
    names, fresh = set[str](), expression_names(element)
    while fresh:
        names |= fresh
        fresh = set().union(*(expression_names(made[name]) for name in fresh if name in made)) - names
    return max((place + 1 for place, loop in enumerate(nest.loops) if loop.axis in names), default=0)
