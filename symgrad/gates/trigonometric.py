"""Trigonometric functions, their inverses, and lengths."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import sympy

from ..graph.gate import Numeric
from ..graph.node import View
from .table import PAIR, constant, elementwise, gate, within_one


@gate("sin", sympy.sin, np.sin, mpmath.sin, trouble=((0.0,), (1e5,)), has={"finite", "periodic"}, latex=r"\sin")
def sin(y: View, a: View) -> tuple[View, ...]:
    return (a.call("cos"),)


@gate("cos", sympy.cos, np.cos, mpmath.cos, trouble=((0.0,), (1e5,)), has={"finite", "periodic"}, latex=r"\cos")
def cos(y: View, a: View) -> tuple[View, ...]:
    return (-a.call("sin"),)


@gate("tan", sympy.tan, np.tan, mpmath.tan, on=((-1.2, 1.2),), trouble=((0.0,),), has={"periodic"}, latex=r"\tan")
def tan(y: View, a: View) -> tuple[View, ...]:
    return (1 + y * y,)


@gate(
    "sec",
    sympy.sec,
    lambda a: 1 / np.cos(a),
    mpmath.sec,
    on=((-1.2, 1.2),),
    trouble=((0.0,),),
    expansion=lambda a: 1 / a.call("cos"),
    has={"periodic"},
    latex=r"\sec",
)
def sec(y: View, a: View) -> tuple[View, ...]:
    return (y * a.call("tan"),)


@gate(
    "csc",
    sympy.csc,
    lambda a: 1 / np.sin(a),
    mpmath.csc,
    on=((0.3, 2.8),),
    expansion=lambda a: 1 / a.call("sin"),
    has={"periodic"},
    latex=r"\csc",
)
def csc(y: View, a: View) -> tuple[View, ...]:
    return (-(y / a.call("tan")),)


@gate(
    "cot",
    sympy.cot,
    lambda a: 1 / np.tan(a),
    mpmath.cot,
    on=((0.3, 2.8),),
    expansion=lambda a: 1 / a.call("tan"),
    has={"periodic"},
    latex=r"\cot",
)
def cot(y: View, a: View) -> tuple[View, ...]:
    return (-(1 + y * y),)


@gate(
    "versine",
    None,
    lambda a: 2 * np.sin(a / 2) ** 2,
    lambda a: 2 * mpmath.sin(a / 2) ** 2,
    trouble=((0.0,), (1e-9,)),
    expansion=lambda a: 2 * ((a / 2).call("sin") * (a / 2).call("sin")),
    has={"periodic"},
)
def versine(y: View, a: View) -> tuple[View, ...]:
    """1 - cos(a), without the cancellation near 0."""
    return (a.call("sin"),)


@gate(
    "sinc",
    sympy.sinc,
    lambda a: np.sinc(np.divide(a, np.pi)),
    mpmath.sinc,
    trouble=((0.0,), (1e-9,), (0.4,)),
    expansion=lambda a: a.equals(0).where(1, a.call("sin") / a),
    has={"periodic"},
)
def sinc(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sinc_slope"),)


def _mp_sinc_slope(a: Numeric) -> Numeric:
    """The spherical Bessel function -j1; near 0 as a series, where the closed form cancels (DLMF 10.53.1)."""
    return -a / 3 * mpmath.hyp0f1(mpmath.mpf(5) / 2, -a * a / 4) if abs(a) < 1 else (mpmath.cos(a) - mpmath.sinc(a)) / a


def _sinc_slope(a: float) -> float:
    with mpmath.workdps(50):
        return float(_mp_sinc_slope(mpmath.mpf(a)))


@gate(
    "sinc_slope",
    None,
    elementwise(_sinc_slope),
    _mp_sinc_slope,
    trouble=((0.0,), (1e-300,), (1e-9,), (0.45,), (0.55,)),
    has={"periodic"},
)
def sinc_slope(y: View, a: View) -> tuple[View, ...]:
    """The derivative of sin(a)/a: (cos(a) - sinc(a))/a cancels near 0, where the spelling uses the Taylor series."""
    return (2 * constant(a, 1).call("bessel_ratio", a) - a.call("sinc"),)


def _mp_bessel_ratio(order: Numeric, a: Numeric) -> Numeric:
    if not mpmath.isfinite(a):  # of which mpmath asks how large it is; kernels have the cosine of infinity
        return mpmath.nan
    return mpmath.hyp0f1(order + mpmath.mpf(3) / 2, -a * a / 4) / mpmath.fac2(2 * order + 1)


def _bessel_ratio(order: float, a: float) -> float:
    with mpmath.workdps(50):
        return float(_mp_bessel_ratio(mpmath.mpf(order), mpmath.mpf(a)))


@gate(
    "bessel_ratio",
    None,
    elementwise(_bessel_ratio),
    _mp_bessel_ratio,
    on=((1.0, 1.0), (-2.0, 2.0)),
    trouble=((1.0, 0.0), (1.0, 1e-9), (2.0, 1.5), (3.0, 10.0), (2.0, 1e-20), (2.0, 1e5)),
    has={"periodic", "ordered"},
)
def bessel_ratio(y: View, order: View, a: View) -> tuple[View, ...]:
    """j(a)/a**n of the spherical Bessel function j of order n, a number >= 1 (DLMF 10.51.3); by n it has no derivative.

    The derivatives of sinc are made of these, and are right at 0, where the quotients of the functions cancel.
    """
    number = order.number
    assert isinstance(number, Fraction), "the derivatives of sinc ask for no other order"
    return constant(a, "nan"), -(a * constant(a, number + 1).call("bessel_ratio", a))


@gate(
    "one_minus_square",
    None,
    lambda a: (1 - a) * (1 + a),
    lambda a: (1 - a) * (1 + a),
    trouble=((1.0,), (0.999999999,), (1e-9,)),
    expansion=lambda a: (1 - a) * (1 + a),
)
def one_minus_square(y: View, a: View) -> tuple[View, ...]:
    """1 - a**2, not as 1 - a*a, which cancels near 1; by the derivatives of the factors inf*0 would arise at 1."""
    return (-2 * a,)


@gate(
    "asin",
    sympy.asin,
    np.arcsin,
    mpmath.asin,
    on=((-0.9, 0.9),),
    trouble=((0.0,), (0.999999999,)),
    safe=within_one,
    has={"edge"},
    latex=r"\arcsin",
)
def asin(y: View, a: View) -> tuple[View, ...]:
    return (1 / a.call("one_minus_square").call("sqrt"),)


@gate(
    "acos",
    sympy.acos,
    np.arccos,
    mpmath.acos,
    on=((-0.9, 0.9),),
    trouble=((0.0,), (0.999999999,)),
    safe=within_one,
    has={"non_negative", "edge"},
    latex=r"\arccos",
)
def acos(y: View, a: View) -> tuple[View, ...]:
    return (-(1 / a.call("one_minus_square").call("sqrt")),)


@gate(
    "atan_slope",
    None,
    lambda a: 1 / (1 + a * a),
    lambda a: 1 / (1 + a * a),
    trouble=((0.0,), (1e100,), (-1e100,), (1e200,)),
    expansion=lambda a: 1 / (1 + a * a),
    has={"finite", "non_negative"},
)
def atan_slope(y: View, a: View) -> tuple[View, ...]:
    """1/(1 + a**2): by the derivative of a quotient the square of it would underflow far out."""
    return (-2 * (a * y * y),)


@gate("atan", sympy.atan, np.arctan, mpmath.atan, trouble=((0.0,), (1e200,)), has={"finite"}, latex=r"\arctan")
def atan(y: View, a: View) -> tuple[View, ...]:
    return (a.call("atan_slope"),)


@gate(
    "acosh_slope",
    None,
    lambda a: 1 / (np.sqrt(a - 1) * np.sqrt(a + 1)),
    lambda a: 1 / (mpmath.sqrt(a - 1) * mpmath.sqrt(a + 1)),
    on=((1.2, 3.0),),
    trouble=((1.000000001,), (1e100,)),
    expansion=lambda a: 1 / ((a - 1).call("sqrt") * (a + 1).call("sqrt")),
)
def acosh_slope(y: View, a: View) -> tuple[View, ...]:
    """1/sqrt(a**2 - 1), which would cancel near 1 and overflow far out; by the two roots inf*0 would arise at 1."""
    return (-(a * y * (y * y)),)


def _inverse_secant_slope(a: View) -> View:
    size = a.call("abs")
    return size.call("acosh_slope") / size


@gate(
    "asec",
    sympy.asec,
    lambda a: np.arccos(1 / a),
    mpmath.asec,
    on=((1.2, 3.0),),
    trouble=((-2.0,),),
    expansion=lambda a: (1 / a).call("acos"),
    latex="arcsec",
)
def asec(y: View, a: View) -> tuple[View, ...]:
    return (_inverse_secant_slope(a),)


@gate(
    "acsc",
    sympy.acsc,
    lambda a: np.arcsin(1 / a),
    mpmath.acsc,
    on=((1.2, 3.0),),
    trouble=((-2.0,),),
    expansion=lambda a: (1 / a).call("asin"),
    latex="arccsc",
)
def acsc(y: View, a: View) -> tuple[View, ...]:
    return (-_inverse_secant_slope(a),)


@gate(
    "acot",
    sympy.acot,
    lambda a: np.arctan(1 / (a + 0.0)),  # -0.0 + 0.0 is 0.0
    lambda a: mpmath.atan(1 / a) if a else mpmath.pi / 2,
    on=((0.3, 2.0),),
    trouble=((-1.0,), (0.0,), (-0.0,)),
    expansion=lambda a: a.equals(0).where(constant(a, "pi") / 2, (1 / a).call("atan")),
    latex="arccot",
)
def acot(y: View, a: View) -> tuple[View, ...]:
    return (-a.call("atan_slope"),)


def _mp_atan2(a: Numeric, b: Numeric) -> Numeric:
    if isinstance(a, mpmath.mpc) or isinstance(b, mpmath.mpc):
        return mpmath.log((b + 1j * a) / mpmath.sqrt(a * a + b * b)) / 1j
    return mpmath.atan2(a, b)


@gate(
    "atan2",
    sympy.atan2,
    np.arctan2,
    _mp_atan2,
    on=PAIR,
    trouble=((1.0, -1.0), (-1.0, -1.0), (1.0, 0.0), (1e200, 1e200)),
)
def atan2(y: View, a: View, b: View) -> tuple[View, ...]:
    radius = a.call("hypot", b)  # a*a + b*b would overflow
    return b / radius / radius, -(a / radius / radius)


@gate(
    "hypot",
    None,
    np.hypot,
    lambda a, b: mpmath.sqrt(a * a + b * b),
    on=PAIR,
    trouble=((0.0, 0.0), (0.0, 2.0), (1e200, 1e200), (1e-200, 1e-200)),
    commutative=True,
    has={"non_negative"},
)
def hypot(y: View, a: View, b: View) -> tuple[View, ...]:
    # At the origin the subgradient 0, as Abs has it on the line.
    at_origin = y.equals(0)
    return at_origin.where(0, a.call("direction", b)), at_origin.where(0, b.call("direction", a))


@gate(
    "direction",
    None,
    lambda a, b: np.divide(a, np.hypot(a, b)),
    lambda a, b: a / mpmath.sqrt(a * a + b * b),
    on=PAIR,
    trouble=((0.0, 2.0), (1e200, 1e200), (1e-20, 1.0), (1.0, 1e-20)),
    expansion=lambda a, b: a / a.call("hypot", b),
)
def direction(y: View, a: View, b: View) -> tuple[View, ...]:
    """a/hypot(a, b), whose derivative is made of squares: as that of a quotient it would cancel where a is longer."""
    length, other = a.call("hypot", b), b.call("direction", a)
    return other * other / length, -(y * other / length)
