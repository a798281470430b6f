"""The lines of a body: which value has a line and a name of its own, and which stands where it is read.

A value that is read more than once has a name. One that is read once stands where it is read, as long as that line
stays short; a long sum takes several lines. Whoever makes the statements need not know which is which: a value is
temporary until all of them are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from symgrad_codegen.program import (
    Assignment,
    Call,
    Element,
    Expression,
    Literal,
    Read,
    Statement,
    mapped,
    parts,
)

from .names import Names

# An expression on one line holds at most this many operations, nested at most this deep.
_OPERATIONS, _DEPTH = 8, 6


class Temporary(NamedTuple):
    """A value of which it is not known yet whether it has a line."""

    key: str  # no identifier: no name of the program is like it
    value: Expression
    name: Callable[[], str]  # asked where it has a line
    noun: str  # what the parts of a long sum are called
    kind: str
    part: str  # of the computation: forward, backward, or not said
    is_kept: bool  # whether it has a line however it is read
    comment: str


class Lines:
    """The statements of one body. With `whole_sums` a long sum stays in one statement."""

    def __init__(self, names: Names, whole_sums: bool = False) -> None:
        self.names, self.whole_sums = names, whole_sums
        self._entries: list[Temporary | Statement] = []
        self._final: dict[str, Expression] = {}  # what stands for each temporary in the end

    def value(
        self,
        value: Expression,
        name: Callable[[], str],
        noun: str,
        kind: str = "real",
        part: str = "",
        is_kept: bool = False,
        comment: str = "",
    ) -> Read:
        """A value, by the name that it has until it is known whether it has a line."""
        key = f"{len(self._entries)}"
        self._entries.append(Temporary(key, value, name, noun, kind, part, is_kept, comment))
        return Read(key)

    def add(self, statement: Statement) -> None:
        """A statement that has a line in any case."""
        self._entries.append(statement)

    def final(self, expression: Expression) -> Expression:
        """An expression with final names; for what `written` was told of."""
        if isinstance(expression, Read):
            return self._final.get(expression.name, expression)
        if isinstance(expression, Literal):
            return expression
        if isinstance(expression, Call):
            known = self._final
            arguments = [  # most are names
                known.get(own.name, own) if isinstance(own, Read) else self.final(own) for own in expression.arguments
            ]
            return Call(expression.function, tuple(arguments))
        return mapped(expression, lambda part: self.final(part) if isinstance(part, Read) else None)

    def written(self, extra: Iterable[Expression] = ()) -> list[Statement]:
        """The statements with final names; `extra` is read besides. What nobody reads has no line."""
        uses = Counter(name for expression in extra for name in _measured(expression).reads)
        named: set[str] = set()  # the temporaries that have a line
        alive: list[tuple[Temporary | Statement, _Measure]] = []
        for entry in reversed(self._entries):  # what reads an entry comes after it: its uses are known here
            measure = _measured(entry.value)
            if isinstance(entry, Temporary):
                times = uses.get(entry.key, 0)
                if entry.is_kept or (times > 1 and not _is_sign(entry.value)):
                    named.add(entry.key)
                elif times > 1:
                    # A sign has no name: `x - largest` reads better than `x + minus_1`. What it is the sign of has one.
                    named.update(measure.reads)
                elif times == 0:
                    continue
            elif not isinstance(entry, Assignment):
                measure.reads.extend(_measured(entry.target).reads)
            for name in measure.reads:
                uses[name] = uses.get(name, 0) + 1
            alive.append((entry, measure))
        alive.reverse()
        _name_long(alive, named)
        found: list[Statement] = []
        for entry, _ in alive:
            if not isinstance(entry, Temporary):
                found.append(self._finished(entry))
                continue
            value = self.final(entry.value)
            while self._is_long(value):
                assert isinstance(value, Call)
                first = self.names.take(f"partial_{entry.noun}", counted=True)
                terms = Call(value.function, value.arguments[:_OPERATIONS])
                found.append(Assignment(first, terms, "", entry.kind, entry.part))
                value = Call(value.function, (Read(first), *value.arguments[_OPERATIONS:]))
            if entry.key in named:
                name = entry.name()
                found.append(Assignment(name, value, entry.comment, entry.kind, entry.part))
                value = Read(name)
            self._final[entry.key] = value
        return found

    def _finished(self, statement: Statement) -> Statement:
        value = self.final(statement.value)
        if isinstance(statement, Assignment):
            return statement._replace(value=value)
        target = self.final(statement.target)
        assert isinstance(target, Element)
        return statement._replace(target=target, value=value)

    def _is_long(self, value: Expression) -> bool:
        """Whether it is a sum, or the like, that is written a line at a time, from left to right."""
        if not isinstance(value, Call) or len(value.arguments) <= _OPERATIONS + 1:
            return False
        return not (self.whole_sums and value.function.name == "add")


class _Measure(NamedTuple):
    """How much a line holds before anything is put in the place of what it reads."""

    reads: list[str]  # names, each as often as it is read
    operations: int
    depth: int  # of nested operations


def _name_long(entries: Sequence[tuple[Temporary | Statement, _Measure]], named: set[str]) -> None:
    """Adds to the temporaries that are `named` what would make a line too long, or too deep, in its reader's place."""
    size: dict[str, tuple[int, int]] = {}  # operations and depth of what stands in the place of a temporary
    for entry, (reads, operations, depth) in entries:
        total = min(operations, _OPERATIONS // 2)
        inner = [name for name in reads if name not in named and name in size]
        if inner and not isinstance(entry.value, Read):  # what is stored as it is has the line of its store
            inner.sort(key=size.__getitem__)
            room = max(_OPERATIONS, total + len(inner))  # a sum of many products stays one
            total += sum([size[name][0] for name in inner])
            while inner and (total > room or size[inner[-1]][1] >= _DEPTH):
                total -= size[inner[-1]][0]
                named.add(inner.pop())
            depth += max([size[name][1] for name in inner], default=0)
        if isinstance(entry, Temporary) and entry.key not in named:
            size[entry.key] = total, depth


def _is_sign(value: Expression) -> bool:
    return isinstance(value, Call) and value.function.name == "neg" and not isinstance(value.arguments[0], Call)


def _measured(expression: Expression) -> _Measure:
    if isinstance(expression, Read):
        return _Measure([expression.name], 0, 0)
    reads: list[str] = []
    operations = depth = 0
    inner = expression.arguments if isinstance(expression, Call) else parts(expression)
    for part in inner:
        if isinstance(part, Read):
            reads.append(part.name)
        elif not isinstance(part, Literal):
            measure = _measured(part)
            reads += measure.reads
            operations, depth = operations + measure.operations, max(depth, measure.depth)
    if isinstance(expression, Call):
        return _Measure(reads, operations + max(1, len(inner) - 1), depth + 1)
    return _Measure(reads, operations, depth)
