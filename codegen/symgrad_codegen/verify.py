"""The verifier of programs: a program is run on marks instead of numbers, at small extents, before a target prints it.

Every entry of every array has a mark: when it was filled. Loops are run as they stand, all iterations of a statement at
once, so that each read is compared with what was written before it: nothing is read that no step fills, nothing is
read or written outside of an array, what parts of a pass do at the same time is disjoint or accumulated, and gradients
are written in whole. Integers are computed, so that conditions on indices and computed indices are what they will be;
of other numbers only this is known: whether they are made of filled entries. What stands behind a condition that does
not hold may be made of anything, as long as it is read inside of its array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .marks import NEVER, Argument, BrokenProgram, Marks, Memory, Value, unfilled
from .program import (
    Accumulate,
    Assignment,
    Element,
    Fill,
    Matrix,
    Nest,
    Operand,
    Pass,
    Product,
    Program,
    Read,
    Statement,
    Step,
    Store,
)
from .reductions import REDUCTIONS
from .text.expressions import expression_text
from .text.points import with_entries

# Trials with more iterations than this in one nest are left out: extents that are large numbers.
_LARGEST = 200_000


class _TooLarge(Exception):
    """A trial that would take too long."""


def verify(program: Program, trials: Sequence[Sequence[Argument]] = ()) -> None:
    """Raises BrokenProgram where a program breaks a rule, run with the arguments of each trial."""
    looped = with_entries(program)
    for trial in trials:
        try:
            _run(Memory(looped, trial))
        except _TooLarge:
            continue


def _run(run: Memory) -> None:
    """The whole program."""
    run.begin()
    for step in run.program.steps:
        _step(run, step)
    run.clock += 1
    run.where, run.now = "the value", run.clock
    for name in run.program.numbers:
        spoilt = run.spoilt(Read(name), run.value(Read(name)))
        if spoilt:
            raise BrokenProgram(spoilt)
    for name, output in run.program.results.items():
        run.where = f"the {'gradient' if output.by else 'value'} {name}"
        _filled(run, name, run.arrays[name].filled)


def _filled(run: Memory, name: str, times: Any) -> None:
    """An array, or a part of it, is filled by now."""
    if (times >= run.clock).any():
        missing = ", ".join(map(str, np.argwhere(times >= run.clock)[0]))
        raise BrokenProgram(run.arrays[name].spoilt or run.told(f"{name}[{missing}] is not filled"))


# --- steps --------------------------------------------------------------------------------------------------------


def _step(run: Memory, step: Step) -> None:
    run.clock += 1
    run.now, run.where = run.clock, getattr(step, "name", "") or type(step).__name__.lower()
    if isinstance(step, Assignment):
        _assign(run, step, run.value(step.value))
    elif isinstance(step, Fill):
        _fill(run, step)
    elif isinstance(step, Nest):
        _nest(run, step)
    elif isinstance(step, Product):
        _product(run, step)
    elif isinstance(step, Matrix):
        _matrix(run, step)
    else:
        _pass(run, step)


def _assign(run: Memory, statement: Assignment, value: Value) -> None:
    if statement.name in run.arrays:
        run.breach(f"{statement.name} is an array, and the name of a number")
    run.numbers[statement.name] = value
    run.made[statement.name] = statement.value


def _fill(run: Memory, step: Fill) -> None:
    marks = run.written(step.array)
    if run.in_pass is not None and marks.data is None:
        run.breach(f"{step.array} is filled in a pass: again and again")
    marks.filled[...] = run.clock
    marks.start, marks.joined = step.value, None
    if marks.numbers is not None:
        marks.numbers[...] = step.value


def _pass(run: Memory, step: Pass) -> None:
    run.in_pass, run.span = step, range(run.affine(step.low), run.affine(step.high) + 1)
    for storage in run.program.storages:
        if storage.data is not None:
            shape = run.shape(storage)
            shape[storage.data] = len(run.span)
            run.arrays[storage.name] = unfilled(shape, storage.kind, storage.data)
    for kind, array in step.accumulated:
        marks = run.written(array)
        if marks.data is None and marks.start != REDUCTIONS[kind].start and marks.joined != kind:
            run.breach(f"the {kind} in {array} does not start from {REDUCTIONS[kind].start}")
    for marks in run.arrays.values():
        if marks.data is None and not marks.is_input:
            marks.writer = np.full(marks.filled.shape, -1)
    run.open = accumulated = frozenset(array for _, array in step.accumulated)
    for inner in step.steps:
        _step(run, inner)
        run.open = accumulated
    for kind, array in step.accumulated:
        run.arrays[array].start, run.arrays[array].joined = None, kind
    for marks in run.arrays.values():
        marks.writer = None
    run.in_pass, run.open = None, frozenset()


def _nest(run: Memory, nest: Nest) -> None:
    outer, length = dict(run.numbers), len(nest.body) + 1
    count = 1
    own: dict[str, Any] = {}
    for loop in nest.loops:
        lows = [run.affine(form) for form in loop.low]
        highs = [run.affine(form) for form in loop.high]
        low, high = np.max(np.broadcast_arrays(*lows), 0), np.min(np.broadcast_arrays(*highs), 0)
        lengths = np.broadcast_to(np.maximum(high - low + 1, 0), count)
        before = np.repeat(np.arange(count), lengths)
        starts = np.cumsum(lengths) - lengths
        own = {name: at[before] for name, at in own.items()}
        own[loop.axis] = np.arange(len(before)) - starts[before] + np.broadcast_to(low, count)[before]
        count = len(before)
        _limit(count)
        run.numbers.update({name: Value(True, at) for name, at in own.items()})
    times = np.arange(count) * length
    _limit(count * max(1, len(run.span)) if run.in_pass else count)
    if run.in_pass is not None:
        data = len(run.span)
        run.numbers.update({name: Value(True, np.repeat(at, data)) for name, at in own.items()})
        run.numbers[run.in_pass.axis] = Value(True, np.tile(np.array(run.span, int), count))
        times = np.repeat(times, data)
        count *= data
    sums = {statement.target.array for statement in nest.body if isinstance(statement, Accumulate)}
    run.open |= sums
    made, run.made, run.count = run.made, dict(run.made), count
    stores = {statement.target.array for statement in nest.body if isinstance(statement, Store)}
    run.changing = frozenset(stores | sums) if count else frozenset()
    run.watched = {name: [] for name in stores if (run.array(name).filled < run.clock).any()}
    for place, statement in enumerate(nest.body if count else ()):
        run.now = run.clock + times + place
        _statement(run, statement)
    run.clock += int(times[-1]) + length if count else 1
    run.numbers, run.count, run.made, run.open = outer, 1, made, run.open - sums


def _limit(count: int) -> None:
    if count > _LARGEST:
        raise _TooLarge


def _statement(run: Memory, statement: Statement) -> None:
    value = run.value(statement.value)
    if isinstance(statement, Assignment):
        _assign(run, statement, value)
        return
    target, kind = statement.target, None if isinstance(statement, Store) else statement.kind
    marks = run.written(target.array)
    places, inside = run.places(target, marks)
    if kind is None:
        if target.clamped or any(place is None for place in places):
            run.breach(f"{target.array} is stored to at a place that is not known")
        if target.array in run.open:
            run.breach(f"{target.array} is stored to while it is accumulated")
        _mark(run, target, marks, places)
        _spoil(run, statement, marks, places, value)
        if marks.numbers is not None:
            marks.numbers[run.entries(places)] = np.nan if value.number is None else value.number
        return
    outside = ~np.asarray(inside)
    if np.any(outside & (value.number is None or value.number != REDUCTIONS[kind].start)):
        run.breach(f"a term is added to {expression_text(target, 'float64')}, which is not there", outside)
    late = run.at(marks.filled, places) >= run.now
    if np.any(late):
        run.breach(f"{expression_text(target, 'float64')} is accumulated before it is filled", late)
    _spoil(run, statement, marks, places, value._replace(good=value.good | outside))
    if marks.data is None and run.in_pass and (kind, target.array) not in run.in_pass.accumulated:
        run.breach(f"{target.array} is accumulated in a pass that does not join its parts")
    if marks.start not in (None, REDUCTIONS[kind].start):
        run.breach(f"the {kind} in {target.array} starts from {marks.start}")
    if marks.numbers is not None:
        marks.numbers[...] = np.nan


def _spoil(run: Memory, statement: Store | Accumulate, marks: Marks, places: list[Any], value: Value) -> None:
    """An entry that is made of what is not filled is not filled itself: it may be, where nothing reads it."""
    spoilt = run.spoilt(statement.value, value)
    if spoilt:
        marks.spoilt = marks.spoilt or spoilt
        bad = ~np.broadcast_to(value.good, run.count)
        is_known = all(place is not None for place in places)
        marks.filled[tuple(at[bad] for at in run.entries(places)) if is_known else ...] = NEVER


def _mark(run: Memory, target: Element, marks: Marks, places: list[Any]) -> None:
    at = run.entries(places)
    for read in run.watched.get(target.array, ()):
        writer = np.full(marks.filled.shape, -1)
        writer[at] = np.arange(run.count)
        other = (writer[read] != -1) & (writer[read] != np.arange(run.count))
        if other.any():
            run.breach(f"{target.array} is read in a nest that writes another value in its place", other)
    if marks.writer is not None:
        data, before = run.affine(run.data_index), marks.writer[at]
        marks.writer[at] = data
        twice = (marks.writer[at] != data) | ((before != -1) & (before != data))
        if twice.any():
            run.breach(f"{expression_text(target, 'float64')} is written for several indices of the data", twice)
    np.minimum.at(marks.filled, at, run.now)
    marks.start = marks.joined = None


# --- whole arrays -------------------------------------------------------------------------------------------------


def _product(run: Memory, step: Product) -> None:
    lengths: dict[str, int] = {}
    parts = [_operand(run, own, lengths) for own in (step.left, step.right)]
    run.written(step.target.array)
    target = _operand(run, step.target, lengths)
    factors = {frozenset(own.axes) for own in (step.left, step.right)}
    wanted = {frozenset((step.row, step.inner)), frozenset((step.inner, step.column))}
    if factors != wanted or set(step.target.axes) != {step.row, step.column}:
        run.breach(f"{step.target.array} is no product of {step.left.array} and {step.right.array}")
    for own, part in zip((step.left, step.right), parts, strict=True):
        marks = run.arrays[own.array]
        is_written = marks.writer is not None and (marks.writer != -1).any()
        if own.array in run.open or is_written:
            run.breach(f"{own.array} is read while it is made")
        _filled(run, own.array, part)
    if step.adds != (step.target.array in run.open):
        run.breach(f"{step.target.array} is accumulated, or not, against what the pass says of it")
    if run.in_pass and not step.adds and run.in_pass.axis not in step.target.axes:
        run.breach(f"{step.target.array} is written for several indices of the data")
    target[...] = run.clock
    run.arrays[step.target.array].start = None


def _operand(run: Memory, own: Operand, lengths: dict[str, int]) -> Any:
    """The marks of a whole array, or of the rows of the pass; `lengths` are those of its axes elsewhere."""
    marks = run.array(own.array)
    found = marks.filled
    if len(own.axes) != found.ndim:
        run.breach(f"{own.array} has {found.ndim} axes, and is read along {', '.join(own.axes)}")
    for place, axis in enumerate(own.axes):
        is_data = run.in_pass is not None and axis == run.in_pass.axis
        if (marks.data == place) is not is_data and marks.data is not None:
            run.breach(f"{own.array} is read along {axis} where its rows are")
        if is_data and marks.data is None:
            if run.span and (run.span.start < 0 or run.span.stop > found.shape[place]):
                run.breach(f"{own.array} has {found.shape[place]} rows, and is read at {run.span}")
            rows = slice(run.span.start, run.span.stop) if run.span else slice(0, 0)
            found = found[(slice(None),) * place + (rows,)]
        if lengths.setdefault(axis, found.shape[place]) != found.shape[place]:
            run.breach(f"{own.array} has the length {found.shape[place]} along {axis}, not {lengths[axis]}")
    return found


def _matrix(run: Memory, step: Matrix) -> None:
    target = run.written(step.target)
    shapes = []
    for name in step.arguments:
        _filled(run, name, run.array(name).filled)
        shapes.append(run.arrays[name].filled.shape)
    size = shapes[0][:1]
    wanted = {"inverse": size * 2, "solve": shapes[-1]}.get(step.function, (1,))
    if shapes[0] != size * 2 or shapes[-1][:1] != size or target.filled.shape != wanted:
        run.breach(f"{step.function} of shapes {shapes} into {step.target} of shape {target.filled.shape}")
    target.filled[...] = run.clock
    target.start = target.joined = None
