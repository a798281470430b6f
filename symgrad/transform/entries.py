"""Entries of a sparse derivative: families with loops numbered from 0, each over its domain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from ..analysis.checks import checks, passed
from ..analysis.domains import Domains
from ..analysis.extents import Bound, Domain, Extents
from ..errors import UnsupportedExpression
from ..graph.affine import Axis, Index, axis, substituted
from ..graph.graph import Graph
from ..graph.node import AnyIndex, Gather, View, index_at
from ..graph.sums import guarded
from .families import Family, families


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries of a sparse matrix: the derivative of `of` at `row` by `by` at `column` is `view`, over a domain.

    Index expressions and the view are over loops 0, 1, ..., whose bounds are those of the domain; where what couples
    them is less than 0, or a condition does not hold, there is no entry.
    """

    of: int  # which output of the graph
    row: tuple[AnyIndex, ...]
    by: int  # which input
    column: tuple[AnyIndex, ...]
    domain: Domain
    conditions: frozenset[View]
    view: View

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The first and the last index of each loop."""
        return tuple(bound for bound in self.domain.bounds if bound is not None)

    @property
    def place(self) -> object:
        """Which entries these are, but for where their loops begin and end."""
        return self.of, self.row, self.by, self.column, self.domain.coupled, self.conditions

    def stored(self) -> View:
        """The value, and 0 in the box of its loops where there is no entry."""
        view = self.view
        for condition in sorted(self.conditions, key=str):
            view = condition.where(view, 0)
        return guarded(view, sorted(self.domain.coupled, key=repr))


def entries(graph: Graph, places: Sequence[int], wrt: Sequence[int], again: bool = False) -> list[Entries]:
    """The entries of the derivatives of some outputs by inputs that are not 0 everywhere: by output, then by input."""
    outputs = [graph.outputs[place] for place in places]
    names = [{own: graph.table.fresh() for own in range(len(output.shape))} for output in outputs]
    views = [
        output.view.at({own: axis(name) for own, name in named.items()})
        for output, named in zip(outputs, names, strict=True)
    ]
    domains = Domains(graph)
    known = domains.extents.after(passed(checks(graph, domains)[0], domains))
    found: list[Entries] = []
    for place, view, named, made in zip(places, views, names, families(graph, views, wrt, again), strict=True):
        own = [_numbered(domains, known, place, view, list(named.values()), family) for family in made]
        found += _merged(domains, [one for one in own if one is not None])
    return sorted(found, key=lambda own: (places.index(own.of), wrt.index(own.by)))


def _numbered(
    domains: Domains, known: Extents, of: int, view: View, axes: Sequence[Axis], family: Family
) -> Entries | None:
    """A family of an output, a view over these axes, with loops from 0 on; None where it has no entries.

    `known` is what is known of extents once a call has passed its checks.
    """
    table, shape = view.node.table, domains.graph.outputs[of].shape
    told = dict(zip(view.axes, family.row, strict=True))
    row = tuple(told.get(name, axis(name)) for name in axes)  # along other axes nothing varies
    limits = [*family.limits, *_inside(row, shape)]
    loops = list(dict.fromkeys([*(name for index in row for name in index.axes), *family.loops]))
    numbers = {name: axis(place) for place, name in enumerate(loops)}
    domain = domains.limited([None] * len(loops), [substituted(form, numbers) for form in limits])
    # What goes without saying for adjoints, as inputs are read inside of their arrays, has to be said of loops.
    shapes = domains.graph.shapes
    inside = _inside(family.column, shapes[family.input])
    limits += [form for form in inside if not _is_known(domains, known, domain, substituted(form, numbers))]
    domain = domains.limited([None] * len(loops), [substituted(form, numbers) for form in limits])
    if None in domain.bounds:
        limits += _read_inside(family, shapes)
        domain = domains.limited([None] * len(loops), [substituted(form, numbers) for form in limits])
    names: dict[Axis, AnyIndex] = dict(numbers)
    single = {
        place: bound[0] for place, bound in enumerate(domain.bounds) if bound is not None and bound[0] == bound[1]
    }
    if single:
        rest = [place for place in range(len(loops)) if place not in single]
        moved = {place: axis(number) for number, place in enumerate(rest)} | single
        names = {name: moved[place] for place, name in enumerate(loops)}
        bounds = tuple(_moved(domain.bounds[place], moved) for place in rest)
        coupled = [substituted(form, moved) for form in sorted(domain.coupled, key=repr)]
        domain = Domain(bounds, frozenset(form for form in coupled if form.terms or form.offset < 0))
    for bound in domain.bounds:
        if bound is None:
            raise UnsupportedExpression(
                f"the range of an index of {domains.graph.inputs[family.input]} is not known, and so not which entries "
                "its derivative has; ask for products with vectors: hvp, vjp"
            )
        length = bound[1].minus(bound[0])
        if not length.terms and length.offset < 0:
            return None
    if any(not form.terms for form in domain.coupled):
        return None
    value, conditions = _without_conditions(family.edge.view.at(names), domains.graph.integers)
    return Entries(
        of,
        tuple(index_at(index, names, table) for index in row),
        family.input,
        tuple(index_at(index, names, table) for index in family.column),
        domain,
        frozenset([*conditions, *(condition.at(names) for condition in family.conditions)]),
        value,
    )


def _without_conditions(view: View, integers: Collection[int]) -> tuple[View, list[View]]:
    """A value, and the conditions of integers outside of which it is 0: there is no entry where they do not hold."""
    found = list[View]()
    while (
        view.node.gate.name == "select"
        and view.arguments[2].number == 0
        and _is_of_integers(view.arguments[0], integers)
    ):
        condition, view, _ = view.arguments
        found.append(condition)
    return view, found


def _is_of_integers(condition: View, integers: Collection[int]) -> bool:
    """Whether a condition is one of tables of indices, indices and extents alone."""
    stack, seen = [condition], {condition}
    while stack:
        view = stack.pop()
        name = view.node.gate.name
        if name == "input":
            if view.node.position not in integers:
                return False
        elif not view.node.arguments and name not in ("position", "size", "constant"):
            return False
        inner = [own for own in view.arguments if own not in seen]
        seen.update(inner)
        stack += inner
    return True


def _is_known(domains: Domains, known: Extents, domain: Domain, form: Index) -> bool:
    """Whether a form is >= 0 in a domain, once a call has passed its checks."""
    if any(domain.bounds[name] is None for name in form.axes):
        return False
    least = domains.least(domain, form)
    return least is not None and known.where_some(domain.bounds).imply(least)


def _inside(place: Sequence[AnyIndex], shape: Sequence[Index]) -> list[Index]:
    """That affine indices are those of an array: forms >= 0."""
    pairs = [(index, extent) for index, extent in zip(place, shape, strict=True) if isinstance(index, Index)]
    return [form for index, extent in pairs for form in (index, extent.minus(1).minus(index))]


def _read_inside(family: Family, shapes: Sequence[Sequence[Index]]) -> list[Index]:
    """That what a family is made of is read inside of the arrays of inputs: forms >= 0 in its loops."""
    loops, found = set(family.loops), list[Index]()
    stack = [family.edge.view, *(index.view for index in (*family.row, *family.column) if isinstance(index, Gather))]
    seen = set(stack)
    while stack:
        view = stack.pop()
        if view.node.gate.name == "input":
            found += [form for form in _inside(view.index, shapes[view.node.position]) if loops.issuperset(form.axes)]
        reads = [*view.arguments, *(index.view for index in view.index if isinstance(index, Gather))]
        stack += [read for read in reads if read not in seen]
        seen.update(reads)
    return found


def _moved(bound: Bound | None, names: dict[int, Index]) -> Bound | None:
    return None if bound is None else (substituted(bound[0], names), substituted(bound[1], names))


def _merged(domains: Domains, found: Iterable[Entries]) -> list[Entries]:
    """Entries at the same places whose ranges differ at the ends only are one, each part 0 outside of its own range."""
    groups: dict[object, list[Entries]] = {}
    for own in found:
        groups.setdefault(own.place, []).append(own)
    done: list[Entries] = []
    for same in groups.values():
        while same:
            first, *others = same
            near = [other for other in others if _differ_at_ends(first.domain, other.domain)]
            same = [other for other in others if other not in near]
            done.append(_hulled(domains, [first, *near]) if near else first)
    return done


def _differ_at_ends(one: Domain, two: Domain) -> bool:
    """Whether the ends of ranges differ by numbers: else a hull of both may be mostly empty."""
    pairs = zip(one.bounds, two.bounds, strict=True)
    return all(not a.minus(b).terms for own, other in pairs if own and other for a, b in zip(own, other, strict=True))


def _hulled(domains: Domains, same: Sequence[Entries]) -> Entries:
    first = same[0]
    bounds: list[Bound] = []
    for own in zip(*(one.domain.bounds for one in same), strict=True):
        lows, highs = zip(*(bound for bound in own if bound is not None), strict=True)
        bounds.append((min(lows, key=lambda form: form.offset), max(highs, key=lambda form: form.offset)))
    hull = Domain(tuple(bounds), first.domain.coupled)
    parts = []
    for one in same:
        limits = [form for form in Domain(one.domain.bounds).constraints() if not domains.implies(hull, form)]
        parts.append(guarded(one.view, limits))
    table = first.view.node.table
    return replace(first, domain=hull, view=table.apply(table.gates["add"], *parts))
