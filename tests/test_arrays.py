"""Value and gradients of the tables of sums and of matrix identities, against references by NumPy."""

from __future__ import annotations

from functools import cache
from typing import Any

import array_corpus
import identities
import numpy as np
import pytest
import sympy as sp
from array_corpus import SIZES, ArrayCase, central_differences

import symgrad

CASES = {case.name: case for case in [*array_corpus.CORPUS, *identities.CORPUS]}
RUNS = [(name, size) for name in CASES for size in SIZES]
SHORT = [(name, size) for name, size in RUNS if size != "long"]
PARTLY_READ = [(name, size) for name, size in SHORT if CASES[name].unread]
RTOL = 1e-10


def _ids(runs: list[tuple[str, str]]) -> list[str]:
    return [f"{name}-{size}" for name, size in runs]


@cache
def kernel(name: str) -> Any:
    return symgrad.compile(CASES[name].expression())


def assert_agrees(result: Any, case: ArrayCase, arrays: dict[str, Any]) -> None:
    """To 1e-10 of the terms: of a value these are the x * d_x, of a gradient its entries, or 1 if another's reach 1."""
    value, gradients = case.value(**arrays), case.gradients(**arrays)
    terms = sum(np.abs(np.asarray(arrays[x]) * gradients[x]).sum() for x in gradients)
    assert np.ndim(result.value) == 0
    assert abs(result.value - value) <= RTOL * (abs(value) + terms), f"value {result.value}, want {value}"
    sizes = {name: np.abs(want).max(initial=0) for name, want in gradients.items()}
    for name, want in gradients.items():
        got = np.asarray(result.grad[name])
        assert got.shape == want.shape, name
        assert got.dtype == np.float64, name
        atol = RTOL * max(sizes[name], min(1, max(sizes.values())))
        np.testing.assert_allclose(got, np.float64(want), rtol=0, atol=float(atol), err_msg=f"d_{name}")


def test_names_are_told_once() -> None:
    assert len(CASES) == len(array_corpus.CORPUS) + len(identities.CORPUS)


@pytest.mark.parametrize("name", CASES)
def test_inputs_are_the_free_symbols(name: str) -> None:
    case = CASES[name]
    told = {str(extent) for x in case.inputs for axis in x.axes for extent in axis.free_symbols}
    free = {symbol.name for symbol in case.expression().free_symbols if isinstance(symbol, sp.Symbol | sp.MatrixSymbol)}
    assert free - told <= {x.name for x in case.inputs} <= free | told


@pytest.mark.parametrize(("name", "size"), SHORT, ids=_ids(SHORT))
def test_references_agree_with_central_differences(name: str, size: str) -> None:
    case = CASES[name]
    arrays = case.arrays(size)
    gradients = case.gradients(**arrays)
    assert set(gradients) == {x.name for x in case.inputs if x.differentiable}
    for x, want in gradients.items():
        slopes = central_differences(case, arrays, x)
        scale = 1 + np.abs(want).max(initial=0)
        np.testing.assert_allclose(slopes, want, rtol=0, atol=1e-9 * scale, err_msg=f"d_{x}")


@pytest.mark.parametrize(("name", "size"), RUNS, ids=_ids(RUNS))
def test_kernel_agrees_with_the_reference(name: str, size: str) -> None:
    case = CASES[name]
    arrays = case.arrays(size)
    assert_agrees(kernel(name)(**arrays), case, arrays)


@pytest.mark.parametrize("name", CASES)
def test_a_second_call_gives_the_same(name: str) -> None:
    case = CASES[name]
    arrays = case.arrays("small")
    first = kernel(name)(**arrays)
    kernel(name)(**case.arrays("other"))
    second = kernel(name)(**arrays)
    np.testing.assert_array_equal(first.value, second.value)
    for x in case.inputs:
        if x.differentiable:
            np.testing.assert_array_equal(first.grad[x.name], second.grad[x.name], err_msg=f"d_{x.name}")


@pytest.mark.parametrize(("name", "size"), PARTLY_READ, ids=_ids(PARTLY_READ))
def test_entries_that_are_not_read_may_be_nan(name: str, size: str) -> None:
    case = CASES[name]
    arrays = case.arrays(size)
    poisoned = dict(arrays)
    for x, unread in case.unread.items():
        at = unread(np.ones(arrays[x].shape)) != 0
        assert at.any()
        poisoned[x] = np.where(at, np.nan, arrays[x])
        assert not case.gradients(**arrays)[x][at].any()
    assert_agrees(kernel(name)(**poisoned), case, arrays)
