"""Laws that make a graph numerically stabler: they recognise what overflows or cancels when computed as written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import reduce

import mpmath

from ...evaluate.evaluation import exact_value
from ...gates.arithmetic import power_of
from ...gates.table import GATES
from ...graph.gate import Numeric
from ...graph.node import View
from ...graph.sums import product_of, sum_of
from .law import (
    apply,
    constant,
    constants_of,
    factors_of,
    is_gate,
    law,
    multiple,
    negated,
    quotient_of,
    rational_of,
    scaled,
)


def _exponentials(view: View) -> list[View] | None:
    """The logarithms of the terms of a sum of exponentials and positive numbers, else None."""
    logarithms = []
    has_exponential = False
    for term in view.arguments if is_gate(view, "add") else (view,):
        number = rational_of(term)
        coefficient, rest = (number, None) if number is not None else scaled(term)
        if coefficient is None or coefficient <= 0 or (rest is not None and not is_gate(rest, "exp")):
            return None
        logarithm = constant(view, 0) if coefficient == 1 else constant(view, coefficient).call("log")
        if rest is not None:
            has_exponential = True
            logarithm = rest.arguments[0] if coefficient == 1 else rest.arguments[0] + logarithm
        logarithms.append(logarithm)
    return logarithms if has_exponential else None


def _log_of_sum(logarithms: list[View]) -> View:
    """log(exp(a) + exp(b) + ...), without overflow."""
    if len(logarithms) == 1:
        return logarithms[0]
    if len(logarithms) == 2:
        for zero, other in (logarithms, reversed(logarithms)):
            if zero.number == 0:
                return other.call("softplus")
    return apply(logarithms[0], "logsumexp", *logarithms)


@law("log", "log(exp(a) + exp(b)) is computed relative to the larger of a and b", exact=False, family="stabler")
def log_sum_exp(y: View) -> View | None:
    logarithms = _exponentials(y.arguments[0])
    return None if logarithms is None else _log_of_sum(logarithms)


@law("log", "log(1 + a) = log1p(a); log1p(exp(a)) = softplus(a)", exact=False, family="stabler")
def log_one_plus(y: View) -> View | None:
    (a,) = y.arguments
    if not is_gate(a, "add"):
        return None
    rest = [view for view in a.arguments if view.number != 1]
    return sum_of(y, rest).call("log1p") if len(rest) == len(a.arguments) - 1 else None


@law("log", "log(sigmoid(a)) = -softplus(-a)", exact=False, family="stabler")
def log_sigmoid(y: View) -> View | None:
    (a,) = y.arguments
    return -negated(a.arguments[0]).call("softplus") if is_gate(a, "sigmoid") else None


@law("log", "log(cosh(a)) = logcosh(a)", exact=False, family="stabler")
def log_cosh(y: View) -> View | None:
    (a,) = y.arguments
    return a.arguments[0].call("logcosh") if is_gate(a, "cosh") else None


# What a number plus a multiple of a gate becomes: c + k*gate(a), where k = c or k = -c.
_COMPLEMENTS: dict[tuple[str, int], Callable[[Fraction, View], View]] = {
    ("exp", -1): lambda c, a: multiple(-c, a.call("expm1")),
    ("cos", -1): lambda c, a: multiple(c, a.call("versine")),
    ("sigmoid", -1): lambda c, a: multiple(c, negated(a).call("sigmoid")),
    ("tanh", 1): lambda c, a: multiple(2 * c, multiple(Fraction(2), a).call("sigmoid")),
    ("tanh", -1): lambda c, a: multiple(2 * c, multiple(Fraction(-2), a).call("sigmoid")),
    ("erf", 1): lambda c, a: multiple(c, negated(a).call("erfc")),
    ("erf", -1): lambda c, a: multiple(c, a.call("erfc")),
}


@law(
    "add",
    "exp(a) - 1 = expm1(a); 1 - cos(a) = versine(a); 1 - sigmoid(a) = sigmoid(-a); "
    "1 + tanh(a) = 2*sigmoid(2*a); 1 + erf(a) = erfc(-a)",
    exact=False,
    family="stabler",
)
def complements(y: View) -> View | None:
    numbers, others = constants_of(y.arguments)
    if len(numbers) != 1 or len(others) != 1 or numbers[0] == 0:
        return None
    coefficient, rest = scaled(others[0])
    if (
        is_gate(rest, "power")
        and rest.node.exponent == 2
        and is_gate(rest.arguments[0], "tanh")
        and coefficient == -numbers[0]
    ):
        sech = rest.arguments[0].arguments[0].call("sech")
        return multiple(numbers[0], y.node.table.apply(GATES["power"], sech, attribute=2))
    ratio = coefficient / numbers[0]
    found = _COMPLEMENTS.get((rest.node.gate.name, int(ratio))) if ratio in (1, -1) else None
    return None if found is None else found(numbers[0], rest.arguments[0])


@law("sqrt", "sqrt(a**2 + b**2) = hypot(a, b)", exact=False, family="stabler")  # squares may overflow
def root_of_squares(y: View) -> View | None:
    (a,) = y.arguments
    terms = a.arguments if is_gate(a, "add") else ()
    if not 2 <= len(terms) <= 3 or not all(is_gate(term, "power") and term.node.exponent == 2 for term in terms):
        return None
    return reduce(lambda one, two: one.call("hypot", two), (term.arguments[0] for term in terms))


_EXPONENTS = {"sqrt": Fraction(1, 2), "cbrt": Fraction(1, 3)}
_POWERS = {*_EXPONENTS, "power", "pow", "abs_pow"}


def _as_power(view: View) -> tuple[View, Fraction] | None:
    """Base and exponent of a power with a number for its exponent, roots included."""
    name, arguments = view.node.gate.name, view.arguments
    if name == "power" or name in _EXPONENTS:
        return arguments[0], Fraction(view.node.exponent) if name == "power" else _EXPONENTS[name]
    exponent = rational_of(arguments[1]) if name in ("pow", "abs_pow") else None
    if exponent is None:
        return None
    return arguments[0].call("abs") if name == "abs_pow" else arguments[0], exponent


@law("sqrt cbrt power pow abs_pow", "(a**p)**q = |a|**(p*q)", exact=False, family="stabler")  # a**p may overflow
def power_of_power(y: View) -> View | None:
    """Where p is even or the result is no whole power: of a < 0 either side is NaN. At 0 the chain would be inf*0.

    An exponent that is whole only once it is rounded is left alone: it would give numbers where there are none.
    """
    outer = _as_power(y)
    inner = None if outer is None else _as_power(outer[0])
    if outer is None or inner is None or outer[1].denominator == 1 or inner[1] <= 0:
        return None
    base, exponent = inner[0], inner[1] * outer[1]
    if inner[1].denominator == 1 and inner[1] % 2 == 0:
        return power_of(base.call("abs"), exponent)
    return None if float(exponent).is_integer() else power_of(base, exponent)


@law("power pow", "|a|**p is a power of a, where p is no whole number", exact=True, family="stabler")
def fractional_power_of_abs(y: View) -> View | None:
    """Its derivatives at 0 are limits, which those of |a| and of the power do not make up."""
    base, *rest = y.arguments
    exponent = rest[0] if rest else constant(y, Fraction(y.node.exponent))
    number = rational_of(exponent)
    if not is_gate(base, "abs") or (number is not None and number.denominator == 1):
        return None
    return base.arguments[0].call("abs_pow", exponent)


@law("mul", "a**p*a**q = a**(p + q), of powers that are no whole ones", exact=False, family="stabler")  # at infinity
def product_of_powers(y: View) -> View | None:
    """x*sqrt(x) is x**(3/2), and has its derivative at 0."""
    if _POWERS.isdisjoint([factor.node.gate.name for factor in y.arguments]):  # most often
        return None
    found: dict[View, list[tuple[int, Fraction]]] = {}
    for position, factor in enumerate(y.arguments):
        base, exponent = _as_power(factor) or (factor, Fraction(1))
        found.setdefault(base, []).append((position, exponent))
    for base, powers in found.items():
        total = sum((exponent for _, exponent in powers), Fraction(0))
        if len(powers) > 1 and total.denominator > 1 and all(exponent > 0 for _, exponent in powers):
            positions = {position for position, _ in powers}
            rest = [factor for position, factor in enumerate(y.arguments) if position not in positions]
            return product_of(y, [*rest, power_of(base, total)])
    return None


def _logistic(factor: View) -> tuple[View, int] | None:
    """`a` and `n` where the factor is (1 + exp(a))**n."""
    exponent = 1
    if is_gate(factor, "power") and isinstance(factor.node.exponent, int):
        exponent, factor = factor.node.exponent, factor.arguments[0]
    logarithms = _exponentials(factor) if is_gate(factor, "add") and len(factor.arguments) == 2 else None
    if logarithms is None:
        return None
    for zero, a in (logarithms, reversed(logarithms)):
        if zero.number == 0:
            return a, exponent
    return None


@law("div", "1/(1 + exp(-a)) = exp(a)/(1 + exp(a)) = sigmoid(a)", exact=False, family="stabler")
def sigmoid_quotient(y: View) -> View | None:
    above, below = factors_of(y.arguments[0]), factors_of(y.arguments[1])
    for position, factor in enumerate(below):
        found = _logistic(factor)
        if found is None:
            continue
        a, exponent = found
        exponential = a.call("exp")
        sigmoids = [negated(a).call("sigmoid")] * exponent
        if exponential in above:
            above.remove(exponential)
            sigmoids[0] = a.call("sigmoid")
        ones = [view for view in above if view.number != 1]
        return quotient_of(y, ones + sigmoids, below[:position] + below[position + 1 :])
    return None


@law("div", "exp(a)/(exp(a) + exp(b)) = softmax(a, b)", exact=False, family="stabler")
def softmax_quotient(y: View) -> View | None:
    above, below = factors_of(y.arguments[0]), factors_of(y.arguments[1])
    for position, factor in enumerate(below):
        logarithms = _exponentials(factor) if is_gate(factor, "add") else None
        for top in above:
            if logarithms is not None and is_gate(top, "exp") and top.arguments[0] in logarithms:
                logarithms.remove(top.arguments[0])
                above[above.index(top)] = top.arguments[0].call("softmax", *logarithms)
                return quotient_of(y, above, below[:position] + below[position + 1 :])
    return None


@law("div", "(exp(a) - exp(b))/(exp(a) + exp(b)) = tanh((a - b)/2)", exact=False, family="stabler")
def tanh_quotient(y: View) -> View | None:
    above, below = y.arguments
    if not (is_gate(above, "add") and is_gate(below, "add") and len(above.arguments) == len(below.arguments) == 2):
        return None
    one, two = above.arguments
    minus = negated(two)
    if is_gate(one, "exp") and is_gate(two, "neg") and is_gate(minus, "exp") and {*below.arguments} == {one, minus}:
        return ((one.arguments[0] - minus.arguments[0]) / 2).call("tanh")
    return None


@law("div", "sinh(a)/cosh(a) = tanh(a)", exact=False, family="stabler")
def tanh_ratio(y: View) -> View | None:
    above, below = y.arguments
    if is_gate(above, "sinh") and is_gate(below, "cosh") and above.arguments == below.arguments:
        return above.arguments[0].call("tanh")
    return None


# What a quotient by a gate that overflows is instead: its derivative would be 0*inf.
_RECIPROCALS = {"cosh": "sech", "sinh": "csch", "expm1": "bose"}


@law("div", "1/cosh(a) = sech(a); 1/sinh(a) = csch(a); 1/expm1(a) = bose(a)", exact=False, family="stabler")
def reciprocals(y: View) -> View | None:
    above, below = factors_of(y.arguments[0]), factors_of(y.arguments[1])
    for position, factor in enumerate(below):
        base = factor.arguments[0] if is_gate(factor, "power") else factor
        if base.node.gate.name in _RECIPROCALS:
            found = base.arguments[0].call(_RECIPROCALS[base.node.gate.name])
            if is_gate(factor, "power"):
                found = y.node.table.apply(GATES["power"], found, attribute=factor.node.attribute)
            ones = [view for view in above if view.number != 1]
            return quotient_of(y, [*ones, found], below[:position] + below[position + 1 :])
    return None


@law("div", "sin(a)/a = sinc(a)", exact=False, family="stabler")  # 1 at a = 0, where the quotient is NaN
def sinc_quotient(y: View) -> View | None:
    above, below = factors_of(y.arguments[0]), factors_of(y.arguments[1])
    for position, factor in enumerate(above):
        if is_gate(factor, "sin"):
            denominators = factors_of(factor.arguments[0])
            if all(below.count(view) >= denominators.count(view) for view in denominators):
                for view in denominators:
                    below.remove(view)
                above[position] = factor.arguments[0].call("sinc")
                return quotient_of(y, above, below)
    return None


# What a number times the inverse of another, each rounded, may be off from 1: 2.5*0.4, as floats.
_ROUNDING = mpmath.ldexp(1, -52)
_MAX_FACTORS = 30  # of a product, beyond which nobody has written the quotient of a sine


def _exponents(view: View) -> tuple[Counter[View], Counter[View]] | None:
    """The factors of a product with their exponents, numbers and others; None where there are very many."""
    numbers, others = Counter[View](), Counter[View]()
    rest = [(view, 1)]
    for _ in range(_MAX_FACTORS):
        factor, exponent = rest.pop()
        name, arguments = factor.node.gate.name, factor.arguments
        if factor.node.fixed:
            numbers[factor] += exponent
        elif name == "mul":
            rest += [(argument, exponent) for argument in arguments]
        elif name == "div":
            rest += [(arguments[0], exponent), (arguments[1], -exponent)]
        elif name == "power" and isinstance(factor.node.exponent, int):
            rest.append((arguments[0], exponent * factor.node.exponent))
        elif name == "neg":
            numbers[constant(view, -1)] += exponent
            rest.append((arguments[0], exponent))
        else:
            others[factor] += exponent
        if not rest:
            return numbers, others
    return None


def _number(powers: Counter[View]) -> Numeric:
    """The product of powers of numbers; NaN where one of them is 0, infinite or no number."""
    values = [(exact_value(view), exponent) for view, exponent in powers.items()]
    if not all(mpmath.isnormal(value) for value, _ in values):
        return mpmath.nan
    return mpmath.fprod(value**exponent for value, exponent in values)


def _is_factor(powers: Counter[View]) -> bool:
    """Whether the product of powers of numbers is one that floats have, and not 0."""
    return bool(mpmath.isnormal(float(_number(powers))))


@law(
    "select",
    "b*sin(c*a)/(c*a), and b where a = 0, is b*sinc(c*a), of a number c other than 0",
    exact=False,  # c is rounded, and 1/c
    family="stabler",
)
def sinc_branch(y: View) -> View | None:
    """The branch for 0 alone would have no slopes and no curvature."""
    condition, taken, otherwise = y.arguments
    if is_gate(condition, "eq"):
        taken, otherwise = otherwise, taken
    compared = [side for side in condition.arguments if side.number != 0]
    if condition.node.gate.name not in ("eq", "ne") or len(compared) != 1:
        return None
    variable, quotient, at_zero = map(_exponents, (compared[0], taken, otherwise))
    if variable is None or quotient is None or at_zero is None:
        return None
    for factor in quotient[1]:
        argument = _exponents(factor.arguments[0]) if factor.node.gate.name in ("sin", "sinc") else None
        if argument is None or argument[1] != variable[1]:
            continue
        numbers, others = (Counter(part) for part in quotient)
        others[factor] -= 1
        if is_gate(factor, "sin"):
            numbers.update(argument[0])
            others.update(argument[1])
        if others != at_zero[1]:
            continue
        with mpmath.workdps(50):
            ratio = _number(numbers) / _number(at_zero[0])
            if _is_factor(variable[0]) and _is_factor(argument[0]) and abs(ratio - 1) <= _ROUNDING:
                sinc = factor.arguments[0].call("sinc")
                return sinc if otherwise.number == 1 else otherwise * sinc
    return None
