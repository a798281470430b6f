"""Scheduling of arrays: from a graph to passes, nests of loops and products of matrices.

Within a pass, what has the same loops and reads each other at the same place shares a nest, so that a value goes from
one statement to the next in a register; a reduction is finished before its readers start. Short axes of known length
are written out inside. What does not vary along the data stands before, between and after the passes.
"""

from __future__ import annotations

from collections.abc import Iterable

from symgrad_codegen.program import (
    Affine,
    Assignment,
    Extent,
    Fill,
    Input,
    LoopRange,
    Matrix,
    Nest,
    Pass,
    Read,
    Step,
)
from symgrad_codegen.program import Output as ProgramOutput

from ..graph.affine import Index, Size
from ..graph.graph import Output
from ..graph.node import Node
from .borders import Body, Part, are_near, interior
from .bounds import bounds
from .comments import Comments
from .groups import groups
from .items import Item, Sink, is_leaf, is_matrix, is_reduction
from .layout import Layout, Rolled, identity_of, reach
from .nests import NestBuilder
from .products import data_range, is_product, product_step
from .scheduled import Scheduled


class Scheduler:
    """One scheduling: what is made in which order, in which loops."""

    def __init__(self, layout: Layout, peels: bool = False) -> None:
        """`peels` says whether the ends of a range, where terms are masked, become passes of their own."""
        self.peels = peels
        self.layout, self.plan, self.graph, self.inputs = layout, layout.plan, layout.graph, layout.inputs
        self.names, self.locations, self.comments = layout.names, layout.locations, Comments(layout)
        self.named: set[str] = set()  # numbers that are outputs: each is held by a name of its own
        self.span: tuple[Index, Index] | None = None  # of the data that the pass being scheduled runs over

    # --- the program --------------------------------------------------------------------------------------------------

    def scheduled(self, with_bounds: bool) -> Scheduled:
        """All of the program; `with_bounds` what has to hold of its indices, for a target whose modules check that."""
        plan = self.plan
        steps: list[Step] = []
        last = max(plan.level.values(), default=0)
        for level in range(last + 1):
            own = [item for item in self._in_order() if plan.level[item] == level and plan.data_axis(item) is None]
            is_last = [isinstance(item, Sink) and item.purpose == "output" for item in own]
            for item, is_output in zip(own, is_last, strict=True):
                steps += [] if is_output else self._outside([item])
            for items in self._with_same_loops(
                [item for item, is_output in zip(own, is_last, strict=True) if is_output]
            ):
                steps += self._outside(items)
            steps += self._pass(level)
        outputs = tuple(self._output(output, steps) for output in self.graph.outputs)
        return Scheduled(
            inputs=tuple(self._inputs()),
            extents=tuple(self._extents()),
            storages=tuple(self.layout.storages),
            steps=tuple(steps),
            outputs=outputs,
            bounds=tuple(bounds(self.layout)) if with_bounds else (),
            sizes=self.layout.size_names,
        )

    def _in_order(self) -> list[Item]:
        """Arguments of matrix operations right before these, gradients last."""
        found: list[Item] = []
        for node in self.plan.nodes:
            found += [sink for sink in self.plan.arguments.get(node, ()) if sink not in found]
            found.append(node)
        return found + [sink for sink in self.plan.sinks if sink.purpose == "output"]

    def _output(self, output: Output, steps: list[Step]) -> ProgramOutput:
        """What holds an output; a value that is a number has a name in the end."""
        shape = tuple(map(self.layout.affine, output.shape))
        if output in self.layout.output_names:
            by = tuple(self.inputs[position] for position in output.by)
            return ProgramOutput(self.layout.output_names[output], shape, by, output.of)
        value = NestBuilder(self.layout, {}, {}, None, frozenset()).value(output.view)
        made = {own.name for own in steps if isinstance(own, Assignment)} - self.named
        if isinstance(value, Read) and value.name in made:
            name = value.name
        else:
            name = self.names.take("result")
            steps.append(Assignment(name, value))
        self.named.add(name)
        return ProgramOutput(name)

    def _inputs(self) -> Iterable[Input]:
        sizes = set(self.layout.size_names.values())
        for position, (name, shape) in enumerate(zip(self.inputs, self.graph.shapes, strict=True)):
            kind = "integer" if position in self.graph.integers else "real"
            if not shape and name in sizes:
                kind = "extent"
            yield Input(name, tuple(self.layout.affine(extent) for extent in shape), kind)

    def _extents(self) -> Iterable[Extent]:
        told: dict[str, tuple[str, int, int, int]] = {}
        for name, shape in zip(self.inputs, self.graph.shapes, strict=True):
            for place, extent in enumerate(shape):
                if len(extent.terms) == 1:
                    ((term, factor),) = extent.terms
                    assert isinstance(term, Size), "extents are affine in symbolic sizes"
                    told.setdefault(term.name, (name, place, factor, extent.offset))
        for old, new in self.layout.size_names.items():
            if old in told and new not in self.inputs:
                yield Extent(new, told[old])
        for old, (kind, one, two) in self.plan.domains.derived.items():
            name = self.layout.size_name(Size(old))
            yield Extent(name, None, (kind, self.layout.affine(one), self.layout.affine(two)))

    def _product(self, node: Node) -> Step:
        return product_step(self.layout, node, self.comments.letters(node, {}), self.comments.of([node]))

    # --- outside of the passes ----------------------------------------------------------------------------------------

    def _with_same_loops(self, sinks: Iterable[Item]) -> Iterable[list[Item]]:
        """Outputs that are written in the same loops: what they read is there by then."""
        found: dict[tuple[Rolled, ...], list[Item]] = {}
        for sink in sinks:
            found.setdefault(tuple(self.layout.rolled(sink).values()), []).append(sink)
        return found.values()

    def _outside(self, items: list[Item]) -> list[Step]:
        """The steps of some outputs, or of one other item."""
        item = items[0]
        if isinstance(item, Node):
            if item not in self.plan.stored:
                return []
            if is_matrix(item):
                arguments = tuple(self.locations[sink].array for sink in self.plan.arguments[item])
                return [Matrix(self.locations[item].array, item.gate.name, arguments)]
            if item in self.plan.products:
                return [self._product(item)]
        names, ranges = self._loops(items)
        builder = NestBuilder(self.layout, names, ranges, None, frozenset(items))
        for own in items:
            builder.add(own)
        fills = self._fills(items)
        if isinstance(item, Node) and item in self.layout.scalars:
            return [*builder.assignments(self.layout.scalars[item], item)]
        return [*fills, *self._nest(items, builder, names)]

    def _fills(self, items: Iterable[Item]) -> list[Step]:
        """What is accumulated into starts from the value of a reduction without terms."""
        found: list[Step] = []
        for item in items:
            if is_reduction(item) and not is_product(self.layout, item, self.span) and self.layout.accumulates(item):
                found.append(Fill(self.locations[item].array, identity_of(item)))
        return found

    def _loops(self, items: list[Item]) -> tuple[dict[Rolled, str], dict[str, tuple[Index, Index]]]:
        """Names and bounds of the loops that all of `items` run in."""
        names: dict[Rolled, str] = {}
        ranges: dict[str, tuple[Index, Index]] = {}
        for loop in self.layout.rolled(items[0]).values():
            around = [] if self.layout.in_pass is None else [self.layout.data_name]
            name = self.layout.loop_name(loop.key, {*around, *ranges})
            names[loop] = name
            ranges[name] = (loop.low, loop.high)
        return names, ranges

    def _nest(self, items: list[Item], builder: NestBuilder, names: dict[Rolled, str]) -> list[Step]:
        body = builder.body()
        if not body:
            return []
        loops = tuple(
            LoopRange(name, (self.layout.affine(loop.low),), (self.layout.affine(loop.high),))
            for loop, name in names.items()
        )
        return [Nest(self.names.take("nest", counted=True), loops, tuple(body), self.comments.of(items, names))]

    # --- passes -------------------------------------------------------------------------------------------------------

    def _pass(self, level: int) -> list[Step]:
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
                steps += [self._product(item) for item in group.items if item in plan.products]
                continue
            names, ranges = self._loops(group.items)
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
            steps += self._fills(item for item in group.items if plan.varies(item))
            steps += self._nest(group.items, builder, names)
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
