"""How the terms of reductions are joined."""

from __future__ import annotations

import math
from typing import NamedTuple


class ReductionKind(NamedTuple):
    """How terms are joined, and what the first one is joined to."""

    start: float
    join: str  # in Python, of two texts
    join_arrays: str  # the same, in place
    cuda: str  # its number in the run-time text for GPUs


REDUCTIONS = {
    "sum": ReductionKind(0.0, "{0} + {1}", "{0} += {1}", "SUM"),
    "product": ReductionKind(1.0, "{0} * {1}", "{0} *= {1}", "PRODUCT"),
    "largest": ReductionKind(-math.inf, "max({0}, {1})", "{0}[:] = np.maximum({0}, {1})", "LARGEST"),
    "smallest": ReductionKind(math.inf, "min({0}, {1})", "{0}[:] = np.minimum({0}, {1})", "SMALLEST"),
}
