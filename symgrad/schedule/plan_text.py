"""The plan as text, with its reasons: what `symgrad emit --stage plan` prints."""

from __future__ import annotations

from ..graph.formula import formulas
from ..graph.graph import Graph
from ..graph.node import Node
from ..tables import visible
from .items import Item, Key, Sink, is_reduction
from .plan import Plan

_FORMULA = 60  # characters


def plan_text(graph: Graph) -> str:
    """Which axis is the data, and against which others; the passes; what is stored, and why; what is made by BLAS.

    Work is in iterations of loops, where every symbolic extent is some number.
    """
    if graph.over_points:
        return "every value is computed at one point after the other: there is nothing to plan"
    plan = Plan(graph)
    texts = formulas(graph.order(), graph.inputs, {}, _FORMULA)
    lines = ["data axis:"]
    for key, own in sorted(plan.candidates.items(), key=lambda pair: pair[1], reverse=True):
        kind = "symbolic" if own.is_symbolic else "known"
        mark = "  <- the data" if key == plan.data else ""
        lines.append(f"    {_name(plan, key)}: {kind} extent, work {own.work:.3g}, size {own.size}{mark}")
    if plan.data is None:
        lines.append("    none: nothing is summed over")
    for level in range(max(plan.level.values(), default=0) + 1):
        items = [
            item for item in plan.items if plan.level[item] == level and (isinstance(item, Sink) or item in plan.stored)
        ]
        before = [item for item in items if not plan.varies(item)]
        lines += [f"before pass {level}:", *(_line(plan, item, texts) for item in before)] if before else []
        inside = [item for item in items if plan.varies(item)]
        lines += [f"in pass {level}:", *(_line(plan, item, texts) for item in inside)] if inside else []
    sums = [node for node in plan.nodes if is_reduction(node) and node.gate.name == "sum" and node.loops == 3]
    if sums:
        lines.append("products of matrices:")
        lines += [f"    %{node.number}: {plan.why_no_product(node) or 'by BLAS'}" for node in sums]
    return "\n".join(map(visible, lines))


def _name(plan: Plan, key: Key) -> str:
    """A class of axes by the user's name for one of them."""
    item, axis = key
    of = f"%{item.number}" if isinstance(item, Node) else item.view
    return plan.labels.get(key) or f"axis {axis} of {of}"


def _line(plan: Plan, item: Item, texts: dict[Node, str]) -> str:
    if isinstance(item, Sink):
        output = item.output
        of = f"%{item.view.node.number}" if output is None or not output.by else plan.graph.name_of(output)
        return f"    {of}: an array, {item.purpose if output is None else output.role}"
    name = plan.graph.names.get(item)
    head = f"    %{item.number}" + (f" {name}" if name else "")
    return f"{head} = {texts.get(item, item.gate.name)}: stored, {plan.stored[item]}"
