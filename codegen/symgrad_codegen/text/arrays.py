"""Programs with arrays as text: names that stand in them, and the small spellings that all functions share."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from ..program import (
    Affine,
    Assignment,
    Element,
    Expression,
    LoopRange,
    Nest,
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
from .expressions import affine_text, literal_text

# How what is accumulated is joined, and what it starts from.


def length_text(extent: Affine, derived: Container[str], module: str = "") -> str:
    """A length of n - 1 may be 0, one of n - m less: at least 1, so that a masked read has somewhere to go.

    `derived` are the names of the extents that may be less than 0 themselves; `module` is where max is.
    """
    if not extent.terms:
        return str(max(1, extent.offset))
    return affine_text(extent) if is_length(extent, derived) else f"{module}max(1, {affine_text(extent)})"


def is_length(extent: Affine, derived: Container[str]) -> bool:
    """Whether a form in extents is a length as it stands: it is never less than 0, and 0 only where an extent is."""
    is_sum = extent.offset >= 0 and all(factor > 0 and name not in derived for name, factor in extent.terms)
    return is_sum and bool(extent.terms or extent.offset)


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


def factors(target: tuple[str, ...], operands: Sequence[tuple[str, tuple[str, ...]]], inner: str) -> tuple[str, str]:
    """The factors of a product of matrices in the order of its target, and whether each is transposed."""
    rows, columns = target
    left, right = operands if rows in operands[0][1] else reversed(operands)
    return f"{left[0]}, {left[1] != (rows, inner)}", f"{right[0]}, {right[1] != (inner, columns)}"


def kind_text(kind: str, real: str) -> str:
    """The NumPy type of what a program keeps; `real` is that of floating-point numbers."""
    return {"real": real, "integer": "np.int64", "boolean": "np.bool_"}[kind]


def numba_type(kind: str, real: str) -> str:
    return {"real": real, "boolean": "types.boolean"}.get(kind, "types.int64")


def number_text(value: float) -> str:
    return literal_text(value, "float64")[0]


def without_elements(expression: Expression, read: Callable[[Element], str]) -> Expression:
    """The expression with every entry of an array as the text that reads it."""
    return mapped(expression, lambda part: Read(read(part)) if isinstance(part, Element) else None)


def elements_of(statement: Statement) -> list[Element]:
    """All entries of arrays that a statement reads or writes."""
    whole = [statement.value] if isinstance(statement, Assignment) else [statement.target, statement.value]
    return [part for expression in whole for part in walk(expression) if isinstance(part, Element)]


def axes_of(place: object) -> list[str]:
    if isinstance(place, Affine):
        return [name for name, _ in place.terms]
    return []


def names_read(expression: Expression, axis: str, loops: set[str]) -> list[str]:
    """The numbers and extents that an expression reads, without those inside of array entries."""
    found = []
    for part in walk(expression, entries=False):
        if isinstance(part, Read):
            found.append(part.name)
        elif not isinstance(part, Element):
            found += [name for form in forms(part) for name, _ in form.terms if name != axis and name not in loops]
    return found


def uses_axis(expression: Expression, axis: str) -> bool:
    """Whether an index stands in an expression, but for inside of array entries."""
    outside = (part for part in walk(expression, entries=False) if not isinstance(part, Element))
    return any(axis in dict(form.terms) for part in outside for form in forms(part))


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


def nest_names(nest: Nest) -> set[str]:
    found: set[str] = set()
    own: set[str] = set()
    for statement in nest.body:
        found |= expression_names(statement.value)
        if isinstance(statement, Assignment):
            own.add(statement.name)
        else:
            found |= expression_names(statement.target)
    for loop in nest.loops:
        for form in (*loop.low, *loop.high):
            found |= {name for name, _ in form.terms}
    return found - own


def program_names(program: Program) -> set[str]:
    """All names that stand in a program."""
    found = {*program.arguments, *program.values, *program.gradients, *(own.name for own in program.storages)}
    found |= {extent.name for extent in program.extents}
    stack: list[Step] = list(program.steps)
    while stack:
        step = stack.pop()
        if isinstance(step, Pass):
            found |= {step.name, step.axis}
            stack.extend(step.steps)
        elif isinstance(step, Nest):
            found |= {step.name, *nest_names(step), *(loop.axis for loop in step.loops)}
            found |= {statement.name for statement in step.body if isinstance(statement, Assignment)}
        elif isinstance(step, Assignment):
            found |= {step.name, *expression_names(step.value)}
        elif isinstance(step, Product):
            found |= {step.row, step.column, step.inner}
    return found
