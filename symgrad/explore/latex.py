"""LaTeX: the formulas of a graph, as a notebook shows them.

What is printed can be read in one way only: brackets wherever another reading is possible, no two things under the same
name, sums with their limits, and nothing that a user's name could say to TeX.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..graph.graph import Graph, Output
from ..graph.node import Node, positional
from .latex_names import Involved, Texts, listed
from .latex_pieces import environment
from .latex_printer import COMMA, MAX_STEPS, Printer, TooLong

# Beyond so many characters of LaTeX there is no formula: nobody would read it.
MAX_LENGTH = 2000
# Beyond so many for an output the user's names of intermediate results stand for what they name.
_LONG = 200
# Matrices of derivatives: what they are called, by a letter if that is free, and how often one differentiates.
_MATRICES = {"jacobian": ("J", "Jacobian", 1), "hessian": ("H", "Hessian", 2)}


def latex(graph: Graph, derivative: str | None = None, wrt: Sequence[int] = ()) -> str | None:
    """`f(x, y) = ...` in LaTeX, for display style and without dollars; None where that is longer than one reads.

    Of several outputs a line for each, of one that is an array with its indices and what they run over. Below them,
    where `derivative` is "jacobian" or "hessian", what is differentiated by what, the inputs `wrt` by position. The
    user's names of intermediate results are printed only where the formula would be long without them. None also where
    arrays are read in a way that has no notation here.
    """
    if len(graph.order()) > MAX_STEPS:
        return None
    texts = Texts(graph)
    last = [_differentiated(texts, *_MATRICES[derivative], wrt)] if derivative in _MATRICES else []
    found = _formulas(graph, texts, {}, last)
    if texts.parts and (found is None or len(found) > _LONG * len(graph.values)):
        found = _formulas(graph, texts, texts.parts, last) or found
    return found if found is not None and len(found) <= MAX_LENGTH else None


def _formulas(graph: Graph, texts: Texts, parts: Mapping[Node, str], last: Sequence[tuple[str, str]]) -> str | None:
    """The formulas of the outputs, below them those of the `parts` that they speak of, and the `last` lines."""
    printer = Printer(graph, texts, parts)
    lines: dict[Node, tuple[str, str]] = {}
    try:
        first = [_output(printer, name, output) for name, output in zip(texts.outputs, graph.values, strict=True)]
        shown = {output.view.node for output in graph.values if parts.get(output.view.node) in texts.outputs}
        while missing := printer.spoken_of - lines.keys() - shown:
            for node in missing:
                lines[node] = texts.parts[node], printer.computed(positional(node), frozenset(), 0).text
    except (TooLong, Involved):
        return None
    rest = [lines[node] for node in sorted(lines, key=lambda node: node.number)]
    every = [*first, *rest, *last]
    if len(every) == 1:
        return " = ".join(every[0])
    return environment("aligned", [" &= ".join(line) for line in every])


def _output(printer: Printer, name: str, output: Output) -> tuple[str, str]:
    """Both sides of the equation of an output."""
    arguments = rf"\left({listed(printer.texts.inputs)}\right)"
    if printer.graph.over_points or not output.shape:
        return name + arguments, printer.computed(output.view, frozenset(), 0).text
    entry, formula, ranges = printer.entry(name, output)
    return entry + arguments, r",\quad ".join(filter(None, [formula, COMMA.join(ranges)]))


def _differentiated(texts: Texts, letter: str, name: str, order: int, wrt: Sequence[int]) -> tuple[str, str]:
    """Both sides of the equation of a matrix: what is differentiated by what."""
    power = f"^{{{order}}}" if order > 1 else ""
    above = _of(rf"\partial{power}", texts.outputs)
    below = _of(r"\partial", [texts.inputs[position] for position in wrt]) + power
    return texts.matrix(letter, name), rf"\frac{{{above}}}{{{below}}}"


def _of(sign: str, names: Sequence[str]) -> str:
    return f"{sign} {names[0]}" if len(names) == 1 else rf"{sign}\left({listed(names)}\right)"
