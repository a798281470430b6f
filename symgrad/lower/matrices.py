"""Matrix expressions: products in the order that costs least, inverses as solutions, traces, elementwise functions.

A matrix is a view over the lowering's axes `row` and `column`; one of length 1 lacks that axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sympy
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.matexpr import MatrixElement

from ..errors import UnsupportedExpression
from ..gates.table import GATES
from ..graph.affine import axis, number_index
from ..graph.node import View
from ..graph.sums import sum_of, total
from .indexed import ArrayLowering, delta
from .registry import alone, every, first, lowers
from .unsupported import unsupported


@lowers(sympy.MatrixSymbol, children=alone)
def _matrix_symbol(lowering: ArrayLowering, part: sympy.MatrixSymbol, _: list[View]) -> View:
    return lowering.input_at(part, lowering.own_index(part.shape))


@lowers(MatrixElement, children=lambda _, part: (part.parent,))
def _matrix_element(lowering: ArrayLowering, part: MatrixElement, arguments: list[View]) -> View:
    return lowering.entry(arguments[0], lowering.index(part.i), lowering.index(part.j))


@lowers(sympy.MatAdd, children=every)
def _matrix_sum(lowering: ArrayLowering, part: sympy.MatAdd, arguments: list[View]) -> View:
    return sum_of(arguments[0], arguments)


@lowers(sympy.Transpose, sympy.Adjoint, children=every)  # all numbers are real
def _transpose(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    return lowering.transposed(arguments[0])


# --- products ---------------------------------------------------------------------------------------------------------


def matrix_product(lowering: ArrayLowering, one: View, two: View, inner: sympy.Basic) -> View:
    """The matrix product of two views over an inner length."""
    name = lowering.table.fresh()
    if inner == 1:
        return one * two
    left, right = one.at({lowering.column: axis(name)}), two.at({lowering.row: axis(name)})
    return lowering.contracted(left * right, name, inner)


class Factor(NamedTuple):
    """A matrix of a product: its view, or that of what it is the inverse of."""

    view: View
    shape: tuple[sympy.Basic, sympy.Basic]
    is_inverse: bool = False


def _matrices_of(_lowering: ArrayLowering, part: sympy.MatMul) -> tuple[sympy.Basic, ...]:
    return tuple(factor.arg if isinstance(factor, sympy.Inverse) else factor for factor in part.args)


def _factors(part: sympy.MatMul, views: Sequence[View]) -> tuple[View | None, list[Factor]]:
    """The scalar and the matrices of a product, of the views of `_matrices_of`."""
    scalar: View | None = None
    factors = []
    for factor, view in zip(part.args, views, strict=True):
        if isinstance(factor, (sympy.MatrixExpr, sympy.MatrixBase)):
            factors.append(Factor(view, tuple(factor.shape), isinstance(factor, sympy.Inverse)))
        else:
            scalar = view if scalar is None else scalar * view
    return scalar, factors


@lowers(sympy.MatMul, children=_matrices_of)
def _product(lowering: ArrayLowering, part: sympy.MatMul, arguments: list[View]) -> View:
    scalar, factors = _factors(part, arguments)
    result = _chain(lowering, factors).view
    return result if scalar is None else scalar * result


def _chain(lowering: ArrayLowering, factors: list[Factor]) -> Factor:
    """A product of matrices in the order that costs least; an inverse times a matrix is a solution."""
    while len(factors) > 1:
        position = _cheapest(factors)
        one, two = factors[position], factors[position + 1]
        rows, columns = one.shape[0], two.shape[1]
        if one.is_inverse and not two.is_inverse:
            view = _solved(lowering, one.view, two.view, rows, columns)
        elif two.is_inverse and not one.is_inverse:
            flipped = lowering.transposed(two.view), lowering.transposed(one.view)
            view = lowering.transposed(_solved(lowering, *flipped, columns, rows))
        else:
            view = matrix_product(lowering, _formed(lowering, one), _formed(lowering, two), one.shape[1])
        factors = [*factors[:position], Factor(view, (rows, columns)), *factors[position + 2 :]]
    return Factor(_formed(lowering, factors[0]), factors[0].shape)


def _formed(lowering: ArrayLowering, factor: Factor) -> View:
    return _inverse_of(lowering, factor.view, factor.shape[0]) if factor.is_inverse else factor.view


def _cheapest(factors: list[Factor]) -> int:
    """The neighbours whose product shrinks the chain the most for its cost."""

    def length(extent: sympy.Basic) -> float:
        extent = sympy.sympify(extent, strict=True)
        return float(extent) if extent.is_Integer else 300.0  # some number: longer than what is written out

    def cost(position: int) -> tuple[float, float]:
        one, two = factors[position], factors[position + 1]
        rows, inner, columns = map(length, (*one.shape, two.shape[1]))
        saved = rows * inner + inner * columns - rows * columns
        return rows * inner * columns * (1000.0 if one.is_inverse and two.is_inverse else 1.0), -saved

    return min(range(len(factors) - 1), key=cost)


# --- whole matrices ---------------------------------------------------------------------------------------------------


def _whole(
    lowering: ArrayLowering,
    gate: str,
    views: Sequence[View],
    shapes: Sequence[tuple[sympy.Basic, ...]],
    own: tuple[sympy.Basic, ...],
) -> View:
    """An operation on whole matrices; `own` are the lengths of the result's axes."""
    for view in views:
        if set(view.axes) - {lowering.row, lowering.column}:
            raise UnsupportedExpression(f"the {gate} of a matrix that depends on an index of a sum is not supported")
    axes, placed = [], []
    for view, shape in zip(views, shapes, strict=True):
        names = tuple(lowering.table.fresh() for _ in shape)
        axes.append(names)
        placed.append(lowering.entry(view, axis(names[0]), axis(names[1]) if len(names) > 1 else number_index(0)))
    extents = tuple(lowering.affine(length) for length in (*own, *(length for shape in shapes for length in shape)))
    node = lowering.table.whole(GATES[gate], placed, axes, len(own), extents)
    return View(node, (axis(lowering.row), axis(lowering.column))[: len(own)])


def _solved(lowering: ArrayLowering, matrix: View, right: View, rows: sympy.Basic, columns: sympy.Basic) -> View:
    if rows == 1:
        return right / matrix
    if columns == 1:
        return _whole(lowering, "solve", [matrix, right], [(rows, rows), (rows,)], (rows,))
    return _whole(lowering, "solve", [matrix, right], [(rows, rows), (rows, columns)], (rows, columns))


def _inverse_of(lowering: ArrayLowering, view: View, rows: sympy.Basic) -> View:
    return 1 / view if rows == 1 else _whole(lowering, "inverse", [view], [(rows, rows)], (rows, rows))


@lowers(sympy.Inverse, children=first)
def _inverse(lowering: ArrayLowering, part: sympy.Inverse, arguments: list[View]) -> View:
    return _inverse_of(lowering, arguments[0], part.shape[0])


@lowers(sympy.Determinant, children=first)
def _determinant(lowering: ArrayLowering, part: sympy.Determinant, arguments: list[View]) -> View:
    rows = part.arg.shape[0]
    return arguments[0] if rows == 1 else _whole(lowering, "determinant", arguments, [(rows, rows)], ())


@lowers(sympy.MatPow, children=every)
def _matrix_power(lowering: ArrayLowering, part: sympy.MatPow, arguments: list[View]) -> View:
    exponent, size = part.args[1], part.shape[0]
    if size == 1:
        return lowering.power_of_entries(exponent, *arguments)
    if not exponent.is_Integer:
        raise unsupported(part)
    if exponent == 0:
        return delta(lowering, *lowering.own_index(part.shape))
    view = arguments[0] if exponent > 0 else _inverse_of(lowering, arguments[0], size)
    count, result = abs(int(exponent)), None
    while count:
        if count & 1:
            result = view if result is None else matrix_product(lowering, result, view, size)
        count >>= 1
        if count:
            view = matrix_product(lowering, view, view, size)
    assert result is not None
    return result


# --- traces -----------------------------------------------------------------------------------------------------------


def _parts_of_trace(lowering: ArrayLowering, part: sympy.Trace) -> tuple[sympy.Basic, ...]:
    inside = part.arg
    if isinstance(inside, sympy.MatAdd):
        return tuple(map(sympy.Trace, inside.args))
    return _matrices_of(lowering, inside) if isinstance(inside, sympy.MatMul) else (inside,)


@lowers(sympy.Trace, children=_parts_of_trace)
def _trace(lowering: ArrayLowering, part: sympy.Trace, arguments: list[View]) -> View:
    inside, rows = part.arg, part.arg.shape[0]
    if isinstance(inside, sympy.MatAdd):
        return sum_of(arguments[0], arguments)
    if not isinstance(inside, sympy.MatMul):
        return arguments[0] if rows == 1 else _traced(lowering, arguments[0], None, rows, None)
    scalar, factors = _factors(inside, arguments)
    result = _chain(lowering, factors).view if rows == 1 else _trace_of_product(lowering, factors)
    return result if scalar is None else scalar * result


def _trace_of_product(lowering: ArrayLowering, factors: list[Factor]) -> View:
    if len(factors) > 1 and factors[-1].is_inverse and not factors[0].is_inverse:
        factors = [factors[-1], *factors[:-1]]  # cyclic: an inverse in front is a solution
    if len(factors) == 1 or (len(factors) == 2 and factors[0].is_inverse):
        whole = _chain(lowering, factors)
        return _traced(lowering, whole.view, None, whole.shape[0], None)
    left = _chain(lowering, factors[:-1])
    return _traced(lowering, left.view, _formed(lowering, factors[-1]), *left.shape)


def _traced(lowering: ArrayLowering, one: View, two: View | None, rows: sympy.Basic, inner: sympy.Basic) -> View:
    """The trace of a matrix, or of a product of two, which is not formed."""
    name, second = lowering.table.fresh(), lowering.table.fresh()
    if two is None:
        return lowering.contracted(lowering.entry(one, axis(name), axis(name)), name, rows)
    body = lowering.entry(one, axis(name), axis(second)) * lowering.entry(two, axis(second), axis(name))
    limits = []
    for own, extent in ((name, rows), (second, inner)):
        limits += [axis(own), lowering.affine(extent).minus(1).minus(axis(own))]
    return total(body, [name, second], limits)


# --- elementwise ------------------------------------------------------------------------------------------------------


@lowers(sympy.HadamardProduct, children=every)
def _elementwise_product(lowering: ArrayLowering, part: sympy.HadamardProduct, arguments: list[View]) -> View:
    return lowering.product(arguments)


@lowers(sympy.HadamardPower, children=every)
def _elementwise_power(lowering: ArrayLowering, part: sympy.HadamardPower, arguments: list[View]) -> View:
    return lowering.power_of_entries(part.exp, *arguments)


@lowers(ElementwiseApplyFunction, children=lambda _, part: (part.expr,))
def _applied(lowering: ArrayLowering, part: ElementwiseApplyFunction, arguments: list[View]) -> View:
    return lowering.applied(part.function, arguments)


@lowers(sympy.DotProduct, children=every)
def _dot(lowering: ArrayLowering, part: sympy.DotProduct, arguments: list[View]) -> View:
    name = lowering.table.fresh()
    vectors = [view.at({lowering.row: axis(name), lowering.column: axis(name)}) for view in arguments]
    length = max(part.args[0].shape, key=lambda n: 0 if n == 1 else 1)
    return lowering.contracted(vectors[0] * vectors[1], name, length)
