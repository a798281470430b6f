"""Value and gradients of the tables of sums and of matrix identities, against references by NumPy."""

from __future__ import annotations

from typing import Any

import array_corpus
import identities
import numpy as np
import pytest
import sympy as sp
from array_corpus import SIZES, ArrayCase, central_differences

import symgrad
from symgrad.analysis.shapes import bind
from symgrad.compiler import Stages
from symgrad.evaluate.evaluation import evaluate
from symgrad.graph.graph import sizes_of

CASES = {case.name: case for case in [*array_corpus.CORPUS, *identities.CORPUS]}
SHORT = [(name, size) for name in CASES for size in SIZES if size != "long"]
# A kernel takes seconds to build: every fourth sum and every sixteenth identity, or all with --all-rows.
COMPILED = [case.name for case in [*array_corpus.CORPUS[::4], *identities.CORPUS[::16]]]
RTOL = 1e-10


def _ids(runs: list[tuple[str, str]]) -> list[str]:
    return [f"{name}-{size}" for name, size in runs]


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "compiled" in metafunc.fixturenames:
        metafunc.parametrize("compiled", CASES if metafunc.config.getoption("--all-rows") else COMPILED)


def test_kernel_agrees_with_the_reference(compiled: str) -> None:
    """At several sizes, again after other sizes, and with NaN where nothing is read: one kernel, built once."""
    case = CASES[compiled]
    kernel = symgrad.compile(case.expression())
    results = [kernel(**case.arrays(size)) for size in SIZES]
    for size, result in zip(SIZES, results, strict=True):
        assert_agrees(result, case, case.arrays(size))
    again = kernel(**case.arrays(next(iter(SIZES))))
    np.testing.assert_array_equal(results[0].value, again.value)
    for one, two in zip(results[0].grad, again.grad, strict=True):
        np.testing.assert_array_equal(one, two)
    if case.unread:
        assert_agrees(kernel(**poisoned(case, "small")), case, case.arrays("small"))


@pytest.mark.parametrize(("name", "size"), SHORT, ids=_ids(SHORT))
def test_graph_agrees_with_the_reference(name: str, size: str) -> None:
    """The graph of value and gradients, on the reference evaluator: lowering, laws and differentiation."""
    case = CASES[name]
    stages = Stages(case.expression(), None, None, ())
    graph, arrays = stages.simplified, case.arrays(size)
    names = [symbol.name for symbol in stages.args]
    given = [np.asarray(arrays[name]) for name in names]
    told = {name: int(arrays[name]) for name in names if name in {extent.name for extent in sizes_of(graph)}}
    rest = [place for place, name in enumerate(names) if name not in told]
    shapes = [graph.shapes[place] for place in rest]
    sizes = bind([names[place] for place in rest], shapes, [given[place].shape for place in rest], told)
    value, *derivatives = evaluate(graph, given, sizes)
    gradient = dict(zip([names[place] for place in graph.wrt], derivatives, strict=True))
    assert_agrees(symgrad.Result(value, gradient), case, arrays)


def poisoned(case: ArrayCase, size: str) -> dict[str, Any]:
    """The inputs with NaN in all entries that the expression does not read."""
    arrays = case.arrays(size)
    result = dict(arrays)
    for x, unread in case.unread.items():
        at = unread(np.ones(arrays[x].shape)) != 0
        assert at.any()
        result[x] = np.where(at, np.nan, arrays[x])
        assert not case.gradients(**arrays)[x][at].any()
    return result
