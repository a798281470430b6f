"""Where a number goes wrong on the way from an expression to its program: `symgrad.debug.bisect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np

from .analysis.shapes import bind
from .compiler import Stages, Wrt
from .evaluate.evaluation import evaluate_exactly
from .graph.gate import Numeric
from .graph.graph import Graph, sizes_of
from .tables import Table
from .transform.differentiate import differentiate
from .transform.pipeline import PASSES, Pass
from .transform.simplify import simplify

DIGITS = 50
# A stage that computes the same function agrees to all digits but those that cancel.
_SAME = mpmath.mpf(10) ** -25


class Bisection(NamedTuple):
    """The value after each stage, and where it or a derivative first moves: prints as a table.

    Attributes:
        values: The name of each stage, in order, and the value after it as a number of mpmath.
        stage: After which numbers are others than those of the graph as lowered; None if after none.
        law: The first law of that stage without which they are not; None if the stage has no laws, or no law did it.
        difference: The largest difference there, relative to the largest number; 0 if there is none.
    """

    values: tuple[tuple[str, Numeric], ...]
    stage: str | None
    law: str | None
    difference: float

    def __str__(self) -> str:
        rows = [(name, mpmath.nstr(value, 20)) for name, value in self.values]
        if self.stage is None:
            note = "no stage changes the value or a derivative"
        else:
            law = f", by the law {self.law}" if self.law else ""
            note = f"numbers move at the stage {self.stage}{law}: by {self.difference:.3g}"
        return str(Table(("stage", "value"), rows, "", [note], left=frozenset({0})))


def bisect(
    expr: Any, point: Mapping[str, Any] | Sequence[Any], wrt: Wrt = None, gates: Sequence[type] = ()
) -> Bisection:
    """Evaluates the graph after each stage with 50 digits: which stage, and which law, first changes the numbers?

    For those who change symgrad: of a kernel whose numbers are wrong it names the pass at fault; none, where that is
    rounding, or the target.

    Args:
        expr: As for `symgrad.compile`.
        point: A value for each input, by name or in the order of the arguments: numbers and arrays.
        wrt: As for `symgrad.compile`.
        gates: As for `symgrad.compile`.

    Returns:
        What the value is after each stage, and the stage and law at fault.

    Raises:
        TypeError: Inputs are missing or unknown.
        ValueError: There are several outputs.
        SymgradError: What `symgrad.compile` raises.
    """
    stages = Stages(expr, None, wrt, gates)
    if not stages.outputs.is_number:
        raise ValueError("bisect follows one number through the stages: give it one of the outputs")
    inputs = _ordered(point, [symbol.name for symbol in stages.args])
    positions = [stages.args.index(symbol) for symbol in stages.wrt]
    numbers = {name: _numbers(graph, positions, inputs) for name, graph in stages.graphs.items()}
    values = tuple((name, found[0]) for name, found in numbers.items())
    want = numbers["graph"]
    before = stages.graph
    for step in PASSES:
        if (difference := _difference(numbers[step.result], want)) > _SAME:
            law = _first_law(step, before, positions, inputs, want)
            return Bisection(values, step.result, law, float(difference))
        before = stages.graphs[step.result]
    return Bisection(values, None, None, 0.0)


def _ordered(point: Mapping[str, Numeric] | Sequence[Numeric], names: list[str]) -> list[Numeric]:
    """The values of the inputs in the order of the arguments."""
    if not isinstance(point, Mapping):
        if len(point) != len(names):
            raise TypeError(f"{len(point)} values for {len(names)} inputs: {', '.join(names)}")
        return list(point)
    missing, unknown = [n for n in names if n not in point], [n for n in point if n not in names]
    if missing or unknown:
        what = f"missing {', '.join(missing)}" if missing else f"no input is called {', '.join(unknown)}"
        raise TypeError(f"{what}; the inputs are {', '.join(names)}")
    return [point[name] for name in names]


def _first_law(
    step: Pass, before: Graph, positions: list[int], inputs: Sequence[Numeric], want: Sequence[Numeric]
) -> str | None:
    """Of the laws that a pass applied the first that moves the numbers, when they are allowed one after the other."""
    fired: Counter[str] = Counter()
    if not step.families:
        return None
    simplify(before, step.families, fired)
    allowed: list[str] = []
    for law in fired:
        allowed.append(law)
        graph = simplify(before, step.families, only=allowed)
        if _difference(_numbers(graph, positions, inputs), want) > _SAME:
            return law
    return None


def _numbers(graph: Graph, positions: list[int], inputs: Sequence[Numeric]) -> list[Numeric]:
    """The value and all derivatives, to 50 digits."""
    if not graph.derivatives:
        graph = differentiate(graph, positions)
    if graph.over_points:
        return evaluate_exactly(graph, [float(value) for value in inputs], digits=DIGITS)
    sizes = {size.name for size in sizes_of(graph)}
    extents = {name: int(value) for name, value in zip(graph.inputs, inputs, strict=True) if name in sizes}
    arrays = [np.asarray(value) for value in inputs]
    told = bind(graph.inputs, graph.shapes, [array.shape for array in arrays], extents)
    found = evaluate_exactly(graph, arrays, told, DIGITS)
    return [number for array in found for number in np.ravel(array)]


def _difference(found: Sequence[Numeric], want: Sequence[Numeric]) -> Numeric:
    """The largest difference, relative to the largest number; infinite where one is no number and the other is."""
    scale = max([abs(number) for number in want if mpmath.isfinite(number)], default=mpmath.mpf(0)) or mpmath.mpf(1)
    return max(map(lambda one, two: _apart(one, two) / scale, found, want), default=mpmath.mpf(0))


def _apart(one: Numeric, two: Numeric) -> Numeric:
    if mpmath.isfinite(one) and mpmath.isfinite(two):
        return abs(one - two)
    same = one == two or (mpmath.isnan(one) and mpmath.isnan(two))
    return mpmath.mpf(0) if same else mpmath.inf
