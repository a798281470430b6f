"""The benchmarks at small sizes: results agree, tables have their rows. Nothing is said about times."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import symgrad.kernel
from benchmarks import black_scholes, call, compile_time, lennard_jones, neuron, peers, rounds, worker
from benchmarks.__main__ import ARRAYS
from benchmarks.workload import Array, Workload, largest_difference

ROOT = Path(__file__).resolve().parent.parent
WORKLOADS = {"neuron": neuron.WORKLOAD, "black_scholes": black_scholes.WORKLOAD, "cluster": lennard_jones.cluster(3)}
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


def test_every_workload_is_there() -> None:
    for name in ARRAYS:
        work = __import__(f"benchmarks.{name}", fromlist=["WORKLOAD"]).WORKLOAD
        assert work.data(1).shape == (len(work.inputs), 1)
        assert work.title


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


def test_stages_have_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symgrad.kernel, "LARGEST_COMPILED", 0)  # the stages only: Numba is not waited for
    for make in (compile_time.chain, compile_time.squares):
        assert set(rows_of(compile_time.stages_table("", make, (20, 40), 1))) == {"20", "40"}


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
