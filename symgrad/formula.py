"""Formulas: what a node computes, as short text in the user's terms, for comments, docstrings and messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgrad_codegen.functions import ATOM, FUNCTIONS, TERNARY, UNARY
from symgrad_codegen.text import Piece, bracketed, spell

from .graph import Node, reachable

_ELLIPSIS: Piece = ("...", ATOM)
_TERMS = 12  # of a long sum, how many are shown


def formulas(
    roots: Sequence[Node], inputs: Sequence[str], names: Mapping[Node, str], limit: int, own: Iterable[Node] = ()
) -> dict[Node, str]:
    """The text of every node under `roots`: at most about `limit` characters, named parts by their names beyond.

    Nodes of `own` have names that the user gave: inside other formulas they always go by these.
    """
    own = set(own)
    pieces: dict[Node, Piece] = {}
    for node in reachable(roots):
        arguments = []
        for edge in node.arguments[:_TERMS]:
            piece = pieces[edge.node]
            if edge.node in own:
                piece = names[edge.node], ATOM
            elif len(piece[0]) > limit:
                piece = (names[edge.node], ATOM) if edge.node in names else _ELLIPSIS
            arguments.append(piece)
        if len(node.arguments) > _TERMS:
            arguments.append(_ELLIPSIS)
        piece = _piece(node, arguments, inputs)
        pieces[node] = piece
    return {
        node: piece[0] if len(piece[0]) <= limit else piece[0][: limit - 3] + "..." for node, piece in pieces.items()
    }


def _piece(node: Node, arguments: list[Piece], inputs: Sequence[str]) -> Piece:
    name = node.gate.name
    if name == "input":
        return inputs[node.attribute], ATOM
    if name == "constant":
        number = node.attribute
        if isinstance(number, str):
            return number, UNARY if number.startswith("-") else ATOM
        if number.denominator == 1 and abs(number.numerator) < 10**15:
            return str(number.numerator), UNARY if number < 0 else ATOM
        try:
            return f"{float(number):.6g}", UNARY if number < 0 else ATOM
        except OverflowError:
            return _ELLIPSIS
    if name == "power":
        base = arguments[0]
        return f"{base[0] if base[1] == ATOM else f'({base[0]})'}**{node.attribute}", UNARY
    if name == "select":
        condition, taken, otherwise = (bracketed(argument, TERNARY + 1) for argument in arguments)
        return f"{taken} if {condition} else {otherwise}", TERNARY
    if name in FUNCTIONS:
        return spell(FUNCTIONS[name], arguments)
    return f"{name}({', '.join(argument[0] for argument in arguments)})", ATOM
