"""Matrices by their entries: special ones, literals, diagonals, blocks, slices, Kronecker products."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy.matrices.expressions.blockmatrix import BlockMatrix
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix

from ..errors import UnsupportedExpression
from ..graph.affine import Axis, Index, axis, number_index
from ..graph.node import AnyIndex, View
from ..graph.sums import guarded, total
from .indexed import ArrayLowering, delta
from .registry import alone, every, first, lowers
from .unsupported import describe

# A matrix literal of more entries belongs into an input.
_MAX_LITERAL = 400


@lowers(Identity, children=alone)
def _identity(lowering: ArrayLowering, part: sympy.Basic, _: list[View]) -> View:
    return delta(lowering, *lowering.own_index(part.shape))


lowers(ZeroMatrix, children=alone)(lambda lowering, *_: lowering.table.constant(0))
lowers(OneMatrix, children=alone)(lambda lowering, *_: lowering.table.constant(1))


@lowers(sympy.FunctionMatrix, children=alone)
def _function_matrix(lowering: ArrayLowering, part: sympy.FunctionMatrix, _: list[View]) -> View:
    """The entries of a Lambda of row and column, whose variables become axes of their own."""
    symbols = part.lamda.signature
    fresh = {symbol: lowering.table.fresh() for symbol in symbols}
    view = lowering.inside(part.lamda.expr, lowering.symbols, {**lowering.axis_of, **fresh})
    return view.at(dict(zip(fresh.values(), lowering.own_index(part.shape), strict=True)))


@lowers(sympy.DiagMatrix, sympy.DiagonalMatrix, children=first)
def _diagonal(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    """DiagMatrix of a vector, DiagonalMatrix of a matrix."""
    inside = part.args[0]
    if part.shape[0] == 1:
        return arguments[0]
    row, column = axis(lowering.row), axis(lowering.column)
    view = arguments[0] if inside.shape[1] == 1 else lowering.entry(arguments[0], row, row)
    return guarded(view, [row.minus(column), column.minus(row)])


@lowers(sympy.DiagonalOf, children=first)
def _diagonal_of(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    row = axis(lowering.row)
    return lowering.entry(arguments[0], row, row)


# --- blocks -----------------------------------------------------------------------------------------------------------


def _blocks_of(_lowering: ArrayLowering, part: BlockMatrix) -> tuple[sympy.Basic, ...]:
    return tuple(part.blocks[i, j] for i in range(part.blockshape[0]) for j in range(part.blockshape[1]))


@lowers(BlockMatrix, children=_blocks_of)
def _block_matrix(lowering: ArrayLowering, part: BlockMatrix, arguments: list[View]) -> View:
    rows, columns = part.blockshape
    result: View | None = None
    top: sympy.Basic = sympy.Integer(0)
    for i in range(rows):
        left: sympy.Basic = sympy.Integer(0)
        for j in range(columns):
            block = part.blocks[i, j]
            view = _in_block(lowering, arguments[i * columns + j], top, left, block.shape, part.shape)
            result = view if result is None else result + view
            left = left + block.shape[1]
        top = top + part.blocks[i, 0].shape[0]
    assert result is not None
    return result


def _in_block(
    lowering: ArrayLowering,
    view: View,
    top: sympy.Basic,
    left: sympy.Basic,
    shape: Sequence[sympy.Basic],
    of: Sequence[sympy.Basic],
) -> View:
    """A block at its place in a larger matrix, 0 elsewhere."""
    names: dict[Axis, AnyIndex] = {}
    limits = []
    for name, offset, length, whole in zip((lowering.row, lowering.column), (top, left), shape, of, strict=True):
        if whole == 1:
            continue
        inside = axis(name).minus(lowering.affine(offset))
        limits += [inside, lowering.affine(length).minus(1).minus(inside)]
        names[name] = inside
    return guarded(view.at(names), limits)


@lowers(sympy.MatrixBase, children=lambda _, part: tuple(part.flat()))
def _literal(lowering: ArrayLowering, part: sympy.Basic, arguments: list[View]) -> View:
    rows, columns = part.shape
    if rows * columns > _MAX_LITERAL:
        raise UnsupportedExpression(f"a matrix literal of {rows} by {columns} entries: make it an input")
    result = lowering.table.constant(0)
    for position, view in enumerate(arguments):
        if view.number != 0:
            i, j = divmod(position, columns)
            at = _in_block(lowering, view, sympy.Integer(i), sympy.Integer(j), (1, 1), part.shape)
            result = at if result.number == 0 else result + at
    return result


@lowers(MatrixSlice, children=lambda _, part: (part.parent,))
def _slice(lowering: ArrayLowering, part: MatrixSlice, arguments: list[View]) -> View:
    names: dict[Axis, AnyIndex] = {}
    for name, (start, _, step), length in zip(
        (lowering.row, lowering.column), (part.rowslice, part.colslice), part.shape, strict=True
    ):
        first = lowering.affine(start)
        names[name] = first if length == 1 else axis(name).scaled(int(step)).plus(first)
    return arguments[0].at(names)


# --- Kronecker products -----------------------------------------------------------------------------------------------


@lowers(sympy.KroneckerProduct, children=every)
def _kronecker_product(lowering: ArrayLowering, part: sympy.KroneckerProduct, arguments: list[View]) -> View:
    """(A x B)[r, c] = sum of A[i, j]*B[r - p*i, c - q*j] over the one i and j for which that is an entry of B."""
    view, shape = arguments[0], tuple(part.args[0].shape)
    for factor, own in zip(part.args[1:], arguments[1:], strict=True):
        reduced: list[Axis] = []
        limits: list[Index] = []
        here = lowering.row, lowering.column
        split = [_split_axis(lowering, part, *lengths) for lengths in zip(here, shape, factor.shape, strict=True)]
        for _, _, names, forms in split:
            reduced, limits = reduced + names, limits + forms
        rows, columns = split
        body = lowering.entry(view, rows[0], columns[0]) * lowering.entry(own, rows[1], columns[1])
        view = total(body, reduced, limits)
        shape = tuple(a * b for a, b in zip(shape, factor.shape, strict=True))
    return view


def _split_axis(
    lowering: ArrayLowering, part: sympy.Basic, name: Axis, outer: sympy.Basic, inner: sympy.Basic
) -> tuple[Index, Index, list[Axis], list[Index]]:
    """Where an index along an axis of outer*inner entries is in the outer and in the inner factor."""
    if outer == 1:
        return number_index(0), axis(name), [], []
    if inner == 1:
        return axis(name), number_index(0), [], []
    length = lowering.affine(inner)
    if length.terms:
        raise UnsupportedExpression(
            f"cannot compile {describe(part)} (KroneckerProduct): all factors but the first need numbers for sizes, "
            f"not {inner}; write it with sums over its entries"
        )
    which = lowering.table.fresh()
    rest = axis(name).minus(axis(which).scaled(length.offset))
    limits = [axis(which), lowering.affine(outer).minus(1).minus(axis(which)), rest, length.minus(1).minus(rest)]
    return axis(which), rest, [which], limits
