"""All problems of Moré, Garbow & Hillstrom, Testing unconstrained optimization software, 1981, as SymPy expressions.

A problem is a vector of residuals, whose sum of squares is made small. more_garbow_hillstrom_reference.py has the same
functions in numbers alone. The names are those of the paper, in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import derivative_problems as shared
import sympy as sp
from derivative_problems import Rows, Symbols
from more_garbow_hillstrom_data import BARD, GAUSSIAN, KOWALIK_OSBORNE, MEYER, OSBORNE_1, OSBORNE_2

R = sp.Rational


class Residuals(NamedTuple):
    """A vector of functions, and what is published of the sum of its squares."""

    rows: Callable[[Symbols], Rows]
    start: tuple[float, ...]
    at_start: float | None = None  # the sum of squares there
    solution: tuple[float, ...] | None = None
    at_solution: float = 0.0


def rosenbrock(x: Symbols) -> Rows:
    return [10 * (x[1] - x[0] ** 2), 1 - x[0]]


def freudenstein_roth(x: Symbols) -> Rows:
    return [-13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1], -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]]


def powell_badly_scaled(x: Symbols) -> Rows:
    return [10**4 * x[0] * x[1] - 1, sp.exp(-x[0]) + sp.exp(-x[1]) - R("1.0001")]


def brown_badly_scaled(x: Symbols) -> Rows:
    return [x[0] - 10**6, x[1] - R(2, 10**6), x[0] * x[1] - 2]


def beale(x: Symbols) -> Rows:
    return [y - x[0] * (1 - x[1] ** i) for i, y in enumerate((R("1.5"), R("2.25"), R("2.625")), 1)]


def jennrich_sampson(x: Symbols) -> Rows:
    return [2 + 2 * i - (sp.exp(i * x[0]) + sp.exp(i * x[1])) for i in range(1, 11)]


def helical_valley(x: Symbols) -> Rows:
    turn = sp.atan(x[1] / x[0]) / (2 * sp.pi) + sp.Piecewise((0, x[0] > 0), (R(1, 2), True))
    return [10 * (x[2] - 10 * turn), 10 * (sp.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]]


def bard(x: Symbols) -> Rows:
    rows = []
    for u, y in enumerate(BARD, 1):
        v = 16 - u
        rows.append(R(y) - (x[0] + u / (v * x[1] + min(u, v) * x[2])))
    return rows


def gaussian(x: Symbols) -> Rows:
    return [x[0] * sp.exp(-x[1] * (R(8 - i, 2) - x[2]) ** 2 / 2) - R(y) for i, y in enumerate(GAUSSIAN, 1)]


def meyer(x: Symbols) -> Rows:
    return [x[0] * sp.exp(x[1] / (45 + 5 * i + x[2])) - y for i, y in enumerate(MEYER, 1)]


def gulf(x: Symbols) -> Rows:
    """As in ACM Algorithm 566: the paper lost a minus in print."""
    rows = []
    for t in (R(i, 100) for i in range(1, 100)):
        y = 25 + (-50 * sp.log(t)) ** R(2, 3)
        rows.append(sp.exp(-(sp.Abs(y - x[1]) ** x[2]) / x[0]) - t)
    return rows


def wood(x: Symbols) -> Rows:
    return [
        10 * (x[1] - x[0] ** 2),
        1 - x[0],
        sp.sqrt(90) * (x[3] - x[2] ** 2),
        1 - x[2],
        sp.sqrt(10) * (x[1] + x[3] - 2),
        (x[1] - x[3]) / sp.sqrt(10),
    ]


def kowalik_osborne(x: Symbols) -> Rows:
    return [R(y) - x[0] * (R(u) ** 2 + R(u) * x[1]) / (R(u) ** 2 + R(u) * x[2] + x[3]) for y, u in KOWALIK_OSBORNE]


def osborne_1(x: Symbols) -> Rows:
    return [
        R(y) - (x[0] + x[1] * sp.exp(-10 * i * x[3]) + x[2] * sp.exp(-10 * i * x[4])) for i, y in enumerate(OSBORNE_1)
    ]


def biggs_exp6(x: Symbols) -> Rows:
    rows = []
    for t in (R(i, 10) for i in range(1, 14)):
        y = sp.exp(-t) - 5 * sp.exp(-10 * t) + 3 * sp.exp(-4 * t)
        rows.append(x[2] * sp.exp(-t * x[0]) - x[3] * sp.exp(-t * x[1]) + x[5] * sp.exp(-t * x[4]) - y)
    return rows


def osborne_2(x: Symbols) -> Rows:
    return [R(y) - model for y, model in zip(OSBORNE_2, shared.osborne_2(x), strict=True)]


def watson(x: Symbols) -> Rows:
    rows: list[Any] = []
    for t in (R(i, 29) for i in range(1, 30)):
        slope = sum(j * own * t ** (j - 1) for j, own in enumerate(x) if j)
        rows.append(slope - sum(own * t**j for j, own in enumerate(x)) ** 2 - 1)
    return [*rows, x[0], x[1] - x[0] ** 2 - 1]


def extended(part: Callable[[Symbols], Rows], size: int) -> Callable[[Symbols], Rows]:
    """The same of each `size` unknowns in turn."""
    return lambda x: [row for first in range(0, len(x), size) for row in part(x[first : first + size])]


def penalty_1(x: Symbols) -> Rows:
    return [*(sp.sqrt(R(1, 10**5)) * (own - 1) for own in x), sum(own**2 for own in x) - R(1, 4)]


def penalty_2(x: Symbols) -> Rows:
    n, root = len(x), sp.sqrt(R(1, 10**5))
    powers = [sp.exp(own / 10) for own in x]
    pairs = []
    for i in range(1, n):
        y = sp.exp(R(i + 1, 10)) + sp.exp(R(i, 10))
        pairs.append(root * (powers[i] + powers[i - 1] - y))
    low = [root * (power - sp.exp(R(-1, 10))) for power in powers[1:]]
    return [x[0] - R(1, 5), *pairs, *low, sum((n - j) * own**2 for j, own in enumerate(x)) - 1]


def variably_dimensioned(x: Symbols) -> Rows:
    total = sum(j * (own - 1) for j, own in enumerate(x, 1))
    return [*(own - 1 for own in x), total, total**2]


def discrete_boundary_value(x: Symbols) -> Rows:
    h, padded = R(1, len(x) + 1), [0, *x, 0]
    return [
        2 * padded[i] - padded[i - 1] - padded[i + 1] + h**2 * (padded[i] + i * h + 1) ** 3 / 2
        for i in range(1, len(x) + 1)
    ]


def broyden_banded(x: Symbols) -> Rows:
    rows = []
    for i, own in enumerate(x):
        band = [x[j] for j in range(max(0, i - 5), min(len(x), i + 2)) if j != i]
        rows.append(own * (2 + 5 * own**2) + 1 - sum(other * (1 + other) for other in band))
    return rows


def linear_full_rank(x: Symbols) -> Rows:
    return [(x[i] if i < len(x) else 0) - R(2, 10) * sum(x) - 1 for i in range(10)]


def linear_rank_1(x: Symbols) -> Rows:
    total = sum(j * own for j, own in enumerate(x, 1))
    return [i * total - 1 for i in range(1, 11)]


def linear_rank_1_with_zeros(x: Symbols) -> Rows:
    total = sum(j * own for j, own in enumerate(x, 1) if 1 < j < len(x))
    return [(i * total if 0 < i < 9 else 0) - sp.Integer(1) for i in range(10)]


def _repeated(numbers: Iterable[float], times: int) -> tuple[float, ...]:
    return tuple(numbers) * times


GRID = tuple(i / 11 * (i / 11 - 1) for i in range(1, 11))

# Sums of squares: from the paper, and the norms of residuals in MINPACK's own tests, squared.
PROBLEMS = {
    "Rosenbrock": Residuals(rosenbrock, (-1.2, 1.0), 24.2, (1.0, 1.0)),
    "Freudenstein and Roth": Residuals(
        freudenstein_roth, (0.5, -2.0), 20.0124960961895**2, (11.4124844654993, -0.896827913731509), 48.98425
    ),
    "Powell badly scaled": Residuals(
        powell_badly_scaled, (0.0, 1.0), 1.135262, (1.098159329699759e-05, 9.106146739867318)
    ),
    "Brown badly scaled": Residuals(brown_badly_scaled, (1.0, 1.0), 999998000003.0, (1e6, 2e-6)),
    "Beale": Residuals(beale, (1.0, 1.0), 14.203125, (3.0, 0.5)),
    "Jennrich and Sampson": Residuals(
        jennrich_sampson, (0.3, 0.4), 64.5856498144943**2, (0.257825213, 0.257825213), 124.3621824
    ),
    "Helical valley": Residuals(helical_valley, (-1.0, 0.0, 0.0), 2500.0, (1.0, 0.0, 0.0)),
    "Bard": Residuals(
        bard, (1.0,) * 3, 6.45613629515967**2, (0.0824105765758334, 1.1330366534715, 2.34369463894115), 8.21487e-3
    ),
    "Gaussian": Residuals(gaussian, (0.4, 1.0, 0.0), 3.88810699e-6, (0.39895614, 1.00001908, 0.0), 1.12793e-8),
    "Meyer": Residuals(
        meyer,
        (0.02, 4000.0, 250.0),
        41153.4665543031**2,
        (0.00560963647102661, 6181.34634628659, 345.223634624144),
        87.94585,
    ),
    "Gulf research": Residuals(gulf, (5.0, 2.5, 0.15), 12.1107058, (50.0, 25.0, 1.5)),
    "Box 3-D": Residuals(shared.box_3d, (0.0, 10.0, 20.0), 32.1115837449572**2, (1.0, 10.0, 1.0)),
    "Powell singular": Residuals(shared.powell_singular, (3.0, -1.0, 0.0, 1.0), 14.6628782986152**2, (0.0,) * 4),
    "Wood": Residuals(wood, (-3.0, -1.0, -3.0, -1.0), 19192.0, (1.0,) * 4),
    "Kowalik and Osborne": Residuals(
        kowalik_osborne,
        (0.25, 0.39, 0.415, 0.39),
        0.0728915102882945**2,
        (0.192807810476249, 0.191262653354071, 0.123052801046931, 0.136053221150517),
        3.07505e-4,
    ),
    "Brown and Dennis": Residuals(
        shared.brown_dennis,
        (25.0, 5.0, -5.0, -1.0),
        2815.43839161816**2,
        (-11.594438, 13.203630, -0.40343898, 0.23677836),
        85822.2016,
    ),
    "Osborne 1": Residuals(
        osborne_1,
        (0.5, 1.5, -1.0, 0.01, 0.02),
        0.937564021037838**2,
        (0.375410049244025, 1.93584654543108, -1.46468676748716, 0.0128675339110439, 0.0221227011813076),
        5.46489e-5,
    ),
    "Biggs EXP6": Residuals(biggs_exp6, (1.0, 2.0, 1.0, 1.0, 1.0, 1.0), 0.779070076, (1.0, 10.0, 1.0, 5.0, 4.0, 3.0)),
    "Osborne 2": Residuals(
        osborne_2,
        (1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5),
        1.44686540984712**2,
        (
            *(1.30997663810096, 0.43155248076, 0.633661261602859, 0.599428560991695, 0.754179768272449),
            *(0.904300082378518, 1.36579949521007, 4.82373199748107, 2.39868475104871, 4.56887554791452),
            5.67534206273052,
        ),
        0.20034404483314**2,
    ),
    "Watson": Residuals(
        watson,
        (0.0,) * 6,
        30.0,
        (
            *(-0.0157249615083782, 1.01243488232965, -0.232991722387673),
            *(1.26043101102818, -1.51373031394421, 0.99299727291842),
        ),
        2.28767e-3,
    ),
    "Extended Rosenbrock": Residuals(extended(rosenbrock, 2), _repeated((-1.2, 1.0), 5), 5 * 24.2, (1.0,) * 10),
    "Extended Powell singular": Residuals(
        extended(shared.powell_singular, 4), _repeated((3.0, -1.0, 0.0, 1.0), 3), 3 * 215.0, (0.0,) * 12
    ),
    "Penalty I": Residuals(penalty_1, (1.0, 2.0, 3.0, 4.0), 885.06264, (0.2500075,) * 4, 2.249978e-5),
    "Penalty II": Residuals(
        penalty_2, (0.5,) * 4, 2.34000880546302, (0.19999933, 0.19131674, 0.48010145, 0.51884543), 9.37629e-6
    ),
    "Variably dimensioned": Residuals(
        variably_dimensioned, tuple(1 - i / 10 for i in range(1, 11)), 2198551.1625, (1.0,) * 10
    ),
    "Trigonometric": Residuals(shared.trigonometric, (0.1,) * 10, 7.07575946e-3, (0.0,) * 10),
    "Brown almost linear": Residuals(
        shared.brown_almost_linear, (0.5,) * 10, 16.5302162063499**2, (0.979430303349862,) * 9 + (1.20569696650138,)
    ),
    "Discrete boundary value": Residuals(discrete_boundary_value, GRID),
    "Discrete integral equation": Residuals(shared.discrete_integral, GRID),
    "Broyden tridiagonal": Residuals(shared.broyden_tridiagonal, (-1.0,) * 10, 21.0),
    "Broyden banded": Residuals(broyden_banded, (-1.0,) * 10, 360.0),
    "Linear, full rank": Residuals(linear_full_rank, (1.0,) * 5, 25.0, (-1.0,) * 5, 5.0),
    "Linear, rank 1": Residuals(
        linear_rank_1, (1.0,) * 5, 291.521868819476**2, (3 / 21 / 5, *(0.0,) * 3, 3 / 21 * 4 / 25), 45 / 21
    ),
    "Linear, rank 1 with zeros": Residuals(
        linear_rank_1_with_zeros, (1.0,) * 5, None, (1.0, 3 / 17 / 2, 0.0, 0.0, 1.0), 124 / 34
    ),
    "Chebyquad": Residuals(
        shared.chebyquad,
        tuple(i / 9 for i in range(1, 9)),
        0.196513862833975**2,
        (
            *(0.0431536648587336, 0.193091637843267, 0.266328593812698, 0.499999334628884),
            *(0.500000665371116, 0.733671406187302, 0.806908362156733, 0.956846335141266),
        ),
        0.0593032355046727**2,
    ),
}
