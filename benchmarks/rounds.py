"""The rounds: every peer in a process of its own, all on one core, one sample of each in turn."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .array_peers import peers_of
from .array_workload import ArrayWorkload
from .peers import Peer
from .table import markdown, seconds_text, spread
from .workload import Workload

SETUP_SECONDS = 600.0  # after this, a peer that has not answered is stopped

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def environment(caches: str) -> dict[str, str]:
    """The environment of what is measured: one thread, and empty caches, so that what is built is built anew."""
    root = Path(__file__).resolve().parent.parent
    path = os.pathsep.join(filter(None, [str(root), str(root / "codegen"), os.environ.get("PYTHONPATH")]))
    own = {"PYTHONPATH": path, "SYMGRAD_CACHE_DIR": f"{caches}/symgrad", "TORCHINDUCTOR_CACHE_DIR": f"{caches}/torch"}
    return {**os.environ, **ONE_THREAD, **own}


def pin_to(core: int | None) -> None:
    """Puts this process, and those that it starts, on one core (by default the last) where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if core is None else core})


class Worker:
    """A process with one peer in it."""

    def __init__(self, peer: Peer, workload: str, points: int, caches: str) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", workload, peer.name, str(points)]
        self.process = subprocess.Popen(
            command,
            env=environment(caches),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.peer = peer
        self.samples: list[float] = []
        limit = threading.Timer(SETUP_SECONDS, self.process.kill)
        limit.start()
        self.report: Any = self._answer()
        limit.cancel()

    def take_sample(self) -> None:
        assert self.process.stdin is not None
        try:
            print(file=self.process.stdin, flush=True)
            seconds = self._answer()
        except BrokenPipeError:
            seconds = {"failed": "its process ended"}
        if isinstance(seconds, float):
            self.samples.append(seconds)
        else:
            self.report = seconds

    def end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": f"its process ended with status {self.process.wait()}"}


def compare(name: str, peers: Sequence[Peer], points: int | None, repeats: int) -> str:
    """The table of one workload."""
    workload: Workload | ArrayWorkload = importlib.import_module(f"benchmarks.{name}").WORKLOAD
    able = peers_of(workload)
    peers = [able[peer.name] for peer in peers if peer.name in able]
    points = points or workload.points
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory(prefix="symgrad-benchmarks-") as caches:
        try:
            for peer in peers:
                if not peer.missing():
                    print(f"{name}: building {peer.name}", file=sys.stderr, flush=True)
                    workers[peer.name] = Worker(peer, name, points, caches)
            for _ in range(repeats):
                for worker in workers.values():
                    if worker.report.get("right"):
                        worker.take_sample()
        finally:
            for worker in workers.values():
                worker.end()
    return table_of(workload, peers, workers, points)


def table_of(workload: Workload | ArrayWorkload, peers: Sequence[Peer], workers: dict[str, Worker], points: int) -> str:
    """Quickest first; then those that have no time, with the reason."""
    timed = {key: spread(worker.samples) for key, worker in workers.items() if worker.report.get("right")}
    # By hand is the quickest of the kernels by hand: no peer is flattered by a slow one.
    hand = min((time.median for key, time in timed.items() if key.startswith("hand")), default=None)
    rows = []
    for peer in sorted(peers, key=lambda peer: timed[peer.name].median if peer.name in timed else float("inf")):
        label = f"{peer.name}: {peer.words}"
        if peer.missing():
            rows.append([label, f"not installed: {', '.join(peer.missing())}"])
            continue
        report = workers[peer.name].report
        if "failed" in report:
            rows.append([label, f"failed: {shortened(report['failed'])}"])
            continue
        if not report["right"]:
            rows.append([label, "wrong, not timed", *[""] * 5, f"{report['difference']:.1e}"])
            continue
        time = timed[peer.name]
        rows.append(
            [
                label,
                *(seconds_text(seconds) for seconds in (time.median, time.least, time.most)),
                f"{time.median / hand:.2f}" if hand else "",
                f"{time.median / points * 1e9:.2f}",
                f"{report['build']:.2f}",
                f"{report['difference']:.1e}",
            ]
        )
    head = ["peer", "median", "min", "max", "x by hand", "ns per point", "build s", "largest difference"]
    return markdown(f"{workload.title}, {points:,} points", head, rows)


def shortened(text: str) -> str:
    """The first line of a message, at most 100 characters."""
    line = next(iter(text.splitlines()), "")
    return line if len(line) <= 100 else line[:97] + "..."
