"""Benchmarks of sparse derivatives at small sizes: they agree with the loops by hand, and with complex numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import optimal_power_flow, sparse_derivatives
from benchmarks.timed import Made

PEERS = {
    "rosenbrock": lambda: sparse_derivatives.rosenbrock(False, 50),
    "lower triangle": lambda: sparse_derivatives.rosenbrock(True, 50),
    "broyden": lambda: sparse_derivatives.broyden(50),
    "bundle": lambda: sparse_derivatives.bundle(3, 7, 40),
}


@pytest.mark.parametrize("name", PEERS)
def test_symgrad_agrees_with_the_loop_by_hand(name: str) -> None:
    peers: dict[str, Callable[[], Made]] = PEERS[name]()
    by_hand, ours = (make().results for make in peers.values())
    for one, two in zip(by_hand, ours, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-11, atol=1e-11 * np.abs(one).max())


def test_a_ring_of_networks_obeys_kirchhoff() -> None:
    pytest.importorskip("pounce")
    network, example = optimal_power_flow.ring(2), optimal_power_flow.EXAMPLE
    found = example["program"](network).solve(example["START"], print_level=0)
    assert found.success
    assert example["mismatch"](network, found.x) < 1e-8


def test_derivatives_are_those_of_casadi() -> None:
    pytest.importorskip("casadi")
    network = optimal_power_flow.ring(2)
    program = optimal_power_flow.EXAMPLE["program"](network)
    for which in ("jacobian", "hessian"):
        ours, casadi = (make().results[0] for make in optimal_power_flow.peers(program, network, which).values())
        np.testing.assert_allclose(ours, casadi, rtol=1e-13, atol=1e-13 * np.abs(casadi).max())
