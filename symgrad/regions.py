"""Branches whose conditions compare indices: each branch is computed where it is taken, and nowhere else.

So x[i - 1] may stand in a branch for i >= 1, a mask j <= i makes a sum triangular, and no loop has a condition in it.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from .array_lowering import ArrayLowering, lowers
from .graph import Index, View, axis, number_index
from .lowering import piecewise
from .sums import guarded

Region = list[Index]  # affine forms that are all >= 0

# A branch in more pieces than this stays a select.
_MOST = 8


@lowers(sympy.Piecewise)
def _branches(lowering: ArrayLowering, part: sympy.Piecewise, arguments: list[View]) -> View:
    """The sum of the branches, each 0 outside of its region."""
    rest: list[Region] = [[]]
    terms: list[View] = []
    for value, (_, condition) in zip(arguments[::2], part.args, strict=True):
        taken, others = _regions(lowering, condition, True), _regions(lowering, condition, False)
        if taken is None or others is None:
            return piecewise(lowering, part, arguments)
        terms += [guarded(value, region) for region in _both(rest, taken) if value.number != 0]
        rest = _both(rest, others)
        if len(terms) + len(rest) > _MOST:
            return piecewise(lowering, part, arguments)
    if rest:  # outside of all branches it is NaN
        return piecewise(lowering, part, arguments)
    return lowering.sum(terms) if terms else lowering.table.constant(0)


def _regions(lowering: ArrayLowering, condition: Any, holds: bool) -> list[Region] | None:
    """Disjoint regions where a condition holds, or where it does not; None where it is none of indices."""
    if isinstance(condition, (BooleanTrue, BooleanFalse)):
        return [[]] if isinstance(condition, BooleanTrue) == holds else []
    if isinstance(condition, sympy.Not):
        return _regions(lowering, condition.args[0], not holds)
    if isinstance(condition, (sympy.And, sympy.Or)):
        is_common = isinstance(condition, sympy.And) == holds  # to all parts, or in one part at least
        found: list[Region] = []
        rest: list[Region] = [[]]
        for part in condition.args:
            here, elsewhere = _regions(lowering, part, holds), _regions(lowering, part, not holds)
            if here is None or elsewhere is None:
                return None
            found += [] if is_common else _both(rest, here)
            rest = _both(rest, here if is_common else elsewhere)
        return rest if is_common else found
    return _region_of_comparison(lowering, condition, holds)


def _region_of_comparison(lowering: ArrayLowering, condition: Any, holds: bool) -> list[Region] | None:
    if not isinstance(condition, sympy.core.relational.Relational):
        return None
    one, two = (_affine(lowering, side) for side in condition.args)
    if one is None or two is None or not one.minus(two).axes:
        return None
    above, below = one.minus(two), two.minus(one)
    kind = type(condition if holds else condition.negated)
    return {
        sympy.Equality: [[above, below]],
        sympy.Unequality: [[above.minus(1)], [below.minus(1)]],
        sympy.StrictGreaterThan: [[above.minus(1)]],
        sympy.GreaterThan: [[above]],
        sympy.StrictLessThan: [[below.minus(1)]],
        sympy.LessThan: [[below]],
    }[kind]


def _affine(lowering: ArrayLowering, part: Any) -> Index | None:
    """An affine form of indices and extents, else None."""
    if isinstance(part, sympy.Integer):
        return number_index(int(part))
    if part in lowering.axis_of:
        return axis(lowering.axis_of[part])
    if isinstance(part, sympy.Symbol) and part in lowering.found.sizes:
        return lowering.affine(part)
    if isinstance(part, sympy.Add):
        terms = [_affine(lowering, term) for term in part.args]
        total: Index | None = number_index(0)
        for term in terms:
            total = None if total is None or term is None else total.plus(term)
        return total
    if isinstance(part, sympy.Mul) and len(part.args) == 2 and part.args[0].is_Integer:
        inner = _affine(lowering, part.args[1])
        return None if inner is None else inner.scaled(int(part.args[0]))
    return None


def _both(one: list[Region], two: list[Region]) -> list[Region]:
    return [[*first, *second] for first in one for second in two]
