"""Which items of a pass share a nest of loops.

What has the same loops and reads each other at the same place goes together, so that a value goes from one statement to
the next in a register; a reduction is finished before its readers start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..analysis.extents import Domain
from ..graph.affine import Index
from ..graph.node import AnyIndex, Gather, Node, plain_axis
from .items import Item, is_reduction
from .layout import Layout, Rolled, reach
from .products import is_product

# More running sums than this in one loop do not fit into registers: the next node starts a loop of its own.
_ACCUMULATORS = 14


@dataclass
class Group:
    """Items of one pass that share a nest, or a single product of matrices."""

    is_product: bool
    loops: frozenset[Rolled]
    items: list[Item] = field(default_factory=list)
    sums: int = 0  # running sums that it keeps


def groups(layout: Layout, members: Iterable[Item], span: tuple[Index, Index]) -> list[Group]:
    """The items of one pass in groups that share a nest, each after what it reads."""
    found: list[Group] = []
    where: dict[Item, int] = {}
    for item in members:
        rolled = layout.rolled(item)
        by_blas = is_product(layout, item, span)
        loops = frozenset() if by_blas else frozenset(rolled.values())
        sums = _running_sums(layout, item, span)
        first = 0
        for node, index in reach(layout.plan, item, is_product=by_blas):
            if node in where:
                together = not by_blas and _fits(layout, span, item, rolled, node, index)
                first = max(first, where[node] + (0 if together else 1))
        place = next(
            (
                place
                for place in range(first, len(found))
                if not by_blas
                and not found[place].is_product
                and found[place].loops == loops
                and (not sums or not found[place].sums or found[place].sums + sums <= _ACCUMULATORS)
            ),
            len(found),
        )
        if place == len(found):
            found.append(Group(by_blas, loops))
        found[place].items.append(item)
        found[place].sums += sums
        where[item] = place
    return found


def _running_sums(layout: Layout, item: Item, span: tuple[Index, Index]) -> int:
    if not layout.plan.reduces_data(item) or is_product(layout, item, span):
        return 0
    count = 1
    for own in layout.written_out(item):
        count *= layout.plan.extent(item, own) or 1
    return count


def _fits(
    layout: Layout,
    span: tuple[Index, Index],
    item: Item,
    rolled: Mapping[int, Rolled],
    node: Node,
    index: tuple[AnyIndex, ...],
) -> bool:
    """Whether an item may share the loops of a node that it reads: it is complete, and read at the same place."""
    if is_product(layout, node, span):
        return False
    inner, data = layout.rolled(node), layout.plan.data_axis(node)
    if is_reduction(node) and any(own >= node.rank for own in inner):
        return False
    for place, at in enumerate(index):
        if place in inner:
            plain = plain_axis(at)
            if plain is None or inner[place] != rolled.get(plain):
                return False
        elif place != data and not _is_written_out(layout, item, at, layout.plan.bounds(node, place)):
            return False
    return True


def _is_written_out(layout: Layout, item: Item, at: AnyIndex, bounds: tuple[Index, Index]) -> bool:
    """Whether an item reads an axis that is written out within these bounds at indices that are known then.

    What is gathered is chosen among all entries, unless these are at symbolic places.
    """
    low, high = bounds
    if isinstance(at, Gather):
        return not low.terms and not high.terms
    if not set(at.axes) <= layout.written_out(item):
        return False
    loops = Domain(tuple(layout.plan.bounds(item, own) for own in range(item.loops)))
    domains = layout.plan.domains
    return domains.implies(loops, at.minus(low)) and domains.implies(loops, high.minus(at))
