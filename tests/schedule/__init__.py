"""Tests of symgrad/schedule."""
