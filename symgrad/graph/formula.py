"""Formulas: what a node computes, as short text in the user's terms, for comments, docstrings and messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from symgrad_codegen.functions import ATOM, FUNCTIONS, PRODUCT, TERNARY, UNARY
from symgrad_codegen.program import Affine
from symgrad_codegen.text.expressions import Piece, affine_text, bracketed, condition_text, spell

from .affine import Index, Size
from .graph import Graph
from .node import AnyIndex, Gather, Node, Reduction, View

_ELLIPSIS: Piece = ("...", ATOM)
_MAX_TERMS = 12  # of a long sum, how many are shown


def formulas(
    nodes: Iterable[Node], inputs: Sequence[str], names: Mapping[Node, str], limit: int, own: Iterable[Node] = ()
) -> dict[Node, str]:
    """The texts of nodes, arguments first: at most about `limit` characters each, named parts by their names beyond.

    Nodes of `own` that have names, which the user gave, go by these inside all other formulas.
    """
    own = names.keys() & set(own)
    pieces: dict[Node, Piece] = {}
    for node in nodes:
        arguments = []
        for edge in node.arguments[:_MAX_TERMS]:
            source = edge.node
            piece = pieces[source]
            if source in own:
                piece = names[source], ATOM
            elif len(piece[0]) > limit:
                piece = (names[source], ATOM) if source in names else _ELLIPSIS
            arguments.append(piece)
        if len(node.arguments) > _MAX_TERMS:
            arguments.append(_ELLIPSIS)
        pieces[node] = _piece(node, arguments, inputs)
    return {
        node: piece[0] if len(piece[0]) <= limit else piece[0][: limit - 3] + "..." for node, piece in pieces.items()
    }


def shown(roots: Iterable[Node]) -> list[Node]:
    """The nodes of which the texts of `roots` are made, arguments first."""
    found = set(roots)
    stack = list(found)
    while stack:
        for edge in stack.pop().arguments[:_MAX_TERMS]:
            if edge.node not in found:
                found.add(edge.node)
                stack.append(edge.node)
    return sorted(found, key=attrgetter("number"))


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

_MAX_DEPTH = 4  # of an indexed formula: what is deeper goes by its name
_MAX_PARTS = 400  # operations in an indexed formula, whatever its depth: a shared part stands there again and again
_LETTERS = "ijklmnpqrstuvw"
# "sum over i of a * b" ends where its surroundings do: in brackets beside all operators but a sum, or after a factor.
_OPEN = 0


def indexed_formula(
    view: View,
    loops: Node,
    graph: Graph,
    names: Mapping[Node, str],
    limit: int,
    sizes: Mapping[str, str] | None = None,
    depth: int = _MAX_DEPTH,
) -> str:
    """The text of a view over the loop axes of the node `loops`, its arrays with their indices.

    At most about `limit` characters; nodes that are nested too deeply, beyond `depth` at the most, go by their `names`.
    `sizes` are the names of extents where they are not the user's.
    """
    letters = _own_letters(loops, graph)
    for deepest in range(depth, 0, -1):
        text = _Indexed(graph, names, {}, sizes or {}).piece(view, letters, deepest)[0]
        if len(text) <= limit:
            return text
    return text[: limit - 3] + "..."


def stored_formula(
    node: Node,
    letters: Sequence[str],
    graph: Graph,
    stored: Mapping[Node, tuple[str, tuple[int, ...]]],
    sizes: Mapping[str, str],
    limit: int,
) -> str:
    """What a node computes over loop axes called `letters`; empty where that is long.

    Nodes that are `stored` go by their names inside of it, each with its axes in the order in which it is stored;
    `sizes` are the names of extents.
    """
    text = _Indexed(graph, {}, stored, sizes).operation(node, list(letters[: node.rank]), _MAX_DEPTH, letters)[0]
    return text if len(text) <= limit and "..." not in text else ""


def entry_text(
    name: str, indices: Sequence[View], letters: Sequence[str], graph: Graph, sizes: Mapping[str, str]
) -> str:
    """An entry of an array, its indices integer views over axes called by `letters`; the name alone of a number."""
    spelled = _Indexed(graph, {}, {}, sizes)
    return name + _entry([spelled.piece(index, letters, _MAX_DEPTH)[0] for index in indices])


def _own_letters(node: Node, graph: Graph) -> list[str]:
    """The names of a node's loop axes: the user's where there are any."""
    own = graph.labels.get(node, ())
    letters = [letter for letter in _LETTERS if letter not in own and letter not in graph.inputs]
    return [own[axis] if axis < len(own) and own[axis] else letters[axis] for axis in range(node.loops)]


class _Indexed:
    """One indexed formula."""

    def __init__(
        self,
        graph: Graph,
        names: Mapping[Node, str],
        stored: Mapping[Node, tuple[str, tuple[int, ...]]],
        sizes: Mapping[str, str],
    ) -> None:
        self.graph, self.names, self.stored, self.sizes = graph, names, stored, sizes
        self.parts = 0

    def piece(self, view: View, letters: Sequence[str], depth: int) -> Piece:
        """A view, its axes called by `letters`."""
        indices = [self.index(index, letters, depth) for index in view.index]
        node, name = view.node, view.node.gate.name
        if node in self.stored:
            array, order = self.stored[node]
            return array + _entry([indices[axis] for axis in order]), ATOM
        if name == "input":
            return self.graph.inputs[node.position] + _entry(indices), ATOM
        if name == "size":
            return self.sizes.get(node.size.name, node.size.name), ATOM
        if name == "position":
            return (indices[0], ATOM) if indices[0].isidentifier() else (f"({indices[0]})", ATOM)
        self.parts += 1
        if (depth == 0 or self.parts > _MAX_PARTS) and node.arguments and not node.fixed:
            return self.names.get(node, "...") + _entry(indices), ATOM
        return self.operation(node, indices, depth - 1)

    def operation(self, node: Node, own: list[str], depth: int, loops: Sequence[str] = ()) -> Piece:
        """The operation of a node at the indices `own`; `loops` are names of its loop axes, where there are some."""
        labels = self.graph.labels.get(node, ())
        taken = {*re.findall(r"\w+", " ".join(own)), *self.graph.inputs, *self.sizes.values()}
        free = (letter for letter in _LETTERS if letter not in taken and letter not in labels)
        letters = [*own, *loops[node.rank :]]
        for axis in range(len(letters), node.loops):
            is_known = axis < len(labels) and labels[axis] and labels[axis] not in taken
            letters.append(labels[axis] if is_known else next(free))
        if node.loops != node.rank and not isinstance(node.attribute, Reduction):
            text = f"{node.gate.label or node.gate.name}({', '.join(map(self._whole, node.arguments))})"
            return text + _entry(own), ATOM
        arguments = [self.piece(edge, letters, depth) for edge in node.arguments]
        if not isinstance(node.attribute, Reduction) or _is_entry(node):
            return self._joined(node, arguments)
        limits = [self._limit(form, letters) for form in node.attribute.constraints if len(form.axes) > 1]
        if node.attribute.is_plain and node.loops > node.rank:
            text, level = arguments[0]
            body = text if level == _OPEN or level >= PRODUCT else f"({text})"
            where = f" with {' and '.join(limits)}" if limits else ""
            return f"{node.gate.name} over {', '.join(letters[node.rank :])}{where} of {body}", _OPEN
        if node.attribute.is_plain:
            limits = [self._limit(form, letters) for form in node.attribute.constraints]
            return f"({arguments[0][0]} where {' and '.join(limits)})", ATOM
        return f"{node.gate.name} of {arguments[0][0]}", _OPEN

    def _joined(self, node: Node, arguments: list[Piece]) -> Piece:
        """An operation of pieces: what is open stands last, where it needs no bracket."""
        name = node.gate.name
        last = [own for own in arguments if own[1] == _OPEN]
        if name == "neg" and last:
            return f"-{last[0][0]}", _OPEN
        if name not in ("add", "mul") or not last:
            return _piece(node, arguments, self.graph.inputs)
        ordered = [own for own in arguments if own[1] != _OPEN] + last
        if name == "add":
            return _piece(node, [(text, level or PRODUCT) for text, level in ordered], self.graph.inputs)
        return _piece(node, [*ordered[:-1], (ordered[-1][0], ATOM)], self.graph.inputs)[0], _OPEN

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
        return affine_text(self._in_names(index, letters))

    def _limit(self, form: Index, letters: Sequence[str]) -> str:
        return condition_text(self._in_names(form, letters))

    def _in_names(self, index: Index, letters: Sequence[str]) -> Affine:
        """An index expression in the names of its axes and extents."""
        terms = []
        for term, factor in index.terms:
            if isinstance(term, Size):
                terms.append((self.sizes.get(term.name, term.name), factor))
            else:
                terms.append((letters[term] if term < len(letters) else "...", factor))
        return Affine(tuple(terms), index.offset)


def _entry(indices: Sequence[str]) -> str:
    return f"[{', '.join(indices)}]" if indices else ""
