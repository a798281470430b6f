"""Products of the same factors are multiples of one of them: (2*a)*b is 2*(a*b), where a*b is computed anyway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ..graph.graph import Graph
from ..graph.node import Node, View
from ..graph.rebuild import read_after, rebuilt
from .laws.law import rational_of

# Products of more factors are compared as they are.
_MOST = 8


class Product(NamedTuple):
    """A number times nodes, by their numbers in order."""

    number: Fraction | int
    factors: tuple[int, ...]


class Multiple(NamedTuple):
    """A number times a view, and that times another view if there is one."""

    number: Fraction | int
    of: View
    by: View | None = None


def share_multiples(
    graph: Graph, fragile_nodes: Callable[[Sequence[Node]], Container[Node]], fired: Counter[str]
) -> Graph:
    """`graph` with one product of the same factors, of which the others are multiples.

    And c*(a*b) is (c*a)*b where c*a is computed anyway, and a*b for nothing else. Never more operations. Only over
    points, and not in fragile nodes, which a rounding must not change. Roundings move, and nothing else does, but where
    a product overflows of some factors and not of others.
    """
    if not graph.over_points:
        return graph
    found = _multiples(graph)
    if not found:
        return graph
    fragile = fragile_nodes(graph.order())
    found = {node: multiple for node, multiple in found.items() if node not in fragile}
    fired.update({"share_multiples": len(found)} if found else {})
    views: dict[Node, View] = {}
    for node in graph.order():
        if node in found:
            number, of, by = found[node]
            if of.node not in views:  # it stands behind its multiples, what it reads before them
                views[of.node] = rebuilt(graph.table, of.node, views)
            made = multiplied(number, read_after(views, of))
            views[node] = made if by is None else made * read_after(views, by)
        elif all(views[source] is source.own for source in node.sources):
            views[node] = node.own
        else:
            views[node] = rebuilt(graph.table, node, views)
    return graph.rebuilt(views) if found else graph


def multiplied(number: Fraction | int, view: View) -> View:
    """A rational times a view, of one operation: a product, or a quotient where that rounds once."""
    if number < 0:
        return -multiplied(-number, view)
    if number == 1:
        return view
    return view / number.denominator if number.numerator == 1 else view.node.table.constant(Fraction(number)) * view


def split_multiple(node: Node) -> tuple[Fraction | int, View] | None:
    """A number times a view, or that divided by one, as its parts."""
    if len(node.arguments) != 2:
        return None
    one, two = node.arguments
    if node.gate.name == "mul":
        if factor := rational_of(one):
            return factor, two
        return (factor, one) if (factor := rational_of(two)) else None
    below = rational_of(two) if node.gate.name == "div" else None
    return (1 / below, one) if below else None


def _multiples(graph: Graph) -> dict[Node, Multiple]:
    """The products that are computed as multiples of others."""
    products: dict[Node, Product] = {}
    same: dict[tuple[int, ...], list[Node]] = {}
    for node in graph.order():
        product = None if node.fixed or node.gate.name not in _ARITHMETIC else _product(node, products)
        if product is not None:
            products[node] = product
            if node.gate.name == "mul" and len(product.factors) > 1:
                same.setdefault(product.factors, []).append(node)
    found: dict[Node, Multiple] = {}
    for nodes in same.values():
        if len(nodes) > 1:
            other = _computed(nodes, products)
            for node in nodes:
                if all(other is not own for own in (node, *node.sources)):
                    found[node] = Multiple(Fraction(products[node].number) / products[other].number, other.own)
    known: dict[tuple[Fraction | int, Node], Node] = {}  # which multiples of which nodes there are
    split: list[tuple[Node, Fraction | int, Node]] = []  # the multiples of products of two
    for node in products:
        parts = None if node in found else split_multiple(node)
        if parts is not None:
            number, rest = parts
            known[number, rest.node] = node
            if rest.node.gate.name == "mul" and len(rest.node.arguments) == 2:
                split.append((node, number, rest.node))
    if split:
        readers = Counter(edge.node for node in graph.order() for edge in node.arguments)
        readers.update(view.node for view in graph.views)
        kept = {own.of.node for own in found.values()}  # they are read by what is a multiple of them
        for node, number, inside in split:
            if readers[inside] > 1 or inside in found or inside in kept or node in kept:
                continue
            for one, two in (inside.arguments, inside.arguments[::-1]):
                scaled = known.get((number, one.node), node)
                if scaled is not node and scaled not in found:
                    found[node] = Multiple(number, one, two)
                    kept.add(scaled)
                    break
    return found


def _computed(nodes: Sequence[Node], products: Mapping[Node, Product]) -> Node:
    """Of products of the same factors the one that the others are multiples of: without a number, else the first."""
    for node in nodes:
        if products[node].number == 1 and all(source.number < nodes[0].number for source in node.sources):
            return node
    return nodes[0]


_ARITHMETIC = ("mul", "neg", "div")


def _product(node: Node, products: Mapping[Node, Product]) -> Product | None:
    """A node as a number times factors, where `products` says the same of its arguments."""
    number: Fraction | int = 1
    factors: list[int] = []
    edges = node.arguments
    if node.gate.name == "div":
        below = rational_of(edges[1])
        if not below:
            return None
        number, edges = 1 / below, edges[:1]
    elif node.gate.name == "neg":
        number = -1
    for edge in edges:
        own = rational_of(edge)
        if own == 0:
            return None
        inside = products.get(edge.node) if own is None else Product(own, ())
        if inside is None:
            factors.append(edge.node.number)
        else:
            number *= inside.number
            factors += inside.factors
    return Product(number, tuple(sorted(factors))) if len(factors) <= _MOST else None
