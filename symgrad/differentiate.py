"""Reverse-mode differentiation: from a graph to the graph of its value and gradients.

Every node receives its adjoint (the upstream gradient), hands adjoint times local gradient to each argument, and a node
that is read several times adds what arrives (Griewank & Walther, Evaluating Derivatives, 2008, section 3.2). The result
is made of nodes of the same table, so forward and backward share, and gradients can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from .array_gates import MATRIX_RULES
from .domains import Domains
from .errors import UnsupportedExpression
from .gates import GATES
from .graph import (
    AnyIndex,
    Gather,
    Graph,
    Index,
    Node,
    Reduction,
    View,
    axis,
    plain_axis,
    positional,
    reachable,
    substituted,
)
from .sums import at_inputs, guarded, total


def differentiate(graph: Graph, wrt: Sequence[int]) -> Graph:
    """`graph` with the gradients of its value with respect to the inputs at positions `wrt`.

    An input that the value does not use gets 0. Raises UnsupportedExpression for a gate without a derivative.
    """
    value = graph.values[0]
    order = reachable([value.node])
    varying = _varying(order, set(wrt))
    active = activity(order, varying)
    domains = Domains(replace(graph, gradients=(), wrt=())) if graph.shapes is not None else None
    arriving: dict[Node, list[Contribution]] = {value.node: [Contribution(graph.table.constant(1))]}
    adjoints: dict[Node, Node] = {}
    for node in reversed(order):
        if node not in varying or node not in arriving:
            continue
        adjoint = _merged(arriving[node])
        arriving[node] = [adjoint]
        adjoints.setdefault(adjoint.view.node, node)
        if node.gate.name == "input":
            continue
        if domains is not None and not _keeps_axes(node):
            adjoint = Contribution(guarded(adjoint.view, sorted(adjoint.domain, key=repr)))
        for edge, view, where in _contributions(node, adjoint.view, active[node]):
            if edge.node not in varying or view.number == 0:
                continue
            if where is not None and (active[edge.node] is None or active[edge.node] != _at_argument(where, edge)):
                view = where.where(view, 0)  # leaves a branch: no NaN gets out of it
            contribution = Contribution(view, adjoint.domain)
            if domains is not None or not _is_own(edge, node):
                contribution = _pushed(node, edge, contribution, domains)
            arriving.setdefault(edge.node, []).append(contribution)
    zero = graph.table.constant(0)
    inputs = {node.attribute: node for node in order if node.gate.name == "input"}
    gradients = []
    for i in wrt:
        found = arriving[inputs[i]][0] if i in inputs and inputs[i] in arriving else Contribution(zero)
        gradients.append(guarded(found.view, sorted(found.domain, key=repr)))
    return replace(graph, gradients=tuple(gradients), wrt=tuple(wrt), adjoints=adjoints)


class Contribution(NamedTuple):
    """What a node receives from one reader, over the node's own axes, and where: affine forms >= 0."""

    view: View
    domain: frozenset[Index] = frozenset()


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


def _is_own(edge: View, node: Node) -> bool:
    return edge.index is positional(node).index and edge.node.rank == node.loops


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
        names = {name: axis(table.fresh()) for name in missing}
        for place, (name, at) in enumerate(zip(own, index, strict=True)):
            assert name is not None
            assert isinstance(at, Index)
            # What is read at i + 1 receives at p what the reader has at p - 1.
            factor = at.coefficient(name)
            rest = at.minus(axis(name).scaled(factor))
            names[name] = axis(place).minus(rest).scaled(factor)
        reduced = [names[name].terms[0][0] for name in missing]
        limits = [substituted(form, names) for form in limits]
        inner = [form for form in limits if set(form.axes) & set(reduced)]
        outer = [form for form in limits if not set(form.axes) & set(reduced)]
        if domains is not None:
            outer = [form for form in outer if not domains.of[argument].implies(form)]
        moved = view.at(names)
        if any(plain_axis(place) is None for place in index):
            moved = at_inputs(moved)
        return Contribution(total(moved, reduced, inner), frozenset(outer))  # type: ignore[arg-type]
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


def _contributions(node: Node, adjoint: View, active: View | None) -> list[tuple[View, View, View | None]]:
    """What `node` hands to each argument, and where that is active."""
    arguments = positional(node).arguments
    if node.gate.name in MATRIX_RULES:
        views = MATRIX_RULES[node.gate.name](positional(node), adjoint)
        return [(edge, view, None) for edge, view in zip(arguments, views, strict=True)]
    if isinstance(node.attribute, Reduction) and not node.attribute.is_plain:
        adjoint = adjoint.at(dict(enumerate(node.attribute.out)))
    places = _places(node, active)
    if node.gate.name == "select":
        return [(edge, adjoint, place) for edge, place in zip(arguments[1:], places[1:], strict=True)]
    if node.gate.local_gradients is None:
        raise UnsupportedExpression(
            f"the gate {node.gate.name} has no derivative here; "
            "leave its argument out of wrt, or define a gate of your own with symgrad.gate"
        )
    partials = node.gate.local_gradients(positional(node), *arguments)
    contributions = (times(adjoint, partial) for partial in partials)
    return list(zip(arguments, contributions, places, strict=True))


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
    if name == "div":
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
    return adjoint * partial


def _product(factors: list[View]) -> View:
    return factors[0] if len(factors) == 1 else factors[0].node.table.apply(GATES["mul"], *factors)


# --- branches ---------------------------------------------------------------------------------------------------------


def _places(node: Node, active: View | None) -> list[View | None]:
    """Where each argument of `node` matters, if `node` does where `active` holds; None is everywhere."""
    places: list[View | None] = [active] * len(node.arguments)
    if node.gate.name == "select":
        condition = positional(node).arguments[0]
        sides = condition, condition.call("not")
        places[1:] = [side if active is None else active.call("and", side) for side in sides]
    return places


def _at_argument(place: View, edge: View) -> View | None:
    """A condition over the axes of a reader as one over those of its argument.

    None where it depends on other axes: it says nothing of the argument as a whole.
    """
    if edge.index is positional(edge.node).index and all(name < len(edge.index) for name in place.axes):
        return place
    places = {name: axis(at) for at, index in enumerate(edge.index) if (name := plain_axis(index)) is not None}
    return place.at(places) if all(name in places for name in place.axes) else None


def activity(order: list[Node], varying: set[Node]) -> dict[Node, View | None]:
    """For each varying node the condition under which any of its readers matters; None for always.

    What is read inside branches only may be NaN elsewhere: it matters where one of these branches is taken. What a
    condition reads has no gradient and counts for nothing. Inputs are outside of all branches.
    """
    read_at: dict[Node, list[View | None]] = {order[-1]: [None]}
    active: dict[Node, View | None] = {}
    for node in reversed(order):
        if node not in varying or node not in read_at:
            continue
        places = list(dict.fromkeys(read_at.pop(node)))
        if None in places or node.gate.name == "input":
            active[node] = None
        else:
            active[node] = places[0] if len(places) == 1 else places[0].call("or", *places[1:])  # type: ignore
        for edge, place in zip(node.arguments, _places(node, active[node]), strict=True):
            if edge.node in varying:
                read_at.setdefault(edge.node, []).append(None if place is None else _at_argument(place, edge))
    return active
