"""Tests of symgrad/graph."""
