"""The drawing: the circuit as people draw it, left to right, values green above the wires and gradients red below.

    name ──[value / gradient]──▶ (gate) ──[value / gradient]──▶ ...

Each wire is a node of its own that holds the two numbers, so that Graphviz keeps room for them and nothing overlaps. A
gate that is read several times is drawn once; what it receives from each reader then stands at the branches. The DOT
text needs nothing; the layout takes Graphviz, which the extra `draw` brings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from ..errors import SymgradError
from ..tables import visible
from .circuit import Circuit
from .page import page
from .records import Summary, TracedGate, Value
from .trace import Trace
from .tracing import Setting, subject, traced_at

# Beyond this many gates and inputs nobody reads a drawing.
MAX_GATES = 120
_NAME = 28  # characters of a name
_VALUE, _GRADIENT, _LINE, _TROUBLE = "#0a7d33", "#c62828", "#444444", "#b35900"
_WIDTH = 64  # of a wire with numbers, in points: nine characters
_FONT = "Helvetica,Arial,sans-serif"


@dataclass(frozen=True)
class Drawing:
    """A circuit at a point, drawn: `dot`, `svg` and `html` are texts; Jupyter shows the picture.

    Attributes:
        trace: The numbers at the point.
        left_out: What is not drawn, in words; empty if everything is.
    """

    trace: Trace
    left_out: str
    _page: Callable[[Callable[[], str]], str]  # of what lays the picture out

    @cached_property
    def dot(self) -> str:
        """The circuit in the language of Graphviz."""
        return _dot(self.trace, self.left_out)

    @cached_property
    def svg(self) -> str:
        """The picture.

        Raises:
            SymgradError: Graphviz is missing, which the extra `draw` brings.
        """
        return _titled(_laid_out(self.dot), self.trace)

    @cached_property
    def html(self) -> str:
        """A page that stands alone: the circuit with fields for its inputs, and the two passes step by step.

        Raises:
            SymgradError: Graphviz is missing; or the expression has arrays.
        """
        return self._page(lambda: self.svg)

    def save(self, file: str | Path) -> None:
        """Writes the drawing to a file.

        Args:
            file: The path, whose ending says what is written: .svg, .dot (or .gv) or .html.

        Raises:
            ValueError: The path has another ending.
            SymgradError: Graphviz is missing; or a page is asked for, and the expression has arrays.
        """
        from symgrad_codegen.run.build import write_atomically

        path = Path(file)
        texts = {
            ".svg": lambda: self.svg,
            ".dot": lambda: self.dot,
            ".gv": lambda: self.dot,
            ".html": lambda: self.html,
        }
        if path.suffix not in texts:
            raise ValueError(f"{path.name}: a drawing is written as {', '.join(texts)}")
        write_atomically(path, texts[path.suffix]())

    def _repr_svg_(self) -> str | None:
        try:
            # Black text, and notebooks may be dark.
            return self.svg.replace("<svg ", '<svg style="background: white" ', 1)
        except SymgradError:  # no Graphviz: the text below is shown
            return None

    def __repr__(self) -> str:
        more = f"; {self.left_out}" if self.left_out else ""
        return f"<symgrad drawing of {visible(self.trace.title)}, {len(self.trace.gates)} gates and inputs{more}>"


def brief(value: Value) -> str:
    """A number in at most nine characters, as one writes it on a wire: two decimals where that says enough."""
    if isinstance(value, Summary):
        return f"‖{brief(value.norm)}‖"
    if isinstance(value, bool):
        return "true" if value else "false"
    size = abs(value)
    if not math.isfinite(size):
        return str(value)
    if size == 0 or 0.1 <= size < 100_000:
        return f"{value + 0.0:.2f}"
    if 0.001 <= size < 0.1:
        return f"{value:.{1 - math.floor(math.log10(size))}f}"
    return f"{value:.1e}"


# --- DOT --------------------------------------------------------------------------------------------------------------


def _dot(trace: Trace, left_out: str) -> str:
    """The text of the graph. All labels are HTML-like, so that every name can be escaped."""
    lines = [
        "digraph circuit {",
        f'    graph [rankdir=LR, bgcolor=transparent, fontname="{_FONT}", fontsize=11, fontcolor="{_LINE}",',
        "           nodesep=0.25, ranksep=0.3, outputorder=edgesfirst" + (_caption(left_out) if left_out else "") + "]",
        f'    node [fontname="{_FONT}", fontsize=13, color="{_LINE}", margin="0.05,0.03"]',
        f'    edge [fontname="{_FONT}", fontsize=10, color="{_LINE}", arrowsize=0.6]',
    ]
    for gate in trace.gates:
        lines += _gate(gate)
    for gate in trace.gates:
        for position, wire in enumerate(gate.wires):
            ends = f'"wire-{wire.source}":e -> "gate-{gate.number}"'
            extra = ", style=dashed" if wire.contribution is None else ""
            if wire.contribution is not None and len(trace.gates[wire.source].addends) > 1:
                extra = f", label=<{_coloured(brief(wire.contribution), _GRADIENT)}>"
            lines.append(f'    {ends} [id="edge-{gate.number}-{position}", class="edge"{extra}]')
    lines += [
        '    "output" [id="output", class="name", shape=plaintext, width=0, label=<<i>f</i>>]',
        f'    "wire-{trace.output}":e -> "output" [id="edge-output", class="edge"]',
        "}",
    ]
    return "\n".join(lines) + "\n"


def _caption(text: str) -> str:
    return f", label=<{_text(text, 400)}>, labelloc=b"


def _gate(gate: TracedGate) -> list[str]:
    """A gate, the wire behind it, and what joins them."""
    name, wire = f"gate-{gate.number}", f"wire-{gate.number}"
    classes, extra = f"gate {gate.kind}", ""
    if gate.troubles:
        classes += " trouble"
        extra = f', color="{_TROUBLE}", style="dashed", penwidth=2'
    is_round = len(gate.label) <= 4
    shape = "plaintext" if gate.kind == "input" else "circle" if is_round else "box"
    if gate.kind != "input" and not is_round and not gate.troubles:
        extra = ", style=rounded"
    width = "width=0.45" if shape == "circle" else "height=0.35, width=0.3"
    gradient = "" if gate.gradient is None else brief(gate.gradient)
    rows = f"{_row(_value_text(gate), _VALUE)}<hr/>{_row(gradient, _GRADIENT)}"
    table = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="1">{rows}</table>'
    label = _text(gate.label, _NAME)
    return [
        f'    "{name}" [id="{name}", class="{classes}", shape={shape}, label=<{label}>, {width}{extra}]',
        f'    "{wire}" [id="{wire}", class="wire", shape=plaintext, margin=0, label=<{table}>]',
        f'    "{name}" -> "{wire}":w [id="join-{gate.number}", class="edge", arrowhead=none, weight=20]',
    ]


def _value_text(gate: TracedGate) -> str:
    if isinstance(gate.value, Summary):
        return f"{'×'.join(map(str, gate.value.shape))} {brief(gate.value)}"
    return brief(gate.value)


def _row(text: str, colour: str) -> str:
    return f'<tr><td width="{_WIDTH}">{_coloured(text, colour)}</td></tr>'


def _coloured(text: str, colour: str) -> str:
    return f'<font point-size="11" color="{colour}">{escape(text)}</font>' if text else " "


def _text(text: str, limit: int) -> str:
    """Text from outside: what is no printable character is shown as an escape, and what is long is cut."""
    text = visible(text)
    shown = escape(text if len(text) <= limit else text[: limit - 1] + "…")
    return shown.replace("\\", "&#92;&#92;") or " "  # Graphviz reads \N and its like in labels


# --- SVG --------------------------------------------------------------------------------------------------------------


def _laid_out(dot: str) -> str:
    """The SVG element that Graphviz makes of a graph."""
    try:
        import pygraphviz
    except ImportError:
        raise SymgradError(
            "the picture is laid out by Graphviz: pip install 'symgrad[draw]'; without it the drawing is there as DOT "
            "text (.dot, or symgrad draw --format dot)"
        ) from None
    with pygraphviz.AGraph(string=dot) as graph:
        text = str(graph.draw(format="svg", prog="dot"), "utf-8")
    return text[text.index("<svg") :]  # without the XML declaration: it also stands inside of pages


def _titled(svg: str, trace: Trace) -> str:
    """The picture with what a browser shows at each gate in place of Graphviz's names."""
    words = {f"gate-{gate.number}": _tooltip(gate) for gate in trace.gates}

    def title(match: re.Match[str]) -> str:
        found = words.get(match.group(1).replace("&#45;", "-"))
        return f"<title>{escape(found)}</title>\n" if found else ""

    return re.sub(r"<title>(.*?)</title>\n", title, svg)


def _tooltip(gate: TracedGate) -> str:
    """A gate in a few lines: formula, value, gradients, troubles."""
    lines = [gate.formula if gate.name == gate.formula else f"{gate.name} = {gate.formula}", f"value {gate.value}"]
    if gate.gradient is not None:
        lines.append(f"gradient {gate.gradient}")
    lines += [
        f"local gradient by {wire.name}: {wire.local_formula} = {wire.local}"
        for wire in gate.wires
        if wire.local is not None
    ]
    return "\n".join(map(visible, [*lines, *gate.troubles]))


# --- making one -------------------------------------------------------------------------------------------------------


def draw(setting: Setting, level: str, nearest: int | None = None, through: str | None = None) -> Drawing:
    """The drawing at a point. Raises SymgradError where it would be unreadable."""
    whole = subject(setting, level)
    circuit, left_out = whole.circuit.narrowed(nearest, through)
    if len(circuit.steps) > MAX_GATES:
        raise SymgradError(_too_many(circuit, nearest, through))
    circuit = circuit.watched(range(len(circuit.steps)))  # all: inputs may be changed on the page
    traced = traced_at(setting, whole._replace(circuit=circuit), level)
    return Drawing(
        traced, left_out, lambda picture: page(traced, picture, left_out, circuit, whole.values, setting.dtype)
    )


def _too_many(circuit: Circuit, nearest: int | None, through: str | None) -> str:
    given = [f"nearest={nearest}"] if nearest is not None else []
    given += [f"through={through!r}"] if through is not None else []
    narrowed = f" ({', '.join(given)})" if given else ""
    example = next((step.name for step in circuit.steps if step.kind == "input"), "x")
    return (
        f"{len(circuit.steps):,} gates and inputs{narrowed} are more than one can read in a drawing ({MAX_GATES} at "
        f"most): nearest=40 draws the 40 gates nearest to the value, through={example!r} the ways from one input, both "
        "together the ways near to the value; trace lists all"
    )
