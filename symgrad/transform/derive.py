"""What is wanted beside the values, and how it is made: a gradient, a Jacobian, a Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from ..graph.graph import POINTWISE, Graph, Output, as_node, reachable, views_of
from ..graph.node import View
from .activity import varying_nodes
from .cost import cost
from .differentiate import differentiate
from .elimination import ORDERS, Order, eliminated, linearised
from .products import PRODUCTS, weighted
from .simplify import simplify
from .sparse import sparse_rows
from .spread import dense_rows

Derivative = (
    Literal["gradient", "jacobian", "hessian", "jvp", "vjp", "hvp", "weighted_hessian", "jacobian_alone"] | None
)
# Those of which the matrix is all that is wanted.
ALONE = ("weighted_hessian", "jacobian_alone")


class Wanted(NamedTuple):
    """What is differentiated by what: inputs by position, and which derivative; None for the values alone."""

    wrt: Sequence[int]
    derivative: Derivative = "gradient"
    is_sparse: bool = False  # Jacobian and Hessian of arrays as families of entries


def derive(graph: Graph, wanted: Wanted) -> Graph:
    """`graph` with the derivatives that are wanted as outputs behind its values.

    A gradient is that of the first value, with 0 for an input that it does not use. Jacobian and Hessian are those of
    all values; over points what is structurally 0 is no output, and of a Hessian, which comes behind the gradients, the
    lower triangle is made: by=(i, j) with i not before j in `wanted.wrt`. Products with a Jacobian or Hessian are
    further values, products.py, and a weighted Hessian that of all values times weights; the directions or weights
    are the last inputs. Where a derivative alone is wanted the values are 0. Of what is sparse the outputs are
    families of entries, sparse.py; over points it is so already.
    """
    if wanted.derivative is None:
        return graph
    if wanted.derivative in PRODUCTS:
        return PRODUCTS[wanted.derivative](graph, wanted.wrt)
    if wanted.derivative == "weighted_hessian":
        return _weighted_hessian(graph, wanted)
    if wanted.derivative == "jacobian_alone":
        return _alone(derive(graph, wanted._replace(derivative="jacobian")))
    if wanted.derivative == "gradient":
        return differentiate(graph, wanted.wrt)
    is_sparse = wanted.is_sparse and not graph.over_points
    if is_sparse and wanted.derivative == "jacobian":
        return sparse_rows(graph, graph.values, wanted.wrt)
    first = _first(graph, wanted.wrt, again=wanted.derivative == "hessian")
    if wanted.derivative == "jacobian":
        return first
    between = simplify(first, ("cheaper",))  # what is differentiated again is better short
    gradients = between.derivatives
    if is_sparse:
        return sparse_rows(between, gradients, wanted.wrt)
    if graph.over_points:
        gradients = tuple(output for output in gradients if output.view.number != 0)
    return replace(between, outputs=(*between.values, *gradients, *_rows(between, gradients, wanted.wrt)))


def _weighted_hessian(graph: Graph, wanted: Wanted) -> Graph:
    """The Hessian alone of the sum of all values times weights, which are the last inputs; the value is 0."""
    shape = POINTWISE if graph.over_points else ()
    value = weighted(graph, graph.values, len(graph.inputs) - len(graph.values))
    value = value if graph.over_points else as_node(value)
    made = derive(replace(graph, outputs=(Output(value, shape),)), wanted._replace(derivative="hessian"))
    return _alone(replace(made, outputs=tuple(own for own in made.outputs if own.role != "gradient")))


def _alone(graph: Graph) -> Graph:
    """A graph whose derivatives alone are wanted: its values are 0."""
    shape = POINTWISE if graph.over_points else ()
    none = [Output(graph.table.constant(0), shape, name=own.name) for own in graph.values]
    return replace(graph, outputs=(*none, *graph.derivatives))


def _first(graph: Graph, wrt: Sequence[int], again: bool) -> Graph:
    """The graph with the first derivatives that are not 0; of one value by the reverse pass, which nothing beats."""
    if len(graph.values) > 1 or graph.values[0].shape not in ((), POINTWISE):
        return replace(graph, outputs=(*graph.values, *_rows(graph, graph.values, wrt, again)))
    made = differentiate(graph, wrt, again=again)
    if not graph.over_points:
        return made
    return replace(made, outputs=tuple(output for output in made.outputs if not output.by or output.view.number != 0))


def _rows(graph: Graph, outputs: Sequence[Output], wrt: Sequence[int], again: bool = False) -> list[Output]:
    """The derivatives of outputs: of values by all inputs, of derivatives by those up to their own.

    Over points those that are not 0. With `again` they are to be differentiated once more.
    """
    columns = [wrt[: wrt.index(output.by[0]) + 1] if output.by else wrt for output in outputs]
    found = []
    if graph.over_points:
        rows = least_jacobian(graph, views_of(outputs), columns)
    else:
        made = dense_rows(graph, outputs, wrt, again)
        rows = [
            {by: view for by, view in zip(wrt, views, strict=True) if by in own}
            for own, views in zip(columns, made, strict=True)
        ]
    for place, (output, row) in enumerate(zip(outputs, rows, strict=True)):
        of = output.of if output.by else place
        for column, view in row.items():
            by = (*output.by, column)
            found.append(Output(view, graph.shape_of(of, by), by, of))
    return found


# Of a Jacobian with more entries than this one order is made, not all.
_MANY_ENTRIES = 1000


def least_jacobian(graph: Graph, rows: Sequence[View], columns: Sequence[Sequence[int]]) -> list[dict[int, View]]:
    """The derivatives of scalar views that are not 0, each by some inputs: in the order with the fewest operations."""
    order = reachable(view.node for view in rows)
    varying = varying_nodes(order, {position for row in columns for position in row})
    linear = linearised(
        rows,
        is_slot=lambda view: view.node.gate.name == "input",
        varies=lambda view: view.node in varying,
    )

    def made(order: Order) -> list[dict[int, View]]:
        rows = [{slot.node.position: edge.view for slot, edge in row.items()} for row in eliminated(linear, order)]
        return [{at: row[at] for at in own if at in row} for row, own in zip(rows, columns, strict=True)]

    found = [made(ORDERS[0])]
    if sum(map(len, found[0])) <= _MANY_ENTRIES:
        found += map(made, ORDERS[1:])
    return min(found, key=lambda made: cost([*rows, *(view for row in made for view in row.values())]))
