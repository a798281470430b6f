"""What is scheduled: which conditions are of indices alone is found out at any depth."""

from __future__ import annotations

from symgrad.gates.table import GATES
from symgrad.graph.affine import axis
from symgrad.graph.intern import InternTable
from symgrad.graph.node import View
from symgrad.schedule.items import is_leaf

_DEEP = 3000  # more conditions in each other than Python calls functions in each other


def _nested(inner: View, other: View) -> View:
    for _ in range(_DEEP):
        inner = other.call("and", inner.call("not"))
    return inner


def test_conditions_of_indices_are_leaves_at_any_depth() -> None:
    table = InternTable(dict(GATES))
    number, index, bound = table.input(0, (0,)), table.position(axis(0)), table.constant(3)
    of_indices, of_numbers = index < bound, number < bound
    assert is_leaf(_nested(of_indices, index.equals(bound)).node)
    assert not is_leaf(_nested(of_numbers, index.equals(bound)).node)
    assert not is_leaf(_nested(of_indices, of_numbers).node)
