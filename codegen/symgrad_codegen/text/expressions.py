"""Expressions as text, with no bracket more than is needed: Python's, and what other languages share with it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ..functions import ATOM, COMPARE, NOT, PRODUCT, SUM, UNARY, Function
from ..program import Affine, Assignment, Call, Expression, Holds, Integer, Literal, Number, Read

Piece = tuple[str, int]  # a text and its precedence

WIDTH = 116

# Operators whose result has not the sign of its left operand: they round down.
_ROUNDING = ("%", "//")


def spell(function: Function, arguments: Sequence[Piece]) -> Piece:
    """A function of texts as text: `a - b`, `-x`, `exp(z)`."""
    name, level = function.name, function.precedence
    if function.arity == 0 and not function.operator:  # of two, so of more by nesting
        text = arguments[0][0]
        for argument in arguments[1:]:
            text = f"{name}({text}, {argument[0]})"
        return text, ATOM
    if not function.operator:
        return f"{name}({', '.join(argument[0] for argument in arguments)})", ATOM
    if function.arity == 1:
        is_product = arguments[0][1] == PRODUCT and not any(sign in arguments[0][0] for sign in _ROUNDING)
        if name == "neg" and is_product and arguments[0][0][0] != "-":
            return f"-{arguments[0][0]}", PRODUCT  # -a*b is (-a)*b: the same bits as -(a*b)
        # -(-x) keeps its brackets; so does not (a < b), for the reader.
        return function.operator + bracketed(arguments[0], level + 1 if level != NOT else COMPARE + 1), level
    if function.arity == 3:
        condition, taken, otherwise = arguments
        first, second = bracketed(taken, level + 1), bracketed(condition, level + 1)
        return f"{first} if {second} else {bracketed(otherwise, level)}", level
    # Floating-point + and * do not associate: a right operand keeps its brackets. Comparisons do not chain.
    text = bracketed(arguments[0], level + (level == COMPARE))
    if function.operator in _ROUNDING and text.startswith("-"):
        text = f"({text})"  # a - b % c is not a + (-b % c)
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


def affine_text(form: Affine, names: Mapping[str, str] | None = None) -> str:
    """An affine integer as text; `names` say what stands for a loop index."""
    text = ""
    for name, factor in sorted(form.terms, key=lambda term: term[1] < 0):
        own = (names or {}).get(name, name)
        is_word = own.isidentifier() or own.isdigit()
        if abs(factor) != 1:
            own = f"{abs(factor)}*{own if is_word else f'({own})'}"
        elif factor < 0 and not is_word:
            own = f"({own})"
        text += (f" {'-' if factor < 0 else '+'} " if text else "-" if factor < 0 else "") + own
    if form.offset or not text:
        text = f"{text} {'-' if form.offset < 0 else '+'} {abs(form.offset)}" if text else str(form.offset)
    return text


def condition_text(form: Affine, names: Mapping[str, str] | None = None) -> str:
    """The condition that an affine integer is >= 0 as text: j < i, i >= 1. What is taken away stands on one side."""
    less = Affine(tuple((name, -factor) for name, factor in form.terms if factor < 0))
    more = Affine(tuple((name, factor) for name, factor in form.terms if factor > 0))
    if not less.terms:
        return f"{affine_text(more, names)} >= {-form.offset}"
    left, right = affine_text(less, names), affine_text(more._replace(offset=form.offset), names)
    if form.offset < 0 and more.terms:
        return f"{left} < {affine_text(more._replace(offset=form.offset + 1), names)}"
    return f"{left} <= {right}"


def piece(expression: Expression, dtype: str, names: Mapping[str, str] | None = None) -> Piece:
    """An expression as text. Expressions are of bounded depth: the schedule names what is deeper."""
    if isinstance(expression, Read):
        return expression.name, ATOM
    if isinstance(expression, Call):
        arguments = [piece(argument, dtype, names) for argument in expression.arguments]
        return spell(expression.function, arguments)
    if isinstance(expression, Literal):
        return literal_text(expression.value, dtype)
    if isinstance(expression, (Integer, Number)):
        value = expression.value
        if isinstance(value, Affine):
            text = affine_text(value, names)
            level = ATOM if text.isidentifier() or not value.terms else SUM
        else:
            text, level = piece(value, dtype, names)
        return (text, level) if isinstance(expression, Integer) else (f"real({text})", ATOM)
    if isinstance(expression, Holds):
        return condition_text(expression.value, names), COMPARE
    places = (
        affine_text(place, names) if isinstance(place, Affine) else piece(place, dtype, names)[0]
        for place in expression.index
    )
    return f"{expression.array}[{', '.join(places)}]", ATOM


def expression_text(expression: Expression, dtype: str, names: Mapping[str, str] | None = None) -> str:
    return piece(expression, dtype, names)[0]


def step_text(step: Any, indent: str = "") -> list[str]:
    """A step of a program with arrays, for reading."""
    kind = type(step).__name__
    if kind == "Pass":
        lines = [f"{indent}pass over {step.axis} from {affine_text(step.low)} to {affine_text(step.high)}:"]
        return lines + [line for inner in step.steps for line in step_text(inner, indent + "    ")]
    if kind == "Nest":
        lines = []
        for loop in step.loops:
            low, high = ", ".join(map(affine_text, loop.low)), ", ".join(map(affine_text, loop.high))
            lines.append(f"{indent}for {loop.axis} from {low} to {high}:")
            indent += "    "
        return lines + [line for inner in step.body for line in step_text(inner, indent)]
    if kind == "Assignment":
        return [f"{indent}{step.name} = {expression_text(step.value, 'float64')}"]
    if kind in ("Store", "Accumulate"):
        sign = "=" if kind == "Store" else {"sum": "+=", "product": "*="}.get(step.kind, f"= {step.kind} of itself and")
        return [f"{indent}{expression_text(step.target, 'float64')} {sign} {expression_text(step.value, 'float64')}"]
    if kind == "Fill":
        return [f"{indent}{step.array}[...] = {step.value}"]
    if kind == "Product":
        texts = [f"{own.array}[{', '.join(own.axes)}]" for own in (step.target, step.left, step.right)]
        return [f"{indent}{texts[0]} {'+=' if step.adds else '='} sum over {step.inner} of {texts[1]} * {texts[2]}"]
    return [f"{indent}{step.target} = {step.function}({', '.join(step.arguments)})"]


def statement_lines(statement: Assignment, dtype: str, indent: str = "    ") -> list[str]:
    """An assignment with its comment."""
    head = f"{indent}{statement.name} = "
    return commented(head, expression_text(statement.value, dtype), "", statement.comment, "  # ", indent)


def commented(head: str, text: str, tail: str, comment: str, mark: str, indent: str) -> list[str]:
    """`head` text `tail` with a comment beside it where there is room, else above. A long text stands in brackets."""
    line = head + text + tail
    above = [f"{indent}{mark.lstrip()}{comment}"] if comment else []
    if len(line) > WIDTH:
        return [*above, *listed(f"{head}(", text.split(" "), f"){tail}", indent, " ")]
    if comment and len(line) + len(mark) + len(comment) <= WIDTH:
        return [f"{line}{mark}{comment}"]
    return [*above, line]


def listed(head: str, items: Sequence[str], tail: str, indent: str = "", separator: str = ", ") -> list[str]:
    """`head` item, item, ... `tail` on one line, or on several where it is long. The head opens a bracket."""
    line = head + separator.join(items) + tail
    if len(line) <= WIDTH:
        return [line]
    body = textwrap.wrap(separator.join(items), WIDTH - len(indent) - 4, break_long_words=False, break_on_hyphens=False)
    return [head, *(f"{indent}    {part}" for part in body), indent + tail]
