"""The memory that one call takes beside its data, measured where it matters: logistic_loss of 10,000,000 rows, 1.6 GB.

A process per peer. It makes the peer for little data first, so that imports and compilers have had their memory; then
it makes the data in place, and the peer again. What the largest resident size has grown by since is the peer's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .array_peers import ARRAY_PEERS
from .logistic_loss import WORKLOAD
from .peers import Peer
from .rounds import SETUP_SECONDS, environment, shortened
from .table import markdown
from .worker import TOLERANCE
from .workload import largest_difference

POINTS = 10_000_000
FEW = 1000


def largest_resident() -> int:
    """Bytes of this process, at the most so far."""
    import resource  # not on Windows

    # On Linux, ru_maxrss begins with the size of the process that started this one; /proc knows better.
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="ascii").splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else 1024 * size


def extra_memory(peer: Peer, points: int) -> dict[str, Any]:
    """Bytes beside the data, bytes of the data, and how far the result is off."""
    peer.make(WORKLOAD, WORKLOAD.data(FEW))()
    inputs = WORKLOAD.data(points)
    before = largest_resident()
    value, derivatives = peer.make(WORKLOAD, inputs)()
    extra = largest_resident() - before
    difference = largest_difference([value, *derivatives], WORKLOAD.by_hand(inputs))
    return {"extra": extra, "data": sum(array.nbytes for array in inputs.values()), "difference": difference}


def measured(peer: Peer, points: int) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", peer.name, str(points)]
    print(f"memory: {peer.name}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="symgrad-benchmarks-") as caches:
        try:
            done = subprocess.run(
                command, env=environment(caches), capture_output=True, text=True, timeout=SETUP_SECONDS
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not done in {SETUP_SECONDS:.0f} s"}
    if done.returncode:
        return {"failed": ([f"status {done.returncode}"] + done.stderr.strip().splitlines())[-1]}
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def row(peer: Peer, points: int) -> list[str]:
    """A peer's line of the table."""
    label = f"{peer.name}: {peer.words}"
    if peer.missing():
        return [label, f"not installed: {', '.join(peer.missing())}"]
    report = measured(peer, points)
    if "failed" in report:
        return [label, f"failed: {shortened(report['failed'])}"]
    if report["difference"] > TOLERANCE:
        return [label, "wrong", "", f"{report['difference']:.1e}"]
    share = report["extra"] / report["data"]
    return [label, f"{report['extra'] / 1e6:,.0f} MB", f"{share:.3f}", f"{report['difference']:.1e}"]


def compare(peers: Sequence[Peer], points: int) -> str:
    """The table: one peer at a time, in their order."""
    head = ["peer", "memory beside the data", "x data", "largest difference"]
    rows = [row(ARRAY_PEERS[peer.name], points) for peer in peers if peer.name in ARRAY_PEERS]
    return markdown(f"{WORKLOAD.title}, {points:,} points: memory of one call", head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("peer", choices=ARRAY_PEERS)
    parser.add_argument("points", type=int)
    options = parser.parse_args()
    print(json.dumps(extra_memory(ARRAY_PEERS[options.peer], options.points)), flush=True)


if __name__ == "__main__":
    main()
