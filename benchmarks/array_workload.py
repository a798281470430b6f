"""What a workload of whole arrays is: a loss with named arrays, data for it, and the same gradient written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Arrays = dict[str, Any]  # by name; the inputs of `formula`, `loss` and the kernels by hand, in this order


@dataclass(frozen=True)
class ArrayWorkload:
    """One loss of whole arrays. Results are its value, then an array of derivatives for each of the parameters."""

    title: str
    parameters: tuple[str, ...]  # the inputs that it is differentiated for
    points: int  # data points, by default
    # How many points, to random inputs.
    data: Callable[[int], Arrays]
    # In SymPy, for symgrad: the loss and its inputs.
    formula: Callable[[], tuple[Any, Sequence[Any]]]
    # In the terms of JAX and PyTorch: functions (those of array_peers.py) and the inputs by name, to the loss.
    loss: Callable[..., Any]
    # The inputs by name to rows of results, with NumPy. All others are compared with this.
    with_numpy: Callable[..., Sequence[Any]]
    # Functions (those of vector_math.py) to kernel(*inputs, *derivatives), which returns the value.
    with_numba: Callable[[Any], Callable[..., float]]

    def by_hand(self, inputs: Arrays) -> Sequence[Any]:
        return self.with_numpy(**inputs)
