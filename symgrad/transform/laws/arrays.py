"""Laws of sums over indices: exponentials relative to the largest of them, constants in front of a sum.

A sum S = sum(exp(f)) overflows where its logarithm and its ratios do not. With M the largest f of the same loops,
S = exp(M)*S' with S' = sum(exp(f - M)) (Blanchard, Higham & Higham, Accurately computing the log-sum-exp and softmax
functions, 2021). What uses S is M + log(S') or a ratio to S', and as neither depends on M, M is detached: its
derivative is 0. Equal shifts are one node, so that a row's largest term, its exponentials and their sum are computed
once, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ...gates.table import GATES
from ...graph.affine import Axis, Index
from ...graph.node import Reduction, View, positional
from ...graph.sums import constraints_of, guarded, is_guarded, product_of, sum_of
from .cheaper import constant_factors, scaled_by, split
from .law import apply, constant, is_gate, law, quotient_of

# How deep in products, quotients and sums exponentials are looked for.
_DEPTH = 8


# --- how large it is --------------------------------------------------------------------------------------------------


class Size(NamedTuple):
    """A view is exp(logarithm) times what does not overflow."""

    logarithm: View
    of_sum: bool  # is there a sum over indices in it? The laws of scalars see to the rest


def size(view: View, depth: int = _DEPTH) -> Size | None:
    """How large a view is that is made of exponentials, else None. Factors without an exponential do not count."""
    find = _SIZES.get(view.node.gate.name)
    return None if find is None or view.node.fixed or depth == 0 else find(view, depth - 1)


def _size_of_exponential(view: View, _: int) -> Size | None:
    (exponent,) = view.arguments
    return None if _is_relative(exponent) else Size(exponent, False)


def _is_relative(exponent: View) -> bool:
    """Whether a shift has been subtracted already."""
    if exponent.node.gate.name in ("add", "neg", "mul"):
        return any(map(_is_relative, exponent.arguments))
    return is_gate(exponent, "detached")


def _size_of_sum(view: View, depth: int) -> Size | None:
    node, own = view.node, view.node.attribute
    if not isinstance(own, Reduction) or not own.is_plain or node.loops == node.rank:
        return None
    inner = size(node.arguments[0], depth)
    if inner is None:
        return None
    exponent = inner.logarithm
    reduced, limits = _loops_of(exponent, range(node.rank, node.loops), own.constraints)

    def largest(body: View) -> View:
        return node.table.reduce(GATES["largest"], body, reduced, limits)

    if reduced:
        for position, term in enumerate(exponent.arguments if is_gate(exponent, "add") else ()):
            rest = [*exponent.arguments[:position], *exponent.arguments[position + 1 :]]
            if is_gate(term, "neg") and term.arguments[0] == largest(sum_of(view, rest)):
                return None  # written as it should be: f - max(f)
        exponent = largest(exponent)
    return Size(exponent.at(dict(enumerate(view.index))), True)


def _loops_of(view: View, reduced: Iterable[Axis], limits: Iterable[Index]) -> tuple[set[Axis], list[Index]]:
    """The reduced axes that matter for what varies along some of them only, and their constraints."""
    every = set(reduced)
    kept, forms = every & set(view.axes), list(limits)
    for _ in forms:
        kept |= {name for form in forms if kept & set(form.axes) for name in form.axes if name in every}
    return kept, [form for form in forms if not (every - kept) & set(form.axes)] if kept else []


def _size_of_product(view: View, depth: int) -> Size | None:
    found = [own for factor in view.arguments if (own := size(factor, depth)) is not None]
    if not found:
        return None
    return Size(sum_of(view, [own.logarithm for own in found]), any(own.of_sum for own in found))


def _size_of_terms(view: View, depth: int) -> Size | None:
    found = [size(term, depth) for term in view.arguments]
    sizes = [own for own in found if own is not None]
    if not sizes:
        return None
    logarithms = list(dict.fromkeys(own.logarithm for own in sizes))
    logarithms += [constant(view, 0)] if len(sizes) < len(found) else []
    largest = logarithms[0] if len(logarithms) == 1 else apply(view, "max", *logarithms)
    return Size(largest, any(own.of_sum for own in sizes))


def _size_of_branches(view: View, depth: int) -> Size | None:
    condition, *sides = view.arguments
    found = [size(side, depth) for side in sides]
    if found == [None, None]:
        return None
    none = [view.node.table.constant("-oo" if side.number == 0 else 0) for side in sides]
    one, two = (other if own is None else own.logarithm for own, other in zip(found, none, strict=True))
    return Size(condition.where(one, two), any(own is not None and own.of_sum for own in found))


def _size_of_power(view: View, depth: int) -> Size | None:
    inner = size(view.arguments[0], depth)
    return None if inner is None else Size(inner.logarithm * view.node.exponent, inner.of_sum)


_SIZES: dict[str, Callable[[View, int], Size | None]] = {
    "exp": _size_of_exponential,
    "sum": _size_of_sum,
    "mul": _size_of_product,
    "add": _size_of_terms,
    "select": _size_of_branches,
    "power": _size_of_power,
    "neg": lambda view, depth: size(view.arguments[0], depth),
    "div": lambda view, depth: size(view.arguments[0], depth),  # the law of quotients has seen to what is below
}


def shift_of(own: Size) -> View:
    """The shift that goes with a size: where it is infinite there is none, so that 0 stays 0 and infinity infinity."""
    logarithm = own.logarithm
    is_finite = logarithm.call("abs") < logarithm.node.table.constant("oo")
    return is_finite.where(logarithm, 0).call("detached")


# --- what is left of it -----------------------------------------------------------------------------------------------


def relative(view: View, shift: View) -> View:
    """exp(-shift)*view, for a view that has a size."""
    return _RELATIVE[view.node.gate.name](view, shift)


def _times_exponential(view: View, exponent: View) -> View:
    exponential = exponent.call("exp")
    return exponential if view.number == 1 else view * exponential


def _relative_sum(view: View, shift: View) -> View:
    node = view.node
    own = size(positional(node))
    assert own is not None
    body = relative(node.arguments[0], shift_of(own))
    made = _sum_like(view, body)
    here = Size(own.logarithm.at(dict(enumerate(view.index))), True)
    if shift_of(here) == shift:
        return made
    # Of the size itself, infinite or not: a sum without terms is exp(-oo)*0.
    return _times_exponential(made, here.logarithm.call("detached") - shift)


def _relative_product(view: View, shift: View) -> View:
    factors = list(view.arguments)
    sizes = {position: own for position, factor in enumerate(factors) if (own := size(factor)) is not None}
    first = min(sizes, key=lambda position: sizes[position].of_sum)
    for position, own in sizes.items():
        if position != first:
            factors[position] = relative(factors[position], shift_of(own))
            shift = shift - shift_of(own)
    factors[first] = relative(factors[first], shift)
    return product_of(view, factors)


def _relative_terms(view: View, shift: View) -> View:
    return sum_of(view, [_relative_or_times(term, shift) for term in view.arguments])


def _relative_or_times(term: View, shift: View) -> View:
    return _times_exponential(term, -shift) if size(term) is None else relative(term, shift)


def _relative_branches(view: View, shift: View) -> View:
    condition, *sides = view.arguments
    one, two = (side if side.number == 0 else _relative_or_times(side, shift) for side in sides)
    return condition.where(one, two)


def _relative_power(view: View, shift: View) -> View:
    (base,), exponent = view.arguments, view.node.exponent
    inner = size(base)
    assert inner is not None
    own = shift_of(inner)
    made = view.node.table.apply(view.node.gate, relative(base, own), attribute=exponent)
    return _times_exponential(made, own * exponent - shift)


_RELATIVE: dict[str, Callable[[View, View], View]] = {
    "exp": lambda view, shift: (view.arguments[0] - shift).call("exp"),
    "sum": _relative_sum,
    "mul": _relative_product,
    "add": _relative_terms,
    "select": _relative_branches,
    "power": _relative_power,
    "neg": lambda view, shift: -relative(view.arguments[0], shift),
    "div": lambda view, shift: relative(view.arguments[0], shift) / view.arguments[1],
}


class Scaled(NamedTuple):
    """A view as exp(sum of exponents)*rest."""

    exponents: list[View]
    rest: View


def _pulled(view: View, with_exponentials: bool = False) -> Scaled:
    """What comes out of the factors of a product: the shift of each sum, and of a logarithm also exponents."""
    if is_gate(view, "mul"):
        parts = [_pulled(factor, with_exponentials) for factor in view.arguments]
        exponents = [exponent for part in parts for exponent in part.exponents]
        factors = [part.rest for part in parts if part.rest.number != 1]
        return Scaled(exponents, product_of(view, factors)) if exponents else Scaled([], view)
    if is_gate(view, "div"):
        above = _pulled(view.arguments[0], with_exponentials)
        return Scaled(above.exponents, above.rest / view.arguments[1]) if above.exponents else Scaled([], view)
    if is_gate(view, "power"):
        base, exponent = _pulled(view.arguments[0]), view.node.exponent
        rest = view.node.table.apply(view.node.gate, base.rest, attribute=exponent)
        return Scaled([own * exponent for own in base.exponents], rest) if base.exponents else Scaled([], view)
    if is_guarded(view):
        inside, limits = _pulled(view.arguments[0]), constraints_of(view)
        return Scaled(inside.exponents, guarded(inside.rest, limits)) if inside.exponents else Scaled([], view)
    if with_exponentials and is_gate(view, "exp"):
        return Scaled([view.arguments[0]], constant(view, 1))
    own = size(view)
    if own is None or not own.of_sum:
        return Scaled([], view)
    return Scaled([shift_of(own)], relative(view, shift_of(own)))


# --- the laws ---------------------------------------------------------------------------------------------------------


@law(
    "log",
    "log(a*sum(exp(f))) = M + log(a*sum(exp(f - M))), M the largest f",
    exact=False,
    family="stabler",
    of_arrays=True,
)
def log_of_sums(y: View) -> View | None:
    """Also log(exp(f - M)/S') = f - M - log(S'), which a ratio to a sum has become."""
    (a,) = y.arguments
    exponents, rest = _pulled(a, with_exponentials=True)
    if not any(map(_is_relative, exponents)):
        return None
    if is_gate(rest, "div") and rest.arguments[0].number == 1:
        exponents.append(-rest.arguments[1].call("log"))
    elif rest.number != 1:
        exponents.append(rest.call("log"))
    return sum_of(y, exponents)


@law(
    "log", "log(det(A)) is computed from the pivots of A", exact=False, family="stabler", of_arrays=True
)  # the determinant overflows
def log_of_determinant(y: View) -> View | None:
    node = y.arguments[0].node
    if node.gate.name != "determinant":
        return None
    table = node.table
    return View(table.whole(GATES["log_determinant"], node.arguments, [(0, 1)], 0, node.extents))


@law(
    "div",
    "exp(g)/sum(exp(f)) = exp(g - M)/sum(exp(f - M)), M the largest f",
    exact=False,
    family="stabler",
    of_arrays=True,
)
def ratio_of_sums(y: View) -> View | None:
    above, below = y.arguments
    shifts, rest = _pulled(below)
    for shift in shifts:
        above = _absorbed(above, shift)
    return quotient_of(y, [above], [rest]) if shifts else None


@law(
    "mul",
    "exp(-M)*sum(exp(f)) = sum(exp(f - M)): a ratio that was split",
    exact=False,
    family="stabler",
    of_arrays=True,
)
def product_with_shift(y: View) -> View | None:
    for position, factor in enumerate(y.arguments):
        found = _without_shift(factor)
        if found is None:
            continue
        shift, rest = found
        for other, absorbing in enumerate(y.arguments):
            if other != position and _affinity(absorbing, shift) < _NO_SIZE:
                factors = list(y.arguments)
                factors[other], factors[position] = _absorbed(absorbing, shift), rest
                return product_of(y, [factor for factor in factors if factor.number != 1])
    return None


def _without_shift(view: View, depth: int = _DEPTH) -> tuple[View, View] | None:
    """The shift and the rest of a view that is exp(-shift)*rest."""
    if is_gate(view, "exp"):
        (exponent,) = view.arguments
        is_shift = is_gate(exponent, "neg") and is_gate(exponent.arguments[0], "detached")
        return (exponent.arguments[0], constant(view, 1)) if is_shift else None
    if is_gate(view, "div") and depth:
        found = _without_shift(view.arguments[0], depth - 1)
        return None if found is None else (found[0], found[1] / view.arguments[1])
    if is_gate(view, "mul") and depth:
        for position, factor in enumerate(view.arguments):
            found = _without_shift(factor, depth - 1)
            if found is not None:
                others = [*view.arguments[:position], found[1], *view.arguments[position + 1 :]]
                return found[0], product_of(view, [other for other in others if other.number != 1])
    return None


# What takes a factor exp(-shift) best: sums of the same exponentials, exponentials, what has been shifted, other sums.
_SAME, _EXPONENTIAL, _SHIFTED, _OTHER, _NO_SIZE = range(5)


def _affinity(view: View, shift: View) -> int:
    if is_gate(view, "mul"):
        return min(_affinity(factor, shift) for factor in view.arguments)
    if view.node.gate.name in ("div", "neg"):
        return _affinity(view.arguments[0], shift)
    own = size(view)
    if own is None:
        return _SHIFTED if is_gate(view, "exp") and not view.node.fixed else _NO_SIZE
    if not own.of_sum:
        return _EXPONENTIAL
    return _SAME if shift_of(own) == shift else _OTHER


def _absorbed(view: View, shift: View) -> View:
    """exp(-shift)*view: the shift goes where it does the most good."""
    if is_gate(view, "mul") and _affinity(view, shift) < _NO_SIZE:
        factors = list(view.arguments)
        position = min(range(len(factors)), key=lambda at: _affinity(factors[at], shift))
        factors[position] = _absorbed(factors[position], shift)
        return product_of(view, factors)
    if is_gate(view, "div"):
        return _absorbed(view.arguments[0], shift) / view.arguments[1]
    if is_gate(view, "neg"):
        return -_absorbed(view.arguments[0], shift)
    kind = _affinity(view, shift)
    if kind == _SHIFTED:
        return (view.arguments[0] - shift).call("exp")
    return _times_exponential(view, -shift) if kind == _NO_SIZE else relative(view, shift)


@law(
    "sum", "sum(c*a) = c*sum(a); sum(-a) = -sum(a)", exact=False, of_arrays=True
)  # the sum may overflow where c*a does not
def sum_of_multiples(y: View) -> View | None:
    (body,) = y.node.arguments
    if is_gate(body, "neg"):
        return -_sum_like(y, body.arguments[0])
    if body.node.fixed or not constant_factors(body):
        return None
    coefficient, count, factors = split(body)
    return scaled_by(y, coefficient, _sum_like(y, product_of(body, factors))) if count else None


def _sum_like(view: View, body: View) -> View:
    """The sum of another body over the same loops."""
    node, own = view.node, view.node.attribute
    assert isinstance(own, Reduction)
    if own.is_plain:
        made = node.table.reduce(node.gate, body, range(node.rank, node.loops), own.constraints)
    else:
        made = node.table.reduce(node.gate, body, (), own.constraints, own.out, tuple(range(node.rank)))
    return made.at(dict(enumerate(view.index)))
