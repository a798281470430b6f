"""Reverse-mode differentiation: from a graph to the graph of its value and gradients.

Every node receives its adjoint (the upstream gradient), hands adjoint times local gradient to each argument, and a node
that is read several times adds what arrives (Griewank & Walther, Evaluating Derivatives, 2008, section 3.2). The result
is made of nodes of the same table, so forward and backward share, and gradients can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import UnsupportedExpression
from .gates import GATES
from .graph import Graph, Node, View, positional, reachable


def differentiate(graph: Graph, wrt: Sequence[int]) -> Graph:
    """`graph` with the gradients of its value with respect to the inputs at positions `wrt`.

    An input that the value does not use gets 0. Raises UnsupportedExpression for a gate without a derivative.
    """
    value = graph.values[0]
    order = reachable([value.node])
    varying = _varying(order, set(wrt))
    active = activity(order, varying)
    arriving: dict[Node, list[View]] = {value.node: [graph.table.constant(1)]}
    adjoints: dict[Node, Node] = {}
    for node in reversed(order):
        if node not in varying or node not in arriving:
            continue
        contributions = arriving[node]
        adjoint = contributions[0] if len(contributions) == 1 else graph.table.apply(GATES["add"], *contributions)
        arriving[node] = [adjoint]
        adjoints.setdefault(adjoint.node, node)
        for edge, contribution, where in _contributions(node, adjoint, active[node]):
            if edge.node in varying and contribution.number != 0:
                if where is not None and active[edge.node] != where:
                    contribution = where.where(contribution, 0)  # leaves a branch: no NaN gets out of it
                arriving.setdefault(edge.node, []).append(contribution)
    zero = graph.table.constant(0)
    inputs = {node.attribute: node for node in order if node.gate.name == "input"}
    gradients = tuple(arriving[inputs[i]][0] if i in inputs and inputs[i] in arriving else zero for i in wrt)
    return replace(graph, gradients=gradients, wrt=tuple(wrt), adjoints=adjoints)


def _varying(order: list[Node], wrt: set[int]) -> set[Node]:
    """The real-valued nodes that depend on an input that is differentiated for."""
    varying: set[Node] = set()
    for node in order:
        is_wanted = node.gate.name == "input" and node.attribute in wrt
        if node.kind == "real" and (is_wanted or any(edge.node in varying for edge in node.arguments)):
            varying.add(node)
    return varying


def _contributions(node: Node, adjoint: View, active: View | None) -> list[tuple[View, View, View | None]]:
    """What `node` hands to each argument, and where that is active."""
    arguments = positional(node).arguments
    if node.gate.name == "input":
        return []
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
                read_at.setdefault(edge.node, []).append(place)
    return active
