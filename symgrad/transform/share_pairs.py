"""Sharing of partial sums and products: what several sums have in common is added once.

Greedily, two terms at a time, those first that save most, as common-subexpression elimination matches commutative
operations (Breuer, Generation of optimal code for expressions via factorization, 1969). A term of a sum has a rational
coefficient, so that 2*a + 4*b is two times what 3*a + 6*b is three times of.

Roundings move, and nothing else does: no term is subtracted that was not. Where a sum of terms overflows though each
times its coefficient would not, or the other way round, results differ.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from ..gates.table import GATES
from ..graph.graph import Graph
from ..graph.node import Builder, Node, View
from ..graph.rebuild import rebuilt
from .laws.law import rational_of
from .share_multiples import multiplied, split_multiple

# A term is paired with so many of those beside it: a sum of thousands of terms takes no more time than many short ones.
_BESIDE = 8

# Of so many terms a sum is long.
_LONG = 4

# The number that a constant term is a multiple of: no node's.
_ONE = -1

Coefficient = int | Fraction


class Pair(NamedTuple):
    """Two terms, by number, and the coefficient of the second where that of the first is 1."""

    one: int
    two: int
    ratio: Coefficient


Terms = dict[int, Coefficient]  # numbers of terms, each with its coefficient


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
        # Two factors that another product of two has as well are one node already.
        if any(gate == "add" or len(node.arguments) > 2 for node in nodes):
            fragile = fragile_nodes(order) if fragile is None else fragile
            sums = _Sums(graph.table, gate, [node for node in nodes if node not in fragile], graph)
            sums.share_groups()
            sums.share_most()
            sums.share_pairs()
            sums.take_out()
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
    """The sums of a graph, or its products: the terms that others have as well, each with its coefficient.

    A term is a node, by its number, or a sum that is shared, by a number beyond these; of constants it is `_ONE`.
    """

    def __init__(self, table: Builder, gate: str, nodes: Sequence[Node], graph: Graph) -> None:
        self.table, self.gate = table, gate
        self.base: dict[int, View] = {_ONE: table.constant(1)} if gate == "add" else {}  # of the terms that are nodes
        self.shared: dict[int, Terms] = {}  # of the others
        self.made: dict[int, View] = {}  # what these have become
        self.of: dict[Node, Terms] = {}
        self.aside: dict[Node, list[View]] = {}  # the arguments that are not among the terms
        self.changed: dict[Node, None] = {}  # in this order
        parts = {node: [_scaled(edge) if gate == "add" else (edge, 1) for edge in node.arguments] for node in nodes}
        readers = Counter(base.node for terms in parts.values() for base, _ in terms)
        for node, terms in parts.items():
            common: Terms = {}
            aside = []
            numbered = [_size(factor) for _, factor in terms if factor not in (1, -1)] if gate == "add" else []
            sizes = Counter(numbered) if len(numbered) > 1 else {}
            for edge, (base, factor) in zip(node.arguments, terms, strict=True):
                is_number = gate == "add" and base.number == 1
                number = _ONE if is_number else base.node.number
                is_common = readers[base.node] > 1 or (bool(sizes) and sizes[_size(factor)] > 1)
                if is_common and number not in common:
                    common[number] = factor
                    self.base.setdefault(number, base)
                elif is_common and gate == "add" and common[number] * factor > 0:  # else an infinity would not be NaN
                    common[number] += factor
                    self.changed[node] = None
                else:
                    aside.append(edge)
            if len(common) > 1 or node in self.changed:
                self.of[node], self.aside[node] = common, aside
        self.fresh = max(self.base, default=0)
        # How many sums have a product of a number and a term, and which others read it.
        self.uses = Counter(key for terms in self.of.values() for key in _products(terms))
        self.kept = _read_elsewhere(graph, self.of) if self.uses else frozenset()

    def share_groups(self) -> None:
        """Shares the terms that always occur together, if they do in several sums."""
        coefficients: dict[int, dict[Node, Coefficient]] = {}
        for node, terms in self.of.items():
            for number, factor in terms.items():
                coefficients.setdefault(number, {})[node] = factor
        groups: dict[tuple[tuple[Node, Coefficient], ...], Terms] = {}
        for number, found in coefficients.items():
            first = next(iter(found.values()))
            key = tuple((node, _over(factor, first)) for node, factor in found.items())
            groups.setdefault(key, {})[number] = first
        for holders, group in groups.items():
            if len(group) > 1 and len(holders) > 1:
                self._share(group, [node for node, _ in holders])

    def share_most(self) -> None:
        """Shares the terms that always occur together in long sums, where most have them with the same coefficients.

        What a sum has more of one of them, it adds to the others: a + 3*b + c is (a + b + c) + 2*b.
        """
        holders: dict[int, list[Node]] = {}
        for node, terms in self.of.items():
            if len(terms) >= _LONG:
                for number in terms:
                    holders.setdefault(number, []).append(node)
        groups: dict[tuple[Node, ...], list[int]] = {}
        for number, nodes in holders.items():
            if number != _ONE:
                groups.setdefault(tuple(nodes), []).append(number)
        for own_holders, numbers in groups.items():
            nodes = list(own_holders)
            if min(len(nodes), len(numbers)) >= _LONG:
                group = {n: Counter(self.of[node][n] for node in nodes).most_common(1)[0][0] for n in numbers}
                users = [node for node in nodes if all(_over(self.of[node][n], group[n]) >= 1 for n in numbers)]
                others = [sum(self.of[node][n] != own for n, own in group.items()) for node in users]
                if all(own < 0 for own in group.values()):
                    group = {number: -own for number, own in group.items()}
                    users = [node for node in users if self._has_other(node, group)]
                if len(users) > 1 and sum(others) <= len(users):
                    self._replace(group, users)

    def share_pairs(self) -> None:
        """Shares pairs of terms, those first that save most, until none saves anything."""
        holders: dict[Pair, list[Node]] = {}
        for node, terms in self.of.items():
            numbers = sorted(terms)
            for place, one in enumerate(numbers):
                for two in numbers[place + 1 : place + 1 + _BESIDE]:
                    holders.setdefault(Pair(one, two, _over(terms[two], terms[one])), []).append(node)
        queue: list[tuple[int, Pair]] = []

        def enter(pairs: Iterable[Pair]) -> None:
            for pair in pairs:
                if len(holders[pair]) > 1:
                    found = self._best({pair.one: 1, pair.two: pair.ratio}, holders[pair])
                    if found.gain > 0:
                        heapq.heappush(queue, (-found.gain, pair))

        enter(holders)
        while queue:
            gain, pair = heapq.heappop(queue)
            one, two, ratio = pair
            having = [
                node
                for node in holders[pair]
                if one in (terms := self.of[node]) and two in terms and terms[two] == ratio * terms[one]
            ]
            found = self._best({one: 1, two: ratio}, having)
            if 0 < found.gain < -gain:
                heapq.heappush(queue, (-found.gain, pair))
            elif found.gain > 0:
                fresh = self._replace(found.group, found.nodes)
                new: dict[Pair, None] = {}
                for node in found.nodes:
                    terms = self.of[node]
                    for other in islice(reversed(terms), 1, 1 + _BESIDE):
                        beside = Pair(other, fresh, _over(terms[fresh], terms[other]))
                        holders.setdefault(beside, []).append(node)
                        new[beside] = None
                enter(new)

    def take_out(self) -> None:
        """Takes a number that several terms of one sum are multiplied by out of them."""
        if not self.uses:
            return
        for node, terms in [*self.of.items(), *((None, terms) for terms in self.shared.values())]:
            sizes: dict[Coefficient, Terms] = {}
            for number, factor in terms.items():
                if number != _ONE and _size(factor) != 1:
                    sizes.setdefault(_size(factor), {})[number] = factor
            for size, group in sizes.items():
                own = sum(self._is_freed((number, size), 1) for number in group)
                positive = any(factor > 0 for factor in group.values())
                if own > 1 and positive:
                    self._move({number: _over(factor, size) for number, factor in group.items()}, [terms])
                    if node is not None:
                        self.changed[node] = None

    def _share(self, group: Terms, nodes: Sequence[Node]) -> None:
        found = self._best(group, nodes)
        if found.gain > 0:
            self._replace(found.group, found.nodes)

    def _best(self, group: Terms, nodes: Sequence[Node]) -> _Shared:
        """The group with the size and signs that save most, and the sums that it is taken out of."""
        first, factor = next(iter(group.items()))
        scales = {node: _over(self.of[node][first], factor) for node in nodes}
        plus = [node for node, scale in scales.items() if scale > 0 or self._has_other(node, group)]
        minus = [node for node, scale in scales.items() if scale < 0 or self._has_other(node, group)]
        opposite = sum(scale < 0 for scale in scales.values())
        is_flipped = (len(minus), opposite) > (len(plus), len(nodes) - opposite)
        if all(own < 0 for own in group.values()) or (is_flipped and any(own < 0 for own in group.values())):
            group = {number: -own for number, own in group.items()}
            scales, plus = {node: -scale for node, scale in scales.items()}, minus
        scales = {node: scales[node] for node in plus}
        if not self.uses or len(scales) < 2:
            return _Shared((len(group) - 1) * (len(scales) - 1), group, list(scales))
        sizes = Counter(map(_size, scales.values()))
        candidates = dict.fromkeys([sizes.most_common(1)[0][0], *(_over(1, _size(own)) for own in group.values())])
        return max(
            (self._saved({n: own * size for n, own in group.items()}, scales, size) for size in candidates),
            key=lambda found: found.gain,
        )

    def _saved(self, group: Terms, scales: Mapping[Node, Coefficient], size: Coefficient) -> _Shared:
        """What is saved where a group is computed once, of which sums have multiples: by `scales` over `size`."""
        removed = Counter(key for node in scales for key in _products(self._part(node, group)))
        freed = {key for key, count in removed.items() if self._is_freed(key, count)}
        added = sum(key in freed or not self._exists(key) for key in _products(group))
        multiples = {_size(scale) for scale in scales.values()} - {size}
        gain = (len(group) - 1) * (len(scales) - 1) + len(freed) - added - len(multiples)
        return _Shared(gain, group, list(scales))

    def _part(self, node: Node, group: Terms) -> Terms:
        terms = self.of[node]
        return {number: terms[number] for number in group}

    def _is_freed(self, product: tuple[int, Coefficient], count: int) -> bool:
        """Whether nobody needs the product of a term and a number any more, when it is in so many sums less."""
        return self.uses[product] == count and product not in self.kept

    def _exists(self, product: tuple[int, Coefficient]) -> bool:
        return self.uses[product] > 0 or product in self.kept

    def _has_other(self, node: Node, group: Terms) -> bool:
        """Whether there is something that a group can be subtracted from."""
        rest = any(factor > 0 and number not in group for number, factor in self.of[node].items())
        return rest or any(edge.node.gate.name != "neg" for edge in self.aside[node])

    def _replace(self, group: Terms, nodes: Sequence[Node]) -> int:
        """Puts one term, whose number is returned, in the place of a group."""
        self.changed.update(dict.fromkeys(nodes))
        return self._move(group, [self.of[node] for node in nodes])

    def _move(self, group: Terms, sums: Sequence[Terms]) -> int:
        self.fresh += 1
        self.shared[self.fresh] = group
        for terms in sums:
            before = {number: terms.pop(number) for number in group}
            multiple = min((_over(own, group[number]) for number, own in before.items()), key=_size)
            after = {number: own - multiple * group[number] for number, own in before.items()}
            after = {number: own for number, own in after.items() if own} | {self.fresh: multiple}
            terms.update(after)
            self.uses.subtract(_products(before))
            self.uses.update(_products(after))
        self.uses.update(_products(group))
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
                    own = self._joined(inside, []) if inside else self.base[number]
                    self.made[number] = own if inside or number == _ONE else views[own.node]
                waiting.pop()
        return self._joined(self.of[node], [views[edge.node] for edge in self.aside[node]])

    def _joined(self, terms: Terms, aside: list[View]) -> View:
        """A sum, what is subtracted last and numbers behind the others, as one writes it; a product's number first."""
        views = [_times(factor, self.made[number]) for number, factor in terms.items()] + aside
        is_sum = self.gate == "add"
        views.sort(key=lambda view: view.node.gate.name == "neg" or (view.number is not None) == is_sum)
        return views[0] if len(views) == 1 else self.table.apply(GATES[self.gate], *views)


class _Shared(NamedTuple):
    """A group of terms that sums have multiples of, and how many operations fewer there are if these share it."""

    gain: int
    group: Terms
    nodes: list[Node]


def _scaled(edge: View) -> tuple[View, Coefficient]:
    """A term as what it is a multiple of, and the number that it is multiplied by."""
    name = edge.node.gate.name
    if name == "neg":
        inner, factor = _scaled(edge.node.arguments[0])
        return inner, -factor
    if name == "constant":
        number = rational_of(edge)
        return (edge.node.table.constant(1), number) if number is not None and _is_ordinary(number) else (edge, 1)
    parts = split_multiple(edge.node) if name in ("mul", "div") else None
    return (parts[1], parts[0]) if parts and _is_ordinary(parts[0]) and not parts[1].node.fixed else (edge, 1)


# Numbers with more binary digits are no coefficients: none of these makes a term overflow that would not.
_DIGITS = 128


def _is_ordinary(number: Coefficient) -> bool:
    return number != 0 and max(map(int.bit_length, number.as_integer_ratio())) <= _DIGITS


def _size(number: Coefficient) -> Coefficient:
    """Its absolute value, with a type."""
    return -number if number < 0 else number


def _over(one: Coefficient, two: Coefficient) -> Coefficient:
    return one * two if two in (1, -1) else Fraction(one) / two


def _times(factor: Coefficient, view: View) -> View:
    return view.node.table.constant(Fraction(factor)) if view.number == 1 else multiplied(factor, view)


def _products(terms: Terms) -> list[tuple[int, Coefficient]]:
    """The products that terms are: what is multiplied by which number, sign apart."""
    return [(number, _size(factor)) for number, factor in terms.items() if number != _ONE and factor not in (1, -1)]


def _read_elsewhere(graph: Graph, sums: Container[Node]) -> Container[tuple[int, Coefficient]]:
    """The products of a number and a term that others read than sums: they stay."""
    outside = {view.node for view in graph.views}
    for node in reversed(graph.order()):
        if node not in sums and (node.gate.name != "neg" or node in outside):
            for edge in node.arguments:
                outside.add(edge.node)
    parts = [split_multiple(node) for node in outside if node.gate.name in ("mul", "div")]
    return {(own[1].node.number, _size(own[0])) for own in parts if own is not None}
