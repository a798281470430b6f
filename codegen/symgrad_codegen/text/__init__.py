"""Programs as text: expressions, statements, and what the modules of all targets share."""
