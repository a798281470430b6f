"""The gradient check: analytic against numeric, as one learns to do it, and against 50 digits.

For every input the kernel's derivative `a` is compared with the central difference (f(x + h) - f(x - h))/2h `n`, by the
relative error |a - n| / max(|a|, |n|). Where the expression is analytic the complex step Im f(x + ih)/h is there too
(Squire & Trapp, SIAM Review 40, 1998), which does not cancel; and the judge is the derivative of the expression as the
user wrote it, by differences at 50 digits with mpmath, before any law has touched it. What rounding explains of the
distance from it is counted gate by gate along the graph that is computed: conditioning.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import mpmath
import numpy as np

from ..evaluate.conditioning import rounding_bounds
from ..evaluate.evaluation import Evaluator, evaluate_exactly
from ..evaluate.evaluation import evaluate as evaluate_graph
from ..explore.tracing import Setting
from ..graph.formula import formulas
from ..graph.graph import Graph, reachable, views_of
from ..graph.node import Node, View, positional
from ..tables import Cell, Table

# Working digits of the exact differences, more until two successive ones agree: a saturated tanh(300) is 1 - 1e-260.
DIGITS = (60, 120, 240, 480, 960)
CENTRAL_STEP = float(np.finfo(np.float64).eps ** (1 / 3))
COMPLEX_STEP = mpmath.mpf(10) ** -100
COMPLEX_DIGITS = 140  # some functions have these together for real and imaginary part
# The derivative may be off by this many times what rounding explains to first order; other orders of sums are, too.
SLACK = 4


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
        complex_step: The complex step; None where the expression is not analytic.
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
class GradientCheck:
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

    def table(self) -> Table:
        """One row per input, and what comes of it below."""
        head = ("input", "at", "analytic", "numeric", "rel. error", "complex step", "exact", "verdict")
        rows = []
        for row in self.rows:
            step = "-" if row.complex_step is None else f"{row.complex_step:.10g}"
            rows.append(
                (ascii(row.name)[1:-1], f"{row.at:.6g}", f"{row.analytic:.10g}", f"{row.central:.10g}",
                 f"{row.relative_error:.1e}", step, f"{row.exact:.10g}", Cell(row.verdict, _STYLES[row.verdict]))
            )  # fmt: skip
        agrees = "ok" if self.value_agrees else f"WRONG, exactly {self.exact_value:.17g}"
        notes = [Cell(f"value {self.value:.17g}: {agrees}", _STYLES["ok" if self.value_agrees else "WRONG"])]
        if self.trouble:
            notes.append(Cell(f"first trouble: {self.trouble}", _STYLES["WRONG"]))
        notes.append(Cell("the gradient agrees", _STYLES["ok"]) if self else Cell("THE CHECK FAILED", _STYLES["WRONG"]))
        return Table(head, rows, notes=notes)

    def __str__(self) -> str:
        return str(self.table())

    def __rich__(self) -> Table:
        return self.table()

    def _repr_html_(self) -> str:
        return self.table().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


# Value and derivatives of one instance.
Evaluate: TypeAlias = Callable[[Sequence[Any]], tuple[Any, Sequence[Any]]]


def check(setting: Setting, definition: Graph, evaluate: Evaluate) -> GradientCheck:
    """Checks value and gradient of a kernel over points at one of them.

    `evaluate` is what is checked. `definition` is the graph as lowered, before any law.
    """
    graph, dtype, names = setting.compiled, setting.dtype, setting.compiled.inputs
    kind = np.dtype(dtype).type
    point = [float(kind(value)) for value in setting.inputs]  # what the kernel really gets
    value, derivatives = evaluate(point)
    root = definition
    value_bound, *bounds = (SLACK * float(bound) for bound in rounding_bounds(graph, point, dtype))
    exact_value, sides = _exact_derivatives(root, point, graph.wrt, bounds)
    rows = []
    for at, analytic, (exact, left, right), bound in zip(graph.wrt, derivatives, sides, bounds, strict=True):
        rows.append(
            Row(
                name=names[at],
                at=point[at],
                analytic=analytic,
                central=_central(graph.with_values([graph.values[0].view]), point, at),
                complex_step=_complex_step(root, point, at),
                exact=float(exact),
                left=float(left),
                right=float(right),
                tolerance=bound,
            )
        )
    return GradientCheck(tuple(rows), value, float(exact_value), value_bound, _trouble(graph, names, point))


def _relative(a: float, n: float) -> float:
    scale = max(abs(a), abs(n))
    return 0.0 if a == n else abs(a - n) / scale if scale else float("nan")


def _central(root: Graph, point: Sequence[float], place: int) -> float:
    """The central difference in float64, its step the cube root of the rounding unit."""
    step = CENTRAL_STEP * max(abs(point[place]), 1.0)
    up, down = list(point), list(point)
    up[place], down[place] = point[place] + step, point[place] - step
    columns = np.array([up, down]).T
    (values,) = evaluate_graph(root, list(columns))
    values = np.broadcast_to(values, (2,))
    with np.errstate(all="ignore"):
        return float((values[0] - values[1]) / np.float64(up[place] - down[place]))


def _complex_step(root: Graph, point: Sequence[float], place: int) -> float | None:
    """Im f(x + ih)/h, where every gate is analytic, and the function here: at a branch point it depends on h."""
    if not all(node.gate.analytic for node in root.order()):
        return None
    found = []
    for step in (COMPLEX_STEP, -COMPLEX_STEP / 1024):
        inputs: list[Any] = [mpmath.mpf(value) for value in point]
        inputs[place] = mpmath.mpc(point[place], step)
        (value,) = Evaluator(root).complex(inputs, digits=COMPLEX_DIGITS)
        found.append(mpmath.im(value) / step)
    one, two = found
    return float(one) if abs(one - two) <= 1e-12 * abs(one) else None


def _exact_derivatives(
    root: Graph, point: Sequence[float], places: Sequence[int], bounds: Sequence[float]
) -> tuple[Any, list[Sides]]:
    """The value; and (derivative, that from the left, that from the right) by each input, NaN where there is none.

    `bounds` says how exactly they have to be known. At a jump one side is infinite.
    """
    value, found = mpmath.nan, [_NOTHING] * len(places)
    waiting = list(range(len(places)))
    used = {node.position for node in root.order() if node.gate.name == "input"}
    for digits in DIGITS:
        value_before, before = value, list(found)
        value, differences = _differences(root, point, [places[k] for k in waiting], digits)
        for k, sides in zip(waiting, differences, strict=True):
            found[k] = sides
        waiting = [k for k in waiting if places[k] in used and not _settled(before[k], found[k], bounds[k])]
        if not waiting and _settled([value_before], [value], 0.0):
            break
    if not mpmath.isfinite(value):  # outside of the domain, or a pole
        return value, [_NOTHING] * len(places)
    return value, [
        _judged([_limit(one, two, bound) for one, two in zip(a, b, strict=True)]) if place in used else _ZEROS
        for a, b, place, bound in zip(before, found, places, bounds, strict=True)
    ]


Sides: TypeAlias = Sequence[Any]  # a derivative, that from the left, that from the right
_NOTHING: Sides = [mpmath.nan] * 3
_ZEROS: Sides = [mpmath.mpf(0)] * 3
_SAME = mpmath.mpf(10) ** -18  # relative
_VISIBLE = 1e-30  # what is larger than this, 60 digits show


def _judged(sides: Sides) -> Sides:
    """At the end of its domain a function has the derivative from inside, at a vertical tangent it has none."""
    _, left, right = sides
    inside = [side for side in (left, right) if not mpmath.isnan(side)]
    if all(map(mpmath.isinf, inside)):
        return _NOTHING
    return inside * 3 if len(inside) == 1 else sides


def _settled(before: Sequence[Any], now: Sequence[Any], bound: float) -> bool:
    """Whether numbers are known, from those at fewer digits; a difference of 0 may be digits that are lacking."""
    return all(
        abs(a - b) <= max(_SAME * abs(b), bound / 2**10) and (b != 0 or bound > _VISIBLE)
        for a, b in zip(before, now, strict=True)
        if mpmath.isfinite(b) or mpmath.isfinite(a)
    )


def _limit(a: Any, b: Any, bound: float) -> Any:
    """What a difference tends to: it was `a` for a step, and is `b` for one that is smaller by many digits."""
    if not (mpmath.isfinite(a) and mpmath.isfinite(b)):
        return mpmath.nan
    if abs(a - b) <= _SAME * abs(b):
        return b
    if max(abs(a), abs(b)) <= bound / 2**10 or abs(b) <= abs(a) / 2**32:
        return mpmath.mpf(0)
    if abs(a) < abs(b) / 2**32:
        return mpmath.sign(b) * mpmath.inf
    return b if abs(a - b) <= bound / 2**10 else mpmath.nan


def _differences(root: Graph, point: Sequence[float], places: Sequence[int], digits: int) -> tuple[Any, list[Sides]]:
    """The value; and of each input the central difference and those to the left and to the right, at so many digits."""
    with mpmath.workdps(digits):
        here = [mpmath.mpf(value) for value in point]
        value = evaluate_exactly(root, here, digits=digits)[0]
        found: list[Sides] = []
        for place in places:
            step = mpmath.mpf(10) ** -(2 * digits // 5) * (abs(here[place]) or 1)
            up, down = list(here), list(here)
            up[place], down[place] = here[place] + step, here[place] - step
            above, below = (evaluate_exactly(root, moved, digits=digits)[0] for moved in (up, down))
            found.append([(above - below) / (2 * step), (value - below) / step, (above - value) / step])
        return value, found


def _trouble(graph: Graph, names: Sequence[str], point: Sequence[float]) -> str:
    """The first gate, value before gradient, that makes a NaN or infinity out of finite arguments; "" if none."""
    for what, outputs in (("value", graph.values), ("gradient", graph.gradients)):
        views = views_of(outputs)
        if np.all(np.isfinite(evaluate_graph(graph.with_values(views), point))):
            continue  # an infinity on the way that did no harm
        order = reachable(view.node for view in views)
        values = dict(zip(order, evaluate_graph(graph.with_values(map(positional, order)), point), strict=True))
        for node in _active(views, values):
            arguments = [float(values[edge.node]) for edge in node.arguments]
            if arguments and not np.isfinite(values[node]) and np.all(np.isfinite(arguments)):
                text = formulas([node], names, {}, 60)[node]
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
