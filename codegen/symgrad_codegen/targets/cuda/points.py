"""Points on a GPU: one for each thread, with everything of it in registers; a long body is several kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...program import Program
from ...text.expressions import listed, statement_lines
from ...text.module import (
    Module,
    batch_function,
    call_lines,
    kernel_function,
    quoted,
    runtime_text,
    tuple_lines,
)
from ...text.names import free
from ...text.points import with_body
from .functions import kernel_table, spelled
from .parts import Part, parts, reads

RUNTIME = "cuda/runtime_points.py"

# Python makes one tuple of the arguments of a call beyond these, which Numba cannot put in line.
_MOST_ARGUMENTS = 30
# Bytes of a GPU's memory for what waits between two kernels.
_KEPT_BYTES = 1 << 27


class _Kernel(NamedTuple):
    """A kernel that a grid runs, and the names of the arrays that it gets."""

    name: str
    arrays: tuple[str, ...]
    lines: list[str]


def module(program: Program) -> Module:
    """`kernel` of one point, the kernels of a grid, and `kernel_batch` over many points."""
    program = _spelled(program)
    body = parts(program)
    inline, kernels = _kernels(program, body)
    functions = [f"@cuda.jit(device=True{inline})", *kernel_function(program)]
    for kernel in kernels:
        functions += ["", "", "@cuda.jit(cache=CACHE)", *kernel.lines]
    callers = [
        *batch_function(program),
        "",
        "",
        *tuple_lines("OUTPUTS = ", quoted((*program.values, *program.gradients))),
        f"KEPT = {len(_kept(body))}  # numbers of a point that wait in memory between two kernels",
        f"LANES = {_lanes(body)}  # points at a time, 0 for all",
        *kernel_table("in this order, and the arrays of each", {own.name: quoted(own.arrays) for own in kernels}),
    ]
    return Module("NumPy and numba-cuda", functions, callers=callers, runtime=runtime_text(RUNTIME))


def _kernels(program: Program, body: Sequence[Part]) -> tuple[str, list[_Kernel]]:
    """How the one-point function goes into its callers, and the kernels of a program over points."""
    if len(body) == 1 and len(program.arguments) <= _MOST_ARGUMENTS:
        return ', inline="always"', [_points(program)]
    return "", [_part_kernel(program, body, number) for number in range(len(body))]


def _kept(body: Sequence[Part]) -> dict[str, int]:
    """What one part makes and a later one is given: its place in memory."""
    return {name: place for place, name in enumerate(dict.fromkeys(name for part in body for name in part.kept))}


def _lanes(body: Sequence[Part]) -> int:
    """How many points are worked on at a time where numbers of theirs are kept: a power of two."""
    kept = len(_kept(body))
    return min(1 << 18, 1 << (_KEPT_BYTES // (8 * kept)).bit_length() - 1) if kept else 0


def _points(program: Program) -> _Kernel:
    """The one-point function in a loop: each thread takes every so-many-th point."""
    arrays = (*program.arguments, *program.values, *program.gradients)
    start, stop, i, step = free(("start", "stop", "i", "step"), (program.name, *arrays))
    lines = _grid_loop("points", arrays, start, stop, i, step)
    lines += call_lines(program, lambda name: f"{name}[{i}]", " " * 8)
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

    # Memory holds numbers; an operator of conditions takes none.
    made = (statement for one in body for section in one.sections for statement in section.statements)
    conditions = {statement.name for statement in made if statement.kind == "boolean"}
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
                kept_text = f"{place(name)} != 0.0" if name in conditions else place(name) if name in kept else ""
                lines.append(f"        {name} = {kept_text or f'{rows[name]}[{i}]'}")
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


def _spelled(program: Program) -> Program:
    """The program with the functions that stand for operators on a GPU."""
    return with_body(program, (own._replace(value=spelled(own.value, program.accuracy)) for own in program.body))
