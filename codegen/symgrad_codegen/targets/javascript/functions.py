"""What a module calls, as JavaScript has it: functions of the run-time text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from ...functions import Function
from ...program import Program
from ...text.module import runtime_text

RUNTIME = ("javascript/runtime.js", "javascript/runtime_arrays.js")


def supports(function: Function) -> bool:
    return bool(function.javascript or function.operator)


def definitions(program: Program, called: Iterable[str] = ()) -> str:
    """The functions that a program calls and those that are named, and what they call, callees first."""
    functions = {name: text for file in RUNTIME for name, text in functions_of(file).items()}
    found: dict[str, str] = {}

    def add(name: str) -> None:  # as deep as they call each other: four levels
        if name in found:
            return
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", functions[name], flags=re.DOTALL)  # without comments
        for other in re.findall(r"\b\w+(?=\()", code):
            if other in functions and other != name:
                add(other)
        found.setdefault(name, functions[name])

    for name in (*(function.javascript for function in program.functions), *called):
        if name in functions:
            add(name)
    return "\n\n".join(found.values())


@cache
def functions_of(file: str) -> dict[str, str]:
    """A run-time text by its functions, each with the constants that stand before it."""
    parts = runtime_text(file).strip().split("\n\n\n")[1:]
    return {re.findall(r"^function (\w+)", part, re.MULTILINE)[0]: part for part in parts}
