"""Kernels read and write inside their arrays only: every array stands between forbidden pages, or red zones."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import array_corpus
import identities
import numpy as np
import oracle
import pytest
import sympy as sp
from programs import Choices
from random_programs import FIXED, KINDS, NotMadeError, made
from red_zones import SIDES, Job
from trials import REFUSALS, Program, built

import symgrad
from symgrad.lower.lower import lower

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are protected as Linux does it")

TABLE = [*array_corpus.CORPUS, *identities.CORPUS]
# A kernel takes seconds to build: some whose reads are shifted, reversed, gathered, triangular; or all, --all-rows.
SAMPLE = TABLE[3 :: len(TABLE) // 6]


def job(name: str, program: Program) -> Job:
    """A call of the kernel of a program: its arguments as a call converts them. Raises what a call refuses."""
    kernel = built(program)  # to be run as plain Python, so that nothing is compiled here
    values = [program.inputs[symbol.name] for symbol in kernel.args]
    arguments = tuple(kernel._runner.arguments.arrays(values))
    kernel._runner.arguments.shapes_of(arguments)
    source = symgrad.emit(program.expression, dtype=program.dtype, extents=dict(program.extents) or None)
    return Job(name, source, "kernel", arguments, kernel.graph.wrt, program.dtype)


def outcomes(jobs: list[Job], side: str) -> list[tuple[float, list[Any]]]:
    """What the jobs give, run in a process of its own; the job that ends it is named."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), str(root / "codegen"), str(root / "tests" / "corpus")])
    command = [sys.executable, str(root / "tests" / "corpus" / "red_zones.py"), side]
    ran = subprocess.run(command, input=pickle.dumps(jobs), capture_output=True, env={**os.environ, "PYTHONPATH": path})
    told = ran.stderr.decode()
    assert ran.returncode == 0, f"{side} an array: ended with {ran.returncode} in\n{told[-2000:]}"
    return pickle.loads(ran.stdout)


@pytest.mark.parametrize("side", SIDES)
def test_nothing_outside_of_an_array_is_touched(side: str, all_rows: bool) -> None:
    rows = [(case, size) for case in (TABLE if all_rows else SAMPLE) for size in ("small", "long")]
    jobs = [job(f"{case.name}-{size}", Program(case.expression(), case.arrays(size))) for case, size in rows]
    for one, (case, size), (value, gradients) in zip(jobs, rows, outcomes(jobs, side), strict=True):
        arrays = case.arrays(size)
        want, by_name = case.value(**arrays), case.gradients(**arrays)
        scale = 1 + abs(float(want)) + max((float(np.abs(d).max(initial=0)) for d in by_name.values()), default=0.0)
        assert value == pytest.approx(float(want), abs=1e-9 * scale), one.name
        names = [symbol.name for symbol in lower(case.expression())[1]]
        for place, got in zip(one.wrt, gradients, strict=True):
            wanted = np.float64(by_name[names[place]]).reshape(got.shape)
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-8 * scale, err_msg=one.name)


NO_ANSWER = (oracle.Undecided, oracle.OutOfBounds, oracle.Unknown, ZeroDivisionError)


@pytest.mark.parametrize("kind", KINDS)
def test_random_programs_touch_nothing_outside(kind: str, random_count: int | None, fresh_seed: int) -> None:
    """Right beside the oracle, too: what is read in a red zone is NaN."""
    start = FIXED if random_count is None else fresh_seed
    jobs: list[tuple[Job, Program]] = []
    for seed in itertools.count(start):
        with contextlib.suppress(*REFUSALS, ValueError, NotMadeError, *NO_ANSWER):
            program = made(kind, Choices(random.Random(seed)))
            if program.want().is_extreme or built(program) is None:
                continue
            jobs.append((job(f"{kind}, seed {seed}", program), program))
        if len(jobs) == (random_count or 4):
            break
    for side in SIDES:
        for (one, program), (value, gradients) in zip(jobs, outcomes([one for one, _ in jobs], side), strict=True):
            want, names = program.want(), [symbol.name for symbol in built(program).args]
            shapes = [np.shape(one.arguments[place]) for place in one.wrt]
            by_name = {names[p]: g.reshape(s) for p, g, s in zip(one.wrt, gradients, shapes, strict=True)}
            rest = {name: np.zeros(np.shape(d)) for name, d in want.gradients.items() if name not in by_name}
            assert not want.differences(value, {**rest, **by_name}), f"{one.name}, {side}\n{program}"


# A sum over rows, and what happens when a line of its kernel is changed; an index of -1 is the last one, as in Python.
n, m = sp.symbols("n m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
X, w = sp.IndexedBase("X", shape=(n, m)), sp.IndexedBase("w", shape=(m,))
ROWS = sp.Sum(sp.exp(sp.Sum(X[i, j] * w[j], (j, 0, m - 1))), (i, 0, n - 1))
FIRST = "= w[j]\n        for i in range(count):\n            total_1"  # where the value reads it, not the gradient
BROKEN = {
    "reads behind an input": (FIRST, FIRST.replace("[j]", "[j + 1]"), "after", "ended with -11"),
    "reads before an input": (FIRST, FIRST.replace("[j]", "[j - 3]"), "before", "ended with -11"),
    "writes behind a result": ("d_w[j] = d_w[j] +", "d_w[j + 1] = d_w[j] +", "after", "ended with -11"),
    "writes behind a buffer": ("total_1[i] = running_sum", "total_1[i + 1] = running_sum", "after", "beside a buffer"),
    "writes before a buffer": ("total_1[i] = running", "total_1[i - 129] = running", "after", "beside a buffer"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_touched_outside_is_noticed(how: str) -> None:
    old, new, side, told = BROKEN[how]
    source = symgrad.emit(ROWS)
    assert source.count(old) == 1
    block = np.ones((128, 2)), np.ones(2)  # whole blocks, so that their buffers end with them
    with pytest.raises(AssertionError, match=told):
        outcomes([Job(how, source.replace(old, new), "kernel", block, (0, 1))], side)
