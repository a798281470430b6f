"""Lowering of expressions: from SymPy to views of one table, walked by object identity and without recursion.

What is known of a SymPy class is one row: a function that builds its view, and what of it has to be lowered before.
Those of numbers, functions and conditions stand here; those of sums and indices in indexed.py, of branches in
regions.py, of matrices in matrices.py and blocks.py, of SymPy's array expressions in array_expressions.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import reduce

import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from ..errors import UnsupportedExpression
from ..gates.arithmetic import factor_and_divisor, power_of
from ..gates.special import LARGEST_ORDER
from ..gates.table import BY_CLASS, HALF
from ..graph.gate import Gate
from ..graph.graph import reachable
from ..graph.node import Builder, View, positional
from ..graph.sums import chained, constraints_of, guarded, is_guarded
from .derivatives import resolved
from .registry import Build, alone, lowers, row_of
from .unsupported import describe, unsupported

# A SymPy number beyond this many binary digits is refused: it could not even be printed.
_MAX_EXPONENT = 100_000


class Lowering:
    """Lowers expressions into one table; `views` says what each symbol stands for."""

    def __init__(
        self, table: Builder, views: Mapping[sympy.Basic, View], gates: Iterable[type] = (), any_gate: bool = False
    ) -> None:
        self.table = table
        self.symbols = views
        self.own = tuple(gates)
        self.any_gate = any_gate  # inside a gate of the user's, the gates that it is made of
        self.memo: dict[int, View] = {}
        self.kept: list[object] = []  # holds what is known by its id, so that no id is used again
        for function in self.own:
            if not isinstance(getattr(function, "symgrad_gate", None), Gate):
                raise TypeError(f"gates takes functions made by symgrad.gate, not {function!r}")

    def __call__(self, expression: sympy.Basic) -> View:
        # A part is on the stack twice: to put its arguments before it, then to be built from them.
        stack: list[tuple[sympy.Basic, tuple[sympy.Basic, ...] | None]] = [(expression, None)]
        while stack:
            part, children = stack.pop()
            if id(part) in self.memo:
                continue
            if children is None:
                children = self._children(part)
                stack.append((part, children))
                stack.extend((child, None) for child in reversed(children) if id(child) not in self.memo)
            else:
                self.kept.append((part, children))
                self.memo[id(part)] = self._build(part, [self.memo[id(child)] for child in children])
        return self.memo[id(expression)]

    def _children(self, part: sympy.Basic) -> tuple[sympy.Basic, ...]:
        row = row_of(part)
        if row is None and not (isinstance(part, self.own) or (self.any_gate and hasattr(part, "symgrad_gate"))):
            raise unsupported(part)  # before its arguments are looked at: the part is what is not supported
        return tuple(part.args) if row is None or row.children is None else row.children(self, part)

    def _build(self, part: sympy.Basic, arguments: list[View]) -> View:
        row = row_of(part)
        if row is None:
            return self.table.apply(part.symgrad_gate, *arguments)
        return row.build(self, part, arguments)

    def symbol(self, part: sympy.Symbol) -> View:
        """What a symbol stands for."""
        if part not in self.symbols:
            raise UnsupportedExpression(f"the symbol {part.name!r} is bound inside the expression and is no input")
        if part.is_commutative is False:
            raise UnsupportedExpression(
                f"cannot compile the symbol {part.name!r}: it does not commute; use a plain Symbol"
            )
        return self.symbols[part]

    def apply(self, gate: str, *views: View) -> View:
        return self.table.apply(self.table.gates[gate], *views)

    def product(self, factors: list[View]) -> View:
        return chained(factors) if factors else self.table.constant(1)


# --- leaves -----------------------------------------------------------------------------------------------------------


@lowers(sympy.Symbol, children=alone)
def _symbol(lowering: Lowering, part: sympy.Symbol, _: list[View]) -> View:
    return lowering.symbol(part)


@lowers(sympy.Rational, children=alone)
def _rational(lowering: Lowering, part: sympy.Rational, _: list[View]) -> View:
    return lowering.table.constant(Fraction(int(part.p), int(part.q)))


@lowers(sympy.Float, children=alone)
def _float(lowering: Lowering, part: sympy.Float, _: list[View]) -> View:
    if part.is_finite is False:
        return lowering.table.constant("nan" if part.is_nan else "oo" if part > 0 else "-oo")
    sign, mantissa, exponent, _bits = part._mpf_
    if abs(exponent) > _MAX_EXPONENT:
        raise UnsupportedExpression(
            f"the number {describe(part)} (Float) is out of every floating-point range; rescale"
        )
    return lowering.table.constant((-1) ** sign * int(mantissa) * Fraction(2) ** int(exponent))


@lowers(
    sympy.core.numbers.Infinity,
    sympy.core.numbers.NegativeInfinity,
    sympy.core.numbers.NaN,
    sympy.NumberSymbol,
    children=alone,
)
def _number_symbol(lowering: Lowering, part: sympy.Basic, _: list[View]) -> View:
    return lowering.table.constant(
        {"Exp1": "E", "Infinity": "oo", "NegativeInfinity": "-oo", "NaN": "nan", "Pi": "pi"}.get(
            type(part).__name__, type(part).__name__
        )
    )


# --- sums, products, powers -------------------------------------------------------------------------------------------


@lowers(sympy.Add)
def _add(lowering: Lowering, part: sympy.Add, arguments: list[View]) -> View:
    arguments = _unflattened(lowering, part, arguments)

    # As one writes it: terms, then the number, what is subtracted last.
    def as_written(view: View) -> tuple[bool, bool]:
        number = view.number
        negative = view.node.gate.name == "neg" or (isinstance(number, Fraction) and number < 0)
        return negative, number is not None

    return lowering.apply("add", *sorted(arguments, key=as_written))


def _unflattened(lowering: Lowering, part: sympy.Add, arguments: list[View]) -> list[View]:
    """SymPy writes s**2 + s with all the terms of the sum s. Here s stays one node: x = x*x + x grows by two a step."""
    found: sympy.Add | None = None
    terms: set[sympy.Basic] = set()
    for term in part.args:
        for inner in term.args if isinstance(term, (sympy.Pow, sympy.Mul)) else ():
            if isinstance(inner, sympy.Add) and len(found.args if found else ()) < len(inner.args) < len(part.args):
                terms = terms or set(part.args)
                if terms.issuperset(inner.args):
                    found = inner
    if found is None:
        return arguments
    inside = set(found.args)
    kept = [view for own, view in zip(part.args, arguments, strict=True) if own not in inside]
    return [*kept, lowering.memo[id(found)]]


@lowers(sympy.Mul)
def _mul(lowering: Lowering, part: sympy.Mul, arguments: list[View]) -> View:
    sign, above, below, deltas = 1, [], [], []
    for factor, view in zip(part.args, arguments, strict=True):
        exponent = _rational_exponent(factor)
        if isinstance(factor, sympy.KroneckerDelta):
            deltas.append(view)
        elif isinstance(factor, sympy.Rational):
            sign = -sign if factor.p < 0 else sign
            top, bottom = factor_and_divisor(Fraction(abs(int(factor.p)), int(factor.q)))
            above += [lowering.table.constant(top)] if top != 1 else []
            below += [lowering.table.constant(bottom)] if bottom != 1 else []
        elif exponent is not None and exponent < 0:
            below.append(power_of(lowering.memo[id(factor.args[0])], -exponent))
        else:
            above.append(view)
    result = lowering.product(above)
    if below:
        result = lowering.apply("div", result, lowering.product(below))
    for delta in deltas:
        result = _where_one(delta, result)
    return result if sign > 0 else lowering.apply("neg", result)


def _where_one(delta: View, rest: View) -> View:
    """The product of a Kronecker delta and the rest: 0 where indices differ, also where the rest overflows there."""
    if is_guarded(delta):
        return guarded(rest, constraints_of(delta))
    if delta.node.gate.name == "select":
        return delta.arguments[0].where(rest, 0)
    return delta * rest  # a number: of two indices that always differ, or never


def _rational_exponent(part: sympy.Basic) -> Fraction | None:
    """The exponent of a power whose exponent is a number, else None."""
    if not isinstance(part, sympy.Pow):
        return None
    exponent = part.args[1]
    if isinstance(exponent, sympy.Rational):
        return Fraction(int(exponent.p), int(exponent.q))
    if isinstance(exponent, sympy.Float) and exponent.is_finite:
        sign, mantissa, power, _ = exponent._mpf_
        if abs(power) <= _MAX_EXPONENT:
            return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(power)
    return None


@lowers(sympy.Pow)
def _pow(lowering: Lowering, part: sympy.Pow, arguments: list[View]) -> View:
    base, exponent = arguments
    number = _rational_exponent(part)
    if number is None:
        return lowering.apply("pow", base, exponent)
    return power_of(base, number)


# --- branches ---------------------------------------------------------------------------------------------------------


def piecewise(lowering: Lowering, part: sympy.Piecewise, arguments: list[View]) -> View:
    result = lowering.table.constant("nan")
    if not isinstance(part.args[-1].args[1], BooleanTrue):  # outside all branches
        # Of all that the branches read, so that it is no constant: NaN has NaN for its derivatives.
        leaves = list(dict.fromkeys(leaf for view in arguments for leaf in _leaves(view)))
        result = lowering.apply("undefined", *leaves) if leaves else result
    pairs = list(zip(arguments[::2], arguments[1::2], part.args, strict=True))
    for value, condition, pair in reversed(pairs):
        if not isinstance(pair.args[1], BooleanTrue):
            _check_conditions(part, pair.args[1:], [condition])
        result = value if isinstance(pair.args[1], BooleanTrue) else condition.where(value, result)
    return result


def _check_conditions(part: sympy.Basic, conditions: Iterable[sympy.Basic], views: Iterable[View]) -> None:
    """A number is no condition, though SymPy takes a symbol for one. Raises UnsupportedExpression."""
    for condition, view in zip(conditions, views, strict=True):
        if view.node.kind != "boolean":
            raise UnsupportedExpression(
                f"{describe(part)} has the number {describe(condition)} where a condition is wanted; "
                f"write Ne({describe(condition)}, 0) for whether it is not 0"
            )


def _leaves(view: View) -> list[View]:
    """The views of inputs of which a view is made, at its own axes."""
    if view.index is positional(view.node).index:  # the common case: all inputs are read at the one axis
        nodes = [node for node in reachable([view.node]) if node.gate.name == "input"]
        if all(node.rank == view.node.rank for node in nodes):
            return [positional(node) for node in nodes]
    found, seen, stack = [], set(), [view]
    while stack:
        part = stack.pop()
        if part in seen or part.node.loops != part.node.rank:
            continue
        seen.add(part)
        if part.node.gate.name == "input":
            found.append(part)
        stack.extend(part.arguments)
    return found


# --- functions --------------------------------------------------------------------------------------------------------


def _gate(name: str, swap: bool = False) -> Build:
    return lambda lowering, _, arguments: lowering.apply(name, *(reversed(arguments) if swap else arguments))


def _argument(_lowering: Lowering, _part: sympy.Basic, arguments: list[View]) -> View:
    return arguments[0]


for _kind, _name in BY_CLASS.items():
    lowers(_kind)(_gate(_name))
lowers(sympy.UnevaluatedExpr)(_argument)
lowers(sympy.Derivative, children=lambda _, part: (resolved(part),))(_argument)
lowers(sympy.re, sympy.conjugate)(_argument)  # all symbols are real


@lowers(sympy.im)
def _imaginary_part(lowering: Lowering, _part: sympy.im, _: list[View]) -> View:
    return lowering.table.constant(0)


@lowers(sympy.log)
def _log(lowering: Lowering, part: sympy.log, arguments: list[View]) -> View:
    value, *base = (lowering.apply("log", argument) for argument in arguments)
    return value / base[0] if base else value


@lowers(sympy.Heaviside)
def _heaviside(lowering: Lowering, part: sympy.Heaviside, arguments: list[View]) -> View:
    x = arguments[0]
    at_zero = arguments[1] if len(arguments) > 1 else lowering.table.constant(HALF)
    nan = lowering.table.constant("nan")
    return (x > 0).where(1, (x < 0).where(0, x.equals(0).where(at_zero, nan)))


@lowers(sympy.polygamma)
def _polygamma(lowering: Lowering, part: sympy.polygamma, arguments: list[View]) -> View:
    order = arguments[0].number
    if not isinstance(order, Fraction) or order.denominator != 1 or not 0 <= order <= LARGEST_ORDER:
        raise UnsupportedExpression(
            f"cannot compile {describe(part)} (polygamma): "
            f"its first argument has to be a whole number from 0 to {LARGEST_ORDER}"
        )
    return lowering.apply("polygamma", *arguments) if order else lowering.apply("digamma", arguments[1])


# --- conditions -------------------------------------------------------------------------------------------------------

lowers(sympy.StrictLessThan)(_gate("lt"))
lowers(sympy.StrictGreaterThan)(_gate("lt", swap=True))
lowers(sympy.LessThan)(_gate("le"))
lowers(sympy.GreaterThan)(_gate("le", swap=True))
lowers(sympy.Equality)(_gate("eq"))
lowers(sympy.Unequality)(_gate("ne"))


def _connective(name: str) -> Build:
    def build(lowering: Lowering, part: sympy.Basic, arguments: list[View]) -> View:
        _check_conditions(part, part.args, arguments)
        return lowering.apply(name, *arguments)

    return build


lowers(sympy.And)(_connective("and"))
lowers(sympy.Or)(_connective("or"))
lowers(sympy.Not)(_connective("not"))


@lowers(BooleanTrue, BooleanFalse)
def _truth(lowering: Lowering, part: sympy.Basic, _: list[View]) -> View:
    return lowering.table.constant(0).equals(0 if isinstance(part, BooleanTrue) else 1)


@lowers(sympy.Xor)
def _xor(_: Lowering, part: sympy.Xor, arguments: list[View]) -> View:
    _check_conditions(part, part.args, arguments)
    return reduce(lambda one, two: one.call("ne", two), arguments)


@lowers(sympy.ITE)
def _ite(_: Lowering, part: sympy.ITE, arguments: list[View]) -> View:
    _check_conditions(part, part.args, arguments)
    condition, taken, otherwise = arguments
    return condition.call("and", taken).call("or", condition.call("not").call("and", otherwise))
