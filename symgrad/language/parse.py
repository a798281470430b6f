"""The language of expr.txt: from text to SymPy expressions, by a grammar; nothing is ever evaluated as Python."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sympy

from ..errors import ParseError
from .messages import Mistake, end_of_text, offset_of, parse_error, strange_character, unexpected
from .reader import Reader
from .tokens import Lines

if TYPE_CHECKING:
    from lark import Lark

MAX_CHARACTERS = 1_000_000  # longer texts are refused


def parse(text: str) -> Problem:
    r"""The expression that `text` says, with its named intermediate results.

    Nothing is ever evaluated as Python.

    Args:
        text: One expression, or lines with names for intermediate results, in the language of expr.txt; at most
            1,000,000 characters.

    Returns:
        What the text says, to be given to `symgrad.compile` or `symgrad.emit`.

    Raises:
        ParseError: Whatever is not in the language, with line and column; and constants too large to compute.
        TypeError: `text` is not a str.

    Examples:
        >>> problem = symgrad.parse("q = x + y\nq*z")
        >>> problem.expression
        z*(x + y)
        >>> problem.names
        {'q': x + y}
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
    names = {name: value.expr for name, value in reader.symbols.results.items()}
    return Problem(expression, names, text, tuple(reader.symbols.declared))


@dataclass(frozen=True)
class Problem:
    """What a text says: the output, and the intermediate results that it names, in their order.

    Attributes:
        expression: The last line, a `sympy.Expr`; where there are several outputs a dict of such by name.
        names: The intermediate results, `sympy.Expr` or conditions, of an array its element in `arrays.AXES`; later
            ones contain the earlier objects themselves.
        source: The text.
        declared: The inputs that the text declares, in order: `Symbol` and `IndexedBase`.
    """

    expression: Any  # a sympy.Expr, or a dict of them by name
    names: dict[str, sympy.Basic]
    source: str
    declared: tuple[sympy.Basic, ...] = ()


# Text to lines of tokens ----------------------------------------------------------------------------------------------


def _read(text: str) -> Any:
    from lark import UnexpectedCharacters, UnexpectedToken

    try:
        return _grammar().parse(text)
    except UnexpectedCharacters as error:
        offset = error.pos_in_stream or 0
        raise Mistake(strange_character(text[offset]), offset) from None
    except UnexpectedToken as error:
        offset = end_of_text(text) if error.token.type == "$END" else offset_of(error.token)
        raise Mistake(unexpected(text, error), offset) from None


@functools.cache
def _grammar() -> Lark:
    # Imported at the first text: compiling SymPy expressions needs no parser.
    from lark import Lark

    grammar = Path(__file__).with_name("expression.lark").read_text(encoding="utf-8")
    lines = Lines(lambda names: _reader.get().know(names))
    return Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=False, transformer=_ToReader(), postlex=lines)


class _ToReader:
    """Hands each rule to the reader of the text at hand: the grammar is built once, texts may be read in threads."""

    def __getattr__(self, rule: str) -> Callable[[list[Any]], Any]:
        method = getattr(Reader, rule)
        return lambda children: method(_reader.get(), children)


_reader: ContextVar[Reader] = ContextVar("reader")
