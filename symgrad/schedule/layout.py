"""Where values are: names, arrays and their axes, and which axes are loops.

What is short, of known length and inside a loop over the data is written out; all other axes of an item stay loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import Affine, Element, Expression, Integer, Place, Read, Storage
from symgrad_codegen.reductions import REDUCTIONS

from ..analysis.checks import checks, passed
from ..analysis.domains import Domains
from ..errors import UnsupportedExpression
from ..graph.affine import Index, Size
from ..graph.graph import Graph, Output
from ..graph.node import AnyIndex, Gather, Node, Reduction, plain_axis
from .called import Called, size_names
from .constants import constants
from .integers import added, combined
from .items import Item, Key, Sink, is_leaf, is_matrix, is_reduction, own_axis
from .names import Names, identifier, merged
from .plan import UNROLLED, Plan
from .words import in_identifiers


class Rolled(NamedTuple):
    """A loop that stays one: what is the same here shares it."""

    key: Key  # the class of its axis
    occurrence: int  # which of that class it is in its item
    low: Index
    high: Index


@dataclass
class Location:
    """Where an item's values are: an array, and which of its axes each axis of the item is."""

    array: str
    order: tuple[int, ...]  # for each axis of the array, the item's own axis
    low: tuple[Index, ...]  # for each axis of the array, its first index


class Layout:
    """Names, and where values are. Nothing of it changes but `in_pass`, the pass that is being scheduled."""

    def __init__(self, graph: Graph, definition: Graph, inputs: list[str], names: Names, dtype: str) -> None:
        self.graph, self.definition, self.inputs, self.names, self.dtype = graph, definition, inputs, names, dtype
        self.plan = Plan(graph)
        domains = Domains(definition)
        self.plain_checks, self.gather_checks = checks(definition, domains)
        self.checks = passed(self.plain_checks, domains)
        self.input_names = dict(zip(inputs, definition.inputs, strict=True))  # by identifier the user's
        self.literals = constants(graph, np.dtype(dtype))
        self.size_names = size_names(graph, inputs, names, self.plan.domains.derived)
        self.sizes = {new: Size(old) for old, new in self.size_names.items()}
        self.output_names = {
            output: names.take(identifier(name)) for output, name in _derivative_names(graph, inputs).items()
        }
        self.storages: list[Storage] = []
        self.locations: dict[Item, Location] = {}
        self.kept_locations: dict[Node, Location] = {}  # of what is kept beyond its pass, all of it
        self.in_pass: int | None = None  # the pass that is being scheduled
        self._short: dict[Item, frozenset[int]] = {}
        self._long: dict[Item, dict[int, Rolled]] = {}
        self.scalars: dict[Node, str] = {}  # numbers that have a name of their own
        self.forward = below({output.view.node for output in graph.values})
        self.called = Called(graph, inputs, names, self.forward, self.plan.numbers, self.size_names)
        self.data_name = self.loop_name(self.plan.data, ()) if self.plan.data is not None else ""
        for sink in self.plan.sinks:
            if sink.output is not None:
                if sink.output not in self.output_names:
                    self.output_names[sink.output] = self.called.output(sink.output)
                self._place_sink(sink, self.output_names[sink.output])
        self._place_all()
        # Arrays that hold a block of the data only, and at which place.
        self.rows = {own.name: own.data for own in self.storages if own.data is not None}
        for node in self.plan.nodes:
            is_spelled = node.gate.name in FUNCTIONS or node.gate.name == "detached"
            if not is_spelled and not isinstance(node.attribute, Reduction) and not is_matrix(node):
                raise UnsupportedExpression(f"no target spells the gate {node.gate.name}")

    def local_name(self, node: Node, index: tuple[Place, ...]) -> str:
        """The name of a value at an index within the body of a nest."""
        location = self.locations.get(node)
        order = location.order if location is not None else (() if node in self.scalars else None)
        return self.called.local(node, index, order)

    def loop_name(self, key: Key, beside: Collection[str]) -> str:
        """The name of a loop along a class of axes, `beside` others."""
        return self.called.loop(key, self.plan.labels, beside)

    def affine(self, form: Index, at: Mapping[int, Place] = MappingProxyType({})) -> Affine:
        """An index expression in names of loops and extents, its axes at affine places."""
        terms: list[tuple[str, int]] = []
        offset = form.offset
        for term, factor in form.terms:
            if isinstance(term, Size):
                terms.append((self.size_name(term), factor))
                continue
            place = at[term]
            assert isinstance(place, Affine), "computed places are of whole indices"
            offset += factor * place.offset
            terms += [(name, factor * own) for name, own in place.terms]
        return Affine(merged(terms), offset)

    def size_name(self, size: Size) -> str:
        """The name of an extent; one that was derived since then gets one."""
        if size.name not in self.size_names:
            self.size_names[size.name] = self.names.take(size.name)
            self.sizes[self.size_names[size.name]] = size
        return self.size_names[size.name]

    def _place_all(self) -> None:
        plan = self.plan
        for sink in plan.sinks:
            self._place_in_output(sink)
        for node in plan.nodes:
            if node in plan.stored and node not in self.locations:
                self.called.result(node)
                self._place(node)
        for sink in plan.sinks:
            if sink.purpose != "output":
                wanted = "matrix" if sink.purpose == "argument" else f"all_{self.called.result(sink.view.node)}"
                name = self.names.take(wanted, counted=sink.purpose == "argument")
                self._place_sink(sink, name)
                self.storages.append(Storage(name, tuple(self._lengths(sink.domain.bounds)), None, plan.kind(sink)))
                if sink.purpose == "kept":
                    self.kept_locations[sink.view.node] = self.locations[sink]

    def _place_sink(self, sink: Sink, array: str) -> None:
        lows = tuple(bound[0] for bound in sink.domain.bounds if bound is not None)
        self.locations[sink] = Location(array, tuple(range(sink.rank)), lows)

    def _lengths(self, bounds: Iterable[tuple[Index, Index] | None]) -> list[Affine]:
        found = []
        for bound in bounds:
            assert bound is not None
            found.append(self.affine(bound[1].minus(bound[0]).plus(1)))
        return found

    def _place(self, node: Node) -> None:
        plan = self.plan
        if not self._is_array(node):
            self.scalars[node] = self.called.result(node)
            return
        axis_of_data = plan.data_axis(node) if plan.varies(node) else None
        order = [place for place in range(node.rank) if axis_of_data is None or own_axis(node, place) != axis_of_data]
        data = None
        if axis_of_data is not None:
            data = len(order)
            order.append(next(p for p in range(node.rank) if own_axis(node, p) == axis_of_data))
        bounds = plan.domains.own[node].bounds
        lengths = self._lengths(bounds[place] for place in order)
        self.storages.append(Storage(self.called.result(node), tuple(lengths), data, plan.kind(node)))
        lows = tuple(bound[0] for place in order if (bound := bounds[place]) is not None)
        if data is not None:  # indexed by the data itself, whatever is kept of it
            lows = (*lows[:data], Index(()))
        self.locations[node] = Location(self.called.result(node), tuple(order), lows)

    def _is_array(self, node: Node) -> bool:
        """Whether a stored value is in an array, if only of one entry; else it is a number with a name."""
        return bool(node.rank) or self.plan.varies(node) or is_matrix(node) or is_reduction(node)

    def _place_in_output(self, sink: Sink) -> None:
        """A sum over the data that one gradient is made of accumulates in the gradient itself."""
        plan = self.plan
        if sink.output is None or plan.varies(sink) or not sink.rank:
            return
        stack = [sink.view]
        while stack:
            view = stack.pop()
            node = view.node
            if is_leaf(node) or len(plan.readers[node]) != 1:
                continue
            if plan.reduces_data(node) and node not in self.locations:
                plain = [plain_axis(index) for index in view.index]
                bounds = plan.domains.own[node].bounds
                reads = {index for other, index in reach(plan, sink, is_product=False) if other is node}
                # Its axes are those of the gradient in another order, each from end to end; and no entry is read
                # once another one is written in its place, as in the sum of a matrix and its transpose.
                is_permuted = sorted(p for p in plain if p is not None) == list(range(sink.rank))
                if is_permuted and len(plain) == sink.rank and len(reads) == 1:
                    order = tuple(plain.index(place) for place in range(sink.rank))
                    if all(bounds[own] == sink.domain.bounds[place] for place, own in enumerate(order)):
                        array = self.locations[sink].array
                        self.locations[node] = Location(array, order, (Index(()),) * sink.rank)
                        self.called.results[node] = array
                        return
            elif node not in plan.stored and not is_reduction(node) and not node.is_guard:
                stack.extend(reversed(view.arguments))

    @cached_property
    def worded(self) -> Graph:
        """The graph in names that may stand in a comment."""
        return in_identifiers(self.graph, self.inputs)

    @cached_property
    def stored(self) -> dict[Node, tuple[str, tuple[int, ...]]]:
        """What has a name or an array, and in which order that has the axes."""
        arrays = {node: (place.array, place.order) for node, place in self.locations.items() if isinstance(node, Node)}
        return arrays | {node: (name, ()) for node, name in self.scalars.items()}

    def location_of(self, item: Item) -> Location:
        """Where a value is found: in its own pass in a block of the data, elsewhere in what was kept of it."""
        if item in self.kept_locations and self.plan.level[item] != self.in_pass:
            return self.kept_locations[item]
        return self.locations[item]

    def element(self, item: Item, index: tuple[Any, ...]) -> Expression:
        """A stored value at indices over loop names, to read or to write it: no other place subtracts first indices."""
        if item in self.scalars:
            return Read(self.scalars[item])
        place = self.location_of(item)
        found = [self._from(index[own], low) for own, low in zip(place.order, place.low, strict=True)]
        return Element(place.array, tuple(found) or (Affine(()),))

    def _from(self, at: Any, low: Index) -> Any:
        """An index counted from the first one of its axis."""
        back = self.affine(low.scaled(-1))
        if isinstance(at, Affine):
            return added([at, back])
        is_first = not back.terms and not back.offset
        return at if is_first else combined("add", [at if isinstance(at, Integer) else Integer(at), Integer(back)])

    def accumulates(self, item: Node) -> bool:
        """Whether the terms of a reduction arrive in different iterations of a loop."""
        if self.plan.reduces_data(item) or not item.reduction.is_plain:
            return True
        written_out = self.written_out(item)
        return any(
            axis not in written_out for axis in range(item.rank, item.loops) if axis != self.plan.data_axis(item)
        )

    def written_out(self, item: Item) -> frozenset[int]:
        """The axes that are written out: short, of known length, inside a loop over the data."""
        if item not in self._short:
            data = self.plan.data_axis(item)
            others = [own for own in range(item.loops) if own != data] if data is not None else []
            lengths = {own: self.plan.extent(item, own) for own in others}
            self._short[item] = frozenset(own for own, n in lengths.items() if n is not None and n <= UNROLLED)
        return self._short[item]

    def rolled(self, item: Item) -> Mapping[int, Rolled]:
        """The axes of an item that stay loops."""
        if item not in self._long:
            self._long[item] = self._find_rolled(item)
        return self._long[item]

    def _find_rolled(self, item: Item) -> dict[int, Rolled]:
        found: dict[int, Rolled] = {}
        seen: Counter[Key] = Counter()
        written_out = self.written_out(item)
        for own in range(item.loops):
            if own == self.plan.data_axis(item) or own in written_out:
                continue
            key = self.plan.class_of(item, own)
            found[own] = Rolled(key, seen[key], *self.plan.bounds(item, own))
            seen[key] += 1
        return found


def reach(plan: Plan, item: Item, *, is_product: bool) -> list[tuple[Node, tuple[AnyIndex, ...]]]:
    """The stored nodes of the pass that an item reads, through those that are not, and at which indices.

    `is_product` says whether it is made by BLAS, which reads the two factors.
    """
    found = []
    product = plan.products[item] if is_product and isinstance(item, Node) else None
    stack = list(product) if product else [*item.arguments, *item.gathered]
    while stack:
        view = stack.pop()
        if is_leaf(view.node):
            stack += [index.view for index in view.index if isinstance(index, Gather)]
            continue
        if view.node in plan.stored:
            found.append((view.node, view.index))
            stack += [index.view for index in view.index if isinstance(index, Gather)]
        else:
            stack += [
                *view.arguments,
                *(gathered.at(dict(enumerate(view.index))) for gathered in view.node.gathered),
            ]
    return found


def below(roots: Iterable[Node]) -> set[Node]:
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += node.sources
    return seen


def identity_of(node: Node) -> float:
    """What the terms of a reduction are joined to."""
    return REDUCTIONS[node.gate.name].start


def _derivative_names(graph: Graph, inputs: Sequence[str]) -> dict[Output, str]:
    """What derivatives are called; of several families in one block with the word that tells one from the others."""
    found = {output: graph.name_of(output, inputs) for output in graph.derivatives}
    if graph.pattern is not None:
        count = len(graph.pattern.families)
        for output, own in zip(graph.outputs[len(graph.outputs) - count :], graph.pattern.families, strict=True):
            found[output] += f"_{own.word}" if own.word else ""
    return found
