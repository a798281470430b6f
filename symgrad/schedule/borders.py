"""Borders: the part of a range of the data in which no term is masked and no index has to be held inside of its array.

Stencils read beside their own index, and not all terms are there at the ends. Asked at every index of the data that
costs several times what is computed, so that the ends are passes of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from symgrad_codegen.program import Affine, Fill, Step

from ..graph.affine import Index
from .items import Item
from .layout import Layout

Span = tuple[Index, Index]


class Part(NamedTuple):
    """What a pass computes, and over which range of the data."""

    targets: list[Item]
    span: Span


class Body(NamedTuple):
    """What a pass does at each index of its range."""

    name: str
    steps: tuple[Step, ...]
    accumulated: tuple[tuple[str, str], ...]
    scatters: bool
    fills: list[Fill]  # what is accumulated begins so
    has_product: bool  # of matrices: of whole rows of the data
    uncertain: Collection[Affine]  # forms that are not known to be >= 0 everywhere in the range


def are_near(one: Span, two: Span) -> bool:
    """Whether the ends of two ranges differ by numbers."""
    return all(not a.minus(b).terms for a, b in zip(one, two, strict=True))


def interior(parts: Sequence[tuple[Span, Collection[Affine]]], layout: Layout) -> Span | None:
    """The range in which all forms that only the ends are against hold; None where that is the one range itself.

    A range of a known length is none that is worth it.
    """
    (low, high), _ = parts[0]
    if not high.minus(low).terms:
        return None
    first, last = 0, 0  # beside the ends of the first range
    for (start, stop), forms in parts:
        first, last = max(first, start.minus(low).offset), min(last, stop.minus(high).offset)
        for form in forms:
            factor = dict(form.terms).get(layout.data_name, 0)
            if abs(factor) != 1:
                continue
            own = _without(form, layout)
            if own is None:
                continue
            # The index i is at least -own, or at most own.
            beside = own.scaled(-1).minus(low) if factor > 0 else own.minus(high)
            if not beside.terms and factor > 0:
                first = max(first, beside.offset)
            elif not beside.terms:
                last = min(last, beside.offset)
    return None if first == last == 0 and len(parts) == 1 else (low.plus(first), high.plus(last))


def _without(form: Affine, layout: Layout) -> Index | None:
    """A form without the index of the data, in extents; None where it has other indices as well."""
    found = Index((), form.offset)
    for name, factor in form.terms:
        if name in layout.sizes:
            found = found.plus(Index(((layout.sizes[name], factor),)))
        elif name != layout.data_name:
            return None
    return found
