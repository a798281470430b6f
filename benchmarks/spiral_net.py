"""A net of two layers that tells three spirals in the plane apart: ReLU, softmax, cross entropy of labels, L2.

The classic case study of Stanford's CS231n. The arrays are small, and what counts is that the sums over points, hidden
units and classes become few loops, and that little is done per call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_workload import Arrays, ArrayWorkload
from .workload import Array, jit

CLASSES = 3
L2 = 1e-3


def data(hidden: int, points: int) -> Arrays:
    """As many points per class, one spiral each; the weights of a net that has learnt nothing yet."""
    random = np.random.default_rng(13)
    y = np.sort(np.arange(points) % CLASSES)
    radius = np.concatenate([np.linspace(0.0, 1.0, count) for count in np.bincount(y)])
    angle = 4.0 * (y + radius) + 0.2 * random.normal(size=points)
    return {
        "X": np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1),
        "y": y,
        "W1": 0.5 * random.normal(size=(2, hidden)),
        "b1": 0.1 * random.normal(size=hidden),
        "W2": 0.5 * random.normal(size=(hidden, CLASSES)),
        "b2": 0.1 * random.normal(size=CLASSES),
    }


def formula(hidden: int) -> tuple[Any, Sequence[Any]]:
    """Nested sums; the score of the label is a gather, as y[i] is an index."""
    from sympy import IndexedBase, Max, Rational, Sum, Symbol, exp, log, symbols

    i, j, k, c, n = symbols("i j k c n", integer=True)
    X, y = IndexedBase("X", shape=(n, 2)), IndexedBase(Symbol("y", integer=True), shape=(n,))
    W1, b1 = IndexedBase("W1", shape=(2, hidden)), IndexedBase("b1", shape=(hidden,))
    W2, b2 = IndexedBase("W2", shape=(hidden, CLASSES)), IndexedBase("b2", shape=(CLASSES,))
    unit = Max(0, Sum(X[i, j] * W1[j, k], (j, 0, 1)) + b1[k])

    def score(label: Any) -> Any:
        return Sum(unit * W2[k, label], (k, 0, hidden - 1)) + b2[label]

    entropy = log(Sum(exp(score(c)), (c, 0, CLASSES - 1))) - score(y[i])
    squares = Sum(W1[j, k] ** 2, (j, 0, 1), (k, 0, hidden - 1)) + Sum(
        W2[k, c] ** 2, (k, 0, hidden - 1), (c, 0, CLASSES - 1)
    )
    return Sum(entropy, (i, 0, n - 1)) / n + Rational(str(L2)) / 2 * squares, (X, y, W1, b1, W2, b2)


def loss(functions: Any, X: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    scores = functions.relu(X @ W1 + b1) @ W2 + b2
    return functions.cross_entropy(scores, y) + 0.5 * L2 * ((W1**2).sum() + (W2**2).sum())


def with_numpy(X: Array, y: Any, W1: Array, b1: Array, W2: Array, b2: Array) -> Sequence[Any]:
    hidden = np.maximum(X @ W1 + b1, 0.0)
    scores = hidden @ W2 + b2
    scores -= scores.max(1, keepdims=True)
    weights = np.exp(scores)
    totals = weights.sum(1, keepdims=True)
    every = np.arange(len(y))
    value = (np.log(totals[:, 0]) - scores[every, y]).mean() + 0.5 * L2 * ((W1**2).sum() + (W2**2).sum())
    d_scores = weights / totals
    d_scores[every, y] -= 1.0
    d_scores /= len(y)
    d_hidden = d_scores @ W2.T * (hidden > 0.0)
    return value, X.T @ d_hidden + L2 * W1, d_hidden.sum(0), hidden.T @ d_scores + L2 * W2, d_scores.sum(0)


def with_numba(hidden: int, functions: Any) -> Callable[..., float]:
    """One pass over the points, no array of their number: the two inputs and three classes are written out."""
    exp, log, tune = functions.exp, functions.log, functions.tune

    @jit
    def forward(x0: float, x1: float, W1: Array, b1: Array, W2: Array, unit: Array) -> tuple[float, float, float]:
        """The hidden units, in `unit`, and the scores; `W2` is transposed, as the units are the long axis."""
        tune()
        s0, s1, s2 = 0.0, 0.0, 0.0
        for k in range(hidden):
            unit[k] = max(x0 * W1[0, k] + x1 * W1[1, k] + b1[k], 0.0)
            s0 += unit[k] * W2[0, k]
            s1 += unit[k] * W2[1, k]
            s2 += unit[k] * W2[2, k]
        return s0, s1, s2

    @jit
    def backward(
        x0: float, x1: float, d_s0: float, d_s1: float, d_s2: float, W2: Array, unit: Array,
        d_W1: Array, d_b1: Array, d_W2: Array,
    ) -> None:  # fmt: skip
        tune()
        for k in range(hidden):
            d_W2[0, k] += unit[k] * d_s0
            d_W2[1, k] += unit[k] * d_s1
            d_W2[2, k] += unit[k] * d_s2
            d_unit = d_s0 * W2[0, k] + d_s1 * W2[1, k] + d_s2 * W2[2, k]
            d_unit = d_unit if unit[k] > 0.0 else 0.0
            d_W1[0, k] += x0 * d_unit
            d_W1[1, k] += x1 * d_unit
            d_b1[k] += d_unit

    @jit
    def kernel(
        X: Array, y: Any, W1: Array, b1: Array, W2: Array, b2: Array,
        d_W1: Array, d_b1: Array, d_W2: Array, d_b2: Array,
    ) -> float:  # fmt: skip
        W2t, unit = np.ascontiguousarray(W2.T), np.empty(hidden)
        d_W2t = L2 * W2t
        d_W1[:], d_b1[:], d_b2[:] = L2 * W1, 0.0, 0.0
        entropy, share = 0.0, 1.0 / y.size
        for i in range(y.size):
            x0, x1 = X[i, 0], X[i, 1]
            s0, s1, s2 = forward(x0, x1, W1, b1, W2t, unit)
            s0, s1, s2 = s0 + b2[0], s1 + b2[1], s2 + b2[2]
            largest = max(s0, s1, s2)
            e0, e1, e2 = exp(s0 - largest), exp(s1 - largest), exp(s2 - largest)
            total = e0 + e1 + e2
            entropy += log(total) + largest - (s0 if y[i] == 0 else s1 if y[i] == 1 else s2)
            d_s0 = share * (e0 / total - (y[i] == 0))
            d_s1 = share * (e1 / total - (y[i] == 1))
            d_s2 = share * (e2 / total - (y[i] == 2))
            d_b2[0] += d_s0
            d_b2[1] += d_s1
            d_b2[2] += d_s2
            backward(x0, x1, d_s0, d_s1, d_s2, W2t, unit, d_W1, d_b1, d_W2t)
        d_W2[:] = d_W2t.T
        value: float = share * entropy + 0.5 * L2 * ((W1 * W1).sum() + (W2 * W2).sum())
        return value

    return kernel


def net(hidden: int) -> ArrayWorkload:
    return ArrayWorkload(
        title=f"Spirals, net 2 - {hidden} - {CLASSES}: value and {(2 + 1 + CLASSES) * hidden + CLASSES} derivatives",
        parameters=("W1", "b1", "W2", "b2"),
        points=300,
        data=lambda points: data(hidden, points),
        formula=lambda: formula(hidden),
        loss=loss,
        with_numpy=with_numpy,
        with_numba=lambda functions: with_numba(hidden, functions),
    )


WORKLOAD = net(100)
