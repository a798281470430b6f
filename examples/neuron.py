"""The neuron of the lecture: two inputs, a bias, and the logistic activation, whose gate is a single sigmoid."""

from pathlib import Path

import symgrad

kernel = symgrad.compile(Path(__file__).with_name("neuron.txt").read_text(encoding="utf-8"))
value, gradient = kernel(w0=2, w1=-3, w2=-3, x0=-1, x1=-2)

rounded = {name: round(derivative, 2) for name, derivative in gradient.as_dict().items()}
print(f"output {value:.2f}")
print(f"gradient {rounded}")
print(kernel.check(w0=2, w1=-3, w2=-3, x0=-1, x1=-2))

assert round(value, 2) == 0.73
assert rounded == {"w0": -0.20, "w1": -0.39, "w2": 0.20, "x0": 0.39, "x1": -0.59}
