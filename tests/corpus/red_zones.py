"""Nothing beside an array may be touched: machine code run where every array ends, or begins, at a forbidden page.

    python red_zones.py before|after < jobs         in a process of its own, which an access outside ends

Inputs, results and the arrays of the program's own each have pages of their own, with a page that nobody may read or
write right behind their last byte (`after`) or right before their first one (`before`). The buffers that a pass makes
inside of compiled code cannot be moved there: in the text each gets a red zone of NaN on both sides instead, which has
to be NaN still when the pass ends, and shows in the results where it is read (Serebryany et al., AddressSanitizer,
USENIX ATC 2012, has the same at the level of the compiler).
"""

from __future__ import annotations

import ctypes
import mmap
import pickle
import re
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from symgrad_codegen.run import build

ZONE = 256  # numbers on either side of a buffer: more than a block of lanes
SIDES = ("before", "after")

_MEMORY = re.compile(r"^    (\w+_memory_*) = np\.empty\((.+), real\)$")
_GUARD = f'''

@njit(**INNER)
def zone_of_nan(length):
    return np.full(length + {2 * ZONE}, nan, real)


@njit(**INNER)
def assert_untouched(memory):
    """Raises where a number beside the buffer was written."""
    for place in range({ZONE}):
        if memory[place] == memory[place] or memory[memory.size - 1 - place] == memory[memory.size - 1 - place]:
            raise AssertionError("a number beside a buffer was written")

'''


class Job(NamedTuple):
    """A kernel, the arguments of one call of it, and which inputs its gradients belong to, by position."""

    name: str
    source: str
    kernel: str
    arguments: tuple[Any, ...]
    wrt: tuple[int, ...]
    dtype: str = "float64"


def zoned(source: str) -> str:
    """The source of a kernel over arrays, with red zones around the buffers of its passes."""
    lines: list[str] = []
    buffers: list[str] = []
    for line in source.split("\n"):
        found = _MEMORY.match(line)
        if found:
            name, length = found.groups()
            buffers.append(name)
            lines += [f"    zoned_{name} = zone_of_nan({length})", f"    {name} = zoned_{name}[{ZONE}:-{ZONE}]"]
            continue
        if not line and buffers:
            lines += [f"    assert_untouched(zoned_{name})" for name in buffers]
            buffers = []
        lines.append(line)
    head, first, rest = "\n".join(lines).partition("\n\n\n@njit")
    return f"{head}\n{_GUARD}\n{(first + rest).lstrip()}"


def run(job: Job, side: str) -> tuple[float, list[Any]]:
    """Value and gradients of one call. An access outside of an array ends the process."""
    pages = Pages(side)
    module = build.load(zoned(job.source))
    arguments = [pages.copy(value) if isinstance(value, np.ndarray) else value for value in job.arguments]
    outputs = [pages.empty(np.shape(job.arguments[place]) or 1, job.dtype) for place in job.wrt]
    into = pages.function(getattr(module, f"{job.kernel}_into"))
    value = into(pages.function(module.walk_parts), *arguments, *outputs)
    return float(value), [array.copy() for array in outputs]


class Pages:
    """Makes arrays that end, or begin, at a page that nobody may touch."""

    def __init__(self, side: str) -> None:
        self.side = side
        self.kept: list[mmap.mmap] = []

    def function(self, function: Any) -> Any:
        """A function of a module, whose new arrays lie on pages of their own."""
        names = dict(function.__globals__, np=_NumPy(self))
        return types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)

    def copy(self, array: Any) -> Any:
        found = self.empty(array.shape, array.dtype)
        found[...] = array
        return found

    def empty(self, shape: Any, dtype: Any) -> Any:
        """A new array, full of NaN (of the least integer)."""
        kind = np.dtype(dtype)
        length = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        page = mmap.PAGESIZE
        inside = -(-length // page) * page
        memory = mmap.mmap(-1, inside + 2 * page)
        self.kept.append(memory)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for guard in (address, address + page + inside):
            if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        start = page if self.side == "before" else page + inside - length
        array = np.frombuffer(memory, kind, length // kind.itemsize, start).reshape(shape)
        array.fill(np.nan if kind.kind == "f" else np.iinfo(kind).min)
        return array


class _NumPy:
    """NumPy, but for what makes new arrays."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        return self._pages.empty(shape, dtype)

    def full(self, shape: Any, value: Any, dtype: Any = float) -> Any:
        found = self._pages.empty(shape, dtype)
        found.fill(value)
        return found

    def full_like(self, array: Any, value: Any) -> Any:
        return self.full(array.shape, value, array.dtype)


def worker(side: str, report: Callable[[str], Any]) -> None:
    """Runs the jobs that come on standard input; says which one begins, and hands all results back in the end."""
    jobs: Sequence[Job] = pickle.load(sys.stdin.buffer)
    results = []
    for job in jobs:
        report(job.name)
        results.append(run(job, side))
    sys.stdout.buffer.write(pickle.dumps(results))


if __name__ == "__main__":
    worker(sys.argv[1], lambda name: print(name, file=sys.stderr, flush=True))
