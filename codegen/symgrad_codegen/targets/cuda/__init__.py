"""The target `cuda`: Numba for GPUs."""
