"""Points in JavaScript: the one-point function, and what calls it at every point of arrays."""

from __future__ import annotations

from collections import Counter

from ...program import Program
from ...text.expressions import commented, listed
from ...text.module import Module
from ...text.points import sections
from .expressions import piece, result_lines
from .functions import definitions

AT_EVERY_POINT = """
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
    const gradient = Array.from({ length: DERIVATIVES }, () => new NUMBERS(count));
    for (let i = 0; i < count; i++) {
        const [value, derivatives] = kernel(...arrays.map((array) => array[i]));
        KEEP_VALUE
        derivatives.forEach((derivative, k) => (gradient[k][i] = derivative));
    }
    return [values, gradient];
}
"""


def module(program: Program) -> Module:
    """`kernel` of one point and `kernel_batch` over many."""
    return Module(
        "nothing else", _kernel(program), constants=[""], callers=["", *_batch(program)], runtime=definitions(program)
    )


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


def _batch(program: Program) -> list[str]:
    array = "Float32Array" if program.dtype == "float32" else "Float64Array"
    if len(program.values) == 1:
        new, keep, results = f"new {array}(count)", "values[i] = value;", "[f, [d_x, ...]]"
    else:
        new = f"Array.from({{ length: {len(program.values)} }}, () => new {array}(count))"
        keep, results = "value.forEach((number, k) => (values[k][i] = number));", "[[f, ...], [d_x, ...]]"
    text = AT_EVERY_POINT.replace("DERIVATIVES", str(len(program.derivatives)))
    text = text.replace("NUMBERS", array).replace("NEW_VALUES", new).replace("KEEP_VALUE", keep)
    return [
        f"/** Value and gradient at every point of arrays: {results}, each a {array}. */",
        *listed(f"export function {program.name}_batch(", program.arguments, ") {"),
        *listed(f"    return at_every_point({program.name}, [", program.arguments, "]);", "    "),
        "}",
        "",
        *text.strip().split("\n"),
    ]
