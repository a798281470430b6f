"""SymPy's array expressions: views over numbered axes, the first two of which are those of a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy.tensor.array.expressions import array_expressions as arrays

from ..graph.affine import Axis, Index, axis, number_index
from ..graph.node import AnyIndex, View
from ..graph.sums import sum_of, total
from .indexed import ArrayLowering
from .registry import alone, every, first, lowers
from .survey import input_of


def _shape(part: sympy.Basic) -> tuple[sympy.Basic, ...]:
    return tuple(arrays.get_shape(part))


def _moved(lowering: ArrayLowering, view: View, indices: Sequence[AnyIndex]) -> View:
    """An array with an index expression for each of its axes."""
    names = lowering.numbered_axes(len(indices))
    return lowering.placed(view, dict(zip(names, indices, strict=True)))


@lowers(arrays.ArraySymbol, children=alone)
def _symbol(lowering: ArrayLowering, part: sympy.Basic, _: list[View]) -> View:
    names = lowering.numbered_axes(len(part.shape))
    index = [number_index(0) if length == 1 else axis(name) for length, name in zip(part.shape, names, strict=True)]
    return lowering.input_at(input_of(part), tuple(index))


@lowers(arrays.ArrayElement, children=first)
def _element(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    return _moved(lowering, arguments[0], [lowering.index(index) for index in part.indices])


@lowers(arrays.ArrayAdd, children=every)
def _sum(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    return sum_of(arguments[0], arguments)


@lowers(arrays.ArrayTensorProduct, children=every)
def _product(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    names = lowering.numbered_axes(len(_shape(part)))
    views, start = [], 0
    for factor, view in zip(part.args, arguments, strict=True):
        rank = len(_shape(factor))
        views.append(_moved(lowering, view, [axis(name) for name in names[start : start + rank]]))
        start += rank
    return lowering.product(views)


@lowers(arrays.ArrayContraction, children=first)
def _contraction(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    shape = _shape(part.args[0])
    groups = [tuple(map(int, group)) for group in part.args[1:]]
    index, reduced, limits = _grouped(lowering, shape, groups)
    kept = [position for position in range(len(shape)) if not any(position in group for group in groups)]
    for position, name in zip(kept, lowering.numbered_axes(len(kept)), strict=True):
        index[position] = axis(name)
    return total(_moved(lowering, arguments[0], [index[position] for position in range(len(shape))]), reduced, limits)


def _grouped(
    lowering: ArrayLowering, shape: Sequence[sympy.Basic], groups: Sequence[tuple[int, ...]]
) -> tuple[dict[int, AnyIndex], list[Axis], list[Index]]:
    """One new axis for each group of positions, and its constraints."""
    index: dict[int, AnyIndex] = {}
    reduced: list[Axis] = []
    limits: list[Index] = []
    for group in groups:
        name = lowering.table.fresh()
        length = shape[group[0]]
        index.update(dict.fromkeys(group, number_index(0) if length == 1 else axis(name)))
        if length != 1:
            reduced.append(name)
            limits += [axis(name), lowering.affine(length).minus(1).minus(axis(name))]
    return index, reduced, limits


@lowers(arrays.ArrayDiagonal, children=first)
def _diagonal(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    """The axes that are not on a diagonal, then one for each diagonal."""
    rank = len(_shape(part.args[0]))
    groups = [tuple(map(int, group)) for group in part.args[1:]]
    kept = [position for position in range(rank) if not any(position in group for group in groups)]
    names = lowering.numbered_axes(len(kept) + len(groups))
    index: dict[int, AnyIndex] = {position: axis(name) for position, name in zip(kept, names, strict=False)}
    for group, name in zip(groups, names[len(kept) :], strict=True):
        index.update(dict.fromkeys(group, axis(name)))
    return _moved(lowering, arguments[0], [index[position] for position in range(rank)])


@lowers(arrays.PermuteDims, children=first)
def _permuted(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    rank = len(_shape(part.expr))
    names = lowering.numbered_axes(rank)
    index = {int(part.permutation(position)): axis(names[position]) for position in range(rank)}
    return _moved(lowering, arguments[0], [index[position] for position in range(rank)])


@lowers(arrays.ArrayElementwiseApplyFunc, children=lambda _, part: (part.expr,))
def _applied(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    return lowering.applied(part.function, arguments)


lowers(arrays.ZeroArray, children=alone)(lambda lowering, *_: lowering.table.constant(0))
lowers(arrays.OneArray, children=alone)(lambda lowering, *_: lowering.table.constant(1))
