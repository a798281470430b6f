"""What one call of one point costs: f = (x + y)*z and its three derivatives at (-2, 5, -4), from Python.

All in one process, in turn: the ratios are what counts.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

import sympy

import symgrad

from .table import markdown, seconds_text, spread

POINT = (-2.0, 5.0, -4.0)
ANSWER = (-12.0, -4.0, -4.0, 3.0)
SAMPLE_SECONDS = 0.02


def by_hand(x: float, y: float, z: float) -> tuple[float, tuple[float, float, float]]:
    q = x + y
    return q * z, (z, z, q)


def calls() -> dict[str, Callable[..., Any]]:
    """What is called with the point, by its name in the table; the first is what the others are compared with."""
    x, y, z = sympy.symbols("x y z")
    f = (x + y) * z
    kernel = symgrad.compile(f)
    listed = [f, *(sympy.diff(f, symbol) for symbol in (x, y, z))]
    return {
        "kernel.jitted: Numba's dispatcher alone": kernel.jitted,
        "kernel: symgrad's Kernel": kernel,
        "a Python function by hand": by_hand,
        "sympy.lambdify, math": sympy.lambdify((x, y, z), listed, "math", cse=True),
        "sympy.lambdify, NumPy": sympy.lambdify((x, y, z), listed, "numpy", cse=True),
    }


def flat(result: Any) -> tuple[float, ...]:
    """The value and the derivatives in one tuple."""
    value, *rest = result
    return tuple(map(float, (value, *(rest[0] if isinstance(rest[0], tuple) else rest))))


def table(repeats: int) -> str:
    """Nanoseconds per call, the call statement and nothing else."""
    timers, wrong = {}, []
    for name, call in calls().items():
        if flat(call(*POINT)) == ANSWER:
            timers[name] = timeit.Timer("call(x, y, z)", globals=dict(zip("xyz", POINT, strict=True), call=call))
        else:
            wrong.append(name)
    samples: dict[str, list[float]] = {name: [] for name in timers}
    counts = {name: max(1, int(SAMPLE_SECONDS / (timer.timeit(1000) / 1000))) for name, timer in timers.items()}
    for _ in range(repeats):
        for name, timer in timers.items():
            samples[name].append(timer.timeit(counts[name]) / counts[name])
    times = {name: spread(taken) for name, taken in samples.items()}
    dispatcher = next(iter(times.values())).median
    rows = [
        [name, *(seconds_text(seconds) for seconds in time), f"{time.median / dispatcher:.2f}"]
        for name, time in times.items()
    ]
    rows += [[name, "wrong, not timed"] for name in wrong]
    head = ["call", "median", "min", "max", "x dispatcher"]
    return markdown("One call of one point: (x + y)*z and 3 derivatives", head, rows)
