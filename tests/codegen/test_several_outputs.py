"""Emitted modules of several outputs, Jacobians and Hessians: what they return, and what they say of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from mpmath import mp
from symgrad_codegen.run import build

import symgrad
from tests.codegen.test_javascript import NODE, needs_node

x, y, z = SYMBOLS = sp.symbols("x y z")
F = x**2 * sp.sin(y)
G = sp.exp(x * y) / (1 + z**2)
CASES: dict[str, tuple[Any, str | None, list[Any]]] = {
    "jacobian": ({"f": F, "g": G}, "jacobian", [F, G]),
    "same": ([F, F, x, 3], "jacobian", [F, F, x, sp.Integer(3)]),
    "hessian": (F * G, "hessian", [F * G]),
    "values": (sp.Matrix([F, G]), None, [F, G]),
    "value": (F, None, [F]),
    "clashes": ({"x": F, "np": G, "value_1": y}, "jacobian", [F, G, y]),
}
POINTS = np.random.default_rng(5).uniform(0.2, 1.5, (7, 3))
MODES = [(case, "python", dtype) for case in CASES for dtype in ("float64", "float32")]
MODES += [("jacobian", "cpu", "float64"), ("clashes", "cpu", "float64"), ("hessian", "cpu", "float32")]


def exact(expression: Any, point: Any) -> float:
    with mp.workdps(50):
        return float(sp.lambdify(SYMBOLS, expression, "mpmath")(*map(mpmath.mpf, map(float, point))))


def expected(module: Any, values: list[Any]) -> list[Any]:
    """The expressions of what a module returns, by its own tables."""
    if not hasattr(module, "ENTRIES"):
        return [*values, *(sp.diff(values[0], name) for name in module.WRT)]
    order = dict(zip(module.VALUES, values, strict=True))
    assert len(order) == len(values)
    return [*values, *(sp.diff(order[value], *by) for value, *by in module.ENTRIES)]


def flat(results: Any, values: int) -> list[Any]:
    own, derivatives = results
    return [*([own] if values == 1 else own), *derivatives]


def assert_right(found: list[Any], wanted: list[Any], point: Any, dtype: str = "float64") -> None:
    tolerance = 2e-14 if dtype == "float64" else 1e-5
    for number, expression in zip(found, wanted, strict=True):
        assert number == pytest.approx(exact(expression, point), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(("case", "target", "dtype"), MODES)
def test_modules_compute_what_their_tables_say(case: str, target: str, dtype: str) -> None:
    expr, derivative, values = CASES[case]
    source = symgrad.emit(expr, SYMBOLS, derivative=derivative, target=target, dtype=dtype)
    module = build.load(source, use_cache=False)
    wanted = expected(module, values)
    points = POINTS.astype(dtype)
    for point in points:
        assert_right(flat(module.kernel(*point), len(values)), wanted, point, dtype)
    columns = list(points.T.copy())
    found = flat(module.kernel_batch(*columns), len(values))
    for place, point in enumerate(points):
        assert_right([array[place] for array in found], wanted, point, dtype)
    out = [np.full(len(points), np.nan, dtype) for _ in found]
    results = out[0] if len(values) == 1 else tuple(out[: len(values)]), tuple(out[len(values) :])
    assert module.kernel_batch(*columns, out=results) is results
    for one, two in zip(found, out, strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="out must hold"):
        module.kernel_batch(*columns, out=(results[0], (*results[1], out[0])))


@needs_node
@pytest.mark.parametrize("case", CASES)
def test_modules_in_javascript(case: str, tmp_path: Path) -> None:
    expr, derivative, values = CASES[case]
    (tmp_path / "module.mjs").write_text(symgrad.emit(expr, SYMBOLS, derivative=derivative, target="javascript"))
    (tmp_path / "run.mjs").write_text(
        'import * as module from "./module.mjs";\n'
        f"const columns = {json.dumps(POINTS.T.tolist())};\n"
        "const points = columns[0].map((_, place) => columns.map((column) => column[place]));\n"
        "const plain = (own) => (typeof own === 'number' ? own : Array.from(own, plain));\n"
        "console.log(JSON.stringify({ tables: [module.VALUES, module.ENTRIES, module.WRT], "
        "one: points.map((point) => module.kernel(...point)), all: plain(module.kernel_batch(...columns)) }));\n"
    )
    done = subprocess.run([str(NODE), str(tmp_path / "run.mjs")], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    tables = dict(zip(("VALUES", "ENTRIES", "WRT"), found["tables"], strict=True))
    module = type("Module", (), {key: own for key, own in tables.items() if own is not None})
    wanted = expected(module, values)
    for place, point in enumerate(POINTS):
        assert_right(flat(found["one"][place], len(values)), wanted, point)
        assert_right([own[place] for own in flat(found["all"], len(values))], wanted, point)


def test_blocks_and_comments() -> None:
    text = symgrad.emit({"f": F, "g": G}, target="python", body=True)
    assert text.startswith("# f(x, y, z) = (x**2 * sin(y), exp(x * y) / (1 + z**2))".split(" = ")[0])
    order = ["# forward", "# derivatives of f", "# d f / d x", "# derivatives of g", "# d g / d z"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    hessian = symgrad.emit(F, derivative="hessian", target="python", body=True)
    assert "# second derivatives" in hessian
    assert "# d2 value / (d y d x)" in hessian


def test_what_a_module_says_of_itself() -> None:
    text = symgrad.emit([F, G], target="python")
    assert "Returns: ((value_1, value_2), (d_1_" in text
    assert "ENTRIES lists them" in text
    assert 'VALUES = ("value_1", "value_2")' in text
    assert "for values and derivatives" in text
    assert symgrad.emit(F, derivative=None, target="python").count("ENTRIES") == 0
