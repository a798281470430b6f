"""Kernels on a GPU: the same calls as on the CPU, on arrays of NumPy and on arrays that are on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from symgrad_codegen.run import build, device, host

from ..errors import SymgradError, UnsupportedExpression
from . import packing
from .arguments import Arguments, Shapes
from .batch import per_item, singular_at, size_of
from .compiled import MAX_OPERATIONS, Compiled
from .packing import Cells
from .sparsity import SparsityPattern


class DeviceRunner:
    """Runs a kernel on a GPU.

    Where an argument or an output is on the device, all results are, the value and derivatives by numbers as arrays
    without axes. Raises SymgradError at a call where there is no GPU; UnsupportedExpression for long bodies over
    points; SymgradError where numba-cuda, or for products and solutions of matrices CuPy, is missing.
    """

    keywords = frozenset({"stream"})

    def __init__(self, compiled: Compiled) -> None:
        self._compiled, self._options = compiled, compiled.options
        self.arguments = Arguments(compiled, self.index_range, self.on_host)
        self.point: Callable[..., Any] | None = None
        self.at_point = compiled.results.at_point(np.dtype(compiled.options.dtype))
        self._names = [f"out: {target.name}" for target in compiled.results.targets]
        with compiled.stats.timed("build"):
            self._load()
        compiled.stats.write_runs("numba-cuda")
        targets, outputs = compiled.results.targets, compiled.graph.outputs
        if compiled.has_arrays:
            self._cells = Cells(targets, self.arguments.ranks)
            self._into = getattr(self.module, f"{compiled.options.name}_into")
            self._places = [self._cells.places[place] for place in range(len(outputs))]
        else:
            self._filled = [place for place, target in enumerate(targets) if all(target.lead)]  # others are empty
            filled = [targets[place] for place in self._filled]
            self._run_points = packing.over_points_on_device(self.module, filled, len(outputs))

    def _load(self) -> None:
        if not device.is_installed():
            raise SymgradError(
                f"the target 'cuda' needs numba-cuda: {device.HOW_TO_INSTALL}; symgrad.emit prints the source "
                "without it"
            )
        if self._compiled.source is None:
            raise UnsupportedExpression(
                f"{self._compiled.stats['operations']} operations are more than the {MAX_OPERATIONS} that are "
                "compiled for a GPU; the target 'cpu' takes them"
            )
        self.module: Any = build.load(self._compiled.source, self._options.cache)
        if self._compiled.has_arrays and self.module.NEEDS_CUPY and not device.has_cupy():
            raise SymgradError(
                "products and inverses of matrices on a GPU are done by CuPy: pip install cupy-cuda13x (or "
                "cupy-cuda12x); symgrad.emit prints the source without it"
            )
        self._missing = device.no_device()
        if not self._missing:
            self.module.compile_kernels()

    @property
    def jitted(self) -> Any:
        """See Kernel.jitted."""
        if self._compiled.has_arrays:  # a function of whole arrays is several kernels, which the host launches
            raise SymgradError("on a GPU a function of whole arrays is several kernels: call this one from Python")
        return getattr(self.module, self._options.name)

    def ptx(self, cc: tuple[int, int]) -> str:
        """See Kernel.ptx."""
        major, minor = cc
        try:
            text: str = self.module.ptx((int(major), int(minor)))
        except (RuntimeError, ValueError, KeyError) as error:
            raise ValueError(f"no PTX for compute capability {major}.{minor}: {error}") from None
        return text

    def run(self, values: Sequence[Any], out: Any, stream: Any = None) -> Any:
        """What a call returns."""
        return self._compiled.results.result(self._run(values, out, stream))

    def _run(self, values: Sequence[Any], out: Any, stream: Any = None) -> list[Any]:
        """The arrays of the targets."""
        self._require_device()
        given = device.numba_stream(stream)
        targets = [] if out is None else self._compiled.results.arrays_of(out)
        stays = any(map(device.is_on_device, [*values, *targets]))
        run = self._over_arrays if self._compiled.has_arrays else self._over_points
        return run(values, targets, stays, given)

    def evaluate(self, values: Sequence[Any]) -> list[Any]:
        """The outputs of the graph at one instance, in their order."""
        self._require_device()
        if self._compiled.has_arrays:
            arrays = [self._argument(position, value, 0) for position, value in enumerate(values)]
            shapes = self.arguments.shapes_of(arrays)
            arrays = self._copied(arrays, 0)
            outputs = _device_outputs(
                arrays, shapes.outputs, [None] * len(self._names), self._names, self._options.dtype, 0
            )
            self._launch(arrays, outputs, shapes, 0)
            blocks = packing.blocks_of(outputs, self._compiled.results.targets, shapes.cells)
            found = [(_cell(blocks, place).copy_to_host(), shapes.cells[place[0]]) for place in self._places]
            return [array if shape else float(array[0]) for array, shape in found]
        made = [np.empty((), self._options.dtype) for _ in self._compiled.graph.outputs]
        device.fill_from_host(self.module.run_points, self.arguments.points(values), made, (), 0)
        return list(map(float, made))

    def matrix(self, values: Sequence[Any]) -> SparsityPattern:
        """See Runner."""
        raise SymgradError("sparse results are made by the target 'cpu'")

    def hold(self, position: int, value: Any) -> Any:
        """An argument as it is kept for many calls: arrays are copied to the device once."""
        self._require_device()
        if not self._compiled.has_arrays:
            return float(self.on_host(value))
        held = self._argument(position, value, 0)
        return device.to_device(held, 0) if isinstance(held, np.ndarray) and self.arguments.ranks[position] else held

    def on_host(self, value: Any) -> Any:
        """An argument or a result as NumPy has it."""
        return device.on_host(value)

    def index_range(self, values: Any) -> tuple[int, int]:
        """The least and the largest of some integers."""
        if device.is_on_device(values):
            if len(values.shape) == 1 and values.is_c_contiguous():
                least, largest = self.module.index_range(values)
                return least, largest
            values = values.copy_to_host()
        return int(values.min()), int(values.max())

    def _require_device(self) -> None:
        """Raises SymgradError where something is missing to run."""
        if self._missing:
            raise SymgradError(
                f"no GPU to run on: {self._missing}. The source and ptx() of this kernel need none; compile with "
                f"target='cpu' to run here, or install NVIDIA's driver and {device.HOW_TO_INSTALL}"
            )

    # --- over points --------------------------------------------------------------------------------------------------

    def _over_points(self, values: Sequence[Any], targets: list[Any], stays: bool, stream: Any) -> list[Any]:
        arrays = [
            device.device_array(value, name, stream)
            if device.is_on_device(value)
            else host.real_arrays([value], [name])[0]
            for value, name in zip(values, self.arguments.names, strict=True)
        ]
        shapes, dtype = self.arguments.shapes_of_points(arrays), self._options.dtype
        if not stays:
            return self._points_from_host(arrays, targets, shapes, stream)
        if targets:
            named = zip(targets, shapes.outputs, self._names, strict=True)
            outputs = [device.output(array, shape, dtype, name) for array, shape, name in named]
            device.check_overlaps(outputs, [array for array in arrays if not isinstance(array, np.ndarray)])
        else:
            outputs = [own for shape in shapes.outputs for own in device.new_outputs(1, shape, dtype, stream)]
        if size_of(shapes.batch):
            filled = [outputs[place] for place in self._filled]
            device.fill_on_device(self._run_points, self.module.expand, arrays, filled, shapes.batch, stream)
        return outputs

    def _points_from_host(self, arrays: Sequence[Any], targets: list[Any], shapes: Shapes, stream: Any) -> list[Any]:
        outputs = targets
        if targets:
            for array, shape, name in zip(targets, shapes.outputs, self._names, strict=True):
                host.check_outputs([array], shape, self._options.dtype, name)
            host.check_overlaps(targets, arrays)
        else:
            outputs = host.new_outputs(shapes.outputs, self._options.dtype)
        if size_of(shapes.batch):
            filled = [outputs[place] for place in self._filled]
            device.fill_from_host(self._run_points, arrays, filled, shapes.batch, stream)
        is_point = not targets and not shapes.batch
        return [float(array) if is_point and not array.ndim else array for array in outputs]

    # --- over arrays --------------------------------------------------------------------------------------------------

    def _over_arrays(self, values: Sequence[Any], targets: list[Any], stays: bool, stream: Any) -> list[Any]:
        arrays = [self._argument(position, value, stream) for position, value in enumerate(values)]
        if stream and self.arguments.gathers:
            stream.synchronize()  # the indices are read on the default stream
        shapes = self.arguments.shapes_of(arrays)
        wanted, names = shapes.outputs, self._names
        if targets and not stays:  # refuses what cannot be written
            shaped = [(array, shape, name) for array, shape, name in zip(targets, wanted, names, strict=True) if shape]
            for array, shape, name in shaped:
                host.check_outputs([array], shape, self._options.dtype, name)
            host.check_overlaps([a for a, _, _ in shaped], [a for a in arrays if isinstance(a, np.ndarray)])
        arrays = self._copied(arrays, stream)
        positions = targets if stays and targets else [None] * len(wanted)
        outputs = _device_outputs(arrays, wanted, positions, names, self._options.dtype, stream)
        self._launch(arrays, outputs, shapes, stream)
        if stays:
            made = [array if shape else array.reshape(()) for array, shape in zip(outputs, wanted, strict=True)]
            kept = zip(positions, made, strict=True)
            return [target if device.is_on_device(target) else array for target, array in kept]
        return _copied_back(outputs, wanted, targets, stream)

    def _launch(self, arrays: Sequence[Any], outputs: Sequence[Any], shapes: Shapes, stream: Any) -> None:
        """Runs the kernels: of a batch for one item after the other."""

        def clear(array: Any) -> None:
            self.module.set_all(array, 0.0, stream)

        def copy(source: Any, target: Any, axes: Sequence[int] | None = None) -> None:
            device.copy(self.module.expand, source, target, axes, stream)

        def fill(given: Sequence[Any], blocks: Sequence[Any], item: int = 0) -> None:
            try:
                self._into(stream, *given, *(_cell(blocks, place) for place in self._places))
            except np.linalg.LinAlgError:
                found = list(map(self.on_host, given))
                raise singular_at(self._compiled.graph, found, shapes.sizes, item, shapes.batch) from None
            self._cells.finish(blocks, clear, copy)

        targets = self._compiled.results.targets
        if not shapes.batch:
            fill(arrays, packing.blocks_of(outputs, targets, shapes.cells))
            return
        batch, ranks = shapes.batch, self.arguments.ranks
        readers = [per_item(array, rank, batch) for array, rank in zip(arrays, ranks, strict=True)]
        rows = packing.items_of(outputs, targets, shapes.cells, batch)
        for item in range(size_of(batch)):
            fill([read(item) for read in readers], [row[item] for row in rows], item)

    def _copied(self, arrays: Sequence[Any], stream: Any) -> list[Any]:
        """The arguments with all arrays on the device; a batch of numbers stays on the host."""
        return [
            device.to_device(array, stream) if isinstance(array, np.ndarray) and rank else array
            for array, rank in zip(arrays, self.arguments.ranks, strict=True)
        ]

    def _argument(self, position: int, value: Any, stream: Any) -> Any:
        """The argument as what the kernels take, on the host or on the device."""
        name, wanted = self.arguments.names[position], self.arguments.wanted[position]
        if not device.is_on_device(value):
            return self.arguments.array(position, value)
        array = device.device_array(value, name, stream)
        if not self.arguments.ranks[position] or wanted is None:  # numbers are arguments of the launch
            copy = array.copy_to_host(stream=stream)
            if stream:
                stream.synchronize()
            return self.arguments.array(position, copy)
        if array.dtype == wanted and array.is_c_contiguous():
            return array
        if wanted.kind == "i":
            raise TypeError(f"{name} holds indices: on the device a C-contiguous array of int64 wanted")
        shape = tuple(array.shape)
        return device.on_device(self.module.expand, array, shape, wanted, stream).reshape(shape)


def _cell(blocks: Sequence[Any], place: tuple[int, int | None]) -> Any:
    """Where a result is written: a target, or a cell of one."""
    target, cell = place
    return blocks[target] if cell is None else blocks[target][cell]


def _copied_back(
    outputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], targets: Sequence[Any], stream: Any
) -> list[Any]:
    """The results as numbers and arrays of NumPy, in the arrays of `targets` if there are any."""
    results = [array.copy_to_host(stream=stream) for array in outputs]
    if stream:
        stream.synchronize()
    for position, shape in enumerate(shapes):
        if not shape:
            results[position] = float(results[position][0])
        elif targets:
            targets[position][...] = results[position]
            results[position] = targets[position]
    return results


def _device_outputs(
    arrays: Sequence[Any],
    shapes: Sequence[tuple[int, ...]],
    targets: Sequence[Any],
    names: Sequence[str],
    dtype: str,
    stream: Any,
) -> list[Any]:
    """Arrays for the value and the derivatives: of numbers of one entry. `targets` that are there are used."""
    outputs = []
    for target, shape, name in zip(targets, shapes, names, strict=True):
        if target is None or not (shape or device.is_on_device(target)):
            outputs += device.new_outputs(1, shape or (1,), dtype, stream)
        else:
            outputs.append(device.output(target, shape, dtype, name).reshape(shape or (1,)))
    device.check_overlaps(outputs, [array for array in arrays if device.is_on_device(array)])
    return outputs
