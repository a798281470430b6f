"""Every law fires, says the truth, and keeps what it promises; the stable forms are right where the naive ones fail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mpmath import mp
from reference import agrees, explain, reference
from together import Batch, bits, gradient_graph, interpreted

from symgrad.evaluate.evaluation import evaluate_exactly
from symgrad.gates.table import GATES
from symgrad.graph.graph import Graph, over_points
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View
from symgrad.transform.differentiate import differentiate
from symgrad.transform.laws.law import LAWS, Law
from symgrad.transform.pipeline import PASSES
from symgrad.transform.simplify import simplify

# Those of sums over indices are tried in transform/laws/test_arrays.py.
EVERY = [law for laws in LAWS.values() for law in laws if law.rewrite.__module__ != "symgrad.transform.laws.arrays"]
ALL = list(dict.fromkeys(EVERY))  # a law may be filed under several gates
BY_NAME = {law.name: law for law in ALL}
Build = Callable[..., View]


def number(like: View, value: Fraction | int | str) -> View:
    return like.node.table.constant(Fraction(value) if isinstance(value, int) else value)


def apply(gate: str, *views: View, attribute: Any = None) -> View:
    return views[0].node.table.apply(GATES[gate], *views, attribute=attribute)


def exp(a: View) -> View:
    return a.call("exp")


def raised(a: View, exponent: Fraction | int) -> View:
    return apply("power", a, attribute=exponent)


def squared(a: View) -> View:
    return raised(a, 2)


# What each law is tried on: graphs of a, b, c > 0 and < 0, each of which the law must change.
TABLE: dict[str, list[Build]] = {
    "add_constants": [
        lambda a, b, c: apply("add", number(a, 2), a, number(a, 3)),
        lambda a, b, c: apply("add", a, number(a, 0)),
        lambda a, b, c: apply("add", a, number(a, -5), number(a, 2)),
    ],
    "add_negatives": [lambda a, b, c: -a + -b, lambda a, b, c: apply("add", -a, -b, -c)],
    "mul_constants": [
        lambda a, b, c: apply("mul", number(a, 2), a, number(a, 3)),
        lambda a, b, c: a * 1,
        lambda a, b, c: a * -1,
        lambda a, b, c: a * -3,
        lambda a, b, c: (a * 2) * (b * 3),
        lambda a, b, c: (a / 2) * (b * 3),
        lambda a, b, c: (a * number(a, "pi")) * (b * number(a, "pi")),
        lambda a, b, c: number(a, 3) * number(a, Fraction(1, 7)) * a,
    ],
    "mul_signs": [lambda a, b, c: -a * b, lambda a, b, c: (-a) * (-b), lambda a, b, c: apply("mul", -a, -b, -c)],
    "div_scale": [
        lambda a, b, c: (a * 4) / b,
        lambda a, b, c: a / (b * 2),
        lambda a, b, c: (a * 3) / number(a, "pi"),
        lambda a, b, c: (a * 6) / (b * 3),
    ],
    "div_constants": [lambda a, b, c: a / 1, lambda a, b, c: b * (number(a, 3) / 7)],
    "div_signs": [lambda a, b, c: (-a) / b, lambda a, b, c: a / (-b), lambda a, b, c: (-a) / (-b)],
    "div_through_quotient": [lambda a, b, c: (c / (a / b)) / b],
    "neg_neg": [lambda a, b, c: apply("neg", -a), lambda a, b, c: a + -number(a, 3)],
    "power_constant": [lambda a, b, c: a * apply("power", number(a, 3), attribute=5)],
    "power_products": [
        *(lambda a, b, c, n=n: raised(a, n) for n in (2, 3, 4, 7, 16, 31)),
        *(lambda a, b, c, n=n: raised(a, Fraction(n)) for n in ("3/2", "5/2", "2/3", "4/3", "8/3")),
    ],
    "abs_sign": [lambda a, b, c: (-a).call("abs")],
    "add_sides": [
        lambda a, b, c: (a > 0).where(b, 0) + (a > 0).where(0, c),
        lambda a, b, c: apply("add", b, (a > 0).where(b, 0), (a > 0).where(0, c)),
    ],
    "and_known": [
        lambda a, b, c: (a > 0).call("and", a > 0).where(b, c),
        lambda a, b, c: (a > 0).call("and", b > 0, a > 0).where(b, c),
        lambda a, b, c: (a > 0).call("and", (a > 0).call("not")).where(b, c),
    ],
    "select_known": [
        lambda a, b, c: (a > 0).where(b, b),
        lambda a, b, c: (a > 0).call("not").where(b, c),
        lambda a, b, c: (number(a, 1) < 2).where(b, c),
        lambda a, b, c: number(a, 1).equals(2).where(b, c),
        lambda a, b, c: number(a, 2).call("le", number(a, 2)).where(b, c),
        lambda a, b, c: number(a, 2).call("ne", number(a, 2)).where(b, c),
    ],
    "select_nested": [
        lambda a, b, c: (a > 0).where((a > 0).where(b, c), a),
        lambda a, b, c: (a > 0).where(a, (a > 0).where(b, c)),
    ],
    "select_larger": [
        lambda a, b, c: (a > b).where(c, (a < b).where(0, a.equals(b).where(c / 2, number(a, "nan")))),
        lambda a, b, c: (a < 0).where(b, (a > 0).where(0, number(a, 0).equals(a).where(c, number(a, "nan")))),
    ],
    "log_sum_exp": [
        lambda a, b, c: (exp(a) + exp(b)).call("log"),
        lambda a, b, c: (1 + exp(a)).call("log"),
        lambda a, b, c: exp(a).call("log"),
        lambda a, b, c: apply("add", exp(a), exp(b), exp(c)).call("log"),
        lambda a, b, c: (2 * exp(a) + exp(b)).call("log"),
        lambda a, b, c: (3 + exp(a)).call("log"),
    ],
    "log_one_plus": [
        lambda a, b, c: (1 + squared(a)).call("log"),
        lambda a, b, c: apply("add", number(a, 1), a, squared(b), squared(a)).call("log"),
    ],
    "log_sigmoid": [lambda a, b, c: a.call("sigmoid").call("log"), lambda a, b, c: (-a).call("sigmoid").call("log")],
    "log_cosh": [lambda a, b, c: a.call("cosh").call("log")],
    "complements": [
        lambda a, b, c: exp(a) + number(a, -1),
        lambda a, b, c: 1 - exp(a),
        lambda a, b, c: 1 - a.call("cos"),
        lambda a, b, c: a.call("cos") + number(a, -1),
        lambda a, b, c: 3 - 3 * a.call("cos"),
        lambda a, b, c: 1 - a.call("sigmoid"),
        lambda a, b, c: 1 + a.call("tanh"),
        lambda a, b, c: 1 - a.call("tanh"),
        lambda a, b, c: 1 - squared(a.call("tanh")),
        lambda a, b, c: 1 + a.call("erf"),
        lambda a, b, c: 1 - a.call("erf"),
        lambda a, b, c: 2 + 2 * a.call("erf"),
    ],
    "fractional_power_of_abs": [
        lambda a, b, c: raised(a.call("abs"), Fraction(3, 2)),
        lambda a, b, c: a.call("abs").call("pow", number(a, Fraction(7, 5))),
        lambda a, b, c: (a - b).call("abs").call("pow", c),
    ],
    "power_of_power": [
        lambda a, b, c: squared(a).call("sqrt"),
        lambda a, b, c: raised(a, 3).call("sqrt"),
        lambda a, b, c: raised(a, 4).call("cbrt"),
        lambda a, b, c: raised(raised(a, 2), Fraction(3, 2)),
        lambda a, b, c: raised(a.call("sqrt"), Fraction(3, 2)),
        lambda a, b, c: squared(a).call("pow", number(a, Fraction(1, 5))),
    ],
    "product_of_powers": [
        lambda a, b, c: a * a.call("sqrt"),
        lambda a, b, c: apply("mul", squared(a), b, a.call("cbrt")),
        lambda a, b, c: a.call("sqrt") * a.call("cbrt"),
    ],
    "root_of_squares": [
        lambda a, b, c: (squared(a) + squared(b)).call("sqrt"),
        lambda a, b, c: apply("add", squared(a), squared(b), squared(c)).call("sqrt"),
    ],
    "sigmoid_quotient": [
        lambda a, b, c: 1 / (1 + exp(-a)),
        lambda a, b, c: exp(a) / (1 + exp(a)),
        lambda a, b, c: b / (1 + exp(-a)),
        lambda a, b, c: (b * exp(a)) / (1 + exp(a)),
        lambda a, b, c: exp(a) / squared(1 + exp(a)),
        lambda a, b, c: 1 / apply("power", 1 + exp(a), attribute=3),
        lambda a, b, c: b / (c * (1 + exp(-a))),
    ],
    "softmax_quotient": [
        lambda a, b, c: exp(a) / (exp(a) + exp(b)),
        lambda a, b, c: exp(a) / apply("add", exp(a), exp(b), exp(c)),
        lambda a, b, c: (c * exp(a)) / (exp(a) + exp(b)),
    ],
    "tanh_quotient": [
        lambda a, b, c: (exp(a) - exp(b)) / (exp(a) + exp(b)),
        lambda a, b, c: (exp(a) - exp(-a)) / (exp(a) + exp(-a)),
    ],
    "mul_scale": [lambda a, b, c: (a * 3) * b, lambda a, b, c: (a * 3) * (b / 7), lambda a, b, c: (a / 2) * b],
    "add_scale": [
        lambda a, b, c: a * 3 + b * 3,
        lambda a, b, c: apply("add", a / 4, b / 4, c / 4),
        lambda a, b, c: a * number(a, "pi") + b * number(a, "pi"),
    ],
    "reciprocals": [
        lambda a, b, c: 1 / a.call("cosh"),
        lambda a, b, c: b / a.call("sinh"),
        lambda a, b, c: b / squared(a.call("cosh")),
        lambda a, b, c: 1 / (c * a.call("expm1")),
    ],
    "tanh_ratio": [lambda a, b, c: a.call("sinh") / a.call("cosh")],
    "sinc_quotient": [
        lambda a, b, c: a.call("sin") / a,
        lambda a, b, c: (b * a.call("sin")) / a,
        lambda a, b, c: (a * b).call("sin") / (a * b),
        lambda a, b, c: a.call("sin") / (a * b),
    ],
    "sinc_branch": [
        lambda a, b, c: a.call("ne", number(a, 0)).where(a.call("sinc"), 1),
        lambda a, b, c: number(a, 0).equals(a).where(1, a.call("sinc")),
        lambda a, b, c: a.call("ne", number(a, 0)).where((3 * a).call("sinc"), 1),
        lambda a, b, c: a.call("ne", number(a, 0)).where(3 * (a / 3).call("sin") / a, 1),
        lambda a, b, c: a.equals(0).where(1, (-a * number(a, "pi")).call("sin") / -a / number(a, "pi")),
        lambda a, b, c: a.equals(0).where(2 * b, b * (2 * a).call("sin") / a),
        lambda a, b, c: (a * b).equals(0).where(1, (a * 2 * b).call("sin") / b / (2 * a)),
        lambda a, b, c: (a / b).equals(0).where(c, c * b * (5 * a / b).call("sin") / (5 * a)),
        lambda a, b, c: squared(a).equals(0).where(a, squared(a).call("sin") / a),
    ],
}
ROWS = [(name, place) for name, builds in TABLE.items() for place in range(len(builds))]
POINTS = [(0.7, 1.3, 2.1), (-0.6, 0.4, -1.7), (3.3, -2.2, 0.25), (0.11, 0.3, 0.5)]
SPECIAL = (0.0, -0.0, 1e-200, 1.5, -2.0, math.inf, -math.inf, math.nan)


def graph_of(build: Build) -> Graph:
    table = InternTable(dict(GATES))
    a, b, c = (table.input(i, (0,)) for i in range(3))
    return over_points(table, ("a", "b", "c"), (build(a, b, c),))


def only(law: Law, graph: Graph) -> Graph:
    """The graph after this law alone; fails if it does not fire."""
    fired: Counter[str] = Counter()
    after = simplify(graph, (law.family,), fired, only={law.name})
    assert fired[law.name], f"{law.name} does not fire on {graph}"
    return after


def test_the_table_has_every_law() -> None:
    names = {law.name for law in ALL}
    assert not names - set(TABLE), f"TABLE has no graphs that these laws must change: {names - set(TABLE)}"
    assert not set(TABLE) - names, f"TABLE has rows of what is no law: {set(TABLE) - names}"


def test_laws_have_distinct_names_and_words() -> None:
    assert len(BY_NAME) == len(ALL)
    assert all(law.words and law.family in ("stabler", "cheaper", "sharing", "spelling", "wording") for law in ALL)


@pytest.mark.parametrize(("name", "place"), ROWS, ids=[f"{name}-{place}" for name, place in ROWS])
def test_law_says_the_truth(name: str, place: int) -> None:
    before = graph_of(TABLE[name][place])
    after = only(BY_NAME[name], before)
    for point in POINTS:
        (want,), (got,) = (
            evaluate_exactly(before, point, digits=80),
            evaluate_exactly(after, point, digits=80),
        )
        if mp.isfinite(want):  # complex elsewhere
            with mp.workdps(80):
                assert abs(got - want) <= abs(want) * mp.mpf(10) ** -50, (point, str(before), str(after))


EXACT = [row for row in ROWS if BY_NAME[row[0]].exact and row[0] != "power_products"]


@pytest.mark.parametrize(("name", "place"), EXACT, ids=[f"{name}-{place}" for name, place in EXACT])
def test_exact_law_keeps_the_bits(name: str, place: int) -> None:
    before = graph_of(TABLE[name][place])
    after = only(BY_NAME[name], before)
    columns = [np.array(column) for column in zip(*product(SPECIAL, repeat=3), strict=True)]
    (want,), (got,) = interpreted(before, columns), interpreted(after, columns)
    assert bits(np.broadcast_to(got, columns[0].shape).copy()) == bits(np.broadcast_to(want, columns[0].shape).copy())


DIFFERENTIATED = [row for row in ROWS if BY_NAME[row[0]].family in PASSES[0].families]


@pytest.mark.parametrize(("name", "place"), DIFFERENTIATED, ids=[f"{name}-{place}" for name, place in DIFFERENTIATED])
def test_law_before_differentiation_keeps_the_derivatives(name: str, place: int) -> None:
    """Of an exact law also at zeros, infinities and where a product would underflow, if they were numbers there."""
    law, graph = BY_NAME[name], graph_of(TABLE[name][place])
    before, after = (differentiate(one, range(3)) for one in (graph, only(law, graph)))
    for point in POINTS:
        wanted, found = (evaluate_exactly(one, point, digits=80)[1:] for one in (before, after))
        for variable, want, got in zip("abc", wanted, found, strict=True):
            with mp.workdps(80):
                near = abs(want) * mp.mpf(10) ** -50 + mp.mpf(10) ** -60
                assert not mp.isfinite(want) or abs(got - want) <= near, (variable, point, str(before), str(after))
    if not law.exact:
        return
    columns = [np.array(column) for column in zip(*product(SPECIAL, repeat=3), strict=True)]
    _, *wanted = interpreted(before, columns)
    _, *found = interpreted(after, columns)
    for variable, want, got in zip("abc", wanted, found, strict=True):
        wrong = np.broadcast_to(~((got == want) | np.isnan(want)), columns[0].shape)
        points = list(zip(*(column[wrong] for column in columns), strict=True))
        assert not points, f"the derivative by {variable} is another one at {points[0]} and {len(points) - 1} others"


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 8, 31])
def test_a_power_is_a_product(n: int) -> None:
    """Exact in the sense of the convention: x**n is repeated multiplication."""
    graph = graph_of(lambda a, b, c: apply("power", a, attribute=n))
    after = only(BY_NAME["power_products"], graph)
    assert {node.gate.name for node in after.order()} == {"input", "mul"}
    muls = sum(node.gate.name == "mul" for node in after.order())
    assert muls == n.bit_length() - 1 + n.bit_count() - 1
    assert interpreted(after, [np.array([-3.0, 2.0, 0.0])] * 3)[0].tolist() == [(-3.0) ** n, 2.0**n, 0.0]


def test_simplifying_twice_changes_nothing() -> None:
    for name, place in ROWS:
        stable = simplify(graph_of(TABLE[name][place]), ("stabler", "cheaper"))
        once = simplify(stable, ("cheaper", "spelling"))
        fired: Counter[str] = Counter()
        simplify(once, ("cheaper", "spelling"), fired)
        assert not fired, (name, place, fired)


# --- no law where it would be wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda a, b, c: (exp(a) - exp(b)).call("log"), "log_sum_exp"),
        (lambda a, b, c: (2 + a).call("log"), "log_one_plus"),
        (lambda a, b, c: 2 - exp(a), "complements"),
        (lambda a, b, c: 1 + exp(a), "complements"),
        (lambda a, b, c: exp(a) / (1 + exp(b)), "softmax_quotient"),
        (lambda a, b, c: a.call("sin") / b, "sinc_quotient"),
        (lambda a, b, c: b.call("ne", number(a, 0)).where(a.call("sinc"), 1), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 0)).where(a.call("sinc"), 0), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 0)).where(1, a.call("sinc")), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 0)).where((b * a).call("sinc"), 1), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 0)).where((b * a).call("sin") / a, b), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 0)).where((number(a, 0) * a).call("sinc"), 1), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 0)).where((2 * a).call("sin") / a, 1), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 0)).where(squared(a.call("sin")) / squared(a), 1), "sinc_branch"),
        (lambda a, b, c: a.call("ne", number(a, 1)).where(a.call("sinc"), 1), "sinc_branch"),
        (lambda a, b, c: (squared(a) - squared(b)).call("sqrt"), "root_of_squares"),
        (lambda a, b, c: raised(a.call("abs"), 3), "fractional_power_of_abs"),
        (lambda a, b, c: raised(a.call("abs"), 3).call("cbrt"), "fractional_power_of_abs"),
        (lambda a, b, c: raised(a, 3).call("cbrt"), "power_of_power"),
        (lambda a, b, c: raised(a, Fraction(3, 2)).call("pow", number(a, Fraction(2, 3))), "power_of_power"),
        (lambda a, b, c: a.call("sqrt") * b.call("cbrt"), "product_of_powers"),
        (lambda a, b, c: a * squared(a), "product_of_powers"),
        (lambda a, b, c: a * 0, "mul_constants"),
        (lambda a, b, c: a - a, "add_constants"),
        (lambda a, b, c: a / a, "div_constants"),
        *((lambda a, b, c: (10**300 * a) * (10**300 * b), name) for name in ("mul_constants", "mul_scale")),
        (lambda a, b, c: (2**600 * a) / (b / 2**600), "div_scale"),
    ],
    ids=[
        *("difference", "2+a", "2-exp", "1+exp", "other_exponent", "other_argument"),
        *("sinc_of_other", "0_at_0", "sinc_at_0", "symbol_may_be_0", "other_symbol_may_be_0", "sinc_of_0_times"),
        *("other_number_at_0", "sinc_squared", "other_place", "minus"),
        *("whole_power_of_abs", "root_of_whole_power_of_abs"),
        *("whole_of_odd", "whole_of_root", "other_base", "whole_powers", "times_0", "a-a", "a/a"),
        *("no_float", "no_float_outside", "no_float_of_quotient"),
    ],
)
def test_law_stays_away(build: Build, name: str) -> None:
    law = BY_NAME[name]
    gate = next(gate for gate, laws in LAWS.items() if law in laws)
    view = graph_of(build).values[0].view
    assert view.node.gate.name != gate or law.rewrite(view) is None


def test_zero_times_infinity_stays_nan() -> None:
    graph = simplify(graph_of(lambda a, b, c: a * 0 + (b - b) + c / c), ("stabler", "cheaper"))
    for point in [(math.inf, 1.0, 1.0), (1.0, math.inf, 1.0), (1.0, 1.0, 0.0), (math.nan, 1.0, 1.0)]:
        assert np.isnan(interpreted(graph, point)[0]), point


# --- stable forms -----------------------------------------------------------------------------------------------------

x, y, z = sp.symbols("x y z", real=True)
E = sp.exp
FAR = [(-1000.0,), (-745.2,), (-40.0,), (-1.0,), (-1e-9,), (1e-300,), (1e-9,), (1.0,), (40.0,), (745.2,), (1000.0,)]
NEAR = [(1e-300,), (-1e-12,), (1e-9,), (-1e-4,), (0.3,), (-0.7,), (1.5,)]
PAIRS = [(1000.0, 999.0), (-1000.0, -1002.5), (1000.0, -1000.0), (1e-9, -1e-9), (-3.0, 40.0), (0.5, 0.5)]
TRIPLES = [(1000.0, 999.0, 998.0), (-1000.0, -1000.5, -1003.0), (1000.0, -1000.0, 3.0), (1e-9, 2.0, -1e-9)]
SIDES = [(1e-200, 2e-200), (1e200, 3e200), (3.0, -4.0), (1e-300, 5.0), (-2e170, 1.0)]

STABLE: list[tuple[str, sp.Expr, list[tuple[float, ...]]]] = [
    ("sigmoid", 1 / (1 + E(-x)), FAR),
    ("sigmoid_by_quotient", E(x) / (1 + E(x)), FAR),
    ("sigmoid_by_tanh", (1 + sp.tanh(x / 2)) / 2, FAR),
    ("sigmoid_by_tanh_written_out", sp.tanh(x / 2) / 2 + sp.Rational(1, 2), FAR),
    ("one_minus_sigmoid", 1 - 1 / (1 + E(-x)), FAR),
    ("sigmoid_of_product", 1 / (1 + E(-x * y)), [(-30.0, 30.0), (30.0, 30.0), (1e-9, 2.0), (500.0, -3.0)]),
    ("dead_sigmoid", 1 / (E(x) + 1), FAR),
    ("softplus", sp.log(1 + E(x)), FAR),
    ("softplus_of_minus", sp.log(1 + E(-x)), FAR),
    ("softplus_of_sum", sp.log(E(x + y) + 1), PAIRS),
    ("log_sigmoid", sp.log(1 / (1 + E(-x))), FAR),
    ("logsumexp_2", sp.log(E(x) + E(y)), PAIRS),
    ("logsumexp_3", sp.log(E(x) + E(y) + E(z)), TRIPLES),
    ("softmax_2", E(x) / (E(x) + E(y)), PAIRS),
    ("softmax_3", E(y) / (E(x) + E(y) + E(z)), TRIPLES),
    ("cross_entropy", -sp.log(E(x) / (E(x) + E(y) + E(z))), TRIPLES),
    ("tanh_by_exponentials", (E(x) - E(-x)) / (E(x) + E(-x)), FAR),
    ("tanh", sp.tanh(x), FAR),
    ("one_minus_tanh_squared", 1 - sp.tanh(x) ** 2, FAR),
    ("log1p", sp.log(1 + x), [(1e-300,), (-1e-12,), (1e-9,), (-0.5,), (7.0,), (1e300,)]),
    ("log1p_over_x", sp.log(1 + x) / x, [(-0.5,), (7.0,)]),
    ("log1p_of_square", sp.log(x**2 + 1), NEAR),
    ("expm1", E(x) - 1, [*NEAR, (-1000.0,), (1000.0,)]),
    ("one_minus_exp", 1 - E(-x), [*NEAR, (-1000.0,), (1000.0,)]),
    ("bose", x / (E(x) - 1), [(3.0,), (40.0,), (1000.0,)]),
    ("hypot", sp.sqrt(x**2 + y**2), SIDES),
    ("hypot_3", sp.sqrt(x**2 + y**2 + z**2), [(1e200, 2e200, 3e200), (1e-200, 1e-200, 1e-201), (1.0, 2.0, -2.0)]),
    ("logcosh", sp.log(sp.cosh(x)), FAR),
    ("versine", 1 - sp.cos(x), NEAR),
    ("versine_turned", sp.cos(x) - 1, NEAR),
    ("versine_over_square", (1 - sp.cos(x)) / x**2, [(1.2,), (-1.5,)]),
    ("sinc", sp.sin(x) / x, [*NEAR, (0.49,), (0.71,), (25.0,)]),
    ("sinc_scaled", sp.sin(3 * x) / (3 * x), [(1e-9,), (-1e-4,), (0.3,), (1.5,)]),
    ("sinc_squared", sp.sin(x) ** 2 / x**2, [(0.3,), (-1.5,)]),
    ("lower_tail", (1 + sp.erf(x)) / 2, [(-20.0,), (-5.0,), (-1e-9,), (3.0,), (30.0,)]),
    ("upper_tail", 1 - sp.erf(x), [(20.0,), (5.0,), (1e-9,), (-3.0,), (-30.0,)]),
]
STABLE_CASES = [(name, point) for name, _, points in STABLE for point in points]
EXPRESSIONS = {name: expr for name, expr, _ in STABLE}


def symbols_of(expr: sp.Expr) -> list[sp.Symbol]:
    return sorted(expr.free_symbols, key=lambda symbol: symbol.name)


@cache
def wanted(name: str, point: tuple[float, ...]) -> Any:
    return reference(EXPRESSIONS[name], symbols_of(EXPRESSIONS[name]), point)


def differences(name: str, point: tuple[float, ...], got: Sequence[Any], dtype: str) -> list[str]:
    want = wanted(name, point)
    rows = [("value", want.value, want.value_sensitivity)]
    rows += [("derivative", d, s) for d, s in zip(want.gradient, want.gradient_sensitivity, strict=True)]
    return [
        f"{name} at {point}, {what}: {explain(float(g), w, s, dtype)}"
        for g, (what, w, s) in zip(got, rows, strict=True)
        if not agrees(float(g), w, s, dtype)
    ]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_stable_form_interpreted(name: str) -> None:
    expr = EXPRESSIONS[name]
    graph = gradient_graph(expr, symbols_of(expr))
    points = [point for other, point in STABLE_CASES if other == name]
    wrong = [line for p in points for line in differences(name, p, interpreted(graph, p), "float64")]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", range(0, len(STABLE), 18))
@pytest.mark.parametrize("accuracy", ["fast", "strict"])
def test_stable_forms_compiled(part: int, accuracy: str) -> None:
    rows = STABLE[part : part + 18]
    batch = Batch([gradient_graph(e, symbols_of(e)) for _, e, _ in rows], [p for _, _, p in rows], "float64", accuracy)
    wrong = []
    for (name, _, points), outputs in zip(rows, batch.results, strict=True):
        for k, point in enumerate(points):
            wrong += differences(name, point, [output[k] for output in outputs], "float64")
    assert not wrong, "\n".join(wrong)


def test_a_quotient_through_another_one_is_divided_by_its_own_divisor_only() -> None:
    table = InternTable(dict(GATES))
    a, b = table.input(0, (0,)), table.input(1, (0,))
    graph = simplify(over_points(table, ("a", "b"), ((1 / (a / b)) / a,)), ("cheaper",))
    assert float(evaluate_exactly(graph, (2, 3))[0]) == 0.75
