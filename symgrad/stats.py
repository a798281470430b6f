"""What a kernel costs and how it runs: `kernel.stats`, all of which is written here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from symgrad_codegen.program import Pass, Program

from .graph.graph import Graph, operations


class Stats(dict[str, Any]):
    """A dictionary, filled as an expression goes through the stages; docs/reference/python.md lists what is in it."""

    @classmethod
    def of(cls, graph: Graph, laws: Mapping[str, int], seconds: Mapping[str, float]) -> Stats:
        """What is known of the simplified graph, the laws that fired on the way to it, and the stages up to there."""
        computed = [node for node in graph.order() if node.arguments and not node.fixed]
        value, both = operations(node for node in computed if node in graph.forward), operations(computed)
        return cls(
            operations_value=value,
            operations=both,
            ratio=both / value if value else 1.0,
            nodes=len(graph.order()),
            laws=dict(laws),
            **_of_families(graph),
            statements=None,  # known once the source is made
            seconds=dict(seconds),
        )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Keeps the seconds that a stage takes."""
        start = time.perf_counter()
        yield
        self["seconds"][stage] = time.perf_counter() - start

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Adds to the seconds of a stage that comes in parts."""
        self["seconds"][stage] = self["seconds"].get(stage, 0.0) + seconds

    def write_program(self, program: Program) -> None:
        """Keeps what is known of a program: how many statements, and of arrays along which axis it streams."""
        self["statements"] = len(program.body)
        if not program.over_points:
            self["data"] = next((step.axis for step in program.steps if isinstance(step, Pass)), None)

    def write_runs(self, how: str) -> None:
        """Keeps what runs the kernel."""
        self["runs"] = how


def _of_families(graph: Graph) -> dict[str, int]:
    """Of a sparse derivative: how many families of entries there are, and how many of these are whole blocks of it."""
    if graph.pattern is None:
        return {}
    are_dense = []
    for _, row, column, _ in graph.pattern.told():
        rows, columns = ({axis for view in side for axis in view.axes} for side in (row, column))
        are_dense.append(bool(rows and columns) and rows.isdisjoint(columns))
    return {"families": len(are_dense), "dense_families": sum(are_dense)}
