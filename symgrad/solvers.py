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
from .kernel.kernel import Kernel
from .language.parse import Problem, parse
from .lower.lower import free_symbols, natural_order
from .lower.survey import ARRAYS, is_array_valued
from .outputs import split
from .result import by_name
from .varying import Arrays, Numbers


class _Kernels:
    """The kernels of some expressions, of values alone and with the Jacobian by what varies, and their arguments."""

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        varying: Sequence[Any],
        before: Sequence[sympy.Symbol],
        given: Mapping[Any, Any],
        what: str,
    ) -> None:
        """`before` are numbers that each call gives; `given` are fixed, and `what` is said of those that are not."""
        self._expressions, self._varying = list(expressions), tuple(varying)
        self._arguments: list[Any] | None = None
        self._inputs: Numbers | Arrays
        if _has_arrays(expressions, varying):
            self._inputs = Arrays(self._values, before, given, what)
        else:
            self._inputs = Numbers(expressions, varying, before, given, what)
            self._arguments = self._inputs.arguments

    def pack(self, **values: Any) -> Any:
        """The vector of what varies.

        Args:
            **values: Each of them by name: a number, or an array of its shape, which is kept for all that follows.

        Returns:
            The vector, in float64: one after the other, each row by row.

        Raises:
            ShapeError: An array has more or fewer axes than what it is for.
            ValueError: One is missing, or a name is none of them.
        """
        return self._inputs.pack(**values)

    def unpack(self, vector: Any) -> dict[str, Any]:
        """What varies, of a vector.

        Args:
            vector: As `pack` makes it.

        Returns:
            Each by name: numbers, and arrays of their shapes.

        Raises:
            ShapeError: The vector has another length, or shapes are not known yet.
        """
        return self._inputs.unpack(vector)

    @cached_property
    def _values(self) -> Kernel:
        return compile(self._expressions, self._arguments, self._varying, derivative=None)

    @cached_property
    def _jacobian(self) -> Kernel:
        return compile(self._expressions, self._arguments, self._varying, derivative="jacobian")

    def _parts(self, values: Sequence[Any]) -> list[Any]:
        """What the expressions are, arrays and numbers, of all arguments."""
        return self._values._compiled.outputs.flat(self._values(*values))

    def _dense(self, values: Sequence[Any]) -> Any:
        """The Jacobian as one array: a row for each number among the values, a column for each that varies."""
        value, jacobian = self._jacobian(*values)
        if isinstance(jacobian, np.ndarray):
            return np.asarray(jacobian)
        outputs = self._jacobian._compiled.outputs
        blocks = zip(map(np.size, outputs.flat(value)), outputs.flat(jacobian), strict=True)
        sizes = self._inputs.sizes
        return np.vstack(
            [
                np.hstack([np.reshape(part, (rows, size)) for part, size in zip(parts, sizes, strict=True)])
                for rows, parts in blocks
            ]
        )


class Residuals(_Kernels):
    """Residuals of some unknowns, and their Jacobian, as functions of one vector. Made by `symgrad.residuals`.

    Attributes:
        unknowns: The symbols and arrays that a vector holds the values of, in order.
    """

    def __init__(self, expressions: Sequence[sympy.Basic], unknowns: Sequence[Any], given: Mapping[Any, Any]) -> None:
        self.unknowns: tuple[Any, ...] = tuple(unknowns)
        super().__init__(expressions, unknowns, (), given, "an unknown")

    def fun(self, vector: Any) -> Any:
        """The residuals, as `scipy.optimize.least_squares` and `root` want them.

        Args:
            vector: The unknowns, of shape (n,).

        Returns:
            A float64 array of shape (m,): of m expressions at one point; of arrays of p points of shape (p*m,), all
            expressions at the first point first; of expressions that are arrays all entries, row by row.

        Raises:
            ShapeError: The vector has another length.
        """
        return np.concatenate([np.ravel(part) for part in self._parts(self._inputs.values(vector))])

    def jac(self, vector: Any) -> Any:
        """The Jacobian of the residuals.

        Args:
            vector: As for `fun`.

        Returns:
            A float64 array with a row for each residual and a column for each number among the unknowns, of shape
            (m, n) or (p*m, n).

        Raises:
            ShapeError: The vector has another length.
        """
        found = self._dense(self._inputs.values(vector))
        return found.reshape(-1, found.shape[-1])


class System(_Kernels):
    """The right-hand side of ordinary differential equations y' = f(t, y). Made by `symgrad.ode`.

    Attributes:
        state: The symbols and arrays that y holds the values of, in order.
    """

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        state: Sequence[Any],
        time: sympy.Symbol | None,
        given: Mapping[Any, Any],
    ) -> None:
        self.state: tuple[Any, ...] = tuple(state)
        super().__init__(expressions, state, [] if time is None else [time], given, "of the state or the time")

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
        if np.ndim(y) == 2 and isinstance(self._inputs, Arrays):
            return np.stack([self.fun(t, state) for state in np.transpose(y)], axis=-1)
        parts = self._parts(self._inputs.values(y, t))
        if isinstance(self._inputs, Numbers):
            return parts[0] if np.ndim(y) == 1 else np.moveaxis(parts[0], -1, 0)
        self._inputs.check_shapes(parts)
        return np.concatenate([np.ravel(part) for part in parts])

    def jac(self, t: Any, y: Any) -> Any:
        """The Jacobian of the right-hand side by the state.

        Args:
            t: The time.
            y: The state, of shape (n,).

        Returns:
            A float64 array of shape (n, n): row i has the derivatives of the i-th number of the right-hand side.

        Raises:
            ShapeError: The state has another length.
        """
        return self._dense(self._inputs.values(y, t))


def residuals(expr: Any, unknowns: Any, fixed: Mapping[Any, Any] | None = None, /, **by_name: Any) -> Residuals:
    """Residuals and their Jacobian for `scipy.optimize.least_squares` and `root`.

    Args:
        expr: What should become zero: an expression, or a list, Matrix or other structure of several; numbers or
            arrays, as of `symgrad.family`. Or a text, or the result of `symgrad.parse`.
        unknowns: What is to be found, in the order of the vector: symbols, IndexedBase or MatrixSymbol, or their names;
            or one of them.
        fixed: Values of all others, by symbol or name. Where there are no arrays among them by declaration these are
            numbers, or arrays that broadcast against each other, which make a residual of each expression at each of
            their points: the data of a fit. Else each has its shape. An extent may be given as well, so that shapes of
            unknowns are known before `pack` tells them.
        **by_name: More of them, by name.

    Returns:
        An object with `fun(vector)`, `jac(vector)`, `pack(**values)` and `unpack(vector)`.

    Raises:
        ValueError: A symbol is neither an unknown nor fixed, or both, or a name is none of the others.
        ParseError: The text is not in the language.
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
    expressions = _expressions(expr)
    return Residuals(expressions, _chosen(unknowns, "unknowns", expressions), {**(fixed or {}), **by_name})


def ode(
    rhs: Any,
    state: Any,
    time: sympy.Symbol | str | None = None,
    fixed: Mapping[Any, Any] | None = None,
    /,
    **by_name: Any,
) -> System:
    """A system of ordinary differential equations for `scipy.integrate.solve_ivp`.

    Args:
        rhs: The derivatives by time, one for each part of `state`: a list or Matrix of expressions, or one; arrays, as
            of `symgrad.family`, where the state has arrays. Or a text, or the result of `symgrad.parse`.
        state: The parts of the state, in order: symbols, IndexedBase or MatrixSymbol, or their names; or one of them.
        time: The symbol of time; None where the equations do not have it.
        fixed: Values of all others, by symbol or name: numbers, and arrays of the shapes of those that are declared as
            arrays. An extent may be given as well, so that the shapes of the state are known before `pack` tells them.
        **by_name: More of them, by name.

    Returns:
        An object with `fun(t, y)`, `jac(t, y)`, `pack(**values)` and `unpack(vector)`.

    Raises:
        ValueError: There are more or fewer equations than parts of the state, a symbol has no value, or a name is none
            of the others.
        ParseError: The text is not in the language.
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
    expressions = _expressions(rhs)
    chosen = _chosen(state, "state", expressions)
    if len(expressions) != len(chosen):
        raise ValueError(f"{len(expressions)} equations for a state of {len(chosen)} symbols: one for each is wanted")
    own = None if time is None else _chosen(time, "time", expressions)[0]
    given = {**(fixed or {}), **by_name}
    system = System(expressions, chosen, own, given)
    if isinstance(system._inputs, Numbers):
        for key, value in given.items():
            if np.ndim(value):
                name = getattr(key, "name", key)
                raise ValueError(f"{name} is fixed at an array of shape {np.shape(value)}: a number is wanted")
    return system


def _expressions(expr: Any) -> tuple[sympy.Basic, ...]:
    problem = parse(expr) if isinstance(expr, str) else expr
    return split(problem.expression if isinstance(problem, Problem) else problem)[1]


def _has_arrays(expressions: Sequence[sympy.Basic], varying: Sequence[Any]) -> bool:
    symbols = {*varying, *free_symbols(*expressions)}
    return any(map(is_array_valued, expressions)) or any(isinstance(symbol, ARRAYS) for symbol in symbols)


def _chosen(given: Any, what: str, expressions: Sequence[sympy.Basic]) -> tuple[Any, ...]:
    """The symbols and arrays that are given, or named."""
    kinds = (sympy.Symbol, *ARRAYS)
    chosen = (given,) if isinstance(given, (str, *kinds)) else tuple(given)
    known = sorted(free_symbols(*expressions), key=natural_order) if any(isinstance(o, str) for o in chosen) else []
    chosen = tuple(known[by_name(known, own, "the expressions")] if isinstance(own, str) else own for own in chosen)
    for symbol in chosen:
        if not isinstance(symbol, kinds):
            raise TypeError(f"{what} are symbols or arrays, not {symbol!r} of class {type(symbol).__name__}")
    if len(set(chosen)) < len(chosen) or not chosen:
        raise ValueError(f"{what} name a symbol twice" if chosen else f"{what} are empty")
    return chosen
