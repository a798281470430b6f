"""The CUDA target: a program as Numba source for GPUs, everything of one point in the registers of one thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from ...functions import FUNCTIONS, Function
from ...program import Nest, Pass, Program
from ...text.expressions import WIDTH, listed, statement_lines
from ...text.module import (
    batch_function,
    body_text,
    docstring,
    kernel_function,
    legend,
    module_words,
    runtime_text,
    tables,
    tuple_text,
)
from ...text.names import free
from .arrays import DeviceText, device_text
from .functions import definitions, spelled
from .parts import Part, parts, reads


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program."""
    texts = map(runtime_text, ("cuda/runtime.py", "cuda/runtime_points.py", "cuda/runtime_arrays.py"))
    words = (
        "ARGUMENTS WRT CACHE INPUTS INTO KERNELS NEEDS_CUPY builtins points shared abs bool globals int max min print"
    )
    return module_words(*_IMPORTS, *texts) | set(words.split()) | {f"entry_{place}" for place in range(32)}


def supports(function: Function) -> bool:
    """Whether a GPU has the function: by an operator, from libdevice, or by a definition made of such."""
    if function.definition:
        return all(supports(FUNCTIONS[name]) for name in function.needs)
    return bool(function.operator or function.device or function.built_in or function.name in ("abs", "int"))


class _Module(NamedTuple):
    """What the modules over points and over arrays have each in their own way."""

    needs: str
    imports: list[str]
    functions: list[str]  # that compute
    call: list[str]  # the function that calls them
    tables: list[str]
    runtime: str


def emit(program: Program) -> str:
    """The source of a module with the same names as that of the CPU target."""
    program = _spelled(program) if program.over_points else program
    own = _over_points(program) if program.over_points else _over_arrays(program)
    lines = [
        *docstring(program, own.needs),
        "",
        *own.imports,
        "",
        *legend(program),
        *tables(program),
        *_HEAD,
        f'real, real_name = {program.dtype}, "{program.dtype}"',
    ]
    texts = ["\n".join(part) for part in (lines, own.functions, own.call, own.tables)]
    texts += [runtime_text(name).rstrip() for name in ("cuda/runtime.py", own.runtime)]
    return "\n\n\n".join([*texts, "\n".join(definitions(program))]).rstrip() + "\n"


_IMPORTS = [
    "import math",
    "import os",
    "import threading",
    "from math import inf, nan, pi",
    "",
    "import numpy as np",
    "from numba import config, cuda, float32, float64, types, uint64",
]

_HEAD = [
    'CACHE = os.path.isfile(globals().get("__file__", ""))  # compiled code is kept beside a file, if this is one',
    "SIMULATED = bool(config.ENABLE_CUDASIM)  # Numba's simulator: each thread of the GPU is one of Python's",
    "THREADS = 4 if SIMULATED else 256  # of a block",
]


def body(program: Program) -> str:
    """The kernels, and what launches them over arrays, without the fixed text around them."""
    if program.over_points:
        program = _spelled(program)
        return body_text(program, _point_functions(program, *_kernels(program, parts(program))))
    return body_text(program, _array_functions(device_text(program, reserved())))


def _kernels(program: Program, body: Sequence[Part]) -> tuple[str, list[_Kernel]]:
    """How the one-point function goes into its callers, and the kernels of a program over points."""
    if len(body) == 1 and len(program.arguments) <= _MOST_ARGUMENTS:
        return ', inline="always"', [_points(program)]
    return "", [_part_kernel(program, body, number) for number in range(len(body))]


def _point_functions(program: Program, inline: str, kernels: Sequence[_Kernel]) -> list[str]:
    lines = [f"@cuda.jit(device=True{inline})", *kernel_function(program)]
    for kernel in kernels:
        lines += ["", "", "@cuda.jit(cache=CACHE)", *kernel.lines]
    return lines


def _array_functions(text: DeviceText) -> list[str]:
    lines = [line for kernel in text.kernels for line in ("@cuda.jit(cache=CACHE)", *kernel.lines, "", "")]
    return [*lines, *text.into]


def _over_points(program: Program) -> _Module:
    body = parts(program)
    inline, kernels = _kernels(program, body)
    lines = [
        *listed("OUTPUTS = (", _quoted((*program.values, *program.gradients)), ")"),
        f"KEPT = {len(_kept(body))}  # numbers of a point that wait in memory between two kernels",
        f"LANES = {_lanes(body)}  # points at a time, 0 for all",
        "KERNELS = (  # in this order, and the arrays of each",
    ]
    for kernel in kernels:
        lines += listed(f"    ({kernel.name}, (", _quoted(kernel.arrays), ")),", "    ")
    functions = _point_functions(program, inline, kernels)
    runtime = "cuda/runtime_points.py"
    return _Module("NumPy and numba-cuda", _IMPORTS, functions, batch_function(program), [*lines, ")"], runtime)


def _over_arrays(program: Program) -> _Module:
    """Kernels over the data, and `kernel`, which launches them on whole arrays."""
    text = device_text(program, reserved())
    out, stream = free(("out", "stream"), program.arguments)
    call = listed(f"def {program.name}(", [*program.arguments, f"{out}=None", f"{stream}=0"], "):")
    call.append(
        '    """Value and gradients: on the device where an argument is there, else numbers and NumPy arrays."""'
    )
    comma = "," if len(program.arguments) == 1 else ""
    call += listed("    return run_arrays((", program.arguments, f"{comma}), {out}, {stream})", "    ")
    lines = [
        f"INTO = {program.name}_into",
        f"NEEDS_CUPY = {text.libraries}",
        "INPUTS = (  # the kind of numbers, and the rank",
        *(f'    ("{own.kind}", {len(own.shape)}),' for own in program.inputs),
        ")",
        "KERNELS = (  # and the types of their arguments",
    ]
    for kernel in text.kernels:
        comma = "," if len(kernel.types) == 1 else ""
        lines += listed(f"    ({kernel.name}, (", kernel.types, f"{comma})),", "    ")
    needs = "NumPy and numba-cuda" + (", and CuPy for linear algebra" if text.libraries else "")
    functions, runtime = _array_functions(text), "cuda/runtime_arrays.py"
    return _Module(needs, ["import builtins", *_IMPORTS], functions, call, [*lines, ")"], runtime)


# Python makes one tuple of the arguments of a call beyond these, which Numba cannot put in line.
_MOST_ARGUMENTS = 30
# Bytes of a GPU's memory for what waits between two kernels.
_KEPT_BYTES = 1 << 27


class _Kernel(NamedTuple):
    """A kernel that a grid runs, and the names of the arrays that it gets."""

    name: str
    arrays: tuple[str, ...]
    lines: list[str]


def _kept(body: Sequence[Part]) -> dict[str, int]:
    """What one part makes and a later one is given: its place in memory."""
    return {name: place for place, name in enumerate(dict.fromkeys(name for part in body for name in part.kept))}


def _lanes(body: Sequence[Part]) -> int:
    """How many points are worked on at a time where numbers of theirs are kept: a power of two."""
    kept = len(_kept(body))
    return min(1 << 18, 1 << (_KEPT_BYTES // (8 * kept)).bit_length() - 1) if kept else 0


def _points(program: Program) -> _Kernel:
    """The one-point function in a loop: each thread takes every so-many-th point."""
    outputs = (*program.values, *program.gradients)
    arrays = (*program.arguments, *outputs)
    start, stop, i, step = free(("start", "stop", "i", "step"), (program.name, *arrays))
    at = {name: f"{name}[{i}]" for name in arrays}
    value = at[program.values[0]] if len(program.values) == 1 else tuple_text([at[name] for name in program.values])
    (unused,) = free("_", (program.name, *arrays))
    gradients = tuple_text([at[name] for name in program.gradients]) if program.gradients else unused
    call = [f"{program.name}(", *[at[name] for name in program.arguments]]
    lines = _grid_loop("points", arrays, start, stop, i, step)
    results = f"        {value}, {gradients} = "
    if len(results) + sum(map(len, call)) + 2 * len(call) <= WIDTH:
        lines += listed(results + call[0], call[1:], ")", " " * 8)
    else:  # a line, or several, for the results, and for the arguments
        comma = "," if len(program.gradients) == 1 else ""
        lines += listed(f"        {value}, (", [at[name] for name in program.gradients], f"{comma}) = (", " " * 8)
        lines += [*listed(f"            {call[0]}", call[1:], ")", " " * 12), "        )"]
    return _Kernel("points", arrays, [*lines, f"        {i} += {step}"])


def _part_kernel(program: Program, body: Sequence[Part], number: int) -> _Kernel:
    """One part of the statements in a loop: each number is read where it is first used, and written when it is made."""
    part, kept = body[number], _kept(body)
    names = {name for one in body for name in (*one.given, *(s.name for own in one.sections for s in own.statements))}
    taken = (program.name, *program.arguments, *names)
    start, stop, i, step, lane, memory, own_name = free(
        ("start", "stop", "i", "step", "lane", "kept", "points" if len(body) == 1 else f"part_{number + 1}"), taken
    )
    arrays = (*(name for name in program.arguments if name in part.given), *part.outputs)
    rows = dict(zip(arrays, free([f"{name}_points" for name in arrays], taken), strict=True))
    uses_memory = [memory] if part.kept or any(name in kept for name in part.given) else []
    lines = _grid_loop(own_name, (*rows.values(), *uses_memory), start, stop, i, step)
    lines += [f"        {lane} = {i} - {start}"] * bool(uses_memory)

    def place(name: str) -> str:
        return f"{memory}[{lane} + uint64({kept[name] * _lanes(body)})]"

    waiting = set(part.given)
    statements = [(section.title, statement) for section in part.sections for statement in section.statements]
    last = {statement.name: at for at, (_, statement) in enumerate(statements)}
    title = ""
    for at, (own_title, statement) in enumerate(statements):
        if own_title != title:
            lines.append(f"        # {own_title}")
            title = own_title
        for name in reads(statement.value):
            if name in waiting:
                waiting.remove(name)
                lines.append(f"        {name} = {f'{rows[name]}[{i}]' if name in program.arguments else place(name)}")
        lines += [f"    {line}" for line in statement_lines(statement, program.dtype)]
        waiting.discard(statement.name)
        name = statement.name
        if name in part.kept and last[name] == at:
            lines.append(f"        {place(name)} = {name}")
        if name in part.outputs and last[name] == at:
            lines.append(f"        {rows[name]}[{i}] = {name}")
    extra = ("KEPT",) if uses_memory else ()
    return _Kernel(own_name, (*arrays, *extra), [*lines, f"        {i} += {step}"])


def _grid_loop(name: str, arrays: Sequence[str], start: str, stop: str, i: str, step: str) -> list[str]:
    return [
        *listed(f"def {name}(", (start, stop, *arrays), "):"),
        '    """Every point of [start, stop); unsigned places spare the test for negative ones."""',
        f"    {i}, {step} = {start} + uint64(cuda.grid(1)), uint64(cuda.gridsize(1))",
        f"    while {i} < {stop}:",
    ]


def _quoted(names: Sequence[str]) -> list[str]:
    """Names as the items of a tuple."""
    items = [f'"{name}"' for name in names]
    return [*items[:-1], f"{items[-1]}," if len(items) == 1 else items[-1]] if items else []


def _spelled(program: Program) -> Program:
    """The program with the functions that stand for operators on a GPU."""
    (walk,) = program.steps
    assert isinstance(walk, Pass)
    (nest,) = walk.steps
    assert isinstance(nest, Nest)
    body = tuple(own._replace(value=spelled(own.value, program.accuracy)) for own in nest.body)
    return replace(program, steps=(walk._replace(steps=(nest._replace(body=body),)),))
