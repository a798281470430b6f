"""What SciPy's solvers call: residuals for `least_squares` and `root`, right-hand sides for `solve_ivp`.

Each is two kernels, one of the values alone and one with the Jacobian, made when it is first asked for: a solver calls
the first more often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from .language.parse import Problem, parse
from .lower.lower import free_symbols, natural_order
from .lower.survey import ARRAYS
from .outputs import split
from .result import by_name
from .varying import Arrays, Numbers, VectorKernels


class Residuals(VectorKernels):
    """Residuals of some unknowns, and their Jacobian, as functions of one vector. Made by `symgrad.residuals`.

    Attributes:
        unknowns: The symbols and arrays that a vector holds the values of, in order.
    """

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        unknowns: Sequence[Any],
        given: Mapping[Any, Any],
        sparse: str | None = None,
    ) -> None:
        self.unknowns: tuple[Any, ...] = tuple(unknowns)
        super().__init__(expressions, unknowns, (), given, "an unknown", sparse)

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
            (m, n) or (p*m, n); sparse where that was asked for, as `least_squares(..., tr_solver="lsmr")` wants it.

        Raises:
            ShapeError: The vector has another length.
        """
        found = self._matrix(self._inputs.values(vector))
        return found if self._sparse is not None else found.reshape(-1, found.shape[-1])


class System(VectorKernels):
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
        sparse: str | None = None,
    ) -> None:
        self.state: tuple[Any, ...] = tuple(state)
        super().__init__(expressions, state, [] if time is None else [time], given, "of the state or the time", sparse)

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
            A float64 array of shape (n, n): row i has the derivatives of the i-th number of the right-hand side. It is
            sparse where that was asked for: "csc" is what BDF and Radau take.

        Raises:
            ShapeError: The state has another length.
        """
        return self._matrix(self._inputs.values(y, t))

    @property
    def jac_sparsity(self) -> Any:
        """Where the Jacobian has entries, as `solve_ivp` takes it: a sparse array of SciPy with ones there.

        It comes of the expressions, and is not needed beside `jac`.

        Raises:
            ShapeError: The shapes of the state are not known before `pack` has made a vector.
        """
        own = self._pattern(0.0)
        return own.of(np.ones(own.nnz))

    @property
    def lband(self) -> int:
        """How many diagonals below the main one the Jacobian has: `solve_ivp(..., method="LSODA", lband=...)`.

        Raises:
            ShapeError: The shapes of the state are not known before `pack` has made a vector.
        """
        return self._pattern(0.0).bandwidths()[0]

    @property
    def uband(self) -> int:
        """How many diagonals above the main one it has.

        Raises:
            ShapeError: The shapes of the state are not known before `pack` has made a vector.
        """
        return self._pattern(0.0).bandwidths()[1]

    def jac_banded(self, t: Any, y: Any) -> Any:
        """The diagonals of the Jacobian, as LSODA takes them beside `lband` and `uband`.

        Args:
            t: The time.
            y: The state, of shape (n,).

        Returns:
            A float64 array of shape (lband + uband + 1, n) with the entry i, j of the Jacobian at uband + i - j, j.

        Raises:
            ShapeError: The state has another length.
        """
        values = self._inputs.values(y, t)
        own, matrix = self._entries._runner.matrix(values), self._entries._runner.run(values, None)
        below, above = own.bandwidths()
        found = np.zeros((below + above + 1, own.shape[1]))
        found[above + own.rows - own.columns, own.columns] = matrix.data
        return found


def residuals(
    expr: Any,
    unknowns: Any,
    fixed: Mapping[Any, Any] | None = None,
    /,
    *,
    sparse: str | None = None,
    **by_name: Any,
) -> Residuals:
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
        sparse: "csr", "csc" or "coo": the Jacobian is a sparse array of SciPy; "csr" is what `least_squares` multiplies
            with. None: it is dense.
        **by_name: More of what is fixed, by name.

    Returns:
        An object with `fun(vector)`, `jac(vector)`, `pack(**values)` and `unpack(vector)`.

    Raises:
        ValueError: A symbol is neither an unknown nor fixed, or both, or a name is none of the others; or `sparse` is
            none of these, or is asked for where numbers are fixed at arrays of points.
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
    expressions, given = _expressions(expr), {**(fixed or {}), **by_name}
    made = Residuals(expressions, _chosen(unknowns, "unknowns", expressions), given, sparse)
    if sparse is not None and isinstance(made._inputs, Numbers):
        _check_numbers(given, "; with a sparse Jacobian arrays are declared as such, not points of a number")
    return made


def ode(
    rhs: Any,
    state: Any,
    time: sympy.Symbol | str | None = None,
    fixed: Mapping[Any, Any] | None = None,
    /,
    *,
    sparse: str | None = None,
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
        sparse: "csc", "csr" or "coo": the Jacobian is a sparse array of SciPy. None: it is dense.
        **by_name: More of what is fixed, by name.

    Returns:
        An object with `fun(t, y)`, `jac(t, y)`, `jac_sparsity`, `pack(**values)` and `unpack(vector)`; for LSODA with
        `jac_banded(t, y)`, `lband` and `uband`.

    Raises:
        ValueError: There are more or fewer equations than parts of the state, a symbol has no value, or a name is none
            of the others; or `sparse` is none of these.
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
    system = System(expressions, chosen, own, given, sparse)
    if isinstance(system._inputs, Numbers):
        _check_numbers(given)
    return system


def _check_numbers(given: Mapping[Any, Any], why: str = "") -> None:
    """Raises ValueError where a number is fixed at an array."""
    for key, value in given.items():
        if np.ndim(value):
            name = getattr(key, "name", key)
            raise ValueError(f"{name} is fixed at an array of shape {np.shape(value)}: a number is wanted{why}")


def _expressions(expr: Any) -> tuple[sympy.Basic, ...]:
    problem = parse(expr) if isinstance(expr, str) else expr
    return split(problem.expression if isinstance(problem, Problem) else problem)[1]


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
