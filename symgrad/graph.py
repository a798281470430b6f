"""The graph: interned nodes that are functions of integers, with index maps on their edges.

    graph    = inputs, values, gradients          lists of views into one table of nodes
    view     = node [index, ...]                  a node read at index expressions over named axes
    node     = operation (edge, ...) attribute    a function of `rank` integers: its axes 0 .. rank - 1
    edge     = node [index, ...]                  index expressions over the loop axes of the node that reads
    index    = coefficient*axis + ... + offset    affine in axes and symbolic extents
             | gather view                        or the value of an integer view

A node has a rank and no extents: ranges live in inputs and reductions. Axes are positions and names live on views, so
interning (hash-consing) unifies sub-expressions up to the renaming of indices; it is the whole of the
common-subexpression elimination, for the forward and the backward part alike, at O(1) a node.

An elementwise node loops over its own axes. A reduction loops over more: its attribute says at which index expressions
of the loop axes each term arrives (`out`) and for which loops there is one (`constraints`, affine forms >= 0), so that
nested and triangular sums, scatter-adds and guards (0 outside of a domain) are one thing.
A scalar expression that is evaluated at many points is a graph whose inputs have one axis, the points.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

Axis = int  # the name of an axis on a view (a position inside a node)
Number = Fraction | str  # an exact constant: a rational, or the name of a row of gates.CONSTANTS


class Size(NamedTuple):
    """A symbolic extent, by name."""

    name: str


Term = Axis | Size


class Index(NamedTuple):
    """An affine index expression: the sum of coefficient*term over `terms` (axes, then extents), plus `offset`."""

    terms: tuple[tuple[Term, int], ...]
    offset: int = 0

    def renamed(self, names: Mapping[Axis, Axis]) -> Index:
        return _affine([(names.get(term, term), factor) for term, factor in self.terms], self.offset)  # type: ignore

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(term for term, _ in self.terms if not isinstance(term, Size))

    def plus(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.terms, self.offset + other)
        return _affine([*self.terms, *other.terms], self.offset + other.offset)

    def minus(self, other: Index | int) -> Index:
        return self.plus(-other if isinstance(other, int) else other.scaled(-1))

    def scaled(self, factor: int) -> Index:
        return _affine([(term, factor * own) for term, own in self.terms], factor * self.offset)

    def coefficient(self, term: Term) -> int:
        return dict(self.terms).get(term, 0)

    def __str__(self) -> str:
        parts = [
            ("" if factor == 1 else "-" if factor == -1 else f"{factor}*") + _term_text(term)
            for term, factor in self.terms
        ]
        if self.offset or not parts:
            parts.append(str(self.offset))
        return " + ".join(parts).replace("+ -", "- ")


def _term_text(term: Term) -> str:
    return term.name if isinstance(term, Size) else f"axis{term}"


def _affine(terms: Iterable[tuple[Term, int]], offset: int) -> Index:
    """The affine form in its canonical order, equal terms together."""
    total: dict[Term, int] = {}
    for term, factor in terms:
        total[term] = total.get(term, 0) + factor
    kept = [(term, factor) for term, factor in total.items() if factor]
    if len(kept) > 1:
        kept.sort(key=lambda pair: (1, pair[0].name) if isinstance(pair[0], Size) else (0, pair[0]))
    return Index(tuple(kept), offset)


class Gather(NamedTuple):
    """An index that is the value of an integer view."""

    view: View

    def renamed(self, names: Mapping[Axis, Axis]) -> Gather:
        return Gather(View(self.view.node, tuple(index.renamed(names) for index in self.view.index)))

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.view.axes

    def __str__(self) -> str:
        return f"%{self.view.node.number}{_read_text(self.view)}"


AnyIndex = Index | Gather


def axis(name: Axis) -> Index:
    """The index expression that is just the axis `name`."""
    return Index(((name, 1),))


def number_index(number: int) -> Index:
    """The index expression that is a number."""
    return Index((), number)


class Reduction(NamedTuple):
    """Where the terms of a reduction go, over its loop axes: index expressions of the result, and affine forms >= 0."""

    out: tuple[AnyIndex, ...]
    constraints: tuple[Index, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the result's axes are the first loop axes, in order."""
        return self.out == _own_axes(len(self.out))


@dataclass(frozen=True, eq=False)
class Gate:
    """An operation: everything that is known of it. The rows are in gates.py."""

    name: str
    # The partial derivative by each argument, as views: called with the result, then the arguments.
    local_gradients: Callable[..., tuple[View, ...]] | None = None
    # The same value said in simpler gates; applied after differentiation. None: the target spells the gate.
    expansion: Callable[..., View] | None = None
    numpy: Callable[..., Any] | None = None  # reference implementation on floats and arrays
    mpmath: Callable[..., Any] | None = None  # reference implementation at any precision
    kind: str = "real"  # of the result: real, integer or boolean
    commutative: bool = False
    safe: Callable[..., View] | None = None  # of a limited domain: a point in it, made of the first argument
    label: str = ""  # what people write on it in a drawing; empty: its name
    # Whether it is an analytic function (but for poles and branch points), so that a complex step gives its derivative:
    # then its reference for mpmath takes complex numbers.
    analytic: bool = True


class Node:
    """One operation applied to its arguments. Immutable, made by `Table.apply` only; equality is identity."""

    __slots__ = ("arguments", "attribute", "fixed", "gate", "gathered", "loops", "number", "rank", "table")

    gate: Gate
    arguments: tuple[View, ...]  # edges: their index expressions are over this node's axes, as positions
    attribute: Any  # what else the operation needs: the number of a constant, the Reduction of a sum
    rank: int
    loops: int  # axes that the operation loops over: its own, and those that it reduces
    gathered: tuple[View, ...]  # integer views that its index expressions read
    fixed: bool  # depends on no input
    number: int  # of creation: arguments come before the nodes that read them
    table: Table

    @property
    def kind(self) -> str:
        return self.gate.kind

    @property
    def sources(self) -> list[Node]:
        """The nodes that this one reads."""
        return [edge.node for edge in self.arguments] + [view.node for view in self.gathered]

    def __repr__(self) -> str:
        inside = ", ".join(f"%{edge.node.number}{_read_text(edge)}" for edge in self.arguments)
        extra = "" if self.attribute is None else f" [{self.attribute}]"
        if isinstance(self.attribute, Reduction):
            extra = f" for {', '.join(f'{constraint} >= 0' for constraint in self.attribute.constraints)}"
            if not self.attribute.is_plain:
                extra += f" at [{', '.join(map(str, self.attribute.out))}]"
        return f"%{self.number} = {self.gate.name}({inside}){extra}"


def _read_text(view: View) -> str:
    # The axis of a scalar expression's points goes without saying.
    plain = view.index == _own_axes(len(view.index)) and len(view.index) < 2
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

    def _with(self, gate: str, *others: View | int | Fraction, swap: bool = False) -> View:
        table = self.node.table
        views = [self, *(other if isinstance(other, View) else table.constant(other) for other in others)]
        return table.apply(table.gates[gate], *(reversed(views) if swap else views))

    def __add__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._with("add", other)

    def __radd__(self, other: int | Fraction) -> View:
        return self._with("add", other, swap=True)

    def __sub__(self, other: View | int | Fraction) -> View:
        return self + -(other if isinstance(other, View) else self.node.table.constant(other))

    def __rsub__(self, other: int | Fraction) -> View:
        return self.node.table.constant(other) + -self

    def __mul__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._with("mul", other)

    def __rmul__(self, other: int | Fraction) -> View:  # type: ignore[override]
        return self._with("mul", other, swap=True)

    def __truediv__(self, other: View | int | Fraction) -> View:
        return self._with("div", other)

    def __rtruediv__(self, other: int | Fraction) -> View:
        return self._with("div", other, swap=True)

    def __neg__(self) -> View:
        return self._with("neg")

    def __lt__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._with("lt", other)

    def __gt__(self, other: View | int | Fraction) -> View:  # type: ignore[override]
        return self._with("lt", other, swap=True)

    def equals(self, other: View | int | Fraction) -> View:
        return self._with("eq", other)

    def where(self, taken: View | int | Fraction, otherwise: View | int | Fraction) -> View:
        """`taken` where this condition holds, else `otherwise`."""
        return self._with("select", taken, otherwise)

    def call(self, gate: str, *others: View) -> View:
        """The gate of that name applied to this view and the others."""
        return self._with(gate, *others)

    @property
    def arguments(self) -> tuple[View, ...]:
        """The arguments of the node that is read, in this view's own axis names."""
        if self.index is _own_axes(self.node.rank):
            return self.node.arguments
        names = dict(enumerate(self.index))
        return tuple(edge.at(names) for edge in self.node.arguments)

    @property
    def number(self) -> Number | None:
        """The exact number if this is a constant, else None."""
        return self.node.attribute if self.node.gate.name == "constant" else None


def plain_axis(index: AnyIndex) -> Axis | None:
    """The axis that the index expression just is, or None."""
    if isinstance(index, Index) and index.offset == 0 and len(index.terms) == 1:
        term, factor = index.terms[0]
        if factor == 1 and not isinstance(term, Size):
            return term
    return None


@cache
def _own_axes(rank: int) -> tuple[Index, ...]:
    """The index expressions with which a node is read at its own axes: one object, so that `is` tells it."""
    return tuple(axis(position) for position in range(rank))


def _plain_read(names: tuple[Axis, ...]) -> tuple[Index, ...]:
    own = _own_axes(len(names))
    return own if names == tuple(range(len(names))) else tuple(axis(name) for name in names)


def _in_order(part: Any) -> tuple[int, str]:
    return (part[0], repr(part[1])) if isinstance(part, tuple) else (part, "")


def _substitute(index: AnyIndex, names: Mapping[Axis, AnyIndex], table: Table) -> AnyIndex:
    plain = plain_axis(index)
    if plain is not None:
        return names.get(plain, index)
    if isinstance(index, Gather):
        return Gather(index.view.at(names))
    if not any(isinstance(names.get(name), Gather) for name in index.axes):
        result = Index((), index.offset)
        for term, factor in index.terms:
            inner = Index(((term, 1),)) if isinstance(term, Size) else names.get(term, axis(term))
            result = result.plus(inner.scaled(factor))  # type: ignore[union-attr]
        return result
    total = table.constant(index.offset)
    for term, factor in index.terms:
        inner = Index(((term, 1),)) if isinstance(term, Size) else names.get(term, axis(term))
        total = total + table.number_of(inner) * factor
    return Gather(total)


def substituted(index: Index, names: Mapping[Axis, Index]) -> Index:
    """An affine index expression with affine ones put in for its axes."""
    result = Index((), index.offset)
    for term, factor in index.terms:
        inner = Index(((term, 1),)) if isinstance(term, Size) else names.get(term, axis(term))
        result = result.plus(inner.scaled(factor))
    return result


@dataclass(eq=False)
class Table:
    """The intern table of one compilation: no two nodes say the same."""

    gates: dict[str, Gate]
    nodes: list[Node] = field(default_factory=list)
    _interned: dict[Hashable, Node] = field(default_factory=dict)
    _fresh: int = 1 << 20  # names of axes; positions are far below
    loop_names: dict[Node, tuple[Axis, ...]] = field(default_factory=dict)  # with which a reduction was first made

    def fresh(self) -> Axis:
        """A new name for an axis."""
        self._fresh += 1
        return self._fresh

    def apply(self, gate: Gate, *views: View, attribute: Hashable = None) -> View:
        """The view of `gate` applied to `views`; its axes are those of the views, in order of first occurrence."""
        first = next((view.index for view in views if view.index), ())
        if first is _own_axes(len(first)):
            for view in views:
                if view.index is not first and view.index:
                    break
            else:  # all are read at the same own axes, or at none: the common case, and the one that must be quick
                return View(self._intern(gate, views, attribute, len(first)), first)
        names = _axes_in_order(views, gate.commutative)
        edges = [_renamed(view, names) for view in views]
        return View(self._intern(gate, tuple(edges), attribute, len(names)), _plain_read(tuple(names)))

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
        own: tuple[AnyIndex, ...] = _own_axes(len(kept))
        if out is not None:
            own = tuple(index.renamed(positions) for index in out)
        limits = tuple(sorted({index.renamed(positions) for index in constraints}, key=repr))
        node = self._intern(gate, (edge,), Reduction(own, limits), len(own), len(ordered))
        self.loop_names.setdefault(node, tuple(ordered))
        return View(node, _plain_read(tuple(kept) if out is None else result))

    def whole(self, gate: Gate, views: Sequence[View], axes: Sequence[tuple[Axis, ...]], rank: int, sizes: Any) -> Node:
        """A gate of whole arrays (an inverse, a solution): `views` are read over all of `axes`, each 0 .. size - 1."""
        names = {name: rank + i for i, name in enumerate(name for own in axes for name in own)}
        edges = tuple(_renamed(view, names) for view in views)
        return self._intern(gate, edges, sizes, rank, rank + len(names))

    def position(self, index: Index) -> View:
        """The value of an axis itself."""
        return View(self._intern(self.gates["position"], (), None, 1), (index,))

    def size(self, size: Size) -> View:
        """The value of a symbolic extent."""
        return View(self._intern(self.gates["size"], (), size, 0))

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

    def rebuild(self, node: Node, views: Mapping[Node, View]) -> View:
        """The view that replaces `node` where `views` replace those that it reads; over the node's own axes."""
        if not node.arguments:
            return View(self._intern(node.gate, (), node.attribute, node.rank), _own_axes(node.rank))
        arguments = [_read(views, edge) for edge in node.arguments]
        if isinstance(node.attribute, Reduction):
            own = node.attribute
            out = tuple(_read_index(views, index) for index in own.out)
            if own.is_plain:
                return self.reduce(node.gate, arguments[0], range(node.rank, node.loops), own.constraints)
            return self.reduce(node.gate, arguments[0], (), own.constraints, out, tuple(range(node.rank)))
        if node.loops != node.rank:
            inside = tuple(range(node.rank, node.loops))
            edges = tuple(arguments)
            made = self._intern(node.gate, edges, node.attribute, node.rank, node.rank + len(inside))
            return View(made, _own_axes(node.rank))
        return self.apply(node.gate, *arguments, attribute=node.attribute)

    def constant(self, number: Number | int) -> View:
        """A constant, exact until a target rounds it."""
        exact = Fraction(number) if isinstance(number, int) else number
        return View(self._intern(self.gates["constant"], (), exact, 0))

    def input(self, position: int, axes: tuple[Axis, ...]) -> View:
        """The input number `position`, an array over `axes`."""
        return View(self._intern(self.gates["input"], (), position, len(axes)), _plain_read(axes))

    def _intern(
        self, gate: Gate, edges: tuple[View, ...], attribute: Hashable, rank: int, loops: int | None = None
    ) -> Node:
        # The order of a sum is kept as first written and only the key is sorted: a*b and b*a are one node.
        parts: list[Any] = [
            edge.node.number if edge.index is _own_axes(len(edge.index)) else (edge.node.number, edge.index)
            for edge in edges
        ]
        if gate.commutative:
            parts.sort(key=_in_order)
        key = (gate.name, *parts, attribute, rank, loops)
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = Node()
            node.gate, node.arguments, node.attribute, node.rank = gate, edges, attribute, rank
            node.loops = rank if loops is None else loops
            node.gathered = _gathered(edges, attribute)
            node.fixed = gate.name not in _VARYING_LEAVES and loops is None and all(e.node.fixed for e in edges)
            node.number, node.table = len(self.nodes), self
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
    own = _own_axes(len(index))
    return View(view.node, own if index == own else index)


def _gathered(edges: tuple[View, ...], attribute: Any) -> tuple[View, ...]:
    indices: list[Gather] = []
    for edge in edges:
        if edge.index is not _own_axes(len(edge.index)):  # else the common case, and the one that must be quick
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


@dataclass(frozen=True, eq=False)
class Graph:
    """What is computed: inputs by name, the values, and the gradients of the (first) value, as views of one table."""

    table: Table
    inputs: tuple[str, ...]  # their names as the user wrote them
    values: tuple[View, ...]
    gradients: tuple[View, ...] = ()
    wrt: tuple[int, ...] = ()  # the inputs that the gradients belong to, by position
    names: dict[Node, str] = field(default_factory=dict)  # the user's names for intermediate results
    adjoints: dict[Node, Node] = field(default_factory=dict)  # which node's adjoint a node is
    # The extents of each input, affine in symbolic sizes; None for a graph of scalars over points.
    shapes: tuple[tuple[Index, ...], ...] | None = None
    labels: dict[Node, tuple[str, ...]] = field(default_factory=dict)  # the user's names of a reduction's loop axes
    integers: frozenset[int] = frozenset()  # positions of inputs that hold integers: labels, tables of indices
    # Extents that are the larger ("max") or smaller ("min") of two affine forms, in the order in which they depend.
    derived: dict[str, tuple[str, Index, Index]] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[View, ...]:
        return self.values + self.gradients

    def order(self) -> list[Node]:
        """The nodes that the outputs need, arguments first."""
        return reachable(view.node for view in self.outputs)

    def compact(self) -> Graph:
        """The same graph in a table of its own, numbered so that arguments stand right before their readers."""
        table = Table(self.table.gates)
        views: dict[Node, View] = {}
        stack: list[tuple[Node, bool]] = [(view.node, False) for view in reversed(self.outputs)]
        while stack:
            node, ready = stack.pop()
            if node in views:
                continue
            if ready or not node.arguments:
                views[node] = table.rebuild(node, views)
            else:
                stack.append((node, True))
                stack.extend((source, False) for source in reversed(node.sources) if source not in views)
        return replace(self.rebuilt(views), table=table)

    def rebuilt(self, views: dict[Node, View]) -> Graph:
        """The same graph with every node replaced by a view: what a pass returns."""
        values = [_read(views, view) for view in self.values]
        return replace(
            self,
            values=tuple(values if self.shapes is None else map(as_node, values)),
            gradients=tuple(_read(views, view) for view in self.gradients),
            names={views[node].node: name for node, name in self.names.items() if node in views},
            adjoints={
                views[node].node: views[of].node for node, of in self.adjoints.items() if node in views and of in views
            },
            labels={
                views[node].node: names
                for node, names in self.labels.items()
                if node in views and views[node].node.loops == len(names)
            },
        )

    def rows(self) -> dict[str, Any]:
        """The graph as plain data, for pickling: a pickle of linked nodes would recurse."""
        order = self.order()
        place = {node: i for i, node in enumerate(order)}

        def flat(view: View) -> tuple[int, tuple[Any, ...]]:
            return place[view.node], tuple(map(flat_index, view.index))

        def flat_index(index: AnyIndex) -> Any:
            if isinstance(index, Gather):
                return flat(index.view)
            return (
                tuple((t.name if isinstance(t, Size) else t, factor) for t, factor in index.terms),
                index.offset,
                None,
            )

        def flat_attribute(attribute: Any) -> Any:
            if isinstance(attribute, Reduction):
                return "reduction", tuple(map(flat_index, attribute.out)), tuple(map(flat_index, attribute.constraints))
            return attribute

        return {
            "nodes": [
                (
                    node.gate.name,
                    tuple(map(flat, node.arguments)),
                    flat_attribute(node.attribute),
                    node.rank,
                    node.loops,
                )
                for node in order
            ],
            "inputs": self.inputs,
            "wrt": self.wrt,
            "values": tuple(map(flat, self.values)),
            "gradients": tuple(map(flat, self.gradients)),
            "names": {place[node]: name for node, name in self.names.items() if node in place},
            "adjoints": {place[node]: place[of] for node, of in self.adjoints.items() if node in place and of in place},
            "shapes": self.shapes,
            "labels": {place[node]: names for node, names in self.labels.items() if node in place},
            "integers": self.integers,
            "derived": self.derived,
        }

    @staticmethod
    def from_rows(rows: dict[str, Any], gates: dict[str, Gate]) -> Graph:
        """The graph that `rows` were made of."""
        table = Table(dict(gates))
        nodes: list[Node] = []

        def view(flat: tuple[int, tuple[Any, ...]]) -> View:
            return View(nodes[flat[0]], tuple(map(index, flat[1])))

        def index(flat: Any) -> AnyIndex:
            if len(flat) == 2:
                return Gather(view(flat))
            return Index(tuple((Size(t) if isinstance(t, str) else t, factor) for t, factor in flat[0]), flat[1])

        def attribute(flat: Any) -> Any:
            if isinstance(flat, tuple) and flat[:1] == ("reduction",):
                return Reduction(tuple(map(index, flat[1])), tuple(map(index, flat[2])))  # type: ignore[arg-type]
            return flat

        for name, arguments, extra, rank, loops in rows["nodes"]:
            looped = loops if loops != rank or isinstance(attribute(extra), Reduction) else None
            edges = tuple(map(view, arguments))
            nodes.append(table._intern(table.gates[name], edges, attribute(extra), rank, looped))
        return Graph(
            table,
            rows["inputs"],
            tuple(map(view, rows["values"])),
            tuple(map(view, rows["gradients"])),
            rows["wrt"],
            {nodes[i]: name for i, name in rows["names"].items()},
            {nodes[i]: nodes[of] for i, of in rows["adjoints"].items()},
            rows["shapes"],
            {nodes[i]: names for i, names in rows["labels"].items()},
            rows["integers"],
            rows["derived"],
        )

    def __str__(self) -> str:
        lines = [repr(node) for node in self.order()]
        lines += [f"value %{view.node.number}" for view in self.values]
        lines += [
            f"d_{self.inputs[position]} %{view.node.number}"
            for position, view in zip(self.wrt, self.gradients, strict=True)
        ]
        return "\n".join(lines)


def _read(views: Mapping[Node, View], edge: View) -> View:
    """What an edge reads after a pass: `views` say what replaced each node, over the node's own axes."""
    found = views[edge.node]
    if edge.index is _own_axes(len(edge.index)):
        return found
    at = tuple(_read_index(views, index) for index in edge.index)
    return found.at(dict(enumerate(at)))


def _read_index(views: Mapping[Node, View], index: AnyIndex) -> AnyIndex:
    return Gather(_read(views, index.view)) if isinstance(index, Gather) else index


def as_node(value: View) -> View:
    """A value as a node of its own, also where it is one entry of another.

    So the entry is read like any other: its index is checked, and the adjoint that goes back to it is that entry's.
    """
    table = value.node.table
    return table.reduce(table.gates["sum"], value, (), ()) if value.index else value


def sizes_of(graph: Graph) -> set[Size]:
    """The symbolic extents that a graph speaks of."""
    forms = [form for shape in graph.shapes or () for form in shape]
    found = set()
    for node in graph.order():
        if node.gate.name == "size":
            found.add(node.attribute)
        if isinstance(node.attribute, Reduction):
            forms += node.attribute.constraints
        elif node.loops != node.rank:  # the lengths of whole arrays
            forms += node.attribute
        forms += [
            index for edge in (*node.arguments, *node.gathered) for index in edge.index if isinstance(index, Index)
        ]
    return found | {term for form in forms for term, _ in form.terms if isinstance(term, Size)}


def reachable(roots: Iterable[Node]) -> list[Node]:
    """The nodes that `roots` need, arguments first (creation order), found without recursion."""
    seen: set[Node] = set()
    stack: list[Node] = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(edge.node for edge in node.arguments)
            if node.gathered:
                stack.extend(view.node for view in node.gathered)
    return sorted(seen, key=lambda node: node.number)


def positional(node: Node) -> View:
    """The node read at its own axes: the view that a pass over the nodes works with."""
    return View(node, _own_axes(node.rank))


def translated(views: Mapping[Node, View], edges: Sequence[View]) -> list[View]:
    """The arguments of a node after a pass: each edge reads the view that replaced its node."""
    return [_read(views, edge) for edge in edges]


@contextmanager
def no_collection() -> Iterator[None]:
    """Building a graph makes many objects and no garbage: the collector would walk all of them, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
