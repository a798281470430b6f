"""The reference evaluator of graphs with arrays: every node as a dense array over the box that is demanded of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import mpmath
import numpy as np
import numpy.typing as npt

from ..analysis.domains import Domains
from ..analysis.extents import Domain, numeric, with_derived
from ..gates.linear_algebra import MATRIX_RULES, argument_axes
from ..gates.reductions import KINDS
from ..graph.affine import Size
from ..graph.gate import Numeric
from ..graph.graph import Graph
from ..graph.node import AnyIndex, Gather, Node, Reduction, View
from .points import Apply, _apply_mpmath, _apply_numpy, _composite, exact_number, rounded


def evaluate_arrays(
    graph: Graph, inputs: Sequence[Numeric], sizes: Mapping[str, int], dtype: npt.DTypeLike = np.float64
) -> list[Numeric]:
    """The values and gradients of `graph` at `inputs` (arrays of the declared ranks), computed in `dtype`."""
    kind = np.dtype(dtype)
    ready = [np.asarray(a) if i in graph.integers else np.asarray(a, kind) for i, a in enumerate(inputs)]

    def constant(number: Numeric) -> Numeric:
        return rounded(number, kind)

    with np.errstate(all="ignore"):
        values = Evaluation(graph, ready, sizes, kind, constant, _numpy, _matrix_numpy)
        return [np.array(value, dtype=kind) for value in values.outputs()]


def evaluate_arrays_exactly(
    graph: Graph, inputs: Sequence[Numeric], sizes: Mapping[str, int], digits: int = 50
) -> list[Numeric]:
    """The same as arrays of mpmath numbers of `digits` digits."""
    exact = np.frompyfunc(mpmath.mpf, 1, 1)
    with mpmath.workdps(digits):
        ready = [
            np.asarray(a) if i in graph.integers else np.asarray(exact(np.asarray(a).astype(object)), object)
            for i, a in enumerate(inputs)
        ]

        def apply(node: Node, arguments: list[Numeric]) -> Numeric:
            def one(*numbers: Numeric) -> Numeric:
                return _composite(node, list(numbers), _apply_mpmath)

            return np.frompyfunc(one, len(arguments), 1)(*arguments)

        values = Evaluation(graph, ready, sizes, np.dtype(object), exact_number, apply, _matrix_mpmath)
        return [np.asarray(value, dtype=object) for value in values.outputs()]


def _numpy(node: Node, arguments: list[Numeric]) -> Numeric:
    return _composite(node, arguments, _apply_numpy)


class Evaluation:
    """One evaluation: nodes in order, each over its box; `low` is the first index of each axis."""

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[Numeric],
        sizes: Mapping[str, int],
        dtype: npt.DTypeLike,
        constant: Callable[[Numeric], Numeric],
        apply: Apply,
        matrix: Apply,
        more: Sequence[tuple[View, Domain]] = (),
    ) -> None:
        self.graph, self.inputs, self.dtype = graph, inputs, dtype
        self.constant, self.apply, self.matrix = constant, apply, matrix
        self.domains = Domains(graph, more=more)
        self.sizes = with_derived(sizes, self.domains.derived)
        self.low: dict[Node, list[int]] = {}
        self.values: dict[Node, Numeric] = {}
        for node in self.domains.order:
            box = self.box(self.domains.of[node])
            self.low[node] = [low for low, _ in box[: node.rank]]
            self.values[node] = self._evaluated(node, box)

    @staticmethod
    def of_view(graph: Graph, view: View, over: Domain, inputs: Sequence[Numeric], sizes: Mapping[str, int]) -> Numeric:
        """The values that a view of `graph` takes on the loops `over`."""
        with np.errstate(all="ignore"):
            return Evaluation.in_floats(graph, inputs, sizes).over(view, over)

    @staticmethod
    def in_floats(graph: Graph, inputs: Sequence[Numeric], sizes: Mapping[str, int]) -> Evaluation:
        """The values of all nodes."""
        ready, kind = [np.asarray(a) for a in inputs], np.dtype(np.float64)
        with np.errstate(all="ignore"):
            return Evaluation(graph, ready, sizes, kind, lambda number: rounded(number, kind), _numpy, _matrix_numpy)

    @staticmethod
    def of_views(
        graph: Graph,
        views: Sequence[tuple[View, Domain]],
        inputs: Sequence[Numeric],
        sizes: Mapping[str, int],
        dtype: npt.DTypeLike,
    ) -> list[Numeric]:
        """The values that views of `graph` take, each on its loops: needed by an output or not."""
        kind = np.dtype(dtype)

        def constant(number: Numeric) -> Numeric:
            return rounded(number, kind)

        with np.errstate(all="ignore"):
            found = Evaluation(graph, inputs, sizes, kind, constant, _numpy, _matrix_numpy, views)
            return [found.over(view, domain) for view, domain in views]

    def over(self, view: View, domain: Domain) -> Numeric:
        """The values of a view on some loops."""
        box = self.box(domain)
        shape = [high - low + 1 for low, high in box]
        value = self._read(view, _mesh([low for low, _ in box], shape, range(len(box))))
        return np.broadcast_to(value, shape)

    def box(self, domain: Domain) -> list[tuple[int, int]]:
        found = []
        for bound in domain.bounds:
            assert bound is not None
            low, high = numeric(bound[0], self.sizes), numeric(bound[1], self.sizes)
            found.append((low, max(high, low - 1)))
        return found

    def outputs(self) -> list[Numeric]:
        found = []
        for output in self.graph.outputs:
            shape = tuple(numeric(extent, self.sizes) for extent in output.shape)
            mesh = dict(enumerate(np.ogrid[tuple(slice(length) for length in shape)])) if shape else {}
            found.append(np.broadcast_to(self._read(output.view, mesh), shape))
        return found

    def _evaluated(self, node: Node, box: list[tuple[int, int]]) -> Numeric:
        name = node.gate.name
        if name == "input":
            return self.inputs[node.position]
        if name == "constant":
            return self.constant(node.constant)
        if name == "size":
            return self._number(self.sizes[node.size.name])
        shape = tuple(high - low + 1 for low, high in box)
        starts = [low for low, _ in box]
        if name in MATRIX_RULES:
            parts = []
            for edge in node.arguments:
                axes = argument_axes(node, edge)
                small = _mesh([starts[n] for n in axes], [shape[n] for n in axes], axes)
                value = np.broadcast_to(self._read(edge, small), [shape[n] for n in axes])
                parts.append(value)
            return self.matrix(node, parts)
        if isinstance(node.attribute, Reduction):
            return self._reduced(node, starts, shape)
        mesh = _mesh(starts, shape, range(node.rank))
        if name == "position":
            return self._number(mesh[0])
        arguments = [self._read(edge, mesh) for edge in node.arguments]
        return np.array(np.broadcast_to(self.apply(node, arguments), shape))

    def _number(self, integer: Numeric) -> Numeric:
        if self.dtype == object:
            return np.frompyfunc(mpmath.mpf, 1, 1)(np.asarray(integer).astype(object))
        return np.asarray(integer, self.dtype)[()]

    def _reduced(self, node: Node, starts: Sequence[int], shape: Sequence[int]) -> Numeric:
        own = node.reduction
        inside = np.ones(shape, bool)
        mesh = _mesh(starts, shape, range(node.loops))
        for constraint in own.constraints:
            inside &= self.index(constraint, mesh) >= 0
        places = [np.broadcast_to(mesh[n], shape)[inside] for n in range(node.loops)]
        values = self._read(node.arguments[0], dict(enumerate(places)))
        terms = np.broadcast_to(values, int(inside.sum()))
        box = self.box(self.domains.own[node])
        if not box:
            return self._accumulated(node, (), (), terms)
        lengths = [high - low + 1 for low, high in box]
        self.low[node] = [low for low, _ in box]
        at = [np.broadcast_to(self.index(index, dict(enumerate(places))), terms.shape) for index in own.out]
        at = [index - low for index, (low, _) in zip(at, box, strict=True)]
        kept = np.ones(terms.shape, bool)
        for index, length in zip(at, lengths, strict=True):
            kept &= (index >= 0) & (index < length)
        return self._accumulated(node, lengths, [index[kept] for index in at], terms[kept])

    def _accumulated(self, node: Node, shape: Sequence[int], at: Sequence[Numeric], terms: Numeric) -> Numeric:
        """The terms of a reduction, each put to its place in an array of that shape."""
        empty = KINDS[node.gate.name].empty
        start = self.constant(empty if isinstance(empty, str) else Fraction(empty))
        function = node.gate.numpy
        assert isinstance(function, np.ufunc)
        if not shape:
            return function.reduce(np.ravel(terms), initial=start)
        result = np.full(shape, start, self.dtype)
        function.at(result, tuple(at), terms)
        return result

    def _read(self, view: View, mesh: Mapping[int, Numeric]) -> Numeric:
        value = self.values[view.node]
        if not view.index:
            return value
        places, inside = [], np.asarray(True)
        for index, low, length in zip(view.index, self.low[view.node], np.shape(value), strict=True):
            at = np.asarray(self.index(index, mesh)) - low
            inside = inside & (at >= 0) & (at < length)
            places.append(np.clip(at, 0, max(length - 1, 0)))
        if np.size(value) and inside.all():
            return value[tuple(places)]
        # A mask's dead ends: nothing is there, and nothing of it may come out.
        found = value[tuple(places)] if np.size(value) else np.zeros(inside.shape, value.dtype)
        nothing = self.constant("nan") if value.dtype.kind in "fO" else value.dtype.type(0)
        return np.where(inside, found, nothing)

    def index(self, index: AnyIndex, mesh: Mapping[int, Numeric]) -> Numeric:
        if isinstance(index, Gather):
            value = self._read(index.view, mesh)
            return _integers(np.frompyfunc(int, 1, 1)(value) if self.dtype == object else value)
        total: Numeric = index.offset
        for term, factor in index.terms:
            total = total + factor * (self.sizes[term.name] if isinstance(term, Size) else mesh[term])
        return total


def _integers(value: Numeric) -> Numeric:
    return np.asarray(value).astype(np.int64)


def _mesh(starts: Sequence[int], shape: Sequence[int], axes: Sequence[int]) -> dict[int, Numeric]:
    """Index arrays of a box that broadcast against each other."""
    grid = np.ogrid[tuple(slice(start, start + length) for start, length in zip(starts, shape, strict=True))]
    return dict(zip(axes, grid, strict=True)) if shape else {}


def _matrix_numpy(node: Node, arguments: list[Numeric]) -> Numeric:
    assert node.gate.numpy is not None
    return node.gate.numpy(*(np.asarray(argument, np.float64) for argument in arguments))


def _matrix_mpmath(node: Node, arguments: list[Numeric]) -> Numeric:
    a = mpmath.matrix(arguments[0].tolist())
    name = node.gate.name
    if name in ("determinant", "log_determinant"):
        value = mpmath.det(a)
        if name == "log_determinant":
            value = mpmath.log(value) if value > 0 else mpmath.mpf("nan") if value < 0 else -mpmath.inf
        return np.array(value, dtype=object)
    inverse = np.array((a**-1).tolist(), dtype=object)
    return inverse if name == "inverse" else inverse.dot(arguments[1])
