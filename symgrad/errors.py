"""What symgrad raises: each error names the thing, its place and the way out."""

from __future__ import annotations


class SymgradError(Exception):
    """The parent of every error that symgrad raises on purpose."""


class ParseError(SymgradError):
    """Text that is not an expression of our language; knows where it went wrong.

    `line` and `column` count from 1; `source_line` is the offending line, shortened around the place.
    """

    def __init__(self, reason: str, line: int, column: int, source_line: str = "") -> None:
        self.reason, self.line, self.column = reason, line, column
        start = max(0, column - 1 - _CONTEXT)
        self.source_line = "".join(c if c.isprintable() else " " for c in source_line[start : column - 1 + _CONTEXT])
        self.caret = " " * (column - 1 - start) + "^"
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
