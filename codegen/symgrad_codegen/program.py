"""The program: what symgrad hands over, a small loop-level language that every target prints.

program    = arguments, loop, results
loop       = axis: section, ...             the body is what happens at one index of the axis
section    = title: assignment, ...         "forward", "backward"
assignment = name = expression              # comment
expression = name | number | function(expression, ...)
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import NamedTuple

from .functions import Function


class Read(NamedTuple):
    """The value of an argument or of an earlier assignment."""

    name: str


class Literal(NamedTuple):
    """A constant, already rounded to the program's dtype (a float32 value is held exactly); or a truth value."""

    value: float | bool


class Call(NamedTuple):
    """A function of expressions."""

    function: Function
    arguments: tuple[Expression, ...]


class Affine(NamedTuple):
    """An integer: the sum of factor*name over loop indices and extents, plus an offset."""

    terms: tuple[tuple[str, int], ...]
    offset: int = 0


class Element(NamedTuple):
    """An entry of an array. A place that is `clamped` may lie outside, where the entry is of no use.

    A place is affine, an entry of an array of integers, or an `Integer`.
    """

    array: str
    index: tuple[Place, ...]  # type: ignore[assignment]  # shadows tuple.index, which no one needs
    clamped: tuple[tuple[int, Affine], ...] = ()  # the place, and the extent that it is held in


class Integer(NamedTuple):
    """An affine integer, an entry of an array of integers, or what is computed of such: for places and comparisons."""

    value: Affine | Expression


class Number(NamedTuple):
    """The same as a floating-point number."""

    value: Affine | Expression


class Holds(NamedTuple):
    """The condition that an affine integer is >= 0."""

    value: Affine


Expression = Read | Literal | Call | Element | Integer | Number | Holds
Place = Affine | Expression


class Assignment(NamedTuple):
    """One statement. `comment` says what the name is, in the user's terms; empty where the text itself does."""

    name: str
    value: Expression
    comment: str = ""
    kind: str = "real"  # real, integer, boolean


class Section(NamedTuple):
    """A titled run of statements."""

    title: str
    statements: tuple[Assignment, ...]


class Loop(NamedTuple):
    """Statements for every index of an axis; no iteration reads what another wrote."""

    axis: str
    sections: tuple[Section, ...]


class Output(NamedTuple):
    """A result, and what holds it: over points a name; with arrays an array, or the name of a number for a value ()."""

    name: str
    role: typing.Literal["value", "gradient"]
    shape: tuple[Affine, ...] = ()  # of an array: its extents
    by: str = ""  # of a gradient: the argument that it belongs to, whose shape it has
    of: int = 0  # of a gradient: which value it is the derivative of


class Outputs:
    """What is said of the results of a program."""

    outputs: tuple[Output, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """What holds the values."""
        return tuple(output.name for output in self.outputs if output.role == "value")

    @property
    def gradients(self) -> tuple[str, ...]:
        """What holds the gradients."""
        return tuple(output.name for output in self.outputs if output.role == "gradient")

    @property
    def wrt(self) -> tuple[str, ...]:
        """The arguments that the gradients belong to."""
        return tuple(output.by for output in self.outputs if output.role == "gradient")


@dataclass(frozen=True)
class Program(Outputs):
    """Everything that a target needs. All names are identifiers, none of them Python keywords."""

    name: str  # of the one-point function
    dtype: str  # float64 or float32
    accuracy: str  # fast or strict
    arguments: tuple[str, ...]
    loop: Loop
    outputs: tuple[Output, ...]
    formula: str  # the expression in few words, made of identifiers only
    legend: tuple[tuple[str, str], ...]  # identifier, and the user's name where it differs
    value_operations: int
    operations: int  # of value and gradients together

    @property
    def statements(self) -> int:
        return sum(len(section.statements) for section in self.loop.sections)

    @property
    def functions(self) -> tuple[Function, ...]:
        """The functions that are called, each once, by name."""
        found = {function.name: function for function in self.calls}
        return tuple(found[name] for name in sorted(found))

    @property
    def calls(self) -> list[Function]:
        """The function of every call, in no order."""
        found: list[Function] = []
        for section in self.loop.sections:
            for statement in section.statements:
                stack: list[Expression] = [statement.value]
                while stack:
                    part = stack.pop()
                    if isinstance(part, Call):
                        found.append(part.function)
                        stack.extend(part.arguments)
        return found
