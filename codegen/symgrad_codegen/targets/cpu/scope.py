"""What the functions of a module over arrays share: types, entries as text, how what is accumulated is joined."""

from __future__ import annotations

from typing import NamedTuple

from ...program import Element, Expression
from ...reductions import REDUCTIONS
from ...text.arrays import numba_type, place_text, without_elements
from ...text.expressions import expression_text
from ...text.scope import ArrayScope


class Compiled(NamedTuple):
    """A function that is called from Python and from compiled code, with those that only it calls before it."""

    name: str
    given: list[str]  # names of the kernel
    types: list[str]  # of all its arguments
    functions: list[list[str]]
    made: tuple[str, ...] = ()  # the numbers that it returns


class Scope(ArrayScope):
    """The names of one module, and how entries of its arrays are read and joined."""

    def held_line(self, array: str) -> str:
        shape = ", ".join(self.padded(array))
        return f"    {self.held[array]} = {array} if {array}.size else np.zeros(({shape},), {array}.dtype)"

    def type(self, name: str) -> str:
        """The Numba type of an argument."""
        kind = numba_type(self.kind(name), self.program.dtype)
        return f"types.Array({kind}, {self.rank(name)}, 'C')" if self.is_array(name) else kind

    def joined(self, kind: str, one: str, two: str) -> str:
        if kind == "sum":
            return f"running_sum({one}, {two})"
        return REDUCTIONS[kind].join.format(one, two if two.isidentifier() else f"({two})")

    def direct(self, expression: Expression) -> str:
        """An expression as text, every entry read where it stands."""
        return expression_text(without_elements(expression, self.entry_text), self.program.dtype)

    def entry_text(self, element: Element, array: str = "") -> str:
        """An entry; `array` is what stands for its array where that is not its own name."""
        own = array or (self.held[element.array] if self.needs_room(element) else element.array)
        places = (place_text(element, place, self.direct) for place in range(len(element.index)))
        return f"{own}[{', '.join(places)}]"
