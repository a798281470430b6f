"""Random scalar programs by every engine against the oracle, from a seed that is always the same, and some new ones.

`--random N` runs N new ones instead of some hundreds; scalar_programs.py is the script for more.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from scalar_programs import Figures, program, run
from together import bits

import symgrad

FIXED = 11
COUNT = 400
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node, which runs JavaScript, is not installed")


def assert_right(figures: Figures) -> None:
    lines = [f"{failure.program.name}: {failure}" for failure in (figures.found or {}).values()]
    assert not figures.failures, "\n".join([f"{figures.failures} of {figures.programs} programs", *lines])
    assert figures.unknown < figures.numbers / 3


@pytest.mark.parametrize("part", range(4))
def test_interpreted(part: int) -> None:
    numbers = range(part * COUNT, (part + 1) * COUNT)
    assert_right(run(FIXED, numbers, ["evaluator", "exact", "python"], 10))
    assert_right(run(FIXED, numbers[::4], ["evaluator_32"], 10))


@pytest.mark.parametrize("derivative", ["jacobian", "hessian"])
def test_several_outputs_and_second_derivatives_interpreted(
    derivative: str, random_count: int | None, fresh_seed: int
) -> None:
    """From a seed that stays, and new ones."""
    engines = ["evaluator", "exact", "python"]
    assert_right(run(FIXED, range(COUNT // 4), engines, 10, derivative))
    assert_right(run(fresh_seed, range(random_count or COUNT // 8), engines, 10, derivative))
    assert_right(run(FIXED, range(0, COUNT // 4, 4), ["evaluator_32"], 10, derivative))


@pytest.mark.parametrize("derivative", ["jacobian", "hessian"])
def test_several_outputs_and_second_derivatives_compiled(
    derivative: str, random_count: int | None, fresh_seed: int
) -> None:
    seed = FIXED + 1 if random_count is None else fresh_seed
    assert_right(run(seed, range((random_count or 160) // 10), ["cpu"], 10, derivative))


@needs_node
def test_several_outputs_and_second_derivatives_in_javascript(random_count: int | None) -> None:
    for derivative in ("jacobian", "hessian"):
        assert_right(run(FIXED + 2, range((random_count or COUNT) // 10), ["javascript"], 10, derivative))


def test_new_ones_interpreted(random_count: int | None, fresh_seed: int) -> None:
    numbers = range(random_count or COUNT)
    assert_right(run(fresh_seed, numbers, ["evaluator", "exact", "python"], 10))
    assert_right(run(fresh_seed, numbers[::4], ["evaluator_32"], 10))


@pytest.mark.parametrize("engine", ["cpu", "cpu_strict", "cpu_32"])
def test_compiled(engine: str, random_count: int | None, fresh_seed: int) -> None:
    seed = FIXED + 1 if random_count is None else fresh_seed  # compiling takes a second for a dozen
    assert_right(run(seed, range((random_count or 160) // 10), [engine], 10))


@needs_node
def test_javascript(random_count: int | None) -> None:
    assert_right(run(FIXED + 2, range((random_count or COUNT) // 5), ["javascript"], 10))


@pytest.mark.parametrize("number", range(2))
def test_strides_and_out(number: int) -> None:
    """What the arrays look like in memory changes no bit."""
    made = program(FIXED + 3, number)
    kernel = symgrad.compile(made.expr, made.symbols)
    columns = [np.array([point[i] for point in made.points * 50]) for i in range(len(made.symbols))]
    plain = kernel(*columns)
    strided = [np.repeat(column, 3)[::3] for column in columns]
    reversed_ = [column[::-1].copy()[::-1] for column in columns]
    outputs = kernel(*columns, out=symgrad_result(plain))
    for other in (kernel(*strided), kernel(*reversed_), outputs):
        for one, two in zip([plain.value, *plain.grad], [other.value, *other.grad], strict=True):
            assert bits(one) == bits(two)


def symgrad_result(like: object) -> object:
    """Arrays of NaN of the same shapes."""
    value, grad = like  # type: ignore[misc]
    return type(like)(np.full_like(value, np.nan), type(grad)(np.full_like(array, np.nan) for array in grad))  # type: ignore[call-arg]
