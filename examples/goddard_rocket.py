"""How high a rocket comes: a trajectory by collocation, as a nonlinear program with sparse derivatives.

Goddard's rocket has fuel for 40 % of its mass, and is slowed by drag in an atmosphere that thins out. Height, speed and
mass obey differential equations; thrust is free between 0 and 3.5 times the weight at the start. On a mesh of 400 equal
steps, of free length, the equations become one family each, by the trapezoidal rule. The optimum is published: E. D.
Dolan, J. J. More, T. S. Munson, Benchmarking optimization software with COPS 3.0 (2004), problem 10.
Needs `pip install symgrad[nlp]`.
"""

from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

import symgrad

n, i = sp.symbols("n i", integer=True)
height, speed, mass, thrust = (sp.IndexedBase(name, shape=(n,)) for name in ("height", "speed", "mass", "thrust"))
step = sp.Symbol("step")
STEPS = 400
NODES = STEPS + 1


def rates(h: Any, v: Any, m: Any, force: Any, exp: Any = sp.exp) -> list[Any]:
    """How fast height, speed and mass change."""
    drag = 310 * v**2 * exp(-500 * (h - 1))
    return [v, (force - drag) / m - 1 / h**2, -2 * force]


def held(first: float, last: float | None = None, low: float = -np.inf, high: float = np.inf) -> tuple[Any, Any]:
    """Bounds at all nodes, of what is given at the first, and perhaps the last."""
    lower, upper = np.full(NODES, float(low)), np.full(NODES, float(high))
    lower[0] = upper[0] = first
    if last is not None:
        lower[-1] = upper[-1] = last
    return lower, upper


here, there = (rates(*(array[at] for array in (height, speed, mass, thrust))) for at in (i, i + 1))
equations = [
    (symgrad.family(state[i + 1] - state[i] - step * (one + two) / 2, (i, n - 1)), 0, 0)
    for state, one, two in zip((height, speed, mass), here, there, strict=True)
]
program = symgrad.nlp(
    -height[n - 1],
    equations,
    [step, height, speed, mass, thrust],
    {
        step: (0, None),
        height: held(1, low=1),
        speed: held(0, low=0),
        mass: held(1, 0.6, low=0.6, high=1),
        thrust: (0, 3.5),
    },
    n=NODES,
)
t = np.linspace(0, 1, NODES)
start = {"step": 1 / STEPS, "height": 1, "speed": t * (1 - t), "mass": 1 - 0.4 * t, "thrust": 1.75}
found = program.solve(start, print_level=0)
print(f"{program.n} variables, {program.m} equations, {len(program.jacobianstructure()[0])} entries in the Jacobian")
print(f"{found.status} after {found.info['iter_count']} iterations: height {-found.value:.5f}, published 1.01283")
assert found.success
assert abs(-found.value - 1.01283) < 1e-5

# The same flight by SciPy, with the thrust that was found: the mesh is fine enough to be believed.
times = found.x["step"] * np.arange(NODES)
flown = solve_ivp(
    lambda at, y: rates(*y, np.interp(at, times, found.x["thrust"]), np.exp),
    (0, times[-1]),
    [1.0, 0.0, 1.0],
    rtol=1e-8,
    atol=1e-10,
    max_step=found.x["step"],
)
off = abs(flown.y[0, -1] + found.value)
print(f"the same thrust in solve_ivp: height {flown.y[0, -1]:.5f}, off by {off:.0e}")
assert off < 1e-4
