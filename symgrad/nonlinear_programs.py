"""Nonlinear programs: what interior-point solvers call, of an objective and constraints in SymPy.

    minimise f(x)   where   cl <= g(x) <= cu   and   lb <= x <= ub

Three kernels: objective and constraints alone, which a line search calls; both with their Jacobian; and the lower
triangle of the Hessian of the Lagrangian. Each is made when it is first asked for, and remembers its last point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import sympy

from .analysis.extents import numeric
from .compiler import compile
from .errors import ShapeError, SymgradError
from .graph.graph import sizes_of
from .kernel.derived import derived
from .kernel.flat import FlatInputs
from .kernel.kernel import Kernel
from .kernel.sparse import Matrix
from .options import TRIPLETS
from .transform.derive import Derivative

_SOLVERS = ("pounce", "cyipopt", "trust-constr")


class Solution(NamedTuple):
    """What a solver found.

    Attributes:
        x: The variables by name, each of its shape.
        value: The objective there.
        status: What the solver says of it, in its own words.
        success: Whether the solver says that it is a solution.
        vector: The variables as one vector.
        multipliers: Of the constraints, of shape (m,), for the Lagrangian f + multipliers . g.
        info: All else that the solver returned.
    """

    x: dict[str, Any]
    value: float
    status: str
    success: bool
    vector: Any
    multipliers: Any
    info: Any


class NonlinearProgram(FlatInputs):
    """A nonlinear program as functions of one vector, named as cyipopt and pounce name them. Made by `symgrad.nlp`.

    The vector holds the variables one after the other, each row by row; so do the constraints.

    Attributes:
        n: How many variables there are, all entries of arrays counted.
        m: How many constraints.
        lb: The lower bounds of the variables, of shape (n,); -inf where there is none.
        ub: Their upper bounds.
        cl: The lower bounds of the constraints, of shape (m,).
        cu: Their upper bounds; where both are the same it is an equation.
        symbols: The variables, as symbols.
        shapes: Their shapes, () for a number.
    """

    def __init__(
        self,
        expressions: Mapping[str, Any],
        limits: Sequence[tuple[Any, Any]],
        variables: Sequence[Any],
        bounds: Mapping[Any, tuple[Any, Any]],
        fixed: Mapping[Any, Any],
    ) -> None:
        """The objective, then constraints, by name; `limits` of these, `bounds` of variables; what is fixed."""
        self._expressions = dict(expressions)
        first = self._plain = compile(self._expressions, wrt=variables, derivative=None)
        args, positions = first.args, first._runner.arguments.position
        extents = {size.name for size in sizes_of(first._compiled.definition)} - {symbol.name for symbol in args}
        told = {name: value for key, value in fixed.items() if (name := getattr(key, "name", key)) in extents}
        given = {positions(key): value for key, value in fixed.items() if getattr(key, "name", key) not in extents}
        for place in given:
            if args[place] in first.wrt:
                raise ValueError(f"{args[place].name} is a variable: it has no fixed value")
        lacking = [symbol.name for place, symbol in enumerate(args) if place not in given and symbol not in first.wrt]
        if lacking:
            raise ValueError(f"no value for {', '.join(lacking)}: give it by name, or make it a variable")
        super().__init__(first._compiled, first._runner, given, [args.index(symbol) for symbol in first.wrt], told)
        if self.shapes is None:
            untold = sorted(extents - told.keys())
            raise ShapeError(
                f"no fixed value tells the extents {', '.join(untold)}: give them by name, as in {untold[0]}=100"
            )
        self.n: int = self._length[0]
        self._shapes = self._shapes_of_values()
        self.m: int = sum(map(_size, self._shapes[1:]))
        names = [symbol.name for symbol in self.symbols]
        chosen = [bounds.get(symbol, bounds.get(symbol.name, (None, None))) for symbol in self.symbols]
        self.lb, self.ub = _limits(chosen, self.shapes, names)
        blocks = first._compiled.outputs.blocks[1:]
        shapes = [(*block.shape, *self._shapes[block.first]) for block in blocks]
        self.cl, self.cu = _limits(limits, shapes, list(self._expressions)[1:])
        self._remembered: dict[str, tuple[bytes, Any]] = {}

    def _shapes_of_values(self) -> list[tuple[int, ...]]:
        """The shapes of the objective and of each number or array among the constraints."""
        graph, arguments = self._plain.graph, self._runner.arguments
        if graph.over_points:
            return [()] * len(graph.values)
        sizes = arguments.shapes_of(arguments.arrays(self.values(np.zeros(self.n)))).sizes
        return [tuple(numeric(extent, sizes) for extent in own.shape) for own in graph.values]

    # --- the functions ------------------------------------------------------------------------------------------------

    def objective(self, x: Any) -> float:
        """The objective.

        Args:
            x: The variables, of shape (n,).

        Returns:
            The value.

        Raises:
            ShapeError: The vector has another length.
        """
        return float(self._at(x)[0])

    def constraints(self, x: Any) -> Any:
        """The constraints.

        Args:
            x: As for `objective`.

        Returns:
            A float64 array of shape (m,).

        Raises:
            ShapeError: The vector has another length.
        """
        return self._at(x)[1]

    def gradient(self, x: Any) -> Any:
        """The gradient of the objective.

        Args:
            x: As for `objective`.

        Returns:
            A float64 array of shape (n,).

        Raises:
            ShapeError: The vector has another length.
        """
        matrix, end = self._differentiated(x), self._objective_entries
        return np.bincount(matrix.col[:end], matrix.data[:end], self.n)

    def jacobian(self, x: Any) -> Any:
        """The entries of the Jacobian of the constraints, in the order of `jacobianstructure`.

        Args:
            x: As for `objective`.

        Returns:
            A float64 array of shape (entries,).

        Raises:
            ShapeError: The vector has another length.
        """
        return self._differentiated(x).data[self._objective_entries :]

    def jacobianstructure(self) -> tuple[Any, Any]:
        """Where the entries of the Jacobian are; of one place there may be several, which are to be added up.

        Returns:
            The row and the column of each, as arrays of integers.
        """
        pattern, start = self._pattern_of(self._first), self._objective_entries
        return pattern.rows[start:] - 1, pattern.columns[start:]

    def hessian(self, x: Any, lagrange: Any, obj_factor: float) -> Any:
        """The entries of the lower triangle of the Hessian of `obj_factor * f + lagrange . g`.

        Args:
            x: As for `objective`.
            lagrange: The multipliers of the constraints, of shape (m,).
            obj_factor: That of the objective.

        Returns:
            A float64 array of shape (entries,), in the order of `hessianstructure`.

        Raises:
            ShapeError: A vector has another length.
        """
        weights = np.asarray(lagrange, np.float64)
        if weights.shape != (self.m,):
            raise ShapeError(f"{self.m} multipliers wanted, not an array of shape {weights.shape}")
        return self._curved(x, weights, float(obj_factor)).data

    def hessianstructure(self) -> tuple[Any, Any]:
        """Where the entries of the Hessian are, none above the diagonal; of one place there may be several.

        Returns:
            The row and the column of each, as arrays of integers.
        """
        placed = self._pattern_of(self._second)
        return placed.rows, placed.columns

    def _at(self, x: Any) -> tuple[Any, Any]:
        """The objective and the constraints; those of a line search's last point are remembered."""

        def made() -> tuple[Any, Any]:
            found = self._plain._compiled.outputs.flat(self._plain(*self.values(x)))
            return found[0], np.concatenate([np.zeros(0), *map(np.ravel, found[1:])])

        value, constraints = self._kept("values", x, made)
        return value, constraints

    def _differentiated(self, x: Any) -> Any:
        """The Jacobian of the objective and the constraints."""
        return self._kept("jacobian", x, lambda: self._first._runner.run(self.values(x), None))

    def _kept(self, name: str, x: Any, make: Callable[[], Any]) -> Any:
        key = np.ascontiguousarray(x, np.float64).tobytes()
        known = self._remembered.get(name)
        if known is None or known[0] != key:
            known = self._remembered[name] = key, make()
        return known[1]

    # --- kernels ------------------------------------------------------------------------------------------------------

    @cached_property
    def _first(self) -> Kernel:
        return self._derived("jacobian_alone", None)

    @cached_property
    def _second(self) -> Kernel:
        return self._derived("weighted_hessian", "lower")

    def _derived(self, derivative: Derivative, symmetric: str | None) -> Kernel:
        plain = self._plain._compiled
        options = replace(plain.options, sparse=TRIPLETS, symmetric=symmetric)
        return Kernel(derived(replace(plain, options=options), derivative))

    @cached_property
    def _objective_entries(self) -> int:
        """How many entries are those of the objective: they come first."""
        return int(np.count_nonzero(self._pattern_of(self._first).rows == 0))

    def _curved(self, x: Any, lagrange: Any, factor: float) -> Any:
        """The lower triangle of the Hessian of the Lagrangian."""
        return self._second._runner.run([*self.values(x), *self._weights(lagrange, factor)], None)

    def _weights(self, lagrange: Any, factor: float) -> list[Any]:
        """The multipliers of each number or array among the objective and the constraints."""
        found, start = list[Any]([factor]), 0
        for shape in self._shapes[1:]:
            part = lagrange[start : start + _size(shape)].reshape(shape)
            found.append(part if shape else float(part))
            start += _size(shape)
        return found

    def _pattern_of(self, kernel: Kernel) -> Matrix:
        more = [] if kernel is self._first else self._weights(np.zeros(self.m), 1.0)
        return kernel._runner.matrix([*self.values(np.zeros(self.n)), *more])

    # --- solvers ------------------------------------------------------------------------------------------------------

    def solve(self, start: Any, solver: str = "pounce", **options: Any) -> Solution:
        """Solves the program from a starting point.

        Args:
            start: The variables: a dict by name or symbol, numbers or arrays that broadcast to their shapes; or one
                vector of shape (n,).
            solver: "pounce" (the extra `nlp`), "cyipopt" (which needs Ipopt), or "trust-constr" of SciPy.
            **options: Those of the solver, as it names them.

        Returns:
            What the solver found; it need not be a solution: see `success`.

        Raises:
            SymgradError: The solver is not installed.
            ValueError: It is none of these, or a variable has no start.
            ShapeError: A start has another shape.
        """
        if solver not in _SOLVERS:
            raise ValueError(f"solver is one of {', '.join(_SOLVERS)}, not {solver!r}")
        vector = self._start(start)
        if solver == "trust-constr":
            return self._with_scipy(vector, options)
        try:
            module = __import__(solver)
        except ImportError:
            way = "pip install 'symgrad[nlp]'" if solver == "pounce" else "see its documentation"
            raise SymgradError(f"{solver} is not installed: {way}") from None
        problem = module.Problem(n=self.n, m=self.m, problem_obj=self, lb=self.lb, ub=self.ub, cl=self.cl, cu=self.cu)
        for name, value in options.items():
            problem.add_option(name, value)
        found, info = problem.solve(vector)
        message = info["status_msg"]
        text = message.decode() if isinstance(message, bytes) else str(message)
        return Solution(
            self.unpack(found), float(info["obj_val"]), text, info["status"] in (0, 1), found, info["mult_g"], info
        )

    def _with_scipy(self, vector: Any, options: dict[str, Any]) -> Solution:
        from scipy import optimize

        kinds = [optimize.NonlinearConstraint(self.constraints, self.cl, self.cu, self._jacobian, self._curvature)]
        found = optimize.minimize(
            self.objective,
            vector,
            method="trust-constr",
            jac=self.gradient,
            hess=lambda x: self._symmetric(x, np.zeros(self.m), 1.0),
            bounds=optimize.Bounds(self.lb, self.ub),
            constraints=kinds if self.m else (),
            options=options,
        )
        multipliers = np.concatenate([np.zeros(0), *found.v[: bool(self.m)]])
        return Solution(
            self.unpack(found.x), float(found.fun), found.message, bool(found.success), found.x, multipliers, found
        )

    def _jacobian(self, x: Any) -> Any:
        return self._differentiated(x).tocsr()[1:]

    def _curvature(self, x: Any, multipliers: Any) -> Any:
        return self._symmetric(x, multipliers, 0.0)

    def _symmetric(self, x: Any, lagrange: Any, factor: float) -> Any:
        """The whole Hessian of the Lagrangian."""
        lower = self._curved(x, np.asarray(lagrange, np.float64), factor).tocsr()
        diagonal = lower.diagonal()
        whole = (lower + lower.T).tolil()
        whole.setdiag(diagonal)
        return whole.tocsr()

    def _start(self, start: Any) -> Any:
        if not isinstance(start, Mapping):
            vector = np.array(start, np.float64)
            self._parts(vector)
            return vector
        assert self.shapes is not None
        named = {getattr(key, "name", key): value for key, value in start.items()}
        parts = []
        for symbol, shape in zip(self.symbols, self.shapes, strict=True):
            if symbol.name not in named:
                raise ValueError(f"no start for {symbol.name}")
            parts.append(_whole(named[symbol.name], shape, f"the start of {symbol.name}"))
        return np.concatenate([np.zeros(0), *(part.ravel() for part in parts)])


def nlp(
    objective: Any,
    constraints: Any = (),
    variables: Any = None,
    bounds: Mapping[Any, tuple[Any, Any]] | None = None,
    fixed: Mapping[Any, Any] | None = None,
    **by_name: Any,
) -> NonlinearProgram:
    """A nonlinear program: minimise an objective where constraints hold, with sparse first and second derivatives.

    Args:
        objective: A number in SymPy.
        constraints: A sequence of `(g, low, high)`, where g is an expression, a `symgrad.family` or a whole array, and
            low and high are numbers or arrays that broadcast to its shape, None for no limit; or equations and
            inequalities in SymPy, as `Eq(x + y, 1)` and `x*y >= 25`.
        variables: The symbols and arrays that vary, in the order of the vector.
        bounds: Of variables by symbol or name `(low, high)`, each a number, an array or None.
        fixed: Values of all other inputs by symbol or name; and of extents that no array among these tells.
        **by_name: More of them, by name.

    Returns:
        The program, which cyipopt and pounce take as `problem_obj`; its method `solve` calls one of them.

    Raises:
        ValueError: An input is neither a variable nor fixed, or a limit or a bound is of nothing.
        ShapeError: A limit or a bound has another shape than what it is of.
        UnsupportedExpression: As for `compile`.

    Examples:
        >>> x, y = sympy.symbols("x y")
        >>> program = symgrad.nlp((x - 2)**2 + (y - 1)**2, [(x + y, None, 2)], [x, y])
        >>> program.objective([0.0, 0.0]), program.jacobian([0.0, 0.0])
        (5.0, array([1., 1.]))
    """
    chosen = [variables] if isinstance(variables, (sympy.Basic, str)) else list(variables or ())
    if not chosen:
        raise ValueError("no variables: give the symbols that vary")
    rows = [_constraint(own) for own in (constraints if isinstance(constraints, (list, tuple)) else [constraints])]
    names = {getattr(symbol, "name", symbol) for symbol in chosen}
    for key in bounds or {}:
        if getattr(key, "name", key) not in names:
            raise ValueError(f"bounds are of variables ({', '.join(sorted(names))}), not of {key}")
    expressions = {"objective": objective, **{f"constraint_{at}": row[0] for at, row in enumerate(rows, 1)}}
    limits = [row[1:] for row in rows]
    return NonlinearProgram(expressions, limits, chosen, bounds or {}, {**(fixed or {}), **by_name})


def _constraint(given: Any) -> tuple[Any, Any, Any]:
    """An expression and its limits."""
    if isinstance(given, (tuple, list)) and len(given) == 3:
        return given[0], given[1], given[2]
    kinds = {sympy.Eq: (True, True), sympy.Ge: (True, False), sympy.Le: (False, True)}
    limited = kinds.get(type(given))
    if limited is None:
        kind = "an inequality that is strict" if isinstance(given, (sympy.Gt, sympy.Lt)) else f"{given!r}"
        raise ValueError(f"a constraint is (g, low, high), or an equation, <= or >=, not {kind}")
    one, two = given.lhs, given.rhs
    left, limit = (one, float(two)) if two.is_number else (one - two, 0.0)
    return left, limit if limited[0] else None, limit if limited[1] else None


def _limits(
    given: Sequence[tuple[Any, Any]], shapes: Sequence[tuple[int, ...]], names: Sequence[str]
) -> tuple[Any, Any]:
    """Lower and upper limits, each as one vector."""
    sides: tuple[list[Any], list[Any]] = [np.zeros(0)], [np.zeros(0)]
    for (low, high), shape, name in zip(given, shapes, names, strict=True):
        for side, limit, none in zip(sides, (low, high), (-np.inf, np.inf), strict=True):
            side.append(_whole(none if limit is None else limit, shape, f"the limits of {name}").ravel())
    return np.concatenate(sides[0]), np.concatenate(sides[1])


def _whole(given: Any, shape: tuple[int, ...], what: str) -> Any:
    array = np.asarray(given, np.float64)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ShapeError(f"{what} are of shape {array.shape}, which does not broadcast to {shape}") from None


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
