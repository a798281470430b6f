"""How far rounding may move what a graph computes at a point: a running error bound, gate by gate.

Every gate adds some units in the last place of its result, and hands on the errors of its arguments by as much as they
move it (N. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.3). So where large terms cancel,
what remains is known no better than they are, whatever the conditioning of the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mpmath
import numpy as np

from ..graph.gate import Numeric
from ..graph.graph import Graph
from ..graph.node import Node, positional
from .arithmetic import Exact
from .evaluation import applied, evaluate_exactly
from .rounding import rounded

ULPS = 4  # that a gate may be off: those of SIMD functions
_DIGITS = 60
_NUMBERS = Exact()


def rounding_bounds(graph: Graph, point: Sequence[float], dtype: str = "float64") -> list[Numeric]:
    """For each output of a graph over points, how far a computation in `dtype` may be from its exact number.

    The inputs are exact. Where rounding may decide a condition, either branch may be taken.
    """
    limits = np.finfo(dtype)
    eps, smallest = mpmath.mpf(float(limits.eps)), mpmath.mpf(float(limits.tiny))
    order = graph.order()
    found = evaluate_exactly(graph.with_values(map(positional, order)), point, digits=_DIGITS)
    values = dict(zip(order, found, strict=True))
    errors: dict[Node, Numeric] = {}  # of conditions: 1 where rounding may decide them
    with mpmath.workdps(_DIGITS):
        for node, value in values.items():
            if node.arguments:
                error = _handed_on(node, values, errors)
                if node.kind != "boolean" and "exact" not in node.gate.has and mpmath.isfinite(value):
                    size = abs(value)
                    if node.gate.name == "add" and len(node.arguments) > 2:  # in whatever order
                        size = mpmath.fsum(abs(values[edge.node]) for edge in node.arguments)
                    error += ULPS * eps * size + (smallest if 0 < size < smallest else 0)
            elif node.gate.name == "constant":
                error = abs(value - mpmath.mpf(float(rounded(node.constant, dtype))))
            else:
                error = mpmath.mpf(0)
            errors[node] = error if mpmath.isfinite(error) else mpmath.mpf(0)
        return [errors[view.node] for view in graph.views]


def _handed_on(node: Node, values: Mapping[Node, Numeric], errors: Mapping[Node, Numeric]) -> Numeric:
    """How far the errors of its arguments move a gate; of a condition: 1 where they may change it."""
    arguments, own = [values[edge.node] for edge in node.arguments], [errors[edge.node] for edge in node.arguments]
    if node.gate.name == "select":
        condition, one, two = arguments
        if not own[0]:
            return own[1] if condition else own[2]
        return max(own[1:]) + abs(one - two)
    if "comparison" in node.gate.has and arguments[0] == arguments[1]:
        return mpmath.mpf(0)  # one number twice: an argument of Max and its result, or a tie that the inputs make
    moved = mpmath.mpf(0)
    for place, error in enumerate(own):
        if not error:
            continue
        if isinstance(arguments[place], bool):  # a condition that may be the other way
            return mpmath.mpf(1)
        others = [
            applied(_NUMBERS, node, [*arguments[:place], arguments[place] + step, *arguments[place + 1 :]])
            for step in (error, -error)
        ]
        if node.kind == "boolean":
            moved = max(moved, *(mpmath.mpf(other != values[node]) for other in others))
        else:
            moved += max(
                (abs(other - values[node]) for other in others if mpmath.isfinite(other)), default=mpmath.mpf(0)
            )
    return moved
