"""A triple pendulum: Lagrange's equations by SymPy, the right-hand side and its Jacobian by symgrad, solve_ivp.

Three unit masses on unit rods. SymPy derives the equations of motion; symgrad.ode makes of them what SciPy's implicit
solvers call. The energy has to stay what it was.
"""

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

import symgrad

N, GRAVITY = 3, 9.81


def equations() -> tuple[list[sp.Expr], list[sp.Symbol], sp.Expr]:
    """The derivatives of angles and rates by time, these as the state, and the energy."""
    t = sp.Symbol("t")
    angle = [sp.Function(f"a{k}")(t) for k in range(1, N + 1)]
    x, y = sp.Integer(0), sp.Integer(0)
    kinetic, potential = sp.Integer(0), sp.Integer(0)
    for own in angle:
        x, y = x + sp.sin(own), y - sp.cos(own)
        kinetic += (sp.diff(x, t) ** 2 + sp.diff(y, t) ** 2) / 2
        potential += GRAVITY * y
    rates = [sp.diff(own, t) for own in angle]
    lagrangian = sp.expand(kinetic) - potential
    plain, speeds = sp.symbols(f"q1:{N + 1}"), sp.symbols(f"u1:{N + 1}")

    def named(expression: sp.Expr) -> sp.Expr:
        return expression.subs(dict(zip(rates, speeds, strict=True))).subs(dict(zip(angle, plain, strict=True)))

    inner = named(lagrangian)
    mass = sp.Matrix(N, N, lambda row, column: sp.trigsimp(sp.diff(inner, speeds[row], speeds[column])))
    force = sp.Matrix(
        [
            sp.diff(inner, q)
            - sum(sp.diff(inner, u, other) * speed for other, speed in zip(plain, speeds, strict=True))
            for q, u in zip(plain, speeds, strict=True)
        ]
    )
    accelerations = mass.LUsolve(force)
    return [*speeds, *accelerations], [*plain, *speeds], named(kinetic + potential)


right_hand_side, state, energy = equations()
system = symgrad.ode(right_hand_side, state)
start = np.array([2.0, 1.5, 1.0, 0.0, 0.0, 0.0])

step = 1e-6
differences = np.column_stack(
    [(system.fun(0.0, start + way) - system.fun(0.0, start - way)) / (2 * step) for way in step * np.eye(2 * N)]
)
error = np.abs(system.jac(0.0, start) - differences).max()
print(f"Jacobian of the right-hand side against central differences: {error:.0e}")
assert error < 1e-6

found = solve_ivp(system.fun, (0.0, 5.0), start, method="Radau", jac=system.jac, rtol=1e-9, atol=1e-9)
energies = symgrad.compile(energy, args=state, derivative=None)(*found.y)
drift = np.abs(energies - energies[0]).max()
print(f"{found.t.size} steps, {found.nfev} right-hand sides, {found.njev} Jacobians; the energy moves by {drift:.0e} J")
assert found.success
assert drift < 1e-5
