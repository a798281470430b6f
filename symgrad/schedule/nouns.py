"""What results are called that the user has not named: sqrt_T, x_squared, else the kind of the operation."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from symgrad_codegen.functions import FUNCTIONS

from ..gates.reductions import KINDS
from ..gates.table import GATES
from ..graph.graph import Graph
from ..graph.node import Node

_COUNTED = {*FUNCTIONS, *(row.noun for row in GATES.values()), *(kind.stored for kind in KINDS.values())}
_LONGEST = 16  # characters of a name that becomes a part of another


class Nouns:
    """How the results of one graph are called."""

    def __init__(self, graph: Graph, inputs: Sequence[str], forward: Container[Node]) -> None:
        self.graph, self.inputs, self.forward = graph, inputs, forward

    def of(self, node: Node, called: Mapping[Node, str]) -> tuple[str, bool]:
        """The name of a result, and whether it always has a number behind it; `called` are the names of others."""
        of = self.graph.adjoints.get(node) if node not in self.forward else None
        if of is not None and of.gate.name == "input":  # not the gradient itself, but what goes into it
            return f"d_{self.inputs[of.position]}_{noun_of(node)}", False
        if of is not None:
            return f"d_{called.get(of) or self.noun(of, called)}", False
        noun = self.noun(node, called)
        return noun, noun in _COUNTED

    def noun(self, node: Node, called: Mapping[Node, str]) -> str:
        """What one would call what a node computes."""
        name, arguments = node.gate.name, node.arguments
        if name == "mul" and len(arguments) == 2 and arguments[0] == arguments[1]:
            word = self._word(arguments[0].node, called)
            return _squared(word) if word else noun_of(node)
        if len(arguments) == 1 and name not in ("neg", "not"):
            word = self._word(arguments[0].node, called)
            return f"{noun_of(node)}_{word}" if word and len(word) < _LONGEST else noun_of(node)
        return noun_of(node)

    def _word(self, node: Node, called: Mapping[Node, str]) -> str:
        """What a node is called inside of other names."""
        return called.get(node) or (self.inputs[node.position] if node.gate.name == "input" else "")


def noun_of(node: Node) -> str:
    """What people call the result of an operation."""
    kind = KINDS.get(node.gate.name)
    return kind.stored if kind else node.gate.noun or node.gate.name


def _squared(word: str) -> str:
    """The square of x is x_squared, of that x_to_4."""
    base, _, exponent = word.rpartition("_")
    if exponent == "squared":
        return f"{base}_to_4"
    before, _, to = base.rpartition("_")
    return f"{base}_{2 * int(exponent)}" if to == "to" and before and exponent.isdigit() else f"{word}_squared"
