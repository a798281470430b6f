"""Simplify: named laws that make a graph cheaper or numerically stabler.

A law is a sentence and a small function: it gets a view of the gate that it is filed under and returns the view that
replaces it, or None. `exact` laws give the same bits for every float, NaN and -0.0 included; the others say beside them
where they do not. Families, in the order in which they are of use:

    stabler    before differentiation: recognises what overflows or cancels when computed as written
    sharing    before: brings equal parts together, so that they become one node
    cheaper    before and after: fewer or faster operations
    spelling   after: gates that no target spells become the ones that it does
    own        the user's own gates alone become what they are made of
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import NamedTuple

from .gates import GATES, _power_by_products
from .graph import Graph, Node, View, positional, reachable, translated
from .interpret import evaluate_exactly

Rewrite = Callable[[View], View | None]


@dataclass(frozen=True)
class Law:
    """One equation between graphs."""

    name: str
    words: str
    exact: bool
    family: str
    rewrite: Rewrite


LAWS: dict[str, list[Law]] = {}

# Rationals with more binary digits than this are not folded into each other: their size would grow without bound.
_LARGEST_FOLD = 4096
_ROUNDS = 20


def simplify(graph: Graph, families: Iterable[str], fired: Counter[str] | None = None) -> Graph:
    """`graph` rewritten by the laws of `families` until none applies; `fired` counts what was applied."""
    wanted = set(families)
    fired = Counter() if fired is None else fired
    graph = _rewritten_graph(graph, wanted, fired)
    if "spelling" in wanted:
        graph = _rewritten_graph(reuse_reciprocals(graph), wanted, fired)
    return graph.compact()


# Gates whose value jumps: a rounding before them may move the jump.
_STEPS = {"floor", "ceil", "mod", "sign"}


def reuse_reciprocals(graph: Graph) -> Graph:
    """a/b becomes a*(1/b) where 1/b is computed anyway: one more rounding, and one division less.

    Where the value has steps (a floor, a condition) only what the gradients alone need is rewritten.
    """
    order = graph.order()
    inverted = {node.arguments[1] for node in order if node.gate.name == "div" and node.arguments[0].number == 1}
    value = set(reachable(view.node for view in graph.values))
    has_steps = any(node.kind == "boolean" or node.gate.name in _STEPS for node in value)
    views: dict[Node, View] = {}
    for node in order:
        views[node] = positional(node)
        if not node.arguments:
            continue
        arguments = translated(views, node.arguments)
        is_free = node not in value or not has_steps
        if node.gate.name == "div" and is_free and node.arguments[1] in inverted and node.arguments[0].number != 1:
            views[node] = arguments[0] * (1 / arguments[1])
        else:
            views[node] = graph.table.apply(node.gate, *arguments, attribute=node.attribute)
    return graph.rebuilt(views)


def _rewritten_graph(graph: Graph, wanted: set[str], fired: Counter[str]) -> Graph:
    laws = {gate: [law for law in laws if law.family in wanted] for gate, laws in LAWS.items()}
    settled: set[Node] = set()
    for _ in range(_ROUNDS):
        before = fired.total()
        graph = _one_round(graph, laws, wanted, settled, fired)
        if fired.total() == before:
            break
    return graph


def _one_round(
    graph: Graph, laws: dict[str, list[Law]], families: set[str], settled: set[Node], fired: Counter[str]
) -> Graph:
    views: dict[Node, View] = {}
    for node in graph.order():
        if all(views[edge.node].node is edge.node for edge in node.arguments):
            view = positional(node)
        else:
            view = graph.table.apply(node.gate, *translated(views, node.arguments), attribute=node.attribute)
        while view.node not in settled:
            found = _rewritten(view, laws.get(view.node.gate.name, ()), families, fired)
            if found is None:
                settled.add(view.node)
                break
            view = found
        views[node] = view
    return graph.rebuilt(views)


def _rewritten(view: View, laws: Iterable[Law], families: set[str], fired: Counter[str]) -> View | None:
    for law in laws:
        found = law.rewrite(view)
        if found is not None:
            fired[law.name] += 1
            return found
    gate = view.node.gate
    spelled = "spelling" in families or ("own" in families and GATES.get(gate.name) is not gate)
    if spelled and gate.expansion is not None:
        fired[f"spelling of {gate.name}"] += 1
        return gate.expansion(*view.arguments)
    return None


def law(gate: str, words: str, *, exact: bool, family: str = "cheaper") -> Callable[[Rewrite], Rewrite]:
    """File a law under the gate that it rewrites."""

    def enter(rewrite: Rewrite) -> Rewrite:
        LAWS.setdefault(gate, []).append(Law(rewrite.__name__, words, exact, family, rewrite))
        return rewrite

    return enter


# --- reading a graph --------------------------------------------------------------------------------------------------


def _is(view: View, gate: str) -> bool:
    return view.node.gate.name == gate


def _rational(view: View) -> Fraction | None:
    number = view.number
    return number if isinstance(number, Fraction) else None


def _apply(like: View, gate: str, *views: View) -> View:
    return like.node.table.apply(GATES[gate], *views)


def _number(like: View, number: Fraction | int) -> View:
    return like.node.table.constant(number)


def _sum(like: View, terms: list[View]) -> View:
    return _number(like, 0) if not terms else terms[0] if len(terms) == 1 else _apply(like, "add", *terms)


def _product(like: View, factors: list[View]) -> View:
    return _number(like, 1) if not factors else factors[0] if len(factors) == 1 else _apply(like, "mul", *factors)


def _quotient(like: View, above: list[View], below: list[View]) -> View:
    top = _product(like, above)
    return top / _product(like, below) if below else top


def _factors(view: View) -> list[View]:
    return list(view.arguments) if _is(view, "mul") else [view]


def _negated(view: View) -> View:
    return view.arguments[0] if _is(view, "neg") else -view


def _scaled(view: View) -> tuple[Fraction, View]:
    """The view as a rational coefficient times the rest."""
    if _is(view, "neg"):
        coefficient, rest = _scaled(view.arguments[0])
        return -coefficient, rest
    if _is(view, "div"):
        below = _rational(view.arguments[1])
        if below:
            coefficient, rest = _scaled(view.arguments[0])
            return coefficient / below, rest
    if _is(view, "mul") and len(view.arguments) == 2:
        for number, other in (view.arguments, reversed(view.arguments)):
            coefficient = _rational(number)  # type: ignore[assignment]
            if coefficient is not None:
                return coefficient, other
    return Fraction(1), view


def _times(number: Fraction, view: View) -> View:
    """A rational times a view, as one writes it."""
    if number < 0:
        return -_times(-number, view)
    above = [_number(view, number.numerator)] if number.numerator != 1 else []
    below = [_number(view, number.denominator)] if number.denominator != 1 else []
    return _quotient(view, [*above, view], below)


def _folds(*numbers: Fraction) -> bool:
    return sum(n.numerator.bit_length() + n.denominator.bit_length() for n in numbers) < _LARGEST_FOLD


def _constants(views: Iterable[View]) -> tuple[list[Fraction], list[View]]:
    numbers, others = [], []
    for view in views:
        number = _rational(view)
        if number is None:
            others.append(view)
        else:
            numbers.append(number)
    return numbers, others


# --- cheaper ----------------------------------------------------------------------------------------------------------


@law("add", "constants add; a + 0 = a", exact=False)  # -0.0 + 0 is +0.0
def add_constants(y: View) -> View | None:
    numbers, others = _constants(y.arguments)
    if not numbers or not _folds(*numbers) or (len(numbers) == 1 and numbers[0] != 0):
        return None
    total = sum(numbers, Fraction(0))
    negative_last = [_number(y, total)] if total else []
    return _sum(y, others + negative_last if total < 0 or not others else [*others, *negative_last])


@law("add", "-a - b = -(a + b)", exact=False)  # where it is 0: of the other sign
def add_negatives(y: View) -> View | None:
    if not all(_is(view, "neg") for view in y.arguments):
        return None
    return -_sum(y, [view.arguments[0] for view in y.arguments])


class Coefficient(NamedTuple):
    """What depends on no input in a product: a rational, and other constants above and below."""

    rational: Fraction
    above: tuple[View, ...] = ()
    below: tuple[View, ...] = ()

    def __mul__(self, other: Coefficient) -> Coefficient:  # type: ignore[override]
        return Coefficient(self.rational * other.rational, self.above + other.above, self.below + other.below)

    def inverse(self) -> Coefficient:
        return Coefficient(1 / self.rational, self.below, self.above)

    @property
    def is_dyadic(self) -> bool:
        """Multiplication by it is exact, or it is no rational and inexact anyway."""
        p, q = abs(self.rational.numerator), self.rational.denominator
        return bool(self.above or self.below) or (p & (p - 1) == 0 and q & (q - 1) == 0)

    def view(self, like: View) -> View:
        number = [_number(like, self.rational)] if self.rational != 1 or not self.above else []
        return _quotient(like, [*number, *self.above], list(self.below))


_ONE = Coefficient(Fraction(1))


# How deep in products inside products constants are looked for: enough, and it keeps the laws linear.
_DEPTH = 2


def _constant_factors(view: View, depth: int = _DEPTH) -> int:
    """How many constants `_split` would find: the quick answer, for the many products that have none."""
    node = view.node
    if node.fixed:
        return 1
    if node.gate.name == "div":
        return int(node.arguments[1].node.fixed)
    if node.gate.name == "mul" and depth:
        return sum(_constant_factors(edge, depth - 1) for edge in node.arguments)
    return 0


def _split(view: View, depth: int = _DEPTH) -> tuple[Coefficient, int, list[View]]:
    """A product as its coefficient, how many constants that is made of, and the other factors."""
    number = _rational(view)
    if number:
        return Coefficient(number), 1, []
    if view.node.fixed:
        return (_ONE, 0, [view]) if number == 0 else (Coefficient(Fraction(1), (view,)), 1, [])
    if _is(view, "div") and view.arguments[1].node.fixed and _rational(view.arguments[1]) != 0:
        below, count, _ = _split(view.arguments[1])
        return below.inverse(), count, [view.arguments[0]]
    if _is(view, "mul"):
        coefficient, count, others = _ONE, 0, []
        for factor in view.arguments:
            inner = _split(factor, depth - 1) if depth else (_ONE, 0, [factor])
            coefficient, count = coefficient * inner[0], count + inner[1]
            others += [_product(view, inner[2])] if inner[2] else []
        return (coefficient, count, others) if count else (_ONE, 0, [view])
    return _ONE, 0, [view]


def _scale(like: View, coefficient: Coefficient, rest: View) -> View:
    rational = coefficient.rational
    if rational < 0:
        return -_scale(like, coefficient._replace(rational=-rational), rest)
    if not coefficient.above and not coefficient.below:
        return _times(rational, rest)
    return coefficient.view(like) * rest


@law(
    "mul", "constants multiply, also those of the factors; 1*a = a; (-1)*a = -a", exact=False
)  # one rounding for several
def mul_constants(y: View) -> View | None:
    if y.node.fixed:
        numbers, others = _constants(y.arguments)
        if len(numbers) > 1 and _folds(*numbers):
            return _product(y, [_number(y, reduce(lambda a, b: a * b, numbers)), *others])
        return others[0] if numbers == [1] and len(others) == 1 else None
    direct = any(factor.node.fixed for factor in y.arguments)
    if not direct and sum(map(_constant_factors, y.arguments)) < 2:
        return None
    parts = [_split(factor) for factor in y.arguments]
    coefficient = reduce(lambda a, b: a * b, (part[0] for part in parts))
    count = sum(part[1] for part in parts)
    if not count or not _folds(coefficient.rational):
        return None
    if count == 1 and not (direct and (coefficient == _ONE or coefficient.rational < 0)):
        return None
    return _scale(y, coefficient, _product(y, [_product(y, part[2]) for part in parts if part[2]]))


@law("mul", "(c*a)*b = c*(a*b): constants stand outside", exact=False, family="sharing")
def mul_scale(y: View) -> View | None:
    if y.node.fixed or any(factor.node.fixed for factor in y.arguments) or not any(map(_constant_factors, y.arguments)):
        return None
    parts = [_split(factor) for factor in y.arguments]
    coefficient = reduce(lambda a, b: a * b, (part[0] for part in parts))
    if not _folds(coefficient.rational):
        return None
    return _scale(y, coefficient, _product(y, [_product(y, part[2]) for part in parts if part[2]]))


@law("add", "c*a + c*b = c*(a + b)", exact=False, family="sharing")
def add_scale(y: View) -> View | None:
    if y.node.fixed or not all(map(_constant_factors, y.arguments)) or any(term.node.fixed for term in y.arguments):
        return None
    parts = [_split(term) for term in y.arguments]
    if any(part[0] != parts[0][0] or not part[2] for part in parts):
        return None
    return _scale(y, parts[0][0], _sum(y, [_product(y, part[2]) for part in parts]))


@law("div", "constant factors come out of a quotient", exact=False)  # their rounding moves; a/(3*b) stays
def div_scale(y: View) -> View | None:
    above, below = y.arguments
    if y.node.fixed or above.number is not None:
        return None
    top, top_count, top_rest = _split(above)
    bottom, bottom_count, bottom_rest = _split(below)
    coefficient = top * bottom.inverse()
    if not _folds(coefficient.rational) or not coefficient.is_dyadic:
        return None
    if below.node.fixed:
        if top_count + (not isinstance(below.number, Fraction)) == 0:
            return None
        return _scale(y, coefficient, _product(y, top_rest))
    if not top_count + bottom_count or not top_rest:
        return None
    return _scale(y, coefficient, _quotient(y, top_rest, bottom_rest))


@law("mul", "(-a)*b = -(a*b)", exact=True)
def mul_signs(y: View) -> View | None:
    signs = sum(_is(view, "neg") for view in y.arguments)
    if not signs:
        return None
    product = _product(y, [view.arguments[0] if _is(view, "neg") else view for view in y.arguments])
    return -product if signs % 2 else product


@law("div", "a/1 = a; constants divide", exact=False)  # one rounding instead of two
def div_constants(y: View) -> View | None:
    above, below = (_rational(view) for view in y.arguments)
    if below == 1:
        return y.arguments[0]
    if above is None or not below or not _folds(above, below):
        return None
    return _number(y, above / below)


@law("div", "(-a)/b = -(a/b) = a/(-b)", exact=True)
def div_signs(y: View) -> View | None:
    above, below = y.arguments
    if not _is(above, "neg") and not _is(below, "neg"):
        return None
    signs = _is(above, "neg") + _is(below, "neg")
    quotient = (above.arguments[0] if _is(above, "neg") else above) / (
        below.arguments[0] if _is(below, "neg") else below
    )
    return -quotient if signs % 2 else quotient


@law("div", "g/(a/b)/b = g/a", exact=False)  # a/b may overflow where a does not
def div_through_quotient(y: View) -> View | None:
    above, b = y.arguments
    if not _is(above, "div") or not _is(above.arguments[1], "div"):
        return None
    g, (a, inner) = above.arguments[0], above.arguments[1].arguments
    return g / a if inner == b else None


@law("neg", "-(-a) = a; -(constant)", exact=True)
def neg_neg(y: View) -> View | None:
    (a,) = y.arguments
    number = _rational(a)
    if number is not None and number != 0:
        return _number(y, -number)
    return a.arguments[0] if _is(a, "neg") else None


@law("power", "a power of a constant is a constant", exact=False)  # one rounding instead of several
def power_constant(y: View) -> View | None:
    number, exponent = _rational(y.arguments[0]), y.node.attribute
    if number is None or (number.numerator.bit_length() + number.denominator.bit_length()) * exponent > _LARGEST_FOLD:
        return None
    return _number(y, number**exponent)


@law("power", "a power is a product of squares", exact=True, family="spelling")
def power_products(y: View) -> View | None:
    return _power_by_products(y.arguments[0], y.node.attribute)


@law("abs", "|-a| = |a|", exact=True)
def abs_sign(y: View) -> View | None:
    (a,) = y.arguments
    return a.arguments[0].call("abs") if _is(a, "neg") else None


@law("select", "a branch whose condition is known; both branches the same; not swaps them", exact=True)
def select_known(y: View) -> View | None:
    condition, taken, otherwise = y.arguments
    if taken == otherwise:
        return taken
    if _is(condition, "not"):
        return condition.arguments[0].where(otherwise, taken)
    if condition.node.fixed:
        return taken if evaluate_exactly([condition], ())[0] else otherwise
    return None


@law("select", "inside a branch its own condition is known", exact=True)
def select_nested(y: View) -> View | None:
    condition, taken, otherwise = y.arguments
    if _is(taken, "select") and taken.arguments[0] == condition:
        return condition.where(taken.arguments[1], otherwise)
    if _is(otherwise, "select") and otherwise.arguments[0] == condition:
        return condition.where(taken, otherwise.arguments[2])
    return None


# --- stabler ----------------------------------------------------------------------------------------------------------


def _exponentials(view: View) -> list[View] | None:
    """The logarithms of the terms of a sum of exponentials and positive numbers, else None."""
    logarithms = []
    has_exponential = False
    for term in view.arguments if _is(view, "add") else (view,):
        number = _rational(term)
        coefficient, rest = (number, None) if number is not None else _scaled(term)
        if coefficient is None or coefficient <= 0 or (rest is not None and not _is(rest, "exp")):
            return None
        logarithm = _number(view, 0) if coefficient == 1 else _number(view, coefficient).call("log")
        if rest is not None:
            has_exponential = True
            logarithm = rest.arguments[0] if coefficient == 1 else rest.arguments[0] + logarithm
        logarithms.append(logarithm)
    return logarithms if has_exponential else None


def _log_of_sum(logarithms: list[View]) -> View:
    """log(exp(a) + exp(b) + ...), without overflow."""
    if len(logarithms) == 1:
        return logarithms[0]
    if len(logarithms) == 2:
        for zero, other in (logarithms, reversed(logarithms)):
            if zero.number == 0:
                return other.call("softplus")
    return _apply(logarithms[0], "logsumexp", *logarithms)


@law("log", "log(exp(a) + exp(b)) is computed relative to the larger of a and b", exact=False, family="stabler")
def log_sum_exp(y: View) -> View | None:
    logarithms = _exponentials(y.arguments[0])
    return None if logarithms is None else _log_of_sum(logarithms)


@law("log", "log(1 + a) = log1p(a); log1p(exp(a)) = softplus(a)", exact=False, family="stabler")
def log_one_plus(y: View) -> View | None:
    (a,) = y.arguments
    if not _is(a, "add"):
        return None
    rest = [view for view in a.arguments if view.number != 1]
    return _sum(y, rest).call("log1p") if len(rest) == len(a.arguments) - 1 else None


@law("log", "log(sigmoid(a)) = -softplus(-a)", exact=False, family="stabler")
def log_sigmoid(y: View) -> View | None:
    (a,) = y.arguments
    return -_negated(a.arguments[0]).call("softplus") if _is(a, "sigmoid") else None


@law("log", "log(cosh(a)) = logcosh(a)", exact=False, family="stabler")
def log_cosh(y: View) -> View | None:
    (a,) = y.arguments
    return a.arguments[0].call("logcosh") if _is(a, "cosh") else None


# What a number plus a multiple of a gate becomes: c + k*gate(a), where k = c or k = -c.
_COMPLEMENTS: dict[tuple[str, int], Callable[[Fraction, View], View]] = {
    ("exp", -1): lambda c, a: _times(-c, a.call("expm1")),
    ("cos", -1): lambda c, a: _times(c, a.call("versine")),
    ("sigmoid", -1): lambda c, a: _times(c, _negated(a).call("sigmoid")),
    ("tanh", 1): lambda c, a: _times(2 * c, _times(Fraction(2), a).call("sigmoid")),
    ("tanh", -1): lambda c, a: _times(2 * c, _times(Fraction(-2), a).call("sigmoid")),
    ("erf", 1): lambda c, a: _times(c, _negated(a).call("erfc")),
    ("erf", -1): lambda c, a: _times(c, a.call("erfc")),
}


@law(
    "add",
    "exp(a) - 1 = expm1(a); 1 - cos(a) = versine(a); 1 - sigmoid(a) = sigmoid(-a); "
    "1 + tanh(a) = 2*sigmoid(2*a); 1 + erf(a) = erfc(-a)",
    exact=False,
    family="stabler",
)
def complements(y: View) -> View | None:
    numbers, others = _constants(y.arguments)
    if len(numbers) != 1 or len(others) != 1 or numbers[0] == 0:
        return None
    coefficient, rest = _scaled(others[0])
    if (
        _is(rest, "power")
        and rest.node.attribute == 2
        and _is(rest.arguments[0], "tanh")
        and coefficient == -numbers[0]
    ):
        sech = rest.arguments[0].arguments[0].call("sech")
        return _times(numbers[0], y.node.table.apply(GATES["power"], sech, attribute=2))
    ratio = coefficient / numbers[0]
    found = _COMPLEMENTS.get((rest.node.gate.name, int(ratio))) if ratio in (1, -1) else None
    return None if found is None else found(numbers[0], rest.arguments[0])


@law("sqrt", "sqrt(a**2) = |a|; sqrt(a**2 + b**2) = hypot(a, b)", exact=False, family="stabler")  # squares may overflow
def root_of_squares(y: View) -> View | None:
    (a,) = y.arguments
    terms = a.arguments if _is(a, "add") else (a,)
    if len(terms) > 3 or not all(_is(term, "power") and term.node.attribute == 2 for term in terms):
        return None
    sides = [term.arguments[0] for term in terms]
    return sides[0].call("abs") if len(sides) == 1 else reduce(lambda one, two: one.call("hypot", two), sides)


def _logistic(factor: View) -> tuple[View, int] | None:
    """`a` and `n` where the factor is (1 + exp(a))**n."""
    exponent = 1
    if _is(factor, "power"):
        exponent, factor = factor.node.attribute, factor.arguments[0]
    logarithms = _exponentials(factor) if _is(factor, "add") and len(factor.arguments) == 2 else None
    if logarithms is None:
        return None
    for zero, a in (logarithms, reversed(logarithms)):
        if zero.number == 0:
            return a, exponent
    return None


@law("div", "1/(1 + exp(-a)) = exp(a)/(1 + exp(a)) = sigmoid(a)", exact=False, family="stabler")
def sigmoid_quotient(y: View) -> View | None:
    above, below = _factors(y.arguments[0]), _factors(y.arguments[1])
    for place, factor in enumerate(below):
        found = _logistic(factor)
        if found is None:
            continue
        a, exponent = found
        exponential = a.call("exp")
        sigmoids = [_negated(a).call("sigmoid")] * exponent
        if exponential in above:
            above.remove(exponential)
            sigmoids[0] = a.call("sigmoid")
        ones = [view for view in above if view.number != 1]
        return _quotient(y, ones + sigmoids, below[:place] + below[place + 1 :])
    return None


@law("div", "exp(a)/(exp(a) + exp(b)) = softmax(a, b)", exact=False, family="stabler")
def softmax_quotient(y: View) -> View | None:
    above, below = _factors(y.arguments[0]), _factors(y.arguments[1])
    for place, factor in enumerate(below):
        logarithms = _exponentials(factor) if _is(factor, "add") else None
        for top in above if logarithms is not None else ():
            if _is(top, "exp") and top.arguments[0] in logarithms:  # type: ignore[operator]
                assert logarithms is not None
                logarithms.remove(top.arguments[0])
                above[above.index(top)] = top.arguments[0].call("softmax", *logarithms)
                return _quotient(y, above, below[:place] + below[place + 1 :])
    return None


@law("div", "(exp(a) - exp(b))/(exp(a) + exp(b)) = tanh((a - b)/2)", exact=False, family="stabler")
def tanh_quotient(y: View) -> View | None:
    above, below = y.arguments
    if not (_is(above, "add") and _is(below, "add") and len(above.arguments) == len(below.arguments) == 2):
        return None
    one, two = above.arguments
    minus = _negated(two)
    if _is(one, "exp") and _is(two, "neg") and _is(minus, "exp") and {*below.arguments} == {one, minus}:
        return ((one.arguments[0] - minus.arguments[0]) / 2).call("tanh")
    return None


@law("div", "sinh(a)/cosh(a) = tanh(a)", exact=False, family="stabler")
def tanh_ratio(y: View) -> View | None:
    above, below = y.arguments
    if _is(above, "sinh") and _is(below, "cosh") and above.arguments == below.arguments:
        return above.arguments[0].call("tanh")
    return None


# What a quotient by a gate that overflows is instead: its derivative would be 0*inf.
_RECIPROCALS = {"cosh": "sech", "sinh": "csch", "expm1": "bose"}


@law("div", "1/cosh(a) = sech(a); 1/sinh(a) = csch(a); 1/expm1(a) = bose(a)", exact=False, family="stabler")
def reciprocals(y: View) -> View | None:
    above, below = _factors(y.arguments[0]), _factors(y.arguments[1])
    for place, factor in enumerate(below):
        base = factor.arguments[0] if _is(factor, "power") else factor
        if base.node.gate.name in _RECIPROCALS:
            found = base.arguments[0].call(_RECIPROCALS[base.node.gate.name])
            if _is(factor, "power"):
                found = y.node.table.apply(GATES["power"], found, attribute=factor.node.attribute)
            ones = [view for view in above if view.number != 1]
            return _quotient(y, [*ones, found], below[:place] + below[place + 1 :])
    return None


@law("div", "sin(a)/a = sinc(a)", exact=False, family="stabler")  # 1 at a = 0, where the quotient is NaN
def sinc_quotient(y: View) -> View | None:
    above, below = _factors(y.arguments[0]), _factors(y.arguments[1])
    for place, factor in enumerate(above):
        if _is(factor, "sin"):
            denominators = _factors(factor.arguments[0])
            if all(below.count(view) >= denominators.count(view) for view in denominators):
                for view in denominators:
                    below.remove(view)
                above[place] = factor.arguments[0].call("sinc")
                return _quotient(y, above, below)
    return None
