"""Tests of all of it: random programs, tables of formulas, the documentation, the house itself."""
