"""The targets: one line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import cpu, python
from .array_program import ArrayProgram
from .program import Program


class Target(NamedTuple):
    """How to print a program, and which names its modules use themselves."""

    emit: Callable[[Program | ArrayProgram], str]
    reserved: frozenset[str]


TARGETS: dict[str, Target] = {
    "cpu": Target(cpu.emit, cpu.RESERVED),
    "python": Target(python.emit, python.RESERVED),
}
