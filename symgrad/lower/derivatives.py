"""Derivatives that an expression holds, resolved by SymPy: of sums, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice

import sympy

from ..errors import UnsupportedExpression
from ..reductions import REDUCTIONS, unfolded
from .unsupported import describe

# Terms and factors of all derivatives on the way to a Derivative of some order: SymPy writes each of them out.
_MAX_DERIVATIVE = 10_000


@lru_cache(maxsize=128)
def resolved(derivative: sympy.Derivative) -> sympy.Basic:
    """The derivative as an expression: one variable after the other, so that it is noticed when it grows too long."""
    try:
        inner = derivative.expr.atoms(sympy.Derivative)
        done = _replaced(derivative.expr, {part: resolved(part) for part in inner})
        done = done if done.has(*REDUCTIONS) else done.doit()
        left = _MAX_DERIVATIVE
        for variable, times in derivative.variable_count:
            if not times.is_Integer:
                raise unresolved(derivative, "SymPy's doit leaves it as it is")
            for _ in range(int(times)):
                done = _differentiated(done, variable)
                left -= sum(1 for _ in islice(sympy.preorder_traversal(done), left + 1))
                if left < 0:
                    raise unresolved(derivative, "written out, it grows too long")
    except RecursionError:
        raise unresolved(derivative, "it is nested too deeply for SymPy") from None
    except UnsupportedExpression:
        raise
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        raise unresolved(derivative, "SymPy has no derivative of it") from None
    if done.has(sympy.Derivative):
        raise unresolved(derivative, "SymPy's doit leaves it as it is")
    return done


def _differentiated(expression: sympy.Basic, variable: sympy.Symbol) -> sympy.Basic:
    """SymPy's derivative; but sums are differentiated term by term, and stay as they are said."""
    reductions: dict[sympy.Basic, sympy.Basic] = {}
    parts = sympy.preorder_traversal(expression)
    for part in parts:
        if isinstance(part, REDUCTIONS):
            parts.skip()
            if variable in part.free_symbols:
                reductions[part] = sympy.Function(f"_reduction_{len(reductions)}")(variable)
    done = _replaced(expression, reductions).diff(variable)
    derivatives = {sympy.Derivative(own, variable): _of_reduction(part, variable) for part, own in reductions.items()}
    return _replaced(done, {**derivatives, **{own: part for part, own in reductions.items()}})


def _of_reduction(part: sympy.Basic, variable: sympy.Symbol) -> sympy.Basic:
    body, *limits = part.args
    if isinstance(part, sympy.Sum) and not any(variable in limit.free_symbols for limit in limits):
        done = _differentiated(body, variable)
        return sympy.S.Zero if done == 0 else unfolded(sympy.Sum, done, *limits)
    if isinstance(part, sympy.Product) and not body.has(sympy.Piecewise, *REDUCTIONS):
        return part.diff(variable)
    return sympy.Derivative(part, variable)


def _replaced(expression: sympy.Basic, parts: Mapping[sympy.Basic, sympy.Basic]) -> sympy.Basic:
    """The expression with other parts; sums are made anew as they are said."""
    if expression in parts:
        return parts[expression]
    if not parts or not expression.args:
        return expression
    arguments = [_replaced(argument, parts) for argument in expression.args]
    if all(new is old for new, old in zip(arguments, expression.args, strict=True)):
        return expression
    if isinstance(expression, REDUCTIONS):
        return unfolded(expression.func, *arguments)
    return expression.func(*arguments)


def unresolved(derivative: sympy.Derivative, reason: str) -> UnsupportedExpression:
    return UnsupportedExpression(
        f"cannot resolve {describe(derivative)} (Derivative): {reason}; differentiate the "
        "expression before compiling it, or let symgrad differentiate by leaving the Derivative out"
    )
