"""Constants: what depends on no input is computed when it is compiled, and rounded once."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from ..evaluate.evaluation import exact_value
from ..evaluate.rounding import round_exact, rounded
from ..graph.graph import Graph
from ..graph.node import Node, positional

# They are evaluated with ever more digits until two results agree to this many.
_AGREEMENT = 25
_DIGITS = (60, 120, 480, 1920)


def constants(graph: Graph, dtype: np.dtype[Any]) -> dict[Node, float]:
    """What is read of that which depends on no input, evaluated exactly and rounded once to `dtype`."""
    read = {edge.node for node in graph.order() if not node.fixed for edge in node.arguments if edge.node.fixed}
    read |= {view.node for view in graph.views if view.node.fixed}
    return {node: _rounded_constant(node, dtype) for node in sorted(read, key=lambda node: node.number)}


def _rounded_constant(node: Node, dtype: np.dtype[Any]) -> float | bool:
    if node.gate.name == "constant":
        return float(rounded(node.constant, dtype))
    if node.kind == "boolean":
        return bool(exact_value(positional(node)))
    view = positional(node)
    before = exact_value(view, _DIGITS[0])
    for digits in _DIGITS[1:]:
        now = exact_value(view, digits)
        if not mpmath.isfinite(now):
            return float(round_exact(now, dtype))
        if now == before or abs(now - before) <= abs(now) * mpmath.mpf(10) ** -_AGREEMENT:
            return float(round_exact(now, dtype))
        before = now
    return 0.0  # zero to 1920 digits
