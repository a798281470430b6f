"""Lowering of arrays: Indexed and Sum to views over named axes, matrix expressions to views over ROW and COLUMN.

Each index symbol has one axis for the whole expression, and each matrix expression is lowered once, gather-free and at
its own axes; where it is read, its view is given other index expressions. So the same sub-expression under two names,
or read at y[i], is one node. A length that is 1 has no axis: what lacks an axis is broadcast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.blockmatrix import BlockMatrix
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix

from .errors import UnsupportedExpression
from .gates import GATES
from .graph import AnyIndex, Axis, Gather, Index, Size, Table, View, axis, number_index
from .lowering import Lowering, describe, unsupported
from .reductions import Largest, Smallest
from .sums import guarded, total

ARRAYS = (sympy.IndexedBase, sympy.MatrixSymbol)

# A sum of numbers of terms up to this is written out in an expression of scalars.
_WRITTEN_OUT = 1000
# A matrix literal of more entries belongs into an input.
_LARGEST_LITERAL = 400

_LIMITED = (sympy.Sum, sympy.Product, Largest, Smallest)


@dataclass
class Found:
    """What an expression is made of, found without recursion."""

    symbols: set[sympy.Symbol] = field(default_factory=set)  # scalars
    sizes: set[sympy.Symbol] = field(default_factory=set)  # free symbols of shapes, bounds and index expressions
    arrays: dict[Any, int] = field(default_factory=dict)  # IndexedBase and MatrixSymbol, and their ranks
    bound: dict[sympy.Symbol, None] = field(default_factory=dict)  # index symbols, in order of appearance
    is_scalar: bool = True  # no arrays, and sums short enough to be written out


def survey(expression: sympy.Basic) -> Found:
    """The scalars, arrays, extents and indices of an expression."""
    found = Found()
    seen: set[int] = set()
    indices: list[Any] = []  # expressions that are integers: extents, bounds, index expressions
    stack: list[Any] = [expression]
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
            stack.extend([part.expr, *part.variables])
        elif isinstance(part, sympy.Indexed):
            _note_array(found, part.base, len(part.indices), part)
            indices += [*(part.base.shape or ()), *part.indices]
        elif isinstance(part, sympy.MatrixSymbol):
            found.arrays[part] = 2
            indices += part.shape
        elif isinstance(part, MatrixElement):
            stack.append(part.parent)
            indices += [part.i, part.j]
        elif isinstance(part, _LIMITED):
            found.bound.update((limit[0], None) for limit in reversed(part.limits))
            indices += [bound for limit in part.limits for bound in limit[1:]]
            if not all(len(limit) == 3 and limit[1].is_Integer and limit[2].is_Integer for limit in part.limits):
                found.is_scalar = False
            elif not isinstance(part, (sympy.Sum, sympy.Product)) or _terms(part) > _WRITTEN_OUT:
                found.is_scalar = False
            stack.append(part.function)
        elif isinstance(part, sympy.Lambda):
            found.bound.update((symbol, None) for symbol in part.signature if isinstance(symbol, sympy.Symbol))
            stack.append(part.expr)
        elif isinstance(part, (sympy.MatrixBase, sympy.MatrixExpr)):
            found.is_scalar = False
            indices += part.shape
            stack.extend(part.flat() if isinstance(part, sympy.MatrixBase) else part.args)
        else:
            stack.extend(part.args)
    _note_integers(found, indices)
    if found.arrays:
        found.is_scalar = False
    if found.is_scalar:
        found.symbols -= set(found.bound)
    return found


def _terms(part: Any) -> int:
    count = 1
    for _, low, high in part.limits:
        count *= max(0, int(high - low) + 1)
    return count


def _note_array(found: Found, base: Any, rank: int, part: Any) -> None:
    if found.arrays.setdefault(base, rank) != rank:
        raise UnsupportedExpression(f"{base} is read with {rank} and with {found.arrays[base]} indices")
    if base.shape is not None and len(base.shape) != rank:
        raise UnsupportedExpression(f"{describe(part)} has {rank} indices, and {base} has the shape {base.shape}")


def _note_integers(found: Found, indices: list[Any]) -> None:
    """Free symbols of index expressions are extents, also where they are used as numbers."""
    stack = list(indices)
    while stack:
        part = stack.pop()
        if isinstance(part, sympy.Indexed):
            _note_array(found, part.base, len(part.indices), part)
            stack += [*(part.base.shape or ()), *part.indices]
        elif isinstance(part, MatrixElement):
            stack += [part.i, part.j]
        elif isinstance(part, sympy.Idx):
            found.bound[part] = None
            stack += [bound for bound in (part.lower, part.upper) if bound is not None]
        elif isinstance(part, sympy.Symbol):
            found.sizes.add(part)
        elif isinstance(part, sympy.Basic):
            stack.extend(part.args)
    found.sizes -= set(found.bound)
    found.symbols -= set(found.bound) | found.sizes


class ArrayLowering(Lowering):
    """Lowers expressions with arrays; inputs are read at the axes of their declarations."""

    def __init__(
        self,
        table: Table,
        inputs: Sequence[Any],
        found: Found,
        gates: Iterable[type] = (),
        known: Mapping[str, int] | None = None,
    ) -> None:
        views = {s: table.input(i, ()) for i, s in enumerate(inputs) if s in found.symbols or s not in found.sizes}
        super().__init__(table, {s: v for s, v in views.items() if isinstance(s, sympy.Symbol)}, gates)
        self.inputs, self.found = tuple(inputs), found
        self.places = {symbol: place for place, symbol in enumerate(inputs)}
        self.known = known or {}
        self.axis_of: dict[sympy.Basic, Axis] = {symbol: table.fresh() for symbol in found.bound}
        self.axis_names: dict[Axis, str] = {name: str(symbol) for symbol, name in self.axis_of.items()}
        self.row, self.column = table.fresh(), table.fresh()
        self.integers: set[int] = {
            place for symbol, place in self.places.items() if symbol in found.arrays and _holds_integers(symbol)
        }

    # --- inputs -------------------------------------------------------------------------------------------------------

    def shape(self, place: int) -> tuple[Index, ...]:
        """The extents of an input; an axis that was not declared has an extent of its own."""
        symbol = self.inputs[place]
        if symbol not in self.found.arrays:
            return ()
        if symbol.shape is None:
            rank = self.found.arrays[symbol]
            return tuple(Index(((Size(f"{symbol.name}.shape[{at}]"), 1),)) for at in range(rank))
        return tuple(self.affine(extent) for extent in symbol.shape)

    def affine(self, part: Any) -> Index:
        """An affine form of extents and axes. Raises UnsupportedExpression for anything else."""
        index = self.index(part)
        if isinstance(index, Gather):
            raise UnsupportedExpression(f"the bound or extent {describe(part)} is not affine in extents and indices")
        return index

    def index(self, part: Any) -> AnyIndex:
        """An index expression: affine in indices and extents, else the value of an integer expression."""
        part = sympy.sympify(part)
        if isinstance(part, sympy.Integer):
            return number_index(int(part))
        if part in self.axis_of:
            return axis(self.axis_of[part])
        if isinstance(part, sympy.Symbol) and part in self.found.sizes:
            number = self.known.get(part.name)
            return number_index(number) if number is not None else Index(((Size(part.name), 1),))
        if isinstance(part, sympy.Add):
            terms = [self.index(term) for term in part.args]
            if not any(isinstance(term, Gather) for term in terms):
                result = terms[0]
                for term in terms[1:]:
                    result = result.plus(term)  # type: ignore[union-attr, arg-type]
                return result
        if isinstance(part, sympy.Mul) and len(part.args) == 2 and part.args[0].is_Integer:
            inner = self.index(part.args[1])
            if isinstance(inner, Index):
                return inner.scaled(int(part.args[0]))
        view = self(part)
        self._note_integer_inputs(view)
        return Gather(view)

    def _note_integer_inputs(self, view: View) -> None:
        stack = [view.node]
        while stack:
            node = stack.pop()
            if node.gate.name == "input":
                self.integers.add(node.attribute)
            stack += node.sources

    def input_at(self, symbol: Any, indices: tuple[AnyIndex, ...]) -> View:
        node = self.table.input(self.places[symbol], tuple(range(len(indices)))).node
        return View(node, indices)

    # --- the walk -----------------------------------------------------------------------------------------------------

    def _children(self, part: Any) -> tuple[Any, ...]:
        if isinstance(part, (sympy.Symbol, sympy.Idx)) and (part in self.axis_of or part in self.found.sizes):
            return ()
        if type(part) in _CHILDREN or isinstance(part, sympy.MatrixBase):
            kind = sympy.MatrixBase if isinstance(part, sympy.MatrixBase) else type(part)
            return _CHILDREN[kind](part)
        children = super()._children(part)
        if _is_matrix(part):
            return children
        for child in children:
            if isinstance(child, (sympy.MatrixExpr, sympy.MatrixBase)) and tuple(child.shape) != (1, 1):
                raise UnsupportedExpression(
                    f"cannot compile {describe(part)} ({type(part).__name__}): {type(part).__name__} of a matrix is "
                    "no function of its entries; write the entries' with applyfunc, or take a trace"
                )
        return children

    def _knows(self, part: Any) -> bool:
        return isinstance(part, sympy.Idx) or _builder(part) is not None or super()._knows(part)

    def _build(self, part: Any, arguments: list[View]) -> View:
        if part in self.axis_of:
            return self.table.position(axis(self.axis_of[part]))
        if isinstance(part, sympy.Symbol) and part in self.found.sizes:
            return self.table.number_of(self.index(part))
        build = _builder(part)
        return super()._build(part, arguments) if build is None else build(self, part, arguments)

    # --- sums ---------------------------------------------------------------------------------------------------------

    def limits(self, part: Any) -> tuple[list[Axis], list[Index]]:
        """The axes that a Sum runs over, innermost first, and its constraints."""
        names, constraints = [], []
        for limit in part.limits:
            symbol = limit[0]
            bounds = limit[1:] if len(limit) == 3 else (getattr(symbol, "lower", None), getattr(symbol, "upper", None))
            if len(bounds) != 2 or None in bounds:
                raise UnsupportedExpression(f"{describe(part)}: the index {symbol} has no bounds; give (i, low, high)")
            name = axis(self.axis_of[symbol])
            names.append(self.axis_of[symbol])
            lows = bounds[0].args if isinstance(bounds[0], sympy.Max) else (bounds[0],)
            highs = bounds[1].args if isinstance(bounds[1], sympy.Min) else (bounds[1],)
            constraints += [name.minus(self.affine(low)) for low in lows]
            constraints += [self.affine(high).minus(name) for high in highs]
        return names, constraints

    def contracted(self, body: View, name: Axis, extent: Any) -> View:
        """The sum of `body` over one axis of that extent."""
        return total(body, [name], [axis(name), self.affine(extent).minus(1).minus(axis(name))])

    # --- matrices -----------------------------------------------------------------------------------------------------

    def entry(self, matrix: View, row: AnyIndex, column: AnyIndex) -> View:
        """A matrix at (row, column)."""
        return matrix.at({self.row: row, self.column: column})

    def transposed(self, matrix: View) -> View:
        return self.entry(matrix, axis(self.column), axis(self.row))

    def product_of(self, one: View, two: View, inner: Any) -> View:
        """The matrix product of two views over an inner length."""
        name = self.table.fresh()
        if inner == 1:
            return one * two
        left, right = one.at({self.column: axis(name)}), two.at({self.row: axis(name)})
        return self.contracted(left * right, name, inner)

    def traced(self, one: View, two: View | None, rows: Any, inner: Any) -> View:
        """The trace of a matrix, or of a product of two, which is not formed."""
        name, second = self.table.fresh(), self.table.fresh()
        if two is None:
            return self.contracted(self.entry(one, axis(name), axis(name)), name, rows)
        body = self.entry(one, axis(name), axis(second)) * self.entry(two, axis(second), axis(name))
        limits = []
        for own, extent in ((name, rows), (second, inner)):
            limits += [axis(own), self.affine(extent).minus(1).minus(axis(own))]
        return total(body, [name, second], limits)

    def whole(self, gate: str, views: Sequence[View], shapes: Sequence[tuple[Any, Any]], rank: int, own: Any) -> View:
        """An operation on whole matrices; `own` are the lengths of the result's axes."""
        for view in views:
            if set(view.axes) - {self.row, self.column}:
                raise UnsupportedExpression(f"the {gate} of a matrix that depends on an index of a sum is not supported")
        axes, placed = [], []
        for view, shape in zip(views, shapes, strict=True):
            names = tuple(self.table.fresh() for length in shape)
            axes.append(names)
            placed.append(self.entry(view, axis(names[0]), axis(names[1]) if len(names) > 1 else number_index(0)))
        extents = tuple(self.affine(length) for length in (*own, *(length for shape in shapes for length in shape)))
        node = self.table.whole(GATES[gate], placed, axes, rank, extents)
        return View(node, (axis(self.row), axis(self.column))[:rank])


def _builder(part: Any) -> Callable[[Any, Any, list[View]], View] | None:
    return next((_BUILD[kind] for kind in type(part).__mro__ if kind in _BUILD), None)


def _holds_integers(symbol: Any) -> bool:
    label = getattr(symbol, "label", None)
    return isinstance(label, sympy.Symbol) and bool(label.is_integer)


def _is_matrix(part: Any) -> bool:
    return isinstance(part, (sympy.MatrixExpr, sympy.MatrixBase, sympy.Trace, sympy.Determinant, MatrixElement))


# --- indices and sums -------------------------------------------------------------------------------------------------


def _indexed(lowering: ArrayLowering, part: sympy.Indexed, _: list[View]) -> View:
    return lowering.input_at(part.base, tuple(map(lowering.index, part.indices)))


def _sum(lowering: ArrayLowering, part: sympy.Sum, arguments: list[View]) -> View:
    names, constraints = lowering.limits(part)
    return total(arguments[0], names, constraints)


def _reduction(gate: str) -> Callable[[ArrayLowering, Any, list[View]], View]:
    def build(lowering: ArrayLowering, part: Any, arguments: list[View]) -> View:
        names, constraints = lowering.limits(part)
        return lowering.table.reduce(GATES[gate], arguments[0], names, constraints)

    return build


def _kronecker(lowering: ArrayLowering, part: sympy.KroneckerDelta, arguments: list[View]) -> View:
    one, two = lowering.index(part.args[0]), lowering.index(part.args[1])
    if isinstance(one, Gather) or isinstance(two, Gather):
        return lowering.table.number_of(one).equals(lowering.table.number_of(two)).where(1, 0)
    return _delta(lowering, one, two)


def _delta(lowering: ArrayLowering, one: Index, two: Index) -> View:
    difference = one.minus(two)
    return guarded(lowering.table.constant(1), [difference, difference.scaled(-1)])


# --- matrices ---------------------------------------------------------------------------------------------------------


def _own_index(lowering: ArrayLowering, shape: Sequence[Any]) -> tuple[Index, Index]:
    """The index expressions of a matrix at its own axes; a length of 1 has none."""
    names = lowering.row, lowering.column
    row, column = (number_index(0) if n == 1 else axis(name) for n, name in zip(shape, names, strict=True))
    return row, column


def _matrix_symbol(lowering: ArrayLowering, part: sympy.MatrixSymbol, _: list[View]) -> View:
    return lowering.input_at(part, _own_index(lowering, part.shape))


def _matrix_element(lowering: ArrayLowering, part: MatrixElement, arguments: list[View]) -> View:
    return lowering.entry(arguments[0], lowering.index(part.i), lowering.index(part.j))


def _matmul(lowering: ArrayLowering, part: sympy.MatMul, arguments: list[View]) -> View:
    scalar, factors = _factors(lowering, part)
    result = _chain(lowering, factors)[0]
    return result if scalar is None else scalar * result


Factor = tuple[View, tuple[Any, Any]]  # a matrix and its shape


def _factors(lowering: ArrayLowering, part: sympy.MatMul) -> tuple[View | None, list[tuple[Any, View, tuple[Any, Any]]]]:
    """The scalar and the matrices of a product."""
    scalar: View | None = None
    factors = []
    for factor in part.args:
        inverted = _inverted(factor)
        view = lowering.memo[id(factor)] if inverted is None else lowering.memo[id(inverted)]
        if not isinstance(factor, (sympy.MatrixExpr, sympy.MatrixBase)):
            scalar = view if scalar is None else scalar * view
        else:
            factors.append((inverted, view, tuple(factor.shape)))
    return scalar, factors


def _inverted(factor: Any) -> Any:
    """What a factor of a product is the inverse of, else None."""
    return factor.arg if isinstance(factor, sympy.Inverse) else None


def _chain(lowering: ArrayLowering, factors: list[tuple[Any, View, tuple[Any, Any]]]) -> Factor:
    """A product of matrices in the order that costs least; an inverse times a matrix is a solution."""
    while len(factors) > 1:
        place = _cheapest(factors)
        one, two = factors[place], factors[place + 1]
        rows, columns = one[2][0], two[2][1]
        if one[0] is not None and two[0] is None:
            view = _solved(lowering, one[1], two[1], rows, columns)
        elif two[0] is not None and one[0] is None:
            view = lowering.transposed(
                _solved(lowering, lowering.transposed(two[1]), lowering.transposed(one[1]), columns, rows)
            )
        else:
            view = lowering.product_of(_formed(lowering, one), _formed(lowering, two), one[2][1])
        factors = [*factors[:place], (None, view, (rows, columns)), *factors[place + 2 :]]
    return _formed(lowering, factors[0]), factors[0][2]


def _formed(lowering: ArrayLowering, factor: tuple[Any, View, tuple[Any, Any]]) -> View:
    inverted, view, shape = factor
    return view if inverted is None else _inverse_view(lowering, view, shape[0])


def _cheapest(factors: list[tuple[Any, View, tuple[Any, Any]]]) -> int:
    """The neighbours whose product shrinks the chain the most for its cost."""

    def length(extent: Any) -> float:
        return float(extent) if extent.is_Integer else 300.0  # some number: longer than what is written out

    def cost(place: int) -> tuple[float, float]:
        rows, inner = map(length, map(sympy.sympify, factors[place][2]))
        columns = length(sympy.sympify(factors[place + 1][2][1]))
        saved = rows * inner + inner * columns - rows * columns
        both = factors[place][0] is not None and factors[place + 1][0] is not None
        return rows * inner * columns * (1000.0 if both else 1.0), -saved

    return min(range(len(factors) - 1), key=cost)


def _solved(lowering: ArrayLowering, matrix: View, right: View, rows: Any, columns: Any) -> View:
    if rows == 1:
        return right / matrix
    if columns == 1:
        return lowering.whole("solve", [matrix, right], [(rows, rows), (rows,)], 1, (rows,))
    return lowering.whole("solve", [matrix, right], [(rows, rows), (rows, columns)], 2, (rows, columns))


def _inverse_view(lowering: ArrayLowering, view: View, rows: Any) -> View:
    return 1 / view if rows == 1 else lowering.whole("inverse", [view], [(rows, rows)], 2, (rows, rows))


def _inverse(lowering: ArrayLowering, part: sympy.Inverse, arguments: list[View]) -> View:
    return _inverse_view(lowering, arguments[0], part.shape[0])


def _matrix_power(lowering: ArrayLowering, part: sympy.MatPow, arguments: list[View]) -> View:
    base, exponent = part.args
    size = part.shape[0]
    if not exponent.is_Integer:
        raise unsupported(part)
    if exponent == 0:
        return _delta(lowering, *_own_index(lowering, part.shape))
    view = arguments[0] if exponent > 0 else _inverse_view(lowering, arguments[0], size)
    count, result = abs(int(exponent)), None
    while count:
        if count & 1:
            result = view if result is None else lowering.product_of(result, view, size)
        count >>= 1
        if count:
            view = lowering.product_of(view, view, size)
    assert result is not None
    return result


def _determinant(lowering: ArrayLowering, part: sympy.Determinant, arguments: list[View]) -> View:
    rows = part.arg.shape[0]
    return arguments[0] if rows == 1 else lowering.whole("determinant", arguments, [(rows, rows)], 0, ())


def _trace(lowering: ArrayLowering, part: sympy.Trace, arguments: list[View]) -> View:
    inside, rows = part.arg, part.arg.shape[0]
    if rows == 1:
        return arguments[0] if arguments else _chain(lowering, _factors(lowering, inside)[1])[0]
    if isinstance(inside, sympy.MatMul):
        scalar, factors = _factors(lowering, inside)
        if len(factors) > 1 and factors[-1][0] is not None and factors[0][0] is None:
            factors = [factors[-1], *factors[:-1]]  # cyclic: an inverse in front is a solution
        if len(factors) > 1 and not (len(factors) == 2 and factors[0][0] is not None):
            left, shape = _chain(lowering, factors[:-1])
            result = lowering.traced(left, _formed(lowering, factors[-1]), shape[0], shape[1])
        else:
            view, shape = _chain(lowering, factors)
            result = lowering.traced(view, None, shape[0], None)
        return result if scalar is None else scalar * result
    return lowering.traced(arguments[0], None, rows, None)


def _hadamard_power(lowering: ArrayLowering, part: sympy.HadamardPower, arguments: list[View]) -> View:
    base, exponent = part.args
    if not exponent.is_Rational:
        return lowering._apply("pow", *arguments)
    number = Fraction(int(exponent.p), int(exponent.q))
    if number == 0:
        return lowering.table.constant(1)
    positive = lowering.power(arguments[0], abs(number))
    return positive if number > 0 else 1 / positive


def _bound(lowering: ArrayLowering, function: sympy.Lambda, views: Sequence[View]) -> View:
    """A Lambda's expression with views for its variables; lowered anew, as its variables mean something else."""
    inner = ArrayLowering.__new__(ArrayLowering)
    inner.__dict__.update(lowering.__dict__)
    inner.memo = {}
    own = dict(zip(function.signature, views, strict=True))
    inner.symbols = {**lowering.symbols, **own}
    inner.axis_of = {symbol: name for symbol, name in lowering.axis_of.items() if symbol not in own}
    return inner(function.expr)


def _applied(lowering: ArrayLowering, part: ElementwiseApplyFunction, arguments: list[View]) -> View:
    function = part.function
    if not isinstance(function, sympy.Lambda):
        symbol = sympy.Dummy()
        function = sympy.Lambda(symbol, function(symbol))
    return _bound(lowering, function, arguments)


def _function_matrix(lowering: ArrayLowering, part: sympy.FunctionMatrix, _: list[View]) -> View:
    function = part.lamda
    inner = ArrayLowering.__new__(ArrayLowering)
    inner.__dict__.update(lowering.__dict__)
    inner.memo = {}
    fresh = {symbol: lowering.table.fresh() for symbol in function.signature}
    inner.axis_of = {**lowering.axis_of, **fresh}
    view = inner(function.expr)
    row, column = _own_index(lowering, part.shape)
    symbols = function.signature
    return view.at({fresh[symbols[0]]: row, fresh[symbols[1]]: column})


def _diagonal(lowering: ArrayLowering, part: Any, arguments: list[View]) -> View:
    """DiagMatrix of a vector, DiagonalMatrix of a matrix."""
    row, column = axis(lowering.row), axis(lowering.column)
    inside = part.args[0]
    view = arguments[0].at({lowering.column: row}) if inside.shape[1] != 1 else arguments[0]
    if inside.shape[0] == 1 and inside.shape[1] != 1:
        view = arguments[0].at({lowering.column: row})
    return view * _delta(lowering, row, column)


def _diagonal_of(lowering: ArrayLowering, part: Any, arguments: list[View]) -> View:
    row = axis(lowering.row)
    return arguments[0].at({lowering.column: row})


def _in_block(lowering: ArrayLowering, view: View, top: Any, left: Any, shape: Sequence[Any], of: Sequence[Any]) -> View:
    """A block at its place in a larger matrix, 0 elsewhere."""
    names: dict[Axis, AnyIndex] = {}
    limits = []
    for name, offset, length, whole in zip((lowering.row, lowering.column), (top, left), shape, of, strict=True):
        if whole == 1:
            continue
        place = axis(name).minus(lowering.affine(offset))
        limits += [place, lowering.affine(length).minus(1).minus(place)]
        names[name] = place
    return guarded(view.at(names), limits)


def _block_matrix(lowering: ArrayLowering, part: BlockMatrix, arguments: list[View]) -> View:
    rows, columns = part.blockshape
    result: View | None = None
    top: Any = sympy.Integer(0)
    for i in range(rows):
        left: Any = sympy.Integer(0)
        for j in range(columns):
            block = part.blocks[i, j]
            view = _in_block(lowering, arguments[i * columns + j], top, left, block.shape, part.shape)
            result = view if result is None else result + view
            left = left + block.shape[1]
        top = top + part.blocks[i, 0].shape[0]
    assert result is not None
    return result


def _literal(lowering: ArrayLowering, part: Any, arguments: list[View]) -> View:
    rows, columns = part.shape
    if rows * columns > _LARGEST_LITERAL:
        raise UnsupportedExpression(f"a matrix literal of {rows} by {columns} entries: make it an input")
    result = lowering.table.constant(0)
    for place, view in enumerate(arguments):
        if view.number != 0:
            i, j = divmod(place, columns)
            at = _in_block(lowering, view, sympy.Integer(i), sympy.Integer(j), (1, 1), part.shape)
            result = at if result.number == 0 else result + at
    return result


def _slice(lowering: ArrayLowering, part: MatrixSlice, arguments: list[View]) -> View:
    names: dict[Axis, AnyIndex] = {}
    for name, (start, _, step), length in zip(
        (lowering.row, lowering.column), (part.rowslice, part.colslice), part.shape, strict=True
    ):
        first = lowering.affine(start)
        names[name] = first if length == 1 else axis(name).scaled(int(step)).plus(first)
    return arguments[0].at(names)


def _dot(lowering: ArrayLowering, part: sympy.DotProduct, arguments: list[View]) -> View:
    name = lowering.table.fresh()
    vectors = [view.at({lowering.row: axis(name), lowering.column: axis(name)}) for view in arguments]
    length = max(part.args[0].shape, key=lambda n: 0 if n == 1 else 1)
    return lowering.contracted(vectors[0] * vectors[1], name, length)


def _symbolic_sum(lowering: ArrayLowering, views: list[View]) -> View:
    return views[0] if len(views) == 1 else lowering._apply("add", *views)


_CHILDREN: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    sympy.Indexed: lambda part: (),
    sympy.Sum: lambda part: (part.function,),
    sympy.Product: lambda part: (part.function,),
    Largest: lambda part: (part.function,),
    Smallest: lambda part: (part.function,),
    sympy.KroneckerDelta: lambda part: (),
    sympy.MatrixSymbol: lambda part: (),
    MatrixElement: lambda part: (part.parent,),
    sympy.MatMul: lambda part: tuple(f if _inverted(f) is None else _inverted(f) for f in part.args),
    sympy.Inverse: lambda part: (part.arg,),
    sympy.MatPow: lambda part: (part.base,),
    sympy.Determinant: lambda part: (part.arg,),
    sympy.Trace: lambda part: (
        _CHILDREN[sympy.MatMul](part.arg) if isinstance(part.arg, sympy.MatMul) else (part.arg,)
    ),
    sympy.HadamardPower: lambda part: (part.base,) if part.exp.is_Rational else (part.base, part.exp),
    ElementwiseApplyFunction: lambda part: (part.expr,),
    sympy.FunctionMatrix: lambda part: (),
    Identity: lambda part: (),
    ZeroMatrix: lambda part: (),
    OneMatrix: lambda part: (),
    sympy.DiagMatrix: lambda part: (part.args[0],),
    sympy.DiagonalMatrix: lambda part: (part.args[0],),
    sympy.DiagonalOf: lambda part: (part.args[0],),
    BlockMatrix: lambda part: tuple(
        part.blocks[i, j] for i in range(part.blockshape[0]) for j in range(part.blockshape[1])
    ),
    MatrixSlice: lambda part: (part.parent,),
    sympy.DotProduct: lambda part: part.args,
    sympy.MatrixBase: lambda part: tuple(part.flat()),
}

_BUILD: dict[type, Callable[[Any, Any, list[View]], View]] = {
    sympy.Indexed: _indexed,
    sympy.Sum: _sum,
    sympy.Product: _reduction("product"),
    Largest: _reduction("largest"),
    Smallest: _reduction("smallest"),
    sympy.KroneckerDelta: _kronecker,
    sympy.MatrixSymbol: _matrix_symbol,
    MatrixElement: _matrix_element,
    sympy.MatMul: _matmul,
    sympy.MatAdd: lambda lowering, _, arguments: _symbolic_sum(lowering, arguments),
    sympy.Inverse: _inverse,
    sympy.MatPow: _matrix_power,
    sympy.Transpose: lambda lowering, _, arguments: lowering.transposed(arguments[0]),
    sympy.Determinant: _determinant,
    sympy.Trace: _trace,
    sympy.HadamardProduct: lambda lowering, _, arguments: lowering.product(arguments),
    sympy.HadamardPower: _hadamard_power,
    ElementwiseApplyFunction: _applied,
    sympy.FunctionMatrix: _function_matrix,
    Identity: lambda lowering, part, _: _delta(lowering, axis(lowering.row), axis(lowering.column)),
    ZeroMatrix: lambda lowering, *_: lowering.table.constant(0),
    OneMatrix: lambda lowering, *_: lowering.table.constant(1),
    sympy.DiagMatrix: _diagonal,
    sympy.DiagonalMatrix: _diagonal,
    sympy.DiagonalOf: _diagonal_of,
    BlockMatrix: _block_matrix,
    MatrixSlice: _slice,
    sympy.DotProduct: _dot,
    sympy.MatrixBase: _literal,
}
