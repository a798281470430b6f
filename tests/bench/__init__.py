"""Tests of `symgrad bench` and of the benchmarks."""
