"""The reference evaluator: any graph with NumPy, or with mpmath at any precision. The oracle, not the product.

Every node is a dense array over the box that is demanded of it. A scalar expression is no other graph: its nodes have
one axis, that of the points, nobody reads them elsewhere, and the points may be of any shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import mpmath
import numpy as np
import numpy.typing as npt

from ..analysis.domains import Domains
from ..analysis.extents import Domain, numeric, with_derived
from ..gates.linear_algebra import argument_axes
from ..graph.affine import Size
from ..graph.gate import Numeric
from ..graph.graph import Graph, over_points, reachable
from ..graph.intern import InternTable
from ..graph.node import AnyIndex, Gather, Node, Reduction, View
from .arithmetic import Arithmetic, Complex, Exact, Floats
from .singular import matrix_of, singular

Box = tuple[tuple[int, int], ...]  # the first and the last index of each axis
Demand = tuple[View, Domain]  # a view, and the loops over which it is wanted

_NONE: Mapping[str, int] = MappingProxyType({})

_PLAIN_ANGLE = 40  # up to so many binary digits before the point there are digits enough behind it


def evaluate(
    graph: Graph,
    inputs: Sequence[Numeric],
    sizes: Mapping[str, int] = _NONE,
    dtype: npt.DTypeLike = np.float64,
) -> list[Numeric]:
    """The outputs of `graph` at `inputs`, computed in `dtype`.

    Inputs are arrays of the declared ranks, and `sizes` their extents; over points they are numbers and arrays that
    broadcast, and all outputs have the shape of these together.
    """
    return Evaluator(graph).floats(inputs, sizes, dtype)


def evaluate_exactly(
    graph: Graph, inputs: Sequence[Numeric], sizes: Mapping[str, int] = _NONE, digits: int = 50
) -> list[Numeric]:
    """The same as numbers, or arrays of numbers, of mpmath of `digits` digits; not real is NaN, a pole infinity or NaN.

    Of a large angle as many more digits are computed as it has before the point: a period is taken off them.
    """
    return Evaluator(graph).exactly(inputs, sizes, digits)


def exact_value(view: View, digits: int = 50) -> Numeric:
    """What depends on no input, as a number of mpmath, or as a truth value."""
    table = view.node.table
    assert isinstance(table, InternTable), "nodes are in a table"
    (value,) = evaluate_exactly(over_points(table, (), [view]), (), digits=digits)
    return value


def applied(numbers: Arithmetic, node: Node, arguments: Sequence[Numeric]) -> Numeric:
    """A gate of numbers; one that has no reference of its own (a user's) is evaluated by its expansion."""
    if node.gate.numpy is not None or not numbers.expands:
        return numbers.apply(node, arguments)
    assert node.gate.expansion is not None, node
    table = InternTable(node.table.gates)
    inputs = [table.input(place, (0,)) for place in range(len(arguments))]
    expanded = over_points(table, [""] * len(inputs), [node.gate.expansion(*inputs)])
    (value,) = Evaluation(Evaluator(expanded), arguments, _NONE, numbers).results()
    return value


def every_node(domains: Domains) -> list[Demand]:
    """All nodes, each where it is computed: none of their values is freed."""
    return [(node.own, domains.indices(node)) for node in domains.order]


class Evaluator:
    """What is known of the evaluation of some views, by default of the outputs, before it has inputs.

    `domains` are by default those of the outputs and of the views.
    """

    def __init__(self, graph: Graph, views: Sequence[Demand] | None = None, domains: Domains | None = None) -> None:
        self.graph = graph
        self.domains = domains if graph.over_points or domains else Domains(graph, more=views or ())
        self.views = [(output.view, Domain(output.bounds)) for output in graph.outputs] if views is None else views
        roots = [node for view, _ in self.views for node in _sources(view)]
        self.order = graph.order() if views is None else reachable(roots)
        last: dict[Node, Node] = {}  # who is the last to read a node
        for node in self.order:
            for source, _ in node.arguments:
                last[source] = node
            for source, _ in node.gathered:
                last[source] = node
        self.freed: dict[Node, list[Node]] = {}  # after a node nobody reads these
        for source in last.keys() - set(roots):
            self.freed.setdefault(last[source], []).append(source)

    def floats(
        self, inputs: Sequence[Numeric], sizes: Mapping[str, int] = _NONE, dtype: npt.DTypeLike = np.float64
    ) -> list[Numeric]:
        """See `evaluate`."""
        return [np.array(value, dtype) for value in Evaluation(self, inputs, sizes, Floats(dtype)).results()]

    def exactly(self, inputs: Sequence[Numeric], sizes: Mapping[str, int] = _NONE, digits: int = 50) -> list[Numeric]:
        """See `evaluate_exactly`."""
        with mpmath.workdps(digits):
            numbers = Exact()
            values = Evaluation(self, inputs, sizes, numbers).results()
            if numbers.angle <= _PLAIN_ANGLE:
                return values
            with mpmath.extraprec(numbers.angle):
                values = Evaluation(self, inputs, sizes, Exact()).results()
            return [value if isinstance(value, bool) else +value for value in values]

    def complex(self, inputs: Sequence[Numeric], sizes: Mapping[str, int] = _NONE, digits: int = 50) -> list[Numeric]:
        """The same at complex inputs, for gates that are analytic: those that are not may raise TypeError."""
        with mpmath.workdps(digits):
            return Evaluation(self, inputs, sizes, Complex()).results()


class Evaluation:
    """One evaluation: nodes in order, each over its box. What nobody reads any more is freed, but for the views."""

    def __init__(self, of: Evaluator, inputs: Sequence[Numeric], sizes: Mapping[str, int], numbers: Arithmetic) -> None:
        self.of, self.numbers, self._inputs = of, numbers, inputs
        self.sizes = with_derived(sizes, of.graph.derived)
        if of.domains is None:
            self._points = _box_of(np.broadcast_shapes(*map(_shape, inputs)))
            self.boxes = dict.fromkeys(of.order, self._points)
        else:
            self.boxes = {node: self.box(of.domains.indices(node)) for node in of.order}
        self.values: dict[Node, Numeric] = {}
        with np.errstate(all="ignore"):
            for node in of.order:
                self.values[node] = self._evaluated(node)
                for source in of.freed.get(node, ()):
                    del self.values[source]

    def results(self) -> list[Numeric]:
        """The values of the views, each over its loops."""
        return [self.over(view, domain) for view, domain in self.of.views]

    def over(self, view: View, domain: Domain) -> Numeric:
        """The values of a view on some loops."""
        box = self.box(domain)
        shape = _lengths(box)
        with np.errstate(all="ignore"):  # what is read there may be NaN, also as an index that nobody needs
            value = self._read_over(view, box)
        return value if _shape(value) == shape else np.broadcast_to(value, shape)

    def box(self, domain: Domain) -> Box:
        if self.of.domains is None:
            return self._points
        found = []
        for bound in domain.bounds:
            assert bound is not None
            low, high = numeric(bound[0], self.sizes), numeric(bound[1], self.sizes)
            found.append((low, max(high, low - 1)))
        return tuple(found)

    def index(self, index: AnyIndex, mesh: Mapping[int, Numeric]) -> Numeric:
        """The values of an index expression at those of its axes."""
        if isinstance(index, Gather):
            value = self._read(index.view, mesh)
            return np.asarray(_to_int(value) if self.numbers.dtype == object else value).astype(np.int64)
        total: Numeric = index.offset
        for term, factor in index.terms:
            total = total + factor * (self.sizes[term.name] if isinstance(term, Size) else mesh[term])
        return total

    def _evaluated(self, node: Node) -> Numeric:
        if not node.arguments:
            return self._leaf(node)
        if isinstance(node.attribute, Reduction):
            return self._reduced(node)
        if node.loops != node.rank:
            try:
                return self.numbers.matrix(node, [self._matrix(node, edge) for edge in node.arguments])
            except np.linalg.LinAlgError:
                raise singular(matrix_of(self.of.graph, node)) from None
        box = self.boxes[node]
        return applied(self.numbers, node, [self._read_over(edge, box) for edge in node.arguments])

    def _leaf(self, node: Node) -> Numeric:
        match node.gate.name:
            case "input":
                value = self._inputs[node.position]
                return np.asarray(value) if node.position in self.of.graph.integers else self.numbers.given(value)
            case "constant":
                return self.numbers.constant(node.constant)
            case "size":
                return self.numbers.whole(self.sizes[node.size.name])
            case _:  # a position
                ((low, high),) = self.boxes[node]
                return self.numbers.whole(np.arange(low, high + 1))

    def _loops(self, node: Node) -> Box:
        assert self.of.domains is not None, "over points nothing is reduced"
        return self.box(self.of.domains.of[node])

    def _matrix(self, node: Node, edge: View) -> Numeric:
        """An argument of an operation on whole matrices."""
        loops, axes = self._loops(node), argument_axes(node, edge)
        box = tuple(loops[axis] for axis in axes)
        return np.broadcast_to(self._read(edge, dict(zip(axes, _mesh(box), strict=True))), _lengths(box))

    def _reduced(self, node: Node) -> Numeric:
        own, box, loops = node.reduction, self.boxes[node], self._loops(node)
        shape = _lengths(loops)
        inside = np.ones(shape, bool)
        mesh = dict(enumerate(_mesh(loops)))
        for constraint in own.constraints:
            inside &= self.index(constraint, mesh) >= 0
        places = {axis: np.broadcast_to(at, shape)[inside] for axis, at in mesh.items()}
        terms = np.broadcast_to(self._read(node.arguments[0], places), int(inside.sum()))
        if not box:
            return self.numbers.accumulated(node, (), (), terms)
        at = [np.broadcast_to(self.index(index, places), terms.shape) for index in own.out]
        at = [index - low for index, (low, _) in zip(at, box, strict=True)]
        kept = np.ones(terms.shape, bool)
        for index, length in zip(at, _lengths(box), strict=True):
            kept &= (index >= 0) & (index < length)
        return self.numbers.accumulated(node, _lengths(box), [index[kept] for index in at], terms[kept])

    def _read_over(self, view: View, box: Box) -> Numeric:
        """A view over a box; its node as it is where it is read over all of that one's, as over points it always is."""
        node, index = view
        if not index or self.of.domains is None or (index is node.own.index and self.boxes[node] == box):
            return self.values[node]
        return self._read(view, dict(enumerate(_mesh(box))))

    def _read(self, view: View, mesh: Mapping[int, Numeric]) -> Numeric:
        value = self.values[view.node]
        if not view.index:
            return value
        places, inside = [], np.asarray(True)
        for index, (low, high) in zip(view.index, self.boxes[view.node], strict=True):
            at = np.asarray(self.index(index, mesh)) - low
            inside = inside & (at >= 0) & (at <= high - low)
            places.append(np.clip(at, 0, max(high - low, 0)))
        if np.size(value) and inside.all():
            return value[tuple(places)]
        # A mask's dead ends: nothing is there, and nothing of it may come out.
        found = value[tuple(places)] if np.size(value) else np.zeros(inside.shape, value.dtype)
        nothing = self.numbers.constant("nan") if value.dtype.kind in "fO" else value.dtype.type(0)
        return np.where(inside, found, nothing)


_to_int = np.frompyfunc(int, 1, 1)


def _sources(view: View) -> list[Node]:
    """The nodes that a view reads: its own, and those that its indices are values of."""
    found, stack = [], [view]
    while stack:
        read = stack.pop()
        found.append(read.node)
        stack += [index.view for index in read.index if isinstance(index, Gather)]
    return found


def _shape(value: Numeric) -> tuple[int, ...]:
    return value.shape if isinstance(value, np.ndarray) else ()


def _box_of(shape: Sequence[int]) -> Box:
    return tuple((0, length - 1) for length in shape)


def _lengths(box: Box) -> tuple[int, ...]:
    return tuple(high - low + 1 for low, high in box)


def _mesh(box: Box) -> tuple[Numeric, ...]:
    """Index arrays of a box, one an axis, that broadcast against each other."""
    return np.ogrid[tuple(slice(low, high + 1) for low, high in box)] if box else ()
