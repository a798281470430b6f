"""Derivatives beyond the gradient at one point: the Jacobian of a robot's arm, the Hessian of a cluster of atoms.

Times are those of the compiled function itself on fixed buffers, called in a loop of compiled code: what a call costs
in Python is `call.py`'s. All in one process, in turn, after the results are compared.
"""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import sympy

import symgrad

from .timed import Made, compared
from .workload import Array, jit

# --- the arm of a robot: where its hand is, and how that moves with the joints ----------------------------------------

# a, the cosine and sine of alpha, d of the table of Denavit and Hartenberg that Universal Robots publishes for the UR5.
UR5 = (
    (0.0, 0, 1, 0.089159),
    (-0.425, 1, 0, 0.0),
    (-0.39225, 1, 0, 0.0),
    (0.0, 0, 1, 0.10915),
    (0.0, 0, -1, 0.09465),
    (0.0, 1, 0, 0.0823),
)


def pose(functions: Any, angles: Sequence[Any]) -> list[Any]:
    """Position, and roll, pitch, yaw of the hand: the product of the frames of six joints."""
    frame: list[list[Any]] = [[int(row == column) for column in range(4)] for row in range(3)]
    for (a, c_alpha, s_alpha, d), angle in zip(UR5, angles, strict=True):
        c, s = functions.cos(angle), functions.sin(angle)
        link = [
            [c, -s * c_alpha, s * s_alpha, a * c],
            [s, c * c_alpha, -c * s_alpha, a * s],
            [0, s_alpha, c_alpha, d],
            [0, 0, 0, 1],
        ]
        frame = [[_dot(row, [link[k][column] for k in range(4)]) for column in range(4)] for row in frame]
    return [
        *(frame[row][3] for row in range(3)),
        functions.atan2(frame[2][1], frame[2][2]),
        functions.asin(-frame[2][0]),
        functions.atan2(frame[1][0], frame[0][0]),
    ]


def _dot(row: Sequence[Any], column: Sequence[Any]) -> Any:
    """A sum of products without those that are 0, so that no library is asked to find them."""

    def is_zero(number: Any) -> bool:
        return isinstance(number, (int, float)) and number == 0

    def product(one: Any, two: Any) -> Any:
        numbers = [number for number in (one, two) if isinstance(number, int)]
        other = two if numbers and numbers[0] is one else one
        return one * two if not numbers or len(numbers) == 2 else other if numbers[0] == 1 else numbers[0] * other

    terms = [product(one, two) for one, two in zip(row, column, strict=True) if not (is_zero(one) or is_zero(two))]
    return sum(terms[1:], start=terms[0]) if terms else 0


def pose_by_hand() -> Callable[..., None]:
    """The geometric Jacobian: axes of the joints and arms to the hand, then the rates of roll, pitch and yaw."""
    a2, a3, d1, d4, d5, d6 = UR5[1][0], UR5[2][0], UR5[0][3], UR5[3][3], UR5[4][3], UR5[5][3]

    @jit
    def by_hand(q: Array, y: Array, J: Array) -> None:
        c1, s1 = math.cos(q[0]), math.sin(q[0])
        c2, s2 = math.cos(q[1]), math.sin(q[1])
        c23, s23 = math.cos(q[1] + q[2]), math.sin(q[1] + q[2])
        c4, s4 = math.cos(q[1] + q[2] + q[3]), math.sin(q[1] + q[2] + q[3])
        c5, s5 = math.cos(q[4]), math.sin(q[4])
        c6, s6 = math.cos(q[5]), math.sin(q[5])
        ax, ay = s1, -c1  # the axis of joints 2, 3 and 4
        r2, z2 = a2 * c2, d1 + a2 * s2
        r3, z3 = r2 + a3 * c23, z2 + a3 * s23
        bx, by, bz = c1 * s4, s1 * s4, -c4  # the axis of joint 5
        p4x, p4y = c1 * r3 + d4 * ax, s1 * r3 + d4 * ay
        ux, uy, uz = c1 * c4, s1 * c4, s4
        wx, wy, wz = -ux * s5 + ax * c5, -uy * s5 + ay * c5, -uz * s5  # and of joint 6
        px, py, pz = p4x + d5 * bx + d6 * wx, p4y + d5 * by + d6 * wy, z3 + d5 * bz + d6 * wz
        y[0], y[1], y[2] = px, py, pz
        J[0, 0], J[1, 0], J[2, 0] = -py, px, 0.0
        for k in range(3):
            arm = 0.0 if k == 0 else r2 if k == 1 else r3
            rx, ry = px - c1 * arm, py - s1 * arm
            rz = pz - (d1 if k == 0 else z2 if k == 1 else z3)
            J[0, 1 + k], J[1, 1 + k], J[2, 1 + k] = ay * rz, -ax * rz, ax * ry - ay * rx
        rx, ry, rz = px - p4x, py - p4y, pz - z3
        J[0, 4], J[1, 4], J[2, 4] = by * rz - bz * ry, bz * rx - bx * rz, bx * ry - by * rx
        J[0, 5], J[1, 5], J[2, 5] = 0.0, 0.0, 0.0
        vx, vy, vz = ux * c5 + ax * s5, uy * c5 + ay * s5, uz * c5
        nx, ny, nz = vx * c6 - bx * s6, vy * c6 - by * s6, vz * c6 - bz * s6
        y[3], y[4], y[5] = math.atan2(-vz * s6 - bz * c6, wz), math.asin(-nz), math.atan2(ny, nx)
        level = math.sqrt(nx * nx + ny * ny)
        cy, sy, slope = nx / level, ny / level, -nz / level
        for k in range(6):
            ox, oy, oz = 0.0, 0.0, 1.0
            if 0 < k < 4:
                ox, oy, oz = ax, ay, 0.0
            elif k == 4:
                ox, oy, oz = bx, by, bz
            elif k == 5:
                ox, oy, oz = wx, wy, wz
            along = cy * ox + sy * oy
            J[3, k], J[4, k], J[5, k] = along / level, -sy * ox + cy * oy, oz + slope * along

    return by_hand


# --- a cluster of atoms: its energy, forces and stiffness -------------------------------------------------------------


def energy(functions: Any, coordinates: Sequence[Any]) -> list[Any]:
    """The Lennard-Jones energy of atoms, a pair after the other."""
    atoms = [coordinates[start : start + 3] for start in range(0, len(coordinates), 3)]
    total = 0
    for place, one in enumerate(atoms):
        for two in atoms[:place]:
            distance = sum((one[k] - two[k]) ** 2 for k in range(3))
            inverse = 1 / distance**3
            total = total + 4 * (inverse * inverse - inverse)
    return [total]


def energy_by_hand() -> Callable[..., None]:
    @jit
    def by_hand(x: Array, y: Array, g: Array, H: Array) -> None:
        total = 0.0
        g[:] = 0.0
        H[:, :] = 0.0
        for i in range(x.size // 3):
            for j in range(i):
                d = (x[3 * i] - x[3 * j], x[3 * i + 1] - x[3 * j + 1], x[3 * i + 2] - x[3 * j + 2])
                r = 1.0 / (d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
                r3 = r * r * r
                total += 4 * r3 * (r3 - 1)
                slope, curvature = r * r3 * (24 - 48 * r3), r * r * r3 * (672 * r3 - 192)
                for p in range(3):
                    g[3 * i + p] += slope * d[p]
                    g[3 * j + p] -= slope * d[p]
                    for q in range(3):
                        h = curvature * d[p] * d[q] + (slope if p == q else 0.0)
                        H[3 * i + p, 3 * i + q] += h
                        H[3 * j + p, 3 * j + q] += h
                        H[3 * i + p, 3 * j + q] = -h
                        H[3 * j + p, 3 * i + q] = -h
        y[0] = total

    return by_hand


# --- peers at one point -----------------------------------------------------------------------------------------------


def symgrad_at_point(function: Callable[..., list[Any]], point: Array, order: int) -> Made:
    """The kernel's own Numba function; what it returns is stored in buffers, entry after entry."""
    from numba import njit

    start = time.perf_counter()
    symbols = sympy.symbols(f"x:{len(point)}")
    outputs = function(sympy, symbols)
    kernel = symgrad.compile(
        outputs if order == 1 else outputs[0], args=symbols, derivative="jacobian" if order == 1 else "hessian"
    )
    first = kernel(*point)
    build = time.perf_counter() - start
    made = kernel.jitted(*point)
    counts = [np.size(part) for part in made]
    run = _stored(kernel.jitted, len(point), counts)
    loop = njit(_loop)
    buffer, moving = np.empty(sum(counts)), np.array(point)
    loop(run, moving, buffer, 1)

    def timed(count: int) -> float:
        moving[:] = point
        begin = time.perf_counter()
        loop(run, moving, buffer, count)
        return (time.perf_counter() - begin) / count

    return Made(timed=timed, results=[np.atleast_1d(part) for part in first], build=build)


def _stored(kernel: Any, inputs: int, counts: Sequence[int]) -> Any:
    """A compiled function of a vector, and of a buffer that holds all that `kernel` returns."""
    from numba import njit

    lines = ["def stored(x, out):", f"    parts = kernel({', '.join(f'x[{k}]' for k in range(inputs))})"]
    place = 0
    for number, count in enumerate(counts):
        for entry in range(count):
            lines.append(f"    out[{place}] = parts[{number}]" + (f"[{entry}]" if count > 1 or number else ""))
            place += 1
    names: dict[str, Any] = {"kernel": kernel}
    exec("\n".join(lines), names)  # no text but numbers goes into it
    return njit(error_model="numpy", fastmath={"contract"})(names["stored"])


def _loop(run: Any, x: Array, out: Array, count: int) -> None:
    for _ in range(count):
        run(x, out)
        x[0] += 1e-12 * out[0]  # the next run waits for this one


def hand_at_point(by_hand: Callable[..., None], point: Array, shapes: Sequence[tuple[int, ...]]) -> Made:
    start = time.perf_counter()
    results = [np.zeros(shape) for shape in shapes]
    by_hand(point, *results)
    build = time.perf_counter() - start

    @jit
    def loop(x: Array, buffers: tuple[Array, ...], count: int) -> None:
        for _ in range(count):
            by_hand(x, *buffers)
            x[0] += 1e-12 * buffers[0].flat[0]

    buffers, moving = tuple(np.zeros(shape) for shape in shapes), np.array(point)
    loop(moving, buffers, 1)

    def timed(count: int) -> float:
        moving[:] = point
        begin = time.perf_counter()
        loop(moving, buffers, count)
        return (time.perf_counter() - begin) / count

    return Made(timed, results, build)


_C_LOOP = """
#include "made.c"
#include <time.h>
double run(double* x, double** results, int count) {
    static casadi_int integers[1000];
    static double numbers[100000];
    const double* given[1] = {x};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int k = 0; k < count; ++k) {
        double* own[8] = {results[0], results[1], results[2]};
        made(given, own, integers, numbers, 0);
        x[0] += 1e-12 * results[0][0];
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((end.tv_sec - begin.tv_sec) + 1e-9 * (end.tv_nsec - begin.tv_nsec)) / count;
}
"""


def casadi_at_point(function: Callable[..., list[Any]], point: Array, order: int) -> Made:
    """CasADi's C code with its common sub-expressions, by gcc -O3; of a Hessian the lower triangle."""
    import casadi

    start = time.perf_counter()
    x = casadi.SX.sym("x", len(point))
    y = casadi.vertcat(*function(casadi, [x[k] for k in range(len(point))]))
    if order == 1:
        wanted = [y, casadi.jacobian(y, x)]
    else:
        hessian, gradient = casadi.hessian(y, x)
        wanted = [y, gradient, casadi.tril(hessian)]
    made = casadi.Function("made", [x], casadi.cse(wanted))
    folder = Path(tempfile.mkdtemp(prefix="symgrad-benchmarks-"))
    source = casadi.CodeGenerator("made.c")
    source.add(made)
    (folder / "made.c").write_text(source.dump(), encoding="utf-8")
    (folder / "loop.c").write_text(_C_LOOP, encoding="utf-8")
    flags = "-O3 -march=native -ffast-math -shared -fPIC".split()
    subprocess.run(["gcc", *flags, "loop.c", "-o", "loop.so", "-lm"], cwd=folder, check=True, capture_output=True)
    library = ctypes.CDLL(str(folder / "loop.so"))
    library.run.restype = ctypes.c_double
    shutil.rmtree(folder)
    buffers = [np.zeros(made.nnz_out(k)) for k in range(made.n_out())]
    addresses = (ctypes.c_void_p * 3)(*[buffer.ctypes.data for buffer in buffers])
    moving = np.array(point)
    library.run(ctypes.c_void_p(moving.ctypes.data), addresses, 1)
    build = time.perf_counter() - start
    results = [np.array(part.full()) for part in made(point)] if made.n_out() > 1 else []
    if order == 2:
        results[2] = results[2] + np.tril(results[2], -1).T

    def timed(count: int) -> float:
        moving[:] = point
        seconds: float = library.run(ctypes.c_void_p(moving.ctypes.data), addresses, count)
        return seconds

    return Made(timed, results, build)


def at_point(
    title: str, function: Callable[..., list[Any]], by_hand: Callable[..., None], point: Array, order: int, repeats: int
) -> str:
    """The table of one function at one point."""
    n = len(point)
    shapes = [(6,), (6, n)] if order == 1 else [(1,), (n,), (n, n)]
    peers: dict[str, Callable[[], Made]] = {
        "hand: Numba by hand": lambda: hand_at_point(by_hand, point, shapes),
        "symgrad": lambda: symgrad_at_point(function, point, order),
    }
    if find_spec("casadi") is not None and shutil.which("gcc"):
        peers["casadi: cse, C by gcc -O3"] = lambda: casadi_at_point(function, point, order)
    return compared(title, peers, repeats)


def tables(repeats: int) -> list[str]:
    angles = np.random.default_rng(3).uniform(0.2, 1.2, 6)
    grid = np.array([(a, b, c) for a in range(3) for b in range(3) for c in range(2)], float)[:13] * 1.1
    atoms = (grid + np.random.default_rng(3).uniform(-0.1, 0.1, (13, 3))).ravel()
    return [
        at_point("UR5: pose and its 6 x 6 Jacobian at one point", pose, pose_by_hand(), angles, 1, repeats),
        at_point("Lennard-Jones, 13 atoms: energy, forces, Hessian", energy, energy_by_hand(), atoms, 2, repeats),
    ]
