"""Points on the CPU: the one-point function, walked by blocks of lanes, so that LLVM vectorises the loop."""

from __future__ import annotations

from ...program import Program
from ...text.expressions import listed
from ...text.module import Module, batch_function, call_lines, kernel_function, runtime_text
from ...text.names import free
from .functions import options

RUNTIME = "cpu/runtime_points.py"

# Points per block: enough to amortise the slicing, few enough that the streamed rows of a block stay in the L1 cache.
_SMALL, _LARGE = 64, 256
_LARGE_BODY = 300  # operations, from which on a padded block costs more than the slicing


# Outputs beyond this many bytes do not stay in the cache. They are streamed past it where memory is what a kernel waits
# for: where it does no more than this many operations for each array; a library function counts as ten.
_STREAMED = "1 << 26"
_LIGHT_BODY, _LIBRARY_CALL = 6, 10


def module(program: Program) -> Module:
    """`kernel` of one point and `kernel_batch` over many."""
    constants = [
        f"BLOCK = {block_size(program)}  # points",
        f"STREAMED_BYTES = {streamed_bytes(program)}  # larger outputs are streamed past the cache",
    ]
    functions = [
        f"@njit(cache=CACHE, nogil=True, {options(program)}, forceinline=True)",
        *kernel_function(program),
        "",
        "",
        f"@njit(cache=CACHE, nogil=True, {options(program)})",
        *points_function(program),
        "",
        "",
        *batch_function(program),
    ]
    return Module(
        "NumPy and Numba",
        functions,
        constants=constants,
        runtime=runtime_text(RUNTIME),
        compiled=_compiled(program),
    )


def streamed_bytes(program: Program) -> str:
    """From how many bytes of outputs on they are streamed past the cache, as source; inf for never."""
    cost = program.operations + _LIBRARY_CALL * sum(bool(function.libm) for function in program.calls)
    arrays = len(program.arguments) + len(program.values) + len(program.gradients)
    return _STREAMED if cost <= _LIGHT_BODY * arrays else "inf"


def block_size(program: Program) -> int:
    """Points per block: a multiple of every vector length, and the constant trip count of the inner loop."""
    return _SMALL if program.operations > _LARGE_BODY else _LARGE


def points_function(program: Program) -> list[str]:
    """The function that fills every point of [start, stop), which holds whole blocks."""
    outputs = (*program.values, *program.gradients)
    arrays = (*program.arguments, *outputs)
    wanted = ("start", "stop", "rows", "i", "j", *(f"{name}_block" for name in arrays))
    start, stop, row, i, j, *blocks = free(wanted, {program.name, *arrays})
    reads = dict(zip(arrays, blocks, strict=True))
    lines = [
        *listed("def points(", (start, stop, *program.arguments, *outputs, row), "):"),
        '    """The kernel at [start, stop), whole blocks; `rows` is given where outputs are streamed."""',
        "    wide_and_unaliased()",
        f"    for {i} in range({start}, {stop}, BLOCK):",
    ]
    lines += [f"        {reads[name]} = {name}[{i}:{i} + BLOCK]" for name in program.arguments]
    lines.append(f"        if {row} is None:")
    lines += [f"            {reads[name]} = {name}[{i}:{i} + BLOCK]" for name in outputs]
    lines.append("        else:")
    lines += [f"            {reads[name]} = {row}[{place}]" for place, name in enumerate(outputs)]
    lines.append(f"        for {j} in range(BLOCK):")
    lines += call_lines(program, lambda name: f"{reads[name]}[{j}]", " " * 12)
    lines.append(f"        if {row} is not None:")
    lines += [f"            stream({name}, {i}, {reads[name]})" for name in outputs]
    return lines


def _compiled(program: Program) -> list[str]:
    """One signature: integers are converted on the way in, so that no kernel computes in integers."""
    numbers = f"*[{program.dtype}] * {len(program.arguments)}"
    values = program.dtype if len(program.values) == 1 else f"types.UniTuple({program.dtype}, {len(program.values)})"
    gradient = f"types.UniTuple({program.dtype}, {len(program.gradients)})"
    return [
        "",
        "if JIT:",
        f"    SIGNATURE = types.Tuple(({values}, {gradient}))({numbers})",
        f"    {program.name}.compile(SIGNATURE)",
        f"    {program.name}.disable_compile()",
    ]
