"""First and second derivatives at kinks, edges and zeros, on every target: the rows of the tables of gates/.

Each row is one module of the target, called at its one point.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from symgrad_codegen.run import build
from symgrad_codegen.targets import TARGETS
from together import Batch

import symgrad
from symgrad.compiler import Stages
from symgrad.emission import program_of
from symgrad.evaluate.evaluation import evaluate
from symgrad.graph.graph import Graph
from symgrad.options import Options
from tests.codegen.test_cuda import needs_compiler
from tests.codegen.test_javascript import Job, needs_node, run
from tests.gates.test_gates import CONVENTIONS, Point, convention_graph, same
from tests.gates.test_second_derivatives import SECOND, derivatives

Row = tuple[str, sp.Expr, Point, tuple[float, ...]]
TABLES: dict[str, tuple[list[Row], Callable[[sp.Expr, int], Graph]]] = {
    "first": (CONVENTIONS, convention_graph),
    "second": (SECOND, derivatives),
}
ROWS = [(order, place) for order, (rows, _) in TABLES.items() for place in range(len(rows))]
by_row = pytest.mark.parametrize(("order", "place"), ROWS, ids=[f"{o}-{TABLES[o][0][p][0]}" for o, p in ROWS])


def graph_of(order: str, place: int) -> Graph:
    rows, make = TABLES[order]
    _, expr, point, _ = rows[place]
    return make(expr, len(point))


def source_of(order: str, place: int, target: str) -> str:
    graph = graph_of(order, place)
    return TARGETS[target].emit(program_of(graph, graph, Options(target, "float64", "fast")))


def flat(result: Any) -> list[float]:
    """What a module of one value, or of several, returns."""
    value, derivatives = result
    return [*map(float, value if isinstance(value, tuple | list) else [value]), *map(float, derivatives)]


def assert_right(order: str, place: int, call: Callable[[Point], Any]) -> None:
    _, _, point, want = TABLES[order][0][place]
    try:
        got = flat(call(point))
    except (ZeroDivisionError, OverflowError, ValueError):
        pytest.skip("Python raises here, where compiled code gives infinity or NaN")
    assert same(got, want, "float64"), got


@by_row
def test_python(order: str, place: int) -> None:
    module: dict[str, Any] = {}
    exec(source_of(order, place, "python"), module)
    assert_right(order, place, lambda point: module["kernel"](*point))


@needs_compiler
@pytest.mark.own_process(NUMBA_ENABLE_CUDASIM="1")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities on the way, which are no mistake
@by_row
def test_in_the_simulator(order: str, place: int) -> None:
    module = build.load(source_of(order, place, "cuda"))

    def call(point: Point) -> Any:
        value, rest = module.kernel_batch(*([float(number)] for number in point))
        several = value if isinstance(value, tuple) else (value,)
        return tuple(own[0] for own in several), [own[0] for own in rest]

    assert_right(order, place, call)


@needs_node
@pytest.mark.parametrize("order", TABLES)
def test_javascript(order: str, tmp_path: Path) -> None:
    rows, _ = TABLES[order]
    jobs = [Job(source_of(order, place, "javascript"), [row[2]]) for place, row in enumerate(rows)]
    found = [flat(results.points[0]) for results in run(tmp_path, jobs)]
    wrong = [f"{row[0]}: {got}" for row, got in zip(rows, found, strict=True) if not same(got, row[3], "float64")]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("accuracy", ["fast", "strict"])
@pytest.mark.parametrize("first", range(0, len(SECOND), 20))
def test_second_derivatives_compiled(first: int, accuracy: str) -> None:
    """The first ones are tried so in gates/test_gates.py."""
    places = range(len(SECOND))[first : first + 20]
    graphs = [graph_of("second", place) for place in places]
    batch = Batch(graphs, [[SECOND[place][2]] for place in places], "float64", accuracy, singly=True)
    wrong = []
    for results in (batch.results, batch.single):
        for place, outputs in zip(places, results, strict=True):
            got = [float(output[0]) for output in outputs]
            if not same(got, SECOND[place][3], "float64"):
                wrong.append(f"{SECOND[place][0]}: {got}")
    assert not wrong, "\n".join(wrong)


# --- sums over triangles ----------------------------------------------------------------------------------------------

n, i, j = sp.symbols("n i j", integer=True)
v, w = (sp.IndexedBase(name, shape=(n,)) for name in "vw")
SQUARE = (v[i] - v[j]) ** 2
# What is summed is infinite, or no number, where i = j: outside of the triangle.
TRIANGLES = {
    "quotients": sp.Sum(sp.Sum(w[i] / SQUARE, (j, 0, i - 1)), (i, 0, n - 1)),
    "powers": sp.Sum(sp.Sum(4 * (SQUARE**-6 - SQUARE**-3), (j, 0, i - 1)), (i, 0, n - 1)),
    "logarithms": sp.Sum(sp.Sum(sp.log(SQUARE), (j, i + 1, n - 1)), (i, 0, n - 1)),
    "inner": sp.Sum(sp.exp(sp.Sum(w[j] / (v[i] - v[j]), (j, 0, i - 1))), (i, 0, n - 1)),
    "unequal": sp.Sum(sp.Piecewise((w[j] / SQUARE, sp.Ne(i, j)), (0, True)), (i, 0, n - 1), (j, 0, n - 1)),
}


@pytest.mark.parametrize("derivative", ["gradient", "hessian"])
@pytest.mark.parametrize("name", TRIANGLES)
def test_python_raises_nothing_outside_of_a_triangle(name: str, derivative: str) -> None:
    stages = Stages(TRIANGLES[name], None, None, (), None, derivative)
    arrays = [np.linspace(0.5, 2.0, 6) ** (2 if symbol == v else 1) for symbol in stages.args]
    want = evaluate(stages.simplified, arrays, {"n": 6})
    module: dict[str, Any] = {}
    exec(symgrad.emit(TRIANGLES[name], target="python", derivative=derivative), module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, derivatives = module["kernel"](*arrays)
    for one, other in zip((value, *derivatives), want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(other).max())
