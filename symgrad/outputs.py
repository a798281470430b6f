"""Several outputs: the structure that a user gives them in, and results in the same structure.

    structure = number | list or tuple of structures | dict of structures | Matrix | Array

Numbers that make an array, as a list, nested lists of one length and a Matrix do, are a block: one array of results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sympy

from .errors import UnsupportedExpression
from .lower.survey import is_array_valued

# Lists in lists, beyond which nobody means it: NumPy's arrays have no more axes either.
_DEEPEST = 32


class Block(NamedTuple):
    """An array of values: of () a single one, which is a number, or an array where the expression is one."""

    shape: tuple[int, ...]
    first: int  # the position of its first value; the others follow, in C order

    @property
    def values(self) -> range:
        return range(self.first, self.first + prod(self.shape))


class Branch(NamedTuple):
    """A list, a tuple, or a dict with its keys."""

    kind: type
    keys: tuple[Any, ...]  # of a list the positions
    parts: tuple[Tree, ...]


Tree: TypeAlias = Block | Branch


@dataclass(frozen=True)
class Outputs:
    """What values there are, and where each of them is in the results."""

    tree: Tree
    names: tuple[str, ...]  # of each value; empty where a list has it
    is_number: bool = False  # whether it is one number, in no structure

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(_blocks(self.tree))

    def structured(self, arrays: Sequence[Any]) -> Any:
        """What stands for each block, in the structure."""
        return _filled(self.tree, iter(arrays))

    def flat(self, results: Any) -> list[Any]:
        """The inverse of `structured`. ValueError where the structure of `results` is another."""
        return list(_read(self.tree, results))


def split(expr: Any) -> tuple[Outputs, tuple[sympy.Basic, ...]]:
    """The structure of what is to be compiled, and its expressions in order.

    Raises UnsupportedExpression for what is no expression and no structure of such, ValueError for a structure without
    any, and where two outputs have one name.
    """
    splitter = _Splitter()
    tree = splitter.tree(expr, "", 0)
    seen: set[str] = set()
    for name in filter(None, splitter.names):
        if name in seen:
            raise ValueError(f"two outputs are named {name!r}; give each its own name")
        seen.add(name)
    is_number = tree == Block((), 0) and not is_array_valued(expr)
    return Outputs(tree, tuple(splitter.names), is_number), tuple(splitter.expressions)


def is_structure(expr: Any) -> bool:
    """Whether it is no single expression, but may hold several."""
    kinds = (Mapping, list, tuple, np.ndarray, sympy.MatrixBase, sympy.NDimArray, sympy.Tuple, sympy.Dict)
    return isinstance(expr, kinds)


class _Splitter:
    """Collects the expressions of a structure, and their names."""

    def __init__(self) -> None:
        self.expressions: list[sympy.Basic] = []
        self.names: list[str] = []

    def tree(self, expr: Any, name: str, depth: int) -> Tree:
        if depth > _DEEPEST:
            raise ValueError(f"outputs are nested deeper than {_DEEPEST} levels")
        if is_structure(expr) and not len(expr):
            raise ValueError(
                f"{f'the output {name}' if name else 'what is to be computed'} is {_said(expr)}: no outputs"
            )
        if isinstance(expr, (Mapping, sympy.Dict)):
            keys = tuple(expr)
            parts = [self.tree(expr[key], _joined(name, key), depth + 1) for key in keys]
            return Branch(dict, keys, tuple(parts))
        if not is_structure(expr):
            return self._block((), [expr], name)
        grid = _grid(expr, depth)
        if grid is not None:
            return self._block(*grid, name)
        parts = [self.tree(part, f"{name}[{at}]" if name else "", depth + 1) for at, part in enumerate(expr)]
        return Branch(tuple if isinstance(expr, (tuple, sympy.Tuple)) else list, tuple(range(len(parts))), tuple(parts))

    def _block(self, shape: tuple[int, ...], expressions: Sequence[Any], name: str) -> Block:
        first = len(self.expressions)
        self.expressions += [_expression(part) for part in expressions]
        places = [f"[{', '.join(map(str, place))}]" if place else "" for place in np.ndindex(*shape)]
        self.names += [f"{name}{place}" if name else "" for place in places]
        return Block(shape, first)


def _joined(name: str, key: Any) -> str:
    own = key if isinstance(key, str) else str(key)
    return f"{name}.{own}" if name else own


def _grid(expr: Any, depth: int) -> tuple[tuple[int, ...], list[Any]] | None:
    """The shape and the numbers of what is an array of numbers; None for other structures, and for what is empty."""
    if isinstance(expr, (sympy.MatrixBase, sympy.NDimArray)):
        entries = expr.flat() if isinstance(expr, sympy.MatrixBase) else sympy.flatten(expr.tolist())
        return tuple(map(int, expr.shape)), list(entries)
    if isinstance(expr, np.ndarray):
        return expr.shape, list(expr.ravel().tolist())
    if depth > _DEEPEST:
        raise ValueError(f"outputs are nested deeper than {_DEEPEST} levels")
    if any(map(_is_array, expr)):
        return None
    parts: list[tuple[tuple[int, ...], list[Any]]] = []
    for part in expr:
        row = _grid(part, depth + 1) if _is_row(part) else ((), [part])
        if row is None or (parts and row[0] != parts[0][0]):
            return None
        parts.append(row)
    return (len(parts), *parts[0][0]) if parts else (0,), [entry for _, entries in parts for entry in entries]


def _is_row(part: Any) -> bool:
    return isinstance(part, (list, tuple, sympy.Tuple))


def _is_array(part: Any) -> bool:
    """Whether it is a whole array, or a structure with names: it does not go into an array of numbers."""
    return (is_structure(part) and not _is_row(part)) or is_array_valued(part)


def _expression(part: Any) -> sympy.Basic:
    if isinstance(part, (bool, np.bool_)):
        raise UnsupportedExpression(f"the output {part} is a truth value: every output is a real number")
    if isinstance(part, (int, float, np.integer, np.floating)):
        return sympy.sympify(part)
    if isinstance(part, complex):
        raise UnsupportedExpression(
            f"the output {part} is complex: every output is a real number; give its real and imaginary part"
        )
    if not isinstance(part, sympy.Basic):
        raise UnsupportedExpression(
            f"cannot compile a {type(part).__name__}: give a SymPy expression or text, or a list, dict or Matrix"
        )
    return part


def _said(expr: Any) -> str:
    return f"an empty {type(expr).__name__}"


# Results in the structure --------------------------------------------------------------------------------------------


def _blocks(tree: Tree) -> Iterator[Block]:
    if isinstance(tree, Block):
        yield tree
    else:
        for part in tree.parts:
            yield from _blocks(part)


def _filled(tree: Tree, arrays: Iterator[Any]) -> Any:
    if isinstance(tree, Block):
        return next(arrays)
    parts = [_filled(part, arrays) for part in tree.parts]
    return dict(zip(tree.keys, parts, strict=True)) if tree.kind is dict else tree.kind(parts)


def _read(tree: Tree, results: Any) -> Iterator[Any]:
    if isinstance(tree, Block):
        yield results
        return
    if tree.kind is dict:
        if not isinstance(results, Mapping) or set(results) != set(tree.keys):
            raise ValueError(f"out must hold a dict with the keys {', '.join(map(str, tree.keys))}")
    elif not isinstance(results, (list, tuple)) or len(results) != len(tree.parts):
        raise ValueError(f"out must hold {len(tree.parts)} parts in a {tree.kind.__name__}")
    for key, part in zip(tree.keys, tree.parts, strict=True):
        yield from _read(part, results[key])
