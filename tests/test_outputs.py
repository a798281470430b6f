"""Structures of outputs: which expressions are in them, how these are called, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

from symgrad.errors import UnsupportedExpression
from symgrad.outputs import Block, split

x, y = sp.symbols("x y")
A = sp.MatrixSymbol("A", 2, 2)

NAMES: dict[str, tuple[Any, list[str]]] = {
    "one": (x, [""]),
    "list": ([x, y], ["", ""]),
    "dict": ({"f": x, sp.Symbol("g"): y}, ["f", "g"]),
    "matrix": ({"f": sp.Matrix([[x, y]])}, ["f[0, 0]", "f[0, 1]"]),
    "deep": ({"f": {"g": [x, y], "h": x}}, ["f.g[0]", "f.g[1]", "f.h"]),
    "ragged": ({"f": [x, [y]]}, ["f[0]", "f[1][0]"]),
}


@pytest.mark.parametrize("case", NAMES)
def test_names(case: str) -> None:
    structure, names = NAMES[case]
    assert list(split(structure)[0].names) == names


def test_a_matrix_expression_of_one_entry_is_a_number() -> None:
    row, column = sp.MatrixSymbol("r", 1, 2), sp.MatrixSymbol("c", 2, 1)
    assert [block.shape for block in split([row * column, x])[0].blocks] == [(2,)]
    assert [block.shape for block in split([row * A, x])[0].blocks] == [(), ()]
    assert split(row * column)[0].is_number


def test_results_in_the_structure_and_back() -> None:
    structure = {"f": x, "g": [sp.Matrix([x, y]), (x, [y])]}
    outputs, expressions = split(structure)
    assert expressions == (x, x, y, x, y)
    assert outputs.blocks == (Block((), 0), Block((2, 1), 1), Block((), 3), Block((1,), 4))
    results = outputs.structured("abcd")
    assert results == {"f": "a", "g": ["b", ("c", "d")]}
    assert outputs.flat(results) == list("abcd")


def deep(depth: int) -> Any:
    return x if depth == 0 else [deep(depth - 1), y, [x, x]]


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "empty list": ([], ValueError, "an empty list: no outputs"),
    "empty dict": ({}, ValueError, "an empty dict: no outputs"),
    "empty array": (np.zeros((0, 2)), ValueError, "an empty ndarray: no outputs"),
    "empty matrix": (sp.zeros(0, 2), ValueError, "an empty MutableDenseMatrix: no outputs"),
    "empty part": ({"f": x, "g": []}, ValueError, "the output g is an empty list: no outputs"),
    "empty row": ([[x], []], ValueError, "an empty list: no outputs"),
    "two of a name": ({"f": x, sp.Symbol("f"): y}, ValueError, "two outputs are named 'f'"),
    "two of a path": ({"f": {"g": x}, "f.g": y}, ValueError, r"two outputs are named 'f\.g'"),
    "too deep": (deep(40), ValueError, "nested deeper than 32"),
    "truth value": ([x, True], UnsupportedExpression, "the output True is a truth value"),
    "complex": ([x, 1j], UnsupportedExpression, "the output 1j is complex"),
    "text": ([x, "y"], UnsupportedExpression, "cannot compile a str"),
    "nothing": (None, UnsupportedExpression, "cannot compile a NoneType"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    structure, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        split(structure)


def test_a_list_in_itself_is_refused() -> None:
    structure: list[Any] = [x]
    structure.append(structure)
    with pytest.raises(ValueError, match="nested deeper"):
        split(structure)
