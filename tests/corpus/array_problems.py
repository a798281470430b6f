"""Problems of arrays whose whole Jacobian or Hessian is wanted: likelihoods, nets, grids, bundles, power, atoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from symgrad.reductions import Largest

n, m, p, i, j, k, b, c, h, q = sp.symbols("n m p i j k b c h q", integer=True)
line = sp.Symbol("line", integer=True)

Values = list[tuple[Any, tuple[tuple[Any, Any], ...]]]


class ArrayProblem(NamedTuple):
    """Expressions over indices, what they read, and a point."""

    values: Values
    inputs: list[Any]
    wrt: list[Any]
    derivative: str
    point: list[Any]
    sizes: dict[str, int]


def array(name: str, *shape: Any, integer: bool = False) -> sp.IndexedBase:
    return sp.IndexedBase(sp.Symbol(name, integer=True) if integer else name, shape=shape)


def rosenbrock() -> ArrayProblem:
    x = array("x", n)
    value = sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, n - 2))
    return ArrayProblem([(value, ())], [x], [x], "hessian", [_draw(9, low=-1, high=2)], {"n": 9})


def broyden() -> ArrayProblem:
    """Its neighbours are there but at the ends."""
    x = array("x", n)
    left = sp.Piecewise((x[i - 1], i >= 1), (0, True))
    right = sp.Piecewise((x[i + 1], i <= n - 2), (0, True))
    value = (3 - 2 * x[i]) * x[i] - left - 2 * right + 1
    return ArrayProblem([(value, ((i, n),))], [x], [x], "jacobian", [_draw(7, low=-1, high=2)], {"n": 7})


def heat() -> ArrayProblem:
    """The residual of a step of backward Euler for u_t = div grad u + u**2, five points, with values all around."""
    u, w, step = array("u", n + 2, m + 2), array("w", n, m), sp.Symbol("step")
    center = u[i + 1, j + 1]
    laplacian = u[i + 2, j + 1] + u[i, j + 1] + u[i + 1, j + 2] + u[i + 1, j] - 4 * center
    value = center - w[i, j] - step * (laplacian + center**2)
    point = [_draw(6, 7), _draw(4, 5), 0.1]
    return ArrayProblem([(value, ((i, n), (j, m)))], [u, w, step], [u], "jacobian", point, {"n": 4, "m": 5})


def brusselator() -> ArrayProblem:
    """Two species on a periodic grid: the neighbours are gathered."""
    u, v, alpha = array("u", n, n), array("v", n, n), sp.Symbol("alpha")
    up, down = array("up", n, integer=True), array("down", n, integer=True)

    def laplacian(f: Any) -> Any:
        return f[up[i], j] + f[down[i], j] + f[i, up[j]] + f[i, down[j]] - 4 * f[i, j]

    one = 1 + u[i, j] ** 2 * v[i, j] - sp.Rational(22, 5) * u[i, j] + alpha * laplacian(u)
    two = sp.Rational(17, 5) * u[i, j] - u[i, j] ** 2 * v[i, j] + alpha * laplacian(v)
    at = np.arange(4)
    point = [_draw(4, 4), _draw(4, 4, seed=1), (at + 1) % 4, (at - 1) % 4, 2.0]
    over = ((i, n), (j, n))
    return ArrayProblem([(one, over), (two, over)], [u, v, up, down, alpha], [u, v], "jacobian", point, {"n": 4})


def logistic() -> ArrayProblem:
    X, y, w, weight = array("X", n, m), array("y", n), array("w", m), sp.Symbol("weight")
    margin = y[i] * sp.Sum(X[i, k] * w[k], (k, 0, m - 1))
    value = sp.Sum(sp.log(1 + sp.exp(-margin)), (i, 0, n - 1)) + weight * sp.Sum(w[j] ** 2, (j, 0, m - 1)) / 2
    point = [_normal(30, 4), np.sign(_normal(30, seed=1)), _normal(4, seed=2), 0.3]
    return ArrayProblem([(value, ())], [X, y, w, weight], [w], "hessian", point, {"n": 30, "m": 4})


def bundle() -> ArrayProblem:
    """Residuals of projections: of cameras (rotation, translation, focal length, distortion) and points, by index."""
    N, C, P = sp.symbols("N C P", integer=True)
    camera, place, seen = array("camera", C, 9), array("place", P, 3), array("seen", N, 2)
    by, of = array("by", N, integer=True), array("of", N, integer=True)
    r, x = [camera[by[i], s] for s in range(3)], [place[of[i], s] for s in range(3)]
    theta = sp.sqrt(r[0] ** 2 + r[1] ** 2 + r[2] ** 2)
    e = [own / theta for own in r]
    cross = [e[1] * x[2] - e[2] * x[1], e[2] * x[0] - e[0] * x[2], e[0] * x[1] - e[1] * x[0]]
    dot = e[0] * x[0] + e[1] * x[1] + e[2] * x[2]
    moved = [
        x[s] * sp.cos(theta) + cross[s] * sp.sin(theta) + e[s] * dot * (1 - sp.cos(theta)) + camera[by[i], 3 + s]
        for s in range(3)
    ]
    flat = [-moved[0] / moved[2], -moved[1] / moved[2]]
    square = flat[0] ** 2 + flat[1] ** 2
    distorted = 1 + square * (camera[by[i], 7] + square * camera[by[i], 8])
    values = [(camera[by[i], 6] * distorted * flat[s] - seen[i, s], ((i, N),)) for s in range(2)]
    rng = np.random.default_rng(0)
    point = [_normal(3, 9), _normal(5, 3, seed=1), _normal(8, 2, seed=2), rng.integers(0, 3, 8), rng.integers(0, 5, 8)]
    sizes = {"N": 8, "C": 3, "P": 5}
    return ArrayProblem(values, [camera, place, seen, by, of], [camera, place], "jacobian", point, sizes)


B, L = sp.symbols("B L", integer=True)
V, T, G, S = array("V", B), array("T", B), array("G", L), array("S", L)
START, END = array("start", L, integer=True), array("end", L, integer=True)
# The last line has both ends at one bus.
_GRID = [np.array([0, 0, 1, 2, 3, 1]), np.array([1, 2, 3, 3, 4, 1])]


def _flow(one: sp.IndexedBase, two: sp.IndexedBase) -> Any:
    angle = T[one[line]] - T[two[line]]
    shared = G[line] * sp.cos(angle) + S[line] * sp.sin(angle)
    return V[one[line]] ** 2 * G[line] - V[one[line]] * V[two[line]] * shared


def power_balance() -> ArrayProblem:
    """What flows into each bus of a grid of alternating current."""
    load = array("load", B)
    ends = [(START, _flow(START, END)), (END, _flow(END, START))]
    value = load[b] + sum(sp.Sum(sp.KroneckerDelta(at[line], b) * own, (line, 0, L - 1)) for at, own in ends)
    point = [_draw(5, low=0.9, high=1.1), _draw(5, low=-0.2, high=0.2), _draw(6), _draw(6, seed=1), *_GRID, _draw(5)]
    inputs = [V, T, G, S, START, END, load]
    return ArrayProblem([(value, ((b, B),))], inputs, [V, T], "jacobian", point, {"B": 5, "L": 6})


def power_lagrangian() -> ArrayProblem:
    """The balance times multipliers: its Hessian is what an interior-point method asks for."""
    price = array("price", B)
    value = sp.Sum(price[START[line]] * _flow(START, END) + price[END[line]] * _flow(END, START), (line, 0, L - 1))
    point = [_draw(5, low=0.9, high=1.1), _draw(5, low=-0.2, high=0.2), _draw(6), _draw(6, seed=1), *_GRID, _normal(5)]
    return ArrayProblem([(value, ())], [V, T, G, S, START, END, price], [V, T], "hessian", point, {"B": 5, "L": 6})


def lennard_jones() -> ArrayProblem:
    x = array("x", n, 3)
    square = sum((x[i, s] - x[j, s]) ** 2 for s in range(3))
    value = sp.Sum(4 * (1 / square**6 - 1 / square**3), (j, 0, i - 1), (i, 0, n - 1))
    return ArrayProblem([(value, ())], [x], [x], "hessian", [_draw(5, 3, high=3)], {"n": 5})


def softmax(scale: float = 1.0) -> ArrayProblem:
    """The cross entropy of labels: that of the label's own score is gathered."""
    C = sp.Symbol("C", integer=True)
    X, W, y = array("X", n, m), array("W", m, C), array("y", n, integer=True)

    def score(at: Any) -> Any:
        return sp.Sum(X[i, k] * W[k, at], (k, 0, m - 1))

    value = sp.Sum(sp.log(sp.Sum(sp.exp(score(c)), (c, 0, C - 1))) - score(y[i]), (i, 0, n - 1))
    point = [_normal(12, 3) * scale, _normal(3, 4, seed=1), np.random.default_rng(2).integers(0, 4, 12)]
    return ArrayProblem([(value, ())], [X, W, y], [W], "hessian", point, {"n": 12, "m": 3, "C": 4})


def huber() -> ArrayProblem:
    X, y, w = array("X", n, m), array("y", n), array("w", m)
    r = sp.Sum(X[i, k] * w[k], (k, 0, m - 1)) - y[i]
    value = sp.Sum(sp.Piecewise((r**2 / 2, sp.Abs(r) < 1), (sp.Abs(r) - sp.Rational(1, 2), True)), (i, 0, n - 1))
    point = [_normal(30, 4), _normal(30, seed=1), _normal(4, seed=2)]
    return ArrayProblem([(value, ())], [X, y, w], [w], "hessian", point, {"n": 30, "m": 4})


def _net() -> tuple[list[Any], Any]:
    X, W1, b1, W2 = array("X", n, p), array("W1", p, h), array("b1", h), array("W2", h, m)
    hidden = sp.tanh(sp.Sum(X[i, k] * W1[k, q], (k, 0, p - 1)) + b1[q])
    return [X, W1, b1, W2], sp.Sum(hidden * W2[q, c], (q, 0, h - 1))


_NET_SIZES = {"n": 6, "p": 3, "h": 4, "m": 2}


def net_loss() -> ArrayProblem:
    (X, *weights), out = _net()
    Y = array("Y", n, m)
    value = sp.Sum((out - Y[i, c]) ** 2, (c, 0, m - 1), (i, 0, n - 1)) / 2
    point = [_normal(6, 3), _normal(6, 2, seed=1), _normal(3, 4, seed=2), _normal(4, seed=3), _normal(4, 2, seed=4)]
    return ArrayProblem([(value, ())], [X, Y, *weights], weights, "hessian", point, _NET_SIZES)


def net_outputs() -> ArrayProblem:
    inputs, out = _net()
    point = [_normal(6, 3), _normal(3, 4, seed=2), _normal(4, seed=3), _normal(4, 2, seed=4)]
    return ArrayProblem([(out, ((i, n), (c, m)))], inputs, inputs[1:], "jacobian", point, _NET_SIZES)


def _draw(*shape: int, low: float = 0.0, high: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape)


def _normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


ARRAY_PROBLEMS: dict[str, Callable[[], ArrayProblem]] = {
    "chained Rosenbrock": rosenbrock,
    "Broyden tridiagonal": broyden,
    "heat equation": heat,
    "Brusselator": brusselator,
    "logistic regression": logistic,
    "bundle adjustment": bundle,
    "power balance": power_balance,
    "power Lagrangian": power_lagrangian,
    "Lennard-Jones": lennard_jones,
    "softmax": softmax,
    "softmax of large scores": lambda: softmax(400.0),
    "Huber loss": huber,
    "net of two layers, loss": net_loss,
    "net of two layers, outputs": net_outputs,
}


def positions(problem: ArrayProblem) -> Sequence[int]:
    """Where the arrays that are differentiated by stand among the inputs."""
    return [problem.inputs.index(own) for own in problem.wrt]


def _more() -> dict[str, ArrayProblem]:
    """Numbers beside arrays, whole matrices, computed stages that are read twice, axes of one index or none."""
    n, m, p, q, i, j = sp.symbols("n m p q i j", integer=True)
    a, b, s = sp.symbols("a b s")
    x, y, t, Y = array("x", n), array("y", m), array("t", n), array("Y", n, 20)
    at = array("at", m, integer=True)
    X, v = sp.MatrixSymbol("X", n, n), sp.MatrixSymbol("v", n, 1)
    rng = np.random.default_rng(0)
    vector, numbers, matrix = rng.normal(size=(3, 1)), rng.normal(size=5), rng.normal(size=(3, 3)) + 4 * np.eye(3)
    lamda = sp.Lambda((p, q), sp.exp(a - (x[p] - x[q]) ** 2 / 2))
    K = sp.FunctionMatrix(n, n, lamda) + sp.exp(s) * sp.Identity(n)
    curve = a * sp.exp(-b * t[i])
    fit = sp.Sum((curve - x[i]) ** 2, (i, 0, n - 1))
    evidence = (v.T * K.I * v)[0, 0] / 2 + sp.log(sp.Determinant(K)) / 2
    twice = sp.Sum(sp.sin(x[at[j]]) * y[j] * x[at[m - 1 - j]], (j, 0, m - 1))
    stages = sp.Sum(sp.tanh(x[at[j]]) * sp.tanh(x[j]), (j, 0, m - 1))
    diagonal = sp.Sum(sp.sin(Y[i, 3] * Y[i, 17]) + Y[i, i] ** 2, (i, 0, n - 1))
    row = ((i, n),)
    sizes = {"n": 5, "m": 4}
    places = np.array([0, 2, 2, 1])

    def one(value: Any, *rest: Any) -> ArrayProblem:
        return ArrayProblem([(value, ())], *rest)

    return {
        "curve by numbers": ArrayProblem([(curve, row)], [t, a, b], [a, b], "jacobian", [numbers, 1.3, 0.4], sizes),
        "curve by all": ArrayProblem([(curve, row)], [t, a, b], [t, a, b], "jacobian", [numbers, 1.3, 0.4], sizes),
        "fit": one(fit, [t, x, a, b], [a, b, t], "hessian", [numbers, numbers[::-1], 1.3, 0.4], sizes),
        "number and array": ArrayProblem(
            [(sp.Sum(x[i] ** 3, (i, 0, n - 1)), ()), (x[i] ** 2 * a, row)],
            [x, a],
            [x, a],
            "jacobian",
            [numbers, 2.0],
            sizes,
        ),
        "vector twice": ArrayProblem([(sp.sin(x[i]) * a, row)], [x, a], [x, a], "hessian", [numbers, 2.0], sizes),
        "log det": one(sp.log(sp.Determinant(X)), [X], [X], "hessian", [matrix @ matrix.T], {"n": 3}),
        "det": one(sp.Determinant(X), [X], [X], "hessian", [matrix], {"n": 3}),
        "trace of inverse": one(sp.Trace(X.I), [X], [X], "hessian", [matrix], {"n": 3}),
        "form": one((v.T * X.I * v)[0, 0], [X, v], [X, v], "hessian", [matrix, vector], {"n": 3}),
        "evidence": one(evidence, [x, v, a, s], [a, s, x], "hessian", [numbers[:3], vector, 0.2, -1.0], {"n": 3}),
        "solve": ArrayProblem([((X.I * v)[i, 0], row)], [X, v], [X, v], "jacobian", [matrix, vector], {"n": 3}),
        "inverse": ArrayProblem([(X.I[i, j], ((i, n), (j, n)))], [X], [X], "jacobian", [matrix], {"n": 3}),
        "kernel": ArrayProblem(
            [(sp.exp(-((x[i] - x[j]) ** 2)), ((i, n), (j, n)))], [x], [x], "jacobian", [numbers], sizes
        ),
        "running sum": ArrayProblem([(sp.Sum(sp.sin(x[j]), (j, 0, i)), row)], [x], [x], "jacobian", [numbers], sizes),
        "reversed": ArrayProblem([(x[n - 1 - i] * x[i], row)], [x], [x], "jacobian", [numbers], sizes),
        "two factors that are 0": one(
            sp.Product(x[i], (i, 0, n - 1)), [x], [x], "hessian", [np.array([0.0, 2.0, 0.0, 3.0, -1.0])], sizes
        ),
        "largest": one(Largest(x[i] ** 2, (i, 0, n - 1)), [x], [x], "hessian", [numbers], sizes),
        "gathered twice": one(twice, [x, y, at], [x, y], "hessian", [numbers, rng.normal(size=4), places], sizes),
        "gathered stage": one(stages, [x, at], [x], "hessian", [numbers[:4], places], {"n": 4, "m": 4}),
        "some columns": one(diagonal, [Y], [Y], "hessian", [rng.normal(size=(2, 20))], {"n": 2}),
    }


MORE_PROBLEMS = _more()
