"""Where a node matters: the conditions and domains under which any of its readers does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from ..analysis.domains import Domains
from ..gates.linear_algebra import MATRIX_RULES
from ..gates.table import GATES
from ..graph.affine import Index, axis, substituted
from ..graph.gate import Gate
from ..graph.intern import InternTable
from ..graph.node import AnyIndex, Builder, Gather, Node, Reduction, View, plain_axis, positional
from ..graph.sums import guarded


def keeps_axes(node: Node) -> bool:
    """Whether a node's own axes are the first ones that it loops over."""
    is_scatter = isinstance(node.attribute, Reduction) and not node.attribute.is_plain
    return not is_scatter and node.gate.name not in MATRIX_RULES


def single_axis(index: AnyIndex) -> int | None:
    """The axis of an index expression that says which index it is of: i, i + 1, n - 1 - i."""
    if isinstance(index, Index) and len(index.axes) == 1 and abs(index.coefficient(index.axes[0])) == 1:
        return index.axes[0]
    return None


def loops_of_argument(index: tuple[AnyIndex, ...]) -> dict[int, Index]:
    """The reader's axes in terms of the argument's: what is read at i + 1 is at p where the reader is at i = p - 1."""
    names: dict[int, Index] = {}
    for position, at in enumerate(index):
        name = single_axis(at)
        if name is not None and name not in names:
            assert isinstance(at, Index)
            factor = at.coefficient(name)
            names[name] = axis(position).minus(at.minus(axis(name).scaled(factor))).scaled(factor)
    return names


def limits_of_argument(
    argument: Node, index: tuple[AnyIndex, ...], limits: Sequence[Index], domains: Domains
) -> frozenset[Index]:
    """Where an argument is read by loops with these limits: forms >= 0 that do not hold wherever it is needed."""
    names = loops_of_argument(index)
    found = [substituted(form, names) for form in limits if all(name in names for name in form.axes)]
    for position, at in enumerate(index):
        if isinstance(at, Index) and not at.axes:
            found += [axis(position).minus(at), at.minus(axis(position))]
    return domains.besides(domains.indices(argument), found)


def varying_nodes(order: list[Node], wrt: set[int]) -> set[Node]:
    """The real-valued nodes that depend on an input that is differentiated for."""
    varying: set[Node] = set()
    for node in order:
        is_wanted = node.gate.name == "input" and node.position in wrt
        if (
            node.kind == "real"
            and node.gate.name != "detached"
            and (is_wanted or not varying.isdisjoint([edge.node for edge in node.arguments]))
        ):
            varying.add(node)
    return varying


# By which an argument loses against another one, or against the result.
EXTREMES: dict[str, Callable[[View, View], View]] = {
    "max": lambda own, other: own < other,
    "min": lambda own, other: own > other,
    "largest": lambda own, other: own < other,
    "smallest": lambda own, other: own > other,
}


def argument_conditions(node: Node, active: View | None, extremes: bool = False) -> list[View | None]:
    """Where each argument of `node` matters, if `node` does where `active` holds; None is everywhere.

    With `extremes` an argument of Max and Min matters where it does not lose.
    """
    conditions: list[View | None] = [active] * len(node.arguments)
    y, loses = positional(node), EXTREMES.get(node.gate.name)
    if node.gate.name == "select":
        condition = y.arguments[0]
        sides = [condition, condition.call("not")]
        conditions[1:] = [side if active is None else active.call("and", side) for side in sides]
    elif extremes and loses is not None:
        others = y.arguments[::-1] if len(node.arguments) == 2 else (y,) * len(node.arguments)
        sides = [loses(own, other).call("not") for own, other in zip(y.arguments, others, strict=True)]
        conditions = [side if active is None else active.call("and", side) for side in sides]
    return conditions


def at_argument(condition: View, edge: View) -> View | None:
    """A condition over the axes of a reader as one over those of its argument.

    None where it depends on other axes: it says nothing of the argument as a whole.
    """
    is_own = edge.index is edge.node.own.index
    if is_own and (condition.index is edge.index or all(name < len(edge.index) for name in condition.axes)):
        return condition
    names = {name: axis(at) for at, index in enumerate(edge.index) if (name := plain_axis(index)) is not None}
    return condition.at(names) if all(name in names for name in condition.axes) else None


def _matters_at_argument(condition: View | None, edge: View, limits: Sequence[Index]) -> View:
    """Where an argument matters to some of the loops of its reader: those within `limits` where `condition` holds.

    Of what is gathered those entries matter that some loop reads.
    """
    parts = [] if condition is None else conjuncts(condition)
    known = [own for part in parts if (own := at_argument(part, edge)) is not None]
    rest = [part for part in parts if at_argument(part, edge) is None]
    gathered = {at: index.view for at, index in enumerate(edge.index) if isinstance(index, Gather)}
    if rest or gathered:
        table = edge.node.table
        names = loops_of_argument(edge.index)
        forms = [index for part in (*rest, *gathered.values()) for index in map(axis, part.axes)] + list(limits)
        missing = dict.fromkeys(name for form in forms for name in form.axes if name not in names)
        fresh = {name: table.fresh() for name in missing}
        moved = {**names, **{name: axis(own) for name, own in fresh.items()}}
        asked = [part.at(moved) for part in rest]
        asked += [view.at(moved).equals(table.position(axis(at))) for at, view in gathered.items()]
        holds = all_of(asked)
        if missing:
            within = [substituted(form, moved) for form in limits if not missing.keys().isdisjoint(form.axes)]
            holds = table.reduce(GATES["largest"], holds.where(1, 0), fresh.values(), within) > 0
        known.append(holds)
    return all_of(known)


def conjuncts(condition: View) -> list[View]:
    """The conditions that all hold where a condition does."""
    if condition.node.gate.name != "and":
        return [condition]
    return [part for argument in condition.arguments for part in conjuncts(argument)]


def all_of(conditions: list[View]) -> View:
    """Where all of them hold."""
    return conditions[0] if len(conditions) == 1 else conditions[0].call("and", *conditions[1:])


class Use(NamedTuple):
    """A use of a node, over its own axes: where a condition holds (None: always) and affine forms are >= 0."""

    condition: View | None
    limits: frozenset[Index] = frozenset()
    is_flat: bool = False  # by a step, which hands nothing on

    def holds(self, common: frozenset[Index], table: Builder) -> View | None:
        """The use as one condition, for where the forms of `common` are >= 0 anyway."""
        limits = sorted(self.limits - common, key=repr)
        if self.condition is not None and limits:  # outside of them nothing is read to decide it
            return guarded(self.condition.where(1, 0), limits) > 0
        conditions = [_is_at_least_zero(form, table) for form in limits]
        return all_of(conditions) if conditions else self.condition


def _is_at_least_zero(form: Index, table: Builder) -> View:
    """Whether an affine form is >= 0, as one writes it: i < j + 1."""
    above = Index(tuple((term, factor) for term, factor in form.terms if factor > 0), form.offset + 1)
    below = above.minus(form.plus(1))
    return table.position(below) < table.position(above)


def activity(
    order: list[Node],
    varying: set[Node],
    roots: Iterable[Node],
    domains: Domains | None = None,
    *,
    extremes: bool = False,
    slopes: bool = False,
) -> dict[Node, View | None]:
    """For each varying node the condition under which any of its readers matters; None for always, as for the `roots`.

    What is read inside branches only, or on some domains only, may be NaN elsewhere: it matters where one of these
    branches is taken, on one of these domains. What a condition reads has no gradient and counts for nothing. Inputs
    are outside of all branches. With `extremes` the arguments of Max and Min are branches, too, taken where they do not
    lose; with `slopes` a step does not count among several readers.
    """
    read_at: dict[Node, list[Use]] = {}
    everywhere = set(roots)  # what a reader needs that matters everywhere, whatever the others do
    active: dict[Node, View | None] = {}
    for node in reversed(order):
        if node not in varying or (node not in read_at and node not in everywhere):
            continue
        uses = read_at.pop(node, [])
        if node.gate.name == "input" or node in everywhere:
            active[node] = None
        else:
            active[node] = _joined([use for use in uses if not use.is_flat] or uses, node.table)
        limits = domains.of[node].constraints() if domains is not None else []
        is_flat = slopes and _is_step(node)
        is_branch = node.gate.name == "select" or (extremes and node.gate.name in EXTREMES)
        if domains is None and active[node] is None and not is_flat and not is_branch:
            everywhere.update([edge.node for edge in node.arguments if edge.node in varying])
            continue
        for edge, where in zip(node.arguments, argument_conditions(node, active[node], extremes), strict=True):
            if edge.node in varying:
                condition = None if where is None else at_argument(where, edge)
                limited: frozenset[Index] = frozenset()
                if domains is not None:
                    is_unsaid = where is not None and condition is None
                    if keeps_axes(node) and (is_unsaid or _is_chosen_from(edge)):
                        condition = _matters_at_argument(where, edge, limits)
                    limited = limits_of_argument(edge.node, edge.index, limits, domains)
                read_at.setdefault(edge.node, []).append(Use(condition, limited, is_flat))
    return active


def _is_chosen_from(edge: View) -> bool:
    """Whether entries of something computed are read that only its values tell."""
    return edge.node.gate.name != "input" and any(isinstance(index, Gather) for index in edge.index)


def _is_step(node: Node) -> bool:
    return node.attribute is None and len(node.arguments) == 1 and _is_flat(node.gate)


@cache
def _is_flat(gate: Gate) -> bool:
    """Whether a function of one argument has the slope 0 wherever it has one, as sign, floor and ceiling."""
    if gate.local_gradients is None or gate.kind != "real":
        return False
    table = InternTable(GATES)
    argument = table.input(0, ())
    return bool(gate.local_gradients(table.apply(gate, argument), argument)[0].number == 0)


def _joined(uses: list[Use], table: Builder) -> View | None:
    """Whether a node matters in any of its uses; what all of them ask of its axes goes with the contributions."""
    common = frozenset.intersection(*(use.limits for use in uses))
    found = list(dict.fromkeys(use.holds(common, table) for use in uses))
    conditions = [condition for condition in found if condition is not None]
    if len(conditions) < len(found):
        return None
    return conditions[0] if len(conditions) == 1 else conditions[0].call("or", *conditions[1:])
