"""From a lowered graph to a simplified one with its derivatives, to its program, and to the text of a target."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext

from symgrad_codegen.program import Program
from symgrad_codegen.targets import TARGETS

from . import verify
from .errors import UnsupportedExpression
from .evaluate.trials import Trial
from .graph.graph import Graph, no_collection
from .options import Options
from .schedule.schedule import schedule
from .stats import Stats
from .transform.derive import Wanted
from .transform.pipeline import PASSES


def passed(
    graph: Graph, wanted: Wanted, fired: Counter[str], seconds: dict[str, float], tried: Sequence[Trial] = ()
) -> dict[str, Graph]:
    """What comes out of each pass over a lowered graph, by the names of the results; `tried` are extents to verify at.

    The laws that fire are counted in `fired`, the seconds of each pass kept in `seconds`.
    """
    graphs: dict[str, Graph] = {}
    for step in PASSES:
        start = time.perf_counter()
        graph = graphs[step.result] = step.apply(graph, wanted, fired)
        seconds[step.name] = time.perf_counter() - start
        if verify.is_on():
            verify.verify_graph(graph, step.name, tried)
    return graphs


def source_of(
    graph: Graph, definition: Graph, options: Options, stats: Stats | None = None, is_alone: bool = False
) -> str:
    """The source for a simplified graph; how many statements it has and how long it took goes into `stats`.

    A module that `is_alone` says itself where the entries of a sparse derivative are.
    """
    with nullcontext() if stats is None else stats.timed("emit"), no_collection():
        program = program_of(graph, definition, options, is_alone)
        source = TARGETS[options.target].emit(program)
    if stats is not None:
        stats.write_program(program)
    return source


def body_of(graph: Graph, definition: Graph, options: Options) -> str:
    """The part of the source that is about the mathematics: without imports and fixed run-time text."""
    with no_collection():
        return TARGETS[options.target].body(program_of(graph, definition, options))


def program_of(graph: Graph, definition: Graph, options: Options, is_alone: bool = False) -> Program:
    """The program for a simplified graph; arguments as of `source_of`."""
    target = TARGETS[options.target]
    if graph.pattern is not None and not target.patterns:
        others = ", ".join(name for name, other in TARGETS.items() if other.patterns)
        raise UnsupportedExpression(
            f"the target {options.target!r} has no sparse derivatives of arrays; the targets {others} have them"
        )
    if not graph.over_points and not target.arrays:
        others = ", ".join(name for name, other in TARGETS.items() if other.arrays)
        raise UnsupportedExpression(
            f"the target {options.target!r} takes numbers, and has neither arrays nor sums of symbolic length; "
            f"the targets {others} have them"
        )
    program = schedule(
        graph,
        definition=definition,
        name=options.name,
        dtype=options.dtype,
        accuracy=options.accuracy,
        reserved=target.reserved(),
        with_bounds=target.checks,
        peels=target.peels,
        with_pattern=is_alone,
    )
    for bound in program.bounds:
        if bound.value is None:
            of = f"of axis {bound.axis} of {bound.array}" if bound.array else "of what is computed"
            raise UnsupportedExpression(
                f"the target {options.target!r} checks indices itself, and cannot say what an index {of} is made "
                "of; give it as an array of integers"
            )
    for function in program.functions:
        if not target.supports(function):
            others = ", ".join(name for name, other in TARGETS.items() if other.supports(function))
            raise UnsupportedExpression(
                f"the target {options.target!r} has no function {function.name}; the targets {others} have it"
            )
    if verify.is_on():
        verify.verify_program(program, definition)
    return program
