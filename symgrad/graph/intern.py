"""The table that interns nodes (hash-consing), and the views that are built in it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from .affine import Axis, Index, Size, axis, own_axes
from .gate import Gate
from .node import AnyIndex, Attribute, Builder, Gather, Node, Number, Reduction, View


@dataclass(eq=False)
class InternTable(Builder):
    """The intern table of one compilation: no two nodes say the same."""

    gates: dict[str, Gate]
    nodes: list[Node] = field(default_factory=list)
    _interned: dict[Hashable, Node] = field(default_factory=dict)
    has_loops: bool = False  # whether any node is a reduction or a symbolic extent
    _whole_numbers: dict[int, View] = field(default_factory=dict)  # the constants that are asked for most
    _fresh: int = 1 << 20  # names of axes; positions are far below
    loop_names: dict[Node, tuple[Axis, ...]] = field(default_factory=dict)  # with which a reduction was first made

    def fresh(self) -> Axis:
        """A new name for an axis."""
        self._fresh += 1
        return self._fresh

    def apply(self, gate: Gate, *views: View, attribute: Attribute = None) -> View:
        """The view of `gate` applied to `views`; its axes are those of the views, in order of first occurrence."""
        own: tuple[AnyIndex, ...] = ()
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
        for expression in out or ():
            names.update((name, 0) for name in expression.axes if name not in names)
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
        node.gate, node.arguments, node.gathered = gate, edges, gathered
        node.attribute, node.rank, node.table = attribute, rank, self
        node.loops, node.fixed = (rank, True) if loops is None else (loops, False)
        if loops is not None:
            self.has_loops = True
        if edges:
            for edge in edges:
                if not edge.node.fixed:
                    node.fixed = False
                    break
        else:
            node.fixed = gate.name not in _VARYING_LEAVES
            self.has_loops = self.has_loops or gate.name == "size"
        node.number = len(self.nodes)
        node.own = tuple.__new__(View, (node, own_axes(rank)))  # as View(...) does, in half the time
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
    index = tuple(expression.renamed(names) for expression in view.index)
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


def _plain_read(names: tuple[Axis, ...]) -> tuple[Index, ...]:
    own = own_axes(len(names))
    return own if names == tuple(range(len(names))) else tuple(axis(name) for name in names)


def _in_order(part: int | tuple[int, tuple[AnyIndex, ...]]) -> tuple[int, str]:
    return (part[0], repr(part[1])) if isinstance(part, tuple) else (part, "")
