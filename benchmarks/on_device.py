"""The benchmarks on a GPU: `python -m benchmarks --device`. All peers in one process, on the same data on the device.

Numba's simulator (NUMBA_ENABLE_CUDASIM=1) runs all of it without a GPU, at a few points, and gives no figures.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from . import device_arrays, gaussian_mixture, logistic_loss
from .array_workload import Arrays, ArrayWorkload
from .device_arrays import SIMULATED, arithmetic_rate, difference_of_rows, release, repeated, seconds, to_host
from .device_peers import DEVICE_PEERS, Ready, kernel_of
from .device_table import (
    Entry,
    KernelReport,
    Limits,
    Work,
    blocks_at_a_time,
    bounds_text,
    counted,
    kernels_table,
    peers_table,
)
from .peers import Peer
from .table import spread
from .workload import Array, Workload, largest_difference

# With these the data are some gigabytes, and what the least thrifty peer makes of them stays below 20 GB.
POINTS = {"neuron": 100_000_000, "black_scholes": 100_000_000, "gaussian_mixture": 500_000, "logistic_loss": 25_000_000}
DTYPES = ("float64", "float32")
TOLERANCES = {"float64": 1e-9, "float32": 1e-3}
PERIOD = 2 if SIMULATED else 100_000  # points after which the data repeat
FEW_POINTS = {"neuron": 10, "black_scholes": 10, "gaussian_mixture": 4, "logistic_loss": 4}  # for the simulator
# In the simulator every thread of the GPU is one of Python's, and sums over many of them take long.
SMALL = {"gaussian_mixture": gaussian_mixture.mixture(2, 2), "logistic_loss": logistic_loss.regression(3)}
SAMPLE_SECONDS = 0.05  # a sample lasts about as long

# About how many instructions on numbers a point takes where they cannot be counted, as there are loops: an exponential
# or a logarithm is 20. In the mixture for each of 25 components in 10 dimensions: the residual, its square, the share
# of the component, the gradient of the factor and of the mean. In the loss a row of 20 numbers, read and used twice.
OPERATIONS = {"gaussian_mixture": 25 * (10 + 55 + 10 + 25 + 10 + 55 + 10), "logistic_loss": 20 + 20 + 80}


class Problem(NamedTuple):
    """A workload with its data on the device, and what comes out."""

    name: str
    workload: Workload | ArrayWorkload
    dtype: str
    points: int
    inputs: Arrays
    wanted: list[Array]  # of the first points where there is one result per point, else of all

    def difference(self, found: Sequence[Any]) -> float:
        if isinstance(self.workload, ArrayWorkload):
            return largest_difference([to_host(array) for array in found], self.wanted)
        return difference_of_rows(found, self.wanted, self.points)

    def bytes(self) -> int:
        """Each input read once, each output written once."""
        read = sum(array.nbytes for array in self.inputs.values())
        numbers = sum(array.size for array in self.wanted)
        if isinstance(self.workload, Workload):
            numbers = len(self.wanted) * self.points
        return int(read + numbers * np.dtype(self.dtype).itemsize)


def problem(name: str, dtype: str, points: int) -> Problem:
    """`points` become a multiple of PERIOD: what comes out of the first ones, computed on the host, comes again."""
    workload: Workload | ArrayWorkload = importlib.import_module(f"benchmarks.{name}").WORKLOAD
    if SIMULATED:
        workload = SMALL.get(name, workload)
    period = min(PERIOD, points)
    copies = points // period
    data = workload.data(period)
    if isinstance(workload, Workload):
        rows = data.astype(dtype)
        inputs = {name: repeated(row, copies) for name, row in zip(workload.inputs, rows, strict=True)}
        wanted = workload.by_hand(rows.astype(np.float64))
    else:
        data = {name: array.astype(dtype) for name, array in data.items()}
        inputs = {name: repeated(a, 1 if name in workload.parameters else copies) for name, a in data.items()}
        wanted = of_repeated_data(workload, data, copies)
    return Problem(name, workload, dtype, period * copies, inputs, [np.asarray(array) for array in wanted])


def of_repeated_data(workload: ArrayWorkload, data: Arrays, copies: int) -> list[Any]:
    """The results of data that repeat: a sum over the points, and what does not depend on them, are a + b*copies."""
    once, twice = (
        workload.by_hand(
            {
                name: (array if name in workload.parameters else np.concatenate([array] * times)).astype(np.float64)
                for name, array in data.items()
            }
        )
        for times in (1, 2)
    )
    return [first + (copies - 1) * (second - first) for first, second in zip(once, twice, strict=True)]


# The rounds -----------------------------------------------------------------------------------------------------------


def run(
    workloads: Sequence[str], peers: Sequence[Peer], points: int | None, repeats: int, dtypes: Sequence[str]
) -> None:
    """Prints the tables, one workload after the other. With `points` those that have more have so many."""
    # What JAX takes at the start, three quarters of the memory, the others could not have.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    warnings.filterwarnings("ignore", message="Grid size")  # that it is small: of kernels which are not measured
    print(device_text(), flush=True)
    most, usual = 0.0, FEW_POINTS if SIMULATED else POINTS
    for name in workloads:
        for dtype in dtypes:
            texts, used = measured(name, dtype, min(points or usual[name], usual[name]), peers, repeats)
            print("", *texts, sep="\n", flush=True)
            most = max(most, used)
    if most:
        print(f"\nMemory of the GPU in use, at the most: {most / 1e9:.1f} GB", flush=True)


def measured(name: str, dtype: str, points: int, peers: Sequence[Peer], repeats: int) -> tuple[list[str], float]:
    """The texts about a workload, and how much memory was in use. Every peer is tried before the first is timed."""
    task = problem(name, dtype, points)
    entries = [Entry(DEVICE_PEERS[peer.name]) for peer in peers if peer.name in DEVICE_PEERS]
    ready: dict[str, Ready] = {}
    used = [release()]
    for entry in entries:
        if not entry.peer.missing():
            print(f"{name}, {dtype}: building {entry.peer.name}", file=sys.stderr, flush=True)
            with failures_of(entry):
                ready[entry.peer.name] = built(entry, task)
            used.append(release())
    copies: list[float] = []
    counts: dict[str, int] = {}
    for _ in range(1 if SIMULATED else repeats):
        copies.append(take_sample("copy", Ready(device_arrays.copy), counts))
        used.append(release())
        for entry in entries:
            if entry.difference is not None and entry.difference <= TOLERANCES[dtype] and not entry.failed:
                with failures_of(entry):
                    entry.samples.append(take_sample(entry.peer.name, ready[entry.peer.name], counts))
                used.append(release())
    return list(texts(task, entries, [] if SIMULATED else copies)), max(used)


@contextmanager
def failures_of(entry: Entry) -> Iterator[None]:
    """Whatever a library raises is its row in the table."""
    try:
        yield
    except Exception as error:
        entry.failed = f"{type(error).__name__}: {error}"


def built(entry: Entry, task: Problem) -> Ready:
    """The peer, built; the entry says how far its results are off."""
    ready: Ready = entry.peer.make(task.workload, task.inputs)
    results = ready.start()()
    ready.wait(results)
    entry.difference = task.difference(results)
    return ready


def take_sample(name: str, ready: Ready, counts: dict[str, int]) -> float:
    """Seconds per call; the first sample of a peer tells how many calls the next ones have."""
    call = ready.start()
    if name not in counts:
        counts[name] = max(1, math.ceil(SAMPLE_SECONDS / seconds(call, ready.wait, 1))) if not SIMULATED else 1
    return seconds(call, ready.wait, counts[name])


# What is said about them ----------------------------------------------------------------------------------------------


def texts(task: Problem, entries: Sequence[Entry], copies: Sequence[float]) -> Iterator[str]:
    work = Work(task.workload.title, task.dtype, task.points, task.bytes(), 0.0)
    yield peers_table(work, entries, copies, device_arrays.COPY_BYTES, TOLERANCES[task.dtype])
    if SIMULATED:
        return
    own = next((entry for entry in entries if entry.peer.name == "symgrad"), None)
    if own is None or own.difference is None:  # it did not compile
        return
    kernel = kernel_of(task.workload, task.dtype)
    device = cuda.get_current_device()
    operations = OPERATIONS.get(task.name) or counted(kernel.ptx(device.compute_capability), task.dtype)
    limits = Limits(2 * device_arrays.COPY_BYTES / spread(copies).median, arithmetic_rate(task.dtype))
    taken = spread(own.samples).median if own.samples and not own.failed else None
    yield f"\n{bounds_text(work._replace(operations=operations), limits, taken)}"
    yield f"\n{kernels_table(list(reports(kernel, device)))}"


def reports(kernel: Any, device: Any) -> Iterator[KernelReport]:
    """What the driver says of each kernel of a symgrad kernel."""
    names = ("BLOCKS", "THREADS", "REGISTERS", "SHARED_MEMORY")
    limits = {f"MAX_{name}_PER_MULTIPROCESSOR": getattr(device, f"MAX_{name}_PER_MULTIPROCESSOR") for name in names}
    limits["RESERVED_SHARED_MEMORY_PER_BLOCK"] = device.RESERVED_SHARED_MEMORY_PER_BLOCK
    module = kernel._runner.module
    for part, _ in module.KERNELS:
        for compiled in part.overloads.values():
            registers, shared = compiled.regs_per_thread, compiled.shared_mem_per_block
            blocks = blocks_at_a_time(registers, shared, module.THREADS, limits)
            occupancy = blocks * module.THREADS / limits["MAX_THREADS_PER_MULTIPROCESSOR"]
            yield KernelReport(
                part.py_func.__name__, registers, compiled.local_mem_per_thread, shared, blocks, occupancy
            )


def device_text() -> str:
    """What the figures belong to."""
    if SIMULATED:
        return "Numba's simulator: simulated, no figures"
    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else device.name
    major, minor = device.compute_capability
    memory = cuda.current_context().get_memory_info().total
    return (
        f"{name}, compute capability {major}.{minor}, {device.MULTIPROCESSOR_COUNT} multiprocessors, "
        f"{device.L2_CACHE_SIZE / 2**20:.0f} MiB of L2, {memory / 1e9:.0f} GB"
    )
