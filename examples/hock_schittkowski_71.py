"""A nonlinear program: an objective, an inequality and an equation in SymPy, solved by an interior-point method.

Problem 71 of W. Hock and K. Schittkowski, Test Examples for Nonlinear Programming Codes (1981), which is the first
example of Ipopt's documentation. Its optimum is published.
Needs `pip install symgrad[nlp]`.
"""

import numpy as np
import sympy as sp

import symgrad

x = sp.symbols("x1:5")
program = symgrad.nlp(
    x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
    [sp.prod(x) >= 25, sp.Eq(sum(own**2 for own in x), 40)],
    x,
    bounds=dict.fromkeys(x, (1, 5)),
)
start = np.array([1.0, 5.0, 5.0, 1.0])
found = program.solve(start, print_level=0)
print(f"{found.status}: {found.value:.7f} at {', '.join(f'{value:.4f}' for value in found.x.values())}")
assert found.success
assert abs(found.value - 17.0140173) < 1e-6

# At a solution the gradient of the Lagrangian is 0, but where a bound is active: x1 is at 1, and may not become less.
rows, columns = program.jacobianstructure()
slope = program.gradient(found.vector)
np.add.at(slope, columns, program.jacobian(found.vector) * found.multipliers[rows])
print("gradient of the Lagrangian:", ", ".join(f"{value:.1e}" for value in slope))
assert slope[0] > 1
assert np.abs(slope[1:]).max() < 1e-6

other = program.solve(start, "trust-constr", gtol=1e-8, xtol=1e-10)
print(f"SciPy's trust-constr, with the same derivatives: {other.value:.7f}")
assert abs(other.value - found.value) < 1e-3
