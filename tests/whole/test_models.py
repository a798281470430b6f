"""Models as people write them, through the public face: Jacobians and Hessians against differences of 120 digits."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from models import MODELS

import symgrad
from tests.transform.test_elimination import differences

# Relative to the largest entry of the row; that of mixtures cancels, as the densities do.
LARGEST = 4e-14


@pytest.mark.parametrize("name", MODELS)
def test_derivatives(name: str) -> None:
    model = MODELS[name]
    symbols = tuple(sp.symbols(f"x:{len(model.point)}"))
    rows = model.rows(symbols)
    if len(rows) == 1:
        kernel = symgrad.compile(rows[0], symbols, derivative="hessian")
    else:
        kernel = symgrad.compile(rows, symbols, derivative="jacobian")
    found = np.asarray(kernel(*model.point)[-1])
    exact = differences(rows, symbols, model.point, 2 if len(rows) == 1 else 1)
    want = np.zeros(found.shape)
    for key, number in exact.items():
        want[key[-2:]] = float(number)
        if len(rows) == 1:
            want[key[:0:-1]] = float(number)
    error = np.abs(found - want) / np.abs(want).max(axis=1, keepdims=True)
    assert error.max() <= LARGEST
