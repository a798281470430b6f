"""f(w0, w1, w2, x0, x1) = 1 / (exp(-(w2 + w0 * x0 + w1 * x1)) + 1)

Arguments: w0, w1, w2, x0, x1 (float64).
Returns: (f, (d_w0, d_w1, d_w2, d_x0, d_x1)), where d_x stands for the derivative of f by x.
Operations: 8 for the value, 16 for value and gradient.

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

ARGUMENTS = ("w0", "w1", "w2", "x0", "x1")
WRT = ("w0", "w1", "w2", "x0", "x1")
CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one
BLOCK = 256  # points
STREAMED_BYTES = 1 << 26  # larger outputs are streamed past the cache
VECTORISE = True  # SIMD functions and fused multiply-add; else the bits of plain Python
real, real_name = float64, "float64"


@njit(cache=CACHE, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
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


@njit(cache=CACHE, nogil=True, error_model="numpy", fastmath={"contract"})
def points(start, stop, w0, w1, w2, x0, x1, value, d_w0, d_w1, d_w2, d_x0, d_x1, rows):
    """The kernel at [start, stop), whole blocks; `rows` is given where outputs are streamed."""
    wide_and_unaliased()
    for i in range(start, stop, BLOCK):
        w0_block = w0[i:i + BLOCK]
        w1_block = w1[i:i + BLOCK]
        w2_block = w2[i:i + BLOCK]
        x0_block = x0[i:i + BLOCK]
        x1_block = x1[i:i + BLOCK]
        if rows is None:
            value_block = value[i:i + BLOCK]
            d_w0_block = d_w0[i:i + BLOCK]
            d_w1_block = d_w1[i:i + BLOCK]
            d_w2_block = d_w2[i:i + BLOCK]
            d_x0_block = d_x0[i:i + BLOCK]
            d_x1_block = d_x1[i:i + BLOCK]
        else:
            value_block = rows[0]
            d_w0_block = rows[1]
            d_w1_block = rows[2]
            d_w2_block = rows[3]
            d_x0_block = rows[4]
            d_x1_block = rows[5]
        for j in range(BLOCK):
            value_block[j], (d_w0_block[j], d_w1_block[j], d_w2_block[j], d_x0_block[j], d_x1_block[j]) = (
                kernel(w0_block[j], w1_block[j], w2_block[j], x0_block[j], x1_block[j])
            )
        if rows is not None:
            stream(value, i, value_block)
            stream(d_w0, i, d_w0_block)
            stream(d_w1, i, d_w1_block)
            stream(d_w2, i, d_w2_block)
            stream(d_x0, i, d_x0_block)
            stream(d_x1, i, d_x1_block)


def kernel_batch(w0, w1, w2, x0, x1, out=None):
    """Value and gradient at every point of 1-D arrays: (f, (d_x, ...)), in `out` if that is given."""
    return run_batch((w0, w1, w2, x0, x1), out, 1, 5)
