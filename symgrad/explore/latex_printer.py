"""The formula of a view: brackets wherever another reading is possible, sums with their limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from ..gates.reductions import KINDS
from ..gates.table import GATES
from ..graph.affine import Axis, Index, Size, axis, number_index, substituted
from ..graph.graph import Graph, Output
from ..graph.node import AnyIndex, Gather, Node, Reduction, View, plain_axis
from .latex_names import Involved, Texts
from .latex_pieces import (
    AND,
    ATOM,
    BIG,
    CONSTANTS,
    FACTOR,
    SUM,
    Piece,
    add,
    is_decimal,
    multiply,
    negative,
    number,
    operation,
    power,
    select,
)

MAX_STEPS = 2000  # gates, of which each takes a character at least
_MAX_DEPTH = 60  # nested gates
_EXPONENT = 48  # characters: a longer exponent of e would be too small to be read
COMMA = r",\, "  # between conditions
LE = r"\le"


class TooLong(Exception):
    """There are more gates than one reads."""


class Printer:
    """Views as pieces; nodes of `parts` go by their names.

    `scope` are the letters of the loops around a view, `depth` is the number of gates.
    """

    def __init__(self, graph: Graph, texts: Texts, parts: Mapping[Node, str]) -> None:
        self.graph, self.texts, self.parts = graph, texts, parts
        self.spoken_of: set[Node] = set()
        self._letters: dict[Axis, str] = {}
        self._steps = 0

    def piece(self, view: View, scope: frozenset[str], depth: int) -> Piece:
        """A view: its name, or what its node computes."""
        if view.node not in self.parts:
            return self.computed(view, scope, depth)
        self.spoken_of.add(view.node)
        return Piece(self.parts[view.node], ATOM)

    def computed(self, view: View, scope: frozenset[str], depth: int) -> Piece:
        """What the node of a view computes, of its arguments."""
        self._steps += 1
        if self._steps > MAX_STEPS or depth > _MAX_DEPTH:
            raise TooLong
        node, name = view.node, view.node.gate.name
        if name == "input":
            return self._read(self.texts.inputs[node.position], view, scope, depth)
        if name == "constant":
            return self._constant(node.constant)
        if name == "position":
            return self._index(view.index[0], scope, depth)
        if name == "size":
            return self._size(node.size)
        if isinstance(node.attribute, Reduction):
            return self._reduction(view, node.attribute, scope, depth)
        if node.loops != node.rank:
            return self._whole(view, scope, depth)
        scaled = _scaled(view, self.parts) if name == "div" else None
        if scaled:
            return multiply(number(scaled[0]), *(self.piece(edge, scope, depth + 1) for edge in scaled[1]))
        arguments = [self.piece(edge, scope, depth + 1) for edge in view.arguments]
        if name == "power":
            return power(arguments[0], number(Fraction(node.exponent)).text, is_whole=isinstance(node.exponent, int))
        if name == "exp" and len(arguments[0].text) <= _EXPONENT and self.texts.is_free("e"):
            return power(Piece("e", ATOM), arguments[0].text)
        if name == "select":
            is_open = node.arguments[2].node.gate.name == "undefined"
            return select(arguments[0], arguments[1], None if is_open else arguments[2])
        return operation(node.gate, arguments)

    def _constant(self, value: Fraction | str) -> Piece:
        if not isinstance(value, str):
            return number(value)
        if value == "E" and not self.texts.is_free("e"):
            return operation(GATES["exp"], [Piece("1", ATOM)])
        return Piece(CONSTANTS[value], SUM if value == "-oo" else ATOM)

    def entry(self, name: str, output: Output) -> tuple[str, str, list[str]]:
        """An entry of an output that is an array, its formula, and what the indices run over."""
        long = [place for place, extent in enumerate(output.shape) if extent != number_index(1)]
        names, scope = self._loops(["" for _ in long], frozenset())
        indices: list[AnyIndex] = [low for low, _ in output.bounds]
        ranges = []
        for place, own in zip(long, names, strict=True):
            low, high = (self._index(end, scope, 0).text for end in output.bounds[place])
            ranges.append(rf"{low} {LE} {self._letters[own]} {LE} {high}")
            indices[place] = axis(own)
        view = output.view.at(dict(enumerate(indices)))
        return self._indexed(name, indices, scope, 0).text, self.computed(view, scope, 0).text, ranges

    # --- arrays -------------------------------------------------------------------------------------------------------

    def _loops(self, wanted: Iterable[str], scope: frozenset[str]) -> tuple[list[Axis], frozenset[str]]:
        """New axes, each with a letter that nothing around it has."""
        names = []
        for wish in wanted:
            name = (1 << 40) + len(self._letters)  # above those of tables
            self._letters[name] = self.texts.letter(wish, scope)
            scope |= {self._letters[name]}
            names.append(name)
        return names, scope

    def _read(self, name: str, view: View, scope: frozenset[str], depth: int) -> Piece:
        """A name with its indices."""
        if self.graph.over_points or not view.index:
            return Piece(name, ATOM)
        return self._indexed(name, view.index, scope, depth)

    def _indexed(self, name: str, places: Sequence[AnyIndex], scope: frozenset[str], depth: int) -> Piece:
        indices = ", ".join(self._index(index, scope, depth).text for index in places)
        has_index = "_" in name and not name.endswith(r"\right)")  # TeX takes one
        return Piece(f"{{{name}}}_{{{indices}}}" if has_index else f"{name}_{{{indices}}}", ATOM)

    def _index(self, index: AnyIndex, scope: frozenset[str], depth: int) -> Piece:
        """An index expression, indices before extents before the number."""
        if isinstance(index, Gather):
            return self.piece(index.view, scope, depth + 1)
        terms = []
        for term, factor in index.terms:
            name = self._size(term) if isinstance(term, Size) else Piece(self._letters[term], ATOM)
            own = multiply(number(Fraction(abs(factor))), name)
            terms.append(own if factor > 0 else negative(own))
        if index.offset or not terms:
            terms.append(number(Fraction(index.offset)))
        return terms[0] if len(terms) == 1 else add(*terms)

    def _size(self, size: Size) -> Piece:
        if size.name in self.texts.sizes:
            return Piece(self.texts.sizes[size.name], ATOM)
        if size.name not in self.graph.derived:
            raise Involved
        kind, *forms = self.graph.derived[size.name]
        return operation(GATES[kind], [self._index(form, frozenset(), 0) for form in forms])

    def _reduction(self, view: View, own: Reduction, scope: frozenset[str], depth: int) -> Piece:
        node = view.node
        if not own.is_plain:
            raise Involved
        labels = [*self.graph.labels.get(node, ()), *[""] * node.loops]
        names, inside = self._loops(labels[node.rank : node.loops], scope)
        indices: dict[Axis, AnyIndex] = dict(enumerate([*view.index, *map(axis, names)]))
        body = self.piece(node.arguments[0].at(indices), inside, depth + 1)
        limits = [_placed(form, indices) for form in own.constraints]
        if not names:
            empty = KINDS[node.gate.name].empty
            return self._guard(body, limits, Fraction(empty) if isinstance(empty, int) else empty, scope, depth)
        return Piece(f"{self._signs(node.gate.name, names, limits, inside, depth)} {body.within(BIG)}", BIG)

    def _signs(
        self, name: str, names: Sequence[Axis], limits: Sequence[Index], scope: frozenset[str], depth: int
    ) -> str:
        """The signs of a reduction over the axes `names`, with their limits."""
        sign = GATES[name].latex
        nested = _nested(names, limits)
        if nested is None:
            return f"{sign}_{{{self._conditions(limits, COMMA, scope, depth)}}}"
        ranges = [
            (self._letters[own], self._end("max", low, scope, depth), self._end("min", high, scope, depth))
            for own, low, high in nested
        ]
        if name in ("sum", "product"):
            return " ".join(rf"{sign}_{{{letter}={low}}}^{{{high}}}" for letter, low, high in ranges)
        return f"{sign}_{{{COMMA.join(rf'{low} {LE} {letter} {LE} {high}' for letter, low, high in ranges)}}}"

    def _end(self, kind: str, forms: Sequence[Index], scope: frozenset[str], depth: int) -> str:
        """The limit of a loop: the larger of several lower ones, the smaller of several upper ones."""
        pieces = [self._index(form, scope, depth) for form in forms]
        return (pieces[0] if len(pieces) == 1 else operation(GATES[kind], pieces)).text

    def _guard(
        self, body: Piece, limits: Sequence[Index], empty: Fraction | str, scope: frozenset[str], depth: int
    ) -> Piece:
        """What is there for some indices only; Kronecker's delta where that is 1."""
        conditions = self._conditions(limits, r" \wedge ", scope, depth)
        if not conditions:
            return body
        if body.text == "1" and empty == 0 and "\\" not in conditions and self.texts.is_free(r"\delta"):  # i = j
            return Piece(rf"\delta_{{{conditions.replace(' = ', ', ')}}}", ATOM)
        return select(Piece(conditions, AND), body, self._constant(empty))

    def _conditions(self, limits: Sequence[Index], between: str, scope: frozenset[str], depth: int) -> str:
        """Constraints, forms >= 0, as one writes them; without those that always hold."""
        texts: dict[str, None] = {}
        for form in limits:
            is_equation = form.scaled(-1) in limits
            if (not form.terms and form.offset >= 0) or (is_equation and form.terms[0][1] < 0):
                continue
            left = Index(tuple((term, factor) for term, factor in form.terms if factor > 0))
            right, sign = left.minus(form), r"\ge"
            if form.axes and not left.axes:  # i <= n - 1 rather than n >= i + 1
                left = Index(tuple((term, -factor) for term, factor in form.terms if not isinstance(term, Size)))
                right, sign = form.plus(left), LE
            sides = (self._index(own, scope, depth).text for own in (left, right))
            texts[f" {'=' if is_equation else sign} ".join(sides)] = None
        return between.join(texts)

    def _whole(self, view: View, scope: frozenset[str], depth: int) -> Piece:
        """A determinant, or an entry of an inverse or of a solution."""
        node, name = view.node, view.node.gate.name
        axes = range(node.rank, node.loops)
        square = self._matrix(node, node.arguments[0], axes[:2], scope, depth)
        if name in ("determinant", "log_determinant"):
            found = Piece(rf"\det\left({square.text}\right)", FACTOR)
            return found if name == "determinant" else operation(GATES["log"], [found])
        text = power(square, "-1").text
        if name == "solve":
            text += f" {self._matrix(node, node.arguments[1], axes[2:], scope, depth).text}"
        elif name != "inverse":
            raise Involved
        return self._read(rf"\left({text}\right)", view, scope, depth)

    def _matrix(self, node: Node, edge: View, axes: Sequence[Axis], scope: frozenset[str], depth: int) -> Piece:
        """An argument of an operation on whole arrays: by its name, or by its entry for all indices."""
        if edge.node.gate.name == "input":
            name = Piece(self.texts.inputs[edge.node.position], ATOM)
            order = [plain_axis(index) for index in edge.index]
            if order == list(axes):
                return name
            if order == list(reversed(axes)):
                return power(name, r"\top")
        names, inside = self._loops(["" for _ in axes], scope)
        entry = self.piece(edge.at(dict(zip(axes, map(axis, names), strict=True))), inside, depth + 1)
        ranges = (
            rf"0 \le {self._letters[name]} \lt {self._index(node.extents[own], inside, depth).text}"
            for own, name in zip(axes, names, strict=True)
        )
        return Piece(rf"\left[{entry.text}\right]_{{{COMMA.join(ranges)}}}", FACTOR)


def _scaled(view: View, parts: Mapping[Node, str]) -> tuple[Fraction, list[View]] | None:
    """A quotient that was written with a decimal, 0.1234567*x: the decimal and the other factors; else None."""
    above, below = view.arguments
    is_product = above.node.gate.name == "mul" and above.node not in parts
    factors = list(above.arguments) if is_product else [above]
    numbers = [(factor, number) for factor in factors if isinstance(number := factor.number, Fraction)]
    if not isinstance(below.number, Fraction) or len(numbers) != 1:
        return None
    value = numbers[0][1] / below.number
    return (value, [factor for factor in factors if factor is not numbers[0][0]]) if is_decimal(value) else None


def _placed(form: Index, indices: Mapping[Axis, AnyIndex]) -> Index:
    """A constraint with what stands for its axes put in."""
    known = {name: index for name, index in indices.items() if isinstance(index, Index)}
    if not known.keys() >= set(form.axes):
        raise Involved
    return substituted(form, known)


def _nested(names: Sequence[Axis], limits: Sequence[Index]) -> list[tuple[Axis, list[Index], list[Index]]] | None:
    """The loops from the outermost inwards, each with its lower and upper limits in terms of those around it."""
    rest, forms = list(names), list(limits)
    found = []
    while rest:
        for name in rest:
            later = set(rest) - {name}
            own = [form for form in forms if name in form.axes and not later & set(form.axes)]
            if {form.coefficient(name) for form in own} == {1, -1}:
                break
        else:
            return None
        low = [form.minus(axis(name)).scaled(-1) for form in own if form.coefficient(name) == 1]
        high = [form.plus(axis(name)) for form in own if form.coefficient(name) == -1]
        found.append((name, low, high))
        forms = [form for form in forms if form not in own]
        rest.remove(name)
    return None if forms else found
