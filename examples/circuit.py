"""The circuit of the lecture, f = (x + y)*z: value and gradient in one call, and the source that ran."""

import sympy as sp

import symgrad

x, y, z = sp.symbols("x y z")
kernel = symgrad.compile((x + y) * z)

value, gradient = kernel(-2.0, 5.0, -4.0)
print(f"f = {value}")
for name, derivative in gradient.as_dict().items():
    print(f"df/d{name} = {derivative}")
print()
print(kernel.source[kernel.source.index("def kernel(") :].split("\n\n\n")[0])

assert value == -12.0
assert gradient == (-4.0, -4.0, 3.0)
