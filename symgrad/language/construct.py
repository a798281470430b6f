"""Building SymPy expressions from untrusted text: what might not terminate stays as it stands."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import sympy
from sympy.functions.elementary.hyperbolic import HyperbolicFunction
from sympy.functions.elementary.piecewise import ExprCondPair

from ..reductions import REDUCTIONS, unfolded
from .messages import Mistake, offset_of, short

if TYPE_CHECKING:
    from lark import Token

MAX_DIGITS = 10_000  # of a constant: more are refused

# Beyond these SymPy's constructors are not asked to simplify: they recurse over their arguments, and take time that is
# quadratic and worse in them. What str prints is simplified already, so that it still is read as it was.
DEEP = 200
NESTED = (
    2  # hyperbolic functions of each other: asked whether these are real, SymPy expands their real and imaginary parts
)
LARGE = 2_000  # nodes, for arithmetic and logic
MEDIUM = 300  # nodes, for functions
CONSTANT = 100  # nodes, for what holds no symbol: SymPy evaluates it numerically, again at each level
COMPARED = 25  # nodes, for comparisons, and for Max and Min, which compare each argument with each
# Terms of real and imaginary parts, of what a function is of: asked whether it is real or 0, SymPy may expand them.
EXPANDED = 500
HUGE_DIGITS = 1_000
ROOT_DIGITS = 100

# Values ---------------------------------------------------------------------------------------------------------------

NUMBER, CONDITION, TUPLE = "a number", "a condition", "a list in brackets"
LOOP, RANGE = "a loop over an index", "a range"
LISTED = "a list of outputs"
SHAPELESS = "an array without a declared shape (x: vector(n))"


class Value(NamedTuple):
    """An expression, with what must be known of it before SymPy is asked to build on it; all of it O(1) to keep."""

    expr: Any
    kind: str
    at: int  # where it stands in the text
    constant: bool = False  # no symbol in it
    huge: bool = False  # holds a constant or power too large to compute: SymPy must not simplify it, nor what holds it
    depth: int = 1
    size: int = 1  # nodes of the tree; of a graph, counted along every path
    whole: bool = False  # what the user has named, or holds such as it stands: not to be taken apart by SymPy
    closed: bool = False  # no input in it, though perhaps loop indices
    shape: tuple[sympy.Basic, ...] = ()  # of an array, its extents; `expr` is then the element at arrays_in_text.AXES
    loops: tuple[sympy.Basic, ...] = ()  # of an array written as a list: what the text calls its indices
    level: int = 0  # how deep indices that are not the user's own are nested in it
    expanded: int = 2  # about how many terms its real and imaginary part have, multiplied out
    opaque: bool = False  # holds a function of more than EXPANDED: SymPy must not be asked about it


_MAX_SIZE = 10**9  # sizes beyond are as good as this: those of chains x = x*x grow as 2**lines
TRUE = Value(sympy.true, CONDITION, 0)


def rational(number: sympy.Rational, at: int) -> Value:
    return Value(number, NUMBER, at, constant=True, closed=True, expanded=1)


def build(
    at: Token,
    function: Callable[..., sympy.Basic],
    arguments: list[Value],
    kind: str = NUMBER,
    evaluate: bool = True,
    grows: bool = False,
) -> Value:
    """`function` of the arguments: as SymPy simplifies it, or as it stands where simplifying could take too long.

    What `grows` must stay as it stands for good: a product simplifies the powers within it.
    """
    is_polynomial = function in (sympy.Add, sympy.Mul) or (function is sympy.Pow and arguments[1].expr.is_Integer)
    expanded = _expanded(function, arguments)
    opaque = expanded > EXPANDED and not is_polynomial
    try:
        simplifies = evaluate and not grows and not opaque and is_shallow(arguments)
        expr = _simplified(function, arguments) if simplifies else None
        apart = expr is not None and _takes_apart(function, arguments, expr)
        if expr is None or apart:
            expr = _as_it_stands(function, arguments)
        value = combined(at, expr, arguments, kind, grows)
        return value._replace(whole=apart, expanded=expanded, opaque=opaque or value.opaque)
    except Mistake:
        raise
    except Exception as error:  # SymPy raises what it likes, from TypeError to RecursionError
        reason = short(str(error) or type(error).__name__, 200)
        raise Mistake(f"SymPy refuses '{short(at)}' here: {reason}", offset_of(at)) from None


def _simplified(function: Callable[..., sympy.Basic], arguments: list[Value]) -> sympy.Basic:
    """None where SymPy fails to simplify, though the arguments are right."""
    try:
        return function(*_expressions(function, arguments))
    except (TypeError, ValueError):
        raise
    except Exception:  # PrecisionExhausted, RecursionError, or a bug of SymPy's
        return None


def _expanded(function: Callable[..., sympy.Basic], arguments: list[Value]) -> int:
    counts = [a.expanded for a in arguments]
    if function is sympy.Mul:
        return functools.reduce(lambda one, two: min(one * two, _MAX_SIZE), counts)
    if function is sympy.Pow and arguments[1].expr.is_Integer:
        power = abs(int(arguments[1].expr))
        large = min(power, counts[0]) > 30  # comb(60, 30) is beyond the limit
        return _MAX_SIZE if large else min(math.comb(power + counts[0] - 1, power), _MAX_SIZE)
    is_hyperbolic = isinstance(function, type) and issubclass(function, HyperbolicFunction)
    return min(sum(counts) * (1 + 2 * is_hyperbolic), _MAX_SIZE)


def _takes_apart(function: Callable[..., sympy.Basic], arguments: list[Value], expr: sympy.Basic) -> bool:
    """Whether SymPy has merged a named result into what holds it, so that its name would stand for nothing."""
    if function not in (sympy.Add, sympy.Mul, sympy.Pow):
        return False
    parts = [
        a.expr for a in arguments if a.whole and not a.constant and (a.expr.is_Add or a.expr.is_Mul or a.expr.is_Pow)
    ]
    return any(part is not expr and part not in expr.args for part in parts)


def _as_it_stands(function: Callable[..., sympy.Basic], arguments: list[Value]) -> sympy.Basic:
    expressions = _expressions(function, arguments)
    if function in _SORTING and is_small(arguments) and is_shallow(arguments):
        return function(*expressions, evaluate=False)
    return unsimplified(function, expressions)


def unsimplified(function: Callable[..., sympy.Basic], expressions: Iterable[sympy.Basic]) -> sympy.Basic:
    """`function` of the expressions, without walking them."""
    if function in (sympy.Piecewise, *REDUCTIONS):
        # Not through the classes: they walk their arguments even when told not to evaluate.
        parts = [e if isinstance(e, sympy.Basic) else sympy.Tuple.__new__(ExprCondPair, *e) for e in expressions]
        return unfolded(function, *parts) if function in REDUCTIONS else sympy.Expr.__new__(function, *parts)
    if function in (ExprCondPair, sympy.Tuple):
        return sympy.Tuple.__new__(function, *expressions)
    if function in _SORTING:
        # Not through the class: it sorts its arguments by walking them.
        expr = sympy.Basic.__new__(function, *expressions)
        expr._argset = frozenset(expr.args)
        return expr
    return function(*expressions, evaluate=False)


_SORTING = (sympy.Max, sympy.Min, sympy.And, sympy.Or, sympy.Xor)


def _expressions(function: Callable[..., sympy.Basic], arguments: list[Value]) -> list[sympy.Basic]:
    expressions = [a.expr for a in arguments]
    if function is sympy.Piecewise:
        return list(zip(expressions[::2], expressions[1::2], strict=True))
    return expressions


def combined(at: Token, expr: sympy.Basic, arguments: list[Value], kind: str, grows: bool) -> Value:
    """The value of an `expr` that was built from `arguments`."""
    _refuse_unreal(at, expr)
    if expr.is_Rational:
        _limit_digits(at, expr)
        return rational(expr, arguments[0].at)
    # SymPy keeps both answers: asked at each level, neither recurses further than to the level below.
    hash(expr)
    expr.is_commutative  # noqa: B018
    constant = all(a.constant for a in arguments)
    size = min(1 + sum(a.size for a in arguments), _MAX_SIZE)
    depth = 1 + max(a.depth for a in arguments)
    huge = grows or any(a.huge for a in arguments)
    if constant and kind == NUMBER and not huge:
        huge = size > CONSTANT or _is_huge(expr)
    closed, level = all(a.closed for a in arguments), max(a.level for a in arguments)
    opaque = any(a.opaque for a in arguments)
    value = Value(expr, kind, arguments[0].at, constant, huge, depth, size, closed=closed, level=level, opaque=opaque)
    return value._replace(expanded=min(sum(a.expanded for a in arguments), _MAX_SIZE))


def is_shallow(arguments: list[Value]) -> bool:
    return not any(a.depth > DEEP or a.huge or a.opaque for a in arguments)


def is_small(arguments: list[Value], limit: int = LARGE) -> bool:
    return sum(a.size for a in arguments) <= limit


def _refuse_unreal(at: Token, expr: sympy.Basic) -> None:
    # By identity: == would compare large expressions.
    if expr is sympy.zoo or any(argument is sympy.zoo for argument in expr.args):
        raise Mistake("division by zero" if at == "/" else f"'{short(at)}' is infinite here", offset_of(at))
    for term in expr.args if expr.is_Add else (expr,):
        if any(_is_unreal(factor) for factor in (term.args if term.is_Mul else (term,))):
            raise Mistake(f"the value of '{short(at)}' is not real here", offset_of(at))


def _is_unreal(factor: sympy.Basic) -> bool:
    """Whether it is I or a root of -1: these SymPy takes out of what is not real."""
    return factor is sympy.I or (factor.is_Pow and factor.args[0] is sympy.S.NegativeOne and factor.args[1].is_Rational)


def _limit_digits(at: Token, number: sympy.Basic) -> None:
    if _digits(number) > MAX_DIGITS:
        raise Mistake(f"a constant of more than {MAX_DIGITS:,} digits", offset_of(at))


def _digits(number: sympy.Basic) -> float:
    """Digits of the numerator or denominator, whichever has more."""
    bits: int = max(abs(number.p).bit_length(), number.q.bit_length())
    return bits * math.log10(2)


@functools.lru_cache(maxsize=10_000)
def _is_huge(constant: sympy.Basic) -> bool:
    # Safe, since the arguments are not huge: at most one more exponential than a number of HUGE_DIGITS digits.
    try:
        number = constant.evalf(3)
    except Exception:  # beyond what mpmath can hold
        return True
    if not number.is_Float:
        return not number.is_Number
    _, _, exponent, bits = number._mpf_
    return bool(abs(exponent + bits) * math.log10(2) > HUGE_DIGITS)


def expect(at: Token, kind: str, *values: Value) -> None:
    for value in values:
        if value.kind != kind:
            advice = "; put brackets around each comparison" if kind == CONDITION and at in ("&", "|", "~") else ""
            raise Mistake(f"'{short(at)}' takes {kind} here, not {value.kind}{advice}", offset_of(at))
        if value.shape:
            raise Mistake(f"'{short(at)}' takes {kind} here, not {described(value)}", offset_of(at))


def described(value: Value) -> str:
    """What a value is, in words."""
    extents = [short(str(extent), 20) for extent in value.shape]
    comma = "," * (len(extents) == 1)
    return f"an array of shape ({', '.join(extents)}{comma})" if extents else value.kind


# Arithmetic -----------------------------------------------------------------------------------------------------------


def add(at: Token, terms: list[Value]) -> Value:
    expect(at, NUMBER, *terms)
    terms = _fold(at, operator.add, terms, 0)
    if len(terms) == 1:
        return terms[0]
    # A sum within a sum is flattened: a long accumulation s = s + x would take time quadratic in its length.
    return build(at, sympy.Add, terms, evaluate=not any(t.size > LARGE and t.expr.is_Add for t in terms))


def multiply(at: Token, factors: list[Value]) -> Value:
    expect(at, NUMBER, *factors)
    factors = _fold(at, operator.mul, factors, 1)
    if len(factors) == 1:
        return factors[0]
    distributes = len(factors) == 2 and factors[0].expr.is_Rational
    grows = any(f.size > LARGE and (f.expr.is_Mul or (distributes and f.expr.is_Add)) for f in factors)
    return build(at, sympy.Mul, factors, evaluate=not grows)


def _fold(
    at: Token, operation: Callable[[sympy.Basic, sympy.Basic], sympy.Basic], values: list[Value], neutral: int
) -> list[Value]:
    """The values with the rational ones made one, the first; pairwise, so that no long number meets many others."""
    others = [v for v in values if not v.expr.is_Rational]
    numbers = [v.expr for v in values if v.expr.is_Rational]
    while len(numbers) > 1:
        numbers = [functools.reduce(operation, numbers[i : i + 2]) for i in range(0, len(numbers), 2)]
        for number in numbers:
            _limit_digits(at, number)
    if not numbers or (others and numbers[0] == neutral):
        return others
    return [rational(numbers[0], values[0].at), *others]


def negative(at: Token, value: Value) -> Value:
    return multiply(at, [MINUS_ONE, value])._replace(at=value.at)


def reciprocal(at: Token, value: Value) -> Value:
    expect(at, NUMBER, value)
    if value.expr.is_Rational and value.expr != 0:
        return rational(1 / value.expr, value.at)
    return power(at, value, MINUS_ONE)


def power(at: Token, base: Value, exponent: Value) -> Value:
    expect(at, NUMBER, base, exponent)
    if base.expr.is_Rational and exponent.expr.is_Rational:
        return _rational_power(at, base, exponent)
    small = is_small([base, exponent])
    # (2*x)**n is simplified to 2**n*x**n.
    raises = exponent.expr.is_Rational and abs(exponent.expr) > HUGE_DIGITS and not base.expr.is_Symbol
    return build(at, sympy.Pow, [base, exponent], evaluate=small, grows=raises or (small and hides_power(exponent)))


def _rational_power(at: Token, base: Value, exponent: Value) -> Value:
    b, e = base.expr, exponent.expr
    if abs(b) not in (0, 1) and (abs(e) > MAX_DIGITS or _digits(b) * float(abs(e)) > MAX_DIGITS):
        raise Mistake(f"a power of more than {MAX_DIGITS:,} digits", offset_of(at))
    if b < 0 and e.q != 1:
        raise Mistake("a negative number to a fractional power is not real", offset_of(at))
    if b == 0 and e < 0:
        raise Mistake("division by zero", offset_of(at))
    # A root is simplified by factoring the number.
    return build(at, sympy.Pow, [base, exponent], grows=e.q != 1 and _digits(b) > ROOT_DIGITS)


def hides_power(exponent: Value) -> bool:
    """Whether exp(exponent) may be simplified to a power of many digits, as exp(10**9*log(2)) is to 2**10**9."""
    e = exponent.expr
    if e.is_Atom or exponent.huge or exponent.depth > DEEP or not e.has(sympy.log):
        return False
    return any(abs(number) > 100 for number in e.atoms(sympy.Rational))


def modulo(at: Token, a: Value, b: Value) -> Value:
    expect(at, NUMBER, a, b)
    if b.expr is sympy.S.Zero:
        raise Mistake("division by zero", offset_of(at))
    # SymPy divides the polynomials that symbolic arguments are, which may not terminate.
    return build(at, sympy.Mod, [a, b], evaluate=a.constant and b.constant and is_small([a, b]))


def floor_divide(at: Token, a: Value, b: Value) -> Value:
    expect(at, NUMBER, a, b)
    quotient = multiply(at, [a, reciprocal(at, b)])
    return build(at, sympy.floor, [quotient], evaluate=is_small([quotient], MEDIUM))


MINUS_ONE = rational(sympy.Integer(-1), 0)
ONE = rational(sympy.Integer(1), 0)
TWO = rational(sympy.Integer(2), 0)


# Loops ----------------------------------------------------------------------------------------------------------------

Limit = tuple[sympy.Basic, Value, Value]  # a symbol, its least value, its largest


def over(function: Callable[..., sympy.Basic], at: Token, body: Value, limits: list[Limit]) -> Value:
    """`function`, which is Sum, Product, Largest or Smallest, of a body over indices, the innermost first."""
    expect(at, NUMBER, body)
    bounds = [bound for _, low, high in limits for bound in (low, high)]
    own = [sympy.Tuple(index, low.expr, high.expr) for index, low, high in limits]
    # As SymPy does it: the limits of a loop within a loop are joined.
    inner = body.expr.args if type(body.expr) is function and not body.whole else (body.expr,)
    # Without an input in it, SymPy would compute it term by term, however many they are.
    grows = all(part.closed for part in (body, *bounds))
    value = combined(at, unsimplified(function, (*inner, *own)), [body, *bounds], NUMBER, grows)
    return value._replace(constant=False)


# Conditions -----------------------------------------------------------------------------------------------------------


def compare(at: Token, a: Value, b: Value) -> Value:
    return relation(COMPARISONS[at], at, a, b)


def relation(function: Callable[..., sympy.Basic], at: Token, a: Value, b: Value) -> Value:
    expect(at, NUMBER, a, b)
    return build(at, function, [a, b], CONDITION, evaluate=is_small([a, b], COMPARED))


def logic(function: Callable[..., sympy.Basic], at: Token, conditions: list[Value]) -> Value:
    expect(at, CONDITION, *conditions)
    return build(at, function, conditions, CONDITION, evaluate=is_small(conditions))


def piecewise(at: Token, branches: list[tuple[Value, Value]]) -> Value:
    parts = [part for branch in branches for part in branch]
    small = is_small(parts, MEDIUM)
    # Branches within a condition SymPy folds into it, and simplifies what comes out; so str prints none.
    evaluate = small and not any(condition.expr.has(sympy.Piecewise) for _, condition in branches)
    return build(at, sympy.Piecewise, parts, evaluate=evaluate)


COMPARISONS = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}
