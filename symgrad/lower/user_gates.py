"""Own gates: a function of the user's, with the local gradients that the user knows better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy

from ..graph.gate import Gate
from ..graph.node import View
from .scalars import Lowering


def gate(name: str, forward: sympy.Lambda, local_gradients: Sequence[Callable[..., Any]]) -> Any:
    """A gate of one's own: a SymPy function to write expressions with, given to `compile(..., gates=[...])`.

    Args:
        name: What the function is called: an identifier.
        forward: What it computes, of plain arguments.
        local_gradients: One callable for each argument, called with the result and the arguments (SymPy symbols), that
            returns the partial derivative as a SymPy expression.

    Returns:
        The function, a subclass of `sympy.Function` that SymPy differentiates by the same local gradients.

    Raises:
        TypeError: `forward` is no `sympy.Lambda`, or takes other than plain arguments.
        ValueError: `name` is not an identifier, there is not one callable for each argument, or an expression uses a
            symbol that is no argument.

    Examples:
        >>> x = sympy.Symbol("x")
        >>> forward = sympy.Lambda(x, x / (1 + sympy.exp(-x)))
        >>> swish = symgrad.gate("swish", forward, [lambda y, x: y + (1 - y) / (1 + sympy.exp(-x))])
        >>> kernel = symgrad.compile(swish(x) ** 2, gates=[swish])
        >>> kernel(0.0)
        Result(value=0.0, grad=(0.0,))
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"a gate needs an identifier for its name, not {name!r}")
    if not isinstance(forward, sympy.Lambda):
        raise TypeError(f"gate {name}: forward must be a SymPy Lambda, not {type(forward).__name__}")
    arguments = tuple(forward.signature)
    if not all(isinstance(argument, sympy.Symbol) for argument in arguments):
        raise TypeError(f"gate {name}: forward must take plain arguments")
    if len(local_gradients) != len(arguments) or not all(map(callable, local_gradients)):
        raise ValueError(
            f"gate {name}: {len(arguments)} arguments need {len(arguments)} callable local gradients, "
            f"not {len(local_gradients)}"
        )
    unbound = sorted(symbol.name for symbol in forward.expr.free_symbols - set(arguments))
    if unbound:
        raise ValueError(f"gate {name}: forward uses {', '.join(unbound)}, which is no argument of it")
    result = sympy.Dummy(name)
    partials = [sympy.sympify(partial(result, *arguments), strict=True) for partial in local_gradients]
    for partial in partials:
        unbound = sorted(symbol.name for symbol in partial.free_symbols - {result, *arguments})
        if unbound:
            raise ValueError(f"gate {name}: a local gradient uses {', '.join(unbound)}, which is no argument of it")

    def expansion(*views: View) -> View:
        return Lowering(views[0].node.table, dict(zip(arguments, views, strict=True)), any_gate=True)(forward.expr)

    def rule(y: View, *views: View) -> tuple[View, ...]:
        known = {result: y, **dict(zip(arguments, views, strict=True))}
        return tuple(Lowering(y.node.table, known, any_gate=True)(partial) for partial in partials)

    def fdiff(self: Any, argindex: int = 1) -> Any:
        swap = {result: self, **dict(zip(arguments, self.args, strict=True))}
        return partials[argindex - 1].xreplace(swap)

    return type(
        name,
        (sympy.Function,),
        {
            "nargs": len(arguments),
            "fdiff": fdiff,
            "symgrad_gate": Gate(name, rule, expansion),
            "__doc__": f"{name}: {forward}",
        },
    )
