"""Kernels whose inputs are arrays: shapes and indices are checked, then one call computes value and gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from symgrad_codegen import build, run

from .domains import Domains, checks, numeric, with_derived
from .errors import ShapeError
from .graph import Gather, sizes_of
from .interpret_arrays import Evaluation
from .kernel import Kernel, Objective, Result, by_name, gradient_class
from .shapes import bind


class ArrayKernel(Kernel):
    """A compiled value and gradient of an expression with arrays. Made by `symgrad.compile`.

    `kernel(*args, out=None, **by_name)` returns `Result(value, grad)`: a float, and for each input in `wrt` an array of
    its shape (a float for a scalar). Raises TypeError for what is not real, ShapeError where extents do not agree,
    IndexError where an index expression runs outside of an array, numpy.linalg.LinAlgError for a singular matrix, all
    before anything is written (a singular matrix shows on the way: what is in `out` is then of no use).
    """

    def _start(self) -> None:
        self._dtype = self._options["dtype"]
        self._gradient = gradient_class(self.wrt)
        self._names = [symbol.name for symbol in self.args]
        self._shapes = self.graph.shapes or ()
        self._wrt_places = self.graph.wrt
        self._size_names = {size.name for size in sizes_of(self.definition)}
        self._given = [place for place in range(len(self.args)) if self._is_size(place)]
        domains = Domains(self.definition)
        self._derived = domains.derived
        self._checks, self._gather_checks = checks(self.definition, domains)
        self._quick = None, None
        self._module: Any = build.load(self.source, self._options["cache"])
        self._into = getattr(self._module, f"{self._options['name']}_into")
        self.stats["runs"] = "numba"

    def _is_size(self, place: int) -> bool:
        return not self._shapes[place] and self._names[place] in self._size_names

    def __call__(self, *args: Any, out: Result | None = None, **by_name: Any) -> Result:
        values = self._ordered(args, by_name) if by_name or len(args) != len(self.args) else list(args)
        arrays = [self._input(place, value) for place, value in enumerate(values)]
        sizes = self._bound(arrays)
        self._check_indices(arrays, sizes)
        outputs = self._outputs(arrays, out)
        value = self._run(arrays, sizes, outputs)
        grads = [array if array.ndim else float(array) for array in outputs]
        return self._result(value, grads)

    value_and_grad = __call__

    def _input(self, place: int, value: Any) -> Any:
        """The argument as the array that the compiled code takes: converted only where it has to be."""
        name, shape = self._names[place], self._shapes[place]
        if place in self._given:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                raise TypeError(f"{name} is an extent: a number of elements wanted, not {value!r}")
            return int(value)
        if type(value) is np.ndarray and value.dtype == self._dtype and value.flags.c_contiguous and value.ndim == len(shape):
            if place not in self.graph.integers:
                return value
        array = np.asarray(value)
        if not shape and array.ndim:
            raise TypeError(
                f"{name} is one number here, not an array of shape {array.shape}: beside arrays, scalars are no batches; "
                "call the kernel once per point"
            )
        if place in self.graph.integers:
            return _integers(array, name)
        (array,) = run.real_arrays([value], [name])
        return np.ascontiguousarray(array, self._dtype).reshape(array.shape)

    def _bound(self, arrays: Sequence[Any]) -> dict[str, int]:
        given = {self._names[place]: arrays[place] for place in self._given}
        rest = [place for place in range(len(arrays)) if place not in self._given]
        sizes = bind(
            [self._names[place] for place in rest],
            [self._shapes[place] for place in rest],
            [arrays[place] for place in rest],
            given,
        )
        return with_derived(sizes, self._derived)

    def _check_indices(self, arrays: Sequence[Any], sizes: Mapping[str, int]) -> None:
        for check in self._checks:
            if any(bound and numeric(bound[0], sizes) > numeric(bound[1], sizes) for bound in check.bounds):
                continue
            low, high, extent = (numeric(form, sizes) for form in (check.low, check.high, check.extent))
            if low < 0 or high >= extent:
                bad = low if low < 0 else high
                raise IndexError(
                    f"an index of axis {check.place} of {check.array} is {bad}, out of the bounds 0 .. {extent - 1} "
                    f"of its {extent} elements"
                )
        if self._gather_checks:
            self._check_gathers(arrays, sizes)

    def _check_gathers(self, arrays: Sequence[Any], sizes: Mapping[str, int]) -> None:
        for check in self._gather_checks:
            node = check.view.node
            if node.gate.name == "input" and not any(isinstance(index, Gather) for index in check.view.index):
                values = arrays[node.attribute]
                box = check.domain.bounds
                place = [index.axes for index in check.view.index]
                for at, axes in enumerate(place):
                    bound = box[axes[0]] if len(axes) == 1 else None
                    if bound and check.view.index[at].terms == ((axes[0], 1),):  # type: ignore[union-attr]
                        offset = check.view.index[at].offset  # type: ignore[union-attr]
                        low, high = numeric(bound[0], sizes) + offset, numeric(bound[1], sizes) + offset
                        values = values[(slice(None),) * at + (slice(low, high + 1),)]
            else:
                values = Evaluation.of_view(self.definition, check.view, check.domain, arrays, sizes)
            if not np.size(values):
                continue
            least, largest = int(np.min(values)), int(np.max(values))
            low, high = numeric(check.low, sizes), numeric(check.high, sizes)
            if least < low or largest > high:
                bad = least if least < low else largest
                of = f"axis {check.place} of {check.array}" if check.array else "a gathered axis"
                source = self._names[node.attribute] if node.gate.name == "input" else "an index expression"
                raise IndexError(f"{source} holds {bad}, an index of {of} out of the bounds {low} .. {high}")

    def _outputs(self, arrays: Sequence[Any], out: Result | None) -> list[Any]:
        shapes = [np.shape(arrays[place]) for place in self._wrt_places]
        if out is None:
            return [np.empty(shape, self._dtype) for shape in shapes]
        derivatives = (out[1],) if self._single else tuple(out[1])
        if len(derivatives) != len(shapes):
            raise ValueError(f"out must hold {len(shapes)} derivatives, not {len(derivatives)}")
        outputs = []
        for derivative, shape, place in zip(derivatives, shapes, self._wrt_places, strict=True):
            if not shape:
                outputs.append(np.empty((), self._dtype))
                continue
            name = self._names[place]
            run.check_outputs([derivative], shape, self._dtype, f"out: d_{name}")
            outputs.append(derivative)
        run.check_overlaps([o for o in outputs if o.ndim], [a for a in arrays if isinstance(a, np.ndarray)])
        return outputs

    def _run(self, arrays: Sequence[Any], sizes: Mapping[str, int], outputs: Sequence[Any]) -> float:
        return float(self._into(self._module.walk_parts, *arrays, *(output.reshape(output.shape or (1,)) for output in outputs)))

    @cached_property
    def source(self) -> str:
        """The source that runs."""
        return self._make_source()

    def objective(self, fixed: Mapping[Any, Any] | None = None, **by_name: Any) -> Objective:
        """A callable of one flat float64 vector for scipy.optimize: returns (value, flat gradient).

        `fixed` (symbols or names) and keywords hold the inputs that do not vary; all others must be in `wrt`.
        """
        return ArrayObjective(
            self,
            {
                **{self._place(key): value for key, value in (fixed or {}).items()},
                **{self._place(key): value for key, value in by_name.items()},
            },
        )


def _integers(array: Any, name: str) -> Any:
    if array.dtype.kind in "biu" or not array.size:
        return np.ascontiguousarray(array, np.int64).reshape(array.shape)
    raise TypeError(f"{name} holds indices: integers wanted, not {array.dtype}")


class ArrayObjective(Objective):
    """A function of one flat vector: the inputs of a kernel that are not fixed, in `args` order, each row by row.

    Their shapes are those of the first `pack`, or of the fixed inputs where these tell them.
    """

    def __init__(self, kernel: ArrayKernel, fixed: dict[int, Any]) -> None:
        self.kernel = kernel
        self.free = [place for place in range(len(kernel.args)) if place not in fixed]
        self.symbols = tuple(kernel.args[place] for place in self.free)
        lacking = [symbol.name for symbol in self.symbols if symbol not in kernel.wrt]
        if lacking:
            raise ValueError(f"the kernel has no derivative by {', '.join(lacking)}: fix it, or compile with it in wrt")
        self._places = [kernel.wrt.index(symbol) for symbol in self.symbols]
        self._fixed = fixed
        self.shapes: list[tuple[int, ...]] | None = self._told_shapes()

    def _told_shapes(self) -> list[tuple[int, ...]] | None:
        kernel = self.kernel
        assert isinstance(kernel, ArrayKernel)
        given = {kernel._names[p]: int(v) for p, v in self._fixed.items() if p in kernel._given}
        rest = [place for place in self._fixed if place not in kernel._given]
        names, shapes = [kernel._names[p] for p in rest], [kernel._shapes[p] for p in rest]
        sizes = bind(names, shapes, [np.asarray(self._fixed[place]) for place in rest], given)
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
        derivatives = (result.grad,) if self.kernel._single else result.grad
        flat = [np.ravel(derivatives[place]) for place in self._places]
        return result.value, np.concatenate(flat).astype(np.float64) if flat else np.zeros(0)

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

