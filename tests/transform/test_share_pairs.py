"""What sums and products have in common is computed once: fewer operations, the same numbers, near-linear time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS
from mpmath import mp
from several import scalars
from together import Batch, interpreted

from symgrad.compiler import Stages
from symgrad.evaluate.evaluation import evaluate_exactly
from symgrad.graph.graph import Graph, operations
from symgrad.graph.sums import sum_of
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.laws.law import multiple
from symgrad.transform.simplify import simplify

a, b, c, d, e, f = SYMBOLS = sp.symbols("a b c d e f")
AFTER = ("cheaper", "spelling", "wording")
POINT = (0.5, -1.25, 3.0, 0.75, -2.5, 1.5)


class _Others:
    """The names of all laws but those of sharing."""

    def __contains__(self, name: object) -> bool:
        return name not in ("share_pairs", "share_multiples")


def both(graph: Graph, fired: Counter[str] | None = None) -> tuple[Graph, Graph]:
    """The simplified graph without and with what is shared."""
    return simplify(graph, AFTER, only=_Others()), simplify(graph, AFTER, fired)


def count(graph: Graph) -> int:
    return operations(node for node in graph.order() if node.arguments and not node.fixed)


# name, expressions, operations without and with what they share
SHARED: list[tuple[str, list[sp.Expr], int, int]] = [
    ("pair", [sp.sin(a + b + c), sp.cos(a + b + d)], 6, 5),
    ("pair_alone", [sp.sin(a + b), sp.cos(a + b + d)], 5, 4),
    ("group", [sp.sin(a + b + c + d + e), sp.cos(a + b + c + d + f)], 10, 7),
    ("group_alone", [sp.sin(a + b + c + d), sp.cos(a + b + c + d + f)], 9, 6),
    ("nested", [sp.sin(a + b + c), sp.sin(a + b + c + d), sp.sin(a + b + c + d + e)], 12, 7),
    ("negatives", [sp.exp(d - a - b), sp.cosh(e - a - b) + sp.exp(e - a - b)], 13, 10),
    ("difference", [sp.sin(a - b + c), sp.cos(a - b + d)], 7, 6),
    ("two_signs", [sp.exp(a + b + c), sp.exp(d - a - b)], 8, 6),
    ("nothing", [sp.sin(a + b + c), sp.cos(a - b + d)], 7, 7),
    ("one_term", [sp.sin(a + b + c), sp.cos(a + d + e)], 6, 6),
    ("number", [sp.sin(a + b + 3), sp.cos(a + d + 3)], 6, 5),
    ("multiple", [sp.sin(3 * a + 6 * b), sp.cos(2 * a + 4 * b)], 8, 6),
    ("multiple_of_a_part", [sp.sin(3 * a + 6 * b + c), sp.cos(2 * a + 4 * b + d)], 10, 8),
    ("multiple_with_a_number", [sp.sin(2 * a - 1), sp.cos(4 * a - 2)], 6, 5),
    ("multiple_that_is_read", [sp.sin(3 * a + 5 * b + c), sp.cos(a) + 3 * a, 5 * b], 7, 7),
    ("of_one_sum", [sp.sin(3 * a + 3 * b + 3 * c + d), f], 7, 5),
    ("of_one_sum_with_a_sign", [sp.sin(3 * a - 3 * b + d), f], 6, 5),
    ("of_one_value", [sp.sin(3 * a - 3 * b + d)], 6, 6),
    ("opposite", [sp.sin(a - b), sp.cos(c + a - b), sp.cos(c - a + b)], 10, 8),
    (
        "nearly",
        [sp.sin(a + b + c + d), sp.sin(2 * a + b + c + d), sp.sin(a + 3 * b + c + d), sp.sin(a + b + 2 * c + d)],
        19,
        11,
    ),
    ("huge", [a * 10**60 + b * 10**60 + c], 4, 4),
]


@pytest.mark.parametrize(("name", "expressions", "without", "with_it"), SHARED, ids=[row[0] for row in SHARED])
def test_operations(name: str, expressions: list[sp.Expr], without: int, with_it: int) -> None:
    fired: Counter[str] = Counter()
    plain, shared = both(scalars(expressions, SYMBOLS), fired)
    assert (count(plain), count(shared)) == (without, with_it)
    assert bool(fired["share_pairs"]) == (without > with_it)
    same_numbers(plain, shared, POINT)


def same_numbers(one: Graph, two: Graph, point: Sequence[float]) -> None:
    """At 50 digits the order of additions is no matter."""
    for got, want in zip(evaluate_exactly(two, point), evaluate_exactly(one, point), strict=True):
        assert abs(got - want) <= mp.mpf(10) ** -40 * (1 + abs(want))


def _trigonometric(x: Sequence[sp.Symbol]) -> list[sp.Expr]:
    total = sum(map(sp.cos, x))
    return [len(x) - total + (i + 1) * (1 - sp.cos(own)) - sp.sin(own) for i, own in enumerate(x)]


def _brown_almost_linear(x: Sequence[sp.Symbol]) -> list[sp.Expr]:
    return [*(own + sum(x) - len(x) - 1 for own in x[:-1]), sp.prod(x) - 1]


def _chebyquad(x: Sequence[sp.Symbol]) -> list[sp.Expr]:
    sums: list[sp.Expr] = [sp.Integer(0)] * len(x)
    for own in x:
        before, now = sp.Integer(1), 2 * own - 1
        for i in range(len(x)):
            sums[i] += now
            before, now = now, 2 * (2 * own - 1) * now - before
    return [total / len(x) for total in sums]


# Moré, Garbow & Hillstrom, Testing unconstrained optimization software, 1981: problems 26, 27 and 35, with Jacobians.
@pytest.mark.parametrize(
    ("problem", "least"), [(_trigonometric, 0.82), (_brown_almost_linear, 0.65), (_chebyquad, 0.9)]
)
def test_systems_of_equations(problem: object, least: float) -> None:
    assert callable(problem)
    x = sp.symbols("x:8")
    graph = derive(scalars(problem(x), x), Wanted(range(8), "jacobian"))
    plain, shared = both(graph)
    assert count(shared) <= least * count(plain)
    point = [0.1 + 0.07 * i for i in range(8)]
    same_numbers(plain, shared, point)
    for got, want in zip(interpreted(shared, point), interpreted(plain, point), strict=True):
        assert abs(got - want) <= 1e-13 * (1 + abs(want))


@pytest.mark.parametrize(("first", "second", "operations"), [(3, 5, 2), (-3, -5, 3), (3, -5, 5), (1, 1, 2)])
def test_multiples_of_one_term_are_added(first: int, second: int, operations: int) -> None:
    """Those of one sign: where a is infinite 3*a - 5*a is NaN."""
    graph = scalars([*SYMBOLS], SYMBOLS)
    one, two, *_ = graph.views
    value = sum_of(one, [multiple(Fraction(first), one), two, multiple(Fraction(second), one)])
    plain, shared = both(graph.with_values([value, two]))
    assert count(shared) == operations
    same_numbers(plain, shared, POINT)


@pytest.mark.parametrize("seed", range(12))
def test_random_sums_and_products(seed: int) -> None:
    """Never more operations, the same numbers; twice is as once."""
    generator = np.random.default_rng(seed)
    x = sp.symbols("x:8")
    expressions = []
    for _ in range(10):
        chosen = generator.permutation(8)[: generator.integers(2, 8)]
        signs = generator.choice([1, -1, 2], 8)
        terms = [int(signs[k]) * x[k] for k in chosen]
        expressions.append(sp.sin(sp.Add(*terms)) if generator.random() < 0.6 else sp.Mul(*(x[k] for k in chosen)))
    graph = derive(scalars(expressions, x), Wanted(range(8), "jacobian"))
    plain, shared = both(graph)
    assert count(shared) <= count(plain)
    point = generator.uniform(-1.5, 1.5, 8).tolist()
    same_numbers(plain, shared, point)
    again: Counter[str] = Counter()
    assert count(simplify(shared, AFTER, again)) == count(shared)


def test_no_row_of_the_corpus_has_more_operations() -> None:
    for case in CORPUS:
        plain, shared = both(Stages(case.text, None, None, ()).gradient)
        assert count(shared) <= count(plain), case.name


def test_what_a_step_is_made_of_keeps_its_order() -> None:
    plain, shared = both(scalars([sp.floor(a + b + c), sp.sin(a + b + d)], SYMBOLS))
    assert count(shared) == count(plain)


def test_a_branch_that_is_not_taken_stays_out() -> None:
    inside = sp.Piecewise((sp.log(a) + b + c, a > 0), (sp.sqrt(a + b + c) + b + c, a > -1), (b + c + d, True))
    graph = Stages(inside * sp.sin(b + c + e), (a, b, c, d, e), None, ()).simplified
    value, *gradient = interpreted(graph, (-4.0, 1.0, 2.0, 3.0, 0.5))
    assert value == pytest.approx(6 * np.sin(3.5))
    slope = [0, np.sin(3.5) + 6 * np.cos(3.5), np.sin(3.5) + 6 * np.cos(3.5), np.sin(3.5), 6 * np.cos(3.5)]
    assert gradient == pytest.approx(slope)


def test_compiled() -> None:
    graph = simplify(
        derive(scalars([sp.Mul(*row[1][:2]) for row in SHARED], SYMBOLS), Wanted(range(6), "jacobian")), AFTER
    )
    (results,) = Batch([graph], [[POINT]]).results
    for got, want in zip(results, evaluate_exactly(graph, POINT), strict=True):
        assert got[0] == pytest.approx(float(want), rel=1e-13, abs=1e-14)


def test_arrays_stay_as_they_are() -> None:
    n = sp.Symbol("n", integer=True)
    i = sp.Symbol("i", integer=True)
    x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(n,))
    expr = sp.Sum(sp.sin(x[i] + y[i] + a) * sp.cos(x[i] + y[i] + b), (i, 0, n - 1))
    plain, shared = both(Stages(expr, None, None, ()).gradient)
    assert str(plain) == str(shared)


def test_long_sums_take_no_square_of_the_time() -> None:
    """Of every pair of 4000 terms there would be millions."""
    generator = np.random.default_rng(0)
    x = sp.symbols("x:4000")
    graph = scalars([sp.Add(*(own for own in x if generator.random() < 0.5)) for _ in range(12)], x)
    start = time.perf_counter()
    shared = simplify(graph, AFTER)
    assert time.perf_counter() - start < 20
    assert count(shared) < count(graph)
