"""Values at an index within a nest: read where they are stored, made where they are not.

A value at an index is made once in a nest. What is computed elsewhere is read from its array, at places that are affine
in the loops, or integers that are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import Affine, Call, Element, Expression, Holds, Integer, Literal, Number, Place, Read

from ..graph.affine import Index, Size
from ..graph.node import AnyIndex, Gather, Node, View
from .integers import ROUNDED, combined, divided, integer, truncated, whole_number
from .items import is_leaf
from .layout import Layout
from .lines import Lines
from .nouns import noun_of
from .plan import UNROLLED
from .within import Within

At = Mapping[int, Place]  # for each axis of a view where it is


class Wanted(NamedTuple):
    """A node at an index. What is made under a mask may be wanted where an index runs outside of its array."""

    node: Node
    index: tuple[Place, ...]  # type: ignore[assignment]  # shadows tuple.index, which no one needs
    is_masked: bool


class Values:
    """The values that one nest makes and reads."""

    def __init__(self, layout: Layout, within: Within, is_number: bool = False) -> None:
        self.layout, self.plan, self.within, self._is_number = layout, layout.plan, within, is_number
        self.lines = Lines(layout.names)
        self.memo: dict[Wanted, Expression] = {}
        self.masked: dict[Expression, tuple[tuple[Affine, ...], Expression]] = {}  # under what, and what it is else
        self.moves: dict[str, frozenset[str]] = {}  # the loops that each value of the nest moves with
        self._conditions: dict[tuple[Affine, ...], Expression] = {}
        self._taken: set[str] = set()  # names of lines

    def place(self, index: AnyIndex, at: At, is_masked: bool = False) -> Place:
        """A place in an array: affine in loops, or an integer that is computed."""
        if isinstance(index, Gather):
            value = truncated(self.value(index.view, at, is_masked))
            return value.value if isinstance(value.value, (Affine, Element)) else value
        if any(not isinstance(at[name], Affine) for name in index.axes):
            return self._computed_place(index, at)
        return self.layout.affine(index, at)

    def _computed_place(self, index: Index, at: At) -> Place:
        """An index expression whose axes are at computed places, as one more integer that is computed."""
        parts: list[Integer] = []
        for name in index.axes:
            place = at[name]
            own = place if isinstance(place, Integer) else Integer(place)
            factor = index.coefficient(name)
            parts.append(own if factor == 1 else combined("mul", [own, Integer(Affine((), factor))]))
        rest = self.layout.affine(Index(tuple(own for own in index.terms if isinstance(own[0], Size)), index.offset))
        total = combined("add", [*parts, Integer(rest)]) if rest.terms or rest.offset or len(parts) > 1 else parts[0]
        return total.value if isinstance(total.value, (Affine, Element)) else total

    def value(self, view: View, at: At, is_masked: bool = False) -> Expression:
        """The value of a view, its axes given as loop indices and numbers."""
        return self.at(Wanted(view.node, tuple([self.place(form, at, is_masked) for form in view.index]), is_masked))

    def at(self, wanted: Wanted) -> Expression:
        """The value of a node at an index."""
        stack = [wanted]
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
            needs = self._needs(key)
            missing = [need for need in needs if need not in self.memo]
            if missing:
                stack.extend(reversed(missing))
                continue
            value = self._combined(key, [self.memo[need] for need in needs])
            self.memo[key] = self.named(key.node, key.index, value)
            stack.pop()
        return self.memo[wanted]

    def computed(self, node: Node, index: tuple[Place, ...], is_masked: bool) -> Expression:
        """The value of a node that this nest makes, whether or not it is stored."""
        key = Wanted(node, index, is_masked)
        return self._combined(key, [self.at(need) for need in self._needs(key)])

    def known_at(self, node: Node, index: tuple[Place, ...], value: Expression) -> None:
        """From here on a node has this value at an index."""
        self.memo[Wanted(node, index, False)] = self.memo[Wanted(node, index, True)] = value

    def _short_gather(self, node: Node, index: tuple[Place, ...]) -> tuple[int, range] | None:
        """The first axis that is gathered from, where it is so short that choosing is better: it needs no branch."""
        if self.within.data is None or (is_leaf(node) and node.gate.name != "input"):
            return None
        bounds = self.plan.domains.of[node].bounds if is_leaf(node) else self.plan.domains.own[node].bounds
        for place, at in enumerate(index):
            bound = bounds[place]
            if isinstance(at, Affine) or bound is None or bound[0].terms or bound[1].terms:
                continue
            if bound[1].offset - bound[0].offset < UNROLLED:
                return place, range(bound[0].offset, bound[1].offset + 1)
        return None

    def _chosen(self, key: Wanted, place: int, span: range) -> Expression:
        """The entry of a short axis that an integer says, chosen among all of them."""
        node, index, is_masked = key
        entries = [self.at(Wanted(node, (*index[:place], Affine((), c), *index[place + 1 :]), is_masked)) for c in span]
        value = entries[-1]
        own = index[place]
        number = own if isinstance(own, Integer) else Integer(own)
        for c, entry in zip(reversed(span[:-1]), reversed(entries[:-1]), strict=True):
            same = Call(FUNCTIONS["eq"], (number, Integer(Affine((), c))))
            value = self._select(node, same, entry, value)
        return self.named(node, index, value)

    def _known(self, key: Wanted) -> Expression | None:
        """A value that needs no computing: a number, an input, or what is stored."""
        node, index, is_masked = key
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
            element = self._held(Element(array, index), layout.graph.shapes[node.position], None, is_masked)
            return Number(element) if node.position in layout.graph.integers else element
        if node in self.plan.stored:
            # Not made in this nest, or it would be known.
            read = layout.element(node, index)
            if isinstance(read, Element) and index:
                read = self._held(read, self.lengths(node), layout.rows.get(read.array), is_masked)
            return Number(read) if node in self.plan.integers else read
        return None

    def lengths(self, node: Node) -> list[Index]:
        """The extents of the array that holds a node."""
        found = []
        for own in self.layout.location_of(node).order:
            bound = self.plan.domains.own[node].bounds[own]
            assert bound is not None
            found.append(bound[1].minus(bound[0]).plus(1))
        return found

    def _held(self, entry: Element, extents: Sequence[Index], data: int | None, is_masked: bool) -> Element:
        return self.within.held(entry, extents, data, made=self.moves, is_masked=is_masked)

    def _needs(self, key: Wanted) -> list[Wanted]:
        node, at, is_masked = key.node, dict(enumerate(key.index)), key.is_masked
        if node.is_guard:
            limits = self.within.undecided(node.reduction.constraints, at)
            if limits is None:
                return []
            is_masked = is_masked or bool(limits)
        return [
            Wanted(edge.node, tuple([self.place(form, at, is_masked) for form in edge.index]), is_masked)
            for edge in self._reads(node)
        ]

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

    def _combined(self, key: Wanted, arguments: list[Expression]) -> Expression:
        node = key.node
        if node.is_guard:
            limits = self.within.undecided(node.reduction.constraints, dict(enumerate(key.index)))
            if limits is None:
                return Literal(0.0)
            return self.where(node, limits, arguments[0], Literal(0.0)) if limits else arguments[0]
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

    def where(self, node: Node, limits: list[Affine], value: Expression, otherwise: Expression) -> Expression:
        conditions: tuple[Expression, ...] = tuple(Holds(limit) for limit in limits)
        if node.kind == "boolean":
            return Call(FUNCTIONS["and"], (*conditions, value))
        masked = self._select(node, self._condition(tuple(limits)), value, otherwise)
        self.masked[masked] = tuple(limits), otherwise
        return masked

    def _condition(self, limits: tuple[Affine, ...]) -> Expression:
        """The condition that all of these are >= 0: one name, however often it is asked."""
        if limits not in self._conditions:
            holds: tuple[Expression, ...] = tuple(map(Holds, limits))
            value = holds[0] if len(holds) == 1 else Call(FUNCTIONS["and"], holds)
            self._conditions[limits] = self.lines.value(
                value, partial(self.layout.called.condition, limits, self._is_number), "condition", "boolean"
            )
        return self._conditions[limits]

    def _select(self, node: Node, condition: Expression, value: Expression, otherwise: Expression) -> Expression:
        if self._holds_integers(node):
            return Number(Call(FUNCTIONS["select"], (condition, truncated(value), truncated(otherwise))))
        return Call(FUNCTIONS["select"], (condition, value, otherwise))

    def _holds_integers(self, node: Node) -> bool:
        is_input = node.gate.name == "input" and node.position in self.layout.graph.integers
        return is_input or node in self.plan.integers

    def named(self, node: Node, index: tuple[Place, ...], value: Expression) -> Expression:
        """A value that may be read again has a name; those that are read once lose it in the end."""
        is_integer = isinstance(value, Number)
        if not isinstance(value.value if isinstance(value, Number) else value, (Call, Holds)):
            return value
        kind = "integer" if is_integer else "boolean" if node.kind == "boolean" else "real"
        value_of_kind = truncated(value) if is_integer else value
        comment = self.layout.called.derivative(node, index)
        read = self.lines.value(
            value_of_kind, partial(self._local_name, node, index), noun_of(node), kind, comment=comment
        )
        self.moves[read.name] = self.within.loops_of(value_of_kind, self.moves)
        if value in self.masked:
            self.masked[read] = self.masked[value]
        return Number(read) if is_integer else read

    def _local_name(self, node: Node, index: tuple[Place, ...]) -> str:
        name = self.layout.local_name(node, index)
        if name in self._taken:  # the same value, made once more where it is masked
            name = self.layout.names.take(name)
        self._taken.add(name)
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
