"""The way of the data on one page: expression, graph, differentiate, simplify, schedule, program, emit, build, run."""

from __future__ import annotations

import keyword
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import sympy
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program_text import program_text
from symgrad_codegen.targets import TARGETS

from . import verify
from .emission import program_of, source_of
from .errors import UnsupportedExpression
from .evaluate.trials import Trial, trials
from .graph.graph import Graph, Output, no_collection, reachable, sizes_of
from .kernel.arrays import ArrayKernel
from .kernel.cuda import CudaArrayKernel, CudaKernel
from .kernel.kernel import Kernel
from .language.parse import Problem, parse
from .lower.lower import lower
from .lower.survey import ARRAYS
from .lower.unsupported import describe
from .schedule.plan_text import plan_text
from .schedule.points import operations
from .transform.pipeline import PASSES
from .transform.simplify import simplify

DTYPES = ("float64", "float32")
ACCURACIES = ("fast", "strict")
# The kernels that run: over points, and over arrays.
KERNELS: dict[str, tuple[type[Kernel], type[Kernel]]] = {
    "cpu": (Kernel, ArrayKernel),
    "cuda": (CudaKernel, CudaArrayKernel),
}
# What comes out of the stages, in order: the graph as lowered, then after each pass, and what is made of the last one.
STAGES = ("graph", *(step.result for step in PASSES), "plan", "program", "source")

Wrt: TypeAlias = sympy.Symbol | Sequence[sympy.Symbol] | None


def compile(
    expr: sympy.Expr | Problem | str,
    args: Sequence[sympy.Symbol] | None = None,
    wrt: Wrt = None,
    *,
    target: str = "cpu",
    dtype: str = "float64",
    accuracy: str = "fast",
    name: str = "kernel",
    gates: Iterable[type] = (),
    extents: Mapping[Any, int] | None = None,
    threads: int | str | None = None,
    cache: bool = True,
) -> Kernel:
    """Compiles a real scalar expression to a kernel that returns its value and gradient.

    expr      a SymPy expression, the result of `symgrad.parse`, or text in the language of expr.txt
    args      the inputs in order: symbols, IndexedBase, MatrixSymbol; default: all that are free, by name, digits by
              value (extents only where no array's shape tells them)
    wrt       one symbol, or a sequence: what to differentiate for; default: every input that holds real numbers
    target    "cpu", or "cuda": needs the extra cuda12 or cuda13, and a GPU at the call
    dtype     "float64" or "float32"
    accuracy  "fast": SIMD functions (at most 4 ulp each) and fused multiply-add; "strict": the bits of plain Python
    name      what the function is called in the source: an identifier in ASCII that the module does not use itself
    gates     functions made by `symgrad.gate`
    extents   numbers for symbolic extents, checked at the call: short axes of known length are written out
    threads   None is one; a number, or "auto"; the bits are the same for any number
    cache     whether compiled code is kept on disk

    Raises UnsupportedExpression (names the sub-expression and the way out), ParseError for bad text, ValueError and
    TypeError for bad options. Everything that cannot be compiled is refused here, not at the first call.
    """
    if target not in KERNELS:
        raise ValueError(
            f"compile runs on the targets {', '.join(KERNELS)}, not {target!r}; emit prints for {', '.join(TARGETS)}"
        )
    if not (threads is None or threads == "auto" or (isinstance(threads, int) and threads > 0)):
        raise ValueError(f"threads is None, a positive number or 'auto', not {threads!r}")
    if threads is not None and target != "cpu":
        raise ValueError(f"threads are of the target 'cpu', not of {target!r}")
    options = _options(dtype, accuracy, name, target)
    stages = Stages(expr, args, wrt, gates, extents)
    stats = stages.stats()
    options.update(threads=threads, cache=cache)
    graph, definition = stages.simplified, stages.definition
    kind = KERNELS[target][not graph.over_points]
    return kind(
        stages.args,
        stages.wrt,
        isinstance(wrt, (sympy.Symbol, *ARRAYS)),
        stages.graph,
        definition,
        graph,
        options,
        lambda: source_of(graph, definition, options, stats),
        stats,
    )


def emit(
    expr: sympy.Expr | Problem | str,
    args: Sequence[sympy.Symbol] | None = None,
    wrt: Wrt = None,
    *,
    target: str = "cpu",
    dtype: str = "float64",
    accuracy: str = "fast",
    name: str = "kernel",
    gates: Iterable[type] = (),
    extents: Mapping[Any, int] | None = None,
) -> str:
    """The source of a module that computes value and gradient without symgrad; arguments as for `compile`.

    target    "cpu" (Numba), "cuda" (Numba for GPUs), "javascript" (an ES module) or "python" (plain Python); the last
              two take one point at a time, or whole arrays
    """
    options = _options(dtype, accuracy, name, target)
    stages = Stages(expr, args, wrt, gates, extents)
    return source_of(stages.simplified, stages.definition, options)


def stage_text(which: str, expr: sympy.Expr | Problem | str, wrt: Wrt = None, **options: Any) -> str:
    """What comes out of one stage, as text: for reading, not for parsing."""
    if which not in STAGES:
        raise ValueError(f"no stage {which!r}; the stages are {', '.join(STAGES)}")
    chosen = _options(
        options.get("dtype", "float64"),
        options.get("accuracy", "fast"),
        options.get("name", "kernel"),
        options.get("target", "cpu"),
    )
    stages = Stages(expr, None, wrt, options.get("gates", ()), options.get("extents"))
    if which in stages.graphs:
        return str(stages.graphs[which])
    if which == "plan":
        return plan_text(stages.simplified)
    program = program_of(stages.simplified, stages.definition, chosen)
    return program_text(program) if which == "program" else TARGETS[chosen["target"]].emit(program)


class Stages:
    """What comes out of each stage of one expression, from the lowered graph to the simplified gradient."""

    def __init__(
        self,
        expr: sympy.Expr | Problem | str,
        args: Sequence[sympy.Symbol] | None,
        wrt: Wrt,
        gates: Iterable[type],
        extents: Mapping[Any, int] | None = None,
    ) -> None:
        self.seconds: dict[str, float] = {}
        self.fired: Counter[str] = Counter()  # laws, how often
        self.tried: list[Trial] = []
        gates = tuple(gates)
        problem = self._timed("parse", lambda: _problem(expr))
        with no_collection():
            self.graph, self.args = self._timed(
                "lower", lambda: lower(problem.expression, args, gates, problem.names, extents)
            )
            self.wrt = _differentiated(wrt, self.args, self.graph)
            order = {symbol: place for place, symbol in enumerate(self.args)}
            places = [order[symbol] for symbol in self.wrt]
            self.graphs = {"graph": self.graph}
            graph = self.graph
            for step in PASSES:
                graph = self._timed(step.name, partial(step.apply, graph, places, self.fired))
                self.graphs[step.result] = graph
            self.gradient, self.simplified = self.graphs["gradient"], self.graphs["simplified"]
            # The graph as written, with the user's own gates spelled out, so that it stands alone.
            self.definition = simplify(self.graph, ("own",)) if gates else self.graph

    def _timed(self, stage: str, work: Any) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        if verify.is_on() and stage != "parse":
            self._verified(result[0] if stage == "lower" else result, stage)
        return result

    def _verified(self, graph: Graph, after: str) -> None:
        """Every graph that a pass makes comes by here."""
        if after == "lower" and not graph.over_points:
            self.tried = trials(graph)
        verify.verify_graph(graph, after, self.tried)

    def stats(self) -> dict[str, Any]:
        """Operations of the value, and of value and gradient; their ratio; laws that fired; seconds per stage."""

        def count(outputs: Sequence[Output]) -> int:
            order = reachable(output.view.node for output in outputs)
            return operations(node for node in order if node.arguments and not node.fixed)

        value, both = count(self.simplified.values), count(self.simplified.outputs)
        more = {} if self.simplified.over_points else {"data": None}  # the data axis: known once the source is made
        return {
            **more,
            "operations_value": value,
            "operations": both,
            "ratio": both / value if value else 1.0,
            "nodes": len(self.simplified.order()),
            "laws": dict(self.fired),
            "statements": None,  # known once the source is made
            "seconds": self.seconds,
        }


def _problem(expr: Any) -> Problem:
    if isinstance(expr, str):
        return parse(expr)
    if isinstance(expr, Problem):
        return expr
    if isinstance(expr, (int, float)):
        expr = sympy.Number(expr)
    if not isinstance(expr, sympy.Basic):
        raise UnsupportedExpression(f"cannot compile a {type(expr).__name__}: give one SymPy expression or text")
    if not isinstance(expr, sympy.Expr):
        raise UnsupportedExpression(
            f"cannot compile {describe(expr)} ({type(expr).__name__}): give one scalar expression"
        )
    return Problem(expr, {}, "")


def _differentiated(wrt: Wrt, args: tuple[Any, ...], graph: Graph) -> tuple[Any, ...]:
    sizes = {size.name for size in sizes_of(graph)}
    whole = [
        symbol
        for place, symbol in enumerate(args)
        if place in graph.integers or (not graph.over_points and not graph.shapes[place] and symbol.name in sizes)
    ]
    if wrt is None:
        return tuple(symbol for symbol in args if symbol not in whole)
    chosen = (wrt,) if isinstance(wrt, (sympy.Symbol, *ARRAYS)) else tuple(wrt)
    for symbol in chosen:
        if symbol in whole:
            raise ValueError(f"wrt {symbol.name!r} holds integers (an extent or indices): it has no derivative")
        if symbol not in args:
            name = getattr(symbol, "name", symbol)
            same = any(other.name == name for other in args)
            hint = "another symbol of that name is" if same else f"the inputs are {', '.join(s.name for s in args)}"
            raise ValueError(f"wrt {name!r} ({type(symbol).__name__}) is no input; {hint}")
    if len(set(chosen)) < len(chosen):
        raise ValueError("wrt names a symbol twice")
    return chosen


def _options(dtype: str, accuracy: str, name: str, target: str = "cpu") -> dict[str, Any]:
    for what, value, allowed in (
        ("dtype", dtype, DTYPES),
        ("accuracy", accuracy, ACCURACIES),
        ("target", target, TARGETS),
    ):
        if value not in allowed:
            raise ValueError(f"{what} is one of {', '.join(allowed)}, not {value!r}")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
        raise ValueError(f"name must be an identifier in ASCII, not {name!r}")
    for word in (name, f"{name}_batch", f"{name}_into"):  # what the module defines
        if word in TARGETS[target].reserved() or word in FUNCTIONS or keyword.iskeyword(word) or name.startswith("__"):
            raise ValueError(f"the name {name!r} is a word of Python or of the emitted module; choose another")
    return {"dtype": dtype, "accuracy": accuracy, "name": name, "target": target}
