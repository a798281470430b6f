"""`lambdify` with SymPy's signature: values alone, in the structure of the expressions, over numbers and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom, BooleanFunction

from .compiler import compile
from .kernel.kernel import Kernel
from .lower.survey import ARRAYS, is_array_valued


class _Grid(NamedTuple):
    """A Matrix or an Array of numbers."""

    shape: tuple[int, ...]
    entries: tuple[int, ...]  # which of the values


class _Parts(NamedTuple):
    """A list, a tuple, or a dict with its keys."""

    kind: type
    keys: tuple[Any, ...]
    parts: tuple[_Form, ...]


_Form: TypeAlias = int | _Grid | _Parts  # a number says which of the values stands there


class Lambdified:
    """A function of numbers or arrays. Made by `symgrad.lambdify`.

    Attributes:
        kernel: What computes the values.
    """

    def __init__(self, args: Any, expr: Any) -> None:
        self._nested = _is_nested(args)
        self._args = tuple(args) if self._nested else (args,)
        names: dict[Any, sympy.Symbol] = {}
        symbols = [_symbol(argument, names) for own in self._args for argument in _leaves(own)]
        found: list[Any] = []
        self._form = _form(expr, found)
        expressions = [_replaced(own, names) for own in found] if names else found
        self._conditions = {
            at for at, own in enumerate(expressions) if isinstance(own, (BooleanFunction, BooleanAtom, Relational))
        }
        for at in self._conditions:
            expressions[at] = sympy.Piecewise((1, expressions[at]), (0, True))
        self._is_array = any(map(is_array_valued, expressions))
        self.kernel: Kernel = compile(
            expressions[0] if self._is_array and len(expressions) == 1 else expressions, symbols, derivative=None
        )

    def __call__(self, *args: Any) -> Any:
        """The values.

        Args:
            *args: A number or an array for each argument, which broadcast; for a list among the arguments a sequence.

        Returns:
            The values in the structure of the expressions: lists, tuples and dicts as they were, a Matrix or Array as
            an array of its shape; the shape of arrays of points stands behind it. A condition is True or False.

        Raises:
            TypeError: There are more or fewer arguments than the function was made with.
            ValueError: A sequence has another length than the list that it is for.
        """
        if len(args) != len(self._args):
            raise TypeError(f"{len(args)} arguments, and the function was made with {len(self._args)}")
        flat = [value for own, given in zip(self._args, args, strict=True) for value in _given(own, given)]
        values = self.kernel(*flat)
        if self._is_array:
            parts = [values] if isinstance(self._form, int) else list(values)
        else:
            moved = np.moveaxis(values, -1, 0)
            parts = moved.tolist() if moved.ndim == 1 else list(moved)
            for at in self._conditions:
                parts[at] = parts[at] != 0
        return _filled(self._form, parts)

    @property
    def __doc__(self) -> str:  # type: ignore[override]  # of each function its own
        return f"Made by symgrad.lambdify, of the kernel {self.kernel!r}."


def lambdify(
    args: Any,
    expr: Any,
    modules: Any = None,
    printer: Any = None,
    use_imps: bool = True,
    dummify: bool = False,
    cse: bool = False,
    docstring_limit: int | None = 1000,
) -> Lambdified:
    """A function of the values of expressions, called as that of `sympy.lambdify` is, and compiled.

    Args:
        args: A symbol, or a sequence of symbols, of arrays, of what symbols stand for, such as `f(t)` and its
            derivative, and of lists of these.
        expr: An expression, or lists, tuples, dicts, Matrices and Arrays of such.
        modules: Taken for SymPy's sake where it names modules; a dict of functions is refused.
        printer: Refused: the text is symgrad's own.
        use_imps: Taken for SymPy's sake.
        dummify: Taken for SymPy's sake: any symbol may be an argument.
        cse: Taken for SymPy's sake: common parts are always computed once.
        docstring_limit: Taken for SymPy's sake.

    Returns:
        The function. Numbers in are floats out, in the structure of `expr`; arrays broadcast. What depends on no
        argument has the shape of the arrays all the same, other than with SymPy.

    Raises:
        UnsupportedExpression: As for `compile`.
        TypeError: `printer` or functions in `modules` are given, or an argument is nothing that can be one.
        ValueError: An expression has a symbol that is no argument.

    Examples:
        >>> x, y = sympy.symbols("x y")
        >>> f = symgrad.lambdify((x, y), [x + y, sympy.Matrix([[x * y], [x]])])
        >>> f(1.0, 2.0)
        [3.0, array([[2.],
               [1.]])]
    """
    if printer is not None:
        raise TypeError("printer is of sympy.lambdify: symgrad has its own text, that of `.kernel.source`")
    listed = modules if isinstance(modules, (list, tuple)) else [modules]
    if any(isinstance(own, Mapping) for own in listed):
        raise TypeError("modules has functions of its own: symgrad takes them as gates, see symgrad.gate")
    return Lambdified(args, expr)


def _is_nested(args: Any) -> bool:
    return isinstance(args, (list, tuple, set, sympy.Tuple, sympy.MatrixBase)) or (
        isinstance(args, Iterable) and not isinstance(args, (str, sympy.Basic))
    )


def _leaves(argument: Any) -> Iterator[Any]:
    if _is_nested(argument):
        for part in argument:
            yield from _leaves(part)
    else:
        yield argument


def _given(argument: Any, value: Any) -> Iterator[Any]:
    """What is given for each symbol of an argument."""
    if not _is_nested(argument):
        yield value
        return
    if len(value) != len(argument):
        raise ValueError(f"{len(value)} values for the {len(argument)} of {argument}")
    for part, own in zip(argument, value, strict=True):
        yield from _given(part, own)


def _symbol(argument: Any, names: dict[Any, sympy.Symbol]) -> Any:
    """The symbol of an argument; one that stands for what is none."""
    if isinstance(argument, str):
        return sympy.Symbol(argument)
    if isinstance(argument, (sympy.Symbol, sympy.Idx, *ARRAYS)) or not isinstance(argument, sympy.Basic):
        return argument
    names[argument] = sympy.Dummy(str(argument))
    return names[argument]


def _replaced(expression: Any, names: Mapping[Any, sympy.Symbol]) -> Any:
    """An expression with symbols for functions and derivatives; what is shared within it is walked once."""
    made: dict[Any, Any] = {}
    stack = [expression]
    while stack:
        own = stack[-1]
        if own not in made:
            if own in names:
                made[own] = names[own]
            else:
                missing = [part for part in own.args if part not in made]
                if missing:
                    stack += missing
                    continue
                parts = [made[part] for part in own.args]
                made[own] = own if all(a is b for a, b in zip(parts, own.args, strict=True)) else own.func(*parts)
        stack.pop()
    return made[expression]


def _form(expr: Any, found: list[Any]) -> _Form:
    """The structure of some expressions, which go into `found`."""
    if isinstance(expr, (Mapping, sympy.Dict)):
        keys = tuple(expr)
        return _Parts(dict, keys, tuple(_form(expr[key], found) for key in keys))
    if isinstance(expr, (list, tuple, sympy.Tuple)):
        kind = list if isinstance(expr, list) else tuple
        return _Parts(kind, tuple(range(len(expr))), tuple(_form(part, found) for part in expr))
    if isinstance(expr, (sympy.MatrixBase, sympy.NDimArray)):
        entries = sympy.flatten(expr.tolist())
        first = len(found)
        found += entries
        return _Grid(tuple(map(int, expr.shape)), tuple(range(first, len(found))))
    found.append(sympy.sympify(expr) if isinstance(expr, (int, float)) else expr)
    return len(found) - 1


def _filled(form: _Form, values: list[Any]) -> Any:
    if isinstance(form, int):
        return values[form]
    if isinstance(form, _Grid):
        grid = np.array([values[at] for at in form.entries])
        return grid.reshape(*form.shape, *grid.shape[1:])
    parts = [_filled(part, values) for part in form.parts]
    return dict(zip(form.keys, parts, strict=True)) if form.kind is dict else form.kind(parts)
