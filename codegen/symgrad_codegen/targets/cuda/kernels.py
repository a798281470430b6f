"""Kernels of a pass: what their threads keep, each for itself, and how the sums of all threads are joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ...program import Accumulate, Assignment, Element, Fill, LoopRange, Nest
from ...reductions import REDUCTIONS
from ...text.arrays import elements_of, factor_text, loop_names, one_of_text, start_text
from ...text.expressions import affine_text, listed
from ...text.names import free
from .scope import DeviceScope, KernelText, Launch, array_type
from .segments import Segment, known_place
from .threads import Entry, Thread, Total, at_all_entries, is_joined


class Range(NamedTuple):
    """What a kernel is shared out over: a loop, or the product of several that know nothing of each other.

    In a pass the last one is that over the data, so that neighbouring threads have neighbouring data.
    """

    loops: tuple[LoopRange, ...]

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(loop.axis for loop in self.loops)

    @property
    def is_product(self) -> bool:
        return len(self.loops) > 1


class _Kept(NamedTuple):
    """What the threads of one kernel keep."""

    thread: Thread
    point: str  # the index that is shared out among the threads
    rows: tuple[str, ...]  # buffers in memory, a row for each thread


def alone(scope: DeviceScope, steps: Sequence[Nest | Assignment]) -> Launch:
    """Numbers and single entries: a kernel of one thread."""
    thread = Thread(scope)
    kernel, given = _kernel(scope, scope.free("alone"), thread.uses(steps), [], thread.lines(steps, "    "))
    return Launch(listed("    launch(", [kernel.name, "1", "1", scope.stream, *given], ")", "    "), kernel)


def shared_out(scope: DeviceScope, name: str, over: Range, segment: Segment, long: Collection[str]) -> Launch:
    """The kernel of one segment of a pass, and the lines that launch it and join its sums.

    `long` are the arrays along the data that are kept whole.
    """
    kept = _kept(scope, over, segment, long)
    bounds = [scope.count] if over.is_product else [scope.low, scope.stop]
    extra = [(bound, "types.int64") for bound in bounds]
    for total in kept.thread.totals:
        if total.place is None:
            extra.append((total.own, array_type("real", scope.rank(total.array) + 1)))
        extra.append((total.sums, array_type("real", 2)))
    uses = kept.thread.uses(segment.steps) | (loop_names(over.loops) if over.is_product else set())
    kernel, given = _kernel(scope, name, uses, extra, _body(scope, over, segment, kept, bounds))
    return Launch(_launch(scope, over, kept, kernel.name, given), kernel)


def low_text(loop: LoopRange) -> str:
    return one_of_text("builtins.max", loop.low)


def stop_text(loop: LoopRange) -> str:
    return one_of_text("builtins.min", tuple(form._replace(offset=form.offset + 1) for form in loop.high))


# --- what the threads keep --------------------------------------------------------------------------------------------


def _kept(scope: DeviceScope, over: Range, segment: Segment, long: Collection[str]) -> _Kept:
    elements = _elements(segment)
    entries: list[Entry] = []
    rows: list[str] = []
    for array, found in elements.items():
        data = scope.data(array)
        if data is None or array in long:
            continue
        places = [known_place(element, data) for element in found]
        known = {place for place in places if place is not None}
        if None in places or any(length.terms for length in scope.lengths(array)):
            rows.append(array)
        else:
            entries += [(array, place) for place in sorted(known)]
    sums, memories = _joined(scope, over, segment)
    held = [*entries, *sums]
    thread, *registers, point = free(["thread", *_register_names(held), "point"], scope.taken)
    here = dict(zip(held, registers, strict=True))
    # In the memory of the device first.
    owns = {array: scope.free(f"{array}_own") for array in memories}
    totals = [Total(kind, array, None, owns[array], scope.free(f"{array}_sums")) for array, kind in memories.items()]
    for (array, place), kind in sums.items():
        register = here[array, place]
        totals.append(Total(kind, array, place, register, scope.free(f"{register}_sums")))
    low = low_text(over.loops[-1]) if over.is_product else scope.low
    row = over.axes[-1] if low == "0" else f"{over.axes[-1]} - {factor_text(low)}"  # of the data, from 0 on
    lanes = {name: row if name in long else thread for name, own in scope.storages.items() if own.data is not None}
    own = Thread(scope, thread, over.axes, {entry: here[entry] for entry in entries}, tuple(totals), lanes)
    return _Kept(own, point if over.is_product else over.axes[0], tuple(rows))


def _elements(segment: Segment) -> dict[str, list[Element]]:
    """The arrays of a segment, and the entries of each."""
    found: dict[str, list[Element]] = {}
    for step in segment.steps:
        if isinstance(step, Fill):
            found.setdefault(step.array, [])
            continue
        for statement in step.body:
            for element in elements_of(statement):
                found.setdefault(element.array, []).append(element)
    return found


def _joined(scope: DeviceScope, over: Range, segment: Segment) -> tuple[Mapping[Entry, str], Mapping[str, str]]:
    """What several indices of the data add to, and how: entries whose places are known, and arrays all over."""
    joins: dict[str, list[Accumulate]] = {}
    for step in segment.steps:
        for statement in step.body if isinstance(step, Nest) else ():
            if isinstance(statement, Accumulate) and is_joined(scope, statement.target, over.axes):
                joins.setdefault(statement.target.array, []).append(statement)
    sums: dict[Entry, str] = {}
    memories: dict[str, str] = {}
    for array, statements in joins.items():
        places = [known_place(own.target) for own in statements]
        known = [place for place in places if place is not None]
        if len(known) == len(places):
            sums |= {(array, place): statements[0].kind for place in known}
        else:
            memories[array] = statements[0].kind
    return sums, memories


def _register_names(held: Sequence[Entry]) -> list[str]:
    """What entries are called in a thread: that which is the only one of its array without its place."""
    counts = Counter(array for array, _ in set(held))
    return [f"{array}_here" if counts[array] == 1 else "_".join([array, *map(str, place)]) for array, place in held]


# --- kernels ----------------------------------------------------------------------------------------------------------


def _kernel(
    scope: DeviceScope, name: str, uses: Collection[str], extra: Sequence[tuple[str, str]], body: Sequence[str]
) -> tuple[KernelText, list[str]]:
    """A kernel, and what it is given."""
    names = [own for own in scope.order() if own in uses]
    arguments = [*names, *(own for own, _ in extra)]
    types = [*map(scope.type, names), *(kind for _, kind in extra)]
    kernel = KernelText(name, types, [*listed(f"def {name}(", arguments, "):"), *body])
    return kernel, list(map(scope.given, arguments))


def _body(scope: DeviceScope, over: Range, segment: Segment, kept: _Kept, bounds: Sequence[str]) -> list[str]:
    """Each thread takes every so-many-th index, adds up what it finds, and hands that to its block."""
    thread, point = kept.thread, kept.point
    lines = ["    shared = cuda.shared.array(THREADS, real)"] if thread.totals else []
    lines.append(f"    {thread.name} = cuda.grid(1)")
    lines += [f"    {own.own} = {start_text(own.kind)}" for own in thread.totals if own.place is not None]
    for own in thread.totals:
        if own.place is None:
            line = f"{own.own}[{{}}] = {start_text(own.kind)}"
            lines += at_all_entries(_lengths(scope, own), "    ", line, thread.name)
    lines += [
        f"    {point} = {thread.name if over.is_product else f'{scope.low} + {thread.name}'}",
        f"    while {point} < {bounds[-1]}:",
        *(_indices(over, point) if over.is_product else []),
        *thread.lines(segment.steps, "        "),
        f"        {point} += cuda.gridsize(1)",
    ]
    for own in thread.totals:
        lines += _over_block(scope, own, thread.name)
    return lines


def _over_block(scope: DeviceScope, own: Total, thread: str) -> list[str]:
    """What the threads of a block have found, joined, and kept for the sum over all blocks."""
    kind = REDUCTIONS[own.kind].cuda
    if own.place is not None:
        return [f"    keep({own.sums}, 0, over_block({kind}, {own.own}, shared))"]
    lengths = _lengths(scope, own)
    flat = _flat(own.own, [f"entry_{place}" for place in range(len(lengths))])
    one = f"{own.own}[{{}}]"
    return at_all_entries(lengths, "    ", f"keep({own.sums}, {flat}, over_block({kind}, {one}, shared))", thread)


def _lengths(scope: DeviceScope, own: Total) -> list[str]:
    """The shape of an array of which each thread has its own."""
    return [f"{own.own}.shape[{place}]" for place in range(scope.rank(own.array))]


def _indices(over: Range, point: str) -> list[str]:
    """The indices of the loops at one point of their product, the last one first: neighbours are together."""
    lines, rest = [], point
    for number, loop in reversed(list(enumerate(over.loops))):
        count, low = _count(loop), low_text(loop)
        place = rest if number == 0 else f"{rest} % {count}"
        lines.append(f"        {loop.axis} = {place}{'' if low == '0' else f' + {low}'}")
        rest = f"{rest} // {count}"
    return lines


# --- the launch -------------------------------------------------------------------------------------------------------


def _launch(scope: DeviceScope, over: Range, kept: _Kept, name: str, given: Sequence[str]) -> list[str]:
    """Room for what each thread has in memory, and for the sums of the blocks; the kernel; and the sums of all."""
    totals, blocks = kept.thread.totals, scope.blocks
    rows = {array: scope.row_shape(scope.storages[array]) for array in kept.rows}
    numbers = [f"{scope.given(own.array)}.size" for own in totals if own.place is None]
    numbers += [" * ".join(shape) or "1" for shape in rows.values()]
    count = scope.count if over.is_product else f"{scope.stop} - {scope.low}"
    points = " * ".join(f"builtins.max(0, {_count(loop)})" for loop in over.loops) if over.is_product else ""
    lines = [f"    {count} = {points}"] if points else []
    lines += listed(f"    {blocks} = pass_blocks(", [count, " + ".join(numbers) or "0"], ")", "    ")
    for array, shape in rows.items():
        lines += scope.room(array, [*shape, f"{blocks} * THREADS"], scope.kind(array))
    for own in totals:
        whole, size = scope.given(own.array), "1"
        if own.place is None:
            size = f"{whole}.size"
            lines.append(f'    {own.own} = room({scope.stream}, "{own.own}", (*{whole}.shape, {blocks} * THREADS))')
        lines.append(f'    {own.sums} = room({scope.stream}, "{own.sums}", ({size}, {blocks}))')
    lines += listed("    launch(", [name, blocks, "THREADS", scope.stream, *given], ")", "    ")
    for own in totals:
        whole = scope.given(own.array)
        place = "0" if own.place is None else _flat(whole, list(map(str, own.place)))
        lines.append(f"    combine({REDUCTIONS[own.kind].cuda}, {own.sums}, {whole}, {place}, {scope.stream})")
    return lines


def _flat(array: str, places: Sequence[str]) -> str:
    """Where an entry stands in the memory of its array."""
    flat = places[0]
    for place, one in enumerate(places[1:], 1):
        flat = f"{flat if place == 1 else f'({flat})'} * {array}.shape[{place}] + {one}"
    return flat


def _count(loop: LoopRange) -> str:
    """How many indices a loop with one bound on each side has, as a factor."""
    low, high = loop.low[0], loop.high[0]
    stop = affine_text(high._replace(offset=high.offset + 1))
    return factor_text(stop) if not low.terms and not low.offset else f"({stop} - {factor_text(affine_text(low))})"
