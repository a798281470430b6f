"""Every row of the gate table against mpmath, interpreted and compiled; conventions at kinks, poles and in branches."""

from __future__ import annotations

import math
import re
import symtable
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from mpmath import mp
from reference import EPS, agrees, explain, ulp
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.reductions import REDUCTIONS
from together import Batch, gradient_graph, interpreted

from symgrad.evaluate.evaluation import evaluate_exactly
from symgrad.evaluate.rounding import rounded
from symgrad.gates.reductions import KINDS
from symgrad.gates.table import BY_CLASS, GATES, ORDINARY, TROUBLE
from symgrad.graph.graph import Graph, over_points, views_of
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View
from symgrad.schedule.items import LEAVES
from symgrad.transform.differentiate import differentiate
from symgrad.transform.simplify import simplify

Point = tuple[float, ...]
x, y, z = sp.symbols("x y z")

# What is allowed, in units in the last place or of what one rounding of the arguments does, whichever is larger.
VALUE_ULPS = 8
GRADIENT_ULPS = 16
ORDERS = (1, 2, 3, 6)  # at which gates that have one are tried
DIGITS = 160  # of the central differences: 50 remain
STEP = -40  # relative, a power of ten
MODES = [(accuracy, dtype) for accuracy in ("fast", "strict") for dtype in ("float64", "float32")]


@dataclass(frozen=True)
class Case:
    """One gate with a number of arguments; conditions give 1 or 0."""

    id: str
    gate: str
    build: Callable[..., View]
    exact: Callable[..., Any]
    points: tuple[Point, ...]

    @property
    def arity(self) -> int:
        return len(self.points[0])

    @property
    def has_gradient(self) -> bool:
        return GATES[self.gate].local_gradients is not None or self.gate == "select"


def _points(name: str, arity: int) -> tuple[Point, ...]:
    ranges = (ORDINARY[name] + ORDINARY[name][-1:] * arity)[:arity]
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    ordinary = [tuple(float(generator.uniform(*interval)) for interval in ranges) for _ in range(6)]
    return (*ordinary, *((point + (0.75, 1.25))[:arity] for point in TROUBLE[name]))


# Without the leaves, and without gates that work along axes: those are tried in evaluate/test_arrays.py. A detached
# argument has a derivative that is not that of its value.
ELEMENTWISE = [
    name for name, row in GATES.items() if name not in LEAVES and row.mpmath is not None and name != "detached"
]


def _cases() -> list[Case]:
    cases = []
    signs = ((1.0, 2.0), (1.0, -1.0), (-1.0, 2.0), (-1.0, -2.0), (0.0, 0.0), (1.0, 1.0))
    for name, row in GATES.items():
        if name not in ELEMENTWISE:
            continue
        exact = row.mpmath
        assert exact is not None
        if name == "power":
            for n in (2, 3, 7):
                cases.append(
                    Case(
                        f"power[{n}]",
                        name,
                        lambda a, n=n: a.node.table.apply(GATES["power"], a, attribute=n),
                        lambda a, n=n: a**n,
                        _points(name, 1),
                    )
                )
        elif "ordered" in row.has:
            for n in ORDERS:
                cases.append(
                    Case(
                        f"{name}[{n}]",
                        name,
                        lambda a, name=name, n=n: a.node.table.constant(n).call(name, a),
                        lambda a, exact=exact, n=n: exact(n, a),
                        tuple(point[1:] for point in _points(name, 2)),
                    )
                )
        elif name == "select":
            cases.append(
                Case(
                    name,
                    name,
                    lambda a, b, c: (a > 0).where(b, c),
                    lambda a, b, c: b if a > 0 else c,
                    tuple((*pair, 3.0) for pair in signs),
                )
            )
        elif name == "zero_where":
            cases.append(
                Case(name, name, lambda a: a.equals(0).call("zero_where", a), lambda a: a, ((0.0,), (-0.0,), (1.5,)))
            )
        elif name in ("and", "or"):
            cases.append(
                Case(
                    name,
                    name,
                    lambda a, b, name=name: (a > 0).call(name, b > 0).where(1, 0),
                    lambda a, b, exact=exact: mp.mpf(bool(exact(a > 0, b > 0))),
                    signs,
                )
            )
        elif name == "not":
            cases.append(
                Case(name, name, lambda a: (a > 0).call("not").where(1, 0), lambda a: mp.mpf(a <= 0), ((1.0,), (-1.0,)))
            )
        elif row.kind == "boolean":
            cases.append(
                Case(
                    name,
                    name,
                    lambda a, b, name=name: a.call(name, b).where(1, 0),
                    lambda a, b, exact=exact: mp.mpf(bool(exact(a, b))),
                    signs,
                )
            )
        else:
            counts = {len(ORDINARY[name]), 3} if row.commutative and name not in ("hypot",) else {len(ORDINARY[name])}
            for arity in sorted(counts):
                cases.append(
                    Case(
                        name if len(counts) == 1 else f"{name}[{arity}]",
                        name,
                        lambda *a, name=name: a[0].call(name, *a[1:]),
                        exact,
                        _points(name, arity),
                    )
                )
    return cases


CASES = _cases()
SMOOTH = [case for case in CASES if case.has_gradient]

# Where a difference quotient says nothing: the conventions.
KINKS: dict[tuple[str, Point], Point] = {
    ("sqrt", (0.0,)): (math.inf,),
    ("cbrt", (0.0,)): (math.inf,),
    ("sign", (0.0,)): (0.0,),
    ("floor", (1.0,)): (0.0,),
    ("ceil", (1.0,)): (0.0,),
    ("frac", (1.0,)): (1.0,),
    ("mod", (6.0, 2.0)): (1.0, -3.0),
    ("pow", (0.0, 1.5)): (0.0, 0.0),
    ("pow", (0.0, 2.5)): (0.0, 0.0),
    ("acot", (0.0,)): (-1.0,),
    ("abs_pow", (0.0, 2.5)): (0.0, 0.0),
    ("abs_pow_slope", (0.0, 2.5)): (0.0, 0.0),
    ("pow_log", (0.0, 2.5)): (0.0, 0.0),
    ("pow_slope", (0.0, 2.5)): (0.0, 0.0),
    ("pow_slope", (0.0, 3.5)): (0.0, 0.0),
    ("select", (0.0, 0.0, 3.0)): (0.0, 0.0, 1.0),
}


@cache
def graph_of(case: Case, *families: str) -> Graph:
    """The gate alone as a graph, with its gradients where it has them; `families` of laws are applied."""
    table = InternTable(dict(GATES))
    inputs = [table.input(i, (0,)) for i in range(case.arity)]
    graph = over_points(table, tuple("abcd"[: case.arity]), (case.build(*inputs),))
    if case.has_gradient:
        graph = differentiate(graph, range(case.arity))
    return simplify(graph, families) if families else graph


def spelled(case: Case) -> Graph:
    return graph_of(case, "cheaper", "spelling")


@cache
def wanted(case: Case, point: Point) -> list[tuple[Any, Any]]:
    """Value and derivatives at a point, each with what one rounding of the arguments does to it (in float64)."""
    with mp.workdps(DIGITS):
        at = [mp.mpf(a) for a in point]
        steps = [(abs(a) or 1) * mp.mpf(10) ** STEP for a in at]

        def value(*moves: int) -> Any:
            moved = [a + steps[i] * (moves.count(i + 1) - moves.count(-i - 1)) for i, a in enumerate(at)]
            try:
                found = case.exact(*moved)
            except (ValueError, ZeroDivisionError):
                return mp.nan
            return mp.nan if isinstance(found, mpmath.mpc) else found

        def slope(i: int) -> Any:
            found = (value(i + 1) - value(-i - 1)) / (2 * steps[i])
            return mp.mpf(0) if at[i] == 0 and abs(found) <= steps[i] ** 2 else found  # of a**3 at 0

        def bend(i: int, j: int) -> Any:
            if i == j:
                return (value(i + 1) - 2 * value() + value(-i - 1)) / steps[i] ** 2
            i, j = i + 1, j + 1
            rise = value(i, j) - value(i, -j) - value(-i, j) + value(-i, -j)
            return rise / (4 * steps[i - 1] * steps[j - 1])

        def effect(derivative: Callable[[int], Any]) -> Any:
            moved = (abs(a * derivative(j)) for j, a in enumerate(at) if a)
            return EPS / 2 * mp.fsum(term for term in moved if mp.isfinite(term))

        found = [(value(), effect(slope))]
        if case.has_gradient:
            known = KINKS.get((case.id, point))
            slopes = [slope(i) for i in range(len(at))] if known is None else [mp.mpf(d) for d in known]
            found += [
                (d, effect(lambda j, i=i: bend(i, j)) if known is None else mp.mpf(0)) for i, d in enumerate(slopes)
            ]
        return found


def off(got: Any, want: Any, effect: Any, dtype: str, ulps: int) -> str:
    """Empty if `got` is within `ulps`, else what is wrong."""
    line = explain(got, want, effect, dtype)
    if not agrees(got, want, effect, dtype):
        return line
    if not (mp.isfinite(want) and np.isfinite(got)) or abs(want) < float(np.finfo(dtype).tiny):
        return ""
    with mp.workdps(60):
        unit = max(ulp(want, dtype), effect * mp.mpf(float(np.finfo(dtype).eps)) / EPS)
        return "" if abs(mp.mpf(float(got)) - want) <= ulps * unit else f"{line}, here only {ulps}"


def report(case: Case, point: Point, results: list[Any], dtype: str, start: int = 0) -> list[str]:
    lines = []
    for place, (got, (want, effect)) in enumerate(zip(results, wanted(case, point)[start:], strict=False), start):
        line = off(float(got), want, effect, dtype, GRADIENT_ULPS if place else VALUE_ULPS)
        if line:
            lines.append(f"{case.id}{point} {'derivative ' + 'abcd'[place - 1] if place else 'value'}: {line}")
    return lines


def rounded_points(case: Case, dtype: str) -> list[Point]:
    """The points in `dtype`; without those that leave its range, or reach a border that the gate was to come near."""
    if dtype == "float64":
        return list(case.points)
    found = []
    with np.errstate(over="ignore", under="ignore"):
        for point in case.points:
            near = tuple(float(np.dtype(dtype).type(a)) for a in point)
            in_range = all(np.isfinite(near)) and all((a == 0) == (b == 0) for a, b in zip(point, near, strict=True))
            same_kind = [mp.isfinite(w) for w, _ in wanted(case, near)] == [
                mp.isfinite(w) for w, _ in wanted(case, point)
            ]
            if in_range and same_kind:
                found.append(near)
    return found


by_id = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
smooth_by_id = pytest.mark.parametrize("case", SMOOTH, ids=lambda case: case.id)


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "power"])
def test_every_gate_has_a_spelling_or_an_expansion(name: str) -> None:
    spelled, expanded = name in FUNCTIONS, GATES[name].expansion is not None
    places = "a record in codegen/symgrad_codegen/functions.py and an expansion in its row"
    assert spelled or expanded, f"the gate {name} has neither of {places}: it takes one"
    assert not (spelled and expanded), f"the gate {name} has both of {places}: the record is never used"


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_gate_has_both_references(name: str) -> None:
    assert GATES[name].numpy is not None
    assert GATES[name].mpmath is not None


@pytest.mark.parametrize("name", GATES)
def test_words_of_a_gate(name: str) -> None:
    """What people call its result is a name; what they write for it is a command, a word or a sign."""
    row = GATES[name]
    assert (row.noun or row.name).isidentifier()
    assert re.fullmatch(r"|=|[a-z]+|\\[A-Za-z]+|\\.*#1.*", row.latex)
    if row.has & {"comparison", "connective"} or name in KINDS:
        assert row.latex
    if row.kind == "boolean":
        assert row.noun == "condition"


@pytest.mark.parametrize(("kind", "name"), BY_CLASS.items(), ids=BY_CLASS.values())
def test_what_sympy_has_a_sign_for_has_one(kind: Any, name: str) -> None:
    """Not the same one everywhere: ISO 80000-2 has ln and arsinh."""
    shown = sp.latex(kind(*sp.symbols("x y")[: len(ORDINARY[name])], evaluate=False))
    if re.match(r"\\(?!operatorname)", shown) or name.startswith("a"):
        assert GATES[name].latex or name == "atan2"


GIVEN = {"real", "inf", "nan", "pi", "abs", "range"}  # to every definition, by the modules and by Python


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.definition])
def test_a_definition_calls_what_there_is(name: str) -> None:
    """Alone in a module it finds all that it reads: what it calls comes with it."""
    row = FUNCTIONS[name]
    (scope,) = symtable.symtable(row.definition, name, "exec").get_children()
    assert scope.get_name() == name
    read = {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
    assert read <= {*GIVEN, *row.needs}, f"no row of functions.py: {read - GIVEN - set(FUNCTIONS)}"


# --- interpreted ------------------------------------------------------------------------------------------------------


@by_id
def test_numpy_reference(case: Case) -> None:
    graph = graph_of(case)
    lines = []
    for point in case.points:
        lines += report(
            case, point, interpreted(over_points(graph.table, graph.inputs, views_of(graph.values)), point), "float64"
        )
    assert not lines, "\n".join(lines)


@smooth_by_id
def test_local_gradients_exactly(case: Case) -> None:
    """At 50 digits nothing rounds: the formulas themselves."""
    graph = graph_of(case)
    for point in case.points:
        got = evaluate_exactly(graph, point, digits=80)[1:]
        for derivative, (want, _) in zip(got, wanted(case, point)[1:], strict=True):
            if mp.isfinite(want):
                assert abs(derivative - want) <= abs(want) * mp.mpf(10) ** -30 + mp.mpf(10) ** -60, (case.id, point)
            else:
                assert mp.isnan(derivative) if mp.isnan(want) else derivative == want, (case.id, point)


@by_id
def test_spelling(case: Case) -> None:
    graph = spelled(case)
    assert {node.gate.name for node in graph.order()} <= {*FUNCTIONS, "constant", "input"}
    lines = [line for point in case.points for line in report(case, point, interpreted(graph, point), "float64")]
    assert not lines, "\n".join(lines)


# --- compiled ---------------------------------------------------------------------------------------------------------

GROUP = 16  # gates per kernel


@cache
def compiled(group: int, accuracy: str, dtype: str) -> Batch:
    cases = CASES[group * GROUP : (group + 1) * GROUP]
    graphs = [spelled(case) for case in cases]
    return Batch(graphs, [rounded_points(case, dtype) for case in cases], dtype, accuracy, singly=True)


@pytest.mark.parametrize(("accuracy", "dtype"), MODES)
@pytest.mark.parametrize("group", range(-(-len(CASES) // GROUP)))
def test_compiled(group: int, accuracy: str, dtype: str) -> None:
    batch = compiled(group, accuracy, dtype)
    lines = []
    for way, results in (("batch", batch.results), ("point", batch.single)):
        for place, case in enumerate(CASES[group * GROUP : (group + 1) * GROUP]):
            for p, point in enumerate(rounded_points(case, dtype)):
                found = report(case, point, [output[p] for output in results[place]], dtype)
                lines += [f"{way} {line}" for line in found]
    assert not lines, "\n".join(lines)


# --- conventions at kinks, poles and in branches ----------------------------------------------------------------------

NAN, INF = math.nan, math.inf
P = sp.Piecewise
CONVENTIONS: list[tuple[str, sp.Expr, Point, tuple[float, ...]]] = [
    # name, expression of x, y, z (as far as it uses them), point, (value, derivatives...)
    ("max_left", sp.Max(x, y), (2.0, 1.0), (2, 1, 0)),
    ("max_tie", sp.Max(x, y), (1.0, 1.0), (1, 0.5, 0.5)),
    ("min_tie", sp.Min(x, y), (1.0, 1.0), (1, 0.5, 0.5)),
    ("max_tie_of_three", sp.Max(x, y, z), (1.0, 1.0, 1.0), (1, 1 / 3, 1 / 3, 1 / 3)),
    ("max_tie_of_two_in_three", sp.Max(x, y, z), (1.0, 0.0, 1.0), (1, 0.5, 0, 0.5)),
    ("min_tie_of_two_in_three", sp.Min(x, y, z), (1.0, 1.0, 2.0), (1, 0.5, 0.5, 0)),
    ("max_nan", sp.Max(x, y), (NAN, 1.0), (NAN, NAN, NAN)),
    ("max_nan_second", sp.Max(x, y), (1.0, NAN), (NAN, NAN, NAN)),
    ("min_nan", sp.Min(x, y), (NAN, 1.0), (NAN, NAN, NAN)),
    ("max_nan_of_three", sp.Max(x, y, z), (1.0, NAN, 2.0), (NAN, NAN, NAN, NAN)),
    ("min_nan_of_three", sp.Min(x, y, z), (1.0, 2.0, NAN), (NAN, NAN, NAN, NAN)),
    ("relu", sp.Max(0, x), (0.0,), (0, 0.5)),
    ("max_inf", sp.Max(x, y), (INF, 1.0), (INF, 1, 0)),
    ("max_tie_inf", sp.Max(x, y), (INF, INF), (INF, 0.5, 0.5)),
    ("abs", sp.Abs(x), (0.0,), (0, 0)),
    ("abs_negative", sp.Abs(x), (-2.0,), (2, -1)),
    ("abs_nan", sp.Abs(x), (NAN,), (NAN, NAN)),
    ("root_of_square", sp.sqrt(x**2), (0.0,), (0, 0)),
    ("sign", sp.sign(x), (0.0,), (0, 0)),
    ("sign_negative", sp.sign(x), (-3.0,), (-1, 0)),
    ("sign_nan", sp.sign(x), (NAN,), (NAN, 0)),
    ("floor", sp.floor(x) * y, (2.0, 3.0), (6, 0, 2)),
    ("ceiling", sp.ceiling(x) * y, (2.0, 3.0), (6, 0, 2)),
    ("frac", sp.frac(x), (-0.25,), (0.75, 1)),
    ("heaviside", sp.Heaviside(x), (0.0,), (0.5, 0)),
    ("heaviside_chosen", sp.Heaviside(x, 1), (0.0,), (1, 0)),
    ("heaviside_right", sp.Heaviside(x), (0.1,), (1, 0)),
    ("heaviside_left", sp.Heaviside(x), (-0.1,), (0, 0)),
    ("heaviside_nan", sp.Heaviside(x), (NAN,), (NAN, 0)),
    ("mod", sp.Mod(x, y), (7.0, 3.0), (1, 1, -2)),
    ("mod_negative", sp.Mod(x, y), (-7.0, 3.0), (2, 1, 3)),
    ("mod_negative_divisor", sp.Mod(x, y), (7.0, -3.0), (-2, 1, 3)),
    ("mod_zero", sp.Mod(x, y), (6.0, 3.0), (0, 1, -2)),
    ("mod_by_zero", sp.Mod(x, y), (6.0, 0.0), (NAN, 1, NAN)),
    ("power_zero_base", x**y, (0.0, 2.5), (0, 0, 0)),
    ("power_zero_base_exponent_1", x**y, (0.0, 1.0), (0, 1, 0)),
    ("power_of_exponent_0_under_root", sp.sqrt(1 - x**y), (2.0, 0.0), (0, 0, -INF)),
    ("logarithm_of_0_to_the_0", sp.log(x**y), (0.0, 0.0), (0, 0, 0)),
    ("abs_to_three_halves_at_zero", sp.Abs(x) ** sp.Rational(3, 2), (0.0,), (0, 0)),
    ("square", x**2, (-3.0,), (9, -6)),
    ("cube", x**3, (-3.0,), (-27, 27)),
    ("inverse_cube", x**-3, (-2.0,), (-0.125, -0.1875)),
    ("inverse_at_zero", 1 / x, (0.0,), (INF, -INF)),
    ("cube_at_zero", x**3, (0.0,), (0, 0)),
    ("integer_exponent_negative_base", x**y, (-2.0, 3.0), (-8, 12, NAN)),
    ("root_at_zero", sp.sqrt(x), (0.0,), (0, INF)),
    ("root_of_negative", sp.sqrt(x), (-1.0,), (NAN, NAN)),
    ("log_at_zero", sp.log(x), (0.0,), (-INF, INF)),
    ("log_of_negative", sp.log(x), (-1.0,), (NAN, -1)),
    ("hypot_at_origin", sp.sqrt(x**2 + y**2), (0.0, 0.0), (0, 0, 0)),
    ("hypot_on_axis", sp.sqrt(x**2 + y**2), (0.0, -2.0), (2, 0, -1)),
    ("sinc_at_zero", sp.sinc(x), (0.0,), (1, 0)),
    ("sine_quotient_at_zero", sp.sin(x) / x, (0.0,), (1, 0)),
    ("overflow", sp.exp(x), (1000.0,), (INF, INF)),
    ("piece_first", P((x**2, x > 0), (y, True)), (2.0, 5.0), (4, 4, 0)),
    ("piece_last", P((x**2, x > 0), (y, True)), (-2.0, 5.0), (5, 0, 1)),
    ("piece_edge", P((x**2, x > 0), (y, True)), (0.0, 5.0), (5, 0, 1)),
    ("piece_outside_all", P((x**2, x > 0), (y, x < -1)), (-0.5, 5.0), (NAN, NAN, NAN)),
    ("piece_nan_condition", P((x**2, x > 0), (y, True)), (NAN, 5.0), (5, 0, 1)),
    ("piece_root", P((sp.sqrt(x), x > 0), (y, True)), (-1.0, 5.0), (5, 0, 1)),
    ("piece_root_at_zero", P((sp.sqrt(x), x > 0), (y, True)), (0.0, 5.0), (5, 0, 1)),
    ("piece_log", P((sp.log(x) * y, x > 0), (0, True)), (0.0, 5.0), (0, 0, 0)),
    ("piece_log_negative", P((sp.log(x) * y, x > 0), (0, True)), (-1.0, 5.0), (0, 0, 0)),
    ("piece_pole", P((y / x, sp.Ne(x, 0)), (y**2, True)), (0.0, 5.0), (25, 0, 10)),
    ("piece_pole_scaled", z * P((y / x, sp.Ne(x, 0)), (y, True)), (0.0, 5.0, 2.0), (10, 0, 2, 5)),
    ("piece_overflow", P((sp.exp(x * y), x < 1), (y, True)), (400.0, 5.0), (5, 0, 1)),
    ("piece_power", P((x**y, x > 0), (y, True)), (-2.0, 0.5), (0.5, 0, 1)),
    ("piece_shared", sp.log(x) + P((sp.log(x) * y, x > 1), (y, True)), (0.5, 2.0), (2 + math.log(0.5), 2, 1)),
    (
        "piece_nested",
        P((P((sp.sqrt(x), x > 0), (sp.log(-x), x < 0), (y, True)), y > 0), (z / x, True)),
        (0.0, 5.0, 3.0),
        (5, 0, 1, 0),
    ),
    (
        "piece_nested_left",
        P((P((sp.sqrt(x), x > 0), (sp.log(-x), x < 0), (y, True)), y > 0), (z / x, True)),
        (-1.0, 5.0, 3.0),
        (0, -1, 0, 0),
    ),
    (
        "piece_nested_outer",
        P((P((sp.sqrt(x), x > 0), (sp.log(-x), x < 0), (y, True)), y > 0), (z / x, True)),
        (2.0, -5.0, 3.0),
        (1.5, -0.75, 0, 0.5),
    ),
    ("piece_in_function", sp.exp(P((1 / x, x > 0), (0, True))) * y, (0.0, 3.0), (3, 0, 1)),
    ("piece_infinite_outer", sp.sqrt(P((x * y, x > 0), (0, True))), (-1.0, 5.0), (0, 0, 0)),
    ("piece_and", P((sp.log(x) + sp.log(y), (x > 0) & (y > 0)), (z, True)), (-1.0, 1.0, 2.0), (2, 0, 0, 1)),
    ("piece_or", P((1 / x, (x > 0) | (y > 0)), (z, True)), (2.0, -1.0, 7.0), (0.5, -0.25, 0, 0)),
    ("piece_not", P((x, ~((x > y) & (x > 1))), (y, True)), (0.5, 1.0), (0.5, 1, 0)),
    ("piece_two_share", P((sp.sqrt(x), x > 1), (2 * sp.sqrt(x), x > 0), (y, True)), (-1.0, 5.0), (5, 0, 1)),
    ("piece_two_share_taken", P((sp.sqrt(x), x > 1), (2 * sp.sqrt(x), x > 0), (y, True)), (4.0, 5.0), (2, 0.25, 0)),
    ("piece_two_share_pole", P((1 / x, x > 1), (3 / x, x < 0), (y, True)), (0.0, 5.0), (5, 0, 1)),
    ("piece_condition_shares", P((sp.log(x), sp.log(x) > 0), (y, True)), (-1.0, 5.0), (5, 0, 1)),
    ("power_of_power_of_negative", (x ** sp.Float(2.8)) ** sp.Rational(5, 2), (-1.0,), (NAN, NAN)),
    ("piece_extremum_of_nothing", P((sp.Min(x, x ** sp.Rational(5, 2)) ** x, x > 0), (x, True)), (-1.0,), (-1, 1)),
    ("piece_power_in_both", P((x ** sp.Float(-3.1), x >= 0), (x ** sp.Float(3.1), True)), (1e200,), (0, 0)),
    ("piece_equal", P((x * y, sp.Eq(x, y)), (x + y, True)), (2.0, 2.0), (4, 2, 2)),
]


def convention_graph(expr: sp.Expr, count: int) -> Graph:
    return gradient_graph(expr, (x, y, z)[:count])


def same(got: Any, want: tuple[float, ...], dtype: str) -> bool:
    """Equal to about an ulp; NaN, infinities and zeros exactly."""
    tolerance = 4 * float(np.finfo(dtype).eps)
    return all(
        bool(np.isnan(g)) if math.isnan(w) else g == w if w == 0 or math.isinf(w) else abs(g - w) <= tolerance * abs(w)
        for g, w in zip(map(float, got), want, strict=True)
    )


@pytest.mark.parametrize(("name", "expr", "point", "want"), CONVENTIONS, ids=[row[0] for row in CONVENTIONS])
def test_convention_interpreted(name: str, expr: sp.Expr, point: Point, want: tuple[float, ...]) -> None:
    got = interpreted(convention_graph(expr, len(point)), point)
    assert same(got, want, "float64"), [float(g) for g in got]


@pytest.mark.parametrize(
    ("part", "accuracy", "dtype"),
    [
        *((part, "fast", "float64") for part in range(0, len(CONVENTIONS), 10)),
        *((part, "strict", "float32") for part in range(0, len(CONVENTIONS), 30)),  # the others are much the same
    ],
)
def test_conventions_compiled(part: int, accuracy: str, dtype: str) -> None:
    rows = CONVENTIONS[part : part + 10]
    graphs = [convention_graph(expr, len(point)) for _, expr, point, _ in rows]
    batch = Batch(graphs, [[row[2]] for row in rows], dtype, accuracy, singly=True)
    wrong = []
    for way, results in (("batch", batch.results), ("point", batch.single)):
        for row, outputs in zip(rows, results, strict=True):
            got = [float(output[0]) for output in outputs]
            if not same(got, row[3], dtype):
                wrong.append(f"{way} {row[0]}: {row[1]} at {row[2]}: got {got}, want {row[3]}")
    assert not wrong, "\n".join(wrong)


POLES: list[tuple[str, sp.Expr, Point]] = [
    ("inverse_square", x**-2, (0.0,)),
    ("inverse_power", x**y, (0.0, -2.0)),
    ("tangent_quotient", 1 / sp.tan(x), (0.0,)),
    ("gamma", sp.gamma(x), (0.0,)),
    ("gamma_negative", sp.gamma(x), (-2.0,)),
    ("atanh", sp.atanh(x), (1.0,)),
    ("acos_outside", sp.acos(x), (1.5,)),
    ("log_product", sp.log(x) * y, (0.0, 2.0)),
    ("loggamma", sp.loggamma(x), (0.0,)),
    ("csch", sp.csch(x), (0.0,)),
    ("trigamma", sp.polygamma(1, x), (0.0,)),
    ("polygamma_negative", sp.polygamma(2, x), (-3.0,)),
]


@pytest.mark.parametrize(("name", "expr", "point"), POLES, ids=[row[0] for row in POLES])
def test_poles_are_infinite_or_nan(name: str, expr: sp.Expr, point: Point) -> None:
    value, derivative, *_ = interpreted(convention_graph(expr, len(point)), point)
    assert not np.isfinite(value)
    assert not np.isfinite(derivative)


def test_poles_of_odd_order_are_of_one_sign() -> None:
    for n, want in ((1, INF), (2, NAN), (3, INF)):
        for at in (0.0, -0.0, -2.0):
            value, *_ = interpreted(convention_graph(sp.polygamma(n, x), 1), (at,))
            assert same([value], (want,), "float64")


def test_zero_to_the_power_of_zero() -> None:
    value, by_base, by_exponent = interpreted(convention_graph(x**y, 2), (0.0, 0.0))
    assert value == 1
    assert by_base == 0  # x**0 is 1 everywhere
    assert by_exponent == 0 or not np.isfinite(by_exponent)  # there is a jump


def test_kinds_of_reductions_are_those_of_programs() -> None:
    """What the evaluator and the emitted loops start from is one number, and so is how two terms are joined."""
    assert set(KINDS) == set(REDUCTIONS)
    for name, kind in KINDS.items():
        start = float(rounded(kind.empty if isinstance(kind.empty, str) else Fraction(kind.empty), np.float64))
        assert REDUCTIONS[name].start == start
        joined = eval(REDUCTIONS[name].join.format("a", "b"), {"a": 3.0, "b": -2.0, "max": max, "min": min})
        assert joined == GATES[kind.of_two].numpy(3.0, -2.0)
        array = np.array([3.0, -2.0])
        exec(REDUCTIONS[name].join_arrays.format("a", "b"), {"a": array, "b": np.array([-2.0, 3.0]), "np": np})
        assert array.tolist() == [joined, joined]
