"""The graph: interned nodes that are functions of integers, with index maps on their edges.

    graph    = inputs, values, gradients          lists of views into one table of nodes
    view     = node [index, ...]                  a node read at index expressions over named axes
    node     = operation (edge, ...) attribute    a function of `rank` integers: its axes 0 .. rank - 1
    edge     = node [index, ...]                  index expressions over the axes of the node that reads
    index    = coefficient*axis + ... + offset    affine

A node has a rank and no extents: ranges live in inputs and reductions. Axes are positions and names live on views, so
interning (hash-consing) unifies sub-expressions up to the renaming of indices; it is the whole of the
common-subexpression elimination, for the forward and the backward part alike, at O(1) a node.
A scalar expression that is evaluated at many points is a graph whose inputs have one axis, the points.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

Axis = Hashable  # the name of an axis on a view (a position inside a node)
Number = Fraction | str  # an exact constant: a rational, or the name of a row of gates.CONSTANTS


class Index(NamedTuple):
    """An affine index expression: the sum of coefficient*axis over `terms`, plus `offset`."""

    terms: tuple[tuple[Axis, int], ...]
    offset: int = 0

    def renamed(self, names: dict[Axis, Axis]) -> Index:
        return Index(tuple((names[axis], coefficient) for axis, coefficient in self.terms), self.offset)


def axis(name: Axis) -> Index:
    """The index expression that is just the axis `name`."""
    return Index(((name, 1),))


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


class Node:
    """One operation applied to its arguments. Immutable, made by `Table.apply` only; equality is identity."""

    __slots__ = ("arguments", "attribute", "fixed", "gate", "number", "rank", "table")

    gate: Gate
    arguments: tuple[View, ...]  # edges: their index expressions are over this node's axes, as positions
    attribute: Any  # what else the operation needs: the number of a constant, the exponent of a power
    rank: int
    fixed: bool  # depends on no input
    number: int  # of creation: arguments come before the nodes that read them
    table: Table

    @property
    def kind(self) -> str:
        return self.gate.kind

    def __repr__(self) -> str:
        inside = ", ".join(f"%{edge.node.number}" for edge in self.arguments)
        extra = "" if self.attribute is None else f" [{self.attribute}]"
        return f"%{self.number} = {self.gate.name}({inside}){extra}"


class View(NamedTuple):
    """A node read at index expressions over named axes: what is passed around while a graph is built.

    The operators build nodes of the view's own table, so that a local gradient is written as `1 - y*y`.
    """

    node: Node
    index: tuple[Index, ...] = ()  # type: ignore[assignment]  # shadows tuple.index, which no one needs

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
        return tuple(
            View(edge.node, tuple(_substitute(index, names) for index in edge.index)) for edge in self.node.arguments
        )

    @property
    def number(self) -> Number | None:
        """The exact number if this is a constant, else None."""
        return self.node.attribute if self.node.gate.name == "constant" else None


def _is_plain(index: Index) -> bool:
    return index.offset == 0 and len(index.terms) == 1 and index.terms[0][1] == 1


@cache
def _own_axes(rank: int) -> tuple[Index, ...]:
    """The index expressions with which a node is read at its own axes: one object, so that `is` tells it."""
    return tuple(axis(position) for position in range(rank))


def _plain_read(names: tuple[Axis, ...]) -> tuple[Index, ...]:
    own = _own_axes(len(names))
    return own if names == tuple(range(len(names))) else tuple(axis(name) for name in names)


def _in_order(part: Any) -> tuple[Any, ...]:
    return part if isinstance(part, tuple) else (part,)


def _substitute(index: Index, names: dict[int, Index]) -> Index:
    if _is_plain(index):
        return names[index.terms[0][0]]  # type: ignore[index]
    total: dict[Axis, int] = {}
    offset = index.offset
    for position, coefficient in index.terms:
        inner = names[position]  # type: ignore[index]
        offset += coefficient * inner.offset
        for name, factor in inner.terms:
            total[name] = total.get(name, 0) + coefficient * factor
    return Index(tuple((name, factor) for name, factor in total.items() if factor), offset)


@dataclass(eq=False)
class Table:
    """The intern table of one compilation: no two nodes say the same."""

    gates: dict[str, Gate]
    nodes: list[Node] = field(default_factory=list)
    _interned: dict[Hashable, Node] = field(default_factory=dict)

    def apply(self, gate: Gate, *views: View, attribute: Hashable = None) -> View:
        """The view of `gate` applied to `views`; its axes are those of the views, in order of first occurrence."""
        first = next((view.index for view in views if view.index), ())
        if first is _own_axes(len(first)):
            for view in views:
                if view.index is not first and view.index:
                    break
            else:  # all are read at the same own axes, or at none: the common case, and the one that must be quick
                return View(self._intern(gate, views, attribute, len(first)), first)
        names: list[Axis] = []
        for view in views:
            for index in view.index:
                for name, _ in index.terms:
                    if name not in names:
                        names.append(name)
        positions: dict[Axis, Axis] = {name: position for position, name in enumerate(names)}
        edges = tuple(View(view.node, tuple(index.renamed(positions) for index in view.index)) for view in views)
        return View(self._intern(gate, edges, attribute, len(names)), _plain_read(tuple(names)))

    def constant(self, number: Number | int) -> View:
        """A constant, exact until a target rounds it."""
        exact = Fraction(number) if isinstance(number, int) else number
        return View(self._intern(self.gates["constant"], (), exact, 0))

    def input(self, position: int, axes: tuple[Axis, ...]) -> View:
        """The input number `position`, an array over `axes`."""
        return View(self._intern(self.gates["input"], (), position, len(axes)), _plain_read(axes))

    def _intern(self, gate: Gate, edges: tuple[View, ...], attribute: Hashable, rank: int) -> Node:
        # The order of a sum is kept as first written and only the key is sorted: a*b and b*a are one node.
        parts: list[Any] = [
            edge.node.number if edge.index is _own_axes(len(edge.index)) else (edge.node.number, edge.index)
            for edge in edges
        ]
        if gate.commutative:
            parts.sort(key=_in_order)
        key = (gate.name, *parts, attribute, rank)
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = Node()
            node.gate, node.arguments, node.attribute, node.rank = gate, edges, attribute, rank
            node.fixed = gate.name != "input" and all(edge.node.fixed for edge in edges)
            node.number, node.table = len(self.nodes), self
            self.nodes.append(node)
        return node


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
            if node.gate.name == "input":
                views[node] = table.input(node.attribute, tuple(range(node.rank)))
            elif ready or not node.arguments:
                views[node] = table.apply(node.gate, *translated(views, node.arguments), attribute=node.attribute)
            else:
                stack.append((node, True))
                stack.extend((edge.node, False) for edge in reversed(node.arguments) if edge.node not in views)
        return replace(self.rebuilt(views), table=table)

    def rebuilt(self, views: dict[Node, View]) -> Graph:
        """The same graph with every node replaced by a view: what a pass returns."""
        return replace(
            self,
            values=tuple(_read(views[view.node], view.index) for view in self.values),
            gradients=tuple(_read(views[view.node], view.index) for view in self.gradients),
            names={views[node].node: name for node, name in self.names.items() if node in views},
            adjoints={
                views[node].node: views[of].node for node, of in self.adjoints.items() if node in views and of in views
            },
        )

    def rows(self) -> dict[str, Any]:
        """The graph as plain data, for pickling: a pickle of linked nodes would recurse."""
        order = self.order()
        place = {node: i for i, node in enumerate(order)}

        def flat(view: View) -> tuple[int, tuple[Any, ...]]:
            return place[view.node], tuple((index.terms, index.offset) for index in view.index)

        return {
            "nodes": [(node.gate.name, tuple(map(flat, node.arguments)), node.attribute, node.rank) for node in order],
            "inputs": self.inputs,
            "wrt": self.wrt,
            "values": tuple(map(flat, self.values)),
            "gradients": tuple(map(flat, self.gradients)),
            "names": {place[node]: name for node, name in self.names.items() if node in place},
            "adjoints": {place[node]: place[of] for node, of in self.adjoints.items() if node in place and of in place},
        }

    @staticmethod
    def from_rows(rows: dict[str, Any], gates: dict[str, Gate]) -> Graph:
        """The graph that `rows` were made of."""
        table = Table(dict(gates))
        nodes: list[Node] = []

        def view(flat: tuple[int, tuple[Any, ...]]) -> View:
            return View(nodes[flat[0]], tuple(Index(*index) for index in flat[1]))

        for name, arguments, attribute, rank in rows["nodes"]:
            nodes.append(table._intern(table.gates[name], tuple(map(view, arguments)), attribute, rank))
        return Graph(
            table,
            rows["inputs"],
            tuple(map(view, rows["values"])),
            tuple(map(view, rows["gradients"])),
            rows["wrt"],
            {nodes[i]: name for i, name in rows["names"].items()},
            {nodes[i]: nodes[of] for i, of in rows["adjoints"].items()},
        )

    def __str__(self) -> str:
        lines = [repr(node) for node in self.order()]
        lines += [f"value %{view.node.number}" for view in self.values]
        lines += [
            f"d_{self.inputs[position]} %{view.node.number}"
            for position, view in zip(self.wrt, self.gradients, strict=True)
        ]
        return "\n".join(lines)


def _read(view: View, at: tuple[Index, ...]) -> View:
    """A view whose axes are positions, read at `at`."""
    if at is _own_axes(len(at)):
        return view
    names = dict(enumerate(at))
    return View(view.node, tuple(_substitute(index, names) for index in view.index))


def reachable(roots: Iterable[Node]) -> list[Node]:
    """The nodes that `roots` need, arguments first (creation order), found without recursion."""
    seen: set[Node] = set()
    stack: list[Node] = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(edge.node for edge in node.arguments)
    return sorted(seen, key=lambda node: node.number)


def positional(node: Node) -> View:
    """The node read at its own axes: the view that a pass over the nodes works with."""
    return View(node, _own_axes(node.rank))


def translated(views: dict[Node, View], edges: Sequence[View]) -> list[View]:
    """The arguments of a node after a pass: each edge reads the view that replaced its node."""
    return [_read(views[edge.node], edge.index) for edge in edges]
