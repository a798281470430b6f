"""The functions that a program may call: how each is spelled, and which library routine computes it.

A gate's row in symgrad/gates/ points here by its name. `libm` names the C routine, of which SIMD versions exist under
the names of the vector function ABI; `math` the function of Python's math module; `device` the routine of libdevice,
NVIDIA's library for GPUs; `definition` is Python text for what these lack. `real` in a definition is the kernel's
floating-point type. `javascript` is JavaScript's operator where it is not Python's, or the function: of its Math, or of
targets/javascript/runtime.js.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

# Precedence levels, loosest first; an operand of a lower level needs brackets. EITHER and BOTH are JavaScript's || and
# &&; NOT, OR and AND are Python's not, | and &. The others are the same in both.
TERNARY, EITHER, BOTH, NOT, COMPARE, OR, AND, SUM, PRODUCT, UNARY, ATOM = range(1, 12)


class Function(NamedTuple):
    """One function or operator, with its spellings."""

    name: str
    operator: str = ""  # the infix or prefix spelling; empty: called by name
    precedence: int = ATOM
    arity: int = 1  # 0: any number
    libm: str = ""
    simd: bool = False  # the libm routine has SIMD versions
    math: str = ""  # its name in Python's math module
    llvm: str = ""  # the LLVM intrinsic
    device: str = ""  # its name in libdevice, for float64
    on_device: str = ""  # the function that a GPU calls in its place
    unfused: str = ""  # the function that a GPU calls in its place where no multiplication may be fused with a sum
    built_in: str = ""  # what the CPU module's run-time text makes it of
    javascript: str = ""  # JavaScript's operator or function; empty: the operator above
    definition: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The functions that the definition calls."""
        return _called_in(self.definition, self.name)


def _libm(
    name: str, libm: str = "", arity: int = 1, simd: bool = True, math: str = "", javascript: str | None = None
) -> Function:
    libm = libm or name
    return Function(
        name,
        arity=arity,
        libm=libm,
        simd=simd,
        math=math or name,
        device=libm,
        javascript=f"Math.{libm}" if javascript is None else javascript,
    )


_ROWS = (
    Function("add", "+", SUM, 0),
    Function("mul", "*", PRODUCT, 0, unfused="rounded_mul"),
    Function("div", "/", PRODUCT, 2),
    Function("mod", "%", PRODUCT, 2, on_device="floored_mod", javascript="floored_mod"),
    Function("neg", "-", UNARY, 1),
    Function("lt", "<", COMPARE, 2),
    Function("le", "<=", COMPARE, 2),
    Function("eq", "==", COMPARE, 2, javascript="==="),
    Function("ne", "!=", COMPARE, 2, javascript="!=="),
    Function("and", "&", AND, 0, javascript="&&"),
    Function("or", "|", OR, 0, javascript="||"),
    Function("not", "not ", NOT, 1, javascript="!"),
    Function("select", arity=3, built_in="select_function()", javascript="?:"),
    Function("abs", javascript="Math.abs"),
    Function("real_sqrt", math="sqrt", device="sqrt"),
    Function(
        "sqrt",
        javascript="sqrt",
        definition='''
def sqrt(x):
    """The square root; of -0.0 it is 0.0, as 1/sqrt(x) is infinity there."""
    return abs(real_sqrt(x))
''',
    ),
    Function("floor", llvm="floor", device="floor", javascript="Math.floor"),
    Function("ceil", llvm="ceil", device="ceil", javascript="Math.ceil"),
    Function("fmod", arity=2, math="fmod", device="fmod"),
    Function("rounded_mul", arity=0, built_in="rounded_mul_function()"),
    _libm("exp"),
    _libm("expm1"),
    _libm("log"),
    _libm("log1p"),
    _libm("sin"),
    _libm("cos"),
    _libm("tan"),
    _libm("asin"),
    _libm("acos"),
    _libm("atan"),
    _libm("atan2", arity=2),
    _libm("sinh"),
    _libm("cosh"),
    _libm("tanh"),
    _libm("asinh"),
    _libm("acosh"),
    _libm("atanh"),
    _libm("hypot", arity=2, javascript="hypot"),
    _libm("pow", arity=2, javascript="pow"),
    _libm("erf", javascript="erf"),
    _libm("erfc", javascript="erfc"),
    _libm("gamma", "tgamma", simd=False, javascript="gamma"),
    _libm("lgamma", simd=False, javascript=""),
    _libm("real_cbrt", "cbrt", math="cbrt"),
    Function(
        "cbrt",
        javascript="cbrt",
        definition='''
def cbrt(x):
    """The principal cube root, NaN for x < 0; of -0.0 it is 0.0."""
    return abs(real_cbrt(x)) if x >= 0 else real(nan)
''',
    ),
    Function(
        "max",
        arity=0,
        javascript="max",
        definition='''
def max(a, b):
    """The larger of two numbers; NaN if either is."""
    return a if (a > b) | (a != a) else b
''',
    ),
    Function(
        "min",
        arity=0,
        javascript="min",
        definition='''
def min(a, b):
    """The smaller of two numbers; NaN if either is."""
    return a if (a < b) | (a != a) else b
''',
    ),
    Function(
        "where_larger",
        arity=4,
        javascript="where_larger",
        definition='''
def where_larger(a, b, taken, tie):
    """`taken` where a > b, `tie` where a == b, 0 where a < b; NaN where a or b is: the derivative of a maximum."""
    return select(a > b, taken, select(a < b, real(0.0), select(a == b, tie, real(nan))))
''',
    ),
    Function(
        "floored_mod",
        arity=2,
        definition='''
def floored_mod(a, b):
    """a % b as Python has it: of the sign of b."""
    rest = fmod(a, b)
    return rest + b if (rest != 0) & ((rest < 0) != (b < 0)) else rest
''',
    ),
    Function(
        "sign",
        javascript="Math.sign",
        definition='''
def sign(x):
    """1, -1, or x itself where that is 0 or NaN."""
    return real(1.0) if x > 0 else (real(-1.0) if x < 0 else x)
''',
    ),
    Function(
        "loggamma",
        javascript="loggamma",
        definition='''
def loggamma(x):
    """The logarithm of gamma(x) for x >= 0, NaN below."""
    return lgamma(x) if x >= 0 else real(nan)
''',
    ),
    Function(
        "digamma",
        javascript="digamma",
        definition='''
def digamma(x):
    """The derivative of the logarithm of gamma(x): recurrence and asymptotic series (DLMF 5.5.2, 5.5.4, 5.11.2)."""
    result = real(0.0)
    if x <= 0:
        if x == floor(x):
            return real(nan)
        # From the nearest integer: x - floor(x) would round just left of one, where the pole is.
        result = -real(pi) / tan(real(pi) * (x - floor(x + real(0.5))))
        x = real(1.0) - x
    while x < 10:
        result = result - real(1.0) / x
        x = x + real(1.0)
    s = real(1.0) / (x * x)
    series = s * (real(1 / 12) - s * (real(1 / 120) - s * (real(1 / 252) - s * (real(1 / 240) - s * (
        real(1 / 132) - s * (real(691 / 32760) - s * real(1 / 12)))))))
    return result + log(x) - real(0.5) / x - series
''',
    ),
    Function(
        "polygamma_of_positive",
        arity=2,
        definition='''
def polygamma_of_positive(n, x):
    """The size of the n-th derivative of digamma at x > 0: n! times the sum of 1/(x + k)**(n + 1) (DLMF 5.15.1).

    Terms as long as x is small, then what Euler-Maclaurin's formula makes of the others (DLMF 25.11.43).
    """
    one, total = real(1.0), real(0.0)
    while x < n + real(10.0):
        k, term = one, one / x
        while k <= n:
            term = term * (k / x)
            k = k + one
        total = total + term
        x = x + one
    k, lead = one, one / x
    while k < n:
        lead = lead * (k / x)
        k = k + one
    s, m = one / (x * x), n + one
    rest = real(1 / 74724249600) - (m + real(13.0)) * (m + real(14.0)) * s * real(3617 / 10670622842880000)
    rest = real(691 / 1307674368000) - (m + real(11.0)) * (m + real(12.0)) * s * rest
    rest = real(1 / 47900160) - (m + real(9.0)) * (m + real(10.0)) * s * rest
    rest = real(1 / 1209600) - (m + real(7.0)) * (m + real(8.0)) * s * rest
    rest = real(1 / 30240) - (m + real(5.0)) * (m + real(6.0)) * s * rest
    rest = real(1 / 720) - (m + real(3.0)) * (m + real(4.0)) * s * rest
    rest = real(1 / 12) - (m + real(1.0)) * (m + real(2.0)) * s * rest
    return total + (lead + lead * (n / x) * (real(0.5) + m / x * rest))
''',
    ),
    Function(
        "polygamma",
        arity=2,
        javascript="polygamma",
        definition='''
def polygamma(n, x):
    """The n-th derivative of digamma at x, n >= 1.

    For x < 0 the terms of its sum on both sides of the nearest pole, which are infinite at it: NaN if of two signs.
    """
    is_odd = n - real(2.0) * floor(n / real(2.0)) == 1
    if x > 0:
        size = polygamma_of_positive(n, x)
    else:
        rest = x - floor(x + real(0.5))
        if rest == 0:
            return real(inf) if is_odd else real(nan)
        k, size = real(1.0), real(1.0) / rest
        while k <= n:
            size = size * (k / rest)
            k = k + real(1.0)
        beyond = polygamma_of_positive(n, real(1.0) - rest) - polygamma_of_positive(n, real(1.0) - x)
        size = size + polygamma_of_positive(n, real(1.0) + rest) + (beyond if is_odd else -beyond)
    return size if is_odd else -size
''',
    ),
    Function(
        "sinc_slope",
        javascript="sinc_slope",
        definition='''
def sinc_slope(x):
    """The derivative of sin(x)/x; near 0 by its Taylor series, where the quotient cancels."""
    s = x * x
    near = x * (real(-1 / 3) + s * (real(1 / 30) + s * (real(-1 / 840) + s * (real(1 / 45360) + s * (
        real(-1 / 3991680) + s * (real(1 / 518918400) + s * real(-1 / 93405312000)))))))
    return near if abs(x) < real(0.7) else (cos(x) - sin(x) / x) / x
''',
    ),
    Function(
        "bessel_ratio",
        arity=2,
        javascript="bessel_ratio",
        definition='''
def bessel_ratio(n, x):
    """j(x)/x**n of the spherical Bessel function of order n: its series (DLMF 10.53.1), or recurrence (10.51.1)."""
    one, two, s, k = real(1.0), real(2.0), x * x, real(1.0)
    if abs(x) < n + real(0.5):
        total, term = one, one
        while abs(term) > real(1e-17) * abs(total):
            term = term * (-s / (two * k * (two * (n + k) + one)))
            total = total + term
            k = k + one
        k = one
        while k <= n:
            total = total / (two * k + one)
            k = k + one
        return total
    before, here = cos(x), sin(x) / x
    while k <= n:
        before, here = here, ((two * k - one) * here - before) / s
        k = k + one
    return here
''',
    ),
)

FUNCTIONS: dict[str, Function] = {row.name: row for row in _ROWS}


@cache
def _called_in(definition: str, own: str) -> tuple[str, ...]:
    called = dict.fromkeys(re.findall(r"\b([a-z]\w*)\(", definition))
    return tuple(name for name in called if name in FUNCTIONS and name != own)


# What is called in the places of arrays only, beside the operators above: no gate has their names.
OF_INTEGERS = {
    "quotient": Function("quotient", "//", PRODUCT, 2, javascript="floored_quotient"),
    "int": Function("int", javascript="Math.trunc"),
}


def with_needs(functions: tuple[Function, ...]) -> tuple[Function, ...]:
    """The functions and those that their definitions call, callees first."""
    found: dict[str, Function] = {}

    def add(function: Function) -> None:  # as deep as definitions call each other: two levels
        for name in function.needs:
            add(FUNCTIONS[name])
        found.setdefault(function.name, function)

    for function in functions:
        add(function)
    return tuple(found.values())
