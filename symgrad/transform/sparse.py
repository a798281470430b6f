"""Sparse Jacobians and Hessians: families of entries as outputs of a graph, and the pattern of where they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..graph.affine import Index, axis, substituted
from ..graph.graph import Graph, Located, Output, Pattern, as_node
from ..graph.node import AnyIndex, Gather, View, index_at
from .entries import Entries, entries


def sparse_rows(graph: Graph, outputs: Sequence[Output], wrt: Sequence[int], again: bool = False) -> Graph:
    """`graph` with the derivatives of outputs by inputs, families of entries, as outputs behind its own.

    The outputs are values, by which the rows come in blocks, or all first derivatives of one value: then the matrix is
    its Hessian, of whose blocks and families those below the diagonal are made, and stand for their mirror images.
    """
    places = [graph.outputs.index(output) for output in outputs]
    found = entries(graph, places, wrt, again)
    is_hessian = bool(outputs and outputs[0].by)
    if is_hessian:
        rows = [graph.shapes[output.by[0]] for output in outputs]
        blocks = {place: wrt.index(output.by[0]) for place, output in zip(places, outputs, strict=True)}
        kept = [(own, wrt.index(own.by) < blocks[own.of]) for own in found if wrt.index(own.by) <= blocks[own.of]]
        kept = _without_mirror_images(kept, graph)
    else:
        rows = [output.shape for output in outputs]
        blocks = {place: number for number, place in enumerate(places)}
        kept = [(own, False) for own in found]
    made, located, told = list[Output](), list[Located](), list[Output]()
    in_block = Counter((own.of, own.by) for own, _ in kept)
    for own, is_mirrored in kept:
        of = graph.outputs[own.of]
        first, shape = tuple(low for low, _ in own.bounds), tuple(high.minus(low).plus(1) for low, high in own.bounds)
        value = of.of if is_hessian else blocks[own.of]
        made.append(Output(_without_gathers(own.stored()), shape, (*of.by, own.by), value, first=first))
        word = _word(own, graph.inputs) if in_block[own.of, own.by] > 1 else ""
        located.append(Located(blocks[own.of], wrt.index(own.by), is_mirrored, word))
        told += [Output(_without_gathers(view), shape, first=first) for view in _told(own)]
    told = told or [Output(graph.table.constant(0))]
    pattern = replace(graph, outputs=tuple(told), names={}, adjoints={}, labels={}).compact()
    where = Pattern(pattern, tuple(rows), tuple(graph.shapes[place] for place in wrt), tuple(located))
    return replace(graph, outputs=(*graph.outputs, *made), pattern=where)


def _word(own: Entries, inputs: Sequence[str]) -> str:
    """What tells entries from others of their block: how far columns are from rows, or the tables of indices."""
    tables = [
        inputs[index.view.node.position]
        for index in (*own.row, *own.column)
        if isinstance(index, Gather) and index.view.node.gate.name == "input"
    ]
    if tables:
        return "_".join(dict.fromkeys(tables))
    if len(own.row) != len(own.column):
        return ""
    apart = [
        b.minus(a) for a, b in zip(own.row, own.column, strict=True) if isinstance(a, Index) and isinstance(b, Index)
    ]
    if len(apart) < len(own.row) or any(form.terms for form in apart) or not any(form.offset for form in apart):
        return ""
    steps = [form.offset for form in apart]
    return "_".join(f"{'after' if step > 0 else 'before'}_{abs(step)}" if step else "same" for step in steps)


def _without_gathers(view: View) -> View:
    """A view as an output may be one."""
    return as_node(view) if any(isinstance(index, Gather) for index in view.index) else view


def _told(own: Entries) -> list[View]:
    """What a pattern says of a family: indices, then whether there is an entry."""
    table = own.view.node.table
    views = [table.number_of(index) for index in (*own.row, *own.column)]
    one = Entries(own.of, own.row, own.by, own.column, own.domain, own.conditions, table.constant(1))
    return [*views, one.stored()]


Kept = tuple[Entries, bool]  # entries, and whether they stand for their mirror images


def _without_mirror_images(found: Iterable[Kept], graph: Graph) -> list[Kept]:
    """Of two families of a symmetric block that are each other's mirror image the first, which stands for both."""
    kept: list[Kept] = []
    waiting: dict[object, int] = {}
    for own, is_mirrored in found:
        if is_mirrored or graph.outputs[own.of].by[0] != own.by:
            kept.append((own, is_mirrored))
            continue
        one, two = _told_by(own, own.row, own.column), _told_by(own, own.column, own.row)
        if two in waiting and one != two:
            place = waiting.pop(two)
            kept[place] = kept[place][0], True
        else:
            waiting[one] = len(kept)
            kept.append((own, False))
    return kept


def _told_by(own: Entries, one: tuple[AnyIndex, ...], two: tuple[AnyIndex, ...]) -> object:
    """Entries at `one` and `two` whatever their loops are called and begin at: those of `one` come first."""
    table = own.view.node.table
    indices = (*one, *two)
    loops = list(dict.fromkeys(name for index in indices for name in index.axes))
    loops += [name for name in range(len(own.bounds)) if name not in loops]
    # What is first read at i + 1 is brought to i.
    shifts = dict.fromkeys(loops, 0)
    for index in reversed(indices):
        if isinstance(index, Index) and index.axes and index.minus(axis(index.axes[0])).terms == ():
            shifts[index.axes[0]] = index.offset
    names = {name: axis(place).plus(-shifts[name]) for place, name in enumerate(loops)}
    bounds = tuple(tuple(end.plus(shifts[name]) for end in own.bounds[name]) for name in loops)
    coupled = frozenset(substituted(form, names) for form in own.domain.coupled)
    conditions = frozenset(condition.at(names) for condition in own.conditions)
    where = tuple(tuple(index_at(index, names, table) for index in own_) for own_ in (one, two))
    return own.of, where, bounds, coupled, conditions
