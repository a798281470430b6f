"""Products of the same factors are computed once, whatever numbers stand in them and wherever."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import sympy as sp
from several import scalars

from symgrad.graph.graph import Graph
from symgrad.graph.node import View
from symgrad.transform.derive import Wanted, derive
from tests.transform.test_share_pairs import POINT, SYMBOLS, both, count, same_numbers

a, b, c, d, e, f = SYMBOLS


def graph_of(*made: object) -> Graph:
    """A graph whose values are what functions make of the inputs: SymPy would put numbers in front."""
    graph = scalars([*SYMBOLS], SYMBOLS)
    inputs = graph.views
    return graph.with_values([function(*inputs) for function in made if callable(function)])


def scaled(number: int, view: View) -> View:
    return view.node.table.constant(number) * view


# name, values, operations without and with what they share
PRODUCTS = [
    ("number_inside", [lambda a, b, *_: scaled(2, a) * b, lambda a, b, *_: a * b], 3, 2),
    ("numbers_inside", [lambda a, b, *_: scaled(2, a) * b, lambda a, b, *_: scaled(6, b) * a], 4, 3),
    ("association", [lambda a, b, c, *_: (a * b) * c, lambda a, b, c, *_: a * (b * c)], 4, 2),
    ("sign", [lambda a, b, c, *_: (a * b) * c, lambda a, b, c, *_: a * (b * -c) + c], 6, 4),
    (
        "number_that_one_has",
        [lambda a, b, *_: scaled(3, a * b), lambda a, *_: scaled(3, a).call("sin")],
        4,
        3,
    ),
    (
        "product_that_others_read",
        [
            lambda a, b, *_: scaled(3, a * b),
            lambda a, *_: scaled(3, a).call("sin"),
            lambda a, b, *_: (a * b).call("sin"),
        ],
        5,
        5,
    ),
    ("nothing", [lambda a, b, *_: scaled(2, a) * b, lambda a, b, c, *_: a * c], 3, 3),
    ("step", [lambda a, b, c, *_: ((a * b) * c).call("floor"), lambda a, b, c, *_: (a * (b * c)).call("floor")], 6, 6),
]


@pytest.mark.parametrize(("name", "values", "without", "with_it"), PRODUCTS, ids=[row[0] for row in PRODUCTS])
def test_operations(name: str, values: list[object], without: int, with_it: int) -> None:
    fired: Counter[str] = Counter()
    plain, shared = both(graph_of(*values), fired)
    assert (count(plain), count(shared)) == (without, with_it)
    assert bool(fired["share_multiples"]) == (without > with_it)
    same_numbers(plain, shared, POINT)


@pytest.mark.parametrize("seed", range(8))
def test_random_products(seed: int) -> None:
    """Never more operations, the same numbers."""
    generator = np.random.default_rng(seed)
    expressions = []
    for _ in range(8):
        chosen = generator.permutation(6)[: generator.integers(2, 5)]
        expressions.append(sp.sin(int(generator.integers(1, 5)) * sp.Mul(*(SYMBOLS[k] for k in chosen))))
    plain, shared = both(derive(scalars(expressions, SYMBOLS), Wanted(range(6), "jacobian")))
    assert count(shared) <= count(plain)
    same_numbers(plain, shared, POINT)
