"""Tables: of plain text where output is a file or a pipe, drawn by Rich where it is a terminal, HTML in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import rich.table

# Rich is imported where something is drawn: `import symgrad` and piped output do without.

# Rich's colours in a notebook: of a lightness between white and the dark themes, so that they read well on both.
COLOURS = {"green": "#1e8a44", "red": "#d64545", "yellow": "#a87000"}
_TINT = "rgba(168, 112, 0, 0.15)"  # behind a row with something in bold
# Of a long table a notebook shows so many rows, and beyond them those with something in bold.
_ROWS = 300


class Cell(NamedTuple):
    """Text that is drawn in a style of Rich's, such as "bold red"; in plain text it is the text alone."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under a head. Rows may be shorter than the head: the rest of such a row is empty."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    title: str = ""
    notes: Sequence[str | Cell] = ()  # lines below
    left: frozenset[int] = frozenset()  # the columns that are flush left; the others, of numbers, are flush right

    def plain(self) -> str:
        """Columns of spaces, without a newline at the end."""
        lines = [[cell.text for cell in row] for row in [list(map(_cell, self.head)), *self._cells()]]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]

        def line_of(texts: Sequence[str]) -> str:
            columns = enumerate(zip(texts, widths, strict=True))
            parts = [
                text.ljust(width) if column in self.left else text.rjust(width) for column, (text, width) in columns
            ]
            return "  ".join(parts).rstrip()

        title = [visible(self.title)] if self.title else []
        return "\n".join([*title, *map(line_of, lines), *(note.text for note in map(_cell, self.notes))])

    def rich(self) -> rich.table.Table:
        """The head and the rows for a terminal. No text is read as Rich's markup."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        head, *rows = [[Text(*cell) for cell in row] for row in [list(map(_cell, self.head)), *self._cells()]]
        table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column, name in enumerate(head):
            justify: Any = "left" if column in self.left else "right"
            width = max(row[column].cell_len for row in [head, *rows])  # a number is never cut
            table.add_column(name, justify=justify, no_wrap=True, min_width=width)
        for row in rows:
            table.add_row(*row)
        return table

    def html(self) -> str:
        """The table for a notebook. No text is read as HTML, nor as TeX."""
        rows = self._cells()
        kept = [row for number, row in enumerate(rows) if number < _ROWS or _is_marked(row)]
        notes = [_cell(note) for note in self.notes]
        if len(kept) < len(rows):
            notes.insert(0, Cell(f"and {len(rows) - len(kept):,} more rows, which print shows"))
        # The classes are those that MathJax 2 and 3 pass over: a name may have dollars in it.
        lines = ['<div class="symgrad tex2jax_ignore mathjax_ignore" style="overflow-x: auto">', "<table>"]
        if self.title:
            lines.append(f'<caption style="text-align: left">{escape(visible(self.title))}</caption>')
        if any(self.head):
            head = "".join(self._element("th", column, _cell(name)) for column, name in enumerate(self.head))
            lines.append(f"<thead><tr>{head}</tr></thead>")
        lines.append("<tbody>")
        for row in kept:
            cells = "".join(self._element("td", column, cell) for column, cell in enumerate(row))
            lines.append(f"<tr{_styled(f'background: {_TINT}' if _is_marked(row) else '')}>{cells}</tr>")
        lines += ["</tbody>", "</table>"]
        lines += [f"<div{_styled(_css(note))}>{escape(note.text)}</div>" for note in notes]
        return "\n".join([*lines, "</div>"])

    def _element(self, tag: str, column: int, cell: Cell) -> str:
        align = "left" if column in self.left else "right"
        return f"<{tag}{_styled(f'text-align: {align}', 'white-space: nowrap', _css(cell))}>{escape(cell.text)}</{tag}>"

    def __str__(self) -> str:
        return self.plain()

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        # Rich's own titles and captions are broken to the width of the columns.
        title = [Text(visible(self.title), "bold")] if self.title else []
        return Group(*title, self.rich(), *(Text(*_cell(note)) for note in self.notes))

    def _cells(self) -> list[list[Cell]]:
        return [list(map(_cell, [*row, *[""] * (len(self.head) - len(row))])) for row in self.rows]


def _cell(content: str | Cell) -> Cell:
    text, style = (content, "") if isinstance(content, str) else content
    return Cell(visible(text), style)


def _css(cell: Cell) -> str:
    """A style of Rich's as one of CSS."""
    words = cell.style.split()
    colours = [f"color: {COLOURS[word]}" for word in words if word in COLOURS]
    return "; ".join(colours + ["font-weight: bold"] * ("bold" in words))


def _styled(*parts: str) -> str:
    """The attribute of these parts of CSS, if there are any."""
    css = "; ".join(filter(None, parts))
    return f' style="{css}"' if css else ""


def _is_marked(row: Sequence[Cell]) -> bool:
    """Whether something in the row is to be seen at once."""
    return any(cell.text and "bold" in cell.style for cell in row)


def visible(text: str) -> str:
    """The text with an escape for what is no printable character: no control reaches a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def visible_lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(visible, text.split("\n")))


def show(thing: object, file: IO[str]) -> None:
    """Prints a table, or what becomes one by `__rich__`: drawn where `file` is a terminal, else as `str` has it."""
    if not (file.isatty() and hasattr(thing, "__rich__")):
        print(thing, file=file)
        return
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(file=file, markup=False, emoji=False, highlight=False)
    # Where the terminal is too narrow for the columns it breaks their lines itself: numbers are copied in one piece.
    wide = console.options.update(max_width=10_000)
    console.width = max(console.width, Measurement.get(console, wide, thing).minimum)
    console.print(thing)


class Shown:
    """What shows itself as a table: in print, in a terminal that Rich draws on, and in a notebook."""

    __slots__ = ()

    def table(self) -> Table:
        """The table."""
        raise NotImplementedError

    def __str__(self) -> str:
        return str(self.table())

    def __rich__(self) -> Table:
        return self.table()

    def _repr_html_(self) -> str:
        return self.table().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))
