"""What the functions of a module over arrays share: names that nothing in the program has, what is known of arrays."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from ..program import Affine, Assignment, Element, Output, Program
from .arrays import elements_of, is_length, may_be_empty, padded_text, program_names
from .expressions import affine_text
from .names import free


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

    def local(self, wanted: str) -> str:
        """A name for a variable of a function that holds names of the program as well."""
        (name,) = free([wanted], self.taken)
        return name

    def order(self) -> list[str]:
        """All names that functions may be given, in one order."""
        program = self.program
        extents = [extent.name for extent in program.extents]
        return [*extents, *program.arguments, *self.kinds, *self.storages, *self.results]

    def is_array(self, name: str) -> bool:
        is_number = name not in self.inputs or not self.inputs[name].shape
        return not is_number or name in self.storages or name in self.results

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

    def given_shape(self, result: str) -> str:
        """The argument whose shape a gradient has, as the one that it is taken by; empty for other results."""
        output = self.results[result]
        is_gradient = len(output.by) == 1 and output.shape == self.inputs[output.by[0]].shape
        return output.by[0] if is_gradient else ""

    def result_shape(self, output: Output, module: str = "") -> str:
        """The shape of a result as text, () of a number; `module` is where max is."""
        if not output.shape:
            return "()"
        given = self.given_shape(output.name)
        return f"{given}.shape" if given else f"({', '.join(self._lengths_of(output, module))},)"

    def _lengths_of(self, output: Output, module: str) -> list[str]:
        texts = [(extent, affine_text(extent)) for extent in output.shape]
        known = [not extent.terms or is_length(extent, self.program.derived) for extent, _ in texts]
        return [text if own else f"{module}max(0, {text})" for own, (_, text) in zip(known, texts, strict=True)]

    def data(self, array: str) -> int | None:
        """Which place is that of the data in an array that lives for a while only; None for all other arrays."""
        storage = self.storages.get(array)
        return None if storage is None else storage.data

    def lengths(self, array: str) -> list[Affine]:
        """The shape of an array without the axis of the data, where that is not kept whole."""
        data = self.data(array)
        return [length for place, length in enumerate(self.shape(array)) if place != data]

    def needs_room(self, element: Element) -> bool:
        """Whether a place is held inside of an array that may have no entries: there is nowhere to go then."""
        shape = [self.shape(element.array)[place] for place, _ in element.clamped]
        return may_be_empty(shape, self.program.derived, element.array in self.storages)

    @cached_property
    def held(self) -> dict[str, str]:
        """What stands for the arrays that need room: an array of at least one entry."""
        elements = [element for statement in self.program.body for element in elements_of(statement)]
        arrays = {element.array for element in elements if self.needs_room(element)}
        return {array: self.free(f"{array}_held") for array in sorted(arrays)}

    def padded(self, array: str, module: str = "") -> list[str]:
        """`lengths`, each at least 1; `module` is where max is."""
        return [padded_text(length, module) for length in self.lengths(array)]

    def kind(self, name: str) -> str:
        """Of an array or a number: real, integer, boolean; or extent."""
        if name in self.inputs:
            return self.inputs[name].kind
        if name in self.storages:
            return self.storages[name].kind
        is_extent = any(extent.name == name for extent in self.program.extents)
        return "extent" if is_extent else self.kinds.get(name, "real")
