"""Families of entries: the derivative of an array as a sparse linear form, said over indices.

    family   for all values of its loops where all of its limits are >= 0:
                 the derivative of node[row] by input[column] has the term `edge`

Row and column are index expressions over the loops, affine or gathered. No array has a new axis, and a one-hot seed is
eliminated before it is made. Families are pushed through reductions by the laws of sums; what is elementwise between
them is linearised region by region (regions.py). So a pattern is exact and symbolic, and its size is that of the
expression, not of the data (S. Shin et al., Accelerating optimal power flow with GPUs: SIMD abstraction of nonlinear
programs and condensed-space interior-point methods, 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..errors import UnsupportedExpression
from ..gates.linear_algebra import MATRIX_RULES
from ..gates.reductions import product_of_others
from ..graph.affine import Axis, Index, axis, own_axes
from ..graph.graph import Graph, reachable
from ..graph.node import AnyIndex, Gather, Node, View, index_at, plain_axis, positional
from ..graph.sums import total, where_some
from .activity import argument_conditions, single_axis, varying_nodes
from .elimination import Edge, either, joined, plus, product
from .matrix_families import differential, loops_of
from .regions import Slopes, is_boundary, slopes


class Family(NamedTuple):
    """Entries of the derivative of a node by an input, one for all values of its loops that its limits allow.

    The node's own axes, 0 and on, are among the loops where a row runs along them.
    """

    row: tuple[AnyIndex, ...]
    input: int  # by position
    column: tuple[AnyIndex, ...]
    limits: frozenset[Index]  # affine forms >= 0
    conditions: frozenset[View]  # of integers: what gathered indices have to keep
    edge: Edge

    @property
    def loops(self) -> list[Axis]:
        """In the order of rows, then columns, then the others."""
        found = dict.fromkeys(name for index in (*self.row, *self.column) for name in index.axes)
        found.update(dict.fromkeys(self.edge.view.axes))
        found.update(dict.fromkeys(name for form in self.limits for name in form.axes))
        return list(found)


Names = Mapping[Axis, AnyIndex]


def families(graph: Graph, views: Sequence[View], wrt: Iterable[int], again: bool = False) -> list[list[Family]]:
    """The derivatives of views by inputs: of each its families, whose rows are index expressions for the view's axes.

    With `again` they are differentiated once more: see `reverse_pass`. Raises UnsupportedExpression where what is
    scattered to gathered places is read at gathered places: that is a product of sparse matrices, and no family.
    """
    return _Pushed(graph, views, wrt, again).found


class _Pushed:
    """Families by the node that they are the derivative of, arguments first."""

    def __init__(self, graph: Graph, views: Sequence[View], wrt: Iterable[int], again: bool) -> None:
        order = reachable(view.node for view in views)
        self.varying = varying_nodes(order, set(wrt))
        self.wanted, self.again, self.derived = set(wrt), again, graph.derived
        self.known: dict[Node, list[Family]] = {}
        self._loops: dict[Node, dict[Axis, Axis]] = {}
        boundaries = [node for node in order if node in self.varying and is_boundary(node)]
        self.slopes = slopes([*(edge for node in boundaries for edge in node.arguments), *views], self.varying)
        for node in boundaries:
            self.known[node] = merged(self._of_node(node))
        self.found = [merged(self._of_output(view)) for view in views]

    def _of_node(self, node: Node) -> Iterator[Family]:
        if node.gate.name == "input":
            if node.position in self.wanted:
                own, one = own_axes(node.rank), Edge(node.table.constant(1))
                yield Family(own, node.position, own, frozenset(), frozenset(), one)
        elif node.gate.name in MATRIX_RULES:
            for edge in node.arguments:
                for read in self._reads(edge):
                    yield self._through_matrix(node, edge, read)
        else:
            (edge,) = node.arguments
            above = self._local(node)
            for read in self._reads(edge, above):
                yield self._through(node, read)

    def _local(self, node: Node) -> Edge | None:
        """The local gradient of a reduction, over its loops; None for 1."""
        if node.gate.name == "sum":
            return None
        own, (argument,) = positional(node), positional(node).arguments
        (where,) = argument_conditions(node, None, extremes=True)
        if self.again and node.gate.name == "product":
            return Edge(product_of_others(own, argument), 0, where)
        assert node.gate.local_gradients is not None, node
        (partial,) = node.gate.local_gradients(own, argument)
        return Edge(partial, 0, where)

    def _reads(self, root: View, above: Edge | None = None) -> Iterator[Read]:
        """The families of what a root reads, each times its slope, over the axes of the root."""
        found: Slopes = self.slopes.get(root, {})
        for slot, slope in found.items():
            slope = slope if above is None else joined(above, slope, product(above.view, slope.view))
            for family in self.known.get(slot.node, ()):
                read = _read(family, slot)
                if read is not None:
                    below = read.edge
                    outer = Edge(slope.view.at(read.solved), None, _at(slope.where, read.solved))
                    edge = joined(outer, below, product(outer.view, below.view))
                    if edge.view.number != 0:
                        yield read._replace(edge=edge)

    # --- through what is no elementwise gate --------------------------------------------------------------------------

    def _through(self, node: Node, read: Read) -> Family:
        """A family over the loops of a reduction as one of its result: what is reduced becomes a loop, or is summed."""
        own = node.reduction
        kept = node.rank if own.is_plain else 0
        inner = self._loop_names(node)
        names: dict[Axis, AnyIndex] = {place: axis(inner[place]) for place in range(kept, node.loops)}
        if not own.is_plain:  # what arrives at i + 1 is that of i - 1
            for place, index in enumerate(own.out):
                name = single_axis(index)
                if name is not None and name not in read.solved and plain_axis(names[name]) == inner[name]:
                    assert isinstance(index, Index)
                    factor = index.coefficient(name)
                    names[name] = axis(place).minus(index.minus(axis(name).scaled(factor))).scaled(factor)
        for place, at in read.solved.items():
            names[place] = index_at(at, names, node.table)
        limits, conditions = _limited(own.constraints, names, node)
        moved = read.at(names, node)
        row = tuple(index_at(index, names, node.table) for index in own.out)
        return self._contracted(
            Family(row, read.input, moved.column, moved.limits | limits, moved.conditions | conditions, moved.edge),
            range(node.rank),
        )

    def _through_matrix(self, node: Node, edge: View, read: Read) -> Family:
        """Of a matrix that is inverted, or solved with: each of its entries changes all of the result."""
        names = loops_of(node, edge)
        places = {**names, **{name: index_at(at, names, node.table) for name, at in read.solved.items()}}
        moved = read.at(places, node)
        limits = set(moved.limits)
        for place, name in names.items():
            if places[place] == name and name.axes[0] >= node.rank:
                limits |= {axis(name.axes[0]), node.extents[place].minus(1).minus(axis(name.axes[0]))}
        row, view = differential(node, edge, places, moved.edge.view)
        family = Family(row, read.input, moved.column, frozenset(limits), moved.conditions, Edge(view))
        return self._contracted(family, range(node.rank))

    def _loop_names(self, node: Node) -> dict[Axis, Axis]:
        """The names that a reduction's loops have in families: the same in all of them, so that these meet."""
        if node not in self._loops:
            self._loops[node] = {place: node.table.fresh() for place in range(node.loops)}
        return self._loops[node]

    def _of_output(self, view: View) -> Iterator[Family]:
        for read in self._reads(view):
            row = tuple(read.solved.get(name, axis(name)) for name in view.axes)
            yield self._contracted(
                Family(row, read.input, read.column, read.limits, read.conditions, read.edge), view.axes
            )

    def _contracted(self, family: Family, kept: Iterable[Axis]) -> Family:
        """The family without loops that say neither row nor column: limits fix them, or they are summed."""
        family = _without_equalities(family, set(kept))
        used = {name for index in (*family.row, *family.column) for name in index.axes}.union(kept)
        summed = [name for name in family.loops if name not in used]
        if not summed:
            return family
        view, where = family.edge.view, family.edge.where
        inside = [condition for condition in family.conditions if not set(condition.axes).isdisjoint(summed)]
        for condition in sorted(inside, key=str):
            view = condition.where(view, 0)
        limits = [form for form in family.limits if not set(form.axes).isdisjoint(summed)]
        rest = family.limits.difference(limits)
        if any(isinstance(index, Gather) for index in (*family.row, *family.column)):
            rest |= frozenset(where_some(limits, summed))  # without terms the tables need not have these indices
        view = total(view, summed, sorted(limits, key=repr), derived=self.derived)
        if where is not None and not set(where.axes).isdisjoint(summed):
            where = None
        return family._replace(
            limits=rest,
            conditions=family.conditions.difference(inside),
            edge=Edge(view, None, where),
        )


def _at(view: View | None, names: Names) -> View | None:
    return None if view is None else view.at(names)


def _limited(forms: Iterable[Index], names: Names, node: Node) -> tuple[frozenset[Index], frozenset[View]]:
    """Forms >= 0 with index expressions put in for axes: those that are affine, and conditions on what is gathered."""
    limits, conditions = set[Index](), set[View]()
    for form in forms:
        index = index_at(form, names, node.table)
        if isinstance(index, Index):
            limits.add(index)
        else:
            conditions.add((node.table.number_of(index) < 0).call("not"))
    return frozenset(limits), frozenset(conditions)


# --- reading at indices -----------------------------------------------------------------------------------------------


class Read(NamedTuple):
    """A family of what is read at some indices, over the axes of the reader."""

    input: int
    column: tuple[AnyIndex, ...]
    solved: dict[Axis, AnyIndex]  # axes of the reader that the family fixes: it is at these rows alone
    limits: frozenset[Index]
    conditions: frozenset[View]
    edge: Edge

    def at(self, names: Names, node: Node) -> Read:
        """With index expressions put in for some axes."""
        limits, conditions = _limited(self.limits, names, node)
        return Read(
            self.input,
            tuple(index_at(index, names, node.table) for index in self.column),
            {name: index_at(index, names, node.table) for name, index in self.solved.items()},
            limits,
            conditions | {condition.at(names) for condition in self.conditions},
            Edge(self.edge.view.at(names), None, _at(self.edge.where, names)),
        )


def _read(family: Family, edge: View) -> Read | None:
    """A family of a node as it is read by an edge; None where that is at none of its rows."""
    node, table = edge.node, edge.node.table
    own = {place: axis(table.fresh()) for place in range(node.rank)}  # the reader's axes have these names, too
    fresh = {name.axes[0] for name in own.values()}
    family = _renamed(family, own, node)
    names: dict[Axis, AnyIndex] = {}
    solved: dict[Axis, AnyIndex] = {}
    limits, conditions = set[Index](), set[View]()

    def put(target: dict[Axis, AnyIndex], name: Axis, index: AnyIndex) -> None:
        for known in (names, solved):
            for other, value in known.items():
                known[other] = index_at(value, {name: index}, table)
        target[name] = index

    # Rows that just run along an axis are told by it; the others say where the reader, or a loop, has to be.
    places = sorted(range(node.rank), key=lambda place: family.row[place] != own[place])
    for place in places:
        row, at = index_at(family.row[place], names, table), index_at(edge.index[place], solved, table)
        if row == at:
            continue
        one, two = single_axis(row), single_axis(at)
        if one is not None and one in fresh | set(family.loops) and one not in at.axes:
            put(names, one, _inverse(row, one, at, node))
        elif two is not None and two not in row.axes:
            put(solved, two, _inverse(at, two, row, node))
        elif isinstance(row, Index) and isinstance(at, Index):
            limits |= {at.minus(row), row.minus(at)}
        elif isinstance(row, Gather) and isinstance(at, Gather):
            raise UnsupportedExpression(
                "what is added up at gathered places is read at gathered places: its derivative is a product of sparse "
                "matrices, and no family of entries; ask for products with vectors: hvp, vjp"
            )
        else:
            conditions.add(table.number_of(row).equals(table.number_of(at)))
    moved = Read(family.input, family.column, {}, family.limits | limits, family.conditions | conditions, family.edge)
    if any(not form.terms and form.offset < 0 for form in limits):
        return None
    every = {**names, **solved}
    return moved.at(every, node)._replace(solved=solved)


def _inverse(index: AnyIndex, name: Axis, value: AnyIndex, node: Node) -> AnyIndex:
    """What an axis is where an index expression of it alone has some value."""
    assert isinstance(index, Index)
    factor, rest = index.coefficient(name), index.minus(axis(name).scaled(index.coefficient(name)))
    if isinstance(value, Index):
        return value.minus(rest).scaled(factor)
    if factor == 1 and not rest.terms and not rest.offset:
        return value
    number = value.view + -node.table.number_of(rest)
    return Gather(number if factor == 1 else -number)


def _renamed(family: Family, names: Mapping[Axis, Index], node: Node) -> Family:
    limits, _ = _limited(family.limits, names, node)
    return Family(
        tuple(index_at(index, names, node.table) for index in family.row),
        family.input,
        tuple(index_at(index, names, node.table) for index in family.column),
        limits,
        frozenset(condition.at(names) for condition in family.conditions),
        Edge(family.edge.view.at(names), None, _at(family.edge.where, names)),
    )


def _without_equalities(family: Family, kept: set[Axis]) -> Family:
    """A loop that limits fix (f >= 0 and -f >= 0) is none: its value goes where it stood."""
    node = family.edge.view.node
    for form in sorted(family.limits, key=repr):
        opposite = form.scaled(-1)
        name = next((own for own in form.axes if own not in kept and abs(form.coefficient(own)) == 1), None)
        if name is not None and opposite in family.limits:
            rest = form.minus(axis(name).scaled(form.coefficient(name)))
            found = _renamed(
                family._replace(limits=family.limits - {form, opposite}),
                {name: rest.scaled(-form.coefficient(name))},
                node,
            )
            limits = frozenset(own for own in found.limits if own.terms or own.offset < 0)
            return _without_equalities(found._replace(limits=limits), kept)
    return family


def merged(found: Iterable[Family]) -> list[Family]:
    """Families of the same entries are one, whose value is the sum."""
    known: dict[object, Family] = {}
    for family in found:
        if family.edge.view.number != 0:
            key = family.row, family.input, family.column, family.limits, family.conditions
            same = known.get(key)
            known[key] = family if same is None else family._replace(edge=_sum(same.edge, family.edge))
    return list(known.values())


def _sum(one: Edge, two: Edge) -> Edge:
    return Edge(plus(one.view, two.view), None, either(one.where, two.where))
