"""The verifier of graphs and programs: what holds after every pass, checked in the tests and under SYMGRAD_VERIFY=1.

Of the structure of a graph everything is checked. Domains are checked where the extents are small numbers: the loops of
every node are counted there, and are those that its constraints and its readers want; every read stays inside of what
is computed. The gradient is evaluated once: where the value does not read an input it is 0. A program is run on marks,
by symgrad_codegen.verify. The extents are such that a call of the kernel with them is not refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NoReturn

import numpy as np
from symgrad_codegen.marks import BrokenProgram
from symgrad_codegen.program import Program
from symgrad_codegen.verify import verify

from .analysis.domains import Domains
from .analysis.extents import Bound, Domain, numeric, with_derived
from .errors import VerificationError
from .evaluate.arithmetic import Floats
from .evaluate.evaluation import Evaluation, Evaluator, every_node
from .evaluate.trials import Trial, trials
from .gates.linear_algebra import MATRIX_RULES
from .gates.reductions import KINDS
from .gates.table import CONSTANTS
from .graph.affine import Index, Size
from .graph.gate import Numeric
from .graph.graph import POINTWISE, Graph, Output, reachable
from .graph.node import AnyIndex, Gather, Node, Reduction, View, positional
from .schedule.integers import integer_nodes

# Loops of more indices than this are not counted.
_LARGEST = 100_000


def is_on() -> bool:
    """Whether everything is verified: SYMGRAD_VERIFY=1."""
    return os.environ.get("SYMGRAD_VERIFY") == "1"


def verify_program(program: Program, definition: Graph) -> None:
    """Raises VerificationError where the program of a graph that was lowered to `definition` breaks a rule."""
    try:
        verify(program, [trial.arguments for trial in trials(definition)])
    except BrokenProgram as error:
        raise VerificationError(str(error)) from error


def verify_graph(graph: Graph, after: str, tried: Sequence[Trial] = ()) -> None:
    """Raises VerificationError where a graph that a pass made breaks a rule, at the extents `tried` or at any."""
    _Structure(graph, after).check()
    if not graph.over_points:
        _check_domains(graph, after, tried)
        if after == "differentiate":
            _check_support(graph, after, tried[1:3] or tried)


# --- structure --------------------------------------------------------------------------------------------------------


_ATTRIBUTES: dict[str, type | tuple[type, ...]] = {
    "constant": (Fraction, str),
    "input": int,
    "size": Size,
    "power": (int, Fraction),
    **dict.fromkeys(KINDS, Reduction),
    **dict.fromkeys(MATRIX_RULES, tuple),
}  # of all other gates None


class _Structure:
    """What holds of the nodes and views of a graph, whatever the extents."""

    def __init__(self, graph: Graph, after: str) -> None:
        self.graph, self.after = graph, after

    def check(self) -> None:
        graph = self.graph
        shapes = [*graph.shapes, *([POINTWISE] if graph.over_points else [])]
        forms = [form for shape in shapes for form in shape]
        self.sizes = {term.name for form in forms for term, _ in form.terms if isinstance(term, Size)}
        self.sizes |= {*graph.inputs, *graph.derived}
        order = reachable(view.node for view in graph.views)
        for node in order:
            self._attribute(node)
        self.integers = integer_nodes(graph)
        for node in order:
            self._node(node)
        for output in graph.outputs:
            self._output(output)

    def _output(self, output: Output) -> None:
        graph, view = self.graph, output.view
        what = f"the output {graph.name_of(output)}"
        if output.by and not 0 <= output.of < len(graph.values):
            self.breach(f"{what} is of no value")
        elif output.by and output.first is None and output.shape != graph.shape_of(output.of, output.by):
            self.breach(f"{what} has another shape than what it is taken of and by")
        self._view(view, len(output.shape), what)
        for extent in output.shape:
            self._index(extent, 0, what, None)
        if view.index and not output.shape and not output.by:  # its adjoint would be that of all entries
            self.breach(f"{what} is one entry of %{view.node.number}, and no node of its own")

    def _rank(self, position: int) -> int:
        return len(self.graph.shapes[position])

    def _attribute(self, node: Node) -> None:
        """What else a node needs is of the kind that its gate needs."""
        name, own = node.gate.name, node.attribute
        wanted = _ATTRIBUTES.get(name, type(None))
        if not isinstance(own, wanted) or (isinstance(own, str) and own not in CONSTANTS):
            self.breach(f"is no number: {own!r}" if name == "constant" else f"is a {name} with {own!r}", node)

    def _node(self, node: Node) -> None:
        name, own = node.gate.name, node.attribute
        if node.table is not self.graph.table:
            self.breach("is of another table", node)
        for edge in (*node.arguments, *node.gathered):
            if edge.node.table is not node.table or edge.node.number >= node.number:
                self.breach(f"reads %{edge.node.number}, which is not made before it in its table", node)
            self._view(edge, node.loops, "an argument", node)
        if isinstance(own, Reduction):
            self._reduction(node, own)
        elif name in MATRIX_RULES:
            if len(node.extents) != node.loops or node.rank > node.loops:
                self.breach(f"has {len(node.extents)} extents for {node.loops} loops", node)
        elif node.loops != node.rank:
            self.breach(f"loops over {node.loops} axes, and has rank {node.rank}", node)
        if name == "input":
            self._input(node)
        elif name == "size" and node.size.name not in self.sizes:
            self.breach(f"is an extent that nothing tells: {node.size.name}", node)
        self._kinds(node)

    def _input(self, node: Node) -> None:
        if not 0 <= node.position < len(self.graph.inputs):
            self.breach(f"is input {node.position} of {len(self.graph.inputs)}", node)
        if node.rank != self._rank(node.position):
            self.breach(f"has rank {node.rank}, and the input rank {self._rank(node.position)}", node)

    def _reduction(self, node: Node, own: Reduction) -> None:
        if len(own.out) != node.rank or len(node.arguments) != 1:
            self.breach(f"has {len(own.out)} places for rank {node.rank}", node)
        if own.is_plain and node.loops < node.rank:
            self.breach(f"loops over {node.loops} axes, and has rank {node.rank}", node)
        for form in (*own.out, *own.constraints):
            self._index(form, node.loops, "its domain", node)

    def _kinds(self, node: Node) -> None:
        """Conditions are conditions, numbers are numbers."""
        name, kinds = node.gate.name, [edge.node.kind for edge in node.arguments]
        wanted = ["boolean"] * len(kinds) if "connective" in node.gate.has else ["other"] * len(kinds)
        if "conditional" in node.gate.has:
            wanted[0] = "boolean"
        if name in ("eq", "ne") and "boolean" in kinds:  # of two conditions: whether they say the same
            wanted = ["boolean"] * len(kinds)
        for kind, want in zip(kinds, wanted, strict=True):
            if (kind == "boolean") != (want == "boolean"):
                self.breach(f"has an argument of kind {kind}", node)

    def _view(self, view: View, loops: int, what: str, of: Node | None = None) -> None:
        if view.index is positional(view.node).index and view.node.rank <= loops:
            return  # the common case, and the one that must be quick
        if len(view.index) != view.node.rank:
            self.breach(f"{what} reads %{view.node.number} of rank {view.node.rank} at {len(view.index)} places", of)
        for index in view.index:
            self._index(index, loops, what, of)

    def _index(self, index: AnyIndex, loops: int, what: str, of: Node | None) -> None:
        if isinstance(index, Gather):
            self._view(index.view, loops, what, of)
            if index.view.node not in self.integers:
                self.breach(f"{what} is read at %{index.view.node.number}, which is no integer", of)
            return
        for term, factor in index.terms:
            if not factor or not isinstance(factor, int):
                self.breach(f"{what} has a factor {factor!r} in {index}", of)
            if isinstance(term, Size):
                if term.name not in self.sizes:
                    self.breach(f"{what} has the extent {term.name} in {index}, which nothing tells", of)
            elif not 0 <= term < loops:
                self.breach(f"{what} has axis {term} in {index}, of {loops} loops", of)

    def breach(self, what: str, node: Node | None = None) -> NoReturn:
        _breach(self.after, what, node)


def _breach(after: str, what: str, node: Node | None = None) -> NoReturn:
    of = "" if node is None else f"{node!r}: "
    raise VerificationError(f"graph after {after}: {of}{what}")


# --- domains ----------------------------------------------------------------------------------------------------------


def _check_domains(graph: Graph, after: str, tried: Sequence[Trial]) -> None:
    """At small extents: the loops of each node are those that are wanted, and reads stay inside of what is computed."""
    own = replace(graph, derived=dict(graph.derived))  # domains enter what they derive
    domains = Domains(own)
    for node in domains.order:
        if None in domains.of[node].bounds:
            _breach(after, f"the range of axis {domains.of[node].bounds.index(None)} is not known", node)
    looped = [node for node in domains.order if node.loops and node.gate.name != "input"]
    for trial in tried:
        loops = _Loops(domains, with_derived(trial.sizes, own.derived))
        for node in looped:
            problem = loops.problem(node)
            if problem:
                _breach(after, f"{problem} ({_given(trial)})", node)


class _Loops:
    """The loops of nodes at some extents."""

    def __init__(self, domains: Domains, sizes: Mapping[str, int]) -> None:
        self.domains, self.sizes = domains, sizes

    def problem(self, node: Node) -> str:
        """What is wrong with the domain of a node."""
        domain, own = self.domains.of[node], node.attribute
        # What is read of inputs is checked at the call; and where the loops of readers are empty nothing is.
        edges = [edge for edge in (*node.arguments, *node.gathered) if edge.node.gate.name != "input"]
        reads = [edge for edge in edges if edge.index is not positional(edge.node).index]
        if not isinstance(own, Reduction) and not reads:
            return ""
        box = self.box(domain.bounds)
        # One index more on either side: what is missing shows there.
        spans = [range(low - 1, max(high, low - 1) + 2) for low, high in box]
        if math.prod(map(len, spans)) > _LARGEST:
            return ""
        mesh = dict(enumerate(np.ogrid[tuple(slice(span.start, span.stop) for span in spans)]))
        found = self.inside(box, mesh) & self.hold(domain.coupled, mesh)
        if isinstance(own, Reduction):
            wanted = self.hold(own.constraints, mesh)
            if own.is_plain:
                demanded = self.domains.own[node]
                wanted = wanted & self.inside(self.box(demanded.bounds), mesh) & self.hold(demanded.coupled, mesh)
            # A guard tests its constraints where it stands: it may be computed on more.
            wrong = wanted & ~found if node.is_guard else wanted != found
            if wrong.any():
                first = np.argwhere(np.broadcast_to(wrong, [len(span) for span in spans]))[0]
                at = ", ".join(str(span[place]) for span, place in zip(spans, first, strict=True))
                lacks = bool(np.broadcast_to(wanted, [len(span) for span in spans])[tuple(first)])
                words = ("lack", "have") if lacks else ("have", "lack")
                return f"its loops {words[0]} ({at}), which its constraints {words[1]}"
        for edge in reads:
            if self.outside(edge.index, self.domains.own[edge.node].bounds, mesh, found):
                return f"%{edge.node.number}[{', '.join(map(str, edge.index))}] is outside of what is computed"
        return ""

    def box(self, bounds: Sequence[Bound | None]) -> list[tuple[int, int]]:
        known = [bound for bound in bounds if bound is not None]
        assert len(known) == len(bounds), "a range that is not known is a breach"
        return [(numeric(low, self.sizes), numeric(high, self.sizes)) for low, high in known]

    def inside(self, box: Sequence[tuple[int, int]], mesh: Mapping[int, Numeric]) -> Numeric:
        found: Numeric = np.True_
        for axis, (low, high) in enumerate(box):
            found = found & (mesh[axis] >= low) & (mesh[axis] <= high)
        return found

    def hold(self, forms: Iterable[Index], mesh: Mapping[int, Numeric]) -> Numeric:
        found: Numeric = np.True_
        for form in forms:
            found = found & (self.value(form, mesh) >= 0)
        return found

    def value(self, form: Index, mesh: Mapping[int, Numeric]) -> Numeric:
        total: Numeric = form.offset
        for term, factor in form.terms:
            total = total + factor * (self.sizes[term.name] if isinstance(term, Size) else mesh[term])
        return total

    def outside(
        self, indices: Sequence[AnyIndex], bounds: Sequence[Bound | None], mesh: Mapping[int, Numeric], where: Numeric
    ) -> bool:
        """Whether an index that is affine runs out of bounds in one of the loops."""
        for index, (low, high) in zip(indices, self.box(bounds), strict=True):
            if isinstance(index, Index):
                at = self.value(index, mesh)
                if (((at < low) | (at > high)) & where).any():
                    return True
        return False


def _check_support(graph: Graph, after: str, tried: Sequence[Trial]) -> None:
    """Where the value does not read an input its gradient is 0: evaluated, with numbers at which no term is 0."""
    graph = replace(graph, derived=dict(graph.derived))
    rng = np.random.default_rng(0)
    domains = Domains(graph)
    evaluator = Evaluator(graph, every_node(domains), domains)
    for trial in tried:
        given = [rng.uniform(0.5, 1.5, a) if isinstance(a, tuple) else np.asarray(a) for a in trial.arguments]
        try:
            values = Evaluation(evaluator, given, trial.sizes, Floats())
        except np.linalg.LinAlgError:  # a determinant of numbers at random
            continue
        read = _read_entries(graph, domains, values)
        for output in graph.outputs:
            if not output.by or output.first is not None:
                continue
            numbers = values.over(output.view, Domain(output.bounds))
            rest = np.where(_read_by_all(graph, output, read), 0, numbers)
            if (rest != 0).any():
                at = ", ".join(map(str, np.argwhere(rest != 0)[0]))
                what = f"{graph.name_of(output)} is not 0 at [{at}], which the value does not read"
                _breach(after, f"{what} ({_given(trial)})")


def _read_by_all(graph: Graph, output: Output, read: Mapping[int, Numeric]) -> Numeric:
    """Where a derivative may be other than 0: the values read the entries of all inputs that it is taken by."""
    found: Numeric = np.True_
    first = len(graph.values[output.of].shape)
    for position in output.by:
        rank = len(graph.shapes[position])
        entries, after = read.get(position, np.False_), len(output.shape) - first - rank
        found = found & np.reshape(entries, (*np.shape(entries), *(1,) * after))
        first += rank
    return found


def _read_entries(graph: Graph, domains: Domains, values: Evaluation) -> dict[int, Numeric]:
    """Which entries of each input the value is made of."""
    read: dict[Node, Numeric] = {node: np.zeros(np.shape(values.values[node]), bool) for node in domains.order}

    def note(view: View, mesh: Mapping[int, Numeric]) -> None:
        at = [
            values.index(index, mesh) - low for index, (low, _) in zip(view.index, values.boxes[view.node], strict=True)
        ]
        if read[view.node].size:
            read[view.node][tuple(np.clip(p, 0, n - 1) for p, n in zip(at, read[view.node].shape, strict=True))] = True

    for output in graph.values:
        lengths = [numeric(extent, values.sizes) for extent in output.shape]
        note(output.view, dict(enumerate(np.ogrid[tuple(slice(length) for length in lengths)])) if lengths else {})
    for node in reversed(domains.order):
        if not read[node].any() or node.gate.name == "input":
            continue
        box, own = values.box(domains.of[node]), node.attribute
        mesh = dict(enumerate(np.ogrid[tuple(slice(low, high + 1) for low, high in box)]))
        where: Numeric = np.True_
        if isinstance(own, Reduction):
            for form in own.constraints:
                where = where & (values.index(form, mesh) >= 0)
        if node.gate.name not in MATRIX_RULES:
            out = own.out if isinstance(own, Reduction) else positional(node).index
            at = [values.index(index, mesh) - low for index, (low, _) in zip(out, values.boxes[node], strict=True)]
            inside = [(place >= 0) & (place < n) for place, n in zip(at, read[node].shape, strict=True)]
            at = [np.clip(place, 0, n - 1) for place, n in zip(at, read[node].shape, strict=True)]
            where = math.prod(inside, start=where) & read[node][tuple(at)]
        shape = [high - low + 1 for low, high in box]
        if not np.broadcast_to(where, shape).any():
            continue
        places = np.nonzero(np.broadcast_to(where, shape)) if shape else ()
        loops = {axis: place + box[axis][0] for axis, place in enumerate(places)}
        for edge in (*node.arguments, *node.gathered):
            note(edge, loops)
    return {node.position: entries for node, entries in read.items() if node.gate.name == "input"}


def _given(trial: Trial) -> str:
    return "with " + ", ".join(f"{name} = {number}" for name, number in trial.sizes.items())
