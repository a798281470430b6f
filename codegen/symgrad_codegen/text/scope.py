"""What the functions of a module over arrays share: names that nothing in the program has, what is known of arrays."""

from __future__ import annotations

from collections.abc import Iterable

from ..program import Affine, Assignment, Element, Program
from .arrays import may_be_empty, program_names


class ArrayScope:
    """The names of one module, and what is known of the arrays and numbers of its program."""

    def __init__(self, program: Program, reserved: Iterable[str]) -> None:
        self.program = program
        self.storages = {own.name: own for own in program.storages}
        self.inputs = {own.name: own for own in program.inputs}
        self.results = program.results
        self.kinds = {step.name: step.kind for step in program.steps if isinstance(step, Assignment)}
        self.taken = {*reserved, program.name, *program_names(program)}

    def free(self, wanted: str) -> str:
        """`wanted`, or with a number behind it: a name that nothing has, and that is taken then."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def rank(self, array: str) -> int:
        if array in self.storages:
            return max(1, len(self.storages[array].shape))
        if array in self.results:
            return max(1, len(self.results[array].shape))
        return len(self.inputs[array].shape)

    def shape(self, array: str) -> tuple[Affine, ...]:
        if array in self.storages:
            return self.storages[array].shape
        return self.results[array].shape if array in self.results else self.inputs[array].shape

    def needs_room(self, element: Element) -> bool:
        """Whether a place is held inside of an array that may have no entries: there is nowhere to go then."""
        shape = [self.shape(element.array)[place] for place, _ in element.clamped]
        return may_be_empty(shape, self.program.derived, element.array in self.storages)

    def kind(self, name: str) -> str:
        """Of an array or a number: real, integer, boolean; or extent."""
        if name in self.inputs:
            return self.inputs[name].kind
        if name in self.storages:
            return self.storages[name].kind
        is_extent = any(extent.name == name for extent in self.program.extents)
        return "extent" if is_extent else self.kinds.get(name, "real")
