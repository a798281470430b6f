"""The body of a nest: what happens at one index of its loops, with short axes written out.

Terms of a reduction that meet in one nest are added there, before they go into an array.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import (
    Accumulate,
    Affine,
    Assignment,
    Call,
    Element,
    Expression,
    Holds,
    Integer,
    Literal,
    Place,
    Read,
    Statement,
    Store,
)

from ..gates.reductions import KINDS
from ..graph.affine import Index
from ..graph.node import Node, Reduction, View
from .integers import truncated
from .items import Item, Sink, is_reduction
from .layout import Layout, Rolled, identity_of
from .values import At, Values, Wanted
from .within import Within


class NestBuilder:
    """Collects the statements of one nest, whose loops have `names` and run over `ranges`, `data` over the data.

    `outside` are the items whose values others read, which go into their arrays.
    """

    def __init__(
        self,
        layout: Layout,
        names: dict[Rolled, str],
        ranges: dict[str, tuple[Index, Index]],
        data: str | None,
        outside: frozenset[Item],
        is_number: bool = False,
    ) -> None:
        """`is_number` says that what it makes are numbers of the program, known in all that follows."""
        self.layout, self.plan, self.names, self.outside = layout, layout.plan, names, outside
        self.within = Within(layout, ranges, data)
        self.values = Values(layout, self.within, is_number)

    def value(self, view: View) -> Expression:
        """The value of a view outside of all loops."""
        return self.values.value(view, {})

    # --- items --------------------------------------------------------------------------------------------------------

    def add(self, item: Item) -> None:
        """The statements of one item, for every index of its short axes."""
        rolled = self.layout.rolled(item)
        short = sorted(self.layout.written_out(item))
        constant: dict[int, Place] = {own: Affine(((self.names[loop], 1),)) for own, loop in rolled.items()}
        data = self.plan.data_axis(item)
        if data is not None:
            assert self.within.data is not None
            constant[data] = Affine(((self.within.data, 1),))
        kept = [own for own in short if self._is_kept(item, own)]
        reduced = [own for own in short if own not in kept]
        for indices in itertools.product(*(self._indices(item, own) for own in kept)):
            here = {**constant, **dict(zip(kept, indices, strict=True))}
            terms = itertools.product(*(self._indices(item, own) for own in reduced))
            self._add_at(item, here, [{**here, **dict(zip(reduced, own, strict=True))} for own in terms])

    def _indices(self, item: Item, own: int) -> list[Affine]:
        """All indices of a short axis: of a known number, from a first one that may be symbolic."""
        low, _ = self.plan.bounds(item, own)
        return [self.layout.affine(low.plus(step)) for step in range(self.plan.extent(item, own) or 0)]

    @staticmethod
    def _is_kept(item: Item, own: int) -> bool:
        """Whether a loop axis is one of the result's, as it stands."""
        if not isinstance(item.attribute, Reduction) or not item.attribute.is_plain:
            return True
        return own < item.rank

    def _add_at(self, item: Item, here: At, places: list[At]) -> None:
        """One result, or one scattered term: `places` have the axes that are reduced and written out as well."""
        if isinstance(item, Sink):
            self._store_sink(item, here)
        elif not is_reduction(item):
            self._store_value(item, here)
        else:
            self._add_terms(item, here, places)

    def _add_terms(self, item: Node, here: At, places: list[At]) -> None:
        terms = [term for at in places if (term := self._term(item, at)) is not None]
        own = item.reduction
        is_masked = not own.is_plain and self.within.constraints(item, here) != []
        index = tuple(self.values.place(form, here, is_masked) for form in own.out)
        accumulates = self.layout.accumulates(item)
        join = FUNCTIONS[KINDS[item.gate.name].of_two]
        if not terms:
            if not accumulates:
                self._finish(item, index, self._identity(item))
            return
        value = terms[0] if len(terms) == 1 else Call(join, tuple(terms))
        if accumulates:
            target = self.layout.element(item, index)
            assert isinstance(target, Element)
            if not own.is_plain and index:  # a masked term adds nothing, and stays inside of the array
                target = self.within.held(target, self.values.lengths(item), made=self.values.moves, is_masked=True)
            self.values.lines.add(Accumulate(item.gate.name, target, value, self.layout.called.derivative(item, index)))
        else:
            self._finish(item, index, value)

    def _finish(self, item: Node, index: tuple[Place, ...], value: Expression) -> None:
        named = self.values.named(item, index, value)
        self.values.known_at(item, index, named)
        target = self.layout.element(item, index) if item in self.outside else None
        if isinstance(target, Element):  # else a number, which gets its name in the end
            self.values.lines.add(Store(target, self._stored(item, named), self.layout.called.derivative(item, index)))

    def _stored(self, item: Item, value: Expression) -> Expression:
        """A value as an array of its kind holds it."""
        return truncated(value) if self.plan.kind(item) == "integer" else value

    def _store_value(self, item: Node, at: At) -> None:
        index = tuple(at[own] for own in range(item.rank))
        value = self._masked(item, at, lambda is_masked: self.values.computed(item, index, is_masked))
        self._finish(item, index, value)

    def _store_sink(self, sink: Sink, at: At) -> None:
        value = self._stored(sink, self.values.value(sink.view, at))
        target = self.layout.element(sink, tuple(at[own] for own in range(sink.rank)))
        assert isinstance(target, Element)
        if value != target:
            comment = self.layout.called.quotient(sink.output, at) if sink.output is not None else ""
            self.values.lines.add(Store(target, value, comment))

    def assignments(self, name: str, item: Node) -> list[Assignment]:
        """The statements of a number that has a name of its own."""
        last = self._stored(item, self.values.memo[Wanted(item, (), False)])
        found = [statement for statement in self.values.lines.written((last,)) if isinstance(statement, Assignment)]
        final = self.values.lines.final(last)
        read = final.value if isinstance(final, Integer) else final
        if found and isinstance(read, Read) and found[-1].name == read.name:
            return [*found[:-1], found[-1]._replace(name=name)]
        return [*found, Assignment(name, final, self.layout.called.derivative(item), self.plan.kind(item))]

    # --- domains ------------------------------------------------------------------------------------------------------

    def _term(self, item: Node, at: At) -> Expression | None:
        """One term of a reduction: None where it is known not to be there."""
        if self.within.undecided(item.reduction.constraints, at) is None:
            return None
        return self._masked(item, at, lambda is_masked: self.values.value(item.arguments[0], at, is_masked))

    def _masked(self, item: Node, at: At, compute: Callable[[bool], Expression]) -> Expression:
        """What `compute` makes, told whether it is under a mask: where an item's constraints do not hold, nothing."""
        limits = self.within.constraints(item, at)
        if limits is None:
            return self._identity(item)
        if item.is_guard:  # says its own conditions where it is computed
            own = self.within.undecided(item.reduction.constraints, at) or ()
            limits = [form for form in limits if form not in own]
        if not limits:
            return compute(False)
        limits.sort()
        value, otherwise = compute(True), self._identity(item)
        if self.values.masked.get(value) == (tuple(limits), otherwise):
            return value
        return self.values.where(item, limits, value, otherwise)

    def _identity(self, item: Item) -> Expression:
        if self.plan.kind(item) == "boolean":
            return Holds(Affine((), -1))
        return Literal(identity_of(item)) if is_reduction(item) else Literal(0.0)

    def body(self) -> list[Statement]:
        """The statements."""
        return self.values.lines.written()
