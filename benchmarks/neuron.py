"""A neuron with two inputs, two weights and a bias, and the logistic activation: one exponential, five derivatives.

So little arithmetic that memory is the limit: 5 arrays are read and 6 written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .workload import Array, Workload


def formula(functions: Any, inputs: Sequence[Any]) -> Any:
    w0, x0, w1, x1, w2 = inputs
    return 1.0 / (1.0 + functions.exp(-(w0 * x0 + w1 * x1 + w2)))


def data(points: int) -> Array:
    return np.random.default_rng(0).normal(size=(5, points))


def by_hand(inputs: Array) -> Sequence[Array]:
    w0, x0, w1, x1, w2 = inputs
    y = 1.0 / (1.0 + np.exp(-(w0 * x0 + w1 * x1 + w2)))
    d_s = y * (1.0 - y)
    return y, d_s * x0, d_s * w0, d_s * x1, d_s * w1, d_s


def loop(functions: Any) -> Callable[..., None]:
    exp, tune = functions.exp, functions.tune

    def kernel(
        w0: Array, x0: Array, w1: Array, x1: Array, w2: Array,
        y: Array, d_w0: Array, d_x0: Array, d_w1: Array, d_x1: Array, d_w2: Array,
    ) -> None:  # fmt: skip
        tune()
        for i in range(y.size):
            result = 1.0 / (1.0 + exp(-(w0[i] * x0[i] + w1[i] * x1[i] + w2[i])))
            d_s = result * (1.0 - result)
            y[i] = result
            d_w0[i] = d_s * x0[i]
            d_x0[i] = d_s * w0[i]
            d_w1[i] = d_s * x1[i]
            d_x1[i] = d_s * w1[i]
            d_w2[i] = d_s

    return kernel


WORKLOAD = Workload(
    title="Logistic neuron: value and 5 derivatives",
    inputs=("w0", "x0", "w1", "x1", "w2"),
    points=2_000_000,
    formula=formula,
    data=data,
    by_hand=by_hand,
    loop=loop,
)
