"""f(w0, w1, w2, x0, x1) = 1 / (exp(-(w2 + w0 * x0 + w1 * x1)) + 1)

Arguments: w0, w1, w2, x0, x1 (float64).
Returns: (f, (d_w0, d_w1, d_w2, d_x0, d_x1)), where d_x stands for the derivative of f by x.
Operations: 8 for the value, 16 for value and gradient.

Made by symgrad; a plain module that does not need it. It needs NumPy and numba-cuda.
"""

import math
import os
import threading
from math import inf, nan, pi

import numpy as np
from numba import config, cuda, float32, float64, types, uint64

ARGUMENTS = ("w0", "w1", "w2", "x0", "x1")
WRT = ("w0", "w1", "w2", "x0", "x1")
CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one
SIMULATED = bool(config.ENABLE_CUDASIM)  # Numba's simulator: each thread of the GPU is one of Python's
THREADS = 4 if SIMULATED else 256  # of a block
real, real_name = float64, "float64"


@cuda.jit(device=True, inline="always")
def kernel(w0, w1, w2, x0, x1):
    # forward
    s = w2 + w0 * x0 + w1 * x1
    exp_1 = exp(-s)
    value = 1.0 / (1.0 + exp_1)  # 1 / (1 + exp(-s))
    # backward
    d_w2 = select(exp_1 == inf, 0.0, value * (exp_1 * value))  # d value / d w2
    d_w0 = d_w2 * x0  # d value / d w0
    d_w1 = d_w2 * x1  # d value / d w1
    d_x0 = d_w2 * w0  # d value / d x0
    d_x1 = d_w2 * w1  # d value / d x1
    return value, (d_w0, d_w1, d_w2, d_x0, d_x1)


@cuda.jit(cache=CACHE)
def points(start, stop, w0, w1, w2, x0, x1, value, d_w0, d_w1, d_w2, d_x0, d_x1):
    """Every point of [start, stop); unsigned places spare the test for negative ones."""
    i, step = start + uint64(cuda.grid(1)), uint64(cuda.gridsize(1))
    while i < stop:
        value[i], (d_w0[i], d_w1[i], d_w2[i], d_x0[i], d_x1[i]) = kernel(w0[i], w1[i], w2[i], x0[i], x1[i])
        i += step


def kernel_batch(w0, w1, w2, x0, x1, out=None):
    """Value and gradient at every point of 1-D arrays: (f, (d_x, ...)), in `out` if that is given."""
    return run_batch((w0, w1, w2, x0, x1), out, 1, 5)


OUTPUTS = ("value", "d_w0", "d_w1", "d_w2", "d_x0", "d_x1")
KEPT = 0  # numbers of a point that wait in memory between two kernels
LANES = 0  # points at a time, 0 for all
KERNELS = (  # in this order, and the arrays of each
    (points, ("w0", "w1", "w2", "x0", "x1", "value", "d_w0", "d_w1", "d_w2", "d_x0", "d_x1")),
)
