"""Integers: which values are indices, or are compared as integers. They are computed in integers, so that none rounds.

Everything else that holds integers, say the index as a weight, stays a floating-point number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from symgrad_codegen.functions import FUNCTIONS, OF_INTEGERS
from symgrad_codegen.program import Affine, Call, Expression, Integer, Literal, Number

from ..graph.graph import Graph
from ..graph.node import Gather, Node, View
from .names import merged

_IN_FLOATS = {"power", "sign"}  # of what has integers for integers: what is computed as floating-point numbers
ROUNDED = {"floor", "ceil"}


def index_nodes(graph: Graph) -> set[Node]:
    """The nodes that are computed as integers: what indices and comparisons of integers are made of."""
    order = graph.order()
    whole = {node for node in integer_nodes(graph) if node.gate.name not in _IN_FLOATS}
    stack = [view.node for node in order for view in node.gathered]
    stack += [index.view.node for view in graph.views for index in view.index if isinstance(index, Gather)]
    for node in order:
        if "comparison" in node.gate.has and all(edge.node in whole for edge in node.arguments):
            stack += [edge.node for edge in node.arguments]
    found: set[Node] = set()
    while stack:
        node = stack.pop()
        if node in found or node not in whole or not node.arguments or node.fixed:
            continue
        found.add(node)
        if node.gate.name not in ROUNDED:
            stack += [edge.node for edge in node.arguments[node.gate.name == "select" :]]
        elif all(edge.node in whole for edge in divided(node)):
            stack += [edge.node for edge in divided(node)]
    return found


def integer_nodes(graph: Graph) -> set[Node]:
    """The nodes whose values are integers."""
    whole: set[Node] = set()
    for node in graph.order():
        if _is_integer(node, whole, graph):
            whole.add(node)
    return whole


def _is_integer(node: Node, whole: set[Node], graph: Graph) -> bool:
    name = node.gate.name
    if name == "input":
        return node.position in graph.integers
    if name == "constant":
        return whole_number(View(node)) is not None
    if "rounding" in node.gate.has:
        return True
    made_of = node.arguments[1:] if name == "select" else node.arguments
    is_closed = "whole" in node.gate.has or node.is_guard
    is_root = name == "power" and not (isinstance(node.exponent, int) and node.exponent >= 0)
    return is_closed and not is_root and all(edge.node in whole for edge in made_of)


def divided(node: Node) -> tuple[View, ...]:
    """Of a quotient that is rounded: its two parts, over the axes of `node`; nothing of anything else."""
    (edge,) = node.arguments
    return edge.arguments if edge.node.gate.name == "div" else ()


def whole_number(view: View) -> int | None:
    """The integer that a constant is."""
    number = view.number
    return int(number) if isinstance(number, Fraction) and number.denominator == 1 else None


def integer(expression: Expression) -> Integer | None:
    """A number that is an integer, as one."""
    if isinstance(expression, Number):
        return Integer(expression.value)
    if isinstance(expression, Literal) and float(expression.value).is_integer():
        return Integer(Affine((), int(expression.value)))
    return None


def truncated(expression: Expression) -> Integer:
    """What is an integer, though computed as a floating-point number, as one."""
    return integer(expression) or Integer(Call(OF_INTEGERS["int"], (expression,)))


def combined(name: str, arguments: Sequence[Integer]) -> Integer:
    """An operation on integers; affine ones stay so."""
    forms = [argument.value for argument in arguments if isinstance(argument.value, Affine)]
    if len(forms) == len(arguments):
        if name == "add":
            return Integer(added(forms))
        moving = [form for form in forms if form.terms]
        if name in ("neg", "mul") and len(moving) <= 1:
            factor = math.prod([form.offset for form in forms if not form.terms], start=-1 if name == "neg" else 1)
            form = moving[0] if moving else Affine((), 1)
            return Integer(Affine(tuple((at, factor * own) for at, own in form.terms if factor), factor * form.offset))
    if name == "ceil":  # of a quotient
        return combined("neg", [combined("floor", [combined("neg", arguments[:1]), arguments[1]])])
    function = OF_INTEGERS["quotient"] if name == "floor" else FUNCTIONS[name]
    return Integer(Call(function, tuple(arguments)))


def added(forms: Sequence[Affine]) -> Affine:
    """The sum of affine forms."""
    return Affine(merged([term for form in forms for term in form.terms]), sum(form.offset for form in forms))
