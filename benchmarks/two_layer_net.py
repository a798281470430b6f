"""A net of two layers with ReLU and a squared loss, as matrices: nearly all of it is two products of matrices.

What counts is that they go to BLAS, with no copies for the transposes, and that little is added around them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_workload import Arrays, ArrayWorkload
from .workload import Array, jit


def data(inputs: int, hidden: int, outputs: int, points: int) -> Arrays:
    normal = np.random.default_rng(11).normal
    shapes = {"x": (points, inputs), "y": (points, outputs), "w1": (inputs, hidden), "w2": (hidden, outputs)}
    return {name: normal(size=shape) for name, shape in shapes.items()}


def formula() -> tuple[Any, Sequence[Any]]:
    from sympy import Lambda, MatrixSymbol, Max, Symbol, Trace, symbols

    n, inputs, hidden, outputs = symbols("n inputs hidden outputs", integer=True)
    x, y = MatrixSymbol("x", n, inputs), MatrixSymbol("y", n, outputs)
    w1, w2 = MatrixSymbol("w1", inputs, hidden), MatrixSymbol("w2", hidden, outputs)
    a = Symbol("a")
    error = (x * w1).applyfunc(Lambda(a, Max(0, a))) * w2 - y
    return Trace(error.T * error), (x, y, w1, w2)


def loss(functions: Any, x: Any, y: Any, w1: Any, w2: Any) -> Any:
    return ((functions.relu(x @ w1) @ w2 - y) ** 2).sum()


def with_numpy(x: Array, y: Array, w1: Array, w2: Array) -> Sequence[Any]:
    hidden = np.maximum(x @ w1, 0.0)
    error = hidden @ w2 - y
    d_output = 2.0 * error
    d_hidden = d_output @ w2.T * (hidden > 0.0)
    return (error * error).sum(), x.T @ d_hidden, hidden.T @ d_output


def with_numba(functions: Any) -> Callable[..., float]:
    """NumPy's BLAS for the products, the large one into the result, and between them one pass over each array."""
    tune = functions.tune

    @jit
    def relu(hidden: Array) -> None:
        tune()
        for i in range(hidden.shape[0]):
            for j in range(hidden.shape[1]):
                hidden[i, j] = max(hidden[i, j], 0.0)

    @jit
    def squares(output: Array, y: Array) -> float:
        """The loss; `output` becomes its derivative."""
        tune()
        total = 0.0
        for i in range(output.shape[0]):
            for j in range(output.shape[1]):
                error = output[i, j] - y[i, j]
                total += error * error
                output[i, j] = 2.0 * error
        return total

    @jit
    def behind_relu(hidden: Array, d_hidden: Array) -> None:
        tune()
        for i in range(hidden.shape[0]):
            for j in range(hidden.shape[1]):
                d_hidden[i, j] = d_hidden[i, j] if hidden[i, j] > 0.0 else 0.0

    def kernel(x: Array, y: Array, w1: Array, w2: Array, d_w1: Array, d_w2: Array) -> float:
        hidden = x @ w1
        relu(hidden)
        output = hidden @ w2
        total: float = squares(output, y)
        np.dot(hidden.T, output, out=d_w2)
        d_hidden = output @ w2.T
        behind_relu(hidden, d_hidden)
        np.dot(x.T, d_hidden, out=d_w1)
        return total

    return kernel


def net(inputs: int, hidden: int, outputs: int) -> ArrayWorkload:
    return ArrayWorkload(
        title=f"Two-layer net {inputs} - {hidden} - {outputs}: value and {(inputs + outputs) * hidden:,} derivatives",
        parameters=("w1", "w2"),
        points=64,
        data=lambda points: data(inputs, hidden, outputs, points),
        formula=formula,
        loss=loss,
        with_numpy=with_numpy,
        with_numba=with_numba,
    )


WORKLOAD = net(1000, 100, 10)
