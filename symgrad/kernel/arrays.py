"""Kernels whose inputs are arrays: shapes and indices are checked, then one call computes value and gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from symgrad_codegen.run import build, host

from ..analysis.checks import GatherCheck, checks
from ..analysis.domains import Domains
from ..analysis.extents import is_empty, numeric, with_derived
from ..analysis.shapes import bind
from ..errors import ShapeError
from ..evaluate.arrays import Evaluation
from ..explore.tracing import Setting
from ..graph.graph import sizes_of
from ..graph.node import plain_axis
from ..result import Result, by_name, gradient_class
from .check import GradientCheck
from .check_arrays import check_arrays
from .kernel import Kernel, Objective

# Shapes that calls came with are remembered, up to this many.
_KNOWN_SHAPES = 256


class _Gather(NamedTuple):
    """An integer input used as an index: where it stands, and the bounds that it has to keep."""

    check: GatherCheck
    source: tuple[int, tuple[slice, ...]] | None
    low: int
    high: int


class _Shapes(NamedTuple):
    """What follows from the shapes of a call."""

    sizes: dict[str, int]
    outputs: tuple[tuple[int, ...], ...]
    largest: int  # elements of the largest input
    gathers: list[_Gather]


class ArrayKernel(Kernel):
    """A compiled value and gradient of an expression with arrays. Made by `symgrad.compile`.

    `kernel(*args, out=None, **by_name)` returns `Result(value, grad)`: a float, and for each input in `wrt` an array of
    its shape (a float for a scalar). Raises TypeError for what is not real, ShapeError where extents do not agree,
    IndexError where an index expression runs outside of an array, numpy.linalg.LinAlgError for a singular matrix, all
    before anything is written (a singular matrix shows on the way: what is in `out` is then of no use).
    """

    def _start(self) -> None:
        self._dtype = self._options["dtype"]
        self._kind = np.dtype(self._dtype)
        self._gradient = gradient_class(self.wrt)
        self._names = [symbol.name for symbol in self.args]
        self._shapes = self.graph.shapes
        size_names = {size.name for size in sizes_of(self.definition)}
        self._given = [
            place for place, shape in enumerate(self._shapes) if not shape and self._names[place] in size_names
        ]
        self._wanted = [  # of each input: the dtype that the compiled code takes, None for an extent
            None if place in self._given else np.dtype(np.int64) if place in self.graph.integers else self._kind
            for place in range(len(self.args))
        ]
        domains = Domains(self.definition)
        self._derived = domains.derived
        self._checks, self._gather_checks = checks(self.definition, domains)
        self._known: dict[Any, _Shapes] = {}
        self._quick = None, None
        self._load()

    def _load(self) -> None:
        """The module, and the functions of it that a call needs."""
        self._module: Any = build.load(self.source, self._options["cache"])
        self._walk = self._module.walk_parts
        self._into = getattr(self._module, f"{self._options['name']}_into")
        self.stats["runs"] = "numba"

    def __call__(self, *args: Any, out: Result | None = None, **by_name: Any) -> Result:
        values = self._ordered(args, by_name) if by_name or len(args) != len(self.args) else args
        arrays = [
            value
            if type(value) is np.ndarray
            and value.dtype is wanted
            and value.flags.carray
            and value.ndim == len(shape) > 0
            else self._input(place, value)
            for place, (value, wanted, shape) in enumerate(zip(values, self._wanted, self._shapes, strict=True))
        ]
        shapes = self._shapes_of(arrays)
        outputs = self._outputs(arrays, shapes.outputs, out)
        walk = self._walk
        if self._options["threads"] is not None:
            threads = host.thread_count(self._options["threads"], self.stats["operations"], shapes.largest)
            walk = partial(walk, run=host.mapped(threads)) if threads > 1 else walk
        value = self._into(walk, *arrays, *outputs)
        grads = [array if shape else float(array[0]) for array, shape in zip(outputs, shapes.outputs, strict=True)]
        return self._result(float(value), grads)

    value_and_grad = __call__

    def _shapes_of(self, arrays: Sequence[Any]) -> _Shapes:
        """What follows from the shapes of a call, known from before or not; and its indices are checked."""
        key = tuple([array if type(array) is int else getattr(array, "shape", ()) for array in arrays])
        shapes = self._known.get(key)
        if shapes is None:
            shapes = self._new_shapes(arrays)
            if len(self._known) < _KNOWN_SHAPES:
                self._known[key] = shapes
        for check in shapes.gathers:
            self._check_gather(check, arrays, shapes.sizes)
        return shapes

    def _input(self, place: int, value: Any) -> Any:
        """The argument as what the compiled code takes: converted only where it has to be."""
        name, shape, wanted = self._names[place], self._shapes[place], self._wanted[place]
        if wanted is None:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                raise TypeError(f"{name} is an extent: a number of elements wanted, not {value!r}")
            return int(value)
        if not shape and type(value) is float:
            return value
        array = np.asarray(value)
        if not shape and array.ndim:
            raise TypeError(
                f"{name} is one number here, not an array of shape {array.shape}: beside arrays, scalars are no "
                "batches; call the kernel once per point"
            )
        array = _integers(array, name) if wanted.kind == "i" else host.real_arrays([value], [name])[0]
        if not shape:
            return array.item()
        array = np.ascontiguousarray(array, wanted).reshape(array.shape)
        return array if array.flags.carray else host.writeable_view(array)

    def _new_shapes(self, arrays: Sequence[Any]) -> _Shapes:
        """What follows from the shapes of a call alone. Raises ShapeError and IndexError."""
        given = {self._names[place]: arrays[place] for place in self._given}
        rest = [place for place in range(len(arrays)) if place not in self._given]
        sizes = with_derived(
            bind(
                [self._names[place] for place in rest],
                [self._shapes[place] for place in rest],
                [arrays[place] if self._shapes[place] else np.asarray(arrays[place]) for place in rest],
                given,
            ),
            self._derived,
        )
        for check in self._checks:
            bad, extent = check.outside(sizes), numeric(check.extent, sizes)
            if bad is not None:
                raise IndexError(
                    f"an index of axis {check.place} of {check.array} is {bad}, out of the bounds 0 .. {extent - 1} "
                    f"of its {extent} elements"
                )
        gathers: list[_Gather] = []
        kept = [check for check in self._gather_checks if not is_empty(check.domain, sizes)]
        for own in (self._gather(check, arrays, sizes) for check in kept):
            same = (own.source, own.low, own.high)
            if own.source is None or same not in [(other.source, other.low, other.high) for other in gathers]:
                gathers.append(own)
        outputs = tuple(np.shape(arrays[place]) for place in self.graph.wrt)
        return _Shapes(sizes, outputs, max([1, *map(np.size, arrays)]), gathers)

    def _gather(self, check: GatherCheck, arrays: Sequence[Any], sizes: Mapping[str, int]) -> _Gather:
        """Which part of an integer input is used as an index, or that it has to be evaluated."""
        node, index = check.view.node, check.view.index
        source: tuple[int, tuple[slice, ...]] | None = None
        if node.gate.name == "input" and all(plain_axis(at) is not None for at in index):
            parts = []
            for at in index:
                bound = check.domain.bounds[at.axes[0]]
                assert bound is not None
                parts.append(slice(numeric(bound[0], sizes), numeric(bound[1], sizes) + 1))
            source = node.position, tuple(parts)
        return _Gather(check, source, numeric(check.low, sizes), numeric(check.high, sizes))

    def _check_gather(self, gather: _Gather, arrays: Sequence[Any], sizes: Mapping[str, int]) -> None:
        check = gather.check
        if gather.source is not None:
            values = arrays[gather.source[0]][gather.source[1]]
        else:
            given = [self._on_host(array) for array in arrays]
            values = np.asarray(Evaluation.of_view(self.definition, check.view, check.domain, given, sizes), np.int64)
        least, largest = self._index_range(values) if values.size else (gather.low, gather.high)
        if values.size and (least < gather.low or largest > gather.high):
            bad = least if least < gather.low else largest
            of = f"axis {check.place} of {check.array}" if check.array else "a gathered axis"
            is_input = check.view.node.gate.name == "input"
            source = self._names[check.view.node.position] if is_input else "an index expression"
            raise IndexError(f"{source} holds {bad}, an index of {of} out of the bounds {gather.low} .. {gather.high}")

    def _index_range(self, values: Any) -> tuple[int, int]:
        """The least and the largest of some integers."""
        if values.ndim == 1 and values.flags.carray:
            least, largest = self._module.index_range(values)
            return least, largest
        return int(values.min()), int(values.max())

    def _on_host(self, array: Any) -> Any:
        """An argument or a result as NumPy has it."""
        return array

    def _outputs(self, arrays: Sequence[Any], shapes: tuple[tuple[int, ...], ...], out: Result | None) -> list[Any]:
        if out is None:
            return [np.empty(shape or 1, self._kind) for shape in shapes]
        derivatives = (out[1],) if self._single else tuple(out[1])
        if len(derivatives) != len(shapes):
            raise ValueError(f"out must hold {len(shapes)} derivatives, not {len(derivatives)}")
        outputs = []
        for place, (array, shape) in enumerate(zip(derivatives, shapes, strict=True)):
            if not shape:
                array = np.empty(1, self._kind)
            elif not (
                type(array) is np.ndarray and array.dtype is self._kind and array.shape == shape and array.flags.carray
            ):
                name = self._names[self.graph.wrt[place]]
                host.check_outputs([array], shape, self._dtype, f"out: d_{name}")
            outputs.append(array)
        host.check_overlaps(outputs, [array for array in arrays if type(array) is np.ndarray])
        return outputs

    def check(self, *args: Any, **by_name: Any) -> GradientCheck:
        """The gradient check at a point, for some entries of each input: see symgrad.kernel.check.GradientCheck."""
        values = self._ordered(args, by_name)
        result = self(*values)
        arrays = [self._input(place, value) for place, value in enumerate(values)]
        sizes, derivatives = self._new_shapes(arrays).sizes, (result.grad,) if self._single else result.grad
        return check_arrays(self.definition, self.graph.wrt, arrays, sizes, self._dtype, result.value, derivatives)

    def _setting(self, values: Sequence[Any]) -> Setting:
        given = [self._input(place, value) for place, value in enumerate(values)]
        arrays, sizes = [self._on_host(array) for array in given], self._shapes_of(given).sizes
        return Setting(self.written, self.graph, self._dtype, arrays, sizes, self._gradient)

    @property
    def jitted(self) -> Any:
        """The Numba function of whole arrays, callable from other `@njit` code: `(value, (gradients...))`."""
        return getattr(self._module, self._options["name"])

    def _objective(self, fixed: dict[int, Any]) -> Objective:
        return ArrayObjective(self, fixed)


def _integers(array: Any, name: str) -> Any:
    if array.dtype.kind in "biu" or not array.size:
        return np.ascontiguousarray(array, np.int64).reshape(array.shape)
    raise TypeError(f"{name} holds indices: integers wanted, not {array.dtype}")


class ArrayObjective(Objective):
    """A function of one flat vector: the inputs of a kernel that are not fixed, in `args` order, each row by row.

    Their shapes are those of the first `pack`, or of the fixed inputs where these tell them.
    """

    def _hold(self, fixed: dict[int, Any]) -> None:
        self._fixed = fixed
        self.shapes: list[tuple[int, ...]] | None = self._told_shapes()

    def _told_shapes(self) -> list[tuple[int, ...]] | None:
        kernel = self.kernel
        assert isinstance(kernel, ArrayKernel)
        given = {kernel._names[p]: int(v) for p, v in self._fixed.items() if p in kernel._given}
        rest = [place for place in self._fixed if place not in kernel._given]
        names, shapes = [kernel._names[p] for p in rest], [kernel._shapes[p] for p in rest]
        fixed = [self._fixed[place] for place in rest]
        sizes = bind(names, shapes, [a if hasattr(a, "shape") else np.asarray(a) for a in fixed], given)
        try:
            return [tuple(numeric(extent, sizes) for extent in kernel._shapes[place]) for place in self.free]
        except KeyError:
            return None

    def __call__(self, vector: Any) -> tuple[float, Any]:
        values = dict(self._fixed)
        parts = self.unpack(vector)
        for place, symbol in zip(self.free, self.symbols, strict=True):
            values[place] = parts[symbol.name]
        result = self.kernel(*(values[place] for place in range(len(self.kernel.args))))
        kernel = self.kernel
        assert isinstance(kernel, ArrayKernel)
        derivatives = (result.grad,) if kernel._single else result.grad
        flat = [np.ravel(kernel._on_host(derivatives[place])) for place in self._places]
        return float(kernel._on_host(result.value)), np.concatenate(flat).astype(np.float64) if flat else np.zeros(0)

    def pack(self, **values: Any) -> Any:
        """The flat vector of the free inputs, given by name; their shapes are kept for `unpack`."""
        places = {by_name(self.symbols, name, "the free inputs"): value for name, value in values.items()}
        missing = [symbol.name for place, symbol in enumerate(self.symbols) if place not in places]
        if missing:
            raise ValueError(f"missing {', '.join(missing)}")
        arrays = [np.asarray(places[place], np.float64) for place in range(len(self.symbols))]
        self.shapes = [array.shape for array in arrays]
        return np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)

    def unpack(self, vector: Any) -> dict[str, Any]:
        """The free inputs by name, each of its shape: views of the vector."""
        if self.shapes is None:
            names = ", ".join(symbol.name for symbol in self.symbols)
            raise ShapeError(f"the shapes of {names} are not known yet: make the vector with pack")
        flat = np.asarray(vector, np.float64)
        sizes = [int(np.prod(shape, dtype=np.int64)) for shape in self.shapes]
        if flat.shape != (sum(sizes),):
            listed = ", ".join(f"{s.name} {shape}" for s, shape in zip(self.symbols, self.shapes, strict=True))
            raise ShapeError(f"a vector of {sum(sizes)} elements wanted ({listed}), not of shape {flat.shape}")
        found, start = {}, 0
        for symbol, shape, size in zip(self.symbols, self.shapes, sizes, strict=True):
            part = flat[start : start + size].reshape(shape)
            found[symbol.name] = part if shape else float(part)
            start += size
        return found
