"""The symbol table of a text: what each name means, from its declaration, its assignment or its first use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import sympy

from .arrays import AXES, Extents, extents
from .construct import CONDITION, NUMBER, SHAPELESS, Value
from .messages import Mistake, offset_of, short
from .tokens import Names, identifier
from .vocabulary import CONSTANTS

if TYPE_CHECKING:
    from lark import Token

_TYPES: dict[str, tuple[int, float, str]] = {  # the least and the largest number of extents
    "real": (0, 0, "x: real, or vector(n), matrix(n, m), array(n, m, ...)"),
    "integer": (0, 0, "n: integer, or integers(n) for an array of them"),
    "vector": (1, 1, "w: vector(n)"),
    "matrix": (2, 2, "X: matrix(n, d)"),
    "array": (1, math.inf, "T: array(n, m, ...)"),
    "integers": (1, math.inf, "y: integers(n)"),
}


class SymbolTable:
    """What the names of one text mean, line by line. A name has one meaning, and none before it is given."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.values: dict[str, Value] = {}  # by name: what has been given, declared or used
        self.introduced: dict[str, Token] = {}  # by assignment or declaration
        self.used: dict[str, Token] = {}  # first uses
        self.results: dict[str, Value] = {}  # by assignment
        self.declared: list[sympy.Basic] = []
        self.ranks: dict[sympy.Basic, int] = {}  # of arrays without a shape

    def assign(self, at: Token, value: Value) -> None:
        """`name = value`."""
        name = self._introduce(at)
        if value.kind not in (NUMBER, CONDITION):
            raise Mistake(f"'{name}' is given {value.kind}, not a number", offset_of(at))
        self.results[name] = self.values[name] = value._replace(whole=True)

    def declare(self, at: Token, kind: Token, sizes: list[Value]) -> None:
        """`name: kind(sizes)`."""
        _check_type(kind, sizes)
        name = identifier(at)
        if kind != "integer" and name in self.names.extents:
            line = self.names.extents[name].line
            raise Mistake(f"'{short(name)}' is an extent or bound on line {line}, which is an integer", offset_of(at))
        self._introduce(at)
        if sizes:
            value = self._array(name, offset_of(at), kind == "integers", extents(sizes))
        else:
            value = _symbol(name, offset_of(at), integer=kind == "integer")
        self.values[name] = value
        self.declared.append(value.expr.base if value.shape else value.expr)

    def read(self, at: Token) -> Value:
        """What a name means where it is used."""
        name = identifier(at)
        self.used.setdefault(name, at)
        if name not in self.values:
            self.values[name] = self._undeclared(name, at)
        return self.values[name]._replace(at=offset_of(at))

    def _introduce(self, at: Token) -> str:
        name = identifier(at)
        if name in self.introduced:
            raise Mistake(
                f"'{short(name)}' already has a meaning from line {self.introduced[name].line}", offset_of(at)
            )
        if name in self.used:
            raise Mistake(
                f"'{short(name)}' is used on line {self.used[name].line}, before it is given here", offset_of(at)
            )
        self.introduced[name] = at
        return name

    def _undeclared(self, name: str, at: Token) -> Value:
        if name == "zoo":
            raise Mistake("zoo (complex infinity) is not a real number", offset_of(at))
        if name in self.names.arrays:
            return self._array(name, offset_of(at), integer=False)
        if name in CONSTANTS and (name not in self.names.extents or name in ("oo", "nan")):
            return Value(CONSTANTS[name], NUMBER, 0, constant=True, closed=True)
        return _symbol(name, offset_of(at), integer=name in self.names.extents)

    def _array(self, name: str, at: int, integer: bool, shape: Extents | None = None) -> Value:
        if integer or name in self.names.tables:
            label = sympy.Symbol(name, integer=True)
        else:
            # As IndexedBase(name) is, where only its name is known.
            label = sympy.Symbol(name) if shape is None else sympy.Symbol(name, real=True)
        if shape is None:
            return Value(sympy.IndexedBase(label), SHAPELESS, at)
        axes = AXES[: len(shape)][::-1]
        return Value(sympy.IndexedBase(label, shape=shape)[axes], NUMBER, at, shape=shape)


def _symbol(name: str, at: int, integer: bool) -> Value:
    return Value(sympy.Symbol(name, integer=True) if integer else sympy.Symbol(name), NUMBER, at)


def _check_type(kind: Token, sizes: list[Value]) -> None:
    if kind not in _TYPES:
        raise Mistake(
            f"'{short(kind)}' is no type; write real, integer, {', '.join(list(_TYPES)[2:])}", offset_of(kind)
        )
    least, most, example = _TYPES[kind]
    if not least <= len(sizes) <= most:
        raise Mistake(f"write {example}", offset_of(kind))
