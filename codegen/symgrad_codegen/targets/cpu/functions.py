"""What a module calls, as the CPU has it: functions, and how those of the module are compiled."""

from __future__ import annotations

from ...functions import Function, with_needs
from ...program import Program


def options(program: Program) -> str:
    """How Numba compiles a function, beside what every one says: divisions by zero and fused multiply-add."""
    return 'error_model="numpy"' + ("" if program.accuracy == "strict" else ', fastmath={"contract"}')


def definitions(program: Program) -> list[str]:
    """The functions that the kernel calls."""
    return [line for function in with_needs(program.functions) for line in _definition(function)]


def _definition(function: Function) -> list[str]:
    if function.definition:
        return [
            '@njit(cache=CACHE, error_model="numpy", forceinline=True)',
            *function.definition.strip().split("\n"),
            "",
            "",
        ]
    if function.libm:
        return [f'{function.name} = library_function("{function.libm}", {function.arity}, math.{function.math})']
    if function.built_in:
        return [f"{function.name} = {function.built_in}"]
    if function.llvm:
        return [f'{function.name} = llvm_function("{function.llvm}", np.{function.llvm})']
    return [f"{function.name} = rounded_function(math.{function.math})"] if function.math else []
