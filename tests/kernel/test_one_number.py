"""Looking at one number: outputs, entries of arrays, and derivatives, whose gradients are rows of Hessians."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad

x, y, z = SYMBOLS = sp.symbols("x y z")
F, G = x**2 * sp.sin(y), sp.exp(x * y) / (1 + z**2)
POINT = (0.5, 1.25, -0.75)
TEXT = """
X: matrix(n, d)
w: vector(d)
y: vector(n)
r = X @ w - y
f = [r[i]*exp(-r[i]**2) for i in range(n)]
g = sum(r**2)
"""
DATA = np.array([[1.0, 2.0], [0.5, -1.0], [0.25, 1.5]])
WEIGHTS, LABELS = np.array([0.5, 0.25]), np.array([1.0, 0.25, 0.5])


def exact(expression: Any) -> float:
    return float(expression.subs(dict(zip(SYMBOLS, map(sp.Rational, POINT), strict=True))).evalf(30))


@pytest.mark.parametrize("derivative", [None, "jacobian", "gradient", "hessian"])
@pytest.mark.parametrize("level", ["gates", "elementary", "entries"])
def test_entries_of_hessians(derivative: str | None, level: str) -> None:
    one = derivative in ("gradient", "hessian")
    kernel = symgrad.compile(G if one else [F, G], SYMBOLS, derivative=derivative)
    output = None if one else "value_2" if derivative is None else 1
    for by in SYMBOLS:
        trace = kernel.trace(*POINT, output=output, derivative=by.name, level=level)
        assert trace.value == pytest.approx(exact(sp.diff(G, by)), rel=1e-13)
        for other in SYMBOLS:
            assert trace.gradient[other] == pytest.approx(exact(sp.diff(G, by, other)), rel=1e-12, abs=1e-14)
        called = "value" if one else "value_2"
        assert trace.name == f"d {called} / d {by.name}"
        assert str(trace).startswith(f"f = d {called} / d {by.name} = ")
        assert f"where f = d {called} / d {by.name} = " in trace.explain("y")
        assert trace.to_dict()["name"] == trace.name


def test_a_derivative_that_is_0() -> None:
    trace = symgrad.compile([F, G], SYMBOLS).trace(*POINT, output=0, derivative="z")
    assert (trace.value, tuple(trace.gradient)) == (0.0, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("level", ["gates", "elementary", "entries"])
def test_entries_of_arrays(level: str) -> None:
    kernel = symgrad.compile(TEXT)
    rest = DATA @ WEIGHTS - LABELS
    values, slopes = rest * np.exp(-(rest**2)), (1 - 2 * rest**2) * np.exp(-(rest**2))
    curved = (4 * rest**3 - 6 * rest) * np.exp(-(rest**2))
    for row in range(3):
        trace = kernel.trace(DATA, WEIGHTS, LABELS, output=f"f[{row}]", level=level)
        assert trace.value == pytest.approx(values[row], rel=1e-14)
        np.testing.assert_allclose(trace.gradient["w"], slopes[row] * DATA[row], rtol=1e-13)
        np.testing.assert_allclose(trace.gradient["y"], -slopes[row] * np.eye(3)[row], rtol=1e-13)
        again = kernel.trace(DATA, WEIGHTS, LABELS, output=f"f[{row}]", derivative="w[1]", level=level)
        assert again.value == pytest.approx(slopes[row] * DATA[row, 1], rel=1e-13)
        np.testing.assert_allclose(again.gradient["w"], curved[row] * DATA[row, 1] * DATA[row], rtol=1e-12)
    assert kernel.trace(DATA, WEIGHTS, LABELS, level=level).name == "g"
    assert kernel.draw(DATA, WEIGHTS, LABELS, output="f[1]", derivative="X[1, 0]").trace.name == "d f[1] / d X[1, 0]"


def test_the_first_entry_where_no_output_is_a_number() -> None:
    kernel = symgrad.compile("[x[i]**2 for i in range(n)]")
    trace = kernel.trace([3.0, 4.0])
    assert (trace.name, trace.value, trace.gradient[0].tolist()) == ("value[0]", 9.0, [6.0, 0.0])
    assert kernel.trace([3.0, 4.0], output="value[1]").value == 16.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "f"}, "'f' is no number: f has the shape (3,); take an entry of it, such as 'f[0]'"),
        ({"output": "f[3]"}, "there is no 'f[3]': f has the shape (3,)"),
        ({"output": "f[0, 1]"}, "'f[0, 1]' is no number: f has the shape (3,)"),
        ({"output": "g[0]"}, "there is no 'g[0]': g is a number"),
        ({"output": "h"}, "'h' is no output; those are f, g"),
        ({"output": 2}, "output 2 is none of the outputs, which are f, g"),
        ({"output": -1}, "output -1 is none of the outputs"),
        ({"derivative": "w"}, "'w' is no number: w has the shape (2,); take an entry of it, such as 'w[0]'"),
        ({"derivative": "w[2]"}, "there is no 'w[2]'"),
        ({"derivative": "v"}, "'v' is no input that is differentiated for; those are X, w, y"),
    ],
)
def test_refusals(options: Any, message: str) -> None:
    kernel = symgrad.compile(TEXT)
    for method in (kernel.trace, kernel.draw):
        with pytest.raises(ValueError, match=re.escape(message)):
            method(DATA, WEIGHTS, LABELS, **options)


def test_a_gradient_kernel_has_one_output() -> None:
    with pytest.raises(ValueError, match="'f' is no output; those are value"):
        symgrad.compile(G).trace(*POINT, output="f")
