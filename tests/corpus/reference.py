"""Reference values and gradients of SymPy expressions, by mpmath at many digits and by nothing of symgrad.

    steps = plan(expr)                    the expression as a list of steps, shared parts once
    evaluate(steps, {leaf: number})       its value at the working precision
    reference(expr, symbols, point)       value, gradient, and how far one rounding of the inputs moves them
    agrees(got, want, sensitivity)        is a float as near to a reference as it can be expected to be?

Derivatives are central differences at so many digits that 50 remain. They know nothing of kinks and steps: at the very
point of one (`Abs` at 0, `floor` at an integer) the conventions of symgrad are tested elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mp

Number = Any  # an mpf; mpmath has no types
Rule = Callable[..., Any]  # the numbers of the arguments -> the number of the node

EPS = 2.0**-52
ULPS = 64  # what `agrees` allows, in units in the last place and in units of the sensitivity

# Working digits, tried in this order until two successive ones agree. A saturated tanh(300) is 1 - 1e-260.
_DIGITS = (120, 240, 480, 960)
_NEGLIGIBLE = -400  # a power of ten: far below the smallest float
_HUGE = mpmath.mpf(10) ** 300  # exp of more is infinite here; its digits would fill the memory


@dataclass(frozen=True)
class Reference:
    value: Number
    gradient: list[Number]
    value_sensitivity: Number  # eps/2 * sum of |leaf * d value/d leaf|, over inputs and rounded constants (1/3, pi)
    gradient_sensitivity: list[Number]  # the same of each partial derivative


def reference(expr: sp.Expr, symbols: Sequence[sp.Symbol], point: Sequence[float], digits: int = 50) -> Reference:
    """Value and gradient of `expr` to `digits` digits, where `symbols` are exactly the floats of `point`.

    Where the value is complex or infinite, and where a derivative does not settle, the number is nan.
    """
    steps = plan(expr)
    constants = [step.node for step in steps if _is_rounded(step.node)]
    leaves = [*symbols, *constants]
    before: list[Number] = []
    for working in _DIGITS:
        with mp.workdps(working):
            numbers = [*(mp.mpf(float(x)) for x in point), *(constant(node) for node in constants)]
            value_at = _Probe(steps, leaves, numbers, working)
            found = [value_at(), *(value_at.slope(i) for i in range(len(symbols)))]
            if before and all(_settled(a, b, digits, working) for a, b in zip(before, found, strict=True)):
                break
            before = found
    else:
        found = [b if _settled(a, b, digits, working) else mp.nan for a, b in zip(before, found, strict=True)]
    with mp.workdps(working):
        bends = [_sensitivity(partial(value_at.bend, i), numbers) for i in range(len(symbols))]
        by_value = _sensitivity(value_at.slope, numbers)
    with mp.workdps(digits):
        return Reference(+found[0], [+number for number in found[1:]], by_value, bends)


def agrees(got: float, want: Number, sensitivity: Number, dtype: str = "float64") -> bool:
    """Is `got` within 64 ulp of `want`, or within 64 times the effect of one rounding of the inputs?

    `sensitivity` is that of `reference`, counted in float64, also for other dtypes. What lies beyond the largest
    float may be infinite; what lies below the smallest normal one may be zero or any subnormal.
    """
    if mp.isnan(want) or np.isnan(got):
        return bool(mp.isnan(want) and np.isnan(got))
    largest, smallest = (mp.mpf(float(limit)) for limit in (np.finfo(dtype).max, np.finfo(dtype).tiny))
    allowed = _allowed(want, sensitivity, dtype)
    if np.isinf(got):
        return bool((want > 0) == (got > 0) and abs(want) + allowed > largest)
    if abs(want) < smallest and abs(got) <= smallest:
        return True
    with mp.workdps(60):
        return bool(abs(mp.mpf(float(got)) - want) <= allowed)


def explain(got: float, want: Number, sensitivity: Number, dtype: str = "float64") -> str:
    """One line for people: both numbers, and the error in ulp and in units of the sensitivity."""
    line = f"got {float(got)!r}, want {mp.nstr(want, 20)}"
    if not (np.isfinite(got) and mp.isfinite(want)):
        return line
    with mp.workdps(60):
        error = abs(mp.mpf(float(got)) - want)
        unit = _scaled(sensitivity, dtype)
        in_units = f"{mp.nstr(error / unit, 3)} times" if unit else "without"
        in_ulps = mp.nstr(error / ulp(want, dtype), 3)
    return f"{line}: off by {in_ulps} ulp, {in_units} the effect of rounding the inputs ({ULPS} allowed, {dtype})"


def ulp(want: Number, dtype: str = "float64") -> Number:
    """The distance from `want`, rounded to `dtype`, to the next float away from zero, if there were one."""
    limits = np.finfo(dtype)
    rounded = float(np.dtype(dtype).type(min(abs(float(want)), float(limits.max))))
    exponent = math.frexp(rounded)[1] if rounded else limits.minexp
    return mp.mpf(2) ** int(max(exponent - 1, limits.minexp) - limits.nmant)


def _allowed(want: Number, sensitivity: Number, dtype: str) -> Number:
    return ULPS * max(ulp(want, dtype), _scaled(sensitivity, dtype))


def _scaled(sensitivity: Number, dtype: str) -> Number:
    return mp.mpf(0) if mp.isnan(sensitivity) else sensitivity * mp.mpf(float(np.finfo(dtype).eps)) / EPS


def _sensitivity(derivative: Callable[[int], Number], numbers: Sequence[Number]) -> Number:
    return EPS / 2 * mp.fsum(abs(x * derivative(j)) for j, x in enumerate(numbers) if x != 0)


def _settled(a: Number, b: Number, digits: int, working: int) -> bool:
    if mp.isnan(b) or mp.isinf(b):
        return bool(mp.isnan(a) if mp.isnan(b) else a == b)
    # A difference of zero may be two numbers that agree to all working digits: believe it at the last only.
    if working == _DIGITS[-1] and abs(b) < mp.mpf(10) ** _NEGLIGIBLE:
        return True
    return bool(b != 0 and abs(a - b) <= abs(b) * mp.mpf(10) ** -digits)


class _Probe:
    """The function around one point: its value, first and second differences, each neighbour evaluated once."""

    def __init__(self, steps: list[Step], leaves: list[sp.Basic], numbers: list[Number], working: int) -> None:
        self.steps, self.leaves, self.numbers, self.known = steps, leaves, numbers, dict[tuple[int, ...], Number]()
        relative = mp.mpf(10) ** -(working // 4)
        self.strides = [abs(x) * relative or relative for x in numbers]
        self.used = {step.node for step in steps}

    def __call__(self, *moves: int) -> Number:
        """The value where leaf i has made one step for every i + 1, and one step back for every -(i + 1)."""
        moves = tuple(sorted(moves))
        if moves not in self.known:
            numbers = list(self.numbers)
            for move in moves:
                numbers[abs(move) - 1] += self.strides[abs(move) - 1] * (1 if move > 0 else -1)
            self.known[moves] = evaluate(self.steps, dict(zip(self.leaves, numbers, strict=True)))
        return self.known[moves]

    def slope(self, i: int) -> Number:
        if self.leaves[i] not in self.used:
            return mp.mpf(0)
        return (self(i + 1) - self(-i - 1)) / (2 * self.strides[i])

    def bend(self, i: int, j: int) -> Number:
        if not {self.leaves[i], self.leaves[j]} <= self.used:
            return mp.mpf(0)
        if i == j:
            return (self(i + 1) - 2 * self() + self(-i - 1)) / self.strides[i] ** 2
        i, j = i + 1, j + 1
        rise = self(i, j) - self(i, -j) - self(-i, j) + self(-i, -j)
        return rise / (4 * self.strides[i - 1] * self.strides[j - 1])


# --- the evaluator ---


@dataclass(frozen=True)
class Step:
    node: sp.Basic
    rule: Rule | None  # None: a leaf
    args: tuple[int, ...]  # places of the arguments in the plan


@lru_cache(maxsize=256)
def plan(expr: sp.Basic) -> list[Step]:
    """The nodes of `expr`, arguments first, equal ones once; no recursion, so the depth does not matter."""
    place: dict[sp.Basic, int] = {}
    steps: list[Step] = []
    waiting = [(expr, False)]
    while waiting:
        node, ready = waiting.pop()
        if node in place:
            continue
        if ready or not node.args:
            rule = _rule(node) if node.args else None
            steps.append(Step(node, rule, tuple(place[arg] for arg in node.args)))
            place[node] = len(place)
        else:
            waiting.append((node, True))
            waiting.extend((arg, False) for arg in node.args)
    return steps


def evaluate(steps: Sequence[Step], numbers: Mapping[sp.Basic, Number]) -> Number:
    """The value of the last step at mpmath's present precision; `numbers` gives the leaves, or some of them."""
    results: list[Any] = []
    for step in steps:
        if step.rule is not None:
            results.append(step.rule(*(results[i] for i in step.args)))
        else:
            results.append(numbers[step.node] if step.node in numbers else constant(step.node))
    return results[-1]


def constant(node: sp.Basic) -> Any:
    """The number of a SymPy constant at the present precision; True and False for the logical ones."""
    if node in (sp.true, sp.false):
        return bool(node)
    if isinstance(node, sp.Rational):
        return mp.mpf(node.p) / node.q
    if isinstance(node, sp.Float):
        return mp.make_mpf(node._mpf_)
    if node not in _CONSTANTS:
        raise TypeError(f"no reference value for {node}, a {type(node).__name__}")
    return +_CONSTANTS[node]


def _is_rounded(node: sp.Basic) -> bool:
    """Is this a constant that no float64 holds exactly?"""
    if isinstance(node, sp.NumberSymbol):
        return True
    if not isinstance(node, sp.Rational | sp.Float) or not node.is_finite:
        return False
    with mp.workdps(_DIGITS[0]):
        number = constant(node)
        return bool(mp.mpf(float(number)) != number)


def _rule(node: sp.Basic) -> Rule:
    if node.func in _LOGIC:
        return _LOGIC[node.func]
    if node.func in _RULES:
        return partial(_real, _RULES[node.func])
    raise TypeError(f"no reference value for {node.func.__name__}(...)")


def _real(function: Rule, *args: Number) -> Number:
    """The function where it is real and finite, else nan."""
    if any(mp.isnan(arg) for arg in args):
        return mp.nan
    try:
        y = function(*args)
    except (ValueError, ZeroDivisionError, OverflowError):  # mpmath's ways to say that there is a pole
        return mp.nan
    if isinstance(y, mpmath.mpc):
        return mp.nan
    pole = mp.isinf(y) and function is not _exp and not any(mp.isinf(arg) for arg in args)
    return mp.nan if pole else y


def _exp(a: Number) -> Number:
    return mp.exp(a) if abs(a) < _HUGE else mp.inf if a > 0 else mp.mpf(0)


def _power(a: Number, b: Number) -> Number:
    if mp.isint(b) and abs(b) < 2**31:
        return a ** int(b)  # 0**-1 raises, 0**0 is 1
    if a == 0:
        return mp.mpf(0) if b > 0 else mp.nan
    return _exp(b * mp.log(a)) if a > 0 else mp.nan


def _modulo(a: Number, b: Number) -> Number:
    return a - b * mp.floor(a / b)


def _loggamma(a: Number) -> Number:
    return mp.loggamma(a) if a > 0 else mp.nan


def _arctangent(y: Number, x: Number) -> Number:
    return mp.atan2(y, x) if x or y else mp.nan


def _step(a: Number, at_zero: Number = 0.5) -> Number:
    return mp.mpf(1) if a > 0 else mp.mpf(0) if a < 0 else mp.mpf(at_zero)


def _first_that_holds(*branches: tuple[Number, bool]) -> Number:
    return next((value for value, holds in branches if holds), mp.nan)


_CONSTANTS: dict[sp.Basic, Any] = {
    sp.pi: mp.pi,
    sp.E: mp.e,
    sp.EulerGamma: mp.euler,
    sp.Catalan: mp.catalan,
    sp.GoldenRatio: mp.phi,
    sp.oo: mp.inf,
    -sp.oo: -mp.inf,
    sp.nan: mp.nan,
    sp.zoo: mp.nan,
    sp.I: mp.nan,
}

# Also right where arguments are nan: what a Piecewise does not take may be anything.
_LOGIC: dict[type, Rule] = {
    sp.Piecewise: _first_that_holds,
    sp.functions.elementary.piecewise.ExprCondPair: lambda value, holds: (value, holds),
    sp.StrictLessThan: lambda a, b: a < b,
    sp.LessThan: lambda a, b: a <= b,
    sp.StrictGreaterThan: lambda a, b: a > b,
    sp.GreaterThan: lambda a, b: a >= b,
    sp.Equality: lambda a, b: a == b,
    sp.Unequality: lambda a, b: a != b,
    sp.And: lambda *a: all(a),
    sp.Or: lambda *a: any(a),
    sp.Not: lambda a: not a,
    sp.Xor: lambda *a: sum(a) % 2 == 1,
    sp.ITE: lambda condition, a, b: a if condition else b,
}

_RULES: dict[type, Rule] = {
    sp.Add: lambda *a: reduce(lambda s, x: s + x, a),
    sp.Mul: lambda *a: reduce(lambda s, x: s * x, a),
    sp.Pow: _power,
    sp.exp: _exp,
    sp.log: mp.log,
    sp.sin: mp.sin,
    sp.cos: mp.cos,
    sp.tan: mp.tan,
    sp.sec: mp.sec,
    sp.csc: mp.csc,
    sp.cot: mp.cot,
    sp.asin: mp.asin,
    sp.acos: mp.acos,
    sp.atan: mp.atan,
    sp.asec: mp.asec,
    sp.acsc: mp.acsc,
    sp.acot: mp.acot,  # atan(1/a), pi/2 at 0
    sp.atan2: _arctangent,
    sp.sinh: mp.sinh,
    sp.cosh: mp.cosh,
    sp.tanh: mp.tanh,
    sp.sech: mp.sech,
    sp.csch: mp.csch,
    sp.coth: mp.coth,
    sp.asinh: mp.asinh,
    sp.acosh: mp.acosh,
    sp.atanh: mp.atanh,
    sp.asech: mp.asech,
    sp.acsch: mp.acsch,
    sp.acoth: mp.acoth,
    sp.sinc: mp.sinc,  # sin(a)/a, 1 at 0
    sp.erf: mp.erf,
    sp.erfc: mp.erfc,
    sp.gamma: mp.gamma,
    sp.loggamma: _loggamma,
    sp.Abs: abs,
    sp.sign: mp.sign,
    sp.Max: max,
    sp.Min: min,
    sp.floor: mp.floor,
    sp.ceiling: mp.ceil,
    sp.frac: mp.frac,
    sp.Mod: _modulo,
    sp.Heaviside: _step,
    sp.re: lambda a: a,  # all symbols are real
    sp.im: lambda a: mp.mpf(0),
    sp.conjugate: lambda a: a,
}
