"""Programs to try: ones that were once wrong, and random ones with arrays and with matrices.

A random program is made of the choices of a `Choices`; the same choices make the same program, so that a program that
is found wrong is made smaller by making its choices fewer and smaller (see `shrunk`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from trials import Program

from symgrad import parse
from symgrad.reductions import Largest

n, m, d = EXTENTS = sp.symbols("n m d", integer=True)
i, j, k, l, r = INDICES = sp.symbols("i j k l r", integer=True)  # noqa: E741  # the letter of the mathematics
t = sp.Symbol("t")
Sum, Product, exp, sin, log = sp.Sum, sp.Product, sp.exp, sp.sin, sp.log


def _array(name: str, *shape: Any) -> Any:
    return sp.IndexedBase(name, shape=shape)


def _integers(name: str, *shape: Any) -> Any:
    return sp.IndexedBase(name, shape=shape, integer=True)


def _text(text: str) -> Any:
    return parse(text).expression


x, y, v, u = (_array(name, n) for name in "xyvu")
w, z = _array("w", m), _array("z", d)
a, b = _integers("a", n), _integers("b", n)
A, B, T = _array("A", n, m), _array("B", n, n), _array("T", n, m, d)


def numbers(*shape: int, seed: int = 0) -> Any:
    """Small numbers with few digits, so that sums and products of some of them are exact."""
    return np.random.default_rng([seed, *shape]).integers(-24, 25, shape) / 16


# ----------------------------------------------------------------------------------------------------------------------
# Programs that were once wrong
# ----------------------------------------------------------------------------------------------------------------------


def _stage(at: Any) -> Any:
    return exp(Sum(sin(x[at] * w[j]), (j, 0, m - 1)))


def _known() -> dict[str, Program]:
    M, N = sp.MatrixSymbol("M", n, m), sp.MatrixSymbol("N", n, n)
    X, Y = sp.MatrixSymbol("X", 3, 2), sp.MatrixSymbol("Y", 3, 2)
    P, Q = sp.MatrixSymbol("P", 2, 2), sp.MatrixSymbol("Q", 2, 3)
    one, three, five = numbers(1), numbers(3), numbers(5)
    rows, square = numbers(3, 2), numbers(3, 3) / 8 + 2 * np.eye(3)
    lab = np.array([2, 0, 1])
    tanh = sp.Lambda(t, sp.tanh(t))
    two_ranges = Sum(x[n - 1 - j] * x[j], (j, 1, 1)) + Sum(x[n - 1 - j] * x[j], (j, 3, n - 2))
    skipped = sp.Piecewise((x[n - 1 - j] * x[j], sp.Ne(j, 2)), (y[j], True))
    logs = Sum(log(v[i]), (i, 0, 1)) + Sum(log(v[i]), (i, 3, n - 1))
    kept = sp.Piecewise((log(x[0] ** 2 + 1) + Sum(y[j], (j, 0, n - 1)), x[1] <= 0), (t, True))
    c = A
    return {
        # One element is the output.
        "first_element": Program(x[0], {"x": three}),
        "last_element": Program(x[n - 1], {"x": three}),
        "first_element_of_text": Program(_text("x: vector(n)\nx[0]"), {"x": three}),
        "element_of_matrix": Program(M[0, 1], {"M": rows}),
        "element_of_transpose": Program(M.T[0, 1], {"M": rows}),
        "element_of_inverse": Program((N**-1)[0, 1], {"N": square}),
        "element_of_product": Program((M * M.T)[0, 1], {"M": rows}),
        "one_last_element": Program(Sum(v[n - 1], (r, m - 1, m - 1)), {"v": three, "m": 2}),
        "last_element_once": Program(Sum(v[n - 1], (r, n - 1, n - 1)), {"v": three}),
        "gathered_element": Program(x[a[0]], {"x": three, "a": lab}),
        "gathered_element_squared": Program(x[a[0]] ** 2, {"x": three, "a": lab}),
        # Bounds and indices with a symbolic part.
        "one_last_index": Program(
            Sum(exp(x[l] * y[r]), (l, 0, n - 1), (r, n - 1, n - 1)), {"x": numbers(2), "y": numbers(2, seed=1)}
        ),
        "gather_beside_symbolic": Program(
            Sum(T[j, a[j], d - 1] ** 2, (j, 0, n - 1)), {"T": numbers(3, 4, 2), "a": lab, "m": 4}
        ),
        "gather_then_last_column": Program(Sum(sp.asinh(A[a[l], m - 1]), (l, 0, n - 1)), {"A": rows, "a": lab}),
        "largest_gather": Program(
            Largest(A[a[l], m - 1] * B[l, 0], (l, 0, n - 1)), {"A": rows, "a": lab, "B": numbers(3, 3)}
        ),
        # Arrays that are kept for another pass.
        "neighbouring_stages": Program(Sum(_stage(i) * _stage(i + 1), (i, 1, n - 2)), {"x": five, "w": three}),
        "neighbouring_stages_of_four": Program(
            Sum(_stage(i) * _stage(i + 1), (i, 1, n - 2)), {"x": numbers(4), "w": numbers(2)}
        ),
        "reversed_on_two_ranges": Program(two_ranges, {"x": numbers(7)}),
        "reversed_but_for_one": Program(Sum(skipped, (j, 1, n - 2)), {"x": numbers(6), "y": numbers(6, seed=1)}),
        # Fixed sizes.
        "function_of_product_fixed": Program(
            sp.Trace((X * Y.T).applyfunc(sin)), {"X": numbers(3, 2), "Y": numbers(3, 2, seed=1)}
        ),
        "power_of_function_fixed": Program(sp.Trace(sp.HadamardPower(P.applyfunc(tanh), 2)), {"P": numbers(2, 2)}),
        "hadamard_of_products_fixed": Program(
            sp.Trace(sp.HadamardProduct(P, sp.HadamardProduct(Q * Q.T, P * P.T))),
            {"P": numbers(2, 2), "Q": numbers(2, 3)},
        ),
        "function_of_product_told": Program(sp.Trace((M * M.T).applyfunc(sin)), {"M": rows}, {"n": 3, "m": 2}),
        # What is made of a matrix and its transpose.
        "symmetric_determinant": Program(_text("A: matrix(n, n)\nC = A + A.T\ndet(C @ C + 2*eye(n))"), {"A": square}),
        "symmetric_log_determinant": Program(
            _text("A: matrix(n, n)\nC = A + A.T\nlogdet(C @ C + 2*eye(n))"), {"A": square}
        ),
        # Data that are shorter than a number in a condition.
        "condition_beyond_data": Program(
            _text("u: vector(n)\nsum(u[0] for j in range(n) if j < 2)"), {"u": np.array([3.0])}
        ),
        "delta_beyond_data": Program(Sum(sp.KroneckerDelta(1, j) * u[0], (j, 0, n - 1)), {"u": one}),
        "not_equal_beyond_data": Program(
            Sum(sp.Piecewise((u[0], sp.Ne(j, 3)), (0, True)), (j, 0, n - 1)), {"u": three}
        ),
        "condition_reads_beyond_data": Program(_text("y: vector(n)\nsum(y[i] for i in range(n) if i < 2)"), {"y": one}),
        # One summand on two ranges.
        "logarithms_on_two_ranges": Program(logs, {"v": np.array([1.0, 2.0, 0.0, 4.0])}),
        "all_pairs_but_equal_ones": Program(
            Sum(sp.Piecewise((1 / sp.Abs(x[i] - x[j]), sp.Ne(i, j)), (0, True)), (i, 0, n - 1), (j, 0, n - 1)),
            {"x": np.array([0.0, 1.0, 3.0])},
        ),
        "pairs_below_and_above": Program(
            Sum(1 / (x[i] - x[j]) ** 2, (j, 0, i - 1), (i, 0, n - 1))
            + Sum(1 / (x[i] - x[j]) ** 2, (j, i + 1, n - 1), (i, 0, n - 1)),
            {"x": np.array([0.0, 1.0, 3.0])},
        ),
        # Empty sums.
        "empty_sum_of_infinity": Program(Sum(x[i] / w[0], (i, 0, n - 1)), {"x": numbers(0), "w": np.array([0.0])}),
        "empty_sum_of_an_infinite_scalar": Program(Sum(x[i] * exp(t), (i, 0, n - 1)), {"x": numbers(0), "t": 1e3}),
        # Computed indices into arrays of two axes, and conditions that are kept.
        "next_row_in_a_circle": Program(Sum(c[sp.Mod(i + 1, n), j] ** 2, (i, 0, n - 1), (j, 0, m - 1)), {"A": rows}),
        "next_column_in_a_circle": Program(Sum(c[i, sp.Mod(j + 1, m)] ** 2, (i, 0, n - 1), (j, 0, m - 1)), {"A": rows}),
        "every_row_twice": Program(Sum(c[sp.floor(i / 2), j] ** 2, (i, 0, n - 1), (j, 0, m - 1)), {"A": rows}),
        "condition_that_is_kept": Program(kept, {"x": np.array([1.0, -1.0, 2.0]), "y": numbers(3), "t": 1.5}),
        "condition_that_is_kept_not": Program(kept, {"x": three + 4, "y": numbers(3), "t": 1.5}),
        "gathered_twice_beside_largest": Program(
            Sum(x[a[a[i]]] ** 2, (i, 0, n - 1)) + Largest(x[i], (i, 0, n - 1)), {"x": three, "a": lab}
        ),
        "gathered_twice_and_next_beside_largest": Program(
            Sum(x[a[a[i]] + 1] ** 2, (i, 0, n - 2)) + Largest(x[i], (i, 0, n - 1)),
            {"x": three, "a": np.array([1, 0, 1])},
        ),
    }


KNOWN = _known()
