"""Troubles: where a gate hinders the gradient or makes a NaN or an infinity, each a condition with the reason in words.

A rule is a sentence and a small function: it gets the result of a gate and its arguments and returns the condition, as
a view of the same graph, so that every evaluator and every target can tell whether it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from ..graph.node import Node, View, positional

# A gate that flattens out counts as saturated where its local gradient is below this.
SATURATED = Fraction(1, 10_000)

# Gates that hand on one of their arguments, and so make no NaN or infinity.

Rule = Callable[..., "View | None"]


class Condition(NamedTuple):
    """A condition, and what is wrong where it holds."""

    when: View
    reason: str


class _Row(NamedTuple):
    reason: str
    rule: Rule
    of_gradient: bool  # the value is in order: nothing is wrong where no gradient flows


RULES: dict[str, list[_Row]] = {}


def trouble(gates: str, reason: str, of_gradient: bool = False) -> Callable[[Rule], Rule]:
    """Enter a rule for some gates; `{other}` in the reason stands for the constant among the arguments."""

    def enter(rule: Rule) -> Rule:
        for gate in gates.split():
            RULES.setdefault(gate, []).append(_Row(reason, rule, of_gradient))
        return rule

    return enter


def troubles(
    node: Node, active: View | None, has_gradient: bool, texts: Callable[[View], str]
) -> tuple[Condition, ...]:
    """What may be wrong at `node` by the rules of its gate; `active` is where it matters (None: always).

    `texts` gives the words for a constant.
    """
    y, arguments = positional(node), positional(node).arguments
    found = []
    for reason, rule, of_gradient in RULES.get(node.gate.name, ()):
        when = rule(y, *arguments) if has_gradient or not of_gradient else None
        if when is not None:
            other = next((texts(argument) for argument in arguments if argument.node.fixed), "")
            found.append(Condition(when, reason.format(other=other)))
    return _where(active, found)


def _where(active: View | None, found: Sequence[Condition]) -> tuple[Condition, ...]:
    if active is None:
        return tuple(found)
    return tuple(Condition(active.call("and", trouble.when), trouble.reason) for trouble in found)


# --- what holds for every gate ----------------------------------------------------------------------------------------


def out_of_range(
    node: Node, locals: Sequence[View | None], active: View | None, reported: Sequence[View]
) -> tuple[Condition, ...]:
    """Where `node` makes a NaN or an infinity of numbers, and no rule of its gate, of `reported`, has said so.

    `locals` are its local gradients: these may be no finite numbers, too.
    """
    if node.kind != "real" or not node.arguments or "passing" in node.gate.has:
        return ()
    y, arguments = positional(node), positional(node).arguments
    return _where(active, [*_out_of_numbers(y, arguments, reported), *_slopes(y, arguments, locals)])


def is_finite(view: View) -> View:
    """Whether a number is neither infinite nor NaN."""
    return view.call("abs") < view.node.table.constant("oo")


def _is_nan(view: View) -> View:
    return view.call("ne", view)


def _every(views: Sequence[View]) -> View:
    return views[0] if len(views) == 1 else views[0].call("and", *views[1:])


def _out_of_numbers(y: View, arguments: Sequence[View], reported: Sequence[View]) -> list[Condition]:
    """A NaN out of arguments that are none, an infinity out of finite ones, where no rule of the gate has said so."""
    real = _varying(arguments)
    if not real or y.node.loops != y.node.rank:
        return [Condition(_is_nan(y), "the result is NaN"), Condition(_is_infinite(y), "the result is infinite")]
    unreported = [when.call("not") for when in reported]
    nan = _every([_is_nan(y), *(argument.call("eq", argument) for argument in real), *unreported])
    infinite = _every([_is_infinite(y), *map(is_finite, real), *unreported])
    return [
        Condition(nan, "NaN: no real number is the result for these arguments"),
        Condition(infinite, "overflow: finite arguments, an infinite result"),
    ]


def _varying(arguments: Sequence[View]) -> list[View]:
    """The real arguments that are no constants, each once."""
    return [a for a in dict.fromkeys(arguments) if a.node.kind == "real" and not a.node.fixed]


def _is_infinite(view: View) -> View:
    return view.call("abs").equals(view.node.table.constant("oo"))


def _slopes(y: View, arguments: Sequence[View], locals: Sequence[View | None]) -> list[Condition]:
    """A local gradient that is no finite number though result and arguments are."""
    found = []
    for local in dict.fromkeys(locals):
        if local is None or local.node.fixed or y.node.loops != y.node.rank:
            continue
        if local == y or local in arguments:  # then it is as finite as these
            continue
        numbers = [is_finite(y), *map(is_finite, _varying(arguments))]
        reason = "an infinite slope: the local gradient is no finite number"
        found.append(Condition(_every([*numbers, is_finite(local).call("not")]), reason))
    return found


# --- rules by gate ----------------------------------------------------------------------------------------------------


@trouble("div", "0/0")
def zero_by_zero(y: View, a: View, b: View) -> View:
    return a.equals(0).call("and", b.equals(0))


@trouble("div", "division by zero")
def division_by_zero(y: View, a: View, b: View) -> View:
    return b.equals(0).call("and", a.call("ne", y.node.table.constant(0)))


@trouble("log", "the logarithm of 0")
def log_of_zero(y: View, a: View) -> View:
    return a.equals(0)


@trouble("log", "the logarithm of a negative number")
def log_of_negative(y: View, a: View) -> View:
    return a < 0


@trouble("sqrt cbrt", "a root of a negative number")
def root_of_negative(y: View, a: View) -> View:
    return a < 0


@trouble("exp", "underflow: the result is 0, and so is the gradient", of_gradient=True)
def underflow(y: View, a: View) -> View:
    return y.equals(0).call("and", is_finite(a))


@trouble("sigmoid", "saturated: the gate is flat here, hardly any gradient passes", of_gradient=True)
def sigmoid_is_flat(y: View, a: View) -> View:
    return y * (1 - y) < SATURATED


@trouble("tanh", "saturated: the gate is flat here, hardly any gradient passes", of_gradient=True)
def tanh_is_flat(y: View, a: View) -> View:
    return (1 - y) * (1 + y) < SATURATED


@trouble("erf", "saturated: the gate is flat here, hardly any gradient passes", of_gradient=True)
def erf_is_flat(y: View, a: View) -> View:
    return a.call("abs") > 3  # where 2/sqrt(pi)*exp(-a**2) is below 1.4e-4


@trouble("max", "dead: the constant {other} is the larger, no gradient passes", of_gradient=True)
def dead_above(y: View, *a: View) -> View | None:
    return _loses(y, a, lambda own, constant: own < constant)


@trouble("min", "clipped: the constant {other} is the smaller, no gradient passes", of_gradient=True)
def dead_below(y: View, *a: View) -> View | None:
    return _loses(y, a, lambda own, constant: own > constant)


def _loses(y: View, a: Sequence[View], loses: Callable[[View, View], View]) -> View | None:
    constants = [argument for argument in a if argument.node.fixed]
    others = [argument for argument in a if not argument.node.fixed]
    if len(constants) != 1 or not others:
        return None
    return _every([loses(own, constants[0]) for own in others])


@trouble("max min", "a tie: the gradient is shared evenly among the equal arguments", of_gradient=True)
def tie(y: View, *a: View) -> View:
    pairs = [
        one.equals(y).call("and", two.equals(y))
        for position, one in enumerate(a)
        for two in a[position + 1 : position + 2] or ()
    ]
    if len(a) > 2:
        count = y.node.table.apply(y.node.table.gates["add"], *(one.equals(y).where(1, 0) for one in a))
        return count > 1
    return pairs[0]


@trouble("abs hypot", "a kink: the gradient there is taken as 0", of_gradient=True)
def kink_at_zero(y: View, *a: View) -> View:
    return y.equals(0)


@trouble("floor ceil sign", "a step: flat on both sides, no gradient passes", of_gradient=True)
def step(y: View, a: View) -> View:
    return y.equals(y)


@trouble("undefined", "outside of all branches")
def outside(y: View, *a: View) -> View:
    return _every([argument.equals(argument) for argument in a])
