"""The table of gates, and how one is entered into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from ..graph.gate import Gate, Kind, Numeric, Reference, Trait
from ..graph.node import View

GATES: dict[str, Gate] = {}
BY_CLASS: dict[type, str] = {}  # SymPy class to gate, where the arguments correspond one to one

# Where a gate is tried by the generated tests: an ordinary interval per argument, and its trouble points.
ORDINARY: dict[str, tuple[tuple[float, float], ...]] = {}
TROUBLE: dict[str, tuple[tuple[float, ...], ...]] = {}

# Constants that are no rationals: their value at mpmath's working precision.
CONSTANTS: dict[str, Callable[[], Numeric]] = {
    "pi": lambda: +mpmath.mp.pi,
    "E": lambda: +mpmath.mp.e,
    "EulerGamma": lambda: +mpmath.mp.euler,
    "GoldenRatio": lambda: +mpmath.mp.phi,
    "Catalan": lambda: +mpmath.mp.catalan,
    "TribonacciConstant": lambda: (
        (1 + mpmath.cbrt(19 - 3 * mpmath.sqrt(33)) + mpmath.cbrt(19 + 3 * mpmath.sqrt(33))) / 3
    ),
    "oo": lambda: mpmath.mpf("inf"),
    "-oo": lambda: mpmath.mpf("-inf"),
    "nan": lambda: mpmath.mpf("nan"),
}

HALF = Fraction(1, 2)


def gate(
    name: str,
    sympy_class: type | None = None,
    numpy: Reference | None = None,
    mpmath: Reference | None = None,
    *,
    on: tuple[tuple[float, float], ...] = ((-2.0, 2.0),),
    trouble: tuple[tuple[float, ...], ...] = (),
    expansion: Callable[..., View] | None = None,
    kind: Kind = "real",
    commutative: bool = False,
    safe: Callable[..., View] | None = None,
    label: str = "",
    noun: str = "",
    latex: str = "",
    analytic: bool = True,
    has: Iterable[Trait] = (),
) -> Callable[[Callable[..., tuple[View, ...]] | None], None]:
    """Enter a gate into the table; what is decorated gives its local gradients."""

    def enter(rule: Callable[..., tuple[View, ...]] | None) -> None:
        GATES[name] = Gate(
            name, rule, expansion, numpy, mpmath, kind, commutative, safe, label, noun, latex, analytic, frozenset(has)
        )
        ORDINARY[name], TROUBLE[name] = on, trouble
        if sympy_class is not None:
            BY_CLASS[sympy_class] = name

    return enter


def no_gradient(name: str, *args: Any, **options: Any) -> None:
    """Enter a gate that has no derivative of its own: leaves, conditions, and what only gradients use."""
    gate(name, *args, **options)(None)


def elementwise(function: Callable[..., float]) -> Reference:
    """A function of Python's math module on arrays; a domain error is NaN, a pole infinity."""

    def one(*values: float) -> float:
        try:
            return function(*map(float, values))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return np.vectorize(one, otypes=[float])


def constant(like: View, number: Fraction | int | str) -> View:
    return like.node.table.constant(number)


# Safe points of limited domains. Made of the argument: a constant LLVM would fold, back to a branch that is no vector.
def beyond_one(a: View) -> View:
    return a.call("abs") + 1


def within_one(a: View) -> View:
    return 1 / (a.call("abs") + 1)


PAIR = ((0.5, 2.0), (0.5, 2.0))
