"""The passes between lowering and scheduling: by name, in the order in which they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from ..graph.graph import Graph
from .derive import Wanted, derive
from .mask_branches import mask_branches
from .scatter_deltas import scatter_deltas
from .simplify import simplify


class Pass(NamedTuple):
    """One step from a graph to a graph."""

    name: str
    result: str  # what comes out of it: the name that `--stage` knows it by
    what: str  # it does, in words
    # Called with the graph, which derivatives are wanted, and a count of the laws that fired.
    apply: Callable[[Graph, Wanted, Counter[str]], Graph]
    families: tuple[str, ...] = ()  # of laws, where it applies some


_BEFORE, _AFTER = ("stabler", "sharing", "cheaper"), ("cheaper", "spelling", "wording")


def _stabilise(graph: Graph, wanted: Wanted, fired: Counter[str]) -> Graph:
    return simplify(graph, _BEFORE, fired)


def _scatter_deltas(graph: Graph, wanted: Wanted, fired: Counter[str]) -> Graph:
    return graph if graph.over_points else scatter_deltas(graph)


def _mask_branches(graph: Graph, wanted: Wanted, fired: Counter[str]) -> Graph:
    return mask_branches(graph)


def _differentiate(graph: Graph, wanted: Wanted, fired: Counter[str]) -> Graph:
    return derive(graph, wanted)


def _simplify(graph: Graph, wanted: Wanted, fired: Counter[str]) -> Graph:
    return simplify(graph, _AFTER, fired)


PASSES = (
    Pass("stabilise", "stable", "laws that make the value stabler and cheaper", _stabilise, _BEFORE),
    Pass("scatter_deltas", "scattered", "sums with a delta of a table of indices as scatters", _scatter_deltas),
    Pass("mask_branches", "masked", "safe arguments inside of branches that are not taken", _mask_branches),
    Pass("differentiate", "gradient", "the derivatives that are wanted, beside the values", _differentiate),
    Pass("simplify", "simplified", "laws that make both cheaper; gates as what targets spell", _simplify, _AFTER),
)
