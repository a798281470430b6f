"""Dense derivatives of arrays: the reverse pass of one entry, made for all entries at once.

One entry of a value is a number. Its place is said by extents, which stand for integers as any other extent does, so
that its reverse pass is that of a read at one index: where only that index matters there is no sum. Then these extents
become axes, and what depends on one of them varies along it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from itertools import product

from ..analysis.extents import Derived
from ..errors import UnsupportedExpression
from ..gates.table import GATES
from ..graph.affine import Axis, Index, Size, Term, axis, number_index, substituted
from ..graph.graph import Graph, Output, as_node, reachable
from ..graph.node import AnyIndex, Gather, Node, Reduction, View
from ..graph.sums import chained, guarded, sum_of, total
from .differentiate import reverse_pass

# An axis of at most this many indices is written out where the expression tells some of them from others.
_SHORT_AXIS = 12


def dense_rows(graph: Graph, value: Output, wrt: Sequence[int], again: bool = False) -> list[View]:
    """The derivatives of a value by inputs: views over the axes of the value, then those of the input.

    With `again` they are to be differentiated once more: see `reverse_pass`. Raises UnsupportedExpression where a
    matrix that is inverted, or solved with, depends on which entry is wanted.
    """
    places = [
        Index(((Size(f"entry {position + 1} of what is differentiated"), 1),)) for position in range(len(value.shape))
    ]
    rows = _Rows(graph, value, wrt, places, again)
    told = [place for place, extent in zip(places, value.shape, strict=True) if rows.tells(place, extent)]
    if not told:
        return rows.moved()
    found: list[list[View]] = []
    spans = [
        [number_index(at) for at in range(extent.offset)] if place in told else [place]
        for place, extent in zip(places, value.shape, strict=True)
    ]
    for at in product(*spans):
        is_there = [form for position, place in enumerate(at) if not place.terms for form in _equal(position, place)]
        found.append([guarded(view, is_there) for view in _Rows(graph, value, wrt, at, again).moved()])
    return [sum_of(views[0], [view for view in views if view.number != 0]) for views in zip(*found, strict=True)]


def _equal(name: Axis, index: Index) -> list[Index]:
    return [axis(name).minus(index), index.minus(axis(name))]


class _Rows:
    """The derivatives of one entry of a value, at places that are extents, or numbers."""

    def __init__(self, graph: Graph, value: Output, wrt: Sequence[int], places: Sequence[Index], again: bool) -> None:
        self.graph, self.value, self.places = graph, value, places
        self.derived = dict(graph.derived)
        entry = as_node(_at_places(value.view.at(dict(enumerate(places)))))
        inside = [extent.minus(1).minus(place) for place, extent in zip(places, value.shape, strict=True)]
        known = [form for form in inside if form.terms]
        one = replace(graph, derived=self.derived)
        self.gradients = reverse_pass(one, entry, wrt, known=known, again=again).gradients

    def tells(self, place: Index, extent: Index) -> bool:
        """Whether an axis is short, and what is computed depends on which of its indices the place is."""
        if extent.terms or extent.offset > _SHORT_AXIS:
            return False
        order = reachable(view.node for view in self.gradients)
        forms = (form for node in order if isinstance(node.attribute, Reduction) for form in node.attribute.constraints)
        return any(form.terms and form.terms[0][0] == place.terms[0][0] and len(form.terms) == 1 for form in forms)

    def moved(self) -> list[View]:
        """The derivatives for all places: over the axes of the value, and of the input."""
        moving = _Moving(self.graph, self.places, self.value.shape, self.derived)
        for view in self.gradients:
            moving.move(reachable([view.node]))
        derived = {name: own for name, own in self.derived.items() if not moving.is_placed(name)}
        self.graph.derived.update(derived)
        rank = len(self.places)
        own = {name: axis(position) for name, position in moving.positions.items()}
        names = [{at: axis(rank + at) for at in view.axes} for view in self.gradients]
        return [moving.read(view).at({**at, **own}) for view, at in zip(self.gradients, names, strict=True)]


def _at_places(view: View) -> View:
    """A view at places as the same operations on what is read there: what depends on a place alone is a number.

    So what is read at [place, j] is another node than what is read at [i, place], each with loops of its own.
    """
    known: dict[View, View] = {}
    bodies: dict[View, tuple[View, dict[Axis, Axis], list[Index]]] = {}
    stack = [view]
    while stack:
        part = stack[-1]
        if part in known:
            stack.pop()
            continue
        node, own = part.node, dict(enumerate(part.index))
        is_reduction = isinstance(node.attribute, Reduction)
        if all(index.axes for index in part.index) or not node.arguments or not _is_along_axes(part):
            known[part] = part
            continue
        if is_reduction and part not in bodies:
            names = {name: node.table.fresh() for name in range(node.rank, node.loops)}
            inner = own | {name: axis(fresh) for name, fresh in names.items()}
            affine = {name: index for name, index in inner.items() if isinstance(index, Index)}
            limits = [substituted(form, affine) for form in node.reduction.constraints]
            bodies[part] = node.arguments[0].at(inner), names, limits
        arguments = [bodies[part][0]] if is_reduction else part.arguments
        missing = [argument for argument in arguments if argument not in known]
        if missing:
            stack += missing
        elif is_reduction:
            body, names, limits = bodies[part]
            known[part] = node.table.reduce(node.gate, known[body], names.values(), limits)
        else:
            known[part] = node.table.apply(node.gate, *map(known.__getitem__, arguments), attribute=node.attribute)
    return known[view]


def _is_along_axes(view: View) -> bool:
    """Whether a node is the same operation at each index: elementwise, or a reduction of what varies along its axes."""
    node = view.node
    if not isinstance(node.attribute, Reduction):
        return node.loops == node.rank
    gathered = {place for place, index in enumerate(view.index) if isinstance(index, Gather)}
    return node.reduction.is_plain and all(gathered.isdisjoint(form.axes) for form in node.reduction.constraints)


class _Moving:
    """The nodes that depend on the place of an entry as nodes that vary along its axes."""

    def __init__(self, graph: Graph, places: Sequence[Index], shape: Sequence[Index], derived: Derived) -> None:
        self.table, self.derived = graph.table, derived
        self.axes: dict[Term, Axis] = {}
        self.bounds: dict[Axis, list[Index]] = {}
        self.positions: dict[Axis, int] = {}  # of these axes among those of the value
        for position, (place, extent) in enumerate(zip(places, shape, strict=True)):
            if place.terms:
                name = self.axes[place.terms[0][0]] = self.table.fresh()
                self.bounds[name] = [axis(name), extent.minus(1).minus(axis(name))]
                self.positions[name] = position
        self.views: dict[Node, View] = {}

    def move(self, order: Iterable[Node]) -> None:
        """Finds the views of nodes, arguments first."""
        for node in order:
            if node not in self.views:
                self.views[node] = self._moved(node)

    def read(self, edge: View) -> View:
        """What a view reads afterwards."""
        return self.views[edge.node].at({place: self._index(index) for place, index in enumerate(edge.index)})

    def is_placed(self, name: str) -> bool:
        """Whether an extent is the place of an entry, or derived from one."""
        stack = [name]
        while stack:
            name = stack.pop()
            if Size(name) in self.axes:
                return True
            for form in self.derived[name][1:] if name in self.derived else ():
                stack += [term.name for term, _ in form.terms if isinstance(term, Size)]
        return False

    def _moved(self, node: Node) -> View:
        own = node.attribute
        if node.gate.name == "size":
            return self._number(Index(((node.size, 1),)))
        if not node.arguments:
            return node.own
        arguments = [self.read(edge) for edge in node.arguments]
        if isinstance(own, Reduction):
            constraints, alternatives = self._limits(own.constraints)
            if alternatives:
                raise UnsupportedExpression(
                    "which terms are summed depends on the entry that is differentiated, in a way that cannot be made "
                    "for all entries at once; ask for products with vectors: hvp, vjp"
                )
            if own.is_plain:
                return self.table.reduce(node.gate, arguments[0], range(node.rank, node.loops), constraints)
            out = tuple(self._index(index) for index in own.out)
            read = {name for view in (*arguments, *out, *constraints) for name in view.axes}
            added = [name for name in self.axes.values() if name in read]
            constraints += [form for name in added for form in self.bounds[name]]
            out += tuple(map(axis, added))
            result = (*range(node.rank), *added)
            return self.table.reduce(node.gate, arguments[0], (), constraints, out, result)
        if node.loops != node.rank:
            return self._whole(node, arguments)
        if node.gate.name == "mul":
            return self._product(arguments)
        return self.table.apply(node.gate, *arguments, attribute=own)

    def _product(self, arguments: Sequence[View]) -> View:
        """A product whose factors that do not vary from entry to entry are multiplied first: once for all entries."""
        placed = set(self.positions)
        factors = list[View]()
        for view in arguments:
            is_placed_product = view.node.gate.name == "mul" and not placed.isdisjoint(view.axes)
            factors += view.arguments if is_placed_product else [view]
        shared = [view for view in factors if placed.isdisjoint(view.axes)]
        others = [view for view in factors if not placed.isdisjoint(view.axes)]
        if not others or len(shared) < 2:
            return self.table.apply(GATES["mul"], *arguments)
        return self.table.apply(GATES["mul"], *others, chained(shared))

    def _whole(self, node: Node, arguments: list[View]) -> View:
        """An operation on whole matrices; the right-hand sides of a solve are one more axis of a matrix of them."""
        added = [name for name in self.axes.values() if any(name in view.axes for view in arguments)]
        if not added:
            extents = tuple(self._affine(extent) for extent in node.extents)
            return self.table.intern(node.gate, tuple(arguments), extents, node.rank, node.loops).own
        if node.gate.name != "solve" or any(name in arguments[0].axes for name in added):
            raise UnsupportedExpression(
                f"the derivative of {node.gate.noun or node.gate.name} of a matrix that depends on the entry that is "
                "differentiated cannot be made for all entries at once; ask for products with vectors: hvp, vjp"
            )
        # inv(A) B, with the inverse once and for all: the axes of the entries are those of a product.
        size, first = node.extents[0], node.rank
        row, column = first, first + 1
        inverse = self.table.whole(GATES["inverse"], [arguments[0]], [(row, column)], 2, (size,) * 4)
        inner = self.table.fresh()
        right = arguments[1].at({first + 2 + p: axis(inner if p == 0 else p) for p in range(node.rank)})
        limits = [axis(inner), size.minus(1).minus(axis(inner))]
        return total(View(inverse, (axis(0), axis(inner))) * right, [inner], limits)

    # --- index expressions --------------------------------------------------------------------------------------------

    def _affine(self, form: Index) -> Index:
        """A form with axes for the places in it."""
        found = Index((), form.offset)
        for term, factor in form.terms:
            one = axis(self.axes[term]) if isinstance(term, Size) and term in self.axes else Index(((term, 1),))
            found = found.plus(one.scaled(factor))
        return found

    def _index(self, index: AnyIndex) -> AnyIndex:
        if isinstance(index, Gather):
            return Gather(self.read(index.view))
        if self._derived_in(index) is None:
            return self._affine(index)
        return Gather(self._number(index))

    def _number(self, form: Index) -> View:
        """The value of a form."""
        parts = self._derived_in(form)
        if parts is None:
            return self.table.number_of(self._affine(form))
        _, factor, kind, one, two = parts
        larger = (kind == "max") == (factor > 0)
        return self._number(one).call("max" if larger else "min", self._number(two))

    def _derived_in(self, form: Index) -> tuple[Size, int, str, Index, Index] | None:
        """The first extent in a form that is derived from a place: factor, kind, the form with either of two."""
        for term, factor in form.terms:
            if isinstance(term, Size) and term.name in self.derived and self.is_placed(term.name):
                kind, *both = self.derived[term.name]
                rest = form.minus(Index(((term, factor),)))
                one, two = (rest.plus(own.scaled(factor)) for own in both)
                return term, factor, kind, one, two
        return None

    def _limits(self, forms: Sequence[Index]) -> tuple[list[Index], list[Index]]:
        """Forms >= 0 as forms with axes for places, and those of them that are none, as i is at most the larger of two.

        That both are at most i is two forms. Of a choice it is enough that one of the two holds.
        """
        found: dict[Index, None] = {}
        chosen: list[Index] = []
        stack = list(reversed(forms))
        while stack:
            form = stack.pop()
            parts = self._derived_in(form)
            if parts is None:
                found[self._affine(form)] = None
                continue
            _, factor, kind, *both = parts
            if (kind == "min") == (factor > 0):
                stack += both
            else:
                chosen.append(form)
        return list(found), [form for form in chosen if not self._is_said(form, found)]

    def _is_said(self, form: Index, known: Container[Index]) -> bool:
        """Whether a form is >= 0 because others are."""
        parts = self._derived_in(form)
        if parts is None:
            return self._affine(form) in known
        _, factor, kind, *both = parts
        return (all if (kind == "min") == (factor > 0) else any)(self._is_said(own, known) for own in both)
