"""The CPU target: a program as Numba source that LLVM vectorises over blocks of points."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from ...functions import Function, with_needs
from ...program import Program
from ...text.expressions import listed
from ...text.module import (
    batch_function,
    body_text,
    docstring,
    kernel_function,
    legend,
    module_words,
    runtime_text,
    tables,
)
from .arrays import Emission
from .blocks import block_size, points_function, streamed_bytes


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program."""
    texts = map(runtime_text, ("cpu/runtime.py", "cpu/runtime_points.py", "cpu/runtime_arrays.py"))
    return module_words(*_IMPORTS, *texts) | set("ARGUMENTS CACHE SIGNATURE dict globals abs int print".split())


class _Parts(NamedTuple):
    """What differs between modules over points and over arrays."""

    needs: str  # what they cannot be run without
    constants: list[str]
    functions: list[str]
    runtime: str  # fixed text, after that of all modules
    compiled: list[str]  # what is compiled when the module is loaded


def emit(program: Program) -> str:
    """The source of a module: the kernel, ARGUMENTS and WRT first, the fixed run-time text below."""
    strict = program.accuracy == "strict"
    parts = _parts(program)
    lines = [
        *docstring(program, parts.needs),
        "",
        *_IMPORTS,
        "",
        *legend(program),
        *tables(program),
        'CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one',
        *parts.constants,
        f"VECTORISE = {not strict}  # SIMD functions and fused multiply-add; else the bits of plain Python",
        f'real, real_name = {program.dtype}, "{program.dtype}"',
        "",
        "",
        *parts.functions,
        "",
        "",
        runtime_text("cpu/runtime.py").rstrip(),
        "",
        "",
        runtime_text(parts.runtime).rstrip(),
        "",
        "",
        *definitions(program),
        *parts.compiled,
    ]
    return "\n".join(lines) + "\n"


def body(program: Program) -> str:
    """The functions of the module, without the fixed text around them."""
    return body_text(program, _parts(program).functions)


def _parts(program: Program) -> _Parts:
    options = 'error_model="numpy"' + ("" if program.accuracy == "strict" else ', fastmath={"contract"}')
    return _over_points(program, options) if program.over_points else _over_arrays(program, options)


def _over_arrays(program: Program, options: str) -> _Parts:
    """`kernel` and `kernel_into` over whole arrays."""
    emission = Emission(program, reserved())
    functions = emission.lines()
    constants = [
        f"OPTIONS = dict(cache=CACHE, nogil=True, {options})",
        "INNER = dict(OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by compiled code only",
        # A nest that were compiled on its own would be there twice, as itself and within its pass, optimised once and
        # twice: which of the two is run, and so the last bits, would depend on what the process has loaded before.
        "NEST = dict(INNER, forceinline=True)  # a part of the pass that calls it",
    ]
    needs = "NumPy, Numba and SciPy (for BLAS and LAPACK)"
    return _Parts(needs, constants, functions, "cpu/runtime_arrays.py", _compiled_arrays(emission))


def _over_points(program: Program, options: str) -> _Parts:
    """`kernel` of one point and `kernel_batch` over many."""
    constants = [
        f"BLOCK = {block_size(program)}  # points",
        f"STREAMED_BYTES = {streamed_bytes(program)}  # larger outputs are streamed past the cache",
    ]
    functions = [
        f"@njit(cache=CACHE, nogil=True, {options}, forceinline=True)",
        *kernel_function(program),
        "",
        "",
        f"@njit(cache=CACHE, nogil=True, {options})",
        *points_function(program),
        "",
        "",
        *batch_function(program),
    ]
    return _Parts("NumPy and Numba", constants, functions, "cpu/runtime_points.py", _compiled_points(program))


def _compiled_arrays(emission: Emission) -> list[str]:
    """One signature for each function that is called from Python: contiguous arrays of the kernel's type."""
    lines = ["", "if JIT:"]
    for function in emission.functions.values():
        comma = "," if len(function.types) == 1 else ""
        lines += listed(f"    {function.name}.compile((", function.types, f"{comma}))", "    ")
    return lines if emission.functions else []


_IMPORTS = [
    "import ctypes",
    "import math",
    "import os",
    "import sys",
    "from math import inf, nan, pi",
    "",
    "import llvmlite.binding",
    "import numpy as np",
    "from llvmlite import ir",
    "from numba import config, float32, float64, njit, types",
    "from numba.core import cgutils",
    "from numba.extending import intrinsic",
    "from numba.np.arrayobj import make_array",
]


def definitions(program: Program) -> list[str]:
    """The functions that the kernel calls."""
    lines: list[str] = []
    for function in with_needs(program.functions):
        lines += _definition(function)
    return lines


def _definition(function: Function) -> list[str]:
    if function.definition:
        return [
            '@njit(cache=CACHE, error_model="numpy", forceinline=True)',
            *function.definition.strip().split("\n"),
            "",
            "",
        ]
    if function.libm:
        return [f'{function.name} = library_function("{function.libm}", {function.arity}, math.{function.math})']
    if function.built_in:
        return [f"{function.name} = {function.built_in}"]
    if function.llvm:
        return [f'{function.name} = llvm_function("{function.llvm}", np.{function.llvm})']
    return [f"{function.name} = rounded_function(math.{function.math})"] if function.math else []


def _compiled_points(program: Program) -> list[str]:
    """One signature: integers are converted on the way in, so that no kernel computes in integers."""
    numbers = f"*[{program.dtype}] * {len(program.arguments)}"
    gradient = f"types.UniTuple({program.dtype}, {len(program.gradients)})"
    return [
        "",
        "if JIT:",
        f"    SIGNATURE = types.Tuple(({program.dtype}, {gradient}))({numbers})",
        f"    {program.name}.compile(SIGNATURE)",
        f"    {program.name}.disable_compile()",
    ]
