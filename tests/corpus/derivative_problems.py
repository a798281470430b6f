"""Problems of several outputs, or of second order, with numbers alone: robots, mechanics, kinetics, finance, residuals.

The residuals are those of Moré, Garbow & Hillstrom, Testing unconstrained optimization software, 1981.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

Rows = list[sp.Expr]
Symbols = Sequence[sp.Symbol]


class Problem(NamedTuple):
    """Functions of numbers, and the derivative that is wanted of them."""

    inputs: int
    rows: Callable[[Symbols], Rows]
    derivative: str
    point: tuple[float, ...]
    entries: int  # of the Jacobian, or of the lower triangle of the Hessian, that are not 0
    value_operations: int  # at most
    operations: int  # of values and derivatives together, at most


# --- robots and mechanics ---------------------------------------------------------------------------------------------

# Length a, twist alpha (as its cosine and sine) and offset d of each joint of a UR5, in metres.
JOINTS = (
    (0.0, (0, 1), 0.089159),
    (-0.425, (1, 0), 0.0),
    (-0.39225, (1, 0), 0.0),
    (0.0, (0, 1), 0.10915),
    (0.0, (0, -1), 0.09465),
    (0.0, (1, 0), 0.0823),
)


def _dot(one: Sequence[Any], two: Sequence[Any]) -> Any:
    """Terms with a factor 0 are left out, as SymPy would not of floats."""
    terms = [a * b for a, b in zip(one, two, strict=True) if a != 0 and b != 0]
    return reduce(lambda total, term: total + term, terms, 0)


def _frame(q: Symbols) -> list[list[Any]]:
    """The upper three rows of the product of the transformations of all joints (Denavit & Hartenberg)."""
    made: list[list[Any]] = []
    for (a, (ca, sa), d), angle in zip(JOINTS, q, strict=True):
        c, s = sp.cos(angle), sp.sin(angle)
        link = [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d]]
        made = [_times_link(row, link) for row in made] if made else link
    return made


def _times_link(row: list[Any], link: list[list[Any]]) -> list[Any]:
    columns = [[link[k][j] for k in range(3)] for j in range(4)]
    return [_dot(row[:3], column) + (row[3] if j == 3 else 0) for j, column in enumerate(columns)]


def ur5_position(q: Symbols) -> Rows:
    return [row[3] for row in _frame(q)]


def ur5_pose(q: Symbols) -> Rows:
    """Position, then roll, pitch and yaw."""
    t = _frame(q)
    angles = [sp.atan2(t[2][1], t[2][2]), sp.asin(-t[2][0]), sp.atan2(t[1][0], t[0][0])]
    return [row[3] for row in t] + angles


def pendulum(x: Symbols) -> Rows:
    """Links of unit mass and length: angles and rates to their derivatives by time, by elimination of the masses."""
    n = len(x) // 2
    q, u = x[:n], x[n:]
    a = [[(n - max(i, j)) * (sp.cos(q[i] - q[j]) if i != j else 1) for j in range(n)] for i in range(n)]
    b = []
    for i in range(n):
        total = -9.81 * (n - i) * sp.sin(q[i])
        for j in range(n):
            if i != j:
                total = total - (n - max(i, j)) * sp.sin(q[i] - q[j]) * u[j] * u[j]
        b.append(total)
    for k in range(n):
        for i in range(k + 1, n):
            factor = a[i][k] / a[k][k]
            for j in range(k + 1, n):
                a[i][j] = a[i][j] - factor * a[k][j]
            b[i] = b[i] - factor * b[k]
    rates: list[Any] = [0] * n
    for i in reversed(range(n)):
        total = b[i]
        for j in range(i + 1, n):
            total = total - a[i][j] * rates[j]
        rates[i] = total / a[i][i]
    return [*u, *rates]


# --- finance, molecules, chemistry ------------------------------------------------------------------------------------


def black_scholes(x: Symbols) -> Rows:
    """The price of a call by spot, strike, rate, volatility and time."""
    s, k, r, sigma, t = x
    root = sigma * sp.sqrt(t)
    d1 = (sp.log(s / k) + (r + sigma * sigma / 2) * t) / root
    return [s * _normal(d1) - k * sp.exp(-r * t) * _normal(d1 - root)]


def _normal(d: Any) -> Any:
    return (1 + sp.erf(d / sp.sqrt(2))) / 2


def lennard_jones(x: Symbols) -> Rows:
    total: Any = 0
    for i in range(len(x) // 3):
        for j in range(i):
            inverse = 1 / sum((x[3 * i + c] - x[3 * j + c]) ** 2 for c in range(3)) ** 3
            total = total + 4 * (inverse * inverse - inverse)
    return [total]


def kinetics(x: Symbols) -> Rows:
    """Mass action, two thirds of it A + B to C + D, one third A to B + C, at rates drawn at random."""
    rng = np.random.default_rng(7)
    rows: list[Any] = [sp.Integer(0)] * len(x)
    for reaction in range(40):
        k = round(float(rng.uniform(0.1, 2)), 3)
        a, b, c, d = (int(i) for i in rng.choice(len(x), 4, replace=False))
        rate = k * x[a] * x[b] if reaction % 3 else k * x[a]
        signs = (-1, -1, 1, 1) if reaction % 3 else (-1, 1, 1, 0)
        for species, sign in zip((a, b, c, d), signs, strict=True):
            if sign:
                rows[species] = rows[species] + rate if sign > 0 else rows[species] - rate
    return rows


# --- residuals --------------------------------------------------------------------------------------------------------


def powell_singular(x: Symbols) -> Rows:
    a, b, c, d = x
    return [a + 10 * b, sp.sqrt(5) * (c - d), (b - 2 * c) ** 2, sp.sqrt(10) * (a - d) ** 2]


def box_3d(x: Symbols) -> Rows:
    times = [sp.Rational(i, 10) for i in range(1, 11)]
    return [sp.exp(-t * x[0]) - sp.exp(-t * x[1]) - x[2] * (sp.exp(-t) - sp.exp(-10 * t)) for t in times]


def brown_dennis(x: Symbols) -> Rows:
    times = [sp.Rational(i, 5) for i in range(1, 21)]
    return [(x[0] + t * x[1] - sp.exp(t)) ** 2 + (x[2] + x[3] * sp.sin(t) - sp.cos(t)) ** 2 for t in times]


def osborne_2(x: Symbols) -> Rows:
    rows = []
    for t in (sp.Rational(i, 10) for i in range(65)):
        peaks = [x[k] * sp.exp(-((t - x[7 + k]) ** 2) * x[4 + k]) for k in (1, 2, 3)]
        rows.append(x[0] * sp.exp(-t * x[4]) + peaks[0] + peaks[1] + peaks[2])
    return rows


def trigonometric(x: Symbols) -> Rows:
    n, total = len(x), sum(map(sp.cos, x))
    return [n - total + (i + 1) * (1 - sp.cos(own)) - sp.sin(own) for i, own in enumerate(x)]


def brown_almost_linear(x: Symbols) -> Rows:
    return [own + sum(x) - (len(x) + 1) for own in x[:-1]] + [reduce(lambda a, b: a * b, x) - 1]


def discrete_integral(x: Symbols) -> Rows:
    n = len(x)
    h = sp.Rational(1, n + 1)
    cube = [(own + (i + 1) * h + 1) ** 3 for i, own in enumerate(x)]
    rows = []
    for i, own in enumerate(x):
        t = (i + 1) * h
        low = sum((j + 1) * h * cube[j] for j in range(i + 1))
        high = sum((1 - (j + 1) * h) * cube[j] for j in range(i + 1, n))
        rows.append(own + h * ((1 - t) * low + t * high) / 2)
    return rows


def chebyquad(x: Symbols) -> Rows:
    n = len(x)
    sums: list[Any] = [0] * n
    for own in x:
        before, now = sp.Integer(1), 2 * own - 1
        for i in range(n):
            sums[i] = sums[i] + now
            before, now = now, 2 * (2 * own - 1) * now - before
    return [sums[i] / n - (0 if i % 2 == 0 else sp.Integer(-1) / ((i + 1) ** 2 - 1)) for i in range(n)]


def broyden_tridiagonal(x: Symbols) -> Rows:
    n = len(x)
    return [(3 - 2 * x[i]) * x[i] - (x[i - 1] if i else 0) - 2 * (x[i + 1] if i + 1 < n else 0) + 1 for i in range(n)]


def rosenbrock(x: Symbols) -> Rows:
    return [sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))]


def _point(n: int, low: float = 0.2, high: float = 1.2) -> tuple[float, ...]:
    return tuple(map(float, np.random.default_rng(3).uniform(low, high, n)))


PROBLEMS = {
    "UR5 position": Problem(6, ur5_position, "jacobian", _point(6), 14, 86, 205),
    "UR5 pose": Problem(6, ur5_pose, "jacobian", _point(6), 30, 115, 322),
    "pendulum of 3 links": Problem(6, pendulum, "jacobian", _point(6), 21, 70, 292),
    "kinetics of 20 species": Problem(20, kinetics, "jacobian", _point(20), 166, 171, 313),
    "Powell singular": Problem(4, powell_singular, "jacobian", _point(4), 8, 10, 14),
    "Box 3-D": Problem(3, box_3d, "jacobian", _point(3), 30, 76, 95),
    "Brown and Dennis": Problem(4, brown_dennis, "jacobian", _point(4), 80, 179, 258),
    "Osborne 2": Problem(11, osborne_2, "jacobian", _point(11), 714, 1557, 2407),
    "trigonometric": Problem(10, trigonometric, "jacobian", _point(10), 100, 68, 88),
    "Brown almost linear": Problem(10, brown_almost_linear, "jacobian", _point(10), 100, 29, 45),
    "discrete integral equation": Problem(10, discrete_integral, "jacobian", _point(10), 100, 102, 212),
    "Chebyquad": Problem(8, chebyquad, "jacobian", _point(8), 64, 213, 469),
    "Broyden tridiagonal": Problem(10, broyden_tridiagonal, "jacobian", _point(10), 28, 58, 68),
    "Lennard-Jones of 5 atoms": Problem(15, lennard_jones, "hessian", _point(15, 0.0, 3.0), 120, 159, 638),
    "Black-Scholes": Problem(5, black_scholes, "hessian", (100.0, 95.0, 0.03, 0.2, 0.7), 15, 24, 240),
    "chained Rosenbrock": Problem(10, rosenbrock, "hessian", _point(10), 19, 71, 153),
}


def symbols_of(problem: Problem) -> tuple[sp.Symbol, ...]:
    return tuple(sp.symbols(f"x:{problem.inputs}"))


assert math.isclose(sum(a for a, _, _ in JOINTS), -0.81725)
