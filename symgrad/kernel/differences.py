"""Derivatives by differences: in floats, as one learns to do it, by the complex step, and at 60 digits or more.

Where an expression is analytic the complex step Im f(x + ih)/h does not cancel (Squire & Trapp, SIAM Review 40, 1998).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, NamedTuple, TypeAlias

import mpmath
import numpy as np

from ..analysis.extents import numeric, with_derived
from ..evaluate.arithmetic import Exact
from ..evaluate.evaluation import Evaluator
from ..graph.gate import Numeric
from ..graph.graph import Graph

# Working digits of the exact differences, more until two successive ones agree: a saturated tanh(300) is 1 - 1e-260.
DIGITS = (60, 120, 240, 480, 960)
CENTRAL_STEP = float(np.finfo(np.float64).eps ** (1 / 3))
COMPLEX_STEP = mpmath.mpf(10) ** -100
COMPLEX_DIGITS = 140  # some functions have these together for real and imaginary part

Sides: TypeAlias = Sequence[Any]  # a derivative, that from the left, that from the right
_NOTHING: Sides = [mpmath.nan] * 3
_ZEROS: Sides = [mpmath.mpf(0)] * 3
_SAME = mpmath.mpf(10) ** -18  # relative
_VISIBLE = 1e-30  # what is larger than this, 60 digits show


class Entry(NamedTuple):
    """A number among the inputs: which of them, by position, and where in that, which is () for a number."""

    place: int
    at: tuple[int, ...] = ()

    @property
    def places(self) -> tuple[int, ...]:
        """The input that it is of."""
        return (self.place,)

    def of(self, inputs: Sequence[Numeric]) -> Numeric:
        return inputs[self.place][self.at] if self.at else inputs[self.place]

    def moved(self, inputs: Sequence[Numeric], step: Numeric) -> list[Numeric]:
        """The inputs with this number moved by a step."""
        found = list(inputs)
        if self.at:
            found[self.place] = np.array(inputs[self.place])
            found[self.place][self.at] += step
        else:
            found[self.place] = inputs[self.place] + step
        return found


class Direction(NamedTuple):
    """A way in which several inputs move together: numbers, or arrays of their shapes."""

    places: tuple[int, ...]  # of the inputs
    parts: tuple[Numeric, ...]  # how far each of them moves

    def of(self, inputs: Sequence[Numeric]) -> Numeric:
        """What a step is relative to."""
        return 1.0

    def moved(self, inputs: Sequence[Numeric], step: Numeric) -> list[Numeric]:
        """The inputs, moved by a step times the direction."""
        found = list(inputs)
        for place, part in zip(self.places, self.parts, strict=True):
            found[place] = inputs[place] + step * part
        return found


class Differences:
    """The value of a graph at some inputs, in float64, and how it changes where one number of them moves."""

    def __init__(self, graph: Graph, inputs: Sequence[Numeric], sizes: Mapping[str, int]) -> None:
        self._graph, self._inputs, self._sizes = graph.with_values([graph.values[0].view]), inputs, sizes
        self._evaluator = Evaluator(self._graph)
        self._used = {node.position for node in self._evaluator.order if node.gate.name == "input"}

    @cached_property
    def _exact_inputs(self) -> list[Numeric]:
        whole, numbers = self._graph.integers, Exact()
        return [value if place in whole else numbers.given(value) for place, value in enumerate(self._inputs)]

    def operations(self) -> int:
        """How many operations one evaluation takes."""
        nodes, domains = [node for node in self._evaluator.order if node.arguments], self._evaluator.domains
        if domains is None:
            return len(nodes)
        boxes = [[bound for bound in domains.of[node].bounds if bound is not None] for node in nodes]
        sizes = with_derived(self._sizes, domains.derived)
        lengths = [[numeric(high.minus(low), sizes) + 1 for low, high in box] for box in boxes]
        return sum(prod(max(1, length) for length in own) for own in lengths)

    def value(self) -> float:
        """In float64."""
        return self._value(self._inputs)

    def central(self, entry: Entry | Direction) -> float:
        """The central difference in float64, its step the cube root of the rounding unit."""
        here = entry.of(self._inputs)
        step = CENTRAL_STEP * max(abs(here), 1.0)
        if self._graph.over_points:  # both are points
            (values,) = self._evaluator.floats(entry.moved(self._inputs, np.array([step, -step])))
        else:
            values = np.array([self._value(entry.moved(self._inputs, way)) for way in (step, -step)])
        with np.errstate(all="ignore"):
            return float((values[0] - values[1]) / ((here + step) - (here - step)))

    def complex_step(self, entry: Entry | Direction) -> float | None:
        """Im f(x + ih)/h, where every gate is analytic, and the function here: at a branch point it depends on h."""
        if not all(node.gate.analytic for node in self._evaluator.order):
            return None
        found = []
        for step in (COMPLEX_STEP, -COMPLEX_STEP / 1024):
            inputs = entry.moved(self._exact_inputs, mpmath.mpc(0, step))
            (value,) = self._evaluator.complex(inputs, self._sizes, COMPLEX_DIGITS)
            found.append(mpmath.im(value) / step)
        one, two = found
        return float(one) if abs(one - two) <= 1e-12 * abs(one) else None

    def exact(self, entries: Sequence[Entry | Direction], bounds: Sequence[float]) -> tuple[Any, list[Sides]]:
        """The value; and (derivative, that from the left, that from the right) by each entry, NaN where there is none.

        `bounds` says how exactly they have to be known. At a jump one side is infinite.
        """
        value, found = mpmath.nan, [_NOTHING] * len(entries)
        waiting = list(range(len(entries)))
        for digits in DIGITS:
            value_before, before = value, list(found)
            value, differences = self._at([entries[k] for k in waiting], digits)
            for k, sides in zip(waiting, differences, strict=True):
                found[k] = sides
            waiting = [k for k in waiting if self._is_used(entries[k]) and not _settled(before[k], found[k], bounds[k])]
            if not waiting and _settled([value_before], [value], 0.0):
                break
        if not mpmath.isfinite(value):  # outside of the domain, or a pole
            return value, [_NOTHING] * len(entries)
        return value, [
            _judged([_limit(one, two, bound) for one, two in zip(a, b, strict=True)])
            if self._is_used(entry)
            else _ZEROS
            for a, b, entry, bound in zip(before, found, entries, bounds, strict=True)
        ]

    def _is_used(self, entry: Entry | Direction) -> bool:
        """Whether the value reads what moves."""
        return not self._used.isdisjoint(entry.places)

    def _value(self, inputs: Sequence[Numeric]) -> float:
        return float(self._evaluator.floats(inputs, self._sizes)[0])

    def _at(self, entries: Sequence[Entry | Direction], digits: int) -> tuple[Any, list[Sides]]:
        """The value; and by each entry the central difference and those to both sides, at so many digits."""

        def value_at(inputs: Sequence[Numeric]) -> Any:
            return self._evaluator.exactly(inputs, self._sizes, digits)[0]

        with mpmath.workdps(digits):
            here = self._exact_inputs
            value = value_at(here)
            found: list[Sides] = []
            for entry in entries:
                step = mpmath.mpf(10) ** -(2 * digits // 5) * (abs(entry.of(here)) or 1)
                above, below = (value_at(entry.moved(here, way)) for way in (step, -step))
                found.append([(above - below) / (2 * step), (value - below) / step, (above - value) / step])
            return value, found


def _judged(sides: Sides) -> Sides:
    """At the end of its domain a function has the derivative from inside, at a vertical tangent it has none."""
    _, left, right = sides
    inside = [side for side in (left, right) if not mpmath.isnan(side)]
    if all(map(mpmath.isinf, inside)):
        return _NOTHING
    return inside * 3 if len(inside) == 1 else sides


def _settled(before: Sequence[Any], now: Sequence[Any], bound: float) -> bool:
    """Whether numbers are known, from those at fewer digits; a difference of 0 may be digits that are lacking."""
    return all(
        abs(a - b) <= max(_SAME * abs(b), bound / 2**10) and (b != 0 or bound > _VISIBLE)
        for a, b in zip(before, now, strict=True)
        if mpmath.isfinite(b) or mpmath.isfinite(a)
    )


def _limit(a: Any, b: Any, bound: float) -> Any:
    """What a difference tends to: it was `a` for a step, and is `b` for one that is smaller by many digits."""
    if not (mpmath.isfinite(a) and mpmath.isfinite(b)):
        return mpmath.nan
    if abs(a - b) <= _SAME * abs(b):
        return b
    if max(abs(a), abs(b)) <= bound / 2**10 or abs(b) <= abs(a) / 2**32:
        return mpmath.mpf(0)
    if abs(a) < abs(b) / 2**32:
        return mpmath.sign(b) * mpmath.inf
    return b if abs(a - b) <= bound / 2**10 else mpmath.nan
