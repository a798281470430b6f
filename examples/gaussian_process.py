"""A Gaussian process: its three hyperparameters by maximal marginal likelihood, through the inverse and determinant.

The covariance is a FunctionMatrix, exp(2 amplitude - (x[i] - x[j])^2 exp(-2 scale)/2), plus exp(2 noise) times the
identity: all three parameters are logarithms. Source of the formulas: C. E. Rasmussen, C. K. I. Williams, Gaussian
Processes for Machine Learning (2006), sections 2.2 and 5.4. Picture: gaussian_process.png, the mean and its band of two
standard deviations before and after, in the folder of --out. Needs `pip install symgrad[examples]`.
"""

import argparse
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.figure import Figure
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

import symgrad

NAMES = ("amplitude", "scale", "noise")


def minus_log_likelihood() -> tuple[sp.Expr, tuple[sp.Symbol, ...]]:
    """Minus the log marginal likelihood of y at x, and the hyperparameters."""
    n = sp.Symbol("n", integer=True, positive=True)
    i, j = sp.symbols("i j", integer=True)
    x, y = sp.IndexedBase("x", shape=(n,)), sp.MatrixSymbol("y", n, 1)
    amplitude, scale, noise = sp.symbols(NAMES)
    signal = sp.Lambda((i, j), sp.exp(2 * amplitude - (x[i] - x[j]) ** 2 * sp.exp(-2 * scale) / 2))
    K = sp.FunctionMatrix(n, n, signal) + sp.exp(2 * noise) * sp.Identity(n)
    fit = (y.T * K.inv() * y)[0, 0]
    return (fit + sp.log(sp.Determinant(K)) + n * sp.log(2 * sp.pi)) / 2, (amplitude, scale, noise)


def covariance(x: np.ndarray, z: np.ndarray, amplitude: float, scale: float) -> np.ndarray:
    return np.exp(2 * amplitude - (x[:, None] - z) ** 2 * np.exp(-2 * scale) / 2)


def by_hand(x: np.ndarray, y: np.ndarray, amplitude: float, scale: float, noise: float) -> tuple[float, np.ndarray]:
    """Value and gradient by the formula (5.9) of the book: tr((K^-1 - K^-1 y y' K^-1) dK)/2."""
    signal, white = covariance(x, x, amplitude, scale), np.exp(2 * noise) * np.eye(len(x))
    inverse = np.linalg.inv(signal + white)
    outer = inverse - inverse @ y @ y.T @ inverse
    changes = (2 * signal, signal * (x[:, None] - x) ** 2 * np.exp(-2 * scale), 2 * white)
    value = ((y.T @ inverse @ y).item() + np.linalg.slogdet(signal + white)[1] + len(x) * np.log(2 * np.pi)) / 2
    return value, np.array([np.sum(outer * change) / 2 for change in changes])


def predict(x: np.ndarray, y: np.ndarray, z: np.ndarray, amplitude: float, scale: float, noise: float):
    """Mean and standard deviation of the function at z."""
    factor = cho_factor(covariance(x, x, amplitude, scale) + np.exp(2 * noise) * np.eye(len(x)))
    across = covariance(x, z, amplitude, scale)
    mean = across.T @ cho_solve(factor, y)[:, 0]
    return mean, np.sqrt(np.exp(2 * amplitude) - np.sum(across * cho_solve(factor, across), axis=0))


def main(out: Path = Path("pictures"), points: int = 80) -> dict[str, float]:
    """Prints, draws, and gives the hyperparameters found, as logarithms."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-5, 5, points))
    y = (np.sin(2 * x) + 0.3 * x + 0.2 * rng.normal(size=points))[:, None]
    expression, wrt = minus_log_likelihood()
    kernel = symgrad.compile(expression, wrt=wrt)

    start = dict.fromkeys(NAMES, 0.0)
    value, gradient = kernel(x=x, y=y, **start)
    wanted, derivatives = by_hand(x, y, **start)
    error = abs(np.array(gradient) - derivatives).max() / abs(derivatives).max()
    print(f"by hand: relative differences {abs(value / wanted - 1):.0e} in the value, {error:.0e} in the gradient")
    assert error < 1e-10

    objective = kernel.objective(x=x, y=y)
    found = minimize(objective, objective.pack(**start), jac=True, method="L-BFGS-B")
    at = {name: float(number) for name, number in objective.unpack(found.x).items()}
    print(f"{points} points, {found.nfev} evaluations: log likelihood {-value:.2f} to {-found.fun:.2f}")
    print(", ".join(f"{name} {np.exp(at[name]):.3f}" for name in NAMES), "(the noise was made with 0.2)")

    figure = Figure(figsize=(8, 7), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    z = np.linspace(-7, 7, 400)
    for panel, parameters, title in zip(panels, (start, at), ("before: all are 1", "after"), strict=True):
        mean, deviation = predict(x, y, z, **parameters)
        panel.fill_between(z, mean - 2 * deviation, mean + 2 * deviation, alpha=0.3)
        panel.plot(z, mean)
        panel.plot(z, np.sin(2 * z) + 0.3 * z, "k--", linewidth=0.8)
        panel.plot(x, y, "k.")
        panel.set(title=title, ylim=(-4, 4))
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "gaussian_process.png", dpi=100)
    return at


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures (default: pictures)")
    main(parser.parse_args().out)
