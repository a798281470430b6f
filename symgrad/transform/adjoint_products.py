"""Adjoint times local gradient: said so that zeros, poles and quotients stay what they are."""

from __future__ import annotations

from collections.abc import Callable

from ..gates.table import GATES
from ..graph.node import View
from ..graph.sums import is_finite, may_lack_terms, product_of, sum_of


def times(adjoint: View, partial: View) -> View:
    """Adjoint times local gradient; what that switches off is exactly 0, also where the adjoint is infinite.

    The adjoint goes into quotients and branches, so that g*(1/b) is g/b and a maximum routes instead of multiplying.
    """
    name, local, upstream = partial.node.gate.name, partial.number, adjoint.number
    if local == 1 or upstream == 0:
        return adjoint
    if upstream == 1 or name == "undefined" or local in (0, "nan"):
        return partial
    if name == "neg":
        return -times(adjoint, partial.arguments[0])
    if local == -1:
        return -adjoint
    if name == "select":
        condition, taken, otherwise = partial.arguments
        return condition.where(times(adjoint, taken), times(adjoint, otherwise))
    if name == "zero_where":
        condition, inside = partial.arguments
        return condition.call("zero_where", times(adjoint, inside))
    if _is_switch(adjoint) and not adjoint.node.table.has_loops and not is_finite(partial):
        # The adjoint of what several branches read: 0 in those that are not taken, whatever the local gradient is.
        condition, *sides = adjoint.arguments
        return condition.where(*(side if side.number == 0 else times(side, partial) for side in sides))
    if name == "div" and partial.arguments[0].node.fixed:  # g*(a/b) stays: g*a may overflow where a/b does not
        above, below = partial.arguments
        return times(adjoint, above) / below
    if name == "mul":
        factors = partial.arguments
        constants = [factor for factor in factors if factor.node.fixed]
        if constants and len(constants) < len(factors):
            # The constant goes with the adjoint, which the arguments of a sum share.
            rest = [factor for factor in factors if not factor.node.fixed]
            return times(product_of(adjoint, [*constants, adjoint]), product_of(adjoint, rest))
        for position, factor in enumerate(factors):
            if factor.node.gate.name == "div" and factor.arguments[0].number == 1:
                others = factors[:position] + factors[position + 1 :]
                return adjoint.node.table.apply(GATES["mul"], *others, times(adjoint, factor))
    product = adjoint * partial
    counts = _counts(adjoint)
    if counts and may_lack_terms(partial, entries=False):
        return product_of(adjoint, counts).equals(0).where(0, product)
    return product


def passed_on(
    y: View, position: int, adjoint: View, partial: View, product: Callable[[View, View], View] = times
) -> View:
    """Adjoint times local gradient: what the argument of `y` at that position receives.

    What a power reads gets n*u/a where the adjoint is the quotient u/y by the power y = a**n itself, as it is in 1/a**n
    and log(a**n): u/y*(n*y/a) would be inf*0 where a is 0, and u/y would underflow where a is large.
    """
    exponent = _exponent(y, position)
    if exponent is None:
        return product(adjoint, partial)
    ratio = exponent / y.arguments[position]
    if not exponent.node.fixed:
        ratio = exponent.equals(0).call("zero_where", ratio)
    terms = [(term, _cancelled(term, y, ratio, product)) for term in _terms(adjoint)]
    views = [view for _, view in terms if view is not None]
    if not views:
        return product(adjoint, partial)
    rest = [term for term, view in terms if view is None]
    return sum_of(adjoint, [*views, product(sum_of(adjoint, rest), partial)] if rest else views)


def _is_switch(view: View) -> bool:
    """Whether a view is 0 on one side of a branch."""
    return view.node.gate.name == "select" and any(side.number == 0 for side in view.arguments[1:])


def _cancelled(adjoint: View, y: View, ratio: View, product: Callable[[View, View], View]) -> View | None:
    """What becomes of an adjoint u/y: u times a ratio. None of any other; in a branch it is so inside of it."""
    if _is_switch(adjoint):
        condition, *sides = adjoint.arguments
        found = [side if side.number == 0 else _cancelled(side, y, ratio, product) for side in sides]
        taken, otherwise = found
        return None if taken is None or otherwise is None else condition.where(taken, otherwise)
    above = _numerator(adjoint, y)
    return None if above is None else product(above, ratio)


def divides(adjoint: View, y: View) -> bool:
    """Whether an adjoint of a power, or of a product with one, is a quotient by it: `passed_on` cancels that."""
    is_power = any(_exponent(y, position) is not None for position in range(len(y.arguments)))
    return is_power and all(_numerator(term, y) is not None for term in _terms(adjoint))


def _terms(adjoint: View) -> tuple[View, ...]:
    return adjoint.arguments if adjoint.node.gate.name == "add" else (adjoint,)


def _exponent(y: View, position: int) -> View | None:
    """The n of a power a**n of an argument; 1 of a product with a power there."""
    if y.node.gate.name == "power":
        return y.node.table.constant(y.node.exponent)
    if y.node.gate.name in ("pow", "abs_pow") and position == 0:
        return y.arguments[1]
    if y.node.gate.name == "mul" and _holds_power(y.arguments[position]):
        return y.node.table.constant(1)
    return None


# How deep in products and quotients an adjoint is looked into, and how many nodes a number of extents has.
_DEPTH = 4
_FEW = 16


def _holds_power(view: View, depth: int = _DEPTH) -> bool:
    """Whether a power is a factor of a product."""
    name = view.node.gate.name
    is_product = name == "mul" and depth > 0
    return name in ("power", "pow", "abs_pow") or (
        is_product and any(_holds_power(own, depth - 1) for own in view.arguments)
    )


def _numerator(adjoint: View, y: View, depth: int = _DEPTH) -> View | None:
    """The u of an adjoint that is u/y, else None."""
    name = adjoint.node.gate.name
    if name == "div" and adjoint.arguments[1] == y:
        return adjoint.arguments[0]
    if name == "neg" and depth:
        above = _numerator(adjoint.arguments[0], y, depth - 1)
        return None if above is None else -above
    if name == "mul" and depth:
        for position, factor in enumerate(adjoint.arguments):
            above = _numerator(factor, y, depth - 1)
            if above is not None:
                others = [*adjoint.arguments[:position], *adjoint.arguments[position + 1 :]]
                return product_of(y, others if above.number == 1 else [*others, above])
    return None


def _counts(view: View) -> list[View]:
    """The factors, of a few, that are 0 where there is nothing: how often there is something, and sums of terms."""
    if not view.node.table.has_loops:
        return []
    stack, found, left = [view], [], _FEW
    while stack and left:
        part, left = stack.pop(), left - 1
        if part.node.gate.name == "mul":
            stack += reversed(part.arguments)
        elif _is_count(part) or (part.node.gate.name == "sum" and part.node.loops > part.node.rank):
            found.append(part)
    return found


def _is_count(view: View) -> bool:
    """Whether a number is made of a few extents alone: how often there is something, which may be never."""
    seen, stack, has_size = {view}, [view], False
    while stack:
        part = stack.pop()
        name = part.node.gate.name
        has_size = has_size or name == "size"
        if not part.arguments and name != "size" and not part.node.fixed:
            return False
        stack += [argument for argument in dict.fromkeys(part.arguments) if argument not in seen]
        seen.update(part.arguments)
        if len(seen) > _FEW:
            return False
    return has_size
