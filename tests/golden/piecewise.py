"""f(x, y) = y * log(x) if 1 < x else x**3 - y

Arguments: x, y (float64).
Returns: (f, (d_x, d_y)), where d_x stands for the derivative of f by x.
Operations: 11 for the value, 15 for value and gradient.

Made by symgrad; a plain module that does not need it. It needs NumPy and Numba.
"""

import ctypes
import math
import os
import sys
from math import inf, nan, pi

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import config, float32, float64, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

ARGUMENTS = ("x", "y")
WRT = ("x", "y")
CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one
BLOCK = 256  # points
STREAMED_BYTES = 1 << 26  # larger outputs are streamed past the cache
VECTORISE = False  # SIMD functions and fused multiply-add; else the bits of plain Python
real, real_name = float64, "float64"


@njit(cache=CACHE, nogil=True, error_model="numpy", forceinline=True)
def kernel(x, y):
    # forward
    condition_1 = 1.0 < x  # 1 < x
    branch_1 = select(condition_1, x, abs(x) + 1.0)  # x if 1 < x else abs(x) + 1
    log_branch_1 = log(branch_1)  # log(x if 1 < x else abs(x) + 1)
    x_squared = x * x
    value = select(condition_1, y * log_branch_1, x * x_squared - y)
    # backward
    d_x = select(condition_1, y / branch_1, 3.0 * x_squared)  # d value / d x
    d_y = select(condition_1, log_branch_1, -1.0)  # d value / d y
    return value, (d_x, d_y)


@njit(cache=CACHE, nogil=True, error_model="numpy")
def points(start, stop, x, y, value, d_x, d_y, rows):
    """The kernel at [start, stop), whole blocks; `rows` is given where outputs are streamed."""
    wide_and_unaliased()
    for i in range(start, stop, BLOCK):
        x_block = x[i:i + BLOCK]
        y_block = y[i:i + BLOCK]
        if rows is None:
            value_block = value[i:i + BLOCK]
            d_x_block = d_x[i:i + BLOCK]
            d_y_block = d_y[i:i + BLOCK]
        else:
            value_block = rows[0]
            d_x_block = rows[1]
            d_y_block = rows[2]
        for j in range(BLOCK):
            value_block[j], (d_x_block[j], d_y_block[j]) = kernel(x_block[j], y_block[j])
        if rows is not None:
            stream(value, i, value_block)
            stream(d_x, i, d_x_block)
            stream(d_y, i, d_y_block)


def kernel_batch(x, y, out=None):
    """Value and gradient at every point of 1-D arrays: (f, (d_x, ...)), in `out` if that is given."""
    return run_batch((x, y), out, 1, 2)
