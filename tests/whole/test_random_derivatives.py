"""Random programs with arrays and matrices once more: their Hessians against differences of their gradients.

All numbers have 60 digits, so that what differs is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp
from programs import Program
from random_programs import FIXED, KINDS, all_right

from symgrad.analysis.shapes import bind
from symgrad.compiler import Stages
from symgrad.emission import program_of
from symgrad.evaluate.evaluation import evaluate_exactly
from symgrad.evaluate.trials import trials
from symgrad.graph.graph import Graph, sizes_of
from symgrad.options import Options
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.simplify import simplify
from symgrad.verify import verify_graph, verify_program

LARGEST = 14  # entries of all inputs together
DIGITS, STEP, SAME = 60, -25, -12
# Beside a pole or a kink differences say nothing.
STEEP = mpmath.mpf(10) ** 20

MANY = {"arrays": (40, 10), "matrices": (40, 10)}


@pytest.mark.parametrize("kind", KINDS)
def test_random_programs(kind: str) -> None:
    """From a seed that stays."""
    assert all_right(kind, "gradient", range(FIXED, FIXED + MANY[kind][0]), first_difference) > MANY[kind][0] / 4


@pytest.mark.parametrize("kind", KINDS)
def test_new_random_programs(kind: str, random_count: int | None, fresh_seed: int) -> None:
    seeds = range(fresh_seed, fresh_seed + (random_count or MANY[kind][1]))
    all_right(kind, "gradient", seeds, first_difference)


def first_difference(program: Program) -> str | None:
    """What is wrong with the Hessian of a program, in words; empty if nothing; None if it is not tried."""
    stages = Stages(program.expression, None, None, (), program.extents or None)
    graph = stages.graphs["masked"]
    wrt = [stages.args.index(symbol) for symbol in stages.wrt]
    point = [np.asarray(program.inputs[symbol.name]) for symbol in stages.args]
    if graph.over_points or not 0 < sum(point[position].size for position in wrt) <= LARGEST:
        return None
    given = {size.name for size in sizes_of(graph)}
    extents = {name: int(own) for name, own in zip(graph.inputs, point, strict=True) if name in given}
    sizes = bind(graph.inputs, graph.shapes, [own.shape for own in point], extents)
    derived = derive(graph, Wanted(wrt, "hessian"))
    simplified = simplify(derived, ("cheaper", "spelling"))
    for made_of in (derived, simplified):
        verify_graph(made_of, "differentiate", trials(graph))
    verify_program(program_of(simplified, graph, Options(target="python")), graph)
    want = columns(stages.gradient, wrt, point, sizes)
    for made_of in (derived, simplified):
        for output, block in zip(made_of.outputs, evaluate_exactly(made_of, point, sizes, DIGITS), strict=True):
            if len(output.by) == 2:
                row, column = output.by
                for at in np.ndindex(point[column].shape):
                    wanted = np.asarray(want[column, at][wrt.index(row)], object)
                    for place in np.ndindex(point[row].shape):
                        found = np.asarray(block, object)[place + at]
                        if not agrees(found, wanted[place]):
                            numbers = f"{mpmath.nstr(found, 9)}, not {mpmath.nstr(wanted[place], 9)}"
                            return f"{made_of.name_of(output)}{[*place, *at]} is {numbers} of {program}"
    return ""


def agrees(found: Any, want: Any) -> bool:
    if not mpmath.isfinite(want) or abs(want) > STEEP:
        return True
    return bool(mpmath.isfinite(found) and abs(found - want) < mpmath.mpf(10) ** SAME * (1 + abs(want)))


def columns(gradient: Graph, wrt: Sequence[int], point: Sequence[Any], sizes: Any) -> Any:
    """The derivatives of all gradients by each entry, by input and place."""
    rows = replace(gradient, outputs=tuple(replace(output, by=()) for output in gradient.derivatives))
    found: dict[Any, Any] = {}
    with mp.workdps(DIGITS):
        h = mpmath.mpf(10) ** STEP
        for position in wrt:
            for at in np.ndindex(point[position].shape):
                ends = []
                for sign in (1, -1):
                    moved = np.array([mpmath.mpf(float(own)) for own in point[position].ravel()], object)
                    moved = moved.reshape(point[position].shape)
                    moved[at] += sign * h
                    near = [*point[:position], moved if moved.shape else moved[()], *point[position + 1 :]]
                    ends.append(evaluate_exactly(rows, near, sizes, DIGITS))
                pairs = [(np.asarray(up, object), np.asarray(down, object)) for up, down in zip(*ends, strict=True)]
                found[position, at] = [(up - down) / (2 * h) for up, down in pairs]
    return found
