"""Comparisons, their connectives, what chooses by them, and the larger and smaller of some arguments."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce

import mpmath
import numpy as np
import sympy

from ..graph.gate import Reference
from ..graph.node import View
from .table import GATES, HALF, PAIR, constant, gate, no_gradient

for _name, _label, _latex, _numpy, _mpmath, _commutative in (
    ("lt", "<", r"\lt", np.less, operator.lt, False),
    ("le", "<=", r"\le", np.less_equal, operator.le, False),
    ("eq", "==", "=", np.equal, operator.eq, True),
    ("ne", "!=", r"\ne", np.not_equal, operator.ne, True),
):
    no_gradient(
        _name,
        None,
        _numpy,
        _mpmath,
        on=PAIR,
        kind="boolean",
        commutative=_commutative,
        label=_label,
        noun="condition",
        latex=_latex,
        analytic=False,
        has={"comparison"},
    )
no_gradient(
    "and",
    None,
    lambda *a: reduce(np.logical_and, a),
    lambda *a: all(a),
    kind="boolean",
    commutative=True,
    analytic=False,
    has={"connective"},
    noun="condition",
    latex=r"\wedge",
)
no_gradient(
    "or",
    None,
    lambda *a: reduce(np.logical_or, a),
    lambda *a: any(a),
    kind="boolean",
    commutative=True,
    analytic=False,
    has={"connective"},
    noun="condition",
    latex=r"\vee",
)
no_gradient(
    "not",
    None,
    np.logical_not,
    lambda a: not a,
    kind="boolean",
    analytic=False,
    has={"connective"},
    noun="condition",
    latex=r"\neg",
)
# A branch guards what flows through it: differentiate.py has its rule.
no_gradient(
    "select",
    None,
    np.where,
    lambda c, a, b: a if c else b,
    label="if",
    analytic=False,
    has={"exact", "passing", "conditional", "choosing", "whole"},
    noun="branch",
)


@gate(
    "zero_where",
    None,
    lambda c, a: np.where(c, 0.0, a),
    lambda c, a: mpmath.mpf(0) if c else a,
    expansion=lambda c, a: c.where(0, a),
    analytic=False,
    noun="branch",
    has={"conditional"},
)
def zero_where(y: View, c: View, a: View) -> tuple[View, ...]:
    """`a`, where it is known to be 0: exactly that, whatever infinity it is a product with.

    No branch: its derivative is that of `a` on either side, as `a` need not be 0 beside the point.
    """
    return c, constant(y, 1)


@gate(
    "undefined",
    None,
    lambda *a: sum(a) * np.nan,
    lambda *a: mpmath.mpf("nan"),
    expansion=lambda *a: constant(a[0], "nan"),
    analytic=False,
)
def undefined(y: View, *a: View) -> tuple[View, ...]:
    """What a Piecewise is outside all its branches: NaN, and so are its derivatives by its inputs, of every order."""
    return tuple(y for _ in a)


def _shares(y: View, a: tuple[View, ...], wins: Callable[[View, View], View]) -> tuple[View, ...]:
    """Max and min route the gradient to the extreme argument; k tied ones get 1/k each, NaN stays NaN."""
    nan = constant(y, "nan")
    if len(a) == 2:
        one, two = a
        tie = one.equals(two).where(HALF, nan)
        return (
            wins(one, two).where(1, wins(two, one).where(0, tie)),
            wins(two, one).where(1, wins(one, two).where(0, tie)),
        )
    ties = [argument.equals(y).where(1, 0) for argument in a]
    count = y.node.table.apply(GATES["add"], *ties)
    loser = y.equals(y).where(0, nan)
    return tuple(argument.equals(y).where(1 / count, loser) for argument in a)


def _nan_aware(choose: Reference) -> Reference:
    return lambda *a: next((x for x in a if mpmath.isnan(x)), None) or choose(a)


@gate(
    "max",
    sympy.Max,
    lambda *a: reduce(np.maximum, a),
    _nan_aware(max),
    on=PAIR,
    trouble=((1.0, 1.0),),
    commutative=True,
    analytic=False,
    has={"finite", "exact", "passing", "choosing", "whole"},
    noun="largest",
    latex=r"\max",
)
def maximum(y: View, *a: View) -> tuple[View, ...]:
    return _shares(y, a, lambda one, two: one > two)


@gate(
    "min",
    sympy.Min,
    lambda *a: reduce(np.minimum, a),
    _nan_aware(min),
    on=PAIR,
    trouble=((1.0, 1.0),),
    commutative=True,
    analytic=False,
    has={"finite", "exact", "passing", "choosing", "whole"},
    noun="smallest",
    latex=r"\min",
)
def minimum(y: View, *a: View) -> tuple[View, ...]:
    return _shares(y, a, lambda one, two: one < two)


# What max and min hand to one of two arguments, in one word: a law makes it of _shares when all others are done.
no_gradient(
    "where_larger",
    None,
    lambda a, b, taken, tie: np.where(a > b, taken, np.where(a < b, 0.0, np.where(np.equal(a, b), tie, np.nan))),
    lambda a, b, taken, tie: taken if a > b else mpmath.mpf(0) if a < b else tie if a == b else mpmath.mpf("nan"),
    on=(*PAIR, *PAIR),
    trouble=((1.0, 1.0, 2.0, 3.0), (0.0, -0.0, 2.0, 3.0)),
    noun="branch",
    analytic=False,
    has={"comparing", "choosing"},
)
