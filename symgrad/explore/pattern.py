"""The picture of a pattern: where a matrix has entries, of a large one how many in each part.

The matrix is cut into at most 240 by 240 cells; one cell is one place of a small matrix. Cells with entries are drawn
in shades, by the logarithm of their density: in large sparse matrices this differs by powers of ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..tables import visible

_CELLS = 240  # rows and columns of the picture
_SIZE, _LEAST = 480, 72  # points of the longer side, and of the shorter at least
_CELL = 24  # points of the cell of a small matrix at most
_SHADES = 8
_LETTER, _LINE = 6.2, 12  # what text takes, in points
_NAME = 16  # characters of a name
_INK, _BORDER, _TEXT = "#0b4f8a", "#c9a26b", "#444444"
_FONT = "Helvetica,Arial,sans-serif"


class Side(NamedTuple):
    """Rows or columns."""

    length: int
    spans: Sequence[tuple[str, int, int, tuple[int, ...]]]  # name, first, the one behind the last, shape


@dataclass(frozen=True)
class PatternDrawing:
    """A pattern, drawn: `svg` is the text; Jupyter shows the picture.

    Attributes:
        caption: What stands below the picture.
        svg: The picture.
    """

    caption: str
    svg: str

    def save(self, file: str | Path) -> None:
        """Writes the drawing to a file.

        Args:
            file: The path, which ends in .svg.

        Raises:
            ValueError: The path has another ending.
        """
        from symgrad_codegen.run.build import write_atomically

        path = Path(file)
        if path.suffix != ".svg":
            raise ValueError(f"{path.name}: the drawing of a pattern is written as .svg")
        write_atomically(path, self.svg)

    def _repr_svg_(self) -> str:
        # Dark text, and notebooks may be dark.
        return self.svg.replace("<svg ", '<svg style="background: white" ', 1)

    def __repr__(self) -> str:
        return f"<symgrad drawing of a pattern: {self.caption}>"


def draw_pattern(rows: Side, columns: Side, row_of: Any, column_of: Any) -> PatternDrawing:
    """The drawing of a matrix with entries at these rows and columns."""
    high, wide = _Scale.of(rows, columns), _Scale.of(columns, rows)
    counts = np.zeros((high.cells, wide.cells), np.int64)
    np.add.at(counts, (high.cell(row_of), wide.cell(column_of)), 1)
    density = counts / np.outer(high.widths, wide.widths)
    caption = _caption(rows.length, columns.length, len(row_of), high.is_binned or wide.is_binned, density)
    row_labels, column_labels = list(high.labels(_LINE)), list(wide.labels(_LINE))
    left = 8 + _LETTER * max([0, *(len(text) for _, text, _ in row_labels)])
    is_level = all(_LETTER * len(text) + 4 <= room for _, text, room in column_labels)
    top = 8 + (_LINE if is_level else _LETTER * max([0, *(len(text) for _, text, _ in column_labels)]))
    width, height = max(left + wide.size, _LETTER * len(caption)) + 8, top + high.size + 2 * _LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{_FONT}" font-size="11" fill="{_TEXT}">',
        f"<title>{escape(caption)}</title>",
        f'<g transform="translate({left:.0f} {top:.0f})">',
        f'<g transform="scale({wide.size / wide.cells:.6g} {high.size / high.cells:.6g})" fill="{_INK}" '
        'shape-rendering="crispEdges">',
        *_shades(density),
        "</g>",
        f'<path fill="none" stroke="{_BORDER}" stroke-width="0.7" d="'
        + "".join(f"M0 {at:.1f}h{wide.size:.1f}" for at in high.borders())
        + "".join(f"M{at:.1f} 0v{high.size:.1f}" for at in wide.borders())
        + '"/>',
        f'<rect width="{wide.size:.1f}" height="{high.size:.1f}" fill="none" stroke="{_TEXT}"/>',
        *(f'<text x="-5" y="{at + 4:.1f}" text-anchor="end">{text}</text>' for at, text in _escaped(row_labels)),
        *(
            f'<text x="{at:.1f}" y="-5" text-anchor="middle">{text}</text>'
            if is_level
            else f'<text transform="translate({at + 4:.1f} -5) rotate(-90)">{text}</text>'
            for at, text in _escaped(column_labels)
        ),
        f'<text x="0" y="{high.size + _LINE + 4:.1f}">{escape(caption)}</text>',
        "</g>",
        "</svg>",
    ]
    return PatternDrawing(caption, "\n".join(parts) + "\n")


def _escaped(labels: Sequence[tuple[float, str, float]]) -> Iterator[tuple[float, str]]:
    return ((at, escape(text)) for at, text, _ in labels)


def _caption(rows: int, columns: int, entries: int, is_binned: bool, density: Any) -> str:
    share = f", {entries / (rows * columns):.2g} of all" if rows and columns else ""
    text = f"{rows:,} rows, {columns:,} columns, {entries:,} entries{share}"
    found = density[density > 0]
    if is_binned and len(found):
        text += f"; a pixel: {found.min():.1g} (light) to {found.max():.1g} (dark)"
    return text


@dataclass(frozen=True)
class _Scale:
    """One side of the picture."""

    side: Side
    size: float  # in points

    @classmethod
    def of(cls, side: Side, other: Side) -> _Scale:
        longest = max(side.length, other.length, 1)
        whole = min(_SIZE, _CELL * longest)
        return cls(side, max(whole * max(side.length, 1) / longest, min(_LEAST, _CELL * max(side.length, 1))))

    @property
    def cells(self) -> int:
        return max(1, min(_CELLS, self.side.length))

    @property
    def is_binned(self) -> bool:
        return self.side.length > _CELLS

    @cached_property
    def _ends(self) -> Any:
        """Where the cells begin, and the last one ends."""
        return -(-np.arange(self.cells + 1) * self.side.length // self.cells)

    @property
    def widths(self) -> Any:
        """How many rows or columns each cell has."""
        return np.maximum(np.diff(self._ends), 1)

    def cell(self, at: Any) -> Any:
        """The cell that each of some rows or columns is in."""
        return np.asarray(at, np.int64) * self.cells // max(self.side.length, 1)

    def _point(self, at: int) -> float:
        return self.size * at / max(self.side.length, 1)

    def borders(self) -> Iterator[float]:
        """Where one span ends and the next begins; of those that one could not tell apart the first."""
        last = 0.0
        for _, start, *_ in self.side.spans:
            at = self._point(start)
            if at - last >= 3:
                yield at
                last = at

    def labels(self, room: float) -> Iterator[tuple[float, str, float]]:
        """The middle, the name and the length of each span that there is room to name."""
        last = -room
        for name, start, stop, _ in self.side.spans:
            middle = (self._point(start) + self._point(stop)) / 2
            if stop > start and middle - last >= room:
                last = middle
                text = visible(name)
                yield middle, text if len(text) <= _NAME else text[: _NAME - 1] + "…", self._point(stop - start)


def _shades(density: Any) -> Iterator[str]:
    """A path for each shade: runs of cells along rows."""
    found = density[density > 0]
    if not len(found):
        return
    low, high = np.log(found.min()), np.log(found.max())
    shades = np.zeros(density.shape, np.int64)
    part = (np.log(found) - low) / (high - low) if high > low else np.ones(len(found))
    shades[density > 0] = 1 + np.round(part * (_SHADES - 1)).astype(np.int64)
    changes = np.diff(shades, axis=1, prepend=0, append=0) != 0
    runs: dict[int, list[str]] = {}
    for row in np.flatnonzero(changes.any(axis=1)).tolist():
        ends = np.flatnonzero(changes[row]).tolist()
        for start, stop in pairwise(ends):
            shade = int(shades[row, start])
            if shade:
                runs.setdefault(shade, []).append(f"M{start} {row}h{stop - start}v1h{start - stop}z")
    for shade in sorted(runs):
        opacity = 0.3 + 0.7 * (shade - 1) / (_SHADES - 1)
        yield f'<path fill-opacity="{opacity:.2f}" d="{"".join(runs[shade])}"/>'
