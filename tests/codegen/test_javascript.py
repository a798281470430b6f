"""The target javascript: modules that Node runs, against plain Python and mpmath, whatever the names are."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS, EDGES, Case, is_near, points
from mpmath import mp
from reference import EPS, reference, ulp
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.targets import TARGETS
from symgrad_codegen.targets.javascript import target as javascript
from symgrad_codegen.targets.javascript.functions import functions_of
from symgrad_codegen.text.expressions import WIDTH
from together import gradient_graph, together

import symgrad
from symgrad.cli import main
from symgrad.emission import program_of
from symgrad.errors import UnsupportedExpression
from symgrad.gates.table import GATES
from symgrad.graph.graph import Graph, over_points
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View
from symgrad.language.parse import parse
from symgrad.options import Options
from symgrad.transform.differentiate import differentiate
from tests.codegen.test_emit import ATTACKS, GOLDENS, LONG_POINTS, attacked, emitted, expected, lengthened
from tests.gates.test_gates import CASES, CONVENTIONS, off, rounded_points, same, spelled, wanted

x, y, z = sp.symbols("x y z")
NAN, INF = math.nan, math.inf
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node, which runs JavaScript, is not installed")

# --- running JavaScript -----------------------------------------------------------------------------------------------

RUNNER = """
import { readFileSync } from "node:fs";

const number = (value) => (typeof value === "string" ? Number(value) : value);
// JSON has no infinities, no NaN and no negative zero.
const text = (value) => (Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value));
const plain = (value) =>
    typeof value === "number" ? text(value) : typeof value === "object" ? Array.from(value, plain) : value;
const attempt = (call) => {
    try {
        return plain(call());
    } catch (error) {
        return String(error);
    }
};

const found = [];
for (const [file, name, points, batches] of JSON.parse(readFileSync(new URL("jobs.json", import.meta.url)))) {
    const module = await import(file);
    found.push({
        names: [module.ARGUMENTS, module.WRT],
        points: points.map((point) => attempt(() => module[name](...point.map(number)))),
        batches: batches.map((batch) =>
            attempt(() => module[`${name}_batch`](...batch.map((c) => (Array.isArray(c) ? c.map(number) : number(c)))))
        ),
    });
}
console.log(JSON.stringify(found));
"""


class Job(NamedTuple):
    """A module, and what to call it with: points, and batches of columns."""

    source: str
    points: Sequence[Sequence[float]] = ()
    batches: Sequence[Sequence[Any]] = ()
    name: str = "kernel"


class Found(NamedTuple):
    """What a module exports, and what it returned; a text in place of a result is what was thrown."""

    arguments: list[str]
    wrt: list[str]
    points: list[Any]
    batches: list[Any]


def run(folder: Path, jobs: Sequence[Job]) -> list[Found]:
    """All of the modules in one process of Node."""
    rows = []
    for place, job in enumerate(jobs):
        assert_fits_into_a_page(job.source)
        (folder / f"module_{place}.mjs").write_text(job.source, encoding="utf-8")
        rows.append((f"./module_{place}.mjs", job.name, _coded(job.points), _coded(job.batches)))
    (folder / "jobs.json").write_text(json.dumps(rows, allow_nan=False), encoding="utf-8")
    (folder / "run.mjs").write_text(RUNNER, encoding="utf-8")
    done = subprocess.run([str(NODE), str(folder / "run.mjs")], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return [
        Found(*row["names"], *(_decoded(row[key]) for key in ("points", "batches"))) for row in json.loads(done.stdout)
    ]


def _coded(value: Any) -> Any:
    if isinstance(value, float | int):
        return float(value) if math.isfinite(value) and value else str(float(value)).replace("inf", "Infinity")
    return [_coded(item) for item in value]


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    number = isinstance(value, str) and re.fullmatch(r"-?0|NaN|-?Infinity", value)
    return float(value) if number or (isinstance(value, int) and not isinstance(value, bool)) else value


def flat(result: Any) -> list[float]:
    """The value and the derivatives of one point."""
    value, gradient = result
    return [value, *gradient]


def assert_fits_into_a_page(source: str) -> None:
    """Nothing in the text ends the script element that it may stand in, or opens a comment of the page."""
    assert not re.search(r"</script|<script|<!--", source, re.IGNORECASE)


def emit(expr: Any, *args: Any, **options: Any) -> str:
    return symgrad.emit(expr, *args, target="javascript", **options)


def printed(graph: Graph, target: str = "javascript", dtype: str = "float64") -> str:
    """The module of a graph that is already as it is emitted."""
    options = Options(target, dtype, "fast")
    return TARGETS[target].emit(program_of(graph, graph, options))


def python_results(source: str, points: Sequence[Sequence[float]], dtype: str = "float64") -> list[list[float] | None]:
    """The kernel of a Python module at points; None where Python raises, as in a branch that is not taken."""
    module: dict[str, Any] = {}
    exec(source, module)
    found: list[list[float] | None] = []
    for point in points:
        try:
            with np.errstate(all="ignore"):
                numbers = module["kernel"](*(np.float32(a) if dtype == "float32" else a for a in point))
            found.append([float(number) for number in flat(numbers)])
        except (ValueError, ZeroDivisionError):
            found.append(None)
    return found


# --- the corpus -------------------------------------------------------------------------------------------------------

# In units in the last place or of what one rounding of the inputs does, whichever is larger.
FROM_EXACT = 16  # far out, black_scholes loses this many on every target
FROM_PYTHON = 4

CORPUS_MODES = [(case, "float64") for case in CORPUS] + [(case, "float32") for case in CORPUS[::5] if not case.hard]


@needs_node
def test_corpus(tmp_path: Path) -> None:
    """Every formula beside mpmath and plain Python: at one point of each, as references take long."""
    jobs, by_python = [], []
    for case, dtype in CORPUS_MODES:
        source = symgrad.emit(case.text, target="python", dtype=dtype)
        points = arguments_at(case, source, dtype, 1)
        jobs.append(Job(emit(case.text, dtype=dtype), points))
        by_python += python_results(source, points, dtype)
    wrong = []
    for (case, dtype), job, python, found in zip(CORPUS_MODES, jobs, by_python, run(tmp_path, jobs), strict=True):
        expr = parse(case.text).expression
        symbols = {symbol.name: symbol for symbol in expr.free_symbols}
        want = reference(expr, [symbols[name] for name in found.arguments], job.points[0])
        wants = [want.value, *want.gradient]
        effects = [want.value_sensitivity, *want.gradient_sensitivity]
        got = flat(found.points[0])
        for place, (label, number) in enumerate(zip(["value", *found.wrt], got, strict=True)):
            at = f"{case.name}, {dtype}, {label}: {number!r}"
            if not units(number, wants[place], effects[place], dtype) <= FROM_EXACT:
                wrong.append(f"{at}, and mpmath has {mp.nstr(wants[place], 20)}")
            if python and not units(number, mp.mpf(python[place]), effects[place], dtype) <= FROM_PYTHON:
                wrong.append(f"{at}, and Python has {python[place]!r}")
    assert not wrong, "\n".join(wrong)


@needs_node
def test_special_points(tmp_path: Path) -> None:
    """Zeros, ties, saturation, infinities: the closed forms."""
    jobs = [Job(emit(edge.text), [edge.point]) for edge in EDGES]
    wrong = []
    for edge, found in zip(EDGES, run(tmp_path, jobs), strict=True):
        got = flat(found.points[0])
        wrong += [] if is_near(got, edge.wanted) else [f"{edge.name}: {edge.text} at {edge.point}: {got}"]
    assert not wrong, "\n".join(wrong)


@needs_node
def test_operations_have_the_bits_of_python(tmp_path: Path) -> None:
    """The same operations in the same order: where formulas call only those that IEEE 754 defines."""
    jobs, by_python = [], []
    for case, dtype in CORPUS_MODES:
        text = emit(case.text, dtype=dtype)
        if set(re.findall(r"[\w.]+(?=\()", kernel_text(text))) <= {"fround", "Math.abs", "Math.floor", "sqrt"}:
            source = symgrad.emit(case.text, target="python", dtype=dtype)
            jobs.append(Job(text, arguments_at(case, source, dtype, 20)))
            by_python.append(python_results(source, jobs[-1].points, dtype))
    assert len(jobs) > 40
    for job, want, found in zip(jobs, by_python, run(tmp_path, jobs), strict=True):
        assert [flat(result) for result in found.points] == want, job.source


def arguments_at(case: Case, source: str, dtype: str, count: int) -> list[list[float]]:
    """Points of a formula, in the order of the arguments of its Python module, rounded to `dtype`."""
    names = re.findall(r'"(\w+)"', re.findall(r"^ARGUMENTS = (\(.*?\))$", source, re.MULTILINE | re.DOTALL)[0])
    columns = points(case, count)
    return [[float(np.dtype(dtype).type(columns[name][k])) for name in names] for k in range(count)]


def kernel_text(source: str) -> str:
    """The body of the one-point function, without comments."""
    body = source.split("export function kernel(")[1].split("\n}\n")[0].split("\n", 1)[1]
    return re.sub(r"//.*", "", body)


def units(got: float, want: Any, sensitivity: Any, dtype: str) -> float:
    """How far a number is off, in units in the last place or of the effect of rounding, whichever is larger."""
    with mp.workdps(60):
        unit = max(ulp(want, dtype), sensitivity * mp.mpf(float(np.finfo(dtype).eps)) / EPS)
        return float(abs(mp.mpf(got) - want) / unit)


# --- every gate, and conventions --------------------------------------------------------------------------------------

GATE_MODES = [(case, "float64") for case in CASES] + [(case, "float32") for case in CASES[::5]]
GATE_ULPS = 8


@needs_node
def test_every_gate(tmp_path: Path) -> None:
    """Value and derivatives at ordinary points and at trouble points, against mpmath."""
    points = [rounded_points(case, dtype) for case, dtype in GATE_MODES]
    sources = [printed(spelled(case), dtype=dtype) for case, dtype in GATE_MODES]
    wrong = []
    found = run(tmp_path, [Job(source, at) for source, at in zip(sources, points, strict=True)])
    for (case, dtype), at, results in zip(GATE_MODES, points, found, strict=True):
        for point, result in zip(at, results.points, strict=True):
            for place, (got, (want, effect)) in enumerate(zip(flat(result), wanted(case, point), strict=True)):
                line = off(got, want, effect, dtype, GATE_ULPS)
                wrong += [f"{case.id}{point}, {dtype}, output {place}: {line}"] if line else []
    assert not wrong, "\n".join(wrong)


@needs_node
def test_conventions(tmp_path: Path) -> None:
    """At kinks, poles, and in branches that are not taken."""
    graphs = [gradient_graph(expr, (x, y, z)[: len(point)]) for _, expr, point, _ in CONVENTIONS]
    jobs = [Job(printed(graph), [row[2]]) for graph, row in zip(graphs, CONVENTIONS, strict=True)]
    wrong = []
    for (name, expr, point, want), found in zip(CONVENTIONS, run(tmp_path, jobs), strict=True):
        got = flat(found.points[0])
        if not same(got, want, "float64"):
            wrong.append(f"{name}: {expr} at {point}: got {got}, want {want}")
    assert not wrong, "\n".join(wrong)


# --- functions that JavaScript lacks ----------------------------------------------------------------------------------


def of_gate(name: str, arity: int) -> str:
    """The module of one gate, without its gradient."""
    table = InternTable(dict(GATES))
    inputs = [table.input(place, (0,)) for place in range(arity)]
    return printed(over_points(table, tuple("abcd"[:arity]), (inputs[0].call(name, *inputs[1:]),)))


_NEAR = [0.3, 0.01, 1e-5, 1e-10, 1e-15]
_SMALL = [1e-300, 1e-100, 1e-20, 1e-9, 1e-3]
_TO_13 = np.linspace(0.07, 12.9, 80).tolist()
_ROOT = 1.4616321449683622  # the number next to the zero of digamma
_SIZES = (1e-320, 3e-250, 1e-9, 0.7, 5e140, 1e308)

# name: exact function, points of one or two arguments
SPECIAL: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "erf": (mp.erf, [s * a for s in (1, -1) for a in [*_SMALL, *np.linspace(0.05, 7, 60), 30.0]]),
    "erfc": (
        mp.erfc,
        [*_SMALL, *(-a for a in _SMALL), *np.linspace(-7, 26.5, 90), 0.5, 26.0, 26.543, 27.2, 28.5, 500.0],
    ),
    "gamma": (
        mp.gamma,
        [*_SMALL, *_TO_13, *(-a for a in _TO_13), *np.linspace(12, 171.6, 40), *np.linspace(-189.3, -12.2, 40)]
        + [s * k + d for s in (1, -1) for k in (1, 2, 7, 12, 40) for d in _NEAR if k + d > k],
    ),
    "loggamma": (
        mp.loggamma,
        [*_SMALL, *_TO_13, 0.75, 3.0, 12.0, 40.5, 1e5, 1e100, 1e305]
        + [k + s * d for k in (1, 2) for s in (1, -1) for d in _NEAR],
    ),
    "digamma": (
        mp.digamma,
        [*_SMALL, *(-a for a in _SMALL), *_TO_13, 0.75, 3.0, 10.0, 40.5, 1e5, 1e100]
        + [_ROOT + s * d for s in (1, 0, -1) for d in _NEAR]
        + [-k + s * d for k in (1, 2, 12) for s in (1, -1) for d in _NEAR[1:4]],
    ),
    "sinc_slope": (
        lambda a: (mp.cos(a) - mp.sin(a) / a) / a,
        [s * a for s in (1, -1) for a in [*_SMALL[1:], *np.linspace(0.05, 4.4, 60)]],
    ),
    "polygamma": (
        lambda n, a: mp.psi(int(n), a),
        [(n, a) for n in (1.0, 2.0, 3.0) for a in [*_TO_13, 1e-50, 1e-9, 20.5, 1e5, 1e90]]
        + [(n, -k + s * d) for n in (1.0, 3.0) for k in (0, 1, 2, 12) for s in (1, -1) for d in _NEAR[:4]],
    ),
    "bessel_ratio": (
        lambda n, a: mp.hyp0f1(n + mp.mpf(3) / 2, -a * a / 4) / mp.fac2(2 * n + 1),
        [(n, s * a) for n in (1.0, 2.0, 3.0) for s in (1, -1) for a in [*_SMALL, *np.linspace(0.05, 4.4, 60)]],
    ),
    "where_larger": (
        lambda a, b, taken, tie: taken if a > b else mp.mpf(0) if a < b else tie,
        [(a, b, 3.0, 1.5) for a in (-1.0, 0.0, 2.0) for b in (-1.0, 0.0, 2.0)],
    ),
    "cbrt": (mp.cbrt, [*_SMALL, *_TO_13, 8.0, 1e100, 1e300]),
    "hypot": (mp.hypot, [(a, s * a * b) for a in _SIZES for b in (1, 0.9, 3e-4, 1e-8, 1e-17, 0) for s in (1, -1)]),
    "pow": (
        mp.power,
        [(a, b) for a in (1e-200, 0.3, 0.99999, 1.0000001, 2.0, 17.3) for b in (-300.5, -1.5, 1e-9, 0.3, 2.5, 250.1)],
    ),
}
FUNCTION_ULPS = 6


@needs_node
def test_special_functions(tmp_path: Path) -> None:
    """A few units in the last place, also far out, beside poles, and relative to zeros."""
    points = [[tuple(map(float, np.atleast_1d(at))) for at in row[1]] for row in SPECIAL.values()]
    jobs = [Job(of_gate(name, len(at[0])), at) for name, at in zip(SPECIAL, points, strict=True)]
    wrong = []
    for (name, (exact, _)), at, found in zip(SPECIAL.items(), points, run(tmp_path, jobs), strict=True):
        for point, (got, _) in zip(at, found.points, strict=True):
            with mp.workdps(400 if name == "sinc_slope" else 50):  # cos(x) and sin(x)/x may agree to 200 digits
                want = exact(*map(mp.mpf, point))
            line = off(got, want, mp.mpf(0), "float64", FUNCTION_ULPS)
            wrong += [f"{name}{point}: {line}"] if line else []
    assert not wrong, "\n".join(wrong)


_EDGES = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -3.5, INF, -INF, NAN]
_PAIRS = [(a, b) for a in _EDGES for b in _EDGES]


@needs_node
def test_edges(tmp_path: Path) -> None:
    """Zeros with signs, infinities and NaN: as NumPy and IEEE 754 have it."""
    a, b = np.array(_PAIRS).T
    one = np.array(_EDGES)
    with np.errstate(all="ignore"):
        rows = {
            "pow": np.power(a, b),
            "mod": np.mod(a, b),
            "max": np.where((a > b) | np.isnan(a), a, b),
            "min": np.where((a < b) | np.isnan(a), a, b),
            "hypot": np.hypot(a, b),
            "atan2": np.arctan2(a, b),
            "sign": np.where(one == 0, one, np.sign(one)),
            "abs": np.abs(one),
            "sqrt": np.abs(np.sqrt(one)),
            "cbrt": np.where(one < 0, NAN, np.abs(np.cbrt(one))),
            "erf": [math.erf(at) for at in _EDGES],
            "erfc": [math.erfc(at) for at in _EDGES],
            "gamma": [_gamma(at) for at in _EDGES],
            "loggamma": [_loggamma(at) for at in _EDGES],
            "digamma": [_digamma(at) for at in _EDGES],
        }
    points = [_PAIRS if len(want) == len(_PAIRS) else [(at,) for at in _EDGES] for want in rows.values()]
    jobs = [Job(of_gate(name, len(at[0])), at) for name, at in zip(rows, points, strict=True)]
    wrong = []
    for (name, want), at, found in zip(rows.items(), points, run(tmp_path, jobs), strict=True):
        for point, number, (got, _) in zip(at, map(float, want), found.points, strict=True):
            if not same([got], (number,), "float64") or (number == 0 and np.signbit(number) != np.signbit(got)):
                wrong.append(f"{name}{point}: got {got}, want {number}")
    assert not wrong, "\n".join(wrong)


def _gamma(at: float) -> float:
    if at == 0:
        return math.copysign(INF, at)
    return NAN if at == -INF or (at < 0 and at == math.floor(at)) else math.gamma(at)


def _loggamma(at: float) -> float:
    return math.lgamma(at) if at > 0 else INF if at == 0 else NAN


def _digamma(at: float) -> float:
    if not math.isfinite(at):
        return INF if at > 0 else NAN
    return NAN if at <= 0 and at == math.floor(at) else float(mp.digamma(at))


# --- what a module is -------------------------------------------------------------------------------------------------

RICH = sp.exp(-(x**2)) * sp.sin(y) / (1 + z**2) + sp.Max(x, y) * sp.Rational(1, 3) + sp.pi * sp.log(z)
POINTS_OF_RICH = [(0.5, 1.25, 2.5), (-1.0, 0.25, 0.125), (2.0, -3.0, 7.0)]


@needs_node
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_batches(dtype: str, tmp_path: Path) -> None:
    columns = [list(column) for column in zip(*POINTS_OF_RICH, strict=True)]
    none = symgrad.emit(sp.Integer(3), target="javascript", dtype=dtype)
    jobs = [
        Job(emit(RICH, dtype=dtype), POINTS_OF_RICH, [columns, [[], [], []]]),
        Job(none, [()], [()]),
        Job(emit(RICH, wrt=(), dtype=dtype), POINTS_OF_RICH, [columns]),
    ]
    rich, constant, value = run(tmp_path, jobs)
    values, gradient = rich.batches[0]
    rows = [[v, list(g)] for v, *g in zip(values, *gradient, strict=True)]
    assert rows == rich.points  # bit for bit
    assert rich.batches[1] == [[], [[], [], []]]
    assert constant.points == [[3.0, []]]
    assert constant.batches == [[[3.0], []]]
    assert value.points == [[v, []] for v in values]
    assert value.batches == [[values, []]]


@needs_node
def test_batches_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    wrong = [[[1.0, 2.0], [1.0]], [[1.0, 2.0]], [3.0, [1.0]], [3.0, 4.0], [[1.0], 4.0]]
    (found,) = run(tmp_path, [Job(emit(x * y, name="energy"), (), wrong, "energy")])
    for message in found.batches:
        assert re.match(r"RangeError: energy_batch takes arrays of one length, not of lengths ", message)


@needs_node
def test_float32_rounds_every_operation(tmp_path: Path) -> None:
    """The bits of NumPy's float32, operation by operation; arguments are rounded too."""
    f = (x + y / 3) * z - sp.sqrt(x * y) / (z + x * y * z) + sp.Mod(x, y)
    points = [(0.1, 0.2, 0.3), (1e-30, 1e30, 3e8), (1e20, 1e25, 1e-5), (1 / 3, 7.7, 123456.789)]
    rounded = [tuple(float(np.float32(a)) for a in point) for point in points]
    want = python_results(symgrad.emit(f, target="python", dtype="float32"), rounded, "float32")
    (found,) = run(tmp_path, [Job(emit(f, dtype="float32"), [*points, *rounded])])
    got = [flat(result) for result in found.points]
    np.testing.assert_array_equal(got, [*want, *want])
    assert not np.isfinite(got).all()  # beyond the range of float32
    np.testing.assert_array_equal(got, np.float32(got))


def several(count: int) -> tuple[Graph, Callable[[float, float], list[Any]]]:
    """A graph of several values, conditions among them, and what they are."""
    table = InternTable(dict(GATES))
    a, b = (table.input(i, (0,)) for i in range(2))
    values = [a * b, a < b, (a < b).call("not").call("and", b > 0), a, a * b, table.constant(2)]
    values += [a * k + b for k in range(2, count - len(values) + 2)]

    def want(p: float, q: float) -> list[Any]:
        first = [p * q, p < q, not p < q and q > 0, p, p * q, 2.0]
        return first + [p * k + q for k in range(2, count - len(first) + 2)]

    return over_points(table, ("a", "b"), tuple(values)), want


@needs_node
@pytest.mark.parametrize("count", [6, 400])
def test_several_values(count: int, tmp_path: Path) -> None:
    graph, want = several(count)
    points = [(2.0, 3.0), (3.0, 2.0), (-1.0, -1.5)]
    columns = [list(column) for column in zip(*points, strict=True)]
    with_gradient = differentiate(graph, range(2))
    plain, both = run(tmp_path, [Job(printed(g), points, [columns]) for g in (graph, with_gradient)])
    assert plain.points == [[want(*point), []] for point in points]
    assert [type(value) for value in plain.points[0][0]][:4] == [float, bool, bool, float]
    assert both.points == [[want(p, q), [q, p]] for p, q in points]
    assert plain.batches == [[[list(map(float, row)) for row in zip(*(want(*p) for p in points), strict=True)], []]]
    assert both.batches[0][1] == [columns[1], columns[0]]


def nested(generator: np.random.Generator) -> Graph:
    """Operators nested in each other at random, conditions too; nothing is divided by zero."""

    def one(views: Sequence[View]) -> View:
        return views[generator.integers(len(views))]

    def word(words: str) -> str:
        return str(generator.choice(words.split()))

    table = InternTable(dict(GATES))
    a, b, c = inputs = [table.input(place, (0,)) for place in range(3)]
    not_zero = [a, b, c, -a, a * b, a / b, table.constant(-2)]
    roots: list[View] = []
    for _ in range(30):
        numbers, conditions = [*inputs, table.constant(-2)], [a < b, b < c]
        for _ in range(4):  # each step on what the last one made
            numbers.append(one(numbers[-3:]).call(word("add mul max min"), one(numbers), one(numbers)))
            numbers.append(one(numbers[-2:]).call(word("div mod"), one(not_zero)))
            numbers.append(one(conditions[-2:]).where(one(numbers[-2:]), one(numbers)))
            numbers.append(one(numbers[-3:]).call(word("neg abs")))
            conditions.append(one(numbers[-4:]).call(word("lt le eq ne"), one(numbers)))
            conditions.append(one(conditions[-3:]).call(word("and or"), conditions[-1], one(conditions)))
            conditions.append(one(conditions[-2:]).call("not"))
        roots += [*numbers[-2:], *conditions[-2:]]
    return over_points(table, ("a", "b", "c"), tuple(roots))


@needs_node
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_brackets(dtype: str, tmp_path: Path) -> None:
    """The bits of Python, whatever stands inside of what."""
    generator = np.random.default_rng(0)
    graphs = [nested(generator) for _ in range(5)]
    points = [tuple(generator.choice([-1.5, -1.0, 0.5, 1.0, 2.25], 3).tolist()) for _ in range(12)]
    jobs = [Job(printed(graph, dtype=dtype), points) for graph in graphs]
    for graph, job, found in zip(graphs, jobs, run(tmp_path, jobs), strict=True):
        module: dict[str, Any] = {}
        exec(printed(graph, "python", dtype), module)
        for point, (got, _) in zip(points, found.points, strict=True):
            with np.errstate(all="ignore"):
                want, _ = module["kernel"](*(module["real"](a) for a in point))
            np.testing.assert_array_equal(np.array(got, float), np.array(want, float), job.source)


@needs_node
def test_a_large_body(tmp_path: Path) -> None:
    """Sums are accumulated as their terms arrive: a name that is assigned again is no constant."""
    names = sp.symbols("s:40")
    f = sp.Add(*(a * b / (a + b * b) for k, a in enumerate(names) for b in names[k + 1 : k + 5]))
    point = [0.5 + k / 8 for k in range(40)]
    text = emit(f, names)
    assert re.search(r"^    let (\w+) = .*^    \1 = \1 ", text, re.MULTILINE | re.DOTALL)
    (found,) = run(tmp_path, [Job(text, [point])])
    assert [flat(found.points[0])] == python_results(symgrad.emit(f, names, target="python"), [point])


def test_the_value_of_one_point_reads_as_python_does() -> None:
    text = emit(sp.Piecewise((x, (x < y) & (y < z) | ~(z < x)), (-2 * x, sp.Ne(x, y)), (sp.sin(x), True)))
    assert " && " in text
    assert " || " in text
    assert re.search(r" \? .* : ", text)
    assert "-2 * x" in text
    assert not re.search(r"[^=!]==[^=]|!=[^=]", kernel_text(text))
    assert "Math.sin(" in text
    assert not re.search(r"\b(None|True|False|and|or|not|nan|inf)\b", kernel_text(text))


@pytest.mark.parametrize("name", [name for name, row in GOLDENS.items() if row[1].get("target") == "javascript"])
@needs_node
def test_golden_text_runs(name: str, tmp_path: Path) -> None:
    _, options, point, want = GOLDENS[name]
    (found,) = run(tmp_path, [Job(emitted(name), [point], [[[a] * 3 for a in point]])])
    tolerance = 1e-12 if options.get("dtype") != "float32" else 1e-6
    assert flat(found.points[0]) == pytest.approx(want, rel=tolerance)
    assert [row[2] for row in flat(found.batches[0])] == flat(found.points[0])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "expr.txt"
    path.write_text("(x + y)*z", encoding="utf-8")
    assert main(["emit", str(path), "--target", "javascript"]) == 0
    assert capsys.readouterr().out == emit("(x + y)*z")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_text_twice_in_short_lines(dtype: str) -> None:
    text = emit(everything(), dtype=dtype)
    assert text == emit(everything(), dtype=dtype)
    assert all(len(line) <= WIDTH + 4 and line == line.rstrip() for line in text.splitlines())
    assert text.endswith("}\n")
    assert not re.search(r"\b(import|require)\b", text)


def everything() -> sp.Expr:
    """An expression that calls every function of the run-time text."""
    terms = [sp.erf(x), sp.erfc(y), sp.gamma(z), sp.loggamma(x), sp.sinc(y), sp.cbrt(z), sp.Mod(x, y), x**y]
    return sp.Add(*terms, sp.Max(x, y), sp.Min(y, z), sp.sqrt(x**2 + z**2))


# --- names ------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "</script><b>",
    "<!--",
    "<script>",
    "-->",
    "*/",
    "//",
    "${x}",
    "`",
    "\u2028",
    "π",
    "x y",
    "async",
    "of",
    "get",
]
HOSTILE += """
    await var new function let class static enum this null true false typeof void super yield interface package private
    protected public implements arguments eval undefined NaN Infinity Math fround Float64Array Array WRT
""".split()
HOSTILE += ["constructor", "__proto__", "window", "globalThis", "℘", "a·b", "ℵ", "Ⅷ", "ª", "\U0001d4b3", "\u2113"]


@needs_node
@pytest.mark.parametrize("uses", ["no functions", "functions"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_names_are_only_names(uses: str, dtype: str, tmp_path: Path) -> None:
    names = list(dict.fromkeys([*ATTACKS, *HOSTILE, *sorted(javascript.reserved()), *FUNCTIONS]))
    expr, symbols = attacked(names, uses)
    text = emit(expr, symbols, dtype=dtype)
    point = [0.25 + k / 1024 for k in range(len(symbols))]
    (found,) = run(tmp_path, [Job(text, [point], [[[a, a] for a in point]])])
    assert found.arguments == found.wrt
    assert len(set(found.arguments)) == len(symbols)
    assert not set(found.arguments) & javascript.reserved()
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    assert flat(found.points[0]) == pytest.approx(expected(point, uses), rel=tolerance)
    assert [row[1] for row in flat(found.batches[0])] == flat(found.points[0])


@needs_node
def test_the_name_of_the_kernel(tmp_path: Path) -> None:
    names = ["energy", "values", "gradient", "value", "arrays", "lengths", "count", "x", "d_x", "run", "of"]
    jobs = [Job(emit(sp.erf(0 * y) + x * y, (x, y), name=name), [(2.0, 3.0)], [[[2.0], [3.0]]], name) for name in names]
    for found in run(tmp_path, jobs):
        assert found.points == [[6.0, [3.0, 2.0]]]
        assert found.batches == [[[6.0], [[3.0], [2.0]]]]


@needs_node
@pytest.mark.parametrize("length", [100, 1000])
def test_names_of_any_length(length: int, tmp_path: Path) -> None:
    short, long = run(
        tmp_path, [Job(emit(parse(text)), [(0.5, 0.75)]) for text in (LONG_POINTS, lengthened(LONG_POINTS, length))]
    )
    assert long.points == short.points
    assert long.arguments == ["X" * length, "Y" * length]


@needs_node
def test_a_kernel_takes_any_name_or_refuses_it(tmp_path: Path) -> None:
    f = sp.erf(x) * y + sp.gamma(y) + sp.Mod(x, y)
    jobs, refused = [], set()
    for name in sorted({*re.findall(r"[A-Za-z_]\w*", emit(f)), "_"}):
        try:
            jobs.append(Job(emit(f, name=name), [(0.5, 1.25)], [[[0.5], [1.25]]], name))
        except ValueError:
            refused.add(name)
    first, *others = run(tmp_path, [Job(emit(f), [(0.5, 1.25)], [[[0.5], [1.25]]]), *jobs])
    assert not [
        job.name
        for job, found in zip(jobs, others, strict=True)
        if (found.points, found.batches) != (first.points, first.batches)
    ]
    assert {"function", "at_every_point", "erf", "Math"} <= refused
    assert not {"i", "inputs", "kernel", "gradient", "_"} & refused


@pytest.mark.parametrize(
    "name", ["function", "Math", "at_every_point", "erfc_tail", "ERFC_FIT", "erf", "await", "fround"]
)
def test_a_kernel_with_a_name_of_the_module_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        emit(x * y, name=name)


def test_a_name_that_is_an_identifier_stays_as_it_is() -> None:
    names = ["gamma", "exp", "theta", "Größe", "λ", "_private", "i", "count", "value", "polynom", "of"]
    text = emit(sp.Mul(*sp.symbols(" ".join(names))), sp.symbols(" ".join(names)))
    assert f"export function kernel({', '.join(names)}) {{" in text


def test_the_legend_is_harmless() -> None:
    text = emit(sp.Symbol("</script><b>") * sp.Symbol("<!--\n*/alert(1)") * sp.Symbol("var"))
    assert_fits_into_a_page(text)
    legend = [line for line in text.splitlines() if " stands for '" in line]
    assert len(legend) == 3
    assert all(line.startswith("// ") for line in legend)
    assert r"'\x3c/script>\x3cb>'" in text


def test_names_of_the_module_are_reserved() -> None:
    whole = together([spelled(case) for case in CASES])
    for dtype in ("float64", "float32"):
        source = printed(whole, dtype=dtype)
        declared = set(re.findall(r"^(?:export )?(?:const|let|function) (\w+)", source, re.MULTILINE))
        assert {"erfc_tail", "ERFC_FIT", "at_every_point", "ENTRIES"} < declared
        assert declared - {"kernel", "kernel_batch"} - set(FUNCTIONS) <= javascript.reserved()


def test_every_function_of_the_run_time_text_is_called_by_some_gate() -> None:
    source = printed(together([spelled(case) for case in CASES]))
    assert set(functions_of("javascript/runtime.js")) <= set(re.findall(r"^function (\w+)", source, re.MULTILINE))
    assert "function" not in emit(x * y).split("at_every_point(kernel, inputs)")[1].split("\n}\n")[1]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_compile_says_what_runs() -> None:
    with pytest.raises(ValueError, match=r"cpu, cuda, not 'javascript'.*emit"):
        symgrad.compile(x * y, target="javascript")


def test_a_function_that_javascript_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "sinh", FUNCTIONS["sinh"]._replace(javascript=""))
    with pytest.raises(UnsupportedExpression, match="'javascript' has no function sinh; the targets cpu, cuda, python"):
        emit(sp.sinh(x) * y)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name in GATES])
def test_functions_are_those_of_javascript(name: str) -> None:
    """Every gate's row spells an operator, a function of Math, or one of the run-time text."""
    row = FUNCTIONS[name]
    assert javascript.supports(row), f"{name} has no `javascript` in functions.py"
    if row.javascript.isidentifier():
        there = functions_of("javascript/runtime.js")
        assert row.javascript in there, f"targets/javascript/runtime.js has no function {row.javascript}"


@needs_node
def test_functions_of_math_are_there(tmp_path: Path) -> None:
    names = [row.javascript for row in FUNCTIONS.values() if row.javascript.startswith("Math.")]
    checks = ", ".join(f"typeof {name} === 'function' ? 1 : 0" for name in names)
    source = f"export const ARGUMENTS = [], WRT = [];\nexport const kernel = () => [0, [{checks}]];\n"
    (found,) = run(tmp_path, [Job(source, [()])])
    assert found.points == [[0.0, [1.0] * len(names)]]
