"""Arrays on a GPU: data repeated to any length, results compared where they are, and how long work on them takes.

Numba's simulator (NUMBA_ENABLE_CUDASIM=1) runs all of it on the host, without events.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import config, cuda

from .workload import Array

SIMULATED = bool(config.ENABLE_CUDASIM)
THREADS = 4 if SIMULATED else 256  # of a block


def launch(kernel: Any, count: int, *arguments: Any) -> None:
    """Runs a kernel whose threads share out `count` indices."""
    most = 2 if SIMULATED else 32 * cuda.get_current_device().MULTIPROCESSOR_COUNT
    kernel[min(-(-count // THREADS), most), THREADS](*arguments)


@cuda.jit  # type: ignore[untyped-decorator]
def repeat(source: Any, target: Any) -> None:
    i = cuda.grid(1)
    while i < target.size:
        target[i] = source[i % source.size]
        i += cuda.gridsize(1)


@cuda.jit  # type: ignore[untyped-decorator]
def compare(found: Any, period: Any, mean: Any, worst: Any) -> None:
    """worst[0] rises to the largest difference from what repeats, relative as in workload.largest_difference."""
    largest = 0.0
    i = cuda.grid(1)
    while i < found.size:
        wanted = period[i % period.size]
        scale = max(abs(wanted), mean)
        difference = abs(found[i] - wanted) / (scale if scale > 0.0 else 1.0)
        if not difference <= largest:  # so it is for NaN
            largest = difference if difference == difference else math.inf
        i += cuda.gridsize(1)
    cuda.atomic.max(worst, 0, largest)


def repeated(base: Any, copies: int) -> Any:
    """An array on the device: `base` over and over, along its first axis."""
    base = np.ascontiguousarray(base)
    target = cuda.device_array(base.size * copies, base.dtype)
    launch(repeat, target.size, cuda.to_device(base.reshape(-1)), target)
    return target.reshape((len(base) * copies, *base.shape[1:]))


def unset(shape: tuple[int, ...], dtype: str) -> Any:
    """An array on the device that is NaN where nobody has written."""
    return repeated(np.array([np.nan], dtype), math.prod(shape)).reshape(shape)


def from_library(array: Any) -> Any:
    """An array of whichever library as one of Numba, without a copy."""
    if hasattr(array, "copy_to_host"):
        return array
    if hasattr(array, "__cuda_array_interface__"):
        return cuda.as_cuda_array(array)
    return cuda.to_device(np.ascontiguousarray(array))  # in the simulator: arrays of the host


def to_host(array: Any) -> Any:
    """An array of whichever library as one of NumPy."""
    if hasattr(array, "copy_to_host"):
        return array.copy_to_host()
    if hasattr(array, "cpu"):  # of PyTorch
        return array.cpu().numpy()
    return array.get() if hasattr(array, "get") else np.asarray(array)  # of CuPy; of JAX and NumPy


def difference_of_rows(found: Sequence[Any], wanted: Sequence[Array], points: int) -> float:
    """The largest difference of rows on the device from rows that repeat; infinite where shapes differ."""
    if len(found) != len(wanted):
        return math.inf
    worst = cuda.to_device(np.zeros(1))
    for row, period in zip(map(from_library, found), wanted, strict=True):
        if tuple(row.shape) != (points,):
            return math.inf
        launch(compare, points, row, cuda.to_device(period), float(np.abs(period).mean()), worst)
    return float(worst.copy_to_host()[0])


# Time -----------------------------------------------------------------------------------------------------------------


def seconds(call: Callable[[], Any], wait: Callable[[Any], Any], count: int) -> float:
    """Seconds per call, of `count` that follow one another after one that warms up; by the GPU's own clock.

    The events are on the default stream. For a library with streams of its own `wait` waits for a result: then the
    time holds the launch of the first call and the end of the last. Results are dropped before the next call: two
    sets of them would take too much memory.
    """
    if SIMULATED:
        start = time.perf_counter()
        for _ in range(count):
            wait(call())
        return (time.perf_counter() - start) / count
    wait(call())
    begin, end = cuda.event(), cuda.event()
    begin.record()
    for _ in range(count):
        result = None
        result = call()
    wait(result)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / count


def release() -> float:
    """Gives back the memory that libraries keep for later; returns how many bytes of the GPU were in use before."""
    if SIMULATED:
        return 0.0
    cuda.synchronize()
    free, total = cuda.current_context().get_memory_info()
    gc.collect()
    cuda.current_context().deallocations.clear()
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()
    if "cupy" in sys.modules:
        sys.modules["cupy"].get_default_memory_pool().free_all_blocks()
    return float(total - free)


# Limits of the device -------------------------------------------------------------------------------------------------

COPY_BYTES = 1 << 8 if SIMULATED else 1 << 30  # far more than any cache
CHAINS, ROUNDS = 8, 4096


def copy() -> Callable[[], Any]:
    """A call that copies COPY_BYTES within the device. Random numbers: equal ones may move faster."""
    base = np.random.default_rng(3).normal(size=min(COPY_BYTES // 8, 1 << 20))
    source = repeated(base, COPY_BYTES // base.nbytes)
    target = cuda.device_array(source.shape, source.dtype)
    return lambda: target.copy_to_device(source)


@cuda.jit  # type: ignore[untyped-decorator]
def multiply_add(numbers: Any, target: Any) -> None:
    """CHAINS values per thread, each multiplied and added to ROUNDS times: nothing but arithmetic in registers."""
    factor, term = numbers[0], numbers[1]
    a, b, c, d = numbers[2], numbers[3], numbers[4], numbers[5]
    e, f, g, h = numbers[6], numbers[7], numbers[8], numbers[9]
    for _ in range(ROUNDS):
        a, b, c, d = a * factor + term, b * factor + term, c * factor + term, d * factor + term
        e, f, g, h = e * factor + term, f * factor + term, g * factor + term, h * factor + term
    target[cuda.grid(1)] = a + b + c + d + e + f + g + h


def arithmetic_rate(dtype: str) -> float:
    """How many fused multiplications and additions the device does in a second, measured."""
    blocks = 8 * cuda.get_current_device().MULTIPROCESSOR_COUNT
    numbers = cuda.to_device(np.array([0.999, 0.001, *np.linspace(0.1, 0.8, CHAINS)], dtype))
    target = cuda.device_array(blocks * THREADS, dtype)
    taken = seconds(lambda: multiply_add[blocks, THREADS](numbers, target), lambda result: None, 20)
    return blocks * THREADS * CHAINS * ROUNDS / taken
