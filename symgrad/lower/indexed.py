"""Lowering of arrays: Indexed and Sum to views over named axes, matrix expressions to views over ROW and COLUMN.

Each index symbol has one axis for the whole expression, and each matrix expression is lowered once, gather-free and at
its own axes; where it is read, its view is given other index expressions. So the same sub-expression under two names,
or read at y[i], is one node. A length that is 1 has no axis: what lacks an axis is broadcast.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import partial, reduce

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits

from ..errors import UnsupportedExpression
from ..gates.arithmetic import power_of
from ..gates.table import GATES
from ..graph.affine import Axis, Index, Size, axis, number_index
from ..graph.node import AnyIndex, Builder, Gather, View
from ..graph.sums import at_inputs, guarded, total
from ..reductions import Largest, Smallest, UnnamedIndex
from .limits import ranges, written_out
from .registry import Build, alone, lowers, row_of
from .scalars import Lowering
from .survey import Found, Input
from .unsupported import describe

# No array is that long, and floating-point numbers hold all integers up to here.
_MAX_INTEGER = 2**53


class Arrays:
    """What an expression reads, and the axes along which: the same in all of its parts."""

    def __init__(self, table: Builder, inputs: Sequence[Input], found: Found, known: Mapping[str, int]) -> None:
        self.inputs, self.found, self.known = tuple(inputs), found, known
        self.positions = {symbol: position for position, symbol in enumerate(inputs)}
        self.axis_of: dict[sympy.Basic, Axis] = {symbol: table.fresh() for symbol in found.bound}
        self.axis_names: dict[Axis, str] = {  # the user's
            name: str(symbol) for symbol, name in self.axis_of.items() if not isinstance(symbol, UnnamedIndex)
        }
        self.row, self.column = table.fresh(), table.fresh()
        self.further: list[Axis] = []  # axes of arrays of more than two
        self.integers: set[int] = {
            position
            for symbol, position in self.positions.items()
            if symbol in found.arrays and _holds_integers(symbol)
        }


class ArrayLowering(Lowering):
    """Lowers expressions with arrays; inputs are read at the axes of their declarations.

    `symbols` and `axis_of` say what symbols and indices stand for.
    """

    def __init__(
        self,
        table: Builder,
        arrays: Arrays,
        symbols: Mapping[sympy.Basic, View],
        axis_of: Mapping[sympy.Basic, Axis],
        gates: Iterable[type] = (),
    ) -> None:
        super().__init__(table, symbols, gates)
        self.arrays, self.axis_of = arrays, axis_of
        self.row, self.column = arrays.row, arrays.column

    @classmethod
    def of(
        cls, table: Builder, inputs: Sequence[Input], found: Found, gates: Iterable[type], known: Mapping[str, int]
    ) -> ArrayLowering:
        """For an expression with these inputs; `known` are numbers for symbolic extents."""
        views = {s: table.input(i, ()) for i, s in enumerate(inputs) if s in found.symbols or s not in found.sizes}
        symbols = {symbol: view for symbol, view in views.items() if isinstance(symbol, sympy.Symbol)}
        arrays = Arrays(table, inputs, found, known)
        return cls(table, arrays, symbols, arrays.axis_of, gates)

    # --- inputs -------------------------------------------------------------------------------------------------------

    def shape(self, position: int) -> tuple[Index, ...]:
        """The extents of an input; an axis that was not declared has an extent of its own."""
        found = self.arrays.found.arrays
        symbol = self.arrays.inputs[position]
        if symbol not in found:
            return ()
        if symbol.shape is None:
            rank = found[symbol]
            return tuple(Index(((Size(f"{symbol.name}.shape[{at}]"), 1),)) for at in range(rank))
        return tuple(self.affine(extent) for extent in symbol.shape)

    def affine(self, part: sympy.Basic) -> Index:
        """An affine form of extents and axes. Raises UnsupportedExpression for anything else."""
        is_infinite = isinstance(part, sympy.Basic) and part.is_Number and not part.is_finite
        index = None if is_infinite else self.index(part)
        if index is None or isinstance(index, Gather):
            raise UnsupportedExpression(f"the bound or extent {describe(part)} is not affine in extents and indices")
        return index

    def index(self, part: sympy.Basic) -> AnyIndex:
        """An index expression: affine in indices and extents, else the value of an integer expression."""
        part = sympy.sympify(part, strict=True)
        if isinstance(part, sympy.Integer):
            if abs(part) > _MAX_INTEGER:
                raise UnsupportedExpression(f"{describe(part)} is too large for an index, a bound or an extent")
            return number_index(int(part))
        if part in self.axis_of:
            return axis(self.axis_of[part])
        if isinstance(part, sympy.Symbol) and part in self.arrays.found.sizes:
            number = self.arrays.known.get(part.name)
            return number_index(number) if number is not None else Index(((Size(part.name), 1),))
        if isinstance(part, sympy.Add) and all(term.as_coeff_Mul()[0].is_Integer for term in part.args):
            terms = [self.index(term) for term in part.args]
            forms = [term for term in terms if isinstance(term, Index)]
            if len(forms) == len(terms):
                return reduce(Index.plus, forms)
        if isinstance(part, sympy.Mul) and len(part.args) == 2 and part.args[0].is_Integer:
            inner = self.index(part.args[1])
            if isinstance(inner, Index):
                return inner.scaled(self.affine(part.args[0]).offset)
        if not _is_whole(part):
            raise UnsupportedExpression(
                f"the index {describe(part)} is not always an integer; write floor({describe(part)}) to round it down"
            )
        has_fractions = any(not number.is_Integer for number in part.atoms(sympy.Rational))
        view = self(sympy.floor(part) if has_fractions else part)  # i*(i - 1)/2 is a quotient of integers
        self._note_integer_inputs(view)
        return Gather(view)

    def _note_integer_inputs(self, view: View) -> None:
        stack = [view.node]
        while stack:
            node = stack.pop()
            if node.gate.name == "input":
                self.arrays.integers.add(node.position)
            stack += node.sources

    def input_at(self, symbol: sympy.Basic, indices: tuple[AnyIndex, ...]) -> View:
        node = self.table.input(self.arrays.positions[symbol], tuple(range(len(indices)))).node
        return View(node, indices)

    # --- the walk -----------------------------------------------------------------------------------------------------

    def _children(self, part: sympy.Basic) -> tuple[sympy.Basic, ...]:
        children = super()._children(part)
        row = row_of(part)
        if row is None or row.children is None:
            refuse_matrices(part, children)
        return children

    def symbol(self, part: sympy.Symbol) -> View:
        """What a symbol stands for: the value of an index, an extent, or an input."""
        if part in self.axis_of:
            return self.table.position(axis(self.axis_of[part]))
        return self.table.number_of(self.index(part)) if part in self.arrays.found.sizes else super().symbol(part)

    # --- sums ---------------------------------------------------------------------------------------------------------

    def limits(self, part: sympy.Basic) -> tuple[list[Axis], list[Index]]:
        """The axes that a Sum runs over, innermost first, and its constraints."""
        names, constraints = [], []
        for symbol, first, last in ranges(part)[0]:
            if first is None or last is None:
                raise UnsupportedExpression(f"{describe(part)}: the index {symbol} has no bounds; give (i, low, high)")
            name = axis(self.axis_of[symbol])
            names.append(self.axis_of[symbol])
            lows = first.args if isinstance(first, sympy.Max) else (first,)
            highs = last.args if isinstance(last, sympy.Min) else (last,)
            constraints += [name.minus(self.affine(low)) for low in lows]
            constraints += [self.affine(high).minus(name) for high in highs]
        return names, constraints

    def contracted(self, body: View, name: Axis, extent: sympy.Basic) -> View:
        """The sum of `body` over one axis of that extent."""
        return total(body, [name], [axis(name), self.affine(extent).minus(1).minus(axis(name))])

    # --- matrices -----------------------------------------------------------------------------------------------------

    def entry(self, matrix: View, row: AnyIndex, column: AnyIndex) -> View:
        """A matrix at (row, column)."""
        return self.placed(matrix, {self.row: row, self.column: column})

    @staticmethod
    def placed(array: View, at: Mapping[Axis, AnyIndex]) -> View:
        """An array with an index expression for each of its axes.

        Along a diagonal, or gathered, what is computed entry by entry is computed there: an adjoint that is 0 elsewhere
        would meet infinite local gradients.
        """
        read, indices = array.at(at), list(at.values())
        is_scattered = len(set(indices)) < len(indices) or any(isinstance(index, Gather) for index in indices)
        return at_inputs(read) if is_scattered else read

    def transposed(self, matrix: View) -> View:
        return self.entry(matrix, axis(self.column), axis(self.row))

    def own_index(self, shape: Sequence[sympy.Basic]) -> tuple[Index, Index]:
        """The index expressions of a matrix at its own axes; a length of 1 has none."""
        row, column = (
            number_index(0) if length == 1 else axis(name)
            for length, name in zip(shape, (self.row, self.column), strict=True)
        )
        return row, column

    def numbered_axes(self, rank: int) -> list[Axis]:
        """The axes of an array expression, in order."""
        further = self.arrays.further
        further += [self.table.fresh() for _ in range(rank - 2 - len(further))]
        return [self.row, self.column, *further][:rank]

    def power_of_entries(self, number: sympy.Basic, base: View, exponent: View) -> View:
        """A power of each entry; `number` is the exponent as it was written."""
        if not isinstance(number, sympy.Rational):
            return self.apply("pow", base, exponent)
        return power_of(base, Fraction(int(number.p), int(number.q)))

    # --- functions ----------------------------------------------------------------------------------------------------

    def applied(self, function: sympy.Basic, views: Sequence[View]) -> View:
        """A function of one's entries, a Lambda or a SymPy class, with views for its variables."""
        if not isinstance(function, sympy.Lambda):
            symbol = sympy.Dummy()
            function = sympy.Lambda(symbol, function(symbol))
        own = dict(zip(function.signature, views, strict=True))
        axes = {symbol: name for symbol, name in self.axis_of.items() if symbol not in own}
        return self.inside(function.expr, {**self.symbols, **own}, axes)

    def inside(
        self, expression: sympy.Basic, symbols: Mapping[sympy.Basic, View], axes: Mapping[sympy.Basic, Axis]
    ) -> View:
        """An expression in which some symbols mean something else: lowered anew, into the same table."""
        return ArrayLowering(self.table, self.arrays, symbols, axes, self.own)(expression)


def _holds_integers(symbol: sympy.Basic) -> bool:
    label = getattr(symbol, "label", None)
    return isinstance(label, sympy.Symbol) and bool(label.is_integer)


def refuse_matrices(part: sympy.Basic, children: Sequence[sympy.Basic]) -> None:
    """Functions of numbers take no matrices."""
    for child in children:
        if isinstance(child, (sympy.MatrixExpr, sympy.MatrixBase)) and tuple(child.shape) != (1, 1):
            raise UnsupportedExpression(
                f"cannot compile {describe(part)} ({type(part).__name__}): {type(part).__name__} of a matrix is "
                "no function of its entries; write the entries' with applyfunc, or take a trace"
            )


# --- indices and sums -------------------------------------------------------------------------------------------------


@lowers(sympy.Indexed, children=alone)
def _indexed(lowering: ArrayLowering, part: sympy.Indexed, _: list[View]) -> View:
    return lowering.input_at(part.base, tuple(map(lowering.index, part.indices)))


@lowers(sympy.Idx, children=alone)
def _index(lowering: Lowering, part: sympy.Idx, _: list[View]) -> View:
    return lowering.symbol(part)


def _body(_lowering: ArrayLowering, part: ExprWithLimits) -> tuple[sympy.Basic, ...]:
    return (part.function,)


def _terms(lowering: Lowering, part: ExprWithLimits) -> tuple[sympy.Basic, ...]:
    """The body of a sum that stays a loop; its terms in an expression of scalars."""
    return (part.function,) if isinstance(lowering, ArrayLowering) else written_out(part)


@lowers(sympy.Sum, children=_terms)
def _sum(lowering: Lowering, part: sympy.Sum, arguments: list[View]) -> View:
    if isinstance(lowering, ArrayLowering):
        view = total(arguments[0], *lowering.limits(part), may_be_empty=True)
    else:
        view = (
            lowering.apply("add", *arguments) if len(arguments) > 1 else (arguments or [lowering.table.constant(0)])[0]
        )
    return -view if ranges(part)[1] else view


@lowers(sympy.Product, children=_terms)
def _product(lowering: Lowering, part: sympy.Product, arguments: list[View]) -> View:
    if isinstance(lowering, ArrayLowering):
        view = _reduced("product", lowering, part, arguments)
    else:
        view = lowering.product(arguments)
    return 1 / view if ranges(part)[1] else view


def _reduced(gate: str, lowering: ArrayLowering, part: ExprWithLimits, arguments: list[View]) -> View:
    names, constraints = lowering.limits(part)
    return lowering.table.reduce(GATES[gate], arguments[0], names, constraints)


lowers(Largest, children=_body)(partial(_reduced, "largest"))
lowers(Smallest, children=_body)(partial(_reduced, "smallest"))


def _compared(lowering: Lowering, part: sympy.KroneckerDelta) -> tuple[sympy.Basic, ...]:
    """Indices are no values; in an expression of scalars there are none."""
    return () if isinstance(lowering, ArrayLowering) else tuple(part.args)


@lowers(sympy.KroneckerDelta, children=_compared)
def _kronecker(lowering: Lowering, part: sympy.KroneckerDelta, arguments: list[View]) -> View:
    if not isinstance(lowering, ArrayLowering):
        return arguments[0].equals(arguments[1]).where(1, 0)
    one, two = lowering.index(part.args[0]), lowering.index(part.args[1])
    if isinstance(one, Gather) or isinstance(two, Gather):
        return lowering.table.number_of(one).equals(lowering.table.number_of(two)).where(1, 0)
    return delta(lowering, one, two)


def delta(lowering: ArrayLowering, one: Index, two: Index) -> View:
    """1 where two index expressions are equal, else 0."""
    difference = one.minus(two)
    return guarded(lowering.table.constant(1), [difference, difference.scaled(-1)])


# --- integers ---------------------------------------------------------------------------------------------------------

# What has integers for values where its arguments have.
_CLOSED = (sympy.Mod, sympy.Abs, sympy.Max, sympy.Min)


def _is_whole(part: sympy.Basic) -> bool:
    """Whether an index is an integer whatever the integers are that it is made of: i*(i - 1)/2, but not i/2.

    A polynomial with rational coefficients is, if it is one at 0 .. degree in each of its variables: its differences
    there are the coefficients by which it is a sum of binomials (Polya, 1915).
    """
    if part.is_Number:
        return bool(part.is_finite) and sympy.Rational(part).is_Integer
    if isinstance(part, (sympy.Symbol, sympy.Indexed, sympy.floor, sympy.ceiling, sympy.KroneckerDelta, sympy.sign)):
        return True
    if isinstance(part, _CLOSED):
        return all(map(_is_whole, part.args))
    if isinstance(part, sympy.Piecewise):
        return all(_is_whole(value) for value, _ in part.args)
    if not isinstance(part, (sympy.Add, sympy.Mul, sympy.Pow)):
        return bool(part.is_integer)
    exact = part.xreplace({number: sympy.Rational(number) for number in part.atoms(sympy.Float)})
    try:
        polynomial = sympy.Poly(exact, domain="QQ")
    except (sympy.PolynomialError, sympy.CoercionFailed):
        return bool(part.is_integer)
    if exact in polynomial.gens:
        return bool(part.is_integer)
    if not all(map(_is_whole, polynomial.gens)):
        return False
    grid = itertools.product(*(range(polynomial.degree(own) + 1) for own in polynomial.gens))
    return all(polynomial.eval(dict(zip(polynomial.gens, at, strict=True))).is_Integer for at in grid)


# --- what rounds ------------------------------------------------------------------------------------------------------


def _quotient(lowering: Lowering, part: sympy.Basic) -> tuple[sympy.Basic, ...]:
    """The argument; a sum of fractions as a numerator and a denominator, so that a quotient of integers is exact.

    SymPy writes (i + j + 1)/3 as i/3 + j/3 + 1/3, which rounds three times.
    """
    (argument,) = part.args
    if not isinstance(lowering, ArrayLowering):  # no integers
        return (argument,)
    terms = [term.as_coeff_Mul() for term in sympy.Add.make_args(argument)]
    if not all(factor.is_Rational for factor, _ in terms):
        return (argument,)
    denominator = math.lcm(*(factor.q for factor, _ in terms))
    if denominator == 1 or len(terms) == 1:
        return (argument,)
    return sympy.Add(*(factor * denominator * rest for factor, rest in terms)), sympy.Integer(denominator)


def _rounded(gate: str) -> Build:
    def build(lowering: Lowering, _: sympy.Basic, arguments: list[View]) -> View:
        quotient = lowering.apply("div", *arguments) if len(arguments) > 1 else arguments[0]
        return lowering.apply(gate, quotient)

    return build


lowers(sympy.floor, children=_quotient)(_rounded("floor"))
lowers(sympy.ceiling, children=_quotient)(_rounded("ceil"))
