"""What holds within the loops of a nest: which index expressions are certain to stay where they belong.

An index whose whereabouts neither the loops nor the checks of a call tell is held inside of its array; what is not
known to hold of a reduction's terms is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgrad_codegen.program import Affine, Assignment, Element, Expression, Place
from symgrad_codegen.text.arrays import elements_of, expression_names

from ..analysis.checks import GatherCheck
from ..analysis.extents import Bound
from ..graph.affine import Index
from ..graph.node import Node, Reduction
from .items import Item, Sink
from .layout import Layout
from .names import merged


class Within:
    """The loops of a nest: `ranges` are their first and last indices by name, `data` the one over the data."""

    def __init__(self, layout: Layout, ranges: Mapping[str, tuple[Index, Index]], data: str | None) -> None:
        self.layout, self.plan, self.ranges, self.data = layout, layout.plan, ranges, data
        self.extents = self.plan.domains.extents.where_some(ranges.values()).after(layout.checks)
        # A loop over the last index of what has none is run once, at -1.
        self.begins_inside = all(self.extents.imply(low) for low, _ in ranges.values())
        self.uncertain: set[Affine] = set()  # what was asked, and does not hold in all iterations

    def is_certain(self, form: Affine) -> bool:
        """Whether an affine form is >= 0 in all iterations of the loops."""
        holds = self._holds(form)
        if not holds:
            self.uncertain.add(form)
        return holds

    def _holds(self, form: Affine) -> bool:
        sizes = self.layout.sizes
        least = Index((), form.offset)
        for name, factor in form.terms:
            bound = self.ranges.get(name)
            if bound is not None:
                least = least.plus(bound[0 if factor > 0 else 1].scaled(factor))
            elif name in sizes:
                least = least.plus(Index(((sizes[name], factor),)))
            else:
                return False
        return self.extents.imply(least)

    def undecided(self, forms: Iterable[Index], at: Mapping[int, Place]) -> list[Affine] | None:
        """Which of the forms are not known to be >= 0 at an index; None where one is known not to be."""
        found = []
        for form in forms:
            affine = self.layout.affine(form, at)
            if affine.terms:
                if affine not in found and not self.is_certain(affine):
                    found.append(affine)
            elif affine.offset < 0:
                return None
        return found

    def constraints(self, item: Item, at: Mapping[int, Place]) -> list[Affine] | None:
        """What has to hold of an item here and does not follow from the loops; None where it cannot."""
        domain = item.domain if isinstance(item, Sink) else self.plan.domains.of[item]
        forms = list(domain.coupled)
        for place, bound in enumerate(domain.bounds):
            looped = self.plan.bounds(item, place)
            if bound is not None and bound != looped:
                forms += [Index(((place, 1),)).minus(bound[0]), bound[1].minus(Index(((place, 1),)))]
        if isinstance(item.attribute, Reduction) and not item.attribute.is_plain:
            forms += self._demanded(item)
        data = self.plan.data_axis(item)
        if data is not None:
            assert self.data is not None
            low, high = self.plan.bounds(item, data)
            if self.ranges[self.data] != (low, high):
                own = Index(((data, 1),))
                forms += [own.minus(low), high.minus(own)]
        return self.undecided(sorted(forms, key=repr), at)

    def _demanded(self, node: Node) -> list[Index]:
        """Where terms of a scatter arrive at what is demanded of it: others have no place, and nobody reads them."""
        domains = self.plan.domains
        found: list[Index] = []
        for index, bound in zip(node.reduction.out, domains.own[node].bounds, strict=True):
            if isinstance(index, Index) and bound is not None:
                found += [index.minus(bound[0]), bound[1].minus(index)]
        return [form for form in found if not domains.implies(domains.of[node], form)]

    # --- entries of arrays --------------------------------------------------------------------------------------------

    def held(
        self,
        element: Element,
        extents: Sequence[Index],
        data: int | None = None,
        *,
        made: Mapping[str, frozenset[str]],
        is_masked: bool,
    ) -> Element:
        """An entry held inside of the array where neither the loops nor what a call has checked keep it there.

        What is gathered is checked, but for what may be computed where nothing is read in the end (`is_masked`): a
        single entry, one whose index had to be held itself, and in loops that go beyond those that are checked. `made`
        are the values that the nest makes, each with the loops that it moves with.
        """
        held = []
        for place, (index, extent) in enumerate(zip(element.index, extents, strict=True)):
            if isinstance(index, Affine):
                is_inside = self._stays_inside(index, extent)
            else:
                loops = self.loops_of(index, made)
                is_held = any(own.clamped for own in elements_of(Assignment("", index)))
                is_inside = not is_masked and not is_held and self._is_checked(element, place, loops)
            if place != data and not is_inside:
                held.append((place, self.layout.affine(extent)))
        return Element(element.array, element.index, tuple(held))

    def loops_of(self, expression: Expression, made: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """The loops that an expression moves with."""
        names = expression_names(expression)
        return frozenset(self.ranges.keys() & names).union(*(made[name] for name in names if name in made))

    def _is_checked(self, element: Element, axis: int, loops: frozenset[str]) -> bool:
        """Whether a call has checked what an array is gathered at, along an axis, in all of these loops.

        Which of its checks of a table along that axis was for this index is not known: each has to have been in all of
        the loops.
        """
        names, index = self.layout.input_names, element.index[axis]
        name, table = names.get(element.array, ""), names.get(index.array) if isinstance(index, Element) else None
        checks = [
            check
            for check in self.layout.gather_checks
            if (check.array, check.place) == (name, axis) and self._may_be_of(check, table)
        ]
        return bool(loops and checks) and self.begins_inside and all(self._covers(check, loops) for check in checks)

    def _may_be_of(self, check: GatherCheck, table: str | None) -> bool:
        """Whether a check may be one of what a table holds; None is what is computed."""
        node = check.view.node
        return table is None or node.gate.name != "input" or self.layout.definition.inputs[node.position] == table

    def _covers(self, check: GatherCheck, loops: frozenset[str]) -> bool:
        moved = {own for index in check.view.index for own in index.axes}
        checked = [bound for own in moved if (bound := check.domain.bounds[own]) is not None]
        return all(any(self._is_part(self.ranges[loop], bound) for bound in checked) for loop in loops)

    def _is_part(self, loop: Bound, of: Bound) -> bool:
        return self.extents.imply(loop[0].minus(of[0])) and self.extents.imply(of[1].minus(loop[1]))

    def _stays_inside(self, place: Affine, extent: Index) -> bool:
        last = self.layout.affine(extent.minus(1))
        opposite = tuple((name, -factor) for name, factor in place.terms)
        room = Affine(merged((*last.terms, *opposite)), last.offset - place.offset)
        return self.is_certain(place) and self.is_certain(room)
