"""Reverse-mode differentiation: from a graph to the graph of its value and gradients.

Every node receives its adjoint (the upstream gradient), hands adjoint times local gradient to each argument, and a node
that is read several times adds what arrives (Griewank & Walther, Evaluating Derivatives, 2008, section 3.2). The result
is made of nodes of the same table, so forward and backward share, and gradients can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..analysis.domains import Domains
from ..errors import UnsupportedExpression
from ..gates.linear_algebra import MATRIX_RULES
from ..gates.reductions import product_of_others
from ..gates.table import GATES
from ..graph.affine import Index, axis, number_index, substituted
from ..graph.graph import POINTWISE, Graph, Output, reachable
from ..graph.node import AnyIndex, Gather, Node, Reduction, View, plain_axis, positional
from ..graph.sums import at_inputs, guarded, holds_guard, is_finite, total
from .activity import (
    EXTREMES,
    activity,
    argument_conditions,
    at_argument,
    keeps_axes,
    loops_of_argument,
    single_axis,
    varying_nodes,
)
from .adjoint_products import passed_on


class Handed(NamedTuple):
    """What a node hands to one of its arguments: adjoint times local gradient."""

    position: int  # of the argument
    edge: View
    local: View | None  # the local gradient; None for operations on whole matrices, whose Jacobian is never formed
    view: View  # over the loop axes of the node
    where: View | None  # the condition under which the argument matters; None for always


@dataclass(frozen=True)
class Record:
    """The reverse pass gate by gate, for those who want to see it: circuit.py."""

    adjoints: dict[Node, View] = field(default_factory=dict)  # over the node's own axes; of varying nodes
    locals: dict[tuple[Node, int], View | None] = field(default_factory=dict)  # by node and position of the argument
    contributions: dict[tuple[Node, int], View] = field(default_factory=dict)  # over the argument's own axes
    active: dict[Node, View | None] = field(default_factory=dict)  # the condition under which a varying node matters


class Adjoints(NamedTuple):
    """What a reverse pass finds."""

    gradients: list[View]  # by the inputs that were asked for, each over its own axes
    of: dict[Node, Node]  # which node's adjoint a node is


def differentiate(graph: Graph, wrt: Sequence[int], record: Record | None = None, again: bool = False) -> Graph:
    """`graph` with the gradients of its first value, a number, with respect to the inputs at positions `wrt`.

    An input that the value does not use gets 0. Every step goes into `record`, if there is one; then also the steps
    whose gradient is 0. Raises UnsupportedExpression for a gate without a derivative.
    """
    found = reverse_pass(graph, graph.values[0].view, wrt, record, again=again)
    gradients = [
        Output(view, graph.shapes[position], by=(position,))
        for position, view in zip(wrt, found.gradients, strict=True)
    ]
    return replace(graph, outputs=(*graph.values, *gradients), adjoints=found.of)


def reverse_pass(
    graph: Graph,
    seed: View,
    wrt: Sequence[int],
    record: Record | None = None,
    *,
    known: Iterable[Index] = (),
    again: bool = False,
) -> Adjoints:
    """The derivatives of a number, or of one number at each point, with respect to the inputs at positions `wrt`.

    `seed` is a value, or a sum of values times their weights: their adjoints are the weights. It need be no output, and
    then is not computed. `known` are forms in extents that are >= 0, beside the extents themselves. What is found is
    differentiated `again`: then products of terms are said so that their second derivatives are right where two are 0.
    """
    zero = graph.table.constant(0)
    order = graph.order() if graph.views == (seed,) else reachable([seed.node])
    varying = varying_nodes(order, set(wrt))
    shape = POINTWISE if graph.over_points else ()
    domains = None if graph.over_points else Domains(replace(graph, outputs=(Output(seed, shape),)), known=known)
    active = activity(order, varying, [seed.node], domains, extremes=True, slopes=True)
    has_extremes = any(node.gate.name in EXTREMES for node in order)
    taken = activity(order, varying, [seed.node], domains, slopes=True) if has_extremes else active
    arriving: dict[Node, list[Contribution]] = {seed.node: [Contribution(graph.table.constant(1))]}
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
        if domains is not None and not keeps_axes(node):
            whole = _whole(Contribution(adjoint.view, adjoint.domain | _wanted(node, domains)))
            adjoint, here = Contribution(whole if here is None else here.where(whole, 0)), None
        for position, edge, local, view, where in _handed(node, adjoint.view, here, varying, again):
            if record is not None:
                seen = view if where is None else where.where(view, 0)
                record.locals[node, position] = local
                record.contributions[node, position] = _whole(_received(node, edge, seen, adjoint.domain, domains))
            if view.number == 0:
                continue
            if where is not None and (node in spoilt or _spoils(node, local, taken[node], graph.over_points)):
                if active[edge.node] is None or active[edge.node] != at_argument(where, edge):
                    view = where.where(view, 0)  # leaves a branch: no NaN gets out of it
                else:
                    spoilt.add(edge.node)
            received = _received(node, edge, view, adjoint.domain, domains)
            arriving.setdefault(edge.node, []).append(received)
    inputs = {node.position: node for node in order if node.gate.name == "input"}
    gradients = []
    for i in wrt:
        found = arriving[inputs[i]][0] if i in inputs and inputs[i] in arriving else Contribution(zero)
        gradients.append(_whole(found))
    return Adjoints(gradients, adjoints)


class Contribution(NamedTuple):
    """What a node receives from one reader, over the node's own axes, and where: affine forms >= 0."""

    view: View
    domain: frozenset[Index] = frozenset()


def _whole(found: Contribution) -> View:
    """A contribution on all of its axes: 0 outside of its domain."""
    return guarded(found.view, sorted(found.domain, key=repr))


def _wanted(node: Node, domains: Domains) -> frozenset[Index]:
    """Where the places to which a scatter adds are wanted: forms >= 0 in its axes that its loops do not imply.

    Its adjoint is known there alone, and its loops also reach others.
    """
    if not isinstance(node.attribute, Reduction):
        return frozenset()
    out, low = dict(enumerate(node.attribute.out)), number_index(0)
    whole = {(low, extent.minus(1)) for shape in domains.graph.shapes for extent in shape}
    affine = {name: index for name, index in out.items() if isinstance(index, Index)}
    found = []
    for form in domains.indices(node).constraints():
        names = [name for name in form.axes if name not in affine]
        if names and all(domains.indices(node).bounds[name] in whole for name in names):
            continue  # what is gathered is an index of an input
        if names or not domains.implies(domains.of[node], substituted(form, affine)):
            found.append(form)
    return frozenset(found)


def _merged(contributions: list[Contribution]) -> Contribution:
    """The adjoint: the sum of what arrives, each part on its own domain."""
    if len(contributions) == 1:
        return contributions[0]
    common = frozenset.intersection(*[part.domain for part in contributions])
    views = [
        guarded(part.view, sorted(part.domain - common, key=repr)) if part.domain else part.view
        for part in contributions
    ]
    return Contribution(views[0].node.table.apply(GATES["add"], *views), common)


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
    own = [single_axis(form) for form in index]
    if None not in own and len(set(own)) == len(own):
        missing = [name for name in loops if name not in own]
        # Their names are positions of the reader; those of the argument must not meet them.
        reduced = [table.fresh() for _ in missing]
        names = loops_of_argument(index) | dict(zip(missing, map(axis, reduced), strict=True))
        limits = [substituted(form, names) for form in limits]
        inner = [form for form in limits if set(form.axes) & set(reduced)]
        outer = [form for form in limits if not set(form.axes) & set(reduced)]
        domain = frozenset(outer) if domains is None else domains.besides(domains.indices(argument), outer)
        moved = view.at(names)
        if any(plain_axis(form) is None for form in index):
            moved = at_inputs(moved)
        derived = domains.derived if domains is not None else ()
        return Contribution(total(moved, reduced, inner, derived=derived), domain)
    names = {name: axis(table.fresh()) for name in loops}
    out = tuple(View(argument, (form,)).at(names).index[0] for form in index)
    limits = [substituted(form, names) for form in limits]
    result = tuple(range(argument.rank))
    return Contribution(table.reduce(GATES["sum"], view.at(names), (), limits, out, result))


def _with_axes(
    view: View, index: tuple[AnyIndex, ...], limits: list[Index], argument: Node, domains: Domains
) -> tuple[View, tuple[AnyIndex, ...], list[Index], list[int]]:
    """A read at one entry of an axis as one along the axis, whose adjoint is 0 but there.

    At a number it is a domain of one index. A gathered read of something computed is a select: all entries are computed
    anyway, so that this is no more work than they are; and unlike a scatter it vectorises.
    """
    table = view.node.table
    along: list[AnyIndex] = []
    extra: list[int] = []
    for position, own in enumerate(index):
        bound = domains.indices(argument).bounds[position]
        name = table.fresh()
        if isinstance(own, Index) and not own.axes:
            limits = [*limits, axis(name).minus(own), own.minus(axis(name))]
        elif isinstance(own, Gather) and bound is not None and _is_chosen(argument, bound):
            view = own.view.equals(table.position(axis(name))).where(view, 0)
            limits = [*limits, axis(name).minus(bound[0]), bound[1].minus(axis(name))]
        else:
            along.append(own)
            continue
        along.append(axis(name))
        extra.append(name)
    return view, tuple(along), limits, extra


# An axis of an input of at most this many entries is gathered from by choosing among all of them.
SHORT_AXIS = 12


def _is_chosen(argument: Node, bound: tuple[Index, Index]) -> bool:
    length = bound[1].minus(bound[0])
    return argument.gate.name != "input" or (not length.terms and length.offset < SHORT_AXIS)


def _handed(node: Node, adjoint: View, active: View | None, varying: Container[Node], again: bool) -> list[Handed]:
    """What `node` hands to each argument that varies."""
    arguments = positional(node).arguments
    if node.gate.name in MATRIX_RULES:
        views = MATRIX_RULES[node.gate.name](positional(node), adjoint)
        found = [Handed(position, arguments[position], None, view, None) for position, view in enumerate(views)]
        return [handed for handed in found if handed.edge.node in varying]
    if isinstance(node.attribute, Reduction) and not node.attribute.is_plain:
        adjoint = adjoint.at(dict(enumerate(node.attribute.out)))
        adjoint = at_inputs(adjoint) if holds_guard(adjoint) else adjoint  # outside of a domain nothing is read
    conditions = argument_conditions(node, active, extremes=True)
    if node.gate.name == "select":
        taken = arguments[0].where(1, 0), arguments[0].where(0, 1)
        sides = [position for position in (1, 2) if arguments[position].node in varying]
        return [
            Handed(position, arguments[position], taken[position - 1], adjoint, conditions[position])
            for position in sides
        ]
    if node.gate.local_gradients is None:
        raise UnsupportedExpression(
            f"the gate {node.gate.name} has no derivative here; "
            "leave its argument out of wrt, or define a gate of your own with symgrad.gate"
        )
    if again and node.gate.name == "product":
        partials: tuple[View, ...] = (product_of_others(positional(node), arguments[0]),)
    else:
        partials = node.gate.local_gradients(positional(node), *arguments)
    return [
        Handed(position, edge, partial, passed_on(positional(node), position, adjoint, partial), where)
        for position, (edge, partial, where) in enumerate(zip(arguments, partials, conditions, strict=True))
        if edge.node in varying
    ]
