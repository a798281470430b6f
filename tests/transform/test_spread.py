"""Dense Jacobians and Hessians of arrays: by differences of many digits, on every target."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from array_problems import ARRAY_PROBLEMS, MORE_PROBLEMS, ArrayProblem, array, positions
from mpmath import mp
from several import arrays
from symgrad_codegen.run import build
from symgrad_codegen.targets import TARGETS

from symgrad.emission import program_of
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly
from symgrad.evaluate.trials import trials
from symgrad.graph.graph import Graph, Output
from symgrad.options import Options
from symgrad.schedule.plan_text import plan_text
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.simplify import simplify
from symgrad.verify import verify_graph, verify_program

i = sp.Symbol("i", integer=True)


def differences(graph: Graph, outputs: Sequence[Output], problem: ArrayProblem, wrt: Sequence[int]) -> Any:
    """The derivatives of outputs by inputs, by central differences of 60 digits; by output and input."""
    graph = Graph(
        graph.table, graph.inputs, tuple(outputs), graph.shapes, integers=graph.integers, derived=graph.derived
    )
    found: dict[tuple[int, int], Any] = {}
    with mp.workdps(60):
        h = mpmath.mpf(10) ** -25
        for position in wrt:
            at = np.asarray(problem.point[position], float)
            columns = []
            for place in np.ndindex(at.shape):
                ends = []
                for sign in (1, -1):
                    moved = np.array([mpmath.mpf(float(x)) for x in at.ravel()], object).reshape(at.shape)
                    moved[place] += sign * h
                    point = [np.asarray(own) for own in problem.point]
                    point[position] = moved if at.shape else moved[()]
                    ends.append(evaluate_exactly(graph, point, problem.sizes, 60))
                columns.append([np.asarray((up - down) / (2 * h), float) for up, down in zip(*ends, strict=True)])
            for place in range(len(outputs)):
                stacked = np.stack([column[place] for column in columns], -1)
                found[place, position] = stacked.reshape((*stacked.shape[:-1], *at.shape))
    return found


@cache
def solved(name: str) -> tuple[ArrayProblem, Graph, Graph, list[Any]]:
    """A problem, its graph with values and with derivatives, and what the highest of these are."""
    return solution(ARRAY_PROBLEMS[name]())


def solution(problem: ArrayProblem) -> tuple[ArrayProblem, Graph, Graph, list[Any]]:
    wrt = positions(problem)
    graph = arrays(problem.values, problem.inputs)
    derived = derive(graph, Wanted(wrt, problem.derivative))
    verify_graph(derived, "differentiate", trials(graph))
    if problem.derivative == "jacobian":
        want = differences(graph, graph.values, problem, wrt)
        return problem, graph, derived, [want[o.of, *o.by] for o in derived.derivatives]
    first = derive(graph, Wanted(wrt, "jacobian"))
    rows = [Output(output.view, output.shape) for output in first.derivatives]
    want = differences(first, rows, problem, wrt)
    place = {(output.of, *output.by): number for number, output in enumerate(first.derivatives)}
    highest = [output for output in derived.derivatives if len(output.by) == 2]
    return problem, graph, derived, [want[place[o.of, o.by[0]], o.by[1]] for o in highest]


def assert_close(name: str, found: Sequence[Any], want: Sequence[Any], tolerance: float) -> None:
    for got, number in zip(found[-len(want) :], want, strict=True):
        assert np.shape(got) == np.shape(number)
        assert np.max(np.abs(got - number)) <= tolerance * (1 + np.max(np.abs(number))), name


# In float64; where large scores cancel an error of their last digit counts.
TOLERANCE = {"softmax of large scores": 1e-10}


# What is built for the CPU in every run; and what divides by 0 where that is masked, which plain Python refuses.
BUILT = {"chained Rosenbrock", "logistic regression"}
DIVIDES_BY_0 = {"Lennard-Jones"}


@pytest.mark.parametrize("name", ARRAY_PROBLEMS)
def test_problems(name: str) -> None:
    problem, graph, derived, want = solved(name)
    assert [o.by for o in derived.derivatives if len(o.by) == 2] == [
        (one, two)
        for place, one in enumerate(positions(problem))
        for two in positions(problem)[: place + 1]
        if problem.derivative == "hessian"
    ]
    for made in (derived, simplify(derived, ("cheaper", "spelling"))):
        assert_close(name, evaluate(made, problem.point, problem.sizes), want, TOLERANCE.get(name, 4e-15))
    verify_graph(simplify(derived, ("cheaper", "spelling")), "simplify", trials(graph))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ARRAY_PROBLEMS)
def test_targets(name: str, target: str, all_rows: bool) -> None:
    """The text of each is made of a program that is verified; what runs here, and is built in seconds, is run."""
    problem, graph, derived, want = solved(name)
    options = Options(target=target)
    simplified = simplify(derived, ("cheaper", "spelling"))
    program = program_of(simplified, graph, options)
    verify_program(program, graph)
    source = TARGETS[target].emit(program)
    is_run = {"cpu": name in BUILT or all_rows, "python": name not in DIVIDES_BY_0}
    if is_run.get(target):
        _, derivatives = build.load(source).kernel(*problem.point)
        assert_close(name, derivatives, want, TOLERANCE.get(name, 4e-14))


@pytest.mark.parametrize("name", MORE_PROBLEMS)
def test_more(name: str) -> None:
    problem, graph, derived, want = solution(MORE_PROBLEMS[name])
    simplified = simplify(derived, ("cheaper", "spelling"))
    for made in (derived, simplified):
        assert_close(name, evaluate(made, problem.point, problem.sizes), want, 2e-14)
    for target in TARGETS:
        verify_program(program_of(simplified, graph, Options(target=target)), graph)


def test_of_nothing() -> None:
    n = sp.Symbol("n", integer=True)
    x = array("x", n)
    graph = derive(arrays([(sp.Sum(sp.sin(x[i]), (i, 0, n - 1)), ())], [x]), Wanted((0,), "hessian"))
    assert [np.shape(own) for own in evaluate(graph, [np.zeros(0)], {"n": 0})] == [(), (0,), (0, 0)]


def test_the_hessian_of_a_logistic_regression_is_one_product_of_matrices() -> None:
    _, _, derived, _ = solved("logistic regression")
    text = plan_text(simplify(derived, ("cheaper", "spelling")))
    assert text.count("by BLAS") == 1, text
    assert "in pass 1" not in text
