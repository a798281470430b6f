"""Batches: axes in front of the arguments, broadcast against each other as NumPy does it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..evaluate.evaluation import evaluate
from ..evaluate.singular import singular
from ..graph.graph import Graph


def broadcast(names: Sequence[str], shapes: Sequence[tuple[int, ...]], what: str) -> tuple[int, ...]:
    """The shape that all `shapes` broadcast to. Raises ShapeError, which names the arguments that have axes."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True) if shape)
        raise ShapeError(f"the {what} do not broadcast: {listed}") from None


def check_memory(names: Sequence[str], shapes: Sequence[tuple[int, ...]], itemsize: int) -> None:
    """Raises MemoryError, before anything is made, where results are larger than the memory of this machine."""
    sizes = [size_of(shape) * itemsize for shape in shapes]
    there = _memory()
    if there and sum(sizes) > there:
        most = max(range(len(sizes)), key=sizes.__getitem__)
        raise MemoryError(
            f"the results would take {sum(sizes) / 1e9:,.0f} GB, {names[most]} of shape {shapes[most]} most of it, and "
            f"this machine has {there / 1e9:,.0f} GB; with sparse='csr' a derivative has its entries that are not 0 "
            "alone, and products with one are never so large: kernel.jvp, kernel.vjp, kernel.hvp"
        )


@cache
def _memory() -> int:
    """The bytes of memory of this machine; 0 where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0


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


def singular_at(
    graph: Graph, inputs: Sequence[Any], sizes: Mapping[str, int], item: int = 0, batch: tuple[int, ...] = ()
) -> np.linalg.LinAlgError:
    """The error of a call, or of an item of a batch, that failed at a singular matrix: evaluating it says which."""
    where = f"at {tuple(map(int, np.unravel_index(item, batch)))} of the batch: " if batch else ""
    try:
        evaluate(graph, inputs, sizes)
    except np.linalg.LinAlgError as error:
        return np.linalg.LinAlgError(f"{where}{error}")
    return np.linalg.LinAlgError(f"{where}{singular('one that is inverted')}")  # just so, in another precision
