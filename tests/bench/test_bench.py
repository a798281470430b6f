"""`symgrad bench`: what it compares, refuses, counts and prints. How quick anything is, is not tested."""

from __future__ import annotations

import io
import json
import math
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import symgrad
from symgrad.bench import peers as bench_peers
from symgrad.bench import worker as bench_worker
from symgrad.bench.bench import _default_points, _progress, _row, bench
from symgrad.bench.compare import compare, largest_difference
from symgrad.bench.peers import Peer
from symgrad.bench.table import Bench, Row, rate_text, ratio_text
from symgrad.bench.worker import Job, Range, job_of
from symgrad.cli import main
from symgrad.lower.lower import free_symbols, natural_order

Captured = pytest.CaptureFixture[str]
NEURON = (Path(__file__).resolve().parents[2] / "examples" / "neuron.txt").read_text(encoding="utf-8")


def written(folder: Path, text: str) -> str:
    path = folder / "expr.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def job(text: str, points: int = 1000, wrt: str = "", ranges: tuple[Range, ...] | None = None, **options: Any) -> Job:
    """A job for a text; inputs in 0.2 .. 0.8 unless their ranges are given."""
    names = [symbol.name for symbol in sorted(free_symbols(symgrad.parse(text).expression), key=natural_order)]
    chosen = tuple(wrt.split()) or tuple(names)
    return Job(text, chosen, ranges or (Range(0.2, 0.8),) * len(names), points, **{**DEFAULTS, **options})


DEFAULTS: dict[str, Any] = {"dtype": "float64", "accuracy": "fast"}


class Given:
    """A peer that has its results already."""

    idle, difference, threads = 0, None, 1

    def __init__(self, name: str, work: Job, results: list[Any], reason: str = "") -> None:
        self.name, self.job, self.found, self.reason = name, work, results, reason

    def results(self) -> list[Any]:
        return self.found


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    peers: list[Peer] = []

    def start(name: str, work: Job, limit: float | None = None) -> Peer:
        peers.append(Peer(name, work, str(tmp_path / "cache"), limit))
        return peers[-1]

    yield start
    for peer in peers:
        peer.end()


# A run ----------------------------------------------------------------------------------------------------------------


def test_a_run_compares_times_and_prints_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    made: list[Bench] = []
    monkeypatch.setattr(
        "symgrad.bench.bench.bench", lambda *given, **named: made.append(bench(*given, **named)) or made[0]
    )
    assert main(["bench", written(tmp_path, NEURON), "--points", "1000", "w0=2", "--rounds", "2"]) == 0
    said, (result,) = capsys.readouterr(), made

    assert said == (f"{result}\n", "")
    assert "\x1b" not in said.out  # plain text into a pipe
    assert said.out.startswith("value and 5 derivatives at 1,000 points, float64, fast\n")
    assert "w0 in 1.8 .. 2.2, the others in 0.2 .. 0.8" in said.out
    assert "a copy of 88 bytes a point (5 inputs, 6 results)" in said.out
    assert "SciPy and NumPy" in said.out
    assert "not timed" not in said.out

    assert [row.label for row in result.rows] == ["symgrad", "lambdify", "memory limit"]
    for row in result.rows:
        assert len(row.rates) == 2
        assert all(rate > 0 and math.isfinite(rate) for rate in row.rates)
        assert row.reason == ""
        assert row.seconds is not None
    own, lambdify, limit = result.rows
    assert own.difference is limit.difference is None
    assert lambdify.difference is not None
    assert lambdify.difference < 1e-12
    assert result.first_seconds > 0

    told = json.loads(result.as_json())
    assert (told["points"], told["rounds"], told["bytes_per_point"]) == (1000, 2, 88)
    assert told["inputs"]["w0"] == pytest.approx([1.8, 2.2])
    assert told["wrt"] == ["w0", "w1", "w2", "x0", "x1"]
    assert [row["points_per_second"] for row in told["rows"]] == [list(row.rates) for row in result.rows]


def test_threads_have_rows_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    class Quick(Given):
        """A peer without a process."""

        seconds, samples = 1.0, ()

        def __init__(self, name: str, work: Job, folder: str, **options: Any) -> None:
            super().__init__(name, work, [np.ones(1000)] * 3)
            self.threads, self.is_streaming = work.threads or 1, bool(options.get("environment"))

        def __enter__(self) -> Quick:
            return self

        def __exit__(self, *_: object) -> None: ...

        def end(self) -> None: ...

        def build(self) -> None: ...

        def take_sample(self) -> None:
            taken.append((self.name, self.threads))

        @property
        def rates(self) -> tuple[float, ...]:
            return (2.0, 4.0) if self.is_streaming else (1.0, 2.0)

    monkeypatch.setattr("symgrad.bench.bench.Peer", Quick)
    result = bench(symgrad.parse("x*y"), points=1000, rounds=2, threads="2")
    labels = ["symgrad", "symgrad, 2 threads", "lambdify", "memory limit", "memory limit, 2 threads"]
    assert [row.label for row in result.rows] == labels
    assert [row.difference for row in result.rows] == [None, 0.0, 0.0, None, None]
    assert [max(row.rates) for row in result.rows] == [2.0, 2.0, 2.0, 4.0, 4.0]  # the quicker way to copy is the limit
    turn = [("symgrad", 1), ("symgrad", 2), ("lambdify", 1), *[("copy", 1)] * 2, *[("copy", 2)] * 2]
    assert taken == turn * 2  # one sample of each in turn
    assert [line.split()[-2] for line in str(result).splitlines()[2:7]] == ["50.0%"] * 3 + ["100.0%"] * 2


# What is wrong is not timed -------------------------------------------------------------------------------------------


def test_a_wrong_lambdify_is_reported_and_not_timed(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong_worker.py").write_text(
        "import sympy\n"
        "from symgrad.bench import worker as bench_worker\n"
        "right = sympy.lambdify\n"
        "def wrong(*arguments, **options):\n"
        "    function = right(*arguments, **options)\n"
        "    return lambda *x: [1.001*result for result in function(*x)]\n"
        "sympy.lambdify = wrong\n"
        "bench_worker.main()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(bench_peers, "WORKER", "wrong_worker")
    work = job("x*exp(y)", wrt="y")
    peers = [started("symgrad", work), started("lambdify", work)]
    for peer in peers:
        peer.build()
    assert compare(peers, lambda: symgrad.compile("x*exp(y)", wrt=[sympy.Symbol("y")])) == []
    for peer in peers:
        peer.take_sample()
    own, lambdify = peers
    assert own.reason == ""
    assert len(own.rates) == 1
    assert lambdify.difference == pytest.approx(0.001, rel=0.01)
    assert lambdify.reason.startswith("wrong at x=0.")
    assert lambdify.rates == ()

    rows = [*map(_row, peers), Row("memory limit", 1, (1e9,), None, "", 0.0)]
    lines = str(Bench(work, ("x", "y"), (), 1, 3, 1e-9, 1.0, tuple(rows), ())).splitlines()
    assert lines[0] == "value and 1 derivative at 1,000 points, float64, fast"
    assert lines[3].split() == ["lambdify", "not", "timed", "-", "-", "-", "1.0e-03"]
    assert lines[2].split()[-3] == "-"  # no ratio to what was not timed
    assert lines[5] == f"lambdify: not timed: {lambdify.reason}"


def test_what_lambdify_cannot_do_is_a_reason(started: Any) -> None:
    peer = started("lambdify", job("floor(3*x)*y"))  # SymPy leaves a Derivative in the derivative
    peer.build()
    assert peer.reason.startswith("PrintMethodNotImplementedError: ")
    assert "Derivative" in peer.reason
    assert "<" not in peer.reason
    assert peer.results() == []
    peer.take_sample()
    assert peer.rates == ()


def compared(text: str, change: Any, **options: Any) -> tuple[list[Any], list[str]]:
    """Peers symgrad, symgrad again and lambdify, and the remarks; `change` makes of true results what each one says."""
    work = job(text, **options)
    kernel = symgrad.compile(text, dtype=work.dtype)
    value, derivatives = kernel(*work.inputs())
    peers = [
        Given(name, work, [np.array(numbers, np.float64) for numbers in change(place, [value, *derivatives])])
        for place, name in enumerate(["symgrad", "symgrad", "lambdify"])
    ]
    return peers, compare(peers, lambda: kernel)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_equal_results_are_right(dtype: str) -> None:
    peers, remarks = compared(NEURON, lambda place, results: results, dtype=dtype)
    assert [peer.reason for peer in peers] == ["", "", ""]
    assert remarks == []


@pytest.mark.parametrize("result", [0, 1, 2])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.3001])
def test_one_wrong_number_is_found(result: int, wrong: float) -> None:
    def change(place: int, results: list[Any]) -> list[Any]:
        if place == 2:
            results[result] = np.copy(results[result])
            results[result][17] = wrong
        return results

    peers, remarks = compared("x*sin(y)", change)
    assert [bool(peer.reason) for peer in peers] == [False, False, True]
    x, y = peers[0].job.inputs()
    assert peers[2].reason == f"wrong at x={float(x[17])!r} y={float(y[17])!r}, as 50 digits say"
    assert remarks == []


def test_a_wrong_symgrad_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(place: int, results: list[Any]) -> list[Any]:
        return results if place == 2 else [results[0], 1.001 * results[1], results[2]]

    peers, _ = compared("x*sin(y)", change)
    assert [bool(peer.reason) for peer in peers] == [True, True, False]  # with threads, too
    rows = tuple(Row(peer.name, 1, (), None, peer.reason, 1.0) for peer in peers)
    result = Bench(
        peers[0].job, ("x", "y"), (), 1, 3, 1e-9, 1.0, (*rows, Row("memory limit", 1, (1.0,), None, "", 0.0)), ()
    )
    assert not result
    assert "symgrad: not timed: wrong at x=" in str(result)


def test_what_rounding_explains_is_right() -> None:
    # The derivative is 0, and what remains of 2*sin(x)*cos(x) - 2*sin(x)*cos(x) is rounding.
    def change(place: int, results: list[Any]) -> list[Any]:
        return [results[0], np.full(1000, 2e-17 if place == 2 else 0.0)]

    peers, remarks = compared("sin(x)**2 + cos(x)**2", change)
    assert [peer.reason for peer in peers] == ["", "", ""]
    assert peers[2].difference == 2e-17 / 1.0
    assert remarks == []

    def other(place: int, results: list[Any]) -> list[Any]:
        return [results[0], np.full(1000, 0.0 if place == 2 else 2e-17)]

    peers, remarks = compared("sin(x)**2 + cos(x)**2", other)
    assert [peer.reason for peer in peers] == ["", "", ""]
    assert peers[2].difference == 1.0
    assert len(remarks) == 1
    assert "both are right as far as rounding allows" in remarks[0]


@pytest.mark.parametrize(("idle", "words"), [(0, None), (2, "lambdify has 2 of its 3 results for nothing"), (3, None)])
def test_results_that_nobody_computes_are_told(idle: int, words: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Given, "idle", property(lambda peer: idle if peer.name == "lambdify" else 0), raising=True)
    peers, remarks = compared("x*y", lambda place, results: results)
    assert [remark.split(":")[0] for remark in remarks] == ([words] if words else [])
    assert [bool(peer.reason) for peer in peers] == [False, False, idle == 3]


def test_values_that_are_no_numbers_are_remarked_on() -> None:
    peers, remarks = compared("sqrt(x - 0.5)", lambda place, results: results)
    assert [peer.reason for peer in peers] == ["", "", ""]
    assert len(remarks) == 1
    assert "no finite number" in remarks[0]


def test_the_largest_difference() -> None:
    inf, nan = math.inf, math.nan
    numbers = np.array([1.0, 2.0, 4.0, nan, inf, -inf, 0.0])
    assert largest_difference(numbers, numbers) == (0.0, 0)
    wrongs = [(0, 1.3, 0.2), (2, 5.0, 0.25), (3, 1.0, inf), (4, -inf, inf), (1, nan, inf), (6, 0.3, 0.2)]
    for place, wrong, difference in wrongs:  # the median magnitude is 1.5
        found = numbers.copy()
        found[place] = wrong
        assert largest_difference(found, numbers) == (pytest.approx(difference), place)
    assert largest_difference(np.array([1e300, 3e300]), np.array([1e300, 1e300]))[0] == pytest.approx(2.0)


# The processes --------------------------------------------------------------------------------------------------------


def test_derivatives_that_take_for_ever_are_stopped(started: Any) -> None:
    steps = "".join(f"a{i} = a{i - 1}**2 + sin(a{i - 1})\n" for i in range(1, 60))
    peer = started("lambdify", job(f"a0 = x*y\n{steps}a59"), limit=0.5)
    peer.build()
    assert peer.reason == "building took more than 0.5 s"


def test_a_process_that_ends_is_a_reason(started: Any) -> None:
    peer = started("copy", job("x"))
    peer._process.kill()
    peer.build()
    assert peer.reason.startswith("its process ended with status")


@pytest.mark.parametrize(
    "text",
    [NEURON, "abs(x - y) + sqrt(x**2) + max(x, y)", "exp*exp + sqrt + lambda0", "erf(x)*gamma(y)", "k: integer\nx**k"],
    ids=["neuron", "real", "names", "special", "integers"],
)
def test_lambdify_agrees_with_symgrad(text: str) -> None:
    ranges = (Range(1.0, 3.0, True), Range(0.2, 0.8)) if "integer" in text else None
    work = job(text, points=100, ranges=ranges)
    inputs = work.inputs()
    value, derivatives = symgrad.compile(text)(*inputs)
    found = bench_worker.lambdify(work)(inputs)()
    assert len(found) == 1 + len(work.wrt)
    for numbers, wanted in zip(found, [value, *derivatives], strict=True):
        np.testing.assert_allclose(np.broadcast_to(numbers, 100), wanted, rtol=1e-12, atol=1e-12)


def test_inputs_are_the_same_in_every_process() -> None:
    work = job("k: integer\nx**k", ranges=(Range(1.0, 3.0, True), Range(0.2, 0.8)), dtype="float32")
    again = job_of(work.line())
    assert again == work
    k, x = work.inputs()
    assert all(np.array_equal(one, other) for one, other in zip(again.inputs(), (k, x), strict=True))
    assert set(k) == {1.0, 2.0, 3.0}
    assert x.dtype == np.float32
    assert 0.2 <= x.min() < 0.25
    assert 0.75 < x.max() <= 0.8


@pytest.mark.parametrize(
    ("wrt", "dtype", "number"), [("", "float64", 88), ("x0", "float64", 56), ("x0 w1", "float32", 32)]
)
def test_bytes_are_those_of_inputs_and_results(wrt: str, dtype: str, number: int) -> None:
    assert job(NEURON, wrt=wrt, dtype=dtype).bytes_per_point == number


@pytest.mark.parametrize("threads", [None, 3])
def test_the_memory_limit_reads_and_writes_as_many_bytes(threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    copyto = np.copyto

    def watched(target: Any, source: Any) -> None:
        moved.append(target.nbytes + source.nbytes)
        copyto(target, source)

    work = replace(job(NEURON), threads=threads)
    call = bench_worker.copy(work)(work.inputs())
    monkeypatch.setattr(np, "copyto", watched)
    assert list(call()) == []
    assert sum(moved) == 88 * 1000
    assert len(moved) == (threads or 1)


def test_a_sample_is_the_mean_of_enough_calls() -> None:
    calls = []
    count = bench_worker.repetitions(lambda: calls.append(1))
    assert count > 100  # 20 ms of a call that does nothing
    calls.clear()
    assert bench_worker.sample(lambda: calls.append(1), 5) > 0
    assert len(calls) == 6  # one that warms the caches


# What is asked for, and what is printed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("w: vector(n)\nsum(w[i]**2 for i in range(n))", "", "python -m benchmarks"),
        ("2 + 3", "", "has no inputs"),
        ("x*y", "--points 0", "points is a positive number"),
        ("x*y", "--points 1000000000000", "points fit"),
        ("x*y", "--rounds -1", "rounds is a positive number"),
        ("x*y", "--threads 0", "threads is a positive number or auto, not 0"),
        ("x*y", "--threads some", "threads is a positive number or auto, not some"),
        ("x*y", "x=inf", "the middle of a range is one finite number"),
        ("x*y", "x=[1,2]", "the middle of a range is one finite number"),
        ("x*y", "k=1", "no input 'k'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    text: str, arguments: str, words: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)  # before any process is started
    assert main(["bench", written(tmp_path, text), *arguments.split()]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_a_wrong_symgrad_is_status_1(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symgrad.bench.bench.bench", lambda *_, **__: [])
    assert main(["bench", written(tmp_path, "x*y")]) == 1


def test_long_expressions_get_fewer_points() -> None:
    numbers = [_default_points(operations) for operations in (0, 1, 100, 101, 350, 4000, 10**9)]
    assert numbers == [1_000_000, 1_000_000, 1_000_000, 900_000, 200_000, 20_000, 1000]


def test_numbers_have_three_digits() -> None:
    rates = [9.949, 999.4, 999.6, 12_345.0, 9.12e6, 128.4e6, 999.96e6, 6.4e12, 0.5]
    assert [rate_text(rate) for rate in rates] == [
        "9.95", "999", "1.00 k", "12.3 k", "9.12 M", "128 M", "1.00 G", "6.40 T", "0.5"
    ]  # fmt: skip
    assert [ratio_text(ratio) for ratio in (math.nan, 0.01234, 1.0, 24.06, 99.96, 1234.5)] == [
        "-", "0.0123", "1.00", "24.1", "100", "1,234"
    ]  # fmt: skip


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    for stream in (io.StringIO(), Terminal()):
        with _progress(stream, 2) as say:
            say("one [b]thing")
            say("another")
        assert ("one [b]thing" in stream.getvalue()) == stream.isatty()
    with _progress(None, 2) as say:
        say("nothing")
