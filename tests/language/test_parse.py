"""The language of expr.txt: what is read, what is refused and how, and that nothing hangs or is evaluated."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symgrad
from symgrad.errors import ParseError
from symgrad.language.parse import parse
from symgrad.language.vocabulary import ALIASES, FUNCTIONS
from symgrad.reductions import Family

x, y, z = sp.symbols("x y z")
settings.register_profile("parse", max_examples=200, deadline=None)
relaxed = settings.get_profile("parse")


def refusal(text: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse(text)
    return caught.value


# What str prints ------------------------------------------------------------------------------------------------------

ROUND_TRIPS = [
    x,
    -x,
    sp.Rational(-3, 7) * x,
    (x + y) * z / 3,
    -(x + y) * z / 2,
    x ** (-y),
    (x**y) ** z,
    x**y**z,
    -(x**2),
    (-x) ** sp.Rational(1, 3),
    1 / (x * y**2),
    sp.sqrt(2) * sp.pi * sp.E**x / sp.EulerGamma + sp.GoldenRatio * sp.Catalan + sp.TribonacciConstant,
    sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi),
    2 ** (x + 1) * 3**x,
    sp.oo,
    sp.nan,
    sp.log(x, 2),
    sp.Mod(x, 3) * 2 + sp.floor(x / y) - sp.ceiling(x) + sp.frac(y),
    sp.Max(0, x, y) + sp.Min(x, -y),
    sp.Abs(x) * sp.sign(y) * sp.Heaviside(x) + sp.Heaviside(y, 0),
    sp.atan2(y, x) + sp.sinc(x) + sp.erf(x) + sp.erfc(x) + sp.gamma(x) + sp.loggamma(x),
    sp.re(x) + sp.im(x) + sp.conjugate(x),
    sp.Derivative(sp.sin(x * y), x, (y, 2)),
    sp.Piecewise((x, x > 0), (y, (x < y) & (y <= 2)), (0, True)),
    sp.Piecewise((x, sp.Or(x >= 0, sp.Eq(x, y))), (1, sp.Ne(x, z))),
    sp.Piecewise((x, sp.Not(sp.And(x > 0, y > 0))), (z, True)),
    sp.Symbol("gamma") * sp.gamma(x) + sp.Symbol("I") + sp.Symbol("lambda") + sp.Symbol("S") * sp.Symbol("N"),
    sp.sin(sp.cos(sp.tan(sp.asinh(sp.atanh(x) + 1)))) ** 2,
]


@pytest.mark.parametrize("expr", ROUND_TRIPS, ids=str)
def test_reads_what_str_prints(expr: sp.Expr) -> None:
    assert parse(str(expr)).expression == expr


UNARY = [name for name, f in FUNCTIONS.items() if f.least == f.most == 1 and hasattr(sp, name) and name != "Not"]


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_argument_are_those_of_sympy(name: str) -> None:
    expr = getattr(sp, name)(x * y)
    assert parse(f"{name}(x*y)").expression == expr
    assert parse(str(expr)).expression == expr


@pytest.mark.parametrize(("alias", "name"), ALIASES.items(), ids=lambda n: str(n))
def test_aliases_mean_the_same(alias: str, name: str) -> None:
    arguments = "(x, y)" if FUNCTIONS[name].least == 2 else "(x)"
    assert parse(alias + arguments).expression == parse(name + arguments).expression


leaves = st.sampled_from([x, y, z, sp.pi, sp.E]) | st.fractions(-9, 9, max_denominator=9).map(
    lambda q: sp.Rational(q.numerator, q.denominator)
)


def grow(parts: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    unary = st.sampled_from([sp.sin, sp.cos, sp.exp, sp.tanh, sp.atan, sp.Abs, sp.sign, sp.floor, sp.erf])
    return st.one_of(
        st.tuples(parts, parts).map(lambda p: p[0] + p[1]),
        st.tuples(parts, parts).map(lambda p: p[0] * p[1]),
        st.tuples(parts, parts).map(lambda p: p[0] - p[1]),
        st.tuples(parts, parts).map(lambda p: sp.Max(p[0], p[1])),
        st.tuples(parts, st.integers(1, 3)).map(lambda p: p[0] ** p[1]),
        st.tuples(st.sampled_from([x, y, z]), parts).map(lambda p: 1 / (p[0] ** 2 + 1) ** p[1]),
        st.tuples(parts, leaves, leaves, parts).map(lambda p: sp.Piecewise((p[0], p[1] > p[2]), (p[3], True))),
        st.tuples(unary, parts).map(lambda p: p[0](p[1])),
    )


@relaxed
@given(st.recursive(leaves, grow, max_leaves=8))
def test_round_trip_of_random_expressions(expr: sp.Expr) -> None:
    if expr.has(sp.I, sp.zoo):
        return
    # What str prints may be simplified when it is read (by SymPy too): so the text is compared after one reading.
    once = parse(str(expr)).expression
    assert parse(str(once)).expression == once
    # No rationals: SymPy would compute an exact power of one, of a power of a power, for ever.
    point = {x: sp.Float("1.4", 40), y: sp.Float("-0.43", 40), z: sp.Float("0.33", 40)}
    expected = expr.subs(point).evalf(30)
    if expected.is_Float:
        assert abs(once.subs(point).evalf(30) - expected) <= abs(expected) * 1e-12 + 1e-12


# Grammar --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "-a**2", "2**-a", "a**b**2", "-a**-b", "(-a)**2", "a - b - c", "a - (b - c)", "a/b/c", "a/b*c", "a/(b*c)",
        "a*b % c", "a // b * c", "-a // b", "-a % b", "a % -b", "a + b // c", "- - a", "+a - +b", "a * -b", "a - -b",
        "a if a < b else c", "a if a > b else b if b > c else c", "1 if a < b < c else 0", "1 if a < b > c else 0",
        "1 if not a < b and b < c or c < a else 0", "1 if a < b or b < c and c < a else 0",
        "1 if (a < b) | (b < c) & (c < a) else 0", "1 if ~(a < b) & (b < c) else 0", "1 if a != b else 0",
        "a + (b if a > b else c) * 2", "2*a if a >= 1 else -a", "1 if a == a else 0", "max(a, b) - min(b, c)*abs(b)",
        "1 if not not a < b else 0", "1 if True and not False else a",
    ],
)  # fmt: skip
@pytest.mark.parametrize("point", [(5, 2, 3), (1, 2, 7), (3, 3, 2)], ids=str)
def test_precedence_is_that_of_python(text: str, point: tuple[int, int, int]) -> None:
    fractions = [sp.Rational(n) for n in point]
    # ~ of a Python bool is a number: there `not` stands in, with brackets to keep its place.
    python = text.replace("~(a < b)", "(not (a < b))")
    functions = {"__builtins__": {"max": max, "min": min, "abs": abs}}
    expected = eval(python, functions, dict(zip("abc", fractions, strict=True)))
    expression = parse(text).expression
    assert sp.simplify(expression.subs(dict(zip(sp.symbols("a b c"), fractions, strict=True))) - expected) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1", sp.Rational(1, 10)),
        ("1e-3", sp.Rational(1, 1000)),
        ("1.5E+10", sp.Integer(15) * 10**9),
        (".5 + 2.", sp.Rational(5, 2)),
        ("1_000.000_1", sp.Rational(10000001, 10000)),
        ("0.30000000000000000000000001", sp.Rational(30000000000000000000000001, 10**26)),
        ("E**2", sp.exp(2)),
        ("E: real\nE**2", sp.Symbol("E") ** 2),
        ("pi = 3\npi + 1", sp.Integer(4)),
        ("x: real  # given\n\nx + 1", x + 1),
        ("# a neuron\n\n s = x + y\n 1/(1 + exp(s)) # out\n\n", 1 / (1 + sp.exp(x + y))),
        ("f = x + 1", x + 1),
        ("(x +\n  # within\n\n y)", x + y),
        ("\ufeffs = x\r\ns + y\r\n", x + y),
        ("x\t+\fy", x + y),
        ("sigmoid(x)", 1 / (1 + sp.exp(-x))),
        ("softplus(x)", sp.log(1 + sp.exp(x))),
        ("relu(x)", sp.Max(0, x)),
        ("hypot(x, y)", sp.sqrt(x**2 + y**2)),
        ("log1p(x) + expm1(y)", sp.log(1 + x) + sp.exp(y) - 1),
        ("log2(x) + log10(y)", sp.log(x, 2) + sp.log(y, 10)),
        ("root(x, 3) + cbrt(y)", sp.root(x, 3) + sp.cbrt(y)),
        ("x if x > 0 else y", sp.Piecewise((x, x > 0), (y, True))),
        ("1 if Xor(x > 0, y > 0) else 0", sp.Piecewise((1, sp.Xor(x > 0, y > 0)), (0, True))),
        ("c = x > 0\ny if c else z", sp.Piecewise((y, x > 0), (z, True))),
        ("Max(x, 2, Max(3, y),)", sp.Max(x, y, 3)),
        ("class + _ + __x__ + β", sum(sp.symbols("class _ __x__ β"))),
        ("ﬁ + x̄", sp.Symbol("fi") + sp.Symbol("x̄")),
    ],
    ids=repr,
)
def test_reads(text: str, expected: sp.Expr) -> None:
    assert parse(text).expression == expected


def test_names_hold_the_intermediate_results_in_order() -> None:
    problem = parse("s = x*y\nt = exp(s)\nt + s")
    assert list(problem.names.items()) == [("s", x * y), ("t", sp.exp(x * y))]
    assert problem.source == "s = x*y\nt = exp(s)\nt + s"


@pytest.mark.parametrize(
    "text",
    [
        "s = x*y\nexp(-s)",
        "s = x + y\n2*s",
        "s = x*y\ns + s**2",
        "s = x + y\ns + z",
        "s = x/y\nz/s",
        "s = x**2\nsqrt(2)*s**2",
        "s = x*y\nlog(z/s) + 1",
    ],
)
def test_a_named_result_stays_whole(text: str) -> None:
    problem = parse(text)
    assert problem.names["s"] in list(sp.preorder_traversal(problem.expression))
    assert sp.simplify(problem.expression - parse(text.split("\n")[1]).expression.subs("s", problem.names["s"])) == 0


def test_symbols_carry_no_assumptions() -> None:
    assert parse("x: real\nx").expression == sp.Symbol("x")


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "no expression"),
        ("# nothing\n\n", 1, 1, "no expression"),
        ("x +", 1, 4, "breaks off"),
        ("x + \ny", 1, 5, "the end of the line where a number"),
        ("a = x\n((a + 1)", 2, 1, "'(' is never closed"),
        ("(x]", 1, 3, "']' where ')' should close"),
        ("x)", 1, 2, "closes nothing"),
        ("2x", 1, 2, "an operator is missing before 'x'; write *"),
        ("x y", 1, 3, "an operator is missing"),
        ("2j", 1, 2, "complex numbers"),
        ("x^2", 1, 2, "write **"),
        ("x²", 1, 2, "write **2"),
        ("x\u00a0+ y", 1, 2, "U+00A0"),
        ("x + \0", 1, 5, "U+0000"),
        ("x\ud800", 1, 2, "U+D800"),
        ("a = 1\nsinn(x)", 2, 1, "did you mean 'sin'"),
        ("qwertyuiop(x)", 1, 1, "unknown function 'qwertyuiop'"),
        ("1 + sin(x, y)", 1, 5, "sin takes 1 argument, not 2"),
        ("log()", 1, 1, "log takes 1 or 2 arguments, not 0"),
        ("max()", 1, 1, "max takes at least 1 argument, not 0"),
        ("s = x\ns(2)", 2, 1, "'s' is a variable (line 1), not a function"),
        ("a = 1\na = 2\na", 2, 1, "already has a meaning from line 1"),
        ("b = a\na = 2\nb", 2, 1, "used on line 1, before"),
        ("x = x + 1", 1, 1, "used on line 1, before"),
        ("x\ny", 1, 1, "only the last line"),
        ("f = x\noutput f, g", 2, 11, "'g' is no result of a line before; write g = ..."),
        ("f = x\noutput f, f", 2, 11, "'f' is an output twice"),
        ("f = x > 0\ng = y", 1, 1, "the output is a condition, not a number"),
        ("w: vector(n)\nf = w > 0\noutput f", 3, 8, "an array of conditions, not a number"),
        ("output f", 1, 8, "'f' is no result of a line before"),
        ("x: real", 1, 1, "the last line is a declaration"),
        ("x: complex\nx", 1, 4, "'complex' is no type"),
        ("Integral(x, x)", 1, 1, "Integral(...) is not supported yet"),
        ("x > 0", 1, 1, "the output is a condition"),
        ("x & (y > 0)", 1, 3, "'&' takes a condition here, not a number"),
        ("1 if x > 0 & y > 0 else 2", 1, 12, "put brackets around each comparison"),
        ("(x > 0) + 1", 1, 9, "'+' takes a number here, not a condition"),
        ("1 if x else 2", 1, 3, "takes a condition"),
        ("not x", 1, 1, "takes a condition"),
        ("abs(x > 0)", 1, 1, "takes a number"),
        ("(x, y)", 1, 1, "a list in brackets"),
        ("Piecewise(x, y)", 1, 11, "pairs (value, condition)"),
        ("x/0", 1, 2, "division by zero"),
        ("0**-1", 1, 2, "division by zero"),
        ("0**(-x)", 1, 2, "infinite"),
        ("x // (1 - 1)", 1, 3, "division by zero"),
        ("log(0)", 1, 1, "infinite"),
        ("zoo", 1, 1, "not a real number"),
        ("sqrt(-2)", 1, 1, "not real"),
        ("(-8)**(1/3)", 1, 5, "not real"),
        ("(-pi)**(1/3)", 1, 6, "not real"),
        ("log(-2)", 1, 1, "not real"),
        ("1 if nan > x else 0", 1, 10, "SymPy refuses"),
        ("Derivative(x, 2)", 1, 15, "takes variables"),
        ("x = (1, 2)\nx", 1, 1, "a list in brackets"),
    ],
)
def test_refusals_name_the_place_and_the_reason(text: str, line: int, column: int, words: str) -> None:
    error = refusal(text)
    assert (error.line, error.column) == (line, column)
    assert words in error.reason
    if error.source_line.strip():
        shown = text.replace("\0", " ").replace("\ud800", " ").replace("\u00a0", " ").split("\n")[line - 1]
        assert error.source_line == shown
        assert error.caret == " " * (column - 1) + "^"


def test_text_is_required() -> None:
    for thing in (None, 3, b"x", x):
        with pytest.raises(TypeError, match="parse takes text"):
            parse(thing)  # type: ignore[arg-type]


# Each operator of each two kinds of values ----------------------------------------------------------------------------

DECLARED = "v: vector(n)\nu: vector(m)\nA: matrix(n, n)\nk: integers(n)\n"
VALUES = {
    "a number": "x", "a constant": "2", "zero": "0", "infinity": "oo", "a condition": "x > 0", "a truth": "True",
    "a pair": "1, 2", "a pair of arrays": "v, A", "a function": "sin", "a range": "range(n)", "a vector": "v",
    "another vector": "u", "a matrix": "A", "conditions": "v > 0", "indices": "k", "an array of no shape": "q",
    "an element": "q[0]",
}  # fmt: skip
UNARY_FORMS = ["-({0})", "+({0})", "not ({0})", "~({0})", "({0}).T", "({0})[0]", "({0})[0, 0]", "sin({0})", "sum({0})"]
BINARY_FORMS = [
    *(f"({{0}}) {op} ({{1}})" for op in "+ - * / // % ** @ < <= > >= == != & | and or".split()),
    "({0}) if ({1}) else 1", "1 if x > 0 else ({0}) + ({1})", "v[{0}] + A[{0}, {1}]",
    "hypot({0}, {1})", "Max({0}, {1})",
    "sum({0} for i in range({1}))",
    "sum(x for i in range(3) if ({0}) < ({1}))", "Sum({0}, (i, 0, {1}))",
    "Piecewise(({0}, {1}), (1, True))", "Derivative({0}, {1})", "log({0}, {1})",
]  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("form", [*UNARY_FORMS, *BINARY_FORMS])
def test_an_operator_takes_values_or_refuses_them(form: str, kind: str) -> None:
    """Whatever the kinds of values: a number, or a ParseError that points at a place within the text."""
    for other in VALUES.values() if "{1}" in form else [""]:
        survives(DECLARED + form.format(VALUES[kind], other))


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("(1, 2)/(1, 2)", 7, "'/' takes a number here, not a list in brackets"),
        ("2/(x, y)", 2, "'/' takes a number here, not a list in brackets"),
        ("2/(x > 0)", 2, "'/' takes a number here, not a condition"),
        ("root(x, (1, 2))", 1, "'root' takes a number here, not a list in brackets"),
    ],
)
def test_a_divisor_is_a_number(text: str, column: int, words: str) -> None:
    error = refusal(text)
    assert (error.column, error.reason) == (column, words)


# Attacks and limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')", "__import__(os)", "x.__class__", "().__class__", "lambda: 0", "lambda x: 0",
        'exec("1")', "exec(x)", "eval(x)", "open('f')", "f'{x}'", "b'x'", "x; import os", "import os", "x := 3",
        "globals()", "getattr(x, y)", "__builtins__(x)", "compile(x)", "print(x)", "sympify(x)", "Symbol(x)",
        "[x for x in y]", "{x: y}", "x if", "*x", "sin(**x)", "f(x=1)", "@x", "...", "x[1:2]", "\\", "`x`", "$x", "x?",
        "del x", "x\nimport os", "N(x)", "S(x)", "Integer(1)", "solve(x)", "Function(x)",
    ],
)  # fmt: skip
def test_attacks_are_refused(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    "name", ["__class__", "__import__", "eval", "os", "I", "S", "N", "Q", "lambda", "None", "self"]
)
def test_suspicious_names_are_only_names(name: str) -> None:
    assert parse(name).expression == sp.Symbol(name)


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9", "2**10**9", "2**(10**9/7)", "(1/3)**1000000", "0.1**99999999", "1e10001", "1e" + "9" * 5000,
        "1e9999*1e9999", "1" * 4301, "x" * 1001, "x" * 1_000_001, "1e9999/7 + 1e-9999",
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_limits(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "gamma(10**8)", "loggamma(10**9)", "floor(exp(10**10))", "Max(exp(exp(100)), 1)", "exp(exp(exp(10**10)))",
        "1 if exp(exp(exp(x**2 + 10**9))) > 2 else 0", "1 if exp(exp(exp(99**9))) > exp(exp(exp(99**8))) else 0",
        "exp(exp(100)) % 3", "(2*x)**(10**8)", "x*(2*x)**(10**8)", "exp(10**12*log(2))", "y*exp(x + 10**12*log(2))",
        "3**(10**12*log(2)/log(3))", "y*sqrt(10**4000 + 1)", "(1 + sqrt(2))**(10**9)", "sqrt(2)**(10**9)",
        "Mod((x + y + z)**100, (x + z)**50)", "frac(exp(10**9))", "sin(10**1000)", "floor(1/exp(-10**8))",
        "e0 = sqrt(2)\n" + "\n".join(f"e{i + 1} = e{i}*e{i} + sin(e{i})" for i in range(100)),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_could_run_for_ever_is_left_as_it_stands(text: str) -> None:
    assert parse(text).expression.is_Atom is False


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("gamma(10**8)*x", math.inf), ("gamma(10**8 + 1/2)*x", math.inf), ("x/gamma(10**8)", 0.0),
        ("exp(10**12)*x", math.inf), ("exp(-10**12)*x", 0.0), ("floor(exp(10**9))*x", math.inf),
        ("x*(1 + sqrt(2))**(10**9)", math.inf), ("x*(sqrt(2) - 1)**(10**9)", 0.0), ("-cosh(10**11)*x", -math.inf),
        ("c0 = sqrt(2)\n" + "\n".join(f"c{i + 1} = (c{i} + 1)**2" for i in range(39)) + "\nc39*x", math.inf),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_constants_beyond_all_floats_are_rounded_once(text: str, factor: float) -> None:
    """Not by way of a whole number, which could have 10**12 digits."""
    module: dict[str, Any] = {}
    exec(symgrad.emit(text, target="python"), module)
    assert module["kernel"](2.0) == (2 * factor, (factor,))


@pytest.mark.parametrize(
    "text",
    [
        "Derivative(exp(exp(exp(x*y))), (x, 100))",
        "Derivative(x**x**x, (x, 20))",
        "Derivative(sin(x)*cos(x)*exp(x)*log(x)*tanh(x), (x, 30))",
        "Derivative(x*Derivative(x**x**x, (x, 20)), x)",
    ],
)
def test_derivatives_that_grow_without_end_are_refused(text: str) -> None:
    with pytest.raises(symgrad.UnsupportedExpression, match="it grows too long; differentiate the expression before"):
        symgrad.emit(text)


def test_the_result_of_a_hostile_power_stays_unevaluated() -> None:
    assert parse("(2*x)**(10**8)").expression.args == (2 * x, 10**8)


@relaxed
@given(st.text(max_size=60))
def test_garbage_raises_parse_errors_only(text: str) -> None:
    survives(text)


TOKENS = [
    "x",
    "y",
    "s",
    "=",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    ",",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "**",
    "<",
    "<=",
    "==",
    "!=",
    "&",
    "|",
    "~",
    ":",
    "@",
    "^",
    ".",
    "0",
    "1",
    "2",
    "-1",
    "0.5",
    "1e3",
    "9",
    "if",
    "else",
    "and",
    "or",
    "not",
    "for",
    "in",
    "True",
    "False",
    "real",
    "vector",
    "sin(",
    "exp(",
    "log(",
    "sqrt(",
    "Max(",
    "Piecewise(",
    "gamma(",
    "floor(",
    "Mod(",
    "pi",
    "E",
    "oo",
    "nan",
    "#",
    "é",
]


@relaxed
@given(st.lists(st.sampled_from([*TOKENS, "\n"]), max_size=14).map(" ".join))
def test_shuffled_tokens_raise_parse_errors_only(text: str) -> None:
    survives(text)


def survives(text: str) -> None:
    try:
        problem = parse(text)
    except ParseError as error:
        place = error.line, error.column
    else:
        place = 1, 1
        assert isinstance(problem.expression, (sp.Expr, Family))
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert 1 <= place[0] <= len(lines)
    assert 1 <= place[1] <= len(lines[place[0] - 1]) + 1


# Size -----------------------------------------------------------------------------------------------------------------


def chain(line: str, length: int) -> str:
    """e0 = x, and then lines in which i is the number of the last and j that of the next."""
    return "e0 = x\n" + "\n".join(line.replace("{i}", str(i)).replace("{j}", str(i + 1)) for i in range(length))


def test_nested_parentheses() -> None:
    assert parse("(" * 100_000 + "x" + ")" * 100_000).expression == x


def test_long_sums() -> None:
    assert len(parse(" + ".join(f"a*x{i}" for i in range(20_000))).expression.args) == 20_000


@pytest.mark.parametrize(
    "line",
    [
        "e{j} = e{i}*x + 1",
        "e{j} = e{i} + x{i}",
        "e{j} = 2*e{i} + x{i}",
        "e{j} = e{i}*e{i} + e{i}",
        "e{j} = sin(e{i}*x) + cos(e{i})",
        "e{j} = relu(w*e{i} + b)",
        "e{j} = 2*e{i} if e{i} > 0 and x < 3 else e{i}/3",
        "e{j} = sqrt(e{i}**2 + 1) % 3",
        "e{j} = tanh(e{i}*x + y)*exp(-e{i}**2) + z*e{i}",
        "e{j} = sqrt(sinh(e{i}) + 1)/cosh(e{i}*y)",
        "e{j} = sech(e{i}*x)**2 - csch(e{i})/coth(e{i} + y)",
        "e{j} = re(e{i}**2) + im(e{i}*y) + conjugate(e{i})",
        "e{j} = 1 if (e{i} if x > 0 else y) > tanh(e{i}) else e{i}",
    ],
)
def test_long_chains(line: str) -> None:
    problem = parse(chain(line, 2_000))
    assert problem.names["e2000"] is problem.expression


def test_a_long_chain_has_the_value_and_gradient_that_its_lines_say() -> None:
    """Every name is used three times: written out, it would be longer than the universe is wide."""
    lines = [f"a{k} = tanh(a{k - 1}*x + {k}*y)*exp(-a{k - 1}**2) + z*a{k - 1}" for k in range(1, 100)]
    module: dict[str, Any] = {}
    exec(symgrad.emit("\n".join(["a0 = sin(x)*y", *lines, "a99"]), target="python"), module)

    def by_hand(x: Any, y: Any, z: Any) -> Any:
        a = mpmath.sin(x) * y
        for k in range(1, 100):
            a = mpmath.tanh(a * x + k * y) * mpmath.exp(-(a**2)) + z * a
        return a

    point = 0.5, 0.25, -0.75
    value, gradient = module["kernel"](*point)
    with mpmath.workdps(60):
        assert value == pytest.approx(float(by_hand(*map(mpmath.mpf, point))), rel=1e-12)
        for at, derivative in enumerate(gradient):
            shifted = [mpmath.mpf(number) for number in point]
            ends = []
            for step in ("1e-20", "-1e-20"):
                shifted[at] = mpmath.mpf(point[at]) + mpmath.mpf(step)
                ends.append(by_hand(*shifted))
            assert derivative == pytest.approx(float((ends[0] - ends[1]) / mpmath.mpf("2e-20")), rel=1e-11)


@pytest.mark.parametrize(
    "text",
    [
        "-" * 10_000 + "x",
        "sin(" * 2_000 + "x" + ")" * 2_000,
        "x**" * 2_000 + "x",
        "".join(f"x{i} if x > {i} else " for i in range(2_000)) + "1",
        "1 if " + " and ".join(f"x > {i}" for i in range(2_000)) + " else 0",
        "max(" + ", ".join(f"x{i}" for i in range(2_000)) + ")",
        " + ".join(f"1/{i}" for i in range(1, 5_000)),
        "*".join(f"(a + x{i})" for i in range(5_000)),
    ],
    ids=lambda text: text[:20],
)
def test_long_texts(text: str) -> None:
    assert isinstance(parse(text).expression, sp.Expr)


# Around it ------------------------------------------------------------------------------------------------------------


def test_lark_is_imported_at_the_first_text_only() -> None:
    program = "import sys, symgrad.language.parse; assert 'lark' not in sys.modules"
    paths = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": paths})


def test_threads_do_not_mix_their_texts() -> None:
    texts = [f"s{i} = x*{i}\ns{i} + s{i}**2" for i in range(50)]
    with ThreadPoolExecutor(8) as pool:
        problems = list(pool.map(parse, texts))
    assert [p.names for p in problems] == [{f"s{i}": i * x} for i in range(50)]


OUTPUTS: dict[str, dict[str, str] | str] = {
    "q = x*y\nf = sin(q)\ng = q + 1": {"f": "sin(x*y)", "g": "x*y + 1"},
    "q = x*y\nf = sin(q)\noutput q, f": {"q": "x*y", "f": "sin(x*y)"},
    "f = x\ng = y\noutput g": {"g": "y"},
    "unread = x**2\nx + y": "x + y",
    "q = x*y\nf = q**2": "(x*y)**2",
    "output = x*y\noutput": "x*y",
    "output = x\noutput if y > 0 else 1": "Piecewise((x, y > 0), (1, True))",
    "output": "output",
    "outputs = x\nf = y\noutput outputs, f": {"outputs": "x", "f": "y"},
}


@pytest.mark.parametrize("text", OUTPUTS)
def test_outputs(text: str) -> None:
    found, wanted = parse(text).expression, OUTPUTS[text]
    if isinstance(wanted, str):
        assert str(found) == wanted
    else:
        assert {name: str(part) for name, part in found.items()} == wanted
        assert list(found) == list(wanted)
