"""The passes by name, what each makes as text, and the plan with its reasons."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest
import sympy as sp
from symgrad_codegen.program import Pass, Product

import symgrad
from benchmarks.large_expressions import KINDS
from symgrad.compiler import STAGES, Stages, stage_text
from symgrad.emission import program_of, source_of
from symgrad.lower.lower import lower
from symgrad.options import Options
from symgrad.schedule.plan_text import plan_text
from symgrad.transform.pipeline import PASSES
from symgrad.transform.simplify import simplify

NET = """
X: matrix(n, d)
W: matrix(d, c)
w: vector(d)
scores = X @ W
sum(tanh(scores[i,j])**2 for i in range(n) for j in range(c)) + sum(exp(w[k]) for k in range(d))
"""


def test_every_pass_is_a_stage() -> None:
    assert STAGES == ("graph", "stable", "scattered", "masked", "gradient", "simplified", "plan", "program", "source")
    stages = Stages("log(1 + exp(x*y))", None, None, ())
    assert list(stages.graphs) == list(STAGES[:6])
    for step in PASSES:
        assert stage_text(step.result, "log(1 + exp(x*y))") == str(stages.graphs[step.result])
        assert stages.seconds[step.name] > 0.0


def test_stages_do_what_they_say() -> None:
    x = sp.Symbol("x")
    stages = Stages(sp.Piecewise((sp.log(1 + sp.exp(x)) + sp.log(x), x > 0), (0, True)), None, None, ())
    gates = {name: {node.gate.name for node in graph.order()} for name, graph in stages.graphs.items()}
    assert "softplus" in gates["stable"] - gates["graph"]
    assert "abs" in gates["masked"] - gates["stable"]  # of the safe point of a logarithm
    assert not stages.graphs["masked"].derivatives
    assert stages.graphs["gradient"].derivatives
    assert "softplus" in gates["gradient"] - gates["simplified"]  # which no target spells


def test_laws_that_fired_are_counted() -> None:
    x, y = sp.symbols("x y")
    laws = symgrad.compile(sp.log(1 + sp.exp(x * y))).stats["laws"]
    assert laws["log_sum_exp"] == 1
    fired: Counter[str] = Counter()
    simplify(lower(sp.log(1 + sp.exp(x * y)))[0], ("stabler", "sharing", "cheaper"), fired)
    assert fired["log_sum_exp"] == 1
    assert symgrad.compile(x + y).stats["laws"] == {}


def test_graphs_speak_of_what_the_user_wrote() -> None:
    text = str(Stages("q = x + y\nq*z*2", None, None, ()).graph)
    assert "= input x\n" in text
    assert "= constant 2\n" in text
    assert "# q\n" in text
    text = str(Stages(NET, None, None, ()).graph)
    assert "= input X[n, d]\n" in text
    assert "# 2 axes\n" in text
    odd = sp.Symbol("a\x1b[31m\nb")
    assert r"input a\x1b[31m\nb" in str(Stages(odd**2, None, None, ()).graph)


@pytest.mark.parametrize(
    "line",
    [
        ": symbolic extent, work 6.01e+09, size 1000  <- the data",
        "in pass 0:",
        "before pass 1:",
        "stored, a reduction",
        "stored, a factor of a product of matrices",
        "    d_W: an array, gradient",
        ": by BLAS",
    ],
)
def test_the_plan_gives_its_reasons(line: str) -> None:
    assert line in stage_text("plan", NET)


@pytest.mark.parametrize(("extents", "products"), [({}, 3), ({"d": 4, "c": 3}, 0)])
def test_the_program_does_what_the_plan_says(extents: dict[str, int], products: int) -> None:
    stages = Stages(NET, None, None, (), extents)
    options = Options("cpu", "float64", "fast")
    program = program_of(stages.simplified, stages.definition, options)
    made = [step for own in program.steps for step in (own.steps if isinstance(own, Pass) else [own])]
    assert sum(isinstance(step, Product) for step in made) == products
    text = plan_text(stages.simplified)
    assert text.count(": by BLAS") == products
    passes = [own for own in program.steps if isinstance(own, Pass)]
    assert text.count("in pass ") == len(passes)
    (marked,) = (line for line in text.splitlines() if line.endswith("<- the data"))
    assert marked.split(":")[0].strip() == passes[0].axis


def test_why_a_contraction_is_no_product_of_matrices() -> None:
    small = stage_text("plan", NET, extents={"d": 4, "c": 3})
    assert ": it is too small" in small
    assert "by BLAS" not in small
    triangle = "X: matrix(n, n)\nsum(sum(X[i,k]*X[k,j] for k in range(i))**2 for i in range(n) for j in range(n))"
    assert ": its loops depend on each other" in stage_text("plan", triangle)


def test_nothing_to_plan() -> None:
    assert "nothing to plan" in plan_text(Stages("x*y", None, None, ()).simplified)
    assert "none: nothing is summed over" in stage_text("plan", "x: vector(n)\nx[0]**2")


@pytest.mark.parametrize(("at", "wanted"), [((2.0, 3.0), (9.0, 0.0, 6.0)), ((1.0, 1e300), (0.0, 0.0, 0.0))])
def test_a_kronecker_delta_of_numbers_chooses(at: tuple[float, float], wanted: tuple[float, float, float]) -> None:
    """Where its numbers differ nothing of the product is there, be it infinite."""
    k, x = sp.symbols("k x")
    result = symgrad.compile(sp.KroneckerDelta(k, 2) * x**2)(*at)
    assert (result.value, *result.grad) == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_four_times_the_expression_is_four_times_the_work(kind: str) -> None:
    """By calls of Python's functions, which no other load changes; each property of an output is asked once."""
    size = KINDS[kind].sizes[0]
    larger = size + 2 if kind == "determinant" else 4 * size  # a determinant has 2**rows minors
    first, second = _calls_an_operation(KINDS[kind].make(size)), _calls_an_operation(KINDS[kind].make(larger))
    assert second < 1.1 * first


def _calls_an_operation(expression: sp.Expr) -> float:
    """How often a function of Python's is called, from lowering to emission."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        stages = Stages(expression, None, None, ())
        source_of(stages.simplified, stages.definition, Options())
    finally:
        sys.setprofile(before)
    return calls / float(stages.stats()["operations"])
