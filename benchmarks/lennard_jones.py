"""The energy of a Lennard-Jones cluster of 13 atoms and all forces, unrolled: 39 inputs, 78 pairs, one big expression.

No function is called; what counts is how 39 gradients and their sums are kept in registers and caches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from .workload import Array, Workload


def formula(_: Any, inputs: Sequence[Any]) -> Any:
    energy = 0.0
    for i, j in combinations(range(0, len(inputs), 3), 2):
        dx, dy, dz = (inputs[i + axis] - inputs[j + axis] for axis in range(3))
        inverse = 1.0 / (dx * dx + dy * dy + dz * dz)
        sixth = inverse * inverse * inverse
        energy = energy + 4.0 * sixth * (sixth - 1.0)
    return energy


def of_tensor(inputs: Any) -> Any:
    """All pairs at once, as one writes it in PyTorch."""
    places = inputs.reshape(-1, 3, inputs.shape[1])
    first, second = np.triu_indices(len(places), 1)
    distance = places[first] - places[second]
    sixth = (1.0 / (distance * distance).sum(1)) ** 3
    return (4.0 * sixth * (sixth - 1.0)).sum(0)


def data(atoms: int, points: int) -> Array:
    """Atoms near the points of a 3 x 3 x 2 lattice."""
    lattice = 1.1 * np.array([(a, b, c) for a in range(3) for b in range(3) for c in range(2)], np.float64)[:atoms]
    return lattice.reshape(-1, 1) + np.random.default_rng(3).uniform(-0.1, 0.1, (3 * atoms, points))


def by_hand(inputs: Array) -> Sequence[Array]:
    places = inputs.reshape(-1, 3, inputs.shape[1])
    energy, forces = np.zeros(inputs.shape[1]), np.zeros_like(places)
    for i, j in combinations(range(len(places)), 2):
        distance = places[i] - places[j]
        inverse = 1.0 / (distance * distance).sum(0)
        sixth = inverse**3
        energy += 4.0 * sixth * (sixth - 1.0)
        force = 24.0 * inverse * sixth * (1.0 - 2.0 * sixth) * distance
        forces[i] += force
        forces[j] -= force
    return energy, *forces.reshape(inputs.shape)


def loop(atoms: int, functions: Any) -> Callable[..., None]:
    """The unrolled loop: written by a few lines of Python, as nobody types 78 pairs."""
    coordinates = [f"{axis}{atom}" for atom in range(atoms) for axis in "xyz"]
    arguments = ", ".join([f"all_{c}" for c in coordinates] + ["energy"] + [f"d_{c}" for c in coordinates])
    lines = [f"def kernel({arguments}):", "    tune()", "    for i in range(energy.size):", "        total = 0.0"]
    lines += [f"        {c} = all_{c}[i]; f_{c} = 0.0" for c in coordinates]
    for a, b in combinations(range(atoms), 2):
        lines += [
            f"        dx = x{a} - x{b}; dy = y{a} - y{b}; dz = z{a} - z{b}",
            "        inverse = 1.0 / (dx*dx + dy*dy + dz*dz); sixth = inverse*inverse*inverse",
            "        total += sixth*(sixth - 1.0); force = inverse*sixth*(24.0 - 48.0*sixth)",
            "        dx *= force; dy *= force; dz *= force",
            *(f"        f_{c}{a} += d{c}; f_{c}{b} -= d{c}" for c in "xyz"),
        ]
    lines += ["        energy[i] = 4.0*total", *(f"        d_{c}[i] = f_{c}" for c in coordinates)]
    names: dict[str, Any] = {"tune": functions.tune}
    exec("\n".join(lines), names)
    kernel: Callable[..., None] = names["kernel"]
    return kernel


def cluster(atoms: int) -> Workload:
    return Workload(
        title=f"Lennard-Jones cluster of {atoms} atoms: energy and {3 * atoms} derivatives",
        inputs=tuple(f"{axis}{atom}" for atom in range(atoms) for axis in "xyz"),
        points=20_000,
        formula=formula,
        data=lambda points: data(atoms, points),
        by_hand=by_hand,
        loop=lambda functions: loop(atoms, functions),
        of_tensor=of_tensor,
    )


WORKLOAD = cluster(13)
