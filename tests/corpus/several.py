"""Several expressions in one graph: what tests of derivatives beyond the gradient start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath
import sympy as sp
from mpmath import mp

from symgrad.gates.table import GATES
from symgrad.graph.affine import axis
from symgrad.graph.graph import Graph, Output, as_node, over_points
from symgrad.graph.intern import InternTable
from symgrad.lower.indexed import ArrayLowering
from symgrad.lower.scalars import Lowering
from symgrad.lower.share_gathers import share_gathers
from symgrad.lower.survey import survey
from symgrad.transform.mask_branches import mask_branches
from symgrad.transform.simplify import simplify


def scalars(expressions: Sequence[Any], symbols: Sequence[sp.Symbol]) -> Graph:
    """The graph whose values are scalar expressions, made stable as before differentiation."""
    table = InternTable(dict(GATES))
    lowering = Lowering(table, {symbol: table.input(place, (0,)) for place, symbol in enumerate(symbols)}, ())
    graph = over_points(table, [symbol.name for symbol in symbols], [lowering(sp.sympify(own)) for own in expressions])
    return mask_branches(simplify(graph, ("stabler", "sharing", "cheaper")))


def arrays(outputs: Sequence[tuple[Any, tuple[tuple[Any, Any], ...]]], inputs: Sequence[Any]) -> Graph:
    """The graph whose values are expressions over indices, each given with its extent; stable as before."""
    sums = [sp.Sum(own, *((i, 0, n - 1) for i, n in limits)) if limits else own for own, limits in outputs]
    found = survey(sp.Tuple(*sums))
    table = InternTable(dict(GATES))
    lowering = ArrayLowering.of(table, inputs, found, (), {})
    values = []
    for expression, limits in outputs:
        view = lowering(sp.sympify(expression))
        view = view.at({lowering.axis_of[i]: axis(place) for place, (i, _) in enumerate(limits)})
        values.append(Output(view if limits else as_node(view), tuple(lowering.affine(n) for _, n in limits)))
    graph = Graph(
        table,
        tuple(symbol.name for symbol in inputs),
        tuple(values),
        tuple(lowering.shape(position) for position in range(len(inputs))),
        integers=frozenset(lowering.arrays.integers),
    )
    return mask_branches(simplify(share_gathers(graph), ("stabler", "sharing", "cheaper")))


def exact(expression: sp.Expr, symbols: Sequence[sp.Symbol], point: Sequence[float]) -> Any:
    """The value of an expression at floats, to 50 digits."""
    with mp.workdps(50):
        return sp.lambdify(symbols, expression, "mpmath")(*map(mpmath.mpf, point))
