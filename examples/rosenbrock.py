"""Rosenbrock's valley in any number of dimensions, a sum over x[i] and x[i + 1]: one kernel for every n.

Checked against SciPy's own function and gradient, then minimised by L-BFGS. Needs `pip install symgrad[examples]`.
"""

import time

import numpy as np
import sympy as sp
from scipy.optimize import minimize, rosen, rosen_der

import symgrad


def main(sizes: tuple[int, ...] = (2, 10, 1000, 10_000)) -> dict[int, float]:
    """Prints what becomes of each size; gives the distance of the point found from the minimum, which is all ones."""
    n, i = sp.symbols("n i", integer=True, positive=True)
    x = sp.IndexedBase("x", shape=(n,))
    valley = sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, n - 2))
    kernel = symgrad.compile(valley)
    objective = kernel.objective()

    distances = {}
    for size in sizes:
        point = np.random.default_rng(0).uniform(-2, 2, size)
        value, (d_x,) = kernel(x=point)
        error = max(abs(value / rosen(point) - 1), abs(d_x - rosen_der(point)).max() / abs(d_x).max())

        began = time.perf_counter()
        start = objective.pack(x=np.random.default_rng(1).uniform(0.5, 1.5, size))
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-8})
        seconds = time.perf_counter() - began
        distances[size] = abs(found.x - 1).max()
        print(
            f"n = {size}: error {error:.0e} against SciPy's gradient; {found.nfev} evaluations in {seconds:.2f} s "
            f"to {found.fun:.1e}, {distances[size]:.0e} from the minimum"
        )
        assert error < 1e-13
        assert distances[size] < 1e-5
    return distances


if __name__ == "__main__":
    main()
