"""The JavaScript target: a program as an ES module without dependencies, one point at a time or over whole arrays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from ...functions import FUNCTIONS, Function
from ...program import Program
from ...text.expressions import commented, listed
from ...text.module import description, legend, runtime_text
from ...text.points import sections
from .arrays import ArrayText, inputs_table, result_lines
from .expressions import piece

_RUNTIME = ("javascript/runtime.js", "javascript/runtime_arrays.js")

# The words of JavaScript in modules, and what a module uses of its library.
_WORDS = frozenset(
    """
    arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof var void while with yield
    Array ArrayBuffer DataView Float32Array Float64Array Infinity Map Math NaN Number Object RangeError Set String
    TypeError Uint8Array __proto__ undefined
    """.split()
)


def supports(function: Function) -> bool:
    return bool(function.javascript or function.operator)


@cache
def reserved() -> frozenset[str]:
    """Names that the module uses itself, whatever the program; of functions that other programs call, too."""
    text = _AT_EVERY_POINT + "".join(map(runtime_text, _RUNTIME))
    own = set(re.findall(r"^(?:const|function) (\w+)", text, re.MULTILINE)) - set(FUNCTIONS)
    # A reduction calls max and min, also where no node of the graph is one.
    return _WORDS | own | {"ARGUMENTS", "WRT", "INPUTS", "REAL", "fround", "max", "min"}


def emit(program: Program) -> str:
    """The source of a module with the same names as that of the Python target."""
    if len(program.values) == 1:
        results = f"[f, [{', '.join(program.gradients)}]]"
    else:
        results = f"[[{', '.join(['f', *program.values[1:]])}], [{', '.join(program.gradients)}]]"
    if program.over_points:
        tables, kernel, called = [], [*_kernel(program), "", *_batch(program)], []
    else:
        arrays = ArrayText(program, reserved())
        tables, kernel = inputs_table(program), [*_HOW_ARRAYS_ARE_GIVEN, *arrays.kernel()]
        called = list(arrays.entries.called)
    lines = [
        *(f"// {line}".rstrip() for line in description(program, results, "nothing else")),
        "",
        *_legend(program),
        *listed("export const ARGUMENTS = [", _quoted(program.arguments), "];"),
        *listed("export const WRT = [", _quoted(program.wrt), "];"),
        *(["const fround = Math.fround; // to float32"] if program.dtype == "float32" else []),
        *tables,
        "",
        *kernel,
    ]
    for text in _texts([*(function.javascript for function in program.functions), *called]):
        lines += ["", *text.split("\n")]
    return "\n".join(lines) + "\n"


_HOW_ARRAYS_ARE_GIVEN = """
/**
 * The value and the gradient. Arrays are flat, in C order, or nested. A flat one of several axes has a property `shape`
 * where other arrays do not tell how long these are; derivatives are flat typed arrays with that property.
 * Throws a RangeError where lengths do not fit together or an index is out of bounds; inputs are never written.
 */
""".strip().split("\n")


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
            text = piece(statement.value, program.dtype)[0]
            lines += commented(f"    {word}{statement.name} = ", text, ";", statement.comment, " // ", "    ")
    return [*lines, *result_lines(program.values, program.gradients), "}"]


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


# Run-time text --------------------------------------------------------------------------------------------------------


def _texts(names: Iterable[str]) -> list[str]:
    """The functions of the run-time text that are named, and those that they call, callees first."""
    functions = {name: text for file in _RUNTIME for name, text in _functions(file).items()}
    found: dict[str, str] = {}

    def add(name: str) -> None:  # as deep as they call each other: four levels
        if name in found:
            return
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", functions[name], flags=re.DOTALL)  # without comments
        for other in re.findall(r"\b\w+(?=\()", code):
            if other in functions and other != name:
                add(other)
        found.setdefault(name, functions[name])

    for name in names:
        if name in functions:
            add(name)
    return list(found.values())


@cache
def _functions(file: str) -> dict[str, str]:
    """A run-time text by its functions, each with the constants that stand before it."""
    parts = runtime_text(file).strip().split("\n\n\n")[1:]
    return {re.findall(r"^function (\w+)", part, re.MULTILINE)[0]: part for part in parts}
