"""The trace: every gate of the circuit at a point, with its value, local gradients, upstream gradient and troubles.

The numbers are those of the reference evaluator, in the kernel's dtype. For kernels over arrays a number is the summary
of an array: its shape, norm, least and largest entry, and the shares of zeros and of entries that are not finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .kernel import Gradient
from .tables import Cell, Table

# What numbers and troubles look like in a terminal: as in the lecture, values green and gradients red.
_VALUE, _GRADIENT, _BAD = "green", "red", "bold yellow"
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


def summarised(value: Any) -> Value:
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
