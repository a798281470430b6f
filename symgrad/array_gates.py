"""Gates that work along axes: reductions, and operations on whole matrices. The second half of the table of gates.

A reduction's rule is like any other: the result and the argument, both over its loop axes, and one local gradient. A
matrix operation has a rule of its own, a vector-Jacobian product: it gets the node and its adjoint and gives one
contribution per argument (Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation, 2008, section 2). The matrices of all of them are read along the node's loop axes after its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .gates import GATES, gate, no_gradient
from .graph import Axis, Index, Node, Reduction, View, axis
from .sums import total

# The value of a reduction without terms.
EMPTY: dict[str, int | str] = {"sum": 0, "product": 1, "largest": "-oo", "smallest": "oo"}

# What a matrix operation hands to its arguments: called with its result and its adjoint.
MATRIX_RULES: dict[str, Callable[[View, View], tuple[View, ...]]] = {}

no_gradient("position", kind="integer")  # the value of an axis
no_gradient("size", kind="integer")  # the value of a symbolic extent


@gate("detached", None, lambda a: a, lambda a: a, expansion=lambda a: a, analytic=False)
def detached(y: View, a: View) -> tuple[View, ...]:
    """The argument, with a derivative of 0: a shift that cancels in the value, such as that of a log-sum-exp."""
    return (y.node.table.constant(0),)


def _reduced(y: View, name: str, body: View) -> View:
    """Another reduction over the same loops as that which `y` is the result of."""
    own = y.node.attribute
    assert isinstance(own, Reduction)
    return y.node.table.reduce(GATES[name], body, range(y.node.rank, y.node.loops), own.constraints)


@gate("sum", None, np.add, label="Σ")
def sum(y: View, a: View) -> tuple[View, ...]:
    return (y.node.table.constant(1),)


@gate("product", None, np.multiply, label="Π")
def product(y: View, a: View) -> tuple[View, ...]:
    # The product of the others. Where one factor is 0 it is that of the nonzero ones, where two are, 0.
    is_zero = a.equals(0)
    zeros = _reduced(y, "sum", is_zero.where(1, 0))
    others = _reduced(y, "product", is_zero.where(1, a))
    return (is_zero.where((zeros < 2).where(others, 0), (zeros < 1).where(y / is_zero.where(1, a), 0)),)


def _routed(y: View, a: View) -> tuple[View, ...]:
    # Ties share evenly. Without terms none hits, which a body that does not vary is not told.
    hit = a.equals(y)
    return (hit.where(1 / _reduced(y, "sum", hit.where(1, 0)).call("max", 1), 0),)


gate("largest", None, np.maximum, label="max")(_routed)
gate("smallest", None, np.minimum, label="min")(_routed)


# --- matrices ---------------------------------------------------------------------------------------------------------


def matrix_gate(
    name: str, numpy: Callable[..., Any], label: str = ""
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
    table, size = y.node.table, y.node.attribute[0]
    i, j = 2, 3
    p, q = table.fresh(), table.fresh()
    left = _contracted(y.at({0: axis(p), 1: axis(i)}), g.at({0: axis(p), 1: axis(q)}), p, size)  # over i, q
    return (-_contracted(left, y.at({0: axis(j), 1: axis(q)}), q, size),)


def _solve(a: Any, b: Any) -> Any:
    return np.linalg.solve(a, b)


@matrix_gate("solve", _solve)
def solve(y: View, g: View) -> tuple[View, ...]:
    """A X = B: the adjoint of B is S = inv(A)' G, that of A is -S X'."""
    node = y.node
    table, sizes, rank = node.table, node.attribute, node.rank
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
    table, size = node.table, node.attribute[0]
    r, c = table.fresh(), table.fresh()
    argument = node.arguments[0].at({0: axis(r), 1: axis(c)})
    made = table.whole(GATES["inverse"], [argument], [(r, c)], 2, (size,) * 4)
    return View(made, (axis(1), axis(0)))


@matrix_gate("determinant", np.linalg.det, "det")
def determinant(y: View, g: View) -> tuple[View, ...]:
    """The adjoint of A is g*det(A)*inv(A)'."""
    return (g * y * _inverse_of(y),)


def _log_determinant(a: Any) -> Any:
    sign, value = np.linalg.slogdet(a)
    return value if sign > 0 else np.float64(-np.inf if sign == 0 else np.nan)


@matrix_gate("log_determinant", _log_determinant, "log det")
def log_determinant(y: View, g: View) -> tuple[View, ...]:
    """The logarithm of the determinant, of the sum of logarithms of pivots; the adjoint of A is g*inv(A)'."""
    return (g * _inverse_of(y),)
