"""The kernel: what `compile` returns, a callable that gives the value and all partial derivatives in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import Any

import sympy

from ..graph.graph import Graph
from ..result import Array, Result, new_tuple
from ..stats import Stats
from ..transform.derive import Derivative
from .compiled import Compiled
from .derived import derived, spread
from .inspection import Inspection
from .objective import Objective
from .runner import RUNNERS


class Kernel(Inspection):
    """A compiled value and gradient. Made by `symgrad.compile`, called with the inputs.

    Where inputs are numbers the kernel runs over points: arrays follow NumPy's broadcasting. Where inputs are arrays by
    declaration it runs over these. A number beside arrays takes an array of any shape, and with `batch=True` arrays
    take axes in front of their own: these broadcast against each other. An extent is one number for the whole batch.

    A pickle of a kernel holds its source, which is run when it is unpickled: as with any pickle, read none from whom
    you would not run a program. It holds a checksum as well: a damaged one raises SymgradError.

    Attributes:
        args: The inputs, as symbols, in order.
        wrt: The inputs that are differentiated for, as symbols, in order.
        graph: The graph that runs, simplified, of value and gradients.
        stats: How large the kernel is, how it runs, and how long it took to make.
    """

    def __init__(self, compiled: Compiled) -> None:
        self.args: tuple[sympy.Symbol, ...] = compiled.args
        self.wrt: tuple[sympy.Symbol, ...] = compiled.wrt
        self.graph: Graph = compiled.graph
        self.stats: Stats = compiled.stats
        super().__init__(compiled, RUNNERS[compiled.options.target](compiled))
        # What the quick way of a call needs: the function of one point, and the class of its gradients if it has one.
        gradient = compiled.gradient if compiled.results.is_quick else None
        point = self._runner.point if compiled.given is None else None
        self._quick = point, gradient

    def __call__(self, *args: Any, out: Any = None, **by_name: Any) -> Any:
        """Values and derivatives at a point, or at many.

        Args:
            *args: The inputs, in order. For `target="cuda"` also what is on the device: anything with the CUDA array
                interface or DLPack (CuPy, PyTorch, Numba, JAX).
            out: Where the results are written: what a call returns, of arrays of the shapes and dtype of the results.
            **by_name: Inputs by name, in the place of those by position. For `target="cuda"` also `stream`: one of
                Numba, CuPy, PyTorch or cuda.core, or its address.

        Returns:
            `(value, grad)`; of a Jacobian `(value, jacobian)`, of a Hessian `(value, grad, hessian)`, with
            `derivative=None` the bare value: see `JacobianResult` and `HessianResult`. Plain numbers give Python
            floats; arrays of points give arrays, the value and each derivative at every point. Where inputs are arrays
            by declaration the value is a float, and each derivative an array of the shape of its input (a float for a
            number), all with the shape of the batch in front where there is one. Where an argument is on the device, so
            are all results: arrays of Numba, which these libraries take without a copy, ready in the order of the
            stream; the value and derivatives by numbers as arrays without axes.

        Raises:
            TypeError: An input is missing, given twice or unknown, or is not real.
            ShapeError: Arrays do not broadcast, or extents do not agree.
            IndexError: An index expression runs outside of an array.
            numpy.linalg.LinAlgError: A matrix is singular. Unlike with all other errors, parts of `out` may have been
                written and are of no use.
            ValueError: `out` cannot be written.
            SymgradError: There is no GPU, of a kernel for `target="cuda"`; its `source` and `ptx` need none.
        """
        # The quick way, of a single point. Arrays would be refused there as well, but that takes Numba 0.1 ms.
        point, gradient = self._quick
        if (
            point is not None
            and out is None
            and not by_name
            and args
            and type(args[0]) is not Array
            and type(args[-1]) is not Array
        ):
            try:
                value, derivatives = point(*args)
            except (TypeError, ValueError, OverflowError):
                pass  # no plain numbers: the way below says what is wrong, or takes them
            else:
                if gradient is not None:  # as `at_point` does it, without its calls
                    return new_tuple(Result, (value, new_tuple(gradient, derivatives)))
                return self._runner.at_point(value, derivatives)
        runner = self._runner
        if self._compiled.given is not None:
            args = tuple(spread(self._compiled, args))
        if not by_name and len(args) == len(self.args):
            return runner.run(args, out)
        more = {name: by_name.pop(name) for name in runner.keywords & by_name.keys()}
        return runner.run(runner.arguments.ordered(args, by_name), out, **more)

    value_and_grad = __call__
    """The call itself, by name."""

    def value(self, *args: Any, **by_name: Any) -> Any:
        """The value alone; costs what values and derivatives cost: compile with `derivative=None` for values only.

        Args:
            *args: As for the call of a kernel.
            **by_name: As for the call of a kernel.

        Returns:
            The value: a float, or an array; of several expressions in their structure.
        """
        found = self(*args, **by_name)
        return found if self._compiled.derivative is None else found.value

    def named(self, result: Any) -> list[tuple[str, Any]]:
        """Every number or array of a result with its name: of a Jacobian and a Hessian of numbers each entry.

        Args:
            result: What a call of the kernel has returned at one point.

        Returns:
            Pairs of a name and a number or array: values by their names, derivatives as d_x, d_f_x or d_x_y. What is
            in a sparse matrix of arrays is named by its pattern: `kernel.pattern(...).named(matrix.data)`.
        """
        return list(self._compiled.results.named(result))

    def grad(self, *args: Any, **by_name: Any) -> Any:
        """The gradient alone; costs what value and gradient cost.

        Args:
            *args: As for the call of a kernel.
            **by_name: As for the call of a kernel.

        Returns:
            The partial derivatives as a `Gradient`; or, where `wrt` was one symbol, the derivative by it.

        Raises:
            TypeError: The kernel has no gradient, but a Jacobian or values alone.
        """
        derivative = self._compiled.derivative
        if derivative not in ("gradient", "hessian"):
            has = "values alone" if derivative is None else f"a {derivative}"
            raise TypeError(f"this kernel returns {has}, and no gradient")
        return self(*args, **by_name).grad

    # --- kernels made of this one: each at its first access -----------------------------------------------------------

    @cached_property
    def jacobian(self) -> Kernel:
        """`kernel.jacobian(point)`: values and Jacobian, `point` a tuple or dict of the arguments."""
        return Kernel(derived(self._compiled, "jacobian"))

    @cached_property
    def hessian(self) -> Kernel:
        """`kernel.hessian(point)`: value, gradient and Hessian, `point` a tuple or dict of the arguments."""
        return Kernel(derived(self._compiled, "hessian"))

    @cached_property
    def jvp(self) -> Kernel:
        """`kernel.jvp(point, tangents)`: values, and the Jacobian times tangents, which is never formed.

        `tangents` are a tuple or dict with one for each of `wrt`, of its shape; of numbers a vector as well.
        """
        return Kernel(derived(self._compiled, "jvp"))

    @cached_property
    def vjp(self) -> Kernel:
        """`kernel.vjp(point, cotangents)`: values, and cotangents times the Jacobian, which is never formed.

        `cotangents` have the structure and the shapes of the values.
        """
        return Kernel(derived(self._compiled, "vjp"))

    @cached_property
    def hvp(self) -> Kernel:
        """`kernel.hvp(point, v)`: the value, and the Hessian times `v`, which is never formed; `v` as in `jvp`."""
        return Kernel(derived(self._compiled, "hvp"))

    @cached_property
    def weighted_hessian(self) -> Kernel:
        """`kernel.weighted_hessian(point, weights)`: the sparse Hessian of the sum of all values times weights.

        It is that of a Lagrangian, which solvers of nonlinear programs want. `weights` have the structure and the
        shapes of the values; what comes back is the matrix alone, of a kernel that was compiled with `sparse`.
        """
        return Kernel(derived(self._compiled, "weighted_hessian"))

    def _made(self, derivative: Derivative, **options: Any) -> Kernel:
        """Another derivative of the same expressions, with some options changed."""
        own = replace(self._compiled, options=replace(self._compiled.options, **options))
        return Kernel(derived(own, derivative))

    # --- beside the call ----------------------------------------------------------------------------------------------

    def objective(self, fixed: Mapping[Any, Any] | None = None, **by_name: Any) -> Objective:
        """A callable of one flat float64 vector for scipy.optimize.

        Args:
            fixed: Values of the inputs that do not vary, by symbol or name; all others must be in `wrt`.
            **by_name: More of them, by name.

        Returns:
            The callable, which returns (value, flat gradient).

        Raises:
            ValueError: An input that varies is not in `wrt`.
            TypeError: The kernel is not one of a number and its gradient.
        """
        if self._compiled.derivative != "gradient":
            raise TypeError("an objective is of one number with its gradient: compile it with derivative='gradient'")
        position = self._runner.arguments.position
        given = {position(key): value for key, value in {**(fixed or {}), **by_name}.items()}
        # One symbol in `wrt` is like a sequence of one here.
        plain = Kernel(replace(self._compiled, is_single=False)) if self._compiled.is_single else self
        return Objective(self._compiled, self._runner, given, lambda: plain.hessian, lambda: plain.hvp)

    def __reduce__(self) -> tuple[Any, ...]:
        return Kernel, (replace(self._compiled, stats=deepcopy(self.stats)),)
