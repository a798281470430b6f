"""Tests of symgrad/evaluate."""
