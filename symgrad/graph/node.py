"""Nodes, the views that read them, and the table that interns them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

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


class Node:
    """One operation applied to its arguments. Immutable, made by `Table.apply` only; equality is identity."""

    __slots__ = ("arguments", "attribute", "fixed", "gate", "gathered", "loops", "number", "own", "rank", "table")

    gate: Gate
    arguments: tuple[View, ...]  # edges: their index expressions are over this node's axes, as positions
    attribute: Attribute
    rank: int
    loops: int  # axes that the operation loops over: its own, and those that it reduces
    gathered: tuple[View, ...]  # integer views that its index expressions read
    fixed: bool  # depends on no input
    number: int  # of creation: arguments come before the nodes that read them
    table: Table
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
        found = [node for node, _ in self.arguments]
        return found + [node for node, _ in self.gathered] if self.gathered else found

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
        return View(self.node, tuple(_substitute(index, names, self.node.table) for index in self.index))

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
        if self.index is self.node.own.index:
            return self.node.arguments
        names = dict(enumerate(self.index))
        return tuple(edge.at(names) for edge in self.node.arguments)

    def __str__(self) -> str:
        return f"%{self.node.number}{_read_text(self)}"

    @property
    def number(self) -> Number | None:
        """The exact number if this is a constant, else None."""
        return self.node.constant if self.node.gate.name == "constant" else None


def plain_axis(index: AnyIndex) -> Axis | None:
    """The axis that the index expression just is, or None."""
    if isinstance(index, Index) and index.offset == 0 and len(index.terms) == 1:
        term, factor = index.terms[0]
        if factor == 1 and not isinstance(term, Size):
            return term
    return None


def _plain_read(names: tuple[Axis, ...]) -> tuple[Index, ...]:
    own = own_axes(len(names))
    return own if names == tuple(range(len(names))) else tuple(axis(name) for name in names)


def _in_order(part: int | tuple[int, tuple[AnyIndex, ...]]) -> tuple[int, str]:
    return (part[0], repr(part[1])) if isinstance(part, tuple) else (part, "")


def _substitute(index: AnyIndex, names: Mapping[Axis, AnyIndex], table: Table) -> AnyIndex:
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


@dataclass(eq=False)
class Table:
    """The intern table of one compilation: no two nodes say the same."""

    gates: dict[str, Gate]
    nodes: list[Node] = field(default_factory=list)
    _interned: dict[Hashable, Node] = field(default_factory=dict)
    has_sizes: bool = False  # whether any node is a symbolic extent
    _whole_numbers: dict[int, View] = field(default_factory=dict)  # the constants that are asked for most
    _fresh: int = 1 << 20  # names of axes; positions are far below
    loop_names: dict[Node, tuple[Axis, ...]] = field(default_factory=dict)  # with which a reduction was first made

    def fresh(self) -> Axis:
        """A new name for an axis."""
        self._fresh += 1
        return self._fresh

    def apply(self, gate: Gate, *views: View, attribute: Attribute = None) -> View:
        """The view of `gate` applied to `views`; its axes are those of the views, in order of first occurrence."""
        own: tuple[AnyIndex, ...] = own_axes(0)
        numbers = []
        for node, index in views:
            if index and index is not own:
                if own or index is not node.own.index:
                    break
                own = index
            numbers.append(node.number)
        else:  # all are read at the same own axes, or at none: the common case, and the one that must be quick
            if gate.commutative:
                numbers.sort()
            key = (gate.name, *numbers, attribute, len(own), None)
            made = self._interned.get(key)
            if made is None:
                made = self._entered(key, gate, views, attribute, len(own), None, ())
            return made.own
        names = _axes_in_order(views, gate.commutative)
        edges = [_renamed(view, names) for view in views]
        return View(self.intern(gate, tuple(edges), attribute, len(names)), _plain_read(tuple(names)))

    def reduce(
        self,
        gate: Gate,
        body: View,
        reduced: Iterable[Axis],
        constraints: Iterable[Index],
        out: tuple[AnyIndex, ...] | None = None,
        result: tuple[Axis, ...] = (),
    ) -> View:
        """The reduction of `body` over the axes `reduced`, for which all `constraints` are >= 0.

        `out` are the index expressions where each term arrives in an array over the axes `result`; by default the
        result is over all other axes.
        """
        names = _axes_in_order([body], False)
        for index in sorted(constraints, key=repr):
            names.update((name, 0) for name in index.axes if name not in names)
        for place in out or ():
            names.update((name, 0) for name in place.axes if name not in names)
        inner = set(reduced)
        ordered = (
            list(names) if out is not None else [n for n in names if n not in inner] + [n for n in names if n in inner]
        )
        positions = dict(zip(ordered, range(len(ordered)), strict=True))
        edge = _renamed(body, positions)
        kept = [name for name in ordered if name not in inner]
        own: tuple[AnyIndex, ...] = own_axes(len(kept))
        if out is not None:
            own = tuple(index.renamed(positions) for index in out)
        limits = tuple(sorted({index.renamed(positions) for index in constraints}, key=repr))
        node = self.intern(gate, (edge,), Reduction(own, limits), len(own), len(ordered))
        self.loop_names.setdefault(node, tuple(ordered))
        return View(node, _plain_read(tuple(kept) if out is None else result))

    def whole(
        self,
        gate: Gate,
        views: Sequence[View],
        axes: Sequence[tuple[Axis, ...]],
        rank: int,
        sizes: tuple[Index, ...],
    ) -> Node:
        """A gate of whole arrays (an inverse, a solution): `views` are read over all of `axes`, each 0 .. size - 1."""
        names = {name: rank + i for i, name in enumerate(name for own in axes for name in own)}
        edges = tuple(_renamed(view, names) for view in views)
        return self.intern(gate, edges, sizes, rank, rank + len(names))

    def position(self, index: Index) -> View:
        """The value of an axis itself."""
        return View(self.intern(self.gates["position"], (), None, 1), (index,))

    def size(self, size: Size) -> View:
        """The value of a symbolic extent."""
        return View(self.intern(self.gates["size"], (), size, 0))

    def number_of(self, index: AnyIndex) -> View:
        """The value of an index expression."""
        if isinstance(index, Gather):
            return index.view
        total: View | None = None
        for term, factor in index.terms:
            one = self.size(term) if isinstance(term, Size) else self.position(axis(term))
            one = one if factor == 1 else one * factor
            total = one if total is None else total + one
        if total is None:
            return self.constant(index.offset)
        return total + index.offset if index.offset else total

    def constant(self, number: Number | int) -> View:
        """A constant, exact until a target rounds it."""
        if not isinstance(number, int):
            return self.intern(self.gates["constant"], (), number, 0).own
        known = self._whole_numbers.get(number)
        if known is None:
            known = self._whole_numbers[number] = self.intern(self.gates["constant"], (), Fraction(number), 0).own
        return known

    def input(self, position: int, axes: tuple[Axis, ...]) -> View:
        """The input number `position`, an array over `axes`."""
        return View(self.intern(self.gates["input"], (), position, len(axes)), _plain_read(axes))

    def intern(
        self, gate: Gate, edges: tuple[View, ...], attribute: Attribute, rank: int, loops: int | None = None
    ) -> Node:
        # The order of a sum is kept as first written and only the key is sorted: a*b and b*a are one node.
        parts: list[int | tuple[int, tuple[AnyIndex, ...]]] = [
            source.number if index is source.own.index else (source.number, index) for source, index in edges
        ]
        if gate.commutative:
            parts.sort(key=_in_order)
        key = (gate.name, *parts, attribute, rank, loops)
        node = self._interned.get(key)
        if node is None:
            node = self._entered(key, gate, edges, attribute, rank, loops, _gathered(edges, attribute))
        return node

    def _entered(
        self,
        key: Hashable,
        gate: Gate,
        edges: tuple[View, ...],
        attribute: Attribute,
        rank: int,
        loops: int | None,
        gathered: tuple[View, ...],
    ) -> Node:
        node = self._interned[key] = Node()
        node.gate, node.arguments, node.attribute, node.rank, node.gathered = gate, edges, attribute, rank, gathered
        node.loops, node.fixed = (rank, True) if loops is None else (loops, False)
        if edges:
            for source, _ in edges:
                if not source.fixed:
                    node.fixed = False
                    break
        else:
            node.fixed = gate.name not in _VARYING_LEAVES
            self.has_sizes = self.has_sizes or gate.name == "size"
        node.number, node.table = len(self.nodes), self
        node.own = View(node, own_axes(rank))
        self.nodes.append(node)
        return node


_VARYING_LEAVES = {"input", "position", "size"}


def _axes_in_order(views: Sequence[View], commutative: bool) -> dict[Axis, Axis]:
    """The axes of the views numbered by first occurrence; of a commutative gate in an order of its own.

    So a + b and b + a have the same axes: by the number of the node, then those first that reuse numbered axes.
    """
    names: dict[Axis, Axis] = {}
    if not commutative or len(views) > 16:
        for view in views:
            for name in view.axes:
                names.setdefault(name, len(names))
        return names
    rest = list(views)
    while rest:
        best = min(
            rest, key=lambda view: (view.node.number, [names.get(n, 1 << 30) for n in view.axes], _shape(view.index))
        )
        rest.remove(best)
        for name in best.axes:
            names.setdefault(name, len(names))
    return names


def _shape(indices: tuple[AnyIndex, ...]) -> str:
    """What index expressions look like whatever their axes are called."""
    return repr(
        [([factor for _, factor in i.terms], i.offset) if isinstance(i, Index) else i.view.node.number for i in indices]
    )


def _renamed(view: View, names: Mapping[Axis, Axis]) -> View:
    index = tuple(place.renamed(names) for place in view.index)
    own = own_axes(len(index))
    return View(view.node, own if index == own else index)


def _gathered(edges: tuple[View, ...], attribute: Attribute) -> tuple[View, ...]:
    indices: list[Gather] = []
    for edge in edges:
        if edge.index is not edge.node.own.index:  # else the common case, and the one that must be quick
            indices += [index for index in edge.index if isinstance(index, Gather)]
    if isinstance(attribute, Reduction):
        indices += [index for index in attribute.out if isinstance(index, Gather)]
    if not indices:
        return ()
    found: list[View] = []
    while indices:
        view = indices.pop().view
        found.append(view)
        indices += [index for index in view.index if isinstance(index, Gather)]
    return tuple(found)


def positional(node: Node) -> View:
    """The node read at its own axes: the view that a pass over the nodes works with."""
    return node.own
