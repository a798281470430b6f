"""Optimal power flow: Jacobian and Hessian of the Lagrangian beside CasADi's, and whole solutions by pounce.

The network is a ring of copies of the 14 buses of examples/optimal_power_flow.py. Where the variable PGLIB_OPF lists
files of the Power Grid Library (pglib_opf_*.m, separated by colons), each of these is measured as well.
"""

from __future__ import annotations

import os
import re
import runpy
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .table import markdown, seconds_text
from .timed import Made, calls, compared
from .workload import Array

EXAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "optimal_power_flow.py"))
COPIES = 97  # 1358 buses
VOLTAGES, UNITS, LINES = ("angle", "voltage"), ("p", "q"), ("p_from", "q_from", "p_to", "q_to")


def ring(copies: int) -> Any:
    """Copies of the 14 buses, bus 14 of each tied to bus 1 of the next."""
    one = EXAMPLE["case14"]()
    shift = 14 * np.arange(copies)[:, None]

    def again(array: Any) -> Any:
        return np.tile(array, copies)

    tie = np.tile([[0.05], [0.2], [0.03], [1.0], [0.0], [1.0], [-np.pi / 6], [np.pi / 6]], copies)
    return one._replace(
        buses=again(one.buses),
        generators=again(one.generators),
        generator_bus=(one.generator_bus + shift).ravel(),
        line_from=np.append(one.line_from + shift, 13 + shift),
        line_to=np.append(one.line_to + shift, (14 + shift) % (14 * copies)),
        lines=np.concatenate([again(one.lines), tie], axis=1),
    )


def read(path: Path) -> Any:
    """A network in MATPOWER's format."""
    text = path.read_text(encoding="utf-8")

    def table(name: str) -> Any:
        found = re.search(rf"mpc\.{name}\s*=\s*\[(.*?)\];", text, re.DOTALL)
        assert found is not None, name
        rows = [line.partition("%")[0].replace(";", " ").split() for line in found[1].splitlines()]
        return np.array([[float(cell) for cell in row] for row in rows if row]).T

    base = float(re.search(r"mpc\.baseMVA\s*=\s*([0-9.]+)", text)[1])  # type: ignore[index]
    buses, units, costs, lines = table("bus"), table("gen"), table("gencost"), table("branch")
    there = buses[1] != 4
    buses, place = buses[:, there], {int(name): at for at, name in enumerate(buses[0, there])}
    on = units[7] > 0
    units, costs, lines = units[:, on], costs[:, on], lines[:, lines[10] > 0]
    assert (costs[0] == 2).all(), "costs are polynomials"
    assert (costs[3] <= 3).all(), "of no more than three terms"
    cost = np.array([np.append(np.zeros(3 - int(own[3])), own[4 : 4 + int(own[3])]) for own in costs.T]).T

    def at(names: Any) -> Any:
        return np.array([place[int(name)] for name in names])

    return EXAMPLE["Network"](
        np.array([*buses[2:6] / base, buses[12], buses[11]]),
        np.flatnonzero(buses[1] == 3),
        at(units[0]),
        np.array([*units[[9, 8, 4, 3]] / base, cost[0] * base**2, cost[1] * base, cost[2]]),
        at(lines[0]),
        at(lines[1]),
        np.array(
            [
                *lines[2:5],
                np.where(lines[8] == 0, 1.0, lines[8]),
                np.deg2rad(lines[9]),
                np.where(lines[5] == 0, 1e4, lines[5]) / base,
                *np.deg2rad(lines[11:13]),
            ]
        ),
    )


# --- CasADi -----------------------------------------------------------------------------------------------------------


def casadi_functions(network: Any) -> tuple[Any, Any]:
    """The Jacobian of the constraints, and the lower triangle of the Hessian of the Lagrangian."""
    import casadi as ca

    buses, units, lines = network.buses.shape[1], len(network.generator_bus), len(network.line_from)
    sizes = {**dict.fromkeys(VOLTAGES, buses), **dict.fromkeys(UNITS, units), **dict.fromkeys(LINES, lines)}
    own = {name: ca.SX.sym(name, size) for name, size in sizes.items()}
    x = ca.vertcat(*own.values())
    one, two = network.line_from.tolist(), network.line_to.tolist()

    def incidence(at: Any) -> Any:
        return ca.DM.triplet(list(at), list(range(len(at))), ca.DM.ones(len(at)), buses, len(at))

    def flow(here: Any, there: Any, itself: Any, mutual: Any) -> list[Any]:
        apart, both = own["angle"][here] - own["angle"][there], own["voltage"][here] * own["voltage"][there]
        square, (g, b), (g2, b2) = own["voltage"][here] ** 2, *map(_real_and_imaginary, (itself, mutual))
        return [
            g * square + both * (g2 * ca.cos(apart) + b2 * ca.sin(apart)),
            -b * square + both * (g2 * ca.sin(apart) - b2 * ca.cos(apart)),
        ]

    own_from, mutual_from, own_to, mutual_to = EXAMPLE["admittances"](network)
    flows = flow(one, two, own_from, mutual_from) + flow(two, one, own_to, mutual_to)
    ends, made, square = (incidence(one), incidence(two)), incidence(network.generator_bus), own["voltage"] ** 2
    p, q, g, b = (ca.DM(row) for row in network.buses[:4])
    constraints = ca.vertcat(
        own["angle"][network.reference.tolist()],
        ends[0] @ own["p_from"] + ends[1] @ own["p_to"] + p + g * square - made @ own["p"],
        ends[0] @ own["q_from"] + ends[1] @ own["q_to"] + q - b * square - made @ own["q"],
        *(own[name] - formula for name, formula in zip(LINES, flows, strict=True)),
        own["angle"][one] - own["angle"][two],
        own["p_from"] ** 2 + own["q_from"] ** 2,
        own["p_to"] ** 2 + own["q_to"] ** 2,
    )
    a2, a1, a0 = (ca.DM(row) for row in network.generators[4:])
    cost = ca.sum1(a2 * own["p"] ** 2 + a1 * own["p"] + a0)
    weights, factor = ca.SX.sym("weights", constraints.shape[0]), ca.SX.sym("factor")
    lagrangian = factor * cost + ca.dot(weights, constraints)
    hessian = ca.tril(ca.hessian(lagrangian, x)[0])
    jacobian = ca.jacobian(constraints, x)
    return ca.Function("jacobian", [x], [jacobian]), ca.Function("hessian", [x, weights, factor], [hessian])


def _real_and_imaginary(values: Any) -> tuple[Any, Any]:
    import casadi as ca

    return ca.DM(values.real), ca.DM(values.imag)


def called(function: Any, arguments: Any) -> tuple[Callable[[], Any], Any]:
    """A call on fixed buffers, and the entries that it fills."""
    buffer, call = function.buffer()
    kept = [np.ascontiguousarray(np.atleast_1d(own), np.float64) for own in arguments]
    for place, array in enumerate(kept):
        buffer.set_arg(place, memoryview(array))
    out = np.zeros(function.nnz_out(0))
    buffer.set_res(0, memoryview(out))

    def run(_kept: Any = (buffer, kept, out)) -> None:  # CasADi has their addresses alone
        call()

    return run, out


# --- tables -----------------------------------------------------------------------------------------------------------


class Places:
    """Where the entries of a matrix are, in the order of rows, then columns."""

    def __init__(self, rows: Array, columns: Array, width: int) -> None:
        self.width = width
        self.keys = np.unique(self.flat(rows, columns))

    def flat(self, rows: Array, columns: Array) -> Any:
        return rows.astype(np.int64) * self.width + columns

    def entries(self, data: Array, rows: Array, columns: Array) -> Array:
        """An entry for each place: those of one place are added up, and one that a library leaves out is 0."""
        keys = self.flat(rows, columns)
        at = np.searchsorted(self.keys, keys)
        assert (self.keys[at] == keys).all(), "an entry that is none by the pattern"
        return np.bincount(at, data, len(self.keys))


def peers(program: Any, network: Any, which: str) -> dict[str, Callable[[], Made]]:
    """One of the two derivatives at a random point, by CasADi and by symgrad."""
    random = np.random.default_rng(0)
    x, weights = random.uniform(0.9, 1.1, program.n), random.normal(size=program.m)
    arguments = (x,) if which == "jacobian" else (x, weights, 1.0)
    begin = time.perf_counter()
    structure = getattr(program, f"{which}structure")()
    seconds = time.perf_counter() - begin
    places = Places(*structure, program.n)

    def casadi() -> Made:
        begin = time.perf_counter()
        function = casadi_functions(network)[0 if which == "jacobian" else 1]
        build = time.perf_counter() - begin
        run, out = called(function, arguments)
        run()
        rows, columns = map(np.array, function.sparsity_out(0).get_triplet())
        return Made(calls(run), [places.entries(out, rows, columns)], build)

    def ours() -> Made:
        points = [x, x + 1e-9]  # in turn: the last one is remembered

        def run() -> Any:
            points.reverse()
            return getattr(program, which)(points[0], *arguments[1:])

        data = getattr(program, which)(*arguments)
        return Made(calls(run), [places.entries(data, *structure)], seconds)

    others = {"casadi: SX, virtual machine": casadi} if find_spec("casadi") else {}
    return {"symgrad": ours, **others}


def solutions(programs: Mapping[str, Any]) -> str:
    """Each program solved once by pounce."""
    rows = []
    for name, program in programs.items():
        begin = time.perf_counter()
        found = program.solve(EXAMPLE["START"], print_level=0)
        seconds = time.perf_counter() - begin
        counts = (f"{count:,}" for count in (program.n, program.m))
        rows.append([name, *counts, f"{found.value:,.1f}", str(found.info["iter_count"]), seconds_text(seconds)])
    return markdown(
        "Optimal power flow by pounce", ["network", "variables", "constraints", "$/h", "iterations", "solved in"], rows
    )


def tables(repeats: int) -> list[str]:
    files = [Path(name) for name in os.environ.get("PGLIB_OPF", "").split(":") if name]
    networks = {f"{COPIES} times 14 buses": ring(COPIES), **{path.stem: read(path) for path in files}}
    programs = {name: EXAMPLE["program"](network) for name, network in networks.items()}
    found = [
        compared(f"Optimal power flow, {name}: {what}", peers(programs[name], network, which), repeats)
        for name, network in networks.items()
        for which, what in (("jacobian", "Jacobian"), ("hessian", "Hessian of the Lagrangian, lower triangle"))
    ]
    return [*found, solutions(programs)] if find_spec("pounce") else found
