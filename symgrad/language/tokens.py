"""From the lexer to the grammar: newlines, brackets, and which names are the indices of which loops.

The grammar is read bottom up: a body is built before the `for i in ...` behind it is seen. So what each name stands for
is found here, on the tokens.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sympy

from .construct import Value, rational
from .messages import Mistake, offset_of, strange_character

if TYPE_CHECKING:
    from lark import Token

# What is refused: longer names and exponents, and numbers of more digits.
MAX_NAME = 1_000
MAX_EXPONENT = 10_000
MAX_LITERAL = 4_300  # digits; Python's own limit for int(text), quadratic in the digits

# The indices of lists in a text, by how deep these are nested, until a list is read: not names of the language.
ENTRIES = tuple(sympy.Symbol(f"entry {k}", integer=True) for k in range(32))

_KEYWORDS = {"if", "else", "and", "or", "not", "for", "in", "True", "False"}
LIMITED = ("Sum", "Product", "Largest", "Smallest")  # called as SymPy prints them: (body, (i, a, b), ...)
_SIZED = ("range", "zeros", "ones", "eye", "identity")  # their arguments are integers


@dataclass
class Names:
    """What the names of a text stand for, as far as tokens tell."""

    indices: dict[int, sympy.Basic] = field(default_factory=dict)  # by the offset of a name: the index it stands for
    binders: dict[int, sympy.Basic] = field(default_factory=dict)  # by the offset where a loop names it: an index
    extents: dict[str, Token] = field(default_factory=dict)  # names in extents and bounds, where they first are
    arrays: set[str] = field(default_factory=set)  # followed by [
    tables: set[str] = field(default_factory=set)  # the arrays whose elements are indices of others
    taken: set[str] = field(default_factory=set)  # every name in the text

    def fresh(self, name: str) -> str:
        """A name that is not in the text yet, like this one."""
        number = 1
        while f"{name}_{number}" in self.taken:
            number += 1
        self.taken.add(f"{name}_{number}")
        return f"{name}_{number}"


class Lines:
    """Drops newlines within brackets, doubled newlines and those at either end; pairs the brackets."""

    always_accept = ("_NEWLINE",)

    def __init__(self, tell: Callable[[Names], None]) -> None:
        self.tell = tell  # is told what names stand for, before the grammar sees a token

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        kept = list(_paired(tokens))
        self.tell(_Scopes(kept).names())
        return iter(kept)


def _paired(tokens: Iterator[Token]) -> Iterator[Token]:
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
        raise Mistake(f"'{opened[-1]}' is never closed", offset_of(opened[-1]))


_OPENING = {"LPAR": ")", "LSQB": "]"}
_CLOSING = {"RPAR", "RSQB"}


def _close(opened: list[Token], token: Token) -> None:
    if not opened:
        raise Mistake(f"'{token}' closes nothing", offset_of(token))
    if _OPENING[opened[-1].type] != token:
        raise Mistake(
            f"'{token}' where '{_OPENING[opened[-1].type]}' should close the '{opened[-1]}'", offset_of(token)
        )
    opened.pop()


# Scopes ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Bracket:
    first: int  # the first token within
    call: str  # the name before the bracket
    square: bool  # it or a bracket around it is that of an index, [
    is_list: bool  # it is [ and holds entries
    sized: bool  # its names are integers: extents and bounds
    start: int  # the first token of the part at hand, up to the next comma
    links: list[int] = field(default_factory=list)  # the part's `for` and `if`
    limits: list[int] = field(default_factory=list)  # of a Sum as SymPy prints it: the names in (i, a, b)


@dataclass
class _Binding:
    at: int  # the token that names the index
    name: str
    uses: list[int]
    in_list: bool  # it is that of an axis of a list, [... for i in range(n)]
    shadows: bool = False  # a loop around it has an index of the same name
    entry: int | None = None  # how many indices of lists around it are open where its scope begins


class _Scopes:
    """Finds the indices of loops in a list of tokens, with the scopes that Python and SymPy give them."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.opening: dict[int, list[_Binding]] = {}  # by token: the bindings whose scope begins there, outer first
        self.closing: dict[int, list[_Binding]] = {}  # by token: those whose scope ends before it
        self.bindings: list[_Binding] = []
        self.sized: set[int] = set()  # tokens in extents and bounds
        self.square: set[int] = set()  # tokens within [ ]
        self._read_brackets()

    def names(self) -> Names:
        found, integers = self._resolved()
        count = Counter(binding.name for binding in self.bindings)
        for binding in self.bindings:
            if binding.in_list:
                symbol = self._entry(binding)
            else:
                # An extent or array of the same name is another thing in the same expressions. What an entry of a list
                # sums over must be no index that the entry is read at elsewhere.
                distinct = binding.shadows or binding.name in integers or binding.name in found.arrays
                distinct = distinct or bool(binding.entry and count[binding.name] > 1)
                symbol = sympy.Symbol(found.fresh(binding.name) if distinct else binding.name, integer=True)
            found.binders[offset_of(self.tokens[binding.at])] = symbol
            found.indices.update((offset_of(self.tokens[use]), symbol) for use in (*binding.uses, binding.at))
        return found

    def _entry(self, binding: _Binding) -> sympy.Basic:
        if binding.entry is None or binding.entry >= len(ENTRIES):
            raise Mistake(f"lists have at most {len(ENTRIES)} axes", offset_of(self.tokens[binding.at]))
        return ENTRIES[binding.entry]

    def _read_brackets(self) -> None:
        brackets: list[_Bracket] = []
        for at, token in enumerate(self.tokens):
            if token.type in _OPENING:
                brackets.append(self._opened(at, brackets[-1] if brackets else None))
            elif not brackets:
                continue
            elif token.type in _CLOSING:
                self._end_part(brackets[-1], at)
                self._end_limits(brackets.pop())
            elif token.type == "COMMA":
                self._end_part(brackets[-1], at)
                brackets[-1].start = at + 1
            elif token.type in ("FOR", "IF"):
                brackets[-1].links.append(at)
            elif token.type == "NAME":
                if brackets[-1].sized:
                    self.sized.add(at)
                if brackets[-1].square:
                    self.square.add(at)

    def _opened(self, at: int, outer: _Bracket | None) -> _Bracket:
        called = self._type(at) == "LPAR" and self._type(at - 1) == "NAME"
        call = str(self.tokens[at - 1]) if called else ""
        sized = call in _SIZED or (called and self._type(at - 2) == "COLON")
        is_list = self._type(at) == "LSQB" and self._type(at - 1) not in ("NAME", *_CLOSING)
        square = self._type(at) == "LSQB" and not is_list
        if outer is not None:
            sized, square = sized or outer.sized, square or outer.square
            if outer.call in LIMITED and outer.first < at == outer.start:
                sized = True
                if self._type(at + 1) == "NAME" and self._type(at + 2) == "COMMA":
                    outer.limits.append(at + 1)
        return _Bracket(at + 1, call, square, is_list, sized, start=at + 1)

    def _end_part(self, bracket: _Bracket, end: int) -> None:
        """The scopes of `body for i in range(n) if condition for j in range(i)`."""
        links, bracket.links = bracket.links, []
        loops = [link for link in links if self._type(link) == "FOR" and self._type(link + 1) == "NAME"]
        if not loops:
            return
        bindings = [self._bind(loop + 1, bracket.start, loops[0], bracket.is_list) for loop in loops]
        ends = dict(zip(links, [*links[1:], end], strict=True))
        for binding, loop in zip(bindings, loops, strict=True):
            self._scope(binding, ends[loop], end)

    def _end_limits(self, bracket: _Bracket) -> None:
        """The scopes of `Sum(body, (i, 0, j), (j, 0, n))`: the body, and the limits before its own."""
        for name in reversed(bracket.limits):
            self._bind(name, bracket.first, name - 1)

    def _bind(self, at: int, start: int, end: int, in_list: bool = False) -> _Binding:
        binding = _Binding(at, self._name(at), [], in_list)
        self.bindings.append(binding)
        self._scope(binding, start, end)
        return binding

    def _scope(self, binding: _Binding, start: int, end: int) -> None:
        if start < end:
            self.opening.setdefault(start, []).append(binding)
            self.closing.setdefault(end, []).append(binding)

    def _resolved(self) -> tuple[Names, set[str]]:
        """What is said of names outside of loops, and those of integers; the bindings learn of their uses."""
        found, integers, visible = Names(), set[str](), dict[str, list[_Binding]]()
        binders = {binding.at for binding in self.bindings}
        entries = 0  # indices of lists whose scopes are open
        for at, token in enumerate(self.tokens):
            for binding in self.closing.get(at, ()):
                visible[binding.name].pop()
                entries -= binding.in_list
            for binding in self.opening.get(at, ()):
                around = visible.setdefault(binding.name, [])
                binding.shadows = binding.shadows or bool(around)
                around.append(binding)
                binding.entry = entries if binding.entry is None else binding.entry
                entries += binding.in_list
            if token.type != "NAME" or self._type(at - 1) == "DOT":
                continue
            name = self._name(at)
            found.taken.add(name)
            if self._type(at - 1) == "COLON":
                if token == "integer" and at > 1:
                    integers.add(self._name(at - 2))
            elif at in binders:
                continue
            elif visible.get(name):
                visible[name][-1].uses.append(at)
            elif self._type(at + 1) == "LSQB":
                found.arrays.add(name)
                if at in self.square:
                    found.tables.add(name)
            elif at in self.sized and self._type(at + 1) != "LPAR":
                found.extents.setdefault(name, token)
        return found, integers | set(found.extents)

    def _type(self, at: int) -> str:
        return self.tokens[at].type if 0 <= at < len(self.tokens) else ""

    def _name(self, at: int) -> str:
        return unicodedata.normalize("NFKC", str(self.tokens[at]))


# Tokens ---------------------------------------------------------------------------------------------------------------


def literal(token: Token) -> Value:
    """The exact rational number that a decimal literal says."""
    mantissa, _, exponent = token.lower().replace("_", "").partition("e")
    whole, _, fraction = mantissa.partition(".")
    if len(exponent) > len(str(MAX_EXPONENT)) + 10 or abs(int(exponent or "0")) > MAX_EXPONENT:
        raise Mistake(f"the exponent is beyond {MAX_EXPONENT:,}", offset_of(token))
    digits, limit = whole + fraction, sys.get_int_max_str_digits() or MAX_LITERAL
    if len(digits) > min(limit, MAX_LITERAL):
        raise Mistake(f"a number of more than {min(limit, MAX_LITERAL):,} digits", offset_of(token))
    return rational(int(digits) * sympy.Integer(10) ** (int(exponent or "0") - len(fraction)), offset_of(token))


def identifier(token: Token) -> str:
    """The name as Python compares it (NFKC)."""
    if len(token) > MAX_NAME:
        raise Mistake(f"a name of more than {MAX_NAME:,} characters", offset_of(token))
    if not token.isidentifier():
        wrong = next(i for i in range(len(token)) if not token[: i + 1].isidentifier())
        raise Mistake(strange_character(token[wrong]), offset_of(token) + wrong)
    name = unicodedata.normalize("NFKC", str(token))
    if name in _KEYWORDS or not name.isidentifier():
        raise Mistake("this is not an identifier once its characters are normalised (NFKC)", offset_of(token))
    return name
