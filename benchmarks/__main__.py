"""`python -m benchmarks [workload ...]`: one table per workload, in Markdown, on standard output."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import memory, rounds
from .peers import PEERS, Peer, chosen

MANY_POINTS = ("neuron", "black_scholes", "lennard_jones")
WHOLE_ARRAYS = ("logistic_loss", "gaussian_mixture", "two_layer_net", "spiral_net")
# Modules that make their tables themselves.
TABLES = ("derivatives", "array_derivatives", "sparse_derivatives", "optimal_power_flow", "cops", "compile_time")
WORKLOADS = (*MANY_POINTS, *WHOLE_ARRAYS, "call", *TABLES)
GPU_PACKAGES = ("numba-cuda", "triton", "cupy-cuda12x", "cupy-cuda13x")
ON_DEVICE = ("neuron", "black_scholes", "gaussian_mixture", "logistic_loss")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="One table per workload, in Markdown.")
    parser.add_argument("workloads", nargs="*", metavar="workload", help=f"default: all of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", default="", help=f"names or how they begin: {','.join(PEERS)}; default: all")
    parser.add_argument("--points", type=positive, help="how many, with --device at most; default: as each has it")
    parser.add_argument("--core", type=int, help="which one to measure on; default: the last")
    parser.add_argument("--repeats", type=positive, default=9, help="samples per peer; default: 9")
    parser.add_argument(
        "--memory", action="store_true", help="instead of times: the memory that a loss of 1.6 GB of data takes"
    )
    parser.add_argument("--device", action="store_true", help=f"on a GPU: {', '.join(ON_DEVICE)}")
    parser.add_argument("--dtype", choices=("float64", "float32"), help="with --device; default: one after the other")
    options = parser.parse_args(arguments)
    known = ON_DEVICE if options.device else WORKLOADS
    unknown = [name for name in options.workloads if name not in known]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        peers = chosen([name for name in options.peers.split(",") if name])
    except ValueError as error:
        parser.error(str(error))
    if options.device and options.memory:
        parser.error("--memory is of the host: not with --device")
    if options.device:
        on_device(options, peers)
        return
    rounds.pin_to(options.core)
    os.environ.update(rounds.ONE_THREAD)  # before anything here imports NumPy's or Numba's threads
    print(machine(), flush=True)
    if options.memory:
        print(f"\n{memory.compare(peers, options.points or memory.POINTS)}", flush=True)
        return
    for name in options.workloads or WORKLOADS:
        if name == "call":
            from .call import table

            print(f"\n{table(options.repeats)}", flush=True)
        elif name in TABLES:
            for text in import_module(f"benchmarks.{name}").tables(options.repeats):
                print(f"\n{text}", flush=True)
        else:
            print(f"\n{rounds.compare(name, peers, options.points, options.repeats)}", flush=True)


def on_device(options: argparse.Namespace, peers: Sequence[Peer]) -> None:
    """The same on a GPU; ends with status 2 where there is none."""
    from symgrad_codegen.run import device as run_cuda

    installed = run_cuda.is_installed()
    missing = run_cuda.no_device() if installed else f"numba-cuda is not installed: {run_cuda.HOW_TO_INSTALL}"
    if missing:
        print(
            f"no GPU to measure on: {missing}. NUMBA_ENABLE_CUDASIM=1 runs all of it in Numba's simulator, untimed",
            file=sys.stderr,
        )
        sys.exit(2)
    from .on_device import DTYPES, run

    print(machine(GPU_PACKAGES), flush=True)
    dtypes = [options.dtype] if options.dtype else DTYPES
    run(options.workloads or ON_DEVICE, peers, options.points, options.repeats, dtypes)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a positive number wanted")
    return number


def machine(more: Sequence[str] = ()) -> str:
    """What the numbers belong to: processor and versions."""
    packages = [
        "symgrad",
        "numpy",
        "numba",
        "sympy",
        *(package for peer in PEERS.values() for package in peer.packages),
        *more,
    ]
    versions = ", ".join(f"{name} {number}" for name, number in installed(dict.fromkeys(packages)))
    return f"{processor()}, {os.cpu_count()} CPUs; Python {platform.python_version()}, {versions}"


def installed(packages: dict[str, None]) -> Iterator[tuple[str, str]]:
    for package in packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def processor() -> str:
    """The processor's name, where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
