"""From a graph to a program: passes over the data, loops, storages, statements and names."""
