"""Many graphs in one kernel, for tests: compiling costs most of a second, so expressions are compiled by the dozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp
from symgrad_codegen.run import build
from symgrad_codegen.targets import TARGETS

from symgrad.compiler import Stages
from symgrad.emission import program_of
from symgrad.evaluate.evaluation import evaluate
from symgrad.gates.table import GATES
from symgrad.graph.graph import POINTWISE, Graph, Output, over_points
from symgrad.graph.intern import InternTable
from symgrad.graph.node import Node, View
from symgrad.graph.rebuild import translated
from symgrad.options import Options

Point = Sequence[float]
Columns = list[np.ndarray]


def gradient_graph(expr: Any, args: Sequence[sp.Symbol] | None = None, **options: Any) -> Graph:
    """The simplified graph of value and gradient, as it is emitted."""
    return Stages(expr, args, options.get("wrt"), options.get("gates", ())).simplified


def interpreted(graph: Graph, point: Sequence[Any], dtype: Any = np.float64) -> list[Any]:
    """Value and derivatives by the reference evaluator, as floats (or arrays)."""
    results = evaluate(graph, [np.asarray(x, dtype)[()] for x in point], dtype=dtype)
    return [result if result.ndim else result[()] for result in results]


def together(graphs: Sequence[Graph]) -> Graph:
    """One graph with all outputs, the first as its value; the inputs of each are its own."""
    table, inputs, outputs = InternTable(dict(GATES)), list[str](), list[View]()
    for place, graph in enumerate(graphs):
        views: dict[Node, View] = {}
        for node in graph.order():
            if node.gate.name == "input":
                views[node] = table.input(len(inputs) + node.attribute, tuple(range(node.rank)))
            else:
                views[node] = table.apply(node.gate, *translated(views, node.arguments), attribute=node.attribute)
        inputs += [f"{_plain(name)}_of_{place}" for name in graph.inputs]
        outputs += [views[view.node] for view in graph.views]
    graph = over_points(table, inputs, outputs[:1])
    rest = (Output(view, POINTWISE, by=(0,)) for view in outputs[1:])
    return replace(graph, outputs=(*graph.values, *rest))


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)


class Batch:
    """Graphs compiled together; `results[k][o][p]` is output o of graph k at its point p; `single` has it by points."""

    def __init__(
        self,
        graphs: Sequence[Graph],
        points: Sequence[Sequence[Point]],
        dtype: str = "float64",
        accuracy: str = "fast",
        singly: bool = False,
    ) -> None:
        self.graphs, self.points = graphs, points
        whole = together(graphs)
        options = Options("cpu", dtype, accuracy)
        self.source = TARGETS["cpu"].emit(program_of(whole, whole, options))
        self.module = build.load(self.source)
        length = max(map(len, points))
        columns = [
            np.array([row[i] for row in rows] + [rows[-1][i]] * (length - len(rows)), dtype)
            for graph, rows in zip(graphs, points, strict=True)
            for i in range(len(graph.inputs))
        ]
        value, gradients = self.module.kernel_batch(*columns)
        self.results = self._split([value, *gradients])
        self.single: list[list[np.ndarray]] = []
        if singly:
            rows = [self.module.kernel(*(column[p] for column in columns)) for p in range(length)]
            self.single = self._split([np.array(c, dtype) for c in zip(*((v, *g) for v, g in rows), strict=True)])

    def _split(self, outputs: Columns) -> list[Columns]:
        found, rest = [], iter(outputs)
        for graph, rows in zip(self.graphs, self.points, strict=True):
            found.append([next(rest)[: len(rows)] for _ in graph.outputs])
        return found


def bits(values: Any) -> Any:
    """The bits of floats, for comparison; all NaNs are one."""
    array = np.atleast_1d(np.asarray(values))
    found = array.view(f"u{array.dtype.itemsize}").copy()
    found[np.isnan(array)] = 0
    return found.tolist()
