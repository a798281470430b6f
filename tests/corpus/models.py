"""Models as people write them: right-hand sides, arms of robots, likelihoods; all of numbers alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

Rows = list[sp.Expr]
R = sp.Rational


class Model(NamedTuple):
    """Functions of so many numbers, where they are looked at: several for a Jacobian, one for a Hessian."""

    rows: Callable[[Sequence[sp.Symbol]], Rows]
    point: tuple[float, ...]


# --- right-hand sides -------------------------------------------------------------------------------------------------


def lorenz(u: Sequence[sp.Symbol]) -> Rows:
    x, y, z = u
    return [10 * (y - x), x * (28 - z) - y, x * y - R(8, 3) * z]


def robertson(u: Sequence[sp.Symbol]) -> Rows:
    """Rates from 0.04 to 3e7."""
    x, y, z = u
    slow, back, fast = R(4, 100) * x, 10**4 * y * z, 3 * 10**7 * y**2
    return [back - slow, slow - back - fast, fast]


def hires(y: Sequence[sp.Symbol]) -> Rows:
    """High irradiance response of plants (Hairer & Wanner, Solving ordinary differential equations II, IV.10)."""
    a, b, c, d, e, f, g, h = y
    exchange = 280 * f * h
    return [
        -R("1.71") * a + R("0.43") * b + R("8.32") * c + R("0.0007"),
        R("1.71") * a - R("8.75") * b,
        -R("10.03") * c + R("0.43") * d + R("0.035") * e,
        R("8.32") * b + R("1.71") * c - R("1.12") * d,
        -R("1.745") * e + R("0.43") * f + R("0.43") * g,
        -exchange + R("0.69") * d + R("1.71") * e - R("0.43") * f + R("0.69") * g,
        exchange - R("1.81") * g,
        -exchange + R("1.81") * g,
    ]


# --- robots -----------------------------------------------------------------------------------------------------------


def arm(q: Sequence[sp.Symbol]) -> Rows:
    """Position, roll, pitch and yaw of an arm of that many joints, by Denavit & Hartenberg."""
    lengths = np.random.default_rng(len(q)).uniform(-0.5, 0.5, (len(q), 2)).round(3)
    frame = sp.eye(4)
    for joint, (angle, (a, d)) in enumerate(zip(q, lengths, strict=True)):
        twist = (sp.Integer(0), sp.pi / 2, -sp.pi / 2, R(3, 10))[joint % 4]
        c, s, ca, sa = sp.cos(angle), sp.sin(angle), sp.cos(twist), sp.sin(twist)
        link = [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
        frame = frame * sp.Matrix(link)
    angles = [sp.atan2(frame[2, 1], frame[2, 2]), sp.asin(-frame[2, 0]), sp.atan2(frame[1, 0], frame[0, 0])]
    return [*frame[:3, 3], *angles]


# --- likelihoods: minus their logarithms ------------------------------------------------------------------------------

_DRAWN = np.random.default_rng(5)
FEATURES = _DRAWN.normal(size=(12, 3)).round(3)
LABELS, COUNTS = _DRAWN.integers(0, 2, 12), _DRAWN.poisson(3, 12)
TIMES, SEEN = _DRAWN.exponential(2, 12).round(3) + 0.01, _DRAWN.integers(0, 2, 12)
SERIES = _DRAWN.normal(size=12).round(3)


def _scores(weights: Sequence[sp.Symbol]) -> list[Any]:
    return [sum(x * w for x, w in zip(map(float, row), weights, strict=True)) for row in FEATURES]


def logistic(w: Sequence[sp.Symbol]) -> Rows:
    return [sum(sp.log(1 + sp.exp(s)) - int(y) * s for s, y in zip(_scores(w), LABELS, strict=True))]


def poisson(w: Sequence[sp.Symbol]) -> Rows:
    return [sum(sp.exp(s) - int(k) * s for s, k in zip(_scores(w), COUNTS, strict=True))]


def negative_binomial(x: Sequence[sp.Symbol]) -> Rows:
    *w, a = x
    terms = []
    for s, k in zip(_scores(w), map(int, COUNTS), strict=True):
        spread = sp.log(1 + a * sp.exp(s))
        terms.append(sp.loggamma(1 / a) - sp.loggamma(k + 1 / a) + spread / a - k * (s + sp.log(a) - spread))
    return [sum(terms)]


def weibull(x: Sequence[sp.Symbol]) -> Rows:
    """Of shape and scale; times that were not seen to the end count as survivals."""
    shape, scale = x
    terms = []
    for t, seen in zip(map(float, TIMES), map(int, SEEN), strict=True):
        density = sp.log(shape) - sp.log(scale) + (shape - 1) * (sp.log(sp.Float(t)) - sp.log(scale))
        terms.append((t / scale) ** shape - seen * density)
    return [sum(terms)]


def student(x: Sequence[sp.Symbol]) -> Rows:
    mean, scale, freedom = x
    each = sp.loggamma(freedom / 2) - sp.loggamma((freedom + 1) / 2) + sp.log(sp.pi * freedom) / 2 + sp.log(scale)
    tails = (sp.log(1 + ((float(y) - mean) / scale) ** 2 / freedom) for y in SERIES)
    return [len(SERIES) * each + (freedom + 1) / 2 * sum(tails)]


def autoregression(x: Sequence[sp.Symbol]) -> Rows:
    shift, factor, scale = x
    y = list(map(float, SERIES))
    first = (y[0] - shift / (1 - factor)) ** 2 * (1 - factor**2) / (2 * scale**2) - sp.log(1 - factor**2) / 2
    steps = ((now - shift - factor * before) ** 2 / (2 * scale**2) for before, now in itertools.pairwise(y))
    return [first + sum(steps) + len(y) * sp.log(scale)]


def mixture(x: Sequence[sp.Symbol]) -> Rows:
    weight, *parameters = x
    one, two = parameters[::2], parameters[1::2]

    def density(y: float, mean: sp.Symbol, scale: sp.Symbol) -> sp.Expr:
        return sp.exp(-(((y - mean) / scale) ** 2) / 2) / (scale * sp.sqrt(2 * sp.pi))

    share, rest = 1 / (1 + sp.exp(-weight)), 1 / (1 + sp.exp(weight))
    return [-sum(sp.log(share * density(y, *one) + rest * density(y, *two)) for y in map(float, SERIES))]


MODELS = {
    "Lorenz": Model(lorenz, (1.2, -3.4, 25.0)),
    "Robertson": Model(robertson, (0.9, 3e-5, 0.1)),
    "HIRES": Model(hires, (0.7, 0.15, 0.06, 1.2, 2.3, 6.1, 0.003, 0.0028)),
    "arm of 4 joints": Model(arm, (0.4, -1.3, 0.7, 1.9)),
    "arm of 7 joints": Model(arm, (0.4, -1.3, 0.7, 1.9, -0.6, 1.1, -1.7)),
    "logistic regression": Model(logistic, (0.3, -1.2, 0.8)),
    "logistic regression, saturated": Model(logistic, (30.0, -120.0, 80.0)),
    "Poisson regression": Model(poisson, (0.3, -0.2, 0.8)),
    "negative binomial regression": Model(negative_binomial, (0.3, -0.2, 0.8, 0.7)),
    "Weibull, censored": Model(weibull, (1.3, 2.1)),
    "Student": Model(student, (0.2, 1.3, 4.5)),
    "autoregression": Model(autoregression, (0.1, 0.6, 1.2)),
    "mixture of normals": Model(mixture, (0.3, -0.5, 0.9, 0.7, 1.4)),
    "mixture of normals, far apart": Model(mixture, (0.3, -5.0, 9.0, 0.2, 0.4)),
}
