"""Kernels on the CPU: over points in blocks of them, over arrays one instance after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from symgrad_codegen.run import build, host

from ..errors import SymgradError
from ..evaluate.evaluation import Evaluator
from ..result import Result
from .arguments import Arguments, Shapes
from .batch import as_items, per_item, singular_at, size_of
from .compiled import MAX_OPERATIONS, Compiled

# Points that the reference evaluator holds at a time.
_REFERENCE_POINTS = 1024


class HostRunner:
    """Runs a kernel on the CPU: the compiled module, or for long bodies over points the reference evaluator."""

    keywords: frozenset[str] = frozenset()

    def __init__(self, compiled: Compiled) -> None:
        self._compiled, self._options = compiled, compiled.options
        self._kind = np.dtype(compiled.options.dtype)
        self._threads, self._operations = compiled.options.threads, compiled.stats["operations"]
        self.arguments = Arguments(compiled, self.index_range, self.on_host)
        self.point: Callable[..., Any] | None = None  # of plain numbers: the value and a tuple of the derivatives
        self.module: Any = None
        with compiled.stats.timed("build"):
            runs = self._load()
        compiled.stats.write_runs(runs)
        self._built = len(self._overloads())  # versions of the function over points that Numba has made
        self._names = ["out: value", *(f"out: d_{symbol.name}" for symbol in compiled.wrt)]
        self.run = self._over_arrays if compiled.has_arrays else self._over_points

    def _load(self) -> str:
        """The module, and the functions of it that a call needs; returns what runs the kernel, in words."""
        if self._compiled.source is None:
            self._reference = Evaluator(self._compiled.graph)
            self.point, self._run_points = self._reference_point, self._reference_points
            return f"reference evaluator (more than {MAX_OPERATIONS} operations)"
        self.module = build.load(self._compiled.source, self._options.cache)
        if self._compiled.has_arrays:
            self._walk, self._into = self.module.walk_parts, getattr(self.module, f"{self._options.name}_into")
        else:
            self.point, self._run_points = getattr(self.module, self._options.name), self.module.run_points
        return "numba"

    @property
    def jitted(self) -> Any:
        """See Kernel.jitted."""
        if self.module is None:
            runs = self._compiled.stats["runs"]
            raise SymgradError(f"this kernel runs on the {runs}, so there is no jitted function")
        return getattr(self.module, self._options.name)

    def ptx(self, cc: tuple[int, int]) -> str:
        """See Kernel.ptx."""
        raise SymgradError("this kernel runs on the CPU: compile with target='cuda' for PTX")

    def evaluate(self, values: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        """The value and the derivatives of one instance."""
        if self.point is not None:
            found: tuple[float, tuple[float, ...]] = self.point(*values)
            return found
        value, *derivatives = self.run(values, None)
        return value, derivatives

    def hold(self, position: int, value: Any) -> Any:
        """An argument as it is kept for many calls."""
        return self.arguments.array(position, value) if self._compiled.has_arrays else float(value)

    def on_host(self, value: Any) -> Any:
        """An argument or a result as NumPy has it."""
        return value

    def index_range(self, values: Any) -> tuple[int, int]:
        """The least and the largest of some integers."""
        if values.ndim == 1 and values.flags.carray:
            least, largest = self.module.index_range(values)
            return least, largest
        return int(values.min()), int(values.max())

    # --- over points --------------------------------------------------------------------------------------------------

    def _over_points(self, values: Sequence[Any], out: Result | None) -> list[Any]:
        """The value and the derivatives of a call."""
        arrays = self.arguments.points(values)
        if out is None and self.point is not None and all(array.ndim == 0 for array in arrays):
            value, derivatives = self.point(*(float(array) for array in arrays))
            return [value, *derivatives]
        shape = self.arguments.shapes_of_points(arrays).batch
        count = 1 + len(self._compiled.wrt)
        if out is None:
            outputs = host.new_outputs(count, shape, self._options.dtype)
        else:
            outputs = self._compiled.listed(out)
            host.check_outputs(outputs, shape, self._options.dtype)
            host.check_overlaps(outputs, arrays)
        if outputs[0].size:
            threads = host.thread_count(self._threads, self._operations, outputs[0].size)
            host.fill(self._run_points, arrays, outputs, threads)
            self._tell_builds()
        return outputs

    def _overloads(self) -> Mapping[Any, Any]:
        return getattr(getattr(self.module, "points", None), "overloads", {})

    def _tell_builds(self) -> None:
        """Numba builds the function over points at the first call that needs it: the seconds of that are kept."""
        overloads = self._overloads()
        if len(overloads) > self._built:
            seconds = sum(map(_seconds_of, list(overloads.values())[self._built :]))
            self._built = len(overloads)
            self._compiled.stats.add_seconds("build_batch", seconds)

    def _reference_point(self, *args: Any) -> tuple[float, tuple[float, ...]]:
        if len(args) != len(self.arguments.names) or any(isinstance(argument, np.ndarray) for argument in args):
            raise TypeError("plain numbers wanted")
        point = [self._kind.type(float(argument)) for argument in args]
        value, *derivatives = self._reference.floats(point, dtype=self._kind)
        return float(value), tuple(map(float, derivatives))

    def _reference_points(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        for start in range(0, len(outputs[0]), _REFERENCE_POINTS):
            part = slice(start, start + _REFERENCE_POINTS)
            results = self._reference.floats([array[part] for array in inputs], dtype=self._kind)
            for array, result in zip(outputs, results, strict=True):
                array[part] = result

    # --- over arrays --------------------------------------------------------------------------------------------------

    def _over_arrays(self, values: Sequence[Any], out: Result | None) -> list[Any]:
        """The value and the derivatives of a call."""
        arrays = self.arguments.arrays(values)
        shapes = self.arguments.shapes_of(arrays)
        outputs = self._outputs(arrays, shapes, out)
        if shapes.batch:
            self._fill_batch(arrays, outputs, shapes)
            return outputs
        walk = self._walk
        if self._threads is not None:
            threads = host.thread_count(self._threads, self._operations, shapes.largest)
            walk = self._parallel_walk(threads)
        try:
            value = self._into(walk, *arrays, *outputs)
        except np.linalg.LinAlgError:
            raise singular_at(self._compiled.graph, arrays, shapes.sizes) from None
        derivatives = zip(outputs, shapes.derivatives, strict=True)
        return [float(value), *[array if shape else float(array[0]) for array, shape in derivatives]]

    def _parallel_walk(self, threads: int) -> Any:
        return partial(self._walk, run=host.mapped(threads)) if threads > 1 else self._walk

    def _outputs(self, arrays: Sequence[Any], shapes: Shapes, out: Result | None) -> list[Any]:
        """Where the derivatives go, those by numbers as arrays of one entry; of a batch the values before them."""
        first = 0 if shapes.batch else 1
        wanted = shapes.outputs[first:]
        if out is None:
            return [np.empty(shape or 1, self._kind) for shape in wanted]
        outputs = []
        given = self._compiled.listed(out)[first:]
        for array, shape, name in zip(given, wanted, self._names[first:], strict=True):
            if not shape:
                array = np.empty(1, self._kind)
            elif not (
                type(array) is np.ndarray and array.dtype is self._kind and array.shape == shape and array.flags.carray
            ):
                host.check_outputs([array], shape, self._options.dtype, name)
            outputs.append(array)
        host.check_overlaps(outputs, [array for array in arrays if type(array) is np.ndarray])
        return outputs

    def _fill_batch(self, arrays: Sequence[Any], outputs: Sequence[Any], shapes: Shapes) -> None:
        """Runs each item of a batch, many of them in threads side by side, few after each other with threads within.

        Raises LinAlgError, with the first such item, where a matrix is singular.
        """
        batch, items = shapes.batch, size_of(shapes.batch)
        readers = [per_item(array, rank, batch) for array, rank in zip(arrays, self.arguments.ranks, strict=True)]
        values, *rows = (
            as_items(array, batch, own) for array, own in zip(outputs, [(), *shapes.derivatives], strict=True)
        )
        threads = host.thread_count(self._threads, self._operations, shapes.largest * items)
        side_by_side = threads <= items
        walk = self._walk if side_by_side else self._parallel_walk(threads)
        into = self._into

        def fill(span: tuple[int, int]) -> np.linalg.LinAlgError | None:
            for item in range(*span):
                given = [read(item) for read in readers]
                try:
                    values[item] = into(walk, *given, *[row[item] for row in rows])
                except np.linalg.LinAlgError:
                    return singular_at(self._compiled.graph, given, shapes.sizes, item, batch)
            return None

        parts = max(1, min(threads, items)) if side_by_side else 1
        spans = list(pairwise(items * part // parts for part in range(parts + 1)))
        # All of them end before an error is raised: nothing is written after a call.
        for error in list((host.mapped(threads) if parts > 1 else map)(fill, spans)):
            if error is not None:
                raise error


def _seconds_of(overload: Any) -> float:
    """How long Numba compiled; what it took from the disk has no such number, and costs milliseconds."""
    timers = (getattr(overload, "metadata", None) or {}).get("timers", {})
    return float(timers.get("compiler_lock", 0.0))
