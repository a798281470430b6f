"""A reaction and diffusion on a grid by SciPy's implicit solver, with the sparse Jacobian of the whole system.

The Brusselator in two dimensions, periodic, as in E. Hairer, G. Wanner, Solving Ordinary Differential Equations II,
section IV.10, on a coarse grid. Two fields are two arrays; what happens at a point of the grid is written once. The
neighbours are tables of indices, so that the grid may close upon itself. Without a Jacobian the solver takes a
difference for every one of the unknowns, and factors dense matrices.
"""

import time

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

import symgrad

N = 12  # points along each side
n, i, j = sp.symbols("n i j", integer=True, positive=True)
u, v, source = (sp.IndexedBase(name, shape=(n, n)) for name in ("u", "v", "source"))
after, before = (sp.IndexedBase(sp.Symbol(name, integer=True), shape=(n,)) for name in ("after", "before"))
diffusion = sp.Symbol("diffusion")


def spread(w: sp.IndexedBase) -> sp.Expr:
    """The Laplacian on a grid of n x n points of the unit square."""
    neighbours = w[after[i], j] + w[before[i], j] + w[i, after[j]] + w[i, before[j]]
    return diffusion * n**2 * (neighbours - 4 * w[i, j])


reaction = u[i, j] ** 2 * v[i, j]
rates = {
    "u": symgrad.family(1 + reaction - 4.4 * u[i, j] + spread(u) + source[i, j], (i, n), (j, n)),
    "v": symgrad.family(3.4 * u[i, j] - reaction + spread(v), (i, n), (j, n)),
}
inputs = (u, v, source, diffusion, after, before)
values = symgrad.compile(rates, args=inputs, derivative=None)
jacobian = symgrad.compile(rates, args=inputs, wrt=(u, v), sparse="csc")

x = np.arange(N) / N
ring = np.arange(N)
lit = 5.0 * ((x[:, None] - 0.3) ** 2 + (x - 0.6) ** 2 <= 0.1**2)
fixed = (lit, 0.1, np.roll(ring, -1), np.roll(ring, 1))


def fun(_t: float, y: np.ndarray) -> np.ndarray:
    found = values(*y.reshape(2, N, N), *fixed)
    return np.concatenate([found["u"].ravel(), found["v"].ravel()])


def jac(_t: float, y: np.ndarray) -> object:
    return jacobian(*y.reshape(2, N, N), *fixed).jacobian


start = np.stack([22 * x * (1 - x) ** 1.5 + 0 * x[:, None], 27 * (x * (1 - x) ** 1.5)[:, None] + 0 * x]).ravel()
matrix = jac(0.0, start)
step = 1e-6 * np.eye(len(start))
differences = np.stack([(fun(0.0, start + way) - fun(0.0, start - way)) / 2e-6 for way in step], axis=1)
error = np.abs(matrix.toarray() - differences).max() / np.abs(differences).max()
print(f"{len(start)} unknowns, {matrix.nnz} of {matrix.shape[0] * matrix.shape[1]} entries; differences: {error:.0e}")
assert error < 1e-8

ends = {}
for name, given in {"sparse Jacobian": jac, "dense differences": None}.items():
    begin = time.perf_counter()
    found = solve_ivp(fun, (0.0, 5.0), start, method="BDF", jac=given, rtol=1e-6, atol=1e-8)
    seconds = time.perf_counter() - begin
    print(f"{name}: {found.t.size} steps, {found.nfev} right-hand sides, {found.nlu} factorisations, {seconds:.2f} s")
    assert found.success
    ends[name] = found.y[:, -1]
apart = np.abs(ends["sparse Jacobian"] - ends["dense differences"]).max()
print(
    f"the ends are {apart:.0e} apart; u is between {ends['sparse Jacobian'][: N * N].min():.2f} and "
    f"{ends['sparse Jacobian'][: N * N].max():.2f}"
)
assert apart < 1e-3
