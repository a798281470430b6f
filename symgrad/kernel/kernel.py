"""The kernel: what `compile` returns, a callable that gives the value and all partial derivatives in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from html import escape
from typing import Any

import sympy

from ..emission import source_of
from ..explore.draw import Drawing, draw
from ..explore.latex import latex
from ..explore.trace import Trace
from ..explore.tracing import Setting, trace
from ..graph.graph import Graph
from ..result import Array, Result, gradient_class, new_tuple
from ..stats import Stats
from ..tables import Table
from .check import GradientCheck, check
from .check_arrays import check_arrays
from .compiled import Compiled
from .objective import Objective
from .runner import RUNNERS

# In a notebook: of a long list of symbols so many, and a source of at most so many characters.
_LISTED = 20
_LONGEST_SHOWN = 200_000


class Kernel:
    """A compiled value and gradient. Made by `symgrad.compile`.

    `kernel(*args, out=None, **by_name)` returns `Result(value, grad)`. Plain numbers give Python floats; arrays follow
    NumPy's broadcasting and give arrays: the value and each derivative at every point. Raises TypeError for what is not
    real, ShapeError for arrays that do not broadcast, ValueError for an `out` that cannot be written.

    Where inputs are arrays by declaration the value is a float, and each derivative an array of the shape of its input
    (a float for a number). ShapeError where extents do not agree, IndexError where an index expression runs outside of
    an array, numpy.linalg.LinAlgError for a singular matrix, all before anything is written (a singular matrix shows on
    the way: what is in `out` is then of no use).

    A number beside arrays takes an array of any shape, and with `batch=True` arrays take axes in front of their own:
    these broadcast against each other, and the value and every derivative have the shape of this batch in front. An
    extent is one number for the whole batch.

    For `target="cuda"` there is `stream=`: one of Numba, CuPy, PyTorch or cuda.core, or its address. Where an argument
    is on the device (anything with the CUDA array interface or DLPack: CuPy, PyTorch, Numba, JAX), so are all results:
    arrays of Numba, which these libraries take without a copy, ready in the order of the stream; the value and
    derivatives by numbers as arrays without axes. SymgradError at the call where there is no GPU; `source` and `ptx`
    need none.

    A pickle of a kernel holds its source, which is run when it is unpickled: as with any pickle, read none from whom
    you would not run a program. It holds a checksum as well: a damaged one raises SymgradError.
    """

    def __init__(self, compiled: Compiled) -> None:
        self.args: tuple[sympy.Symbol, ...] = compiled.args
        self.wrt: tuple[sympy.Symbol, ...] = compiled.wrt
        self.graph: Graph = compiled.graph
        self.stats: Stats = compiled.stats
        self._compiled = compiled
        self._runner = RUNNERS[compiled.options.target](compiled)
        self._gradient = gradient_class(compiled.wrt)
        # What the quick way of a call needs: the function of one point, and the class of its gradients.
        self._quick = self._runner.point, None if compiled.is_single else self._gradient

    @cached_property
    def source(self) -> str:
        """The source that runs, in Numba's Python."""
        record = self._compiled
        return record.source or source_of(record.graph, record.definition, record.options, record.stats)

    @property
    def jitted(self) -> Any:
        """The Numba function, callable from other `@njit` (`@cuda.jit`) code: `(value, (derivatives...))`.

        Of one point, or of whole arrays where inputs are arrays. Raises SymgradError where there is none: where the
        reference evaluator runs, and over arrays on a GPU.
        """
        return self._runner.jitted

    def ptx(self, cc: tuple[int, int] = (9, 0)) -> str:
        """The kernels as PTX for GPUs of compute capability `cc` (major, minor), one text after the other.

        Needs no GPU. A capability newer than the installed compiler becomes the newest that it knows; one that is too
        old for it raises ValueError. SymgradError for a kernel that runs on the CPU.
        """
        return self._runner.ptx(cc)

    def __call__(self, *args: Any, out: Result | None = None, **by_name: Any) -> Result:
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
            else:  # as _result does it, without its calls
                return new_tuple(
                    Result, (value, new_tuple(gradient, derivatives) if gradient is not None else derivatives[0])
                )
        runner = self._runner
        if not by_name and len(args) == len(self.args):
            return self._result(runner.run(args, out))
        more = {name: by_name.pop(name) for name in runner.keywords & by_name.keys()}
        return self._result(runner.run(runner.arguments.ordered(args, by_name), out, **more))

    value_and_grad = __call__

    def value(self, *args: Any, **by_name: Any) -> Any:
        """The value alone; costs what value and gradient cost."""
        return self(*args, **by_name).value

    def grad(self, *args: Any, **by_name: Any) -> Any:
        """The gradient alone; costs what value and gradient cost."""
        return self(*args, **by_name).grad

    def _result(self, results: Sequence[Any]) -> Result:
        return Result(results[0], results[1] if self._compiled.is_single else self._gradient(results[1:]))

    # --- beside the call ----------------------------------------------------------------------------------------------

    def objective(self, fixed: Mapping[Any, Any] | None = None, **by_name: Any) -> Objective:
        """A callable of one flat float64 vector for scipy.optimize: returns (value, flat gradient).

        `fixed` (symbols or names) and keywords hold the inputs that do not vary; all others must be in `wrt`.
        """
        position = self._runner.arguments.position
        given = {position(key): value for key, value in {**(fixed or {}), **by_name}.items()}
        return Objective(self._compiled, self._runner, given)

    def check(self, *args: Any, **by_name: Any) -> GradientCheck:
        """The gradient check at a point, of arrays for some entries of each: see symgrad.kernel.check.GradientCheck."""
        judge = check_arrays if self._compiled.has_arrays else check
        return judge(self._setting(args, by_name, "a check"), self._compiled.definition, self._runner.evaluate)

    def trace(self, *args: Any, level: str = "gates", **by_name: Any) -> Trace:
        """Every gate at a point: value, local gradients, upstream gradient, troubles: a symgrad.explore.trace.Trace.

        level  "gates": as it is compiled, the logistic function and its like each one gate; "elementary": as it is
               written, in gates of one and two arguments; "entries": as "gates", small arrays written out

        Raises SymgradError where the arrays of all gates together would not fit in memory.
        """
        return trace(self._setting(args, by_name), level)

    def draw(
        self,
        *args: Any,
        level: str = "gates",
        nearest: int | None = None,
        through: str | None = None,
        **by_name: Any,
    ) -> Drawing:
        """The circuit at a point as a picture: see symgrad.explore.draw.Drawing.

        level    as for `trace`
        nearest  draw only so many gates, those nearest to the value
        through  draw only the ways from the input of that name

        Raises SymgradError where more than 120 gates and inputs are left: nobody could read them.
        """
        return draw(self._setting(args, by_name), level, nearest, through)

    def _setting(self, args: tuple[Any, ...], by_name: Mapping[str, Any], what: str = "a trace") -> Setting:
        """The point at which the circuit is looked at, on the host."""
        record, arguments = self._compiled, self._runner.arguments
        point = arguments.one_point(arguments.ordered(args, by_name), what)
        sizes = arguments.shapes_of(point).sizes if record.has_arrays else {}
        return Setting(record.written, record.graph, record.options.dtype, point, sizes, self._gradient)

    def __repr__(self) -> str:
        wrt = ", ".join(symbol.name for symbol in self.wrt)
        call, dtype = self._runner.arguments.signature(), self._compiled.options.dtype
        return f"<symgrad kernel {call}, gradient by ({wrt}), {dtype}, {self.stats['runs']}>"

    def _repr_latex_(self) -> str | None:
        """The formula in a notebook; None where it is too long to be read."""
        formula = latex(self._compiled.written or self._compiled.definition)
        return None if formula is None else f"$\\displaystyle {formula}$"

    def _repr_html_(self) -> str | None:
        """The kernel in a few lines, where its formula is too long to be read; else None.

        Notebooks prefer HTML to LaTeX, and not all of them typeset TeX that stands in HTML.
        """
        if self._repr_latex_() is not None:
            return None
        table = self._facts().html()
        if self._compiled.source is None or len(self.source) > _LONGEST_SHOWN:
            return table
        return f"{table}\n<details><summary>source</summary><pre>{escape(self.source)}</pre></details>"

    def _facts(self) -> Table:
        """The kernel in a few lines."""

        def listed(symbols: Sequence[sympy.Symbol]) -> str:
            names = ", ".join(symbol.name for symbol in symbols[:_LISTED])
            return names + (f", ... ({len(symbols):,} in all)" if len(symbols) > _LISTED else "")

        rows = [
            ("arguments", listed(self.args)),
            ("gradient by", listed(self.wrt)),
            ("operations", f"{self.stats['operations_value']:,}; {self.stats['operations']:,} with the gradient"),
            ("runs", f"{self.stats['runs']}, {self._compiled.options.dtype}"),
        ]
        return Table(("", ""), rows, self._compiled.options.name, left=frozenset((0, 1)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Kernel, (replace(self._compiled, stats=deepcopy(self.stats)),)
