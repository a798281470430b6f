"""The loss of a logistic regression and its gradient by the weights: a row of data is read once and used twice.

With 20 columns the data are some 34 MB: what counts is that no array of the length of the data is written between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_workload import Arrays, ArrayWorkload
from .workload import Array, aligned, jit

BLOCK = 256  # rows that the kernel by hand takes at a time: they stay in the cache for their second use


def data(columns: int, points: int) -> Arrays:
    """Labels -1 and 1, drawn with the probability that a model gives. Written in place: `--memory` has 1.6 GB of it."""
    random = np.random.default_rng(5)
    X, y = aligned(points, columns), aligned(points)
    w = 0.3 * random.normal(size=columns)
    for start in range(0, points, 100_000):
        rows = slice(start, start + 100_000)
        random.standard_normal(out=X[rows])
        likely = random.random(len(y[rows])) < 1.0 / (1.0 + np.exp(-X[rows] @ (w + 0.1)))
        y[rows] = np.where(likely, 1.0, -1.0)
    return {"X": X, "y": y, "w": w}


def formula() -> tuple[Any, Sequence[Any]]:
    from sympy import IndexedBase, Sum, exp, log, symbols

    i, j, n, d = symbols("i j n d", integer=True)
    X, y, w = IndexedBase("X", shape=(n, d)), IndexedBase("y", shape=(n,)), IndexedBase("w", shape=(d,))
    score = Sum(X[i, j] * w[j], (j, 0, d - 1))
    return Sum(log(1 + exp(-y[i] * score)), (i, 0, n - 1)), (X, y, w)


def loss(functions: Any, X: Any, y: Any, w: Any) -> Any:
    return functions.softplus(-y * (X @ w)).sum()


def with_numpy(X: Array, y: Array, w: Array) -> Sequence[Any]:
    margin = y * (X @ w)
    small = np.exp(-np.abs(margin))
    value = (np.log1p(small) + np.maximum(-margin, 0.0)).sum()
    d_score = -y * np.where(margin >= 0.0, small, 1.0) / (1.0 + small)
    return value, d_score @ X


def with_numba(columns: int, functions: Any) -> Callable[..., float]:
    """Blocks of rows: their margins, the functions of these as SIMD, and the rows again for the gradient."""
    exp, log, tune = functions.exp, functions.log, functions.tune

    @jit
    def margins(X: Array, y: Array, w: Array, first: int, margin: Array) -> None:
        tune()
        for b in range(margin.size):
            score = 0.0
            for j in range(columns):
                score += X[first + b, j] * w[j]
            margin[b] = y[first + b] * score

    @jit
    def losses(y: Array, first: int, margin: Array, d_score: Array) -> float:
        """The exponential is never of a positive number. As 1 + small loses digits, so does the loss: not its sum."""
        tune()
        total = 0.0
        for b in range(margin.size):
            small = exp(-abs(margin[b]))
            inverse = 1.0 / (1.0 + small)
            total += log(1.0 + small) + max(-margin[b], 0.0)
            d_score[b] = -y[first + b] * inverse * (small if margin[b] >= 0.0 else 1.0)
        return total

    @jit
    def add_rows(X: Array, first: int, d_score: Array, d_w: Array) -> None:
        tune()
        for b in range(d_score.size):
            for j in range(columns):
                d_w[j] += d_score[b] * X[first + b, j]

    @jit
    def kernel(X: Array, y: Array, w: Array, d_w: Array) -> float:
        margin, d_score = np.empty(BLOCK), np.empty(BLOCK)
        d_w[:] = 0.0
        total = 0.0
        for first in range(0, y.size, BLOCK):
            count = min(BLOCK, y.size - first)
            margins(X, y, w, first, margin[:count])
            total += losses(y, first, margin[:count], d_score[:count])
            add_rows(X, first, d_score[:count], d_w)
        return total

    return kernel


def regression(columns: int) -> ArrayWorkload:
    return ArrayWorkload(
        title=f"Logistic loss, {columns} columns: value and {columns} derivatives",
        parameters=("w",),
        points=200_000,
        data=lambda points: data(columns, points),
        formula=formula,
        loss=loss,
        with_numpy=with_numpy,
        with_numba=lambda functions: with_numba(columns, functions),
    )


WORKLOAD = regression(20)
