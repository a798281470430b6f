"""Kernels for GPUs in Numba's simulator, in a process of their own: it is chosen when Numba is imported."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS, Case, points
from symgrad_codegen.run import build
from symgrad_codegen.run import device as run_cuda
from symgrad_codegen.targets import TARGETS
from symgrad_codegen.targets.cuda import parts
from symgrad_codegen.targets.cuda import points as cuda_points
from together import bits

import symgrad
from symgrad import Kernel, Result, ShapeError
from tests.codegen.test_cuda import needs_compiler
from tests.codegen.test_emit import ATTACKS, GOLDENS, emitted, identifiers, named

pytestmark = [needs_compiler, pytest.mark.own_process(NUMBA_ENABLE_CUDASIM="1")]

x, y, z = sp.symbols("x y z")
RICH = sp.exp(-(x**2)) * sp.sin(y) / (1 + z**2) + sp.Max(x, y) * sp.Rational(1, 3) + sp.pi * sp.log(z)


def by_python(expr: Any, *columns: Any, **options: Any) -> list[np.ndarray]:
    """Value and derivatives from the target python, of the shape that the columns broadcast to."""
    module = build.load(symgrad.emit(expr, target="python", **options))
    arrays = np.broadcast_arrays(*columns)
    value, gradient = module.kernel_batch(*(array.ravel() for array in arrays))
    return [output.reshape(arrays[0].shape) for output in (value, *gradient)]


# --- in the simulator: the corpus -------------------------------------------------------------------------------------

# Python raises where a GPU gives NaN or infinity, also in a branch that is not taken: ranges where it does not.
OTHER_RANGES = {
    "branches": {"x": (-2.0, -0.1), "y": (-2.0, 2.0)},  # sqrt(-x) is computed for x > 0 as well
    "unused_branch": {"x": (-3.0, -1.0), "y": (1.0, 3.0)},  # and so is 1/max(0, -x)
}


MODES = [(case, "float64") for case in CORPUS] + [(case, "float32") for case in CORPUS[::5] if not case.hard]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities on the way, which are no mistake
@pytest.mark.parametrize(("case", "dtype"), MODES, ids=[f"{case.name}-{dtype}" for case, dtype in MODES])
def test_formula(case: Case, dtype: str) -> None:
    """Beside plain Python: they differ by no more than a few units in the last place."""
    columns = points(replace(case, ranges=OTHER_RANGES.get(case.name, case.ranges)), 4)
    module = build.load(symgrad.emit(case.text, target="cuda", dtype=dtype))
    given = [columns[name] for name in module.ARGUMENTS]
    value, gradient = module.kernel_batch(*given)
    for got, want in zip((value, *gradient), by_python(case.text, *given, dtype=dtype), strict=True):
        assert not np.isnan(got).any()
        np.testing.assert_array_max_ulp(got, want, 4, dtype)


# --- in the simulator: calls ------------------------------------------------------------------------------------------


@cache
def circuit() -> Kernel:
    return symgrad.compile((x + y) * z, target="cuda")


@cache
def rich(**options: Any) -> Kernel:
    return symgrad.compile(RICH, target="cuda", **options)


def some(*shape: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.uniform(0.5, 2.0, shape or 7) for _ in range(3)]


def device(array: Any) -> Any:
    from numba import cuda

    return cuda.to_device(array)


def flat(result: Result) -> list[Any]:
    """Value and derivatives, as arrays of NumPy."""
    return [a.copy_to_host() if on_device(a) else a for a in (result.value, *result.grad)]


def on_device(array: Any) -> bool:
    return hasattr(array, "copy_to_host")


def same(got: Result, want: Result) -> bool:
    return [bits(a) for a in flat(got)] == [bits(a) for a in flat(want)]


def agree(result: Result, expr: Any, *columns: Any, tolerance: float = 1e-14, **options: Any) -> None:
    for got, want in zip(flat(result), by_python(expr, *columns, **options), strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance / 10)


def test_numbers_give_floats() -> None:
    for result in (
        circuit()(-2.0, 5.0, -4.0),
        circuit()(-2, 5, -4),
        circuit()(z=-4, x=-2.0, y=np.float32(5)),
        circuit()(np.array(-2.0), np.array(5), np.int8(-4)),
        circuit()(Fraction(-2), sp.Integer(5), -4),
        Result(circuit().value(-2, 5, -4), circuit().grad(-2, 5, -4)),
    ):
        assert result == (-12.0, (-4.0, -4.0, 3.0))
        assert {type(number) for number in (result.value, *result.grad)} == {float}
    assert circuit()(-2.0, 5.0, -4.0).grad["z"] == 3.0


def test_arrays_of_numpy_give_arrays_of_numpy() -> None:
    columns = some()
    before = [column.copy() for column in columns]
    one, two = rich()(*columns), rich()(*columns)
    agree(one, RICH, *columns)
    assert {type(array) for array in flat(one)} == {np.ndarray}
    assert not any(np.shares_memory(a, b) for a in flat(one) for b in flat(two))
    assert bits(columns) == bits(before)


def test_arrays_of_any_layout_are_taken() -> None:
    a, b, c = some(4, 5)
    want = rich()(a, b, c)
    doubled = np.repeat(c, 2, axis=1)[:, ::2]
    unaligned = np.frombuffer(b"\0" + c.tobytes(), np.uint8)[1:].view(np.float64).reshape(4, 5)
    for given in ((a.T.copy().T, np.asfortranarray(b), doubled), (a[::-1].copy()[::-1], b.tolist(), unaligned)):
        got = rich()(*given)
        assert same(got, want)
        assert got.value.flags.c_contiguous
    agree(rich()(a[:, :1], b[0], 1.5), RICH, a[:, :1], b[0], 1.5)
    agree(rich()(a, np.array([0.75]), 2), RICH, a, 0.75, 2.0)


def test_other_dtypes_are_converted() -> None:
    for dtype in ("bool", "int8", "uint64", "int64", "float16", "float32", ">f8", ">i4"):
        a = np.array([0, 1, 1], dtype)
        result = circuit()(a, 2 * np.ones(3), a)
        assert result.value.dtype == np.float64
        assert result.value.tolist() == [0.0, 3.0, 3.0], dtype
    for dtype in ("bool", "int8", "uint64", "int64", "float16", "float32"):
        a = device(np.array([0, 1, 1], dtype))
        result = circuit()(a, 2 * np.ones(3), a)
        assert flat(result)[0].tolist() == [0.0, 3.0, 3.0], dtype


def test_device_arrays_give_device_arrays() -> None:
    a, b, c = some(3, 4)
    want = rich()(a, b, c)
    for given in ((a, b, c), (device(a), device(b), device(c)), (device(a), b, c), (a, b, device(c))):
        got = rich()(*given)
        assert {on_device(array) for array in (got.value, *got.grad)} == {any(map(on_device, given))}
        assert same(got, want)
    for given in ((a, 0.75, 1.5), (a, np.array([0.75]), np.float32(1.5)), (a[:, :1], b[0], 2)):
        got = rich()(device(given[0].copy()), *given[1:])
        assert on_device(got.value)
        agree(got, RICH, *given)
    point = rich()(device(np.array(0.5)), 0.75, 1.5)
    assert on_device(point.value)
    assert flat(point) == pytest.approx([value.item() for value in by_python(RICH, 0.5, 0.75, 1.5)])


def test_device_arrays_of_any_layout_are_taken() -> None:
    a, b, c = some(4, 5)
    want = rich()(a, b, c)
    doubled = device(np.repeat(c, 2, axis=1))[:, ::2]
    assert same(rich()(device(a.T.copy()).T, device(np.asfortranarray(b)), doubled), want)
    agree(rich()(device(a)[1:3, ::2], device(b)[0, ::2], 1.5), RICH, a[1:3, ::2], b[0, ::2], 1.5)


def test_out_may_be_the_last_result() -> None:
    for give in (lambda array: array, device):
        result = rich()(*map(give, some()))
        for seed in range(3):
            columns = [give(column) for column in some(seed=seed)]
            again = rich()(*columns, out=result)
            assert again.value is result.value
            assert all(a is b for a, b in zip(again.grad, result.grad, strict=True))
            assert same(again, rich()(*columns))
            result = again
    again = rich()(*some(seed=5), out=result)  # arrays of NumPy in, results on the device
    assert again.value is result.value
    assert same(again, rich()(*some(seed=5)))


def test_a_wrong_out_is_refused() -> None:
    columns = some(6)
    for give in (lambda array: array, device):
        inputs = [give(column) for column in columns]
        new = [give(np.empty(6)) for _ in range(3)]
        others = [np.empty(5), np.empty((6, 1)), np.empty(6, np.float32), np.empty(12)]
        wrong = [give(array) for array in others[:3]] + [give(others[3])[::2]]
        for bad in (*wrong, [0.0] * 6, 1.0):
            with pytest.raises(ValueError, match="out"):
                rich()(*inputs, out=Result(bad, tuple(new)))
            with pytest.raises(ValueError, match="out"):
                rich()(*inputs, out=Result(give(np.empty(6)), (*new[:2], bad)))
        for count in (2, 4):
            with pytest.raises(ValueError, match="out must hold a value and 3 derivatives"):
                rich()(*inputs, out=Result(give(np.empty(6)), tuple(give(np.empty(6)) for _ in range(count))))
    inside = [np.empty(6) for _ in range(4)]
    with pytest.raises(ValueError, match="out"):  # arguments on the device, outputs that are not
        rich()(*map(device, columns), out=Result(inside[0], tuple(inside[1:])))
    with pytest.raises(ValueError, match="out"):
        rich()(*columns, out=Result(device(inside[0]), tuple(inside[1:])))


def test_an_out_that_overlaps_is_refused() -> None:
    for give in (lambda array: array, device):
        a, b, c = map(give, some(6))
        for place in range(4):
            outputs = [give(np.empty(6)) for _ in range(4)]
            outputs[place] = b
            with pytest.raises(ValueError, match="overlap"):
                rich()(a, b, c, out=Result(outputs[0], tuple(outputs[1:])))
            buffer = give(np.empty(10))
            outputs[place] = buffer[4:]
            with pytest.raises(ValueError, match="overlap"):
                rich()(a, buffer[:6], c, out=Result(outputs[0], tuple(outputs[1:])))
        twice = give(np.empty(6))
        with pytest.raises(ValueError, match="overlap"):
            rich()(a, b, c, out=Result(give(np.empty(6)), (twice, give(np.empty(6)), twice)))


def test_what_is_not_real_is_refused() -> None:
    for wrong in (1j, np.array([1j]), device(np.array([1j])), "1", None, [None], np.array(["1"]), x):
        for other in (2.0, np.ones(1), device(np.ones(1))):
            with pytest.raises(TypeError, match="y"):
                circuit()(1.0, wrong, other)


def test_wrong_calls_are_refused() -> None:
    for give in (lambda array: array, device):
        with pytest.raises(ShapeError, match=r"x \(2,\).*y \(3,\)"):
            circuit()(give(np.ones(2)), np.ones(3), 1.0)
    with pytest.raises(TypeError, match="missing z"):
        circuit()(1.0, 2.0)
    with pytest.raises(TypeError, match="4 arguments"):
        circuit()(1.0, 2.0, 3.0, 4.0)
    with pytest.raises(ValueError, match="q"):
        circuit()(1.0, 2.0, q=3.0)


def test_empty_arrays_are_taken() -> None:
    for give in (lambda array: array, device):
        for shape in ((0,), (3, 0), (0, 2)):
            result = rich()(give(np.empty(shape)), 1.0, give(np.empty(shape)))
            assert {array.shape for array in flat(result)} == {shape}
            assert rich()(give(np.empty(shape)), 1.0, 2.0, out=result).value is result.value


def test_chunks_give_the_same_bits() -> None:
    from numba import cuda

    a, b, c = some(23)
    whole, mixed = rich()(a, b, c), rich()(a, 0.75, c[::-1])
    agree(whole, RICH, a, b, c)
    with mock.patch.object(run_cuda, "CHUNK", 5):  # more chunks than are on their way; the last one is shorter
        assert same(rich()(a, b, c), whole)
        assert same(rich()(a, b, c, stream=cuda.stream()), whole)
        assert same(rich()(a, 0.75, c[::-1]), mixed)
        out = rich()(c, b, a)
        assert same(rich()(a, b, c, out=out), whole)
        assert same(out, whole)
        columns = [column.reshape(23, 1) for column in (a, b, c)]
        assert bits([array.ravel() for array in flat(rich()(*columns))]) == bits(flat(whole))


def test_a_stream_is_taken() -> None:
    from numba import cuda

    columns = some()
    want = rich()(*columns)
    for stream in (None, 0, cuda.stream(), cuda.default_stream()):
        assert same(rich()(*columns, stream=stream), want)
        assert same(rich()(*map(device, columns), stream=stream), want)
        assert same(Result(rich().value(*columns, stream=stream), want.grad), want)
    for wrong in ("x", True, 1.5):
        with pytest.raises(TypeError, match="stream"):
            rich()(*columns, stream=wrong)


def test_beside_the_call() -> None:
    kernel = rich()
    assert kernel.source == symgrad.emit(RICH, target="cuda")
    assert kernel.stats["runs"] == "numba-cuda"
    assert "numba-cuda" in repr(kernel)
    assert kernel.check(0.5, 0.75, 1.5)
    objective = circuit().objective(z=-4.0)
    value, gradient = objective(objective.pack(x=-2.0, y=5.0))
    assert (value, gradient.tolist()) == (-12.0, [-4.0, -4.0])
    again = pickle.loads(pickle.dumps(kernel))
    assert type(again) is type(kernel)
    assert same(again(*some()), kernel(*some()))
    assert pickle.loads(pickle.dumps(kernel(0.5, 0.75, 1.5))) == kernel(0.5, 0.75, 1.5)


def test_wrt_of_one_symbol_and_of_none() -> None:
    single = symgrad.compile(x**2 * y, wrt=x, target="cuda")
    assert single(3.0, 5.0) == (45.0, 30.0)
    assert single(np.array([3.0, 1.0]), 5.0).grad.tolist() == [30.0, 10.0]
    assert single.check(3.0, 5.0)
    assert single.objective(y=5.0)(np.array([3.0]))[0] == 45.0
    result = single(device(np.array([3.0, 1.0])), 5.0)
    assert result.grad.copy_to_host().tolist() == [30.0, 10.0]
    assert single(device(np.array([1.0, 3.0])), 5.0, out=result).grad is result.grad
    assert result.grad.copy_to_host().tolist() == [10.0, 30.0]
    none = symgrad.compile(x**2 * y, wrt=(), target="cuda")
    assert none(3.0, 5.0) == (45.0, ())
    assert none(np.array([3.0, 1.0]), 5.0).value.tolist() == [45.0, 5.0]
    assert symgrad.compile(sp.pi / 4, target="cuda")() == (np.pi / 4, ())


def test_float32_and_strict() -> None:
    columns = some()
    for options in ({"dtype": "float32"}, {"accuracy": "strict"}, {"dtype": "float32", "accuracy": "strict"}):
        tolerance = 3e-6 if "dtype" in options else 1e-15
        kernel = rich(**options)
        agree(kernel(*columns), RICH, *columns, tolerance=tolerance, **options)
        agree(kernel(*map(device, columns)), RICH, *columns, tolerance=tolerance, **options)
    assert {type(number) for number in rich(dtype="float32")(1.0, 2.0, 3.0).grad} == {float}
    assert rich(dtype="float32").check(0.5, 0.75, 1.5)


def test_gates_of_ones_own() -> None:
    a = sp.Symbol("a")
    swish = symgrad.gate("swish", sp.Lambda(a, a / (1 + sp.exp(-a))), [lambda y, a: y + (1 - y) / (1 + sp.exp(-a))])
    kernel = symgrad.compile(swish(x) * y, gates=[swish], target="cuda")
    agree(kernel(*some()[:2]), swish(x) * y, *some()[:2], gates=[swish])
    assert kernel.check(0.5, 2.0)


def test_derivatives_of_gamma() -> None:
    a, b = (np.array(column) for column in ([0.25, 1.5, 20.0, -0.75, -3.5], [2.0, -1.0, 0.5, 3.0, 1.0]))
    expr = sp.polygamma(2, x) * y
    agree(symgrad.compile(expr, target="cuda")(a, b), expr, a, b)


def test_the_remainder_has_the_sign_of_the_divisor() -> None:
    numbers = [-7.5, -6.0, -0.5, -0.0, 0.0, 0.5, 6.0, 7.5]
    divisors = [-3.0, -0.75, 0.75, 3.0]
    a, b = (column.ravel() for column in np.meshgrid(numbers, divisors))
    value, grad = symgrad.compile(sp.Mod(x, y), target="cuda")(a, b)
    assert value.tolist() == [p % q for p, q in zip(a, b, strict=True)]
    assert grad["y"].tolist() == [-(p // q) for p, q in zip(a, b, strict=True)]


# --- in the simulator: what is emitted --------------------------------------------------------------------------------


def test_golden_texts_run() -> None:
    names = [name for name, row in GOLDENS.items() if row[1].get("target") == "cuda"]
    assert len(names) > 1
    for name in names:
        _, options, point, want = GOLDENS[name]
        module = build.load(emitted(name))
        value, gradient = module.kernel_batch(*(np.full(3, a) for a in point))
        got = [float(value[2]), *(float(g[2]) for g in gradient)]
        assert got == pytest.approx(want, rel=1e-12 if options.get("dtype") != "float32" else 1e-6)


def test_a_long_body_in_parts_gives_the_same_bits() -> None:
    columns = some(23)
    for options in ({}, {"accuracy": "strict"}, {"dtype": "float32"}):
        whole = rich(**options)
        with mock.patch.object(parts, "_REGISTERS", 5 if "dtype" in options else 10):
            cut = symgrad.compile(RICH, target="cuda", **options)
            with mock.patch.object(cuda_points, "_KEPT_BYTES", 8 * 8 * 4):  # a few points at a time
                lanes = symgrad.compile(RICH, target="cuda", **options)
        assert len(whole._runner.module.KERNELS) == 1
        assert whole._runner.module.KEPT == whole._runner.module.LANES == 0
        assert len(cut._runner.module.KERNELS) > 2
        assert cut._runner.module.LANES > 23 > 2 * lanes._runner.module.LANES
        want = whole(*columns)
        for kernel in (cut, lanes):
            assert same(kernel(*columns), want)
            assert same(kernel(*map(device, columns)), want)
            with mock.patch.object(run_cuda, "CHUNK", 9):
                assert same(kernel(*columns), want)


def test_many_arguments() -> None:
    symbols = sp.symbols("s:35")
    f = sp.Add(*((k + 1) * s**2 for k, s in enumerate(symbols)))
    at = np.linspace(-1, 1, 35 * 5).reshape(35, 5)
    value, grad = symgrad.compile(f, symbols, target="cuda")(*at)
    np.testing.assert_allclose(value, (np.arange(1, 36)[:, None] * at**2).sum(0), rtol=1e-14)
    np.testing.assert_allclose(grad, 2 * np.arange(1, 36)[:, None] * at, rtol=1e-14)


def test_names_are_only_names() -> None:
    used = "start stop i step lane kept start_ i_ part_1 part_2 points_ x_points d_x value value_points s_ exp sin KEPT"
    names = dict.fromkeys([*sorted(TARGETS["cuda"].reserved()), *used.split(), *ATTACKS[3::4]])
    for some_names in (list(names)[start : start + 25] for start in range(0, len(names), 25)):
        symbols = [sp.Symbol(name) for name in some_names]
        f = sp.Add(*((k + 2) * s**2 for k, s in enumerate(symbols))) + sp.exp(symbols[0]) * sp.sin(symbols[1])
        at = np.linspace(0.25, 1, len(symbols))
        want = [2 * (k + 2) * a for k, a in enumerate(at)]
        want[0] += np.exp(at[0]) * np.sin(at[1])
        want[1] += np.exp(at[0]) * np.cos(at[1])
        for registers in (parts._REGISTERS, 16):
            with mock.patch.object(parts, "_REGISTERS", registers):
                module = build.load(symgrad.emit(f, symbols, target="cuda"))
            _, gradient = module.kernel_batch(*(np.full(2, a) for a in at))
            np.testing.assert_allclose([g[1] for g in gradient], want, rtol=1e-13)


def test_a_kernel_takes_any_name_or_refuses_it() -> None:
    f = sp.exp(x) * y + sp.Max(x, y) + sp.gamma(y) + sp.Mod(x, y)
    plain = build.load(symgrad.emit(f, target="cuda")).kernel_batch(np.full(2, 0.5), np.full(2, 1.25))
    refused = set()
    for name in identifiers(symgrad.emit(f, target="cuda")):
        module = named(f, "cuda", name)
        if module is None:
            refused.add(name)
            continue
        value, gradient = getattr(module, f"{name}_batch")(np.full(2, 0.5), np.full(2, 1.25))
        np.testing.assert_array_equal((value, *gradient), (plain[0], *plain[1]), err_msg=name)
    assert {"__builtins__", "run", "launch", "real", "sorted", "points"} <= refused
    assert not {"i", "start", "step", "count", "x", "_"} & refused


def test_a_kernel_has_the_name_that_it_is_given() -> None:
    for name in ("energy", "part_1", "part_2", "x"):
        with mock.patch.object(parts, "_REGISTERS", 16):
            kernel = symgrad.compile(RICH, name=name, target="cuda")
        agree(kernel(*some()), RICH, *some())
        names = [part.__name__ for part, _ in kernel._runner.module.KERNELS]
        assert len({name, *names}) == len(names) + 1, f"{name} is the name of a part too: {names}"
