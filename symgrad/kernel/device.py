"""Kernels on a GPU: the same calls as on the CPU, on arrays of NumPy and on arrays that are on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from symgrad_codegen.run import build, device, host

from ..errors import SymgradError, UnsupportedExpression
from . import packing
from .arguments import Arguments, Shapes
from .batch import as_items, per_item, singular_at, size_of
from .compiled import MAX_OPERATIONS, Compiled
from .sparse import Matrix


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

    def _load(self) -> None:
        if not packing.are_apart(self._compiled.results.targets, len(self._compiled.graph.outputs)):
            raise UnsupportedExpression(
                "results that are put together into arrays, as a Jacobian is, are computed by the target 'cpu'; "
                "symgrad.emit prints the source for 'cuda', whose kernel_batch returns each entry as an array"
            )
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
        return self._run(values, None)

    def matrix(self, values: Sequence[Any]) -> Matrix:
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
        shape = self.arguments.shapes_of_points(arrays).batch
        count, dtype = len(self._names), self._options.dtype
        if not stays:
            return self._points_from_host(arrays, targets, shape, stream)
        if targets:
            outputs = [device.output(array, shape, dtype, "out") for array in targets]
            device.check_overlaps(outputs, [array for array in arrays if not isinstance(array, np.ndarray)])
        else:
            outputs = device.new_outputs(count, shape, dtype, stream)
        if outputs[0].size:
            device.fill_on_device(self.module.run_points, self.module.expand, arrays, outputs, stream)
        return outputs

    def _points_from_host(
        self, arrays: Sequence[Any], targets: list[Any], shape: tuple[int, ...], stream: Any
    ) -> list[Any]:
        outputs = targets
        if targets:
            host.check_outputs(targets, shape, self._options.dtype)
            host.check_overlaps(targets, arrays)
        else:
            outputs = host.new_outputs([shape] * len(self._names), self._options.dtype)
        if outputs[0].size:
            device.fill_from_host(self.module.run_points, arrays, outputs, stream)
        is_point = not targets and all(array.ndim == 0 for array in arrays)
        return [float(array) for array in outputs] if is_point else outputs

    # --- over arrays --------------------------------------------------------------------------------------------------

    def _over_arrays(self, values: Sequence[Any], targets: list[Any], stays: bool, stream: Any) -> list[Any]:
        arrays = [self._argument(position, value, stream) for position, value in enumerate(values)]
        if stream and self.arguments.gathers:
            stream.synchronize()  # the indices are read on the default stream
        shapes = self.arguments.shapes_of(arrays)
        wanted = shapes.outputs
        names = self._names
        if targets and not stays:  # refuses what cannot be written
            shaped = [(array, shape, name) for array, shape, name in zip(targets, wanted, names, strict=True) if shape]
            for array, shape, name in shaped:
                host.check_outputs([array], shape, self._options.dtype, name)
            host.check_overlaps([a for a, _, _ in shaped], [a for a in arrays if isinstance(a, np.ndarray)])
        arrays = [
            device.to_device(array, stream) if isinstance(array, np.ndarray) and rank else array
            for array, rank in zip(arrays, self.arguments.ranks, strict=True)
        ]
        positions = targets if stays and targets else [None] * len(wanted)
        outputs = self._outputs(arrays, wanted, positions, names, stream)
        self._launch(arrays, outputs, shapes, stream)
        if stays:
            made = [array if shape else array.reshape(()) for array, shape in zip(outputs, wanted, strict=True)]
            kept = zip(positions, made, strict=True)
            return [target if device.is_on_device(target) else array for target, array in kept]
        return self._copied_back(outputs, wanted, targets, stream)

    def _launch(self, arrays: Sequence[Any], outputs: Sequence[Any], shapes: Shapes, stream: Any) -> None:
        """Runs the kernels: of a batch for one item after the other."""
        into = getattr(self.module, f"{self._options.name}_into")

        def fill(given: Sequence[Any], made: Sequence[Any], item: int = 0) -> None:
            try:
                into(stream, *given, *made)
            except np.linalg.LinAlgError:
                found = list(map(self.on_host, given))
                raise singular_at(self._compiled.graph, found, shapes.sizes, item, shapes.batch) from None

        if not shapes.batch:
            fill(arrays, outputs)
            return
        batch, ranks = shapes.batch, self.arguments.ranks
        readers = [per_item(array, rank, batch) for array, rank in zip(arrays, ranks, strict=True)]
        owns = shapes.cells
        rows = [as_items(array, batch, own) for array, own in zip(outputs, owns, strict=True)]
        for item in range(size_of(batch)):
            fill([read(item) for read in readers], [row[item] for row in rows], item)

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

    def _outputs(
        self,
        arrays: Sequence[Any],
        shapes: Sequence[tuple[int, ...]],
        targets: Sequence[Any],
        names: Sequence[str],
        stream: Any,
    ) -> list[Any]:
        """Arrays for the value and the derivatives: of numbers of one entry. `targets` that are there are used."""
        outputs = []
        for target, shape, name in zip(targets, shapes, names, strict=True):
            if target is None or not (shape or device.is_on_device(target)):
                outputs += device.new_outputs(1, shape or (1,), self._options.dtype, stream)
            else:
                outputs.append(device.output(target, shape, self._options.dtype, name).reshape(shape or (1,)))
        device.check_overlaps(outputs, [array for array in arrays if device.is_on_device(array)])
        return outputs

    def _copied_back(
        self, outputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], targets: Sequence[Any], stream: Any
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
