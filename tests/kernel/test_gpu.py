"""Kernels on a GPU: numbers, arrays of other libraries, streams, many points. Without one: codegen/test_cuda*.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS, points
from reference import agrees, explain, reference
from symgrad_codegen.run import build
from symgrad_codegen.run import device as run_cuda
from symgrad_codegen.targets import TARGETS
from together import together

import symgrad
from symgrad import Kernel, Result
from symgrad.emission import program_of
from symgrad.graph.graph import Graph
from symgrad.language.parse import parse
from symgrad.options import Options
from tests.gates.test_gates import CASES, CONVENTIONS, MODES, convention_graph, rounded_points, same, spelled, wanted

pytestmark = pytest.mark.gpu

x, y, z = sp.symbols("x y z")
RICH = sp.exp(-(x**2)) * sp.sin(y) / (1 + z**2) + sp.Max(x, y) * sp.Rational(1, 3) + sp.pi * sp.log(z)
MANY = 5_000_003  # several chunks, the last one shorter


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    """Asked for once, and only where numba-cuda is there: its import takes a second."""
    if not run_cuda.is_installed():
        pytest.skip(f"numba-cuda is not installed: {run_cuda.HOW_TO_INSTALL}")
    from numba import config

    if config.ENABLE_CUDASIM:
        pytest.skip("this is the simulator, not a GPU")
    missing = run_cuda.no_device()
    if missing:
        pytest.skip(f"no GPU: {missing}")


@cache
def rich(**options: Any) -> Kernel:
    return symgrad.compile(RICH, **{"target": "cuda", **options})


def some(*shape: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.uniform(0.5, 2.0, shape or 1000) for _ in range(3)]


def flat(result: Result) -> list[np.ndarray]:
    """Value and derivatives, as arrays of NumPy."""
    return [a.copy_to_host() if hasattr(a, "copy_to_host") else a for a in (result.value, *result.grad)]


def same_bits(one: Result, two: Result) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(flat(one), flat(two), strict=True))


def empty(give: Callable[[np.ndarray], Any], like: np.ndarray) -> Result:
    """Arrays to be filled."""
    value, *gradient = (give(np.zeros_like(like)) for _ in range(4))
    return Result(value, tuple(gradient))


def pointer(array: Any) -> int:
    return int(array.__cuda_array_interface__["data"][0])


# The ranges of these, and of the hard ones, are made for float64.
OVERFLOW_IN_FLOAT32 = {"cross_in_tray"}  # exp(100)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_the_corpus_agrees_with_mpmath(case: Any) -> None:
    lines = []
    for accuracy, dtype in [("fast", "float64"), ("strict", "float64"), ("fast", "float32")]:
        if dtype == "float32" and (case.hard or case.name in OVERFLOW_IN_FLOAT32):
            continue
        kernel = symgrad.compile(case.text, target="cuda", accuracy=accuracy, dtype=dtype)
        inputs = {name: column.astype(dtype) for name, column in points(case, 3).items()}
        found = kernel(**inputs)
        expr = parse(case.text).expression
        symbols = [next(s for s in expr.free_symbols if s.name == name) for name in inputs]
        for k, point in enumerate(zip(*inputs.values(), strict=True)):
            want = reference(expr, symbols, [float(a) for a in point])
            rows = [("value", found.value[k], want.value, want.value_sensitivity)]
            for name, number, by in zip(inputs, want.gradient, want.gradient_sensitivity, strict=True):
                rows.append((f"d_{name}", found.grad[name][k], number, by))
            lines += [
                f"{accuracy}, {dtype}, point {k}, {label}: {explain(got, number, by, dtype)}"
                for label, got, number, by in rows
                if not agrees(got, number, by, dtype)
            ]
    assert not lines, "\n".join(lines)


def on_gpu(
    graphs: Sequence[Graph], rows: Sequence[Sequence[Sequence[float]]], accuracy: str, dtype: str
) -> list[list[list[float]]]:
    """Graphs in one kernel: `found[k][p]` holds what graph k gives at its point p."""
    whole = together(graphs)
    options = Options("cuda", dtype, accuracy)
    module = build.load(TARGETS["cuda"].emit(program_of(whole, whole, options)))
    length = max(map(len, rows))
    columns = [
        np.array([row[i] for row in own] + [own[-1][i]] * (length - len(own)), dtype)
        for graph, own in zip(graphs, rows, strict=True)
        for i in range(len(graph.inputs))
    ]
    value, gradient = module.kernel_batch(*columns)
    rest = iter([value, *gradient])
    found = []
    for graph, own in zip(graphs, rows, strict=True):
        outputs = [next(rest) for _ in graph.outputs]
        found.append([[float(output[p]) for output in outputs] for p in range(len(own))])
    return found


@pytest.mark.parametrize(("accuracy", "dtype"), MODES)
def test_every_gate_agrees_with_mpmath(accuracy: str, dtype: str) -> None:
    """Also at kinks and poles, of which the simulator knows nothing."""
    rows = [rounded_points(case, dtype) for case in CASES]
    found = on_gpu([spelled(case) for case in CASES], rows, accuracy, dtype)
    lines = [
        f"{case.id}{point}, output {place}: {explain(got, want, effect, dtype)}"
        for case, own, results in zip(CASES, rows, found, strict=True)
        for point, result in zip(own, results, strict=True)
        for place, (got, (want, effect)) in enumerate(zip(result, wanted(case, point), strict=False))
        if not agrees(got, want, effect, dtype)
    ]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize(("accuracy", "dtype"), MODES)
def test_conventions(accuracy: str, dtype: str) -> None:
    graphs = [convention_graph(expr, len(point)) for _, expr, point, _ in CONVENTIONS]
    found = on_gpu(graphs, [[point] for _, _, point, _ in CONVENTIONS], accuracy, dtype)
    wrong = [
        f"{name}: {expr} at {point}: got {got}, want {want}"
        for (name, expr, point, want), (got,) in zip(CONVENTIONS, found, strict=True)
        if not same(got, want, dtype)
    ]
    assert not wrong, "\n".join(wrong)


def test_numbers_give_floats_and_no_warning() -> None:
    result = rich()(0.5, 0.75, 1.5)
    assert {type(number) for number in (result.value, *result.grad)} == {float}
    assert [result.value, *result.grad] == pytest.approx(on_cpu(0.5, 0.75, 1.5), rel=1e-14)
    assert rich().check(0.5, 0.75, 1.5)


def on_cpu(*columns: Any) -> list[Any]:
    value, gradient = rich(target="cpu")(*columns)
    return [value, *gradient]


@pytest.mark.parametrize("options", [{}, {"accuracy": "strict"}, {"dtype": "float32"}], ids=str)
def test_five_million_points(options: dict[str, str]) -> None:
    columns = some(MANY)
    one, two = rich(**options)(*columns), rich(**options)(*columns)
    tolerance = 1e-13 if "dtype" not in options else 1e-5
    want = rich(**options, target="cpu")(*columns)
    for got, right in zip(flat(one), flat(want), strict=True):
        np.testing.assert_allclose(got, right, rtol=tolerance, atol=tolerance)
    assert same_bits(one, two)
    third = rich(**options)(*columns, out=two)
    assert third.value is two.value
    assert same_bits(one, third)


def test_a_long_body_in_parts() -> None:
    places = np.array(sp.symbols("x:24")).reshape(8, 3)
    squares = [sum((places[i] - places[j]) ** 2) for i in range(8) for j in range(i)]
    f = sp.Add(*(4 * (square**-6 - square**-3) for square in squares))
    kernels = [symgrad.compile(f, target=target) for target in ("cuda", "cpu")]
    at = np.random.default_rng(0).uniform(0.0, 3.0, (24, 300_000))  # more than there is room for at a time
    got, want = (kernel(*at) for kernel in kernels)
    for a, b in zip(flat(got), flat(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())
    assert same_bits(got, kernels[0](*at))


# --- arrays on the device ---------------------------------------------------------------------------------------------


def library(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)


def giver(name: str) -> Callable[[np.ndarray], Any]:
    """What makes an array of a library on the device."""
    if name == "numba":
        from numba import cuda

        return cuda.to_device  # type: ignore[no-any-return]
    if name == "cupy":
        return library("cupy").asarray  # type: ignore[no-any-return]
    torch = library("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    return lambda array: torch.from_numpy(np.ascontiguousarray(array)).cuda()


LIBRARIES = ["numba", "cupy", "torch"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_arrays_of_other_libraries(name: str) -> None:
    give = giver(name)
    columns = some(20, 35)
    want = rich()(*columns)
    result = rich()(*map(give, columns))
    assert same_bits(result, want)
    mixed = rich()(give(columns[0]), columns[1], give(columns[2]))  # arrays of NumPy follow to the device
    assert hasattr(mixed.value, "copy_to_host")
    assert same_bits(mixed, want)


@pytest.mark.parametrize("name", LIBRARIES)
def test_out_is_filled_without_a_copy(name: str) -> None:
    give = giver(name)
    columns = [give(column) for column in some()]
    out = empty(give, np.empty(1000))
    before = [pointer(array) for array in (out.value, *out.grad)]
    result = rich()(*columns, out=out)
    assert [pointer(array) for array in (result.value, *result.grad)] == before
    assert same_bits(result, rich()(*columns))
    again = rich()(*columns, out=result)
    assert [pointer(array) for array in (again.value, *again.grad)] == before
    with pytest.raises(ValueError, match="overlap"):
        rich()(out.value, *columns[1:], out=out)
    with pytest.raises(ValueError, match="out"):
        rich()(*columns, out=empty(give, np.empty(999)))
    with pytest.raises(ValueError, match="out"):
        rich()(*columns, out=empty(give, np.empty(1000, np.float32)))
    with pytest.raises(ValueError, match="out"):
        rich()(*columns, out=empty(np.copy, np.empty(1000)))


@pytest.mark.parametrize("name", ["cupy", "torch"])
def test_results_are_taken_without_a_copy(name: str) -> None:
    give, module = giver(name), library(name)
    result = rich()(*map(give, some()))
    for array in (result.value, *result.grad):
        taken = module.asarray(array) if name == "cupy" else module.as_tensor(array, device="cuda")
        assert pointer(taken) == pointer(array)


class OnlyDLPack:
    """An array that says no more of itself than DLPack does."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("name", ["cupy", "torch"])
def test_dlpack(name: str) -> None:
    give = giver(name)
    a, b, c = some(20, 35)
    want = rich()(a, b, c)
    assert same_bits(rich()(*(OnlyDLPack(give(column)) for column in (a, b, c))), want)
    turned = give(np.ascontiguousarray(a.T)).T
    assert same_bits(rich()(OnlyDLPack(turned), OnlyDLPack(give(b)), c), want)
    buffers = [give(np.zeros((20, 35))) for _ in range(4)]
    out = Result(OnlyDLPack(buffers[0]), tuple(map(OnlyDLPack, buffers[1:])))
    result = rich()(*(OnlyDLPack(give(column)) for column in (a, b, c)), out=out)
    assert [pointer(array) for array in (result.value, *result.grad)] == list(map(pointer, buffers))
    assert same_bits(result, want)
    point = rich()(OnlyDLPack(give(np.array(0.5))), 0.75, 1.5)
    assert [float(array) for array in flat(point)] == pytest.approx(on_cpu(0.5, 0.75, 1.5), rel=1e-14)


@pytest.mark.parametrize("name", LIBRARIES)
def test_layouts_dtypes_and_broadcasting(name: str) -> None:
    give = giver(name)
    a, b, c = some(20, 35)
    want = rich()(a, b, c)
    turned, doubled = give(np.ascontiguousarray(a.T)).T, give(np.repeat(c, 2, axis=1))[:, ::2]
    assert same_bits(rich()(turned, give(b), doubled), want)
    assert same_bits(rich()(give(a[:, :1].copy()), give(b[0]), 1.5), rich()(a[:, :1], b[0], 1.5))
    assert same_bits(rich()(give(a), give(np.array(0.75)), np.array([1.5])), rich()(a, 0.75, 1.5))
    for dtype in ("bool", "uint8", "int32", "int64", "float16", "float32"):
        whole = (a > 0.5).astype(dtype) + np.ones(1, dtype)
        assert same_bits(rich()(give(whole), b, give(c)), rich()(whole.astype(float), b, c)), dtype
    assert same_bits(rich(dtype="float32")(give(a), b, c), rich(dtype="float32")(a, b, c))
    with pytest.raises(TypeError, match="x"):
        rich()(give(a * 1j), b, c)


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()], ids=str)
@pytest.mark.parametrize("name", LIBRARIES)
def test_empty_arrays_and_single_ones(name: str, shape: tuple[int, ...]) -> None:
    give = giver(name)
    columns = [np.full(shape, 0.5), np.full(shape, 0.75), np.full(shape, 1.5)]
    result = rich()(*map(give, columns))
    assert {tuple(array.shape) for array in (result.value, *result.grad)} == {shape}
    for got, want in zip(flat(result), on_cpu(*columns), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


# --- streams ----------------------------------------------------------------------------------------------------------


def streams(name: str) -> list[Any]:
    """A stream of a library, as it is and by its address; each must have a `synchronize` of its own."""
    giver(name)
    if name == "numba":
        from numba import cuda

        own = cuda.stream()
        return [own, int(own)]
    if name == "cupy":
        own = library("cupy").cuda.Stream(non_blocking=True)
        return [own, own.ptr]
    own = library("torch").cuda.Stream()
    return [own, own.cuda_stream]


@pytest.mark.parametrize("name", LIBRARIES)
def test_streams(name: str) -> None:
    own, address = streams(name)
    give, columns = giver(name), some()
    want = rich()(*columns)
    for stream in (own, address, None, 0):
        assert same_bits(rich()(*columns, stream=stream), want)  # arrays of NumPy are ready at the return
        inputs = [give(column) for column in columns]
        _wait()  # they were filled on another stream
        result = rich()(*inputs, stream=stream)
        own.synchronize()
        assert same_bits(result, want)


def _wait() -> None:
    from numba import cuda

    cuda.synchronize()


def test_many_points_on_a_stream() -> None:
    from numba import cuda

    columns = some(MANY)
    assert same_bits(rich()(*columns, stream=cuda.stream()), rich()(*columns))


# --- the emitted module -----------------------------------------------------------------------------------------------


def test_the_one_point_function_is_called_from_other_kernels() -> None:
    from numba import cuda

    kernel = symgrad.compile(x**2 * y, target="cuda")
    one_point = kernel.jitted

    @cuda.jit
    def slopes(values, out):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < values.size:
            _, (d_x, _) = one_point(values[i], 3.0)
            out[i] = d_x

    values, out = cuda.to_device(np.arange(40_000.0)), cuda.device_array(40_000)
    slopes[160, 256](values, out)
    assert out.copy_to_host().tolist() == (6 * np.arange(40_000.0)).tolist()


@pytest.mark.parametrize("name", LIBRARIES)
def test_kernel_batch(name: str) -> None:
    give = giver(name)
    module = rich()._runner.module
    columns = some()
    value, gradient = module.kernel_batch(*columns)
    assert same_bits(Result(value, gradient), rich()(*columns))
    on_device = Result(*module.kernel_batch(*map(give, columns)))
    assert same_bits(on_device, rich()(*columns))
    out = empty(give, columns[0])
    filled = Result(*module.kernel_batch(*map(give, columns), out=out))
    assert [pointer(a) for a in (filled.value, *filled.grad)] == [pointer(a) for a in (out.value, *out.grad)]
    assert same_bits(filled, on_device)
