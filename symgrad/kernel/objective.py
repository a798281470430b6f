"""A kernel as a function of one flat vector, as scipy.optimize calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .compiled import Compiled
from .flat import FlatInputs
from .runner import Runner


class Objective(FlatInputs):
    """A function of one flat vector: the inputs of a kernel that are not fixed, in `args` order, each row by row.

    Made by `Kernel.objective`. Shapes of arrays are those of the first `pack`, or of the fixed inputs where these tell
    them. Extents that are arguments are fixed.

    Attributes:
        free: The positions of the inputs that are not fixed, among the arguments of the kernel.
        symbols: These inputs, as symbols.
        shapes: Their shapes, () for a number; None until they are known.
    """

    def __init__(
        self,
        compiled: Compiled,
        runner: Runner,
        fixed: Mapping[int, Any],
        hessian: Callable[[], Any],
        hvp: Callable[[], Any],
    ) -> None:
        """`hessian` and `hvp` make the kernels of these when they are asked for first."""
        super().__init__(compiled, runner, fixed)
        self._args, self._wrt, self._hessian, self._hvp = compiled.args, compiled.wrt, hessian, hvp

    def __call__(self, vector: Any) -> tuple[float, Any]:
        """Value and gradient at a vector, as `scipy.optimize.minimize(..., jac=True)` wants them.

        Args:
            vector: The free inputs, one after the other, as `pack` makes it: of shape (k,) for k numbers in all.

        Returns:
            The value, and the gradient as a float64 array of the shape of the vector.

        Raises:
            ShapeError: The vector has another length, or shapes are not known yet.
        """
        values = self.values(vector)
        point = self._runner.point
        if point is not None:
            value, derivatives = point(*values)
            return value, np.array([derivatives[position] for position in self._positions])
        value, *derivatives = self._runner.evaluate(values)
        found = [derivatives[position] for position in self._positions]
        on_host = self._runner.on_host
        flat = np.concatenate([np.ravel(on_host(derivative)) for derivative in found]).astype(np.float64)
        return float(on_host(value)), flat

    def hess(self, vector: Any) -> Any:
        """The Hessian at a vector, as `hess=` of scipy.optimize.minimize wants it.

        Args:
            vector: As for the call of an objective.

        Returns:
            A float64 array of shape (k, k).

        Raises:
            ShapeError: The vector has another length, or shapes are not known yet.
        """
        hessian, places = self._hessian()(self.values(vector)).hessian, self._positions
        if not isinstance(hessian, tuple):  # of numbers alone
            return np.asarray(hessian, np.float64)[np.ix_(places, places)]
        sizes = dict(zip(places, self._sizes, strict=True))
        return np.block(
            [
                [np.asarray(hessian[one][two], np.float64).reshape(sizes[one], sizes[two]) for two in places]
                for one in places
            ]
        )

    def hessp(self, vector: Any, v: Any) -> Any:
        """The Hessian times a vector, as `hessp=` of scipy.optimize.minimize wants it; the Hessian is never formed.

        Args:
            vector: As for the call of an objective.
            v: What it is multiplied by, of the shape of `vector`.

        Returns:
            A float64 array of shape (k,).

        Raises:
            ShapeError: A vector has another length, or shapes are not known yet.
        """
        values, parts = self.values(vector), dict(zip(self._positions, self._parts(v), strict=True))
        direction = [
            parts[place] if place in parts else np.zeros(np.shape(values[self._args.index(symbol)]))
            for place, symbol in enumerate(self._wrt)
        ]
        found = self._hvp()(values, direction).hvp
        if not isinstance(found, tuple):
            return np.asarray(found, np.float64)[self._positions]
        return np.concatenate([np.ravel(found[place]) for place in self._positions]).astype(np.float64)
