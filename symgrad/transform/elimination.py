"""Derivatives by vertex elimination: what is elementwise is linearised once, and then made smaller vertex by vertex.

    vertex       a view; its edges lead to the arguments that vary, each with the local gradient
    slot         a vertex that is kept: what the derivatives are taken by
    root         what is differentiated: it has one edge, to its vertex, with 1
    elimination  every path reader - vertex - argument becomes an edge reader - argument, with the product of the two

What is left are edges from roots to slots: the Jacobian. Every order gives the same numbers, not the same number of
operations: from the roots on it is reverse mode, from the slots on forward mode, and cheapest first (by how many paths
a vertex is on: Markowitz) most often the best (Griewank & Walther, Evaluating Derivatives, 2008, chapters 9 and 10).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from ..errors import UnsupportedExpression
from ..graph.node import View
from ..graph.sums import is_finite, sum_of
from .activity import all_of, argument_conditions, conjuncts
from .adjoint_products import divides, passed_on, times

# Reverse mode, forward mode, and cheapest first, of equal ones that nearest to the slots or to the roots.
Order = Literal["reverse", "forward", "cheapest from slots", "cheapest from roots"]
ORDERS: tuple[Order, ...] = ("cheapest from roots", "cheapest from slots", "reverse", "forward")


class Edge(NamedTuple):
    """The derivative of a vertex by another."""

    view: View
    position: int | None = None  # of a local gradient: which argument it is of
    where: View | None = None  # a condition outside of which it is exactly 0, and so is what it is a part of


class Linearised(NamedTuple):
    """What is differentiated: vertices in order, arguments first, and behind them the roots."""

    vertices: list[View]
    roots: int
    edges: list[dict[int, Edge]]  # by vertex or root: to the arguments that vary
    slots: frozenset[int]


def linearised(roots: Sequence[View], is_slot: Callable[[View], bool], varies: Callable[[View], bool]) -> Linearised:
    """The vertices between some roots and the slots, with their local gradients.

    Raises UnsupportedExpression for a gate without a derivative.
    """
    vertices = _vertices(roots, is_slot, varies)
    number = {view: place for place, view in enumerate(vertices)}
    edges: list[dict[int, Edge]] = []
    for view in vertices:
        found: dict[int, Edge] = {}
        for argument, edge in () if is_slot(view) else _local_gradients(view, varies):
            at = number[argument]
            if at in found:
                found[at] = Edge(plus(found[at].view, edge.view), where=either(found[at].where, edge.where))
            elif edge.view.number != 0:
                found[at] = edge
        edges.append({at: edge for at, edge in found.items() if edge.view.number != 0})
    slots = frozenset(place for place, view in enumerate(vertices) if is_slot(view))
    for root in roots:
        edges.append({number[root]: Edge(root.node.table.constant(1))} if root in number else {})
    return Linearised(vertices, len(roots), edges, slots)


def _vertices(roots: Sequence[View], is_slot: Callable[[View], bool], varies: Callable[[View], bool]) -> list[View]:
    seen: set[View] = set()
    stack = [root for root in reversed(roots) if varies(root)]
    found: list[View] = []
    while stack:
        view = stack.pop()
        if view not in seen:
            seen.add(view)
            found.append(view)
            if not is_slot(view):
                stack += [argument for argument in reversed(view.arguments) if varies(argument)]
    return sorted(found, key=lambda view: view.node.number)  # of one node each as it was found


def _local_gradients(view: View, varies: Callable[[View], bool]) -> Iterator[tuple[View, Edge]]:
    """The arguments that vary, each with the local gradient by it."""
    gate, arguments = view.node.gate, view.arguments
    if gate.name == "select":
        partials: tuple[View, ...] = arguments[0], arguments[0].where(1, 0), arguments[0].where(0, 1)
    elif gate.local_gradients is None:
        raise UnsupportedExpression(
            f"the gate {gate.name} has no derivative here; "
            "leave its argument out of wrt, or define a gate of your own with symgrad.gate"
        )
    else:
        partials = gate.local_gradients(view, *arguments)
    conditions = argument_conditions(view.node, None, extremes=True)
    for position, (argument, partial, where) in enumerate(zip(arguments, partials, conditions, strict=True)):
        if varies(argument):
            yield argument, Edge(partial, position, None if where is None else where.at(dict(enumerate(view.index))))


def eliminated(linear: Linearised, order: Order) -> list[dict[View, Edge]]:
    """The derivatives that are not 0 of each root by each slot."""
    return _Elimination(linear).run(order)


class _Elimination:
    """The edges that are left while vertices are eliminated."""

    def __init__(self, linear: Linearised) -> None:
        self.linear = linear
        self.sums: set[View] = set()  # of paths
        self.into = [dict(edges) for edges in linear.edges]
        self.readers: list[dict[int, None]] = [{} for _ in linear.edges]  # in the order in which they came
        for reader, edges in enumerate(self.into):
            for argument in edges:
                self.readers[argument][reader] = None
        for vertex in reversed(range(len(linear.vertices))):
            self._pass_quotients(vertex)

    def run(self, order: Order) -> list[dict[View, Edge]]:
        linear = self.linear
        inner = [vertex for vertex in range(len(linear.vertices)) if vertex not in linear.slots]
        if order in ("reverse", "forward"):
            for vertex in reversed(inner) if order == "reverse" else inner:
                self._eliminate(vertex)
        else:
            self._eliminate_cheapest(inner, 1 if order == "cheapest from slots" else -1)
        rows = self.into[len(linear.vertices) :]
        return [{linear.vertices[slot]: row[slot] for slot in sorted(row)} for row in rows]

    def _eliminate_cheapest(self, inner: list[int], sign: int) -> None:
        """A heap with prices that may be out of date: what has changed stands in it again."""
        price = {vertex: self._price(vertex) for vertex in inner}
        heap = [(price[vertex], sign * vertex) for vertex in inner]
        heapq.heapify(heap)
        while heap:
            paid, signed = heapq.heappop(heap)
            vertex = sign * signed
            if price.get(vertex) != paid:
                continue
            del price[vertex]
            for touched in self._eliminate(vertex):
                if touched in price and price[touched] != (new := self._price(touched)):
                    price[touched] = new
                    heapq.heappush(heap, (new, sign * touched))

    def _price(self, vertex: int) -> int:
        return len(self.into[vertex]) * len(self.readers[vertex])

    def _eliminate(self, vertex: int) -> list[int]:
        """Leads all paths over a vertex past it; those whose edges have changed."""
        readers, arguments = self.readers[vertex], self.into[vertex]
        for reader in readers:
            self._lead_past(reader, vertex)
        for argument in arguments:
            del self.readers[argument][vertex]
        self.into[vertex], self.readers[vertex] = {}, {}
        return [*readers, *arguments]

    def _lead_past(self, reader: int, vertex: int) -> None:
        """The edges of a reader to the arguments of what it read, in the place of the one to that."""
        above = self.into[reader].pop(vertex)
        for argument, below in self.into[vertex].items():
            path = self._path(above, vertex, below)
            if path.view.number == 0:
                continue
            known = self.into[reader].get(argument)
            self.into[reader][argument] = path if known is None else self._added(known, path)
            self.readers[argument][reader] = None

    def _added(self, known: Edge, path: Edge) -> Edge:
        """One more path between two vertices. A sum of several is one, so that others share what they can of it."""
        terms = list(known.view.arguments) if known.view in self.sums else [known.view]
        found = plus(known.view, path.view) if len(terms) == 1 else sum_of(known.view, [*terms, path.view])
        if found.node.gate.name == "add":
            self.sums.add(found)
        return Edge(found, where=either(known.where, path.where))

    def _path(self, above: Edge, vertex: int, below: Edge) -> Edge:
        """The product of two edges; exactly 0 where one of them is, also where the other is infinite."""
        if below.position is None:
            path = product(above.view, below.view)
        else:
            path = passed_on(self.linear.vertices[vertex], below.position, above.view, below.view, product)
        return joined(above, below, path)

    def _pass_quotients(self, vertex: int) -> None:
        """Where a reader divides by a power, the edge goes to the base at once: `passed_on` says why."""
        for reader in list(self.readers[vertex]):
            view = self.linear.vertices[vertex]
            if vertex not in self.linear.slots and divides(self.into[reader][vertex].view, view):
                self._lead_past(reader, vertex)
                del self.readers[vertex][reader]


def joined(above: Edge, below: Edge, path: View) -> Edge:
    """Two edges as one, whose product is `path`: exactly 0 where one of them is, also where the other is infinite."""
    asked: list[View] = []
    for one, other in ((above, below), (below, above)):
        if one.where is not None and not is_finite(other.view):
            asked += conjuncts(one.where)
    if path.number != 0 and asked and not _holds_where_not_0(path, asked):
        path = all_of(asked).where(path, 0)
    return Edge(path, where=_both(above.where, below.where))


def product(one: View, two: View) -> View:
    """The product of two derivatives: what one of them switches off is exactly 0, whatever the other is."""
    for switch, other in ((one, two), (two, one)):
        if switch.node.gate.name == "zero_where":
            condition, rest = switch.arguments
            return condition.call("zero_where", product(rest, other))
        if switch.node.gate.name == "select" and any(side.number == 0 for side in switch.arguments[1:]):
            condition, *sides = switch.arguments
            return condition.where(*(side if side.number == 0 else product(side, other) for side in sides))
    is_routed = one.node.gate.name in ("select", "neg", "constant") and two.node.gate.name != "select"
    return times(two, one) if is_routed else times(one, two)


def _both(one: View | None, two: View | None) -> View | None:
    """Where two conditions hold; None is everywhere."""
    if one is None or two is None:
        return two if one is None else one
    return all_of(list(dict.fromkeys([*conjuncts(one), *conjuncts(two)])))


def either(one: View | None, two: View | None) -> View | None:
    """Where one of two conditions holds; None is everywhere."""
    if one is None or two is None:
        return None
    return one if one == two else one.call("or", two)


def plus(one: View, two: View) -> View:
    """The sum of two derivatives; of two under one condition it is taken on either side."""
    if one.node.gate.name == two.node.gate.name == "select" and one.arguments[0] == two.arguments[0]:
        condition, *sides = one.arguments
        taken, otherwise = (plus(own, other) for own, other in zip(sides, two.arguments[1:], strict=True))
        return condition.where(taken, otherwise)
    terms = [view for view in (one, two) if view.number != 0]
    return sum_of(one, terms)


def _holds_where_not_0(view: View, conditions: Sequence[View]) -> bool:
    """Whether a choice is exactly 0 but where all of these conditions hold."""
    if view.node.gate.name != "select":
        return False
    chosen, taken, otherwise = view.arguments
    if otherwise.number == 0:
        holds, rest = conjuncts(chosen), taken
    elif taken.number == 0:
        holds, rest = [chosen.call("not")], otherwise
    else:
        return False
    asked = [condition for condition in conditions if condition not in holds]
    return not asked or _holds_where_not_0(rest, asked)
