"""Bundle adjustment: cameras and points from what the cameras have seen, by least squares with a sparse Jacobian.

A camera has eleven numbers: rotation as a vector, centre, focal length, principal point, radial distortion. The model
is that of ADBench (F. Srajer, Z. Kukelova, A. Fitzgibbon, A benchmark of selected algorithmic differentiation tools,
2018). Each observation is of one camera and one point, by two tables; its two residuals have 26 entries in the
Jacobian, whatever the number of cameras and points.
"""

import numpy as np
import sympy as sp
from scipy.optimize import least_squares

import symgrad

cameras, points, seen, i, k = sp.symbols("cameras points seen i k", integer=True, positive=True)
camera, point = sp.IndexedBase("camera", shape=(cameras, 11)), sp.IndexedBase("point", shape=(points, 3))
pixel = sp.IndexedBase("pixel", shape=(seen, 2))
by, of = (sp.IndexedBase(sp.Symbol(name, integer=True), shape=(seen,)) for name in ("by", "of"))


def projected() -> list[sp.Expr]:
    """Where observation i is in the picture."""
    own = [camera[by[i], number] for number in range(11)]
    rotation, centre, focal, principal, radial = sp.Matrix(own[:3]), sp.Matrix(own[3:6]), own[6], own[7:9], own[9:]
    x = sp.Matrix([point[of[i], number] for number in range(3)]) - centre
    # Rodrigues' formula: a turn about the vector, by its length.
    angle = sp.sqrt(rotation.dot(rotation))
    axis = rotation / angle
    turned = x * sp.cos(angle) + axis.cross(x) * sp.sin(angle) + axis * axis.dot(x) * (1 - sp.cos(angle))
    flat = turned[:2, 0] / turned[2]
    square = flat.dot(flat)
    bent = flat * (1 + radial[0] * square + radial[1] * square**2)
    return [bent[own] * focal + principal[own] for own in range(2)]


predicted = projected()
residuals = [symgrad.family(predicted[own] - pixel[i, own], (i, seen)) for own in range(2)]
arguments = (camera, point, pixel, by, of)
values = symgrad.compile(residuals, args=arguments, derivative=None)
jacobian = symgrad.compile(residuals, args=arguments, wrt=(camera, point), sparse="csr")

# A made-up scene: cameras on a circle look at a cloud of points, and each sees some of them.
random = np.random.default_rng(7)
true_points = random.uniform(-1, 1, (60, 3))
around = np.linspace(0, 1.0, 8)
true_cameras = np.column_stack(
    [
        0.1 + 0 * around, around - 0.5, 0.05 + 0 * around,  # rotation
        -6 * np.sin(around - 0.5) * -1, 0 * around, -6 * np.cos(around - 0.5),  # centre
        800 + 10 * around, 320 + 0 * around, 240 + 0 * around, -0.05 + 0 * around, 0.01 + 0 * around,
    ]
)  # fmt: skip
sight = random.uniform(size=(8, 60)) < 0.6
cameras_of, points_of = np.nonzero(sight)
nothing = np.zeros((len(cameras_of), 2))
pixels = np.stack(values(true_cameras, true_points, nothing, cameras_of, points_of), axis=1)
given = (pixels, cameras_of, points_of)


def parts(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return vector[: true_cameras.size].reshape(-1, 11), vector[true_cameras.size :].reshape(-1, 3)


def fun(vector: np.ndarray) -> np.ndarray:
    return np.concatenate(values(*parts(vector), *given))


def jac(vector: np.ndarray) -> object:
    return jacobian(*parts(vector), *given).jacobian


truth = np.concatenate([true_cameras.ravel(), true_points.ravel()])
size = np.concatenate([np.tile([0.02] * 6 + [5, 2, 2, 0.005, 0.002], 8), np.full(true_points.size, 0.02)])
start = truth + size * random.normal(size=truth.size)
matrix = jac(start)
print(f"{matrix.shape[0]} residuals, {matrix.shape[1]} unknowns, {matrix.nnz} entries, 26 for each observation")
assert matrix.nnz == 26 * len(cameras_of)
direction = 1e-6 * random.normal(size=truth.size)
change = (fun(start + direction) - fun(start - direction)) / 2
error = np.abs(matrix @ direction - change).max() / np.abs(change).max()
print(f"Jacobian along a random direction, against differences: {error:.0e}")
assert error < 1e-6

settings = {"x_scale": "jac", "ftol": 1e-4, "max_nfev": 12}
sparse = least_squares(fun, start, jac, tr_solver="lsmr", tr_options={"maxiter": 200}, **settings)
dense = least_squares(fun, start, lambda x: jac(x).toarray(), tr_solver="exact", **settings)
before, after, other = (np.sqrt(np.mean(fun(x) ** 2)) for x in (start, sparse.x, dense.x))
print(f"{sparse.nfev} evaluations: from {before:.1f} pixels to {after:.1g}; with dense matrices to {other:.1g}")
assert after < 0.1
assert other < 0.1
