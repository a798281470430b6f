"""Inputs of a kernel as one flat vector, one after the other, each row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from ..analysis.extents import numeric
from ..errors import ShapeError
from ..result import by_name
from .batch import size_of
from .compiled import Compiled
from .runner import Runner


class FlatInputs:
    """A function of one flat vector: the inputs of a kernel that are not fixed, one after the other, each row by row.

    Shapes of arrays are those of the first `pack`, or of the fixed inputs where these tell them. Extents that are
    arguments are fixed.

    Attributes:
        free: The positions of the inputs that are not fixed, among the arguments of the kernel.
        symbols: These inputs, as symbols.
        shapes: Their shapes, () for a number; None until they are known.
    """

    def __init__(
        self,
        compiled: Compiled,
        runner: Runner,
        fixed: Mapping[int, Any],
        free: Sequence[int] | None = None,
        extents: Mapping[str, int] | None = None,
    ) -> None:
        """`free` are the inputs of the vector in another order, `extents` those that no fixed input tells."""
        args, wrt = compiled.args, compiled.wrt
        self._extents = extents or {}
        self.free: list[int] = [place for place in range(len(args)) if place not in fixed] if free is None else [*free]
        self.symbols: tuple[sympy.Symbol, ...] = tuple(args[position] for position in self.free)
        lacking = [symbol.name for symbol in self.symbols if symbol not in wrt]
        if lacking:
            raise ValueError(f"the kernel has no derivative by {', '.join(lacking)}: fix it, or compile with it in wrt")
        self._runner = runner
        self._positions = [wrt.index(symbol) for symbol in self.symbols]
        self._values: list[Any] = [None] * len(args)
        for position, value in fixed.items():
            self._values[position] = runner.hold(position, value)
        self.shapes: list[tuple[int, ...]] | None = None
        self._sizes: list[int] = []
        self._length, self._are_numbers = (0,), False
        numbers: list[tuple[int, ...]] = [()] * len(self.free)
        known = self._known_shapes(list(fixed)) if compiled.has_arrays else numbers
        if known is not None:
            self._keep(known)

    def _keep(self, shapes: list[tuple[int, ...]]) -> None:
        self.shapes, self._sizes = shapes, list(map(size_of, shapes))
        self._length, self._are_numbers = (sum(self._sizes),), not any(shapes)

    def _known_extents(self, fixed: Iterable[int]) -> dict[str, int]:
        """Those that the fixed inputs tell, and those that are given."""
        arguments = self._runner.arguments
        given = {position: arguments.shape_or_extent(position, self._values[position]) for position in fixed}
        return {**arguments.extents_of(given), **self._extents}

    def _known_shapes(self, fixed: Iterable[int]) -> list[tuple[int, ...]] | None:
        arguments, sizes = self._runner.arguments, self._known_extents(fixed)
        try:
            return [tuple(numeric(extent, sizes) for extent in arguments.shapes[position]) for position in self.free]
        except KeyError:
            return None

    def values(self, vector: Any) -> list[Any]:
        """The values of all arguments of the kernel at a vector.

        Args:
            vector: The free inputs, one after the other, as `pack` makes it.

        Returns:
            A value for each argument, in order.

        Raises:
            ShapeError: The vector has another length, or shapes are not known yet.
        """
        values = list(self._values)
        for position, part in zip(self.free, self._parts(vector), strict=True):
            values[position] = part
        return values

    def pack(self, **values: Any) -> Any:
        """The flat vector of the free inputs; their shapes are kept for `unpack`.

        Args:
            **values: Each free input by name: a number, or an array of its shape.

        Returns:
            The vector, in float64.

        Raises:
            ShapeError: An array has more or fewer axes than its input.
            ValueError: A free input is missing, or a name is none of them.
        """
        arrays = [np.asarray(value, np.float64) for value in self._in_order(values, "the free inputs")]
        for position, symbol, array in zip(self.free, self.symbols, arrays, strict=True):
            if array.ndim != (rank := self._runner.arguments.ranks[position]):
                wanted = f"an array with {rank} {'axis' if rank == 1 else 'axes'}" if rank else "one number"
                raise ShapeError(f"{symbol.name} wants {wanted} in an objective, not an array of shape {array.shape}")
        self._keep([array.shape for array in arrays])
        return np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)

    def _in_order(self, values: Mapping[str, Any], what: str) -> list[Any]:
        """What is given by name for each free input. ValueError where one is missing, or a name is none of them."""
        given = {by_name(self.symbols, name, what): value for name, value in values.items()}
        missing = [symbol.name for position, symbol in enumerate(self.symbols) if position not in given]
        if missing:
            raise ValueError(f"missing {', '.join(missing)}")
        return [given[position] for position in range(len(self.symbols))]

    def unpack(self, vector: Any) -> dict[str, Any]:
        """The free inputs of a vector, each of its shape.

        Args:
            vector: As for the call of an objective.

        Returns:
            The inputs by name: numbers, and views of the vector.

        Raises:
            ShapeError: The vector has another length, or shapes are not known yet.
        """
        return dict(zip([symbol.name for symbol in self.symbols], self._parts(vector), strict=True))

    def _parts(self, vector: Any) -> list[Any]:
        """The free inputs, each of its shape."""
        flat, shapes = np.asarray(vector, np.float64), self.shapes
        if shapes is None or flat.shape != self._length:
            raise self._misfit(flat)
        if self._are_numbers:
            numbers: list[Any] = flat.tolist()
            return numbers
        found, start = [], 0
        for shape, size in zip(shapes, self._sizes, strict=True):
            part = flat[start : start + size].reshape(shape)
            found.append(part if shape else float(part))
            start += size
        return found

    def _misfit(self, flat: Any) -> ShapeError:
        names = [symbol.name for symbol in self.symbols]
        if self.shapes is None:
            return ShapeError(f"the shapes of {', '.join(names)} are not known yet: make the vector with pack")
        listed = ", ".join(f"{n} {shape}" if shape else n for n, shape in zip(names, self.shapes, strict=True))
        return ShapeError(f"a vector of {sum(self._sizes)} elements wanted ({listed}), not of shape {flat.shape}")
