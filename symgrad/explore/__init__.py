"""The circuit of a kernel, gate by gate: traces, drawings, pages, formulas, and findings in words."""
