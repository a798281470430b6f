"""What a kernel returns: values and derivatives, by position, by name and by symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sympy


class Gradient(tuple[Any, ...]):
    """The partial derivatives in `wrt` order; also by name or symbol: `grad["x"]`, `grad[x]`, `grad.as_dict()`.

    A derivative by an array has the shape of that array; the shape of points or of a batch stands in front. A name that
    is not in `wrt`, or that two symbols share, raises ValueError, a symbol that is not in `wrt` KeyError. Where parts
    are themselves by name, several names go to the parts of parts: `hessian["x", "y"]` is `hessian["x"]["y"]`.

    Attributes:
        wrt: The inputs that are differentiated for, in order.
    """

    __slots__ = ()
    wrt: tuple[sympy.Symbol, ...]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, slice)):
            return super().__getitem__(key)
        if isinstance(key, tuple) and key:
            first = self[key[0]]
            return first[key[1:] if len(key) > 2 else key[1]] if len(key) > 1 else first
        return super().__getitem__(place_of(self.wrt, key))

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


class JacobianResult(NamedTuple):
    """What a kernel of a Jacobian returns, `(value, jacobian)`.

    Attributes:
        value: The values, in the structure that the expressions were given in: numbers in lists and matrices are one
            array of that shape; the shape of points stands in front.
        jacobian: Of numbers by numbers a `NamedArray` of shape `(..., m, n)`: a row for each number among the outputs,
            in order, a column for each input of `wrt`. Where outputs or inputs are arrays, in the structure of the
            outputs, of each a `Gradient` of arrays of its shape and then that of the input.
    """

    value: Any
    jacobian: Any


class HessianResult(NamedTuple):
    """What a kernel of a Hessian returns, `(value, grad, hessian)`.

    Attributes:
        value: The value of the expression.
        grad: The partial derivatives as a `Gradient`; or, where `wrt` was one symbol, the derivative by it.
        hessian: By numbers a `NamedArray` of shape `(..., n, n)`. Where inputs are arrays a `Gradient` of `Gradient`s:
            `hessian["x", "y"]` has the shape of x and then that of y.
    """

    value: Any
    grad: Any
    hessian: Any


class JvpResult(NamedTuple):
    """What `Kernel.jvp` returns, `(value, jvp)`.

    Attributes:
        value: The values, in the structure of the expressions.
        jvp: The Jacobian times the tangents: of each value how fast it changes, in the same structure and shapes.
    """

    value: Any
    jvp: Any


class VjpResult(NamedTuple):
    """What `Kernel.vjp` returns, `(value, vjp)`.

    Attributes:
        value: The values, in the structure of the expressions.
        vjp: The cotangents times the Jacobian: by numbers a `NamedArray` of shape `(..., n)`, by arrays a `Gradient`.
    """

    value: Any
    vjp: Any


class HvpResult(NamedTuple):
    """What `Kernel.hvp` returns, `(value, hvp)`.

    Attributes:
        value: The value of the expression.
        hvp: The Hessian times the vector: by numbers a `NamedArray` of shape `(..., n)`, by arrays a `Gradient`.
    """

    value: Any
    hvp: Any


# Of each name among the outputs: the first row and the one after the last, and the shape of the array that these are or
# the names within.
Rows: TypeAlias = Mapping[Any, tuple[int, int, "tuple[int, ...] | Rows"]]


class NamedArray(np.ndarray[Any, Any]):
    """An array of NumPy that also answers to names along its last axes, as it was returned: its parts are plain arrays.

    Of a Jacobian `jacobian["g"]` are the rows of the output of that name, and `jacobian["g", "x"]`, or
    `jacobian["g"]["x"]`, is the derivative by x. Where no output has a name, `jacobian["x"]` is the column of x. Of a
    Hessian `hessian["x"]` is the row of x, and `hessian["x", "y"]` an entry. Symbols do as well as names.
    """

    _columns: tuple[sympy.Symbol, ...] | None = None
    _rows: Rows | tuple[sympy.Symbol, ...] | None = None

    def __getitem__(self, key: Any) -> Any:
        array = self.view(np.ndarray)
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if not isinstance(first, (str, sympy.Basic)):
            return array[key]
        if self._columns is None:
            raise TypeError(f"the name {first!r}: names are those of the whole array, and this is a part of it")
        part = self._row(array, first) if self._rows is not None else array[..., place_of(self._columns, first)]
        return part[rest if len(rest) > 1 else rest[0]] if rest else part

    def _row(self, array: Any, key: Any) -> Any:
        columns, rows = self._columns or (), self._rows or {}
        if isinstance(rows, tuple):
            return named_array(array[..., place_of(rows, key), :], columns, None)
        name = next((own for own in rows if own == key or str(own) == key), None)
        if name is None:
            raise ValueError(f"no output {key!r}; the outputs are {', '.join(map(str, rows))}")
        start, stop, inner = rows[name]
        own = array[..., start:stop, :]
        if isinstance(inner, tuple):
            return named_array(own.reshape(*own.shape[:-2], *inner, own.shape[-1]), columns, None)
        within = {key: (low - start, high - start, part) for key, (low, high, part) in inner.items()}
        return named_array(own, columns, within)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What is computed of it is a plain array."""
        return array[()] if return_scalar else array.view(np.ndarray)

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    def __reduce__(self) -> Any:
        return _restored_array, (np.array(self), self._columns, self._rows)


def named_array(array: Any, columns: tuple[sympy.Symbol, ...], rows: Rows | tuple[sympy.Symbol, ...] | None) -> Any:
    """An array with names along its last axis, and along the last but one where there are `rows`.

    One on a device stays as it is.
    """
    if not isinstance(array, Array):
        return array
    named = array.view(NamedArray)
    named._columns, named._rows = columns, rows
    return named


def _restored_array(array: Any, columns: Any, rows: Any) -> Any:
    return array if columns is None else named_array(array, columns, rows)


def place_of(symbols: Sequence[sympy.Symbol], key: Any) -> int:
    """The position of a symbol in `wrt`, given by itself or by name. ValueError and KeyError as `Gradient` says."""
    if isinstance(key, str):
        return by_name(symbols, key, "wrt")
    if key in symbols:
        return symbols.index(key)
    raise KeyError(f"{key!r} is not in wrt: {', '.join(symbol.name for symbol in symbols)}")


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
