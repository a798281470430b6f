"""Pieces of LaTeX: names, numbers and operations as text, with no bracket more than is needed and none less."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from ..graph.gate import Gate
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


_FLIPPED = {r"\lt": r"\gt", r"\le": r"\ge"}


def _compared(sign: str, left: Piece, right: Piece) -> Piece:
    if left.text[0].isdigit() and not right.text[0].isdigit():  # x > 0 rather than 0 < x
        left, sign, right = right, _FLIPPED.get(sign, sign), left
    return Piece(f"{left.within(SUM)} {sign} {right.within(SUM)}", COMPARE)


def _connected(sign: str, conditions: Sequence[Piece]) -> Piece:
    if len(conditions) == 1:
        return Piece(f"{sign} {conditions[0].within(SUM)}", COMPARE)
    level = OR if sign == r"\vee" else AND
    return Piece(f" {sign} ".join(condition.within(level + 1) for condition in conditions), level)


# --- gates ------------------------------------------------------------------------------------------------------------

# Those whose arguments are set by what they are; the row of any other has its sign or its name.
_ARITHMETIC: dict[str, Callable[..., Piece]] = {
    "add": add,
    "mul": multiply,
    "div": divide,
    "neg": negative,
    "pow": lambda base, exponent: power(base, exponent.text),
    "undefined": lambda *_: Piece(CONSTANTS["nan"], ATOM),
    "detached": lambda a: a,
}


def operation(gate: Gate, arguments: Sequence[Piece]) -> Piece:
    """The gate applied to pieces."""
    if gate.name in _ARITHMETIC:
        return _ARITHMETIC[gate.name](*arguments)
    if "comparison" in gate.has:
        return _compared(gate.latex, *arguments)
    if "connective" in gate.has:
        return _connected(gate.latex, arguments)
    if "#1" in gate.latex:
        is_bracketed = gate.latex.startswith(r"\left")
        return Piece(gate.latex.replace("#1", arguments[0].text), ATOM if is_bracketed else FACTOR)
    name = gate.latex or gate.name.replace("_", r"\_")
    head = name if name.startswith("\\") else rf"\operatorname{{{name}}}"
    text = rf"{head}\left({', '.join(argument.text for argument in arguments)}\right)"
    takes_exponents = len(arguments) == 1 and gate.name != "exp"
    return Piece(text, FACTOR, head if takes_exponents else "")
