"""Kernels: compiled programs that are called with numbers and arrays, and checked."""
