"""The oracle of random scalar programs: against differences at many digits, and against the conventions."""

from __future__ import annotations

import math

import pytest
import sympy as sp
from corpus import CORPUS, Case, points
from mpmath import mp
from reference import reference
from scalar_oracle import FORMATS, agrees, is_sum_of_squares, oracle
from scalar_programs import program

from symgrad.language.parse import parse
from tests.gates.test_gates import CONVENTIONS, Point

x, y, z = sp.symbols("x y z")
FORM = FORMATS["float64"]


def near(a: object, b: object) -> bool:
    return bool(abs(a - b) <= mp.mpf(10) ** -25 * abs(b) + mp.mpf(10) ** -400)  # type: ignore[operator]


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_formulas_against_differences(case: Case) -> None:
    expr = parse(case.text).expression
    symbols = sorted(expr.free_symbols, key=lambda symbol: symbol.name)
    columns = points(case, 2)
    for row in zip(*(columns[symbol.name] for symbol in symbols), strict=True):
        found, want = oracle(expr, symbols, row, "exact"), reference(expr, symbols, row)
        known = oracle(expr, symbols, row)
        columns_ = [found.value, *found.gradient], [want.value, *want.gradient], [known.value, *known.gradient]
        for got, number, for_floats in zip(*columns_, strict=True):
            assert near(got.value, number) or abs(got.value - number) <= got.bound
            assert for_floats.bound <= 1e-9 * (1 + abs(number)) or case.hard


def test_random_programs_against_differences() -> None:
    """Where differences settle, and are derivatives, the slopes are the same."""
    compared = 0
    for number in range(400):
        made = program(3, number, 1)
        (point,) = made.points
        if not all(0.01 < abs(a) < 100 for a in point) or made.expr.has(sp.Mod, sp.floor, sp.ceiling, sp.frac):
            continue
        found, want = oracle(made.expr, made.symbols, point), reference(made.expr, made.symbols, point)
        rows = [(found.value, want.value), *zip(found.gradient, want.gradient, strict=True)]
        for got, number_ in rows:
            if mp.isfinite(number_) and mp.isfinite(got.value) and got.bound < 1e-6 * abs(got.value):
                compared += 1
                assert near(got.value, number_), (str(made), point)
    assert compared > 200


@pytest.mark.parametrize(("name", "expr", "point", "want"), CONVENTIONS, ids=[row[0] for row in CONVENTIONS])
def test_conventions(name: str, expr: sp.Expr, point: Point, want: tuple[float, ...]) -> None:
    if not all(map(math.isfinite, point)):
        pytest.skip("the oracle takes numbers")
    symbols = (x, y, z)[: len(point)]
    found = oracle(expr, symbols, point)
    for got, number in zip([found.value, *found.gradient], want, strict=True):
        assert agrees(number, got, FORM)
        if math.isfinite(want[0]) and math.isfinite(number) and name not in ("sine_quotient_at_zero", "relu"):
            assert got.bound < 1e-6, "it is known here"
            assert not agrees(number + 1e-6, got, FORM)
            assert not agrees(math.nan, got, FORM)


@pytest.mark.parametrize(
    ("expr", "point", "want"),
    [
        (x ** sp.Rational(3, 2), (0.0,), (0, 0)),
        (x ** sp.Float(1.5), (0.0,), (0, 0)),
        (x ** sp.Rational(4, 3), (0.0,), (0, 0)),
        (sp.Max(0, x) ** sp.Rational(3, 2), (0.0,), (0, 0)),
        (sp.sqrt(x**4), (0.0,), (0, 0)),
        (sp.sqrt(x**2 / y**2 + 3 * z**2), (0.0, 2.0, 0.0), (0, 0, 0, 0)),
        (sp.Min(sp.exp(x), 1), (1000.0,), (1, 0)),
        (sp.Max(sp.log(x), -10), (0.0,), (-10, 0)),
        (sp.Max(sp.sqrt(x), 1), (0.0,), (1, 0)),
        (sp.Min(1 / x**2, 5), (0.0,), (5, 0)),
        (sp.Min(2, x**2 / y**2), (3.0, 0.0), (2, 0, 0)),
        (1 / (1 + sp.exp(-x)), (40.0,), (1, math.exp(-40))),
        (sp.sqrt(x / y - 1) * sp.sin(1 / y), (49.0, 49.0), (0,)),
        (sp.acot(x), (-0.0,), (math.pi / 2, -1)),
        (x ** sp.Rational(2, 3), (0.0,), (0, math.inf)),
        (sp.sqrt(x), (-1.0,), (math.nan,)),
        (x**-2, (0.0,), (math.inf,)),
        (sp.Mod(x, y), (7.0, 3.0), (1, 1, -2)),
    ],
    ids=str,
)  # fmt: skip
def test_special_points(expr: sp.Expr, point: Point, want: tuple[float, ...]) -> None:
    found = oracle(expr, (x, y, z)[: len(point)], point)
    for got, number in zip([found.value, *found.gradient], want, strict=False):
        assert agrees(number, got, FORM)
        assert not agrees(1.25, got, FORM)


@pytest.mark.parametrize(
    ("expr", "point"),
    [
        (sp.exp(x) / sp.exp(y + 1), (1000.0, 1000.0)),  # an overflow on the way
        (sp.Piecewise((1, x + y > sp.Rational(3, 10)), (2, True)), (0.1, 0.2)),  # on which side is decided by rounding
        (sp.floor(x * y), (0.1, 10.0)),
        (sp.log(x + y + z), (0.1, 0.2, -0.3)),  # of a rounded zero
    ],
    ids=str,
)
def test_what_floats_cannot_know(expr: sp.Expr, point: Point) -> None:
    assert oracle(expr, (x, y, z)[: len(point)], point).value.bound == mp.inf


def test_sums_of_squares() -> None:
    assert all(map(is_sum_of_squares, (x**2, x**2 + y**4, x**2 / y**2 + 3 * z**2 / 4, (x - y) ** 2 + 1)))
    assert not any(map(is_sum_of_squares, (x, x**2 + y, x**2 - y**2, x**3, sp.exp(x))))


def test_programs_are_the_same_for_ever() -> None:
    assert [str(program(1, k)) for k in range(20)] == [str(program(1, k)) for k in range(20)]
    assert program(1, 7).points == program(1, 7).points
    assert len({str(program(1, k)) for k in range(100)}) > 80
