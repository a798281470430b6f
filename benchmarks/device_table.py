"""The text about a workload on a GPU: the table of its peers, what bounds it, and the kernels that symgrad made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .peers import Peer
from .rounds import shortened
from .table import markdown, seconds_text, spread

SIMULATED_TITLE = "simulated, no figures"


@dataclass
class Entry:
    """A peer, how far its results are off or why there are none, and its samples."""

    peer: Peer
    difference: float | None = None
    failed: str = ""
    samples: list[float] = field(default_factory=list)


class Limits(NamedTuple):
    """What the GPU does at the most, measured in the same run."""

    copy_rate: float  # bytes per second that are read or written
    arithmetic_rate: float  # fused multiplications and additions per second


class Work(NamedTuple):
    """What one call has to do."""

    title: str
    dtype: str
    points: int
    bytes: int  # each input read once, each output written once
    operations: float  # about how many instructions on numbers per point


class KernelReport(NamedTuple):
    """A compiled kernel, as the driver describes it."""

    name: str
    registers: int
    local_bytes: int  # of a thread, in memory: numbers that found no register
    shared_bytes: int  # of a block
    blocks: int  # of a multiprocessor at a time
    occupancy: float  # threads of these, as a share of the most


def peers_table(
    work: Work, entries: Sequence[Entry], copies: Sequence[float], copy_bytes: int, tolerance: float
) -> str:
    """Quickest first; `copies` are samples of the copy of `copy_bytes` within the device, none if simulated."""
    title = f"{work.title}, {work.points:,} points, {work.dtype}"
    rows = []
    copy_rate = 2 * copy_bytes / spread(copies).median if copies else 0.0
    if copies:
        rows.append(
            [f"copy: {copy_bytes / 2**30:.3g} GiB, read and written", *figures(copies, 2 * copy_bytes, copy_rate)]
        )
    right = [entry for entry in entries if entry.samples and not entry.failed]
    timed = {entry.peer.name: spread(entry.samples).median for entry in right if copies}
    for entry in sorted(entries, key=lambda entry: timed.get(entry.peer.name, float("inf"))):
        label = f"{entry.peer.name}: {entry.peer.words}"
        if entry.difference is None:
            missing = entry.peer.missing()
            reason = f"not installed: {', '.join(missing)}" if missing else f"failed: {shortened(entry.failed)}"
            rows.append([label, reason])
            continue
        if entry.failed:
            cells = [f"right, then failed: {shortened(entry.failed)}", *[""] * 4]
        elif entry.difference > tolerance:
            cells = ["wrong, not timed", *[""] * 4]
        elif not copies:
            cells = ["right, not timed", *[""] * 4]
        else:
            cells = figures(entry.samples, work.bytes, copy_rate)
        rows.append([label, *cells, f"{entry.difference:.1e}"])
    head = ["peer", "median", "min", "max", "GB/s", "x copy", "largest difference"]
    return markdown(title if copies else f"{title}: {SIMULATED_TITLE}", head, rows)


def figures(samples: Sequence[float], moved: int, copy_rate: float) -> list[str]:
    time = spread(samples)
    rate = moved / time.median
    return [*map(seconds_text, time), f"{rate / 1e9:,.0f}", f"{rate / copy_rate:.3f}"]


def bounds_text(work: Work, limits: Limits, seconds: float | None) -> str:
    """The least time that memory and arithmetic allow, and the share of it that symgrad reaches in `seconds`."""
    memory = work.bytes / limits.copy_rate
    arithmetic = work.operations * work.points / limits.arithmetic_rate
    lines = [
        f"- memory: {work.bytes / 1e9:.3g} GB per call, {work.bytes / work.points:.3g} bytes per point; "
        f"{seconds_text(memory)} at the {limits.copy_rate / 1e9:,.0f} GB/s of the copy",
        f"- arithmetic: about {work.operations:,.0f} instructions per point, "
        f"{work.operations * work.points / work.bytes:.2g} per byte; "
        f"{seconds_text(arithmetic)} at the {limits.arithmetic_rate / 1e9:,.0f} G/s of fused {work.dtype} "
        "multiplications and additions",
    ]
    least, what = max((memory, "memory"), (arithmetic, "arithmetic"))
    close = min(memory, arithmetic) > 0.5 * least
    share = f"; symgrad reaches {least / seconds:.2f} of that limit" if seconds else ""
    return "\n".join([*lines, f"- so {what} bounds{', the other is near' if close else ''}{share}"])


def counted(ptx: str, dtype: str) -> int:
    """Instructions on numbers of a loop that is run once per point: both sides of its branches, a division as 8."""
    kind = f"f{dtype[-2:]}"
    return sum(
        weight * len(re.findall(rf"\b(?:{names})\.(?:\w+\.)*{kind}\b", ptx))
        for weight, names in ((1, "fma|mul|add|sub|min|max|setp"), (8, "div|rcp|sqrt"))
    )


def kernels_table(reports: Sequence[KernelReport]) -> str:
    rows = [
        [r.name, str(r.registers), str(r.local_bytes), str(r.shared_bytes), str(r.blocks), f"{r.occupancy:.0%}"]
        for r in reports
    ]
    head = ["kernel", "registers", "bytes in local memory", "shared bytes", "blocks at a time", "occupancy"]
    return markdown("The kernels of symgrad", head, rows)


def blocks_at_a_time(registers: int, shared: int, threads: int, limits: dict[str, int]) -> int:
    """How many blocks a multiprocessor holds. `limits` are attributes of the device by their names in CUDA.

    Each of its quarters has registers of its own, which a warp gets by 256; a block gets shared memory by 128 bytes.
    """
    warps = -(-threads // 32)
    fits = [limits["MAX_BLOCKS_PER_MULTIPROCESSOR"], limits["MAX_THREADS_PER_MULTIPROCESSOR"] // (32 * warps)]
    if registers:
        own = -(-32 * registers // 256) * 256
        fits.append(4 * (limits["MAX_REGISTERS_PER_MULTIPROCESSOR"] // 4 // own) // warps)
    if shared:
        own = -(-(shared + limits["RESERVED_SHARED_MEMORY_PER_BLOCK"]) // 128) * 128
        fits.append(limits["MAX_SHARED_MEMORY_PER_MULTIPROCESSOR"] // own)
    return min(fits)
