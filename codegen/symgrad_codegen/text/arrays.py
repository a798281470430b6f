"""Programs with arrays as text: names that stand in them, and the small spellings that all functions share."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..program import (
    Accumulate,
    Affine,
    Assignment,
    Element,
    Expression,
    LoopRange,
    Nest,
    Operand,
    Pass,
    Product,
    Program,
    Read,
    Statement,
    Step,
    forms,
    mapped,
    walk,
)
from ..reductions import REDUCTIONS
from .expressions import affine_text, commented, literal_text


def length_text(extent: Affine, derived: Container[str], module: str = "") -> str:
    """A length of n - 1 may be 0, one of n - m less: at least 1, so that a masked read has somewhere to go.

    `derived` are the names of the extents that may be less than 0 themselves; `module` is where max is.
    """
    return affine_text(extent) if is_length(extent, derived) else padded_text(extent, module)


def is_length(extent: Affine, derived: Container[str]) -> bool:
    """Whether a form in extents is a length as it stands: it is never less than 0, and 0 only where an extent is."""
    is_sum = extent.offset >= 0 and all(factor > 0 and name not in derived for name, factor in extent.terms)
    return is_sum and bool(extent.terms or extent.offset)


def padded_text(length: Affine, module: str = "") -> str:
    """A length that is at least 1, whatever the extents; `module` is where max is."""
    return f"{module}max(1, {affine_text(length)})" if length.terms else str(max(1, length.offset))


def may_be_empty(shape: Sequence[Affine], derived: Container[str], padded: bool) -> bool:
    """Whether one of these lengths may be 0. Arrays of the program's own are `padded`: see `length_text`."""
    return any(own.offset < 1 and (is_length(own, derived) or not padded) for own in shape)


def factor_text(text: str) -> str:
    return (
        text if text.replace("_", "a").replace(".", "a").replace("[", "a").replace("]", "a").isalnum() else f"({text})"
    )


def one_of_text(name: str, forms: tuple[Affine, ...]) -> str:
    texts = [affine_text(form) for form in forms]
    return texts[0] if len(texts) == 1 else f"{name}({', '.join(texts)})"


def loop_line(loop: LoopRange) -> str:
    """The head of a loop, within compiled code."""
    low = one_of_text("max", loop.low)
    high = one_of_text("min", tuple(form._replace(offset=form.offset + 1) for form in loop.high))
    return f"for {loop.axis} in range({high}):" if low == "0" else f"for {loop.axis} in range({low}, {high}):"


def extent_lines(program: Program, module: str = "") -> list[str]:
    """The symbolic extents as arrays tell them, or larger or smaller ones of two; `module` is where max and min are."""
    lines = []
    for extent in program.extents:
        if extent.told_by is not None:
            array, place, factor, offset = extent.told_by
            text = f"{array}.shape[{place}]"
            if offset:
                text = f"({text} - {offset})" if offset > 0 else f"({text} + {-offset})"
            lines.append(f"    {extent.name} = {text}{f' // {factor}' if factor != 1 else ''}")
        elif extent.derived is not None:
            kind, one, two = extent.derived
            lines.append(f"    {extent.name} = {module}{kind}({affine_text(one)}, {affine_text(two)})")
    return lines


class Line(NamedTuple):
    """A statement, and what it says beside it."""

    text: str
    comment: str = ""

    def written(self, indent: str) -> list[str]:
        """It with its comment; an assignment in brackets over several lines where it is long."""
        head, sign, value = self.text.partition(" = ")
        if not sign:
            return [indent + self.text]
        return commented(f"{indent}{head} = ", value, "", self.comment, "  # ", indent)


def nest_lines(
    heads: Sequence[str],
    body: Sequence[Line],
    before: Mapping[int, Sequence[str]],
    after: Mapping[int, Sequence[str]],
    indent: str,
) -> list[str]:
    """A body within loops; `before` and `after` are the lines around the loop of a number, or around the body."""
    lines, deep = list[str](), indent + "    " * len(heads)
    for level, head in enumerate(heads):
        lines += [f"{indent}{'    ' * level}{line}" for line in (*before.get(level, ()), head)]
    around = [[Line(text) for text in part.get(len(heads), ())] for part in (before, after)]
    for line in (*around[0], *body, *around[1]):
        lines += line.written(deep)
    for level in reversed(range(len(heads))):
        lines += [f"{indent}{'    ' * level}{line}" for line in after.get(level, ())]
    return lines


def entry_word(element: Element, but: int | None = None) -> str:
    """A number or a row that an entry is read from or goes to, by name: w_j for w[j], `but` a place for A[j, ...] A_j.

    Where the places are no plain loops and numbers, it is just one of the array.
    """
    places = [index for place, index in enumerate(element.index) if place != but]
    words = [_place_word(index) for index in places if isinstance(index, Affine)]
    if len(words) < len(places) or not all(words):
        return f"{element.array}_{'at' if but is None else 'row'}"
    return f"{element.array}_{('' if max(map(len, words)) == 1 else '_').join(words)}"


def running_word(statement: Accumulate) -> str:
    """What is joined over a loop before it goes to an entry: d_w_j, or value_sum for what is all of an array."""
    is_all = all(index == Affine(()) for index in statement.target.index)
    return f"{statement.target.array}_{statement.kind}" if is_all else entry_word(statement.target)


def _place_word(index: Affine) -> str:
    """The loop or number that a place is; empty where it is more than that."""
    if not index.terms:
        return str(index.offset) if index.offset >= 0 else ""
    return index.terms[0][0] if len(index.terms) == 1 and index.terms[0][1] == 1 and not index.offset else ""


def factors(step: Product, text: Callable[[Operand], str] = lambda own: own.array) -> tuple[str, str]:
    """The factors of a product of matrices in the order of its target, and whether each is transposed."""
    rows, columns = step.target.axes
    left, right = (step.left, step.right) if rows in step.left.axes else (step.right, step.left)
    return (
        f"{text(left)}, {left.axes != (rows, step.inner)}",
        f"{text(right)}, {right.axes != (step.inner, columns)}",
    )


def sliced(own: Operand, axis: str, span: str) -> str:
    """An operand at the indices `span` of an axis, where it has that."""
    return f"{own.array}[{':, ' * own.axes.index(axis)}{span}]" if axis in own.axes else own.array


def kind_text(kind: str, real: str) -> str:
    """The NumPy type of what a program keeps; `real` is that of floating-point numbers."""
    return {"real": real, "integer": "np.int64", "boolean": "np.bool_"}[kind]


def numba_type(kind: str, real: str) -> str:
    return {"real": real, "boolean": "types.boolean"}.get(kind, "types.int64")


def start_text(kind: str) -> str:
    """What a running sum, product, largest or smallest starts from."""
    return f"real({number_text(REDUCTIONS[kind].start)})"


def number_text(value: float) -> str:
    return literal_text(value, "float64")[0]


def without_elements(expression: Expression, read: Callable[[Element], str]) -> Expression:
    """The expression with every entry of an array as the text that reads it."""
    return mapped(expression, lambda part: Read(read(part)) if isinstance(part, Element) else None)


def elements_in(expression: Expression) -> list[Element]:
    """All entries of arrays that stand in an expression."""
    return [part for part in walk(expression) if isinstance(part, Element)]


def elements_of(statement: Statement) -> list[Element]:
    """All entries of arrays that a statement reads or writes."""
    written = [] if isinstance(statement, Assignment) else elements_in(statement.target)
    return [*written, *elements_in(statement.value)]


def place_text(
    element: Element, place: int, computed: Callable[[Expression], str], names: Mapping[str, str] | None = None
) -> str:
    """A place of an entry, held inside where it may lie outside; `names` say what stands for a loop index."""
    index, extent = element.index[place], dict(element.clamped).get(place)
    text = affine_text(index, names) if isinstance(index, Affine) else computed(index)
    return text if extent is None else f"clamped({text}, {affine_text(extent)})"


def names_read(expression: Expression) -> list[str]:
    """The names that stand in an expression, but for inside of array entries."""
    found = []
    for part in walk(expression, entries=False):
        if isinstance(part, Read):
            found.append(part.name)
        elif not isinstance(part, Element):
            found += [name for form in forms(part) for name, _ in form.terms]
    return found


def expression_names(expression: Expression) -> set[str]:
    """All names that stand in an expression: numbers, arrays, loop indices, extents."""
    found: set[str] = set()
    for part in walk(expression):
        if isinstance(part, Read):
            found.add(part.name)
        elif isinstance(part, Element):
            found.add(part.array)
        found |= {name for form in forms(part) for name, _ in form.terms}
    return found


def loop_names(loops: Iterable[LoopRange]) -> set[str]:
    """The names that stand in the bounds of loops."""
    return {name for loop in loops for form in (*loop.low, *loop.high) for name, _ in form.terms}


def nest_names(nest: Nest) -> set[str]:
    found: set[str] = set()
    own: set[str] = set()
    for statement in nest.body:
        found |= expression_names(statement.value)
        if isinstance(statement, Assignment):
            own.add(statement.name)
        else:
            found |= expression_names(statement.target)
    return (found | loop_names(nest.loops)) - own


def inner_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """Steps, each before those of its own, where it is a pass."""
    for step in steps:
        yield step
        if isinstance(step, Pass):
            yield from step.steps


def program_names(program: Program) -> set[str]:
    """All names that stand in a program."""
    found = {*program.arguments, *program.values, *program.gradients, *(own.name for own in program.storages)}
    found |= {extent.name for extent in program.extents}
    for step in inner_steps(program.steps):
        if isinstance(step, Pass):
            found |= {step.name, step.axis}
        elif isinstance(step, Nest):
            found |= {step.name, *nest_names(step), *(loop.axis for loop in step.loops)}
            found |= {statement.name for statement in step.body if isinstance(statement, Assignment)}
        elif isinstance(step, Assignment):
            found |= {step.name, *expression_names(step.value)}
        elif isinstance(step, Product):
            found |= {step.row, step.column, step.inner}
    return found
