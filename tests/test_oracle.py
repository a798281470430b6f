"""The oracle against closed forms by NumPy and against central differences of itself."""

from __future__ import annotations

import oracle
import pytest
from array_corpus import SIZES
from test_arrays import CASES


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_the_closed_forms(name: str) -> None:
    case = CASES[name]
    arrays = case.arrays("small")
    sizes = {name: number for name, number in (SIZES["small"] | case.sizes).items() if name not in arrays}
    want = oracle.evaluate(case.expression(), arrays, sizes)
    assert not want.differences(case.value(**arrays), case.gradients(**arrays))
