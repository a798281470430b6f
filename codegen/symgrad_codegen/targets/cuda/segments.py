"""Which nests of a pass on a GPU share a kernel, and which loops may be shared out among its threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...program import Accumulate, Affine, Assignment, Element, Fill, LoopRange, Nest, Product, Store
from ...text.arrays import elements_of


@dataclass
class Segment:
    """Nests of a pass that one kernel runs, and which of their sums have a place for each index of the data."""

    steps: list[Nest | Fill] = field(default_factory=list)
    direct: dict[str, tuple[object, ...]] = field(default_factory=dict)
    loops: tuple[LoopRange, ...] = ()  # of its only nest: what is shared out beside the data


def parts_of(segment: Segment | Product, data: LoopRange) -> list[Segment | Product]:
    """A kernel for each nest whose loops can be shared out beside the data."""
    if isinstance(segment, Product):
        return [segment]
    found: list[Segment | Product] = []
    for step in segment.steps:
        shared = shared_loops(step._replace(loops=(data, *step.loops))) if isinstance(step, Nest) else 0
        if isinstance(step, Nest) and shared > 1:
            inside = step._replace(loops=step.loops[shared - 1 :])
            found.append(Segment([inside], {}, step.loops[: shared - 1]))
            continue
        if not found or found[-1].loops:  # type: ignore[union-attr]
            found.append(Segment())
        found[-1].steps.append(step)  # type: ignore[union-attr]
    return found


def segments_of(axes: tuple[str, ...], steps: Sequence[object], rows: set[str]) -> list[Segment | Product]:
    """The nests between products. Sums with a place for each index of the data never share a kernel with another place
    of the same array: two threads would write to one entry."""
    found: list[Segment | Product] = []
    for step in steps:
        if isinstance(step, Product):
            found.append(step)
            continue
        if not found or isinstance(found[-1], Product):
            found.append(Segment())
        segment = found[-1]
        assert isinstance(segment, Segment)
        if isinstance(step, Fill):
            segment.steps.append(step)
            continue
        assert isinstance(step, Nest)
        stores = [s.target for s in step.body if isinstance(s, Store) and s.target.array not in rows]
        if any(segment.direct.get(target.array, target.index) != target.index for target in stores):
            segment = Segment()
            found.append(segment)
        segment.direct |= {target.array: target.index for target in stores}
        later: list[Accumulate] = []
        for statement in step.body:
            if not isinstance(statement, Accumulate) or statement.target.array in rows:
                continue
            target = statement.target
            if not is_injective(target, axes):
                continue
            if segment.direct.setdefault(target.array, target.index) != target.index:
                later.append(statement)
        segment.steps.append(step._replace(body=tuple(s for s in step.body if s not in later)))
        for statement in later:
            numbers = [s for s in step.body if isinstance(s, Assignment)]
            found.append(
                Segment([step._replace(body=(*numbers, statement))], {statement.target.array: statement.target.index})
            )
        if later:
            found.append(Segment())
    return [segment for segment in found if isinstance(segment, Product) or segment.steps]


def arrays_of(segment: Segment | Product) -> set[str]:
    if isinstance(segment, Product):
        return {own.array for own in (segment.target, segment.left, segment.right)}
    names: set[str] = set()
    for step in segment.steps:
        if isinstance(step, Fill):
            names.add(step.array)
        else:
            names |= {element.array for statement in step.body for element in elements_of(statement)}
    return names


def known_place(element: Element, data: int | None = None) -> tuple[int, ...] | None:
    """The place of an entry without that of the data, where nothing else moves it; else None."""
    others = [index for place, index in enumerate(element.index) if place != data]
    known = tuple(index.offset for index in others if isinstance(index, Affine) and not index.terms)
    return known if len(known) == len(others) and not element.clamped else None


def is_injective(element: Element, axes: Sequence[str]) -> bool:
    """Whether different indices of the axes are different entries: each axis is alone in a place."""
    alone = {
        index.terms[0][0]
        for place, index in enumerate(element.index)
        if isinstance(index, Affine) and len(index.terms) == 1 and place not in dict(element.clamped)
    }
    return alone.issuperset(axes)


def shared_loops(nest: Nest) -> int:
    """How many loops, from the first on, have iterations that may run at the same time.

    More than one where their bounds know nothing of each other, and no more sums have to be joined for it.
    """
    stores = [statement.target for statement in nest.body if isinstance(statement, Store)]
    sums = [statement.target for statement in nest.body if isinstance(statement, Accumulate)]
    written = {target.array: target.index for target in (*stores, *sums)}
    is_private = all(
        element.array not in written or element.index == written[element.array]
        for statement in nest.body
        for element in elements_of(statement)
    )
    shared = 0
    axes = {loop.axis for loop in nest.loops}
    while is_private and shared < len(nest.loops):
        prefix = [own.axis for own in nest.loops[: shared + 1]]
        if not all(is_injective(target, prefix) for target in stores):
            break
        if shared and any(not is_injective(target, prefix) and not _joins_freely(target, prefix) for target in sums):
            break
        if shared and not all(_is_rectangular(own, axes) for own in nest.loops[: shared + 1]):
            break
        shared += 1
    return shared


def _joins_freely(target: Element, axes: Sequence[str]) -> bool:
    """Whether a sum needs no memory for each thread, and needs to be joined over the first axis already."""
    return known_place(target) is not None and not is_injective(target, axes[:1])


def _is_rectangular(loop: LoopRange, axes: set[str]) -> bool:
    """Whether a loop has one bound on each side, without the indices of others."""
    forms = (*loop.low, *loop.high)
    return len(forms) == 2 and not any(name in axes for form in forms for name, _ in form.terms)
