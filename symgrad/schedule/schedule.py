"""Scheduling: from a graph to a program, in the order in which a careful person would write it.

What is there for every graph stands here: names, the choice of how the loops are found, and the words of the program.
"""

from __future__ import annotations

from collections.abc import Iterable

from symgrad_codegen.program import Program

from ..graph.graph import Graph, operations
from .items import is_leaf
from .layout import Layout
from .loops import Scheduler
from .names import input_names
from .points import over_points
from .words import formula_of, words_of


def schedule(
    graph: Graph,
    *,
    definition: Graph,
    name: str = "kernel",
    dtype: str = "float64",
    accuracy: str = "fast",
    reserved: Iterable[str] = (),
    with_bounds: bool = False,
    peels: bool = False,
    with_pattern: bool = False,
) -> Program:
    """The program that computes `graph`; `definition` is the graph as lowered, for the words about it.

    `reserved` are the names that the target's modules use themselves; `with_bounds` says whether these check indices,
    `peels` whether passes have their ends peeled off, `with_pattern` whether the program says where the entries of a
    sparse derivative are. A graph over points needs no plan: it is one pass with one nest, in which nothing is stored.
    Raises UnsupportedExpression where a gate has neither a spelling nor an expansion.
    """
    inputs, names = input_names(graph.inputs, [*reserved, *words_of(graph), name])
    if graph.over_points:
        found = over_points(graph, inputs, names, dtype)
    else:
        found = Scheduler(Layout(graph, definition, inputs, names, dtype), peels).scheduled(with_bounds, with_pattern)
    nodes = [node for node in graph.order() if not is_leaf(node)]
    return Program(
        name=name,
        dtype=dtype,
        accuracy=accuracy,
        inputs=found.inputs,
        extents=found.extents,
        storages=found.storages,
        steps=found.steps,
        outputs=found.outputs,
        formula=formula_of(definition, inputs, found.sizes),
        legend=tuple((new, old) for new, old in zip(inputs, graph.inputs, strict=True) if new != old),
        value_operations=operations(node for node in nodes if node in graph.forward),
        operations=operations(nodes),
        bounds=found.bounds,
        over_points=graph.over_points,
        pattern=found.pattern,
    )
