"""What the kernels of a module over arrays on a GPU and the function that launches them share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...program import Program, Storage
from ...text.arrays import kind_text, length_text, numba_type
from ...text.expressions import listed
from ...text.module import tuple_text
from ...text.scope import ArrayScope


class KernelText(NamedTuple):
    """A kernel that a grid runs, and the Numba types of its arguments."""

    name: str
    types: list[str]
    lines: list[str]


class Launch(NamedTuple):
    """Lines of the function that launches the kernels, and the kernel that they launch, where they do."""

    lines: list[str]
    kernel: KernelText | None = None


class DeviceScope(ArrayScope):
    """The names of one module, and what is in the memory of the device: numbers, too, as arrays of one entry."""

    def __init__(self, program: Program, reserved: Iterable[str]) -> None:
        super().__init__(program, reserved)
        self.stream, self.low, self.stop = self.free("stream"), self.free("low"), self.free("stop")
        self.blocks, self.count = self.free("blocks"), self.free("count")

    def given(self, name: str) -> str:
        """What a kernel gets for a name; rows of the data have a row to spare themselves."""
        return name if self.data(name) is not None else self.held.get(name, name)

    def rank(self, array: str) -> int:
        return 1 if array in self.kinds else super().rank(array)

    def type(self, name: str) -> str:
        """The Numba type of an argument of a kernel."""
        kind = numba_type(self.kind(name), "real")
        return array_type(kind, self.rank(name)) if self.is_array(name) or name in self.kinds else kind

    def row_shape(self, storage: Storage, module: str = "builtins.") -> list[str]:
        """The lengths of a storage but for that of the data; on the device max is in no module."""
        if storage.data is not None and storage.name in self.held:
            return self.padded(storage.name, module)
        return [length_text(length, self.program.derived, module) for length in self.lengths(storage.name)]

    def room(self, name: str, shape: Sequence[str], kind: str = "real", instead: str = "") -> list[str]:
        """Lines that make an array on the device, where there is nothing to use `instead`."""
        typed = [] if kind == "real" else [kind_text(kind, "real_name")]
        return listed(
            f"    {name} = {instead}room(", [self.stream, f'"{name}"', tuple_text(shape), *typed], ")", "    "
        )


def array_type(kind: str, rank: int) -> str:
    return f"{kind}[{', '.join([':'] * (rank - 1) + ['::1'])}]"
