"""Entries: a graph with arrays of given shapes as a graph of numbers, every entry of every array a node of its own.

For looking at: a net of a few units becomes the picture of units and weights that one draws on a blackboard. It is the
reference evaluation of the graph, with nodes in place of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..analysis.domains import Domains
from ..analysis.extents import Domain
from ..errors import SymgradError
from ..evaluate.arithmetic import Arithmetic
from ..evaluate.evaluation import Evaluation, Evaluator, every_node, exact_value
from ..gates.reductions import KINDS
from ..gates.table import GATES
from ..graph.gate import Numeric
from ..graph.graph import Graph, over_points
from ..graph.intern import InternTable
from ..graph.node import Node, Number, View, positional

_POINTS = 0  # the one axis of a scalar graph


class Written(NamedTuple):
    """The graph of numbers, its inputs' values in order, and the positions of those that are differentiated."""

    graph: Graph
    values: list[float]
    wrt: list[int]


def entries(graph: Graph, wrt: Sequence[int], inputs: Sequence[Numeric], sizes: Mapping[str, int]) -> Written:
    """`graph` at the shapes of `inputs`, written out. Integer inputs become constants.

    Raises SymgradError for operations on whole matrices, which are not made of gates on entries.
    """
    table = InternTable(dict(graph.table.gates))
    names: list[str] = []
    values: list[float] = []
    positions: list[int] = []
    arrays: list[Numeric] = []
    for position, array in enumerate(inputs):
        numbers = np.asarray(array)
        if position in graph.integers:
            arrays.append(numbers)
            continue
        cells = np.empty(numbers.shape, object)
        for at in np.ndindex(*numbers.shape):
            if position in wrt:
                positions.append(len(names))
            cells[at] = _Entry(table.input(len(names), (_POINTS,)))
            names.append(graph.inputs[position] + _indices(at))
            values.append(float(numbers[at]))
        arrays.append(cells if cells.ndim else cells[()])
    domains = Domains(graph)
    evaluator = Evaluator(graph, every_node(domains), domains)
    evaluation = Evaluation(evaluator, arrays, sizes, _Writing(table))
    value = np.asarray(evaluation.over(graph.values[0].view, Domain(())), object).item()
    written = over_points(table, names, [value.view], _named(graph, evaluation))
    order = {position: at for at, position in enumerate(dict.fromkeys(wrt))}
    owner = [
        position
        for position, array in enumerate(inputs)
        for _ in range(np.size(array))
        if position not in graph.integers
    ]
    return Written(written, values, sorted(positions, key=lambda at: order[owner[at]]))


def _named(graph: Graph, evaluation: Evaluation) -> dict[Node, str]:
    """The user's names for results, with the indices of their entries."""
    found: dict[Node, str] = {}
    for node in graph.order():
        if node in graph.names:
            for at, entry in np.ndenumerate(np.asarray(evaluation.values[node], object)):
                if isinstance(entry, _Entry) and entry.view.node.arguments:
                    places = [index + low for index, (low, _) in zip(at, evaluation.boxes[node], strict=True)]
                    found.setdefault(entry.view.node, graph.names[node] + _indices(places))
    return found


def _indices(at: Sequence[int]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else ""


class _Entry:
    """A node in an array: no tuple, which NumPy would take for an axis."""

    __slots__ = ("view",)

    def __init__(self, view: View) -> None:
        self.view = view

    def __int__(self) -> int:
        """As an index."""
        return int(exact_value(positional(self.view.node)))


class _Writing(Arithmetic):
    """Arithmetic whose numbers are nodes of a table."""

    dtype = np.dtype(object)
    expands = False

    def __init__(self, table: InternTable) -> None:
        self.table = table

    def given(self, value: Numeric) -> Numeric:
        return value

    def constant(self, number: Number | int) -> _Entry:
        return _Entry(self.table.constant(number))

    def whole(self, integers: Numeric) -> Numeric:
        return np.frompyfunc(lambda number: self.constant(int(number)), 1, 1)(np.asarray(integers).astype(object))

    def apply(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        def one(*parts: Numeric) -> _Entry:
            return _Entry(self.table.apply(node.gate, *map(self._view, parts), attribute=node.attribute))

        return np.frompyfunc(one, len(arguments), 1)(*arguments)

    def matrix(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        raise SymgradError(
            f"{node.gate.label or node.gate.name} works on a whole matrix and cannot be written out entry by entry; "
            "the level 'gates' shows it as one gate"
        )

    def accumulated(self, node: Node, shape: Sequence[int], at: Sequence[Numeric], terms: Numeric) -> Numeric:
        cells = np.empty(shape, object)
        arriving: dict[tuple[int, ...], list[View]] = {cell: [] for cell in np.ndindex(*shape)}
        for number, entry in enumerate(np.ravel(terms)):
            arriving[tuple(int(np.ravel(index)[number]) for index in at)].append(self._view(entry))
        gate = GATES[KINDS[node.gate.name].of_two]
        for cell, views in arriving.items():
            if not views:
                cells[cell] = self.constant(KINDS[node.gate.name].empty)
            else:
                cells[cell] = _Entry(views[0] if len(views) == 1 else self.table.apply(gate, *views))
        return cells if cells.ndim else cells[()]

    def _view(self, entry: _Entry | Numeric) -> View:
        return entry.view if isinstance(entry, _Entry) else self.table.constant(int(entry))
