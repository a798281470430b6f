"""Loops and their nests: what is scheduled in one nest, its names, and what it accumulates into."""

from __future__ import annotations

from collections.abc import Iterable

from symgrad_codegen.program import Fill, LoopRange, Nest, Step

from ..graph.affine import Index
from ..graph.node import Node
from .comments import Comments
from .items import Item, is_reduction
from .layout import Layout, Rolled, identity_of
from .nests import NestBuilder
from .products import is_product, product_step


class NestScheduler:
    """Makes the steps of single nests and products."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.plan = layout, layout.plan
        self.names, self.locations, self.comments = layout.names, layout.locations, Comments(layout)
        self.span: tuple[Index, Index] | None = None  # of the data that the pass being scheduled runs over

    def product(self, node: Node) -> Step:
        return product_step(self.layout, node, self.comments.letters(node, {}), self.comments.of([node]))

    def fills(self, items: Iterable[Item]) -> list[Step]:
        """What is accumulated into starts from the value of a reduction without terms."""
        found: list[Step] = []
        for item in items:
            if is_reduction(item) and not is_product(self.layout, item, self.span) and self.layout.accumulates(item):
                found.append(Fill(self.locations[item].array, identity_of(item)))
        return found

    def loops(self, items: list[Item]) -> tuple[dict[Rolled, str], dict[str, tuple[Index, Index]]]:
        """Names and bounds of the loops that all of `items` run in."""
        names: dict[Rolled, str] = {}
        ranges: dict[str, tuple[Index, Index]] = {}
        for loop in self.layout.rolled(items[0]).values():
            around = [] if self.layout.in_pass is None else [self.layout.data_name]
            name = self.layout.loop_name(loop.key, {*around, *ranges})
            names[loop] = name
            ranges[name] = (loop.low, loop.high)
        return names, ranges

    def nest(self, items: list[Item], builder: NestBuilder, names: dict[Rolled, str]) -> list[Step]:
        body = builder.body()
        if not body:
            return []
        loops = tuple(
            LoopRange(name, (self.layout.affine(loop.low),), (self.layout.affine(loop.high),))
            for loop, name in names.items()
        )
        return [Nest(self.names.take("nest", counted=True), loops, tuple(body), self.comments.of(items, names))]
