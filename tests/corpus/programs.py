"""Programs to try: ones that were once wrong, and random ones with arrays and with matrices.

A random program is made of the choices of a `Choices`; the same choices make the same program, so that a program that
is found wrong is made smaller by making its choices fewer and smaller (see `shrunk`).
"""

from __future__ import annotations

import itertools
import operator
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement
from trials import Program

from symgrad import parse
from symgrad.language.construct import unsimplified
from symgrad.reductions import Largest, Smallest

n, m, d = EXTENTS = sp.symbols("n m d", integer=True)
i, j, k, l, r = INDICES = sp.symbols("i j k l r", integer=True)  # noqa: E741  # the letter of the mathematics
t, _z = sp.symbols("t z")
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


def _steep(at: Any) -> Any:
    return exp(sp.Product(A[at, k] ** 2, (k, 0, m - 1)))


def _family(body: Any, index: Any, extent: Any, inputs: dict[str, Any]) -> Program:
    return Program(body, inputs, derivative="jacobian", family=(index, extent))


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
    none, square_3 = sp.IndexedBase("none", (0, 3)), sp.IndexedBase("square_3", (3, 3))
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
        # Outputs along an index: entries as they are, and extents that no array tells.
        "family_of_entries": _family(x[i], i, m, {"x": three, "m": 2}),
        "family_of_gathered_entries": _family(x[a[i]], i, m, {"x": three, "a": lab, "m": 3}),
        "family_of_an_extent_that_no_array_tells": _family(2 * x[i], i, m, {"x": three, "m": 2}),
        "family_of_a_number": _family(i * t, i, n, {"n": 4, "t": 0.5}),
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
        # Conditions that couple indices keep them inside of their arrays.
        "full_convolution": Program(
            _text(
                "x: vector(n)\ny: vector(m)\n"
                "sum(sum(x[i-j]*y[j] for j in range(m) if i >= j and i-j < n)**2 for i in range(n+m-1))"
            ),
            {"x": five, "y": three},
        ),
        "same_convolution": Program(
            _text(
                "x: vector(n)\ny: vector(m)\nh: integer\n"
                "sum(sum(x[i+j-h]*y[j] for j in range(m) if i+j >= h and i+j-h < n)**2 for i in range(n))"
            ),
            {"x": five, "y": three, "h": 1},
        ),
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
        "largest_of_none_no_times": Program(
            Sum(Sum(Largest(t, (l, 0, n - 1)), (k, 0, j)) - t, (j, 0, m - 1), (i, 0, n - 1)), {"t": 2.0, "n": 0, "m": 3}
        ),
        "logarithm_of_none_no_times": Program(
            Sum(exp(j) * log(t) - t, (j, 0, m - 1), (i, 0, n - 1)), {"t": 0.0, "n": 0, "m": 3}
        ),
        "smallest_of_none_no_times": Program(
            Sum(t * Smallest(t, (l, 0, m - 1)) + x[i], (j, 0, n - 1), (i, 0, m - 1)), {"x": three, "t": 2.0, "m": 0}
        ),
        "smallest_of_none_in_a_triangle": Program(
            Sum(Smallest(x[0], (k, 0, i - 1)), (j, 0, i - 1), (i, 0, m - 2)), {"x": three, "m": 5}
        ),
        "largest_of_none_before_an_index": Program(
            Sum(x[0] * i * Largest(x[j], (j, 0, n - 2)) - x[0], (i, 1, n - 2)), {"x": one}
        ),
        "smallest_of_none_of_what_does_not_vary": Program(
            Smallest(-t + Smallest(t, (k, 1, n - 1)), (j, 0, i), (i, 2, n - 1)), {"t": 0.5, "n": 1}
        ),
        "smallest_of_none_times_an_empty_product": Program(
            sp.Product(x[j], (j, 0, i), (i, 3, n - 1)) * Sum(Smallest(t, (j, 1, n - 2)), (i, 0, n - 1)),
            {"x": one, "t": 0.5},
        ),
        "terms_for_entries_that_nobody_reads": Program(
            Sum(sp.Product(exp(_array("U", m, d, d)[2 * j, i, i]) * x[i], (k, i + 1, n - 1)), (j, i, i), (i, 0, d - 1)),
            {"U": numbers(7, 4, 4), "x": numbers(3)},
        ),
        "condition_asked_where_no_index_is_checked": Program(
            Sum(sp.Max(exp(sp.Product(sp.cos(w[k]), (k, j, j))), sin(w[a[j]])), (j, 1, n - 2))
            + Largest(Smallest(exp(sp.Product(sp.cos(w[k]), (k, j, j))), (j, 0, i)), (i, 0, n - 2), (l, n - 1, n - 1)),
            {"w": numbers(2), "a": np.array([2**40, -5]), "n": 2},
        ),
        "product_over_no_rows": Program(
            sp.Product(sp.Min(none[i, 1], square_3[sp.floor(i / 2), i]), (i, 0, -1)),
            {"none": numbers(0, 3), "square_3": numbers(3, 3)},
        ),
        # Computed indices into arrays of two axes, and conditions that are kept.
        "next_row_in_a_circle": Program(Sum(c[sp.Mod(i + 1, n), j] ** 2, (i, 0, n - 1), (j, 0, m - 1)), {"A": rows}),
        "next_column_in_a_circle": Program(Sum(c[i, sp.Mod(j + 1, m)] ** 2, (i, 0, n - 1), (j, 0, m - 1)), {"A": rows}),
        "every_row_twice": Program(Sum(c[sp.floor(i / 2), j] ** 2, (i, 0, n - 1), (j, 0, m - 1)), {"A": rows}),
        # What differs from a chosen index is no part of a product, however large it is there.
        "overflow_where_indices_differ": Program(
            Sum(exp(exp((i + 1) * n)) * sp.KroneckerDelta(i, k) * x[i] ** 2, (i, 0, n - 1)), {"x": three, "k": 0}
        ),
        "overflow_where_labels_differ": Program(
            Sum(exp(exp((i + 1) * n)) * sp.KroneckerDelta(a[i], 0) * x[i] ** 2, (i, 0, n - 1)),
            {"x": three, "a": np.array([0, 1, 2])},
        ),
        "pole_where_indices_differ": Program(
            Sum(sp.KroneckerDelta(i, k) / (x[i] - 1) ** 2, (i, 0, n - 1)), {"x": np.array([1.0, 3.0, 1.0]), "k": 1}
        ),
        # A value for two readers, of which one is masked to what is the box of the other.
        "kept_for_a_masked_and_a_narrow_reader": Program(
            Sum(
                x[i] * sp.Min(_array("C", m, n)[sp.floor(i / 2), i], x[i]),
                (j, sp.Max(0, i - 1), sp.Min(i + 1, n - 1)),
                (i, 0, 1),
            ),
            {"x": three, "C": numbers(4, 3)},
        ),
        "condition_on_the_last_of_none": Program(
            Sum(sp.Piecewise((Largest(x[0] ** 2, (j, 2, d - 1)), z[d - 1] > 0), (0, True)), (i, 0, d - 1)),
            {"x": three, "z": three},
        ),
        "index_that_is_computed_beyond_the_loops_that_are_checked": Program(
            Sum(
                exp(Sum(exp(A[k, 0]), (k, sp.Max(0, i - 1), sp.Min(d - 1, i + 1)))) * x[i] * T[i, sp.floor(i / 2), 0],
                (i, 0, n - 1),
            ),
            {"x": numbers(4), "A": numbers(4, 2), "T": numbers(4, 2, 4)},
        ),
        "smallest_of_none_in_a_product_of_none": Program(
            sp.Product(t * exp(w[i]) * Smallest(t, (j, 0, n - 1)), (i, 0, m - 1)),
            {"w": numbers(0), "t": 0.5, "n": 0},
        ),
        "row_that_is_not_there_for_no_terms": Program(
            Sum(exp(x[j]) * x[i] * A[1, j], (j, 0, m - 1), (i, 2, n - 1)), {"x": one, "A": numbers(1, 1)}
        ),
        "overflow_in_rows_that_no_index_names": Program(
            Sum(_steep(i) * _steep(sp.floor(i / 2)), (i, 1, 1)), {"A": np.array([[1.0, 0.5], [0.5, 2.0], [1e3, 1e3]])}
        ),
        "condition_that_is_kept": Program(kept, {"x": np.array([1.0, -1.0, 2.0]), "y": numbers(3), "t": 1.5}),
        "condition_that_is_kept_not": Program(kept, {"x": three + 4, "y": numbers(3), "t": 1.5}),
        "condition_of_a_gather_beside_a_shift": Program(
            Sum(sp.Piecewise((x[i] * sp.Min(y[i], x[i - 1]), (m > 1) & (x[a[i]] > 0)), (0, True)), (i, 1, n - 1)),
            {"x": three, "y": numbers(3, seed=1), "a": lab, "m": 2},
        ),
        "gathered_twice_beside_largest": Program(
            Sum(x[a[a[i]]] ** 2, (i, 0, n - 1)) + Largest(x[i], (i, 0, n - 1)), {"x": three, "a": lab}
        ),
        "gathered_twice_and_next_beside_largest": Program(
            Sum(x[a[a[i]] + 1] ** 2, (i, 0, n - 2)) + Largest(x[i], (i, 0, n - 1)),
            {"x": three, "a": np.array([1, 0, 1])},
        ),
    }


KNOWN = _known()


# ----------------------------------------------------------------------------------------------------------------------
# Choices, and making them smaller
# ----------------------------------------------------------------------------------------------------------------------


class Choices:
    """What a random program is made of: numbers below others, drawn from `rng`, or `given` ones again, then zeros."""

    def __init__(self, rng: random.Random | None = None, given: Sequence[int] = ()) -> None:
        self.rng, self.given, self.taken = rng, given, list[int]()

    def below(self, count: int) -> int:
        place = len(self.taken)
        if self.rng is not None:
            choice = self.rng.randrange(count)
        else:
            choice = self.given[place] % count if place < len(self.given) else 0
        self.taken.append(choice)
        return choice

    def of(self, options: Sequence[Any]) -> Any:
        return options[self.below(len(options))]

    def weighted(self, *options: tuple[int, Any]) -> Any:
        """One of the options; the first is what smaller programs have."""
        place = self.below(sum(weight for weight, _ in options))
        for weight, option in options:
            place -= weight
            if place < 0:
                return option

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent


def shrunk(taken: Sequence[int], fails: Callable[[Sequence[int]], bool], seconds: float = 15.0) -> list[int]:
    """Fewer and smaller choices with which a program still fails, as far as it gets in that time."""
    best, end = list(taken), time.monotonic() + seconds

    def better(candidate: list[int]) -> bool:
        nonlocal best
        if time.monotonic() > end or candidate == best or not fails(candidate):
            return False
        best = candidate
        return True

    changed = True
    while changed:
        changed = False
        for length in (16, 8, 4, 2, 1):
            place = len(best) - length
            while place >= 0:
                changed |= better(best[:place] + best[place + length :])
                place -= length
        for place in reversed(range(len(best))):
            if place < len(best) and best[place]:
                changed |= better([*best[:place], 0, *best[place + 1 :]]) or better(
                    [*best[:place], best[place] // 2, *best[place + 1 :]]
                )
    return best


# ----------------------------------------------------------------------------------------------------------------------
# Random programs with arrays
# ----------------------------------------------------------------------------------------------------------------------

Point = dict[Any, int]  # the value of each index
Value = Callable[[Point], int]

# Around the length of a block of lanes.
LONG = (127, 128, 129, 257)
# Values of the body of a sum, all levels together, that a program may take.
MOST_VALUES = 4000


class Map(NamedTuple):
    """An index expression, and what it is at a point."""

    expression: Any
    value: Value


class Scope(NamedTuple):
    """The indices that are bound here, all the points that they run over, and one that stands for them if none does."""

    indices: tuple[Any, ...]
    points: list[Point]
    ghost: Point


class Stage(NamedTuple):
    """An expression over one index, that is read like an array."""

    index: Any
    extent: Any
    expression: Any
    is_free: bool  # do no bounds depend on the index?


@dataclass
class Arrays:
    """Makes a program with arrays: its inputs grow as they are read."""

    choices: Choices
    sizes: dict[Any, int] = field(default_factory=dict)
    read: dict[str, tuple[Any, tuple[Any, ...]]] = field(default_factory=dict)  # of floats: base and shape
    tables: dict[str, tuple[Any, tuple[Any, ...], Any]] = field(default_factory=dict)  # of integers: and below what
    scalars: set[str] = field(default_factory=set)
    stages: list[Stage] = field(default_factory=list)
    letters: str = "ijklr"
    values: int = 0

    # --- indices ------------------------------------------------------------------------------------------------------

    def map(self, scope: Scope, extent: Any, depth: int = 1) -> Map | None:
        """An index expression that stays in the bounds, of an axis of that extent, at all points of the scope."""
        size = self.number(extent)
        plain = [(lambda s=s: s, lambda p, s=s: p[s]) for s in scope.indices]
        fixed = [(lambda c=c: _whole(c), lambda p, c=c: c) for c in (0, 1)]
        fixed += [(lambda c=c: extent - c, lambda p, c=c: size - c) for c in (1, 2)]
        shifted: list[tuple[Callable[[], Any], Value]] = []
        for s in scope.indices:
            shifted += [(lambda s=s, c=c: s + c, lambda p, s=s, c=c: p[s] + c) for c in (1, -1, 2)]
            shifted += [(lambda s=s: extent - 1 - s, lambda p, s=s: size - 1 - p[s])]
            shifted += [(lambda s=s: 2 * s, lambda p, s=s: 2 * p[s])]
            shifted += [(lambda s=s: sp.floor(s / 2), lambda p, s=s: p[s] // 2)]
            if size:
                shifted += [
                    (lambda s=s, c=c: sp.Mod(s + c, extent), lambda p, s=s, c=c: (p[s] + c) % size) for c in (1, 2)
                ]
        for a, b in itertools.permutations(scope.indices, 2):
            shifted += [(lambda a=a, b=b: a - b, lambda p, a=a, b=b: p[a] - p[b])]
            shifted += [(lambda a=a, b=b: a + b, lambda p, a=a, b=b: p[a] + p[b])]
        groups = self.choices.weighted(
            (8, (plain, fixed, shifted)), (4, (shifted, plain, fixed)), (3, (fixed, plain, shifted)), (3, ())
        )
        if not groups:
            table = self.gathered(scope, extent, depth) if depth else None
            if table is not None:
                return table
            groups = plain, fixed, shifted
        # Where nothing is read, any index would do; but checks that know the ranges of single indices refuse it.
        points = scope.points or ([] if self.choices.chance(10) else [scope.ghost])
        for group in groups:
            inside = [own for own in group if all(0 <= own[1](point) < size for point in points)]
            if inside:
                expression, value = self.choices.of(inside)
                return Map(expression(), value)
        return None

    def gathered(self, scope: Scope, extent: Any, depth: int) -> Map | None:
        """A read of a table of integers below the extent."""
        if not self.number(extent):
            return None
        of = self.choices.of(EXTENTS)
        at = self.map(scope, of, depth=depth - 1)
        if at is None:
            return None
        name = f"g{of}{extent}"
        base = _integers(name, of)
        self.tables[name] = base, (of,), extent
        entries = self.entries(name)
        return Map(base[at.expression], lambda p: int(entries[at.value(p)]))

    def entries(self, name: str) -> Any:
        _, shape, limit = self.tables[name]
        lengths = [self.number(extent) for extent in shape]
        return np.random.default_rng([*map(ord, name), *lengths]).integers(0, self.number(limit), lengths)

    def number(self, extent: Any) -> int:
        return self.sizes[extent]

    def ranged(self, scope: Scope) -> tuple[tuple[Any, Any, Any], Scope]:
        """A new index with a range: the limit of a sum, and the scope inside of it."""
        s = sp.Symbol(next(c for c in self.letters if sp.Symbol(c, integer=True) not in scope.indices), integer=True)
        extent = self.choices.of(EXTENTS)
        size = self.number(extent)
        zero, one = _fixed(0, 0), _fixed(1, 1)
        last, before = _fixed(extent - 1, size - 1), _fixed(extent - 2, size - 2)
        options = [
            (12, (zero, last)),
            (2, (one, last)),
            (2, (zero, before)),
            (2, (one, before)),
            (2, (last, last)),
            (1, (zero, one)),
            (1, (one, one)),
            (1, (_fixed(2, 2), last)),
            (1, (_fixed(3, 3), last)),
        ]
        if scope.indices:
            q = self.choices.of(scope.indices)
            here, after = Map(q, lambda p: p[q]), Map(q + 1, lambda p: p[q] + 1)
            options += [
                (2, (zero, here)),
                (2, (zero, Map(q - 1, lambda p: p[q] - 1))),
                (2, (after, last)),
                (1, (here, last)),
                (1, None),
                (1, (here, here)),
            ]
        chosen = self.choices.weighted(*options)
        if chosen is None:  # the neighbours
            chosen = (
                Map(sp.Max(0, q - 1), lambda p: max(0, p[q] - 1)),
                Map(sp.Min(extent - 1, q + 1), lambda p: min(size - 1, p[q] + 1)),
            )
        low, high = chosen
        points: list[Point] = []
        for point in scope.points:
            points += [{**point, s: c} for c in range(low.value(point), high.value(point) + 1)]
            if len(points) > MOST_VALUES:
                break
        ghost = {**scope.ghost, s: low.value(scope.ghost)}
        return (s, low.expression, high.expression), Scope((*scope.indices, s), points, ghost)

    # --- what is summed up --------------------------------------------------------------------------------------------

    def leaf(self, scope: Scope) -> Any:
        kind = self.choices.weighted((8, "read"), (2, "stage"), (1, "scalar"), (1, "index"))
        if kind == "stage" and self.stages:
            stage = self.choices.of(self.stages)
            at = self.map(scope, stage.extent)
            if at is not None and (stage.is_free or not at.expression.has(sp.Mod, sp.floor, sp.Indexed)):
                return stage.expression.xreplace({stage.index: at.expression})
        if kind == "scalar":
            self.scalars.add("t")
            return t
        if kind == "index" and scope.indices:
            return self.choices.of(scope.indices) + 1
        shape = self.choices.of(SHAPES)
        maps = [self.map(scope, extent) for extent in shape]
        if None in maps:
            self.scalars.add("s")
            return sp.Symbol("s")
        name = self.choices.of("xy") + "".join(map(str, shape))
        base = _array(name, *shape)
        self.read[name] = base, shape
        return base[tuple(own.expression for own in maps if own is not None)]

    def body(self, scope: Scope, depth: int) -> Any:
        self.values += len(scope.points)
        if depth <= 0 or self.values > MOST_VALUES:
            return self.leaf(scope)
        return self.choices.weighted(
            (3, self.leaf),
            (5, lambda scope: self.body(scope, depth - 1) * self.body(scope, depth - 1)),
            (3, lambda scope: self.body(scope, depth - 1) + self.body(scope, depth - 1)),
            (2, lambda scope: self.body(scope, depth - 1) - self.leaf(scope)),
            (2, lambda scope: self.body(scope, depth - 1) ** 2),
            (5, lambda scope: self.function(self.body(scope, depth - 1))),
            (5, lambda scope: self.reduced(scope, depth)),
            (3, lambda scope: self.branches(scope, depth)),
            (2, lambda scope: self.guarded(scope)),
            (1, lambda scope: self.delta(scope) * self.body(scope, depth - 1)),
            (1, lambda scope: sp.Max(self.body(scope, depth - 1), self.leaf(scope))),
            (1, lambda scope: sp.Min(self.body(scope, depth - 1), self.leaf(scope))),
        )(scope)

    def function(self, inner: Any) -> Any:
        return self.choices.of(FUNCTIONS)(inner)

    def reduced(self, scope: Scope, depth: int) -> Any:
        """A sum, a product, a largest or a smallest over a new index, or two."""
        kind = self.choices.weighted((10, Sum), (2, Product), (1, Largest), (1, Smallest))
        if len(scope.indices) > len(self.letters) - 2:
            return self.leaf(scope)
        limit, inner = self.ranged(scope)
        limits = [limit]
        if self.choices.chance(25):
            limit, inner = self.ranged(inner)
            limits.insert(0, limit)
        if len(inner.points) > MOST_VALUES:
            return self.leaf(scope)
        body = self.body(inner, depth - 1)
        if kind in (Largest, Smallest) and not all(
            any(all(point[q] == own[q] for q in scope.indices) for own in inner.points) for point in scope.points
        ):
            kind = Sum  # one of nothing is infinite
        return _over(kind, body, *limits)

    def two_indices(self, scope: Scope) -> tuple[Map, Map]:
        options = [Map(s, lambda p, s=s: p[s]) for s in scope.indices] + [_fixed(c, c) for c in (0, 1, 3)]
        options += [_fixed(extent - 1, self.number(extent) - 1) for extent in EXTENTS]
        return self.choices.of(options), self.choices.of(options[::-1])

    def delta(self, scope: Scope) -> Any:
        one, two = self.two_indices(scope)
        return sp.KroneckerDelta(one.expression, two.expression)

    def condition(self, scope: Scope) -> tuple[Any, Scope]:
        """A condition on indices, and the scope where it holds; or on data."""
        kind = self.choices.weighted((4, "indices"), (2, "data"), (1, "both"))
        one, two = self.two_indices(scope)
        relation, holds = self.choices.of(RELATIONS)
        own = relation(one.expression, two.expression)
        if kind == "data" or own in (sp.true, sp.false):
            return self.choices.of((sp.Gt, sp.Le))(self.leaf(scope), self.choices.of((0, sp.Rational(1, 3)))), scope
        points = [point for point in scope.points if holds(one.value(point), two.value(point))]
        inside = Scope(scope.indices, points or scope.points, scope.ghost)
        return sp.And(own, self.leaf(scope) > 0) if kind == "both" else own, inside

    def branches(self, scope: Scope, depth: int) -> Any:
        condition, inside = self.condition(scope)
        taken, other = self.body(inside, depth - 1), self.choices.of((lambda: sp.S.Zero, lambda: self.leaf(scope)))()
        return _branches((taken, condition), (other, sp.true))

    def guarded(self, scope: Scope) -> Any:
        """A function beside its pole, where a condition keeps it away from there."""
        inner = self.leaf(scope)
        if not isinstance(inner, sp.Indexed):
            return inner
        return self.choices.of(
            (
                lambda: sp.Piecewise((log(inner), inner > 0), (inner, True)),
                lambda: sp.Piecewise((sp.sqrt(inner), inner > 0), (0, True)),
                lambda: sp.Piecewise((1 / inner, sp.Ne(inner, 0)), (0, True)),
            )
        )()

    # --- whole programs -----------------------------------------------------------------------------------------------

    def term(self) -> Any:
        scope = Scope((), [{}], {})
        kind = self.choices.weighted(
            (12, "sum"), (2, "element"), (2, "function"), (3, "ranges"), (1, "scalar"), (2, "pairs")
        )
        if kind == "element":
            return self.leaf(scope)
        if kind == "function":
            return self.function(self.reduced(scope, 3))
        if kind == "scalar":
            self.scalars.add("s")
            return sp.Symbol("s") * self.reduced(scope, 3)
        if kind == "ranges":  # one summand on two ranges
            return self.on_ranges(scope)
        if kind == "pairs":
            return self.pairs(scope)
        return self.reduced(scope, 4)

    def on_ranges(self, scope: Scope) -> Any:
        (s, low, high), inner = self.ranged(scope)
        (_, other_low, other_high), other = self.ranged(scope)
        body = self.body(Scope(inner.indices, inner.points + other.points, inner.ghost), 2)
        return _over(Sum, body, (s, low, high)) + _over(Sum, body, (s, other_low, other_high))

    def pairs(self, scope: Scope) -> Any:
        """Over all pairs of different ones, as people write a potential."""
        one, other = _symbols("i j")
        size = self.number(n)
        name = "distinct"
        base = _array(name, n)
        self.read[name] = base, (n,)
        if size**2 > MOST_VALUES:
            return self.leaf(scope)
        potential = self.choices.of((lambda u: 1 / u, lambda u: 1 / u**2, lambda u: log(u**2), lambda u: 1 / sp.Abs(u)))
        body = potential(base[one] - base[other])
        return self.choices.of(
            (
                lambda: (
                    Sum(body, (other, 0, one - 1), (one, 0, n - 1))
                    + Sum(body, (other, one + 1, n - 1), (one, 0, n - 1))
                ),
                lambda: Sum(sp.Piecewise((body, sp.Ne(one, other)), (0, True)), (one, 0, n - 1), (other, 0, n - 1)),
                lambda: Sum(Sum(body, (other, 0, one - 1)) + Sum(body, (other, one + 1, n - 1)), (one, 0, n - 1)),
            )
        )()

    def stage(self) -> None:
        """t(k), an expression over one index: read at i and i + 1 it is kept for another pass, or not."""
        place = len(self.stages) + 1
        index = sp.Symbol(f"a{place}", integer=True)
        extent = self.choices.of(EXTENTS)
        points = [{index: c} for c in range(self.number(extent))]
        letters, self.letters = self.letters, "uvwpq"[: 3 + place]
        body = self.choices.of((exp, sp.tanh, lambda e: e))(self.reduced(Scope((index,), points, {index: 0}), 2))
        self.letters = letters
        renamed = {s: sp.Symbol(f"{s}{place}", integer=True) for s in _symbols("u v w p q")}
        limits = [limit for part in body.atoms(Sum, Product, Largest, Smallest) for limit in part.args[1:]]
        is_free = not any(limit.has(index) for limit in limits)
        self.stages.append(Stage(index, extent, body.xreplace(renamed), is_free))


def _whole(number: Any) -> Any:
    return sp.sympify(number)


def _branches(*pairs: tuple[Any, Any]) -> Any:
    """A Piecewise, which SymPy's class would fold as its sums do."""
    if any(part.has(sp.Piecewise) and part.has(Sum, Product, Largest, Smallest) for pair in pairs for part in pair):
        return unsimplified(sp.Piecewise, pairs)
    return sp.Piecewise(*pairs)


def _over(kind: Any, body: Any, *limits: Any) -> Any:
    """A Sum and so on. SymPy's classes fold branches out of the sums in a body, though they ask for what these bind."""
    if body.has(sp.Piecewise) and body.has(Sum, Product, Largest, Smallest):
        return unsimplified(kind, [body, *(sp.Tuple(*limit) for limit in limits)])
    return kind(body, *limits)


def _fixed(expression: Any, number: int) -> Map:
    """An index expression that is the same at all points."""
    return Map(_whole(expression), lambda _: number)


def _symbols(names: str) -> Any:
    return sp.symbols(names, integer=True)


RELATIONS = (
    (sp.Lt, operator.lt),
    (sp.Le, operator.le),
    (sp.Eq, operator.eq),
    (sp.Ne, operator.ne),
    (sp.Gt, operator.gt),
    (sp.Ge, operator.ge),
)
SHAPES = ((n,), (m,), (n, m), (d,), (m, n), (n, n), (n, m, d), (d, n))
FUNCTIONS = (
    exp,
    sin,
    sp.tanh,
    lambda e: log(1 + e**2),
    lambda e: sp.sqrt(1 + e**2),
    lambda e: 1 / (1 + e**2),
    lambda e: 1 / (1 + exp(-e)),
    sp.Abs,
    sp.cos,
    sp.atan,
    lambda e: e**3,
)


def array_program(choices: Choices) -> Program:
    """A sum of some terms over arrays of extents n, m and d."""
    made = Arrays(choices)
    long = choices.chance(6)
    for extent in EXTENTS:
        made.sizes[extent] = choices.of((3, 2, 4, 1, 5, 6, 0, 3, 4))
    if long:
        made.sizes[choices.of(EXTENTS)] = choices.of(LONG)
        made.values = MOST_VALUES - 2000
    dtype = choices.weighted((9, "float64"), (1, "float32"))
    mode = choices.weighted((12, "symbols"), (2, "told"), (2, "numbers"))
    for _ in range(choices.weighted((3, 0), (1, 1), (1, 2))):
        made.stage()
    terms = [made.term() for _ in range(choices.weighted((3, 1), (3, 2), (1, 3)))]
    indices = {sp.Symbol(f"{letter}{place}", integer=True) for letter in "ijklruvwpqa" for place in ("", 1, 2, 3)}
    terms = [term for term in terms if not term.free_symbols & indices] or [t]  # what SymPy has folded out of its sums
    expression = sum(terms, sp.S.Zero)
    if len(terms) == 2 and choices.chance(25):
        expression = terms[0] * terms[1]
    special, seed = choices.chance(15), choices.below(1000)
    inputs: dict[str, Any] = {"t": 0.5}
    for name, (_, shape) in made.read.items():
        lengths = [made.number(extent) for extent in shape]
        inputs[name] = _data(name, lengths, seed, special)
    for name in made.tables:
        inputs[name] = made.entries(name)
    for name in made.scalars:
        inputs[name] = (0.5, -1.25, 0.0, 2.0)[(seed + ord(name)) % 4]
    inputs |= {extent.name: size for extent, size in made.sizes.items()}
    if dtype == "float32":
        inputs = {name: _in_float32(value) for name, value in inputs.items()}
    extents: dict[str, int] = {}
    if mode == "told":
        extents = {extent.name: size for extent, size in made.sizes.items() if expression.has(extent)}
    elif mode == "numbers":
        expression = expression.xreplace({extent: sp.Integer(size) for extent, size in made.sizes.items()})
    return Program(expression, inputs, extents, dtype)


def _data(name: str, lengths: Sequence[int], seed: int, special: bool) -> Any:
    rng = np.random.default_rng([seed, *map(ord, name)])
    if name == "distinct":
        return rng.permutation(lengths[0]) * 0.75 - 1.0
    return rng.integers(-1, 2, lengths) * 1.0 if special else rng.integers(-24, 25, lengths) / 16


def _in_float32(value: Any) -> Any:
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def family_of(program: Program) -> Program:
    """The terms of a sum in the place of the sum: outputs along an index. ValueError where there is none from 0 on."""
    for term in sp.Add.make_args(program.expression):
        if isinstance(term, sp.Sum) and term.limits[-1][1] == 0:
            *inner, (index, _, high) = term.limits
            body = Sum(term.function, *inner) if inner else term.function
            extent = high + 1
            kept = {str(symbol) for symbol in body.free_symbols | extent.free_symbols}
            extents = {name: size for name, size in program.extents.items() if name in kept}
            return replace(program, expression=body, extents=extents, derivative="jacobian", family=(index, extent))
    raise ValueError("no sum from 0 on")


# ----------------------------------------------------------------------------------------------------------------------
# Random programs with matrices
# ----------------------------------------------------------------------------------------------------------------------

Scalar = Callable[[], Any]


@dataclass
class Matrices:
    """Makes a program with matrices of some lengths, symbols or numbers: its inputs grow as they are read."""

    choices: Choices
    lengths: tuple[Any, ...]
    sizes: dict[Any, int]
    read: dict[str, Any] = field(default_factory=dict)
    scalars: set[str] = field(default_factory=set)
    work: int = 0

    def number(self, length: Any) -> int:
        return int(sp.sympify(length).subs(self.sizes))

    def length(self) -> Any:
        return self.choices.of(self.lengths)

    def symbol(self, rows: Any, columns: Any, name: str = "") -> Any:
        letter = name or self.choices.weighted((3, "A"), (1, "B"))
        text = f"{letter}_{rows}_{columns}".replace(" ", "").replace("+", "p")
        return self.read.setdefault(text, sp.MatrixSymbol(text, rows, columns))

    def scalar_symbol(self) -> Any:
        self.scalars.add("t")
        return t

    def leaf(self, rows: Any, columns: Any) -> Any:
        options: list[tuple[int, Callable[[], Any]]] = [(12, lambda: self.symbol(rows, columns))]
        options += [(1, lambda: sp.OneMatrix(rows, columns)), (1, lambda: self.function_matrix(rows, columns))]
        if rows == columns:
            options += [(1, lambda: sp.Identity(rows)), (1, lambda: sp.DiagMatrix(self.symbol(rows, 1)))]
        options += [(2, lambda: self.slice(rows, columns))]
        return self.choices.weighted(*options)()

    def function_matrix(self, rows: Any, columns: Any) -> Any:
        one, other = _symbols("i j")
        return sp.FunctionMatrix(rows, columns, sp.Lambda((one, other), 1 / (one + 2 * other + 1)))

    def slice(self, rows: Any, columns: Any) -> Any:
        if self.choices.chance(50):
            return self.symbol(rows + 1, columns + 1, "S")[1 : rows + 1, 0:columns]
        return self.symbol(rows + 2, columns, "S")[2 : rows + 2, 0:columns]

    def matrix(self, rows: Any, columns: Any, depth: int) -> Any:
        self.work += self.number(rows) * self.number(columns)
        if depth <= 0 or self.work > 30_000:
            return self.leaf(rows, columns)
        options: list[tuple[int, Callable[[], Any]]] = [
            (2, lambda: self.leaf(rows, columns)),
            (6, lambda: self.product(rows, columns, depth)),
            (4, lambda: self.matrix(columns, rows, depth - 1).T),
            (3, lambda: self.matrix(rows, columns, depth - 1) + self.matrix(rows, columns, depth - 1)),
            (2, lambda: self.matrix(rows, columns, depth - 1) - self.leaf(rows, columns)),
            (2, lambda: self.scalar_symbol() * self.matrix(rows, columns, depth - 1)),
            (4, lambda: self.applied(self.matrix(rows, columns, depth - 1))),
            (3, lambda: self.hadamard(rows, columns, depth)),
            (2, lambda: sp.HadamardPower(self.matrix(rows, columns, depth - 1), self.choices.of((2, 3)))),
        ]
        if rows == columns and self.number(rows) < 7:
            options += [
                (3, lambda: self.regular(rows, depth).inverse()),
                (2, lambda: self.matrix(rows, rows, depth - 1) ** 2),
                (2, lambda: self.symmetric(rows, depth)),
            ]
        if isinstance(rows, int) and rows > 1:
            options.append((2, lambda: self.stacked(rows, columns, depth)))
        return self.choices.weighted(*options)()

    def product(self, rows: Any, columns: Any, depth: int) -> Any:
        inner = self.length()
        self.work += self.number(rows) * self.number(columns) * self.number(inner)
        return self.matrix(rows, inner, depth - 1) * self.matrix(inner, columns, depth - 1)

    def applied(self, inside: Any) -> Any:
        return inside.applyfunc(
            self.choices.of((sin, sp.tanh, exp, sp.Lambda(_z, _z**2 + _z), sp.Lambda(_z, 1 / (1 + _z**2))))
        )

    def hadamard(self, rows: Any, columns: Any, depth: int) -> Any:
        return sp.HadamardProduct(self.matrix(rows, columns, depth - 1), self.matrix(rows, columns, depth - 1))

    def symmetric(self, rows: Any, depth: int) -> Any:
        inside = self.matrix(rows, rows, depth - 1)
        return inside + inside.T

    def regular(self, rows: Any, depth: int) -> Any:
        """Far from singular, for most data."""
        return 6 * sp.Identity(rows) + self.matrix(rows, rows, min(depth - 1, 1))

    def stacked(self, rows: int, columns: Any, depth: int) -> Any:
        upper, lower = self.matrix(1, columns, depth - 1), self.matrix(rows - 1, columns, depth - 1)
        return sp.BlockMatrix([[upper], [lower]])

    def blocks(self) -> Any:
        """Of four blocks, square and far from singular."""
        one, two = self.length(), self.length()
        corner, other = 6 * sp.Identity(one) + self.symbol(one, one), 6 * sp.Identity(two) + self.symbol(two, two)
        return sp.BlockMatrix(
            [[corner, self.leaf(one, two)], [self.choices.of((sp.ZeroMatrix(two, one), self.leaf(one, two).T)), other]]
        )

    def place(self, length: Any) -> Any:
        """An index of one element."""
        number = self.number(length)
        return self.choices.of([c for c in (0, 1) if c < number] + [length - 1])

    def term(self, depth: int) -> Any:
        rows, columns = self.length(), self.length()
        kinds: list[tuple[int, Scalar]] = [
            (6, lambda: sp.Trace(self.matrix(rows, rows, depth))),
            (3, lambda: _element(self.matrix(rows, columns, depth), self.place(rows), self.place(columns))),
            (3, lambda: self.form(rows, columns, depth)),
            (2, lambda: self.of_entries(rows, columns, depth)),
            (2, lambda: sp.DotProduct(self.matrix(rows, 1, depth), self.matrix(rows, 1, depth))),
            (
                2,
                lambda: _element(
                    sp.OneMatrix(1, rows) * self.matrix(rows, columns, depth) * sp.OneMatrix(columns, 1), 0, 0
                ),
            ),
        ]
        if self.number(rows) < 7:
            kinds += [
                (3, lambda: sp.Determinant(self.regular(rows, depth))),
                (2, lambda: log(sp.Determinant(self.regular(rows, depth)))),
            ]
        if all(self.number(length) < 7 for length in self.lengths):
            kinds += [(1, lambda: sp.Determinant(self.blocks())), (1, lambda: sp.Trace(self.blocks() ** 2))]
        return self.choices.weighted(*kinds)()

    def form(self, rows: Any, columns: Any, depth: int) -> Any:
        return _element(self.symbol(rows, 1).T * self.matrix(rows, columns, depth) * self.symbol(columns, 1), 0, 0)

    def of_entries(self, rows: Any, columns: Any, depth: int) -> Any:
        one, other = _symbols("i j")
        inside = self.matrix(rows, columns, depth)
        function = self.choices.of((lambda e: e**2, exp, sp.tanh))
        return Sum(function(_element(inside, one, other)), (one, 0, rows - 1), (other, 0, columns - 1))


def _element(matrix: Any, row: Any, column: Any) -> Any:
    """One element: as SymPy writes it out, but for powers, whose elements it computes as quotients of polynomials."""
    if matrix.has(sp.Inverse, sp.MatPow):
        return MatrixElement(matrix, row, column)
    return matrix[row, column]


def matrix_program(choices: Choices) -> Program:
    """A sum of some traces, elements, forms and determinants of matrices of symbolic or fixed sizes."""
    mode = choices.weighted((3, "symbolic"), (2, "fixed"), (1, "told"))
    sizes = {extent: choices.of((3, 2, 1, 4)) for extent in (n, m)}
    if choices.chance(4):
        sizes[n] = choices.of(LONG)
    lengths: tuple[Any, ...] = (n, m, 1)
    if mode == "fixed":
        lengths = (min(sizes[n], 4), min(sizes[m], 4), 1)
    made = Matrices(choices, lengths, sizes)
    dtype = choices.weighted((9, "float64"), (1, "float32"))
    terms = [made.term(choices.weighted((2, 2), (2, 1), (3, 3))) for _ in range(choices.weighted((3, 1), (2, 2)))]
    expression = sum(terms, sp.S.Zero)
    if choices.chance(20):
        expression = choices.of((sp.tanh, lambda e: log(1 + e**2), lambda e: e**2))(expression)
    special, seed = choices.chance(15), choices.below(1000)
    inputs: dict[str, Any] = {
        name: _data(name, [made.number(length) for length in symbol.shape], seed, special)
        for name, symbol in made.read.items()
    }
    for name in made.scalars:
        inputs[name] = (0.5, -1.25, 0.0, 2.0)[seed % 4]
    if dtype == "float32":
        inputs = {name: _in_float32(value) for name, value in inputs.items()}
    told = {extent.name: size for extent, size in sizes.items() if expression.has(extent)} if mode == "told" else {}
    inputs |= {extent.name: size for extent, size in sizes.items()}
    return Program(expression, inputs, told, dtype)
