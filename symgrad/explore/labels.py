"""The words of a circuit: what stands on each gate, how one speaks of it, and its formula in the user's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad_codegen.functions import ATOM
from symgrad_codegen.text.expressions import Piece

from ..evaluate.evaluation import exact_value
from ..graph.formula import formulas, indexed_formula, operation_text
from ..graph.graph import Graph, reachable
from ..graph.node import Node, View, positional

_MAX_FORMULA = 60  # characters of a formula
_SHORT = 24  # a formula of at most so many characters is also the gate's name
_LABEL = 12  # characters of a constant on a gate
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Labels:
    """The words for the steps of a circuit: `numbers` says which."""

    def __init__(self, graph: Graph, numbers: Mapping[Node, int], locals: Sequence[View]) -> None:
        self.graph = graph
        self.numbers = {node: f"g{number}" for node, number in numbers.items() if node.gate.name != "input"}
        self.numbers.update(graph.names)
        self.texts: dict[Node, str] = {}
        if graph.over_points:
            roots = [*numbers, *(view.node for view in locals)]
            self.texts = formulas(reachable(roots), graph.inputs, self.numbers, _MAX_FORMULA, graph.names)

    def formula(self, node: Node) -> str:
        """What the node computes, of the inputs and of named parts; what is long, of the gates before it."""
        if self.graph.over_points:
            return self.texts[node]
        return indexed_formula(positional(node), node, self.graph, self.numbers, _MAX_FORMULA)

    def name(self, node: Node) -> str:
        """How to speak of the node."""
        if node.gate.name == "input":
            return str(self.graph.inputs[node.position])
        if node in self.graph.names:
            return self.graph.names[node]
        formula = self.formula(node)
        return formula if len(formula) <= _SHORT and "..." not in formula else self.numbers[node]

    def local(self, node: Node, local: View | None) -> str:
        """The formula of a local gradient of `node`."""
        if local is None:
            return ""
        if node.gate.name in ("max", "min") and not local.node.fixed:
            return f"1 where it is the {'larger' if node.gate.name == 'max' else 'smaller'}, else 0"
        if node.gate.name == "sigmoid":  # how it is computed is of no interest here
            return f"{self.name(node)} * (1 - {self.name(node)})"
        if local.node in self.numbers:
            return self.name(local.node)
        if node.gate.name == "div" and local.node.gate.name == "neg" and self.graph.over_points:
            return f"-{_factor(self.name(node))} / {_factor(self.name(node.arguments[1].node))}"
        if self.graph.over_points:
            return self.texts[local.node]
        return indexed_formula(local, node, self.graph, self.numbers, _MAX_FORMULA)

    def constant(self, view: View) -> str:
        """A part that depends on no input: as it is written, or as a number where that is long."""
        text = formulas(reachable([view.node]), (), {}, _MAX_FORMULA)[view.node]
        if len(text) <= _LABEL:
            return text
        return f"{float(exact_value(positional(view.node))):.4g}"

    def label(self, node: Node) -> str:
        """What people write on the gate: +, *, exp, 1/x, x², σ, max(0, x); x is what comes in."""
        gate, constants = node.gate, [edge for edge in node.arguments if edge.node.fixed]
        if gate.name == "input":
            return str(self.graph.inputs[node.position])
        if node.fixed or not node.arguments:
            return self.constant(positional(node)) if node.fixed else self.formula(node)
        if gate.name == "power":
            exponent = node.exponent
            return "x" + str(exponent).translate(_SUPERSCRIPTS) if isinstance(exponent, int) else f"x^({exponent})"
        label = gate.label or gate.name
        if gate.name in ("sum", "product", "largest", "smallest"):
            return " ".join([label, *filter(None, self.graph.labels.get(node, ())[node.rank :])])
        if not constants or len(node.arguments) - len(constants) != 1 or gate.name == "select":
            return label
        # Constants come last where the order is free, so that 1 + x is +1.
        free = [edge for edge in node.arguments if not edge.node.fixed]
        ordered = [*free, *constants] if gate.name in ("add", "mul") else list(node.arguments)
        pieces: list[Piece] = [
            (_bracketed(self.constant(edge)), ATOM) if edge.node.fixed else ("x", ATOM) for edge in ordered
        ]
        if gate.name == "pow":
            return "^".join(text for text, _ in pieces)
        text = operation_text(node, pieces)
        if gate.name in ("add", "mul", "div"):
            text = text.replace(" ", "").removeprefix("x")
        return text


def _factor(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def _bracketed(text: str) -> str:
    return f"({text})" if " " in text else text
