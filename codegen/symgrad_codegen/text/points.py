"""Programs over points as the statements of one point: there an entry of an array is a number with the array's name."""

from __future__ import annotations

from collections.abc import Container
from itertools import groupby
from typing import NamedTuple

from ..program import Affine, Assignment, Element, Expression, Program, Read, Statement, Store, mapped


class Section(NamedTuple):
    """A titled run of statements."""

    title: str
    statements: tuple[Assignment, ...]


def sections(program: Program) -> list[Section]:
    """The body of a program over points: forward, backward; where it is long, in turn."""
    statements = [_of_one_point(statement) for statement in program.body]
    return [Section(part, tuple(run)) for part, run in groupby(statements, lambda statement: statement.part)]


def _of_one_point(statement: Statement) -> Assignment:
    value = with_names(statement.value)
    if isinstance(statement, Assignment):
        return statement._replace(value=value)
    assert isinstance(statement, Store), "nothing is summed up over the points"
    return Assignment(statement.target.array, value, statement.comment, part=statement.part)


def with_names(expression: Expression) -> Expression:
    """An expression with names in the place of entries."""
    return mapped(expression, lambda part: Read(part.array) if isinstance(part, Element) else None)


def at_every_point(statement: Assignment, arrays: Container[str], axis: str) -> Statement:
    """A statement of one point as one of the loop over `axis`, with entries of what is in `arrays`."""
    place = (Affine(((axis, 1),)),)

    def entry(part: Expression) -> Expression | None:
        return Element(part.name, place) if isinstance(part, Read) and part.name in arrays else None

    value = mapped(statement.value, entry)
    if statement.name not in arrays:
        return statement._replace(value=value)
    return Store(Element(statement.name, place), value, statement.comment, statement.part)
