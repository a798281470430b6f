"""The reference itself: against SymPy's own derivatives and evalf, and on floats near the borders."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS, points
from mpmath import mp, mpf
from reference import _RULES, agrees, evaluate, explain, plan, reference, ulp

x, y, z = sp.symbols("x y z", real=True)
EPS = 2.0**-52

SMOOTH = [
    (x + y) * z,
    sp.exp(x * y) / (1 + z**2),
    sp.sin(x) ** 3 * sp.log(y) + sp.sqrt(z),
    y**x + z ** sp.Rational(1, 3),
    sp.erf(x) * sp.atan2(y, z),
    sp.loggamma(y) * sp.gamma(z) + sp.asinh(x),
    1 - sp.tanh(100 * y + x),
    sp.pi * x / 3 + sp.E**y - 2 * z,
]
POINT = (-0.7, 1.3, 2.9)


@pytest.mark.parametrize("expr", SMOOTH, ids=str)
def test_derivatives_are_those_of_sympy(expr: sp.Expr) -> None:
    found = reference(expr, (x, y, z), POINT)
    at = {symbol: sp.Rational(number) for symbol, number in zip((x, y, z), POINT, strict=True)}
    for got, exact in zip([found.value, *found.gradient], [expr, *(expr.diff(s) for s in (x, y, z))], strict=True):
        assert _close(got, exact.subs(at), digits=45)


def test_sensitivity_counts_inputs_and_rounded_constants() -> None:
    found = reference(x * y**2 + z / 3, (x, y, z), (2.0, 3.0, 5.0))
    third = sp.Rational(1, 3)
    assert _close(found.value_sensitivity * 2 / EPS, 2 * 9 + 3 * 12 + 5 * third + third * 5, digits=14)
    assert _close(found.gradient_sensitivity[1] * 2 / EPS, 2 * 6 + 3 * 4, digits=14)
    assert _close(found.gradient_sensitivity[2] * 2 / EPS, third, digits=14)


@pytest.mark.parametrize("function", _RULES, ids=lambda function: function.__name__)
def test_rules_are_those_of_sympy(function: type[sp.Basic]) -> None:
    number = sp.Rational(7, 4) if function not in (sp.asin, sp.acos, sp.atanh, sp.asech) else sp.Rational(3, 8)
    binary = function in (sp.Add, sp.Mul, sp.Pow, sp.atan2, sp.Max, sp.Min, sp.Mod)
    args = (number, sp.Rational(5, 8)) if binary else (number,)
    unknown = sp.symbols(f"a:{len(args)}", real=True)
    with mp.workdps(60):
        at = dict(zip(unknown, (mpf(arg.p) / arg.q for arg in args), strict=True))
        got = evaluate(plan(function(*unknown)), at)
    assert _close(got, function(*args), digits=45)


def test_untaken_branches_do_not_matter() -> None:
    f = sp.Piecewise((1 / sp.Max(0, x), x > 0), (sp.log(-y), z > 0), (x * y, True))
    found = reference(f, (x, y, z), (-2.0, 3.0, -1.0))
    assert [found.value, *found.gradient] == [-6, 3, -2, 0]


@pytest.mark.parametrize(
    "condition", [(x > 0) & (y > 0), (x > 0) | (y > 0), ~(x > y), sp.Xor(x > 0, y > 0), sp.Eq(x, y)]
)
@pytest.mark.parametrize("at", [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)])
def test_conditions(condition: sp.Basic, at: tuple[float, float]) -> None:
    truth = bool(condition.subs(dict(zip((x, y), at, strict=True))))
    f = sp.Piecewise((1, condition), (0, True))
    numbers = dict(zip((x, y), map(mpf, at), strict=True))
    assert evaluate(plan(f), numbers) == truth


@pytest.mark.parametrize(
    ("expr", "number"),
    [(sp.sqrt(x), -1.0), (sp.log(x), -1.0), (x**x, -0.5), (1 / x, 0.0), (sp.acosh(x), 0.5), (sp.loggamma(x), -0.5)],
    ids=str,
)
def test_complex_values_and_poles_are_nan(expr: sp.Expr, number: float) -> None:
    assert mp.isnan(reference(expr, [x], [number]).value)


def test_conventions_of_sympy() -> None:
    def at(expr: sp.Expr, number: float) -> float:
        return float(reference(expr, [x], [number]).value)

    assert at(sp.acot(x), -2.0) == math.atan(-0.5)
    assert at(sp.Mod(x, 3), -1.0) == 2
    assert at(sp.frac(x), -1.25) == 0.75
    assert at(sp.sinc(x), 0.0) == 1
    assert at(sp.Heaviside(x), 0.0) == 0.5
    assert at(x**2, -3.0) == 9
    assert at(sp.Pow(x, x, evaluate=False), 0.0) == 1


def test_tiny_derivatives_are_not_lost() -> None:
    found = reference(sp.tanh(x), [x], [300.0])
    assert _close(found.gradient[0], 1 / sp.cosh(300) ** 2, digits=45)
    assert reference(sp.floor(x) + y, [x, y], [0.5, 1.0]).gradient == [0, 1]


def test_deep_expressions_need_no_recursion() -> None:
    f = x
    for _ in range(3000):
        f = sp.sin(f, evaluate=False)
    assert len(plan(f)) == 3001
    with mp.workdps(15):
        assert 0 < evaluate(plan(f), {x: mpf(1)}) < 0.04


def test_agrees_within_64_ulp_or_64_roundings_of_the_inputs() -> None:
    assert agrees(1 + 64 * EPS, mpf(1), mpf(0))
    assert not agrees(1 + 65 * EPS, mpf(1), mpf(0))
    assert agrees(1 + 640 * EPS, mpf(1), mpf(10 * EPS))
    assert not agrees(1 + 641 * EPS, mpf(1), mpf(10 * EPS))
    assert agrees(float(np.float32(1 + 64 * 2.0**-23)), mpf(1), mpf(0), "float32")
    assert "off by 65.0 ulp" in explain(1 + 65 * EPS, mpf(1), mpf(0))
    assert "got nan" in explain(math.nan, mpf(1), mpf(0))


def test_agrees_at_the_borders() -> None:
    huge, largest = mpf(10) ** 400, float(np.finfo(float).max)
    assert agrees(math.nan, mp.nan, mp.nan)
    assert not agrees(1.0, mp.nan, mpf(0))
    assert not agrees(math.nan, mpf(1), mpf(0))
    assert agrees(math.inf, huge, mpf(0))
    assert not agrees(-math.inf, huge, mpf(0))
    assert not agrees(largest, huge, mpf(0))
    assert agrees(math.inf, mpf(largest), mpf(0))
    assert not agrees(math.inf, mpf("1e300"), mpf(0))
    assert agrees(math.inf, mpf("1e39"), mpf(0), "float32")
    assert agrees(0.0, 1 / huge, mpf(0))
    assert agrees(5e-324, mpf("1e-310"), mpf(0))
    assert not agrees(0.0, mpf("1e-300"), mpf(0))
    assert agrees(1.0, mpf(1), mp.nan)


@pytest.mark.parametrize("number", [1.0, 1.5, -3.0, 2.0**-1022, 5e-324, 1e-310, 1.7e308, 1 - EPS / 2])
def test_ulp_is_the_spacing_of_floats(number: float) -> None:
    assert float(ulp(mpf(number))) == math.ulp(number)
    assert float(ulp(mpf(10) ** 400)) == math.ulp(np.finfo(float).max)


def test_corpus_has_distinct_names_and_points_stay() -> None:
    assert len({case.name for case in CORPUS}) == len(CORPUS)
    case = CORPUS[0]
    assert all((low <= points(case, 9)[name]).all() for name, (low, _) in case.ranges.items())
    assert (
        points(case, 2)["theta"].tolist() == points(case, 2)["theta"].tolist() != points(case, 2, 1)["theta"].tolist()
    )


def _close(got: mpf, exact: sp.Expr, digits: int) -> bool:
    with mp.workdps(80):
        want = mpf(sp.N(exact, 70)._mpf_) if exact != 0 else mpf(0)
        return bool(abs(got - want) <= abs(want) * mpf(10) ** -digits)
