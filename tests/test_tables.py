"""Tables: plain text for pipes and files, drawn in a terminal, and nothing in a text is an instruction to either."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import symgrad
from symgrad.tables import Cell, Table, show, visible, visible_lines

ROOT = Path(__file__).resolve().parent.parent
TABLE = Table(
    head=("name", "number"),
    rows=[("x", "1.25"), ("long name", Cell("-2", "bold red")), ("short",)],
    title="a title",
    notes=["a line below", Cell("another", "green")],
    left=frozenset({0}),
)
PLAIN = "a title\nname       number\nx            1.25\nlong name      -2\nshort\na line below\nanother"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """One of 20 columns, with colours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in {"TERM": "xterm-256color", "COLUMNS": "20", "LINES": "20"}.items():
        monkeypatch.setenv(name, text)
    return Terminal()


def drawn(terminal: Terminal) -> list[str]:
    """The lines without colours, and without blanks at their ends."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert "\x1b" not in text
    return [line.rstrip() for line in text.splitlines()]


def test_plain_text_has_columns_of_spaces() -> None:
    assert str(TABLE) == TABLE.plain() == PLAIN


def test_a_file_gets_plain_text() -> None:
    file = io.StringIO()
    show(TABLE, file)
    assert file.getvalue() == PLAIN + "\n"


def test_a_terminal_gets_the_same_texts_in_colour(terminal: Terminal) -> None:
    show(TABLE, terminal)
    assert "\x1b[1;31m" in terminal.getvalue()  # bold red
    title, head, rule, *rows = drawn(terminal)
    assert [title, *head.split(), rule.strip("─")] == ["a title", "name", "number", ""]
    assert [row.split() for row in rows] == [
        ["x", "1.25"], ["long", "name", "-2"], ["short"], ["a", "line", "below"], ["another"]
    ]  # fmt: skip


def test_numbers_are_whole_in_a_narrow_terminal(terminal: Terminal) -> None:
    number = "1234567890.123456789"
    words = "a note of many words is broken between them"
    show(Table(("x", "y"), [(number, number)], notes=[words]), terminal)
    lines = drawn(terminal)
    assert lines[2].split() == [number, number]
    assert " ".join(lines[3:]).split() == words.split()


def test_nothing_in_a_text_is_markup_or_control(terminal: Terminal) -> None:
    texts = ["[red]x[/red]", "[link=https://x]", ":smile:", "\x1b[31mred", "\x9b31m", "a\nb", "\u202etxt", "é", "日本"]
    shown = [
        "[red]x[/red]",
        "[link=https://x]",
        ":smile:",
        r"\x1b[31mred",
        r"\x9b31m",
        r"a\nb",
        r"\u202etxt",
        "é",
        "日本",
    ]
    for text, safe in zip(texts, shown, strict=True):
        table = Table((text,), [(text,), (Cell(text, "red"),)], title=text, notes=[text])
        assert [line.strip() for line in str(table).splitlines()] == [safe] * 5
        terminal.seek(0)
        terminal.truncate()
        show(table, terminal)
        assert [line.strip() for line in drawn(terminal) if line.strip("─")] == [safe] * 5
        assert visible(text) == safe
    assert visible_lines("a\x07\nb") == "a\\x07\nb"


def test_what_is_no_table_is_printed(terminal: Terminal) -> None:
    file = io.StringIO()
    for stream in (file, terminal):
        show([1, 2], stream)
    assert file.getvalue() == "[1, 2]\n"
    assert drawn(terminal) == ["[1, 2]"]


def test_the_gradient_check_is_a_table(terminal: Terminal) -> None:
    result = symgrad.compile("x**2*y").check(3.0, 0.5)
    head, of_x, of_y, value, verdict = str(result).splitlines()
    assert head.split("  ")[0] == "input"
    assert [line.split()[-1] for line in (head, of_x, of_y)] == ["verdict", "ok", "ok"]
    assert {len(line) for line in (head, of_x, of_y)} == {len(head)}  # the last column ends on one line
    assert [of_x.split()[:3], of_y.split()[:3]] == [["x", "3", "3"], ["y", "0.5", "9"]]
    assert (value, verdict) == ("value 4.5: ok", "the gradient agrees")
    show(result, terminal)
    assert "\x1b[32m" in terminal.getvalue()  # green
    (shown_head, _, *shown) = drawn(terminal)
    assert [shown_head.split(), *map(str.split, shown)] == [line.split() for line in str(result).splitlines()]


def test_rich_is_loaded_for_terminals_only() -> None:
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'codegen')]!r}\n"
        "import io, symgrad.kernel.check, symgrad.bench.bench\n"
        "from symgrad.tables import Table, show\n"
        "show(Table(('x',), [('1',)]), io.StringIO())\n"
        "print([name for name in sys.modules if name.startswith('rich')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
