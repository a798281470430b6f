"""Value and gradient of every formula of the corpus, at single points and in batches, against mpmath."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS, EDGES, Case, Edge, is_near, points
from mpmath import mp
from reference import Reference, agrees, explain, reference
from together import Batch, gradient_graph, interpreted

import symgrad
from symgrad.language.parse import parse

POINTS = 3
CASES = {case.name: case for case in CORPUS}
# Compiling costs most of a second: strict is tried on every fifth case.
MODES = [(case.name, "fast") for case in CORPUS] + [(case.name, "strict") for case in CORPUS[::5]]


@cache
def references(name: str) -> list[Reference]:
    """The reference at each point of the case, the variables in the order of its ranges."""
    case = CASES[name]
    expr, symbols = parse(case.text).expression, [_symbol(case, variable) for variable in case.ranges]
    return [reference(expr, symbols, point) for point in zip(*points(case, POINTS).values(), strict=True)]


@pytest.mark.parametrize("name", CASES)
def test_ranges_name_exactly_the_variables(name: str) -> None:
    case = CASES[name]
    assert {symbol.name for symbol in parse(case.text).expression.free_symbols} == set(case.ranges)


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_finite_floats(name: str) -> None:
    for at in references(name):
        assert all(mp.isfinite(number) and abs(number) < np.finfo(float).max for number in (at.value, *at.gradient))


@pytest.mark.parametrize(("name", "accuracy"), MODES, ids=[f"{name}-{accuracy}" for name, accuracy in MODES])
def test_kernel_agrees_with_mpmath(name: str, accuracy: str) -> None:
    case = CASES[name]
    kernel = symgrad.compile(case.text, accuracy=accuracy)
    inputs = points(case, POINTS)
    errors = []
    for k, want in enumerate(references(name)):
        value, grad = kernel(**{variable: float(x[k]) for variable, x in inputs.items()})
        partials = {variable: grad[variable] for variable in case.ranges}
        errors += [f"point {k}, {line}" for line in _disagreements(value, partials, want)]
    values, grads = kernel(**inputs)
    assert values.shape == (POINTS,)
    for k, want in enumerate(references(name)):
        partials = {variable: grads[variable][k] for variable in case.ranges}
        errors += [f"batch, point {k}, {line}" for line in _disagreements(values[k], partials, want)]
    assert not errors, "\n".join([f"{name}: {case.hard or case.text}", *errors])


def _disagreements(value: float, partials: dict[str, float], want: Reference) -> list[str]:
    rows = [("value", value, want.value, want.value_sensitivity)]
    rows += zip([f"d_{x}" for x in partials], partials.values(), want.gradient, want.gradient_sensitivity, strict=True)
    return [f"{label}: {explain(got, number, by)}" for label, got, number, by in rows if not agrees(got, number, by)]


def _symbol(case: Case, variable: str) -> sp.Symbol:
    """The symbol of that name in the parsed expression, with whatever assumptions it has there."""
    return next(symbol for symbol in parse(case.text).expression.free_symbols if symbol.name == variable)


# --- special points ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_special_point_interpreted(edge: Edge) -> None:
    got = [float(number) for number in interpreted(gradient_graph(edge.text), edge.point)]
    assert is_near(got, edge.wanted), got


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_special_point_as_plain_python(edge: Edge) -> None:
    """Where Python's functions raise nothing, as they do at poles and where they overflow."""
    module: dict[str, Any] = {}
    exec(symgrad.emit(edge.text, target="python"), module)
    try:
        value, gradient = module["kernel"](*edge.point)
    except (ValueError, ZeroDivisionError, OverflowError):
        return
    assert is_near([value, *gradient], edge.wanted), (value, gradient)


@pytest.mark.parametrize("accuracy", ["fast", "strict"])
@pytest.mark.parametrize("part", range(0, len(EDGES), 20))
def test_special_points_compiled(part: int, accuracy: str) -> None:
    rows = EDGES[part : part + 20]
    batch = Batch([gradient_graph(e.text) for e in rows], [[e.point] for e in rows], "float64", accuracy, singly=True)
    wrong = []
    for way, results in (("batch", batch.results), ("point", batch.single)):
        for edge, outputs in zip(rows, results, strict=True):
            got = [float(output[0]) for output in outputs]
            if not is_near(got, edge.wanted):
                wrong.append(f"{way} {edge.name}: {edge.text} at {edge.point}: got {got}, want {edge.wanted}")
    assert not wrong, "\n".join(wrong)
