"""What runs a kernel, behind one interface: the host, or a device; the target says which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .arguments import Arguments
from .compiled import Compiled
from .device import DeviceRunner
from .host import HostRunner
from .sparsity import SparsityPattern


class Runner(Protocol):
    """Made of a `Compiled` record, whose statistics it completes: seconds of the build, and how the kernel runs."""

    arguments: Arguments
    module: Any  # the emitted one; None where the reference evaluator runs
    # Of plain numbers: value (several in a tuple) and derivatives. Raises TypeError, ValueError or OverflowError for
    # others. None: no such.
    point: Callable[..., Any] | None
    at_point: Callable[[Any, Sequence[float]], Any]  # of these two the result of a call

    @property
    def keywords(self) -> frozenset[str]:
        """What `run` takes by name beside `out`."""

    @property
    def run(self) -> Callable[..., Any]:
        """`run(values, out, **keywords)`: what a call returns, in the arrays of `out` if given."""

    @property
    def jitted(self) -> Any:
        """The function that other compiled code can call. Raises SymgradError where there is none."""

    def ptx(self, cc: tuple[int, int]) -> str:
        """The text for a GPU of that compute capability. Raises SymgradError on the host."""

    def evaluate(self, values: Sequence[Any]) -> list[Any]:
        """The outputs of the graph at one instance, in their order."""

    def matrix(self, values: Sequence[Any]) -> SparsityPattern:
        """The pattern of a result that is sparse, at some arguments."""

    def hold(self, position: int, value: Any) -> Any:
        """An argument as it is kept for many calls."""

    def on_host(self, value: Any) -> Any:
        """An argument or a result as NumPy has it."""


# Of the targets that run.
RUNNERS: dict[str, Callable[[Compiled], Runner]] = {"cpu": HostRunner, "cuda": DeviceRunner}
