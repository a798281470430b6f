"""f(x, y) = y * log(x) if 1 < x else x**3 - y

Arguments: x, y (float32).
Returns: (f, (d_x, d_y)), where d_x stands for the derivative of f by x.
Operations: 11 for the value, 15 for value and gradient.

Made by symgrad; a plain module that does not need it. It needs NumPy and numba-cuda.
"""

import math
import os
import threading
from math import inf, nan, pi

import numpy as np
from numba import config, cuda, float32, float64, types, uint64

ARGUMENTS = ("x", "y")
WRT = ("x", "y")
CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one
SIMULATED = bool(config.ENABLE_CUDASIM)  # Numba's simulator: each thread of the GPU is one of Python's
THREADS = 4 if SIMULATED else 256  # of a block
real, real_name = float32, "float32"


@cuda.jit(device=True, inline="always")
def kernel(x, y):
    # forward
    condition_1 = float32(1.0) < x  # 1 < x
    branch_1 = select(condition_1, x, abs(x) + float32(1.0))  # x if 1 < x else abs(x) + 1
    log_branch_1 = log(branch_1)  # log(x if 1 < x else abs(x) + 1)
    x_squared = rounded_mul(x, x)
    value = select(condition_1, rounded_mul(y, log_branch_1), rounded_mul(x, x_squared) - y)
    # backward
    d_x = select(condition_1, y / branch_1, rounded_mul(float32(3.0), x_squared))  # d value / d x
    d_y = select(condition_1, log_branch_1, float32(-1.0))  # d value / d y
    return value, (d_x, d_y)


@cuda.jit(cache=CACHE)
def points(start, stop, x, y, value, d_x, d_y):
    """Every point of [start, stop); unsigned places spare the test for negative ones."""
    i, step = start + uint64(cuda.grid(1)), uint64(cuda.gridsize(1))
    while i < stop:
        value[i], (d_x[i], d_y[i]) = kernel(x[i], y[i])
        i += step


def kernel_batch(x, y, out=None):
    """Value and gradient at every point of 1-D arrays: (f, (d_x, ...)), in `out` if that is given."""
    return run_batch((x, y), out, 1, 2)


OUTPUTS = ("value", "d_x", "d_y")
KEPT = 0  # numbers of a point that wait in memory between two kernels
LANES = 0  # points at a time, 0 for all
KERNELS = (  # in this order, and the arrays of each
    (points, ("x", "y", "value", "d_x", "d_y")),
)
