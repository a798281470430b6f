"""Tests of symgrad/explore."""
