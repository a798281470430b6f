"""A graph as plain data, and back: what a pickle of a kernel holds."""

from __future__ import annotations

from typing import Any

from .affine import Index, Size
from .gate import Gate
from .graph import Graph, Output, Pattern
from .intern import InternTable
from .node import AnyIndex, Gather, Node, Reduction, View


def rows_of(graph: Graph) -> dict[str, Any]:
    """The graph as plain data, for pickling: a pickle of linked nodes would recurse."""
    order, own = graph.order(), graph.pattern
    position = {node: i for i, node in enumerate(order)}

    def flat(view: View) -> tuple[int, tuple[Any, ...]]:
        return position[view.node], tuple(map(flat_index, view.index))

    def flat_index(index: AnyIndex) -> Any:
        if isinstance(index, Gather):
            return flat(index.view)
        return (
            tuple((t.name if isinstance(t, Size) else t, factor) for t, factor in index.terms),
            index.offset,
            None,
        )

    def flat_attribute(attribute: Any) -> Any:
        if isinstance(attribute, Reduction):
            return "reduction", tuple(map(flat_index, attribute.out)), tuple(map(flat_index, attribute.constraints))
        return attribute

    return {
        "nodes": [
            (
                node.gate.name,
                tuple(map(flat, node.arguments)),
                flat_attribute(node.attribute),
                node.rank,
                node.loops,
            )
            for node in order
        ],
        "inputs": graph.inputs,
        "outputs": tuple(
            (flat(output.view), output.shape, output.by, output.of, output.name, output.first)
            for output in graph.outputs
        ),
        "names": {position[node]: name for node, name in graph.names.items() if node in position},
        "adjoints": {
            position[node]: position[of] for node, of in graph.adjoints.items() if node in position and of in position
        },
        "shapes": graph.shapes,
        "labels": {position[node]: names for node, names in graph.labels.items() if node in position},
        "integers": graph.integers,
        "derived": graph.derived,
        "pattern": None if own is None else (rows_of(own.graph), own.rows, own.columns, own.families),
    }


def graph_of(rows: dict[str, Any], gates: dict[str, Gate]) -> Graph:
    """The graph that `rows` were made of."""
    table = InternTable(dict(gates))
    nodes: list[Node] = []

    def view(flat: tuple[int, tuple[Any, ...]]) -> View:
        return View(nodes[flat[0]], tuple(map(index, flat[1])))

    def index(flat: Any) -> AnyIndex:
        return Gather(view(flat)) if len(flat) == 2 else affine(flat)

    def affine(flat: Any) -> Index:
        return Index(tuple((Size(t) if isinstance(t, str) else t, factor) for t, factor in flat[0]), flat[1])

    def attribute(flat: Any) -> Any:
        if isinstance(flat, tuple) and flat[:1] == ("reduction",):
            return Reduction(tuple(map(index, flat[1])), tuple(map(affine, flat[2])))
        return flat

    for name, arguments, extra, rank, loops in rows["nodes"]:
        looped = loops if loops != rank or isinstance(attribute(extra), Reduction) else None
        edges = tuple(map(view, arguments))
        nodes.append(table.intern(table.gates[name], edges, attribute(extra), rank, looped))
    return Graph(
        table,
        rows["inputs"],
        tuple(Output(view(own), *rest) for own, *rest in rows["outputs"]),
        rows["shapes"],
        {nodes[i]: name for i, name in rows["names"].items()},
        {nodes[i]: nodes[of] for i, of in rows["adjoints"].items()},
        {nodes[i]: names for i, names in rows["labels"].items()},
        rows["integers"],
        rows["derived"],
        None if rows["pattern"] is None else Pattern(graph_of(rows["pattern"][0], gates), *rows["pattern"][1:]),
    )
