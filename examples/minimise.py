"""Minimising Rosenbrock's valley: the kernel gives SciPy's minimiser the value and the gradient in one call."""

from pathlib import Path

import symgrad

try:
    from scipy.optimize import minimize
except ImportError:
    minimize = None

kernel = symgrad.compile(Path(__file__).with_name("rosenbrock.txt").read_text(encoding="utf-8"))
objective = kernel.objective()
start = objective.pack(x=-1.2, y=1.0)

value, gradient = objective(start)
print(f"start {objective.unpack(start)}: value {value:.4g}, gradient {gradient.round(4)}")
assert abs(value - 24.2) < 1e-12
assert abs(gradient - (-215.6, -88.0)).max() < 1e-12

if minimize is None:
    print("no SciPy here, so no minimiser; pip install scipy")
else:
    found = minimize(objective, start, jac=True, method="BFGS")
    print(f"after {found.nit} steps: {objective.unpack(found.x.round(6))}, value {found.fun:.1e}")
    assert abs(found.x - 1).max() < 1e-6
