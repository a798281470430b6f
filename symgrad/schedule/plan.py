"""The plan of a program with arrays: which axis is the data, what is computed in which pass over it, what is stored.

Axes that edges identify form classes (inputs identify nothing: X[i, k] - X[j, k] has two). The data axis is the class
that covers most of the work. What varies along it lives for a block of the data only, unless it is needed in another
way (at a shifted place, by a solve, along another axis): then it is kept, in an array as long as the data. A node's
level is the number of times that the whole data has to be gone through before it can be computed: its pass.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

from ..analysis.domains import Domains
from ..analysis.extents import Domain, numeric, with_derived
from ..gates.linear_algebra import argument_axes
from ..graph.affine import Index, axis, number_index
from ..graph.gate import Kind
from ..graph.graph import Graph, sizes_of
from ..graph.node import Node, Reduction, View, plain_axis
from ..transform.differentiate import SHORT_AXIS
from .axes import AxisClasses
from .integers import index_nodes
from .items import Item, Key, Sink, edges_of, is_leaf, is_matrix, is_reduction, own_axis

# What a symbolic extent is taken for where work is compared.
_SOME_SIZE = 1000
# Axes of at most this many indices are written out inside the loop over the data: neighbours then share a loop.
UNROLLED = SHORT_AXIS
# A product of matrices this large goes to BLAS, whatever the data: each axis, and all three together.
_BLAS_AXIS, _BLAS_WORK, _DATA = 16, 1 << 15, 256
_FREE = {"neg", "detached"}  # not worth an array


class Candidate(NamedTuple):
    """A class of axes that is summed over, as it is compared with others: the largest is the data."""

    is_symbolic: bool
    work: float  # of all loops over it, in iterations at some size
    size: int
    leads: int  # of how many arrays it is the first axis, as rows are that data come in
    place: int  # the first one of those that are alike


def _factors(node: Node) -> tuple[View, View]:
    one, two = node.arguments[0].arguments
    return one, two


class Plan:
    """Classes, data axis, levels, and which nodes are stored."""

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
            if output.role == "gradient" or output.shape:
                box = tuple((number_index(0), extent.minus(1)) for extent in output.shape)
                self.sinks.append(Sink(output.view, Domain(box), "output", output))
        self.items: list[Item] = [*self.nodes, *self.sinks]
        self.readers: dict[Node, list[Item]] = defaultdict(list)
        for item in self.items:
            if is_matrix(item):
                continue  # it reads its sinks
            for node in {edge.node for edge in (*item.arguments, *item.gathered)}:
                self.readers[node].append(item)
        self.numbers = {output.view.node for output in graph.values if not output.shape}
        self.classes = AxisClasses(self.items)
        self.data = self._data_class()
        self._data_axes: dict[Item, int | None] = {}  # what is asked for again and again
        self._find_levels()
        self.products = {node: _factors(node) for node in self.nodes if not self.why_no_product(node)}
        self._find_stored()
        self.labels = self._index_names()

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

    def _index_names(self) -> dict[Key, str]:
        """The user's names for the indices that run along classes of axes, where they are known.

        Where no sum names it, an index is called as the one that reads the same axis of the same input.
        """
        found: dict[Key, str] = {}
        for node in self.nodes:
            for loop, label in enumerate(self.graph.labels.get(node, ())[: node.loops]):
                if label:
                    found.setdefault(self.class_of(node, loop), label)
        reads = [((edge.node.position, place), key) for edge, place, key in self._reads_of_inputs()]
        reads += [
            ((sink.output.by, place), self.class_of(sink, place))
            for sink in self.sinks
            if sink.output is not None and sink.output.by is not None
            for place in range(sink.rank)
        ]
        named: dict[tuple[int | None, int], str] = {}
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

        Where nothing is summed over it is one of the axes of a value.
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
        for sink in self.sinks if not reduced else ():
            if sink.output is not None and sink.output.role == "value":
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

    # --- passes -------------------------------------------------------------------------------------------------------

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
        return own is not None and plain_axis(edge.index[self._place_of_data(edge.node)]) == own

    def _find_levels(self) -> None:
        """The level of each item, and what is kept for another pass than its own."""
        self.level: dict[Item, int] = {}
        self.kept: set[Node] = set()
        for node in self.nodes:
            if is_matrix(node):
                level = 0
                for sink in self.arguments[node]:
                    self.level[sink] = self._source_level(sink)
                    level = max(level, self.level[sink] + self.varies(sink))
                self.level[node] = level
            else:
                self.level[node] = self._source_level(node) + self.reduces_data(node)
        for sink in self.sinks:
            self.level[sink] = self._source_level(sink)
        for node in [node for node in self.nodes if node in self.kept]:
            sink = Sink(View(node, tuple(map(axis, range(node.rank)))), self.domains.own[node], "kept")
            self.level[sink] = self.level[node]
            place = self._place_of_data(node)
            self.classes.unite((sink, place), self.classes.key(node, place))
            self.sinks.append(sink)
            self.items.append(sink)
            self.readers[node].append(sink)

    def _place_of_data(self, node: Node) -> int:
        own = self.data_axis(node)
        return next(place for place in range(node.rank) if own_axis(node, place) == own)

    def _source_level(self, item: Item) -> int:
        level = 0
        for edge in edges_of(item):
            if is_leaf(edge.node):
                continue
            waits = self.varies(edge.node) and not self.reads_row(item, edge)
            if waits:
                self.kept.add(edge.node)
            level = max(level, self.level[edge.node] + waits)
        return level

    # --- products of matrices -----------------------------------------------------------------------------------------

    def why_no_product(self, node: Node) -> str:
        """Why a node is no product of matrices for BLAS; empty where it is one."""
        if not is_reduction(node) or node.gate.name != "sum":
            return "no sum"
        if node.loops != 3 or not node.reduction.is_plain:
            return "not over three loops"
        body = node.arguments[0]
        if body.node.gate.name != "mul" or len(body.node.arguments) != 2:
            return "its terms are no products of two factors"
        if len(self.readers[body.node]) > 1:
            return "its terms are read elsewhere"
        if any(len(form.axes) > 1 for form in node.reduction.constraints) or self.domains.of[node].coupled:
            return "its loops depend on each other"
        one, two = body.arguments
        for factor in (one, two):
            plain = [plain_axis(index) for index in factor.index]
            if len(plain) != 2 or None in plain or plain[0] == plain[1] or not self._is_matrix_operand(factor, node):
                return "a factor is no whole matrix"
        shared = set(one.axes) & set(two.axes)
        if len(shared) != 1 or shared & set(range(node.rank)) or node.rank != 2:
            return "the factors do not share just what is summed over"
        sizes = [_DATA if axis == self.data_axis(node) else self.guess(node, axis) for axis in range(3)]
        if min(sizes) < _BLAS_AXIS or sizes[0] * sizes[1] * sizes[2] < _BLAS_WORK:
            return "it is too small"
        return ""

    def _is_matrix_operand(self, factor: View, node: Node) -> bool:
        """Whether the factor is an array that is read from its start, and has no entries beyond the loops."""
        if factor.node.gate.name == "input":
            if factor.node.position in self.graph.integers:
                return False
        elif is_leaf(factor.node):
            return False
        axis = self.data_axis(node)
        for place, index in enumerate(factor.index):
            own = plain_axis(index)
            assert own is not None
            low, high = self.bounds(node, own)
            if own == axis and (factor.node.gate.name == "input" or self._is_indexed_by_data(factor.node)):
                continue
            length = high.minus(low).plus(1)
            if length.offset < 0 or any(factor < 0 for _, factor in length.terms):
                return False  # an array has room for one entry also where there is none
            bound = self.domains.own[factor.node].bounds[place] if factor.node.gate.name != "input" else None
            if factor.node.gate.name == "input":
                bound = self.domains.of[factor.node].bounds[place]
            if bound != (low, high):
                return False
        return True

    def _is_indexed_by_data(self, node: Node) -> bool:
        """Whether an array that varies along the data has its entries at their own indices, wherever it is read."""
        axis = self.data_axis(node)
        if axis is None or not self.varies(node):
            return False
        return node not in self.kept or self.bounds(node, axis)[0] == number_index(0)

    # --- what is stored -----------------------------------------------------------------------------------------------

    def _find_stored(self) -> None:
        """Nodes that have an array or a name of their own; the others are computed where they are read."""
        operands = {factor.node for factors in self.products.values() for factor in factors}
        bodies = {node.arguments[0].node for node in self.products}
        self.stored: dict[Node, str] = {}  # and why
        for node in self.nodes:
            why = "" if node in bodies else self._why_stored(node, operands)
            if why:
                self.stored[node] = why

    def _why_stored(self, node: Node, operands: set[Node]) -> str:
        """Why a node has an array or a name of its own; empty where it has none."""
        if is_reduction(node):
            return "a reduction"
        if is_matrix(node):
            return "an operation on matrices"
        if node in self.numbers:
            return "the value"
        if node in operands:
            return "a factor of a product of matrices"
        if node in self.kept:
            return "read in a later pass, or at another index of the data"
        if node.gate.name in _FREE or node.kind == "boolean":
            return ""
        readers = self.readers[node]
        if any(node in (view.node for view in reader.gathered) for reader in readers):
            return "used as an index"
        if not self.varies(node) and any(self.data_axis(reader) is not None for reader in readers):
            is_cheap = node.gate.name in ("add", "mul") and all(is_leaf(edge.node) for edge in node.arguments)
            return "" if is_cheap else "the same for all of the data"
        if len(readers) > 1:
            return f"read {len(readers)} times"
        # One reader: worth it where that would compute it again and again, in a loop that it does not depend on.
        is_repeated = any(
            isinstance(reader, Node)
            and reader.loops > node.rank
            and not (is_reduction(reader) and reader not in self.products and node.rank == reader.loops)
            for reader in readers
        )
        return "read in a loop that it does not depend on" if is_repeated else ""
