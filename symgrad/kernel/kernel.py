"""The kernel: what `compile` returns, a callable that gives the value and all partial derivatives in one pass."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import sympy
from symgrad_codegen.run import build, host

from ..emission import source_of
from ..errors import ShapeError, SymgradError
from ..evaluate.points import evaluate
from ..explore.draw import Drawing, draw
from ..explore.latex import latex
from ..explore.trace import Trace
from ..explore.tracing import Setting, trace
from ..gates.table import GATES
from ..graph.graph import Graph
from ..graph.rows import graph_of, rows_of
from ..result import Array, Result, by_name, gradient_class, new_tuple
from ..tables import Table
from .check import GradientCheck, check

# A body beyond this many operations would keep Numba busy for more than about half a minute.
LARGEST_COMPILED = 6000
# Points that the reference evaluator holds at a time.
_REFERENCE_POINTS = 1024
# In a notebook: of a long list of symbols so many, and a source of at most so many characters.
_LISTED = 20
_LONGEST_SHOWN = 200_000


def one_point(names: Sequence[str], values: Sequence[Any], what: str) -> list[float]:
    """The inputs as numbers. TypeError where one is an array, or no real number."""
    for name, value in zip(names, values, strict=True):
        if np.ndim(value):
            raise TypeError(f"{name} is an array of shape {np.shape(value)}: {what} is of one point")
        if isinstance(value, (complex, np.complexfloating)):
            raise TypeError(f"{name} is complex: real numbers wanted")
    return [float(value) for value in values]


class Kernel:
    """A compiled value and gradient. Made by `symgrad.compile`.

    `kernel(*args, out=None, **by_name)` returns `Result(value, grad)`. Plain numbers give Python floats; arrays follow
    NumPy's broadcasting and give arrays: the value and each derivative at every point. Raises TypeError for what is not
    real, ShapeError for arrays that do not broadcast, ValueError for an `out` that cannot be written.

    A pickle of a kernel holds its source, which is run when it is unpickled: as with any pickle, read none from whom
    you would not run a program. It holds a checksum as well: a damaged one raises SymgradError.
    """

    def __init__(
        self,
        args: tuple[sympy.Symbol, ...],
        wrt: tuple[sympy.Symbol, ...],
        single: bool,
        written: Graph,
        definition: Graph,
        graph: Graph,
        options: dict[str, Any],
        source: Callable[[], str],
        stats: dict[str, Any],
    ) -> None:
        self.args, self.wrt = args, wrt
        # As lowered, with the user's own gates: what the circuit is drawn of. None where a pickle has lost these gates.
        self.written: Graph | None = written
        self.definition = definition  # the graph as lowered, before any law: what check measures against
        self.graph = graph
        self.stats = stats
        self._single = single  # wrt was one symbol: grad is that derivative itself
        self._options = options
        self._make_source = source
        self._start()

    def _start(self) -> None:
        """What is not pickled: the loaded module and the functions in it."""
        self._dtype: str = self._options["dtype"]
        self._gradient = gradient_class(self.wrt)
        if self.stats["operations"] > LARGEST_COMPILED:
            self.stats["runs"] = f"reference evaluator (more than {LARGEST_COMPILED} operations)"
            self._module: Any = None
            self._point: Any = self._reference_point
            self._run_points: host.RunPoints = self._reference_points
        else:
            self.stats["runs"] = "numba"
            self._module = build.load(self.source, self._options["cache"])
            self._point = getattr(self._module, self._options["name"])
            self._run_points = self._module.run_points
        self._quick = self._point, None if self._single else self._gradient

    @cached_property
    def source(self) -> str:
        """The Numba source that runs."""
        return self._make_source()

    @property
    def jitted(self) -> Any:
        """The one-point Numba function, callable from other `@njit` code: `(value, (derivatives...))`."""
        if self._module is None:
            raise SymgradError(f"this kernel runs on the {self.stats['runs']}, so there is no jitted function")
        return self._point

    def __call__(self, *args: Any, out: Result | None = None, **by_name: Any) -> Result:
        # The quick way, of a single point. Arrays would be refused there as well, but that takes Numba 0.1 ms.
        if out is None and not by_name and args and type(args[0]) is not Array and type(args[-1]) is not Array:
            point, gradient = self._quick
            try:
                value, derivatives = point(*args)
            except (TypeError, ValueError, OverflowError):
                pass  # no plain numbers: the way below says what is wrong, or takes them
            else:  # as _result does it, without its calls
                return new_tuple(
                    Result, (value, new_tuple(gradient, derivatives) if gradient is not None else derivatives[0])
                )
        return self._general(self._ordered(args, by_name), out)

    value_and_grad = __call__

    def value(self, *args: Any, **by_name: Any) -> Any:
        """The value alone; costs what value and gradient cost."""
        return self(*args, **by_name).value

    def grad(self, *args: Any, **by_name: Any) -> Any:
        """The gradient alone; costs what value and gradient cost."""
        return self(*args, **by_name).grad

    def _result(self, value: Any, derivatives: Sequence[Any]) -> Result:
        if self._single:
            return Result(value, derivatives[0])
        return Result(value, self._gradient(derivatives))

    def _ordered(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> list[Any]:
        if len(args) > len(self.args):
            raise TypeError(f"{len(args)} arguments for {self._signature()}")
        values = dict(enumerate(args))
        for name, value in named.items():
            place = by_name(self.args, name, "args")
            if place in values:
                raise TypeError(f"two values for {name!r} in a call of {self._signature()}")
            values[place] = value
        missing = [symbol.name for place, symbol in enumerate(self.args) if place not in values]
        if missing:
            is_vector = len(args) == 1 and not named and np.ndim(args[0]) == 1
            way_out = "; of one vector, as scipy.optimize gives it, take kernel.objective()" if is_vector else ""
            raise TypeError(f"missing {', '.join(missing)} in a call of {self._signature()}{way_out}")
        return [values[place] for place in range(len(self.args))]

    def _signature(self) -> str:
        return f"{self._options['name']}({', '.join(symbol.name for symbol in self.args)})"

    def _general(self, values: list[Any], out: Result | None) -> Result:
        names = [symbol.name for symbol in self.args]
        arrays = host.real_arrays(values, names)
        if out is None and all(array.ndim == 0 for array in arrays):
            return self._result(*self._point(*(float(array) for array in arrays)))
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
        except ValueError:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(names, arrays, strict=True) if array.ndim)
            raise ShapeError(f"the arguments do not broadcast: {shapes}") from None
        count = 1 + len(self.wrt)
        if out is None:
            outputs = host.new_outputs(count, shape, self._dtype)
        else:
            derivatives = (out[1],) if self._single else tuple(out[1])
            outputs = [out[0], *derivatives]
            if len(outputs) != count:
                raise ValueError(f"out must hold a value and {count - 1} derivatives, not {len(outputs) - 1}")
            host.check_outputs(outputs, shape, self._dtype)
            host.check_overlaps(outputs, arrays)
        if outputs[0].size:
            threads = host.thread_count(self._options["threads"], self.stats["operations"], outputs[0].size)
            host.fill(self._run_points, arrays, outputs, threads)
        return self._result(outputs[0], outputs[1:])

    # --- the reference evaluator, for bodies that Numba would take too long to compile --------------------------------

    def _reference_point(self, *args: Any) -> tuple[float, tuple[float, ...]]:
        if len(args) != len(self.args) or any(isinstance(argument, np.ndarray) for argument in args):
            raise TypeError("plain numbers wanted")
        kind = np.dtype(self._dtype).type
        value, *derivatives = evaluate(self.graph.views, [kind(float(argument)) for argument in args], self._dtype)
        return float(value), tuple(map(float, derivatives))

    def _reference_points(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        for start in range(0, len(outputs[0]), _REFERENCE_POINTS):
            part = slice(start, start + _REFERENCE_POINTS)
            results = evaluate(self.graph.views, [array[part] for array in inputs], self._dtype)
            for array, result in zip(outputs, results, strict=True):
                array[part] = result

    # --- beside the call ----------------------------------------------------------------------------------------------

    def objective(self, fixed: Mapping[Any, Any] | None = None, **by_name: Any) -> Objective:
        """A callable of one flat float64 vector for scipy.optimize: returns (value, flat gradient).

        `fixed` (symbols or names) and keywords hold the inputs that do not vary; all others must be in `wrt`.
        """
        given = {**(fixed or {}), **by_name}
        return self._objective({self._place(key): value for key, value in given.items()})

    def _objective(self, fixed: dict[int, Any]) -> Objective:
        return Objective(self, fixed)

    def _place(self, key: Any) -> int:
        if isinstance(key, str):
            return by_name(self.args, key, "args")
        if key in self.args:
            return self.args.index(key)
        raise ValueError(f"{key!r} is not in args: {', '.join(symbol.name for symbol in self.args)}")

    def check(self, *args: Any, **by_name: Any) -> GradientCheck:
        """The gradient check at a point: see symgrad.kernel.check.GradientCheck."""
        values = self._ordered(args, by_name)
        point = one_point([symbol.name for symbol in self.args], values, "a check")
        return check(
            self.definition, self.graph, [symbol.name for symbol in self.args], self._dtype, self._point, point
        )

    def trace(self, *args: Any, level: str = "gates", **by_name: Any) -> Trace:
        """Every gate at a point: value, local gradients, upstream gradient, troubles: a symgrad.explore.trace.Trace.

        level  "gates": as it is compiled, the logistic function and its like each one gate; "elementary": as it is
               written, in gates of one and two arguments; "entries": as "gates", small arrays written out

        Raises SymgradError where the arrays of all gates together would not fit in memory.
        """
        return trace(self._setting(self._ordered(args, by_name)), level)

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
        return draw(self._setting(self._ordered(args, by_name)), level, nearest, through)

    def _setting(self, values: Sequence[Any]) -> Setting:
        """The point at which the circuit is looked at."""
        numbers = one_point([symbol.name for symbol in self.args], values, "a trace")
        return Setting(self.written, self.graph, self._dtype, numbers, {}, self._gradient)

    def __repr__(self) -> str:
        wrt = ", ".join(symbol.name for symbol in self.wrt)
        return f"<symgrad kernel {self._signature()}, gradient by ({wrt}), {self._dtype}, {self.stats['runs']}>"

    def _repr_latex_(self) -> str | None:
        """The formula in a notebook; None where it is too long to be read."""
        formula = latex(self.written or self.definition)
        return None if formula is None else f"$\\displaystyle {formula}$"

    def _repr_html_(self) -> str | None:
        """The kernel in a few lines, where its formula is too long to be read; else None.

        Notebooks prefer HTML to LaTeX, and not all of them typeset TeX that stands in HTML.
        """
        if self._repr_latex_() is not None:
            return None
        table = self._facts().html()
        if self._module is None or len(self.source) > _LONGEST_SHOWN:
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
            ("runs", f"{self.stats['runs']}, {self._dtype}"),
        ]
        return Table(("", ""), rows, self._options["name"], left=frozenset((0, 1)))

    def __getstate__(self) -> tuple[str, bytes]:
        """A checksum, and what it is of."""
        written = None if self.written is None else self.written.order()
        state = pickle.dumps(
            {
                "args": self.args,
                "wrt": self.wrt,
                "single": self._single,
                "options": self._options,
                "stats": self.stats,
                "source": self.source if self._module is not None else None,
                "definition": rows_of(self.definition),
                # The user's own gates are functions, which a pickle does not hold.
                "complete": written is not None and all(GATES.get(node.gate.name) is node.gate for node in written),
                "graph": rows_of(self.graph),
            }
        )
        return hashlib.sha256(state).hexdigest(), state

    def __setstate__(self, checked: tuple[str, bytes]) -> None:
        checksum, data = checked
        if hashlib.sha256(data).hexdigest() != checksum:
            raise SymgradError("this pickle of a kernel is damaged: its checksum is another; make it again")
        state = pickle.loads(data)
        self.args, self.wrt, self._single = state["args"], state["wrt"], state["single"]
        self._options, self.stats = state["options"], dict(state["stats"])
        self.definition = graph_of(state["definition"], GATES)
        self.written = self.definition if state["complete"] else None
        self.graph = graph_of(state["graph"], GATES)
        self._make_source = lambda: state["source"] or source_of(self.graph, self.definition, self._options)
        self._start()


class Objective:
    """A function of one flat vector: the inputs of a kernel that are not fixed, in `args` order."""

    def __init__(self, kernel: Kernel, fixed: dict[int, Any]) -> None:
        self.kernel = kernel
        self.free = [place for place in range(len(kernel.args)) if place not in fixed]
        self.symbols = tuple(kernel.args[place] for place in self.free)
        lacking = [symbol.name for symbol in self.symbols if symbol not in kernel.wrt]
        if lacking:
            raise ValueError(f"the kernel has no derivative by {', '.join(lacking)}: fix it, or compile with it in wrt")
        self._places = [kernel.wrt.index(symbol) for symbol in self.symbols]
        self._hold(fixed)

    def _hold(self, fixed: dict[int, Any]) -> None:
        """Keeps the inputs that do not vary."""
        self._values = [float(fixed.get(place, 0.0)) for place in range(len(self.kernel.args))]

    def __call__(self, vector: Any) -> tuple[float, Any]:
        flat = np.asarray(vector, np.float64)
        if flat.shape != (len(self.free),):
            raise ShapeError(
                f"a vector of {len(self.free)} elements wanted "
                f"({', '.join(symbol.name for symbol in self.symbols)}), not of shape {flat.shape}"
            )
        values = list(self._values)
        for place, number in zip(self.free, flat.tolist(), strict=True):
            values[place] = number
        value, derivatives = self.kernel._point(*values)
        return value, np.array([derivatives[place] for place in self._places])

    def pack(self, **values: float) -> Any:
        """The flat vector of the free inputs, given by name."""
        places = {by_name(self.symbols, name, "the free inputs"): value for name, value in values.items()}
        missing = [symbol.name for place, symbol in enumerate(self.symbols) if place not in places]
        if missing:
            raise ValueError(f"missing {', '.join(missing)}")
        return np.array([float(places[place]) for place in range(len(self.symbols))])

    def unpack(self, vector: Any) -> dict[str, float]:
        """The free inputs by name."""
        return {symbol.name: float(number) for symbol, number in zip(self.symbols, vector, strict=True)}
