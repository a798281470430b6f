"""The trace: every gate of the circuit at a point, with its value, local gradients, upstream gradient and troubles.

The numbers are those of the reference evaluator, in the kernel's dtype. For kernels over arrays a number is the summary
of an array: its shape, norm, least and largest entry, and the shares of zeros and of entries that are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .circuit import LEVELS as CIRCUIT_LEVELS
from .circuit import Circuit, Slot, circuit
from .domains import Domain, Domains, numeric, with_derived
from .entries import entries
from .errors import SymgradError
from .graph import Graph, Index, no_collection
from .interpret import evaluate
from .interpret_arrays import Evaluation
from .kernel import Gradient
from .tables import Cell, Table

if TYPE_CHECKING:
    from .kernel import Kernel

# Entries of all arrays of a trace together: 8 bytes each.
LARGEST_TRACE = 200_000_000
# Gates of a circuit that is written out entry by entry.
MOST_ENTRIES = 20_000
# As those of circuit.py; and arrays written out entry by entry.
LEVELS = (*CIRCUIT_LEVELS, "entries")
# What numbers and troubles look like in a terminal: as in the lecture, values green and gradients red.
_VALUE, _GRADIENT, _BAD = "green", "red", "bold yellow"
_LOST = 1e-6  # relative to the largest result: beyond rounding, also of float32
_ADDENDS = 4  # of a sum of gradients, how many are shown


class Summary(NamedTuple):
    """An array in a few numbers: the Euclidean norm, extremes of what is finite, and shares between 0 and 1."""

    shape: tuple[int, ...]
    norm: float
    least: float
    largest: float
    zeros: float
    non_finite: float

    def __str__(self) -> str:
        text = f"{self.shape} norm {self.norm:.4g}, {self.least:.3g} .. {self.largest:.3g}"
        if self.zeros:
            text += f", {self.zeros:.0%} zeros"
        return text + (f", {self.non_finite:.0%} not finite" if self.non_finite else "")


Value = float | bool | Summary


class TracedWire(NamedTuple):
    """One argument of a gate: what it is called, the local gradient by it, and what it receives."""

    source: int
    name: str
    local_formula: str
    local: Value | None  # None where no gradient flows; and for operations on whole matrices
    contribution: Value | None  # upstream gradient times local gradient; None where no gradient flows


class TracedGate(NamedTuple):
    """A gate, input or condition at the point."""

    number: int
    kind: str  # "input", "gate" or "condition"
    operation: str  # the gate's row in the table of gates
    label: str
    name: str
    formula: str
    value: Value
    wires: tuple[TracedWire, ...]
    addends: tuple[tuple[int, Value], ...]  # what arrives from each reader, by its number
    gradient: Value | None  # the sum of the addends: of the output with respect to this gate
    troubles: tuple[str, ...]


@dataclass(frozen=True)
class Trace:
    """The circuit at a point, gate by gate: prints as a table; `explain` tells how a gradient came about.

    `gates` are in the order of the forward pass, inputs first; `value` is the value of the expression, `gradient` its
    derivatives as a kernel returns them: numbers, or arrays of the shapes of the inputs.
    """

    title: str
    level: str  # "gates" or "elementary"
    gates: tuple[TracedGate, ...]
    output: int  # the gate that computes the value
    value: float
    gradient: Gradient
    unused: tuple[str, ...]  # inputs that the expression does not read
    remark: str = ""  # where the elementary gates lose what the compiled kernel does not

    def explain(self, name: str) -> str:
        """In words, how the gradient of the input `name` came about, from the output back to it."""
        from .explain import explain

        return explain(self, name)

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """What is wrong: gates in trouble, and gradients that vanish, explode or are no numbers; empty if nothing."""
        from .explain import findings

        return tuple(findings(self))

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data for JSON; numbers that are not finite are "nan", "inf", "-inf"."""
        gates = []
        for gate in self.gates:
            own = gate._asdict()
            own["value"], own["gradient"] = _plain(gate.value), _plain(gate.gradient)
            own["wires"] = [
                {**wire._asdict(), "local": _plain(wire.local), "contribution": _plain(wire.contribution)}
                for wire in gate.wires
            ]
            own["addends"] = [{"from": reader, "gradient": _plain(value)} for reader, value in gate.addends]
            own["troubles"] = list(gate.troubles)
            gates.append(own)
        return {
            "title": self.title,
            "level": self.level,
            "output": self.output,
            "value": _plain(self.value),
            "gradient": [
                {"by": symbol.name, "value": _plain_array(derivative)}
                for symbol, derivative in zip(self.gradient.wrt, self.gradient, strict=True)
            ],
            "unused": list(self.unused),
            "gates": gates,
            "findings": list(self.findings),
        }

    def table(self) -> Table:
        """The gates as a table of text."""
        rows = [
            (
                str(gate.number),
                gate.label,
                gate.formula if gate.name in (gate.formula, gate.label) else f"{gate.name} = {gate.formula}",
                Cell(shown(gate.value), _VALUE),
                _locals(gate),
                Cell(_addends(gate), _GRADIENT),
                Cell("" if gate.gradient is None else shown(gate.gradient), _GRADIENT),
                Cell("; ".join(gate.troubles), _BAD),
            )
            for gate in self.gates
        ]
        head = ("#", "gate", "formula", "value", "local gradients", "arrives", "gradient", "trouble")
        notes = [Cell(f"! {finding}", _BAD) for finding in self.findings]
        return Table(head, rows, f"f = {self.title}", notes, left=frozenset((1, 2, 4, 7)))

    def __str__(self) -> str:
        return str(self.table())

    def __rich__(self) -> Table:
        return self.table()

    def _repr_html_(self) -> str:
        return self.table().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def shown(value: Value) -> str:
    """A number in six digits; the summary of an array."""
    if isinstance(value, (bool, Summary)):
        return str(value)
    return f"{value:.6g}"


def size_of(value: Value) -> float:
    """How large a number or an array is: its modulus or norm."""
    return value.norm if isinstance(value, Summary) else abs(float(value))


def _locals(gate: TracedGate) -> str:
    return ", ".join(f"{wire.name}: {shown(wire.local)}" for wire in gate.wires if wire.local is not None)


def _addends(gate: TracedGate) -> str:
    if len(gate.addends) < 2:
        return ""
    texts = [shown(value) if not isinstance(value, Summary) else f"{value.norm:.4g}" for _, value in gate.addends]
    rest = len(texts) - _ADDENDS
    text = " + ".join(texts[:_ADDENDS] + ([f"{rest} more"] if rest > 0 else []))
    return text.replace("+ -", "- ")


def _plain(value: Value | None) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Summary):
        return {name: _plain(part) if isinstance(part, float) else list(part) for name, part in value._asdict().items()}
    return value if math.isfinite(value) else str(value)


def _plain_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain_array(part) for part in value]
    return _plain(float(value))


# --- making one -------------------------------------------------------------------------------------------------------


def trace(kernel: Kernel, values: Sequence[Any], level: str) -> Trace:
    """The trace of a kernel at `values`, in `args` order."""
    return traced_at(kernel, subject(kernel, values, level), level)


class Subject(NamedTuple):
    """What is looked at: the circuit, its inputs' values, and those that the kernel was given."""

    circuit: Circuit
    values: list[Any]
    given: Sequence[Any]


def subject(kernel: Kernel, values: Sequence[Any], level: str) -> Subject:
    """The circuit of a kernel at `values`: of its arrays, of their entries, or of numbers.

    Raises SymgradError for a kernel that has lost its own gates on the way through a pickle.
    """
    if kernel.written is None:
        raise SymgradError(
            "this kernel was unpickled, and its own gates are not in the pickle: trace and draw it where it is compiled"
        )
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
    graph, wrt, point = kernel.written, kernel.graph.wrt, list(values)
    with no_collection():
        if level == "entries" and graph.shapes is not None:
            given = [kernel._input(place, value) for place, value in enumerate(values)]  # type: ignore[attr-defined]
            sizes = kernel._shapes_of(given).sizes  # type: ignore[attr-defined]
            _check_entries(graph, sizes)
            graph, point, wrt = entries(graph, wrt, [kernel._on_host(array) for array in given], sizes)  # type: ignore
        return Subject(circuit(graph, wrt, "gates" if level == "entries" else level), point, values)


def _check_entries(graph: Graph, sizes: Mapping[str, int]) -> None:
    domains = Domains(graph)
    sizes = with_derived(sizes, domains.derived)
    count = sum(_entries(domains.of[node], sizes) for node in graph.order())
    if count > MOST_ENTRIES:
        raise SymgradError(
            f"written out entry by entry this has some {count:,} gates and inputs, {MOST_ENTRIES:,} at most: take "
            "fewer rows of the data, or the level 'gates', which shows arrays as a whole"
        )


def traced_at(kernel: Kernel, subject: Subject, level: str) -> Trace:
    """The trace of a circuit of the kernel, or of a part of one."""
    compute = _numbers if subject.circuit.graph.shapes is None else _numbers_over_arrays
    found = _traced(kernel, subject, compute(kernel, subject), level)
    return replace(found, remark=_lost(kernel, found, subject.given)) if level == "elementary" else found


def _lost(kernel: Kernel, found: Trace, values: Sequence[Any]) -> str:
    """Whether the circuit as written overflows or cancels where the kernel, which knows stabler forms, does not."""
    result = kernel(*values)
    derivatives = (result.grad,) if kernel._single else result.grad
    exact = np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in (result.value, *derivatives)])
    mine = np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in (found.value, *found.gradient)])
    with np.errstate(all="ignore"):
        scale = np.max(np.abs(exact[np.isfinite(exact)]), initial=0.0)
        same = (mine == exact) | (np.isnan(mine) & np.isnan(exact)) | (np.abs(mine - exact) <= _LOST * scale)
    if same.all():
        return ""
    return (
        f"computed in elementary gates this loses accuracy: the kernel, which knows stabler forms, has the value "
        f"{result.value:.6g}; level 'gates' shows how"
    )


def _numbers(kernel: Kernel, subject: Subject) -> list[Any]:
    """The numbers of all slots at one point."""
    made, dtype = subject.circuit, np.dtype(kernel._dtype)
    point = [dtype.type(value) for value in _one_point(made, subject.values)]
    found = evaluate([slot.view for slot in made.slots], point, dtype)
    return [
        bool(number) if slot.view.node.kind == "boolean" else float(number)
        for slot, number in zip(made.slots, found, strict=True)
    ]


def _one_point(made: Circuit, values: Sequence[Any]) -> list[float]:
    for name, value in zip(made.graph.inputs, values, strict=True):
        if np.ndim(value):
            raise TypeError(f"{name} is an array of shape {np.shape(value)}: a trace is of one point")
        if isinstance(value, (complex, np.complexfloating)):
            raise TypeError(f"{name} is complex: real numbers wanted")
    return [float(value) for value in values]


def _numbers_over_arrays(kernel: Any, subject: Subject) -> list[Any]:
    """The arrays of all slots."""
    made = subject.circuit
    given = [kernel._input(place, value) for place, value in enumerate(subject.values)]
    sizes, arrays = kernel._shapes_of(given).sizes, [kernel._on_host(array) for array in given]
    domains = Domains(made.graph)
    views = [(slot.view, _domain(slot, domains)) for slot in made.slots]
    sizes = with_derived(sizes, domains.derived)
    entries = sum(_entries(domain, sizes) for _, domain in views)
    if entries > LARGEST_TRACE:
        raise SymgradError(
            f"a trace keeps every array of the circuit: {entries:,} numbers here, {LARGEST_TRACE:,} at most; "
            "trace with fewer rows of the data"
        )
    ready = [np.asarray(a) if i in made.graph.integers else np.asarray(a, kernel._dtype) for i, a in enumerate(arrays)]
    return Evaluation.of_views(made.graph, views, ready, sizes, kernel._dtype)


def _domain(slot: Slot, domains: Domains) -> Domain:
    assert slot.over is not None
    return domains.of[slot.over] if slot.loops or slot.over not in domains.own else domains.own[slot.over]


def _entries(domain: Domain, sizes: Any) -> int:
    count = 1
    for bound in domain.bounds:
        assert bound is not None
        low, high = (numeric(form, sizes) if isinstance(form, Index) else 0 for form in bound)
        count *= max(high - low + 1, 0)
    return count


def _summary(value: Any) -> Value:
    """A number as it is, an array in a few numbers."""
    array = np.asarray(value)
    if array.ndim == 0:
        return bool(array) if array.dtype.kind == "b" else float(array)
    numbers = np.asarray(array, np.float64)
    finite = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return Summary(array.shape, 0.0, math.nan, math.nan, 0.0, 0.0)
    largest = float(np.max(np.abs(finite), initial=0.0))
    with np.errstate(all="ignore"):  # relative to the largest entry: squares of large numbers overflow
        norm = largest * float(np.sqrt(np.sum((finite / largest) ** 2))) if largest else 0.0
    return Summary(
        array.shape,
        norm if finite.size == numbers.size else math.nan if np.isnan(numbers).any() else math.inf,
        float(finite.min()) if finite.size else math.nan,
        float(finite.max()) if finite.size else math.nan,
        float(np.mean(numbers == 0)),
        1 - finite.size / numbers.size,
    )


def _traced(kernel: Kernel, subject: Subject, numbers: Sequence[Any], level: str) -> Trace:
    made, values = subject.circuit, subject.values
    brief: Callable[[Any], Value] = _summary if made.graph.shapes is not None else lambda value: value
    texts = [brief(number) for number in numbers]

    def of(place: int | None) -> Value | None:
        return None if place is None else texts[place]

    gates = []
    for number, (step, readers) in enumerate(zip(made.steps, made.readers(), strict=True)):
        arriving = [(reader, of(made.steps[reader].wires[place].contribution)) for reader, place in readers]
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
    used = {step.node.attribute: step for step in made.steps if step.kind == "input"}
    derivatives = []
    for position in graph.wrt:
        place = used[position].gradient if position in used else None
        found = np.zeros(np.shape(values[position])) if place is None else np.asarray(numbers[place])
        derivatives.append(found if found.ndim else float(found))
    if level == "entries":
        derivatives = _together(kernel, subject, derivatives)
    return Trace(
        title=made.steps[made.output].formula,
        level=level,
        gates=tuple(gates),
        output=made.output,
        value=float(numbers[made.steps[made.output].value]),
        gradient=kernel._gradient(derivatives),
        unused=tuple(name for position, name in enumerate(graph.inputs) if position not in used),
    )


def _together(kernel: Kernel, subject: Subject, derivatives: Sequence[Any]) -> list[Any]:
    """The derivatives by entries as arrays of the shapes of the inputs."""
    found, start = [], 0
    for position in kernel.graph.wrt:
        shape = np.shape(subject.given[position])
        count = int(np.prod(shape, dtype=np.int64))
        part = np.array(derivatives[start : start + count]).reshape(shape)
        found.append(part if shape else float(part))
        start += count
    return found


def _reason(reason: str, where: Any) -> str:
    """The reason, and at how many of the entries of an array."""
    count, hits = np.size(where), int(np.count_nonzero(where))
    return reason if np.ndim(where) == 0 else f"{reason} ({hits:,} of {count:,} entries)"
