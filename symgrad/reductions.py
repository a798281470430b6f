"""What SymPy lacks beside Sum and Product: the largest and smallest of a body over indices, and all of its values."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits

MAX_TERMS = 1_000_000  # that doit writes out


class UnnamedIndex(sympy.Symbol):  # type: ignore[misc]
    """An index that the language names, as in `sum(x)` and `A @ B`: unlike a user's it is no name to keep."""

    __slots__ = ()


class Largest(ExprWithLimits):  # type: ignore[misc]  # SymPy ships no types
    """The maximum of a body over indices, as `sympy.Sum` is the sum of it.

    Examples:
        >>> x, i, n = sympy.IndexedBase("x"), sympy.Symbol("i", integer=True), sympy.Symbol("n", integer=True)
        >>> expr = symgrad.reductions.Largest(x[i], (i, 0, n - 1))
        >>> symgrad.compile(expr)([1.0, 3.0, 2.0])
        Result(value=3.0, grad=(array([0., 1., 0.]),))
    """

    __slots__ = ()

    def __new__(cls, body: sympy.Basic, *limits: sympy.Basic) -> sympy.Basic:
        """`Largest(x[i], (i, 0, n - 1))`, the maximum over 0 <= i <= n - 1.

        Args:
            body: What the largest is looked for of, a SymPy expression in the indices.
            *limits: `(i, a, b)` for each index, a symbol that runs over a <= i <= b, from the innermost, as those of a
                Sum.

        Returns:
            The expression, not evaluated.

        Raises:
            ValueError: Limits are missing, or are not `(i, a, b)` with a symbol i.
        """
        return _extreme(cls, body, *limits)

    def doit(self, **hints: bool) -> sympy.Basic:
        """Max of the terms, where all bounds are integers and the terms are at most 1,000,000.

        Args:
            **hints: As for SymPy: with `deep=False` body and bounds are taken as they are.

        Returns:
            The maximum written out, or a `Largest` where it cannot be.
        """
        return _written_out(self, sympy.Max, **hints)

    def _eval_derivative(self, symbol: sympy.Basic) -> None:
        return None  # stays a Derivative: symgrad differentiates it, SymPy does not


class Smallest(ExprWithLimits):  # type: ignore[misc]
    """The minimum of a body over indices, as `sympy.Sum` is the sum of it.

    Examples:
        >>> x, i, n = sympy.IndexedBase("x"), sympy.Symbol("i", integer=True), sympy.Symbol("n", integer=True)
        >>> expr = symgrad.reductions.Smallest(x[i], (i, 0, n - 1))
        >>> symgrad.compile(expr)([1.0, 3.0, 2.0])
        Result(value=1.0, grad=(array([1., 0., 0.]),))
    """

    __slots__ = ()

    def __new__(cls, body: sympy.Basic, *limits: sympy.Basic) -> sympy.Basic:
        """`Smallest(x[i], (i, 0, n - 1))`, the minimum over 0 <= i <= n - 1.

        Args:
            body: What the smallest is looked for of, a SymPy expression in the indices.
            *limits: `(i, a, b)` for each index, a symbol that runs over a <= i <= b, from the innermost, as those of a
                Sum.

        Returns:
            The expression, not evaluated.

        Raises:
            ValueError: Limits are missing, or are not `(i, a, b)` with a symbol i.
        """
        return _extreme(cls, body, *limits)

    def doit(self, **hints: bool) -> sympy.Basic:
        """Min of the terms, where all bounds are integers and the terms are at most 1,000,000.

        Args:
            **hints: As for SymPy: with `deep=False` body and bounds are taken as they are.

        Returns:
            The minimum written out, or a `Smallest` where it cannot be.
        """
        return _written_out(self, sympy.Min, **hints)

    def _eval_derivative(self, symbol: sympy.Basic) -> None:
        return None


REDUCTIONS = (sympy.Sum, sympy.Product, Largest, Smallest)


def _extreme(kind: type[sympy.Basic], body: sympy.Basic, *limits: sympy.Basic) -> sympy.Basic:
    # Not through ExprWithLimits(...): it folds the branches of a Piecewise out of the body, one for each combination.
    body = sympy.sympify(body, strict=True)
    own = tuple(sympy.Tuple(*(sympy.sympify(part, strict=True) for part in limit)) for limit in limits)
    if not own or any(len(limit) != 3 or not isinstance(limit[0], sympy.Symbol) for limit in own):
        raise ValueError(f"{kind.__name__} takes limits (i, a, b), with a symbol i")
    if type(body) is kind:
        body, own = body.args[0], body.args[1:] + own
    expr = unfolded(kind, body, *own)
    expr.is_commutative = body.is_commutative
    return expr


def unfolded(kind: Callable[..., sympy.Basic], body: sympy.Basic, *limits: sympy.Basic) -> sympy.Basic:
    """A Sum, Product, Largest or Smallest as it is said: SymPy's classes fold a Piecewise out of the body.

    They do that with conditions on the index of an inner sum as well, which then stand outside of it.
    """
    expr = sympy.Expr.__new__(kind, body, *limits)
    expr.is_commutative = True  # numbers: to ask the body would be to walk it
    return expr


def _written_out(expr: sympy.Basic, extremum: type[sympy.Basic], **hints: bool) -> sympy.Basic:
    body, *limits = (argument.doit(**hints) for argument in expr.args) if hints.get("deep", True) else expr.args
    points: list[dict[sympy.Basic, sympy.Basic]] = [{}]
    for index, low, high in reversed(limits):  # outermost first: bounds may depend on outer indices
        ranges = [(point, low.subs(point), high.subs(point)) for point in points]
        if not all(a.is_Integer and b.is_Integer for _, a, b in ranges):
            return expr.func(body, *limits)
        terms = (({**point, index: k} for k in range(int(a), int(b) + 1)) for point, a, b in ranges)
        points = list(itertools.islice(itertools.chain.from_iterable(terms), MAX_TERMS + 1))
        if len(points) > MAX_TERMS:
            return expr.func(body, *limits)
    return extremum(*(body.subs(point) for point in points))


class Family(sympy.Basic):  # type: ignore[misc]
    """An array of expressions: a body for every value of some indices. Made by `symgrad.family`.

    Attributes:
        body: The expression of one entry, in the indices.
        indices: The index symbols, one for each axis.
        shape: How many values each of them has, from 0 on.
    """

    def __new__(cls, body: sympy.Basic, *axes: sympy.Basic) -> sympy.Basic:
        """See `symgrad.family`."""
        return sympy.Basic.__new__(cls, body, *axes)

    @property
    def body(self) -> sympy.Basic:
        """The expression of one entry."""
        return self.args[0]

    @property
    def indices(self) -> tuple[sympy.Symbol, ...]:
        """The index symbols, one for each axis."""
        return tuple(axis[0] for axis in self.args[1:])

    @property
    def shape(self) -> tuple[sympy.Basic, ...]:
        """How long each axis is."""
        return tuple(axis[1] for axis in self.args[1:])


def family(body: sympy.Basic, *axes: tuple[sympy.Symbol, sympy.Basic]) -> Family:
    """The array of a body at every value of some indices: an output of `symgrad.compile`.

    Args:
        body: The expression of one entry, in the indices.
        *axes: `(i, n)` for each axis: a symbol that runs over 0 <= i <= n - 1.

    Returns:
        The array, of as many axes as there are indices.

    Raises:
        ValueError: There is no axis, one is not `(i, n)` with a symbol i, or has less than no entries, or two have the
            same symbol; or the body is no single number.

    Examples:
        >>> x, i, n = sympy.IndexedBase("x"), sympy.Symbol("i", integer=True), sympy.Symbol("n", integer=True)
        >>> kernel = symgrad.compile(symgrad.family(x[i] ** 2, (i, n)), derivative=None)
        >>> kernel([1.0, 2.0, 3.0])
        array([1., 4., 9.])
    """
    own = []
    for axis in axes:
        if not isinstance(axis, (tuple, list, sympy.Tuple)) or len(axis) != 2 or not isinstance(axis[0], sympy.Symbol):
            raise ValueError(f"family takes axes (i, n), with a symbol i that runs over 0 .. n - 1, not {axis!r}")
        own.append(sympy.Tuple(axis[0], sympy.sympify(axis[1], strict=True)))
        if own[-1][1].is_Integer and own[-1][1] < 0:
            raise ValueError(f"family has {own[-1][1]} entries along {axis[0]}: at least 0 are wanted")
    if not own:
        raise ValueError("family takes at least one axis (i, n)")
    if len({axis[0] for axis in own}) < len(own):
        raise ValueError("family has an index twice")
    if isinstance(body, Family):
        raise ValueError("a family of families has all axes at once: family(F, (i, n), (j, m))")
    if isinstance(body, (list, tuple, sympy.Tuple, sympy.MatrixBase, sympy.NDimArray, sympy.MatrixExpr)):
        raise ValueError(
            f"the body of a family is a number, not a {type(body).__name__}; make one family of each, or index it"
        )
    made: Family = Family(sympy.sympify(body, strict=True), *own)
    return made
