"""Domains: for which values of its axes each node is needed, found backwards from the outputs.

Nodes have no extents; reductions and inputs do. A sweep over the readers, outputs first, gives every node the box that
is demanded of it (bounds inference as in Ragan-Kelley et al., Halide, PLDI 2013, section 4.2), as affine forms in the
symbolic extents, and the constraints between its axes that all of its readers imply.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..graph.affine import Axis, Index, Size, axis, number_index, substituted
from ..graph.graph import Graph, reachable
from ..graph.node import Gather, Node, Reduction, View, plain_axis
from .extents import MOST_NESTED, Bound, Domain, Extents


class Domains:
    """The domains of a graph's nodes; `derived` holds extents that are the larger or smaller of two others.

    `more` are views beside the outputs that are needed as well, each over a domain; `known` are forms in extents that
    are >= 0, beside the extents of inputs.
    """

    def __init__(
        self,
        graph: Graph,
        undeclared: bool = False,
        more: Sequence[tuple[View, Domain]] = (),
        known: Iterable[Index] = (),
    ) -> None:
        self.graph = graph
        self.undeclared = undeclared  # take for the extents of inputs what is demanded of them
        self.derived = graph.derived
        self._demands: dict[Node, list[Domain]] = {}
        self.of: dict[Node, Domain] = {}  # of the loop axes
        self.own: dict[Node, Domain] = {}  # what is demanded of a node's own axes
        shapes = graph.shapes
        self.extents = Extents(
            self.derived, [*dict.fromkeys(own for shape in shapes for own in shape if own.terms), *known]
        )
        self._inside: dict[tuple[Bound | None, ...], Extents] = {}  # what is known inside of a box
        for output in graph.outputs:
            self._ask(output.view, Domain(output.bounds))
        for view, domain in more:
            self._ask(view, domain)
        self.order = reachable([*(view.node for view in graph.views), *(view.node for view, _ in more)])
        for node in reversed(self.order):
            self.of[node] = self._domain(node)
            for edge in (*node.arguments, *node.gathered):
                self._ask(edge, self.of[node])

    def _domain(self, node: Node) -> Domain:
        demands = self._demands.pop(node, [])
        if node.gate.name == "input" and not self.undeclared:
            extents = self.graph.shapes[node.position]
            return Domain(tuple((number_index(0), extent.minus(1)) for extent in extents))
        own = self._hull(demands, node.rank)
        self.own[node] = own
        if isinstance(node.attribute, Reduction):
            plain = node.attribute.is_plain
            known = own.bounds if plain else ()
            bounds: list[Bound | None] = [*known, *[None] * (node.loops - len(known))]
            coupled = own.coupled if plain else frozenset()
            return self.limited(bounds, (*node.attribute.constraints, *coupled))
        if node.loops != node.rank:  # whole arrays, whatever is read of them
            whole = tuple((number_index(0), extent.minus(1)) for extent in node.extents)
            self.own[node] = Domain(whole[: node.rank])
            return Domain(whole)
        return own

    def indices(self, node: Node) -> Domain:
        """The indices of its own axes for which a node is computed."""
        return self.own.get(node, self.of[node])

    def implies(self, over: Domain, constraint: Index) -> bool:
        """Whether the affine form is >= 0 everywhere in the domain, whatever the extents."""
        least = self.least(over, constraint)
        return least is not None and self.inside(over).imply(least)

    def _is_implied(self, by: Domain, form: Index) -> bool:
        """Whether a demand says it: of extents alone, from what it says of these besides."""
        if form.axes:
            return self.implies(by, form)
        return self.extents.where(own for own in by.coupled if not own.axes).imply(form)

    def besides(self, over: Domain, forms: Iterable[Index]) -> frozenset[Index]:
        """The forms that are not >= 0 anyway, in the domain or where those of several axes are: j >= 1 where j > i."""
        found = [form for form in forms if not self.implies(over, form)]
        coupled = {form for form in found if len(form.axes) > 1}
        inner = Domain(over.bounds, over.coupled | coupled)
        return frozenset(form for form in found if form in coupled or not self.implies(inner, form))

    def least(self, over: Domain, form: Index) -> Index | None:
        """A lower bound of an affine form in a domain, affine in extents; tight in most cases."""
        found, extents = over.least_in_box(form), self.inside(over)
        if found is not None and extents.imply(found):
            return found
        for constraint in sorted(over.coupled, key=repr):
            tighter = over.least_in_box(form.minus(constraint))
            if tighter is None or (found is not None and not extents.imply(tighter.minus(found))):
                continue
            # What is known to be 0 makes nothing tighter, but may say it in a way that is understood.
            if constraint.axes or extents.imply(tighter) or not extents.imply(constraint.scaled(-1)):
                found = tighter
        return found

    def lowest(self, over: Domain, form: Index) -> Index | None:
        """The largest of the lower bounds of a form in a domain that are known, which may be a derived extent."""
        found, extents = self.least(over, form), self.inside(over)
        coupled = [own for own in sorted(over.coupled, key=repr) if len(set(own.axes) & set(form.axes)) > 1]
        for rest in (form, *map(form.minus, coupled)) if coupled else ():
            bound = over.least_in_box(rest)
            if bound is not None and found is not None and not extents.imply(found.minus(bound)):
                found = self.chosen("max", found, bound)
        return found

    def inside(self, over: Domain) -> Extents:
        """What is known of the extents where a domain is not empty."""
        known = self._inside.get(over.bounds)
        if known is None:
            known = self._inside[over.bounds] = self.extents.where_some(over.bounds)
        return known

    def limited(self, bounds: list[Bound | None], constraints: Iterable[Index]) -> Domain:
        """The domain of all `constraints` in the box `bounds`."""
        lows: list[Index | None] = [bound[0] if bound else None for bound in bounds]
        highs: list[Index | None] = [bound[1] if bound else None for bound in bounds]
        forms = list(constraints)
        for _ in range(len(bounds) + 1):
            for form in forms:
                for term, factor in form.terms:
                    if isinstance(term, Size) or abs(factor) != 1:
                        continue
                    rest = self._largest(form, term, lows, highs)
                    ends = lows if factor > 0 else highs
                    if rest is None or (ends[term] is not None and self._depth(rest) >= MOST_NESTED):
                        continue
                    if factor > 0:
                        lows[term] = self.chosen("max", lows[term], rest.scaled(-1))
                    else:
                        highs[term] = self.chosen("min", highs[term], rest)
        found = tuple(
            (low, high) if low is not None and high is not None else None for low, high in zip(lows, highs, strict=True)
        )
        box = Domain(found)
        return Domain(found, frozenset(form for form in forms if not self.implies(box, form)))

    def _depth(self, form: Index) -> int:
        """How deep the derived extents in a form are nested."""
        inner = [self.derived[t.name][1:] for t, _ in form.terms if isinstance(t, Size) and t.name in self.derived]
        return 1 + max(self._depth(own) for both in inner for own in both) if inner else 0

    @staticmethod
    def _largest(form: Index, but: Axis, lows: list[Index | None], highs: list[Index | None]) -> Index | None:
        total = number_index(form.offset)
        for term, factor in form.terms:
            if isinstance(term, Size):
                total = total.plus(Index(((term, factor),)))
            elif term != but:
                bound = (highs if factor > 0 else lows)[term]
                if bound is None:
                    return None
                total = total.plus(bound.scaled(factor))
        return total

    def chosen(self, kind: str, one: Index | None, two: Index) -> Index:
        """The larger ("max") or smaller ("min") of two affine forms in extents; a derived extent where it depends."""
        if one is None or one == two:
            return two
        for a, b in ((one, two), (two, one)):
            if self.extents.imply(a.minus(b)):
                return a if kind == "max" else b
        for a, b in ((one, two), (two, one)):
            known = self._derived_of(a)
            if known is not None and b in known[1:]:
                return a if known[0] == kind else b  # min(min(p, b), b) is the first, max(min(p, b), b) is b
        for name, (own, *forms) in self.derived.items():
            if own == kind and set(forms) == {one, two}:
                return Index(((Size(name), 1),))
        number = len(self.derived) + 1
        while (name := f"{'larger' if kind == 'max' else 'smaller'}_{number}") in self.derived:
            number += 1
        self.derived[name] = (kind, one, two)
        return Index(((Size(name), 1),))

    def _derived_of(self, form: Index) -> tuple[str, Index, Index] | None:
        if form.offset == 0 and len(form.terms) == 1 and form.terms[0][1] == 1:
            return self.derived.get(getattr(form.terms[0][0], "name", ""))
        return None

    def _ask(self, edge: View, over: Domain) -> None:
        """Notes what a reader that loops over `over` demands of the node that it reads."""
        bounds: list[Bound | None] = []
        places: dict[Axis, Axis] = {}
        for place, index in enumerate(edge.index):
            bounds.append(self._readable(edge.node, place) if isinstance(index, Gather) else self._range(index, over))
            plain = plain_axis(index)
            if plain is not None:
                places.setdefault(plain, place)
        names = {own: axis(place) for own, place in places.items()}
        coupled = frozenset(
            substituted(form, names) for form in over.coupled if all(name in places for name in form.axes)
        )
        self._demands.setdefault(edge.node, []).append(Domain(tuple(bounds), coupled))

    def _readable(self, node: Node, place: int) -> Bound | None:
        """Where a node that is computed may be read along an axis at all: what is gathered from it may be any of this.

        The inputs that are read along the axis say it, as the values of an index are checked against their extents.
        """
        low: Index | None = None
        high: Index | None = None
        start = node, place, 1, number_index(0)
        seen, stack = {start}, [start]
        while stack:
            # The axis `at` of a node below is sign*i + rest at the index i that is asked for.
            below, at, sign, rest = stack.pop()
            is_input, own = below.gate.name == "input", below.attribute
            if is_input or (below.loops != below.rank and not isinstance(own, Reduction)):
                if below is node or (is_input and self.undeclared):
                    continue
                extent = (self.graph.shapes[below.position] if is_input else below.extents)[at]
                ends = number_index(0).minus(rest).scaled(sign), extent.minus(1).minus(rest).scaled(sign)
                low = self.chosen("max", low, ends[0 if sign > 0 else 1])
                high = self.chosen("min", high, ends[1 if sign > 0 else 0])
                continue
            loop = plain_axis(own.out[at]) if isinstance(own, Reduction) else at
            if loop is None:
                continue
            for edge in below.arguments:
                for inner, index in enumerate(edge.index):
                    if isinstance(index, Index) and index.axes == (loop,) and abs(index.coefficient(loop)) == 1:
                        factor = index.coefficient(loop)
                        shift = index.minus(axis(loop).scaled(factor)).plus(rest.scaled(factor))
                        below_that = edge.node, inner, factor * sign, shift
                        if below_that not in seen:
                            seen.add(below_that)
                            stack.append(below_that)
        return None if low is None or high is None else (low, high)

    def _range(self, index: Index, over: Domain) -> Bound | None:
        low, high = self.least(over, index), self.least(over, index.scaled(-1))
        return None if low is None or high is None else (low, high.scaled(-1))

    def _hull(self, demands: list[Domain], rank: int) -> Domain:
        if not demands:
            return Domain((None,) * rank)
        bounds: list[Bound | None] = []
        for place in range(rank):
            known = [demand.bounds[place] for demand in demands]
            found: Bound | None = None
            for bound in known:
                if bound is not None:
                    found = (
                        bound
                        if found is None
                        else (self.chosen("min", found[0], bound[0]), self.chosen("max", found[1], bound[1]))
                    )
            bounds.append(found)
        coupled = frozenset.intersection(*(demand.coupled for demand in demands))
        # What one demand says and all others imply: i <= 1 where it is the box of another; n > 0 where one says n > 3.
        for form in {form for demand in demands for form in demand.coupled} - coupled:
            if all(form in demand.coupled or self._is_implied(demand, form) for demand in demands):
                coupled |= {form}
        return Domain(tuple(bounds), coupled)
