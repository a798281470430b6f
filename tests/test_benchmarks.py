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
from benchmarks import (
    black_scholes,
    call,
    compile_time,
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
from benchmarks.__main__ import MANY_POINTS, WHOLE_ARRAYS
from benchmarks.array_peers import ARRAY_PEERS
from benchmarks.workload import Array, Workload, largest_difference

ROOT = Path(__file__).resolve().parent.parent
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
def test_results_of_whole_arrays_agree(workload: str, name: str) -> None:
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
