"""Problems of COPS 3.0 as families in SymPy, in sizes whose optima are published, solved by pounce.

E. D. Dolan, J. J. More, T. S. Munson, Benchmarking optimization software with COPS 3.0, Argonne National Laboratory,
ANL/MCS-TM-273 (2004). What is maximised there is minimised here with the other sign.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

from ..table import markdown, seconds_text
from . import collocation, grids, shapes, trajectories

Sized = Callable[..., tuple[Any, dict[str, Any]]]  # of a size: the program, and where to start


class Instance(NamedTuple):
    """A problem of one size, and its published optimum."""

    make: Sized
    size: tuple[int, ...]
    optimum: float

    @property
    def name(self) -> str:
        return f"{self.make.__name__} {' x '.join(map(str, self.size))}"


INSTANCES = (
    Instance(grids.bearing, (50, 50), -1.5482e-1),
    Instance(grids.minsurf, (50, 50), 2.51488),
    Instance(grids.minsurf, (50, 75), 2.50568),
    Instance(grids.minsurf, (50, 100), 2.50694),
    Instance(grids.torsion, (50, 50), -4.18087e-1),
    Instance(shapes.camshape, (1000,), -4.2791),
    Instance(shapes.elec, (50,), 1.0552e3),
    Instance(shapes.polygon, (6,), -0.674981),  # that of R. L. Graham (1975); of 50 vertices solvers find it as well
    Instance(trajectories.chain, (800,), 5.06891),
    Instance(trajectories.glider, (100,), -1.25505e3),
    Instance(trajectories.robot, (200,), 9.14138),
    Instance(trajectories.rocket, (400,), -1.01283),
    Instance(trajectories.steering, (200,), 5.54577e-1),
    Instance(collocation.catmix, (100,), -4.80556e-2),
    Instance(collocation.channel, (200,), 1.0),
    Instance(collocation.gasoil, (100,), 5.2366e-3),
    Instance(collocation.marine, (100,), 1.97462e7),
    Instance(collocation.methanol, (100,), 9.02229e-3),
    Instance(collocation.pinene, (100,), 1.98721e1),
)


def solved(instance: Instance) -> list[str]:
    """The row of a problem."""
    begin = time.perf_counter()
    program, start = instance.make(*instance.size)
    entries = [len(structure()[0]) for structure in (program.jacobianstructure, program.hessianstructure)]
    built = time.perf_counter()
    found = program.solve(start, print_level=0)
    seconds = time.perf_counter() - built
    return [
        instance.name,
        *(f"{count:,}" for count in (program.n, program.m, *entries)),
        f"{found.value:.7g}",
        f"{abs(found.value / instance.optimum - 1):.0e}",
        str(found.info["iter_count"]),
        seconds_text(seconds),
        f"{built - begin:.2f}",
    ]


HEAD = "problem, variables, constraints, Jacobian, Hessian, optimum, off, iterations, solved in, build s".split(", ")


def tables(repeats: int) -> list[str]:
    """One table; every problem is solved once."""
    title = "COPS 3.0, solved by pounce: entries of the derivatives, how far off the published optimum"
    if find_spec("pounce") is None:
        return [f"### {title}\n\npounce is not installed"]
    return [markdown(title, HEAD, [solved(instance) for instance in INSTANCES])]
