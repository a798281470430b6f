"""Products of matrices: which contractions BLAS makes in a pass, and how each is said."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad_codegen.program import Operand, Product

from ..graph.affine import Index
from ..graph.node import Node, plain_axis
from .items import Item
from .layout import Layout
from .plan import Plan


def is_product(layout: Layout, item: Item, span: tuple[Index, Index] | None) -> bool:
    """Whether it is one for BLAS here: not in a pass that may go beyond the rows that its factors have."""
    if item not in layout.plan.products or span is None or layout.plan.data_axis(item) is None:
        return item in layout.plan.products
    extents = layout.plan.domains.extents.where_some([span]).after(layout.checks)
    ranges = [data_range(layout.plan, item)]
    for factor in layout.plan.products[item]:
        own = [plain_axis(at) for at in factor.index]
        if factor.node.gate.name == "input" and layout.plan.data_axis(item) in own:
            bound = layout.plan.domains.of[factor.node].bounds[own.index(layout.plan.data_axis(item))]
            assert bound is not None
            ranges.append(bound)
    low, high = span
    return all(extents.imply(low.minus(first)) and extents.imply(last.minus(high)) for first, last in ranges)


def data_range(plan: Plan, item: Item) -> tuple[Index, Index]:
    """The first and the last index of the data that an item runs over."""
    own = plan.data_axis(item)
    assert own is not None
    return plan.bounds(item, own)


def product_step(layout: Layout, node: Node, letters: Sequence[str], comment: str) -> Product:
    """A contraction as a product of two matrices, whose axes are told by the names of its loops, `letters`."""
    factors = layout.plan.products[node]
    (inner,) = set(factors[0].axes) & set(factors[1].axes)
    names = dict(enumerate(letters))
    row, column = 0, 1
    target = layout.locations[node]
    operands = []
    for factor in factors:
        plain = [own for index in factor.index if (own := plain_axis(index)) is not None]
        if factor.node.gate.name == "input":
            operands.append(Operand(layout.inputs[factor.node.position], tuple(names[own] for own in plain)))
        else:
            place = layout.location_of(factor.node)
            operands.append(Operand(place.array, tuple(names[plain[own]] for own in place.order)))
    axes = tuple(names[own] for own in target.order)
    return Product(
        Operand(target.array, axes),
        operands[0],
        operands[1],
        names[row],
        names[column],
        names[inner],
        layout.plan.reduces_data(node),
        comment,
    )
