"""Scheduling: from a graph to a program, in the order in which a careful person would write it.

The value's nodes come first, then those that only the gradients need. A term that is shared has a name, a term that is
used once stands where it is used, and what depends on no input is a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
from symgrad_codegen.functions import FUNCTIONS, with_needs
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
    Program,
    Read,
    walk,
)
from symgrad_codegen.text.expressions import expression_text
from symgrad_codegen.text.points import at_every_point

from ..errors import UnsupportedExpression
from ..evaluate.points import evaluate_exactly, round_exact, rounded
from ..graph.formula import formulas, indexed_formula
from ..graph.graph import Graph, reachable, sizes_of
from ..graph.node import Node, positional
from .names import Names, identifier, input_names
from .nouns import Nouns, noun_of
from .order import interleaved

# An expression on one line holds at most this many operations, nested at most this deep.
_LINE_OPERATIONS = 8
_LINE_DEPTH = 6
# From this many operations on, forward and backward statements are interleaved: see interleave.py.
_LARGE_BODY = 300
_COMMENT = 60  # characters of a formula in a comment
_FORMULA, _FORMULA_DEPTH = 300, 20  # characters of the expression in the docstring, and how deep it is with indices

# Constants are evaluated with ever more digits until two results agree to this many.
_AGREEMENT = 25
_DIGITS = (60, 120, 480, 1920)


def schedule(
    graph: Graph,
    *,
    definition: Graph,
    name: str = "kernel",
    dtype: str = "float64",
    accuracy: str = "fast",
    reserved: Iterable[str] = (),
) -> Program:
    """The program that computes `graph`; `definition` is the graph as lowered, for the words about it.

    `reserved` are the names that the target's modules use themselves. Raises UnsupportedExpression where a gate has
    neither a spelling nor an expansion.
    """
    inputs, names = input_names(graph.inputs, [*reserved, *words_of(graph), name])
    return _Scheduler(graph, inputs, names, dtype).program(definition, name, accuracy)


def formula_of(definition: Graph, inputs: Sequence[str], sizes: Mapping[str, str] | None = None) -> str:
    """The expression in few words, as it was lowered; with its indices where it has arrays, and extents of `sizes`."""
    node = definition.values[0].view.node
    if definition.over_points:
        return formulas([node], inputs, {}, _FORMULA)[node]
    worded = in_identifiers(definition, inputs)
    own = {size.name: (sizes or {}).get(size.name) or identifier(size.name) for size in sizes_of(definition)}
    return indexed_formula(positional(node), node, worded, worded.names, _FORMULA, own, _FORMULA_DEPTH)


def in_identifiers(graph: Graph, inputs: Sequence[str]) -> Graph:
    """A graph whose names are identifiers, for words in the source: nothing else from outside may stand there."""
    return replace(
        graph,
        inputs=tuple(inputs),
        names={node: identifier(name) for node, name in graph.names.items()},
        labels={node: tuple(name and identifier(name) for name in own) for node, own in graph.labels.items()},
    )


def words_of(graph: Graph) -> list[str]:
    """The functions that a graph calls. A user's name of one gives way; functions that it does not call are free."""
    own = {n.gate.name for n in graph.order() if n.gate.name in FUNCTIONS}
    own |= {name for of in own for name in (FUNCTIONS[of].on_device, FUNCTIONS[of].unfused) if name}
    called = with_needs(tuple(FUNCTIONS[name] for name in sorted(own)))
    return [function.name for function in called if not function.operator]


class _Scheduler:
    """The state of one scheduling: which nodes have which names."""

    def __init__(self, graph: Graph, inputs: list[str], names: Names, dtype: str) -> None:
        self.graph, self.inputs, self.names, self.dtype = graph, inputs, names, dtype
        self.literals = constants(graph, np.dtype(dtype))
        self.order = [node for node in graph.order() if not node.fixed and node.gate.name != "input"]
        self.is_large = len(self.order) > _LARGE_BODY
        value = {output.view.node for output in graph.values}
        self.forward = set(reachable(value))
        for node in self.order:
            if node.gate.name not in FUNCTIONS:
                raise UnsupportedExpression(f"no target spells the gate {node.gate.name}")

    def program(self, definition: Graph, name: str, accuracy: str) -> Program:
        graph = self.graph
        gradient_names = [self.names.take(f"d_{self.inputs[position]}") for position in graph.wrt]
        named = self._named()
        self.gradient_of = {n: self.inputs[at] for n, at in zip(gradient_names, graph.wrt, strict=True)}
        called = self._call(named, gradient_names)
        texts = formulas([view.node for view in graph.views], self.inputs, called, _COMMENT, graph.names)
        expressions: dict[Node, Expression] = {node: Literal(number) for node, number in self.literals.items()}
        expressions |= {n: Read(self.inputs[n.position]) for n in graph.order() if n.gate.name == "input"}
        forward: list[Assignment] = []
        backward: list[Assignment] = []
        for node in self.order:
            expression = self._expression(node, expressions, called, forward if node in self.forward else backward)
            if node in called:
                comment = self._comment(node, texts, called, expression)
                (forward if node in self.forward else backward).append(Assignment(called[node], expression, comment))
                expression = Read(called[node])
            expressions[node] = expression
        values = [self._result(output.view.node, expressions, called, forward, "value") for output in graph.values]
        for output, wanted in zip(graph.gradients, gradient_names, strict=True):
            node = output.view.node
            if called.get(node) != wanted:
                backward.append(Assignment(wanted, expressions[node]))
        statements = [own._replace(part="forward") for own in forward]
        statements += [own._replace(part="backward") for own in backward]
        if self.is_large:
            statements = interleaved_statements(statements)
        formula = formula_of(definition, self.inputs)
        legend = tuple((new, old) for new, old in zip(self.inputs, graph.inputs, strict=True) if new != old)
        axis, length = self.names.take("point"), self.names.take("number_of_points")
        points = (Affine(((length, 1),)),)
        arrays = {*self.inputs, *values, *gradient_names}
        nest = Nest("one_point", (), tuple(at_every_point(own, arrays, axis) for own in statements))
        return Program(
            name=name,
            dtype=self.dtype,
            accuracy=accuracy,
            inputs=tuple(Input(own, points, "real") for own in self.inputs),
            extents=(Extent(length, (self.inputs[0], 0, 1, 0) if self.inputs else None),),
            storages=(),
            steps=(Pass("all_points", axis, Affine(()), Affine(points[0].terms, -1), (nest,), (), False),),
            outputs=(
                *(Output(value, "value", points) for value in values),
                *(
                    Output(name, "gradient", points, self.inputs[by])
                    for name, by in zip(gradient_names, graph.wrt, strict=True)
                ),
            ),
            over_points=True,
            formula=formula,
            legend=legend,
            value_operations=operations(node for node in self.order if node in self.forward),
            operations=operations(self.order),
        )

    def _named(self) -> set[Node]:
        """Which nodes get a statement of their own."""
        graph = self.graph
        uses = Counter(edge.node for node in self.order for edge in node.arguments)
        # A sign has no name: `x - largest` reads better than `x + minus_1`. What it is the sign of has one instead.
        shared = [node for node in self.order if uses[node] > 1]
        named = {node.arguments[0].node if node.gate.name == "neg" else node for node in shared}
        named |= {view.node for view in graph.views} | set(graph.names)
        size: dict[Node, tuple[int, int]] = {}  # operations and depth of what stands on a node's line
        for node in self.order:
            inline = [inner for inner, _ in node.arguments if inner in size and inner not in named]
            # A sum of many terms is written over several lines, each with a few of them.
            own = min(len(node.arguments) - 1, _LINE_OPERATIONS // 2) or 1
            inline.sort(key=size.__getitem__)
            room = _LINE_OPERATIONS - own if len(node.arguments) <= _LINE_OPERATIONS + 1 else len(inline)
            total = sum([size[inner][0] for inner in inline])
            while inline and (total > room or size[inline[-1]][1] >= _LINE_DEPTH):
                total -= size[inline[-1]][0]
                named.add(inline.pop())
            if node not in named:
                size[node] = (own + total, 1 + max([size[inner][1] for inner in inline], default=0))
        return named & set(self.order)

    def _call(self, named: set[Node], gradient_names: list[str]) -> dict[Node, str]:
        """A name for each named node: the user's, the gradient that it is, else what it computes."""
        graph = self.graph
        called: dict[Node, str] = {}
        for place, output in enumerate(graph.values):
            node = output.view.node
            if node in named and node not in graph.names:
                called[node] = self.names.take("value" if place == 0 else f"value_{place + 1}")
        for node, name in graph.names.items():
            if node in named:
                called[node] = self.names.take(input_names([name], ())[0][0])
        for output, name in zip(graph.gradients, gradient_names, strict=True):
            node = output.view.node
            if node in named and node not in called and node not in self.forward:
                called[node] = name
        nouns = Nouns(graph, self.inputs, self.forward)
        for node in self.order:
            if node in named and node not in called:
                called[node] = self.names.take(*nouns.of(node, called))
        return called

    def _comment(self, node: Node, texts: dict[Node, str], called: dict[Node, str], expression: Expression) -> str:
        of = self.graph.adjoints.get(node)
        if called[node] in self.gradient_of:
            return f"d {called[self.graph.values[0].view.node]} / d {self.gradient_of[called[node]]}"
        if node not in self.forward and of is not None:
            inner = called.get(of, "") if of in self.graph.names else _bracketed(texts.get(of, ""))
            return f"d {called[self.graph.values[0].view.node]} / d {inner}" if inner else ""
        text = texts[node]
        return "" if "..." in text or text == expression_text(expression, "float64") else text

    def _result(
        self,
        node: Node,
        expressions: dict[Node, Expression],
        called: dict[Node, str],
        statements: list[Assignment],
        wanted: str,
    ) -> str:
        if node in called:
            return called[node]
        name = self.names.take(wanted)
        called[node] = name
        statements.append(Assignment(name, expressions[node]))
        return name

    def _expression(
        self, node: Node, expressions: dict[Node, Expression], called: dict[Node, str], statements: list[Assignment]
    ) -> Expression:
        function = FUNCTIONS[node.gate.name]
        arguments = [expressions[source] for source, _ in node.arguments]
        # A long sum is written a line at a time, from left to right.
        while len(arguments) > _LINE_OPERATIONS + 1 and not (self.is_large and function.name == "add"):
            first = Call(function, tuple(arguments[:_LINE_OPERATIONS]))
            part = self.names.take(f"partial_{noun_of(node)}", counted=True)
            statements.append(Assignment(part, first))
            arguments = [Read(part), *arguments[_LINE_OPERATIONS:]]
        return Call(function, tuple(arguments))


def interleaved_statements(statements: Sequence[Assignment]) -> list[Assignment]:
    """The same statements in an order that keeps few values alive; sums are accumulated as their terms arrive."""
    place = {statement.name: i for i, statement in enumerate(statements)}

    def reads(expression: Expression) -> set[int]:
        names = (part.name for part in walk(expression) if isinstance(part, Read))
        return {place[name] for name in names if name in place}

    terms: list[tuple[Expression, ...]] = []
    for statement in statements:
        value = statement.value
        is_sum = isinstance(value, Call) and value.function.name == "add" and len(value.arguments) > 4
        terms.append(value.arguments if is_sum else (value,))  # type: ignore[union-attr]
    leads = [statement.part == "forward" for statement in statements]
    done: list[Assignment] = []
    begun: set[int] = set()
    for i, part in interleaved([[reads(term) for term in own] for own in terms], leads):
        statement = statements[i]
        if i in begun:
            more = Call(FUNCTIONS["add"], (Read(statement.name), terms[i][part]))
            done.append(statement._replace(value=more, comment=""))
        else:
            done.append(statement._replace(value=terms[i][part]))
        begun.add(i)
    return done


def _bracketed(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def operations(nodes: Iterable[Node]) -> int:
    """The number of operations: a sum of n terms has n - 1."""
    return sum(max(1, len(node.arguments) - 1) if node.gate.commutative else 1 for node in nodes)


def constants(graph: Graph, dtype: np.dtype[Any]) -> dict[Node, float]:
    """What is read of that which depends on no input, evaluated exactly and rounded once to `dtype`."""
    read = {edge.node for node in graph.order() if not node.fixed for edge in node.arguments if edge.node.fixed}
    read |= {view.node for view in graph.views if view.node.fixed}
    return {node: _rounded_constant(node, dtype) for node in sorted(read, key=lambda node: node.number)}


def _rounded_constant(node: Node, dtype: np.dtype[Any]) -> float | bool:
    if node.gate.name == "constant":
        return float(rounded(node.constant, dtype))
    if node.kind == "boolean":
        return bool(evaluate_exactly([positional(node)], ())[0])
    view = positional(node)
    (before,) = evaluate_exactly([view], (), _DIGITS[0])
    for digits in _DIGITS[1:]:
        (now,) = evaluate_exactly([view], (), digits)
        if not mpmath.isfinite(now):
            return float(round_exact(now, dtype))
        if now == before or abs(now - before) <= abs(now) * mpmath.mpf(10) ** -_AGREEMENT:
            return float(round_exact(now, dtype))
        before = now
    return 0.0  # zero to 1920 digits
