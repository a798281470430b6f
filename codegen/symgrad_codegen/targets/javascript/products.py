"""Products of matrices in JavaScript: three plain loops, or two where one index is that of the data."""

from __future__ import annotations

from collections.abc import Callable

from ...program import Affine, Element, Operand, Product
from .entries import Bounds, Entries


class ProductText:
    """The loops of one product, in an order in which memory is walked along rows.

    Over inner, then columns; over inner last, with a running sum, where both factors lie along it. Within a pass one of
    rows, columns and inner is the axis of the data, whose loop is open.
    """

    def __init__(self, entries: Entries, step: Product, data: str | None, total: str, factor: str) -> None:
        self.entries, self.step, self.total, self.factor = entries, step, total, factor
        self.row, self.column = step.target.axes
        is_left = self.row in step.left.axes
        self.left, self.right = (step.left, step.right) if is_left else (step.right, step.left)
        self.loops = {axis: self._bounds(axis) for axis in (self.row, step.inner, self.column) if axis != data}
        self.opened: list[str] = []

    def lines(self, indent: str) -> list[str]:
        comment = [f"// {self.step.comment}"] if self.step.comment else []
        lies_along = self.step.inner in self.loops and self.right.axes[-1] == self.step.inner == self.left.axes[-1]
        body = self._by_sums() if self.column not in self.loops or lies_along else self._by_rows()
        return [indent + line for line in (*comment, *body)]

    def _by_sums(self) -> list[str]:
        left, right, target = map(self._entry, (self.left, self.right, self.step.target))
        lines = [*self._begin(self.row), *self._begin(self.column)]
        depth = len(self.opened)
        lines.append(self._line(f"let {self.total} = 0;"))
        lines += self._begin(self.step.inner)
        lines.append(self._line(f"{self.total} += {left()} * {right()};"))
        lines += self._end(depth)
        lines.append(self._line(f"{target()} {'+=' if self.step.adds else '='} {self.total};"))
        return lines + self._end(0)

    def _by_rows(self) -> list[str]:
        left, right, target = map(self._entry, (self.left, self.right, self.step.target))
        lines = self._begin(self.row)
        depth = len(self.opened)
        if not self.step.adds:
            lines += self._begin(self.column)
            lines.append(self._line(f"{target()} = 0;"))
            lines += self._end(depth)
        lines += self._begin(self.step.inner)
        lines.append(self._line(f"const {self.factor} = {left()};"))
        lines += self._begin(self.column)
        lines.append(self._line(f"{target()} += {self.factor} * {right()};"))
        return lines + self._end(0)

    def _begin(self, axis: str) -> list[str]:
        """Opens the loop over an axis, where the product has one."""
        if axis not in self.loops:
            return []
        line = self._line(self.entries.open(axis, *self.loops[axis]))
        self.opened.append(axis)
        return [line]

    def _end(self, depth: int) -> list[str]:
        """Closes loops until so many are open."""
        lines = []
        while len(self.opened) > depth:
            self.entries.close([self.opened.pop()])
            lines.append(self._line("}"))
        return lines

    def _line(self, text: str) -> str:
        return "    " * len(self.opened) + text

    def _entry(self, own: Operand) -> Callable[[], str]:
        """An entry as text, once its loops are open."""
        element = Element(own.array, tuple(Affine(((axis, 1),)) for axis in own.axes))
        return lambda: self.entries.place(element)

    def _bounds(self, axis: str) -> Bounds:
        step = self.step
        operand = next(own for own in (step.target, step.left, step.right) if axis in own.axes)
        length = self.entries.scope.shape(operand.array)[operand.axes.index(axis)]
        return (Affine(()),), (length._replace(offset=length.offset - 1),)
