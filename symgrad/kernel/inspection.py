"""What one looks at a kernel with: checks, traces and drawings at a point, and how it shows itself.

What looks into a kernel is imported where it is asked for: `import symgrad` does without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..emission import body_of, source_of
from ..errors import SymgradError
from .compiled import Compiled
from .derived import spread
from .display import in_a_few_lines, in_a_line, in_latex
from .one_number import one_number
from .runner import Runner
from .sparsity import SparsityPattern

if TYPE_CHECKING:
    from ..explore.draw import Drawing
    from ..explore.trace import Trace
    from ..explore.tracing import Setting
    from .check import DerivativeCheck, GradientCheck


class Inspection:
    """What a kernel has beside its call: nothing here runs it, but for what is checked."""

    def __init__(self, compiled: Compiled, runner: Runner) -> None:
        self._compiled, self._runner = compiled, runner

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

    def check(self, *args: Any, **by_name: Any) -> GradientCheck | DerivativeCheck:
        """The gradient check at a point, of arrays for some entries of each; of a Jacobian column by column.

        Args:
            *args: The inputs at one point, in order.
            **by_name: Inputs by name, in the place of those by position.

        Returns:
            The check: truthy when all is well, prints as a table.

        Raises:
            TypeError: An input is missing, given twice or unknown, or more than one point is given.
        """
        from .check import check

        record = self._compiled
        wrt = [record.args.index(symbol) for symbol in record.wrt]
        setting = self._setting(args, by_name, "a check")
        evaluate = self._runner.evaluate if record.graph.pattern is None else self._with_matrix
        return check(setting, record.definition, evaluate, record.derivative, wrt)

    def _with_matrix(self, values: Sequence[Any]) -> list[Any]:
        """The outputs at one instance, with a sparse matrix as a call returns it."""
        from .checked import with_matrix

        record, runner = self._compiled, self._runner
        found, result = runner.evaluate(values), runner.run(values, None)
        return with_matrix(found, result, record.graph, record.options.symmetric == "lower")

    def pattern(self, *args: Any, **by_name: Any) -> SparsityPattern:
        """Where the entries of a sparse Jacobian or Hessian are, without their values.

        It depends on extents and on inputs of integers alone, and is found once for these.

        Args:
            *args: As for the call of the kernel.
            **by_name: As for the call of the kernel.

        Returns:
            The pattern, whose arrays are those of the matrices that calls return.

        Raises:
            SymgradError: The kernel was compiled without `sparse`, or has no Jacobian or Hessian.
            TypeError: An input is missing, given twice or unknown, or is not real.
            ShapeError: Extents do not agree, or there is a batch.
            IndexError: An index expression runs outside of an array.
            MemoryError: The pattern would be larger than the memory of this machine.
        """
        record = self._compiled
        if record.results.storage is None:
            raise SymgradError("this kernel has no sparse result: compile it with sparse='csr', 'csc' or 'coo'")
        values = self._runner.arguments.ordered(args, by_name) if record.given is None else spread(record, args)
        return self._runner.matrix(values)

    def trace(
        self,
        *args: Any,
        level: str = "gates",
        output: str | int | None = None,
        derivative: str | None = None,
        **by_name: Any,
    ) -> Trace:
        """Every gate at a point: value, local gradients, upstream gradient, troubles.

        Args:
            *args: The inputs at one point, in order.
            level: "gates": as it is compiled, the logistic function and its like each one gate; "elementary": as it is
                written, in gates of one and two arguments; "entries": as "gates", small arrays written out.
            output: Of several outputs the one that is traced, a number: its name or its position; the first by default.
                Of one that is an array an entry: "f[0, 2]".
            derivative: An input, or an entry of one such as "w[2]": what is traced is the derivative of the output by
                it, an entry of the Jacobian, and its gradient is a row of the Hessian.
            **by_name: Inputs by name, in the place of those by position.

        Returns:
            The trace, which prints as a table.

        Raises:
            SymgradError: The arrays of all gates together would not fit in memory; or the kernel was unpickled, and has
                lost gates made by `symgrad.gate`.
            ValueError: `level` is none of these, `output` is no number among the outputs, or `derivative` no input that
                is differentiated for.
            TypeError: An input is missing, given twice or unknown, or more than one point is given.
        """
        from ..explore.tracing import trace

        return trace(self._setting_of(output, derivative, args, by_name), level)

    def draw(
        self,
        *args: Any,
        level: str = "gates",
        nearest: int | None = None,
        through: str | None = None,
        output: str | int | None = None,
        derivative: str | None = None,
        **by_name: Any,
    ) -> Drawing:
        """The circuit at a point as a picture.

        Args:
            *args: The inputs at one point, in order.
            level: As for `trace`.
            nearest: Draw only so many gates, those nearest to the value.
            through: Draw only the ways from the input of that name.
            output: As for `trace`.
            derivative: As for `trace`.
            **by_name: Inputs by name, in the place of those by position.

        Returns:
            The drawing, which Jupyter shows and `save` writes to a file.

        Raises:
            SymgradError: More than 120 gates and inputs are left: nobody could read them; or as for `trace`.
            ValueError: `level` is none of those, `nearest` no number of gates, `through` no input, or `output` or
                `derivative` none.
            TypeError: An input is missing, given twice or unknown, or more than one point is given.
        """
        from ..explore.draw import draw

        return draw(self._setting_of(output, derivative, args, by_name), level, nearest, through)

    def _setting(self, args: tuple[Any, ...], by_name: Mapping[str, Any], what: str = "a trace") -> Setting:
        """The point at which the circuit is looked at, on the host."""
        from ..explore.tracing import Setting

        record, arguments = self._compiled, self._runner.arguments
        values = arguments.ordered(args, by_name) if record.given is None else spread(record, args)
        point = arguments.one_point(values, what)
        sizes = arguments.shapes_of(point).sizes if record.has_arrays else {}
        return Setting(record.written, record.graph, record.options.dtype, point, sizes, record.gradient)

    def _setting_of(
        self, output: str | int | None, derivative: str | None, args: tuple[Any, ...], by_name: Mapping[str, Any]
    ) -> Setting:
        """The same for a circuit of one number, with its gradient."""
        setting, own = self._setting(args, by_name), self._compiled
        if own.derivative == "gradient" and output is None and derivative is None:
            return setting
        written, graph, name = one_number(own, output, derivative, setting.sizes)
        return setting._replace(written=written, compiled=graph, name=name)

    def __str__(self) -> str:
        """What `print` shows: the part of the source that is about the mathematics."""
        own = self._compiled
        return body_of(own.graph, own.definition, own.options)

    def __repr__(self) -> str:
        return in_a_line(self._compiled)

    def _repr_latex_(self) -> str | None:
        """The formulas in a notebook; None where they are too long to be read."""
        return in_latex(self._compiled)

    def _repr_html_(self) -> str | None:
        """The kernel in a few lines, where its formulas are too long to be read; else None."""
        # Notebooks prefer HTML to LaTeX, and not all of them typeset TeX that stands in HTML.
        return in_a_few_lines(self._compiled) if self._repr_latex_() is None else None
