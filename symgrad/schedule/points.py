"""The schedule of a scalar expression: one pass over its points, whose one nest has no loops of its own.

The value's nodes come first, then those that only the gradients need. A term that is shared has a name, a term that is
used once stands where it is used, and what depends on no input is a number.
"""

from __future__ import annotations

from functools import cached_property, partial

import numpy as np
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.program import (
    Affine,
    Assignment,
    Call,
    Expression,
    Extent,
    Input,
    Literal,
    Nest,
    Output,
    Pass,
    Read,
)
from symgrad_codegen.text.expressions import expression_text

from ..errors import UnsupportedExpression
from ..graph.formula import formulas
from ..graph.graph import Graph, reachable
from ..graph.graph import Output as GraphOutput
from ..graph.node import Node
from .called import Called
from .constants import constants
from .lines import Lines
from .names import Names, identifier
from .nouns import noun_of
from .order import interleaved_statements
from .scheduled import Scheduled

# From this many operations on, forward and backward statements are interleaved: see order.py.
_LARGE_BODY = 300
_COMMENT = 60  # characters of a formula in a comment


def over_points(graph: Graph, inputs: list[str], names: Names, dtype: str) -> Scheduled:
    """What a graph of scalars computes at every point; arguments as of `schedule`."""
    derivatives = [names.take(identifier(graph.name_of(output, inputs))) for output in graph.derivatives]
    statements, values = _Body(graph, inputs, names, dtype, derivatives).statements()
    axis, length = names.take("point"), names.take("number_of_points")
    points = (Affine(((length, 1),)),)
    nest = Nest("one_point", (), tuple(statements))
    return Scheduled(
        inputs=tuple(Input(own, points, "real") for own in inputs),
        extents=(Extent(length, (inputs[0], 0, 1, 0) if inputs else None),),
        storages=(),
        steps=(Pass("all_points", axis, Affine(()), Affine(points[0].terms, -1), (nest,), (), False),),
        outputs=(
            *(Output(value, points) for value in values),
            *(
                Output(name, points, tuple(inputs[position] for position in own.by), own.of)
                for name, own in zip(derivatives, graph.derivatives, strict=True)
            ),
        ),
        bounds=(),
        sizes={},
    )


class _Body:
    """The statements of one point."""

    def __init__(self, graph: Graph, inputs: list[str], names: Names, dtype: str, derivatives: list[str]) -> None:
        self.graph, self.inputs, self.names, self.derivatives = graph, inputs, names, derivatives
        self.forward = graph.forward
        self.nodes = [node for node in graph.order() if not node.fixed and node.gate.name != "input"]
        for node in self.nodes:
            if node.gate.name not in FUNCTIONS:
                raise UnsupportedExpression(f"no target spells the gate {node.gate.name}")
        self._is_large = len(self.nodes) > _LARGE_BODY
        computed = set(self.nodes)
        called: dict[Node, str] = {}
        for output in graph.values:
            called.setdefault(output.view.node, graph.name_of(output))
        self.names_of = Called(graph, inputs, names, self.forward, called)
        self.called = self.names_of.results
        for output, name in zip(graph.derivatives, derivatives, strict=True):
            node = output.view.node
            if node in computed and node not in self.called and node not in self.forward:
                self.called[node] = name
        self.expressions: dict[Node, Expression] = {
            node: Literal(number) for node, number in constants(graph, np.dtype(dtype)).items()
        }
        self.expressions |= {node: Read(inputs[node.position]) for node in graph.order() if node.gate.name == "input"}

    def statements(self) -> tuple[list[Assignment], list[str]]:
        """Forward, then backward, interleaved where there are many; and what the values are called."""
        lines = self._lines(self._is_large)
        written = [own for own in lines.written() if isinstance(own, Assignment)]
        parts: dict[str, list[Assignment]] = {part: [] for part in self._parts}
        for own in written:
            parts[own.part].append(own)
        for view in self.graph.views:
            self.expressions[view.node] = lines.final(self.expressions[view.node])
        values = self._values(parts["forward"])
        is_plain = self.graph.is_gradient
        for output, name in zip(self.graph.derivatives, self.derivatives, strict=True):
            node = output.view.node
            if self.called.get(node) != name:
                part = self._part_of(output)
                said = "" if is_plain else self.names_of.quotient(output)
                parts[part].append(Assignment(name, self.expressions[node], said, _kind(node), part))
        statements = self._commented([own for part in parts.values() for own in part])
        return interleaved_statements(statements) if self._is_large else statements, values

    def _lines(self, is_large: bool) -> Lines:
        lines = Lines(self.names, whole_sums=is_large)
        kept = {view.node for view in self.graph.views} | set(self.graph.names)
        for node in self.nodes:
            arguments = [self.expressions[edge.node] for edge in node.arguments]
            self.expressions[node] = lines.value(
                Call(FUNCTIONS[node.gate.name], tuple(arguments)),
                partial(self.names_of.result, node),
                noun_of(node),
                _kind(node),
                part="forward" if node in self.forward else self._only.get(node, "backward"),
                is_kept=node in kept,
            )
        return lines

    # --- parts ----------------------------------------------------------------------------------------------------

    @cached_property
    def _parts(self) -> dict[str, None]:
        """The titles of the parts, in order: what several derivatives need comes before what is of one value alone."""
        return dict.fromkeys(["forward", "backward", *map(self._part_of, self.graph.derivatives)])

    def _part_of(self, output: GraphOutput) -> str:
        """Where a derivative belongs: of several values to its own, of one to those of first or second order."""
        if self.graph.is_gradient or self._is_large:
            return "backward"
        if len(self.graph.values) > 1:
            return f"derivatives of {identifier(self.graph.name_of(self.graph.values[output.of]))}"
        return "backward" if len(output.by) == 1 else "second derivatives"

    @cached_property
    def _only(self) -> dict[Node, str]:
        """The part of each node that derivatives of one part alone need."""
        found: dict[Node, str] = {}
        if self._by_part.keys() <= {"backward"}:  # most often, and what goes without saying
            return found
        for part, outputs in self._by_part.items():
            for node in reachable(output.view.node for output in outputs):
                found[node] = "backward" if node in found else part
        return found

    @cached_property
    def _by_part(self) -> dict[str, list[GraphOutput]]:
        found: dict[str, list[GraphOutput]] = {}
        for output in self.graph.derivatives:
            found.setdefault(self._part_of(output), []).append(output)
        return found

    def _values(self, statements: list[Assignment]) -> list[str]:
        """What the values are called: one that is an input, a number or another value has a line of its own."""
        found: list[str] = []
        for output in self.graph.values:
            node = output.view.node
            name = self.called.get(node)
            if name is None or name in found:
                name = self.names.take(identifier(self.graph.name_of(output)))
                statements.append(Assignment(name, self.expressions[node], kind=_kind(node), part="forward"))
                self.called.setdefault(node, name)
            found.append(name)
        return found

    def _commented(self, statements: list[Assignment]) -> list[Assignment]:
        """With a comment where the text itself does not say what it is."""
        nodes = {self.called[node]: node for node in self.nodes if node in self.called}
        comments = [self._comment(nodes[own.name], own.value) if own.name in nodes else "" for own in statements]
        return [
            Assignment(own.name, own.value, comment, own.kind, own.part) if comment else own
            for own, comment in zip(statements, comments, strict=True)
        ]

    @cached_property
    def _texts(self) -> dict[Node, str]:
        return formulas(self.graph.order(), self.inputs, self.called, _COMMENT, self.graph.names)

    def _comment(self, node: Node, expression: Expression) -> str:
        if node not in self.forward:
            of = self.graph.adjoints.get(node)
            said = self.names_of.derivative(node)
            if said or of is not None:
                return said or self.names_of.derivative_by(_bracketed(self._texts.get(of, "") if of else ""))
        text = self._texts[node]
        return "" if "..." in text or text == expression_text(expression, "float64") else text


def _bracketed(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def _kind(node: Node) -> str:
    """Of the number that a statement makes: over points integers are computed as real numbers."""
    return "boolean" if node.kind == "boolean" else "real"
