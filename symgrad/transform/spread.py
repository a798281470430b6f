"""Dense derivatives of arrays: families of entries as arrays over the axes of rows and of columns."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.domains import Domains
from ..analysis.extents import Domain
from ..graph.affine import Axis, Index, axis, number_index
from ..graph.graph import Graph, Output
from ..graph.node import AnyIndex, Gather, View, index_at
from ..graph.sums import guarded, sum_of, total
from .activity import all_of, single_axis
from .entries import Entries, entries


def dense_rows(graph: Graph, outputs: Sequence[Output], wrt: Sequence[int], again: bool = False) -> list[list[View]]:
    """The derivatives of outputs by inputs: of each, by each input, a view over the axes of both.

    With `again` they are to be differentiated once more: see `reverse_pass`.
    """
    places = [graph.outputs.index(output) for output in outputs]
    found = entries(graph, places, wrt, again)
    domains = Domains(graph)
    zero = graph.table.constant(0)
    return [
        [
            sum_of(zero, [_spread(domains, output, own) for own in found if (own.of, own.by) == (place, by)])
            for by in wrt
        ]
        for place, output in zip(places, outputs, strict=True)
    ]


def _spread(domains: Domains, output: Output, own: Entries) -> View:
    """Entries as an array: 0 where there is none. Where its loops follow from row and column nothing is added up."""
    table, shape = own.view.node.table, (*output.shape, *domains.graph.shapes[own.by])
    at = (*own.row, *own.column)
    fresh = {name: axis(table.fresh()) for name in range(len(own.bounds))}
    solved: dict[Axis, AnyIndex] = dict(fresh)
    rest: list[tuple[int, AnyIndex]] = []
    for place, index in enumerate(at):
        name = single_axis(index)
        if name is None or solved[name] != fresh[name]:
            rest.append((place, index))
        else:
            assert isinstance(index, Index)
            factor = index.coefficient(name)
            solved[name] = axis(place).minus(index.minus(axis(name).scaled(factor))).scaled(factor)
    limits = [index_at(form, solved, table) for form in own.domain.constraints()]
    conditions = [condition.at(solved) for condition in sorted(own.conditions, key=str)]
    for place, index in rest:
        there = index_at(index, solved, table)
        if isinstance(there, Index):
            limits += [there.minus(axis(place)), axis(place).minus(there)]
        else:
            conditions.append(there.view.equals(table.position(axis(place))))
    affine = [form for form in limits if isinstance(form, Index)]
    conditions += [(table.number_of(form) < 0).call("not") for form in limits if isinstance(form, Gather)]
    view = own.view.at(solved)
    if conditions:
        view = all_of(conditions).where(view, 0)
    # Loops that row and column do not tell are gone through for each: what is added up is where the two are met.
    open_loops = [loop.axes[0] for name, loop in fresh.items() if solved[name] == loop]
    if open_loops:
        inner = [form for form in affine if not set(form.axes).isdisjoint(open_loops)]
        affine = [form for form in affine if form not in inner]
        view = total(view, open_loops, inner, derived=domains.derived)
    whole = Domain(tuple((number_index(0), extent.minus(1)) for extent in shape))
    return guarded(view, [form for form in dict.fromkeys(affine) if not domains.implies(whole, form)])
