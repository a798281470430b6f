"""Blocks of lanes: how the CPU target walks the points so that LLVM vectorises the loop."""

from __future__ import annotations

from ...program import Program
from ...text.expressions import WIDTH, listed
from ...text.module import tuple_text
from ...text.names import free

# Points per block: enough to amortise the slicing, few enough that the streamed rows of a block stay in the L1 cache.
_SMALL, _LARGE = 64, 256
_LARGE_BODY = 300  # operations, from which on a padded block costs more than the slicing


# Outputs beyond this many bytes do not stay in the cache. They are streamed past it where memory is what a kernel waits
# for: where it does no more than this many operations for each array; a library function counts as ten.
_STREAMED = "1 << 26"
_LIGHT_BODY, _LIBRARY_CALL = 6, 10


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
    wanted = ("start", "stop", "rows", "i", "j", "_", *(f"{name}_block" for name in arrays))
    start, stop, row, i, j, unused, *blocks = free(wanted, {program.name, *arrays})
    reads = dict(zip(arrays, blocks, strict=True))
    inputs = [f"{reads[name]}[{j}]" for name in program.arguments]
    values = [f"{reads[name]}[{j}]" for name in program.values]
    gradients = tuple_text([f"{reads[name]}[{j}]" for name in program.gradients])
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
    value = values[0] if len(values) == 1 else tuple_text(values)
    # The call is one statement that stores everything; where it is long, in a line per part.
    call = f"{program.name}({', '.join(inputs)})"
    targets = f"{value}, {gradients if program.gradients else unused}"
    if len(targets) + len(call) > WIDTH - 16:
        comma = "," if len(program.gradients) == 1 else ""
        lines += listed(
            f"            {value}, (", [f"{reads[n]}[{j}]" for n in program.gradients], f"{comma}) = (", " " * 12
        )
        lines += listed(f"                {program.name}(", inputs, ")", " " * 16)
        lines.append("            )")
    else:
        lines.append(f"            {targets} = {call}")
    lines.append(f"        if {row} is not None:")
    lines += [f"            stream({name}, {i}, {reads[name]})" for name in outputs]
    return lines
