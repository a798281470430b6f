"""Parts: a long body cut in pieces that each fit into the registers of one thread of a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from ...program import Assignment, Expression, Program, Read, walk
from ...text.points import Section, sections

# Registers of 32 bits that values may take in a part; the other ones of a thread's 255 hold addresses and what the
# functions of a statement need on their way.
_REGISTERS = 180


class Part(NamedTuple):
    """A run of statements: the names that it is given, those that it keeps for later parts, and its outputs."""

    given: tuple[str, ...]
    sections: tuple[Section, ...]
    kept: tuple[str, ...]
    outputs: tuple[str, ...]


class _Titled(NamedTuple):
    title: str
    statement: Assignment
    reads: tuple[str, ...]


def parts(program: Program) -> list[Part]:
    """The body in as few parts as fit: one, if the body does as a whole."""
    body = [
        _Titled(section.title, statement, reads(statement.value))
        for section in sections(program)
        for statement in section.statements
    ]
    room = _REGISTERS // (2 if program.dtype == "float64" else 1)
    edges, start = [0], 0
    for place in range(1, len(body) + 1):
        if place - start > 1 and _most_alive(body, start, place) > room:
            start = place - 1
            edges.append(start)
    edges.append(len(body))
    return [_part(body, start, stop, program) for start, stop in pairwise(edges)]


def _part(body: Sequence[_Titled], start: int, stop: int, program: Program) -> Part:
    inside, after = body[start:stop], body[stop:]
    made = dict.fromkeys(line.statement.name for line in inside)
    made_later = {line.statement.name for line in after}
    read_later = _given(after)
    runs = groupby(inside, lambda line: line.title)
    return Part(
        tuple(_given(inside)),
        tuple(Section(title, tuple(line.statement for line in run)) for title, run in runs),
        tuple(name for name in made if name in read_later),
        tuple(n for n in made if n in (*program.values, *program.gradients) and n not in made_later),
    )


def _given(lines: Sequence[_Titled]) -> dict[str, None]:
    """The names that are read before they are made."""
    made: set[str] = set()
    found: dict[str, None] = {}
    for line in lines:
        found |= {name: None for name in line.reads if name not in made}
        made.add(line.statement.name)
    return found


def _most_alive(body: Sequence[_Titled], start: int, stop: int) -> int:
    """How many values a part keeps at a time, at most: all that it is given wait from its beginning on."""
    inside = body[start:stop]
    last = {name: place for place, line in enumerate(inside) for name in line.reads}
    alive = set(_given(inside))
    most = len(alive)
    for place, line in enumerate(inside):
        alive.add(line.statement.name)
        most = max(most, len(alive))
        alive -= {name for name in (*line.reads, line.statement.name) if last.get(name, place) <= place}
    return most


def reads(expression: Expression) -> tuple[str, ...]:
    """The names that an expression reads, each once."""
    return tuple(dict.fromkeys(part.name for part in walk(expression) if isinstance(part, Read)))
