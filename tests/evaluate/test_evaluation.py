"""The reference evaluator: one walk over points and arrays, with floats, exact and complex numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from mpmath import mp

import symgrad
from symgrad.analysis.domains import Domains
from symgrad.compiler import Stages
from symgrad.evaluate.arithmetic import Floats
from symgrad.evaluate.evaluation import Evaluation, Evaluator, evaluate, evaluate_exactly, every_node, exact_value
from symgrad.evaluate.rounding import round_fraction, rounded
from symgrad.gates.table import GATES
from symgrad.graph.graph import Graph
from symgrad.graph.intern import InternTable

n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
a, b = sp.symbols("a b")
x, X, w = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("w", shape=(d,))
SCORES = sp.Sum(sp.exp(-(sp.Sum(X[i, j] * w[j], (j, 0, d - 1)) ** 2)), (i, 0, n - 1))


def lowered(expression: Any, gates: Any = ()) -> Graph:
    return Stages(expression, None, None, gates).graph


# --- points -----------------------------------------------------------------------------------------------------------


def test_points_are_of_any_shape() -> None:
    """That of the inputs together; a constant has it as well."""
    graph = Stages("x*y + 2", None, None, ()).graph
    constant = graph.with_values([graph.table.constant(3)])
    xs, ys = np.arange(4.0)[:, None], np.array([1.0, -1.0, 0.5])
    np.testing.assert_array_equal(evaluate(graph, [xs, ys])[0], xs * ys + 2)
    np.testing.assert_array_equal(evaluate(constant, [xs, ys])[0], np.full((4, 3), 3.0))
    assert evaluate(graph, [2.0, 3.0])[0].shape == ()
    assert evaluate(graph, [2.0, ys])[0].shape == (3,)


def test_exact_points_may_be_arrays() -> None:
    graph = Stages("sin(x)/3", None, None, ()).graph
    found = evaluate_exactly(graph, [np.array([0.5, 2.0])], digits=40)[0]
    with mp.workdps(40):
        assert list(found) == [mp.sin(mp.mpf(at)) / 3 for at in (0.5, 2.0)]


def test_results_are_no_views_of_inputs() -> None:
    graph = Stages("x", None, None, ()).graph
    given = np.arange(3.0)
    (found,) = evaluate(graph, [given])
    assert not np.shares_memory(found, given)


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_bits_do_not_depend_on_how_arrays_lie_in_memory() -> None:
    rng = np.random.default_rng(3)
    data, weights = rng.normal(size=(40, 6)), rng.normal(size=12)
    graph = Stages(SCORES, None, None, ()).simplified
    sizes = {"n": 40, "d": 6}
    want = evaluate(graph, [data, np.ascontiguousarray(weights[::2])], sizes)
    got = evaluate(graph, [np.asfortranarray(data), weights[::2]], sizes)
    for one, two in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, two)


def test_exact_and_float_arrays_agree() -> None:
    rng = np.random.default_rng(4)
    given = [rng.normal(size=(5, 3)), rng.normal(size=3)]
    graph = Stages(SCORES, None, None, ()).gradient
    for exact, got in zip(
        evaluate_exactly(graph, given, {"n": 5, "d": 3}), evaluate(graph, given, {"n": 5, "d": 3}), strict=True
    ):
        np.testing.assert_allclose(got, np.vectorize(float, otypes=[float])(exact), rtol=1e-13)


def test_large_angles_have_digits_enough_in_arrays_as_well() -> None:
    at = np.array([1.0, 2.0, 5.0])
    (found,) = evaluate_exactly(lowered(sp.Sum(sp.sin(10**40 * x[i] / 3), (i, 0, n - 1))), [at], {"n": 3}, 50)
    with mp.workdps(150):
        want = mp.fsum(mp.sin(mp.mpf(10) ** 40 * mp.mpf(number) / 3) for number in at)
        assert abs(found - want) < mp.mpf(10) ** -48


def test_what_nobody_reads_any_more_is_freed() -> None:
    graph = Stages(SCORES, None, None, ()).gradient
    given, sizes = [np.ones((3, 2)), np.ones(2)], {"n": 3, "d": 2}
    kept = Evaluation(Evaluator(graph), given, sizes, Floats()).values
    assert set(kept) == {view.node for view in graph.views}
    domains = Domains(graph)
    assert set(Evaluation(Evaluator(graph, every_node(domains), domains), given, sizes, Floats()).values) == set(
        graph.order()
    )


# --- the user's gates -------------------------------------------------------------------------------------------------

LERP = symgrad.gate("lerp", sp.Lambda((a, b), (b - a) / 3 + a * b), [lambda y, a, b: b, lambda y, a, b: a])


def test_a_gate_of_the_users_that_reads_an_array_twice() -> None:
    at = np.array([1.0, 2.0, 4.0, 7.0])
    graph = lowered(sp.Sum(LERP(x[i], x[i + 1]), (i, 0, n - 2)), [LERP])
    want = sum((q - p) / 3 + p * q for p, q in pairwise(at))
    written = symgrad.compile(sp.Sum(LERP(x[i], x[i + 1]), (i, 0, n - 2)), gates=[LERP])._compiled.written
    assert written is not None
    assert "lerp" in {node.gate.name for node in written.order()}
    for own in (graph, written):
        assert evaluate(own, [at], {"n": 4})[0] == pytest.approx(want)
        assert evaluate_exactly(own, [at], {"n": 4})[0] == pytest.approx(want)


def test_constants_of_a_gate_of_the_users_are_exact() -> None:
    """Also in complex numbers, where those of its expansion were rounded to a float."""
    written = symgrad.compile(LERP(a, b), gates=[LERP])._compiled.written
    assert written is not None
    (found,) = Evaluator(written).complex([mpmath.mpc(1, 0), mpmath.mpc(2, 0)], digits=60)
    with mp.workdps(60):
        assert abs(found - (mp.mpf(7) / 3)) < mp.mpf(10) ** -58


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_what_depends_on_no_input_has_a_value() -> None:
    table = InternTable(dict(GATES))
    three, pi = table.constant(3), table.constant("pi")
    with mp.workdps(60):
        assert abs(exact_value(pi / three, 60) - mp.pi / 3) < mp.mpf(10) ** -58
    assert exact_value(three < pi) is True
    assert exact_value(pi < three) is False


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constants_are_rounded_once(dtype: Any) -> None:
    # Between two floats of 32 bits, and above the middle by less than a float of 64 bits shows.
    between = 1 + Fraction(1, 2**24) + Fraction(1, 2**80)
    assert round_fraction(between, np.dtype(np.float32)) == np.nextafter(np.float32(1), np.float32(2))
    assert rounded("pi", dtype) == dtype(math.pi)
    assert rounded(Fraction(10) ** 400, dtype) == np.inf
    assert rounded(-(Fraction(10) ** 400), dtype) == -np.inf
