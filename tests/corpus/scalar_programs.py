"""Random scalar programs: expressions with kinks, branches, powers and extremes, at points where these matter.

    program(seed, number)          the same expression, symbols and points for ever, with its gradient
    program(seed, number, "jacobian")    several outputs that share parts, and their Jacobian
    program(seed, number, "hessian")     an expression with its gradient and Hessian
    differences(programs, engine)  what an engine computes that the oracle does not allow
    shrunk(failure)                a smaller expression and a simpler point that fail in the same way

As a script it runs campaigns, and prints figures and minimal reproductions:

    python tests/corpus/scalar_programs.py --number 100000 --seed 1 --engines evaluator,exact,python --jobs 1
    python tests/corpus/scalar_programs.py --number 1000 --derivative hessian
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    root = here.parents[1]
    sys.path[:0] = [str(here), str(root), str(root / "codegen")]

import numpy as np
import sympy as sp
from limits import TooLongError, limited
from mpmath import mp
from scalar_oracle import DIGITS, FORMATS, Answer, Bounded, agrees, oracle
from symgrad_codegen.targets import TARGETS
from together import Batch, bits

from symgrad.compiler import Stages
from symgrad.emission import program_of
from symgrad.evaluate.evaluation import evaluate, evaluate_exactly
from symgrad.options import Options

Point = tuple[float, ...]
Boolean = sp.logic.boolalg.Boolean

# --- generating -------------------------------------------------------------------------------------------------------

NAMES = "x y z"
SYMBOLS = [sp.symbols(NAMES), sp.symbols(NAMES), sp.symbols(NAMES, real=True)]
POINTS = 3  # of each program
LARGEST = 90  # nodes of an expression's tree

NUMBERS = [sp.Integer(n) for n in (0, 1, 1, 2, 3, -1, -2, 10)]
NUMBERS += [sp.Rational(*n) for n in ((1, 2), (-1, 2), (1, 3), (2, 3), (3, 2))]
NUMBERS += [sp.Float(n) for n in ("0.1", "0.37", "2.5", "-1.5", "0.5")] + [sp.pi, sp.E, sp.sqrt(2)]
EXTREMES = [sp.Float("1e300"), sp.Float("1e-300"), sp.Integer(2) ** 60, sp.Float("1e16"), sp.Integer(700)]
EXTREMES += [sp.Rational(1, 10**20), sp.Float("-1e155"), sp.Integer(10) ** 9]

INTEGERS = [-5, -3, -2, -1, 2, 2, 3, 4, 5, 7]
FRACTIONS = [
    sp.Rational(*n) for n in ((1, 2), (3, 2), (5, 2), (-1, 2), (-3, 2), (1, 3), (2, 3), (4, 3), (-1, 3), (1, 4))
]
FRACTIONS += [
    sp.Rational(7, 3),
    sp.Rational(7, 10),
    *(sp.Float(n) for n in ("1.5", "2.0", "0.5", "-1.5", "0.7", "3.1")),
]

COMMON = [sp.sin, sp.cos, sp.exp, sp.log, sp.tanh, sp.atan, sp.sqrt, sp.asinh, sp.erf]
RARE = [sp.tan, sp.sec, sp.csc, sp.cot, sp.sinh, sp.cosh, sp.sech, sp.csch, sp.coth, sp.asin, sp.acos, sp.asec, sp.acsc]
RARE += [sp.acot, sp.acosh, sp.atanh, sp.asech, sp.acsch, sp.acoth, sp.erfc, sp.gamma, sp.loggamma, sp.sinc]
STEPS = [
    sp.sign,
    sp.floor,
    sp.ceiling,
    sp.frac,
    sp.Heaviside,
    lambda e: sp.Heaviside(e, 1),
    lambda e: sp.Heaviside(e, 0),
]

# What people write, and what symgrad recognises or might.
IDIOMS: list[Callable[..., sp.Expr]] = [
    lambda e, f, g: 1 / (1 + sp.exp(-e)),
    lambda e, f, g: sp.exp(e) / (1 + sp.exp(e)),
    lambda e, f, g: sp.log(1 + sp.exp(e)),
    lambda e, f, g: sp.log(sp.exp(e) + sp.exp(f)),
    lambda e, f, g: sp.log(sp.exp(e) + sp.exp(f) + sp.exp(g)),
    lambda e, f, g: sp.exp(e) / (sp.exp(e) + sp.exp(f)),
    lambda e, f, g: (sp.exp(e) - sp.exp(-e)) / (sp.exp(e) + sp.exp(-e)),
    lambda e, f, g: sp.sqrt(e**2 + f**2),
    lambda e, f, g: sp.sqrt(e**2 + f**2 + g**2),
    lambda e, f, g: sp.sqrt(e**2 / 4 + 3 * f**2),
    lambda e, f, g: sp.sqrt(e**2),
    lambda e, f, g: sp.sqrt((e - f) ** 2 + g**2),
    lambda e, f, g: sp.sqrt(e**4),
    lambda e, f, g: sp.exp(-sp.sqrt(e**2 + f**2)),
    lambda e, f, g: e / sp.sqrt(1 + e**2),
    lambda e, f, g: e / (1 + sp.Abs(e)),
    lambda e, f, g: sp.exp(-(e**2)),
    lambda e, f, g: 1 - sp.cos(e),
    lambda e, f, g: sp.exp(e) - 1,
    lambda e, f, g: e / (sp.exp(e) - 1),
    lambda e, f, g: sp.log(1 + e),
    lambda e, f, g: sp.log(1 - sp.tanh(e)),
    lambda e, f, g: 1 - sp.tanh(e) ** 2,
    lambda e, f, g: 1 + sp.erf(e),
    lambda e, f, g: sp.sin(e) / e,
    lambda e, f, g: sp.log(sp.cosh(e)),
    lambda e, f, g: sp.sinh(e) / sp.cosh(e),
    lambda e, f, g: e * sp.log(e),
    lambda e, f, g: sp.log(e / f),
    lambda e, f, g: sp.sqrt(e / f - 1),
    lambda e, f, g: sp.acos(e / f),
    lambda e, f, g: e / f + g / f,
    lambda e, f, g: (e - f) / (e + f),
    lambda e, f, g: e / (f * g),
    lambda e, f, g: e**2 / (e**2 + f**2),
    lambda e, f, g: sp.sin(e) ** 2 + sp.cos(e) ** 2,
    lambda e, f, g: sp.Max(0, e) ** sp.Rational(3, 2),
    lambda e, f, g: sp.Max(0, 1 - e * f) ** 2,
    lambda e, f, g: sp.sqrt(sp.Max(e, 0)),
    lambda e, f, g: sp.log(sp.Max(e, sp.Float("1e-10"))),
    lambda e, f, g: sp.Min(sp.exp(e), 1),
    lambda e, f, g: sp.Max(sp.log(e), -10),
    lambda e, f, g: sp.Min(1 / e**2, 5),
    lambda e, f, g: sp.sign(e) * sp.sqrt(sp.Abs(e)),
    lambda e, f, g: sp.Piecewise((sp.sin(e) / e, sp.Ne(e, 0)), (1, True)),
    lambda e, f, g: sp.Piecewise((sp.log(e), e > 0), (f, True)),
    lambda e, f, g: sp.Piecewise((sp.sqrt(e), e >= 0), (-sp.sqrt(-e), True)),
    lambda e, f, g: sp.Piecewise((e**f, e > 0), (g, True)),
    lambda e, f, g: sp.Piecewise((1 / e, sp.Abs(e) > sp.Rational(1, 2)), (f, True)),
    lambda e, f, g: sp.Piecewise((e**2 / 2, sp.Abs(e) <= 1), (sp.Abs(e) - sp.Rational(1, 2), True)),
]


DERIVATIVES = ("gradient", "jacobian", "hessian")
Place = tuple[int, tuple[int, ...]]  # which output, and the symbols by which it is differentiated


@dataclass(frozen=True)
class Program:
    expr: sp.Basic  # of several outputs a Tuple
    symbols: tuple[sp.Symbol, ...]
    points: tuple[Point, ...]
    name: str = ""
    derivative: str = "gradient"

    @cached_property
    def stages(self) -> Stages:
        return Stages(self.expr, self.symbols, None, (), None, self.derivative)

    @property
    def expressions(self) -> tuple[sp.Expr, ...]:
        return tuple(self.expr) if isinstance(self.expr, sp.Tuple) else (self.expr,)

    @cached_property
    def places(self) -> list[Place]:
        """Of all numbers that are compared: values first, then first derivatives, then the lower triangle of second."""
        outputs, wrt = range(len(self.expressions)), range(len(self.symbols))
        found: list[Place] = [(of, ()) for of in outputs]
        found += [(of, (i,)) for of in outputs for i in wrt]
        if self.derivative == "hessian":
            found += [(of, (i, j)) for of in outputs for i in wrt for j in range(i + 1)]
        return found

    def word(self, place: Place) -> str:
        """What is at a place, as the emitted source has it."""
        of, by = place
        number = [str(of + 1)] if len(self.expressions) > 1 else []
        return "_".join(["d" if by else "value", *number, *(self.symbols[i].name for i in by)])

    def filled(self, numbers: Sequence[Any]) -> list[Any]:
        """The outputs of the graph at all places: what is structurally 0 is none of them."""
        outputs = enumerate(self.stages.simplified.outputs)
        found = {
            (output.of if output.by else k, output.by): number
            for (k, output), number in zip(outputs, numbers, strict=True)
        }
        assert found.keys() <= set(self.places)
        return [found.get(place, 0.0) for place in self.places]

    def called(self, result: Any) -> list[Any]:
        """What an emitted function returns, at all places."""
        values, derivatives = result
        return self.filled([*(values if len(self.expressions) > 1 else [values]), *derivatives])

    def __str__(self) -> str:
        real = " (real)" if self.symbols[0].is_real else ""
        return f"{self.expr}{real}"


def program(seed: int, number: int, derivative: str = "gradient", kinds: int = POINTS) -> Program:
    """Program `number` of a campaign: the same on every machine."""
    name = f"{seed}/{number}" if derivative == "gradient" else f"{seed}/{number}/{derivative}"
    source = random.Random(name)
    symbols = source.choice(SYMBOLS)[: source.randint(1, 3)]
    while True:
        parts = _parts(source, symbols)
        if parts:
            break
    expr: sp.Basic = parts[-1]
    if derivative == "jacobian":
        # Parts of one another: they share what they are made of.
        expr = sp.Tuple(*source.sample(parts, min(source.randint(1, 4), len(parts))))
    points = tuple(_point(source, expr, symbols) for _ in range(kinds))
    return Program(expr, symbols, points, name, derivative)


def _parts(source: random.Random, symbols: Sequence[sp.Symbol]) -> list[sp.Expr]:
    """Expressions, each made of those before it."""
    parts: list[sp.Expr] = list(symbols)

    def part(numbers: float = 0.15) -> sp.Expr:
        if source.random() < numbers:
            return source.choice(NUMBERS if source.random() < 0.85 else EXTREMES)
        # What was made last is read most, and everything again now and then.
        return parts[-1] if source.random() < 0.4 else source.choice(parts)

    for _ in range(source.choice((1, 2, 3, 4, 5, 6, 7, 8))):
        try:
            made = _operation(source, part)
        except Exception:  # whatever SymPy has against it
            continue
        if isinstance(made, sp.Expr) and _is_fit(made) and made not in parts:
            parts.append(made)
    return parts[len(symbols) :]


def _is_fit(expr: sp.Expr) -> bool:
    for count, node in enumerate(sp.preorder_traversal(expr)):
        if count >= LARGEST or node in (sp.I, sp.nan, sp.zoo, sp.oo, -sp.oo) or isinstance(node, sp.arg):
            return False
        if not node.args and isinstance(node, sp.Float | sp.Rational) and node and not -400 < _magnitude(node) < 400:
            return False
        # Numbers alone are SymPy's to compute, with whatever digits it takes.
        if (
            node.args
            and isinstance(node, sp.Expr)
            and not node.free_symbols
            and node.func not in (sp.Pow, sp.Mul, sp.Add)
        ):
            return False
    return bool(expr.free_symbols)


def _magnitude(number: sp.Expr) -> float:
    with mp.workdps(15):
        size = mp.mpf(number.p) / number.q if isinstance(number, sp.Rational) else mp.make_mpf(number._mpf_)
        return float(mp.log10(abs(size)))


def _operation(source: random.Random, part: Callable[..., sp.Expr]) -> sp.Expr:
    kind = source.random()
    if kind < 0.22:
        two = part(0.0), part()
        return source.choice(
            (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: b / a)
        )(*two)
    if kind < 0.36:
        return source.choice(COMMON)(part(0.0))
    if kind < 0.42:
        return source.choice(RARE)(part(0.0))
    if kind < 0.56:
        return _power(source, part)
    if kind < 0.66:
        several = [part(0.0), *(part(0.3) for _ in range(source.choice((1, 1, 2))))]
        return source.choice((sp.Max, sp.Min))(*several, evaluate=source.random() < 0.3)  # SymPy compares them all
    if kind < 0.70:
        return sp.Abs(part(0.0))
    if kind < 0.75:
        return source.choice(STEPS)(part(0.0))
    if kind < 0.78:
        return sp.Mod(part(0.0), part(0.5))
    if kind < 0.79:
        return sp.atan2(part(0.1), part(0.0))
    if kind < 0.90:
        return source.choice(IDIOMS)(part(0.0), part(), part())
    branches = [(part(0.3), _condition(source, part)) for _ in range(source.choice((1, 1, 2)))]
    last = [(part(0.3), True)] if source.random() < 0.9 else []
    return sp.Piecewise(*branches, *last, evaluate=source.random() < 0.5)


def _power(source: random.Random, part: Callable[..., sp.Expr]) -> sp.Expr:
    kind = source.random()
    if kind < 0.35:
        return part(0.0) ** source.choice(INTEGERS)
    if kind < 0.75:
        return part(0.0) ** source.choice(FRACTIONS)
    if kind < 0.9:
        return part(0.0) ** part(0.0)
    return source.choice((sp.Integer(2), sp.pi, sp.Float("0.5"), sp.Integer(10), sp.Rational(1, 3))) ** part(0.0)


def _condition(source: random.Random, part: Callable[..., sp.Expr], depth: int = 0) -> Boolean:
    kind = source.random()
    if depth < 2 and kind < 0.2:
        two = _condition(source, part, depth + 1), _condition(source, part, depth + 1)
        return source.choice((sp.And, sp.Or, sp.Xor))(*two)
    if depth < 2 and kind < 0.25:
        return sp.Not(_condition(source, part, depth + 1))
    relation = source.choice((sp.Lt, sp.Le, sp.Gt, sp.Ge, sp.Lt, sp.Gt, sp.Eq, sp.Ne))
    sides = part(0.0), part(0.6)
    # Branches in conditions SymPy solves by sets, which takes a second.
    while any(side.has(sp.Piecewise) for side in sides):
        sides = part(0.0), part(0.6)
    return relation(*sides)


SPECIAL = (0.0, 0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 3.0, -2.0, 10.0)
LARGE = (1e10, 1e16, 710.0, -710.0, 40.0, -40.0, 1e155, 1e300, -1e300, 1e200, 1.7e308, 300.0)
SMALL = (1e-10, -1e-10, 1e-16, 1e-160, 1e-300, -1e-300, 5e-324, 1e-310, 2.0**-1022)


def _point(source: random.Random, expr: sp.Basic, symbols: Sequence[sp.Symbol]) -> Point:
    inside = [float(n) for n in expr.atoms(sp.Number) if math.isfinite(float(n))]
    found: list[float] = []
    for _ in symbols:
        kind = source.random()
        if kind < 0.3:
            x = source.choice(SPECIAL)
        elif kind < 0.4 and inside:  # the edges of branches, and where something is 0
            x = source.choice(inside)
            x = source.choice((x, -x, math.nextafter(x, math.inf), math.nextafter(x, -math.inf)))
        elif kind < 0.52 and found:
            x = source.choice(found) * source.choice((1, 1, 1, -1, 2))
        elif kind < 0.59:
            x = source.choice(LARGE)
        elif kind < 0.66:
            x = source.choice(SMALL)
        elif kind < 0.8:
            x = source.randint(-20, 20) / source.choice((1, 2, 4, 10))
        else:
            x = source.uniform(-3, 3)
        found.append(x if math.isfinite(x) else source.choice(SPECIAL))
    return tuple(found)


# --- engines: programs -> values and derivatives at each of their points ----------------------------------------------

Results = list[list[Any]]  # of one program, by points: numbers at its places; empty where nothing came


def by_evaluator(programs: Sequence[Program], dtype: Any = np.float64) -> list[Results]:
    with np.errstate(all="ignore"):
        return [
            [
                p.filled([float(v) for v in evaluate(p.stages.simplified, list(map(dtype, x)), dtype=dtype)])
                for x in p.points
            ]
            for p in programs
        ]


def by_exact_evaluator(programs: Sequence[Program]) -> list[Results]:
    return [[p.filled(evaluate_exactly(p.stages.simplified, x, digits=DIGITS)) for x in p.points] for p in programs]


def by_python(programs: Sequence[Program]) -> list[Results]:
    """As plain Python, which raises at poles, outside of domains, and where numbers overflow: then there is nothing."""
    found: list[Results] = []
    for made in programs:
        names: dict[str, Any] = {}
        exec(compile(source_of(made, "python"), "<python>", "exec"), names)
        found.append([])
        for point in made.points:
            try:
                found[-1].append(made.called(names["kernel"](*point)))
            except (ZeroDivisionError, OverflowError, ValueError):
                found[-1].append([])
    return found


def by_cpu(programs: Sequence[Program], dtype: str = "float64", accuracy: str = "fast") -> list[Results]:
    """Compiled, all of them in one kernel; strict has the same bits for a point alone as in a batch."""
    filled = [made for made in programs if made.points]
    batch = Batch([p.stages.simplified for p in filled], [p.points for p in filled], dtype, accuracy, singly=True)
    found: dict[int, Results] = {}
    for made, together, alone in zip(filled, batch.results, batch.single, strict=True):
        if accuracy == "strict" and bits(together) != bits([one[: len(made.points)] for one in alone]):
            raise AssertionError(f"a point alone is not what it is in a batch: {made}")
        found[id(made)] = [made.filled([float(output[k]) for output in together]) for k in range(len(made.points))]
    return [found.get(id(made), []) for made in programs]


def by_javascript(programs: Sequence[Program]) -> list[Results]:
    from tests.codegen.test_javascript import Job, run

    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(source_of(made, "javascript"), made.points) for made in programs]
        found = zip(programs, run(Path(folder), jobs), strict=True)
        return [[made.called(result) for result in results.points] for made, results in found]


def source_of(made: Program, target: str) -> str:
    options = Options(target, "float64", "fast")
    return TARGETS[target].emit(program_of(made.stages.simplified, made.stages.graph, options))


ENGINES: dict[
    str, tuple[Callable[[Sequence[Program]], list[Results]], str]
] = {  # and the numbers that they compute with
    "evaluator": (by_evaluator, "float64"),
    "evaluator_32": (lambda programs: by_evaluator(programs, np.float32), "float32"),
    "exact": (by_exact_evaluator, "exact"),
    "python": (by_python, "float64"),
    "cpu": (by_cpu, "float64"),
    "cpu_strict": (lambda programs: by_cpu(programs, accuracy="strict"), "float64"),
    "cpu_32": (lambda programs: by_cpu(programs, "float32"), "float32"),
    "javascript": (by_javascript, "float64"),
}
COMPILED = {"cpu", "cpu_strict", "cpu_32", "javascript"}  # together, which takes a second; others one by one
TOGETHER = 16  # programs in one kernel, and in one process of Node
SECONDS = 20  # for making one program, and its answers; for these by one engine


# --- comparing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    program: Program  # of one point
    engine: str
    what: str  # value, d_x, or what was raised
    got: Any = None
    want: Bounded | None = None

    @property
    def kind(self) -> str:
        """In one word, how bad it is."""
        if self.want is None:
            return "raised"
        got, want = mp.mpf(self.got), self.want.value
        if mp.isnan(got):
            return "nan"
        if mp.isnan(want):
            return "finite"  # where there is nothing
        return "infinite" if mp.isinf(got) else "wrong"

    def __str__(self) -> str:
        (point,) = self.program.points
        at = ", ".join(f"{s.name}={x!r}" for s, x in zip(self.program.symbols, point, strict=True))
        line = f"{self.kind}: {self.program} at {at}: {self.what} by {self.engine}"
        if self.want is None:
            return line
        got = self.got if isinstance(self.got, float) else mp.nstr(self.got, 20)
        return f"{line} is {got}, want {mp.nstr(self.want.value, 20)} +- {mp.nstr(self.want.bound, 3)}"


def answers(made: Program, dtype: str = "float64") -> list[list[Bounded]]:
    """What is right at each point, by places."""
    order = 2 if made.derivative == "hessian" else 1
    found = []
    for point in made.points:
        by_output = [oracle(expr, made.symbols, point, dtype, order) for expr in made.expressions]
        found.append([_at(by_output[of], by) for of, by in made.places])
    return found


def _at(answer: Answer, by: tuple[int, ...]) -> Bounded:
    match by:
        case ():
            return answer.value
        case (i,):
            return answer.gradient[i]
        case (i, j):
            return answer.hessian[i, j]
    raise AssertionError(f"no derivatives of order {len(by)}")


def rounded(made: Program, dtype: str) -> Program:
    """The program at points that are floats of that kind."""
    with np.errstate(all="ignore"):
        points = tuple(tuple(float(np.dtype(dtype).type(x)) for x in point) for point in made.points)
    kept = tuple(point for point in points if all(map(math.isfinite, point)))
    return replace(made, points=kept)


def compared(made: Program, engine: str, wanted: Sequence[Sequence[Bounded]], results: Results) -> Iterator[Failure]:
    """Where the results of an engine are not what was wanted."""
    form = FORMATS[ENGINES[engine][1]]
    for point, answer, got in zip(made.points, wanted, results, strict=True):
        for place, number, want in zip(made.places, got, answer, strict=bool(got)):
            if not agrees(number, want, form):
                yield Failure(replace(made, points=(point,)), engine, made.word(place), number, want)


def differences(
    programs: Sequence[Program], engine: str, wanted: Sequence[Sequence[Sequence[Bounded]]] | None = None
) -> list[list[Failure]]:
    """What an engine computes that the oracle does not allow, by programs; `wanted` is for float64, if it is known."""
    compute, form = ENGINES[engine]
    if form == "float32":
        programs = [rounded(made, form) for made in programs]
    if form != "float64" or wanted is None:
        wanted = [answers(made, form) for made in programs]
    try:
        results = compute(programs)
    except Exception as error:
        if len(programs) > 1:
            return [differences([one], engine, None)[0] for one in programs]
        (made,) = programs
        return [[Failure(replace(made, points=made.points[:1]), engine, f"{type(error).__name__}: {error}"[:120])]]
    rows = zip(programs, wanted, results, strict=True)
    return [list(compared(made, engine, want, got)) for made, want, got in rows]


# --- shrinking --------------------------------------------------------------------------------------------------------

ATTEMPTS = 400


def shrunk(failure: Failure) -> Failure:
    """A smaller expression and a simpler point that fail in the same way, by the same engine."""
    left = ATTEMPTS
    progress = True
    while progress and left > 0:
        progress = False
        for candidate in _smaller(failure.program):
            left -= 1
            if left < 0:
                break
            found = _failure_of(candidate, failure)
            if found is not None:
                failure, progress = found, True
                break
    return failure


def _failure_of(candidate: Program, failure: Failure) -> Failure | None:
    try:
        with limited(SECONDS):
            found = [f for f in differences([candidate], failure.engine)[0] if f.kind == failure.kind]
    except (Exception, TooLongError):  # of the oracle, for what it does not know
        return None
    return found[0] if found else None


def _smaller(made: Program) -> Iterator[Program]:
    for expr in _smaller_expressions(made.expr):
        if isinstance(expr, sp.Expr | sp.Tuple) and expr.free_symbols and _is_fit(expr):
            yield replace(made, expr=expr)
    (point,) = made.points
    for i, x in enumerate(point):
        for simpler in (0.0, 1.0, 2.0, -1.0, 0.5, float(f"{x:.0e}"), float(f"{x:.2g}"), float(f"{x:.5g}")):
            if _plainness(simpler) < _plainness(x):
                yield replace(made, points=((*point[:i], simpler, *point[i + 1 :]),))


def _plainness(x: float) -> tuple[int, int]:
    return len(repr(x)), [0.0, 1.0, 2.0, -1.0, 0.5].index(x) if x in (0.0, 1.0, 2.0, -1.0, 0.5) else 9


def _smaller_expressions(expr: sp.Basic) -> Iterator[sp.Basic]:
    """The expression with one of its parts replaced by something smaller, the largest parts first."""
    if not expr.args:
        if isinstance(expr, sp.Number) and expr not in (0, 1, 2):
            yield from (sp.Integer(0), sp.Integer(1), sp.Integer(2))
        return
    wanted = Boolean if isinstance(expr, Boolean) else sp.Expr
    inside = [part for argument in expr.args for part in (argument, *argument.args) if isinstance(part, wanted)]
    # To SymPy a symbol may be a condition.
    yield from (part for part in inside if wanted is sp.Expr or not isinstance(part, sp.Symbol))
    if wanted is Boolean:
        yield from (sp.true, sp.false)
    elif not isinstance(expr, sp.functions.elementary.piecewise.ExprCondPair):
        yield from (sp.Integer(1), sp.Integer(0))
    if len(expr.args) > 2 or isinstance(expr, sp.Piecewise | sp.Tuple):
        for i in range(len(expr.args)):
            yield from _rebuilt(expr, [*expr.args[:i], *expr.args[i + 1 :]])
    for i, argument in enumerate(expr.args):
        for smaller in _smaller_expressions(argument):
            yield from _rebuilt(expr, [*expr.args[:i], smaller, *expr.args[i + 1 :]])


def _rebuilt(expr: sp.Basic, arguments: list[sp.Basic]) -> Iterator[sp.Basic]:
    try:
        if arguments:
            yield expr.func(*arguments)
    except Exception:  # whatever SymPy has against it
        return


# --- campaigns --------------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What a campaign has seen."""

    programs: int = 0
    numbers: int = 0  # compared
    unknown: int = 0  # of these, where a float cannot know the answer
    failures: int = 0
    unfinished: int = 0  # that take too long to make, to answer, or by an engine
    found: dict[str, Failure] | None = None  # by shape, shrunk

    def add(self, other: Figures) -> None:
        self.programs += other.programs
        self.numbers += other.numbers
        self.unknown += other.unknown
        self.failures += other.failures
        self.unfinished += other.unfinished
        self.found = {**(other.found or {}), **(self.found or {})}


def shape(failure: Failure) -> str:
    """What failures of one cause mostly have in common."""
    heads = sorted({type(node).__name__ for node in sp.preorder_traversal(failure.program.expr) if node.args})
    return f"{failure.kind} {failure.what[:1]} {' '.join(heads)}"


def run(
    seed: int, numbers: Sequence[int], engines: Sequence[str], shrinks: int = 1000, derivative: str = "gradient"
) -> Figures:
    """These programs of a campaign by these engines; the first `shrinks` shapes of failures are made small."""
    figures = Figures(found={})
    assert figures.found is not None
    for start in range(0, len(numbers), TOGETHER):
        programs, wanted = [], []
        for number in numbers[start : start + TOGETHER]:
            try:
                with limited(SECONDS):
                    made = program(seed, number, derivative)
                    answered = answers(made)
            except TooLongError:
                figures.unfinished += 1
            else:
                programs.append(made)
                wanted.append(answered)
        bounds = [part.bound for rows in wanted for row in rows for part in row]
        figures.programs += len(programs)
        figures.numbers += len(bounds)
        figures.unknown += sum(bound == mp.inf for bound in bounds)
        failed: dict[int, Failure] = {}  # the first of each program: other engines mostly fail alike
        for engine in engines:
            for place, failures in enumerate(_in_time(programs, engine, wanted)):
                if failures is None:
                    figures.unfinished += 1
                elif failures:
                    failed.setdefault(place, failures[0])
        figures.failures += len(failed)
        for failure in failed.values():
            least = shrunk(failure) if len(figures.found) < shrinks else failure
            figures.found.setdefault(shape(least), least)
    return figures


def _in_time(
    programs: Sequence[Program], engine: str, wanted: Sequence[Sequence[Sequence[Bounded]]]
) -> list[list[Failure] | None]:
    """The differences by programs, None of one that takes too long: mpmath's digamma at a thousand digits does."""
    if engine in COMPILED:
        return [*differences(programs, engine, wanted)]
    found: list[list[Failure] | None] = []
    for made, want in zip(programs, wanted, strict=True):
        try:
            with limited(SECONDS):
                found += differences([made], engine, [want])
        except TooLongError:
            found.append(None)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="random scalar programs against the oracle")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--engines", default="evaluator,exact,python")
    parser.add_argument("--derivative", choices=DERIVATIVES, default="gradient")
    options = parser.parse_args()
    engines = options.engines.split(",")
    start, chunk = time.perf_counter(), 250
    last = options.first + options.number
    chunks = [range(n, min(n + chunk, last)) for n in range(options.first, last, chunk)]
    total = Figures(found={})
    with ProcessPoolExecutor(options.jobs) as pool:
        work = [pool.submit(run, options.seed, numbers, engines, 1000, options.derivative) for numbers in chunks]
        for one in work:
            seen = set(total.found or {})
            total.add(one.result())
            for name, failure in (total.found or {}).items():
                if name not in seen:
                    print(f"{failure.program.name}: {failure}", flush=True)
    seconds = time.perf_counter() - start
    print(
        f"seed {options.seed}, {options.derivative}, {total.programs:,} programs by {', '.join(engines)} "
        f"in {seconds:.0f} s: "
        f"{total.numbers:,} numbers, of which floats cannot know {total.unknown:,}; "
        f"{total.unfinished} more take too long; {total.failures:,} programs fail, of {len(total.found or {})} shapes: "
        f"{dict(Counter(failure.kind for failure in (total.found or {}).values()))}"
    )
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
