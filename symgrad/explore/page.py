"""The page: a circuit that computes in the browser and steps through backpropagation, in one file that stands alone.

What it computes is printed by the target `javascript` from the circuit's own graph: all values, local gradients,
upstream gradients and contributions. The drawing is Graphviz's; page_files/ holds the frame, its style and its script.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from ..emission import source_of
from ..errors import SymgradError
from ..options import Options
from ..tables import visible
from ..transform.simplify import simplify
from .circuit import Circuit
from .trace import Trace

# What tells a page of symgrad's from other files.
PAGE_MARK = '<meta name="generator" content="symgrad">'


def page(
    trace: Trace, picture: Callable[[], str], left_out: str, circuit: Circuit, values: Sequence[float], dtype: str
) -> str:
    """The page of a drawing, whose `picture()` is an SVG element: `values` are those of the inputs, in `args` order."""
    if not circuit.graph.over_points:
        raise SymgradError(
            "the page computes with numbers, and this circuit has arrays: draw it with level='entries', which writes "
            "small arrays out entry by entry"
        )
    parts = {
        "title": escape(visible(trace.heading)),
        "style": _file("page.css"),
        "drawing": picture(),
        "data": _json(_data(trace, left_out, circuit, values)),
        "arithmetic": _arithmetic(circuit, dtype),
        "script": "\n".join(map(_file, _SCRIPT)),
    }
    return _filled(_file("page.html"), parts)


# One block of JavaScript, by what it is about, in the order in which it stands in the page.
_SCRIPT = [f"page_{part}.js" for part in ("state", "numbers", "words", "drawing", "panel", "inputs")]


def _filled(text: str, parts: Mapping[str, str]) -> str:
    """The frame with its marks replaced: in one go, so that no part is searched for marks."""
    pieces = text.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        mark, rest = piece.split("}}", 1)
        filled += [parts[mark], rest]
    return "".join(filled)


@cache
def _file(name: str) -> str:
    return (Path(__file__).parent / "page_files" / name).read_text(encoding="utf-8")


def _json(data: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")


def _arithmetic(circuit: Circuit, dtype: str) -> str:
    """The module that computes every number of the circuit."""
    graph = circuit.graph.with_values(slot.view for slot in circuit.slots)
    options = Options("javascript", dtype, "strict")
    return source_of(simplify(graph, ("spelling",)), circuit.graph, options)


def _data(trace: Trace, left_out: str, circuit: Circuit, values: Sequence[float]) -> dict[str, Any]:
    gates = {step.node.position: number for number, step in enumerate(circuit.steps) if step.kind == "input"}
    return {
        "title": visible(trace.heading),
        "inputs": [
            {"name": visible(name), "gate": gates.get(position), "value": _number(values[position])}
            for position, name in enumerate(circuit.graph.inputs)
        ],
        "output": circuit.output,
        "gates": [
            {
                "kind": step.kind,
                "label": visible(step.label),
                "name": visible(step.name),
                "formula": visible(step.formula),
                "value": step.value,
                "gradient": step.gradient,
                "arguments": [
                    {
                        "gate": wire.source,
                        "local": wire.local,
                        "localFormula": visible(wire.local_formula),
                        "contribution": wire.contribution,
                    }
                    for wire in step.wires
                ],
                "troubles": [{"when": trouble.when, "reason": trouble.reason} for trouble in step.troubles],
            }
            for step in circuit.steps
        ],
        "leftOut": left_out,
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
