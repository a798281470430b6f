"""What `symgrad bench` has measured, as a table, and as JSON."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from typing import Any

from ..kernel.compiled import MAX_OPERATIONS
from ..tables import Cell, Table
from .worker import Job

LIMIT = "memory limit"  # the name of the rows that are copies of memory


@dataclass(frozen=True)
class Row:
    """A way to the gradient, or a copy of memory."""

    name: str
    threads: int
    rates: tuple[float, ...]  # points per second, one for each round; none where it is not timed
    difference: float | None  # from symgrad's results, relative; None where there is nothing to compare
    reason: str  # why it is not timed
    seconds: float | None  # from the expression to the first results

    @property
    def median(self) -> float:
        return statistics.median(self.rates) if self.rates else math.nan

    @property
    def is_limit(self) -> bool:
        return self.name == LIMIT

    @property
    def label(self) -> str:
        return self.name if self.threads == 1 else f"{self.name}, {self.threads} threads"


@dataclass(frozen=True)
class Bench:
    """What was measured: truthy where symgrad's results are right. Prints as a table."""

    job: Job
    inputs: tuple[str, ...]
    given: tuple[str, ...]  # the inputs whose range was chosen
    rounds: int
    operations: int
    tolerance: float
    first_seconds: float  # the same for symgrad, where nothing was compiled before
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]

    def __bool__(self) -> bool:
        return not any(row.reason for row in self.rows if row.name == "symgrad")

    def table(self) -> Table:
        head = ("", "points/s", "min .. max", "x lambdify", "of limit", "difference")
        job = self.job
        what = f"value and {many(len(job.wrt), 'derivative')} at {many(job.points, 'point')}"
        reasons = [Cell(f"{row.label}: not timed: {row.reason}", "red") for row in self.rows if row.reason]
        notes: list[str | Cell] = [*reasons, *(Cell(remark, "yellow") for remark in self.remarks), *self._notes()]
        rows: list[list[str | Cell]] = [self._cells(row) for row in self.rows]
        return Table(head, rows, f"{what}, {job.dtype}, {job.accuracy}", notes, left=frozenset({0}))

    def as_json(self) -> str:
        """The same for programs: one object. Rates are points per second, a number for each round."""
        job = self.job
        facts: dict[str, Any] = {
            "points": job.points,
            "rounds": self.rounds,
            "dtype": job.dtype,
            "accuracy": job.accuracy,
            "inputs": {name: [low, high] for name, (low, high, _) in zip(self.inputs, job.ranges, strict=True)},
            "wrt": job.wrt,
            "operations": self.operations,
            "bytes_per_point": job.bytes_per_point,
            "symgrad_seconds_uncached": self.first_seconds,
            "remarks": self.remarks,
        }
        rows = [
            {
                "name": row.name,
                "threads": row.threads,
                "points_per_second": row.rates,
                "difference": row.difference if math.isfinite(row.difference or 0.0) else None,
                "not_timed": row.reason or None,
                "seconds_to_first_results": row.seconds,
            }
            for row in self.rows
        ]
        return json.dumps({**facts, "rows": rows}, indent=2, allow_nan=False)

    def __str__(self) -> str:
        return str(self.table())

    def __rich__(self) -> Table:
        return self.table()

    def _cells(self, row: Row) -> list[str | Cell]:
        difference = "-" if row.difference is None else f"{row.difference:.1e}" if row.difference else "0"
        if not row.rates:
            return [row.label, Cell("not timed", "red"), "-", "-", "-", difference]
        (lambdify,) = (other.median for other in self.rows if other.name == "lambdify")
        (limit,) = (other.median for other in self.rows if other.is_limit and other.threads == row.threads)
        return [
            row.label,
            rate_text(row.median),
            f"{rate_text(min(row.rates))} .. {rate_text(max(row.rates))}",
            ratio_text(row.median / lambdify),
            "-" if math.isnan(limit) else f"{row.median / limit:.1%}",
            difference,
        ]

    def _notes(self) -> list[str]:
        job = self.job
        built = {row.label: row.seconds for row in self.rows}
        ranges = dict(zip(self.inputs, job.ranges, strict=True))
        chosen = [f"{name} in {ranges[name].low:.6g} .. {ranges[name].high:.6g}" for name in self.given]
        usual = sorted({ranges[name] for name in self.inputs if name not in self.given})
        rest = "the others" if chosen else "all"
        others = [f"{'integers' if whole else rest} in {low:.6g} .. {high:.6g}" for low, high, whole in usual]
        notes = [
            f"inputs: random, {', '.join([*chosen, *others])}",
            "symgrad: writes into the same arrays each time (out=); first results after "
            f"{self.first_seconds:.2f} s, with compiled code on disk after {built['symgrad']:.2f} s",
        ]
        if self.operations > MAX_OPERATIONS:
            notes.append(f"symgrad: not compiled, with {self.operations:,} operations; the reference evaluator runs")
        lambdify = "lambdify: of the value and SymPy's derivatives, cse=True, with SciPy and NumPy"
        if built["lambdify"] is not None:
            lambdify += f"; first results after {built['lambdify']:.2f} s"
        return [
            *notes,
            lambdify,
            f"memory limit: a copy of {job.bytes_per_point} bytes a point ({many(len(self.inputs), 'input')}, "
            f"{1 + len(job.wrt)} results), half read, half written: {job.bytes_per_point * job.points / 1e6:,.3g} MB",
            "difference: the largest from symgrad, relative to the number or, if that is larger, the median magnitude",
            f"beyond a difference of {self.tolerance:.0e} the gradient check at 50 digits says what is right",
            f"points/s: the median of {self.rounds} rounds, each of them one sample of every row in turn",
            "one thread, NumPy's too, unless a row says more; first results: since the parsed text, without imports",
        ]


def many(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def ratio_text(ratio: float) -> str:
    """Three digits; "-" for NaN."""
    if math.isnan(ratio):
        return "-"
    return f"{ratio:,.0f}" if ratio >= 99.95 else f"{ratio:#.3g}"


def rate_text(rate: float) -> str:
    """Three digits and a unit, as 91.2 M."""
    for unit, size in ((" T", 1e12), (" G", 1e9), (" M", 1e6), (" k", 1e3), ("", 1.0)):
        if rate >= 0.9995 * size:
            return f"{rate / size:#.3g}".rstrip(".") + unit
    return f"{rate:.3g}"
