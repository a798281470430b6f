"""Simplify: named laws that make a graph cheaper or numerically stabler.

A law is a sentence and a small function: it gets a view of the gate that it is filed under and returns the view that
replaces it, or None. `exact` laws give the same bits for every float, NaN and -0.0 included; the others say beside them
where they do not. Families, in the order in which they are of use:

    stabler    before differentiation: recognises what overflows or cancels when computed as written
    sharing    before: brings equal parts together, so that they become one node
    cheaper    before and after: fewer or faster operations
    spelling   after: gates that no target spells become the ones that it does
    own        the user's own gates alone become what they are made of
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from . import array_laws, cheaper, stabler
from .gates import GATES
from .graph import Graph, Node, View, positional, reachable, translated
from .laws import LAWS, Law

# Importing the laws files them; of two laws for one gate the first filed is tried first.
FILED = (array_laws, cheaper, stabler)

_ROUNDS = 20


def simplify(graph: Graph, families: Iterable[str], fired: Counter[str] | None = None) -> Graph:
    """`graph` rewritten by the laws of `families` until none applies; `fired` counts what was applied."""
    wanted = set(families)
    fired = Counter() if fired is None else fired
    graph = _rewritten_graph(graph, wanted, fired)
    if "spelling" in wanted:
        graph = _rewritten_graph(reuse_reciprocals(graph), wanted, fired)
    return graph.compact()


# Gates whose value jumps: a rounding before them may move the jump.
_STEPS = {"floor", "ceil", "mod", "sign"}


def reuse_reciprocals(graph: Graph) -> Graph:
    """a/b becomes a*(1/b) where 1/b is computed anyway, or b varies along fewer axes: a rounding more, a division less.

    Where the value has steps (a floor, a condition) only what the gradients alone need is rewritten.
    """
    order = graph.order()
    existing = set(order)
    value = set(reachable(view.node for view in graph.values))
    has_steps = any(map(_is_step, value))
    views: dict[Node, View] = {}
    for node in order:
        views[node] = positional(node)
        if not node.arguments:
            continue
        is_free = node not in value or not has_steps
        above, below = node.arguments if node.gate.name == "div" else (None, None)
        if above is None or below is None or not is_free or above.number == 1 or below.node.fixed:
            views[node] = graph.table.rebuild(node, views)
        elif len(below.axes) < node.rank or (1 / below).node in existing:
            above, below = translated(views, (above, below))
            views[node] = above * (1 / below)
        else:
            views[node] = graph.table.rebuild(node, views)
    return graph.rebuilt(views)


def _is_step(node: Node) -> bool:
    if node.kind == "boolean":
        return all(view.number != "oo" for view in node.arguments)  # whether it is finite is no matter of rounding
    return node.gate.name in _STEPS


def _rewritten_graph(graph: Graph, wanted: set[str], fired: Counter[str]) -> Graph:
    laws = {gate: [law for law in laws if law.family in wanted] for gate, laws in LAWS.items()}
    settled: set[Node] = set()
    for _ in range(_ROUNDS):
        before = fired.total()
        graph = _one_round(graph, laws, wanted, settled, fired)
        if fired.total() == before:
            break
    return graph


def _one_round(
    graph: Graph, laws: dict[str, list[Law]], families: set[str], settled: set[Node], fired: Counter[str]
) -> Graph:
    views: dict[Node, View] = {}
    for node in graph.order():
        if all(views[source].node is source for source in node.sources):
            view = positional(node)
        else:
            view = graph.table.rebuild(node, views)
        for _ in range(_ROUNDS):  # a bound, should two laws ever undo each other
            found = (
                None if view.node in settled else _rewritten(view, laws.get(view.node.gate.name, ()), families, fired)
            )
            if found is None:
                settled.add(view.node)
                break
            view = found
        views[node] = view
    return graph.rebuilt(views)


def _rewritten(view: View, laws: Iterable[Law], families: set[str], fired: Counter[str]) -> View | None:
    for law in laws:
        found = law.rewrite(view)
        if found is not None:
            fired[law.name] += 1
            return found
    gate = view.node.gate
    spelled = "spelling" in families or ("own" in families and GATES.get(gate.name) is not gate)
    if spelled and gate.expansion is not None:
        fired[f"spelling of {gate.name}"] += 1
        return gate.expansion(*view.arguments)
    return None
