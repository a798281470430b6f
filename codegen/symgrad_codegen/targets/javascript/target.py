"""The JavaScript target: a program as an ES module without dependencies, one point at a time."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

from ...functions import ATOM, BOTH, EITHER, FUNCTIONS, TERNARY, UNARY, Function
from ...program import Call, Expression, Literal, Program, Read
from ...text.expressions import Piece, bracketed, commented, listed, spell
from ...text.module import description, legend, runtime_text
from ...text.points import sections

# The words of JavaScript in modules, and what a module uses of its library.
_WORDS = frozenset(
    """
    arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof var void while with yield
    Array Float32Array Float64Array Infinity Math NaN RangeError String undefined
    """.split()
)

_LEVELS = {"||": EITHER, "&&": BOTH, "!": UNARY}
# What is a float32 where the arguments are: the results of these need no rounding.
_EXACT = frozenset("neg lt le eq ne and or not select abs max min sign floor ceil".split())


def supports(function: Function) -> bool:
    return bool(function.javascript or function.operator)


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program; of functions that other programs call, too."""
    text = _AT_EVERY_POINT + runtime_text("javascript/runtime.js")
    own = set(re.findall(r"^(?:const|function) (\w+)", text, re.MULTILINE)) - set(FUNCTIONS)
    return _WORDS | own | {"ARGUMENTS", "WRT", "fround"}


def emit(program: Program) -> str:
    """The source of a module with the same names as that of the Python target."""
    assert program.over_points, "the table of targets says that arrays are not taken"
    if len(program.values) == 1:
        results = f"[f, [{', '.join(program.gradients)}]]"
    else:
        results = f"[[{', '.join(['f', *program.values[1:]])}], [{', '.join(program.gradients)}]]"
    narrow = program.dtype == "float32"
    lines = [
        *(f"// {line}".rstrip() for line in description(program, results, "nothing else")),
        "",
        *_legend(program),
        *listed("export const ARGUMENTS = [", _quoted(program.arguments), "];"),
        *listed("export const WRT = [", _quoted(program.wrt), "];"),
        *(["const fround = Math.fround; // to float32"] if narrow else []),
        "",
        *_kernel(program),
        "",
        *_batch(program),
    ]
    for text in _called(program):
        lines += ["", *text.split("\n")]
    return "\n".join(lines) + "\n"


def _legend(program: Program) -> list[str]:
    """A name of the user's must not end the element of a page that the module stands in, nor open a comment of it."""
    return [line.replace("<", "\\x3c") for line in legend(program, "//")]


def _quoted(names: tuple[str, ...]) -> list[str]:
    return [f'"{name}"' for name in names]


def _kernel(program: Program) -> list[str]:
    """The one-point function: forward, then backward."""
    lines = listed(f"export function {program.name}(", program.arguments, ") {")
    if program.dtype == "float32":
        lines += [f"    {name} = fround({name});" for name in program.arguments]
    times = Counter(statement.name for section in sections(program) for statement in section.statements)
    declared = set()
    for section in sections(program):
        if section.statements:
            lines.append(f"    // {section.title}")
        for statement in section.statements:
            word = "" if statement.name in declared else "let " if times[statement.name] > 1 else "const "
            declared.add(statement.name)
            text = _piece(statement.value, program.dtype)[0]
            lines += commented(f"    {word}{statement.name} = ", text, ";", statement.comment, " // ", "    ")
    return [*lines, *_return(program), "}"]


def _return(program: Program) -> list[str]:
    """The value, or a list of several, and the list of the gradients."""
    if len(program.values) == 1:
        return listed(f"    return [{program.values[0]}, [", program.gradients, "]];", "    ")
    return [
        "    return [",
        *listed("        [", program.values, "],", "        "),
        *listed("        [", program.gradients, "],", "        "),
        "    ];",
    ]


_AT_EVERY_POINT = """
/** The kernel at every point of arrays. */
function at_every_point(kernel, inputs) {
    const lengths = inputs.map((array) => array?.length);
    const count = inputs.length ? lengths[0] : 1;
    if (!(count >= 0) || lengths.some((length) => length !== count)) {
        const found = lengths.map(String).join(", ");
        throw new RangeError(`${kernel.name}_batch takes arrays of one length, not of lengths ${found}`);
    }
    const arrays = inputs.map((array) => NUMBERS.from(array));
    const values = NEW_VALUES;
    const gradient = WRT.map(() => new NUMBERS(count));
    for (let i = 0; i < count; i++) {
        const [value, derivatives] = kernel(...arrays.map((array) => array[i]));
        KEEP_VALUE
        derivatives.forEach((derivative, k) => (gradient[k][i] = derivative));
    }
    return [values, gradient];
}
"""


def _batch(program: Program) -> list[str]:
    array = "Float32Array" if program.dtype == "float32" else "Float64Array"
    if len(program.values) == 1:
        new, keep, results = f"new {array}(count)", "values[i] = value;", "[f, [d_x, ...]]"
    else:
        new = f"Array.from({{ length: {len(program.values)} }}, () => new {array}(count))"
        keep, results = "value.forEach((number, k) => (values[k][i] = number));", "[[f, ...], [d_x, ...]]"
    text = _AT_EVERY_POINT.replace("NUMBERS", array).replace("NEW_VALUES", new).replace("KEEP_VALUE", keep)
    return [
        f"/** Value and gradient at every point of arrays: {results}, each a {array}. */",
        *listed(f"export function {program.name}_batch(", program.arguments, ") {"),
        *listed(f"    return at_every_point({program.name}, [", program.arguments, "]);", "    "),
        "}",
        "",
        *text.strip().split("\n"),
    ]


# Expressions ----------------------------------------------------------------------------------------------------------


def _piece(expression: Expression, dtype: str) -> Piece:
    """An expression as text. Expressions are of bounded depth: the schedule names what is deeper."""
    if isinstance(expression, Read):
        return expression.name, ATOM
    if isinstance(expression, Literal):
        return _literal(expression.value)
    assert isinstance(expression, Call), expression
    function = expression.function
    arguments = [_piece(argument, dtype) for argument in expression.arguments]
    if function.name == "select":
        condition, taken, otherwise = (bracketed(argument, TERNARY + 1) for argument in arguments)
        return f"{condition} ? {taken} : {otherwise}", TERNARY
    spelling = _spelling(function)
    if dtype == "float64" or function.name in _EXACT:
        return spell(spelling, arguments)
    while function.arity == 0 and len(arguments) > 2:  # every step is rounded
        arguments = [_rounded(spell(spelling, arguments[:2])), *arguments[2:]]
    return _rounded(spell(spelling, arguments))


def _rounded(piece: Piece) -> Piece:
    return f"fround({piece[0]})", ATOM


def _literal(value: float | bool) -> Piece:
    if isinstance(value, bool):
        return str(value).lower(), ATOM
    if math.isnan(value):
        return "NaN", ATOM
    text = repr(value).replace("inf", "Infinity").removesuffix(".0")
    return text, UNARY if text.startswith("-") else ATOM


def _spelling(function: Function) -> Function:
    """The function with JavaScript's operator, or name, in place of Python's."""
    text = function.javascript or function.operator
    if text.replace(".", "").isidentifier():
        return function._replace(name=text, operator="", precedence=ATOM)
    return function._replace(operator=text, precedence=_LEVELS.get(text, function.precedence))


# Run-time text --------------------------------------------------------------------------------------------------------


def _called(program: Program) -> list[str]:
    """The functions of the run-time text that the kernel calls, and those that they call, callees first."""
    functions = _functions()
    found: dict[str, str] = {}

    def add(name: str) -> None:  # as deep as they call each other: three levels
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", functions[name], flags=re.DOTALL)  # without comments
        for other in re.findall(r"\b\w+(?=\()", code):
            if other in functions and other != name:
                add(other)
        found.setdefault(name, functions[name])

    for function in program.functions:
        if function.javascript in functions:
            add(function.javascript)
    return list(found.values())


@cache
def _functions() -> dict[str, str]:
    """The run-time text by its functions, each with the constants that stand before it."""
    parts = runtime_text("javascript/runtime.js").strip().split("\n\n\n")[1:]
    return {re.findall(r"^function (\w+)", part, re.MULTILINE)[0]: part for part in parts}
