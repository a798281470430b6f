"""Lowering of expressions: from SymPy to views of one table, walked by object identity and without recursion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from ..errors import UnsupportedExpression
from ..gates.arithmetic import power_of
from ..gates.table import BY_CLASS, HALF
from ..graph.gate import Gate
from ..graph.graph import reachable
from ..graph.node import Table, View, positional
from .derivatives import resolved
from .limits import ranges, written_out
from .unsupported import describe, unsupported

# A SymPy number beyond this many binary digits is refused: it could not even be printed.
_LARGEST_EXPONENT = 100_000


class Lowering:
    """Lowers expressions into one table; `views` says what each symbol stands for."""

    def __init__(
        self, table: Table, views: Mapping[sympy.Basic, View], gates: Iterable[type] = (), any_gate: bool = False
    ) -> None:
        self.table = table
        self.symbols = views
        self.own = tuple(gates)
        self.any_gate = any_gate  # inside a gate of the user's, the gates that it is made of
        self.memo: dict[int, View] = {}
        self.kept: list[Any] = []  # holds what is known by its id, so that no id is used again
        for function in self.own:
            if not isinstance(getattr(function, "symgrad_gate", None), Gate):
                raise TypeError(f"gates takes functions made by symgrad.gate, not {function!r}")

    def __call__(self, expression: sympy.Basic) -> View:
        # A part is on the stack twice: to put its arguments before it, then to be built from them.
        stack: list[tuple[Any, tuple[Any, ...] | None]] = [(expression, None)]
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

    def _children(self, part: Any) -> tuple[Any, ...]:
        if not self._knows(part):
            raise unsupported(part)  # before its arguments are looked at: the part is what is not supported
        if isinstance(part, sympy.Derivative):
            return (resolved(part),)
        if isinstance(part, sympy.Piecewise):
            return tuple(piece for pair in part.args for piece in pair.args)
        if isinstance(part, (sympy.Sum, sympy.Product)):
            return written_out(part)
        return () if isinstance(part, (sympy.Symbol, sympy.Number)) else tuple(part.args)

    def _knows(self, part: Any) -> bool:
        if isinstance(part, self.own) or (self.any_gate and hasattr(part, "symgrad_gate")):
            return True
        return any(kind in BY_CLASS or kind in BUILD for kind in type(part).__mro__)

    def _build(self, part: Any, arguments: list[View]) -> View:
        for kind in type(part).__mro__:
            if kind in BUILD:
                return BUILD[kind](self, part, arguments)
            if kind in BY_CLASS:
                return self._apply(BY_CLASS[kind], *arguments)
        return self.table.apply(part.symgrad_gate, *arguments)

    def _apply(self, gate: str, *views: View, attribute: Any = None) -> View:
        return self.table.apply(self.table.gates[gate], *views, attribute=attribute)

    def product(self, factors: list[View]) -> View:
        if not factors:
            return self.table.constant(1)
        # Two at a time: the products of the first few factors are then shared with the gradients.
        return reduce(lambda one, two: self._apply("mul", one, two), factors)


def _symbol(lowering: Lowering, part: sympy.Symbol, _: list[View]) -> View:
    if part not in lowering.symbols:
        raise UnsupportedExpression(f"the symbol {part.name!r} is bound inside the expression and is no input")
    if part.is_commutative is False:
        raise UnsupportedExpression(f"cannot compile the symbol {part.name!r}: it does not commute; use a plain Symbol")
    return lowering.symbols[part]


def _rational(lowering: Lowering, part: sympy.Rational, _: list[View]) -> View:
    return lowering.table.constant(Fraction(int(part.p), int(part.q)))


def _float(lowering: Lowering, part: sympy.Float, _: list[View]) -> View:
    if part.is_finite is False:
        return lowering.table.constant("nan" if part.is_nan else "oo" if part > 0 else "-oo")
    sign, mantissa, exponent, _bits = part._mpf_
    if abs(exponent) > _LARGEST_EXPONENT:
        raise UnsupportedExpression(
            f"the number {describe(part)} (Float) is out of every floating-point range; rescale"
        )
    return lowering.table.constant((-1) ** sign * int(mantissa) * Fraction(2) ** int(exponent))


def _number_symbol(lowering: Lowering, part: sympy.Basic, _: list[View]) -> View:
    return lowering.table.constant(
        {"Exp1": "E", "Infinity": "oo", "NegativeInfinity": "-oo", "NaN": "nan", "Pi": "pi"}.get(
            type(part).__name__, type(part).__name__
        )
    )


def _add(lowering: Lowering, part: sympy.Add, arguments: list[View]) -> View:
    arguments = _unflattened(lowering, part, arguments)

    # As one writes it: terms, then the number, what is subtracted last.
    def place(view: View) -> tuple[bool, bool]:
        number = view.number
        negative = view.node.gate.name == "neg" or (isinstance(number, Fraction) and number < 0)
        return negative, number is not None

    return lowering._apply("add", *sorted(arguments, key=place))


def _unflattened(lowering: Lowering, part: sympy.Add, arguments: list[View]) -> list[View]:
    """SymPy writes s**2 + s with all the terms of the sum s. Here s stays one node: x = x*x + x grows by two a step."""
    found: sympy.Add | None = None
    terms: set[Any] = set()
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


def _mul(lowering: Lowering, part: sympy.Mul, arguments: list[View]) -> View:
    sign, above, below = 1, [], []
    for factor, view in zip(part.args, arguments, strict=True):
        exponent = _rational_exponent(factor)
        if isinstance(factor, sympy.Rational):
            top, bottom = abs(int(factor.p)), int(factor.q)
            sign = -sign if factor.p < 0 else sign
            if max(top, bottom) > 2**53:  # no longer exact as two floating-point numbers
                top, bottom = Fraction(top, bottom), 1  # type: ignore[assignment]
            above += [lowering.table.constant(top)] if top != 1 else []
            below += [lowering.table.constant(bottom)] if bottom != 1 else []
        elif exponent is not None and exponent < 0:
            below.append(power_of(lowering.memo[id(factor.args[0])], -exponent))
        else:
            above.append(view)
    result = lowering.product(above)
    if below:
        result = lowering._apply("div", result, lowering.product(below))
    return result if sign > 0 else lowering._apply("neg", result)


def _rational_exponent(part: sympy.Basic) -> Fraction | None:
    """The exponent of a power whose exponent is a number, else None."""
    if not isinstance(part, sympy.Pow):
        return None
    exponent = part.args[1]
    if isinstance(exponent, sympy.Rational):
        return Fraction(int(exponent.p), int(exponent.q))
    if isinstance(exponent, sympy.Float) and exponent.is_finite:
        sign, mantissa, power, _ = exponent._mpf_
        if abs(power) <= _LARGEST_EXPONENT:
            return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(power)
    return None


def _pow(lowering: Lowering, part: sympy.Pow, arguments: list[View]) -> View:
    base, exponent = arguments
    number = _rational_exponent(part)
    if number is None:
        return lowering._apply("pow", base, exponent)
    return power_of(base, number)


def piecewise(lowering: Lowering, part: sympy.Piecewise, arguments: list[View]) -> View:
    result = lowering.table.constant("nan")
    if not isinstance(part.args[-1].args[1], BooleanTrue):  # outside all branches
        # Of all that the branches read, so that it is no constant: NaN has NaN for its derivatives.
        leaves = list(dict.fromkeys(leaf for view in arguments for leaf in _leaves(view)))
        result = lowering._apply("undefined", *leaves) if leaves else result
    pairs = list(zip(arguments[::2], arguments[1::2], part.args, strict=True))
    for value, condition, pair in reversed(pairs):
        result = value if isinstance(pair.args[1], BooleanTrue) else condition.where(value, result)
    return result


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


def _sum(lowering: Lowering, part: sympy.Sum, terms: list[View]) -> View:
    total = lowering._apply("add", *terms) if len(terms) > 1 else (terms or [lowering.table.constant(0)])[0]
    return -total if ranges(part)[1] else total


def _product(lowering: Lowering, part: sympy.Product, factors: list[View]) -> View:
    product = lowering.product(factors)
    return 1 / product if ranges(part)[1] else product


def _log(lowering: Lowering, part: sympy.log, arguments: list[View]) -> View:
    value, *base = (lowering._apply("log", argument) for argument in arguments)
    return value / base[0] if base else value


def _heaviside(lowering: Lowering, part: sympy.Heaviside, arguments: list[View]) -> View:
    x = arguments[0]
    at_zero = arguments[1] if len(arguments) > 1 else lowering.table.constant(HALF)
    nan = lowering.table.constant("nan")
    return (x > 0).where(1, (x < 0).where(0, x.equals(0).where(at_zero, nan)))


def _polygamma(lowering: Lowering, part: sympy.polygamma, arguments: list[View]) -> View:
    if arguments[0].number != 0:
        raise unsupported(part)
    return lowering._apply("digamma", arguments[1])


def _ite(_: Lowering, part: sympy.ITE, arguments: list[View]) -> View:
    condition, taken, otherwise = arguments
    return condition.call("and", taken).call("or", condition.call("not").call("and", otherwise))


def _gate(name: str, swap: bool = False) -> Callable[[Lowering, Any, list[View]], View]:
    return lambda lowering, _, arguments: lowering._apply(name, *(reversed(arguments) if swap else arguments))


BUILD: dict[type, Callable[[Lowering, Any, list[View]], View]] = {
    sympy.Symbol: _symbol,
    sympy.Rational: _rational,
    sympy.Float: _float,
    sympy.core.numbers.Infinity: _number_symbol,
    sympy.core.numbers.NegativeInfinity: _number_symbol,
    sympy.core.numbers.NaN: _number_symbol,
    sympy.NumberSymbol: _number_symbol,
    sympy.Add: _add,
    sympy.Mul: _mul,
    sympy.Pow: _pow,
    sympy.Piecewise: piecewise,
    sympy.log: _log,
    sympy.Heaviside: _heaviside,
    sympy.polygamma: _polygamma,
    sympy.Sum: _sum,
    sympy.Product: _product,
    sympy.UnevaluatedExpr: lambda _, part, arguments: arguments[0],
    sympy.Derivative: lambda _, part, arguments: arguments[0],
    # All symbols are real.
    sympy.re: lambda _, part, arguments: arguments[0],
    sympy.im: lambda lowering, part, arguments: lowering.table.constant(0),
    sympy.conjugate: lambda _, part, arguments: arguments[0],
    sympy.StrictLessThan: _gate("lt"),
    sympy.StrictGreaterThan: _gate("lt", swap=True),
    sympy.LessThan: _gate("le"),
    sympy.GreaterThan: _gate("le", swap=True),
    sympy.Equality: _gate("eq"),
    sympy.Unequality: _gate("ne"),
    sympy.And: _gate("and"),
    sympy.Or: _gate("or"),
    sympy.Not: _gate("not"),
    sympy.Xor: lambda _, part, arguments: reduce(lambda a, b: a.call("ne", b), arguments),
    sympy.ITE: _ite,
    BooleanTrue: lambda lowering, part, _: lowering.table.constant(0).equals(0),
    BooleanFalse: lambda lowering, part, _: lowering.table.constant(0).equals(1),
}
