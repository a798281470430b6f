"""The gates: one row per operation, everything that is known of it.

A rule is a small `def` under `@gate(...)`: the result first, then the arguments; it gives one local gradient per
argument, written in the result where that is cheaper. What a rule costs in accuracy at its trouble points stands beside
it. Lowering, differentiation, evaluation, emission and tests all read this table; how a target spells a gate is the
record of the same name in symgrad_codegen/functions.py, and a gate that no target spells has an `expansion` instead.

Rules follow ISO 80000-2 and Abramowitz & Stegun chapters 4, 6 and 7; conventions at kinks are in docs/conventions.md.
"""

from . import (
    arithmetic,
    conditions,
    exponential,
    hyperbolic,
    linear_algebra,
    reductions,
    roots,
    special,
    trigonometric,
)

# Each enters its rows as it is imported.
__all__ = [
    "arithmetic",
    "conditions",
    "exponential",
    "hyperbolic",
    "linear_algebra",
    "reductions",
    "roots",
    "special",
    "trigonometric",
]
