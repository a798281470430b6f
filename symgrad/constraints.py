"""Constraints and bounds of nonlinear programs, as users give them, as expressions and vectors of limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy
from sympy.logic.boolalg import BooleanAtom

from .errors import ShapeError


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
