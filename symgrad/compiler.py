"""The way of the data on one page: expression, graph, differentiate, simplify, schedule, program, emit, build, run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sympy
from symgrad_codegen.program_text import program_text
from symgrad_codegen.targets import TARGETS

from . import verify
from .emission import body_of, passed, program_of, source_of
from .evaluate.trials import Trial, trials
from .graph.graph import Graph, no_collection, sizes_of
from .kernel.compiled import Compiled, is_compiled
from .kernel.kernel import Kernel
from .kernel.runner import RUNNERS
from .language.parse import Problem, parse
from .lower.lower import lower
from .lower.survey import ARRAYS
from .options import Options
from .outputs import Outputs, split
from .result import by_name
from .schedule.plan_text import plan_text
from .stats import Stats
from .transform.derive import Derivative, Wanted
from .transform.pipeline import PASSES
from .transform.simplify import simplify

# What comes out of the stages, in order: the graph as lowered, then after each pass, and what is made of the last one.
STAGES = ("graph", *(step.result for step in PASSES), "plan", "program", "source")

Wrt: TypeAlias = sympy.Symbol | str | Sequence[sympy.Symbol | str] | None
# The derivative where none is asked for: of one number the gradient, of several the Jacobian.
USUAL = "usual"


def compile(
    expr: Any,
    args: Sequence[sympy.Symbol] | None = None,
    wrt: Wrt = None,
    *,
    derivative: str | None = USUAL,
    target: str = "cpu",
    dtype: str = "float64",
    accuracy: str = "fast",
    name: str = "kernel",
    gates: Iterable[type] = (),
    extents: Mapping[Any, int] | None = None,
    threads: int | str | None = None,
    cache: bool = True,
    batch: bool = False,
    sparse: str | None = None,
    symmetric: str | None = None,
) -> Kernel:
    """Compiles real expressions to a kernel that returns their values and derivatives.

    Everything that cannot be compiled is refused here, not at the first call.

    Args:
        expr: A SymPy expression, the result of `symgrad.parse`, or text in the language of expr.txt. Several
            expressions are a list or tuple of them, nested or not, a dict, a Matrix or an Array.
        args: The inputs in order: symbols, IndexedBase, MatrixSymbol. By default all that are free, by name, digits by
            value (extents only where no array's shape tells them).
        wrt: One symbol or its name, or a sequence: what to differentiate for. By default every input of real numbers.
        derivative: "gradient", which is usual for one expression; "jacobian", which is for several; "hessian", of one:
            value, gradient and Hessian; None for values alone.
        target: "cpu", or "cuda", which needs the extra cuda12 or cuda13, and a GPU at the call.
        dtype: "float64" or "float32".
        accuracy: "fast": SIMD functions (at most 4 ulp each) and fused multiply-add; "strict": the bits of plain
            Python.
        name: What the function is called in the source: an identifier in ASCII that the module does not use itself.
        gates: Functions made by `symgrad.gate`.
        extents: Numbers for symbolic extents, checked at the call: short axes of known length are written out.
        threads: None is one; a number, or "auto"; the bits are the same for any number.
        cache: Whether compiled code is kept on disk.
        batch: Whether arrays take a batch, in axes in front of their own; numbers beside them always do.
        sparse: "csr", "csc" or "coo": a Jacobian or Hessian is one sparse array of SciPy, a row for each number among
            the outputs and a column for each among the inputs of `wrt`, arrays row by row. None: dense arrays.
        symmetric: "lower" keeps the lower triangle of a sparse Hessian alone.

    Returns:
        The kernel, which is called with the inputs.

    Raises:
        UnsupportedExpression: The expression has a part that cannot be compiled: the message names it and the way out.
        ParseError: The text is not in the language.
        ValueError: An option is none of those it can be, or `wrt` is no input.
        TypeError: An option is of another type.

    Examples:
        >>> x, y = sympy.symbols("x y")
        >>> kernel = symgrad.compile(x * sympy.exp(y))
        >>> kernel(3.0, 0.0)
        Result(value=3.0, grad=(1.0, 3.0))
        >>> kernel([1.0, 2.0], 0.0).grad["y"]
        array([1., 2.])
        >>> value, jacobian = symgrad.compile([x * y, x + y])(1.0, 2.0)
        >>> jacobian
        array([[2., 1.],
               [1., 1.]])
    """
    if target not in RUNNERS:
        raise ValueError(
            f"compile runs on the targets {', '.join(RUNNERS)}, not {target!r}; emit prints for {', '.join(TARGETS)}"
        )
    options = Options(target, dtype, accuracy, name, threads, cache, batch, sparse, symmetric)
    if sparse and target != "cpu":
        raise ValueError(f"sparse results are made by the target 'cpu', not by {target!r}; emit prints for both")
    stages = Stages(expr, args, wrt, gates, extents, derivative, options)
    graph, definition, stats = stages.simplified, stages.definition, stages.stats()
    source = source_of(graph, definition, options, stats) if is_compiled(graph, stats) else None
    return Kernel(
        Compiled(
            stages.args,
            stages.outputs,
            stages.wrt,
            stages.derivative,
            isinstance(wrt, (str, sympy.Symbol, *ARRAYS)),
            stages.graph,
            definition,
            graph,
            options,
            None,
            source,
            stats,
        )
    )


def emit(
    expr: Any,
    args: Sequence[sympy.Symbol] | None = None,
    wrt: Wrt = None,
    *,
    derivative: str | None = USUAL,
    target: str = "cpu",
    dtype: str = "float64",
    accuracy: str = "fast",
    name: str = "kernel",
    gates: Iterable[type] = (),
    extents: Mapping[Any, int] | None = None,
    sparse: str | None = None,
    symmetric: str | None = None,
    body: bool = False,
) -> str:
    """The source of a module that computes values and derivatives without symgrad.

    Args:
        expr: As for `compile`.
        args: As for `compile`.
        wrt: As for `compile`.
        derivative: As for `compile`.
        target: What the module is for: "cpu" is Numba; `symgrad emit --help` and the page on emitted source list all.
        dtype: As for `compile`.
        accuracy: As for `compile`.
        name: As for `compile`.
        gates: As for `compile`.
        extents: As for `compile`.
        sparse: Whether a Jacobian or Hessian of arrays is returned as families of entries, whatever the format; the
            module's function `kernel_pattern` says in which rows and columns these are.
        symmetric: As for `compile`; what is mirrored is made once anyway.
        body: Whether only the part that is about the mathematics is wanted, for reading: the functions, without
            imports and fixed run-time text.

    Returns:
        The text of the module, the same on every machine.

    Raises:
        UnsupportedExpression: The expression has a part that cannot be compiled, or that the target lacks.
        ParseError: The text is not in the language.
        ValueError: An option is none of those it can be, or `wrt` is no input.
        TypeError: An option is of another type.

    Examples:
        >>> source = symgrad.emit("x**2", target="python")
        >>> module = {}
        >>> exec(source, module)
        >>> module["kernel"](3.0)
        (9.0, (6.0,))
    """
    options = Options(target, dtype, accuracy, name, sparse=sparse, symmetric=symmetric)
    stages = Stages(expr, args, wrt, gates, extents, derivative, options)
    if body:
        return body_of(stages.simplified, stages.definition, options)
    return source_of(stages.simplified, stages.definition, options, is_alone=sparse is not None)


def stage_text(which: str, expr: sympy.Expr | Problem | str, wrt: Wrt = None, **options: Any) -> str:
    """What comes out of one stage, as text: for reading, not for parsing."""
    if which not in STAGES:
        raise ValueError(f"no stage {which!r}; the stages are {', '.join(STAGES)}")
    gates, extents = options.pop("gates", ()), options.pop("extents", None)
    derivative = options.pop("derivative", USUAL)
    chosen = Options(**options)
    stages = Stages(expr, None, wrt, gates, extents, derivative, chosen)
    if which in stages.graphs:
        return str(stages.graphs[which])
    if which == "plan":
        return plan_text(stages.simplified)
    program = program_of(stages.simplified, stages.definition, chosen)
    return program_text(program) if which == "program" else TARGETS[chosen.target].emit(program)


class Stages:
    """What comes out of each stage of one expression, from the lowered graph to the simplified gradient."""

    def __init__(
        self,
        expr: Any,
        args: Sequence[sympy.Symbol] | None,
        wrt: Wrt,
        gates: Iterable[type],
        extents: Mapping[Any, int] | None = None,
        derivative: str | None = USUAL,
        options: Options | None = None,
    ) -> None:
        self.seconds: dict[str, float] = {}
        self.fired: Counter[str] = Counter()  # laws, how often
        self.tried: list[Trial] = []
        gates = tuple(gates)
        problem = self._timed("parse", lambda: _problem(expr))
        self.outputs, expressions = split(problem.expression)
        self.derivative = _chosen(derivative, self.outputs)
        is_sparse = options is not None and _is_sparse(options, self.derivative)
        with no_collection():
            self.graph, self.args = self._timed(
                "lower",
                lambda: lower(expressions, args, gates, problem.names, extents, self.outputs.names),
            )
            if verify.is_on():
                self._verified()
            self.wrt = _differentiated(wrt, self.args, self.graph)
            order = {symbol: position for position, symbol in enumerate(self.args)}
            positions = [order[symbol] for symbol in self.wrt]
            wanted = Wanted(positions, self.derivative, is_sparse)
            made = passed(self.graph, wanted, self.fired, self.seconds, self.tried)
            self.graphs = {"graph": self.graph, **made}
            self.gradient, self.simplified = self.graphs["gradient"], self.graphs["simplified"]
            # The graph as written, with the user's own gates spelled out, so that it stands alone.
            self.definition = simplify(self.graph, ("own",)) if gates else self.graph

    def _timed(self, stage: str, work: Any) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        return result

    def _verified(self) -> None:
        """Of the graph as lowered; those that the passes make are verified there."""
        if not self.graph.over_points:
            self.tried = trials(self.graph)
        verify.verify_graph(self.graph, "lower", self.tried)

    def stats(self) -> Stats:
        """What is known before there is a program: operations, laws that fired, seconds of these stages."""
        return Stats.of(self.simplified, self.fired, self.seconds)


def _problem(expr: Any) -> Problem:
    if isinstance(expr, str):
        return parse(expr)
    return expr if isinstance(expr, Problem) else Problem(expr, {}, "")


def _chosen(derivative: str | None, outputs: Outputs) -> Derivative:
    """Which derivative is taken. Raises ValueError for what is none, and for what there is of one number only."""
    kinds: dict[str | None, Derivative] = {None: None, "gradient": "gradient", "jacobian": "jacobian"}
    kinds |= {"hessian": "hessian", USUAL: "gradient" if outputs.is_number else "jacobian"}
    if derivative not in kinds:
        raise ValueError(f"derivative is None, 'gradient', 'jacobian' or 'hessian', not {derivative!r}")
    if derivative in ("gradient", "hessian") and not outputs.is_number:
        raise ValueError(
            f"derivative={derivative!r} is of one number, and here are {len(outputs.names)} outputs in a structure; "
            "of these take derivative='jacobian'"
        )
    return kinds[derivative]


def _is_sparse(options: Options, derivative: Derivative) -> bool:
    """Whether the derivative is sparse. Raises ValueError for what is not stored so."""
    if options.sparse and derivative not in ("jacobian", "hessian"):
        kind = f"derivative={derivative!r}"
        raise ValueError(f"sparse is of a Jacobian or Hessian, not of {kind}: take derivative='jacobian' or 'hessian'")
    if options.symmetric and derivative != "hessian":
        raise ValueError("symmetric='lower' is of a Hessian: a Jacobian has no triangles that are the same")
    return options.sparse is not None


def _differentiated(wrt: Wrt, args: tuple[Any, ...], graph: Graph) -> tuple[Any, ...]:
    sizes = {size.name for size in sizes_of(graph)}
    whole = [
        symbol
        for position, symbol in enumerate(args)
        if position in graph.integers or (not graph.over_points and not graph.shapes[position] and symbol.name in sizes)
    ]
    if wrt is None:
        return tuple(symbol for symbol in args if symbol not in whole)
    given = (wrt,) if isinstance(wrt, (str, sympy.Symbol, *ARRAYS)) else tuple(wrt)
    chosen = tuple(args[by_name(args, own, "args")] if isinstance(own, str) else own for own in given)
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
