"""What a kernel is made of: one record, pickled as source and metadata."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from ..errors import SymgradError
from ..gates.table import GATES
from ..graph.graph import Graph
from ..graph.rows import graph_of, rows_of
from ..options import Options
from ..outputs import Outputs
from ..result import Gradient, gradient_class
from ..stats import Stats
from ..transform.derive import Derivative
from .results import Results

# A body beyond this many operations would keep Numba busy for more than about half a minute.
MAX_OPERATIONS = 6000


@dataclass(frozen=True, eq=False)
class Compiled:
    """Expressions and their derivatives on the way from the stages to a kernel.

    A pickle of it holds the source, which is run when a kernel is made of it: as with any pickle, read none from whom
    you would not run a program. It holds a checksum as well: a damaged one raises SymgradError.
    """

    args: tuple[sympy.Symbol, ...]
    outputs: Outputs
    wrt: tuple[sympy.Symbol, ...]
    derivative: Derivative
    is_single: bool  # wrt was one symbol: the gradient is that derivative itself
    # As lowered, with the user's own gates: what the circuit is drawn of. None where a pickle has lost these gates.
    written: Graph | None
    definition: Graph  # the graph as lowered, before any law: what a check measures against
    graph: Graph  # the simplified one, of values and derivatives
    options: Options
    # Called with a point, and what it is multiplied by: these are the last so many of the arguments. None: with all.
    given: int | None
    source: str | None  # None: too long to be compiled, the reference evaluator runs the graph
    stats: Stats  # the one thing here that is written later, as the kernel is built

    @property
    def has_arrays(self) -> bool:
        """Whether inputs are arrays by declaration; else the kernel runs over points."""
        return not self.graph.over_points

    def signature(self) -> str:
        """The call as one writes it."""
        return f"{self.options.name}({', '.join(symbol.name for symbol in self.args)})"

    @cached_property
    def gradient(self) -> type[Gradient]:
        """The class of its gradients, made of the derivatives in `wrt` order."""
        return gradient_class(self.wrt)

    @cached_property
    def results(self) -> Results:
        """What a call returns."""
        positions = [self.args.index(symbol) for symbol in self.wrt]
        return Results(self.outputs, self.graph, self.wrt, positions, self.derivative, self.is_single, self.options)

    def __reduce__(self) -> tuple[Any, ...]:
        """A checksum, and what it is of."""
        written = None if self.written is None else self.written.order()
        state = pickle.dumps(
            {
                "args": self.args,
                "outputs": self.outputs,
                "derivative": self.derivative,
                "wrt": self.wrt,
                "is_single": self.is_single,
                "options": self.options,
                "given": self.given,
                "stats": dict(self.stats),
                "source": self.source,
                "definition": rows_of(self.definition),
                # The user's own gates are functions, which a pickle does not hold.
                "complete": written is not None and all(GATES.get(node.gate.name) is node.gate for node in written),
                "graph": rows_of(self.graph),
            }
        )
        return _restored, (hashlib.sha256(state).hexdigest(), state)


def is_compiled(graph: Graph, stats: Stats) -> bool:
    """Whether Numba compiles the source; of long bodies over points the reference evaluator runs the graph."""
    return not graph.over_points or stats["operations"] <= MAX_OPERATIONS


def _restored(checksum: str, data: bytes) -> Compiled:
    if hashlib.sha256(data).hexdigest() != checksum:
        raise SymgradError("this pickle of a kernel is damaged: its checksum is another; make it again")
    state = pickle.loads(data)
    definition, is_complete = graph_of(state.pop("definition"), GATES), state.pop("complete")
    graph, stats = graph_of(state.pop("graph"), GATES), Stats(state.pop("stats"))
    return Compiled(
        written=definition if is_complete else None, definition=definition, graph=graph, stats=stats, **state
    )
