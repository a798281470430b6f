"""The arguments of functions of one vector: what varies, what each call gives besides, and what is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from .errors import ShapeError
from .graph.graph import sizes_of
from .kernel.flat import FlatInputs
from .kernel.kernel import Kernel
from .lower.lower import free_symbols, natural_order
from .result import by_name


class Numbers:
    """The arguments of kernels of numbers: a vector has one entry for each that varies."""

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        varying: Sequence[sympy.Symbol],
        before: Sequence[sympy.Symbol],
        given: Mapping[Any, Any],
        what: str,
    ) -> None:
        self._varying, self._before = tuple(varying), tuple(before)
        own = {*varying, *before}
        used = sorted(free_symbols(*expressions) - own, key=natural_order)
        found: dict[sympy.Symbol, Any] = {}
        for key, value in given.items():
            if any(key in (symbol, symbol.name) for symbol in own):
                raise ValueError(f"{key} is {what}: it has no fixed value")
            same = [symbol for symbol in used if key in (symbol, symbol.name)]
            if len(same) != 1:
                names = ", ".join(symbol.name for symbol in used) or "none"
                wrong = (
                    "is the name of two symbols: give the symbol itself" if same else f"is not used; there are {names}"
                )
                raise ValueError(f"the fixed value of {key} {wrong}")
            found[same[0]] = value if np.ndim(value) == 0 else np.asarray(value, np.float64)
        _check_lacking([symbol.name for symbol in used if symbol not in found])
        self._fixed: list[Any] = [found[symbol] for symbol in used]
        self.arguments: list[Any] = [*before, *varying, *used]
        self.sizes = [1] * len(self._varying)

    def values(self, vector: Any, *before: Any) -> list[Any]:
        """All arguments of a kernel: what each call gives, the entries of a vector along its first axis, the fixed."""
        array = np.asarray(vector, np.float64)
        if array.ndim == 0 or len(array) != len(self._varying):
            names = ", ".join(symbol.name for symbol in self._varying)
            raise ShapeError(f"a vector of {len(self._varying)} ({names}) wanted, not of shape {array.shape}")
        entries: list[Any] = array.tolist() if array.ndim == 1 else list(array)
        return [*before[: len(self._before)], *entries, *self._fixed]

    def pack(self, **values: Any) -> Any:
        """See `FlatInputs.pack`."""
        given = {by_name(self._varying, name, "what varies"): value for name, value in values.items()}
        missing = [symbol.name for place, symbol in enumerate(self._varying) if place not in given]
        if missing:
            raise ValueError(f"missing {', '.join(missing)}")
        return np.array([float(given[place]) for place in range(len(self._varying))])

    def unpack(self, vector: Any) -> dict[str, Any]:
        """See `FlatInputs.unpack`."""
        entries = self.values(vector, *self._before)[len(self._before) :]
        return dict(zip([symbol.name for symbol in self._varying], entries, strict=False))


class Arrays(FlatInputs):
    """The arguments of kernels with arrays: a vector has the entries of what varies one after the other."""

    def __init__(self, kernel: Kernel, before: Sequence[sympy.Symbol], given: Mapping[Any, Any], what: str) -> None:
        args, arguments = kernel.args, kernel._runner.arguments
        extents = {size.name for size in sizes_of(kernel._compiled.definition)} - {symbol.name for symbol in args}
        told = {name: value for key, value in given.items() if (name := getattr(key, "name", key)) in extents}
        rest = {key: value for key, value in given.items() if getattr(key, "name", key) not in extents}
        fixed = {arguments.position(key): value for key, value in rest.items()}
        for place, value in fixed.items():
            symbol, rank = args[place], arguments.ranks[place]
            if symbol in kernel.wrt or symbol in before:
                raise ValueError(f"{symbol.name} is {what}: it has no fixed value")
            if np.ndim(value) != rank:
                wanted = f"an array of {rank} {'axis' if rank == 1 else 'axes'}" if rank else "a number"
                raise ValueError(f"{symbol.name} is fixed at an array of shape {np.shape(value)}: {wanted} is wanted")
        self._called = [place for place, symbol in enumerate(args) if symbol in before]
        fixed |= dict.fromkeys(self._called, 0.0)
        _check_lacking([own.name for place, own in enumerate(args) if place not in fixed and own not in kernel.wrt])
        order = [args.index(symbol) for symbol in kernel.wrt]
        super().__init__(kernel._compiled, kernel._runner, fixed, order, told)

    @property
    def sizes(self) -> list[int]:
        """How many numbers each of what varies has."""
        return self._sizes

    def check_shapes(self, parts: Sequence[Any]) -> None:
        """Raises ShapeError where a part of a right-hand side is not of the shape of what it is the derivative of."""
        count = len(self.symbols)
        own = [np.shape(entry) for part in parts for entry in (part if len(parts) < count else [part])]
        for symbol, shape, wanted in zip(self.symbols, own, self.shapes or [], strict=True):
            if shape != wanted:
                raise ShapeError(f"the equation of {symbol.name} has the shape {shape}, and {symbol.name} {wanted}")

    def values(self, vector: Any, *before: Any) -> list[Any]:
        """All arguments of a kernel."""
        found = super().values(vector)
        for place in self._called:
            found[place] = before[0]
        return found


def _check_lacking(names: Sequence[str]) -> None:
    if names:
        raise ValueError(f"no value for {', '.join(names)}: give it by name, or let it vary")
