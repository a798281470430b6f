"""Derivatives by vertex elimination: right in every order, of few operations, exactly 0 outside of branches."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import mpmath
import pytest
import sympy as sp
from derivative_problems import PROBLEMS, symbols_of
from mpmath import mp
from several import scalars

from symgrad.evaluate.evaluation import evaluate
from symgrad.gates.table import GATES
from symgrad.graph.graph import Graph, over_points
from symgrad.graph.intern import InternTable
from symgrad.transform import derive as deriving
from symgrad.transform.cost import cost
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.elimination import ORDERS, Order
from symgrad.transform.simplify import simplify
from tests.transform.test_differentiate import BENT, RULES, TWICE

INF, NAN = math.inf, math.nan
x, y, z = sp.symbols("x y z", real=True)


def derivatives(graph: Graph, derivative: Any, order: Order | None, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """By one order, or by the best of all."""
    if order is not None:
        monkeypatch.setattr(deriving, "ORDERS", (order,))
    return derive(graph, Wanted(range(len(graph.inputs)), derivative))


def by_key(graph: Graph, point: Sequence[float]) -> dict[tuple[int, ...], float]:
    """The derivatives at a point, by value and inputs."""
    numbers = evaluate(graph, point)[len(graph.values) :]
    return {(o.of, *o.by): float(number) for o, number in zip(graph.derivatives, numbers, strict=True)}


# --- problems ---------------------------------------------------------------------------------------------------------


def differences(rows: list[sp.Expr], symbols: Sequence[sp.Symbol], point: Sequence[float], times: int) -> Any:
    """First or second derivatives by central differences of 120 digits, right to 35, by value and inputs."""
    with mp.workdps(120):
        evaluated = sp.lambdify(symbols, [own.evalf(120) for own in rows], "mpmath", cse=True)
        at, h = [mpmath.mpf(p) for p in point], mpmath.mpf(10) ** -40

        def moved(*steps: tuple[int, int]) -> list[Any]:
            near = list(at)
            for i, sign in steps:
                near[i] += sign * h
            return list(evaluated(*near))

        found: dict[tuple[int, ...], Any] = {}
        for i in range(len(symbols)):
            if times == 1:
                for of, (up, down) in enumerate(zip(moved((i, 1)), moved((i, -1)), strict=True)):
                    found[of, i] = (up - down) / (2 * h)
                continue
            for j in range(i + 1):
                corners = {(s, t): moved((i, s), (j, t)) for s in (1, -1) for t in (1, -1)}
                for of in range(len(rows)):
                    found[of, i, j] = sum(s * t * own[of] for (s, t), own in corners.items()) / (4 * h * h)
        return found


@pytest.mark.parametrize("order", [None, *ORDERS])
@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name: str, order: Order | None, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = PROBLEMS[name]
    if order is not None and problem.entries > 300:
        pytest.skip("the best order is enough of the largest")
    symbols = symbols_of(problem)
    rows, times = problem.rows(symbols), ("jacobian", "hessian").index(problem.derivative) + 1
    graph = derivatives(scalars(rows, symbols), problem.derivative, order, monkeypatch)
    highest = {key: own for key, own in by_key(graph, problem.point).items() if len(key) == 1 + times}
    assert len(highest) == problem.entries
    want = differences(rows, symbols, problem.point, times)
    scale = max(abs(number) for number in want.values())
    simplified = by_key(simplify(graph, ("cheaper", "spelling")), problem.point)
    for key, number in want.items():
        for found in (highest, simplified):
            assert abs(found.get(key, 0.0) - number) <= 4e-14 * (abs(number) + 1e-3 * scale), key
    assert all(abs(want[key]) < 1e-30 * scale for key in want if key not in highest)


@pytest.mark.parametrize("name", PROBLEMS)
def test_operations(name: str) -> None:
    problem = PROBLEMS[name]
    graph = scalars(problem.rows(symbols_of(problem)), symbols_of(problem))
    assert cost(simplify(graph, ("cheaper", "spelling")).views) <= problem.value_operations
    derived = derive(graph, Wanted(range(problem.inputs), problem.derivative))
    assert cost(simplify(derived, ("cheaper", "spelling")).views) <= problem.operations


# --- rules, kinks and branches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "expr", "point", "want"), RULES, ids=[row[0] for row in RULES])
def test_rule(name: str, expr: sp.Expr, point: Any, want: Any, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    args = (x, y, z)[: len(point)]
    # Beside another value, so that it is no gradient; that needs all parts of the expression as well.
    graph = derivatives(scalars([expr, 2 * expr], args), "jacobian", order, monkeypatch)
    found = by_key(graph, point)
    assert [found.get((0, i), 0.0) for i in range(len(args))] == list(map(float, want))
    assert [found.get((1, i), 0.0) for i in range(len(args))] == [2.0 * own for own in want]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "expr", "at", "want"), BENT, ids=[row[0] for row in BENT])
def test_second_derivative_at_special_points(
    name: str, expr: sp.Expr, at: float, want: float, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = simplify(derivatives(scalars([expr], (x,)), "hessian", order, monkeypatch), ("cheaper", "spelling"))
    assert by_key(graph, [at]).get((0, 0, 0), 0.0) == pytest.approx(want, rel=1e-14, abs=0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "expr", "point"), TWICE, ids=[row[0] for row in TWICE])
def test_second_derivatives(
    name: str, expr: sp.Expr, point: Any, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = simplify(derivatives(scalars([expr], (x, y)), "hessian", order, monkeypatch), ("cheaper", "spelling"))
    found = by_key(graph, point)
    for key, number in differences([expr], (x, y), point, 2).items():
        assert found.get(key, 0.0) == pytest.approx(float(number), rel=1e-12, abs=1e-15)


log, root = sp.log(x), sp.sqrt(x - y)
no_branch = sp.Piecewise((sp.Rational(1, 3), (y >= 0) & sp.Ne(x, y)))
BRANCHES: list[tuple[str, list[sp.Expr], tuple[float, float], dict[tuple[int, int], float]]] = [
    # name, values, point, Jacobian: what is not taken is NaN or infinite there
    ("untaken", [sp.Piecewise((log * y, x > 0), (x * y, True)), x], (-2.0, 3.0), {(0, 0): 3, (0, 1): -2, (1, 0): 1}),
    (
        "shared by branches",
        [sp.Piecewise((log * y, x > 1), (log**2, x > 0), (x, True)), sp.Piecewise((3 * log, x > 0), (y, True))],
        (-2.0, 3.0),
        {(0, 0): 1, (0, 1): 0, (1, 0): 0, (1, 1): 1},
    ),
    (
        "read outside as well",
        [sp.Piecewise((root * y, x > y), (y, True)), root],
        (3.0, 2.0),
        {(0, 0): 1, (0, 1): 0, (1, 0): 0.5, (1, 1): -0.5},
    ),
    (
        "nested",
        [sp.Piecewise((sp.Piecewise((sp.log(y - x), y > x), (x, True)) * log, x > 0), (x, True)), y],
        (-2.0, -3.0),
        {(0, 0): 1, (0, 1): 0, (1, 1): 1},
    ),
    ("loser", [sp.Max(log, y) * x, sp.Min(sp.exp(500 * x), y)], (0.0, 3.0), {(0, 0): 3, (0, 1): 0, (1, 0): 500}),
    ("loser that overflows", [sp.Min(sp.exp(x), y) * x, y], (1000.0, 3.0), {(0, 0): 3, (0, 1): 1000, (1, 1): 1}),
    ("tie", [sp.Max(x, y) * 6, x], (2.0, 2.0), {(0, 0): 3, (0, 1): 3, (1, 0): 1}),
    ("kink", [sp.Abs(x) * y + sp.Abs(y - 3), x], (0.0, 3.0), {(0, 0): 0, (0, 1): 0, (1, 0): 1}),
    (
        "infinity beside a branch",
        [sp.sqrt(x) + sp.Piecewise((sp.sqrt(x - 1) * y, x > 1), (y, True)), y],
        (0.0, 3.0),
        {(0, 0): INF, (0, 1): 1, (1, 1): 1},
    ),
    (
        "read outside, and in a sum of branches",
        [sp.Piecewise((log, y > 4), (0, True)) + sp.Piecewise((log**2 * y, y > 5), (1, True)), log],
        (0.0, 3.0),
        {(0, 0): 0, (0, 1): 0, (1, 0): INF},
    ),
    (
        "read outside, and loses twice",
        [sp.Max(log, y) + sp.Max(2 * log, y - 1), log],
        (0.0, 3.0),
        {(0, 0): 0, (0, 1): 2, (1, 0): INF},
    ),
    (
        "an extreme read outside, and in a branch",
        [sp.Piecewise((sp.Max(-10, log), sp.Eq(x, y)), (y, True)), sp.Max(-10, log)],
        (-1.0, 3.0),
        {(0, 0): 0, (0, 1): 1},
    ),
    (
        "without a branch, read outside and in a branch",
        [sp.Piecewise((x, sp.Ne(y, 0)), (no_branch, True)), no_branch],
        (0.0, -1.0),
        {(0, 0): 1, (0, 1): 0},
    ),
    (
        "infinite where it is not read",
        [sp.Piecewise((1 / x + y / x**2, sp.Abs(x) > 1), (y, True)) ** 2, sp.sin(x) * y],
        (0.0, 3.0),
        {(0, 0): 0, (0, 1): 6, (1, 0): 3, (1, 1): 0},
    ),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "values", "point", "want"), BRANCHES, ids=[row[0] for row in BRANCHES])
def test_branches(
    name: str,
    values: list[sp.Expr],
    point: tuple[float, float],
    want: dict[tuple[int, int], float],
    order: Order,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = derivatives(scalars(values, (x, y)), "jacobian", order, monkeypatch)
    for made in (graph, simplify(graph, ("cheaper", "spelling"))):
        found = by_key(made, point)
        assert {key: found.get(key, 0.0) for key in want} == want


POLES = [1 / x**3, sp.log(x**4), y / (x**2 * sp.cbrt(x) ** 5), 1 / (x**2 + y), (x**-40) ** 2, x ** sp.Rational(5, 2)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("at", [0.0, 1e-150, 1e70, -1e-3, 1e-3])
@pytest.mark.parametrize("expr", POLES, ids=str)
def test_quotients_by_powers(expr: sp.Expr, at: float, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the reverse pass says of the gradient holds in every order: no infinity times 0, nothing that underflows."""
    args, point = (x, y), (at, 2.0)
    want = by_key(derive(scalars([expr], args), Wanted((0, 1))), point)
    graph = derivatives(scalars([expr, sp.sin(expr)], args), "jacobian", order, monkeypatch)
    found = by_key(graph, point)
    for i in range(2):
        assert found.get((0, i), 0.0) == pytest.approx(want[0, i], rel=1e-13, nan_ok=True)


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_hundred_values_of_a_large_graph() -> None:
    """States that are coupled to their neighbours, over and over: ten thousand nodes in seconds, not in minutes."""
    table = InternTable(dict(GATES))
    values = [table.input(place, (0,)) for place in range(100)]
    for _ in range(16):
        values = [own.call("sin") * values[i - 1].call("cos") + own.call("exp") * own for i, own in enumerate(values)]
    graph = over_points(table, [f"s{place}" for place in range(100)], values)
    assert len(graph.order()) >= 9_000
    start = time.process_time()
    made = derive(graph, Wanted(range(100), "jacobian"))
    assert time.process_time() - start < 20
    assert len(made.derivatives) == 1700
