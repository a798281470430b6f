"""Nonlinear programs: what interior-point solvers call, of an objective and constraints in SymPy.

    minimise f(x)   where   cl <= g(x) <= cu   and   lb <= x <= ub

Three kernels: objective and constraints alone, which a line search calls; the Jacobian of both; and the lower triangle
of the Hessian of the Lagrangian. Derivatives are compiled when they are first asked for, and the last point's are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from .analysis.extents import numeric
from .compiler import compile
from .constraints import by_names, constraint, fixed_at, limits_of, name_of, whole
from .errors import ShapeError
from .graph.graph import sizes_of
from .kernel.batch import size_of
from .kernel.flat import FlatInputs
from .kernel.kernel import Kernel
from .kernel.sparsity import SparsityPattern
from .lower.lower import extent_of, free_symbols
from .optimizers import SOLVERS, Solution, solved
from .options import TRIPLETS
from .outputs import Block, Branch, split


class _Kernels:
    """Those of a program: of values alone, which there is already, and of derivatives."""

    def __init__(self, plain: Kernel) -> None:
        self.plain = plain

    @cached_property
    def jacobian(self) -> Kernel:
        """The Jacobian of the objective and the constraints, without their values."""
        return self.plain._made("jacobian_alone", sparse=TRIPLETS)

    @cached_property
    def curvature(self) -> Kernel:
        """The lower triangle of the Hessian of the Lagrangian, with a weight for each value."""
        return self.plain._made("weighted_hessian", sparse=TRIPLETS, symmetric="lower")


class _Last:
    """What was computed last, and at which vector."""

    def __init__(self) -> None:
        self._known: tuple[bytes, Any] | None = None

    def at(self, x: Any, make: Callable[[], Any]) -> Any:
        # By its numbers: solvers hand the same array with others in it.
        key = np.ascontiguousarray(x, np.float64).tobytes()
        if self._known is None or self._known[0] != key:
            self._known = key, make()
        return self._known[1]


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
        free: The positions of the variables among the arguments of the kernels.
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
        first = compile(dict(expressions), wrt=variables, derivative=None)
        self._kernels = _Kernels(first)
        objective, *blocks = _one_of_each(first, expressions)
        if objective.shape or (first.graph.values[0].shape and not first.graph.over_points):
            raise ValueError("the objective is one number, not an array or a list")
        args = first.args
        extents = {size.name for size in sizes_of(first._compiled.definition)} - {symbol.name for symbol in args}
        told = {name: extent_of(name, value) for key, value in fixed.items() if (name := name_of(key)) in extents}
        given = fixed_at(first, {key: value for key, value in fixed.items() if name_of(key) not in extents})
        lacking = [symbol.name for place, symbol in enumerate(args) if place not in given and symbol not in first.wrt]
        if lacking:
            raise ValueError(f"no value for {', '.join(lacking)}: give it by name, or make it a variable")
        super().__init__(first._compiled, first._runner, given, [args.index(symbol) for symbol in first.wrt], told)
        if self.shapes is None:
            untold = sorted(extents - self._known_extents(given).keys())
            raise ShapeError(
                f"no fixed value tells the extents {', '.join(untold)}: give them by name, as in {untold[0]}=100"
            )
        self.n: int = self._length[0]
        self._shapes = self._shapes_of_values()
        self.m: int = sum(map(size_of, self._shapes[1:]))
        names = [symbol.name for symbol in self.symbols]
        chosen = [by_names(bounds).get(symbol.name, (None, None)) for symbol in self.symbols]
        self.lb: Any
        self.ub: Any
        self.cl: Any
        self.cu: Any
        self.lb, self.ub = limits_of(chosen, self.shapes, names)
        shapes = [(*block.shape, *self._shapes[block.first]) for block in blocks]
        self.cl, self.cu = limits_of(limits, shapes, list(expressions)[1:])
        self._last_values, self._last_slopes = _Last(), _Last()

    def _shapes_of_values(self) -> list[tuple[int, ...]]:
        """The shapes of the objective and of each number or array among the constraints."""
        graph, arguments = self._kernels.plain.graph, self._runner.arguments
        if graph.over_points:
            return [()] * len(graph.values)
        sizes = arguments.shapes_of(arguments.arrays(self.values(np.zeros(self.n)))).sizes
        shapes = [tuple(numeric(extent, sizes) for extent in own.shape) for own in graph.values]
        for own, shape in zip(graph.values, shapes, strict=True):
            if any(extent < 0 for extent in shape):
                raise ShapeError(f"{own.name} would be of shape {shape}: there is no negative extent")
        return shapes

    def pack(self, **values: Any) -> Any:
        """The vector of the variables.

        Args:
            **values: Each variable by name: a number or an array that broadcasts to its shape.

        Returns:
            The vector, in float64.

        Raises:
            ShapeError: An array does not broadcast to the shape of its variable.
            ValueError: A variable is missing, or a name is none of them.
        """
        given = self._in_order(values, "the variables")
        parts = zip(given, self.symbols, self.shapes or (), strict=True)
        arrays = [whole(value, shape, f"the values of {own.name}") for value, own, shape in parts]
        return np.concatenate([np.zeros(0), *(array.ravel() for array in arrays)])

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
        return self._at(x)[1].copy()  # what is remembered stays as it is

    def gradient(self, x: Any) -> Any:
        """The gradient of the objective.

        Args:
            x: As for `objective`.

        Returns:
            A float64 array of shape (n,).

        Raises:
            ShapeError: The vector has another length.
        """
        entries, end = self._differentiated(x), self._objective_entries
        # Without entries bincount counts, in integers.
        return np.bincount(self._jacobian_pattern.columns[:end], entries[:end], self.n).astype(np.float64, copy=False)

    def jacobian(self, x: Any) -> Any:
        """The entries of the Jacobian of the constraints, in the order of `jacobianstructure`.

        Args:
            x: As for `objective`.

        Returns:
            A float64 array of shape (entries,).

        Raises:
            ShapeError: The vector has another length.
        """
        return self._differentiated(x)[self._objective_entries :].copy()

    def jacobianstructure(self) -> tuple[Any, Any]:
        """Where the entries of the Jacobian are; of one place there may be several, which are to be added up.

        Returns:
            The row and the column of each, as arrays of integers.
        """
        pattern, start = self._jacobian_pattern, self._objective_entries
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
        return self._kernels.curvature._runner.run(
            [*self.values(x), *_weights(weights, float(obj_factor), self._shapes[1:])], None
        )

    def hessianstructure(self) -> tuple[Any, Any]:
        """Where the entries of the Hessian are, none above the diagonal; of one place there may be several.

        Returns:
            The row and the column of each, as arrays of integers.
        """
        values = [*self.values(np.zeros(self.n)), *_weights(np.zeros(self.m), 1.0, self._shapes[1:])]
        placed = self._kernels.curvature._runner.matrix(values)
        return placed.rows, placed.columns

    def _at(self, x: Any) -> tuple[Any, Any]:
        """The objective and the constraints; those of a line search's last point are remembered."""

        def made() -> tuple[Any, Any]:
            found = self._kernels.plain._compiled.outputs.flat(self._kernels.plain(*self.values(x)))
            return found[0], np.concatenate([np.zeros(0), *map(np.ravel, found[1:])])

        value, constraints = self._last_values.at(x, made)
        return value, constraints

    def _differentiated(self, x: Any) -> Any:
        """The entries of the Jacobian of the objective and the constraints."""
        return self._last_slopes.at(x, lambda: self._kernels.jacobian._runner.run(self.values(x), None))

    # --- patterns -----------------------------------------------------------------------------------------------------

    @cached_property
    def _jacobian_pattern(self) -> SparsityPattern:
        """Of the objective and the constraints."""
        return self._kernels.jacobian._runner.matrix(self.values(np.zeros(self.n)))

    @cached_property
    def _objective_entries(self) -> int:
        """How many entries are those of the objective: they come first."""
        return int(np.count_nonzero(self._jacobian_pattern.rows == 0))

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
        if solver not in SOLVERS:
            raise ValueError(f"solver is one of {', '.join(SOLVERS)}, not {solver!r}")
        if isinstance(start, Mapping):
            return solved(self, self.pack(**by_names(start)), solver, options)
        vector = np.array(start, np.float64)
        self._parts(vector)  # of another length it is refused
        return solved(self, vector, solver, options)


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
    rows = [constraint(own) for own in (constraints if isinstance(constraints, (list, tuple)) else [constraints])]
    expressions = {"objective": objective, **{f"constraint_{at}": row[0] for at, row in enumerate(rows, 1)}}
    used = {name_of(symbol) for symbol in free_symbols(*split(expressions)[1])}
    names = list(map(name_of, chosen))
    for name in names:
        if len({symbol for symbol in chosen if name_of(symbol) == name}) > 1:
            raise ValueError(f"two variables are named {name}: give each its own name")
        if name not in used:
            raise ValueError(f"the variable {name} is in neither the objective nor a constraint: leave it out")
    for key, pair in (bounds or {}).items():
        if name_of(key) not in names:
            raise ValueError(f"bounds are of variables ({', '.join(names)}), not of {key}")
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"the bounds of {key} are {pair!r}: give (low, high), None for no limit")
    limits = [row[1:] for row in rows]
    for name in by_name:
        if fixed and name in map(name_of, fixed):
            raise ValueError(f"{name} is given twice")
    return NonlinearProgram(expressions, limits, chosen, bounds or {}, {**(fixed or {}), **by_name})


def _weights(lagrange: Any, factor: float, shapes: Iterable[tuple[int, ...]]) -> list[Any]:
    """What each number or array among the objective and the constraints is multiplied by."""
    found, start = list[Any]([factor]), 0
    for shape in shapes:
        part = lagrange[start : start + size_of(shape)].reshape(shape)
        found.append(part if shape else float(part))
        start += size_of(shape)
    return found


def _one_of_each(kernel: Kernel, names: Iterable[str]) -> list[Block]:
    """The objective and the constraints, each a number or an array. ValueError where one is several."""
    tree = kernel._compiled.outputs.tree
    assert isinstance(tree, Branch)
    blocks = []
    for part, name in zip(tree.parts, names, strict=True):
        if not isinstance(part, Block):
            raise ValueError(f"{name} is a structure of several: give each its own limits")
        blocks.append(part)
    return blocks
