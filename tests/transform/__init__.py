"""Tests of symgrad/transform."""
