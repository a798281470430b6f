"""Which function lowers a class of SymPy: one table, for scalars, indices, matrices, blocks and array expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import sympy

from ..graph.node import View

# Called with the lowering, the part and the views of its children. Parts of arrays are met by an ArrayLowering only.
Build = Callable[[Any, Any, list[View]], View]
Children = Callable[[Any, Any], tuple[sympy.Basic, ...]]


class Row(NamedTuple):
    """What is known of a class of SymPy."""

    build: Build
    children: Children | None  # what of a part has to be lowered before, called with the lowering; None: its arguments


ROWS: dict[type, Row] = {}


def lowers(*kinds: type, children: Children | None = None) -> Callable[[Build], Build]:
    """File a function under the classes that it lowers, and those that are derived from them."""

    def enter(build: Build) -> Build:
        ROWS.update({kind: Row(build, children) for kind in kinds})
        return build

    return enter


def row_of(part: sympy.Basic) -> Row | None:
    """The row of the nearest of a part's classes."""
    own = type(part)
    return ROWS.get(own) or next((ROWS[kind] for kind in own.__mro__ if kind in ROWS), None)


def alone(_lowering: object, _part: sympy.Basic) -> tuple[sympy.Basic, ...]:
    """Of a class that has nothing to be lowered before."""
    return ()


def first(_lowering: object, part: sympy.Basic) -> tuple[sympy.Basic, ...]:
    """Of a class whose first argument alone is lowered."""
    return (part.args[0],)


def every(_lowering: object, part: sympy.Basic) -> tuple[sympy.Basic, ...]:
    """Of a class all of whose arguments are, be they matrices."""
    return tuple(part.args)
