"""What the kernels for GPUs over points and over arrays share: how functions are spelled."""

from __future__ import annotations

from ...functions import FUNCTIONS, Function, with_needs
from ...program import Call, Expression, Program


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
