"""The target javascript over arrays: every row of the tables in Node, and what a module takes and refuses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import array_corpus
import identities
import numpy as np
import pytest
import sympy as sp
from array_corpus import SIZES, ArrayCase
from node_arrays import Flat, Job, run
from symgrad_codegen.targets.javascript import target as javascript
from symgrad_codegen.targets.javascript.functions import functions_of
from symgrad_codegen.text.expressions import WIDTH

import symgrad
from symgrad.compiler import Stages
from tests.codegen.test_javascript import NODE, needs_node
from tests.evaluate.test_arrays import assert_agrees, poisoned

CASES = [*array_corpus.CORPUS, *identities.CORPUS]
WAYS = {"long": "Float64Array", "small": "nested", "other": "Float64Array"}


def emit(expr: Any, *args: Any, **options: Any) -> str:
    return symgrad.emit(expr, *args, target="javascript", **options)


def given(case: ArrayCase, names: list[str], arrays: dict[str, Any], way: str) -> list[Any]:
    return [Flat(arrays[name], way) if np.ndim(arrays[name]) else arrays[name] for name in names]


@needs_node
def test_every_row_agrees_with_its_reference() -> None:
    """At all sizes, arrays given in another way at each, and with NaN where nothing is read."""
    jobs, wants = [], []
    for case in CASES:
        expression = case.expression()
        stages = Stages(expression, None, None, ())
        names, wrt = ([symbol.name for symbol in symbols] for symbols in (stages.args, stages.wrt))
        arrays = {size: case.arrays(size) for size in SIZES}
        calls = [given(case, names, arrays[size], way) for size, way in WAYS.items()]
        if case.unread:
            calls.append(given(case, names, poisoned(case, "small"), "Array"))
        source = emit(expression)
        jobs += [Job(source, calls[1:]), Job(source, calls[:1], guarded=False)]  # of the long ones entries are many
        wants += [(case, wrt, [arrays[size] for size in ("small", "other", "small")]), (case, wrt, [arrays["long"]])]
    wrong = []
    for found, (case, wrt, arrays) in zip(run(jobs), wants, strict=True):
        for call, clean in zip(found.calls, arrays, strict=False):
            try:
                assert not isinstance(call, str), call
                value, gradient = call
                assert_agrees(symgrad.Result(value, dict(zip(wrt, gradient, strict=True))), case, clean)
            except AssertionError as error:
                wrong.append(f"{case.name}: {error}")
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)


# --- what is given, and what comes back -------------------------------------------------------------------------------

i, j, n, d, c = sp.symbols("i j n d c", integer=True)
X, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(d, c))
w, t, y = sp.IndexedBase("w", shape=(d,)), sp.IndexedBase("t", shape=(n,)), sp.IndexedBase("y", shape=(n,))
SQUARES = sp.Sum((sp.Sum(X[i, j] * w[j], (j, 0, d - 1)) - t[i]) ** 2, (i, 0, n - 1))
LABELS = sp.Sum(X[i, j] * W[j, y[i]], (j, 0, d - 1), (i, 0, n - 1))
AT = {"X": np.arange(6.0).reshape(3, 2) - 1.5, "t": np.array([1.0, -2.0, 0.5]), "w": np.array([0.25, 3.0])}


def squares(X: Any, t: Any, w: Any) -> tuple[float, list[Any]]:
    rest = X @ w - t
    return rest @ rest, [2 * np.outer(rest, w), -2 * rest, 2 * X.T @ rest]


def called(source: str, *calls: list[Any], name: str = "kernel") -> list[Any]:
    (found,) = run([Job(source, calls, name)])
    return found.calls


@needs_node
@pytest.mark.parametrize("way", ["Array", "Float64Array", "Float32Array", "Int32Array", "nested"])
@pytest.mark.parametrize("shape", [True, False])
def test_arrays_of_all_sorts(way: str, shape: bool) -> None:
    """Without a shape the lengths of t and w tell that of X."""
    at = {name: np.rint(array) for name, array in AT.items()}
    ((value, gradient),) = called(emit(SQUARES), [Flat(array, way, shape) for array in at.values()])
    want, derivatives = squares(**at)
    assert value == want
    for got, wanted in zip(gradient, derivatives, strict=True):
        np.testing.assert_array_equal(got, wanted)


@needs_node
def test_a_flat_array_tells_the_one_extent_that_nothing_else_tells() -> None:
    source = emit(sp.Sum(X[i, j] ** 2 * t[i], (i, 0, n - 1), (j, 0, d - 1)))
    ((value, (d_X, _)),) = called(source, [Flat(AT["X"], "Float64Array", False), AT["t"]])
    assert value == (AT["X"] ** 2 * AT["t"][:, None]).sum()
    np.testing.assert_array_equal(d_X, 2 * AT["X"] * AT["t"][:, None])


@needs_node
def test_no_rows() -> None:
    at = [np.zeros((0, 2)), np.zeros(0), AT["w"]]
    for given in (at, [Flat(array, "nested") for array in at], [Flat(array, "Float64Array", False) for array in at]):
        ((value, (d_X, d_t, d_w)),) = called(emit(SQUARES), given)
        assert value == 0
        assert (d_X.shape, d_t.shape) == ((0, 2), (0,))
        np.testing.assert_array_equal(d_w, [0, 0])


@needs_node
def test_float32_is_rounded_but_for_sums() -> None:
    """A sum of 100,000 terms in float32 would be off in the third digit."""
    source = emit(sp.Sum(t[i] * w[0], (i, 0, n - 1)), dtype="float32")
    ((value, (d_t, d_w)),) = called(source, [np.full(100_000, 0.1), np.array([0.7])])
    want = 100_000 * float(np.float32(0.1))
    assert d_w[0] == np.float32(want)
    assert value == pytest.approx(want * float(np.float32(0.7)), rel=1e-7)
    np.testing.assert_array_equal(d_t, np.float32(0.7))


@needs_node
def test_inputs_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "kernel.mjs").write_text(emit(SQUARES), encoding="utf-8")
    (tmp_path / "run.mjs").write_text(
        'import { kernel } from "./kernel.mjs";\n'
        "const [X, t, w] = [Float64Array.of(1, 2, 3, 4), Float64Array.of(5, 6), Float64Array.of(7, 8)];\n"
        "const [value, [d_X, d_t, d_w]] = kernel(X, t, w);\n"
        "const again = kernel(d_X, d_t, d_w);\n"  # derivatives are arguments of their own
        "console.log([...X, ...t, ...w].join(), d_X.constructor.name, d_X.shape.join(), again.length);\n",
        encoding="utf-8",
    )
    done = subprocess.run([str(NODE), str(tmp_path / "run.mjs")], capture_output=True, text=True, check=True)
    assert done.stdout == "1,2,3,4,5,6,7,8 Float64Array 2,2 2\n"


REFUSED = {
    "X has 6 elements, and not the shape [2, 2] (n = 2 by axis 0 of t, d = 2 by axis 0 of w)": [
        Flat(AT["X"], "Float64Array", False), AT["t"][:2], AT["w"],
    ],
    "axis 0 of t has the length 2, and n = 3 by axis 0 of X, which makes n 3": [AT["X"], AT["t"][:2], AT["w"]],
    "axis 0 of w has the length 3, and d = 2 by axis 1 of X, which makes d 2": [AT["X"], AT["t"], np.zeros(3)],
    "X is an array of shape [n, d], not of shape [3, 2, 1]": [AT["X"][:, :, None], AT["t"], AT["w"]],
    "t is an array of shape [n], not of shape [3, 1]": [AT["X"], Flat(AT["t"][:, None], "nested"), AT["w"]],
    "X is an array of shape [n, d], not 3": [3, AT["t"], AT["w"]],
}  # fmt: skip


@needs_node
def test_lengths_that_do_not_fit_are_refused() -> None:
    found = called(emit(SQUARES), *REFUSED.values())
    assert [text.split(": ", 1)[1] if isinstance(text, str) else text for text in found] == list(REFUSED)


@needs_node
def test_a_shape_that_nothing_tells_is_asked_for() -> None:
    source = emit(sp.Sum(X[i, j] ** 2, (i, 0, n - 1), (j, 0, d - 1)))
    (message,) = called(source, [Flat(AT["X"], "Float64Array", False)])
    assert message.startswith(
        "RangeError: X is an array of shape [n, d], and no array tells n: give it a property shape"
    )


@needs_node
@pytest.mark.parametrize(("label", "bad"), [(3, 3), (-1, -1), (0.5, None)])
def test_an_index_out_of_bounds_is_refused(label: float, bad: int | None) -> None:
    given = [np.ones((2, 3)), np.ones((2, 2)), np.array([0, label])]  # W has three columns
    (message,) = called(emit(LABELS), given)
    out = f"RangeError: y holds {bad}, an index of axis 1 of W out of the bounds 0 .. 2"
    assert message == ("TypeError: y holds 0.5, which is no integer" if bad is None else out)


@needs_node
def test_an_affine_index_out_of_bounds_is_refused() -> None:
    odd = sp.Sum(t[2 * i + 1], (i, 0, n - 1))
    (message,) = called(emit(odd, wrt=()), [np.ones(4)])
    assert message == "RangeError: an index of axis 0 of t is 7, out of the bounds 0 .. 3"
    # Where there are no indices nothing is checked.
    kept = sp.Sum(t[i] + w[0], (i, 0, 2 * n - 1)) + sp.Sum(t[i + 9], (i, 0, n - 9))
    (message,) = called(emit(kept), [np.ones(4), np.ones(1)])
    assert message == "RangeError: an index of axis 0 of t is 7, out of the bounds 0 .. 3"


@needs_node
def test_a_computed_index_is_checked_where_it_is_not_read() -> None:
    """Programs hold what they read inside of arrays, so that only a check before them tells."""
    double = sp.Sum(w[2 * y[i] + 1] * w[0], (i, 3, 0))  # less what stands between: i is 1 and 2
    source = emit(double)
    (value, _), message, outer = called(
        source,
        [np.arange(4.0), np.array([9, 1, 0])],
        [np.arange(4.0), np.array([0, 1, 2])],
        [np.ones(4), np.zeros(2, int)],
    )
    assert value == 0
    assert message == "RangeError: y holds 5, an index of axis 0 of w out of the bounds 0 .. 3"
    assert outer == "RangeError: an index of axis 0 of y is 2, out of the bounds 0 .. 1"


def test_an_index_that_cannot_be_checked_is_refused() -> None:
    secant = sp.Sum(w[sp.floor(sp.sec(y[i]))], (i, 0, n - 1))
    with pytest.raises(
        symgrad.UnsupportedExpression, match=r"'javascript' checks indices itself.* axis 0 of w is made of"
    ):
        emit(secant)
    assert "def kernel(" in symgrad.emit(secant, target="python")


@needs_node
def test_matrices() -> None:
    """Pivots are exchanged; a singular matrix is refused, its determinant is 0, a negative one has no logarithm."""
    A = sp.MatrixSymbol("A", n, n)
    at = np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 3.0], [4.0, 5.0, 0.0]])
    inverse = np.linalg.inv(at)
    singular = np.ones((2, 2))
    det, trace = emit(sp.Determinant(A), wrt=()), emit(sp.Trace(A.inverse()))
    (value, _), (none, _), (empty, _) = called(det, [at], [singular], [np.zeros((0, 0))])
    assert value == pytest.approx(np.linalg.det(at), rel=1e-14)
    assert (none, empty) == (0, 1)
    (value, (d_A,)), message = called(trace, [at], [singular])
    assert value == pytest.approx(np.trace(inverse), rel=1e-14)
    np.testing.assert_allclose(d_A, -(inverse @ inverse).T, rtol=1e-13)
    assert message == "RangeError: a matrix that is inverted is singular"
    negative = np.array([[0.0, 1.0], [1.0, 0.0]])
    (value, _), (none, _) = called(emit(sp.log(sp.Determinant(A)), wrt=()), [negative], [singular])
    assert (np.isnan(value), none) == (True, -np.inf)


# --- the text ---------------------------------------------------------------------------------------------------------


@needs_node
def test_names_are_only_names() -> None:
    """Of arrays, extents and loops: words of JavaScript, of the module, of what every object has."""
    for name in ["constructor", "__proto__", "INPUTS", "REAL", "max", "checked", "stop", "sum", "factor", "let", "Map"]:
        a, size = sp.IndexedBase(name, shape=(sp.Symbol("length", integer=True),)), sp.Symbol("length", integer=True)
        loop, b = sp.Symbol("stop", integer=True), sp.IndexedBase("b", shape=(sp.Symbol(f"{name}_", integer=True),))
        k, other = sp.Symbol("k", integer=True), sp.Symbol(f"{name}_", integer=True)
        both = sp.Sum(a[loop] ** 2, (loop, 0, size - 1)) * sp.Sum(sp.Max(b[k], 1), (k, 0, other - 1))
        given = sorted([(name, np.array([1.0, 2.0])), ("b", np.array([3.0, 0.5]))])
        ((value, _),) = called(emit(both), [array for _, array in given])
        assert value == 20, name


def test_the_same_text_twice_in_short_lines() -> None:
    text = emit(LABELS)
    assert text == emit(LABELS)
    assert all(len(line) <= WIDTH + 4 and line == line.rstrip() for line in text.splitlines())
    assert not re.search(r"\b(import|require)\b", text)


def test_every_function_of_the_run_time_text_is_called_by_some_row() -> None:
    functions = set(functions_of("javascript/runtime_arrays.js"))
    for case in CASES:
        functions -= set(re.findall(r"^function (\w+)", emit(case.expression()), re.MULTILINE))
        if not functions:
            break
    assert not functions


def test_names_of_the_module_are_reserved() -> None:
    source = emit(LABELS, dtype="float32")
    declared = set(re.findall(r"^(?:export )?(?:const|let|function) (\w+)", source, re.MULTILINE))
    assert {"INPUTS", "REAL", "checked", "inside"} < declared
    assert declared - {"kernel"} <= javascript.reserved()


def test_the_data_are_one_loop() -> None:
    """What varies along the data is a number of one index; the user's index names the loop."""
    text = emit(SQUARES)
    assert text.count("for (let i = 0; i < n; i++) {") == 1
    assert not re.search(r"new REAL\(n\)(?!.*d_t)", text.replace("const d_t = new REAL(n);", ""))
