"""A three-layer net for two classes: what size, regularisation and activation do, and how the layers warp the plane.

The picture three_layer_net.png, in the folder of --out, shows what the net says of the plane (above) with more neurons
in each hidden layer and (middle) with more regularisation; and (below) how a net whose last hidden layer has two
neurons warps the plane until a line separates the classes, and the loss on the way with each activation.
Needs `pip install symgrad[examples]`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.progress import track

import symgrad

ACTIVATIONS = {
    "ReLU": (lambda a: sp.Max(0, a), lambda a: np.maximum(0, a)),
    "sigmoid": (lambda a: 1 / (1 + sp.exp(-a)), lambda a: 1 / (1 + np.exp(-a))),
    "tanh": (sp.tanh, np.tanh),
}


def compile_net(activation: str) -> symgrad.Kernel:
    """The logistic loss of W3 f(W2 f(W1 x + b1) + b2) + b3, with targets t of 1 and -1, and an L2 penalty."""
    n, d, g, h = sp.symbols("n d g h", integer=True, positive=True)  # points, inputs, neurons of each hidden layer
    i, j, k, m = sp.symbols("i j k m", integer=True)
    b3, lam = sp.symbols("b3 lam")
    X, t = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("t", shape=(n,))
    W1, W2, W3 = (
        sp.IndexedBase("W1", shape=(g, d)),
        sp.IndexedBase("W2", shape=(h, g)),
        sp.IndexedBase("W3", shape=(h,)),
    )
    b1, b2 = sp.IndexedBase("b1", shape=(g,)), sp.IndexedBase("b2", shape=(h,))
    f, _ = ACTIVATIONS[activation]

    first = f(sp.Sum(W1[k, j] * X[i, j], (j, 0, d - 1)) + b1[k])
    second = f(sp.Sum(W2[m, k] * first, (k, 0, g - 1)) + b2[m])
    score = sp.Sum(W3[m] * second, (m, 0, h - 1)) + b3
    data = sp.Sum(sp.log(1 + sp.exp(-t[i] * score)), (i, 0, n - 1)) / n
    of_two = sp.Sum(W1[k, j] ** 2, (j, 0, d - 1), (k, 0, g - 1)) + sp.Sum(W2[m, k] ** 2, (k, 0, g - 1), (m, 0, h - 1))
    penalty = of_two + sp.Sum(W3[m] ** 2, (m, 0, h - 1))
    return symgrad.compile(data + lam * penalty / 2, wrt=[W1, b1, W2, b2, W3, b3])


def forward(points: np.ndarray, weights: dict, activation: str) -> tuple[np.ndarray, np.ndarray]:
    """The last hidden layer and the score, at points (..., 2)."""
    _, f = ACTIVATIONS[activation]
    hidden = f(f(points @ weights["W1"].T + weights["b1"]) @ weights["W2"].T + weights["b2"])
    return hidden, hidden @ weights["W3"] + weights["b3"]


def moons(number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles that reach into each other, with noise."""
    angle, t = rng.uniform(0, np.pi, number), np.resize([1.0, -1.0], number)
    X = np.column_stack([t * (np.cos(angle) - 0.5), t * (np.sin(angle) - 0.25)])
    return X + 0.35 * rng.normal(size=X.shape), t


def rings(number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A disc and the ring around it."""
    angle, t = rng.uniform(0, 2 * np.pi, number), np.resize([1.0, -1.0], number)
    radius = np.where(t > 0, rng.uniform(0, 0.5, number), rng.uniform(0.9, 1.3, number))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), t


def start(g: int, h: int, seed: int = 0) -> dict:
    draw = np.random.default_rng(seed).normal
    weights = {"W1": draw(size=(g, 2)), "W2": draw(size=(h, g)) / g**0.5, "W3": draw(size=h) / h**0.5}
    return {**weights, "b1": np.zeros(g), "b2": np.zeros(h), "b3": 0.0}


def train(kernel: symgrad.Kernel, X, t, weights: dict, steps: int, lam: float, name: str) -> tuple[dict, list[float]]:
    """Gradient descent with momentum; gives the weights and the loss at each step."""
    velocity, result, losses = dict.fromkeys(weights, 0.0), None, []
    for _ in track(range(steps), description=name, disable=not sys.stdout.isatty()):
        result = kernel(X=X, t=t, lam=lam, **weights, out=result)
        for weight, derivative in result.grad.as_dict().items():
            velocity[weight] = 0.9 * velocity[weight] - 0.1 * derivative
            weights[weight] = weights[weight] + velocity[weight]
        losses.append(float(result.value))
    return weights, losses


def draw_plane(panel: Axes, X: np.ndarray, t: np.ndarray, weights: dict, activation: str, title: str) -> None:
    plane = np.stack(np.meshgrid(*[np.linspace(-2, 2, 300)] * 2), axis=-1)
    score = forward(plane, weights, activation)[1]
    panel.contourf(plane[..., 0], plane[..., 1], score, levels=[-np.inf, 0, np.inf], colors=["C0", "C1"], alpha=0.3)
    panel.scatter(*X.T, c=np.where(t > 0, "C1", "C0"), s=12, edgecolors="black", linewidths=0.3)
    accuracy = np.mean(np.sign(forward(X, weights, activation)[1]) == t)
    panel.set(title=f"{title}: {accuracy:.0%}", xlim=(-2, 2), ylim=(-2, 2))


def draw_warped(panel: Axes, X: np.ndarray, t: np.ndarray, weights: dict, activation: str) -> None:
    """A grid of the plane and the points, where the last hidden layer takes them, and the line of score 0 there."""
    lines = np.stack(np.meshgrid(np.linspace(-1.4, 1.4, 29), np.linspace(-1.4, 1.4, 200)), axis=-1)
    for grid in (lines, lines[..., ::-1]):
        panel.plot(*np.moveaxis(forward(grid, weights, activation)[0], -1, 0), color="grey", linewidth=0.4)
    panel.scatter(*forward(X, weights, activation)[0].T, c=np.where(t > 0, "C1", "C0"), s=12, zorder=2)
    square = np.stack(np.meshgrid(*[np.linspace(-1.1, 1.1, 50)] * 2), axis=-1)
    panel.contour(square[..., 0], square[..., 1], square @ weights["W3"] + weights["b3"], levels=[0], colors="black")
    panel.set(title="the two neurons of the last hidden layer")


def main(out: Path = Path("pictures"), steps: int = 2000, points: int = 200) -> None:
    kernels = {activation: compile_net(activation) for activation in ACTIVATIONS}
    rng = np.random.default_rng(0)
    moon, ring = moons(points, rng), rings(points, rng)
    figure = Figure(figsize=(12, 12), layout="constrained")
    panels = figure.subplots(3, 3)

    weights, direction, step = start(4, 3), start(4, 3, seed=1), 1e-6
    kernel, point = kernels["tanh"], {"X": ring[0], "t": ring[1], "lam": 1e-3}
    up, down = ({name: weights[name] + by * direction[name] for name in weights} for by in (step, -step))
    differences = (kernel.value(**point, **up) - kernel.value(**point, **down)) / (2 * step)
    gradient = kernel.grad(**point, **weights)
    slope = sum(np.sum(gradient[name] * direction[name]) for name in weights)
    print(f"slope in a direction: {slope:.9f}, by central differences {differences:.9f}")
    assert abs(slope - differences) < 1e-7

    plans = [(3, 1e-4), (6, 1e-4), (20, 1e-4), (20, 1e-3), (20, 1e-2), (20, 1e-1)]
    for panel, (size, lam) in zip(panels.flat, plans, strict=False):
        title = f"{size} neurons, lambda {lam:g}"
        weights, losses = train(kernels["ReLU"], *moon, start(size, size), steps, lam, title)
        print(f"{title}: loss {losses[-1]:.4f}")
        draw_plane(panel, *moon, weights, "ReLU", title)
    title = "6 and 2 neurons, tanh"
    weights, losses = train(kernels["tanh"], *ring, start(6, 2), steps, 1e-3, title)
    print(f"{title}: loss {losses[-1]:.4f}")
    draw_plane(panels[2, 0], *ring, weights, "tanh", title)
    draw_warped(panels[2, 1], *ring, weights, "tanh")
    for activation, kernel in kernels.items():
        _, losses = train(kernel, *ring, start(20, 20), steps, 1e-4, activation)
        print(f"{activation}: loss {losses[-1]:.4f}, above 0.1 for {sum(loss > 0.1 for loss in losses)} steps")
        panels[2, 2].loglog(losses, label=activation)
    panels[2, 2].set_title("loss on the rings, 20 neurons")
    panels[2, 2].legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "three_layer_net.png", dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures (default: pictures)")
    main(parser.parse_args().out)
