"""Reductions as one builds them: what does not vary along a reduced axis stands outside."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import reduce

from .affine import Axis, Index, Size, axis, substituted
from .node import Builder, Gather, Reduction, View, plain_axis


def total(
    body: View,
    reduced: Sequence[Axis],
    constraints: Iterable[Index],
    may_be_empty: bool = False,
    derived: Container[str] = (),
) -> View:
    """The sum of `body` over the axes `reduced` where all `constraints` are >= 0.

    Factors that do not vary along the reduced axes come out; an axis that nothing varies along becomes a number; a
    product of many factors is summed an axis at a time where that makes smaller loops (as one multiplies matrices).
    Without terms it is 0, also where a factor that came out is infinite: with `may_be_empty` always, else where the
    factor may lack terms of its own, or is multiplied by how many terms there are. Extents that are `derived` may be
    less than 0.
    """
    table = body.node.table
    if body.number == 0:
        return body
    if body.node.gate.name == "add" and all(map(is_guarded, body.arguments)):  # branches, each on its own domain
        limits = list(constraints)
        terms = [total(branch, reduced, limits, may_be_empty, derived) for branch in body.arguments]
        kept = [term for term in terms if term.number != 0] or terms[:1]
        return kept[0] if len(kept) == 1 else table.apply(table.gates["add"], *kept)
    body, limits = _without_guards(body, list(constraints))
    if _is_empty(limits):
        return table.constant(0)
    body, inner, limits = _without_equalities(body, list(reduced), _tightest(limits))
    outside, inside = _split(body, set(inner))
    factor = chained(outside) if outside else None
    rest = chained(inside) if inside else None
    where = where_some(limits, inner)
    many = [] if factor is None else [factor]  # what is multiplied by 0 where there are no terms
    for name in list(inner):
        if name not in _axes(rest):
            count = _count(table, name, limits, derived)
            if count is not None:
                inner.remove(name)
                own = [form for form in limits if form.coefficient(name)]
                limits = [form for form in limits if form not in own]
                if rest is not None and not is_finite(rest):  # may be none for some indices of the other axes
                    limits += [form for form in where_some(own, [name]) if set(form.axes) & set(inner)]
                many += [] if rest is None else [rest]
                if set(count.axes) & set(inner):
                    rest = count if rest is None else rest * count
                else:
                    factor = count if factor is None else factor * count
    if all(map(is_finite, many)):
        where = []
    rest = table.constant(1) if rest is None else rest
    if inner:
        rest = _eliminated(rest, inner, limits, derived)
        if not (may_be_empty or any(map(may_lack_terms, many))):
            where = [form for form in where if form in limits]
    else:
        where = list(dict.fromkeys([*limits, *where]))
    result = rest if factor is None else factor if rest.number == 1 else factor * rest
    return guarded(result, where)


def _without_guards(body: View, limits: list[Index]) -> tuple[View, list[Index]]:
    """Factors that are 0 outside of a domain hand that domain to the sum."""
    factors = _factors(body)
    if not any(map(is_guarded, factors)):
        return body, list(dict.fromkeys(limits))
    kept = []
    for factor in factors:
        if is_guarded(factor):
            limits += constraints_of(factor)
            factor = factor.arguments[0]
        kept.append(factor)
    kept = [factor for factor in kept if factor.number != 1]
    return chained(kept) if kept else body.node.table.constant(1), list(dict.fromkeys(limits))


def _is_empty(limits: list[Index]) -> bool:
    """Whether constraints never hold, or two of them contradict each other."""
    sums = limits + [one.plus(two) for position, one in enumerate(limits) for two in limits[:position]]
    return any(not form.terms and form.offset < 0 for form in sums)


def where_some(limits: list[Index], reduced: Iterable[Axis]) -> list[Index]:
    """Where there is a term at all: the constraints on axes that are not reduced, and what the others ask of these.

    Reduced axes are eliminated one after the other (Fourier and Motzkin).
    """
    found = limits
    for name in reduced:
        low = [form for form in found if form.coefficient(name) > 0]
        high = [form for form in found if form.coefficient(name) < 0]
        found = [form for form in found if not form.coefficient(name)]
        found += [
            below.scaled(-above.coefficient(name)).plus(above.scaled(below.coefficient(name)))
            for below in low
            for above in high
        ]
    return _tightest([form for form in found if form.terms or form.offset < 0])


_MAX_VISITED = 200


def is_finite(factor: View) -> bool:
    """Whether a factor is a number wherever the inputs are, and reads them along axes only: these stay inside."""
    seen, stack = {factor}, [factor]
    while stack:
        view = stack.pop()
        name = view.node.gate.name
        if name == "input":
            if any(isinstance(index, Gather) or not index.axes for index in view.index):
                return False
        elif view.number in ("oo", "-oo", "nan") or (name == "power" and not isinstance(view.node.attribute, int)):
            return False
        is_known = view.node.fixed or name == "input" or (name == "div" and view.arguments[1].node.fixed)
        if "finite" not in view.node.gate.has and not is_known:
            return False
        inner = [argument for argument in view.arguments if argument not in seen]
        seen.update(inner)
        stack += inner
        if len(seen) > _MAX_VISITED:
            return False
    return True


def may_lack_terms(view: View, entries: bool = True) -> bool:
    """Whether a view reads one index of an axis of an input, or is arithmetic with the largest or smallest of terms.

    Where sums are empty the array may have no such index, and there may be none of these terms, which is an infinity.
    Without `entries` the latter alone.
    """
    seen, stack = {(view, True)}, [(view, True)]
    while stack:
        part, is_arithmetic = stack.pop()
        name = part.node.gate.name
        is_fixed = [not index.axes for index in part.index]
        # Where an axis has no index 0 there are no entries at all, and what is read of them is 0.
        is_beyond = any(own and index != Index(()) for own, index in zip(is_fixed, part.index, strict=True))
        is_entry = name == "input" and part.index and (all(is_fixed) or is_beyond)
        if (entries and is_entry) or (is_arithmetic and name in ("largest", "smallest")):
            return True
        is_arithmetic = is_arithmetic and name in ("add", "neg", "mul", "div", "power", "select", "sum")
        inner = [(argument, is_arithmetic) for argument in part.arguments if (argument, is_arithmetic) not in seen]
        seen.update(inner)
        stack += inner
        if len(seen) > _MAX_VISITED:
            return True
    return False


def _tightest(limits: list[Index]) -> list[Index]:
    """The constraints without those that another one says more sharply: i >= 0 where i >= 1."""
    sharpest: dict[tuple[object, ...], Index] = {}
    for form in limits:
        known = sharpest.get(form.terms)
        sharpest[form.terms] = form if known is None or form.offset < known.offset else known
    return list(sharpest.values())


def is_guarded(view: View) -> bool:
    """Whether a view is 0 outside of a domain, and there what it reads: whether `guarded` made it."""
    return view.node.is_guard and not any(isinstance(index, Gather) for index in view.index)


def constraints_of(view: View) -> list[Index]:
    """The constraints of a reduction over the axes at which it is read, all of them affine."""
    own = {position: index for position, index in enumerate(view.index) if isinstance(index, Index)}
    return [substituted(form, own) for form in view.node.reduction.constraints]


def _without_equalities(body: View, reduced: list[Axis], limits: list[Index]) -> tuple[View, list[Axis], list[Index]]:
    """An axis that the constraints fix (f >= 0 and -f >= 0) is no loop: its value goes where it stood."""
    for form in limits:
        opposite = form.scaled(-1)
        name = next((n for n in reversed(form.axes) if n in reduced and abs(form.coefficient(n)) == 1), None)
        if name is not None and opposite in limits:
            rest = form.minus(axis(name).scaled(form.coefficient(name)))
            value = rest.scaled(-form.coefficient(name))
            others = [substituted(own, {name: value}) for own in limits if own not in (form, opposite)]
            others = [own for own in dict.fromkeys(others) if own.terms or own.offset < 0]
            return _without_equalities(body.at({name: value}), [n for n in reduced if n != name], others)
    return body, reduced, limits


def at_inputs(view: View) -> View:
    """A view at shifted, gathered or equal indices as the same operations on inputs there: computed, and not stored."""
    known: dict[View, View] = {}
    stack = [view]
    while stack:
        part = stack[-1]
        if part in known:
            stack.pop()
            continue
        node = part.node
        is_elementwise = node.loops == node.rank and node.arguments and not node.gathered
        plain = {plain_axis(index) for index in part.index}
        if (None not in plain and len(plain) == len(part.index)) or not is_elementwise:
            known[part] = part
            continue
        inner = [argument for argument in part.arguments if argument not in known]
        if inner:
            stack += inner
        elif isinstance(node.attribute, Reduction):
            known[part] = _guarded_at(known[part.arguments[0]], part)
        else:
            arguments = [known[argument] for argument in part.arguments]
            known[part] = node.table.apply(node.gate, *arguments, attribute=node.attribute)
    return known[view]


def _guarded_at(body: View, guard: View) -> View:
    """What a guard that is read at some indices is of its body there: a limit on what is gathered is a condition."""
    table, own = guard.node.table, dict(enumerate(guard.index))
    affine = {name: index for name, index in own.items() if isinstance(index, Index)}
    forms, limits = guard.node.reduction.constraints, list[Index]()
    for form in forms:
        gathered = next((name for name in form.axes if name not in affine), None)
        if gathered is None:
            limits.append(substituted(form, affine))
            continue
        factor = form.coefficient(gathered)
        rest = axis(gathered).scaled(factor).minus(form)
        one, two = (table.number_of(table.position(part).at(own).index[0]) for part in (axis(gathered), rest))
        one = one if factor == 1 else one * factor
        if form.scaled(-1) not in forms:
            body = (one < two).where(0, body)
        elif factor > 0:
            body = one.equals(two).where(body, 0)
    return guarded(body, limits)


def holds_guard(view: View) -> bool:
    """Whether what is elementwise about a view reads something that is 0 outside of a domain."""
    seen, stack = {view.node}, [view.node]
    while stack:
        node = stack.pop()
        if node.is_guard:
            return True
        inner = [source for source, _ in node.arguments if node.loops == node.rank and source not in seen]
        seen.update(inner)
        stack += inner
    return False


def guarded(body: View, constraints: Iterable[Index]) -> View:
    """`body` where all constraints are >= 0, else 0."""
    limits = list(constraints)
    if not limits or body.number == 0:
        return body
    return body.node.table.reduce(body.node.table.gates["sum"], body, (), limits)


def _eliminated(body: View, reduced: list[Axis], limits: list[Index], derived: Container[str]) -> View:
    """The sum, an axis at a time where some factors do not vary along it and no constraint couples it."""
    table = body.node.table
    if len(reduced) > 1:
        factors = _factors(body)
        for name in reduced:
            with_it = [factor for factor in factors if name in factor.axes]
            own = [form for form in limits if form.coefficient(name)]
            if 0 < len(with_it) < len(factors) and all(len(form.axes) == 1 for form in own):
                inner_axes = {n for factor in with_it for n in factor.axes}
                every = {n for factor in factors for n in factor.axes}
                if inner_axes < every:
                    first = total(chained(with_it), [name], own, derived=derived)
                    others = [factor for factor in factors if name not in factor.axes]
                    rest = [form for form in limits if form not in own]
                    body = chained([*others, first])
                    return total(body, [n for n in reduced if n != name], rest, derived=derived)
    return table.reduce(table.gates["sum"], body, reduced, limits)


def _axes(view: View | None) -> tuple[Axis, ...]:
    return () if view is None else view.axes


def sum_of(like: View, terms: Sequence[View]) -> View:
    """The sum of some views, in the table of `like`; without terms 0."""
    return _joined(like, "add", terms, 0)


def product_of(like: View, factors: Sequence[View]) -> View:
    """The product of some views, in the table of `like`; without factors 1."""
    return _joined(like, "mul", factors, 1)


def _joined(like: View, gate: str, views: Sequence[View], empty: int) -> View:
    if len(views) == 1:
        return views[0]
    table = like.node.table
    return table.apply(table.gates[gate], *views) if views else table.constant(empty)


def chained(factors: Sequence[View]) -> View:
    """The product of one factor or more, two at a time: those of the first few are then shared with others."""
    return reduce(View.__mul__, factors)


def _factors(view: View) -> list[View]:
    found: list[View] = []
    stack = [view]
    while stack:
        factor = stack.pop()
        if factor.node.gate.name == "mul":
            stack.extend(reversed(factor.arguments))
        else:
            found.append(factor)
    return found


def _split(view: View, reduced: set[Axis]) -> tuple[list[View], list[View]]:
    """The factors that do not vary along the reduced axes, and those that do."""
    if not reduced & set(view.axes):
        return ([] if view.number == 1 else [view]), []
    name = view.node.gate.name
    if name == "mul":
        parts = [_split(factor, reduced) for factor in view.arguments]
        outside = [factor for part in parts for factor in part[0]]
        # Where nothing comes out the product stays the node that it is.
        return (outside, [f for part in parts for f in part[1]]) if outside else ([], [view])
    if name == "neg":
        outside, inside = _split(view.arguments[0], reduced)
        return [view.node.table.constant(-1), *outside], inside
    if name == "div":
        above, below = view.arguments
        if not reduced & set(below.axes):
            outside, inside = _split(above, reduced)
            return [*outside, 1 / below], inside
    return [], [view]


def _count(table: Builder, name: Axis, limits: list[Index], derived: Container[str]) -> View | None:
    """How many values an axis takes, where its constraints are one bound on each side, in extents or other axes."""
    own = [form for form in limits if form.coefficient(name)]
    low = [form for form in own if form.coefficient(name) == 1]
    high = [form for form in own if form.coefficient(name) == -1]
    if len(own) != 2 or len(low) != 1 or len(high) != 1:
        return None
    number = low[0].plus(high[0]).plus(1)
    view = table.number_of(number)
    is_positive = number.offset >= 0 and all(
        isinstance(term, Size) and term.name not in derived and factor > 0 for term, factor in number.terms
    )
    return view if is_positive else view.call("max", table.constant(0))
