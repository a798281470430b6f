"""Objectives with Hessians, for SciPy: whole ones, and products with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize

import symgrad
from symgrad.errors import ShapeError

x, y, z, s = sp.symbols("x y z s")
n, i = sp.symbols("n i", integer=True)
X = sp.IndexedBase("X", shape=(n,))


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels over points run on the reference evaluator, and nothing is compiled."""
    monkeypatch.setattr("symgrad.kernel.compiled.MAX_OPERATIONS", -1)


def test_minimise_with_hessians() -> None:
    kernel = symgrad.compile((1 - x) ** 2 + z * (y - x**2) ** 2)
    objective = kernel.objective(z=100.0)
    start = objective.pack(x=-1.2, y=1.0)
    np.testing.assert_allclose(objective.hess(start), [[1200 * 1.44 - 400 + 2, 480.0], [480.0, 200.0]], rtol=1e-13)
    np.testing.assert_allclose(objective.hessp(start, [1.0, -2.0]), objective.hess(start) @ [1.0, -2.0], rtol=1e-13)
    for options in (
        {"method": "trust-exact", "hess": objective.hess},
        {"method": "trust-ncg", "hessp": objective.hessp},
    ):
        found = minimize(objective, start, jac=True, **options)
        np.testing.assert_allclose(found.x, [1.0, 1.0], atol=1e-5)


@pytest.mark.parametrize("wrt", [None, X, [X], [s, X]])
def test_hessians_of_arrays_as_matrices(wrt: Any) -> None:
    kernel = symgrad.compile(sp.Sum(sp.exp(s * X[i]), (i, 0, n - 1)), wrt=wrt)
    own, a = np.array([0.1, 0.5, -0.3]), 1.5
    is_fixed = wrt is X or wrt == [X]
    objective = kernel.objective(**({"s": a} if is_fixed else {}))
    vector = objective.pack(X=own) if is_fixed else objective.pack(X=own, s=a)
    e = np.exp(a * own)
    inner, mixed = np.diag(a**2 * e), e * (1 + a * own)
    whole = inner if is_fixed else np.block([[inner, mixed[:, None]], [mixed[None], np.array([[(own**2 * e).sum()]])]])
    np.testing.assert_allclose(objective.hess(vector), whole, rtol=1e-12, atol=1e-12)
    direction = np.arange(1.0, len(vector) + 1)
    np.testing.assert_allclose(objective.hessp(vector, direction), whole @ direction, rtol=1e-12)
    with pytest.raises(ShapeError):
        objective.hessp(vector, direction[1:])


@pytest.mark.parametrize(("expr", "derivative"), [([x, y], "jacobian"), (x * y, "hessian"), (x * y, None)])
def test_an_objective_is_of_one_number_and_its_gradient(expr: Any, derivative: str | None) -> None:
    with pytest.raises(TypeError, match="an objective is of one number with its gradient"):
        symgrad.compile(expr, derivative=derivative).objective()
