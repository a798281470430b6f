"""What symgrad raises: each error names the thing, its place and the way out."""

from __future__ import annotations


class SymgradError(Exception):
    """The parent of every error that symgrad raises on purpose."""


class ParseError(SymgradError):
    """Text that is not an expression of our language; knows where it went wrong.

    Attributes:
        reason: What is wrong, in words.
        line: The line, counted from 1.
        column: The column, counted from 1, in characters.
        source_line: The offending line, shortened around the place; empty where there is none to show.
        caret: Spaces and a caret, which stands below the place when it is printed under `source_line`.
    """

    def __init__(self, reason: str, line: int, column: int, source_line: str = "") -> None:
        self.reason: str = reason
        self.line: int = line
        self.column: int = column
        start = max(0, column - 1 - _CONTEXT)
        shown = source_line[start : column - 1 + _CONTEXT]
        self.source_line: str = "".join(c if c.isprintable() else " " for c in shown)
        self.caret: str = " " * (column - 1 - start) + "^"
        place = f"line {line}, column {column}: {reason}"
        super().__init__(f"{place}\n    {self.source_line}\n    {self.caret}" if self.source_line.strip() else place)


class UnsupportedExpression(SymgradError, TypeError):
    """A sub-expression that symgrad does not compile: the message names it, its class and the way out."""


class ShapeError(SymgradError, ValueError):
    """Arrays whose shapes do not fit together: the message names the axis, the arrays and both numbers."""


class VerificationError(SymgradError, AssertionError):
    """A graph or a program that breaks a rule of its own: a fault of symgrad, found under SYMGRAD_VERIFY=1."""

    def __init__(self, breach: str) -> None:
        super().__init__(
            f"{breach}. This is a fault of symgrad, not of your expression: please report it, with the expression"
        )


# Characters of the offending line shown on either side of the caret.
_CONTEXT = 60
