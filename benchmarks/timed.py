"""Peers that are ready to run, in one process: their results compared, then a sample of each in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .table import markdown, seconds_text, spread
from .workload import Array

TOLERANCE = 1e-9  # relative to the largest number of an output
SAMPLE_SECONDS = 0.02

# Runs something so often, and returns the seconds of one run.
Timed = Callable[[int], float]


class Made(NamedTuple):
    """A peer ready to run: how, its results, how many seconds it took to build."""

    timed: Timed
    results: Sequence[Array] = ()
    build: float = 0.0


def flat(result: Any) -> list[Array]:
    """All numbers of a result, part by part."""
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in flat(part)]
    return [np.asarray(result)]


def calls(call: Callable[[], Any]) -> Timed:
    """A call from Python so often: of what takes milliseconds."""

    def timed(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - begin) / count

    return timed


def compared(title: str, peers: Mapping[str, Callable[[], Made]], repeats: int) -> str:
    """Results first, against those of the first peer; then a sample of each in turn."""
    made = {name: make() for name, make in peers.items()}
    wanted = next(iter(made.values())).results
    wrong = {}
    for name, own in made.items():
        off = max(_off(one, two) for one, two in zip(own.results, wanted, strict=True))
        if not off <= TOLERANCE:
            wrong[name] = off
    right = {name: own for name, own in made.items() if name not in wrong}
    text = timed_table(title, right, repeats)
    return "\n".join([text, *(f"\n{name}: wrong by {off:.1e}, not timed" for name, off in wrong.items())])


def _off(found: Array, wanted: Array) -> float:
    return float(np.abs(np.ravel(found) - np.ravel(wanted)).max() / np.abs(wanted).max())


def timed_table(title: str, made: Mapping[str, Made], repeats: int) -> str:
    counts = {name: max(1, int(SAMPLE_SECONDS / own.timed(1))) for name, own in made.items()}
    counts = {name: max(1, int(SAMPLE_SECONDS / made[name].timed(count))) for name, count in counts.items()}
    samples: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(repeats):
        for name, own in made.items():
            samples[name].append(own.timed(counts[name]))
    times = {name: spread(taken) for name, taken in samples.items()}
    first = next(iter(times.values())).median
    rows = [
        [name, *map(seconds_text, time), f"{time.median / first:.2f}", f"{made[name].build:.2f}"]
        for name, time in times.items()
    ]
    return markdown(title, ["what", "median", "min", "max", "x first", "build s"], rows)
