"""Derivatives of arrays beyond the gradient: the Hessian of a loss of data, Hessian-vector products of a net."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

import symgrad

from .timed import Made, calls, compared, flat, timed_table


def logistic_hessian(repeats: int, rows: int = 20_000, columns: int = 100) -> str:
    """Value, gradient and Hessian of a logistic loss: all of it is one pass and one product of matrices."""
    i, j, n, d = sympy.symbols("i j n d", integer=True)
    X, y = sympy.IndexedBase("X", shape=(n, d)), sympy.IndexedBase("y", shape=(n,))
    w = sympy.IndexedBase("w", shape=(d,))
    loss = sympy.Sum(sympy.log(1 + sympy.exp(-y[i] * sympy.Sum(X[i, j] * w[j], (j, 0, d - 1)))), (i, 0, n - 1))
    random = np.random.default_rng(5)
    arrays = [random.normal(size=(rows, columns)), np.sign(random.normal(size=rows)), 0.1 * random.normal(size=columns)]

    def with_symgrad() -> Made:
        start = time.perf_counter()
        kernel = symgrad.compile(loss, args=(X, y, w), wrt=w, derivative="hessian")
        out = kernel(*arrays)
        build = time.perf_counter() - start
        return Made(timed=calls(lambda: kernel(*arrays, out=out)), results=flat(out), build=build)

    def with_numpy(root: bool) -> Made:
        """`root`: X' D X as the product of a matrix with itself, of which BLAS computes one half."""
        data, labels, weights = arrays
        scaled = np.empty_like(data)

        def call() -> Sequence[Any]:
            margin = labels * (data @ weights)
            small = np.exp(-np.abs(margin))
            share = np.where(margin >= 0.0, small, 1.0) / (1.0 + small)
            value = (np.log1p(small) + np.maximum(-margin, 0.0)).sum()
            curvature = share * (1.0 - share)
            np.multiply(data, (np.sqrt(curvature) if root else curvature)[:, None], out=scaled)
            return value, -(labels * share) @ data, (scaled if root else data).T @ scaled

        return Made(timed=calls(call), results=[np.asarray(part) for part in call()], build=0.0)

    title = f"Logistic loss, {rows:,} x {columns}: value, gradient and Hessian"
    peers = {
        "numpy: X'(D X)": lambda: with_numpy(False),
        "numpy: B'B, B = sqrt(D) X": lambda: with_numpy(True),
        "symgrad": with_symgrad,
    }
    return compared(title, peers, repeats)


def net() -> str | dict[str, Made]:
    """A two-layer net of 2,000 rows, 50 - 64 - 10."""
    i, k, q, c, n, p, h, m = sympy.symbols("i k q c n p h m", integer=True)
    X, Y = sympy.IndexedBase("X", shape=(n, p)), sympy.IndexedBase("Y", shape=(n, m))
    W1, b1 = sympy.IndexedBase("W1", shape=(p, h)), sympy.IndexedBase("b1", shape=(h,))
    W2, b2 = sympy.IndexedBase("W2", shape=(h, m)), sympy.IndexedBase("b2", shape=(m,))
    hidden = sympy.tanh(sympy.Sum(X[i, k] * W1[k, q], (k, 0, p - 1)) + b1[q])
    out = sympy.Sum(hidden * W2[q, c], (q, 0, h - 1)) + b2[c]
    loss = sympy.Sum((out - Y[i, c]) ** 2, (c, 0, m - 1), (i, 0, n - 1)) / 2
    random = np.random.default_rng(0)
    shapes = ((2000, 50), (2000, 10), (50, 64), (64,), (64, 10), (10,))
    arrays = [0.3 * random.normal(size=shape) for shape in shapes]
    return with_products(loss, (X, Y, W1, b1, W2, b2), 2, arrays)


def gaussian_process() -> str | dict[str, Made]:
    """The marginal likelihood of a Gaussian process at 200 points, by three hyperparameters."""
    n = sympy.Symbol("n", integer=True, positive=True)
    i, j = sympy.symbols("i j", integer=True)
    x, y = sympy.IndexedBase("x", shape=(n,)), sympy.MatrixSymbol("y", n, 1)
    amplitude, scale, noise = sympy.symbols("amplitude scale noise")
    signal = sympy.Lambda((i, j), sympy.exp(2 * amplitude - (x[i] - x[j]) ** 2 * sympy.exp(-2 * scale) / 2))
    K = sympy.FunctionMatrix(n, n, signal) + sympy.exp(2 * noise) * sympy.Identity(n)
    loss = ((y.T * K.inv() * y)[0, 0] + sympy.log(sympy.Determinant(K))) / 2
    random = np.random.default_rng(0)
    points = np.sort(random.uniform(-5, 5, 200))
    arrays: list[Any] = [points, np.sin(points)[:, None] + 0.1 * random.normal(size=(200, 1)), 0.1, 0.2, -1.0]
    return with_products(loss, (x, y, amplitude, scale, noise), 2, arrays)


def with_products(loss: Any, symbols: Sequence[Any], data: int, arrays: Sequence[Any]) -> str | dict[str, Made]:
    """Value and gradient, and a Hessian-vector product, which is compared with central differences; else how far off.

    The first `data` of the symbols are not differentiated for.
    """
    kernel = symgrad.compile(loss, args=symbols, wrt=symbols[data:])
    random = np.random.default_rng(1)
    directions = [random.normal(size=np.shape(array)) for array in arrays[data:]]
    found, step = flat(kernel.hvp(arrays, directions))[1:], 1e-6
    moved = [
        kernel(
            *arrays[:data], *(array + way * step * v for array, v in zip(arrays[data:], directions, strict=True))
        ).grad
        for way in (1, -1)
    ]
    wanted = np.concatenate([np.ravel(one - two) / (2 * step) for one, two in zip(*moved, strict=True)])
    off = float(np.abs(np.concatenate(list(map(np.ravel, found))) - wanted).max() / np.abs(wanted).max())
    if not off < 1e-6:  # central differences have no more digits
        return f"wrong by {off:.1e}, not timed"
    return {
        "symgrad: value and gradient": Made(calls(lambda: kernel(*arrays))),
        "symgrad: Hessian-vector product": Made(calls(lambda: kernel.hvp(arrays, directions))),
    }


def products(title: str, made: str | dict[str, Made], repeats: int) -> str:
    return f"### {title}\n\n{made}" if isinstance(made, str) else timed_table(title, made, repeats)


def tables(repeats: int) -> list[str]:
    return [
        logistic_hessian(repeats),
        products("A Hessian-vector product of a two-layer net", net(), repeats),
        products("A Hessian-vector product of a Gaussian process", gaussian_process(), repeats),
    ]
