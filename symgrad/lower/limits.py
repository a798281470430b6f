"""The limits of sums, products, and largest and smallest ones."""

from __future__ import annotations

import sympy

from ..errors import UnsupportedExpression
from .unsupported import describe


def ranges(part: sympy.Basic) -> tuple[list[tuple[sympy.Basic, sympy.Basic, sympy.Basic]], bool]:
    """Index, first and last value of the limits of a reduction; and whether a sum is negated, a product its reciprocal.

    From 5 to 1 SymPy reads minus the sum from 2 to 4 (Karr, Summation in finite terms, 1981). That is for numbers: a
    range of symbolic length that ends before it begins is empty. A bound is None where there is none.
    """
    found, turned = [], False
    low: sympy.Basic
    high: sympy.Basic
    for symbol, *bounds in part.limits:
        low, high = bounds if len(bounds) == 2 else (getattr(symbol, "lower", None), getattr(symbol, "upper", None))
        is_turned = isinstance(low, sympy.Integer) and isinstance(high, sympy.Integer) and high < low - 1
        if is_turned and isinstance(part, (sympy.Sum, sympy.Product)):
            low, high, turned = high + 1, low - 1, not turned
        found.append((symbol, low, high))
    return found, turned


def written_out(part: sympy.Sum | sympy.Product) -> tuple[sympy.Basic, ...]:
    """The terms of a sum with numbers for bounds, innermost index first."""
    terms = (part.function,)
    for symbol, low, high in ranges(part)[0]:
        if not (isinstance(low, sympy.Integer) and isinstance(high, sympy.Integer)):
            bounds = f"{describe(low)} .. {describe(high)}"
            raise UnsupportedExpression(f"{symbol} runs over {bounds}, and these bounds are no numbers here")
        terms = tuple(term.xreplace({symbol: sympy.Integer(k)}) for term in terms for k in range(low, high + 1))
    return terms
