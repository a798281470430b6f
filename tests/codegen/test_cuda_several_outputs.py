"""Several outputs, Jacobians and Hessians on a GPU, in Numba's simulator, in a process of their own."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
from symgrad_codegen.run import build
from symgrad_codegen.run import device as run_cuda

import symgrad
from tests.codegen.test_cuda import needs_compiler
from tests.codegen.test_cuda_arrays_simulator import simulator
from tests.codegen.test_cuda_simulator import device, on_device
from tests.codegen.test_patterns import CASES as SPARSE
from tests.codegen.test_patterns import POINT as SPARSE_POINT
from tests.kernel import test_array_outputs
from tests.kernel.test_array_outputs import GIVEN, SQUARES, TOTAL, close, i, n, s, t, x
from tests.kernel.test_results import SINGLE, STRUCTURES, SYMBOLS, F, G, H, check_hessian, check_jacobian, points

__all__ = ["simulator"]  # a fixture of all tests here

pytestmark = [needs_compiler, pytest.mark.own_process(NUMBA_ENABLE_CUDASIM="1")]
DEEP = STRUCTURES["deep"].structure
STEPS = symgrad.family((x[i + 1] - x[i]) ** 2 * s, (i, n - 1))


def arrays(result: Any) -> list[Any]:
    """All arrays and numbers of a result, in order."""
    if isinstance(result, dict):
        result = list(result.values())
    if not isinstance(result, (tuple, list)):
        return [result]
    return [own for part in result for own in arrays(part)]


def on_host(result: Any) -> list[Any]:
    return [own.copy_to_host() if on_device(own) else own for own in arrays(result)]


# --- over points ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str, dtype: str) -> None:
    case = STRUCTURES[name]
    check_jacobian(symgrad.compile(case.structure, SYMBOLS, dtype=dtype, target="cuda"), case, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SINGLE)
def test_hessians(name: str, dtype: str) -> None:
    kernel = symgrad.compile(SINGLE[name], SYMBOLS, derivative="hessian", dtype=dtype, target="cuda")
    check_hessian(kernel, SINGLE[name], dtype)


MADE: list[tuple[Any, str | None]] = [
    (DEEP, "jacobian"),
    (DEEP, None),
    (SINGLE["all"], "hessian"),
    ([F, SYMBOLS[0]], "jacobian"),
]


@pytest.mark.parametrize(("expr", "derivative"), MADE)
def test_points_on_the_device_and_in_chunks(expr: Any, derivative: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = symgrad.compile(expr, SYMBOLS, derivative=derivative, target="cuda")
    given = points((2, 9), "float64")
    want = kernel(*given)
    found = kernel(device(given[0]), *given[1:])
    assert all(map(on_device, arrays(found)))
    for one, two in zip(on_host(found), arrays(want), strict=True):
        np.testing.assert_array_equal(one, two)
    for limit in ("CHUNK", "_NUMBERS"):
        with monkeypatch.context() as patch:
            patch.setattr(run_cuda, limit, 5)
            patch.setattr("symgrad.kernel.packing._DEVICE_NUMBERS", 1)
            for one, two in zip(arrays(kernel(*given)), arrays(want), strict=True):
                np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("expr", "derivative"), MADE)
def test_out_of_points(expr: Any, derivative: str | None) -> None:
    kernel = symgrad.compile(expr, SYMBOLS, derivative=derivative, target="cuda")
    given = points((7,), "float64")
    want = kernel(*given)
    out = copy.deepcopy(want)
    for own in arrays(out):
        own[...] = np.nan
    found = kernel(*given, out=out)
    assert all(np.shares_memory(one, two) for one, two in zip(arrays(found), arrays(out), strict=True))
    held = kernel(device(given[0]), *given[1:])
    again = kernel(device(given[0] + 1), *given[1:], out=held)
    shifted = kernel(given[0] + 1, *given[1:])
    for one, two, three, four in zip(arrays(found), arrays(want), on_host(again), arrays(shifted), strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(three, four)


def test_out_of_another_shape_is_refused() -> None:
    kernel = symgrad.compile([F, G], SYMBOLS, target="cuda")
    given = points((7,), "float64")
    value, jacobian = kernel(*given)
    with pytest.raises(ValueError, match=r"out: jacobian must hold float64 arrays of shape \(7, 2, 3\)"):
        kernel(*given, out=(value, jacobian[:, :1].copy()))
    with pytest.raises(ValueError, match=r"out: jacobian must hold float64 arrays of shape \(7, 2, 3\)"):
        kernel(device(given[0]), *given[1:], out=(device(value), device(jacobian[:, :1].copy())))


def test_a_jacobian_by_nothing_and_products() -> None:
    kernel = symgrad.compile([F, G, H], SYMBOLS, wrt=[], target="cuda")
    assert kernel(1.0, 2.0, 3.0).jacobian.shape == (3, 0)
    assert kernel([1.0, 2.0], 2.0, 3.0).jacobian.shape == (2, 3, 0)
    kernel, other = (symgrad.compile([F, G, H], SYMBOLS, target=target) for target in ("cuda", "cpu"))
    for name, weights in (("jvp", (1.0, -2.0, 0.5)), ("vjp", np.array([1.0, -2.0, 0.5])), ("jacobian", None)):
        given = ((0.5, 1.5, 2.0),) if weights is None else ((0.5, 1.5, 2.0), weights)
        for one, two in zip(getattr(kernel, name)(*given), getattr(other, name)(*given), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-14)
    assert kernel.check(0.5, 1.5, 2.0)
    assert symgrad.compile(SINGLE["all"], SYMBOLS, derivative="hessian", target="cuda").check(0.5, 1.5, 2.0)


# --- over arrays ------------------------------------------------------------------------------------------------------


ON_ARRAYS = [
    test_array_outputs.test_a_matrix_expression,
    test_array_outputs.test_a_family,
    test_array_outputs.test_structures_of_arrays_and_numbers,
    test_array_outputs.test_numbers_by_numbers_beside_arrays_are_one_array,
    test_array_outputs.test_hessians_of_arrays,
    test_array_outputs.test_products_of_arrays,
    test_array_outputs.test_batches,
]


@pytest.mark.parametrize("test", ON_ARRAYS, ids=[test.__name__ for test in ON_ARRAYS])
def test_as_on_the_cpu(test: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of these kernels, by formulas in NumPy."""
    monkeypatch.setattr(symgrad, "compile", partial(symgrad.compile, target="cuda"))
    test()


MANY: dict[str, Any] = {"f": STEPS, "g": [TOTAL, SQUARES, t], "h": SQUARES}


@pytest.mark.parametrize("batch", [False, True])
def test_arrays_on_the_device(batch: bool) -> None:
    kernel, other = (symgrad.compile(MANY, batch=batch, target=target) for target in ("cuda", "cpu"))
    own = np.stack([GIVEN["x"], GIVEN["x"][::-1]]) if batch else GIVEN["x"]
    want = other(0.75, -1.5, own)
    found = kernel(0.75, -1.5, device(own))
    assert all(map(on_device, arrays(found)))
    for one, two in zip(on_host(found), arrays(want), strict=True):
        close(one, two)
    again = kernel(0.5, -1.5, device(own), out=found)
    for one, two in zip(on_host(again), arrays(other(0.5, -1.5, own)), strict=True):
        close(one, two)
    out = kernel(0.75, -1.5, own)
    for array in arrays(out):
        if isinstance(array, np.ndarray):
            array[...] = np.nan
    for one, two in zip(arrays(kernel(0.75, -1.5, own, out=out)), arrays(want), strict=True):
        close(one, two)


def test_float32() -> None:
    found = symgrad.compile(MANY, dtype="float32", target="cuda")(0.75, -1.5, GIVEN["x"])
    want = symgrad.compile(MANY)(0.75, -1.5, GIVEN["x"])
    for one, two in zip(arrays(found), arrays(want), strict=True):
        assert np.shape(one) == np.shape(two)
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-6)
    assert found.jacobian["f"]["x"].dtype == np.float32


def test_one_number_given_twice_has_two_places() -> None:
    """Two outputs that are one computed number were two arguments of one name, which is no Python."""
    assert (
        symgrad.compile([SQUARES, SQUARES, SQUARES], derivative=None, target="cuda")(2.0, np.ones(3)).tolist()
        == [6] * 3
    )
    source = symgrad.emit([SQUARES, SQUARES], target="python")
    assert build.load(source, use_cache=False).kernel(2.0, np.ones(3))[0] == (6.0, 6.0)


CASES: dict[str, tuple[Any, str | None]] = {
    "jacobian": (MANY, "jacobian"),
    "values": ({"f": STEPS, "g": TOTAL}, None),
    "a family": (STEPS, "jacobian"),
    "hessian": (TOTAL * SQUARES, "hessian"),
    "gradient": (TOTAL, "gradient"),
}


@pytest.mark.parametrize("name", CASES)
def test_modules_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kernel` of an emitted module, of NumPy's arrays and on the device, beside that of the CPU."""
    expr, derivative = CASES[name]
    module, other = (
        build.load(symgrad.emit(expr, derivative=derivative, target=target), use_cache=False)
        for target in ("cuda", "python")
    )
    given = [GIVEN[argument] for argument in module.ARGUMENTS]
    want, found = other.kernel(*given), module.kernel(*given)
    out = copy.deepcopy(found)
    again = module.kernel(*given, out=out)
    for one, two in zip(arrays(again), arrays(out), strict=True):
        assert np.ndim(one) == 0 or one is two
    with pytest.raises(ValueError, match="out must hold"):
        module.kernel(*given, out=(out[0], (*out[1], np.empty(3))))
    # As arrays on a GPU are known to a module, and those of the simulator are not.
    from numba import cuda
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    monkeypatch.setattr(FakeCUDAArray, "__cuda_array_interface__", {}, raising=False)
    monkeypatch.setattr(cuda, "as_cuda_array", lambda array: array, raising=False)
    there = module.kernel(*(device(own) if np.ndim(own) else own for own in given))
    assert all(map(on_device, arrays(there)))
    for one, two, three in zip(arrays(found), arrays(want), on_host(there), strict=True):
        close(one, two)
        close(np.reshape(three, np.shape(two)), two)
    held = module.kernel(*given, out=there)
    assert all(one is two for one, two in zip(arrays(held), arrays(there), strict=True))


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_modules_alone(name: str) -> None:
    """Families are arrays among the outputs, and the pattern is plain NumPy."""
    expr, derivative = SPARSE[name]
    module, other = (
        build.load(symgrad.emit(expr, derivative=derivative, sparse="csr", target=target), use_cache=False)
        for target in ("cuda", "python")
    )
    given = [SPARSE_POINT[argument] for argument in module.ARGUMENTS]
    for one, two in zip(arrays(module.kernel(*given)), arrays(other.kernel(*given)), strict=True):
        close(one, two)
    assert module.MIRRORED == other.MIRRORED
    for one, two in zip(arrays(module.kernel_pattern(*given)), arrays(other.kernel_pattern(*given)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_names_are_reserved() -> None:
    with pytest.raises(ValueError, match="choose another"):
        symgrad.emit(TOTAL, target="cuda", name="SHAPES")
