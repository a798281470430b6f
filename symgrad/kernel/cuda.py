"""Kernels on a GPU: the same calls as on the CPU, on arrays of NumPy and on arrays that are on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from symgrad_codegen.run import build, device, host

from ..errors import ShapeError, SymgradError, UnsupportedExpression
from ..result import Result, gradient_class
from .arrays import ArrayKernel
from .check import GradientCheck
from .kernel import LARGEST_COMPILED, Kernel, Objective


class CudaKernel(Kernel):
    """A compiled value and gradient for a GPU. Made by `symgrad.compile(..., target="cuda")`.

    `kernel(*args, out=None, stream=None, **by_name)` returns `Result(value, grad)`. Plain numbers give Python floats,
    arrays of NumPy arrays of NumPy. Where an argument is on the device (anything with the CUDA array interface or
    DLPack: CuPy, PyTorch, Numba, JAX), so are the results: arrays of Numba, which these libraries take without a copy,
    ready in the order of the stream. `stream` is a stream of Numba, CuPy, PyTorch or cuda.core, or its address.

    Raises SymgradError at the call where there is no GPU; `source` and `ptx` need none.
    """

    def _start(self) -> None:
        self._dtype = self._options["dtype"]
        self._gradient = gradient_class(self.wrt)
        self._quick = None, None
        _require_compiler()
        if self.stats["operations"] > LARGEST_COMPILED:
            raise UnsupportedExpression(
                f"{self.stats['operations']} operations are more than the {LARGEST_COMPILED} that are compiled for a "
                "GPU; the target 'cpu' takes them"
            )
        self._module = build.load(self.source, self._options["cache"])
        self._missing = device.no_device()
        if not self._missing:
            self._module.compile_kernels()
        self.stats["runs"] = "numba-cuda"

    @property
    def jitted(self) -> Any:
        """The device function of one point, callable from other `@cuda.jit` code: `(value, (derivatives...))`."""
        return getattr(self._module, self._options["name"])

    def ptx(self, cc: tuple[int, int] = (9, 0)) -> str:
        """The kernels as PTX for GPUs of compute capability `cc` (major, minor), one text after the other.

        Needs no GPU. A capability newer than the installed compiler becomes the newest that it knows; one that is too
        old for it raises ValueError.
        """
        return _ptx(self._module, cc)

    def __call__(self, *args: Any, out: Result | None = None, stream: Any = None, **by_name: Any) -> Result:
        values = self._ordered(args, by_name)
        _require_device(self._missing)
        names = [symbol.name for symbol in self.args]
        given = device.numba_stream(stream)
        derivatives = () if out is None else (out[1],) if self._single else tuple(out[1])
        outputs = [] if out is None else [out[0], *derivatives]
        on_device = any(map(device.is_on_device, [*values, *outputs]))
        arrays = [
            device.device_array(value, name, given)
            if device.is_on_device(value)
            else host.real_arrays([value], [name])[0]
            for value, name in zip(values, names, strict=True)
        ]
        try:
            shape = np.broadcast_shapes(*(tuple(array.shape) for array in arrays))
        except ValueError:
            shapes = ", ".join(f"{n} {tuple(a.shape)}" for n, a in zip(names, arrays, strict=True) if a.ndim)
            raise ShapeError(f"the arguments do not broadcast: {shapes}") from None
        count = 1 + len(self.wrt)
        if out is not None and len(outputs) != count:
            raise ValueError(f"out must hold a value and {count - 1} derivatives, not {len(outputs) - 1}")
        if not on_device:
            return self._from_host(arrays, outputs, shape, given)
        if out is None:
            outputs = device.new_outputs(count, shape, self._dtype, given)
        else:
            outputs = [device.output(array, shape, self._dtype, "out") for array in outputs]
            device.check_overlaps(outputs, [array for array in arrays if not isinstance(array, np.ndarray)])
        if outputs[0].size:
            device.fill_on_device(self._module.run_points, self._module.expand, arrays, outputs, given)
        return self._result(outputs[0], outputs[1:])

    value_and_grad = __call__

    def check(self, *args: Any, **by_name: Any) -> GradientCheck:
        """The gradient check at a point: see symgrad.kernel.check.GradientCheck."""
        return super().check(*map(device.on_host, self._ordered(args, by_name)))

    def _point(self, *args: Any) -> tuple[float, tuple[float, ...]]:
        """Value and derivatives at one point, for `check` and `objective`."""
        value, derivatives = self(*args)
        return value, (derivatives,) if self._single else derivatives

    def _from_host(self, arrays: Sequence[Any], outputs: list[Any], shape: tuple[int, ...], stream: Any) -> Result:
        single = not outputs and all(array.ndim == 0 for array in arrays)
        if outputs:
            host.check_outputs(outputs, shape, self._dtype)
            host.check_overlaps(outputs, arrays)
        else:
            outputs = host.new_outputs(1 + len(self.wrt), shape, self._dtype)
        if outputs[0].size:
            device.fill_from_host(self._module.run_points, arrays, outputs, stream)
        results = [float(array) for array in outputs] if single else outputs
        return self._result(results[0], results[1:])


class CudaArrayKernel(ArrayKernel):
    """A compiled value and gradient of an expression with arrays, for a GPU. Made by `symgrad.compile`.

    `kernel(*args, out=None, stream=None, **by_name)` returns `Result(value, grad)` as on the CPU: a float and arrays of
    NumPy. Where an argument is on the device, all results are, the value and derivatives by scalars as arrays without
    axes. A scalar that is on the device is copied to the host first. Products and solutions of matrices are done by
    CuPy: SymgradError by `compile` where that is missing.
    """

    def _load(self) -> None:
        _require_compiler()
        self._module = build.load(self.source, self._options["cache"])
        if self._module.NEEDS_CUPY and not device.has_cupy():
            raise SymgradError(
                "products and inverses of matrices on a GPU are done by CuPy: pip install cupy-cuda13x (or "
                "cupy-cuda12x); symgrad.emit prints the source without it"
            )
        self._missing = device.no_device()
        if not self._missing:
            self._module.compile_kernels()
        self._into = getattr(self._module, f"{self._options['name']}_into")
        self.stats["runs"] = "numba-cuda"

    @property
    def jitted(self) -> Any:
        """There is none: a function of whole arrays is several kernels, which the host launches."""
        raise SymgradError("on a GPU a function of whole arrays is several kernels: call this one from Python")

    def ptx(self, cc: tuple[int, int] = (9, 0)) -> str:
        """As of kernels over points: see CudaKernel.ptx."""
        return _ptx(self._module, cc)

    def __call__(self, *args: Any, out: Result | None = None, stream: Any = None, **by_name: Any) -> Result:
        values = self._ordered(args, by_name)
        _require_device(self._missing)
        given = device.numba_stream(stream)
        targets = [] if out is None else [out[0], *((out[1],) if self._single else out[1])]
        stays = any(map(device.is_on_device, [*values, *targets]))
        arrays = [self._argument(place, value, given) for place, value in enumerate(values)]
        if given and self._gather_checks:
            given.synchronize()  # the indices are read on the default stream
        shapes = self._shapes_of(arrays)
        wanted: list[tuple[int, ...]] = [(), *shapes.outputs]
        if out is not None and len(targets) != len(wanted):
            raise ValueError(f"out must hold {len(wanted) - 1} derivatives, not {len(targets) - 1}")
        if out is not None and not stays:
            self._outputs(arrays, shapes.outputs, out)  # refuses what cannot be written
        arrays = [device.to_device(array, given) if isinstance(array, np.ndarray) else array for array in arrays]
        outputs = self._device_outputs(arrays, wanted, targets if stays and targets else [None] * len(wanted), given)
        self._into(given, *arrays, *outputs)
        if stays:
            made = [a if shape else a.reshape(()) for a, shape in zip(outputs, wanted, strict=True)]
            kept = targets or [None] * len(made)
            results = [t if device.is_on_device(t) else a for t, a in zip(kept, made, strict=True)]
        else:
            results = self._from_device(outputs, wanted, targets, given)
        return self._result(results[0], results[1:])

    value_and_grad = __call__

    def _argument(self, place: int, value: Any, stream: Any) -> Any:
        """The argument as what the kernels take, on the host or on the device."""
        name, wanted = self._names[place], self._wanted[place]
        if not device.is_on_device(value):
            return self._input(place, value)
        array = device.device_array(value, name, stream)
        if not self._shapes[place] or wanted is None:
            host = array.copy_to_host(stream=stream)
            if stream:
                stream.synchronize()
            return self._input(place, host)
        if array.dtype == wanted and array.is_c_contiguous():
            return array
        if wanted.kind == "i":
            raise TypeError(f"{name} holds indices: on the device a C-contiguous array of int64 wanted")
        shape = tuple(array.shape)
        return device.on_device(self._module.expand, array, shape, wanted, stream).reshape(shape)

    def _device_outputs(
        self, arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]], targets: Sequence[Any], stream: Any
    ) -> list[Any]:
        """Arrays for the value and the derivatives: of numbers of one entry. `targets` that are there are used."""
        names = ["value", *(f"d_{self._names[place]}" for place in self.graph.wrt)]
        outputs = []
        for target, shape, name in zip(targets, shapes, names, strict=True):
            if target is None or not (shape or device.is_on_device(target)):
                outputs += device.new_outputs(1, shape or (1,), self._dtype, stream)
            else:
                outputs.append(device.output(target, shape, self._dtype, f"out: {name}").reshape(shape or (1,)))
        device.check_overlaps(outputs, [array for array in arrays if device.is_on_device(array)])
        return outputs

    def _from_device(
        self, outputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], targets: Sequence[Any], stream: Any
    ) -> list[Any]:
        """The results as numbers and arrays of NumPy, in the arrays of `targets` if there are any."""
        results = [array.copy_to_host(stream=stream) for array in outputs]
        if stream:
            stream.synchronize()
        for place, shape in enumerate(shapes):
            if not shape:
                results[place] = float(results[place][0])
            elif targets:
                targets[place][...] = results[place]
                results[place] = targets[place]
        return results

    def _index_range(self, values: Any) -> tuple[int, int]:
        if device.is_on_device(values):
            if values.is_c_contiguous():
                least, largest = self._module.index_range(values)
                return least, largest
            values = values.copy_to_host()
        return int(values.min()), int(values.max())

    def check(self, *args: Any, **by_name: Any) -> GradientCheck:
        """The gradient check at a point, for some entries of each input: see symgrad.kernel.check.GradientCheck."""
        return super().check(*map(self._on_host, self._ordered(args, by_name)))

    def _objective(self, fixed: dict[int, Any]) -> Objective:
        """What does not vary is copied to the device once."""
        _require_device(self._missing)
        held = {place: self._argument(place, value, 0) for place, value in fixed.items()}
        return super()._objective(
            {p: device.to_device(v, 0) if isinstance(v, np.ndarray) else v for p, v in held.items()}
        )

    def _on_host(self, array: Any) -> Any:
        return device.on_host(array)


def _require_compiler() -> None:
    """Raises SymgradError where kernels for GPUs cannot be compiled."""
    if not device.is_installed():
        raise SymgradError(
            f"the target 'cuda' needs numba-cuda: {device.HOW_TO_INSTALL}; symgrad.emit prints the source without it"
        )


def _require_device(missing: str) -> None:
    """Raises SymgradError where something is missing to run."""
    if missing:
        raise SymgradError(
            f"no GPU to run on: {missing}. The source and ptx() of this kernel need none; compile with target='cpu' "
            f"to run here, or install NVIDIA's driver and {device.HOW_TO_INSTALL}"
        )


def _ptx(module: Any, cc: tuple[int, int]) -> str:
    major, minor = cc
    try:
        text: str = module.ptx((int(major), int(minor)))
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"no PTX for compute capability {major}.{minor}: {error}") from None
    return text
