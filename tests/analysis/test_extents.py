"""What is known of extents, against all small extents: what is said to hold does, and what is easy is seen."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

import pytest

from symgrad.analysis.extents import Derived, Domain, Extents, is_empty, numeric, with_derived
from symgrad.graph.affine import Index, Size, axis, number_index

N, M = (Index(((Size(name), 1),)) for name in "nm")
LARGER, SMALLER = (Index(((Size(name), 1),)) for name in ("larger", "smaller"))
DERIVED: Derived = {"larger": ("max", N, M.minus(2)), "smaller": ("min", N.minus(1), M)}
ZERO = number_index(0)


def form(*coefficients: int) -> Index:
    """a*n + b*m + c*larger + d*smaller + e."""
    found = number_index(coefficients[-1])
    for extent, factor in zip((N, M, LARGER, SMALLER), coefficients[:-1], strict=False):
        found = found.plus(extent.scaled(factor))
    return found


def all_sizes(known: list[Index]) -> Iterator[Mapping[str, int]]:
    """Extents up to 7 for which all that is known holds."""
    for n, m in itertools.product(range(8), repeat=2):
        sizes = {"n": n, "m": m, "larger": max(n, m - 2), "smaller": min(n - 1, m)}
        if all(numeric(own, sizes) >= 0 for own in known):
            yield sizes


@pytest.mark.parametrize("seed", range(300))
def test_what_is_implied_holds(seed: int) -> None:
    """Nothing is said to be >= 0 that is not, whatever was known; that is where a check of bounds is left out."""
    choices = random.Random(seed)
    known = [form(*(choices.randint(-1, 2) for _ in range(4)), choices.randint(-4, 2)) for _ in range(seed % 3)]
    asked = form(*(choices.randint(-2, 3) for _ in range(4)), choices.randint(-3, 3))
    if Extents(DERIVED, known).imply(asked):
        assert not [sizes for sizes in all_sizes(known) if numeric(asked, sizes) < 0], (known, asked)


@pytest.mark.parametrize(
    ("known", "asked", "is_seen"),
    [
        ([], N, True),
        ([], N.minus(1), False),
        ([N.minus(1)], N.minus(1), True),
        ([N.scaled(2).minus(3)], N.minus(2), True),  # an integer: n >= 3/2 is n >= 2
        ([N.minus(2)], N.scaled(3).minus(6), True),
        ([N.minus(M)], N.minus(M), True),
        ([N.minus(M)], N.minus(M).plus(M), True),
        ([N.minus(M)], M.minus(N), False),
        ([], LARGER.minus(N), True),
        ([], LARGER.minus(M), False),
        ([], LARGER.minus(M).plus(2), True),
        ([], N.minus(1).minus(SMALLER), True),
        ([], SMALLER, False),  # of n = 0 it is -1
        ([SMALLER], N.minus(1), True),
    ],
)
def test_what_is_seen(known: list[Index], asked: Index, is_seen: bool) -> None:
    assert Extents(DERIVED, known).imply(asked) == is_seen
    holds = all(numeric(asked, sizes) >= 0 for sizes in all_sizes(known))
    assert holds == is_seen


def test_inside_of_loops_more_is_known() -> None:
    extents = Extents({})
    assert not extents.imply(N.minus(3))
    assert extents.where_some([(number_index(2), N.minus(1)), None]).imply(N.minus(3))
    assert not extents.imply(N.minus(3))


BOX = Domain(((number_index(1), N), (number_index(-2), M.minus(1)), None))


@pytest.mark.parametrize("seed", range(30))
def test_least_value_in_a_box(seed: int) -> None:
    choices = random.Random(seed)
    a, b, c, d = (choices.randint(-3, 3) for _ in range(4))
    asked = axis(0).scaled(a).plus(axis(1).scaled(b)).plus(N.scaled(c)).plus(d)
    least = BOX.least_in_box(asked)
    assert least is not None
    for n, m in itertools.product(range(1, 5), range(4)):
        values = [a * i + b * j + c * n + d for i in range(1, n + 1) for j in range(-2, m)]
        assert numeric(least, {"n": n, "m": m}) == min(values)


def test_no_least_value_where_nothing_bounds() -> None:
    assert BOX.least_in_box(axis(2)) is None
    assert BOX.least_in_box(axis(3)) is None


@pytest.mark.parametrize(("n", "m"), [*itertools.product(range(4), repeat=2)])
def test_empty_boxes(n: int, m: int) -> None:
    domain = Domain(((number_index(1), N.minus(1)), (ZERO, M)), frozenset({N.minus(M)}))
    indices = [(i, j) for i in range(1, n) for j in range(m + 1) if n >= m]
    assert is_empty(domain, {"n": n, "m": m}) == (not indices)


def test_derived_extents_may_depend_on_derived_ones() -> None:
    derived: Derived = {"larger": ("max", N, M), "smaller": ("min", LARGER.minus(1), number_index(4))}
    assert with_derived({"n": 3, "m": 2}, derived) == {"n": 3, "m": 2, "larger": 3, "smaller": 2}
    assert with_derived({"n": 3, "m": 9}, derived) == {"n": 3, "m": 9, "larger": 9, "smaller": 4}
