"""Running: arrays of any shape, stride and real dtype through a function that fills contiguous points."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

# Fills outputs from inputs: contiguous arrays of the kernel's dtype that do not overlap, of one length along their
# first axis, which is that of the points; inputs have no other.
RunPoints = Callable[[Sequence[Any], Sequence[Any]], None]

# Points per chunk: what is converted or handed to a thread at a time. A multiple of every block.
CHUNK = 1 << 14
# Below about a millisecond of work (in operations) threads="auto" stays with one.
_WORTH_THREADS = 1 << 21


def real_arrays(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """The arguments as NumPy arrays. Raises TypeError that names the argument for what is not real."""
    arrays = []
    for value, name in zip(values, names, strict=True):
        array = np.asarray(value)
        if array.dtype.kind == "O":
            try:
                # One by one: NumPy would take None for NaN.
                array = np.array([float(item) for item in array.ravel().tolist()]).reshape(array.shape)
            except (TypeError, ValueError) as error:
                raise TypeError(f"argument {name}: {type(value).__name__} holds no real numbers ({error})") from None
        if array.dtype.kind not in "biuf":
            raise TypeError(f"argument {name}: real numbers wanted, not {array.dtype}")
        arrays.append(array)
    return arrays


def new_outputs(shapes: Sequence[tuple[int, ...]], dtype: str) -> list[Any]:
    """Uninitialised arrays that begin on cache lines, so that they can be streamed."""
    outputs = []
    for shape in shapes:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        buffer = np.empty(size + 64, np.uint8)
        start = -buffer.ctypes.data % 64
        outputs.append(buffer[start : start + size].view(dtype).reshape(shape))
    return outputs


def check_outputs(outputs: Sequence[Any], shape: tuple[int, ...], dtype: str, what: str = "out") -> None:
    """Raises ValueError unless `outputs` can be written: right shape and dtype, C-contiguous."""
    for array in outputs:
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"{what} must hold {dtype} arrays of shape {shape}, not {found}")
        if not array.flags.c_contiguous or not array.flags.writeable or not array.flags.aligned:
            raise ValueError(f"{what} must hold writable C-contiguous arrays")


def check_overlaps(outputs: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Raises ValueError where an output shares memory with an input or with another output."""
    owners = [_owner(array) for array in outputs]
    if None not in owners and len(set(owners)) == len(owners):
        others = {_owner(array) for array in inputs}
        if None not in others and others.isdisjoint(owners):
            return  # each output has memory of its own: the usual case, and the quick answer
    # In the order of their addresses, only neighbours can overlap (inputs may overlap each other).
    spans = [(*_span(array), is_output) for is_output, some in ((False, inputs), (True, outputs)) for array in some]
    end, output_end = -1, -1
    for start, stop, is_output in sorted(span for span in spans if span[0] < span[1]):
        if start < (end if is_output else output_end):
            raise ValueError("out must overlap no input, and its arrays must not overlap each other")
        end, output_end = max(end, stop), max(output_end, stop if is_output else -1)


def _owner(array: Any) -> int | None:
    """Which array owns the memory, by its id; None where it is no array's."""
    while array.base is not None:
        array = array.base
        if type(array) is not np.ndarray:
            return None
    return id(array)


def _span(array: Any) -> tuple[int, int]:
    """The addresses that an array takes. byte_bounds is right for any strides, and slow."""
    if not array.flags.c_contiguous:
        return byte_bounds(array)
    start = array.__array_interface__["data"][0]
    return start, start + array.nbytes


class _Writeable:
    """Holds an array and says that it may be written."""

    def __init__(self, array: Any) -> None:
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def writeable_view(array: Any) -> Any:
    """A read-only array as one of the type that compiled code was made for, which does not write it."""
    return np.asarray(_Writeable(array))


def mapped(threads: int) -> Callable[..., Any]:
    """`map` over a pool of threads, at most `threads` of whose calls run at a time, results in order."""

    def run(function: Callable[..., Any], items: Sequence[Any]) -> Any:
        pending: list[Any] = []
        for item in items:
            if len(pending) == threads:
                yield pending.pop(0).result()
            pending.append(_pool().submit(function, item))
        for job in pending:
            yield job.result()

    return run


def fill(
    run_points: RunPoints, inputs: Sequence[Any], outputs: Sequence[Any], shape: tuple[int, ...], threads: int
) -> None:
    """Fills `outputs` (C-contiguous) at every point of the `inputs` (arrays that broadcast to `shape`, the points).

    Outputs have axes of their own behind those of `shape`. Inputs of another dtype or layout are converted a chunk at a
    time: memory does not grow with the data.
    """
    dtype, count = outputs[0].dtype, math.prod(shape)
    flat = [_flat(array, shape, dtype) for array in inputs]
    results = [array.reshape(count, *array.shape[len(shape) :]) for array in outputs]
    parts = _parts(count, threads)
    if len(parts) == 1:
        _fill_part(run_points, flat, results, 0, count)
    else:
        jobs = [_pool().submit(_fill_part, run_points, flat, results, start, stop) for start, stop in parts]
        for job in jobs:
            job.result()


def _flat(array: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    if array.size == 1:
        return array.reshape(1)  # stands for every point
    if array.shape != shape:
        array = np.broadcast_to(array, shape)
    return array if array.ndim == 1 else np.ascontiguousarray(array, dtype).reshape(-1)


def _fill_part(run_points: RunPoints, inputs: Sequence[Any], outputs: Sequence[Any], start: int, stop: int) -> None:
    dtype = outputs[0].dtype
    ready = [
        array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned and len(array) >= stop
        for array in inputs
    ]
    if all(ready):
        run_points([array[start:stop] for array in inputs], [array[start:stop] for array in outputs])
        return
    rows = {place: np.empty(min(CHUNK, stop - start), dtype) for place, is_ready in enumerate(ready) if not is_ready}
    for place, row in rows.items():
        if len(inputs[place]) == 1:
            row[:] = inputs[place][0]
    for begin in range(start, stop, CHUNK):
        end = min(begin + CHUNK, stop)
        part = []
        for place, array in enumerate(inputs):
            if place in rows:
                row = rows[place][: end - begin]
                if len(array) != 1:
                    np.copyto(row, array[begin:end], casting="unsafe")
                part.append(row)
            else:
                part.append(array[begin:end])
        run_points(part, [array[begin:end] for array in outputs])


def _parts(count: int, threads: int) -> list[tuple[int, int]]:
    chunks = -(-count // CHUNK)
    threads = max(1, min(threads, chunks))
    edges = [min(count, chunks * part // threads * CHUNK) for part in range(threads + 1)]
    return [(start, stop) for start, stop in pairwise(edges)] or [(0, count)]


def thread_count(threads: int | str | None, operations: int, points: int) -> int:
    """How many threads to use: `None` is one, "auto" as many as there are CPUs where the work is worth it."""
    if threads is None:
        return 1
    if threads == "auto":
        return (os.cpu_count() or 1) if operations * points > _WORTH_THREADS else 1
    return int(threads)


@cache
def _pool_of(process: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="symgrad")


def _pool() -> Any:
    return _pool_of(os.getpid())  # a forked process has none of its parent's threads
