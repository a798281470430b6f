"""How gradients flow: add distributes, mul switches, max routes, and what is used twice adds."""

import math

import sympy as sp

import symgrad

w, x, y, z = sp.symbols("w x y z")


def gradient_at(expression: sp.Expr, **point: float) -> dict[str, float]:
    """The derivatives of `expression` by name."""
    return symgrad.compile(expression)(**point).grad.as_dict()


shown = {
    "add distributes": (x + y, {"x": 3.0, "y": -4.0}, {"x": 1.0, "y": 1.0}),
    "mul switches": (x * y, {"x": 3.0, "y": -4.0}, {"x": -4.0, "y": 3.0}),
    "max routes": (sp.Max(z, w), {"w": -1.0, "z": 2.0}, {"w": 0.0, "z": 1.0}),
    "max splits a tie": (sp.Max(z, w), {"w": 2.0, "z": 2.0}, {"w": 0.5, "z": 0.5}),
    "used twice adds": (x * y + sp.sin(x), {"x": 0.0, "y": 5.0}, {"x": 5.0 + math.cos(0.0), "y": 0.0}),
    "all in one circuit": (
        2 * (x * y + sp.Max(z, w)),
        {"w": -1.0, "x": 3.0, "y": -4.0, "z": 2.0},
        {"w": 0.0, "x": -8.0, "y": 6.0, "z": 2.0},
    ),
}
for what, (expression, point, expected) in shown.items():
    found = gradient_at(expression, **point)
    print(f"{what:<20}{expression!s:<20}{point} -> {found}")
    assert found == expected, what
