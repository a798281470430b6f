"""What an expression is made of: its scalars, arrays, extents and indices, found without recursion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import sympy
from sympy.matrices.expressions.matexpr import MatrixElement

from ..errors import UnsupportedExpression
from ..reductions import Family, Largest, Smallest
from .derivatives import resolved
from .limits import ranges
from .unsupported import describe, way_out

ARRAYS = (sympy.IndexedBase, sympy.MatrixSymbol)

Input: TypeAlias = sympy.Symbol | sympy.IndexedBase | sympy.MatrixSymbol

# A sum of numbers of terms up to this is written out in an expression of scalars.
_WRITTEN_OUT = 1000

_LIMITED = (sympy.Sum, sympy.Product, Largest, Smallest)


@dataclass
class Found:
    """What an expression is made of, found without recursion."""

    symbols: set[sympy.Symbol] = field(default_factory=set)  # scalars
    sizes: set[sympy.Symbol] = field(default_factory=set)  # free symbols of shapes, bounds and index expressions
    arrays: dict[sympy.Basic, int] = field(default_factory=dict)  # IndexedBase and MatrixSymbol, and their ranks
    positions: set[sympy.Symbol] = field(default_factory=set)  # those of `sizes` that no shape or bound holds
    bound: dict[sympy.Symbol, None] = field(default_factory=dict)  # index symbols, in order of appearance
    is_scalar: bool = True  # no arrays, and sums short enough to be written out
    has_array_expressions: bool = False  # of SymPy's module of that name


def survey(*expressions: sympy.Basic) -> Found:
    """The scalars, arrays, extents and indices of expressions."""
    found = Found()
    seen: set[int] = set()
    kept: list[sympy.Basic] = []  # holds what is known by its id, so that no id is used again
    extents: list[sympy.Basic] = []  # and bounds
    indices: list[sympy.Basic] = []
    stack = list(reversed(expressions))
    while stack:
        part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, sympy.Idx):
            found.bound[part] = None
        elif isinstance(part, sympy.Symbol):
            found.symbols.add(part)
        elif isinstance(part, sympy.Derivative):
            kept.append(resolved(part))
            stack += [kept[-1], *(variable for variable, _ in part.variable_count)]
        elif isinstance(part, sympy.Indexed):
            _note_array(found, part.base, len(part.indices), part)
            extents += part.base.shape or ()
            indices += part.indices
        elif isinstance(part, sympy.MatrixSymbol):
            found.arrays[part] = 2
            extents += part.shape
        elif isinstance(part, MatrixElement):
            stack.append(part.parent)
            indices += [part.i, part.j]
        elif isinstance(part, _LIMITED):
            found.bound.update((limit[0], None) for limit in reversed(part.limits))
            extents += [bound for limit in part.limits for bound in limit[1:]]
            found.is_scalar = found.is_scalar and _is_written_out(part)
            stack.append(part.function)
        elif isinstance(part, Family):
            found.is_scalar = False
            found.bound.update(dict.fromkeys(part.indices))
            extents += part.shape
            stack.append(part.body)
        elif isinstance(part, sympy.Lambda):
            _note_function(found, part)
        elif is_array_expression(part):
            found.is_scalar, found.has_array_expressions = False, True
            stack += _note_array_expression(found, part, extents, indices)
        elif isinstance(part, (sympy.MatrixBase, sympy.MatrixExpr)):
            found.is_scalar = False
            extents += part.shape
            stack.extend(part.flat() if isinstance(part, sympy.MatrixBase) else part.args)
        elif not way_out(part.__class__):  # else lowering refuses it
            stack.extend(part.args)
    _note_integers(found, extents)
    given = set(found.sizes)
    _note_integers(found, indices)
    found.positions = found.sizes - given
    if found.arrays:
        found.is_scalar = False
    if found.is_scalar:
        found.symbols -= set(found.bound)
    return found


def _note_function(found: Found, function: sympy.Lambda) -> None:
    """What a function reads beside its own variables, whose names may mean something else outside."""
    inner, own = survey(function.expr), set(function.signature)
    found.symbols |= inner.symbols - own
    found.sizes |= inner.sizes - own
    found.bound.update(inner.bound)
    found.has_array_expressions = found.has_array_expressions or inner.has_array_expressions
    for array, rank in inner.arrays.items():
        _note_array(found, array, rank, function)


def is_array_expression(part: sympy.Basic) -> bool:
    """Whether it is of a class of sympy.tensor.array.expressions, which is not imported unless the user does."""
    return type(part).__module__ == "sympy.tensor.array.expressions.array_expressions"


def is_array_valued(expression: sympy.Basic) -> bool:
    """Whether an expression is an array; a matrix expression of one entry is a number."""
    kinds = (sympy.MatrixExpr, Family)
    if not isinstance(expression, kinds) and not is_array_expression(expression):
        return False
    is_matrix = isinstance(expression, sympy.MatrixExpr)
    return not is_matrix or any(length != 1 for length in expression.shape)


def input_of(symbol: sympy.Basic) -> sympy.Basic:
    """What a symbol is called as an input: an ArraySymbol is an IndexedBase of its name and shape."""
    return sympy.IndexedBase(symbol.name, shape=symbol.shape) if is_array_expression(symbol) else symbol


def _note_array_expression(
    found: Found, part: sympy.Basic, extents: list[sympy.Basic], indices: list[sympy.Basic]
) -> list[sympy.Basic]:
    kind = type(part).__name__
    if kind == "ArraySymbol":
        _note_array(found, input_of(part), len(part.shape), part)
        extents += part.shape
        return []
    if kind == "ArrayElement":
        indices += part.indices
        return [part.args[0]]
    kinds = (sympy.MatrixExpr, sympy.MatrixBase, sympy.Lambda)
    return [own for own in part.args if is_array_expression(own) or isinstance(own, kinds)]


def _is_written_out(part: sympy.Basic) -> bool:
    if not all(len(limit) == 3 and limit[1].is_Integer and limit[2].is_Integer for limit in part.limits):
        return False
    return isinstance(part, (sympy.Sum, sympy.Product)) and _terms(part) <= _WRITTEN_OUT


def _terms(part: sympy.Basic) -> int:
    count = 1
    for _, low, high in ranges(part)[0]:
        count *= max(0, int(high - low) + 1)
    return count


def _note_array(found: Found, base: sympy.Basic, rank: int, part: sympy.Basic) -> None:
    if found.arrays.setdefault(base, rank) != rank:
        raise UnsupportedExpression(f"{base} is read with {rank} and with {found.arrays[base]} indices")
    if base.shape is not None and len(base.shape) != rank:
        raise UnsupportedExpression(f"{describe(part)} has {rank} indices, and {base} has the shape {base.shape}")


def _note_integers(found: Found, indices: list[sympy.Basic]) -> None:
    """Free symbols of index expressions are extents, also where they are used as numbers."""
    stack = list(indices)
    while stack:
        part = stack.pop()
        if isinstance(part, sympy.Indexed):
            _note_array(found, part.base, len(part.indices), part)
            stack += [*(part.base.shape or ()), *part.indices]
        elif isinstance(part, MatrixElement):
            stack += [part.i, part.j]
        elif isinstance(part, _LIMITED):
            raise UnsupportedExpression(
                f"{describe(part)} stands in an index or a bound: compute it before, and give it as an integer array"
            )
        elif isinstance(part, sympy.Idx):
            found.bound[part] = None
            stack += [bound for bound in (part.lower, part.upper) if bound is not None]
        elif isinstance(part, sympy.Symbol):
            found.sizes.add(part)
        elif isinstance(part, sympy.Basic):
            stack.extend(part.args)
    found.sizes -= set(found.bound)
    found.symbols -= set(found.bound) | found.sizes
