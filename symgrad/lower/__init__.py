"""From SymPy to a graph: every class that an expression may hold has a function here that says it in gates."""
