"""The gates: one row per operation, everything that is known of it.

A rule is a small `def` under `@gate(...)`: the result first, then the arguments; it gives one local gradient per
argument, written in the result where that is cheaper. What a rule costs in accuracy at its trouble points stands beside
it. Lowering, differentiation, evaluation, emission and tests all read this table; how a target spells a gate is the
record of the same name in symgrad_codegen/functions.py, and a gate that no target spells has an `expansion` instead.

Rules follow ISO 80000-2 and Abramowitz & Stegun chapters 4, 6 and 7; conventions at kinks are in docs/conventions.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import reduce
from typing import Any

import mpmath
import numpy as np
import sympy

from .graph import Gate, Node, View

GATES: dict[str, Gate] = {}
BY_CLASS: dict[type, str] = {}  # SymPy class to gate, where the arguments correspond one to one

# Where a gate is tried by the generated tests: an ordinary interval per argument, and its trouble points.
ORDINARY: dict[str, tuple[tuple[float, float], ...]] = {}
TROUBLE: dict[str, tuple[tuple[float, ...], ...]] = {}

# Constants that are no rationals: their value at mpmath's working precision.
CONSTANTS: dict[str, Callable[[], Any]] = {
    "pi": lambda: +mpmath.mp.pi,
    "E": lambda: +mpmath.mp.e,
    "EulerGamma": lambda: +mpmath.mp.euler,
    "GoldenRatio": lambda: +mpmath.mp.phi,
    "Catalan": lambda: +mpmath.mp.catalan,
    "TribonacciConstant": lambda: (
        (1 + mpmath.cbrt(19 - 3 * mpmath.sqrt(33)) + mpmath.cbrt(19 + 3 * mpmath.sqrt(33))) / 3
    ),
    "oo": lambda: mpmath.mpf("inf"),
    "-oo": lambda: mpmath.mpf("-inf"),
    "nan": lambda: mpmath.mpf("nan"),
}

HALF = Fraction(1, 2)


def gate(
    name: str,
    sympy_class: type | None = None,
    numpy: Callable[..., Any] | None = None,
    mpmath: Callable[..., Any] | None = None,
    *,
    on: tuple[tuple[float, float], ...] = ((-2.0, 2.0),),
    trouble: tuple[tuple[float, ...], ...] = (),
    expansion: Callable[..., View] | None = None,
    kind: str = "real",
    commutative: bool = False,
    safe: Callable[..., View] | None = None,
    label: str = "",
    analytic: bool = True,
) -> Callable[[Callable[..., tuple[View, ...]] | None], None]:
    """Enter a gate into the table; what is decorated gives its local gradients."""

    def enter(rule: Callable[..., tuple[View, ...]] | None) -> None:
        GATES[name] = Gate(name, rule, expansion, numpy, mpmath, kind, commutative, safe, label, analytic)
        ORDINARY[name], TROUBLE[name] = on, trouble
        if sympy_class is not None:
            BY_CLASS[sympy_class] = name

    return enter


def no_gradient(name: str, *args: Any, **options: Any) -> None:
    """Enter a gate that has no derivative of its own: leaves, conditions, and what only gradients use."""
    gate(name, *args, **options)(None)


def _each(function: Callable[..., float]) -> Callable[..., Any]:
    """A function of Python's math module on arrays; a domain error is NaN, a pole infinity."""

    def one(*values: float) -> float:
        try:
            return function(*map(float, values))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return np.vectorize(one, otypes=[float])


def _constant(like: View, number: Fraction | int | str) -> View:
    return like.node.table.constant(number)


# Safe points of limited domains. Made of the argument: a constant LLVM would fold, back to a branch that is no vector.
def _beyond_one(a: View) -> View:
    return a.call("abs") + 1


def _within_one(a: View) -> View:
    return 1 / (a.call("abs") + 1)


# --- leaves, arithmetic -----------------------------------------------------------------------------------------------

no_gradient("constant")
no_gradient("input")

_PAIR = ((0.5, 2.0), (0.5, 2.0))


@gate(
    "add",
    None,
    lambda *a: reduce(np.add, a),
    lambda *a: reduce(lambda s, t: s + t, a),
    on=_PAIR,
    commutative=True,
    label="+",
)
def add(y: View, *a: View) -> tuple[View, ...]:
    return tuple(_constant(y, 1) for _ in a)


@gate(
    "mul",
    None,
    lambda *a: reduce(np.multiply, a),
    lambda *a: reduce(lambda s, t: s * t, a),
    on=_PAIR,
    trouble=((0.0, 3.0), (0.0, 0.0)),
    commutative=True,
    label="*",
)
def mul(y: View, *a: View) -> tuple[View, ...]:
    # The product of the others, from prefix and suffix products: product / factor is wrong where a factor is zero.
    before: list[View | None] = [None]
    for factor in a[:-1]:
        before.append(factor if before[-1] is None else before[-1] * factor)
    others: list[View] = []
    after: View | None = None
    for prefix, factor in zip(reversed(before), reversed(a), strict=True):
        others.append(after if prefix is None else prefix if after is None else prefix * after)  # type: ignore[arg-type]
        after = factor if after is None else factor * after
    return tuple(reversed(others))


@gate("div", None, np.divide, lambda a, b: a / b, on=_PAIR, trouble=((0.0, 2.0),), label="/")
def div(y: View, a: View, b: View) -> tuple[View, ...]:
    return 1 / b, -(y * (1 / b))


@gate("neg", None, np.negative, lambda a: -a, label="*-1")
def neg(y: View, a: View) -> tuple[View, ...]:
    return (_constant(y, -1),)


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


def power_of(base: View, exponent: Fraction) -> View:
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


_ROOTS = {HALF: "sqrt", Fraction(1, 3): "cbrt"}


def spelled_power(base: View, exponent: Fraction) -> View:
    """A power as products and roots: by repeated squaring, and at most two roots."""
    whole, rest = divmod(exponent, 1)
    factors = [power_by_products(base, whole)] if whole else []
    if rest:
        root = _ROOTS[Fraction(1, rest.denominator)]
        factors += [base.call(root)] * rest.numerator
    return reduce(lambda one, two: one * two, factors)


def _mp_rational_power(a: Any, n: Fraction) -> Any:
    return a ** int(n) if n == int(n) else mpmath.power(a, mpmath.mpf(n.numerator) / n.denominator)


@gate("power", None, lambda a, n: np.power(a, float(n)), _mp_rational_power, trouble=((0.0,), (-3.0,)))
def power(y: View, a: View) -> tuple[View, ...]:
    """An exact power, its exponent in the attribute: a whole number >= 2, or halves and thirds.

    Products and roots only after differentiation: those of x*sqrt(x) have the derivative 0*inf at 0.
    """
    exponent = Fraction(y.node.attribute)
    return (exponent * power_of(a, exponent - 1),)


def _mp_pow(a: Any, b: Any) -> Any:
    return mpmath.mpf(1) if b == 0 else mpmath.power(a, b)


@gate(
    "pow",
    None,
    np.power,
    _mp_pow,
    on=((0.5, 3.0), (-2.0, 2.0)),
    trouble=((0.0, 1.5), (0.0, 2.5), (1.0, 0.5)),
    safe=_beyond_one,
    label="x^y",
)
def pow(y: View, a: View, b: View) -> tuple[View, ...]:
    # By the exponent it is 0 at the base 0, where y*log(a) would be 0*inf; by the base it is 0 at the exponent 0.
    by_base = b.equals(0).where(0, b * a.call("pow", b - 1))
    return by_base, a.equals(0).call("and", (b < 0).call("not")).where(0, y * a.call("log"))


# --- conditions and branches ------------------------------------------------------------------------------------------

no_gradient("lt", None, np.less, lambda a, b: a < b, on=_PAIR, kind="boolean", label="<", analytic=False)
no_gradient("le", None, np.less_equal, lambda a, b: a <= b, on=_PAIR, kind="boolean", label="<=", analytic=False)
no_gradient(
    "eq", None, np.equal, lambda a, b: a == b, on=_PAIR, kind="boolean", commutative=True, label="==", analytic=False
)
no_gradient(
    "ne",
    None,
    np.not_equal,
    lambda a, b: a != b,
    on=_PAIR,
    kind="boolean",
    commutative=True,
    label="!=",
    analytic=False,
)
no_gradient(
    "and",
    None,
    lambda *a: reduce(np.logical_and, a),
    lambda *a: all(a),
    kind="boolean",
    commutative=True,
    analytic=False,
)
no_gradient(
    "or", None, lambda *a: reduce(np.logical_or, a), lambda *a: any(a), kind="boolean", commutative=True, analytic=False
)
no_gradient("not", None, np.logical_not, lambda a: not a, kind="boolean", analytic=False)
# A branch guards what flows through it: differentiate.py has its rule.
no_gradient("select", None, np.where, lambda c, a, b: a if c else b, label="if", analytic=False)


@gate(
    "undefined",
    None,
    lambda *a: sum(a) * np.nan,
    lambda *a: mpmath.mpf("nan"),
    expansion=lambda *a: _constant(a[0], "nan"),
    analytic=False,
)
def undefined(y: View, *a: View) -> tuple[View, ...]:
    """What a Piecewise is outside all its branches: NaN, and so are its derivatives by its inputs."""
    return tuple(_constant(y, "nan") for _ in a)


def _shares(y: View, a: tuple[View, ...], wins: Callable[[View, View], View]) -> tuple[View, ...]:
    """Max and min route the gradient to the extreme argument; k tied ones get 1/k each, NaN stays NaN."""
    nan = _constant(y, "nan")
    if len(a) == 2:
        one, two = a
        tie = one.equals(two).where(HALF, nan)
        return (
            wins(one, two).where(1, wins(two, one).where(0, tie)),
            wins(two, one).where(1, wins(one, two).where(0, tie)),
        )
    ties = [argument.equals(y).where(1, 0) for argument in a]
    count = y.node.table.apply(GATES["add"], *ties)
    loser = y.equals(y).where(0, nan)
    return tuple(argument.equals(y).where(1 / count, loser) for argument in a)


def _nan_aware(choose: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a: next((x for x in a if mpmath.isnan(x)), None) or choose(a)


@gate(
    "max",
    sympy.Max,
    lambda *a: reduce(np.maximum, a),
    _nan_aware(max),
    on=_PAIR,
    trouble=((1.0, 1.0),),
    commutative=True,
    analytic=False,
)
def maximum(y: View, *a: View) -> tuple[View, ...]:
    return _shares(y, a, lambda one, two: one > two)


@gate(
    "min",
    sympy.Min,
    lambda *a: reduce(np.minimum, a),
    _nan_aware(min),
    on=_PAIR,
    trouble=((1.0, 1.0),),
    commutative=True,
    analytic=False,
)
def minimum(y: View, *a: View) -> tuple[View, ...]:
    return _shares(y, a, lambda one, two: one < two)


@gate("abs", sympy.Abs, np.abs, abs, trouble=((0.0,),), label="|x|", analytic=False)
def absolute(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sign"),)


@gate("sign", sympy.sign, np.sign, mpmath.sign, trouble=((0.0,),), analytic=False)
def sign(y: View, a: View) -> tuple[View, ...]:
    return (_constant(y, 0),)


@gate("floor", sympy.floor, np.floor, mpmath.floor, trouble=((1.0,),), analytic=False)
def floor(y: View, a: View) -> tuple[View, ...]:
    return (_constant(y, 0),)


@gate("ceil", sympy.ceiling, np.ceil, mpmath.ceil, trouble=((1.0,),), analytic=False)
def ceil(y: View, a: View) -> tuple[View, ...]:
    return (_constant(y, 0),)


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
    return (_constant(y, 1),)


def _mp_mod(a: Any, b: Any) -> Any:
    """Exact: a quotient may have more digits than the precision. NaN also where these would fill the memory."""
    return a % b if b and mpmath.mag(a) < mpmath.mag(b) + _LARGEST_QUOTIENT else mpmath.mpf("nan")


_LARGEST_QUOTIENT = 100_000  # binary digits


@gate(
    "mod",
    sympy.Mod,
    np.mod,
    _mp_mod,
    on=((-9.0, 9.0), (0.5, 2.0)),
    trouble=((6.0, 2.0), (1.0, 0.1)),
    analytic=False,
)
def mod(y: View, a: View, b: View) -> tuple[View, ...]:
    # floor(a/b), found from the exact remainder: a/b itself may round up to the next integer.
    return _constant(y, 1), -(((a - y) / b + HALF).call("floor"))


# --- exponentials and logarithms --------------------------------------------------------------------------------------


@gate("exp", sympy.exp, np.exp, mpmath.exp, trouble=((-1000.0,), (0.0,)))
def exp(y: View, a: View) -> tuple[View, ...]:
    return (y,)


@gate("expm1", None, np.expm1, mpmath.expm1, trouble=((0.0,), (1e-20,), (-40.0,)))
def expm1(y: View, a: View) -> tuple[View, ...]:
    return (a.call("exp"),)  # y + 1 would cancel for a << 0


@gate("log", sympy.log, np.log, mpmath.log, on=((0.5, 3.0),), trouble=((1.0,), (1e-300,)), safe=_beyond_one)
def log(y: View, a: View) -> tuple[View, ...]:
    return (1 / a,)


@gate("log1p", None, np.log1p, mpmath.log1p, on=((-0.5, 3.0),), trouble=((0.0,), (1e-20,)), safe=_beyond_one)
def log1p(y: View, a: View) -> tuple[View, ...]:
    return (1 / (1 + a),)


# How deep in sums and products it is looked for what they are made of.
_DEPTH = 6

_NON_NEGATIVE = frozenset("abs exp sqrt cbrt hypot cosh sech sigmoid softplus softmax erfc acos acosh size".split())


def non_negative(a: View, depth: int = _DEPTH) -> bool:
    """Whether a view is known to be >= 0 wherever it is real: however it rounds."""
    return _is_non_negative(a.node, lambda edge: depth > 0 and non_negative(edge, depth - 1))


def non_negative_nodes(order: Iterable[Node]) -> set[Node]:
    """Those of the nodes, arguments first, that are known to be >= 0 wherever they are real."""
    known: set[Node] = set()
    for node in order:
        if _is_non_negative(node, lambda edge: edge.node in known):
            known.add(node)
    return known


def _is_non_negative(node: Node, holds: Callable[[View], bool]) -> bool:
    """The same of a node, where `holds` says it of its arguments."""
    name, own, arguments = node.gate.name, node.attribute, node.arguments
    if name == "constant":
        return own >= 0 if isinstance(own, Fraction) else own not in ("-oo", "nan")
    if name == "power":
        return own % 2 != 1 or holds(arguments[0])
    if name == "mul":
        return all(count % 2 == 0 or holds(factor) for factor, count in Counter(arguments).items())
    if name == "max":
        return any(map(holds, arguments))
    if name in ("add", "div", "min", "sum", "product", "largest", "smallest"):
        return all(map(holds, arguments))
    return name in _NON_NEGATIVE or (name == "select" and all(map(holds, arguments[1:])))


def _squares(a: View, depth: int = _DEPTH) -> list[View] | None:
    """Of a sum of squares, weighted or not, and of higher powers: what is squared. None for anything else.

    Of squares that are summed over indices it is their sum: it is 0 where they all are.
    """
    name = a.node.gate.name
    if name == "power" and a.node.attribute >= 2:
        return [a.arguments[0]]
    if not depth:
        return None
    if name == "mul":
        twice = [factor for factor, count in Counter(a.arguments).items() if count > 1]
        if twice:
            return twice[:1]
        return next((own for factor in a.arguments if (own := _squares(factor, depth - 1)) is not None), None)
    if name == "div":
        return _squares(a.arguments[0], depth - 1)
    if name == "sum":
        return None if _squares(a.node.arguments[0], depth - 1) is None else [a]
    if name in ("add", "select"):
        parts = [_squares(part, depth - 1) for part in a.arguments[name == "select" :]]
        return None if None in parts else [base for part in parts if part is not None for base in part]
    return None


@gate("sqrt", None, lambda a: np.abs(np.sqrt(a)), mpmath.sqrt, on=((0.5, 3.0),), trouble=((0.0,), (-0.0,)))
def sqrt(y: View, a: View) -> tuple[View, ...]:
    """The square root; of -0.0 it is 0.0, so that its slope there is that at the edge of its domain."""
    slope = 1 / (2 * y)
    bases = _squares(a)
    if bases is None:
        return (slope,)
    # A norm has a kink where it is 0, and there the subgradient 0, as Abs has it. A weight may be 0 elsewhere.
    zeros = [y.equals(0)] if non_negative(a) else [base.equals(0) for base in dict.fromkeys(bases)]
    return ((zeros[0] if len(zeros) == 1 else zeros[0].call("and", *zeros[1:])).where(0, slope),)


def _np_cbrt(a: Any) -> Any:
    return np.where(np.less(a, 0), np.nan, np.abs(np.cbrt(a)))


def _mp_cbrt(a: Any) -> Any:
    return mpmath.cbrt(a) if mpmath.re(a) >= 0 else mpmath.mpf("nan")


@gate(
    "cbrt",
    None,
    _np_cbrt,
    _mp_cbrt,
    on=((0.5, 3.0),),
    trouble=((0.0,), (-0.0,), (-8.0,)),
)
def cbrt(y: View, a: View) -> tuple[View, ...]:
    """The principal cube root a**(1/3): no real number for a < 0, so NaN there."""
    return (1 / (3 * (y * y)),)


@gate(
    "sigmoid",
    None,
    lambda a: 1 / (1 + np.exp(-a)),
    lambda a: 1 / (1 + mpmath.exp(-a)),
    trouble=((-1000.0,), (1000.0,), (0.0,)),
    expansion=lambda a: 1 / (1 + (-a).call("exp")),
    label="σ",
)
def sigmoid(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sigmoid_slope"),)


def _np_sigmoid_slope(a: Any) -> Any:
    e = np.exp(-np.abs(a))
    return e / ((1 + e) * (1 + e))


def _mp_sigmoid_slope(a: Any) -> Any:
    e = mpmath.exp(-a)
    return e / (1 + e) ** 2


def _sigmoid_slope(a: View) -> View:
    e = (-a).call("exp")
    y = 1 / (1 + e)
    return e.equals(_constant(a, "oo")).where(0, y * (e * y))


@gate(
    "sigmoid_slope",
    None,
    _np_sigmoid_slope,
    _mp_sigmoid_slope,
    trouble=((-1000.0,), (1000.0,), (0.0,), (40.0,), (-40.0,)),
    expansion=_sigmoid_slope,
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
    expansion=lambda a: a.call("max", _constant(a, 0)) + (-a.call("abs")).call("exp").call("log1p"),
)
def softplus(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sigmoid"),)


def _logaddexp(a: View, b: View) -> View:
    largest = a.call("max", b)
    is_finite = largest.call("abs") < _constant(a, "oo")
    return largest + (-is_finite.where((a - b).call("abs"), 0)).call("exp").call("log1p")


@gate(
    "logsumexp",
    None,
    lambda *a: reduce(np.logaddexp, a),
    lambda *a: mpmath.log(mpmath.fsum(map(mpmath.exp, a))),
    on=_PAIR,
    trouble=((1000.0, 999.0), (-1000.0, -1001.0), (0.0, -40.0)),
    expansion=lambda *a: reduce(_logaddexp, a),
    commutative=True,
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


def _np_difference(a: Any, b: Any) -> Any:
    return np.where(np.equal(a, b), 0, np.subtract(a, b))


def _mp_difference(a: Any, b: Any) -> Any:
    return mpmath.mpf(0) if a == b else a - b


@gate(
    "softmax",
    None,
    lambda a, *others: 1 / (1 + reduce(np.add, [np.exp(_np_difference(b, a)) for b in others])),
    lambda a, *others: 1 / (1 + mpmath.fsum(mpmath.exp(_mp_difference(b, a)) for b in others)),
    on=_PAIR,
    trouble=((1000.0, 999.0), (-1000.0, -1001.0), (0.0, -40.0), (1000.0, -1000.0)),
    expansion=_softmax,
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
)
def bose(y: View, a: View) -> tuple[View, ...]:
    """1/(exp(a) - 1), the Bose-Einstein distribution; exp(a)/(exp(a) - 1)**2 would be inf/inf."""
    return (y * (-a).call("bose"),)


def _np_logcosh(a: Any) -> Any:
    size = np.abs(a)
    near = np.log1p(2 * np.sinh(np.minimum(size, 1) / 2) ** 2)
    return np.where(size < 1, near, size + np.log1p(np.exp(-2 * size)) - np.log(2))


def _logcosh(a: View) -> View:
    small = (a / 2).call("sinh")
    size = a.call("abs")
    away = size + (size * -2).call("exp").call("log1p") - _constant(a, 2).call("log")
    # Near 0 both terms of the other form are about log(2) and cancel.
    return (size < 1).where((small * small * 2).call("log1p"), away)


@gate(
    "logcosh",
    None,
    _np_logcosh,
    lambda a: mpmath.log(mpmath.cosh(a)),
    trouble=((-1000.0,), (1000.0,), (1e-9,), (0.0,)),
    expansion=_logcosh,
)
def logcosh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("tanh"),)


# --- trigonometric functions ------------------------------------------------------------------------------------------


@gate("sin", sympy.sin, np.sin, mpmath.sin, trouble=((0.0,), (1e5,)))
def sin(y: View, a: View) -> tuple[View, ...]:
    return (a.call("cos"),)


@gate("cos", sympy.cos, np.cos, mpmath.cos, trouble=((0.0,), (1e5,)))
def cos(y: View, a: View) -> tuple[View, ...]:
    return (-a.call("sin"),)


@gate("tan", sympy.tan, np.tan, mpmath.tan, on=((-1.2, 1.2),), trouble=((0.0,),))
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
)
def sec(y: View, a: View) -> tuple[View, ...]:
    return (y * a.call("tan"),)


@gate("csc", sympy.csc, lambda a: 1 / np.sin(a), mpmath.csc, on=((0.3, 2.8),), expansion=lambda a: 1 / a.call("sin"))
def csc(y: View, a: View) -> tuple[View, ...]:
    return (-(y / a.call("tan")),)


@gate("cot", sympy.cot, lambda a: 1 / np.tan(a), mpmath.cot, on=((0.3, 2.8),), expansion=lambda a: 1 / a.call("tan"))
def cot(y: View, a: View) -> tuple[View, ...]:
    return (-(1 + y * y),)


@gate(
    "versine",
    None,
    lambda a: 2 * np.sin(a / 2) ** 2,
    lambda a: 2 * mpmath.sin(a / 2) ** 2,
    trouble=((0.0,), (1e-9,)),
    expansion=lambda a: 2 * ((a / 2).call("sin") * (a / 2).call("sin")),
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
)
def sinc(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sinc_slope"),)


def _mp_sinc_slope(a: Any) -> Any:
    """The spherical Bessel function -j1; near 0 as a series, where the closed form cancels (DLMF 10.53.1)."""
    return -a / 3 * mpmath.hyp0f1(mpmath.mpf(5) / 2, -a * a / 4) if abs(a) < 1 else (mpmath.cos(a) - mpmath.sinc(a)) / a


def _sinc_slope(a: float) -> float:
    with mpmath.workdps(50):
        return float(_mp_sinc_slope(mpmath.mpf(a)))


# The derivative of sin(a)/a: (cos(a) - sinc(a))/a cancels near 0, where the spelling uses the Taylor series.
no_gradient(
    "sinc_slope",
    None,
    _each(_sinc_slope),
    _mp_sinc_slope,
    trouble=((0.0,), (1e-300,), (1e-9,), (0.45,), (0.55,)),
)


@gate("asin", sympy.asin, np.arcsin, mpmath.asin, on=((-0.9, 0.9),), trouble=((0.0,), (0.999999999,)), safe=_within_one)
def asin(y: View, a: View) -> tuple[View, ...]:
    return (1 / ((1 - a) * (1 + a)).call("sqrt"),)  # not 1 - a*a, which cancels near 1


@gate("acos", sympy.acos, np.arccos, mpmath.acos, on=((-0.9, 0.9),), trouble=((0.0,), (0.999999999,)), safe=_within_one)
def acos(y: View, a: View) -> tuple[View, ...]:
    return (-(1 / ((1 - a) * (1 + a)).call("sqrt")),)


@gate("atan", sympy.atan, np.arctan, mpmath.atan, trouble=((0.0,), (1e200,)))
def atan(y: View, a: View) -> tuple[View, ...]:
    return (1 / (1 + a * a),)


def _inverse_secant_slope(a: View) -> View:
    size = a.call("abs")
    return 1 / (size * (size - 1).call("sqrt") * (size + 1).call("sqrt"))


@gate(
    "asec",
    sympy.asec,
    lambda a: np.arccos(1 / a),
    mpmath.asec,
    on=((1.2, 3.0),),
    trouble=((-2.0,),),
    expansion=lambda a: (1 / a).call("acos"),
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
    expansion=lambda a: a.equals(0).where(_constant(a, "pi") / 2, (1 / a).call("atan")),
)
def acot(y: View, a: View) -> tuple[View, ...]:
    return (-(1 / (1 + a * a)),)


def _mp_atan2(a: Any, b: Any) -> Any:
    if isinstance(a, mpmath.mpc) or isinstance(b, mpmath.mpc):
        return mpmath.log((b + 1j * a) / mpmath.sqrt(a * a + b * b)) / 1j
    return mpmath.atan2(a, b)


@gate(
    "atan2",
    sympy.atan2,
    np.arctan2,
    _mp_atan2,
    on=_PAIR,
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
    on=_PAIR,
    trouble=((0.0, 0.0), (0.0, 2.0), (1e200, 1e200), (1e-200, 1e-200)),
    commutative=True,
)
def hypot(y: View, a: View, b: View) -> tuple[View, ...]:
    # At the origin the subgradient 0, as Abs has it on the line.
    return y.equals(0).where(0, a / y), y.equals(0).where(0, b / y)


# --- hyperbolic functions ---------------------------------------------------------------------------------------------


@gate("sinh", sympy.sinh, np.sinh, mpmath.sinh, trouble=((0.0,), (1e-9,)))
def sinh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("cosh"),)


@gate("cosh", sympy.cosh, np.cosh, mpmath.cosh, trouble=((0.0,),))
def cosh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sinh"),)


@gate("tanh", sympy.tanh, np.tanh, mpmath.tanh, trouble=((0.0,), (1000.0,), (-1000.0,), (12.0,)))
def tanh(y: View, a: View) -> tuple[View, ...]:
    return (a.call("sech") * a.call("sech"),)  # 1 - y*y has no correct digit left beyond |a| = 19


@gate(
    "sech",
    sympy.sech,
    lambda a: 1 / np.cosh(a),
    mpmath.sech,
    trouble=((0.0,), (1000.0,)),
    expansion=lambda a: 1 / a.call("cosh"),
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
)
def coth(y: View, a: View) -> tuple[View, ...]:
    return (-(a.call("csch") * a.call("csch")),)


@gate("asinh", sympy.asinh, np.arcsinh, mpmath.asinh, trouble=((0.0,), (1e200,), (-1e-9,)))
def asinh(y: View, a: View) -> tuple[View, ...]:
    return (1 / a.call("hypot", _constant(a, 1)),)


@gate("acosh", sympy.acosh, np.arccosh, mpmath.acosh, on=((1.2, 3.0),), trouble=((1e200,),), safe=_beyond_one)
def acosh(y: View, a: View) -> tuple[View, ...]:
    return (1 / ((a - 1).call("sqrt") * (a + 1).call("sqrt")),)


@gate(
    "atanh",
    sympy.atanh,
    np.arctanh,
    mpmath.atanh,
    on=((-0.9, 0.9),),
    trouble=((0.0,), (0.999999999,)),
    safe=_within_one,
)
def atanh(y: View, a: View) -> tuple[View, ...]:
    return (1 / ((1 - a) * (1 + a)),)


@gate(
    "asech",
    sympy.asech,
    lambda a: np.arccosh(1 / a),
    mpmath.asech,
    on=((0.2, 0.9),),
    expansion=lambda a: (1 / a).call("acosh"),
)
def asech(y: View, a: View) -> tuple[View, ...]:
    return (-(1 / (a * ((1 - a) * (1 + a)).call("sqrt"))),)


@gate(
    "acsch",
    sympy.acsch,
    lambda a: np.arcsinh(1 / a),
    mpmath.acsch,
    on=((0.3, 2.0),),
    trouble=((-1.0,),),
    expansion=lambda a: (1 / a).call("asinh"),
)
def acsch(y: View, a: View) -> tuple[View, ...]:
    return (-(1 / (a.call("abs") * a.call("hypot", _constant(a, 1)))),)


@gate(
    "acoth",
    sympy.acoth,
    lambda a: np.arctanh(1 / a),
    mpmath.acoth,
    on=((1.2, 3.0),),
    trouble=((-2.0,),),
    expansion=lambda a: (1 / a).call("atanh"),
)
def acoth(y: View, a: View) -> tuple[View, ...]:
    return (-(1 / ((1 - a) * (1 + a)).call("abs")),)  # the sign that it has where |a| > 1, at 1 and -1 too


# --- error and gamma functions ----------------------------------------------------------------------------------------


def _gauss(a: View) -> View:
    """2/sqrt(pi)*exp(-a**2), the derivative of erf."""
    return (-(a * a)).call("exp") * (2 / _constant(a, "pi").call("sqrt"))


@gate("erf", sympy.erf, _each(math.erf), mpmath.erf, trouble=((0.0,), (1e-20,), (6.0,)))
def erf(y: View, a: View) -> tuple[View, ...]:
    return (_gauss(a),)


@gate("erfc", sympy.erfc, _each(math.erfc), mpmath.erfc, trouble=((0.0,), (10.0,), (-6.0,)))
def erfc(y: View, a: View) -> tuple[View, ...]:
    return (-_gauss(a),)


@gate(
    "gamma",
    sympy.gamma,
    _each(math.gamma),
    mpmath.gamma,
    on=((0.5, 4.0),),
    trouble=((-1.5,), (20.0,)),
    safe=_beyond_one,
)
def gamma(y: View, a: View) -> tuple[View, ...]:
    return (y * a.call("digamma"),)


def _loggamma(a: float) -> float:
    return math.lgamma(a) if a > 0 else math.inf if a == 0 else math.nan


@gate(
    "loggamma",
    sympy.loggamma,
    _each(_loggamma),
    lambda a: mpmath.loggamma(a) if a else mpmath.mpf("inf"),
    on=((0.5, 4.0),),
    trouble=((1e10,), (1e-10,)),
    safe=_beyond_one,
)
def loggamma(y: View, a: View) -> tuple[View, ...]:
    """The logarithm of gamma(a) for a > 0; complex for a < 0, so NaN there."""
    return (a.call("digamma"),)


# The derivative of loggamma (DLMF 5.2.2). Its own derivative, trigamma, is not a gate yet.
no_gradient(
    "digamma",
    None,
    _each(lambda a: float(mpmath.digamma(a))),
    mpmath.digamma,
    on=((0.5, 4.0),),
    trouble=((-1.5,), (1e10,), (-1e-10,), (-1e-20,)),
)
