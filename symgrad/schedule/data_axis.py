"""The items of a program with arrays, the classes of their axes, and which of these is the data.

Axes that edges identify form classes (inputs identify nothing: X[i, k] - X[j, k] has two). The data axis is the class
that covers most of the work.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

from ..analysis.domains import Domains
from ..analysis.extents import Domain, numeric, with_derived
from ..gates.linear_algebra import argument_axes
from ..graph.affine import Index
from ..graph.gate import Kind
from ..graph.graph import Graph, sizes_of
from ..graph.node import Node, Reduction, View, plain_axis
from .axes import AxisClasses
from .integers import index_nodes
from .items import Item, Key, Sink, edges_of, is_leaf, is_matrix, is_reduction, own_axis

# What a symbolic extent is taken for where work is compared.
_SOME_SIZE = 1000


class Candidate(NamedTuple):
    """A class of axes that is summed over, as it is compared with others: the largest is the data."""

    is_symbolic: bool
    work: float  # of all loops over it, in iterations at some size
    size: int
    leads: int  # of how many arrays it is the first axis, as rows are that data come in
    place: int  # the first one of those that are alike


class DataAxis:
    """Nodes, and arrays that are written in whole; their axes and readers; and the axis that is the data."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.domains = Domains(graph)
        some = {size.name: _SOME_SIZE for size in sizes_of(graph)}
        self._guesses = with_derived(some, self.domains.derived)
        self.nodes = [node for node in graph.order() if not is_leaf(node)]
        self.integers = index_nodes(graph)  # computed in integers; and integer inputs hold them
        self.sinks: list[Sink] = []
        self.arguments = {node: self._arguments(node) for node in self.nodes if is_matrix(node)}
        for output in graph.outputs:
            if output.by or output.shape:
                self.sinks.append(Sink(output.view, Domain(output.bounds), "output", output))
        self.items: list[Item] = [*self.nodes, *self.sinks]
        self.readers: dict[Node, list[Item]] = defaultdict(list)
        for item in self.items:
            if is_matrix(item):
                continue  # it reads its sinks
            for node in {edge.node for edge in (*item.arguments, *item.gathered)}:
                self.readers[node].append(item)
        self.classes = AxisClasses(self.items)
        if graph.pattern is not None:
            self._join_families()
        self.data = self._data_class()
        self._data_axes: dict[Item, int | None] = {}  # what is asked for again and again

    def _join_families(self) -> None:
        """Families of entries of one range, and what else runs over it, share its loop: inputs alone do not tell."""
        known: dict[tuple[Index, Index], Key] = {}
        for item in self.items:
            if is_matrix(item) or (isinstance(item, Sink) and item.purpose == "argument"):
                continue
            for axis in range(item.loops):
                bound = (item.domain if isinstance(item, Sink) else self.domains.of[item]).bounds[axis]
                if bound is not None and bound[0] != bound[1]:
                    self.classes.join((item, axis), known.setdefault(bound, (item, axis)))

    def kind(self, item: Item) -> Kind:
        """Of what is stored: real, integer or boolean."""
        node = item.view.node if isinstance(item, Sink) else item
        if isinstance(item, Sink) and item.purpose != "kept":
            return "real"
        return "integer" if node in self.integers else "boolean" if node.kind == "boolean" else "real"

    # --- sinks --------------------------------------------------------------------------------------------------------

    def _arguments(self, node: Node) -> list[Sink]:
        """The arguments of a matrix operation as arrays of their own, over the axes that they are read along."""
        found = []
        for edge in node.arguments:
            axes = argument_axes(node, edge)
            names = {name: Index(((place, 1),)) for place, name in enumerate(axes)}
            domain = Domain(tuple(self.domains.of[node].bounds[name] for name in axes))
            view = edge.at(names)
            same = next((sink for sink in self.sinks if sink.view == view and sink.domain == domain), None)
            if same is None:
                same = Sink(view, domain, "argument")
                self.sinks.append(same)
            found.append(same)
        return found

    # --- classes ------------------------------------------------------------------------------------------------------

    def class_of(self, item: Item, axis: int) -> Key:
        return self.classes.root((item, axis))

    def _axes_of_inputs(self, sink: Sink) -> Iterator[tuple[tuple[int, int], Key]]:
        """What the last axes of a derivative run along: the axes of the inputs that it is taken by."""
        by = () if sink.output is None else sink.output.by
        axes = [(position, place) for position in by for place in range(len(self.graph.shapes[position]))]
        for own, axis in enumerate(axes, sink.rank - len(axes)):
            yield axis, self.class_of(sink, own)

    def index_names(self) -> dict[Key, str]:
        """The user's names for the indices that run along classes of axes, where they are known.

        Where no sum names it, an index is called as the one that reads the same axis of the same input.
        """
        found: dict[Key, str] = {}
        for node in self.nodes:
            for loop, label in enumerate(self.graph.labels.get(node, ())[: node.loops]):
                if label:
                    found.setdefault(self.class_of(node, loop), label)
        reads = [((edge.node.position, place), key) for edge, place, key in self._reads_of_inputs()]
        reads += [axis for sink in self.sinks for axis in self._axes_of_inputs(sink)]
        named: dict[tuple[int, int], str] = {}
        for read, key in reads:
            if key in found:
                named.setdefault(read, found[key])
        for read, key in reads:
            if read in named:
                found.setdefault(key, named[read])
        return found

    def _reads_of_inputs(self) -> Iterator[tuple[View, int, Key]]:
        """Where inputs are read, each of their axes, and the class of axes that it is read along."""
        for item in self.items:
            if is_matrix(item):
                continue
            for edge in edges_of(item):
                if edge.node.gate.name == "input":
                    for place, own in enumerate(map(plain_axis, edge.index)):
                        if own is not None:
                            yield edge, place, self.class_of(item, own)

    def bounds(self, item: Item, axis: int) -> tuple[Index, Index]:
        """The first and the last index of a loop: for a result's axis what is demanded, also where no term arrives."""
        domain = item.domain if isinstance(item, Sink) else self.domains.of[item]
        bound = domain.bounds[axis]
        if isinstance(item.attribute, Reduction) and item.attribute.is_plain and axis < item.rank:
            bound = self.domains.own[item].bounds[axis] or bound
        assert bound is not None, (item, axis)
        return bound

    def extent(self, item: Item, axis: int) -> int | None:
        """The number of indices where it is a number, else None."""
        low, high = self.bounds(item, axis)
        length = high.minus(low).plus(1)
        return None if length.terms else max(0, length.offset)

    def guess(self, item: Item, axis: int) -> int:
        low, high = self.bounds(item, axis)
        length = high.minus(low).plus(1)
        return max(1, numeric(length, self._guesses))

    def _data_class(self) -> Key | None:
        """A class that is summed over: of symbolic extent first, then that which covers most of the work.

        Where nothing is summed over it is one of the axes of a value. A loop of a family of entries may be it as well.
        """
        self.candidates: dict[Key, Candidate] = {}
        reduced: dict[Key, bool] = {}
        cover: dict[Key, float] = defaultdict(float)
        size: dict[Key, int] = defaultdict(int)
        for node in self.nodes:
            if is_matrix(node) or self._feeds_matrix(node):
                continue
            work = 1.0
            for loop in range(node.loops):
                work *= self.guess(node, loop)
            for loop in range(node.loops):
                key = self.class_of(node, loop)
                cover[key] += work
                size[key] = max(size[key], self.guess(node, loop))
                plain = isinstance(node.attribute, Reduction) and node.attribute.is_plain
                if is_reduction(node) and not (plain and loop < node.rank):
                    reduced[key] = reduced.get(key, False) or self.extent(node, loop) is None
        is_summed = bool(reduced)
        for sink in self.sinks:
            output = sink.output
            if output is not None and (output.first is not None or not (is_summed or output.by)):
                for own in range(sink.rank):
                    key = self.class_of(sink, own)
                    cover[key] += math.prod(self.guess(sink, other) for other in range(sink.rank))
                    size[key] = max(size[key], self.guess(sink, own))
                    reduced[key] = reduced.get(key, False) or self.extent(sink, own) is None
        leads = Counter(
            key for _, key in {(edge.node, key) for edge, place, key in self._reads_of_inputs() if place == 0}
        )
        for place, (key, is_symbolic) in enumerate(reduced.items()):
            self.candidates[key] = Candidate(is_symbolic, cover[key], size[key], leads[key], -place)
        return max(self.candidates, key=lambda key: self.candidates[key], default=None)

    def _feeds_matrix(self, node: Node) -> bool:
        return any(isinstance(reader, Sink) and reader.purpose == "argument" for reader in self.readers[node])

    # --- the data -----------------------------------------------------------------------------------------------------

    def data_axis(self, item: Item) -> int | None:
        """The loop axis of an item that is the data, None where it is computed outside of the passes."""
        if item not in self._data_axes:
            own = range(item.loops) if self.data is not None and not is_matrix(item) else ()
            self._data_axes[item] = next((axis for axis in own if self.class_of(item, axis) == self.data), None)
        return self._data_axes[item]

    def reduces_data(self, item: Item) -> TypeGuard[Node]:
        """Whether its result is known only after a pass."""
        axis = self.data_axis(item)
        if axis is None or not is_reduction(item):
            return False
        return not item.reduction.is_plain or axis >= item.rank

    def varies(self, item: Item) -> bool:
        """Whether it is a function of the data index."""
        return self.data_axis(item) is not None and not self.reduces_data(item)

    def reads_row(self, item: Item, edge: View) -> bool:
        """Whether an item reads something that varies just at its own data index."""
        own = self.data_axis(item)
        return own is not None and plain_axis(edge.index[self.place_of_data(edge.node)]) == own

    def place_of_data(self, node: Node) -> int:
        """Which axis of a node's result the data is."""
        own = self.data_axis(node)
        return next(place for place in range(node.rank) if own_axis(node, place) == own)
