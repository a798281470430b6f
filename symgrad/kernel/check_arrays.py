"""The gradient check of kernels with arrays: some entries of every input, as in the check of scalars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mpmath
import numpy as np

from ..analysis.domains import Domains
from ..analysis.extents import numeric
from ..evaluate.evaluation import evaluate as evaluate_graph
from ..evaluate.evaluation import evaluate_exactly
from ..explore.tracing import Setting
from ..graph.graph import Graph
from .check import CENTRAL_STEP, Evaluate, GradientCheck, Row

DIGITS = 60
STEP = mpmath.mpf(10) ** -25  # of the exact differences, relative to the input
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23}
# The derivative may be off by this many units in the last place of the largest one.
ROUNDINGS = 1024
# How many entries of each input are checked, spread evenly over it.
_ENTRIES = 8
# Beyond this many operations an evaluation at high precision takes seconds: differences in float64 are the judge then.
_EXACT_WORK = 20_000
_LOOSE = 1e-5  # what a central difference in float64 is good for, relative to the largest entry


def check_arrays(setting: Setting, definition: Graph, evaluate: Evaluate) -> GradientCheck:
    """Checks value and gradient of a kernel over arrays: up to 8 entries of each input of `wrt`.

    `evaluate` is what is checked. `definition` is the graph as lowered, before any law.
    """
    arrays, sizes, wrt = setting.inputs, setting.sizes, setting.compiled.wrt
    value, derivatives = evaluate(arrays)
    graph, epsilon, domains = definition, EPSILON[setting.dtype], Domains(definition)
    is_small = sum(_work(domains, node, sizes) for node in graph.order()) <= _EXACT_WORK

    def value_at(given: Sequence[Any], exact: bool) -> Any:
        if exact:
            return evaluate_exactly(graph, given, sizes, DIGITS)[0]
        return float(evaluate_graph(graph, given, sizes)[0])

    exact_value = float(value_at(arrays, is_small))
    rows = []
    scale = 0.0
    for derivative, place in zip(derivatives, wrt, strict=True):
        for at in _entries(np.shape(derivative)):
            row = _row(
                graph.inputs[place], arrays, place, at, float(np.asarray(derivative)[at]), value_at, is_small, epsilon
            )
            rows.append(row)
            scale = max(scale, abs(row.analytic) * (abs(row.at) or 1.0))
    tolerance = ROUNDINGS * epsilon * (abs(exact_value) + scale)
    return GradientCheck(tuple(rows), value, exact_value, tolerance, "")


def _work(domains: Domains, node: Any, sizes: Mapping[str, int]) -> int:
    work = 1
    for bound in domains.of[node].bounds:
        assert bound is not None
        work *= max(1, numeric(bound[1], sizes) - numeric(bound[0], sizes) + 1)
    return work if node.arguments else 0


def _entries(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    count = int(np.prod(shape, dtype=np.int64))
    flat: Any = np.unique(np.linspace(0, count - 1, min(count, _ENTRIES)).astype(np.int64)) if count else []
    return [tuple(int(part) for part in np.unravel_index(place, shape)) if shape else () for place in flat]


def _row(
    array: str,
    arrays: Sequence[Any],
    place: int,
    at: tuple[int, ...],
    analytic: float,
    value_at: Any,
    is_small: bool,
    epsilon: float,
) -> Row:
    name = array + (f"[{', '.join(map(str, at))}]" if at else "")
    here = float(np.asarray(arrays[place], np.float64)[at])

    def moved(step: Any, exact: bool) -> Any:
        array = np.array(arrays[place], object if exact else np.float64)
        array[at] = (mpmath.mpf(here) if exact else here) + step
        given = list(arrays)
        given[place] = array
        return value_at(given, exact)

    step = CENTRAL_STEP * max(abs(here), 1.0)
    central = (moved(step, False) - moved(-step, False)) / ((here + step) - (here - step))
    if not is_small:
        tolerance = _LOOSE * max(1.0, abs(central))
        return Row(name, here, analytic, central, None, central, central, central, tolerance)
    with mpmath.workdps(DIGITS):
        tiny = STEP * (abs(mpmath.mpf(here)) or 1)
        above, below, value = moved(tiny, True), moved(-tiny, True), moved(0, True)
        exact, left, right = (above - below) / (2 * tiny), (value - below) / tiny, (above - value) / tiny
    # What rounding may do: to the entries of this input together, as sums over them do.
    tolerance = ROUNDINGS * epsilon * max(1.0, abs(float(exact)))
    return Row(name, here, analytic, central, None, float(exact), float(left), float(right), tolerance)
