"""What users give of nonlinear programs: constraints, bounds and fixed values, as expressions, vectors, positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from sympy.logic.boolalg import BooleanAtom

from .errors import ShapeError
from .kernel.kernel import Kernel


def name_of(key: Any) -> Any:
    """Of a symbol or an array; a name is its own."""
    return getattr(key, "name", key)


def by_names(given: Mapping[Any, Any]) -> dict[str, Any]:
    """What is given by symbols or names, by names. Raises ValueError where something is given by both."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        if name_of(key) in found:
            raise ValueError(f"{name_of(key)} is given twice")
        found[name_of(key)] = value
    return found


def fixed_at(kernel: Kernel, fixed: Mapping[Any, Any]) -> dict[int, Any]:
    """What is fixed by the positions among the arguments of a kernel."""
    found: dict[int, Any] = {}
    for key, value in fixed.items():
        place = kernel._runner.arguments.position(key)
        name, rank = kernel.args[place].name, kernel._runner.arguments.ranks[place]
        if kernel.args[place] in kernel.wrt:
            raise ValueError(f"{name} is a variable: it has no fixed value")
        if place in found:
            raise ValueError(f"{name} is given twice")
        if np.ndim(value) != rank:
            raise ShapeError(f"the value of {name} is of shape {np.shape(value)}, and it has {rank} axes")
        found[place] = value
    return found


def constraint(given: Any) -> tuple[Any, Any, Any]:
    """An expression and its limits."""
    if isinstance(given, (tuple, list)) and len(given) == 3:
        return given[0], given[1], given[2]
    kinds = {sympy.Eq: (True, True), sympy.Ge: (True, False), sympy.Le: (False, True)}
    limited = kinds.get(type(given))
    if limited is None:
        kind = f"{given!r}"
        if isinstance(given, (sympy.Gt, sympy.Lt)):
            kind = f"{given}, which is strict"
        elif isinstance(given, (bool, BooleanAtom)):
            kind = f"{given}: SymPy has decided it without the variables"
        raise ValueError(f"a constraint is (g, low, high), or an equation, <= or >=, not {kind}")
    one, two = given.lhs, given.rhs
    left, limit = (one, float(two)) if two.is_number else (one - two, 0.0)
    return left, limit if limited[0] else None, limit if limited[1] else None


def limits_of(
    given: Sequence[tuple[Any, Any]], shapes: Sequence[tuple[int, ...]], names: Sequence[str]
) -> tuple[Any, Any]:
    """Lower and upper limits, each as one vector."""
    sides: tuple[list[Any], list[Any]] = [np.zeros(0)], [np.zeros(0)]
    for (low, high), shape, name in zip(given, shapes, names, strict=True):
        for side, limit, none in zip(sides, (low, high), (-np.inf, np.inf), strict=True):
            side.append(whole(none if limit is None else limit, shape, f"the limits of {name}").ravel())
    return np.concatenate(sides[0]), np.concatenate(sides[1])


def whole(given: Any, shape: tuple[int, ...], what: str) -> Any:
    """Numbers that broadcast to a shape, in that shape. Raises ValueError where they are none, or NaN."""
    try:
        array = np.asarray(given, np.float64)
    except TypeError:
        raise ValueError(f"{what} are no numbers: {given!r}") from None
    if np.isnan(array).any():
        raise ValueError(f"{what} are NaN somewhere")
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ShapeError(f"{what} are of shape {array.shape}, which does not broadcast to {shape}") from None
