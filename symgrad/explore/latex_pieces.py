"""Pieces of LaTeX: names, numbers and operations as text, with no bracket more than is needed and none less."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from ..tables import visible

# --- names ------------------------------------------------------------------------------------------------------------

SYMBOL = re.compile(r"([A-Za-z]+|[\u0391-\u03c9])([0-9]*)((?:_[A-Za-z0-9]+)*)")
_GREEK = frozenset(
    (
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
        "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell"
    ).split()
)
_SPECIAL = {
    "\\": r"\backslash ", "$": r"\$", "{": r"\{", "}": r"\}", "_": r"\_", "#": r"\#", "%": r"\%", "&": r"\&",
    "^": r"\wedge ", "~": r"\sim ", "<": r"\lt ", ">": r"\gt ",
}  # fmt: skip
CONSTANTS = {
    "pi": r"\pi",
    "E": "e",
    "EulerGamma": r"\gamma_{\mathrm{E}}",
    "GoldenRatio": r"\varphi",
    "Catalan": r"\mathrm{Catalan}",
    "TribonacciConstant": r"\mathrm{TribonacciConstant}",
    "oo": r"\infty",
    "-oo": r"-\infty",
    "nan": r"\text{NaN}",
}


def symbol(name: str) -> str:
    """A name as a symbol: `x1` with its index, `theta` as the letter, `rate` upright; any other name as text.

    Not SymPy's way, which reads words into names: the end of `local` as a command for script, of `that` as an accent.
    """
    found = SYMBOL.fullmatch(name)
    if not found:
        return literal(name)
    indices = [part for part in (found[2], *found[3].split("_")) if part]
    return _word(found[1]) + (f"_{{{','.join(map(_word, indices))}}}" if indices else "")


def _word(part: str) -> str:
    if part.isascii() and (len(part) == 1 or part.isdigit()):
        return part
    if part.isascii():
        word = "lambda" if part == "lamda" else part  # as one spells it where lambda is a word of the language
        return f"\\{word}" if word in _GREEK else rf"\mathrm{{{part}}}"
    letter = re.fullmatch("GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(part, ""))
    word = (letter[2].capitalize() if letter[1] == "CAPITAL" else letter[2].lower()) if letter else ""
    word = word.replace("amda", "ambda")  # as Unicode spells it
    return f"\\{word}" if word in _GREEK else literal(part)


def literal(text: str) -> str:
    """Any text at all. What is special to TeX stands outside of \\text, in which its renderers differ."""
    parts = re.split(r"([\\${}_#%&^~<>])", visible(text))
    return "".join(_SPECIAL.get(part) or rf"\text{{{part}}}" for part in parts if part).rstrip() or r"\text{}"


# --- pieces -----------------------------------------------------------------------------------------------------------

# Precedence, loosest first. BIG takes in what follows it, as a sum sign does; FACTOR needs brackets under an exponent.
CASES, OR, AND, COMPARE, SUM, BIG, PRODUCT, FACTOR, ATOM = range(9)


class Piece(NamedTuple):
    """A text and its precedence."""

    text: str
    level: int
    head: str = ""  # of a function of one argument: \sin in \sin(x), which takes exponents
    rows: tuple[str, ...] = ()  # of cases
    negated: Piece | None = None  # of -x: x

    def within(self, level: int) -> str:
        """The text where that precedence is needed."""
        return self.text if self.level >= level else rf"\left({self.text}\right)"


def number(value: Fraction) -> Piece:
    """A number: whole, as a fraction, or as the shortest decimal that rounds to the same float64."""
    if value < 0:
        return negative(number(-value))
    if value.denominator == 1 and value < 10**21:
        return Piece(str(value.numerator), ATOM)
    if not is_decimal(value) and max(value.numerator, value.denominator) < 10**21:
        return Piece(rf"\frac{{{value.numerator}}}{{{value.denominator}}}", FACTOR)
    decimal = _decimal(value).normalize()
    _, digits, exponent = decimal.as_tuple()
    power_of_ten = int(exponent) + len(digits) - 1
    if -5 <= power_of_ten < 16:
        return Piece(f"{decimal:f}", ATOM)
    mantissa = ".".join(filter(None, ("".join(map(str, part)) for part in (digits[:1], digits[1:]))))
    if mantissa == "1":
        return Piece(f"10^{{{power_of_ten}}}", FACTOR)
    return Piece(rf"{mantissa} \cdot 10^{{{power_of_ten}}}", PRODUCT)


def is_decimal(value: Fraction) -> bool:
    """Whether a number with many digits ends as a decimal: it was written as one."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1 and max(abs(value.numerator), value.denominator) >= 10_000


def _decimal(value: Fraction) -> Decimal:
    try:
        rounded = Decimal(repr(float(value)))
    except OverflowError:
        rounded = Decimal(0)
    return rounded or Context(prec=17).divide(Decimal(value.numerator), Decimal(value.denominator))


def negative(operand: Piece) -> Piece:
    """Minus a piece."""
    return Piece(f"- {operand.within(BIG)}", SUM, negated=operand)


def add(*terms: Piece) -> Piece:
    """A sum, what is subtracted last."""
    texts = [term.within(SUM) for term in terms if term.text != "0"] or ["0"]
    first, *rest = sorted(texts, key=lambda text: text.startswith("-"))
    return Piece(first + "".join(f" {text}" if text.startswith("-") else f" + {text}" for text in rest), SUM)


def multiply(*factors: Piece) -> Piece:
    """A product, numbers first; a sum sign among the factors comes last, where it needs no brackets."""
    signs = sum(factor.negated is not None for factor in factors)
    kept = [factor.negated or factor for factor in factors]
    kept = [factor for factor in kept if factor.text != "1"] or kept[:1]
    *first, last = sorted(kept, key=lambda factor: (not factor.text[0].isdigit(), factor.level == BIG))
    product = last
    if first:
        texts = [*(factor.within(PRODUCT) for factor in first), last.within(BIG)]
        text = texts[0] + "".join(_between(left, right) + right for left, right in pairwise(texts))
        product = Piece(text, BIG if last.level == BIG else PRODUCT)
    return negative(product) if signs % 2 else product


def _between(left: str, right: str) -> str:
    """What separates two factors: a dot where they would read as one number, a space beside words."""
    if right[0].isdigit() or (left[-1].isdigit() and right.startswith(r"\frac")):
        return r" \cdot "
    is_wide = right.startswith((r"\mathrm", r"\text")) or re.search(r"\\(mathrm|text)\{[^{}]*\}\Z", left)
    return r" \, " if is_wide else " "


def divide(above: Piece, below: Piece) -> Piece:
    """A fraction, its sign in front."""
    if above.negated:
        return negative(divide(above.negated, below))
    return Piece(rf"\frac{{{above.text}}}{{{below.text}}}", FACTOR)


def power(base: Piece, exponent: str, is_whole: bool = False) -> Piece:
    """A power; a whole exponent >= 2 of a function stands on its name."""
    if is_whole and base.head:
        return Piece(f"{base.head}^{{{exponent}}}{base.text.removeprefix(base.head)}", FACTOR)
    return Piece(f"{base.within(ATOM)}^{{{exponent}}}", FACTOR)


def environment(name: str, lines: Sequence[str]) -> str:
    """The lines of an environment of TeX."""
    body = r" \\ ".join(lines)
    return rf"\begin{{{name}}} {body} \end{{{name}}}"


def select(condition: Piece, taken: Piece, otherwise: Piece | None) -> Piece:
    """Cases; what is taken otherwise may itself be cases. Nothing is there otherwise where that is None."""
    rows = [rf"{taken.within(OR)} & \text{{if }} {condition.text}"]
    if otherwise is not None:
        rows += otherwise.rows or [rf"{otherwise.text} & \text{{otherwise}}"]
    return Piece(environment("cases", rows), CASES, rows=tuple(rows))


_COMPARISONS = {"lt": (r"\lt", r"\gt"), "le": (r"\le", r"\ge"), "eq": ("=", "="), "ne": (r"\ne", r"\ne")}


def _comparison(name: str) -> Callable[[Piece, Piece], Piece]:
    sign, flipped = _COMPARISONS[name]

    def spell(left: Piece, right: Piece) -> Piece:
        if left.text[0].isdigit() and not right.text[0].isdigit():  # x > 0 rather than 0 < x
            return Piece(f"{right.within(SUM)} {flipped} {left.within(SUM)}", COMPARE)
        return Piece(f"{left.within(SUM)} {sign} {right.within(SUM)}", COMPARE)

    return spell


# --- gates ------------------------------------------------------------------------------------------------------------

_HEADS = {
    "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "sec": r"\sec", "csc": r"\csc", "cot": r"\cot", "sinh": r"\sinh",
    "cosh": r"\cosh", "tanh": r"\tanh", "coth": r"\coth", "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan",
    "exp": r"\exp", "log": r"\ln", "gamma": r"\Gamma", "max": r"\max", "min": r"\min",
}  # fmt: skip
_OPERATORS = {  # the names of ISO 80000-2
    "asec": "arcsec", "acsc": "arccsc", "acot": "arccot", "asinh": "arsinh", "acosh": "arcosh", "atanh": "artanh",
    "asech": "arsech", "acsch": "arcsch", "acoth": "arcoth",
}  # fmt: skip
# What is not among them is a function that is called by its name.
_SPELLED: dict[str, Callable[..., Piece]] = {
    "add": add,
    "mul": multiply,
    "div": divide,
    "neg": negative,
    "pow": lambda base, exponent: power(base, exponent.text),
    "sqrt": lambda a: Piece(rf"\sqrt{{{a.text}}}", FACTOR),
    "cbrt": lambda a: Piece(rf"\sqrt[3]{{{a.text}}}", FACTOR),
    "abs": lambda a: Piece(rf"\left|{a.text}\right|", ATOM),
    "floor": lambda a: Piece(rf"\left\lfloor {a.text}\right\rfloor", ATOM),
    "ceil": lambda a: Piece(rf"\left\lceil {a.text}\right\rceil", ATOM),
    **{name: _comparison(name) for name in _COMPARISONS},
    "and": lambda *a: Piece(r" \wedge ".join(one.within(COMPARE) for one in a), AND),
    "or": lambda *a: Piece(r" \vee ".join(one.within(AND) for one in a), OR),
    "not": lambda a: Piece(rf"\neg {a.within(SUM)}", COMPARE),
    "undefined": lambda *_: Piece(CONSTANTS["nan"], ATOM),
    "detached": lambda a: a,
}


def operation(name: str, arguments: Sequence[Piece]) -> Piece:
    """The gate of that name applied to pieces."""
    if name in _SPELLED:
        return _SPELLED[name](*arguments)
    spelled = _OPERATORS.get(name, name).replace("_", r"\_")
    head = _HEADS.get(name) or rf"\operatorname{{{spelled}}}"
    text = rf"{head}\left({', '.join(argument.text for argument in arguments)}\right)"
    takes_exponents = len(arguments) == 1 and name != "exp"
    return Piece(text, FACTOR, head if takes_exponents else "")
