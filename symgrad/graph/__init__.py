"""The graph: interned nodes that are functions of integers, with index maps on their edges.

    graph    = inputs, values, gradients          lists of views into one table of nodes
    view     = node [index, ...]                  a node read at index expressions over named axes
    node     = operation (edge, ...) attribute    a function of `rank` integers: its axes 0 .. rank - 1
    edge     = node [index, ...]                  index expressions over the loop axes of the node that reads
    index    = coefficient*axis + ... + offset    affine in axes and symbolic extents
             | gather view                        or the value of an integer view

A node has a rank and no extents: ranges live in inputs and reductions. Axes are positions and names live on views, so
interning (hash-consing) unifies sub-expressions up to the renaming of indices; it is the whole of the
common-subexpression elimination, for the forward and the backward part alike, at O(1) a node.

An elementwise node loops over its own axes. A reduction loops over more: its attribute says at which index expressions
of the loop axes each term arrives (`out`) and for which loops there is one (`constraints`, affine forms >= 0), so that
nested and triangular sums, scatter-adds and guards (0 outside of a domain) are one thing.
A scalar expression that is evaluated at many points is a graph whose inputs have one axis, the points.
"""
