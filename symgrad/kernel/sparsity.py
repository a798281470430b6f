"""The pattern of a sparse matrix: where its entries are, and what its rows and columns stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..options import TRIPLETS

if TYPE_CHECKING:
    from ..explore.pattern import PatternDrawing


class Span(NamedTuple):
    """The rows or columns of one output or input.

    Attributes:
        name: What it is called.
        start: Its first row or column.
        stop: The one behind its last.
        shape: Of the array that these are, row by row; () of a number.
    """

    name: str
    start: int
    stop: int
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class SparsityPattern:
    """Where the entries of a sparse Jacobian or Hessian are, in the order in which its format stores them.

    Made by `kernel.pattern`. All matrices that a kernel returns for one pattern share its arrays.

    Attributes:
        shape: Of the matrix.
        rows: The row of each entry, an array of integers.
        columns: The column of each entry.
        format: "csr": in the order of rows, then columns; so is "coo". "csc": of columns, then rows.
        indptr: Of each row ("csc": column) where its entries begin, and the end of all; None of other formats.
        row_spans: The rows of each output (of a Hessian each input), in order.
        column_spans: The columns of each input, in order.
    """

    shape: tuple[int, int]
    rows: Any
    columns: Any
    format: str
    indptr: Any
    row_spans: tuple[Span, ...]
    column_spans: tuple[Span, ...]

    @property
    def nnz(self) -> int:
        """How many entries there are."""
        return len(self.rows)

    @property
    def indices(self) -> Any:
        """The column ("csc": row) of each entry, as SciPy's matrices name it; None of other formats than these two."""
        return {"csr": self.columns, "csc": self.rows}.get(self.format)

    def of(self, data: Any) -> Any:
        """The matrix of SciPy with these entries; of triplets the entries alone, as solvers take them.

        Args:
            data: The numbers, of shape (nnz,).

        Returns:
            A sparse array in the format of the pattern, with the arrays of this pattern as its own.
        """
        from scipy import sparse

        if self.format == TRIPLETS:
            return data
        if self.format == "coo":
            return sparse.coo_array((data, (self.rows, self.columns)), self.shape)
        kind = sparse.csc_array if self.format == "csc" else sparse.csr_array
        made = kind((data, self.indices, self.indptr), self.shape)
        made.indices = self.indices  # not a view of them
        return made

    def bandwidths(self) -> tuple[int, int]:
        """How many diagonals below and above the main one have entries: `lband` and `uband` of SciPy's LSODA."""
        if not self.nnz:
            return 0, 0
        apart = self.rows - self.columns
        return max(0, int(apart.max())), max(0, -int(apart.min()))

    def named(self, data: Any) -> list[tuple[str, Any]]:
        """The entries of a matrix by name.

        Args:
            data: The numbers, of shape (nnz,).

        Returns:
            Pairs of a name and a number: d_f_x[0, 2] is the derivative of f[0] by x[2], or of a Hessian of d_f[0].
        """
        sides = [
            [(span, at) for span in spans for at in np.ndindex(*span.shape)]
            for spans in (self.row_spans, self.column_spans)
        ]
        found = []
        for row, column, number in zip(self.rows.tolist(), self.columns.tolist(), data.tolist(), strict=True):
            (of, first), (by, second) = sides[0][row], sides[1][column]
            at = ", ".join(map(str, (*first, *second)))
            found.append((f"d_{of.name}_{by.name}{f'[{at}]' if at else ''}", number))
        return found

    def draw(self) -> PatternDrawing:
        """The pattern as a picture, rows and columns labelled by the names of outputs and inputs.

        Returns:
            The drawing, which Jupyter shows and `save` writes to a file. A pixel of the picture of a large matrix
            stands for many entries, and is the darker the more of these there are.
        """
        from ..explore.pattern import Side, draw_pattern

        rows, columns = (Side(*own) for own in zip(self.shape, (self.row_spans, self.column_spans), strict=True))
        return draw_pattern(rows, columns, self.rows, self.columns)

    def __repr__(self) -> str:
        return f"<symgrad pattern in the format {self.format}, {self.shape[0]} by {self.shape[1]}, {self.nnz} entries>"
