"""f(x, y, z) = z * (x + y)

Arguments: x, y, z (float64).
Returns: (f, (d_x, d_y, d_z)), where d_x stands for the derivative of f by x.
Operations: 2 for the value, 2 for value and gradient.

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

ARGUMENTS = ("x", "y", "z")
WRT = ("x", "y", "z")
CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one
BLOCK = 256  # points
STREAMED_BYTES = 1 << 26  # larger outputs are streamed past the cache
VECTORISE = True  # SIMD functions and fused multiply-add; else the bits of plain Python
real, real_name = float64, "float64"


@njit(cache=CACHE, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def kernel(x, y, z):
    # forward
    sum_1 = x + y
    value = z * sum_1  # z * (x + y)
    # backward
    d_x = z
    d_y = z
    d_z = sum_1
    return value, (d_x, d_y, d_z)


@njit(cache=CACHE, nogil=True, error_model="numpy", fastmath={"contract"})
def points(start, stop, x, y, z, value, d_x, d_y, d_z, rows):
    """The kernel at [start, stop), whole blocks; `rows` is given where outputs are streamed."""
    wide_and_unaliased()
    for i in range(start, stop, BLOCK):
        x_block = x[i:i + BLOCK]
        y_block = y[i:i + BLOCK]
        z_block = z[i:i + BLOCK]
        if rows is None:
            value_block = value[i:i + BLOCK]
            d_x_block = d_x[i:i + BLOCK]
            d_y_block = d_y[i:i + BLOCK]
            d_z_block = d_z[i:i + BLOCK]
        else:
            value_block = rows[0]
            d_x_block = rows[1]
            d_y_block = rows[2]
            d_z_block = rows[3]
        for j in range(BLOCK):
            value_block[j], (d_x_block[j], d_y_block[j], d_z_block[j]) = kernel(x_block[j], y_block[j], z_block[j])
        if rows is not None:
            stream(value, i, value_block)
            stream(d_x, i, d_x_block)
            stream(d_y, i, d_y_block)
            stream(d_z, i, d_z_block)


def kernel_batch(x, y, z, out=None):
    """Value and gradient at every point of 1-D arrays: (f, (d_x, ...)), in `out` if that is given."""
    return run_batch((x, y, z), out, 1, 3)
