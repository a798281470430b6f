"""Functions of one vector: their kernels, and of arguments what varies, what each call gives, and what is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from .compiler import compile
from .errors import ShapeError
from .graph.graph import sizes_of
from .kernel.flat import FlatInputs
from .kernel.kernel import Kernel
from .kernel.sparsity import SparsityPattern
from .lower.lower import free_symbols, natural_order
from .lower.survey import ARRAYS, is_array_valued
from .options import SPARSE
from .result import by_name


class Numbers:
    """The arguments of kernels of numbers: a vector has one entry for each that varies."""

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        varying: Sequence[sympy.Symbol],
        before: Sequence[sympy.Symbol],
        given: Mapping[Any, Any],
        what: str,
    ) -> None:
        self._varying, self._before = tuple(varying), tuple(before)
        own = {*varying, *before}
        used = sorted(free_symbols(*expressions) - own, key=natural_order)
        found: dict[sympy.Symbol, Any] = {}
        for key, value in given.items():
            if any(key in (symbol, symbol.name) for symbol in own):
                raise ValueError(f"{key} is {what}: it has no fixed value")
            same = [symbol for symbol in used if key in (symbol, symbol.name)]
            if len(same) != 1:
                names = ", ".join(symbol.name for symbol in used) or "none"
                wrong = (
                    "is the name of two symbols: give the symbol itself" if same else f"is not used; there are {names}"
                )
                raise ValueError(f"the fixed value of {key} {wrong}")
            found[same[0]] = value if np.ndim(value) == 0 else np.asarray(value, np.float64)
        _check_lacking([symbol.name for symbol in used if symbol not in found])
        self._fixed: list[Any] = [found[symbol] for symbol in used]
        self.arguments: list[Any] = [*before, *varying, *used]
        self.sizes = [1] * len(self._varying)

    def values(self, vector: Any, *before: Any) -> list[Any]:
        """All arguments of a kernel: what each call gives, the entries of a vector along its first axis, the fixed."""
        array = np.asarray(vector, np.float64)
        if array.ndim == 0 or len(array) != len(self._varying):
            names = ", ".join(symbol.name for symbol in self._varying)
            raise ShapeError(f"a vector of {len(self._varying)} ({names}) wanted, not of shape {array.shape}")
        entries: list[Any] = array.tolist() if array.ndim == 1 else list(array)
        return [*before[: len(self._before)], *entries, *self._fixed]

    def pack(self, **values: Any) -> Any:
        """See `FlatInputs.pack`."""
        given = {by_name(self._varying, name, "what varies"): value for name, value in values.items()}
        missing = [symbol.name for place, symbol in enumerate(self._varying) if place not in given]
        if missing:
            raise ValueError(f"missing {', '.join(missing)}")
        return np.array([float(given[place]) for place in range(len(self._varying))])

    def unpack(self, vector: Any) -> dict[str, Any]:
        """See `FlatInputs.unpack`."""
        entries = self.values(vector, *self._before)[len(self._before) :]
        return dict(zip([symbol.name for symbol in self._varying], entries, strict=False))


class Arrays(FlatInputs):
    """The arguments of kernels with arrays: a vector has the entries of what varies one after the other."""

    def __init__(self, kernel: Kernel, before: Sequence[sympy.Symbol], given: Mapping[Any, Any], what: str) -> None:
        args, arguments = kernel.args, kernel._runner.arguments
        extents = {size.name for size in sizes_of(kernel._compiled.definition)} - {symbol.name for symbol in args}
        told = {name: value for key, value in given.items() if (name := getattr(key, "name", key)) in extents}
        rest = {key: value for key, value in given.items() if getattr(key, "name", key) not in extents}
        fixed = {arguments.position(key): value for key, value in rest.items()}
        for place, value in fixed.items():
            symbol, rank = args[place], arguments.ranks[place]
            if symbol in kernel.wrt or symbol in before:
                raise ValueError(f"{symbol.name} is {what}: it has no fixed value")
            if np.ndim(value) != rank:
                wanted = f"an array of {rank} {'axis' if rank == 1 else 'axes'}" if rank else "a number"
                raise ValueError(f"{symbol.name} is fixed at an array of shape {np.shape(value)}: {wanted} is wanted")
        self._called = [place for place, symbol in enumerate(args) if symbol in before]
        fixed |= dict.fromkeys(self._called, 0.0)
        _check_lacking([own.name for place, own in enumerate(args) if place not in fixed and own not in kernel.wrt])
        order = [args.index(symbol) for symbol in kernel.wrt]
        super().__init__(kernel._compiled, kernel._runner, fixed, order, told)

    @property
    def sizes(self) -> list[int]:
        """How many numbers each of what varies has."""
        return self._sizes

    def check_shapes(self, parts: Sequence[Any]) -> None:
        """Raises ShapeError where a part of a right-hand side is not of the shape of what it is the derivative of."""
        count = len(self.symbols)
        own = [np.shape(entry) for part in parts for entry in (part if len(parts) < count else [part])]
        for symbol, shape, wanted in zip(self.symbols, own, self.shapes or [], strict=True):
            if shape != wanted:
                raise ShapeError(f"the equation of {symbol.name} has the shape {shape}, and {symbol.name} {wanted}")

    def values(self, vector: Any, *before: Any) -> list[Any]:
        """All arguments of a kernel."""
        found = super().values(vector)
        for place in self._called:
            found[place] = before[0]
        return found


class VectorKernels:
    """The kernels of some expressions, of values alone and with the Jacobian by what varies, and their arguments."""

    def __init__(
        self,
        expressions: Sequence[sympy.Basic],
        varying: Sequence[Any],
        before: Sequence[sympy.Symbol],
        given: Mapping[Any, Any],
        what: str,
        sparse: str | None,
    ) -> None:
        """`before` are numbers that each call gives; `given` are fixed, and `what` is said of those that are not."""
        if sparse not in (None, *SPARSE):
            raise ValueError(f"sparse is None or one of {', '.join(SPARSE)}, not {sparse!r}")
        self._sparse = sparse
        self._expressions, self._varying = list(expressions), tuple(varying)
        self._arguments: list[Any] | None = None
        self._inputs: Numbers | Arrays
        if _has_arrays(expressions, varying):
            self._inputs = Arrays(self._values, before, given, what)
        else:
            self._inputs = Numbers(expressions, varying, before, given, what)
            self._arguments = self._inputs.arguments

    def pack(self, **values: Any) -> Any:
        """The vector of what varies.

        Args:
            **values: Each of them by name: a number, or an array of its shape, which is kept for all that follows.

        Returns:
            The vector, in float64: one after the other, each row by row.

        Raises:
            ShapeError: An array has more or fewer axes than what it is for.
            ValueError: One is missing, or a name is none of them.
        """
        return self._inputs.pack(**values)

    def unpack(self, vector: Any) -> dict[str, Any]:
        """What varies, of a vector.

        Args:
            vector: As `pack` makes it.

        Returns:
            Each by name: numbers, and arrays of their shapes.

        Raises:
            ShapeError: The vector has another length, or shapes are not known yet.
        """
        return self._inputs.unpack(vector)

    @cached_property
    def _values(self) -> Kernel:
        return compile(self._expressions, self._arguments, self._varying, derivative=None)

    @cached_property
    def _jacobian(self) -> Kernel:
        return compile(self._expressions, self._arguments, self._varying, derivative="jacobian")

    @cached_property
    def _entries(self) -> Kernel:
        """The Jacobian alone, sparse."""
        return self._values._made("jacobian_alone", sparse=self._sparse or "csc")

    def _pattern(self, *before: Any) -> SparsityPattern:
        """Where the Jacobian has entries."""
        return self._entries._runner.matrix(self._inputs.values(np.zeros(sum(self._inputs.sizes)), *before))

    def _parts(self, values: Sequence[Any]) -> list[Any]:
        """What the expressions are, arrays and numbers, of all arguments."""
        return self._values._compiled.outputs.flat(self._values(*values))

    def _matrix(self, values: Sequence[Any]) -> Any:
        """The Jacobian as one array: a row for each number among the values, a column for each that varies."""
        if self._sparse is not None:
            return self._entries._runner.run(values, None)
        value, jacobian = self._jacobian(*values)
        if isinstance(jacobian, np.ndarray):
            return np.asarray(jacobian)
        outputs = self._jacobian._compiled.outputs
        blocks = zip(map(np.size, outputs.flat(value)), outputs.flat(jacobian), strict=True)
        sizes = self._inputs.sizes
        return np.vstack(
            [
                np.hstack([np.reshape(part, (rows, size)) for part, size in zip(parts, sizes, strict=True)])
                for rows, parts in blocks
            ]
        )


def _has_arrays(expressions: Sequence[sympy.Basic], varying: Sequence[Any]) -> bool:
    symbols = {*varying, *free_symbols(*expressions)}
    return any(map(is_array_valued, expressions)) or any(isinstance(symbol, ARRAYS) for symbol in symbols)


def _check_lacking(names: Sequence[str]) -> None:
    if names:
        raise ValueError(f"no value for {', '.join(names)}: give it by name, or let it vary")
