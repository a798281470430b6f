"""The check of Jacobians, Hessians and products: what it compares, and that it finds a derivative that is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.kernel.check import DerivativeCheck, GradientCheck
from symgrad.result import NamedArray

x, y, z = SYMBOLS = sp.symbols("x y z")
POINT = (0.3, 0.7, 1.9)
STRUCTURE = {"f": x * sp.sin(y), "g": [sp.exp(x * y) + z, sp.log(z)]}
n, i = sp.symbols("n i", integer=True)
X = sp.IndexedBase("X", shape=(n,))
GIVEN = {"X": np.linspace(0.2, 1.1, 3), "x": 1.5}
ARRAYS = {"f": symgrad.family(sp.sin(X[i]) * x, (i, n)), "g": sp.Sum(X[i] ** 3, (i, 0, n - 1))}


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels over points run on the reference evaluator, and nothing is compiled."""
    monkeypatch.setattr("symgrad.kernel.compiled.MAX_OPERATIONS", -1)


def kernels() -> dict[str, tuple[Any, tuple[Any, ...], list[str]]]:
    """A kernel of each kind, what it is called with, and of which functions there are rows."""
    several, one = symgrad.compile(STRUCTURE, SYMBOLS), symgrad.compile(x**2 * sp.sin(y) * z)
    return {
        "jacobian": (several, POINT, ["f"] * 3 + ["g[0]"] * 3 + ["g[1]"] * 3),
        "hessian": (
            symgrad.compile(x**2 * sp.sin(y) * z, derivative="hessian"),
            POINT,
            ["value"] * 3 + ["d_x"] * 3 + ["d_y"] * 3 + ["d_z"] * 3,
        ),
        "jvp": (several.jvp, (POINT, [1.0, 2.0, -1.0]), ["f", "g[0]", "g[1]"]),
        "vjp": (several.vjp, (POINT, {"f": 1.0, "g": [2.0, 3.0]}), ["the weighted sum"] * 3),
        "hvp": (one.hvp, (POINT, [1.0, 2.0, -1.0]), ["d_x", "d_y", "d_z"]),
    }


@pytest.mark.parametrize("kind", ["jacobian", "hessian", "jvp", "vjp", "hvp"])
def test_a_wrong_derivative_is_found(kind: str) -> None:
    kernel, point, names = kernels()[kind]
    found = kernel.check(*point)
    assert isinstance(found, DerivativeCheck)
    assert found, str(found)
    assert [name for name, part in found.parts for _ in part.rows] == names
    assert all(row.verdict == "ok" for row in found.rows)
    right = kernel._runner.evaluate
    values = len(kernel.graph.values) if kind in ("jacobian", "hessian") else 3 if kind != "hvp" else 1
    derivatives = len(kernel.graph.outputs) - values
    for place in range(values, values + derivatives):
        kernel._runner.evaluate = lambda given, place=place: [
            own * (1 + 1e-6) if k == place else own for k, own in enumerate(right(given))
        ]
        wrong = kernel.check(*point)
        assert not wrong, f"{place}: {wrong}"
        verdicts = [row.verdict for row in wrong.rows]
        # An entry of a Hessian beside the diagonal stands for two; a gradient is also a value of its own.
        assert 1 <= verdicts.count("WRONG") <= 2 or any(not part.value_agrees for _, part in wrong.parts)


def test_a_wrong_value_is_found() -> None:
    kernel = symgrad.compile(STRUCTURE, SYMBOLS)
    right = kernel._runner.evaluate
    kernel._runner.evaluate = lambda given: [own + 1e-9 * (k == 1) for k, own in enumerate(right(given))]
    found = kernel.check(*POINT)
    assert not found
    assert "g[0]: value" in str(found)
    assert "THE CHECK FAILED" in str(found)


def test_structural_zeros_are_compared() -> None:
    found = symgrad.compile([x, sp.floor(x) * y], SYMBOLS).check(1.25, 2.0, 3.0)
    assert found, str(found)
    assert [row.exact for row in found.rows] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def test_values_alone_and_one_value() -> None:
    assert isinstance(symgrad.compile(x * y, derivative=None).check(1.0, 2.0), GradientCheck)
    assert symgrad.compile([x, y], derivative=None).check(1.0, 2.0)
    one = symgrad.compile(x * y, derivative="jacobian").check(1.0, 2.0)
    assert isinstance(one, GradientCheck)
    assert len(one.rows) == 2


def test_trouble_is_named() -> None:
    found = symgrad.compile({"f": x, "g": sp.log(x) * y}).check(0.0, 1.0)
    assert not found
    assert "first trouble: in the value" in str(found)


def test_arrays() -> None:
    kernel = symgrad.compile(ARRAYS)
    found = kernel.check(**GIVEN)
    assert found, str(found)
    assert {name for name, _ in found.parts} == {"f[0]", "f[1]", "f[2]", "g"}
    assert len(found.rows) == 16
    hessian = symgrad.compile(sp.Sum(sp.exp(X[i] * x), (i, 0, n - 1)), derivative="hessian")
    assert hessian.check(**GIVEN)
    right = hessian._runner.evaluate
    hessian._runner.evaluate = lambda given: [own * (1 + 1e-9 * (k == 4)) for k, own in enumerate(right(given))]
    assert not hessian.check(**GIVEN)
    point = {"X": GIVEN["X"], "x": 1.5}
    for one, given in ((kernel.jvp, {"X": np.ones(3), "x": 2.0}), (kernel.vjp, {"f": np.ones(3), "g": -1.0})):
        assert one.check(point, given)


# --- trace and drawing ------------------------------------------------------------------------------------------------


def test_traces_of_one_output() -> None:
    kernel = symgrad.compile(STRUCTURE, SYMBOLS)
    jacobian = kernel(*POINT).jacobian
    assert isinstance(jacobian, NamedArray)
    for row, name in enumerate(("f", "g[0]", "g[1]")):
        trace = kernel.trace(*POINT, output=name)
        assert trace.value == pytest.approx([*[kernel(*POINT).value["f"]], *kernel(*POINT).value["g"]][row])
        np.testing.assert_allclose(tuple(trace.gradient), jacobian[row], rtol=1e-14)
        assert kernel.trace(*POINT, output=row).title == trace.title
        assert kernel.draw(*POINT, output=name).trace.title == trace.title
    assert kernel.trace(*POINT).title == kernel.trace(*POINT, output="f").title
    assert "df/dx" in kernel.trace(*POINT, output="g[0]").explain("x")
    with pytest.raises(ValueError, match=r"'h' is no output; those are f, g\[0\], g\[1\]"):
        kernel.trace(*POINT, output="h")
    one = symgrad.compile(x * y**2, derivative="hessian")
    assert tuple(one.trace(1.0, 2.0).gradient) == (4.0, 4.0)
    assert symgrad.compile(ARRAYS).trace(**GIVEN).value == pytest.approx((GIVEN["X"] ** 3).sum())


def test_displays() -> None:
    kernel = symgrad.compile(STRUCTURE, SYMBOLS)
    assert r"J &= \frac{\partial" in str(kernel._repr_latex_())
    assert kernel._repr_html_() is None
    assert "jacobian by (x, y, z)" in repr(kernel)
    assert "values" in repr(symgrad.compile(STRUCTURE, derivative=None))
    assert symgrad.compile(x * y, derivative="hessian")._repr_latex_() is not None


# --- sparse matrices --------------------------------------------------------------------------------------------------

AT = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(n,))
CHAIN = sp.Sum(x * (X[i + 1] - X[i] ** 2) ** 2, (i, 0, n - 2)) + sp.Sum(X[i] * X[AT[i]], (i, 0, n - 1))
WHERE = {"X": np.linspace(0.5, 1.5, 30), "at": np.arange(30)[::-1], "x": 1.5}


def sparse_kernels() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Each with what it is checked at."""
    args = [AT, X, x]
    several = {"f": symgrad.family(sp.sin(X[i + 1]) * X[i] * x, (i, n - 1)), "g": CHAIN}
    point = tuple(WHERE[own] for own in ("at", "X", "x"))
    jacobian = symgrad.compile(several, args, sparse="csr")
    options: dict[str, Any] = {"derivative": "hessian", "sparse": "coo"}
    return {
        "jacobian": (jacobian, point),
        "hessian": (symgrad.compile(CHAIN, args, **options), point),
        "lower": (symgrad.compile(CHAIN, args, symmetric="lower", **options), point),
        "weighted": (jacobian.weighted_hessian, (point, {"f": np.linspace(1, 2, 29), "g": 0.5})),
    }


@pytest.mark.parametrize("kind", ["jacobian", "hessian", "lower", "weighted"])
def test_a_sparse_entry_that_is_wrong_or_missing_is_found(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, point = sparse_kernels()[kind]
    found = kernel.check(*point)
    assert found, str(found)
    assert "along a direction" in [row.name for row in found.rows]
    right = kernel._runner.run
    result = right(kernel._runner.arguments.ordered(point, {}), None) if kind != "weighted" else kernel(*point)
    matrix = result[-1] if isinstance(result, tuple) else result
    rows = matrix.tocoo().row
    # Of the first row of the matrix and the last one, which are both among those that are compared.
    for place in (int(np.argmax(rows == rows.min())), int(np.argmax(rows == rows.max()))):
        for change in (1e-5, -matrix.data[place]):  # wrong, and as good as missing

            def changed(values: Any, out: Any, place: int = place, change: float = change) -> Any:
                own = right(values, out)
                (own[-1] if isinstance(own, tuple) else own).data[place] += change
                return own

            monkeypatch.setattr(kernel._runner, "run", changed)
            assert not kernel.check(*point), (place, change)


def test_numbers_that_are_sparse_are_checked() -> None:
    assert symgrad.compile(STRUCTURE, SYMBOLS, sparse="csr").check(*POINT)
    assert symgrad.compile(x**2 * sp.sin(y) * z, derivative="hessian", sparse="csc", symmetric="lower").check(*POINT)
