"""Collocation on finite elements: parameters of differential equations fitted to measurements, and a flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial
from typing import Any

import numpy as np
import sympy as sp

from symgrad import family, nlp

from .measurements import GAS_OIL, MARINE, METHANOL, PINENE, Measured
from .symbols import arrays, i, j, k, m, n, p, s, table

# Gauss points of an interval, of 1, 3 and 4 stages: the roots of Legendre's polynomials.
GAUSS = {
    1: np.array([0.5]),
    3: np.array([0.11270166537926, 0.5, 0.88729833462074]),
    4: np.array([0.06943184420297, 0.33000947820757, 0.66999052179243, 0.93056815579703]),
}
# In each interval a state is v + h sum_k w[k] t**(k + 1)/(k + 1)!; u and du are state and rate at the stages.
STAGES, STATES = sp.symbols("stages states", integer=True, positive=True)
(V,) = arrays("v", n, STATES)
W, U, DU = arrays("w u du", n, STAGES, STATES)
(TO_STATE, TO_RATE) = arrays("to_state to_rate", STAGES, STAGES)
(TO_END,) = arrays("to_end", STAGES)
H = sp.Symbol("h")
SUMMED = (k, 0, STAGES - 1)
# Measurements: in which interval, how the coefficients of that give the state at the time, and what was measured.
AT, (TO_TIME,), (Z,) = table("at", m), arrays("to_time", m, STAGES), arrays("z", m, STATES)
(THETA,) = arrays("theta", sp.Symbol("parameters", integer=True, positive=True))

Rates = Callable[[Sequence[Any]], Sequence[Any]]  # of the states at a stage


def _factorials(numbers: Any) -> Any:
    return np.array([float(factorial(own)) for own in numbers])


def _weights(stages: int) -> dict[str, Any]:
    """How the coefficients of an interval give states and rates at its stages, and the state at its end."""
    rho, power = GAUSS[stages][:, None], np.arange(stages)
    return {
        "to_state": rho ** (power + 1) / _factorials(power + 1),
        "to_rate": rho**power / _factorials(power),
        "to_end": 1 / _factorials(power + 1),
    }


def _equations(rates: Sequence[Any]) -> list[tuple[Any, int, int]]:
    """Stages, continuity, and the differential equation of each state, whose rates are at the stage j of interval i."""
    every = (i, n), (j, STAGES)
    families = [
        family(U[i, j, s] - V[i, s] - H * sp.Sum(W[i, k, s] * TO_STATE[j, k], SUMMED), *every, (s, STATES)),
        family(DU[i, j, s] - sp.Sum(W[i, k, s] * TO_RATE[j, k], SUMMED), *every, (s, STATES)),
        family(V[i, s] + H * sp.Sum(W[i, k, s] * TO_END[k], SUMMED) - V[i + 1, s], (i, n - 1), (s, STATES)),
        *(family(DU[i, j, own] - rate, *every) for own, rate in enumerate(rates)),
    ]
    return [(own, 0, 0) for own in families]


def _fitted(
    measured: Measured,
    intervals: int,
    stages: int,
    parameters: int,
    rates: Rates,
    first: Any,
    theta: float,
    guess: Any = None,
) -> tuple[Any, dict[str, Any]]:
    """Parameters for which the states are closest to measurements. They start at `theta`, states at `guess`.

    The states begin at `first` where that is known.
    """
    times, values = measured
    h = times[-1] / intervals
    where = np.minimum(intervals - 1, (times / h).astype(int))
    error = V[AT[p], s] + sp.Sum(W[AT[p], k, s] * TO_TIME[p, k], SUMMED) - Z[p, s]
    states = values[np.searchsorted(where, np.arange(intervals)).clip(max=len(times) - 1)]
    low, high = (np.full(states.shape, side) for side in (-np.inf, np.inf))
    if first is not None:
        states[: where[0] + 1] = low[0] = high[0] = first
    power = np.arange(stages)
    program = nlp(
        sp.Sum(error**2, (s, 0, STATES - 1), (p, 0, m - 1)),
        _equations(rates([U[i, j, own] for own in range(values.shape[1])])),
        [THETA, V, W, U, DU],
        {THETA: (0, None), V: (low, high)},
        at=where,
        to_time=(times - where * h)[:, None] ** (power + 1) / (_factorials(power + 1) * h**power),
        z=values,
        h=h,
        n=intervals,
        parameters=parameters,
        **_weights(stages),
    )
    states = states if guess is None else np.full_like(states, guess)
    return program, {"theta": theta, "v": states, "w": 0, "u": states[:, None], "du": 0}


def gasoil(intervals: int) -> tuple[Any, dict[str, Any]]:
    """Catalytic cracking of gas oil: three rates."""

    def rates(u: Sequence[Any]) -> list[Any]:
        return [-(THETA[0] + THETA[2]) * u[0] ** 2, THETA[0] * u[0] ** 2 - THETA[1] * u[1]]

    return _fitted(GAS_OIL, intervals, 4, 3, rates, (1, 0), 0)


def marine(intervals: int) -> tuple[Any, dict[str, Any]]:
    """Eight stages in the life of a species: how fast they grow into the next, and how many die."""

    def rates(u: Sequence[Any]) -> list[Any]:
        grown = [0, *(THETA[own] * u[own] for own in range(7)), 0]
        return [grown[own] - grown[own + 1] - THETA[7 + own] * u[own] for own in range(8)]

    return _fitted(MARINE, intervals, 1, 15, rates, None, 0)


def methanol(intervals: int) -> tuple[Any, dict[str, Any]]:
    """Methanol to hydrocarbons: five rates."""

    def rates(u: Sequence[Any]) -> list[Any]:
        one, two, three, four, five = (THETA[own] for own in range(5))
        shared = one * u[0] / ((two + five) * u[0] + u[1])
        return [
            -(2 * two + three + four) * u[0] + shared * u[1],
            shared * (two * u[0] - u[1]) + three * u[0],
            shared * (u[1] + five * u[0]) + four * u[0],
        ]

    return _fitted(METHANOL, intervals, 3, 5, rates, (1, 0, 0), 1, 0.001)


def pinene(intervals: int) -> tuple[Any, dict[str, Any]]:
    """The isomerisation of alpha-pinene: five rates."""

    def rates(u: Sequence[Any]) -> list[Any]:
        one, two, three, four, five = (THETA[own] for own in range(5))
        return [
            -(one + two) * u[0],
            one * u[0],
            two * u[0] - (three + four) * u[2] + five * u[4],
            three * u[2],
            four * u[2] - five * u[4],
        ]

    return _fitted(PINENE, intervals, 3, 5, rates, (100, 0, 0, 0, 0), 0)


def catmix(intervals: int) -> tuple[Any, dict[str, Any]]:
    """How two catalysts are mixed along a reactor."""
    (control,) = arrays("control", n, STAGES)
    u = control[i, j]
    one, two = U[i, j, 0], U[i, j, 1]
    rates = [u * (10 * two - one), u * (one - 10 * two) - (1 - u) * two]
    at_end = V[n - 1, s] + H * sp.Sum(W[n - 1, k, s] * TO_END[k], (k, 0, STAGES - 1))
    first = np.array([1.0, 0.0])
    low, high = (np.full((intervals, 2), side) for side in (-np.inf, np.inf))
    low[0] = high[0] = first
    program = nlp(
        sp.Sum(at_end, (s, 0, STATES - 1)) - 1,
        _equations(rates),
        [control, V, W, U, DU],
        {control: (0, 1), V: (low, high)},
        h=1 / intervals,
        n=intervals,
        states=2,
        **_weights(3),
    )
    return program, {"control": 0, "v": first, "w": 0, "u": first, "du": 0}


def channel(intervals: int) -> tuple[Any, dict[str, Any]]:
    """The flow of a fluid that is injected into a channel, by an equation of fourth order; nothing is minimised."""
    order, stages, reynolds = 4, 4, 10
    v, w = arrays("v w", n, order)
    (derivative,) = arrays("derivative", n, stages, order)
    (of_v, of_w), (to_highest,) = arrays("of_v of_w", stages + 1, 2 * order), arrays("to_highest", stages, stages)
    (scale,) = arrays("scale", order)

    def inside(interval: Any, at: Any) -> Any:
        """The derivative number s at a stage, or at the end, of an interval: Taylor's series, and the rest of it."""
        series = sp.Sum(v[interval, k] * of_v[at, k - s], (k, s, order - 1))
        return series + scale[s] * sp.Sum(w[interval, k] * of_w[at, k - s + order], (k, 0, stages - 1))

    slopes = [derivative[i, j, own] for own in range(order)]
    highest = sp.Sum(w[i, k] * to_highest[j, k], (k, 0, stages - 1))
    ends = inside(n - 1, stages)
    constraints = [
        (family(derivative[i, j, s] - inside(i, j), (i, n), (j, stages), (s, order)), 0, 0),
        (family(inside(i, stages) - v[i + 1, s], (i, n - 1), (s, order)), 0, 0),
        (family(highest - reynolds * (slopes[1] * slopes[2] - slopes[0] * slopes[3]), (i, n), (j, stages)), 0, 0),
        (v[0, 0], 0, 0),
        (v[0, 1], 0, 0),
        (ends.subs(s, 0), 1, 1),
        (ends.subs(s, 1), 0, 0),
    ]
    h, power = 1 / intervals, np.arange(2 * order)
    rho = np.append(GAUSS[stages], 1.0)[:, None]
    program = nlp(
        sp.Integer(1),
        constraints,
        [v, w, derivative],
        of_v=(rho * h) ** power / _factorials(power),
        of_w=rho**power / _factorials(power),
        to_highest=rho[:-1] ** power[:stages] / _factorials(power[:stages]),
        n=intervals,
        scale=h ** (order - np.arange(order)),
    )
    t = np.arange(intervals) * h
    guess = np.stack([t**2 * (3 - 2 * t), 6 * t * (1 - t), 6 * (1 - 2 * t), np.full(intervals, -12.0)], axis=1)
    return program, {"v": guess, "w": 0, "derivative": guess[:, None]}
