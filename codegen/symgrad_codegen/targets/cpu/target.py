"""The CPU target: a program as Numba source that LLVM vectorises over blocks of points, or of the data of arrays."""

from __future__ import annotations

from functools import cache

from ...program import Program
from ...text.module import Module, body_text, module_text, module_words, runtime_text
from . import arrays, points
from .functions import definitions

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


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program."""
    texts = map(runtime_text, ("cpu/runtime.py", points.RUNTIME, arrays.RUNTIME))
    return module_words(*_IMPORTS, *texts) | set(
        "ARGUMENTS WRT VALUES ENTRIES CACHE SIGNATURE dict globals abs int print".split()
    )


def emit(program: Program) -> str:
    """The source of a module: the kernel, ARGUMENTS and WRT or ENTRIES first, the fixed run-time text below."""
    own, strict = _module(program), program.accuracy == "strict"
    constants = [
        'CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one',
        *own.constants,
        f"VECTORISE = {not strict}  # SIMD functions and fused multiply-add; else the bits of plain Python",
        f'real, real_name = {program.dtype}, "{program.dtype}"',
    ]
    runtime = [runtime_text("cpu/runtime.py"), own.runtime]
    return module_text(program, own, _IMPORTS, constants, runtime, definitions(program))


def body(program: Program) -> str:
    """The functions of the module, without the fixed text around them."""
    return body_text(program, _module(program).functions)


def _module(program: Program) -> Module:
    return points.module(program) if program.over_points else arrays.module(program, reserved())
