"""Arrays on the CPU: blocks of the data axis as lanes, buffers for what varies along it, products of matrices by BLAS.

A pass walks the data a block at a time. Everything that varies along the data is a row of the block in a small buffer
`[other axes ...][block]`, so that the innermost loop of every nest runs over contiguous lanes; what an array holds
row by row is transposed into such a buffer. Each nest is a function of its own: that is where the arrays that it gets
are known not to overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .array_program import (
    Accumulate,
    ArrayProgram,
    Fill,
    LoopRange,
    Matrix,
    Nest,
    Pass,
    Product,
    Step,
    Storage,
    Store,
)
from .program import Affine, Assignment, Call, Element, Expression, Holds, Integer, Number, Read
from .text import affine_text, expression_text, listed, literal_text

# Points of the data per block: few where a pass keeps many rows, so that they stay in the cache.
_FEW, _SOME, _MANY = 64, 128, 256
_SOME_LENGTH = 32  # what a symbolic extent is taken for when rows are counted

_JOIN = {"sum": "{0} + {1}", "product": "{0} * {1}", "largest": "max({0}, {1})", "smallest": "min({0}, {1})"}
_START = {"sum": "0.0", "product": "1.0", "largest": "-inf", "smallest": "inf"}


class Emission:
    """The text of one program; hands out names that nothing in the program has."""

    def __init__(self, program: ArrayProgram, reserved: Iterable[str]) -> None:
        self.program = program
        self.storages = {own.name: own for own in program.storages}
        self.inputs = {own.name: own for own in program.inputs}
        self.outputs = dict(zip(program.gradients, program.wrt, strict=True))
        self.taken = {*reserved, program.name, *_names(program)}
        self.functions: list[list[str]] = []
        self.plain_functions: dict[tuple[Step, ...], tuple[str, list[str], list[str]]] = {}
        self.pass_functions: dict[str, tuple[str, list[str]]] = {}
        self.compiled: dict[str, list[str]] = {}  # what is called from Python, and its argument types

    def free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def rank(self, array: str) -> int:
        if array in self.storages:
            return max(1, len(self.storages[array].shape))
        if array in self.outputs:
            return max(1, len(self.inputs[self.outputs[array]].shape))
        return len(self.inputs[array].shape)

    # --- the whole ----------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The functions of the module: nests, passes, and the kernel, which is written twice: for Numba and for threads."""
        jitted = self._kernel_lines(jitted=True)
        into = self._kernel_lines(jitted=False)
        functions: list[str] = []
        for function in self.functions:
            functions += [*function, "", ""]
        return [*functions, *jitted, "", "", *into]

    @property
    def into(self) -> str:
        return f"{self.program.name}_into"

    def local(self, wanted: str) -> str:
        """A name for a variable of a function that holds names of the program as well."""
        name = wanted
        while name in self.taken:
            name += "_"
        return name

    def _kernel_lines(self, jitted: bool) -> list[str]:
        program = self.program
        if jitted:
            lines = ["@njit(**OPTIONS)", *listed(f"def {program.name}(", program.arguments, "):")]
            for gradient, source in self.outputs.items():
                shape = f"{source}.shape" if self.inputs[source].shape else "1"
                lines.append(f"    {gradient} = np.empty({shape}, real)")
        else:
            head = [self.local("walk"), *program.arguments, *program.gradients]
            lines = listed(f"def {self.into}(", head, "):")
            lines.append('    """Fills the gradients and returns the value; `walk` runs a pass part by part, see walk_parts."""')
        lines += self._extents()
        kind = "real" if jitted else "real_name"
        for storage in program.storages:
            if storage.data is None:
                shape = ", ".join(affine_text(length) for length in storage.shape) or "1"
                lines.append(f"    {storage.name} = np.empty(({shape},), {kind})")
        run: list[Nest | Fill | Assignment] = []
        value = self.local("result")
        for step in (*program.steps, Assignment(value, program.value)):
            if isinstance(step, (Nest, Fill, Assignment)):
                run.append(step)
                continue
            lines += self._plain(run)
            run = []
            lines += self._step(step, jitted)
        lines += self._plain(run)
        if not jitted:
            return [*lines, f"    return {value}"]
        results = [name if self.inputs[source].shape else f"{name}[0]" for name, source in self.outputs.items()]
        comma = "," if len(results) == 1 else ""
        return [*lines, *listed(f"    return {value}, (", results, f"{comma})", "    ")]

    def _extents(self) -> list[str]:
        lines = []
        for extent in self.program.extents:
            if extent.told_by is not None:
                array, place, factor, offset = extent.told_by
                text = f"{array}.shape[{place}]"
                if offset:
                    text = f"({text} - {offset})" if offset > 0 else f"({text} + {-offset})"
                lines.append(f"    {extent.name} = {text}{f' // {factor}' if factor != 1 else ''}")
            elif extent.derived is not None:
                kind, one, two = extent.derived
                lines.append(f"    {extent.name} = {kind}({affine_text(one)}, {affine_text(two)})")
        return lines

    def _step(self, step: Step, jitted: bool) -> list[str]:
        if isinstance(step, Matrix):
            return self._matrix(step)
        if isinstance(step, Product):
            target, *operands = ((own.array, own.axes) for own in (step.target, step.left, step.right))
            one, two = self.dot(target, operands, step.inner)
            return [f"    matrix_product({step.target.array}, {one}, {two}, False)"]
        assert isinstance(step, Pass)
        return self._pass_call(step, jitted)

    # --- outside of the passes ----------------------------------------------------------------------------------------

    def _plain(self, run: Sequence[Nest | Fill | Assignment]) -> list[str]:
        """What does not vary along the data: in a function of its own, which returns the numbers that it makes."""
        inside = list(run)
        fills: list[str] = []
        while inside and isinstance(inside[0], Fill):
            fills.append(f"    {inside[0].array}.fill({_number(inside[0].value)})")
            inside.pop(0)
        if not inside:
            return fills
        key = tuple(inside)
        if key not in self.plain_functions:
            name = self.free("outside")
            body: list[str] = []
            used: set[str] = set()
            made: list[str] = []
            for step in inside:
                if isinstance(step, Fill):
                    body.append(f"    {step.array}.fill({_number(step.value)})")
                    used.add(step.array)
                elif isinstance(step, Assignment):
                    body.append(f"    {step.name} = real({self._direct(step.value, {})})")
                    used |= _expression_names(step.value) - set(made)
                    made.append(step.name)
                else:
                    body += self._plain_nest(step)
                    used |= _names_of_nest(step) - {loop.axis for loop in step.loops} - set(made)
            arguments = [name for name in self._order() if name in used]
            if made:
                body.append(f"    return {', '.join(made)}")
            self.functions.append(["@njit(**OPTIONS)", *listed(f"def {name}(", arguments, "):"), *body])
            self.plain_functions[key] = name, arguments, made
            self.compiled[name] = [self._type(argument) for argument in arguments]
        name, arguments, made = self.plain_functions[key]
        result = f"{', '.join(made)} = " if made else ""
        return [*fills, *listed(f"    {result}{name}(", arguments, ")", "    ")]

    def _type(self, name: str) -> str:
        """The Numba type of an argument."""
        dtype = self.program.dtype
        own = self.inputs.get(name)
        if own is not None:
            kind = dtype if own.kind == "real" else "types.int64"
            return f"types.Array({kind}, {len(own.shape)}, 'C')" if own.shape else kind
        if name in self.storages or name in self.outputs:
            return f"types.Array({dtype}, {self.rank(name)}, 'C')"
        return "types.int64" if any(extent.name == name for extent in self.program.extents) else dtype

    def _order(self) -> list[str]:
        """All names that functions get from the kernel, in one order."""
        program = self.program
        scalars = [step.name for step in program.steps if isinstance(step, Assignment)]
        return [
            *(extent.name for extent in program.extents),
            *program.arguments,
            *scalars,
            *self.storages,
            *program.gradients,
        ]

    def _plain_nest(self, nest: Nest) -> list[str]:
        lines = [f"    # {nest.comment}"] if nest.comment else []
        indent = "    "
        kept: dict[str, tuple[str, Element]] = {}
        body: list[str] = []
        deep = indent + "    " * len(nest.loops)
        for statement in nest.body:
            if isinstance(statement, Assignment):
                body.append(f"{deep}{statement.name} = {self._direct(statement.value, {})}")
                continue
            target = self._direct(statement.target, {})
            value = self._direct(statement.value, {})
            if isinstance(statement, Store):
                body.append(f"{deep}{target} = {value}")
                continue
            moves = {name for place in statement.target.index for name in _axes_of(place)}
            if not moves & {loop.axis for loop in nest.loops} and all(
                isinstance(place, Affine) for place in statement.target.index
            ):
                name = kept.setdefault(target, (self.free("running"), statement.target))[0]
                body.append(f"{deep}{name} = {self._joined(statement.kind, name, value)}")
                lines.append(f"{indent}{name} = {self._start(statement.kind)}")
            else:
                body.append(f"{deep}{target} = {self._joined(statement.kind, target, value)}")
        for loop in nest.loops:
            lines.append(f"{indent}{self._loop_line(loop)}")
            indent += "    "
        lines += body
        kinds = {self._direct(s.target, {}): s.kind for s in nest.body if isinstance(s, Accumulate)}
        for target, (name, _) in kept.items():
            lines.append(f"    {target} = {_JOIN[kinds[target]].format(target, name)}")
        return lines

    def _loop_line(self, loop: LoopRange) -> str:
        low = _several("max", loop.low)
        high = _several("min", tuple(form._replace(offset=form.offset + 1) for form in loop.high))
        return f"for {loop.axis} in range({high}):" if low == "0" else f"for {loop.axis} in range({low}, {high}):"

    def _joined(self, kind: str, one: str, two: str) -> str:
        if kind == "sum":
            return f"running_sum({one}, {two})"
        return _JOIN[kind].format(one, two if two.isidentifier() else f"({two})")

    def _start(self, kind: str) -> str:
        return f"real({_START[kind]})"

    def _direct(self, expression: Expression, lanes: dict[str, str]) -> str:
        """An expression as text, every entry read where it stands; `lanes` say what stands for a loop index."""
        return expression_text(_without_elements(expression, lambda e: self._entry_text(e, lanes)), self.program.dtype)

    def _entry_text(self, element: Element, lanes: dict[str, str]) -> str:
        return f"{element.array}[{', '.join(self._place_text(element, p, lanes) for p in range(len(element.index)))}]"

    def _place_text(self, element: Element, place: int, lanes: dict[str, str]) -> str:
        index = element.index[place]
        held = dict(element.clamped)
        text = affine_text(index, lanes) if isinstance(index, Affine) else self._integer(index, lanes)
        return f"clamped({text}, {affine_text(held[place])})" if place in held else text

    def _integer(self, expression: Expression, lanes: dict[str, str]) -> str:
        text = self._direct(expression, lanes)
        return text if isinstance(expression, Element) else f"int({text})"

    def _matrix(self, step: Matrix) -> list[str]:
        a = step.arguments[0]
        if step.function == "inverse":
            return [f"    {step.target}[:] = np.linalg.inv({a})"]
        if step.function == "solve":
            return [f"    {step.target}[:] = np.linalg.solve({a}, {step.arguments[1]})"]
        return [f"    {step.target}[0] = {step.function}({a})"]

    # --- passes -------------------------------------------------------------------------------------------------------

    def _pass_call(self, step: Pass, jitted: bool) -> list[str]:
        """The parts of a pass, each with sums of its own, which are joined in order."""
        function, inner = self._pass_function(step)
        arrays = [array for _, array in step.accumulated]
        low = affine_text(step.low)
        stop = affine_text(step.high._replace(offset=step.high.offset + 1))
        wide = self.program.dtype == "float32"
        lines = [f"    # over {step.axis}, a part at a time: each has sums of its own, which are joined in order"]
        own = [self.local(f"{array}_sum") if wide else array for array in arrays]
        if wide:
            for name, (kind, array) in zip(own, step.accumulated, strict=True):
                lines.append(f"    {name} = np.full({array}.shape, {_START[kind]}, np.float64)")
        whole = step.scatters or not arrays
        if not jitted:
            kinds = [f'"{kind}"' for kind, _ in step.accumulated]
            parts = "one_part" if whole else self.local("walk")
            given = [function, low, stop, _tuple(inner), _tuple(own), _tuple(kinds)]
            lines += listed(f"    {parts}(", given, ")", "    ")
        elif whole:
            lines += listed(f"    {function}({low}, {stop}, ", [*inner, *own], ")", "    ")
        else:
            lines += self._parts(step, function, inner, own, low, stop)
        if wide:
            lines += [f"    {array}[:] = {name}" for array, name in zip(arrays, own, strict=True)]
        return lines

    def _parts(self, step: Pass, function: str, inner: list[str], own: list[str], low: str, stop: str) -> list[str]:
        part, begin, single = self.local("part"), self.local("begin"), self.local("single")
        parts = [self.local(f"{name}_part") for name in own]
        length = stop if low == "0" else f"{stop} - {low}"
        lines = [f"    {part} = part_length({length})", f"    {single} = {part} >= {length}"]
        for name, array in zip(parts, own, strict=True):
            lines.append(f"    {name} = {array} if {single} else np.empty_like({array})")
        lines += [f"    for {begin} in range({low}, {stop}, {part}):", f"        if not {single}:"]
        for name, (kind, _) in zip(parts, step.accumulated, strict=True):
            lines.append(f"            {name}.fill({_START[kind]})")
        lines += listed(
            f"        {function}({begin}, min({begin} + {part}, {stop}), ", [*inner, *parts], ")", "        "
        )
        lines.append(f"        if not {single}:")
        for name, array, (kind, _) in zip(parts, own, step.accumulated, strict=True):
            joined = {"sum": "{0} += {1}", "product": "{0} *= {1}"}.get(kind)
            ufunc = {"largest": "maximum", "smallest": "minimum"}.get(kind)
            text = joined.format(array, name) if joined else f"{array}[:] = np.{ufunc}({array}, {name})"
            lines.append(f"            {text}")
        return lines

    def _pass_function(self, step: Pass) -> tuple[str, list[str]]:
        """The function of a pass over [start, stop), and what it gets between these two and its sums."""
        if step.name not in self.pass_functions:
            self.pass_functions[step.name] = _PassText(self, step).function()
        return self.pass_functions[step.name]

    def dot(self, target: tuple[str, tuple[str, ...]], operands: Sequence[tuple[str, tuple[str, ...]]], inner: str) -> tuple[str, str]:
        """The factors of a product of matrices in the order of its target, and whether each is transposed."""
        rows, columns = target[1]
        left, right = operands if rows in operands[0][1] else reversed(operands)
        return f"{left[0]}, {left[1] != (rows, inner)}", f"{right[0]}, {right[1] != (inner, columns)}"


class _PassText:
    """The text of one pass."""

    def __init__(self, emission: Emission, step: Pass) -> None:
        self.emission, self.step = emission, step
        self.local = emission.local
        self.start, self.stop, self.first, self.count = (self.local(n) for n in ("start", "stop", "first", "count"))
        self.packed: dict[tuple[str, int], str] = {}  # arrays that hold a row per data index, transposed
        self.unpacked: dict[str, str] = {}
        self.buffers: dict[str, Storage] = {}
        self.needs: dict[str, None] = {}  # names from the kernel

    def function(self) -> tuple[str, list[str]]:
        emission, step = self.emission, self.step
        calls: list[str] = []
        for inner in step.steps:
            if isinstance(inner, Fill):
                calls.append(f"        {inner.array}.fill({_number(inner.value)})")
                self._note(inner.array)
            elif isinstance(inner, Nest):
                calls += self._nest(inner)
            elif isinstance(inner, Product):
                calls += self._product(inner)
        block = self._block()
        memory = self._memory(block)
        sums = [array for _, array in step.accumulated]
        inner_names = [name for name in emission._order() if name in self.needs and name not in sums]
        name = step.name
        lines = ["@njit(**OPTIONS)", *listed(f"def {name}(", [self.start, self.stop, *inner_names, *sums], "):")]
        lines += memory
        lines.append(f"    for {self.first} in range({self.start}, {self.stop}, {block}):")
        lines.append(f"        {self.count} = min({block}, {self.stop} - {self.first})")
        lines += self._block_views()
        lines += calls
        for array, buffer in self.unpacked.items():
            rank = emission.rank(array)
            lines.append(
                f"        unpack_{rank}({buffer}, {array}[{self.first}:{self.first} + {self.count}])"
            )
        emission.functions.append(lines)
        types = [emission._type(argument) for argument in inner_names]
        types += [f"types.Array(float64, {emission.rank(array)}, 'C')" for array in sums]
        emission.compiled[name] = ["types.int64", "types.int64", *types]
        return name, inner_names

    def _note(self, array: str) -> None:
        """Notes that a name is used: a buffer of this pass, or an array or number of the kernel."""
        storage = self.emission.storages.get(array)
        if storage is not None and storage.data is not None:
            self.buffers[array] = storage
        else:
            self.needs[array] = None

    def _block(self) -> int:
        rows = 0
        for storage in self.buffers.values():
            count = 1
            for place, length in enumerate(storage.shape):
                if place != storage.data:
                    count *= max(1, length.offset + _SOME_LENGTH * sum(factor for _, factor in length.terms))
            rows += count
        if any(isinstance(inner, Product) for inner in self.step.steps):
            return _MANY
        return _MANY if rows <= 64 else _SOME if rows <= 300 else _FEW

    def _shape(self, storage: Storage) -> list[str]:
        return [
            affine_text(length) for place, length in enumerate(storage.shape) if place != storage.data
        ]

    def _memory(self, block: int) -> list[str]:
        lines = []
        for name, storage in self.buffers.items():
            size = " * ".join([*(_factor(text) for text in self._shape(storage)), str(block)])
            lines.append(f"    {self.local(name + '_memory')} = np.empty({size}, real)")
            self._note_extents(storage.shape)
        for (array, _), buffer in self.packed.items():
            lines.append(f"    {self.local(buffer + '_memory')} = np.empty({self._row_size(array)} * {block}, real)")
        for array, buffer in self.unpacked.items():
            lines.append(f"    {self.local(buffer + '_memory')} = np.empty({self._row_size(array)} * {block}, real)")
        return lines

    def _note_extents(self, lengths: Iterable[Affine]) -> None:
        for length in lengths:
            for name, _ in length.terms:
                if name != self.step.axis:
                    self.needs[name] = None

    def _row_size(self, array: str) -> str:
        return " * ".join(f"{array}.shape[{place}]" for place in range(1, self.emission.rank(array)))

    def _block_views(self) -> list[str]:
        """The buffers as arrays that hold just this block."""
        lines = []
        for name, storage in self.buffers.items():
            lines += self._view(name, self._shape(storage))
        for (array, shift), buffer in self.packed.items():
            rank = self.emission.rank(array)
            lines += self._view(buffer, [f"{array}.shape[{place}]" for place in range(1, rank)])
            begin = self.first if not shift else f"{self.first} {'+' if shift > 0 else '-'} {abs(shift)}"
            lines.append(f"        pack_{rank}({array}[{begin}:{begin} + {self.count}], {buffer})")
        for array, buffer in self.unpacked.items():
            rank = self.emission.rank(array)
            lines += self._view(buffer, [f"{array}.shape[{place}]" for place in range(1, rank)])
        return lines

    def _view(self, name: str, shape: list[str]) -> list[str]:
        memory = self.local(name + "_memory")
        if not shape:
            return [f"        {name} = {memory}[:{self.count}]"]
        size = " * ".join([*(_factor(text) for text in shape), self.count])
        return [f"        {name} = {memory}[:{size}].reshape(({', '.join([*shape, self.count])}))"]

    def _product(self, step: Product) -> list[str]:
        """A product of matrices on the block; what is added up over the data is written the first time."""
        emission, axis = self.emission, self.step.axis
        texts = []
        for own in (step.target, step.left, step.right):
            self._note(own.array)
            storage = emission.storages.get(own.array)
            is_buffer = storage is not None and storage.data is not None
            text = own.array
            if axis in own.axes and not is_buffer:
                place = own.axes.index(axis)
                text += f"[{':, ' * place}{self.first}:{self.first} + {self.count}]"
            texts.append((text, own.axes))
        target = texts[0][0]
        one, two = emission.dot(texts[0], texts[1:], step.inner)
        comment = f"        # {step.comment}"
        # What is added up over the data is written the first time, and added to from then on.
        adds = f"{self.first} > {self.start}" if step.adds else "False"
        if step.adds and emission.program.dtype == "float32":  # its sums are kept in float64
            return [comment, f"        wide_product({target}, {one}, {two})"]
        return [comment, f"        matrix_product({target}, {one}, {two}, {adds})"]

    def _nest(self, nest: Nest) -> list[str]:
        text = _NestText(self, nest)
        arguments = text.function()
        return listed(f"        {nest.name}(", arguments, ")", "        ")


class _NestText:
    """The text of one nest of a pass: a function whose innermost loop runs over the lanes of a block."""

    def __init__(self, owner: _PassText, nest: Nest) -> None:
        self.owner, self.nest, self.emission = owner, nest, owner.emission
        self.axis = owner.step.axis
        self.loops = {loop.axis for loop in nest.loops}
        self.parameters: dict[str, str] = {}  # name inside, what is given for it
        self.hoisted: dict[str, str] = {}  # text, the name that stands for it
        self.uses_first = False
        self.names: set[str] = set()

    def function(self) -> list[str]:
        emission, nest = self.emission, self.nest
        lanes = {self.axis: f"{self.owner.first} + {self.axis}"}
        before: list[str] = []
        body: list[str] = []
        after: list[str] = []
        running: dict[str, tuple[str, str]] = {}
        for statement in nest.body:
            if isinstance(statement, Assignment):
                body.append(f"{statement.name} = {self._text(statement.value, lanes)}")
                continue
            value = self._text(statement.value, lanes)
            if isinstance(statement, Accumulate) and self._is_invariant(statement.target):
                target = self._target(statement.target)
                if target not in running:
                    running[target] = (self.fresh("running"), statement.kind)
                    before.append(f"{running[target][0]} = {emission._start(statement.kind)}")
                    joined = _JOIN[statement.kind].format(target, running[target][0])
                    after.append(f"{target} = {joined}")
                name = running[target][0]
                body.append(f"{name} = {emission._joined(statement.kind, name, value)}")
                continue
            target = self._read(statement.target, lanes)
            if isinstance(statement, Store):
                body.append(f"{target} = {value}")
            else:
                body.append(f"{target} = {emission._joined(statement.kind, target, value)}")
        return self._finish(before, body, after)

    def _finish(self, before: list[str], body: list[str], after: list[str]) -> list[str]:
        emission, nest, owner = self.emission, self.nest, self.owner
        lines = ["    wide_and_unaliased()"]
        indent = "    "
        for loop in nest.loops:
            lines.append(indent + emission._loop_line(loop))
            for form in (*loop.low, *loop.high):
                for name, _ in form.terms:
                    if name not in self.loops:
                        self._use(name)
            indent += "    "
        lines += [f"{indent}{name} = {text}" for text, name in self.hoisted.items()]
        lines += [indent + line for line in before]
        lines.append(f"{indent}for {self.axis} in range({owner.count}):")
        lines += [f"{indent}    {line}" for line in body]
        lines += [indent + line for line in after]
        first = {owner.first: owner.first} if self.uses_first else {}
        given = {**self.parameters, **first, owner.count: owner.count}
        head = listed(f"def {nest.name}(", list(given), "):")
        comment = [f'    """{nest.comment}"""'] if nest.comment else []
        emission.functions.append(["@njit(**INNER)", *head, *comment, *lines])
        return list(given.values())

    def fresh(self, wanted: str) -> str:
        name, number = f"{wanted}_1", 1
        while name in self.names or name in self.emission.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.names.add(name)
        return name

    def _use(self, name: str) -> None:
        self.parameters[name] = name
        self.owner._note(name)

    def _text(self, expression: Expression, lanes: dict[str, str]) -> str:
        for name in _reads(expression, self.axis, self.loops):
            if name not in self._assigned():
                self._use(name)
        if _uses_axis(expression, self.axis):
            self.uses_first = True
        plain = _without_elements(expression, lambda element: self._read(element, lanes))
        return expression_text(plain, self.emission.program.dtype, lanes)

    def _assigned(self) -> set[str]:
        if not hasattr(self, "_own"):
            self._own = {s.name for s in self.nest.body if isinstance(s, Assignment)}
        return self._own

    def _is_invariant(self, element: Element) -> bool:
        return all(isinstance(p, Affine) and self.axis not in dict(p.terms) for p in element.index)

    def _target(self, element: Element) -> str:
        self._use(element.array)
        self._use_places(element)
        return self.emission._entry_text(element, {})

    def _use_places(self, element: Element) -> None:
        for place in element.index:
            if isinstance(place, Affine):
                for name, _ in place.terms:
                    if name not in self.loops and name != self.axis:
                        self._use(name)
        for _, extent in element.clamped:
            for name, _ in extent.terms:
                self._use(name)

    def _read(self, element: Element, lanes: dict[str, str]) -> str:
        """How an entry is read in the loop over the lanes: from a row, from a number before the loop, or directly."""
        array = element.array
        if self._is_invariant(element) and not element.clamped:
            self._use(array)
            self._use_places(element)
            return self._hoist(self.emission._entry_text(element, {}), f"{array}_at")
        shifts = [
            place.offset if isinstance(place, Affine) and place.terms == ((self.axis, 1),) else None
            for place in element.index
        ]
        moving = [p for p, i in enumerate(element.index) if not isinstance(i, Affine) or self.axis in dict(i.terms)]
        if not element.clamped and len(moving) == 1 and shifts[moving[0]] is not None:
            row = self._row(element, moving[0], shifts[moving[0]] or 0)
            if row is not None:
                return row
        return self._anywhere(element, lanes)

    def _anywhere(self, element: Element, lanes: dict[str, str]) -> str:
        """An entry at a place that is known in the loop only."""
        array = element.array
        self._use(array)
        self._use_places(element)
        storage = self.emission.storages.get(array)
        is_buffer = storage is not None and storage.data is not None
        texts = []
        for place, index in enumerate(element.index):
            if is_buffer and storage is not None and place == storage.data:
                texts.append(self.axis)
            elif isinstance(index, Affine):
                if self.axis in dict(index.terms):
                    self.uses_first = True
                texts.append(self.emission._place_text(element, place, lanes))
            else:
                inner = self._text(index, lanes)
                inner = inner if isinstance(index, Element) else f"int({inner})"
                held = dict(element.clamped)
                if place in held:
                    inner = f"clamped({inner}, {affine_text(held[place])})"
                texts.append(inner)
        return f"{array}[{', '.join(texts)}]"

    def _row(self, element: Element, place: int, shift: int) -> str | None:
        """An entry of a row of lanes, as text."""
        emission, owner, array = self.emission, self.owner, element.array
        storage = emission.storages.get(array)
        others = [affine_text(i) for p, i in enumerate(element.index) if p != place]  # type: ignore[arg-type]
        self._use_places(element)
        if storage is not None and storage.data is not None:
            owner._note(array)
            self.parameters[array] = array
            return f"{array}[{', '.join([*others, self.axis])}]"
        rank = len(element.index)
        if rank == 1:
            suffix = "" if not shift else f"_{'after' if shift > 0 else 'before'}_{abs(shift)}"
            name = owner.local(f"{array}_block{suffix}")
            begin = owner.first if not shift else f"{owner.first} {'+' if shift > 0 else '-'} {abs(shift)}"
            owner._note(array)
            self.parameters[name] = f"{array}[{begin}:{begin} + {owner.count}]"
            return f"{name}[{self.axis}]"
        if place == rank - 1:
            owner._note(array)
            self.parameters[array] = array
            self.uses_first = True
            begin = owner.first if not shift else f"{owner.first} {'+' if shift > 0 else '-'} {abs(shift)}"
            row = self._hoist(f"{array}[{', '.join(others)}][{begin}:{begin} + {owner.count}]", f"{array}_row")
            return f"{row}[{self.axis}]"
        if place or rank > 3 or emission.inputs.get(array, None) is not None and emission.inputs[array].kind != "real":
            return None
        owner._note(array)
        if array in emission.outputs:
            buffer = owner.unpacked.setdefault(array, owner.local(f"{array}_block"))
        else:
            suffix = "" if not shift else f"_{'after' if shift > 0 else 'before'}_{abs(shift)}"
            buffer = owner.packed.setdefault((array, shift), owner.local(f"{array}_block{suffix}"))
        self.parameters[buffer] = buffer
        return f"{buffer}[{', '.join([*others, self.axis])}]"

    def _hoist(self, text: str, wanted: str) -> str:
        if text not in self.hoisted:
            self.hoisted[text] = self.fresh(wanted)
        return self.hoisted[text]


# --- text ---------------------------------------------------------------------------------------------------------


def _tuple(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _factor(text: str) -> str:
    return text if text.replace("_", "a").replace(".", "a").replace("[", "a").replace("]", "a").isalnum() else f"({text})"


def _several(name: str, forms: tuple[Affine, ...]) -> str:
    texts = [affine_text(form) for form in forms]
    return texts[0] if len(texts) == 1 else f"{name}({', '.join(texts)})"


def _number(value: float) -> str:
    return literal_text(value, "float64")[0]


def _without_elements(expression: Expression, read: object) -> Expression:
    """The expression with every entry of an array as the text that reads it."""
    if isinstance(expression, Element):
        return Read(read(expression))  # type: ignore[operator]
    if isinstance(expression, Call):
        return Call(expression.function, tuple(_without_elements(a, read) for a in expression.arguments))
    if isinstance(expression, (Integer, Number)) and not isinstance(expression.value, Affine):
        return expression._replace(value=_without_elements(expression.value, read))
    return expression


def _axes_of(place: object) -> list[str]:
    if isinstance(place, Affine):
        return [name for name, _ in place.terms]
    return []


def _reads(expression: Expression, axis: str, loops: set[str]) -> list[str]:
    """The numbers and extents that an expression reads, without those inside of array entries."""
    if isinstance(expression, Read):
        return [expression.name]
    if isinstance(expression, (Integer, Number, Holds)) and isinstance(expression.value, Affine):
        return [name for name, _ in expression.value.terms if name != axis and name not in loops]
    if isinstance(expression, Call):
        return [name for argument in expression.arguments for name in _reads(argument, axis, loops)]
    return []


def _uses_axis(expression: Expression, axis: str) -> bool:
    if isinstance(expression, (Integer, Number, Holds)) and isinstance(expression.value, Affine):
        return axis in dict(expression.value.terms)
    return isinstance(expression, Call) and any(_uses_axis(argument, axis) for argument in expression.arguments)


def _expression_names(expression: object) -> set[str]:
    found: set[str] = set()
    stack = [expression]
    while stack:
        part = stack.pop()
        if isinstance(part, Read):
            found.add(part.name)
        elif isinstance(part, Call):
            stack.extend(part.arguments)
        elif isinstance(part, Element):
            found.add(part.array)
            stack.extend(part.index)
            stack.extend(extent for _, extent in part.clamped)
        elif isinstance(part, (Integer, Number, Holds)):
            stack.append(part.value)
        elif isinstance(part, Affine):
            found |= {name for name, _ in part.terms}
    return found


def _names_of_nest(nest: Nest) -> set[str]:
    found: set[str] = set()
    own: set[str] = set()
    for statement in nest.body:
        found |= _expression_names(statement.value)
        if isinstance(statement, Assignment):
            own.add(statement.name)
        else:
            found |= _expression_names(statement.target)
    for loop in nest.loops:
        for form in (*loop.low, *loop.high):
            found |= {name for name, _ in form.terms}
    return found - own


def _names(program: ArrayProgram) -> set[str]:
    """All names that stand in a program."""
    found = {*program.arguments, *program.gradients, *(own.name for own in program.storages)}
    found |= {extent.name for extent in program.extents} | _expression_names(program.value)
    stack: list[Step] = list(program.steps)
    while stack:
        step = stack.pop()
        if isinstance(step, Pass):
            found |= {step.name, step.axis}
            stack.extend(step.steps)
        elif isinstance(step, Nest):
            found |= {step.name, *_names_of_nest(step), *(loop.axis for loop in step.loops)}
            found |= {statement.name for statement in step.body if isinstance(statement, Assignment)}
        elif isinstance(step, Assignment):
            found |= {step.name, *_expression_names(step.value)}
    return found

