"""Hyperbolic functions and their inverses."""

from __future__ import annotations

import mpmath
import numpy as np
import sympy

from ..graph.node import View
from .arithmetic import power_of
from .table import beyond_one, constant, gate, within_one


@gate("sinh", sympy.sinh, np.sinh, mpmath.sinh, trouble=((0.0,), (1e-9,)), has={"growing"}, latex=r"\sinh")
def sinh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("cosh"),)


@gate("cosh", sympy.cosh, np.cosh, mpmath.cosh, trouble=((0.0,),), has={"non_negative", "growing"}, latex=r"\cosh")
def cosh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sinh"),)


@gate(
    "tanh",
    sympy.tanh,
    np.tanh,
    mpmath.tanh,
    trouble=((0.0,), (1000.0,), (-1000.0,), (12.0,)),
    has={"finite", "growing"},
    latex=r"\tanh",
)
def tanh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sech") * a.call("sech"),)  # 1 - y*y has no correct digit left beyond |a| = 19


@gate(
    "sech",
    sympy.sech,
    lambda a: 1 / np.cosh(a),
    mpmath.sech,
    trouble=((0.0,), (1000.0,)),
    expansion=lambda a: 1 / a.call("cosh"),
    has={"finite", "non_negative", "growing"},
)
def sech(y: View, a: View) -> tuple[View, ...]:
    return (-(y * a.call("tanh")),)


@gate(
    "csch",
    sympy.csch,
    lambda a: 1 / np.sinh(a),
    mpmath.csch,
    on=((0.3, 2.0),),
    trouble=((1000.0,),),
    expansion=lambda a: 1 / a.call("sinh"),
    has={"growing"},
)
def csch(y: View, a: View) -> tuple[View, ...]:
    return (-(y / a.call("tanh")),)


@gate(
    "coth",
    sympy.coth,
    lambda a: 1 / np.tanh(a),
    mpmath.coth,
    on=((0.3, 2.0),),
    trouble=((12.0,),),
    expansion=lambda a: 1 / a.call("tanh"),
    has={"growing"},
    latex=r"\coth",
)
def coth(y: View, a: View) -> tuple[View, ...]:
    return (-(a.call("csch") * a.call("csch")),)


@gate("asinh", sympy.asinh, np.arcsinh, mpmath.asinh, trouble=((0.0,), (1e200,), (-1e-9,)), latex="arsinh")
def asinh(y: View, a: View) -> tuple[View, ...]:
    return (1 / a.call("hypot", constant(a, 1)),)


@gate(
    "acosh",
    sympy.acosh,
    np.arccosh,
    mpmath.acosh,
    on=((1.2, 3.0),),
    trouble=((1e200,),),
    safe=beyond_one,
    has={"non_negative", "edge"},
    latex="arcosh",
)
def acosh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("acosh_slope"),)


@gate(
    "atanh",
    sympy.atanh,
    np.arctanh,
    mpmath.atanh,
    on=((-0.9, 0.9),),
    trouble=((0.0,), (0.999999999,)),
    safe=within_one,
    has={"edge"},
    latex="artanh",
)
def atanh(y: View, a: View) -> tuple[View, ...]:
    return (1 / a.call("one_minus_square"),)


def _root_of_one_minus_square(a: View) -> View:
    return a.call("one_minus_square").call("sqrt")


@gate(
    "asech_slope",
    None,
    lambda a: -1 / (a * np.sqrt((1 - a) * (1 + a))),
    lambda a: -1 / (a * mpmath.sqrt((1 - a) * (1 + a))),
    on=((0.2, 0.9),),
    trouble=((0.999999999,), (1e-9,)),
    expansion=lambda a: -(1 / a / _root_of_one_minus_square(a)),
)
def asech_slope(y: View, a: View) -> tuple[View, ...]:
    """The derivative of asech: by that of a product its own would be inf - inf at 1, which is minus infinity."""
    return ((1 - 2 * a * a) * (y * y) / _root_of_one_minus_square(a),)


@gate(
    "asech",
    sympy.asech,
    lambda a: np.arccosh(1 / a),
    mpmath.asech,
    on=((0.2, 0.9),),
    expansion=lambda a: (1 / a).call("acosh"),
    latex="arsech",
)
def asech(y: View, a: View) -> tuple[View, ...]:
    return (a.call("asech_slope"),)


@gate(
    "acsch_slope",
    None,
    lambda a: -1 / (np.abs(a) * np.hypot(a, 1)),
    lambda a: -1 / (mpmath.sqrt(a * a) * mpmath.sqrt(1 + a * a)),
    on=((0.3, 2.0),),
    trouble=((-1.0,), (1e100,), (1e-9,)),
    expansion=lambda a: -(1 / (a.call("abs") * a.call("hypot", constant(a, 1)))),
)
def acsch_slope(y: View, a: View) -> tuple[View, ...]:
    """The derivative of acsch: at 0 its own is infinite, and would be inf*0 by the derivative 0 of |a|."""
    share = a.call("direction", constant(a, 1))
    return (-(y / a * (1 + share * share)),)


@gate(
    "acsch",
    sympy.acsch,
    lambda a: np.arcsinh(1 / a),
    mpmath.acsch,
    on=((0.3, 2.0),),
    trouble=((-1.0,),),
    expansion=lambda a: (1 / a).call("asinh"),
    latex="arcsch",
)
def acsch(y: View, a: View) -> tuple[View, ...]:
    return (a.call("acsch_slope"),)


@gate(
    "acoth",
    sympy.acoth,
    lambda a: np.arctanh(1 / a),
    mpmath.acoth,
    on=((1.2, 3.0),),
    trouble=((-2.0,),),
    expansion=lambda a: (1 / a).call("atanh"),
    latex="arcoth",
)
def acoth(y: View, a: View) -> tuple[View, ...]:
    return (-power_of(a.call("abs").call("acosh_slope"), 2),)  # the sign that it has where |a| > 1, at 1 and -1 too
