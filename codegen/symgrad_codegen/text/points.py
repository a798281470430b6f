"""Programs over points: their body as titled runs of statements, and as one with entries in the place of names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from ..program import Affine, Assignment, Element, Expression, Nest, Pass, Program, Read, Statement, Store, mapped


class Section(NamedTuple):
    """A titled run of statements."""

    title: str
    statements: tuple[Assignment, ...]


def sections(program: Program) -> list[Section]:
    """The body of a program over points: forward, backward; where it is long, in turn."""
    statements = [statement for statement in program.body if isinstance(statement, Assignment)]
    assert len(statements) == len(program.body), "at one point everything is a number"
    return [Section(part, tuple(run)) for part, run in groupby(statements, lambda statement: statement.part)]


def with_entries(program: Program) -> Program:
    """The same program as one with arrays: over points a name of an input or output stands for its entry there."""
    if not program.over_points:
        return program
    (points,) = program.steps
    assert isinstance(points, Pass)
    place = (Affine(((points.axis, 1),)),)
    arrays = {*program.arguments, *(output.name for output in program.outputs)}

    def entry(part: Expression) -> Expression | None:
        return Element(part.name, place) if isinstance(part, Read) and part.name in arrays else None

    def changed(statement: Statement) -> Statement:
        value = mapped(statement.value, entry)
        if isinstance(statement, Assignment) and statement.name in arrays:
            return Store(Element(statement.name, place), value, statement.comment, statement.part)
        return statement._replace(value=value)

    return with_body(program, map(changed, program.body))


def with_body(program: Program, statements: Iterable[Statement]) -> Program:
    """A program over points with other statements."""
    (points,) = program.steps
    assert isinstance(points, Pass)
    (nest,) = points.steps
    assert isinstance(nest, Nest)
    return replace(program, steps=(points._replace(steps=(nest._replace(body=tuple(statements)),)),))
