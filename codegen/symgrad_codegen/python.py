"""The Python target: a program as plain Python, one number at a time; for reading, and where Numba is not at hand."""

from __future__ import annotations

from .array_cpu import Emission
from .array_program import ArrayProgram
from .functions import Function, with_needs
from .module import ARRAY_WORDS, batch_function, docstring, kernel_function, legend, runtime_text, tables
from .program import Program

RESERVED = frozenset(
    """
    math np inf nan pi float32 real real_name ARGUMENTS WRT run_batch kernel_batch range abs type set len zip any
    all print int min max dict
    """.split()
) | frozenset(ARRAY_WORDS)

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
        out[0][i], gradient = KERNEL(*(array[i] for array in inputs))
        for array, derivative in zip(out[1], gradient):
            array[i] = derivative
    return out
'''


def emit(program: Program | ArrayProgram) -> str:
    """The source of a module with the same names as that of the CPU target."""
    return _emit_arrays(program) if isinstance(program, ArrayProgram) else _emit_points(program)


_NO_NUMBA = '''
JIT, OPTIONS, INNER = False, {}, {}


def njit(**options):
    """Stands for Numba's decorator."""
    return lambda function: function


def wide_and_unaliased():
    """Stands for what tells Numba that the arrays of a function do not overlap."""
'''


def _emit_arrays(program: ArrayProgram) -> str:
    """The same functions as on the CPU, interpreted; `kernel` takes and returns whole arrays."""
    lines = [
        *docstring(program, "NumPy"),
        "",
        "import math",
        "from math import inf, nan, pi",
        "",
        "import numpy as np",
        *(["from numpy import float32"] if program.dtype == "float32" else []),
        "",
        *legend(program),
        *tables(program),
        f'real, real_name = {"float" if program.dtype == "float64" else "float32"}, "{program.dtype}"',
        *_NO_NUMBA.strip().split("\n"),
        "",
        "",
        *Emission(program, RESERVED).lines(),
        "",
        "",
        runtime_text("runtime_arrays.py").rstrip(),
        "",
        "",
    ]
    for function in with_needs(program.functions):
        lines += _definition(function, program.dtype)
    return "\n".join(lines).rstrip() + "\n"


def _emit_points(program: Program) -> str:
    lines = [
        *docstring(program, "NumPy"),
        "",
        "import math",
        "from math import inf, nan, pi",
        "",
        "import numpy as np",
        *(["from numpy import float32"] if program.dtype == "float32" else []),
        "",
        *legend(program),
        *tables(program),
        f'real, real_name = {"float" if program.dtype == "float64" else "float32"}, "{program.dtype}"',
        "",
        "",
        *kernel_function(program),
        "",
        "",
        *batch_function(program),
        "",
        "",
        *_RUN_BATCH.replace("KERNEL", program.name).strip().split("\n"),
        "",
        "",
    ]
    for function in with_needs(program.functions):
        lines += _definition(function, program.dtype)
    return "\n".join(lines).rstrip() + "\n"


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
