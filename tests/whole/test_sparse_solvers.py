"""Sparse Jacobians for SciPy's solvers: beside dense ones and differences, whole solutions, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy import sparse
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import symgrad
from symgrad.errors import ShapeError

i, n, m = sp.symbols("i n m", integer=True)
u, v, y = (sp.IndexedBase(name, shape=(n,)) for name in "uvy")
at = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(n,))
a, b, c, t, D = sp.symbols("a b c t D")


def heat(w: Any) -> Any:
    """Diffusion along a line whose ends are held."""
    inner = D * (w[sp.Min(i + 1, n - 1)] - 2 * w[i] + w[sp.Max(i - 1, 0)]) - w[i] ** 3 * sp.cos(t) ** 2
    return symgrad.family(inner, (i, n))


def differences(fun: Any, at: Any) -> Any:
    """The Jacobian by central differences."""
    steps = 1e-6 * np.eye(len(at))
    return np.stack([(fun(at + step) - fun(at - step)) / 2e-6 for step in steps], axis=-1)


@pytest.mark.parametrize("storage", ["csr", "csc", "coo"])
def test_residuals_of_arrays(storage: str) -> None:
    expr = [symgrad.family(u[i + 1] ** 2 - v[at[i]] * c, (i, n - 1)), v[0] * c - 1]
    tables = {"at": np.array([2, 0, 2, 1])}
    fit = symgrad.residuals(expr, [v, u, c], tables, sparse=storage)
    vector = fit.pack(v=np.arange(1.0, 5.0), u=np.arange(2.0, 6.0), c=0.5)
    found = fit.jac(vector)
    assert sparse.issparse(found)
    assert found.format == storage
    assert found.nnz == 3 * 3 + 2
    np.testing.assert_allclose(found.toarray(), symgrad.residuals(expr, [v, u, c], tables).jac(vector), rtol=1e-14)
    np.testing.assert_allclose(found.toarray(), differences(fit.fun, vector), atol=1e-7)


def test_least_squares_with_lsmr() -> None:
    """Broyden's tridiagonal function (J. J. More, B. S. Garbow and K. E. Hillstrom, ACM TOMS 7, 1981, problem 30)."""
    before, after = sp.Piecewise((u[i - 1], i > 0), (0, True)), sp.Piecewise((u[i + 1], i < n - 1), (0, True))
    fit = symgrad.residuals(
        symgrad.family((3 - 2 * u[i]) * u[i] - before - 2 * after + 1, (i, n)), u, n=500, sparse="csr"
    )
    start = np.full(500, -1.0)
    assert fit.jac(start).nnz == 1498
    found = least_squares(fit.fun, start, fit.jac, tr_solver="lsmr", xtol=1e-15, ftol=1e-15, gtol=1e-12)
    assert abs(fit.fun(found.x)).max() < 1e-9
    np.testing.assert_allclose(found.x[[0, 1, -1]], [-0.5707, -0.6818, -0.4160], atol=1e-3)


def test_residuals_of_numbers() -> None:
    fit = symgrad.residuals([a * b, b + c**2, sp.Integer(3)], [a, b], c=2.0, sparse="csr")
    found = fit.jac([3.0, 4.0])
    assert found.nnz == 3
    assert found.toarray().tolist() == [[4.0, 3.0], [0.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize("method", ["BDF", "Radau"])
def test_a_stiff_system(method: str) -> None:
    system = symgrad.ode(heat(u), u, t, D=40.0, n=60, sparse="csc")
    start = np.cos(np.linspace(0, 3, 60))
    assert system.jac(0.3, start).format == "csc"
    assert system.jac(0.3, start).nnz == 60 * 3 - 2
    np.testing.assert_allclose(
        system.jac(0.3, start).toarray(), differences(lambda y: system.fun(0.3, y), start), atol=1e-6
    )
    options: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-11}
    found = solve_ivp(system.fun, (0, 1), start, method, jac=system.jac, **options)
    plain = solve_ivp(system.fun, (0, 1), start, "LSODA", **options)
    assert found.success
    np.testing.assert_allclose(found.y[:, -1], plain.y[:, -1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("storage", [None, "csc"])
def test_sparsity_without_a_jacobian(storage: str | None) -> None:
    system = symgrad.ode(heat(u), u, t, D=40.0, n=60, sparse=storage)
    pattern = system.jac_sparsity
    assert pattern.format == "csc"
    assert (pattern.toarray() == np.eye(60) + np.eye(60, k=1) + np.eye(60, k=-1)).all()
    start = np.cos(np.linspace(0, 3, 60))
    found = solve_ivp(system.fun, (0, 1), start, "BDF", jac_sparsity=pattern)
    assert found.success
    assert found.nfev < 600  # 60 evaluations for each Jacobian otherwise


def test_bands_for_lsoda() -> None:
    rhs = [symgrad.family(D * (u[sp.Min(i + 2, n - 1)] - u[i]) + u[sp.Max(i - 1, 0)] * t, (i, n))]
    system = symgrad.ode(rhs, [u], t, D=40.0, n=30)
    assert (system.lband, system.uband) == (1, 2)
    start = np.linspace(1, 2, 30)
    dense, packed = system.jac(0.5, start), system.jac_banded(0.5, start)
    assert packed.shape == (4, 30)
    for row, column in np.ndindex(30, 30):
        if -2 <= row - column <= 1:
            assert packed[2 + row - column, column] == dense[row, column]
        else:
            assert dense[row, column] == 0
    options: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10, "method": "LSODA"}
    found = solve_ivp(
        system.fun, (0, 1), start, jac=system.jac_banded, lband=system.lband, uband=system.uband, **options
    )
    plain = solve_ivp(system.fun, (0, 1), start, jac=system.jac, **options)
    np.testing.assert_allclose(found.y[:, -1], plain.y[:, -1], rtol=1e-6)


def test_numbers() -> None:
    system = symgrad.ode([b, -a * c], [a, b], c=4.0, sparse="csc")
    assert system.jac(0.0, [1.0, 0.0]).toarray().tolist() == [[0.0, 1.0], [-4.0, 0.0]]
    assert system.jac_sparsity.toarray().tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert (system.lband, system.uband) == (1, 1)
    assert system.jac_banded(0.0, [1.0, 0.0]).tolist() == [[0.0, 1.0], [0.0, 0.0], [-4.0, 0.0]]


def test_refused() -> None:
    with pytest.raises(ValueError, match="csr, csc, coo"):
        symgrad.residuals(a * b, [a, b], sparse="dia")
    with pytest.raises(ValueError, match="csr, csc, coo"):
        symgrad.ode([a], [a], sparse="triplets")
    with pytest.raises(ValueError, match="x is fixed at an array"):
        symgrad.residuals(a * sp.Symbol("x"), a, x=[1.0, 2.0], sparse="csr")
    system = symgrad.ode(heat(u), u, t, D=1.0, sparse="csc")
    with pytest.raises(ShapeError, match="pack"):
        _ = system.jac_sparsity
    system.pack(u=np.ones(4))
    assert system.jac_sparsity.shape == (4, 4)
