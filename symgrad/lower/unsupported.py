"""What cannot be compiled, in words, with the way out."""

from __future__ import annotations

from functools import lru_cache

import sympy
from sympy.core.function import AppliedUndef

from ..errors import UnsupportedExpression


def describe(expression: sympy.Basic, limit: int = 80) -> str:
    """An expression in a few words, also when printing all of it would not terminate."""
    count, stack = 0, [(expression, 0)]
    while stack and count < 120:
        part, depth = stack.pop()
        count += 1 if depth < 40 else 120
        stack.extend((argument, depth + 1) for argument in part.args)
    if count < 120:
        text = str(expression)
        return text if len(text) <= limit else text[: limit - 3] + "..."
    return f"{type(expression).__name__}(... {len(expression.args)} arguments ...)"


def unsupported(part: sympy.Basic) -> UnsupportedExpression:
    """The error for a part that no gate covers: names it, its class, and the way out."""
    name = type(part).__name__
    text = describe(part)
    advice = way_out(part.__class__)
    if advice:
        return UnsupportedExpression(f"cannot compile {text} ({name}): {advice}")
    if hasattr(part, "symgrad_gate"):
        return UnsupportedExpression(f"cannot compile {text}: the gate {name} is not given; pass gates=[{name}]")
    if isinstance(part, AppliedUndef):
        return UnsupportedExpression(
            f"cannot compile {text}: {name} has no definition; put a symbol or an expression in its place "
            f"(expression.subs({text}, ...)), or define it with symgrad.gate({name!r}, ...) and pass gates=[{name}]"
        )
    if not isinstance(part, (sympy.Expr, sympy.logic.boolalg.Boolean)):
        return UnsupportedExpression(f"cannot compile {text} ({name}): give one scalar SymPy expression")
    if isinstance(part, sympy.MatrixExpr):
        return UnsupportedExpression(
            f"cannot compile {text} ({name}): no such matrix operation here; write it with sums over its entries"
        )
    return UnsupportedExpression(
        f"cannot compile {text} ({name}): no gate for it; write it in functions that there are (expression.doit(), "
        "expression.rewrite(...), a series), of which gates of your own (symgrad.gate) are made, too"
    )


_IN_GAMMA = "no gate for it; write it in gamma functions: expression.rewrite(gamma)"

# By the name of a class, as some are slow to import: why SymPy's constructs are refused, and the way out.
_WAYS_OUT = {
    "Integral": "integrate first (expression.doit()), or write a quadrature as a Sum",
    "Limit": "take the limit first (expression.doit())",
    "Subs": "substitute first (expression.doit())",
    "ComplexRootOf": "put its number in its place (root.evalf())",
    "RootSum": "write the sum over the roots out (expression.doit())",
    "Order": "drop the rest of the series (expression.removeO())",
    "Quantity": "a unit is no number; divide it away (sympy.physics.units.convert_to), and compile what is left",
    "AccumulationBounds": "an interval is no number",
    "RandomSymbol": "a random variable is no number; compile its density (sympy.stats.density)",
    "IndexedBase": "an array as a whole is no expression; write symgrad.family(x[i], (i, n)) for its entries",
    "ImaginaryUnit": (
        "symgrad computes with real numbers only; compile the parts of a complex expression: "
        "sympy.expand_complex(expression).as_real_imag()"
    ),
    "ComplexInfinity": "symgrad computes with real numbers only, and this is what a division by zero has left",
    "factorial": _IN_GAMMA,
    "binomial": _IN_GAMMA,
    "beta": _IN_GAMMA,
    "RisingFactorial": _IN_GAMMA,
    "FallingFactorial": _IN_GAMMA,
}


@lru_cache(maxsize=1024)
def way_out(kind: type) -> str | None:
    """Why a construct of SymPy's is refused, and the way out; what such a one binds or is named by is no input."""
    names = (own.__name__ for own in kind.__mro__ if str(own.__module__).startswith("sympy."))
    return next((_WAYS_OUT[name] for name in names if name in _WAYS_OUT), None)
