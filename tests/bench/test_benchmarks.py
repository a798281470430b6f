"""The benchmarks at small sizes: results agree, tables have their rows. Nothing is said about times."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy

from benchmarks import (
    black_scholes,
    call,
    compile_time,
    device_table,
    gaussian_mixture,
    lennard_jones,
    logistic_loss,
    memory,
    neuron,
    peers,
    rounds,
    spiral_net,
    two_layer_net,
    worker,
)
from benchmarks.__main__ import MANY_POINTS, ON_DEVICE, WHOLE_ARRAYS
from benchmarks.array_peers import ARRAY_PEERS
from benchmarks.large_expressions import KINDS
from benchmarks.workload import Array, Workload, largest_difference
from symgrad.lower.lower import natural_order

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = {"neuron": neuron.WORKLOAD, "black_scholes": black_scholes.WORKLOAD, "cluster": lennard_jones.cluster(3)}
ARRAY_WORKLOADS = {
    "logistic_loss": logistic_loss.regression(5),
    "gaussian_mixture": gaussian_mixture.mixture(3, 4),
    "two_layer_net": two_layer_net.net(20, 9, 4),
    "spiral_net": spiral_net.net(8),
}
POINTS = 300  # more than a block, and no whole number of blocks


def rows_of(table: str) -> dict[str, list[str]]:
    """The cells of a table's rows, by their first cell up to a colon."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return {first.partition(":")[0]: rest for first, *rest in cells[2:]}


@pytest.mark.parametrize("name", ["symgrad", "hand", "hand-simd", "numpy"])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_results_agree(workload: str, name: str) -> None:
    try:
        _, report = worker.prepare(WORKLOADS[workload], peers.PEERS[name], POINTS)
    except OSError as error:
        if name != "hand-simd":  # it alone needs a library that not every machine has
            raise
        pytest.skip(f"{name}: {error}")
    assert report["right"], report


@pytest.mark.parametrize("workload", WORKLOADS)
def test_gradient_by_hand_is_that_of_the_formula(workload: str) -> None:
    """By central differences, so that the comparison does not rest on one formula written once."""
    work = WORKLOADS[workload]
    inputs = work.data(20)
    value, *derivatives = work.by_hand(inputs)
    step = 1e-5
    functions = SimpleNamespace(exp=np.exp, log=np.log, sqrt=np.sqrt, erf=black_scholes.erf)
    assert largest_difference([work.formula(functions, inputs)], [value]) < 1e-13
    for place, derivative in enumerate(derivatives):
        shift = np.zeros_like(inputs)
        shift[place] = step
        above, below = work.formula(functions, inputs + shift), work.formula(functions, inputs - shift)
        assert largest_difference([(above - below) / (2 * step)], [derivative]) < 1e-5


@pytest.mark.filterwarnings("ignore")  # of the libraries that are peers
@pytest.mark.parametrize("name", ARRAY_PEERS)
@pytest.mark.parametrize("workload", ARRAY_WORKLOADS)
def test_results_of_whole_arrays_agree(workload: str, name: str, all_rows: bool) -> None:
    if workload == "gaussian_mixture" and name.startswith("hand") and not all_rows:
        pytest.skip("these kernels by hand take a minute to compile: --all-rows")
    missing = ARRAY_PEERS[name].missing()
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    try:
        _, report = worker.prepare(ARRAY_WORKLOADS[workload], ARRAY_PEERS[name], POINTS)
    except OSError as error:
        if name != "hand-simd":
            raise
        pytest.skip(f"{name}: {error}")
    assert report["right"], report


NUMPY = SimpleNamespace(
    exp=np.exp,
    einsum=np.einsum,
    tril=np.tril,
    diagonal=lambda rows: rows[:, :, None] * np.eye(rows.shape[1]),
    relu=lambda a: np.maximum(a, 0.0),
    softplus=lambda a: np.logaddexp(0.0, a),
    logsumexp=lambda a, axis: np.log(np.exp(a).sum(axis)),
    cross_entropy=lambda scores, labels: np.mean(
        np.log(np.exp(scores).sum(1)) - np.take_along_axis(scores, labels[:, None], 1)[:, 0]
    ),
)


@pytest.mark.parametrize("workload", ARRAY_WORKLOADS)
def test_gradient_by_hand_is_that_of_the_loss(workload: str) -> None:
    """By central differences along a direction in each parameter."""
    work = ARRAY_WORKLOADS[workload]
    inputs = work.data(20)
    value, *derivatives = work.by_hand(inputs)
    assert largest_difference([work.loss(NUMPY, **inputs)], [value]) < 1e-13
    step = 1e-5
    for name, derivative in zip(work.parameters, derivatives, strict=True):
        direction = np.random.default_rng(17).normal(size=derivative.shape)
        above, below = (
            work.loss(NUMPY, **{**inputs, name: inputs[name] + shift * direction}) for shift in (step, -step)
        )
        assert (above - below) / (2 * step) == pytest.approx((derivative * direction).sum(), rel=1e-5), name


def test_every_workload_is_there() -> None:
    for name in MANY_POINTS:
        work = __import__(f"benchmarks.{name}", fromlist=["WORKLOAD"]).WORKLOAD
        assert work.data(1).shape == (len(work.inputs), 1)
        assert work.title


def test_every_workload_of_whole_arrays_is_there() -> None:
    assert set(ARRAY_PEERS) < set(peers.PEERS)
    assert list(ARRAY_WORKLOADS) == list(WHOLE_ARRAYS)
    for name in WHOLE_ARRAYS:
        work = __import__(f"benchmarks.{name}", fromlist=["WORKLOAD"]).WORKLOAD
        assert work.title
        names = list(work.data(3))
        assert [symbol.name for symbol in work.formula()[1]] == names
        assert list(work.parameters) == [name for name in names if name in work.parameters]


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows: [rows[0] * (1 + 1e-8), *rows[1:]],
        lambda rows: rows[:-1],
        lambda rows: [*rows[:-1], rows[-1] * np.nan],
    ],
    ids=["off", "too few", "not a number"],
)
def test_a_wrong_peer_is_found(damage: Callable[[list[Array]], list[Array]]) -> None:
    def make(workload: Workload, inputs: Array) -> peers.Call:
        value, *derivatives = damage(list(workload.by_hand(inputs)))
        return lambda: (value, derivatives)

    _, report = worker.prepare(neuron.WORKLOAD, peers.Peer("wrong", "", (), make), 10)
    assert not report["right"]


def test_table_says_why_there_is_no_time() -> None:
    def entry(name: str, *packages: str) -> peers.Peer:
        return peers.Peer(name, "", packages, lambda *_: pytest.fail("not to be made"))

    def stopped(report: dict[str, Any], samples: Sequence[float] = ()) -> Any:
        return SimpleNamespace(report={"build": 0.5, **report}, samples=list(samples))

    workers = {
        "hand": stopped({"right": True, "difference": 0.0}, [0.002, 0.001, 0.003]),
        "other": stopped({"right": True, "difference": 0.0}, [0.004]),
        "wrong": stopped({"right": False, "difference": 0.25}),
        "broken": stopped({"failed": "ValueError: a | b\nand more"}),
    }
    listed = [*map(entry, workers), entry("absent", "surely_not_installed")]
    rows = rows_of(rounds.table_of(neuron.WORKLOAD, listed, workers, 1000))
    assert rows["hand"] == ["2 ms", "1 ms", "3 ms", "1.00", "2000.00", "0.50", "0.0e+00"]
    assert rows["other"][3] == "2.00"
    assert rows["wrong"][0] == "wrong, not timed"
    assert rows["wrong"][-1] == "2.5e-01"
    assert rows["broken"][0] == "failed: ValueError: a / b"
    assert rows["absent"][0] == "not installed: surely_not_installed"


def test_peers_are_chosen_by_how_they_begin() -> None:
    assert [peer.name for peer in peers.chosen(["symgrad", "hand"])] == ["symgrad", "hand", "hand-simd"]
    assert len(peers.chosen([])) == len(peers.PEERS)
    with pytest.raises(ValueError, match="no peer nothing"):
        peers.chosen(["nothing"])


def test_call_has_its_rows() -> None:
    assert set(call.calls()) == {line.split("|")[1].strip() for line in call.table(1).splitlines()[4:]}
    assert "wrong" not in call.table(1)


def test_stages_have_their_rows() -> None:
    for make in (compile_time.chain, compile_time.squares):
        assert set(rows_of(compile_time.stages_table("", make, (20, 40), 1))) == {"20", "40"}
    rows = rows_of(compile_time.kinds_table(dict.fromkeys(KINDS, (3, 4)), 1))
    assert rows.keys() == KINDS.keys()
    assert all(len(cells) == 4 and float(cells[3]) > 0 for cells in rows.values())


@pytest.mark.parametrize("name", KINDS)
def test_large_expressions_are_what_they_say(name: str) -> None:
    numbers = np.random.default_rng(3).uniform(0.5, 1.5, 30)
    expression = KINDS[name].make(5)
    symbols = sorted(expression.free_symbols, key=natural_order)
    found = sympy.lambdify(symbols, expression, "math")(*numbers[: len(symbols)])
    assert found == pytest.approx(float(EXPECTED[name](*numbers[: len(symbols)])), rel=1e-12)


def _again(step: Callable[[float], float], x: float) -> float:
    for _ in range(5):
        x = step(x)
    return x


EXPECTED: dict[str, Callable[..., float]] = {
    "chain": lambda x, y: _again(lambda z: math.sin(z) * 1.01 + y, x),
    "shared parts": lambda x, y: _again(lambda z: z * z + y * z, x),
    "determinant": lambda *m: float(np.linalg.det(np.reshape(m, (5, 5)))),
    "Rosenbrock": lambda *x: sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in pairwise(x)),
    "branches": lambda x, y: _again(lambda z: z * y if z > 0 else z + y * y + 1, x),
    "like terms": lambda *a: sum((k + 2) * math.sin(a[-1] * own) for k, own in enumerate(a[:-1])),
    "products": lambda *p: 5 * math.prod(p),
}


def test_the_command() -> None:
    options = ["--peers", "symgrad,numpy", "--points", "300", "--repeats", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "neuron", *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = rows_of(done.stdout)
    assert set(rows) == {"symgrad", "numpy"}
    for cells in rows.values():
        assert len(cells) == 7
        assert float(cells[-1]) <= worker.TOLERANCE


def test_the_command_with_whole_arrays() -> None:
    """A peer that knows no arrays has no row."""
    options = ["--peers", "numpy,lambdify", "--points", "30", "--repeats", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "spiral_net", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(rows_of(done.stdout)) == {"numpy"}


def test_memory_beside_the_data() -> None:
    """NumPy's product of data and weights alone is as long as the data; what there was before does not count."""
    rows = rows_of(memory.compare([peers.PEERS["numpy"], peers.PEERS["lambdify"]], 1_000_000))
    assert set(rows) == {"numpy"}
    extra, share, difference = rows["numpy"]
    assert float(extra.removesuffix(" MB").replace(",", "")) > 8
    assert 0.0 < float(share) < 1.0
    assert float(difference) <= worker.TOLERANCE


def test_memory_says_why_there_is_none() -> None:
    absent = peers.Peer("absent", "", ("surely_not_installed",), lambda *_: pytest.fail("not to be made"))
    assert memory.row(absent, 10) == ["absent: ", "not installed: surely_not_installed"]
    unknown = peers.Peer("unknown", "", (), absent.make)
    assert memory.row(unknown, 10)[1].startswith("failed: ")


# --- on a GPU ---------------------------------------------------------------------------------------------------------

# What runs in Numba's simulator, which a process chooses when it imports Numba.
SIMULATED = """
import numpy as np
from benchmarks import device_arrays, device_peers, neuron
from benchmarks.__main__ import main

rows = [np.array([1.0, -2.0, 0.0]), np.array([4.0, 5.0, 6.0])]
repeated = [device_arrays.repeated(row, 5) for row in rows]
assert device_arrays.difference_of_rows(repeated, rows, 15) == 0.0
for wrong, least, most in ((6.3, 0.04, 0.06), (np.nan, np.inf, np.inf), (np.inf, np.inf, np.inf)):
    last = np.tile(rows[1], 5)
    last[-1] = wrong
    assert least <= device_arrays.difference_of_rows([repeated[0], last], rows, 15) <= most
assert device_arrays.difference_of_rows(repeated[:1], rows, 15) == np.inf
assert device_arrays.difference_of_rows(repeated, rows, 14) == np.inf
assert np.isnan(device_arrays.unset((2, 3), "float32").copy_to_host()).all()

options = ["--device", "--peers", "symgrad,hand"]
main([*options, "neuron", "logistic_loss"])
main([*options, "--dtype", "float32", "black_scholes", "gaussian_mixture"])
device_peers.LINES[neuron.by_hand] = device_peers.NEURON.replace("d_w1 = d_w2*x1", "d_w1 = d_w2*x0")
main([*options, "--dtype", "float64", "neuron"])
"""


def on_device(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *(["-c", code] if code else ["-m", "benchmarks", "--device"])]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **settings})


def test_the_command_in_the_simulator_of_a_gpu() -> None:
    """Results are compared, what is wrong is said to be, and nothing looks like a time."""
    pytest.importorskip("numba_cuda")
    done = on_device(SIMULATED, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr
    tables = done.stdout.split("### ")[1:]
    assert len(tables) == 7
    for table in tables:
        title, rows = table.splitlines()[0], rows_of(table)
        assert title.endswith("simulated, no figures")
        assert set(rows) == {"symgrad", "hand"}
        for name, (said, *figures, difference) in rows.items():
            assert said == ("wrong, not timed" if (name, table) == ("hand", tables[-1]) else "right, not timed")
            assert set(figures) == {""}
            assert (float(difference) < (1e-12 if "float64" in title else 1e-5)) == said.startswith("right")
    assert not re.search(r"\d ?([mun]?s|[GM]i?B(/s)?)\b", done.stdout)


def test_the_command_without_a_gpu() -> None:
    done = on_device("", NUMBA_ENABLE_CUDASIM="0", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("no GPU to measure on: ")


def test_every_workload_of_the_device_is_one_of_the_others() -> None:
    assert set(ON_DEVICE) < {*MANY_POINTS, *WHOLE_ARRAYS}


def test_table_of_a_device() -> None:
    """Shares of what the copy moves; a peer that is wrong, or that fails, has no figures."""

    def entry(name: str, difference: float | None, failed: str = "", samples: Sequence[float] = ()) -> Any:
        lacks = ("surely_not_installed",) if name == "absent" else ()
        return device_table.Entry(peers.Peer(name, "", lacks, pytest.fail), difference, failed, list(samples))

    entries = [
        entry("slow", 0.0, samples=[0.004]),
        entry("symgrad", 0.0, samples=[0.002, 0.001, 0.003]),
        entry("wrong", 0.25),
        entry("late", 0.0, "ValueError: later", [0.001]),
        entry("broken", None, "ValueError: a | b\nand more"),
        entry("absent", None),
    ]
    work = device_table.Work("Work", "float64", 1_000_000, 8_000_000, 50.0)
    rows = rows_of(device_table.peers_table(work, entries, [0.001], 3_000_000, 1e-9))
    assert list(rows)[:3] == ["copy", "symgrad", "slow"]
    assert rows["copy"][:5] == ["1 ms", "1 ms", "1 ms", "6", "1.000"]
    assert rows["symgrad"] == ["2 ms", "1 ms", "3 ms", "4", "0.667", "0.0e+00"]
    assert rows["wrong"] == ["wrong, not timed", "", "", "", "", "2.5e-01"]
    assert rows["late"][0] == "right, then failed: ValueError: later"
    assert rows["broken"][0] == "failed: ValueError: a / b"
    assert rows["absent"][0] == "not installed: surely_not_installed"


def test_what_bounds() -> None:
    """8 MB at 4 GB/s are 2 ms; 50 million instructions at 100 G/s are half a millisecond."""
    work = device_table.Work("Work", "float64", 1_000_000, 8_000_000, 50.0)
    text = device_table.bounds_text(work, device_table.Limits(4e9, 1e11), 0.0025)
    assert "8 bytes per point; 2 ms at the 4 GB/s" in text
    assert "6.2 per byte; 500 us at the 100 G/s" in text
    assert text.endswith("so memory bounds; symgrad reaches 0.80 of that limit")
    slower = device_table.bounds_text(work, device_table.Limits(4e9, 2e10), None)
    assert slower.endswith("so arithmetic bounds, the other is near")


def test_instructions_are_counted_in_ptx() -> None:
    ptx = "fma.rn.f64 a;\n mul.f64 b;\n @p add.rn.f64 c;\n setp.gt.f64 p;\n div.rn.f64 d;\n mul.f32 e;\n mov.f64 f;"
    assert device_table.counted(ptx, "float64") == 4 + 8
    assert device_table.counted(ptx, "float32") == 1


@pytest.mark.parametrize(
    ("registers", "shared", "blocks"), [(16, 0, 8), (32, 0, 8), (40, 0, 6), (168, 0, 1), (255, 0, 1), (32, 50_000, 4)]
)
def test_blocks_at_a_time(registers: int, shared: int, blocks: int) -> None:
    """Of 256 threads, with the limits of compute capability 9.0: 8 is all of 2048 threads."""
    limits = {
        "MAX_BLOCKS_PER_MULTIPROCESSOR": 32,
        "MAX_THREADS_PER_MULTIPROCESSOR": 2048,
        "MAX_REGISTERS_PER_MULTIPROCESSOR": 65_536,
        "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR": 233_472,
        "RESERVED_SHARED_MEMORY_PER_BLOCK": 1024,
    }
    assert device_table.blocks_at_a_time(registers, shared, 256, limits) == blocks
