"""Large expressions of seven kinds, by how many operations value and gradients have together.

They are put together without SymPy's evaluation, which would take most of the time, and does not come to an end on
shared parts. Each function takes how many links, terms or rows it has; `KINDS` says how many operations come of one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import combinations
from typing import NamedTuple

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair


def add(*terms: sympy.Expr) -> sympy.Expr:
    return sympy.Add._from_args(terms, is_commutative=True)


def mul(*factors: sympy.Expr) -> sympy.Expr:
    return sympy.Mul._from_args(factors, is_commutative=True)


def squared(base: sympy.Expr) -> sympy.Expr:
    return sympy.Pow(base, 2, evaluate=False)


def sine(argument: sympy.Expr) -> sympy.Expr:
    return sympy.Expr.__new__(sympy.sin, argument)


def inputs(letter: str, number: int) -> list[sympy.Symbol]:
    return [sympy.Symbol(f"{letter}{place}") for place in range(number)]


def chain(links: int) -> sympy.Expr:
    """x = sin(x)*1.01 + y, again and again."""
    x, y = sympy.symbols("x y")
    return reduce(lambda inner, _: add(mul(sympy.Float("1.01"), sine(inner)), y), range(links), x)


def shared(links: int) -> sympy.Expr:
    """x = x*x + y*x, again and again: as a tree it has 3**links leaves."""
    x, y = sympy.symbols("x y")
    return reduce(lambda inner, _: add(mul(inner, inner), mul(y, inner)), range(links), x)


def determinant(rows: int) -> sympy.Expr:
    """By Laplace's expansion, each minor once."""
    entries = [inputs(f"m{row}_", rows) for row in range(rows)]
    minors: dict[tuple[int, ...], sympy.Expr] = {(column,): entries[0][column] for column in range(rows)}
    for row in range(1, rows):
        for columns in combinations(range(rows), row + 1):
            rests = [columns[:place] + columns[place + 1 :] for place in range(row + 1)]
            signs = [[sympy.Integer(-1)] if (row + place) % 2 else [] for place in range(row + 1)]
            terms = [
                mul(*sign, entries[row][column], minors[rest])
                for sign, column, rest in zip(signs, columns, rests, strict=True)
            ]
            minors[columns] = add(*terms)
    return minors[tuple(range(rows))]


def rosenbrock(terms: int) -> sympy.Expr:
    """The sum of 100*(x[i+1] - x[i]**2)**2 + (1 - x[i])**2, written out."""
    x, minus = inputs("x", terms + 1), sympy.Integer(-1)
    valley = [mul(sympy.Integer(100), squared(add(x[i + 1], mul(minus, squared(x[i]))))) for i in range(terms)]
    return add(*valley, *(squared(add(sympy.Integer(1), mul(minus, x[i]))) for i in range(terms)))


def branches(links: int) -> sympy.Expr:
    """x = x*y where x > 0, else x + y*y + 1, again and again."""
    x, y = sympy.symbols("x y")
    inner: sympy.Expr = x
    for _ in range(links):
        condition = sympy.Basic.__new__(sympy.StrictGreaterThan, inner, sympy.Integer(0))
        pairs = (mul(inner, y), condition), (add(inner, mul(y, y), sympy.Integer(1)), sympy.true)
        inner = sympy.Expr.__new__(sympy.Piecewise, *[sympy.Tuple.__new__(ExprCondPair, *pair) for pair in pairs])
    return inner


def like_terms(terms: int) -> sympy.Expr:
    """The sum of k*sin(a[k]*x)."""
    x = sympy.Symbol("x")
    return add(*(mul(sympy.Integer(k + 2), sine(mul(x, a))) for k, a in enumerate(inputs("a", terms))))


def products(terms: int) -> sympy.Expr:
    """The sum of products of five neighbours in a ring of inputs."""
    p = inputs("p", terms)
    return add(*(mul(*(p[(k + place) % terms] for place in range(5))) for k in range(terms)))


class Kind(NamedTuple):
    """A kind of expression, and how large it is for about 1,000, 10,000 and 100,000 operations."""

    make: Callable[[int], sympy.Expr]
    sizes: tuple[int, int, int]


KINDS = {
    "chain": Kind(chain, (125, 1250, 12_500)),
    "shared parts": Kind(shared, (125, 1250, 12_500)),
    "determinant": Kind(determinant, (6, 8, 11)),
    "Rosenbrock": Kind(rosenbrock, (56, 556, 5565)),
    "branches": Kind(branches, (50, 500, 5000)),
    "like terms": Kind(like_terms, (111, 1111, 11_111)),
    "products": Kind(products, (71, 714, 7142)),
}
