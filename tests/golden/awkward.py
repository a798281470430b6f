"""f(a_b, lambda_2, np_2, x_import_os, μ) = a_b * lambda_2 + np_2 * x_import_os**2 / μ

Arguments: a_b, lambda_2, np_2, x_import_os, μ (float32).
Returns: (f, (d_a_b, d_lambda_2, d_np_2, d_x_import_os, d_μ)), where d_x stands for the derivative of f by x.
Operations: 6 for the value, 12 for value and gradient.

Made by symgrad; a plain module that does not need it. It needs NumPy.
"""

import math
from math import inf, nan, pi

import numpy as np
from numpy import float32

# a_b stands for 'a b'
# lambda_2 stands for 'lambda'
# np_2 stands for 'np'
# x_import_os stands for 'x; import os'
# μ stands for '\xb5'
ARGUMENTS = ("a_b", "lambda_2", "np_2", "x_import_os", "μ")
WRT = ("a_b", "lambda_2", "np_2", "x_import_os", "μ")
real, real_name = float32, "float32"


def kernel(a_b, lambda_2, np_2, x_import_os, μ):
    # forward
    x_import_os_squared = x_import_os * x_import_os
    ratio_1 = float32(1.0) / μ  # 1 / μ
    product_1 = np_2 * x_import_os_squared * ratio_1  # np_2 * (x_import_os * x_import_os) * (1 / μ)
    value = a_b * lambda_2 + product_1
    # backward
    d_np_2 = ratio_1 * x_import_os_squared  # d value / d np_2
    d_x_import_os = float32(2.0) * (ratio_1 * np_2) * x_import_os  # d value / d x_import_os
    d_μ = -product_1 * ratio_1  # d value / d μ
    d_a_b = lambda_2
    d_lambda_2 = a_b
    return value, (d_a_b, d_lambda_2, d_np_2, d_x_import_os, d_μ)


def kernel_batch(a_b, lambda_2, np_2, x_import_os, μ, out=None):
    """Value and gradient at every point of 1-D arrays: (f, (d_x, ...)), in `out` if that is given."""
    return run_batch((a_b, lambda_2, np_2, x_import_os, μ), out, 1, 5)


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
