"""The tests: folders like those of what they test, `whole` for what crosses them, `corpus` for what they try."""
