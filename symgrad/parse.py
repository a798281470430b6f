"""The language of expr.txt: from text to SymPy expressions, by a grammar; nothing is ever evaluated as Python."""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sympy

from .construct import (
    CONDITION,
    NUMBER,
    TRUE,
    TUPLE,
    Value,
    add,
    compare,
    expect,
    floor_divide,
    logic,
    modulo,
    multiply,
    negative,
    piecewise,
    power,
    rational,
    reciprocal,
)
from .errors import ParseError
from .mistakes import Mistake, end_of_text, parse_error, place, short, strange_character, unexpected
from .vocabulary import ALIASES, CONSTANTS, FUNCTIONS, unknown_function

if TYPE_CHECKING:
    from lark import Lark, Token

# What is refused: longer texts, names and exponents, and numbers of more digits.
MAX_CHARACTERS = 1_000_000
MAX_NAME = 1_000
MAX_EXPONENT = 10_000
MAX_LITERAL = 4_300  # digits; Python's own limit for int(text), quadratic in the digits


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
    except Mistake as mistake:
        raise parse_error(lines, mistake) from None
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
        raise Mistake(strange_character(text[offset]), offset) from None
    except UnexpectedToken as error:
        offset = end_of_text(text) if error.token.type == "$END" else place(error.token)
        raise Mistake(unexpected(text, error), offset) from None


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
            raise Mistake(f"'{opened[-1]}' is never closed", place(opened[-1]))


_OPENING = {"LPAR": ")", "LSQB": "]"}
_CLOSING = {"RPAR", "RSQB"}


def _close(opened: list[Token], token: Token) -> None:
    if not opened:
        raise Mistake(f"'{token}' closes nothing", place(token))
    if _OPENING[opened[-1].type] != token:
        raise Mistake(f"'{token}' where '{_OPENING[opened[-1].type]}' should close the '{opened[-1]}'", place(token))
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
                raise Mistake("only the last line may go without a name; write name = ...", line.at)
        if value is None:
            raise Mistake("the last line is a declaration; an expression should follow", place(name))
        if value.kind != NUMBER:
            raise Mistake(f"the output is {value.kind}, not a number", value.at if name is None else place(name))
        return value.expr

    def output(self, children: list[Any]) -> tuple[Token | None, Value]:
        return None, children[0]

    def assignment(self, children: list[Any]) -> tuple[Token, Value]:
        at, value = children
        name = self._introduce(at)
        if value.kind == TUPLE:
            raise Mistake(f"'{name}' is given {TUPLE}, not a number", place(at))
        self.results[name] = self.symbols[name] = value._replace(whole=True)
        return at, value

    def declaration(self, children: list[Any]) -> tuple[Token, None]:
        at, kind, *extents = children
        if kind in ("vector", "matrix", "integer"):
            raise Mistake(f"declarations of vectors and matrices are not supported yet, nor is {kind}", place(kind))
        if kind != "real" or extents:
            raise Mistake(f"'{short(kind)}' is no type; write real", place(kind))
        name = self._introduce(at)
        self.symbols[name] = _symbol(name, place(at))
        return at, None

    def _introduce(self, at: Token) -> str:
        name = _identifier(at)
        if name in self.introduced:
            raise Mistake(f"'{short(name)}' already has a meaning from line {self.introduced[name].line}", place(at))
        if name in self.used:
            raise Mistake(f"'{short(name)}' is used on line {self.used[name].line}, before it is given here", place(at))
        self.introduced[name] = at
        return name

    # Atoms

    def number(self, children: list[Token]) -> Value:
        return _literal(children[0])

    def truth(self, children: list[Token]) -> Value:
        return Value(sympy.true if children[0] == "True" else sympy.false, CONDITION, place(children[0]))

    def name(self, children: list[Token]) -> Value:
        at = children[0]
        name = _identifier(at)
        self.used.setdefault(name, at)
        if name not in self.symbols:
            if name == "zoo":
                raise Mistake("zoo (complex infinity) is not a real number", place(at))
            known = CONSTANTS.get(name)
            self.symbols[name] = _symbol(name, place(at)) if known is None else Value(known, NUMBER, 0, constant=True)
        return self.symbols[name]._replace(at=place(at))

    def tuple(self, children: list[Any]) -> Value:
        at, first, *rest = children
        return Value((first, *(rest[0] if rest else ())), TUPLE, place(at))

    def arguments(self, children: list[Value]) -> list[Value]:
        return children

    def call(self, children: list[Any]) -> Value:
        at, arguments = children[0], children[1] if len(children) > 1 else []
        name = _identifier(at)
        if name in self.introduced:
            line = self.introduced[name].line
            raise Mistake(f"'{short(name)}' is a variable (line {line}), not a function", place(at))
        function = FUNCTIONS.get(ALIASES.get(name, name))
        if function is None:
            raise Mistake(unknown_function(name), place(at))
        if not function.least <= len(arguments) <= function.most:
            raise Mistake(f"{name} takes {function.takes()}, not {len(arguments)}", place(at))
        return function.build(at, *arguments)

    def index(self, children: list[Any]) -> Value:
        raise Mistake("indexing is not supported yet", place(children[1]))

    def generator(self, children: list[Any]) -> Value:
        raise Mistake("sums over an index are not supported yet", place(children[1]))

    # Operators

    def power(self, children: list[Any]) -> Value:
        base, at, exponent = children
        return power(at, base, exponent)

    def signed(self, children: list[Any]) -> Value:
        at, value = children
        expect(at, NUMBER, value)
        return negative(at, value) if at == "-" else value

    def product(self, children: list[Any]) -> Value:
        factors = [children[0]]
        for at, value in zip(children[1::2], children[2::2], strict=True):
            if at == "@":
                raise Mistake("products of matrices (@) are not supported yet", place(at))
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
        expect(at, NUMBER, value, otherwise)
        expect(at, CONDITION, condition)
        return piecewise(at, [(value, condition), (otherwise, TRUE)])


def _symbol(name: str, at: int) -> Value:
    return Value(sympy.Symbol(name), NUMBER, at)


_reader: ContextVar[Reader] = ContextVar("reader")


# Tokens ---------------------------------------------------------------------------------------------------------------

_KEYWORDS = {"if", "else", "and", "or", "not", "for", "in", "True", "False"}


def _literal(token: Token) -> Value:
    """The exact rational number that a decimal literal says."""
    mantissa, _, exponent = token.lower().replace("_", "").partition("e")
    whole, _, fraction = mantissa.partition(".")
    if len(exponent) > len(str(MAX_EXPONENT)) + 10 or abs(int(exponent or "0")) > MAX_EXPONENT:
        raise Mistake(f"the exponent is beyond {MAX_EXPONENT:,}", place(token))
    digits, limit = whole + fraction, sys.get_int_max_str_digits() or MAX_LITERAL
    if len(digits) > min(limit, MAX_LITERAL):
        raise Mistake(f"a number of more than {min(limit, MAX_LITERAL):,} digits", place(token))
    return rational(int(digits) * sympy.Integer(10) ** (int(exponent or "0") - len(fraction)), place(token))


def _identifier(token: Token) -> str:
    """The name as Python compares it (NFKC)."""
    if len(token) > MAX_NAME:
        raise Mistake(f"a name of more than {MAX_NAME:,} characters", place(token))
    if not token.isidentifier():
        wrong = next(i for i in range(len(token)) if not token[: i + 1].isidentifier())
        raise Mistake(strange_character(token[wrong]), place(token) + wrong)
    name = unicodedata.normalize("NFKC", str(token))
    if name in _KEYWORDS or not name.isidentifier():
        raise Mistake("this is no name once its characters are normalised (NFKC)", place(token))
    return name
