"""Laws: what an equation between graphs is, the table of them, and the words in which they read a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ...gates.arithmetic import factor_and_divisor
from ...gates.table import GATES
from ...graph.node import View
from ...graph.sums import product_of

Rewrite = Callable[[View], View | None]
Family = Literal["stabler", "sharing", "cheaper", "spelling", "wording"]


@dataclass(frozen=True)
class Law:
    """One equation between graphs."""

    name: str
    words: str
    exact: bool
    family: Family
    rewrite: Rewrite
    of_arrays: bool = False  # it has no work in a graph over points


LAWS: dict[str, list[Law]] = {}

# Rationals with more binary digits than this are not folded into each other: their size would grow without bound.
MAX_FOLD = 4096


def law(
    gates: str, words: str, *, exact: bool, family: Family = "cheaper", of_arrays: bool = False
) -> Callable[[Rewrite], Rewrite]:
    """File a law under the gate that it rewrites, or under several, their names apart."""

    def enter(rewrite: Rewrite) -> Rewrite:
        for gate in gates.split():
            LAWS.setdefault(gate, []).append(Law(rewrite.__name__, words, exact, family, rewrite, of_arrays))
        return rewrite

    return enter


def is_gate(view: View, gate: str) -> bool:
    return view.node.gate.name == gate


def rational_of(view: View) -> Fraction | None:
    number = view.number
    return number if type(number) is Fraction else None  # a constant is that or a name; isinstance asks for far more


def apply(like: View, gate: str, *views: View) -> View:
    return like.node.table.apply(GATES[gate], *views)


def constant(like: View, number: Fraction | int) -> View:
    return like.node.table.constant(number)


def quotient_of(like: View, above: list[View], below: list[View]) -> View:
    top = product_of(like, above)
    return top / product_of(like, below) if below else top


def factors_of(view: View) -> list[View]:
    return list(view.arguments) if is_gate(view, "mul") else [view]


def negated(view: View) -> View:
    return view.arguments[0] if is_gate(view, "neg") else -view


def scaled(view: View) -> tuple[Fraction, View]:
    """The view as a rational coefficient times the rest."""
    if is_gate(view, "neg"):
        coefficient, rest = scaled(view.arguments[0])
        return -coefficient, rest
    if is_gate(view, "div"):
        below = rational_of(view.arguments[1])
        if below:
            coefficient, rest = scaled(view.arguments[0])
            return coefficient / below, rest
    if is_gate(view, "mul") and len(view.arguments) == 2:
        for number, other in (view.arguments, reversed(view.arguments)):
            factor = rational_of(number)
            if factor is not None:
                return factor, other
    return Fraction(1), view


def multiple(number: Fraction, view: View) -> View:
    """A rational times a view, as one writes it."""
    if number < 0:
        return -multiple(-number, view)
    factor, divisor = factor_and_divisor(number)
    above = [constant(view, factor)] if factor != 1 else []
    below = [constant(view, divisor)] if divisor != 1 else []
    return quotient_of(view, [*above, view], below)


def folds(*numbers: Fraction) -> bool:
    return sum(n.numerator.bit_length() + n.denominator.bit_length() for n in numbers) < MAX_FOLD


def fits_float(number: Fraction) -> bool:
    """Whether a factor is a number that floats have: 1e300*a*(1e300*b) may be one although 1e600 is none."""
    return not number or Fraction(1, 2**1022) <= abs(number) < 2**1024


def constants_of(views: Iterable[View]) -> tuple[list[Fraction], list[View]]:
    numbers, others = [], []
    for view in views:
        number = rational_of(view)
        if number is None:
            others.append(view)
        else:
            numbers.append(number)
    return numbers, others
