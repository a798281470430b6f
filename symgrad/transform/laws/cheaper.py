"""Laws that make a graph cheaper: constants, signs, equal parts brought together, branches that are known."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from typing import NamedTuple

from ...evaluate.evaluation import exact_value
from ...gates.arithmetic import spelled_power
from ...graph.node import View
from ...graph.sums import product_of, sum_of
from .law import (
    MAX_FOLD,
    apply,
    constant,
    constants_of,
    fits_float,
    folds,
    is_gate,
    law,
    multiple,
    quotient_of,
    rational_of,
)


@law("add", "constants add; a + 0 = a", exact=False)  # -0.0 + 0 is +0.0
def add_constants(y: View) -> View | None:
    numbers, others = constants_of(y.arguments)
    if not numbers or (len(numbers) == 1 and numbers[0] != 0) or not folds(*numbers):
        return None
    total = sum(numbers, Fraction(0))
    negative_last = [constant(y, total)] if total else []
    return sum_of(y, others + negative_last if total < 0 or not others else [*others, *negative_last])


@law("add", "-a - b = -(a + b)", exact=False)  # where it is 0: of the other sign
def add_negatives(y: View) -> View | None:
    if not all(is_gate(view, "neg") for view in y.arguments):
        return None
    return -sum_of(y, [view.arguments[0] for view in y.arguments])


class Coefficient(NamedTuple):
    """What depends on no input in a product: a rational, and other constants above and below."""

    rational: Fraction
    above: tuple[View, ...] = ()
    below: tuple[View, ...] = ()

    def __mul__(self, other: Coefficient) -> Coefficient:  # type: ignore[override]
        if self is _ONE or other is _ONE:  # most often
            return other if self is _ONE else self
        return Coefficient(self.rational * other.rational, self.above + other.above, self.below + other.below)

    def inverse(self) -> Coefficient:
        return Coefficient(1 / self.rational, self.below, self.above)

    @property
    def is_dyadic(self) -> bool:
        """Multiplication by it is exact, or it is no rational and inexact anyway."""
        p, q = abs(self.rational.numerator), self.rational.denominator
        return bool(self.above or self.below) or (p & (p - 1) == 0 and q & (q - 1) == 0)

    def view(self, like: View) -> View:
        number = [constant(like, self.rational)] if self.rational != 1 or not self.above else []
        return quotient_of(like, [*number, *self.above], list(self.below))


_ONE = Coefficient(Fraction(1))


# How deep in products inside products constants are looked for: enough, and it keeps the laws linear.
_DEPTH = 2


def constant_factors(view: View, depth: int = _DEPTH) -> int:
    """How many constants `split` would find: the quick answer, for the many products that have none."""
    node = view.node
    if node.fixed:
        return 1
    name = node.gate.name
    if name == "div":
        return int(node.arguments[1].node.fixed)
    if name == "mul" and depth:
        return sum([constant_factors(edge, depth - 1) for edge in node.arguments])
    return 0


def split(view: View, depth: int = _DEPTH) -> tuple[Coefficient, int, list[View]]:
    """A product as its coefficient, how many constants that is made of, and the other factors."""
    if view.node.fixed:
        number = rational_of(view)
        if number == 0:
            return _ONE, 0, [view]
        return Coefficient(number) if number else Coefficient(Fraction(1), (view,)), 1, []
    name = view.node.gate.name
    if name == "div" and view.arguments[1].node.fixed and rational_of(view.arguments[1]) != 0:
        below, count, _ = split(view.arguments[1])
        return below.inverse(), count, [view.arguments[0]]
    if name == "mul":
        coefficient, count, others = _ONE, 0, []
        for factor in view.arguments:
            inner = split(factor, depth - 1) if depth else (_ONE, 0, [factor])
            coefficient, count = coefficient * inner[0], count + inner[1]
            others += [product_of(view, inner[2])] if inner[2] else []
        return (coefficient, count, others) if count else (_ONE, 0, [view])
    return _ONE, 0, [view]


def scaled_by(like: View, coefficient: Coefficient, rest: View) -> View:
    rational = coefficient.rational
    if rational < 0:
        return -scaled_by(like, coefficient._replace(rational=-rational), rest)
    if not coefficient.above and not coefficient.below:
        return multiple(rational, rest)
    return coefficient.view(like) * rest


def _is_one_or_negative(factor: View) -> bool:
    number = rational_of(factor)
    return number is not None and (number.numerator < 0 or number.numerator == 1 == number.denominator)


@law(
    "mul", "constants multiply, also those of the factors; 1*a = a; (-1)*a = -a", exact=False
)  # one rounding for several
def mul_constants(y: View) -> View | None:
    if y.node.fixed:
        numbers, others = constants_of(y.arguments)
        if len(numbers) > 1 and folds(*numbers):
            return product_of(y, [constant(y, reduce(lambda a, b: a * b, numbers)), *others])
        return others[0] if numbers == [1] and len(others) == 1 else None
    factors = y.arguments
    direct = [factor for factor in factors if factor.node.fixed]
    if sum(map(constant_factors, factors)) < 2 and not any(map(_is_one_or_negative, direct)):
        return None
    parts = [split(factor) for factor in factors]
    coefficient = reduce(lambda a, b: a * b, (part[0] for part in parts))
    count = sum(part[1] for part in parts)
    if not count or not folds(coefficient.rational) or not fits_float(coefficient.rational):
        return None
    if count == 1 and not (direct and (coefficient == _ONE or coefficient.rational < 0)):
        return None
    return scaled_by(y, coefficient, product_of(y, [product_of(y, part[2]) for part in parts if part[2]]))


@law("mul", "(c*a)*b = c*(a*b): constants stand outside", exact=False, family="sharing")
def mul_scale(y: View) -> View | None:
    if not any(map(constant_factors, y.arguments)) or any(factor.node.fixed for factor in y.arguments):
        return None
    parts = [split(factor) for factor in y.arguments]
    coefficient = reduce(lambda a, b: a * b, (part[0] for part in parts))
    if not folds(coefficient.rational) or not fits_float(coefficient.rational):
        return None
    return scaled_by(y, coefficient, product_of(y, [product_of(y, part[2]) for part in parts if part[2]]))


@law("add", "c*a + c*b = c*(a + b)", exact=False, family="sharing")
def add_scale(y: View) -> View | None:
    if not all(map(constant_factors, y.arguments)) or any(term.node.fixed for term in y.arguments):
        return None
    parts = [split(term) for term in y.arguments]
    if any(part[0] != parts[0][0] or not part[2] for part in parts):
        return None
    return scaled_by(y, parts[0][0], sum_of(y, [product_of(y, part[2]) for part in parts]))


@law("div", "constant factors come out of a quotient", exact=False)  # their rounding moves; a/(3*b) stays
def div_scale(y: View) -> View | None:
    above, below = y.arguments
    if y.node.fixed or above.number is not None or not (constant_factors(above) or constant_factors(below)):
        return None
    top, top_count, top_rest = split(above)
    bottom, bottom_count, bottom_rest = split(below)
    coefficient = top * bottom.inverse()
    if not folds(coefficient.rational) or not fits_float(coefficient.rational) or not coefficient.is_dyadic:
        return None
    if below.node.fixed:
        if top_count + (not isinstance(below.number, Fraction)) == 0:
            return None
        return scaled_by(y, coefficient, product_of(y, top_rest))
    if not top_count + bottom_count or not top_rest:
        return None
    return scaled_by(y, coefficient, quotient_of(y, top_rest, bottom_rest))


@law("mul", "(-a)*b = -(a*b)", exact=True)
def mul_signs(y: View) -> View | None:
    signs = [view for view in y.arguments if is_gate(view, "neg")]
    if not signs:
        return None
    product = product_of(y, [view.arguments[0] if is_gate(view, "neg") else view for view in y.arguments])
    return -product if len(signs) % 2 else product


@law("div", "a/1 = a; constants divide", exact=False)  # one rounding instead of two
def div_constants(y: View) -> View | None:
    above, below = (rational_of(view) for view in y.arguments)
    if below == 1:
        return y.arguments[0]
    if above is None or not below or not folds(above, below):
        return None
    return constant(y, above / below)


@law("div", "(-a)/b = -(a/b) = a/(-b)", exact=True)
def div_signs(y: View) -> View | None:
    above, below = y.arguments
    if not is_gate(above, "neg") and not is_gate(below, "neg"):
        return None
    signs = is_gate(above, "neg") + is_gate(below, "neg")
    quotient = (above.arguments[0] if is_gate(above, "neg") else above) / (
        below.arguments[0] if is_gate(below, "neg") else below
    )
    return -quotient if signs % 2 else quotient


@law("div", "g/(a/b)/b = g/a", exact=False)  # a/b may overflow where a does not
def div_through_quotient(y: View) -> View | None:
    above, b = y.arguments
    if not is_gate(above, "div") or not is_gate(above.arguments[1], "div"):
        return None
    g, (a, inner) = above.arguments[0], above.arguments[1].arguments
    return g / a if inner == b else None


@law("neg", "-(-a) = a; -(constant)", exact=True)
def neg_neg(y: View) -> View | None:
    (a,) = y.arguments
    number = rational_of(a)
    if number is not None and number != 0:
        return constant(y, -number)
    return a.arguments[0] if is_gate(a, "neg") else None


@law("power", "a power of a constant is a constant", exact=False)  # one rounding instead of several
def power_constant(y: View) -> View | None:
    number, exponent = rational_of(y.arguments[0]), y.node.exponent
    if number is None or not isinstance(exponent, int):
        return None
    if (number.numerator.bit_length() + number.denominator.bit_length()) * exponent > MAX_FOLD:
        return None
    return constant(y, number**exponent)


@law("power", "a power is a product of squares, and of roots", exact=True, family="spelling")
def power_products(y: View) -> View | None:
    return spelled_power(y.arguments[0], y.node.exponent)


@law("abs", "|-a| = |a|", exact=True)
def abs_sign(y: View) -> View | None:
    (a,) = y.arguments
    return a.arguments[0].call("abs") if is_gate(a, "neg") else None


@law("add", "(a where c else 0) + (0 where c else b) = a where c else b", exact=False)  # -0.0 + 0 is +0.0
def add_sides(y: View) -> View | None:
    sides: dict[View, tuple[int, View]] = {}  # by condition: the term whose other side is 0
    for position, term in enumerate(y.arguments):
        if not is_gate(term, "select"):
            continue
        condition, taken, otherwise = term.arguments
        if otherwise.number == 0:
            sides[condition] = position, taken
        elif taken.number == 0 and condition in sides:
            other, first = sides[condition]
            rest = [view for i, view in enumerate(y.arguments) if i not in (position, other)]
            return sum_of(y, [*rest, condition.where(first, otherwise)])
    return None


@law("and", "c and c is c; c and not c never holds", exact=True)
def and_known(y: View) -> View | None:
    terms = list(dict.fromkeys(y.arguments))
    if any(is_gate(term, "not") and term.arguments[0] in terms for term in terms):
        return constant(y, 0).equals(1)
    if len(terms) == len(y.arguments):
        return None
    return terms[0] if len(terms) == 1 else apply(y, "and", *terms)


@law("select", "a branch whose condition is known; both branches the same; not swaps them", exact=True)
def select_known(y: View) -> View | None:
    condition, taken, otherwise = y.arguments
    if taken == otherwise:
        return taken
    if is_gate(condition, "not"):
        return condition.arguments[0].where(otherwise, taken)
    if condition.node.fixed:
        return taken if exact_value(condition) else otherwise
    return None


@law("select", "inside a branch its own condition is known", exact=True)
def select_nested(y: View) -> View | None:
    condition, taken, otherwise = y.arguments
    if is_gate(taken, "select") and taken.arguments[0] == condition:
        return condition.where(taken.arguments[1], otherwise)
    if is_gate(otherwise, "select") and otherwise.arguments[0] == condition:
        return condition.where(taken, otherwise.arguments[2])
    return None


@law("select", "x where a > b, 0 where a < b, t where both are equal, NaN else: one word", exact=True, family="wording")
def select_larger(y: View) -> View | None:
    condition, taken, rest = y.arguments
    if not is_gate(condition, "lt") or not is_gate(rest, "select"):
        return None
    b, a = condition.arguments
    below, nothing, last = rest.arguments
    if not is_gate(below, "lt") or below.arguments != (a, b) or nothing.number != 0 or not is_gate(last, "select"):
        return None
    equal, tie, undefined = last.arguments
    if not is_gate(equal, "eq") or set(equal.arguments) != {a, b} or undefined.number != "nan":
        return None
    return apply(y, "where_larger", a, b, taken, tie)
