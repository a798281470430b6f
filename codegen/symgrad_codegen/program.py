"""The program: what symgrad hands over, a small loop-level language that every target prints.

program    = inputs, extents, storages, steps, outputs
step       = assignment | fill | nest | product | matrix operation | pass
pass       = axis: step, ...                   one loop over the data axis for all of its steps
nest       = loop, ...: statement, ...         inside a pass: also for each index of the data
statement  = assignment | store | accumulate
expression = name | number | array[place, ...] | function(expression, ...)
place      = affine in loop indices and extents | an integer expression: an entry of integers, Integer(...)

What is indexed by the data axis of a pass and is neither input nor output lives for a while only: a target keeps as
much of it as it works on at a time. The program of a scalar expression is one pass over its points, whose one nest has
no loops of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
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


def parts(expression: Expression) -> tuple[Expression, ...]:
    """What an expression is directly made of; affine integers are no expressions."""
    if isinstance(expression, Call):
        return expression.arguments
    if isinstance(expression, Element):
        return tuple(place for place in expression.index if not isinstance(place, Affine))
    if isinstance(expression, (Integer, Number)) and not isinstance(expression.value, Affine):
        return (expression.value,)
    return ()


def forms(expression: Expression) -> tuple[Affine, ...]:
    """The affine integers that stand in an expression itself."""
    if isinstance(expression, Element):
        places = tuple(place for place in expression.index if isinstance(place, Affine))
        return (*places, *(extent for _, extent in expression.clamped))
    if isinstance(expression, (Integer, Number, Holds)) and isinstance(expression.value, Affine):
        return (expression.value,)
    return ()


def walk(expression: Expression, entries: bool = True) -> list[Expression]:
    """An expression and all that it is made of, each before its parts; the parts of entries where `entries`."""
    found: list[Expression] = []
    stack = [expression]
    while stack:
        part = stack.pop()
        found.append(part)
        if isinstance(part, Call):
            stack += part.arguments[::-1]
        elif not isinstance(part, (Read, Literal)) and (entries or not isinstance(part, Element)):
            stack += parts(part)[::-1]
    return found


def mapped(expression: Expression, change: Callable[[Expression], Expression | None]) -> Expression:
    """The expression with `change` of a part in its place; where that is None its own parts are changed.

    Expressions are of bounded depth: the schedule names what is deeper.
    """
    changed = change(expression)
    if changed is not None:
        return changed
    if isinstance(expression, Call):
        return Call(expression.function, tuple([mapped(argument, change) for argument in expression.arguments]))
    if isinstance(expression, (Read, Literal)):
        return expression
    if isinstance(expression, Element):
        places = (place if isinstance(place, Affine) else mapped(place, change) for place in expression.index)
        return expression._replace(index=tuple(places))
    if isinstance(expression, (Integer, Number)) and not isinstance(expression.value, Affine):
        value = mapped(expression.value, change)
        return expression._replace(value=value.value if isinstance(value, Integer) else value)
    return expression


class Assignment(NamedTuple):
    """One statement. `comment` says what the name is, in the user's terms; empty where the text itself does."""

    name: str
    value: Expression
    comment: str = ""
    kind: str = "real"  # real, integer, boolean
    part: str = ""  # of the computation: forward, backward; empty where nobody says it


class Store(NamedTuple):
    """array[place, ...] = value."""

    target: Element
    value: Expression
    comment: str = ""
    part: str = ""


class Accumulate(NamedTuple):
    """array[place, ...] is joined with value: added, multiplied, or the larger or smaller of both."""

    kind: str  # sum, product, largest, smallest
    target: Element
    value: Expression
    comment: str = ""


Statement = Assignment | Store | Accumulate


class Fill(NamedTuple):
    """Every entry of an array is set to a number."""

    array: str
    value: float


class LoopRange(NamedTuple):
    """From the largest of `low` to the smallest of `high`, both included."""

    axis: str
    low: tuple[Affine, ...]
    high: tuple[Affine, ...]


class Nest(NamedTuple):
    """Statements for every index of the loops; in a pass also for every index of the data."""

    name: str
    loops: tuple[LoopRange, ...]
    body: tuple[Statement, ...]
    comment: str = ""


class Operand(NamedTuple):
    """An array read whole, with the axes in the order in which it is stored."""

    array: str
    axes: tuple[str, ...]


class Product(NamedTuple):
    """target[row, column] = sum over `inner` of left*right, each over two of the three axes; `adds` to it in a pass."""

    target: Operand
    left: Operand
    right: Operand
    row: str
    column: str
    inner: str
    adds: bool
    comment: str = ""


class Matrix(NamedTuple):
    """target = an operation of linear algebra on whole arrays."""

    target: str
    function: str  # inverse, solve, determinant, log_determinant
    arguments: tuple[str, ...]
    comment: str = ""


class Pass(NamedTuple):
    """One loop over the data axis. No index reads what another wrote, but for what is accumulated."""

    name: str
    axis: str
    low: Affine
    high: Affine  # included
    steps: tuple[Step, ...]
    accumulated: tuple[tuple[str, str], ...]  # kind and array: what is joined over the data
    scatters: bool  # writes at computed places: not to be cut into parts that run at the same time


Step = Assignment | Fill | Nest | Product | Matrix | Pass


class Storage(NamedTuple):
    """An array of the program's own. `data` is the place of the data axis in its shape, None where it has none."""

    name: str
    shape: tuple[Affine, ...]
    data: int | None = None
    kind: str = "real"  # real, integer, boolean


class Input(NamedTuple):
    """An argument: its extents (none for a number), and whether it holds integers or is an extent itself."""

    name: str
    shape: tuple[Affine, ...]
    kind: str  # real, integer, extent


class Extent(NamedTuple):
    """A symbolic extent: where it is told, or which two others it is the larger or smaller of."""

    name: str
    told_by: tuple[str, int, int, int] | None  # array, axis, and: length = factor*extent + offset
    derived: tuple[str, Affine, Affine] | None = None


class Bound(NamedTuple):
    """What has to hold before anything is computed: at all places of the loops an index is in low .. high.

    A kernel of symgrad makes sure of it before it calls a module. A target whose modules others call checks it there.
    """

    where: tuple[Affine, ...]  # forms >= 0: else there is no index
    loops: tuple[LoopRange, ...]
    body: tuple[Assignment, ...]  # what the index is made of
    value: Expression | None  # None where a program has no words for it
    low: Affine
    high: Affine
    array: str  # the input that it is an index of; empty for what is computed
    axis: int


class Output(NamedTuple):
    """A result, and what holds it: over points a name; with arrays an array, or the name of a number for a value ()."""

    name: str
    shape: tuple[Affine, ...] = ()  # of an array: its extents
    by: tuple[str, ...] = ()  # of a derivative: the arguments that it is taken by
    of: int = 0  # of a derivative: which value it is one of


class Family(NamedTuple):
    """Which entries of a sparse derivative one of the outputs has: for all values of its loops one."""

    output: str
    loops: tuple[LoopRange, ...]
    body: tuple[Assignment, ...]  # what the others are made of
    row: tuple[Expression, ...]  # the indices of a row within its block
    column: tuple[Expression, ...]
    is_there: Expression  # 1 where there is an entry, else 0
    blocks: tuple[int, int]  # of its rows and of its columns
    is_mirrored: bool  # whether each also stands at its mirror image
    comment: str


class Pattern(NamedTuple):
    """Where the entries of a sparse derivative are: rows and columns come in blocks, of these shapes, in C order."""

    rows: tuple[tuple[Affine, ...], ...]
    columns: tuple[tuple[Affine, ...], ...]
    families: tuple[Family, ...]  # of the last outputs


@dataclass(frozen=True)
class Program:
    """Everything that a target needs. All names are identifiers, none of them Python keywords."""

    name: str  # of the kernel
    dtype: str  # float64 or float32
    accuracy: str  # fast or strict
    inputs: tuple[Input, ...]
    extents: tuple[Extent, ...]
    storages: tuple[Storage, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    formula: str  # the expression in few words, made of identifiers only
    legend: tuple[tuple[str, str], ...]  # identifier, and the user's name where it differs
    value_operations: int
    operations: int  # of value and gradients together
    bounds: tuple[Bound, ...] = ()
    # Of a scalar expression: all inputs and outputs have the one axis of the points, and the kernel takes one of them.
    # In its statements a name of one stands for its entry at the point, as `text.points.with_entries` says it.
    over_points: bool = False
    pattern: Pattern | None = None  # of a sparse derivative

    @cached_property
    def values(self) -> tuple[str, ...]:
        """What holds the values."""
        return tuple(output.name for output in self.outputs if not output.by)

    @cached_property
    def derivatives(self) -> tuple[Output, ...]:
        return tuple(output for output in self.outputs if output.by)

    @cached_property
    def gradients(self) -> tuple[str, ...]:
        """What holds the derivatives."""
        return tuple(output.name for output in self.derivatives)

    @cached_property
    def is_gradient(self) -> bool:
        """Whether there is one value, and no derivative but those of first order, each by another input."""
        by = [output.by for output in self.derivatives]
        return len(self.values) == 1 and all(len(own) == 1 for own in by) and len(set(by)) == len(by)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The values that are numbers: names of assignments outside of the passes."""
        return tuple(output.name for output in self.outputs if not output.by and not output.shape)

    @cached_property
    def results(self) -> dict[str, Output]:
        """The outputs that are arrays, by name; the derivative by a number is one of one entry."""
        return {own.name: own for own in self.outputs if own.by or own.shape}

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(own.name for own in self.inputs)

    @property
    def derived(self) -> frozenset[str]:
        """The extents that are the larger or smaller of two others: these may be less than 0."""
        return frozenset(extent.name for extent in self.extents if extent.derived is not None)

    @property
    def body(self) -> list[Statement]:
        """The statements in order, whatever loops they stand in."""
        return _statements(self.steps)

    @cached_property
    def calls(self) -> tuple[Function, ...]:
        """The function of every call, in no order."""
        found: list[Expression] = [own.value for own in self.body]
        found += [own.target for own in self.body if not isinstance(own, Assignment)]
        return tuple(part.function for expression in found for part in walk(expression) if isinstance(part, Call))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """The functions that are called, each once, by name."""
        found = {function.name: function for function in self.calls}
        return tuple(found[name] for name in sorted(found))


def _statements(steps: tuple[Step, ...]) -> list[Statement]:
    found: list[Statement] = []
    for step in steps:
        if isinstance(step, (Assignment, Nest)):
            found += [step] if isinstance(step, Assignment) else step.body
        elif isinstance(step, Pass):
            found += _statements(step.steps)
    return found
