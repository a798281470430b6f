"""The trace: the circuit at a point as a table, as words, and as plain data."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from ..tables import Cell, Shown, Table
from .explain import explain as explained
from .explain import findings as found_in
from .records import Summary, TracedCircuit, TracedGate, Value, shown

# What numbers and troubles look like in a terminal: as in the lecture, values green and gradients red.
_VALUE, _GRADIENT, _BAD = "green", "red", "bold yellow"
_ADDENDS = 4  # of a sum of gradients, how many are shown


class Trace(Shown, TracedCircuit):
    """The circuit at a point, gate by gate: prints as a table; `explain` tells how a gradient came about.

    Attributes:
        title: The formula of the expression.
        level: "gates", "elementary" or "entries", as for `Kernel.trace`.
        gates: Inputs, gates and conditions, in the order of the forward pass, inputs first.
        output: The number of the gate that computes the value.
        value: The value of the expression.
        gradient: Its derivatives as a kernel returns them: numbers, or arrays of the shapes of the inputs.
        unused: The inputs that the expression does not read.
        name: What the value is called, where it is one of several, an entry or a derivative; else empty.
        remark: Where the elementary gates lose what the compiled kernel does not; empty if nowhere.
    """

    def explain(self, name: str) -> str:
        """In words, how the gradient of an input came about, from the output back to it.

        Args:
            name: The input.

        Returns:
            The explanation, as lines of text.

        Raises:
            ValueError: There is no such input, or two have that name.
        """
        return explained(self, name)

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """What is wrong: gates in trouble, and gradients that vanish, explode or are no numbers; empty if nothing."""
        return tuple(found_in(self))

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
            "name": self.name,
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
        return Table(head, rows, self.heading, notes, left=frozenset((1, 2, 4, 7)))


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
