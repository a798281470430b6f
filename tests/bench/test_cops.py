"""COPS 3.0 in SymPy: optima that are published, and derivatives of small sizes against differences."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cops import INSTANCES, Instance, collocation, grids, shapes, trajectories
from tests.test_nonlinear_programs import checked

QUICK = {"chain 800", "elec 50", "polygon 6", "rocket 400", "steering 200", "torsion 50 x 50"}
SMALL = (
    Instance(grids.bearing, (3, 4), 0.0),
    Instance(shapes.polygon, (5,), 0.0),
    Instance(trajectories.robot, (3,), 0.0),
    Instance(collocation.gasoil, (3,), 0.0),
)


@pytest.mark.parametrize("instance", [own for own in INSTANCES if own.name in QUICK], ids=lambda own: own.name)
def test_optimum_is_the_published_one(instance: Instance) -> None:
    pytest.importorskip("pounce")
    program, start = instance.make(*instance.size)
    found = program.solve(start, print_level=0)
    assert found.success
    assert found.value == pytest.approx(instance.optimum, rel=1e-4)


@pytest.mark.parametrize("instance", SMALL, ids=lambda own: own.name)
def test_derivatives_against_differences(instance: Instance) -> None:
    program, start = instance.make(*instance.size)
    checked(program, program.pack(**start) + np.random.default_rng(1).uniform(0.1, 0.3, program.n))
