"""The kernel: what `compile` returns, a callable that gives the value and all partial derivatives in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sympy

from ..emission import body_of, source_of
from ..graph.graph import Graph
from ..result import Array, Result, new_tuple
from ..stats import Stats
from .compiled import Compiled
from .display import in_a_few_lines, in_a_line, in_latex
from .objective import Objective
from .runner import RUNNERS, Runner

if TYPE_CHECKING:
    from ..explore.draw import Drawing
    from ..explore.trace import Trace
    from ..explore.tracing import Setting
    from .check import GradientCheck

# What looks into a kernel is imported where it is asked for: `import symgrad` does without.


class Kernel:
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
        self._compiled = compiled
        self._runner = RUNNERS[compiled.options.target](compiled)
        # What the quick way of a call needs: the function of one point, and the class of its gradients.
        self._quick = self._runner.point, None if compiled.is_single else compiled.gradient

    @cached_property
    def source(self) -> str:
        """The source that runs, in Numba's Python."""
        record = self._compiled
        return record.source or source_of(record.graph, record.definition, record.options, record.stats)

    @property
    def jitted(self) -> Any:
        """The Numba function, callable from other `@njit` (`@cuda.jit`) code: `(value, (derivatives...))`.

        Of one point, or of whole arrays where inputs are arrays.

        Raises:
            SymgradError: There is none: the reference evaluator runs, or the kernel is one over arrays on a GPU.
        """
        return self._runner.jitted

    def ptx(self, cc: tuple[int, int] = (9, 0)) -> str:
        """The kernels as PTX. Needs no GPU.

        Args:
            cc: The compute capability of the GPUs, (major, minor); one that is newer than the installed compiler
                becomes the newest that it knows.

        Returns:
            The text of each kernel, one after the other.

        Raises:
            SymgradError: The kernel runs on the CPU.
            ValueError: The compute capability is too old for the compiler.
        """
        return self._runner.ptx(cc)

    def __call__(self, *args: Any, out: Result | None = None, **by_name: Any) -> Result:
        """Value and gradient at a point, or at many.

        Args:
            *args: The inputs, in order. For `target="cuda"` also what is on the device: anything with the CUDA array
                interface or DLPack (CuPy, PyTorch, Numba, JAX).
            out: Where the results are written: arrays for the value and for each derivative, of the shapes and dtype of
                the results.
            **by_name: Inputs by name, in the place of those by position. For `target="cuda"` also `stream`: one of
                Numba, CuPy, PyTorch or cuda.core, or its address.

        Returns:
            `(value, grad)`. Plain numbers give Python floats; arrays of points give arrays, the value and each
            derivative at every point. Where inputs are arrays by declaration the value is a float, and each derivative
            an array of the shape of its input (a float for a number), all with the shape of the batch in front where
            there is one. Where an argument is on the device, so are all results: arrays of Numba, which these libraries
            take without a copy, ready in the order of the stream; the value and derivatives by numbers as arrays
            without axes.

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
            else:  # as Compiled.result does it, without its calls
                return new_tuple(
                    Result, (value, new_tuple(gradient, derivatives) if gradient is not None else derivatives[0])
                )
        runner = self._runner
        if not by_name and len(args) == len(self.args):
            return self._compiled.result(runner.run(args, out))
        more = {name: by_name.pop(name) for name in runner.keywords & by_name.keys()}
        return self._compiled.result(runner.run(runner.arguments.ordered(args, by_name), out, **more))

    value_and_grad = __call__
    """The call itself, by name."""

    def value(self, *args: Any, **by_name: Any) -> Any:
        """The value alone; costs what value and gradient cost.

        Args:
            *args: As for the call of a kernel.
            **by_name: As for the call of a kernel.

        Returns:
            The value: a float, or an array.
        """
        return self(*args, **by_name).value

    def grad(self, *args: Any, **by_name: Any) -> Any:
        """The gradient alone; costs what value and gradient cost.

        Args:
            *args: As for the call of a kernel.
            **by_name: As for the call of a kernel.

        Returns:
            The partial derivatives as a `Gradient`; or, where `wrt` was one symbol, the derivative by it.
        """
        return self(*args, **by_name).grad

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
        """
        position = self._runner.arguments.position
        given = {position(key): value for key, value in {**(fixed or {}), **by_name}.items()}
        return Objective(self._compiled, self._runner, given)

    def check(self, *args: Any, **by_name: Any) -> GradientCheck:
        """The gradient check at a point, of arrays for some entries of each.

        Args:
            *args: The inputs at one point, in order.
            **by_name: Inputs by name, in the place of those by position.

        Returns:
            The check: truthy when all is well, prints as a table.

        Raises:
            TypeError: An input is missing, given twice or unknown, or more than one point is given.
        """
        from .check import check

        return check(
            _setting(self._compiled, self._runner, args, by_name, "a check"),
            self._compiled.definition,
            self._runner.evaluate,
        )

    def trace(self, *args: Any, level: str = "gates", **by_name: Any) -> Trace:
        """Every gate at a point: value, local gradients, upstream gradient, troubles.

        Args:
            *args: The inputs at one point, in order.
            level: "gates": as it is compiled, the logistic function and its like each one gate; "elementary": as it is
                written, in gates of one and two arguments; "entries": as "gates", small arrays written out.
            **by_name: Inputs by name, in the place of those by position.

        Returns:
            The trace, which prints as a table.

        Raises:
            SymgradError: The arrays of all gates together would not fit in memory; or the kernel was unpickled, and has
                lost gates made by `symgrad.gate`.
            ValueError: `level` is none of these.
            TypeError: An input is missing, given twice or unknown, or more than one point is given.
        """
        from ..explore.tracing import trace

        return trace(_setting(self._compiled, self._runner, args, by_name), level)

    def draw(
        self,
        *args: Any,
        level: str = "gates",
        nearest: int | None = None,
        through: str | None = None,
        **by_name: Any,
    ) -> Drawing:
        """The circuit at a point as a picture.

        Args:
            *args: The inputs at one point, in order.
            level: As for `trace`.
            nearest: Draw only so many gates, those nearest to the value.
            through: Draw only the ways from the input of that name.
            **by_name: Inputs by name, in the place of those by position.

        Returns:
            The drawing, which Jupyter shows and `save` writes to a file.

        Raises:
            SymgradError: More than 120 gates and inputs are left: nobody could read them; or as for `trace`.
            ValueError: `level` is none of those, `nearest` no number of gates, or `through` no input.
            TypeError: An input is missing, given twice or unknown, or more than one point is given.
        """
        from ..explore.draw import draw

        return draw(_setting(self._compiled, self._runner, args, by_name), level, nearest, through)

    def __str__(self) -> str:
        """What `print` shows: the part of the source that is about the mathematics."""
        own = self._compiled
        return body_of(own.graph, own.definition, own.options)

    def __repr__(self) -> str:
        return in_a_line(self._compiled)

    def _repr_latex_(self) -> str | None:
        """The formula in a notebook; None where it is too long to be read."""
        return in_latex(self._compiled)

    def _repr_html_(self) -> str | None:
        """The kernel in a few lines, where its formula is too long to be read; else None."""
        # Notebooks prefer HTML to LaTeX, and not all of them typeset TeX that stands in HTML.
        return in_a_few_lines(self._compiled) if self._repr_latex_() is None else None

    def __reduce__(self) -> tuple[Any, ...]:
        return Kernel, (replace(self._compiled, stats=deepcopy(self.stats)),)


def _setting(
    compiled: Compiled, runner: Runner, args: tuple[Any, ...], by_name: Mapping[str, Any], what: str = "a trace"
) -> Setting:
    """The point at which the circuit is looked at, on the host."""
    from ..explore.tracing import Setting

    point = runner.arguments.one_point(runner.arguments.ordered(args, by_name), what)
    sizes = runner.arguments.shapes_of(point).sizes if compiled.has_arrays else {}
    return Setting(compiled.written, compiled.graph, compiled.options.dtype, point, sizes, compiled.gradient)
