"""The gradient check: what is right is never called wrong, what is wrong always; kinks, jumps and poles by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS, Case, points
from mpmath import mp

import symgrad
from symgrad.compiler import Stages
from symgrad.evaluate.conditioning import rounding_bounds
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly
from symgrad.explore.tracing import Setting
from symgrad.gates.table import GATES, TROUBLE
from symgrad.graph.graph import over_points
from symgrad.graph.intern import InternTable
from symgrad.kernel.check import GradientCheck, check
from symgrad.kernel.differences import Differences, Entry
from symgrad.transform.differentiate import differentiate
from tests.gates.test_gates import ELEMENTWISE, ORDINARY, _points

x, y = sp.symbols("x y")
Derivatives = tuple[float, ...]


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run on the reference evaluator, and nothing is compiled."""
    monkeypatch.setattr("symgrad.kernel.compiled.MAX_OPERATIONS", -1)


def falsified(kernel: Any, change: Callable[[Derivatives], Derivatives]) -> Any:
    """The kernel with other derivatives."""
    right = kernel._runner.evaluate
    kernel._runner.evaluate = lambda point: [right(point)[0], *change(tuple(right(point)[1:]))]
    return kernel


def verdicts(expression: Any, *point: float, **options: Any) -> list[str]:
    return [row.verdict for row in symgrad.compile(expression, **options).check(*point).rows]


# --- over the corpus --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_right_gradients_are_never_wrong(case: Case, dtype: str, interpreted: None) -> None:
    kernel = symgrad.compile(case.text, dtype=dtype)
    for k in range(2):
        at = {name: float(column[k]) for name, column in points(case, 2).items()}
        result = kernel.check(**at)
        if not math.isfinite(kernel(**at).value):
            assert dtype == "float32"  # too small for some of the hard ones: wrong, indeed
            continue
        assert "WRONG" not in [row.verdict for row in result.rows], str(result)
        assert result.value_agrees, str(result)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_a_gradient_that_is_off_by_a_millionth_is_always_wrong(case: Case, interpreted: None) -> None:
    kernel = falsified(symgrad.compile(case.text), lambda gradient: tuple(d * (1 + 1e-6) for d in gradient))
    result = kernel.check(**{name: float(column[0]) for name, column in points(case, 1).items()})
    for row in result.rows:
        # The sine of an angle of 1e11 has 5 digits.
        assert row.verdict == ("WRONG" if row.analytic and case.name != "large_angle" else "ok"), str(result)


# --- cancellation -----------------------------------------------------------------------------------------------------

CANCELS = [
    ("sin(x)**2 + cos(x)**2", 0.3),
    ("sin(x)**2 + cos(x)**2", 1e3),
    ("1/(1 + exp(-x))", 40.0),
    ("1/(1 + exp(-x))", 20.0),
    ("1/(1 + exp(-x))", 800.0),
    ("1/(1 + exp(-x))", -800.0),
    ("tanh(x)**2", 20.0),
    ("tanh(x)**2", 300.0),
    ("1 - tanh(x)", 300.0),
    ("(x + 1)**3 - x**3 - 3*x**2 - 3*x - 1", 1e6 / 3),
    ("exp(x - 0.1)*exp(0.1 - x + x**2)", 0.3),
    ("sqrt(x + 1) - sqrt(x)", 1e12),
    ("log(x + 1e8) - log(x)", 1e8),
    ("x*sin(1/x)", 1e-5),
]


@pytest.mark.parametrize(("text", "at"), CANCELS)
def test_what_cancels_is_not_wrong(text: str, at: float, interpreted: None) -> None:
    result = symgrad.compile(text).check(at)
    assert result, str(result)


@pytest.mark.parametrize(("text", "at"), CANCELS)
def test_but_a_mistake_beyond_what_cancels_is(text: str, at: float, interpreted: None) -> None:
    kernel = symgrad.compile(text)
    (row,) = kernel.check(at).rows
    assert row.tolerance < 1e-2
    assert not falsified(kernel, lambda gradient: (gradient[0] + 3 * row.tolerance,)).check(at)


def test_a_gate_with_a_wrong_local_gradient_is_wrong(interpreted: None) -> None:
    a = sp.symbols("a")
    off = symgrad.gate("off", sp.Lambda(a, sp.tanh(a)), [lambda y, a: (1 - y**2) * (1 + sp.Rational(1, 10**9))])
    for inside in (off(x), sp.exp(off(x) * y), off(off(x) + y) ** 2, sp.log(2 + off(x)) - off(x) / 2):
        assert "WRONG" in verdicts(inside, 0.4, 0.7, args=(x, y), gates=[off])
    right = symgrad.gate("right", sp.Lambda(a, sp.tanh(a)), [lambda y, a: 1 - y**2])
    assert verdicts(sp.exp(right(x) * y), 0.4, 0.7, gates=[right]) == ["ok", "ok"]


def test_rounding_bounds_count_what_cancels() -> None:
    def bound(text: str, *point: float, dtype: str = "float64") -> float:
        return float(rounding_bounds(symgrad.compile(text).graph, point, dtype)[0])

    eps = 2.0**-52
    assert 1000 * eps < bound("(x + y) - z", 0.25, 1000.0, 1000.5) < 20_000 * eps
    assert eps < bound("x*y", 0.25, 4.0) < 8 * eps
    assert bound("x*y", 0.25, 4.0, dtype="float32") == pytest.approx(bound("x*y", 0.25, 4.0) * 2**29)
    assert bound("sin(x*y)", 1e5, 3e5) > 1e9 * eps
    assert bound("Max(sin(x), cos(y), z)", 1.0, 2.0, 0.0) < 8 * eps
    # A condition that rounding may decide: either branch may be taken.
    assert bound("Piecewise((1, x + y > 0.3), (5, True))", 0.1, 0.2) >= 4
    assert bound("Piecewise((1, x + y > 0.3), (5, True))", 0.1, 0.3) < 32 * eps


# --- kinks, jumps, poles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "point", "want", "agrees"),
    [
        ("1/x", (0.0,), "undefined", False),
        ("1/x", (-0.0,), "undefined", False),
        ("1/x", (2.0,), "ok", True),
        ("log(x)", (0.0,), "undefined", False),
        ("log(x)", (-1.0,), "undefined", False),
        ("sqrt(x)", (0.0,), "undefined", False),
        ("sqrt(Abs(x))", (0.0,), "undefined", False),
        ("Abs(x)", (0.0,), "kink", True),
        ("Max(0, x)", (0.0,), "kink", True),
        ("Max(0, x)", (1e-9,), "ok", True),
        ("floor(x)", (2.0,), "kink", True),
        ("Heaviside(x)*3", (0.0,), "undefined", False),
        ("sqrt(x**2 + y**2)", (0.0, 0.0), "kink", True),
        ("Piecewise((x, x > 0), (2*x, True))", (0.0,), "kink", True),
        ("x*y", (0.0, 0.0), "ok", True),
        ("x**2*y", (0.0, 0.0), "ok", True),
    ],
)
def test_verdicts(text: str, point: Derivatives, want: str, agrees: bool, interpreted: None) -> None:
    result = symgrad.compile(text).check(*point)
    assert {row.verdict for row in result.rows} == {want}, str(result)
    assert bool(result) == agrees
    assert result.value_agrees


@pytest.mark.parametrize(("text", "wrong"), [("Abs(x)", 1.001), ("Abs(x)", math.nan), ("Max(0, x)", -0.001)])
def test_what_lies_beyond_a_kink_is_wrong(text: str, wrong: float, interpreted: None) -> None:
    assert verdict_of(falsified(symgrad.compile(text), lambda gradient: (wrong,)).check(0.0)) == "WRONG"


def verdict_of(result: GradientCheck) -> str:
    (row,) = result.rows
    return row.verdict


# --- the complex step -------------------------------------------------------------------------------------------------

CONTINUOUS = [name for name in ELEMENTWISE if GATES[name].kind != "boolean" and name not in ("power", "select")]
RADIUS = 0.02


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_row_says_whether_its_gate_is_analytic(name: str) -> None:
    """By Cauchy's mean value property: on small circles an analytic function is on average what it is at the centre."""
    row = GATES[name]
    function: Any = row.mpmath
    holds = []
    for point in _points(name, len(ORDINARY[name]))[: -len(TROUBLE[name]) or None]:
        with mp.workdps(40):
            for place in range("ordered" in row.has, len(point)):

                def at(number: Any, place: int = place, point: Derivatives = point) -> Any:
                    return function(*(number if i == place else mpmath.mpc(a) for i, a in enumerate(point)))

                try:
                    circle = [at(point[place] + RADIUS * mp.expjpi(mp.mpf(k) / 24)) for k in range(48)]
                    centre = at(mpmath.mpc(point[place]))
                except (TypeError, AttributeError, NotImplementedError):
                    holds.append(False)
                    continue
                mean = mp.fsum(circle) / len(circle)
                holds.append(bool(abs(mean - centre) <= 1e-25 * (1 + abs(centre))))
    assert all(holds) if row.analytic else not all(holds), holds


def test_conditions_and_branches_are_not_analytic() -> None:
    assert not any(GATES[name].analytic for name in ELEMENTWISE if GATES[name].kind == "boolean" or name == "select")


@pytest.mark.parametrize(
    "name", [name for name in CONTINUOUS if GATES[name].analytic and GATES[name].local_gradients is not None]
)
def test_every_analytic_gate_has_its_complex_step(name: str) -> None:
    """Right to the last digits, beside the gate's own gradient."""
    arity = len(ORDINARY[name])
    table = InternTable(dict(GATES))
    inputs = [table.input(i, (0,)) for i in range(arity)]
    if "ordered" in GATES[name].has:
        inputs[0] = table.constant(int(ORDINARY[name][0][0]))
    graph = over_points(table, tuple("abc"[:arity]), (inputs[0].call(name, *inputs[1:]),))
    whole = differentiate(graph, range(arity))
    for point in _points(name, arity)[:4]:
        for place, want in enumerate(evaluate_exactly(whole, point, digits=40)[1:]):
            found = Differences(graph, point, {}).complex_step(Entry(place))
            assert found is not None
            assert abs(found - want) <= 1e-15 * abs(want)


@pytest.mark.parametrize("text", ["1/(1 + exp(-x))", "erf(x) + acot(x)", "log(cosh(x))", "acsc(x + 2)*acoth(x + 3)"])
def test_complex_steps_of_what_people_write(text: str, interpreted: None) -> None:
    (row,) = symgrad.compile(text).check(0.5).rows
    assert row.complex_step == pytest.approx(row.exact, rel=1e-15)


@pytest.mark.parametrize(("text", "at"), [("Abs(x)", 1.0), ("sqrt(x)", 0.0), ("sqrt(x)", -1.0), ("sqrt(x**2)", 0.0)])
def test_where_there_is_no_complex_step(text: str, at: float, interpreted: None) -> None:
    (row,) = symgrad.compile(text).check(at).rows
    assert row.complex_step is None


def test_tables_show_numbers(interpreted: None) -> None:
    result = symgrad.compile("sin(x)**2 + cos(x)**2").check(0.3)
    assert result.rows[0].exact == 0.0
    assert np.isfinite(result.rows[0].relative_error)


# --- arrays -----------------------------------------------------------------------------------------------------------

n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
xs = sp.IndexedBase("x", shape=(n,))
ROOTS = sp.Sum(sp.sqrt(xs[i]) + sp.tanh(xs[i]), (i, 0, n - 1))
BENDS = sp.Sum(sp.Abs(xs[i]) * xs[i + 1], (i, 0, n - 2))


def checked(expression: sp.Expr, at: list[float], factor: float = 1.0, dtype: str = "float64") -> GradientCheck:
    """The check at an array `x`, of derivatives that are off by a factor; nothing is compiled."""
    stages = Stages(expression, None, None, ())
    sizes = {"n": len(at)}
    setting = Setting(stages.graph, stages.simplified, dtype, [np.array(at, dtype)], sizes, list)

    def computed(inputs: Any) -> Any:
        value, derivative = evaluate(stages.simplified, inputs, sizes, dtype)
        return [float(value), derivative * factor]

    return check(setting, stages.graph, computed)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_entries_of_arrays_are_checked(dtype: str) -> None:
    at = [0.1 + k / 8 for k in range(20)]
    result = checked(ROOTS, at, dtype=dtype)
    assert result, str(result)
    assert len(result.rows) == 8
    assert [row.name for row in result.rows[::7]] == ["x[0]", "x[19]"]
    off = checked(ROOTS, at, 1.001 if dtype == "float32" else 1 + 1e-11, dtype)
    assert {row.verdict for row in off.rows} == {"WRONG"}
    assert not off


def test_entries_of_arrays_have_kinks_and_ends_of_domains() -> None:
    bends = checked(BENDS, [0.0, 2.0, -1.0])
    assert [row.verdict for row in bends.rows] == ["kink", "ok", "ok"]
    assert (bends.rows[0].left, bends.rows[0].right) == (-2.0, 2.0)
    assert [row.verdict for row in checked(BENDS, [0.0, 2.0, -1.0], math.nan).rows] == ["WRONG"] * 3
    assert [row.verdict for row in checked(ROOTS, [0.0, 4.0]).rows] == ["undefined", "ok"]


def test_entries_of_arrays_get_as_many_digits_as_they_need() -> None:
    """Of 1 - tanh(300) there is nothing left in 60 digits."""
    (row,) = checked(sp.Sum(sp.tanh(xs[i]), (i, 0, n - 1)), [300.0]).rows
    assert row.exact == pytest.approx(4 * math.exp(-600), rel=1e-12)


def test_much_data_is_checked_in_floats() -> None:
    at = [1 + k / 1000 for k in range(12_000)]
    result = checked(ROOTS, at)
    assert result, str(result)
    assert all(row.exact == row.central for row in result.rows)
    assert {row.verdict for row in checked(ROOTS, at, 1.001).rows} == {"WRONG"}


# --- the evaluator behind it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "point", "want"),
    [
        ("Mod(x, 3/2)", (1.7e308,), lambda: mp.mpf(0.5)),
        ("Mod(x, 10)", (1e200,), lambda: mp.mpf(int(1e200) % 10)),
        ("Mod(x, y)", (6.0, 0.0), lambda: mp.nan),
        ("x**(7/10)", (1e200,), lambda: mp.exp(mp.mpf(7) / 10 * mp.log(mp.mpf(1e200)))),
        ("loggamma(x)", (1e16,), lambda: mp.loggamma(mp.mpf(1e16))),
        ("loggamma(x)", (0.0,), lambda: mp.inf),
        ("erfc(x)", (1.7e308,), lambda: mp.mpf(0)),
        ("tanh(x**x)", (1e10,), lambda: mp.mpf(1)),
        ("(x - 1e10)**gamma(x)", (1e10,), lambda: mp.mpf(0)),
        ("sin(x)", (1e300,), lambda: mp.sin(mp.mpf(1e300))),
    ],
)
def test_the_exact_evaluator_is_exact_far_out(text: str, point: Derivatives, want: Callable[[], Any]) -> None:
    symbols = [s for s in (x, y) if s.name in text]
    graph = Stages(text, symbols, None, ()).graph
    (found,) = evaluate_exactly(graph, point, digits=60)
    with mp.workdps(400):
        expected = +want()
        same = found == expected or (mp.isnan(found) and mp.isnan(expected))
        assert same or abs(found - expected) <= abs(expected) * mp.mpf(10) ** -50
