"""What the problems have in common: indices, arrays, and limits of arrays whose ends are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

n, m = sp.symbols("n m", integer=True, positive=True)
i, j, k, p, s = sp.symbols("i j k p s", integer=True)
HALF = sp.Rational(1, 2)


def arrays(names: str, *shape: Any) -> tuple[sp.IndexedBase, ...]:
    """Arrays of numbers, all of one shape."""
    return tuple(sp.IndexedBase(name, shape=shape) for name in names.split())


def table(name: str, *shape: Any) -> sp.IndexedBase:
    """An array of indices."""
    return sp.IndexedBase(sp.Symbol(name, integer=True), shape=shape)


def held(
    count: int,
    first: float | None = None,
    last: float | None = None,
    low: float = -np.inf,
    high: float = np.inf,
) -> tuple[Any, Any]:
    """Limits of an array whose ends may be given."""
    limits = np.full(count, float(low)), np.full(count, float(high))
    for place, value in ((0, first), (-1, last)):
        for side in limits:
            if value is not None:
                side[place] = value
    return limits
