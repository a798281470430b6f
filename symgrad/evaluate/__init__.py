"""The reference evaluator: any graph in NumPy and in mpmath, over points and over arrays."""
