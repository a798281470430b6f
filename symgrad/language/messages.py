"""What is wrong with a text, in words, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ParseError

if TYPE_CHECKING:
    from lark import Token, UnexpectedToken


class Mistake(Exception):
    """A reason to refuse the text, and the offset where: parse() knows the text and makes it a ParseError."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason, self.offset = reason, offset


def parse_error(text: str, mistake: Mistake) -> ParseError:
    start = text.rfind("\n", 0, mistake.offset) + 1
    end = text.find("\n", start)
    line = text[start:] if end < 0 else text[start:end]
    return ParseError(mistake.reason, text.count("\n", 0, start) + 1, mistake.offset - start + 1, line)


def offset_of(token: Token | None) -> int:
    return 0 if token is None or token.start_pos is None else token.start_pos


def short(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


_ADVICE = {
    "^": "write ** for a power and Xor(a, b) for conditions",
    "!": "write not, or != to compare",
    "=": "write == to compare",
    ";": "write each name on its own line",
    "²": "write **2",
    "³": "write **3",
    "−": "write - (the ASCII minus)",  # noqa: RUF001
    "×": "write *",
    "·": "write *",
    "÷": "write /",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "'": "there are no strings",
    '"': "there are no strings",
    "{": "write ( )",
}


def strange_character(character: str) -> str:
    shown = f"'{character}'" if character.isprintable() else f"U+{ord(character):04X}"
    advice = f"; {_ADVICE[character]}" if character in _ADVICE else ""
    return f"{shown} is not in the language{advice}"


def unexpected(text: str, error: UnexpectedToken) -> str:
    token = error.token
    if token.type == "$END":
        breaks_off = "the expression breaks off; a number, a name or '(' should follow"
        return breaks_off if end_of_text(text) else "no expression"
    shown = "the end of the line" if token.type == "_NEWLINE" else f"'{short(token)}'"
    if "NUMBER" in error.expected:
        return f"{shown} where a number, a name or '(' should stand"
    if error.expected == {"NAME"}:
        return f"{shown} where a name should stand"
    if token == "=":
        return "only a name can be given a value; write name = ..., or == to compare"
    if token in ("j", "J") and text[offset_of(token) - 1].isdigit():
        return "complex numbers are not in the language"
    if token == ":" and "RSQB" in error.expected:
        return "there are no slices; read the elements in a loop, x[i] for i in range(a, b)"
    if token == "for":
        return "'for' stands in a call or a list; write sum(x[i] for i in range(n)), or [x[i] for i in range(n)]"
    if token.type in ("NAME", "NUMBER", "LPAR") and "SIGN" in error.expected:
        return f"an operator is missing before {shown}; write * for a product"
    return f"{shown} is out of place here"


def end_of_text(text: str) -> int:
    """The offset behind the last line that says something."""
    return len("\n".join(text.split("\n")).rstrip()) if any(_code(line) for line in text.split("\n")) else 0


def _code(line: str) -> str:
    return line.partition("#")[0].strip()
