"""Square and cube roots, and the kink of a norm at 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction

import mpmath
import numpy as np

from ..graph.gate import Numeric
from ..graph.node import Node, View
from .arithmetic import power_of
from .table import gate

# How deep in sums and products it is looked for what they are made of.
_DEPTH = 6


def non_negative(a: View, depth: int = _DEPTH) -> bool:
    """Whether a view is known to be >= 0 wherever it is real: however it rounds."""
    return _is_non_negative(a.node, lambda edge: depth > 0 and non_negative(edge, depth - 1))


def non_negative_nodes(order: Iterable[Node]) -> set[Node]:
    """Those of the nodes, arguments first, that are known to be >= 0 wherever they are real."""
    known: set[Node] = set()
    for node in order:
        if _is_non_negative(node, lambda edge: edge.node in known):
            known.add(node)
    return known


def _is_non_negative(node: Node, holds: Callable[[View], bool]) -> bool:
    """The same of a node, where `holds` says it of its arguments."""
    name, arguments = node.gate.name, node.arguments
    if name == "constant":
        return node.constant >= 0 if isinstance(node.constant, Fraction) else node.constant not in ("-oo", "nan")
    if name == "power":
        return node.exponent % 2 != 1 or holds(arguments[0])
    if name == "mul":
        rest = [factor for factor in arguments if not holds(factor)]
        return not rest or (len(rest) > 1 and all(count % 2 == 0 for count in Counter(rest).values()))
    if name == "max":
        return any(map(holds, arguments))
    if name in ("add", "div", "min", "sum", "product", "largest", "smallest"):
        return all(map(holds, arguments))
    return "non_negative" in node.gate.has or (name == "select" and all(map(holds, arguments[1:])))


def _squares(a: View, depth: int = _DEPTH) -> list[View] | None:
    """Of a sum of squares, weighted or not, and of higher powers: what is squared. None for anything else.

    Of squares that are summed over indices it is their sum: it is 0 where they all are.
    """
    name = a.node.gate.name
    if name == "power" and a.node.exponent >= 2:
        return [a.arguments[0]]
    if not depth:
        return None
    if name == "mul":
        twice = [factor for factor, count in Counter(a.arguments).items() if count > 1]
        if twice:
            return twice[:1]
        return next((own for factor in a.arguments if (own := _squares(factor, depth - 1)) is not None), None)
    if name == "div":
        return _squares(a.arguments[0], depth - 1)
    if name == "sum":
        return None if _squares(a.node.arguments[0], depth - 1) is None else [a]
    if name in ("add", "select"):
        parts = [_squares(part, depth - 1) for part in a.arguments[name == "select" :]]
        return None if None in parts else [base for part in parts if part is not None for base in part]
    return None


@gate(
    "sqrt",
    None,
    lambda a: np.abs(np.sqrt(a)),
    mpmath.sqrt,
    on=((0.5, 3.0),),
    trouble=((0.0,), (-0.0,)),
    has={"non_negative", "edge"},
    latex=r"\sqrt{#1}",
)
def sqrt(y: View, a: View) -> tuple[View, ...]:
    """The square root; of -0.0 it is 0.0, so that its slope there is that at the edge of its domain."""
    slope = 1 / (2 * y)
    bases = _squares(a)
    if bases is None:
        return (slope,)
    # A norm has a kink where it is 0, and there the subgradient 0, as Abs has it. A weight may be 0 elsewhere.
    zeros = [y.equals(0)] if non_negative(a) else [base.equals(0) for base in dict.fromkeys(bases)]
    return ((zeros[0] if len(zeros) == 1 else zeros[0].call("and", *zeros[1:])).where(0, slope),)


def _np_cbrt(a: Numeric) -> Numeric:
    return np.where(np.less(a, 0), np.nan, np.abs(np.cbrt(a)))


def _mp_cbrt(a: Numeric) -> Numeric:
    return mpmath.cbrt(a) if mpmath.re(a) >= 0 else mpmath.mpf("nan")


@gate(
    "cbrt",
    None,
    _np_cbrt,
    _mp_cbrt,
    on=((0.5, 3.0),),
    trouble=((0.0,), (-0.0,), (-8.0,)),
    has={"non_negative", "edge"},
    latex=r"\sqrt[3]{#1}",
)
def cbrt(y: View, a: View) -> tuple[View, ...]:
    """The principal cube root a**(1/3): no real number for a < 0, so NaN there."""
    return (1 / (3 * power_of(y, 2)),)  # a power, whose derivative is right at 0
