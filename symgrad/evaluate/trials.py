"""Trials: small extents and integers that a kernel takes, for verifying what is the same at any extents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..analysis.checks import GatherCheck, checks
from ..analysis.domains import Domains
from ..analysis.extents import numeric, with_derived
from ..errors import UnsupportedExpression
from ..graph.affine import Size
from ..graph.gate import Numeric
from ..graph.graph import Graph, reachable, sizes_of
from ..graph.node import Reduction
from .evaluation import Evaluator

# At most so many are made, with so many entries in all arrays together.
_TRIALS, _ENTRIES = 8, 100_000
# An index outside of any array: where none is read, integers may hold it.
_OUTSIDE = 1_000_000


class Trial(NamedTuple):
    """Small extents that a kernel takes, and for each input its shape, its integers, or the extent that it is."""

    sizes: dict[str, int]
    arguments: tuple[Numeric, ...]


def trials(graph: Graph) -> list[Trial]:
    """Small extents and integers that a kernel of `graph` takes: what it refuses at the call is left out."""
    graph = replace(graph, derived=dict(graph.derived))
    domains = Domains(graph)
    try:
        plain, gathered = checks(graph, domains)
    except UnsupportedExpression:  # refused when the kernel is made
        return []
    forms = [form for shape in graph.shapes for form in shape]
    told = {term.name for form in forms for term, _ in form.terms if isinstance(term, Size)}
    names = sorted((told | {size.name for size in sizes_of(graph)}) - set(graph.derived))
    forms = [form for check in plain for form in (check.low, check.high, check.extent)]
    forms += [
        form for node in domains.order if isinstance(node.attribute, Reduction) for form in node.attribute.constraints
    ]
    found: list[Trial] = []
    for sizes in _extents(names, max((abs(form.offset) for form in forms if abs(form.offset) < 100), default=0)):
        trial = _trial(graph, sizes, plain, gathered)
        if trial is not None and trial.sizes not in [other.sizes for other in found]:
            found.append(trial)
        if len(found) == _TRIALS:
            break
    return found


def _extents(names: Sequence[str], more: int) -> Iterator[dict[str, int]]:
    """Extents to try: all different, all alike, one of them very small; then all of them larger by `more`."""
    for offset in (0, more) if more else (0,):
        different = {name: (5, 3, 4, 2)[place % 4] + offset for place, name in enumerate(names)}
        yield different
        yield {name: (3, 5, 2, 4)[place % 4] + offset for place, name in enumerate(names)}
        yield dict.fromkeys(names, 1 + offset)
        yield dict.fromkeys(names, 2 + offset)
        yield from ({**different, name: 0} for name in names)
        yield dict.fromkeys(names, 0)
        yield from ({**different, name: 1} for name in names)


def _trial(
    graph: Graph, sizes: dict[str, int], plain: Sequence[Numeric], gathered: Sequence[GatherCheck]
) -> Trial | None:
    known = with_derived(sizes, graph.derived)
    shapes = [tuple(numeric(extent, sizes) for extent in shape) for shape in graph.shapes]
    if any(length < 0 for shape in shapes for length in shape) or sum(map(np.prod, shapes)) > _ENTRIES:
        return None
    if any(check.outside(known) is not None for check in plain):
        return None
    arguments: list[Numeric] = [
        sizes[name] if not shape and name in sizes else shape for name, shape in zip(graph.inputs, shapes, strict=True)
    ]
    rng = np.random.default_rng(0)
    limits = dict.fromkeys(range(len(arguments)), 4)
    indices = {node.position for node in reachable(check.view.node for check in gathered) if node.gate.name == "input"}
    for check in gathered:
        node = check.view.node
        if node.gate.name == "input":
            limits[node.position] = min(limits[node.position], numeric(check.high, known) + 1)
    for limit in (None, 2, 1):
        for place in graph.integers:
            most = max(1, limits[place] if limit is None else limit)
            arguments[place] = rng.integers(0, most, shapes[place])
        if all(_is_kept(graph, check, arguments, known) for check in gathered):
            for place in graph.integers:
                wild = [*arguments]
                wild[place] = np.full(shapes[place], _OUTSIDE)
                if place in indices and all(_is_kept(graph, check, wild, known) for check in gathered):
                    arguments = wild
            return Trial(sizes, tuple(arguments))
    return None


def _is_kept(graph: Graph, check: GatherCheck, arguments: Sequence[Numeric], sizes: Mapping[str, int]) -> bool:
    """Whether a gathered index stays inside, where its integers depend on integers only."""
    given = [np.ones(a) if isinstance(a, tuple) else np.asarray(a) for a in arguments]
    (values,) = Evaluator(graph, [(check.view, check.domain)], Domains(graph)).floats(given, sizes)
    low, high = numeric(check.low, sizes), numeric(check.high, sizes)
    return not np.size(values) or bool(np.min(values) >= low and np.max(values) <= high)
