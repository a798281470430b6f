"""Sharing of partial sums and products: what several sums have in common is added once.

Greedily, two terms at a time, those first that most sums have, as common-subexpression elimination matches commutative
operations (Breuer, Generation of optimal code for expressions via factorization, 1969).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ..gates.table import GATES
from ..graph.graph import Graph
from ..graph.node import Node, View
from ..graph.rebuild import rebuilt

# A term is paired with so many of those beside it: a sum of thousands of terms takes no more time than many short ones.
_BESIDE = 8


class Pair(NamedTuple):
    """Two terms, by number, and the sign of the second where the first has a plus."""

    one: int
    two: int
    sign: int


Terms = dict[int, int]  # numbers of terms, each with its sign


def share_pairs(graph: Graph, fragile_nodes: Callable[[Sequence[Node]], Container[Node]], fired: Counter[str]) -> Graph:
    """`graph` with what its sums, or its products, have in common computed once: fewer operations, in another order.

    Only over points, where all is computed at every point: elsewhere what is shared might need a loop or an array of
    its own. Not in fragile nodes, which a rounding must not change.
    """
    if not graph.over_points:
        return graph
    order = graph.order()
    changed: dict[Node, _Sums] = {}
    fragile: Container[Node] | None = None
    for gate in ("add", "mul"):
        nodes = [node for node in order if node.gate.name == gate and not node.fixed]
        # Two terms that another sum of two has as well are one node already.
        if any(len(node.arguments) > 2 for node in nodes):
            fragile = fragile_nodes(order) if fragile is None else fragile
            sums = _Sums(gate, [node for node in nodes if node not in fragile])
            sums.share_groups()
            sums.share_pairs()
            fired.update({"share_pairs": len(sums.shared)} if sums.shared else {})
            changed |= dict.fromkeys(sums.changed, sums)
    if not changed:
        return graph
    views: dict[Node, View] = {}
    for node in order:
        if node in changed:
            views[node] = changed[node].rebuilt(node, views)
        elif all(views[source] is source.own for source in node.sources):
            views[node] = node.own
        else:
            views[node] = rebuilt(graph.table, node, views)
    return graph.rebuilt(views)


class _Sums:
    """The sums of a graph, or its products: the terms that others have as well, each with its sign.

    A term is a node, by its number, or a sum that is shared, by a number beyond these.
    """

    def __init__(self, gate: str, nodes: Sequence[Node]) -> None:
        self.gate = gate
        self.base: dict[int, Node] = {}  # of the terms that are nodes
        self.shared: dict[int, Terms] = {}  # of the others
        self.made: dict[int, View] = {}  # what these have become
        self.of: dict[Node, Terms] = {}
        self.aside: dict[Node, list[View]] = {}  # the arguments that are not among the terms
        self.changed: dict[Node, None] = {}  # in this order
        bases = {
            node: [_signed(edge) if gate == "add" else (edge.node, 1) for edge in node.arguments] for node in nodes
        }
        readers = Counter(base for terms in bases.values() for base in {base: None for base, _ in terms})
        for node, terms in bases.items():
            common: Terms = {}
            aside = []
            for edge, (base, sign) in zip(node.arguments, terms, strict=True):
                if readers[base] > 1 and base.number not in common:
                    common[base.number] = sign
                    self.base[base.number] = base
                else:
                    aside.append(edge)
            if len(common) > 1:
                self.of[node], self.aside[node] = common, aside
        self.fresh = max(self.base, default=0)

    def share_groups(self) -> None:
        """Shares the terms that always occur together, if they do in several sums."""
        signs: dict[int, dict[Node, int]] = {}
        for node, terms in self.of.items():
            for number, sign in terms.items():
                signs.setdefault(number, {})[node] = sign
        groups: dict[tuple[tuple[Node, int], ...], Terms] = {}
        for number, found in signs.items():
            first = next(iter(found.values()))
            groups.setdefault(tuple((node, sign * first) for node, sign in found.items()), {})[number] = first
        for holders, group in groups.items():
            if len(group) > 1 and len(holders) > 1:
                oriented, users = self._oriented(group, [node for node, _ in holders])
                if len(users) > 1:
                    self._replace(oriented, users)

    def share_pairs(self) -> None:
        """Shares pairs of terms, the most frequent first, until none is in two sums."""
        holders: dict[Pair, list[Node]] = {}
        for node, terms in self.of.items():
            numbers = sorted(terms)
            for place, one in enumerate(numbers):
                for two in numbers[place + 1 : place + 1 + _BESIDE]:
                    holders.setdefault(Pair(one, two, terms[one] * terms[two]), []).append(node)
        queue = [(-len(nodes), pair) for pair, nodes in holders.items() if len(nodes) > 1]
        heapq.heapify(queue)
        while queue:
            count, pair = heapq.heappop(queue)
            one, two, sign = pair
            having = [node for node in holders[pair] if self.of[node].get(one, 0) * self.of[node].get(two, 0) == sign]
            oriented, users = self._oriented({one: 1, two: sign}, having)
            if len(users) < -count and len(users) > 1:
                heapq.heappush(queue, (-len(users), pair))
            elif len(users) > 1:
                fresh = self._replace(oriented, users)
                found: dict[Pair, None] = {}
                for node in users:
                    terms = self.of[node]
                    for other in islice(reversed(terms), 1, 1 + _BESIDE):
                        new = Pair(other, fresh, terms[other] * terms[fresh])
                        holders.setdefault(new, []).append(node)
                        found[new] = None
                for new in found:
                    if len(holders[new]) > 1:
                        heapq.heappush(queue, (-len(holders[new]), new))

    def _oriented(self, group: Terms, nodes: Sequence[Node]) -> tuple[Terms, list[Node]]:
        """The group with the signs that most sums have it with, one of them a plus, and the sums that gain by it."""
        first, sign = next(iter(group.items()))
        minus = sum(self.of[node][first] != sign for node in nodes)
        flipped = {number: -own for number, own in group.items()}
        if 2 * minus > len(nodes):
            group, flipped = flipped, group
        if all(own < 0 for own in group.values()):
            group = flipped
        return group, [node for node in nodes if self.of[node][first] == group[first] or self._has_other(node, group)]

    def _has_other(self, node: Node, group: Terms) -> bool:
        """Whether there is something that a group can be subtracted from."""
        rest = any(sign > 0 and number not in group for number, sign in self.of[node].items())
        return rest or any(edge.node.gate.name != "neg" for edge in self.aside[node])

    def _replace(self, group: Terms, nodes: Sequence[Node]) -> int:
        """Puts one term, whose number is returned, in the place of a group."""
        self.fresh += 1
        self.shared[self.fresh] = group
        for node in nodes:
            terms = self.of[node]
            for number, sign in group.items():
                relative = terms.pop(number) * sign
            terms[self.fresh] = relative
            self.changed[node] = None
        return self.fresh

    def rebuilt(self, node: Node, views: Mapping[Node, View]) -> View:
        """What replaces a sum, where `views` replace its arguments."""
        waiting = [*self.of[node]]
        while waiting:  # what is shared is built from the inside
            number = waiting[-1]
            inside = self.shared.get(number, {})
            missing = [own for own in inside if own not in self.made]
            waiting += missing
            if not missing:
                if number not in self.made:
                    self.made[number] = self._joined(inside, []) if inside else views[self.base[number]]
                waiting.pop()
        return self._joined(self.of[node], [views[edge.node] for edge in self.aside[node]])

    def _joined(self, terms: Terms, aside: list[View]) -> View:
        """A sum, what is subtracted last and numbers behind the others, as one writes it; a product's number first."""
        views = [self.made[number] if sign > 0 else -self.made[number] for number, sign in terms.items()] + aside
        is_sum = self.gate == "add"
        views.sort(key=lambda view: view.node.gate.name == "neg" or (view.number is not None) == is_sum)
        return views[0] if len(views) == 1 else views[0].node.table.apply(GATES[self.gate], *views)


def _signed(edge: View) -> tuple[Node, int]:
    return (edge.node.arguments[0].node, -1) if edge.node.gate.name == "neg" else (edge.node, 1)
