"""Batches: axes in front of the arguments, broadcast against each other as NumPy does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError


def broadcast(names: Sequence[str], shapes: Sequence[tuple[int, ...]], what: str) -> tuple[int, ...]:
    """The shape that all `shapes` broadcast to. Raises ShapeError, which names the arguments that have axes."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True) if shape)
        raise ShapeError(f"the {what} do not broadcast: {listed}") from None


def size_of(shape: Sequence[int]) -> int:
    """How many entries an array of that shape has."""
    return math.prod(shape)


def per_item(array: Any, rank: int, batch: tuple[int, ...]) -> Callable[[int], Any]:
    """What an item of a batch reads of an argument whose instances have `rank` axes: a view, or a Python number.

    The items are counted in C order. A contiguous array is not copied, however it broadcasts.
    """
    shape = tuple(np.shape(array))
    lead, own = shape[: len(shape) - rank], shape[len(shape) - rank :]
    if not lead:
        return lambda item: array
    count = size_of(lead)
    instances: Any = array.reshape(count, *own) if rank else array.reshape(count).tolist()
    if lead == batch:
        return lambda item: instances[item]
    at = np.broadcast_to(np.arange(count).reshape(lead), batch).ravel().tolist()
    return lambda item: instances[at[item]]


def as_items(array: Any, batch: tuple[int, ...], own: tuple[int, ...]) -> Any:
    """An output with an item of the batch after the other: each of the shape `own`, or of one entry."""
    return array.reshape(size_of(batch), *(own or (1,)))
