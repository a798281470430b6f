"""Branches whose conditions compare indices: each branch is computed where it is taken, and nowhere else.

So x[i - 1] may stand in a branch for i >= 1, a mask j <= i makes a sum triangular, and no loop has a condition in it.
"""

from __future__ import annotations

import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from ..graph.affine import Index, axis, number_index
from ..graph.node import View
from ..graph.sums import guarded, sum_of
from .indexed import ArrayLowering, refuse_matrices
from .registry import lowers
from .scalars import Lowering, piecewise

Region = list[Index]  # affine forms that are all >= 0

# Branches in more pieces than this stay selects; so do conditions in more, or nested deeper.
_MAX_CASES = 8
_MAX_CASES_OF_CONDITION = 64
_MAX_DEPTH = 32


def _pieces(lowering: Lowering, part: sympy.Piecewise) -> tuple[sympy.Basic, ...]:
    pieces = tuple(piece for pair in part.args for piece in pair.args)
    refuse_matrices(part, pieces)
    return pieces


@lowers(sympy.Piecewise, children=_pieces)
def _branches(lowering: Lowering, part: sympy.Piecewise, arguments: list[View]) -> View:
    """The sum of the branches, each 0 outside of its region; a choice where a condition is on numbers."""
    if not isinstance(lowering, ArrayLowering):
        return piecewise(lowering, part, arguments)
    rest: list[Region] = [[]]
    terms: list[View] = []
    for value, (_, condition) in zip(arguments[::2], part.args, strict=True):
        regions = _regions(lowering, condition)
        if regions is None:
            return piecewise(lowering, part, arguments)
        taken, others = regions
        terms += [guarded(value, region) for region in _both(rest, taken) if value.number != 0]
        rest = _both(rest, others)
        if len(terms) + len(rest) > _MAX_CASES:
            return piecewise(lowering, part, arguments)
    if rest:  # outside of all branches it is NaN
        return piecewise(lowering, part, arguments)
    return sum_of(arguments[0], terms)


def _regions(
    lowering: ArrayLowering, condition: sympy.Basic, depth: int = _MAX_DEPTH
) -> tuple[list[Region], list[Region]] | None:
    """Disjoint regions where a condition holds, and where it does not; None where it is none of indices."""
    if isinstance(condition, (BooleanTrue, BooleanFalse)):
        return ([[]], []) if isinstance(condition, BooleanTrue) else ([], [[]])
    if depth == 0:
        return None
    if isinstance(condition, sympy.Not):
        regions = _regions(lowering, condition.args[0], depth - 1)
        return None if regions is None else (regions[1], regions[0])
    if isinstance(condition, (sympy.And, sympy.Or)):
        is_and = isinstance(condition, sympy.And)
        every: list[Region] = [[]]  # where all parts hold, or where none does
        others: list[Region] = []
        for part in condition.args:
            regions = _regions(lowering, part, depth - 1)
            if regions is None:
                return None
            here, elsewhere = regions if is_and else (regions[1], regions[0])
            others += _both(every, elsewhere)
            every = _both(every, here)
            if len(every) + len(others) > _MAX_CASES_OF_CONDITION:
                return None
        return (every, others) if is_and else (others, every)
    return _regions_of_comparison(lowering, condition)


def _regions_of_comparison(lowering: ArrayLowering, condition: sympy.Basic) -> tuple[list[Region], list[Region]] | None:
    if not isinstance(condition, sympy.core.relational.Relational):
        return None
    one, two = (_affine(lowering, side) for side in condition.args)
    if one is None or two is None or not one.minus(two).axes:
        return None
    above, below = one.minus(two), two.minus(one)
    regions: dict[sympy.Basic, list[Region]] = {
        sympy.Equality: [[above, below]],
        sympy.Unequality: [[above.minus(1)], [below.minus(1)]],
        sympy.StrictGreaterThan: [[above.minus(1)]],
        sympy.GreaterThan: [[above]],
        sympy.StrictLessThan: [[below.minus(1)]],
        sympy.LessThan: [[below]],
    }
    return regions[type(condition)], regions[type(condition.negated)]


def _affine(lowering: ArrayLowering, part: sympy.Basic) -> Index | None:
    """An affine form of indices and extents, else None."""
    if isinstance(part, sympy.Integer):
        return number_index(int(part))
    if part in lowering.axis_of:
        return axis(lowering.axis_of[part])
    if isinstance(part, sympy.Symbol) and part in lowering.arrays.found.sizes:
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
