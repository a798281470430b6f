"""The kernel as people meet it: calls, names, arrays, `out`, dtypes, pickling, threads, processes, refusals."""

from __future__ import annotations

import copy
import inspect
import math
import multiprocessing
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import sympy as sp
from numba import njit
from sympy.physics.units import meter
from together import bits

import symgrad
from symgrad import Kernel, Result, ShapeError, UnsupportedExpression

ROOT = Path(__file__).resolve().parents[2]
x, y, z = sp.symbols("x y z")
RICH = sp.exp(-(x**2)) * sp.sin(y) / (1 + z**2) + sp.Max(x, y) * sp.Rational(1, 3) + sp.pi * sp.log(z)


@cache
def circuit() -> Kernel:
    return symgrad.compile((x + y) * z)


@cache
def rich(dtype: str = "float64", threads: int | str | None = None) -> Kernel:
    return symgrad.compile(RICH, dtype=dtype, threads=threads)


@cache
def single() -> Kernel:
    return symgrad.compile(x**2 * y, wrt=x)


@cache
def twins() -> tuple[Kernel, sp.Symbol, sp.Symbol]:
    """Two symbols of one name."""
    plain, positive = sp.Symbol("x"), sp.Symbol("x", positive=True)
    return symgrad.compile(plain**2 + 3 * positive, args=(plain, positive)), plain, positive


@cache
def deep() -> Kernel:
    return symgrad.compile(chain(4000))


def chain(n: int) -> sp.Expr:
    f: sp.Expr = x
    for _ in range(n):
        f = sp.Add(sp.Mul(f, x, evaluate=False), 1, evaluate=False)
    return f


def arrays(n: int = 5, seed: int = 0) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    return tuple(generator.uniform(0.5, 2.0, n) for _ in range(3))


def flat(result: Result) -> list[Any]:
    return [result.value, *result.grad]


# --- calls and results ------------------------------------------------------------------------------------------------


def test_the_example_of_the_readme() -> None:
    value, (d_x, d_y, d_z) = circuit()(-2.0, 5.0, -4.0)
    assert (value, d_x, d_y, d_z) == (-12.0, -4.0, -4.0, 3.0)


def test_result_is_a_named_tuple() -> None:
    result = circuit()(-2.0, 5.0, -4.0)
    assert isinstance(result, Result)
    assert isinstance(result, tuple)
    assert result._fields == ("value", "grad")
    assert result == (-12.0, (-4.0, -4.0, 3.0))


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(-2.0, 5.0, -4.0),
        lambda f: f(-2, 5, -4),
        lambda f: f(x=-2.0, y=5.0, z=-4.0),
        lambda f: f(-2.0, z=-4.0, y=5.0),
        lambda f: f(np.float64(-2), np.float32(5), np.int8(-4)),
        lambda f: f(np.array(-2.0), 5, -4.0),
        lambda f: f(np.array(-2), np.array(5), np.array(-4)),
        lambda f: f(Fraction(-2), 5, sp.Integer(-4)),
        lambda f: f.value_and_grad(-2.0, 5.0, -4.0),
        lambda f: Result(f.value(-2.0, 5.0, -4.0), f.grad(-2.0, 5.0, -4.0)),
        lambda f: Result(f.value(x=-2.0, y=5.0, z=-4.0), f.grad(x=-2.0, y=5.0, z=-4.0)),
    ],
    ids=[
        "floats",
        "ints",
        "names",
        "mixed",
        "numpy",
        "0-d",
        "0-d_ints",
        "rationals",
        "value_and_grad",
        "parts",
        "named",
    ],
)
def test_scalars_in_python_floats_out(call: Any) -> None:
    result = call(circuit())
    assert result == (-12.0, (-4.0, -4.0, 3.0))
    assert {type(number) for number in flat(result)} == {float}


def test_bools_and_huge_integers_are_numbers() -> None:
    assert circuit()(True, False, np.True_).value == 1.0
    assert circuit()(10**30, 0, 1).value == 1e30


def test_gradient_by_place_name_and_symbol() -> None:
    grad = circuit()(-2.0, 5.0, -4.0).grad
    assert grad[2] == grad["z"] == grad[z] == grad[-1] == 3.0
    assert grad[:2] == (-4.0, -4.0)
    assert grad.as_dict() == {"x": -4.0, "y": -4.0, "z": 3.0}
    assert isinstance(grad, tuple)
    assert len(grad) == 3


def test_unknown_names_are_told() -> None:
    grad = circuit()(-2.0, 5.0, -4.0).grad
    with pytest.raises(ValueError, match="q"):
        grad["q"]
    with pytest.raises((ValueError, KeyError), match="q"):
        grad[sp.Symbol("q")]
    with pytest.raises((ValueError, TypeError), match="q"):
        circuit()(-2.0, 5.0, q=1.0)


def test_two_symbols_of_one_name() -> None:
    kernel, plain, positive = twins()
    value, grad = kernel(3.0, 5.0)
    assert value == 24.0
    assert grad == (6.0, 3.0)
    assert (grad[plain], grad[positive]) == (6.0, 3.0)
    for ambiguous in (lambda: grad["x"], grad.as_dict, lambda: kernel(x=3.0), lambda: kernel(3.0, x=5.0)):
        with pytest.raises(ValueError, match=r"x.*positive"):
            ambiguous()
    assert kernel.objective({plain: 3.0})(np.array([5.0]))[0] == 24.0


def test_wrt_of_one_symbol_is_that_gradient() -> None:
    assert single()(3.0, 5.0) == (45.0, 30.0)
    grad = single()(np.array([3.0, 1.0]), 5.0).grad
    assert grad.tolist() == [30.0, 10.0]
    assert isinstance(grad, np.ndarray)


def test_wrt_of_length_one_stays_a_tuple() -> None:
    assert symgrad.compile(x**2 * y, wrt=[x])(3.0, 5.0) == (45.0, (30.0,))


def test_wrt_in_its_own_order_and_unused() -> None:
    kernel = symgrad.compile(x**2 * y, args=(x, y, z), wrt=(z, y))
    assert kernel(3.0, 5.0, 7.0) == (45.0, (0.0, 9.0))
    assert kernel.wrt == (z, y)
    assert kernel(np.ones(3), 5.0, 7.0).grad["z"].tolist() == [0.0, 0.0, 0.0]


def test_no_wrt() -> None:
    kernel = symgrad.compile(x * y, wrt=())
    assert kernel(3.0, 5.0) == (15.0, ())
    assert kernel(np.arange(3.0), 2.0).value.tolist() == [0.0, 2.0, 4.0]


def test_no_inputs() -> None:
    kernel = symgrad.compile(sp.pi / 4)
    assert kernel() == (math.pi / 4, ())


@pytest.mark.parametrize(
    "wrt", [sp.Symbol("q"), [x, sp.Symbol("q")], sp.Symbol("x", positive=True), [x, x], "q"], ids=repr
)
def test_wrt_that_is_no_input(wrt: Any) -> None:
    with pytest.raises(ValueError, match=r"wrt|no symbol 'q'"):
        symgrad.compile(x * y, wrt=wrt)


# --- args -------------------------------------------------------------------------------------------------------------


def test_default_order_is_by_name_with_digits_by_value() -> None:
    names = "x10 x2 x1 b a9b2 a9b10 a B x"
    kernel = symgrad.compile(sp.Add(*sp.symbols(names)), cache=False)
    assert [symbol.name for symbol in kernel.args] == "B a a9b2 a9b10 b x x1 x2 x10".split()


def test_order_of_same_names_does_not_depend_on_the_expression() -> None:
    plain, real, positive = sp.Symbol("x"), sp.Symbol("x", real=True), sp.Symbol("x", positive=True)
    orders = [symgrad.compile(e).args for e in (plain + 2 * real + positive**2, positive + real**2 + 2 * plain)]
    assert orders[0] == orders[1]


def test_extra_args_are_unused() -> None:
    kernel = symgrad.compile(x * y, args=(z, y, x))
    assert kernel(7.0, 3.0, 5.0) == (15.0, (0.0, 5.0, 3.0))


def test_missing_args_are_named() -> None:
    with pytest.raises(ValueError, match="'y'"):
        symgrad.compile(x * y, args=[x])
    with pytest.raises(ValueError, match="assumptions"):
        symgrad.compile(x * y, args=[x, sp.Symbol("y", positive=True)])
    with pytest.raises(ValueError, match="twice"):
        symgrad.compile(x * y, args=[x, y, x])


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda f: f(1.0, 2.0), "z"),
        (lambda f: f(), "x, y, z"),
        (lambda f: f(1.0, 2.0, 3.0, 4.0), "4 arguments"),
        (lambda f: f(1.0, 2.0, 3.0, x=1.0), "x"),
        (lambda f: f(np.ones(2), 2.0), "z"),
    ],
    ids=["one_missing", "all_missing", "too_many", "twice", "missing_with_arrays"],
)
def test_wrong_calls(call: Any, names: str) -> None:
    with pytest.raises(TypeError, match=names):
        call(circuit())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("dtype", "float16"),
        ("accuracy", "sloppy"),
        ("target", "fpga"),
        ("name", "not a name"),
        ("name", "lambda"),
        ("name", "np"),
        ("threads", 0),
        ("threads", "many"),
        ("extents", {x: 3}),
    ],
)
def test_wrong_options(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        symgrad.compile(x, **{option: value})


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_arrays_give_every_point_as_alone() -> None:
    columns = arrays(1000)
    value, grad = rich()(*columns)
    assert value.shape == (1000,)
    assert [g.shape for g in grad] == [(1000,)] * 3
    for k in (0, 1, 255, 256, 257, 999):
        alone = rich()(*(float(c[k]) for c in columns))
        np.testing.assert_allclose([value[k], *(g[k] for g in grad)], flat(alone), rtol=4e-15)


@pytest.mark.parametrize("shape", [(1,), (0,), (3, 0), (1, 1), (2, 3, 4), (255,), (256,), (257,), (64, 5)], ids=str)
def test_shapes(shape: tuple[int, ...]) -> None:
    a, b, c = (column.reshape(shape) for column in arrays(math.prod(shape)))
    value, grad = circuit()(a, b, c)
    assert value.shape == shape
    assert value.dtype == np.float64
    np.testing.assert_array_equal(value, (a + b) * c)
    np.testing.assert_array_equal(grad["z"], a + b)
    np.testing.assert_array_equal(grad["x"], c)


def test_broadcasting() -> None:
    a, b = np.arange(3.0)[:, None], np.arange(4.0)
    value, grad = circuit()(a, b, 2.0)
    np.testing.assert_array_equal(value, (a + b) * 2)
    assert all(g.shape == (3, 4) for g in grad)
    np.testing.assert_array_equal(grad["z"], a + b)
    np.testing.assert_array_equal(grad["x"], np.full((3, 4), 2.0))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"x \(2,\).*y \(3,\)"):
        circuit()(np.ones(2), np.ones(3), 1.0)
    with pytest.raises(ValueError, match="broadcast"):
        circuit()(np.ones((2, 3)), np.ones((2, 1, 2)), 1.0)


STRIDED = {
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "every_third": lambda a: np.repeat(a, 3)[::3],
    "column": lambda a: np.column_stack([a, a + 1])[:, 0],
    "read_only": lambda a: np.frombuffer(a.tobytes()),
    "big_endian": lambda a: a.astype(">f8"),
    "list": lambda a: a.tolist(),
    "object": lambda a: a.astype(object),
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(np.float64),
    "longdouble": lambda a: a.astype(np.longdouble),
    "fortran": lambda a: np.asfortranarray(a),
    "subclass": lambda a: np.array(a).view(np.recarray).view(np.ndarray),
}


@pytest.mark.parametrize("kind", STRIDED)
def test_layouts(kind: str) -> None:
    columns = arrays(700)
    want = rich()(*columns)
    got = rich()(STRIDED[kind](columns[0]), columns[1], STRIDED[kind](columns[2]))
    assert bits(got.value) == bits(want.value)
    assert [bits(g) for g in got.grad] == [bits(g) for g in want.grad]


def test_matrices_of_any_layout() -> None:
    a, b, c = (column.reshape(20, 35) for column in arrays(700))
    want = rich()(a, b, c)
    got = rich()(np.asfortranarray(a), b.T.copy().T, np.repeat(c, 2, axis=1)[:, ::2])
    assert bits(got.value) == bits(want.value)
    assert got.value.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", ">f4", ">i4"])
def test_dtypes_are_converted(dtype: str) -> None:
    a = np.array([0, 1, 1, 0, 1], dtype)
    value, grad = circuit()(a, 2 * np.ones(5), a)
    assert value.dtype == np.float64
    assert value.tolist() == [0.0, 3.0, 3.0, 0.0, 3.0]
    assert grad["z"].tolist() == [2.0, 3.0, 3.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "wrong",
    [
        1j,
        np.complex64(1),
        np.array([1j]),
        np.array([1j], object),
        "1.0",
        b"1",
        ["a"],
        np.array(["1.0"]),
        None,
        [None, 1.0],
        object(),
        np.array(["2020-01-01"], "datetime64[D]"),
        np.array([3], "timedelta64[s]"),
        sp.Symbol("q"),
        {"a": 1},
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_what_is_not_real_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="y"):
        circuit()(1.0, wrong, 2.0)
    with pytest.raises(TypeError, match="y"):
        circuit()(np.ones(1), wrong, 2.0)


def test_inputs_are_never_written() -> None:
    columns = arrays(300)
    before = [column.copy() for column in columns]
    rich()(*columns)
    assert [bits(c) for c in columns] == [bits(b) for b in before]


def test_results_are_new_each_time() -> None:
    columns = arrays(300)
    one, two = rich()(*columns), rich()(*columns)
    assert not any(np.shares_memory(a, b) for a in flat(one) for b in flat(two))


# --- out --------------------------------------------------------------------------------------------------------------


def test_out_may_be_the_last_result() -> None:
    result = rich()(*arrays(500))
    for seed in range(3):
        columns = arrays(500, seed)
        again = rich()(*columns, out=result)
        assert again.value is result.value or np.shares_memory(again.value, result.value)
        assert all(np.shares_memory(a, b) for a, b in zip(again.grad, result.grad, strict=True))
        fresh = rich()(*columns)
        assert [bits(a) for a in flat(again)] == [bits(a) for a in flat(fresh)]
        assert bits(again.grad["y"]) == bits(fresh.grad["y"])
        result = again


def test_out_of_ones_own_arrays_and_shape() -> None:
    a, b, c = (column.reshape(4, 5) for column in arrays(20))
    out = Result(np.empty((4, 5)), tuple(np.empty((4, 5)) for _ in range(3)))
    rich()(a, b, c, out=out)
    want = rich()(a, b, c)
    assert [bits(g) for g in flat(out)] == [bits(g) for g in flat(want)]


def test_out_with_one_wrt() -> None:
    out = Result(np.empty(3), np.empty(3))
    result = single()(np.arange(3.0), 2.0, out=out)
    assert result.grad is out.grad or np.shares_memory(result.grad, out.grad)
    assert out.grad.tolist() == [0.0, 4.0, 8.0]


def _out(**changes: Any) -> Result:
    return Result(changes.get("value", np.empty(6)), changes.get("grad", tuple(np.empty(6) for _ in range(3))))


@pytest.mark.parametrize(
    "out",
    [
        _out(value=np.empty(5)),
        _out(value=np.empty((6, 1))),
        _out(value=np.empty(6, np.float32)),
        _out(value=np.empty(6, ">f8")),
        _out(value=np.empty(12)[::2]),
        _out(value=[0.0] * 6),
        _out(value=1.0),
        _out(grad=(np.empty(6),) * 2),
        _out(grad=(np.empty(6),) * 3),
        _out(grad=tuple(np.empty(6) for _ in range(4))),
        _out(grad=(np.empty(6), np.empty(6), np.empty(5))),
        _out(value=np.frombuffer(bytes(48))),
    ],
    ids="shorter rank float32 big_endian strided list number two same four one_shorter read_only".split(),
)
def test_wrong_out(out: Result) -> None:
    with pytest.raises(ValueError, match="out"):
        circuit()(*arrays(6), out=out)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_out_must_not_overlap_an_input(place: int) -> None:
    a, b, c = arrays(6)
    outputs = [np.empty(6) for _ in range(4)]
    outputs[place] = b
    before = b.copy()
    with pytest.raises(ValueError, match="overlap"):
        circuit()(a, b, c, out=Result(outputs[0], tuple(outputs[1:])))
    buffer = np.empty(10)
    outputs[place] = buffer[4:]
    with pytest.raises(ValueError, match="overlap"):
        circuit()(a, buffer[:6], c, out=Result(outputs[0], tuple(outputs[1:])))
    assert bits(b) == bits(before)


# --- float32 ----------------------------------------------------------------------------------------------------------


def test_float32_in_and_out() -> None:
    kernel = rich("float32")
    columns = arrays(300)
    value, grad = kernel(*columns)
    assert {value.dtype, *(g.dtype for g in grad)} == {np.dtype(np.float32)}
    want = rich()(*(c.astype(np.float32).astype(np.float64) for c in columns))
    np.testing.assert_allclose(value, want.value, rtol=3e-6, atol=1e-6)
    for got, exact in zip(grad, want.grad, strict=True):
        np.testing.assert_allclose(got, exact, rtol=3e-6, atol=1e-6)
    assert {type(number) for number in flat(kernel(1.0, 2.0, 3.0))} == {float}


def loaded(kernel: Kernel) -> Any:
    return sys.modules[kernel.jitted.py_func.__module__]


def inspected(dtype: str) -> tuple[Any, Kernel]:
    """A kernel that this process has compiled itself, so that its code can be read."""
    kernel = symgrad.compile(
        RICH + sp.Piecewise((x**3, x > y), (sp.sqrt(z), True)) + x ** sp.Rational(7, 3) + sp.tanh(x * y),
        dtype=dtype,
        name=f"inspected_{dtype}",
        cache=False,
    )
    kernel(*(column.astype(dtype) for column in arrays(600)))
    return loaded(kernel), kernel


def test_no_float64_arithmetic_in_a_float32_loop() -> None:
    module, _ = inspected("float32")
    for function in (module.points, module.inspected_float32):
        (code,) = function.inspect_llvm().values()
        bodies = [body for body in re.split(r"\n(?=define )", code) if "cpython" not in body.split("(")[0]]
        assert len(bodies) > 1  # all but the wrapper, which converts Python floats
        lines = "\n".join(bodies).splitlines()
        wide = [line for line in lines if re.search(r"\bf(add|sub|mul|div|ptrunc|pext)\b.*\bdouble\b", line)]
        assert not wide, "\n".join(wide[:5])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_loop_over_points_is_vectorised(dtype: str) -> None:
    module, _ = inspected(dtype)
    (code,) = module.points.inspect_llvm().values()
    kind = "double" if dtype == "float64" else "float"
    if module.VECTOR_LIBRARY is None or not module.VECTOR_WIDTHS:
        pytest.skip("no SIMD functions on this machine")
    assert re.search(rf"fmul .*<\d+ x {kind}>", code)
    (assembly,) = module.points.inspect_asm().values()
    for name in ("exp", "sin", "log", "tanh"):
        symbol = name + "f" * (dtype == "float32")
        assert re.search(rf"(_ZGV[bde]N\d+v_{symbol}\b)|(__svml_{symbol}\d+)", assembly), name


# --- poles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accuracy", ["fast", "strict"])
def test_poles_and_domain_errors_raise_nothing(accuracy: str) -> None:
    f = 1 / x + sp.log(y) + sp.sqrt(z) + sp.Mod(x, y) + x**-3 + sp.acos(y) + sp.gamma(x) + y**z + sp.atanh(z)
    kernel = symgrad.compile(f, accuracy=accuracy)
    for point in [
        (0.0, 0.0, -1.0),
        (0, 0, 0),
        (-1.0, -2.0, 1.0),
        (math.inf, -math.inf, math.nan),
        (1e308, 1e-308, 5.0),
    ]:
        value, grad = kernel(*point)
        values, grads = kernel(*(np.full(3, a) for a in point))
        assert np.isnan(value) == np.isnan(values[0])
        assert not np.isfinite(value) or np.isclose(value, values[0])
        assert all(np.isfinite(g) == np.isfinite(gs[0]) for g, gs in zip(grad, grads, strict=True))


# --- beside the call --------------------------------------------------------------------------------------------------


def test_attributes() -> None:
    kernel = circuit()
    assert kernel.args == kernel.wrt == (x, y, z)
    assert "def kernel(x, y, z):" in kernel.source
    assert kernel.source == symgrad.emit((x + y) * z)
    assert "mul" in str(kernel.graph)
    assert "kernel(x, y, z)" in repr(kernel)


def test_stats() -> None:
    stats = circuit().stats
    assert stats["operations_value"] == 2
    assert stats["operations"] >= 2
    assert stats["ratio"] == stats["operations"] / stats["operations_value"]
    assert stats["runs"] == "numba"
    assert all(seconds >= 0 for seconds in stats["seconds"].values())
    assert {"lower", "stabilise", "mask_branches", "differentiate", "simplify", "emit"} <= set(stats["seconds"])
    assert stats["statements"] >= 3


def test_stats_tell_what_the_build_of_the_batch_function_took() -> None:
    kernel = symgrad.compile("x*exp(x + 17)", cache=False)
    seconds = kernel.stats["seconds"]
    assert seconds["build"] > 0
    kernel(0.5)
    assert "build_batch" not in seconds  # nothing has been built for a single point
    kernel(np.ones(3))
    told = seconds["build_batch"]
    assert told > 0
    kernel(np.ones(30_000))
    assert seconds["build_batch"] == told  # built once


def test_a_copy_keeps_statistics_of_its_own() -> None:
    kernel = symgrad.compile("x*y")
    before = dict(kernel.stats["seconds"])
    again = copy.copy(kernel)
    again(np.ones(3), 1.0)
    assert kernel.stats["seconds"] == before
    assert again.stats["operations"] == kernel.stats["operations"]


def test_jitted_is_called_from_other_numba_code() -> None:
    kernel = circuit().jitted

    @njit
    def total(values):  # type: ignore[no-untyped-def]
        result = 0.0
        for number in values:
            value, (_, _, d_z) = kernel(number, 2.0, 3.0)
            result += value + d_z
        return result

    values = np.arange(4.0)
    assert total(values) == sum((v + 2) * 3 + v + 2 for v in values)


def test_source_of_the_jitted_function_is_found() -> None:
    assert inspect.getsource(circuit().jitted).split("\n")[1].startswith("def kernel(x, y, z):")


def test_name_of_the_kernel() -> None:
    kernel = symgrad.compile(x + y, name="energy")
    assert kernel.jitted.py_func.__name__ == "energy"
    assert "def energy_batch(x, y" in kernel.source
    assert kernel(1.0, 2.0).value == 3.0


@pytest.mark.parametrize("name", ["i", "start", "rows", "x", "_"])
def test_name_of_the_kernel_that_its_functions_use(name: str) -> None:
    kernel = symgrad.compile(x * y, name=name)
    assert kernel(2.0, 3.0) == (6.0, (3.0, 2.0))
    value, grad = kernel(np.array([2.0, 4.0]), 3.0)
    assert (value.tolist(), grad["x"].tolist(), grad["y"].tolist()) == ([6.0, 12.0], [3.0, 3.0], [2.0, 4.0])


def test_text_and_numbers_are_expressions() -> None:
    assert symgrad.compile("s = a*b\ns**2 + s")(2.0, 3.0) == (42.0, (39.0, 26.0))
    assert symgrad.compile(3)() == (3.0, ())


def test_own_gates() -> None:
    a = sp.Symbol("a")
    swish = symgrad.gate("swish", sp.Lambda(a, a / (1 + sp.exp(-a))), [lambda y, a: y + (1 - y) / (1 + sp.exp(-a))])
    kernel = symgrad.compile(swish(x) * y, gates=[swish])
    value, grad = kernel(0.5, 2.0)
    assert value == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert grad["y"] == pytest.approx(value / 2)
    sigmoid = 1 / (1 + math.exp(-0.5))
    assert grad["x"] == pytest.approx(2 * (0.5 * sigmoid + (1 - 0.5 * sigmoid) * sigmoid))
    with pytest.raises(UnsupportedExpression, match=r"swish.*pass gates=\[swish\]"):
        symgrad.compile(swish(x) * y)


def test_objective() -> None:
    objective = circuit().objective(z=-4.0)
    vector = objective.pack(x=-2.0, y=5.0)
    assert vector.dtype == np.float64
    value, gradient = objective(vector)
    assert value == -12.0
    assert gradient.tolist() == [-4.0, -4.0]
    assert gradient.dtype == np.float64
    assert objective.unpack(vector) == {"x": -2.0, "y": 5.0}
    assert objective.unpack(objective.pack(**objective.unpack(vector))) == objective.unpack(vector)
    assert circuit().objective({z: -4.0})(vector)[0] == -12.0
    assert circuit().objective()(np.array([-2.0, 5.0, -4.0]))[1].tolist() == [-4.0, -4.0, 3.0]


def test_objective_refuses() -> None:
    objective = circuit().objective(z=-4.0)
    with pytest.raises(ValueError, match="vector of 2"):
        objective(np.ones(3))
    with pytest.raises(ValueError, match="q"):
        circuit().objective(q=1.0)
    with pytest.raises(ValueError, match="y"):
        single().objective()
    with pytest.raises(ValueError, match="y"):
        objective.pack(x=1.0)
    with pytest.raises(ValueError, match="z"):
        objective.pack(x=1.0, y=2.0, z=3.0)


def test_objective_follows_wrt_of_one_symbol() -> None:
    assert single().objective(y=5.0)(np.array([3.0])) == (45.0, np.array([30.0]))


# --- copies, processes, threads ---------------------------------------------------------------------------------------


def same(one: Result, two: Result) -> bool:
    return [bits(a) for a in flat(one)] == [bits(a) for a in flat(two)]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    text = pickle.dumps(rich(), protocol)
    again = pickle.loads(text)
    assert same(again(*arrays()), rich()(*arrays()))
    assert (again.args, again.wrt, again.source) == (rich().args, rich().wrt, rich().source)
    assert str(again.graph) == str(rich().graph)


def test_damaged_pickle() -> None:
    """A bit that flips in what a kernel is made of is told, before any of it is believed."""
    _, (checksum, state) = circuit()._compiled.__reduce__()
    text = pickle.dumps(circuit())
    start = text.index(state)
    for at in range(start, start + len(state), 97):
        damaged = text[:at] + bytes([text[at] ^ 1 << at % 8]) + text[at + 1 :]
        with pytest.raises(symgrad.SymgradError, match="this pickle of a kernel is damaged"):
            pickle.loads(damaged)
    with pytest.raises(symgrad.SymgradError, match="this pickle of a kernel is damaged"):
        pickle.loads(text.replace(checksum.encode(), checksum[::-1].encode()))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
@pytest.mark.parametrize("which", [rich, single, deep], ids=["rich", "single", "reference"])
def test_copies(how: Any, which: Any) -> None:
    kernel = which()
    point = [0.25] * len(kernel.args)
    again = how(kernel)
    assert again(*point) == kernel(*point)
    assert again.stats["runs"] == kernel.stats["runs"]


def test_results_pickle() -> None:
    result = pickle.loads(pickle.dumps(circuit()(-2.0, 5.0, -4.0)))
    assert result == (-12.0, (-4.0, -4.0, 3.0))
    assert result.grad["z"] == 3.0


def test_pickle_keeps_symbols_of_one_name_apart() -> None:
    kernel, plain, positive = twins()
    again = pickle.loads(pickle.dumps(kernel))(3.0, 5.0).grad
    assert (again[plain], again[positive]) == (6.0, 3.0)


@pytest.mark.parametrize("which", [rich, deep], ids=["numba", "reference"])
def test_pickle_in_another_process(which: Any, tmp_path: Path) -> None:
    kernel = which()
    point = (0.25, 0.5, 0.75)[: len(kernel.args)]
    path = tmp_path / "kernel"
    path.write_bytes(pickle.dumps(kernel))
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'codegen')]!r}\n"
        f"import pickle; f = pickle.load(open({str(path)!r}, 'rb'))\n"
        f"r = f(*{point!r}); print(r.value.hex(), *(g.hex() for g in r.grad))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [number.hex() for number in flat(kernel(*point))]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(circuit(), (-2.0, 5.0, -4.0)).get(120) == (-12.0, (-4.0, -4.0, 3.0))
        columns = arrays(400)
        assert same(pool.apply_async(rich(), columns).get(120), rich()(*columns))


def test_fork_after_threads_were_used() -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    columns = arrays(50_000)
    want = rich(threads=2)(*columns)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert same(pool.apply_async(rich(threads=2), columns).get(120), want)


def test_calls_from_threads() -> None:
    inputs = [arrays(3000, seed) for seed in range(8)]
    want = [rich()(*columns) for columns in inputs]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda columns: rich()(*columns), inputs * 3))
    assert all(same(a, b) for a, b in zip(got, want * 3, strict=True))


@pytest.mark.parametrize("threads", [1, 2, 3, 7, "auto"])
@pytest.mark.parametrize("count", [10, 16384, 16385, 100_001])
def test_any_number_of_threads_gives_the_same_bits(threads: int | str, count: int) -> None:
    columns = arrays(count)
    assert same(rich(threads=threads)(*columns), rich()(*columns))


# --- large expressions ------------------------------------------------------------------------------------------------


def test_doubling_compiles() -> None:
    f: sp.Expr = x
    for _ in range(100):
        f = sp.Add(sp.Mul(f, f, evaluate=False), f, evaluate=False)
    kernel = symgrad.compile(f)
    value, slope = 1e-3, 1.0
    for _ in range(100):
        value, slope = value * value + value, slope * (2 * value + 1)
    got = kernel(1e-3)
    assert got.value == pytest.approx(value, rel=1e-13)
    assert got.grad[0] == pytest.approx(slope, rel=1e-13)


@pytest.mark.parametrize("depth", [4000, 20_000])
def test_deep_chain(depth: int) -> None:
    kernel = deep() if depth == 4000 else symgrad.compile(chain(depth))
    assert "reference" in kernel.stats["runs"]
    value, (slope,) = kernel(0.5)
    assert value == pytest.approx(2.0)
    assert slope == pytest.approx(4.0)
    values, (slopes,) = kernel(np.array([0.5, 0.0, -0.5]))
    np.testing.assert_allclose(values, [2.0, 1.0, 2 / 3])
    np.testing.assert_allclose(slopes, [4.0, 1.0, 4 / 9], rtol=1e-12)
    assert kernel.source.count("\n") > depth / 9


def test_reference_evaluator_is_told_and_has_no_jitted() -> None:
    with pytest.raises(symgrad.SymgradError, match="reference"):
        _ = deep().jitted
    assert "reference" in repr(deep())
    assert deep()(np.ones((2, 3)) / 2).value.shape == (2, 3)
    assert type(deep()(0.5).value) is float
    with pytest.raises(TypeError):
        deep()(1j)


def test_wide_sum() -> None:
    symbols = sp.symbols("s:5000")
    kernel = symgrad.compile(sp.Add(*(s**2 for s in symbols), evaluate=False))
    at = np.linspace(-1, 1, 5000)
    value, grad = kernel(*at.tolist())
    assert value == pytest.approx(float(np.sum(at**2)))
    assert list(grad) == (2 * at).tolist()
    assert "d_s4999" in kernel.source


# --- what is refused --------------------------------------------------------------------------------------------------

n = sp.Symbol("n", integer=True)
g = sp.Function("g")
REFUSED: list[tuple[str, Any, list[str]]] = [
    ("bessel", x + sp.besselj(0, x * y), ["besselj(0, x*y)", "besselj", "symgrad.gate"]),
    ("unknown_function", x * g(x + y), ["g(x + y)", "symgrad.gate"]),
    ("integral", sp.Integral(sp.sin(y) / y, (y, 0, x)), ["Integral", "doit"]),
    ("sum", x + sp.Sum(x**n, (n, 0, z**2)), ["z**2", "not affine"]),
    ("product", sp.Product(x + n, (n, 0, sp.oo)), ["oo", "not affine"]),
    ("imaginary", x + sp.I * y, ["I", "ImaginaryUnit", "real"]),
    ("complex_infinity", x + sp.zoo, ["zoo", "real"]),
    ("noncommutative", x * sp.Symbol("A", commutative=False), ["A", "Symbol"]),
    ("condition", x > 0, ["x > 0", "StrictGreaterThan", "condition", "Piecewise"]),
    ("condition_among_others", {"f": x, "g": x > 0}, ["the output g", "x > 0", "condition"]),
    ("number_as_condition", sp.Piecewise((1, x & y), (0, True)), ["x & y has the number x", "Ne(x, 0)"]),
    ("symbol_as_condition", sp.Piecewise((1, x), (0, True)), ["Piecewise((1, x)", "Ne(x, 0)"]),
    ("number_in_ite", x + sp.Piecewise((1, sp.ITE(x > 0, x, y)), (0, True)), ["ITE(x > 0, x, y)", "Ne(x, 0)"]),
    ("truth_value", [x, True], ["True", "truth value"]),
    ("complex_number", [x, 1j], ["complex", "real and imaginary part"]),
    ("complex_among_others", [x, sp.I * y], ["I", "real numbers only"]),
    ("index", sp.IndexedBase("v")[sp.Idx("n", 3)] + x, ["v[n]", "the index n is bound by no Sum"]),
    ("derivative", sp.Derivative(g(x), x), ["Derivative", "doit"]),
    ("delta", sp.DiracDelta(x), ["DiracDelta(x)", "symgrad.gate"]),
    ("zeta", sp.zeta(x), ["zeta(x)", "symgrad.gate"]),
    ("limit", sp.Limit(sp.sin(x) / x, x, 0), ["Limit"]),
    ("python_set", {x, y}, ["set", "list"]),
    ("none", None, ["NoneType"]),
    ("set", sp.Interval(0, 1), ["Interval"]),
    ("polygamma_of_fractional_order", sp.polygamma(sp.Rational(1, 2), x), ["polygamma(1/2, x)", "whole number"]),
    ("polygamma_of_any_order", sp.polygamma(y, x), ["polygamma(y, x)", "whole number from 0 to 60"]),
    ("argument", sp.arg(x), ["arg(x)"]),
]


@pytest.mark.parametrize(("name", "expr", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(name: str, expr: Any, words: list[str]) -> None:
    with pytest.raises(UnsupportedExpression) as caught:
        symgrad.compile(expr)
    assert all(word in str(caught.value) for word in words), str(caught.value)


t = sp.Symbol("t")
m, k = sp.symbols("m k", integer=True)
v = sp.IndexedBase("v", shape=(m,))
NO_GATE = (
    "no gate for it; write it in functions that there are (expression.doit(), expression.rewrite(...), a series), "
    "of which gates of your own (symgrad.gate) are made, too"
)
IN_GAMMA = "no gate for it; write it in gamma functions: expression.rewrite(gamma)"
UNRESOLVED = (
    "differentiate the expression before compiling it, or let symgrad differentiate by leaving the Derivative out"
)
COMPLEX_PARTS = "compile the parts of a complex expression: sympy.expand_complex(expression).as_real_imag()"
MESSAGES: list[tuple[Any, str]] = [
    (
        sp.Integral(x * sp.sin(t), (t, 0, y)),
        "cannot compile Integral(x*sin(t), (t, 0, y)) (Integral): integrate first (expression.doit()), "
        "or write a quadrature as a Sum",
    ),
    (
        sp.Limit(sp.sin(t * x) / t, t, 0),
        "cannot compile Limit(sin(t*x)/t, t, 0, dir='+') (Limit): take the limit first (expression.doit())",
    ),
    (
        sp.Subs(sp.Derivative(g(t), t), t, x) * y,
        "cannot compile Subs(Derivative(g(t), t), t, x) (Subs): substitute first (expression.doit())",
    ),
    (
        x * y * sp.CRootOf(t**5 - t + 1, 0),
        "cannot compile CRootOf(t**5 - t + 1, 0) (ComplexRootOf): put its number in its place (root.evalf())",
    ),
    (
        y * sp.RootSum(t**3 + t + 1, sp.Lambda(t, sp.log(t + x))),
        "cannot compile RootSum(t**3 + t + 1, Lambda(t, log(t + x))) (RootSum): write the sum over the roots out "
        "(expression.doit())",
    ),
    (x + sp.I * y, f"cannot compile I (ImaginaryUnit): symgrad computes with real numbers only; {COMPLEX_PARTS}"),
    (
        x + y + sp.zoo,
        "cannot compile zoo (ComplexInfinity): symgrad computes with real numbers only, "
        "and this is what a division by zero has left",
    ),
    (
        sp.sin(x).series(x, 0, 5) * y,
        "cannot compile O(x**5) (Order): drop the rest of the series (expression.removeO())",
    ),
    (
        x * y * meter,
        "cannot compile meter (Quantity): a unit is no number; divide it away (sympy.physics.units.convert_to), "
        "and compile what is left",
    ),
    (
        x * g(x + y),
        "cannot compile g(x + y): g has no definition; put a symbol or an expression in its place "
        "(expression.subs(g(x + y), ...)), or define it with symgrad.gate('g', ...) and pass gates=[g]",
    ),
    (sp.besselj(0, x * y), f"cannot compile besselj(0, x*y) (besselj): {NO_GATE}"),
    (sp.LambertW(x) * y, f"cannot compile LambertW(x) (LambertW): {NO_GATE}"),
    (sp.binomial(x, y), f"cannot compile binomial(x, y) (binomial): {IN_GAMMA}"),
    (sp.factorial(x) * y, f"cannot compile factorial(x) (factorial): {IN_GAMMA}"),
    (
        sp.Derivative(g(x), x) * y,
        f"cannot resolve Derivative(g(x), x) (Derivative): SymPy's doit leaves it as it is; {UNRESOLVED}",
    ),
    (
        sp.Derivative(x**2 * y, (x, n)),
        f"cannot resolve Derivative(x**2*y, (x, n)) (Derivative): SymPy's doit leaves it as it is; {UNRESOLVED}",
    ),
]


@pytest.mark.parametrize("arguments", [None, (x, y)], ids=["all", "given"])
@pytest.mark.parametrize(("expr", "message"), MESSAGES, ids=lambda value: str(value)[:30])
def test_refusals_name_the_construct_and_the_way_out(expr: Any, message: str, arguments: Any) -> None:
    """Whatever the arguments: a symbol that the construct binds is none."""
    with pytest.raises(UnsupportedExpression) as caught:
        symgrad.compile(expr, arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("expr", "arguments", "message"),
    [
        (v[k] * x, [v, x], "args lacks the index 'k', which no sum binds; sum over it, or add it to args"),
        (
            sp.Sum(v[k] * v[n], (k, 0, m - 1)),
            [v],
            "args lacks the index 'n', which no sum binds; sum over it, or add it to args",
        ),
        (sp.Sum(x**k, (k, 0, m - 1)), [x], "args lacks the extent 'm', which no array's shape tells; add it to args"),
        (x * y, [x], "args lacks the symbol 'y' that the expression uses"),
    ],
    ids=["index", "index of a sum", "extent", "symbol"],
)
def test_what_args_lacks(expr: Any, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match="args lacks") as caught:
        symgrad.compile(expr, arguments)
    assert str(caught.value) == message


def test_one_vector_for_all_inputs_is_for_objective() -> None:
    with pytest.raises(TypeError, match=r"missing y, z in a call of kernel\(x, y, z\); .* take kernel\.objective\(\)"):
        scipy.optimize.minimize(circuit(), np.zeros(3), jac=True)
    with pytest.raises(TypeError, match=r"missing y, z in a call of kernel\(x, y, z\)$"):
        circuit()(1.0)


def test_functions_of_ones_own_may_be_named_like_those_of_sympy() -> None:
    beta = symgrad.gate("beta", sp.Lambda(x, x**2), [lambda _, x: 2 * x])
    assert symgrad.compile(beta(x) * y, gates=[beta])(3.0, 2.0) == (18.0, (12.0, 9.0))
    with pytest.raises(UnsupportedExpression, match=r"the gate beta is not given; pass gates=\[beta\]"):
        symgrad.compile(beta(x) * y)
    with pytest.raises(UnsupportedExpression, match="beta has no definition"):
        symgrad.compile(sp.Function("beta")(x) * y)


def test_a_derivative_of_an_integral_is_none() -> None:
    """What a construct binds is no input of what SymPy makes of it."""
    kernel = symgrad.compile(sp.Derivative(sp.Integral(sp.sin(t) * y, (t, 0, x)), x))
    assert [symbol.name for symbol in kernel.args] == ["x", "y"]
    assert kernel(0.5, 3.0).value == pytest.approx(3 * math.sin(0.5), rel=1e-15)


def test_refusal_of_a_large_expression_is_short() -> None:
    f: sp.Expr = sp.zeta(x)
    for _ in range(60):
        f = sp.Add(sp.Mul(f, f, evaluate=False), f, evaluate=False)
    with pytest.raises(UnsupportedExpression) as caught:
        symgrad.compile(g(f))
    assert len(str(caught.value)) < 500


def test_all_symbols_are_real() -> None:
    w = sp.Symbol("w", complex=True)
    kernel = symgrad.compile(sp.re(w) ** 2 + sp.im(w) + sp.conjugate(w))
    assert kernel(3.0) == (12.0, (7.0,))


def test_logarithms_to_a_base() -> None:
    """SymPy keeps the base as a second argument where it is told not to evaluate."""
    value, (d_x, d_y) = symgrad.compile(sp.log(x, y, evaluate=False))(8.0, 2.0)
    assert (value, d_x, d_y) == pytest.approx((3.0, 1 / (8 * math.log(2)), -3 / (2 * math.log(2))), rel=1e-15)
    assert symgrad.compile(sp.log(8, 2, evaluate=False) * x)(2.0) == (6.0, (3.0,))


def test_the_larger_of_one() -> None:
    assert symgrad.compile(sp.Max(sp.sin(2), evaluate=False) * x)(2.0) == (2 * math.sin(2), (math.sin(2),))
    assert symgrad.compile(sp.Min(x, evaluate=False) * x)(3.0) == (9.0, (6.0,))


def test_derivatives_that_resolve() -> None:
    assert symgrad.compile(x * sp.Derivative(y * sp.Derivative(x**4, x, x), x, y))(2.0, 5.0) == (96.0, (96.0, 0.0))
    assert symgrad.compile(sp.Derivative(x**3 * y, x))(2.0, 5.0) == (60.0, (60.0, 12.0))
    assert symgrad.compile(sp.UnevaluatedExpr(x) * x)(3.0) == (9.0, (6.0,))
