"""Shapes: a cam, electrons on a sphere, a polygon."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from symgrad import family, nlp

from .symbols import HALF, arrays, i, j, m, n, p, table


def camshape(count: int) -> tuple[Any, dict[str, Any]]:
    """The cam of largest area for one turn of a valve: convex, its radius between 1 and 2, its curvature limited."""
    (r,) = arrays("r", n)
    step = 2 * sp.pi / (5 * (n + 1))

    def convex(before: Any, here: Any, after: Any) -> Any:
        return -before * here - here * after + 2 * before * after * sp.cos(step)

    least, largest, bend = sp.Integer(1), sp.Integer(2), 1.5 * 2 * np.pi / (5 * (count + 1))
    constraints = [
        (family(convex(r[i], r[i + 1], r[i + 2]), (i, n - 2)), None, 0),
        (convex(least, least, r[0]), None, 0),
        (convex(least, r[0], r[1]), None, 0),
        (convex(r[n - 2], r[n - 1], largest), None, 0),
        (convex(r[n - 1], largest, r[n - 1]), None, 0),
        (family(r[i + 1] - r[i], (i, n - 1)), -bend, bend),
        (r[0] - least, -bend, bend),
        (largest - r[n - 1], -bend, bend),
    ]
    area = sp.pi / n * sp.Sum(r[i], (i, 0, n - 1))
    return nlp(-area, constraints, r, {r: (1, 2)}, n=count), {"r": 1.5}


def elec(count: int) -> tuple[Any, dict[str, Any]]:
    """The least energy of electrons on a sphere."""
    x, y, z = arrays("x y z", n)
    distance = sp.sqrt((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 + (z[i] - z[j]) ** 2)
    energy = sp.Sum(1 / distance, (j, i + 1, n - 1), (i, 0, n - 2))
    constraints = [(family(x[i] ** 2 + y[i] ** 2 + z[i] ** 2, (i, n)), 1, 1)]
    generator = np.random.default_rng(2713)
    theta, phi = generator.uniform(0, 2 * np.pi, count), generator.uniform(0, np.pi, count)
    start = {"x": np.cos(theta) * np.sin(phi), "y": np.sin(theta) * np.sin(phi), "z": np.cos(phi)}
    return nlp(energy, constraints, [x, y, z], n=count), start


def polygon(vertices: int) -> tuple[Any, dict[str, Any]]:
    """The polygon of the largest area and diameter 1, one vertex at the origin, in polar coordinates.

    Of many vertices some coincide in most local optima, whose areas are those of polygons with fewer.
    """
    r, angle = arrays("r angle", n)
    first, second = table("first", m), table("second", m)
    one, two = first[p], second[p]
    constraints = [
        (family(r[one] ** 2 + r[two] ** 2 - 2 * r[one] * r[two] * sp.cos(angle[one] - angle[two]), (p, m)), None, 1),
        (family(angle[i + 1] - angle[i], (i, n - 1)), 0, None),
    ]
    area = HALF * sp.Sum(r[i] * r[i + 1] * sp.sin(angle[i + 1] - angle[i]), (i, 0, n - 2))
    pairs = np.triu_indices(vertices, 1)
    last = np.arange(vertices) == vertices - 1
    bounds = {r: (0, np.where(last, 0, 1)), angle: (np.where(last, np.pi, 0), np.pi)}
    program = nlp(-area, constraints, [r, angle], bounds, first=pairs[0], second=pairs[1], n=vertices)
    return program, {"r": 1, "angle": np.linspace(0, np.pi, vertices)}
