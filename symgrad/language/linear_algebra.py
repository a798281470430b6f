"""The linear algebra of a text: products and sums over shared axes; inverses and determinants as SymPy's matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy
from sympy.matrices.expressions.matexpr import MatrixElement

from .arrays import AXES, Elements, Extents, elementwise, extents, looped, reduced, scalar, unequal
from .construct import (
    MEDIUM,
    NUMBER,
    Value,
    build,
    combined,
    described,
    is_small,
    multiply,
    power,
    rational,
    reciprocal,
)
from .messages import Mistake, offset_of, short

if TYPE_CHECKING:
    from lark import Token

COLUMN, ROW = AXES[0], AXES[1]  # of a matrix; a vector's axis is AXES[0]


def _expect(at: Token, value: Value, *ranks: int) -> None:
    if value.kind != NUMBER or len(value.shape) not in ranks:
        wanted = " or ".join({0: "a number", 1: "a vector", 2: "a matrix"}[rank] for rank in ranks)
        raise Mistake(f"'{short(at)}' takes {wanted} here, not {described(value)}", value.at)


def _equal(at: Token, a: sympy.Basic, b: sympy.Basic, *values: Value) -> None:
    if a != b:
        shapes = " and ".join(described(value) for value in values)
        raise Mistake(f"'{short(at)}' of {shapes}: {unequal(a, b)}", offset_of(at))


# Products -------------------------------------------------------------------------------------------------------------


def matmul(elements: Elements, at: Token, a: Value, b: Value) -> Value:
    """`a @ b` of matrices and vectors, as in NumPy."""
    for value in (a, b):
        if value.kind == NUMBER and not value.shape:
            raise Mistake("'@' takes matrices and vectors, not a number; write * for a product with a number", value.at)
        _expect(at, value, 1, 2)
    _equal(at, a.shape[-1], b.shape[0], a, b)
    shared = elements.index(max(a.level, b.level))
    row = ROW if len(b.shape) == 2 else COLUMN  # where the rows of `a` stand in the result
    left = elements.element(at, a, [row, shared][-len(a.shape) :])
    right = elements.element(at, b, [shared, COLUMN][: len(b.shape)])
    product = looped(at, sympy.Sum, multiply(at, [left, right]), [(shared, a.shape[-1])])
    return product._replace(shape=a.shape[:-1] + b.shape[1:])


def dot(elements: Elements, at: Token, a: Value, b: Value) -> Value:
    _expect(at, a, 1)
    _expect(at, b, 1)
    return matmul(elements, at, a, b)


def outer(elements: Elements, at: Token, a: Value, b: Value) -> Value:
    _expect(at, a, 1)
    _expect(at, b, 1)
    product = multiply(at, [elements.element(at, a, [ROW]), elements.element(at, b, [COLUMN])])
    return product._replace(shape=a.shape + b.shape)


def transpose(elements: Elements, at: Token, array: Value) -> Value:
    """All axes in reverse order: of a vector, itself."""
    if array.kind != NUMBER or not array.shape:
        raise Mistake(f"'{short(at)}' takes an array, not {described(array)}", array.at)
    axes = AXES[: len(array.shape)]
    return elements.element(at, array, axes)._replace(shape=array.shape[::-1])


def trace(elements: Elements, at: Token, matrix: Value) -> Value:
    _square(at, matrix)
    index = elements.index(matrix.level)
    return looped(at, sympy.Sum, elements.element(at, matrix, [index, index]), [(index, matrix.shape[0])])


def norm(elements: Elements, at: Token, array: Value) -> Value:
    """The square root of the sum of squares."""
    _expect(at, array, 1, 2)
    squares = elementwise(elements, at, lambda x: power(at, x, rational(sympy.Integer(2), x.at)), [array])
    return power(at, reduced(elements, at, sympy.Sum, squares), rational(sympy.Rational(1, 2), array.at))


def mean(elements: Elements, at: Token, array: Value) -> Value:
    if array.kind != NUMBER or not array.shape:
        raise Mistake(f"'{short(at)}' takes an array, not {described(array)}; of a loop, write sum(...)/n", array.at)
    count = multiply(at, [scalar(extent, array.at) for extent in array.shape])
    return multiply(at, [reduced(elements, at, sympy.Sum, array), reciprocal(at, count)])


# Arrays made of others ------------------------------------------------------------------------------------------------


def diag(elements: Elements, at: Token, array: Value) -> Value:
    """Of a vector, the matrix; of a matrix, the diagonal."""
    _expect(at, array, 1, 2)
    if len(array.shape) == 2:
        _square(at, array)
        return elements.element(at, array, [COLUMN, COLUMN])._replace(shape=array.shape[:1])
    product = multiply(at, [elements.element(at, array, [ROW]), _identity(at)])
    return product._replace(shape=array.shape * 2)


def eye(elements: Elements, at: Token, n: Value) -> Value:
    return _identity(at)._replace(shape=extents([n]) * 2)


def _identity(at: Token) -> Value:
    return build(at, sympy.KroneckerDelta, [scalar(ROW, offset_of(at)), scalar(COLUMN, offset_of(at))])


def zeros(elements: Elements, at: Token, *shape: Value) -> Value:
    return rational(sympy.Integer(0), offset_of(at))._replace(shape=extents(shape))


def ones(elements: Elements, at: Token, *shape: Value) -> Value:
    return rational(sympy.Integer(1), offset_of(at))._replace(shape=extents(shape))


# Matrices -------------------------------------------------------------------------------------------------------------


def inv(elements: Elements, at: Token, matrix: Value) -> Value:
    _square(at, matrix)
    inverse = sympy.Inverse(_matrix(elements, at, matrix))
    return _element(at, inverse, [ROW, COLUMN], [matrix], matrix.shape)


def solve(elements: Elements, at: Token, matrix: Value, right: Value) -> Value:
    """`inv(matrix) @ right`, for a vector or a matrix `right`."""
    _square(at, matrix)
    _expect(at, right, 1, 2)
    _equal(at, matrix.shape[0], right.shape[0], matrix, right)
    columns = right if len(right.shape) == 2 else elements.element(at, right, [ROW])._replace(shape=(*right.shape, 1))
    product = sympy.MatMul(sympy.Inverse(_matrix(elements, at, matrix)), _matrix(elements, at, columns))
    indices = [ROW, COLUMN] if len(right.shape) == 2 else [COLUMN, sympy.S.Zero]
    return _element(at, product, indices, [matrix, right], right.shape)


def det(elements: Elements, at: Token, matrix: Value) -> Value:
    _square(at, matrix)
    return _of_matrices(at, sympy.Determinant(_matrix(elements, at, matrix)), [matrix])


def logdet(elements: Elements, at: Token, matrix: Value) -> Value:
    determinant = det(elements, at, matrix)
    return build(at, sympy.log, [determinant], evaluate=is_small([determinant], MEDIUM))


def _square(at: Token, matrix: Value) -> None:
    _expect(at, matrix, 2)
    if matrix.shape[0] != matrix.shape[1]:
        reason = unequal(*matrix.shape)
        raise Mistake(f"'{short(at)}' takes a square matrix, not {described(matrix)}: {reason}", matrix.at)


def _matrix(elements: Elements, at: Token, matrix: Value) -> sympy.Basic:
    row, column = elements.index(matrix.level + 1), elements.index(matrix.level)
    body = elements.element(at, matrix, [row, column]).expr
    return sympy.FunctionMatrix(*matrix.shape, sympy.Lambda((row, column), body))


def _element(at: Token, matrix: sympy.Basic, indices: list[sympy.Basic], parts: list[Value], shape: Extents) -> Value:
    return _of_matrices(at, MatrixElement(matrix, *indices), parts)._replace(shape=shape)


def _of_matrices(at: Token, expr: sympy.Basic, parts: list[Value]) -> Value:
    # Without an input in it, SymPy might compute it.
    value = combined(at, expr, parts, NUMBER, grows=all(part.closed for part in parts))
    return value._replace(constant=False, level=value.level + 2)
