"""Expressions as Python text, with no bracket more than is needed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from .functions import ATOM, COMPARE, NOT, PRODUCT, UNARY, Function
from .program import Assignment, Expression, Literal, Read

Piece = tuple[str, int]  # a text and its precedence

WIDTH = 116


def spell(function: Function, arguments: Sequence[Piece]) -> Piece:
    """A function of texts as text: `a - b`, `-x`, `exp(z)`."""
    name, level = function.name, function.precedence
    if name in ("max", "min"):  # of two, so of more by nesting
        text = arguments[0][0]
        for argument in arguments[1:]:
            text = f"{name}({text}, {argument[0]})"
        return text, ATOM
    if not function.operator:
        return f"{name}({', '.join(argument[0] for argument in arguments)})", ATOM
    if function.arity == 1:
        if name == "neg" and arguments[0][1] == PRODUCT and "%" not in arguments[0][0] and arguments[0][0][0] != "-":
            return f"-{arguments[0][0]}", PRODUCT  # -a*b is (-a)*b: the same bits as -(a*b)
        # -(-x) keeps its brackets; so does not (a < b), for the reader.
        return function.operator + bracketed(arguments[0], level + 1 if level != NOT else COMPARE + 1), level
    # Floating-point + and * do not associate: a right operand keeps its brackets. Comparisons do not chain.
    text = bracketed(arguments[0], level + (level == COMPARE))
    for argument in arguments[1:]:
        if name == "add" and argument[0].startswith("-") and argument[1] >= PRODUCT:
            text += f" - {argument[0][1:]}"
        else:
            text += f" {function.operator} {bracketed(argument, level + 1)}"
    return text, level


def bracketed(piece: Piece, level: int) -> str:
    return piece[0] if piece[1] >= level else f"({piece[0]})"


def literal_text(value: float | bool, dtype: str) -> Piece:
    """A number as source; a float32 one is typed, so that nothing around it becomes float64."""
    if isinstance(value, bool):
        return repr(value), ATOM
    if math.isnan(value) or math.isinf(value):
        sign, text = ("-" if value < 0 else ""), "nan" if math.isnan(value) else "inf"
        return (f"{sign}{text}", UNARY if sign else ATOM) if dtype == "float64" else (f"float32({sign}{text})", ATOM)
    if dtype == "float32":
        return f"float32({value!r})", ATOM
    return repr(value), UNARY if value < 0 else ATOM


def piece(expression: Expression, dtype: str) -> Piece:
    """An expression as text. Expressions are of bounded depth: the schedule names what is deeper."""
    if isinstance(expression, Read):
        return expression.name, ATOM
    if isinstance(expression, Literal):
        return literal_text(expression.value, dtype)
    arguments = [piece(argument, dtype) for argument in expression.arguments]
    return spell(expression.function, arguments)


def expression_text(expression: Expression, dtype: str) -> str:
    return piece(expression, dtype)[0]


def statement_lines(statement: Assignment, dtype: str, indent: str = "    ") -> list[str]:
    """An assignment with its comment: beside it where there is room, else above it."""
    text = expression_text(statement.value, dtype)
    line = f"{indent}{statement.name} = {text}"
    if len(line) > WIDTH:
        above = [f"{indent}# {statement.comment}"] if statement.comment else []
        return [*above, *listed(f"{indent}{statement.name} = (", text.split(" "), ")", indent, " ")]
    if not statement.comment:
        return [line]
    if len(line) + len(statement.comment) + 4 <= WIDTH:
        return [f"{line}  # {statement.comment}"]
    return [f"{indent}# {statement.comment}", line]


def listed(head: str, items: Sequence[str], tail: str, indent: str = "", separator: str = ", ") -> list[str]:
    """`head` item, item, ... `tail` on one line, or on several where it is long. The head opens a bracket."""
    line = head + separator.join(items) + tail
    if len(line) <= WIDTH:
        return [line]
    body = textwrap.wrap(separator.join(items), WIDTH - len(indent) - 4, break_long_words=False, break_on_hyphens=False)
    return [head, *(f"{indent}    {part}" for part in body), indent + tail]
