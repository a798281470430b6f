"""Random programs with arrays and matrices against the oracle, and the programs that were once wrong.

pytest tests/whole/test_random_programs.py --random 1000     # new ones of each kind, beside those of a fixed seed

random_programs.py is the script that makes each failure small.
"""

from __future__ import annotations

import os
import subprocess
import sys

import programs
import pytest
import random_programs
from random_programs import FIXED, KINDS, campaign_of
from trials import QUICK, tried

from tests.codegen.test_cuda import environment, needs_compiler
from tests.codegen.test_javascript import needs_node

# As plain Python: those of the fixed seed, and new ones. Others take longer, and there are fewer of them.
MANY = {"arrays": (600, 150), "matrices": (250, 60)}


def test_programs_that_were_once_wrong() -> None:
    found = {name: tried(program) for name, program in programs.KNOWN.items()}
    assert not {name: outcome.why for name, outcome in found.items() if outcome.kind != "right"}


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_random_programs_agree_with_the_oracle(kind: str, part: int) -> None:
    """From a seed that stays."""
    count = MANY[kind][0] // 4
    assert_right(kind, FIXED + part * count, count)


@pytest.mark.parametrize("kind", KINDS)
def test_new_random_programs_agree_with_the_oracle(kind: str, random_count: int | None, fresh_seed: int) -> None:
    assert_right(kind, fresh_seed, random_count or MANY[kind][1])


@pytest.mark.parametrize("kind", KINDS)
def test_hessians_of_random_programs_agree_with_the_oracle(
    kind: str, random_count: int | None, fresh_seed: int
) -> None:
    """From a seed that stays, and new ones."""
    assert_right(kind, FIXED, 30, "hessian")
    assert_right(kind, fresh_seed, random_count or 10, "hessian")


def test_jacobians_of_random_programs_agree_with_the_oracle(random_count: int | None, fresh_seed: int) -> None:
    """Of outputs along an index. From a seed that stays, and new ones."""
    assert_right("arrays", FIXED, 60, "jacobian")
    assert_right("arrays", fresh_seed, random_count or 20, "jacobian")


def assert_right(kind: str, start: int, count: int, derivative: str = "gradient") -> None:
    campaign = campaign_of(kind, QUICK, range(start, start + count), derivative)
    assert not campaign.failures, f"{campaign.figures()}\nseeds from {start}"
    assert campaign.outcomes["refused"] < max(3, count / 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("way", "share", "variables"),
    [
        ("compiled", 15, {"NUMBA_BOUNDSCHECK": "1"}),
        pytest.param("cuda", 10, {"NUMBA_ENABLE_CUDASIM": "1"}, marks=needs_compiler),
        pytest.param("javascript", 2, {}, marks=needs_node),
    ],
)
def test_random_programs_are_right(
    kind: str, way: str, share: int, variables: dict[str, str], random_count: int | None, fresh_seed: int
) -> None:
    """Compiled with bounds checks, in the simulator of a GPU, in Node: some few, and with --random new ones."""
    count = max(1, (random_count or 60) // share)
    seed = FIXED if random_count is None else fresh_seed
    command = [sys.executable, random_programs.__file__, kind, str(count), "--seed", str(seed), "--runs", way]
    variables = environment(PYTHONPATH=os.pathsep.join(sys.path), **variables)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
