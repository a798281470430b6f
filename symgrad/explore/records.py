"""Every gate of the circuit at a point, with its value, local gradients, upstream gradient and troubles.

The numbers are those of the reference evaluator, in the kernel's dtype. For kernels over arrays a number is the summary
of an array: its shape, norm, least and largest entry, and the shares of zeros and of entries that are not finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from ..result import Gradient

StepKind = Literal["input", "gate", "condition"]


class Summary(NamedTuple):
    """An array in a few numbers.

    Attributes:
        shape: How long it is along each axis.
        norm: The Euclidean norm; infinite or NaN where an entry is.
        least: The least of the entries that are finite; NaN where none is.
        largest: The largest of the entries that are finite; NaN where none is.
        zeros: The share of zeros, between 0 and 1.
        non_finite: The share of entries that are not finite, between 0 and 1.
    """

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
    """One argument of a gate: what it is called, the local gradient by it, and what it receives.

    Attributes:
        source: The number of the gate that it comes from.
        name: What that gate is called.
        local_formula: The formula of the local gradient.
        local: The local gradient; None where no gradient flows, and for operations on whole matrices.
        contribution: Upstream gradient times local gradient; None where no gradient flows.
    """

    source: int
    name: str
    local_formula: str
    local: Value | None
    contribution: Value | None


class TracedGate(NamedTuple):
    """A gate, input or condition at the point.

    Attributes:
        number: Its position in the order of the forward pass, from 0.
        kind: "input", "gate" or "condition".
        operation: Its row in the table of gates.
        label: What is written on it in a drawing.
        name: What it is called.
        formula: What it computes.
        value: What came out.
        wires: Its arguments, in order.
        addends: What arrives from each reader, by the number of the reader.
        gradient: The sum of the addends, which is the derivative of the output with respect to this gate; None where no
            gradient flows.
        troubles: What is wrong at this gate, in words.
    """

    number: int
    kind: StepKind
    operation: str
    label: str
    name: str
    formula: str
    value: Value
    wires: tuple[TracedWire, ...]
    addends: tuple[tuple[int, Value], ...]
    gradient: Value | None
    troubles: tuple[str, ...]


@dataclass(frozen=True)
class TracedCircuit:
    """The circuit at a point: what a Trace shows, where its fields are explained."""

    title: str
    level: str
    gates: tuple[TracedGate, ...]
    output: int
    value: float
    gradient: Gradient
    unused: tuple[str, ...]
    remark: str = ""
    name: str = ""

    @property
    def heading(self) -> str:
        """What is computed: f, what that is called where there are several, and its formula."""
        return " = ".join(filter(None, ["f", self.name, self.title]))


def shown(value: Value) -> str:
    """A number in six digits; the summary of an array."""
    if isinstance(value, (bool, Summary)):
        return str(value)
    return f"{value:.6g}"


def size_of(value: Value) -> float:
    """How large a number or an array is: its modulus or norm."""
    return value.norm if isinstance(value, Summary) else abs(float(value))


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
