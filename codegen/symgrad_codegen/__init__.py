"""From a program to source text to a running kernel. Knows neither symgrad nor SymPy."""
