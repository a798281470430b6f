"""The words of the language of expr.txt: its functions and constants, and how each is built."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import sympy

from ..gates.table import BY_CLASS, ORDINARY
from ..reductions import Largest, Smallest
from .arrays import integer
from .construct import (
    COMPARED,
    COMPARISONS,
    CONDITION,
    HUGE_DIGITS,
    MEDIUM,
    MINUS_ONE,
    NUMBER,
    ONE,
    RANGE,
    TUPLE,
    TWO,
    Value,
    add,
    build,
    expect,
    hides_power,
    is_shallow,
    is_small,
    logic,
    modulo,
    multiply,
    negative,
    piecewise,
    power,
    rational,
    reciprocal,
    relation,
)
from .linear_algebra import (
    det,
    diag,
    dot,
    eye,
    inv,
    logdet,
    matmul,
    mean,
    norm,
    ones,
    outer,
    solve,
    trace,
    transpose,
    zeros,
)
from .messages import Mistake, offset_of, short

if TYPE_CHECKING:
    from lark import Token

Build = Callable[..., Value]  # (the function's name in the text, *its arguments); of ARRAYS, Elements before these


class Function(NamedTuple):
    build: Build
    least: int
    most: float  # math.inf: any number
    elementwise: bool = True  # of arrays, it is that of their elements; else its arguments are numbers

    def takes(self) -> str:
        if self.most == math.inf:
            return f"at least {self.least} argument{'s' * (self.least != 1)}"
        numbers = " or ".join(str(n) for n in range(self.least, int(self.most) + 1))
        return f"{numbers} argument{'s' * (self.most != 1)}"


def _elementary(function: Callable[..., sympy.Basic]) -> Build:
    def call(at: Token, *arguments: Value) -> Value:
        expect(at, NUMBER, *arguments)
        return build(at, function, list(arguments), evaluate=is_small(list(arguments), MEDIUM))

    return call


def _condition(function: Callable[..., sympy.Basic]) -> Build:
    if function in COMPARISONS.values():
        return functools.partial(relation, function)
    return lambda at, *conditions: logic(function, at, list(conditions))


def _extremum(function: Callable[..., sympy.Basic]) -> Build:
    # SymPy compares each argument with each other one.
    def call(at: Token, *arguments: Value) -> Value:
        expect(at, NUMBER, *arguments)
        return build(at, function, list(arguments), evaluate=is_small(list(arguments), COMPARED))

    return call


def _factorial_like(function: Callable[..., sympy.Basic]) -> Build:
    # gamma(10**8) would be computed digit by digit.
    def call(at: Token, x: Value) -> Value:
        expect(at, NUMBER, x)
        grows = x.expr.is_Rational and abs(x.expr) > HUGE_DIGITS
        return build(at, function, [x], evaluate=is_small([x], MEDIUM), grows=grows)

    return call


def sqrt(at: Token, x: Value) -> Value:
    return power(at, x, rational(sympy.Rational(1, 2), x.at))


def cbrt(at: Token, x: Value) -> Value:
    return power(at, x, rational(sympy.Rational(1, 3), x.at))


def root(at: Token, x: Value, n: Value) -> Value:
    return power(at, x, reciprocal(at, n))


def log(at: Token, x: Value, base: Value | None = None) -> Value:
    natural = _elementary(sympy.log)
    if base is None:
        return natural(at, x)
    scale = reciprocal(at, natural(at, base))
    return natural(at, x, base) if x.constant and base.constant else multiply(at, [natural(at, x), scale])


def log2(at: Token, x: Value) -> Value:
    return log(at, x, TWO)


def log10(at: Token, x: Value) -> Value:
    return log(at, x, rational(sympy.Integer(10), x.at))


def log1p(at: Token, x: Value) -> Value:
    return log(at, add(at, [ONE, x]))


def exp(at: Token, x: Value) -> Value:
    expect(at, NUMBER, x)
    small = is_small([x], MEDIUM)
    return build(at, sympy.exp, [x], evaluate=small, grows=small and hides_power(x))


def expm1(at: Token, x: Value) -> Value:
    return add(at, [exp(at, x), MINUS_ONE])


def sigmoid(at: Token, x: Value) -> Value:
    return reciprocal(at, add(at, [ONE, exp(at, negative(at, x))]))


def softplus(at: Token, x: Value) -> Value:
    return log1p(at, exp(at, x))


def relu(at: Token, x: Value) -> Value:
    return _extremum(sympy.Max)(at, rational(sympy.Integer(0), x.at), x)


def hypot(at: Token, a: Value, b: Value) -> Value:
    return sqrt(at, add(at, [power(at, a, TWO), power(at, b, TWO)]))


def piecewise_call(at: Token, *pairs: Value) -> Value:
    branches = []
    for pair in pairs:
        if pair.kind != TUPLE or len(pair.expr) != 2:
            raise Mistake("Piecewise takes pairs (value, condition)", pair.at)
        expect(at, NUMBER, pair.expr[0])
        expect(at, CONDITION, pair.expr[1])
        branches.append(pair.expr)
    return piecewise(at, branches)


def derivative(at: Token, value: Value, *variables: Value) -> Value:
    expect(at, NUMBER, value)
    if not is_small([value]) or not is_shallow([value]):
        raise Mistake(
            "Derivative of an expression as large, or nested as deep, as this is not supported", offset_of(at)
        )
    counts = []
    for variable in variables:
        symbol, times = variable.expr if variable.kind == TUPLE and len(variable.expr) == 2 else (variable, ONE)
        real = symbol.kind == NUMBER and symbol.expr.is_Symbol and not symbol.expr.is_integer
        if not (real and times.expr in range(1, 101)):
            raise Mistake("Derivative takes variables x or pairs (x, times), at most 100 times", variable.at)
        counts.append((symbol.expr, times.expr))

    def derived(expr: sympy.Basic, evaluate: bool = False) -> sympy.Basic:
        return sympy.Derivative(expr, *counts)  # which never evaluates by itself

    return build(at, derived, [value])


def kronecker_delta(at: Token, i: Value, j: Value) -> Value:
    for index in (i, j):
        integer(index, "an index", gathers=True)
    return build(at, sympy.KroneckerDelta, [i, j])


def range_call(at: Token, *bounds: Value) -> Value:
    if len(bounds) == 3:
        raise Mistake("a range has no step here; write the index of an array as 2*i", bounds[2].at)
    for bound in bounds:
        integer(bound, "a bound")
    low, high = (rational(sympy.Integer(0), offset_of(at)), *bounds)[-2:]
    return Value((low, add(at, [high, MINUS_ONE])), RANGE, offset_of(at))


def _not_yet(what: str) -> Build:
    def refuse(at: Token, *arguments: Value) -> Value:
        raise Mistake(f"{what} is not supported yet", offset_of(at))

    return refuse


# The gates that SymPy has a class for, with as many arguments as the table has intervals; then what needs more care.
FUNCTIONS: dict[str, Function] = {
    kind.__name__: Function(_elementary(kind), len(ORDINARY[gate]), len(ORDINARY[gate]))
    for kind, gate in BY_CLASS.items()
}
FUNCTIONS |= {name: Function(_elementary(getattr(sympy, name)), 1, 1) for name in ("re", "im", "conjugate")}
FUNCTIONS |= {rule.__name__: Function(rule, 1, 1) for rule in (exp, sqrt, cbrt, log2, log10, log1p, expm1)}
FUNCTIONS |= {rule.__name__: Function(rule, 1, 1) for rule in (sigmoid, softplus, relu)}
FUNCTIONS |= {name: Function(_condition(getattr(sympy, name)), 2, 2) for name in ("Eq", "Ne", "Lt", "Le", "Gt", "Ge")}
FUNCTIONS |= {name: Function(_condition(getattr(sympy, name)), 1, math.inf) for name in ("And", "Or", "Xor")}
FUNCTIONS |= {name: Function(_extremum(getattr(sympy, name)), 1, math.inf) for name in ("Max", "Min")}
FUNCTIONS |= {
    "log": Function(log, 1, 2),
    "root": Function(root, 2, 2),
    "hypot": Function(hypot, 2, 2),
    "Mod": Function(modulo, 2, 2),
    "Heaviside": Function(_elementary(sympy.Heaviside), 1, 2),
    "gamma": Function(_factorial_like(sympy.gamma), 1, 1),
    "loggamma": Function(_factorial_like(sympy.loggamma), 1, 1),
    "range": Function(range_call, 1, 3, elementwise=False),
    "KroneckerDelta": Function(kronecker_delta, 2, 2, elementwise=False),
    "Integral": Function(_not_yet("Integral(...)"), 0, math.inf),
    "ITE": Function(_condition(sympy.ITE), 3, 3),
    "Not": Function(_condition(sympy.Not), 1, 1),
    "Piecewise": Function(piecewise_call, 1, math.inf),
    "Derivative": Function(derivative, 2, math.inf, elementwise=False),
}

# Of whole arrays: their builders take Elements first.
ARRAYS = {rule.__name__: Function(rule, 1, 1) for rule in (transpose, trace, norm, mean, diag, eye, inv, det, logdet)}
ARRAYS |= {rule.__name__: Function(rule, 2, 2) for rule in (matmul, dot, outer, solve)}
ARRAYS |= {rule.__name__: Function(rule, 1, math.inf) for rule in (zeros, ones)}
ARRAYS["identity"] = ARRAYS["eye"]

# Of one argument, a loop or an array: over all its terms.
REDUCTIONS = {"sum": sympy.Sum, "prod": sympy.Product, "Max": Largest, "Min": Smallest}
LIMITED = {"Sum": sympy.Sum, "Product": sympy.Product, "Largest": Largest, "Smallest": Smallest}
# What a term is that a loop's `if` leaves out.
LEFT_OUT = {sympy.Sum: sympy.S.Zero, sympy.Product: sympy.S.One, Largest: -sympy.oo, Smallest: sympy.oo}

ALIASES = {"ln": "log", "abs": "Abs", "fabs": "Abs", "max": "Max", "min": "Min"}
ALIASES |= {"ceil": "ceiling", "lgamma": "loggamma", "arctan2": "atan2"}
ALIASES |= {f"arc{name[1:]}": name for name in FUNCTIONS if name[0] == "a" and name[1:] in FUNCTIONS}

CONSTANTS = {
    "pi": sympy.pi,
    "E": sympy.E,
    "EulerGamma": sympy.EulerGamma,
    "GoldenRatio": sympy.GoldenRatio,
    "Catalan": sympy.Catalan,
    "TribonacciConstant": sympy.TribonacciConstant,
    "oo": sympy.oo,
    "nan": sympy.nan,
}


def unknown_function(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name[:50], [*FUNCTIONS, *ALIASES, *ARRAYS, *REDUCTIONS, *LIMITED], 1)
    return f"unknown function '{short(name)}'" + (f"; did you mean '{near[0]}'?" if near else "")
