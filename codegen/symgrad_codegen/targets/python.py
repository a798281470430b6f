"""The Python target: a program as plain Python, one number at a time; for reading, and where Numba is not at hand."""

from __future__ import annotations

from functools import cache

from ..functions import Function, with_needs
from ..program import Program
from ..text.module import (
    batch_function,
    body_text,
    docstring,
    kernel_function,
    legend,
    module_words,
    runtime_text,
    tables,
)
from .cpu.arrays import Emission


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program."""
    return module_words(*_IMPORTS, _RUN_BATCH, _NO_NUMBA, runtime_text("cpu/runtime_arrays.py")) | set(
        "ARGUMENTS WRT POINT float float32 real real_name abs int print".split()
    )


_IMPORTS = ["import math", "from math import inf, nan, pi", "", "import numpy as np"]

_RUN_BATCH = '''
def run_batch(inputs, out):
    """`kernel_batch` of this module: the kernel at every point."""
    inputs = [np.ascontiguousarray(array, real_name) for array in inputs]
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"kernel_batch takes 1-D arrays of one length, not of shapes {sorted(shapes)}")
    count = len(inputs[0]) if inputs else 1
    if out is None:
        out = np.empty(count, real_name), tuple(np.empty(count, real_name) for _ in WRT)
    for i in range(count):
        out[0][i], gradient = POINT(*(array[i] for array in inputs))
        for array, derivative in zip(out[1], gradient):
            array[i] = derivative
    return out
'''


_NO_NUMBA = '''
JIT, OPTIONS, INNER, NEST = False, {}, {}, {}


def njit(**options):
    """Stands for Numba's decorator."""
    return lambda function: function


def wide_and_unaliased():
    """Stands for what tells Numba that the arrays of a function do not overlap."""
'''


def emit(program: Program) -> str:
    """The source of a module with the same names as that of the CPU target."""
    functions = _over_points(program) if program.over_points else _over_arrays(program)
    lines = [
        *docstring(program, "NumPy"),
        "",
        *_IMPORTS,
        *(["from numpy import float32"] if program.dtype == "float32" else []),
        "",
        *legend(program),
        *tables(program),
        f'real, real_name = {"float" if program.dtype == "float64" else "float32"}, "{program.dtype}"',
        *functions,
        "",
        "",
    ]
    for function in with_needs(program.functions):
        lines += _definition(function, program.dtype)
    return "\n".join(lines).rstrip() + "\n"


def body(program: Program) -> str:
    """The functions of the module, without the fixed text around them."""
    return body_text(
        program, kernel_function(program) if program.over_points else Emission(program, reserved()).lines()
    )


def _over_arrays(program: Program) -> list[str]:
    """The same functions as on the CPU, interpreted; `kernel` takes and returns whole arrays."""
    return [
        *_NO_NUMBA.strip().split("\n"),
        "",
        "",
        *Emission(program, reserved()).lines(),
        "",
        "",
        runtime_text("cpu/runtime_arrays.py").rstrip(),
    ]


def _over_points(program: Program) -> list[str]:
    return [
        "",
        "",
        *kernel_function(program),
        "",
        "",
        *batch_function(program),
        "",
        "",
        f"POINT = {program.name}",
        "",
        "",
        *_RUN_BATCH.strip().split("\n"),
    ]


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
