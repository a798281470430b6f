"""Points per second: a kernel, what `sympy.lambdify` makes of SymPy's derivatives, and the memory limit.

First the results are compared; then one sample of each is taken in turn, so that what disturbs the machine disturbs
all. Each lives in a process of its own: SymPy's derivatives may not terminate, and a process can be stopped. The memory
limit is a copy of as many bytes as inputs and results have together, half of them read and half written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import chain
from statistics import median
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from symgrad_codegen.run import host

from ..compiler import Stages, compile
from ..errors import SymgradError
from ..language.parse import Problem
from .compare import TOLERANCE, compare
from .peers import Peer
from .table import LIMIT, Bench, Row
from .worker import Job, Range

POINTS, FEWEST = 1_000_000, 1000
MAX_WORK = 100_000_000  # operations times points, by default: lambdify keeps an array for each operation
LAMBDIFY_SECONDS = 20.0  # for the derivatives and lambdify, and again for each answer
# NumPy copies with the C library, and glibc may take the last cache for larger than it is: then it also reads the
# memory that it writes. Both ways are measured, and the quicker one is the limit.
STREAMING = {"GLIBC_TUNABLES": "glibc.cpu.x86_non_temporal_threshold=0x100000"}


def bench(
    problem: Problem,
    wrt: Sequence[Any] | None = None,
    *,
    middles: Mapping[str, float] | None = None,
    points: int | None = None,
    rounds: int = 7,
    dtype: str = "float64",
    accuracy: str = "fast",
    threads: int | str | None = None,
    terminal: IO[str] | None = None,
) -> Bench:
    """Measures value and gradient of `problem` at random points.

    wrt       what to differentiate for; default: every input
    middles   the middle of an input's range, by name: 10 % to both sides; the other inputs lie in 0.2 .. 0.8
    points    default: 1,000,000, fewer where the expression is long
    rounds    samples of each
    threads   a number, or "auto": symgrad with threads, too
    terminal  where a bar shows the progress, if it is a terminal

    Raises ValueError for expressions with arrays and for bad options, UnsupportedExpression and others as `compile`.
    """
    stages = Stages(problem, None, wrt, ())
    _refuse_arrays(stages)
    operations = stages.stats()["operations"]
    points = _default_points(operations) if points is None else points
    for name, number in (("points", points), ("rounds", rounds)):
        if number < 1:
            raise ValueError(f"{name} is a positive number, not {number}")
    many = host.thread_count(_threads(threads), operations, points)
    counts = sorted({1, many})
    ranges = tuple(_range(symbol, (middles or {}).get(symbol.name)) for symbol in stages.args)
    job = Job(problem.source, tuple(symbol.name for symbol in stages.wrt), ranges, points, dtype, accuracy)
    _refuse_too_many(job, operations)

    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="symgrad-bench-"))  # for compiled code: empty at first
        say = stack.enter_context(_progress(terminal, 3 + 3 * len(counts) + rounds))

        def built(doing: str, name: str, threads: int = 1, **options: Any) -> Peer:
            say(doing)
            given = replace(job, threads=threads if threads > 1 else None)
            peer = stack.enter_context(Peer(name, given, folder, **options))
            peer.build()
            return peer

        first = built("symgrad: first build", "symgrad")
        if first.reason:
            raise SymgradError(f"no kernel: {first.reason}")
        first.end()
        ways = [built("symgrad: with compiled code on disk", "symgrad", number) for number in counts]
        doing = f"lambdify: SymPy's derivatives, at most {LAMBDIFY_SECONDS:g} s"
        ways.append(built(doing, "lambdify", limit=LAMBDIFY_SECONDS))
        say("comparing the results")
        remarks = compare(ways, lambda: compile(problem, None, wrt, dtype=dtype, accuracy=accuracy, cache=False))
        copies = [
            [built("copying memory", "copy", number, environment=stores) for stores in ({}, STREAMING)]
            for number in counts
        ]
        contenders = [*ways, *chain(*copies)]
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for contender in contenders:
                contender.take_sample()

    best = [max(some, key=lambda copy: median(copy.rates or [0.0])) for some in copies]
    return Bench(
        job=job,
        inputs=tuple(symbol.name for symbol in stages.args),
        given=tuple(middles or ()),
        rounds=rounds,
        operations=operations,
        tolerance=TOLERANCE[dtype],
        first_seconds=first.seconds or 0.0,
        rows=tuple(map(_row, [*ways, *best])),
        remarks=tuple(remarks),
    )


def _row(peer: Peer) -> Row:
    name = LIMIT if peer.name == "copy" else peer.name
    return Row(name, peer.threads, peer.rates, peer.difference, peer.reason, peer.seconds)


# What is asked for ----------------------------------------------------------------------------------------------------


def _refuse_arrays(stages: Stages) -> None:
    if not stages.outputs.is_number:
        raise ValueError("bench times one expression, and here are several; give it a file with one of them")
    if not stages.graph.over_points:
        raise ValueError(
            "bench computes an expression of numbers at many points, and this one has arrays or sums over an index; "
            "time symgrad.compile(text) on arrays of your own, or see python -m benchmarks in the repository"
        )
    if not stages.args:
        raise ValueError("the expression has no inputs: there is nothing to compute at many points")


def _refuse_too_many(job: Job, operations: int) -> None:
    """What does not fit into half of the memory is refused, where the system tells how much there is."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return
    # Inputs and results of all processes, and what lambdify keeps.
    per_point = 6 * job.bytes_per_point + 8 * operations
    if per_point * job.points > memory // 2:
        raise ValueError(
            f"{job.points:,} points take {per_point * job.points / 1e9:,.0f} GB, more than half of the memory; "
            f"at most {memory // 2 // per_point:,} points fit"
        )


def _default_points(operations: int) -> int:
    """At most POINTS, and no less than FEWEST: a digit and zeros."""
    number = max(FEWEST, min(POINTS, MAX_WORK // max(1, operations)))
    digit: int = 10 ** (len(str(number)) - 1)
    return number // digit * digit


def _threads(wanted: int | str | None) -> int | str | None:
    if wanted is None or wanted == "auto":
        return wanted
    with suppress(ValueError):
        if int(wanted) > 0:
            return int(wanted)
    raise ValueError(f"threads is a positive number or auto, not {wanted}")


def _range(symbol: Any, middle: float | None) -> Range:
    if middle is not None and not (isinstance(middle, (int, float)) and np.isfinite(middle)):
        raise ValueError(f"{symbol.name}={middle}: the middle of a range is one finite number")
    if symbol.is_integer:
        middle = 2.0 if middle is None else middle
        return Range(middle - 1.0, middle + 1.0, True)
    if middle is None:
        return Range(0.2, 0.8)
    width = 0.1 * (abs(middle) or 1.0)
    return Range(middle - width, middle + width)


@contextmanager
def _progress(terminal: IO[str] | None, steps: int) -> Iterator[Callable[[str], None]]:
    """Is told what begins: a bar where there is a terminal, nothing elsewhere."""
    if terminal is None or not terminal.isatty():
        yield lambda doing: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}", markup=False)
    # Drawn between samples only: a thread that draws would disturb them.
    with Progress(*columns, console=Console(file=terminal), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=steps, completed=-1)
        yield lambda doing: bar.update(task, advance=1, description=doing, refresh=True)
