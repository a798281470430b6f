"""Values, Jacobians and Hessians of several outputs: their shapes, names and numbers, in every structure."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
import sympy as sp
from mpmath import mp

import symgrad
from symgrad.result import HessianResult, JacobianResult, NamedArray, Result

x, y, z = SYMBOLS = sp.symbols("x y z")
F = x**2 * sp.sin(y)
G = sp.exp(x * y) / (1 + z**2)
H = sp.log(1 + z**2) + x
FUNCTIONS = (F, G, H)
ONE = sp.Integer(1)


class Case(NamedTuple):
    structure: Any
    shapes: Any  # of the results, in lists and dicts as they are


STRUCTURES: dict[str, Case] = {
    "list": Case([F, G, H], (3,)),
    "tuple": Case((F, y), (2,)),
    "one": Case([G], (1,)),
    "same": Case([F, F, x, x], (4,)),
    "nested": Case([[F, G], (H, 2)], (2, 2)),
    "ragged": Case([[F], [G, H]], [(1,), (2,)]),
    "matrix": Case(sp.Matrix([[F, ONE], [G, H], [x, y * z]]), (3, 2)),
    "immutable": Case(sp.ImmutableMatrix([F, G]), (2, 1)),
    "sparse": Case(sp.SparseMatrix(2, 2, {(0, 0): F, (1, 1): H}), (2, 2)),
    "array": Case(sp.Array([[[F, G]], [[H, 0]]]), (2, 1, 2)),
    "objects": Case(np.array([[F, G]], dtype=object), (1, 2)),
    "dict": Case({"f": F, "g": G}, {"f": (), "g": ()}),
    "deep": Case(
        {"f": F, "g": {"h": sp.Matrix([G, H]), "k": [F, [G, x]]}, z: [H, F]},
        {"f": (), "g": {"h": (2, 1), "k": [(), (2,)]}, z: (2,)},
    ),
    "mixed": Case((F, sp.Matrix([[G, H]]), {"h": H}), [(), (1, 2), {"h": ()}]),
    "numbers": Case([1, 2.5, sp.pi], (3,)),
    "sympy": Case(sp.Tuple(F, sp.Tuple(G)), [(), (1,)]),
    "sympy_dict": Case(sp.Dict({x: F}), {x: ()}),
}
SINGLE = {"product": x * y**2, "all": F * G + H, "constant": sp.Integer(3), "square": x**2, "linear": 2 * x + y}


def leaves(structure: Any) -> Iterator[Any]:
    """The expressions of a structure in order: what a person would read off."""
    if isinstance(structure, (dict, sp.Dict)):
        for part in structure.values():
            yield from leaves(part)
    elif isinstance(structure, (sp.MatrixBase, sp.NDimArray)):
        yield from leaves(structure.tolist())
    elif isinstance(structure, (list, tuple, np.ndarray, sp.Tuple)):
        for part in structure:
            yield from leaves(part)
    else:
        yield sp.sympify(structure)


@cache
def _at(expression: sp.Expr) -> Callable[..., Any]:
    return sp.lambdify(SYMBOLS, expression, "mpmath")


def exact(expression: Any, point: tuple[float, ...]) -> float:
    with mp.workdps(50):
        return float(_at(sp.sympify(expression))(*map(mpmath.mpf, point)))


def points(shape: tuple[int, ...], dtype: str) -> list[Any]:
    rng = np.random.default_rng(3)
    return [rng.uniform(0.2, 1.5, shape).astype(dtype) for _ in SYMBOLS]


def tolerance(dtype: str) -> float:
    return 2e-14 if dtype == "float64" else 1e-5


def flat(value: Any, batch: int) -> np.ndarray:
    """All numbers of a structure of results, the axes of the batch in front."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return np.concatenate([flat(part, batch) for part in value], axis=-1)
    array = np.asarray(value)
    return array.reshape(*array.shape[:batch], math.prod(array.shape[batch:]))


def assert_values(found: Any, case: Case, inputs: list[Any], dtype: str) -> None:
    """The values have the structure of the expressions, and are right."""
    assert_structure(found, case.shapes, np.shape(inputs[0]))
    if isinstance(case.shapes, list):
        assert type(found) is (tuple if isinstance(case.structure, (tuple, sp.Tuple)) else list)
    assert_close(flat(found, np.ndim(inputs[0])), list(leaves(case.structure)), inputs, dtype)


def assert_structure(found: Any, shapes: Any, batch: tuple[int, ...]) -> None:
    if isinstance(shapes, tuple):
        assert np.shape(found) == batch + shapes
        return
    assert len(found) == len(shapes)
    for key in shapes if isinstance(shapes, dict) else range(len(shapes)):
        assert_structure(found[key], shapes[key], batch)


def assert_close(found: Any, wanted: list[Any], inputs: list[Any], dtype: str) -> None:
    """`found[..., k]` is the k-th expression, at every point."""
    assert found.shape == (*np.shape(inputs[0]), len(wanted))
    for place in np.ndindex(*np.shape(inputs[0])):
        at = tuple(float(own[place]) for own in inputs)
        for number, expression in zip(found[place], wanted, strict=True):
            assert number == pytest.approx(exact(expression, at), rel=tolerance(dtype), abs=tolerance(dtype))


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run on the reference evaluator, as those of long bodies do, and nothing is compiled."""
    monkeypatch.setattr("symgrad.kernel.compiled.MAX_OPERATIONS", -1)


def check_jacobian(kernel: Any, case: Case, dtype: str) -> None:
    expressions = list(leaves(case.structure))
    wanted = [sp.diff(part, symbol) for part in expressions for symbol in SYMBOLS]
    for shape in ((), (7,), (2, 3), (300,), (0,)):
        inputs = points(shape, dtype)
        result = kernel(*(float(own) for own in inputs)) if not shape else kernel(*inputs)
        assert isinstance(result, JacobianResult)
        assert_values(result.value, case, inputs, dtype)
        assert result.jacobian.shape == (*shape, len(expressions), 3)
        assert result.jacobian.dtype == dtype
        assert result.jacobian.flags.c_contiguous
        assert_close(flat(result.jacobian, len(shape)), wanted, inputs, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.usefixtures("interpreted")
def test_structures_interpreted(name: str, dtype: str) -> None:
    case = STRUCTURES[name]
    check_jacobian(symgrad.compile(case.structure, SYMBOLS, dtype=dtype), case, dtype)
    bare = symgrad.compile(case.structure, SYMBOLS, derivative=None, dtype=dtype)
    for shape in ((), (5,), (2, 1, 3)):
        inputs = points(shape, dtype)
        assert_values(bare(*inputs), case, inputs, dtype)


@pytest.mark.parametrize(
    ("name", "options"), [("deep", {}), ("matrix", {"dtype": "float32"}), ("same", {"accuracy": "strict"})]
)
def test_structures_compiled(name: str, options: Any) -> None:
    kernel = symgrad.compile(STRUCTURES[name].structure, SYMBOLS, **options)
    assert kernel.stats["runs"] == "numba"
    check_jacobian(kernel, STRUCTURES[name], options.get("dtype", "float64"))


def check_hessian(kernel: Any, expression: Any, dtype: str) -> None:
    pairs = [sp.diff(expression, one, two) for one in SYMBOLS for two in SYMBOLS]
    for shape in ((), (4,), (2, 3), (300,), (0,)):
        inputs = points(shape, dtype)
        result = kernel(*(float(own) for own in inputs)) if not shape else kernel(*inputs)
        assert isinstance(result, HessianResult)
        assert_close(np.asarray(result.value)[..., None], [expression], inputs, dtype)
        gradient = np.stack([np.asarray(own) for own in result.grad], axis=-1)
        assert_close(gradient, [sp.diff(expression, own) for own in SYMBOLS], inputs, dtype)
        assert result.hessian.shape == (*shape, 3, 3)
        assert_close(flat(result.hessian, len(shape)), pairs, inputs, dtype)
        np.testing.assert_array_equal(result.hessian, np.swapaxes(result.hessian, -1, -2))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.usefixtures("interpreted")
def test_hessians_interpreted(name: str, dtype: str) -> None:
    check_hessian(symgrad.compile(SINGLE[name], SYMBOLS, derivative="hessian", dtype=dtype), SINGLE[name], dtype)


def test_a_compiled_hessian() -> None:
    kernel = symgrad.compile(SINGLE["all"], SYMBOLS, derivative="hessian")
    check_hessian(kernel, SINGLE["all"], "float64")


# --- which derivative, by which inputs --------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
def test_defaults() -> None:
    assert type(symgrad.compile(x * y)(1.0, 2.0)) is Result
    assert type(symgrad.compile([x * y])(1.0, 2.0)) is JacobianResult
    assert type(symgrad.compile("x*y")(1.0, 2.0)) is Result
    assert symgrad.compile(x * y, derivative=None)(3.0, 2.0) == 6.0
    assert type(symgrad.compile(x * y, derivative=None)(3.0, 2.0)) is float
    one = symgrad.compile(x * y, derivative="jacobian")(3.0, 2.0)
    assert (one.value, one.jacobian.tolist()) == (6.0, [[2.0, 3.0]])
    np.testing.assert_array_equal(symgrad.compile(x * y, derivative=None)([1.0, 2.0], 3.0), [3.0, 6.0])


@pytest.mark.usefixtures("interpreted")
def test_wrt_chooses_columns() -> None:
    kernel = symgrad.compile([x * y, y * z], wrt=[z, x])
    assert kernel(2.0, 3.0, 4.0).jacobian.tolist() == [[0.0, 3.0], [3.0, 0.0]]
    single = symgrad.compile([x * y, y * z], wrt=y)
    assert single(2.0, 3.0, 4.0).jacobian.tolist() == [[2.0], [4.0]]
    hessian = symgrad.compile(x**2 * y * z, derivative="hessian", wrt=(z, x))(2.0, 3.0, 5.0).hessian
    assert hessian.tolist() == [[0.0, 12.0], [12.0, 30.0]]
    value, grad, hessian = symgrad.compile(x**2 * y, derivative="hessian", wrt=x)(2.0, 3.0)
    assert (value, grad, hessian.tolist()) == (12.0, 12.0, [[6.0]])
    none = symgrad.compile([x, y], wrt=[])
    assert none(1.0, 2.0).jacobian.shape == (2, 0)
    assert none([1.0, 3.0], 2.0).jacobian.shape == (2, 2, 0)


@pytest.mark.usefixtures("interpreted")
def test_unused_inputs_have_columns_of_zeros() -> None:
    kernel = symgrad.compile([x, x**2], args=[x, y, z])
    assert kernel(3.0, 1.0, 1.0).jacobian.tolist() == [[1, 0, 0], [6, 0, 0]]


# --- by name ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
def test_names() -> None:
    kernel = symgrad.compile(STRUCTURES["deep"].structure, SYMBOLS)
    for inputs in ([1.0, 2.0, 0.5], points((4,), "float64")):
        jacobian = kernel(*inputs).jacobian
        np.testing.assert_array_equal(jacobian["f"], jacobian[..., 0, :])
        np.testing.assert_array_equal(jacobian["f"]["y"], jacobian[..., 0, 1])
        np.testing.assert_array_equal(jacobian["f", y], jacobian[..., 0, 1])
        np.testing.assert_array_equal(jacobian["g"]["h"], jacobian[..., 1:3, None, :])
        np.testing.assert_array_equal(jacobian["g", "h", "z"], jacobian[..., 1:3, None, 2])
        np.testing.assert_array_equal(jacobian["g", "k"], jacobian[..., 3:6, :])
        np.testing.assert_array_equal(jacobian["z"]["x"], jacobian[..., 6:8, 0])
        np.testing.assert_array_equal(jacobian[z, "x"], jacobian[..., 6:8, 0])
    with pytest.raises(ValueError, match="no output 'q'; the outputs are f, g, z"):
        jacobian["q"]
    with pytest.raises(ValueError, match="no symbol 'q' in wrt: x, y, z"):
        jacobian["f", "q"]
    for part in (jacobian[0], jacobian[..., 0], jacobian * 2, np.asarray(jacobian)):
        assert type(part) is np.ndarray
    with pytest.raises(TypeError, match="names are those of the whole array"):
        jacobian.T["f"]


@pytest.mark.usefixtures("interpreted")
def test_columns_and_hessians_by_name() -> None:
    jacobian = symgrad.compile([F, G], SYMBOLS)(1.0, 2.0, 0.5).jacobian
    np.testing.assert_array_equal(jacobian["y"], jacobian[:, 1])
    hessian = symgrad.compile(F * G, SYMBOLS, derivative="hessian")(*points((3,), "float64")).hessian
    np.testing.assert_array_equal(hessian["x", "z"], hessian[:, 0, 2])
    np.testing.assert_array_equal(hessian["y"], hessian[:, 1])
    np.testing.assert_array_equal(hessian[y][z], hessian[:, 1, 2])
    again = pickle.loads(pickle.dumps(hessian))
    np.testing.assert_array_equal(again["x", "z"], hessian["x", "z"])
    assert type(pickle.loads(pickle.dumps(hessian.T))) is np.ndarray
    assert repr(jacobian).startswith("array([[")


# --- where results go -------------------------------------------------------------------------------------------------


def same(one: Any, two: Any) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(_arrays(one), _arrays(two), strict=True))


def _arrays(result: Any) -> Iterator[Any]:
    if isinstance(result, (dict, list, tuple)):
        for part in result.values() if isinstance(result, dict) else result:
            yield from _arrays(part)
    else:
        yield result


def emptied(result: Any) -> Any:
    """The same arrays, filled with NaN."""
    for array in _arrays(result):
        array[...] = np.nan
    return result


@pytest.mark.parametrize(
    ("expr", "derivative"),
    [
        (STRUCTURES["deep"].structure, "jacobian"),
        (STRUCTURES["list"].structure, "jacobian"),
        (STRUCTURES["deep"].structure, None),
        (SINGLE["linear"], "hessian"),
        (SINGLE["all"], "hessian"),
        (SINGLE["all"], "gradient"),
        (SINGLE["all"], None),
    ],
)
@pytest.mark.usefixtures("interpreted")
def test_out(expr: Any, derivative: str | None) -> None:
    kernel = symgrad.compile(expr, SYMBOLS, derivative=derivative)
    for shape in ((50,), (2, 3)):
        inputs = points(shape, "float64")
        want = kernel(*inputs)
        out = emptied(copy.deepcopy(want))
        ids = list(map(id, _arrays(out)))
        found = kernel(*inputs, out=out)
        assert same(found, want)
        assert [np.shares_memory(own, given) for own, given in zip(_arrays(found), _arrays(out), strict=True)]
        assert ids == list(map(id, _arrays(out)))
        for place, given in enumerate(_arrays(out)):
            assert same([list(_arrays(want))[place]], [given])


REFUSED_OUT: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "no tuple": (lambda out, inputs: 3.0, "out must hold (value, jacobian)"),
    "too few": (lambda out, inputs: (out.value,), "out must hold (value, jacobian)"),
    "shape": (lambda out, inputs: (out.value, np.zeros((5, 2, 2))), "out: jacobian must hold float64 arrays of shape"),
    "dtype": (lambda out, inputs: (out.value, out.jacobian.astype("f4")), "out: jacobian must hold float64 arrays"),
    "order": (lambda out, inputs: (out.value, np.asfortranarray(out.jacobian)), "C-contiguous"),
    "keys": (lambda out, inputs: ({"f": out.value["f"]}, out.jacobian), "a dict with the keys f, g"),
    "parts": (lambda out, inputs: ({**out.value, "g": [out.value["g"][0]]}, out.jacobian), "2 parts in a list"),
    "overlap": (lambda out, inputs: ({**out.value, "f": inputs[0]}, out.jacobian), "overlap"),
    "twice": (lambda out, inputs: ({**out.value, "f": out.value["g"][0]}, out.jacobian), "overlap each other"),
}


@pytest.mark.parametrize("case", REFUSED_OUT)
@pytest.mark.usefixtures("interpreted")
def test_out_that_cannot_be_written(case: str) -> None:
    kernel = symgrad.compile({"f": F, "g": [G, sp.Matrix([[H]])]}, SYMBOLS)
    inputs = points((5,), "float64")
    change, message = REFUSED_OUT[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        kernel(*inputs, out=change(kernel(*inputs), inputs))


@pytest.mark.parametrize(
    ("expr", "derivative"), [(STRUCTURES["matrix"].structure, "jacobian"), (SINGLE["all"], "hessian")]
)
def test_bits_do_not_depend_on_threads_nor_on_the_batch(expr: Any, derivative: str) -> None:
    inputs = points((40_000,), "float64")
    one = symgrad.compile(expr, SYMBOLS, derivative=derivative)
    two = symgrad.compile(expr, SYMBOLS, derivative=derivative, threads=3)
    want = one(*inputs)
    assert same(two(*inputs), want)
    for start, stop in ((0, 1), (7, 300), (39_000, 40_000)):
        part = one(*(own[start:stop] for own in inputs))
        assert same(part, _cut(want, slice(start, stop)))


def _cut(result: Any, part: slice) -> Any:
    return [np.asarray(own)[part] for own in _arrays(result)]


@pytest.mark.parametrize(
    ("expr", "derivative"), [(STRUCTURES["deep"].structure, "jacobian"), (SINGLE["all"], "hessian")]
)
def test_kernels_are_pickled_and_copied(expr: Any, derivative: str) -> None:
    kernel = symgrad.compile(expr, SYMBOLS, derivative=derivative)
    inputs = points((5,), "float64")
    for again in (pickle.loads(pickle.dumps(kernel)), copy.copy(kernel), copy.deepcopy(kernel)):
        assert again.source == kernel.source
        assert same(again(*inputs), kernel(*inputs))
        assert same(again(0.5, 0.25, 1.0), kernel(0.5, 0.25, 1.0))


@pytest.mark.usefixtures("interpreted")
def test_parts_of_a_call() -> None:
    kernel = symgrad.compile({"f": F, "g": G}, SYMBOLS)
    assert kernel.value(1.0, 2.0, 3.0) == kernel(1.0, 2.0, 3.0).value
    assert kernel.value_and_grad is not None
    with pytest.raises(TypeError, match="jacobian"):
        kernel.grad(1.0, 2.0, 3.0)
    bare = symgrad.compile({"f": F}, SYMBOLS, derivative=None)
    assert bare.value(1.0, 2.0, 3.0) == bare(1.0, 2.0, 3.0)
    assert isinstance(kernel(1.0, 2.0, 3.0).jacobian, NamedArray)
