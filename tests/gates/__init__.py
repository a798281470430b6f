"""Tests of symgrad/gates."""
