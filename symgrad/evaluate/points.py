"""The reference evaluator: walks any graph with NumPy, or with mpmath at any precision. The oracle, not the product."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

from ..gates.table import CONSTANTS
from ..graph.gate import Gate, Numeric
from ..graph.graph import reachable
from ..graph.node import Node, View

# Beyond this size of an exponent mpmath would compute for hours; every floating-point result is 0 or infinite there.
_LARGEST_ARGUMENT = 10**12
# Numbers of a larger binary exponent, or a smaller one, are infinity and 0 in every dtype.
_LARGEST_EXPONENT = 100_000
# Beyond this many binary digits before the point a period is not taken off any more: far out of every floating point.
_LARGEST_ANGLE = 20_000
_PLAIN_ANGLE = 40  # up to here there are digits enough

Apply = Callable[[Node, list[Numeric]], Numeric]  # a node, to the values of its arguments


def evaluate(views: Sequence[View], inputs: Sequence[Numeric], dtype: npt.DTypeLike = np.float64) -> list[Numeric]:
    """The views at `inputs` (numbers or arrays that broadcast), computed in `dtype`. Frees what is no longer read."""

    def leaf(node: Node) -> Numeric:
        number = node.constant if node.gate.name == "constant" else inputs[node.position]
        return rounded(number, dtype) if node.gate.name == "constant" else number

    def apply(node: Node, arguments: list[Numeric]) -> Numeric:
        return _composite(node, arguments, _apply_numpy)

    with np.errstate(all="ignore"):
        values = _walk(views, leaf, apply)
    return [np.asarray(value, dtype=dtype) for value in values]


def evaluate_exactly(views: Sequence[View], inputs: Sequence[Numeric], digits: int = 50) -> list[Numeric]:
    """The views at `inputs` as mpmath numbers of `digits` digits; what is not real is NaN, a pole infinity or NaN.

    Of a large angle as many more digits are computed as it has before the point: a period is taken off them.
    """
    angle = 0  # the most binary digits before the point that an angle has

    def leaf(node: Node) -> Numeric:
        if node.gate.name == "constant":
            return exact_number(node.constant)
        value = inputs[node.position]
        return value if isinstance(value, mpmath.mpf) else mpmath.mpf(value)

    def apply(node: Node, arguments: list[Numeric]) -> Numeric:
        nonlocal angle
        if "periodic" in node.gate.has:
            angle = max([angle, *(mpmath.mag(a) for a in arguments if a and abs(mpmath.mag(a)) <= _LARGEST_ANGLE)])
        return apply_exactly(node, arguments)

    with mpmath.workdps(digits):
        values = _walk(views, leaf, apply)
        if angle <= _PLAIN_ANGLE:
            return values
        with mpmath.extraprec(angle):
            values = _walk(views, leaf, apply)
        return [+value if isinstance(value, mpmath.mpf) else value for value in values]


def evaluate_complex(views: Sequence[View], inputs: Sequence[Numeric], digits: int) -> list[Numeric]:
    """The views at complex `inputs`, as mpmath numbers; NaN at poles, and where they would be out of every range.

    For gates that are analytic: those that are not may raise TypeError.
    """

    def leaf(node: Node) -> Numeric:
        return mpmath.mpmathify(exact_number(node.constant) if node.gate.name == "constant" else inputs[node.position])

    with mpmath.workdps(digits):
        return _walk(views, leaf, lambda node, arguments: _composite(node, arguments, _apply_complex))


def apply_exactly(node: Node, arguments: list[Numeric]) -> Numeric:
    """A gate on mpmath numbers, at the working precision."""
    return _composite(node, arguments, _apply_mpmath)


def exact_number(number: Fraction | str) -> Numeric:
    """A constant of the graph at mpmath's working precision."""
    return CONSTANTS[number]() if isinstance(number, str) else mpmath.mpf(number.numerator) / number.denominator


def _walk(views: Sequence[View], leaf: Callable[[Node], Numeric], apply: Apply) -> list[Numeric]:
    order = reachable(view.node for view in views)
    last_reader = {edge.node: node for node in order for edge in node.arguments}
    wanted = {view.node for view in views}
    values: dict[Node, Numeric] = {}
    for node in order:
        if not node.arguments:
            values[node] = leaf(node)
            continue
        values[node] = apply(node, [values[edge.node] for edge in node.arguments])
        for argument in {edge.node for edge in node.arguments}:
            if last_reader[argument] is node and argument not in wanted:
                del values[argument]
    return [values[view.node] for view in views]


def _composite(node: Node, arguments: list[Numeric], apply: Apply) -> Numeric:
    """A gate that has no reference of its own (a user's) is evaluated by its expansion."""
    if node.gate.numpy is not None or node.gate.expansion is None:
        return apply(node, arguments)
    expanded = node.gate.expansion(*node.arguments)
    known = {edge.node: value for edge, value in zip(node.arguments, arguments, strict=True)}
    values = dict(known)
    for inner in between(expanded.node, known):
        values[inner] = (
            _leaf_like(inner, arguments)
            if not inner.arguments
            else _composite(inner, [values[edge.node] for edge in inner.arguments], apply)
        )
    return values[expanded.node]


def _leaf_like(node: Node, like: list[Numeric]) -> Numeric:
    """A constant inside an expansion, as a number of the arguments' type."""
    if any(isinstance(value, mpmath.mpf) for value in like):
        return exact_number(node.constant)
    return rounded(node.constant, getattr(like[0], "dtype", np.float64))


def between(root: Node, known: Container[Node]) -> list[Node]:
    """The nodes that `root` needs beside those that are known, arguments first."""
    seen: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in seen and node not in known:
            seen.add(node)
            stack.extend(edge.node for edge in node.arguments)
    return sorted(seen, key=lambda node: node.number)


def _apply_numpy(node: Node, arguments: list[Numeric]) -> Numeric:
    assert node.gate.numpy is not None, node
    return node.gate.numpy(*arguments) if node.attribute is None else node.gate.numpy(*arguments, node.attribute)


def _apply_mpmath(node: Node, arguments: list[Numeric]) -> Numeric:
    function = node.gate.mpmath
    assert function is not None, node
    name = node.gate.name
    if "choosing" not in node.gate.has and any(isinstance(a, mpmath.mpf) and mpmath.isnan(a) for a in arguments):
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


def _apply_complex(node: Node, arguments: list[Numeric]) -> Numeric:
    function = node.gate.mpmath
    assert function is not None, node
    if _is_out_of_range(node.gate, arguments):
        return mpmath.mpc("nan", "nan")
    try:
        return function(*arguments) if node.attribute is None else function(*arguments, node.attribute)
    except (ZeroDivisionError, ValueError, OverflowError):
        return mpmath.mpc("nan", "nan")


def _is_out_of_range(gate: Gate, arguments: list[Numeric]) -> bool:
    if "periodic" in gate.has:
        return any(mpmath.mag(a) > _LARGEST_ANGLE for a in arguments)
    if gate.name == "pow":
        base, exponent = arguments
        if isinstance(base, mpmath.mpf) and base < 0 and not mpmath.isint(exponent):
            return False  # complex, whatever its size
        if mpmath.mag(exponent) > _LARGEST_ANGLE:  # a whole number, written out
            return True
        return bool(base != 0 and abs(exponent * mpmath.log(abs(base))) > _LARGEST_ARGUMENT)
    return "growing" in gate.has and any(abs(a) > _LARGEST_ARGUMENT for a in arguments)


def _at_infinity(gate: Gate, arguments: list[Numeric]) -> Numeric:
    """Far beyond every floating-point range: compute in floating point, where overflow costs nothing."""
    reference = gate.numpy
    assert reference is not None
    with np.errstate(all="ignore"):
        return mpmath.mpf(float(reference(*(np.float64(float(a)) for a in arguments))))


def rounded(number: Fraction | str, dtype: npt.DTypeLike) -> Numeric:
    """A constant rounded once to `dtype`, to nearest even; overflow is infinity."""
    if isinstance(number, str):
        with mpmath.workdps(60):
            return round_exact(CONSTANTS[number](), np.dtype(dtype))
    return round_fraction(number, np.dtype(dtype))


def round_exact(number: Numeric, dtype: np.dtype[Any]) -> Numeric:
    """An mpmath number rounded once to `dtype`; also one whose exponent is too large to be written as a fraction."""
    sign, mantissa, exponent, bits = number._mpf_
    if not mpmath.isfinite(number) or abs(exponent + bits) > _LARGEST_EXPONENT:
        return dtype.type(float(number))
    return round_fraction(Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent), dtype)


def round_fraction(number: Fraction, dtype: np.dtype[Any]) -> Numeric:
    kind = dtype.type
    if dtype.kind == "c":
        return kind(round_fraction(number, np.dtype(np.float64)))
    try:
        with np.errstate(over="ignore"):
            near = kind(float(number))
    except OverflowError:
        return kind(np.inf if number > 0 else -np.inf)
    if not np.isfinite(near) or Fraction(float(near)) == number or dtype == np.float64:
        return near
    # Rounding to float64 first may have rounded twice: pick the nearest of the neighbours, ties to even.
    with np.errstate(over="ignore"):
        candidates = [near, np.nextafter(near, kind(np.inf)), np.nextafter(near, kind(-np.inf))]
    finite = [candidate for candidate in candidates if np.isfinite(candidate)]
    return min(finite, key=lambda c: (abs(Fraction(float(c)) - number), int(c.view(f"u{dtype.itemsize}")) & 1))
