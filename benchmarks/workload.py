"""What a workload is: a formula with named inputs, data for it, and the same gradient written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

FASTMATH = {"reassoc", "contract", "arcp", "nsz"}  # all but those that break NaN and infinity


@dataclass(frozen=True)
class Workload:
    """One formula at many points. Results are the value, then the derivatives in the order of the inputs."""

    title: str
    inputs: tuple[str, ...]
    points: int  # by default
    # Functions (exp, log, sqrt, erf of some library) and the inputs, in that library's terms, to the value.
    formula: Callable[[Any, Sequence[Any]], Any]
    # How many points, to random inputs: one row per input.
    data: Callable[[int], Array]
    # Rows of inputs to rows of results, with NumPy. All others are compared with this.
    by_hand: Callable[[Array], Sequence[Array]]
    # Functions (those of vector_math.py) to a loop for Numba: kernel(*inputs, *outputs), all of them 1-D arrays.
    loop: Callable[[Any], Callable[..., None]]
    # The same formula of one tensor of shape (inputs, points), where PyTorch gets that instead of a tensor per input.
    of_tensor: Callable[[Any], Any] | None = None


def jit(function: Function) -> Function:
    """A function of a kernel by hand, compiled by Numba when it is called."""
    from numba import njit

    compiled: Function = njit(fastmath=FASTMATH, error_model="numpy")(function)
    return compiled


def aligned(*shape: int) -> Array:
    """An uninitialised array that begins on a cache line."""
    size = 8 * math.prod(shape)
    buffer = np.empty(size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start : start + size].view(np.float64).reshape(shape)


def placed(data: Any) -> Any:
    """The data, an array or arrays by name, in arrays that begin on a cache line; labels stay as they are."""
    if isinstance(data, dict):
        return {name: placed(array) for name, array in data.items()}
    if data.dtype != np.float64 or (data.flags.c_contiguous and data.ctypes.data % 64 == 0):
        return data
    array = aligned(*data.shape)
    array[...] = data
    return array


def largest_difference(found: Sequence[Any], expected: Sequence[Array]) -> float:
    """The largest relative difference; infinite for what is no number or has another shape.

    Relative to the number, or to the mean magnitude of its row where that is larger: what comes out of a cancellation
    is compared with what went into it.
    """
    if len(found) != len(expected):
        return np.inf
    largest = 0.0
    for row, wanted in zip(found, expected, strict=True):
        row = np.asarray(row, np.float64)
        if row.shape not in ((), wanted.shape) or not np.isfinite(row).all():
            return np.inf
        magnitude = np.abs(wanted)
        scale = np.maximum(magnitude, magnitude.mean())
        largest = max(largest, float(np.max(np.abs(row - wanted) / np.where(scale == 0.0, 1.0, scale))))
    return largest
