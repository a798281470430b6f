"""Interleaving: an order in which all that a statement reads is done, and few values wait."""

from __future__ import annotations

import random

import pytest

from symgrad.schedule.order import interleaved


@pytest.mark.parametrize("seed", range(50))
def test_every_part_once_after_what_it_reads(seed: int) -> None:
    choices = random.Random(seed)
    reads, leads = [], []
    for statement in range(30):
        parts = [
            {choices.randrange(statement) for _ in range(choices.randrange(3))} if statement else set()
            for _ in range(choices.choice([1, 1, 1, 4]))
        ]
        reads.append(parts)
        leads.append(choices.random() < 0.3)
    order = interleaved(reads, leads)
    assert sorted(order) == [(s, p) for s, parts in enumerate(reads) for p in range(len(parts))]
    left = [len(parts) for parts in reads]
    for statement, part in order:
        assert all(left[other] == 0 for other in reads[statement][part]), (
            "a sum is read when all of its terms are there"
        )
        left[statement] -= 1
    leading = [s for s, _ in order if leads[s] and len(reads[s]) == 1]
    assert leading == sorted(leading)


def test_terms_are_added_as_they_arrive() -> None:
    """Three loads lead; each is squared and added at once, so that one square is alive at a time."""
    loads, squares, total = [0, 1, 2], [3, 4, 5], 6
    reads: list[list[set[int]]] = [[set()] for _ in loads] + [[{load}] for load in loads] + [[{s} for s in squares]]
    order = interleaved(reads, [True, True, True, False, False, False, False])
    assert order == [(0, 0), (3, 0), (total, 0), (1, 0), (4, 0), (total, 1), (2, 0), (5, 0), (total, 2)]


def test_leading_statement_before_what_it_reads_is_refused() -> None:
    with pytest.raises(AssertionError, match="before what it reads"):
        interleaved([[{1}], [set()]], [True, True])
