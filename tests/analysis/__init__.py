"""Tests of symgrad/analysis."""
