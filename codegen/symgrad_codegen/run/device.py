"""Running on a GPU: arrays of NumPy in chunks that overlap, arrays that are on the device as they are.

Needs numba-cuda, which is imported when the first kernel runs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

# Fills outputs from inputs on a stream: arrays on the device, the points along their first axis.
RunOnDevice = Callable[[Sequence[Any], Sequence[Any], Any], None]

# Points that are copied to the device at a time, fewer where each is many numbers; and how many such chunks are on
# their way: one is copied in, one is worked on, one is copied out.
CHUNK, _NUMBERS = 1 << 18, 1 << 24
_ON_THE_WAY = 3

# Devices of DLPack whose memory a CUDA kernel reads.
_DLPACK_CUDA = (2, 13)

HOW_TO_INSTALL = "pip install 'symgrad[cuda13]' (or cuda12, for older drivers)"


def is_installed() -> bool:
    """Whether kernels for GPUs can be compiled here, with a GPU or without."""
    return find_spec("numba_cuda") is not None


def has_cupy() -> bool:
    """Whether there is a library for matrices on GPUs; the simulator has NumPy for that."""
    from numba import config

    return bool(config.ENABLE_CUDASIM) or find_spec("cupy") is not None


def no_device() -> str:
    """Why no kernel can run here, in words; empty where one can."""
    from numba import cuda

    if cuda.is_available():
        return ""
    try:
        cuda.get_current_device()
    except Exception as error:  # whatever the driver says
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return (" ".join(lines[1:]) or lines[0]).rstrip(" :.")
    return "no device"


def is_on_device(value: Any) -> bool:
    """Whether a value is an array in the memory of a GPU, of whichever library."""
    if isinstance(value, (np.ndarray, float, int)):
        return False
    if getattr(value, "__cuda_ndarray__", False) or hasattr(value, "__cuda_array_interface__"):
        return True
    device = getattr(value, "__dlpack_device__", None)
    return device is not None and device()[0] in _DLPACK_CUDA


class _Memory:
    """Memory on a device, as the CUDA array interface describes it; keeps what owns it alive."""

    def __init__(self, owner: Any, pointer: int, shape: Sequence[int], strides: Sequence[int], dtype: Any) -> None:
        self.owner = owner
        self.__cuda_array_interface__ = {
            "shape": tuple(shape),
            "strides": tuple(strides),
            "typestr": np.dtype(dtype).str,
            "data": (pointer, False),
            "version": 3,
        }


def device_array(value: Any, name: str, stream: Any) -> Any:
    """An array on the device as one of Numba, without a copy. TypeError where it does not hold real numbers."""
    from numba import cuda

    if getattr(value, "__cuda_ndarray__", False):
        array = value
    elif hasattr(value, "__cuda_array_interface__"):
        array = cuda.as_cuda_array(value)
    else:
        from cuda.core.utils import StridedMemoryView

        view = StridedMemoryView.from_dlpack(
            value, stream_ptr=int(stream) or 1
        )  # 1: the default stream, as DLPack has it
        strides = view.strides
        if strides is None:  # C-contiguous
            strides = np.cumprod([1, *view.shape[:0:-1]])[::-1].tolist()[: len(view.shape)]
        itemsize = view.dtype.itemsize
        array = cuda.as_cuda_array(_Memory(view, view.ptr, view.shape, [s * itemsize for s in strides], view.dtype))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"argument {name}: real numbers wanted, not {array.dtype}")
    return array


def numba_stream(stream: Any) -> Any:
    """A stream of any library as one of Numba: None is the default one; an integer is the address of one."""
    from numba import cuda

    if stream is None:
        return 0
    if isinstance(stream, int) and not isinstance(stream, bool):
        return cuda.external_stream(stream) if stream else 0
    if hasattr(stream, "__cuda_stream__"):  # of cuda.core, Numba, and whoever follows them
        return cuda.external_stream(int(stream.__cuda_stream__()[1]))
    for attribute in ("ptr", "cuda_stream"):  # of CuPy, of PyTorch
        if hasattr(stream, attribute):
            return cuda.external_stream(int(getattr(stream, attribute)))
    if hasattr(stream, "synchronize"):
        return stream
    raise TypeError(f"stream: a CUDA stream or its address wanted, not {type(stream).__name__}")


def to_device(array: Any, stream: Any) -> Any:
    """A contiguous array of NumPy as one on the device."""
    from numba import cuda

    return cuda.to_device(array, stream=stream)


def on_host(value: Any) -> Any:
    """A value as NumPy has it, copied where it is on the device."""
    return device_array(value, "", 0).copy_to_host() if is_on_device(value) else value


def new_outputs(count: int, shape: tuple[int, ...], dtype: str, stream: Any) -> list[Any]:
    """Uninitialised arrays on the device."""
    from numba import cuda

    return [cuda.device_array(shape, dtype, stream=stream) for _ in range(count)]


def output(value: Any, shape: tuple[int, ...], dtype: str, what: str) -> Any:
    """An array on the device that can be written. ValueError unless it has the shape and dtype, C-contiguous."""
    if not is_on_device(value):
        raise ValueError(f"{what} must be on the device, as an argument or another output is")
    array = device_array(value, what, 0)
    if tuple(array.shape) != shape or array.dtype != dtype:
        raise ValueError(f"{what} must hold {dtype} arrays of shape {shape}, not {array.dtype} {tuple(array.shape)}")
    if not array.is_c_contiguous():
        raise ValueError(f"{what} must hold C-contiguous arrays")
    return array


def check_overlaps(outputs: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Raises ValueError where an output shares memory with an input or with another output."""
    # An empty array takes no memory, wherever its address lies.
    written, read = ([span for span in map(_span, some) if span[0] < span[1]] for some in (outputs, inputs))
    spans = written + read
    for place, (start, stop) in enumerate(written):
        if any(start < end and begin < stop for begin, end in spans[place + 1 :]):
            raise ValueError("out must overlap no input, and its arrays must not overlap each other")


def _span(array: Any) -> tuple[int, int]:
    """The addresses that an array on the device takes."""
    interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__  # of the simulator
    low = high = interface["data"][0]
    for extent, stride in zip(array.shape, array.strides, strict=True):
        low, high = low + min(0, stride * (extent - 1)), high + max(0, stride * (extent - 1))
    return low, high + array.dtype.itemsize if array.size else low


def fill_on_device(
    run_points: RunOnDevice,
    expand: Any,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    shape: tuple[int, ...],
    stream: Any,
) -> None:
    """Fills `outputs` (C-contiguous) on the device at every point of `shape`; they may have axes of their own behind.

    Inputs that are no contiguous arrays there are copied to such.
    """
    dtype = outputs[0].dtype
    given = [on_device(expand, array, shape, dtype, stream) for array in inputs]
    run_points(given, [_rows(array, shape) for array in outputs], stream)


def _rows(array: Any, shape: tuple[int, ...]) -> Any:
    """An output with the points of `shape` along its first axis."""
    return array.reshape(math.prod(shape), *array.shape[len(shape) :])


def on_device(expand: Any, array: Any, shape: tuple[int, ...], dtype: Any, stream: Any) -> Any:
    """An input as a flat contiguous array on the device; one number stands for all points and is not copied."""
    from numba import config, cuda

    size = int(np.prod(shape, dtype=np.int64))
    if isinstance(array, np.ndarray):
        array = cuda.to_device(np.ascontiguousarray(array, dtype).reshape(array.shape), stream=stream)
    if tuple(array.shape) == shape and array.dtype == dtype and array.is_c_contiguous():
        return array.ravel()
    if array.size == 1 and array.dtype == dtype and not config.ENABLE_CUDASIM:
        pointer = array.__cuda_array_interface__["data"][0]
        return cuda.as_cuda_array(_Memory(array, pointer, (size,), (0,), dtype))
    source, strides = _flat(array)
    lead = len(shape) - array.ndim
    steps = [0] * lead + [0 if extent == 1 else step for extent, step in zip(array.shape, strides, strict=True)]
    target = cuda.device_array(size, dtype, stream=stream)
    expand(source, shape or (1,), tuple(steps) or (0,), target, stream)
    return target


def copy(expand: Any, source: Any, target: Any, axes: Sequence[int] | None, stream: Any) -> None:
    """Copies a contiguous array on the device into another one, its axes in another order where `axes` says so."""
    flat, steps = _flat(source)
    order = range(source.ndim) if axes is None else axes
    shape = tuple(source.shape[axis] for axis in order)
    expand(flat, shape, tuple(steps[axis] for axis in order), target.ravel(), stream)


def _flat(array: Any) -> tuple[Any, list[int]]:
    """The memory of an array as a flat array that begins with its first element, and its strides in elements."""
    from numba import config, cuda

    itemsize = array.dtype.itemsize
    steps = [stride // itemsize for stride in array.strides]
    if array.is_c_contiguous():
        return array.ravel(), steps
    if any(step < 0 for step in steps) or any(stride % itemsize for stride in array.strides):
        raise ValueError("an array on the device with negative or odd strides: make a copy of it first")
    length = 1 + sum(step * (extent - 1) for step, extent in zip(steps, array.shape, strict=True))
    if config.ENABLE_CUDASIM:  # its arrays are NumPy's
        return cuda.to_device(np.lib.stride_tricks.as_strided(np.asarray(array), (length,), (itemsize,))), steps
    pointer = array.__cuda_array_interface__["data"][0]
    return cuda.as_cuda_array(_Memory(array, pointer, (length,), (itemsize,), array.dtype)), steps


class _Chunk:
    """The buffers of one chunk on its way: to the device, through the kernel, and back."""

    def __init__(
        self, size: int, dtype: Any, inputs: int, outputs: Sequence[tuple[int, ...]], pinned: bool, stream: Any
    ) -> None:
        """`outputs` are the shapes of what each of them has at a point."""
        from numba import cuda

        def host(shape: tuple[int, ...]) -> Any:
            return cuda.pinned_array(shape, dtype) if pinned else np.empty(shape, dtype)

        given, made = [(size,)] * inputs, [(size, *own) for own in outputs]
        self.stream = stream
        self.given, self.made = list(map(host, given)), list(map(host, made))
        self.inputs, self.outputs = (
            [cuda.device_array(shape, dtype, stream=stream) for shape in shapes] for shapes in (given, made)
        )
        self.targets: list[Any] = []

    def start(self, run_points: RunOnDevice, parts: Sequence[Any], targets: list[Any]) -> None:
        """Copies a part of each input to the device and runs the kernel; `targets` are filled by `finish`."""
        length = len(targets[0])
        for part, row, array in zip(parts, self.given, self.inputs, strict=True):
            np.copyto(row[:length], part, casting="unsafe")
            array[:length].copy_to_device(row[:length], stream=self.stream)
        run_points([array[:length] for array in self.inputs], [array[:length] for array in self.outputs], self.stream)
        for row, array in zip(self.made, self.outputs, strict=True):
            array[:length].copy_to_host(row[:length], stream=self.stream)
        self.targets = targets

    def finish(self) -> None:
        if self.targets:
            if self.stream:
                self.stream.synchronize()
            for row, target in zip(self.made, self.targets, strict=True):
                target[:] = row[: len(target)]
        self.targets = []


@cache
def _streams(thread: int) -> list[Any]:
    """Streams of a thread of the host, made once: modules keep memory for each stream that they see."""
    from numba import cuda

    return [cuda.stream() for _ in range(_ON_THE_WAY)]


def fill_from_host(
    run_points: RunOnDevice, inputs: Sequence[Any], outputs: Sequence[Any], shape: tuple[int, ...], stream: Any
) -> None:
    """Fills arrays of NumPy at every point of `shape`: where these are many in chunks, so that copies and work overlap.

    Outputs may have axes of their own behind those of the points. Memory on the device does not grow with the data. On
    a given stream the chunks follow one another.
    """
    dtype, count = outputs[0].dtype, math.prod(shape)
    flat = [array.reshape(1) if array.size == 1 else np.broadcast_to(array, shape).reshape(-1) for array in inputs]
    results = [_rows(array, shape) for array in outputs]
    owns = [array.shape[1:] for array in results]
    size = min(CHUNK, count, max(1, _NUMBERS // (len(inputs) + sum(map(math.prod, owns)))))
    several = count > size
    ways = min(_ON_THE_WAY, -(-count // size)) if not stream else 1
    streams = _streams(threading.get_ident())[:ways] if several and not stream else [stream]
    chunks = [_Chunk(size, dtype, len(inputs), owns, several, own) for own in streams]
    for number, start in enumerate(range(0, count, size)):
        chunk = chunks[number % ways]
        chunk.finish()
        parts = [array if len(array) == 1 else array[start : start + size] for array in flat]
        chunk.start(run_points, parts, [array[start : start + size] for array in results])
    for chunk in chunks:
        chunk.finish()
