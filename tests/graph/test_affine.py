"""Affine index expressions against integers: whatever is done to them is done to their values."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from symgrad.graph.affine import Index, Size, Term, axis, number_index, own_axes, substituted

N, M = Size("n"), Size("m")
TERMS: tuple[Term, ...] = (0, 1, 7, N, M)


def value(form: Index, at: Mapping[Term, int]) -> int:
    return form.offset + sum(factor * at[term] for term, factor in form.terms)


def built(coefficients: Mapping[Term, int], offset: int) -> Index:
    """A form made by the operations alone, its terms in the order of the mapping."""
    form = number_index(offset)
    for term, factor in coefficients.items():
        form = form.plus(Index(((term, 1),)).scaled(factor))
    return form


def drawn(choices: random.Random) -> Index:
    return built({term: choices.randint(-3, 3) for term in choices.sample(TERMS, 3)}, choices.randint(-5, 5))


@pytest.mark.parametrize("seed", range(20))
def test_operations_are_those_of_integers(seed: int) -> None:
    choices = random.Random(seed)
    a, b, factor = drawn(choices), drawn(choices), choices.randint(-3, 3)
    at = {term: choices.randint(-9, 9) for term in TERMS}
    assert value(a.plus(b), at) == value(a, at) + value(b, at)
    assert value(a.minus(b), at) == value(a, at) - value(b, at)
    assert value(a.plus(factor), at) == value(a, at) + factor
    assert value(a.minus(factor), at) == value(a, at) - factor
    assert value(a.scaled(factor), at) == factor * value(a, at)
    inner = {0: drawn(choices), 7: drawn(choices)}
    put_in = {**at, **{name: value(form, at) for name, form in inner.items()}}
    assert value(substituted(a, inner), at) == value(a, put_in)
    names = {0: 7, 7: 1, 1: 1}  # two axes become one
    assert value(a.renamed(names), at) == value(a, {**at, **{old: at[new] for old, new in names.items()}})


@pytest.mark.parametrize("seed", range(20))
def test_what_is_equal_everywhere_is_one_form(seed: int) -> None:
    """Forms are keys: there is one way to write each, whatever it was made of."""
    choices = random.Random(seed)
    coefficients = {term: choices.randint(-2, 2) for term in TERMS}
    forward, backward = built(coefficients, 3), built(dict(reversed(coefficients.items())), 3)
    assert forward == backward
    assert hash(forward) == hash(backward)
    assert all(factor for _, factor in forward.terms)
    assert forward.minus(backward) == number_index(0)


def test_axes_come_before_extents() -> None:
    form = built({N: 1, 7: 2, M: -1, 0: 1}, 0)
    assert form.terms == ((0, 1), (7, 2), (M, -1), (N, 1))
    assert form.axes == (0, 7)
    assert [form.coefficient(term) for term in (7, M, 1)] == [2, -1, 0]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (number_index(0), "0"),
        (number_index(-2), "-2"),
        (axis(0), "axis0"),
        (built({0: -1, N: 2}, -1), "-axis0 + 2*n - 1"),
        (built({0: 1, 1: -3}, 4), "axis0 - 3*axis1 + 4"),
    ],
)
def test_text(form: Index, text: str) -> None:
    assert str(form) == text


def test_own_axes_are_one_object() -> None:
    assert own_axes(3) is own_axes(3)
    assert own_axes(2) == (axis(0), axis(1))
    assert own_axes(0) == ()
