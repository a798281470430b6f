"""Batches of kernels with arrays: each item beside a call of its own, and beside NumPy written by hand."""

from __future__ import annotations

import itertools
import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from trials import Program, built

import symgrad
from symgrad import Result, ShapeError
from tests.kernel.test_arrays import LOSS, reference

i, j, k, n, m = sp.symbols("i j k n m", integer=True)
a, b, s = sp.symbols("a b s")
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(n,))
RNG = np.random.default_rng(12)

# A line through points, its slope, height and the logarithm of its noise to be sampled.
LINE = sp.Sum((y[i] - a * x[i] - b) ** 2, (i, 0, n - 1)) * sp.exp(-2 * s) / 2 + n * s


@cache
def line(**options: Any) -> symgrad.Kernel:
    return symgrad.compile(LINE, args=[a, b, s, x, y], **options)


@cache
def loss(**options: Any) -> symgrad.Kernel:
    return symgrad.compile(LOSS, batch=True, **options)


def line_by_hand(a: Any, b: Any, s: Any, x: Any, y: Any) -> tuple[Any, tuple[Any, ...]]:
    """Value and gradients for a batch of numbers (arrays of one shape) beside x and y."""
    a, b, s = (np.asarray(number)[..., None] for number in (a, b, s))
    residual, weight = y - a * x - b, np.exp(-2 * s)
    value = (residual**2).sum(-1) * weight[..., 0] / 2 + len(x) * s[..., 0]
    d_s = -(residual**2).sum(-1) * weight[..., 0] + len(x)
    d_x, d_y = -a * residual * weight, residual * weight
    return value, ((-x * residual * weight).sum(-1), (-residual * weight).sum(-1), d_s, d_x, d_y)


def parts(result: Result) -> list[Any]:
    return [result.value, *(result.grad if isinstance(result.grad, tuple) else (result.grad,))]


def one_by_one(kernel: symgrad.Kernel, batch: tuple[int, ...], *items: Any) -> list[Any]:
    """What calls of one item each give, put together; of each argument: an array over the batch, or what all share."""
    flat = [item.reshape(-1, *item.shape[len(batch) :]) if is_batched else item for is_batched, item in items]
    results = [
        parts(kernel(*(array[at] if own[0] else array for own, array in zip(items, flat, strict=True))))
        for at in range(int(np.prod(batch)))
    ]
    return [np.array(column).reshape(batch + np.shape(column[0])) for column in zip(*results, strict=True)]


def assert_same_bits(result: Result, want: list[Any]) -> None:
    for found, wanted in zip(parts(result), want, strict=True):
        assert found.dtype == wanted.dtype or wanted.dtype == np.float64  # of numbers a call of one item makes floats
        np.testing.assert_array_equal(found, wanted.astype(found.dtype))


def data(count: int = 7) -> tuple[Any, Any]:
    return RNG.normal(size=count), RNG.normal(size=count)


# --- numbers beside arrays --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(1,), (5,), (2, 3), (2, 1, 3)], ids=str)
def test_numbers_beside_arrays_take_a_batch(batch: tuple[int, ...]) -> None:
    numbers, (xs, ys) = RNG.normal(size=(3, *batch)), data()
    result = line()(*numbers, xs, ys)
    value, gradients = line_by_hand(*numbers, xs, ys)
    assert result.value.shape == batch
    assert [d.shape for d in result.grad] == [batch, batch, batch, (*batch, 7), (*batch, 7)]
    np.testing.assert_allclose(result.value, value, rtol=1e-13)
    for found, want in zip(result.grad, gradients, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)
    assert_same_bits(
        result, one_by_one(line(), batch, *((True, number) for number in numbers), (False, xs), (False, ys))
    )


def test_numbers_broadcast_among_each_other() -> None:
    xs, ys = data()
    slope, height = RNG.normal(size=(4, 1)), RNG.normal(size=3)
    result = line()(slope, height, 0.25, xs, ys)
    value, gradients = line_by_hand(*np.broadcast_arrays(slope, height, 0.25), xs, ys)
    np.testing.assert_allclose(result.value, value, rtol=1e-13)
    np.testing.assert_allclose(result.grad["a"], gradients[0], rtol=1e-12)
    assert result.grad["s"].shape == (4, 3)
    assert result.grad["x"].shape == (4, 3, 7)


@pytest.mark.parametrize(
    "given",
    [
        [1, 2, 3],
        np.array([1, 2, 3], np.int8),
        np.array([1, 2, 3], np.float32),
        np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]])[:, 0],
        np.array([3.0, 2.0, 1.0])[::-1],
        np.array([1, 2, 3], object),
    ],
    ids=["list", "int8", "float32", "strided", "backwards", "object"],
)
def test_numbers_of_any_kind(given: Any) -> None:
    xs, ys = data()
    assert_same_bits(line()(given, 0.5, 0, xs, ys), parts(line()(np.array([1.0, 2.0, 3.0]), 0.5, 0.0, xs, ys)))


def test_true_and_false_are_numbers() -> None:
    xs, ys = data()
    assert_same_bits(line()([True, False], 0.5, 0, xs, ys), parts(line()([1.0, 0.0], 0.5, 0.0, xs, ys)))


def test_one_number_without_axes_is_no_batch() -> None:
    xs, ys = data()
    result = line()(np.array(1.5), np.float64(0.5), 1, xs, ys)
    assert type(result.value) is type(result.grad["a"]) is float
    assert result.grad["x"].shape == (7,)


@pytest.mark.parametrize("shape", [(0,), (3, 0)], ids=str)
def test_an_empty_batch(shape: tuple[int, ...]) -> None:
    result = line()(np.zeros(shape), 0.5, 0.25, *data())
    assert [d.shape for d in parts(result)] == [shape, shape, shape, shape, (*shape, 7), (*shape, 7)]


def test_numbers_beside_an_extent_only() -> None:
    f = symgrad.compile(sp.Sum(sp.sin(k * a), (k, 1, n)))
    at = np.array([0.25, 0.5])
    result = f(a=at, n=4)
    ks = np.arange(1, 5)[:, None]
    np.testing.assert_allclose(result.value, np.sin(ks * at).sum(0), rtol=1e-14)
    np.testing.assert_allclose(result.grad["a"], (ks * np.cos(ks * at)).sum(0), rtol=1e-14)


def test_one_symbol_to_differentiate_for() -> None:
    xs, ys = data()
    f = symgrad.compile(LINE, args=[a, b, s, x, y], wrt=b)
    value, gradients = line_by_hand(np.ones(3), np.arange(3.0), np.zeros(3), xs, ys)
    result = f(1.0, np.arange(3.0), 0.0, xs, ys)
    np.testing.assert_allclose(result.value, value, rtol=1e-13)
    np.testing.assert_allclose(result.grad, gradients[1], rtol=1e-12)


# --- arrays -----------------------------------------------------------------------------------------------------------


def loss_inputs(lead: tuple[int, ...], which: str) -> dict[str, Any]:
    """W, X, y of the loss, with axes in front where `which` names them."""
    own = {name: lead if name in which else () for name in "WXy"}
    return {
        "W": RNG.normal(size=(*own["W"], 4, 3)),
        "X": RNG.normal(size=(*own["X"], 6, 4)),
        "y": RNG.integers(0, 3, (*own["y"], 6)),
    }


@pytest.mark.parametrize("which", ["W", "X", "y", "WX", "Xy", "WXy"])
def test_arrays_take_axes_in_front(which: str) -> None:
    given = loss_inputs((5,), which)
    result = loss()(**given)
    assert result.value.shape == (5,)
    assert [d.shape for d in result.grad] == [(5, 4, 3), (5, 6, 4)]
    for at in range(5):
        own = {name: array[at] if name in which else array for name, array in given.items()}
        value, d_X, d_W = reference(**own)
        np.testing.assert_allclose(result.value[at], value, rtol=1e-12)
        np.testing.assert_allclose(result.grad["X"][at], d_X, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(result.grad["W"][at], d_W, rtol=1e-11, atol=1e-13)
    arguments = [(symbol.name in which, given[symbol.name]) for symbol in loss().args]
    assert_same_bits(result, one_by_one(loss(), (5,), *arguments))


def test_axes_in_front_broadcast() -> None:
    given = {
        "W": RNG.normal(size=(3, 1, 4, 3)),
        "X": RNG.normal(size=(2, 6, 4)),
        "y": RNG.integers(0, 3, (1, 1, 6)),
    }
    result = loss()(**given)
    for p, q in itertools.product(range(3), range(2)):
        one = loss()(W=given["W"][p, 0], X=given["X"][q], y=given["y"][0, 0])
        assert result.value[p, q] == one.value
        for found, want in zip(result.grad, one.grad, strict=True):
            np.testing.assert_array_equal(found[p, q], want)


def test_arrays_and_numbers_together() -> None:
    f = symgrad.compile(LINE, args=[a, b, s, x, y], batch=True)
    slopes, xs, ys = RNG.normal(size=(4, 1)), RNG.normal(size=(3, 7)), RNG.normal(size=7)
    result = f(slopes, 0.5, 0.25, xs, ys)
    assert result.grad["y"].shape == (4, 3, 7)
    for p, q in itertools.product(range(4), range(3)):
        value, gradients = line_by_hand(slopes[p, 0], 0.5, 0.25, xs[q], ys)
        np.testing.assert_allclose(result.value[p, q], value, rtol=1e-13)
        for found, want in zip(result.grad, gradients, strict=True):
            np.testing.assert_allclose(found[p, q], want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_of_any_layout(dtype: str) -> None:
    f, given = loss(dtype=dtype), loss_inputs((5,), "WXy")
    want = f(**given)
    assert {d.dtype for d in parts(want)} == {np.dtype(dtype)}
    for spread in (
        lambda array: np.repeat(array, 2, axis=0)[::2],
        np.asfortranarray,
        lambda array: array[::-1].copy()[::-1],
        lambda array: np.broadcast_to(array, array.shape),
        lambda array: array.tolist(),
    ):
        assert_same_bits(f(**{name: spread(array) for name, array in given.items()}), parts(want))
    tolerance = 1e-11 if dtype == "float64" else 2e-4
    np.testing.assert_allclose(want.value[2], reference(**{x: v[2] for x, v in given.items()})[0], rtol=tolerance)


def test_a_kernel_compiled_for_batches_takes_one_instance() -> None:
    given = loss_inputs((), "")
    one, same = loss()(**given), symgrad.compile(LOSS)(**given)
    assert type(one.value) is float
    assert one.value == same.value


def test_matrices() -> None:
    A, v = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("v", n, 1)
    f = symgrad.compile(v.T * sp.Inverse(A) * v, batch=True)
    As, vs = RNG.normal(size=(4, 3, 3)) + 4 * np.eye(3), RNG.normal(size=(4, 3, 1))
    result, inverses = f(A=As, v=vs), np.linalg.inv(As)
    np.testing.assert_allclose(result.value, (vs.swapaxes(1, 2) @ inverses @ vs)[:, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(result.grad["v"], (inverses + inverses.swapaxes(1, 2)) @ vs, rtol=1e-11, atol=1e-14)
    As[2] = 0.0
    with pytest.raises(np.linalg.LinAlgError, match=r"^at \(2,\) of the batch: Singular matrix: A has no inverse"):
        f(A=As, v=vs)


# --- threads, out, pickles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 8, "auto"])
def test_any_number_of_threads_gives_the_same_bits(threads: int | str) -> None:
    numbers, columns = RNG.normal(size=(3, 5)), data(9000)  # of several parts
    assert_same_bits(line(threads=threads)(*numbers, *columns), parts(line()(*numbers, *columns)))


def test_an_error_comes_after_all_threads_have_ended() -> None:
    A = sp.MatrixSymbol("A", n, n)
    f = symgrad.compile(sp.Trace(sp.Inverse(A)), batch=True, threads=2)
    As = np.array([np.eye(2)] * 40)
    As[[3, 30]] = 0.0
    out = Result(np.zeros(40), (np.zeros((40, 2, 2)),))
    with pytest.raises(np.linalg.LinAlgError, match=r"at \(3,\) of the batch"):
        f(A=As, out=out)
    before = out.value.copy()
    assert before[29] == 2.0  # the other half went as far as its own singular matrix
    assert before[39] == 0.0


def test_out_is_filled() -> None:
    numbers, columns = RNG.normal(size=(3, 2, 3)), data()
    out = line()(*RNG.normal(size=(3, 2, 3)), *columns)
    result = line()(*numbers, *columns, out=out)
    assert all(one is two for one, two in zip(parts(result), parts(out), strict=True))
    assert_same_bits(result, parts(line()(*numbers, *columns)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out, numbers: Result(0.0, out.grad), "out: value must hold float64 arrays of shape"),
        (lambda out, numbers: Result(out.value[:2], out.grad), "out: value must hold float64 arrays of shape"),
        (lambda out, numbers: Result(out.value, (*out.grad[:4], np.zeros(7))), "out: d_y must hold"),
        (lambda out, numbers: Result(out.value, (*out.grad[:4], np.zeros((3, 7), np.float32))), "out: d_y must hold"),
        (lambda out, numbers: Result(out.value, out.grad[:4]), "out must hold a value and 5 derivatives, not 4"),
        (lambda out, numbers: Result(numbers[0], out.grad), "overlap"),
        (lambda out, numbers: Result(out.value, (out.value, *out.grad[1:])), "overlap"),
    ],
    ids=["number", "short", "one item", "dtype", "count", "input", "twice"],
)
def test_out_that_cannot_be_written(change: Any, words: str) -> None:
    numbers, columns = RNG.normal(size=(3, 3)), data()
    with pytest.raises(ValueError, match=words):
        line()(*numbers, *columns, out=change(line()(*numbers, *columns), numbers))


def test_pickle() -> None:
    given = loss_inputs((5,), "W")
    assert_same_bits(pickle.loads(pickle.dumps(loss()))(**given), parts(loss()(**given)))


# --- one instance wanted ----------------------------------------------------------------------------------------------


def test_objective() -> None:
    f, (xs, ys) = symgrad.compile(LINE, args=[a, b, s, x, y], batch=True), data()
    objective = f.objective(x=xs, y=ys)
    value, gradient = objective(objective.pack(a=1.5, b=0.5, s=0.25))
    want, derivatives = line_by_hand(1.5, 0.5, 0.25, xs, ys)
    assert value == pytest.approx(float(want), rel=1e-13)
    np.testing.assert_allclose(gradient, derivatives[:3], rtol=1e-12)
    with pytest.raises(ShapeError, match="x wants an array of shape"):
        f.objective(x=np.ones((2, 7)), y=ys)
    with pytest.raises(ShapeError, match="s wants one number"):
        f.objective(s=np.ones(2), x=xs, y=ys)
    with pytest.raises(ShapeError, match="a wants one number in an objective"):
        objective.pack(a=[1.0, 2.0], b=0.5, s=0.25)


@pytest.mark.parametrize("method", ["check", "trace"])
def test_what_is_of_one_point(method: str) -> None:
    f, (xs, ys) = symgrad.compile(LINE, args=[a, b, s, x, y], batch=True), data()
    assert getattr(f, method)(1.5, 0.5, 0.25, xs, ys)
    with pytest.raises(TypeError, match=rf"a is an array of shape \(2,\): a {method} is of one point"):
        getattr(f, method)([1.5, 2.5], 0.5, 0.25, xs, ys)
    with pytest.raises(TypeError, match=rf"x is an array of shape \(2, 7\): a {method} is of one point"):
        getattr(f, method)(1.5, 0.5, 0.25, np.array([xs, xs]), ys)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_batches_that_do_not_broadcast() -> None:
    with pytest.raises(ShapeError, match=r"the batches do not broadcast: a \(2,\), b \(3,\)"):
        line()(np.ones(2), np.ones(3), 0.0, *data())
    f = symgrad.compile(LINE, args=[a, b, s, x, y], batch=True)
    with pytest.raises(ShapeError, match=r"the batches do not broadcast: a \(2,\), x \(3,\)"):
        f(np.ones(2), 0.0, 0.0, np.ones((3, 7)), np.ones(7))


def test_arrays_take_no_batch_unless_asked_to() -> None:
    with pytest.raises(ShapeError, match=r"x wants an array of shape \(n,\), not .*\(3, 7\); .*batch=True"):
        line()(1.0, 1.0, 0.0, np.ones((3, 7)), np.ones(7))


def test_extents_of_the_instances_have_to_agree() -> None:
    f = symgrad.compile(LINE, args=[a, b, s, x, y], batch=True)
    with pytest.raises(ShapeError, match="axis 0 of y has the length 6, and n is 7"):
        f(1.0, 1.0, 0.0, np.ones((3, 7)), np.ones((3, 6)))
    with pytest.raises(ShapeError, match=r"x wants an array of shape \(n,\), not an array of shape \(\)"):
        f(1.0, 1.0, 0.0, 1.0, np.ones((3, 6)))


def test_an_extent_is_one_number_for_the_whole_batch() -> None:
    f = symgrad.compile(sp.Sum(sp.sin(k * a), (k, 1, n)), batch=True)
    with pytest.raises(TypeError, match="n is an extent: a number of elements, the same for a whole batch, wanted"):
        f(a=np.ones(2), n=np.array([3, 4]))
    g = symgrad.compile(a * x[k], batch=True)  # which entry is read decides which ones there have to be
    with pytest.raises(TypeError, match="k is an extent: a number of elements, the same for a whole batch, wanted"):
        g(a=np.ones(2), k=np.array([0, 1]), x=np.ones(3))


def test_what_is_not_real() -> None:
    with pytest.raises(TypeError, match="argument a: real numbers wanted"):
        line()(np.array([1j, 2.0]), 1.0, 0.0, *data())
    with pytest.raises(TypeError, match="argument a: list holds no real numbers"):
        line()(["one", None], 1.0, 0.0, *data())


def test_indices_of_every_item_are_checked() -> None:
    given = loss_inputs((5,), "y")
    given["y"][3, 2] = 3
    out = loss()(**loss_inputs((5,), "y"))
    before = [array.copy() for array in parts(out)]
    with pytest.raises(IndexError, match=r"y holds 3, an index of a gathered axis out of the bounds 0 .. 2"):
        loss()(**given, out=out)
    assert_same_bits(out, before)  # nothing was written


def test_computed_indices_of_every_item_are_checked() -> None:
    u, t = sp.IndexedBase("u", shape=(n,), integer=True), sp.IndexedBase("t", shape=(m,), integer=True)
    v = sp.IndexedBase("v", shape=(k,))
    f = symgrad.compile(sp.Sum(v[t[u[i]]], (i, 0, n - 1)), args=[u, t, v], batch=True)
    us, ts, vs = RNG.integers(0, 4, (3, 6)), RNG.integers(0, 5, 4), RNG.normal(size=5)
    result = f(us, ts, vs)
    np.testing.assert_allclose(result.value, vs[ts[us]].sum(-1), rtol=1e-14)
    np.testing.assert_array_equal(result.grad[v], [np.bincount(ts[row], minlength=5) for row in us])
    us[:, :] = 0
    us[2, 5] = 1  # of the last item only
    ts[:] = [4, 5, 0, 0]
    with pytest.raises(IndexError, match=r"holds 5, an index of axis 0 of v out of the bounds 0 .. 4"):
        f(us, ts, vs)


# --- as plain Python, with NaN in what is not written -----------------------------------------------------------------


def test_every_entry_is_written_and_nothing_outside() -> None:
    kernel = built(Program(LOSS, {}), batch=True)
    given = loss_inputs((5,), "WX")
    with np.errstate(all="ignore"):
        result = kernel(**given)
    want = loss()(**given)
    for found, wanted in zip(parts(result), parts(want), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
