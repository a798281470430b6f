"""How an expression is compiled, beside what is computed: target, dtype, accuracy, name, and how the kernel runs."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.targets import TARGETS

DTYPES = ("float64", "float32")
ACCURACIES = ("fast", "strict")
SPARSE = ("csr", "csc", "coo")
# As solvers take them: entries in the order in which they are computed, those of one place not added up.
TRIPLETS = "triplets"


@dataclass(frozen=True)
class Options:
    """The options of a kernel as `symgrad.compile` explains them. Raises ValueError for what they cannot be."""

    target: str = "cpu"
    dtype: str = "float64"
    accuracy: str = "fast"
    name: str = "kernel"
    threads: int | str | None = None
    cache: bool = True
    batch: bool = False
    sparse: str | None = None  # the format in which a Jacobian or Hessian is stored
    symmetric: str | None = None  # "lower": of a Hessian that triangle alone

    def __post_init__(self) -> None:
        for what, value, allowed in (
            ("dtype", self.dtype, DTYPES),
            ("accuracy", self.accuracy, ACCURACIES),
            ("target", self.target, TARGETS),
        ):
            if value not in allowed:
                raise ValueError(f"{what} is one of {', '.join(allowed)}, not {value!r}")
        if self.sparse not in (None, *SPARSE, TRIPLETS):
            raise ValueError(f"sparse is None or one of {', '.join(SPARSE)}, not {self.sparse!r}")
        if self.symmetric not in (None, "lower"):
            raise ValueError(f"symmetric is None or 'lower', not {self.symmetric!r}")
        if self.symmetric and not self.sparse:
            raise ValueError("symmetric='lower' is of a sparse Hessian: give sparse as well, as in sparse='csr'")
        if self.sparse and self.batch:
            raise ValueError("a sparse matrix is of one instance: sparse and batch=True do not go together")
        self._check_name()
        threads = self.threads
        if not (threads is None or threads == "auto" or (isinstance(threads, int) and threads > 0)):
            raise ValueError(f"threads is None, a positive number or 'auto', not {threads!r}")
        if threads is not None and self.target != "cpu":
            raise ValueError(f"threads are of the target 'cpu', not of {self.target!r}")

    def _check_name(self) -> None:
        name = self.name
        if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
            raise ValueError(f"name must be an identifier in ASCII, not {name!r}")
        reserved = TARGETS[self.target].reserved()
        for word in (
            name,
            f"{name}_batch",
            f"{name}_into",
            f"{name}_shapes",
            f"{name}_pattern",
        ):  # what the module defines
            if word in reserved or word in FUNCTIONS or keyword.iskeyword(word) or name.startswith("__"):
                raise ValueError(f"the name {name!r} is a word of Python or of the emitted module; choose another")
