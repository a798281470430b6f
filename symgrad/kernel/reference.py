"""The reference evaluator as what runs a kernel over points, where the body is too long to be compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..evaluate.evaluation import Evaluator
from ..graph.graph import Graph

# Points that the reference evaluator holds at a time.
_POINTS = 1024


class Reference:
    """The functions of one point and of many that a compiled module has, in numbers of one kind."""

    def __init__(self, graph: Graph, kind: Any) -> None:
        self._graph, self._kind, self._evaluator = graph, kind, Evaluator(graph)

    def point(self, *args: Any) -> tuple[float | tuple[float, ...], tuple[float, ...]]:
        """The value, or several, and the derivatives at a point of plain numbers; TypeError where it is none."""
        if len(args) != len(self._graph.inputs) or any(isinstance(argument, np.ndarray) for argument in args):
            raise TypeError("plain numbers wanted")
        point = [self._kind.type(float(argument)) for argument in args]
        numbers = [float(number) for number in self._evaluator.floats(point, dtype=self._kind)]
        count = len(self._graph.values)
        return numbers[0] if count == 1 else tuple(numbers[:count]), tuple(numbers[count:])

    def points(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Fills the outputs at every point."""
        for start in range(0, len(outputs[0]), _POINTS):
            part = slice(start, start + _POINTS)
            results = self._evaluator.floats([array[part] for array in inputs], dtype=self._kind)
            for array, result in zip(outputs, results, strict=True):
                array[part] = result
