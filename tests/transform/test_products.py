"""Products with Jacobians and Hessians: against the derivatives of SymPy, at 50 digits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from several import exact, scalars

from symgrad.evaluate.evaluation import evaluate
from symgrad.graph.graph import POINTWISE
from symgrad.transform.derive import Wanted, derive
from symgrad.transform.simplify import simplify
from symgrad.verify import verify_graph

x, y, z = SYMBOLS = sp.symbols("x y z", real=True)
POINT = (0.7, -1.3, 2.1)
VALUES = [x**2 * sp.sin(y), sp.exp(x) + 3, sp.Integer(7), x * y * z, z, sp.Piecewise((sp.log(z), z > 1), (x * z, True))]
WEIGHTS = (0.3, -1.0, 2.0, 0.0, 5.0, 0.25)
DIRECTION = (1.5, -0.5, 0.25)


def product(kind: str, values: list[sp.Expr], wrt: tuple[int, ...], given: tuple[float, ...]) -> list[float]:
    graph = scalars(values, SYMBOLS)
    names = tuple(f"given {place}" for place in range(len(given)))
    graph = replace(graph, inputs=(*graph.inputs, *names), shapes=(*graph.shapes, *[POINTWISE] * len(given)))
    made = derive(graph, Wanted(wrt, kind))
    verify_graph(made, "derive")
    assert made.inputs == graph.inputs
    short = simplify(made, ("cheaper", "spelling"))
    found, again = (evaluate(own, [*POINT, *given]) for own in (made, short))
    assert [float(number) for number in again] == pytest.approx([float(number) for number in found], rel=1e-13)
    return [float(number) for number in found]


@pytest.mark.parametrize("wrt", [(0, 1, 2), (2, 0)])
def test_jvp_and_vjp(wrt: tuple[int, ...]) -> None:
    columns = [SYMBOLS[place] for place in wrt]
    values = [exact(own, SYMBOLS, POINT) for own in VALUES]
    jacobian = [[exact(sp.diff(own, by), SYMBOLS, POINT) for by in columns] for own in VALUES]
    direction = DIRECTION[: len(wrt)]
    jvp = [sum(a * b for a, b in zip(row, direction, strict=True)) for row in jacobian]
    found = product("jvp", VALUES, wrt, direction)
    assert found == pytest.approx(list(map(float, [*values, *jvp])), rel=1e-14)
    vjp = [sum(w * row[place] for w, row in zip(WEIGHTS, jacobian, strict=True)) for place in range(len(wrt))]
    found = product("vjp", VALUES, wrt, WEIGHTS)
    assert found == pytest.approx(list(map(float, [*values, *vjp])), rel=1e-14)


@pytest.mark.parametrize("wrt", [(0, 1, 2), (2, 0)])
@pytest.mark.parametrize("place", range(len(VALUES)))
def test_hvp(wrt: tuple[int, ...], place: int) -> None:
    value, columns, direction = VALUES[place], [SYMBOLS[own] for own in wrt], DIRECTION[: len(wrt)]
    wanted = [
        sum(exact(sp.diff(value, one, two), SYMBOLS, POINT) * v for two, v in zip(columns, direction, strict=True))
        for one in columns
    ]
    found = product("hvp", [value], wrt, direction)
    assert found == pytest.approx(list(map(float, [exact(value, SYMBOLS, POINT), *wanted])), rel=1e-14)
