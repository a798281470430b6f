"""Trajectories: differential equations by the trapezoidal rule, on a mesh of equal steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp

from symgrad import family, nlp

from .symbols import HALF, arrays, held, i, n

Rate = Callable[[Any], Any]  # by the index of a node


def _trapezoidal(rates: Mapping[sp.IndexedBase, Rate], step: Any) -> list[tuple[Any, int, int]]:
    """What has to be 0: of each state its change over each step, without the mean of its rates."""
    return [
        (family(state[i + 1] - state[i] - HALF * step * (rate(i) + rate(i + 1)), (i, n - 1)), 0, 0)
        for state, rate in rates.items()
    ]


def chain(count: int) -> tuple[Any, dict[str, Any]]:
    """A hanging chain of length 4 between the heights 1 and 3: its potential energy."""
    steps = count // 4 - 1
    slope, height, energy, length = arrays("slope height energy length", n)

    def arc(at: Any) -> Any:
        return sp.sqrt(1 + slope[at] ** 2)

    rates = {height: lambda at: slope[at], energy: lambda at: height[at] * arc(at), length: arc}
    nodes = steps + 1
    bounds = {height: held(nodes, 1, 3), energy: held(nodes, 0), length: held(nodes, 0, 4)}
    t = np.arange(1, nodes + 1) / steps
    tilt = 8 * (t - 0.25)
    start = {"slope": tilt, "height": 8 * t * (t / 2 - 0.25) + 1, "length": tilt}
    start["energy"] = start["height"] * tilt
    program = nlp(energy[n - 1], _trapezoidal(rates, 1 / (n - 1)), [slope, height, energy, length], bounds, n=nodes)
    return program, start


def glider(steps: int) -> tuple[Any, dict[str, Any]]:
    """How far a hang glider comes over a thermal."""
    x, y, vx, vy, lift = arrays("x y vx vy lift", n)
    duration = sp.Symbol("duration")

    def forces(at: Any) -> tuple[Any, Any]:
        """Accelerations, forward and upward."""
        r = (x[at] / 100 - sp.Rational(5, 2)) ** 2
        upward = vy[at] - sp.Rational(5, 2) * (1 - r) * sp.exp(-r)
        speed = sp.sqrt(vx[at] ** 2 + upward**2)
        pressure = HALF * 1.13 * 14 * speed**2
        drag, own = (0.034 + 0.069662 * lift[at] ** 2) * pressure, lift[at] * pressure
        forward, up = vx[at] / speed, upward / speed
        return (-own * up - drag * forward) / 100, (own * forward - drag * up) / 100 - 9.81

    rates: dict[sp.IndexedBase, Rate] = {
        x: lambda at: vx[at],
        y: lambda at: vy[at],
        vx: lambda at: forces(at)[0],
        vy: lambda at: forces(at)[1],
    }
    nodes = steps + 1
    bounds = {
        duration: (0, None),
        x: held(nodes, 0, low=0),
        y: held(nodes, 1000, 900),
        vx: held(nodes, 13.23, 13.23, low=0),
        vy: held(nodes, -1.288, -1.288),
        lift: (0, 1.4),
    }
    t = np.linspace(0, 1, nodes)
    start = {"duration": 1, "x": 13.23 * t, "y": 1000 - 100 * t, "vx": 13.23, "vy": -1.288, "lift": 0.7}
    constraints = _trapezoidal(rates, duration / (n - 1))
    return nlp(-x[n - 1], constraints, [duration, x, y, vx, vy, lift], bounds, n=nodes), start


def robot(steps: int) -> tuple[Any, dict[str, Any]]:
    """The least time in which a robot's arm turns, which is 5 long and slides through its base."""
    names = "rho theta phi rho_dot theta_dot phi_dot u_rho u_theta u_phi"
    states = arrays(names, n)
    rho, theta, phi, rho_dot, theta_dot, phi_dot, u_rho, u_theta, u_phi = states
    duration = sp.Symbol("duration")

    def inertia(at: Any) -> Any:
        return ((5 - rho[at]) ** 3 + rho[at] ** 3) / 3

    rates: dict[sp.IndexedBase, Rate] = {
        rho: lambda at: rho_dot[at],
        theta: lambda at: theta_dot[at],
        phi: lambda at: phi_dot[at],
        rho_dot: lambda at: u_rho[at] / 5,
        theta_dot: lambda at: u_theta[at] / (inertia(at) * sp.sin(phi[at]) ** 2),
        phi_dot: lambda at: u_phi[at] / inertia(at),
    }
    nodes = steps + 1
    bounds = {
        duration: (0, None),
        rho: held(nodes, 4.5, 4.5, 0, 5),
        theta: held(nodes, 0, 2 * np.pi / 3, -np.pi, np.pi),
        phi: held(nodes, np.pi / 4, np.pi / 4, 0, np.pi),
        **{own: held(nodes, 0, 0) for own in (rho_dot, theta_dot, phi_dot)},
        **dict.fromkeys((u_rho, u_theta, u_phi), (-1, 1)),
    }
    t = np.linspace(0, 1, nodes)
    start = dict.fromkeys(names.split(), 0) | {
        "duration": 1,
        "rho": 4.5,
        "theta": 2 * np.pi / 3 * t**2,
        "phi": np.pi / 4,
        "theta_dot": 4 * np.pi / 3 * t,
    }
    return nlp(duration, _trapezoidal(rates, duration / (n - 1)), [duration, *states], bounds, n=nodes), start


def rocket(steps: int) -> tuple[Any, dict[str, Any]]:
    """How high a rocket comes: Goddard's problem."""
    height, speed, mass, thrust = arrays("height speed mass thrust", n)
    step = sp.Symbol("step")

    def acceleration(at: Any) -> Any:
        drag = 310 * speed[at] ** 2 * sp.exp(-500 * (height[at] - 1))
        return (thrust[at] - drag) / mass[at] - 1 / height[at] ** 2

    rates: dict[sp.IndexedBase, Rate] = {
        height: lambda at: speed[at],
        speed: acceleration,
        mass: lambda at: -2 * thrust[at],
    }
    nodes = steps + 1
    bounds = {
        step: (0, None),
        height: held(nodes, 1, low=1),
        speed: held(nodes, 0, low=0),
        mass: held(nodes, 1, 0.6, 0.6, 1),
        thrust: (0, 3.5),
    }
    t = np.linspace(0, 1, nodes)
    start = {"step": 1 / steps, "height": 1, "speed": t * (1 - t), "mass": 1 - 0.4 * t, "thrust": 1.75}
    program = nlp(-height[n - 1], _trapezoidal(rates, step), [step, height, speed, mass, thrust], bounds, n=nodes)
    return program, start


def steering(steps: int) -> tuple[Any, dict[str, Any]]:
    """The least time in which a force of 100, whose direction is free, brings a particle to an altitude and a speed."""
    x, y, vx, vy, angle = arrays("x y vx vy angle", n)
    duration = sp.Symbol("duration")
    rates: dict[sp.IndexedBase, Rate] = {
        x: lambda at: vx[at],
        y: lambda at: vy[at],
        vx: lambda at: 100 * sp.cos(angle[at]),
        vy: lambda at: 100 * sp.sin(angle[at]),
    }
    nodes = steps + 1
    bounds = {
        duration: (0, None),
        x: held(nodes, 0),
        y: held(nodes, 0, 5),
        vx: held(nodes, 0, 45),
        vy: held(nodes, 0, 0),
        angle: (-np.pi / 2, np.pi / 2),
    }
    t = np.linspace(0, 1, nodes)
    start = {"duration": 1, "x": 0, "y": 5 * t, "vx": 45 * t, "vy": 0, "angle": 0}
    return nlp(
        duration, _trapezoidal(rates, duration / (n - 1)), [duration, x, y, vx, vy, angle], bounds, n=nodes
    ), start
