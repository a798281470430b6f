"""Kernels on the CPU: over points in blocks of them, over arrays one instance after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from symgrad_codegen.run import build, host

from ..errors import ShapeError, SymgradError
from . import packing
from .arguments import Arguments, Shapes
from .batch import per_item, singular_at, size_of
from .compiled import MAX_OPERATIONS, Compiled
from .packing import Cells
from .reference import Reference
from .sparse import Patterns, Placed
from .sparsity import SparsityPattern


class HostRunner:
    """Runs a kernel on the CPU: the compiled module, or for long bodies over points the reference evaluator."""

    keywords: frozenset[str] = frozenset()

    def __init__(self, compiled: Compiled) -> None:
        self._compiled, self._options = compiled, compiled.options
        self._kind = np.dtype(compiled.options.dtype)
        self._threads, self._operations = compiled.options.threads, compiled.stats["operations"]
        self.arguments = Arguments(compiled, self.index_range, self.on_host)
        self.point: Callable[..., Any] | None = None  # of plain numbers: the value, or several, and the derivatives
        self.module: Any = None
        with compiled.stats.timed("build"):
            runs = self._load()
        compiled.stats.write_runs(runs)
        self._built = len(self._overloads())  # versions of the function over points that Numba has made
        targets = compiled.results.targets
        self.at_point = compiled.results.at_point(self._kind)
        self._names = [f"out: {target.name}" for target in targets]
        pattern, names = compiled.graph.pattern, compiled.results.names
        self._patterns = None if pattern is None else Patterns(pattern, compiled.options, names, compiled.stats)
        if compiled.has_arrays:
            self._cells = Cells(targets, self.arguments.ranks)
            outputs = list(enumerate(compiled.graph.outputs))
            is_number = [not own.by and not own.shape for _, own in outputs]
            self._returned = [self._cells.places[place] for place, _ in outputs if is_number[place]]
            self._passed = [self._cells.places[place] for place, _ in outputs if not is_number[place]]
            self._is_apart = packing.are_apart(targets, len(outputs))
        else:
            self._run_points = packing.over_points(self._run_outputs, targets, len(compiled.graph.outputs))
        self.run = self._over_arrays if compiled.has_arrays else self._over_points

    def _load(self) -> str:
        """The module, and the functions of it that a call needs; returns what runs the kernel, in words."""
        if self._compiled.source is None:
            reference = Reference(self._compiled.graph, self._kind)
            self.point, self._run_outputs = reference.point, reference.points
            return f"reference evaluator (more than {MAX_OPERATIONS} operations)"
        self.module = build.load(self._compiled.source, self._options.cache)
        if self._compiled.has_arrays:
            self._walk, self._into = self.module.walk_parts, getattr(self.module, f"{self._options.name}_into")
        else:
            self.point, self._run_outputs = getattr(self.module, self._options.name), self.module.run_points
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

    def evaluate(self, values: Sequence[Any]) -> list[Any]:
        """The outputs of the graph at one instance, in their order."""
        if self.point is not None:
            value, derivatives = self.point(*values)
            return [*(value if len(self._compiled.graph.values) > 1 else [value]), *derivatives]
        arrays = self.arguments.arrays(values)
        shapes = self.arguments.shapes_of(arrays)
        placed = self.placed(arrays, shapes)
        blocks = self._blocks(self._outputs(arrays, shapes, None, placed), shapes, placed)
        try:
            numbers = iter(self._run_instance(self._walk, arrays, blocks))
        except np.linalg.LinAlgError:
            raise singular_at(self._compiled.graph, arrays, shapes.sizes) from None
        found = []
        for place, output in enumerate(self._compiled.graph.outputs):
            target, cell = self._cells.places[place]
            if not output.by and not output.shape:
                found.append(next(numbers))
            else:
                array = blocks[target] if cell is None else blocks[target][cell]
                found.append(array if shapes.cells[target] else float(array[0]))
        return found

    def matrix(self, values: Sequence[Any]) -> SparsityPattern:
        """See Runner."""
        if self._compiled.results.matrix is not None:
            return self._compiled.results.matrix
        arrays = self.arguments.arrays(values)
        placed = self.placed(arrays, self.arguments.shapes_of(arrays))
        assert placed is not None
        return placed.matrix

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

    def _over_points(self, values: Sequence[Any], out: Any) -> Any:
        """What a call returns."""
        results = self._compiled.results
        arrays = self.arguments.points(values)
        if out is None and self.point is not None and all(array.ndim == 0 for array in arrays):
            return self.at_point(*self.point(*(float(array) for array in arrays)))
        shapes = self.arguments.shapes_of_points(arrays)
        if shapes.batch and results.matrix is not None:
            raise ShapeError("a sparse matrix is of one point, and here are many: call it for each")
        if out is None:
            outputs = host.new_outputs(shapes.outputs, self._options.dtype)
        else:
            outputs = results.arrays_of(out)
            for array, shape, name in zip(outputs, shapes.outputs, self._names, strict=True):
                host.check_outputs([array], shape, self._options.dtype, name)
            host.check_overlaps(outputs, arrays)
        points = size_of(shapes.batch)
        if points:
            threads = host.thread_count(self._threads, self._operations, points)
            host.fill(self._run_points, arrays, outputs, shapes.batch, threads)
            self._tell_builds()
        return results.result(outputs)

    def _overloads(self) -> Mapping[Any, Any]:
        return getattr(getattr(self.module, "points", None), "overloads", {})

    def _tell_builds(self) -> None:
        """Numba builds the function over points at the first call that needs it: the seconds of that are kept."""
        overloads = self._overloads()
        if len(overloads) > self._built:
            seconds = sum(map(_seconds_of, list(overloads.values())[self._built :]))
            self._built = len(overloads)
            self._compiled.stats.add_seconds("build_batch", seconds)

    # --- over arrays --------------------------------------------------------------------------------------------------

    def _over_arrays(self, values: Sequence[Any], out: Any) -> Any:
        """What a call returns."""
        arrays = self.arguments.arrays(values)
        shapes = self.arguments.shapes_of(arrays)
        placed = self.placed(arrays, shapes)
        outputs = self._outputs(arrays, shapes, out, placed)
        if shapes.batch:
            self._fill_batch(arrays, outputs, shapes)
            return self._compiled.results.result(outputs)
        walk = self._walk
        if self._threads is not None:
            threads = host.thread_count(self._threads, self._operations, shapes.largest)
            walk = self._parallel_walk(threads)
        blocks = self._blocks(outputs, shapes, placed)
        try:
            numbers = self._run_instance(walk, arrays, blocks)
        except np.linalg.LinAlgError:
            raise singular_at(self._compiled.graph, arrays, shapes.sizes) from None
        for (target, cell), number in zip(self._returned, numbers, strict=True):
            if cell is None:
                outputs[target] = float(number)
        if placed is not None:
            placed.finish(blocks[-1], outputs[-1])
        found = [
            own if shape or type(own) is float else float(own[0])
            for own, shape in zip(outputs, shapes.outputs, strict=True)
        ]
        return self._compiled.results.result(found, placed and placed.matrix)

    def placed(self, arrays: Sequence[Any], shapes: Shapes) -> Placed | None:
        """The pattern of a sparse result, and where its entries go; None where there is none."""
        return None if self._patterns is None else self._patterns.at(arrays, shapes.sizes)

    def _blocks(self, outputs: Sequence[Any], shapes: Shapes, placed: Placed | None = None) -> list[Any]:
        """The arrays of targets that hold several results, with these along the first axis."""
        if self._is_apart:
            return list(outputs)
        return [
            placed.arrays(array) if placed is not None and target.is_data else packing.block_of(array, target, shape)
            for array, target, shape in zip(outputs, self._compiled.results.targets, shapes.cells, strict=True)
        ]

    def _run_instance(self, walk: Any, arrays: Sequence[Any], blocks: Sequence[Any]) -> Sequence[float]:
        """Fills the arrays of one instance; returns the values that are numbers."""
        if self._is_apart and self._returned == [(0, None)]:  # all others are passed as they are
            return (self._into(walk, *arrays, *blocks[1:]),)
        passed = [blocks[target] if cell is None else blocks[target][cell] for target, cell in self._passed]
        found = self._into(walk, *arrays, *passed)
        numbers: Sequence[float] = found if len(self._returned) > 1 else [found] if self._returned else ()
        for (target, cell), number in zip(self._returned, numbers, strict=True):
            if cell is not None:
                blocks[target][cell] = number
        self._cells.finish(blocks)
        return numbers

    def _parallel_walk(self, threads: int) -> Any:
        return partial(self._walk, run=host.mapped(threads)) if threads > 1 else self._walk

    def _outputs(self, arrays: Sequence[Any], shapes: Shapes, out: Any, placed: Placed | None = None) -> list[Any]:
        """Where the results go, those that are numbers as arrays of one entry."""
        wanted = shapes.outputs
        if placed is not None:
            wanted = (*wanted[:-1], placed.matrix.rows.shape)
        if out is None:
            return [np.empty(shape or 1, self._kind) for shape in wanted]
        outputs = []
        for array, shape, name in zip(self._compiled.results.arrays_of(out), wanted, self._names, strict=True):
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
        rows = packing.items_of(outputs, self._compiled.results.targets, shapes.cells, batch)
        threads = host.thread_count(self._threads, self._operations, shapes.largest * items)
        side_by_side = threads <= items
        walk = self._walk if side_by_side else self._parallel_walk(threads)

        def fill(span: tuple[int, int]) -> np.linalg.LinAlgError | None:
            for item in range(*span):
                given, blocks = [read(item) for read in readers], [row[item] for row in rows]
                try:
                    numbers = self._run_instance(walk, given, blocks)
                except np.linalg.LinAlgError:
                    return singular_at(self._compiled.graph, given, shapes.sizes, item, batch)
                for (target, cell), number in zip(self._returned, numbers, strict=True):
                    if cell is None:
                        blocks[target][0] = number
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
