"""Logistic regression by SciPy's L-BFGS: a kernel's objective is a function of one flat vector, value and gradient.

The targets y are 1 and -1. The answer is checked against Newton's method, written by hand. The picture
logistic_regression.png, in the folder of --out, shows the weights found beside those that made the data, with two
standard errors. Needs `pip install symgrad[examples]`.
"""

import argparse
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.figure import Figure
from scipy.optimize import minimize

import symgrad


def loss() -> tuple[sp.Expr, list]:
    """The sum of log(1 + exp(-y (w x + b))) over the points, with an L2 penalty; and the weights, w and b."""
    n, d = sp.symbols("n d", integer=True, positive=True)
    i, j = sp.symbols("i j", integer=True)
    b, lam = sp.symbols("b lam")
    X, y, w = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
    score = sp.Sum(w[j] * X[i, j], (j, 0, d - 1)) + b
    penalty = lam * sp.Sum(w[j] ** 2, (j, 0, d - 1)) / 2
    return sp.Sum(sp.log(1 + sp.exp(-y[i] * score)), (i, 0, n - 1)) + penalty, [w, b]


def newton(X: np.ndarray, y: np.ndarray, lam: float, steps: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Weights, the bias last, and their covariance, from the textbook's gradient and Hessian."""
    A = np.column_stack([X, np.ones(len(X))])
    ridge = lam * np.diag([*np.ones(X.shape[1]), 0.0])
    weights = np.zeros(A.shape[1])
    for _ in range(steps):
        wrong = 1 / (1 + np.exp(y * (A @ weights)))
        gradient = -A.T @ (y * wrong) + ridge @ weights
        hessian = (A.T * (wrong * (1 - wrong))) @ A + ridge
        weights = weights - np.linalg.solve(hessian, gradient)
    return weights, np.linalg.inv(hessian)


def main(out: Path = Path("pictures"), points: int = 20_000, features: int = 20) -> float:
    """Prints, draws, and gives the largest difference from Newton's weights."""
    rng = np.random.default_rng(0)
    X, true = rng.normal(size=(points, features)), rng.normal(size=features + 1)
    y = np.where(rng.uniform(size=points) < 1 / (1 + np.exp(-X @ true[:-1] - true[-1])), 1.0, -1.0)

    expression, wrt = loss()
    kernel = symgrad.compile(expression, wrt=wrt)
    objective = kernel.objective(X=X, y=y, lam=1.0)
    found = minimize(objective, objective.pack(w=np.zeros(features), b=0.0), jac=True, method="L-BFGS-B", tol=1e-12)
    at = objective.unpack(found.x)
    weights, covariance = newton(X, y, lam=1.0)
    error = max(abs(at["w"] - weights[:-1]).max(), abs(at["b"] - weights[-1]))
    print(f"{points} points, {features} features: {found.nfev} evaluations, loss {found.fun:.6f}")
    print(f"largest difference from Newton's weights by hand: {error:.0e}")
    assert error < 1e-5

    figure = Figure(figsize=(6, 6), layout="constrained")
    panel = figure.subplots()
    panel.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    panel.errorbar(true, [*at["w"], at["b"]], yerr=2 * np.sqrt(np.diag(covariance)), fmt="o", capsize=3)
    panel.set(xlabel="weight that made the data", ylabel="weight found", title="logistic regression")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "logistic_regression.png", dpi=100)
    return float(error)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures (default: pictures)")
    main(parser.parse_args().out)
