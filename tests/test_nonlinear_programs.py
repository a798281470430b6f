"""Nonlinear programs: functions and structures, whole solutions, shapes by name, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad
from symgrad import ShapeError, family, nlp

x, y, z, a = sp.symbols("x y z a")
n, m, i, j, k = sp.symbols("n m i j k", integer=True)
X, C = sp.IndexedBase("X", shape=(n,)), sp.IndexedBase("c", shape=(n,))
TABLE = sp.IndexedBase(sp.Symbol("at", integer=True), shape=(m,))
SQUARES = sp.Sum(X[i] ** 2, (i, 0, n - 1))
QUIET = {"print_level": 0}


def dense(data: Any, structure: tuple[Any, Any], shape: tuple[int, int]) -> Any:
    """A matrix of its entries; what is given twice is added up."""
    matrix = np.zeros(shape)
    np.add.at(matrix, structure, data)
    return matrix


def jacobian_of(program: Any, vector: Any) -> Any:
    return dense(program.jacobian(vector), program.jacobianstructure(), (program.m, program.n))


def lagrangian_hessian_of(program: Any, vector: Any, weights: Any, factor: float) -> Any:
    rows, columns = program.hessianstructure()
    assert (rows >= columns).all()
    lower = dense(program.hessian(vector, weights, factor), (rows, columns), (program.n, program.n))
    return lower + np.tril(lower, -1).T


def differences(function: Callable[[Any], Any], vector: Any, step: float = 1e-6) -> Any:
    """Central differences, one column for each variable."""
    return np.stack(
        [
            (np.asarray(function(vector + way)) - np.asarray(function(vector - way))) / (2 * step)
            for way in step * np.eye(len(vector))
        ],
        axis=-1,
    )


def checked(program: Any, vector: Any) -> None:
    """Gradient, Jacobian and Hessian of the Lagrangian against differences."""
    vector = np.asarray(vector, np.float64)
    weights = np.random.default_rng(3).normal(size=program.m)
    np.testing.assert_allclose(program.gradient(vector), differences(program.objective, vector), rtol=2e-7, atol=2e-7)
    np.testing.assert_allclose(
        jacobian_of(program, vector), differences(program.constraints, vector), rtol=2e-7, atol=2e-7
    )

    def slope(at: Any) -> Any:
        return 0.7 * program.gradient(at) + weights @ jacobian_of(program, at)

    found = lagrangian_hessian_of(program, vector, weights, 0.7)
    np.testing.assert_allclose(found, differences(slope, vector), rtol=2e-6, atol=2e-6)


def hock_schittkowski_71() -> Any:
    """Problem 71 of W. Hock, K. Schittkowski, Test Examples for Nonlinear Programming Codes (1981)."""
    w = sp.symbols("x1:5")
    objective = w[0] * w[3] * (w[0] + w[1] + w[2]) + w[2]
    constraints = [sp.prod(w) >= 25, sp.Eq(sum(own**2 for own in w), 40)]
    return nlp(objective, constraints, w, dict.fromkeys(w, (1, 5)))


def gathered() -> Any:
    """Constraints at places that a table tells, beside whole arrays and numbers."""
    constraints = [
        (family(X[TABLE[j]] * sp.exp(X[TABLE[j]] * y), (j, m)), -1, 2),
        (family(X[i + 1] - sp.sin(X[i]), (i, n - 1)), None, 0),
        sp.Eq(y * SQUARES, 3),
    ]
    objective = sp.Sum(C[i] * X[i] ** 4, (i, 0, n - 1)) + y**2
    return nlp(objective, constraints, [y, X], c=[1.0, 2.0, 3.0, 4.0], at=[2, 0, 2, 1, 3])


# --- functions --------------------------------------------------------------------------------------------------------


def test_cyipopts_names() -> None:
    program = hock_schittkowski_71()
    vector = np.array([1.0, 5.0, 5.0, 1.0])
    assert (program.n, program.m) == (4, 2)
    assert program.objective(vector) == 16.0
    np.testing.assert_array_equal(program.gradient(vector), [12.0, 1.0, 2.0, 11.0])
    np.testing.assert_array_equal(program.constraints(vector), [25.0, 52.0])
    np.testing.assert_array_equal(jacobian_of(program, vector), [[25.0, 5.0, 5.0, 25.0], [2.0, 10.0, 10.0, 2.0]])
    np.testing.assert_array_equal(program.lb, np.ones(4))
    np.testing.assert_array_equal(program.ub, np.full(4, 5.0))
    np.testing.assert_array_equal(program.cl, [25.0, 40.0])
    np.testing.assert_array_equal(program.cu, [np.inf, 40.0])
    checked(program, vector)


def test_gathers_arrays_and_numbers_together() -> None:
    program = gathered()
    assert (program.n, program.m) == (5, 9)
    assert program.shapes == [(), (4,)]
    vector = np.array([0.3, 0.4, -0.5, 0.6, 0.7])
    at = vector[1:][[2, 0, 2, 1, 3]]
    wanted = [*at * np.exp(0.3 * at), *(vector[2:] - np.sin(vector[1:-1])), 0.3 * np.sum(vector[1:] ** 2)]
    np.testing.assert_allclose(program.constraints(vector), wanted, rtol=1e-14)
    np.testing.assert_array_equal(program.cl, [-1.0] * 5 + [-np.inf] * 3 + [3.0])
    np.testing.assert_array_equal(program.cu, [2.0] * 5 + [0.0] * 3 + [3.0])
    checked(program, vector)


def test_what_a_caller_changes_is_computed_anew() -> None:
    """The vector may be the same array with other numbers, as solvers hand it."""
    program, vector = hock_schittkowski_71(), np.array([1.0, 5.0, 5.0, 1.0])
    before = program.jacobian(vector).copy(), program.objective(vector), program.constraints(vector).copy()
    vector[0] = 2.0
    assert program.objective(vector) == 29.0 != before[1]
    assert not np.array_equal(program.jacobian(vector), before[0])
    assert not np.array_equal(program.constraints(vector), before[2])


def test_pack_and_unpack() -> None:
    program = nlp(x * SQUARES, [], [X, x], n=3)
    vector = program.pack(X=[1, 2, 3], x=4)
    np.testing.assert_array_equal(vector, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(program.pack(x=4, X=7), [7.0, 7.0, 7.0, 4.0])
    with pytest.raises(ShapeError, match="values of X"):
        program.pack(X=[1, 2, 3, 4], x=4)
    parts = program.unpack(vector)
    assert parts["x"] == 4.0
    np.testing.assert_array_equal(parts["X"], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: nlp(SQUARES, [], [X], n=4), 4),
        (lambda: nlp(SQUARES, [], [X], fixed={n: 4}), 4),
        (lambda: nlp(SQUARES, [], X, fixed={"n": np.int64(4)}), 4),
        (lambda: nlp(sp.Sum(C[i] * X[i], (i, 0, n - 1)), [], ["X"], c=np.ones(3)), 3),
        (lambda: nlp(sp.Sum(C[i] * X[i], (i, 0, n - 1)), [], [X], None, {C: np.ones(3)}), 3),
        (lambda: nlp(SQUARES, [], [X], n=0), 0),
        (lambda: nlp(x**2, [], x), 1),
    ],
)
def test_extents_and_values_by_name_or_symbol(make: Callable[[], Any], count: int) -> None:
    assert make().n == count


@pytest.mark.parametrize(
    ("constraint", "count", "low", "high"),
    [
        (x + y >= 1, 1, [1], [np.inf]),
        ([x + y <= a, sp.Eq(x, y)], 2, [-np.inf, 0], [0, 0]),
        ([(sp.Matrix([x + y, x * y]), 0, [[1], [2]])], 2, [0, 0], [1, 2]),
        ([([x + y, x * y], None, [1, 2])], 2, [-np.inf, -np.inf], [1, 2]),
        ([([[x, y], [x * y, x - y]], [[1, 2], [3, 4]], None)], 4, [1, 2, 3, 4], [np.inf] * 4),
        ([(sp.Integer(1), 0, 2)], 1, [0], [2]),
        ([(x, 2, 1)], 1, [2], [1]),
        ([(x, sp.pi, sp.oo)], 1, [np.pi], [np.inf]),
        ([], 0, [], []),
    ],
)
def test_forms_of_constraints(constraint: Any, count: int, low: Any, high: Any) -> None:
    program = nlp(x**2 + a * y**2, constraint, [x, y], a=2.0)
    assert program.m == count
    np.testing.assert_array_equal(program.cl, low)
    np.testing.assert_array_equal(program.cu, high)
    checked(program, [0.5, 0.7])


def test_a_program_without_curvature_or_slope() -> None:
    program = nlp(0, [(x + 2 * y, 3, 3)], [x, y])
    gradient = program.gradient([1.0, 2.0])
    assert gradient.dtype == np.float64
    np.testing.assert_array_equal(gradient, [0.0, 0.0])
    assert program.hessian([1.0, 2.0], np.ones(1), 1.0).size == 0
    np.testing.assert_array_equal(jacobian_of(program, [1.0, 2.0]), [[1.0, 2.0]])


# --- solutions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "digits"), [("pounce", 1e-7), ("trust-constr", 1e-4)])
def test_hock_schittkowski_71(solver: str, digits: float) -> None:
    """The optimum and the multipliers are published."""
    if solver == "pounce":
        pytest.importorskip("pounce")
    options = QUIET if solver == "pounce" else {"gtol": 1e-8, "xtol": 1e-10}
    found = hock_schittkowski_71().solve([1.0, 5.0, 5.0, 1.0], solver, **options)
    assert found.success
    assert found.value == pytest.approx(17.0140173, rel=digits)
    np.testing.assert_allclose(list(found.x.values()), [1.0, 4.7429994, 3.8211503, 1.3794082], rtol=10 * digits)
    np.testing.assert_allclose(found.multipliers, [-0.5522937, 0.1614686], rtol=10 * digits)
    assert found.status


def test_solvers_agree_on_sparse_constraints() -> None:
    pytest.importorskip("pounce")
    constraints = [(family(X[i] + X[i + 1] ** 2, (i, n - 1)), 1, 2), sp.Eq(SQUARES, 5)]
    program = nlp(sp.Sum(C[i] * X[i] ** 2, (i, 0, n - 1)), constraints, [X], {X: (0, 2)}, c=np.arange(1.0, 7.0))
    start = np.linspace(1.0, 0.5, 6)
    found = program.solve(start, **QUIET)
    other = program.solve(start, "trust-constr", gtol=1e-8, xtol=1e-10, maxiter=3000)
    assert found.success
    assert other.success
    assert other.value == pytest.approx(found.value, rel=1e-5)
    np.testing.assert_allclose(other.vector, found.vector, atol=1e-4)
    np.testing.assert_allclose(other.multipliers, found.multipliers, atol=1e-3)


def test_the_start_by_name_or_symbol() -> None:
    pytest.importorskip("pounce")
    program = nlp(sp.Sum((X[i] - C[i]) ** 2, (i, 0, n - 1)) + (y - 1) ** 2, [], [y, X], c=[1.0, 2.0])
    for start in ({"y": 0, "X": 0.5}, {y: 0, X: [3.0, 4.0]}, [0.0, 1.0, 1.0]):
        found = program.solve(start, **QUIET)
        assert found.success
        np.testing.assert_allclose(found.x["X"], [1.0, 2.0], atol=1e-7)
        assert found.x["y"] == pytest.approx(1.0)


def test_empty_and_infeasible_sets_reach_the_solver() -> None:
    pytest.importorskip("pounce")
    empty = nlp(SQUARES, [(family(X[i], (i, n - 4)), 1, None)], [X], n=4)
    assert empty.m == 0
    assert empty.jacobian(np.ones(4)).size == 0
    assert empty.solve(np.ones(4), **QUIET).success
    crossed = nlp(x**2, [(x, 2, 1)], [x])
    assert not crossed.solve([3.0], **QUIET).success
    apart = nlp(x**2, [x >= 2, x <= 1], [x]).solve([3.0], **QUIET)
    assert not apart.success
    assert "nfeasible" in apart.status


def test_a_matrix_varies() -> None:
    pytest.importorskip("pounce")
    own = sp.MatrixSymbol("M", 2, 2)
    found = nlp(sp.Trace(own.T * own), [(own * own, 1, None)], [own]).solve({"M": [[1, 2], [3, 4]]}, **QUIET)
    np.testing.assert_allclose(found.x["M"], np.full((2, 2), np.sqrt(0.5)), atol=1e-6)


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no_variables": (lambda: nlp(x, [], []), ValueError, "no variables"),
    "unused_variable": (lambda: nlp(x**2, [(x, 0, None)], [x, y]), ValueError, "the variable y is in neither"),
    "unused_array": (lambda: nlp(x**2, [], [x, X], n=3), ValueError, "the variable X is in neither"),
    "twice": (lambda: nlp(x**2, [], [x, x]), ValueError, "twice"),
    "missing_value": (lambda: nlp(x * y + a, [], [x]), ValueError, "no value for a, y"),
    "missing_extent_beside_one_that_is_told": (
        lambda: nlp(sp.Sum(X[TABLE[j]], (j, 0, m - 1)), [], [X], at=[0, 1]),
        ShapeError,
        "the extents n: ",
    ),
    "missing_extent": (lambda: nlp(SQUARES, [], [X]), ShapeError, "extents n: .* n=100"),
    "two_extents": (lambda: nlp(sp.Sum(C[i] * X[i], (i, 0, n - 1)), [], [X], c=np.ones(3), n=4), ShapeError, "n is 4"),
    "no_integer": (lambda: nlp(SQUARES, [], [X], n=4.5), ValueError, "n is 4.5: an extent is an integer"),
    "negative": (lambda: nlp(SQUARES, [], [X], n=-1), ValueError, "n is -1: an extent is at least 0"),
    "negative_family": (lambda: nlp(SQUARES, [(family(X[i], (i, n - 5)), 0, 1)], [X], n=4), ShapeError, "constraint_1"),
    "unknown": (lambda: nlp(x**2, [], [x], q=4), ValueError, "no symbol 'q'"),
    "fixed_variable": (lambda: nlp(x * y, [], [x, y], y=4), ValueError, "y is a variable"),
    "fixed_twice": (lambda: nlp((x - a) ** 2, [], [x], None, {a: 1}, a=2), ValueError, "a is given twice"),
    "fixed_by_symbol_and_name": (lambda: nlp(x * a, [], [x], None, {a: 1, "a": 2}), ValueError, "a is given twice"),
    "fixed_shape": (lambda: nlp(x * a, [], [x], a=[1, 2]), ShapeError, r"value of a is of shape \(2,\)"),
    "one_name": (lambda: nlp(x * sp.Symbol("x", real=True), [], [x, sp.Symbol("x", real=True)]), ValueError, "two"),
    "bound_twice": (lambda: nlp(x**2, [], [x], {x: (0, 1), "x": (2, 3)}), ValueError, "x is given twice"),
    "start_twice": (lambda: nlp(x**2, [], [x]).solve({x: 0, "x": 1}), ValueError, "x is given twice"),
    "bound_shape": (lambda: nlp(SQUARES, [], [X], {X: (np.zeros(3), 1)}, n=4), ShapeError, r"limits of X .*\(4,\)"),
    "bound_no_pair": (lambda: nlp(x**2, [], [x], {x: 1}), ValueError, "bounds of x are 1"),
    "bound_of_nothing": (lambda: nlp(x**2, [], [x], {y: (1, 2)}), ValueError, r"variables \(x\), not of y"),
    "limit_shape": (lambda: nlp(x, [([x, x**2], [1, 2, 3], None)], [x]), ShapeError, r"constraint_1 .*\(2,\)"),
    "limit_nan": (lambda: nlp(x, [(x, np.nan, None)], [x]), ValueError, "constraint_1 are NaN"),
    "limit_symbol": (lambda: nlp(x * y, [(x, 0, y)], [x], y=1), ValueError, "no numbers: y"),
    "strict": (lambda: nlp(x**2, [x > 1], [x]), ValueError, "x > 1, which is strict"),
    "decided": (lambda: nlp(x**2, [sp.Eq(x, x)], [x]), ValueError, "True: SymPy has decided"),
    "number": (lambda: nlp(x**2, [3], [x]), ValueError, "not 3"),
    "pair": (lambda: nlp(x**2, [(x, 1)], [x]), ValueError, r"not \(x, 1\)"),
    "structure": (lambda: nlp(x**2, [({"p": x}, 0, 1)], [x]), ValueError, "constraint_1 is a structure"),
    "families": (lambda: nlp(SQUARES, [([family(X[i], (i, n)), x], 0, 1)], [X, x], n=4), ValueError, "constraint_1 is"),
    "objective_list": (lambda: nlp([x, y], [], [x, y]), ValueError, "the objective is one number"),
    "objective_matrix": (lambda: nlp(sp.Matrix([x, y]), [], [x, y]), ValueError, "the objective is one number"),
    "objective_family": (lambda: nlp(family(X[i], (i, n)), [], [X], n=3), ValueError, "the objective is one number"),
    "objective_dict": (lambda: nlp({"p": x}, [], [x]), ValueError, "objective is a structure"),
    "solver": (lambda: nlp(x**2, [], [x]).solve([1.0], "ipopt"), ValueError, "pounce, cyipopt, trust-constr"),
    "start_length": (lambda: nlp(x * y, [], [x, y]).solve([1.0]), ShapeError, r"2 elements wanted \(x, y\)"),
    "start_missing": (lambda: nlp(x * y, [], [x, y]).solve({"x": 1}), ValueError, "missing y"),
    "start_unknown": (lambda: nlp(x * y, [], [x, y]).solve({"x": 1, "y": 1, "q": 1}), ValueError, "no symbol 'q'"),
    "start_shape": (lambda: nlp(SQUARES, [], [X], n=4).solve({X: np.ones(3)}), ShapeError, r"values of X .*\(4,\)"),
    "vector": (lambda: nlp(x * y, [], [x, y]).gradient([1.0, 2.0, 3.0]), ShapeError, "2 elements wanted"),
    "multipliers": (lambda: nlp(x, [x >= 1], [x]).hessian([1.0], [1.0, 2.0], 1.0), ShapeError, "1 multipliers wanted"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        make()


def test_a_solver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for solver, way in (("pounce", r"symgrad\[nlp\]"), ("cyipopt", "needs Ipopt")):
        monkeypatch.setitem(sys.modules, solver, None)
        with pytest.raises(symgrad.SymgradError, match=way):
            nlp(x**2, [], [x]).solve([1.0], solver)
