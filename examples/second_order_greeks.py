"""Second-order Greeks: price, first and second derivatives of a call option at many points, against closed forms."""

import itertools
from pathlib import Path

import mpmath
import numpy as np

import symgrad

text = Path(__file__).with_name("black_scholes.txt").read_text(encoding="utf-8")
kernel = symgrad.compile(text, derivative="hessian")
spot, strike, rate, volatility, time = (80.0, 100.0, 125.0), (90.0, 100.0), (0.0, 0.03), (0.1, 0.4), (0.25, 2.0)
S, K, r, v, T = np.array(list(itertools.product(spot, strike, rate, volatility, time))).T

price, greeks, second = kernel(S=S, K=K, r=r, v=v, T=T)
place = {symbol.name: column for column, symbol in enumerate(kernel.wrt)}


def closed_forms(S: float, K: float, r: float, v: float, T: float) -> dict[tuple[str, str], mpmath.mpf]:
    """Second derivatives as the textbooks have them, at 30 digits."""
    S, K, r, v, T = map(mpmath.mpf, (S, K, r, v, T))
    root = v * mpmath.sqrt(T)
    d1 = (mpmath.log(S / K) + (r + v**2 / 2) * T) / root
    d2 = d1 - root
    density = mpmath.npdf(d1)
    return {
        ("S", "S"): density / (S * root),  # gamma
        ("S", "v"): -density * d2 / v,  # vanna
        ("v", "v"): S * density * mpmath.sqrt(T) * d1 * d2 / v,  # volga
        ("S", "T"): density * (r / root - d2 / (2 * T)),  # minus charm
        ("S", "r"): density * mpmath.sqrt(T) / v,
        ("K", "K"): mpmath.exp(-r * T) * mpmath.npdf(d2) / (K * root),  # the risk-neutral density, discounted
    }


largest = 0.0
with mpmath.workdps(30):
    for number, point in enumerate(zip(S, K, r, v, T, strict=True)):
        for (one, two), exact in closed_forms(*point).items():
            found = second[number, place[one], place[two]]
            assert found == second[number, place[two], place[one]]
            largest = max(largest, float(abs(found - exact) / max(abs(exact), 1)))

at_the_money = kernel(S=100, K=100, r=0.03, v=0.4, T=2.0).hessian
names = {"gamma": ("S", "S"), "vanna": ("S", "v"), "volga": ("v", "v")}
print({name: round(float(at_the_money[place[one], place[two]]), 6) for name, (one, two) in names.items()})
print(f"{len(S)} points, 15 second derivatives each, largest error {largest:.1e}")
assert largest < 1e-12
