"""Docstrings as Markdown: they are prose, with columns of names and meanings, and lines of a session with Python."""

from __future__ import annotations

import re
from typing import Any

import griffe

# "dtype     what it is": a name, two spaces or more, and what it means.
_ENTRY = re.compile(r"(\S+)( {2,})(\S.*)")


# Code, in which a bar is no border of a cell; or a bar.
_BAR = re.compile(r"`[^`]*`|\|")


class Columns(griffe.Extension):
    """Columns of names and meanings become tables, and examples blocks of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """What Griffe calls with each module, class, function and attribute that it has read."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(docstring: str) -> str:
    """The docstring, its paragraphs one by one as Markdown."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", docstring.strip()))


def _paragraph(text: str) -> str:
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    rows = _rows(text.splitlines())
    if rows is None:
        return text
    cells = (f"| `{name}` | {_BAR.sub(_escaped, meaning)} |" for name, meaning in rows)
    return "\n".join(["| | |", "|---|---|", *cells])


def _escaped(part: re.Match[str]) -> str:
    return r"\|" if part[0] == "|" else part[0]


def _rows(lines: list[str]) -> list[tuple[str, str]] | None:
    """Names and meanings, if all lines are columns; a line that is indented as far as the meanings goes on."""
    first = _ENTRY.fullmatch(lines[0])
    if first is None:
        return None
    column = first.start(3)
    rows: list[tuple[str, str]] = []
    for line in lines:
        entry = _ENTRY.fullmatch(line)
        if entry is not None and entry.start(3) == column:
            rows.append((entry[1], entry[3]))
        elif line[:column].strip() or not rows:
            return None
        else:
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
    return rows
