"""Arrays on a GPU in Numba's simulator, in a process of their own: it is chosen when Numba is imported."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import identities
import numpy as np
import pytest
import sympy as sp
from array_corpus import CORPUS, SIZES
from symgrad_codegen.run import device as run_cuda

import symgrad
from symgrad import Result, ShapeError, SymgradError
from symgrad.reductions import Largest
from tests.codegen.test_cuda import needs_compiler
from tests.codegen.test_cuda_simulator import device, flat, on_device, same
from tests.codegen.test_emit import identifiers, named
from tests.evaluate.test_arrays import CASES, assert_agrees, poisoned
from tests.kernel.test_arrays import LOSS, assert_right, inputs, reference

i, j, k = sp.symbols("i j k", integer=True)
n, m = sp.symbols("n m", integer=True, positive=True)
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(n,))
s, t = sp.symbols("s t")

pytestmark = [
    needs_compiler,
    pytest.mark.own_process(NUMBA_ENABLE_CUDASIM="1"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of infinities on the way, which are no mistake
]


@pytest.fixture(autouse=True)
def simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared for many threads, where it is."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
        return
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    def array(self: Any, shape: int, dtype: Any) -> Any:
        return self._allocations.setdefault(shape, np.empty(shape))

    # Without a lock it would now and then give threads that come at the same time an array each.
    monkeypatch.setattr(FakeCUDAShared, "array", array)
    # It waits for its threads in a busy loop: six times as fast where others get their turn more often.
    sys.setswitchinterval(1e-4)


# --- in the simulator: sums and identities ----------------------------------------------------------------------------

# What plain Python raises where a GPU gives infinity or NaN, in a branch that is not taken, at an entry that no sum
# reads, or on the way to exp(-inf) = 0.
RAISES = {
    "charges": ZeroDivisionError,  # 1/|x_i - x_j| where i < j does not hold
    "stress": ZeroDivisionError,  # 1/|x_i - x_j| at i = j
    "total_variation": ZeroDivisionError,  # the slope of a square root at 0
    "cox_huge": OverflowError,  # exp of a number that is shifted down only where it is read
    "infinite_term_no_times": OverflowError,  # exp of a number that is multiplied by 0
    "largest_logarithm_at_a_pole": ValueError,  # log of 0 in a loser
    "logarithms_in_triangles": ValueError,  # log of an entry that no sum reads
    "roots_of_none": ValueError,  # roots in branches that are not taken, whose conditions have more axes
    "roots_of_pairs": ValueError,
    "roots_of_pairs_in_order": ValueError,
}
ROWS = [case.name for case in [*CORPUS, *identities.CORPUS[::6]]]
# Sums that each thread has in registers, and in memory of its own; scattered ones; products of matrices.
LONG = ["logistic", "band", "convolution", "embedding", "net"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every second row, all with --all-rows."""
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", ROWS if metafunc.config.getoption("--all-rows") else ROWS[::2])


def test_agrees_with_its_reference(row: str) -> None:
    """At two sizes, by threads that have one index each, and several; none races, or reads what is not set."""
    case = CASES[row]
    kernel = symgrad.compile(case.expression(), target="cuda")
    small, other = case.arrays("small"), case.arrays("other")
    if row in RAISES:
        with pytest.raises(RAISES[row]):
            kernel(**other)
        return
    with watched(kernel._runner.module):
        first = kernel(**small)
    assert_agrees(first, case, small)
    with mock.patch.object(kernel._runner.module, "MOST_BLOCKS", 1):  # threads with more than one index each
        assert_agrees(kernel(**other), case, other)
    # Again after other sizes, and with NaN where nothing is read: in memory that the calls before have used.
    assert same(kernel(**(poisoned(case, "small") if case.unread else small)), first)


@pytest.mark.parametrize("name", LONG)
def test_long_data_agree_with_the_reference(name: str) -> None:
    case, long = CASES[name], CASES[name].arrays("long")
    assert SIZES["long"]["n"] == 130
    kernel = symgrad.compile(case.expression(), target="cuda")
    for limits in ({"MOST_BLOCKS": 3}, {"SCRATCH_BYTES": 1}):  # the latter is one block, where memory is scarce
        with mock.patch.multiple(kernel._runner.module, **limits):
            assert_agrees(kernel(**long), case, long)


class Watched:
    """An array as a kernel gets it, which notes what threads read and write each entry."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.size = array, array.shape, array.size
        self.readers: dict[Any, set[Any]] = {}
        self.writers: dict[Any, set[Any]] = {}

    def __getitem__(self, place: Any) -> Any:
        self.readers.setdefault(place, set()).add(_thread())
        return self.array[place]

    def __setitem__(self, place: Any, value: Any) -> None:
        self.writers.setdefault(place, set()).add(_thread())
        self.array[place] = value

    def misused(self) -> list[Any]:
        """Entries of which it depends on the order of threads what they hold; and those that Python counts back to."""
        raced = [at for at, own in self.writers.items() if len(own | self.readers.get(at, set())) > 1]
        return raced + [at for at in {**self.readers, **self.writers} if np.min(at) < 0]


def _thread() -> tuple[int, int]:
    thread: Any = threading.current_thread()
    return thread.blockIdx.x, thread.threadIdx.x


@contextmanager
def watched(module: Any) -> Iterator[None]:
    """Kernels fail that race, or read what nothing was written to: new arrays hold NaN."""
    from numba import cuda

    new_array, launch = cuda.device_array, module.launch

    def full_of_nan(shape: Any, dtype: Any = np.float64, **options: Any) -> Any:
        array = new_array(shape, dtype, **options)
        array.copy_to_device(np.full(array.shape, np.nan, dtype))
        return array

    def watch(kernel: Any, blocks: int, threads: int, stream: Any, *arguments: Any) -> None:
        given = [Watched(a) if on_device(a) else a for a in arguments]
        launch(kernel, blocks, threads, stream, *given)
        for place, array in enumerate(given):
            misused = array.misused() if isinstance(array, Watched) else []
            assert not misused, f"argument {place} of {kernel.__name__} at {misused}"

    with mock.patch.object(cuda, "device_array", full_of_nan), mock.patch.object(module, "launch", watch):
        yield


# --- in the simulator: calls ------------------------------------------------------------------------------------------


@cache
def loss(**options: Any) -> Any:
    """Softmax cross entropy with labels: products of matrices, gathers and their scattered derivatives."""
    return symgrad.compile(LOSS, target="cuda", **options)


@cache
def scaled(**options: Any) -> Any:
    """Its arguments are t, a number, and x and y of one length."""
    return symgrad.compile(t * sp.Sum(sp.sin(x[i]) * y[i] ** 2, (i, 0, n - 1)) + t**2, target="cuda", **options)


def columns(length: int = 9) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(length)
    return generator.normal(size=length), generator.normal(size=length)


def scaled_by_numpy(t: float, x: np.ndarray, y: np.ndarray) -> list[Any]:
    total = (np.sin(x) * y**2).sum()
    return [t * total + t**2, total + 2 * t, t * np.cos(x) * y**2, 2 * t * np.sin(x) * y]


def assert_scaled(result: Result, *given: Any, tolerance: float = 1e-13) -> None:
    for got, want in zip(flat(result), scaled_by_numpy(*given), strict=True):
        assert np.shape(got) == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def on_host(result: Result) -> Result:
    value, *gradient = flat(result)
    return Result(value, type(result.grad)(gradient))


def test_arrays_of_numpy_give_a_float_and_arrays_of_numpy() -> None:
    given = inputs(6)
    before = {name: array.copy() for name, array in given.items()}
    one, two = loss()(**given), loss()(**given)
    assert_right(one, given)
    assert type(one.value) is float
    assert {type(array) for array in one.grad} == {np.ndarray}
    assert not any(np.shares_memory(a, b) for a, b in zip(one.grad, two.grad, strict=True))
    assert same(one, two)
    for name, array in given.items():
        np.testing.assert_array_equal(array, before[name])
    result = scaled()(0.5, *columns())
    assert_scaled(result, 0.5, *columns())
    assert [type(a) for a in (result.value, *result.grad)] == [float, float, np.ndarray, np.ndarray]


def test_minibatches_of_other_lengths_follow() -> None:
    for rows in (3, 10, 1, 30, 10, 3):
        given = inputs(rows)
        assert_right(loss()(**given), given)
        given = inputs(rows + 1)
        assert_right(on_host(loss()(**{name: device(array) for name, array in given.items()})), given)
    given = inputs(10)
    part = {"X": given["X"][4:9], "W": given["W"], "y": given["y"][4:9]}
    assert_right(loss()(**part), part)
    rows = {"X": device(given["X"])[4:9], "W": given["W"], "y": device(given["y"])[4:9]}
    assert_right(on_host(loss()(**rows)), part)


def test_device_arrays_give_device_arrays() -> None:
    given = inputs(6)
    want = loss()(**given)
    for names in (("X",), ("y",), ("W", "X"), ("X", "y"), ("W", "X", "y")):
        result = loss()(**{name: device(a) if name in names else a for name, a in given.items()})
        assert all(map(on_device, (result.value, *result.grad)))
        assert same(result, want)
    x, y = columns()
    for place in range(3):
        mixed = [device(np.asarray(a)) if at == place else a for at, a in enumerate((0.5, x, y))]
        result = scaled()(*mixed)
        assert [a.shape for a in (result.value, *result.grad)] == [(), (), (9,), (9,)]
        assert all(map(on_device, (result.value, *result.grad)))
        assert_scaled(result, 0.5, x, y)


def test_device_arrays_of_other_layouts_and_dtypes_are_converted() -> None:
    given = inputs(6)
    want = loss()(**given)
    X = given["X"]
    for array in (device(np.asfortranarray(X)), device(X.T.copy()).T, device(np.repeat(X, 2, axis=1))[:, ::2]):
        assert same(loss()(**{**given, "X": array}), want)
    for dtype in ("bool", "int8", "int64", "float16", "float32"):
        whole = {**given, "X": (3 * X).astype(dtype)}
        assert same(loss()(**{**whole, "X": device(whole["X"])}), loss()(**whole)), dtype
    for number in (device(np.array(2)), device(np.array(2.0, np.float32)), np.float32(2.0), 2):
        assert_scaled(scaled()(number, *columns()), 2.0, *columns())


def test_out_is_filled() -> None:
    result = loss()(**inputs(5))
    for _ in range(2):
        given = inputs(5)
        again = loss()(**given, out=result)
        assert all(a is b for a, b in zip(again.grad, result.grad, strict=True))
        assert_right(again, given)
        result = again
    result = scaled()(0.25, *columns())  # numbers among the derivatives
    assert_scaled(scaled()(0.5, *columns(), out=result), 0.5, *columns())
    for give in (device, lambda array: array):  # arrays of NumPy in, results on the device
        result = loss()(**{name: device(array) for name, array in inputs(5).items()})
        given = inputs(5)
        again = loss()(**{name: give(array) for name, array in given.items()}, out=result)
        assert_right(on_host(again), given)
        assert again.value is result.value
        assert all(a is b for a, b in zip(again.grad, result.grad, strict=True))
    result = scaled()(0.25, *map(device, columns()))
    again = scaled()(0.5, *columns(), out=result)
    assert_scaled(again, 0.5, *columns())
    assert same(result, again)
    for value in (None, 0.0):  # a value of its own, where there is no array for it
        again = scaled()(0.5, *columns(), out=Result(value, result.grad))
        assert on_device(again.value)
        assert_scaled(again, 0.5, *columns())


def test_an_out_that_cannot_be_written_is_refused() -> None:
    given = inputs(5)
    for give in (lambda array: array, device):
        inside = {name: give(array) for name, array in given.items()}
        W, X = inside["W"], inside["X"]
        d_W, d_X = give(np.zeros((4, 3))), give(np.zeros((5, 4)))
        for bad, words in [
            ((d_X, d_W), "d_W"),
            ((d_W, give(np.zeros((6, 4)))), "d_X"),
            ((W, d_X), "overlap"),
            ((d_W, X), "overlap"),
            ((d_W,), "2 derivatives"),
            ((d_W, d_X, d_X), "2 derivatives"),
            ((give(np.zeros((4, 3), np.float32)), d_X), "d_W.*float64"),
            ((d_W, give(np.zeros((5, 8)))[:, ::2]), "d_X|contiguous"),
            ((d_W, np.zeros((5, 4)).tolist()), "d_X"),
        ]:
            with pytest.raises(ValueError, match=words):
                loss()(**inside, out=Result(0.0, bad))
        buffer = give(np.zeros(24))
        with pytest.raises(ValueError, match="overlap"):
            loss()(**inside, out=Result(0.0, (buffer[:12].reshape(4, 3), buffer[4:].reshape(5, 4))))
    outputs = np.zeros((4, 3)), np.zeros((5, 4))
    with pytest.raises(ValueError, match="d_W must be on the device"):
        loss()(**{**given, "X": device(given["X"])}, out=Result(0.0, outputs))
    with pytest.raises(ValueError, match="d_X must be on the device"):
        loss()(**given, out=Result(0.0, (device(outputs[0]), outputs[1])))


REFUSED = [
    ({"X": np.ones(5)}, ShapeError, ["X", "(n, d)", "(5,)"]),
    ({"X": np.ones((5, 7))}, ShapeError, ["axis 1 of X", "4", "7"]),
    ({"X": np.ones((6, 4))}, ShapeError, ["5", "6", "X", "y"]),
    ({"X": np.ones((5, 4)) + 0j}, TypeError, ["X", "complex128"]),
    ({"y": np.array([0, 1, 3, 0, 1])}, IndexError, ["y", "3", "0 .. 2"]),
    ({"y": np.array([0, 1, -1, 0, 1])}, IndexError, ["y", "-1", "0 .. 2"]),
    ({"y": np.zeros(5)}, TypeError, ["y", "indices"]),
]


def test_wrong_arguments_are_refused_before_anything_is_written() -> None:
    given = inputs(5)
    for give in (lambda array: array, device):
        out = loss()(**{name: give(array) for name, array in given.items()})
        before = flat(out)
        for bad, error, words in REFUSED:
            with pytest.raises(error) as caught:
                loss()(**{name: give(array) for name, array in {**given, **bad}.items()}, out=out)
            assert all(word in str(caught.value) for word in words), caught.value
        for array, was in zip(flat(out), before, strict=True):
            np.testing.assert_array_equal(array, was)
    # Labels of another type are no error of NumPy's; on the device they would have to be copied.
    assert_right(loss()(**{**given, "y": given["y"].astype(np.int32)}), given)
    for labels in (device(given["y"].astype(np.int32)), device(np.repeat(given["y"], 2))[::2]):
        with pytest.raises(TypeError, match=r"y holds indices.*int64"):
            loss()(**{**given, "y": labels})
    with pytest.raises(ShapeError, match=r"x wants an array of shape \(n,\), not .*batch=True"):
        scaled()(0.5, *(np.stack([column] * 2) for column in columns()))
    with pytest.raises(TypeError, match="missing y"):
        scaled()(0.5, columns()[0])


def test_indices_that_are_computed_are_checked() -> None:
    a = sp.IndexedBase("a", shape=(n,), integer=True)
    kernel = symgrad.compile(sp.Sum(x[a[a[i]] + 1] ** 2, (i, 0, n - 1)), target="cuda")
    for give in (lambda array: array, device):
        result = kernel(give(np.array([1, 0, 2, 0])), give(np.arange(4.0)))
        assert flat(result)[0] == 1 + 4 + 9 + 4
        assert flat(result)[1].tolist() == [0.0, 2.0, 8.0, 6.0]
        for bad in ([1, 3, 0, 0], [1, 0, 3, 3], [0, 0, -2, 1]):
            with pytest.raises(IndexError):
                kernel(give(np.array(bad)), give(np.arange(4.0)))
    beside = symgrad.compile(sp.Sum(x[a[a[i]]], (i, 0, n - 1)) + Largest(x[i], (i, 0, n - 1)), target="cuda")
    value, (d_x,) = beside(np.array([1, 0, 2, 0]), np.arange(4.0))
    assert (value, d_x.tolist()) == (0 + 1 + 2 + 1 + 3, [1.0, 2.0, 1.0, 1.0])
    shifted = symgrad.compile(sp.Sum(x[i + 1] * x[i], (i, 0, n - 1)), target="cuda")
    with pytest.raises(IndexError, match=r"axis 0 of x is 5, out of the bounds 0 .. 4"):
        shifted(device(np.ones(5)))


def test_no_rows() -> None:
    for give in (lambda array: array, device):
        given = inputs(0)
        result = loss()(**{name: give(array) for name, array in given.items()})
        value, d_W, d_X = flat(result)
        assert value == pytest.approx((given["W"] ** 2).sum())
        np.testing.assert_allclose(d_W, 2 * given["W"])
        assert d_X.shape == (0, 4)
        loss()(**{name: give(array) for name, array in given.items()}, out=result)
        assert_scaled(scaled()(0.5, *map(give, columns(0))), 0.5, *columns(0))
    assert_scaled(scaled()(0.5, *(device(column.astype(np.float32)) for column in columns(0))), 0.5, *columns(0))
    net = CASES["relu_net"]  # products in a pass over no data
    arrays = net.arrays("small")
    none = arrays | {name: arrays[name][:0] for name in ("X", "y")}
    for give in (lambda array: array, device):
        result = symgrad.compile(net.expression(), target="cuda")(**{name: give(array) for name, array in none.items()})
        assert flat(result)[0] == 0
        assert not any(np.any(d_x) for d_x in flat(result)[1:])


def test_extents_that_no_array_tells_are_arguments() -> None:
    kernel = symgrad.compile(t**2 * sp.Sum(i, (i, 1, n)) + sp.Sum(y[j] / n, (j, 0, n - 1)), target="cuda")
    assert [symbol.name for symbol in kernel.args] == ["t", "y"]
    alone = symgrad.compile(t**2 * sp.Sum(i, (i, 1, n)), target="cuda")
    for number in (4, 130, 0, np.int64(3)):
        want = int(number) * (int(number) + 1) / 2
        assert alone(n=number, t=1.5) == (2.25 * want, (3.0 * want,))
        assert flat(alone(n=number, t=device(np.array(1.5)))) == [2.25 * want, 3.0 * want]
    with pytest.raises(TypeError, match="n is an extent"):
        alone(n=2.0, t=1.5)
    given = inputs(9)
    told = symgrad.compile(LOSS, target="cuda", extents={"d": 4, "c": 3})
    assert_right(told(**given), given)
    with pytest.raises(ShapeError, match="axis 1 of X"):
        told(**{**given, "X": device(np.ones((9, 5)))})


def test_wrt_a_part_of_the_arguments() -> None:
    _, d_t, d_x, d_y = scaled_by_numpy(0.5, *columns())
    for wrt, wanted in (((y, t), (d_y, d_t)), ((x,), (d_x,)), ((), ())):
        for give in (lambda array: array, device):
            result = scaled(wrt=wrt)(0.5, *map(give, columns()))
            assert [symbol.name for symbol in scaled(wrt=wrt).wrt] == [symbol.name for symbol in wrt]
            for got, want in zip(flat(result)[1:], wanted, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-13)
        _, emitted = scaled(wrt=wrt)._runner.module.kernel(0.5, *columns())
        for got, want in zip(emitted, wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13)
    single = scaled(wrt=y)
    np.testing.assert_allclose(single(0.5, *columns()).grad, d_y, rtol=1e-13)
    result = single(0.5, *map(device, columns()))
    np.testing.assert_allclose(result.grad.copy_to_host(), d_y, rtol=1e-13)
    single(0.25, *columns(), out=result)
    np.testing.assert_allclose(result.grad.copy_to_host(), d_y / 2, rtol=1e-13)
    assert scaled(wrt=t)(0.5, *columns()).grad == pytest.approx(d_t)
    assert single.check(0.5, *columns())


def test_float32_and_strict() -> None:
    given = inputs(7)
    for options in ({"dtype": "float32"}, {"accuracy": "strict"}, {"dtype": "float32", "accuracy": "strict"}):
        tolerance = 2e-6 if "dtype" in options else 1e-12
        kind = np.dtype(options.get("dtype", "float64"))
        result = loss(**options)(**given)
        assert type(result.value) is float
        assert {array.dtype for array in result.grad} == {kind}
        assert_right(result, given, tolerance)
        there = loss(**options)(**{name: device(array) for name, array in given.items()})
        assert {array.dtype for array in (there.value, *there.grad)} == {kind}
        assert same(on_host(there)._replace(value=float(on_host(there).value)), result)
        assert_scaled(scaled(**options)(0.5, *columns()), 0.5, *columns(), tolerance=4 * tolerance)
    assert loss(dtype="float32").check(**inputs(4))


def test_numbers_beside_arrays_take_a_batch() -> None:
    x, y = columns()
    numbers = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
    for dtype, tolerance in (("float64", 1e-13), ("float32", 4e-6)):
        kernel = scaled(dtype=dtype)
        for given in ((numbers, x, y), (device(numbers), x, y), (numbers, device(x), y)):
            result = kernel(*given)
            assert [array.shape for array in flat(result)] == [(2, 3), (2, 3), (2, 3, 9), (2, 3, 9)]
            for at in np.ndindex(2, 3):
                one = [array[at] for array in flat(result)]
                for got, want in zip(one, scaled_by_numpy(numbers[at], x, y), strict=True):
                    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    assert on_device(scaled()(device(numbers), x, y).value)
    for there in (False, True):
        out = scaled()(numbers[::-1], device(x) if there else x, y)
        again = scaled()(numbers, device(x) if there else x, y, out=out)
        assert all(a is b for a, b in zip((again.value, *again.grad), (out.value, *out.grad), strict=True))
        assert same(again, scaled()(numbers, x, y))
    with pytest.raises(ValueError, match="out: value must be on the device"):
        scaled()(numbers, x, y, out=Result(0.0, out.grad))
    with pytest.raises(ValueError, match="out: value must hold"):
        scaled()(numbers, x, y, out=Result(0.0, scaled()(numbers, x, y).grad))
    with pytest.raises(ValueError, match="out: d_x must hold"):
        scaled()(numbers, device(x), y, out=Result(out.value, (out.grad[0], device(x), out.grad[2])))
    empty = scaled()(np.zeros((0, 2)), x, y)
    assert [array.shape for array in flat(empty)] == [(0, 2), (0, 2), (0, 2, 9), (0, 2, 9)]


def test_arrays_take_axes_in_front() -> None:
    kernel, given = loss(batch=True), inputs(5)
    batch = {"X": np.stack([inputs(5)["X"] for _ in range(3)]), "W": given["W"], "y": np.stack([given["y"]] * 3)}
    batch["y"][1] = inputs(5)["y"]
    for names in ((), ("X",), ("y",), ("W", "X", "y")):
        result = kernel(**{name: device(array) if name in names else array for name, array in batch.items()})
        for at in range(3):
            own = {"X": batch["X"][at], "W": batch["W"], "y": batch["y"][at]}
            assert_right(Result(float(flat(result)[0][at]), type(result.grad)(a[at] for a in flat(result)[1:])), own)
    batch["y"][2, 1] = 3
    for give in (lambda array: array, device):
        with pytest.raises(IndexError, match="y holds 3"):
            kernel(X=batch["X"], W=batch["W"], y=give(batch["y"]))
    assert_right(kernel(**given), given)
    assert kernel.check(**given)
    with pytest.raises(TypeError, match="a check is of one point"):
        kernel.check(**batch)
    objective = kernel.objective(X=given["X"], y=given["y"])
    assert objective(objective.pack(W=given["W"]))[0] == pytest.approx(reference(**given)[0])
    with pytest.raises(ShapeError, match="X wants an array"):
        kernel.objective(X=batch["X"], y=given["y"])


def test_a_stream_is_taken() -> None:
    from numba import cuda

    given = inputs(5)
    want = loss()(**given)
    for stream in (None, 0, cuda.stream(), cuda.default_stream()):
        assert same(loss()(**given, stream=stream), want)
        assert same(loss()(**{name: device(array) for name, array in given.items()}, stream=stream), want)
    with pytest.raises(TypeError, match="stream"):
        loss()(**given, stream="x")


def test_beside_the_call() -> None:
    kernel, given = loss(), inputs(5)
    assert kernel.source == symgrad.emit(LOSS, target="cuda")
    assert kernel.stats["runs"] == "numba-cuda"
    assert "numba-cuda" in repr(kernel)
    assert kernel.check(**given)
    assert kernel.check(**{name: device(array) for name, array in given.items()})
    assert kernel.value(**given) == kernel(**given).value
    again = pickle.loads(pickle.dumps(kernel))
    assert type(again) is type(kernel)
    assert same(again(**given), kernel(**given))
    with pytest.raises(SymgradError, match="several kernels"):
        _ = kernel.jitted
    with pytest.raises(ValueError, match="threads"):
        loss(threads=2)


def test_an_objective_keeps_what_is_fixed_on_the_device() -> None:
    given = inputs(5)
    expected, d_X, d_W = reference(**given)
    for give in (lambda array: array, device):
        objective = loss().objective(X=give(given["X"]), y=give(given["y"]))
        value, gradient = objective(objective.pack(W=given["W"]))
        assert type(value) is float
        assert value == pytest.approx(expected)
        np.testing.assert_allclose(gradient, d_W.ravel(), rtol=1e-10)
        np.testing.assert_array_equal(objective.unpack(objective.pack(W=given["W"]))["W"], given["W"])
    objective = loss().objective(y=given["y"])
    value, gradient = objective(objective.pack(W=given["W"], X=given["X"]))
    np.testing.assert_allclose(gradient, [*d_W.ravel(), *d_X.ravel()], rtol=1e-10)
    objective = scaled().objective(t=0.5)
    value, gradient = objective(objective.pack(x=columns()[0], y=columns()[1]))
    expected, _, d_x, d_y = scaled_by_numpy(0.5, *columns())
    np.testing.assert_allclose([value, *gradient], [expected, *d_x, *d_y], rtol=1e-13)


def test_without_cupy_there_are_no_products() -> None:
    with mock.patch.object(run_cuda, "has_cupy", return_value=False):
        with pytest.raises(SymgradError, match=r"cupy-cuda13x.*symgrad\.emit"):
            symgrad.compile(LOSS, target="cuda")
        assert "matrix_product" in symgrad.emit(LOSS, target="cuda")
        alone = symgrad.compile(sp.Sum(x[i] ** 2, (i, 0, n - 1)), target="cuda")
    assert alone(np.arange(3.0)).value == 5.0


def test_a_singular_matrix() -> None:
    A, b = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("b", n, 1)
    kernel = symgrad.compile(b.T * sp.Inverse(A) * b, target="cuda")
    assert kernel(A=2 * np.eye(2), b=np.ones((2, 1))).value == 1.0
    with pytest.raises(np.linalg.LinAlgError, match=r"^Singular matrix: A has no inverse"):
        kernel(A=np.zeros((2, 2)), b=np.ones((2, 1)))


def test_inputs_may_be_one_array() -> None:
    """Only outputs must not overlap."""
    column = columns()[0]
    for give in (lambda array: array, device):
        both = give(column)
        assert_scaled(scaled()(0.5, both, both), 0.5, column, column)


# --- in the simulator: names ------------------------------------------------------------------------------------------

# What the text of the target calls its own things, and what it makes of a user's names.
NAMES = """stream low stop blocks count point thread shared result running_1 entry_0 entry_1 alone nest_1 pass_1 kernel
    kernel_into launch room number real cuda total_1 total_1_own total_1_sums value_here_0 d_W_own d_x x_here out kept
    target place sums THREADS""".split()


def test_names_are_only_names() -> None:
    roles = "xcWstnmij"
    for start in range(0, len(NAMES), 9):
        for turn in (0, 3, 6):  # each is an array, a number, and an extent or an index
            names = (NAMES * 2)[start : start + 9]
            _named(dict(zip(roles[turn:] + roles[:turn], names, strict=True)))


def _named(names: dict[str, str]) -> None:
    """A pass over rows and one over a table, a scattered sum, numbers between: all with these names."""
    n, m, i, j = (sp.Symbol(names[role], integer=True) for role in "nmij")
    x, c = sp.IndexedBase(names["x"], shape=(n,)), sp.IndexedBase(names["c"], shape=(n,), integer=True)
    W, s, t = sp.IndexedBase(names["W"], shape=(m, m)), sp.Symbol(names["s"]), sp.Symbol(names["t"])
    over_n, over_m = (i, 0, n - 1), (j, 0, m - 1)
    scores = sp.Sum(sp.exp(-s * x[i] * sp.Sum(W[c[i], j] * W[j, 0], over_m)), over_n)
    f = scores + t * sp.Sum(x[i], over_n) ** 2 + sp.Sum(W[c[i], j] ** 2 * x[i], over_m, over_n)
    labels, table, column = np.array([2, 0, 1, 2, 2]), np.arange(9.0).reshape(3, 3) / 7, np.arange(5.0) / 3
    given = {"x": column, "c": labels, "W": table, "s": 0.5, "t": 1.5}
    kernel = symgrad.compile(f, target="cuda")
    by_name = {names[role]: value for role, value in given.items()}
    result = kernel(*(by_name[symbol.name] for symbol in kernel.args))  # in order: out and stream are also options
    e = np.exp(-0.5 * column * (table[labels] @ table[:, 0]))
    d_e = -e * 0.5 * column
    d_W = np.zeros((3, 3))
    np.add.at(d_W, labels, d_e[:, None] * table[:, 0] + 2 * column[:, None] * table[labels])
    d_W[:, 0] += table[labels].T @ d_e
    wanted = {
        "x": -0.5 * e * (table[labels] @ table[:, 0]) + 3 * column.sum() + (table[labels] ** 2).sum(axis=1),
        "W": d_W,
        "s": -(e * column * (table[labels] @ table[:, 0])).sum(),
        "t": column.sum() ** 2,
    }
    for role, want in wanted.items():
        np.testing.assert_allclose(result.grad[names[role]], want, rtol=1e-12, err_msg=f"{role} of {names}")


def test_a_kernel_takes_any_name_or_refuses_it() -> None:
    text = "w: vector(n)\nsum(exp(w[i]*t) for i in range(n))"
    w = np.array([0.5, 1.5, 2.5])
    refused = set()
    for name in identifiers(symgrad.emit(text, target="cuda")):
        module = named(text, "cuda", name)
        if module is None:
            refused.add(name)
            continue
        value, (d_t, d_w) = getattr(module, name)(0.5, w)
        np.testing.assert_allclose(value, np.exp(w / 2).sum(), rtol=1e-14, err_msg=name)
        np.testing.assert_allclose(d_t, (w * np.exp(w / 2)).sum(), rtol=1e-14, err_msg=name)
        np.testing.assert_allclose(d_w, np.exp(w / 2) / 2, rtol=1e-14, err_msg=name)
    assert {"__builtins__", "launch", "real", "len", "INTO"} <= refused
    assert not {"i", "low", "stop", "blocks", "w", "_"} & refused


def test_a_kernel_has_the_name_that_it_is_given() -> None:
    given = inputs(4)
    for name in ("energy", "pass_1", "nest_1", "alone", "kernel_into", "low"):
        kernel = symgrad.compile(LOSS, target="cuda", name=name)
        assert_right(kernel(**given), given)
        parts = [part.__name__ for part, _ in kernel._runner.module.KERNELS]
        assert len({name, f"{name}_into", *parts}) == len(parts) + 2, f"{name} is the name of a part too: {parts}"
