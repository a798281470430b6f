"""What has to hold before the loops run, as a program says it: indices that stay inside of what they are indices of.

A kernel of symgrad has made sure of it before it calls a module; a module that is called by others checks it itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import (
    Affine,
    Assignment,
    Bound,
    Call,
    Element,
    Expression,
    Holds,
    Integer,
    Literal,
    LoopRange,
    Number,
    Place,
    Read,
)

from ..analysis.checks import Check, GatherCheck
from ..analysis.extents import Domain
from ..graph.affine import Index
from ..graph.node import Gather, Node, Reduction, View, plain_axis
from .layout import Layout

_LARGEST_POWER = 64  # of an index: beyond it no integer but 1 is in an array

Key = tuple[Node, tuple[Place | None, ...]]
At = Mapping[int, Place | None]


def bounds(layout: Layout) -> list[Bound]:
    """The checks of the definition, plain ones first: what is gathered may be at places that these are about."""
    found = [bound for check in layout.plain_checks for bound in _plain(layout, check)]
    for gathered in layout.gather_checks:
        where = _where(layout, gathered.domain)
        if where is not None:
            found.append(_gathered(layout, gathered, where))
    return list(dict.fromkeys(found))


def _where(layout: Layout, domain: Domain) -> tuple[Affine, ...] | None:
    """The forms >= 0 without which there are no indices at all; None where there are none anyway."""
    forms = [layout.affine(form) for form in domain.conditions()]
    if any(not form.terms and form.offset < 0 for form in forms):
        return None
    return tuple(dict.fromkeys(form for form in forms if form.terms))


def _plain(layout: Layout, check: Check) -> list[Bound]:
    where = _where(layout, check.domain)
    if where is None:
        return []
    array = _input_name(layout, check.array)
    low, high = Affine(()), layout.affine(check.extent.minus(1))
    ends = dict.fromkeys(layout.affine(form) for form in (check.low, check.high))
    return [Bound(where, (), (), Integer(end), low, high, array, check.place) for end in ends]


def _gathered(layout: Layout, check: GatherCheck, where: tuple[Affine, ...]) -> Bound:
    """A loop over all places of an integer view."""
    at: dict[int, Affine] = {}
    loops = []
    for axis in dict.fromkeys(axis for index in check.view.index for axis in index.axes):
        bound = check.domain.bounds[axis]
        assert bound is not None
        name = layout.names.take("index", counted=True)
        at[axis] = Affine(((name, 1),))
        loops.append(LoopRange(name, (layout.affine(bound[0]),), (layout.affine(bound[1]),)))
    body = Body(layout)
    index = body.value(check.view, at)
    array = _input_name(layout, check.array)
    low, high = layout.affine(check.low), layout.affine(check.high)
    return Bound(where, tuple(loops), tuple(body.statements), index, low, high, array, check.place)


def _input_name(layout: Layout, array: str) -> str:
    """What an input is called in the program; empty for what is none."""
    inputs = layout.definition.inputs
    return layout.inputs[inputs.index(array)] if array in inputs else ""


class Body:
    """The statements that an index is made of. What has no statements is None."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.statements: list[Assignment] = []
        self.memo: dict[Key, Expression | None] = {}

    def value(self, view: View, at: At) -> Expression | None:
        while True:
            key, missing = self._key(view, at)
            if key is not None and key in self.memo:
                return self.memo[key]
            self._make(missing or key)  # type: ignore[arg-type]  # one of them is there

    def _make(self, wanted: Key) -> None:
        stack = [wanted]
        while stack:
            key = stack[-1]
            node, at = key[0], dict(enumerate(key[1]))
            needs = [self._key(edge, at) for edge in node.arguments] if self._is_spelled(node) else []
            missing = [own or missing for own, missing in needs if missing or own not in self.memo]
            if missing:
                stack += missing  # type: ignore[arg-type]
                continue
            stack.pop()
            if key not in self.memo:
                self.memo[key] = self._made(key, [self.memo[own] for own, _ in needs if own is not None])

    def _key(self, view: View, at: At) -> tuple[Key | None, Key | None]:
        """A node and its places; or another key that has to be known before. As deep as indices hold indices."""
        places: list[Place | None] = []
        for index in view.index:
            if not isinstance(index, Gather):
                places.append(self._place(index, at))
                continue
            key, missing = self._key(index.view, at)
            if key is None or key not in self.memo:
                return None, missing or key
            value = self.memo[key]
            places.append(None if value is None else Integer(value))
        return (view.node, tuple(places)), None

    def _place(self, index: Index, at: At) -> Place | None:
        forms = {axis: place for axis in index.axes if isinstance(place := at[axis], Affine)}
        if len(forms) == len(set(index.axes)):
            return self.layout.affine(index, forms)
        plain = plain_axis(index)
        return None if plain is None else at[plain]

    @staticmethod
    def _is_spelled(node: Node) -> bool:
        if isinstance(node.attribute, Reduction):
            return node.is_guard
        return node.gate.name in FUNCTIONS or node.gate.name in ("detached", "power")

    def _made(self, key: Key, arguments: list[Expression | None]) -> Expression | None:
        (node, places), layout = key, self.layout
        name, given = node.gate.name, [place for place in places if place is not None]
        if len(given) < len(places) or None in arguments:
            return None
        if name == "input":
            array = layout.inputs[node.position]
            read = Element(array, tuple(given)) if given else Read(array)
            return Number(read) if node.position in layout.definition.integers else read
        if name == "constant":
            return Literal(float(node.constant))
        if name == "size":
            return Number(layout.affine(Index(((node.size, 1),))))
        if name == "position":
            (place,) = given
            return Number(place.value if isinstance(place, Integer) else place)
        if not self._is_spelled(node):
            return None
        known = [argument for argument in arguments if argument is not None]
        if name == "detached":
            return known[0]
        if node.is_guard:
            return self._guarded(node, dict(enumerate(given)), known[0])
        if name == "power":
            if not isinstance(node.attribute, int) or not 0 < node.attribute <= _LARGEST_POWER:
                return None
            name, known = "mul", known * node.attribute
        made = layout.names.take("part", counted=True)
        self.statements.append(Assignment(made, Call(FUNCTIONS[name], tuple(known))))
        return Read(made)

    def _guarded(self, node: Node, at: At, value: Expression) -> Expression | None:
        """A value where conditions of indices hold, and else 0."""
        for form in sorted(node.reduction.constraints, key=repr):
            place = self._place(form, at)
            if not isinstance(place, Affine):
                return None
            value = Call(FUNCTIONS["select"], (Holds(place), value, Literal(0.0)))
        return value
