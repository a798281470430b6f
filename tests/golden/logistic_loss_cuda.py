"""f(X, lam, w, y) = (lam * sum over j of w[j]**2) / 2 + sum over i of log(exp(-y[i] * sum over j of w[j] * X[i, j]) +
    1)

Arguments: X, lam, w, y (float64).
Returns: (f, (d_X, d_lam, d_w, d_y)), where d_x stands for the derivative of f by x.
Operations: 16 for the value, 30 for value and gradient.

Made by symgrad; a plain module that does not need it. It needs NumPy and numba-cuda.
"""

import builtins
import math
import os
import threading
from math import inf, nan, pi

import numpy as np
from numba import config, cuda, float32, float64, types, uint64

ARGUMENTS = ("X", "lam", "w", "y")
WRT = ("X", "lam", "w", "y")
CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one
SIMULATED = bool(config.ENABLE_CUDASIM)  # Numba's simulator: each thread of the GPU is one of Python's
THREADS = 4 if SIMULATED else 256  # of a block
real, real_name = float64, "float64"


@cuda.jit(cache=CACHE)
def nest_1(w, low, stop, total_1_here_sums):
    shared = cuda.shared.array(THREADS, real)
    thread = cuda.grid(1)
    total_1_here = real(0.0)
    j = low + thread
    while j < stop:
        # forward: total_1 = sum over j of w[j] * w[j]
        total_1_here = total_1_here + (w[j] * w[j])
        j += cuda.gridsize(1)
    keep(total_1_here_sums, 0, over_block(SUM, total_1_here, shared))


@cuda.jit(cache=CACHE)
def alone(total_1, d_lam):
    # backward: d_lam
    d_lam[0] = 0.5 * total_1[0]  # d value / d lam


@cuda.jit(cache=CACHE)
def pass_1(d, X, w, y, d_X, d_y, low, stop, d_w_own, d_w_sums, total_2_here_sums):
    shared = cuda.shared.array(THREADS, real)
    thread = cuda.grid(1)
    total_2_here = real(0.0)
    for entry_0 in range(d_w_own.shape[0]):
        d_w_own[entry_0, thread] = real(0.0)
    i = low + thread
    while i < stop:
        z_here = real(0.0)
        # forward: z[i] = sum over j of w[j] * X[i, j]
        for j in range(d):
            z_here = z_here + (w[j] * X[i, j])
        # forward and backward: product_1[i] = y[i] * z[i], total_2, d_minus, product_2, d_y
        product_1_i = y[i] * z_here
        total_2_here = total_2_here + (max(-product_1_i, 0.0) + log1p(exp(-abs(product_1_i))))
        d_minus_i = 1.0 / (1.0 + exp(product_1_i))
        product_2_here = d_minus_i * y[i]
        d_y[i] = -d_minus_i * z_here  # d value / d y
        # backward: d_w
        for j in range(d):
            d_w_own[j, thread] = d_w_own[j, thread] + (product_2_here * X[i, j])
        # backward: d_X
        for j in range(d):
            d_X[i, j] = -product_2_here * w[j]  # d value / d X
        i += cuda.gridsize(1)
    for entry_0 in range(d_w_own.shape[0]):
        keep(d_w_sums, entry_0, over_block(SUM, d_w_own[entry_0, thread], shared))
    keep(total_2_here_sums, 0, over_block(SUM, total_2_here, shared))


@cuda.jit(cache=CACHE)
def alone_2(lam, value, total_1, total_2):
    value[0] = lam * total_1[0] / 2.0 + total_2[0]


@cuda.jit(cache=CACHE)
def nest_7(lam, w, d_w, low, stop):
    thread = cuda.grid(1)
    j = low + thread
    while j < stop:
        # backward: d_w
        d_w[j] = -d_w[j] + lam * w[j]  # d value / d w
        j += cuda.gridsize(1)


def kernel_into(stream, X, lam, w, y, value, d_X, d_lam, d_w, d_y):
    """Fills arrays on the device with values and derivatives: of numbers they have one entry."""
    d = X.shape[1]
    n = X.shape[0]
    lam = number(lam)
    total_1 = room(stream, "total_1", (1,))
    total_2 = room(stream, "total_2", (1,))
    set_all(total_1, 0.0, stream)
    # over j
    low = 0
    stop = d
    blocks = pass_blocks(stop - low, 0)
    total_1_here_sums = room(stream, "total_1_here_sums", (1, blocks))
    launch(nest_1, blocks, THREADS, stream, w, low, stop, total_1_here_sums)
    combine(SUM, total_1_here_sums, total_1, 0, stream)
    launch(alone, 1, 1, stream, total_1, d_lam)
    set_all(total_2, 0.0, stream)
    set_all(d_w, 0.0, stream)
    # over i
    low = 0
    stop = n
    blocks = pass_blocks(stop - low, d_w.size)
    d_w_own = room(stream, "d_w_own", (*d_w.shape, blocks * THREADS))
    d_w_sums = room(stream, "d_w_sums", (d_w.size, blocks))
    total_2_here_sums = room(stream, "total_2_here_sums", (1, blocks))
    launch(pass_1, blocks, THREADS, stream, d, X, w, y, d_X, d_y, low, stop, d_w_own, d_w_sums, total_2_here_sums)
    combine(SUM, d_w_sums, d_w, 0, stream)
    combine(SUM, total_2_here_sums, total_2, 0, stream)
    launch(alone_2, 1, 1, stream, lam, value, total_1, total_2)
    # over j
    low = 0
    stop = d
    blocks = pass_blocks(stop - low, 0)
    launch(nest_7, blocks, THREADS, stream, lam, w, d_w, low, stop)


def kernel(X, lam, w, y, out=None, stream=0):
    """Values and derivatives: on the device where an argument is there, else numbers and NumPy arrays."""
    return run_arrays((X, lam, w, y), out, 1, stream)


def kernel_shapes(X, lam, w, y):
    """The shapes of the values and derivatives; () of a number."""
    d = X.shape[1]
    n = X.shape[0]
    return ((), X.shape, (), w.shape, y.shape)


INTO, SHAPES = kernel_into, kernel_shapes
NEEDS_CUPY = False
INPUTS = (  # the kind of numbers, and the rank
    ("real", 2),
    ("real", 0),
    ("real", 1),
    ("real", 1),
)
KERNELS = (  # and the types of their arguments
    (nest_1, (real[::1], types.int64, types.int64, real[:, ::1])),
    (alone, (real[::1], real[::1])),
    (pass_1, (
        types.int64, real[:, ::1], real[::1], real[::1], real[:, ::1], real[::1], types.int64, types.int64, real[:,
        ::1], real[:, ::1], real[:, ::1]
    )),
    (alone_2, (real, real[::1], real[::1], real[::1])),
    (nest_7, (real, real[::1], real[::1], types.int64, types.int64)),
)
