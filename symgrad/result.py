"""What a kernel returns: the value and the gradient, by position, by name and by symbol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy


class Gradient(tuple[Any, ...]):
    """The partial derivatives in `wrt` order; also by name or symbol: `grad["x"]`, `grad[x]`, `grad.as_dict()`.

    A derivative by an array has the shape of that array; the shape of points or of a batch stands in front. A name that
    is not in `wrt`, or that two symbols share, raises ValueError, a symbol that is not in `wrt` KeyError.

    Attributes:
        wrt: The inputs that are differentiated for, in order.
    """

    __slots__ = ()
    wrt: tuple[sympy.Symbol, ...]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, slice)):
            return super().__getitem__(key)
        if isinstance(key, str):
            return super().__getitem__(by_name(self.wrt, key, "wrt"))
        if key in self.wrt:
            return super().__getitem__(self.wrt.index(key))
        raise KeyError(f"{key!r} is not in wrt: {', '.join(symbol.name for symbol in self.wrt)}")

    def as_dict(self) -> dict[str, Any]:
        """The derivatives by name.

        Returns:
            Each derivative under the name of its input, in `wrt` order.

        Raises:
            ValueError: Two symbols share a name.
        """
        return {symbol.name: self[symbol.name] for symbol in self.wrt}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored_gradient, (tuple(self), self.wrt)


def gradient_class(wrt: tuple[sympy.Symbol, ...]) -> type[Gradient]:
    """The gradients of one kernel: `wrt` stands on the class, so that making one is as quick as making a tuple."""
    return type("Gradient", (Gradient,), {"wrt": wrt, "__slots__": ()})


def _restored_gradient(values: tuple[Any, ...], wrt: tuple[sympy.Symbol, ...]) -> Gradient:
    return gradient_class(wrt)(values)


new_tuple, Array = tuple.__new__, np.ndarray


class Result(NamedTuple):
    """What a kernel returns, `(value, grad)`: numbers for one point, arrays of the broadcast shape for many.

    Attributes:
        value: The value of the expression.
        grad: The partial derivatives as a `Gradient`; or, where `wrt` was one symbol, the derivative by it.
    """

    value: Any
    grad: Any


def by_name(symbols: Sequence[sympy.Symbol], name: str, what: str) -> int:
    """The position of the symbol of that name. ValueError where two share it, KeyError-free where none has it."""
    positions = [position for position, symbol in enumerate(symbols) if symbol.name == name]
    if len(positions) > 1:
        listed = " and ".join(f"{symbols[p].name} ({_assumptions(symbols[p])})" for p in positions)
        raise ValueError(f"two symbols are named {name!r}: {listed}; use the position or the symbol itself")
    if not positions:
        raise ValueError(f"no symbol {name!r} in {what}: {', '.join(symbol.name for symbol in symbols)}")
    return positions[0]


def _assumptions(symbol: sympy.Symbol) -> str:
    own = getattr(symbol, "_assumptions_orig", {})
    return ", ".join(f"{key}={value}" for key, value in sorted(own.items())) or "no assumptions"
