"""Random programs with arrays and matrices once more: their sparse Jacobians and Hessians against the dense ones.

Numbers have 40 digits, so that what differs is wrong. The dense ones are compared with differences in their own tests.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from programs import Program
from random_programs import FIXED, KINDS, all_right
from sparse import matrix_of, stacked

import symgrad
from symgrad.analysis.shapes import bind
from symgrad.compiler import Stages
from symgrad.evaluate.evaluation import evaluate_exactly
from symgrad.evaluate.trials import trials
from symgrad.graph.graph import sizes_of
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.simplify import simplify
from symgrad.verify import verify_graph

LARGEST = 30  # entries of all inputs together
DIGITS, SAME = 40, mpmath.mpf(10) ** -15
KINDS_AND_DERIVATIVES = [(kind, derivative) for kind in KINDS for derivative in ("jacobian", "hessian")]
MANY, NEW = 40, 10


@pytest.mark.parametrize(("kind", "derivative"), KINDS_AND_DERIVATIVES)
def test_random_programs(kind: str, derivative: str) -> None:
    """From a seed that stays."""
    assert all_right(kind, derivative, range(FIXED, FIXED + MANY), first_difference) > MANY / 20


@pytest.mark.parametrize(("kind", "derivative"), KINDS_AND_DERIVATIVES)
def test_new_random_programs(kind: str, derivative: str, random_count: int | None, fresh_seed: int) -> None:
    all_right(kind, derivative, range(fresh_seed, fresh_seed + (random_count or NEW)), first_difference)


def first_difference(program: Program) -> str | None:
    """What is wrong with the matrix of a program, in words; empty if nothing; None if it is not tried."""
    expression = program.expression
    if program.family is not None:
        expression = symgrad.family(expression, program.family)
    try:
        stages = Stages(expression, None, None, (), program.extents or None, program.derivative)
        graph, dense = stages.graphs["masked"], stages.graphs["simplified"]
        wrt = [stages.args.index(symbol) for symbol in stages.wrt]
        point = [np.asarray(program.inputs[symbol.name]) for symbol in stages.args]
        if graph.over_points or not 0 < sum(point[position].size for position in wrt) <= LARGEST:
            return None
        given = {size.name for size in sizes_of(graph)}
        extents = {name: int(own) for name, own in zip(graph.inputs, point, strict=True) if name in given}
        sizes = bind(graph.inputs, graph.shapes, [own.shape for own in point], extents)
        numbers = evaluate_exactly(dense, point, sizes, DIGITS)
    except (KeyError, ValueError):  # an extent that the program lacks, or an index that is no number
        return None
    is_hessian = program.derivative == "hessian"
    blocks = {
        tuple(output.by) if is_hessian else (output.of, *output.by): own
        for output, own in zip(dense.outputs, numbers, strict=True)
        if len(output.by) == (2 if is_hessian else 1)
    }
    want = stacked(dense, blocks, wrt, sizes, is_hessian)
    derived = derive(graph, Wanted(wrt, stages.derivative, is_sparse=True))
    verify_graph(derived, "differentiate", trials(graph))
    for found_in in (derived, simplify(derived, ("cheaper", "spelling"))):
        matrix, _ = matrix_of(found_in, point, sizes, DIGITS)
        scale = max([1, *(abs(own) for own in want.ravel() if mpmath.isfinite(own))])
        for place, own in np.ndenumerate(want):
            if mpmath.isfinite(own) and not abs(matrix[place] - own) <= SAME * scale:
                return f"{place} is {matrix[place]}, not {own} of {program}"
    return ""
