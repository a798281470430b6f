"""The language of expr.txt: from text to SymPy expressions, by a grammar; nothing is ever evaluated as Python."""

from __future__ import annotations

import difflib
import functools
import math
import operator
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair

from .errors import ParseError

if TYPE_CHECKING:
    from lark import Lark, Token, UnexpectedToken

# What is refused: longer texts, names and exponents, and constants of more digits.
MAX_CHARACTERS = 1_000_000
MAX_NAME = 1_000
MAX_EXPONENT = 10_000
MAX_DIGITS = 10_000
MAX_LITERAL = 4_300  # digits; Python's own limit for int(text), quadratic in the digits

# Beyond these SymPy's constructors are not asked to simplify: they recurse over their arguments, and take time that is
# quadratic and worse in them. What str prints is simplified already, so that it still is read as it was.
DEEP = 200
LARGE = 2_000  # nodes, for arithmetic and logic
MEDIUM = 300  # nodes, for functions
CONSTANT = 100  # nodes, for what holds no symbol: SymPy evaluates it numerically, again at each level
COMPARED = 25  # nodes, for comparisons, and for Max and Min, which compare each argument with each
HUGE_DIGITS = 1_000
ROOT_DIGITS = 100


def parse(text: str) -> Problem:
    """The expression that `text` says, with its named intermediate results.

    Raises ParseError with line and column for whatever is not in the language, and for constants too large to compute.
    """
    if not isinstance(text, str):
        raise TypeError(f"parse takes text (str), not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"the text is longer than {MAX_CHARACTERS:,} characters", 1, 1)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    reader = Reader()
    outer = _reader.set(reader)
    try:
        expression = _read(lines)
    except _Mistake as mistake:
        raise _parse_error(lines, mistake) from None
    finally:
        _reader.reset(outer)
    return Problem(expression, {name: value.expr for name, value in reader.results.items()}, text)


@dataclass(frozen=True)
class Problem:
    """What a text says: the output, and the intermediate results that it names, in their order."""

    expression: Any  # a sympy.Expr: the last line
    names: dict[str, Any]  # sympy.Expr or a condition; later ones contain the earlier objects themselves
    source: str


# Text to lines of tokens ----------------------------------------------------------------------------------------------


def _read(text: str) -> Any:
    from lark import UnexpectedCharacters, UnexpectedToken

    try:
        return _grammar().parse(text)
    except UnexpectedCharacters as error:
        offset = error.pos_in_stream or 0
        raise _Mistake(_strange_character(text[offset]), offset) from None
    except UnexpectedToken as error:
        offset = _end(text) if error.token.type == "$END" else _at(error.token)
        raise _Mistake(_unexpected(text, error), offset) from None


@functools.cache
def _grammar() -> Lark:
    # Imported at the first text: compiling SymPy expressions needs no parser.
    from lark import Lark

    grammar = Path(__file__).with_name("expression.lark").read_text(encoding="utf-8")
    return Lark(
        grammar, parser="lalr", lexer="basic", maybe_placeholders=False, transformer=_ToReader(), postlex=Lines()
    )


class _ToReader:
    """Hands each rule to the reader of the text at hand: the grammar is built once, texts may be read in threads."""

    def __getattr__(self, rule: str) -> Callable[[list[Any]], Any]:
        method = getattr(Reader, rule)
        return lambda children: method(_reader.get(), children)


class Lines:
    """Drops newlines within brackets, doubled newlines and those at either end; pairs the brackets."""

    always_accept = ("_NEWLINE",)

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        opened: list[Token] = []
        newline = None
        started = False
        for token in tokens:
            if token.type == "_NEWLINE":
                newline = None if opened else token
                continue
            if token.type in _CLOSING:
                _close(opened, token)
            if newline is not None and started:
                yield newline
            newline, started = None, True
            if token.type in _OPENING:
                opened.append(token)
            yield token
        if opened:
            raise _Mistake(f"'{opened[-1]}' is never closed", _at(opened[-1]))


_OPENING = {"LPAR": ")", "LSQB": "]"}
_CLOSING = {"RPAR", "RSQB"}


def _close(opened: list[Token], token: Token) -> None:
    if not opened:
        raise _Mistake(f"'{token}' closes nothing", _at(token))
    if _OPENING[opened[-1].type] != token:
        raise _Mistake(f"'{token}' where '{_OPENING[opened[-1].type]}' should close the '{opened[-1]}'", _at(token))
    opened.pop()


# Lines to expressions -------------------------------------------------------------------------------------------------


class Reader:
    """Reads one text: a method for each rule of the grammar, called with the rule's tokens and values, bottom up."""

    def __init__(self) -> None:
        self.results: dict[str, Value] = {}  # by assignment
        self.introduced: dict[str, Token] = {}  # by assignment or declaration
        self.used: dict[str, Token] = {}  # first uses
        self.symbols: dict[str, Value] = {}

    # Lines

    def start(self, lines: list[tuple[Token | None, Value | None]]) -> Any:
        name, value = lines[-1]
        for at, line in lines[:-1]:
            if at is None and line is not None:
                raise _Mistake("only the last line may go without a name; write name = ...", line.at)
        if value is None:
            raise _Mistake("the last line is a declaration; an expression should follow", _at(name))
        if value.kind != NUMBER:
            raise _Mistake(f"the output is {value.kind}, not a number", value.at if name is None else _at(name))
        return value.expr

    def output(self, children: list[Any]) -> tuple[Token | None, Value]:
        return None, children[0]

    def assignment(self, children: list[Any]) -> tuple[Token, Value]:
        at, value = children
        name = self._introduce(at)
        if value.kind == TUPLE:
            raise _Mistake(f"'{name}' is given {TUPLE}, not a number", _at(at))
        self.results[name] = self.symbols[name] = value
        return at, value

    def declaration(self, children: list[Any]) -> tuple[Token, None]:
        at, kind, *extents = children
        if kind in ("vector", "matrix", "integer"):
            raise _Mistake(f"declarations of vectors and matrices are not supported yet, nor is {kind}", _at(kind))
        if kind != "real" or extents:
            raise _Mistake(f"'{_short(kind)}' is no type; write real", _at(kind))
        name = self._introduce(at)
        self.symbols[name] = _symbol(name, _at(at))
        return at, None

    def _introduce(self, at: Token) -> str:
        name = _identifier(at)
        if name in self.introduced:
            raise _Mistake(f"'{_short(name)}' already has a meaning from line {self.introduced[name].line}", _at(at))
        if name in self.used:
            raise _Mistake(f"'{_short(name)}' is used on line {self.used[name].line}, before it is given here", _at(at))
        self.introduced[name] = at
        return name

    # Atoms

    def number(self, children: list[Token]) -> Value:
        return _literal(children[0])

    def truth(self, children: list[Token]) -> Value:
        return Value(sympy.true if children[0] == "True" else sympy.false, CONDITION, _at(children[0]))

    def name(self, children: list[Token]) -> Value:
        at = children[0]
        name = _identifier(at)
        self.used.setdefault(name, at)
        if name not in self.symbols:
            if name == "zoo":
                raise _Mistake("zoo (complex infinity) is not a real number", _at(at))
            self.symbols[name] = _constant(name) if name in CONSTANTS else _symbol(name, _at(at))
        return self.symbols[name]._replace(at=_at(at))

    def tuple(self, children: list[Any]) -> Value:
        at, first, *rest = children
        return Value((first, *(rest[0] if rest else ())), TUPLE, _at(at))

    def arguments(self, children: list[Value]) -> list[Value]:
        return children

    def call(self, children: list[Any]) -> Value:
        at, arguments = children[0], children[1] if len(children) > 1 else []
        name = _identifier(at)
        if name in self.introduced:
            line = self.introduced[name].line
            raise _Mistake(f"'{_short(name)}' is a variable (line {line}), not a function", _at(at))
        function = FUNCTIONS.get(ALIASES.get(name, name))
        if function is None:
            raise _Mistake(_unknown_function(name), _at(at))
        if not function.least <= len(arguments) <= function.most:
            raise _Mistake(f"{name} takes {function.takes()}, not {len(arguments)}", _at(at))
        return function.build(at, *arguments)

    def index(self, children: list[Any]) -> Value:
        raise _Mistake("indexing is not supported yet", _at(children[1]))

    def generator(self, children: list[Any]) -> Value:
        raise _Mistake("sums over an index are not supported yet", _at(children[1]))

    # Operators

    def power(self, children: list[Any]) -> Value:
        base, at, exponent = children
        return power(at, base, exponent)

    def signed(self, children: list[Any]) -> Value:
        at, value = children
        _expect(at, NUMBER, value)
        return negative(at, value) if at == "-" else value

    def product(self, children: list[Any]) -> Value:
        factors = [children[0]]
        for at, value in zip(children[1::2], children[2::2], strict=True):
            if at == "@":
                raise _Mistake("products of matrices (@) are not supported yet", _at(at))
            if at == "*":
                factors.append(value)
            elif at == "/":
                factors.append(reciprocal(at, value))
            else:
                left = multiply(at, factors)
                factors = [floor_divide(at, left, value) if at == "//" else modulo(at, left, value)]
        return multiply(children[1], factors)

    def sum(self, children: list[Any]) -> Value:
        pairs = zip(children[1::2], children[2::2], strict=True)
        return add(children[1], [children[0]] + [negative(at, term) if at == "-" else term for at, term in pairs])

    def intersection(self, children: list[Any]) -> Value:
        return logic(sympy.And, children[1], children[::2])

    def union(self, children: list[Any]) -> Value:
        return logic(sympy.Or, children[1], children[::2])

    conjunction = intersection
    disjunction = union

    def comparison(self, children: list[Any]) -> Value:
        values = children[::2]
        links = [compare(at, a, b) for a, at, b in zip(values, children[1::2], values[1:], strict=False)]
        return links[0] if len(links) == 1 else logic(sympy.And, children[1], links)

    def negation(self, children: list[Any]) -> Value:
        return logic(sympy.Not, children[0], children[1:])

    def choice(self, children: list[Any]) -> Value:
        value, at, condition, otherwise = children
        _expect(at, NUMBER, value, otherwise)
        _expect(at, CONDITION, condition)
        return piecewise(at, [(value, condition), (otherwise, _TRUE)])


_reader: ContextVar[Reader] = ContextVar("reader")


# Values ---------------------------------------------------------------------------------------------------------------

NUMBER, CONDITION, TUPLE = "a number", "a condition", "a list in brackets"


class Value(NamedTuple):
    """An expression, with what must be known of it before SymPy is asked to build on it; all of it O(1) to keep."""

    expr: Any
    kind: str
    at: int  # where it stands in the text
    constant: bool = False  # no symbol in it
    huge: bool = False  # holds a constant or power too large to compute: SymPy must not simplify it, nor what holds it
    depth: int = 1
    size: int = 1  # nodes of the tree; of a graph, counted along every path


_SIZE_LIMIT = 10**9  # sizes beyond are as good as this: those of chains x = x*x grow as 2**lines
_TRUE = Value(sympy.true, CONDITION, 0)


def _symbol(name: str, at: int) -> Value:
    return Value(sympy.Symbol(name), NUMBER, at)


def _constant(name: str) -> Value:
    return Value(CONSTANTS[name], NUMBER, 0, constant=True)


def _rational(number: sympy.Rational, at: int) -> Value:
    return Value(number, NUMBER, at, constant=True)


def _build(
    at: Token, function: Any, arguments: list[Value], kind: str = NUMBER, evaluate: bool = True, grows: bool = False
) -> Value:
    """`function` of the arguments: as SymPy simplifies it, or as it stands where simplifying could take too long.

    What `grows` must stay as it stands for good: a product simplifies the powers within it.
    """
    try:
        expr = _simplified(function, arguments) if evaluate and not grows and _is_shallow(arguments) else None
        return _combine(at, _as_it_stands(function, arguments) if expr is None else expr, arguments, kind, grows)
    except _Mistake:
        raise
    except Exception as error:  # SymPy raises what it likes, from TypeError to RecursionError
        reason = _short(str(error) or type(error).__name__, 200)
        raise _Mistake(f"SymPy refuses '{_short(at)}' here: {reason}", _at(at)) from None


def _simplified(function: Any, arguments: list[Value]) -> Any:
    """None where SymPy fails to simplify, though the arguments are right."""
    try:
        return function(*_expressions(function, arguments))
    except (TypeError, ValueError):
        raise
    except Exception:  # PrecisionExhausted, RecursionError, or a bug of SymPy's
        return None


def _as_it_stands(function: Any, arguments: list[Value]) -> Any:
    expressions = _expressions(function, arguments)
    if function is sympy.Piecewise:
        # Not through ExprCondPair(...) and Piecewise(...): they walk the conditions even when told not to evaluate.
        pairs = [sympy.Tuple.__new__(ExprCondPair, *pair) for pair in expressions]
        return sympy.Basic.__new__(sympy.Piecewise, *pairs)
    if function in _SORTING and not (_is_small(arguments) and _is_shallow(arguments)):
        # Not through the class: it sorts its arguments by walking them.
        expr = sympy.Basic.__new__(function, *expressions)
        expr._argset = frozenset(expressions)
        return expr
    return function(*expressions, evaluate=False)


_SORTING = (sympy.Max, sympy.Min, sympy.And, sympy.Or, sympy.Xor)


def _expressions(function: Any, arguments: list[Value]) -> list[Any]:
    expressions = [a.expr for a in arguments]
    if function is sympy.Piecewise:
        return list(zip(expressions[::2], expressions[1::2], strict=True))
    return expressions


def _combine(at: Token, expr: Any, arguments: list[Value], kind: str, grows: bool) -> Value:
    """The value of an `expr` that was built from `arguments`."""
    _refuse_unreal(at, expr)
    if expr.is_Rational:
        _limit_digits(at, expr)
        return _rational(expr, arguments[0].at)
    # SymPy keeps both answers: asked at each level, neither recurses further than to the level below.
    hash(expr)
    expr.is_commutative  # noqa: B018
    constant = all(a.constant for a in arguments)
    size = min(1 + sum(a.size for a in arguments), _SIZE_LIMIT)
    depth = 1 + max(a.depth for a in arguments)
    huge = grows or any(a.huge for a in arguments)
    if constant and kind == NUMBER and not huge:
        huge = size > CONSTANT or _is_huge(expr)
    return Value(expr, kind, arguments[0].at, constant, huge, depth, size)


def _is_shallow(arguments: list[Value]) -> bool:
    return not any(a.depth > DEEP or a.huge for a in arguments)


def _is_small(arguments: list[Value], limit: int = LARGE) -> bool:
    return sum(a.size for a in arguments) <= limit


def _refuse_unreal(at: Token, expr: Any) -> None:
    # By identity: == would compare large expressions.
    if expr is sympy.zoo or any(argument is sympy.zoo for argument in expr.args):
        raise _Mistake("division by zero" if at == "/" else f"'{_short(at)}' is infinite here", _at(at))
    for term in expr.args if expr.is_Add else (expr,):
        if any(_is_unreal(factor) for factor in (term.args if term.is_Mul else (term,))):
            raise _Mistake(f"the value of '{_short(at)}' is not real here", _at(at))


def _is_unreal(factor: Any) -> bool:
    """Whether it is I or a root of -1: these SymPy takes out of what is not real."""
    return factor is sympy.I or (factor.is_Pow and factor.args[0] is sympy.S.NegativeOne and factor.args[1].is_Rational)


def _limit_digits(at: Token, number: Any) -> None:
    if _digits(number) > MAX_DIGITS:
        raise _Mistake(f"a constant of more than {MAX_DIGITS:,} digits", _at(at))


def _digits(number: Any) -> float:
    """Digits of the numerator or denominator, whichever has more."""
    bits: int = max(abs(number.p).bit_length(), number.q.bit_length())
    return bits * math.log10(2)


@functools.lru_cache(maxsize=10_000)
def _is_huge(constant: Any) -> bool:
    # Safe, since the arguments are not huge: at most one more exponential than a number of HUGE_DIGITS digits.
    try:
        number = constant.evalf(3)
    except Exception:  # beyond what mpmath can hold
        return True
    if not number.is_Float:
        return not number.is_Number
    _, _, exponent, bits = number._mpf_
    return bool(abs(exponent + bits) * math.log10(2) > HUGE_DIGITS)


def _expect(at: Token, kind: str, *values: Value) -> None:
    for value in values:
        if value.kind != kind:
            advice = "; put brackets around each comparison" if kind == CONDITION and at in ("&", "|", "~") else ""
            raise _Mistake(f"'{_short(at)}' takes {kind} here, not {value.kind}{advice}", _at(at))


# Arithmetic -----------------------------------------------------------------------------------------------------------


def add(at: Token, terms: list[Value]) -> Value:
    _expect(at, NUMBER, *terms)
    terms = _fold(at, operator.add, terms, 0)
    if len(terms) == 1:
        return terms[0]
    # A sum within a sum is flattened: a long accumulation s = s + x would take time quadratic in its length.
    return _build(at, sympy.Add, terms, evaluate=not any(t.size > LARGE and t.expr.is_Add for t in terms))


def multiply(at: Token, factors: list[Value]) -> Value:
    _expect(at, NUMBER, *factors)
    factors = _fold(at, operator.mul, factors, 1)
    if len(factors) == 1:
        return factors[0]
    distributes = len(factors) == 2 and factors[0].expr.is_Rational
    grows = any(f.size > LARGE and (f.expr.is_Mul or (distributes and f.expr.is_Add)) for f in factors)
    return _build(at, sympy.Mul, factors, evaluate=not grows)


def _fold(at: Token, operation: Callable[[Any, Any], Any], values: list[Value], neutral: int) -> list[Value]:
    """The values with the rational ones made one, the first; pairwise, so that no long number meets many others."""
    others = [v for v in values if not v.expr.is_Rational]
    numbers = [v.expr for v in values if v.expr.is_Rational]
    while len(numbers) > 1:
        numbers = [functools.reduce(operation, numbers[i : i + 2]) for i in range(0, len(numbers), 2)]
        for number in numbers:
            _limit_digits(at, number)
    if not numbers or (others and numbers[0] == neutral):
        return others
    return [_rational(numbers[0], values[0].at), *others]


def negative(at: Token, value: Value) -> Value:
    return multiply(at, [_MINUS_ONE, value])._replace(at=value.at)


def reciprocal(at: Token, value: Value) -> Value:
    if value.expr.is_Rational and value.expr != 0:
        return _rational(1 / value.expr, value.at)
    return power(at, value, _MINUS_ONE)


def power(at: Token, base: Value, exponent: Value) -> Value:
    _expect(at, NUMBER, base, exponent)
    if base.expr.is_Rational and exponent.expr.is_Rational:
        return _rational_power(at, base, exponent)
    small = _is_small([base, exponent])
    # (2*x)**n is simplified to 2**n*x**n.
    raises = exponent.expr.is_Rational and abs(exponent.expr) > HUGE_DIGITS and not base.expr.is_Symbol
    return _build(at, sympy.Pow, [base, exponent], evaluate=small, grows=raises or (small and _hides_power(exponent)))


def _rational_power(at: Token, base: Value, exponent: Value) -> Value:
    b, e = base.expr, exponent.expr
    if abs(b) not in (0, 1) and (abs(e) > MAX_DIGITS or _digits(b) * float(abs(e)) > MAX_DIGITS):
        raise _Mistake(f"a power of more than {MAX_DIGITS:,} digits", _at(at))
    if b < 0 and e.q != 1:
        raise _Mistake("a negative number to a fractional power is not real", _at(at))
    if b == 0 and e < 0:
        raise _Mistake("division by zero", _at(at))
    # A root is simplified by factoring the number.
    return _build(at, sympy.Pow, [base, exponent], grows=e.q != 1 and _digits(b) > ROOT_DIGITS)


def _hides_power(exponent: Value) -> bool:
    """Whether exp(exponent) may be simplified to a power of many digits, as exp(10**9*log(2)) is to 2**10**9."""
    e = exponent.expr
    if e.is_Atom or exponent.huge or exponent.depth > DEEP or not e.has(sympy.log):
        return False
    return any(abs(number) > 100 for number in e.atoms(sympy.Rational))


def modulo(at: Token, a: Value, b: Value) -> Value:
    _expect(at, NUMBER, a, b)
    if b.expr is sympy.S.Zero:
        raise _Mistake("division by zero", _at(at))
    # SymPy divides the polynomials that symbolic arguments are, which may take for ever.
    return _build(at, sympy.Mod, [a, b], evaluate=a.constant and b.constant and _is_small([a, b]))


def floor_divide(at: Token, a: Value, b: Value) -> Value:
    _expect(at, NUMBER, a, b)
    return _elementary(sympy.floor)(at, multiply(at, [a, reciprocal(at, b)]))


_MINUS_ONE = _rational(sympy.Integer(-1), 0)
_ONE = _rational(sympy.Integer(1), 0)
_TWO = _rational(sympy.Integer(2), 0)


# Conditions -----------------------------------------------------------------------------------------------------------


def compare(at: Token, a: Value, b: Value) -> Value:
    return relation(COMPARISONS[at], at, a, b)


def relation(function: Any, at: Token, a: Value, b: Value) -> Value:
    _expect(at, NUMBER, a, b)
    return _build(at, function, [a, b], CONDITION, evaluate=_is_small([a, b], COMPARED))


def logic(function: Any, at: Token, conditions: list[Value]) -> Value:
    _expect(at, CONDITION, *conditions)
    return _build(at, function, conditions, CONDITION, evaluate=_is_small(conditions))


def piecewise(at: Token, branches: list[tuple[Value, Value]]) -> Value:
    parts = [part for branch in branches for part in branch]
    return _build(at, sympy.Piecewise, parts, evaluate=_is_small(parts, MEDIUM))


COMPARISONS = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}


# Functions ------------------------------------------------------------------------------------------------------------

Build = Callable[..., Value]  # (the function's name in the text, *its arguments)


class Function(NamedTuple):
    build: Build
    least: int
    most: float  # math.inf: any number

    def takes(self) -> str:
        if self.most == math.inf:
            return f"at least {self.least} argument{'s' * (self.least != 1)}"
        numbers = " or ".join(str(n) for n in range(self.least, int(self.most) + 1))
        return f"{numbers} argument{'s' * (self.most != 1)}"


def _elementary(function: Any) -> Build:
    def build(at: Token, *arguments: Value) -> Value:
        _expect(at, NUMBER, *arguments)
        return _build(at, function, list(arguments), evaluate=_is_small(list(arguments), MEDIUM))

    return build


def _condition(function: Any) -> Build:
    if function in COMPARISONS.values():
        return functools.partial(relation, function)
    return lambda at, *conditions: logic(function, at, list(conditions))


def _extremum(function: Any) -> Build:
    # SymPy compares each argument with each other one.
    def build(at: Token, *arguments: Value) -> Value:
        _expect(at, NUMBER, *arguments)
        return _build(at, function, list(arguments), evaluate=_is_small(list(arguments), COMPARED))

    return build


def _factorial_like(function: Any) -> Build:
    # gamma(10**8) would be computed digit by digit.
    def build(at: Token, x: Value) -> Value:
        _expect(at, NUMBER, x)
        grows = x.expr.is_Rational and abs(x.expr) > HUGE_DIGITS
        return _build(at, function, [x], evaluate=_is_small([x], MEDIUM), grows=grows)

    return build


def sqrt(at: Token, x: Value) -> Value:
    return power(at, x, _rational(sympy.Rational(1, 2), x.at))


def cbrt(at: Token, x: Value) -> Value:
    return power(at, x, _rational(sympy.Rational(1, 3), x.at))


def root(at: Token, x: Value, n: Value) -> Value:
    return power(at, x, reciprocal(at, n))


def log(at: Token, x: Value, base: Value | None = None) -> Value:
    natural = _elementary(sympy.log)
    if base is None:
        return natural(at, x)
    scale = reciprocal(at, natural(at, base))
    return natural(at, x, base) if x.constant and base.constant else multiply(at, [natural(at, x), scale])


def log2(at: Token, x: Value) -> Value:
    return log(at, x, _TWO)


def log10(at: Token, x: Value) -> Value:
    return log(at, x, _rational(sympy.Integer(10), x.at))


def log1p(at: Token, x: Value) -> Value:
    return log(at, add(at, [_ONE, x]))


def exp(at: Token, x: Value) -> Value:
    _expect(at, NUMBER, x)
    small = _is_small([x], MEDIUM)
    return _build(at, sympy.exp, [x], evaluate=small, grows=small and _hides_power(x))


def expm1(at: Token, x: Value) -> Value:
    return add(at, [exp(at, x), _MINUS_ONE])


def sigmoid(at: Token, x: Value) -> Value:
    return reciprocal(at, add(at, [_ONE, exp(at, negative(at, x))]))


def softplus(at: Token, x: Value) -> Value:
    return log1p(at, exp(at, x))


def relu(at: Token, x: Value) -> Value:
    return _extremum(sympy.Max)(at, _rational(sympy.Integer(0), x.at), x)


def hypot(at: Token, a: Value, b: Value) -> Value:
    return sqrt(at, add(at, [power(at, a, _TWO), power(at, b, _TWO)]))


def piecewise_call(at: Token, *pairs: Value) -> Value:
    branches = []
    for pair in pairs:
        if pair.kind != TUPLE or len(pair.expr) != 2:
            raise _Mistake("Piecewise takes pairs (value, condition)", pair.at)
        _expect(at, NUMBER, pair.expr[0])
        _expect(at, CONDITION, pair.expr[1])
        branches.append(pair.expr)
    return piecewise(at, branches)


def derivative(at: Token, value: Value, *variables: Value) -> Value:
    _expect(at, NUMBER, value)
    if not _is_small([value]) or not _is_shallow([value]):
        raise _Mistake("Derivative of an expression as large as this is not supported", _at(at))
    counts = []
    for variable in variables:
        symbol, times = variable.expr if variable.kind == TUPLE and len(variable.expr) == 2 else (variable, _ONE)
        if not (symbol.kind == NUMBER and symbol.expr.is_Symbol and times.expr in range(1, 101)):
            raise _Mistake("Derivative takes variables x or pairs (x, times), at most 100 times", variable.at)
        counts.append((symbol.expr, times.expr))
    return _build(at, lambda expr: sympy.Derivative(expr, *counts), [value])


def _not_yet(what: str) -> Build:
    def refuse(at: Token, *arguments: Value) -> Value:
        raise _Mistake(f"{what} is not supported yet", _at(at))

    return refuse


_ONE_ARGUMENT = """
    sin cos tan sec csc cot asin acos atan asec acsc acot sinh cosh tanh sech csch coth asinh acosh atanh asech
    acsch acoth Abs sign floor ceiling frac sinc erf erfc re im conjugate
""".split()

FUNCTIONS: dict[str, Function] = {name: Function(_elementary(getattr(sympy, name)), 1, 1) for name in _ONE_ARGUMENT}
FUNCTIONS |= {build.__name__: Function(build, 1, 1) for build in (exp, sqrt, cbrt, log2, log10, log1p, expm1)}
FUNCTIONS |= {build.__name__: Function(build, 1, 1) for build in (sigmoid, softplus, relu)}
FUNCTIONS |= {name: Function(_condition(getattr(sympy, name)), 2, 2) for name in ("Eq", "Ne", "Lt", "Le", "Gt", "Ge")}
FUNCTIONS |= {name: Function(_condition(getattr(sympy, name)), 1, math.inf) for name in ("And", "Or", "Xor")}
FUNCTIONS |= {name: Function(_extremum(getattr(sympy, name)), 1, math.inf) for name in ("Max", "Min")}
FUNCTIONS |= {name: Function(_not_yet(f"{name}(...)"), 0, math.inf) for name in ("Sum", "sum", "Product", "Integral")}
FUNCTIONS |= {
    "log": Function(log, 1, 2),
    "root": Function(root, 2, 2),
    "hypot": Function(hypot, 2, 2),
    "atan2": Function(_elementary(sympy.atan2), 2, 2),
    "Mod": Function(modulo, 2, 2),
    "Heaviside": Function(_elementary(sympy.Heaviside), 1, 2),
    "gamma": Function(_factorial_like(sympy.gamma), 1, 1),
    "loggamma": Function(_factorial_like(sympy.loggamma), 1, 1),
    "range": Function(_not_yet("a sum over an index"), 0, math.inf),
    "ITE": Function(_condition(sympy.ITE), 3, 3),
    "Not": Function(_condition(sympy.Not), 1, 1),
    "Piecewise": Function(piecewise_call, 1, math.inf),
    "Derivative": Function(derivative, 2, math.inf),
}

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


# Tokens ---------------------------------------------------------------------------------------------------------------

_KEYWORDS = {"if", "else", "and", "or", "not", "for", "in", "True", "False"}


def _literal(token: Token) -> Value:
    """The exact rational number that a decimal literal says."""
    mantissa, _, exponent = token.lower().replace("_", "").partition("e")
    whole, _, fraction = mantissa.partition(".")
    if len(exponent) > len(str(MAX_EXPONENT)) + 10 or abs(int(exponent or "0")) > MAX_EXPONENT:
        raise _Mistake(f"the exponent is beyond {MAX_EXPONENT:,}", _at(token))
    digits, limit = whole + fraction, sys.get_int_max_str_digits() or MAX_LITERAL
    if len(digits) > min(limit, MAX_LITERAL):
        raise _Mistake(f"a number of more than {min(limit, MAX_LITERAL):,} digits", _at(token))
    return _rational(int(digits) * sympy.Integer(10) ** (int(exponent or "0") - len(fraction)), _at(token))


def _identifier(token: Token) -> str:
    """The name as Python compares it (NFKC)."""
    if len(token) > MAX_NAME:
        raise _Mistake(f"a name of more than {MAX_NAME:,} characters", _at(token))
    if not token.isidentifier():
        wrong = next(i for i in range(len(token)) if not token[: i + 1].isidentifier())
        raise _Mistake(_strange_character(token[wrong]), _at(token) + wrong)
    name = unicodedata.normalize("NFKC", str(token))
    if name in _KEYWORDS or not name.isidentifier():
        raise _Mistake("this is no name once its characters are normalised (NFKC)", _at(token))
    return name


def _at(token: Token | None) -> int:
    return 0 if token is None or token.start_pos is None else token.start_pos


# Errors ---------------------------------------------------------------------------------------------------------------


class _Mistake(Exception):
    """A reason to refuse the text, and the offset where: parse() knows the text and makes it a ParseError."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason, self.offset = reason, offset


def _parse_error(text: str, mistake: _Mistake) -> ParseError:
    start = text.rfind("\n", 0, mistake.offset) + 1
    end = text.find("\n", start)
    line = text[start:] if end < 0 else text[start:end]
    return ParseError(mistake.reason, text.count("\n", 0, start) + 1, mistake.offset - start + 1, line)


_ADVICE = {
    "^": "write ** for a power and Xor(a, b) for conditions",
    "!": "write not, or != to compare",
    "=": "write == to compare",
    ";": "write each name on its own line",
    ".": "nothing here has attributes",
    "²": "write **2",
    "³": "write **3",
    "−": "write - (the ASCII minus)",  # noqa: RUF001
    "×": "write *",  # noqa: RUF001
    "·": "write *",
    "÷": "write /",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "'": "there are no strings",
    '"': "there are no strings",
    "{": "write ( )",
}


def _strange_character(character: str) -> str:
    shown = f"'{character}'" if character.isprintable() else f"U+{ord(character):04X}"
    advice = f"; {_ADVICE[character]}" if character in _ADVICE else ""
    return f"{shown} is not in the language{advice}"


def _unexpected(text: str, error: UnexpectedToken) -> str:
    token = error.token
    if token.type == "$END":
        breaks_off = "the expression breaks off; a number, a name or '(' should follow"
        return breaks_off if _end(text) else "no expression"
    shown = "the end of the line" if token.type == "_NEWLINE" else f"'{_short(token)}'"
    if "NUMBER" in error.expected:
        return f"{shown} where a number, a name or '(' should stand"
    if error.expected == {"NAME"}:
        return f"{shown} where a name should stand"
    if token == "=":
        return "only a name can be given a value; write name = ..., or == to compare"
    if token in ("j", "J") and text[_at(token) - 1].isdigit():
        return "complex numbers are not in the language"
    if token.type in ("NAME", "NUMBER", "LPAR") and "SIGN" in error.expected:
        return f"an operator is missing before {shown}; write * for a product"
    return f"{shown} is out of place here"


def _unknown_function(name: str) -> str:
    near = difflib.get_close_matches(name[:50], [*FUNCTIONS, *ALIASES], 1)
    return f"unknown function '{_short(name)}'" + (f"; did you mean '{near[0]}'?" if near else "")


def _short(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _end(text: str) -> int:
    """The offset behind the last line that says something."""
    return len("\n".join(text.split("\n")).rstrip()) if any(_code(line) for line in text.split("\n")) else 0


def _code(line: str) -> str:
    return line.partition("#")[0].strip()
