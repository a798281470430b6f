"""A Gaussian mixture, fitted: the objective of ADBench (Srajer, Kukelova and Fitzgibbon 2018) and all its derivatives.

Each component has a weight alpha, a mean mu, and the factor of its inverse covariance: a lower triangle with exp(q) on
the diagonal and L below. What is not below the diagonal of L is NaN here: no peer may read it. The constants of the
density and of the Wishart prior (gamma = 1, m = 0) are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .array_workload import Arrays, ArrayWorkload
from .workload import Array, jit

BLOCK = 128  # points that the kernel by hand takes at a time, and the size of its loops


def data(d: int, components: int, points: int) -> Arrays:
    random = np.random.default_rng(7)
    below = np.tril(np.ones((d, d), bool), -1)
    return {
        "X": random.normal(size=(points, d)),
        "alpha": random.normal(size=components),
        "mu": random.random((components, d)),
        "q": 0.3 * random.normal(size=(components, d)),
        "L": np.where(below, 0.3 * random.normal(size=(components, d, d)), np.nan),
    }


def formula(d: int, components: int) -> tuple[Any, Sequence[Any]]:
    from sympy import IndexedBase, Sum, exp, log, symbols

    p, k, i, j, n = symbols("p k i j n", integer=True)
    X, alpha = IndexedBase("X", shape=(n, d)), IndexedBase("alpha", shape=(components,))
    mu, q = IndexedBase("mu", shape=(components, d)), IndexedBase("q", shape=(components, d))
    L = IndexedBase("L", shape=(components, d, d))
    every, axis, below = (k, 0, components - 1), (i, 0, d - 1), (j, 0, i - 1)
    residual = exp(q[k, i]) * (X[p, i] - mu[k, i]) + Sum(L[k, i, j] * (X[p, j] - mu[k, j]), below)
    term = alpha[k] + Sum(q[k, i], axis) - Sum(residual**2, axis) / 2
    prior = Sum(exp(q[k, i]) ** 2, axis, every) / 2 + Sum(L[k, i, j] ** 2, below, axis, every) / 2
    likelihood = Sum(log(Sum(exp(term), every)), (p, 0, n - 1)) - n * log(Sum(exp(alpha[k]), every))
    return likelihood + prior, (X, alpha, mu, q, L)


def loss(functions: Any, X: Any, alpha: Any, mu: Any, q: Any, L: Any) -> Any:
    below = functions.tril(L, -1)
    residual = functions.einsum("kij,kpj->kpi", below + functions.diagonal(functions.exp(q)), X[None] - mu[:, None])
    term = (alpha + q.sum(1))[:, None] - 0.5 * (residual**2).sum(2)
    prior = 0.5 * ((functions.exp(q) ** 2).sum() + (below**2).sum())
    return functions.logsumexp(term, 0).sum() - len(X) * functions.logsumexp(alpha, 0) + prior


def with_numpy(X: Array, alpha: Array, mu: Array, q: Array, L: Array) -> Sequence[Any]:
    below, scale = np.tril(L, -1), np.exp(q)
    axis = np.arange(X.shape[1])
    factor = below.copy()
    factor[:, axis, axis] = scale
    centred = X[None] - mu[:, None]
    residual = centred @ factor.transpose(0, 2, 1)
    term = (alpha + q.sum(1))[:, None] - 0.5 * (residual**2).sum(2)
    largest = term.max(0)
    weight = np.exp(term - largest)
    total = weight.sum(0)
    weight /= total
    shares = np.exp(alpha - alpha.max())
    prior = 0.5 * ((scale**2).sum() + (below**2).sum())
    value = (largest + np.log(total)).sum() - len(X) * (alpha.max() + np.log(shares.sum())) + prior
    d_residual = -weight[:, :, None] * residual
    d_factor = d_residual.transpose(0, 2, 1) @ centred
    d_alpha = weight.sum(1)
    d_q = d_alpha[:, None] + d_factor[:, axis, axis] * scale + scale**2
    d_mu = -np.einsum("kpi,kij->kj", d_residual, factor)
    return value, d_alpha - len(X) * shares / shares.sum(), d_mu, d_q, np.tril(d_factor, -1) + below


# The kernel by hand ---------------------------------------------------------------------------------------------------
#
# A block of points at a time, its axes as rows, so that the loops over points are SIMD. The two loops that matter are
# unrolled over the triangle by a few lines of Python: the residuals of a component, and for each of them the gradient
# of its row of the factor. The sum of the residuals is taken with it: the gradient by mu is a product with that sum.


def residuals_text(d: int) -> Iterator[str]:
    """residuals(points, mu, scale, L, constant, residual, term): of one component, at the points of a block."""
    yield "def residuals(points, mu, scale, L, constant, residual, term):"
    yield "    tune()"
    for i in range(d):
        yield f"    m{i} = mu[{i}]; s{i} = scale[{i}]"
        yield from (f"    l{i}_{j} = L[{i}, {j}]" for j in range(i))
    yield "    for b in range(term.size):"
    yield from (f"        x{i} = points[{i}, b] - m{i}" for i in range(d))
    for i in range(d):
        yield f"        r{i} = {' + '.join([f's{i}*x{i}', *(f'l{i}_{j}*x{j}' for j in range(i))])}"
        yield f"        residual[{i}, b] = r{i}"
    yield f"        term[b] = constant - 0.5*({' + '.join(f'r{i}*r{i}' for i in range(d))})"


def row_text(i: int) -> Iterator[str]:
    """row{i}(points, mu, weight, residual, d_row): adds to the gradient of a row of the factor; returns the sum."""
    columns = range(i + 1)
    yield f"def row{i}(points, mu, weight, residual, d_row):"
    yield "    tune()"
    yield "    total = 0.0"
    yield from (f"    m{j} = mu[{j}]; d{j} = 0.0" for j in columns)
    yield "    for b in range(weight.size):"
    yield "        w = weight[b]*residual[b]"
    yield "        total += w"
    yield from (f"        d{j} += w*(points[{j}, b] - m{j})" for j in columns)
    yield from (f"    d_row[{j}] -= d{j}" for j in columns)
    yield "    return total"


def rows_text(d: int) -> Iterator[str]:
    """rows(points, mu, weight, residual, d_factor, sums): all rows of one component."""
    yield "def rows(points, mu, weight, residual, d_factor, sums):"
    yield from (f"    sums[{i}] += row{i}(points, mu, weight, residual[{i}], d_factor[{i}])" for i in range(d))


def unrolled(d: int, functions: Any) -> tuple[Any, Any]:
    """`residuals` and `rows` for points of `d` coordinates."""
    names: dict[str, Any] = {"tune": functions.tune}
    texts = {"residuals": residuals_text(d), **{f"row{i}": row_text(i) for i in range(d)}, "rows": rows_text(d)}
    for name, lines in texts.items():
        exec("\n".join(lines), names)
        names[name] = jit(names[name])
    return names["residuals"], names["rows"]


def with_numba(d: int, components: int, functions: Any) -> Callable[..., float]:
    exp, log, tune = functions.exp, functions.log, functions.tune
    residuals, rows = unrolled(d, functions)

    @jit
    def softmax(weight: Array, largest: Array, total: Array) -> float:
        """The sum of the logarithms; `weight`, the terms at first, becomes each component's share of a point."""
        tune()
        largest[:] = weight[0]
        for k in range(1, components):
            for b in range(largest.size):
                largest[b] = max(largest[b], weight[k, b])
        total[:] = 0.0
        for k in range(components):
            for b in range(largest.size):
                weight[k, b] = exp(weight[k, b] - largest[b])
                total[b] += weight[k, b]
        value = 0.0
        for b in range(largest.size):
            value += largest[b] + log(total[b])
            total[b] = 1.0 / total[b]
        for k in range(components):
            for b in range(largest.size):
                weight[k, b] *= total[b]
        return value

    @jit
    def finish(
        scale: Array, L: Array, d_factor: Array, sums: Array, shares: Array, d_mu: Array, d_q: Array, d_L: Array
    ) -> float:
        """From the gradients of the factors to those of the parameters; returns the prior."""
        prior = 0.0
        for k in range(components):
            for j in range(d):
                d_q[k, j] = shares[k] + scale[k, j] * (d_factor[k, j, j] + scale[k, j])
                d_mu[k, j] = scale[k, j] * sums[k, j]
                prior += 0.5 * scale[k, j] ** 2
            for i in range(d):
                d_L[k, i, i:] = 0.0
                for j in range(i):
                    d_L[k, i, j] = d_factor[k, i, j] + L[k, i, j]
                    d_mu[k, j] += L[k, i, j] * sums[k, i]
                    prior += 0.5 * L[k, i, j] ** 2
        return prior

    @jit
    def kernel(
        X: Array, alpha: Array, mu: Array, q: Array, L: Array, d_alpha: Array, d_mu: Array, d_q: Array, d_L: Array
    ) -> float:
        scale, constant = np.exp(q), alpha + q.sum(1)
        points, residual = np.empty((d, BLOCK)), np.empty((components, d, BLOCK))
        weight, largest, total = np.empty((components, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
        d_factor, sums, shares = np.zeros((components, d, d)), np.zeros((components, d)), np.zeros(components)
        value: float = 0.0
        for first in range(0, len(X), BLOCK):
            count = min(BLOCK, len(X) - first)
            points[:, :count] = X[first : first + count].T
            for k in range(components):
                residuals(points, mu[k], scale[k], L[k], constant[k], residual[k], weight[k, :count])
            value += softmax(weight[:, :count], largest[:count], total[:count])
            for k in range(components):
                shares[k] += weight[k, :count].sum()
                rows(points, mu[k], weight[k, :count], residual[k], d_factor[k], sums[k])
        prior = np.exp(alpha - alpha.max())
        d_alpha[:] = shares - len(X) * prior / prior.sum()
        value -= len(X) * (alpha.max() + np.log(prior.sum()))
        return value + finish(scale, L, d_factor, sums, shares, d_mu, d_q, d_L)

    return kernel


def mixture(d: int, components: int) -> ArrayWorkload:
    derivatives = components * (1 + 2 * d + d * (d - 1) // 2)
    return ArrayWorkload(
        title=f"Gaussian mixture, {components} components in {d} dimensions: value and {derivatives:,} derivatives",
        parameters=("alpha", "mu", "q", "L"),
        points=10_000,
        data=lambda points: data(d, components, points),
        formula=lambda: formula(d, components),
        loss=loss,
        with_numpy=with_numpy,
        with_numba=lambda functions: with_numba(d, components, functions),
    )


WORKLOAD = mixture(10, 25)
