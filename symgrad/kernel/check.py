"""The gradient check: analytic against numeric, as one learns to do it, and against 60 digits.

For every number among the inputs, of large arrays for some of each, the kernel's derivative `a` is compared with the
central difference (f(x + h) - f(x - h))/2h `n`, by the relative error |a - n| / max(|a|, |n|). The judge is the
derivative of the expression as the user wrote it, before any law has touched it: differences.py.

What rounding explains of the distance from it is counted over points gate by gate along the graph that is computed,
conditioning.py; over arrays it is a rule of thumb.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..evaluate.conditioning import rounding_bounds
from ..evaluate.evaluation import evaluate as evaluate_graph
from ..explore.tracing import Setting
from ..graph.formula import formulas
from ..graph.graph import Graph, reachable, views_of
from ..graph.node import Node, View, positional
from ..tables import Cell, Shown, Table
from ..transform.derive import Derivative
from .checked import Function, functions
from .differences import Differences

# The derivative may be off by this many times what rounding explains to first order; other orders of sums are, too.
SLACK = 4
# Over arrays a derivative may be off by this many units in the last place, of it or of 1, as sums over arrays are.
ROUNDINGS = 1024
# Beyond this many operations on arrays an evaluation at 60 digits takes seconds: differences in float64 are the judge.
_EXACT_WORK = 20_000
_LOOSE = 1e-5  # what a central difference in float64 is good for, relative to the derivative, or to 1

_HEAD = ("input", "at", "analytic", "numeric", "rel. error", "complex step", "exact", "verdict")
# What a verdict looks like in a terminal.
_STYLES = {"ok": "green", "kink": "yellow", "undefined": "yellow", "WRONG": "bold red"}


@dataclass(frozen=True)
class Row:
    """One input: its value, and its derivative in four ways.

    Attributes:
        name: What the input is called, with the index of the entry where it is an array.
        at: Its value.
        analytic: The kernel's derivative.
        central: The central difference in floating point.
        complex_step: The complex step; None where the expression is not analytic, and where inputs are arrays.
        exact: The derivative by differences at 60 digits or more (of large kernels with arrays in float64); NaN where
            there is none.
        left: That from the left, which differs from that from the right at a kink.
        right: That from the right.
        tolerance: What rounding explains of the distance between `analytic` and `exact`, absolute.
    """

    name: str
    at: float
    analytic: float
    central: float
    complex_step: float | None
    exact: float
    left: float
    right: float
    tolerance: float

    @property
    def relative_error(self) -> float:
        """|analytic - central| / max(|analytic|, |central|), as in the lecture; 0 where both are 0."""
        return _relative(self.analytic, self.central)

    @property
    def is_kink(self) -> bool:
        """Whether the derivatives from the two sides differ: then any number between them is a subgradient."""
        if np.isinf(self.left) or np.isinf(self.right):  # a jump
            return self.left != self.right
        return not abs(self.right - self.left) <= max(self.tolerance, 1e-12 * max(abs(self.left), abs(self.right)))

    @property
    def verdict(self) -> str:
        """ok, kink, undefined or WRONG."""
        if np.isnan(self.exact) or np.isnan(self.left) or np.isnan(self.right):
            return "undefined"
        if self.is_kink:
            low, high = sorted((self.left, self.right))
            return "kink" if low - self.tolerance <= self.analytic <= high + self.tolerance else "WRONG"
        return "ok" if abs(self.analytic - self.exact) <= self.tolerance or self.analytic == self.exact else "WRONG"


@dataclass(frozen=True)
class GradientCheck(Shown):
    """The result of a gradient check: truthy when all is well, prints as a table.

    For every input the kernel's derivative `a` is compared with the central difference `n` = (f(x + h) - f(x - h))/2h,
    by the relative error |a - n| / max(|a|, |n|). Where the expression is analytic the complex step Im f(x + ih)/h is
    there too, which does not cancel. The judge is the derivative of the expression as the user wrote it, by differences
    at 60 digits or more, before any law has touched it; what rounding explains of the distance from it is tolerated.

    Attributes:
        rows: One for each input; of arrays, for some entries of each.
        value: The kernel's value.
        exact_value: The value of the expression as written, at 60 digits or more.
        value_tolerance: What rounding explains of the distance between these, absolute.
        trouble: The first gate that made a NaN or infinity of finite arguments, in words; empty if none.

    References:
        W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40
        (1998), 110-112.
    """

    rows: tuple[Row, ...]
    value: float
    exact_value: float
    value_tolerance: float
    trouble: str

    @property
    def value_agrees(self) -> bool:
        """Whether the kernel's value is the exact one, to rounding; at a pole it may be either infinity, or NaN."""
        if np.isnan(self.exact_value):
            return bool(np.isnan(self.value))
        if np.isinf(self.exact_value):
            return not np.isfinite(self.value)
        return bool(self.value == self.exact_value or abs(self.value - self.exact_value) <= self.value_tolerance)

    def __bool__(self) -> bool:
        return self.value_agrees and not self.trouble and all(row.verdict in ("ok", "kink") for row in self.rows)

    def cells(self) -> list[tuple[str | Cell, ...]]:
        """What a table shows of each row."""
        rows: list[tuple[str | Cell, ...]] = []
        for row in self.rows:
            step = "-" if row.complex_step is None else f"{row.complex_step:.10g}"
            rows.append(
                (ascii(row.name)[1:-1], f"{row.at:.6g}", f"{row.analytic:.10g}", f"{row.central:.10g}",
                 f"{row.relative_error:.1e}", step, f"{row.exact:.10g}", Cell(row.verdict, _STYLES[row.verdict]))
            )  # fmt: skip
        return rows

    def said_of_value(self) -> str:
        """The value, and whether it is right."""
        agrees = "ok" if self.value_agrees else f"WRONG, exactly {self.exact_value:.17g}"
        return f"value {self.value:.17g}: {agrees}"

    def table(self) -> Table:
        """One row per input, and what comes of it below."""
        notes = [Cell(self.said_of_value(), _STYLES["ok" if self.value_agrees else "WRONG"])]
        if self.trouble:
            notes.append(Cell(f"first trouble: {self.trouble}", _STYLES["WRONG"]))
        notes.append(Cell("the gradient agrees", _STYLES["ok"]) if self else Cell("THE CHECK FAILED", _STYLES["WRONG"]))
        return Table(_HEAD, self.cells(), notes=notes)


@dataclass(frozen=True)
class DerivativeCheck(Shown):
    """The checks of several functions: truthy when all is well, prints as tables.

    Of a Jacobian each value is a function; of a Hessian the value is one, and each entry of the gradient.

    Attributes:
        parts: For each function its name and its check.
        trouble: The first gate that made a NaN or infinity of finite arguments, in words; empty if none.
    """

    parts: tuple[tuple[str, GradientCheck], ...]
    trouble: str

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all parts."""
        return tuple(row for _, part in self.parts for row in part.rows)

    def __bool__(self) -> bool:
        return not self.trouble and all(part for _, part in self.parts)

    def table(self) -> Table:
        """A row for each function and each of its derivatives, and what comes of it below."""
        rows: list[tuple[Any, ...]] = []
        notes = []
        for name, part in self.parts:
            shown = ascii(name)[1:-1]
            rows += [(shown, *cells) for cells in part.cells()]
            if not part.value_agrees:
                notes.append(Cell(f"{shown}: {part.said_of_value()}", _STYLES["WRONG"]))
        if self.trouble:
            notes.append(Cell(f"first trouble: {self.trouble}", _STYLES["WRONG"]))
        notes.append(
            Cell("the derivatives agree", _STYLES["ok"]) if self else Cell("THE CHECK FAILED", _STYLES["WRONG"])
        )
        return Table(("of", *_HEAD), rows, notes=notes)


# The outputs of one instance.
Evaluate: TypeAlias = Callable[[Sequence[Any]], list[Any]]


def check(
    setting: Setting,
    definition: Graph,
    evaluate: Evaluate,
    derivative: Derivative = "gradient",
    wrt: Sequence[int] | None = None,
) -> GradientCheck | DerivativeCheck:
    """Checks values and derivatives of a kernel at one point: of arrays up to 8 entries of each.

    `evaluate` is what is checked. `definition` is the graph as lowered, before any law. `wrt` are the inputs that are
    differentiated for, where the graph does not tell.
    """
    graph = setting.compiled
    inputs = [
        value if place in graph.integers else np.float64(np.asarray(value, setting.dtype))  # what the kernel gets
        for place, value in enumerate(setting.inputs)
    ]
    outputs = evaluate(setting.inputs)
    asked = functions(definition, graph, inputs, outputs, graph.wrt if wrt is None else wrt, derivative)
    bounds: list[float] = []
    if graph.over_points:
        bounds = [SLACK * float(bound) for bound in rounding_bounds(graph, inputs, setting.dtype)]
    trouble = _trouble(graph, inputs) if graph.over_points else ""
    is_alone = len(asked) == 1 and not asked[0].name
    found = [_checked(setting, own, inputs, outputs, bounds, trouble if is_alone else "") for own in asked]
    if is_alone:
        return found[0]
    names = [own.name or "value" for own in asked]
    return DerivativeCheck(tuple(zip(names, found, strict=True)), trouble)


def _checked(
    setting: Setting,
    own: Function,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    rounding: Sequence[float],
    trouble: str,
) -> GradientCheck:
    """The check of one function; `rounding` is what that explains of each output, over points."""
    graph, sizes, eps = setting.compiled, setting.sizes, float(np.finfo(setting.dtype).eps)
    entries = [column.entry for column in own.columns]
    analytic = [column.place.of(outputs) for column in own.columns]
    written = Differences(own.written, inputs, sizes)
    is_exact = graph.over_points or written.operations() <= _EXACT_WORK
    places = [column.place.output for column in own.columns]
    if graph.over_points:
        bounds = [SLACK * eps if place is None else rounding[place] for place in places]
    else:
        bounds = [ROUNDINGS * eps if is_exact else _LOOSE] * len(entries)
    computed = Differences(own.computed, inputs, sizes) if is_exact else written
    centrals = [computed.central(entry) for entry in entries]
    if is_exact:
        exact_value, sides = written.exact(entries, bounds)
    else:
        exact_value, sides = written.value(), [[central] * 3 for central in centrals]
    value = float(exact_value) if own.place is None else own.place.of(outputs)
    if graph.over_points:
        value_bound = 0.0 if own.place is None or own.place.output is None else rounding[own.place.output]
    else:
        bounds = [bound * max(1.0, abs(float(exact))) for bound, (exact, *_) in zip(bounds, sides, strict=True)]
        moved = [abs(one) * (abs(entry.of(inputs)) or 1.0) for entry, one in zip(entries, analytic, strict=True)]
        value_bound = ROUNDINGS * eps * (abs(float(exact_value)) + max([0.0, *moved]))
    rows = tuple(
        Row(
            name=column.name,
            at=float(column.entry.of(inputs)),
            analytic=one,
            central=central,
            complex_step=written.complex_step(column.entry) if graph.over_points else None,  # two evaluations each
            exact=float(exact),
            left=float(left),
            right=float(right),
            tolerance=bound,
        )
        for column, one, central, (exact, left, right), bound in zip(
            own.columns, analytic, centrals, sides, bounds, strict=True
        )
    )
    return GradientCheck(rows, value, float(exact_value), value_bound, trouble)


def _relative(a: float, n: float) -> float:
    scale = max(abs(a), abs(n))
    return 0.0 if a == n else abs(a - n) / scale if scale else float("nan")


def _trouble(graph: Graph, point: Sequence[float]) -> str:
    """The first gate, value before gradient, that makes a NaN or infinity out of finite arguments; "" if none."""
    for what, outputs in (("value", graph.values), ("gradient", graph.derivatives)):
        views = views_of(outputs)
        if not views or np.all(np.isfinite(evaluate_graph(graph.with_values(views), point))):
            continue  # an infinity on the way that did no harm
        order = reachable(view.node for view in views)
        values = dict(zip(order, evaluate_graph(graph.with_values(map(positional, order)), point), strict=True))
        for node in _active(views, values):
            arguments = [float(values[edge.node]) for edge in node.arguments]
            if arguments and not np.isfinite(values[node]) and np.all(np.isfinite(arguments)):
                text = formulas(reachable([node]), graph.inputs, {}, 60)[node]
                listed = ", ".join(f"{argument:.6g}" for argument in arguments)
                return f"in the {what}, {node.gate.name}({listed}) is {float(values[node])}: {ascii(text)[1:-1]}"
    return ""


def _active(views: Sequence[View], values: dict[Node, Any]) -> list[Node]:
    """The nodes that matter at this point, arguments first: of a select only the branch that is taken."""
    seen: set[Node] = set()
    stack = [view.node for view in views]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        read = [edge.node for edge in node.arguments]
        if node.gate.name == "select":
            read = [read[0], read[1] if values[read[0]] else read[2]]
        stack.extend(read)
    return sorted(seen, key=lambda node: node.number)
