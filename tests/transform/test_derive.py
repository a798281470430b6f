"""Jacobians and Hessians of several values: which outputs there are, and what they are."""

from __future__ import annotations

import pytest
import sympy as sp
from several import exact, scalars

from symgrad.evaluate.evaluation import evaluate
from symgrad.graph.graph import POINTWISE
from symgrad.transform.cost import cost
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.simplify import simplify
from symgrad.verify import verify_graph

x, y, z = sp.symbols("x y z", real=True)
POINT = (0.7, -1.3, 2.1)
VALUES = (x**2 * sp.sin(y), sp.exp(x) + 3, sp.Integer(7), x * y * z)


@pytest.mark.parametrize("wrt", [(0, 1, 2), (2, 0)])
@pytest.mark.parametrize("derivative", ["jacobian", "hessian"])
def test_outputs_are_what_is_not_0(derivative: str, wrt: tuple[int, ...]) -> None:
    graph = derive(scalars(VALUES, (x, y, z)), Wanted(wrt, derivative))
    verify_graph(graph, "derive")
    want = {(of, (i,)): sp.diff(f, (x, y, z)[i]) for of, f in enumerate(VALUES) for i in wrt}
    if derivative == "hessian":
        pairs = [(i, j) for place, i in enumerate(wrt) for j in wrt[: place + 1]]
        second = {
            (of, pair): sp.diff(f, *((x, y, z)[i] for i in pair)) for of, f in enumerate(VALUES) for pair in pairs
        }
        want |= second
    want = {key: found for key, found in want.items() if found != 0}
    assert [(output.of, output.by) for output in graph.derivatives] == list(want)
    assert all(output.shape == POINTWISE for output in graph.outputs)
    for made in (graph, simplify(graph, ("cheaper", "spelling"))):
        numbers = evaluate(made, POINT)[len(VALUES) :]
        for number, expression in zip(numbers, want.values(), strict=True):
            assert float(number) == pytest.approx(float(exact(expression, (x, y, z), POINT)), rel=1e-14)


def test_values_alone_and_gradient() -> None:
    graph = scalars([x * y], (x, y, z))
    assert derive(graph, Wanted((0,), None)) is graph
    assert [output.by for output in derive(graph, Wanted((2, 0))).derivatives] == [(2,), (0,)]


def test_a_value_outside_of_a_branch_is_not_masked_by_one_that_reads_it_inside() -> None:
    graph = scalars([sp.log(x), sp.Piecewise((2 * sp.log(x), x > 0), (0, True))], (x,))
    value, inside, *derivatives = evaluate(derive(graph, Wanted((0,), "jacobian")), (-1.0,))
    assert value != value
    assert inside == 0
    assert [float(own) for own in derivatives] == [-1.0, 0.0]


def test_the_cardinal_sine_as_people_write_it_is_smooth_at_0() -> None:
    sinc = sp.Piecewise((sp.sin(x) / x, sp.Ne(x, 0)), (1, True))
    for f, curvature in ((sinc, -1 / 3), (sp.exp(sinc), -sp.E / 3)):
        found = evaluate(derive(scalars([f], (x,)), Wanted((0,), "hessian")), (0.0,))
        assert [float(own) for own in found[1:]] == pytest.approx([0.0, float(curvature)], rel=1e-15)


@pytest.mark.parametrize(
    ("expressions", "operations"),
    [
        (lambda a, b: [-2 * a], 1),  # the minus is the number's
        (lambda a, b: [-a], 1),
        (lambda a, b: [sp.exp(-a * b)], 3),  # here it is an operation
        (lambda a, b: [1 / a, 1 / (3 * a)], 2),  # the inverse of a multiple, of the inverse
        (lambda a, b: [1 / a, 1 / (3 * b)], 3),
    ],
)
def test_what_counts_as_an_operation(expressions, operations: int) -> None:
    symbols = sp.symbols("a b")
    graph = simplify(scalars(expressions(*symbols), symbols), ("cheaper", "spelling"))
    assert cost(graph.views) == operations
