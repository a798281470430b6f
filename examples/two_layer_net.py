"""The lecture's two-layer net, scores = W2 max(0, W1 x + b1) + b2, trained on a spiral of three classes.

The net is written with nested sums over indices and, once more, with matrices; its losses are the softmax and the
SVM's hinge, each with an L2 penalty. One kernel serves the full batch and minibatches: its sizes are symbols.
Pictures: two_layer_net.png (what the net says of the plane, and the loss on the way), in the folder of --out.
Needs `pip install symgrad[examples]`.
"""

import argparse
import sys
import timeit
from functools import partial
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.figure import Figure
from rich.progress import track

import symgrad

n, d, h, c = sp.symbols("n d h c", integer=True, positive=True)  # points, inputs, hidden neurons, classes
i, j, k, o = sp.symbols("i j k o", integer=True)
lam = sp.Symbol("lam")
y = sp.IndexedBase("y", shape=(n,), integer=True)


def nested_sums(loss: str) -> tuple[sp.Expr, list[sp.IndexedBase]]:
    """The loss of the net, and its weights."""
    X = sp.IndexedBase("X", shape=(n, d))
    W1, b1 = sp.IndexedBase("W1", shape=(h, d)), sp.IndexedBase("b1", shape=(h,))
    W2, b2 = sp.IndexedBase("W2", shape=(c, h)), sp.IndexedBase("b2", shape=(c,))

    def score(i: sp.Expr, o: sp.Expr) -> sp.Expr:
        hidden = sp.Max(0, sp.Sum(W1[k, j] * X[i, j], (j, 0, d - 1)) + b1[k])
        return sp.Sum(W2[o, k] * hidden, (k, 0, h - 1)) + b2[o]

    of_point = {
        "softmax": sp.log(sp.Sum(sp.exp(score(i, o)), (o, 0, c - 1))) - score(i, y[i]),
        "hinge": sp.Sum(sp.Max(0, score(i, o) - score(i, y[i]) + 1), (o, 0, c - 1)) - 1,  # 1 is that of o = y[i]
    }[loss]
    penalty = sp.Sum(W1[k, j] ** 2, (j, 0, d - 1), (k, 0, h - 1)) + sp.Sum(W2[o, k] ** 2, (k, 0, h - 1), (o, 0, c - 1))
    return sp.Sum(of_point, (i, 0, n - 1)) / n + lam * penalty / 2, [W1, b1, W2, b2]


def matrices() -> tuple[sp.Expr, list[sp.MatrixSymbol]]:
    """The same net with the softmax loss, as products of matrices."""
    X, ones, a = sp.MatrixSymbol("X", n, d), sp.OneMatrix(n, 1), sp.Symbol("a")
    W1, b1, W2, b2 = (sp.MatrixSymbol(*spec) for spec in (("W1", h, d), ("b1", h, 1), ("W2", c, h), ("b2", c, 1)))
    hidden = (X * W1.T + ones * b1.T).applyfunc(sp.Lambda(a, sp.Max(0, a)))
    S = hidden * W2.T + ones * b2.T
    data = sp.Sum(sp.log(sp.Sum(sp.exp(S[i, o]), (o, 0, c - 1))) - S[i, y[i]], (i, 0, n - 1)) / n
    return data + lam * (sp.Trace(W1.T * W1) + sp.Trace(W2.T * W2)) / 2, [W1, b1, W2, b2]


def by_hand(X: np.ndarray, y: np.ndarray, W1: np.ndarray, b1: np.ndarray, W2: np.ndarray, b2: np.ndarray, lam: float):
    """The softmax loss and its gradient, as the lecture writes them in NumPy."""
    hidden = np.maximum(0, X @ W1.T + b1)
    shares = np.exp(hidden @ W2.T + b2)
    shares /= shares.sum(axis=1, keepdims=True)
    loss = -np.log(shares[range(len(X)), y]).mean() + lam * ((W1**2).sum() + (W2**2).sum()) / 2
    shares[range(len(X)), y] -= 1
    d_scores = shares / len(X)
    d_hidden = d_scores @ W2 * (hidden > 0)
    return loss, (d_hidden.T @ X + lam * W1, d_hidden.sum(0), d_scores.T @ hidden + lam * W2, d_scores.sum(0))


def spiral(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (3 per_class, 2) on three arms with noisy angles, and the number of each one's arm."""
    radius = np.tile(np.linspace(0.0, 1.0, per_class), 3)
    label = np.repeat(np.arange(3), per_class)
    angle = 4 * (label + radius) + 0.2 * np.random.default_rng(seed).normal(size=len(label))
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), label


def start(hidden: int, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed).normal
    zeros = {"b1": np.zeros(hidden), "b2": np.zeros(3)}
    return {"W1": draw(size=(hidden, 2)), "W2": 0.1 * draw(size=(3, hidden)), **zeros}


def train(kernel, X, y, weights, steps, batch, rate, lam, name):
    """Stochastic gradient descent; gives the weights and the loss at each step."""
    rng, result, losses = np.random.default_rng(0), None, []
    for step in track(range(steps), description=name, disable=not sys.stdout.isatty()):
        place = step % (len(X) // batch) * batch
        if place == 0:
            order = rng.permutation(len(X))
            X, y = X[order], y[order]
        part = slice(place, place + batch)
        result = kernel(X=X[part], y=y[part], lam=lam, **weights, out=result)
        for weight, derivative in result.grad.as_dict().items():
            weights[weight] -= rate * (1 - 0.9 * step / steps) * derivative
        losses.append(float(result.value))
    return weights, losses


def classify(points: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    hidden = np.maximum(0, points @ weights["W1"].T + weights["b1"])
    return (hidden @ weights["W2"].T + weights["b2"]).argmax(axis=-1)


def main(out: Path = Path("pictures"), steps: int = 3000, hidden: int = 100, per_class: int = 100) -> list[float]:
    """Trains three times, prints and draws; gives the accuracies on the training points."""
    kernel, of_matrices, hinge = (
        symgrad.compile(expression, wrt=weights)
        for expression, weights in (nested_sums("softmax"), matrices(), nested_sums("hinge"))
    )
    X, labels = spiral(per_class, seed=0)
    X_held_out, labels_held_out = spiral(per_class, seed=1)

    point = {"X": X, "y": labels, "lam": 1e-3, **start(hidden)}
    loss, by_hand_gradient = by_hand(**point)
    columns = {**point, "b1": point["b1"][:, None], "b2": point["b2"][:, None]}
    for what, function, arguments in (("nested sums", kernel, point), ("matrices", of_matrices, columns)):
        value, gradient = function(**arguments)
        pairs = zip(gradient, by_hand_gradient, strict=True)
        error = max(abs(found.reshape(wanted.shape) - wanted).max() for found, wanted in pairs)
        seconds = min(timeit.repeat(partial(function, **arguments), number=1, repeat=20))
        errors = f"{abs(value - loss):.0e} and {error:.0e}"
        print(f"{what}: {errors} from value and gradient by hand, {seconds * 1e6:.0f} us a step")
        assert error < 1e-12

    plans = {
        "softmax, full batch": (kernel, len(X), 1.0),
        "softmax, minibatches": (kernel, len(X) // 6, 1.0),
        "hinge, minibatches": (hinge, len(X) // 6, 0.2),
    }
    figure = Figure(figsize=(16, 4), layout="constrained")
    *panels, last = figure.subplots(1, 4)
    plane = np.stack(np.meshgrid(*[np.linspace(-1.3, 1.3, 300)] * 2), axis=-1)
    accuracies = []
    for (name, (function, batch, rate)), panel in zip(plans.items(), panels, strict=True):
        weights, losses = train(function, X, labels, start(hidden), steps, batch, rate, 1e-3, name)
        accuracies.append(float(np.mean(classify(X, weights) == labels)))
        held_out = np.mean(classify(X_held_out, weights) == labels_held_out)
        print(f"{name}: loss {losses[-1]:.3f}, accuracy {accuracies[-1]:.1%}, on held-out points {held_out:.1%}")
        panel.contourf(plane[..., 0], plane[..., 1], classify(plane, weights), levels=[-0.5, 0.5, 1.5, 2.5], alpha=0.4)
        panel.scatter(*X.T, c=labels, s=12, edgecolors="black", linewidths=0.3)
        panel.set_title(f"{name}: {accuracies[-1]:.1%}")
        last.semilogy(np.convolve(losses, np.ones(20) / 20, mode="valid"), label=name)
    last.legend()
    last.set_title("loss, mean of 20 steps")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "two_layer_net.png", dpi=100)
    return accuracies


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures (default: pictures)")
    main(parser.parse_args().out)
