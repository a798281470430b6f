"""The target `cpu`: Numba."""
