"""The text of one nest of a pass: a function whose innermost loop runs over the lanes of a block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from ...program import (
    Accumulate,
    Affine,
    Assignment,
    Element,
    Expression,
    Statement,
    Store,
    parts,
    walk,
)
from ...reductions import REDUCTIONS
from ...text.arrays import (
    Line,
    entry_word,
    loop_line,
    names_read,
    nest_lines,
    place_text,
    running_word,
    start_text,
    without_elements,
)
from ...text.expressions import expression_text, listed
from .rows import Access, Block, Entries


class NestText(NamedTuple):
    """The function of a nest: its parameters, and what its pass gives for each."""

    lines: list[str]
    given: Mapping[str, str]


class _Running(NamedTuple):
    """A number that is joined over the lanes before it goes to its entry."""

    name: str
    kind: str


def nest_text(block: Block, entries: Entries) -> NestText:
    nest, lanes = entries.nest, _lanes(block, entries)
    heads = [*map(loop_line, nest.loops), f"for {block.axis} in range({block.count}):"]
    before = [f"{name} = {text}" for text, name in lanes.hoisted.items()]
    before += [f"{own.name} = {start_text(own.kind)}" for own in lanes.running.values()]
    joins = [(REDUCTIONS[own.kind].join, target, own.name) for target, own in lanes.running.items()]
    after = [f"{target} = {join.format(target, name)}" for join, target, name in joins]
    depth, body = len(nest.loops), list(map(lanes.statement, nest.body))
    given = _parameters(lanes)
    lines = [
        "@njit(**NEST)",
        *listed(f"def {nest.name}(", list(given), "):"),
        *([f'    """{nest.comment}"""'] if nest.comment else []),
        "    wide_and_unaliased()",
        *nest_lines(heads, body, {depth: before}, {depth: after}, "    "),
    ]
    return NestText(lines, given)


@dataclass(frozen=True)
class _Lanes:
    """What stands for entries in the loop over the lanes."""

    block: Block
    entries: Entries
    hoisted: Mapping[str, str]  # what is read before that loop, and its name
    running: Mapping[str, _Running]  # by the text of the entry

    @property
    def indices(self) -> dict[str, str]:
        """What stands for the index of the data."""
        return {self.block.axis: f"{self.block.first} + {self.block.axis}"}

    def statement(self, statement: Statement) -> Line:
        value = self._expression(statement.value)
        if isinstance(statement, Assignment):
            return Line(f"{statement.name} = {value}", statement.comment)
        if isinstance(statement, Store):
            return Line(f"{self._entry(statement.target)} = {value}", statement.comment)
        if self.block.is_running(statement):
            target = self.running[_running_text(self.block, self.entries, statement)].name
        else:
            target = self._entry(statement.target)
        return Line(f"{target} = {self.block.scope.joined(statement.kind, target, value)}", statement.comment)

    def _expression(self, expression: Expression) -> str:
        plain = without_elements(expression, self._entry)
        return expression_text(plain, self.block.scope.program.dtype, self.indices)

    def _entry(self, element: Element) -> str:
        """How an entry is read: from a number before the loop, from a row, or where it stands."""
        access, axis = self.entries.accesses[element], self.block.axis
        if access.way == "constant":
            return self.hoisted[_hoisted_text(self.block, element, access)]
        if access.way == "slice":
            return f"{self.hoisted[_hoisted_text(self.block, element, access)]}[{axis}]"
        data = self.block.scope.data(element.array)
        places = [
            axis if place == data else place_text(element, place, self._expression, self.indices)
            for place in range(len(element.index))
            if place != access.place
        ]
        if access.way == "lanes":
            places.append(axis)  # rows have the lanes last
        return f"{access.name}[{', '.join(places)}]"


# --- what is decided before anything is printed -----------------------------------------------------------------------


def _lanes(block: Block, entries: Entries) -> _Lanes:
    """What is read before the loop over the lanes, what is joined over them, and the names of both."""
    taken = set(block.scope.taken)
    hoisted: dict[str, str] = {}
    for element, access in entries.accesses.items():
        text = _hoisted_text(block, element, access)
        if text and text not in hoisted and element in entries.in_lanes:
            hoisted[text] = _fresh(entry_word(element, None if access.way == "constant" else access.place), taken)
    running: dict[str, _Running] = {}
    for statement in entries.nest.body:
        if isinstance(statement, Accumulate) and block.is_running(statement):
            text = _running_text(block, entries, statement)
            if text not in running:
                running[text] = _Running(_fresh(running_word(statement), taken), statement.kind)
    return _Lanes(block, entries, hoisted, running)


def _running_text(block: Block, entries: Entries, statement: Accumulate) -> str:
    """The entry that a statement adds to."""
    return block.scope.entry_text(statement.target, entries.accesses[statement.target].name)


def _hoisted_text(block: Block, element: Element, access: Access) -> str:
    """What is read before the loop over the lanes; empty where nothing is."""
    if access.way == "constant":
        return block.scope.entry_text(element, access.name)
    if access.way != "slice":
        return ""
    others = element._replace(index=element.index[: access.place])
    return f"{block.scope.entry_text(others, access.name)}[{block.span(access.shift)}]"


def _fresh(wanted: str, taken: set[str]) -> str:
    names = (wanted if number == 1 else f"{wanted}_{number}" for number in count(1))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def _parameters(lanes: _Lanes) -> dict[str, str]:
    """The parameters of a nest, and what its pass gives for each; the first index of the block where it needs that."""
    block, nest = lanes.block, lanes.entries.nest
    inside = {loop.axis for loop in nest.loops} | {own.name for own in nest.body if isinstance(own, Assignment)}
    found: dict[str, str] = {}
    for statement in nest.body:
        found |= _of_expression(lanes, statement.value)
        if not isinstance(statement, Assignment):
            found |= _of_entry(lanes, statement.target)
    found |= {name: name for loop in nest.loops for form in (*loop.low, *loop.high) for name, _ in form.terms}
    first = {block.first: block.first} if block.axis in found else {}
    given = {name: own for name, own in found.items() if name not in inside and name != block.axis}
    return {**given, **first, block.count: block.count}


def _of_expression(lanes: _Lanes, expression: Expression) -> dict[str, str]:
    """The names that an expression needs, and what is given for each; the index of the data where it says that."""
    found = {name: name for name in names_read(expression)}
    for part in walk(expression, entries=False):
        if isinstance(part, Element):
            found |= _of_entry(lanes, part)
    return found


def _of_entry(lanes: _Lanes, element: Element) -> dict[str, str]:
    access, axis = lanes.entries.accesses[element], lanes.block.axis
    data = lanes.block.scope.data(element.array)
    places = {
        name: name
        for place, index in enumerate(element.index)
        if isinstance(index, Affine) and place not in (data, access.place)
        for name, _ in index.terms
    }
    extents = {name: name for _, extent in element.clamped for name, _ in extent.terms}
    names, own = places | extents, {access.name: access.given}
    found = own | names if access.way == "anywhere" else names | own
    if access.way == "slice":
        found[axis] = axis
    for index in parts(element):
        found |= _of_expression(lanes, index)
    return found
