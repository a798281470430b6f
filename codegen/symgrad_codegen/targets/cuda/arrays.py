"""Arrays on a GPU: a thread for each index of the data, sums in the threads' own numbers, joined in a fixed order.

A pass becomes one kernel, or several where a product of matrices stands between: the data are shared out among the
threads of a grid. What varies along the data is a register, or a row of memory `[other axes ...][thread]`; where a
later kernel or a product reads it, `[other axes ...][data]`. A sum over the data is added up by each thread for itself,
then over the threads of a block in shared memory, then over the blocks by a second kernel: in the same order in every
run. A nest outside of the passes is a pass over its first loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...program import (
    REDUCTIONS,
    Accumulate,
    Affine,
    Assignment,
    Element,
    Expression,
    Fill,
    LoopRange,
    Matrix,
    Nest,
    Pass,
    Product,
    Program,
    Read,
    Storage,
    Store,
    mapped,
)
from ...text.arrays import (
    elements_of,
    expression_names,
    extent_lines,
    factor_text,
    factors,
    kind_text,
    length_text,
    loop_line,
    may_be_empty,
    numba_type,
    number_text,
    one_of_text,
    program_names,
    without_elements,
)
from ...text.expressions import affine_text, expression_text, listed
from ...text.module import tuple_text
from .functions import free, spelled
from .segments import Segment, arrays_of, is_injective, is_known, segments_of, shared_loops, shared_out


class KernelText(NamedTuple):
    """A kernel that a grid runs, and the Numba types of its arguments."""

    name: str
    types: list[str]
    lines: list[str]


class _Range(NamedTuple):
    """What a kernel is shared out over: a loop, or the product of several that know nothing of each other.

    In a pass the last one is that over the data, so that neighbouring threads have neighbouring data.
    """

    name: str
    loops: tuple[LoopRange, ...]

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(loop.axis for loop in self.loops)


class DeviceEmission:
    """The text of one program: its kernels, and the function that launches them."""

    def __init__(self, program: Program, reserved: frozenset[str]) -> None:
        self.program = program
        self.taken = {*reserved, program.name, *program_names(program)}
        self.storages = {own.name: own for own in program.storages}
        self.inputs = {own.name: own for own in program.inputs}
        self.results = program.results
        self.kernels: list[KernelText] = []
        self.numbers: dict[str, str] = {}  # assigned outside of the passes, and the kind: arrays of one entry
        self.held = {array: self.name(f"{array}_held") for array in self._needing_room()}
        self.libraries = any(isinstance(step, (Product, Matrix)) for step in program.steps) or any(
            isinstance(inner, Product) for step in program.steps if isinstance(step, Pass) for inner in step.steps
        )

    def lines(self) -> list[str]:
        """The function that launches everything."""
        program = self.program
        self.stream = self.name("stream")
        self.low, self.stop, self.blocks = self.name("low"), self.name("stop"), self.name("blocks")
        self.count = self.name("count")
        body: list[str] = []
        alone: list[Nest | Assignment] = []
        for step in program.steps:
            if isinstance(step, Assignment):
                self.numbers[step.name] = step.kind
            shared = shared_loops(step) if isinstance(step, Nest) else 0
            if isinstance(step, Assignment) or (isinstance(step, Nest) and not shared):
                alone.append(step)
                continue
            body += self._alone(alone)
            alone = []
            if isinstance(step, Fill):
                body.append(f"    set_all({step.array}, {number_text(step.value)}, {self.stream})")
            elif isinstance(step, Nest):
                inside = step._replace(loops=step.loops[shared:])
                body += self._pass(_Range(step.name, step.loops[:shared]), [inside])
            elif isinstance(step, Pass):
                body += self._pass(_Range(step.name, (LoopRange(step.axis, (step.low,), (step.high,)),)), step.steps)
            elif isinstance(step, Product):
                body.append(self._whole_product(step))
            else:
                arguments = ", ".join([step.target, *step.arguments])
                body.append(f"    matrix_{step.function}({arguments}, {self.stream})")
        body += self._alone(alone)
        head = [self.stream, *program.arguments, *program.values, *program.gradients]
        lines = listed(f"def {program.name}_into(", head, "):")
        lines.append('    """Fills arrays on the device: the value, of one entry, and the gradients."""')
        lines += extent_lines(program, "builtins.")
        lines += [
            f"    {own.name} = number({own.name})" for own in program.inputs if not own.shape and own.kind == "real"
        ]
        for storage in program.storages:
            if storage.data is None:
                lines += self._room(storage.name, self._row_shape(storage) or ["1"])
        for name in self.numbers:
            if name not in program.numbers:
                lines += self._room(name, ["1"])
        for array, held in self.held.items():
            if array not in self.storages or self.storages[array].data is None:
                lines += self._room(held, self._padded(self.shape(array)), f"{array} if {array}.size else ")
        return [*lines, *body]

    # --- entries that are held inside of an array ---------------------------------------------------------------------

    def shape(self, array: str) -> tuple[Affine, ...]:
        if array in self.storages:
            return self.storages[array].shape
        return self.results[array].shape if array in self.results else self.inputs[array].shape

    def _needing_room(self) -> list[str]:
        """The arrays that places are held inside of, and that may have no entries: kernels get one of at least one."""
        found: dict[str, None] = {}
        stack = list(self.program.steps)
        while stack:
            step = stack.pop()
            stack += step.steps if isinstance(step, Pass) else []
            for statement in step.body if isinstance(step, Nest) else [step] if isinstance(step, Assignment) else []:
                for element in elements_of(statement):
                    shape = [self.shape(element.array)[place] for place, _ in element.clamped]
                    if may_be_empty(shape, self.program.derived, element.array in self.storages):
                        found[element.array] = None
        return sorted(found)

    def given(self, name: str) -> str:
        """What a kernel gets for a name; rows of the data have a row to spare themselves."""
        has_rows = name in self.storages and self.storages[name].data is not None
        return name if has_rows else self.held.get(name, name)

    @staticmethod
    def _padded(lengths: Sequence[Affine], module: str = "builtins.") -> list[str]:
        return [f"{module}max(1, {affine_text(own)})" if own.terms else str(max(1, own.offset)) for own in lengths]

    def name(self, wanted: str) -> str:
        """A name that nothing has, for the function that launches the kernels."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def _room(self, name: str, shape: Sequence[str], instead: str = "") -> list[str]:
        kind = self.kind(name)
        typed = [] if kind == "real" else [kind_text(kind, "real_name")]
        given = [self.stream, f'"{name}"', tuple_text(shape), *typed]
        return listed(f"    {name} = {instead}room(", given, ")", "    ")

    # --- what one thread does alone -----------------------------------------------------------------------------------

    def _alone(self, steps: Sequence[Nest | Assignment]) -> list[str]:
        """Numbers and single entries: a kernel of one thread."""
        if not steps:
            return []
        text = _Text(self)
        body: list[str] = []
        for step in steps:
            if isinstance(step, Assignment):
                body.append(f"    {step.name}[0] = {text.expression(step.value)}")
                text.use(step.name)
            else:
                body += text.nest(step, "    ")
        name = self.name("alone")
        types = self._add(name, text, [], body)
        return [*listed("    launch(", [name, "1", "1", self.stream, *types], ")", "    ")]

    def _add(self, name: str, text: _Text, extra: Sequence[tuple[str, str]], body: Sequence[str]) -> list[str]:
        """Adds a kernel; returns what it is given."""
        given = [own for own in self._order() if own in text.used]
        types = [self._type(own) for own in given]
        arguments = [*given, *(own for own, _ in extra)]
        head = listed(f"def {name}(", arguments, "):")
        self.kernels.append(KernelText(name, [*types, *(kind for _, kind in extra)], [*head, *body]))
        return list(map(self.given, arguments))

    def _order(self) -> list[str]:
        """All names that kernels get, in one order."""
        program = self.program
        return [
            *(extent.name for extent in program.extents),
            *program.arguments,
            *self.numbers,
            *self.storages,
            *self.results,
        ]

    def _type(self, name: str) -> str:
        own = self.inputs.get(name)
        if own is not None and not own.shape:
            return "real" if own.kind == "real" else "types.int64"
        if own is not None:
            return array_type("real" if own.kind == "real" else "types.int64", len(own.shape))
        if any(extent.name == name for extent in self.program.extents):
            return "types.int64"
        return array_type(numba_type(self.kind(name), "real"), self.rank(name))

    def kind(self, name: str) -> str:
        """Of what is in the memory of the device: real, integer, boolean."""
        name = next((array for array, held in self.held.items() if held == name), name)
        if name in self.inputs:
            return "real" if self.inputs[name].kind == "real" else "integer"
        return self.storages[name].kind if name in self.storages else self.numbers.get(name, "real")

    def rank(self, array: str) -> int:
        if array in self.numbers:
            return 1
        if array in self.storages:
            return max(1, len(self.storages[array].shape))
        if array in self.results:
            return max(1, len(self.results[array].shape))
        return len(self.inputs[array].shape)

    # --- passes -------------------------------------------------------------------------------------------------------

    def _pass(self, over: _Range, steps: Sequence[object]) -> list[str]:
        """The kernels of a pass, one after the other, and the products of matrices between them."""
        segments = segments_of(over.axes, steps, set(self.storages) - {s.name for s in self._fixed()})
        if any(isinstance(segment, Product) for segment in segments):
            # Rows are in memory anyway, and the data of such a pass are often short.
            segments = [part for segment in segments for part in shared_out(segment, over.loops[0])]
        uses: dict[str, set[int]] = {}
        for place, segment in enumerate(segments):
            for name in sorted(arrays_of(segment)):
                if name in self.storages and self.storages[name].data is not None:
                    uses.setdefault(name, set()).add(place if isinstance(segment, Segment) else -1)
        long = {name for name, places in uses.items() if len(places) > 1 or -1 in places}
        low, stop = self.low, self.stop
        lines = [f"    # over {', '.join(over.axes)}"]
        if len(over.loops) == 1:
            lines += [f"    {low} = {_low(over.loops[0])}", f"    {stop} = {_stop(over.loops[0])}"]
        for name in uses:
            if name in long:
                shape = self._row_shape(self.storages[name])
                lines += self._room(name, [*shape, f"builtins.max(1, {stop} - {low})"])
        for segment in segments:
            if isinstance(segment, Product):
                lines += self._product(segment, over.axes[0], low, stop, long)
            else:
                own = over._replace(loops=(*segment.loops, *over.loops))
                lines += _SegmentText(self, own, segment, long).call()
        return lines

    def _fixed(self) -> list[Storage]:
        return [storage for storage in self.program.storages if storage.data is None]

    def _row_shape(self, storage: Storage, module: str = "builtins.") -> list[str]:
        """The lengths of a storage but for that of the data; on the device max is in no module."""
        lengths = [length for place, length in enumerate(storage.shape) if place != storage.data]
        if storage.data is not None and storage.name in self.held:
            return self._padded(lengths, module)
        return [length_text(length, self.program.derived, module) for length in lengths]

    def _whole_product(self, step: Product) -> str:
        one, two = factors(step.target.axes, [(o.array, o.axes) for o in (step.left, step.right)], step.inner)
        return f"    matrix_product({step.target.array}, {one}, {two}, False, {self.stream})"

    def _product(self, step: Product, axis: str, low: str, stop: str, long: set[str]) -> list[str]:
        texts: list[tuple[str, tuple[str, ...]]] = []
        for own in (step.target, step.left, step.right):
            text = own.array
            if axis in own.axes and own.array in long:
                lengths = [":"] * (len(own.axes) - 1)
                if own.array in self.held:
                    shape, data = self.storages[own.array].shape, self.storages[own.array].data
                    lengths = [f":{affine_text(length)}" for place, length in enumerate(shape) if place != data]
                text += f"[{', '.join([*lengths, f': {stop} - {low}'])}]"
            elif axis in own.axes:
                text += f"[{':, ' * own.axes.index(axis)}{low}:{stop}]"
            texts.append((text, own.axes))
        one, two = factors(texts[0][1], texts[1:], step.inner)
        comment = [f"    # {step.comment}"] if step.comment else []
        return [
            *comment,
            *listed("    matrix_product(", [texts[0][0], one, two, str(step.adds), self.stream], ")", "    "),
        ]


class _Text:
    """Statements as text, with what stands for the entries of arrays; notes which names a kernel needs."""

    def __init__(self, emission: DeviceEmission) -> None:
        self.emission = emission
        self.registers: dict[str, str] = {}
        self.used: set[str] = set()
        self.sums_running = 0

    def use(self, name: str) -> None:
        self.used.add(name)

    def expression(self, expression: Expression) -> str:
        program = self.emission.program
        for name in _names_read(expression):
            self.use(name)
        plain = self._numbers(without_elements(spelled(expression, program.accuracy), self.entry))
        return expression_text(plain, program.dtype)

    def _numbers(self, expression: Expression) -> Expression:
        """What was assigned outside of the passes is read from the memory of the device."""
        return mapped(expression, self._number)

    def _number(self, part: Expression) -> Expression | None:
        if isinstance(part, Read) and part.name in self.emission.numbers:
            return Read(f"{part.name}[0]")
        return None

    def entry(self, element: Element) -> str:
        """An entry of an array, or the register that holds it."""
        register = self.registers.get(self.key(element))
        if register is not None:
            return register
        self.use(element.array)
        storage = self.emission.storages.get(element.array)
        data = storage.data if storage is not None else None
        texts = [self.place(element, place) for place in range(len(element.index)) if place != data]
        if data is not None:
            texts.append(self.lane(element.array))
        return f"{element.array}[{', '.join(texts)}]"

    def lane(self, array: str) -> str:
        """The last place in an array that varies along the data. Outside of the passes there is none."""
        raise AssertionError(f"{array} is read outside of its pass")

    def key(self, element: Element) -> str:
        """The entry without the place of the data, as text."""
        storage = self.emission.storages.get(element.array)
        data = storage.data if storage is not None else None
        places = [self.place(element, place) for place in range(len(element.index)) if place != data]
        return f"{element.array}[{', '.join(places)}]"

    def place(self, element: Element, place: int) -> str:
        index = element.index[place]
        if isinstance(index, Affine):
            text = affine_text(index)
            for name, _ in index.terms:
                self.use(name)
        else:
            text = self.expression(index)
        held = dict(element.clamped)
        if place in held:
            for name, _ in held[place].terms:
                self.use(name)
            return f"clamped({text}, {affine_text(held[place])})"
        return text

    def nest(self, nest: Nest, indent: str) -> list[str]:
        """The loops and their statements. A sum over inner loops runs in a register, and is stored after them."""
        read = {element.array for statement in nest.body for element in elements_of(Assignment("", statement.value))}
        before: list[list[str]] = [[] for _ in range(len(nest.loops) + 1)]
        after: list[list[str]] = [[] for _ in range(len(nest.loops) + 1)]
        body: list[str] = []
        for statement in nest.body:
            value = self.expression(statement.value)
            if isinstance(statement, Assignment):
                body.append(f"{statement.name} = {value}")
                continue
            target = self.target(statement)
            if isinstance(statement, Store):
                body.append(f"{target} = {value}")
                continue
            kind, level = statement.kind, _level(statement.target, nest)
            if level < len(nest.loops) and not target.isidentifier() and statement.target.array not in read:
                running = self.running()
                before[level].append(f"{running} = real({number_text(REDUCTIONS[kind].start)})")
                after[level].append(f"{target} = {joined(kind, target, running)}")
                target = running
            body.append(f"{target} = {joined(kind, target, value)}")
        lines = [f"{indent}# {nest.comment}"] if nest.comment else []
        for level, loop in enumerate(nest.loops):
            lines += [f"{indent}{'    ' * level}{line}" for line in (*before[level], self._loop(loop))]
        lines += [f"{indent}{'    ' * len(nest.loops)}{line}" for line in body]
        for level in reversed(range(len(nest.loops))):
            lines += [f"{indent}{'    ' * level}{line}" for line in after[level]]
        return lines

    def running(self) -> str:
        """A register for a sum that inner loops add up."""
        self.sums_running += 1
        (name,) = free([f"running_{self.sums_running}"], self.emission.taken)
        return name

    def _loop(self, loop: LoopRange) -> str:
        for form in (*loop.low, *loop.high):
            for name, _ in form.terms:
                self.use(name)
        return loop_line(loop)

    def target(self, statement: Store | Accumulate) -> str:
        return self.entry(statement.target)


class _SegmentText(_Text):
    """The kernel of one segment of a pass."""

    def __init__(self, emission: DeviceEmission, over: _Range, segment: Segment, long: set[str]) -> None:
        super().__init__(emission)
        self.over, self.segment, self.long = over, segment, long
        self.is_product = len(over.loops) > 1
        low = _low(over.loops[-1]) if self.is_product else emission.low
        self.row = over.axes[-1] if low == "0" else f"{over.axes[-1]} - {factor_text(low)}"  # of the data, from 0 on
        self.taken = set(emission.taken)
        self.thread = self.name("thread")
        self.sums: dict[str, tuple[str, str]] = {}  # of one entry, by its text: the kind, the register
        self.own: dict[str, tuple[str, str]] = {}  # arrays of which each thread has its own: the kind, the name
        self.rows: dict[str, None] = {}  # buffers in memory, a row for each thread
        self._choose()

    def name(self, wanted: str) -> str:
        """A name for a variable of this kernel."""
        (name,) = free([wanted], self.taken)
        self.taken.add(name)
        return name

    def _choose(self) -> None:
        """Which entries are registers: rows of one number, and sums whose places are known."""
        elements: dict[str, list[Element]] = {}
        kinds: dict[str, str] = {}
        accumulates: dict[str, list[Element]] = {}
        for step in self.segment.steps:
            if isinstance(step, Fill):
                elements.setdefault(step.array, [])
                continue
            for statement in step.body:
                for element in elements_of(statement):
                    elements.setdefault(element.array, []).append(element)
                if isinstance(statement, Accumulate) and self._is_joined(statement):
                    kinds[statement.target.array] = statement.kind
                    accumulates.setdefault(statement.target.array, []).append(statement.target)
        for array, found in elements.items():
            storage = self.emission.storages.get(array)
            if storage is None or storage.data is None or array in self.long:
                continue
            places = {self.key(e) for e in found if is_known(e, storage.data)}
            shape = [length for place, length in enumerate(storage.shape) if place != storage.data]
            if all(is_known(element, storage.data) for element in found) and all(not s.terms for s in shape):
                for text in sorted(places):
                    self.registers[text] = self.name("_".join([array, "here", *_places(text)]))
            else:
                self.rows[array] = None
        for array, targets in accumulates.items():
            if all(is_known(target, None) for target in targets):
                for target in targets:
                    text = self.key(target)
                    if text not in self.sums:
                        self.sums[text] = kinds[array], self.name("_".join([array, "here", *_places(text)]))
            else:
                self.own[array] = kinds[array], self.emission.name(f"{array}_own")

    def _is_joined(self, statement: Accumulate) -> bool:
        """Whether several indices of the data add to one entry."""
        storage = self.emission.storages.get(statement.target.array)
        if storage is not None and storage.data is not None:
            return False
        return not is_injective(statement.target, self.over.axes)

    def target(self, statement: Store | Accumulate) -> str:
        if isinstance(statement, Accumulate) and self._is_joined(statement):
            array, text = statement.target.array, self.key(statement.target)
            if text in self.sums:
                return self.sums[text][1]
            own = self.own[array][1]
            return f"{own}{text[len(array) : -1]}, {self.thread}]"
        return self.entry(statement.target)

    def lane(self, array: str) -> str:
        return self.row if array in self.long else self.thread

    def call(self) -> list[str]:
        emission, over = self.emission, self.over
        body: list[str] = []
        for step in self.segment.steps:
            body += self._fill(step) if isinstance(step, Fill) else self.nest(step, "        ")
        point = self.name("point") if self.is_product else over.axes[0]
        places = self._places(point) if self.is_product else []
        begin = self.thread if self.is_product else f"{emission.low} + {self.thread}"
        bounds = [emission.count] if self.is_product else [emission.low, emission.stop]
        is_first = all(kernel.name != over.name for kernel in emission.kernels)
        name = over.name if is_first else emission.name(over.name)
        before = [f"    {self.thread} = cuda.grid(1)"]
        if self.sums or self.own:
            before.insert(0, "    shared = cuda.shared.array(THREADS, real)")
        before += [
            f"    {register} = real({number_text(REDUCTIONS[kind].start)})" for kind, register in self.sums.values()
        ]
        for array, (kind, own) in self.own.items():
            loops, indent, entry = self._entries(array, own)
            before += [
                *loops,
                f"{indent}{own}[{', '.join([*entry, self.thread])}] = real({number_text(REDUCTIONS[kind].start)})",
            ]
        after, extra, launch = self._joins()
        lines = [
            *before,
            f"    {point} = {begin}",
            f"    while {point} < {bounds[-1]}:",
            *places,
            *body,
            f"        {point} += cuda.gridsize(1)",
            *after,
        ]
        given = emission._add(name, self, [*((bound, "types.int64") for bound in bounds), *extra], lines)
        return self._launch(name, given, launch)

    def _places(self, point: str) -> list[str]:
        """The indices of the loops at one point of their product, the last one first: neighbours are together."""
        lines, rest = [], point
        for number, loop in reversed(list(enumerate(self.over.loops))):
            for form in (*loop.low, *loop.high):
                for name, _ in form.terms:
                    self.use(name)
            count, low = _count(loop), _low(loop)
            place = rest if number == 0 else f"{rest} % {count}"
            lines.append(f"        {loop.axis} = {place}{'' if low == '0' else f' + {low}'}")
            rest = f"{rest} // {count}"
        return lines

    def _fill(self, step: Fill) -> list[str]:
        """A buffer is set to a number, in each thread its own."""
        storage = self.emission.storages[step.array]
        value = f"real({number_text(step.value)})"
        registers = [r for text, r in self.registers.items() if text.startswith(f"{step.array}[")]
        if registers:
            return [f"        {register} = {value}" for register in registers]
        self.use(step.array)
        shape = self.emission._row_shape(storage, "")
        for place, length in enumerate(storage.shape):
            if place != storage.data:
                for name, _ in length.terms:
                    self.use(name)
        lines, indent, entry = _loops(shape, "        ")
        return [*lines, f"{indent}{step.array}[{', '.join([*entry, self.lane(step.array)])}] = {value}"]

    def _entries(self, array: str, own: str) -> tuple[list[str], str, list[str]]:
        """A loop over all entries of an array: its lines, how far it indents, the place of an entry."""
        return _loops([f"{own}.shape[{place}]" for place in range(self.emission.rank(array))], "    ")

    def _joins(self) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str, str, str]]]:
        """After the loop: each sum over the block. Also what the kernel gets for that, and what is joined then."""
        lines: list[str] = []
        extra: list[tuple[str, str]] = []
        launch: list[tuple[str, str, str, str]] = []
        for array, (kind, own) in self.own.items():
            sums = self.emission.name(f"{array}_sums")
            extra += [(own, array_type("real", self.emission.rank(array) + 1)), (sums, array_type("real", 2))]
            loops, indent, entry = self._entries(array, own)
            total = f"over_block({REDUCTIONS[kind].cuda}, {own}[{', '.join([*entry, self.thread])}], shared)"
            lines += [*loops, f"{indent}keep({sums}, {_flat(own, entry)}, {total})"]
            launch.append((REDUCTIONS[kind].cuda, array, sums, own))
        for text, (kind, register) in self.sums.items():
            sums = self.emission.name(f"{register}_sums")
            extra.append((sums, array_type("real", 2)))
            lines.append(f"    keep({sums}, 0, over_block({REDUCTIONS[kind].cuda}, {register}, shared))")
            launch.append((REDUCTIONS[kind].cuda, text, sums, ""))
        return lines, extra, launch

    def _launch(self, name: str, given: Sequence[str], joins: Sequence[tuple[str, str, str, str]]) -> list[str]:
        emission, stream = self.emission, self.emission.stream
        own = [f"{emission.given(array)}.size" for _, array, _, own in joins if own]
        for array in self.rows:
            shape = emission._row_shape(emission.storages[array])
            own.append(" * ".join(shape) if shape else "1")
        blocks = emission.blocks
        count = emission.count if self.is_product else f"{emission.stop} - {emission.low}"
        lines = [f"    {count} = {_product_of(self.over.loops)}"] if self.is_product else []
        lines += listed(f"    {blocks} = pass_blocks(", [count, " + ".join(own) or "0"], ")", "    ")
        for array in self.rows:
            lines += emission._room(array, [*emission._row_shape(emission.storages[array]), f"{blocks} * THREADS"])
        for _, target, sums, own_name in joins:
            if own_name:
                lanes = f"(*{emission.given(target)}.shape, {blocks} * THREADS)"
                lines.append(f'    {own_name} = room({stream}, "{own_name}", {lanes})')
            entries = f"{emission.given(target)}.size" if own_name else "1"
            lines.append(f'    {sums} = room({stream}, "{sums}", ({entries}, {blocks}))')
        lines += listed("    launch(", [name, blocks, "THREADS", stream, *given], ")", "    ")
        for kind, target, sums, own_name in joins:
            whole = emission.given(target if own_name else target[: target.index("[")])
            place = "0" if own_name else _flat(whole, _places(target))
            lines.append(f"    combine({kind}, {sums}, {whole}, {place}, {stream})")
        return lines


def _loops(lengths: Sequence[str], indent: str) -> tuple[list[str], str, list[str]]:
    """Loops over all entries of an array: the lines, how far they indent, the place of an entry."""
    entry = [f"entry_{place}" for place in range(len(lengths))]
    lines = [
        f"{indent}{'    ' * place}for {name} in range({length}):"
        for place, (name, length) in enumerate(zip(entry, lengths, strict=True))
    ]
    return lines, indent + "    " * len(lengths), entry


def _level(element: Element, nest: Nest) -> int:
    """How many of the loops, from the first on, the place of an entry needs, also by way of what has a name."""
    made = {statement.name: statement.value for statement in nest.body if isinstance(statement, Assignment)}
    names, fresh = set[str](), expression_names(element)
    while fresh:
        names |= fresh
        fresh = set().union(*(expression_names(made[name]) for name in fresh if name in made)) - names
    return max((place + 1 for place, loop in enumerate(nest.loops) if loop.axis in names), default=0)


def _flat(array: str, places: Sequence[str]) -> str:
    """Where an entry stands in the memory of its array."""
    flat = places[0]
    for place, one in enumerate(places[1:], 1):
        flat = f"{flat if place == 1 else f'({flat})'} * {array}.shape[{place}] + {one}"
    return flat


def array_type(kind: str, rank: int) -> str:
    return f"{kind}[{', '.join([':'] * (rank - 1) + ['::1'])}]"


def joined(kind: str, one: str, two: str) -> str:
    if kind == "sum":
        return f"{one} + {two}" if two.isidentifier() else f"{one} + ({two})"
    return f"joined({REDUCTIONS[kind].cuda}, {one}, {two})"


def _low(loop: LoopRange) -> str:
    return one_of_text("builtins.max", loop.low)


def _count(loop: LoopRange) -> str:
    """How many indices a loop with one bound on each side has, as a factor."""
    low, high = loop.low[0], loop.high[0]
    stop = affine_text(high._replace(offset=high.offset + 1))
    return factor_text(stop) if not low.terms and not low.offset else f"({stop} - {factor_text(affine_text(low))})"


def _stop(loop: LoopRange) -> str:
    return one_of_text("builtins.min", tuple(form._replace(offset=form.offset + 1) for form in loop.high))


def _product_of(loops: Sequence[LoopRange]) -> str:
    """How many points several loops have together."""
    return " * ".join(f"builtins.max(0, {_count(loop)})" for loop in loops)


def _places(text: str) -> list[str]:
    """The places of an entry, for a name."""
    return [part for part in text[text.index("[") + 1 : -1].split(", ") if part]


def _names_read(expression: Expression) -> set[str]:
    """The numbers and extents that stand in an expression, but for those inside of array entries."""
    return expression_names(without_elements(expression, lambda element: ""))
