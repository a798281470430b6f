"""Exponentials and logarithms, and what nets and probabilities make of them."""

from __future__ import annotations

from functools import reduce

import mpmath
import numpy as np
import sympy

from ..graph.gate import Numeric
from ..graph.node import View
from .table import GATES, PAIR, beyond_one, constant, gate


@gate(
    "exp", sympy.exp, np.exp, mpmath.exp, trouble=((-1000.0,), (0.0,)), has={"non_negative", "growing"}, latex=r"\exp"
)
def exp(y: View, a: View) -> tuple[View, ...]:
    return (y,)


@gate("expm1", None, np.expm1, mpmath.expm1, trouble=((0.0,), (1e-20,), (-40.0,)), has={"growing"})
def expm1(y: View, a: View) -> tuple[View, ...]:
    return (a.call("exp"),)  # y + 1 would cancel for a << 0


@gate(
    "log",
    sympy.log,
    np.log,
    mpmath.log,
    on=((0.5, 3.0),),
    trouble=((1.0,), (1e-300,)),
    safe=beyond_one,
    has={"edge"},
    latex=r"\ln",
)
def log(y: View, a: View) -> tuple[View, ...]:
    return (1 / a,)


@gate(
    "log1p", None, np.log1p, mpmath.log1p, on=((-0.5, 3.0),), trouble=((0.0,), (1e-20,)), safe=beyond_one, has={"edge"}
)
def log1p(y: View, a: View) -> tuple[View, ...]:
    return (1 / (1 + a),)


@gate(
    "sigmoid",
    None,
    lambda a: 1 / (1 + np.exp(-a)),
    lambda a: 1 / (1 + mpmath.exp(-a)),
    trouble=((-1000.0,), (1000.0,), (0.0,)),
    expansion=lambda a: 1 / (1 + (-a).call("exp")),
    label="σ",
    has={"finite", "non_negative", "growing"},
)
def sigmoid(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sigmoid_slope"),)


def _np_sigmoid_slope(a: Numeric) -> Numeric:
    e = np.exp(-np.abs(a))
    return e / ((1 + e) * (1 + e))


def _mp_sigmoid_slope(a: Numeric) -> Numeric:
    e = mpmath.exp(-a)
    return e / (1 + e) ** 2


def _sigmoid_slope(a: View) -> View:
    e = (-a).call("exp")
    y = 1 / (1 + e)
    return e.equals(constant(a, "oo")).where(0, y * (e * y))


@gate(
    "sigmoid_slope",
    None,
    _np_sigmoid_slope,
    _mp_sigmoid_slope,
    trouble=((-1000.0,), (1000.0,), (0.0,), (40.0,), (-40.0,)),
    expansion=_sigmoid_slope,
    has={"finite", "growing"},
)
def sigmoid_slope(y: View, a: View) -> tuple[View, ...]:
    """The derivative of the logistic function: (1 - y)*y without the cancellation where y is near 1."""
    return (-(y * (a / 2).call("tanh")),)


@gate(
    "softplus",
    None,
    lambda a: np.logaddexp(0, a),
    lambda a: mpmath.log1p(mpmath.exp(a)),
    trouble=((-1000.0,), (1000.0,), (0.0,), (-40.0,)),
    expansion=lambda a: a.call("max", constant(a, 0)) + (-a.call("abs")).call("exp").call("log1p"),
    has={"non_negative", "growing"},
)
def softplus(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sigmoid"),)


def _logaddexp(a: View, b: View) -> View:
    largest = a.call("max", b)
    is_finite = largest.call("abs") < constant(a, "oo")
    return largest + (-is_finite.where((a - b).call("abs"), 0)).call("exp").call("log1p")


@gate(
    "logsumexp",
    None,
    lambda *a: reduce(np.logaddexp, a),
    lambda *a: mpmath.log(mpmath.fsum(map(mpmath.exp, a))),
    on=PAIR,
    trouble=((1000.0, 999.0), (-1000.0, -1001.0), (0.0, -40.0)),
    expansion=lambda *a: reduce(_logaddexp, a),
    commutative=True,
    has={"growing"},
)
def logsumexp(y: View, *a: View) -> tuple[View, ...]:
    # Not exp(a - y): that has the absolute error of y.
    return tuple(a[i].call("softmax", *a[:i], *a[i + 1 :]) for i in range(len(a)))


def _difference(a: View, b: View) -> View:
    """a - b, and 0 where they are the same infinity."""
    return a.equals(b).where(0, a - b)


def _softmax(a: View, *others: View) -> View:
    if len(others) == 1:
        return _difference(a, others[0]).call("sigmoid")
    table = a.node.table
    largest = table.apply(GATES["max"], a, *others)
    terms = [_difference(b, largest).call("exp") for b in (a, *others)]
    return terms[0] / table.apply(GATES["add"], *terms)


def _np_difference(a: Numeric, b: Numeric) -> Numeric:
    return np.where(np.equal(a, b), 0, np.subtract(a, b))


def _mp_difference(a: Numeric, b: Numeric) -> Numeric:
    return mpmath.mpf(0) if a == b else a - b


@gate(
    "softmax",
    None,
    lambda a, *others: 1 / (1 + reduce(np.add, [np.exp(_np_difference(b, a)) for b in others])),
    lambda a, *others: 1 / (1 + mpmath.fsum(mpmath.exp(_mp_difference(b, a)) for b in others)),
    on=PAIR,
    trouble=((1000.0, 999.0), (-1000.0, -1001.0), (0.0, -40.0), (1000.0, -1000.0)),
    expansion=_softmax,
    has={"non_negative"},
)
def softmax(y: View, a: View, *others: View) -> tuple[View, ...]:
    """The share of exp(a) in the sum of the exponentials of all arguments."""
    shares = [b.call("softmax", a, *others[:i], *others[i + 1 :]) for i, b in enumerate(others)]
    return y * y.node.table.apply(GATES["add"], *shares) if len(shares) > 1 else y * shares[0], *(
        -(y * p) for p in shares
    )


@gate(
    "bose",
    None,
    lambda a: 1 / np.expm1(a),
    lambda a: 1 / mpmath.expm1(a),
    on=((0.3, 2.0),),
    trouble=((1000.0,), (-1000.0,), (1e-9,), (40.0,), (-40.0,)),
    expansion=lambda a: 1 / a.call("expm1"),
    has={"growing"},
)
def bose(y: View, a: View) -> tuple[View, ...]:
    """1/(exp(a) - 1), the Bose-Einstein distribution; exp(a)/(exp(a) - 1)**2 would be inf/inf."""
    return (y * (-a).call("bose"),)


def _np_logcosh(a: Numeric) -> Numeric:
    size = np.abs(a)
    near = np.log1p(2 * np.sinh(np.minimum(size, 1) / 2) ** 2)
    return np.where(size < 1, near, size + np.log1p(np.exp(-2 * size)) - np.log(2))


def _logcosh(a: View) -> View:
    small = (a / 2).call("sinh")
    size = a.call("abs")
    away = size + (size * -2).call("exp").call("log1p") - constant(a, 2).call("log")
    # Near 0 both terms of the other form are about log(2) and cancel.
    return (size < 1).where((small * small * 2).call("log1p"), away)


@gate(
    "logcosh",
    None,
    _np_logcosh,
    lambda a: mpmath.log(mpmath.cosh(a)),
    trouble=((-1000.0,), (1000.0,), (1e-9,), (0.0,)),
    expansion=_logcosh,
    has={"growing"},
)
def logcosh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("tanh"),)
