"""A gate of one's own: the swish x*sigmoid(x), with the local gradient written in terms of the result."""

import sympy as sp

import symgrad

x, y, a = sp.symbols("x y a")
logistic = 1 / (1 + sp.exp(-a))
swish = symgrad.gate(
    "swish",
    sp.Lambda(a, a * logistic),
    [lambda result, a: result + (1 - result) / (1 + sp.exp(-a))],
)

kernel = symgrad.compile(swish(x * y) + y, gates=[swish])
plain = symgrad.compile((a * logistic).subs(a, x * y) + y)
own, reference = kernel(1.5, -0.5), plain(1.5, -0.5)
print(own)
print(kernel.check(1.5, -0.5))

assert abs(own.value - reference.value) < 1e-15
assert all(abs(one - other) < 1e-15 for one, other in zip(own.grad, reference.grad, strict=True))
