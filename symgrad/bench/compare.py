"""Are the results of `symgrad bench` right? What is wrong is not timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import SymgradError
from ..kernel.check import GradientCheck
from .peers import Peer

# What is right without a closer look: the largest difference, relative to the number or to the median of its kind.
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
# Times what rounding explains of symgrad's results: the others compute them from other formulas.
OTHER_WAYS = 64
JUDGED = 3  # results that differ by more, each at the point where it differs most


def compare(peers: Sequence[Peer], compiled: Callable[[], Any]) -> list[str]:
    """Compares the results of all with those of the first, which is symgrad; who is wrong gets a reason.

    Where they differ by more than TOLERANCE, numbers of 50 digits say who is right, as in the gradient check;
    `compiled` gives the kernel for it. Returns remarks. Raises SymgradError where symgrad has no results.
    """
    symgrad, *others = peers
    expected = symgrad.results()
    if symgrad.reason:
        raise SymgradError(f"no results: {symgrad.reason}")
    remarks = []
    share = float(np.mean(~np.isfinite(expected[0])))
    if share:
        remarks.append(f"the value is no finite number at {share:.1%} of the points: write x=number where it is one")
    for other in others:
        found = other.results()
        if other.reason:
            continue
        gaps = [largest_difference(*pair) for pair in zip(found, expected, strict=True)]
        other.difference = max(gap for gap, _ in gaps)
        beyond = sorted((gap for gap in gaps if gap[0] > TOLERANCE[other.job.dtype]), reverse=True)
        for _, position in beyond[:JUDGED]:
            remarks += _judge(compiled(), position, (symgrad, expected), (other, found))
        if other.idle == len(found):
            other.reason = other.reason or "it computes nothing: its results are inputs as they are, or single numbers"
        elif other.idle and not other.reason:
            remarks.append(
                f"{other.name} has {other.idle} of its {len(found)} results for nothing: an input as it is, or one "
                "number for all points"
            )
    if symgrad.reason:
        for other in others:
            other.reason = other.reason or (symgrad.reason if other.name == symgrad.name else "")
    return remarks


def largest_difference(found: Any, expected: Any) -> tuple[float, int]:
    """The largest relative difference, and where. Two NaN agree, and so do two equal infinities.

    Relative to the number, or to the median magnitude where that is larger: what comes out of a cancellation is
    compared with what went into it.
    """
    with np.errstate(all="ignore"):
        magnitude = np.abs(expected)
        finite = magnitude[np.isfinite(magnitude)]
        scale = np.maximum(magnitude, np.median(finite) if finite.size else 0.0)
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        difference = np.where(same, 0.0, np.abs(found - expected) / np.where(scale == 0.0, 1.0, scale))
    difference[np.isnan(difference)] = np.inf
    position = int(np.argmax(difference))
    return float(difference[position]), position


def _judge(kernel: Any, position: int, *candidates: tuple[Peer, Sequence[Any]]) -> list[str]:
    """Gives those a reason whose results at this point are wrong; a remark where all are right."""
    job = candidates[0][0].job
    point = [float(numbers[position]) for numbers in job.inputs()]
    shown = [f"{symbol.name}={number!r}" for symbol, number in zip(kernel.args, point, strict=True)]
    at = " ".join(shown[:8] + ["..."] * (len(shown) > 8))
    check: GradientCheck = kernel.check(*point)
    wrong = []
    for peer, results in candidates:
        value, *derivatives = (float(numbers[position]) for numbers in results)
        rows = tuple(
            replace(row, analytic=number, tolerance=OTHER_WAYS * row.tolerance)
            for row, number in zip(check.rows, derivatives, strict=True)
        )
        own = replace(check, value=value, value_tolerance=OTHER_WAYS * check.value_tolerance, rows=rows)
        if not own.value_agrees or any(row.verdict == "WRONG" for row in rows):
            wrong.append(peer)
            peer.reason = f"wrong at {at}, as 50 digits say"
    if wrong:
        return []
    return [f"{candidates[-1][0].name} differs most at {at}, where both are right as far as rounding allows"]
