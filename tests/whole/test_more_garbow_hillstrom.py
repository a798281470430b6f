"""All test problems of Moré, Garbow & Hillstrom (1981): Jacobians of the residuals, Hessians of the sums of squares.

The references are differences, at 100 digits, of functions that know nothing of SymPy; both are as published.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from more_garbow_hillstrom import PROBLEMS
from more_garbow_hillstrom_reference import REFERENCES, sum_of_squares
from mpmath import mp

import symgrad
from symgrad.compiler import Stages
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly

DIGITS, STEP = 100, -25  # of differences, whose error is that of the square of the step
SAME = mpmath.mpf(10) ** -35  # of 60 digits and of those
# Of floats, relative to the largest entry of the row and column; the sums of squares cancel in badly scaled problems.
ROUNDING = 4e-12

Point = tuple[float, ...]
Entries = dict[tuple[int, ...], Any]
by_name = pytest.mark.parametrize("name", PROBLEMS)


def symbols_of(name: str) -> tuple[sp.Symbol, ...]:
    return tuple(sp.symbols(f"x:{len(PROBLEMS[name].start)}"))


def expression(name: str, derivative: str) -> Any:
    rows = PROBLEMS[name].rows(symbols_of(name))
    return rows if derivative == "jacobian" else sum(own**2 for own in rows)


def points(name: str) -> list[Point]:
    """The published start, and a point beside it."""
    start = PROBLEMS[name].start
    moves = np.random.default_rng(len(name)).uniform(0.02, 0.1, len(start))
    return [start, tuple(float(a * (1 + move) + move / 8) for a, move in zip(start, moves, strict=True))]


def test_all_of_them() -> None:
    assert len(PROBLEMS) == 35
    assert PROBLEMS.keys() == REFERENCES.keys()


@by_name
def test_published_sums_of_squares(name: str) -> None:
    problem, reference = PROBLEMS[name], REFERENCES[name]
    rows = sp.lambdify(symbols_of(name), problem.rows(symbols_of(name)), "mpmath")
    for point, published in ((problem.start, problem.at_start), (problem.solution, problem.at_solution)):
        if point is not None and published is not None:
            with mp.workdps(50):
                at = list(map(mp.mpf, point))
                found = sum_of_squares(reference(at))
                assert float(found) == pytest.approx(published, rel=2e-5, abs=1e-10)
                assert abs(sum_of_squares(rows(*at)) - found) <= 1e-40 * (1 + found)


def moved(function: Callable[[list[Any]], list[Any]], point: Point, *steps: tuple[int, int]) -> list[Any]:
    near = list(map(mp.mpf, point))
    for place, sign in steps:
        near[place] += sign * mp.mpf(10) ** STEP * (1 + abs(mp.mpf(point[place])))
    return function(near)


@cache
def wanted(name: str, point: Point, derivative: str) -> Entries:
    """By row and column, or by both columns, by central differences."""
    found: Entries = {}
    with mp.workdps(DIGITS):
        sizes = [2 * mp.mpf(10) ** STEP * (1 + abs(mp.mpf(a))) for a in point]
        for i, size in enumerate(sizes):
            if derivative == "jacobian":
                ends = [moved(REFERENCES[name], point, (i, sign)) for sign in (1, -1)]
                found |= {(row, i): (up - down) / size for row, (up, down) in enumerate(zip(*ends, strict=True))}
                continue
            for j in range(i + 1):
                corners = {
                    signs: sum_of_squares(moved(REFERENCES[name], point, (i, signs[0]), (j, signs[1])))
                    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))
                }
                found[0, i, j] = sum(s * t * own for (s, t), own in corners.items()) / (size * sizes[j])
    return found


@cache
def stages(name: str, derivative: str) -> Stages:
    return Stages(expression(name, derivative), symbols_of(name), None, (), None, derivative)


def complaints(found: Entries, want: Entries, allowed: Callable[[tuple[int, ...]], Any]) -> list[str]:
    """Where entries differ; what is structurally 0 is not among those that are found."""
    assert found.keys() <= want.keys()
    pairs = ((key, found.get(key, 0.0), number) for key, number in want.items())
    return [
        f"{key}: {got}, not {mp.nstr(number, 17)}"
        for key, got, number in pairs
        if not abs(got - number) <= allowed(key)
    ]


def sizes(want: Entries) -> Callable[[tuple[int, ...]], Any]:
    """The largest entry of the row, and of the column, of an entry: the smaller of the two."""
    largest: dict[tuple[int, int], Any] = {}
    for key, number in want.items():
        for side, place in enumerate(key[-2:]):
            largest[side, place] = max(abs(number), largest.get((side, place), 0))
    return lambda key: min(largest[side, place] for side, place in enumerate(key[-2:]))


@pytest.mark.parametrize("derivative", ["jacobian", "hessian"])
@by_name
def test_derivatives(name: str, derivative: str) -> None:
    made, order = stages(name, derivative), 1 + (derivative == "hessian")
    module: dict[str, Any] = {}
    exec(symgrad.emit(expression(name, derivative), symbols_of(name), derivative=derivative, target="python"), module)

    def entries(numbers: Any) -> Entries:
        outputs = zip(made.simplified.outputs, numbers, strict=True)
        return {(output.of, *output.by): number for output, number in outputs if len(output.by) == order}

    for point in points(name):
        want = wanted(name, point, derivative)
        exactly = entries(evaluate_exactly(made.simplified, point, digits=60))
        assert not complaints(exactly, want, lambda key, want=want: SAME * (1 + abs(want[key])))
        values, derivatives = module["kernel"](*point)
        values = values if isinstance(values, tuple) else (values,)
        size = sizes(want)
        for numbers in (evaluate(made.simplified, list(point)), [*values, *derivatives]):
            assert not complaints(entries(numbers), want, lambda key, size=size: ROUNDING * size(key))


@pytest.mark.parametrize("derivative", ["jacobian", "hessian"])
def test_compiled(derivative: str, request: pytest.FixtureRequest) -> None:
    """Every seventh problem, all with --all-rows."""
    names = list(PROBLEMS)[:: 1 if request.config.getoption("--all-rows") else 7]
    for name in names:
        kernel = symgrad.compile(expression(name, derivative), symbols_of(name), derivative=derivative)
        for point in points(name):
            found = np.asarray(kernel(*point)[-1])
            want = wanted(name, point, derivative)
            got = {key: found[key[-2:]] for key in want}
            size = sizes(want)
            assert not complaints(got, want, lambda key, size=size: ROUNDING * size(key)), name
