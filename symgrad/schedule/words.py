"""What a program says of itself: its formula, the functions that it calls, how many operations it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from symgrad_codegen.functions import FUNCTIONS, with_needs

from ..graph.formula import formulas, indexed_formula, shown
from ..graph.graph import Graph, sizes_of
from ..graph.node import positional
from .names import identifier

_FORMULA, _FORMULA_DEPTH = 300, 20  # characters of the expression in the docstring, and how deep it is with indices


def formula_of(definition: Graph, inputs: Sequence[str], sizes: Mapping[str, str] | None = None) -> str:
    """The expressions in few words, as they were lowered; of arrays with their indices, and extents of `sizes`."""
    nodes = [output.view.node for output in definition.values]
    if definition.over_points:
        found = formulas(shown(nodes), inputs, {}, _FORMULA)
        return _together([found[node] for node in nodes])
    worded = in_identifiers(definition, inputs)
    own = {size.name: (sizes or {}).get(size.name) or identifier(size.name) for size in sizes_of(definition)}
    return _together(
        [
            indexed_formula(positional(node), node, worded, worded.names, _FORMULA, own, _FORMULA_DEPTH)
            for node in nodes[: _FORMULA // 2]
        ]
    )


def _together(formulas: Sequence[str]) -> str:
    """Several formulas as a tuple, as many as there is room for."""
    if len(formulas) == 1:
        return formulas[0]
    lengths = accumulate(len(text) + 2 for text in formulas)
    shown = [text for text, length in zip(formulas, lengths, strict=True) if length <= _FORMULA]
    return f"({', '.join([*shown, '...'] if len(shown) < len(formulas) else shown)})"


def in_identifiers(graph: Graph, inputs: Sequence[str]) -> Graph:
    """A graph whose names are identifiers, for words in the source: nothing else from outside may stand there."""
    return replace(
        graph,
        inputs=tuple(inputs),
        names={node: identifier(name) for node, name in graph.names.items()},
        labels={node: tuple(name and identifier(name) for name in own) for node, own in graph.labels.items()},
    )


def words_of(graph: Graph) -> list[str]:
    """The functions that a graph calls. A user's name of one gives way; functions that it does not call are free."""
    own = {n.gate.name for n in graph.order() if n.gate.name in FUNCTIONS}
    own |= {name for of in own for name in (FUNCTIONS[of].on_device, FUNCTIONS[of].unfused) if name}
    called = with_needs(tuple(FUNCTIONS[name] for name in sorted(own)))
    return [function.name for function in called if not function.operator]
