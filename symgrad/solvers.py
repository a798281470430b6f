"""What SciPy's solvers call: residuals for `least_squares` and `root`, right-hand sides for `solve_ivp`.

Each is two kernels, one of the values alone and one with the Jacobian, made when it is first asked for: a solver calls
the first more often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from .compiler import compile
from .errors import ShapeError
from .kernel.kernel import Kernel
from .lower.lower import free_symbols, natural_order
from .outputs import split


class _Kernels:
    """The kernels of some expressions: of values alone, and with the Jacobian by what varies."""

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        varying: Sequence[sympy.Symbol],
        before: Sequence[sympy.Symbol],
        fixed: _Fixed,
    ) -> None:
        self._expressions, self._varying, self._fixed = list(expressions), tuple(varying), fixed
        self._arguments = [*before, *varying, *fixed.symbols]

    @cached_property
    def _values(self) -> Kernel:
        return compile(self._expressions, self._arguments, derivative=None)

    @cached_property
    def _jacobian(self) -> Kernel:
        return compile(self._expressions, self._arguments, self._varying, derivative="jacobian")


class Residuals(_Kernels):
    """Residuals of some unknowns, and their Jacobian, as functions of one vector. Made by `symgrad.residuals`.

    Attributes:
        unknowns: The symbols that a vector holds the values of, in order.
    """

    def __init__(self, expressions: Sequence[sympy.Basic], unknowns: Sequence[sympy.Symbol], fixed: _Fixed) -> None:
        self.unknowns: tuple[sympy.Symbol, ...] = tuple(unknowns)
        super().__init__(expressions, unknowns, (), fixed)

    def fun(self, vector: Any) -> Any:
        """The residuals, as `scipy.optimize.least_squares` and `root` want them.

        Args:
            vector: The unknowns, of shape (n,).

        Returns:
            A float64 array of shape (m,): of m expressions at one point; of arrays of p points of shape (p*m,), all
            expressions at the first point first.

        Raises:
            ShapeError: The vector has another length.
        """
        return np.ravel(self._values(*self._point(vector)))

    def jac(self, vector: Any) -> Any:
        """The Jacobian of the residuals.

        Args:
            vector: As for `fun`.

        Returns:
            A float64 array with a row for each residual and a column for each unknown, of shape (m, n) or (p*m, n).

        Raises:
            ShapeError: The vector has another length.
        """
        found = np.asarray(self._jacobian(*self._point(vector)).jacobian)
        return found.reshape(-1, len(self.unknowns))

    def _point(self, vector: Any) -> list[Any]:
        return [*_numbers(vector, self.unknowns, "the unknowns"), *self._fixed.values]


class System(_Kernels):
    """The right-hand side of ordinary differential equations y' = f(t, y). Made by `symgrad.ode`.

    Attributes:
        state: The symbols that y holds the values of, in order.
    """

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        state: Sequence[sympy.Symbol],
        time: sympy.Symbol | None,
        fixed: _Fixed,
    ) -> None:
        self.state: tuple[sympy.Symbol, ...] = tuple(state)
        self._time = [] if time is None else [time]
        super().__init__(expressions, state, self._time, fixed)

    def fun(self, t: Any, y: Any) -> Any:
        """The derivatives of the state by time, as `scipy.integrate.solve_ivp` wants them.

        Args:
            t: The time.
            y: The state, of shape (n,); or (n, k), k states side by side, as `vectorized=True` gives it.

        Returns:
            A float64 array of the shape of y.

        Raises:
            ShapeError: The state has another length.
        """
        found = self._values(*self._point(t, y))
        return found if np.ndim(y) == 1 else np.moveaxis(found, -1, 0)

    def jac(self, t: Any, y: Any) -> Any:
        """The Jacobian of the right-hand side by the state.

        Args:
            t: The time.
            y: The state, of shape (n,).

        Returns:
            A float64 array of shape (n, n): row i has the derivatives of the i-th equation.

        Raises:
            ShapeError: The state has another length.
        """
        return np.asarray(self._jacobian(*self._point(t, y)).jacobian)

    def _point(self, t: Any, y: Any) -> list[Any]:
        return [*([t] if self._time else []), *_numbers(y, self.state, "the state"), *self._fixed.values]


def residuals(expr: Any, unknowns: Any, fixed: Mapping[Any, Any] | None = None, /, **by_name: Any) -> Residuals:
    """Residuals and their Jacobian for `scipy.optimize.least_squares` and `root`.

    Args:
        expr: What should become zero: an expression, or a list, Matrix or other structure of several.
        unknowns: The symbols to be found, in the order of the vector; or one of them.
        fixed: Values of all other symbols, by symbol or name: numbers, or arrays that broadcast against each other.
            Arrays make a residual of each expression at each of their points: the data of a fit.
        **by_name: More of them, by name.

    Returns:
        An object with `fun(vector)` and `jac(vector)`.

    Raises:
        ValueError: A symbol is neither an unknown nor fixed, or both, or a name is none of the others.
        UnsupportedExpression: As for `compile`.

    Examples:
        >>> a, b, x, y = sympy.symbols("a b x y")
        >>> fit = symgrad.residuals(a * sympy.exp(b * x) - y, (a, b), x=[0.0, 1.0], y=[1.0, 2.0])
        >>> fit.fun([1.0, 0.0])
        array([ 0., -1.])
        >>> fit.jac([1.0, 0.0])
        array([[1., 0.],
               [1., 1.]])
    """
    expressions, chosen = split(expr)[1], _symbols(unknowns, "unknowns")
    return Residuals(expressions, chosen, _Fixed(expressions, chosen, "an unknown", {**(fixed or {}), **by_name}))


def ode(
    rhs: Any, state: Any, time: sympy.Symbol | None = None, fixed: Mapping[Any, Any] | None = None, /, **by_name: Any
) -> System:
    """A system of ordinary differential equations for `scipy.integrate.solve_ivp`.

    Args:
        rhs: The derivatives by time, one for each symbol of `state`: a list or Matrix of expressions, or one.
        state: The symbols of the state, in order; or one of them.
        time: The symbol of time; None where the equations do not have it.
        fixed: Values of all other symbols, by symbol or name: numbers.
        **by_name: More of them, by name.

    Returns:
        An object with `fun(t, y)` and `jac(t, y)`.

    Raises:
        ValueError: There are more or fewer equations than symbols in the state, a symbol has no value, or a name is
            none of the others.
        UnsupportedExpression: As for `compile`.

    Examples:
        >>> q, p, k = sympy.symbols("q p k")
        >>> oscillator = symgrad.ode([p, -k * q], [q, p], k=4.0)
        >>> oscillator.fun(0.0, [1.0, 0.0])
        array([ 0., -4.])
        >>> oscillator.jac(0.0, [1.0, 0.0])
        array([[ 0.,  1.],
               [-4.,  0.]])
    """
    expressions, chosen = split(rhs)[1], _symbols(state, "state")
    if len(expressions) != len(chosen):
        raise ValueError(f"{len(expressions)} equations for a state of {len(chosen)} symbols: one for each is wanted")
    own = [*chosen, *([] if time is None else [time])]
    values = _Fixed(expressions, own, "of the state or the time", {**(fixed or {}), **by_name})
    for symbol, value in zip(values.symbols, values.values, strict=True):
        if np.ndim(value):
            raise ValueError(f"{symbol.name} is fixed at an array of shape {np.shape(value)}: a number is wanted")
    return System(expressions, chosen, time, values)


class _Fixed:
    """The symbols that do not vary, and their values."""

    def __init__(
        self, expressions: Sequence[sympy.Basic], varying: Sequence[sympy.Symbol], what: str, given: Mapping[Any, Any]
    ) -> None:
        used = {symbol for expression in expressions for symbol in free_symbols(expression)} - set(varying)
        self.symbols: list[sympy.Symbol] = sorted(used, key=natural_order)
        found: dict[sympy.Symbol, Any] = {}
        for key, value in given.items():
            if any(key in (symbol, symbol.name) for symbol in varying):
                raise ValueError(f"{key} is {what}: it has no fixed value")
            same = [symbol for symbol in self.symbols if key in (symbol, symbol.name)]
            if len(same) != 1:
                names = ", ".join(symbol.name for symbol in self.symbols) or "none"
                wrong = (
                    "is the name of two symbols: give the symbol itself" if same else f"is not used; there are {names}"
                )
                raise ValueError(f"the fixed value of {key} {wrong}")
            found[same[0]] = value if np.ndim(value) == 0 else np.asarray(value, np.float64)
        lacking = [symbol.name for symbol in self.symbols if symbol not in found]
        if lacking:
            raise ValueError(f"no value for {', '.join(lacking)}: give it by name, or let it vary")
        self.values: list[Any] = [found[symbol] for symbol in self.symbols]


def _symbols(given: Any, what: str) -> tuple[sympy.Symbol, ...]:
    chosen = (given,) if isinstance(given, sympy.Symbol) else tuple(given)
    for symbol in chosen:
        if not isinstance(symbol, sympy.Symbol):
            raise TypeError(f"{what} are symbols of numbers, not {symbol!r} of class {type(symbol).__name__}")
    if len(set(chosen)) < len(chosen) or not chosen:
        raise ValueError(f"{what} name a symbol twice" if chosen else f"{what} are empty")
    return chosen


def _numbers(vector: Any, symbols: Sequence[sympy.Symbol], what: str) -> list[Any]:
    """The entries of a vector along its first axis."""
    array = np.asarray(vector, np.float64)
    if array.ndim == 0 or len(array) != len(symbols):
        names = ", ".join(symbol.name for symbol in symbols)
        raise ShapeError(f"{what} are a vector of {len(symbols)} ({names}), not of shape {array.shape}")
    entries: list[Any] = array.tolist() if array.ndim == 1 else list(array)
    return entries
