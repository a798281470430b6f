"""The gradient check: analytic against numeric, as one learns to do it, and against 50 digits.

For every input the kernel's derivative `a` is compared with the central difference (f(x + h) - f(x - h))/2h `n`, by the
relative error |a - n| / max(|a|, |n|). Where the expression is analytic the complex step Im f(x + ih)/h is there too
(Squire & Trapp, SIAM Review 40, 1998), which does not cancel; and the judge is the derivative of the expression as the
user wrote it, by differences at 50 digits with mpmath, before any law has touched it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from .formula import formulas
from .graph import Node, View, reachable
from .interpret import evaluate, evaluate_exactly
from .tables import Cell, Table

if TYPE_CHECKING:
    from .kernel import Kernel

DIGITS = 60
STEP = mpmath.mpf(10) ** -25  # of the exact differences, relative to the input
CENTRAL_STEP = float(np.finfo(np.float64).eps ** (1 / 3))
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23}
# The derivative may be off by this many units of what one rounding of the inputs does to it, or of its last place.
ROUNDINGS = 1024

# Gates whose complex continuation NumPy computes, so that a complex step is the derivative.
_ANALYTIC = {
    "constant", "input", "add", "mul", "div", "neg", "power", "exp", "log", "sqrt", "sin", "cos", "tan", "sinh",
    "cosh", "tanh", "expm1", "log1p", "sec", "csc", "cot", "sech", "csch", "coth", "asin", "acos", "atan",
    "asinh", "acosh", "atanh",
}  # fmt: skip


# What a verdict looks like in a terminal.
_STYLES = {"ok": "green", "kink": "yellow", "undefined": "yellow", "WRONG": "bold red"}


@dataclass(frozen=True)
class Row:
    """One input: its value, and its derivative in four ways."""

    name: str
    at: float
    analytic: float  # the kernel's
    central: float  # difference in floating point
    complex_step: float | None  # None where the expression is not analytic
    exact: float  # differences at 50 digits
    left: float  # one-sided, at 50 digits: differ at a kink
    right: float
    tolerance: float  # absolute

    @property
    def relative_error(self) -> float:
        """|analytic - central| / max(|analytic|, |central|), as in the lecture; 0 where both are 0."""
        return _relative(self.analytic, self.central)

    @property
    def is_kink(self) -> bool:
        """Whether the derivatives from the two sides differ: then any number between them is a subgradient."""
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
    """The result of a gradient check: truthy when all is well, prints as a table."""

    rows: tuple[Row, ...]
    value: float
    exact_value: float
    value_tolerance: float
    trouble: str  # the first gate that made a NaN or infinity of finite arguments, in words; empty if none

    @property
    def value_agrees(self) -> bool:
        """Whether the kernel's value is the exact one, to rounding."""
        if np.isnan(self.exact_value):
            return bool(np.isnan(self.value))
        return self.value == self.exact_value or abs(self.value - self.exact_value) <= self.value_tolerance

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


def check(kernel: Kernel, point: Sequence[float]) -> GradientCheck:
    """Checks the kernel's value and gradient at `point` (numbers, in `args` order)."""
    dtype = kernel._options["dtype"]
    kind = np.dtype(dtype).type
    point = [float(kind(value)) for value in point]  # what the kernel really gets
    value, derivatives = kernel._point(*point)
    root = kernel.definition.values[0]
    # One rounding of each input, carried through at 60 digits, is the measure of what rounding may do.
    epsilon = EPSILON[dtype]
    exact_value, exact, noise = _exact_derivatives(root, kernel, point)
    rows = []
    for place, symbol in enumerate(kernel.wrt):
        at = kernel.args.index(symbol)
        derivative, left, right = exact[place]
        tolerance = ROUNDINGS * epsilon * float(abs(derivative) + noise[place])
        rows.append(
            Row(
                name=symbol.name,
                at=point[at],
                analytic=derivatives[place],
                central=_central(kernel.graph.values[0], point, at),
                complex_step=_complex_step(root, point, at),
                exact=float(derivative),
                left=float(left),
                right=float(right),
                tolerance=tolerance,
            )
        )
    sensitivity = sum(
        (abs(mpmath.mpf(x)) * abs(d[0]) for x, d in zip(_at(kernel, point), exact, strict=True)), mpmath.mpf(0)
    )
    value_tolerance = ROUNDINGS * epsilon * float(abs(exact_value) + sensitivity)
    return GradientCheck(tuple(rows), value, float(exact_value), value_tolerance, _trouble(kernel, point))


def _at(kernel: Kernel, point: Sequence[float]) -> list[float]:
    return [point[kernel.args.index(symbol)] for symbol in kernel.wrt]


def _relative(a: float, n: float) -> float:
    scale = max(abs(a), abs(n))
    return 0.0 if a == n else abs(a - n) / scale if scale else float("nan")


def _central(root: View, point: Sequence[float], place: int) -> float:
    """The central difference in float64, its step the cube root of the rounding unit."""
    step = CENTRAL_STEP * max(abs(point[place]), 1.0)
    up, down = list(point), list(point)
    up[place], down[place] = point[place] + step, point[place] - step
    columns = np.array([up, down]).T
    (values,) = evaluate([root], list(columns))
    values = np.broadcast_to(values, (2,))
    with np.errstate(all="ignore"):
        return float((values[0] - values[1]) / np.float64(up[place] - down[place]))


def _complex_step(root: View, point: Sequence[float], place: int) -> float | None:
    """Im f(x + ih)/h, where every gate is analytic."""
    if any(node.gate.name not in _ANALYTIC for node in reachable([root.node])):
        return None
    step = 1e-100
    inputs = [complex(value, step if i == place else 0.0) for i, value in enumerate(point)]
    (value,) = evaluate([root], inputs, np.complex128)
    derivative = float(value.imag) / step
    return derivative if abs(derivative) < 1 / np.sqrt(step) else None  # the value itself is complex here


def _exact_derivatives(
    root: View, kernel: Kernel, point: Sequence[float]
) -> tuple[Any, list[tuple[Any, Any, Any]], list[Any]]:
    """Value; (derivative, from the left, from the right) per `wrt`; and how rounding of the inputs moves each."""
    epsilon = EPSILON[kernel._options["dtype"]]
    places = [kernel.args.index(symbol) for symbol in kernel.wrt]
    with mpmath.workdps(DIGITS):
        here = [mpmath.mpf(value) for value in point]
        value = evaluate_exactly([root], here, DIGITS)[0]
        found = [_sides(root, here, place, value) for place in places]
        noise = [mpmath.mpf(0)] * len(places)
        for signs in (lambda i: 1, lambda i: (-1) ** i):
            moved = [x * (1 + signs(i) * mpmath.mpf(epsilon)) for i, x in enumerate(here)]
            value_moved = evaluate_exactly([root], moved, DIGITS)[0]
            for row, place in enumerate(places):
                change = abs(_sides(root, moved, place, value_moved)[0] - found[row][0]) / epsilon
                if mpmath.isfinite(change):
                    noise[row] = max(noise[row], change)
        return value, found, noise


def _sides(root: View, here: Sequence[Any], place: int, value: Any) -> tuple[Any, Any, Any]:
    step = STEP * (abs(here[place]) or 1)
    up, down = list(here), list(here)
    up[place], down[place] = here[place] + step, here[place] - step
    above = evaluate_exactly([root], up, DIGITS)[0]
    below = evaluate_exactly([root], down, DIGITS)[0]
    return (above - below) / (2 * step), (value - below) / step, (above - value) / step


def _trouble(kernel: Kernel, point: Sequence[float]) -> str:
    """The first gate, value before gradient, that makes a NaN or infinity out of finite arguments; "" if none."""
    for what, views in (("value", kernel.graph.values), ("gradient", kernel.graph.gradients)):
        if np.all(np.isfinite(evaluate(views, point))):
            continue  # an infinity on the way that did no harm
        order = reachable(view.node for view in views)
        values = dict(zip(order, evaluate([View(node) for node in order], point), strict=True))
        for node in _active(views, values):
            arguments = [float(values[edge.node]) for edge in node.arguments]
            if arguments and not np.isfinite(values[node]) and np.all(np.isfinite(arguments)):
                text = formulas([node], [symbol.name for symbol in kernel.args], {}, 60)[node]
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
