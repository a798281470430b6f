"""What a call of a kernel with arrays takes, refuses and gives back."""

from __future__ import annotations

import pickle
import re
import sys
from typing import Any

import array_corpus
import identities
import numba
import numpy as np
import pytest
import sympy as sp
from symgrad_codegen.run import build
from trials import check

import symgrad
from symgrad import ShapeError
from symgrad.compiler import Stages
from symgrad.lower.lower import lower
from symgrad.schedule.schedule import schedule

i, j, k, n, d, c = sp.symbols("i j k n d c", integer=True)
X, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(d, c))
y = sp.IndexedBase("y", shape=(n,))
RNG = np.random.default_rng(0)


def score(column: Any) -> sp.Expr:
    return sp.Sum(X[i, k] * W[k, column], (k, 0, d - 1))


# Softmax cross entropy with labels as gathers, and a penalty.
LOSS = sp.Sum(sp.log(sp.Sum(sp.exp(score(j)), (j, 0, c - 1))) - score(y[i]), (i, 0, n - 1)) + sp.Sum(
    W[k, j] ** 2, (k, 0, d - 1), (j, 0, c - 1)
)


def reference(X: Any, W: Any, y: Any) -> tuple[float, Any, Any]:
    scores = X @ W
    shifted = scores - scores.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    value = -np.log(p[rows, y]).sum() + (W**2).sum()
    p[rows, y] -= 1
    return value, p @ W.T, X.T @ p + 2 * W


def inputs(rows: int) -> dict[str, Any]:
    return {"X": RNG.normal(size=(rows, 4)), "W": RNG.normal(size=(4, 3)), "y": RNG.integers(0, 3, rows)}


@pytest.fixture(scope="module")
def kernel() -> Any:
    return symgrad.compile(LOSS)


def assert_right(result: Any, given: dict[str, Any], rtol: float = 1e-12) -> None:
    value, d_X, d_W = reference(**given)
    np.testing.assert_allclose(result.value, value, rtol=rtol)
    np.testing.assert_allclose(result.grad["X"], d_X, rtol=0, atol=rtol * 10)
    np.testing.assert_allclose(result.grad["W"], d_W, rtol=0, atol=rtol * max(1, len(d_X)))


# --- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 7, 127, 128, 129, 255, 256, 257, 1000])
def test_any_number_of_rows(kernel: Any, rows: int) -> None:
    given = inputs(rows)
    assert_right(kernel(**given), given)


def test_no_rows(kernel: Any) -> None:
    given = inputs(0)
    value, (d_W, d_X) = kernel(**given)
    assert value == pytest.approx((given["W"] ** 2).sum())
    np.testing.assert_allclose(d_W, 2 * given["W"])
    assert d_X.shape == (0, 4)


def test_no_rows_in_memory_that_has_held_others(kernel: Any) -> None:
    """A product over no rows is written, whatever was in its buffer."""
    source = re.sub(r"np\.empty\((\w.*), real\)$", r"np.full(\1, nan, real)", kernel.source, flags=re.MULTILINE)
    assert source != kernel.source
    given = inputs(0)
    value, (d_W, _) = build.load(source).kernel(given["W"], given["X"], given["y"])
    assert value == pytest.approx((given["W"] ** 2).sum())
    np.testing.assert_allclose(d_W, 2 * given["W"])


def test_a_minibatch_is_a_slice(kernel: Any) -> None:
    given = inputs(100)
    part = {"X": given["X"][20:40], "W": given["W"], "y": given["y"][20:40]}
    assert_right(kernel(**part), part)


# --- arrays of all sorts ----------------------------------------------------------------------------------------------


def _read_only(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        _read_only,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1][::-1],
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: a.tolist(),
        lambda a: a.astype(object) if a.dtype.kind == "f" else a.astype(np.int16),
    ],
    ids=["fortran", "read-only", "strided", "reversed", "big-endian", "list", "object"],
)
def test_arrays_of_all_sorts(kernel: Any, change: Any) -> None:
    given = inputs(50)
    assert_right(kernel(**{name: change(array) for name, array in given.items()}), given)


def test_integers_for_numbers(kernel: Any) -> None:
    given = inputs(20)
    whole = {**given, "X": np.rint(given["X"])}
    assert_right(kernel(X=whole["X"].astype(np.int32), W=whole["W"], y=whole["y"]), whole)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_come_through(kernel: Any, bad: float) -> None:
    given = inputs(10)
    given["X"][3, 1] = bad
    result = kernel(**given)
    assert not np.isfinite(result.value)
    assert np.isfinite(result.grad["X"][2]).all()


# --- what is refused --------------------------------------------------------------------------------------------------


REFUSED = [
    ("complex", {"X": np.ones((5, 4)) + 0j}, TypeError, ["X", "complex128"]),
    ("text", {"X": [["a"] * 4] * 5}, TypeError, ["X"]),
    ("labels that are no integers", {"y": np.zeros(5)}, TypeError, ["y", "integers"]),
    ("rank", {"X": np.ones(5)}, ShapeError, ["X", "(n, d)", "(5,)"]),
    ("extent", {"X": np.ones((5, 7))}, ShapeError, ["axis 1 of X", "4", "7"]),
    ("rows", {"X": np.ones((6, 4))}, ShapeError, ["5", "6", "X", "y"]),
    ("label too large", {"y": np.array([0, 1, 3, 0, 1])}, IndexError, ["y", "3", "0 .. 2"]),
    ("label negative", {"y": np.array([0, 1, -1, 0, 1])}, IndexError, ["y", "-1", "0 .. 2"]),
]


@pytest.mark.parametrize(("name", "bad", "error", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_before_anything_is_written(kernel: Any, name: str, bad: Any, error: Any, words: list[str]) -> None:
    given = inputs(5)
    out = kernel(**given)
    before = [array.copy() for array in out.grad]
    with pytest.raises(error) as caught:
        kernel(**{**given, **bad}, out=out)
    for word in words:
        assert word in str(caught.value), caught.value
    for array, was in zip(out.grad, before, strict=True):
        np.testing.assert_array_equal(array, was)


def test_an_index_that_runs_outside() -> None:
    x = sp.IndexedBase("x", shape=(n,))
    f = symgrad.compile(sp.Sum(x[i + 1] * x[i], (i, 0, n - 1)))
    with pytest.raises(IndexError, match=r"axis 0 of x is 5, out of the bounds 0 .. 4"):
        f(np.ones(5))


def test_an_index_that_runs_outside_beside_an_empty_loop() -> None:
    """What does not vary along the empty loop is read before it."""
    x, w = sp.IndexedBase("x", shape=(d,)), sp.IndexedBase("w", shape=(c,))
    f = symgrad.compile(sp.Sum(x[i] - w[k], (k, 0, c - 1), (j, 0, i - 1), (i, 0, n - 1)), args=[n, w, x])
    assert f(3, np.ones(0), np.ones(3)).value == 0.0
    with pytest.raises(IndexError, match=r"axis 0 of x is 3, out of the bounds 0 .. 2"):
        f(4, np.ones(0), np.ones(3))


def test_integers_that_lead_outside_beside_an_empty_loop() -> None:
    x, lead = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("lead", shape=(c,), integer=True)
    f = symgrad.compile(sp.Product(x[lead[j]], (j, 0, c - 1), (i, 0, d - 1)), args=[d, lead, x])
    assert f(0, np.array([1, 2]), np.ones(3)).value == 1.0
    with pytest.raises(IndexError, match=r"lead holds 1000000000, an index of axis 0 of x"):
        f(0, np.array([1, 10**9]), np.ones(3))


def test_extents_are_checked() -> None:
    f = symgrad.compile(LOSS, extents={d: 4, c: 3})
    given = inputs(9)
    assert_right(f(**given), given)
    with pytest.raises(ShapeError, match="axis 1 of X"):
        f(**{**given, "X": np.ones((9, 5))})
    with pytest.raises(ValueError, match="m"):
        symgrad.compile(LOSS, extents={"m": 4})


def test_a_singular_matrix() -> None:
    A, b = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("b", n, 1)
    f = symgrad.compile(b.T * sp.Inverse(A) * b)
    with pytest.raises(np.linalg.LinAlgError, match=r"^Singular matrix: A has no inverse.*multiple of the identity"):
        f(A=np.zeros((2, 2)), b=np.ones((2, 1)))


def test_a_singular_matrix_is_the_first_that_is_one_by_its_name_or_entries() -> None:
    text = "A: matrix(n, n)\nB: matrix(n, n)\nb: vector(n)\n{}dot(b, solve(A, b)) + dot(b, solve({}, b))"
    ones = {"A": np.eye(2), "B": np.ones((2, 2)), "b": np.ones(2)}
    for line, matrix, wanted in (
        ("", "B", "B has"),
        ("C = B + B.T\n", "C", "C has"),
        ("", "B + B.T", r"the matrix of B\[\w, \w\] \+ B\[\w, \w\] has"),
    ):
        kernel = symgrad.compile(text.format(line, matrix), cache=False)
        with pytest.raises(np.linalg.LinAlgError, match=f"^Singular matrix: {wanted} no inverse"):
            kernel(**ones)


def test_integers_have_no_derivative() -> None:
    assert [symbol.name for symbol in symgrad.compile(LOSS).wrt] == ["W", "X"]
    with pytest.raises(ValueError, match="y"):
        symgrad.compile(LOSS, wrt=[y])


# --- out, threads, precision ------------------------------------------------------------------------------------------


def test_out_is_filled(kernel: Any) -> None:
    given, other = inputs(30), inputs(30)
    out = kernel(**other)
    result = kernel(**given, out=out)
    assert all(one is two for one, two in zip(result.grad, out.grad, strict=True))
    assert_right(result, given)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda out, given: (out.grad[1], out.grad[0]), "d_W"),
        (lambda out, given: (given["W"], out.grad[1]), "overlap"),
        (lambda out, given: (out.grad[0],), "2 derivatives"),
        (lambda out, given: (out.grad[0].astype(np.float32), out.grad[1]), "float64"),
    ],
    ids=["shape", "overlap", "count", "dtype"],
)
def test_out_that_cannot_be_written(kernel: Any, bad: Any, words: str) -> None:
    given = inputs(30)
    out = kernel(**given)
    with pytest.raises(ValueError, match=words):
        kernel(**given, out=symgrad.Result(0.0, bad(out, given)))


def test_the_bits_are_the_same_for_any_number_of_threads() -> None:
    """Summed up in several parts: without labels, whose terms arrive anywhere, so that parts may run side by side."""
    total = sp.Sum(sp.log(sp.Sum(sp.exp(score(j)), (j, 0, c - 1))), (i, 0, n - 1))
    given = {name: array for name, array in inputs(20_000).items() if name != "y"}
    results = [symgrad.compile(total, threads=threads)(**given) for threads in (None, 2, 3)]
    powers = np.exp(given["X"] @ given["W"])
    shares = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(results[0].value, np.log(powers.sum(axis=1)).sum(), rtol=1e-12)
    np.testing.assert_allclose(results[0].grad["W"], given["X"].T @ shares, rtol=0, atol=1e-9)
    np.testing.assert_allclose(results[0].grad["X"], shares @ given["W"].T, rtol=0, atol=1e-12)
    for other in results[1:]:
        assert other.value == results[0].value
        for one, two in zip(results[0].grad, other.grad, strict=True):
            np.testing.assert_array_equal(one, two)


def test_float32_sums_in_parts() -> None:
    x = sp.IndexedBase("x", shape=(n,))
    f = symgrad.compile(sp.Sum(x[i], (i, 0, n - 1)), dtype="float32")
    data = np.full(3_000_000, 0.1, np.float32)
    result = f(data)
    assert result.grad[0].dtype == np.float32
    assert abs(result.value / np.sum(data, dtype=np.float64) - 1) < 2e-7


def test_strict_agrees_with_fast(kernel: Any) -> None:
    given = inputs(40)
    assert_right(symgrad.compile(LOSS, accuracy="strict")(**given), given)


# --- beside the call --------------------------------------------------------------------------------------------------


def test_pickled(kernel: Any) -> None:
    given = inputs(10)
    assert pickle.loads(pickle.dumps(kernel))(**given).value == kernel(**given).value


def test_check(kernel: Any) -> None:
    assert kernel.check(**inputs(4))


def test_objective(kernel: Any) -> None:
    given = inputs(10)
    objective = kernel.objective(X=given["X"], y=given["y"])
    value, gradient = objective(objective.pack(W=given["W"]))
    expected, _, d_W = reference(**given)
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(gradient, d_W.ravel(), rtol=1e-10)
    np.testing.assert_array_equal(objective.unpack(objective.pack(W=given["W"]))["W"], given["W"])
    with pytest.raises(ShapeError):
        objective(np.ones(5))


def test_the_emitted_module_stands_alone() -> None:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(symgrad.emit(LOSS), "<emitted>", "exec"), names)
    given = inputs(10)
    value, (d_W, d_X) = names["kernel"](given["W"], given["X"], given["y"])
    expected, want_X, want_W = reference(**given)
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(d_W, want_W)
    np.testing.assert_allclose(d_X, want_X)


def test_code_does_not_grow_with_the_data() -> None:
    source = symgrad.emit(LOSS)
    assert "[2, 1]" not in source
    assert symgrad.emit(LOSS, extents={d: 1000, c: 1000}).count("\n") <= source.count("\n") + 5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "name", ["net", "attention", "rows_in_a_ring", "branches_by_the_sum_before", "log_determinant"]
)
def test_without_the_compiler(monkeypatch: pytest.MonkeyPatch, name: str, dtype: str) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    case = next(case for case in [*array_corpus.CORPUS, *identities.CORPUS] if case.name == name)
    arrays, tolerance = case.arrays("small"), 1e-9 if dtype == "float64" else 1e-4
    value, gradient = symgrad.compile(case.expression(), dtype=dtype)(**arrays)
    assert value == pytest.approx(float(case.value(**arrays)), rel=tolerance)
    for x, want in case.gradients(**arrays).items():
        np.testing.assert_allclose(gradient[x], np.float64(want), rtol=tolerance, atol=tolerance, err_msg=x)


def _calls(terms: int) -> int:
    """How many functions are called to schedule a sum of so many terms."""
    w = sp.symbols(f"w:{terms}")
    body = sum(sp.sin(w[at] * y[i]) * sp.exp(-w[at - 1] * y[i]) for at in range(terms))
    stages = Stages(sp.Sum(body, (i, 0, n - 1)), None, None, ())
    graph, definition = stages.simplified, stages.definition
    count = 0

    def note(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        schedule(graph, definition=definition)
    finally:
        sys.setprofile(None)
    return count


def test_scheduling_takes_as_long_as_there_are_terms() -> None:
    assert _calls(60) < 4.5 * _calls(15)


class _Poisoned:
    """NumPy, with NaN in every new array: what is read before it is written shows."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any = float) -> Any:
        return np.full(shape, np.nan, dtype)


@pytest.mark.parametrize("case", [*array_corpus.CORPUS, *identities.CORPUS], ids=lambda case: case.name)
def test_nothing_is_read_before_it_is_written(case: Any) -> None:
    """The same statements as plain Python, with poisoned buffers and NaN in what is not read."""
    source = symgrad.emit(case.expression(), target="python").replace("import numpy as np\n", "")
    names: dict[str, Any] = {"__name__": "emitted", "np": _Poisoned()}
    with np.errstate(all="ignore"):
        exec(compile(source, "<emitted>", "exec"), names)
        arrays = case.arrays("small")
        own = dict(zip(names["ARGUMENTS"], (symbol.name for symbol in lower(case.expression())[1]), strict=True))
        try:
            value, gradients = names["kernel"](*(arrays[name] for name in own.values()))
        except (OverflowError, ZeroDivisionError, ValueError) as error:
            if "math" not in str(error) and "division" not in str(error):
                raise
            pytest.skip("plain Python raises here, where compiled code gives infinity or NaN")
    assert value == pytest.approx(float(case.value(**arrays)), rel=1e-9, abs=1e-9)
    for name, got in zip(names["WRT"], gradients, strict=True):
        want = np.float64(case.gradients(**arrays)[own[name]])
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(want).max(initial=0)))


def test_a_branch_that_is_not_taken_contributes_nothing() -> None:
    x = sp.IndexedBase("x", shape=(n,))
    f = symgrad.compile(sp.Sum(sp.Piecewise((sp.log(x[i]), x[i] > 0), (x[i] ** 2, True)), (i, 0, n - 1)))
    value, (d_x,) = f(np.array([0.0, -1.0, 2.0]))
    assert value == pytest.approx(1 + np.log(2))
    np.testing.assert_array_equal(d_x, [0.0, -2.0, 0.5])


def test_a_branch_over_more_axes_than_a_factor() -> None:
    branch = sp.Piecewise((sp.sqrt(X[i, j]) * y[i], X[i, j] > 0), (0, True))
    f = symgrad.compile(sp.Sum(branch, (i, 0, n - 1), (j, 0, d - 1)))
    value, (d_X, d_y) = f(X=np.array([[0.0, -1.0, 4.0]]), y=np.array([2.0]))
    assert value == 4.0
    np.testing.assert_array_equal(d_X, [[0.0, 0.0, 0.5]])
    np.testing.assert_array_equal(d_y, [2.0])


def test_products_over_several_blocks_of_the_data() -> None:
    source = symgrad.emit(
        sp.Sum(sp.tanh(sp.Sum(X[i, k] * W[k, j], (k, 0, d - 1))), (i, 0, n - 1), (j, 0, c - 1)), target="python"
    )
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source, "<emitted>", "exec"), names)
    x, w = RNG.normal(size=(300, 2)), RNG.normal(size=(2, 300))
    value, (d_w, d_x) = names["kernel"](w, x)
    g = 1 - np.tanh(x @ w) ** 2
    assert value == pytest.approx(np.tanh(x @ w).sum())
    np.testing.assert_allclose(d_x, g @ w.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(d_w, x.T @ g, rtol=1e-9, atol=1e-9)


def test_a_product_over_several_parts_of_the_data() -> None:
    x = sp.IndexedBase("x", shape=(n,))
    source = symgrad.emit(sp.Product(1 + x[i], (i, 0, n - 1)), target="python")
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source, "<emitted>", "exec"), names)
    data = RNG.normal(size=9000) / 100
    value, (d_x,) = names["kernel"](data)
    assert value == pytest.approx(np.prod(1 + data))
    np.testing.assert_allclose(d_x, np.prod(1 + data) / (1 + data), rtol=1e-9)


@pytest.mark.parametrize("index", ["i/2", "i + 1/2", "sqrt(i)", "n/2", "0.5*i", "3/2"])
def test_what_is_not_always_an_integer_is_no_index(index: str) -> None:
    n, i = sp.symbols("n i", integer=True)
    x = sp.IndexedBase("x", shape=(n,))
    at = sp.sympify(index, locals={"n": n, "i": i}, rational=False)
    with pytest.raises(symgrad.UnsupportedExpression, match="is not always an integer; write floor"):
        symgrad.emit(sp.Sum(x[at], (i, 0, n - 1)), target="python")


def test_binomials_are_indices() -> None:
    n, i = sp.symbols("n i", integer=True)
    x = sp.IndexedBase("x")
    check(sp.Sum(x[i * (i - 1) / 2 + 1] ** 2, (i, 0, n - 1)), {"x": np.arange(8.0), "n": 4})


@pytest.mark.parametrize(("number", "words"), [(2.5, "is an integer"), ("3", "is an integer"), (-1, "at least 0")])
def test_told_extents_are_lengths(number: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        symgrad.emit("x: vector(n)\nsum(x)", target="python", extents={"n": number})
