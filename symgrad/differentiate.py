"""Reverse-mode differentiation: from a graph to the graph of its value and gradients.

Every node receives its adjoint (the upstream gradient), hands adjoint times local gradient to each argument, and a node
that is read several times adds what arrives (Griewank & Walther, Evaluating Derivatives, 2008, section 3.2). The result
is made of nodes of the same table, so forward and backward share, and gradients can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from .errors import UnsupportedExpression
from .gates import GATES
from .graph import Graph, Node, View, positional, reachable


class Branch(NamedTuple):
    """One side of a select inside which a node lives; `outer` leads to the enclosing branch."""

    condition: View
    taken: bool
    outer: Branch | None
    depth: int
    active: View | None  # holds inside: this condition and those of all outer branches; None: `condition` fails


def differentiate(graph: Graph, wrt: Sequence[int]) -> Graph:
    """`graph` with the gradients of its value with respect to the inputs at positions `wrt`.

    An input that the value does not use gets 0. Raises UnsupportedExpression for a gate without a derivative.
    """
    value = graph.values[0]
    order = reachable([value.node])
    varying = _varying(order, set(wrt))
    branches = _branches(order)
    arriving: dict[Node, list[View]] = {value.node: [graph.table.constant(1)]}
    adjoints: dict[Node, Node] = {}
    for node in reversed(order):
        if node not in varying or node not in arriving:
            continue
        contributions = arriving[node]
        adjoint = contributions[0] if len(contributions) == 1 else graph.table.apply(GATES["add"], *contributions)
        arriving[node] = [adjoint]
        adjoints.setdefault(adjoint.node, node)
        for edge, contribution, branch in _contributions(node, adjoint, branches[node]):
            if edge.node in varying and contribution.number != 0:
                outward = _leave(contribution, branch, branches[edge.node])
                arriving.setdefault(edge.node, []).append(outward)
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


def _contributions(node: Node, adjoint: View, branch: Branch | None) -> list[tuple[View, View, Branch | None]]:
    """What `node` hands to each argument, and the branch in which it does."""
    arguments = positional(node).arguments
    if node.gate.name == "input":
        return []
    if node.gate.name == "select":
        condition, taken, otherwise = arguments
        return [
            (taken, adjoint, _inside(branch, condition, True)),
            (otherwise, adjoint, _inside(branch, condition, False)),
        ]
    if node.gate.local_gradients is None:
        raise UnsupportedExpression(
            f"the gate {node.gate.name} has no derivative here; "
            "leave its argument out of wrt, or define a gate of your own with symgrad.gate"
        )
    partials = node.gate.local_gradients(positional(node), *arguments)
    return [(edge, times(adjoint, partial), branch) for edge, partial in zip(arguments, partials, strict=True)]


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


def _inside(outer: Branch | None, condition: View, taken: bool) -> Branch:
    if outer is None:
        return Branch(condition, taken, None, 1, condition if taken else None)
    around = outer.active or outer.condition.call("not")
    return Branch(
        condition, taken, outer, outer.depth + 1, around.call("and", condition if taken else condition.call("not"))
    )


def _same(one: Branch | None, two: Branch | None) -> bool:
    return one is two or (
        one is not None
        and two is not None
        and one.condition == two.condition
        and one.taken == two.taken
        and one.depth == two.depth
    )


def _common(one: Branch | None, two: Branch | None) -> Branch | None:
    """The innermost branch that holds both."""
    while one is not None and two is not None and one.depth != two.depth:
        one, two = (one.outer, two) if one.depth > two.depth else (one, two.outer)
    found, a, b = one if two is not None else None, one, two
    while a is not None and b is not None:
        if not _same(a, b):
            found = a.outer
        a, b = a.outer, b.outer
    return found


def _branches(order: list[Node]) -> dict[Node, Branch | None]:
    """For each node the innermost branch that all its readers are in; None outside of all, as inputs are."""
    found: dict[Node, Branch | None] = {order[-1]: None}
    for node in reversed(order):
        here = found[node]
        places: list[Branch | None] = [here] * len(node.arguments)
        if node.gate.name == "select":
            condition = positional(node).arguments[0]
            places[1:] = _inside(here, condition, True), _inside(here, condition, False)
        for edge, place in zip(node.arguments, places, strict=True):
            if edge.node.gate.name == "input":
                place = None
            found[edge.node] = _common(found[edge.node], place) if edge.node in found else place
    return found


def _leave(contribution: View, branch: Branch | None, outer: Branch | None) -> View:
    """A contribution that leaves a branch: 0 where the branch is not taken, so that no NaN gets out of it."""
    if branch is None or (outer is not None and outer.depth >= branch.depth):
        return contribution
    if branch.active is None:
        return branch.condition.where(0, contribution)
    return branch.active.where(contribution, 0)
