"""Operations on whole matrices.

Each has a rule of its own, a vector-Jacobian product: it gets the node and its adjoint and gives one contribution per
argument (Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation, 2008,
section 2). The matrices of all of them are read along the node's loop axes after its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..graph.affine import Axis, Index, axis
from ..graph.gate import Numeric, Reference
from ..graph.node import Node, View
from ..graph.sums import total
from .table import GATES, no_gradient

# What a matrix operation hands to its arguments: called with its result and its adjoint.
MATRIX_RULES: dict[str, Callable[[View, View], tuple[View, ...]]] = {}


def matrix_gate(
    name: str, numpy: Reference, label: str = ""
) -> Callable[[Callable[[View, View], tuple[View, ...]]], None]:
    """Enter a matrix operation; what is decorated is its vector-Jacobian product.

    It is called with the node and its adjoint, both read at the node's own axes 0 .. rank - 1, and returns what each
    argument receives, over the loop axes along which that argument is read.
    """

    def enter(rule: Callable[[View, View], tuple[View, ...]]) -> None:
        no_gradient(name, None, numpy, label=label)
        MATRIX_RULES[name] = rule

    return enter


def argument_axes(node: Node, edge: View) -> list[Axis]:
    """The loop axes along which a matrix operation reads an argument, also where the argument lacks them."""
    first = node.rank
    if node.gate.name == "solve" and edge is node.arguments[1]:
        return list(range(first + 2, first + 2 + node.rank))
    return [first, first + 1]


def _contracted(one: View, two: View, name: Axis, extent: Index) -> View:
    return total(one * two, [name], [axis(name), extent.minus(1).minus(axis(name))])


@matrix_gate("inverse", np.linalg.inv, "inv")
def inverse(y: View, g: View) -> tuple[View, ...]:
    """Y = inv(A): the adjoint of A is -Y' G Y'."""
    table, size = y.node.table, y.node.extents[0]
    i, j = 2, 3
    p, q = table.fresh(), table.fresh()
    left = _contracted(y.at({0: axis(p), 1: axis(i)}), g.at({0: axis(p), 1: axis(q)}), p, size)  # over i, q
    return (-_contracted(left, y.at({0: axis(j), 1: axis(q)}), q, size),)


def _solve(a: Numeric, b: Numeric) -> Numeric:
    return np.linalg.solve(a, b)


@matrix_gate("solve", _solve)
def solve(y: View, g: View) -> tuple[View, ...]:
    """A X = B: the adjoint of B is S = inv(A)' G, that of A is -S X'."""
    node = y.node
    table, sizes, rank = node.table, node.extents, node.rank
    first, second = rank, rank + 1  # the axes of A
    columns = tuple(table.fresh() for _ in range(rank - 1))
    rows = table.fresh()
    (a, _b) = node.arguments
    seed = g.at(dict(enumerate(map(axis, (rows, *columns)))))
    flipped = a.at({first: axis(second), second: axis(first)})
    made = table.whole(node.gate, [flipped, seed], [(first, second), (rows, *columns)], rank, sizes)

    def solved(*at: Axis) -> View:
        return View(made, tuple(map(axis, at)))

    to_b = solved(*range(rank + 2, 2 * rank + 2))
    if rank == 1:
        return -(solved(first) * View(node, (axis(second),))), to_b
    c = table.fresh()
    return -_contracted(solved(first, c), View(node, (axis(second), axis(c))), c, sizes[1]), to_b


def _inverse_of(node_view: View) -> View:
    """The transposed inverse of a rank-0 matrix operation's argument, over its loop axes 0 and 1."""
    node = node_view.node
    table, size = node.table, node.extents[0]
    r, c = table.fresh(), table.fresh()
    argument = node.arguments[0].at({0: axis(r), 1: axis(c)})
    made = table.whole(GATES["inverse"], [argument], [(r, c)], 2, (size,) * 4)
    return View(made, (axis(1), axis(0)))


@matrix_gate("determinant", np.linalg.det, "det")
def determinant(y: View, g: View) -> tuple[View, ...]:
    """The adjoint of A is g*det(A)*inv(A)'."""
    return (g * y * _inverse_of(y),)


def _log_determinant(a: Numeric) -> Numeric:
    sign, value = np.linalg.slogdet(a)
    return value if sign > 0 else np.float64(-np.inf if sign == 0 else np.nan)


@matrix_gate("log_determinant", _log_determinant, "log det")
def log_determinant(y: View, g: View) -> tuple[View, ...]:
    """The logarithm of the determinant, of the sum of logarithms of pivots; the adjoint of A is g*inv(A)'."""
    return (g * _inverse_of(y),)
