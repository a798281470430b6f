"""Optimal power flow: how a network of 14 buses is fed at the least cost, with all derivatives sparse.

Voltages, power of generators and flows in lines are arrays; lines know their two buses by tables of indices. What holds
at every bus and in every line is one family each, whatever the size of the network.

Data: case14_ieee of the IEEE PES Power Grid Library, PGLib-OPF v21.07 (github.com/power-grid-lib/pglib-opf, CC BY 4.0),
from R. D. Christie's archive of power systems test cases; here in units of 100 MW. Its best known cost is 2178.1 $/h.
Formulation: S. Babaeinejadsarookolaee et al., The Power Grid Library for Benchmarking AC Optimal Power Flow Algorithms
(2019), model 1.
Needs `pip install symgrad[nlp]`.
"""

from typing import Any, NamedTuple

import numpy as np
import sympy as sp

import symgrad


class Network(NamedTuple):
    """A column of each array is one bus, generator or line. Power is relative to 100 MW, angles are in radians."""

    buses: Any  # demand P, Q; shunt G, B; least and largest voltage
    reference: Any  # buses whose angle is 0
    generator_bus: Any
    generators: Any  # least and largest P, then Q; cost of P**2, P, 1
    line_from: Any
    line_to: Any
    lines: Any  # R, X, charging B; ratio and angle of the transformer; largest power; least and largest angle


def case14() -> Network:
    # fmt: off
    demand = [
        (0, 0), (21.7, 12.7), (94.2, 19.0), (47.8, -3.9), (7.6, 1.6), (11.2, 7.5), (0, 0), (0, 0), (29.5, 16.6),
        (9.0, 5.8), (3.5, 1.8), (6.1, 1.6), (13.5, 5.8), (14.9, 5.0),
    ]
    generators = [  # bus, P from 0 to, Q from and to, cost of P
        (1, 340, 0, 10, 7.920951), (2, 59, -30, 30, 23.269494), (3, 0, 0, 40, 0), (6, 0, -6, 24, 0), (8, 0, -6, 24, 0),
    ]
    lines = [  # from, to, R, X, charging B, largest power, ratio
        (1, 2, 0.01938, 0.05917, 0.0528, 472, 1), (1, 5, 0.05403, 0.22304, 0.0492, 128, 1),
        (2, 3, 0.04699, 0.19797, 0.0438, 145, 1), (2, 4, 0.05811, 0.17632, 0.034, 158, 1),
        (2, 5, 0.05695, 0.17388, 0.0346, 161, 1), (3, 4, 0.06701, 0.17103, 0.0128, 160, 1),
        (4, 5, 0.01335, 0.04211, 0, 664, 1), (4, 7, 0, 0.20912, 0, 141, 0.978),
        (4, 9, 0, 0.55618, 0, 53, 0.969), (5, 6, 0, 0.25202, 0, 117, 0.932),
        (6, 11, 0.09498, 0.1989, 0, 134, 1), (6, 12, 0.12291, 0.25581, 0, 104, 1),
        (6, 13, 0.06615, 0.13027, 0, 201, 1), (7, 8, 0, 0.17615, 0, 167, 1),
        (7, 9, 0, 0.11001, 0, 267, 1), (9, 10, 0.03181, 0.0845, 0, 325, 1),
        (9, 14, 0.12711, 0.27038, 0, 99, 1), (10, 11, 0.08205, 0.19207, 0, 141, 1),
        (12, 13, 0.22092, 0.19988, 0, 99, 1), (13, 14, 0.17093, 0.34802, 0, 76, 1),
    ]
    # fmt: on
    buses = np.zeros((6, 14))
    buses[:2], buses[4:] = np.transpose(demand) / 100, [[0.94], [1.06]]
    buses[3, 8] = 0.19  # a capacitor at bus 9
    bus, p, q_low, q_high, cost = np.transpose(generators)
    first, last, r, x, b, rate, ratio = np.transpose(lines)
    angle, wide = np.zeros(20), np.full(20, np.pi / 6)
    return Network(
        buses,
        np.array([0]),
        bus.astype(int) - 1,
        np.array([0 * p, p / 100, q_low / 100, q_high / 100, 0 * p, 100 * cost, 0 * p]),
        first.astype(int) - 1,
        last.astype(int) - 1,
        np.array([r, x, b, ratio, angle, rate / 100, -wide, wide]),
    )


def admittances(network: Network) -> tuple[Any, Any, Any, Any]:
    """Of each line: the current at an end is the first times the voltage there and the second times the other's."""
    r, x, b, ratio, angle = network.lines[:5]
    series, tap = 1 / (r + 1j * x), ratio * np.exp(1j * angle)
    own = series + 0.5j * b
    return own / ratio**2, -series / tap.conj(), own, -series / tap


def program(network: Network) -> Any:
    """The nonlinear program."""
    buses, units, count, i, g, k, r = sp.symbols("buses units lines i g k r", integer=True)
    references = sp.Symbol("references", integer=True)

    def arrays(names: str, extent: sp.Symbol) -> list[sp.IndexedBase]:
        return [sp.IndexedBase(name, shape=(extent,)) for name in names.split()]

    def table(name: str, extent: sp.Symbol) -> sp.IndexedBase:
        return sp.IndexedBase(sp.Symbol(name, integer=True), shape=(extent,))

    angle, voltage = arrays("angle voltage", buses)
    p, q = arrays("p q", units)
    p_from, q_from, p_to, q_to = arrays("p_from q_from p_to q_to", count)
    demand_p, demand_q, shunt_g, shunt_b = arrays("demand_p demand_q shunt_g shunt_b", buses)
    square, linear, constant = arrays("square linear constant", units)
    line_from, line_to = table("line_from", count), table("line_to", count)
    unit_bus, reference = table("unit_bus", units), table("reference", references)

    def flow(here: Any, there: Any, end: str) -> list[Any]:
        """Active and reactive power that enters a line at one end."""
        own_g, own_b, mutual_g, mutual_b = (array[k] for array in arrays(" ".join(NAMES[end]), count))
        apart = angle[here] - angle[there]
        both = voltage[here] * voltage[there]
        return [
            own_g * voltage[here] ** 2 + both * (mutual_g * sp.cos(apart) + mutual_b * sp.sin(apart)),
            -own_b * voltage[here] ** 2 + both * (mutual_g * sp.sin(apart) - mutual_b * sp.cos(apart)),
        ]

    def at_bus(bus: Any, amount: Any, index: sp.Symbol, extent: sp.Symbol) -> Any:
        """The sum of what is at bus i."""
        return sp.Sum(sp.KroneckerDelta(bus[index], i) * amount[index], (index, 0, extent - 1))

    def balance(at_from: Any, at_to: Any, made: Any, taken: Any) -> Any:
        lines = at_bus(line_from, at_from, k, count) + at_bus(line_to, at_to, k, count)
        return lines + taken - at_bus(unit_bus, made, g, units)

    flows = zip(
        (p_from, q_from, p_to, q_to),
        flow(line_from[k], line_to[k], "from") + flow(line_to[k], line_from[k], "to"),
        strict=True,
    )
    rate, least, most = network.lines[5:]
    v2 = voltage[i] ** 2
    constraints = [
        (symgrad.family(angle[reference[r]], (r, references)), 0, 0),
        (symgrad.family(balance(p_from, p_to, p, demand_p[i] + shunt_g[i] * v2), (i, buses)), 0, 0),
        (symgrad.family(balance(q_from, q_to, q, demand_q[i] - shunt_b[i] * v2), (i, buses)), 0, 0),
        *((symgrad.family(variable[k] - formula, (k, count)), 0, 0) for variable, formula in flows),
        (symgrad.family(angle[line_from[k]] - angle[line_to[k]], (k, count)), least, most),
        (symgrad.family(p_from[k] ** 2 + q_from[k] ** 2, (k, count)), None, rate**2),
        (symgrad.family(p_to[k] ** 2 + q_to[k] ** 2, (k, count)), None, rate**2),
    ]
    bounds = {
        voltage: tuple(network.buses[4:]),
        p: tuple(network.generators[:2]),
        q: tuple(network.generators[2:4]),
        **dict.fromkeys((p_from, q_from, p_to, q_to), (-rate, rate)),
    }
    names = (*NAMES["from"], *NAMES["to"])
    parts = [part for own in admittances(network) for part in (own.real, own.imag)]
    return symgrad.nlp(
        sp.Sum(square[g] * p[g] ** 2 + linear[g] * p[g] + constant[g], (g, 0, units - 1)),
        constraints,
        [angle, voltage, p, q, p_from, q_from, p_to, q_to],
        bounds,
        **dict(zip(names, parts, strict=True)),
        **dict(zip(("demand_p", "demand_q", "shunt_g", "shunt_b"), network.buses, strict=False)),
        **dict(zip(("square", "linear", "constant"), network.generators[4:], strict=True)),
        line_from=network.line_from,
        line_to=network.line_to,
        unit_bus=network.generator_bus,
        reference=network.reference,
    )


NAMES = {
    "from": ("g_from", "b_from", "g_from_to", "b_from_to"),
    "to": ("g_to", "b_to", "g_to_from", "b_to_from"),
}
START = {"angle": 0, "voltage": 1, "p": 0, "q": 0, "p_from": 0, "q_from": 0, "p_to": 0, "q_to": 0}


def mismatch(network: Network, x: dict[str, Any]) -> float:
    """How far the power at any bus is from what Kirchhoff's and Ohm's laws say, by complex numbers and no symgrad."""
    voltage = x["voltage"] * np.exp(1j * x["angle"])
    one, two = network.line_from, network.line_to
    own_from, mutual_from, own_to, mutual_to = admittances(network)
    current = (network.buses[2] + 1j * network.buses[3]) * voltage
    np.add.at(current, one, own_from * voltage[one] + mutual_from * voltage[two])
    np.add.at(current, two, own_to * voltage[two] + mutual_to * voltage[one])
    power = -network.buses[0] - 1j * network.buses[1]
    np.add.at(power, network.generator_bus, x["p"] + 1j * x["q"])
    return float(np.abs(power - voltage * current.conj()).max())


def main() -> None:
    network = case14()
    flow = program(network)
    print(f"{flow.n} variables, {flow.m} constraints, {len(flow.jacobianstructure()[0])} entries in the Jacobian")
    found = flow.solve(START, print_level=0)
    print(f"{found.status} after {found.info['iter_count']} iterations: {found.value:.1f} $/h")
    assert found.success
    assert abs(found.value / 2178.1 - 1) < 5e-5
    off = mismatch(network, found.x)
    print(f"power at the buses, by complex numbers: off by {100 * off:.0e} MW")
    assert off < 1e-6
    for bus, power in zip(network.generator_bus, found.x["p"], strict=True):
        print(f"bus {bus + 1}: {100 * power:.1f} MW")


if __name__ == "__main__":
    main()
