"""f(w0, w1, w2, x0, x1) = 1 / (exp(-(w2 + w0 * x0 + w1 * x1)) + 1)

Arguments: w0, w1, w2, x0, x1 (float64).
Returns: (f, (d_w0, d_w1, d_w2, d_x0, d_x1)), where d_x stands for the derivative of f by x.
Operations: 8 for the value, 16 for value and gradient.

Made by symgrad; a plain module that does not need it. It needs NumPy.
"""

import math
from math import inf, nan, pi

import numpy as np

ARGUMENTS = ("w0", "w1", "w2", "x0", "x1")
WRT = ("w0", "w1", "w2", "x0", "x1")
real, real_name = float, "float64"


def kernel(w0, w1, w2, x0, x1):
    # forward
    s = w2 + w0 * x0 + w1 * x1
    exp_1 = exp(-s)
    value = 1.0 / (1.0 + exp_1)  # 1 / (1 + exp(-s))
    # backward
    d_w2 = 0.0 if exp_1 == inf else value * (exp_1 * value)  # d value / d w2
    d_w0 = d_w2 * x0  # d value / d w0
    d_w1 = d_w2 * x1  # d value / d w1
    d_x0 = d_w2 * w0  # d value / d x0
    d_x1 = d_w2 * w1  # d value / d x1
    return value, (d_w0, d_w1, d_w2, d_x0, d_x1)


def kernel_batch(w0, w1, w2, x0, x1, out=None):
    """Value and gradient at every point of 1-D arrays: (f, (d_x, ...)), in `out` if that is given."""
    return run_batch((w0, w1, w2, x0, x1), out, 1, 5)


POINT = kernel


def run_batch(inputs, out, values, derivatives):
    """`kernel_batch` of this module: the kernel at every point, with so many results of each kind."""
    inputs = [np.ascontiguousarray(array, real_name) for array in inputs]
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"kernel_batch takes 1-D arrays of one length, not of shapes {sorted(shapes)}")
    count = len(inputs[0]) if inputs else 1
    if out is None:
        made = tuple(np.empty(count, real_name) for _ in range(values + derivatives))
        out = made[0] if values == 1 else made[:values], made[values:]
    outputs = [*(out[:1] if values == 1 else out[0]), *out[1]]
    if len(outputs) != values + derivatives:
        raise ValueError(f"out must hold {values} and {derivatives} arrays")
    for i in range(count):
        found, rest = POINT(*(array[i] for array in inputs))
        for array, number in zip(outputs, (*((found,) if values == 1 else found), *rest)):
            array[i] = number
    return out


exp = math.exp
