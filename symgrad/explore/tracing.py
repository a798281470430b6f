"""Tracing: from graphs and a point to the trace, by the reference evaluator; nothing has to be built for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..analysis.domains import Domains
from ..analysis.extents import Domain, numeric, with_derived
from ..errors import SymgradError
from ..evaluate.arithmetic import Floats
from ..evaluate.evaluation import Evaluation, Evaluator, evaluate
from ..graph.affine import Index
from ..graph.graph import Graph, no_collection
from ..transform.scalarise import entries
from .circuit import LEVELS as CIRCUIT_LEVELS
from .circuit import Circuit, Slot, circuit
from .records import TracedGate, TracedWire, Value, summarised
from .trace import Trace

_POINTS = Domain(())  # of a single point
# Entries of all arrays of a trace together: 8 bytes each.
MAX_TRACE = 200_000_000
# Gates of a circuit that is written out entry by entry.
MAX_ENTRIES = 20_000
# As those of circuit.py; and arrays written out entry by entry.
LEVELS = (*CIRCUIT_LEVELS, "entries")
_LOST = 1e-6  # relative to the largest result: beyond rounding, also of float32


class Setting(NamedTuple):
    """What a kernel computes, and where it is looked at."""

    written: Graph | None  # the graph as lowered, with the user's own gates; None where a pickle has lost these
    compiled: Graph
    dtype: str
    inputs: Sequence[Any]  # numbers, or arrays on the host, in `args` order
    sizes: Mapping[str, int]  # the extents of these arrays
    gradient: Callable[[Sequence[Any]], Any]  # of derivatives in `wrt` order: what the kernel returns
    name: str = ""  # what the value is called, where there are others


def trace(setting: Setting, level: str) -> Trace:
    """The trace at a point."""
    found = subject(setting, level)
    numbers = _computed(setting, found)
    suspects = _suspects(found.circuit, numbers)
    if suspects:
        found = found._replace(circuit=found.circuit.watched(suspects))
        numbers = _computed(setting, found)
    return _traced(setting, found, numbers, level)


def _suspects(made: Circuit, numbers: Sequence[Any]) -> list[int]:
    """The steps whose value or a local gradient is no finite number, but for those that were given NaN."""
    finite = [bool(np.all(np.isfinite(number))) for number in numbers]
    lost = [bool(np.all(np.isnan(numbers[step.value]))) for step in made.steps]
    return [
        number
        for number, step in enumerate(made.steps)
        if not (finite[step.value] and all(wire.local is None or finite[wire.local] for wire in step.wires))
        and not any(lost[wire.source] for wire in step.wires)
    ]


class Subject(NamedTuple):
    """What is looked at: the circuit, and the values of its inputs."""

    circuit: Circuit
    values: list[Any]


def subject(setting: Setting, level: str) -> Subject:
    """The circuit of a kernel: of its arrays, of their entries, or of numbers.

    Raises SymgradError for a kernel that has lost its own gates on the way through a pickle.
    """
    if setting.written is None:
        raise SymgradError(
            "this kernel was unpickled, and its own gates are not in the pickle: trace and draw it where it is compiled"
        )
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
    graph, point = setting.written, list(setting.inputs)
    wrt: Sequence[int] = setting.compiled.wrt
    with no_collection():
        if level == "entries" and not graph.over_points:
            _check_entries(graph, setting.sizes)
            graph, point, wrt = entries(graph, wrt, setting.inputs, setting.sizes)
        return Subject(circuit(graph, wrt, "gates" if level == "entries" else level), point)


def _check_entries(graph: Graph, sizes: Mapping[str, int]) -> None:
    domains = Domains(graph)
    sizes = with_derived(sizes, domains.derived)
    count = sum(_entries(domains.of[node], sizes) for node in graph.order())
    if count > MAX_ENTRIES:
        raise SymgradError(
            f"written out entry by entry this has some {count:,} gates and inputs, {MAX_ENTRIES:,} at most: take "
            "fewer rows of the data, or the level 'gates', which shows arrays as a whole"
        )


def traced_at(setting: Setting, subject: Subject, level: str) -> Trace:
    """The trace of a circuit, or of a part of one."""
    return _traced(setting, subject, _computed(setting, subject), level)


def _computed(setting: Setting, subject: Subject) -> list[Any]:
    """The numbers, or arrays, of all slots: the reference evaluator's."""
    made = subject.circuit
    if made.graph.over_points:
        views, sizes = [(slot.view, _POINTS) for slot in made.slots], setting.sizes
    else:
        domains = Domains(made.graph)
        views = [(slot.view, _domain(slot, domains)) for slot in made.slots]
        sizes = with_derived(setting.sizes, domains.derived)
    entries = sum(_entries(domain, sizes) for _, domain in views)
    if entries > MAX_TRACE:
        raise SymgradError(
            f"a trace keeps every array of the circuit: {entries:,} numbers here, {MAX_TRACE:,} at most; "
            "trace with fewer rows of the data"
        )
    return Evaluation(Evaluator(made.graph, views), subject.values, sizes, Floats(setting.dtype)).results()


def _lost(setting: Setting, found: Trace) -> str:
    """Whether the circuit as written overflows or cancels where the kernel, which knows stabler forms, does not."""
    with np.errstate(all="ignore"):
        exact, mine = (_flat(parts) for parts in (_compiled(setting), (found.value, *found.gradient)))
        scale = np.max(np.abs(exact[np.isfinite(exact)]), initial=0.0)
        same = (mine == exact) | (np.isnan(mine) & np.isnan(exact)) | (np.abs(mine - exact) <= _LOST * scale)
    if same.all():
        return ""
    return (
        f"computed in elementary gates this loses accuracy: the kernel, which knows stabler forms, has the value "
        f"{exact[0]:.6g}; level 'gates' shows how"
    )


def _flat(parts: Sequence[Any]) -> Any:
    return np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in parts])


def _compiled(setting: Setting) -> list[Any]:
    """Value and derivatives of the graph that was compiled, by the reference evaluator: nothing has to be built."""
    return evaluate(setting.compiled, setting.inputs, setting.sizes, setting.dtype)


def _domain(slot: Slot, domains: Domains) -> Domain:
    assert slot.over is not None
    return domains.of[slot.over] if slot.loops else domains.indices(slot.over)


def _entries(domain: Domain, sizes: Any) -> int:
    count = 1
    for bound in domain.bounds:
        assert bound is not None
        low, high = (numeric(form, sizes) if isinstance(form, Index) else 0 for form in bound)
        count *= max(high - low + 1, 0)
    return count


def _traced(setting: Setting, subject: Subject, numbers: Sequence[Any], level: str) -> Trace:
    made, values = subject.circuit, subject.values
    brief: Callable[[Any], Value] = summarised if not made.graph.over_points else lambda value: value.item()
    texts = [brief(number) for number in numbers]

    def of(slot: int | None) -> Value | None:
        return None if slot is None else texts[slot]

    gates = []
    for number, (step, readers) in enumerate(zip(made.steps, made.readers(), strict=True)):
        arriving = [(reader, of(made.steps[reader].wires[position].contribution)) for reader, position in readers]
        gates.append(
            TracedGate(
                number=number,
                kind=step.kind,
                operation=step.node.gate.name,
                label=step.label,
                name=step.name,
                formula=step.formula,
                value=texts[step.value],
                wires=tuple(
                    TracedWire(w.source, made.steps[w.source].name, w.local_formula, of(w.local), of(w.contribution))
                    for w in step.wires
                ),
                addends=tuple((reader, value) for reader, value in arriving if value is not None),
                gradient=of(step.gradient),
                troubles=tuple(
                    _reason(reason, numbers[when]) for when, reason in step.troubles if np.any(numbers[when])
                ),
            )
        )
    graph = made.graph
    used = {step.node.position: step for step in made.steps if step.kind == "input"}
    derivatives = []
    for position in graph.wrt:
        slot = used[position].gradient if position in used else None
        found = np.zeros(np.shape(values[position])) if slot is None else np.asarray(numbers[slot])
        derivatives.append(found if found.ndim else float(found))
    if level == "entries":
        derivatives = _together(setting, derivatives)
    traced = Trace(
        title=made.steps[made.output].formula,
        level=level,
        gates=tuple(gates),
        output=made.output,
        value=float(numbers[made.steps[made.output].value]),
        gradient=setting.gradient(derivatives),
        unused=tuple(name for position, name in enumerate(graph.inputs) if position not in used),
        name=setting.name,
    )
    return replace(traced, remark=_lost(setting, traced)) if level == "elementary" else traced


def _together(setting: Setting, derivatives: Sequence[Any]) -> list[Any]:
    """The derivatives by entries as arrays of the shapes of the inputs."""
    found, start = [], 0
    for position in setting.compiled.wrt:
        shape = np.shape(setting.inputs[position])
        count = int(np.prod(shape, dtype=np.int64))
        part = np.array(derivatives[start : start + count]).reshape(shape)
        found.append(part if shape else float(part))
        start += count
    return found


def _reason(reason: str, where: Any) -> str:
    """The reason, and at how many of the entries of an array."""
    count, hits = np.size(where), int(np.count_nonzero(where))
    return reason if np.ndim(where) == 0 else f"{reason} ({hits:,} of {count:,} entries)"
