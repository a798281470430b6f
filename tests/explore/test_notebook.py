"""What notebooks show: formulas that read back as what they stand for, tables and pictures that let nothing in."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from html.parser import HTMLParser
from itertools import product
from typing import Any
from xml.etree import ElementTree

import array_corpus
import corpus
import identities
import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import symgrad
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly
from symgrad.explore.latex import MAX_LENGTH, latex
from symgrad.explore.latex_pieces import environment, symbol
from symgrad.gates.linear_algebra import MATRIX_RULES
from symgrad.gates.table import CONSTANTS, GATES, ORDINARY
from symgrad.graph.graph import Graph, over_points
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View
from symgrad.language.parse import parse
from symgrad.lower.lower import lower
from symgrad.reductions import Largest
from symgrad.tables import COLOURS, Cell, Table, visible

x, y, z = sp.symbols("x y z")
i, n = sp.symbols("i n", integer=True)
A = sp.MatrixSymbol("A", n, n)
HOSTILE = ["</td><script>alert(1)</script>", "x<y", "a&b", "$", r"\input{/etc/passwd}", "a\nb\x1b[31m", "}", "#%~^"]


def graph_of(expression: Any) -> Graph:
    problem = parse(expression) if isinstance(expression, str) else None
    if problem is None:
        return lower(expression)[0]
    return lower(problem.expression, None, (), problem.names)[0]


def formula(expression: Any) -> str:
    found = latex(graph_of(expression))
    assert found is not None
    return found


# --- a reader of formulas: what mathematicians take them for, and nothing of how they were printed --------------------

Env = dict[str, Any]
Meaning = Callable[[Env], Any]

TOKEN = re.compile(
    r"\\(?:begin|end)\{\w+\}|\\(?:mathrm|text|operatorname)\{(?:[^{}\\]|\\.)*\}|\\left\||\\right\||\\[A-Za-z]+|\\.|"
    r"\d+(?:\.\d+)?|\S"
)
FUNCTIONS = {rf"\{name}": name for name in "sin cos tan sec csc cot sinh cosh tanh coth exp max min".split()}
FUNCTIONS |= {r"\arcsin": "asin", r"\arccos": "acos", r"\arctan": "atan", r"\ln": "log", r"\Gamma": "gamma"}
FUNCTIONS |= {
    rf"\operatorname{{{spelled}}}": name
    for spelled, name in [
        *((f"arc{name}", f"a{name}") for name in ("sec", "csc", "cot")),
        *((f"ar{name}", f"a{name}") for name in ("sinh", "cosh", "tanh", "sech", "csch", "coth")),
        *((name.replace("_", r"\_"), name) for name in GATES),
    ]
}
SIGNS = {r"\pi": "pi", "e": "E", r"\varphi": "GoldenRatio", r"\gamma_{\mathrm{E}}": "EulerGamma", r"\infty": "oo"}
SIGNS |= {r"\text{NaN}": "nan"} | {rf"\mathrm{{{name}}}": name for name in ("Catalan", "TribonacciConstant")}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    r"\lt": lambda a, b: a < b,
    r"\gt": lambda a, b: a > b,
    r"\le": lambda a, b: a <= b,
    r"\ge": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    r"\ne": lambda a, b: a != b,
}
ENDS = {"+", "-", ")", "}", "]", "&", r"\\", ",", r"\wedge", r"\vee", r"\right|", r"\rfloor", r"\rceil", ""}
ENDS |= {*COMPARISONS, r"\end{cases}", r"\end{aligned}"}
TRIED = range(-1, 9)  # what is tried for an index of which only conditions are known


class Reader:
    """A formula as a function of its arguments."""

    def __init__(self, text: str, sizes: Mapping[str, int] = {}) -> None:  # not written
        self.tokens = [token for token in TOKEN.findall(text) if token not in (r"\left", r"\right", r"\,")]
        self.place = 0
        self.known: set[str] = set()
        self.sizes = dict(sizes)
        self.arguments: list[str] = []
        self.lines = self._lines()

    def __call__(self, *values: Any) -> Any:
        env = {**self.sizes, **dict(zip(self.arguments, values, strict=True))}
        with mpmath.workdps(50):
            for name, meaning in self.lines[1:]:
                env[name] = meaning(env)
            return self.lines[0][1](env)

    # --- words

    @property
    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.next
        assert not wanted or token in wanted, (wanted, self.tokens[self.place :])
        self.place += 1
        return token

    def skip(self, token: str) -> bool:
        found = self.next == token
        self.place += found
        return found

    def until(self, *ends: str) -> str:
        """What stands before one of these, as it is written."""
        start, depth = self.place, 0
        while depth or self.next not in ends:
            assert self.next
            depth += {"{": 1, "}": -1}.get(self.take(), 0)
        return "".join(self.tokens[start : self.place])

    def group(self) -> Meaning:
        self.take("{")
        found = self.sum()
        self.take("}")
        return found

    # --- lines

    def _lines(self) -> list[tuple[str, Meaning]]:
        is_list = self.skip(r"\begin{aligned}")
        self.head = self.until("(")
        self.take("(")
        while not self.skip(")"):
            self.arguments.append(self.until(",", ")"))
            self.skip(",")
        assert len(set(self.arguments)) == len(self.arguments)
        lines = "".join(self.tokens).split(r"\\")[1:] if is_list else []
        self.known = {*self.arguments, *(line.split("&=")[0] for line in lines if "&=" in line)}
        found = [("f", self._right())]
        while self.skip(r"\\"):
            found.append((self.until("&"), self._right()))
        if is_list:
            self.take(r"\end{aligned}")
        assert self.next == "", self.tokens[self.place :]
        return found

    def _right(self) -> Meaning:
        self.skip("&")
        self.take("=")
        return self.sum()

    # --- expressions

    def condition(self) -> Meaning:
        found = self._both()
        while self.skip(r"\vee"):
            found = joined(found, self._both(), lambda a, b: a or b)
        return found

    def _both(self) -> Meaning:
        found = self._comparison()
        while self.skip(r"\wedge"):
            found = joined(found, self._comparison(), lambda a, b: a and b)
        return found

    def _comparison(self) -> Meaning:
        if self.skip(r"\neg"):
            inner = self.sum()
            return lambda env: not inner(env)
        left = self.sum()
        found: Meaning | None = None
        while self.next in COMPARISONS:
            compare, right = COMPARISONS[self.take()], self.sum()
            own = joined(left, right, compare)
            found, left = own if found is None else joined(found, own, lambda a, b: a and b), right
        return found or left

    def sum(self) -> Meaning:
        found = negated(self.term()) if self.skip("-") else self.term()
        while self.next in ("+", "-"):
            sign = -1 if self.take() == "-" else 1
            found = joined(found, self.term(), lambda a, b, sign=sign: a + sign * b)
        return found

    def term(self) -> Meaning:
        found: Meaning | None = None
        while self.next not in ENDS:
            has_digits = self.tokens[self.place - 1][-1].isdigit()
            assert (
                found is None
                or self.next == r"\cdot"
                or not (self.next[0].isdigit() or (has_digits and self.next == r"\frac"))
            )
            if found is not None:
                self.skip(r"\cdot")
            factor = self.factor()
            found = factor if found is None else joined(found, factor, times)
        assert found is not None, self.tokens[self.place :]
        return found

    def factor(self) -> Meaning:
        found = self.base()
        if not self.skip("^"):
            return found
        if self.tokens[self.place : self.place + 3] == ["{", r"\top", "}"]:
            self.place += 3
            return lambda env: found(env).T
        return joined(found, self.group(), raised)

    def base(self) -> Meaning:
        token = self.next
        if token in (r"\sum", r"\prod") or (token in (r"\max", r"\min") and self.tokens[self.place + 1] == "_"):
            return self.reduction()
        if token[0].isdigit():
            self.take()
            return lambda env: mpmath.mpf(token)
        if token == r"\frac":
            self.take()
            return joined(self.group(), self.group(), divided)
        if token == r"\sqrt":
            self.take()
            index = int(self.until("]")[1:]) if self.next == "[" else 2
            self.skip("]")
            inner = self.group()
            return applied(lambda value: mpmath.root(value, index), [inner])
        if token == r"\begin{cases}":
            return self.cases()
        if token in FUNCTIONS and not (token in self.known or f"{token}_" in self.known):
            return self.function()
        if token in ("(", r"\left|", r"\lfloor", r"\lceil", "["):
            return self.bracket()
        if token == r"\det":
            self.take()
            return applied(np.linalg.det, [self.bracket()])
        if self.skip("{"):  # {x_{0}}_{i}
            name = self.until("}")
            self.take("}")
            return self.entry(name)
        return self.name()

    def bracket(self) -> Meaning:
        token = self.take()
        if token == "[":
            return self.matrix()
        inner = self.condition() if token == "(" else self.sum()
        self.take({"(": ")", r"\left|": r"\right|", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}[token])
        if token != "(":
            return applied({r"\left|": abs, r"\lfloor": mpmath.floor, r"\lceil": mpmath.ceil}[token], [inner])
        return self.indexed(inner) if self.next == "_" else inner

    def function(self) -> Meaning:
        call = GATES[FUNCTIONS[self.take()]].mpmath
        exponent = self.group() if self.skip("^") else None
        assert exponent is None or int(self.tokens[self.place - 2]) > 1  # -1 would be the inverse function
        self.take("(")
        arguments = [self.sum()]
        while self.skip(","):
            arguments.append(self.sum())
        self.take(")")
        assert call is not None
        found = applied(call, arguments)
        return joined(found, exponent, raised) if exponent else found

    def cases(self) -> Meaning:
        # Their brace has no end on the page: they stand alone, or in brackets.
        assert self.tokens[self.place - 1] in {*"=({[,&", r"\left|", r"\lfloor", r"\lceil"}
        self.take()
        rows: list[tuple[Meaning, Meaning]] = []
        while not self.skip(r"\end{cases}"):
            value = self.sum()
            self.take("&")
            word = self.take(r"\text{if }", r"\text{otherwise}")
            rows.append((value, self.condition() if "if" in word else lambda env: True))
            self.skip(r"\\")
        assert self.next in ENDS - {"+", "-", *COMPARISONS}
        return lambda env: next((value(env) for value, holds in rows if holds(env)), mpmath.nan)

    # --- names, entries, sums

    def name(self) -> Meaning:
        name = self.take()
        while r"\text" in name and (self.next.startswith(r"\text{") or self.next == r"\_"):
            name += self.take()
        if self.next == "_":
            start = self.place
            self.place += 2
            full = f"{name}_{{{self.until('}')}}}"
            self.take("}")
            if full in self.known or full in SIGNS:
                return lambda env: env[full] if full in env else CONSTANTS[SIGNS[full]]()
            self.place = start
            if name == r"\delta" and name not in self.known:
                self.place += 2
                one = self.sum()
                self.take(",")
                other = self.sum()
                self.take("}")
                return joined(one, other, lambda a, b: int(a == b))
            return self.entry(name)
        return lambda env: env[name] if name in env else CONSTANTS[SIGNS[name]]()

    def entry(self, name: str) -> Meaning:
        return self.indexed(lambda env: env[name])

    def indexed(self, array: Meaning) -> Meaning:
        self.take("_")
        self.take("{")
        indices = [self.sum()]
        while self.skip(","):
            indices.append(self.sum())
        self.take("}")

        def found(env: Env) -> Any:
            places = tuple(int(index(env)) for index in indices)
            assert min(places) >= 0
            number = array(env)[places]
            return mpmath.mpf(number) if isinstance(number, float) else number

        return found

    def reduction(self) -> Meaning:
        sign = self.take()
        self.take("_")
        self.take("{")
        start = self.place
        self.until("}")
        self.take("}")
        has_end = self.next == "^"
        self.place = start
        if has_end:
            letter = self.until("=")
            self.take("=")
            low = self.sum()
            self.take("}")
            self.take("^")
            high = self.group()
            body = self.term()

            def places(env: Env) -> Iterator[Env]:
                return ({**env, letter: at} for at in range(int(low(env)), int(high(env)) + 1))
        else:
            places = self.conditions()
            body = self.term()
        gather = {
            r"\sum": mpmath.fsum,
            r"\prod": mpmath.fprod,
            r"\max": partial(max, default=-mpmath.inf),
            r"\min": partial(min, default=mpmath.inf),
        }[sign]
        return lambda env: gather([body(inner) for inner in places(env)])

    def conditions(self) -> Callable[[Env], Iterator[Env]]:
        """All values of the letters that are not known, for which the conditions hold."""
        start = self.place
        conditions = [self.condition()]
        while self.skip(","):
            conditions.append(self.condition())
        names = dict.fromkeys(token for token in self.tokens[start : self.place] if token.isalpha())
        self.take("}")

        def places(env: Env) -> Iterator[Env]:
            free = [name for name in names if name not in env]  # in the order in which they are spoken of
            for values in product(TRIED, repeat=len(free)):
                inner = {**env, **dict(zip(free, values, strict=True))}
                if all(condition(inner) for condition in conditions):
                    yield {name: inner[name] for name in free} | env

        return places

    def matrix(self) -> Meaning:
        entry = self.sum()
        self.take("]")
        self.take("_")
        self.take("{")
        places = self.conditions()

        def found(env: Env) -> Any:
            inner = list(places(env))
            at = [tuple(one[name] for name in one if name not in env) for one in inner]
            array = np.zeros(np.max(at, axis=0) + 1)
            for index, one in zip(at, inner, strict=True):
                array[index] = float(entry(one))
            return array

        return found


def joined(one: Meaning, other: Meaning, operation: Callable[[Any, Any], Any]) -> Meaning:
    return lambda env: operation(one(env), other(env))


def applied(call: Callable[..., Any], arguments: Sequence[Meaning]) -> Meaning:
    return lambda env: real(call(*(argument(env) for argument in arguments)))


def real(number: Any) -> Any:
    return mpmath.nan if isinstance(number, mpmath.mpc) else number


def negated(meaning: Meaning) -> Meaning:
    return lambda env: -meaning(env)


def divided(a: Any, b: Any) -> Any:
    """The quotient; at a pole as floats have it, where mpmath raises."""
    return mpmath.sign(a) * mpmath.inf if not isinstance(b, np.ndarray) and b == 0 != a else a / b


def times(a: Any, b: Any) -> Any:
    return a @ b if isinstance(a, np.ndarray) else a * b


def raised(a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray):
        assert b == -1
        return np.linalg.inv(a)
    pow_of = GATES["pow"].mpmath
    assert pow_of is not None
    return real(pow_of(a, b))


# --- formulas read back as what they stand for ------------------------------------------------------------------------


def agrees(text: str, graph: Graph, point: Sequence[float]) -> bool:
    want = evaluate_exactly(graph, point)[0]
    got = Reader(text)(*map(mpmath.mpf, point))
    return bool(mpmath.almosteq(want, got, 1e-14, 1e-14))


@pytest.mark.parametrize("case", corpus.CORPUS, ids=lambda case: case.name)
def test_formula_reads_back(case: corpus.Case) -> None:
    graph = graph_of(case.text)
    text = latex(graph)
    assert text is not None
    points = corpus.points(case, 2)
    for place in range(2):
        assert agrees(text, graph, [float(points[name][place]) for name in graph.inputs]), text


@pytest.mark.parametrize("case", [*array_corpus.CORPUS, *identities.CORPUS], ids=lambda case: case.name)
def test_formula_over_arrays_reads_back(case: array_corpus.ArrayCase) -> None:
    graph = graph_of(case.expression())
    text = latex(graph)
    assert text is not None
    arrays, sizes = case.arrays("small"), array_corpus.SIZES["small"] | case.sizes
    found = Reader(text, sizes)(*(arrays[name] for name in graph.inputs))
    assert float(found) == pytest.approx(float(case.value(**arrays)), rel=1e-9, abs=1e-9), text


STEADY = settings(deadline=None, derandomize=True, max_examples=300, database=None)
NUMBERS = (Fraction(0), Fraction(1), Fraction(2), Fraction(-3), Fraction(5, 2), Fraction(-1, 7), Fraction(1, 10**30))
FUNCTIONS_OF_ONE = "neg neg neg abs sqrt cbrt exp log sin tanh asin floor sigmoid".split()
FUNCTIONS_OF_MORE = "add add add mul mul mul div div pow max atan2 mod".split()


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A random graph of gates, as no expression might give it: minus under minus, numbers last, cases under powers."""
    table = InternTable(dict(GATES))
    parts = [table.input(place, (0,)) for place in range(3)]
    parts += [table.constant(draw(st.sampled_from(NUMBERS))), table.constant(draw(st.sampled_from(("pi", "E"))))]

    def mixed(count: int) -> list[View]:
        """The latest part and some before it."""
        before = [parts[draw(st.integers(max(0, len(parts) - 5), len(parts) - 1))] for _ in range(count - 1)]
        return draw(st.permutations([parts[-1], *before]))

    def condition() -> View:
        one, other = (table.apply(GATES[draw(st.sampled_from(("lt", "le", "eq", "ne")))], *mixed(2)) for _ in range(2))
        third = table.apply(GATES["lt"], *mixed(2))
        kind = draw(st.sampled_from(("plain", "not", "and of or", "or of and")))
        if kind in ("plain", "not"):
            return one.call("not") if kind == "not" else one
        outer, _, inner = kind.split()
        return one.call(inner, other).call(outer, third.call("not") if draw(st.booleans()) else third)

    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.integers(0, 6))
        if kind <= 1:
            parts.append(parts[-1].call(draw(st.sampled_from(FUNCTIONS_OF_ONE))))
        elif kind == 2:
            parts.append(table.apply(GATES["power"], parts[-1], attribute=draw(st.integers(2, 4))))
        elif kind == 3:
            taken, otherwise = mixed(2)
            parts.append(condition().where(taken, otherwise))
        else:
            gate = GATES[draw(st.sampled_from(FUNCTIONS_OF_MORE))]
            parts.append(table.apply(gate, *mixed(3 if gate.name in ("add", "mul") else 2)))
    return over_points(table, ("x", "y", "z"), (parts[-1],))


@STEADY
@given(graphs(), st.tuples(*[st.integers(-30, 30).map(lambda k: k / 10 + 0.01)] * 3))
def test_random_formula_reads_back(graph: Graph, point: tuple[float, ...]) -> None:
    text = latex(graph)
    assume(text is not None)  # what is shared is printed again and again
    try:
        want, more_exactly = (evaluate_exactly(graph, point, digits=digits)[0] for digits in (50, 100))
        assume(mpmath.isfinite(want) and mpmath.almosteq(want, more_exactly, 1e-14, 1e-14))
        assert agrees(text, graph, point), text
    except (ZeroDivisionError, OverflowError):
        assume(False)


LISTED = (
    "constant",
    "input",
    "power",
    "select",
    "zero_where",
    "undefined",
    "position",
    "size",
    "sum",
    "product",
    "largest",
)
PLAIN = [name for name in GATES if name not in (*LISTED, "smallest", *MATRIX_RULES) and GATES[name].kind == "real"]


@pytest.mark.parametrize("name", PLAIN)
def test_gate_reads_back(name: str) -> None:
    table = InternTable(dict(GATES))
    point = [low + (high - low) / 3 for low, high in ORDINARY[name]]
    inputs = [table.input(place, (0,)) for place in range(len(point))]
    names = ("x", "y", "z", "w")[: len(point)]
    made = table.apply(GATES[name], *inputs)
    for value in (made, table.apply(GATES["power"], made, attribute=2), inputs[0] / (made + 3)):
        graph = over_points(table, names, (value,))
        text = latex(graph)
        assert text is not None
        assert agrees(text, graph, point), text


def test_signs_of_factors_come_out() -> None:
    table = InternTable(dict(GATES))
    one, two = (table.input(place, (0,)) for place in range(2))
    for value in (-one * -two, -one * two * -3, one / -two, (-one) / -two):
        graph = over_points(table, ("x", "y"), (value,))
        text = latex(graph)
        assert text is not None
        assert agrees(text, graph, (0.3, 0.7)), text


def test_own_gate_by_its_name() -> None:
    a = sp.Symbol("a")
    own = symgrad.gate("my_gate", sp.Lambda(a, a**2), [lambda result, a: 2 * a])
    text = latex(lower(own(x * y) + 1, None, [own])[0])
    assert text == r"f\left(x, y\right) = \operatorname{my\_gate}\left(x y\right) + 1"


# --- how formulas look ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ((x + y) * z, r"f\left(x, y, z\right) = z \left(x + y\right)"),
        (sp.sin(x) ** 2 / x**3, r"f\left(x\right) = \frac{\sin^{2}\left(x\right)}{x^{3}}"),
        ("2*pi*x/3 - 1.5*x*y", r"f\left(x, y\right) = \frac{2 \pi x}{3} - \frac{3}{2} x y"),
        ("0.1234567*x", r"f\left(x\right) = 0.1234567 x"),
        ("0.25*x - 0.0001*y/3", r"f\left(x, y\right) = \frac{x}{4} - \frac{y}{30000}"),
        ("12345/67891*x", r"f\left(x\right) = \frac{12345 x}{67891}"),
        ("6.02214076e23*x", r"f\left(x\right) = 6.02214076 \cdot 10^{23} x"),
        ("x1_max*lam*theta", r"f\left(\mathrm{lam}, \theta, x_{1,\mathrm{max}}\right) = "
         r"\mathrm{lam} \, \theta x_{1,\mathrm{max}}"),
        ("x if x > 0 else y if y > 1 else 0", r"f\left(x, y\right) = \begin{cases} x & \text{if } x \gt 0 \\ "
         r"y & \text{if } y \gt 1 \\ 0 & \text{otherwise} \end{cases}"),
        (sp.Symbol("x") - sp.Symbol("x", positive=True),
         r"f\left(x, \text{x (2)}\right) = x - \text{x (2)}"),
        ("f: real\nf + 1", r"g\left(f\right) = f + 1"),
        ("x: vector(n)\nsum(x[i] for i in range(1, n))**2",
         r"f\left(x\right) = \left(\sum_{i=1}^{n - 1} x_{i}\right)^{2}"),
    ],
)  # fmt: skip
def test_look(expression: Any, shown: str) -> None:
    assert formula(expression) == shown


def test_identity_is_a_delta() -> None:
    text = formula(sp.Trace((sp.Identity(n) + A) ** 2))
    assert set(re.findall(r"\\delta_{(.), (.)}", text)) == {("i", "j")}
    assert "cases" not in text


def test_names_of_parts_where_the_formula_is_long() -> None:
    assert r"\mathrm{part}" not in formula("part = w*x\n1/(1 + exp(-part))")
    long = formula("part = sin(x)*cos(x) + tanh(x)*exp(x)\n" + " + ".join(f"part**{k}" for k in range(2, 12)))
    first, *others = long.split(r"\\")
    assert r"\mathrm{part}^{11}" in first
    assert [line.split("&=")[0].strip() for line in others] == [r"\mathrm{part}"]


def test_names_of_parts_over_arrays() -> None:
    declared = "X: matrix(n, d)\nw: vector(d)\nlength = sqrt(sum(w[j]**2 for j in range(d)))\n"
    terms = " + ".join(f"sin({k}*length*X[i, 0])" for k in range(2, 12))
    text = f"{declared}sum({terms} for i in range(n))"
    found = formula(text)
    assert found.endswith(r"\mathrm{length} &= \sqrt{\sum_{j=0}^{d - 1} w_{j}^{2}} \end{aligned}")
    data, weights = np.array([[0.5, 1.0], [-2.0, 0.1], [0.3, 3.0]]), np.array([0.7, -0.4])
    want = evaluate(graph_of(text), [data, weights], {"n": 3, "d": 2})[0]
    assert float(Reader(found, {"n": 3, "d": 2})(data, weights)) == pytest.approx(float(want), rel=1e-12)


def test_nothing_where_the_formula_is_too_long() -> None:
    table = InternTable(dict(GATES))
    deep = wide = shared = table.input(0, (0,))
    for number in range(10_000):
        deep = deep.call("sin")
        shared = shared.call("sin") * shared.call("cos")
        if number < 1900:
            wide = wide + number
    for value in (deep, wide, shared):
        assert latex(over_points(table, ("x",), (value,))) is None
    assert latex(graph_of(sp.Symbol("x" * MAX_LENGTH))) is None


def test_many_arguments_are_not_all_listed() -> None:
    text = formula(sp.Add(*sp.symbols("x:50")))
    assert text.startswith(r"f\left(x_{0}, x_{1}, x_{2}, \ldots, x_{49}\right) = x_{0} + ")


def test_mathtext_takes_formulas() -> None:
    """An independent reader of the spelling: what matplotlib sets, TeX does."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    texts = [text for case in corpus.CORPUS if r"\begin" not in (text := formula(case.text))]
    assert len(texts) > 100
    for text in texts[::2]:
        parser.parse(f"${text}$")


# --- several outputs, and derivatives ---------------------------------------------------------------------------------

x_n = sp.IndexedBase("x", shape=(n,))
SEVERAL: dict[str, tuple[Any, dict[str, Any]]] = {
    "list": ([x * y, x + y], {"x": 0.3, "y": 0.7}),
    "dict": ({"force": x * y, "sides": [x, y**2], "s": {"a b": x}}, {"x": 0.3, "y": 0.7}),
    "matrix": (sp.Matrix([[x * y, x], [y, 1]]), {"x": 0.3, "y": 0.7}),
    "cases": ({"a": sp.Piecewise((x, x > y), (y, True)), "b": sp.sin(x)}, {"x": 0.3, "y": 0.7}),
    "names": ({"x": x * y, "f0": x, "f": [1, x], "J": sp.Symbol("e")}, {"x": 0.3, "y": 0.7, "e": 1.5}),
    "family": (symgrad.family(x_n[i] ** 2 * y, (i, n)), {"x": np.array([0.5, -1.5, 2.0]), "y": 0.7}),
    "part of a family": ({"r": symgrad.family(x_n[n - 1 - i], (i, n)), "s": y, "i": y**2},
                         {"x": np.array([0.5, -1.5, 2.0]), "y": 0.7}),
    "family of cases": (symgrad.family(sp.Piecewise((x_n[i], y > 1), (z, True)), (i, n)),
                        {"x": np.array([0.5, -1.5, 2.0]), "y": 0.7, "z": 0.4}),
    "matrix expression": ([A * A, y], {"A": np.array([[0.5, -1.5], [2.0, 3.0]]), "y": 0.7}),
    "column": (A * sp.MatrixSymbol("v", n, 1),
               {"A": np.array([[0.5, -1.5], [2.0, 3.0]]), "v": np.array([[1.0], [4.0]])}),
    "text": ("x: vector(n)\n[[x[k]*x[l] + y/x[k] for k in range(n)] for l in range(2)]",
             {"x": np.array([0.5, -1.5, 2.0]), "y": 0.7}),
    "parts": ("part = sin(x)*cos(x) + tanh(x)*exp(x)\nf = " + " + ".join(f"part**{k}" for k in range(2, 12))
              + "\ng = " + " + ".join(f"{k}*sin({k}*f*part)" for k in range(2, 20)) + "\noutput f, g", {"x": 0.3}),
}  # fmt: skip


def lines_of(text: str) -> list[tuple[str, str]]:
    """The two sides of each equation."""
    if not text.startswith(r"\begin{aligned} "):
        left, right = text.split(" = ", 1)
        return [(left, right)]
    body = text.removeprefix(r"\begin{aligned} ").removesuffix(r" \end{aligned}")
    found = [""]
    for part in body.split(r" \\ "):  # those of cases as well
        is_inside = found[-1].count(r"\begin{cases}") > found[-1].count(r"\end{cases}")
        found = [*found[:-1], rf"{found[-1]} \\ {part}"] if is_inside else [*found, part]
    return [(left, right) for left, right in (line.split(" &= ") for line in found[1:])]


@pytest.mark.parametrize("name", SEVERAL)
def test_formulas_of_outputs_read_back(name: str) -> None:
    """Each with the lines of the parts as a formula of its own; of an array at every index that is said."""
    expression, given = SEVERAL[name]
    graph = symgrad.compile(expression, derivative=None)._compiled.definition
    values = [given[own] for own in graph.inputs]
    sizes = {} if graph.over_points else {"n": max(len(value) for value in values if isinstance(value, np.ndarray))}
    text = latex(graph)
    assert text is not None
    lines = lines_of(text)
    assert len({left for left, _ in lines}) == len(lines)
    outputs, parts = lines[: len(graph.values)], lines[len(graph.values) :]
    if parts:  # some of which may be outputs
        parts += [(left.split(r"\left(")[0], right) for left, right in outputs]
    for (left, right), want in zip(outputs, evaluate(graph, values, sizes), strict=True):
        arguments = left[left.index(r"\left(") :]
        formula, *ranges = re.split(r",\\quad |,\\, (?=\d+ \\le )", right)
        loops = [own.split(r" \le ") for own in ranges]
        places = [range(int(read(low, sizes)), int(read(high, sizes)) + 1) for low, _, high in loops]
        assert [len(own) for own in places] == [extent for extent in want.shape if extent != 1]
        for at in product(*places):
            listed = [" &= ".join(line) for line in [(f"f{arguments}", formula), *parts]]
            letters = {letter: place for (_, letter, _), place in zip(loops, at, strict=True)}
            found = Reader(environment("aligned", listed), sizes | letters)(*values)
            assert float(found) == pytest.approx(float(want.squeeze()[at]), rel=1e-12), listed


def read(text: str, sizes: Mapping[str, int]) -> Any:
    return Reader(rf"f\left(\right) = {text}", sizes)()


@pytest.mark.parametrize(
    ("expression", "options", "shown"),
    [
        ([x * y, x], {"derivative": "jacobian"},
         [("f_{1}(x, y)", "x y"), ("f_{2}(x, y)", "x"), ("J", r"\frac{\partial(f_{1}, f_{2})}{\partial(x, y)}")]),
        ({"f": x, "g": [x, 1]}, {"derivative": "jacobian", "sparse": "csr"},
         [("f(x)", "x"), ("g_{0}(x)", "x"), ("g_{1}(x)", "1"), ("J", r"\frac{\partial(f, g_{0}, g_{1})}{\partial x}")]),
        (symgrad.family(x_n[i] ** 2, (i, n)), {"derivative": "jacobian"},
         [("f_{i}(x)", r"x_{i}^{2},\quad 0 \le i \le n - 1"), ("J", r"\frac{\partial f}{\partial x}")]),
        (A * sp.MatrixSymbol("v", n, 1), {"derivative": "jacobian", "wrt": [A]},
         [("f_{i, 0}(A, v)", r"\sum_{j=0}^{n - 1} A_{i, j} v_{j, 0},\quad 0 \le i \le n - 1"),
          ("J", r"\frac{\partial f}{\partial A}")]),
        (x * y**2, {"derivative": "hessian", "wrt": [y]},
         [("f(x, y)", "x y^{2}"), ("H", r"\frac{\partial^{2} f}{\partial y^{2}}")]),
        (sp.Symbol("H") * x, {"derivative": "hessian", "sparse": "csc"},
         [("f(H, x)", "H x"), (r"\mathrm{Hessian}", r"\frac{\partial^{2} f}{\partial(H, x)^{2}}")]),
        ([x, 2 * x], {"derivative": None}, [("f_{1}(x)", "x"), ("f_{2}(x)", "2 x")]),
        ([sp.Symbol("f") * x, sp.Symbol("g1")], {"derivative": None},
         [("h_{1}(f, g_{1}, x)", "f x"), ("h_{2}(f, g_{1}, x)", "g_{1}")]),
        ([k * x for k in range(2, 15)], {"derivative": "jacobian"},
         [*((f"f_{{{k}}}(x)", f"{k + 1} x") for k in range(1, 14)),
          ("J", r"\frac{\partial(f_{1}, f_{2}, f_{3}, \ldots, f_{13})}{\partial x}")]),
    ],
)  # fmt: skip
def test_look_of_several(expression: Any, options: dict[str, Any], shown: list[tuple[str, str]]) -> None:
    kernel = symgrad.compile(expression, **options)
    text = kernel._repr_latex_()
    assert text is not None
    assert kernel._repr_html_() is None
    plain = text.removeprefix(r"$\displaystyle ").removesuffix("$").replace(r"\left(", "(").replace(r"\right)", ")")
    assert lines_of(plain) == shown


def test_what_a_kernel_makes_is_shown_where_it_is_a_matrix() -> None:
    kernel = symgrad.compile([x * y, x], derivative=None)
    assert str(kernel.jacobian._repr_latex_()).endswith(
        r"J &= \frac{\partial\left(f_{1}, f_{2}\right)}{\partial\left(x, y\right)} \end{aligned}$"
    )
    assert kernel.jvp._repr_latex_() is None
    assert "jvp" in str(kernel.jvp._repr_html_())


def test_nothing_where_outputs_are_too_many() -> None:
    kernel = symgrad.compile([k * x for k in range(200)], derivative="jacobian")
    assert kernel._repr_latex_() is None
    assert "jacobian by" in str(kernel._repr_html_())


def test_mathtext_takes_lines_of_several() -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    for expression, _ in SEVERAL.values():
        kernel = symgrad.compile(expression, derivative="jacobian")
        for line in lines_of(str(kernel._repr_latex_())[len(r"$\displaystyle ") : -1]):
            if r"\begin" not in line[1]:
                parser.parse(f"${' = '.join(line)}$".replace(r"\le ", r"\leq "))


# --- names ------------------------------------------------------------------------------------------------------------

x_array, x0_array, delta_array = (sp.IndexedBase(name, shape=(n,)) for name in ("x", "x_0", "delta"))


@pytest.mark.parametrize(
    "expression",
    [
        sp.Symbol("x0") - 2 * sp.Symbol("x_0"),
        sp.Symbol("x") - 2 * sp.Symbol("x", positive=True),
        sp.exp(sp.Symbol("e")) + sp.E * sp.Symbol("x"),
        sp.pi * sp.Symbol("pi") + sp.Symbol("lambda") / sp.Symbol("lamda"),
        sp.gamma(sp.Symbol("Gamma")) + sp.EulerGamma * sp.Symbol("gamma_E"),
        sp.Symbol("local") * sp.Symbol("that") / sp.Symbol("xabs"),
        sp.Symbol("Catalan") * sp.Catalan + sp.Symbol("varphi") / sp.GoldenRatio,
        sp.Add(*(k * sp.Symbol(name) for k, name in enumerate("fghFGH", 1))),
    ],
)
def test_names_are_not_mistaken(expression: sp.Expr) -> None:
    graph = graph_of(expression)
    point = [0.3 + 0.2 * place for place in range(len(graph.inputs))]
    assert agrees(formula(expression), graph, point), formula(expression)


@pytest.mark.parametrize(
    "expression",
    [
        sp.Symbol("x0") * sp.Sum(x_array[i] * x_array[0], (i, 0, n - 1)),
        sp.Sum(x_array[i] * x0_array[n - 1 - i], (i, 0, n - 1)),
        sp.Sum(x_array[i] * sp.KroneckerDelta(i, 1) * delta_array[1], (i, 0, n - 1)),
        sp.Sum(x_array[i] * sp.Sum(x_array[i], (i, 0, n - 1)), (i, 0, n - 1)),
        sp.Product(x_array[i], (i, 0, n - 1)) * sp.Product(x0_array[i], (i, 0, n - 1)) * sp.Symbol("y"),
        -sp.Product(x_array[i] + 1, (i, 0, n - 1))
        - Largest(-x_array[i], (i, 0, n - 1)) * Largest(x0_array[i], (i, 0, n - 1)),
        sp.Symbol("y") ** sp.Sum(x_array[i], (i, 0, n - 1)) / sp.Product(x_array[i], (i, 0, n - 1)) ** 2,
        sp.Sum(x_array[i] * sp.Symbol("i") * sp.Symbol("e") + sp.exp(x_array[i]), (i, 0, n - 1)),
    ],
)
def test_names_are_not_mistaken_beside_arrays(expression: sp.Expr) -> None:
    graph = graph_of(expression)
    assert not graph.over_points
    values = [np.array([0.5, -1.5, 2.0]) + place if shape else 0.7 + place for place, shape in enumerate(graph.shapes)]
    found = Reader(formula(expression), {"n": 3})(*values)
    assert float(found) == pytest.approx(float(evaluate(graph, values, {"n": 3})[0]), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x", "x"),
        ("x12", "x_{12}"),
        ("p_d", "p_{d}"),
        ("x1_max", r"x_{1,\mathrm{max}}"),
        ("n_rho", r"n_{\rho}"),
        ("theta", r"\theta"),
        ("lamda", r"\lambda"),
        ("local", r"\mathrm{local}"),
        ("\u03b8", r"\theta"),
        ("\u039b_0", r"\Lambda_{0}"),
        ("\u0391", "\\text{\u0391}"),  # the capital alpha, for which TeX has no command
        ("g_", r"\text{g}\_"),
        ("a b", r"\text{a b}"),
        ("50%", r"\text{50}\%"),
        ("", r"\text{}"),
    ],
)
def test_symbol(name: str, shown: str) -> None:
    assert symbol(name) == shown


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_says_nothing_to_tex(name: str) -> None:
    text = formula(sp.Symbol(name) * sp.Symbol("y"))
    commands = set(re.findall(r"\\[A-Za-z]+", text))
    assert commands <= {r"\left", r"\right", r"\text", r"\backslash", r"\wedge", r"\sim", r"\lt", r"\gt"}
    assert not re.search(r"[<>~^]|(?<!\\)[&$#%]", text)
    assert text.isprintable()
    inside = re.sub(r"\\[{}]", "", text)
    assert inside.count("{") == inside.count("}")


# --- tables and pictures ----------------------------------------------------------------------------------------------

TAGS = {"body", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre"}


def checked(html: str) -> ElementTree.Element:
    """The elements of well-formed HTML that does nothing but show text."""
    root = ElementTree.fromstring(f"<body>{html}</body>")
    seen: list[str] = []

    class Listing(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            assert {name for name, _ in attrs} <= {"style", "class"}

    Listing().feed(html)  # as a browser takes it, not as XML
    assert set(seen) <= TAGS
    assert len(seen) == len(list(root.iter())) - 1
    assert "url(" not in html
    return root


@pytest.fixture(scope="module")
def hostile() -> symgrad.Kernel:
    """A kernel whose inputs have such names."""
    return symgrad.compile(sp.Add(*(sp.log(sp.Symbol(name)) for name in HOSTILE)))


def test_trace_as_a_table_with_its_troubles(hostile: symgrad.Kernel) -> None:
    trace = hostile.trace(*[0.0] * (len(HOSTILE) - 1), 1.0)
    root = checked(trace._repr_html_())
    rows = root.findall(".//tbody/tr")
    assert len(rows) == len(trace.gates)
    names = [cells[1].text or "" for cells in rows[: len(HOSTILE)]]
    assert names == [visible(gate.label) for gate in trace.gates[: len(HOSTILE)]]
    marked = [row for row in rows if "background" in row.get("style", "")]
    assert [row[0].text for row in marked] == [str(gate.number) for gate in trace.gates if gate.troubles]
    assert len(marked) == len(HOSTILE) - 1
    assert [note.text for note in root.findall("div/div")] == [visible(f"! {text}") for text in trace.findings]


def test_check_as_a_table(hostile: symgrad.Kernel) -> None:
    found = hostile.check(*[1.5] * len(HOSTILE))
    root = checked(found._repr_html_())
    assert [row[-1].text for row in root.findall(".//tbody/tr")] == ["ok"] * len(HOSTILE)
    assert all(COLOURS["green"] in row[-1].get("style", "") for row in root.findall(".//tbody/tr"))
    assert root.findall("div/div")[-1].text == "the gradient agrees"


def test_formula_of_a_kernel_instead_of_a_table(hostile: symgrad.Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    text = hostile._repr_latex_()
    assert text is not None
    assert text == rf"$\displaystyle {latex(hostile._compiled.definition)}$"
    assert hostile._repr_html_() is None
    monkeypatch.setattr("symgrad.explore.latex.MAX_LENGTH", 20)
    assert hostile._repr_latex_() is None
    html = hostile._repr_html_()
    assert html is not None
    root = checked(html)
    facts = {row[0].text: row[1].text for row in root.findall(".//tbody/tr")}
    assert (
        facts["operations"] == f"{hostile.stats['operations_value']}; {hostile.stats['operations']} with the gradient"
    )
    assert "</td><script>" in (facts["arguments"] or "")
    assert root.findtext("details/pre") == hostile.source


def test_formula_after_a_pickle(hostile: symgrad.Kernel) -> None:
    assert pickle.loads(pickle.dumps(hostile))._repr_latex_() == hostile._repr_latex_()


def test_picture_on_a_dark_page(hostile: symgrad.Kernel) -> None:
    pytest.importorskip("pygraphviz")
    drawing = hostile.draw(*[1.5] * len(HOSTILE))
    shown = drawing._repr_svg_()
    assert shown is not None
    root = ElementTree.fromstring(shown)
    assert root.get("style") == "background: white"
    assert not [element for element in root.iter() if element.tag.endswith("script")]


def test_plain_text_in_a_terminal(hostile: symgrad.Kernel) -> None:
    pretty = pytest.importorskip("IPython.lib.pretty")
    found = hostile.check(*[1.5] * len(HOSTILE))
    trace = hostile.trace(*[1.5] * len(HOSTILE))
    assert pretty.pretty(found) == str(found)
    assert pretty.pretty(trace) == str(trace)


def test_as_ipython_asks(hostile: symgrad.Kernel) -> None:
    formatters = pytest.importorskip("IPython.core.formatters")
    formatter = formatters.DisplayFormatter()
    kinds = ["text/html", "text/latex", "image/svg+xml"]
    point = [1.5] * len(HOSTILE)
    shown = [formatter.format(one, include=kinds)[0] for one in (hostile, hostile.trace(*point), hostile.check(*point))]
    assert [list(one) for one in shown] == [["text/latex"], ["text/html"], ["text/html"]]


def test_long_table_shows_its_head_and_what_is_marked() -> None:
    rows = [("row", Cell(str(number), "bold red" if number == 900 else "green")) for number in range(1000)]
    root = checked(Table(("a", "b"), rows, "title", ("note",)).html())
    assert [row[1].text for row in root.findall(".//tbody/tr")] == [*map(str, range(300)), "900"]
    assert [note.text for note in root.findall("div/div")] == ["and 699 more rows, which print shows", "note"]


def test_dollars_in_a_table_are_no_formulas() -> None:
    root = checked(Table(("$a$",), [("$b$",)]).html())
    assert {"tex2jax_ignore", "mathjax_ignore"} <= set(root[0].get("class", "").split())
    assert root.findtext(".//td") == "$b$"


@pytest.mark.parametrize("colour", COLOURS.values())
@pytest.mark.parametrize("page", ["#ffffff", "#f7f7f7", "#111111", "#1e1e1e"])
def test_colours_read_on_light_and_dark_pages(colour: str, page: str) -> None:
    """The ratio of contrast, as the Web Content Accessibility Guidelines define it."""

    def light(code: str) -> float:
        parts = [int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, bright = sorted((light(colour), light(page)))
    assert (bright + 0.05) / (dark + 0.05) > 3.5
