"""The numbers that a graph is evaluated with: floats by NumPy, or mpmath's, real and complex, at any precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
from mpmath.libmp import fnan

from ..gates.reductions import KINDS
from ..graph.gate import Gate, Numeric
from ..graph.node import Node, Number
from .rounding import exact_number, rounded

# Beyond this size of an exponent mpmath would compute for hours; every floating-point result is 0 or infinite there.
_LARGEST_ARGUMENT = 10**12
# Beyond this many binary digits before the point a period is not taken off any more: far out of every floating point.
_LARGEST_ANGLE = 20_000

_to_mpf = np.frompyfunc(lambda number: number if isinstance(number, mpmath.mpf) else mpmath.mpf(number), 1, 1)
_to_mpmath = np.frompyfunc(mpmath.mpmathify, 1, 1)


class Arithmetic(ABC):
    """How numbers, and arrays of them, are made and computed with; an evaluation says of what, and in which order."""

    dtype: np.dtype[Any]  # of arrays of these numbers
    expands = True  # whether a gate without a reference of its own, one of the user's, is computed by its expansion

    @abstractmethod
    def given(self, value: Numeric) -> Numeric:
        """An input, which may be an array."""

    @abstractmethod
    def constant(self, number: Number) -> Numeric:
        """A constant of the graph."""

    @abstractmethod
    def whole(self, integers: Numeric) -> Numeric:
        """Integers, or an array of them, as such numbers."""

    @abstractmethod
    def apply(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        """A gate of numbers, entry by entry."""

    @abstractmethod
    def matrix(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        """A gate of whole matrices."""

    def accumulated(self, node: Node, shape: Sequence[int], at: Sequence[Numeric], terms: Numeric) -> Numeric:
        """The terms of a reduction, each put to its place in an array of that shape."""
        empty = KINDS[node.gate.name].empty
        start = self.constant(empty if isinstance(empty, str) else Fraction(empty))
        function = node.gate.numpy
        assert isinstance(function, np.ufunc)
        if not shape:
            return function.reduce(np.ravel(terms), initial=start)
        result = np.full(shape, start, self.dtype)
        function.at(result, tuple(at), terms)
        return result


class Floats(Arithmetic):
    """NumPy's floats of one dtype. Constants are rounded to it once."""

    def __init__(self, dtype: npt.DTypeLike = np.float64) -> None:
        self.dtype = np.dtype(dtype)

    def given(self, value: Numeric) -> Numeric:
        return np.asarray(value, self.dtype, order="C")[()]

    def constant(self, number: Number) -> Numeric:
        return rounded(number, self.dtype)

    def whole(self, integers: Numeric) -> Numeric:
        return np.asarray(integers, self.dtype)[()]

    def apply(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        function = node.gate.numpy
        assert function is not None, node
        return function(*arguments) if node.attribute is None else function(*arguments, node.attribute)

    def matrix(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        assert node.gate.numpy is not None, node
        return node.gate.numpy(*(np.asarray(argument, np.float64) for argument in arguments))


class Exact(Arithmetic):
    """Real numbers of mpmath at its working precision; what is not real is NaN, a pole infinity or NaN."""

    dtype = np.dtype(object)

    def __init__(self) -> None:
        self.angle = 0  # the most binary digits before the point that an angle has had

    def given(self, value: Numeric) -> Numeric:
        return value if isinstance(value, mpmath.mpf) else _to_mpf(np.asarray(value).astype(object))

    def constant(self, number: Number) -> Numeric:
        return exact_number(number)

    def whole(self, integers: Numeric) -> Numeric:
        return _to_mpf(np.asarray(integers).astype(object))

    def apply(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                return np.frompyfunc(lambda *one: self._applied(node, one), len(arguments), 1)(*arguments)
        return self._applied(node, arguments)

    def matrix(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        a = mpmath.matrix(arguments[0].tolist())
        name = node.gate.name
        if name in ("determinant", "log_determinant"):
            value = mpmath.det(a)
            if name == "log_determinant":
                value = mpmath.log(value) if value > 0 else mpmath.mpf("nan") if value < 0 else -mpmath.inf
            return value
        inverse = np.array((a**-1).tolist(), dtype=object)
        return inverse if name == "inverse" else inverse.dot(arguments[1])

    def _applied(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        function = node.gate.mpmath
        assert function is not None, node
        name, has = node.gate.name, node.gate.has
        if "periodic" in has:
            self.angle = max([self.angle, *(mpmath.mag(a) for a in arguments if _is_angle(a))])
        if "choosing" not in has:
            for argument in arguments:
                if isinstance(argument, mpmath.mpf) and argument._mpf_ == fnan:
                    return False if node.kind == "boolean" and name != "ne" else name == "ne" or mpmath.mpf("nan")
        if _is_out_of_range(node.gate, arguments):
            return _at_infinity(node.gate, arguments)
        try:
            result = function(*arguments) if node.attribute is None else function(*arguments, node.attribute)
        except ZeroDivisionError:
            top = arguments[0] if name == "div" else mpmath.mpf(1)
            return mpmath.mpf("nan") if top == 0 else mpmath.sign(top) * mpmath.inf
        except (ValueError, OverflowError):
            return mpmath.mpf("nan")
        if isinstance(result, mpmath.mpc):
            return result.real if result.imag == 0 else mpmath.mpf("nan")
        return result


class Complex(Exact):
    """Complex numbers of mpmath; NaN at poles, and where they would be out of every range.

    For gates that are analytic: those that are not may raise TypeError.
    """

    def given(self, value: Numeric) -> Numeric:
        return _to_mpmath(np.asarray(value, object))

    def constant(self, number: Number) -> Numeric:
        return mpmath.mpmathify(exact_number(number))

    def _applied(self, node: Node, arguments: Sequence[Numeric]) -> Numeric:
        function = node.gate.mpmath
        assert function is not None, node
        if _is_out_of_range(node.gate, arguments):
            return mpmath.mpc("nan", "nan")
        try:
            return function(*arguments) if node.attribute is None else function(*arguments, node.attribute)
        except (ZeroDivisionError, ValueError, OverflowError):
            return mpmath.mpc("nan", "nan")


def _is_angle(a: Numeric) -> bool:
    return bool(a) and abs(mpmath.mag(a)) <= _LARGEST_ANGLE


def _is_out_of_range(gate: Gate, arguments: Sequence[Numeric]) -> bool:
    if "periodic" in gate.has:
        return any(mpmath.mag(a) > _LARGEST_ANGLE for a in arguments)
    if gate.name in ("pow", "pow_slope", "pow_log", "abs_pow", "abs_pow_slope"):
        base, exponent = arguments
        if isinstance(base, mpmath.mpf) and base < 0 and not mpmath.isint(exponent):
            return False  # complex, whatever its size
        if mpmath.mag(exponent) > _LARGEST_ANGLE:  # a whole number, written out
            return True
        return bool(base != 0 and abs(exponent * mpmath.log(abs(base))) > _LARGEST_ARGUMENT)
    return "growing" in gate.has and any(abs(a) > _LARGEST_ARGUMENT for a in arguments)


def _at_infinity(gate: Gate, arguments: Sequence[Numeric]) -> Numeric:
    """Far beyond every floating-point range: compute in floating point, where overflow costs nothing."""
    reference = gate.numpy
    assert reference is not None
    with np.errstate(all="ignore"):
        return mpmath.mpf(float(reference(*(np.float64(float(a)) for a in arguments))))
