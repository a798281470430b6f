"""Sparse derivatives of long arrays: two stencils, and bundle adjustment, beside loops by hand.

Of the stencils all results are arrays that are there already; the loops by hand write the entries in the order of rows,
as a matrix is stored. Results are compared first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

import symgrad

from .timed import Made, calls, compared
from .workload import jit

LENGTH = 100_000
# The size of ADBench's problem that has this many observations.
CAMERAS, POINTS, OBSERVATIONS = 49, 7776, 31843

n, i = sympy.symbols("n i", integer=True)
X = sympy.IndexedBase("x", shape=(n,))


# --- the chained Rosenbrock function: value, gradient, the tridiagonal Hessian ----------------------------------------


def rosenbrock_by_hand(is_lower: bool) -> Callable[..., float]:
    """One pass; `width` entries of a row are stored."""
    width = 2 if is_lower else 3

    @jit
    def kernel(x: Any, gradient: Any, data: Any) -> float:
        last = x.shape[0] - 1
        value = 0.0
        for at in range(last + 1):
            own, slope, curvature = x[at], 0.0, 0.0
            place = width * at
            if at > 0:
                before = x[at - 1]
                slope = 200.0 * (own - before * before)
                curvature = 200.0
                data[place - 1] = -400.0 * before
            if at < last:
                after = x[at + 1]
                over, under = after - own * own, 1.0 - own
                value += 100.0 * over * over + under * under
                slope -= 400.0 * own * over + 2.0 * under
                curvature += 1200.0 * own * own - 400.0 * after + 2.0
                if width == 3:
                    data[place + 1] = -400.0 * own
            gradient[at] = slope
            data[place] = curvature
        return value

    return kernel


def rosenbrock(is_lower: bool, length: int = LENGTH) -> dict[str, Callable[[], Made]]:
    x = np.random.default_rng(0).uniform(-1, 2, length)
    entries = (2 if is_lower else 3) * length - (1 if is_lower else 2)

    def hand() -> Made:
        kernel, gradient, data = rosenbrock_by_hand(is_lower), np.empty(length), np.empty(entries)
        begin = time.perf_counter()
        value = kernel(x, gradient, data)
        build = time.perf_counter() - begin
        return Made(calls(lambda: kernel(x, gradient, data)), [np.array([value]), gradient, data], build)

    def ours() -> Made:
        begin = time.perf_counter()
        formula = sympy.Sum(100 * (X[i + 1] - X[i] ** 2) ** 2 + (1 - X[i]) ** 2, (i, 0, n - 2))
        symmetric = "lower" if is_lower else None
        kernel = symgrad.compile(formula, derivative="hessian", sparse="csr", symmetric=symmetric, cache=False)
        out = kernel(x)
        build = time.perf_counter() - begin
        results = [np.array([out.value]), out.grad["x"], out.hessian.data]
        return Made(calls(lambda: kernel(x, out=out)), results, build)

    return {"hand: Numba by hand": hand, "symgrad": ours}


# --- Broyden's tridiagonal system: residuals and Jacobian -------------------------------------------------------------


def broyden_by_hand() -> Callable[..., None]:
    @jit
    def kernel(x: Any, residuals: Any, data: Any) -> None:
        last = x.shape[0] - 1
        for at in range(last + 1):
            own = x[at]
            value = (3.0 - 2.0 * own) * own + 1.0
            place = 3 * at
            if at > 0:
                value -= x[at - 1]
                data[place - 1] = -1.0
            if at < last:
                value -= 2.0 * x[at + 1]
                data[place + 1] = -2.0
            residuals[at] = value
            data[place] = 3.0 - 4.0 * own

    return kernel


def broyden(length: int = LENGTH) -> dict[str, Callable[[], Made]]:
    x = np.random.default_rng(0).uniform(-1, 2, length)

    def hand() -> Made:
        kernel, residuals, data = broyden_by_hand(), np.empty(length), np.empty(3 * length - 2)
        begin = time.perf_counter()
        kernel(x, residuals, data)
        build = time.perf_counter() - begin
        return Made(calls(lambda: kernel(x, residuals, data)), [residuals, data], build)

    def ours() -> Made:
        begin = time.perf_counter()
        before = sympy.Piecewise((X[i - 1], i >= 1), (0, True))
        after = sympy.Piecewise((X[i + 1], i <= n - 2), (0, True))
        system = symgrad.family((3 - 2 * X[i]) * X[i] - before - 2 * after + 1, (i, n))
        kernel = symgrad.compile(system, derivative="jacobian", sparse="csr", cache=False)
        out = kernel(x)
        build = time.perf_counter() - begin
        return Made(calls(lambda: kernel(x, out=out)), [out.value, out.jacobian.data], build)

    return {"hand: Numba by hand": hand, "symgrad": ours}


# --- bundle adjustment: residuals of a camera of eleven numbers, and their Jacobian -----------------------------------


def projection(functions: Any, camera: Any, point: Any) -> list[Any]:
    """Where a camera sees a point: Rodrigues' rotation, radial distortion, focal length, principal point."""
    r = camera[:3]
    x = [one - two for one, two in zip(point, camera[3:6], strict=True)]
    angle = functions.sqrt(sum(own * own for own in r))
    axis = [own / angle for own in r]
    cosine, sine = functions.cos(angle), functions.sin(angle)
    along = sum(one * two for one, two in zip(axis, x, strict=True)) * (1 - cosine)
    turned = [
        x[own] * cosine + (axis[own - 2] * x[own - 1] - axis[own - 1] * x[own - 2]) * sine + axis[own] * along
        for own in range(3)
    ]
    flat = [own / turned[2] for own in turned[:2]]
    square = flat[0] * flat[0] + flat[1] * flat[1]
    bent = 1 + camera[9] * square + camera[10] * square * square
    return [camera[6] * bent * flat[own] + camera[7 + own] for own in range(2)]


def bundle_by_hand() -> Callable[..., None]:
    """Reverse over the projection, and forward over the rotation: 15 entries of a row, those of the camera first."""

    @jit
    def kernel(cameras: Any, points: Any, pixels: Any, by: Any, of: Any, residuals: Any, data: Any) -> None:
        for at in range(by.shape[0]):
            own, p = cameras[by[at]], points[of[at]]
            r0, r1, r2 = own[0], own[1], own[2]
            x0, x1, x2 = p[0] - own[3], p[1] - own[4], p[2] - own[5]
            angle = np.sqrt(r0 * r0 + r1 * r1 + r2 * r2)
            c, s = np.cos(angle), np.sin(angle)
            a0, a1, a2 = r0 / angle, r1 / angle, r2 / angle
            m0, m1, m2 = a1 * x2 - a2 * x1, a2 * x0 - a0 * x2, a0 * x1 - a1 * x0
            dot = a0 * x0 + a1 * x1 + a2 * x2
            rest = 1.0 - c
            t0 = x0 * c + m0 * s + a0 * dot * rest
            t1 = x1 * c + m1 * s + a1 * dot * rest
            t2 = x2 * c + m2 * s + a2 * dot * rest
            u, v = t0 / t2, t1 / t2
            q = u * u + v * v
            bend, slope = 1.0 + own[9] * q + own[10] * q * q, 2.0 * (own[9] + 2.0 * own[10] * q)
            f = own[6]
            residuals[0, at] = f * bend * u + own[7] - pixels[at, 0]
            residuals[1, at] = f * bend * v + own[8] - pixels[at, 1]
            for row in range(2):
                w = u if row == 0 else v
                # By u and v, then by what is turned.
                by_u = f * slope * u * w + (f * bend if row == 0 else 0.0)
                by_v = f * slope * v * w + (f * bend if row == 1 else 0.0)
                g0, g1, g2 = by_u / t2, by_v / t2, -(by_u * u + by_v * v) / t2
                # By the point: the rotation the other way.
                n0, n1, n2 = g1 * a2 - g2 * a1, g2 * a0 - g0 * a2, g0 * a1 - g1 * a0
                ga = g0 * a0 + g1 * a1 + g2 * a2
                p0 = g0 * c + n0 * s + a0 * ga * rest
                p1 = g1 * c + n1 * s + a1 * ga * rest
                p2 = g2 * c + n2 * s + a2 * ga * rest
                # By the angle and the axis.
                gx = g0 * x0 + g1 * x1 + g2 * x2
                gm = g0 * m0 + g1 * m1 + g2 * m2
                by_angle = -gx * s + gm * c + ga * dot * s
                k0, k1, k2 = x1 * g2 - x2 * g1, x2 * g0 - x0 * g2, x0 * g1 - x1 * g0
                d0 = k0 * s + rest * (g0 * dot + ga * x0)
                d1 = k1 * s + rest * (g1 * dot + ga * x1)
                d2 = k2 * s + rest * (g2 * dot + ga * x2)
                da = d0 * a0 + d1 * a1 + d2 * a2
                entry = data[row, at]
                entry[0] = by_angle * a0 + (d0 - da * a0) / angle
                entry[1] = by_angle * a1 + (d1 - da * a1) / angle
                entry[2] = by_angle * a2 + (d2 - da * a2) / angle
                entry[3], entry[4], entry[5] = -p0, -p1, -p2
                entry[6], entry[7] = bend * w, 1.0
                entry[8], entry[9] = f * q * w, f * q * q * w
                entry[10], entry[11], entry[12] = p0, p1, p2

    return kernel


def bundle(cameras: int = CAMERAS, points: int = POINTS, seen: int = OBSERVATIONS) -> dict[str, Callable[[], Made]]:
    random = np.random.default_rng(0)
    scene = random.uniform(0.5, 1.5, (cameras, 11))
    scene[:, 3:6] -= [0.0, 0.0, 6.0]
    cloud, pixels = random.uniform(0, 1, (points, 3)), random.normal(size=(seen, 2))
    by, of = random.integers(0, cameras, seen), random.integers(0, points, seen)

    def hand() -> Made:
        kernel, residuals, data = bundle_by_hand(), np.empty((2, seen)), np.empty((2, seen, 13))
        begin = time.perf_counter()
        kernel(scene, cloud, pixels, by, of, residuals, data)
        build = time.perf_counter() - begin

        def run() -> None:
            kernel(scene, cloud, pixels, by, of, residuals, data)

        return Made(calls(run), [residuals.ravel(), data.ravel()], build)

    def ours() -> Made:
        begin = time.perf_counter()
        a, b, e, k = sympy.symbols("cameras points seen k", integer=True, positive=True)
        camera, point = sympy.IndexedBase("camera", shape=(a, 11)), sympy.IndexedBase("point", shape=(b, 3))
        pixel = sympy.IndexedBase("pixel", shape=(e, 2))
        ones, twos = (sympy.IndexedBase(sympy.Symbol(name, integer=True), shape=(e,)) for name in ("by", "of"))
        seen_at = projection(
            sympy, [camera[ones[k], own] for own in range(11)], [point[twos[k], own] for own in range(3)]
        )
        system = [symgrad.family(seen_at[own] - pixel[k, own], (k, e)) for own in range(2)]
        arguments = (camera, point, pixel, ones, twos)
        kernel = symgrad.compile(system, args=arguments, wrt=(camera, point), sparse="csr", cache=False)
        inputs = (scene, cloud, pixels, by, of)
        out = kernel(*inputs)
        build = time.perf_counter() - begin
        return Made(calls(lambda: kernel(*inputs, out=out)), [np.concatenate(out.value), out.jacobian.data], build)

    return {"hand: Numba by hand": hand, "symgrad": ours}


def tables(repeats: int) -> list[str]:
    return [
        compared("Chained Rosenbrock, 100,000: value, gradient, Hessian in CSR", rosenbrock(False), repeats),
        compared("The same, the lower triangle of the Hessian", rosenbrock(True), repeats),
        compared("Broyden tridiagonal, 100,000: residuals, Jacobian in CSR", broyden(), repeats),
        compared("Bundle adjustment, 31,843 observations: residuals, Jacobian in CSR", bundle(), repeats),
    ]
