"""A rational factor is one number: as many roundings, fewer operations; not where a step would notice."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from mpmath import mp
from together import gradient_graph, interpreted

import symgrad
from symgrad.gates.arithmetic import factor_and_divisor
from symgrad.graph.graph import operations

R = sp.Rational
x, y = sp.symbols("x y")


def value_of(expr: sp.Expr) -> str:
    """The text of the value of a function of one line, without its comment."""
    source = symgrad.emit(expr, target="python", body=True, wrt=())
    found = re.search(r"value = (.*?)(  #.*)?$", source, re.MULTILINE)
    assert found is not None, source
    return found[1]


# expression, text of its value
TEXTS: list[tuple[sp.Expr, str]] = [
    (sp.Float(0.37) * x * y, "0.37 * (x * y)"),
    (-3 * x / 10, "-0.3 * x"),
    (3 * x * y / 10, "0.3 * (x * y)"),
    (2 * x / 3, "0.6666666666666666 * x"),
    (3 * x / 8, "0.375 * x"),
    (3 * x / (10 * y), "0.3 * (x / y)"),
    (x / 3, "x / 3.0"),
    (x * y / 10, "x * y / 10.0"),
    (x / 8, "x / 8.0"),
    (3 * x, "3.0 * x"),
    (x / (3 * y), "x / (3.0 * y)"),
    (3 * x / y, "3.0 * x / y"),
    (sp.floor(7 * x / 10), "floor(7.0 * x / 10.0)"),
    (sp.Mod(3 * x / 10, y), "3.0 * x / 10.0 % y"),
    (sp.floor(3 * x / 8), "floor(0.375 * x)"),
]


@pytest.mark.parametrize(("expr", "text"), TEXTS, ids=[str(row[0]) for row in TEXTS])
def test_text(expr: sp.Expr, text: str) -> None:
    assert value_of(expr) == text


@pytest.mark.parametrize(
    ("number", "want"),
    [
        (Fraction(3, 7), (3, 7)),
        (Fraction(1, 7), (1, 7)),
        (Fraction(7), (7, 1)),
        (Fraction(1, 8), (1, 8)),
        (Fraction(3, 8), (Fraction(3, 8), 1)),
        (Fraction(0.37), (Fraction(0.37), 1)),
        (Fraction(2**60 + 1, 3), (Fraction(2**60 + 1, 3), 1)),
    ],
)
def test_factor_and_divisor(number: Fraction, want: tuple[Fraction | int, int]) -> None:
    assert factor_and_divisor(number) == want


def test_a_whole_multiple_stays_on_its_side_of_a_step() -> None:
    """0.7*x would be below a whole number for some of these."""
    graph = gradient_graph(sp.floor(7 * x / 5), (x,))
    for k in range(0, 5000, 5):
        assert interpreted(graph, (float(k),))[0] == 7 * k // 5


@pytest.mark.parametrize("factor", [R(3, 10), R(2, 3), R(-7, 9), R(1000, 1001)], ids=str)
def test_error_is_that_of_two_roundings(factor: sp.Rational) -> None:
    graph = gradient_graph(factor * x, (x,))
    for at in np.random.default_rng(1).uniform(-5, 5, 200):
        got, _ = interpreted(graph, (at,))
        with mp.workdps(40):
            want = mp.mpf(int(factor.p)) / int(factor.q) * mp.mpf(float(at))
            assert abs(mp.mpf(float(got)) - want) <= 2.0**-52 * abs(want)


def test_operations() -> None:
    graph = gradient_graph(-3 * x / 10 + 7 * sp.exp(x) / 10, (x,))
    assert operations(node for node in graph.order() if node.arguments and not node.fixed) == 6


def test_accuracies_have_the_same_text() -> None:
    fast, strict = (symgrad.emit(3 * x / 10, target="python", accuracy=own, body=True) for own in ("fast", "strict"))
    assert fast == strict
