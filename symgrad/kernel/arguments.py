"""The arguments of a call: in order, as what compiled code takes; and what their shapes say, checked before it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from symgrad_codegen.run import host

from ..analysis.checks import Check, GatherCheck, checks
from ..analysis.domains import Domains
from ..analysis.extents import Derived, is_empty, numeric, with_derived
from ..analysis.shapes import bind
from ..errors import ShapeError
from ..evaluate.evaluation import Evaluator
from ..graph.affine import Index, Size
from ..graph.graph import Graph, reachable, sizes_of
from ..graph.node import Gather, View, plain_axis
from ..result import by_name
from .batch import broadcast, check_memory, per_item, size_of
from .compiled import Compiled
from .passed_tables import PassedTables

# Shapes that calls came with are remembered, up to this many.
_KNOWN_SHAPES = 256


class IndexInput(NamedTuple):
    """An integer input used as an index: where it stands, and the bounds that it has to keep."""

    check: GatherCheck
    source: tuple[int, tuple[slice, ...]] | None
    low: int
    high: int


class Shapes(NamedTuple):
    """What follows from the shapes of a call."""

    batch: tuple[int, ...]  # () is one instance: one point, or one set of arrays
    cells: tuple[tuple[int, ...], ...]  # of one cell of each target
    outputs: tuple[tuple[int, ...], ...]  # of each target, with the batch in front
    sizes: dict[str, int]
    largest: int  # elements of the largest input of one instance
    gathers: list[IndexInput]
    tables: tuple[int, ...] | None = None  # the inputs that computed ones read, where these are integers


class Arguments:
    """The arguments of a kernel. Each has a shape of its own, () of a number; axes in front of it are a batch."""

    def __init__(
        self,
        compiled: Compiled,
        index_range: Callable[[Any], tuple[int, int]],
        on_host: Callable[[Any], Any],
    ) -> None:
        """`index_range` finds the least and the largest integer of an array, `on_host` copies one to the host."""
        graph, options = compiled.graph, compiled.options
        self._compiled, self._index_range, self._on_host = compiled, index_range, on_host
        self.names = [symbol.name for symbol in compiled.args]
        count = Counter(self.names)
        self._positions = {name: position for position, name in enumerate(self.names) if count[name] == 1}
        self.shapes: Sequence[tuple[Index, ...]] = graph.shapes if compiled.has_arrays else [()] * len(self.names)
        self.ranks = list(map(len, self.shapes))
        kind = np.dtype(options.dtype)
        self._extents: list[int] = []  # positions of the arguments that are extents
        self._derived: Derived = {}
        self._checks: list[Check] = []
        self.gathers: list[GatherCheck] = []
        if compiled.has_arrays:
            sizes = {size.name for size in sizes_of(compiled.definition)}
            self._extents = [p for p, rank in enumerate(self.ranks) if not rank and self.names[p] in sizes]
            domains = Domains(compiled.definition)
            self._derived = domains.derived
            self._checks, self.gathers = checks(compiled.definition, domains)
        self.wanted = [  # of each input: the dtype that the compiled code takes, None for an extent
            None if position in self._extents else np.dtype(np.int64) if position in graph.integers else kind
            for position in range(len(self.names))
        ]
        self._known: dict[Any, Shapes] = {}
        self._passed = PassedTables()

    # --- by position and by name --------------------------------------------------------------------------------------

    def ordered(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> Sequence[Any]:
        """The values of a call in the order of the arguments. Raises TypeError where some are missing or too many."""
        if not named and len(args) == len(self.names):
            return args
        if len(args) > len(self.names):
            raise TypeError(f"{len(args)} arguments for {self._compiled.signature()}")
        values = dict(enumerate(args))
        for name, value in named.items():
            position = self._positions[name] if name in self._positions else by_name(self._compiled.args, name, "args")
            if position in values:
                raise TypeError(f"two values for {name!r} in a call of {self._compiled.signature()}")
            values[position] = value
        if len(values) < len(self.names):
            missing = [name for position, name in enumerate(self.names) if position not in values]
            is_vector = len(args) == 1 and not named and np.ndim(args[0]) == 1
            way_out = "; of one vector, as scipy.optimize gives it, take kernel.objective()" if is_vector else ""
            raise TypeError(f"missing {', '.join(missing)} in a call of {self._compiled.signature()}{way_out}")
        return [values[position] for position in range(len(self.names))]

    def position(self, key: Any) -> int:
        """Where an argument stands, given as a symbol or by name."""
        args = self._compiled.args
        if isinstance(key, str):
            return by_name(args, key, "args")
        if key in args:
            return args.index(key)
        raise ValueError(f"{key!r} is not in args: {', '.join(self.names)}")

    # --- as what compiled code takes ----------------------------------------------------------------------------------

    def points(self, values: Sequence[Any]) -> list[Any]:
        """The arguments of a kernel over points: of any real dtype, as they are converted a chunk at a time."""
        return host.real_arrays(values, self.names)

    def arrays(self, values: Sequence[Any]) -> list[Any]:
        """The arguments of a kernel over arrays: numbers, and contiguous arrays of the wanted dtype."""
        return [
            value
            if type(value) is np.ndarray and value.dtype is wanted and value.flags.carray and value.ndim >= rank > 0
            else self.array(position, value)
            for position, (value, wanted, rank) in enumerate(zip(values, self.wanted, self.ranks, strict=True))
        ]

    def array(self, position: int, value: Any) -> Any:
        """One of them, converted only where it has to be."""
        name, rank, wanted = self.names[position], self.ranks[position], self.wanted[position]
        if wanted is None:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                batch = ", the same for a whole batch," if np.ndim(value) else ""
                raise TypeError(f"{name} is an extent: a number of elements{batch} wanted, not {value!r}")
            return int(value)
        if not rank and type(value) is float:
            return value
        array = np.asarray(value)
        array = _integers(array, name) if wanted.kind == "i" else host.real_arrays([value], [name])[0]
        if not rank:
            return np.asarray(array, np.float64 if wanted.kind == "f" else wanted) if array.ndim else array.item()
        array = np.ascontiguousarray(array, wanted).reshape(array.shape)
        return array if array.flags.carray else host.writeable_view(array)

    def one_point(self, values: Sequence[Any], what: str) -> list[Any]:
        """One instance, on the host: numbers, and arrays of their own rank. TypeError where there is a batch."""
        values = [self._on_host(value) for value in values]
        if self._compiled.has_arrays:
            values = self.arrays(values)
        for name, rank, value in zip(self.names, self.ranks, values, strict=True):
            if np.ndim(value) > rank:
                raise TypeError(f"{name} is an array of shape {np.shape(value)}: {what} is of one point")
            if isinstance(value, (complex, np.complexfloating)):
                raise TypeError(f"{name} is complex: real numbers wanted")
        return values if self._compiled.has_arrays else [float(value) for value in values]

    # --- what the shapes say ------------------------------------------------------------------------------------------

    def shapes_of_points(self, arrays: Sequence[Any]) -> Shapes:
        """The shapes of a call over points. Raises ShapeError."""
        batch = broadcast(self.names, [tuple(array.shape) for array in arrays], "arguments")
        targets = self._compiled.results.targets
        outputs = tuple([batch + own.lead for own in targets])
        check_memory([own.name for own in targets], outputs, np.dtype(self._compiled.options.dtype).itemsize)
        return Shapes(batch, ((),) * len(targets), outputs, {}, 1, [])

    def shapes_of(self, arrays: Sequence[Any]) -> Shapes:
        """What follows from the shapes of a call over arrays, known from before or not; and its indices are checked."""
        key = tuple([array if type(array) is int else getattr(array, "shape", ()) for array in arrays])
        shapes = self._known.get(key)
        if shapes is None:
            shapes = self._new_shapes(arrays)
            if len(self._known) < _KNOWN_SHAPES:
                self._known[key] = shapes
        for gather in shapes.gathers:
            if gather.source is not None:
                self._check_gather(gather, arrays, shapes)
        computed = [gather for gather in shapes.gathers if gather.source is None]
        tables = [arrays[position] for position in shapes.tables or ()]
        if computed and (shapes.tables is None or not self._passed.have(shapes, tables)):
            for gather in computed:
                self._check_gather(gather, arrays, shapes)
            if shapes.tables is not None:
                self._passed.keep(shapes, tables)
        return shapes

    def extents_of(self, found: Mapping[int, Any]) -> dict[str, int]:
        """The extents that some arguments determine: of each, by position, its shape, or the extent that it is.

        Raises ShapeError where they do not agree.
        """
        rest = [position for position in found if position not in self._extents]
        given = {self.names[position]: int(found[position]) for position in found if position in self._extents}
        names, shapes = [self.names[position] for position in rest], [self.shapes[position] for position in rest]
        return bind(names, shapes, [found[position] for position in rest], given)

    def shape_or_extent(self, position: int, value: Any) -> Any:
        """What an argument tells of the extents: its shape, or itself."""
        return value if position in self._extents else tuple(np.shape(value))

    def _new_shapes(self, arrays: Sequence[Any]) -> Shapes:
        """What follows from the shapes of a call alone. Raises ShapeError and IndexError."""
        given = {position: self.shape_or_extent(position, array) for position, array in enumerate(arrays)}
        leads = [()] * len(arrays)
        for position, rank in enumerate(self.ranks):
            if position not in self._extents and (not rank or self._compiled.options.batch):
                axes = max(0, len(given[position]) - rank)
                leads[position], given[position] = given[position][:axes], given[position][axes:]
        batch = broadcast(self.names, leads, "batches")
        if batch and self._compiled.options.sparse:
            raise ShapeError("a sparse matrix is of one instance, and here is a batch of them: call it for each")
        try:
            sizes = with_derived(self.extents_of(given), self._derived)
        except ShapeError as error:
            raise self._with_hint(error, given) from None
        for check in self._checks:
            bad, extent = check.outside(sizes), numeric(check.extent, sizes)
            if bad is not None:
                raise IndexError(
                    f"an index of axis {check.place} of {check.array} is {bad}, out of the bounds 0 .. {extent - 1} "
                    f"of its {extent} elements"
                )
        gathers: list[IndexInput] = []
        kept = [check for check in self.gathers if not is_empty(check.domain, sizes)]
        for own in (self._gather(check, sizes) for check in kept):
            same = (own.source, own.low, own.high)
            if own.source is None or same not in [(other.source, other.low, other.high) for other in gathers]:
                gathers.append(own)
        cells, outputs = [], []
        for target in self._compiled.results.targets:
            shape = _shape_of_value(self._compiled.graph, target.of, sizes)
            cells.append(sum((tuple(given[place]) for place in target.by), shape))
            # How long the data of a sparse matrix are is said by its pattern.
            outputs.append((0,) if target.is_data else batch + target.lead + cells[-1])
        names = [own.name for own in self._compiled.results.targets]
        check_memory(names, outputs, np.dtype(self._compiled.options.dtype).itemsize)
        largest = max([1, *(size_of(given[position]) for position, rank in enumerate(self.ranks) if rank)])
        read = {place for own in gathers if own.source is None for place in _inputs_of(own.check.view)}
        tables = tuple(sorted(read.difference(self._extents))) if read <= self._compiled.graph.integers else None
        return Shapes(batch, tuple(cells), tuple(outputs), sizes, largest, gathers, tables)

    def _with_hint(self, error: ShapeError, given: Mapping[int, Any]) -> ShapeError:
        """The error, with the way out where axes in front look like a batch."""
        more = [len(given[position]) > rank > 0 for position, rank in enumerate(self.ranks) if rank]
        if self._compiled.options.batch or not any(more):
            return error
        return ShapeError(
            f"{error}; arrays take a batch, in axes in front, where the kernel is compiled with batch=True"
        )

    def _gather(self, check: GatherCheck, sizes: Mapping[str, int]) -> IndexInput:
        """Which part of an integer input is used as an index, or that it has to be evaluated."""
        node, index = check.view.node, check.view.index
        source: tuple[int, tuple[slice, ...]] | None = None
        if node.gate.name == "input" and all(plain_axis(at) is not None for at in index):
            parts = []
            for at in index:
                bound = check.domain.bounds[at.axes[0]]
                assert bound is not None
                parts.append(slice(numeric(bound[0], sizes), numeric(bound[1], sizes) + 1))
            source = node.position, tuple(parts)
        return IndexInput(check, source, numeric(check.low, sizes), numeric(check.high, sizes))

    def _check_gather(self, gather: IndexInput, arrays: Sequence[Any], shapes: Shapes) -> None:
        check = gather.check
        for values in self._indices(gather, arrays, shapes):
            if not values.size:
                continue
            least, largest = self._index_range(values)
            if least < gather.low or largest > gather.high:
                bad = least if least < gather.low else largest
                of = f"axis {check.place} of {check.array}" if check.array else "a gathered axis"
                is_input = check.view.node.gate.name == "input"
                source = self.names[check.view.node.position] if is_input else "an index expression"
                raise IndexError(
                    f"{source} holds {bad}, an index of {of} out of the bounds {gather.low} .. {gather.high}"
                )

    def _indices(self, gather: IndexInput, arrays: Sequence[Any], shapes: Shapes) -> list[Any]:
        """The integers that an index takes: of a whole batch, or where they are computed of each of its items."""
        if gather.source is not None:
            position, parts = gather.source
            array = arrays[position]
            return [array[(slice(None),) * (array.ndim - len(parts)) + parts]]
        given = [self._on_host(array) for array in arrays]
        definition, check = self._compiled.definition, gather.check
        varies = any(np.ndim(given[position]) > self.ranks[position] for position in _inputs_of(check.view))
        readers = [per_item(array, rank, shapes.batch) for array, rank in zip(given, self.ranks, strict=True)]
        items = size_of(shapes.batch)
        evaluator = Evaluator(definition, [(check.view, check.domain)], Domains(definition))
        found = []
        for item in range(items if varies else min(items, 1)):
            values = [read(item) for read in readers]
            (indices,) = evaluator.floats(values, shapes.sizes)
            found.append(np.asarray(indices, np.int64))
        return found


def _shape_of_value(graph: Graph, of: int, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a value; entries that there are none of are an empty array, and no less."""
    value = graph.values[of]
    shape = tuple(numeric(extent, sizes) for extent in value.shape)
    for place, (extent, length) in enumerate(zip(value.shape, shape, strict=True)):
        if length < 0:
            known = {term.name: sizes[term.name] for term, _ in extent.terms if isinstance(term, Size)}
            where = ", ".join(f"{name} = {size}" for name, size in known.items())
            raise ShapeError(
                f"axis {place} of {graph.name_of(value)} has {extent} entries, which are {length} where {where}"
            )
    return shape


def _inputs_of(view: View) -> set[int]:
    """The inputs that a view is computed of, by position: those that its indices are read from as well."""
    nodes, stack = [], [view]
    while stack:
        read = stack.pop()
        nodes.append(read.node)
        stack += [index.view for index in read.index if isinstance(index, Gather)]
    return {node.position for node in reachable(nodes) if node.gate.name == "input"}


def _integers(array: Any, name: str) -> Any:
    if array.dtype.kind in "biu" or not array.size:
        return np.ascontiguousarray(array, np.int64).reshape(array.shape)
    raise TypeError(f"{name} holds indices: integers wanted, not {array.dtype}")
