"""Which matrix is singular, where the inverse of one is needed: in the user's words."""

from __future__ import annotations

import numpy as np

from ..graph.formula import indexed_formula
from ..graph.graph import Graph
from ..graph.node import Node

_FORMULA = 60  # characters of a matrix that has no name


def singular(matrix: str) -> np.linalg.LinAlgError:
    """The error, with the way out."""
    return np.linalg.LinAlgError(
        f"Singular matrix: {matrix} has no inverse, which the value or the gradient needs; check its entries, or add a "
        "small multiple of the identity matrix to it"
    )


def matrix_of(graph: Graph, node: Node) -> str:
    """The matrix that an operation on whole ones inverts: by its name, or by its entries."""
    argument = node.arguments[0]
    if argument.node.gate.name == "input":
        return graph.inputs[argument.node.position]
    if argument.node in graph.names:
        return graph.names[argument.node]
    return f"the matrix of {indexed_formula(argument, node, graph, graph.names, _FORMULA)}"
