"""Medians with their spread, and tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    median: float
    least: float
    most: float


def spread(samples: Sequence[float]) -> Spread:
    return Spread(statistics.median(samples), min(samples), max(samples))


def seconds_text(seconds: float) -> str:
    """Three digits and a unit: 12.3 ms."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def markdown(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table under a heading: words to the left, numbers to the right. Short rows are filled."""
    cells = [[cell.replace("|", "/") for cell in [*row, *[""] * (len(head) - len(row))]] for row in [head, *rows]]
    width = [max(len(row[place]) for row in cells) for place in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *rest = (
            cell.rjust(size) if place else cell.ljust(size)
            for place, (cell, size) in enumerate(zip(row, width, strict=True))
        )
        return f"| {' | '.join([first, *rest])} |"

    rule = [":" + "-" * (width[0] - 1), *("-" * (size - 1) + ":" for size in width[1:])]
    return "\n".join([f"### {title}", "", line(cells[0]), line(rule), *map(line, cells[1:])])
