"""Arrays in the language of expr.txt: what is read means what NumPy means by it, and what is refused says why."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import limited
from sympy.matrices.expressions.matexpr import MatrixElement

import symgrad
from symgrad.errors import ParseError
from symgrad.language.parse import parse
from symgrad.reductions import Family, Largest, Smallest, UnnamedIndex

i, j, k, n, d, E, row, column = sp.symbols("i j k n d E row column", integer=True)
x, X, lam = sp.IndexedBase("x"), sp.IndexedBase("X"), sp.Symbol("lam")
SETTINGS = settings(max_examples=200, deadline=None)

# The inputs of all texts below, at extents that all differ.
EXTENTS = {"n": 4, "d": 3, "m": 2}
DECLARED = """
X: matrix(n, d)
Y: matrix(n, d)
W: matrix(d, m)
A: matrix(n, n)
R: matrix(1, d)
C: matrix(n, 1)
T: array(n, d, m)
v: vector(n)
u: vector(n)
w: vector(d)
b: vector(m)
p: vector(n + 1)
y: integers(n)
t: vector(n)
s: real
"""


def inputs() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    shapes = {"X": (4, 3), "Y": (4, 3), "W": (3, 2), "R": (1, 3), "C": (4, 1), "T": (4, 3, 2), "v": 4, "u": 4}
    arrays = {name: rng.normal(size=shape) for name, shape in (shapes | {"w": 3, "b": 2, "p": 5}).items()}
    arrays["A"] = 2 * np.eye(4) + rng.normal(size=(4, 4)) / 4
    return arrays | {"y": np.array([2, 0, 1, 1]), "t": np.array([3, 1, 0, 2]), "s": 0.7} | EXTENTS


# The meaning of what is read, by brute force --------------------------------------------------------------------------


def evaluated(expr: Any, known: Mapping[str, Any], indices: Mapping[Any, int] | None = None) -> Any:
    """A SymPy expression as a number, a truth value or a matrix: loops are run, arrays are looked up by name."""
    bound = indices or {}

    def value(part: Any) -> Any:
        return evaluated(part, known, bound)

    match expr:
        case sp.Symbol():
            return bound[expr] if expr in bound else known[expr.name]
        case sp.Indexed():
            where = tuple(value(index) for index in expr.indices)
            array = known[expr.base.label.name]
            assert all(0 <= at < extent for at, extent in zip(where, array.shape, strict=True)), expr
            return array[where]
        case sp.Sum() | sp.Product() | Largest() | Smallest():
            combine = {sp.Sum: sum, sp.Product: math.prod, Largest: max, Smallest: min}[type(expr)]
            return combine(terms(expr.function, list(expr.limits), known, bound))
        case sp.Piecewise():
            return next(value(branch) for branch, condition in expr.args if value(condition))
        case sp.FunctionMatrix():
            rows, columns = (value(extent) for extent in expr.shape)
            index, body = expr.lamda.variables, expr.lamda.expr
            element = [
                evaluated(body, known, {**bound, **dict(zip(index, at, strict=True))})
                for at in np.ndindex(rows, columns)
            ]
            return np.array(element, dtype=float).reshape(rows, columns)
        case sp.Inverse():
            return np.linalg.inv(value(expr.arg))
        case sp.MatMul():
            return np.linalg.multi_dot([value(factor) for factor in expr.args])
        case sp.Determinant():
            return np.linalg.det(value(expr.arg))
        case MatrixElement():
            return value(expr.parent)[value(expr.i), value(expr.j)]
        case sp.KroneckerDelta():
            return int(value(expr.args[0]) == value(expr.args[1]))
        case sp.Integer():
            return int(expr)
        case _ if not expr.args:
            return bool(expr) if expr in (sp.true, sp.false) else float(expr)
    arguments = [sp.sympify(value(argument)) for argument in expr.args]
    result = expr.func(*arguments)
    return bool(result) if result in (sp.true, sp.false) else int(result) if result.is_Integer else float(result)


def terms(body: Any, limits: list[Any], known: Mapping[str, Any], bound: Mapping[Any, int]) -> list[Any]:
    if not limits:
        return [evaluated(body, known, bound)]
    index, low, high = limits[-1]  # the outermost
    ends = evaluated(low, known, bound), evaluated(high, known, bound)
    found = [terms(body, limits[:-1], known, {**bound, index: at}) for at in range(ends[0], ends[1] + 1)]
    return list(itertools.chain.from_iterable(found))


# The meaning of the text in NumPy -------------------------------------------------------------------------------------


def _overall(loop: Any, whole: Any) -> Any:
    return lambda *a: loop(*a) if len(a) > 1 or not isinstance(a[0], np.ndarray) else whole(a[0])


def _largest(*a: Any) -> Any:
    return max(*a) if len(a) == 1 or not any(isinstance(b, np.ndarray) for b in a) else np.maximum(*a)


def _smallest(*a: Any) -> Any:
    return min(*a) if len(a) == 1 or not any(isinstance(b, np.ndarray) for b in a) else np.minimum(*a)


NUMPY = {
    "sum": _overall(sum, np.sum),
    "prod": _overall(math.prod, np.prod),
    "max": _overall(_largest, np.max),
    "min": _overall(_smallest, np.min),
    "mean": np.mean,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hypot": np.hypot,
    "range": range,
    "trace": np.trace,
    "transpose": np.transpose,
    "dot": np.dot,
    "matmul": np.matmul,
    "norm": np.linalg.norm,
    "outer": np.outer,
    "diag": np.diag,
    "eye": np.eye,
    "identity": np.eye,
    "zeros": lambda *shape: np.zeros(shape),
    "ones": lambda *shape: np.ones(shape),
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "logdet": lambda a: np.linalg.slogdet(a)[1],
    "solve": np.linalg.solve,
    "where": np.where,
}


def in_numpy(text: str) -> Any:
    *lines, last = text.split("\n")
    known = {"__builtins__": {}, **NUMPY, **inputs()}
    exec("\n".join(lines), known)
    return eval(last, known)


MEAN_THE_SAME = """
sum(v[i]**2 for i in range(n))
sum(X[i, j]*w[j] for i in range(n) for j in range(d))
sum(X[i, j] for i in range(n) for j in range(i) if j < d)
sum(v[i]*i for i in range(1, n - 1))
sum((p[i + 1] - p[i])**2 for i in range(n))
sum(v[n - 1 - i]*v[i] for i in range(n))
sum(v[2*i] for i in range(2)) + v[0] + v[n - 1]
sum(v[(i + 1) % n]*u[i] for i in range(n)) + sum(v[(i - 1) % n]*i for i in range(n))
sum(v[i//2]*i for i in range(n)) + v[n//2] + v[7 % 4] + v[-(-n//3)]
sum(X[(i + 1) % n, (j + i) % d]*v[i] for i in range(n) for j in range(d))
sum(v[(i + j + 1)//3]*i for i in range(n) for j in range(n))
sum(v[(2*i + 1) % n] + v[n - 1 - i//2]*i + v[i % 2 + 1] for i in range(n)) + v[(3*n - 1) % n]
sum(v[(y[i] + 1) % n]*u[t[(i + 2) % n]] for i in range(n))
sum(v[i//n] + v[(i + 5*n)//(2*n)] for i in range(n)) + sum(v[3*(i//2) % 4] for i in range(n))
z = v*u + 1\\nsum(z[(i + 1) % n]*z[i//2] for i in range(n))
sum(v[i] for i in range(n) if i % 2 == 0) + sum((i % 3)*v[i] for i in range(n))
sum(X[i, y[i]] for i in range(n))
sum(u[t[i]]*v[i] for i in range(n)) + u[t[t[1]]]
sum(log(sum(exp(X[i, c]) for c in range(d))) - X[i, y[i]] for i in range(n))
prod(1 + v[i]**2 for i in range(n))
max(v[i]*s for i in range(n)) - min(v[i] for i in range(n))
max(X[i, j] for i in range(n) for j in range(d) if X[i, j] < s)
min(v[i] for i in range(n) if v[i] > -s if i > 0)
prod(v[i] for i in range(n) if v[i] > 0)
sum(sum(v[i] for i in range(i + 1))*u[i] for i in range(n))
sum(sum(v[i] for i in range(n))*u[i] for i in range(n))
sum(v[n] for n in range(n))
sum(v[x]*s for x in range(n))
sum(v[X] for X in range(n)) + X[0, 0]
sum(1 for i in range(n)) + sum(i for i in range(3)) + n
sum(exp(-(v[i] - v[j])**2) for i in range(n) for j in range(n) if i != j)
sum(v[i] if i == 2 else u[i] for i in range(n))
sum(y[i]*v[i] for i in range(n))
dot(v, u) + v @ u
sum(X @ w)
sum((X @ w - v)**2)/n + s*sum(w**2)
sum(w @ X.T) + sum(v @ X)
sum(X @ W)
sum(X @ W @ b)
v @ X @ W @ b
sum(X.T @ Y)
sum(matmul(A, A) @ A @ v)
sum(max(0, X @ W + b))
sum(exp(-X)*Y)
sum(X*R + C - s)
sum(C*R + 1)
sum(C*w)
sum(R/(1 + C**2))
sum(1/(1 + X**2))
sum(2**X) + sum(X**2 % 2) + sum(X // 2)
sum(-X) + sum(+X)
sum(sigmoid(X)) + sum(hypot(X, Y)) + sum(abs(X))
sum(T) + max(T) + min(T) + mean(T) + prod(T)
sum(T*W + b) + sum(T.T) + T[n - 1, d - 1, 1]
sum(transpose(X)*Y.T)
mean(X) + mean(v) + mean(X @ w)
max(X) - min(X @ w)
max(max(X, Y))
trace(A) + trace(A @ A.T) + trace(outer(v, u))
norm(v) + norm(X) + norm(X @ w - v)
sum(outer(v, w)*X)
sum(diag(v) @ X) + sum(diag(A)) + sum(A*diag(v)) + trace(diag(u))
sum(eye(n)*A) + sum(identity(3)) + trace(eye(n))
sum(zeros(n) + v) + sum(ones(n, d)*X) + sum(0*X) + sum(zeros(2, 2)) + sum(ones(d) @ W)
trace(inv(A)) + sum(inv(A) @ v) + sum(inv(A + eye(n)))
det(A) + logdet(A @ A.T)
v @ solve(A, v) + sum(solve(A, X)) + sum(solve(A, X) @ w)
sum(solve(A, v)[i]*u[i] for i in range(n))
sum(logdet(A + eye(n)*(i + 1)) for i in range(2))
sum([v[i]*u[i] for i in range(n)]) + max([v[i] for i in range(1, n)]) + [v[i]**2 for i in range(n)][2]
r = [sum(X[i, j] for j in range(d)) for i in range(n)]\\nsum(r[i]*r[j]*v[j] for i in range(n) for j in range(n))
r = [sum(X[k, i] for i in range(d)) for k in range(n)]\\nsum(r[i]*v[i] for i in range(n)) + sum(r @ X)
r = [sum(X[i, i] for i in range(d))*v[i] for i in range(n)]\\nv @ [r[i]*sum(v[i] for i in range(n)) for i in range(n)]
sum(max([v[i] - v[j] for i in range(n)])*j for j in range(n))
sum(inv(A)[i, i] for i in range(n))
sum((X @ w)[i]*v[i] for i in range(n))
sum(norm(v*u[j])*v[j] for j in range(n))
sum(dot(v, A @ u)*u[j]*w[0] for j in range(n))
sum(sum(ones(i + 1))*v[i] for i in range(n))
z = X @ w\\nsum(log(1 + exp(-v[i]*z[i])) for i in range(n))
z = X @ w\\nsum(z[i]*z[j] for i in range(n) for j in range(i))
z = v*sum(u[j] for j in range(n))\\nsum(z[j]*u[j] for j in range(n))
z = (A @ A)*(A @ A).T\\nz2 = (z @ z)*(z @ z).T\\nsum(z2[i, j]*z[j, i] for i in range(n) for j in range(n))
h = sigmoid(X @ W + b)\\ng = sigmoid(h @ W.T - w)\\nmean((g - X)**2)
mu = mean(X)\\nc = X - mu\\nsum(c**2)/n
r = X @ w - v\\nq = r @ r\\nq + norm(r)
z = X\\ny2 = z.T\\nsum(y2[j, i]*X[i, j] for i in range(n) for j in range(d))
h = 2*n\\nsum(v[i]*h for i in range(h - n))
q = y + 0\\nsum(X[i, q[i]] for i in range(n))
a = sum(v[i] for i in range(n))/n\\nsum((v[i] - a)**2 for i in range(n))
""".strip().split("\n")


# Their last lines are arrays: of several loops the axes of one, which Python has in one row.
ARRAYS_MEAN_THE_SAME = """
[v[i]**2 + s for i in range(n)]
[v[i] - v[i - 1] for i in range(1, n)]
[X[i, j]*i for i in range(n) for j in range(1, d)]
[[X[i, j]*v[i] for i in range(n)] for j in range(d)]
[[[T[i, j, k] + k for k in range(m)] for j in range(d)] for i in range(n)]
[w*v[i] for i in range(n)]
[X @ w*v[i] for i in range(2) for j in range(d)]
[X[i, y[i]] if i > 1 else -i for i in range(n)]
[n*i + d*j for i in range(m) for j in range(3)]
X @ w - v
X
v
outer(v, w)*s
inv(A) @ v
r = [sum(X[k, i]*w[i] for i in range(d)) for k in range(n)]\\n[r[i]*r[k] for k in range(n) for i in range(n)]
r = sum(v[i] for i in range(n))\\n[r*v[i] for i in range(n)]
[sum(v[i] for i in range(n))*sum(u[j] for j in range(i + 1)) for i in range(n)]
[[v[i]*i for i in range(j, j + 2)][1] for j in range(3)]
""".strip().split("\n")


@pytest.mark.parametrize("line", ARRAYS_MEAN_THE_SAME)
def test_arrays_mean_what_numpy_means(line: str) -> None:
    text = line.replace("\\n", "\n")
    array = parse(DECLARED + text).expression
    shape = tuple(evaluated(extent, inputs()) for extent in array.shape)
    found = [evaluated(array.body, inputs(), dict(zip(array.indices, at, strict=True))) for at in np.ndindex(*shape)]
    wanted = np.asarray(in_numpy(text))
    assert wanted.size == math.prod(shape)
    np.testing.assert_allclose(np.reshape(found, shape), wanted.reshape(shape), rtol=1e-12, atol=1e-12)


def test_indices_of_lists_are_called_as_in_the_text_where_they_can_be() -> None:
    assert parse("[x[row]*y[column] for row in range(n) for column in range(d)]").expression == symgrad.family(
        x[row] * sp.IndexedBase("y")[column], (row, n), (column, d)
    )
    within = parse("s = sum(x[i] for i in range(n))\n[s*x[i] for i in range(n)]").expression
    other = UnnamedIndex("j", integer=True)  # i is taken within
    assert within == symgrad.family(x[other] * sp.Sum(x[i], (i, 0, n - 1)), (other, n))


@pytest.mark.parametrize("line", MEAN_THE_SAME)
def test_means_what_numpy_means(line: str) -> None:
    text = line.replace("\\n", "\n")
    problem = parse(DECLARED + text)
    assert evaluated(problem.expression, inputs()) == pytest.approx(in_numpy(text), rel=1e-10)


@pytest.mark.parametrize(
    ("text", "numpy"),
    [
        ("sum(X if X > 0 else s*X)", "sum(where(X > 0, X, s*X))"),
        ("sum(v if u > 0 else 0)", "sum(where(u > 0, v, 0))"),
        ("sum(X if w > 0 and s > 0 else C)", "sum(where((w > 0) & (s > 0), X, C))"),
        ("sum(1 if not X > Y else 0)", "sum(1 - (X > Y))"),
        ("sum(Piecewise((X, X > 1), (w, X > 0), (0, True)))", "sum(where(X > 1, X, where(X > 0, w, 0*X)))"),
        ("sum(relu(X)) + sum(Max(X, 0))", "2*sum(max(X, 0))"),
        ("sum(1 if 0 < X < 1 else 0)", "sum(where((0 < X) & (X < 1), 1, 0))"),
        ("sum(KroneckerDelta(i, y[i])*v[i] for i in range(n))", "sum(v[i] for i in range(n) if i == y[i])"),
        ("Sum(X[i, j], (j, 0, 2), (i, 0, n - 1))", "sum(X)"),
        ("Sum(v[i]*Sum(u[i], (i, 0, i)), (i, 0, n - 1))", "sum(v[i]*u[j] for i in range(n) for j in range(i + 1))"),
        ("Sum(A[i, j], (j, 0, i), (i, 0, n - 1))", "sum(A[i, j] for i in range(n) for j in range(i + 1))"),
        ("Largest(X[i, j], (j, 0, d - 1), (i, 0, n - 1)) + Smallest(v[i], (i, 0, n - 1))", "max(X) + min(v)"),
        ("Product(v[i], (i, 1, n - 1))", "prod(v[i] for i in range(1, n))"),
    ],
)  # fmt: skip
def test_means_this_in_numpy(text: str, numpy: str) -> None:
    assert evaluated(parse(DECLARED + text).expression, inputs()) == pytest.approx(in_numpy(numpy), rel=1e-10)


def random_text(rng: random.Random, shape: str, depth: int, indices: str = "") -> str:
    """An expression of a shape ("" is a number, "nd" a matrix of n rows); `indices` are loops around it, over n."""

    def inner(inner_shape: str, more: str = "") -> str:
        return random_text(rng, inner_shape, depth - 1, indices + more)

    leaves = {"": "s 2 n", "n": "v u t", "d": "w", "nd": "X Y", "dn": "X.T", "nn": "A eye(n)", "dd": "diag(w)"}
    if depth == 0:
        number = [f"{array}[{index}]" for array in "vu" for index in indices] if not shape else []
        return rng.choice([*leaves[shape].split(), *number])
    other = rng.choice("nd")
    ways = [
        lambda: f"({inner(shape)} + {inner(shape)})",
        lambda: f"({inner(shape)} * {inner(shape[-1:])})",
        lambda: f"({inner('')} - {inner(shape)})",
        lambda: f"sin({inner(shape)})",
        lambda: f"max({inner(shape)}, {inner(shape)})" if shape else f"max({inner(other)})",
    ]
    if len(shape) == 2:
        ways += [lambda: f"({inner(shape[0] + other)} @ {inner(other + shape[1])})"]
        ways += [lambda: f"outer({inner(shape[0])}, {inner(shape[1])})", lambda: f"{inner(shape[::-1])}.T"]
    elif shape:
        ways += [
            lambda: f"({inner(shape + other)} @ {inner(other)})",
            lambda: f"({inner(other)} @ {inner(other + shape)})",
        ]
        ways += [lambda: f"diag({inner(shape * 2)})"]
    else:
        free = next(letter for letter in "ijkl" if letter not in indices)
        ways += [lambda: f"sum({inner(other + 'd')})", lambda: f"trace({inner('nn')})", lambda: f"norm({inner(other)})"]
        ways += [lambda: f"dot({inner(other)}, {inner(other)})", lambda: f"mean({inner(other + 'n')})"]
        ways += [lambda: f"sum({inner('', free)} for {free} in range(n))"]
        ways += [lambda: f"{inner('n')}[{rng.choice([*indices, '0', 'n - 1'])}]"]
    return rng.choice(ways)()


@pytest.mark.parametrize("seed", range(100))
def test_random_texts_mean_what_numpy_means(seed: int) -> None:
    rng = random.Random(seed)
    text = (
        f"a = {random_text(rng, 'nd', 2)}\nc = {random_text(rng, '', 2)}\nsum((a + c)[i, 0] * {{}} for i in range(n))"
    )
    text = text.format(random_text(rng, "", 3, "i"))
    assert evaluated(parse(DECLARED + text).expression, inputs()) == pytest.approx(in_numpy(text), rel=1e-9)


# As which expressions -------------------------------------------------------------------------------------------------


def array(name: str, *shape: Any, **assumptions: bool) -> sp.IndexedBase:
    return sp.IndexedBase(sp.Symbol(name, **(assumptions or {"real": True})), shape=shape or None)


v, w, y = array("v", n), array("w", d), array("y", n, integer=True)
XX = array("X", n, d)
free_y, S = sp.IndexedBase(sp.Symbol("y", integer=True)), sp.IndexedBase("S")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v: vector(n)\nsum(v[i]**2 for i in range(n))/n", sp.Sum(v[i] ** 2, (i, 0, n - 1)) / n),
        ("v: array(n)\nv[n - 1]", v[n - 1]),
        ("X: matrix(n, d)\nw: vector(d)\nsum(X[i, j]*w[j] for i in range(n) for j in range(i))",
         sp.Sum(XX[i, j] * w[j], (j, 0, i - 1), (i, 0, n - 1))),
        ("X: matrix(n, d)\nw: vector(d)\nz = X @ w\nsum(z[k]**2 for k in range(n))",
         sp.Sum(sp.Sum(XX[k, j] * w[j], (j, 0, d - 1)) ** 2, (k, 0, n - 1))),
        ("X: matrix(n, E)\nsum(X)/E", sp.Sum(array("X", n, E)[i, j], (j, 0, E - 1), (i, 0, n - 1)) / E),
        ("y: integers(n)\ny[0]", y[0]),
        ("y: vector(n)\nX: matrix(n, d)\nsum(X[i, y[i]] for i in range(n))", sp.Sum(XX[i, y[i]], (i, 0, n - 1))),
        ("sum(S[i, y[i]] for i in range(n))", sp.Sum(S[i, free_y[i]], (i, 0, n - 1))),
        ("sum(x[i] for i in range(2, n + 1))", sp.Sum(x[i], (i, 2, n))),
        ("prod(x[i] for i in range(3))", sp.Product(x[i], (i, 0, 2))),
        ("max(x[i] for i in range(n))", Largest(x[i], (i, 0, n - 1))),
        ("Min(x[i] for i in range(n))", Smallest(x[i], (i, 0, n - 1))),
        ("sum(x[n]*i for n in range(3)) + i", sp.Sum(x[n] * sp.Symbol("i"), (n, 0, 2)) + sp.Symbol("i")),
        ("k: integer\nx[k + 1]", x[k + 1]),
        ("n: integer\nn", n),
        ("v: vector(n)\nX: matrix(n, n)\ndet(X)",
         sp.Determinant(sp.FunctionMatrix(n, n, sp.Lambda((i, j), array("X", n, n)[i, j])))),
    ],
)  # fmt: skip
def test_reads(text: str, expected: sp.Expr) -> None:
    found = parse(text).expression
    unnamed = {index: sp.Symbol(index.name, integer=True) for index in found.atoms(UnnamedIndex)}
    assert found.xreplace(unnamed) == expected


ROUND_TRIPS = [
    sp.Sum(x[i] ** 2, (i, 0, n - 1)),
    lam * sp.Sum(x[i] ** 2, (i, 0, n - 1)) / (2 * n) + lam**2,
    sp.Sum(X[i, j] * x[j], (i, 0, j - 1), (j, 0, n - 1)),
    sp.Sum(sp.exp(-sp.Sum(X[i, j] * x[j], (j, 0, d - 1))), (i, 0, n - 1)),
    sp.Product(x[2 * i + 1], (i, 0, n)) + sp.log(sp.Sum(sp.exp(x[i]), (i, 1, n))),
    Largest(x[i], (i, 0, n - 1)) - Smallest(X[i, j], (i, 0, n - 1), (j, 0, d - 1)),
    sp.Sum(sp.KroneckerDelta(i, j) * X[i, j], (i, 0, n - 1), (j, 0, d - 1)),
    sp.Sum(x[sp.Mod(i + 1, n)] * x[sp.floor(i / 2)], (i, 0, n - 1)),
    sp.Sum(X[sp.Mod(2 * i - 1, n), sp.floor((i + j + 1) / 3)], (i, 0, n - 1), (j, 0, d - 1)),
    sp.Sum(x[n - 1 - sp.floor((i + n) / n)] + x[2 * sp.Mod(i, 3) + 1], (i, 0, n - 1)),
    sp.Sum(x[sp.ceiling(2 * i / 3)] * sp.Mod(i, 2), (i, 0, n - 1)) + x[sp.floor(n / 2)],
    sp.Sum(x[sp.Mod(free_y[i] + 1, n)], (i, 0, n - 1)),
    sp.Sum(S[i, free_y[i]], (i, 0, n - 1)) + x[n - 1],
    sp.Sum(sp.Piecewise((x[i], x[i] > 0), (0, True)), (i, 0, n - 1)),
    sp.Sum(i * x[i], (i, 0, n - 1)) / sp.Sum(x[i], (i, 0, n - 1)),
    sp.sqrt(sp.Sum(x[i] ** 2, (i, 0, n))) * sp.sin(n),
]


@pytest.mark.parametrize("expr", ROUND_TRIPS, ids=str)
def test_reads_what_str_prints(expr: sp.Expr) -> None:
    assert parse(str(expr)).expression == expr


@pytest.mark.parametrize("line", MEAN_THE_SAME)
def test_is_read_again_as_the_same_number(line: str) -> None:
    once = parse(DECLARED + line.replace("\\n", "\n")).expression
    if once.has(sp.MatrixExpr):
        return
    again = parse(DECLARED + str(once)).expression
    assert evaluated(again, inputs()) == pytest.approx(evaluated(once, inputs()), rel=1e-10)


def test_the_problem_lists_declared_inputs_in_order() -> None:
    problem = parse("w: vector(d)\nlam: real\nX: matrix(n, d)\nk: integer\nz = X @ w\na = sum(z)\nc = a > 0\na*lam")
    assert [str(thing) for thing in problem.declared] == ["w", "lam", "X", "k"]
    assert problem.declared[2] == XX
    assert list(problem.names) == ["z", "a", "c"]
    assert problem.names["a"] in list(sp.preorder_traversal(problem.expression))
    assert parse("x + 1").declared == ()


def test_an_extent_is_one_symbol_wherever_it_stands() -> None:
    expression = parse("a = n + lam\nv: vector(n)\nsum(v)/n + a").expression
    assert {s for s in expression.free_symbols if s.name == "n"} == {n}


def test_equal_texts_give_equal_expressions() -> None:
    expression = parse("X: matrix(n, d)\nw: vector(d)\nsum((X @ w)**2) - sum((X @ w)**2)").expression
    assert expression == 0


def test_indices_of_nested_loops_differ() -> None:
    text = DECLARED + "z = A @ A @ A\nsum(z @ z) + sum(sum(v[i] for i in range(n))*v[i] for i in range(n))"
    stack: list[tuple[Any, tuple[Any, ...]]] = [(parse(text).expression, ())]
    while stack:
        part, around = stack.pop()
        if isinstance(part, sp.Sum):
            assert not {*part.variables} & {*around}
            around = (*around, *part.variables)
        stack.extend((argument, around) for argument in part.args)


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("w: vector(d)\nw > 0", 2, 1, "an array of conditions, not a number"),
        ("[x[i] > 0 for i in range(n)]", 1, 1, "an array of conditions, not a number"),
        ("[x, y]", 1, 1, "one entry for each index: [x[i] for i in range(n)]; of several outputs each has a name"),
        ("1 + []", 1, 5, "one entry for each index"),
        ("[x[i] for i in range(n) if i > 2]", 1, 28, "write [... if condition else 0 for ...]"),
        ("[[x[j] for j in range(i)] for i in range(n)]", 1, 31, "a length depends on i"),
        ("[x[i*j] for i in range(n) for j in range(n)]", 1, 4, "an index is"),
        ("[x[j] for i in range(n) for j in range(i)]", 1, 11, "a length depends on i or j"),
        ("[zeros(i)@zeros(i) + zeros(i) for i in range(n)]", 1, 35, "a length depends on i"),
        ("[x[i] for i in range(2, 2)]", 1, 11, "the range of i is empty"),
        ("[x[i] for i in n]", 1, 16, "'for' takes a range here"),
        ("[(1, 2) for i in range(n)]", 1, 2, "an entry of a list is a number"),
        ("[x[i] for i in range(n)", 1, 1, "'[' is never closed"),
        ("[x[i] for i in range(n)][0 - 1]", 1, 26, "an index is not negative"),
        ("x for i in range(n)", 1, 3, "'for' stands in a call or a list"),
        ("X: matrix(n)\nX", 1, 4, "write X: matrix(n, d)"),
        ("x: vector\nx", 1, 4, "write w: vector(n)"),
        ("x: real(3)\nx", 1, 4, "write x: real"),
        ("x: tensor(3)\nx", 1, 4, "no type; write real, integer, vector, matrix"),
        ("x: vector(0)\nx", 1, 11, "at least 1"),
        ("x: vector(1.5)\nx", 1, 11, "an extent is"),
        ("x: vector(n*m)\nx", 1, 11, "an extent is"),
        ("x: vector(n)\nx: vector(n)\nx", 2, 1, "already has a meaning from line 1"),
        ("x: vector(n)\nn: real\nx", 2, 1, "'n' is an extent or bound on line 1"),
        ("n: real\nx: vector(n)\nx", 1, 1, "'n' is an extent or bound on line 2"),
        ("n: vector(3)\nx: vector(n)\nx", 1, 1, "'n' is an extent or bound on line 2"),
        ("m = 2*k\nsum(i for i in range(m))", 2, 22, "a bound is"),
        ("x[i]", 1, 3, "'i' is no integer, which an index is; write for i in range(...) around it, or declare"),
        ("x: vector(n)\nsum(x[i] for j in range(n))", 2, 7, "'i' is no integer"),
        ("x: vector(n)\nx[j + 1] + sum(x[j] for j in range(n))", 2, 3, "'j' is no integer"),
        ("x: vector(n)\nx[n/2]", 2, 3, "an index is an index, an extent or an integer"),
        ("x: vector(n)\nsum(x[i*i] for i in range(n))", 2, 7, "or such as i + 1"),
        ("x: vector(n)\nsum(x[i/2] for i in range(n))", 2, 7, "or such as i + 1, 2*i, n - 1 - i, (i + 1) % n, i//2"),
        ("x: vector(n)\nsum(x[(i*i) % n] for i in range(n))", 2, 8, "or such as i + 1"),
        ("x: vector(n)\nsum(x[floor(s)] for i in range(n))", 2, 13, "'s' is no integer"),
        ("x: vector(n)\nsum(x[(i/2) % n] for i in range(n))", 2, 8, "or such as i + 1"),
        ("x: vector(n)\nsum(x[i] for i in range(n//2))", 2, 25, "a bound is"),
        ("x: vector(n)\nx[-1]", 2, 4, "the last element is at n - 1"),
        ("x: vector(3)\nx[3]", 2, 3, "indices go from 0 to 2"),
        ("x: vector(n)\nx[n]", 2, 3, "indices go from 0 to n - 1"),
        ("x: vector(n)\nx[x > 0]", 2, 3, "not an array"),
        ("X: matrix(n, d)\nX[0]", 2, 2, "takes 2 indices, one for each axis, not 1"),
        ("x[0] + x[0, 1]", 1, 9, "takes 1 index, one for each axis, not 2"),
        ("x: real\nx[0]", 2, 2, "a number has no elements; declare an array: x: vector(n)"),
        ("x[0] + x", 1, 6, "an array without a declared shape (x: vector(n))"),
        ("x[0] + exp(x)", 1, 8, "an array without a declared shape"),
        ("sum(x) + x[0]", 1, 1, "sum takes an array, or terms over an index"),
        ("sum(1, 2)", 1, 1, "sum takes an array, or terms over an index"),
        ("sum(3)", 1, 1, "sum takes an array, or terms over an index"),
        ("X: matrix(n, d)\nw: vector(n)\nsum(X @ w)", 3, 7, "the extents d and n may differ"),
        ("X: matrix(2, 3)\nw: vector(2)\nsum(X @ w)", 3, 7, "an array of shape (2,): the extents 3 and 2 differ"),
        ("X: matrix(n, d)\nv: vector(n)\nsum(X + v)", 3, 7, "the extents d and n may differ"),
        ("v: vector(n)\nu: vector(n + 1)\nsum(exp(v)*u)", 3, 11, "the extents n and n + 1 differ"),
        ("X @ w", 1, 1, "'@' takes matrices and vectors, not a number; write *"),
        ("X: matrix(n, d)\nsum(X @ 2)", 2, 9, "write * for a product with a number"),
        ("T: array(2, 3, 4)\nsum(T @ T)", 2, 5, "'@' takes a vector or a matrix here"),
        ("v: vector(n)\ntrace(v)", 2, 7, "'trace' takes a matrix here, not an array of shape (n,)"),
        ("X: matrix(n, d)\ndet(X)", 2, 5, "a square matrix"),
        ("X: matrix(n, d)\nsum(inv(X))", 2, 9, "a square matrix"),
        ("dot(x, y)", 1, 5, "takes a vector here, not a number"),
        ("mean(x)", 1, 6, "takes an array, not a number"),
        ("mean(x[i] for i in range(n))", 1, 6, "write sum(...)/n"),
        ("x.T", 1, 1, "takes an array, not a number"),
        ("v: vector(n)\nv.shape", 2, 2, "no attributes"),
        ("v: vector(n)\nDerivative(v, v)", 2, 1, "takes a number here"),
        ("v: vector(n)\nsum(range(v))", 1, 1, "an extent or bound on line 2"),
        ("sum(w for j in J)", 1, 16, "'for' takes a range here, not a number; write range(n)"),
        ("sum(i for i in range(0, 9, 2))", 1, 28, "no step"),
        ("range(3)", 1, 1, "a range, not a number"),
        ("r = range(3)\n1", 1, 1, "'r' is given a range"),
        ("exp(i for i in range(3))", 1, 1, "not a loop over an index"),
        ("v: vector(n)\nsum(v + range(n))", 2, 7, "not a range"),
        ("v: vector(n)\nsum(max(v, (1, (2, 3))))", 2, 5, "not a list"),
        ("v: vector(n)\nsum(v for i in range(3))", 2, 1, "takes a number here, not an array of shape (n,)"),
        ("sum(i > 0 for i in range(3))", 1, 1, "takes a number here, not a condition"),
        ("sum(i for i in range(x[0]))", 1, 22, "a bound is"),
        ("sum(i for i in range(3) if i)", 1, 25, "'if' takes a condition here"),
        ("Sum(x, y)", 1, 8, "limits (i, a, b)"),
        ("Sum(x)", 1, 1, "a term and limits"),
        ("Sum(x, (i, 0))", 1, 8, "limits (i, a, b)"),
        ("Sum(x, (i, 0, oo))", 1, 15, "a bound is"),
        ("Sum(x, (2, 0, 3))", 1, 8, "limits (i, a, b)"),
        ("v: vector(n)\nmax(v > 0)", 2, 1, "takes numbers"),
        ("KroneckerDelta(x, y)", 1, 16, "'x' is no integer"),
        ("A: matrix(n, n)\nv: vector(n)\nsum(solve(A, A, v))", 3, 5, "solve takes 2 arguments, not 3"),
        ("x: vector(n)\nx[0:1]", 2, 4, "no slices"),
        ("x: vector(n)\n(x[i] for i in range(n))", 2, 7, "write sum("),
        ("sum(Derivative(i**2, i) for i in range(3))", 1, 22, "takes variables"),
        ("nrm(x)", 1, 1, "did you mean 'norm'"),
    ],
)  # fmt: skip
def test_refusals_name_the_place_and_the_reason(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    error = caught.value
    assert words in error.reason
    assert (error.line, error.column) == (line, column)
    assert error.source_line == text.split("\n")[line - 1]


def test_lists_have_no_more_axes_than_arrays() -> None:
    text = "[" * 40 + "1" + "".join(f" for i{k} in range(2)]" for k in range(40))
    with pytest.raises(ParseError, match="lists have at most 32 axes"):
        parse(text)
    with pytest.raises(ParseError, match="an array has at most 32 axes"):
        parse("v: vector(n)\n[" + "[" * 31 + "v" + "".join(f" for i{k} in range(2)]" for k in range(32)))


# Attacks and limits ---------------------------------------------------------------------------------------------------

TOKENS = (
    """
x y i n A = ( ) ( ) [ ] [ ] , + - * / @ @ ** < == : . T if else for for in in [ sum( max( range( range( Sum( (i,0,n)
inv( det( solve( diag( eye( mean( x: A: vector(n) matrix(n,n) integers(n) real 0 1 2 x[i] A[i,j] A[
""".split()
    + ["\n", "for i in range(n)", "for j in range(i)", "]", "x: vector(n)\n", "A: matrix(n, n)\n"]
)


@SETTINGS
@given(st.lists(st.sampled_from(TOKENS), max_size=16).map(" ".join))
def test_shuffled_tokens_raise_parse_errors_only(text: str) -> None:
    place, expression = (1, 1), sp.S.Zero
    try:
        expression = parse("y: vector(n)\nB: matrix(n, n)\n" + text).expression
    except ParseError as error:
        place = error.line, error.column
    assert min(place) >= 1
    assert isinstance(expression, (sp.Expr, Family))


@pytest.mark.parametrize(
    "text",
    [
        "sum(i**2 for i in range(10**9))",
        "max(sum(1/(i + 1) for i in range(10**9)), 0)",
        "1 if sum(sin(i) for i in range(10**9)) > 2 else 0",
        "exp(prod(1/(i + 1) for i in range(10**9)))**2",
        "floor(det(eye(10**6))) + max(0, trace(inv(eye(10**5))))",
        "sum(eye(10**9)) % 3",
        "x: vector(n)\nsum(" + "sum(" * 60 + "x[i]" + "".join(f" for i in range({k + 2}))" for k in range(61)),
        "v: vector(n)\nsum(" + " + ".join(f"(v if v > {k} else {k}*v)" for k in range(50)) + ")",
    ],
    ids=lambda text: text[:40],
)
def test_what_could_run_for_ever_is_left_as_it_stands(text: str) -> None:
    assert parse(text).expression.is_Atom is False


@pytest.mark.parametrize(
    "condition",
    [
        " and ".join(f"i != {k}" for k in range(0, 80, 2)),
        " or ".join(f"i == {k}" for k in range(0, 80, 2)),
        " and ".join(f"(i < {k} or i > {k + 3})" for k in range(0, 80, 8)),
        "(" * 40 + "i > 90" + "".join(f" or i == {k}) and i != {k + 1}" for k in range(40)),
    ],
    ids=["differs", "is", "outside", "nested"],
)
def test_conditions_in_many_pieces(condition: str) -> None:
    """Their pieces multiply: beyond some they are a test in the loop."""
    module: dict[str, Any] = {}
    exec(symgrad.emit(f"v: vector(n)\nsum(v[i]**2 for i in range(n) if {condition})", target="python"), module)
    v = np.arange(1.0, 101.0)
    kept = np.array([eval(condition, {"i": i}) for i in range(100)])
    value, (gradient,) = module["kernel"](v)
    assert value == (v[kept] ** 2).sum()
    assert gradient.tolist() == np.where(kept, 2 * v, 0).tolist()


NESTED_CONDITION = "sum(sum(x[j]*a if t[j] >= t[i] else 0 for j in range(n))**3 for i in range(n))"


@pytest.mark.parametrize("text", [f"Derivative({NESTED_CONDITION}, a)", f"r = {NESTED_CONDITION}\nDerivative(r, a)"])
def test_conditions_stay_in_the_sums_of_a_derivative(text: str) -> None:
    """SymPy folds the condition on j out of the sum over j."""
    module: dict[str, Any] = {}
    exec(symgrad.emit(f"x: vector(n)\nt: vector(n)\n{text}", target="python"), module)
    x, t, a = np.array([1.0, 2.0, 3.0]), np.array([3.0, 1.0, 2.0]), 0.5
    later = np.where(t >= t[:, None], x, 0).sum(axis=1)
    value, (d_a, _, _) = module["kernel"](a=a, t=t, x=x)
    assert value == pytest.approx((3 * a**2 * later**3).sum(), rel=1e-14)
    assert d_a == pytest.approx((6 * a * later**3).sum(), rel=1e-14)


def test_derivatives_that_sympy_does_not_have_are_refused() -> None:
    text = "A: matrix(n, n)\nDerivative(trace(inv(A + a*eye(n))), a)"
    with pytest.raises(symgrad.UnsupportedExpression, match="cannot resolve"):
        symgrad.emit(text, target="python")


@pytest.mark.parametrize(
    "text",
    [
        "x: vector(n)\nk: vector(m)\n"
        "sum(sum(x[i-j]*k[j] for j in range(m) if i >= j and i-j < n)**2 for i in range(n+m-1))",
        "a: vector(n)\nb: vector(m)\nc: vector(p)\nq: integer\nsum(sum(a[i]*b[j]*c[i+j-k] for i in range(n) "
        "for j in range(m) if 0 <= i+j-k and i+j-k < p)**2 for k in range(q))",
        "y0 = a\n" + "".join(f"y{k + 1} = y{k} + h*(y{k} - y{k}**3 + b)\n" for k in range(60)) + "y60",
    ],
)
def test_does_not_take_for_ever(text: str) -> None:
    with limited(100):  # one of them takes a second, or else years
        symgrad.emit(text, target="python")


def test_products_of_products_do_not_double() -> None:
    lines = "\n".join(f"A{k + 1} = (A{k} @ A{k}) * (A{k} @ A{k}).T" for k in range(40))
    assert isinstance(parse(f"A: matrix(n, n)\nA0 = A\n{lines}\ntrace(A40)").expression, sp.Sum)


def test_too_many_copies_are_refused() -> None:
    lines = "\n".join(f"z{k + 1} = sin(z{k})*v + 1" for k in range(400))
    with pytest.raises(ParseError, match="read them in a loop"):
        parse(f"v: vector(n)\nz0 = v\n{lines}\n" + "+".join(f"z400[{k}]" for k in range(100)))


@pytest.mark.parametrize(
    "line",
    [
        "z{j} = z{i}*v + 1",
        "z{j} = max(0, A @ z{i} + v)",
        "z{j} = z{i} if z{i} > 0 else sin(z{i})",
        "z{j} = z{i} + z{i}[0]*v",
    ],
)
def test_long_chains_of_arrays(line: str) -> None:
    lines = "\n".join(line.replace("{i}", str(k)).replace("{j}", str(k + 1)) for k in range(500))
    assert isinstance(parse(f"A: matrix(n, n)\nv: vector(n)\nz0 = v\n{lines}\nsum(z500)").expression, sp.Sum)


def test_long_texts_of_arrays() -> None:
    assert parse("+".join(f"x[{k}]" for k in range(10_000))).expression.is_Add
    assert parse("x[" * 300 + "0" + "]" * 300).expression.is_Indexed
    assert parse("+".join(f"sum(x[i]*{k} for i in range(n))" for k in range(1, 500))).expression is not None
