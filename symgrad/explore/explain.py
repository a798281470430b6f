"""Explanations: in words, how the gradient of one input came about, and what is wrong with a circuit at a point.

The words are those with which one learns backpropagation: add distributes, max routes, mul switches, and the logistic
function has its shortcut. Whether a gradient vanishes or explodes is asked of the elasticity x/f*df/dx, the relative
change of the output for a relative change of the input, which does not depend on units.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..gates.table import GATES
from .records import Summary, TracedCircuit, TracedGate, TracedWire, Value, shown, size_of

VANISHING = 1e-6  # elasticities below this, by a chain of gates
EXPLODING = 1e6
_CHAIN = 3  # gates that shrink (or grow) the gradient before one speaks of a chain
_GATES = 24  # gates that are told one by one; of more, those along the path that carries most
_ADDENDS = 6
_NAMES = 4


def explain(trace: TracedCircuit, name: str) -> str:
    """How the gradient of the input `name` came about. Raises ValueError where there is no such input."""
    gate = _input(trace, name)
    if gate is None:
        return f"df/d{name} = 0: f does not read {name}."
    if gate.gradient is None:
        return f"{name} has no gradient: nothing is differentiated for it."
    called = f"{trace.name} = " if trace.name else ""
    where = f"where f = {called}{shown(trace.value)} and {name} = {shown(gate.value)}"
    lines = [f"df/d{name} = {shown(gate.gradient)}, {where}."]
    between = _between(trace, gate.number)
    if not between:
        return "\n".join([*lines, f"{name} is f itself: the gradient of f with respect to itself is 1."])
    explained = between
    if len(between) > _GATES:
        explained = set(_strongest(trace, gate.number))
        lines.append(f"{len(between):,} gates lie between f and {name}; these are on the path that carries most:")
    if len(explained) > _GATES:
        ends = sorted(explained, reverse=True)
        explained = {*ends[: _GATES // 2], *ends[-_GATES // 2 :]}
        lines.append(f"(of {len(ends):,} on it the first and the last {_GATES // 2})")
    lines.append("Backwards from f, whose own gradient is 1:")
    for number in sorted(explained, reverse=True):
        inside = {*explained, gate.number} if len(explained) < len(between) else {*between, gate.number}
        lines += [f"- {line}" for line in _gate_lines(trace, trace.gates[number], inside)]
    if len(gate.addends) > 1:
        lines.append(f"- {_added(gate, gate.name)}")
    lines += [f"Trouble: {_sentence([gate.name], verdict)}" for verdict in _verdict(trace, gate)]
    return "\n".join(lines)


def findings(trace: TracedCircuit) -> list[str]:
    """What is wrong: first what the gates say, then gradients that vanish, explode or are no numbers."""
    reasons: dict[str, list[str]] = {}
    for gate in trace.gates:
        for reason in gate.troubles:
            reasons.setdefault(reason, []).append(f"#{gate.number} {gate.name}")
    found = [f"{_listed(gates)}: {reason}" for reason, gates in reasons.items()]
    verdicts: dict[Verdict, list[str]] = {}
    for gate in trace.gates:
        if gate.kind == "input":
            for verdict in _verdict(trace, gate):
                verdicts.setdefault(verdict, []).append(gate.name)
    found += [_sentence(names, verdict) for verdict, names in verdicts.items()]
    return [*found, *filter(None, [trace.remark])]


class Verdict(NamedTuple):
    """What is wrong with a gradient, and why."""

    what: str  # "is 0", "vanishes"
    why: str


def _sentence(names: list[str], verdict: Verdict) -> str:
    plural = {"is": "are", "vanishes": "vanish", "explodes": "explode"}
    verb, _, rest = verdict.what.partition(" ")
    words = f"gradient of {names[0]} {verb}" if len(names) == 1 else f"gradients of {_listed(names)} {plural[verb]}"
    return f"the {words}{' ' if rest else ''}{rest}: {verdict.why}"


def _listed(names: list[str]) -> str:
    """Some names, and how many more there are."""
    more = len(names) - _NAMES
    if more > 0:
        return f"{', '.join(names[:_NAMES])} and {more:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _input(trace: TracedCircuit, name: str) -> TracedGate | None:
    matching = [gate for gate in trace.gates if gate.kind == "input" and gate.name == name]
    if len(matching) > 1:
        raise ValueError(f"two inputs are named {name!r}; rename one to have it explained")
    if matching:
        return matching[0]
    if name in trace.unused:
        return None
    names = [gate.name for gate in trace.gates if gate.kind == "input"]
    raise ValueError(f"no input {name!r}; the inputs are {', '.join([*names, *trace.unused])}")


# --- one gate ---------------------------------------------------------------------------------------------------------


def _gate_lines(trace: TracedCircuit, gate: TracedGate, inside: set[int]) -> list[str]:
    """What the gate does with its upstream gradient, for each argument on the way."""
    if gate.gradient is None:
        return []
    lines = [_added(gate, gate.name)] if len(gate.addends) > 1 else []
    wires = {wire.source: wire for wire in gate.wires if wire.source in inside and wire.contribution is not None}
    written = set()
    for wire in wires.values():
        line = _passes(gate, wire)
        if line not in written:
            written.add(line)
            lines.append(line)
    if gate.troubles and lines:
        lines[-1] += f" ({'; '.join(gate.troubles)})"
    return lines


def _added(gate: TracedGate, name: str) -> str:
    parts = [_brief(value) for _, value in gate.addends[:_ADDENDS]]
    if len(gate.addends) > _ADDENDS:
        parts.append(f"{len(gate.addends) - _ADDENDS} more")
    total = " + ".join(parts).replace("+ -", "- ")
    return f"{name} is read {len(gate.addends)} times, and what arrives adds: {total} = {_brief(gate.gradient)}."


def _passes(gate: TracedGate, wire: TracedWire) -> str:
    """The chain rule at one argument: upstream gradient times local gradient."""
    head = gate.name if gate.name == gate.formula else f"{gate.name} = {gate.formula}"
    upstream, passed = _brief(gate.gradient), _brief(wire.contribution)
    product = f"{upstream} * {_brief(wire.local)} = {passed}"
    if isinstance(wire.contribution, Summary) or isinstance(gate.gradient, Summary):
        product = f"entry by entry, {upstream} and {_brief(wire.local)} give {passed}"
    operation = gate.operation
    if operation == "add":
        return f"{head}: add distributes: each argument gets the upstream gradient {upstream}."
    if operation == "sum":
        return f"{head}: the sum distributes: each term gets the upstream gradient, so {wire.name} gets {passed}."
    if operation == "mul":
        factor = wire.local_formula
        return (
            f"{head}: mul switches: {wire.name} gets the upstream gradient times the other factor {factor}: {product}."
        )
    if operation == "select":
        if wire.local == 1:
            return f"{head}: this branch is taken: {wire.name} gets the upstream gradient {upstream}."
        return f"{head}: a branch switches: {wire.name} gets {passed} of {upstream}."
    if _chooses(operation):
        return f"{head}: {_routed(gate, wire)}"
    if operation == "sigmoid":
        return f"{head}: the sigmoid's shortcut y*(1 - y), with y = {_brief(gate.value)}: {product}."
    if operation == "neg":
        return f"{head}: the sign turns: {wire.name} gets {passed}."
    if wire.local is None:
        return f"{head}: its Jacobian is never formed; {wire.name} gets {passed} of {upstream}."
    return f"{head}: local gradient {wire.local_formula} times upstream gradient: {product}."


def _routed(gate: TracedGate, wire: TracedWire) -> str:
    word = {"largest": "max", "smallest": "min"}.get(gate.operation, gate.operation)
    side = "larger" if word == "max" else "smaller"
    if wire.local == 1:
        return (
            f"{word} routes: {wire.name} is the {side} and gets all of the upstream gradient {_brief(gate.gradient)}."
        )
    if wire.local == 0:
        return f"{word} routes: {wire.name} is not the {side} and gets nothing of the upstream gradient."
    if isinstance(wire.local, Summary):
        return f"{word} routes to the {side} of each: {wire.name} gets {_brief(wire.contribution)}."
    return f"{word} routes: a tie, {wire.name} gets the share {_brief(wire.local)} of {_brief(gate.gradient)}."


def _brief(value: Value | None) -> str:
    if value is None:
        return "-"
    return f"[norm {value.norm:.4g}]" if isinstance(value, Summary) else f"{value:.4g}"


# --- ways through the circuit -----------------------------------------------------------------------------------------


def _between(trace: TracedCircuit, number: int) -> set[int]:
    """The gates on the ways from the output back to gate `number`, without that one."""
    above = {number}
    for gate in trace.gates:
        if any(wire.source in above and wire.contribution is not None for wire in gate.wires):
            above.add(gate.number)
    return above - {number}


def _strongest(trace: TracedCircuit, number: int) -> list[int]:
    """The way from gate `number` to the output along which most arrives at each gate; NaN counts as most."""
    found = []
    while trace.gates[number].addends:
        number = max(trace.gates[number].addends, key=lambda pair: (math.isnan(size_of(pair[1])), size_of(pair[1])))[0]
        found.append(number)
    return found


class _Factor(NamedTuple):
    """What a gate on a way multiplies the gradient by."""

    gate: TracedGate
    factor: float


def _factors(trace: TracedCircuit, number: int) -> list[_Factor]:
    """Gate by gate along the strongest way, the ratio of what it hands on to what it gets."""
    found = []
    for reader in _strongest(trace, number):
        gate = trace.gates[reader]
        handed = next((w.contribution for w in gate.wires if w.source == number), None)
        upstream = size_of(gate.gradient) if gate.gradient is not None else 0.0
        if handed is not None and upstream:
            found.append(_Factor(gate, size_of(handed) / upstream))
        number = reader
    return found


def _verdict(trace: TracedCircuit, gate: TracedGate) -> list[Verdict]:
    """What is wrong with the gradient of one input."""
    if gate.gradient is None:
        return []
    size = size_of(gate.gradient)
    if not math.isfinite(size):
        return [Verdict(f"is {_word(gate.gradient)}", _origin(trace, gate))]
    if size == 0:
        return _switched_off(trace, gate)
    value, at = abs(trace.value), size_of(gate.value)
    if not math.isfinite(value) or not math.isfinite(at):
        return []
    elasticity = size * (at or 1.0) / (value or 1.0)
    factors = _factors(trace, gate.number)
    shrinking = [pair for pair in factors if pair.factor < 1]
    growing = [pair for pair in factors if pair.factor > 1]
    if elasticity < VANISHING and len(shrinking) >= _CHAIN:
        return [Verdict("vanishes", _chain(shrinking))]
    if elasticity > EXPLODING and len(growing) >= _CHAIN:
        return [Verdict("explodes", _chain(growing))]
    return []


def _word(value: Value) -> str:
    size = size_of(value)
    return "NaN" if math.isnan(size) else "infinite"


def _chain(pairs: list[_Factor]) -> str:
    """A chain of factors in words, by kind of gate, those first that do most."""
    kinds: dict[str, list[float]] = {}
    for pair in pairs:
        kinds.setdefault(pair.gate.label, []).append(pair.factor)
    most = sorted(kinds.items(), key=lambda item: -sum(abs(math.log(factor)) for factor in item[1]))
    parts = [
        f"{len(own)} of {label}, by {min(own):.3g} .. {max(own):.3g}" if len(own) > 1 else f"{label}, by {own[0]:.3g}"
        for label, own in most[:3]
    ]
    if len(most) > 3:
        parts.append(f"{sum(len(own) for _, own in most[3:])} more")
    total = math.prod(pair.factor for pair in pairs)
    return (
        f"{len(pairs)} gates on its strongest path {'shrink' if total < 1 else 'enlarge'} it ({'; '.join(parts)}), "
        f"together by {total:.3g}"
    )


def _origin(trace: TracedCircuit, gate: TracedGate) -> str:
    """Where a NaN or an infinity in a gradient comes from."""
    inside = sorted(_between(trace, gate.number))
    for number in inside:
        if trace.gates[number].troubles:
            reasons = "; ".join(trace.gates[number].troubles)
            return f"it comes from #{number} {trace.gates[number].name}: {reasons}"
    for other in trace.gates:
        if other.troubles and not math.isfinite(size_of(other.value)):
            return f"it comes from #{other.number} {other.name}: {'; '.join(other.troubles)}"
    bad = [g for g in trace.gates if g.kind == "input" and not math.isfinite(size_of(g.value))]
    if bad:
        return f"the input {bad[0].name} is {_word(bad[0].value)}"
    for number in reversed(inside):
        own = trace.gates[number]
        for wire in own.wires:
            if wire.contribution is not None and not math.isfinite(size_of(wire.contribution)):
                return (
                    f"at #{number} {own.name} the upstream gradient {_brief(own.gradient)} times the local gradient "
                    f"{_brief(wire.local)} is {_brief(wire.contribution)}"
                )
    return "what arrives adds up to no finite number"


def _switched_off(trace: TracedCircuit, gate: TracedGate) -> list[Verdict]:
    """Which gates let nothing of a gradient through; nothing is wrong where they only choose other arguments."""
    closed = [trace.gates[reader] for reader in _last_with_gradient(trace, gate.number)]
    if all(_chooses(own.operation) and not own.troubles for own in closed):
        return []
    texts = [f"#{own.number} {own.name} ({'; '.join(own.troubles) or _silent(own)})" for own in closed]
    return [Verdict("is 0", f"nothing passes {_listed(texts)}")]


def _chooses(operation: str) -> bool:
    """Whether a gate hands its gradient to some of its arguments only."""
    return operation in GATES and "choosing" in GATES[operation].has


def _silent(gate: TracedGate) -> str:
    """Why a gate that is in no trouble lets nothing through."""
    if _chooses(gate.operation):
        return "another argument is chosen"
    return "another factor is 0" if gate.operation == "mul" else "the local gradient is 0"


def _last_with_gradient(trace: TracedCircuit, number: int) -> list[int]:
    """The gates nearest to the output that get a gradient and hand none on towards gate `number`."""
    towards = _between(trace, number) | {number}
    found = []
    for reader in sorted(towards - {number}, reverse=True):
        gate = trace.gates[reader]
        handed = [w.contribution for w in gate.wires if w.source in towards and w.contribution is not None]
        if gate.gradient is not None and size_of(gate.gradient) and handed and not any(map(size_of, handed)):
            found.append(reader)
    return found
