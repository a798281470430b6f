"""What has to hold before the loops run: indices stay inside of their arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..errors import UnsupportedExpression
from ..graph.affine import Index, Size
from ..graph.graph import Graph
from ..graph.node import Gather, Reduction, View
from .domains import Domains
from .extents import Domain, Passed, is_empty, numeric


class Check(NamedTuple):
    """What has to hold before the loops run: `index` stays in 0 .. extent - 1 of an array's axis."""

    array: str
    place: int  # the axis of the array
    low: Index
    high: Index
    extent: Index
    domain: Domain  # of the loops

    def outside(self, sizes: Mapping[str, int]) -> int | None:
        """An index that is read and out of bounds, if there is one."""
        low, high = numeric(self.low, sizes), numeric(self.high, sizes)
        if is_empty(self.domain, sizes) or (low >= 0 and high < numeric(self.extent, sizes)):
            return None
        return low if low < 0 else high


class GatherCheck(NamedTuple):
    """What has to hold before the loops run: the values of an integer view stay in low .. high."""

    array: str
    place: int
    view: View
    domain: Domain
    low: Index
    high: Index


def checks(graph: Graph, domains: Domains) -> tuple[list[Check], list[GatherCheck]]:
    """The index expressions that may run outside of an array, and those that are values."""
    plain: dict[Check, None] = {}
    gathered: dict[GatherCheck, None] = {}
    for node in graph.order():
        over = domains.of[node]
        edges = [*node.arguments, *node.gathered]
        for edge in edges:
            target, is_input = domains.indices(edge.node), edge.node.gate.name == "input"
            name = graph.inputs[edge.node.position] if is_input else ""
            is_whole = edge.node.loops != edge.node.rank and not isinstance(edge.node.attribute, Reduction)
            for place, index in enumerate(edge.index):
                bound = target.bounds[place]
                if bound is None:
                    raise UnsupportedExpression(f"the range of an index of {name or edge.node.gate.name} is not known")
                if isinstance(index, Gather):
                    gathered[GatherCheck(name, place, index.view, over.of_loops(index.axes), *bound)] = None
                    continue
                if not (is_input or is_whole):  # all that is read of it is computed
                    continue
                if not (domains.implies(over, index) and domains.implies(over, bound[1].minus(index))):
                    what, low = name or edge.node.gate.name, domains.lowest(over, index)
                    last = domains.lowest(over, index.scaled(-1))
                    if low is None or last is None:
                        raise UnsupportedExpression(f"the range of an index of {what} is not known")
                    plain[Check(what, place, low, last.scaled(-1), bound[1].plus(1), over.of_loops(index.axes))] = None
    return list(plain), list(gathered)


def passed(plain: Iterable[Check], domains: Domains) -> list[Passed]:
    """What is known of the extents once these checks are passed, without derived extents."""
    extents = domains.extents
    found: dict[Passed, None] = {}
    for check in plain:
        conditions = [form for form in check.domain.conditions() if not extents.imply(form)]
        if not any(isinstance(t, Size) and t.name in domains.derived for form in conditions for t, _ in form.terms):
            forms = extents.spelled((check.low, check.extent.minus(1).minus(check.high)))
            found[Passed(tuple(conditions), tuple(forms))] = None
    return list(found)
