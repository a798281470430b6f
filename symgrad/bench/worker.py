"""A process of `symgrad bench`: builds one way to the gradient, then takes a sample for each line that it is sent.

Standard input is a job, one line of JSON; then each line asks for the results or for a sample. Standard output is a
line of JSON per answer: how many results there are, and the seconds until there were; the seconds of a call. Results
are sent as they are, float64 at all points. An answer `{"failed": reason}` is the last one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sympy
from symgrad_codegen.run import build, host

from ..compiler import compile
from ..language.parse import parse
from ..lower.lower import free_symbols, natural_order

SAMPLE_SECONDS = 0.02  # a sample lasts at least this long
RESULTS, SAMPLE = "results\n", "sample\n"  # what is asked
LAMBDIFY_BYTES = 8 << 30  # of address space, while SymPy differentiates: a tree may grow without end

Call: TypeAlias = Callable[[], Sequence[Any]]  # the value and the derivatives, at all points
Build: TypeAlias = Callable[[Sequence[Any]], Call]  # of the inputs


class Range(NamedTuple):
    """Where the numbers of one input lie."""

    low: float
    high: float
    is_integer: bool = False


@dataclass(frozen=True)
class Job:
    """What to compute."""

    text: str  # in the language of expr.txt
    wrt: tuple[str, ...]
    ranges: tuple[Range, ...]  # of each input, in the order of the kernel's arguments
    points: int
    dtype: str
    accuracy: str
    threads: int | None = None

    @property
    def bytes_per_point(self) -> int:
        """Inputs that are read, the value and the derivatives that are written."""
        return (len(self.ranges) + 1 + len(self.wrt)) * np.dtype(self.dtype).itemsize

    def line(self) -> str:
        return json.dumps(asdict(self))

    def inputs(self) -> list[Any]:
        """Random numbers, the same ones in every process, in arrays that begin on cache lines."""
        uniform = np.random.default_rng(0).uniform
        arrays = host.new_outputs([(self.points,)] * len(self.ranges), self.dtype)
        for array, (low, high, is_integer) in zip(arrays, self.ranges, strict=True):
            numbers = uniform(low, high, self.points)
            array[:] = np.rint(numbers) if is_integer else numbers
        return arrays


def job_of(line: str) -> Job:
    """The job that `Job.line` wrote."""
    fields = json.loads(line)
    ranges = tuple(Range(*numbers) for numbers in fields.pop("ranges"))
    return Job(wrt=tuple(fields.pop("wrt")), ranges=ranges, **fields)


# The ways to a gradient -----------------------------------------------------------------------------------------------


def symgrad(job: Job) -> Build:
    """A kernel that is given arrays for its results."""
    problem = parse(job.text)
    named = {symbol.name: symbol for symbol in free_symbols(problem.expression)}
    build.key("")  # loads Numba

    def make(inputs: Sequence[Any]) -> Call:
        wrt = [named[name] for name in job.wrt]
        kernel = compile(problem, None, wrt, dtype=job.dtype, accuracy=job.accuracy, threads=job.threads)
        out = kernel(*inputs)
        results = [out.value, *out.grad]

        def call() -> Sequence[Any]:
            kernel(*inputs, out=out)
            return results

        return call

    return make


def lambdify(job: Job) -> Build:
    """SymPy's derivatives, written for NumPy and SciPy."""
    expression = parse(job.text).expression
    symbols = sorted(free_symbols(expression), key=natural_order)
    sympy.lambdify([], sympy.Integer(0), ["scipy", "numpy"])  # loads them

    def make(inputs: Sequence[Any]) -> Call:
        with _bounded_memory(LAMBDIFY_BYTES + sum(array.nbytes for array in inputs)):
            # Real, as symgrad takes them: of what may be complex SymPy has no derivative of Abs.
            real = {symbol: sympy.Symbol(symbol.name, real=True) for symbol in symbols if symbol.is_real is None}
            value = expression.xreplace(real)
            arguments = [real.get(symbol, symbol) for symbol in symbols]
            named = {symbol.name: symbol for symbol in arguments}
            outputs = [value, *(value.diff(named[name]) for name in job.wrt)]
            # Names from outside are not written into Python: an input may be called exp.
            function = sympy.lambdify(arguments, outputs, ["scipy", "numpy"], cse=True, dummify=True)
        return lambda: function(*inputs)

    return make


def copy(job: Job) -> Build:
    """No gradient, but a copy of as many bytes as inputs and results have, half of them read and half written."""
    threads = job.threads or 1
    numbers = max(1, job.bytes_per_point * job.points // 16)
    edges = [numbers * part // threads for part in range(threads + 1)]

    def make(inputs: Sequence[Any]) -> Call:
        source, target = np.ones(numbers), np.zeros(numbers)
        parts = [(target[start:stop], source[start:stop]) for start, stop in pairwise(edges)]
        pool = ThreadPoolExecutor(threads)

        def call() -> Sequence[Any]:
            if threads == 1:
                np.copyto(target, source)
            else:
                list(pool.map(np.copyto, *zip(*parts, strict=True)))
            return ()

        return call

    return make


PEERS: dict[str, Callable[[Job], Build]] = {"symgrad": symgrad, "lambdify": lambdify, "copy": copy}


@contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    """More than this is a MemoryError, where the system can say so."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size if soft == resource.RLIM_INFINITY else min(size, soft), hard))
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# Samples --------------------------------------------------------------------------------------------------------------


def repetitions(call: Callable[[], Any]) -> int:
    """How many calls make a sample."""
    count = 1
    while True:
        seconds = sample(call, count)
        if count * seconds >= SAMPLE_SECONDS:
            return count
        count = max(2 * count, int(1.2 * SAMPLE_SECONDS / max(seconds, 1e-9)))


def sample(call: Callable[[], Any], count: int) -> float:
    """Seconds per call, after one call that warms the caches."""
    call()
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def main() -> None:
    # What libraries print goes to standard error: standard output is for the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    warnings.simplefilter("ignore")  # poles and domain errors are numbers here, as in a kernel
    np.seterr(all="ignore")

    def answer(what: object) -> None:
        answers.write(json.dumps(what).encode() + b"\n")
        answers.flush()

    try:
        job = job_of(sys.stdin.readline())
        make = PEERS[sys.argv[1]](job)
        inputs = [] if sys.argv[1] == "copy" else job.inputs()
        start = time.perf_counter()
        call = make(inputs)
        made = call()
        seconds = time.perf_counter() - start
        results = [_real(result, job.points) for result in made]
        idle = sum(np.shape(result) == () or any(result is own for own in inputs) for result in made)
        answer({"seconds": seconds, "results": len(results), "idle": idle})
        del made
        count = 0
        for line in sys.stdin:
            if line == RESULTS:
                for result in results:
                    answers.write(result.data)
                answers.flush()
                results.clear()
            else:
                count = count or repetitions(call)
                answer({"seconds": sample(call, count)})
    except RecursionError:
        answer({"failed": "the expression is nested too deeply"})
    except MemoryError:
        answer({"failed": "it needs more memory than there is"})
    except Exception as error:  # whatever a library raises is its row in the table
        line = next(iter(str(error).splitlines()), "")
        shown = re.sub(r"<class '([^']*)'>", r"\1", line)
        answer({"failed": f"{type(error).__name__}: {shown}"})


def _real(result: Any, points: int) -> Any:
    """A result at all points: of a constant derivative lambdify gives one number."""
    array = np.asarray(result)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"its results are of the type {array.dtype}, not real numbers")
    return np.ascontiguousarray(np.broadcast_to(array, points), np.float64)


if __name__ == "__main__":
    main()
