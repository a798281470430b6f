"""Tests of symgrad/kernel."""
