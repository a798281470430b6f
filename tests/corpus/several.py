"""Several expressions in one graph: what tests of derivatives beyond the gradient start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath
import sympy as sp
from mpmath import mp

from symgrad.gates.table import GATES
from symgrad.graph.graph import Graph, over_points
from symgrad.graph.intern import InternTable
from symgrad.lower.scalars import Lowering
from symgrad.transform.mask_branches import mask_branches
from symgrad.transform.simplify import simplify


def scalars(expressions: Sequence[Any], symbols: Sequence[sp.Symbol]) -> Graph:
    """The graph whose values are scalar expressions, made stable as before differentiation."""
    table = InternTable(dict(GATES))
    lowering = Lowering(table, {symbol: table.input(place, (0,)) for place, symbol in enumerate(symbols)}, ())
    graph = over_points(table, [symbol.name for symbol in symbols], [lowering(sp.sympify(own)) for own in expressions])
    return mask_branches(simplify(graph, ("stabler", "sharing", "cheaper")))


def exact(expression: sp.Expr, symbols: Sequence[sp.Symbol], point: Sequence[float]) -> Any:
    """The value of an expression at floats, to 50 digits."""
    with mp.workdps(50):
        return sp.lambdify(symbols, expression, "mpmath")(*map(mpmath.mpf, point))
