"""Solvers of nonlinear programs, each called as it wants to be: pounce, cyipopt, SciPy's trust-constr."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np

from .errors import SymgradError

SOLVERS = ("pounce", "cyipopt", "trust-constr")
_ACCEPTED = (0, 1)  # Ipopt's statuses: solved, and solved to the acceptable level


class Solution(NamedTuple):
    """What a solver found.

    Attributes:
        x: The variables by name, each of its shape.
        value: The objective there.
        status: What the solver says of it, in its own words.
        success: Whether the solver says that it is a solution.
        vector: The variables as one vector.
        multipliers: Of the constraints, of shape (m,), for the Lagrangian f + multipliers . g.
        info: All else that the solver returned.
    """

    x: dict[str, Any]
    value: float
    status: str
    success: bool
    vector: Any
    multipliers: Any
    info: Any


class Program(Protocol):
    """What a solver calls, by cyipopt's names."""

    n: int
    m: int
    lb: Any
    ub: Any
    cl: Any
    cu: Any

    def objective(self, x: Any) -> float: ...
    def gradient(self, x: Any) -> Any: ...
    def constraints(self, x: Any) -> Any: ...
    def jacobian(self, x: Any) -> Any: ...
    def jacobianstructure(self) -> tuple[Any, Any]: ...
    def hessian(self, x: Any, lagrange: Any, obj_factor: float) -> Any: ...
    def hessianstructure(self) -> tuple[Any, Any]: ...
    def unpack(self, vector: Any) -> dict[str, Any]: ...


def solved(program: Program, start: Any, solver: str, options: Mapping[str, Any]) -> Solution:
    """What one of `SOLVERS` finds from a starting vector. Raises SymgradError where it is not installed."""
    if solver == "trust-constr":
        return _by_trust_region(program, start, options)
    try:
        module = import_module(solver)
    except ImportError:
        way = "pip install 'symgrad[nlp]'" if solver == "pounce" else "it needs Ipopt: see its documentation"
        raise SymgradError(f"{solver} is not installed: {way}") from None
    return _by_interior_point(module, program, start, options)


def _by_interior_point(module: Any, program: Program, start: Any, options: Mapping[str, Any]) -> Solution:
    limits = {"lb": program.lb, "ub": program.ub, "cl": program.cl, "cu": program.cu}
    problem = module.Problem(n=program.n, m=program.m, problem_obj=program, **limits)
    for name, value in options.items():
        problem.add_option(name, value)
    x, info = problem.solve(start)
    message = info["status_msg"]
    return Solution(
        program.unpack(x),
        float(info["obj_val"]),
        message.decode() if isinstance(message, bytes) else str(message),
        info["status"] in _ACCEPTED,
        x,
        info["mult_g"],
        info,
    )


def _by_trust_region(program: Program, start: Any, options: Mapping[str, Any]) -> Solution:
    from scipy import optimize, sparse

    n, m = program.n, program.m

    def jacobian(x: Any) -> Any:
        return sparse.coo_array((program.jacobian(x), program.jacobianstructure()), (m, n)).tocsr()

    def hessian(x: Any, multipliers: Any, factor: float) -> Any:
        data, (rows, columns) = program.hessian(x, multipliers, factor), program.hessianstructure()
        above = rows != columns
        whole = np.concatenate([data, data[above]])
        places = np.concatenate([rows, columns[above]]), np.concatenate([columns, rows[above]])
        return sparse.coo_array((whole, places), (n, n)).tocsr()

    constraints = optimize.NonlinearConstraint(
        program.constraints, program.cl, program.cu, jacobian, lambda x, multipliers: hessian(x, multipliers, 0.0)
    )
    found = optimize.minimize(
        program.objective,
        start,
        method="trust-constr",
        jac=program.gradient,
        hess=lambda x: hessian(x, np.zeros(m), 1.0),
        bounds=optimize.Bounds(program.lb, program.ub),
        constraints=constraints if m else (),
        options=dict(options),
    )
    multipliers = found.v[0] if m else np.zeros(0)
    return Solution(
        program.unpack(found.x), float(found.fun), found.message, bool(found.success), found.x, multipliers, found
    )
