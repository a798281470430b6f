"""Black-Scholes: the price of a call and its Greeks at many points in one call, against the closed forms."""

import itertools
from pathlib import Path

import mpmath
import numpy as np

import symgrad

kernel = symgrad.compile(Path(__file__).with_name("black_scholes.txt").read_text(encoding="utf-8"))
spot, strike, rate, volatility, time = (80.0, 100.0, 125.0), (90.0, 100.0), (0.0, 0.03), (0.1, 0.4), (0.25, 2.0)
S, K, r, v, T = np.array(list(itertools.product(spot, strike, rate, volatility, time))).T

price, greeks = kernel(S=S, K=K, r=r, v=v, T=T)


def closed_forms(S: float, K: float, r: float, v: float, T: float) -> dict[str, mpmath.mpf]:
    """Price and derivatives as the textbooks have them, at 30 digits."""
    S, K, r, v, T = map(mpmath.mpf, (S, K, r, v, T))
    d1 = (mpmath.log(S / K) + (r + v**2 / 2) * T) / (v * mpmath.sqrt(T))
    d2 = d1 - v * mpmath.sqrt(T)
    discounted = K * mpmath.exp(-r * T)
    vega = S * mpmath.npdf(d1) * mpmath.sqrt(T)
    return {
        "price": S * mpmath.ncdf(d1) - discounted * mpmath.ncdf(d2),
        "S": mpmath.ncdf(d1),  # delta
        "K": -mpmath.exp(-r * T) * mpmath.ncdf(d2),
        "r": discounted * T * mpmath.ncdf(d2),  # rho
        "v": vega,
        "T": vega * v / (2 * T) + r * discounted * mpmath.ncdf(d2),  # minus theta
    }


found = {"price": price, **greeks.as_dict()}
largest = 0.0
with mpmath.workdps(30):
    for place, point in enumerate(zip(S, K, r, v, T, strict=True)):
        for name, exact in closed_forms(*point).items():
            # Against the size of the terms: far out of the money, the price is the difference of two such.
            error = abs(found[name][place] - exact) / max(abs(exact), 1)
            largest = max(largest, float(error))

at_the_money = {name: round(float(kernel(S=100, K=100, r=0.03, v=0.4, T=2.0).grad[name]), 6) for name in "SKrvT"}
print(f"S = K = 100, r = 0.03, v = 0.4, T = 2: {at_the_money}")
print(f"{len(S)} points, largest error {largest:.1e}")
assert largest < 1e-13
