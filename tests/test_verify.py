"""The verifier of graphs and programs: good ones that are broken by hand, and mendings that are taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import sympy as sp
from symgrad_codegen.program import (
    Accumulate,
    Affine,
    Assignment,
    Call,
    Element,
    Fill,
    LoopRange,
    Matrix,
    Nest,
    Pass,
    Product,
    Program,
    Storage,
    Store,
)
from symgrad_codegen.text.points import with_entries

import symgrad
from symgrad.analysis.extents import Domain, Extents
from symgrad.compiler import Stages
from symgrad.emission import program_of
from symgrad.errors import VerificationError
from symgrad.evaluate.trials import trials
from symgrad.gates.table import GATES
from symgrad.graph.affine import Index, Size, axis, number_index
from symgrad.graph.graph import Graph
from symgrad.graph.intern import InternTable
from symgrad.graph.node import Gather, Node, Reduction, View, positional
from symgrad.options import Options
from symgrad.schedule import groups
from symgrad.schedule.layout import Layout, Location
from symgrad.schedule.nests import NestBuilder
from symgrad.schedule.within import Within
from symgrad.transform.differentiate import differentiate
from symgrad.verify import verify_graph, verify_program

n, m, d, c = sp.symbols("n m d c", integer=True)
i, j, k, l, r = sp.symbols("i j k l r", integer=True)  # noqa: E741  # the letter of the mathematics
x, u = (sp.IndexedBase(name, shape=(n,)) for name in "xu")
w = sp.IndexedBase("w", shape=(m,))
X, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(d, c))
T = sp.IndexedBase("T", shape=(n, d, m))
lab = sp.IndexedBase("lab", shape=(n,), integer=True)
A = sp.MatrixSymbol("A", n, n)
Sum, exp = sp.Sum, sp.exp


def _stage(at: Any) -> Any:
    return exp(Sum(sp.sin(x[at] * w[j]), (j, 0, m - 1)))


LOW = Sum(exp(x[l] * w[r]), (l, 0, n - 1), (r, m - 1, m - 1))
KEPT = Sum(_stage(i) * _stage(i + 1), (i, 1, n - 2))
TRIANGLE = Sum(exp(x[i] * x[j]), (j, 0, i - 1), (i, 0, n - 1))
NET = Sum(sp.tanh(Sum(X[i, k] * W[k, j], (k, 0, d - 1))) * W[lab[i], j], (i, 0, n - 1), (j, 0, c - 1))
# Rows of a band, whose demand is not known to be the range of i: beyond n - 1 no call checks where T is gathered at.
BAND = Sum(
    exp(Sum(exp(X[k, 0]), (k, sp.Max(0, i - 1), sp.Min(m - 1, i + 1)))) * x[i] * T[i, sp.floor(i / 2), 0],
    (i, 0, n - 1),
)
# Terms arrive at the adjoint of the diagonal for all i, of which no product reads those from n - 1 on.
SCATTERED = Sum(sp.Product(exp(T[2 * j, i, i]) * x[i], (k, i + 1, n - 1)), (j, i, i), (i, 0, m - 1))
DETERMINANT = sp.log(sp.Determinant(A * A.T + sp.Identity(n)))


@pytest.fixture(autouse=True)
def unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the tests themselves verify, after something is broken."""
    monkeypatch.setenv("SYMGRAD_VERIFY", "0")


def made(expression: Any) -> tuple[Program, Graph]:
    stages = Stages(expression, None, None, ())
    options = Options("python", "float64", "fast")
    program = program_of(stages.simplified, stages.definition, options)
    assert isinstance(program, Program)
    return program, stages.definition


# --- programs ---------------------------------------------------------------------------------------------------------


def edited(part: Any, change: Callable[[Any], Any]) -> Any:
    """A program or a part of it with the first thing that `change` changes, outside in, from the start."""
    new, done = _edited(part, change)
    assert done, "nothing to change"
    return new


def _edited(part: Any, change: Callable[[Any], Any]) -> tuple[Any, bool]:
    new = change(part)
    if new is not None:
        return new, True
    if is_dataclass(part):
        for own in fields(part):
            inner, done = _edited(getattr(part, own.name), change)
            if done:
                return replace(part, **{own.name: inner}), True  # type: ignore[type-var]
    elif isinstance(part, tuple):
        for place, item in enumerate(part):
            inner, done = _edited(item, change)
            if done:
                items = [*part[:place], *([] if inner is ... else [inner]), *part[place + 1 :]]
                return (type(part)(*items) if hasattr(part, "_fields") else tuple(items)), True
    return part, False


def on(kind: type, where: Callable[[Any], bool], change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The change of the first part of some type; `...` leaves it out."""
    return lambda part: change(part) if isinstance(part, kind) and where(part) else None


def of_array(name: str) -> Callable[[Any], bool]:
    return lambda part: (part.target if isinstance(part, Store | Accumulate) else part).array == name


def shifted(element: Element, by: int, place: int = 0) -> Element:
    at = element.index[place]
    assert isinstance(at, Affine)
    index = [*element.index]
    index[place] = Affine(at.terms, at.offset + by)
    return element._replace(index=tuple(index))


def without_terms(element: Element) -> Element:
    return element._replace(index=tuple(Affine(at.terms[:1], at.offset) for at in element.index))  # type: ignore


def swapped(storage: Storage) -> Storage:
    return storage._replace(shape=storage.shape[::-1])


def last_loop_longer(nest: Nest) -> Nest:
    last = nest.loops[-1]
    longer = last._replace(high=tuple(Affine(form.terms, form.offset + 1) for form in last.high))
    return nest._replace(loops=(*nest.loops[:-1], longer))


def shorter(loop: LoopRange) -> LoopRange:
    return loop._replace(high=(Affine(loop.high[0].terms, loop.high[0].offset - 1),))


ANY = lambda part: True  # noqa: E731  # a condition of `on` like the others

BROKEN: dict[str, tuple[Any, Callable[[Any], Any], str]] = {
    # what is broken: the expression, how, and words of the message
    "a first index that is not subtracted": (
        KEPT,
        on(Store, of_array("all_total_1"), lambda s: s._replace(target=shifted(s.target, 1))),
        "all_total_1.* is outside of its array along axis 0",
    ),
    "the extent in an index left out": (
        LOW,
        on(Element, lambda e: e.array == "d_w_total" and len(e.index[0].terms) > 1, without_terms),
        r"d_w_total.* is read before it is filled|d_w_total.* is outside",
    ),
    "a masked read that is not held inside": (
        KEPT,
        on(Element, lambda e: e.array == "all_total_1" and e.clamped, lambda e: e._replace(clamped=())),
        r"all_total_1.* is outside of its array",
    ),
    "a mask left out": (
        LOW,
        on(Call, lambda e: e.function.name == "select", lambda e: e.arguments[1]),
        "d_w_total.* is read before it is filled",
    ),
    "nothing fills": (KEPT, on(Fill, of_array("total_1"), lambda _: ...), "total_1.*accumulated before it is filled"),
    "nothing fills what the data are summed in": (
        KEPT,
        on(Fill, of_array("value"), lambda _: ...),
        "the sum in value does not start from 0",
    ),
    "filled with another number": (
        LOW,
        on(Fill, of_array("d_w_total"), lambda fill: fill._replace(value=1.0)),
        "the sum in d_w_total does not start from 0",
    ),
    "filled too late": (
        LOW,
        lambda part: part[2:] + part[:2] if isinstance(part, tuple) and part and isinstance(part[0], Fill) else None,
        "does not start from 0",
    ),
    "a write that is shifted": (
        TRIANGLE,
        on(Store, of_array("d_x"), lambda s: s._replace(target=shifted(s.target, 1))),
        "d_x.* is outside of its array",
    ),
    "a sum that is shifted": (
        TRIANGLE,
        on(Accumulate, of_array("total_2"), lambda s: s._replace(target=shifted(s.target, -1))),
        "total_2.* is outside of its array",
    ),
    "a loop that runs too far": (KEPT, on(Nest, lambda nest: bool(nest.loops), last_loop_longer), "is outside of its"),
    "a loop that ends too early": (
        LOW,
        on(LoopRange, lambda loop: loop.low == (Affine(()),), shorter),
        r"d_w\[4\] is not filled",
    ),
    "data that are not gone through": (
        TRIANGLE,
        on(Pass, lambda step: step.low == Affine(()), lambda step: step._replace(low=Affine((), 1))),
        r"d_x\[0\] is not filled",
    ),
    "extents of an array the other way round": (
        NET,
        on(Storage, lambda own: own.name == "total_2", swapped),
        "total_2",
    ),
    "a row at another index of the data": (
        KEPT,
        on(Element, of_array("total_1"), lambda e: shifted(e, 1)),
        "total_1.* is not at the index of the data",
    ),
    "a row of a pass that is over": (
        KEPT,
        on(
            Element,
            lambda e: e.array == "all_total_1" and e.clamped,
            lambda e: e._replace(array="product_3"),
        ),
        "product_3.* is not at the index of the data",
    ),
    "an index that is no integer": (
        NET,
        on(Element, of_array("lab"), lambda e: Element("X", (e.index[0], Affine(())))),
        "an index of .* is no integer",
    ),
    "an entry that a nest never stores": (
        KEPT,
        on(Store, of_array("all_total_2"), lambda _: ...),
        "all_total_2.* is read before it is filled",
    ),
    "a name that is not made": (
        KEPT,
        on(Assignment, ANY, lambda _: ...),
        "product_1_ji is read before it is made",
    ),
    "an array that is not there": (
        KEPT,
        on(Storage, lambda own: own.name == "total_4", lambda _: ...),
        "no array total_4",
    ),
    "an input that is written": (
        TRIANGLE,
        on(Store, of_array("d_x"), lambda s: s._replace(target=s.target._replace(array="x"))),
        "the input x is written",
    ),
    "a sum over the data that is not joined": (
        KEPT,
        on(Pass, ANY, lambda step: step._replace(accumulated=step.accumulated[1:])),
        "accumulated in a pass that does not join its parts",
    ),
    "sums that are joined by a product": (
        KEPT,
        on(Pass, ANY, lambda step: step._replace(accumulated=(("product", "value"), *step.accumulated[1:]))),
        "the product in value does not start from 1",
    ),
    "a sum that is read while it grows": (
        KEPT,
        on(Store, of_array("all_total_1"), lambda s: s._replace(value=Element("d_w", (Affine(()),)))),
        "d_w.* is read while it is accumulated",
    ),
    "one entry for all data": (
        TRIANGLE,
        on(Store, of_array("d_x"), lambda s: s._replace(target=Element("d_x", (Affine(()),)))),
        "d_x.* is written for several indices of the data",
    ),
    "an entry that another index of the data writes": (
        KEPT,
        on(Accumulate, of_array("d_w"), lambda s: s._replace(value=Element("all_total_1", (Affine(()),)))),
        "all_total_1.* is written for another index of the data",
    ),
    "an input that is read outside": (
        TRIANGLE,
        on(Element, of_array("x"), lambda e: shifted(e, 1)),
        "x.* is outside of its array",
    ),
    "a factor of other extents": (
        NET,
        on(Product, ANY, lambda step: step._replace(left=step.left._replace(axes=step.left.axes[::-1]))),
        "W has 3 rows",
    ),
    "a product along other axes": (
        NET,
        on(Product, ANY, lambda step: step._replace(inner=step.row, row=step.inner)),
        "is no product of",
    ),
    "a product that overwrites": (
        NET,
        on(Product, lambda step: step.adds, lambda step: step._replace(adds=False)),
        "d_X is accumulated, or not",
    ),
    "a matrix that is not filled": (DETERMINANT, on(Nest, ANY, lambda _: ...), r"matrix_1\[0, 0\] is not filled"),
    "a matrix of other extents": (
        DETERMINANT,
        on(Matrix, lambda step: step.function == "inverse", lambda step: step._replace(target="value")),
        "inverse of shapes",
    ),
}


@pytest.mark.parametrize("expression", [LOW, KEPT, TRIANGLE, NET, DETERMINANT], ids=str)
def test_good_programs_pass(expression: Any) -> None:
    program, definition = made(expression)
    assert trials(definition)
    verify_program(program, definition)


@pytest.mark.parametrize("what", BROKEN)
def test_broken_programs_are_refused(what: str) -> None:
    expression, change, words = BROKEN[what]
    program, definition = made(expression)
    with pytest.raises(VerificationError, match=words) as raised:
        verify_program(edited(program, change), definition)
    assert "fault of symgrad" in str(raised.value)


def test_programs_of_points() -> None:
    a, b = sp.symbols("a b")
    stages = Stages(sp.sin(a * b) * exp(a * b), None, None, ())
    options = Options("python", "float64", "fast")
    program = program_of(stages.simplified, stages.definition, options)
    verify_program(program, stages.definition)
    for change, words in (
        (on(Assignment, ANY, lambda _: ...), "before it is made"),
        (on(Assignment, ANY, lambda own: own._replace(name="a")), "the input a is written"),
        (on(Store, of_array("d_b"), lambda _: ...), r"the gradient d_b.*d_b\[0\] is not filled"),
        (on(Store, of_array("value"), lambda own: own._replace(target=shifted(own.target, 1))), "value.* is outside"),
    ):
        with pytest.raises(VerificationError, match=words):
            verify_program(edited(with_entries(program), change), stages.definition)


# --- graphs -----------------------------------------------------------------------------------------------------------


def stage(expression: Any, name: str = "simplified") -> tuple[Graph, list[Any]]:
    stages = Stages(expression, None, None, ())
    graph: Graph = getattr(stages, name)
    return graph, trials(stages.graph)


def changed(gate: str, **attributes: Callable[[Node], Any]) -> Callable[[Graph], Graph]:
    """The first node of a gate with other attributes."""

    def change(graph: Graph) -> Graph:
        node = next(node for node in graph.order() if node.gate.name == gate)
        for name, new in attributes.items():
            setattr(node, name, new(node))
        return graph

    return change


def with_edge(gate: str, place: int, new: Callable[[Node, View], View]) -> Callable[[Graph], Graph]:
    """The first node of a gate with another argument."""

    def edges(node: Node) -> tuple[View, ...]:
        own = node.arguments
        return (*own[:place], new(node, own[place]), *own[place + 1 :])

    return changed(gate, arguments=edges)


def constrained(node: Node) -> Reduction:
    own: Reduction = node.attribute
    return Reduction(own.out, own.constraints[1:])


def with_gradient(graph: Graph, view: View) -> Graph:
    return replace(graph, outputs=(*graph.values, replace(graph.derivatives[0], view=view)))


BRANCH = Sum(sp.Piecewise((sp.log(x[i]), x[i] > 0), (0, True)), (i, 0, n - 1))
GATHER = Sum(T[j, lab[j], m - 1] ** 2, (j, 0, n - 1))
OTHER = InternTable(dict(GATES))

# What is broken: the expression, how, and words of the message.
BROKEN_GRAPHS: dict[str, tuple[Any, Callable[[Graph], Graph], str]] = {
    "a value at one index less": (
        TRIANGLE,
        lambda graph: graph.with_values([View(graph.order()[0])]),
        "the output value reads %0 of rank 1 at 0 places",
    ),
    "a value with a free axis": (
        TRIANGLE,
        lambda graph: graph.with_values([positional(graph.order()[0])]),
        "the output value has axis 0 in axis0, of 0 loops",
    ),
    "a gradient over more axes": (
        x[0] ** 2,
        lambda graph: with_gradient(graph, View(graph.values[0].view.arguments[0].node, (axis(1),))),
        "the output d_x has axis 1",
    ),
    "a gradient of another shape": (
        TRIANGLE,
        lambda graph: replace(graph, outputs=(*graph.values, replace(graph.derivatives[0], shape=()))),
        "the output d_x has another shape",
    ),
    "a gradient of no value": (
        TRIANGLE,
        lambda graph: replace(graph, outputs=(*graph.values, replace(graph.derivatives[0], of=1))),
        "the output d_x is of no value",
    ),
    "a rank": (TRIANGLE, changed("exp", rank=lambda node: node.rank + 1), "loops over 2 axes, and has rank 3"),
    "a rank of a sum": (TRIANGLE, changed("sum", rank=lambda node: node.rank + 1), "places for rank"),
    "an index left out": (
        TRIANGLE,
        with_edge("exp", 0, lambda _, edge: View(edge.node, edge.index[:1])),
        "of rank 2 at 1 places",
    ),
    "an axis above the loops": (
        TRIANGLE,
        with_edge("exp", 0, lambda _, edge: View(edge.node, (edge.index[0], axis(2)))),
        "an argument has axis 2 in axis2, of 2 loops",
    ),
    "an extent that nothing tells": (
        TRIANGLE,
        with_edge("exp", 0, lambda _, edge: View(edge.node, (edge.index[0], Index(((Size("q"), 1),))))),
        "the extent q in q, which nothing tells",
    ),
    "an index that is no integer": (
        GATHER,
        with_edge("mul", 0, lambda node, edge: View(edge.node, (axis(0), Gather(edge), number_index(0)))),
        "which is no integer",
    ),
    "a node of another table": (
        TRIANGLE,
        with_edge("exp", 0, lambda _, edge: OTHER.apply(GATES["exp"], OTHER.input(0, (0, 1)))),
        "is of another table",
    ),
    "an argument that is made later": (
        TRIANGLE,
        with_edge("exp", 0, lambda node, _: positional(node)),
        "which is not made before it in its table",
    ),
    "an input that is not there": (TRIANGLE, changed("input", attribute=lambda _: 1), "is input 1 of 1"),
    "an input of another rank": (TRIANGLE, changed("input", rank=lambda _: 2, loops=lambda _: 2), "the input rank 1"),
    "a number as a condition": (
        BRANCH,
        with_edge("select", 0, lambda node, _: node.arguments[1]),
        "an argument of kind real",
    ),
    "a condition as a number": (
        BRANCH,
        with_edge("select", 1, lambda node, _: node.arguments[0]),
        "an argument of kind boolean",
    ),
    "a constant that is none": (DETERMINANT, changed("constant", attribute=lambda _: 0.5), "is no number"),
    "an extent that is none": (x[0] / n, changed("size", attribute=lambda _: "n"), "is a size with 'n'"),
    "an operation with a number": (TRIANGLE, changed("exp", attribute=lambda _: 2), "is a exp with 2"),
    "a sum without a domain": (TRIANGLE, changed("sum", attribute=lambda _: None), "is a sum with None"),
    "a constraint left out": (TRIANGLE, changed("sum", attribute=constrained), "its loops have|is not known|not 0"),
    "a constraint over a further axis": (
        TRIANGLE,
        changed("sum", attribute=lambda node: Reduction(node.attribute.out, (axis(node.loops),))),
        "its domain has axis",
    ),
    "extents of a matrix": (
        DETERMINANT,
        changed("inverse", attribute=lambda node: node.attribute[1:]),
        "has 3 extents for 4 loops",
    ),
}


@pytest.mark.parametrize("name", ["graph", "gradient", "simplified"])
@pytest.mark.parametrize("expression", [x[0], LOW, KEPT, TRIANGLE, NET, DETERMINANT, BRANCH, GATHER], ids=str)
def test_good_graphs_pass(expression: Any, name: str) -> None:
    graph, tried = stage(expression, name)
    verify_graph(graph, name, tried)


@pytest.mark.parametrize("what", BROKEN_GRAPHS)
def test_broken_graphs_are_refused(what: str) -> None:
    expression, change, words = BROKEN_GRAPHS[what]
    graph, tried = stage(expression)
    with pytest.raises(VerificationError, match=words) as raised:
        verify_graph(change(graph), "test", tried)
    assert "graph after test" in str(raised.value)


def test_gradient_where_the_value_reads_nothing() -> None:
    graph, tried = stage(Sum(x[i] ** 2, (i, 1, n - 2)), "gradient")
    verify_graph(graph, "differentiate", tried)
    everywhere = View(graph.table.constant(1).node)
    with pytest.raises(VerificationError, match=r"d_x is not 0 at \[0\], which the value does not read"):
        verify_graph(with_gradient(graph, everywhere), "differentiate", tried)


# --- mendings that are taken back -------------------------------------------------------------------------------------


def verified(expression: Any) -> None:
    """Every stage, as under SYMGRAD_VERIFY=1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMGRAD_VERIFY", "1")
        symgrad.emit(expression, target="python")


def indices_without_extents(self: NestBuilder, item: Any, own: int) -> list[Affine]:
    low, high = self.plan.bounds(item, own)
    return [Affine((), number) for number in range(low.offset, high.offset + 1)]


def from_without_extents(self: Layout, at: Any, low: Index) -> Any:
    return Affine(at.terms, at.offset - low.offset) if isinstance(at, Affine) else at


def stored_from_zero(self: Layout, sink: Any, array: str) -> None:
    self.locations[sink] = Location(array, tuple(range(sink.rank)), (Index(()),) * sink.rank)


S = sp.MatrixSymbol("S", 3, 2)
TWO_RANGES = Sum(x[n - 1 - j] * x[j], (j, 1, 1)) + Sum(x[n - 1 - j] * x[j], (j, 3, n - 2))


def every_extent_is_above_zero(self: Extents, form: Index) -> bool:
    return all(factor > 0 for _, factor in form.terms) and form.offset + sum(f for _, f in form.terms) >= 0


# What was mended: where, what stood there, and programs that were wrong.
TAKEN_BACK: dict[str, tuple[Any, str, Any, list[Any]]] = {
    "the first of some written out indices may be symbolic": (
        NestBuilder,
        "_indices",
        indices_without_extents,
        [LOW],
    ),
    "first indices that are symbolic are subtracted": (Layout, "_from", from_without_extents, [LOW]),
    "what is kept is written from its first index": (Layout, "_place_sink", stored_from_zero, [KEPT, TWO_RANGES]),
    "a diagonal is read when it is made": (
        groups,
        "_is_written_out",
        lambda layout, item, at, bounds: True,
        [sp.Trace((S * S.T).applyfunc(sp.sin))],
    ),
    "extents may be 0, and derived ones less": (
        Extents,
        "_say",
        every_extent_is_above_zero,
        [
            Sum(sp.Piecewise((x[0], j < 2), (0, True)), (j, 0, m - 1)),
            Sum(sp.KroneckerDelta(1, j) * x[0], (j, 0, m - 1)),
            Sum(sp.Piecewise((x[0], sp.Ne(j, 3)), (0, True)), (j, 0, m - 1)),
        ],
    ),
    "an index is checked where other loops are empty": (
        Domain,
        "of_loops",
        lambda self, axes: self,
        [sp.Product(x[lab[j]], (j, 0, n - 1), (i, 0, d - 1))],
    ),
    "terms that nobody reads have no place": (Within, "_demanded", lambda self, node: [], [SCATTERED]),
    "an index is held where loops go beyond those that are checked": (
        Within,
        "_is_checked",
        lambda self, array, axis, loops: bool(loops) and self.begins_inside,
        [BAND],
    ),
}


@pytest.mark.parametrize(
    ("what", "expression"),
    [(what, e) for what, row in TAKEN_BACK.items() for e in row[3]],
    ids=lambda own: str(own)[:40],
)
def test_mendings_taken_back_are_refused(what: str, expression: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    verified(expression)
    owner, name, old, _ = TAKEN_BACK[what]
    monkeypatch.setattr(owner, name, old)
    with pytest.raises(VerificationError):
        verified(expression)


def test_a_value_that_is_one_entry() -> None:
    """What it was when the gradient of one entry was that of all."""
    graph, tried = stage(x[0], "graph")
    entry = graph.with_values([View(graph.order()[0], (number_index(0),))])
    with pytest.raises(VerificationError, match="the output value is one entry of"):
        verify_graph(entry, "lower", tried)
    gradient = differentiate(entry, [0])
    with pytest.raises(VerificationError, match=r"d_x is not 0 at \[1\], which the value does not read"):
        verify_graph(replace(gradient, outputs=(*graph.values, *gradient.derivatives)), "differentiate", tried)


def test_an_entry_of_a_matrix_that_is_computed_is_checked_at_the_call() -> None:
    _graph, tried = stage((A**-1)[0, 1], "graph")
    assert tried
    assert min(trial.sizes["n"] for trial in tried) == 2
