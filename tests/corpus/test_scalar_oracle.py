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
        made = program(3, number, kinds=1)
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


# --- second derivatives -----------------------------------------------------------------------------------------------


def second_difference(expr: sp.Expr, symbols: tuple[sp.Symbol, ...], point: Point, pair: tuple[int, int]) -> object:
    """By one difference of slopes at 60 digits, with a step that leaves 20 of them."""
    i, j = pair
    h = mp.mpf(10) ** -20
    slopes = []
    for sign in (1, -1):
        near = [mp.mpf(a) for a in point]
        near[j] += sign * h
        slopes.append(slope_at(expr, symbols, near, i))
    return (slopes[0] - slopes[1]) / (2 * h)


def slope_at(expr: sp.Expr, symbols: tuple[sp.Symbol, ...], near: list[object], i: int) -> object:
    h = mp.mpf(10) ** -20
    ends = []
    for sign in (1, -1):
        moved = list(near)
        moved[i] += sign * h
        ends.append(sp.lambdify(symbols, expr, "mpmath")(*moved))
    return (ends[0] - ends[1]) / (2 * h)


SMOOTH = [case for case in CORPUS if not case.hard]


@pytest.mark.parametrize("case", SMOOTH, ids=lambda case: case.name)
def test_second_derivatives_of_formulas_against_differences(case: Case) -> None:
    expr = parse(case.text).expression
    symbols = tuple(sorted(expr.free_symbols, key=lambda symbol: symbol.name))
    columns = points(case, 2)
    for row in zip(*(columns[symbol.name] for symbol in symbols), strict=True):
        found = oracle(expr, symbols, row, order=2).hessian
        for pair, got in found.items():
            if not mp.isfinite(got.value) or not mp.isfinite(got.bound):
                continue
            with mp.workdps(100):
                want = second_difference(expr, symbols, row, pair)
            assert abs(got.value - want) <= mp.mpf(10) ** -15 * (1 + abs(want)) or expr.has(sp.Max, sp.Min, sp.Abs)


PAIRS = [(0, 0), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("expr", "point", "want"),
    [
        (x**3 * sp.exp(y), (2.0, 0.0), (12, 12, 8)),
        (sp.sin(x) / y, (0.0, 2.0), (0, -0.25, 0)),
        (sp.Max(x, y) ** 2, (3.0, 3.0), (0.5, 0.5, 0.5)),
        (sp.Abs(x) * y, (0.0, 3.0), (0, 0, 0)),
        (sp.sqrt(x**2 + y**2), (0.0, 0.0), (0, 0, 0)),
        (sp.sqrt(x**2 + y**2), (3.0, 4.0), (16 / 125, -12 / 125, 9 / 125)),
        (sp.Piecewise((x * y, x > 0), (sp.log(-y), True)), (1.0, 2.0), (0, 1, 0)),
        (sp.Piecewise((sp.log(x) * y, x > 0), (y**2, True)), (-1.0, 2.0), (0, 0, 2)),
        (x**y, (2.0, 3.0), (12, 4 + 12 * math.log(2), 8 * math.log(2) ** 2)),
        (x**y, (0.0, 2.5), (0, 0, 0)),
        (x**y, (0.0, 2.0), (2, 0, 0)),
        (sp.Mod(x, y) ** 2, (7.0, 3.0), (2, -4, 8)),
        (sp.atan2(y, x), (1.0, 2.0), (4 / 25, 3 / 25, -4 / 25)),
        (x ** sp.Rational(5, 2) + y, (0.0, 1.0), (0, 0, 0)),
        (sp.sin(x * y), (1e-300, 1.0), (-1e-300, 1, 0)),
        (sp.Piecewise((sp.sin(3 * x) / (3 * x), sp.Ne(x, 0)), (1, True)) + y, (0.0, 1.0), (-3, 0, 0)),
        (sp.Piecewise((3, sp.Eq(x, 0)), (sp.sin(3 * x) / x, True)) * y, (0.0, 2.0), (-18, 0, 0)),
        (sp.Piecewise((2.5 * sp.sin(0.4 * x) / x, sp.Ne(x, 0)), (1, True)) + y, (0.0, 1.0), (-0.16 / 3, 0, 0)),
        (sp.Piecewise((sp.sin(2 * x * y) / (2 * x * y), sp.Ne(x * y, 0)), (1, True)), (0.0, 3.0), (-12, 0, 0)),
        (sp.Piecewise((sp.sin(x * y) / (x * y), sp.Ne(x, 0)), (1, True)), (0.0, 3.0), (0, 0, 0)),  # y may be 0
    ],
    ids=str,
)  # fmt: skip
def test_second_derivatives_at_special_points(expr: sp.Expr, point: Point, want: tuple[float, ...]) -> None:
    found = oracle(expr, (x, y), point, order=2).hessian
    assert list(found) == PAIRS
    for pair, number in zip(PAIRS, want, strict=True):
        assert agrees(number, found[pair], FORM)
        assert not agrees(number + 1e-6, found[pair], FORM)
        assert not agrees(math.nan, found[pair], FORM)


def test_second_derivatives_that_are_infinite() -> None:
    bend = oracle(x ** sp.Rational(3, 2), (x,), (0.0,), order=2).hessian[0, 0]
    assert agrees(math.inf, bend, FORM)
    assert not agrees(1.0, bend, FORM)


def test_sums_of_squares() -> None:
    assert all(map(is_sum_of_squares, (x**2, x**2 + y**4, x**2 / y**2 + 3 * z**2 / 4, (x - y) ** 2 + 1)))
    assert not any(map(is_sum_of_squares, (x, x**2 + y, x**2 - y**2, x**3, sp.exp(x))))


def test_programs_are_the_same_for_ever() -> None:
    assert [str(program(1, k)) for k in range(20)] == [str(program(1, k)) for k in range(20)]
    assert program(1, 7).points == program(1, 7).points
    assert len({str(program(1, k)) for k in range(100)}) > 80
    assert str(program(1, 7, "jacobian")) == str(program(1, 7, "jacobian"))


def test_outputs_share_their_parts() -> None:
    outputs = [program(1, k, "jacobian").expressions for k in range(200)]
    assert {len(own) for own in outputs} == {1, 2, 3, 4}
    inside = [own for own in outputs if any(a != b and a.has(b) for a in own for b in own)]
    assert len(inside) > 40
