"""The residuals of Moré, Garbow & Hillstrom (1981) in numbers of mpmath, from the paper, without SymPy.

Indices are those of the paper: x[1] is the first unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from more_garbow_hillstrom_data import BARD, GAUSSIAN, KOWALIK_OSBORNE, MEYER, OSBORNE_1, OSBORNE_2
from mpmath import mp

Numbers = list[Any]
REFERENCES: dict[str, Callable[[Numbers], Numbers]] = {}


def problem(name: str, count: int) -> Callable[[Callable[[int, Any], Any]], None]:
    """Enter a problem of so many functions; what is decorated gives one of them, by its number in the paper."""

    def enter(function: Callable[[int, Any], Any]) -> None:
        REFERENCES[name] = lambda x: [function(i, (None, *x)) for i in range(1, count + 1)]

    return enter


def number(text: str) -> Any:
    return mp.mpf(text)


def times(x: Any, term: Callable[[int], Any]) -> Any:
    """The sum of a term over all unknowns."""
    return mp.fsum(term(j) for j in range(1, len(x)))


@problem("Rosenbrock", 2)
def _(i: int, x: Any) -> Any:
    return 10 * x[2] - 10 * x[1] * x[1] if i == 1 else 1 - x[1]


@problem("Freudenstein and Roth", 2)
def _(i: int, x: Any) -> Any:
    if i == 1:
        return x[1] - x[2] ** 3 + 5 * x[2] ** 2 - 2 * x[2] - 13
    return x[1] + x[2] ** 3 + x[2] ** 2 - 14 * x[2] - 29


@problem("Powell badly scaled", 2)
def _(i: int, x: Any) -> Any:
    return x[1] * x[2] * 10**4 - 1 if i == 1 else 1 / mp.exp(x[1]) + 1 / mp.exp(x[2]) - number("1.0001")


@problem("Brown badly scaled", 3)
def _(i: int, x: Any) -> Any:
    return (x[1] - 1_000_000, x[2] - number("0.000002"), x[1] * x[2] - 2)[i - 1]


@problem("Beale", 3)
def _(i: int, x: Any) -> Any:
    return number(("1.5", "2.25", "2.625")[i - 1]) - x[1] + x[1] * mp.power(x[2], i)


@problem("Jennrich and Sampson", 10)
def _(i: int, x: Any) -> Any:
    return 2 * (1 + i) - mp.exp(x[1]) ** i - mp.exp(x[2]) ** i


@problem("Helical valley", 3)
def _(i: int, x: Any) -> Any:
    turn = mp.atan(x[2] / x[1]) / mp.pi / 2 + (0 if x[1] > 0 else mp.mpf(1) / 2)
    return (10 * x[3] - 100 * turn, 10 * mp.hypot(x[1], x[2]) - 10, x[3])[i - 1]


@problem("Bard", 15)
def _(i: int, x: Any) -> Any:
    v = 16 - i
    return number(BARD[i - 1]) - x[1] - i / (x[2] * v + x[3] * (i if i < v else v))


@problem("Gaussian", 15)
def _(i: int, x: Any) -> Any:
    t = (8 - mp.mpf(i)) / 2
    return x[1] / mp.exp(x[2] * (t - x[3]) ** 2 / 2) - number(GAUSSIAN[i - 1])


@problem("Meyer", 16)
def _(i: int, x: Any) -> Any:
    return mp.exp(x[2] / (5 * (9 + i) + x[3])) * x[1] - MEYER[i - 1]


@problem("Gulf research", 99)
def _(i: int, x: Any) -> Any:
    t = mp.mpf(i) / 100
    y = 25 + mp.root(-50 * mp.log(t), 3) ** 2
    return mp.exp(-mp.exp(x[3] * mp.log(abs(y - x[2]))) / x[1]) - t


@problem("Box 3-D", 10)
def _(i: int, x: Any) -> Any:
    t = number("0.1") * i
    return mp.exp(-t * x[1]) - mp.exp(-t * x[2]) - x[3] * mp.exp(-t) + x[3] * mp.exp(-10 * t)


def _powell_singular(i: int, a: Any, b: Any, c: Any, d: Any) -> Any:
    return (a + 10 * b, mp.sqrt(5) * c - mp.sqrt(5) * d, b * b - 4 * b * c + 4 * c * c, mp.sqrt(10) * (d - a) ** 2)[i]


@problem("Powell singular", 4)
def _(i: int, x: Any) -> Any:
    return _powell_singular(i - 1, *x[1:])


@problem("Wood", 6)
def _(i: int, x: Any) -> Any:
    one, two = x[2] - x[1] * x[1], x[4] - x[3] * x[3]
    last = mp.sqrt(10) * (x[2] - 2 + x[4]), (x[2] - x[4]) * mp.sqrt(10) / 10
    return (10 * one, 1 - x[1], 3 * mp.sqrt(10) * two, 1 - x[3], *last)[i - 1]


@problem("Kowalik and Osborne", 11)
def _(i: int, x: Any) -> Any:
    y, u = map(number, KOWALIK_OSBORNE[i - 1])
    return y - u * x[1] * (u + x[2]) / (x[4] + u * (u + x[3]))


@problem("Brown and Dennis", 20)
def _(i: int, x: Any) -> Any:
    t = mp.mpf(i) / 5
    return (x[1] - mp.exp(t) + t * x[2]) ** 2 + (x[3] - mp.cos(t) + x[4] * mp.sin(t)) ** 2


@problem("Osborne 1", 33)
def _(i: int, x: Any) -> Any:
    t = 10 * (i - 1)
    return number(OSBORNE_1[i - 1]) - x[1] - x[2] / mp.exp(t * x[4]) - x[3] / mp.exp(t * x[5])


@problem("Biggs EXP6", 13)
def _(i: int, x: Any) -> Any:
    e = mp.exp(-number("0.1") * i)
    return x[3] * e ** x[1] - x[4] * e ** x[2] + x[6] * e ** x[5] - (e - 5 * e**10 + 3 * e**4)


@problem("Osborne 2", 65)
def _(i: int, x: Any) -> Any:
    t = mp.mpf(i - 1) / 10
    peaks = mp.fsum(x[k + 1] * mp.exp(-x[k + 5] * (x[k + 8] - t) ** 2) for k in (1, 2, 3))
    return number(OSBORNE_2[i - 1]) - (x[1] * mp.exp(-t * x[5]) + peaks)


@problem("Watson", 31)
def _(i: int, x: Any) -> Any:
    if i > 29:
        return x[1] if i == 30 else x[2] - x[1] * x[1] - 1
    t = mp.mpf(i) / 29
    value = mp.polyval(list(x[:0:-1]), t)
    slope = mp.polyval([(j - 1) * x[j] for j in range(len(x) - 1, 1, -1)], t)
    return slope - value * value - 1


@problem("Extended Rosenbrock", 10)
def _(i: int, x: Any) -> Any:
    return 10 * (x[i + 1] - x[i] ** 2) if i % 2 else 1 - x[i - 1]


@problem("Extended Powell singular", 12)
def _(i: int, x: Any) -> Any:
    group, place = divmod(i - 1, 4)
    return _powell_singular(place, *x[4 * group + 1 : 4 * group + 5])


@problem("Penalty I", 5)
def _(i: int, x: Any) -> Any:
    return mp.sqrt(number("1e-5")) * (x[i] - 1) if i < 5 else times(x, lambda j: x[j] ** 2) - number("0.25")


@problem("Penalty II", 8)
def _(i: int, x: Any) -> Any:
    n, a = 4, mp.sqrt(number("1e-5"))
    if i == 1:
        return x[1] - number("0.2")
    if i <= n:
        y = mp.exp(mp.mpf(i) / 10) + mp.exp(mp.mpf(i - 1) / 10)
        return a * (mp.exp(x[i] / 10) + mp.exp(x[i - 1] / 10) - y)
    if i < 2 * n:
        return a * (mp.exp(x[i - n + 1] / 10) - mp.exp(-number("0.1")))
    return times(x, lambda j: (n - j + 1) * x[j] ** 2) - 1


@problem("Variably dimensioned", 12)
def _(i: int, x: Any) -> Any:
    return x[i] - 1 if i <= 10 else times(x, lambda j: j * x[j] - j) ** (i - 10)


@problem("Trigonometric", 10)
def _(i: int, x: Any) -> Any:
    return 10 - times(x, lambda j: mp.cos(x[j])) + 2 * i * mp.sin(x[i] / 2) ** 2 - mp.sin(x[i])


@problem("Brown almost linear", 10)
def _(i: int, x: Any) -> Any:
    return x[i] + times(x, lambda j: x[j]) - 11 if i < 10 else mp.fprod(x[1:]) - 1


@problem("Discrete boundary value", 10)
def _(i: int, x: Any) -> Any:
    before, after = x[i - 1] if i > 1 else 0, x[i + 1] if i < 10 else 0
    return 2 * x[i] - before - after + (x[i] + mp.mpf(i) / 11 + 1) ** 3 / 242


@problem("Discrete integral equation", 10)
def _(i: int, x: Any) -> Any:
    h = mp.mpf(1) / 11
    terms = times(x, lambda j: (j * h * (1 - i * h) if j <= i else i * h * (1 - j * h)) * (x[j] + j * h + 1) ** 3)
    return x[i] + h / 2 * terms


@problem("Broyden tridiagonal", 10)
def _(i: int, x: Any) -> Any:
    before, after = x[i - 1] if i > 1 else 0, x[i + 1] if i < 10 else 0
    return 3 * x[i] - 2 * x[i] ** 2 - before - 2 * after + 1


@problem("Broyden banded", 10)
def _(i: int, x: Any) -> Any:
    return 2 * x[i] + 5 * x[i] ** 3 + 1 - times(x, lambda j: x[j] + x[j] ** 2 if j != i and -5 <= j - i <= 1 else 0)


@problem("Linear, full rank", 10)
def _(i: int, x: Any) -> Any:
    return (x[i] if i <= 5 else 0) - times(x, lambda j: x[j]) / 5 - 1


@problem("Linear, rank 1", 10)
def _(i: int, x: Any) -> Any:
    return times(x, lambda j: i * j * x[j]) - 1


@problem("Linear, rank 1 with zeros", 10)
def _(i: int, x: Any) -> Any:
    return times(x, lambda j: (i - 1) * j * x[j] if 1 < j < 5 and i < 10 else 0) - 1


@problem("Chebyquad", 8)
def _(i: int, x: Any) -> Any:
    # T_i(cos(a)) is cos(i*a); of numbers outside of [-1, 1] by the complex angle.
    mean = times(x, lambda j: mp.re(mp.cos(i * mp.acos(2 * x[j] - 1)))) / 8
    return mean + (mp.mpf(1) / (i * i - 1) if i % 2 == 0 else 0)


def sum_of_squares(residuals: Sequence[Any]) -> Any:
    return mp.fsum(own * own for own in residuals)
