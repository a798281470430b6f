"""Scheduling of arrays: from a graph to passes, nests of loops and products of matrices.

Within a pass, what has the same loops and reads each other at the same place shares a nest, so that a value goes from
one statement to the next in a register; a reduction is finished before its readers start. Short axes of known length
are written out inside. What does not vary along the data stands before, between and after the passes.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from symgrad_codegen.array_program import (
    ArrayProgram,
    Extent,
    Fill,
    Input,
    LoopRange,
    Matrix,
    Nest,
    Operand,
    Pass,
    Product,
    Step,
    Storage,
)
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import Affine, Element, Expression, Integer, Read

from .array_gates import EMPTY
from .domains import Domain, passed
from .errors import UnsupportedExpression
from .formula import formulas
from .graph import AnyIndex, Gather, Graph, Index, Node, Reduction, Size, plain_axis, sizes_of
from .integers import combined, sum_of
from .naming import Names, input_names, merged
from .nests import NestBuilder
from .plan import UNROLLED, Item, Plan, Sink, is_guard, is_leaf, is_matrix, is_reduction, own_axis
from .schedule import NOUNS, constants, operations, words_of

# More running sums than this in one loop do not fit into registers: the next node starts a loop of its own.
_ACCUMULATORS = 14

_FORMULA = 300  # characters of the expression in the docstring
_COMMENT, _TERM = 110, 40  # of a comment, and of one formula in it

# A loop that stays one: the class of its axis, which of that class it is in its item, and its bounds.
Rolled = tuple[Any, int, Index, Index]


@dataclass
class Place:
    """Where an item's values are: an array, and which of its axes each axis of the item is."""

    array: str
    order: tuple[int, ...]  # for each axis of the array, the item's own axis
    low: tuple[Index, ...]  # for each axis of the array, its first index


@dataclass
class Group:
    """Items of one pass that share a nest, or a single product of matrices."""

    is_product: bool
    loops: frozenset[Rolled]
    items: list[Item] = field(default_factory=list)
    sums: int = 0  # running sums that it keeps


def schedule_arrays(
    graph: Graph,
    *,
    definition: Graph,
    name: str = "kernel",
    dtype: str = "float64",
    accuracy: str = "fast",
    reserved: Iterable[str] = (),
) -> ArrayProgram:
    """The program that computes `graph`; arguments as for `schedule`."""
    inputs, names = input_names(graph.inputs, [*reserved, *words_of(graph), name])
    return Scheduler(graph, definition, inputs, names, dtype).program(name, accuracy)


class Scheduler:
    """The state of one scheduling: names, and where values are."""

    def __init__(self, graph: Graph, definition: Graph, inputs: list[str], names: Names, dtype: str) -> None:
        self.graph, self.definition, self.inputs, self.names, self.dtype = graph, definition, inputs, names, dtype
        self.plan = Plan(graph)
        self.checks = passed(definition)
        self.literals = constants(graph, np.dtype(dtype))
        self.size_names = self._name_sizes()
        self.gradient_names = [names.take(f"d_{inputs[position]}") for position in graph.wrt]
        self.storages: list[Storage] = []
        self.places: dict[Item, Place] = {}
        self.kept_places: dict[Node, Place] = {}  # of what is kept beyond its pass, all of it
        self.in_pass: int | None = None  # the pass that is being scheduled
        self.span: tuple[Index, Index] | None = None  # of the data that it runs over
        self._short: dict[Item, frozenset[int]] = {}
        self._long: dict[Item, dict[int, Rolled]] = {}
        self.scalars: dict[Node, str] = {}  # numbers that have a name of their own
        self.forward = _under({view.node for view in graph.values})
        self.base = {node: self._base_name(node) for node in self.plan.nodes if node in self.plan.stored}
        self.axis_names: dict[Any, str] = {}
        self.data_name = self._axis_name(self.plan.data, 0) if self.plan.data is not None else ""
        gradients = [sink for sink in self.plan.sinks if sink.purpose == "gradient"]
        for sink, array in zip(gradients, self.gradient_names, strict=True):
            self._place_sink(sink, array)
        self.texts = formulas([view.node for view in graph.outputs], inputs, self.base, _TERM, self.base)
        self._place_all()
        # Arrays that hold a block of the data only, and at which place.
        self.rows = {own.name: own.data for own in self.storages if own.data is not None}
        for node in self.plan.nodes:
            is_spelled = node.gate.name in FUNCTIONS or node.gate.name == "detached"
            if not is_spelled and not isinstance(node.attribute, Reduction) and not is_matrix(node):
                raise UnsupportedExpression(f"no target spells the gate {node.gate.name}")

    # --- names --------------------------------------------------------------------------------------------------------

    def _name_sizes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for position, shape in enumerate(self.graph.shapes or ()):
            for place, extent in enumerate(shape):
                for term, _ in extent.terms:
                    assert isinstance(term, Size)
                    if ".shape[" in term.name:
                        found.setdefault(term.name, self.names.take(f"{self.inputs[position]}_length_{place + 1}"))
        given = dict(zip(self.graph.inputs, self.inputs, strict=True))
        for size in sorted(sizes_of(self.graph)):
            if size.name not in found and size.name not in self.plan.domains.derived:
                is_given = size.name in given and not (self.graph.shapes or ())[self.graph.inputs.index(size.name)]
                found[size.name] = given[size.name] if is_given else input_names([size.name], self.names.taken)[0][0]
                self.names.taken.add(found[size.name])
        for name in self.plan.domains.derived:
            found[name] = self.names.take(name)
        return found

    def _base_name(self, node: Node) -> str:
        """What a stored value is called: the user's name, else what it is."""
        if node in self.graph.names:
            return self.names.take(input_names([self.graph.names[node]], ())[0][0])
        if node is self.plan.value:
            return self.names.take("value")
        of = self.graph.adjoints.get(node)
        if of is not None and of in self.graph.names:
            return self.names.take(f"d_{self.graph.names[of]}")
        return self.names.take(_STORED.get(node.gate.name, node.gate.name), counted=True)

    def _axis_name(self, key: Any, occurrence: int) -> str:
        """The name of a loop: the user's for that index, where one is known."""
        if (key, occurrence) not in self.axis_names:
            wanted = None
            if occurrence == 0:
                for item in self.plan.nodes:
                    labels = self.graph.labels.get(item)
                    for place, label in enumerate(labels or ()):
                        if label and place < item.loops and self.plan.class_of(item, place) == key:
                            wanted = wanted or input_names([label], ())[0][0]
            if wanted is None:
                wanted = next((name for name in "ijklpqrstuv" if name not in self.names.taken), "index")
            self.axis_names[key, occurrence] = self.names.take(wanted)
        return self.axis_names[key, occurrence]

    # --- index expressions --------------------------------------------------------------------------------------------

    def affine(self, form: Index, names: dict[int, Affine] | None = None) -> Affine:
        """An index expression in names of loops and extents."""
        terms: list[tuple[str, int]] = []
        offset = form.offset
        for term, factor in form.terms:
            inner = Affine(((self.size_names[term.name], 1),)) if isinstance(term, Size) else (names or {})[term]
            offset += factor * inner.offset
            terms += [(name, factor * own) for name, own in inner.terms]
        return Affine(merged(terms), offset)

    # --- where values are ---------------------------------------------------------------------------------------------

    def _place_all(self) -> None:
        plan = self.plan
        for sink in plan.sinks:
            self._place_in_output(sink)
        for node in plan.nodes:
            if node in plan.stored and node not in self.places:
                self._place(node)
        for sink in plan.sinks:
            if sink.purpose != "gradient":
                wanted = "matrix" if sink.purpose == "argument" else f"all_{self.base[sink.view.node]}"
                name = self.names.take(wanted, counted=sink.purpose == "argument")
                self._place_sink(sink, name)
                self.storages.append(Storage(name, tuple(self._lengths(sink.domain.bounds)), None, plan.kind(sink)))
                if sink.purpose == "kept":
                    self.kept_places[sink.view.node] = self.places[sink]

    def _place_sink(self, sink: Sink, array: str) -> None:
        lows = tuple(bound[0] for bound in sink.domain.bounds if bound is not None)
        self.places[sink] = Place(array, tuple(range(sink.rank)), lows)

    def _lengths(self, bounds: Iterable[tuple[Index, Index] | None]) -> list[Affine]:
        found = []
        for bound in bounds:
            assert bound is not None
            found.append(self.affine(bound[1].minus(bound[0]).plus(1)))
        return found

    def _place(self, node: Node) -> None:
        plan = self.plan
        if not node.rank and not plan.varies(node) and not is_matrix(node) and not is_reduction(node):
            self.scalars[node] = self.base[node]
            return
        axis_of_data = plan.data_axis(node) if plan.varies(node) else None
        order = [place for place in range(node.rank) if axis_of_data is None or own_axis(node, place) != axis_of_data]
        data = None
        if axis_of_data is not None:
            data = len(order)
            order.append(next(p for p in range(node.rank) if own_axis(node, p) == axis_of_data))
        bounds = plan.domains.own[node].bounds
        lengths = self._lengths(bounds[place] for place in order)
        self.storages.append(Storage(self.base[node], tuple(lengths), data, plan.kind(node)))
        lows = tuple(bounds[place][0] for place in order)  # type: ignore[index]
        if data is not None:  # indexed by the data itself, whatever is kept of it
            lows = (*lows[:data], Index(()))
        self.places[node] = Place(self.base[node], tuple(order), lows)

    def _place_in_output(self, sink: Sink) -> None:
        """A sum over the data that one gradient is made of accumulates in the gradient itself."""
        plan = self.plan
        if sink.input is None or plan.varies(sink) or not sink.rank:
            return
        stack = [sink.view]
        while stack:
            view = stack.pop()
            node = view.node
            if is_leaf(node) or len(plan.readers[node]) != 1:
                continue
            if plan.reduces_data(node) and node not in self.places:
                plain = [plain_axis(index) for index in view.index]
                bounds = plan.domains.own[node].bounds
                reads = {index for other, index in self._reach(sink) if other is node}
                # Its axes are those of the gradient in another order, each from end to end; and no entry is read
                # once another one is written in its place, as in the sum of a matrix and its transpose.
                is_permuted = sorted(p for p in plain if p is not None) == list(range(sink.rank))
                if is_permuted and len(plain) == sink.rank and len(reads) == 1:
                    order = tuple(plain.index(place) for place in range(sink.rank))
                    if all(bounds[own] == sink.domain.bounds[place] for place, own in enumerate(order)):
                        self.places[node] = Place(self.places[sink].array, order, (Index(()),) * sink.rank)
                        return
            elif node not in plan.stored and not is_reduction(node) and not is_guard(node):
                stack.extend(reversed(view.arguments))

    def place_of(self, item: Item) -> Place:
        """Where a value is found: in its own pass in a block of the data, elsewhere in what was kept of it."""
        if item in self.kept_places and self.plan.level[item] != self.in_pass:
            return self.kept_places[item]
        return self.places[item]

    def element(self, item: Item, index: tuple[Any, ...]) -> Expression:
        """A stored value at indices over loop names, to read or to write it: no other place subtracts first indices."""
        if item in self.scalars:
            return Read(self.scalars[item])
        place = self.place_of(item)
        found = [self._from(index[own], low) for own, low in zip(place.order, place.low, strict=True)]
        return Element(place.array, tuple(found) or (Affine(()),))

    def _from(self, at: Any, low: Index) -> Any:
        """An index counted from the first one of its axis."""
        back = self.affine(low.scaled(-1))
        if isinstance(at, Affine):
            return sum_of([at, back])
        is_first = not back.terms and not back.offset
        return at if is_first else combined("add", [at if isinstance(at, Integer) else Integer(at), Integer(back)])

    # --- the program --------------------------------------------------------------------------------------------------

    def program(self, name: str, accuracy: str) -> ArrayProgram:
        plan, graph, definition = self.plan, self.graph, self.definition
        steps: list[Step] = []
        last = max(plan.level.values(), default=0)
        for level in range(last + 1):
            for item in self._in_order():
                if plan.level[item] == level and plan.data_axis(item) is None:
                    steps += self._outside(item)
            steps += self._pass(level)
        value = self._value()
        forward = {node for node in self.forward if not is_leaf(node)}
        legend = tuple((new, old) for new, old in zip(self.inputs, graph.inputs, strict=True) if new != old)
        formula = formulas([definition.values[0].node], self.inputs, {}, _FORMULA)[definition.values[0].node]
        return ArrayProgram(
            name=name,
            dtype=self.dtype,
            accuracy=accuracy,
            inputs=tuple(self._inputs()),
            extents=tuple(self._extents()),
            storages=tuple(self.storages),
            steps=tuple(steps),
            value=value,
            gradients=tuple(self.gradient_names),
            wrt=tuple(self.inputs[position] for position in graph.wrt),
            formula=formula,
            legend=legend,
            value_operations=operations(forward),
            operations=operations(plan.nodes),
        )

    def _in_order(self) -> list[Item]:
        """Arguments of matrix operations right before these, gradients last."""
        found: list[Item] = []
        for node in self.plan.nodes:
            found += [sink for sink in self.plan.arguments.get(node, ()) if sink not in found]
            found.append(node)
        return found + [sink for sink in self.plan.sinks if sink.purpose == "gradient"]

    def _value(self) -> Expression:
        view = self.graph.values[0]
        builder = NestBuilder(self, {}, {}, None, frozenset())
        return builder.value(view, {})

    def _inputs(self) -> Iterable[Input]:
        sizes = set(self.size_names.values())
        for position, (name, shape) in enumerate(zip(self.inputs, self.graph.shapes or (), strict=True)):
            kind = "integer" if position in self.graph.integers else "real"
            if not shape and name in sizes:
                kind = "extent"
            yield Input(name, tuple(self.affine(extent) for extent in shape), kind)

    def _extents(self) -> Iterable[Extent]:
        told: dict[str, tuple[str, int, int, int]] = {}
        for name, shape in zip(self.inputs, self.graph.shapes or (), strict=True):
            for place, extent in enumerate(shape):
                if len(extent.terms) == 1:
                    ((term, factor),) = extent.terms
                    told.setdefault(term.name, (name, place, factor, extent.offset))  # type: ignore[union-attr]
        for old, new in self.size_names.items():
            if old in told and new not in self.inputs:
                yield Extent(new, told[old])
        for old, (kind, one, two) in self.plan.domains.derived.items():
            yield Extent(self.size_names[old], None, (kind, self.affine(one), self.affine(two)))

    # --- outside of the passes ----------------------------------------------------------------------------------------

    def _outside(self, item: Item) -> list[Step]:
        if isinstance(item, Node):
            if item not in self.plan.stored:
                return []
            if is_matrix(item):
                arguments = tuple(self.places[sink].array for sink in self.plan.arguments[item])
                return [Matrix(self.places[item].array, item.gate.name, arguments)]
            if item in self.plan.products:
                return [self._product(item)]
        names, ranges = self._loops([item])
        builder = NestBuilder(self, names, ranges, None, frozenset([item]))
        builder.add(item)
        fills = self._fills([item])
        if isinstance(item, Node) and item in self.scalars:
            return [*builder.assignments(self.scalars[item], item)]
        return [*fills, *self._nest([item], builder, names)]

    def _fills(self, items: Iterable[Item]) -> list[Step]:
        """What is accumulated into starts from the value of a reduction without terms."""
        found: list[Step] = []
        for item in items:
            if is_reduction(item) and not self._is_product(item) and self._accumulates(item):
                found.append(Fill(self.places[item].array, _empty(item)))  # type: ignore[arg-type]
        return found

    def _accumulates(self, item: Item) -> bool:
        """Whether the terms of a reduction arrive in different iterations of a loop."""
        if self.plan.reduces_data(item) or not item.attribute.is_plain:  # type: ignore[union-attr]
            return True
        written_out = self._written_out(item)
        return any(axis not in written_out for axis in range(item.rank, item.loops) if axis != self._data(item))

    def _data(self, item: Item) -> int | None:
        return self.plan.data_axis(item)

    # --- loops --------------------------------------------------------------------------------------------------------

    def _written_out(self, item: Item) -> frozenset[int]:
        """The axes that are written out: short, of known length, inside a loop over the data."""
        if item not in self._short:
            data = self._data(item)
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
        seen: Counter[Any] = Counter()
        written_out = self._written_out(item)
        for own in range(item.loops):
            if own == self._data(item) or own in written_out:
                continue
            key = self.plan.class_of(item, own)
            found[own] = (key, seen[key], *self.plan.bounds(item, own))
            seen[key] += 1
        return found

    def _loops(self, items: list[Item]) -> tuple[dict[Rolled, str], dict[str, tuple[Index, Index]]]:
        """Names and bounds of the loops that all of `items` run in."""
        names: dict[Rolled, str] = {}
        ranges: dict[str, tuple[Index, Index]] = {}
        for loop in self.rolled(items[0]).values():
            name = self._axis_name(loop[0], loop[1])
            names[loop] = name
            ranges[name] = (loop[2], loop[3])
        return names, ranges

    def _nest(self, items: list[Item], builder: NestBuilder, names: dict[Rolled, str]) -> list[Step]:
        body = builder.body()
        if not body:
            return []
        loops = tuple(LoopRange(name, (self.affine(loop[2]),), (self.affine(loop[3]),)) for loop, name in names.items())
        return [Nest(self.names.take("nest", counted=True), loops, tuple(body), self._comment(items))]

    def _comment(self, items: list[Item]) -> str:
        """Whether it belongs to the value or to the gradients, and what it makes, in the user's terms where short."""
        found: dict[str, None] = {}
        for item in items:
            if isinstance(item, Sink):
                found[self.places[item].array] = None
            elif item in self.places:
                text = self.texts.get(item, "") if item in self.forward else ""
                name = self.places[item].array
                found[f"{name} = {text}" if text and "..." not in text else name] = None
        parts = {item in self.forward for item in items}
        part = "forward and backward" if len(parts) > 1 else "forward" if True in parts else "backward"
        return textwrap.shorten(f"{part}: {', '.join(found)}", _COMMENT, placeholder=" ...")

    # --- passes -------------------------------------------------------------------------------------------------------

    def _pass(self, level: int) -> list[Step]:
        plan = self.plan
        targets: list[Item] = [
            item
            for item in plan.items
            if (plan.reduces_data(item) and plan.level[item] == level + 1)
            or (isinstance(item, Sink) and plan.varies(item) and plan.level[item] == level)
        ]
        self.in_pass = level
        steps = [step for part, span in self._by_range(targets) for step in self._one_pass(part, level, span)]
        self.in_pass = self.span = None
        return steps

    def _by_range(self, targets: list[Item]) -> list[tuple[list[Item], tuple[Index, Index]]]:
        """The targets of one level by the range of the data that they run over, each range a pass.

        What is written at the data index runs over just its own range; a sum may have its terms masked in a wider one.
        """
        found: list[tuple[list[Item], tuple[Index, Index]]] = []
        strict = [item for item in targets if isinstance(item, Sink) or item in self.plan.products]
        for item in [*strict, *(item for item in targets if item not in strict)]:
            low, high = self._range(item)
            extents = self.plan.domains.extents.where_some([(low, high)])
            for part, span in found:
                if span == (low, high) or (
                    item not in strict and extents.imply(low.minus(span[0])) and extents.imply(span[1].minus(high))
                ):
                    part.append(item)
                    break
            else:
                found.append(([item], (low, high)))
        return found

    def _range(self, item: Item) -> tuple[Index, Index]:
        own = self.plan.data_axis(item)
        assert own is not None
        return self.plan.bounds(item, own)

    def _one_pass(self, targets: list[Item], level: int, span: tuple[Index, Index]) -> list[Step]:
        plan, self.span = self.plan, span
        members = self._needed(targets, level)
        groups = self._groups(members)
        where = {item: place for place, group in enumerate(groups) for item in group.items}
        self.reader_groups: dict[Node, set[int]] = {}
        for item in members:
            for node, _ in self._reach(item):
                self.reader_groups.setdefault(node, set()).add(where[item])
        low, high = span
        steps: list[Step] = []
        for place, group in enumerate(groups):
            if group.is_product:
                steps.append(self._product(group.items[0]))  # type: ignore[arg-type]
                continue
            names, ranges = self._loops(group.items)
            outside = frozenset(
                item
                for item in group.items
                if isinstance(item, Sink)
                or self.reader_groups.get(item, set()) - {place}
                or self._accumulates_any(item)
            )
            builder = NestBuilder(self, names, {**ranges, self.data_name: (low, high)}, self.data_name, outside)
            for item in group.items:
                builder.add(item)
            steps += self._fills(item for item in group.items if plan.varies(item))
            steps += self._nest(group.items, builder, names)
        reduced = [item for item in members if plan.reduces_data(item)]
        fills: list[Step] = [
            Fill(self.places[item].array, _empty(item))  # type: ignore[arg-type]
            for item in reduced
        ]
        accumulated = tuple((item.gate.name, self.places[item].array) for item in reduced)  # type: ignore
        scatters = any(not item.attribute.is_plain for item in reduced)  # type: ignore[union-attr]
        name = self.names.take("pass", counted=True)
        first, last = self.affine(low), self.affine(high)
        return [*fills, Pass(name, self.data_name, first, last, tuple(steps), accumulated, scatters)]

    def _accumulates_any(self, item: Item) -> bool:
        return is_reduction(item) and self._accumulates(item)

    def _needed(self, targets: list[Item], level: int) -> list[Item]:
        """The stored items that the targets need within the pass, in order."""
        needed: set[Item] = set()
        stack = list(targets)
        while stack:
            item = stack.pop()
            if item in needed:
                continue
            needed.add(item)
            for view in (*item.arguments, *item.gathered):
                node = view.node
                if is_leaf(node) or not self.plan.varies(node):
                    continue
                if node not in self.kept_places or self.plan.level[node] == level:
                    stack.append(node)
        return [
            item for item in self.plan.items if item in needed and (isinstance(item, Sink) or item in self.plan.stored)
        ]

    def _reach(self, item: Item) -> list[tuple[Node, tuple[AnyIndex, ...]]]:
        """The stored nodes of the pass that an item reads, through those that are not, and at which indices."""
        found = []
        product = self.plan.products[item] if self._is_product(item) else None  # type: ignore[index]
        stack = list(product) if product else [*item.arguments, *item.gathered]
        while stack:
            view = stack.pop()
            if is_leaf(view.node):
                stack += [index.view for index in view.index if isinstance(index, Gather)]
                continue
            if view.node in self.plan.stored:
                found.append((view.node, view.index))
                stack += [index.view for index in view.index if isinstance(index, Gather)]
            else:
                stack += [
                    *view.arguments,
                    *(gathered.at(dict(enumerate(view.index))) for gathered in view.node.gathered),
                ]
        return found

    def _groups(self, members: list[Item]) -> list[Group]:
        groups: list[Group] = []
        where: dict[Item, int] = {}
        for item in members:
            rolled = self.rolled(item)
            is_product = self._is_product(item)
            loops = frozenset() if is_product else frozenset(rolled.values())
            sums = self._running_sums(item)
            first = 0
            for node, index in self._reach(item):
                if node in where:
                    together = not is_product and self._fits(item, rolled, node, index)
                    first = max(first, where[node] + (0 if together else 1))
            place = next(
                (
                    place
                    for place in range(first, len(groups))
                    if not is_product
                    and not groups[place].is_product
                    and groups[place].loops == loops
                    and (not sums or not groups[place].sums or groups[place].sums + sums <= _ACCUMULATORS)
                ),
                len(groups),
            )
            if place == len(groups):
                groups.append(Group(is_product, loops))
            groups[place].items.append(item)
            groups[place].sums += sums
            where[item] = place
        return groups

    def _running_sums(self, item: Item) -> int:
        if not self.plan.reduces_data(item) or self._is_product(item):
            return 0
        count = 1
        for own in self._written_out(item):
            count *= self.plan.extent(item, own) or 1
        return count

    def _fits(self, item: Item, rolled: Mapping[int, Rolled], node: Node, index: tuple[AnyIndex, ...]) -> bool:
        """Whether an item may share the loops of a node that it reads: it is complete, and read at the same place."""
        if self._is_product(node):
            return False
        inner, data = self.rolled(node), self._data(node)
        if is_reduction(node) and any(own >= node.rank for own in inner):
            return False
        for place, at in enumerate(index):
            if place in inner:
                plain = plain_axis(at)
                if plain is None or inner[place] != rolled.get(plain):
                    return False
            elif place != data and not self._is_written_out(item, at, self.plan.bounds(node, place)):
                return False
        return True

    def _is_written_out(self, item: Item, at: AnyIndex, bounds: tuple[Index, Index]) -> bool:
        """Whether an item reads an axis that is written out within these bounds at indices that are known then.

        What is gathered is chosen among all entries, unless these are at symbolic places.
        """
        low, high = bounds
        if isinstance(at, Gather):
            return not low.terms and not high.terms
        if not set(at.axes) <= self._written_out(item):
            return False
        loops = Domain(tuple(self.plan.bounds(item, own) for own in range(item.loops)))
        domains = self.plan.domains
        return domains.implies(loops, at.minus(low)) and domains.implies(loops, high.minus(at))

    # --- products of matrices -----------------------------------------------------------------------------------------

    def _is_product(self, item: Item) -> bool:
        """Whether it is one for BLAS here: not in a pass that may go beyond the rows that its factors have."""
        if item not in self.plan.products or self.span is None or self._data(item) is None:
            return item in self.plan.products
        extents = self.plan.domains.extents.where_some([self.span]).after(self.checks)
        ranges = [self._range(item)]
        for factor in self.plan.products[item]:
            own = [plain_axis(at) for at in factor.index]
            if factor.node.gate.name == "input" and self._data(item) in own:
                bound = self.plan.domains.of[factor.node].bounds[own.index(self._data(item))]
                assert bound is not None
                ranges.append(bound)
        low, high = self.span
        return all(extents.imply(low.minus(first)) and extents.imply(last.minus(high)) for first, last in ranges)

    def _product(self, node: Node) -> Product:
        factors = self.plan.products[node]
        (inner,) = set(factors[0].axes) & set(factors[1].axes)
        names = {own: f"axis_{own}" for own in range(3)}
        data = self.plan.data_axis(node)
        if data is not None:
            names[data] = self.data_name
        row, column = 0, 1
        target = self.places[node]
        operands = []
        for factor in factors:
            plain = [plain_axis(index) for index in factor.index]
            if factor.node.gate.name == "input":
                operands.append(Operand(self.inputs[factor.node.attribute], tuple(names[p] for p in plain)))  # type: ignore
            else:
                place = self.place_of(factor.node)
                operands.append(Operand(place.array, tuple(names[plain[own]] for own in place.order)))  # type: ignore
        axes = tuple(names[own] for own in target.order)
        return Product(
            Operand(target.array, axes),
            operands[0],
            operands[1],
            names[row],
            names[column],
            names[inner],
            self.plan.reduces_data(node),
            self._comment([node]),
        )


def _under(roots: Iterable[Node]) -> set[Node]:
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += node.sources
    return seen


def _empty(node: Node) -> float:
    empty = EMPTY[node.gate.name]
    return float("inf") if empty == "oo" else float("-inf") if empty == "-oo" else float(empty)


# What a stored value is called where that is not the name of its gate.
_STORED = {**NOUNS, "sum": "total"}
