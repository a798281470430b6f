"""Tables of indices: checked when they are new, in words that name them; whatever was checked is not trusted later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad

n, m, k = sp.symbols("n m k", integer=True)
x = sp.IndexedBase("x", shape=(n,))
at, to = (sp.IndexedBase(sp.Symbol(name, integer=True), shape=(m,)) for name in ("at", "to"))
POINT = np.array([1.0, 2.0, 3.0, 4.0])


def counted(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The integers whose range is looked for from now on."""
    arguments, seen = kernel._runner.arguments, list[Any]()
    right = arguments._index_range

    def index_range(values: Any) -> tuple[int, int]:
        seen.append(np.array(values))
        return right(values)

    monkeypatch.setattr(arguments, "_index_range", index_range)
    return seen


@pytest.mark.parametrize("index", [at[k] + 1, sp.Mod(at[k], 10) + to[k] * 0 + 1], ids=str)
def test_a_computed_index_is_evaluated_once(index: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = symgrad.compile(sp.Sum(x[index] * x[to[k]], (k, 0, m - 1)), [at, to, x])
    seen = counted(kernel, monkeypatch)
    one, two = np.array([0, 2, 1]), np.array([3, 3, 0])
    kernel(one, two, POINT)
    first = len(seen)
    assert kernel(one.copy(), list(two), POINT + 1).value == kernel(one, two, POINT + 1).value
    again = (len(seen) - first) // 2
    assert again < first  # the table that is an index itself is looked at each time
    one[0] = 9
    for _ in range(2):  # what has failed is not remembered
        with pytest.raises(IndexError, match=r"holds (9|10)"):
            kernel(one, two, POINT)
    one[0] = 1
    kernel(one, two, POINT)
    two[2] = -1  # in place, in the other one
    with pytest.raises(IndexError, match="to holds -1"):
        kernel(one, two, POINT)


@pytest.mark.parametrize("index", [at[k], at[m - 1 - k]], ids=str)
def test_a_table_that_is_changed_in_place_is_checked(index: Any) -> None:
    kernel = symgrad.compile(sp.Sum(x[index], (k, 0, m - 1)), [at, x])
    table = np.array([0, 2, 1])
    for _ in range(2):
        assert kernel(table, POINT).value == 6.0
    table[0] = 9
    with pytest.raises(IndexError, match="at holds 9"):
        kernel(table, POINT)


def test_another_length_is_another_check() -> None:
    kernel = symgrad.compile(sp.Sum(x[at[k]], (k, 0, m - 1)), [at, x])
    table = np.array([0, 3])
    assert kernel(table, POINT).value == 5.0
    with pytest.raises(IndexError, match=r"at holds 3, an index of axis 0 of x out of the bounds 0 \.\. 2"):
        kernel(table, POINT[:3])
    assert kernel(table, POINT).value == 5.0


def test_indices_of_a_batch() -> None:
    kernel = symgrad.compile(sp.Sum(x[at[k]], (k, 0, m - 1)), [at, x], batch=True)
    tables = np.array([[0, 3], [1, 2]])
    for _ in range(2):
        assert kernel(tables, POINT).value.tolist() == [5.0, 5.0]
    tables[1, 1] = 4
    with pytest.raises(IndexError, match="at holds 4"):
        kernel(tables, POINT)


def test_a_number_that_is_an_index() -> None:
    which = sp.Symbol("which", integer=True)
    kernel = symgrad.compile(x[which] ** 2 + sp.Sum(x[k], (k, 0, n - 1)), [which, x])
    assert [kernel(place, POINT).value for place in (0, 0, 3)] == [11.0, 11.0, 26.0]
    with pytest.raises(IndexError):
        kernel(4, POINT)
