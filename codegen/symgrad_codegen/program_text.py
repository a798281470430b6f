"""Programs as text, for reading: what `symgrad emit --stage program` prints."""

from __future__ import annotations

from .program import Program
from .text.expressions import step_text
from .text.points import with_entries


def program_text(program: Program) -> str:
    """A program in pseudo-code, a line for each statement."""
    lines = [f"program {program.name}({', '.join(program.arguments)}): {program.dtype}, {program.accuracy}"]
    for step in with_entries(program).steps:
        lines += step_text(step)
    lines.append(f"values: {', '.join(program.values)}")
    return "\n".join([*lines, f"gradients: {', '.join(program.gradients)}"])
