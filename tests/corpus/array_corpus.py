"""Sums over arrays, each with its value and gradients by NumPy: what the array kernels are tried on.

A row is a name, its inputs, the SymPy expression as a function of the symbols of these inputs, and a reference as a
function of their arrays, which returns the value and {input: gradient}. References know nothing of symgrad or SymPy's
derivatives. They get floats as `np.longdouble`, so that central differences of their values check their gradients.

Inputs are written "A n m, x n positive, y n below:m, t, n size": a name, its axes, a kind of numbers. An input without
axes is a scalar; a `size` is an argument because no shape tells it; `x ~n` has n entries and declares no shape. A row
about very sizes ends in "; n=1".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from mpmath import mp

Array = Any  # of np.longdouble, or of int64 for labels
Outcome = tuple[Any, dict[str, Any]]  # the value, and the gradient of each input of floats
Row = tuple[Any, ...]  # name, inputs, expression, reference, and perhaps what is not read

# All different, and n > m > p, so that a transposed axis shows and X (n by m) has full column rank. The long one is no
# multiple of a block of lanes, and longer than one.
SIZES = {
    "small": {"n": 5, "m": 3, "p": 2},
    "other": {"n": 7, "m": 4, "p": 3},
    "long": {"n": 130, "m": 5, "p": 3},
}
n, m, p = EXTENTS = sp.symbols("n m p", integer=True, positive=True)


@dataclass(frozen=True)
class Input:
    name: str
    axes: tuple[sp.Expr, ...]
    kind: str
    declared: bool  # does the symbol declare its shape?

    @property
    def differentiable(self) -> bool:
        return self.kind != "size" and not self.kind.startswith("below:")


@dataclass(frozen=True)
class ArrayCase:
    name: str
    inputs: tuple[Input, ...]
    sizes: dict[str, int]  # where the row is about these very sizes; others are those of `SIZES`
    symbol: Callable[[Input], sp.Basic]
    build: Callable[..., sp.Basic]  # the symbols of the inputs by name -> the expression
    reference: Callable[..., Outcome]  # the arrays of the inputs by name -> value and gradients
    unread: dict[str, Callable[[Array], Array]] = field(default_factory=dict)  # np.triu and the like: what is not read

    def expression(self) -> sp.Basic:
        return self.build(**{x.name: self.symbol(x) for x in self.inputs})

    def arrays(self, size: str) -> dict[str, Any]:
        """Inputs of a size of `SIZES`, the same on every machine: float64 arrays, int64 labels, Python scalars."""
        sizes = SIZES[size] | self.sizes
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), *sizes.values()])
        return {x.name: _numbers(x, sizes, rng) for x in self.inputs}

    def value(self, **arrays: Any) -> np.longdouble:
        return np.longdouble(np.asarray(self.reference(**_long(arrays))[0]).item())

    def gradients(self, **arrays: Any) -> dict[str, Array]:
        """The gradient of each input of floats, in the shape of the input."""
        gradients = self.reference(**_long(arrays))[1]
        return {name: np.broadcast_to(np.longdouble(d), np.shape(arrays[name])) for name, d in gradients.items()}


def cases(rows: Iterable[Row], symbol: Callable[[Input], sp.Basic]) -> list[ArrayCase]:
    return [_case(symbol, *row) for row in rows]


def _case(symbol: Callable[[Input], sp.Basic], name: str, text: str, *functions: Any) -> ArrayCase:
    inputs, _, fixed = text.partition(";")
    sizes = {extent.strip(): int(number) for extent, number in (pair.split("=") for pair in fixed.split())}
    return ArrayCase(name, tuple(map(_input, inputs.split(","))), sizes, symbol, *functions)


def _input(text: str) -> Input:
    name, *words = text.split()
    axes = [sp.sympify(word.lstrip("~"), locals={str(x): x for x in EXTENTS}) for word in words if not _is_kind(word)]
    kind = words[-1] if words and _is_kind(words[-1]) else "normal"
    return Input(name, tuple(axes), kind, declared="~" not in text)


def _is_kind(word: str) -> bool:
    return word == "size" or word.split(":")[0] in KINDS


def _numbers(x: Input, sizes: dict[str, int], rng: np.random.Generator) -> Any:
    if x.kind == "size":
        return sizes[x.name]
    shape = tuple(int(axis.subs({extent: sizes[extent.name] for extent in EXTENTS})) for axis in x.axes)
    kind, _, argument = x.kind.partition(":")
    numbers = KINDS[kind](rng, shape, *([sizes[argument]] if argument else []))
    return numbers if shape else numbers.item()


def _good(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Well conditioned and nowhere near symmetric; where it is square its determinant is positive."""
    return 1.5 * np.eye(shape[0], shape[1]) + rng.normal(0, 0.5 / np.sqrt(max(shape)), shape)


def _spd(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    factor = _good(rng, shape)
    return factor @ factor.T


def _with_zeros(rng: np.random.Generator, shape: tuple[int, ...], zeros: int) -> Array:
    numbers = rng.uniform(0.5, 1.5, shape)
    numbers.flat[1 : 1 + zeros] = 0
    return numbers


def _hole(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Positive, but for the third element: there a logarithm is infinite."""
    numbers = rng.uniform(0.5, 1.5, shape)
    numbers.flat[2:3] = 0
    return numbers


KINDS: dict[str, Callable[..., Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "bits": lambda rng, shape: rng.choice([0.0, 1.0], shape),
    "counts": lambda rng, shape: rng.poisson(2.0, shape).astype(float),
    "huge": lambda rng, shape: rng.choice([-1000.0, 1000.0], shape) + rng.normal(size=shape),
    "good": _good,
    "spd": _spd,
    "one_zero": partial(_with_zeros, zeros=1),
    "two_zeros": partial(_with_zeros, zeros=2),
    "hole": _hole,
    "zero": lambda rng, shape: np.zeros(shape),
    "eye": lambda rng, shape: np.eye(*shape),
    "below": lambda rng, shape, limit: rng.integers(0, limit, shape),
}


def _long(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: a if np.asarray(a).dtype.kind == "i" else np.longdouble(a) for name, a in arrays.items()}


def central_differences(case: ArrayCase, arrays: dict[str, Any], name: str, step: float = 2e-4) -> Array:
    """The gradient of `case.value` with respect to one input, to about 1e-12: of fourth order, in longdouble."""
    x = np.array(arrays[name], dtype=np.longdouble)
    slopes = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[at] = step
        near, far = (
            case.value(**arrays | {name: x + k * move}) - case.value(**arrays | {name: x - k * move}) for k in (1, 2)
        )
        slopes[at] = (8 * near - far) / (12 * step)
    return slopes


# ----------------------------------------------------------------------------------------------------------------------
# Indices, ranges, and the NumPy that several references need
# ----------------------------------------------------------------------------------------------------------------------

i, j, k, l = sp.symbols("i j k l", integer=True)  # noqa: E741  # the letter of the mathematics
over_n, over_m, over_p = (i, 0, n - 1), (j, 0, m - 1), (k, 0, p - 1)
also_n = (j, 0, n - 1)
Sum, Product, exp, log = sp.Sum, sp.Product, sp.exp, sp.log


def _base(x: Input) -> sp.Basic:
    if x.kind == "size":
        return next(extent for extent in EXTENTS if extent.name == x.name)
    if not x.axes:
        return sp.Symbol(x.name)
    integer = {} if x.differentiable else {"integer": True}
    return sp.IndexedBase(x.name, shape=x.axes if x.declared else None, **integer)


def largest(body: sp.Expr, *limits: tuple[Any, ...]) -> sp.Expr:
    from symgrad.reductions import Largest

    return Largest(body, *limits)


def smallest(body: sp.Expr, *limits: tuple[Any, ...]) -> sp.Expr:
    from symgrad.reductions import Smallest

    return Smallest(body, *limits)


def sigmoid(x: Any) -> Any:
    """1/(1 + exp(-x)), of arrays and of expressions."""
    return 1 / (1 + (sp.exp if isinstance(x, sp.Basic) else np.exp)(-x))


def logsumexp(x: Array, axis: int | None = None) -> Array:
    top = x.max(axis=axis, keepdims=True)
    return np.squeeze(top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True)), axis=axis)


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def one_hot(labels: Array, classes: int) -> Array:
    return np.eye(classes, dtype=np.longdouble)[labels]


def scatter(shape: tuple[int, ...], at: Any, numbers: Array) -> Array:
    """Zeros to which the numbers are added at these places, repeated places included."""
    out = np.zeros(shape, np.longdouble)
    np.add.at(out, at, numbers)
    return out


def one_entry(x: Array, row: Any) -> Array:
    """1 in the last column of a row, else 0."""
    return np.outer(np.arange(len(x)) == row, np.arange(x.shape[1]) == x.shape[1] - 1)


def others(x: Array) -> Array:
    """At each place of the last axis the product of all the other entries."""
    return np.stack([np.delete(x, at, axis=-1).prod(axis=-1) for at in range(x.shape[-1])], axis=-1)


def differences(x: Array) -> Array:
    """x[i] - x[j] at [i, j]."""
    return x[:, None] - x[None, :]


# ----------------------------------------------------------------------------------------------------------------------
# References that take more than a line
# ----------------------------------------------------------------------------------------------------------------------


def _triangle_times_a_matrix(L: Array, A: Array) -> Outcome:
    g = np.cos(np.tril(L) @ A)
    return np.sin(np.tril(L) @ A).sum(), {"L": np.tril(g @ A.T), "A": np.tril(L).T @ g}


def _simplex(x: Array, y: Array, z: Array) -> Outcome:
    """Of x_i y_j z_k over k <= j <= i."""
    zs, xs = np.cumsum(z), np.cumsum(x[::-1])[::-1]
    return (x * np.cumsum(y * zs)).sum(), {
        "x": np.cumsum(y * zs),
        "y": xs * zs,
        "z": np.cumsum((xs * y)[::-1])[::-1],
    }


def _strict_simplex(x: Array) -> Outcome:
    """Of x_i x_j x_k over i < j < k: an elementary symmetric polynomial, by Newton's identities."""
    s1, s2, s3 = x.sum(), (x**2).sum(), (x**3).sum()
    return (s1**3 - 3 * s1 * s2 + 2 * s3) / 6, {"x": (3 * s1**2 - 3 * s2 - 6 * s1 * x + 6 * x**2) / 6}


def _tetrahedron(T: Array, x: Array) -> Outcome:
    a, b, c = np.indices(T.shape)
    read = (c <= b) & (b <= a)
    return (T * x[:, None, None])[read].sum(), {"T": read * x[:, None, None], "x": (T * read).sum(axis=(1, 2))}


def _convolution(x: Array, w: Array) -> Outcome:
    windows = np.lib.stride_tricks.sliding_window_view(x, len(w))
    y = windows @ w
    d_x = np.zeros_like(x)
    for at, weight in enumerate(w):
        d_x[at : at + len(y)] += 2 * y * weight
    return y @ y, {"x": d_x, "w": 2 * y @ windows}


def _part_of_a_contraction(X: Array, W: Array) -> Outcome:
    P = np.tanh(X[:, 1:] @ W[1:])
    G = 1 - P**2
    d_X, d_W = np.zeros_like(X), np.zeros_like(W)
    d_X[:, 1:], d_W[1:] = G @ W[1:].T, X[:, 1:].T @ G
    return P.sum(), {"X": d_X, "W": d_W}


def _chain_of_gathers(x: Array, a: Array, b: Array) -> Outcome:
    picked = x[a[b]]
    return (picked**2).sum(), {"x": scatter(x.shape, a[b], 2 * picked)}


def _embedding(U: Array, V: Array, a: Array, b: Array) -> Outcome:
    s = (U[a] * V[b]).sum(axis=1)
    pull = sigmoid(-s)[:, None]
    return np.log(sigmoid(s)).sum(), {"U": scatter(U.shape, a, pull * V[b]), "V": scatter(V.shape, b, pull * U[a])}


def _observed_entries(U: Array, V: Array, a: Array, b: Array, r: Array) -> Outcome:
    miss = (U[a] * V[b]).sum(axis=1) - r
    by = 2 * miss[:, None]
    return miss @ miss, {
        "U": scatter(U.shape, a, by * V[b]),
        "V": scatter(V.shape, b, by * U[a]),
        "r": -2 * miss,
    }


def _markov(P: Array, s: Array) -> Outcome:
    """The log-likelihood of a chain of states, the rows of P being logits."""
    at = s[:-1], s[1:]
    rows = scatter((len(P),), s[:-1], np.ones(len(s) - 1))
    value = P[at].sum() - (rows * logsumexp(P, axis=1)).sum()
    return value, {"P": scatter(P.shape, at, np.ones(len(s) - 1)) - rows[:, None] * softmax(P)}


def _sum_of_products(A: Array) -> Outcome:
    return A.prod(axis=1).sum(), {"A": others(A)}


def _product_of_sums(A: Array, b: Array) -> Outcome:
    s = A @ b
    return s.prod(), {"A": np.outer(others(s), b), "b": others(s) @ A}


def _running_products(x: Array) -> Outcome:
    heads = np.cumprod(x)
    return heads.sum(), {"x": np.cumsum(heads[::-1])[::-1] / x}


def _squared_product(x: Array) -> Outcome:
    product = x.prod()
    return product**2 + product, {"x": (2 * product + 1) * others(x)}


def _largest_of_rows(A: Array, x: Array) -> Outcome:
    at = A.argmax(axis=1)
    top = A[np.arange(len(A)), at]
    return x @ top, {"A": scatter(A.shape, (np.arange(len(A)), at), x), "x": top}


def _nearest_centre(X: Array, C: Array) -> Outcome:
    apart = X[:, None, :] - C[None, :, :]
    at = (apart**2).sum(axis=2).argmin(axis=1)
    gap = X - C[at]
    return (gap**2).sum(), {"X": 2 * gap, "C": scatter(C.shape, at, -2 * gap)}


def _spread(x: Array) -> Outcome:
    high, low = x.argmax(), x.argmin()
    reach = x[high] - x[low]
    return reach**2, {"x": scatter(x.shape, [high, low], 2 * reach * np.array([1, -1]))}


def _safe_logsumexp(x: Array) -> Outcome:
    return logsumexp(x), {"x": softmax(x)}


def _rows_of_logsumexp(S: Array, c: Array) -> Outcome:
    rows = logsumexp(S, axis=1)
    return c @ rows, {"S": c[:, None] * softmax(S), "c": rows}


def _matern_expression(x: Any, scale: Any, c: Any) -> sp.Expr:
    """A quadratic form of a Matern kernel of smoothness 5/2 with a length scale per axis: also of each point itself."""
    r = sp.sqrt(5 * Sum((x[i, k] - x[j, k]) ** 2 / scale[k] ** 2, over_p))
    return Sum(c[i] * c[j] * (1 + r + r**2 / 3) * exp(-r), over_n, (j, 0, n - 1))


def _matern(x: Array, scale: Array, c: Array) -> Outcome:
    apart = x[:, None, :] - x[None, :, :]
    r = np.sqrt(5 * (apart**2 / scale**2).sum(axis=2))
    kernel = (1 + r + r**2 / 3) * np.exp(-r)
    slope = -(1 + r) * np.exp(-r) / 3 * np.outer(c, c)  # of the kernel by r, over r
    return c @ kernel @ c, {
        "x": 10 * (slope[:, :, None] * apart).sum(axis=1) / scale**2,
        "scale": -5 * (slope[:, :, None] * apart**2).sum(axis=(0, 1)) / scale**3,
        "c": 2 * kernel @ c,
    }


def _log_two_and_sum(x: Array) -> Outcome:
    """log(2 + sum exp x), of any size of x."""
    padded = np.append(x, np.log(np.longdouble(2)))
    return logsumexp(padded), {"x": softmax(padded)[:-1]}


def _softmax_mean(x: Array, c: Array) -> Outcome:
    s = softmax(x)
    return s @ c, {"x": s * (c - s @ c), "c": s}


def _attention(Q: Array, K: Array, V: Array, c: Array) -> Outcome:
    """sum_i sum_d c_d sum_j softmax_j(Q_i . K_j) V_jd."""
    s = softmax(Q @ K.T)
    read = V @ c
    d_scores = s * (read[None, :] - (s @ read)[:, None])
    return (s @ read).sum(), {
        "Q": d_scores @ K,
        "K": d_scores.T @ Q,
        "V": np.outer(s.sum(axis=0), c),
        "c": V.T @ s.sum(axis=0),
    }


def _attention_expression(Q: Any, K: Any, V: Any, c: Any) -> sp.Expr:
    at, other = sp.symbols("r s", integer=True)
    weight = exp(Sum(Q[i, k] * K[at, k], over_p)) / Sum(exp(Sum(Q[i, k] * K[other, k], over_p)), (other, 0, n - 1))
    return Sum(c[j] * Sum(weight * V[at, j], (at, 0, n - 1)), over_n, over_m)


def _entropy_of_softmax(x: Array) -> Outcome:
    s = softmax(x)
    logs = x - logsumexp(x)
    entropy = -(s @ logs)
    return entropy, {"x": -s * (logs + entropy)}


def _rosenbrock(x: Array) -> Outcome:
    bend, d_x = x[1:] - x[:-1] ** 2, np.zeros_like(x)
    d_x[:-1] = -400 * x[:-1] * bend - 2 * (1 - x[:-1])
    d_x[1:] += 200 * bend
    return (100 * bend**2 + (1 - x[:-1]) ** 2).sum(), {"x": d_x}


def _logistic(X: Array, y: Array, w: Array, lam: Array) -> Outcome:
    """y of -1 and 1; with an L2 penalty."""
    margin = y * (X @ w)
    pull = -sigmoid(-margin)
    return np.log1p(np.exp(-margin)).sum() + lam * w @ w / 2, {
        "X": np.outer(pull * y, w),
        "y": pull * (X @ w),
        "w": X.T @ (pull * y) + lam * w,
        "lam": w @ w / 2,
    }


def _softmax_regression(X: Array, W: Array, b: Array, y: Array) -> Outcome:
    scores = X @ W + b
    error = softmax(scores) - one_hot(y, len(b))
    value = (logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]).sum()
    return value, {"X": error @ W.T, "W": X.T @ error, "b": error.sum(axis=0)}


def _scores(X: Any, W: Any, b: Any, c: Any) -> sp.Expr:
    """The score of point i for class c."""
    return Sum(X[i, j] * W[j, c], over_m) + b[c]


def _softmax_regression_expression(X: Any, W: Any, b: Any, y: Any) -> sp.Expr:
    return Sum(log(Sum(exp(_scores(X, W, b, k)), over_p)) - _scores(X, W, b, y[i]), over_n)


def _net(X: Array, A: Array, a: Array, B: Array, b: Array, y: Array) -> Outcome:
    """X (n, 2) -> tanh of (n, m) -> scores (n, p), labels y; the mean of the cross entropies."""
    hidden = np.tanh(X @ A + a)
    value, below = _softmax_regression(hidden, B, b, y)
    d_sum = below["X"] * (1 - hidden**2) / len(y)
    return value / len(y), {
        "X": d_sum @ A.T,
        "A": X.T @ d_sum,
        "a": d_sum.sum(axis=0),
        "B": below["W"] / len(y),
        "b": below["b"] / len(y),
    }


def _net_expression(X: Any, A: Any, a: Any, B: Any, b: Any, y: Any) -> sp.Expr:
    hidden = sp.tanh(Sum(X[i, l] * A[l, j], (l, 0, 1)) + a[j])

    def score(c: Any) -> sp.Expr:
        return Sum(hidden * B[j, c], over_m) + b[c]

    return Sum(log(Sum(exp(score(k)), over_p)) - score(y[i]), over_n) / n


def _relu_net(X: Array, A: Array, b: Array, c: Array, y: Array) -> Outcome:
    before = X @ A + b
    hidden = np.maximum(0, before)
    miss = hidden @ c - y
    d_before = np.outer(miss, c) * (before > 0)
    return (miss**2).sum() / 2, {
        "X": d_before @ A.T,
        "A": X.T @ d_before,
        "b": d_before.sum(axis=0),
        "c": hidden.T @ miss,
        "y": -miss,
    }


def _relu_net_expression(X: Any, A: Any, b: Any, c: Any, y: Any) -> sp.Expr:
    hidden = sp.Max(0, Sum(X[i, k] * A[k, j], over_p) + b[j])
    return Sum((Sum(hidden * c[j], over_m) - y[i]) ** 2, over_n) / 2


def _hinge(X: Array, y: Array, w: Array, b: Array, c: Array) -> Outcome:
    slack = 1 - y * (X @ w + b)
    on = slack > 0
    return w @ w / 2 + c * slack[on].sum(), {
        "X": -c * np.outer(on * y, w),
        "y": -c * on * (X @ w + b),
        "w": w - c * X.T @ (on * y),
        "b": -c * (on * y).sum(),
        "c": slack[on].sum(),
    }


def _mixture(X: Array, alpha: Array, mu: Array, q: Array, L: Array) -> Outcome:
    """After ADBench: X (n, p), m parts of weights softmax(alpha), inverse factors with diagonal exp(q) and L below."""
    parts, size = mu.shape
    factors = np.tril(L, -1)
    factors[:, np.arange(size), np.arange(size)] = np.exp(q)
    apart = X[:, None, :] - mu[None, :, :]
    r = np.einsum("mab,nmb->nma", factors, apart)
    scores = alpha + q.sum(axis=1) - (r**2).sum(axis=2) / 2
    weight = softmax(scores)
    pulled = np.einsum("nm,nma,mab->nmb", weight, r, factors)
    d_factors = -np.einsum("nm,nma,nmb->mab", weight, r, apart)
    diagonal = np.einsum("maa->ma", d_factors)
    value = logsumexp(scores, axis=1).sum() - len(X) * logsumexp(alpha)
    return value, {
        "X": -pulled.sum(axis=1),
        "alpha": weight.sum(axis=0) - len(X) * softmax(alpha),
        "mu": pulled.sum(axis=0),
        "q": weight.sum(axis=0)[:, None] + diagonal * np.exp(q),
        "L": np.tril(d_factors, -1) * np.ones((parts, 1, 1)),
    }


def _mixture_expression(X: Any, alpha: Any, mu: Any, q: Any, L: Any) -> sp.Expr:
    below = Sum(L[j, k, l] * (X[i, l] - mu[j, l]), (l, 0, k - 1))
    distance = Sum((exp(q[j, k]) * (X[i, k] - mu[j, k]) + below) ** 2, over_p)
    part = exp(alpha[j] + Sum(q[j, k], over_p) - distance / 2)
    return Sum(log(Sum(part, over_m)), over_n) - n * log(Sum(exp(alpha[j]), over_m))


def _least_squares(X: Array, w: Array, b: Array, y: Array) -> Outcome:
    miss = X @ w + b - y
    return miss @ miss, {"X": 2 * np.outer(miss, w), "w": 2 * X.T @ miss, "b": 2 * miss.sum(), "y": -2 * miss}


def _poisson(X: Array, w: Array, y: Array) -> Outcome:
    rate = np.exp(X @ w)
    return (rate - y * (X @ w)).sum(), {"X": np.outer(rate - y, w), "w": X.T @ (rate - y), "y": -(X @ w)}


def _stress(X: Array, D: Array) -> Outcome:
    """sum over i < j of (|X_i - X_j| - D_ij)^2."""
    apart = differences(X)
    distance = np.sqrt((apart**2).sum(axis=2))
    upper = np.triu(np.ones(D.shape, bool), 1)
    miss = np.where(upper, distance - D, 0)
    pull = (miss + miss.T) / np.where(distance == 0, 1, distance)
    return (miss**2).sum(), {"X": 2 * (pull[:, :, None] * apart).sum(axis=1), "D": -2 * miss}


def _charges(X: Array, q: Array) -> Outcome:
    """sum over j < i of q_i q_j / |X_i - X_j|."""
    apart = differences(X)
    inverse = 1 / (np.sqrt((apart**2).sum(axis=2)) + np.eye(len(q))) * (1 - np.eye(len(q)))
    return q @ inverse @ q / 2, {
        "X": -((np.outer(q, q) * inverse**3)[:, :, None] * apart).sum(axis=1),
        "q": inverse @ q,
    }


def _kernel_form(X: Array, a: Array, g: Array) -> Outcome:
    """sum_ij a_i a_j exp(-g |X_i - X_j|^2)."""
    apart = differences(X)
    squares = (apart**2).sum(axis=2)
    K = np.exp(-g * squares)
    weight = np.outer(a, a) * K
    return weight.sum(), {
        "X": -4 * g * (weight[:, :, None] * apart).sum(axis=1),
        "a": 2 * K @ a,
        "g": -(weight * squares).sum(),
    }


def _autoregression(x: Array, a: Array, c: Array) -> Outcome:
    miss = x[1:] - a * x[:-1] - c
    d_x = np.zeros_like(x)
    d_x[1:], d_x[:-1] = 2 * miss, d_x[:-1] - 2 * a * miss
    d_x[1:-1] = 2 * miss[:-1] - 2 * a * miss[1:]
    return miss @ miss, {"x": d_x, "a": -2 * miss @ x[:-1], "c": -2 * miss.sum()}


def _autoregression_of_order_p(x: Array, a: Array) -> Outcome:
    order = len(a)
    value, d_x, d_a = np.longdouble(0), np.zeros_like(x), np.zeros_like(a)
    for t in range(order, len(x)):
        past = x[t - order : t][::-1]
        miss = x[t] - a @ past
        value += miss**2
        d_x[t] += 2 * miss
        d_x[t - order : t] -= 2 * miss * a[::-1]
        d_a -= 2 * miss * past
    return value, {"x": d_x, "a": d_a}


def _cumulative(x: Array, y: Array) -> Outcome:
    miss = np.cumsum(x) - y
    return (miss**2).sum(), {"x": 2 * np.cumsum(miss[::-1])[::-1], "y": -2 * miss}


def _cox(s: Array) -> Outcome:
    """Cox's partial likelihood, the times in rising order."""
    tails = np.array([logsumexp(s[at:]) for at in range(len(s))])
    share = np.triu(np.exp(s[None, :] - tails[:, None]))
    return (s - tails).sum(), {"s": 1 - share.sum(axis=0)}


def _unit(length: int, at: int) -> Array:
    return np.eye(length, dtype=np.longdouble)[at]


def _every_second(x: Array) -> Outcome:
    d_x = np.zeros_like(x)
    half = np.arange((len(x) + 1) // 2)
    d_x[2 * half] += x[half]
    d_x[half] += x[2 * half]
    return x[2 * half] @ x[half], {"x": d_x}


def _squared(x: Any) -> sp.Expr:
    """The squared distance of the points i and j."""
    return Sum((x[i, l] - x[j, l]) ** 2, (l, 0, x.shape[1] - 1))


def _pairs(x: Array, value: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Outcome:
    """The sum over i != j of a function of the distance between the rows i and j; its slope is over the distance."""
    apart = x[:, None] - x
    r = np.sqrt((apart**2).sum(axis=2)) + np.eye(len(x))
    off = 1 - np.eye(len(x))
    return (value(r) * off).sum(), {"x": 2 * ((slope(r) * off / r)[:, :, None] * apart).sum(axis=1)}


def _coulomb(x: Array, q: Array) -> Outcome:
    apart = x[:, None] - x
    r = np.sqrt((apart**2).sum(axis=2)) + np.diag(np.full(len(x), np.inf))
    return q @ (1 / r) @ q / 2, {
        "q": (1 / r) @ q,
        "x": -((q[:, None] * q / r**3)[:, :, None] * apart).sum(axis=1),
    }


def _stillinger_weber(r: Array) -> Array:
    return np.where(r < 2, (1 / r**4 - 0.5) * np.exp(1 / np.where(r < 2, r - 2, -1)), 0)


def _stillinger_weber_slope(r: Array) -> Array:
    inside = np.where(r < 2, r - 2, -1)
    return np.where(r < 2, (-4 / r**5 - (1 / r**4 - 0.5) / inside**2) * np.exp(1 / inside), 0)


def _logarithms_in_triangles(A: Array) -> Outcome:
    rows, columns = np.indices(A.shape)
    is_read = ((columns <= rows + 1) & (rows < len(A) - 1)) | (columns >= rows + 3)
    return np.log(A[is_read]).sum(), {"A": np.where(is_read, 1 / np.where(is_read, A, 1), 0)}


def _two_domains(x: Array) -> Outcome:
    d_x = np.exp(x)
    d_x[:-1] += x[1:] * np.cos(x[:-1] * x[1:])
    d_x[1:] += x[:-1] * np.cos(x[:-1] * x[1:])
    d_x[0] += 3 * x[0] ** 2
    return np.exp(x).sum() + np.sin(x[:-1] * x[1:]).sum() + x[0] ** 3, {"x": d_x}


def _variance(x: Array) -> Outcome:
    apart = x - x.mean()
    return (apart**2).mean(), {"x": 2 * apart / len(x)}


def _correlation(x: Array, y: Array) -> Outcome:
    u, v = x - x.mean(), y - y.mean()
    norms = np.sqrt((u @ u) * (v @ v))
    r = u @ v / norms
    return r, {"x": v / norms - r * u / (u @ u), "y": u / norms - r * v / (v @ v)}


def _correlation_expression(x: Any, y: Any) -> sp.Expr:
    u, v = (a[i] - Sum(a[j], also_n) / n for a in (x, y))
    return Sum(u * v, over_n) / sp.sqrt(Sum(u**2, over_n) * Sum(v**2, over_n))


def _cosine(x: Array, y: Array) -> Outcome:
    a, b = np.sqrt(x @ x), np.sqrt(y @ y)
    c = x @ y / (a * b)
    return c, {"x": y / (a * b) - c * x / a**2, "y": x / (a * b) - c * y / b**2}


def _student(x: Array, mu: Array, nu: Array) -> Outcome:
    """The log-likelihood of Student's t: gamma functions of a scalar beside a sum."""
    u = x - mu
    half, count = float((nu + 1) / 2), len(x)
    constant = float(mp.loggamma(half) - mp.loggamma(float(nu / 2))) - np.log(nu * np.longdouble(np.pi)) / 2
    slope = float(mp.digamma(half) - mp.digamma(float(nu / 2))) / 2 - 1 / (2 * nu)
    d_u = -(nu + 1) * u / (nu + u**2)
    value = count * constant - (nu + 1) / 2 * np.log1p(u**2 / nu).sum()
    d_nu = count * slope - np.log1p(u**2 / nu).sum() / 2 + (nu + 1) / 2 * (u**2 / nu / (nu + u**2)).sum()
    return value, {"x": d_u, "mu": -d_u.sum(), "nu": d_nu}


def _student_expression(x: Any, mu: Any, nu: Any) -> sp.Expr:
    constant = sp.loggamma((nu + 1) / 2) - sp.loggamma(nu / 2) - log(nu * sp.pi) / 2
    return n * constant - (nu + 1) / 2 * Sum(log(1 + (x[i] - mu) ** 2 / nu), over_n)


def _laplacian(A: Array) -> Outcome:
    r = A[2:, 1:-1] + A[:-2, 1:-1] + A[1:-1, 2:] + A[1:-1, :-2] - 4 * A[1:-1, 1:-1]
    d_A = np.zeros_like(A)
    d_A[2:, 1:-1] += r
    d_A[:-2, 1:-1] += r
    d_A[1:-1, 2:] += r
    d_A[1:-1, :-2] += r
    d_A[1:-1, 1:-1] -= 4 * r
    return (r**2).sum() / 2, {"A": d_A}


def _corners(A: Array) -> Array:
    rows, columns = np.indices(A.shape)
    return np.isin(rows, [0, len(A) - 1]) & np.isin(columns, [0, A.shape[1] - 1])


def _stencil_expression(A: Any) -> sp.Expr:
    around = A[i + 1, j] + A[i - 1, j] + A[i, j + 1] + A[i, j - 1]
    return Sum((around - 4 * A[i, j]) ** 2, (i, 1, n - 2), (j, 1, m - 2)) / 2


def _tensor_form(T: Array, x: Array, y: Array, z: Array) -> Outcome:
    return np.einsum("ijk,i,j,k", T, x, y, z), {
        "T": np.einsum("i,j,k->ijk", x, y, z),
        "x": np.einsum("ijk,j,k->i", T, y, z),
        "y": np.einsum("ijk,i,k->j", T, x, z),
        "z": np.einsum("ijk,i,j->k", T, x, y),
    }


def _canonical_decomposition(T: Array, A: Array, B: Array, C: Array) -> Outcome:
    """T (n, m, p) against three terms of rank one."""
    miss = np.einsum("ir,jr,kr->ijk", A, B, C) - T
    return (miss**2).sum(), {
        "T": -2 * miss,
        "A": 2 * np.einsum("ijk,jr,kr->ir", miss, B, C),
        "B": 2 * np.einsum("ijk,ir,kr->jr", miss, A, C),
        "C": 2 * np.einsum("ijk,ir,jr->kr", miss, A, B),
    }


def _faces_of_a_tensor(T: Array, x: Array) -> Outcome:
    """T is n by n by m: a face, a diagonal plane, and the last row of the first plane."""
    d_T = np.zeros_like(T)
    at = np.arange(len(T))
    d_T[at, at, :] += 2 * T[at, at, :]
    d_T[0, :, 1] += x
    d_T[-1, 0, :] += 1
    return (T[at, at, :] ** 2).sum() + T[0, :, 1] @ x + T[-1, 0, :].sum(), {"T": d_T, "x": T[0, :, 1]}


def _polynomial(c: Array, t: Array) -> Outcome:
    at = np.arange(len(c))
    return (c * t**at).sum(), {"c": t**at, "t": (c[1:] * at[1:] * t ** at[:-1]).sum()}


def _fourier(x: Array, f: Array) -> Outcome:
    angle = 2 * np.longdouble(np.pi) * np.arange(len(x)) / len(x)
    c, s = x @ np.cos(f * angle), x @ np.sin(f * angle)
    return c**2 + s**2, {
        "x": 2 * c * np.cos(f * angle) + 2 * s * np.sin(f * angle),
        "f": -2 * c * (x * angle) @ np.sin(f * angle) + 2 * s * (x * angle) @ np.cos(f * angle),
    }


def _huber(x: Array, d: Array) -> Outcome:
    near = np.abs(x) < d
    return np.where(near, x**2 / 2, d * (np.abs(x) - d / 2)).sum(), {
        "x": np.where(near, x, d * np.sign(x)),
        "d": (~near * (np.abs(x) - d)).sum(),
    }


def _guarded_logs(x: Array) -> Outcome:
    """log where x is positive, x^2 elsewhere."""
    safe = np.where(x > 0, x, 1)
    return np.where(x > 0, np.log(safe), x**2).sum(), {"x": np.where(x > 0, 1 / safe, 2 * x)}


def _at_remainders(x: Array, y: Array, at: Array) -> Outcome:
    d_y = np.zeros_like(y)
    np.add.at(d_y, at, 2 * x * y[at])
    return (x * y[at] ** 2).sum(), {"x": y[at] ** 2, "y": d_y}


def _roots_of_pairs(x: Array, y: Array, taken: Array) -> Outcome:
    """sqrt(x_i)*y_j, summed over the pairs of a table of truth values."""
    root = np.sqrt(np.where(taken.any(1), x, 1))
    weights = (taken * y).sum(1)
    return (root * weights).sum(), {"x": weights / (2 * root), "y": (taken * root[:, None]).sum(0)}


def _generated_names(b: Array, i0: Any, nb: Any, start: Any, stop: Any, m: Any, n_: Any, value: Any) -> Outcome:
    weight = i0 + nb * start - stop * m
    s = (b * value).sum()
    return weight * s + n_, {
        "b": weight * value,
        "i0": s,
        "nb": start * s,
        "start": nb * s,
        "stop": -m * s,
        "m": -stop * s,
        "n_": 1,
        "value": weight * b,
    }


def _more_generated_names(d_x: Array, x: Array, block: Array, total: Any, kernel: Any, acc: Any, np_: Any) -> Outcome:
    s = (block @ d_x) * x
    return total * s.sum() + kernel * acc - np_, {
        "d_x": total * block.T @ x,
        "x": total * block @ d_x,
        "block": total * np.outer(x, d_x),
        "total": s.sum(),
        "kernel": acc,
        "acc": kernel,
        "np_": -1,
    }


def _every_other(x: Array, y: Array) -> Outcome:
    d_x = np.zeros_like(x)
    d_x[::2], d_x[1::2] = y * x[1::2], y * x[::2]
    return (y * x[::2] * x[1::2]).sum(), {"x": d_x, "y": x[::2] * x[1::2]}


def _only_inner(x: Array) -> Outcome:
    d_x = np.zeros_like(x)
    d_x[1:4] = 2 * x[1:4]
    return (x[1:4] ** 2).sum(), {"x": d_x}


def _total_variation(x: Array) -> Outcome:
    step, d_x = np.diff(x), np.zeros_like(x)
    d_x[1:] += step / np.sqrt(step**2 + 1)
    d_x[:-1] -= step / np.sqrt(step**2 + 1)
    return np.sqrt(step**2 + 1).sum(), {"x": d_x}


def _from_the_start(x: Array) -> Outcome:
    """x_0^2 and the squared steps, told by a Piecewise on the index."""
    step = np.diff(x, prepend=np.longdouble(0))
    return step @ step, {"x": 2 * step - 2 * np.append(step[1:], 0)}


def _band(A: Array, x: Array) -> Outcome:
    """|i - j| <= 1."""
    band = np.triu(np.tril(np.ones(A.shape), 1), -1)
    return x @ (A * band) @ x, {"A": band * np.outer(x, x), "x": (A * band + (A * band).T) @ x}


def _forward_substitution(L: Array, x: Array, b: Array) -> Outcome:
    """The squared residual of a lower triangular system."""
    lower = np.tril(L)
    miss = lower @ x - b
    return miss @ miss, {"L": 2 * np.tril(np.outer(miss, x)), "x": 2 * lower.T @ miss, "b": -2 * miss}


def _power_of_index(x: Array) -> Outcome:
    at = np.arange(1, len(x) + 1)
    return ((x / 4) ** at).sum(), {"x": at / np.longdouble(4) * (x / 4) ** (at - 1)}


def _ising(s: Array, h: Array, J: Array) -> Outcome:
    return -J * (s * np.roll(s, -1))[:-1].sum() - J * s[-1] * s[0] - h @ s, {
        "s": -J * (np.roll(s, 1) + np.roll(s, -1)) - h,
        "h": -s,
        "J": -(s * np.roll(s, -1)).sum(),
    }


def _bradley_terry(s: Array, a: Array, b: Array) -> Outcome:
    pull = sigmoid(s[b] - s[a])
    return np.log(sigmoid(s[a] - s[b])).sum(), {"s": scatter(s.shape, a, pull) - scatter(s.shape, b, pull)}


def _factorisation_machine(x: Array, V: Array) -> Outcome:
    """sum over i < j of (V_i . V_j) x_i x_j."""
    inner = V @ V.T
    np.fill_diagonal(inner, 0)
    return x @ inner @ x / 2, {"x": inner @ x, "V": x[:, None] * ((x @ V)[None, :] - x[:, None] * V)}


def _label_counts(S: Array, y: Array) -> Outcome:
    on = one_hot(y, S.shape[1])
    return (S**2 * on).sum(), {"S": 2 * S * on}


def _sines(x: Array, y: Array, slopes: Callable[[Array], tuple[Any, Array]]) -> Outcome:
    """A function of the sums S_k = sum over j of sin(x_k y_j); `slopes` gives its value and its derivative by S."""
    value, slope = slopes(np.sin(np.outer(x, y)).sum(axis=1))
    waves = slope[:, None] * np.cos(np.outer(x, y))
    return value, {"x": waves @ y, "y": waves.T @ x}


def _sum_of_sines(x: Any, y: Any, at: Any) -> sp.Expr:
    return Sum(sp.sin(x[at] * y[j]), over_m)


def _neighbouring_sums(S: Array) -> tuple[Any, Array]:
    products = np.zeros_like(S)
    products[1:-1] = np.exp(S[1:-1] + S[2:])
    return products.sum(), products + np.roll(products, 1)


def _gathered_sums(S: Array, at: Array) -> tuple[Any, Array]:
    return S[1:] @ S[at[1:]], np.concatenate([[0], S[at[1:]]]) + scatter(S.shape, at[1:], S[1:])


def _mirrored_sums(S: Array) -> tuple[Any, Array]:
    inner = np.concatenate([[0], S[-2:0:-1], [0]])
    return inner @ S, 2 * inner


def _by_the_sum_before(x: Array, y: Array) -> Outcome:
    """sum over i > 0 of x_i x_(i-1) where the sum of sines of x_(i-1) is positive, else of x_i squared."""
    taken = np.sin(np.outer(x, y)).sum(axis=1)[:-1] > 0
    d_x = np.append(0, np.where(taken, x[:-1], 2 * x[1:])) + np.append(np.where(taken, x[1:], 0), 0)
    return (x[1:] * np.where(taken, x[:-1], x[1:])).sum(), {"x": d_x, "y": 0}


def _branch_of_a_sum(x: Array, y: Array, t: Array) -> Outcome:
    if x[1] > 0:
        return t, {"x": 0, "y": 0, "t": 1}
    return np.log(x[0] ** 2 + 1) + y.sum(), {"x": 2 * x / (x**2 + 1) * np.eye(len(x))[0], "y": 1, "t": 0}


def _by_parity(x: Array, y: Array) -> Outcome:
    odd = np.add.outer(np.arange(len(x)), np.arange(len(y))) % 2
    return ((1 - odd) * np.outer(x, y)).sum() + (odd.T * x**2).sum(), {
        "x": (1 - odd) @ y + 2 * x * odd.sum(axis=1),
        "y": x @ (1 - odd),
    }


def _mirrored_where(x: Array, where: Array) -> Outcome:
    """sum over j of x_j x_(n-1-j), for some j."""
    return (where * x) @ x[::-1], {"x": (1 * where + where[::-1]) * x[::-1]}


def _mirrored_but_one(x: Array, y: Array) -> Outcome:
    at = np.arange(len(x))
    value, slopes = _mirrored_where(x, (at > 0) & (at < len(x) - 1) & (at != 2))
    return value + y[2], slopes | {"y": at == 2}


def _mirrored_rows(X: Array, y: Array) -> Outcome:
    """sum over inner i and r of E_ir E_(n-1-i)r, where E = exp(sum over j of sin(X y_j))."""
    waves = X[:, :, None] * y[1:]
    E = np.exp(np.sin(waves).sum(axis=2))
    slope = np.zeros_like(X)
    slope[1:-1, 1:] = 2 * (E * E[::-1])[1:-1, 1:]
    d_y = np.einsum("ir,irj,ir->j", slope, np.cos(waves), X)
    value = (E * E[::-1])[1:-1, 1:].sum()
    return value, {"X": slope * (np.cos(waves) @ y[1:]), "y": np.concatenate([[0], d_y])}


def _last_two_columns(X: Array, y: Array) -> Outcome:
    """sum over i and the last two r of tanh(S_ir) S_i(r-1), where S = sum over j of sin(X y_j)."""
    waves = X[:, :, None] * y
    S = np.sin(waves).sum(axis=2)
    slope = np.zeros_like(X)
    slope[:, -2:] = (1 - np.tanh(S[:, -2:]) ** 2) * S[:, -3:-1]
    slope[:, -3:-1] += np.tanh(S[:, -2:])
    value = (np.tanh(S[:, -2:]) * S[:, -3:-1]).sum()
    d_y = np.einsum("ir,irj,ir->j", slope, np.cos(waves), X)
    return value, {"X": slope * (np.cos(waves) @ y), "y": d_y}


def _every_other_column(X: Array, y: Array) -> Outcome:
    slope = 1 - np.tanh(X[:, ::2] * y) ** 2
    d_X = np.zeros_like(X)
    d_X[:, ::2] = slope * y
    return np.tanh(X[:, ::2] * y).sum(), {"X": d_X, "y": (slope * X[:, ::2]).sum(axis=0)}


# ----------------------------------------------------------------------------------------------------------------------
# The table
# ----------------------------------------------------------------------------------------------------------------------

_SUMS: list[Row] = [
    ("total", "x n", lambda x: Sum(x[i], over_n), lambda x: (x.sum(), {"x": 1})),
    ("total_of_no_shape", "x ~n", lambda x: Sum(x[i], over_n), lambda x: (x.sum(), {"x": 1})),
    ("squares", "x n", lambda x: Sum(x[i] ** 2, over_n), lambda x: (x @ x, {"x": 2 * x})),
    ("counted_from_one", "x n", lambda x: Sum(x[i - 1] ** 3, (i, 1, n)), lambda x: ((x**3).sum(), {"x": 3 * x**2})),
    (
        "index_with_range",
        "x n, y n",
        lambda x, y: (lambda at: Sum(x[at] * y[at], at))(sp.Idx("i", n)),
        lambda x, y: (x @ y, {"x": y, "y": x}),
    ),
    (
        "concrete_shape",
        "x 4, y 4",
        lambda x, y: Sum(x[i] * sp.sin(y[i]), (i, 0, 3)),
        lambda x, y: (x @ np.sin(y), {"x": np.sin(y), "y": x * np.cos(y)}),
    ),
    (
        "concrete_bounds",
        "x n",
        lambda x: Sum(x[i] ** 2, (i, 1, 3)),
        _only_inner,
        {"x": lambda x: np.isin(np.arange(len(x)), [1, 2, 3], invert=True)},
    ),
    (
        "concrete_matrix",
        "A 2 3, x 2, y 3",
        lambda A, x, y: Sum(A[i, j] * x[i] * y[j], (i, 0, 1), (j, 0, 2)),
        lambda A, x, y: (x @ A @ y, {"A": np.outer(x, y), "x": A @ y, "y": x @ A}),
    ),
    (
        "bilinear",
        "A n m, x n, y m",
        lambda A, x, y: Sum(x[i] * A[i, j] * y[j], over_n, over_m),
        lambda A, x, y: (x @ A @ y, {"A": np.outer(x, y), "x": A @ y, "y": x @ A}),
    ),
    (
        "nested",
        "A n m, y m",
        lambda A, y: Sum(Sum(A[i, j] * y[j], over_m) ** 2, over_n),
        lambda A, y: (
            (A @ y) @ (A @ y),
            {"A": 2 * np.outer(A @ y, y), "y": 2 * A.T @ (A @ y)},
        ),
    ),
    (
        "nested_thrice",
        "A n m, B m p, c p",
        lambda A, B, c: Sum(Sum(A[i, j] * Sum(B[j, k] * c[k], over_p) ** 2, over_m), over_n),
        lambda A, B, c: (
            (A @ (B @ c) ** 2).sum(),
            {
                "A": np.ones((len(A), 1)) * (B @ c) ** 2,
                "B": 2 * np.outer(A.sum(axis=0) * (B @ c), c),
                "c": 2 * B.T @ (A.sum(axis=0) * (B @ c)),
            },
        ),
    ),
    (
        "trace_of_product",
        "A n m, B m n",
        lambda A, B: Sum(A[i, j] * B[j, i], over_n, over_m),
        lambda A, B: (np.trace(A @ B), {"A": B.T, "B": A.T}),
    ),
    (
        "double",
        "x n",
        lambda x: Sum(x[i] * x[j] / 2, over_n, also_n),
        lambda x: (x.sum() ** 2 / 2, {"x": x.sum()}),
    ),
    (
        "quadratic_form",
        "A n n, x n",
        lambda A, x: Sum(x[i] * A[i, j] * x[j], over_n, also_n),
        lambda A, x: (x @ A @ x, {"A": np.outer(x, x), "x": (A + A.T) @ x}),
    ),
    (
        "pairs_of_nonlinear",
        "x n, y n",
        lambda x, y: Sum(sp.tanh(x[i] - y[j]), over_n, also_n),
        lambda x, y: (
            np.tanh(x[:, None] - y).sum(),
            {
                "x": (1 - np.tanh(x[:, None] - y) ** 2).sum(axis=1),
                "y": -(1 - np.tanh(x[:, None] - y) ** 2).sum(axis=0),
            },
        ),
    ),
    # Triangles
    (
        "lower_triangle",
        "A n n, x n",
        lambda A, x: Sum(A[i, j] * x[j], (j, 0, i), over_n),
        lambda A, x: ((np.tril(A) @ x).sum(), {"A": np.tril(np.ones(A.shape) * x), "x": np.tril(A).sum(axis=0)}),
        {"A": lambda A: np.triu(A, 1)},
    ),
    (
        "strict_upper_triangle",
        "A n n, x n",
        lambda A, x: Sum(Sum(A[i, j] ** 2 * x[i], (j, i + 1, n - 1)), over_n),
        lambda A, x: (
            (np.triu(A**2, 1).T @ x).sum(),
            {"A": 2 * np.triu(A, 1) * x[:, None], "x": np.triu(A**2, 1).sum(axis=1)},
        ),
        {"A": np.tril},
    ),
    (
        "lower_system",
        "L n n, x n, b n",
        lambda L, x, b: Sum((Sum(L[i, j] * x[j], (j, 0, i)) - b[i]) ** 2, over_n),
        _forward_substitution,
        {"L": lambda L: np.triu(L, 1)},
    ),
    (
        "triangle_times_a_matrix",  # no product of matrices: above its diagonal L is not read
        "L n n, A n m",
        lambda L, A: Sum(sp.sin(Sum(L[i, k] * A[k, j], (k, 0, i))), over_n, over_m),
        _triangle_times_a_matrix,
        {"L": lambda L: np.triu(L, 1)},
    ),
    ("simplex", "x n, y n, z n", lambda x, y, z: Sum(x[i] * y[j] * z[k], (k, 0, j), (j, 0, i), over_n), _simplex),
    (
        "strict_simplex",
        "x n",
        lambda x: Sum(x[i] * x[j] * x[k], (k, j + 1, n - 1), (j, i + 1, n - 1), over_n),
        _strict_simplex,
    ),
    (
        "tetrahedron",
        "T n n n, x n",
        lambda T, x: Sum(x[i] * Sum(T[i, j, k], (k, 0, j), (j, 0, i)), over_n),
        _tetrahedron,
        {"T": lambda T: (lambda a, b, c: (c > b) | (b > a))(*np.indices(T.shape))},
    ),
    (
        "band",
        "A n n, x n",
        lambda A, x: (
            Sum(A[i, i] * x[i] ** 2, over_n)
            + Sum(A[i, i + 1] * x[i] * x[i + 1] + A[i + 1, i] * x[i + 1] * x[i], (i, 0, n - 2))
        ),
        _band,
        {"A": lambda A: np.triu(A, 2) + np.tril(A, -2)},
    ),
    (
        "stress",
        "X n p, D n n",
        lambda X, D: Sum((sp.sqrt(Sum((X[i, k] - X[j, k]) ** 2, over_p)) - D[i, j]) ** 2, (j, i + 1, n - 1), over_n),
        _stress,
        {"D": np.tril},
    ),
    (
        "charges",
        "X n p, q n",
        lambda X, q: Sum(q[i] * q[j] / sp.sqrt(Sum((X[i, k] - X[j, k]) ** 2, over_p)), (j, 0, i - 1), over_n),
        _charges,
    ),
    (
        "factorisation_machine",
        "x n, V n p",
        lambda x, V: Sum(x[i] * x[j] * Sum(V[i, k] * V[j, k], over_p), (j, i + 1, n - 1), over_n),
        _factorisation_machine,
    ),
    ("cumulative_sums", "x n, y n", lambda x, y: Sum((Sum(x[j], (j, 0, i)) - y[i]) ** 2, over_n), _cumulative),
    ("cox", "s n", lambda s: Sum(s[i] - log(Sum(exp(s[j]), (j, i, n - 1))), over_n), _cox),
    ("cox_huge", "s n huge", lambda s: Sum(s[i] - log(Sum(exp(s[j]), (j, i, n - 1))), over_n), _cox),
    ("mixture", "X n p, alpha m, mu m p, q m p, L m p p", _mixture_expression, _mixture, {"L": np.triu}),
    # Offsets, strides, several domains
    ("total_variation", "x n", lambda x: Sum(sp.sqrt((x[i + 1] - x[i]) ** 2 + 1), (i, 0, n - 2)), _total_variation),
    ("every_other", "x 2*n, y n", lambda x, y: Sum(y[i] * x[2 * i] * x[2 * i + 1], over_n), _every_other),
    (
        "palindrome",
        "x n, y n",
        lambda x, y: Sum(x[n - 1 - i] * exp(y[i]), over_n),
        lambda x, y: (x[::-1] @ np.exp(y), {"x": np.exp(y)[::-1], "y": x[::-1] * np.exp(y)}),
    ),
    (
        "own_palindrome",
        "x n",
        lambda x: Sum(x[i] * x[n - 1 - i] / 2, over_n),
        lambda x: (x @ x[::-1] / 2, {"x": x[::-1]}),
    ),
    (
        "convolution",
        "x n, w p",
        lambda x, w: Sum(Sum(x[i + k] * w[k], over_p) ** 2, (i, 0, n - p)),
        _convolution,
    ),
    ("laplacian", "A n m", _stencil_expression, _laplacian, {"A": _corners}),
    (
        "autoregression",
        "x n, a, c",
        lambda x, a, c: Sum((x[i] - a * x[i - 1] - c) ** 2, (i, 1, n - 1)),
        _autoregression,
    ),
    (
        "autoregression_of_order_p",
        "x n, a p",
        lambda x, a: Sum((x[i] - Sum(a[k] * x[i - 1 - k], over_p)) ** 2, (i, p, n - 1)),
        _autoregression_of_order_p,
    ),
    (
        "rosenbrock",
        "x n",
        lambda x: Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, n - 2)),
        _rosenbrock,
    ),
    (
        "two_domains",
        "x n",
        lambda x: Sum(exp(x[i]), over_n) + Sum(sp.sin(x[i] * x[i + 1]), (i, 0, n - 2)) + x[0] ** 3,
        _two_domains,
    ),
    (
        "ends",
        "x n",
        lambda x: x[0] * x[n - 1] + Sum(x[i], (i, 1, n - 2)),
        lambda x: (
            x[0] * x[-1] + x[1:-1].sum(),
            {"x": np.concatenate([x[-1:], np.ones(len(x) - 2), x[:1]])},
        ),
    ),
    (
        "ising_ring",
        "s n, h n, J",
        lambda s, h, J: -J * Sum(s[i] * s[i + 1], (i, 0, n - 2)) - J * s[n - 1] * s[0] - Sum(h[i] * s[i], over_n),
        _ising,
    ),
    # First indices that are symbolic, or not 0: of what is kept for another pass, and of what is read elsewhere
    (
        "range_of_the_last_index",
        "x n, y m",
        lambda x, y: Sum(exp(x[i] * y[j]), over_n, (j, m - 1, m - 1)),
        lambda x, y: (
            np.exp(x * y[-1]).sum(),
            {"x": y[-1] * np.exp(x * y[-1]), "y": np.eye(len(y))[-1] * (x @ np.exp(x * y[-1]))},
        ),
    ),
    (
        "neighbouring_sums",
        "x n, y m",
        lambda x, y: Sum(exp(_sum_of_sines(x, y, i)) * exp(_sum_of_sines(x, y, i + 1)), (i, 1, n - 2)),
        lambda x, y: _sines(x, y, _neighbouring_sums),
    ),
    (
        "mirrored_sums",
        "x n, y m",
        lambda x, y: Sum(_sum_of_sines(x, y, i) * _sum_of_sines(x, y, n - 1 - i), (i, 1, n - 2)),
        lambda x, y: _sines(x, y, _mirrored_sums),
    ),
    (
        "mirrored_rows",
        "X n m, y p",
        lambda X, y: (lambda rows: Sum(rows(i) * rows(n - 1 - i), (i, 1, n - 2), (j, 1, m - 1)))(
            lambda at: exp(Sum(sp.sin(X[at, j] * y[k]), (k, 1, p - 1)))
        ),
        _mirrored_rows,
    ),
    (
        "mirrored_on_two_ranges",
        "x n",
        lambda x: Sum(x[n - 1 - j] * x[j], (j, 1, 1)) + Sum(x[n - 1 - j] * x[j], (j, 3, n - 2)),
        lambda x: _mirrored_where(x, (np.arange(len(x)) % (len(x) - 1) > 0) & (np.arange(len(x)) != 2)),
    ),
    (
        "mirrored_but_one",
        "x n, y n",
        lambda x, y: Sum(sp.Piecewise((x[n - 1 - j] * x[j], sp.Ne(j, 2)), (y[j], True)), (j, 1, n - 2)),
        _mirrored_but_one,
    ),
    (
        "last_two_columns",
        "X n m, y p",
        lambda X, y: (lambda S: Sum(sp.tanh(S(j)) * S(j - 1), over_n, (j, m - 2, m - 1)))(
            lambda at: Sum(sp.sin(X[i, at] * y[k]), over_p)
        ),
        _last_two_columns,
    ),
    (
        "every_other_column",
        "X n 30, y 15",
        lambda X, y: Sum(sp.tanh(X[i, 2 * j] * y[j]), over_n, (j, 0, 14)),
        _every_other_column,
    ),
    (
        "largest_of_nothing",
        "x n, y m, t",
        lambda x, y, t: t**2 + sp.Max(largest(x[i] * y[j], (j, 2, 1), over_n), t),
        lambda x, y, t: (t**2 + t, {"x": 0, "y": 0, "t": 2 * t + 1}),
        {"x": np.ones_like, "y": np.ones_like},
    ),
    (
        "last_factor_of_none",
        "A n n, s, m size; m=0",
        lambda A, s, m: Product(s * exp(A[sp.floor(i / 2), i]) * sp.KroneckerDelta(i, m - 1), (i, 0, m - 1)),
        lambda A, s, m: (np.longdouble(1), {"A": 0, "s": 0}),
        {"A": np.ones_like},
    ),
    # Gathers
    (
        "gathered_beside_the_last",
        "T n m p, y n below:m",
        lambda T, y: Sum(T[i, y[i], p - 1] ** 2, over_n),
        lambda T, y: (
            (T[np.arange(len(y)), y, -1] ** 2).sum(),
            {"T": 2 * T * one_hot(y, T.shape[1])[:, :, None] * np.eye(T.shape[2])[-1]},
        ),
    ),
    (
        "gathered_rows_of_the_last_column",
        "A m p, y n below:m",
        lambda A, y: Sum(sp.asinh(A[y[i], p - 1]), over_n),
        lambda A, y: (
            np.arcsinh(A[y, -1]).sum(),
            {"A": np.outer(scatter(A[:, 0].shape, y, 1 / np.sqrt(1 + A[y, -1] ** 2)), np.eye(A.shape[1])[-1])},
        ),
    ),
    (
        "largest_of_the_last_column",
        "A m p, B m p, y n below:m; n=9",
        lambda A, B, y: largest(A[y[i], p - 1] + B[y[i], p - 1], over_n),
        lambda A, B, y: (lambda at: ((A + B)[at, -1], {"A": one_entry(A, at), "B": one_entry(A, at)}))(
            max(y, key=lambda row: (A + B)[row, -1])
        ),
    ),
    (
        "gathered_sums_beyond_the_range",
        "x n, y m, at n below:n",
        lambda x, y, at: Sum(_sum_of_sines(x, y, i) * _sum_of_sines(x, y, at[i]), (i, 1, n - 1)),
        lambda x, y, at: _sines(x, y, lambda S: _gathered_sums(S, at)),
    ),
    (
        "gathered_by_a_shorter_table",
        "x n, y p, g m below:n",
        lambda x, y, g: Sum(y[i] * x[g[i]] * x[i], (i, 0, p - 1)) + Sum(x[i] ** 2, over_n),
        lambda x, y, g: (
            lambda part, at: (
                y @ (x[at] * part) + x @ x,
                {
                    "x": 2 * x + scatter(x.shape, at, y * part) + scatter(x.shape, np.arange(len(y)), y * x[at]),
                    "y": x[at] * part,
                },
            )
        )(x[: len(y)], g[: len(y)]),
    ),
    (
        "gathered_by_the_entry_before",
        "x n, y m, z m, g m below:n",
        lambda x, y, z, g: Sum(x[g[j - 1]] * y[j], (j, 1, m - 1)) + Sum(sp.sin(y[j]) * z[j] ** 2, over_m),
        lambda x, y, z, g: (
            x[g[:-1]] @ y[1:] + np.sin(y) @ z**2,
            {
                "x": scatter(x.shape, g[:-1], y[1:]),
                "y": np.append(0, x[g[:-1]]) + np.cos(y) * z**2,
                "z": 2 * np.sin(y) * z,
            },
        ),
    ),
    (
        "rows_in_a_ring",
        "A n m",
        lambda A: Sum(A[sp.Mod(i + 1, n), j] * A[i, j] ** 2, over_n, over_m),
        lambda A: (
            (np.roll(A, -1, axis=0) * A**2).sum(),
            {"A": 2 * np.roll(A, -1, axis=0) * A + np.roll(A**2, 1, axis=0)},
        ),
    ),
    (
        "columns_in_a_ring",
        "A n m",
        lambda A: Sum(A[i, sp.Mod(j + 1, m)] * A[i, j] ** 2, over_n, over_m),
        lambda A: (
            (np.roll(A, -1, axis=1) * A**2).sum(),
            {"A": 2 * np.roll(A, -1, axis=1) * A + np.roll(A**2, 1, axis=1)},
        ),
    ),
    (
        "sums_in_a_ring",
        "x n, y m",
        lambda x, y: Sum(_sum_of_sines(x, y, i) * _sum_of_sines(x, y, sp.Mod(i + 1, n)), over_n),
        lambda x, y: _sines(x, y, lambda S: (S @ np.roll(S, 1), np.roll(S, 1) + np.roll(S, -1))),
    ),
    (
        "halves_and_thirds",
        "A n m, x n",
        lambda A, x: Sum(A[sp.floor(i / 2), j] ** 2 * x[sp.ceiling(2 * i / 3)], over_n, over_m),
        lambda A, x: (
            lambda half, third: (
                (A[half] ** 2).sum(axis=1) @ x[third],
                {
                    "A": scatter(A.shape, half, 2 * A[half] * x[third][:, None]),
                    "x": scatter(x.shape, third, (A[half] ** 2).sum(axis=1)),
                },
            )
        )(np.arange(len(x)) // 2, -(-2 * np.arange(len(x)) // 3)),
    ),
    (
        "thirds_of_two_indices",  # SymPy writes i/3 + j/3 + 1/3, which rounds below 2 at i = 4, j = 1
        "A n m, x n",
        lambda A, x: Sum(A[i, j] ** 2 * x[sp.floor((i + j + 1) / 3)] * x[sp.ceiling((i - j + n) / 7)], over_n, over_m),
        lambda A, x: (
            lambda third, seventh: (
                (A**2 * x[third] * x[seventh]).sum(),
                {
                    "A": 2 * A * x[third] * x[seventh],
                    "x": scatter(x.shape, third, A**2 * x[seventh]) + scatter(x.shape, seventh, A**2 * x[third]),
                },
            )
        )(
            np.add.outer(np.arange(A.shape[0]), np.arange(A.shape[1]) + 1) // 3,
            -(-np.subtract.outer(np.arange(A.shape[0]) + A.shape[0], np.arange(A.shape[1])) // 7),
        ),
    ),
    (
        "gathered_beside_the_largest",
        "x n, a m below:m",
        lambda x, a: Sum(x[a[a[j]] + 1] ** 2, over_m) + largest(x[i], over_n),
        lambda x, a: (
            (x[a[a] + 1] ** 2).sum() + x.max(),
            {"x": scatter(x.shape, a[a] + 1, 2 * x[a[a] + 1]) + (x == x.max())},
        ),
    ),
    (
        "branches_by_parity",
        "x n, y m",
        lambda x, y: Sum(sp.Piecewise((x[i] * y[j], sp.Eq(sp.Mod(i + j, 2), 0)), (x[i] ** 2, True)), over_n, over_m),
        _by_parity,
    ),
    (
        "branches_by_the_sum_before",
        "x n, y m",
        lambda x, y: Sum(
            sp.Piecewise((x[i] * x[i - 1], _sum_of_sines(x, y, i - 1) > 0), (x[i] ** 2, True)), (i, 1, n - 1)
        ),
        _by_the_sum_before,
    ),
    (
        "branch_of_a_sum",
        "x n, y m, t",
        lambda x, y, t: sp.Piecewise((log(x[0] ** 2 + 1) + Sum(y[j], over_m), x[1] <= 0), (t, True)),
        _branch_of_a_sum,
    ),
    (
        "gathered_column",
        "S n m, y n below:m",
        lambda S, y: Sum(S[i, y[i]] ** 2, over_n),
        lambda S, y: ((S[np.arange(len(y)), y] ** 2).sum(), {"S": 2 * S * one_hot(y, S.shape[1])}),
    ),
    (
        "gathered_rows",
        "W m p, X n p, y n below:m",
        lambda W, X, y: Sum(W[y[i], k] * X[i, k], over_n, over_p),
        lambda W, X, y: ((W[y] * X).sum(), {"W": scatter(W.shape, y, X), "X": W[y]}),
    ),
    (
        "gathered_vector",
        "x m, at n below:m, c n",
        lambda x, at, c: Sum(c[i] * sp.sin(x[at[i]]), over_n),
        lambda x, at, c: (c @ np.sin(x[at]), {"x": scatter(x.shape, at, c * np.cos(x[at])), "c": np.sin(x[at])}),
    ),
    (
        "gathered_and_plain",
        "x n, at n below:n",
        lambda x, at: Sum(x[i] * x[at[i]], over_n),
        lambda x, at: (x @ x[at], {"x": x[at] + scatter(x.shape, at, x)}),
    ),
    (
        "gathered_twice",
        "x m, a n below:m, b p below:n",
        lambda x, a, b: Sum(x[a[b[k]]] ** 2, over_p),
        _chain_of_gathers,
    ),
    (
        "gathered_sum",
        "X n m, W m p, y n below:p",
        lambda X, W, y: Sum(sp.tanh(Sum(X[i, j] * W[j, y[i]], over_m)), over_n),
        lambda X, W, y: (
            np.tanh((X * W.T[y]).sum(axis=1)).sum(),
            {
                "X": (1 - np.tanh((X * W.T[y]).sum(axis=1)) ** 2)[:, None] * W.T[y],
                "W": scatter(W.T.shape, y, (1 - np.tanh((X * W.T[y]).sum(axis=1)) ** 2)[:, None] * X).T,
            },
        ),
    ),
    (
        "embedding",
        "U n p, V m p, a n below:n, b n below:m",
        lambda U, V, a, b: Sum(log(sigmoid(Sum(U[a[i], k] * V[b[i], k], over_p))), over_n),
        _embedding,
    ),
    (
        "observed_entries",
        "U m p, V m p, a n below:m, b n below:m, r n",
        lambda U, V, a, b, r: Sum((r[i] - Sum(U[a[i], k] * V[b[i], k], over_p)) ** 2, over_n),
        _observed_entries,
    ),
    (
        "markov",
        "P m m, s n below:m",
        lambda P, s: Sum(P[s[i], s[i + 1]] - log(Sum(exp(P[s[i], j]), over_m)), (i, 0, n - 2)),
        _markov,
    ),
    (
        "bradley_terry",
        "s m, a n below:m, b n below:m",
        lambda s, a, b: -Sum(log(1 + exp(s[b[i]] - s[a[i]])), over_n),
        _bradley_terry,
    ),
    (
        "delta_of_labels",
        "S n m, y n below:m",
        lambda S, y: Sum(sp.KroneckerDelta(j, y[i]) * S[i, j] ** 2, over_n, over_m),
        _label_counts,
    ),
    (
        "delta_of_indices",
        "A n n, x n",
        lambda A, x: Sum(sp.KroneckerDelta(i, j) * A[i, j] * x[j], over_n, also_n),
        lambda A, x: (np.diag(A) @ x, {"A": np.diag(x), "x": np.diag(A)}),
    ),
    # Products
    (
        "product",
        "x n positive",
        lambda x: Product(x[i], over_n),
        lambda x: (x.prod(), {"x": others(x)}),
    ),
    ("product_with_a_zero", "x n one_zero", lambda x: Product(x[i], over_n), lambda x: (x.prod(), {"x": others(x)})),
    (
        "product_with_two_zeros",
        "x n two_zeros",
        lambda x: Product(x[i], over_n),
        lambda x: (x.prod(), {"x": others(x)}),
    ),
    (
        "function_of_product",
        "x n one_zero",
        lambda x: Product(x[i], over_n) ** 2 + Product(x[i], over_n),
        _squared_product,
    ),
    ("product_of_sums", "A p m, b m", lambda A, b: Product(Sum(A[k, j] * b[j], over_m), over_p), _product_of_sums),
    ("sum_of_products", "A n m positive", lambda A: Sum(Product(A[i, j], over_m), over_n), _sum_of_products),
    (
        "sum_of_products_with_zeros",
        "A n m two_zeros",
        lambda A: Sum(Product(A[i, j], over_m), over_n),
        _sum_of_products,
    ),
    ("running_products", "x n positive", lambda x: Sum(Product(x[j], (j, 0, i)), over_n), _running_products),
    (
        "likelihood_as_product",
        "t, y m bits",
        lambda t, y: log(Product(sigmoid(t) ** y[j] * (1 - sigmoid(t)) ** (1 - y[j]), over_m)),
        lambda t, y: (
            (y * np.log(sigmoid(t)) + (1 - y) * np.log(1 - sigmoid(t))).sum(),
            {"t": (y - sigmoid(t)).sum(), "y": np.log(sigmoid(t) / (1 - sigmoid(t)))},
        ),
    ),
    # The largest and the smallest
    (
        "largest",
        "x n",
        lambda x: largest(x[i], over_n) ** 2,
        lambda x: (x.max() ** 2, {"x": 2 * x * (x == x.max())}),
    ),
    (
        "smallest",
        "x n",
        lambda x: smallest(x[i], over_n) ** 3,
        lambda x: (x.min() ** 3, {"x": 3 * x**2 * (x == x.min())}),
    ),
    ("largest_of_rows", "A n m, x n", lambda A, x: Sum(x[i] * largest(A[i, j], over_m), over_n), _largest_of_rows),
    (
        "largest_of_matrix",
        "A n m",
        lambda A: exp(largest(A[i, j], over_n, over_m)),
        lambda A: (np.exp(A.max()), {"A": np.exp(A.max()) * (A.max() == A)}),
    ),
    ("spread", "x n", lambda x: (largest(x[i], over_n) - smallest(x[i], over_n)) ** 2, _spread),
    (
        "nearest_centre",
        "X n p, C m p",
        lambda X, C: Sum(smallest(Sum((X[i, k] - C[j, k]) ** 2, over_p), over_m), over_n),
        _nearest_centre,
    ),
    (
        "shifted_by_largest",
        "x n",
        lambda x: largest(x[i], over_n) + log(Sum(exp(x[j] - largest(x[i], over_n)), also_n)),
        _safe_logsumexp,
    ),
    # The index as a number, conditions
    (
        "index_as_weight",
        "x n",
        lambda x: Sum((i + 1) * x[i] ** 2 / n, over_n),
        lambda x: (
            (np.arange(1, len(x) + 1) * x**2).sum() / len(x),
            {"x": 2 * np.arange(1, len(x) + 1) * x / len(x)},
        ),
    ),
    ("polynomial", "c n, t; n=6", lambda c, t: Sum(c[i] * t**i, over_n), _polynomial),
    ("power_of_index", "x n", lambda x: Sum((x[i] / 4) ** (i + 1), over_n), _power_of_index),
    (
        "alternating",
        "x n",
        lambda x: Sum((-1) ** i * x[i] / (2 * i + 1), over_n),
        lambda x: (
            (x * (-1.0) ** np.arange(len(x)) / (2 * np.arange(len(x)) + 1)).sum(),
            {"x": (-1.0) ** np.arange(len(x)) / np.longdouble(2 * np.arange(len(x)) + 1)},
        ),
    ),
    (
        "fourier",
        "x n, f; n=12",
        lambda x, f: (
            Sum(x[i] * sp.cos(2 * sp.pi * f * i / n), over_n) ** 2
            + Sum(x[i] * sp.sin(2 * sp.pi * f * i / n), over_n) ** 2
        ),
        _fourier,
    ),
    (
        "distance_of_indices",
        "x n, y n",
        lambda x, y: Sum(x[i] * y[j] * sp.Abs(i - j), over_n, also_n),
        lambda x, y: (
            x @ np.abs(differences(np.arange(len(x)))) @ y,
            {
                "x": np.abs(differences(np.arange(len(x)))) @ y,
                "y": np.abs(differences(np.arange(len(x)))) @ x,
            },
        ),
    ),
    (
        "sum_of_indices_alone",
        "t, n size",
        lambda t, n: Sum(i * t**2, (i, 1, n)),
        lambda t, n: (t**2 * (n * (n + 1) // 2), {"t": t * (n * (n + 1))}),
    ),
    (
        "body_without_the_index",
        "x n, t, y m",
        lambda x, t, y: Sum(t * x[0], over_n) + Sum(Sum(x[i] ** 2, over_n), over_m) * y[0],
        lambda x, t, y: (
            len(x) * t * x[0] + len(y) * x @ x * y[0],
            {
                "x": 2 * len(y) * y[0] * x + len(x) * t * np.eye(len(x))[0],
                "t": len(x) * x[0],
                "y": len(y) * x @ x * np.eye(len(y))[0],
            },
        ),
    ),
    (
        "relu_by_piecewise",
        "x n, y n",
        lambda x, y: Sum(y[i] * sp.Piecewise((x[i], x[i] > 0), (0, True)), over_n),
        lambda x, y: (y @ np.maximum(0, x), {"x": y * (x > 0), "y": np.maximum(0, x)}),
    ),
    (
        "huber",
        "x n, d positive",
        lambda x, d: Sum(sp.Piecewise((x[i] ** 2 / 2, sp.Abs(x[i]) < d), (d * (sp.Abs(x[i]) - d / 2), True)), over_n),
        _huber,
    ),
    (
        "guarded_log",
        "x n",
        lambda x: Sum(sp.Piecewise((log(x[i]), x[i] > 0), (x[i] ** 2, True)), over_n),
        _guarded_logs,
    ),
    (
        "read_at_remainders_of_squares",
        "x n, y m",
        lambda x, y: Sum(x[i] * y[sp.Mod(i**2, m)] ** 2, over_n),
        lambda x, y: _at_remainders(x, y, np.arange(len(x)) ** 2 % len(y)),
    ),
    (
        "roots_of_pairs",
        "x n, y m",
        lambda x, y: Sum(sp.Piecewise((sp.sqrt(x[i]) * y[j], (x[i] > 0) & (y[j] > 0)), (0, True)), over_n, over_m),
        lambda x, y: _roots_of_pairs(x, y, (x > 0)[:, None] & (y > 0)),
    ),
    (
        "roots_of_pairs_in_order",
        "x n, y m",
        lambda x, y: Sum(sp.Piecewise((sp.sqrt(x[i]) * y[j], x[i] > sp.Abs(y[j])), (0, True)), over_n, over_m),
        lambda x, y: _roots_of_pairs(x, y, x[:, None] > np.abs(y)),
    ),
    (
        "roots_of_none",
        "x n, y m",
        lambda x, y: Sum(sp.Piecewise((sp.sqrt(x[i]) * y[j], y[j] > 9), (0, True)), over_n, over_m),
        lambda x, y: _roots_of_pairs(x, y, (0 * x)[:, None] + y > 9),
    ),
    (
        "piecewise_on_index",
        "x n",
        lambda x: Sum(sp.Piecewise((x[i] ** 2, i < 2), (3 * x[i], True)), over_n),
        lambda x: (
            (x[:2] ** 2).sum() + 3 * x[2:].sum(),
            {"x": np.where(np.arange(len(x)) < 2, 2 * x, 3)},
        ),
    ),
    (
        "boundary_by_piecewise",
        "x n",
        lambda x: Sum(sp.Piecewise((x[i], sp.Eq(i, 0)), (x[i] - x[i - 1], True)) ** 2, over_n),
        _from_the_start,
    ),
    (
        "largest_of_two",
        "x n, y n",
        lambda x, y: Sum(sp.Max(x[i], y[i]) ** 2 - sp.Min(x[i], y[i]), over_n),
        lambda x, y: (
            (np.maximum(x, y) ** 2 - np.minimum(x, y)).sum(),
            {"x": np.where(x > y, 2 * x, -1), "y": np.where(x > y, -1, 2 * y)},
        ),
    ),
    # Log-sum-exp and its kin
    ("logsumexp", "x n", lambda x: log(Sum(exp(x[i]), over_n)), _safe_logsumexp),
    ("logsumexp_huge", "x n huge", lambda x: log(Sum(exp(x[i]), over_n)), _safe_logsumexp),
    (
        "logsumexp_of_rows",
        "S n m, c n",
        lambda S, c: Sum(c[i] * log(Sum(exp(S[i, j]), over_m)), over_n),
        _rows_of_logsumexp,
    ),
    (
        "logsumexp_of_rows_huge",
        "S n m huge, c n",
        lambda S, c: Sum(c[i] * log(Sum(exp(S[i, j]), over_m)), over_n),
        _rows_of_logsumexp,
    ),
    ("log_two_and_sum", "x n", lambda x: log(2 + Sum(exp(x[i]), over_n)), _log_two_and_sum),
    ("log_two_and_sum_huge", "x n huge", lambda x: log(2 + Sum(exp(x[i]), over_n)), _log_two_and_sum),
    ("softmax_mean", "x n, c n", lambda x, c: Sum(c[i] * exp(x[i]) / Sum(exp(x[j]), also_n), over_n), _softmax_mean),
    (
        "softmax_mean_huge",
        "x n huge, c n",
        lambda x, c: Sum(c[i] * exp(x[i]) / Sum(exp(x[j]), also_n), over_n),
        _softmax_mean,
    ),
    (
        "entropy_of_softmax",
        "x n",
        lambda x: (lambda s: -Sum(s * log(s), over_n))(exp(x[i]) / Sum(exp(x[j]), also_n)),
        _entropy_of_softmax,
    ),
    ("attention", "Q n p, K n p, V n m, c m", _attention_expression, _attention),
    # Statistics and learning
    (
        "mean_and_scalars",
        "x n, a, b",
        lambda x, a, b: a * Sum(x[i], over_n) / n + exp(b) * Sum(x[i] ** 2, over_n) + a * b,
        lambda x, a, b: (
            a * x.mean() + np.exp(b) * x @ x + a * b,
            {"x": a / len(x) + 2 * np.exp(b) * x, "a": x.mean() + b, "b": np.exp(b) * x @ x + a},
        ),
    ),
    ("variance", "x n", lambda x: Sum((x[i] - Sum(x[j], also_n) / n) ** 2, over_n) / n, _variance),
    ("correlation", "x n, y n", _correlation_expression, _correlation),
    (
        "cosine",
        "x n, y n",
        lambda x, y: Sum(x[i] * y[i], over_n) / (sp.sqrt(Sum(x[i] ** 2, over_n)) * sp.sqrt(Sum(y[i] ** 2, over_n))),
        _cosine,
    ),
    (
        "relative_entropy",
        "a n positive, b n positive",
        lambda a, b: Sum(a[i] * log(a[i] / b[i]) - a[i] + b[i], over_n),
        lambda a, b: ((a * np.log(a / b) - a + b).sum(), {"a": np.log(a / b), "b": 1 - a / b}),
    ),
    ("student", "x n, mu, nu positive", _student_expression, _student),
    (
        "least_squares",
        "X n m, w m, b, y n",
        lambda X, w, b, y: Sum((Sum(X[i, j] * w[j], over_m) + b - y[i]) ** 2, over_n),
        _least_squares,
    ),
    (
        "least_squares_of_no_shape",
        "X ~n ~m, w ~m, b, y ~n",
        lambda X, w, b, y: Sum((Sum(X[i, j] * w[j], over_m) + b - y[i]) ** 2, over_n),
        _least_squares,
    ),
    (
        "logistic",
        "X n m, y n signs, w m, lam positive",
        lambda X, y, w, lam: (
            Sum(log(1 + exp(-y[i] * Sum(X[i, j] * w[j], over_m))), over_n) + lam * Sum(w[j] ** 2, over_m) / 2
        ),
        _logistic,
    ),
    (
        "poisson",
        "X n m, w m, y n counts",
        lambda X, w, y: Sum(
            exp(Sum(X[i, j] * w[j], over_m)) - y[i] * Sum(X[i, j] * w[j], over_m),
            over_n,
        ),
        _poisson,
    ),
    (
        "hinge",
        "X n m, y n signs, w m, b, c positive",
        lambda X, y, w, b, c: (
            Sum(w[j] ** 2, over_m) / 2 + c * Sum(sp.Max(0, 1 - y[i] * (Sum(X[i, j] * w[j], over_m) + b)), over_n)
        ),
        _hinge,
    ),
    ("softmax_regression", "X n m, W m p, b p, y n below:p", _softmax_regression_expression, _softmax_regression),
    ("net", "X n 2, A 2 m, a m, B m p, b p, y n below:p", _net_expression, _net),
    ("relu_net", "X n p, A p m, b m, c m, y n", _relu_net_expression, _relu_net),
    (
        "kernel_form",
        "X n p, a n, g positive",
        lambda X, a, g: Sum(a[i] * a[j] * exp(-g * Sum((X[i, k] - X[j, k]) ** 2, over_p)), over_n, also_n),
        _kernel_form,
    ),
    # Three axes
    (
        "tensor_form",
        "T n m p, x n, y m, z p",
        lambda T, x, y, z: Sum(T[i, j, k] * x[i] * y[j] * z[k], over_n, over_m, over_p),
        _tensor_form,
    ),
    (
        "canonical_decomposition",
        "T n m p, A n 3, B m 3, C p 3",
        lambda T, A, B, C: Sum((Sum(A[i, l] * B[j, l] * C[k, l], (l, 0, 2)) - T[i, j, k]) ** 2, over_n, over_m, over_p),
        _canonical_decomposition,
    ),
    (
        "faces_of_a_tensor",
        "T n n m, x n",
        lambda T, x: (
            Sum(T[i, i, j] ** 2, over_n, over_m) + Sum(T[0, i, 1] * x[i], over_n) + Sum(T[n - 1, 0, j], over_m)
        ),
        _faces_of_a_tensor,
    ),
    # One entry
    ("first_entry", "x n", lambda x: x[0], lambda x: (x[0], {"x": _unit(len(x), 0)})),
    ("last_entry", "x n", lambda x: x[n - 1], lambda x: (x[-1], {"x": _unit(len(x), -1)})),
    ("gathered_entry", "x n, y m below:n", lambda x, y: x[y[0]], lambda x, y: (x[y[0]], {"x": _unit(len(x), y[0])})),
    (
        "sum_of_one_entry",
        "x n",
        lambda x: Sum(x[i - 1], (j, n - 1, n - 1), (i, n - 1, n - 1)),
        lambda x: (x[-2], {"x": _unit(len(x), -2)}),
    ),
    (
        "gathered_at_an_extent",
        "x n, y n below:n, m size",
        lambda x, y, m: Sum(x[y[i]] ** 2, (i, m - 1, m - 1)),
        lambda x, y, m: (x[y[m - 1]] ** 2, {"x": 2 * x[y[m - 1]] * _unit(len(x), y[m - 1])}),
    ),
    # On several ranges, with infinite logarithms and distances of 0 between them
    (
        "logarithms_but_one",
        "x n hole",
        lambda x: Sum(log(x[i]), (i, 0, 1)) + Sum(log(x[i]), (i, 3, n - 1)),
        lambda x: (
            np.log(np.delete(x, 2)).sum(),
            {"x": np.where(np.arange(len(x)) == 2, 0, 1 / np.where(x == 0, 1, x))},
        ),
    ),
    (
        "overlapping_logarithms",
        "x n zero; n=1",
        lambda x: Sum(log(x[i]), (i, 0, n - 2)) + Sum(log(x[i]), (i, 1, n - 1)),
        lambda x: (0 * x[0], {"x": 0 * x}),
        {"x": np.ones_like},
    ),
    (
        "logarithms_in_triangles",
        "A n n hole",
        lambda A: Sum(log(A[i, j]), (j, 0, i + 1), (i, 0, n - 2)) + Sum(log(A[i, j]), (j, i + 3, n - 1), over_n),
        _logarithms_in_triangles,
    ),
    (
        "coulomb",
        "x n 3, q n",
        lambda x, q: (
            Sum(sp.Piecewise((q[i] * q[j] / sp.sqrt(_squared(x)), sp.Ne(i, j)), (0, True)), also_n, over_n) / 2
        ),
        _coulomb,
    ),
    (
        "gravity",
        "x n 2, q n positive, g positive",
        lambda x, q, g: (
            -g * Sum(sp.Piecewise((0, sp.Eq(i, j)), (q[i] * q[j] / sp.sqrt(_squared(x)), True)), also_n, over_n)
        ),
        lambda x, q, g: (
            -2 * g * _coulomb(x, q)[0],
            {
                "x": -2 * g * _coulomb(x, q)[1]["x"],
                "q": -2 * g * _coulomb(x, q)[1]["q"],
                "g": -2 * _coulomb(x, q)[0],
            },
        ),
    ),
    (
        "lennard_jones_of_all_pairs",
        "x n 3",
        lambda x: Sum(
            sp.Piecewise((1 / _squared(x) ** 6 - 2 / _squared(x) ** 3, sp.Ne(i, j)), (0, True)), also_n, over_n
        ),
        lambda x: _pairs(x, lambda r: r**-12 - 2 * r**-6, lambda r: -12 * r**-13 + 12 * r**-7),
    ),
    (
        "stillinger_weber",
        "x n 3",
        lambda x: (
            lambda r: Sum(
                sp.Piecewise(
                    (sp.Piecewise(((r**-4 - sp.Rational(1, 2)) * exp(1 / (r - 2)), r < 2), (0, True)), sp.Ne(i, j)),
                    (0, True),
                ),
                also_n,
                over_n,
            )
        )(sp.sqrt(_squared(x))),
        lambda x: _pairs(x, _stillinger_weber, _stillinger_weber_slope),
    ),
    # Data shorter than a number in a condition
    *(
        row
        for length in (0, 1, 2, 4)
        for row in (
            (
                f"first_two_of_{length}",
                f"x n; n={length}",
                lambda x: Sum(sp.Piecewise((x[i] ** 2, i < 2), (0, True)), over_n),
                lambda x: ((x[:2] ** 2).sum(), {"x": np.where(np.arange(len(x)) < 2, 2 * x, 0)}),
            ),
            (
                f"repeated_at_most_twice_of_{length}",
                f"x n; n={length}",
                lambda x: Sum(sp.Piecewise((x[0] ** 2, i < 2), (0, True)), over_n),
                lambda x: (
                    min(len(x), 2) * (x[:1] ** 2).sum(),
                    {"x": np.where(np.arange(len(x)) < 1, 2 * min(len(x), 2) * x, 0)},
                ),
            ),
            (
                f"second_of_{length}",
                f"x n; n={length}",
                lambda x: Sum(sp.KroneckerDelta(1, i) * x[0], over_n),
                lambda x: (x[0] if len(x) > 1 else np.longdouble(0), {"x": (np.arange(len(x)) == 0) * (len(x) > 1)}),
            ),
            (
                f"repeated_but_the_third_time_of_{length}",
                f"x n; n={length}",
                lambda x: Sum(sp.Piecewise((x[0] ** 2, sp.Ne(i, 2)), (0, True)), over_n),
                lambda x: (
                    (len(x) - (len(x) > 2)) * (x[:1] ** 2).sum(),
                    {"x": np.where(np.arange(len(x)) < 1, 2 * (len(x) - (len(x) > 2)) * x, 0)},
                ),
            ),
            (
                f"every_second_of_{length}",
                f"x n; n={length}",
                lambda x: Sum(sp.Piecewise((x[2 * i] * x[i], 2 * i < n), (0, True)), over_n),
                _every_second,
            ),
            (
                f"where_there_are_two_of_{length}",
                f"x n; n={length}",
                lambda x: Sum(sp.KroneckerDelta(2, n) * x[1] * x[i], over_n),
                lambda x: (
                    (x[1] * x.sum(), {"x": x[1] + np.array([0, 1]) * x.sum()})
                    if len(x) == 2
                    else (np.longdouble(0), {"x": 0 * x})
                ),
            ),
        )
    ),
    *(
        (
            f"at_most_three_inside_of_{length}",
            f"x n, t; n={length}",
            lambda x, t: Sum(sp.Piecewise((t + x[i], i <= 3), (0, True)), (i, 1, n - 2)),
            lambda x, t: (
                x[1:-1][:3].sum() + t * len(x[1:-1][:3]),
                {"x": np.isin(np.arange(len(x)), np.arange(len(x))[1:-1][:3]).astype(float), "t": len(x[1:-1][:3])},
            ),
        )
        for length in (0, 1, 3, 7)
    ),
    # Nothing to sum
    (
        "infinite_terms_but_none",
        "x n, t zero; n=0",
        lambda x, t: Sum(x[i] / t, over_n) + t,
        lambda x, t: (t, {"x": x, "t": 1}),
    ),
    (
        "infinite_term_no_times",
        "n size, t zero, s huge; n=0",
        lambda n, t, s: Sum(1 / t, over_n) + Sum(exp(s**2), over_n) + t * s,
        lambda n, t, s: (t * s, {"t": s, "s": t}),
    ),
    (
        "first_entry_of_none",
        "x n, y m, t; n=0",
        lambda x, y, t: Sum(x[0] * x[i] * y[j], over_n, over_m) + t * y[0],
        lambda x, y, t: (t * y[0], {"x": x, "y": t * _unit(len(y), 0), "t": y[0]}),
    ),
    (
        "none_over_an_entry_of_none",
        "x n, y m, t; n=0",
        lambda x, y, t: Sum(sp.exp(t * i) / x[0], over_n) + Sum(Sum(i + t, over_n) / y[0] / x[0], over_n) + t,
        lambda x, y, t: (t, {"x": x, "y": 0 * y, "t": 1}),
    ),
    (
        "product_of_none",
        "x n",
        lambda x: Sum(x[i] * Product(sp.sin(x[i] + j), (j, 2, 1)), over_n),
        lambda x: (x.sum(), {"x": 1}),
    ),
    (
        "as_often_as_before_it",
        "x n",
        lambda x: Sum(sp.sin(x[i]), (j, 0, i), over_n),
        lambda x: (
            np.sin(x) @ np.arange(1, len(x) + 1),
            {"x": np.arange(1, len(x) + 1) * np.cos(x)},
        ),
    ),
    # From the last to the first: SymPy takes it for what lies between, with the opposite sign
    (
        "sum_backwards",
        "x n",
        lambda x: Sum(i * x[i] ** 2, (i, 3, 0)),
        lambda x: (
            -(x[1] ** 2 + 2 * x[2] ** 2),
            {"x": -2 * np.where(np.arange(len(x)) < 3, np.arange(len(x)), 0) * x},
        ),
    ),
    (
        "product_backwards",
        "x n positive",
        lambda x: Product(x[i], (i, 3, 0)) + x[4],
        lambda x: (
            1 / (x[1] * x[2]) + x[4],
            {"x": _unit(len(x), 4) - (_unit(len(x), 1) / x[1] + _unit(len(x), 2) / x[2]) / (x[1] * x[2])},
        ),
    ),
    (
        "one_entry_no_steps",
        "x n, t; n=1",
        lambda x, t: Sum((x[i] - x[i - 1]) ** 2, (i, 1, n - 1)) + t * x[0],
        lambda x, t: (t * x[0], {"x": t, "t": x[0]}),
    ),
    (
        "one_entry_no_factors",
        "x n, t; n=1",
        lambda x, t: t * Product(x[i], (i, 1, n - 1)) + x[0] ** 2,
        lambda x, t: (t + x[0] ** 2, {"x": 2 * x, "t": 1}),
    ),
    (
        "one_entry_no_pairs",
        "x n, A n n; n=1",
        lambda x, A: Sum(A[i, j] * x[i] * x[j], (j, i + 1, n - 1), over_n) + x[0] ** 2,
        lambda x, A: (x[0] ** 2, {"x": 2 * x, "A": 0}),
        {"A": np.ones_like},
    ),
    (
        "no_entries",
        "x n, t; n=0",
        lambda x, t: Sum(x[i] ** 2, over_n) + t**2 * Product(x[i], over_n),
        lambda x, t: (t**2, {"x": np.zeros(0), "t": 2 * t}),
    ),
    # A product of matrices is one of whole arrays: this one is not
    (
        "part_of_a_contraction",
        "X n m, W m p",
        lambda X, W: Sum(sp.tanh(Sum(X[i, j] * W[j, k], (j, 1, m - 1))), over_n, over_p),
        _part_of_a_contraction,
        {"X": lambda X: X * (np.arange(X.shape[1]) == 0)},
    ),
    # Norms at 0: the subgradient 0
    ("norm_at_zero", "x n zero", lambda x: sp.sqrt(Sum(x[i] ** 2, over_n)), lambda x: (0, {"x": 0 * x})),
    (
        "weighted_norm_at_zero",
        "x n zero, w n positive, t",
        lambda x, w, t: t * sp.sqrt(3 * Sum(w[i] * x[i] ** 2, over_n)) + t**2,
        lambda x, w, t: (t**2, {"x": 0 * x, "w": 0 * w, "t": 2 * t}),
    ),
    (
        "root_of_product_with_itself_at_zero",
        "X n m zero, y n",
        lambda X, y: Sum(y[i] * sp.sqrt(Sum(X[i, j] * X[i, j], over_m)), over_n),
        lambda X, y: (0, {"X": 0 * X, "y": 0 * y}),
    ),
    (
        "weighted_norm",
        "x n, w n positive",
        lambda x, w: sp.sqrt(Sum(w[i] * x[i] ** 2, over_n)),
        lambda x, w: (
            np.sqrt(w @ x**2),
            {"x": w * x / np.sqrt(w @ x**2), "w": x**2 / (2 * np.sqrt(w @ x**2))},
        ),
    ),
    ("matern_of_all_pairs", "x n p, scale p positive, c n", _matern_expression, _matern),
    # Who loses contributes exactly 0, also at a pole
    (
        "largest_logarithm_at_a_pole",
        "x n hole",
        lambda x: largest(log(x[i]), over_n),
        lambda x: (np.log(x.max()), {"x": np.where(x == x.max(), 1 / x.max(), 0)}),
    ),
    (
        "smallest_inverse_at_a_pole",
        "x n hole, t",
        lambda x, t: t * smallest(1 / x[i] ** 2, over_n),
        lambda x, t: (t / x.max() ** 2, {"x": np.where(x == x.max(), -2 * t / x.max() ** 3, 0), "t": x.max() ** -2}),
    ),
    (
        "loser_of_each",
        "x n hole, y n",
        lambda x, y: Sum(sp.Min(1 / x[i] ** 2, y[i] ** 2 + 100), over_n),
        lambda x, y: (
            np.minimum(np.where(x == 0, 1e-3, x) ** -2, y**2 + 100).sum(),
            {"x": np.where(x > 0, -2 * np.where(x > 0, x, 1) ** -3, 0), "y": np.where(x > 0, 0, 2 * y)},
        ),
    ),
    (
        "rectified_layer",
        "W m n, x n, b m, c m",
        lambda W, x, b, c: Sum(c[j] * sp.Max(0, Sum(W[j, i] * x[i], over_n) + b[j]), over_m),
        lambda W, x, b, c: (
            c @ np.maximum(W @ x + b, 0),
            {
                "W": np.outer(c * (W @ x + b > 0), x),
                "x": (c * (W @ x + b > 0)) @ W,
                "b": c * (W @ x + b > 0),
                "c": np.maximum(W @ x + b, 0),
            },
        ),
    ),
    (
        "transposes_beside_matrices",
        "T n m m",
        lambda T: Sum(sp.tanh(T[i, j, k]) * sp.tanh(T[i, k, j]), over_n, over_m, (k, 0, m - 1)),
        lambda T: (
            (np.tanh(T) * np.tanh(T).transpose(0, 2, 1)).sum(),
            {"T": 2 * np.tanh(T).transpose(0, 2, 1) * (1 - np.tanh(T) ** 2)},
        ),
    ),
    # Names that a code generator may want for itself
    (
        "generated_names",
        "b n, i0, nb, start, stop, m, n_, value n",
        lambda b, i0, nb, start, stop, m, n_, value: Sum((i0 + nb * start - stop * m) * b[i] * value[i], over_n) + n_,
        _generated_names,
    ),
    (
        "more_generated_names",
        "d_x m, x n, block n m, total, kernel, acc, np_",
        lambda d_x, x, block, total, kernel, acc, np_: (
            total * Sum(block[i, j] * d_x[j] * x[i], over_n, over_m) + kernel * acc - np_
        ),
        _more_generated_names,
    ),
    (
        "array_named_as_its_index",
        "i n, j m",
        lambda i, j: (lambda a, b: Sum(i[a] * j[b] ** 2, (a, 0, n - 1), (b, 0, m - 1)))(
            *sp.symbols("i j", integer=True)
        ),
        lambda i, j: (i.sum() * (j @ j), {"i": j @ j, "j": 2 * i.sum() * j}),
    ),
]


CORPUS = cases(_SUMS, _base)
