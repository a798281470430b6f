"""Passes over the data: what is computed in which, over which range, with its ends peeled off."""

from __future__ import annotations

from symgrad_codegen.program import Affine, Fill, Pass, Step

from ..graph.affine import Index
from ..graph.node import Node
from .borders import Body, Part, are_near, interior
from .groups import groups
from .items import Item, Sink, is_leaf, is_reduction
from .layout import Layout, identity_of, reach
from .nesting import NestScheduler
from .nests import NestBuilder
from .products import data_range, is_product


class PassScheduler(NestScheduler):
    """Makes the passes of a program."""

    def __init__(self, layout: Layout, peels: bool) -> None:
        """`peels` says whether the ends of a range, where terms are masked, become passes of their own."""
        super().__init__(layout)
        self.peels = peels

    def passes(self, level: int) -> list[Step]:
        plan = self.plan
        targets: list[Item] = [
            item
            for item in plan.items
            if (plan.reduces_data(item) and plan.level[item] == level + 1)
            or (isinstance(item, Sink) and plan.varies(item) and plan.level[item] == level)
        ]
        self.layout.in_pass = level
        steps = [step for parts in self._alike(self._by_range(targets)) for step in self._passes(parts, level)]
        self.layout.in_pass = self.span = None
        return steps

    def _alike(self, parts: list[Part]) -> list[list[Part]]:
        """Parts whose ranges differ at the ends alone are one where the ends are peeled off."""
        found: list[list[Part]] = []
        for part in parts:
            near = [group for group in found if self.peels and are_near(group[0].span, part.span)]
            if near:
                near[0].append(part)
            else:
                found.append([part])
        return found

    def _by_range(self, targets: list[Item]) -> list[Part]:
        """The targets of one level by the range of the data that they run over, each range a pass.

        What is written at the data index runs over just its own range; a sum may have its terms masked in a wider one.
        """
        found: list[Part] = []
        strict = [item for item in targets if isinstance(item, Sink) or item in self.plan.products]
        for item in [*strict, *(item for item in targets if item not in strict)]:
            low, high = data_range(self.plan, item)
            extents = self.plan.domains.extents.where_some([(low, high)])
            for part, span in found:
                if span == (low, high) or (
                    item not in strict and extents.imply(low.minus(span[0])) and extents.imply(span[1].minus(high))
                ):
                    part.append(item)
                    break
            else:
                found.append(Part([item], (low, high)))
        return found

    def _passes(self, parts: list[Part], level: int) -> list[Step]:
        """The passes over parts whose ranges differ at the ends alone: one within all, and what is left at the ends.

        Within it no term has to be masked, and no index to be held inside of its array.
        """
        bodies = [self._body(part.targets, level, part.span) for part in parts]
        steps: list[Step] = list(dict.fromkeys(fill for body in bodies for fill in body.fills))
        inner = interior([(part.span, body.uncertain) for part, body in zip(parts, bodies, strict=True)], self.layout)
        if not self.peels or inner is None or any(body.has_product for body in bodies):
            return [*steps, *(self._over(body, *part.span) for part, body in zip(parts, bodies, strict=True))]
        every = [item for item in self.plan.items if any(item in part.targets for part in parts)]
        steps.append(self._over(self._body(every, level, inner), *inner))
        chosen, (first, last) = self.plan.domains.chosen, inner
        for part, body in zip(parts, bodies, strict=True):
            low, high = part.span
            before = self._over(body, low, chosen("min", first.minus(1), high))
            after = self._over(body, chosen("max", last.plus(1), first), high)
            ends = [(low, first), (last, high)]
            steps += [step for step, (one, two) in zip((before, after), ends, strict=True) if one != two]
        return steps

    def _over(self, body: Body, low: Index, high: Index) -> Pass:
        first, last = self.layout.affine(low), self.layout.affine(high)
        return Pass(body.name, self.layout.data_name, first, last, body.steps, body.accumulated, body.scatters)

    def _body(self, targets: list[Item], level: int, span: tuple[Index, Index]) -> Body:
        """What a pass does at each index of a range of the data."""
        plan, self.span = self.plan, span
        members = self._needed(targets, level)
        found = groups(self.layout, members, span)
        where = {item: place for place, group in enumerate(found) for item in group.items}
        self.reader_groups: dict[Node, set[int]] = {}
        for item in members:
            for node, _ in reach(self.plan, item, is_product=is_product(self.layout, item, self.span)):
                self.reader_groups.setdefault(node, set()).add(where[item])
        steps: list[Step] = []
        uncertain: set[Affine] = set()
        for place, group in enumerate(found):
            if group.is_product:
                steps += [self.product(item) for item in group.items if item in plan.products]
                continue
            names, ranges = self.loops(group.items)
            outside = frozenset(
                item
                for item in group.items
                if isinstance(item, Sink)
                or self.reader_groups.get(item, set()) - {place}
                or self._accumulates_any(item)
            )
            builder = NestBuilder(
                self.layout, names, {**ranges, self.layout.data_name: span}, self.layout.data_name, outside
            )
            for item in group.items:
                builder.add(item)
            steps += self.fills(item for item in group.items if plan.varies(item))
            steps += self.nest(group.items, builder, names)
            uncertain |= builder.within.uncertain
        reduced = [item for item in members if plan.reduces_data(item)]
        return Body(
            self.names.take("pass", counted=True),
            tuple(steps),
            tuple((item.gate.name, self.locations[item].array) for item in reduced),
            any(not item.reduction.is_plain for item in reduced),
            [Fill(self.locations[item].array, identity_of(item)) for item in reduced],
            any(group.is_product for group in found),
            uncertain,
        )

    def _accumulates_any(self, item: Item) -> bool:
        return is_reduction(item) and self.layout.accumulates(item)

    def _needed(self, targets: list[Item], level: int) -> list[Item]:
        """The stored items that the targets need within the pass, in order."""
        needed: set[Item] = set()
        stack = list(targets)
        while stack:
            item = stack.pop()
            if item in needed:
                continue
            needed.add(item)
            for view in (*item.arguments, *item.gathered):
                node = view.node
                if is_leaf(node) or not self.plan.varies(node):
                    continue
                if node not in self.layout.kept_locations or self.plan.level[node] == level:
                    stack.append(node)
        return [
            item for item in self.plan.items if item in needed and (isinstance(item, Sink) or item in self.plan.stored)
        ]
