"""Nodes, and the views that read them: what is passed around while a graph is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol

from .affine import Axis, Index, Size, axis, own_axes, substituted
from .gate import Gate, Kind

Number = Fraction | str  # an exact constant: a rational, or the name of a row of gates.CONSTANTS


class Gather(NamedTuple):
    """An index that is the value of an integer view."""

    view: View

    def renamed(self, names: Mapping[Axis, Axis]) -> Gather:
        return Gather(View(self.view.node, tuple(index.renamed(names) for index in self.view.index)))

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.view.axes

    def __str__(self) -> str:
        return str(self.view)


AnyIndex = Index | Gather


class Reduction(NamedTuple):
    """Where the terms of a reduction go, over its loop axes: index expressions of the result, and affine forms >= 0."""

    out: tuple[AnyIndex, ...]
    constraints: tuple[Index, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the result's axes are the first loop axes, in order."""
        return self.out == own_axes(len(self.out))


# What else an operation needs, and is interned by: the number of a constant, which input it is, the extent that a size
# is, the exponent of a power, a reduction, the extents of operations on whole matrices.
Attribute = Number | int | Size | Reduction | tuple[Index, ...] | None


class Builder(Protocol):
    """What nodes and views know of the table that they are in: that more of them can be built there.

    The table itself, `InternTable`, stands above them, in intern.py, and says what each of these does.
    """

    gates: dict[str, Gate]
    has_loops: bool

    def fresh(self) -> Axis: ...

    def apply(self, gate: Gate, *views: View, attribute: Attribute = None) -> View: ...

    def reduce(
        self,
        gate: Gate,
        body: View,
        reduced: Iterable[Axis],
        constraints: Iterable[Index],
        out: tuple[AnyIndex, ...] | None = None,
        result: tuple[Axis, ...] = (),
    ) -> View: ...

    def whole(
        self, gate: Gate, views: Sequence[View], axes: Sequence[tuple[Axis, ...]], rank: int, sizes: tuple[Index, ...]
    ) -> Node: ...

    def position(self, index: Index) -> View: ...

    def number_of(self, index: AnyIndex) -> View: ...

    def constant(self, number: Number | int) -> View: ...

    def input(self, position: int, axes: tuple[Axis, ...]) -> View: ...

    def intern(
        self, gate: Gate, edges: tuple[View, ...], attribute: Attribute, rank: int, loops: int | None = None
    ) -> Node: ...


class Node:
    """One operation applied to its arguments. Immutable, made by an `InternTable` only; equality is identity."""

    __slots__ = ("arguments", "attribute", "fixed", "gate", "gathered", "loops", "number", "own", "rank", "table")

    gate: Gate
    arguments: tuple[View, ...]  # edges: their index expressions are over this node's axes, as positions
    attribute: Attribute
    rank: int
    loops: int  # axes that the operation loops over: its own, and those that it reduces
    gathered: tuple[View, ...]  # integer views that its index expressions read
    fixed: bool  # depends on no input
    number: int  # of creation: arguments come before the nodes that read them
    table: Builder
    own: View  # the node read at its own axes; one object, so that `is` tells it

    @property
    def kind(self) -> Kind:
        return self.gate.kind

    @property
    def constant(self) -> Number:
        """The exact number that a constant is."""
        own = self.attribute
        assert isinstance(own, (Fraction, str)), self
        return own

    @property
    def position(self) -> int:
        """Which input it is."""
        own = self.attribute
        assert isinstance(own, int), self
        return own

    @property
    def size(self) -> Size:
        """The symbolic extent that it is the value of."""
        own = self.attribute
        assert isinstance(own, Size), self
        return own

    @property
    def exponent(self) -> int | Fraction:
        """The exponent of an exact power: whole, or halves and thirds."""
        own = self.attribute
        assert isinstance(own, (int, Fraction)), self
        return own

    @property
    def reduction(self) -> Reduction:
        """Where the terms of a reduction go."""
        own = self.attribute
        assert isinstance(own, Reduction), self
        return own

    @property
    def extents(self) -> tuple[Index, ...]:
        """Of an operation on whole matrices, the lengths of its loop axes."""
        own = self.attribute
        assert isinstance(own, tuple), self
        assert not isinstance(own, (Size, Reduction)), self
        return own

    @property
    def is_guard(self) -> bool:
        """Whether it is a sum over nothing: its argument where its constraints hold, 0 elsewhere."""
        own = self.attribute
        return isinstance(own, Reduction) and own.is_plain and self.loops == self.rank and self.gate.name == "sum"

    @property
    def sources(self) -> list[Node]:
        """The nodes that this one reads."""
        found = [edge.node for edge in self.arguments]
        return found + [edge.node for edge in self.gathered] if self.gathered else found

    def __repr__(self) -> str:
        inside = ", ".join(map(str, self.arguments))
        extra = "" if self.attribute is None else f" [{self.attribute}]"
        if isinstance(self.attribute, Reduction):
            extra = f" for {', '.join(f'{constraint} >= 0' for constraint in self.attribute.constraints)}"
            if not self.attribute.is_plain:
                extra += f" at [{', '.join(map(str, self.attribute.out))}]"
        return f"%{self.number} = {self.gate.name}({inside}){extra}"


def _read_text(view: View) -> str:
    # The axis of a scalar expression's points goes without saying.
    plain = view.index == own_axes(len(view.index)) and len(view.index) < 2
    return "" if plain else f"[{', '.join(map(str, view.index))}]"


class View(NamedTuple):
    """A node read at index expressions over named axes: what is passed around while a graph is built.

    The operators build nodes of the view's own table, so that a local gradient is written as `1 - y*y`.
    """

    node: Node
    index: tuple[AnyIndex, ...] = ()  # type: ignore[assignment]  # shadows tuple.index, which no one needs

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The names of the axes that it is read over, in order of first occurrence."""
        return tuple(dict.fromkeys(name for index in self.index for name in index.axes))

    def at(self, names: Mapping[Axis, AnyIndex]) -> View:
        """The view with index expressions put in for some of its axes."""
        return View(self.node, tuple(index_at(index, names, self.node.table) for index in self.index))

    def _as_view(self, other: View | int | Fraction) -> View:
        return other if isinstance(other, View) else self.node.table.constant(other)

    def _with(self, gate: str, other: View | int | Fraction) -> View:
        table = self.node.table
        return table.apply(table.gates[gate], self, other if isinstance(other, View) else table.constant(other))

    def __add__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._with("add", other)

    def __radd__(self, other: int | Fraction) -> View:
        return self._as_view(other)._with("add", self)

    def __sub__(self, other: View | int | Fraction) -> View:
        return self + -self._as_view(other)

    def __rsub__(self, other: int | Fraction) -> View:
        return self._as_view(other) + -self

    def __mul__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._with("mul", other)

    def __rmul__(self, other: int | Fraction) -> View:  # type: ignore[override]
        return self._as_view(other)._with("mul", self)

    def __truediv__(self, other: View | int | Fraction) -> View:
        return self._with("div", other)

    def __rtruediv__(self, other: int | Fraction) -> View:
        return self._as_view(other)._with("div", self)

    def __neg__(self) -> View:
        return self.call("neg")

    def __lt__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._with("lt", other)

    def __gt__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._as_view(other)._with("lt", self)

    def equals(self, other: View | int | Fraction) -> View:
        return self._with("eq", other)

    def where(self, taken: View | int | Fraction, otherwise: View | int | Fraction) -> View:
        """`taken` where this condition holds, else `otherwise`."""
        return self.call("select", self._as_view(taken), self._as_view(otherwise))

    def call(self, gate: str, *others: View) -> View:
        """The gate of that name applied to this view and the others."""
        table = self.node.table
        return table.apply(table.gates[gate], self, *others)

    @property
    def arguments(self) -> tuple[View, ...]:
        """The arguments of the node that is read, in this view's own axis names."""
        node = self.node
        if self.index is node.own.index:
            return node.arguments
        names = dict(enumerate(self.index))
        return tuple(edge.at(names) for edge in node.arguments)

    def __str__(self) -> str:
        return f"%{self.node.number}{_read_text(self)}"

    @property
    def number(self) -> Number | None:
        """The exact number if this is a constant, else None."""
        node = self.node
        return node.constant if node.gate.name == "constant" else None


def plain_axis(index: AnyIndex) -> Axis | None:
    """The axis that the index expression just is, or None."""
    if isinstance(index, Index) and index.offset == 0 and len(index.terms) == 1:
        term, factor = index.terms[0]
        if factor == 1 and not isinstance(term, Size):
            return term
    return None


def index_at(index: AnyIndex, names: Mapping[Axis, AnyIndex], table: Builder) -> AnyIndex:
    """An index expression with others put in for some of its axes."""
    plain = plain_axis(index)
    if plain is not None:
        return names.get(plain, index)
    if isinstance(index, Gather):
        return Gather(index.view.at(names))
    affine = {name: inner for name in index.axes if isinstance(inner := names.get(name, axis(name)), Index)}
    if len(affine) == len(index.axes):
        return substituted(index, affine)
    total = table.constant(index.offset)
    for term, factor in index.terms:
        inner = Index(((term, 1),)) if isinstance(term, Size) else names.get(term, axis(term))
        total = total + table.number_of(inner) * factor
    return Gather(total)


def positional(node: Node) -> View:
    """The node read at its own axes: the view that a pass over the nodes works with."""
    return node.own
