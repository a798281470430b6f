"""The targets: one line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..functions import Function
from ..program import Program
from . import python
from .cpu import target as cpu
from .cuda import target as cuda
from .javascript import target as javascript


class Target(NamedTuple):
    """How to print a program, and of it what is about the mathematics; names that modules use, and what they have."""

    about: str  # what a module is, and for whom: what lists of the targets say
    suffix: str  # of a file that holds a module
    emit: Callable[[Program], str]
    body: Callable[[Program], str]
    reserved: Callable[[], frozenset[str]]
    supports: Callable[[Function], bool]
    arrays: bool = True  # whether it prints programs over arrays
    checks: bool = False  # whether its modules check indices; else who calls them has done so
    patterns: bool = True  # whether its modules say where the entries of sparse derivatives are
    peels: bool = False  # whether the ends of loops, where terms are masked, are better loops of their own


def _every(function: Function) -> bool:
    return True


TARGETS: dict[str, Target] = {
    "cpu": Target("Numba, for CPUs", "py", cpu.emit, cpu.body, cpu.reserved, _every, peels=True),
    "cuda": Target("Numba, for GPUs", "py", cuda.emit, cuda.body, cuda.reserved, cuda.supports),
    "javascript": Target(
        "an ES module, for Node and pages",
        "js",
        javascript.emit,
        javascript.body,
        javascript.reserved,
        javascript.supports,
        checks=True,
        patterns=False,
    ),
    "python": Target("plain Python", "py", python.emit, python.body, python.reserved, _every),
}
