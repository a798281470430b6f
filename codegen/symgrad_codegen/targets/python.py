"""The Python target: a program as plain Python, one number at a time; for reading, and where Numba is not at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from ..functions import TERNARY, Function, with_needs
from ..program import (
    Assignment,
    Call,
    Element,
    Expression,
    Literal,
    Nest,
    Number,
    Pass,
    Program,
    Statement,
    Step,
    mapped,
)
from ..text.module import (
    Module,
    batch_function,
    body_text,
    kernel_function,
    module_text,
    module_words,
    runtime_text,
)
from .cpu.arrays import Emission


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program."""
    return module_words(*_IMPORTS, _RUN_BATCH, _NO_NUMBA, runtime_text("cpu/runtime_arrays.py")) | set(
        "ARGUMENTS WRT VALUES ENTRIES POINT float float32 real real_name abs int print".split()
    )


_IMPORTS = ["import math", "from math import inf, nan, pi", "", "import numpy as np"]

_RUN_BATCH = '''
def run_batch(inputs, out, values, derivatives):
    """`kernel_batch` of this module: the kernel at every point, with so many results of each kind."""
    inputs = [np.ascontiguousarray(array, real_name) for array in inputs]
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"kernel_batch takes 1-D arrays of one length, not of shapes {sorted(shapes)}")
    count = len(inputs[0]) if inputs else 1
    if out is None:
        made = tuple(np.empty(count, real_name) for _ in range(values + derivatives))
        out = made[0] if values == 1 else made[:values], made[values:]
    outputs = [*(out[:1] if values == 1 else out[0]), *out[1]]
    if len(outputs) != values + derivatives:
        raise ValueError(f"out must hold {values} and {derivatives} arrays")
    for i in range(count):
        found, rest = POINT(*(array[i] for array in inputs))
        for array, number in zip(outputs, (*((found,) if values == 1 else found), *rest)):
            array[i] = number
    return out
'''


_NO_NUMBA = '''
JIT, OPTIONS, INNER, NEST = False, {}, {}, {}


def njit(**options):
    """Stands for Numba's decorator: a division by zero is infinite or NaN, as it is in compiled code."""
    return np.errstate(all="ignore")


def wide_and_unaliased():
    """Stands for what tells Numba that the arrays of a function do not overlap."""
'''


# Only the side that is taken is computed: the other one may divide by 0, where Python raises.
_CONDITIONAL = Function("conditional", "if", TERNARY, 3)


def emit(program: Program) -> str:
    """The source of a module with the same names as that of the CPU target."""
    program = _conditional(program)
    own, single = _module(program), program.dtype == "float32"
    imports = [*_IMPORTS, *(["from numpy import float32"] if single else [])]
    real = "float32" if single else "float" if program.over_points else "np.float64"
    constants = [f'real, real_name = {real}, "{program.dtype}"', *own.constants]
    definitions = [line for own in with_needs(program.functions) for line in _definition(own, program.dtype)]
    return module_text(program, own, imports, constants, [own.runtime], definitions)


def body(program: Program) -> str:
    """The functions of the module, without the fixed text around them."""
    program = _conditional(program)
    return body_text(program, _module(program).functions)


def _conditional(program: Program) -> Program:
    """The program with Python's own conditional expression for every choice.

    Beside arrays the number that stands where there is nothing is one of NumPy: what is not read may divide by it.
    """

    def change(part: Expression) -> Expression | None:
        if not isinstance(part, Call) or part.function.name != "select":
            return None
        condition, *sides = (mapped(argument, change) for argument in part.arguments)
        return Call(_CONDITIONAL, (condition, *map(typed, sides)))

    def typed(side: Expression) -> Expression:
        is_plain = isinstance(side, Literal) and type(side.value) is float and program.dtype == "float64"
        return Number(side) if is_plain and not program.over_points else side

    return _with_expressions(program, lambda expression: mapped(expression, change))


def _with_expressions(program: Program, change: Callable[[Expression], Expression]) -> Program:
    """The program with every expression changed."""

    def statement(own: Statement) -> Statement:
        value = change(own.value)
        if isinstance(own, Assignment):
            return own._replace(value=value)
        target = change(own.target)
        assert isinstance(target, Element)
        return own._replace(target=target, value=value)

    def changed(step: Step) -> Step:
        if isinstance(step, Pass):
            return step._replace(steps=tuple(map(changed, step.steps)))
        if isinstance(step, Nest):
            return step._replace(body=tuple(map(statement, step.body)))
        return step._replace(value=change(step.value)) if isinstance(step, Assignment) else step

    return replace(program, steps=tuple(map(changed, program.steps)))


def _module(program: Program) -> Module:
    return _over_points(program) if program.over_points else _over_arrays(program)


def _over_points(program: Program) -> Module:
    """`kernel` of one point and `kernel_batch` over many."""
    callers = [*batch_function(program), "", "", f"POINT = {program.name}"]
    return Module("NumPy", kernel_function(program), callers=callers, runtime=_RUN_BATCH)


def _over_arrays(program: Program) -> Module:
    """The same functions as on the CPU, interpreted; `kernel` takes and returns whole arrays."""
    functions, constants = Emission(program, reserved()).lines(), _NO_NUMBA.strip().split("\n")
    return Module("NumPy", functions, constants=constants, runtime=runtime_text("cpu/runtime_arrays.py"))


def _definition(function: Function, dtype: str) -> list[str]:
    if function.definition:
        return ["", *function.definition.strip().split("\n"), "", ""]
    if function.built_in:
        return [
            "",
            f"def {function.name}(condition, taken, otherwise):",
            "    return taken if condition else otherwise",
            "",
            "",
        ]
    name = f"math.{function.math}" if function.math else f"np.{function.llvm}" if function.llvm else ""
    if not name:
        return []
    if dtype == "float32" or function.llvm:
        return ["", f"def {function.name}(*arguments):", f"    return real({name}(*arguments))", "", ""]
    return [f"{function.name} = {name}"]
