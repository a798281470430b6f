"""What is known of symbolic extents, and boxes of loops that are affine in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..graph.affine import Axis, Index, Size, axis, number_index

Bound = tuple[Index, Index]  # the least and the largest value of an axis, affine in extents


class Domain(NamedTuple):
    """For each loop axis of a node its bounds (None: unknown), and affine forms >= 0 that couple axes."""

    bounds: tuple[Bound | None, ...]
    coupled: frozenset[Index] = frozenset()

    def constraints(self) -> list[Index]:
        """The domain as affine forms >= 0."""
        found = []
        for position, bound in enumerate(self.bounds):
            if bound is not None:
                found += [axis(position).minus(bound[0]), bound[1].minus(axis(position))]
        return found + sorted(self.coupled, key=repr)

    def conditions(self) -> list[Index]:
        """Forms in extents that are >= 0 where there are indices, as far as that is seen."""
        lengths = [bound[1].minus(bound[0]) for bound in self.bounds if bound is not None]
        return [form for form in (*lengths, *sorted(self.coupled, key=repr)) if not form.axes]

    def of_loops(self, axes: Sequence[Axis]) -> Domain:
        """What is known of some loops alone: others may be empty, and what does not vary along them is read anyway.

        Of no loops in particular it is all: a single entry is held inside of its array where it is not read.
        """
        once = number_index(0), number_index(0)
        bounds = tuple(bound if place in axes or not axes else once for place, bound in enumerate(self.bounds))
        return Domain(bounds, self.coupled)

    def least_in_box(self, form: Index) -> Index | None:
        """The least value of an affine form in the box, affine in extents."""
        total = number_index(form.offset)
        for term, factor in form.terms:
            if isinstance(term, Size):
                total = total.plus(Index(((term, factor),)))
                continue
            bound = self.bounds[term] if term < len(self.bounds) else None
            if bound is None:
                return None
            total = total.plus(bound[0 if factor > 0 else 1].scaled(factor))
        return total


def whole(shape: Iterable[Index]) -> Domain:
    """The domain of all indices of an array of that shape."""
    return Domain(tuple((number_index(0), extent.minus(1)) for extent in shape))


Derived = Mapping[str, tuple[str, Index, Index]]  # extents that are the larger or smaller of two affine forms, by name


# Bounds of a box are not made sharper by larger and smaller extents that are nested deeper than this: where conditions
# couple axes to each other, each is sharper by the others without end. What couples them is masked anyway.
MOST_NESTED = 2


class Extents:
    """What is known of the extents: each is at least 0, and so are the affine forms `known`; some are derived."""

    def __init__(self, derived: Derived, known: Iterable[Index] = (), besides: Extents | None = None) -> None:
        self.derived = derived
        self._least: dict[str, int] = {} if besides is None else dict(besides._least)  # by name, where above 0
        self._others: list[Index] = [] if besides is None else list(besides._others)
        self._said: dict[Index, bool] = {}
        for form in self.spelled(known):
            term, factor = form.terms[0] if len(form.terms) == 1 else (None, 0)
            if isinstance(term, Size) and factor > 0:
                self._least[term.name] = max(self._least.get(term.name, 0), -(form.offset // factor))
            elif form.terms and form not in self._others:
                self._others.append(form)

    def spelled(self, forms: Iterable[Index]) -> Iterator[Index]:
        """Forms >= 0 without derived extents, as far as they can be said so: min(a, b) >= 0 is both."""
        stack = list(dict.fromkeys(forms))
        seen = set(stack)
        while stack:
            form = stack.pop()
            found = self._derived_in(form)
            if found is None:
                yield form
            elif (found[0] == "min") == (found[1] > 0):
                new = [own for own in found[2:] if own not in seen]
                seen.update(new)
                stack += new

    def _derived_in(self, form: Index) -> tuple[str, int, Index, Index] | None:
        """The kind and the factor of a derived extent in a form, and the form with each of its two forms instead."""
        for term, factor in form.terms:
            if isinstance(term, Size) and term.name in self.derived:
                kind, *both = self.derived[term.name]
                rest = form.minus(Index(((term, factor),)))
                one, two = (rest.plus(own.scaled(factor)) for own in both)
                return kind, factor, one, two
        return None

    def where_some(self, bounds: Iterable[Bound | None]) -> Extents:
        """What is known besides where no range of `bounds` is empty: inside of loops over them."""
        return self.where([bound[1].minus(bound[0]) for bound in bounds if bound is not None])

    def where(self, forms: Iterable[Index]) -> Extents:
        """What is known besides where these forms are >= 0."""
        return Extents(self.derived, [form for form in forms if form.terms], self)

    def after(self, passed: Iterable[Passed]) -> Extents:
        """What is known besides once a call has passed its checks: those whose loops are known to run."""
        return self.where(form for check in passed if all(map(self.imply, check.conditions)) for form in check.forms)

    def imply(self, form: Index) -> bool:
        """Whether an affine form in extents is >= 0 whatever they are; False where that is not seen."""
        return self._say(form) or any(self._say(form.minus(known)) for known in self._others)

    def _say(self, form: Index) -> bool:
        said = self._said.get(form)
        if said is None:
            said = self._said[form] = self._found(form)
        return said

    def _found(self, form: Index) -> bool:
        found = self._derived_in(form)
        if found is not None:
            kind, factor, *both = found
            # The larger of two is at least each of them, and at least what both are.
            return (any if (kind == "max") == (factor > 0) else all)(map(self._say, both))
        least = form.offset
        for term, factor in form.terms:
            if factor < 0 or not isinstance(term, Size):
                return False
            least += factor * self._least.get(term.name, 0)
        return least >= 0


class Passed(NamedTuple):
    """What is known once a call has passed a check: forms >= 0, where the conditions are >= 0."""

    conditions: tuple[Index, ...]
    forms: tuple[Index, ...]


def numeric(form: Index, sizes: Mapping[str, int]) -> int:
    """The value of an affine form in extents."""
    total = form.offset
    for term, factor in form.terms:
        assert isinstance(term, Size)
        total += factor * sizes[term.name]
    return total


def is_empty(domain: Domain, sizes: Mapping[str, int]) -> bool:
    """Whether a domain is seen to hold no indices at all: nothing is read there."""
    return any(numeric(form, sizes) < 0 for form in domain.conditions())


def with_derived(sizes: Mapping[str, int], derived: Derived) -> dict[str, int]:
    """The extents with those that are derived from others."""
    known = dict(sizes)
    for name, (kind, one, two) in derived.items():
        known[name] = (max if kind == "max" else min)(numeric(one, known), numeric(two, known))
    return known
