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
from collections.abc import Container, Iterable

from ..gates.roots import non_negative_nodes
from ..gates.table import GATES
from ..graph.graph import Graph, reachable
from ..graph.node import Node, View, positional
from ..graph.rebuild import rebuilt, translated
from .laws import arrays as array_laws
from .laws import cheaper, stabler
from .laws.law import LAWS, Law

# Importing the laws files them; of two laws for one gate the first filed is tried first.
FILED = (array_laws, cheaper, stabler)

_ROUNDS = 20


def simplify(
    graph: Graph,
    families: Iterable[str],
    fired: Counter[str] | None = None,
    only: Container[str] | None = None,
) -> Graph:
    """`graph` rewritten by the laws of `families` until none applies; `fired` counts what was applied.

    With `only` by those alone that are named there: a law by its name, the spelling of a gate as `fired` has it.
    """
    wanted = set(families)
    fired = Counter() if fired is None else fired
    graph = _rewritten_graph(graph, wanted, fired, only)
    if "spelling" in wanted:
        graph = _rewritten_graph(reuse_reciprocals(graph), wanted, fired, only)
    return graph.compact()


def reuse_reciprocals(graph: Graph) -> Graph:
    """a/b becomes a*(1/b) where 1/b is computed anyway, or b varies along fewer axes: a rounding more, a division less.

    Also where the gradients divide several times by b. Not where a step or an edge is reached by it: a floor, a
    condition, a root.
    """
    order = graph.order()
    existing = set(order)
    squares = non_negative_nodes(order)
    fragile = set(reachable(node for step in order for node in _before_step(step, squares)))
    kept = fragile | set(reachable(output.view.node for output in graph.values))
    below_gradients = Counter(n.arguments[1] for n in order if n.gate.name == "div" and n not in kept)
    views: dict[Node, View] = {}
    for node in order:
        views[node] = positional(node)
        if not node.arguments:
            continue
        above, below = node.arguments if node.gate.name == "div" else (None, None)
        if above is None or below is None or node in fragile or above.number == 1 or below.node.fixed:
            views[node] = rebuilt(graph.table, node, views)
        elif len(below.axes) < node.rank or (1 / below).node in existing or below_gradients[below] > 1:
            above, below = translated(views, (above, below))
            views[node] = above * (1 / below)
        else:
            views[node] = rebuilt(graph.table, node, views)
    return graph.rebuilt(views)


def _before_step(node: Node, squares: Container[Node]) -> list[Node]:
    """What a rounding must not change: the arguments of a step or an edge. However it rounds, a square is >= 0."""
    arguments = [edge for edge in node.arguments if edge.node.kind == "real" and edge.node not in squares]
    if "edge" in node.gate.has:
        return [edge.node for edge in arguments[:1]]
    if node.kind == "boolean":
        # Whether a number is finite, or a square is 0, is no matter of rounding.
        if any(edge.number == "oo" or (edge.number == 0 and len(arguments) == 0) for edge in node.arguments):
            return []
        return [edge.node for edge in node.arguments]
    return [edge.node for edge in node.arguments] if "step" in node.gate.has else []


def _rewritten_graph(graph: Graph, wanted: set[str], fired: Counter[str], only: Container[str] | None) -> Graph:
    laws = {
        gate: [law for law in laws if law.family in wanted and (only is None or law.name in only)]
        for gate, laws in LAWS.items()
    }
    settled: set[Node] = set()
    for _ in range(_ROUNDS):
        before = fired.total()
        graph = _one_round(graph, laws, wanted, only, settled, fired)
        if fired.total() == before:
            break
    return graph


def _one_round(
    graph: Graph,
    laws: dict[str, list[Law]],
    families: set[str],
    only: Container[str] | None,
    settled: set[Node],
    fired: Counter[str],
) -> Graph:
    views: dict[Node, View] = {}
    for node in graph.order():
        if all(views[source].node is source for source in node.sources):
            view = positional(node)
        else:
            view = rebuilt(graph.table, node, views)
        for _ in range(_ROUNDS):  # a bound, should two laws ever undo each other
            found = None
            if view.node not in settled:
                found = _rewritten(view, laws.get(view.node.gate.name, ()), families, only, fired)
            if found is None:
                settled.add(view.node)
                break
            view = found
        views[node] = view
    return graph.rebuilt(views)


def _rewritten(
    view: View, laws: Iterable[Law], families: set[str], only: Container[str] | None, fired: Counter[str]
) -> View | None:
    for law in laws:
        found = law.rewrite(view)
        if found is not None:
            fired[law.name] += 1
            return found
    gate, spelling = view.node.gate, f"spelling of {view.node.gate.name}"
    is_wanted = "spelling" in families or ("own" in families and GATES.get(gate.name) is not gate)
    if gate.expansion is None or not is_wanted or (only is not None and spelling not in only):
        return None
    fired[spelling] += 1
    spelled: View = gate.expansion(*view.arguments)
    return spelled
