"""The CUDA target: a program as Numba source for GPUs; each thread has a point, or an index of the data of arrays."""

from __future__ import annotations

from functools import cache

from ...program import Program
from ...text.module import Module, body_text, module_text, module_words, runtime_text
from . import arrays, points
from .functions import definitions, supports

__all__ = ["body", "emit", "reserved", "supports"]

_IMPORTS = [
    "import math",
    "import os",
    "import threading",
    "from math import inf, nan, pi",
    "",
    "import numpy as np",
    "from numba import config, cuda, float32, float64, types, uint64",
]

_CONSTANTS = [
    'CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one',
    "SIMULATED = bool(config.ENABLE_CUDASIM)  # Numba's simulator: each thread of the GPU is one of Python's",
    "THREADS = 4 if SIMULATED else 256  # of a block",
]


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program."""
    texts = map(runtime_text, ("cuda/runtime.py", points.RUNTIME, arrays.RUNTIME))
    words = "ARGUMENTS WRT VALUES ENTRIES CACHE INPUTS INTO SHAPES KERNELS NEEDS_CUPY builtins points shared"
    words += " abs bool globals int max min print"
    return module_words(*_IMPORTS, *texts) | set(words.split()) | {f"entry_{place}" for place in range(32)}


def emit(program: Program) -> str:
    """The source of a module with the same names as that of the CPU target."""
    own = _module(program)
    constants = [*_CONSTANTS, *own.constants, f'real, real_name = {program.dtype}, "{program.dtype}"']
    runtime = [runtime_text("cuda/runtime.py"), own.runtime]
    return module_text(program, own, _IMPORTS, constants, runtime, definitions(program))


def body(program: Program) -> str:
    """The kernels, and what launches them over arrays, without the fixed text around them."""
    return body_text(program, _module(program).functions)


def _module(program: Program) -> Module:
    return points.module(program) if program.over_points else arrays.module(program, reserved())
