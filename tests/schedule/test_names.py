"""Names in emitted text: identifiers, each once, and the user's own wherever that can be."""

from __future__ import annotations

import keyword
import re

import pytest

import symgrad
from symgrad.compiler import Stages
from symgrad.schedule.names import Names, identifier, input_names, merged


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", "x"),
        ("x_1", "x_1"),
        ("λ", "λ"),
        ("ﬁ", "fi"),  # a ligature: Python reads it as two letters
        ("x'", "x"),
        ("x_{1,2}", "x_1_2"),
        ("a b", "a_b"),
        ("1x", "symbol_1x"),
        ("", "symbol_"),
        ("+", "symbol_"),
        ("\u0301x", "symbol_\u0301x"),  # a combining mark may stand inside of a name only
    ],
)
def test_identifier(name: str, found: str) -> None:
    assert identifier(name) == found
    assert found.isidentifier()


def test_no_name_twice() -> None:
    names = Names({"exp"})
    wanted = ["x", "x", "x_2", "exp", "x", "lambda", "x_2", "__debug__"]
    found = [names.take(name) for name in wanted]
    assert found == ["x", "x_2", "x_2_2", "exp_2", "x_3", "lambda_2", "x_2_3", "__debug___2"]
    assert len(set(found)) == len(found)
    assert not {"exp", "__debug__", *keyword.kwlist} & set(found)


def test_counted_names_have_a_number() -> None:
    names = Names(())
    assert [names.take("sum", counted=True) for _ in range(3)] == ["sum_1", "sum_2", "sum_3"]
    assert names.take("sum") == "sum"


def test_inputs_that_need_no_change_keep_their_names() -> None:
    """x' would be x: the input that is x has it, although it comes later."""
    found, names = input_names(["x'", "x", "if", "value", "x_2"], {"value"})
    assert found == ["x_3", "x", "if_2", "value_2", "x_2"]
    assert set(found) <= names.taken


def test_terms_of_equal_names_are_one() -> None:
    assert merged([("n", 2), ("i", 1), ("n", -1), ("j", 3), ("j", -3)]) == (("n", 1), ("i", 1))
    assert merged([]) == ()


def test_loops_are_called_by_the_users_indices_alone() -> None:
    """The products and sums of arrays in a text have indices that nobody chose: they give way to the user's."""
    text = "X: matrix(n, d)\nw: vector(d)\nsum((X @ w)**2) + sum(w[k]**2 for k in range(d))"
    stages = Stages(text, None, None, ())
    named = {name for names in stages.graph.labels.values() for name in names}
    assert named - {""} == {"k"}
    source = symgrad.emit(text, target="javascript")
    assert "for (let k = 0; k < d; k++)" in source
    assert not re.search(r"for \(let j\b", source)
