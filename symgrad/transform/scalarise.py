"""Entries: a graph with arrays of given shapes as a graph of numbers, every entry of every array a node of its own.

For looking at: a net of a few units becomes the picture of units and weights that one draws on a blackboard. It is the
reference evaluation of the graph, with nodes in place of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import SymgradError
from ..evaluate.arrays import Evaluation
from ..evaluate.points import evaluate_exactly
from ..gates.reductions import KINDS
from ..gates.table import GATES
from ..graph.gate import Numeric
from ..graph.graph import Graph, over_points
from ..graph.intern import InternTable
from ..graph.node import Node, Number, View, positional

# What a reduction is of single terms.
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
    evaluation = _Writing(graph, arrays, sizes, table)
    (value,) = evaluation.read_values()
    written = over_points(table, names, [value.view], evaluation.names)
    order = {position: at for at, position in enumerate(dict.fromkeys(wrt))}
    owner = [
        position
        for position, array in enumerate(inputs)
        for _ in range(np.size(array))
        if position not in graph.integers
    ]
    return Written(written, values, sorted(positions, key=lambda at: order[owner[at]]))


def _indices(at: Sequence[int]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else ""


class _Entry:
    """A node in an array: no tuple, which NumPy would take for an axis."""

    __slots__ = ("view",)

    def __init__(self, view: View) -> None:
        self.view = view

    def __int__(self) -> int:
        """As an index."""
        return int(evaluate_exactly([positional(self.view.node)], ())[0])


class _Writing(Evaluation):
    """The evaluation whose numbers are nodes of `table`."""

    def __init__(self, graph: Graph, inputs: Sequence[Numeric], sizes: Mapping[str, int], table: InternTable) -> None:
        self.table = table
        self.names: dict[Node, str] = {}
        super().__init__(graph, inputs, sizes, np.dtype(object), self._constant, self._applied, self._refused)

    def read_values(self) -> list[_Entry]:
        """What the graph's values are."""
        return [np.asarray(self._read(output.view, {}), object).item() for output in self.graph.values]

    def _evaluated(self, node: Node, box: list[tuple[int, int]]) -> Numeric:
        found = super()._evaluated(node, box)
        if node in self.graph.names:
            for at, entry in np.ndenumerate(np.asarray(found, object)):
                if isinstance(entry, _Entry) and entry.view.node.arguments:
                    name = self.graph.names[node] + _indices(
                        [i + low for i, low in zip(at, self.low[node], strict=True)]
                    )
                    self.names.setdefault(entry.view.node, name)
        return found

    def _constant(self, number: Number | int) -> _Entry:
        return _Entry(self.table.constant(number))

    def _number(self, integer: Numeric) -> Numeric:
        return np.frompyfunc(lambda number: self._constant(int(number)), 1, 1)(np.asarray(integer).astype(object))

    def _view(self, entry: _Entry | Numeric) -> View:
        return entry.view if isinstance(entry, _Entry) else self.table.constant(int(entry))

    def _applied(self, node: Node, arguments: list[Numeric]) -> Numeric:
        def one(*parts: Numeric) -> _Entry:
            return _Entry(self.table.apply(node.gate, *map(self._view, parts), attribute=node.attribute))

        return np.frompyfunc(one, len(arguments), 1)(*arguments)

    def _refused(self, node: Node, arguments: list[Numeric]) -> Numeric:
        raise SymgradError(
            f"{node.gate.label or node.gate.name} works on a whole matrix and cannot be written out entry by entry; "
            "the level 'gates' shows it as one gate"
        )

    def _accumulated(self, node: Node, shape: Sequence[int], at: Sequence[Numeric], terms: Numeric) -> Numeric:
        cells = np.empty(shape, object)
        arriving: dict[tuple[int, ...], list[View]] = {cell: [] for cell in np.ndindex(*shape)}
        for number, entry in enumerate(np.ravel(terms)):
            arriving[tuple(int(np.ravel(index)[number]) for index in at)].append(self._view(entry))
        gate = GATES[KINDS[node.gate.name].of_two]
        for cell, views in arriving.items():
            if not views:
                cells[cell] = self._constant(KINDS[node.gate.name].empty)
            else:
                cells[cell] = _Entry(views[0] if len(views) == 1 else self.table.apply(gate, *views))
        return cells if cells.ndim else cells[()]
