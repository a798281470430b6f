"""Where the entries of a sparse derivative are, as a function of a module: plain NumPy, of extents and tables alone."""

from __future__ import annotations

from collections.abc import Iterable

from ..functions import FUNCTIONS
from ..program import Affine, Call, Element, Expression, Family, Holds, Integer, Literal, Number, Place, Program, Read
from .arrays import extent_lines
from .expressions import affine_text, condition_text, listed
from .names import free

RUNTIME = "cpu/runtime_patterns.py"

# What NumPy calls functions that are no operators, or others.
_NAMES = {
    "select": "np.where",
    "max": "np.maximum",
    "min": "np.minimum",
    "abs": "np.abs",
    "floor": "np.floor",
    "ceil": "np.ceil",
    "not": "np.logical_not",
    "and": "np.logical_and",
    "or": "np.logical_or",
}


def spells(expression: Expression) -> bool:
    """Whether patterns have words for an expression."""
    if isinstance(expression, Call):
        function = expression.function
        is_known = function.name in _NAMES or (bool(function.operator) and function in FUNCTIONS.values())
        return is_known and all(map(spells, expression.arguments))
    if isinstance(expression, Element):
        return all(isinstance(place, Affine) or spells(place) for place in expression.index)
    if isinstance(expression, (Integer, Number)):
        return isinstance(expression.value, Affine) or spells(expression.value)
    return True


def pattern_lines(program: Program) -> list[str]:
    """The function that says where the entries of the families are, and which of these are mirrored."""
    pattern = program.pattern
    assert pattern is not None, "families have a pattern"
    taken = {*program.arguments, *(own.name for own in program.extents)}
    taken |= {name for own in pattern.families for name in _names(own)}
    rows, columns, found, there = free(("rows", "columns", "found", "there"), taken)
    mirrored = [str(own.is_mirrored) for own in pattern.families]
    lines = [
        *listed("MIRRORED = (", mirrored, ",)" if len(mirrored) == 1 else ")"),
        "",
        "",
        *listed(f"def {program.name}_pattern(", program.arguments, "):"),
        '    """Where the entries of the last derivatives are, which are families of a sparse one.',
        "",
        "    Of each an array of rows and one of columns, of its shape; -1 where there is no entry. Where MIRRORED is",
        "    true, an entry stands for its mirror image as well.",
        '    """',
        *extent_lines(program, "pattern_"),
        f"    {rows} = {_shapes(pattern.rows)}",
        f"    {columns} = {_shapes(pattern.columns)}",
        f"    {found} = []",
    ]
    for own in pattern.families:
        lines.append(f"    # {own.output}: {own.comment}")
        ranges = [f"({affine_text(loop.low[0])}, {affine_text(_after(loop.high[0]))})" for loop in own.loops]
        if own.loops:
            lines.append(f"    {_tuple(loop.axis for loop in own.loops)} = pattern_loops({', '.join(ranges)})")
        lines += [f"    {made.name} = {_text(made.value)}" for made in own.body]
        lines.append(f"    {there} = {_text(own.is_there)}")
        box = _tuple(f"pattern_max(0, {affine_text(_length(loop.low[0], loop.high[0]))})" for loop in own.loops)
        places = [
            f"pattern_places({box}, {there}, {shapes}, {block}, {_tuple(map(_text, index))})"
            for shapes, block, index in (
                (rows, own.blocks[0], own.row),
                (columns, own.blocks[1], own.column),
            )
        ]
        lines += [
            f"    {found}.append(",
            "        (",
            *(f"            {place}," for place in places),
            "        )",
            "    )",
        ]
    return [*lines, f"    return {found}"]


def _names(family: Family) -> list[str]:
    return [*(loop.axis for loop in family.loops), *(made.name for made in family.body)]


def _after(last: Affine) -> Affine:
    return last._replace(offset=last.offset + 1)


def _length(first: Affine, last: Affine) -> Affine:
    terms: dict[str, int] = {}
    for name, factor in (*last.terms, *((name, -factor) for name, factor in first.terms)):
        terms[name] = terms.get(name, 0) + factor
    return Affine(tuple((name, factor) for name, factor in terms.items() if factor), last.offset - first.offset + 1)


def _tuple(parts: Iterable[str]) -> str:
    items = list(parts)
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _shapes(blocks: Iterable[tuple[Affine, ...]]) -> str:
    return _tuple(_tuple(map(affine_text, shape)) for shape in blocks)


def _text(expression: Place) -> str:
    """An expression over arrays of indices; operators in brackets."""
    if isinstance(expression, Affine):
        return affine_text(expression)
    if isinstance(expression, Read):
        return expression.name
    if isinstance(expression, Literal):
        value = float(expression.value)
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(expression, (Integer, Number)):
        return _text(expression.value)
    if isinstance(expression, Holds):
        return condition_text(expression.value)
    if isinstance(expression, Element):
        return f"pattern_entry({', '.join([expression.array, *map(_text, expression.index)])})"
    function, arguments = expression.function, [_text(argument) for argument in expression.arguments]
    if function.name in ("max", "min", "and", "or"):
        text = arguments[0]
        for argument in arguments[1:]:
            text = f"{_NAMES[function.name]}({text}, {argument})"
        return text
    if function.name in _NAMES:
        return f"{_NAMES[function.name]}({', '.join(arguments)})"
    bracketed = [
        argument if argument.isidentifier() or argument.isdigit() else f"({argument})" for argument in arguments
    ]
    return f" {function.operator} ".join(bracketed) if len(bracketed) > 1 else f"{function.operator}{bracketed[0]}"
