"""Shapes: which numbers the symbolic extents are, as the arrays of a call say; and what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ShapeError
from ..graph.affine import Index, Size
from .extents import numeric


def bind(
    names: Sequence[str],
    shapes: Sequence[tuple[Index, ...]],
    found: Sequence[tuple[int, ...]],
    given: Mapping[str, int],
) -> dict[str, int]:
    """The extents by name, of the shapes `found` for the declared ones, and of those `given` as inputs of their own.

    Raises ShapeError, naming the axis, the arrays and both numbers, where a rank or an extent does not fit.
    """
    sizes = dict(given)
    determined_by = {name: f"the argument {name}" for name in given}
    later: list[tuple[str, int, Index, int]] = []
    for name, shape, lengths in zip(names, shapes, found, strict=True):
        if len(lengths) != len(shape):
            raise ShapeError(f"{name} wants {_rank(shape)}, not an array of shape {tuple(lengths)}")
        for axis, (extent, length) in enumerate(zip(shape, lengths, strict=True)):
            _determine(sizes, determined_by, name, axis, extent, length, later)
    for name, axis, extent, length in later:
        try:
            wanted = numeric(extent, sizes)
        except KeyError as error:
            raise ShapeError(f"the extent {error.args[0]} is determined by no array; give it as an argument") from None
        if wanted != length:
            raise ShapeError(
                f"axis {axis} of {name} has the length {length}, and {extent} is {wanted} "
                f"({', '.join(_reasons(extent, sizes, determined_by))})"
            )
    return sizes


def _determine(
    sizes: dict[str, int],
    determined_by: dict[str, str],
    name: str,
    axis: int,
    extent: Index,
    found: int,
    later: list[Any],
) -> None:
    if len(extent.terms) == 1:
        ((term, factor),) = extent.terms
        assert isinstance(term, Size)
        if term.name not in sizes and factor > 0 and (found - extent.offset) % factor == 0 and found >= extent.offset:
            sizes[term.name] = (found - extent.offset) // factor
            determined_by[term.name] = f"axis {axis} of {name}"
            return
    later.append((name, axis, extent, found))


def _reasons(extent: Index, sizes: Mapping[str, int], determined_by: Mapping[str, str]) -> list[str]:
    names = [term.name for term, _ in extent.terms if isinstance(term, Size)]
    return [f"{name} = {sizes[name]} by {determined_by[name]}" for name in names] or [f"it is {extent}"]


def _rank(shape: tuple[Index, ...]) -> str:
    if not shape:
        return "one number"
    return f"an array of shape ({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
