"""What the functions of a module over arrays share: names that nothing in the program has, types, entries as text."""

from __future__ import annotations

from collections.abc import Iterable

from ...program import REDUCTIONS, Affine, Assignment, Element, Expression, Program
from ...text.arrays import may_be_empty, numba_type, number_text, program_names, without_elements
from ...text.expressions import affine_text, expression_text


class Scope:
    """The names of one module, and what is known of the arrays and numbers of its program."""

    def __init__(self, program: Program, reserved: Iterable[str]) -> None:
        self.program = program
        self.storages = {own.name: own for own in program.storages}
        self.inputs = {own.name: own for own in program.inputs}
        self.results = program.results
        self.kinds = {step.name: step.kind for step in program.steps if isinstance(step, Assignment)}
        self.taken = {*reserved, program.name, *program_names(program)}
        self.held_names: dict[str, str] = {}
        self.held_here: dict[str, None] = {}  # in the function outside of the passes that is being written
        self.functions: list[list[str]] = []
        self.compiled: dict[str, list[str]] = {}  # what is called from Python, and its argument types

    def free(self, wanted: str) -> str:
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

    def held_name(self, array: str) -> str:
        """What stands for an array where places are held inside: it has an entry, also where the array has none."""
        if array not in self.held_names:
            self.held_names[array] = self.free(f"{array}_held")
        return self.held_names[array]

    def held_line(self, array: str) -> str:
        shape = ", ".join(self.padded(array))
        return f"    {self.held_name(array)} = {array} if {array}.size else np.zeros(({shape},), {array}.dtype)"

    def padded(self, array: str) -> list[str]:
        """The lengths of an array, each at least 1."""
        lengths = self.shape(array)
        return [f"max(1, {affine_text(own)})" if own.terms else str(max(1, own.offset)) for own in lengths]

    def local(self, wanted: str) -> str:
        """A name for a variable of a function that holds names of the program as well."""
        name = wanted
        while name in self.taken:
            name += "_"
        return name

    def type(self, name: str) -> str:
        """The Numba type of an argument."""
        dtype = self.program.dtype
        kind = numba_type(self.kind(name), dtype)
        own = self.inputs.get(name)
        if name in self.storages or name in self.results or (own is not None and own.shape):
            return f"types.Array({kind}, {self.rank(name)}, 'C')"
        return kind

    def kind(self, name: str) -> str:
        """Of an array or a number: real, integer, boolean; or extent."""
        if name in self.inputs:
            return self.inputs[name].kind
        if name in self.storages:
            return self.storages[name].kind
        is_extent = any(extent.name == name for extent in self.program.extents)
        return "extent" if is_extent else self.kinds.get(name, "real")

    def order(self) -> list[str]:
        """All names that functions get from the kernel, in one order."""
        program = self.program
        scalars = [step.name for step in program.steps if isinstance(step, Assignment)]
        return [
            *(extent.name for extent in program.extents),
            *program.arguments,
            *scalars,
            *self.storages,
            *self.results,
        ]

    def joined(self, kind: str, one: str, two: str) -> str:
        if kind == "sum":
            return f"running_sum({one}, {two})"
        return REDUCTIONS[kind].join.format(one, two if two.isidentifier() else f"({two})")

    def start(self, kind: str) -> str:
        return f"real({number_text(REDUCTIONS[kind].start)})"

    def direct(self, expression: Expression, lanes: dict[str, str]) -> str:
        """An expression as text, every entry read where it stands; `lanes` say what stands for a loop index."""
        return expression_text(without_elements(expression, lambda e: self.entry_text(e, lanes)), self.program.dtype)

    def entry_text(self, element: Element, lanes: dict[str, str], array: str = "") -> str:
        """An entry; `array` is what stands for its array where that is not its own name."""
        if not array and self.needs_room(element):
            self.held_here[element.array] = None
            array = self.held_name(element.array)
        places = (self.place_text(element, place, lanes) for place in range(len(element.index)))
        return f"{array or element.array}[{', '.join(places)}]"

    def place_text(self, element: Element, place: int, lanes: dict[str, str]) -> str:
        index = element.index[place]
        held = dict(element.clamped)
        text = affine_text(index, lanes) if isinstance(index, Affine) else self.direct(index, lanes)
        return f"clamped({text}, {affine_text(held[place])})" if place in held else text
