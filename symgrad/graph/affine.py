"""Affine index expressions: integers times axes and symbolic extents, plus an integer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

Axis = int  # the name of an axis on a view (a position inside a node)


class Size(NamedTuple):
    """A symbolic extent, by name."""

    name: str


Term = Axis | Size


class Index(NamedTuple):
    """An affine index expression: the sum of coefficient*term over `terms` (axes, then extents), plus `offset`."""

    terms: tuple[tuple[Term, int], ...]
    offset: int = 0

    def renamed(self, names: Mapping[Axis, Axis]) -> Index:
        terms: tuple[tuple[Term, int], ...] = tuple(
            [(term if isinstance(term, Size) else names.get(term, term), own) for term, own in self.terms]
        )
        return Index(terms, self.offset) if len(terms) == 1 else _affine(terms, self.offset)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(term for term, _ in self.terms if not isinstance(term, Size))

    def plus(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.terms, self.offset + other)
        if not self.terms or not other.terms:  # both are in order
            return Index(self.terms or other.terms, self.offset + other.offset)
        return _affine([*self.terms, *other.terms], self.offset + other.offset)

    def minus(self, other: Index | int) -> Index:
        return self.plus(-other if isinstance(other, int) else other.scaled(-1))

    def scaled(self, factor: int) -> Index:
        if factor == 1:
            return self
        return Index(tuple([(term, factor * own) for term, own in self.terms]) if factor else (), factor * self.offset)

    def coefficient(self, term: Term) -> int:
        return dict(self.terms).get(term, 0)

    def __str__(self) -> str:
        parts = [
            ("" if factor == 1 else "-" if factor == -1 else f"{factor}*") + _term_text(term)
            for term, factor in self.terms
        ]
        if self.offset or not parts:
            parts.append(str(self.offset))
        return " + ".join(parts).replace("+ -", "- ")


def _term_text(term: Term) -> str:
    return term.name if isinstance(term, Size) else f"axis{term}"


def _affine(terms: Iterable[tuple[Term, int]], offset: int) -> Index:
    """The affine form in its canonical order, equal terms together."""
    total: dict[Term, int] = {}
    for term, factor in terms:
        total[term] = total.get(term, 0) + factor
    kept = [(term, factor) for term, factor in total.items() if factor]
    if len(kept) > 1:
        kept.sort(key=lambda pair: (1, pair[0].name) if isinstance(pair[0], Size) else (0, pair[0]))
    return Index(tuple(kept), offset)


def axis(name: Axis) -> Index:
    """The index expression that is just the axis `name`."""
    return Index(((name, 1),))


def number_index(number: int) -> Index:
    """The index expression that is a number."""
    return Index((), number)


@cache
def own_axes(rank: int) -> tuple[Index, ...]:
    """The index expressions with which a node is read at its own axes: one object, so that `is` tells it."""
    return tuple(axis(position) for position in range(rank))


def substituted(index: Index, names: Mapping[Axis, Index]) -> Index:
    """An affine index expression with affine ones put in for its axes."""
    result = Index((), index.offset)
    for term, factor in index.terms:
        inner = Index(((term, 1),)) if isinstance(term, Size) else names.get(term, axis(term))
        result = result.plus(inner.scaled(factor))
    return result
