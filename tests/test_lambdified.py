"""`lambdify`: structures, shapes and arguments as SymPy has them, number by number against sympy.lambdify."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad

x, y, z, t = sp.symbols("x y z t")
F = sp.Function("F")(t)
ARRAY = np.linspace(0.1, 0.9, 4)

# Arguments, expression, and what it is called with: the answer is SymPy's own.
ROWS: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "one": (x, x**2, (3.0,)),
    "a list of one": ([x], x**2, (3.0,)),
    "list": ((x, y), [x + y, x * y], (3.0, 4.0)),
    "nested": ((x, y), [x, (y, [x * y])], (3.0, 4.0)),
    "tuple": ((x, y), (x, y), (3.0, 4.0)),
    "a list in the arguments": ((x, (y, z)), x + y * z, (1.0, (2.0, 3.0))),
    "deeper": ((x, [y, (z,)]), [x, y, z], (1.0, [2.0, (3.0,)])),
    "a matrix": (x, sp.Matrix([[x, 1], [2, sp.sin(x)]]), (3.0,)),
    "a row": (x, sp.Matrix([[x, 1, x**2]]), (3.0,)),
    "an array": (x, sp.Array([[[x, x**2]]]), (3.0,)),
    "a matrix of arguments": ([sp.Matrix([x, y])], x - y, (np.array([[1.0], [2.0]]),)),
    "arrays": ((x, y), sp.sin(x) * y, (ARRAY, 2.0)),
    "arrays broadcast": ((x, y), sp.sin(x) * y, (ARRAY[:, None], ARRAY)),
    "a list of arrays": ((x, y), [x + y, x * y], (ARRAY, ARRAY)),
    "a matrix of arrays": (x, sp.Matrix([[x, x**2], [sp.exp(x), -x]]), (ARRAY,)),
    "functions of time": ([F, F.diff(t)], F + F.diff(t) ** 2, (1.0, 2.0)),
    "an expression": ([sp.sin(t), y], 2 * sp.sin(t) ** 2 + y, (0.5, 1.0)),
    "a name": ("x", x + 1, (1.0,)),
    "integers": ((x, y), x**y, (2, 3)),
    "a condition": ((x, y), x < y, (1.0, 2.0)),
    "conditions": ((x, y), [x < y, sp.And(x > 0, y > 0)], (1.0, -2.0)),
    "conditions of arrays": (x, x < 0.5, (ARRAY,)),
    "no arguments": ((), [sp.Integer(1), sp.pi], ()),
}


def same(found: Any, want: Any) -> None:
    if isinstance(want, dict):
        assert isinstance(found, dict)
        assert list(found) == list(want)
        for key in want:
            same(found[key], want[key])
    elif isinstance(want, (list, tuple)):
        assert type(found) is type(want)
        assert len(found) == len(want)
        for one, two in zip(found, want, strict=True):
            same(one, two)
    else:
        assert np.shape(found) == np.shape(want)
        np.testing.assert_allclose(np.asarray(found, float), np.asarray(want, float), rtol=1e-14)
        assert (np.asarray(found).dtype == bool) == (np.asarray(want).dtype == bool)


@pytest.mark.parametrize("name", ROWS)
def test_as_sympy_has_it(name: str) -> None:
    args, expr, values = ROWS[name]
    same(symgrad.lambdify(args, expr)(*values), sp.lambdify(args, expr, "numpy")(*values))


def test_dicts() -> None:
    """SymPy prints the keys, so that names are none that it knows."""
    assert symgrad.lambdify((x, y), {"sum": x + y, x: [x, {"y": y}]})(1.0, 2.0) == {"sum": 3.0, x: [1.0, {"y": 2.0}]}


def test_what_depends_on_no_argument_has_the_shape_of_the_arrays() -> None:
    found = symgrad.lambdify(x, [x, 2])(ARRAY)
    np.testing.assert_array_equal(found[1], np.full(4, 2.0))


def test_shared_parts_are_walked_once() -> None:
    """An expression of 2**60 leaves when it is written out, with a function of time in it."""
    expression = F
    for _ in range(60):
        expression = sp.Add(
            sp.Mul(expression, sp.Rational(1, 2), evaluate=False), sp.Mul(expression, sp.Rational(1, 2))
        )
    assert symgrad.lambdify(F, expression)(0.75) == 0.75


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: symgrad.lambdify(x, x)(1.0, 2.0), TypeError, "2 arguments, and the function was made with 1"),
        (lambda: symgrad.lambdify((x, (y, z)), x + y)(1.0, (2.0,)), ValueError, "1 values for the 2"),
        (lambda: symgrad.lambdify(x, x + y), ValueError, "args lacks the symbol 'y'"),
        (lambda: symgrad.lambdify(x, x, [{"sin": abs}, "numpy"]), TypeError, "symgrad.gate"),
        (lambda: symgrad.lambdify(x, x, printer=str), TypeError, "printer"),
        (lambda: symgrad.lambdify(x, sp.zeta(x)), symgrad.UnsupportedExpression, "zeta"),
    ],
)
def test_refused(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
