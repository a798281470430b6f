"""Value, gradient and Hessian of scalar SymPy expressions at any point, kinks and edges included, without symgrad.

    answer = oracle(expr, symbols, point)         value and derivatives, each with what rounding may do to it
    answer = oracle(expr, symbols, point, order=2)                 second ones as well
    agrees(got, answer.value, FORMATS["float64"]) is a float what the answer promises?

A forward pass over the expression as SymPy has it: every part is a number of mpmath, a bound of the error that floats
make on the way to it, one slope per symbol on which it depends, and one bend, a second derivative, per pair of them.
The rules are those of calculus; where it leaves a choice, those of docs/conventions.md:

- ties of Max and Min share the slope evenly, losers and branches that are not taken have no slope at all: not even one
  of zero, so that no infinity of theirs gets out;
- a kink has no bend of its own;
- Abs and sign have slope 0 at 0, steps have slope 0 everywhere, Mod(a, b) has 1 and -floor(a/b);
- b*sin(c*x)/(c*x) with a branch b for x = 0 is b*sinc(c*x), which has slopes and bends there;
- 0**0 is 1, x**y has slope 0 by y at x = 0 < y, and the root of a sum of squares slope and bend 0 at 0;
- outside of its domain a part is NaN, and so is what is made of it; a comparison with NaN is false.

The bound is a running one (N. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.3): a step adds
some units in the last place of its result, and hands on the errors of its arguments by its slopes and, where these are
curved, by its values on both sides. Slopes are bounded by all the ways through the graph at once, whatever cancels,
so that the bound holds for any order of the sums, forward and backward alike.

Where a float cannot know the answer (a branch on the sign of a rounded zero, an overflow on the way, infinity minus
infinity) the bound is infinite, and anything agrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from types import MappingProxyType
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mp
from reference import constant

Number = Any  # an mpf; mpmath has no types

DIGITS = 60  # a sum that cancels to less than this has an error bound of floats that is far larger
ULPS = 4  # that one operation may be off: those of SIMD functions
SLACK = 4  # times the bound; it is one of first order, and an expression may be computed in another order
ZERO, ONE, INF, NAN = mp.mpf(0), mp.mpf(1), mp.inf, mp.nan
POLE = "pole"  # an infinity whose sign depends on that of a zero


@dataclass(frozen=True)
class Format:
    """A kind of floats."""

    name: str
    eps: Number
    largest: Number
    smallest: Number  # normal one
    bits: int  # what fits into so many is computed exactly, in any order

    def rounded(self, number: Number) -> Number:
        """`number` to the nearest float, as far as that is finite."""
        if self.name == "exact":
            return number if _bits(number) <= self.bits else number * (1 + self.eps)
        if not mp.isfinite(number) or abs(number) > self.largest:
            return number
        return mp.mpf(float(np.dtype(self.name).type(float(number))))


FORMATS = {
    name: Format(name, *(mp.mpf(float(n)) for n in (limits.eps, limits.max, limits.tiny)), limits.nmant - 2)
    for name, limits in (("float64", np.finfo("float64")), ("float32", np.finfo("float32")))
}
# What an evaluator with 60 digits is held to: nothing overflows, and nearly all kinks and edges are decided.
FORMATS["exact"] = Format("exact", mp.mpf(10) ** -50, mp.mpf(10) ** 10**6, mp.mpf(10) ** -(10**6), 160)


@dataclass
class Slope:
    """A derivative by one symbol or by two, the sum of the sizes of all the ways that lead to it, and its error."""

    value: Number
    size: Number
    error: Number
    # The products of what is below 1 and of what is above 1 along a way, the extreme ones of all ways: how small and
    # how large it may get if the factors are taken in another order.
    small: Number = ONE
    large: Number = ONE


@dataclass
class Part:
    """The number of one node. NaN with error 0: surely NaN; NaN with an infinite error: nothing is known."""

    value: Number
    error: Number = ZERO
    slopes: dict[int, Slope] = field(default_factory=dict)  # by position of the symbol; absent: does not depend on it
    bends: dict[tuple[int, int], Slope] = field(default_factory=dict)  # by pairs in order; absent: it is linear in them
    ratio: tuple[Number, Number] | None = None  # of two numbers that are computed exactly, where it is one
    edges: list[tuple[Part, Number, Number]] = field(default_factory=list)  # argument, local slope, its error
    is_pole: bool = False  # infinite, but nobody knows with which sign

    @property
    def is_exact(self) -> bool:
        return bool(self.error == 0)

    @property
    def is_nan(self) -> bool:
        """Surely NaN."""
        return bool(mp.isnan(self.value) and self.error == 0)

    @property
    def is_unknown(self) -> bool:
        return bool(mp.isnan(self.value) and self.error != 0)


@dataclass(frozen=True)
class Bounded:
    """A number, and how far a float may be from it; an infinite bound: anywhere, and it may be NaN."""

    value: Number
    bound: Number
    is_infinite: bool = False  # or NaN, but no number


@dataclass(frozen=True)
class Answer:
    value: Bounded
    gradient: list[Bounded]
    hessian: dict[tuple[int, int], Bounded]  # its lower triangle


def oracle(
    expr: sp.Expr, symbols: Sequence[sp.Symbol], point: Sequence[float], dtype: str = "float64", order: int = 1
) -> Answer:
    """What value and derivatives of `expr` are where `symbols` are exactly the floats of `point`."""
    with mp.workdps(DIGITS):
        return _answer(_Evaluator(FORMATS[dtype], symbols, point, order), expr)


def agrees(got: Any, want: Bounded, form: Format) -> bool:
    """Is a number within the bound? What lies beyond the largest float may be infinite, and a pole may be NaN."""
    got = got if isinstance(got, mpmath.mpf) else mp.mpf(float(got))
    is_huge = bool(abs(got) > form.largest / 4)
    if want.bound == INF:
        return not want.is_infinite or is_huge or bool(mp.isnan(got))
    if mp.isnan(want.value):
        return not mp.isfinite(got)
    if mp.isinf(want.value):  # its sign may be that of a zero
        return is_huge or (not want.is_infinite and bool(mp.isnan(got)))
    with mp.workdps(DIGITS):
        bound = SLACK * (want.bound + ULPS * form.eps * abs(want.value))
        bound += form.smallest if abs(want.value) < form.smallest else 0
        if is_huge and abs(want.value) + bound > form.largest / 2:
            return bool((want.value > 0) == (got > 0))
        return bool(abs(got - want.value) <= bound)


def _answer(evaluator: _Evaluator, expr: sp.Expr) -> Answer:
    root, order = evaluator(expr)
    form = evaluator.form
    value = Bounded(root.value, root.error, root.is_pole)
    _hand_back(order, root, form)
    gradient = []
    for i in range(len(evaluator.symbols)):
        slope = root.slopes.get(i)
        if slope is None:
            none = mp.isnan(root.value)  # NaN has NaN or nothing for its slopes: which is not promised
            gradient.append(Bounded(ZERO, INF if none else ZERO))
        elif mp.isnan(slope.value) or mp.isnan(slope.error) or mp.isnan(root.value):
            gradient.append(Bounded(NAN, INF))
        elif mp.isinf(slope.value):
            # The sign of an infinite slope is that of a zero, which is not promised.
            is_known = abs(root.value) <= form.largest / 2 and slope.error != INF
            gradient.append(Bounded(slope.value, ZERO if is_known else INF, is_known))
        elif max(abs(slope.value), slope.large) > form.largest / 4:  # on the way, in some order of its factors
            gradient.append(Bounded(slope.value, INF))
        else:
            lost = form.smallest * slope.large if slope.small < form.smallest else ZERO
            gradient.append(Bounded(slope.value, slope.error + lost))
    pairs = [(i, j) for i in range(len(evaluator.symbols)) for j in range(i + 1)] if evaluator.order > 1 else []
    return Answer(value, gradient, {pair: _bend(root, pair, form) for pair in pairs})


def _bend(root: Part, pair: tuple[int, int], form: Format) -> Bounded:
    """A second derivative. Where a first one is not known or not finite, nothing is promised."""
    first = [root.slopes[i] for i in pair if i in root.slopes]
    if not mp.isfinite(root.value) or not all(mp.isfinite(slope.value) and mp.isfinite(slope.error) for slope in first):
        return Bounded(NAN, INF)
    bend = root.bends.get((min(pair), max(pair)))
    if bend is None:
        return Bounded(ZERO, ZERO)
    if mp.isnan(bend.value) or not mp.isfinite(bend.error):
        return Bounded(NAN, INF)
    if mp.isinf(bend.value):
        return Bounded(bend.value, INF, is_infinite=True)
    if max(abs(bend.value), bend.large) > form.largest / 4:
        return Bounded(bend.value, INF)
    return Bounded(bend.value, bend.error + (form.smallest * bend.large if bend.small < form.smallest else ZERO))


def _hand_back(order: list[Part], root: Part, form: Format) -> None:
    """What the reverse pass may lose: adjoints that overflow, and those below the smallest float."""
    if root.is_nan or root.is_unknown:
        return
    adjoints: dict[int, Number] = {id(root): ONE}
    for part in reversed(order):
        adjoint = adjoints.pop(id(part), None)
        if adjoint is None:
            continue
        for argument, local, error in part.edges:
            if not argument.slopes:
                continue
            handed = adjoint * (abs(local) + (error if mp.isfinite(error) else 0))
            adjoints[id(argument)] = adjoints.get(id(argument), ZERO) + handed
            for i, slope in argument.slopes.items():
                total = root.slopes.get(i)
                if total is None:
                    continue
                if mp.isinf(adjoint) and local == 0:
                    total.value = NAN  # on the way there, if not in the sum of all
                elif mp.isinf(total.value):
                    continue
                elif mp.isfinite(handed) and handed > form.largest / 4:
                    total.error = INF
                elif 0 < handed < form.smallest:
                    total.error += form.smallest * slope.size


# Of local second derivatives: by positions of two arguments, in order, with their errors; absent ones are 0.
Bends = Mapping[tuple[int, int], tuple[Number, Number]]
NO_BENDS: Bends = MappingProxyType({})

# --- the evaluator ----------------------------------------------------------------------------------------------------


class _Evaluator:
    def __init__(self, form: Format, symbols: Sequence[sp.Symbol], point: Sequence[float], order: int) -> None:
        self.form, self.symbols, self.order = form, tuple(symbols), order
        self.leaves = {}
        for i, (symbol, x) in enumerate(zip(symbols, point, strict=True)):
            number = mp.mpf(float(x))
            self.leaves[symbol] = Part(number, ZERO, {i: Slope(ONE, ONE, ZERO)}, ratio=(number, ONE))

    def __call__(self, expr: sp.Expr) -> tuple[Part, list[Part]]:
        """The number of the expression, and those of all its parts, arguments first."""
        known: dict[sp.Basic, Any] = dict(self.leaves)
        order: list[Part] = []
        waiting = [(expr, False)]
        while waiting:
            node, ready = waiting.pop()
            if node in known:
                continue
            arguments = _made_of(node)
            if not ready and arguments:
                waiting.append((node, True))
                waiting.extend((argument, False) for argument in arguments)
                continue
            made = self.part(node, [known[argument] for argument in arguments])
            known[node] = made
            if isinstance(made, Part):
                order.append(made)
        return known[expr], order

    def part(self, node: sp.Basic, arguments: list[Any]) -> Any:
        if not node.args:
            return self.leaf(node)
        if node.func in _LOGIC:
            return _LOGIC[node.func](*arguments)
        if node.func in _COMPARISONS:
            if all(map(self.is_huge, arguments)) and not all(mp.isinf(a.value) for a in arguments):
                return None  # two infinities, as far as floats go
            return _COMPARISONS[node.func](*_sign_of_difference(*arguments))
        if node.func is sp.Piecewise:
            if isinstance(arguments[0], Part):
                return arguments[0]
            made = _first_that_holds(arguments)
            return _without_bends(node, made, arguments) if _as_sinc(node) is not None else made
        if node.func in _FUNCTIONS:
            return self.function(_FUNCTIONS[node.func], arguments[0])
        return _RULES[node.func](self, node, arguments)

    def leaf(self, node: sp.Basic) -> Any:
        if node in (sp.true, sp.false):
            return bool(node)
        number = constant(node)
        error = abs(number - self.form.rounded(number))
        ratio = (number, ONE) if not error else None
        if isinstance(node, sp.Rational) and error:
            above, below = mp.mpf(node.p), mp.mpf(node.q)
            ratio = (above, below) if _bits(above) <= self.form.bits and _bits(below) <= self.form.bits else None
        return Part(number, error, ratio=ratio)

    # Errors: what one operation adds to a result of this size.

    def ulps(self, size: Number, count: Number = ULPS) -> Number:
        size = abs(size)
        return count * self.form.eps * size + (self.form.smallest if 0 < size < self.form.smallest else 0)

    def quotient_error(self, value: Number, above: Number, below: Number) -> Number:
        """That of a quotient of numbers that are computed exactly: none where it is a float itself."""
        is_float = _bits(value) <= self.form.bits and (value == 0 or abs(value) >= self.form.smallest)
        is_float = is_float and (below == 1 or self.form.name != "exact")  # 60 digits take reciprocals
        return ZERO if is_float and value * below == above else self.ulps(value)

    def join(
        self,
        value: Number,
        error: Number,
        locals_: Sequence[tuple[Part, Number, Number]],
        bends: Bends | None,
        through: Mapping[int, tuple[Number, Number]] = MappingProxyType({}),
    ) -> Part:
        """A part from its value and its local slopes and bends, each with its error: the chain rule.

        Of bends None says that nothing is known of them. `through` has, by identity of an argument, two factors into
        which its local slope may come apart on the way.
        """
        if mp.isfinite(value) and abs(value) > self.form.largest / 2 and error != INF:
            # It is infinite, or as good as that; but where a difference of large numbers is all error it may be 0.
            value, error = (value, ZERO) if abs(value) - SLACK * error > self.form.largest / 2 else (NAN, INF)
        slopes: dict[int, Slope] = {}
        curved: dict[tuple[int, int], Slope] = {}
        edges = [(argument, local, wrong) for argument, local, wrong in locals_ if argument.slopes]
        for argument, local, wrong in edges:
            own = self.local(local, wrong, through.get(id(argument), ()))
            for i, slope in argument.slopes.items():
                _count(slopes, i, self.times(own, slope))
            for pair, bend in argument.bends.items():
                _count(curved, pair, self.times(own, bend))
        if self.order > 1:
            self.bend(curved, [argument for argument, _, _ in locals_], bends)
        ratio = (value, ONE) if error == 0 and mp.isfinite(value) else None
        return Part(value, error, slopes, curved, ratio, edges)

    def local(self, value: Number, wrong: Number, through: Sequence[Number] = ()) -> Slope:
        """A local derivative as it is computed: the start of a way."""
        size = abs(value)
        if mp.isfinite(value):
            wrong = wrong + self.ulps(value)
            if size > self.form.largest / 4:
                wrong = INF
        sizes = (size or ONE, ONE, *through)
        return Slope(value, size, wrong, min(sizes), max(sizes))

    def times(self, one: Slope, two: Slope) -> Slope:
        """Two ways, one behind the other."""
        size = one.size * two.size
        error = _times(one.size + one.error, two.error) + _times(one.error, two.size)
        error += self.ulps(size) if mp.isfinite(size) else 0
        if INF in (one.error, two.error):
            error = INF  # even times 0
        return Slope(one.value * two.value, size, error, one.small * two.small, one.large * two.large)

    def bend(self, curved: dict[tuple[int, int], Slope], arguments: Sequence[Part], bends: Bends | None) -> None:
        """What the local second derivatives add to those by the symbols."""
        for p, one in enumerate(arguments):
            for q, two in enumerate(arguments[p:], p):
                if bends is not None and (p, q) not in bends:
                    continue
                own = Slope(NAN, NAN, INF) if bends is None else self.local(*bends[p, q])
                twice = replace(own, value=2 * own.value, size=2 * own.size, error=2 * own.error)
                for i, by_one in one.slopes.items():
                    for j, by_two in two.slopes.items():
                        if p < q or i <= j:
                            factor = twice if p < q and i == j else own
                            _count(curved, (min(i, j), max(i, j)), self.times(self.times(factor, by_one), by_two))

    def unknown(self, arguments: Sequence[Part]) -> Part:
        return self.join(NAN, INF, [(argument, NAN, INF) for argument in arguments], None)

    def not_a_number(self, arguments: Sequence[Part]) -> Part:
        return self.join(NAN, ZERO, [(argument, NAN, INF) for argument in arguments], None)

    def pole(self, arguments: Sequence[Part]) -> Part:
        made = self.unknown(arguments)
        made.is_pole = True
        return made

    def is_huge(self, part: Part) -> bool:
        """Infinite, or beyond the largest float."""
        return bool(not mp.isnan(part.value) and abs(part.value) > self.form.largest / 2)

    def function(self, row: _Function, a: Part) -> Part:
        if mp.isnan(a.value):
            return self.not_a_number([a]) if a.is_nan else self.unknown([a])
        if self.is_huge(a):
            return self.far_out(row, a)
        if row.is_reciprocal and 0 < abs(a.value) < self.form.smallest:
            return self.unknown([a])  # the reciprocal is infinite
        error = a.error + (self.form.eps * abs(a.value) if row.is_reciprocal or row.is_shifted else 0)
        if row.is_wave and error > ONE / 16:
            return self.unknown([a])  # somewhere in the period
        value = _real(row.value, a.value)
        if value == 0 and row.falls_off and abs(a.value) > 1:
            return self.join(
                ZERO, self.form.smallest, [(a, ZERO, self.form.smallest)], {(0, 0): (ZERO, self.form.smallest)}
            )
        if value == POLE:
            return self.pole([a]) if a.is_exact else self.unknown([a])
        around = [_real(row.value, a.value + step) for step in (error, -error)] if error else []
        if any(v == POLE or mp.isnan(v) != mp.isnan(value) or mp.isinf(v) for v in around):
            return self.unknown([a])
        if mp.isnan(value):
            return self.not_a_number([a])
        if mp.isinf(value):
            return self.join(value, ZERO, [(a, _slope(row.slope, a.value), ZERO)], None)
        slope = _slope(row.slope, a.value)
        wrong = ZERO
        if around:
            wrong = max(*(abs(v - value) for v in around), _times(abs(slope), error) if mp.isfinite(slope) else ZERO)
        if row.has_gaps and around and wrong >= abs(value) / 4:
            return self.unknown([a])  # there may be a pole between
        if not (a.is_exact and a.value in (0, 1) and value in (0, 1)):  # exp(0), log(1)
            wrong += self.ulps(max(abs(value), ONE) if row.is_absolute else value)
        bends = None
        if self.order > 1 and mp.isfinite(slope):
            bend = _slope(row.bend, a.value)
            bends = {(0, 0): (bend, self.slope_error(row.bend, a, bend))}
        return self.join(value, wrong, [(a, slope, self.slope_error(row.slope, a, slope))], bends)

    def slope_error(self, slope: Callable[[Number], Number], a: Part, here: Number) -> Number:
        """How far a local slope may be off, as its argument is; and as one rounding of the argument moves it."""
        if not mp.isfinite(here):
            return ZERO if a.is_exact and mp.isinf(here) else INF
        error = a.error + self.form.eps * abs(a.value)
        around = [_slope(slope, a.value + step) for step in (error, -error)]
        if abs(a.value) < error:
            around.append(_slope(slope, ZERO))  # where it is steepest, mostly
        if not all(mp.isfinite(v) for v in around):
            return ZERO if a.is_exact else INF
        return max(abs(v - here) for v in around)

    def far_out(self, row: _Function, a: Part) -> Part:
        if row.value is _exp:
            if a.value > 0:
                return self.join(INF, ZERO, [(a, INF, ZERO)], None)
            return self.join(ZERO, ZERO if mp.isinf(a.value) else self.form.smallest, [(a, ZERO, INF)], None)
        return self.unknown([a])

    # --- arithmetic -----------------------------------------------------------------------------------------------

    def add(self, node: sp.Basic, terms: list[Part]) -> Part:
        if any(mp.isnan(t.value) for t in terms):
            return self.not_a_number(terms) if any(t.is_nan for t in terms) else self.unknown(terms)
        locals_ = [(term, ONE, ZERO) for term in terms]
        huge = [t.value for t in terms if self.is_huge(t)]
        if huge:
            if min(huge) < 0 < max(huge):
                return self.unknown(terms)
            return self.join(mp.fsum(t.value for t in terms), ZERO, locals_, NO_BENDS)
        value, size = mp.fsum(t.value for t in terms), mp.fsum(abs(t.value) for t in terms)
        if size > self.form.largest / 2:
            return self.unknown(terms)
        error = mp.fsum(t.error for t in terms)
        if error or not _sums_exactly([t.value for t in terms], self.form.bits):
            error += self.ulps(size, len(terms))
        return self.join(value, error, locals_, NO_BENDS)

    def multiply(self, node: sp.Basic, factors: list[Part]) -> Part:
        if any(mp.isnan(f.value) for f in factors):
            return self.not_a_number(factors) if any(f.is_nan for f in factors) else self.unknown(factors)
        values = [f.value for f in factors]
        if any(map(self.is_huge, factors)):
            if any(v == 0 or abs(v) < self.form.smallest * 16 for v in values) or (
                any(abs(v) < 1 for v in values) and not any(map(mp.isinf, values))
            ):
                return self.unknown(factors)
            if self.form.name == "exact" and min(values) < 0:
                return self.pole(factors)  # 1/(-1*0**2), where 0 has no sign
            value = reduce(lambda s, v: s * v, values)
            rest = [reduce(lambda s, v: s * v, values[:k] + values[k + 1 :], ONE) for k in range(len(values))]
            return self.join(value, ZERO, [(f, p, INF) for f, p in zip(factors, rest, strict=True)], None)
        value, error = self.product(factors)
        ratio = _ratio([f.ratio for f in factors], self.form.bits)
        locals_ = []
        for k, factor in enumerate(factors):
            others = factors[:k] + factors[k + 1 :]
            locals_.append((factor, *self.product(others)))
        through = self.below(node, value, locals_)
        if ratio is not None:
            above, below = ratio
            value = above / below
            error = self.quotient_error(value, above, below)
        pairs = [(p, q) for q in range(len(factors)) for p in range(q)] if self.order > 1 else []
        bends = {pair: self.product([f for k, f in enumerate(factors) if k not in pair]) for pair in pairs}
        lost = self.lost_below(node, values)
        through |= {id(factors[k]): (lost, 1 / lost) for k in _denominators(node) if lost}
        bends |= {pair: (bends[pair][0], INF) for pair in pairs if lost and not {*pair}.isdisjoint(_denominators(node))}
        made = self.join(value, error, locals_, bends, through)
        made.ratio = ratio
        return made

    def below(
        self, node: sp.Basic, value: Number, locals_: list[tuple[Part, Number, Number]]
    ) -> dict[int, tuple[Number, Number]]:
        """In a/(b*c) the slope by b*c is a number of its own, which may leave the range of floats."""
        places = _denominators(node)
        if len(places) < 2:
            return {}
        numbers = [abs(locals_[k][0].value) for k in places]
        size = INF if min(numbers) == 0 else reduce(lambda s, number: s / number, numbers, ONE)
        if max(size, abs(value) / size) > self.form.largest / 4:
            wrong = INF
        elif abs(value) / size < self.form.smallest:
            wrong = self.form.smallest * size
        else:
            return {id(locals_[k][0]): (abs(value) / size, size / numbers[at]) for at, k in enumerate(places)}
        for k in places:
            factor, local, error = locals_[k]
            locals_[k] = factor, local, error + (wrong / abs(factor.value) if wrong < INF else INF)
        return {}

    def lost_below(self, node: sp.Basic, values: list[Number]) -> Number:
        """The square of the 1/(b*c) of a/(b*c), which second derivatives have, where no float is like that; else 0."""
        places = _denominators(node)
        size = reduce(lambda s, k: s * abs(values[k]), places, ONE) ** 2
        is_lost = self.order > 1 and len(places) > 1 and not self.form.smallest < size < self.form.largest / 4
        return size if is_lost and mp.isfinite(size) else ZERO

    def product(self, factors: Sequence[Part]) -> tuple[Number, Number]:
        """A product, and its error. What is lost on the way depends on the order, which is not known."""
        value = reduce(lambda s, f: s * f.value, factors, ONE)
        if not factors:
            return value, ZERO
        error = ZERO
        for k, factor in enumerate(factors):
            if factor.error:
                others = [abs(f.value) + (f.error if i > k else 0) for i, f in enumerate(factors) if i != k]
                error += _times(reduce(lambda s, v: s * v, others, ONE), factor.error)
        if len(factors) == 1:
            return value, error
        error += self.ulps(value, len(factors))
        large = reduce(lambda s, f: s * max(abs(f.value), ONE), factors, ONE)
        small = reduce(lambda s, f: s * min(abs(f.value), ONE), factors, ONE)
        if large > self.form.largest / 4:
            error = ZERO if abs(value) > self.form.largest / 2 and small == 1 else INF
        elif 0 < small < self.form.smallest:
            error += self.form.smallest * large
        return value, error

    def power(self, node: sp.Basic, arguments: list[Part]) -> Part:
        a, b = arguments
        if mp.isnan(a.value) or mp.isnan(b.value):
            if a.value == 1 or abs(b.value) <= b.error or a.is_unknown or b.is_unknown:
                return self.unknown(arguments)
            return self.not_a_number(arguments)
        if b.is_exact and mp.isint(b.value) and not b.slopes and abs(b.value) <= 2**31:
            return self.integer_power(a, int(b.value))
        if self.is_huge(b) or (self.is_huge(a) and (b.slopes or b.value == 0)):
            return self.unknown(arguments)
        if self.is_huge(a):
            return self.huge_base(a, b.value)
        if a.value == 0 and a.is_exact:
            return self.power_of_zero(a, b, node)
        if abs(a.value) <= a.error:
            return self.unknown(arguments)
        if a.value < 0:
            if b.error and abs(b.value - mp.nint(b.value)) <= SLACK * b.error:
                return self.unknown(arguments)  # it may be rounded to a whole number
            if not b.slopes and not mp.isint(b.value):
                return self.not_a_number(arguments)
            if not b.is_exact:
                return self.unknown(arguments)
            if not mp.isint(b.value):
                return self.not_a_number(arguments)
            if abs(b.value) > 2**31:
                return self.unknown(arguments)
            made = self.integer_power(a, int(b.value))
            bends = {(0, 0): self.power_bend(a, int(b.value)), (0, 1): (NAN, INF), (1, 1): (NAN, INF)}
            return self.join(made.value, made.error, [(a, _of(made, 1), _of(made, 2)), (b, NAN, INF)], bends)
        logarithm = mp.log(a.value)
        value = _exp(b.value * logarithm)
        if a.is_exact and b.is_exact and _is_exact_root(value, a.value, b.value, self.form.bits):
            error = ZERO
        else:
            relative = abs(b.value) * a.error / (abs(a.value) - a.error) + abs(logarithm) * b.error
            error = _times(abs(value), mp.expm1(relative) if relative < 1 else INF) + self.ulps(value)
        by_base = b.value * _exp((b.value - 1) * logarithm)
        by_exponent = value * logarithm
        if abs(value) > self.form.largest / 2:
            return self.join(value, ZERO, [(a, by_base, INF), (b, by_exponent, INF)], None)
        # b - 1 is rounded, and the logarithm of a number near 1 moves with its argument.
        moved = (abs(b.value - 1) + 1) * (a.error / (abs(a.value) - a.error) + self.form.eps) + abs(logarithm) * (
            b.error + self.form.eps * (abs(b.value) + 1)
        )
        moved = mp.expm1(moved) if moved < 1 else INF
        base_error = _times(abs(by_base), moved) + _times(_exp((b.value - 1) * logarithm), b.error)
        if _exp((b.value - 1) * logarithm) > self.form.largest / 4:
            base_error = INF  # although b times this may be a float
        exponent_error = _times(abs(by_exponent), moved)
        exponent_error += abs(value) * (a.error / (abs(a.value) - a.error) + self.form.eps)
        bends = self.power_bends(a, b, logarithm, value) if self.order > 1 else None
        made = self.join(value, error, [(a, by_base, base_error), (b, by_exponent, exponent_error)], bends)
        return _constant_in(a, b, made) if b.value == 0 and b.is_exact else made

    def power_bends(self, a: Part, b: Part, logarithm: Number, value: Number) -> Bends:
        """The second derivatives of `a**b`, where a is positive."""
        y, off = b.value, a.error / (abs(a.value) - a.error) + self.form.eps
        moved = (abs(y) + 4) * off + abs(logarithm) * (b.error + self.form.eps * (abs(y) + 2))
        moved = mp.expm1(moved) if moved < 1 else INF
        below, twice_below = (_exp((y - k) * logarithm) for k in (1, 2))
        wrong = b.error + self.form.eps * (abs(y) + 2)
        base_error = twice_below * (_times(abs(y * (y - 1)), moved) + (2 * abs(y) + 1 + wrong) * wrong)
        if twice_below > self.form.largest / 4:
            base_error = INF
        size = 1 + abs(y * logarithm)
        mixed_error = below * (_times(size, moved) + abs(y) * off + abs(logarithm) * wrong) + self.ulps(below * size)
        if below > self.form.largest / 4:
            mixed_error = INF
        exponent_error = abs(value) * (_times(logarithm**2, moved) + 2 * abs(logarithm) * off)
        return {
            (0, 0): (y * (y - 1) * twice_below, base_error),
            (0, 1): (below * (1 + y * logarithm), mixed_error),
            (1, 1): (value * logarithm**2, exponent_error),
        }

    def integer_power(self, a: Part, n: int) -> Part:
        """`a**n` by products."""
        if self.is_huge(a):
            return self.huge_base(a, n)
        if a.value == 0 or abs(a.value) <= a.error:
            if not a.is_exact and n < 0:
                return self.unknown([a])
            if n < 0:
                return self.join(INF, ZERO, [(a, NAN, INF)], None) if n % 2 == 0 else self.pole([a])
        value = a.value**n
        slope = n * a.value ** (n - 1) if n else ZERO
        error, slope_error = self.power_error(a, n), abs(n) * self.power_error(a, n - 1) if n else ZERO
        if n < 0 and abs(value) < 1 / self.form.largest:
            slope_error = INF  # the power is on the way, and beyond the largest float
        ratio = None
        if a.ratio is not None:
            above, below = a.ratio if n > 0 else a.ratio[::-1]
            if below != 0 and max(_bits(above), _bits(below)) * abs(n) <= self.form.bits:
                ratio = (above ** abs(n), below ** abs(n))
                value = ratio[0] / ratio[1]
                error = self.quotient_error(value, *ratio)
        bends = {(0, 0): self.power_bend(a, n)} if self.order > 1 else None
        made = self.join(value, error, [(a, slope, slope_error)], bends)
        made.ratio = ratio
        return made

    def power_bend(self, a: Part, n: int) -> tuple[Number, Number]:
        """The second derivative of `a**n`, and its error."""
        factor = n * (n - 1)
        if not factor:  # a power of 0 is 1; but 0*(-1)*a**-2 is not 0 where that is infinite, and nothing is promised
            is_known = n == 1 or 1 / self.form.largest < a.value**2 < self.form.largest
            return ZERO, ZERO if is_known else INF
        error = abs(factor) * self.power_error(a, n - 2)
        if n < 0 and not 1 / self.form.largest < abs(a.value) ** (2 - n) < self.form.largest:
            error = INF  # powers on the way are beyond the largest float, or below the smallest
        return factor * a.value ** (n - 2), error

    def power_error(self, a: Part, n: int) -> Number:
        """How far `a**n` may be off."""
        if n == 0:
            return ZERO
        value = a.value**n
        if not a.error:
            moved = ZERO
        elif n < 0:
            moved = abs((abs(a.value) - a.error) ** n - abs(value))
        else:
            moved = (abs(a.value) + a.error) ** n - abs(value)
        return moved + self.ulps(value, abs(n) + ULPS)

    def huge_base(self, a: Part, b: Number) -> Part:
        """Of an infinity, or a number beyond the largest float, to a power that is a number."""
        if b == 0:
            return self.join(ONE, ZERO, [(a, ZERO, INF)], None)
        if a.value < 0 and not mp.isint(b):
            return self.unknown([a])  # IEEE 754 has infinity for a power of minus infinity
        if mp.isinf(a.value):
            infinite = -INF if a.value < 0 and b % 2 == 1 else INF
            return self.join(ZERO if b < 0 else infinite, ZERO, [(a, NAN, INF)], None)
        value = a.value ** (int(b) if mp.isint(b) else b)
        if self.form.smallest < abs(value) < self.form.largest:
            return self.unknown([a])  # whether the argument is computed is not known
        return self.join(value, self.form.smallest if b < 0 else ZERO, [(a, value, INF)], None)

    def power_of_zero(self, a: Part, b: Part, node: sp.Basic) -> Part:
        if not b.is_exact and not b.slopes:  # a number that is no float: 2/3
            b = Part(b.value)
        if not b.is_exact and abs(b.value) <= b.error:
            return self.unknown([a, b])
        if b.value < 0:
            return self.pole([a, b])
        if b.value == 0:
            return _constant_in(a, b, self.join(ONE, ZERO, [(a, ZERO, ZERO), (b, ZERO, ZERO)], None))
        if not b.is_exact and any(abs(b.value - n) <= b.error for n in (1, 2)):
            return self.unknown([a, b])
        if b.value < 1 and is_sum_of_squares(node.args[0]) and not b.slopes and b.value * 2 == 1:
            slopes = {i: Slope(slope.value * 0, ZERO, slope.error * 0) for i, slope in a.slopes.items()}
            flat = {
                (i, j): replace(slopes[i], error=slopes[i].error + slopes[j].error) for i in a.slopes for j in a.slopes
            }
            # What is squared may have an infinite bend: of 0 times that nothing is promised.
            flat |= {pair: Slope(NAN, NAN, INF) for pair, bend in a.bends.items() if not mp.isfinite(bend.value)}
            return Part(
                ZERO, ZERO, slopes, {pair: bend for pair, bend in flat.items() if pair[0] <= pair[1]}, (ZERO, ONE)
            )
        slope = ZERO if b.value > 1 else ONE if b.value == 1 else INF
        bend = mp.mpf(2) if b.value == 2 else ZERO if b.value > 2 or b.value == 1 else INF
        mixed = ZERO if b.value > 1 else -INF
        bends = {(0, 0): (bend, ZERO), (0, 1): (mixed, ZERO), (1, 1): (ZERO, ZERO)}
        return self.join(ZERO, ZERO, [(a, slope, ZERO), (b, ZERO, ZERO)], bends)

    # --- kinks and steps ------------------------------------------------------------------------------------------

    def extremum(self, node: sp.Basic, arguments: list[Part]) -> Part:
        if any(a.is_nan for a in arguments):
            return self.not_a_number(arguments)
        if any(a.is_unknown for a in arguments):
            return self.unknown(arguments)
        sign = 1 if node.func is sp.Max else -1
        value = (max if sign > 0 else min)(a.value for a in arguments)
        wrong = max(a.error for a in arguments if a.value == value)
        near = [a for a in arguments if a.value == value or sign * (value - a.value) <= SLACK * (a.error + wrong)]
        winner = next(a for a in near if a.value == value)
        tied = [a for a in arguments if self.is_huge(a) and a.value * value > 0] if self.is_huge(winner) else []
        if len(tied) > 1:
            near = tied  # all of them are infinite as floats
        elif all(a.is_exact for a in near) or len(near) == 1:
            share = ONE / len(near)
            return self.join(value, max(a.error for a in near), [(a, share, ZERO) for a in near], NO_BENDS)
        # Which of them wins is not known, but one of them does.
        return self.join(value, max(a.error for a in near), [(a, ONE / len(near), ONE) for a in near], NO_BENDS)

    def absolute(self, node: sp.Basic, arguments: list[Part]) -> Part:
        (a,) = arguments
        if mp.isnan(a.value):
            return self.not_a_number([a]) if a.is_nan else self.unknown([a])
        unsure = ONE if not a.is_exact and abs(a.value) <= SLACK * a.error else ZERO
        return self.join(abs(a.value), a.error, [(a, mp.sign(a.value), unsure)], NO_BENDS)

    def step(self, node: sp.Basic, arguments: list[Part]) -> Part:
        """A function that is constant between its jumps: it has no slope."""
        a = arguments[0]
        if mp.isnan(a.value):
            return Part(NAN, a.error)
        function = {
            sp.sign: mp.sign,
            sp.floor: mp.floor,
            sp.ceiling: mp.ceil,
            sp.Heaviside: lambda x: (mp.sign(x) + 1) / 2,
        }[node.func]
        if self.is_huge(a) and node.func in (sp.floor, sp.ceiling):
            return Part(a.value if mp.isinf(a.value) else NAN, ZERO if mp.isinf(a.value) else INF)
        value = function(a.value)
        margin = SLACK * a.error
        if any(function(a.value + step) != value for step in (margin, -margin)):
            return Part(NAN, INF)
        if node.func is sp.Heaviside and a.value == 0 and len(arguments) > 1:
            return arguments[1]
        return Part(value, self.ulps(value) if _bits(value) > self.form.bits else ZERO, ratio=(value, ONE))

    def fraction(self, node: sp.Basic, arguments: list[Part]) -> Part:
        (a,) = arguments
        if mp.isnan(a.value) or self.is_huge(a):
            return self.not_a_number([a]) if a.is_nan else self.unknown([a])
        margin = SLACK * a.error
        if mp.floor(a.value + margin) != mp.floor(a.value - margin):
            return self.unknown([a])
        value = a.value - mp.floor(a.value)
        exact = a.is_exact and _sums_exactly([a.value, mp.floor(a.value)], self.form.bits)
        return self.join(value, a.error + (ZERO if exact else self.ulps(ONE)), [(a, ONE, ZERO)], NO_BENDS)

    def modulo(self, node: sp.Basic, arguments: list[Part]) -> Part:
        a, b = arguments
        if any(mp.isnan(x.value) for x in arguments):
            return self.not_a_number(arguments) if a.is_nan or b.is_nan else self.unknown(arguments)
        if b.value == 0 and b.is_exact:
            return self.not_a_number(arguments)
        if any(map(self.is_huge, arguments)) or abs(b.value) <= SLACK * b.error:
            return self.unknown(arguments)
        if abs(_magnitude(a.value) - _magnitude(b.value)) > 1000:
            return self.unknown(arguments)
        with mp.workdps(2 * DIGITS + 2 * max(0, _magnitude(a.value) - _magnitude(b.value))):  # exactly
            quotient = a.value / b.value
            whole = mp.floor(quotient)
            value = a.value - b.value * whole
            margin = SLACK * (a.error + abs(quotient) * b.error) / abs(b.value)
            jumps = margin and mp.floor(quotient + margin) != mp.floor(quotient - margin)
        if jumps:
            return self.unknown(arguments)
        error = a.error + abs(whole) * b.error
        if error or not _sums_exactly([a.value, b.value * whole], self.form.bits):
            error += self.ulps(max(abs(value), abs(b.value)))
        return self.join(value, error, [(a, ONE, ZERO), (b, -whole, ZERO)], NO_BENDS)

    def angle(self, node: sp.Basic, arguments: list[Part]) -> Part:
        y, x = arguments
        if any(mp.isnan(a.value) for a in arguments):
            return self.not_a_number(arguments) if y.is_nan or x.is_nan else self.unknown(arguments)
        square = y.value**2 + x.value**2
        if any(map(self.is_huge, arguments)) or square == 0 or (abs(y.value) <= SLACK * y.error and x.value < 0):
            return self.unknown(arguments)
        if y.value == 0 and x.value < 0:  # on the cut: the sign of zero tells
            return self.join(NAN, INF, [(y, x.value / square, ZERO), (x, ZERO, ZERO)], None)
        value = mp.atan2(y.value, x.value)
        relative = (y.error + x.error) / mp.sqrt(square)
        if relative > 0.1:
            return self.unknown(arguments)
        error = 2 * relative + (self.ulps(value) if value else ZERO)
        size = 1 / mp.sqrt(square)
        wrong = size * (4 * relative + 8 * self.form.eps)
        if not self.form.smallest < square < self.form.largest:
            wrong = INF  # times what is handed back it may be infinite
        twice = 2 * x.value * y.value / square**2
        off = 4 * wrong * size
        bends = {(0, 0): (-twice, off), (0, 1): ((y.value**2 - x.value**2) / square**2, off), (1, 1): (twice, off)}
        return self.join(value, error, [(y, x.value / square, wrong), (x, -y.value / square, wrong)], bends)

    def nothing(self, node: sp.Basic, arguments: list[Part]) -> Part:
        return Part(ZERO, ZERO, ratio=(ZERO, ONE))

    def itself(self, node: sp.Basic, arguments: list[Part]) -> Part:
        return arguments[0]


def _denominators(node: sp.Basic) -> list[int]:
    """Which of the factors of a product are divided by."""
    return [k for k, arg in enumerate(node.args) if isinstance(arg, sp.Pow) and arg.exp.could_extract_minus_sign()]


def _count(found: dict[Any, Slope], key: Any, way: Slope) -> None:
    """One more way to what is found under a key."""
    before = found.get(key)
    if before is not None:
        way = Slope(
            before.value + way.value,
            before.size + way.size,
            before.error + way.error,
            min(before.small, way.small),
            max(before.large, way.large),
        )
    found[key] = way


def _constant_in(a: Part, b: Part, made: Part) -> Part:
    """A power a**0, which is 1 for every a: it has no slope by what a alone is made of."""
    slopes = {i: slope for i, slope in made.slopes.items() if i in b.slopes}
    return replace(made, slopes=slopes, edges=[edge for edge in made.edges if edge[0] is not a])


def _of(made: Part, which: int) -> Number:
    return made.edges[0][which] if made.edges else ZERO


def _times(a: Number, b: Number) -> Number:
    """The product, 0 where one is 0: an error of 0 stays 0."""
    return ZERO if a == 0 or b == 0 else a * b


def _real(function: Callable[[Number], Number], a: Number) -> Number:
    """The function where it is real, infinite at a pole of known sign, POLE at others, else NaN."""
    try:
        y = function(a)
    except (ValueError, ZeroDivisionError, OverflowError):  # mpmath's ways to say that there is a pole
        return POLE
    return NAN if isinstance(y, mpmath.mpc) else y


def _slope(function: Callable[[Number], Number], a: Number) -> Number:
    y = _real(function, a)
    return NAN if y == POLE else y


def _magnitude(number: Number) -> int:
    """Digits before the point."""
    return int(mp.mag(number) * 0.302) if number else 0


def _bits(number: Number) -> int:
    return int(number._mpf_[3]) if mp.isfinite(number) else 10**6


def _sums_exactly(terms: Sequence[Number], bits: int) -> bool:
    """Whether every partial sum, in whatever order, has few bits."""
    finite = [t for t in terms if t]
    if not finite:
        return True
    low = min(t._mpf_[2] for t in finite)
    high = max(t._mpf_[2] + t._mpf_[3] for t in finite)
    return bool(high - low + len(finite).bit_length() <= bits)


def _is_exact_root(value: Number, a: Number, b: Number, bits: int) -> bool:
    """Whether a**b, with b a multiple of one half, has few bits."""
    return bool(_bits(a) <= bits and mp.isint(2 * b) and _bits(value) <= bits // 2 and value**2 == a ** int(2 * b))


def _ratio(parts: Sequence[tuple[Number, Number] | None], bits: int) -> tuple[Number, Number] | None:
    if any(part is None for part in parts):
        return None
    found = []
    for side in (0, 1):
        numbers = [part[side] for part in parts if part is not None]
        if sum(map(_bits, numbers)) > bits:
            return None
        found.append(reduce(lambda s, v: s * v, numbers, ONE))
    above, below = found
    if below == 0 or max(abs(n) for n in found) > mp.mpf(2) ** 100 or abs(below) < mp.mpf(2) ** -100:
        return None
    return above, below


def is_sum_of_squares(node: sp.Basic) -> bool:
    """Whether it is one by its form, weighted ones included."""
    if isinstance(node, sp.Pow):
        return bool(node.exp.is_Integer and node.exp % 2 == 0)
    if isinstance(node, sp.Number | sp.NumberSymbol):
        return bool(node > 0)
    return isinstance(node, sp.Add | sp.Mul) and all(map(is_sum_of_squares, node.args))


# --- conditions: True, False, or None where floats cannot know --------------------------------------------------------


def _sign_of_difference(a: Part, b: Part) -> tuple[int | None, bool]:
    """-1, 0 or 1, or None where it is not known; and whether one of the two is NaN."""
    if a.is_nan or b.is_nan:
        return None, True
    if a.is_unknown or b.is_unknown:
        return None, False
    if a.value == b.value:
        return (0 if a.is_exact and b.is_exact else None), False
    if not (mp.isfinite(a.value) and mp.isfinite(b.value)):
        return (1 if a.value > b.value else -1), False
    if abs(a.value - b.value) <= SLACK * (a.error + b.error):
        return None, False
    return (1 if a.value > b.value else -1), False


def _comparison(holds: Callable[[int], bool], with_nan: bool = False) -> Callable[[int | None, bool], bool | None]:
    return lambda sign, nan: with_nan if nan else None if sign is None else holds(sign)


_COMPARISONS = {
    sp.StrictLessThan: _comparison(lambda sign: sign < 0),
    sp.LessThan: _comparison(lambda sign: sign <= 0),
    sp.StrictGreaterThan: _comparison(lambda sign: sign > 0),
    sp.GreaterThan: _comparison(lambda sign: sign >= 0),
    sp.Equality: _comparison(lambda sign: sign == 0),
    sp.Unequality: _comparison(lambda sign: sign != 0, with_nan=True),
}


def _all(*a: bool | None) -> bool | None:
    return False if False in a else None if None in a else True


def _not(a: bool | None) -> bool | None:
    return None if a is None else not a


def _any(*a: bool | None) -> bool | None:
    return _not(_all(*map(_not, a)))


_LOGIC: Mapping[type, Callable[..., Any]] = {
    sp.functions.elementary.piecewise.ExprCondPair: lambda value, holds: (value, holds),
    sp.And: _all,
    sp.Or: _any,
    sp.Not: _not,
    sp.Xor: lambda *a: None if None in a else sum(a) % 2 == 1,
    sp.ITE: lambda c, a, b: None if c is None else a if c else b,
}


def _made_of(node: sp.Basic) -> tuple[sp.Basic, ...]:
    """What a node is made of; sin(x)/x with a branch 1 for x = 0 is made of sinc(x) alone."""
    found = _as_sinc(node)
    if found is None or not found[0].is_number or not all(map(_is_plain, sp.Mul.make_args(found[1]))):
        return tuple(node.args)
    return (found[0] * sp.sinc(found[1]),)


def _is_plain(factor: sp.Expr) -> bool:
    """Whether the factor is still there in a quotient by it: of exp(x)*sin(exp(-x)) SymPy leaves no trace of one."""
    return factor.exp.is_Integer if factor.is_Pow else not isinstance(factor, sp.exp)


def _as_sinc(node: sp.Basic) -> tuple[sp.Expr, sp.Expr] | None:
    """b and c*x of b*sin(c*x)/(c*x) with a branch b for x = 0, where c is a number; else None."""
    if node.func is not sp.Piecewise or len(node.args) != 2:
        return None
    (quotient, condition), (at_zero, otherwise) = node.args
    if not isinstance(condition, sp.Ne | sp.Eq) or condition.rhs != 0 or otherwise != sp.true:
        return None
    if isinstance(condition, sp.Eq):
        quotient, at_zero = at_zero, quotient
    for factor in sp.Mul.make_args(quotient):
        if factor.func is sp.sin:
            argument = factor.args[0]
            ratio = quotient / factor * argument / at_zero
            is_multiple = (argument / condition.lhs).is_number
            if is_multiple and ratio.is_number and abs(sp.N(ratio - 1, 30)) < 1e-15:  # 2.5*0.4 is rounded
                return at_zero, argument
    return None


def _without_bends(node: sp.Piecewise, made: Part, branches: Sequence[tuple[Part, bool | None]]) -> Part:
    """In the branch for 0: whether the whole is seen to be sinc there is not promised."""
    (first, holds), (last, _) = branches
    if holds == isinstance(node.args[0].cond, sp.Ne):
        return made
    return replace(made, bends={pair: Slope(NAN, NAN, INF) for part in (first, last) for pair in _pairs(part)})


def _first_that_holds(branches: Sequence[tuple[Part, bool | None]]) -> Part:
    for value, holds in branches:
        if holds is None:
            return _nothing_known(branches, INF)
        if holds:
            # What is computed in a branch is a number of its own: a quotient there is rounded.
            return value if value.is_exact else replace(value, ratio=None)
    return _nothing_known(branches, ZERO)


def _nothing_known(branches: Sequence[tuple[Part, bool | None]], error: Number) -> Part:
    unknown = Slope(NAN, NAN, error)
    made = Part(NAN, error, {i: unknown for part, _ in branches for i in part.slopes})
    return replace(made, bends=dict.fromkeys(_pairs(made), unknown))


def _pairs(part: Part) -> list[tuple[int, int]]:
    """The pairs of symbols on which it depends, in order."""
    return [(i, j) for i in part.slopes for j in part.slopes if i <= j]


# --- functions of one argument ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Function:
    value: Callable[[Number], Number]
    slope: Callable[[Number], Number]
    is_reciprocal: bool = False  # computed from 1/a, so that its value moves as one rounding of that moves it
    is_shifted: bool = False  # beside others of its kind, computed from a difference of arguments
    is_wave: bool = False
    falls_off: bool = False  # to less than the smallest number there is
    is_absolute: bool = False  # the C library's is accurate beside 1 only, near its zeros
    has_gaps: bool = False  # poles, or numbers outside of its domain, between others that are in it

    def bend(self, a: Number) -> Number:
        """The second derivative, by a difference of slopes that is exact to more than the digits in use."""
        digits = abs(_magnitude(a))
        if digits > 1000:
            return NAN  # not known: as many digits do not fit into memory
        with mp.workdps(4 * DIGITS + 2 * digits):  # the slope at 1e-300 may be 1 - 1e-600
            h = (min(abs(a), ONE) or ONE) * mp.mpf(10) ** -DIGITS
            return (self.slope(a + h) - self.slope(a - h)) / (2 * h)


_HUGE = mp.mpf(10) ** 300


def _exp(a: Number) -> Number:
    return mp.exp(a) if abs(a) < _HUGE else INF if a > 0 else ZERO


def _over(a: Number) -> Number:
    """1/a, where 0 is approached from above."""
    return 1 / a if a else INF


def _logarithm(a: Number) -> Number:
    return mp.log(a) if a > 0 else -INF if a == 0 else NAN


def _loggamma(a: Number) -> Number:
    return mp.loggamma(a) if a > 0 else INF if a == 0 else NAN


def _sinc_slope(a: Number) -> Number:
    with mp.workdps(4 * DIGITS):
        return (mp.cos(a) - mp.sinc(a)) / a if abs(a) > mp.mpf(10) ** -DIGITS else -a / 3


def _atanh(a: Number) -> Number:
    return mp.sign(a) * INF if abs(a) == 1 else mp.atanh(a)


def _grows(function: Callable[[Number], Number], at_infinity: Callable[[Number], Number]) -> Callable[[Number], Number]:
    """An exponential function beyond what its digits would fill the memory with."""
    return lambda a: function(a) if abs(a) < 10**12 else at_infinity(a)


def _root_of_product(a: Number) -> Number:
    return mp.sqrt((1 - a) * (1 + a))


def _secant_slope(a: Number) -> Number:
    return _over(abs(a) * mp.sqrt(a * a - 1))


_sinh = _grows(mp.sinh, lambda a: mp.sign(a) * INF)
_cosh = _grows(mp.cosh, lambda a: INF)
_tanh = _grows(mp.tanh, mp.sign)
_sech = _grows(mp.sech, lambda a: ZERO)
_csch = _grows(mp.csch, lambda a: ZERO)
_coth = _grows(mp.coth, mp.sign)
_gauss = _grows(lambda a: 2 / mp.sqrt(mp.pi) * mp.exp(-a * a), lambda a: ZERO)
_gamma = _grows(mp.gamma, lambda a: INF if a > 0 else POLE if mp.isint(a) else ZERO)

_FUNCTIONS: dict[type, _Function] = {
    sp.exp: _Function(_exp, _exp, is_shifted=True, falls_off=True),
    sp.log: _Function(_logarithm, _over),
    sp.sin: _Function(mp.sin, mp.cos, is_wave=True),
    sp.cos: _Function(mp.cos, lambda a: -mp.sin(a), is_wave=True),
    sp.tan: _Function(mp.tan, lambda a: 1 / mp.cos(a) ** 2, has_gaps=True),
    sp.sec: _Function(mp.sec, lambda a: mp.sin(a) / mp.cos(a) ** 2, has_gaps=True),
    sp.csc: _Function(mp.csc, lambda a: -mp.cos(a) / mp.sin(a) ** 2, has_gaps=True),
    sp.cot: _Function(mp.cot, lambda a: -1 / mp.sin(a) ** 2, has_gaps=True),
    sp.asin: _Function(mp.asin, lambda a: _over(_root_of_product(a))),
    sp.acos: _Function(mp.acos, lambda a: -_over(_root_of_product(a))),
    sp.atan: _Function(mp.atan, lambda a: 1 / (1 + a * a)),
    sp.asec: _Function(mp.asec, _secant_slope, True, has_gaps=True),
    sp.acsc: _Function(mp.acsc, lambda a: -_secant_slope(a), True, has_gaps=True),
    sp.acot: _Function(lambda a: mp.atan(1 / a) if a else mp.pi / 2, lambda a: -1 / (1 + a * a), True, has_gaps=True),
    sp.sinh: _Function(_sinh, _cosh),
    sp.cosh: _Function(_cosh, _sinh),
    sp.tanh: _Function(_tanh, lambda a: _sech(a) ** 2),
    sp.sech: _Function(_sech, lambda a: -_sech(a) * _tanh(a), falls_off=True),
    sp.csch: _Function(_csch, lambda a: -_csch(a) * _coth(a), has_gaps=True, falls_off=True),
    sp.coth: _Function(_coth, lambda a: -(_csch(a) ** 2), has_gaps=True),
    sp.asinh: _Function(mp.asinh, lambda a: 1 / mp.sqrt(1 + a * a)),
    sp.acosh: _Function(mp.acosh, lambda a: _over(mp.sqrt((a - 1) * (a + 1)))),
    sp.atanh: _Function(_atanh, lambda a: 1 / ((1 - a) * (1 + a))),
    sp.asech: _Function(mp.asech, lambda a: -_over(a * _root_of_product(a)), True),
    sp.acsch: _Function(mp.acsch, lambda a: -1 / (abs(a) * mp.sqrt(1 + a * a)), True, has_gaps=True),
    sp.acoth: _Function(lambda a: _atanh(1 / a), lambda a: 1 / ((1 - a) * (1 + a)), True, has_gaps=True),
    sp.sinc: _Function(mp.sinc, _sinc_slope, True, is_wave=True),
    sp.erf: _Function(_grows(mp.erf, mp.sign), _gauss),
    sp.erfc: _Function(_grows(mp.erfc, lambda a: 1 - mp.sign(a)), lambda a: -_gauss(a), falls_off=True),
    sp.gamma: _Function(_gamma, lambda a: _gamma(a) * mp.digamma(a), has_gaps=True),
    sp.loggamma: _Function(_loggamma, mp.digamma, is_absolute=True),
}

_RULES: dict[type, Callable[[_Evaluator, sp.Basic, list[Part]], Part]] = {
    sp.Add: _Evaluator.add,
    sp.Mul: _Evaluator.multiply,
    sp.Pow: _Evaluator.power,
    sp.Max: _Evaluator.extremum,
    sp.Min: _Evaluator.extremum,
    sp.Abs: _Evaluator.absolute,
    sp.sign: _Evaluator.step,
    sp.floor: _Evaluator.step,
    sp.ceiling: _Evaluator.step,
    sp.Heaviside: _Evaluator.step,
    sp.frac: _Evaluator.fraction,
    sp.Mod: _Evaluator.modulo,
    sp.atan2: _Evaluator.angle,
    sp.im: _Evaluator.nothing,
    sp.re: _Evaluator.itself,
    sp.conjugate: _Evaluator.itself,
    sp.UnevaluatedExpr: _Evaluator.itself,
}
