"""Arrays in a text: a shape, and one expression for all elements, which is never written out over them.

The element of an array is an expression in AXES, counted from the last axis: so what NumPy's broadcasting lines up is
the same symbol already, and an elementwise function of arrays is that function of their elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import sympy

from ..reductions import Family, UnnamedIndex, family
from .construct import CONDITION, MINUS_ONE, NUMBER, SHAPELESS, TUPLE, Limit, Value, add, described, over, unsimplified
from .messages import Mistake, offset_of, short
from .tokens import ENTRIES, identifier

if TYPE_CHECKING:
    from lark import Token

MAX_AXES = 32
MAX_WORK = 100_000  # nodes that reading elements may copy: each element read on its own is a copy of the expression

# Not names of the language: no user's symbol can be one of them.
AXES = tuple(sympy.Symbol(f"axis {k}", integer=True) for k in range(MAX_AXES))
_BIT = {axis: 1 << k for k, axis in enumerate((*AXES, *ENTRIES))}

Extents = tuple[sympy.Basic, ...]


class Elements:
    """Reads elements of arrays of one text, and names the indices that the text does not name."""

    def __init__(self, taken: set[str]) -> None:
        self._names = _unused(taken)
        self._indices: list[sympy.Basic] = []
        self._axes: dict[int, int] = {}  # by id: which of AXES an expression holds, as bits
        self._kept: list[sympy.Basic] = []  # holds what is known by its id, so that no id is used again
        self._copies: dict[tuple[tuple[sympy.Basic, sympy.Basic], ...], dict[int, sympy.Basic]] = {}
        self._work = 0

    def index(self, level: int) -> sympy.Basic:
        """The index of a loop around `level` other such: nested ones differ, and the same text gives the same ones."""
        while len(self._indices) <= level:
            self._indices.append(UnnamedIndex(next(self._names), integer=True))
        return self._indices[level]

    def element(self, at: Token | None, array: Value, indices: Sequence[sympy.Basic]) -> Value:
        """The element at indices, one for each axis, the first axis first."""
        return self.at(at, array, dict(zip(AXES, reversed(indices), strict=False)))._replace(shape=(), loops=())

    def at(self, at: Token | None, value: Value, where: dict[sympy.Basic, sympy.Basic]) -> Value:
        """A value with expressions of indices in the place of some of AXES and ENTRIES."""
        return value._replace(expr=self._substituted(at, value.expr, where))

    def symbols_in(self, expr: sympy.Basic) -> set[sympy.Basic]:
        """All symbols of an expression, bound ones as well."""
        found, seen, stack = set[sympy.Basic](), set[int](), [expr]
        while stack:
            part = stack.pop()
            if id(part) not in seen:
                seen.add(id(part))
                stack += part.args
                found |= {part} if part.is_Symbol else set()
        return found

    def fitted(self, at: Token, value: Value, shape: Extents) -> Value:
        """The element of a value for each one of an array of `shape`."""
        if value.kind == TUPLE:
            return value._replace(expr=tuple(self.fitted(at, member, shape) for member in value.expr))
        if not value.shape:
            return value
        pairs = zip(AXES, reversed(value.shape), reversed(shape), strict=False)
        stretched = {axis: sympy.S.Zero for axis, own, target in pairs if own == 1 != target}
        return self.at(at, value, stretched)._replace(shape=(), loops=())

    def _substituted(self, at: Token | None, expr: sympy.Basic, where: dict[sympy.Basic, sympy.Basic]) -> sympy.Basic:
        where = {axis: index for axis, index in where.items() if index != axis}
        wanted = sum(_BIT[axis] for axis in where)
        copies = self._copies.setdefault(tuple(where.items()), {})
        stack = [expr]
        while stack:
            part = stack[-1]
            if id(part) in copies:
                stack.pop()
            elif not self._held(part) & wanted:
                copies[id(stack.pop())] = part
            elif part in where:
                copies[id(stack.pop())] = where[part]
            elif missing := [argument for argument in part.args if id(argument) not in copies]:
                stack.extend(missing)
            else:
                self._work += 1
                if self._work > MAX_WORK:
                    raise Mistake(
                        "too many elements read one by one; read them in a loop, for i in range(n)", offset_of(at)
                    )
                copies[id(stack.pop())] = _copied(part, [copies[id(argument)] for argument in part.args])
        return copies[id(expr)]

    def _held(self, expr: sympy.Basic) -> int:
        stack = [expr]
        while stack:
            part = stack[-1]
            if id(part) in self._axes:
                stack.pop()
            elif missing := [argument for argument in part.args if id(argument) not in self._axes]:
                stack.extend(missing)
            else:
                held = _BIT.get(part, 0)
                for argument in part.args:
                    held |= self._axes[id(argument)]
                self._axes[id(part)] = held
                self._kept.append(stack.pop())
        return self._axes[id(expr)]


def _unused(taken: set[str]) -> Iterator[str]:
    """The usual names of indices, but none that the text uses."""
    number = 0
    while True:
        for letter in "jiklpqrstuv":
            name = letter + (str(number) if number else "")
            if name not in taken:
                yield name
        number += 1


def _copied(part: sympy.Basic, arguments: list[sympy.Basic]) -> sympy.Basic:
    """The like of `part`, of other arguments; as it stands, since so it was decided for `part`."""
    if isinstance(part, sympy.Indexed):
        return part.func(arguments[0], *map(_added_up, arguments[1:]))
    if isinstance(part, (sympy.KroneckerDelta, sympy.matrices.expressions.matexpr.MatrixElement)):
        return part.func(*arguments)
    return unsimplified(part.func, arguments)


def _added_up(index: sympy.Basic) -> sympy.Basic:
    """An index, which is affine, with the numbers in it added up: what it was copied to is not."""
    return index.func(*map(_added_up, index.args)) if index.is_Add or index.is_Mul else index


# Elementwise ----------------------------------------------------------------------------------------------------------


def elementwise(elements: Elements, at: Token, function: Callable[..., Value], values: Sequence[Value]) -> Value:
    """`function` of numbers, applied to arrays element by element, with NumPy's broadcasting."""
    shapes = [member.shape for value in values for member in _members(value) if member.shape]
    if not shapes:
        return function(*values)
    shape = broadcast(at, shapes)
    return function(*(elements.fitted(at, value, shape) for value in values))._replace(shape=shape)


def _members(value: Value) -> Iterable[Value]:
    return value.expr if value.kind == TUPLE else (value,)


def broadcast(at: Token, shapes: Sequence[Extents]) -> Extents:
    result: Extents = ()
    for shape in shapes:
        longer, shorter = (shape, result) if len(shape) > len(result) else (result, shape)
        lead = len(longer) - len(shorter)
        result = longer[:lead] + tuple(_fit(at, *pair, shapes) for pair in zip(longer[lead:], shorter, strict=True))
    return result


def _fit(at: Token, a: sympy.Basic, b: sympy.Basic, shapes: Sequence[Extents]) -> sympy.Basic:
    if a == b or b == 1:
        return a
    if a == 1:
        return b
    raise Mistake(f"'{short(at)}' of {_shapes(shapes)}: {unequal(a, b)}", offset_of(at))


def _shapes(shapes: Sequence[Extents]) -> str:
    return " and ".join(described(Value(None, NUMBER, 0, shape=shape)) for shape in shapes)


def unequal(a: sympy.Basic, b: sympy.Basic) -> str:
    """Why two extents are not taken for equal, and what to do."""
    if (a - b).is_Integer:
        return f"the extents {a} and {b} differ"
    return f"the extents {short(str(a))} and {short(str(b))} may differ; where they are equal, give both the same name"


# Lists ----------------------------------------------------------------------------------------------------------------


class Loop(NamedTuple):
    """What `for i in range(a, b) if ...` says."""

    at: Token  # the name of the index
    limit: Limit
    conditions: list[Value]


def listed(elements: Elements, body: Value, loops: Sequence[Loop]) -> Value:
    """`[body for i in range(a, b) for j in ...]`: an array with an axis for each loop, and then those of the body."""
    if body.kind not in (NUMBER, CONDITION):
        raise Mistake(f"an entry of a list is a number, not {body.kind}", body.at)
    for loop in loops:
        for condition in loop.conditions:
            raise Mistake(
                "a list has an entry for every index; write [... if condition else 0 for ...] for others", condition.at
            )
    own = [_length(loop) for loop in loops]
    if len(own) + len(body.shape) > MAX_AXES:
        raise Mistake(f"an array has at most {MAX_AXES} axes", offset_of(loops[0].at))
    shape = (*own, *body.shape)
    indices = {loop.limit[0] for loop in loops}
    if any(indices & extent.free_symbols for extent in shape):
        said = " or ".join(short(identifier(loop.at)) for loop in loops)
        raise Mistake(f"rows of one length make an array, and here a length depends on {said}", offset_of(loops[0].at))
    axes = reversed(AXES[len(body.shape) : len(shape)])
    where = {loop.limit[0]: axis + loop.limit[1].expr for loop, axis in zip(loops, axes, strict=True)}
    names = tuple(sympy.Symbol(identifier(loop.at), integer=True) for loop in loops)
    return elements.at(loops[0].at, body, where)._replace(shape=shape, loops=(*names, *body.loops))


def _length(loop: Loop) -> sympy.Basic:
    low, high = loop.limit[1:]
    length = high.expr - low.expr + 1
    if length.is_Integer and length < 1:
        raise Mistake(f"the range of {short(identifier(loop.at))} is empty, and a list has entries", offset_of(loop.at))
    return length


def family_of(elements: Elements, array: Value) -> Family:
    """An array as it is compiled: its entry at indices, where possible of the names that the text has for them."""
    rank = len(array.shape)
    indices = [elements.index(array.level + rank - 1 - k) for k in range(rank)]
    own = array.loops if len(array.loops) == rank == len(set(array.loops)) else indices
    taken = elements.symbols_in(array.expr)
    indices = [other if index in taken else index for index, other in zip(own, indices, strict=True)]
    return family(elements.element(None, array, indices).expr, *zip(indices, array.shape, strict=True))


# Elements and integers ------------------------------------------------------------------------------------------------


def indexed(elements: Elements, at: Token, array: Value, indices: list[Value], ranks: dict[sympy.Basic, int]) -> Value:
    """`array[indices]`; `ranks` are those of the arrays without a shape, by their first use."""
    numbers = [integer(index, "an index", gathers=True) for index in indices]
    rank = ranks.setdefault(array.expr, len(indices)) if array.kind == SHAPELESS else len(array.shape)
    if not rank:
        raise Mistake(f"{array.kind} has no elements; declare an array: x: vector(n)", offset_of(at))
    if rank != len(numbers):
        count = f"{rank} {'index' if rank == 1 else 'indices'}"
        raise Mistake(f"the array takes {count}, one for each axis, not {len(numbers)}", offset_of(at))
    for index, number, extent in zip(indices, numbers, array.shape, strict=False):
        _check_within(index, number, extent)
    size = 1 + sum(index.size for index in indices if not index.expr.is_Atom)
    if array.kind == SHAPELESS:
        return Value(array.expr[tuple(numbers)], NUMBER, array.at, size=size)
    return elements.element(at, array, numbers)._replace(size=array.size + size)


def _check_within(index: Value, number: sympy.Basic, extent: sympy.Basic) -> None:
    if number.is_Integer and number < 0:
        last = short(str(extent - 1))
        raise Mistake(f"an index is not negative; the last element is at {last}", index.at)
    beyond = number - extent
    if beyond.is_Integer and beyond >= 0:
        raise Mistake(f"beyond the end: indices go from 0 to {short(str(extent - 1))}", index.at)


def integer(value: Value, what: str, gathers: bool = False) -> sympy.Basic:
    """The expression of a value that is affine in indices, extents and integers.

    With `gathers` also in y[i], and in remainders and rounded quotients of such.
    """
    if value.kind != NUMBER or value.shape:
        raise Mistake(f"{what} is an integer, not {described(value)}", value.at)
    stack = [value.expr]
    while stack:
        expr = stack.pop()
        for term in expr.args if expr.is_Add else (expr,):
            factor, rest = term.as_coeff_Mul() if term.is_Mul else (sympy.S.One, term)
            if factor.is_Integer and (rest.is_Integer or (rest.is_Symbol and rest.is_integer)):
                continue
            if factor.is_Integer and gathers and rest.is_Indexed and rest.is_integer:
                continue
            if factor.is_Integer and gathers and isinstance(rest, sympy.Mod):
                stack += rest.args
                continue
            if factor.is_Integer and gathers and isinstance(rest, (sympy.floor, sympy.ceiling)):
                stack += _numerators(rest.args[0])
                continue
            if rest.is_Symbol and not rest.is_integer:
                name = short(rest.name)
                advice = f"write for {name} in range(...) around it, or declare {name}: integer"
                raise Mistake(f"'{name}' is no integer, which {what} is; {advice}", value.at)
            examples = "i + 1, 2*i, n - 1 - i" + (", (i + 1) % n, i//2, or y[i] of integers" if gathers else "")
            raise Mistake(f"{what} is an index, an extent or an integer, or such as {examples}", value.at)
    return value.expr


def _numerators(quotient: sympy.Basic) -> list[sympy.Basic]:
    """What is divided, and by what, in the terms of a quotient of integers; SymPy has taken it apart."""
    found = []
    for term in quotient.args if quotient.is_Add else (quotient,):
        for factor in term.args if term.is_Mul else (term,):
            is_divisor = factor.is_Pow and factor.args[1] is sympy.S.NegativeOne
            found.append(factor.args[0] if is_divisor else factor.p if factor.is_Rational else factor)
    return [sympy.sympify(part) for part in found]


def extents(values: Iterable[Value]) -> Extents:
    found: list[sympy.Basic] = []
    for value in values:
        extent = integer(value, "an extent")
        if extent.is_Integer and extent < 1:
            raise Mistake(f"an extent is at least 1, not {short(str(extent))}", value.at)
        if len(found) == MAX_AXES:
            raise Mistake(f"an array has at most {MAX_AXES} axes", value.at)
        found.append(extent)
    return tuple(found)


def scalar(expr: sympy.Basic, at: int) -> Value:
    """The value of an integer expression: an extent, or one of AXES."""
    return Value(expr, NUMBER, at, constant=expr.is_Rational, closed=expr.is_Rational or expr in _BIT)


# Reductions -----------------------------------------------------------------------------------------------------------


def reduced(elements: Elements, at: Token, function: Callable[..., sympy.Basic], array: Value) -> Value:
    """`function`, which is Sum, Product, Largest or Smallest, over all elements."""
    if array.kind == CONDITION:
        raise Mistake(f"'{short(at)}' takes numbers; write 1 if ... else 0 for conditions", offset_of(at))
    rank, level = len(array.shape), array.level
    indices = [elements.index(level + rank - 1 - k) for k in range(rank)]  # the last axis innermost
    body = elements.element(at, array, indices)
    return looped(at, function, body, list(zip(indices, array.shape, strict=True)))


def looped(
    at: Token, function: Callable[..., sympy.Basic], body: Value, loops: Sequence[tuple[sympy.Basic, sympy.Basic]]
) -> Value:
    """`function` of a body over whole axes: indices that Elements named and their extents, the innermost last."""
    limits = [(index, scalar(sympy.S.Zero, 0), _last(at, extent)) for index, extent in reversed(loops)]
    return over(function, at, body, limits)._replace(level=body.level + len(loops))


def _last(at: Token, extent: sympy.Basic) -> Value:
    return add(at, [scalar(extent, 0), MINUS_ONE])
