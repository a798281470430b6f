"""Error and gamma functions."""

from __future__ import annotations

import math

import mpmath
import sympy

from ..graph.node import View
from .table import beyond_one, constant, elementwise, gate, no_gradient


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


# The derivative of loggamma (DLMF 5.2.2). Its own derivative, trigamma, is not a gate yet.
no_gradient(
    "digamma",
    None,
    elementwise(lambda a: float(mpmath.digamma(a))),
    mpmath.digamma,
    on=((0.5, 4.0),),
    trouble=((-1.5,), (1e10,), (-1e-10,), (-1e-20,)),
)
