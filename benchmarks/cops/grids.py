"""Obstacle problems on a rectangle: piecewise linear finite elements, whose triangles are halves of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from symgrad import nlp

from .symbols import arrays, i, j, m, n

(V,) = arrays("v", n, m)
HX, HY = sp.symbols("hx hy")
CELLS = (i, 0, n - 2), (j, 0, m - 2)
# Of a cell the corners of its two triangles: the one with the right angle, the next along x, the next along y.
LOWER = V[i, j], V[i + 1, j], V[i, j + 1]
UPPER = V[i + 1, j + 1], V[i, j + 1], V[i + 1, j]


def _steepness(corner: Any, along_x: Any, along_y: Any) -> Any:
    """The square of the slope on a triangle."""
    return ((along_x - corner) / HX) ** 2 + ((along_y - corner) / HY) ** 2


def bearing(nx: int, ny: int) -> tuple[Any, dict[str, Any]]:
    """The pressure in a journal bearing, of eccentricity 1/10, on (0, 2 pi) x (0, 20)."""
    hx, hy = 2 * np.pi / (nx + 1), 20 / (ny + 1)
    angle = np.arange(nx + 2) * hx
    film, load = arrays("film load", n)
    # The weights are those of the published models, whose optimum is the one that is listed.
    weighted = (film[i] + 2 * film[i + 1]) * _steepness(*LOWER) + 2 * (film[i] + film[i + 1]) * _steepness(*UPPER)
    energy = sp.Sum(weighted, *CELLS)
    work = sp.Sum(load[i] * V[i, j], (i, 0, n - 1), (j, 0, m - 1))
    program = nlp(
        HX * HY * (energy / 12 - work),
        variables=V,
        bounds={V: (0, _inside(np.full((nx + 2, ny + 2), np.inf), 0.0))},
        film=(1 + 0.1 * np.cos(angle)) ** 3,
        load=0.1 * np.sin(angle),
        hx=hx,
        hy=hy,
        n=nx + 2,
        m=ny + 2,
    )
    return program, {"v": np.maximum(np.sin(angle), 0.0)[:, None]}


def torsion(nx: int, ny: int) -> tuple[Any, dict[str, Any]]:
    """The stress in a bar of unit square cross-section that is twisted, elastic and plastic; the angle is 5."""
    hx, hy = 1 / (nx + 1), 1 / (ny + 1)
    energy = sp.Sum(_steepness(*LOWER) / 2 + _steepness(*UPPER) / 2 - 5 * (sum(LOWER) + sum(UPPER)) / 3, *CELLS)
    across, along = np.arange(nx + 2), np.arange(ny + 2)
    distance = np.minimum(np.minimum(across, nx + 1 - across)[:, None] * hx, np.minimum(along, ny + 1 - along) * hy)
    program = nlp(
        HX * HY / 2 * energy, variables=V, bounds={V: (-distance, distance)}, hx=hx, hy=hy, n=nx + 2, m=ny + 2
    )
    return program, {"v": distance}


def minsurf(nx: int, ny: int) -> tuple[Any, dict[str, Any]]:
    """The surface of least area over the unit square, of given height at the boundary, above a plate in the middle."""
    hx, hy = 1 / (nx + 1), 1 / (ny + 1)
    area = sp.Sum(sp.sqrt(1 + _steepness(*LOWER)) + sp.sqrt(1 + _steepness(*UPPER)), *CELLS)
    x, y = np.linspace(0, 1, nx + 2)[:, None], np.linspace(0, 1, ny + 2)
    height = 1 - (2 * x - 1) ** 2 + 0 * y
    inner_x, inner_y = np.arange(nx + 2)[:, None], np.arange(ny + 2)
    plate = _is_between(inner_x, hx) & _is_between(inner_y, hy)
    limits = {V: (_inside(np.where(plate, 1.0, 0.0), height), _inside(np.full(height.shape, np.inf), height))}
    return nlp(HX * HY / 2 * area, variables=V, bounds=limits, hx=hx, hy=hy, n=nx + 2, m=ny + 2), {"v": height}


def _is_between(place: Any, step: float) -> Any:
    """Whether a node lies over the middle half, the last one outside of it included."""
    return (np.floor(0.25 / step) <= place) & (place <= np.ceil(0.75 / step))


def _inside(within: Any, boundary: Any) -> Any:
    """An array with other values at the boundary."""
    found = np.broadcast_to(boundary, within.shape).copy()
    found[1:-1, 1:-1] = within[1:-1, 1:-1]
    return found
