"""A mixture of Gaussians: the log-likelihood of ADBench, with its Wishart prior, maximised by SciPy's L-BFGS.

Each component k has a weight softmax(alpha)[k], a mean mu[k], and an inverse covariance Q'Q with Q lower triangular:
exp(q[k]) on the diagonal (so that it is positive) and L[k] below; what L holds elsewhere is never read. Source of the
objective: F. Srajer, Z. Kukelova, A. Fitzgibbon, A benchmark of selected algorithmic differentiation tools (2018).
Picture: gaussian_mixture.png, the points and the components found, in the folder of --out.
Needs `pip install symgrad[examples]`.
"""

import argparse
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.figure import Figure
from scipy.optimize import minimize
from scipy.special import logsumexp, multigammaln

import symgrad


def objective_and_weights() -> tuple[sp.Expr, list[sp.IndexedBase]]:
    """Minus the logarithm of likelihood times prior, and what is fitted."""
    n, d, K = sp.symbols("n d K", integer=True, positive=True)
    i, j, k, h = sp.symbols("i j k h", integer=True)
    gamma, m = sp.symbols("gamma m")  # of the Wishart prior: 1/scale, and the degrees of freedom beyond d + 1
    x, alpha = sp.IndexedBase("x", shape=(n, d)), sp.IndexedBase("alpha", shape=(K,))
    mu, q, L = (
        sp.IndexedBase("mu", shape=(K, d)),
        sp.IndexedBase("q", shape=(K, d)),
        sp.IndexedBase("L", shape=(K, d, d)),
    )

    below = sp.Sum(L[k, j, h] * (x[i, h] - mu[k, h]), (h, 0, j - 1))
    distance = sp.Sum((sp.exp(q[k, j]) * (x[i, j] - mu[k, j]) + below) ** 2, (j, 0, d - 1))
    of_component = sp.exp(alpha[k] + sp.Sum(q[k, j], (j, 0, d - 1)) - distance / 2)
    likelihood = (
        sp.Sum(sp.log(sp.Sum(of_component, (k, 0, K - 1))), (i, 0, n - 1))
        - n * sp.log(sp.Sum(sp.exp(alpha[k]), (k, 0, K - 1)))
        - n * d * sp.log(2 * sp.pi) / 2
    )
    of_diagonal = gamma**2 * sp.exp(2 * q[k, j]) / 2 - m * q[k, j]
    of_triangle = gamma**2 * sp.Sum(L[k, j, h] ** 2, (h, 0, j - 1)) / 2
    freedom = d + m + 1
    log_gamma = d * (d - 1) * sp.log(sp.pi) / 4 + sp.Sum(sp.loggamma((freedom - j) / 2), (j, 0, d - 1))
    constant = K * (freedom * d * (sp.log(gamma) - sp.log(2) / 2) - log_gamma)
    prior = constant - sp.Sum(of_diagonal + of_triangle, (j, 0, d - 1), (k, 0, K - 1))
    return -likelihood - prior, [alpha, mu, q, L]


def by_hand(x, alpha, mu, q, L, gamma, m) -> tuple[float, np.ndarray]:
    """The value and its derivative by mu, in NumPy."""
    (n, d), K = x.shape, len(alpha)
    Q = np.tril(L, -1) + np.exp(q)[:, :, None] * np.eye(d)
    centred = np.einsum("kjl,nkl->nkj", Q, x[:, None, :] - mu)
    logs = alpha + q.sum(1) - (centred**2).sum(2) / 2
    likelihood = logsumexp(logs, axis=1).sum() - n * logsumexp(alpha) - n * d * np.log(2 * np.pi) / 2
    freedom = d + m + 1
    constant = K * (freedom * d * (np.log(gamma) - np.log(2) / 2) - multigammaln(freedom / 2, d))
    prior = constant - gamma**2 / 2 * (Q**2).sum() + m * q.sum()
    shares = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
    return -likelihood - prior, -np.einsum("nk,nkj,kjl->kl", shares, centred, Q)


def main(out: Path = Path("pictures"), points: int = 2000, seed: int = 0) -> float:
    """Prints, draws, and gives the largest distance of a true mean from the nearest one found."""
    rng = np.random.default_rng(seed)
    true = np.array([[-3.0, -2.0], [0.0, 3.0], [4.0, 0.0], [0.5, -1.0]])
    stretch = np.array(
        [[[1.0, 0.0], [0.8, 0.4]], [[1.5, 0.0], [0.0, 0.3]], [[0.4, 0.0], [-0.5, 0.9]], [[0.5, 0.0], [0.2, 0.5]]]
    )
    label = rng.choice(len(true), size=points, p=[0.3, 0.3, 0.25, 0.15])
    x = true[label] + np.einsum("nij,nj->ni", stretch[label], rng.normal(size=(points, 2)))

    expression, wrt = objective_and_weights()
    kernel = symgrad.compile(expression, wrt=wrt)
    fixed = {"x": x, "gamma": 1.0, "m": 0.0}
    K, d = true.shape
    start = {"alpha": np.zeros(K), "mu": x[[0, 1, 2, 3]], "q": np.zeros((K, d)), "L": np.zeros((K, d, d))}

    other = {name: rng.normal(size=values.shape) for name, values in start.items()}
    value, gradient = kernel(**fixed, **other)
    wanted, d_mu = by_hand(**fixed, **other)
    error = abs(gradient["mu"] - d_mu).max() / abs(d_mu).max()
    print(f"by hand: relative differences {abs(value / wanted - 1):.0e} in the value, {error:.0e} in d mu")
    assert error < 1e-10

    objective = kernel.objective(**fixed)
    found = minimize(objective, objective.pack(**start), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    at = objective.unpack(found.x)
    weights = np.exp(at["alpha"] - logsumexp(at["alpha"]))
    print(f"{points} points, {found.nfev} evaluations: {found.fun:.3f}, weights {weights.round(3)}")
    distances = [min(np.linalg.norm(at["mu"] - mean, axis=1)) for mean in true]
    print(f"distances of the true means from those found: {np.round(distances, 3)}")

    figure = Figure(figsize=(7, 6), layout="constrained")
    panel = figure.subplots()
    panel.scatter(*x.T, c=label, s=4, cmap="tab10", vmax=9)
    circle = np.array([np.cos(np.linspace(0, 2 * np.pi, 100)), np.sin(np.linspace(0, 2 * np.pi, 100))])
    for k in range(K):
        Q = np.tril(at["L"][k], -1) + np.diag(np.exp(at["q"][k]))
        panel.plot(*(at["mu"][k][:, None] + 2 * np.linalg.solve(Q, circle)), color="black")
    panel.set_title(f"{K} components at two standard deviations")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "gaussian_mixture.png", dpi=100)
    return float(max(distances))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures (default: pictures)")
    main(parser.parse_args().out)
