"""The target javascript over arrays: every row of the tables in Node, and what a module takes and refuses."""

from __future__ import annotations

from typing import Any

import array_corpus
import identities
import numpy as np
from array_corpus import SIZES, ArrayCase
from node_arrays import Flat, Job, run
from test_arrays import assert_agrees, poisoned
from test_javascript import needs_node

import symgrad
from symgrad.compiler import Stages

CASES = [*array_corpus.CORPUS, *identities.CORPUS]
WAYS = {"long": "Float64Array", "small": "nested", "other": "Float64Array"}


def emit(expr: Any, *args: Any, **options: Any) -> str:
    return symgrad.emit(expr, *args, target="javascript", **options)


def given(case: ArrayCase, names: list[str], arrays: dict[str, Any], way: str) -> list[Any]:
    return [Flat(arrays[name], way) if np.ndim(arrays[name]) else arrays[name] for name in names]


@needs_node
def test_every_row_agrees_with_its_reference() -> None:
    """At all sizes, arrays given in another way at each, and with NaN where nothing is read."""
    jobs, wants = [], []
    for case in CASES:
        expression = case.expression()
        stages = Stages(expression, None, None, ())
        names, wrt = ([symbol.name for symbol in symbols] for symbols in (stages.args, stages.wrt))
        arrays = {size: case.arrays(size) for size in SIZES}
        calls = [given(case, names, arrays[size], way) for size, way in WAYS.items()]
        if case.unread:
            calls.append(given(case, names, poisoned(case, "small"), "Array"))
        source = emit(expression)
        jobs += [Job(source, calls[1:]), Job(source, calls[:1], guarded=False)]  # of the long ones entries are many
        wants += [(case, wrt, [arrays[size] for size in ("small", "other", "small")]), (case, wrt, [arrays["long"]])]
    wrong = []
    for found, (case, wrt, arrays) in zip(run(jobs), wants, strict=True):
        for call, clean in zip(found.calls, arrays, strict=False):
            try:
                assert not isinstance(call, str), call
                value, gradient = call
                assert_agrees(symgrad.Result(value, dict(zip(wrt, gradient, strict=True))), case, clean)
            except AssertionError as error:
                wrong.append(f"{case.name}: {error}")
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)
