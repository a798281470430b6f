"""Kernels that a kernel makes: its Jacobian, its Hessian and products with these, called with a point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from ..emission import passed, source_of
from ..errors import ShapeError, SymgradError
from ..graph.affine import Index
from ..graph.graph import POINTWISE, Graph, no_collection
from ..outputs import Block
from ..result import by_name
from ..stats import Stats
from ..transform.derive import Derivative, Wanted
from .compiled import Compiled, is_compiled


def derived(compiled: Compiled, derivative: Derivative) -> Compiled:
    """The same expressions with another derivative; of a product with the directions or weights as further inputs."""
    if derivative == "weighted_hessian" and compiled.options.sparse is None:
        raise SymgradError("the Hessian of a weighted sum is sparse: compile the kernel with sparse as well")
    if derivative in ("hessian", "hvp") and not compiled.outputs.is_number:
        raise SymgradError(
            f"a Hessian is of one number, and this kernel has {len(compiled.outputs.names)} outputs; "
            "compile a sum of them, times weights that are symbols"
        )
    if compiled.given is not None:
        raise SymgradError("a kernel that another one has made makes none itself")
    symbols, shapes = _inputs(compiled, derivative)
    definition = _with_inputs(compiled.definition, symbols, shapes)
    positions = [compiled.args.index(symbol) for symbol in compiled.wrt]
    fired: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    with no_collection():
        wanted = Wanted(positions, derivative, compiled.options.sparse is not None)
        graph = passed(definition, wanted, fired, seconds)["simplified"]
    stats = Stats.of(graph, fired, seconds)
    source = source_of(graph, definition, compiled.options, stats) if is_compiled(graph, stats) else None
    return replace(
        compiled,
        args=(*compiled.args, *symbols),
        derivative=derivative,
        written=None if compiled.written is None else _with_inputs(compiled.written, symbols, shapes),
        definition=definition,
        graph=graph,
        given=len(symbols),
        source=source,
        stats=stats,
    )


def _inputs(compiled: Compiled, derivative: Derivative) -> tuple[list[sympy.Basic], list[tuple[Index, ...]]]:
    """What a product is taken with, as inputs: like no other symbols, with the shapes of what they multiply."""
    graph = compiled.definition
    names: list[str] = []
    shapes: list[tuple[Index, ...]] = []
    if derivative in ("vjp", "weighted_hessian"):
        values = graph.values
        names = ["c_" + (own.name or ("value" if len(values) == 1 else str(k))) for k, own in enumerate(values, 1)]
        shapes = [own.shape for own in values]
    elif derivative in ("jvp", "hvp"):
        names = [f"{'t' if derivative == 'jvp' else 'v'}_{symbol.name}" for symbol in compiled.wrt]
        shapes = [graph.shapes[compiled.args.index(symbol)] for symbol in compiled.wrt]
    symbols = [
        sympy.Dummy(name) if graph.over_points or not shape else sympy.IndexedBase(sympy.Dummy(name))
        for name, shape in zip(names, shapes, strict=True)
    ]
    return symbols, shapes


def _with_inputs(graph: Graph, symbols: Sequence[Any], shapes: Sequence[tuple[Index, ...]]) -> Graph:
    own = [POINTWISE] * len(symbols) if graph.over_points else shapes
    return replace(graph, inputs=(*graph.inputs, *(s.name for s in symbols)), shapes=(*graph.shapes, *own))


# The call ------------------------------------------------------------------------------------------------------------


def spread(compiled: Compiled, args: Sequence[Any]) -> list[Any]:
    """The arguments of a call with a point, and with what a product is taken with, one for each input."""
    assert compiled.given is not None
    count = len(compiled.args) - compiled.given
    more = {"jvp": ["tangents"], "vjp": ["cotangents"], "hvp": ["v"], "weighted_hessian": ["weights"]}
    wanted = ["point", *more.get(str(compiled.derivative), [])]
    if len(args) != len(wanted):
        raise TypeError(f"{compiled.derivative} takes {' and '.join(wanted)}, not {len(args)} arguments")
    values = _point(compiled.args[:count], args[0])
    if compiled.derivative in ("vjp", "weighted_hessian"):
        values += _cotangents(compiled, wanted[1], args[1])
    elif len(wanted) > 1:
        values += _direction(compiled, wanted[1], args[1])
    return values


def _point(symbols: Sequence[Any], point: Any) -> list[Any]:
    if isinstance(point, Mapping):
        return _by_name(symbols, point, "args", "the point")
    listed = ", ".join(symbol.name for symbol in symbols)
    if not isinstance(point, (tuple, list)) and not (isinstance(point, np.ndarray) and point.ndim):
        raise TypeError(f"a point is a tuple or dict of the arguments ({listed}), not {type(point).__name__}")
    if len(point) != len(symbols):
        raise TypeError(f"the point has {len(point)} parts, and the arguments are {len(symbols)}: {listed}")
    return list(point)


def _by_name(symbols: Sequence[Any], given: Mapping[Any, Any], where: str, what: str) -> list[Any]:
    found: dict[int, Any] = {}
    for key, value in given.items():
        if not isinstance(key, str) and key not in symbols:
            raise ValueError(f"{key!r} in {what} is not in {where}: {', '.join(own.name for own in symbols)}")
        found[by_name(symbols, key, where) if isinstance(key, str) else symbols.index(key)] = value
    missing = [own.name for place, own in enumerate(symbols) if place not in found]
    if missing:
        raise TypeError(f"missing {', '.join(missing)} in {what}")
    return [found[place] for place in range(len(symbols))]


def _direction(compiled: Compiled, name: str, given: Any) -> list[Any]:
    """A direction, for each input of `wrt`: by name, in order, or of numbers a vector, the points in front."""
    symbols = compiled.wrt
    shapes = [compiled.definition.shapes[compiled.args.index(symbol)] for symbol in symbols]
    if isinstance(given, Mapping):
        return _by_name(symbols, given, "wrt", name)
    are_numbers = compiled.definition.over_points or not any(shapes)
    listed = ", ".join(symbol.name for symbol in symbols)
    if isinstance(given, (tuple, list)):
        if len(given) == len(symbols):
            return list(given)
        size = f"{len(given)} parts"
    else:
        array = np.asarray(given)
        if are_numbers and array.ndim and array.shape[-1] == len(symbols):
            return [array[..., place] for place in range(len(symbols))]
        if len(symbols) == 1 and not (are_numbers and array.ndim):
            return [given]
        size = f"the shape {array.shape}"
    each = f"a number for each of {listed}, or a vector of these" if are_numbers else f"an array for each of {listed}"
    raise ShapeError(f"{name} has {size}, and it takes {each}")


def _cotangents(compiled: Compiled, name: str, given: Any) -> list[Any]:
    """The weights of the values, in the structure of these."""
    try:
        parts = compiled.outputs.flat(given)
    except ValueError as error:
        raise ShapeError(str(error).replace("out must hold", f"{name} are")) from None
    found: list[Any] = []
    for block, part in zip(compiled.outputs.blocks, parts, strict=True):
        found += [part] if not block.shape else _cells(block, name, np.asarray(part))
    return found


def _cells(block: Block, name: str, array: Any) -> list[Any]:
    if array.shape[max(0, array.ndim - len(block.shape)) :] != block.shape:
        raise ShapeError(f"{name} have the shape {array.shape}, and those of the values are {block.shape}")
    return [array[(..., *place)] for place in np.ndindex(*block.shape)]
