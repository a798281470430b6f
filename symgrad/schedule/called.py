"""What everything in a program is called: results, values within a nest, loops, extents; no two things alike."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

from symgrad_codegen.program import Affine, Place
from symgrad_codegen.text.expressions import affine_text

from ..graph.affine import Size
from ..graph.formula import entry_text
from ..graph.graph import Graph, Output, sizes_of
from ..graph.node import Node, View, plain_axis, positional
from .items import Key, is_leaf
from .names import Names, identifier, input_names
from .nouns import Nouns
from .words import in_identifiers

_LETTERS = "ijklpqrstuv"  # of loops that the user has not named


class Called:
    """The names of one program, handed out as they are asked for.

    `values` are the values that are numbers, or numbers at each point, and how they are called: these and what the user
    has named have their names from the start. `sizes` are the names of extents.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[str],
        names: Names,
        forward: Container[Node],
        values: Mapping[Node, str],
        sizes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.graph, self.names = graph, names
        self.nouns = Nouns(graph, inputs, forward)
        self.results: dict[Node, str] = {}  # the user's, the gradient that it is, what it is
        self._inputs, self._values = inputs, graph.values
        self._derivatives = {own.view.node: own for own in reversed(graph.derivatives) if _is_whole(own)}
        self._local: dict[tuple[Node, tuple[str, ...]], str] = {}
        self._local_names: set[str] = set()
        self._loops: set[str] = set()
        self._conditions: dict[tuple[tuple[Affine, ...], bool], str] = {}
        self._arrays: dict[int, str] = {}  # by position: what the arrays of values are called
        self._sizes = sizes
        # Of each family of entries the indices of its rows and of its columns.
        self._entries: dict[Output, tuple[tuple[View, ...], tuple[View, ...]]] = {}
        if graph.pattern is not None:
            families = graph.outputs[len(graph.outputs) - len(graph.pattern.families) :]
            told = graph.pattern.told()
            self._entries = {own: (row, column) for own, (_, row, column, _) in zip(families, told, strict=True)}
        # Where an array is just what the user has named, it has the name, and one of its entries another.
        whole = {own.view.node for own in graph.values if own.shape and not graph.over_points and _is_positional(own)}
        for node, name in {**values, **graph.names}.items():
            if not is_leaf(node):
                self.results[node] = names.take(identifier(name) + ("_here" if node in whole else ""))

    def result(self, node: Node) -> str:
        """What the result of a node is called."""
        if node not in self.results:
            self.results[node] = self.names.take(*self.nouns.of(node, self.results))
        return self.results[node]

    def output(self, output: Output) -> str:
        """What the array of a value is called: its own name, or the user's, where the value is just what that is of."""
        name = output.name or (self.graph.names.get(output.view.node, "") if _is_positional(output) else "")
        taken = self.names.take(identifier(name or self.graph.name_of(output)))
        if not output.by:
            self._arrays[self._values.index(output)] = taken
        return taken

    def derivative(self, node: Node, index: Sequence[Place] = ()) -> str:
        """What a node is, at an index: a derivative, or the adjoint of what the user has named; else empty."""
        if node in self.nouns.forward:
            return ""
        of, output = self.graph.adjoints.get(node), self._derivatives.get(node)
        if output is not None:
            axes = [plain_axis(own) for own in output.view.index]
            return self.quotient(output, {axis: at for axis, at in zip(axes, index, strict=False) if axis is not None})
        return self.derivative_by(self.results[of]) if of is not None and of in self.graph.names else ""

    def quotient(self, output: Output, at: Mapping[int, Place] = MappingProxyType({})) -> str:
        """The words for a derivative, of a family for its entries at some indices of its loops; none for a value."""
        letters = [affine_text(place) for axis in range(len(output.shape)) if isinstance(place := at.get(axis), Affine)]
        if output in self._entries and len(letters) == len(output.shape):
            return self._entry(output, letters)
        return self.derivative_by(*(self._inputs[position] for position in output.by), of=output.of)

    def _entry(self, output: Output, letters: Sequence[str]) -> str:
        """d g[i] / d x[at[i]], d2 f / d x[i] d x[i + 1]."""
        rows, columns = self._entries[output]
        worded = self._pattern_in_words
        *first, by = [self._inputs[position] for position in output.by]
        column = entry_text(by, columns, letters, worded, self._sizes)
        value = self._arrays.get(output.of) or self.results.get(self._values[output.of].view.node, "value")
        if first:
            return f"d2 {value} / d {entry_text(first[0], rows, letters, worded, self._sizes)} d {column}"
        return f"d {entry_text(value, rows, letters, worded, self._sizes)} / d {column}"

    @cached_property
    def _pattern_in_words(self) -> Graph:
        assert self.graph.pattern is not None, "families have a pattern"
        return in_identifiers(self.graph.pattern.graph, self._inputs)

    def derivative_by(self, *by: str, of: int = 0) -> str:
        """The words for a derivative of a value: d f / d x, d2 f / (d x d y); none for that by nothing."""
        value = self._arrays.get(of) or self.results.get(self._values[of].view.node, "value")
        below = " ".join(f"d {name}" for name in by if name)
        return "" if not below else f"d {value} / {below}" if len(by) == 1 else f"d{len(by)} {value} / ({below})"

    def local(self, node: Node, index: Sequence[Place], order: Sequence[int] | None) -> str:
        """The name of a value at an index within the body of a nest, the same in all nests.

        Where its name is that of an array or a number of the program, its indices are a part of it, in the `order` in
        which that has its axes; None where it is no such.
        """
        key = node, tuple(map(repr, index))
        if key not in self._local:
            name = self.result(node)
            places = [index[axis] for axis in (range(len(index)) if order is None else order)]
            terms = [at for at in places if isinstance(at, Affine)]
            numbers = [str(at.offset) for at in terms if not at.terms and at.offset >= 0]
            loops = [at.terms[0][0] for at in terms if len(at.terms) == 1 and at.terms[0][1] == 1 and not at.offset]
            if numbers:
                name = self.names.take(f"{name}_{'_'.join(numbers)}")
            elif order is not None and loops:
                name = self.names.take(f"{name}_{('' if max(map(len, loops)) == 1 else '_').join(loops)}")
            elif order is not None or name in self._local_names:
                name = self.names.take(f"{name}_here")
            self._local[key] = name
            self._local_names.add(name)
        return self._local[key]

    def condition(self, limits: tuple[Affine, ...], is_number: bool) -> str:
        """The name of the condition that affine integers are >= 0, the same in all nests; a number has its own."""
        key = limits, is_number
        if key not in self._conditions:
            self._conditions[key] = self.names.take("inside")
        return self._conditions[key]

    def loop(self, key: Key, labels: Mapping[Key, str], beside: Collection[str]) -> str:
        """The name of a loop along a class of axes, `beside` others: the user's for that index, where one is known."""
        label = labels.get(key)
        wanted = [identifier(label)] if label else []
        name: str
        for name in (*wanted, *_LETTERS):
            if name not in beside and (name in self._loops or name not in self.names.taken):
                self._loops.add(name)
                self.names.taken.add(name)
                return name
        last = self.names.take(wanted[0] if wanted else "index")
        self._loops.add(last)
        return last


def _is_positional(output: Output) -> bool:
    """Whether an output is a node as it stands."""
    return output.view == positional(output.view.node)


def _is_whole(derivative: Output) -> bool:
    """Whether a derivative is a node as it stands, if with its axes in another order."""
    axes = {plain_axis(index) for index in derivative.view.index} - {None}
    return len(axes) == len(derivative.shape) == derivative.view.node.rank


def size_names(graph: Graph, inputs: Sequence[str], names: Names, derived: Collection[str]) -> dict[str, str]:
    """The names of extents: the user's; for those without one, and for `derived` ones, some of our own."""
    found: dict[str, str] = {}
    for position, shape in enumerate(graph.shapes):
        for axis, extent in enumerate(shape):
            for term, _ in extent.terms:
                assert isinstance(term, Size), "extents are affine in symbolic sizes"
                if ".shape[" in term.name:
                    found.setdefault(term.name, names.take(f"{inputs[position]}_length_{axis + 1}"))
    given = dict(zip(graph.inputs, inputs, strict=True))
    for size in sorted(sizes_of(graph)):
        if size.name not in found and size.name not in derived:
            is_given = size.name in given and not graph.shapes[graph.inputs.index(size.name)]
            found[size.name] = given[size.name] if is_given else input_names([size.name], names.taken)[0][0]
            names.taken.add(found[size.name])
    for name in derived:
        found[name] = names.take(name)
    return found
