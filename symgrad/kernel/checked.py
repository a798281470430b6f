"""What a check compares: functions of the inputs, each a number, and the derivatives that a kernel has of them.

Of a gradient and a Jacobian the functions are the values. Of a Hessian they are the value and the entries of the exact
gradient, which is made of the graph as it was lowered, before any law. Of a product with a Jacobian or Hessian they are
the same, along the direction; of one with weights it is the sum of the values times these.

Of a sparse matrix the entries of each row that are stored are compared, some that are not, and the row times a
direction, which tells of whatever is wrong or missing in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..graph.affine import number_index
from ..graph.graph import Graph, Output, as_node
from ..graph.node import View
from ..transform.derive import Derivative
from ..transform.differentiate import reverse_pass
from ..transform.products import PRODUCTS, weighted
from .differences import Direction, Entry

# How many entries of each array are checked, and how many functions, spread evenly.
ENTRIES = 8
FUNCTIONS = 64


class Place(NamedTuple):
    """A number among the outputs of a kernel: which of them, and where in that. None is a derivative that is 0."""

    output: int | None
    at: tuple[int, ...] = ()
    along: Any = None  # of a sparse matrix: what the row `at` is multiplied with

    def of(self, outputs: Sequence[Any]) -> float:
        if self.output is None:
            return 0.0
        found = outputs[self.output]
        if self.along is not None:
            return float((found[list(self.at)] @ self.along)[0])
        return float(found[self.at] if self.at else found)


class Column(NamedTuple):
    """How the inputs move, and the kernel's derivative along that."""

    name: str
    entry: Entry | Direction
    place: Place


class Function(NamedTuple):
    """A number that is computed of the inputs."""

    name: str  # empty where there is one only
    written: Graph  # whose one value it is, before any law
    computed: Graph  # the same of what is compiled
    place: Place | None  # the kernel's value; None where the kernel does not return it
    columns: tuple[Column, ...]


def functions(
    definition: Graph, graph: Graph, inputs: Sequence[Any], outputs: Sequence[Any], wrt: Sequence[int], of: Derivative
) -> list[Function]:
    """What a kernel is checked by at some inputs; `outputs` is what it returned there."""
    return list(_Functions(definition, graph, inputs, outputs, wrt).of(of))


def entries(shape: tuple[int, ...], most: int = ENTRIES) -> list[tuple[int, ...]]:
    """Some indices of an array of that shape."""
    count = int(np.prod(shape, dtype=np.int64))
    flat: Any = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)) if count else []
    return [tuple(int(part) for part in np.unravel_index(place, shape)) if shape else () for place in flat]


def at_entry(output: Output, at: tuple[int, ...]) -> View:
    """One entry of an output, as a node of its own."""
    return as_node(output.view.at(dict(enumerate(map(number_index, at))))) if at else output.view


def with_matrix(outputs: Sequence[Any], result: Any, graph: Graph, is_lower: bool) -> list[Any]:
    """Outputs with the sparse matrix of a result, both triangles, in the place of the families that it is made of."""
    assert graph.pattern is not None, "a sparse matrix has a pattern"
    matrix = (result[-1] if isinstance(result, tuple) else result).tocsr()
    if is_lower:
        from scipy import sparse

        matrix = (matrix + sparse.tril(matrix, -1).T).tocsr()
    return [*outputs[: len(outputs) - len(graph.pattern.families)], matrix]


class _Functions:
    def __init__(
        self,
        definition: Graph,
        graph: Graph,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        wrt: Sequence[int],
    ) -> None:
        self.definition, self.graph, self.inputs, self.outputs, self.wrt = definition, graph, inputs, outputs, wrt
        self.count = len(definition.values)
        families = 0 if graph.pattern is None else len(graph.pattern.families)
        made = graph.outputs[: len(graph.outputs) - families]
        self.places = {(own.of, own.by): place for place, own in enumerate(made) if own.by}
        self.matrix = None if graph.pattern is None else len(made)  # which of the outputs it is

    def of(self, derivative: Derivative) -> Iterator[Function]:
        if derivative == "hessian":
            yield self._value(0, (), self._by_inputs(lambda i, at: Place(self.places.get((0, (i,))), at)), "")
            yield from self._gradients(self._second)
        elif derivative == "weighted_hessian":
            value = weighted(self.definition, self.definition.values, len(self.inputs) - self.count)
            self.definition = self.definition.with_values([value])
            yield from self._gradients(self._second)
        elif derivative == "hvp":
            yield self._value(0, (), (), "")
            yield from self._gradients(self._along)
        else:
            yield from self._values(derivative)
            if derivative == "vjp":
                yield self._weighted()

    def _values(self, derivative: Derivative) -> Iterator[Function]:
        chosen = [(of, at) for of in range(self.count) for at in entries(np.shape(self.outputs[of]))]
        for number, *_ in entries((len(chosen),), FUNCTIONS):
            of, at = chosen[number]
            columns: tuple[Column, ...] = ()
            if derivative == "jvp":
                columns = (Column("along t", self._direction(), Place(self.count + of, at)),)
            elif derivative not in PRODUCTS and derivative is not None:
                columns = self._of_value(of, at)
            yield self._value(of, at, columns, "" if len(chosen) == 1 else self._named(of, at))

    def _of_value(self, of: int, at: tuple[int, ...]) -> tuple[Column, ...]:
        if self.matrix is not None:
            before = sum(np.size(self.outputs[value]) for value in range(of))
            return self._of_row(before + _flat(at, np.shape(self.outputs[of])))
        return self._by_inputs(lambda i, within: Place(self.places.get((of, (i,))), (*at, *within)))

    @cached_property
    def _every(self) -> list[Entry]:
        """The numbers among the inputs of `wrt`: the columns of a sparse matrix."""
        return [Entry(i, at) for i in self.wrt for at in np.ndindex(*np.shape(self.inputs[i]))]

    @cached_property
    def _along_all(self) -> tuple[Direction, Any]:
        """A direction in which all of these move, no two of them alike; and the same as one vector."""
        shapes = [np.shape(self.inputs[i]) for i in self.wrt]
        flat = np.sin(1.0 + np.arange(len(self._every)))
        parts = np.split(flat, np.cumsum([prod(shape) for shape in shapes])[:-1])
        moved = [part.reshape(shape) if shape else float(part[0]) for part, shape in zip(parts, shapes, strict=True)]
        return Direction(tuple(self.wrt), tuple(moved)), flat

    def _of_row(self, row: int) -> tuple[Column, ...]:
        """By some entries of inputs, by others that a row of the sparse matrix has, and along a direction."""
        matrix = self.matrix
        assert matrix is not None, "this is of a sparse matrix"
        stored = self.outputs[matrix][[row]].indices.tolist()
        at = {stored[number] for number, *_ in entries((len(stored),))}
        start = 0
        for shape in (np.shape(self.inputs[i]) for i in self.wrt):
            at |= {start + _flat(own, shape) for own in entries(shape)}
            start += prod(shape)
        chosen = [(place, self._every[place]) for place in sorted(at)]
        direction, flat = self._along_all
        return (
            *(Column(self._said(own), own, Place(matrix, (row, place))) for place, own in chosen),
            Column("along a direction", direction, Place(matrix, (row,), flat)),
        )

    def _said(self, own: Entry) -> str:
        return _indexed(self.graph.inputs[own.place], own.at)

    def _value(self, of: int, at: tuple[int, ...], columns: tuple[Column, ...], name: str) -> Function:
        written, computed = self.definition.values[of], self.graph.values[of]
        return Function(
            name,
            self.definition.with_values([at_entry(written, at)]),
            self.graph.with_values([at_entry(computed, at)]),
            Place(of, at),
            columns,
        )

    def _named(self, of: int, at: tuple[int, ...]) -> str:
        return _indexed(self.definition.name_of(self.definition.values[of]), at)

    def _by_inputs(self, place: Any) -> tuple[Column, ...]:
        """By each input of `wrt`, of arrays by some entries."""
        return tuple(
            Column(self._said(Entry(i, at)), Entry(i, at), place(i, at))
            for i in self.wrt
            for at in entries(np.shape(self.inputs[i]))
        )

    # --- second derivatives -------------------------------------------------------------------------------------------

    def _gradients(self, columns: Any) -> Iterator[Function]:
        """The entries of the gradient; of what is compiled where that returns them."""
        written = self._gradient_of(self.definition)
        has_gradient = any(len(by) == 1 for _, by in self.places)
        computed = {i: self._computed(i) for i in self.wrt} if has_gradient else written
        graph = self.graph if has_gradient else self.definition
        chosen = [(i, at) for i in self.wrt for at in entries(np.shape(self.inputs[i]))]
        for number, *_ in entries((len(chosen),), FUNCTIONS):
            i, at = chosen[number]
            yield Function(
                _indexed(f"d_{self.graph.inputs[i]}", at),
                self.definition.with_values([at_entry(written[i], at)]),
                graph.with_values([at_entry(computed[i], at)]),
                Place(self.places.get((0, (i,))), at) if has_gradient else None,
                columns(i, at),
            )

    def _computed(self, i: int) -> Output:
        """The gradient by an input, of the graph that is compiled; one that is not there is 0."""
        place = self.places.get((0, (i,)))
        return (
            Output(self.graph.table.constant(0), self.graph.shapes[i]) if place is None else self.graph.outputs[place]
        )

    def _gradient_of(self, graph: Graph) -> dict[int, Output]:
        views = reverse_pass(graph, graph.values[0].view, self.wrt).gradients
        return {i: Output(view, graph.shapes[i]) for i, view in zip(self.wrt, views, strict=True)}

    def _second(self, i: int, at: tuple[int, ...]) -> tuple[Column, ...]:
        if self.matrix is not None:
            before = sum(np.size(self.inputs[own]) for own in self.wrt[: self.wrt.index(i)])
            return self._of_row(before + _flat(at, np.shape(self.inputs[i])))
        order = list(self.wrt)

        def place(j: int, within: tuple[int, ...]) -> Place:
            if order.index(i) >= order.index(j):
                return Place(self.places.get((0, (i, j))), (*at, *within))
            return Place(self.places.get((0, (j, i))), (*within, *at))

        return self._by_inputs(place)

    def _along(self, i: int, at: tuple[int, ...]) -> tuple[Column, ...]:
        return (Column("along v", self._direction(), Place(1 + list(self.wrt).index(i), at)),)

    # --- products -----------------------------------------------------------------------------------------------------

    def _direction(self) -> Direction:
        first = len(self.inputs) - len(self.wrt)
        return Direction(tuple(self.wrt), tuple(self.inputs[first + k] for k in range(len(self.wrt))))

    def _weighted(self) -> Function:
        """The sum of the values times the weights, which are the last inputs."""
        first = len(self.inputs) - self.count
        both = self.definition, replace(self.graph, outputs=self.graph.values[: self.count])
        written, computed = (own.with_values([weighted(own, own.values, first)]) for own in both)
        order = {i: self.count + k for k, i in enumerate(self.wrt)}
        columns = self._by_inputs(lambda i, at: Place(order[i], at))
        return Function("the weighted sum", written, computed, None, columns)


def _flat(at: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Which entry of an array that is, in C order."""
    return int(np.ravel_multi_index(at, shape)) if at else 0


def _indexed(name: str, at: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, at))}]" if at else name
