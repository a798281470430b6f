"""Sums of exponentials are right where exp overflows; scalar laws hold on broadcast arguments; what is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import array_corpus
import identities
import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy.tensor.array.expressions import array_expressions as arrays

from symgrad.compiler import Stages
from symgrad.errors import UnsupportedExpression
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly
from symgrad.graph.graph import Graph
from symgrad.graph.node import Reduction
from symgrad.lower.lower import lower
from symgrad.reductions import Largest
from symgrad.transform.differentiate import differentiate
from symgrad.transform.laws.law import LAWS
from symgrad.transform.simplify import simplify

i, j, k, l = sp.symbols("i j k l", integer=True)  # noqa: E741  # the letter of the mathematics
n, m = sp.symbols("n m", integer=True, positive=True)
x, y, v = (sp.IndexedBase(name, shape=(n,)) for name in "xyv")
TABLE = sp.IndexedBase("a", shape=(n,), integer=True)
S = sp.IndexedBase("S", shape=(n, m))
A, B = sp.MatrixSymbol("A", n, m), sp.MatrixSymbol("B", 2, 2)
exp, log = sp.exp, sp.log
over_n, also_n = (i, 0, n - 1), (j, 0, n - 1)
CORPUS = {case.name: case for case in [*array_corpus.CORPUS, *identities.CORPUS]}


def total(body: sp.Expr, symbol: sp.Symbol = j) -> sp.Expr:
    return sp.Sum(body, (symbol, 0, n - 1))


# Each is finite where its exponentials are not.
STABLE: dict[str, sp.Expr] = {
    "logarithm": log(total(exp(x[j]))),
    "with_a_number": log(2 + total(exp(x[j]))),
    "with_a_symbol": log(y[0] ** 2 + total(exp(x[j]))),
    "with_an_exponential": log(exp(x[0] + 1) + total(exp(x[j])) / 3),
    "of_two_sums": log(total(exp(x[j])) + total(exp(-x[j]))),
    "mean": log(total(exp(x[j])) / n),
    "weighted": log(total((1 + v[j] ** 2) * exp(x[j]))),
    "masked": log(total(sp.Piecewise((exp(x[j]), v[j] > -5), (0, True)))),
    "causal": total(log(sp.Sum(exp(x[j]), (j, 0, i))), i),
    "one_left_out": log(total(sp.Piecewise((exp(x[j]), sp.Ne(j, 3)), (0, True)))),
    "inside_branches": log(total(sp.Piecewise((exp(x[j]), v[j] > 0), (2 * exp(x[j] - 1), True)))),
    "of_a_power": log(total(exp(x[j])) ** 2),
    "of_a_power_and_a_sum": log(total(exp(x[j])) ** 2 + total(exp(x[j] / 2))),
    "of_a_power_and_a_number": log(total(exp(x[j])) ** 2 + 1),
    "over_two_indices": log(sp.Sum(exp(x[i]) * (2 + sp.sin(v[i] * y[j])), (j, 0, n - 1), (i, 0, n - 1))),
    "over_a_triangle": log(sp.Sum(exp(x[i]) * (2 + sp.sin(v[i] * y[j])), (j, 0, i), (i, 0, n - 1))),
    "of_a_ratio": log(total(exp(x[j])) / total(exp(x[j] / 2))),
    "of_a_share": log(exp(x[0]) / total(exp(x[j]))),
    "nested": log(total(exp(x[i]) * total(exp(x[i] * y[j])), i)),
    "sum_of_logarithms": total(log(total(exp(x[i] - x[j]))), i),
    "share": exp(x[0]) / total(exp(x[j])),
    "share_times_a_number": 3 * y[0] * exp(x[0]) / total(exp(x[j])),
    "mean_by_shares": total(v[i] * exp(x[i]) / total(exp(x[j])), i),
    "ratio": total(exp(x[j]) * v[j]) / total(exp(x[j])),
    "ratio_with_a_number": total(exp(x[j]) * v[j]) / (1 + total(exp(x[j]))),
    "ratio_of_others": total(exp(x[j] - 1)) / total(exp(x[j])),
    "squared_ratio": exp(2 * x[0]) / total(exp(x[j])) ** 2,
    "two_ratios": total(exp(x[j]) * v[j]) * exp(-y[0]) / (total(exp(x[j])) * total(exp(-y[j]))),
    "entropy": total(exp(x[i]) / total(exp(x[j])) * log(exp(x[i]) / total(exp(x[j]))), i),
    "attention": total(total(exp(x[i] * y[j]) * v[j]) / total(exp(x[i] * y[k]), k), i),
}
POINTS: dict[str, list[list[float]]] = {
    "large": [[1000.0, 999.0, -1000.0], [2.0, -1.5, 1.0], [0.5, -2.0, 3.0]],
    "small": [[-1000.0, -1001.5, -1000.0], [-1.0, 0.5, 2.0], [1.0, 2.0, -0.5]],
    "far_apart": [[800.0, -800.0, 3.0], [1.0, 1.0, 1.0], [1.0, -1.0, 2.0]],
    "ties": [[900.0, 900.0, 900.0], [1.0, 2.0, 3.0], [1.0, -1.0, 2.0]],
    "one": [[-1200.0], [0.5], [2.0]],
    "ordinary": [[0.3, -0.4, 1.2], [0.1, 0.2, 0.7], [1.0, -1.0, 2.0]],
}


def values(graph: Graph, given: dict[str, Any], sizes: dict[str, int]) -> list[Any]:
    return evaluate(graph, [given[name] for name in graph.inputs], sizes)


def exact(expression: sp.Expr, given: dict[str, Any], sizes: dict[str, int]) -> list[Any]:
    """The graph as it was written, and its derivatives, at a precision and range where nothing overflows."""
    graph, inputs = lower(expression)
    written = differentiate(graph, range(len(inputs)))
    found = evaluate_exactly(written, [given[name] for name in graph.inputs], sizes, 1500)
    return [np.vectorize(float, otypes=[float])(value) for value in found]


def assert_agree(expression: sp.Expr, given: dict[str, Any], sizes: dict[str, int]) -> None:
    graph = Stages(expression, None, None, ()).simplified
    got, want = values(graph, given, sizes), exact(expression, given, sizes)
    scale = max([1.0, *(float(np.abs(own).max(initial=0)) for own in want[1:])])
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12, atol=1e-300)
    for own, other in zip(got[1:], want[1:], strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-11, atol=1e-11 * scale)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", STABLE)
def test_stable_sum(name: str, point: str) -> None:
    given = {symbol: np.array(numbers) for symbol, numbers in zip("xyv", POINTS[point], strict=True)}
    assert_agree(STABLE[name], given, {"n": len(given["x"])})


@pytest.mark.parametrize(
    ("numbers", "value"),
    [
        ([-np.inf, -np.inf], -np.inf),
        ([np.inf, 0.0], np.inf),
        ([np.inf, -np.inf], np.inf),
        ([-np.inf, 3.0], 3.0),
        ([np.nan, 3.0], np.nan),
        ([], -np.inf),
    ],
)
def test_logarithm_of_infinite_terms(numbers: list[float], value: float) -> None:
    graph = Stages(STABLE["logarithm"], None, None, ()).simplified
    assert values(graph, {"x": np.array(numbers)}, {"n": len(numbers)})[0] == pytest.approx(value, nan_ok=True)
    graph = Stages(log(total(exp(x[j])) + 2 * total(exp(-5 + 0 * x[j] + x[j]))), None, None, ()).simplified
    value += np.log(1 + 2 * np.exp(-5))
    assert values(graph, {"x": np.array(numbers)}, {"n": len(numbers)})[0] == pytest.approx(value, nan_ok=True)


# --- what is shared, and what stays as it is --------------------------------------------------------------------------


def gates(graph: Graph) -> Counter[str]:
    return Counter(node.gate.name for node in graph.order())


@pytest.mark.parametrize(
    "expression",
    [
        total(log(sp.Sum(exp(S[i, k]), (k, 0, m - 1))) - S[i, 0], i),
        -total(log(exp(S[i, 0]) / sp.Sum(exp(S[i, k]), (k, 0, m - 1))), i),
        CORPUS["softmax_regression"].expression(),
        CORPUS["cross_entropy"].expression(),
    ],
    ids=["logarithm", "share", "regression", "matrices"],
)
def test_cross_entropy_has_one_exponential_and_one_logarithm(expression: sp.Expr) -> None:
    found = gates(Stages(expression, None, None, ()).simplified)
    assert (found["exp"], found["log"], found["largest"]) == (1, 1, 1)


@pytest.mark.parametrize("name", ["attention", "softmax_mean", "entropy_of_softmax"])
def test_shares_have_one_exponential(name: str) -> None:
    found = gates(Stages(CORPUS[name].expression(), None, None, ()).simplified)
    assert (found["exp"], found["largest"]) == (1, 1)


@pytest.mark.parametrize(
    "expression",
    [
        log(total(exp(x[j] - Largest(x[k], (k, 0, n - 1))))),
        log(total(x[j] ** 2)),
        log(total(sp.exp(2) * x[j])),
        total(exp(x[j])),
        total(x[j]) / total(y[j]),
    ],
    ids=["written_stably", "no_exponential", "constant", "alone", "ratio"],
)
def test_no_shift_where_none_is_needed(expression: sp.Expr) -> None:
    fired: Counter[str] = Counter()
    simplify(lower(expression)[0], ("stabler", "sharing", "cheaper"), fired)
    assert not {"log_of_sums", "ratio_of_sums", "product_with_shift"} & set(fired)


def test_the_shift_is_spelled_without_a_gate_of_its_own() -> None:
    stages = Stages(STABLE["logarithm"], None, None, ())
    assert gates(stages.gradient)["detached"]
    assert not gates(stages.simplified)["detached"]


def test_every_law_of_sums_fires() -> None:
    fired: Counter[str] = Counter()
    for expression in [*STABLE.values(), total(-x[j] - y[j]), log(sp.Determinant(B))]:
        simplify(lower(expression)[0], ("stabler", "sharing", "cheaper"), fired)
    own = {
        law.name for laws in LAWS.values() for law in laws if law.rewrite.__module__ == "symgrad.transform.laws.arrays"
    }
    assert own <= set(fired)


def test_simplifying_twice_changes_nothing() -> None:
    for name, expression in STABLE.items():
        stable = simplify(lower(expression)[0], ("stabler", "sharing", "cheaper"))
        fired: Counter[str] = Counter()
        simplify(stable, ("stabler", "sharing", "cheaper"), fired)
        assert not fired, (name, fired)


def test_the_logarithm_of_a_determinant_does_not_overflow() -> None:
    size = 300
    matrix = sp.MatrixSymbol("A", n, n)
    graph = Stages(log(sp.Determinant(matrix)), None, None, ()).simplified
    value, gradient = values(graph, {"A": 1e3 * np.eye(size)}, {"n": size})
    assert value == pytest.approx(size * np.log(1e3), rel=1e-14)
    np.testing.assert_allclose(gradient, 1e-3 * np.eye(size), atol=1e-18)


# --- constants and products in sums -----------------------------------------------------------------------------------


def bodies(graph: Graph) -> list[str]:
    return [
        node.arguments[0].node.gate.name
        for node in graph.order()
        if isinstance(node.attribute, Reduction) and node.loops > node.rank
    ]


@pytest.mark.parametrize(
    "expression",
    [
        total(3 * x[j] * y[j]),
        -total(x[j] * y[j]),
        total(-x[j] * y[j] / 7),
        total(sp.pi * (2 * x[j]) * y[j]),
        total(x[j] * (-y[j])),
    ],
    ids=["number", "minus", "quotient", "constants", "inner_minus"],
)
def test_constants_stand_before_the_sum(expression: sp.Expr) -> None:
    graph = simplify(lower(expression)[0], ("sharing", "cheaper"))
    (node,) = [node for node in graph.order() if node.gate.name == "sum"]
    body = node.arguments[0].node
    assert body.gate.name == "mul"
    assert [edge.node.gate.name for edge in body.arguments] == ["input", "input"]
    given = {"x": np.array([0.3, -2.0]), "y": np.array([1.7, 0.6])}
    np.testing.assert_allclose(values(graph, given, {"n": 2}), exact(expression, given, {"n": 2})[:1], rtol=1e-15)


@pytest.mark.parametrize("name", ["softmax_regression", "cross_entropy", "two_layers", "logistic", "net", "relu_net"])
def test_contractions_are_products_of_two(name: str) -> None:
    """Else they are no matrix products: no factor of a summed product is itself a product of both kinds of axes."""
    graph = Stages(CORPUS[name].expression(), None, None, ()).simplified
    for node in graph.order():
        body = node.arguments[0].node if node.gate.name == "sum" and node.loops > node.rank else None
        if body is not None and body.gate.name == "mul":
            assert len(body.arguments) == 2, (node, body)
            assert not any(edge.node.fixed for edge in body.arguments), (node, body)
    assert "neg" not in bodies(graph)


def test_a_division_by_what_varies_less_is_a_reciprocal() -> None:
    graph = Stages(sp.Sum(S[i, k] ** 2 / x[i], over_n, (k, 0, m - 1)), None, None, ()).simplified
    assert all(node.rank < 2 for node in graph.order() if node.gate.name == "div")


# --- laws of scalars on broadcast arguments ---------------------------------------------------------------------------

BROADCAST: dict[str, sp.Expr] = {
    "logsumexp": log(exp(x[i]) + exp(y[j])),
    "logsumexp_of_three": log(exp(x[i]) + exp(y[j]) + exp(v[i])),
    "softplus": log(1 + exp(x[i] - y[j])),
    "log1p": log(1 + x[i] ** 2 * y[j] ** 2),
    "hypot": sp.sqrt(x[i] ** 2 + y[j] ** 2),
    "hypot_of_three": sp.sqrt(x[i] ** 2 + y[j] ** 2 + v[i] ** 2),
    "sigmoid": v[i] / (1 + exp(-x[i] * y[j])),
    "softmax": exp(x[i]) / (exp(x[i]) + exp(y[j])),
    "tanh": (exp(x[i]) - exp(y[j])) / (exp(x[i]) + exp(y[j])),
    "same_node_other_axis": exp(x[i]) / (exp(x[i]) + exp(x[j])),
    "two_axes_of_one_node": log(exp(x[i]) + exp(x[j])),
    "sinc": sp.sin(x[i] * y[j]) / (x[i] * y[j]),
    "versine": 1 - sp.cos(x[i] - y[j]),
    "scales": 2 * x[i] * 3 * y[j] + 6 * v[j],
    "signs": -x[i] - y[j],
    "branches": sp.Piecewise((x[i], x[i] > y[j]), (y[j], True)) * v[i],
    "reciprocals": x[i] / y[j] + v[i] / y[j] + 1 / y[j] + 1 / y[i],
}


@pytest.mark.parametrize("name", BROADCAST)
def test_scalar_law_on_broadcast_arguments(name: str) -> None:
    expression = sp.Sum(BROADCAST[name] * (1 + i + 3 * j), over_n, also_n)
    given = {"x": np.array([0.7, -1.3, 2.1]), "y": np.array([1.1, 0.4, -0.8]), "v": np.array([-0.3, 0.9, 1.6])}
    assert_agree(expression, given, {"n": 3})


# --- branches of indices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        sp.Eq(i, j),
        sp.Ne(i, j + 1),
        i < j,
        i + 1 >= j,
        sp.And(i > 0, j > 0),
        sp.Or(sp.Eq(i, 0), sp.Eq(j, n - 1)),
        sp.Not(sp.Or(i < j, sp.Eq(j, 1))),
        sp.Or(sp.And(i > 0, j < 2), sp.Eq(i, 2)),
        i < n - j,
    ],
)
def test_conditions_on_indices_are_domains(condition: Any) -> None:
    expression = sp.Sum(sp.Piecewise((x[i] * y[j] ** 2, condition), (sp.sin(x[j]), True)), over_n, also_n)
    graph = Stages(expression, None, None, ()).simplified
    assert not gates(graph)["select"]
    xs, ys = np.array([0.7, -1.3, 2.1, 0.2]), np.array([1.1, 0.4, -0.8, 0.6])
    holds = sp.lambdify((i, j, n), condition)
    want = sum(xs[a] * ys[b] ** 2 if bool(holds(a, b, 4)) else np.sin(xs[b]) for a in range(4) for b in range(4))
    assert values(graph, {"x": xs, "y": ys}, {"n": 4})[0] == pytest.approx(want, rel=1e-14)


def test_a_branch_reads_where_it_is_taken_only() -> None:
    expression = total(sp.Piecewise((x[i], sp.Eq(i, 0)), (x[i] - x[i - 1], True)) ** 2, i)
    graph = Stages(expression, None, None, ()).simplified
    assert not {"select", "eq"} & set(gates(graph))
    assert_agree(expression, {"x": np.array([0.5, 2.0, -1.0])}, {"n": 3})
    assert_agree(expression, {"x": np.array([0.5])}, {"n": 1})


# --- array expressions, and what is refused ---------------------------------------------------------------------------

T = arrays.ArraySymbol("T", (2, 3, 4))
M, N = sp.MatrixSymbol("M", 3, 3), sp.MatrixSymbol("N", 3, 3)
TENSOR = arrays.ArrayTensorProduct(M, N)
ARRAY_EXPRESSIONS: list[tuple[str, Any, Any]] = [
    ("symbol", T, lambda T, M, N: T),
    ("permuted", arrays.PermuteDims(T, [2, 0, 1]), lambda T, M, N: T.transpose(2, 0, 1)),
    ("contraction", arrays.ArrayContraction(TENSOR, (1, 2)), lambda T, M, N: M @ N),
    ("diagonal", arrays.ArrayDiagonal(TENSOR, (0, 3)), lambda T, M, N: np.einsum("ab,ca->bca", M, N)),
    ("sum", arrays.ArrayAdd(M, N), lambda T, M, N: M + N),
    ("function", arrays.ArrayElementwiseApplyFunc(sp.sin, M), lambda T, M, N: np.sin(M)),
]


@pytest.mark.parametrize(("name", "array", "want"), ARRAY_EXPRESSIONS, ids=[row[0] for row in ARRAY_EXPRESSIONS])
def test_array_expression(name: str, array: Any, want: Any) -> None:
    rng = np.random.default_rng(1)
    given = {"T": rng.normal(size=(2, 3, 4)), "M": rng.normal(size=(3, 3)), "N": rng.normal(size=(3, 3))}
    numbers = want(**given)
    weights = np.arange(1.0, 1 + numbers.size).reshape(numbers.shape)
    indices = (i, j, k)[: numbers.ndim]
    strides = [int(np.prod(numbers.shape[at + 1 :])) for at in range(numbers.ndim)]
    place = 1 + sum(stride * index for stride, index in zip(strides, indices, strict=True))
    limits = [(index, 0, length - 1) for index, length in zip(indices, numbers.shape, strict=True)]
    graph = Stages(sp.Sum(place * arrays.ArrayElement(array, indices), *limits), None, None, ()).simplified
    assert values(graph, given, {})[0] == pytest.approx((weights * numbers).sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        (arrays.ArrayElement(arrays.Reshape(T, (6, 4)), (1, 2)), r"Reshape"),
        (sp.Trace(sp.KroneckerProduct(B, sp.MatrixSymbol("C", n, n))), r"KroneckerProduct\(B, C\)"),
        (sp.Trace(sp.MatrixSymbol("C", n, n) ** sp.Rational(1, 2)), r"C\*\*\(1/2\)"),
        (A[0, 0] + sp.Symbol("s") * sp.Function("f")(sp.Symbol("s")), r"f\(s\)"),
        (total(x[i] * y[sp.Mod(i + total(TABLE[j]), n)], i), r"Sum\(a\[j\].* stands in an index .* an integer array"),
    ],
    ids=["reshape", "kronecker_of_symbolic_size", "root", "function", "sum_in_an_index"],
)
def test_refused_by_name(expression: sp.Expr, named: str) -> None:
    with pytest.raises(UnsupportedExpression, match=named):
        lower(expression)


def test_a_symbolic_first_factor_of_a_kronecker_product() -> None:
    C, D = sp.MatrixSymbol("C", n, n), sp.MatrixSymbol("D", 2 * n, 2 * n)
    rng = np.random.default_rng(2)
    given = {"B": rng.normal(size=(2, 2)), "C": rng.normal(size=(3, 3)), "D": rng.normal(size=(6, 6))}
    graph = Stages(sp.Trace(sp.KroneckerProduct(C, B) * D), None, None, ()).simplified
    want = np.trace(np.kron(given["C"], given["B"]) @ given["D"])
    assert values(graph, given, {"n": 3})[0] == pytest.approx(want, rel=1e-13)


def test_exact_references_are_beyond_the_range_of_floats() -> None:
    with mpmath.workdps(20):
        assert exact(STABLE["logarithm"], {"x": np.array([5000.0])}, {"n": 1})[0] == 5000
