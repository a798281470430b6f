"""What the modules of all targets share: what they are made of and say of themselves; Python's one-point function."""

from __future__ import annotations

import symtable
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..program import Program
from .expressions import WIDTH, listed, statement_lines
from .names import free
from .patterns import RUNTIME as PATTERNS
from .patterns import pattern_lines
from .points import Section, sections

VERSION_LINE = "Made by symgrad; a plain module that does not need it."


class Module(NamedTuple):
    """What a module has in its own way, over points or over arrays, beside what all modules of its target have."""

    needs: str  # what it cannot be run without
    functions: Sequence[str]  # those about the mathematics: what `body` shows
    imports: Sequence[str] = ()
    constants: Sequence[str] = ()  # above the functions
    callers: Sequence[str] = ()  # below them: what calls them, and tables of them
    runtime: str = ""  # fixed text
    compiled: Sequence[str] = ()  # what is compiled when the module is loaded


def module_text(
    program: Program,
    own: Module,
    imports: Sequence[str],
    constants: Sequence[str],
    runtime: Sequence[str],
    definitions: Sequence[str],
) -> str:
    """The source of a module in Python: the mathematics first, the fixed run-time text below, what it calls last."""
    head = [*docstring(program, own.needs), "", *own.imports, *imports, "", *legend(program), *tables(program)]
    pattern = [] if program.pattern is None else pattern_lines(program)
    parts = ["\n".join(lines) for lines in ([*head, *constants], own.functions, own.callers, pattern)]
    fixed = [*runtime, *([runtime_text(PATTERNS)] if pattern else [])]
    parts += [*(text.strip() for text in fixed), "\n".join([*definitions, *own.compiled])]
    return "\n\n\n".join(part for part in parts if part).rstrip() + "\n"


@cache
def runtime_text(name: str) -> str:
    """Fixed text that stands below the kernel, from the file of that name in targets/."""
    return (Path(__file__).parent.parent / "targets" / name).read_text(encoding="utf-8")


def module_words(*texts: str) -> frozenset[str]:
    """The names that Python text defines outside of its functions, or reads from there; Python's own ones, too.

    What modules with patterns have besides is among them.
    """
    scopes = [symtable.symtable("\n".join([*texts, runtime_text(PATTERNS)]), "run-time text", "exec")]
    found: set[str] = {"MIRRORED"}
    while scopes:
        scope = scopes.pop()
        outermost = scope.get_type() == "module"
        found |= {symbol.get_name() for symbol in scope.get_symbols() if outermost or symbol.is_global()}
        scopes += scope.get_children()
    return frozenset(found)


def docstring(program: Program, needs: str) -> list[str]:
    """The module's docstring."""
    values = "f" if len(program.values) == 1 else tuple_text(program.values)
    lines = description(program, f"({values}, {tuple_text(program.gradients)})", needs)
    return ['"""' + lines[0], *lines[1:], '"""']


def description(program: Program, results: str, needs: str) -> list[str]:
    """What a module says of itself. Its words are identifiers and numbers only: nothing from outside is quoted here."""
    arguments = ", ".join(program.arguments) or "none"
    text = [
        f"f({', '.join(program.arguments)}) = {program.formula}",
        "",
        f"Arguments: {arguments} ({program.dtype}).",
        f"Returns: {results}{_said_of_derivatives(program)}.",
        f"Operations: {_operations(program)}.",
        "",
        f"{VERSION_LINE} It needs {needs}.",
    ]
    lines = []
    for line in text:
        lines += textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_long_words=True) or [""]
    return lines


def _said_of_derivatives(program: Program) -> str:
    """What the names of derivatives mean."""
    if program.is_gradient:
        return ", where d_x stands for the derivative of f by x"
    if not program.derivatives:
        return ""
    first = program.derivatives[0]
    one = f"d_{first.by[0]} stands for the derivative of f by {first.by[0]}"
    if len(program.values) > 1:
        value = program.values[first.of]
        one = f"{first.name} stands for the derivative of {value} by {' and '.join(first.by)}"
    return f", where {one}, and so on, as ENTRIES lists them; what is not there is 0"


def _operations(program: Program) -> str:
    value, both = program.value_operations, program.operations
    if program.is_gradient:
        return f"{value} for the value, {both} for value and gradient"
    values = "value" if len(program.values) == 1 else "values"
    return f"{value} for the {values}" + (f", {both} for {values} and derivatives" if program.derivatives else "")


def body_text(program: Program, functions: Sequence[str], mark: str = "#", named: bool = True) -> str:
    """The part of a module that is about the mathematics: the formula, what names stand for, and the functions.

    `named` says whether the legend is still to be added.
    """
    head = f"f({', '.join(program.arguments)}) = {program.formula}"
    lines = textwrap.wrap(head, WIDTH, initial_indent=f"{mark} ", subsequent_indent=f"{mark}     ")
    return "\n".join([*lines, *(legend(program, mark) if named else []), *functions]).rstrip() + "\n"


def legend(program: Program, mark: str = "#") -> list[str]:
    """Which identifier stands for which name, where they differ; the name in ASCII, escaped."""
    return [f"{mark} {identifier} stands for {name!a}" for identifier, name in program.legend]


def tuple_text(items: Sequence[str]) -> str:
    """A tuple of texts as Python source."""
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def tuple_lines(head: str, items: Sequence[str], tail: str = "", indent: str = "") -> list[str]:
    """`head` (item, item, ...) `tail` on one line, or on several where it is long."""
    return listed(f"{head}(", items, f"{',' if len(items) == 1 else ''}){tail}", indent)


def quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def tables(program: Program) -> list[str]:
    """The module's ARGUMENTS, and what its derivatives are: of a gradient WRT, else ENTRIES, of which values."""
    arguments = tuple_lines("ARGUMENTS = ", quoted(program.arguments))
    if program.is_gradient:
        return [*arguments, *tuple_lines("WRT = ", quoted([name for _, name in entries(program)]))]
    values = tuple_lines("VALUES = ", quoted(program.values))
    return [*arguments, *values, *tuple_lines("ENTRIES = ", [tuple_text(quoted(own)) for own in entries(program)])]


def entries(program: Program) -> list[tuple[str, ...]]:
    """Of each derivative the value, and the arguments that it is taken by."""
    return [(program.values[output.of], *output.by) for output in program.derivatives]


def kernel_function(program: Program) -> list[str]:
    """The one-point function: forward, then backward."""
    head = listed(f"def {program.name}(", program.arguments, "):")
    return [*head, *section_lines(sections(program), program.dtype), *return_lines(program)]


def section_lines(sections: Sequence[Section], dtype: str) -> list[str]:
    """Titled statements as the body of a function."""
    lines = []
    for section in sections:
        if section.statements:
            lines.append(f"    # {section.title}")
        for statement in section.statements:
            lines += statement_lines(statement, dtype)
    return lines


def return_lines(program: Program) -> list[str]:
    return result_lines(program.values, program.gradients)


def result_lines(values: Sequence[str], gradients: Sequence[str]) -> list[str]:
    """The end of a kernel: the value, or several in a tuple, and the gradients."""
    return tuple_lines(f"    return {values_text(values)}, ", gradients, indent="    ")


def values_text(values: Sequence[str]) -> str:
    """The value, or several in a tuple."""
    return values[0] if len(values) == 1 else tuple_text(values)


def call_lines(program: Program, entry: Callable[[str], str], indent: str) -> list[str]:
    """The one-point function called on entries of arrays, in one statement that stores everything."""
    arguments, values, gradients = (list(map(entry, n)) for n in (program.arguments, program.values, program.gradients))
    (unused,) = free("_", {program.name, *program.arguments, *program.values, *program.gradients})
    results = f"{indent}{values_text(values)}, "
    line = f"{results}{tuple_text(gradients) if gradients else unused} = {program.name}({', '.join(arguments)})"
    if len(line) < WIDTH:
        return [line]
    call = listed(f"{indent}    {program.name}(", arguments, ")", f"{indent}    ")
    return [*tuple_lines(results, gradients, " = (", indent), *call, f"{indent})"]


def batch_function(program: Program) -> list[str]:
    """The one-point function over arrays of points."""
    (out,) = free(["out"], program.arguments)
    what = "Value and gradient" if program.is_gradient else "Values and derivatives"
    results = f"({'f' if len(program.values) == 1 else '(f, ...)'}, (d_x, ...))"
    counts = f"{len(program.values)}, {len(program.derivatives)}"
    return [
        *listed(f"def {program.name}_batch(", [*program.arguments, f"{out}=None"], "):"),
        f'    """{what} at every point of 1-D arrays: {results}, in `out` if that is given."""',
        *tuple_lines("    return run_batch(", program.arguments, f", {out}, {counts})", "    "),
    ]
