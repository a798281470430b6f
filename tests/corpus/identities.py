"""Derivatives of matrix expressions, each with its value and gradients by NumPy, in the format of array_corpus.

Most are after K. B. Petersen and M. S. Pedersen, The Matrix Cookbook (2012), restated and completed: it gives gradients
of one matrix, and here every input has one. `d_X` below has the shape of X: d value = sum of d_X * dX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from array_corpus import EXTENTS, Array, Input, Outcome, Row, cases, i, j, logsumexp, m, n, p, sigmoid, softmax

t = sp.Symbol("t")
Trace, Determinant, Inverse, Identity, OneMatrix = sp.Trace, sp.Determinant, sp.Inverse, sp.Identity, sp.OneMatrix
tr = np.trace


def _matrix(x: Input) -> sp.Basic:
    if x.kind == "size":
        return next(extent for extent in EXTENTS if extent.name == x.name)
    return sp.MatrixSymbol(x.name, *x.axes) if x.axes else sp.Symbol(x.name)


def inv(X: Array) -> Array:
    """The inverse to the digits of longdouble: LAPACK's, improved by a step of Newton's method."""
    Y = np.linalg.inv(X.astype(float)).astype(np.longdouble)
    return Y @ (2 * np.eye(len(X)) - X @ Y)


def det(X: Array) -> Array:
    """By elimination without exchanges, which our matrices do not need."""
    U = X.copy()
    for at in range(len(U)):
        U[at + 1 :] -= np.outer(U[at + 1 :, at] / U[at, at], U[at])
    return np.diag(U).prod()


def diag(v: Array) -> Array:
    return np.diag(v[:, 0])


def column(x: Array) -> Array:
    return np.reshape(x, (-1, 1))


def square(x: Array) -> Array:
    return (x * x).sum()


# ----------------------------------------------------------------------------------------------------------------------
# References that take more than a line
# ----------------------------------------------------------------------------------------------------------------------


def _two_affine(A: Array, b: Array, C: Array, D: Array, e: Array, x: Array) -> Outcome:
    """(A x + b)' C (D x + e)."""
    u, v = A @ x + b, D @ x + e
    return u.T @ C @ v, {
        "A": C @ v @ x.T,
        "b": C @ v,
        "C": u @ v.T,
        "D": C.T @ u @ x.T,
        "e": C.T @ u,
        "x": A.T @ C @ v + D.T @ C.T @ u,
    }


def _distance(A: Array, X: Array, B: Array) -> Outcome:
    R = A @ X - B
    return square(R), {"A": 2 * R @ X.T, "X": 2 * A.T @ R, "B": -2 * R}


def _at(X: Array, row: int, column: int) -> Array:
    d_X = np.zeros_like(X)
    d_X[row, column] = 1
    return d_X


def _determinant_of_symmetric_square(X: Array) -> Outcome:
    S = X + X.T
    M = S @ S + 2 * np.eye(len(X))
    G = det(M) * inv(M).T
    G = G @ S.T + S.T @ G
    return det(M), {"X": G + G.T}


def _determinant_of_product(A: Array, X: Array, B: Array) -> Outcome:
    P = A @ X @ B
    G = det(P) * inv(P).T
    return det(P), {"A": G @ (X @ B).T, "X": A.T @ G @ B.T, "B": (A @ X).T @ G}


def _log_determinant_of_form(X: Array, A: Array) -> Outcome:
    """log |X' A X|."""
    G = inv(X.T @ A @ X).T
    return np.log(det(X.T @ A @ X)), {"X": A @ X @ G.T + A.T @ X @ G, "A": X @ G @ X.T}


def _information(X: Array, s: Array) -> Outcome:
    """log |I + s X' X|."""
    M = np.eye(X.shape[1]) + s * X.T @ X
    return np.log(det(M)), {"X": 2 * s * X @ inv(M), "s": tr(inv(M) @ X.T @ X)}


def _trace_with_inverse(A: Array, X: Array, B: Array) -> Outcome:
    Y = inv(X)
    return tr(A @ Y @ B), {"A": (Y @ B).T, "X": -(Y @ B @ A @ Y).T, "B": (A @ Y).T}


def _power_minus_two(A: Array, X: Array) -> Outcome:
    Y = inv(X)
    return tr(A @ Y @ Y), {"A": (Y @ Y).T, "X": -(Y @ (Y @ A + A @ Y) @ Y).T}


def _cube_between(a: Array, X: Array, b: Array) -> Outcome:
    ab = a @ b.T
    return a.T @ X @ X @ X @ b, {
        "a": X @ X @ X @ b,
        "X": ab @ (X @ X).T + X.T @ ab @ X.T + (X @ X).T @ ab,
        "b": (X @ X @ X).T @ a,
    }


def _between_inverses(a: Array, X: Array, B: Array) -> Outcome:
    """a' X^-1 B X^-1 a."""
    Y = inv(X)
    left, right = Y.T @ a, Y @ a
    return left.T @ B @ right, {
        "a": Y @ B @ right + (left.T @ B @ Y).T,
        "X": -left @ (B @ right).T @ Y.T - Y.T @ B.T @ left @ right.T,
        "B": left @ right.T,
    }


def _symbolic_hadamard_power(X: Array, r: Array) -> Outcome:
    return (X**r).sum(), {"X": r * X ** (r - 1), "r": (X**r * np.log(X)).sum()}


def _biased_layer(X: Array, W: Array, b: Array) -> Outcome:
    Y = X @ W + b
    return square(Y), {"X": 2 * Y @ W.T, "W": 2 * X.T @ Y, "b": 2 * Y.sum(axis=0, keepdims=True)}


def _two_layers(X: Array, A: Array, a: Array, B: Array, Y: Array) -> Outcome:
    H = np.tanh(X @ A + a)
    R = H @ B - Y
    D = 2 * R @ B.T * (1 - H**2)
    return square(R), {
        "X": D @ A.T,
        "A": X.T @ D,
        "a": D.sum(axis=0, keepdims=True),
        "B": 2 * H.T @ R,
        "Y": -2 * R,
    }


def _centred(X: Array) -> Outcome:
    C = X - X.mean(axis=0)
    return square(C), {"X": 2 * C}


def _combination(s: Array, A: Array, r: Array, B: Array) -> Outcome:
    C = s * A + r * B - 2 * A
    return square(C), {"s": 2 * (C * A).sum(), "A": 2 * (s - 2) * C, "r": 2 * (C * B).sum(), "B": 2 * r * C}


def _resolvent(a: Array, X: Array, s: Array) -> Outcome:
    """a' (X + s I)^-1 a."""
    Y = inv(X + s * np.eye(len(X)))
    G = -Y.T @ a @ a.T @ Y.T
    return a.T @ Y @ a, {"a": (Y + Y.T) @ a, "X": G, "s": tr(G)}


def _weighted_gram(X: Array, w: Array, B: Array) -> Outcome:
    """tr(X' diag(w) X B)."""
    return tr(X.T @ (w * X) @ B), {"X": w * X @ (B + B.T), "w": column(((X @ B) * X).sum(axis=1)), "B": X.T @ (w * X)}


def _inverse_with_diagonal(v: Array, A: Array, b: Array) -> Outcome:
    Y = inv(diag(v) + A)
    G = -Y.T @ b @ b.T @ Y.T
    return b.T @ Y @ b, {"v": column(np.diag(G)), "A": G, "b": (Y + Y.T) @ b}


def _block_square(A: Array, B: Array, C: Array) -> Outcome:
    """The trace of the square of [[A, B], [B', C]]."""
    return tr(A @ A) + 2 * square(B) + tr(C @ C), {"A": 2 * A.T, "B": 4 * B, "C": 2 * C.T}


def _entries_of_product(
    X: Array, Y: Array, entry: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> Outcome:
    """The trace of a function of the entries of X Y'."""
    D = np.diag(slope(np.diag(X @ Y.T)))
    return tr(entry(X @ Y.T)), {"X": D @ Y, "Y": D @ X}


def _beside_a_slice(a: Array, A: Array, B: Array, S: Array, b: Array) -> Outcome:
    """a' ((B + S_) o (A B)) b, where S_ is S without its first row and last column."""
    sums, product, weights = B + S[1:, :-1], A @ B, a @ b.T
    d_product = weights * sums
    d_S = np.zeros_like(S)
    d_S[1:, :-1] = weights * product
    return (weights * sums * product).sum(), {
        "a": (sums * product) @ b,
        "A": d_product @ B.T,
        "B": weights * product + A.T @ d_product,
        "S": d_S,
        "b": (sums * product).T @ a,
    }


def _symmetrised(A: Array) -> Array:
    return (A + A.T) @ (A + A.T) + 2 * np.eye(len(A))


def _symmetrised_slope(A: Array) -> Array:
    """Of the logarithm of the determinant of C C + 2, where C = A + A'."""
    return 4 * inv(_symmetrised(A)) @ (A + A.T)


def _block_form(A: Array, B: Array, C: Array, x: Array, y: Array) -> Outcome:
    return x.T @ A @ x + x.T @ B @ y + y.T @ C @ y, {
        "A": x @ x.T,
        "B": x @ y.T,
        "C": y @ y.T,
        "x": (A + A.T) @ x + B @ y,
        "y": B.T @ x + (C + C.T) @ y,
    }


def _block_form_expression(A: Any, B: Any, C: Any, x: Any, y: Any) -> sp.Expr:
    stack = sp.BlockMatrix([[x], [y]])
    return stack.T * sp.BlockMatrix([[A, B], [sp.ZeroMatrix(m, n), C]]) * stack


def _block_log_determinant(A: Array, B: Array, C: Array) -> Outcome:
    """log of the determinant of [[A, B/n], [B'/n, C]]."""
    size = len(A)
    M = np.block([[A, B / size], [B.T / size, C]])
    G = inv(M).T
    return np.log(det(M)), {
        "A": G[:size, :size],
        "B": (G[:size, size:] + G[size:, :size].T) / size,
        "C": G[size:, size:],
    }


def _slice(X: Array, Y: Array) -> Outcome:
    d_X, d_Y = np.zeros_like(X), np.zeros_like(Y)
    d_X[0:2, 1:3], d_Y[1:3, 0:2] = Y[1:3, 0:2].T, X[0:2, 1:3].T
    return tr(X[0:2, 1:3] @ Y[1:3, 0:2]), {"X": d_X, "Y": d_Y}


def _strided_slice(X: Array) -> Outcome:
    d_X = np.zeros_like(X)
    d_X[0:4:2, :] = 2 * X[0:4:2, :]
    return square(X[0:4:2, :]), {"X": d_X}


def _elements(X: Array) -> Outcome:
    d_X = np.zeros_like(X)
    d_X[0, 1], d_X[2, 0] = np.exp(X[0, 1]) * X[2, 0], np.exp(X[0, 1])
    d_X[-1, -1] += 2 * X[-1, -1]
    return np.exp(X[0, 1]) * X[2, 0] + X[-1, -1] ** 2, {"X": d_X}


def _elements_of_product(X: Array, W: Array) -> Outcome:
    P = X @ W
    D = 3 * P**2
    return (P**3).sum(), {"X": D @ W.T, "W": X.T @ D}


def _rayleigh(x: Array, A: Array, B: Array) -> Outcome:
    above, below = (x.T @ A @ x).item(), (x.T @ B @ x).item()
    q = above / below
    return q, {
        "x": ((A + A.T) @ x - q * (B + B.T) @ x) / below,
        "A": x @ x.T / below,
        "B": -q * x @ x.T / below,
    }


def _least_squares(X: Array, w: Array, y: Array) -> Outcome:
    r = X @ w - y
    return square(r), {"X": 2 * r @ w.T, "w": 2 * X.T @ r, "y": -2 * r}


def _ridge(X: Array, w: Array, y: Array, lam: Array) -> Outcome:
    value, d = _least_squares(X, w, y)
    return value + lam * square(w), d | {"w": d["w"] + 2 * lam * w, "lam": square(w)}


def _fitted(X: Array, y: Array) -> Outcome:
    """y' X (X' X)^-1 X' y."""
    w = inv(X.T @ X) @ X.T @ y
    return y.T @ X @ w, {"X": 2 * (y - X @ w) @ w.T, "y": 2 * X @ w}


def _mahalanobis(x: Array, mu: Array, S: Array) -> Outcome:
    u = x - mu
    Y = inv(S)
    s = np.sqrt((u.T @ Y @ u).item())
    d_u = (Y + Y.T) @ u / (2 * s)
    return s, {"x": d_u, "mu": -d_u, "S": -Y.T @ u @ u.T @ Y.T / (2 * s)}


def _gaussian(x: Array, mu: Array, S: Array) -> Outcome:
    """The log-density of a Gaussian."""
    u = x - mu
    Y = inv(S)
    d_u = -(Y + Y.T) @ u / 2
    value = -(u.T @ Y @ u).item() / 2 - np.log(det(S)) / 2 - len(x) * np.log(2 * np.longdouble(np.pi)) / 2
    return value, {"x": d_u, "mu": -d_u, "S": Y.T @ u @ u.T @ Y.T / 2 - Y.T / 2}


def _sample_likelihood(X: Array, S: Array) -> Outcome:
    """n log |S| + tr(X S^-1 X'), of n points that are the rows of X."""
    Y = inv(S)
    return len(X) * np.log(det(S)) + tr(X @ Y @ X.T), {"X": X @ (Y + Y.T), "S": len(X) * Y.T - Y.T @ X.T @ X @ Y.T}


def _divergence(S: Array, T: Array) -> Outcome:
    """tr(T^-1 S) - log |S| + log |T|: twice the divergence of two centred Gaussians, up to a constant."""
    Y = inv(T)
    return tr(Y @ S) - np.log(det(S)) + np.log(det(T)), {"S": Y.T - inv(S).T, "T": Y.T - (Y @ S @ Y).T}


def _neuron(w: Array, x: Array, b: Array) -> Outcome:
    y = sigmoid((w.T @ x).item() + b)
    return y, {"w": y * (1 - y) * x, "x": y * (1 - y) * w, "b": y * (1 - y)}


def _cross_entropy(X: Array, W: Array, Y: Array) -> Outcome:
    """Of softmax(X W) against the rows of Y, which are any numbers."""
    S = X @ W
    logs = column(logsumexp(S, axis=1))
    D = softmax(S) * Y.sum(axis=1, keepdims=True) - Y
    return (Y * (logs - S)).sum(), {"X": D @ W.T, "W": X.T @ D, "Y": logs - S}


def _cross_entropy_expression(X: Any, W: Any, Y: Any) -> sp.Expr:
    scores = X * W
    logs = (scores.applyfunc(sp.exp) * OneMatrix(p, 1)).applyfunc(sp.log)
    return Trace(Y.T * (logs * OneMatrix(1, p) - scores))


def _logistic(X: Array, w: Array, y: Array) -> Outcome:
    z = X @ w
    D = sigmoid(z) - y
    return (np.log1p(np.exp(z)) - y * z).sum(), {"X": D @ w.T, "w": X.T @ D, "y": -z}


def _log_of_sum(X: Array, w: Array) -> Outcome:
    s = softmax(X @ w, axis=0)
    return logsumexp(X @ w), {"X": s @ w.T, "w": X.T @ s}


def _normalised_rows(X: Array, c: Array) -> Outcome:
    """1' softmax(X) c, the softmax as exp(X) over its row sums."""
    s = softmax(X)
    return (s @ c).sum(), {"X": s * (c.T - s @ c), "c": column(s.sum(axis=0))}


def _normalised_rows_expression(X: Any, c: Any) -> sp.Expr:
    e = X.applyfunc(sp.exp)
    return OneMatrix(1, n) * sp.HadamardProduct(e, sp.HadamardPower(e * OneMatrix(m, m), -1)) * c


def _factorisation(X: Array, U: Array, V: Array, lam: Array) -> Outcome:
    R = U @ V.T - X
    return square(R) + lam * (square(U) + square(V)), {
        "X": -2 * R,
        "U": 2 * R @ V + 2 * lam * U,
        "V": 2 * R.T @ U + 2 * lam * V,
        "lam": square(U) + square(V),
    }


def _reconstruction(X: Array, W: Array) -> Outcome:
    """|X - X W W'|^2."""
    R = X - X @ W @ W.T
    return square(R), {"X": 2 * (R - R @ W @ W.T), "W": -2 * (R.T @ X + X.T @ R) @ W}


def _laplacian(Y: Array, W: Array) -> Outcome:
    """tr(Y' (diag(W 1) - W) Y)."""
    L = np.diag(W.sum(axis=1)) - W
    norms = (Y**2).sum(axis=1, keepdims=True)
    return tr(Y.T @ L @ Y), {"Y": (L + L.T) @ Y, "W": norms - Y @ Y.T}


def _poisson_deviance(V: Array, W: Array, H: Array) -> Outcome:
    """sum of (W H - V log(W H)), as in non-negative matrix factorisation."""
    P = W @ H
    D = 1 - V / P
    return (P - V * np.log(P)).sum(), {"V": -np.log(P), "W": D @ H.T, "H": W.T @ D}


def _log_trace_and_scalars(A: Array, x: Array, y: Array) -> Outcome:
    return np.log(tr(A)) * x + y * tr(A) ** 2, {
        "A": (x / tr(A) + 2 * y * tr(A)) * np.eye(len(A)),
        "x": np.log(tr(A)),
        "y": tr(A) ** 2,
    }


def _log_determinant_and_trace(X: Array, s: Array) -> Outcome:
    return np.log(det(X)) - s * tr(X @ X.T) + np.sin(s), {
        "X": inv(X).T - 2 * s * X,
        "s": -square(X) + np.cos(s),
    }


def _ratio_of_determinants(A: Array, B: Array) -> Outcome:
    q = det(A) / det(B)
    return q, {"A": q * inv(A).T, "B": -q * inv(B).T}


def _commutator(A: Array, B: Array) -> Outcome:
    C = A @ B - B @ A
    return square(C), {"A": 2 * (C @ B.T - B.T @ C), "B": 2 * (A.T @ C - C @ A.T)}


def _scalar_product_times_matrix(a: Array, b: Array, X: Array) -> Outcome:
    s = (a * b).sum()
    return s * tr(X @ X), {"a": b * tr(X @ X), "b": a * tr(X @ X), "X": 2 * s * X.T}


def _cayley(A: Array, b: Array) -> Outcome:
    """b' (I + A)^-1 (I - A) b."""
    Y, eye = inv(np.eye(len(A)) + A), np.eye(len(A))
    u = Y.T @ b
    return u.T @ (eye - A) @ b, {
        "A": -u @ (Y @ (eye - A) @ b).T - u @ b.T,
        "b": Y @ (eye - A) @ b + (eye - A).T @ u,
    }


def _push_through(X: Array, y: Array, s: Array) -> Outcome:
    """y' (s I + X X')^-1 y."""
    u = inv(s * np.eye(len(X)) + X @ X.T) @ y
    return y.T @ u, {"X": -2 * u @ u.T @ X, "y": 2 * u, "s": -square(u)}


def _literal_form(x: Array) -> Outcome:
    M = np.array([[2, 1], [-1, 3]])
    b = np.array([[1], [-2]])
    return x.T @ M @ x + b.T @ x, {"x": (M + M.T) @ x + b}


def _literal_sandwich(X: Array) -> Outcome:
    A, B = np.array([[1, 2, 0], [0, 1, -1]]), np.array([[1], [4]])
    return (B.T @ A @ X @ B).item() ** 2, {"X": 2 * (B.T @ A @ X @ B).item() * A.T @ B @ B.T}


def _hadamard_of_three(X: Array, Y: Array, a: Array, b: Array) -> Outcome:
    H = X * Y * X
    return a.T @ H @ b, {"X": 2 * X * Y * (a @ b.T), "Y": X * X * (a @ b.T), "a": H @ b, "b": H.T @ a}


def _weighted_indices(X: Array) -> Outcome:
    rows, columns = np.indices(X.shape)
    return ((rows + 2 * columns + 1) * X).sum(), {"X": rows + 2 * columns + 1}


def _kronecker(A: Array, B: Array, C: Array) -> Outcome:
    """tr((A x B) C), C of the size of both."""
    rows, columns = len(A), len(B)
    D = C.reshape(rows, columns, rows, columns)
    return np.einsum("ab,cd,bdac", A, B, D), {
        "A": np.einsum("cd,bdac->ab", B, D),
        "B": np.einsum("ab,bdac->cd", A, D),
        "C": np.kron(A, B).T,
    }


# ----------------------------------------------------------------------------------------------------------------------
# The table
# ----------------------------------------------------------------------------------------------------------------------

_IDENTITIES: list[Row] = [
    # Traces
    ("trace", "A n n", lambda A: Trace(A), lambda A: (tr(A), {"A": np.eye(len(A))})),
    (
        "matrix_trace_of_product",
        "A n m, X m n",
        lambda A, X: Trace(A * X),
        lambda A, X: (tr(A @ X), {"A": X.T, "X": A.T}),
    ),
    (
        "trace_of_transpose",
        "A n m, X n m",
        lambda A, X: Trace(A * X.T),
        lambda A, X: (tr(A @ X.T), {"A": X, "X": A}),
    ),
    (
        "trace_of_three",
        "A n m, X m p, B p n",
        lambda A, X, B: Trace(A * X * B),
        lambda A, X, B: (tr(A @ X @ B), {"A": (X @ B).T, "X": A.T @ B.T, "B": (A @ X).T}),
    ),
    (
        "trace_of_transposed_middle",
        "A n m, X p m, B p n",
        lambda A, X, B: Trace(A * X.T * B),
        lambda A, X, B: (tr(A @ X.T @ B), {"A": B.T @ X, "X": B @ A, "B": X @ A.T}),
    ),
    (
        "trace_of_form",
        "X n m, A n n",
        lambda X, A: Trace(X.T * A * X),
        lambda X, A: (tr(X.T @ A @ X), {"X": (A + A.T) @ X, "A": X @ X.T}),
    ),
    (
        "trace_of_form_and_weight",
        "X n m, A n n, B m m",
        lambda X, A, B: Trace(X.T * A * X * B),
        lambda X, A, B: (
            tr(X.T @ A @ X @ B),
            {"X": A @ X @ B + A.T @ X @ B.T, "A": X @ B.T @ X.T, "B": X.T @ A.T @ X},
        ),
    ),
    ("trace_of_square", "X n n", lambda X: Trace(X * X), lambda X: (tr(X @ X), {"X": 2 * X.T})),
    ("trace_of_cube", "X n n", lambda X: Trace(X**3), lambda X: (tr(X @ X @ X), {"X": 3 * (X @ X).T})),
    (
        "trace_of_square_and_matrix",
        "A n n, X n n",
        lambda A, X: Trace(A * X**2),
        lambda A, X: (tr(A @ X @ X), {"A": (X @ X).T, "X": (X @ A + A @ X).T}),
    ),
    (
        "trace_of_hadamard",
        "A n m, X m n, Y m n",
        lambda A, X, Y: Trace(A * sp.HadamardProduct(X, Y)),
        lambda A, X, Y: (tr(A @ (X * Y)), {"A": (X * Y).T, "X": A.T * Y, "Y": A.T * X}),
    ),
    (
        "trace_of_sum",
        "A n n, B n m, X m n",
        lambda A, B, X: Trace(A + B * X),
        lambda A, B, X: (tr(A + B @ X), {"A": np.eye(len(A)), "B": X.T, "X": B.T}),
    ),
    ("commutator", "A n n, B n n", lambda A, B: Trace((A * B - B * A).T * (A * B - B * A)), _commutator),
    # Forms and norms
    (
        "bilinear_form",
        "a n 1, X n m, b m 1",
        lambda a, X, b: a.T * X * b,
        lambda a, X, b: (a.T @ X @ b, {"a": X @ b, "X": a @ b.T, "b": X.T @ a}),
    ),
    (
        "bilinear_form_element",
        "a n 1, X n m, b m 1",
        lambda a, X, b: (a.T * X * b)[0, 0],
        lambda a, X, b: (a.T @ X @ b, {"a": X @ b, "X": a @ b.T, "b": X.T @ a}),
    ),
    (
        "bilinear_form_transposed",
        "a m 1, X n m, b n 1",
        lambda a, X, b: a.T * X.T * b,
        lambda a, X, b: (a.T @ X.T @ b, {"a": X.T @ b, "X": b @ a.T, "b": X @ a}),
    ),
    (
        "gram_form",
        "a m 1, X n m, b m 1",
        lambda a, X, b: a.T * X.T * X * b,
        lambda a, X, b: (a.T @ X.T @ X @ b, {"a": X.T @ X @ b, "X": X @ (a @ b.T + b @ a.T), "b": X.T @ X @ a}),
    ),
    (
        "matrix_quadratic_form",
        "x n 1, A n n",
        lambda x, A: x.T * A * x,
        lambda x, A: (x.T @ A @ x, {"x": (A + A.T) @ x, "A": x @ x.T}),
    ),
    (
        "two_affine_maps",
        "A n p, b n 1, C n m, D m p, e m 1, x p 1",
        lambda A, b, C, D, e, x: (A * x + b).T * C * (D * x + e),
        _two_affine,
    ),
    ("squared_norm", "x n 1", lambda x: x.T * x, lambda x: (x.T @ x, {"x": 2 * x})),
    (
        "norm",
        "x n 1",
        lambda x: sp.sqrt((x.T * x)[0, 0]),
        lambda x: (np.sqrt(square(x)), {"x": x / np.sqrt(square(x))}),
    ),
    ("norm_of_matrix_at_zero", "x n 1 zero", lambda x: sp.sqrt((x.T * x)[0, 0]), lambda x: (0, {"x": 0 * x})),
    ("frobenius_norm_at_zero", "X n m zero", lambda X: sp.sqrt(Trace(X.T * X)), lambda X: (0, {"X": 0 * X})),
    (
        "norm_as_matrix_power",
        "x n 1",
        lambda x: sp.sqrt(x.T * x),
        lambda x: (np.sqrt(square(x)), {"x": x / np.sqrt(square(x))}),
    ),
    (
        "frobenius_norm",
        "X n m",
        lambda X: sp.sqrt(Trace(X.T * X)),
        lambda X: (np.sqrt(square(X)), {"X": X / np.sqrt(square(X))}),
    ),
    ("sum_of_squares", "X n m", lambda X: Trace(X * X.T), lambda X: (square(X), {"X": 2 * X})),
    (
        "distance",
        "A n m, X m p, B n p",
        lambda A, X, B: Trace((A * X - B).T * (A * X - B)),
        _distance,
    ),
    (
        "outer_distance",
        "x n 1, y m 1, B n m",
        lambda x, y, B: Trace((x * y.T - B) * (x * y.T - B).T),
        lambda x, y, B: (
            square(x @ y.T - B),
            {"x": 2 * (x @ y.T - B) @ y, "y": 2 * (x @ y.T - B).T @ x, "B": -2 * (x @ y.T - B)},
        ),
    ),
    (
        "dot_product",
        "a n 1, b n 1",
        lambda a, b: sp.DotProduct(a, b),
        lambda a, b: ((a * b).sum(), {"a": b, "b": a}),
    ),
    (
        "dot_product_of_row_and_column",
        "a 1 n, b n 1",
        lambda a, b: sp.exp(sp.DotProduct(a, b) / n),
        lambda a, b: (
            np.exp((a @ b).item() / len(b)),
            {"a": np.exp((a @ b).item() / len(b)) * b.T / len(b), "b": np.exp((a @ b).item() / len(b)) * a.T / len(b)},
        ),
    ),
    ("rayleigh_quotient", "x n 1, A n n, B n n spd", lambda x, A, B: (x.T * A * x)[0] / (x.T * B * x)[0], _rayleigh),
    (
        "rayleigh_quotient_of_traces",
        "x n 1, A n n, B n n spd",
        lambda x, A, B: Trace(x.T * A * x) / Trace(x.T * B * x),
        _rayleigh,
    ),
    (
        "scalar_product_times_matrix",
        "a m 1, b m 1, X n n",
        lambda a, b, X: Trace(sp.DotProduct(a, b) * X * X),
        _scalar_product_times_matrix,
    ),
    # Determinants
    ("determinant", "X n n good", lambda X: Determinant(X), lambda X: (det(X), {"X": det(X) * inv(X).T})),
    (
        "determinant_of_two_by_two",
        "X 2 2",
        lambda X: Determinant(X),
        lambda X: (
            X[0, 0] * X[1, 1] - X[0, 1] * X[1, 0],
            {"X": np.array([[X[1, 1], -X[1, 0]], [-X[0, 1], X[0, 0]]])},
        ),
    ),
    (
        "determinant_of_product",
        "A p n good, X n m good, B m p good",
        lambda A, X, B: Determinant(A * X * B),
        _determinant_of_product,
    ),
    (
        "determinant_of_inverse",
        "X n n good",
        lambda X: Determinant(Inverse(X)),
        lambda X: (1 / det(X), {"X": -inv(X).T / det(X)}),
    ),
    (
        "squared_determinant",
        "X n n good",
        lambda X: Determinant(X) ** 2 / 3,
        lambda X: (det(X) ** 2 / 3, {"X": 2 * det(X) ** 2 / 3 * inv(X).T}),
    ),
    (
        "ratio_of_determinants",
        "A m m good, B m m good",
        lambda A, B: Determinant(A) / Determinant(B),
        _ratio_of_determinants,
    ),
    (
        "log_determinant",
        "X n n good",
        lambda X: sp.log(Determinant(X)),
        lambda X: (np.log(det(X)), {"X": inv(X).T}),
    ),
    (
        "log_determinant_of_gram",
        "X n m good",
        lambda X: sp.log(Determinant(X.T * X)),
        lambda X: (np.log(det(X.T @ X)), {"X": 2 * X @ inv(X.T @ X)}),
    ),
    (
        "log_determinant_of_form",
        "X n m good, A n n good",
        lambda X, A: sp.log(Determinant(X.T * A * X)),
        _log_determinant_of_form,
    ),
    (
        "log_determinant_of_information",
        "X n m good, s positive",
        lambda X, s: sp.log(Determinant(Identity(m) + s * X.T * X)),
        _information,
    ),
    (
        "log_determinant_and_trace",
        "X n n good, s",
        lambda X, s: sp.log(Determinant(X)) - s * Trace(X * X.T) + sp.sin(s),
        _log_determinant_and_trace,
    ),
    # Inverses and powers
    (
        "trace_of_inverse",
        "X n n good",
        lambda X: Trace(Inverse(X)),
        lambda X: (tr(inv(X)), {"X": -(inv(X) @ inv(X)).T}),
    ),
    (
        "trace_with_inverse",
        "A m n, X n n good, B n m",
        lambda A, X, B: Trace(A * Inverse(X) * B),
        _trace_with_inverse,
    ),
    (
        "trace_of_inverse_and_matrix",
        "X n n good, B n n",
        lambda X, B: Trace(Inverse(X) * B),
        lambda X, B: (tr(inv(X) @ B), {"X": -(inv(X) @ B @ inv(X)).T, "B": inv(X).T}),
    ),
    (
        "form_of_inverse",
        "a n 1, X n n good, b n 1",
        lambda a, X, b: a.T * Inverse(X) * b,
        lambda a, X, b: (
            a.T @ inv(X) @ b,
            {"a": inv(X) @ b, "X": -inv(X).T @ a @ b.T @ inv(X).T, "b": inv(X).T @ a},
        ),
    ),
    (
        "form_of_transposed_inverse",
        "a n 1, X n n good, b n 1",
        lambda a, X, b: a.T * Inverse(X).T * b,
        lambda a, X, b: (
            a.T @ inv(X).T @ b,
            {"a": inv(X).T @ b, "X": -inv(X).T @ b @ a.T @ inv(X).T, "b": inv(X) @ a},
        ),
    ),
    (
        "inverse_of_sum",
        "A n n good, X n n good",
        lambda A, X: Trace(Inverse(A + X)),
        lambda A, X: (tr(inv(A + X)), dict.fromkeys("AX", -(inv(A + X) @ inv(A + X)).T)),
    ),
    (
        "inverse_of_symmetric_part",
        "a n 1, X n n good",
        lambda a, X: a.T * Inverse(X + X.T) * a,
        lambda a, X: (
            a.T @ inv(X + X.T) @ a,
            {"a": 2 * inv(X + X.T) @ a, "X": -2 * inv(X + X.T) @ a @ a.T @ inv(X + X.T)},
        ),
    ),
    ("between_inverses", "a n 1, X n n good, B n n", lambda a, X, B: a.T * X**-1 * B * X**-1 * a, _between_inverses),
    (
        "power_minus_one",
        "a n 1, X n n good",
        lambda a, X: a.T * X**-1 * a,
        lambda a, X: (a.T @ inv(X) @ a, {"a": (inv(X) + inv(X).T) @ a, "X": -inv(X).T @ a @ a.T @ inv(X).T}),
    ),
    ("power_minus_two", "A n n, X n n good", lambda A, X: Trace(A * X**-2), _power_minus_two),
    (
        "power_two",
        "a n 1, X n n, b n 1",
        lambda a, X, b: a.T * X**2 * b,
        lambda a, X, b: (
            a.T @ X @ X @ b,
            {"a": X @ X @ b, "X": a @ b.T @ X.T + X.T @ a @ b.T, "b": (X @ X).T @ a},
        ),
    ),
    ("power_three", "a n 1, X n n, b n 1", lambda a, X, b: a.T * X**3 * b, _cube_between),
    ("resolvent", "a n 1, X n n good, s positive", lambda a, X, s: a.T * Inverse(X + s * Identity(n)) * a, _resolvent),
    (
        "cayley_transform",
        "A n n good, b n 1",
        lambda A, b: b.T * Inverse(Identity(n) + A) * (Identity(n) - A) * b,
        _cayley,
    ),
    (
        "regularised_gram",
        "X n m, y n 1, s positive",
        lambda X, y, s: y.T * Inverse(s * Identity(n) + X * X.T) * y,
        _push_through,
    ),
    # Entry by entry
    (
        "hadamard_form",
        "X n m, Y n m, a n 1, b m 1",
        lambda X, Y, a, b: a.T * sp.HadamardProduct(X, Y, X) * b,
        _hadamard_of_three,
    ),
    (
        "hadamard_of_vectors",
        "X n m, b m 1, a n 1",
        lambda X, b, a: OneMatrix(1, n) * sp.HadamardProduct(X * b, a),
        lambda X, b, a: ((X @ b * a).sum(), {"X": a @ b.T, "b": X.T @ a, "a": X @ b}),
    ),
    (
        "hadamard_square",
        "X n m, b m 1",
        lambda X, b: OneMatrix(1, n) * sp.HadamardPower(X, 2) * b,
        lambda X, b: ((X**2 @ b).sum(), {"X": 2 * X * b.T, "b": column((X**2).sum(axis=0))}),
    ),
    (
        "hadamard_power_rational",
        "X n m positive",
        lambda X: OneMatrix(1, n) * sp.HadamardPower(X, sp.Rational(3, 2)) * OneMatrix(m, 1),
        lambda X: ((X * np.sqrt(X)).sum(), {"X": np.longdouble(1.5) * np.sqrt(X)}),
    ),
    (
        "hadamard_reciprocal",
        "X n n positive, A n n",
        lambda X, A: Trace(A * sp.HadamardPower(X, -1)),
        lambda X, A: (tr(A @ (1 / X)), {"X": -A.T / X**2, "A": 1 / X.T}),
    ),
    (
        "hadamard_power_symbolic",
        "X n m positive, r",
        lambda X, r: OneMatrix(1, n) * sp.HadamardPower(X, r) * OneMatrix(m, 1),
        _symbolic_hadamard_power,
    ),
    (
        "entrywise_exp",
        "X n m, b m 1",
        lambda X, b: OneMatrix(1, n) * X.applyfunc(sp.exp) * b,
        lambda X, b: ((np.exp(X) @ b).sum(), {"X": np.exp(X) * b.T, "b": column(np.exp(X).sum(axis=0))}),
    ),
    (
        "entrywise_tanh",
        "A m n, X n m",
        lambda A, X: Trace(A * X.applyfunc(sp.tanh)),
        lambda A, X: (tr(A @ np.tanh(X)), {"A": np.tanh(X).T, "X": A.T * (1 - np.tanh(X) ** 2)}),
    ),
    (
        "entrywise_relu",
        "X n m, w m 1, a n 1",
        lambda X, w, a: a.T * (X * w).applyfunc(sp.Lambda(t, sp.Max(0, t))),
        lambda X, w, a: (
            a.T @ np.maximum(0, X @ w),
            {"X": (a * (X @ w > 0)) @ w.T, "w": X.T @ (a * (X @ w > 0)), "a": np.maximum(0, X @ w)},
        ),
    ),
    (
        "entrywise_log",
        "X n m positive, Y n m",
        lambda X, Y: Trace(Y.T * X.applyfunc(sp.log)),
        lambda X, Y: ((Y * np.log(X)).sum(), {"X": Y / X, "Y": np.log(X)}),
    ),
    (
        "entrywise_sigmoid",
        "X n m, Y n m",
        lambda X, Y: Trace(X.applyfunc(sp.Lambda(t, 1 / (1 + sp.exp(-t)))) * Y.T),
        lambda X, Y: ((Y * sigmoid(X)).sum(), {"X": Y * sigmoid(X) * sigmoid(-X), "Y": sigmoid(X)}),
    ),
    (
        "entrywise_with_parameter",
        "X n n, s",
        lambda X, s: Trace(X.applyfunc(sp.Lambda(t, sp.sin(s * t)))),
        lambda X, s: (
            np.sin(s * np.diag(X)).sum(),
            {"X": np.diag(s * np.cos(s * np.diag(X))), "s": (np.diag(X) * np.cos(s * np.diag(X))).sum()},
        ),
    ),
    (
        "sum_of_entries",
        "X n m",
        lambda X: OneMatrix(1, n) * X * OneMatrix(m, 1),
        lambda X: (X.sum(), {"X": 1}),
    ),
    (
        "square_of_sum_of_entries",
        "X n m",
        lambda X: (OneMatrix(1, n) * X * OneMatrix(m, 1))[0, 0] ** 2,
        lambda X: (X.sum() ** 2, {"X": 2 * X.sum()}),
    ),
    (
        "biased_layer",
        "X n m, W m p, b 1 p",
        lambda X, W, b: Trace((X * W + OneMatrix(n, 1) * b).T * (X * W + OneMatrix(n, 1) * b)),
        _biased_layer,
    ),
    (
        "two_layers",
        "X n p, A p m, a 1 m, B m 2, Y n 2",
        lambda X, A, a, B, Y: (lambda R: Trace(R * R.T))((X * A + OneMatrix(n, 1) * a).applyfunc(sp.tanh) * B - Y),
        _two_layers,
    ),
    # Scalars and special matrices
    (
        "centred",
        "X n m",
        lambda X: Trace(X.T * (Identity(n) - OneMatrix(n, n) / n) * X),
        _centred,
    ),
    (
        "scalar_times_matrix",
        "s, A n m, X m n",
        lambda s, A, X: Trace(s * A * X),
        lambda s, A, X: (s * tr(A @ X), {"s": tr(A @ X), "A": s * X.T, "X": s * A.T}),
    ),
    (
        "combination",
        "s, A n m, r, B n m",
        lambda s, A, r, B: Trace((s * A + r * B - 2 * A) * (s * A + r * B - 2 * A).T),
        _combination,
    ),
    (
        "shifted_by_identity",
        "X n n, s",
        lambda X, s: Trace((X + s * Identity(n)) ** 2),
        lambda X, s: (
            tr(X @ X) + 2 * s * tr(X) + len(X) * s**2,
            {"X": 2 * X.T + 2 * s * np.eye(len(X)), "s": 2 * tr(X) + 2 * len(X) * s},
        ),
    ),
    (
        "trace_of_identity",
        "s, n size",
        lambda s, n: Trace(s * Identity(n)) ** 2,
        lambda s, n: (s**2 * n**2, {"s": 2 * s * n**2}),
    ),
    (
        "zero_matrix",
        "A n m, X m n",
        lambda A, X: Trace(sp.MatAdd(A * X, sp.ZeroMatrix(n, n))),
        lambda A, X: (tr(A @ X), {"A": X.T, "X": A.T}),
    ),
    (
        "diagonal_matrix",
        "v n 1, A n n",
        lambda v, A: Trace(sp.DiagMatrix(v) * A),
        lambda v, A: (tr(diag(v) @ A), {"v": column(np.diag(A)), "A": diag(v)}),
    ),
    (
        "diagonal_form",
        "a n 1, v n 1, b n 1",
        lambda a, v, b: a.T * sp.DiagMatrix(v) * b,
        lambda a, v, b: ((a * v * b).sum(), {"a": v * b, "v": a * b, "b": a * v}),
    ),
    (
        "weighted_gram",
        "X n m, w n 1, B m m",
        lambda X, w, B: Trace(X.T * sp.DiagMatrix(w) * X * B),
        _weighted_gram,
    ),
    (
        "inverse_with_diagonal",
        "v n 1 positive, A n n good, b n 1",
        lambda v, A, b: b.T * Inverse(sp.DiagMatrix(v) + A) * b,
        _inverse_with_diagonal,
    ),
    (
        "diagonal_of_product",
        "A n m, X m n, b n 1",
        lambda A, X, b: b.T * sp.DiagonalOf(A * X),
        lambda A, X, b: (
            b.T @ column(np.diag(A @ X)),
            {"A": b * X.T, "X": A.T * b.T, "b": column(np.diag(A @ X))},
        ),
    ),
    (
        "diagonal_of_matrix",
        "A n n, B n n",
        lambda A, B: Trace(sp.DiagonalMatrix(A) * B * B),
        lambda A, B: (
            np.diag(A) @ np.diag(B @ B),
            {"A": np.diag(np.diag(B @ B)), "B": np.diag(np.diag(A)) @ B.T + B.T @ np.diag(np.diag(A))},
        ),
    ),
    (
        "block_trace",
        "A n n, B n m, C m m",
        lambda A, B, C: Trace(sp.BlockMatrix([[A, B], [B.T, C]]) ** 2),
        _block_square,
    ),
    ("block_form", "A n n, B n m, C m m, x n 1, y m 1", _block_form_expression, _block_form),
    (
        "block_log_determinant",
        "A n n spd, B n m, C m m spd",
        lambda A, B, C: sp.log(Determinant(sp.BlockMatrix([[A, B / n], [B.T / n, C]]))),
        _block_log_determinant,
    ),
    ("slice", "X n m, Y m p", lambda X, Y: Trace(X[0:2, 1:3] * Y[1:3, 0:2]), _slice),
    ("strided_slice", "X n m", lambda X: Trace(X[0:4:2, :] * X[0:4:2, :].T), _strided_slice),
    ("elements", "X n m", lambda X: sp.exp(X[0, 1]) * X[2, 0] + X[n - 1, m - 1] ** 2, _elements),
    (
        "elements_in_sum",
        "X n m, c",
        lambda X, c: c * sp.Sum(X[i, j] ** 3, (i, 0, n - 1), (j, 0, m - 1)),
        lambda X, c: (c * (X**3).sum(), {"X": 3 * c * X**2, "c": (X**3).sum()}),
    ),
    (
        "elements_of_product_in_sum",
        "X n m, W m p",
        lambda X, W: sp.Sum((X * W)[i, j] ** 3, (i, 0, n - 1), (j, 0, p - 1)),
        _elements_of_product,
    ),
    (
        "literal_form",
        "x 2 1",
        lambda x: x.T * sp.ImmutableDenseMatrix([[2, 1], [-1, 3]]) * x + sp.ImmutableDenseMatrix([[1, -2]]) * x,
        _literal_form,
    ),
    (
        "literal_sandwich",
        "X 3 2",
        lambda X: (
            Trace(
                sp.ImmutableDenseMatrix([[1, 4]])
                * sp.ImmutableDenseMatrix([[1, 2, 0], [0, 1, -1]])
                * X
                * sp.ImmutableDenseMatrix([[1], [4]])
            )
            ** 2
        ),
        _literal_sandwich,
    ),
    (
        "literal_of_symbols",
        "X 2 2, c, s",
        lambda X, c, s: Trace(sp.ImmutableDenseMatrix([[c, -s], [s, c * s]]) * X),
        lambda X, c, s: (
            c * X[0, 0] - s * X[1, 0] + s * X[0, 1] + c * s * X[1, 1],
            {
                "X": np.array([[c, s], [-s, c * s]]),
                "c": X[0, 0] + s * X[1, 1],
                "s": X[0, 1] - X[1, 0] + c * X[1, 1],
            },
        ),
    ),
    (
        "function_matrix",
        "X n m",
        lambda X: Trace(sp.FunctionMatrix(m, n, sp.Lambda((j, i), i + 2 * j + 1)) * X),
        _weighted_indices,
    ),
    (
        "hilbert_form",
        "x n 1",
        lambda x: x.T * sp.FunctionMatrix(n, n, sp.Lambda((i, j), 1 / (i + j + 1))) * x,
        lambda x: (
            x.T @ (1 / (np.longdouble(1) + np.add.outer(np.arange(len(x)), np.arange(len(x))))) @ x,
            {"x": 2 / (np.longdouble(1) + np.add.outer(np.arange(len(x)), np.arange(len(x)))) @ x},
        ),
    ),
    (
        "kronecker_product",
        "A 2 2, B 3 3, C 6 6",
        lambda A, B, C: Trace(sp.KroneckerProduct(A, B) * C),
        _kronecker,
    ),
    (
        "adjoint",
        "X n m, A n n",
        lambda X, A: Trace(sp.Adjoint(X) * A * X),
        lambda X, A: (tr(X.T @ A @ X), {"X": (A + A.T) @ X, "A": X @ X.T}),
    ),
    # Scalar functions of matrices
    (
        "exp_of_trace",
        "X n n, s",
        lambda X, s: sp.exp(s * Trace(X) / n),
        lambda X, s: (
            np.exp(s * tr(X) / len(X)),
            {
                "X": np.exp(s * tr(X) / len(X)) * s / len(X) * np.eye(len(X)),
                "s": np.exp(s * tr(X) / len(X)) * tr(X) / len(X),
            },
        ),
    ),
    (
        "trace_plus_one",
        "X n n",
        lambda X: (Trace(X) + 1) ** 2,
        lambda X: ((tr(X) + 1) ** 2, {"X": 2 * (tr(X) + 1) * np.eye(len(X))}),
    ),
    (
        "log_trace_and_scalars",
        "A n n good, x, y",
        lambda A, x, y: sp.log(Trace(A)) * x + y * Trace(A) ** 2,
        _log_trace_and_scalars,
    ),
    ("neuron", "w n 1, x n 1, b", lambda w, x, b: 1 / (1 + sp.exp(-(w.T * x)[0, 0] - b)), _neuron),
    (
        "neuron_of_matrix_product",
        "w n 1, x n 1",
        lambda w, x: 1 / (1 + sp.exp(-w.T * x)),
        lambda w, x: (lambda y: (y, {"w": y * (1 - y) * x, "x": y * (1 - y) * w}))(sigmoid((w.T @ x).item())),
    ),
    # Statistics and learning
    ("matrix_least_squares", "X n m, w m 1, y n 1", lambda X, w, y: (X * w - y).T * (X * w - y), _least_squares),
    (
        "ridge",
        "X n m, w m 1, y n 1, lam positive",
        lambda X, w, y, lam: Trace((X * w - y).T * (X * w - y)) + lam * Trace(w.T * w),
        _ridge,
    ),
    (
        "ridge_as_matrix_sum",
        "X n m, w m 1, y n 1, lam positive",
        lambda X, w, y, lam: (X * w - y).T * (X * w - y) + lam * w.T * w,
        _ridge,
    ),
    ("fitted", "X n m good, y n 1", lambda X, y: y.T * X * Inverse(X.T * X) * X.T * y, _fitted),
    (
        "mahalanobis",
        "x n 1, mu n 1, S n n spd",
        lambda x, mu, S: sp.sqrt(((x - mu).T * Inverse(S) * (x - mu))[0, 0]),
        _mahalanobis,
    ),
    (
        "gaussian",
        "x n 1, mu n 1, S n n spd",
        lambda x, mu, S: (
            -Trace((x - mu).T * Inverse(S) * (x - mu)) / 2 - sp.log(Determinant(S)) / 2 - n * sp.log(2 * sp.pi) / 2
        ),
        _gaussian,
    ),
    (
        "sample_likelihood",
        "X n m, S m m spd",
        lambda X, S: n * sp.log(Determinant(S)) + Trace(X * Inverse(S) * X.T),
        _sample_likelihood,
    ),
    (
        "divergence",
        "S n n spd, T n n spd",
        lambda S, T: Trace(Inverse(T) * S) - sp.log(Determinant(S)) + sp.log(Determinant(T)),
        _divergence,
    ),
    ("cross_entropy", "X n m, W m p, Y n p", _cross_entropy_expression, _cross_entropy),
    (
        "matrix_logistic",
        "X n m, w m 1, y n 1 bits",
        lambda X, w, y: OneMatrix(1, n) * (X * w).applyfunc(sp.Lambda(t, sp.log(1 + sp.exp(t)))) - y.T * X * w,
        _logistic,
    ),
    (
        "log_of_sum",
        "X n m, w m 1",
        lambda X, w: sp.log((OneMatrix(1, n) * (X * w).applyfunc(sp.exp))[0, 0]),
        _log_of_sum,
    ),
    ("normalised_rows", "X n m, c m 1", _normalised_rows_expression, _normalised_rows),
    (
        "factorisation",
        "X n m, U n p, V m p, lam positive",
        lambda X, U, V, lam: Trace((U * V.T - X).T * (U * V.T - X)) + lam * (Trace(U.T * U) + Trace(V.T * V)),
        _factorisation,
    ),
    (
        "product_beside_a_longer_slice",
        "a n 1, A n n, B n m, S n+1 m+1, b m 1",
        lambda a, A, B, S, b: (a.T * sp.HadamardProduct(B + S[1 : n + 1, 0:m], A * B) * b)[0, 0],
        _beside_a_slice,
    ),
    # Diagonals of fixed sizes, sums with a transpose
    (
        "diagonal_of_sines",
        "X 3 2, Y 3 2",
        lambda X, Y: Trace((X * Y.T).applyfunc(sp.sin)),
        lambda X, Y: _entries_of_product(X, Y, np.sin, np.cos),
    ),
    (
        "diagonal_of_squared_tanh",
        "A 3 3",
        lambda A: Trace(sp.HadamardPower(A.applyfunc(sp.tanh), 2)),
        lambda A: (tr(np.tanh(A) ** 2), {"A": 2 * np.diag(np.diag(np.tanh(A) * (1 - np.tanh(A) ** 2)))}),
    ),
    (
        "diagonal_of_entrywise_products",
        "A 3 3, B 3 3",
        lambda A, B: Trace(sp.HadamardProduct(A, sp.HadamardProduct(B, B.T))),
        lambda A, B: (
            (np.diag(A) * np.diag(B) ** 2).sum(),
            {"A": np.diag(np.diag(B) ** 2), "B": np.diag(2 * np.diag(A) * np.diag(B))},
        ),
    ),
    (
        "determinant_of_symmetrised",
        "A n n",
        lambda A: Determinant((A + A.T) * (A + A.T) + 2 * Identity(n)),
        lambda A: (det(_symmetrised(A)), {"A": det(_symmetrised(A)) * _symmetrised_slope(A)}),
    ),
    (
        "log_determinant_of_symmetrised",
        "A n n",
        lambda A: sp.log(Determinant((A + A.T) * (A + A.T) + 2 * Identity(n))),
        lambda A: (np.log(det(_symmetrised(A))), {"A": _symmetrised_slope(A)}),
    ),
    ("reconstruction", "X n m, W m p", lambda X, W: Trace((X - X * W * W.T).T * (X - X * W * W.T)), _reconstruction),
    (
        "laplacian_of_graph",
        "Y n p, W n n",
        lambda Y, W: Trace(Y.T * (sp.DiagMatrix(W * OneMatrix(n, 1)) - W) * Y),
        _laplacian,
    ),
    (
        "nonnegative_factorisation",
        "V n m positive, W n p positive, H p m positive",
        lambda V, W, H: OneMatrix(1, n) * (W * H - sp.HadamardProduct(V, (W * H).applyfunc(sp.log))) * OneMatrix(m, 1),
        _poisson_deviance,
    ),
    # One entry, and a branch that is not taken
    ("entry", "X n m", lambda X: X[0, 1], lambda X: (X[0, 1], {"X": _at(X, 0, 1)})),
    ("entry_of_transpose", "X n m", lambda X: X.T[0, 1], lambda X: (X[1, 0], {"X": _at(X, 1, 0)})),
    (
        "entry_of_inverse",
        "X n n good",
        lambda X: Inverse(X)[0, 1],
        lambda X: (inv(X)[0, 1], {"X": -np.outer(inv(X).T[:, 0], inv(X).T[1])}),
    ),
    (
        "function_of_a_name_in_use",
        "X n n, t",
        lambda X, t: Trace(t * X.applyfunc(sp.Lambda(t, 1 / (1 + t**2)))),
        lambda X, t: (
            t * (1 / (1 + np.diag(X) ** 2)).sum(),
            {"X": -2 * t * np.diag(np.diag(X) / (1 + np.diag(X) ** 2) ** 2), "t": (1 / (1 + np.diag(X) ** 2)).sum()},
        ),
    ),
    (
        "sum_of_inverse",
        "X 2 2 good",
        lambda X: (OneMatrix(1, 2) * Inverse(6 * Identity(2) + X) * OneMatrix(2, 1))[0, 0],
        lambda X: (
            inv(6 * np.eye(2) + X).sum(),
            {"X": -np.outer(inv(6 * np.eye(2) + X).sum(axis=0), inv(6 * np.eye(2) + X).sum(axis=1))},
        ),
    ),
    (
        "determinant_without_arrays",
        "n size, t positive",
        lambda n, t: Determinant(6 * Identity(n) + t * OneMatrix(n, n)),
        lambda n, t: (6 ** (n - 1) * (6 + n * t), {"t": n * np.longdouble(6) ** (n - 1)}),
    ),
    (
        "determinant_in_a_branch",
        "X n n, s positive",
        lambda X, s: sp.Piecewise((Determinant(X) * s, s < 0), (s**2, True)),
        lambda X, s: (s**2, {"X": 0 * X, "s": 2 * s}),
    ),
    (
        "logarithms_on_the_diagonal",
        "X n n eye",
        lambda X: Trace(X.applyfunc(sp.log)),
        lambda X: (np.log(np.diag(X)).sum(), {"X": np.diag(1 / np.diag(X))}),
    ),
    (
        "determinant_of_symmetric_square",
        "X n n",
        lambda X: Determinant((X + X.T) * (X + X.T) + 2 * Identity(n)),
        _determinant_of_symmetric_square,
    ),
]

CORPUS = cases(_IDENTITIES, _matrix)
