"""Programs as text, for reading: what `symgrad emit --stage program` prints."""

from __future__ import annotations

from .array_program import ArrayProgram
from .program import Program
from .text.expressions import expression_text, step_text


def program_text(program: Program | ArrayProgram) -> str:
    """A program in pseudo-code, a line for each statement."""
    lines = [f"program {program.name}({', '.join(program.arguments)}): {program.dtype}, {program.accuracy}"]
    if isinstance(program, ArrayProgram):
        for step in program.steps:
            lines += step_text(step)
    else:
        lines.append(f"for every index of {program.loop.axis}:")
        for section in program.loop.sections:
            lines.append(f"    # {section.title}")
            lines += [f"    {own.name} = {expression_text(own.value, 'float64')}" for own in section.statements]
    lines.append(f"values: {', '.join(program.values)}")
    return "\n".join([*lines, f"gradients: {', '.join(program.gradients)}"])
