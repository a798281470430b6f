"""Lowering: from SymPy expressions to a graph of their values, and its inputs.

Scalar expressions become a graph of rank-1 nodes over points. Those with arrays, or with sums that are not written out,
become a graph whose inputs have the ranks of their declarations, and whose extents are symbolic.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sympy

from ..analysis.domains import Domains
from ..errors import UnsupportedExpression
from ..gates.table import GATES
from ..graph.affine import Axis, Index, Size, axis
from ..graph.graph import Graph, Output, as_node, over_points, sizes_of
from ..graph.intern import InternTable
from ..graph.node import Gather, Node, View
from ..reductions import Family
from . import blocks, matrices, regions
from .indexed import ArrayLowering
from .scalars import Lowering
from .share_gathers import share_gathers
from .survey import ARRAYS, Found, Input, input_of, is_array_valued, survey
from .unsupported import describe

# Importing what lowers a class files it.
FILED = (matrices, blocks, regions)

# The one axis that a scalar expression has when it is evaluated at many points: its own first axis.
POINTS = 0


class Written(NamedTuple):
    """What is lowered, and how."""

    expressions: Sequence[sympy.Basic]
    output_names: Sequence[str]  # of each expression, where there are several; empty where it has none
    gates: Iterable[type]
    names: Mapping[str, sympy.Basic]

    def outputs(self) -> Iterator[tuple[sympy.Basic, str]]:
        """Each of the expressions, and its name."""
        return zip(self.expressions, self.output_names, strict=True)


def lower(
    expressions: sympy.Basic | Sequence[sympy.Basic],
    arguments: Sequence[Input] | None = None,
    gates: Iterable[type] = (),
    names: Mapping[str, sympy.Basic] | None = None,
    extents: Mapping[Any, int] | None = None,
    output_names: Sequence[str] = (),
) -> tuple[Graph, tuple[Input, ...]]:
    """The graph of some expressions, or of one, and its inputs in order (`arguments`, else what is free, by name).

    `gates` are functions made by `symgrad.gate`; `names` are the user's names for sub-expressions, `output_names` those
    of the outputs; `extents` are numbers for symbolic extents. Raises UnsupportedExpression for what symgrad does not
    compile and ValueError where `arguments` lacks an input.
    """
    outputs = [expressions] if isinstance(expressions, sympy.Basic) else expressions
    written = Written(outputs, output_names or [""] * len(outputs), gates, names or {})
    found = survey(*outputs)
    if found.is_scalar:
        if extents:
            raise ValueError("extents are for arrays of symbolic size, and this expression has scalars only")
        return _lower_scalars(written, found, arguments)
    return _lower_arrays(written, found, arguments, extents or {})


def _lower_scalars(
    written: Written, found: Found, arguments: Sequence[Input] | None
) -> tuple[Graph, tuple[Input, ...]]:
    inputs = _inputs(found.symbols, arguments, ())
    table = InternTable(dict(GATES))
    views = {symbol: table.input(i, (POINTS,)) for i, symbol in enumerate(inputs)}
    lowering = Lowering(table, views, written.gates)
    values = [_real(lowering, expression, name) for expression, name in written.outputs()]
    labels = _labels(lowering, written.names, set(inputs))
    return over_points(table, [symbol.name for symbol in inputs], values, labels, written.output_names), inputs


def extent_of(key: Any, number: Any) -> int:
    """A number that is given for an extent. Raises ValueError where it is none, or negative."""
    try:
        length = operator.index(number)
    except TypeError:
        raise ValueError(f"the extent {key} is {number!r}: an extent is an integer") from None
    if length < 0:
        raise ValueError(f"the extent {key} is {length}: an extent is at least 0")
    return length


def _lower_arrays(
    written: Written, found: Found, arguments: Sequence[Input] | None, extents: Mapping[Any, int]
) -> tuple[Graph, tuple[Input, ...]]:
    if found.has_array_expressions:
        from . import array_expressions  # noqa: F401  # files its rows; rarely used, and slow to import
    known = {getattr(key, "name", key): extent_of(key, number) for key, number in extents.items()}
    unknown = sorted(set(known) - {symbol.name for symbol in found.sizes})
    if unknown:
        sizes = ", ".join(sorted(symbol.name for symbol in found.sizes)) or "none"
        raise ValueError(f"extents names {unknown[0]!r}, which is no symbolic extent here; they are: {sizes}")
    wanted = found.symbols | found.arrays.keys()
    inputs = _inputs(wanted, arguments, [symbol for symbol in found.sizes if symbol.name not in known])
    graph = _array_graph(written, inputs, found, known)
    if arguments is None:
        # Which extents an array's shape tells shows when shapes are known; they are no inputs of their own.
        determined = determined_sizes(graph)
        kept = tuple(s for s in inputs if s in wanted or s.name not in determined)
        if kept != inputs:
            inputs = kept
            graph = _array_graph(written, inputs, found, known)
    _check_extents(graph, inputs, found)
    return graph, inputs


def _check_extents(graph: Graph, inputs: tuple[Input, ...], found: Found) -> None:
    given = {symbol.name for symbol in inputs if symbol in found.sizes} | determined_sizes(graph)
    names = {term.name for term in sizes_of(graph)}
    missing = sorted(name for name in names if name not in given and ".shape[" not in name)
    if missing:
        is_index = any(symbol.name == missing[0] for symbol in found.positions)
        what = ("index", "no sum binds; sum over it, or") if is_index else ("extent", "no array's shape tells;")
        raise ValueError(f"args lacks the {what[0]} {missing[0]!r}, which {what[1]} add it to args")


def _array_graph(written: Written, inputs: tuple[Input, ...], found: Found, known: Mapping[str, int]) -> Graph:
    table = InternTable(dict(GATES))
    lowering = ArrayLowering.of(table, inputs, found, written.gates, known)
    outputs = tuple(_output(lowering, expression, name) for expression, name in written.outputs())
    integers = frozenset(lowering.arrays.integers)  # of what is read; what a name means may not be
    graph = Graph(
        table,
        tuple(symbol.name for symbol in inputs),
        outputs,
        tuple(lowering.shape(position) for position in range(len(inputs))),
        _array_labels(lowering, written.names, set(inputs)),
        integers=integers,
        labels={
            node: tuple(lowering.arrays.axis_names.get(name, "") for name in names)
            for node, names in table.loop_names.items()
        },
    )
    return share_gathers(_with_inferred_shapes(graph))


def _output(lowering: ArrayLowering, expression: sympy.Basic, name: str) -> Output:
    """The output that an expression is: a number, or an array over axes 0 .. rank - 1."""
    body = expression.body if isinstance(expression, Family) else expression
    value = _real(lowering, body, name)
    names, lengths = _axes_of(lowering, expression)
    if unbound := [own for own in value.axes if own not in names]:
        found = sorted(lowering.arrays.axis_names[own] for own in unbound if own in lowering.arrays.axis_names)
        index = f"index {found[0]} is" if len(found) == 1 else f"indices {', '.join(found)} are"
        axes = ", ".join(f"({own}, n)" for own in found)
        raise UnsupportedExpression(
            f"{describe(expression)} is no single number: the {index} bound by no Sum; sum over it, or make an array "
            f"of all values with symgrad.family(..., {axes})"
        )
    if not names:
        return Output(as_node(value), name=name)
    at = {own: axis(place) for place, own in enumerate(names)}
    value = value.at(at)
    is_read = value.node.gate.name == "input" or any(isinstance(index, Gather) for index in value.index)
    return Output(as_node(value) if is_read else value, tuple(map(lowering.affine, lengths)), name=name)


def _axes_of(lowering: ArrayLowering, expression: sympy.Basic) -> tuple[Sequence[Axis], Sequence[sympy.Basic]]:
    """The axes that the view of an array has, and how long they are; none of a number."""
    if isinstance(expression, Family):
        return [lowering.axis_of[symbol] for symbol in expression.indices], expression.shape
    if not is_array_valued(expression):
        return (), ()
    return lowering.numbered_axes(len(expression.shape)), expression.shape


def _with_inferred_shapes(graph: Graph) -> Graph:
    """Undeclared extents, as far as the expression says them: x[i] for i < n has the extent n.

    What is read of an axis is its extent where that is just a symbol, or tells a symbol that nothing else does; else
    the axis may be longer than what is read of it.
    """
    domains = Domains(replace(graph, derived={}), undeclared=True)
    nodes = {node.position: node for node in graph.order() if node.gate.name == "input"}
    shapes = [list(shape) for shape in graph.shapes]
    demanded: list[tuple[int, int, Index]] = []
    for position, shape in enumerate(shapes):
        for at, extent in enumerate(shape):
            bound = domains.of[nodes[position]].bounds[at] if position in nodes else None
            if _is_own(extent) and bound is not None and len(bound[1].terms) == 1:
                demanded.append((position, at, bound[1].plus(1)))
    determined = {size for shape in shapes for extent in shape for size in _determined(extent)}
    for position, at, extent in sorted(demanded, key=lambda entry: entry[2].offset != 0 or entry[2].terms[0][1] != 1):
        (size,) = _determined(extent)
        is_plain = extent.offset == 0 and extent.terms[0][1] == 1
        if size.name not in domains.derived and (is_plain or size not in determined):
            shapes[position][at] = extent
            determined.add(size)
    return replace(graph, shapes=tuple(map(tuple, shapes)))


def _determined(extent: Index) -> set[Size]:
    """The symbolic extent that an array's length determines."""
    terms = [term for term, _ in extent.terms if isinstance(term, Size)]
    return set(terms) if len(terms) == 1 and not _is_own(extent) else set()


def _is_own(extent: Index) -> bool:
    return any(isinstance(term, Size) and ".shape[" in term.name for term, _ in extent.terms)


def determined_sizes(graph: Graph) -> set[str]:
    """The symbolic extents that the shapes of arrays determine."""
    return {size.name for shape in graph.shapes for extent in shape for size in _determined(extent)}


def _real(lowering: Lowering, expression: sympy.Basic, name: str) -> View:
    value = lowering(expression)
    if value.node.kind == "boolean":
        what = f"{describe(expression)} ({type(expression).__name__})"
        raise UnsupportedExpression(
            f"{f'the output {name}, {what},' if name else what} is a condition, not a number; "
            "write Piecewise((1, condition), (0, True)) for its truth value"
        )
    return value


def _labels(lowering: Lowering, names: Mapping[str, sympy.Basic], inputs: set[Any]) -> dict[Node, str]:
    labels: dict[Node, str] = {}
    for name, meaning in names.items():
        if id(meaning) not in lowering.memo:  # no part of the expression: it may read what is no input
            found = survey(meaning)
            if (found.symbols | found.arrays.keys()) - inputs:
                continue
        node = lowering(meaning).node
        if node.gate.name not in ("input", "constant", "size", "position"):
            labels.setdefault(node, name)
    return labels


def _array_labels(lowering: ArrayLowering, names: Mapping[str, sympy.Basic], inputs: set[Any]) -> dict[Node, str]:
    """The same where there are arrays: a name's meaning may hold indices that nothing binds, those of its element."""
    arrays = lowering.arrays
    for meaning in names.values():
        for symbol in survey(meaning).sizes - arrays.found.sizes - arrays.axis_of.keys():
            arrays.axis_of[symbol] = lowering.table.fresh()
    return _labels(lowering, names, inputs)


def _inputs(found: set[Input], arguments: Sequence[Input] | None, sizes: Iterable[sympy.Symbol]) -> tuple[Input, ...]:
    """The inputs in order: `arguments`, else all of `found` and `sizes` by name."""
    if arguments is None:
        return tuple(sorted({*found, *sizes}, key=natural_order))
    inputs = tuple(map(input_of, arguments))
    seen = set()
    for symbol in inputs:
        if not isinstance(symbol, (sympy.Symbol, *ARRAYS)):
            raise TypeError(f"args must be SymPy symbols, not {symbol!r} of class {type(symbol).__name__}")
        if symbol in seen:
            raise ValueError(f"args names the symbol {symbol.name!r} twice")
        seen.add(symbol)
    missing = sorted(found - set(inputs), key=natural_order)
    if missing:
        same = [symbol.name for symbol in missing if any(symbol.name == other.name for other in inputs)]
        hint = f" (args has another symbol named {same[0]!r}, with other assumptions)" if same else ""
        listed = ", ".join(repr(symbol.name) for symbol in missing)
        raise ValueError(f"args lacks the symbol {listed} that the expression uses{hint}")
    return inputs


def natural_order(symbol: Any) -> tuple[Any, ...]:
    """By name, digits by value (x2 before x10), then by assumptions; dummies of one name by their number."""
    parts = tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d{1,18})", symbol.name)
        if part
    )
    known = getattr(symbol, "assumptions0", {})
    assumptions = tuple(sorted(f"{key}={value}" for key, value in known.items()))
    return parts, assumptions, getattr(symbol, "dummy_index", 0)


def free_symbols(*expressions: sympy.Basic) -> set[Any]:
    """The inputs of expressions: symbols and arrays. SymPy's `free_symbols` does not terminate on shared graphs."""
    found = survey(*expressions)
    return {*found.symbols, *found.arrays, *found.sizes}
