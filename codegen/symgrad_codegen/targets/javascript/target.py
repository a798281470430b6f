"""The JavaScript target: a program as an ES module without dependencies, one point at a time or over whole arrays."""

from __future__ import annotations

import re
from functools import cache

from ...functions import FUNCTIONS
from ...program import Program
from ...text.expressions import listed
from ...text.module import Module, body_text, description, entries, legend, quoted, runtime_text
from . import arrays, points
from .functions import RUNTIME, supports

__all__ = ["body", "emit", "reserved", "supports"]

# The words of JavaScript in modules, and what a module uses of its library.
_WORDS = frozenset(
    """
    arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof var void while with yield
    Array ArrayBuffer DataView Float32Array Float64Array Infinity Map Math NaN Number Object RangeError Set String
    TypeError Uint8Array __proto__ undefined
    """.split()
)


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program; of functions that other programs call, too."""
    text = points.AT_EVERY_POINT + "".join(map(runtime_text, RUNTIME))
    own = set(re.findall(r"^(?:const|function) (\w+)", text, re.MULTILINE)) - set(FUNCTIONS)
    # A reduction calls max and min, also where no node of the graph is one.
    return _WORDS | own | {"ARGUMENTS", "WRT", "VALUES", "ENTRIES", "INPUTS", "REAL", "fround", "max", "min"}


def emit(program: Program) -> str:
    """The source of a module with the same names as that of the Python target."""
    if len(program.values) == 1:
        results = f"[f, [{', '.join(program.gradients)}]]"
    else:
        results = f"[[{', '.join(program.values)}], [{', '.join(program.gradients)}]]"
    own = _module(program)
    lines = [
        *(f"// {line}".rstrip() for line in description(program, results, own.needs)),
        "",
        *_legend(program),
        *_tables(program),
        *(["const fround = Math.fround; // to float32"] if program.dtype == "float32" else []),
        *own.constants,
        *own.functions,
        *own.callers,
        *(["", *own.runtime.split("\n")] if own.runtime else []),
    ]
    return "\n".join(lines) + "\n"


def _tables(program: Program) -> list[str]:
    """ARGUMENTS, and what the derivatives are, as in Python's modules."""
    arguments = listed("export const ARGUMENTS = [", quoted(program.arguments), "];")
    if program.is_gradient:
        return [*arguments, *listed("export const WRT = [", quoted([name for _, name in entries(program)]), "];")]
    values = listed("export const VALUES = [", quoted(program.values), "];")
    listing = [f"[{', '.join(quoted(entry))}]" for entry in entries(program)]
    return [*arguments, *values, *listed("export const ENTRIES = [", listing, "];")]


def body(program: Program) -> str:
    """The kernel, without the fixed text around it."""
    return body_text(program, [*_legend(program), *_module(program).functions], "//", named=False)


def _module(program: Program) -> Module:
    return points.module(program) if program.over_points else arrays.module(program, reserved())


def _legend(program: Program) -> list[str]:
    """A name of the user's must not end the element of a page that the module stands in, nor open a comment of it."""
    return [line.replace("<", "\\x3c") for line in legend(program, "//")]
