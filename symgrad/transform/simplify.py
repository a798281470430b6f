"""Simplify: named laws that make a graph cheaper or numerically stabler.

A law is a sentence and a small function: it gets a view of the gate that it is filed under and returns the view that
replaces it, or None. `exact` laws give the same bits for every float, NaN and -0.0 included; the others say beside them
where they do not. Families, in the order in which they are of use:

    stabler    before differentiation: recognises what overflows or cancels when computed as written
    sharing    before: brings equal parts together, so that they become one node
    cheaper    before and after: fewer or faster operations
    spelling   after: gates that no target spells become the ones that it does
    wording    last, when nothing is rewritten any more: several gates become one that targets have a word for
    own        the user's own gates alone become what they are made of

With the spelling come rewritings that look at all of the graph: `reuse_reciprocals`, and `join_factors`,
`share_multiples` and `share_pairs` of the files of these names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from fractions import Fraction

from ..gates.roots import non_negative_nodes
from ..gates.table import GATES
from ..graph.gate import Gate
from ..graph.graph import Graph, reachable
from ..graph.node import Node, View
from ..graph.rebuild import read_after, rebuilt
from .join_factors import join_factors
from .laws import arrays as array_laws
from .laws import cheaper, stabler
from .laws.law import LAWS, Rewrite, multiple, scaled
from .share_multiples import share_multiples
from .share_pairs import share_pairs

# Importing the laws files them; of two laws for one gate the first filed is tried first.
FILED = (array_laws, cheaper, stabler)

# More laws in a row than this, each applied to what the one before has made, are laws that undo each other.
_MAX_REWRITES = 400

# What brings together what sums and products have in common; and how often.
SHARINGS = (share_multiples, share_pairs)
_MAX_SHARINGS = 4


def simplify(
    graph: Graph,
    families: Iterable[str],
    fired: Counter[str] | None = None,
    only: Container[str] | None = None,
) -> Graph:
    """`graph` rewritten by the laws of `families` until none applies; `fired` counts what was applied.

    With `only` by those alone that are named there: a law by its name, the spelling of a gate as `fired` has it.
    """
    wanted, last = frozenset(families), frozenset({"wording"})
    fired = Counter() if fired is None else fired
    rules = Rules(wanted - last, fired, only, not graph.over_points)
    forms: dict[Node, View] = {}
    graph = _rewritten_graph(graph, rules, forms)
    split = reuse_reciprocals(graph) if "spelling" in wanted else graph
    if split is not graph:
        graph = _rewritten_graph(split, rules, forms)
    if "spelling" in wanted and (only is None or "join_factors" in only):
        graph = join_factors(graph, _fragile, fired)
    is_wanted = "spelling" in wanted and _has_rows(graph)
    sharings = [own for own in SHARINGS if is_wanted and (only is None or own.__name__ in only)]
    for _ in range(_MAX_SHARINGS):  # what one makes may be for another
        before = graph
        for sharing in sharings:
            graph = sharing(graph, _fragile, fired)
        if graph is before:
            break
        graph = _rewritten_graph(graph, rules, forms)
    if last <= wanted:
        graph = _rewritten_graph(graph, Rules(last, fired, only, not graph.over_points), {})
    return graph.compact()


def _has_rows(graph: Graph) -> bool:
    """Whether there is more than one value and its gradient.

    In these, interning leaves next to nothing to be shared: 3 of the 3,778 operations of the tests' expressions.
    """
    return len(graph.values) > 1 or any(len(output.by) > 1 for output in graph.derivatives)


def reuse_reciprocals(graph: Graph) -> Graph:
    """a/b becomes a*(1/b) where 1/b is computed anyway, or b varies along fewer axes: a rounding more, a division less.

    1/(3*b) is (1/b)/3 then, over points. Also where the gradients divide several times by b. Not where a step or an
    edge is reached by it: a floor, a condition, a root.
    """
    order = graph.order()
    quotients = [node for node in order if node.gate.name == "div" and not _below(node).node.fixed]
    if not quotients:
        return graph
    existing = set(order)
    fragile = _fragile(order)
    kept = fragile | graph.forward
    below_gradients = Counter(_below(n) for n in order if n.gate.name == "div" and n not in kept)
    is_split = {
        n
        for n in quotients
        if n not in fragile
        and n.arguments[0].number != 1
        and (len(_below(n).axes) < n.rank or (1 / _below(n)).node in existing or below_gradients[_below(n)] > 1)
    }
    inverted = {_below(n) for n in is_split} | {_below(n) for n in quotients if n.arguments[0].number == 1}
    parts = {below: scaled(below) for below in inverted if below.node.gate.name == "mul"}
    multiples = {below: own for below, own in parts.items() if own[0] != 1 and own[1] in inverted and graph.over_points}
    is_split.update(n for n in quotients if n.arguments[0].number == 1 and _below(n) in multiples and n not in fragile)
    if not is_split:
        return graph
    views: dict[Node, View] = {}
    for node in order:
        if node in is_split:
            number, rest = multiples.get(_below(node), (Fraction(1), _below(node)))
            inverse = multiple(1 / number, 1 / read_after(views, rest))
            views[node] = inverse if node.arguments[0].number == 1 else read_after(views, node.arguments[0]) * inverse
        elif all(views[source] is source.own for source in node.sources):
            views[node] = node.own
        else:
            views[node] = rebuilt(graph.table, node, views)
    return graph.rebuilt(views)


def _below(quotient: Node) -> View:
    return quotient.arguments[1]


def _fragile(order: Sequence[Node]) -> set[Node]:
    """The nodes that a rounding must not change: what steps and edges are made of."""
    steps = [node for node in order if node.kind == "boolean" or not _STEPS.isdisjoint(node.gate.has)]
    if not steps:
        return set()
    squares = non_negative_nodes(reachable(steps))
    return set(reachable(node for step in steps for node in _before_step(step, squares)))


_STEPS = frozenset({"step", "comparing", "edge"})


def _before_step(node: Node, squares: Container[Node]) -> list[Node]:
    """What a rounding must not change: the arguments of a step or an edge. However it rounds, a square is >= 0."""
    arguments = [edge for edge in node.arguments if edge.node.kind == "real" and edge.node not in squares]
    if "edge" in node.gate.has:
        return [edge.node for edge in arguments[:1]]
    if "comparing" in node.gate.has:
        return [edge.node for edge in node.arguments[:2]]
    if node.kind == "boolean":
        # Whether a number is finite, or a square is 0, is no matter of rounding.
        if any(edge.number == "oo" or (edge.number == 0 and len(arguments) == 0) for edge in node.arguments):
            return []
        return [edge.node for edge in node.arguments]
    return [edge.node for edge in node.arguments] if "step" in node.gate.has else []


class Rules:
    """The laws that may be applied, by gate; `fired` counts those that are."""

    def __init__(
        self, families: frozenset[str], fired: Counter[str], only: Container[str] | None, has_arrays: bool
    ) -> None:
        self.families, self.fired, self.only, self.has_arrays = families, fired, only, has_arrays
        self.of: dict[Gate, list[tuple[str, Rewrite]]] = {}

    def rewritten(self, view: View) -> View | None:
        """What the first law that applies makes of a view."""
        for name, rewrite in self.for_gate(view.node.gate):
            found = rewrite(view)
            if found is not None:
                self.fired[name] += 1
                return found
        return None

    def for_gate(self, gate: Gate) -> list[tuple[str, Rewrite]]:
        """The laws that are filed under a gate, by name."""
        rules = self.of.get(gate)
        if rules is None:
            rules = self.of[gate] = list(self._found(gate))
        return rules

    def _found(self, gate: Gate) -> Iterator[tuple[str, Rewrite]]:
        for law in LAWS.get(gate.name, ()):
            is_wanted = law.family in self.families and (self.only is None or law.name in self.only)
            if is_wanted and (self.has_arrays or not law.of_arrays):
                yield law.name, law.rewrite
        expansion, spelling = gate.expansion, f"spelling of {gate.name}"
        is_wanted = "spelling" in self.families or ("own" in self.families and GATES.get(gate.name) is not gate)
        if expansion is not None and is_wanted and (self.only is None or spelling in self.only):
            yield spelling, lambda view: expansion(*view.arguments)


def _rewritten_graph(graph: Graph, rules: Rules, forms: dict[Node, View]) -> Graph:
    """The graph in normal form: no law applies to what its outputs need.

    `forms` is the normal form of each node that was ever looked at, over its own axes. A node is looked at when those
    that it reads are in normal form, and what a law makes of it in its turn.
    """
    if not any(map(rules.for_gate, {node.gate for node in graph.order()})):
        return graph
    made: dict[Node, View] = {}  # what a node has become, whose own normal form is not known yet
    laws: dict[Node, int] = {}  # how many led to what they have made
    stack = list(reversed(graph.order()))
    while stack:
        node = stack[-1]
        found = made.get(node)
        if found is not None and found.node in forms:
            forms[node] = read_after(forms, found)
            del made[node]
        elif found is not None:  # a law that makes something of the very node, or laws that undo each other
            forms[node] = node.own
        if node in forms:
            stack.pop()
            continue
        missing, is_same = [], True
        for edge in (*node.arguments, *node.gathered) if node.gathered else node.arguments:
            form = forms.get(edge.node)
            if form is None:
                missing.append(edge.node)
            elif form is not edge.node.own:
                is_same = False
        count = laws.get(node, 0)
        if not missing:
            if not is_same:
                found = rebuilt(graph.table, node, forms)
            elif count < _MAX_REWRITES:
                found = rules.rewritten(node.own)
                count += 1
            if found is None:
                forms[node] = node.own
                stack.pop()
                continue
            made[node] = found
            missing.append(found.node)
        if count:
            laws.update((source, max(count, laws.get(source, 0))) for source in missing)
        stack += reversed(missing)
    return graph.rebuilt(forms)
