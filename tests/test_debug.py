"""Bisection: a law or a pass that changes numbers is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symgrad.debug import bisect
from symgrad.graph.graph import Graph
from symgrad.transform.laws.law import LAWS, Law

x, y = sp.symbols("x y")
SUMS = "x: vector(n)\ns: real\nlog(sum(exp(s*x[i]) for i in range(n)))"


@pytest.mark.parametrize(
    ("expression", "point"),
    [
        (sp.log(sp.exp(x) + sp.exp(y)) * sp.sqrt(x), {"x": 1.5, "y": -2}),
        (sp.Piecewise((sp.log(x), x > 0), (y**2, True)), (-1.0, 3.0)),
        (SUMS, {"x": np.array([1.0, 2.0]), "s": 0.5}),
        ("x: vector(n)\nsum(x[i]*m for i in range(n) for j in range(m))", {"x": [1.0, 2.0], "m": 3}),
        (sp.log(x), [0.0]),  # -oo, as it should be
    ],
)
def test_nothing_moves(expression: Any, point: Any) -> None:
    found = bisect(expression, point)
    assert (found.stage, found.law) == (None, None)
    assert [name for name, _ in found.values] == ["graph", "stable", "scattered", "masked", "gradient", "simplified"]
    assert "no stage changes" in str(found)


@pytest.mark.parametrize(
    ("family", "stage", "text", "point"),
    [
        ("stabler", "stable", "sin(x)*exp(x) + 0*y", {"x": 0.5}),
        ("cheaper", "stable", SUMS + " + sin(s)", {"x": np.array([1.0, 2.0]), "s": 0.5}),
        ("spelling", "simplified", "sin(x)/x", {"x": 0.5}),
    ],
)
def test_a_wrong_law_is_named(
    family: str, stage: str, text: str, point: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Law("small_sine", "sin(a) = a", False, family, lambda view: view.arguments[0])
    monkeypatch.setitem(LAWS, "sin", [wrong])
    found = bisect(text, {name: value for name, value in point.items() if name != "y"})
    assert (found.stage, found.law) == (stage, "small_sine")
    assert 1e-3 < found.difference < 1.0
    assert f"at the stage {stage}, by the law small_sine" in str(found)


def test_a_wrong_pass_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(graph: Graph) -> Graph:
        return replace(graph, outputs=(replace(graph.values[0], view=graph.values[0].view * 2), *graph.derivatives))

    monkeypatch.setattr("symgrad.transform.pipeline.mask_branches", doubled)
    found = bisect(x * y, (2.0, 3.0))
    assert (found.stage, found.law, found.difference) == ("masked", None, 1.0)
    assert [float(value) for _, value in found.values] == [6.0, 6.0, 6.0, 12.0, 12.0, 12.0]


def test_a_wrong_derivative_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient moves, the value does not."""
    wrong = Law("twice", "a derivative", False, "spelling", lambda view: view * 2)
    monkeypatch.setitem(LAWS, "cos", [wrong])
    found = bisect(sp.sin(x), (0.5,))
    assert (found.stage, found.law) == ("simplified", "twice")
    assert len({float(value) for _, value in found.values}) == 1


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"x": 1.0}, "missing y; the inputs are x, y"),
        ({"x": 1.0, "y": 2.0, "z": 3.0}, "no input is called z"),
        ((1.0,), "1 values for 2 inputs: x, y"),
        ((1.0, 2.0, 3.0), "3 values for 2 inputs"),
    ],
)
def test_points_that_do_not_fit(point: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        bisect(x * y, point)


def test_several_outputs_are_followed_one_by_one() -> None:
    with pytest.raises(ValueError, match="one of the outputs"):
        bisect([sp.Symbol("x"), sp.Symbol("y")], [1.0, 2.0])
