"""Nonlinear least squares against certified answers: the Thurber problem of NIST, seven parameters, 37 points.

symgrad.residuals gives SciPy's least_squares the residuals at the data and their Jacobian. The same fit is done once
more as the minimum of a sum of squares. Data and certified values: NIST Statistical Reference Datasets, Thurber
(semiconductor electron mobility), www.itl.nist.gov/div898/strd/nls/data/thurber.shtml.
Picture: nonlinear_least_squares.png, the data and the fit, in the folder of --out.
Needs `pip install symgrad[examples]`.
"""

import argparse
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.figure import Figure
from scipy.optimize import least_squares, minimize

import symgrad

# fmt: off
Y = np.array([
    80.574, 84.248, 87.264, 87.195, 89.076, 89.608, 89.868, 90.101, 92.405, 95.854, 100.696, 101.06, 401.672, 390.724,
    567.534, 635.316, 733.054, 759.087, 894.206, 990.785, 1090.109, 1080.914, 1122.643, 1178.351, 1260.531, 1273.514,
    1288.339, 1327.543, 1353.863, 1414.509, 1425.208, 1421.384, 1442.962, 1464.35, 1468.705, 1447.894, 1457.628,
])
X = np.array([
    -3.067, -2.981, -2.921, -2.912, -2.84, -2.797, -2.702, -2.699, -2.633, -2.481, -2.363, -2.322, -1.501, -1.46,
    -1.274, -1.212, -1.1, -1.046, -0.915, -0.714, -0.566, -0.545, -0.4, -0.309, -0.109, -0.103, 0.01, 0.119, 0.377,
    0.79, 0.963, 1.006, 1.115, 1.572, 1.841, 2.047, 2.2,
])
# fmt: on
STARTS = ((1000.0, 1000.0, 400.0, 40.0, 0.7, 0.3, 0.03), (1300.0, 1500.0, 500.0, 75.0, 1.0, 0.4, 0.05))
CERTIFIED = (1288.13968, 1491.0792535, 583.23836877, 75.416644291, 0.96629502864, 0.39797285797, 0.049727297349)
CERTIFIED_SUM = 5642.7082397
B = sp.symbols("b1:8")


def model(x: sp.Expr) -> sp.Expr:
    """A quotient of two cubic polynomials."""
    b1, b2, b3, b4, b5, b6, b7 = B
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def digits(found: np.ndarray) -> float:
    """How many digits of every parameter agree with the certified ones (NIST's log relative error), at most 11."""
    return float(min(11, -np.log10(max(abs(found / CERTIFIED - 1).max(), 1e-11))))


def main(out: Path = Path("pictures")) -> list[float]:
    """Prints, draws, and gives the number of right digits of each fit."""
    x, y = sp.symbols("x y")
    fit = symgrad.residuals(model(x) - y, B, x=X, y=Y)
    n, i = sp.symbols("n i", integer=True, positive=True)
    xs, ys = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(n,))
    squares = symgrad.compile(sp.Sum((model(xs[i]) - ys[i]) ** 2, (i, 0, n - 1)), wrt=B)

    def at(b: np.ndarray) -> dict[str, float]:
        return {symbol.name: value for symbol, value in zip(B, b, strict=True)}

    value = squares.value(x=X, y=Y, **at(CERTIFIED))
    print(f"at the certified parameters: sum of squares {value:.7f}, certified {CERTIFIED_SUM}")
    point = np.array(STARTS[0])
    by_hand = 2 * fit.jac(point).T @ fit.fun(point)
    error = np.max(abs(squares.grad(x=X, y=Y, **at(point)) / by_hand - 1))
    print(f"gradient of the sum of squares against 2 J'r: relative difference {error:.0e}")

    right = []
    for number, start in enumerate(STARTS, 1):
        found = least_squares(fit.fun, start, fit.jac, method="lm", x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15)
        right.append(digits(found.x))
        print(f"least_squares from start {number}: {found.nfev} evaluations, {right[-1]:.1f} digits right")

    objective = squares.objective(x=X, y=Y)
    scale = objective.pack(**at(STARTS[1]))  # the minimiser sees numbers near 1

    def scaled(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(u * scale)
        return value, gradient * scale

    found = minimize(scaled, np.ones(len(B)), jac=True, method="BFGS", options={"gtol": 1e-5, "maxiter": 1000})
    fitted = objective.unpack(found.x * scale)
    right.append(digits(np.array([fitted[symbol.name] for symbol in B])))
    print(f"minimize of the sum of squares: {found.nfev} evaluations, {right[-1]:.1f} digits right")
    assert min(right) > 6

    figure = Figure(figsize=(7, 5), layout="constrained")
    panel = figure.subplots()
    line = np.linspace(X.min(), X.max(), 300)
    panel.plot(line, symgrad.lambdify((B, x), model(x))(list(fitted.values()), line), label="fit")
    panel.plot(X, Y, "k.", label="measured")
    panel.set(xlabel="logarithm of the density", ylabel="electron mobility", title="Thurber")
    panel.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "nonlinear_least_squares.png", dpi=100)
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures (default: pictures)")
    main(parser.parse_args().out)
