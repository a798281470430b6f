"""Reverse mode: the rules of the adjoints, gradients of gradients, and a cost that stays linear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mpmath import mp
from reference import agrees, explain, reference
from together import gradient_graph, interpreted

from symgrad.compiler import Stages
from symgrad.errors import UnsupportedExpression
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly
from symgrad.gates.table import GATES
from symgrad.graph.graph import Graph, over_points, views_of
from symgrad.graph.intern import InternTable
from symgrad.lower.lower import lower
from symgrad.transform.differentiate import differentiate
from symgrad.transform.simplify import simplify

x, y, z = sp.symbols("x y z", real=True)
Point = tuple[float, ...]


def raw_gradient(expr: sp.Expr, args: Sequence[sp.Symbol], wrt: Sequence[int] | None = None) -> Graph:
    """Lowered and differentiated, with no law applied."""
    graph, _ = lower(expr, args)
    return differentiate(graph, range(len(args)) if wrt is None else wrt)


# --- the rules --------------------------------------------------------------------------------------------------------

RULES: list[tuple[str, sp.Expr, Point, Point]] = [
    ("add_distributes", x + y + z, (2.0, 3.0, 5.0), (1, 1, 1)),
    ("mul_switches", x * y, (2.0, 3.0), (3, 2)),
    ("mul_of_three", x * y * z, (2.0, 3.0, 5.0), (15, 10, 6)),
    ("mul_with_zero", x * y * z, (0.0, 3.0, 5.0), (15, 0, 0)),
    ("mul_with_two_zeros", x * y * z, (0.0, 0.0, 5.0), (0, 0, 0)),
    ("max_routes", sp.Max(x, y) * 7, (2.0, 3.0), (0, 7)),
    ("min_routes", sp.Min(x, y) * 7, (2.0, 3.0), (7, 0)),
    ("div", x / y, (3.0, 2.0), (0.5, -0.75)),
    ("neg", -x, (2.0,), (-1,)),
    ("shared_variable_adds", x * x + x, (3.0,), (7,)),
    ("shared_term_adds", (x + y) ** 2 * (x + y), (1.0, 2.0), (27, 27)),
    ("circuit", (x + y) * z, (-2.0, 5.0, -4.0), (-4, -4, 3)),
    ("chain", sp.exp(2 * x), (0.0,), (2,)),
    ("constant", sp.Integer(7) + 0 * x, (1.0,), (0,)),
    ("select", sp.Piecewise((x * y, x > y), (x + 3 * y, True)), (1.0, 2.0), (1, 3)),
    ("branch_and_outside", x * sp.Piecewise((x, x > 0), (2 * x, True)), (-3.0,), (-12,)),
]


@pytest.mark.parametrize(("name", "expr", "point", "want"), RULES, ids=[row[0] for row in RULES])
@pytest.mark.parametrize("simplified", [False, True], ids=["raw", "simplified"])
def test_rule(name: str, expr: sp.Expr, point: Point, want: Point, simplified: bool) -> None:
    args = (x, y, z)[: len(point)]
    graph = gradient_graph(expr, args) if simplified else raw_gradient(expr, args)
    _, *got = evaluate(graph, point)
    assert [float(g) for g in got] == list(map(float, want))


def test_the_logistic_neuron_of_the_lecture() -> None:
    w0, w1, w2, x0, x1 = args = sp.symbols("w0 w1 w2 x0 x1")
    f = 1 / (1 + sp.exp(-(w0 * x0 + w1 * x1 + w2)))
    got = interpreted(gradient_graph(f, args), (2.0, -3.0, -3.0, -1.0, -2.0))
    assert [round(float(g), 2) for g in got] == [0.73, -0.2, -0.39, 0.2, 0.39, -0.59]


def test_a_gate_is_differentiated_only_where_it_is_needed() -> None:
    graph, _ = lower(sp.polygamma(60, x) * y, (x, y))
    _, found = evaluate(differentiate(graph, [1]), (1.5, 2.0))
    assert float(found) == pytest.approx(float(sp.polygamma(60, 1.5)))
    with pytest.raises(UnsupportedExpression, match=r"polygamma\(60, x\): the highest order is 60"):
        differentiate(graph, [0])


def test_unused_inputs_get_zeros() -> None:
    graph = raw_gradient(x**2, (x, y, z))
    assert [float(g) for g in evaluate(graph, (3.0, math.nan, math.inf))[1:]] == [6, 0, 0]
    assert graph.wrt == (0, 1, 2)


def test_wrt_may_be_any_choice_in_any_order() -> None:
    graph = raw_gradient(x * y**2 * z, (x, y, z), (2, 0))
    assert [float(g) for g in evaluate(graph, (2.0, 3.0, 5.0))[1:]] == [18, 45]


def test_a_constant_has_no_gradient() -> None:
    graph = raw_gradient(sp.Integer(3), (x,))
    assert float(evaluate(graph, (1.0,))[1]) == 0


def test_zero_adjoints_do_not_absorb_infinite_gradients_elsewhere() -> None:
    got = interpreted(gradient_graph(sp.sqrt(x) * 1 + y, (x, y)), (0.0, 1.0))
    assert float(got[1]) == math.inf
    assert float(got[2]) == 1


# --- gradients of gradients -------------------------------------------------------------------------------------------

TWICE: list[tuple[str, sp.Expr, Point]] = [
    ("polynomial", x**3 * y**2 + x * y, (0.7, -1.3)),
    ("quotient", x / (1 + y**2), (0.7, -1.3)),
    ("exponential", sp.exp(x * y) * sp.sin(x), (0.7, -1.3)),
    ("power", x**y, (0.7, 1.3)),
    ("logistic", 1 / (1 + sp.exp(-x * y)), (0.7, -1.3)),
    ("softplus", sp.log(1 + sp.exp(x - y)), (0.7, -1.3)),
    ("logsumexp", sp.log(sp.exp(x) + sp.exp(y)), (0.7, -1.3)),
    ("distance", sp.sqrt(x**2 + y**2), (0.7, -1.3)),
    ("angle", sp.atan2(x, y), (0.7, -1.3)),
    ("tanh", sp.tanh(x) * sp.tanh(y), (0.7, -1.3)),
    ("logcosh", sp.log(sp.cosh(x + y)), (0.7, -1.9)),
    ("inverse_functions", sp.asin(x) * sp.atan(y) + sp.acosh(2 + x**2), (0.7, -1.3)),
    ("erf", sp.erf(x) * sp.erfc(y), (0.7, -1.3)),
    ("root", sp.sqrt(x) * sp.cbrt(y), (0.7, 1.3)),
    ("secants", sp.sec(x) + sp.coth(y) + sp.csc(x) * sp.tan(y), (0.7, -1.3)),
    ("piecewise", sp.Piecewise((x**2 * y**3, x > 0), (x * y, True)) * x, (0.7, -1.3)),
    ("piecewise_other", sp.Piecewise((sp.log(x), x > 0), (x**2 * y**3, True)) * x, (-0.7, -1.3)),
    ("extremes", sp.Max(x**2, y) * sp.Min(x, y**3), (0.7, -1.3)),
    ("absolute", sp.Abs(x) ** 3 * y, (-0.7, -1.3)),
]


@pytest.mark.parametrize(("name", "expr", "point"), TWICE, ids=[row[0] for row in TWICE])
def test_gradient_of_the_gradient(name: str, expr: sp.Expr, point: Point) -> None:
    first = simplify(Stages(expr, (x, y), None, ()).gradient, ("cheaper",))  # before it is worded for targets
    for i, view in enumerate(views_of(first.derivatives)):
        again = simplify(over_points(first.table, first.inputs, (view,)), ("stabler", "cheaper"))
        second = simplify(differentiate(again, (0, 1)), ("cheaper", "spelling"))
        value, *derivatives = interpreted(second, point)
        want = reference(sp.diff(expr, (x, y)[i]).doit(), (x, y), point)
        rows = [(value, want.value, want.value_sensitivity)]
        rows += zip(derivatives, want.gradient, want.gradient_sensitivity, strict=True)
        for got, number, effect in rows:
            # A second derivative goes through more roundings than its inputs show.
            assert agrees(float(got), number, 4 * effect), explain(float(got), number, effect)


INF = math.inf
BENT: list[tuple[str, sp.Expr, float, float]] = [
    # name, expression of x, point, second derivative: the limit, and 0 at a kink
    ("power_3_2", x ** sp.Rational(3, 2), 0.0, INF),
    ("power_5_2", x ** sp.Rational(5, 2), 0.0, 0),
    ("power_7_3", x ** sp.Rational(7, 3), 0.0, 0),
    ("power_as_float", x**2.5, 0.0, 0),
    ("power_2_3", x ** sp.Rational(2, 3), 0.0, -INF),
    ("root", sp.sqrt(x), 0.0, -INF),
    ("inverse_root", 1 / sp.sqrt(x), 0.0, INF),
    ("inverse_fifth_power", x**-5, 0.0, INF),
    ("inverse_square_far_out", x**-2, 1e70, 6e-280),
    ("root_of_fourth_power", sp.sqrt(x**4), 0.0, 2),
    ("norm", sp.sqrt(x**2 + 2 * x**4 + 3 * sp.sin(x) ** 2 + x**6), 0.0, 0),
    ("weighted_norm", sp.sqrt(3 * x**2), 0.0, 0),
    ("loser", sp.Min(sp.exp(x), 1), 1000.0, 0),
    ("loser_at_pole", sp.Max(sp.log(x), -10), 0.0, 0),
    ("logistic", 1 / (1 + sp.exp(-x)), 40.0, -4.248354255291589e-18),
    ("logistic_left", 1 / (1 + sp.exp(-x)), -40.0, 4.248354255291589e-18),
    ("logistic_at_0", 1 / (1 + sp.exp(-x)), 0.0, 0),
]


@pytest.mark.parametrize(("name", "expr", "at", "want"), BENT, ids=[row[0] for row in BENT])
def test_gradient_of_the_gradient_at_special_points(name: str, expr: sp.Expr, at: float, want: float) -> None:
    first = Stages(expr, (x,), None, ()).gradient  # where powers are powers still
    again = simplify(over_points(first.table, first.inputs, views_of(first.derivatives)), ("stabler", "cheaper"))
    _, got = interpreted(simplify(differentiate(again, (0,)), ("cheaper", "spelling")), (at,))
    assert float(got) == pytest.approx(want, rel=1e-14, abs=0)


def test_third_derivative_exactly() -> None:
    graph, _ = lower(sp.sin(x) * x**2, (x,))
    for _ in range(3):
        graph = differentiate(graph, (0,))
        graph = over_points(graph.table, graph.inputs, views_of(graph.derivatives))
    (got,) = evaluate_exactly(graph, (0.3,), digits=60)
    with mp.workdps(60):
        want = mp.diff(lambda t: mp.sin(t) * t**2, mp.mpf(0.3), 3)
        assert abs(got - want) < mp.mpf(10) ** -30


# --- linear -----------------------------------------------------------------------------------------------------------


def chain(n: int) -> sp.Expr:
    f = x
    for _ in range(n):
        f = sp.Add(sp.Mul(y, f, evaluate=False), 1, evaluate=False)
    return f


def doubling(n: int) -> sp.Expr:
    f = x
    for _ in range(n):
        f = sp.Add(sp.Mul(f, f, evaluate=False), f, evaluate=False)
    return f


def squares(n: int) -> sp.Expr:
    return sp.Add(*(sp.Symbol(f"s{i}") ** 2 for i in range(n)), evaluate=False)


def factors(n: int) -> sp.Expr:
    return sp.Mul(*(sp.sin(sp.Symbol(f"s{i}"), evaluate=False) for i in range(n)), evaluate=False)


def pieces(n: int) -> sp.Expr:
    return sp.Piecewise(*((x**2 * y + i, x < i) for i in range(n)), (y, True), evaluate=False)


def nested_pieces(n: int) -> sp.Expr:
    f = y
    for i in range(n):
        f = sp.Piecewise((sp.sin(f, evaluate=False), x > i), (x, True), evaluate=False)
    return f


FAMILIES = [chain, doubling, squares, factors, pieces, nested_pieces]


def size(expr: sp.Expr) -> int:
    return len(gradient_graph(expr).order())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_size_is_linear(family: Any) -> None:
    n = 20 if family is doubling else 100
    small, large = size(family(n)), size(family(2 * n))
    assert large <= 2.1 * small + 10


@pytest.mark.parametrize("count", [1000, 2000])
def test_chain_costs_a_few_nodes_per_link(count: int) -> None:
    assert size(chain(count)) < 8 * count


def test_two_hundred_pieces() -> None:
    expr = pieces(200)
    graph = gradient_graph(expr, (x, y))
    assert len(graph.order()) < 3000
    for at in (-1.0, 17.5, 198.5, 199.0, 300.0):
        n = max(0, math.floor(at) + 1)
        got = [float(g) for g in interpreted(graph, (at, 2.0))]
        assert got == ([at**2 * 2 + n, 4 * at, at**2] if n < 200 else [2.0, 0.0, 1.0])


def test_deep_graphs_need_no_recursion() -> None:
    graph = gradient_graph(chain(5000), (x, y))
    value, by_x, _ = interpreted(graph, (1.0, 0.5))
    assert float(value) == pytest.approx(2.0)
    assert float(by_x) == 0.5**5000


def test_wide_sums() -> None:
    graph = gradient_graph(squares(2000))
    at = np.linspace(-1, 1, 2000)
    value, *gradient = interpreted(graph, at)
    assert float(value) == pytest.approx(float(np.sum(at**2)))
    assert [float(g) for g in gradient] == [2 * a for a in at.tolist()]


def test_no_two_nodes_say_the_same() -> None:
    for expr in (chain(30), doubling(10), factors(12), pieces(12), sp.exp(x * y) * sp.sin(y * x)):
        nodes = gradient_graph(expr).order()
        keys = {
            (
                node.gate.name,
                tuple(
                    sorted(e.node.number for e in node.arguments)
                    if node.gate.commutative
                    else [e.node.number for e in node.arguments]
                ),
                node.attribute,
            )
            for node in nodes
        }
        assert len(keys) == len(nodes)


def test_interning_is_up_to_order_of_commutative_arguments_only() -> None:
    table = InternTable(dict(GATES))
    a, b = table.input(0, (0,)), table.input(1, (0,))
    assert (a + b).node is (b + a).node
    assert (a * b).node is (b * a).node
    assert (a / b).node is not (b / a).node
    assert (a - b).node is not (b - a).node
    assert (a < b).node is not (b < a).node


@pytest.mark.parametrize(
    "limits", [((5, 1),), ((5, 4),), ((1, 5),), ((5, 1), (4, 2)), ((5, 1), (2, 4))], ids=lambda limits: str(limits)
)
def test_ranges_of_numbers_run_as_in_sympy(limits: tuple[tuple[int, int], ...]) -> None:
    """Also backwards: minus what lies between, of a product its reciprocal."""
    own = [(index, *ends) for index, ends in zip(sp.symbols("i j", integer=True), limits, strict=False)]
    for written in (sp.Sum(x**2 + own[0][0] * x, *own), sp.Product(x + own[0][0], *own)):
        want = written.doit()
        value, slope = interpreted(gradient_graph(written, [x]), [0.75])
        assert value == pytest.approx(float(want.subs(x, 0.75)), rel=1e-14, abs=1e-14)
        assert slope == pytest.approx(float(want.diff(x).subs(x, 0.75)), rel=1e-13, abs=1e-13)


def test_a_range_of_a_text_is_empty_where_pythons_is() -> None:
    value, slope = interpreted(gradient_graph("sum(k*x for k in range(5, 2)) + x"), [3.0])
    assert (value, slope) == (3.0, 1.0)
