"""Exact numbers rounded once, to nearest even, to the dtype in which something is computed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

from ..gates.table import CONSTANTS
from ..graph.gate import Numeric
from ..graph.node import Number

# Numbers of a larger binary exponent, or a smaller one, are infinity and 0 in every dtype.
_LARGEST_EXPONENT = 100_000


def exact_number(number: Number) -> Numeric:
    """A constant of the graph at mpmath's working precision."""
    return CONSTANTS[number]() if isinstance(number, str) else mpmath.mpf(number.numerator) / number.denominator


def rounded(number: Number, dtype: npt.DTypeLike) -> Numeric:
    """A constant of the graph rounded once to `dtype`; overflow is infinity."""
    if isinstance(number, str):
        with mpmath.workdps(60):
            return round_exact(CONSTANTS[number](), np.dtype(dtype))
    return round_fraction(number, np.dtype(dtype))


def round_exact(number: Numeric, dtype: np.dtype[Any]) -> Numeric:
    """An mpmath number rounded once to `dtype`; also one whose exponent is too large to be written as a fraction."""
    sign, mantissa, exponent, bits = number._mpf_
    if not mpmath.isfinite(number) or abs(exponent + bits) > _LARGEST_EXPONENT:
        return dtype.type(float(number))
    return round_fraction(Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent), dtype)


def round_fraction(number: Fraction, dtype: np.dtype[Any]) -> Numeric:
    kind = dtype.type
    try:
        with np.errstate(over="ignore"):
            near = kind(float(number))
    except OverflowError:
        return kind(np.inf if number > 0 else -np.inf)
    if not np.isfinite(near) or Fraction(float(near)) == number or dtype == np.float64:
        return near
    # Rounding to float64 first may have rounded twice: pick the nearest of the neighbours, ties to even.
    with np.errstate(over="ignore"):
        candidates = [near, np.nextafter(near, kind(np.inf)), np.nextafter(near, kind(-np.inf))]
    finite = [candidate for candidate in candidates if np.isfinite(candidate)]
    return min(finite, key=lambda c: (abs(Fraction(float(c)) - number), int(c.view(f"u{dtype.itemsize}")) & 1))
