"""The language of expr.txt: from text to SymPy, by a grammar; nothing of a text is ever evaluated."""
