"""Standard errors: against their closed form, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad.errors import SymgradError

m, s = sp.symbols("m s")
n, i = sp.symbols("n i", integer=True)
X = sp.IndexedBase("X", shape=(n,))


def test_standard_errors_of_a_normal_sample() -> None:
    data = np.random.default_rng(0).normal(3.0, 2.0, 200)
    likelihood = sp.Sum(sp.log(s) + (X[i] - m) ** 2 / (2 * s**2), (i, 0, n - 1))
    kernel = symgrad.compile(likelihood, wrt=[m, s])
    mean, deviation = data.mean(), data.std()
    found = symgrad.standard_errors(kernel, {"m": mean, "s": deviation, "X": data})
    np.testing.assert_allclose(found["m"], deviation / np.sqrt(200), rtol=1e-12)
    np.testing.assert_allclose(found["s"], deviation / np.sqrt(400), rtol=1e-10)
    with pytest.raises(SymgradError, match="not positive definite"):
        symgrad.standard_errors(kernel, {"m": mean, "s": 10 * deviation, "X": data})
    whole = symgrad.compile(sp.Sum((X[i] - s) ** 2 * s, (i, 0, n - 1)), wrt=[X])
    errors = symgrad.standard_errors(whole, {"X": np.ones(3), "s": 2.0})
    np.testing.assert_allclose(errors["X"], [0.5] * 3)
