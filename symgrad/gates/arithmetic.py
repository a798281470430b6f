"""Leaves, sums, products, powers, and functions that are lines with steps and kinks."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import mpmath
import numpy as np
import sympy

from ..graph.gate import Numeric
from ..graph.node import View
from ..graph.sums import chained
from .table import GATES, HALF, PAIR, beyond_one, constant, gate, no_gradient

no_gradient("constant")
no_gradient("input")


@gate(
    "add",
    None,
    lambda *a: reduce(np.add, a),
    lambda *a: reduce(lambda s, t: s + t, a),
    on=PAIR,
    commutative=True,
    label="+",
    has={"finite", "whole"},
    noun="sum",
)
def add(y: View, *a: View) -> tuple[View, ...]:
    return tuple(constant(y, 1) for _ in a)


@gate(
    "mul",
    None,
    lambda *a: reduce(np.multiply, a),
    lambda *a: reduce(lambda s, t: s * t, a),
    on=PAIR,
    trouble=((0.0, 3.0), (0.0, 0.0)),
    commutative=True,
    label="*",
    has={"finite", "whole"},
    noun="product",
)
def mul(y: View, *a: View) -> tuple[View, ...]:
    # The product of the others, from prefix and suffix products: product / factor is wrong where a factor is zero.
    before: list[View | None] = [None]
    for factor in a[:-1]:
        before.append(factor if before[-1] is None else before[-1] * factor)
    others: list[View] = []
    after: View | None = None
    for prefix, factor in zip(reversed(before), reversed(a), strict=True):
        others.append(chained([part for part in (prefix, after) if part is not None]))
        after = factor if after is None else factor * after
    return tuple(reversed(others))


@gate("div", None, np.divide, lambda a, b: a / b, on=PAIR, trouble=((0.0, 2.0),), label="/", noun="ratio")
def div(y: View, a: View, b: View) -> tuple[View, ...]:
    return 1 / b, -(y * (1 / b))


@gate("neg", None, np.negative, lambda a: -a, label="*-1", has={"finite", "exact", "passing", "whole"}, noun="minus")
def neg(y: View, a: View) -> tuple[View, ...]:
    return (constant(y, -1),)


def power_by_products(base: View, exponent: int) -> View:
    """`base**exponent` for an integer exponent >= 1 by repeated squaring, so that powers of one base share."""
    squared = base
    result: View | None = None
    while True:
        if exponent & 1:
            result = squared if result is None else result * squared
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        squared = squared * squared


def power_of(base: View, exponent: Fraction | int) -> View:
    """`base**exponent` for a rational exponent, as the gates that say it; a negative one is a quotient."""
    table = base.node.table
    if exponent < 0:
        return 1 / power_of(base, -exponent)
    if exponent in (0, 1):
        return base if exponent else table.constant(1)
    if exponent in _ROOTS:
        return base.call(_ROOTS[exponent])
    if exponent.denominator > 3:
        return base.call("pow", table.constant(exponent))
    whole = exponent.denominator == 1
    return table.apply(GATES["power"], base, attribute=exponent.numerator if whole else exponent)


def factor_and_divisor(number: Fraction) -> tuple[Fraction | int, int]:
    """What one multiplies by and divides by, for a positive rational times something: 3*a/7, rounded as a whole.

    One number where that rounds no more: 1.5*a, as every Float has it; and where the two would not be exact themselves.
    """
    above, below = number.as_integer_ratio()
    is_dyadic = below & (below - 1) == 0
    return (number, 1) if above != 1 != below and (is_dyadic or max(above, below) > 2**53) else (above, below)


_ROOTS: dict[Fraction | int, str] = {HALF: "sqrt", Fraction(1, 3): "cbrt"}


def spelled_power(base: View, exponent: Fraction | int) -> View:
    """A power as products and roots: by repeated squaring, and at most two roots."""
    whole, rest = divmod(exponent, 1)
    factors = [power_by_products(base, whole)] if whole else []
    if rest:
        root = _ROOTS[Fraction(1, rest.denominator)]
        factors += [base.call(root)] * rest.numerator
    return reduce(lambda one, two: one * two, factors)


def _mp_rational_power(a: Numeric, n: Fraction) -> Numeric:
    return a ** int(n) if n == int(n) else mpmath.power(a, mpmath.mpf(n.numerator) / n.denominator)


@gate(
    "power",
    None,
    lambda a, n: np.power(a, float(n)),
    _mp_rational_power,
    trouble=((0.0,), (-3.0,)),
    has={"finite", "whole"},
)
def power(y: View, a: View) -> tuple[View, ...]:
    """An exact power, its exponent in the attribute: a whole number >= 2, or halves and thirds.

    Products and roots only after differentiation: those of x*sqrt(x) have the derivative 0*inf at 0.
    """
    exponent = y.node.exponent
    return (exponent * power_of(a, exponent - 1),)


def _mp_pow(a: Numeric, b: Numeric) -> Numeric:
    return mpmath.mpf(1) if b == 0 else mpmath.power(a, b)


@gate(
    "pow",
    None,
    np.power,
    _mp_pow,
    on=((0.5, 3.0), (-2.0, 2.0)),
    trouble=((0.0, 1.5), (0.0, 2.5), (1.0, 0.5)),
    safe=beyond_one,
    label="x^y",
    has={"edge"},
)
def pow(y: View, a: View, b: View) -> tuple[View, ...]:
    return _zero_at_exponent_0(b, a.call("pow_slope", b)), a.call("pow_log", b)


def _zero_at_exponent_0(b: View, by_base: View) -> View:
    """The derivative by the base of a power that is 1 everywhere: 0 whatever is handed back to it."""
    return by_base if b.node.fixed else b.equals(0).call("zero_where", by_base)


def _mp_pow_slope(a: Numeric, b: Numeric) -> Numeric:
    return b * _mp_pow(a, b - 1) if b else mpmath.mpf(0)


@gate(
    "pow_slope",
    None,
    lambda a, b: np.where(np.equal(b, 0), 0.0, b * np.power(a, b - 1)),
    _mp_pow_slope,
    on=((0.5, 3.0), (-2.0, 2.0)),
    trouble=((0.0, 2.5), (0.0, 3.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0)),
    expansion=lambda a, b: b.equals(0).where(0, b * a.call("pow", b - 1)),
)
def pow_slope(y: View, a: View, b: View) -> tuple[View, ...]:
    """The derivative of a power by its base: 0 at the exponent 0, also where the base is 0.

    A gate, since the branch for that has no derivative by the exponent there, where it is 1/a.
    """
    return _pow_curvature(a, b), _pow_mixed(a, b)


def _pow_curvature(a: View, b: View) -> View:
    """The second derivative of a power by its base: 0 at the exponents 0 and 1, where it would be 0*inf at 0."""
    return _zero_at_exponent_0(b, b * a.call("pow_slope", b - 1))


def _pow_mixed(a: View, b: View) -> View:
    """The derivative of a power by base and exponent; at the base 0 its limit: infinite up to the exponent 1."""
    is_zero = a.equals(0)
    logarithm = is_zero.call("and", b.equals(0)).call("zero_where", b * a.call("log"))
    return is_zero.call("and", constant(a, 1) < b).where(0, a.call("pow", b - 1) * (1 + logarithm))


def _np_pow_log(a: Numeric, b: Numeric) -> Numeric:
    return np.where(np.equal(a, 0) & ~np.less(b, 0), 0.0, np.power(a, b) * np.log(a))


def _mp_pow_log(a: Numeric, b: Numeric) -> Numeric:
    return mpmath.mpf(0) if a == 0 and not mpmath.re(b) < 0 else _mp_pow(a, b) * mpmath.log(a)


def _where_no_limit(a: View, b: View, product: View) -> View:
    """A power times logarithms of its base: 0 at the base 0, but for a negative exponent, where that would be 0*inf."""
    return a.equals(0).call("and", (b < 0).call("not")).where(0, product)


@gate(
    "pow_log",
    None,
    _np_pow_log,
    _mp_pow_log,
    on=((0.5, 3.0), (-2.0, 2.0)),
    trouble=((0.0, 2.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0)),
    expansion=lambda a, b: _where_no_limit(a, b, a.call("pow", b) * a.call("log")),
)
def pow_log(y: View, a: View, b: View) -> tuple[View, ...]:
    """The derivative of a power by its exponent, 0 at the base 0.

    A gate, since the branch for that has no derivative by the base there, where it is infinite up to the exponent 1.
    """
    return _pow_mixed(a, b), _where_no_limit(a, b, y * a.call("log"))


def _power_or_pow(a: View, b: View) -> View:
    return power_of(a, b.number) if isinstance(b.number, Fraction) else a.call("pow", b)


@gate(
    "abs_pow",
    None,
    lambda a, b: np.power(np.abs(a), b),
    lambda a, b: _mp_pow(abs(a), b),
    on=((-3.0, -0.5), (-2.0, 2.0)),
    trouble=((0.0, 2.5), (0.5, 1.5), (1.0, 0.5), (-0.5, 0.0)),
    expansion=lambda a, b: _power_or_pow(a.call("abs"), b),
    analytic=False,
    has={"non_negative"},
)
def abs_pow(y: View, a: View, b: View) -> tuple[View, ...]:
    """|a|**b, whose derivatives at 0 are limits: by the chain rule through |a| the second one would be inf*0*0."""
    return _zero_at_exponent_0(b, a.call("abs_pow_slope", b)), a.call("abs").call("pow_log", b)


@gate(
    "abs_pow_slope",
    None,
    lambda a, b: np.where(np.equal(b, 0), 0.0, b * np.sign(a) * np.power(np.abs(a), b - 1)),
    lambda a, b: mpmath.sign(a) * _mp_pow_slope(abs(a), b),
    on=((-3.0, -0.5), (-2.0, 2.0)),
    trouble=((0.0, 2.5), (0.5, 1.5), (1.0, 0.5), (-0.5, 0.0), (-0.5, 1.0)),
    expansion=lambda a, b: b.equals(0).where(0, b * _power_or_pow(a.call("abs"), b - 1) * a.call("sign")),
    analytic=False,
)
def abs_pow_slope(y: View, a: View, b: View) -> tuple[View, ...]:
    """The derivative of |a|**b by a."""
    size = a.call("abs")
    return _pow_curvature(size, b), _pow_mixed(size, b) * a.call("sign")


@gate(
    "abs",
    sympy.Abs,
    np.abs,
    abs,
    trouble=((0.0,),),
    label="|x|",
    analytic=False,
    has={"finite", "non_negative", "exact", "passing", "whole"},
    latex=r"\left|#1\right|",
)
def absolute(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sign"),)


@gate("sign", sympy.sign, np.sign, mpmath.sign, trouble=((0.0,),), analytic=False, has={"step", "exact", "whole"})
def sign(y: View, a: View) -> tuple[View, ...]:
    return (constant(y, 0),)


@gate(
    "floor",
    sympy.floor,
    np.floor,
    mpmath.floor,
    trouble=((1.0,),),
    analytic=False,
    has={"step", "exact", "rounding"},
    latex=r"\left\lfloor #1\right\rfloor",
)
def floor(y: View, a: View) -> tuple[View, ...]:
    return (constant(y, 0),)


@gate(
    "ceil",
    sympy.ceiling,
    np.ceil,
    mpmath.ceil,
    trouble=((1.0,),),
    analytic=False,
    has={"step", "exact", "rounding"},
    latex=r"\left\lceil #1\right\rceil",
)
def ceil(y: View, a: View) -> tuple[View, ...]:
    return (constant(y, 0),)


@gate(
    "frac",
    sympy.frac,
    lambda a: a - np.floor(a),
    lambda a: a - mpmath.floor(a),
    trouble=((1.0,), (-0.25,)),
    expansion=lambda a: a - a.call("floor"),
    analytic=False,
)
def frac(y: View, a: View) -> tuple[View, ...]:
    return (constant(y, 1),)


def _mp_mod(a: Numeric, b: Numeric) -> Numeric:
    """Exact: a quotient may have more digits than the precision. NaN also where these would fill the memory."""
    return a % b if b and mpmath.mag(a) < mpmath.mag(b) + _MAX_QUOTIENT else mpmath.mpf("nan")


_MAX_QUOTIENT = 100_000  # binary digits


@gate(
    "mod",
    sympy.Mod,
    np.mod,
    _mp_mod,
    on=((-9.0, 9.0), (0.5, 2.0)),
    trouble=((6.0, 2.0), (1.0, 0.1)),
    analytic=False,
    has={"step", "whole"},
    noun="remainder",
)
def mod(y: View, a: View, b: View) -> tuple[View, ...]:
    # floor(a/b), found from the exact remainder: a/b itself may round up to the next integer.
    return constant(y, 1), -(((a - y) / b + HALF).call("floor"))
