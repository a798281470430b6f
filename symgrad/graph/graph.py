"""What is computed: inputs and outputs, as views of one table."""

from __future__ import annotations

import gc
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Literal, NamedTuple, TypeVar

from ..tables import visible
from .affine import Index, Size, number_index
from .intern import InternTable
from .node import Gather, Node, Reduction, View, plain_axis
from .rebuild import read_after, rebuilt

T = TypeVar("T")

# The axes of an input, and of an output, of a scalar expression: as long as there are points to evaluate it at.
POINTWISE: tuple[Index, ...] = (Index(((Size("number of points"), 1),)),)


@dataclass(frozen=True, eq=False)
class Output:
    """A result: a view over axes 0 .. rank - 1, each of as many indices as its extent says, most often from 0 on.

    A derivative has the axes of its value, then those of each input that it is taken by. Over points all have the one
    axis of the points, and a derivative that is 0 everywhere is no output. Of a sparse derivative an output is a family
    of its entries, whose axes are loops: which entries these are is said by the graph's pattern.
    """

    view: View
    shape: tuple[Index, ...] = ()  # its extents, affine in symbolic sizes; () for a number
    by: tuple[int, ...] = ()  # of a derivative: the inputs that it is taken by, by position; () of a value
    of: int = 0  # of a derivative: which of the values it is one of
    name: str = ""  # of a value: what the user calls it, where there are several
    first: tuple[Index, ...] | None = None  # of a family of entries: the first index of each axis

    @property
    def role(self) -> Literal["value", "gradient", "hessian"]:
        """What it is: of a derivative how often it was differentiated."""
        return ("value", "gradient", "hessian")[len(self.by)]

    @property
    def bounds(self) -> tuple[tuple[Index, Index], ...]:
        """The first and the last index of each axis."""
        lows = (number_index(0),) * len(self.shape) if self.first is None else self.first
        return tuple((low, low.plus(extent).minus(1)) for low, extent in zip(lows, self.shape, strict=True))


class Located(NamedTuple):
    """Where the entries of one family are: in which block of rows and of columns."""

    row: int
    column: int
    is_mirrored: bool = False  # whether each also stands at its mirror image, of a symmetric matrix
    word: str = ""  # which of the block's families this is; empty where it has one, and where no word tells


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the entries of a sparse derivative are.

    Rows and columns come in blocks, those of an array in C order. The graph's values say it of each family of entries,
    one family after the other, over its loops: the indices of the row within its block, those of the column, and then
    what is 1 where there is an entry, and else 0.
    """

    graph: Graph
    rows: tuple[tuple[Index, ...], ...]  # the shapes of blocks
    columns: tuple[tuple[Index, ...], ...]
    families: tuple[Located, ...]  # one for each derivative of the graph that has this pattern, of the last ones

    def told(self) -> Iterator[tuple[Located, tuple[View, ...], tuple[View, ...], Output]]:
        """Of each family the indices of its rows, those of its columns, and what is 1 where there is an entry."""
        for own, row, column, there in self.by_family(self.graph.outputs):
            yield own, tuple(index.view for index in row), tuple(index.view for index in column), there

    def by_family(self, each: Iterable[T]) -> Iterator[tuple[Located, list[T], list[T], T]]:
        """What there is for each output of the graph as that of a family: for its rows, its columns, its entries."""
        rest = iter(each)
        for own in self.families:
            row, column = ([next(rest) for _ in shape] for shape in (self.rows[own.row], self.columns[own.column]))
            yield own, row, column, next(rest)


def views_of(outputs: Iterable[Output]) -> tuple[View, ...]:
    return tuple(output.view for output in outputs)


@dataclass(frozen=True, eq=False)
class Graph:
    """What is computed: inputs by name and outputs, as views of one table."""

    table: InternTable
    inputs: tuple[str, ...]  # their names as the user wrote them
    outputs: tuple[Output, ...]
    shapes: tuple[tuple[Index, ...], ...]  # the extents of each input, affine in symbolic sizes; of a number ()
    names: dict[Node, str] = field(default_factory=dict)  # the user's names for intermediate results
    adjoints: dict[Node, Node] = field(default_factory=dict)  # which node's adjoint a node is
    labels: dict[Node, tuple[str, ...]] = field(default_factory=dict)  # the user's names of a reduction's loop axes
    integers: frozenset[int] = frozenset()  # positions of inputs that hold integers: labels, tables of indices
    # Extents that are the larger ("max") or smaller ("min") of two affine forms, in the order in which they depend.
    derived: dict[str, tuple[str, Index, Index]] = field(default_factory=dict)
    pattern: Pattern | None = None  # of a sparse derivative

    @property
    def over_points(self) -> bool:
        """Whether this is a graph of scalars: its nodes have one axis, that of the points at which it is evaluated."""
        return self.outputs[0].shape == POINTWISE

    @cached_property
    def values(self) -> tuple[Output, ...]:
        return tuple(output for output in self.outputs if not output.by)

    @cached_property
    def derivatives(self) -> tuple[Output, ...]:
        return tuple(output for output in self.outputs if output.by)

    @cached_property
    def is_gradient(self) -> bool:
        """Whether there is one value, and no derivative but those of first order."""
        return len(self.values) == 1 and all(len(output.by) == 1 for output in self.derivatives)

    @cached_property
    def wrt(self) -> tuple[int, ...]:
        """The inputs that something is differentiated by, by position."""
        return tuple(dict.fromkeys(position for output in self.derivatives for position in output.by))

    def with_values(self, views: Iterable[View]) -> Graph:
        """The same inputs with these numbers as values, and no gradients."""
        shape = POINTWISE if self.over_points else ()
        return replace(self, outputs=tuple(Output(view, shape) for view in views), adjoints={})

    @property
    def views(self) -> tuple[View, ...]:
        """What the outputs are views of, in their order."""
        return views_of(self.outputs)

    def order(self) -> list[Node]:
        """The nodes that the outputs need, arguments first: one list for all who ask."""
        return self._order

    @cached_property
    def _order(self) -> list[Node]:
        return reachable(view.node for view in self.views)

    @cached_property
    def forward(self) -> frozenset[Node]:
        """The nodes that the values need; the others are there for the gradients alone."""
        return frozenset(reachable(output.view.node for output in self.values))

    def compact(self) -> Graph:
        """The same graph in a table of its own, numbered so that arguments stand right before their readers."""
        table = InternTable(self.table.gates)
        views: dict[Node, View] = {}
        asked: set[Node] = set()  # nodes whose sources have been put before them
        stack = [view.node for view in reversed(self.views)]
        while stack:
            node = stack[-1]
            if node in views:
                stack.pop()
            elif node in asked or not node.arguments:
                views[node] = rebuilt(table, node, views)
                stack.pop()
            else:
                asked.add(node)
                stack += [edge.node for edge in reversed(node.gathered)]
                stack += [edge.node for edge in reversed(node.arguments)]
        return replace(self.rebuilt(views), table=table)

    def rebuilt(self, views: dict[Node, View]) -> Graph:
        """The same graph with every node replaced by a view: what a pass returns."""
        outputs = []
        for output in self.outputs:
            view = read_after(views, output.view)
            if not self.over_points:
                is_entry = not output.by and not output.shape
                is_gathered = any(isinstance(index, Gather) for index in view.index)
                view = as_node(view) if is_entry or is_gathered else view
            outputs.append(output if view is output.view else replace(output, view=view))
        return replace(
            self,
            outputs=tuple(outputs),
            names={
                views[node].node: name
                for node, name in self.names.items()
                if node in views and _permuted(views[node], node.rank) is not None
            },
            adjoints={
                views[node].node: views[of].node for node, of in self.adjoints.items() if node in views and of in views
            },
            labels=_labels_after(self, views) if self.labels else {},
        )

    def __str__(self) -> str:
        """A node a line: inputs and named results by the user's names; of arrays how many axes each node has."""
        lines = [f"%{node.number} = {self._said(node)}{self._noted(node)}" for node in self.order()]
        for output in self.outputs:
            lines.append(f"{self.name_of(output)} {output.view}")
        return "\n".join(lines)

    def shape_of(self, of: int, by: Sequence[int]) -> tuple[Index, ...]:
        """The shape of a derivative of a value by some inputs."""
        if self.over_points:
            return POINTWISE
        return sum((self.shapes[position] for position in by), self.values[of].shape)

    def name_of(self, output: Output, inputs: Sequence[str] = ()) -> str:
        """What an output is called: value, d_x, d_x_y; where there are several values d_force_x, or d_2_x.

        `inputs` are the names of the inputs, where these are to be others than the user's.
        """
        values = self.values
        if not output.by:
            return visible(output.name) or ("value" if len(values) == 1 else f"value_{values.index(output) + 1}")
        value = [] if len(values) == 1 else [visible(values[output.of].name) or str(output.of + 1)]
        by = [inputs[position] if inputs else visible(self.inputs[position]) for position in output.by]
        return "_".join(["d", *value, *by])

    def _said(self, node: Node) -> str:
        if node.gate.name == "input":
            extents = () if self.over_points else self.shapes[node.position]
            shape = f"[{', '.join(map(str, extents))}]" if extents else ""
            return f"input {visible(self.inputs[node.position])}{shape}"
        if node.gate.name in ("constant", "size"):
            return f"{node.gate.name} {node.attribute.name if isinstance(node.attribute, Size) else node.attribute}"
        return repr(node).split(" = ", 1)[1]

    def _noted(self, node: Node) -> str:
        notes = [visible(self.names[node])] if node in self.names else []
        of = self.adjoints.get(node)
        notes += [f"adjoint of %{of.number}"] if of is not None else []
        if not self.over_points and node.rank and node.gate.name != "input":
            notes.append(f"{node.rank} {'axis' if node.rank == 1 else 'axes'}")
        return f"  # {', '.join(notes)}" if notes else ""


def _permuted(view: View, rank: int) -> tuple[int, ...] | None:
    """For each axis of the node that a view reads the axis that it is read along, where these are all of the view's."""
    axes = tuple(axis for axis in map(plain_axis, view.index) if axis is not None)
    return axes if len(view.index) == len(axes) == len(set(axes)) == rank else None


def _labels_after(graph: Graph, views: dict[Node, View]) -> dict[Node, tuple[str, ...]]:
    """The labels of the nodes that replaced those with labels: their axes may stand in another order.

    An axis that is reduced is known again by what is read along it.
    """
    found: dict[Node, tuple[str, ...]] = {}
    labelled = {node: views[node] for node in graph.labels if node in views}
    before = _read_along(labelled)
    after = _read_along(view.node for view in labelled.values())
    for node, view in labelled.items():
        names, axes = graph.labels[node], _permuted(view, node.rank)
        if axes is not None and view.node.loops == len(names):
            kept = tuple(names[axis] for axis in axes)
            reduced = range(node.rank, node.loops)
            rest = list(reduced)
            for axis in reduced:
                same = [other for other in rest if before[node][other] == after[view.node][axis]]
                rest.remove(other := (same or rest)[0])
                kept += (names[other],)
            found.setdefault(view.node, kept)
    return found


def _read_along(roots: Iterable[Node]) -> dict[Node, list[frozenset[tuple[int, int]]]]:
    """Which axes of which inputs are read along the loop axes of nodes, and of those that they need."""
    found: dict[Node, list[frozenset[tuple[int, int]]]] = {}
    for node in reachable(roots):
        if node.gate.name == "input":
            found[node] = [frozenset([(node.position, place)]) for place in range(node.rank)]
            continue
        along: list[set[tuple[int, int]]] = [set() for _ in range(node.loops)]
        for source, index in node.arguments:
            for place, at in enumerate(index):
                for axis in at.axes:
                    along[axis] |= found[source][place]
        found[node] = list(map(frozenset, along))
    return found


def as_node(value: View) -> View:
    """A value as a node of its own, also where it is one entry of another, or some that are gathered.

    So the entry is read like any other: its index is checked, and the adjoint that goes back to it is that entry's.
    """
    table = value.node.table
    return table.reduce(table.gates["sum"], value, (), ()) if value.index else value


def sizes_of(graph: Graph) -> set[Size]:
    """The symbolic extents that a graph speaks of."""
    if graph.over_points:
        return set()
    shapes = (*graph.shapes, *(output.shape for output in graph.outputs))
    forms = [form for shape in shapes for form in shape]
    forms += [form for output in graph.outputs for form in output.first or ()]
    found = set()
    for node in graph.order():
        if node.gate.name == "size":
            found.add(node.size)
        if isinstance(node.attribute, Reduction):
            forms += node.attribute.constraints
        elif node.loops != node.rank:  # the lengths of whole arrays
            forms += node.extents
        forms += [
            index for edge in (*node.arguments, *node.gathered) for index in edge.index if isinstance(index, Index)
        ]
    return found | {term for form in forms for term, _ in form.terms if isinstance(term, Size)}


def reachable(roots: Iterable[Node]) -> list[Node]:
    """The nodes that `roots` need, arguments first (creation order), found without recursion."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        for edge in (*node.arguments, *node.gathered) if node.gathered else node.arguments:
            if edge.node not in seen:
                seen.add(edge.node)
                stack.append(edge.node)
    return sorted(seen, key=attrgetter("number"))


def operations(nodes: Iterable[Node]) -> int:
    """The number of operations: a sum of n terms has n - 1."""
    return sum(max(1, len(node.arguments) - 1) if node.gate.commutative else 1 for node in nodes)


def between(root: Node, known: Container[Node]) -> list[Node]:
    """The nodes that `root` needs beside those that are known, arguments first."""
    seen: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in seen and node not in known:
            seen.add(node)
            stack.extend(edge.node for edge in node.arguments)
    return sorted(seen, key=attrgetter("number"))


@contextmanager
def no_collection() -> Iterator[None]:
    """Building a graph makes many objects and no garbage: the collector would walk all of them, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def over_points(
    table: InternTable,
    inputs: Sequence[str],
    values: Sequence[View],
    names: dict[Node, str] | None = None,
    output_names: Sequence[str] = (),
) -> Graph:
    """The graph of scalar expressions of numbers: `values` are views over the one axis of the points."""
    called = output_names or [""] * len(values)
    outputs = tuple(Output(view, POINTWISE, name=name) for view, name in zip(values, called, strict=True))
    return Graph(table, tuple(inputs), outputs, (POINTWISE,) * len(inputs), names or {})
