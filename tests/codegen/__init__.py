"""Tests of the targets, of what they emit, and of how it is built and run."""
