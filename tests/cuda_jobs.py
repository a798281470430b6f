"""What the tests of the target cuda do in processes of their own: Numba chooses its simulator when it is imported.

    python cuda_jobs.py JOB [ARGUMENT...]      prints what it found, as JSON

None of the jobs needs a GPU: `simulated_` ones run kernels in Numba's simulator, the others compile them to PTX.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import pickle
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS, Case, points
from symgrad_codegen import build, parts, run_cuda
from symgrad_codegen import cuda as cuda_target
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.targets import TARGETS
from test_emit import ATTACKS, GOLDENS, emitted
from test_gates import CASES, spelled
from together import bits, together

import symgrad
from symgrad.compiler import program_of

Columns = Sequence[np.ndarray]
x, y, z = sp.symbols("x y z")
RICH = sp.exp(-(x**2)) * sp.sin(y) / (1 + z**2) + sp.Max(x, y) * sp.Rational(1, 3) + sp.pi * sp.log(z)
DTYPES = ("float64", "float32")
TOLERANCE = {"float64": 1e-14, "float32": 1e-5}

JOBS: dict[str, Callable[..., Any]] = {}
CHECKS: dict[str, list[Callable[[], None]]] = {"simulated": [], "without_a_gpu": []}


def job(function: Callable[..., Any]) -> Callable[..., Any]:
    JOBS[function.__name__] = function
    return function


def check(group: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """A function that fails by raising: one of a group that shares a process."""

    def add(function: Callable[[], None]) -> Callable[[], None]:
        CHECKS[group].append(function)
        return function

    return add


@job
def checks(group: str) -> dict[str, Any]:
    """How many checks were made, and the traceback of each that failed."""
    failed = []
    for function in CHECKS[group]:
        try:
            function()
        except (Exception, pytest.fail.Exception):
            failed.append(f"{function.__name__}\n{traceback.format_exc()}")
    return {"made": len(CHECKS[group]), "failed": failed}


# --- the corpus in the simulator --------------------------------------------------------------------------------------

# Python raises where a GPU gives NaN or infinity, also in a branch that is not taken: other ranges for these.
OTHER_RANGES = {
    "branches": {"x": (-2.0, -0.1), "y": (-2.0, 2.0)},  # sqrt(-x) stands beside the branch of x > 0
    "unused_branch": {"x": (-3.0, -1.0), "y": (1.0, 3.0)},  # 1/max(0, -x)
}


@job
def simulated_corpus(dtype: str) -> dict[str, Any]:
    """Every formula, in the simulator and in plain Python: the rows that differ by more than a few ulp."""
    failed = []
    for case in CORPUS:
        ranges = OTHER_RANGES.get(case.name, case.ranges)
        columns = points(Case(case.name, case.text, ranges, "", ""), 4)
        got, want = (
            [value, *gradient]
            for module in (build.load(symgrad.emit(case.text, target=t, dtype=dtype)) for t in ("cuda", "python"))
            for value, gradient in [_tried(module, columns)]
        )
        failed += [
            f"{case.name}, output {place}: {a} and {b}"
            for place, (a, b) in enumerate(zip(got, want, strict=True))
            if not np.all((np.abs(a - b) <= 4 * np.spacing(np.abs(b))) | (a == b))
        ]
    return {"made": len(CORPUS), "failed": failed}


def _tried(module: Any, columns: dict[str, np.ndarray]) -> tuple[Any, Any]:
    try:
        result: tuple[Any, Any] = module.kernel_batch(*(columns[name] for name in module.ARGUMENTS))
    except Exception as error:
        return repr(error), ()
    return result
