"""Products with derivatives, which are never formed: directions and weights are inputs, and the reverse pass does it.

    vjp   weights times the Jacobian: the gradient of the sum of values times weights
    hvp   the Hessian times a direction: the gradient of the gradient times the direction
    jvp   the Jacobian times a direction: the weights' own derivative of what `vjp` finds, times the direction

The last is forward mode by transposition (A. Griewank & A. Walther, Evaluating Derivatives, 2008, section 3.4): what
`vjp` finds is linear in the weights, so that they may be any number afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..gates.table import GATES
from ..graph.affine import Index, axis
from ..graph.graph import POINTWISE, Graph, Output, as_node
from ..graph.node import Node, View
from ..graph.rebuild import rebuilt
from ..graph.sums import sum_of, total
from .differentiate import reverse_pass
from .simplify import simplify


def weights_times_jacobian(graph: Graph, wrt: Sequence[int]) -> Graph:
    """`graph` with the derivative by each of `wrt` of its values times weights, its last inputs, as further values."""
    first = len(graph.inputs) - len(graph.values)
    return _with_values(graph, wrt, reverse_pass(graph, weighted(graph, graph.values, first), wrt).gradients, "vjp")


def hessian_times_direction(graph: Graph, wrt: Sequence[int]) -> Graph:
    """`graph` with the Hessian of its value times a direction, its last inputs, as a value more for each of `wrt`."""
    between = simplify(
        _with_values(graph, wrt, reverse_pass(graph, graph.values[0].view, wrt, again=True).gradients), ("cheaper",)
    )
    seed = weighted(between, between.values[1:], len(graph.inputs) - len(wrt))
    found = reverse_pass(between, seed, wrt).gradients
    return _with_values(replace(between, outputs=between.values[:1]), wrt, found, "hvp")


def jacobian_times_direction(graph: Graph, wrt: Sequence[int]) -> Graph:
    """`graph` with its Jacobian times a direction, its last inputs: of each value a further one, of the same shape."""
    count, first = len(graph.values), len(graph.inputs)
    names = tuple(f"weight {number}" for number in range(count))
    extended = replace(
        graph, inputs=(*graph.inputs, *names), shapes=(*graph.shapes, *(output.shape for output in graph.values))
    )
    rows = reverse_pass(extended, weighted(extended, extended.values, first), wrt).gradients
    between = simplify(_with_values(extended, wrt, rows), ("cheaper",))
    seed = weighted(between, between.values[count:], first - len(wrt))
    found = reverse_pass(between, seed, range(first, first + count)).gradients
    made = [
        Output(as_node(view) if not own.shape else view, own.shape, name=f"jvp_{own.name or number}")
        for number, (own, view) in enumerate(zip(graph.values, found, strict=True), 1)
    ]
    done = _with_ones(replace(between, outputs=(*between.values[:count], *made), adjoints={}), first)
    return replace(done, inputs=graph.inputs, shapes=graph.shapes)


PRODUCTS: dict[str, Callable[[Graph, Sequence[int]], Graph]] = {
    "jvp": jacobian_times_direction,
    "vjp": weights_times_jacobian,
    "hvp": hessian_times_direction,
}


def _with_values(graph: Graph, wrt: Sequence[int], views: Sequence[View], word: str = "d") -> Graph:
    """`graph` with what has the shapes of its inputs at `wrt` as values behind its own, called d_x and the like."""
    made = [
        Output(
            as_node(view) if not graph.shapes[place] else view,
            graph.shapes[place],
            name=f"{word}_{graph.inputs[place]}",
        )
        for place, view in zip(wrt, views, strict=True)
    ]
    return replace(graph, outputs=(*graph.values, *made), adjoints={})


def weighted(graph: Graph, outputs: Sequence[Output], first: int) -> View:
    """The sum of outputs times the inputs from `first` on, each entry times the one at its place."""
    terms = [_inner(graph, output, first + place) for place, output in enumerate(outputs)]
    return sum_of(graph.table.constant(0), terms)


def _inner(graph: Graph, output: Output, position: int) -> View:
    table, view = graph.table, output.view
    if output.shape == POINTWISE:
        return view * table.input(position, (0,))
    names = [table.fresh() for _ in output.shape]
    own = view.at({place: axis(name) for place, name in enumerate(names)})
    limits: list[Index] = []
    for name, extent in zip(names, output.shape, strict=True):
        limits += [axis(name), extent.minus(1).minus(axis(name))]
    return total(own * table.input(position, tuple(names)), names, limits)


def _with_ones(graph: Graph, first: int) -> Graph:
    """The graph where the inputs from `first` on are 1, which nothing depends on."""
    views: dict[Node, View] = {}
    for node in graph.order():
        is_weight = node.gate is GATES["input"] and node.position >= first
        views[node] = graph.table.constant(1) if is_weight else rebuilt(graph.table, node, views)
    return graph.rebuilt(views)
