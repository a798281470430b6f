"""Formulas: what a node computes, as short text in the user's terms, for comments, docstrings and messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgrad_codegen.functions import ATOM, FUNCTIONS, TERNARY, UNARY
from symgrad_codegen.text.expressions import Piece, bracketed, spell

from .affine import Index, Size
from .graph import Graph, reachable
from .node import AnyIndex, Gather, Node, Reduction, View

_ELLIPSIS: Piece = ("...", ATOM)
_TERMS = 12  # of a long sum, how many are shown


def formulas(
    roots: Sequence[Node], inputs: Sequence[str], names: Mapping[Node, str], limit: int, own: Iterable[Node] = ()
) -> dict[Node, str]:
    """The text of every node under `roots`: at most about `limit` characters, named parts by their names beyond.

    Nodes of `own` that have names, which the user gave, go by these inside all other formulas.
    """
    own = names.keys() & set(own)
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


def operation_text(node: Node, arguments: Sequence[Piece]) -> str:
    """The operation of a node with these texts for its arguments."""
    return _piece(node, list(arguments), ())[0]


def _piece(node: Node, arguments: list[Piece], inputs: Sequence[str]) -> Piece:
    name = node.gate.name
    if name == "input":
        return inputs[node.position], ATOM
    if name == "constant":
        number = node.constant
        if isinstance(number, str):
            return number, UNARY if number.startswith("-") else ATOM
        if number.denominator == 1 and abs(number.numerator) < 10**15:
            return str(number.numerator), UNARY if number < 0 else ATOM
        try:
            return f"{float(number):.6g}", UNARY if number < 0 else ATOM
        except OverflowError:
            return _ELLIPSIS
    if name == "power":
        exponent = str(node.exponent) if isinstance(node.exponent, int) else f"({node.exponent})"
        return f"{bracketed(arguments[0], ATOM)}**{exponent}", UNARY
    if name == "select":
        condition, taken, otherwise = (bracketed(argument, TERNARY + 1) for argument in arguments)
        return f"{taken} if {condition} else {otherwise}", TERNARY
    if name in FUNCTIONS:
        return spell(FUNCTIONS[name], arguments)
    if _is_entry(node):
        return arguments[0]
    return f"{name}({', '.join(argument[0] for argument in arguments)})", ATOM


def _is_entry(node: Node) -> bool:
    """Whether a reduction has one term, which is always there."""
    return node.attribute == Reduction((), ()) and node.loops == 0


# --- arrays -----------------------------------------------------------------------------------------------------------

_DEPTH = 4  # of an indexed formula: what is deeper goes by its name
_LETTERS = "ijklmnpqrstuvw"


def indexed_formula(view: View, loops: Node, graph: Graph, names: Mapping[Node, str], limit: int) -> str:
    """The text of a view over the loop axes of the node `loops`, its arrays with their indices.

    At most about `limit` characters; nodes that are nested too deeply go by their `names`.
    """
    letters = _own_letters(loops, graph)
    for depth in range(_DEPTH, 0, -1):
        text = _Indexed(graph, names).piece(view, letters, depth)[0]
        if len(text) <= limit:
            return text
    return text[: limit - 3] + "..."


def _own_letters(node: Node, graph: Graph) -> list[str]:
    """The names of a node's loop axes: the user's where there are any."""
    own = graph.labels.get(node, ())
    letters = [letter for letter in _LETTERS if letter not in own and letter not in graph.inputs]
    return [own[place] if place < len(own) and own[place] else letters[place] for place in range(node.loops)]


class _Indexed:
    """One indexed formula."""

    def __init__(self, graph: Graph, names: Mapping[Node, str]) -> None:
        self.graph, self.names = graph, names

    def piece(self, view: View, letters: Sequence[str], depth: int) -> Piece:
        """A view, its axes called by `letters`."""
        indices = [self.index(index, letters, depth) for index in view.index]
        node, name = view.node, view.node.gate.name
        at = f"[{', '.join(indices)}]" if indices else ""
        if name == "input":
            return self.graph.inputs[node.position] + at, ATOM
        if name == "size":
            return node.size.name, ATOM
        if name == "position":
            return (indices[0], ATOM) if indices[0].isidentifier() else (f"({indices[0]})", ATOM)
        if depth == 0 and node.arguments and not node.fixed:
            return self.names.get(node, "...") + at, ATOM
        return self._operation(node, indices, depth - 1)

    def _operation(self, node: Node, own: list[str], depth: int) -> Piece:
        labels = self.graph.labels.get(node, ())
        free = (letter for letter in _LETTERS if letter not in {*own, *labels, *self.graph.inputs})
        letters = list(own)
        for place in range(len(own), node.loops):
            taken = place < len(labels) and labels[place] and labels[place] not in own
            letters.append(labels[place] if taken else next(free))
        if node.loops != node.rank and not isinstance(node.attribute, Reduction):
            text = f"{node.gate.label or node.gate.name}({', '.join(map(self._whole, node.arguments))})"
            return text + (f"[{', '.join(own)}]" if own else ""), ATOM
        arguments = [self.piece(edge, letters, depth) for edge in node.arguments]
        if not isinstance(node.attribute, Reduction) or _is_entry(node):
            return _piece(node, arguments, self.graph.inputs)
        if node.attribute.is_plain and node.loops > node.rank:
            return f"{node.gate.name}({arguments[0][0]} for {', '.join(letters[node.rank :])})", ATOM
        limits = [f"{self.index(form, letters, depth)} >= 0" for form in node.attribute.constraints]
        if node.attribute.is_plain:
            return f"({arguments[0][0]} where {' and '.join(limits)})", ATOM
        return f"{node.gate.name} of {arguments[0][0]}", UNARY

    def _whole(self, edge: View) -> str:
        """A matrix that is read as a whole, along loop axes of its reader."""
        is_input = edge.node.gate.name == "input"
        name = self.graph.inputs[edge.node.position] if is_input else self.names.get(edge.node, "...")
        axes = [at for index in edge.index for at in index.axes]
        return name if axes == sorted(axes) else f"{name}.T"

    def index(self, index: AnyIndex, letters: Sequence[str], depth: int) -> str:
        """An index expression, as one writes it."""
        if isinstance(index, Gather):
            return self.piece(index.view, letters, max(depth, 1))[0]
        return _affine_text(index, letters)


def _affine_text(index: Index, letters: Sequence[str]) -> str:
    text = ""
    for term, factor in index.terms:
        name = term.name if isinstance(term, Size) else letters[term] if term < len(letters) else "..."
        sign = ("- " if factor < 0 else "+ ") if text else ("-" if factor < 0 else "")
        text += (" " if text else "") + sign + (name if abs(factor) == 1 else f"{abs(factor)}*{name}")
    if index.offset or not text:
        sign = ("- " if index.offset < 0 else "+ ") if text else ("-" if index.offset < 0 else "")
        text += (" " if text else "") + sign + str(abs(index.offset))
    return text
