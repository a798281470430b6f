"""Arrays on the CPU: blocks of the data axis as lanes, buffers for what varies along it, products of matrices by BLAS.

A pass walks the data a block at a time. Everything that varies along the data is a row of the block in a small buffer
`[other axes ...][block]`, so that the innermost loop of every nest runs over contiguous lanes; what an array holds
row by row is transposed into such a buffer. Each nest is a function of its own: that is where the arrays that it gets
are known not to overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...program import (
    REDUCTIONS,
    Accumulate,
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
from ...text.arrays import (
    axes_of,
    expression_names,
    extent_lines,
    factors,
    is_length,
    kind_text,
    length_text,
    loop_line,
    nest_names,
    number_text,
)
from ...text.expressions import affine_text, listed
from ...text.module import result_lines, tuple_text, values_text
from .lanes import PassText
from .scope import Scope


class Emission:
    """The text of one program."""

    def __init__(self, program: Program, reserved: Iterable[str]) -> None:
        self.program, self.scope = program, Scope(program, reserved)
        self.plain_functions: dict[tuple[Step, ...], tuple[str, list[str], list[str]]] = {}
        self.pass_functions: dict[str, tuple[str, list[str]]] = {}

    # --- the whole ----------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The functions of the module: nests, passes, and the kernel, written for Numba and to be run from Python."""
        jitted = self._kernel_lines(jitted=True)
        into = self._kernel_lines(jitted=False)
        functions: list[str] = []
        for function in self.scope.functions:
            functions += [*function, "", ""]
        return [*functions, *jitted, "", "", *into]

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
        own = [self._result(output) for output in self.scope.results.values()] if jitted else []
        lines += [line for output, line in zip(program.results.values(), own, strict=False) if output.by]
        lines += self._typed([own.name for own in program.inputs if not own.shape and own.kind == "real"], jitted)
        lines += extent_lines(program)
        lines += [line for output, line in zip(program.results.values(), own, strict=False) if not output.by]
        kind = "real" if jitted else "real_name"
        for storage in program.storages:
            if storage.data is None:
                shape = ", ".join(length_text(length, program.derived) for length in storage.shape) or "1"
                lines.append(f"    {storage.name} = np.empty(({shape},), {kind_text(storage.kind, kind)})")
        run: list[Nest | Fill | Assignment] = []
        for step in program.steps:
            if isinstance(step, (Nest, Fill, Assignment)):
                run.append(step)
                continue
            lines += self._plain(run, jitted)
            run = []
            lines += self._step(step, jitted)
        lines += self._plain(run, jitted)
        if not jitted:
            return [*lines, f"    return {values_text(program.numbers)}"] if program.numbers else lines
        gradients = [own.name if own.shape else f"{own.name}[0]" for own in program.outputs if own.role == "gradient"]
        return [*lines, *result_lines(program.values, gradients)]

    def _result(self, output: Output) -> str:
        """The array of an output; one for a gradient has the shape of what it belongs to."""
        shape = f"{output.by}.shape" if output.by else f"({', '.join(map(self._length, output.shape))},)"
        return f"    {output.name} = np.empty({shape if output.shape else '1'}, real)"

    def _length(self, extent: Affine) -> str:
        text = affine_text(extent)
        return text if not extent.terms or is_length(extent, self.program.derived) else f"max(0, {text})"

    def _step(self, step: Step, jitted: bool) -> list[str]:
        if isinstance(step, Matrix):
            return self._matrix(step, jitted)
        if isinstance(step, Product):
            target, *operands = ((own.array, own.axes) for own in (step.target, step.left, step.right))
            one, two = factors(target[1], operands, step.inner)
            function = "matrix_product" if jitted else "whole_product"
            return [f"    {function}({step.target.array}, {one}, {two}, False)"]
        assert isinstance(step, Pass)
        return self._pass_call(step, jitted)

    # --- outside of the passes ----------------------------------------------------------------------------------------

    def _plain(self, run: Sequence[Nest | Fill | Assignment], jitted: bool) -> list[str]:
        """What does not vary along the data: in a function of its own, which returns the numbers that it makes."""
        inside = list(run)
        fills: list[str] = []
        while inside and isinstance(inside[0], Fill):
            fills.append(f"    {inside[0].array}.fill({number_text(inside[0].value)})")
            inside.pop(0)
        if not inside:
            return fills
        key = tuple(inside)
        if key not in self.plain_functions:
            name = self.scope.free("outside")
            self.scope.held_here = {}
            body: list[str] = []
            used: set[str] = set()
            made: list[str] = []
            for step in inside:
                if isinstance(step, Fill):
                    body.append(f"    {step.array}.fill({number_text(step.value)})")
                    used.add(step.array)
                elif isinstance(step, Assignment):
                    value = self.scope.direct(step.value, {})
                    body.append(f"    {step.name} = {f'real({value})' if step.kind == 'real' else value}")
                    used |= expression_names(step.value) - set(made)
                    made.append(step.name)
                else:
                    body += self._plain_nest(step)
                    used |= nest_names(step) - {loop.axis for loop in step.loops} - set(made)
            used |= {name for array in self.scope.held_here for own in self.scope.shape(array) for name, _ in own.terms}
            body = [*map(self.scope.held_line, self.scope.held_here), *body]
            arguments = [name for name in self.scope.order() if name in used]
            if made:
                body.append(f"    return {', '.join(made)}")
            self.scope.functions.append(["@njit(**OPTIONS)", *listed(f"def {name}(", arguments, "):"), *body])
            self.plain_functions[key] = name, arguments, made
            self.scope.compiled[name] = [self.scope.type(argument) for argument in arguments]
        name, arguments, made = self.plain_functions[key]
        result = f"{', '.join(made)} = " if made else ""
        return [*fills, *listed(f"    {result}{name}(", arguments, ")", "    "), *self._typed(made, jitted)]

    def _typed(self, numbers: Sequence[str], jitted: bool) -> list[str]:
        """Python's own numbers are float64: a float32 kernel would be compiled once more for them."""
        if jitted or self.program.dtype == "float64":
            return []
        return [f"    {name} = np.float32({name})" for name in numbers if self.scope.kinds.get(name, "real") == "real"]

    def _plain_nest(self, nest: Nest) -> list[str]:
        lines = [f"    # {nest.comment}"] if nest.comment else []
        indent = "    "
        kept: dict[str, tuple[str, Element]] = {}
        body: list[str] = []
        deep = indent + "    " * len(nest.loops)
        for statement in nest.body:
            if isinstance(statement, Assignment):
                body.append(f"{deep}{statement.name} = {self.scope.direct(statement.value, {})}")
                continue
            target = self.scope.direct(statement.target, {})
            value = self.scope.direct(statement.value, {})
            if isinstance(statement, Store):
                body.append(f"{deep}{target} = {value}")
                continue
            moves = {name for place in statement.target.index for name in axes_of(place)}
            if not moves & {loop.axis for loop in nest.loops} and all(
                isinstance(place, Affine) for place in statement.target.index
            ):
                name = kept.setdefault(target, (self.scope.free("running"), statement.target))[0]
                body.append(f"{deep}{name} = {self.scope.joined(statement.kind, name, value)}")
                lines.append(f"{indent}{name} = {self.scope.start(statement.kind)}")
            else:
                body.append(f"{deep}{target} = {self.scope.joined(statement.kind, target, value)}")
        for loop in nest.loops:
            lines.append(f"{indent}{loop_line(loop)}")
            indent += "    "
        lines += body
        kinds = {self.scope.direct(s.target, {}): s.kind for s in nest.body if isinstance(s, Accumulate)}
        for target, (name, _) in kept.items():
            lines.append(f"    {target} = {REDUCTIONS[kinds[target]].join.format(target, name)}")
        return lines

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
        function, inner = self.pass_function(step)
        arrays = [array for _, array in step.accumulated]
        low = affine_text(step.low)
        stop = affine_text(step.high._replace(offset=step.high.offset + 1))
        wide = self.program.dtype == "float32"
        lines = [f"    # over {step.axis}, a part at a time: each has sums of its own, which are joined in order"]
        own = [self.scope.local(f"{array}_sum") if wide else array for array in arrays]
        if wide:
            for name, (kind, array) in zip(own, step.accumulated, strict=True):
                lines.append(f"    {name} = np.full({array}.shape, {number_text(REDUCTIONS[kind].start)}, np.float64)")
        whole = step.scatters or not arrays
        if not jitted:
            kinds = [f'"{kind}"' for kind, _ in step.accumulated]
            parts = "one_part" if whole else self.scope.local("walk")
            given = [function, low, stop, tuple_text(inner), tuple_text(own), tuple_text(kinds)]
            lines += listed(f"    {parts}(", given, ")", "    ")
        elif whole:
            lines += listed(f"    {function}({low}, {stop}, ", [*inner, *own], ")", "    ")
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
        lines += listed(
            f"        {function}({begin}, min({begin} + {part}, {stop}), ", [*inner, *parts], ")", "        "
        )
        lines.append(f"        if not {single}:")
        for name, array, (kind, _) in zip(parts, own, step.accumulated, strict=True):
            lines.append(f"            {REDUCTIONS[kind].join_arrays.format(array, name)}")
        return lines

    def pass_function(self, step: Pass) -> tuple[str, list[str]]:
        """The function of a pass over [start, stop), and what it gets between these two and its sums."""
        if step.name not in self.pass_functions:
            self.pass_functions[step.name] = PassText(self.scope, step).function()
        return self.pass_functions[step.name]
