"""What a module calls, as a GPU has it: functions, and the table of its kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...functions import FUNCTIONS, Function, with_needs
from ...program import Call, Expression, Program
from ...text.module import tuple_lines


def supports(function: Function) -> bool:
    """Whether a GPU has the function: by an operator, from libdevice, or by a definition made of such."""
    if function.definition:
        return all(supports(FUNCTIONS[name]) for name in function.needs)
    return bool(function.operator or function.device or function.built_in or function.name in ("abs", "int"))


def spelled(expression: Expression, accuracy: str) -> Expression:
    """The expression with the functions that stand for operators on a GPU."""
    if not isinstance(expression, Call):
        return expression
    arguments = tuple(spelled(argument, accuracy) for argument in expression.arguments)
    return Call(_on_device(expression.function, accuracy), arguments)


def definitions(program: Program) -> list[str]:
    """The functions that the kernels call: those of libraries, then those that are made of them."""
    called = {function.name: function for function in (_on_device(own, program.accuracy) for own in program.functions)}
    functions = with_needs(tuple(called[name] for name in sorted(called)))
    lines = [line for function in functions for line in _library_function(function)]
    for function in functions:
        if function.definition:
            lines += ["", "", '@cuda.jit(device=True, inline="always")', *function.definition.strip().split("\n")]
    return lines


def kernel_table(about: str, kernels: Mapping[str, Sequence[str]]) -> list[str]:
    """The module's KERNELS: each by its name, with what is to be known of its arguments."""
    rows = [line for name, own in kernels.items() for line in tuple_lines(f"    ({name}, ", own, "),", "    ")]
    return [f"KERNELS = (  # {about}", *rows, ")"]


def _on_device(function: Function, accuracy: str) -> Function:
    """What a GPU calls for a function."""
    name = function.on_device or (function.unfused if accuracy == "strict" else "")
    return FUNCTIONS[name] if name else function


def _library_function(function: Function) -> list[str]:
    if function.built_in:
        return [f"{function.name} = {function.built_in}"]
    if function.device:
        python = f"math.{function.math}" if function.math else f"np.{function.llvm}"
        return [f'{function.name} = device_function("{function.device}", {python})']
    return []
