"""Second derivatives: of every row of the gate table, of matrix operations, at kinks and edges, and in branches.

A gradient is a view of the same graph as the value, so that it is differentiated like any value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from mpmath import mp
from reference import EPS
from together import Batch, interpreted

import symgrad
from symgrad.compiler import Stages
from symgrad.errors import UnsupportedExpression
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly
from symgrad.gates.arithmetic import power_of
from symgrad.gates.linear_algebra import MATRIX_RULES
from symgrad.gates.special import LARGEST_ORDER
from symgrad.gates.table import GATES
from symgrad.graph.affine import axis
from symgrad.graph.graph import Graph, as_node, over_points
from symgrad.graph.intern import InternTable
from symgrad.graph.sums import total
from symgrad.transform.differentiate import differentiate
from symgrad.transform.simplify import simplify
from tests.gates.test_gates import CONVENTIONS, SMOOTH, Case, Point, off, same

x, y, z = sp.symbols("x y z")

# What is allowed, in units in the last place or of what one rounding of the arguments does, whichever is larger.
SECOND_ULPS = 32
DIGITS = 500  # of the central differences, of which those are lost in which a saturated gate is 1
STEP = -40  # relative, a power of ten
SPELLED = ("cheaper", "spelling", "wording")
NAN, INF = math.nan, math.inf


def derived(graph: Graph, wrt: Sequence[int], order: int = 2) -> Graph:
    """The graph of all derivatives of that order of its value, row by row."""
    views = [graph.values[0].view]
    for _ in range(order):
        views = [output.view for view in views for output in differentiate(graph.with_values([view]), wrt).derivatives]
    return graph.with_values(views)


# --- every gate -------------------------------------------------------------------------------------------------------

# Far out, where a gate is flat or nearly so, where it saturates, and near its edges: beside the points of the table.
MORE_POINTS: dict[str, tuple[Point, ...]] = {
    "sigmoid": ((700.0,), (-700.0,), (37.0,), (-37.0,), (1e-9,)),
    "sigmoid_slope": ((700.0,), (-700.0,), (1e-9,)),
    "softplus": ((700.0,), (-700.0,), (37.0,)),
    "logcosh": ((350.0,), (-350.0,), (20.0,), (1e-20,)),
    "tanh": ((350.0,), (20.0,), (-20.0,)),
    "sech": ((350.0,), (1e-9,)),
    "logsumexp[2]": ((700.5, 0.5), (-0.5, 699.5), (1.0, 1.0)),
    "softmax": ((700.5, 0.5), (-0.5, 699.5), (40.5, 0.5)),
    "log1p": ((-0.999999999,), (1e200,)),
    "expm1": ((-700.0,), (700.0,)),
    "sinc": ((INF,), (1e-100,), (1e-5,), (3.0,), (30.0,), (1e4,)),
    "sinc_slope": ((1e-100,), (1e-5,), (3.0,), (30.0,), (1e4,)),
    "erf": ((-3.0,),),
    "erfc": ((20.0,),),
    "atan": ((1e-20,), (1e50,)),
    "atan2": ((0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (1e-50, 1e50), (1e50, 1e-50), (-2.0, 1e-9)),
    "hypot": ((1e-20, 1.0), (1.0, 1e-20), (-2.0, 0.0)),
    "asin": ((-0.999999999,), (1e-20,)),
    "acos": ((-0.999999999,),),
    "atanh": ((-0.999999999,), (1e-20,)),
    "acosh": ((1.000000001,), (1e20,)),
    "asinh": ((1e20,), (1e-20,)),
    "asec": ((1.000000001,), (-1.000000001,)),
    "acoth": ((1.000000001,), (-1.000000001,)),
    "gamma": ((1e-5,), (140.0,), (-20.5,)),
    "loggamma": ((1e-100,), (1e100,), (1.0,), (2.0,)),
    "digamma": ((1e-50,), (1e100,), (-7.75,)),
    "pow": ((0.5, 0.0), (0.5, 1.0), (0.5, 2.0), (1e-100, 1.5), (-2.0, 3.0)),
    "max[2]": ((1.0, 2.0), (2.0, 1.0)),
    "bose": ((700.0,), (-700.0,)),
}

# Where a difference quotient says nothing: the conventions. Kinks and steps have the curvature 0; at an edge of its
# domain a root, and at a zero a power, has that of the limit.
CURVATURES: dict[tuple[str, Point], Point] = {
    ("abs", (0.0,)): (0,),
    ("sign", (0.0,)): (0,),
    ("floor", (1.0,)): (0,),
    ("ceil", (1.0,)): (0,),
    ("frac", (1.0,)): (0,),
    ("mod", (6.0, 2.0)): (0,) * 4,
    ("max[2]", (1.0, 1.0)): (0,) * 4,
    ("min[2]", (1.0, 1.0)): (0,) * 4,
    ("max[3]", (1.0, 1.0, 0.75)): (0,) * 9,
    ("min[3]", (1.0, 1.0, 0.75)): (0,) * 9,
    ("hypot", (0.0, 0.0)): (0,) * 4,
    ("select", (0.0, 0.0, 3.0)): (0,) * 9,
    ("acot", (0.0,)): (0,),
    ("sinc", (INF,)): (NAN,),
    ("sqrt", (0.0,)): (-INF,),
    ("cbrt", (0.0,)): (-INF,),
    ("power[3/2]", (0.0,)): (INF,),
    ("power[5/3]", (0.0,)): (INF,),
    ("power[5/2]", (0.0,)): (0,),
    ("pow", (0.0, 1.5)): (INF, 0, 0, 0),
    ("pow", (0.0, 2.5)): (0,) * 4,
    ("pow", (-2.0, 3.0)): (-12, NAN, NAN, NAN),
    ("abs_pow", (0.0, 2.5)): (0,) * 4,
    ("abs_pow_slope", (0.0, 2.5)): (NAN, 0, 0, 0),
    ("one_minus_square", (1.0,)): (-2,),
    ("pow_log", (0.0, 2.5)): (0,) * 4,
    ("pow_slope", (0.0, 2.5)): (INF, 0, 0, 0),
    ("pow_slope", (0.0, 3.5)): (0,) * 4,
    ("atan2", (0.0, -1.0)): (0, -1, -1, 0),
}


def _fractional(exponent: Fraction) -> Case:
    number = mp.mpf(exponent.numerator)
    points = ((0.3,), (2.7,), (0.0,), (1e-100,), (1e100,))
    return Case(
        f"power[{exponent}]",
        "power",
        lambda a: power_of(a, exponent),
        lambda a: mpmath.power(a, number / exponent.denominator) if a >= 0 else mp.nan,
        points,
    )


CASES = [replace(case, points=(*case.points, *MORE_POINTS.get(case.id, ()))) for case in SMOOTH] + [
    _fractional(Fraction(*exponent)) for exponent in ((3, 2), (5, 3), (5, 2))
]
by_id = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def test_points_are_those_of_gates() -> None:
    assert MORE_POINTS.keys() <= {case.id for case in CASES}
    points = {(case.id, point) for case in CASES for point in case.points}
    assert CURVATURES.keys() <= points


@cache
def hessian(case: Case, *families: str) -> Graph:
    """The gate alone: its second derivatives by all pairs of arguments."""
    table = InternTable(dict(GATES))
    inputs = [table.input(place, (0,)) for place in range(case.arity)]
    graph = over_points(table, tuple("abcd"[: case.arity]), (case.build(*inputs),))
    found = derived(graph, range(case.arity))
    return simplify(found, families) if families else found


class Probe:
    """A function at points a few steps from one, each evaluated once."""

    def __init__(self, exact: Callable[..., Any], point: Point) -> None:
        self.exact, self.at = exact, [mp.mpf(a) for a in point]
        self.steps = [(abs(a) or mp.mpf(1)) * mp.mpf(10) ** STEP for a in self.at]
        self.known: dict[tuple[int, ...], Any] = {}

    def value(self, moves: tuple[int, ...]) -> Any:
        if moves not in self.known:
            try:
                found = self.exact(*(a + k * step for a, k, step in zip(self.at, moves, self.steps, strict=True)))
            except (ValueError, ZeroDivisionError):
                found = mp.nan
            self.known[moves] = mp.nan if isinstance(found, mpmath.mpc) else found
        return self.known[moves]

    def derivative(self, *by: int) -> Any:
        """The central difference by these arguments, one after the other."""
        found = mp.mpf(0)
        for signs in product((1, -1), repeat=len(by)):
            moves = [0] * len(self.at)
            for place, sign in zip(by, signs, strict=True):
                moves[place] += sign
            found += math.prod(signs) * self.value(tuple(moves))
        found /= math.prod(2 * self.steps[place] for place in by)
        # Of the next derivative by an argument that is 0, such as that of a**3.
        return mp.mpf(0) if any(abs(found) < self.steps[k] / 10**6 for k in by if self.at[k] == 0) else found


@cache
def wanted(case: Case, point: Point) -> list[tuple[Any, Any]]:
    """Second derivatives at a point, row by row, each with what one rounding of the arguments does to it."""
    known = CURVATURES.get((case.id, tuple(abs(a) if a == 0 else a for a in point)))
    if known is not None:
        return [(mp.mpf(entry), mp.mpf(0)) for entry in known]
    smallest = min((abs(a) for a in point if a), default=1.0)
    with mp.workdps(DIGITS + 4 * max(0, -math.frexp(smallest)[1] // 3)):
        probe, places = Probe(case.exact, point), range(case.arity)
        found = []
        for i, j in product(places, places):
            moved = [abs(a * probe.derivative(i, j, k)) for k, a in enumerate(probe.at) if a]
            effect = EPS / 2 * mp.fsum(term for term in moved if mp.isfinite(term))
            found.append((probe.derivative(i, j), effect))
        return found


def complaints(case: Case, point: Point, results: Sequence[Any], dtype: str = "float64") -> list[str]:
    lines = []
    pairs = product(range(case.arity), repeat=2)
    for (i, j), got, (want, effect) in zip(pairs, results, wanted(case, point), strict=True):
        line = off(float(got), want, effect, dtype, SECOND_ULPS)
        lines += [f"{case.id}{point} by {'abcd'[i]}, {'abcd'[j]}: {line}"] if line else []
    return lines


@by_id
def test_exactly(case: Case) -> None:
    """At 80 digits nothing rounds: the formulas themselves."""
    graph = hessian(case)
    for point in case.points:
        for got, (want, _) in zip(evaluate_exactly(graph, point, digits=80), wanted(case, point), strict=True):
            if mp.isfinite(want):
                assert abs(got - want) <= abs(want) * mp.mpf(10) ** -30 + mp.mpf(10) ** -60, (case.id, point)
            else:
                assert mp.isnan(got) if mp.isnan(want) else got == want, (case.id, point)


@pytest.mark.parametrize("families", [(), SPELLED], ids=["as_derived", "spelled"])
@by_id
def test_every_pair_of_arguments(case: Case, families: tuple[str, ...]) -> None:
    graph = hessian(case, *families)
    lines = [line for point in case.points for line in complaints(case, point, interpreted(graph, point))]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("accuracy", ["fast", "strict"])
@pytest.mark.parametrize("part", range(3))
def test_compiled(part: int, accuracy: str) -> None:
    cases = CASES[part::3]
    batch = Batch([hessian(case, *SPELLED) for case in cases], [case.points for case in cases], "float64", accuracy)
    lines = []
    for case, results in zip(cases, batch.results, strict=True):
        for p, point in enumerate(case.points):
            lines += complaints(case, point, [output[p] for output in results])
    assert not lines, "\n".join(lines)


def test_the_highest_order_of_polygamma_has_no_derivative() -> None:
    table = InternTable(dict(GATES))
    graph = over_points(table, ("a",), (table.constant(LARGEST_ORDER - 1).call("polygamma", table.input(0, (0,))),))
    (got,) = interpreted(derived(graph, [0], 1), (1.5,))
    assert float(got) == pytest.approx(float(mp.psi(LARGEST_ORDER, 1.5)), rel=1e-14)
    with pytest.raises(UnsupportedExpression, match="the highest order is 60"):
        derived(graph, [0], 2)


# --- kinks, edges and usual spellings ---------------------------------------------------------------------------------

R = sp.Rational
SCALES = (sp.pi, sp.Integer(3), R(1, 3), sp.Float(0.4), sp.Float(0.7), -R(2, 3), sp.sqrt(2), sp.E)


def at_0(number: sp.Expr | int, elsewhere: sp.Expr, what: sp.Expr = x) -> sp.Expr:
    return sp.Piecewise((elsewhere, sp.Ne(what, 0)), (number, True))


# name, expression of x, y, z (as far as it uses them), point, second derivatives row by row
SECOND: list[tuple[str, sp.Expr, Point, tuple[float, ...]]] = [
    ("square_root", sp.sqrt(x), (0.0,), (-INF,)),
    ("cube_root", x ** R(1, 3), (0.0,), (-INF,)),
    ("two_thirds", x ** R(2, 3), (0.0,), (-INF,)),
    ("three_halves", x ** R(3, 2), (0.0,), (INF,)),
    ("three_halves_by_product", x * sp.sqrt(x), (0.0,), (INF,)),
    ("four_thirds", x ** R(4, 3), (0.0,), (INF,)),
    ("five_halves", x ** R(5, 2), (0.0,), (0,)),
    ("five_quarters", x ** R(5, 4), (0.0,), (INF,)),
    ("nine_quarters", x ** R(9, 4), (0.0,), (0,)),
    ("square", x**2, (0.0,), (2,)),
    ("cube", x**3, (0.0,), (0,)),
    ("inverse", 1 / x, (0.0,), (INF,)),
    ("inverse_square", x**-2, (0.0,), (INF,)),
    ("logarithm", sp.log(x), (0.0,), (-INF,)),
    ("power_minus_1", x**y, (0.0, -1.0), (INF, INF, INF, INF)),
    ("power_0", x**y, (0.0, 0.0), (0, INF, INF, 0)),
    ("power_half", x**y, (0.0, 0.5), (-INF, -INF, -INF, 0)),
    ("power_1", x**y, (0.0, 1.0), (0, -INF, -INF, 0)),
    ("power_three_halves", x**y, (0.0, 1.5), (INF, 0, 0, 0)),
    ("power_2", x**y, (0.0, 2.0), (2, 0, 0, 0)),
    ("power_3", x**y, (0.0, 3.0), (0, 0, 0, 0)),
    ("power_of_exponent_0_of_small", x**y, (1e-200, 0.0), (0, 1e200, 1e200, math.log(1e-200) ** 2)),
    ("power_of_loser", x ** sp.Max(0, -y), (0.0, 1.0), (0, 0, 0, 0)),
    ("power_of_winner", x ** sp.Max(0, -y), (0.0, -1.0), (0, INF, INF, 0)),
    ("power_of_exponent_0", x**y, (2.0, 0.0), (0, 0.5, 0.5, math.log(2) ** 2)),
    ("abs", sp.Abs(x), (0.0,), (0,)),
    ("abs_to_three_halves", sp.Abs(x) ** R(3, 2), (0.0,), (INF,)),
    ("abs_to_three_halves_left", sp.Abs(x) ** R(3, 2), (-4.0,), (0.375,)),
    ("abs_to_five_quarters", sp.Abs(x) ** R(5, 4), (0.0,), (INF,)),
    ("abs_to_five_halves", sp.Abs(x) ** R(5, 2), (0.0,), (0,)),
    ("abs_to_y", sp.Abs(x) ** y, (0.0, 1.5), (INF, 0, 0, 0)),
    ("abs_to_y_left", sp.Abs(x) ** y, (-1.0, 3.0), (6, -1, -1, 0)),
    ("inverse_of_abs_to_three_halves", sp.Abs(x) ** -R(3, 2), (-4.0,), (15 / 512,)),
    ("root_of_square_to_three_halves", (x**2) ** R(3, 4), (0.0,), (INF,)),
    ("abs_cubed", sp.Abs(x) ** 3, (0.0,), (0,)),
    ("abs_squared", sp.Abs(x) ** 2, (0.0,), (0,)),
    ("norm", sp.sqrt(x**2 + y**2), (0.0, 0.0), (0, 0, 0, 0)),
    ("norm_of_three", sp.sqrt(x**2 + y**2 + z**2), (0.0, 0.0, 0.0), (0,) * 9),
    ("norm_weighted", sp.sqrt(3 * x**2 + y**4), (0.0, 0.0), (0, 0, 0, 0)),
    ("norm_on_axis", sp.sqrt(x**2 + y**2), (0.0, -2.0), (0.5, 0, 0, 0)),
    ("max_squared_tie", sp.Max(x, y) ** 2, (1.0, 1.0), (0.5, 0.5, 0.5, 0.5)),
    ("max_of_squares", sp.Max(x**2, y**2), (2.0, 1.0), (2, 0, 0, 0)),
    ("relu", sp.Max(0, x), (0.0,), (0,)),
    ("mod", sp.Mod(x, y) ** 2, (7.0, 3.0), (2, -4, -4, 8)),
    ("floor", sp.floor(x) * y**2, (2.0, 3.0), (0, 0, 0, 4)),
    ("heaviside", sp.Heaviside(x) * y**2, (0.0, 3.0), (0, 0, 0, 1)),
    ("asin", sp.asin(x), (1.0,), (INF,)),
    ("asin_left", sp.asin(x), (-1.0,), (-INF,)),
    ("acos", sp.acos(x), (1.0,), (-INF,)),
    ("atanh", sp.atanh(x), (1.0,), (INF,)),
    ("atanh_left", sp.atanh(x), (-1.0,), (-INF,)),
    ("acosh", sp.acosh(x), (1.0,), (-INF,)),
    ("asech", sp.asech(x), (1.0,), (-INF,)),
    ("asech_at_pole", sp.asech(x), (0.0,), (INF,)),
    ("acsch_at_pole", sp.acsch(x), (0.0,), (INF,)),
    ("atan_far", sp.atan(x), (1e100,), (-2e-300,)),
    ("atan_farther", sp.atan(x), (-1e200,), (0,)),
    ("acot_far", sp.acot(x), (-1e100,), (-2e-300,)),
    ("asec", sp.asec(x), (1.0,), (-INF,)),
    ("acsc", sp.acsc(x), (1.0,), (INF,)),
    ("acsc_left", sp.acsc(x), (-1.0,), (-INF,)),
    ("acoth", sp.acoth(x), (1.0,), (INF,)),
    ("acoth_left", sp.acoth(x), (-1.0,), (-INF,)),
    ("sinc", sp.sinc(x), (0.0,), (-1 / 3,)),
    ("sine_quotient", sp.sin(x) / x, (0.0,), (-1 / 3,)),
    *((f"sinc_of_{c}_x", at_0(1, sp.sin(c * x) / (c * x)), (0.0,), (-(float(c) ** 2) / 3,)) for c in SCALES),
    *((f"sine_of_{c}_x", at_0(c, sp.sin(c * x) / x), (0.0,), (-(float(c) ** 3) / 3,)) for c in SCALES),
    ("sinc_other_order", sp.Piecewise((1, sp.Eq(x, 0)), (sp.sin(3 * x) / (3 * x), True)), (0.0,), (-3,)),
    ("sinc_of_product", at_0(1, sp.sin(3 * x * y) / (3 * x * y), x * y), (0.0, 2.0), (-12, 0, 0, 0)),
    ("sinc_of_zero_times", at_0(1, sp.sin(3 * x * y) / (3 * x * y), x * y), (2.0, 0.0), (0, 0, 0, -12)),
    ("sinc_times", at_0(y, y * sp.sin(x / 3) / (x / 3)), (0.0, 2.0), (-R(2, 27), 0, 0, 0)),
    ("cosine_from_1", 1 - sp.cos(x), (0.0,), (1,)),
    ("softplus", sp.log(1 + sp.exp(x)), (800.0,), (0,)),
    ("softplus_far", sp.log(1 + sp.exp(x)), (-700.0,), (math.exp(-700),)),
    ("logistic", 1 / (1 + sp.exp(-x)), (800.0,), (0,)),
    ("logistic_far", 1 / (1 + sp.exp(-x)), (700.0,), (-math.exp(-700),)),
    ("logistic_near_1", 1 / (1 + sp.exp(-x)), (40.0,), (-math.exp(-40),)),
    ("log_cosh", sp.log(sp.cosh(x)), (400.0,), (0,)),
    ("log_cosh_near_0", sp.log(sp.cosh(x)), (0.0,), (1,)),
    ("log_sum_exp", sp.log(sp.exp(x) + sp.exp(y)), (900.0, 900.0), (0.25, -0.25, -0.25, 0.25)),
    ("norm_far", sp.sqrt(x**2 + y**2), (1e200, 0.0), (0, 0, 0, 1e-200)),
    ("condition_shares", sp.Piecewise((sp.log(x), sp.log(x) > 0), (y, True)), (-1.0, 5.0), (0, 0, 0, 0)),
    ("outside_all_branches", sp.Piecewise((x**2, x > 0), (y, x < -1)), (-0.5, 5.0), (NAN,) * 4),
]


def derivatives(expr: sp.Expr, count: int, order: int = 2) -> Graph:
    return simplify(derived(Stages(expr, (x, y, z)[:count], None, ()).graphs["masked"], range(count), order), SPELLED)


@pytest.mark.parametrize(("name", "expr", "point", "want"), SECOND, ids=[row[0] for row in SECOND])
def test_kinks_edges_and_spellings(name: str, expr: sp.Expr, point: Point, want: tuple[float, ...]) -> None:
    got = interpreted(derivatives(expr, len(point)), point)
    assert same(got, want, "float64"), [float(g) for g in got]


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_derivatives_of_sinc_of_any_order(order: int) -> None:
    """The coefficient of its series at 0; elsewhere those of the integral of cos(x*t) over t from 0 to 1."""
    graph = derivatives(sp.sinc(x), 1, order)
    points = (0.0, 1e-200, 1e-9, 1e-3, 0.5, 1.4, 2.0, 4.5, 30.0)
    for at in points:
        (got,) = interpreted(graph, (at,))
        with mp.workdps(50):
            want = mp.quad(lambda t, at=at: t**order * mp.cos(at * t + order * mp.pi / 2), mp.linspace(0, 1, 12))
            assert abs(float(got) - want) <= 8e-16, at
            if 0 < at < 1e-8 and order % 2:  # relative to x itself
                assert abs(float(got) - want) <= 2e-15 * at + 1e-40, at


# What polygamma's error relative to the result may be for x > 0; measured: 0.70, 0.76, 0.97, 1.0 and 1.6 times 1e-15.
ERRORS = {1: 8e-16, 2: 9e-16, 3: 1.1e-15, 5: 1.3e-15, 20: 2.5e-15}


@pytest.mark.parametrize("n", ERRORS)
def test_polygamma_is_right_to_the_last_digits(n: int) -> None:
    near = [float(at) for at in np.random.default_rng(n).uniform(0.01, n + 12, 150)]
    far = [float(10**at) for at in np.random.default_rng(n + 100).uniform(-250 / (n + 1), 250 / (n + 1), 100)]
    table = InternTable(dict(GATES))
    graph = over_points(table, ("a",), (table.constant(n).call("polygamma", table.input(0, (0,))),))
    batch = Batch([graph], [[(at,) for at in near + far]])
    for at, got in zip(near + far, batch.results[0][0], strict=True):
        with mp.workdps(50):
            want = mp.psi(n, mp.mpf(at))
            assert abs(mp.mpf(float(got)) - want) <= ERRORS[n] * abs(want), at


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_polygamma_as_plain_python(n: int, dtype: str) -> None:
    module: dict[str, Any] = {}
    exec(symgrad.emit(sp.polygamma(n, x), target="python", dtype=dtype, accuracy="strict"), module)
    for at in (0.25, 3.5, 40.0, -0.75, -12.25):
        value, (slope,) = module["kernel"](at)
        assert value == pytest.approx(float(mp.psi(n, at)), rel=1e-14 if dtype == "float64" else 1e-6)
        assert slope == pytest.approx(float(mp.psi(n + 1, at)), rel=1e-14 if dtype == "float64" else 1e-6)


# --- branches ---------------------------------------------------------------------------------------------------------


def taken(expr: sp.Basic, point: dict[sp.Symbol, sp.Expr]) -> sp.Basic:
    """The expression with the branch that is taken in the place of each Piecewise."""
    if isinstance(expr, sp.Piecewise):
        for value, condition in expr.args:
            if taken(condition, point).subs(point) == sp.true:
                return taken(value, point)
        return sp.nan
    return expr.func(*(taken(part, point) for part in expr.args)) if expr.args else expr


# SymPy refuses to compare the logarithm of -1: that row is among those above.
BRANCHES = [
    row
    for row in CONVENTIONS
    if row[1].has(sp.Piecewise)
    and row[0] != "piece_condition_shares"
    and not any(map(math.isnan, (*row[2], row[3][0])))
]


@pytest.mark.parametrize(("name", "expr", "point"), [row[:3] for row in BRANCHES], ids=[row[0] for row in BRANCHES])
def test_a_branch_that_is_not_taken_has_no_second_derivative(name: str, expr: sp.Expr, point: Point) -> None:
    symbols = (x, y, z)[: len(point)]
    numbers = {symbol: sp.Rational(a) for symbol, a in zip(symbols, point, strict=True)}
    branch = taken(expr, numbers)
    want = tuple(float(branch.diff(a, b).subs(numbers)) for a, b in product(symbols, repeat=2))
    got = interpreted(derivatives(expr, len(point)), point)
    assert same(got, want, "float64"), (want, [float(g) for g in got])


# --- operations on whole matrices -------------------------------------------------------------------------------------

n = sp.Symbol("n", integer=True)
A, V, B, C = (sp.MatrixSymbol(name, n, n) for name in "AVBC")
b = sp.MatrixSymbol("b", n, 1)
LENGTH = 4


def _inverse(a: Any) -> Any:
    return np.array((mpmath.matrix(a.tolist()) ** -1).tolist(), dtype=object)


def _determinant(a: Any) -> Any:
    return mpmath.det(mpmath.matrix(a.tolist()))


# name: expression, its arguments beside A, the same with mpmath, the operations that its second derivative has
MATRICES: dict[str, tuple[sp.Expr, tuple[Any, ...], Callable[..., Any], set[str]]] = {
    "trace_of_inverse": (sp.Trace(A.I), (), lambda a: np.trace(_inverse(a)), {"inverse"}),
    "inverse_twice": (
        sp.Trace(A.I * B * A.I),
        (B,),
        lambda a, b: np.trace(_inverse(a).dot(b).dot(_inverse(a))),
        {"inverse", "solve"},
    ),
    "quadratic_form": (
        (b.T * A.I * b)[0, 0] ** 2,
        (b,),
        lambda a, b: b.T.dot(_inverse(a)).dot(b)[0, 0] ** 2,
        {"inverse"},
    ),
    "solution": (
        sp.Trace(C * A.I * B) ** 2,
        (B, C),
        lambda a, b, c: np.trace(c.dot(_inverse(a)).dot(b)) ** 2,
        {"solve"},
    ),
    "determinant": (
        sp.Determinant(A) * sp.Trace(A * B),
        (B,),
        lambda a, b: _determinant(a) * np.trace(a.dot(b)),
        {"determinant", "inverse"},
    ),
    "log_determinant": (
        sp.log(sp.Determinant(A)) ** 2,
        (),
        lambda a: mpmath.log(_determinant(a)) ** 2,
        {"log_determinant", "inverse"},
    ),
}


def hessian_times_vector(expr: sp.Expr, others: tuple[Any, ...]) -> Graph:
    """The gradient by A of the gradient by A times V."""
    lowered = Stages(expr, (A, V, *others), None, ()).graphs["masked"]
    shape = lowered.shapes[0]
    graph = replace(lowered, shapes=(shape, shape, *lowered.shapes[2:]))
    table, (gradient, *_) = graph.table, differentiate(graph, [0]).derivatives
    row, column = table.fresh(), table.fresh()
    terms = gradient.view.at({0: axis(row), 1: axis(column)}) * table.input(1, (row, column))
    limits = [form for name in (row, column) for form in (axis(name), shape[0].minus(1).minus(axis(name)))]
    product_with_v = as_node(total(terms, [row, column], limits))
    return differentiate(graph.with_values([product_with_v]), [0])


def moved_both_ways(exact: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    """The same by central differences at 60 digits."""
    with mp.workdps(60):
        at, along, *others = [np.vectorize(mp.mpf, otypes=[object])(matrix) for matrix in inputs]
        step, found = mp.mpf(10) ** -15, np.zeros(at.shape)
        for place in np.ndindex(at.shape):
            entry = np.zeros(at.shape, object)
            entry[place] = step
            differences = (s * t * exact(at + s * entry + t * step * along, *others) for s in (1, -1) for t in (1, -1))
            found[place] = float(mp.fsum(differences) / (4 * step * step))
        return found


@pytest.mark.parametrize("families", [(), SPELLED], ids=["as_derived", "spelled"])
@pytest.mark.parametrize("name", MATRICES)
def test_operations_on_matrices(name: str, families: tuple[str, ...]) -> None:
    expr, others, exact, operations = MATRICES[name]
    graph = hessian_times_vector(expr, others)
    graph = simplify(graph, families) if families else graph
    assert {node.gate.name for node in graph.order()} & MATRIX_RULES.keys() == operations
    generator = np.random.default_rng(3)
    shapes = [(LENGTH, 1 if own is b else LENGTH) for own in (A, V, *others)]
    inputs = [generator.normal(size=shape) for shape in shapes]
    inputs[0] += 4 * np.eye(LENGTH)  # of positive determinant
    assert np.linalg.det(inputs[0]) > 0
    got, want = evaluate(graph, inputs, {"n": LENGTH})[1], moved_both_ways(exact, inputs)
    assert np.abs(got - want).max() <= 1e-14 * np.abs(want).max()


def test_every_operation_on_matrices_is_tried() -> None:
    assert {name for row in MATRICES.values() for name in row[3]} == MATRIX_RULES.keys()
