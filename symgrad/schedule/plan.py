"""The plan of a program with arrays: what is computed in which pass over the data, what is stored.

What varies along the data lives for a block of it only, unless it is needed in another way (at a shifted place, by a
solve, along another axis): then it is kept, in an array as long as the data. A node's level is the number of times that
the whole data has to be gone through before it can be computed: its pass.
"""

from __future__ import annotations

from ..graph.affine import axis, number_index
from ..graph.graph import Graph
from ..graph.node import Node, View, plain_axis
from ..transform.differentiate import SHORT_AXIS
from .data_axis import DataAxis
from .items import Item, Sink, edges_of, is_leaf, is_matrix, is_reduction

# Axes of at most this many indices are written out inside the loop over the data: neighbours then share a loop.
UNROLLED = SHORT_AXIS
# A product of matrices this large goes to BLAS, whatever the data: each axis, and all three together.
_BLAS_AXIS, _BLAS_WORK, _DATA = 16, 1 << 15, 256
_FREE = {"neg", "detached"}  # not worth an array


def _factors(node: Node) -> tuple[View, View]:
    one, two = node.arguments[0].arguments
    return one, two


class Plan(DataAxis):
    """Which pass each node belongs to, which are products of matrices, and which are stored."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.numbers = {own.view.node: graph.name_of(own) for own in reversed(graph.values) if not own.shape}
        self._find_levels()
        self.products = {node: _factors(node) for node in self.nodes if not self.why_no_product(node)}
        self._find_stored()
        self.labels = self.index_names()

    # --- passes -------------------------------------------------------------------------------------------------------

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
            place = self.place_of_data(node)
            self.classes.unite((sink, place), self.classes.key(node, place))
            self.sinks.append(sink)
            self.items.append(sink)
            self.readers[node].append(sink)

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
