"""Tests of symgrad/language."""
