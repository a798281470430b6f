"""The oracle against closed forms by NumPy and against central differences of itself."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import oracle
import pytest
from array_corpus import SIZES
from mpmath import mp
from programs import Choices
from random_programs import KINDS

from tests.evaluate.test_arrays import CASES


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_the_closed_forms(name: str) -> None:
    case = CASES[name]
    arrays = case.arrays("small")
    sizes = {name: number for name, number in (SIZES["small"] | case.sizes).items() if name not in arrays}
    want = oracle.evaluate(case.expression(), arrays, sizes)
    assert not want.differences(case.value(**arrays), case.gradients(**arrays))


@pytest.mark.parametrize("name", [*list(CASES)[::12]])
def test_gradients_agree_with_central_differences(name: str) -> None:
    case = CASES[name]
    arrays = case.arrays("small")
    sizes = {name: number for name, number in (SIZES["small"] | case.sizes).items() if name not in arrays}
    assert_slopes(case.expression(), arrays, sizes)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_random_programs_agree_with_central_differences(kind: str) -> None:
    checked = 0
    for seed in range(25):
        program = KINDS[kind](Choices(random.Random(seed)))
        if sum(np.size(value) for value in program.inputs.values()) < 60:
            try:
                assert_slopes(program.expression, program.inputs, program.extents)
            except (oracle.Undecided, ZeroDivisionError):
                continue
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("kind", KINDS)
def test_hessians_of_random_programs_agree_with_differences_of_gradients(kind: str) -> None:
    """By four corners, some pairs of entries each; where the four quarters differ there is a kink."""
    checked = 0
    for seed in range(25):
        program = KINDS[kind](Choices(random.Random(seed)))
        try:
            want = oracle.evaluate(program.expression, program.inputs, program.extents, order=2)
        except (oracle.Undecided, oracle.TooLarge, ZeroDivisionError):
            continue
        pairs = [
            (one, two, at)
            for (one, two), block in want.hessian.items()
            for at in list(np.ndindex(block.shape))[:: 1 + block.size // 2]
        ]
        for one, two, at in random.Random(seed).sample(pairs, min(4, len(pairs))):
            axes = np.ndim(program.inputs[one])
            found, is_smooth = corners(program, (one, at[:axes]), (two, at[axes:]))
            entry = float(want.hessian[one, two][at])
            if is_smooth and np.isfinite(entry):
                scale = max(1.0, abs(entry), want.hessian_slacks[one, two][at] * 1e-10)
                assert abs(found - entry) < 1e-7 * scale, f"{program}: d2_{one}_{two}{list(at)}"
                checked += 1
    assert checked > 10


@mp.workdps(oracle.DIGITS + 40)
def corners(program: Any, *places: tuple[str, tuple[int, ...]]) -> tuple[float, bool]:
    """A second derivative by central differences with steps of two sizes, and whether these agree."""
    found = []
    for step in (mp.mpf(10) ** -12, mp.mpf(10) ** -11):
        total = mp.mpf(0)
        for signs in itertools.product((1, -1), repeat=2):
            inputs = dict(program.inputs)
            for (name, at), sign in zip(places, signs, strict=True):
                array = np.frompyfunc(lambda entry: mp.mpf(entry), 1, 1)(np.asarray(inputs[name], object))
                array = np.array(array, object)
                array[at] = array[at] + sign * step
                inputs[name] = array
            value = oracle.exact_value(program.expression, inputs, program.extents)
            total += signs[0] * signs[1] * value
        found.append(float(total / (4 * step**2)))
    return found[0], abs(found[0] - found[1]) < 1e-6 * max(1.0, abs(found[0]))


@mp.workdps(oracle.DIGITS)
def assert_slopes(expression: Any, inputs: Any, sizes: Any) -> None:
    """By steps of 1e-12 at 40 digits. At a kink there is no slope, and our conventions are met by other tests."""
    want = oracle.evaluate(expression, inputs, sizes)
    if not np.isfinite(want.value):
        return
    step = mp.mpf(10) ** -12
    for name, gradient in want.gradients.items():
        exact = np.frompyfunc(lambda entry: mp.mpf(float(entry)), 1, 1)(np.asarray(inputs[name], object))
        for at in list(np.ndindex(gradient.shape))[:: 1 + gradient.size // 6]:  # some entries
            moved = []
            for sign in (1, -1, 0):
                array = np.array(exact, object)
                array[at] = array[at] + sign * step
                moved.append(oracle.exact_value(expression, {**inputs, name: array}, sizes))
            ahead, behind = (moved[0] - moved[2]) / step, (moved[2] - moved[1]) / step
            scale = max(1.0, abs(float(gradient[at])), want.slacks[name][at] * 1e-10)
            if abs(ahead - behind) < 1e-6 * scale:
                assert abs(float((ahead + behind) / 2) - gradient[at]) < 1e-8 * scale, f"d_{name}{list(at)}"
