"""What is wanted beside the values, and how it is made: a gradient, a Jacobian, a Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from ..errors import UnsupportedExpression
from ..graph.graph import Graph, Output
from .differentiate import differentiate, reverse_pass

Derivative = Literal["gradient", "jacobian", "hessian"] | None


class Wanted(NamedTuple):
    """What is differentiated by what: inputs by position, and which derivative; None for the values alone."""

    wrt: Sequence[int]
    derivative: Derivative = "gradient"


def derive(graph: Graph, wanted: Wanted) -> Graph:
    """`graph` with the derivatives that are wanted as outputs behind its values.

    A gradient is that of the first value, with 0 for an input that it does not use. Jacobian and Hessian are those of
    all values; over points what is structurally 0 is no output, and of a Hessian, which comes behind the gradients, the
    lower triangle is made: by=(i, j) with i not before j in `wanted.wrt`.
    """
    if wanted.derivative is None:
        return graph
    if wanted.derivative == "gradient":
        return differentiate(graph, wanted.wrt)
    if not graph.over_points:
        raise UnsupportedExpression(f"the {wanted.derivative} of arrays cannot be made; the gradient can")
    first = _rows(graph, graph.values, wanted.wrt)
    if wanted.derivative == "jacobian":
        return replace(graph, outputs=(*graph.values, *first))
    second = _rows(graph, first, wanted.wrt)
    return replace(graph, outputs=(*graph.values, *first, *second))


def _rows(graph: Graph, outputs: Sequence[Output], wrt: Sequence[int]) -> list[Output]:
    """The derivatives of outputs that are not 0, of a derivative by the inputs up to its own: a reverse pass for each.

    Values stand by their place, and derivatives say which value they are of.
    """
    found = []
    for place, output in enumerate(outputs):
        columns = wrt[: wrt.index(output.by[0]) + 1] if output.by else wrt
        of = output.of if output.by else place
        for column, view in zip(columns, reverse_pass(graph, output.view, columns).gradients, strict=True):
            if view.number != 0:
                found.append(Output(view, graph.shape_of(of, (*output.by, column)), (*output.by, column), of))
    return found
