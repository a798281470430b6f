"""What comes before the first result: the stages on large expressions, the imports, a kernel's first results."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sympy

from symgrad.compiler import Stages
from symgrad.emission import source_of
from symgrad.options import Options
from symgrad.stats import Stats
from symgrad.transform.pipeline import PASSES

from .large_expressions import KINDS
from .rounds import environment
from .table import markdown, seconds_text, spread

NODES = (12_500, 25_000, 50_000, 100_000)
STAGES = ("lower", *(step.name for step in PASSES), "emit")
NEURON = Path(__file__).resolve().parent.parent / "examples" / "neuron.txt"


def chain(nodes: int) -> sympy.Expr:
    """e*x + 1 in e*x + 1 in ...: as deep as it is large."""
    x, y = sympy.symbols("x y")
    expression = x
    for _ in range(nodes // 2):
        expression = sympy.Add(sympy.Mul(y, expression, evaluate=False), 1, evaluate=False)
    return expression


def squares(nodes: int) -> sympy.Expr:
    """A sum of squares of as many inputs: as wide as it is large."""
    return sympy.Add(*(sympy.Symbol(f"s{i}") ** 2 for i in range(nodes // 2)), evaluate=False)


def stages_table(title: str, make: Callable[[int], sympy.Expr], sizes: Sequence[int], repeats: int) -> str:
    """Seconds per stage. That it is linear shows in the last column, which stays the same."""
    samples: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            samples[size].append(stage_seconds(make(size)))
    rows = []
    for size, taken in samples.items():
        total = spread([sum(seconds.values()) for seconds in taken])
        medians = [spread([seconds[stage] for seconds in taken]).median for stage in STAGES]
        rows.append(
            [
                f"{size:,}",
                *map(seconds_text, medians),
                *(seconds_text(seconds) for seconds in total),
                f"{total.median / size * 1e6:.1f}",
            ]
        )
    return markdown(title, ["nodes", *STAGES, "together", "min", "max", "us per node"], rows)


def stage_seconds(expression: sympy.Expr) -> dict[str, float]:
    """Seconds of each stage, as the kernel's statistics tell them."""
    seconds: dict[str, float] = emitted(expression)["seconds"]
    return {stage: seconds[stage] for stage in STAGES}


def emitted(expression: sympy.Expr) -> Stats:
    """What is known of an expression whose source was made, and not compiled."""
    stages = Stages(expression, None, None, ())
    stats = stages.stats()
    assert source_of(stages.simplified, stages.definition, Options(), stats)
    del stages
    gc.collect()
    return stats


def kinds_table(sizes: Mapping[str, Sequence[int]], repeats: int) -> str:
    """Microseconds an operation of value and gradients, the best of some times; `sizes` are those of each kind."""
    rows = []
    for name, own in sizes.items():
        row = [name]
        for size in own:
            taken = [emitted(KINDS[name].make(size)) for _ in range(repeats)]
            best = min(sum(stats["seconds"][stage] for stage in STAGES) for stats in taken)
            operations = taken[0]["operations"]
            row += [f"{operations:,}", f"{best / operations * 1e6:.1f}"]
        rows.append(row)
    head = ["expression", *["operations", "us each"] * max(map(len, sizes.values()))]
    return markdown("From lowering to emission", head, rows)


# New processes --------------------------------------------------------------------------------------------------------

FIRST_RESULT = """
import sys, time
import sympy, numpy, symgrad, numba
from benchmarks.black_scholes import WORKLOAD
symbols = sympy.symbols(WORKLOAD.inputs)
expression = WORKLOAD.formula(sympy, symbols)
points = WORKLOAD.data(1000)
start = time.perf_counter()
kernel = symgrad.compile(expression, args=symbols)
one = kernel(*points[:, 0])
many = kernel(*points)
print(time.perf_counter() - start)
"""


def run(command: Sequence[str], settings: Mapping[str, str]) -> tuple[float, str]:
    """Seconds that a process takes, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        env=dict(settings),
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return time.perf_counter() - start, done.stdout


def processes_table(repeats: int) -> str:
    """Whole processes, in turn."""
    commands: dict[str, Sequence[str]] = {
        "import sympy, numpy": ["-c", "import sympy, numpy"],
        "import symgrad": ["-c", "import symgrad"],
        "symgrad emit examples/neuron.txt": ["-m", "symgrad", "emit", str(NEURON)],
    }
    with tempfile.TemporaryDirectory(prefix="symgrad-benchmarks-") as caches:
        settings = environment(caches)
        for command in commands.values():
            run(command, settings)  # writes the bytecode, fills the file cache
        samples: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                samples[name].append(run(command, settings)[0])
    return ratios_table("A new process", samples)


def first_result_table(repeats: int) -> str:
    """Black-Scholes from the expression to results of one point and of 1000: compiled, then from the cache on disk."""
    samples: dict[str, list[float]] = {"compiled": [], "from the cache, in another process": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="symgrad-benchmarks-") as caches:
            for taken in samples.values():
                taken.append(float(run(["-c", FIRST_RESULT], environment(caches))[1]))
    return ratios_table("The Black-Scholes kernel's first results, imports not counted", samples)


def ratios_table(title: str, samples: Mapping[str, Sequence[float]]) -> str:
    """Times, and ratios to the first of them."""
    times = {name: spread(taken) for name, taken in samples.items()}
    first = next(iter(times.values())).median
    rows: list[list[Any]] = [
        [name, *(seconds_text(seconds) for seconds in time), f"{time.median / first:.2f}"]
        for name, time in times.items()
    ]
    return markdown(title, ["what", "median", "min", "max", "x first"], rows)


def tables(repeats: int, sizes: Sequence[int] = NODES) -> list[str]:
    """All of them. The large expressions are built anew each time, and three times are enough."""
    return [
        stages_table("A chain of e*x + 1", chain, sizes, min(repeats, 3)),
        stages_table("A sum of squares of different inputs", squares, sizes, min(repeats, 3)),
        kinds_table({name: kind.sizes for name, kind in KINDS.items()}, min(repeats, 3)),
        processes_table(repeats),
        first_result_table(min(repeats, 3)),
    ]
