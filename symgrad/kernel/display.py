"""How a kernel shows itself: in a line, as a formula, and in a few lines where the formula is too long."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import sympy

from ..tables import Table
from ..transform.products import PRODUCTS
from .compiled import Compiled

# Of a long list of symbols so many are shown, and a source of at most so many characters.
MAX_SYMBOLS = 20
MAX_SOURCE = 200_000


def in_a_line(compiled: Compiled) -> str:
    """The call, what it is differentiated for, and how it runs."""
    wrt = ", ".join(symbol.name for symbol in compiled.wrt)
    runs, dtype = compiled.stats["runs"], compiled.options.dtype
    what = f"{compiled.derivative} by ({wrt})" if compiled.derivative else "values"
    return f"<symgrad kernel {compiled.signature()}, {what}, {dtype}, {runs}>"


def in_latex(compiled: Compiled) -> str | None:
    """The formulas; None where they are too long to be read, and of products of the derivatives of several outputs."""
    if not compiled.outputs.is_number and compiled.derivative in (*PRODUCTS, "weighted_hessian"):
        return None
    from ..explore.latex import latex  # `import symgrad` does without

    wrt = [compiled.args.index(symbol) for symbol in compiled.wrt]
    formula = latex(compiled.written or compiled.definition, compiled.derivative, wrt)
    return None if formula is None else f"$\\displaystyle {formula}$"


def in_a_few_lines(compiled: Compiled) -> str:
    """A table of facts in HTML, and the source where that is not too long."""
    table, source = _facts(compiled).html(), compiled.source
    if source is None or len(source) > MAX_SOURCE:
        return table
    return f"{table}\n<details><summary>source</summary><pre>{escape(source)}</pre></details>"


def _facts(compiled: Compiled) -> Table:
    stats, options = compiled.stats, compiled.options
    rows = [
        ("arguments", _listed(compiled.args)),
        (f"{compiled.derivative or 'derivatives'} by", _listed(compiled.wrt) if compiled.derivative else "none"),
        ("operations", f"{stats['operations_value']:,}; {stats['operations']:,} with {_beside(compiled)}"),
        ("runs", f"{stats['runs']}, {options.dtype}"),
    ]
    return Table(("", ""), rows, options.name, left=frozenset((0, 1)))


def _beside(compiled: Compiled) -> str:
    return f"the {compiled.derivative}" if compiled.derivative else "nothing else"


def _listed(symbols: Sequence[sympy.Symbol]) -> str:
    names = ", ".join(symbol.name for symbol in symbols[:MAX_SYMBOLS])
    return names + (f", ... ({len(symbols):,} in all)" if len(symbols) > MAX_SYMBOLS else "")
