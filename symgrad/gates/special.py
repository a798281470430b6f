"""Error and gamma functions."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import sympy

from ..errors import UnsupportedExpression
from ..graph.gate import Numeric
from ..graph.node import View
from .table import beyond_one, constant, elementwise, gate


def _gauss(a: View) -> View:
    """2/sqrt(pi)*exp(-a**2), the derivative of erf."""
    return (-(a * a)).call("exp") * (2 / constant(a, "pi").call("sqrt"))


@gate(
    "erf", sympy.erf, elementwise(math.erf), mpmath.erf, trouble=((0.0,), (1e-20,), (6.0,)), has={"finite", "growing"}
)
def erf(y: View, a: View) -> tuple[View, ...]:
    return (_gauss(a),)


@gate(
    "erfc",
    sympy.erfc,
    elementwise(math.erfc),
    mpmath.erfc,
    trouble=((0.0,), (10.0,), (-6.0,)),
    has={"non_negative", "growing"},
)
def erfc(y: View, a: View) -> tuple[View, ...]:
    return (-_gauss(a),)


@gate(
    "gamma",
    sympy.gamma,
    elementwise(math.gamma),
    mpmath.gamma,
    on=((0.5, 4.0),),
    trouble=((-1.5,), (20.0,)),
    safe=beyond_one,
    has={"growing"},
    latex=r"\Gamma",
)
def gamma(y: View, a: View) -> tuple[View, ...]:
    return (y * a.call("digamma"),)


def _loggamma(a: float) -> float:
    return math.lgamma(a) if a > 0 else math.inf if a == 0 else math.nan


@gate(
    "loggamma",
    sympy.loggamma,
    elementwise(_loggamma),
    lambda a: mpmath.loggamma(a) if a else mpmath.mpf("inf"),
    on=((0.5, 4.0),),
    trouble=((1e10,), (1e-10,)),
    safe=beyond_one,
    has={"edge"},
)
def loggamma(y: View, a: View) -> tuple[View, ...]:
    """The logarithm of gamma(a) for a > 0; complex for a < 0, so NaN there."""
    return (a.call("digamma"),)


@gate(
    "digamma",
    None,
    elementwise(lambda a: float(mpmath.digamma(a))),
    mpmath.digamma,
    on=((0.5, 4.0),),
    trouble=((-1.5,), (1e10,), (-1e-10,), (-1e-20,)),
)
def digamma(y: View, a: View) -> tuple[View, ...]:
    """The derivative of loggamma (DLMF 5.2.2)."""
    return (constant(a, 1).call("polygamma", a),)


# The highest derivative of digamma that there is: its parts, down to k!/(k + 12)**k, are still numbers in float32.
LARGEST_ORDER = 60


def _mp_polygamma(order: Numeric, a: Numeric) -> Numeric:
    """Infinite at the poles of an odd order, which are of one sign on both sides."""
    n = int(mpmath.re(order))
    if not isinstance(a, mpmath.mpc) and a <= 0 and mpmath.isint(a):
        return mpmath.inf if n % 2 else mpmath.nan
    return mpmath.psi(n, a)


def _np_polygamma(order: float, a: float) -> float:
    with mpmath.workdps(30):
        return float(_mp_polygamma(order, mpmath.mpf(a)))


@gate(
    "polygamma",
    None,
    elementwise(_np_polygamma),
    _mp_polygamma,
    on=((1.0, 1.0), (0.5, 4.0)),
    trouble=((1.0, -1.5), (2.0, 1e10), (3.0, -1e-10), (4.0, 1e-20), (5.0, -20.25)),
    has={"ordered"},
)
def polygamma(y: View, order: View, a: View) -> tuple[View, ...]:
    """The derivative of digamma of an order that is a number >= 1 (DLMF 5.15); by the order it has none."""
    number = order.number
    assert isinstance(number, Fraction), "lowering accepts no other order"
    if number >= LARGEST_ORDER:
        raise UnsupportedExpression(f"no derivative of polygamma({number}, x): the highest order is {LARGEST_ORDER}")
    return constant(a, "nan"), constant(a, number + 1).call("polygamma", a)
