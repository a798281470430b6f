"""The trace: its numbers against the kernel's own gradient, the chain rule at every gate, and what it says in words."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import corpus
import numpy as np
import pytest
import sympy as sp
from array_corpus import CORPUS as SUMS

import symgrad
from symgrad.compiler import Stages
from symgrad.evaluate.evaluation import evaluate
from symgrad.explore.circuit import LEVELS, circuit
from symgrad.explore.records import Summary
from symgrad.explore.trace import Trace
from symgrad.gates.diagnostics import RULES
from symgrad.gates.table import GATES
from symgrad.graph.graph import reachable
from symgrad.graph.node import View
from symgrad.kernel.host import HostRunner
from symgrad.kernel.runner import RUNNERS

NEURON = "s = w0*x0 + w1*x1 + w2\n1/(1 + exp(-s))"
POINT = {"w0": 2.0, "w1": -3.0, "w2": -3.0, "x0": -1.0, "x1": -2.0}


class UnbuiltRunner(HostRunner):
    """Of a kernel that cannot be called: a trace needs no compiled code, and Numba takes seconds."""

    def _load(self) -> str:
        self._run_outputs = lambda inputs, outputs: None
        return "nothing"

    def index_range(self, values: Any) -> tuple[int, int]:
        return int(values.min()), int(values.max())


@pytest.fixture
def unbuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are not built."""
    monkeypatch.setitem(RUNNERS, "cpu", UnbuiltRunner)


def traced(text: str, level: str = "gates", **point: Any) -> Trace:
    return symgrad.compile(text).trace(level=level, **point)


def named(trace: Trace) -> dict[str, Any]:
    return {gate.name: gate for gate in trace.gates}


# --- numbers ----------------------------------------------------------------------------------------------------------


# Overflow or cancel where they are computed as they are written: that is why the compiler knows stabler forms.
UNSTABLE = {"call_far_out", "tail_by_erf", "softplus_left", "softplus_right", "log_sum_exp", "log_sum_exp_low"}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", corpus.CORPUS, ids=lambda case: case.name)
def test_numbers_are_those_of_the_compiled_graph(case: corpus.Case, level: str) -> None:
    """Value and gradient of the circuit against the simplified graph that the kernel is emitted from."""
    stages = Stages(case.text, None, None, ())
    made = circuit(stages.graph, stages.gradient.wrt, level)
    by_name = {name: float(array[0]) for name, array in corpus.points(case, 1).items()}
    inputs = [by_name[symbol.name] for symbol in stages.args]
    numbers = evaluate(made.graph.with_values(slot.view for slot in made.slots), inputs)
    places = {step.name: step.gradient for step in made.steps if step.kind == "input"}
    wanted = evaluate(stages.simplified, inputs)
    found = [numbers[made.steps[made.output].value], *(numbers[places[symbol.name] or 0] for symbol in stages.wrt)]
    scale = max(abs(float(derivative) * x) for derivative, x in zip(wanted[1:], inputs, strict=True))
    # What cancels in one order may cancel in another: the measure is the largest part, carried to each input.
    slack = [1e-300, *(1e-12 * scale / abs(x) for x in inputs)]
    close = [math.isclose(a, b, rel_tol=1e-9, abs_tol=s) for a, b, s in zip(found, wanted, slack, strict=True)]
    assert all(close) == (level == "gates" or case.name not in UNSTABLE)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", [c for c in corpus.CORPUS[::4] if c.name not in UNSTABLE], ids=lambda case: case.name)
def test_chain_rule_holds_at_every_gate(case: corpus.Case, level: str) -> None:
    """Each contribution is the upstream gradient times the local one, and a gradient the sum of what arrives."""
    stages = Stages(case.text, None, None, ())
    made = circuit(stages.graph, stages.gradient.wrt, level)
    by_name = {name: float(array[0]) for name, array in corpus.points(case, 1).items()}
    every = made.graph.with_values(slot.view for slot in made.slots)
    numbers = [float(number) for number in evaluate(every, [by_name[s.name] for s in stages.args])]
    products = 0
    for number, (step, readers) in enumerate(zip(made.steps, made.readers(), strict=True)):
        if step.gradient is None:
            continue
        for wire in step.wires:
            if wire.local is not None and wire.contribution is not None:
                products += 1
                gradient, local, got = (numbers[at] for at in (step.gradient, wire.local, wire.contribution))
                if gradient == 0 == got and not math.isfinite(local):
                    continue  # in a branch that is not taken nothing is handed on, whatever the local gradient is
                if case.hard and local == 0:
                    continue  # it underflows by itself, and its product with the gradient does not
                assert math.isclose(got, gradient * local, rel_tol=1e-12, abs_tol=1e-300), step.formula
        arriving = [made.steps[reader].wires[place].contribution for reader, place in readers]
        parts = [numbers[place] for place in arriving if place is not None]
        total = 1.0 if number == made.output and not parts else math.fsum(parts)
        slack = 1e-13 * max(map(abs, parts), default=0.0)
        assert math.isclose(numbers[step.gradient], total, rel_tol=1e-12, abs_tol=slack), step.formula
    assert products


def test_lecture_numbers() -> None:
    trace = traced("q = x + y\nq*z", x=-2, y=5, z=-4)
    gates = named(trace)
    assert (trace.value, tuple(trace.gradient)) == (-12.0, (-4.0, -4.0, 3.0))
    assert (gates["q"].value, gates["q"].gradient, gates["q"].label) == (3.0, -4.0, "+")
    assert [gate.label for gate in trace.gates] == ["x", "y", "z", "+", "*"]


def test_levels_of_the_neuron() -> None:
    gates, elementary = traced(NEURON, **POINT), traced(NEURON, "elementary", **POINT)
    assert [gate.label for gate in gates.gates][5:] == ["*", "*", "+", "σ"]
    assert [gate.label for gate in elementary.gates][5:] == ["*", "*", "+", "+", "*-1", "exp", "+1", "1/x"]
    lecture = [-2, 6, 4, 1, -1, 0.37, 1.37, 0.73]  # the values of the lecture, and its gradients below
    assert [round(float(gate.value), 2) for gate in elementary.gates][5:] == lecture
    backward = [0.20, 0.20, 0.20, 0.20, -0.20, -0.53, -0.53, 1.00]
    assert [round(float(gate.gradient), 2) for gate in elementary.gates][5:] == backward
    for trace in (gates, elementary):
        rounded = {symbol.name: round(d, 2) for symbol, d in zip(trace.gradient.wrt, trace.gradient, strict=True)}
        assert rounded == {"w0": -0.20, "w1": -0.39, "w2": 0.20, "x0": 0.39, "x1": -0.59}


@pytest.mark.usefixtures("unbuilt")
def test_addends_where_several_paths_meet() -> None:
    gate = named(traced("x*y + x*z + exp(x)", x=1, y=3, z=2))["x"]
    assert sorted(value for _, value in gate.addends) == pytest.approx([2.0, math.e, 3.0])
    assert gate.gradient == pytest.approx(5 + math.e)


@pytest.mark.usefixtures("unbuilt")
def test_constants_are_labels() -> None:
    labels = [gate.label for gate in traced("2*x*y + 1 + x**3/7 + 3/y + y**0.3 + min(y, 4)", x=1, y=2).gates]
    for label in ("*2", "+1", "x³", "/7", "3/x", "x^0.3", "min(4, x)"):
        assert label in labels
    assert not any(label.isdigit() for label in labels)


@pytest.mark.usefixtures("unbuilt")
def test_branch_not_taken_gets_nothing() -> None:
    gates = named(traced("Piecewise((log(x), x > 0), (x*y, True))", x=-1, y=3))
    assert math.isnan(gates["log(x)"].value)
    assert gates["log(x)"].gradient == 0.0
    assert gates["log(x)"].troubles == ()
    assert gates["x"].gradient == 3.0
    condition = next(gate for gate in gates.values() if gate.kind == "condition")
    assert condition.value is False
    assert condition.gradient is None


@pytest.mark.usefixtures("unbuilt")
def test_only_what_is_differentiated_has_a_gradient() -> None:
    x, y = sp.symbols("x y")
    gates = named(symgrad.compile(sp.exp(y) * x, wrt=x).trace(2, 0))
    assert gates["x"].gradient == 1.0
    assert gates["exp(y)"].gradient is None
    assert gates["y"].gradient is None


@pytest.mark.usefixtures("unbuilt")
def test_unused_inputs_and_constants() -> None:
    x, y = sp.symbols("x y")
    trace = symgrad.compile(x**2, args=[x, y]).trace(3, 1)
    assert (trace.unused, tuple(trace.gradient)) == (("y",), (6.0, 0.0))
    assert trace.explain("y") == "df/dy = 0: f does not read y."
    constant = symgrad.compile(sp.pi * 2, args=[x]).trace(1)
    assert (constant.value, tuple(constant.gradient)) == (2 * math.pi, (0.0,))
    assert "the gradient of f with respect to itself is 1" in symgrad.compile(x).trace(2.5).explain("x")


def test_float32_overflows_as_the_kernel_does() -> None:
    kernel = symgrad.compile("exp(x)*y", dtype="float32")
    trace = kernel.trace(90.0, 1.0)
    assert trace.value == kernel(90.0, 1.0).value == math.inf
    assert any("overflow" in reason for reason in named(trace)["exp(x)"].troubles)


def test_unstable_elementary_gates_say_so() -> None:
    stable, elementary = (traced("log(1 + exp(x))", level, x=1000.0) for level in LEVELS)
    assert (stable.value, elementary.value) == (1000.0, math.inf)
    assert stable.remark == ""
    assert "the kernel, which knows stabler forms, has the value 1000;" in elementary.findings[-1]


def test_own_gate_stays_a_gate_and_keeps_its_local_gradient() -> None:
    a, x = sp.symbols("a x")
    straight = symgrad.gate("straight", sp.Lambda(a, sp.floor(a)), [lambda result, a: sp.Integer(1)])
    kernel = symgrad.compile(straight(x) ** 2, gates=[straight])
    for level in LEVELS:
        trace = kernel.trace(2.5, level=level)
        assert named(trace)["straight(x)"].value == 2.0
        assert tuple(trace.gradient) == tuple(kernel(2.5).grad) == (4.0,)
    with pytest.raises(symgrad.SymgradError, match="own gates are not in the pickle"):
        pickle.loads(pickle.dumps(kernel)).trace(2.5)


def test_unpickled_kernel_traces() -> None:
    a, x = sp.symbols("a x")
    unused = symgrad.gate("unused", sp.Lambda(a, a), [lambda result, a: sp.Integer(1)])
    assert pickle.loads(pickle.dumps(symgrad.compile(x**2, gates=[unused]))).trace(3.0).value == 9.0
    kernel = pickle.loads(pickle.dumps(symgrad.compile(NEURON)))
    assert str(kernel.trace(**POINT)) == str(symgrad.compile(NEURON).trace(**POINT))


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unbuilt")
@pytest.mark.parametrize("case", SUMS[::9], ids=lambda case: case.name)
def test_arrays(case: Any) -> None:
    """Gradients of sums over data against the references of the table."""
    kernel = symgrad.compile(case.expression())
    arrays = case.arrays("small")
    gradients = case.gradients(**arrays)
    trace = kernel.trace(**{symbol.name: arrays[symbol.name] for symbol in kernel.args})
    assert np.isclose(trace.value, float(case.value(**arrays)), rtol=1e-9)
    for symbol, derivative in zip(trace.gradient.wrt, trace.gradient, strict=True):
        np.testing.assert_allclose(derivative, gradients[symbol.name].astype(float), rtol=1e-8, atol=1e-10)
    json.dumps(trace.to_dict(), allow_nan=False)


NET = """
X: matrix(n, 2)
W: matrix(2, h)
b: vector(h)
V: vector(h)
y: vector(n)
sum((sum(V[k]*max(0, sum(X[i, j]*W[j, k] for j in range(2)) + b[k]) for k in range(h)) - y[i])**2 for i in range(n))
"""


@pytest.mark.usefixtures("unbuilt")
def test_formulas_of_matrices_have_indices_that_one_can_read() -> None:
    n = sp.Symbol("n", integer=True)
    A, B = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, n)
    point = {"A": np.eye(2) + 0.1, "B": np.ones((2, 2))}
    formulas = [gate.formula for gate in symgrad.compile(sp.Trace(A * B.T)).trace(**point).gates]
    assert formulas == ["A[i, j]", "B[i, j]", "A[i, j] * B[i, j]", "sum over i, j of A[i, j] * B[i, j]"]
    formulas = [gate.formula for gate in symgrad.compile(sp.Trace(sp.Inverse(A) * B)).trace(**point).gates]
    assert formulas[2:] == ["solve(A, B)[i, j]", "sum over i of solve(A, B)[i, i]"]
    transposed = symgrad.compile(sp.Trace(sp.Inverse(A.T) * B)).trace(**point)
    assert "solve(A.T, B)[i, j]" in [gate.formula for gate in transposed.gates]


@pytest.mark.usefixtures("unbuilt")
def test_summaries_of_a_net() -> None:
    generator = np.random.default_rng(1)
    point = {
        "X": generator.normal(size=(30, 2)),
        "W": generator.normal(size=(2, 4)),
        "b": np.array([0.0, 0.0, 0.0, -9.0]),
        "V": generator.normal(size=4),
        "y": generator.normal(size=30),
    }
    trace = symgrad.compile(NET).trace(**point)
    gates = named(trace)
    norm = float(np.linalg.norm(point["X"]))
    assert gates["X"].value[:2] == ((30, 2), pytest.approx(norm))
    assert isinstance(gates["W"].gradient, Summary)
    assert gates["W"].gradient.zeros == 0.25  # the unit that is dead for all data
    relu = next(gate for gate in trace.gates if gate.label == "max(0, x)")
    hidden = point["X"] @ point["W"] + point["b"]
    residual = np.maximum(hidden, 0) @ point["V"] - point["y"]
    assert trace.value == pytest.approx(residual @ residual)
    d_hidden = 2 * np.outer(residual, point["V"]) * (hidden > 0)
    np.testing.assert_allclose(trace.gradient["W"], point["X"].T @ d_hidden, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(trace.gradient["b"], d_hidden.sum(0), rtol=1e-12, atol=1e-12)
    assert f"({np.sum(hidden < 0)} of 120 entries)" in relu.troubles[0]
    assert "max routes" in trace.explain("W")
    assert "the sum distributes" in trace.explain("b")


@pytest.mark.usefixtures("unbuilt")
def test_non_finite_entries_are_counted() -> None:
    kernel = symgrad.compile("x: vector(n)\nsum(log(x[i]) for i in range(n))")
    trace = kernel.trace(np.array([1.0, 0.0, -1.0, 2.0]))
    gate = next(gate for gate in trace.gates if gate.label == "log")
    assert gate.value.non_finite == 0.5
    assert gate.value.largest == math.log(2)
    assert math.isnan(gate.value.norm)
    assert [reason.split(" (")[0] for reason in gate.troubles] == [
        "the logarithm of 0",
        "the logarithm of a negative number",
    ]


@pytest.mark.usefixtures("unbuilt")
@pytest.mark.parametrize("case", SUMS[4::9], ids=lambda case: case.name)
def test_entries(case: Any) -> None:
    """Arrays written out, number by number, against the references of the table; the chain rule in their names."""
    kernel = symgrad.compile(case.expression())
    arrays = case.arrays("small")
    gradients = case.gradients(**arrays)
    trace = kernel.trace(**{symbol.name: arrays[symbol.name] for symbol in kernel.args}, level="entries")
    assert np.isclose(trace.value, float(case.value(**arrays)), rtol=1e-9)
    for symbol, derivative in zip(trace.gradient.wrt, trace.gradient, strict=True):
        assert np.shape(derivative) == np.shape(arrays[symbol.name])
        np.testing.assert_allclose(derivative, gradients[symbol.name].astype(float), rtol=1e-8, atol=1e-10)
    assert not any(isinstance(gate.value, Summary) for gate in trace.gates)


@pytest.mark.usefixtures("unbuilt")
def test_entries_have_names_of_their_own() -> None:
    kernel = symgrad.compile("w: vector(n)\nx: vector(n)\ns = sum(w[i]*x[i] for i in range(n))\n1/(1 + exp(-s))")
    trace = kernel.trace(np.array([2.0, -3.0]), np.array([-1.0, -2.0]), level="entries")
    assert [gate.name for gate in trace.gates][:7] == [
        "w[0]",
        "w[1]",
        "x[0]",
        "x[1]",
        "w[0] * x[0]",
        "w[1] * x[1]",
        "s",
    ]
    assert trace.explain("w[1]").startswith("df/dw[1] = ")
    assert trace.gradient["w"].shape == (2,)
    assert kernel.trace([], [], level="entries").value == 0.5
    with pytest.raises(symgrad.SymgradError, match="take fewer rows of the data"):
        kernel.trace(np.ones(10_000), np.ones(10_000), level="entries")
    inverse = symgrad.compile("A: matrix(n, n)\ndet(A)")
    with pytest.raises(symgrad.SymgradError, match="det works on a whole matrix"):
        inverse.trace(np.eye(2), level="entries")


@pytest.mark.usefixtures("unbuilt")
def test_too_large_a_trace_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symgrad.explore.tracing.MAX_TRACE", 1000)
    kernel = symgrad.compile("x: vector(n)\nsum(x[i]**2 for i in range(n))")
    assert kernel.trace(np.ones(10)).value == 10.0
    with pytest.raises(symgrad.SymgradError, match="trace with fewer rows"):
        kernel.trace(np.ones(1000))


# --- troubles and words -----------------------------------------------------------------------------------------------

TROUBLES = [
    ("sigmoid saturates", "1/(1 + exp(-x))", {"x": 20.0}, "saturated"),
    ("tanh saturates", "tanh(x)", {"x": -9.0}, "saturated"),
    ("erf saturates", "erf(x)", {"x": 3.5}, "saturated"),
    ("dead relu", "y*max(0, x)", {"x": -1.0, "y": 2.0}, "dead: the constant 0 is the larger"),
    ("clipped", "y*min(1, x)", {"x": 3.0, "y": 2.0}, "clipped: the constant 1 is the smaller"),
    ("tie of two", "max(x, y)", {"x": 2.0, "y": 2.0}, "a tie"),
    ("tie of three", "max(x, y, z)", {"x": 2.0, "y": 1.0, "z": 2.0}, "a tie"),
    ("0/0", "x/y", {"x": 0.0, "y": 0.0}, "0/0"),
    ("pole", "x/y", {"x": 1.0, "y": 0.0}, "division by zero"),
    ("overflow", "exp(x)*y", {"x": 800.0, "y": 1.0}, "overflow"),
    ("underflow", "exp(x)*y", {"x": -800.0, "y": 1.0}, "underflow"),
    ("log of 0", "log(x)", {"x": 0.0}, "the logarithm of 0"),
    ("log of negative", "log(x)", {"x": -2.0}, "negative number"),
    ("root of negative", "sqrt(x)", {"x": -2.0}, "root of a negative number"),
    ("root at 0", "sqrt(x)", {"x": 0.0}, "infinite slope"),
    ("domain", "asin(x)", {"x": 1.5}, "NaN: no real number"),
    ("inf - inf", "exp(x) - exp(y)", {"x": 800.0, "y": 900.0}, "NaN: no real number"),
    ("kink", "abs(x)", {"x": 0.0}, "a kink"),
    ("step", "floor(x)*y", {"x": 1.5, "y": 1.0}, "a step"),
    ("no branch", "Piecewise((x, x > 0))", {"x": -1.0}, "outside of all branches"),
]


@pytest.mark.usefixtures("unbuilt")
@pytest.mark.parametrize(("text", "point", "reason"), [row[1:] for row in TROUBLES], ids=[row[0] for row in TROUBLES])
def test_trouble_is_marked(text: str, point: dict[str, float], reason: str) -> None:
    trace = traced(text, **point)
    assert any(reason in found for gate in trace.gates for found in gate.troubles)
    assert any(reason in finding for finding in trace.findings)
    assert reason in str(trace)


@pytest.mark.usefixtures("unbuilt")
@pytest.mark.parametrize("text", [row[1] for row in TROUBLES if row[0] not in ("step", "no branch")])
def test_no_trouble_at_an_ordinary_point(text: str) -> None:
    point = {symbol.name: 0.3 + 0.21 * i for i, symbol in enumerate(symgrad.compile(text).args)}
    if "Piecewise" not in text:
        assert traced(text, **point).findings == ()


@pytest.mark.usefixtures("unbuilt")
def test_no_kink_where_no_gradient_flows() -> None:
    kernel = symgrad.compile("x: vector(n)\nlog(sum(exp(x[i]) for i in range(n)))")
    trace = kernel.trace(np.zeros(3))
    assert trace.findings == ()
    assert any(gate.operation == "detached" for gate in trace.gates)


def test_rules_are_for_gates_that_there_are() -> None:
    assert set(RULES) <= set(GATES)


def test_conditions_of_troubles_are_conditions() -> None:
    stages = Stages("max(0, x)*log(y)/x + sqrt(x) + tanh(y)", None, None, ())
    made = circuit(stages.graph, stages.gradient.wrt)
    made = made.watched(range(len(made.steps)))
    views = [made.slots[trouble.when].view for step in made.steps for trouble in step.troubles]
    assert len(views) > 10
    assert {view.node.kind for view in views} == {"boolean"}
    assert isinstance(views[0], View)
    assert reachable([views[0].node])


@pytest.mark.usefixtures("unbuilt")
def test_vanishing_chain_is_found_and_explained() -> None:
    text = "x"
    for _ in range(12):
        text = f"1/(1 + exp(-({text})))"
    trace = traced(text, x=0.3)
    (finding,) = trace.findings
    assert "the gradient of x vanishes: 12 gates on its strongest path shrink it (12 of σ, by 0.2" in finding
    assert finding.split()[-1] == f"{trace.gradient[0]:.3g}"
    assert trace.explain("x").count("sigmoid's shortcut") == 12
    assert f"Trouble: {finding}" in trace.explain("x")


@pytest.mark.usefixtures("unbuilt")
def test_exploding_chain_is_found() -> None:
    lines = ["a0 = x"] + [f"a{i} = 4*a{i - 1}*(1 - a{i - 1})" for i in range(1, 30)]  # the logistic map
    trace = traced("\n".join([*lines, "a29"]), x=0.1234)
    (finding,) = trace.findings
    assert "the gradient of x explodes" in finding
    assert "enlarge it" in finding


@pytest.mark.usefixtures("unbuilt")
def test_units_are_no_trouble() -> None:
    assert traced("G*m1*m2/r**2", G=6.7e-11, m1=1e-20, m2=1e-20, r=1e10).findings == ()


@pytest.mark.usefixtures("unbuilt")
def test_dead_relu_is_found_and_explained() -> None:
    trace = traced("a*max(0, w*x + b) + c", a=2, b=-5, c=1, w=1, x=1)
    wanted = "the gradients of b, w and x are 0: nothing passes #7 max(0, b + w * x) (dead"
    assert any(wanted in finding for finding in trace.findings)
    assert any("the gradient of a is 0: nothing passes #8 a * max(0, b + w * x) (another" in f for f in trace.findings)
    explained = trace.explain("w")
    assert "max routes: b + w * x is not the larger and gets nothing" in explained
    assert "mul switches" in explained
    assert "add distributes" in explained


@pytest.mark.usefixtures("unbuilt")
def test_nan_is_traced_to_its_origin() -> None:
    trace = traced("(x - y)/(x*x - y*y)*z", x=1, y=1, z=2)
    assert any("the gradients of x, y and z are NaN: it comes from #10" in f and "0/0" in f for f in trace.findings)
    assert "0/0" in trace.explain("x")


@pytest.mark.usefixtures("unbuilt")
def test_explanation_of_the_neuron() -> None:
    lines = traced(NEURON, **POINT).explain("w0").splitlines()
    assert lines[0] == "df/dw0 = -0.196612, where f = 0.731059 and w0 = 2."
    assert "the sigmoid's shortcut y*(1 - y), with y = 0.7311: 1 * 0.1966 = 0.1966." in lines[2]
    assert "add distributes: each argument gets the upstream gradient 0.1966." in lines[3]
    assert "mul switches: w0 gets the upstream gradient times the other factor x0: 0.1966 * -1 = -0.1966." in lines[4]


@pytest.mark.usefixtures("unbuilt")
def test_explanation_adds_what_arrives() -> None:
    explained = traced("x*y + x*z", x=1, y=3, z=2).explain("x")
    assert "x is read 2 times, and what arrives adds: 3 + 2 = 5." in explained


@pytest.mark.usefixtures("unbuilt")
def test_explanation_of_an_unknown_input() -> None:
    with pytest.raises(ValueError, match="no input 'q'; the inputs are x"):
        traced("x**2", x=1).explain("q")


@pytest.mark.usefixtures("unbuilt")
def test_points_are_single_and_real() -> None:
    kernel = symgrad.compile("x**2")
    with pytest.raises(TypeError, match="one point"):
        kernel.trace(np.ones(3))
    with pytest.raises(TypeError, match="complex"):
        kernel.trace(1j)
    with pytest.raises(ValueError, match="level is one of gates, elementary, entries"):
        kernel.trace(1.0, level="all")


@pytest.mark.usefixtures("unbuilt")
def test_prints_plainly_and_as_data() -> None:
    trace = traced(NEURON, **POINT)
    text = str(trace)
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2 + len(trace.gates)
    data = json.loads(json.dumps(trace.to_dict(), allow_nan=False))
    assert data["gates"][-1]["value"] == trace.value
    assert {row["by"]: row["value"] for row in data["gradient"]} == trace.gradient.as_dict()
    infinite = traced("1/x", x=0).to_dict()
    assert infinite["value"] == "inf"


@pytest.mark.usefixtures("unbuilt")
def test_control_characters_of_names_are_not_printed() -> None:
    name = "x\x1b[31m"
    trace = symgrad.compile(sp.Symbol(name) ** 2).trace(2.0)
    assert "\x1b" not in str(trace)


@pytest.mark.usefixtures("unbuilt")
def test_long_expressions_are_described_by_numbers() -> None:
    lines = ["a0 = x0"]
    lines += [f"a{i} = tanh(a{i - 1}*x{i % 9}) + sin(x{i % 7})*a{i - 1}" for i in range(1, 260)]
    kernel = symgrad.compile("\n".join([*lines, "a259"]))
    trace = kernel.trace(*(0.3 + 0.05 * i for i in range(9)))
    assert len(trace.gates) > 1000
    assert max(len(gate.formula) for gate in trace.gates) <= 60
    explained = trace.explain("x8")
    assert "gates lie between f and x8" in explained
    assert len(explained.splitlines()) < 90


def test_the_slope_of_the_logistic_function_is_that_of_the_lecture() -> None:
    """In words; its number is right also where 1 - y has no digit left."""
    trace = symgrad.compile("y = 1/(1 + exp(-x))\ny").trace(x=40.0)
    (wire,) = trace.gates[-1].wires
    assert wire.local_formula == "y * (1 - y)"
    assert wire.local == pytest.approx(4.248354255291589e-18, rel=1e-14)
