"""The body of a nest: what happens at one index of its loops, with short axes written out.

A value at an index is made once in a nest. What is computed elsewhere is read from its array, at places that are affine
in the loops. Terms of a reduction that meet in one nest are added there, before they go into an array.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import (
    Accumulate,
    Affine,
    Assignment,
    Call,
    Element,
    Expression,
    Holds,
    Integer,
    Literal,
    Number,
    Read,
    Statement,
    Store,
)
from symgrad_codegen.text.arrays import elements_of, expression_names

from ..gates.reductions import KINDS
from ..graph.affine import Index
from ..graph.node import AnyIndex, Gather, Node, Reduction, View
from .integers import ROUNDED, combined, divided, integer, truncated, whole_number
from .items import Item, Sink, is_leaf, is_reduction
from .layout import Layout, Rolled, identity_of
from .lines import Lines
from .names import merged
from .nouns import noun_of
from .plan import UNROLLED

Key = tuple[Node, tuple[Any, ...], bool]


class NestBuilder:
    """Collects the statements of one nest."""

    def __init__(
        self,
        layout: Layout,
        names: dict[Rolled, str],
        ranges: dict[str, tuple[Index, Index]],
        data: str | None,
        outside: frozenset[Item],
    ) -> None:
        self.layout, self.plan = layout, layout.plan
        self.names, self.ranges, self.data, self.outside = names, ranges, data, outside
        self.extents = self.plan.domains.extents.where_some(ranges.values()).after(layout.checks)
        # A loop over the last index of what has none is run once, at -1.
        self.begins_inside = all(self.extents.imply(low) for low, _ in ranges.values())
        self.memo: dict[Key, Expression] = {}
        self.lines = Lines(layout.names)
        self.taken: set[str] = set()  # names of lines
        self.conditions: dict[tuple[Affine, ...], Expression] = {}
        self.masked: dict[Expression, tuple[tuple[Affine, ...], Expression]] = {}  # under what, and what it is else
        self.unsafe = False  # inside a mask: reads may run outside of an array

    # --- items --------------------------------------------------------------------------------------------------------

    def add(self, item: Item) -> None:
        """The statements of one item, for every index of its short axes."""
        rolled = self.layout.rolled(item)
        short = sorted(self.layout.written_out(item))
        constant: dict[int, Affine] = {own: Affine(((self.names[loop], 1),)) for own, loop in rolled.items()}
        data = self.plan.data_axis(item)
        if data is not None:
            assert self.data is not None
            constant[data] = Affine(((self.data, 1),))
        kept = [own for own in short if self._is_kept(item, own)]
        reduced = [own for own in short if own not in kept]
        for indices in itertools.product(*(self._indices(item, own) for own in kept)):
            here = {**constant, **dict(zip(kept, indices, strict=True))}
            terms = itertools.product(*(self._indices(item, own) for own in reduced))
            self._add_at(item, here, [{**here, **dict(zip(reduced, own, strict=True))} for own in terms])

    def _indices(self, item: Item, own: int) -> list[Affine]:
        """All indices of a short axis: of a known number, from a first one that may be symbolic."""
        low, _ = self.plan.bounds(item, own)
        return [self.layout.affine(low.plus(step)) for step in range(self.plan.extent(item, own) or 0)]

    @staticmethod
    def _is_kept(item: Item, own: int) -> bool:
        """Whether a loop axis is one of the result's, as it stands."""
        if not isinstance(item.attribute, Reduction) or not item.attribute.is_plain:
            return True
        return own < item.rank

    def _add_at(self, item: Item, here: dict[int, Affine], places: list[dict[int, Affine]]) -> None:
        """One result, or one scattered term: `places` have the axes that are reduced and written out as well."""
        if isinstance(item, Sink):
            self._store_sink(item, here)
        elif not is_reduction(item):
            self._store_value(item, here)
        else:
            self._add_terms(item, here, places)

    def _add_terms(self, item: Node, here: dict[int, Affine], places: list[dict[int, Affine]]) -> None:
        terms = [term for at in places if (term := self._term(item, at)) is not None]
        own = item.reduction
        was, self.unsafe = self.unsafe, not own.is_plain and self._constraints(item, here) != []
        index = tuple(self.place(form, here) for form in own.out)
        self.unsafe = was
        accumulates = self.layout.accumulates(item)
        join = FUNCTIONS[KINDS[item.gate.name].of_two]
        if not terms:
            if not accumulates:
                self._finish(item, index, self._identity(item))
            return
        value = terms[0] if len(terms) == 1 else Call(join, tuple(terms))
        if accumulates:
            target = self.layout.element(item, index)
            assert isinstance(target, Element)
            if not own.is_plain and index:  # a masked term adds nothing, and stays inside of the array
                target = self._held(target, self._lengths(item), masked=True)
            self.lines.add(Accumulate(item.gate.name, target, value))
        else:
            self._finish(item, index, value)

    def _finish(self, item: Node, index: tuple[Any, ...], value: Expression) -> None:
        named = self._named(item, index, value)
        self.memo[item, index, False] = self.memo[item, index, True] = named
        target = self.layout.element(item, index) if item in self.outside else None
        if isinstance(target, Element):  # else a number, which gets its name in the end
            self.lines.add(Store(target, self._stored(item, named)))

    def _stored(self, item: Item, value: Expression) -> Expression:
        """A value as an array of its kind holds it."""
        return truncated(value) if self.plan.kind(item) == "integer" else value

    def _store_value(self, item: Node, at: dict[int, Affine]) -> None:
        index = tuple(at[own] for own in range(item.rank))
        value = self._masked(item, at, lambda: self._computed(item, index))
        self._finish(item, index, value)

    def _store_sink(self, sink: Sink, at: dict[int, Affine]) -> None:
        value = self._stored(sink, self.value(sink.view, at))
        target = self.layout.element(sink, tuple(at[own] for own in range(sink.rank)))
        assert isinstance(target, Element)
        if value != target:
            self.lines.add(Store(target, value))

    def assignments(self, name: str, item: Node) -> list[Assignment]:
        """The statements of a number that has a name of its own."""
        last = self._stored(item, self.memo[item, (), False])
        found = [statement for statement in self.lines.written((last,)) if isinstance(statement, Assignment)]
        final = self.lines.final(last)
        read = final.value if isinstance(final, Integer) else final
        if found and isinstance(read, Read) and found[-1].name == read.name:
            return [*found[:-1], found[-1]._replace(name=name)]
        return [*found, Assignment(name, final, kind=self.plan.kind(item))]

    # --- domains ------------------------------------------------------------------------------------------------------

    def _term(self, item: Node, at: dict[int, Affine]) -> Expression | None:
        """One term of a reduction: None where it is known not to be there."""
        decided = self._undecided(item.reduction.constraints, at)
        if decided is None:
            return None
        return self._masked(item, at, lambda: self.value(item.arguments[0], at))

    def _constraints(self, item: Item, at: dict[int, Affine]) -> list[Affine] | None:
        """What has to hold here and does not follow from the loops; None where it cannot."""
        domain = item.domain if isinstance(item, Sink) else self.plan.domains.of[item]
        forms = list(domain.coupled)
        for place, bound in enumerate(domain.bounds):
            looped = self.plan.bounds(item, place)
            if bound is not None and bound != looped:
                forms += [Index(((place, 1),)).minus(bound[0]), bound[1].minus(Index(((place, 1),)))]
        if isinstance(item.attribute, Reduction) and not item.attribute.is_plain:
            forms += self._demanded(item)
        data = self.plan.data_axis(item)
        if data is not None:
            assert self.data is not None
            low, high = self.plan.bounds(item, data)
            if self.ranges[self.data] != (low, high):
                own = Index(((data, 1),))
                forms += [own.minus(low), high.minus(own)]
        return self._undecided(sorted(forms, key=repr), at)

    def _demanded(self, node: Node) -> list[Index]:
        """Where terms of a scatter arrive at what is demanded of it: others have no place, and nobody reads them."""
        domains = self.plan.domains
        found: list[Index] = []
        for index, bound in zip(node.reduction.out, domains.own[node].bounds, strict=True):
            if isinstance(index, Index) and bound is not None:
                found += [index.minus(bound[0]), bound[1].minus(index)]
        return [form for form in found if not domains.implies(domains.of[node], form)]

    def _undecided(self, forms: Iterable[Index], at: dict[int, Affine]) -> list[Affine] | None:
        found = []
        for form in forms:
            affine = self.layout.affine(form, at)
            if affine.terms:
                if affine not in found and not self._is_certain(affine):
                    found.append(affine)
            elif affine.offset < 0:
                return None
        return found

    def _masked(self, item: Node, at: dict[int, Affine], compute: Callable[[], Expression]) -> Expression:
        limits = self._constraints(item, at)
        if limits is None:
            return self._identity(item)
        if item.is_guard:  # says its own conditions where it is computed
            limits = [form for form in limits if form not in (self._undecided(item.reduction.constraints, at) or ())]
        if not limits:
            return compute()
        limits.sort()
        was, self.unsafe = self.unsafe, True
        value = compute()
        self.unsafe = was
        otherwise = self._identity(item)
        return (
            value
            if self.masked.get(value) == (tuple(limits), otherwise)
            else self._where(item, limits, value, otherwise)
        )

    def _where(self, node: Node, limits: list[Affine], value: Expression, otherwise: Expression) -> Expression:
        conditions: tuple[Expression, ...] = tuple(Holds(limit) for limit in limits)
        if node.kind == "boolean":
            return Call(FUNCTIONS["and"], (*conditions, value))
        masked = self._select(node, self._condition(tuple(limits)), value, otherwise)
        self.masked[masked] = tuple(limits), otherwise
        return masked

    def _condition(self, limits: tuple[Affine, ...]) -> Expression:
        """The condition that all of these are >= 0: one name, however often it is asked."""
        if limits not in self.conditions:
            holds: tuple[Expression, ...] = tuple(map(Holds, limits))
            value = holds[0] if len(holds) == 1 else Call(FUNCTIONS["and"], holds)
            self.conditions[limits] = self.lines.value(
                value, partial(self.layout.condition_name, limits), "condition", "boolean"
            )
        return self.conditions[limits]

    def _select(self, node: Node, condition: Expression, value: Expression, otherwise: Expression) -> Expression:
        if self._holds_integers(node):
            return Number(Call(FUNCTIONS["select"], (condition, truncated(value), truncated(otherwise))))
        return Call(FUNCTIONS["select"], (condition, value, otherwise))

    def _holds_integers(self, node: Node) -> bool:
        is_input = node.gate.name == "input" and node.position in self.layout.graph.integers
        return is_input or node in self.plan.integers

    def _identity(self, item: Item) -> Expression:
        if self.plan.kind(item) == "boolean":
            return Holds(Affine((), -1))
        return Literal(identity_of(item)) if is_reduction(item) else Literal(0.0)

    # --- values -------------------------------------------------------------------------------------------------------

    def place(self, index: AnyIndex, at: dict[int, Affine]) -> Any:
        if isinstance(index, Gather):
            value = truncated(self.value(index.view, at))
            return value.value if isinstance(value.value, (Affine, Element)) else value
        return self.layout.affine(index, at)

    def value(self, view: View, at: dict[int, Affine]) -> Expression:
        """The value of a view, its axes given as loop indices and numbers."""
        index = tuple(self.place(form, at) for form in view.index)
        return self.at(view.node, index)

    def at(self, node: Node, index: tuple[Any, ...]) -> Expression:
        stack: list[Key] = [(node, index, self.unsafe)]
        while stack:
            key = stack[-1]
            if key in self.memo:
                stack.pop()
                continue
            known = self._known(key)
            if known is not None:
                self.memo[key] = known
                stack.pop()
                continue
            missing = [need for need in self._needs(key) if need not in self.memo]
            if missing:
                stack.extend(reversed(missing))
                continue
            self.memo[key] = self._made(key)
            stack.pop()
        return self.memo[node, index, self.unsafe]

    def _short_gather(self, node: Node, index: tuple[Any, ...]) -> tuple[int, range] | None:
        """The first axis that is gathered from, where it is so short that choosing is better: it needs no branch."""
        if self.data is None or (is_leaf(node) and node.gate.name != "input"):
            return None
        bounds = self.plan.domains.of[node].bounds if is_leaf(node) else self.plan.domains.own[node].bounds
        for place, at in enumerate(index):
            bound = bounds[place]
            if isinstance(at, Affine) or bound is None or bound[0].terms or bound[1].terms:
                continue
            if bound[1].offset - bound[0].offset < UNROLLED:
                return place, range(bound[0].offset, bound[1].offset + 1)
        return None

    def _chosen(self, key: Key, place: int, span: range) -> Expression:
        """The entry of a short axis that an integer says, chosen among all of them."""
        node, index, unsafe = key
        was, self.unsafe = self.unsafe, unsafe
        entries = [self.at(node, (*index[:place], Affine((), c), *index[place + 1 :])) for c in span]
        self.unsafe = was
        value = entries[-1]
        number = Integer(index[place]) if isinstance(index[place], Element) else index[place]
        for c, entry in zip(reversed(span[:-1]), reversed(entries[:-1]), strict=True):
            same = Call(FUNCTIONS["eq"], (number, Integer(Affine((), c))))
            value = self._select(node, same, entry, value)
        return self._named(node, index, value)

    def _known(self, key: Key) -> Expression | None:
        """A value that needs no computing: a number, an input, or what is stored."""
        node, index, unsafe = key
        layout, name = self.layout, node.gate.name
        short = self._short_gather(node, index)
        if short is not None:
            return self._chosen(key, *short)
        if node in layout.literals:
            return Literal(layout.literals[node])
        if name == "constant":
            return Literal(float(node.constant))
        if name == "size":
            return Number(layout.affine(Index(((node.size, 1),))))
        if name == "position":
            (place,) = index
            if not isinstance(place, Affine):
                return Number(place.value if isinstance(place, Integer) else place)
            return Number(place) if place.terms else Literal(float(place.offset))
        if name == "input":
            array = layout.inputs[node.position]
            if not index:
                return Read(array)
            element = self._held(Element(array, index), layout.graph.shapes[node.position], masked=unsafe)
            return Number(element) if node.position in layout.graph.integers else element
        if node in self.plan.stored:
            # Not made in this nest, or it would be known.
            read = layout.element(node, index)
            if isinstance(read, Element) and index:
                read = self._held(read, self._lengths(node), layout.rows.get(read.array), masked=unsafe)
            return Number(read) if node in self.plan.integers else read
        return None

    def _lengths(self, node: Node) -> list[Index]:
        """The extents of the array that holds a node."""
        found = []
        for own in self.layout.place_of(node).order:
            bound = self.plan.domains.own[node].bounds[own]
            assert bound is not None
            found.append(bound[1].minus(bound[0]).plus(1))
        return found

    def _held(self, element: Element, extents: Sequence[Index], data: int | None = None, *, masked: bool) -> Element:
        """An entry held inside of the array where neither the loops nor what a call has checked keep it there.

        What is gathered is checked, but for what may be computed where nothing is read in the end: a single entry, one
        whose index had to be held itself, and in loops that may begin before 0.
        """
        held = []
        for place, (index, extent) in enumerate(zip(element.index, extents, strict=True)):
            if isinstance(index, Affine):
                is_inside = self._stays_inside(index, extent)
            else:
                moves = not expression_names(index).isdisjoint({*self.ranges, *self.lines.temporaries})
                is_checked = not any(own.clamped for own in elements_of(Assignment("", index)))
                is_inside = not masked and moves and is_checked and self.begins_inside
            if place != data and not is_inside:
                held.append((place, self.layout.affine(extent)))
        return Element(element.array, element.index, tuple(held))

    def _stays_inside(self, place: Affine, extent: Index) -> bool:
        last = self.layout.affine(extent.minus(1))
        opposite = tuple((name, -factor) for name, factor in place.terms)
        room = Affine(merged((*last.terms, *opposite)), last.offset - place.offset)
        return self._is_certain(place) and self._is_certain(room)

    def _is_certain(self, form: Affine) -> bool:
        """Whether an affine form is >= 0 in all iterations of the loops."""
        sizes = self.layout.sizes
        least = Index((), form.offset)
        for name, factor in form.terms:
            bound = self.ranges.get(name)
            if bound is not None:
                least = least.plus(bound[0 if factor > 0 else 1].scaled(factor))
            elif name in sizes:
                least = least.plus(Index(((sizes[name], factor),)))
            else:
                return False
        return self.extents.imply(least)

    def _needs(self, key: Key) -> list[Key]:
        node, index, unsafe = key
        at = dict(enumerate(index))
        was, self.unsafe = self.unsafe, unsafe
        if node.is_guard:
            limits = self._undecided(node.reduction.constraints, at)
            if limits is None:
                self.unsafe = was
                return []
            self.unsafe = unsafe or bool(limits)
        found = [
            (edge.node, tuple(self.place(form, at) for form in edge.index), self.unsafe) for edge in self._reads(node)
        ]
        self.unsafe = was
        return found

    def _reads(self, node: Node) -> tuple[View, ...]:
        """What a node is computed of: for an integer that is a quotient rounded, of the two parts of that."""
        if node not in self.plan.integers or node.gate.name not in ROUNDED:
            return node.arguments
        parts = divided(node)
        is_stored = node.arguments[0].node in self.plan.stored
        return parts if parts and not is_stored and all(map(self._is_integer, parts)) else node.arguments

    def _is_integer(self, view: View) -> bool:
        name = view.node.gate.name
        return self._holds_integers(view.node) or name in ("position", "size") or whole_number(view) is not None

    def _made(self, key: Key) -> Expression:
        node, index, _ = key
        value = self._combined(node, index, [self.memo[need] for need in self._needs(key)])
        return self._named(node, index, value)

    def _computed(self, node: Node, index: tuple[Any, ...]) -> Expression:
        """The value of a node that this nest makes, whether or not it is stored."""
        needs = self._needs((node, index, self.unsafe))
        for need in needs:
            was, self.unsafe = self.unsafe, need[2]
            self.at(need[0], need[1])
            self.unsafe = was
        return self._combined(node, index, [self.memo[need] for need in needs])

    def _combined(self, node: Node, index: tuple[Any, ...], arguments: list[Expression]) -> Expression:
        if node.is_guard:
            limits = self._undecided(node.reduction.constraints, dict(enumerate(index)))
            if limits is None:
                return Literal(0.0)
            return self._where(node, limits, arguments[0], Literal(0.0)) if limits else arguments[0]
        name = node.gate.name
        if name == "detached":
            return arguments[0]
        if name in ("eq", "ne", "lt", "le"):
            integers = [integer(argument) for argument in arguments]
            arguments = arguments if None in integers else [number for number in integers if number is not None]
        elif node in self.plan.integers and name == "select":
            return self._select(node, *arguments)
        elif node in self.plan.integers and not (name in ROUNDED and len(arguments) == 1):
            return Number(combined(name, self._integers(node, arguments)).value)
        value = _simplified(Call(FUNCTIONS[name], tuple(arguments)))
        return Number(truncated(value).value) if node in self.plan.integers else value

    def _integers(self, node: Node, arguments: list[Expression]) -> list[Integer]:
        """The arguments of an operation on integers; constants as they were before they were rounded."""
        numbers = [whole_number(view) for view in self._reads(node)]
        return [
            truncated(argument) if number is None else Integer(Affine((), number))
            for number, argument in zip(numbers, arguments, strict=True)
        ]

    def _named(self, node: Node, index: tuple[Any, ...], value: Expression) -> Expression:
        """A value that may be read again has a name; those that are read once lose it in the end."""
        is_integer = isinstance(value, Number)
        if not isinstance(value.value if isinstance(value, Number) else value, (Call, Holds)):
            return value
        kind = "integer" if is_integer else "boolean" if node.kind == "boolean" else "real"
        value_of_kind = truncated(value) if is_integer else value
        read = self.lines.value(value_of_kind, partial(self._local_name, node, index), noun_of(node), kind)
        if value in self.masked:
            self.masked[read] = self.masked[value]
        return Number(read) if is_integer else read

    def body(self) -> list[Statement]:
        """The statements."""
        return self.lines.written()

    def _local_name(self, node: Node, index: tuple[Any, ...]) -> str:
        name = self.layout.local_name(node, index)
        if name in self.taken:  # the same value, made once more where it is masked
            name = self.layout.names.take(name)
        self.taken.add(name)
        return name


def _known_number(expression: Expression) -> float | None:
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Integer) and isinstance(expression.value, Affine) and not expression.value.terms:
        return float(expression.value.offset)
    return None


def _simplified(call: Call) -> Expression:
    """Numbers that were written out: a comparison of two, a select by one."""
    name, arguments = call.function.name, call.arguments
    known = [_known_number(argument) for argument in arguments]
    if name in ("eq", "lt", "le", "ne") and None not in known:
        a, b = (float(number) for number in known if number is not None)
        return Literal({"eq": a == b, "lt": a < b, "le": a <= b, "ne": a != b}[name])
    if name == "select" and isinstance(arguments[0], Literal):
        return arguments[1] if arguments[0].value else arguments[2]
    if name == "mul" and any(isinstance(a, Literal) and a.value == 1.0 for a in arguments):
        rest = [a for a in arguments if not (isinstance(a, Literal) and a.value == 1.0)]
        return rest[0] if len(rest) == 1 else Call(call.function, tuple(rest)) if rest else Literal(1.0)
    if name == "add" and any(isinstance(a, Literal) and a.value == 0.0 for a in arguments):
        rest = [a for a in arguments if not (isinstance(a, Literal) and a.value == 0.0)]
        return rest[0] if len(rest) == 1 else Call(call.function, tuple(rest)) if rest else Literal(0.0)
    return call
