"""Scheduling of arrays: from a graph to passes, nests of loops and products of matrices.

Within a pass, what has the same loops and reads each other at the same place shares a nest, so that a value goes from
one statement to the next in a register; a reduction is finished before its readers start. Short axes of known length
are written out inside. What does not vary along the data stands before, between and after the passes.
"""

from __future__ import annotations

from collections.abc import Iterable

from symgrad_codegen.program import (
    Assignment,
    Extent,
    Input,
    Matrix,
    Read,
    Step,
)
from symgrad_codegen.program import Output as ProgramOutput

from ..graph.affine import Size
from ..graph.graph import Output
from ..graph.node import Node
from .bounds import bounds
from .items import Item, Sink, is_matrix
from .layout import Layout, Rolled
from .nests import NestBuilder
from .passes import PassScheduler
from .patterns import pattern
from .scheduled import Scheduled


class Scheduler(PassScheduler):
    """One scheduling: what is made in which order, in which loops."""

    def __init__(self, layout: Layout, peels: bool = False) -> None:
        super().__init__(layout, peels)
        self.graph, self.inputs = layout.graph, layout.inputs
        self.named: set[str] = set()  # numbers that are outputs: each is held by a name of its own

    # --- the program --------------------------------------------------------------------------------------------------

    def scheduled(self, with_bounds: bool, with_pattern: bool) -> Scheduled:
        """All of the program; `with_bounds` what has to hold of its indices, for a target whose modules check that.

        `with_pattern` says where the entries of families are, for modules that stand alone.
        """
        plan = self.plan
        steps: list[Step] = []
        last = max(plan.level.values(), default=0)
        for level in range(last + 1):
            own = [item for item in self._in_order() if plan.level[item] == level and plan.data_axis(item) is None]
            written = [item for item in own if isinstance(item, Sink) and item.purpose == "output"]  # the last ones
            for item in own[: len(own) - len(written)]:
                steps += self._outside([item])
            for items in self._with_same_loops(written):
                steps += self._outside(items)
            steps += self.passes(level)
        outputs = tuple(self._output(output, steps) for output in self.graph.outputs)
        return Scheduled(
            inputs=tuple(self._inputs()),
            extents=tuple(self._extents()),
            storages=tuple(self.layout.storages),
            steps=tuple(steps),
            outputs=outputs,
            bounds=tuple(bounds(self.layout)) if with_bounds else (),
            sizes=self.layout.size_names,
            pattern=pattern(self.layout) if with_pattern else None,
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
        value = NestBuilder(self.layout, {}, {}, None, frozenset(), is_number=True).value(output.view)
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
                return [self.product(item)]
        names, ranges = self.loops(items)
        is_number = isinstance(item, Node) and item in self.layout.scalars
        builder = NestBuilder(self.layout, names, ranges, None, frozenset(items), is_number)
        for own in items:
            builder.add(own)
        fills = self.fills(items)
        if isinstance(item, Node) and is_number:
            return [*builder.assignments(self.layout.scalars[item], item)]
        return [*fills, *self.nest(items, builder, names)]
