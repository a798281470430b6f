"""Expressions as text: Python reads back what was meant, down to the bits, with no bracket that it does not need."""

from __future__ import annotations

import ast
import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import Affine, Call, Element, Expression, Holds, Integer, Literal, Number, Read
from symgrad_codegen.text.expressions import WIDTH, affine_text, commented, expression_text, listed, literal_text

NAMES = {"a": 0.1, "b": -0.7, "c": 3.3}
MEANING: dict[str, Any] = {
    "add": lambda *numbers: sum(numbers[1:], start=numbers[0]),
    "mul": lambda *numbers: math.prod(numbers[1:], start=numbers[0]),
    "div": lambda p, q: p / q,
    "mod": lambda p, q: p % q,
    "neg": lambda p: -p,
    "abs": abs,
}


def call(name: str, *arguments: Expression) -> Call:
    return Call(FUNCTIONS[name], arguments)


A, B, C = map(Read, "abc")


def drawn(choices: random.Random, depth: int) -> Expression:
    if not depth:
        return choices.choice([A, B, C, Literal(choices.choice([2.0, -1.5, 0.3]))])
    name = choices.choice([*MEANING])
    count = {"add": choices.randint(2, 3), "mul": choices.randint(2, 3), "neg": 1, "abs": 1}.get(name, 2)
    return call(name, *(drawn(choices, choices.randrange(depth)) for _ in range(count)))


def meant(expression: Expression) -> float:
    """From left to right, as floating-point numbers are added."""
    if isinstance(expression, Read):
        return NAMES[expression.name]
    if isinstance(expression, Literal):
        return float(expression.value)
    assert isinstance(expression, Call)
    result: float = MEANING[expression.function.name](*map(meant, expression.arguments))
    return result


def evaluated(text: str, **more: Any) -> Any:
    return eval(text, {"abs": abs, **NAMES, **more})


@pytest.mark.parametrize("seed", range(300))
def test_text_is_what_was_meant(seed: int) -> None:
    """Brackets that are missing change the last bits at least: floating-point sums and products do not associate."""
    expression = drawn(random.Random(seed), 4)
    try:
        want = meant(expression)
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            evaluated(expression_text(expression, "float64"))
        return
    assert evaluated(expression_text(expression, "float64")).hex() == want.hex()


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (call("add", call("add", A, B), C), "a + b + c"),
        (call("add", A, call("add", B, C)), "a + (b + c)"),
        (call("mul", A, call("div", B, C)), "a * (b / c)"),
        (call("div", call("mul", A, B), C), "a * b / c"),
        (call("add", A, call("neg", B)), "a - b"),
        (call("add", A, call("neg", call("mul", B, C))), "a - b * c"),
        (call("neg", call("add", A, B)), "-(a + b)"),
        (call("neg", call("mul", A, B)), "-a * b"),
        (call("neg", call("neg", A)), "-(-a)"),
        (call("mod", call("neg", A), B), "(-a) % b"),
        (call("add", A, Literal(-2.0)), "a - 2.0"),
        (call("not", call("lt", A, B)), "not (a < b)"),
        (call("and", call("lt", A, B), call("le", B, C)), "(a < b) & (b <= c)"),
        (call("abs", call("add", A, B)), "abs(a + b)"),
        (Number(Affine((("i", 1),), 1)), "real(i + 1)"),
        (Holds(Affine((("n", 1), ("i", -1)), -1)), "i < n"),
        (Element("x", (Affine((("i", 2),), -1), Integer(Element("t", (Affine((("j", 1),)),))))), "x[2*i - 1, t[j]]"),
    ],
)
def test_no_bracket_more_than_needed(expression: Expression, text: str) -> None:
    assert expression_text(expression, "float64") == text


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -2.5, 1e300, 5e-324, math.inf, -math.inf, math.nan, True, False])
def test_literals_keep_their_bits(value: float | bool, dtype: str) -> None:
    if dtype == "float32" and math.isfinite(value):
        value = value if isinstance(value, bool) else float(np.float32(min(value, 3e38)))
    text, _ = literal_text(value, dtype)
    found = evaluated(text, nan=math.nan, inf=math.inf, float32=np.float32)
    assert isinstance(found, bool) == isinstance(value, bool)
    if isinstance(value, float):
        assert np.float64(found).tobytes() == np.float64(value).tobytes()
        assert isinstance(found, np.float32) == (dtype == "float32")


@pytest.mark.parametrize("factors", [*itertools.product([-2, -1, 1, 3], [-3, -1, 0, 1, 2])])
@pytest.mark.parametrize("offset", [-4, 0, 5])
@pytest.mark.parametrize("names", [None, {"i": "k + 1"}])
def test_affine_text_is_its_value(factors: tuple[int, int], offset: int, names: dict[str, str] | None) -> None:
    form = Affine(tuple((n, f) for n, f in zip("in", factors, strict=True) if f), offset)
    i, n = (8 if names else 5), 11
    assert evaluated(affine_text(form, names), i=i, n=n, k=i - 1) == factors[0] * i + factors[1] * n + offset


def test_affine_number() -> None:
    assert affine_text(Affine((), 0)) == "0"
    assert affine_text(Affine((), -3)) == "-3"


@pytest.mark.parametrize("count", [1, 5, 40, 200])
def test_long_lists_are_broken_and_stay_what_they_are(count: int) -> None:
    items = [f"name_{place}" for place in range(count)]
    lines = listed("f(", items, ")", "    ")
    assert all(len(line) <= WIDTH for line in lines)
    tree = ast.parse("\n".join(["if True:", *(lines if lines[0].startswith(" ") else ["    " + lines[0], *lines[1:]])]))
    assert [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id != "f"] == items


def test_comments_stand_beside_where_there_is_room() -> None:
    assert commented("    y = ", "a + b", "", "a sum", "  # ", "    ") == ["    y = a + b  # a sum"]
    long = " + ".join(["some_name"] * 9)
    assert commented("    y = ", long, "", "a sum", "  # ", "    ") == ["    # a sum", f"    y = {long}"]
    broken = commented("    y = ", " + ".join(["some_name"] * 13), "", "a sum", "  # ", "    ")
    assert broken[:2] == ["    # a sum", "    y = ("]
    assert broken[-1] == "    )"
    assert all(len(line) <= WIDTH for line in broken)
