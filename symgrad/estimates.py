"""Standard errors of maximum-likelihood estimates, from the Hessian of the negative log-likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import SymgradError
from .kernel.kernel import Kernel
from .result import Gradient, gradient_class


def standard_errors(kernel: Kernel, point: Any) -> Gradient:
    """Standard errors of maximum-likelihood estimates: the root of the diagonal of the inverse Hessian.

    Args:
        kernel: A kernel of the negative log-likelihood; the estimates are what it is differentiated for.
        point: The estimates and the data, a tuple or dict of the kernel's arguments.

    Returns:
        A standard error for each estimate, by name too: numbers, and arrays of the shapes of the inputs.

    Raises:
        SymgradError: The Hessian is not positive definite: the point is no minimum, or estimates are not identified.

    Examples:
        >>> m, s = sympy.symbols("m s")
        >>> kernel = symgrad.compile(sum(sympy.log(s) + (x - m) ** 2 / (2 * s**2) for x in (1, 2, 3, 6)), wrt=[m])
        >>> symgrad.standard_errors(kernel, {"m": 3.0, "s": 2.0})["m"]
        1.0
    """
    found = kernel.hessian(point)
    parts = [found.grad] if not isinstance(found.grad, tuple) else list(found.grad)
    shapes = [np.shape(part) for part in parts]
    sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes]
    hessian = found.hessian
    if isinstance(hessian, tuple):
        hessian = np.block(
            [[np.reshape(own, (sizes[i], sizes[j])) for j, own in enumerate(row)] for i, row in enumerate(hessian)]
        )
    matrix = np.asarray(hessian, np.float64).reshape(sum(sizes), sum(sizes))
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise SymgradError(
            "the Hessian is not positive definite here: the point is no minimum of the negative log-likelihood, or the "
            "data do not tell all of the estimates"
        ) from None
    errors = np.sqrt(np.diag(np.linalg.inv(matrix)))
    split = np.split(errors, np.cumsum(sizes)[:-1])
    return gradient_class(kernel.wrt)(
        part.reshape(shape) if shape else float(part[0]) for part, shape in zip(split, shapes, strict=True)
    )
