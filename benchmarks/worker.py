"""One peer in a process of its own: builds it, compares its results, then takes one sample for each line it is sent."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from symgrad.bench.worker import repetitions, sample

from .array_peers import peers_of
from .peers import PEERS
from .workload import largest_difference, placed

TOLERANCE = 1e-9


def prepare(workload: Any, peer: Any, points: int) -> tuple[Callable[[], Any], dict[str, Any]]:
    """A peer's call on the workload's data, the seconds until its first result, and how far that is off."""
    inputs = placed(workload.data(points))
    start = time.perf_counter()
    call = peer.make(workload, inputs)
    value, derivatives = call()
    seconds = time.perf_counter() - start
    difference = largest_difference([value, *derivatives], workload.by_hand(inputs))
    return call, {"build": seconds, "difference": difference, "right": difference <= TOLERANCE}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker")
    parser.add_argument("workload")
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("points", type=int)
    options = parser.parse_args()
    # What libraries print goes to standard error: standard output is for the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(what: object) -> None:
        print(json.dumps(what), file=answers, flush=True)

    try:
        workload = importlib.import_module(f"benchmarks.{options.workload}").WORKLOAD
        call, report = prepare(workload, peers_of(workload)[options.peer], options.points)
        count = repetitions(call) if report["right"] else 0
    except Exception as error:  # whatever a library raises is its row in the table
        answer({"failed": f"{type(error).__name__}: {error}"})
        return
    answer(report)
    for _ in sys.stdin:
        answer(sample(call, count))


if __name__ == "__main__":
    main()
