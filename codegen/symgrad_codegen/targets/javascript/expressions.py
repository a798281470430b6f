"""Expressions as JavaScript's text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...functions import ATOM, BOTH, COMPARE, EITHER, SUM, TERNARY, UNARY, Function
from ...program import Affine, Call, Element, Expression, Holds, Integer, Literal, Number, Read
from ...text.expressions import Piece, affine_text, bracketed, listed, spell

_LEVELS = {"||": EITHER, "&&": BOTH, "!": UNARY}
# What is a float32 where the arguments are: the results of these need no rounding.
_EXACT = frozenset("neg lt le eq ne and or not select abs max min sign floor ceil".split())


def _no_entries(element: Element) -> Piece:
    raise TypeError(f"a program over points reads {element.array}")


def piece(expression: Expression, dtype: str, entry: Callable[[Element], Piece] = _no_entries) -> Piece:
    """An expression as text; `entry` says how an entry of an array is read.

    Expressions are of bounded depth: the schedule names what is deeper.
    """
    if isinstance(expression, Read):
        return expression.name, ATOM
    if isinstance(expression, Literal):
        return literal_piece(expression.value)
    if isinstance(expression, Element):
        return entry(expression)
    if isinstance(expression, Holds):
        return f"{affine_text(expression.value)} >= 0", COMPARE
    if isinstance(expression, (Integer, Number)):
        number = _integer(expression.value, dtype, entry)
        return _rounded(number) if isinstance(expression, Number) and dtype == "float32" else number
    function = expression.function
    arguments = [piece(argument, dtype, entry) for argument in expression.arguments]
    if function.name == "select":
        condition, taken, otherwise = (bracketed(argument, TERNARY + 1) for argument in arguments)
        return f"{condition} ? {taken} : {otherwise}", TERNARY
    spelling = _spelling(function)
    is_whole = all(isinstance(argument, Integer) for argument in expression.arguments) and expression.arguments
    if dtype == "float64" or function.name in _EXACT or is_whole:
        return spell(spelling, arguments)
    while function.arity == 0 and len(arguments) > 2:  # every step is rounded
        arguments = [_rounded(spell(spelling, arguments[:2])), *arguments[2:]]
    return _rounded(spell(spelling, arguments))


def _integer(value: Affine | Expression, dtype: str, entry: Callable[[Element], Piece]) -> Piece:
    """An integer. There is no -0 among them: it would be another number where it is divided by."""
    if not isinstance(value, Affine):
        text, level = piece(value, dtype, entry)
        return (f"{bracketed((text, level), SUM)} + 0", SUM) if isinstance(value, Call) else (text, level)
    text = affine_text(value)
    if text.startswith("-") and not value.offset and all(factor < 0 for _, factor in value.terms):
        return f"0 - {text[1:]}", SUM
    return text, ATOM if text.isidentifier() or not value.terms else SUM


def _rounded(piece: Piece) -> Piece:
    return f"fround({piece[0]})", ATOM


def literal_text(value: float | bool) -> str:
    return literal_piece(value)[0]


def literal_piece(value: float | bool) -> Piece:
    if isinstance(value, bool):
        return str(value).lower(), ATOM
    if math.isnan(value):
        return "NaN", ATOM
    text = repr(value).replace("inf", "Infinity").removesuffix(".0")
    return text, UNARY if text.startswith("-") else ATOM


def _spelling(function: Function) -> Function:
    """The function with JavaScript's operator, or name, in place of Python's."""
    text = function.javascript or function.operator
    if text.replace(".", "").isidentifier():
        return function._replace(name=text, operator="", precedence=ATOM)
    return function._replace(operator=text, precedence=_LEVELS.get(text, function.precedence))


def result_lines(values: Sequence[str], gradients: Sequence[str]) -> list[str]:
    """The value, or a list of several, and the list of the gradients."""
    if len(values) == 1:
        return listed(f"    return [{values[0]}, [", gradients, "]];", "    ")
    return [
        "    return [",
        *listed("        [", values, "],", "        "),
        *listed("        [", gradients, "],", "        "),
        "    ];",
    ]
