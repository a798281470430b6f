"""Kernels on a GPU: the same calls as on the CPU, on arrays of NumPy and on arrays that are on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from symgrad_codegen import build, run, run_cuda

from .array_kernel import ArrayKernel
from .errors import ShapeError, SymgradError, UnsupportedExpression
from .kernel import LARGEST_COMPILED, Kernel, Result, gradient_class


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
        self._missing = run_cuda.no_device()
        if not self._missing:
            self._module.compile_kernels()
        self.stats["runs"] = "numba-cuda"

    @property
    def jitted(self) -> Any:
        """The device function of one point, callable from other `@cuda.jit` code: `(value, (derivatives...))`."""
        return getattr(self._module, self._options["name"])

    def ptx(self, cc: tuple[int, int] = (9, 0)) -> str:
        """The kernels as PTX for GPUs of compute capability `cc` (major, minor), one text after the other.

        Needs no GPU. Raises ValueError for a capability that the installed compiler does not know.
        """
        return _ptx(self._module, cc)

    def __call__(self, *args: Any, out: Result | None = None, stream: Any = None, **by_name: Any) -> Result:
        values = self._ordered(args, by_name)
        _require_device(self._missing)
        names = [symbol.name for symbol in self.args]
        given = run_cuda.numba_stream(stream)
        derivatives = () if out is None else (out[1],) if self._single else tuple(out[1])
        outputs = [] if out is None else [out[0], *derivatives]
        on_device = any(map(run_cuda.is_on_device, [*values, *outputs]))
        arrays = [
            run_cuda.device_array(value, name, given)
            if run_cuda.is_on_device(value)
            else run.real_arrays([value], [name])[0]
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
            outputs = run_cuda.new_outputs(count, shape, self._dtype, given)
        else:
            outputs = [run_cuda.output(array, shape, self._dtype, "out") for array in outputs]
            run_cuda.check_overlaps(outputs, [array for array in arrays if not isinstance(array, np.ndarray)])
        if outputs[0].size:
            run_cuda.fill_on_device(self._module.run_points, self._module.expand, arrays, outputs, given)
        return self._result(outputs[0], outputs[1:])

    value_and_grad = __call__

    def _point(self, *args: Any) -> tuple[float, tuple[float, ...]]:
        """Value and derivatives at one point, for `check` and `objective`."""
        value, derivatives = self(*args)
        return value, (derivatives,) if self._single else derivatives

    def _from_host(self, arrays: Sequence[Any], outputs: list[Any], shape: tuple[int, ...], stream: Any) -> Result:
        single = not outputs and all(array.ndim == 0 for array in arrays)
        if outputs:
            run.check_outputs(outputs, shape, self._dtype)
            run.check_overlaps(outputs, arrays)
        else:
            outputs = run.new_outputs(1 + len(self.wrt), shape, self._dtype)
        if outputs[0].size:
            run_cuda.fill_from_host(self._module.run_points, arrays, outputs, stream)
        results = [float(array) for array in outputs] if single else outputs
        return self._result(results[0], results[1:])


class CudaArrayKernel(ArrayKernel):
    """later"""


def _require_compiler() -> None:
    if not run_cuda.is_installed():
        raise SymgradError(
            f"the target 'cuda' needs numba-cuda: {run_cuda.HOW_TO_INSTALL}; symgrad.emit prints the source without it"
        )


def _require_device(missing: str) -> None:
    if missing:
        raise SymgradError(
            f"no GPU to run on: {missing}. The source and ptx() of this kernel need none; compile with target='cpu' "
            f"to run here, or install NVIDIA's driver and {run_cuda.HOW_TO_INSTALL}"
        )


def _ptx(module: Any, cc: tuple[int, int]) -> str:
    major, minor = cc
    try:
        text: str = module.ptx((int(major), int(minor)))
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"no PTX for compute capability {major}.{minor}: {error}") from None
    return text
