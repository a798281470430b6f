"""The circuit: the expression as gates on wires, with everything that one asks of each when one does backpropagation.

    circuit = step, ...                                    arguments before their readers
    step    = value, gradient (adjoint), wire, ...         one gate, input or condition
    wire    = source, local gradient, contribution         contribution = adjoint of the gate times local gradient

All numbers are views of one graph: the reference evaluator computes them for a trace, and a target prints them for a
page. Constants are no gates of their own: they stand in the label of the gate that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..gates.diagnostics import out_of_range, troubles
from ..gates.table import GATES
from ..graph.graph import Graph, between
from ..graph.node import Node, View, positional
from ..graph.rebuild import rebuilt
from ..transform.differentiate import Record, differentiate
from ..transform.simplify import simplify
from .labels import Labels
from .records import StepKind

LEVELS = ("gates", "elementary")


class Slot(NamedTuple):
    """A number of the circuit, or an array of them: a view, and the node over whose axes it is read."""

    view: View
    over: Node | None  # None where all have the one axis of points
    loops: bool = False  # over all axes that the step loops over, also those that it reduces


class Wire(NamedTuple):
    """One argument of a gate. Numbers are given by their positions in the circuit's slots."""

    source: int  # the step that it comes from
    local: int | None  # the local gradient; None where no gradient flows, and for operations on whole matrices
    local_formula: str
    contribution: int | None  # what the source receives; None where no gradient flows


class Trouble(NamedTuple):
    """What is wrong at a gate, and the condition under which it is."""

    when: int
    reason: str


class Step(NamedTuple):
    """A gate, an input, or a condition (which is true or false, and has no gradient)."""

    kind: StepKind
    node: Node
    label: str  # what stands on the gate in a drawing
    name: str  # the user's name for it, or its formula where that is short, or a number: g7
    formula: str
    value: int
    gradient: int | None  # of the output with respect to this gate: the upstream gradient, all readers together
    wires: tuple[Wire, ...]
    troubles: tuple[Trouble, ...]
    active: View | None  # the condition under which the gate matters; None for always

    def used_slots(self) -> list[int]:
        """The slots that it speaks of."""
        found = [self.value, self.gradient, *(trouble.when for trouble in self.troubles)]
        found += [slot for wire in self.wires for slot in (wire.local, wire.contribution)]
        return [slot for slot in found if slot is not None]

    def moved(self, new: Mapping[int, int]) -> Step:
        """The same step, its slots at new positions."""

        def at(slot: int | None) -> int | None:
            return None if slot is None else new[slot]

        return self._replace(
            value=new[self.value],
            gradient=at(self.gradient),
            wires=tuple(w._replace(local=at(w.local), contribution=at(w.contribution)) for w in self.wires),
            troubles=tuple(trouble._replace(when=new[trouble.when]) for trouble in self.troubles),
        )


@dataclass(frozen=True)
class Circuit:
    """The steps in order; `output` is the one whose value is that of the expression."""

    graph: Graph
    steps: tuple[Step, ...]
    output: int
    slots: tuple[Slot, ...]

    def readers(self) -> list[list[tuple[int, int]]]:
        """For each step who reads it: reader and position of the wire."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.steps]
        for number, step in enumerate(self.steps):
            for position, wire in enumerate(step.wires):
                found[wire.source].append((number, position))
        return found

    def watched(self, numbers: Iterable[int]) -> Circuit:
        """The same circuit, and at the steps of these numbers also the troubles that every gate may have.

        They are many conditions, so that one asks for them where a number is not finite.
        """
        steps, slots = list(self.steps), dict(zip(self.slots, range(len(self.slots)), strict=True))
        for number in numbers:
            step = steps[number]
            reported = [self.slots[trouble.when].view for trouble in step.troubles]
            locals = [None if wire.local is None else self.slots[wire.local].view for wire in step.wires]
            found = [
                Trouble(slots.setdefault(_slot(self.graph, when, step.node, True), len(slots)), reason)
                for when, reason in out_of_range(step.node, locals, step.active, reported)
            ]
            steps[number] = step._replace(troubles=(*step.troubles, *found))
        return replace(self, steps=tuple(steps), slots=tuple(slots))

    def narrowed(self, nearest: int | None = None, through: str | None = None) -> tuple[Circuit, str]:
        """A part of the circuit, and what is left out of it, in words (empty if nothing).

        nearest  only so many gates, those that the fewest wires part from the output
        through  only the gates on the ways from the input of that name to the output

        What the kept gates read besides is there with its numbers, but not what it is made of: its label is "...".
        """
        kept = set(range(len(self.steps)))
        if through is not None:
            kept &= self._ways_from(through)
        if nearest is not None:
            if nearest < 1:
                raise ValueError(f"nearest is a number of gates, not {nearest}")
            kept &= set(self._by_distance(kept)[:nearest])
        stubs = {wire.source for number in kept for wire in self.steps[number].wires} - kept
        shown = sorted(kept | stubs)
        # What is made of shown parts alone needs no "...".
        kept |= {number for number in stubs if all(wire.source in kept | stubs for wire in self.steps[number].wires)}
        numbers = {number: at for at, number in enumerate(shown)}
        steps = []
        for number in shown:
            step = self.steps[number]
            wires = [w._replace(source=numbers[w.source]) for w in step.wires] if number in kept else []
            label = step.label if number in kept or not step.wires else "..."
            steps.append(step._replace(wires=tuple(wires), label=label))
        count, whole = len(self.steps) - len(steps), len(self.steps)
        words = f"{count:,} of {whole:,} gates and inputs are left out" if count else ""
        if words and through is not None:
            words += f": only the ways from {through} are shown"
        if words and nearest is not None:
            words += (
                f"{', and of these ' if through is not None else ': only '}the {nearest} gates nearest to the value"
            )
        used = sorted({slot for step in steps for slot in step.used_slots()})
        new = {slot: number for number, slot in enumerate(used)}
        slots = tuple(self.slots[slot] for slot in used)
        return Circuit(self.graph, tuple(step.moved(new) for step in steps), numbers[self.output], slots), words

    def _ways_from(self, name: str) -> set[int]:
        starts = {n for n, step in enumerate(self.steps) if step.kind == "input" and step.name == name}
        if not starts:
            inputs = ", ".join(step.name for step in self.steps if step.kind == "input")
            raise ValueError(f"no input {name!r} in the circuit; its inputs are {inputs or 'none'}")
        found = set(starts)
        for number, step in enumerate(self.steps):
            if any(wire.source in found for wire in step.wires):
                found.add(number)
        return found

    def _by_distance(self, among: set[int]) -> list[int]:
        found = {self.output: None}
        queue = [self.output]
        for number in queue:
            for wire in self.steps[number].wires:
                if wire.source in among and wire.source not in found:
                    found[wire.source] = None
                    queue.append(wire.source)
        return queue


def circuit(graph: Graph, wrt: Sequence[int], level: str = "gates") -> Circuit:
    """The circuit of a lowered graph, differentiated with respect to the inputs at positions `wrt`.

    level  "gates": as it is compiled, the logistic function and its like each one gate; "elementary": as it is
           written, in gates of one and two arguments, as one draws them on a blackboard
    """
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
    if level == "gates":
        graph = _apart(simplify(graph, ("stabler", "sharing", "cheaper")))
    else:
        graph = _in_pairs(simplify(graph, ("cheaper",)))  # -a - b comes as a sum of signs: -(a + b) is what one draws
    record = Record()
    graph = differentiate(graph.compact(), wrt, record)
    return _described(graph, record)


# --- gates as one draws them ------------------------------------------------------------------------------------------


def _apart(graph: Graph) -> Graph:
    """Sums and products of several arguments and a constant as two gates, so that the constant is a label."""
    views: dict[Node, View] = {}
    for node in graph.order():
        view = views[node] = rebuilt(graph.table, node, views)
        if view.node.gate.name in ("add", "mul"):
            views[node] = _constants_last(view)
    return graph.rebuilt(views)


def _constants_last(view: View) -> View:
    table, gate = view.node.table, view.node.gate
    constants = [argument for argument in view.arguments if argument.node.fixed]
    others = [argument for argument in view.arguments if not argument.node.fixed]
    if not constants or len(others) < 2:
        return view
    constant = constants[0] if len(constants) == 1 else table.apply(gate, *constants)
    return table.apply(gate, table.apply(gate, *others), constant)


def _in_pairs(graph: Graph) -> Graph:
    """The graph in gates of one and two arguments: sums and products in pairs, quotients by 1/x, functions spelled out.

    The user's own gates stay whole: their local gradients are the user's.
    """
    views: dict[Node, View] = {}
    for node in graph.order():
        views[node] = _paired(rebuilt(graph.table, node, views))
    return graph.rebuilt(views)


def _paired(view: View) -> View:
    """A node in elementary gates; what its expansion is made of as well."""
    gate = view.node.gate
    if gate.expansion is not None and GATES.get(gate.name) is gate and gate.name != "detached":
        made: dict[Node, View] = {argument.node: positional(argument.node) for argument in view.arguments}
        expanded = gate.expansion(*view.arguments)
        for node in between(expanded.node, dict(made)):
            made[node] = _paired(rebuilt(view.node.table, node, made))
        return made[expanded.node].at(dict(enumerate(expanded.index)))
    if gate.name in ("add", "mul") and len(view.arguments) > 2:
        # Computed terms first, plain inputs after them, constants last: as one adds them up by hand.
        ordered = sorted(view.arguments, key=lambda a: 2 if a.node.fixed else 0 if a.node.arguments else 1)
        total = ordered[0]
        for argument in ordered[1:]:
            total = view.node.table.apply(gate, total, argument)
        return total
    if gate.name == "div":
        above, below = view.arguments
        if above.number != 1 and not below.node.fixed:
            return above * (1 / below)
    return view


# --- in words ---------------------------------------------------------------------------------------------------------


def _described(graph: Graph, record: Record) -> Circuit:
    output = graph.values[0].view.node
    forward = _forward(graph, output)
    numbers = {node: number for number, node in enumerate(forward)}
    words = Labels(graph, numbers, [local for local in record.locals.values() if local is not None])
    slots: dict[Slot, int] = {}

    def maybe(view: View | None, over: Node, loops: bool = False) -> int | None:
        return None if view is None else slot(view, over, loops)

    def slot(view: View, over: Node, loops: bool = False) -> int:
        return slots.setdefault(_slot(graph, view, over, loops), len(slots))

    steps = []
    for node in forward:
        wires = []
        for position, edge in enumerate(node.arguments):
            if not edge.node.fixed:
                local, given = record.locals.get((node, position)), record.contributions.get((node, position))
                text = words.local(node, local)
                wires.append(Wire(numbers[edge.node], maybe(local, node, True), text, maybe(given, edge.node)))
        wires += [Wire(numbers[view.node], None, "", None) for view in node.gathered if view.node in numbers]
        adjoint = record.adjoints.get(node)
        active = record.active.get(node)
        found = troubles(node, active, adjoint is not None, words.constant)
        steps.append(
            Step(
                kind="input" if node.gate.name == "input" else "condition" if node.kind == "boolean" else "gate",
                node=node,
                label=words.label(node),
                name=words.name(node),
                formula=words.formula(node),
                value=slot(positional(node), node),
                gradient=maybe(adjoint, node),
                wires=tuple(wires),
                troubles=tuple(Trouble(slot(when, node, True), reason) for when, reason in found),
                active=active,
            )
        )
    return Circuit(graph, tuple(steps), numbers[output], tuple(slots))


def _slot(graph: Graph, view: View, over: Node, loops: bool) -> Slot:
    """Over points all views have the same axes: what is equal is one number."""
    return Slot(view, over, loops) if not graph.over_points else Slot(view, None)


def _forward(graph: Graph, output: Node) -> list[Node]:
    """What the value needs, inputs first; what depends on no input is part of a label."""
    needed = {output}
    order = [node for node in graph.order() if not node.fixed or node is output]
    for node in reversed(order):
        if node in needed:
            needed.update(node.sources)
    forward = [node for node in order if node in needed]
    return sorted(forward, key=lambda n: (n.gate.name != "input", n.position if n.gate.name == "input" else 0))
