"""One number of a kernel as a circuit with its gradient: an output, an entry of one, or a derivative of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..analysis.extents import numeric
from ..emission import passed
from ..graph.affine import Index
from ..graph.graph import POINTWISE, Graph, as_node, no_collection
from ..graph.node import View
from ..transform.derive import Wanted
from ..transform.simplify import simplify
from .compiled import Compiled

_ENTRY = re.compile(r"(.*)\[(\d{1,15}(?:, *\d{1,15})*)\]", re.DOTALL)


class OneNumber(NamedTuple):
    """The graphs of a number, and what it is called; empty where it is the only value."""

    written: Graph | None  # None where a pickle has lost the gates that it is written in
    compiled: Graph
    name: str


class _Place(NamedTuple):
    """One of some names, and at which entry of what it names: () of a number."""

    position: int
    at: tuple[int, ...]


def one_number(
    compiled: Compiled, output: str | int | None, derivative: str | None, sizes: Mapping[str, int]
) -> OneNumber:
    """The circuit of one output, or of one derivative of it, at extents that are known.

    Args:
        compiled: What the kernel is made of.
        output: A number among the outputs, or an entry of an array of them, "f[0, 2]"; None is the first number, else
            the first entry.
        derivative: The input, or the entry of one, "w[2]", by which it is differentiated; None where it is not.
        sizes: The extents of the arrays.

    Raises:
        ValueError: There is no such output or input, or what is named is an array.
    """
    graph, written = compiled.definition, compiled.written
    names = [graph.name_of(own) for own in graph.values]
    shapes = [() if own.shape == POINTWISE else own.shape for own in graph.values]
    of = _output(output, names, shapes, sizes)
    is_whole = len(names) == 1 and not of.at
    title = "" if is_whole and derivative is None else names[of.position] + _brackets(of.at)
    positions = [compiled.args.index(symbol) for symbol in compiled.wrt]
    by = None
    if derivative is not None:
        own = [() if graph.over_points else graph.shapes[position] for position in positions]
        inputs = [graph.inputs[position] for position in positions]
        by = _place(derivative, inputs, own, sizes, "input that is differentiated for")
        title = f"d {title} / d {inputs[by.position]}{_brackets(by.at)}"
        by = by._replace(position=positions[by.position])
    with no_collection():
        one = _with_number(graph, of, by)
        made = passed(one, Wanted(positions), Counter(), {})["simplified"]
        return OneNumber(None if written is None else _with_number(written, of, by), made, title)


def _with_number(graph: Graph, of: _Place, by: _Place | None) -> Graph:
    """The graph with one number as its value."""
    one = graph.with_values([_entry(graph, graph.values[of.position].view, of.at)])
    if by is None:
        return one
    between = passed(one, Wanted([by.position]), Counter(), {})["gradient"]
    short = simplify(between, ("cheaper",))
    return short.with_values([_entry(short, short.derivatives[0].view, by.at)])


def _entry(graph: Graph, view: View, index: Sequence[int]) -> View:
    """One entry of what a view holds, which over points is a number at each of them."""
    return view if graph.over_points else as_node(view.at({axis: Index((), at) for axis, at in enumerate(index)}))


def _output(
    output: str | int | None, names: Sequence[str], shapes: Sequence[tuple[Index, ...]], sizes: Mapping[str, int]
) -> _Place:
    if isinstance(output, str):
        return _place(output, names, shapes, sizes, "output")
    if output is None:
        position = next((place for place, shape in enumerate(shapes) if not shape), 0)
        return _checked(_Place(position, (0,) * len(shapes[position])), names, shapes, sizes)
    if output not in range(len(names)):
        raise ValueError(f"output {output!r} is none of the outputs, which are {_listed(names)}")
    return _checked(_Place(output, ()), names, shapes, sizes)


def _place(
    name: str, names: Sequence[str], shapes: Sequence[tuple[Index, ...]], sizes: Mapping[str, int], what: str
) -> _Place:
    """What a name, or a name with indices in brackets, stands for."""
    match = None if name in names else _ENTRY.fullmatch(name)
    base, index = (name, ()) if match is None else (match[1], tuple(map(int, match[2].split(","))))
    if base not in names:
        raise ValueError(f"{name!r} is no {what}; those are {_listed(names)}")
    if names.count(base) > 1:
        raise ValueError(f"two of these are named {base!r}: {_listed(names)}")
    return _checked(_Place(names.index(base), index), names, shapes, sizes)


def _checked(
    place: _Place, names: Sequence[str], shapes: Sequence[tuple[Index, ...]], sizes: Mapping[str, int]
) -> _Place:
    """The place, if it is a number that there is."""
    name, index = names[place.position], place.at
    shape = tuple(numeric(extent, sizes) for extent in shapes[place.position])
    if index and not shape:
        raise ValueError(f"there is no {name + _brackets(index)!r}: {name} is a number")
    if len(index) != len(shape):
        example = name + _brackets((0,) * len(shape))
        raise ValueError(
            f"{name + _brackets(index)!r} is no number: {name} has the shape {shape}; take an entry of it, such as "
            f"{example!r}"
        )
    if any(at >= extent for at, extent in zip(index, shape, strict=True)):
        raise ValueError(f"there is no {name + _brackets(index)!r}: {name} has the shape {shape}")
    return place


def _brackets(index: Sequence[int]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f", ... ({len(names):,} in all)" if len(names) > 20 else "")
