"""Arrays on a GPU where there is none: as PTX, and through NVIDIA's assembler, in a process that sees no GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from array_corpus import CORPUS
from assembler import Measured, measured
from symgrad_codegen.run import build

import symgrad
from symgrad import SymgradError
from tests.codegen.test_cuda import needs_compiler
from tests.codegen.test_patterns import CASES as SPARSE
from tests.evaluate.test_arrays import CASES

pytestmark = [needs_compiler, pytest.mark.own_process(CUDA_VISIBLE_DEVICES="")]

i, n = sp.Symbol("i", integer=True), sp.Symbol("n", integer=True, positive=True)
x = sp.IndexedBase("x", shape=(n,))
ROWS = [(case.name, "float64") for case in CORPUS[::20]] + [(case.name, "float32") for case in CORPUS[::30]]


def assert_fits(found: Measured, source: str) -> None:
    """Nothing is spilled, and no sum depends on the order of atomic additions."""
    assert not found.is_spilled, found
    assert not found.atomic
    assert found.entries == len(build.load(source).KERNELS) + 1  # and the one that joins sums


@pytest.mark.parametrize(("row", "dtype"), ROWS)
def test_sums_become_ptx(row: str, dtype: str) -> None:
    source = symgrad.emit(CASES[row].expression(), target="cuda", dtype=dtype)
    found = measured(source, (9, 0))
    assert_fits(found, source)
    assert dtype == "float64" or not found.in_float64


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("derivative", ["jacobian", "hessian"])
def test_derivatives_of_arrays_become_ptx(derivative: str, dtype: str) -> None:
    t = sp.Symbol("t")
    total = sp.Sum(sp.sin(t * x[i]) * x[i], (i, 0, n - 1))
    steps = symgrad.family((x[i + 1] - x[i]) ** 2 * t, (i, n - 1))
    expr = total if derivative == "hessian" else {"f": steps, "g": [total, t * total]}
    source = symgrad.emit(expr, derivative=derivative, target="cuda", dtype=dtype)
    assert_fits(measured(source, (9, 0)), source)


@pytest.mark.parametrize("case", SPARSE)
def test_families_of_entries_become_ptx(case: str) -> None:
    expr, derivative = SPARSE[case]
    source = symgrad.emit(expr, derivative=derivative, sparse="csr", target="cuda")
    assert_fits(measured(source, (9, 0)), source)


@pytest.mark.parametrize("capability", [(7, 5), (8, 0)], ids=str)
def test_a_net_becomes_ptx_for_other_generations(capability: tuple[int, int]) -> None:
    """Two layers, with products of matrices."""
    source = symgrad.emit(CASES["net"].expression(), target="cuda")
    assert "NEEDS_CUPY = True" in source
    assert_fits(measured(source, capability), source)


def test_a_call_says_what_is_missing() -> None:
    kernel = symgrad.compile(sp.Sum(x[i] ** 2, (i, 0, n - 1)), target="cuda")
    with pytest.raises(SymgradError, match=r"no GPU to run on.*driver.*symgrad\[cuda13\]"):
        kernel(np.ones(3))


@pytest.mark.parametrize("name", ["least_and_largest", "set_points"])
def test_kernels_that_every_module_has_become_ptx(name: str) -> None:
    from numba import cuda, types

    module: Any = build.load(symgrad.emit(sp.Sum(x[i] ** 2, (i, 0, n - 1)), target="cuda"))
    kinds = {
        "least_and_largest": (types.int64[::1], types.int64[:, ::1]),
        "set_points": (module.real[::1], module.real),
    }
    text, _ = cuda.compile_ptx(getattr(module, name).py_func, types.void(*kinds[name]), cc=(9, 0))
    assert ".visible .entry" in text
