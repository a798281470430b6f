"""Reading lines: a method for each rule of the grammar, from its tokens and values to a value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import sympy

from .arrays import Elements, Loop, elementwise, family_of, indexed, listed, reduced
from .construct import (
    CONDITION,
    LISTED,
    LOOP,
    NUMBER,
    RANGE,
    TRUE,
    TUPLE,
    Limit,
    Value,
    add,
    compare,
    described,
    expect,
    floor_divide,
    logic,
    modulo,
    multiply,
    negative,
    over,
    piecewise,
    power,
    reciprocal,
)
from .linear_algebra import matmul, transpose
from .messages import Mistake, offset_of, short
from .symbols import SymbolTable
from .tokens import Names, identifier, literal
from .vocabulary import (
    ALIASES,
    ARRAYS,
    FUNCTIONS,
    LEFT_OUT,
    LIMITED,
    REDUCTIONS,
    Function,
    range_call,
    unknown_function,
)

if TYPE_CHECKING:
    from lark import Token


# What a rule of the grammar is made of: tokens, values, and loops, in the order of the text.
Children: TypeAlias = list[Any]


class Reader:
    """Reads one text: a method for each rule of the grammar, called with the rule's tokens and values, bottom up."""

    def __init__(self) -> None:
        self.know(Names())

    def know(self, names: Names) -> None:
        """Begins: `names` is what the tokens of the text tell of its names."""
        self.names, self.symbols, self.elements = names, SymbolTable(names), Elements(names.taken)

    # Lines

    def start(self, lines: list[tuple[Token | None, Value | None]]) -> sympy.Basic | dict[str, sympy.Basic]:
        name, value = lines[-1]
        for at, line in lines[:-1]:
            if at is None and line is not None:
                raise Mistake("only the last line may go without a name; write name = ...", line.at)
        if value is None:
            raise Mistake("the last line is a declaration; an expression should follow", offset_of(name))
        if value.kind == LISTED:
            return {identifier(at): self._listed(at) for at in value.expr}
        if name is not None:
            # What has a name and is read by nothing is an output, too.
            unread = [own for own in self.symbols.results if own not in self.symbols.used]
            if len(unread) > 1:
                return {own: self._output(self.symbols.results[own], self.symbols.introduced[own]) for own in unread}
        return self._output(value, name)

    def _listed(self, at: Token) -> sympy.Basic:
        """A result that a line lists as an output."""
        name = identifier(at)
        if name not in self.symbols.results:
            raise Mistake(f"'{short(name)}' is no result of a line before; write {short(name)} = ...", offset_of(at))
        return self._output(self.symbols.results[name], at)

    def _output(self, value: Value, name: Token | None) -> sympy.Basic:
        if value.kind != NUMBER:
            what = "an array of conditions" if value.shape else value.kind
            reason = f"the output is {what}, not a number"
            raise Mistake(reason, value.at if name is None else offset_of(name))
        return family_of(self.elements, value) if value.shape else value.expr

    def listing(self, children: list[Token]) -> tuple[None, Value]:
        word, *names = children
        seen: set[str] = set()
        for at in names:
            if identifier(at) in seen:
                raise Mistake(f"'{short(at)}' is an output twice", offset_of(at))
            seen.add(identifier(at))
        return None, Value(names, LISTED, offset_of(word))

    def output(self, children: Children) -> tuple[Token | None, Value]:
        return None, children[0]

    def assignment(self, children: Children) -> tuple[Token, Value]:
        at, value = children
        self.symbols.assign(at, value)
        return at, value

    def declaration(self, children: Children) -> tuple[Token, None]:
        at, kind, *rest = children
        self.symbols.declare(at, kind, rest[0] if rest else [])
        return at, None

    # Atoms

    def number(self, children: list[Token]) -> Value:
        return literal(children[0])

    def truth(self, children: list[Token]) -> Value:
        return Value(sympy.true if children[0] == "True" else sympy.false, CONDITION, offset_of(children[0]))

    def name(self, children: list[Token]) -> Value:
        at = children[0]
        index = self.names.indices.get(offset_of(at))
        if index is not None:
            return Value(index, NUMBER, offset_of(at), closed=True)
        return self.symbols.read(at)

    def tuple(self, children: Children) -> Value:
        at, first, *rest = children
        return Value((first, *(rest[0] if rest else ())), TUPLE, offset_of(at))

    def arguments(self, children: list[Value]) -> list[Value]:
        return children

    def call(self, children: Children) -> Value:
        at, arguments = children[0], children[1] if len(children) > 1 else []
        name = identifier(at)
        if name in self.symbols.introduced:
            line = self.symbols.introduced[name].line
            raise Mistake(f"'{short(name)}' is a variable (line {line}), not a function", offset_of(at))
        name = ALIASES.get(name, name)
        if name in LIMITED:
            return self._limited(at, LIMITED[name], arguments)
        if name in REDUCTIONS and len(arguments) == 1 and (arguments[0].kind == LOOP or arguments[0].shape):
            return self._reduction(at, REDUCTIONS[name], arguments[0])
        if name in ARRAYS:
            _check_count(at, ARRAYS[name], arguments)
            return ARRAYS[name].build(self.elements, at, *arguments)
        function = FUNCTIONS.get(name)
        if function is None and name in REDUCTIONS:
            raise Mistake(f"{at} takes an array, or terms over an index: {at}(x[i] for i in range(n))", offset_of(at))
        if function is None:
            raise Mistake(unknown_function(name), offset_of(at))
        _check_count(at, function, arguments)
        if not function.elementwise:
            return function.build(at, *arguments)
        return self._elementwise(at, functools.partial(function.build, at), *arguments)

    def _elementwise(self, at: Token, function: Callable[..., Value], *values: Value) -> Value:
        return elementwise(self.elements, at, function, values)

    def attribute(self, children: Children) -> Value:
        value, at, name = children
        if name != "T":
            raise Mistake("there are no attributes but .T, the transpose of an array", offset_of(at))
        return transpose(self.elements, name, value)

    def index(self, children: Children) -> Value:
        array, at, indices = children
        return indexed(self.elements, at, array, indices, self.symbols.ranks)

    # Loops

    def loop(self, children: Children) -> Loop:
        _, name, bounds, *rest = children
        identifier(name)
        if bounds.kind != RANGE:
            raise Mistake(f"'for' takes a range here, not {described(bounds)}; write range(n)", bounds.at)
        for link, condition in zip(rest[::2], rest[1::2], strict=True):
            expect(link, CONDITION, condition)
        low, high = bounds.expr
        if low.expr.is_Integer and high.expr.is_Integer and high.expr < low.expr - 1:
            high = high._replace(expr=low.expr - 1)  # empty, as Python has it: SymPy would turn it around
        return Loop(name, (self.names.binders[offset_of(name)], low, high), rest[1::2])

    def generator(self, children: Children) -> Value:
        body, *loops = children
        return Value((body, loops), LOOP, body.at)

    def entries(self, children: Children) -> Value:
        at, parts = children[0], children[1] if len(children) > 1 else []
        if len(parts) != 1 or parts[0].kind != LOOP:
            raise Mistake(
                "a list holds one entry for each index: [x[i] for i in range(n)]; of several outputs each has a name",
                offset_of(at),
            )
        body, loops = parts[0].expr
        return listed(self.elements, body, loops)._replace(at=offset_of(at))

    def _reduction(self, at: Token, function: Callable[..., sympy.Basic], terms: Value) -> Value:
        if terms.shape:
            return reduced(self.elements, at, function, terms)
        body, loops = terms.expr
        expect(at, NUMBER, body)
        conditions = [condition for loop in loops for condition in loop.conditions]
        if conditions:
            every = conditions[0] if len(conditions) == 1 else logic(sympy.And, at, conditions)
            rest = Value(LEFT_OUT[function], NUMBER, body.at, constant=True, closed=True)
            body = piecewise(at, [(body, every), (rest, TRUE)])
        return over(function, at, body, [loop.limit for loop in reversed(loops)])

    def _limited(self, at: Token, function: Callable[..., sympy.Basic], arguments: list[Value]) -> Value:
        """`Sum(x[i], (i, 0, n - 1))`, as SymPy prints it."""
        limits: list[Limit] = []
        for limit in arguments[1:]:
            if limit.kind != TUPLE or len(limit.expr) != 3 or limit.expr[0].at not in self.names.binders:
                raise Mistake(f"{at} takes limits (i, a, b): a name, the first and the last integer", limit.at)
            index, low, high = limit.expr
            range_call(at, low, high)
            limits.append((index.expr, low, high))
        if not limits:
            raise Mistake(f"{at} takes a term and limits (i, a, b)", offset_of(at))
        return over(function, at, arguments[0], limits)

    # Operators

    def power(self, children: Children) -> Value:
        base, at, exponent = children
        return self._elementwise(at, lambda *pair: power(at, *pair), base, exponent)

    def signed(self, children: Children) -> Value:
        at, value = children
        return self._elementwise(at, functools.partial(_signed, at), value)

    def product(self, children: Children) -> Value:
        factors = [children[0]]
        for at, value in zip(children[1::2], children[2::2], strict=True):
            if at == "*":
                factors.append(value)
            elif at == "/":
                factors.append(self._elementwise(at, lambda divisor, at=at: reciprocal(at, divisor), value))
            elif at == "@":
                factors = [matmul(self.elements, at, self._multiply(at, factors), value)]
            else:
                divide = floor_divide if at == "//" else modulo
                factors = [self._elementwise(at, functools.partial(divide, at), self._multiply(at, factors), value)]
        return self._multiply(children[1], factors)

    def _multiply(self, at: Token, factors: list[Value]) -> Value:
        if len(factors) == 1:
            return factors[0]
        return self._elementwise(at, lambda *each: multiply(at, list(each)), *factors)

    def sum(self, children: Children) -> Value:
        terms = [children[0]]
        for at, term in zip(children[1::2], children[2::2], strict=True):
            terms.append(self._elementwise(at, functools.partial(_signed, at), term))
        return self._elementwise(children[1], lambda *each: add(children[1], list(each)), *terms)

    def intersection(self, children: Children) -> Value:
        return self._logic(sympy.And, children[1], children[::2])

    def union(self, children: Children) -> Value:
        return self._logic(sympy.Or, children[1], children[::2])

    conjunction = intersection
    disjunction = union

    def _logic(self, function: Callable[..., sympy.Basic], at: Token, conditions: list[Value]) -> Value:
        return self._elementwise(at, lambda *each: logic(function, at, list(each)), *conditions)

    def comparison(self, children: Children) -> Value:
        links = []
        for a, at, b in zip(children[::2], children[1::2], children[2::2], strict=False):
            links.append(self._elementwise(at, functools.partial(compare, at), a, b))
        return links[0] if len(links) == 1 else self._logic(sympy.And, children[1], links)

    def negation(self, children: Children) -> Value:
        return self._logic(sympy.Not, children[0], children[1:])

    def choice(self, children: Children) -> Value:
        value, at, condition, otherwise = children
        return self._elementwise(at, functools.partial(_choice, at), value, condition, otherwise)


def _signed(at: Token, value: Value) -> Value:
    expect(at, NUMBER, value)
    return negative(at, value) if at == "-" else value


def _choice(at: Token, value: Value, condition: Value, otherwise: Value) -> Value:
    expect(at, NUMBER, value, otherwise)
    expect(at, CONDITION, condition)
    return piecewise(at, [(value, condition), (otherwise, TRUE)])


def _check_count(at: Token, function: Function, arguments: list[Value]) -> None:
    if not function.least <= len(arguments) <= function.most:
        raise Mistake(f"{at} takes {function.takes()}, not {len(arguments)}", offset_of(at))
