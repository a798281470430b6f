"""Arrays on the CPU: blocks of the data axis as lanes, buffers for what varies along it, products of matrices by BLAS.

A pass walks the data a block at a time. Everything that varies along the data is a row of the block in a small buffer
`[other axes ...][block]`, so that the innermost loop of every nest runs over contiguous lanes; what an array holds
row by row is transposed into such a buffer. Each nest is a function of its own: that is where the arrays that it gets
are known not to overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, takewhile

from ...program import (
    Affine,
    Assignment,
    Element,
    Fill,
    Matrix,
    Nest,
    Output,
    Pass,
    Product,
    Program,
    Step,
    Store,
)
from ...reductions import REDUCTIONS
from ...text.arrays import (
    Line,
    elements_of,
    expression_names,
    extent_lines,
    factors,
    kind_text,
    length_text,
    loop_line,
    nest_lines,
    nest_names,
    number_text,
    running_word,
    start_text,
)
from ...text.expressions import affine_text, listed
from ...text.module import Module, result_lines, runtime_text, tuple_lines, tuple_text, values_text
from .functions import options
from .passes import pass_function
from .scope import Compiled, Scope

RUNTIME = "cpu/runtime_arrays.py"


def module(program: Program, reserved: Iterable[str]) -> Module:
    """`kernel` and `kernel_into` over whole arrays."""
    emission = Emission(program, reserved)
    constants = [
        f"OPTIONS = dict(cache=CACHE, nogil=True, {options(program)})",
        "INNER = dict(OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by compiled code only",
        # A nest that were compiled on its own would be there twice, as itself and within its pass, optimised once and
        # twice: which of the two is run, and so the last bits, would depend on what the process has loaded before.
        "NEST = dict(INNER, forceinline=True)  # a part of the pass that calls it",
    ]
    return Module(
        "NumPy, Numba and SciPy (for BLAS and LAPACK)",
        emission.lines(),
        constants=constants,
        runtime=runtime_text(RUNTIME),
        compiled=_compiled(emission.functions.values()),
    )


def _compiled(functions: Iterable[Compiled]) -> list[str]:
    """One signature for each function that is called from Python: contiguous arrays of the kernel's type."""
    lines = [line for own in functions for line in tuple_lines(f"    {own.name}.compile(", own.types, ")", "    ")]
    return ["", "if JIT:", *lines] if lines else []


class Emission:
    """The text of one program."""

    def __init__(self, program: Program, reserved: Iterable[str]) -> None:
        self.program, self.scope = program, Scope(program, reserved)
        self.functions: dict[tuple[Step, ...], Compiled] = {}  # of passes, and of what is outside of them

    # --- the whole ----------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The functions of the module: nests, passes, and the kernel, written for Numba and to be run from Python."""
        jitted = self._kernel_lines(jitted=True)
        into = self._kernel_lines(jitted=False)
        functions = [lines for own in self.functions.values() for lines in own.functions]
        return [line for lines in (*functions, jitted) for line in (*lines, "", "")] + into

    @property
    def into(self) -> str:
        return f"{self.program.name}_into"

    def _kernel_lines(self, jitted: bool) -> list[str]:
        program = self.program
        if jitted:
            lines = ["@njit(**OPTIONS)", *listed(f"def {program.name}(", program.arguments, "):")]
        else:
            head = [self.scope.local("walk"), *program.arguments, *self.scope.results]
            lines = listed(f"def {self.into}(", head, "):")
            lines.append(
                '    """Fills the gradients and returns the value; `walk` runs a pass part by part, see walk_parts."""'
            )
        own = {name: self._result(output) for name, output in self.scope.results.items()} if jitted else {}
        lines += [line for name, line in own.items() if self.scope.given_shape(name)]
        lines += self._typed([own.name for own in program.inputs if not own.shape and own.kind == "real"], jitted)
        lines += extent_lines(program)
        lines += [line for name, line in own.items() if not self.scope.given_shape(name)]
        kind = "real" if jitted else "real_name"
        for storage in program.storages:
            if storage.data is None:
                shape = ", ".join(length_text(length, program.derived) for length in storage.shape) or "1"
                lines.append(f"    {storage.name} = np.empty(({shape},), {kind_text(storage.kind, kind)})")
        for is_plain, group in groupby(program.steps, lambda step: isinstance(step, (Nest, Fill, Assignment))):
            steps = list(group)
            if is_plain:
                lines += self._plain(steps, jitted)
            else:
                lines += [line for step in steps for line in self._step(step, jitted)]
        if not jitted:
            return [*lines, f"    return {values_text(program.numbers)}"] if program.numbers else lines
        gradients = [own.name if own.shape else f"{own.name}[0]" for own in program.derivatives]
        return [*lines, *result_lines(program.values, gradients)]

    def _result(self, output: Output) -> str:
        """The array of an output."""
        return f"    {output.name} = np.empty({self.scope.result_shape(output) if output.shape else '1'}, real)"

    def _step(self, step: Step, jitted: bool) -> list[str]:
        if isinstance(step, Matrix):
            return self._matrix(step, jitted)
        if isinstance(step, Product):
            function = "matrix_product" if jitted else "whole_product"
            return [f"    {function}({', '.join([step.target.array, *factors(step)])}, False)"]
        assert isinstance(step, Pass)
        return self._pass_call(step, jitted)

    # --- outside of the passes ----------------------------------------------------------------------------------------

    def _plain(self, run: Sequence[Step], jitted: bool) -> list[str]:
        """What does not vary along the data: in a function of its own, which returns the numbers that it makes."""
        fills = list(takewhile(lambda step: isinstance(step, Fill), run))
        inside = tuple(run[len(fills) :])
        lines = [line for step in fills for line in self._plain_step(step)]
        if not inside:
            return lines
        if inside not in self.functions:
            self.functions[inside] = self._plain_function(inside)
        function = self.functions[inside]
        result = f"{', '.join(function.made)} = " if function.made else ""
        lines += listed(f"    {result}{function.name}(", function.given, ")", "    ")
        return [*lines, *self._typed(function.made, jitted)]

    def _plain_function(self, steps: Sequence[Step]) -> Compiled:
        scope, name = self.scope, self.scope.free("outside")
        used: set[str] = set()
        made: dict[str, None] = {}
        held: dict[str, None] = {}  # arrays that have another name
        body: list[str] = []
        for step in steps:
            body += self._plain_step(step)
            if isinstance(step, Fill):
                used.add(step.array)
            elif isinstance(step, Assignment):
                used |= expression_names(step.value) - set(made)
                made[step.name] = None
            elif isinstance(step, Nest):
                used |= nest_names(step) - {loop.axis for loop in step.loops} - set(made)
            statements = step.body if isinstance(step, Nest) else [step] if isinstance(step, Assignment) else []
            elements = [element for statement in statements for element in elements_of(statement)]
            held |= dict.fromkeys(element.array for element in elements if scope.needs_room(element))
        used |= {name for array in held for length in scope.shape(array) for name, _ in length.terms}
        given = [name for name in scope.order() if name in used]
        lines = ["@njit(**OPTIONS)", *listed(f"def {name}(", given, "):"), *map(scope.held_line, held), *body]
        lines += [f"    return {', '.join(made)}"] if made else []
        return Compiled(name, given, list(map(scope.type, given)), [lines], tuple(made))

    def _plain_step(self, step: Step) -> list[str]:
        if isinstance(step, Fill):
            return [f"    {step.array}.fill({number_text(step.value)})"]
        if isinstance(step, Assignment):
            value = self.scope.direct(step.value)
            text = f"real({value})" if step.kind == "real" else value
            return Line(f"{step.name} = {text}", step.comment).written("    ")
        assert isinstance(step, Nest), step
        return self._plain_nest(step)

    def _typed(self, numbers: Sequence[str], jitted: bool) -> list[str]:
        """Python's own numbers are float64: a float32 kernel would be compiled once more for them."""
        if jitted or self.program.dtype == "float64":
            return []
        return [f"    {name} = np.float32({name})" for name in numbers if self.scope.kinds.get(name, "real") == "real"]

    def _plain_nest(self, nest: Nest) -> list[str]:
        """The loops and their statements. A sum over all of them runs in a variable, and is stored after them."""
        scope, axes = self.scope, {loop.axis for loop in nest.loops}
        body: list[Line] = []
        before: list[str] = []
        running: dict[str, tuple[str, str]] = {}  # by the text of the entry: the variable, the kind
        for statement in nest.body:
            value = scope.direct(statement.value)
            if isinstance(statement, Assignment):
                body.append(Line(f"{statement.name} = {value}", statement.comment))
                continue
            target = scope.direct(statement.target)
            if isinstance(statement, Store):
                body.append(Line(f"{target} = {value}", statement.comment))
                continue
            if _is_known(statement.target, axes):
                if target not in running:
                    running[target] = scope.free(running_word(statement)), statement.kind
                    before.append(f"{running[target][0]} = {start_text(statement.kind)}")
                target = running[target][0]
            body.append(Line(f"{target} = {scope.joined(statement.kind, target, value)}", statement.comment))
        after = [f"{own} = {REDUCTIONS[kind].join.format(own, name)}" for own, (name, kind) in running.items()]
        comment = [f"    # {nest.comment}"] if nest.comment else []
        return [*comment, *nest_lines(list(map(loop_line, nest.loops)), body, {0: before}, {0: after}, "    ")]

    def _matrix(self, step: Matrix, jitted: bool) -> list[str]:
        a = step.arguments[0]
        if step.function == "inverse":
            return [f"    {step.target}[:] = np.linalg.inv({a})"]
        if step.function == "solve":
            return [f"    {step.target}[:] = np.linalg.solve({a}, {step.arguments[1]})"]
        return [f"    {step.target}[0] = {step.function}({a})"]

    # --- passes -------------------------------------------------------------------------------------------------------

    def _pass_call(self, step: Pass, jitted: bool) -> list[str]:
        """The parts of a pass, each with sums of its own, which are joined in order."""
        key = (step._replace(low=Affine(()), high=Affine(())),)  # the two ends of a range have the same function
        if key not in self.functions:
            self.functions[key] = pass_function(self.scope, step)
        function, inner = self.functions[key].name, self.functions[key].given
        arrays = [array for _, array in step.accumulated]
        low = affine_text(step.low)
        stop = affine_text(step.high._replace(offset=step.high.offset + 1))
        wide = self.program.dtype == "float32"
        lines = [f"    # over {step.axis}, a part at a time: each has sums of its own, which are joined in order"]
        own = [self.scope.local(f"{array}_sum") if wide else array for array in arrays]
        if wide:
            lines += [f"    {name} = {array}.astype(np.float64)" for array, name in zip(arrays, own, strict=True)]
        whole = step.scatters or not arrays
        if not jitted:
            kinds = [f'"{kind}"' for kind, _ in step.accumulated]
            parts = "one_part" if whole else self.scope.local("walk")
            given = [function, low, stop, tuple_text(inner), tuple_text(own), tuple_text(kinds)]
            lines += listed(f"    {parts}(", given, ")", "    ")
        elif whole:
            lines += listed(f"    {function}(", [low, stop, *inner, *own], ")", "    ")
        else:
            lines += self._parts(step, function, inner, own, low, stop)
        if wide:
            lines += [f"    {array}[:] = {name}" for array, name in zip(arrays, own, strict=True)]
        return lines

    def _parts(self, step: Pass, function: str, inner: list[str], own: list[str], low: str, stop: str) -> list[str]:
        part, begin, single = self.scope.local("part"), self.scope.local("begin"), self.scope.local("single")
        parts = [self.scope.local(f"{name}_part") for name in own]
        length = stop if low == "0" else f"{stop} - {low}"
        lines = [f"    {part} = part_length({length})", f"    {single} = {part} >= {length}"]
        for name, array in zip(parts, own, strict=True):
            lines.append(f"    {name} = {array} if {single} else np.empty_like({array})")
        lines += [f"    for {begin} in range({low}, {stop}, {part}):", f"        if not {single}:"]
        for name, (kind, _) in zip(parts, step.accumulated, strict=True):
            lines.append(f"            {name}.fill({number_text(REDUCTIONS[kind].start)})")
        end = f"min({begin} + {part}, {stop})"
        lines += listed(f"        {function}(", [begin, end, *inner, *parts], ")", "        ")
        lines.append(f"        if not {single}:")
        for name, array, (kind, _) in zip(parts, own, step.accumulated, strict=True):
            lines.append(f"            {REDUCTIONS[kind].join_arrays.format(array, name)}")
        return lines


def _is_known(target: Element, axes: set[str]) -> bool:
    """Whether a place does not move with these axes."""
    return all(isinstance(place, Affine) and axes.isdisjoint(dict(place.terms)) for place in target.index)
