"""Random expressions: right, the same text everywhere, the bits of plain Python, a point alone as in a batch."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from reference import EPS, agrees, evaluate, explain, plan, reference
from symgrad_codegen.targets import TARGETS
from together import Batch, bits, gradient_graph, interpreted

import symgrad
from symgrad.compiler import Stages
from symgrad.emission import program_of
from symgrad.evaluate.evaluation import Evaluator, evaluate_exactly
from symgrad.explore.circuit import LEVELS, circuit
from symgrad.graph.graph import Graph, views_of
from symgrad.graph.rows import graph_of, rows_of
from symgrad.options import Options

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS = sp.symbols("a b c")
steady = settings(deadline=None, derandomize=True, max_examples=60, database=None)

# Safe on (-2, 2): no poles there, and values stay of moderate size.
UNARY = [
    sp.sin,
    sp.cos,
    sp.tanh,
    sp.atan,
    sp.erf,
    sp.asinh,
    sp.Abs,
    lambda e: sp.exp(sp.sin(e)),
    lambda e: sp.log(2 + e**2),
    lambda e: sp.sqrt(1 + e**2),
    lambda e: 1 / (1 + sp.exp(-e)),
    lambda e: 1 / (2 + sp.cos(e)),
    lambda e: (3 + sp.sin(e)) ** sp.Rational(7, 3),
    lambda e: sp.tanh(e) ** 3,
    lambda e: -e,
    lambda e: sp.log(1 + sp.exp(e)),
]
BINARY = [
    lambda e, f: e + f,
    lambda e, f: e - f,
    lambda e, f: e * f,
    lambda e, f: sp.tanh(e) / (2 + sp.sin(f)),
    lambda e, f: (2 + sp.sin(e)) ** sp.cos(f),
    sp.Max,
    sp.Min,
    lambda e, f: sp.atan2(e, 1 + f**2),
    lambda e, f: sp.sqrt(e**2 + f**2 + 1),
    lambda e, f: sp.Piecewise((e, e > f), (f**2, True)),
    lambda e, f: sp.Piecewise((sp.log(e), e > sp.Rational(1, 2)), (sp.sqrt(-f), f < 0), (e * f, True)),
]
LEAVES = [*SYMBOLS, *SYMBOLS, sp.Integer(2), sp.Rational(1, 3), sp.pi, sp.Float("0.1"), -sp.Integer(1)]
# Numbers that are not on kinks: ties and zeros have conventions, which are tested elsewhere.
numbers = st.integers(-199, 199).filter(bool).map(lambda k: k / 100 + 0.0012345)


@st.composite
def expressions(draw: st.DrawFn, operations: int = 9) -> sp.Expr:
    """A random graph of operations, in which earlier results are used again."""
    parts: list[sp.Expr] = [draw(st.sampled_from(LEAVES)) for _ in range(3)] + [draw(st.sampled_from(SYMBOLS))]
    for _ in range(draw(st.integers(2, operations))):
        recent = st.integers(max(0, len(parts) - 5), len(parts) - 1)
        if draw(st.booleans()):
            made = draw(st.sampled_from(UNARY))(parts[draw(recent)])
        else:
            made = draw(st.sampled_from(BINARY))(parts[draw(recent)], parts[draw(recent)])
        if made.is_finite is not False and not made.has(sp.I, sp.nan, sp.zoo, sp.oo):
            parts.append(made)
    return parts[-1]


points = st.tuples(numbers, numbers, numbers)
# Each step may round, and what it rounded is carried on as if its inputs had been: so the effect of rounding the
# inputs is allowed once for every operation, beside what `agrees` allows.
CARRIED = 16


def differences(expr: sp.Expr, point: tuple[float, ...], got: list[Any], dtype: str = "float64") -> list[str]:
    want = reference(expr, SYMBOLS, point)
    rows = [(want.value, want.value_sensitivity)]
    rows += zip(want.gradient, want.gradient_sensitivity, strict=True)
    # Sums that cancel inside: an absolute error of the size of the largest intermediate result.
    with mp.workdps(30):
        steps = plan(expr)
        at = dict(zip(SYMBOLS, (mp.mpf(a) for a in point), strict=True))
        inside = [evaluate(steps[: k + 1], at) for k in range(len(steps)) if isinstance(steps[k].node, sp.Expr)]
        largest = max(
            [abs(v) for v in inside if mp.isfinite(v)] + [abs(d) for d in want.gradient if mp.isfinite(d)] + [1]
        )
    return [
        explain(float(g), number, effect, dtype)
        for g, (number, effect) in zip(got, rows, strict=True)
        if not agrees(float(g), number, CARRIED * effect + EPS * largest**2, dtype)
    ]


@steady
@given(expressions(), points)
def test_interpreted_value_and_gradient(expr: sp.Expr, point: tuple[float, ...]) -> None:
    got = interpreted(gradient_graph(expr, SYMBOLS), point)
    assert not differences(expr, point, got), (str(expr), point)


@steady
@given(expressions(), points, st.sampled_from(LEVELS))
def test_circuit(expr: sp.Expr, point: tuple[float, ...], level: str) -> None:
    """The numbers of the circuit are right, and obey the chain rule at every gate."""
    stages = Stages(expr, SYMBOLS, None, ())
    made = circuit(stages.graph, stages.gradient.wrt, level)
    numbers = [float(n) for n in Evaluator(made.graph.with_values(slot.view for slot in made.slots)).floats(point)]
    gradients = {step.node.attribute: step.gradient for step in made.steps if step.kind == "input"}
    places = [made.steps[made.output].value, *(gradients.get(position) for position in made.graph.wrt)]
    assert not differences(expr, point, [0.0 if place is None else numbers[place] for place in places])
    for number, (step, readers) in enumerate(zip(made.steps, made.readers(), strict=True)):
        wires = [made.steps[reader].wires[place] for reader, place in readers]
        parts = [numbers[wire.contribution] for wire in wires if wire.contribution is not None]
        if step.gradient is not None:
            total = math.fsum(parts) + (number == made.output)
            slack = 1e-12 * max(map(abs, parts), default=1.0)
            assert math.isclose(numbers[step.gradient], total, rel_tol=1e-12, abs_tol=slack)


@steady
@given(expressions(), points)
def test_laws_change_nothing_at_fifty_digits(expr: sp.Expr, point: tuple[float, ...]) -> None:
    stages = Stages(expr, SYMBOLS, None, ())
    with mp.workdps(60):
        for before, after in (
            (stages.graph, stages.gradient.with_values(views_of(stages.gradient.values))),
            (stages.gradient, stages.simplified),
        ):
            pairs = zip(*(evaluate_exactly(graph, point, digits=60) for graph in (before, after)), strict=True)
            for want, got in pairs:
                assert mp.isnan(want) == mp.isnan(got)
                assert not mp.isfinite(want) or abs(got - want) <= mp.mpf(10) ** -40 * (1 + abs(want)), str(expr)


@steady
@given(expressions())
def test_no_two_nodes_are_equal(expr: sp.Expr) -> None:
    nodes = gradient_graph(expr, SYMBOLS).order()
    keys = set()
    for node in nodes:
        arguments = [edge.node.number for edge in node.arguments]
        keys.add((node.gate.name, *(sorted(arguments) if node.gate.commutative else arguments), node.attribute))
    assert len(keys) == len(nodes)


@steady
@given(expressions())
def test_rows_give_the_graph_again(expr: sp.Expr) -> None:
    from symgrad.gates.table import GATES

    graph = gradient_graph(expr, SYMBOLS)
    again = graph_of(rows_of(graph), GATES)
    assert rows_of(again) == rows_of(graph)


@steady
@given(expressions())
def test_python_target_is_valid_source(expr: sp.Expr) -> None:
    compile(symgrad.emit(expr, SYMBOLS, target="python"), "emitted", "exec")


# --- compiled ---------------------------------------------------------------------------------------------------------

COUNT = 16  # expressions in the kernel
LENGTH = 600  # points: more than two blocks


@cache
def sample() -> tuple[list[sp.Expr], list[Graph]]:
    """Expressions as hypothesis draws them, always the same."""
    found: list[sp.Expr] = []

    @settings(deadline=None, derandomize=True, max_examples=COUNT * 3, database=None)
    @given(expressions())
    def collect(expr: sp.Expr) -> None:
        if expr.free_symbols and expr not in found:
            found.append(expr)

    collect()
    chosen = found[-COUNT:]  # the first ones are the simplest
    return chosen, [gradient_graph(expr, SYMBOLS) for expr in chosen]


@cache
def inputs(dtype: str) -> list[tuple[float, ...]]:
    generator = np.random.default_rng(7)
    table = (generator.integers(-199, 199, (LENGTH, 3)) / 100 + 0.0012345).astype(dtype)
    return [tuple(map(float, row)) for row in table]


@cache
def batch(accuracy: str, dtype: str) -> Batch:
    return Batch(sample()[1], [inputs(dtype)] * COUNT, dtype, accuracy, singly=True)


MODES = [("fast", "float64"), ("strict", "float64"), ("fast", "float32"), ("strict", "float32")]


@pytest.mark.parametrize(("accuracy", "dtype"), MODES)
def test_compiled_value_and_gradient(accuracy: str, dtype: str) -> None:
    wrong = []
    for expr, outputs in zip(sample()[0], batch(accuracy, dtype).results, strict=True):
        for p in (0, 1):
            point = inputs(dtype)[p]
            wrong += [f"{expr} at {point}: {e}" for e in differences(expr, point, [o[p] for o in outputs], dtype)]
    assert not wrong, "\n".join(wrong)


def columns(dtype: str) -> list[np.ndarray]:
    return [np.array(column, dtype) for column in zip(*inputs(dtype), strict=True)] * COUNT


def outputs_of(module: Any, given: list[np.ndarray]) -> list[np.ndarray]:
    value, gradient = module.kernel_batch(*given)
    return [value, *gradient]


@pytest.mark.parametrize(("accuracy", "dtype"), MODES)
def test_a_point_alone_is_the_point_in_a_batch(accuracy: str, dtype: str) -> None:
    module = batch(accuracy, dtype).module
    given = columns(dtype)
    whole = outputs_of(module, given)
    for start, stop in [(0, 1), (1, 2), (17, 18), (599, 600), (0, 63), (3, 67), (5, 261), (1, 600), (250, 515)]:
        part = outputs_of(module, [column[start:stop].copy() for column in given])
        for one, all_of_it in zip(part, whole, strict=True):
            assert bits(one) == bits(all_of_it[start:stop]), (start, stop)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_strict_scalar_calls_have_the_bits_of_the_batch(dtype: str) -> None:
    found = batch("strict", dtype)
    for expr, alone, together in zip(sample()[0], found.single, found.results, strict=True):
        for one, many in zip(alone, together, strict=True):
            assert bits(one) == bits(many), str(expr)


# Runs modules point by point; "raised" where plain Python raises (a domain error, a division by zero, an overflow).
PLAIN = """
import importlib.util, sys
sys.modules.update(symgrad=None, symgrad_codegen=None)
import numpy as np
np.seterr(all="ignore")
folder, count = sys.argv[1], int(sys.argv[2])
columns = np.load(folder + "/in.npy")
for k in range(count):
    spec = importlib.util.spec_from_file_location(f"plain_{k}", f"{folder}/plain_{k}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for row in columns:
        try:
            value, gradient = module.kernel(*row)
            print(*(float(number).hex() for number in (value, *gradient)))
        except (ValueError, ZeroDivisionError, OverflowError):
            print("raised")
"""
PLAIN_POINTS = 30


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_strict_has_the_bits_of_plain_python(dtype: str, tmp_path: Path) -> None:
    found, exprs = batch("strict", dtype), sample()[0]
    options = Options("cpu", dtype, "strict")
    free = [k for k, g in enumerate(sample()[1]) if not {"hypot", "gamma"} & {node.gate.name for node in g.order()}]
    for place, graph in enumerate(sample()[1][k] for k in free):
        text = TARGETS["cpu"].emit(program_of(graph, graph, options))
        (tmp_path / f"plain_{place}.py").write_text(text, encoding="utf-8")
    np.save(tmp_path / "in.npy", np.array(inputs(dtype)[:PLAIN_POINTS], dtype))
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path), str(len(free))],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(free) * PLAIN_POINTS
    assert lines.count("raised") < len(lines) // 3
    different = []
    for place, line in enumerate(lines):
        k, p = free[place // PLAIN_POINTS], place % PLAIN_POINTS
        compiled = " ".join(float(output[p]).hex() for output in found.results[k])
        if line not in ("raised", compiled):
            different.append(f"{exprs[k]} at {inputs(dtype)[p]}: plain {line}, compiled {compiled}")
    assert not different, "\n".join(different[:10])


SAME_TEXT = f"""
import hashlib, itertools, sys
sys.path[:0] = {[str(ROOT), str(ROOT / "codegen"), str(ROOT / "tests" / "corpus")]!r}
import sympy as sp, symgrad, array_corpus
from symgrad_codegen.targets import TARGETS
names = "a b c x10 x2 theta alpha1 alpha2 w_0 w_1 mu sigma"
s = sp.symbols(names)
f = sum(sp.sin(u*v) * sp.exp(-u**2) for u in s for v in s if u.name < v.name) + sp.Max(*s) + sp.Mul(*s)
f += sp.Piecewise((s[0]*s[1], (s[2] > 0) & (s[3] > 0) | (s[4] < 1)), (sp.log(sum(map(sp.exp, s))), True))
for target in ("cpu", "python"):
    print(symgrad.emit(f, target=target))
print(symgrad.emit("t = p*q + r\\nsin(t)**2 + Max(t, p, q) + t/(1 + exp(-r))"))
# Of arrays each row for one target: a set that is gone through as it comes shows in some of them.
for case, target in zip(array_corpus.CORPUS, itertools.cycle([name for name, own in TARGETS.items() if own.arrays])):
    try:
        text = symgrad.emit(case.expression(), target=target)
    except symgrad.UnsupportedExpression as error:
        text = str(error)
    print(case.name, target, hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_text_in_every_process() -> None:
    texts = {
        subprocess.run(
            [sys.executable, "-c", SAME_TEXT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    lines = {line for text in texts for line in text.splitlines()}
    assert len(texts) == 1, [line for line in lines if not all(line in text for text in texts)]
