"""From a graph to a graph: differentiation, laws, and what else is changed before loops are made."""
