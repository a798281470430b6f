"""What the functions of a module over arrays share: names that nothing in the program has, types, entries as text."""

from __future__ import annotations

from collections.abc import Iterable

from ...program import REDUCTIONS, Affine, Assignment, Element, Expression, Program
from ...text.arrays import numba_type, number_text, without_elements
from ...text.expressions import affine_text, expression_text
from ...text.scope import ArrayScope


class Scope(ArrayScope):
    """The names of one module, and how entries of its arrays are read and joined."""

    def __init__(self, program: Program, reserved: Iterable[str]) -> None:
        super().__init__(program, reserved)
        self.held_names: dict[str, str] = {}
        self.held_here: dict[str, None] = {}  # in the function outside of the passes that is being written
        self.functions: list[list[str]] = []
        self.compiled: dict[str, list[str]] = {}  # what is called from Python, and its argument types

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
