"""What is known of an operation: one row of the table of gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

# What evaluators and references compute with: a float, an integer, a truth value, an array of NumPy of these, or a
# number of mpmath, which has no types.
Numeric: TypeAlias = Any
Reference: TypeAlias = Callable[..., Numeric]

Kind = Literal["real", "integer", "boolean"]

# What else may be known of an operation.
Trait = Literal[
    "finite",  # wherever its arguments are
    "non_negative",  # wherever it is real, however it rounds
    "step",  # its value jumps: a rounding before it may move a point over it
    "comparing",  # a step where its first two arguments are equal
    "edge",  # beyond it there is no real number
    "growing",  # overflows, or is flat, far out: where nothing is left to be written out
    "periodic",
    "exact",  # the result is one of the arguments, or a whole number
    "passing",  # an infinity that comes out has come in
    "conditional",  # the first argument is a condition
    "choosing",  # which argument the result is depends on the numbers
    "whole",  # an integer where the arguments are
    "rounding",  # an integer whatever the arguments are
    "connective",  # of conditions
    "comparison",
    "ordered",  # the first argument is a number, its order
]


@dataclass(frozen=True, eq=False)
class Gate:
    """An operation: everything that is known of it. The rows are in gates/."""

    name: str
    # The partial derivative by each argument, as views: called with the result, then the arguments.
    local_gradients: Callable[..., tuple[Any, ...]] | None = None
    # The same value said in simpler gates; applied after differentiation. None: the target spells the gate.
    expansion: Callable[..., Any] | None = None
    numpy: Reference | None = None  # reference implementation on floats and arrays
    mpmath: Reference | None = None  # reference implementation at any precision
    kind: Kind = "real"  # of the result
    commutative: bool = False
    safe: Callable[..., Any] | None = None  # of a limited domain: a point in it, made of the first argument
    label: str = ""  # what people write on it in a drawing; empty: its name
    noun: str = ""  # what people call its result, where that has no name of the user's; empty: its name
    # How it is written in LaTeX: a sign between its arguments or before them, a word or a command as a function's name,
    # or a text with the argument as #1; empty: its name.
    latex: str = ""
    # Whether it is an analytic function (but for poles and branch points), so that a complex step gives its derivative:
    # then its reference for mpmath takes complex numbers.
    analytic: bool = True
    has: frozenset[Trait] = frozenset()
