"""The price of a European call (Black and Scholes 1973) and its five Greeks: log, exp, erf, sqrt and divisions.

The kernel by hand knows what a textbook knows: S phi(d1) = K exp(-r T) phi(d2), so that most of the chain rule cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .workload import Array, Workload

ROOT_HALF = math.sqrt(0.5)
DENSITY_AT_0 = 1.0 / math.sqrt(2.0 * math.pi)  # phi(0)


def formula(functions: Any, inputs: Sequence[Any]) -> Any:
    S, K, T, r, v = inputs
    root = functions.sqrt(T)
    d1 = (functions.log(S / K) + (r + 0.5 * v * v) * T) / (v * root)
    d2 = d1 - v * root

    def normal(d: Any) -> Any:
        return 0.5 * (1.0 + functions.erf(d * ROOT_HALF))

    return S * normal(d1) - K * functions.exp(-r * T) * normal(d2)


def data(points: int) -> Array:
    uniform = np.random.default_rng(1).uniform
    ranges = ((50.0, 150.0), (50.0, 150.0), (0.1, 3.0), (0.0, 0.1), (0.1, 0.6))
    return np.array([uniform(low, high, points) for low, high in ranges])


def erf(x: Array) -> Array:
    try:
        from scipy.special import erf as erf_of_array
    except ImportError:
        return np.array([math.erf(number) for number in x.tolist()])
    result: Array = erf_of_array(x)
    return result


def by_hand(inputs: Array) -> Sequence[Array]:
    S, K, T, r, v = inputs
    root = np.sqrt(T)
    d1 = (np.log(S / K) + (r + 0.5 * v * v) * T) / (v * root)
    n1 = 0.5 + 0.5 * erf(d1 * ROOT_HALF)
    n2 = 0.5 + 0.5 * erf((d1 - v * root) * ROOT_HALF)
    discount = np.exp(-r * T)
    strike = K * discount * n2
    vega = S * root * DENSITY_AT_0 * np.exp(-0.5 * d1 * d1)
    return S * n1 - strike, n1, -discount * n2, 0.5 * vega * v / T + r * strike, T * strike, vega


def loop(functions: Any) -> Callable[..., None]:
    exp, log, erf, sqrt, tune = functions.exp, functions.log, functions.erf, functions.sqrt, functions.tune

    def kernel(
        S: Array, K: Array, T: Array, r: Array, v: Array,
        price: Array, d_S: Array, d_K: Array, d_T: Array, d_r: Array, d_v: Array,
    ) -> None:  # fmt: skip
        tune()
        for i in range(price.size):
            root = sqrt(T[i])
            deviation = v[i] * root
            d1 = (log(S[i] / K[i]) + (r[i] + 0.5 * v[i] * v[i]) * T[i]) / deviation
            n1 = 0.5 + 0.5 * erf(d1 * ROOT_HALF)
            n2 = 0.5 + 0.5 * erf((d1 - deviation) * ROOT_HALF)
            discounted = exp(-r[i] * T[i]) * n2
            strike = K[i] * discounted
            density = S[i] * DENSITY_AT_0 * exp(-0.5 * d1 * d1)
            price[i] = S[i] * n1 - strike
            d_S[i] = n1
            d_K[i] = -discounted
            d_T[i] = 0.5 * density * v[i] / root + r[i] * strike
            d_r[i] = T[i] * strike
            d_v[i] = density * root

    return kernel


WORKLOAD = Workload(
    title="Black-Scholes: price and 5 Greeks",
    inputs=("S", "K", "T", "r", "v"),
    points=2_000_000,
    formula=formula,
    data=data,
    by_hand=by_hand,
    loop=loop,
)
