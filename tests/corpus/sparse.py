"""Sparse derivatives as whole matrices, of what the reference evaluator finds: for comparison with dense ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from symgrad.analysis.extents import numeric, with_derived
from symgrad.evaluate.evaluation import evaluate_exactly
from symgrad.graph.graph import Graph
from symgrad.kernel.sparse import Patterns
from symgrad.options import Options


def matrix_of(graph: Graph, point: Sequence[Any], sizes: Mapping[str, int], digits: int = 30) -> tuple[Any, int]:
    """The matrix of numbers of mpmath that a graph of a sparse derivative says, and how many entries are stored."""
    pattern = graph.pattern
    assert pattern is not None
    count = len(pattern.families)
    found = evaluate_exactly(graph, point, sizes, digits)
    names = [""] * len(pattern.rows), [""] * len(pattern.columns)
    placed = Patterns(pattern, Options(sparse="csr"), names).at(point, sizes)
    data = np.zeros(len(placed.matrix.rows), object)
    for family, own in zip(placed.families, found[len(found) - count :], strict=True):
        values = np.asarray(own, object)
        if not family.parts:
            for source, place in zip(family.sources, family.places, strict=True):
                data[place] += values.ravel()[source]
        for start, strides in family.parts:
            for at in np.ndindex(*values.shape):
                data[start + sum(step * index for step, index in zip(strides, at, strict=True))] = values[at]
    matrix = np.zeros(placed.matrix.shape, object)
    matrix[placed.matrix.rows, placed.matrix.columns] = data
    return matrix, len(data)


def stacked(
    graph: Graph,
    derivatives: Mapping[tuple[int, ...], Any],
    wrt: Sequence[int],
    sizes: Mapping[str, int],
    is_hessian: bool,
) -> Any:
    """Dense blocks as one matrix: those of a Jacobian by value and input, those of a Hessian by two inputs."""
    known = with_derived(sizes, graph.derived)
    columns = [prod(numeric(own, known) for own in graph.shapes[place]) for place in wrt]
    heights = [prod(numeric(own, known) for own in value.shape) for value in graph.values]
    rows = columns if is_hessian else heights
    whole = np.zeros((sum(rows), sum(columns)), object)
    tops, lefts = np.cumsum([0, *rows]), np.cumsum([0, *columns])
    for row in range(len(rows)):
        for column in range(len(columns)):
            key = (wrt[row] if is_hessian else row, wrt[column])
            there = slice(tops[row], tops[row + 1]), slice(lefts[column], lefts[column + 1])
            if key in derivatives:
                whole[there] = np.asarray(derivatives[key], object).reshape(rows[row], columns[column])
            elif is_hessian and key[::-1] in derivatives:
                block = np.asarray(derivatives[key[::-1]], object).reshape(columns[column], rows[row])
                whole[there] = block.T
    return whole
