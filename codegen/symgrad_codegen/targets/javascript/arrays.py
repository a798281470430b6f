"""Arrays in JavaScript: plain loops over flat typed arrays; what varies along the data is kept for one index of it.

A pass is a loop over the data, with the steps of the pass inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...functions import PRODUCT
from ...program import (
    Accumulate,
    Assignment,
    Bound,
    Call,
    Fill,
    Matrix,
    Nest,
    Pass,
    Product,
    Program,
    Step,
    Store,
    walk,
)
from ...text.arrays import elements_of, expression_names, inner_steps
from ...text.expressions import affine_text, bracketed, commented, listed
from ...text.module import Module
from ...text.scope import ArrayScope
from .entries import Entries
from .expressions import literal_text, result_lines
from .functions import definitions
from .products import ProductText

_ARRAYS = {"integer": "Float64Array", "boolean": "Uint8Array"}
_JOINS = {
    "sum": "{0} += {1}",
    "product": "{0} *= {1}",
    "largest": "{0} = max({0}, {1})",
    "smallest": "{0} = min({0}, {1})",
}


_HOW_ARRAYS_ARE_GIVEN = """
/**
 * The value and the gradient. Arrays are flat, in C order, or nested. A flat one of several axes has a property `shape`
 * where other arrays do not tell how long these are; derivatives are flat typed arrays with that property.
 * Throws a RangeError where lengths do not fit together or an index is out of bounds; inputs are never written.
 */
""".strip().split("\n")


def module(program: Program, reserved: Iterable[str]) -> Module:
    """`kernel` over whole arrays."""
    text = ArrayText(program, reserved)
    functions = text.kernel()
    constants = [*_inputs_table(program), "", *_HOW_ARRAYS_ARE_GIVEN]
    runtime = definitions(program, text.entries.called)
    return Module("nothing else", functions, constants=constants, runtime=runtime)


def _inputs_table(program: Program) -> list[str]:
    """The module's INPUTS, and the type of arrays of real numbers."""
    lines = [
        f"const REAL = {'Float64Array' if program.dtype == 'float64' else 'Float32Array'}; // arrays of real numbers",
        "// Axes are sums of extents with factors; the key 1 is a number: 2*n - 1 is { n: 2, 1: -1 }.",
        "const INPUTS = {",
    ]
    for own in program.inputs:
        axes = [dict(form.terms) | ({1: form.offset} if form.offset else {}) for form in own.shape]
        texts = [
            f"{{ {', '.join(f'{key}: {factor}' for key, factor in axis.items())} }}" if axis else "{}" for axis in axes
        ]
        lines += listed(f'    {own.name}: {{ kind: "{own.kind}", axes: [', texts, "] },", "    ")
    return [*lines, "};"]


class ArrayText:
    """The text of one kernel."""

    def __init__(self, program: Program, reserved: Iterable[str]) -> None:
        self.program, self.scope = program, ArrayScope(program, reserved)
        self.entries = Entries(self.scope)
        self.declared: set[str] = set()
        self.data: str | None = None  # the axis of the pass that is being written
        self.sum, self.factor = (self.scope.free(name) for name in ("sum", "factor"))
        statements = program.body
        self.writes = Counter(own.target.array for own in statements if not isinstance(own, Assignment))
        self.writes.update(step.array for step in inner_steps(program.steps) if isinstance(step, Fill))
        self.writes.update(step.target for step in program.steps if isinstance(step, Matrix))
        self.times = Counter(step.name for step in program.steps if isinstance(step, Assignment))
        bare = [step for step in inner_steps(program.steps) if isinstance(step, Nest) and not step.loops]
        made = Counter(name for nest in bare for name in _temporaries(nest)) + self.times
        self.recurring = {name for name, times in made.items() if times > 1}  # in several nests without loops
        self.sums: set[str] = set()  # what is kept in float64: sums of many terms
        if program.dtype == "float32":
            self.sums = {own.target.array for own in statements if isinstance(own, Accumulate)}
            products = [step for step in inner_steps(program.steps) if isinstance(step, Product)]
            self.sums |= {step.target.array for step in products if step.adds}

    def kernel(self) -> list[str]:
        """The function: arguments are checked, then the steps one after the other."""
        program = self.program
        lines = listed(f"export function {program.name}(", program.arguments, ") {")
        if program.inputs:
            lines += self._checked()
        for extent in program.extents:
            if extent.derived is not None:
                kind, one, two = extent.derived
                lines.append(f"    const {extent.name} = Math.{kind}({affine_text(one)}, {affine_text(two)});")
        lines += ["    // indices stay inside of their arrays"] if program.bounds else []
        for bound in program.bounds:
            lines += self._bound(bound)
        for step in program.steps:
            lines += self._step(step, "    ")
        lines += self._declarations(self.scope.results, "    ")
        values, gradients = (list(map(self._result, names)) for names in (program.values, program.gradients))
        return [*lines, *result_lines(values, gradients), "}"]

    def _checked(self) -> list[str]:
        program = self.program
        told = [extent.name for extent in program.extents if extent.told_by is not None]
        self.entries.call("checked")
        lines = [f"    let {', '.join(told)};"] if told else []
        quoted = ", ".join(f'"{name}"' for name in told)
        call = f"] = checked([{', '.join(program.arguments)}], [{quoted}]);"
        return [*lines, *listed("    [", [*program.arguments, *told], call, "    ")]

    def _bound(self, bound: Bound) -> list[str]:
        """A check of an index, before anything is computed."""
        assert bound.value is not None, "program_of refuses what cannot be checked"
        entries, names = self.entries, expression_names(bound.value)
        conditions = [f"{affine_text(form)} >= 0" for form in bound.where if not entries.is_certain(form)]
        opened = [f"if ({' && '.join(conditions)}) {{"] if conditions else []
        opened += [entries.open(loop.axis, loop.low, loop.high) for loop in bound.loops]
        inner = "    " + "    " * len(opened)
        lines = [f"    {'    ' * depth}{line}" for depth, line in enumerate(opened)]
        for statement in bound.body:
            names |= expression_names(statement.value)
            lines += self._assignment(statement, "const", inner)
            for part in walk(statement.value):
                if isinstance(part, Call):
                    entries.call(part.function.javascript)
        sources = ",".join(name for name in self.scope.inputs if name in names and bound.loops)
        given = [entries.text(bound.value), affine_text(bound.low), affine_text(bound.high)]
        given += [f'"{bound.array}"', str(bound.axis), *([f'"{sources}"'] if sources else [])]
        lines += listed(f"{inner}{entries.call('within')}(", given, ");", inner)
        entries.close([loop.axis for loop in bound.loops])
        return [*lines, *(f"    {'    ' * depth}}}" for depth in reversed(range(len(opened))))]

    def _result(self, name: str) -> str:
        """An output as it is returned."""
        if name not in self.scope.results or self.entries.is_number(name):
            return f"fround({name})" if name in self.sums else name
        whole = f"REAL.from({name})" if name in self.sums else name
        lengths = [self.entries.length(name, place)[0] for place in self.entries.axes(name)]
        return f"{self.entries.call('shaped')}({', '.join([whole, *lengths])})"

    # --- steps --------------------------------------------------------------------------------------------------------

    def _step(self, step: Step, indent: str) -> list[str]:
        if isinstance(step, Assignment):
            is_new = step.name not in self.declared
            self.declared.add(step.name)
            word = ("const" if self.times[step.name] == 1 else "let") if is_new else ""
            return self._assignment(step, word, indent)
        if isinstance(step, Fill):
            return self._fill(step, indent)
        if isinstance(step, Nest) and not step.loops and _temporaries(step) & self.recurring:
            lines = self._declarations(_arrays_of(step), indent)
            return [*lines, f"{indent}{{", *self._nest(step, f"{indent}    "), f"{indent}}}"]
        lines = self._declarations(_arrays_of(step), indent, self._begun(step))
        if isinstance(step, Nest):
            return lines + self._nest(step, indent)
        if isinstance(step, Product):
            return lines + ProductText(self.entries, step, self.data, self.sum, self.factor).lines(indent)
        if isinstance(step, Matrix):
            return lines + self._matrix(step, indent)
        return lines + self._pass(step, indent)

    def _pass(self, step: Pass, indent: str) -> list[str]:
        """One loop over the data; what is kept for one index of it is a number, or an array without that axis."""
        self.data = step.axis
        lines = [indent + self.entries.open(step.axis, (step.low,), (step.high,))]
        for inner in step.steps:
            lines += self._step(inner, indent + "    ")
        self.entries.close([step.axis])
        self.data = None
        # Numbers that were declared inside of the loop are not there any more.
        self.declared -= {
            own.name for own in self.program.storages if own.data is not None and self.entries.is_number(own.name)
        }
        return [*lines, f"{indent}}}"]

    def _declarations(self, arrays: Iterable[str], indent: str, but: set[str] | None = None) -> list[str]:
        """The arrays of the program's own that are written here for the first time."""
        lines = []
        for name in dict.fromkeys(arrays):
            is_own = name in self.scope.storages or name in self.scope.results
            is_local = self.entries.is_local(name) and self.entries.is_number(name) and self.data is None
            if is_own and name not in self.declared | (but or set()) and not is_local:
                lines.append(
                    f"{indent}let {name};"
                    if self.entries.is_number(name)
                    else f"{indent}const {name} = {self._new(name)};"
                )
                self.declared.add(name)
        return lines

    def _new(self, name: str) -> str:
        kind = _ARRAYS.get(self.scope.kind(name), "REAL") if name in self.scope.storages else "REAL"
        if name in self.sums:
            kind = "Float64Array"
        return f"new {kind}({' * '.join(bracketed(length, PRODUCT) for length in self.entries.lengths(name))})"

    def _fill(self, step: Fill, indent: str) -> list[str]:
        value, name = literal_text(step.value), step.array
        is_new = name not in self.declared
        if self.entries.is_number(name):
            self.declared.add(name)
            return [f"{indent}{'let ' if is_new else ''}{name} = {value};"]
        if is_new and self.data is None:  # a new array is full of zeros
            self.declared.add(name)
            return [f"{indent}const {name} = {self._new(name)}{f'.fill({value})' if step.value else ''};"]
        return [*self._declarations([name], indent), f"{indent}{name}.fill({value});"]

    def _nest(self, nest: Nest, indent: str) -> list[str]:
        lines = [f"{indent}// {nest.comment}"] if nest.comment else []
        inner = indent
        for loop in nest.loops:
            lines.append(inner + self.entries.open(loop.axis, loop.low, loop.high))
            inner += "    "
        fresh = self._begun(nest)
        times = Counter(statement.name for statement in nest.body if isinstance(statement, Assignment))
        begun = set[str]()
        for statement in nest.body:
            if isinstance(statement, Assignment):
                word = "" if statement.name in begun else "let" if times[statement.name] > 1 else "const"
                begun.add(statement.name)
                lines += self._assignment(statement, word, inner)
                continue
            target = self.entries.place(statement.target)
            word = self._word(target) if target in fresh else ""
            lines += self._written(statement, word + target, inner)
        self.entries.close([loop.axis for loop in nest.loops])
        ends = [f"{indent}{'    ' * place}}}" for place in reversed(range(len(nest.loops)))]
        return [*lines, *ends]

    def _written(self, statement: Store | Accumulate, target: str, indent: str) -> list[str]:
        text = self.entries.text(statement.value)
        if isinstance(statement, Store):
            return commented(f"{indent}{target} = ", text, ";", statement.comment, " // ", indent)
        if statement.kind in ("largest", "smallest"):
            self.entries.call("max" if statement.kind == "largest" else "min")
        head, _, tail = _JOINS[statement.kind].partition("{1}")
        return commented(indent + head.format(target), text, f"{tail};", statement.comment, " // ", indent)

    def _begun(self, step: Step) -> set[str]:
        """Numbers that are stored here, outside of loops, for the first time: they are declared where that is."""
        if isinstance(step, Matrix):
            return {step.target} - self.declared if self.entries.is_number(step.target) else set()
        if not isinstance(step, Nest) or step.loops:
            return set()
        stored = {own.target.array for own in step.body if isinstance(own, Store)}
        return {name for name in stored if self.entries.is_number(name)} - self.declared

    def _word(self, number: str) -> str:
        """What declares a number where it is stored for the first time."""
        is_new = number not in self.declared
        self.declared.add(number)
        return ("const " if self.writes[number] == 1 else "let ") if is_new else ""

    def _assignment(self, statement: Assignment, word: str, indent: str) -> list[str]:
        head = f"{indent}{word} {statement.name} = " if word else f"{indent}{statement.name} = "
        return commented(head, self.entries.text(statement.value), ";", statement.comment, " // ", indent)

    def _matrix(self, step: Matrix, indent: str) -> list[str]:
        size = self.entries.length(step.arguments[0], 0)[0]
        function = self.entries.call(step.function)
        if step.function in ("inverse", "solve"):
            return [f"{indent}{function}({', '.join([step.target, *step.arguments, size])});"]
        word = self._word(step.target)
        return [f"{indent}{word}{step.target} = {function}({step.arguments[0]}, {size});"]


def _temporaries(nest: Nest) -> set[str]:
    return {own.name for own in nest.body if isinstance(own, Assignment)}


def _arrays_of(step: Step) -> list[str]:
    """The arrays that a step reads and writes, in order."""
    found: list[str] = []
    for inner in inner_steps([step]):
        if isinstance(inner, Nest):
            found += [element.array for statement in inner.body for element in elements_of(statement)]
        elif isinstance(inner, Fill):
            found.append(inner.array)
        elif isinstance(inner, Product):
            found += [inner.target.array, inner.left.array, inner.right.array]
        elif isinstance(inner, Matrix):
            found += [inner.target, *inner.arguments]
    return found
