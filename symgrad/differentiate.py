"""Reverse-mode differentiation: from a graph to the graph of its value and gradients.

Every node receives its adjoint (the upstream gradient), hands adjoint times local gradient to each argument, and a node
that is read several times adds what arrives (Griewank & Walther, Evaluating Derivatives, 2008, section 3.2). The result
is made of nodes of the same table, so forward and backward share, and gradients can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from .array_gates import MATRIX_RULES
from .domains import Domains
from .errors import UnsupportedExpression
from .gates import GATES
from .graph import (
    AnyIndex,
    Gate,
    Gather,
    Graph,
    Index,
    Node,
    Reduction,
    Table,
    View,
    axis,
    plain_axis,
    positional,
    reachable,
    substituted,
)
from .sums import at_inputs, guarded, is_finite, may_lack_terms, total


class Handed(NamedTuple):
    """What a node hands to one of its arguments: adjoint times local gradient."""

    place: int  # of the argument
    edge: View
    local: View | None  # the local gradient; None for operations on whole matrices, whose Jacobian is never formed
    view: View  # over the loop axes of the node
    where: View | None  # the condition under which the argument matters; None for always


@dataclass(frozen=True)
class Record:
    """The reverse pass gate by gate, for those who want to see it: circuit.py."""

    adjoints: dict[Node, View] = field(default_factory=dict)  # over the node's own axes; of varying nodes
    locals: dict[tuple[Node, int], View | None] = field(default_factory=dict)  # by node and place of the argument
    contributions: dict[tuple[Node, int], View] = field(default_factory=dict)  # over the argument's own axes
    active: dict[Node, View | None] = field(default_factory=dict)  # the condition under which a varying node matters


def differentiate(graph: Graph, wrt: Sequence[int], record: Record | None = None) -> Graph:
    """`graph` with the gradients of its value with respect to the inputs at positions `wrt`.

    An input that the value does not use gets 0. Every step goes into `record`, if there is one; then also the steps
    whose gradient is 0. Raises UnsupportedExpression for a gate without a derivative.
    """
    value = graph.values[0]
    zero = graph.table.constant(0)
    order = reachable([value.node])
    varying = _varying(order, set(wrt))
    domains = Domains(replace(graph, gradients=(), wrt=())) if graph.shapes is not None else None
    active = activity(order, varying, domains, extremes=True, slopes=True)
    taken = activity(order, varying, domains, slopes=True)
    arriving: dict[Node, list[Contribution]] = {value.node: [Contribution(graph.table.constant(1))]}
    adjoints: dict[Node, Node] = {}
    spoilt: set[Node] = set()  # whose adjoints may be anything where they do not matter, and not 0
    if record is not None:
        record.active.update(active)
    for node in reversed(order):
        if node not in active or (node not in arriving and record is None):
            continue
        adjoint = _merged(arriving.get(node, [Contribution(zero)]))
        arriving[node] = [adjoint]
        adjoints.setdefault(adjoint.view.node, node)
        here = active[node]
        if record is not None:
            # What a branch that is not taken hands on is masked where it leaves the branch; in there it is 0 as well.
            record.adjoints[node] = _whole(adjoint) if here is None else here.where(_whole(adjoint), 0)
        if node.gate.name == "input":
            continue
        if domains is not None and not _keeps_axes(node):
            whole = _whole(adjoint)
            adjoint, here = Contribution(whole if here is None else here.where(whole, 0)), None
        for place, edge, local, view, where in _handed(node, adjoint.view, here):
            if edge.node not in varying:
                continue
            if record is not None:
                seen = view if where is None else where.where(view, 0)
                record.locals[node, place] = local
                record.contributions[node, place] = _whole(_received(node, edge, seen, adjoint.domain, domains))
            if view.number == 0:
                continue
            if where is not None and (node in spoilt or _spoils(node, local, taken[node], graph.shapes is None)):
                if active[edge.node] is None or active[edge.node] != _at_argument(where, edge):
                    view = where.where(view, 0)  # leaves a branch: no NaN gets out of it
                else:
                    spoilt.add(edge.node)
            received = _received(node, edge, view, adjoint.domain, domains)
            arriving.setdefault(edge.node, []).append(received)
    inputs = {node.attribute: node for node in order if node.gate.name == "input"}
    gradients = []
    for i in wrt:
        found = arriving[inputs[i]][0] if i in inputs and inputs[i] in arriving else Contribution(zero)
        gradients.append(_whole(found))
    return replace(graph, gradients=tuple(gradients), wrt=tuple(wrt), adjoints=adjoints)


class Contribution(NamedTuple):
    """What a node receives from one reader, over the node's own axes, and where: affine forms >= 0."""

    view: View
    domain: frozenset[Index] = frozenset()


def _whole(found: Contribution) -> View:
    """A contribution on all of its axes: 0 outside of its domain."""
    return guarded(found.view, sorted(found.domain, key=repr))


def _merged(contributions: list[Contribution]) -> Contribution:
    """The adjoint: the sum of what arrives, each part on its own domain."""
    if len(contributions) == 1:
        return contributions[0]
    common = frozenset.intersection(*(part.domain for part in contributions))
    views = [guarded(part.view, sorted(part.domain - common, key=repr)) for part in contributions]
    return Contribution(views[0].node.table.apply(GATES["add"], *views), common)


def _keeps_axes(node: Node) -> bool:
    """Whether a node's own axes are the first ones that it loops over."""
    is_scatter = isinstance(node.attribute, Reduction) and not node.attribute.is_plain
    return not is_scatter and node.gate.name not in MATRIX_RULES


def _spoils(node: Node, local: View | None, taken: View | None, over_points: bool) -> bool:
    """Whether an adjoint that is 0 where its node does not matter may be anything once it is handed on.

    `taken` is where the branches around it are. The entries of arrays are taken to be finite: a branch would keep a
    product of matrices from being one. Over points one more costs nothing.
    """
    if node.gate.name in EXTREMES:  # the local gradient of who loses is 0; that of NaN is NaN, as it may be in a branch
        return taken is not None
    return node.gate.name == "select" or local is None or not is_finite(local) or (over_points and not local.node.fixed)


def _is_own(edge: View, node: Node) -> bool:
    return edge.index is positional(node).index and edge.node.rank == node.loops


def _received(node: Node, edge: View, view: View, domain: frozenset[Index], domains: Domains | None) -> Contribution:
    """What the argument receives where `node` hands on `view`."""
    contribution = Contribution(view, domain)
    return contribution if domains is None and _is_own(edge, node) else _pushed(node, edge, contribution, domains)


def _pushed(node: Node, edge: View, found: Contribution, domains: Domains | None) -> Contribution:
    """A contribution over the loop axes of `node` as what the argument receives, over the argument's axes.

    The axes that the argument lacks are summed over; a shifted or gathered read becomes a scatter-add.
    """
    table, argument = edge.node.table, edge.node
    limits = [*found.domain, *(domains.of[node].constraints() if domains else ())]
    loops = list(range(node.loops))
    if node.gate.name in MATRIX_RULES:  # its own axes are no loops: it handed on arrays over the argument's
        loops = list(edge.axes)
        limits = [form for form in limits if set(form.axes) <= set(loops)]
    view, index = found.view, edge.index
    if domains is not None:
        view, index, limits, extra = _with_axes(view, index, limits, argument, domains)
        loops += extra
    own = [_single_axis(place) for place in index]
    if None not in own and len(set(own)) == len(own):
        missing = [name for name in loops if name not in own]
        # Their names are positions of the reader; those of the argument must not meet them.
        names = _loops_of_argument(index) | {name: axis(table.fresh()) for name in missing}
        reduced = [names[name].terms[0][0] for name in missing]
        limits = [substituted(form, names) for form in limits]
        inner = [form for form in limits if set(form.axes) & set(reduced)]
        outer = [form for form in limits if not set(form.axes) & set(reduced)]
        domain = frozenset(outer) if domains is None else domains.besides(domains.of[argument], outer)
        moved = view.at(names)
        if any(plain_axis(place) is None for place in index):
            moved = at_inputs(moved)
        derived = domains.derived if domains is not None else ()
        return Contribution(total(moved, reduced, inner, derived=derived), domain)  # type: ignore[arg-type]
    names = {name: axis(table.fresh()) for name in loops}
    out = tuple(View(argument, (place,)).at(names).index[0] for place in index)
    limits = [substituted(form, names) for form in limits]
    result = tuple(range(argument.rank))
    return Contribution(table.reduce(GATES["sum"], view.at(names), (), limits, out, result))


def _single_axis(index: AnyIndex) -> int | None:
    """The axis of an index expression that says which index it is of: i, i + 1, n - 1 - i."""
    if isinstance(index, Index) and len(index.axes) == 1 and abs(index.coefficient(index.axes[0])) == 1:
        return index.axes[0]
    return None


def _loops_of_argument(index: tuple[AnyIndex, ...]) -> dict[int, Index]:
    """The reader's axes in terms of the argument's: what is read at i + 1 is at p where the reader is at i = p - 1."""
    names: dict[int, Index] = {}
    for place, at in enumerate(index):
        name = _single_axis(at)
        if name is not None and name not in names:
            assert isinstance(at, Index)
            factor = at.coefficient(name)
            names[name] = axis(place).minus(at.minus(axis(name).scaled(factor))).scaled(factor)
    return names


def _limits_of_argument(
    argument: Node, index: tuple[AnyIndex, ...], limits: Sequence[Index], domains: Domains
) -> frozenset[Index]:
    """Where an argument is read by loops with these limits: forms >= 0 that do not hold wherever it is needed."""
    names = _loops_of_argument(index)
    found = [substituted(form, names) for form in limits if all(name in names for name in form.axes)]
    for place, at in enumerate(index):
        if isinstance(at, Index) and not at.axes:
            found += [axis(place).minus(at), at.minus(axis(place))]
    return domains.besides(domains.of[argument], found)


def _with_axes(
    view: View, index: tuple[AnyIndex, ...], limits: list[Index], argument: Node, domains: Domains
) -> tuple[View, tuple[AnyIndex, ...], list[Index], list[int]]:
    """A read at one entry of an axis as one along the axis, whose adjoint is 0 but there.

    At a number it is a domain of one index. A gathered read of something computed is a select: all entries are computed
    anyway, so that this is no more work than they are; and unlike a scatter it vectorises.
    """
    table = view.node.table
    places: list[AnyIndex] = []
    extra: list[int] = []
    for place, own in enumerate(index):
        bound = domains.of[argument].bounds[place]
        name = table.fresh()
        if isinstance(own, Index) and not own.axes:
            limits = [*limits, axis(name).minus(own), own.minus(axis(name))]
        elif isinstance(own, Gather) and bound is not None and _is_chosen(argument, bound):
            view = own.view.equals(table.position(axis(name))).where(view, 0)
            limits = [*limits, axis(name).minus(bound[0]), bound[1].minus(axis(name))]
        else:
            places.append(own)
            continue
        places.append(axis(name))
        extra.append(name)
    return view, tuple(places), limits, extra


# An axis of an input of at most this many entries is gathered from by choosing among all of them.
SHORT_AXIS = 12


def _is_chosen(argument: Node, bound: tuple[Index, Index]) -> bool:
    length = bound[1].minus(bound[0])
    return argument.gate.name != "input" or (not length.terms and length.offset < SHORT_AXIS)


def _varying(order: list[Node], wrt: set[int]) -> set[Node]:
    """The real-valued nodes that depend on an input that is differentiated for."""
    varying: set[Node] = set()
    for node in order:
        is_wanted = node.gate.name == "input" and node.attribute in wrt
        if (
            node.kind == "real"
            and node.gate.name != "detached"
            and (is_wanted or any(edge.node in varying for edge in node.arguments))
        ):
            varying.add(node)
    return varying


def _handed(node: Node, adjoint: View, active: View | None) -> list[Handed]:
    """What `node` hands to each argument."""
    arguments = positional(node).arguments
    if node.gate.name in MATRIX_RULES:
        views = MATRIX_RULES[node.gate.name](positional(node), adjoint)
        return [Handed(place, arguments[place], None, view, None) for place, view in enumerate(views)]
    if isinstance(node.attribute, Reduction) and not node.attribute.is_plain:
        adjoint = adjoint.at(dict(enumerate(node.attribute.out)))
    places = _places(node, active, extremes=True)
    if node.gate.name == "select":
        taken = arguments[0].where(1, 0), arguments[0].where(0, 1)
        return [Handed(place, arguments[place], taken[place - 1], adjoint, places[place]) for place in (1, 2)]
    if node.gate.local_gradients is None:
        raise UnsupportedExpression(
            f"the gate {node.gate.name} has no derivative here; "
            "leave its argument out of wrt, or define a gate of your own with symgrad.gate"
        )
    partials = node.gate.local_gradients(positional(node), *arguments)
    return [
        Handed(place, edge, partial, _passed(node, place, adjoint, partial), where)
        for place, (edge, partial, where) in enumerate(zip(arguments, partials, places, strict=True))
    ]


def _passed(node: Node, place: int, adjoint: View, partial: View) -> View:
    """Adjoint times local gradient: what the argument at that place receives.

    What a power reads gets n*u/a where the adjoint is the quotient u/y by the power y = a**n itself, as it is in 1/a**n
    and log(a**n): u/y*(n*y/a) would be inf*0 where a is 0, and u/y would underflow where a is large.
    """
    y = positional(node)
    argument = y.arguments[place]
    if node.gate.name == "power":
        exponent = node.table.constant(Fraction(node.attribute))
    elif node.gate.name == "pow" and place == 0:
        exponent = y.arguments[1]
    elif node.gate.name == "mul" and _holds_power(argument):
        exponent = node.table.constant(1)
    else:
        return times(adjoint, partial)
    terms = adjoint.arguments if adjoint.node.gate.name == "add" else (adjoint,)
    above = [_numerator(term, y) for term in terms]
    views = [times(own, exponent / argument) for own in above if own is not None]
    if not views:
        return times(adjoint, partial)
    rest = [term for term, own in zip(terms, above, strict=True) if own is None]
    return _sum([*views, times(_sum(rest), partial)] if rest else views)


# How deep in products and quotients an adjoint is looked into, and how many nodes a number of extents has.
_DEPTH = 4
_FEW = 16


def _holds_power(view: View, depth: int = _DEPTH) -> bool:
    """Whether a power is a factor of a product."""
    name = view.node.gate.name
    is_product = name == "mul" and depth > 0
    return name in ("power", "pow") or (is_product and any(_holds_power(own, depth - 1) for own in view.arguments))


def _numerator(adjoint: View, y: View, depth: int = _DEPTH) -> View | None:
    """The u of an adjoint that is u/y, else None."""
    name = adjoint.node.gate.name
    if name == "div" and adjoint.arguments[1] == y:
        return adjoint.arguments[0]
    if name == "neg" and depth:
        above = _numerator(adjoint.arguments[0], y, depth - 1)
        return None if above is None else -above
    if name == "mul" and depth:
        for place, factor in enumerate(adjoint.arguments):
            above = _numerator(factor, y, depth - 1)
            if above is not None:
                others = [*adjoint.arguments[:place], *adjoint.arguments[place + 1 :]]
                return _product(others if above.number == 1 else [*others, above])
    return None


def times(adjoint: View, partial: View) -> View:
    """Adjoint times local gradient; what that switches off is exactly 0, also where the adjoint is infinite.

    The adjoint goes into quotients and branches, so that g*(1/b) is g/b and a maximum routes instead of multiplying.
    """
    if partial.number == 1 or adjoint.number == 0:
        return adjoint
    if adjoint.number == 1 or partial.number in (0, "nan"):
        return partial
    name = partial.node.gate.name
    if name == "neg":
        return -times(adjoint, partial.arguments[0])
    if partial.number == -1:
        return -adjoint
    if name == "select":
        condition, taken, otherwise = partial.arguments
        return condition.where(times(adjoint, taken), times(adjoint, otherwise))
    if name == "div" and partial.arguments[0].node.fixed:  # g*(a/b) stays: g*a may overflow where a/b does not
        above, below = partial.arguments
        return times(adjoint, above) / below
    if name == "mul":
        factors = partial.arguments
        constants = [factor for factor in factors if factor.node.fixed]
        if constants and len(constants) < len(factors):
            # The constant goes with the adjoint, which the arguments of a sum share.
            rest = [factor for factor in factors if not factor.node.fixed]
            return times(_product([*constants, adjoint]), _product(rest))
        for place, factor in enumerate(factors):
            if factor.node.gate.name == "div" and factor.arguments[0].number == 1:
                others = factors[:place] + factors[place + 1 :]
                return adjoint.node.table.apply(GATES["mul"], *others, times(adjoint, factor))
    product = adjoint * partial
    counts = _counts(adjoint)
    if counts and may_lack_terms(partial, entries=False):
        return _product(counts).equals(0).where(0, product)
    return product


def _counts(view: View) -> list[View]:
    """The factors, of a few, that say how often there is something."""
    stack, found, left = [view], [], _FEW
    while stack and left:
        part, left = stack.pop(), left - 1
        if part.node.gate.name == "mul":
            stack += reversed(part.arguments)
        elif _is_count(part):
            found.append(part)
    return found


def _is_count(view: View) -> bool:
    """Whether a number is made of a few extents alone: how often there is something, which may be never."""
    seen, stack, has_size = {view}, [view], False
    while stack:
        part = stack.pop()
        name = part.node.gate.name
        has_size = has_size or name == "size"
        if not part.arguments and name != "size" and not part.node.fixed:
            return False
        stack += [argument for argument in dict.fromkeys(part.arguments) if argument not in seen]
        seen.update(part.arguments)
        if len(seen) > _FEW:
            return False
    return has_size


def _sum(terms: list[View]) -> View:
    return terms[0] if len(terms) == 1 else terms[0].node.table.apply(GATES["add"], *terms)


def _product(factors: list[View]) -> View:
    return factors[0] if len(factors) == 1 else factors[0].node.table.apply(GATES["mul"], *factors)


# --- branches ---------------------------------------------------------------------------------------------------------


# By which an argument loses against another one, or against the result.
EXTREMES: dict[str, Callable[[View, View], View]] = {
    "max": lambda own, other: own < other,
    "min": lambda own, other: own > other,
    "largest": lambda own, other: own < other,
    "smallest": lambda own, other: own > other,
}


def _places(node: Node, active: View | None, extremes: bool = False) -> list[View | None]:
    """Where each argument of `node` matters, if `node` does where `active` holds; None is everywhere.

    With `extremes` an argument of Max and Min matters where it does not lose.
    """
    places: list[View | None] = [active] * len(node.arguments)
    y, loses = positional(node), EXTREMES.get(node.gate.name)
    if node.gate.name == "select":
        condition = y.arguments[0]
        sides = [condition, condition.call("not")]
        places[1:] = [side if active is None else active.call("and", side) for side in sides]
    elif extremes and loses is not None:
        others = y.arguments[::-1] if len(node.arguments) == 2 else (y,) * len(node.arguments)
        sides = [loses(own, other).call("not") for own, other in zip(y.arguments, others, strict=True)]
        places = [side if active is None else active.call("and", side) for side in sides]
    return places


def _at_argument(place: View, edge: View) -> View | None:
    """A condition over the axes of a reader as one over those of its argument.

    None where it depends on other axes: it says nothing of the argument as a whole.
    """
    if edge.index is positional(edge.node).index and all(name < len(edge.index) for name in place.axes):
        return place
    places = {name: axis(at) for at, index in enumerate(edge.index) if (name := plain_axis(index)) is not None}
    return place.at(places) if all(name in places for name in place.axes) else None


def _matters_at_argument(place: View, edge: View, limits: Sequence[Index]) -> View:
    """Where an argument matters to some of the loops of its reader: those within `limits` where `place` holds."""
    parts = _conjuncts(place)
    known = [own for part in parts if (own := _at_argument(part, edge)) is not None]
    rest = [part for part in parts if _at_argument(part, edge) is None]
    if rest:
        table = place.node.table
        names = _loops_of_argument(edge.index)
        forms = [index for part in rest for index in map(axis, part.axes)] + list(limits)
        missing = dict.fromkeys(name for form in forms for name in form.axes if name not in names)
        fresh = {name: table.fresh() for name in missing}
        moved = {**names, **{name: axis(own) for name, own in fresh.items()}}
        holds = _all(rest).at(moved).where(1, 0)
        within = [substituted(form, moved) for form in limits if not missing.keys().isdisjoint(form.axes)]
        known.append(table.reduce(GATES["largest"], holds, fresh.values(), within) > 0)
    return _all(known)


def _conjuncts(condition: View) -> list[View]:
    if condition.node.gate.name != "and":
        return [condition]
    return [part for argument in condition.arguments for part in _conjuncts(argument)]


def _all(conditions: list[View]) -> View:
    return conditions[0] if len(conditions) == 1 else conditions[0].call("and", *conditions[1:])


class Place(NamedTuple):
    """Where a node is read, over its own axes: where a condition holds (None: always) and affine forms are >= 0."""

    condition: View | None
    limits: frozenset[Index] = frozenset()
    is_flat: bool = False  # by a step, which hands nothing on

    def holds(self, common: frozenset[Index], table: Table) -> View | None:
        """The place as one condition, for where the forms of `common` are >= 0 anyway."""
        conditions = [_is_at_least_zero(form, table) for form in sorted(self.limits - common, key=repr)]
        if self.condition is not None:
            conditions.append(self.condition)
        return _all(conditions) if conditions else None


def _is_at_least_zero(form: Index, table: Table) -> View:
    """Whether an affine form is >= 0, as one writes it: i < j + 1."""
    above = Index(tuple((term, factor) for term, factor in form.terms if factor > 0), form.offset + 1)
    below = above.minus(form.plus(1))
    return table.position(below) < table.position(above)


def activity(
    order: list[Node],
    varying: set[Node],
    domains: Domains | None = None,
    *,
    extremes: bool = False,
    slopes: bool = False,
) -> dict[Node, View | None]:
    """For each varying node the condition under which any of its readers matters; None for always.

    What is read inside branches only, or on some domains only, may be NaN elsewhere: it matters where one of these
    branches is taken, on one of these domains. What a condition reads has no gradient and counts for nothing. Inputs
    are outside of all branches. With `extremes` the arguments of Max and Min are branches, too, taken where they do not
    lose; with `slopes` a step does not count among several readers.
    """
    read_at: dict[Node, list[Place]] = {order[-1]: [Place(None)]}
    active: dict[Node, View | None] = {}
    for node in reversed(order):
        if node not in varying or node not in read_at:
            continue
        places = read_at.pop(node)
        if node.gate.name == "input":
            active[node] = None
        else:
            active[node] = _joined([place for place in places if not place.is_flat] or places, node.table)
        limits = domains.of[node].constraints() if domains is not None else []
        is_flat = slopes and _is_step(node)
        for edge, place in zip(node.arguments, _places(node, active[node], extremes), strict=True):
            if edge.node in varying:
                condition = None if place is None else _at_argument(place, edge)
                limited: frozenset[Index] = frozenset()
                if domains is not None:
                    if place is not None and condition is None and _keeps_axes(node):
                        condition = _matters_at_argument(place, edge, limits)
                    limited = _limits_of_argument(edge.node, edge.index, limits, domains)
                read_at.setdefault(edge.node, []).append(Place(condition, limited, is_flat))
    return active


def _is_step(node: Node) -> bool:
    return node.attribute is None and len(node.arguments) == 1 and _is_flat(node.gate)


@cache
def _is_flat(gate: Gate) -> bool:
    """Whether a function of one argument has the slope 0 wherever it has one, as sign, floor and ceiling."""
    if gate.local_gradients is None or gate.kind != "real":
        return False
    table = Table(GATES)
    argument = table.input(0, ())
    return gate.local_gradients(table.apply(gate, argument), argument)[0].number == 0


def _joined(places: list[Place], table: Table) -> View | None:
    """Whether a node matters in any of the places; what all of them ask of its axes goes with the contributions."""
    common = frozenset.intersection(*(place.limits for place in places))
    found = list(dict.fromkeys(place.holds(common, table) for place in places))
    if None in found:
        return None
    return found[0] if len(found) == 1 else found[0].call("or", *found[1:])  # type: ignore
