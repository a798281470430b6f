"""The text of a pass over the data: buffers of a block, and nests whose innermost loop runs over its lanes."""

from __future__ import annotations

from collections.abc import Iterable

from ...program import (
    REDUCTIONS,
    Accumulate,
    Affine,
    Assignment,
    Element,
    Expression,
    Fill,
    Nest,
    Pass,
    Product,
    Storage,
    Store,
)
from ...text.arrays import (
    elements_of,
    factor_text,
    factors,
    kind_text,
    length_text,
    loop_line,
    names_read,
    number_text,
    uses_axis,
    without_elements,
)
from ...text.expressions import affine_text, expression_text, listed
from .scope import Scope

# Points of the data per block: few where a pass keeps many rows, so that they stay in the cache.
_FEW, _SOME, _MANY = 64, 128, 256
_SOME_LENGTH = 32  # what a symbolic extent is taken for when rows are counted


class PassText:
    """The text of one pass."""

    def __init__(self, scope: Scope, step: Pass) -> None:
        self.scope, self.step = scope, step
        self.local = scope.local
        self.start, self.stop, self.first, self.count = (self.local(n) for n in ("start", "stop", "first", "count"))
        self.packed: dict[tuple[str, int], str] = {}  # arrays that hold a row per data index, transposed
        self.unpacked: dict[tuple[str, int], str] = {}  # arrays whose rows are written, from lanes
        self.shifted: dict[tuple[str, int], str] = {}  # copies of vectors at shifted places, held inside
        self.buffers: dict[str, Storage] = {}
        self.needs: dict[str, None] = {}  # names from the kernel
        self.held: dict[str, str] = {}  # arrays that places are held inside of, and what stands for them
        statements = [s for inner in step.steps if isinstance(inner, Nest) for s in inner.body]
        self.stored = {statement.target.array for statement in statements if isinstance(statement, Store)}
        self.joined = {statement.target.array for statement in statements if isinstance(statement, Accumulate)}

    def function(self) -> tuple[str, list[str]]:
        scope, step = self.scope, self.step
        calls: list[str] = []
        for inner in step.steps:
            if isinstance(inner, Fill):
                calls.append(f"        {inner.array}.fill({number_text(inner.value)})")
                self._note(inner.array)
            elif isinstance(inner, Nest):
                calls += self._nest(inner)
            elif isinstance(inner, Product):
                calls += self._product(inner)
        block = self._block()
        memory = self._memory(block)
        sums = [array for _, array in step.accumulated]
        inner_names = [name for name in scope.order() if name in self.needs and name not in sums]
        name = step.name
        lines = ["@njit(**OPTIONS)", *listed(f"def {name}(", [self.start, self.stop, *inner_names, *sums], "):")]
        lines += memory
        lines.append(f"    for {self.first} in range({self.start}, {self.stop}, {block}):")
        lines.append(f"        {self.count} = min({block}, {self.stop} - {self.first})")
        lines += self._block_views()
        lines += calls
        for (array, shift), buffer in self.unpacked.items():
            lines.append(f"        unpack_{scope.rank(array)}({buffer}, {array}[{self.span(shift)}])")
        scope.functions.append(lines)
        types = [scope.type(argument) for argument in inner_names]
        types += [f"types.Array(float64, {scope.rank(array)}, 'C')" for array in sums]
        scope.compiled[name] = ["types.int64", "types.int64", *types]
        return name, inner_names

    def _note(self, array: str) -> None:
        """Notes that a name is used: a buffer of this pass, or an array or number of the kernel."""
        storage = self.scope.storages.get(array)
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
        # What is transposed into rows has to stay in the first cache while it is read.
        rows += _SOME_LENGTH * (len(self.packed) + len(self.unpacked))
        if any(isinstance(inner, Product) for inner in self.step.steps):
            return _MANY
        return _MANY if rows < _SOME_LENGTH else _SOME if rows <= 250 else _FEW

    def _shape(self, storage: Storage) -> list[str]:
        derived = self.scope.program.derived
        return [length_text(own, derived) for place, own in enumerate(storage.shape) if place != storage.data]

    def span(self, shift: int) -> str:
        """The indices of the block, or those so many places later, as a slice."""
        begin = f"{self.first} {'+' if shift > 0 else '-'} {abs(shift)}" if shift else self.first
        return f"{begin}:{begin} + {self.count}"

    def room(self, array: str) -> str:
        """What stands for an array that places are held inside of."""
        self._note(array)
        self._note_extents(self.scope.shape(array))
        return self.held.setdefault(array, self.scope.held_name(array))

    def _padded(self, name: str) -> list[str]:
        lengths = self.scope.padded(name)
        return [text for place, text in enumerate(lengths) if place != self.buffers[name].data]

    def _memory(self, block: int) -> list[str]:
        lines = [self.scope.held_line(array) for array in self.held if array not in self.buffers]
        for name, storage in self.buffers.items():
            shape = self._padded(name) if name in self.held else self._shape(storage)
            size = " * ".join([*(factor_text(text) for text in shape), str(block)])
            kind = kind_text(storage.kind, "real")
            lines.append(f"    {self.local(name + '_memory')} = np.empty({size}, {kind})")
            self._note_extents(storage.shape)
        for (array, _), buffer in self.packed.items():
            lines.append(f"    {self.local(buffer + '_memory')} = np.empty({self._row_size(array)} * {block}, real)")
        for (array, _), buffer in self.shifted.items():
            kind = kind_text(self.scope.kind(array), "real")
            lines.append(f"    {self.local(buffer + '_memory')} = np.empty({block}, {kind})")
        for (array, _), buffer in self.unpacked.items():
            lines.append(f"    {self.local(buffer + '_memory')} = np.empty({self._row_size(array)} * {block}, real)")
        return lines

    def _note_extents(self, lengths: Iterable[Affine]) -> None:
        for length in lengths:
            for name, _ in length.terms:
                if name != self.step.axis:
                    self.needs[name] = None

    def _row_size(self, array: str) -> str:
        return " * ".join(f"{array}.shape[{place}]" for place in range(1, self.scope.rank(array)))

    def _block_views(self) -> list[str]:
        """The buffers as arrays that hold just this block."""
        lines = []
        for name, storage in self.buffers.items():
            lines += self._view(name, self._shape(storage))
            if name in self.held:
                lines += self._view(self.held[name], self._padded(name), name)
        for (array, shift), buffer in self.packed.items():
            rank = self.scope.rank(array)
            lines += self._view(buffer, [f"{array}.shape[{place}]" for place in range(1, rank)])
            lines.append(f"        pack_{rank}({array}[{self.span(shift)}], {buffer})")
        for (array, shift), buffer in self.shifted.items():
            lines += self._view(buffer, [])
            begin = f"{self.first} {'-' if shift < 0 else '+'} {abs(shift)}" if shift else self.first
            lines.append(f"        copy_shifted({array}, {begin}, {buffer})")
        for (array, _), buffer in self.unpacked.items():
            rank = self.scope.rank(array)
            lines += self._view(buffer, [f"{array}.shape[{place}]" for place in range(1, rank)])
        return lines

    def _view(self, name: str, shape: list[str], of: str = "") -> list[str]:
        memory = self.local(f"{of or name}_memory")
        if not shape:
            return [f"        {name} = {memory}[:{self.count}]"]
        size = " * ".join([*(factor_text(text) for text in shape), self.count])
        return [f"        {name} = {memory}[:{size}].reshape(({', '.join([*shape, self.count])}))"]

    def _product(self, step: Product) -> list[str]:
        """A product of matrices on the block; what is added up over the data is written the first time."""
        scope, axis = self.scope, self.step.axis
        texts = []
        for own in (step.target, step.left, step.right):
            self._note(own.array)
            storage = scope.storages.get(own.array)
            is_buffer = storage is not None and storage.data is not None
            text = own.array
            if axis in own.axes and not is_buffer:
                place = own.axes.index(axis)
                text += f"[{':, ' * place}{self.first}:{self.first} + {self.count}]"
            texts.append((text, own.axes))
        target = texts[0][0]
        one, two = factors(texts[0][1], texts[1:], step.inner)
        comment = f"        # {step.comment}"
        # What is added up over the data is written the first time, and added to from then on.
        adds = f"{self.first} > {self.start}" if step.adds else "False"
        if step.adds and scope.program.dtype == "float32":  # its sums are kept in float64
            return [comment, f"        wide_product({target}, {one}, {two})"]
        return [comment, f"        matrix_product({target}, {one}, {two}, {adds})"]

    def _nest(self, nest: Nest) -> list[str]:
        text = NestText(self, nest)
        arguments = text.function()
        return listed(f"        {nest.name}(", arguments, ")", "        ")


def _shift_name(shift: int) -> str:
    return f"{'after' if shift >= 0 else 'before'}_{abs(shift)}"


class NestText:
    """The text of one nest of a pass: a function whose innermost loop runs over the lanes of a block."""

    def __init__(self, owner: PassText, nest: Nest) -> None:
        self.owner, self.nest, self.scope = owner, nest, owner.scope
        self.axis = owner.step.axis
        self.loops = {loop.axis for loop in nest.loops}
        self.parameters: dict[str, str] = {}  # name inside, what is given for it
        self.hoisted: dict[str, str] = {}  # text, the name that stands for it
        self.uses_first = False
        self.names: set[str] = set()
        # One name for an array: the function is told that its arrays do not overlap.
        elements = [element for statement in nest.body for element in elements_of(statement)]
        self.held = {own.array for own in elements if self.scope.needs_room(own) and not self._is_shifted(own)}

    def function(self) -> list[str]:
        scope, nest = self.scope, self.nest
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
                    before.append(f"{running[target][0]} = {scope.start(statement.kind)}")
                    joined = REDUCTIONS[statement.kind].join.format(target, running[target][0])
                    after.append(f"{target} = {joined}")
                name = running[target][0]
                body.append(f"{name} = {scope.joined(statement.kind, name, value)}")
                continue
            target = self._read(statement.target, lanes)
            if isinstance(statement, Store):
                body.append(f"{target} = {value}")
            else:
                body.append(f"{target} = {scope.joined(statement.kind, target, value)}")
        return self._finish(before, body, after)

    def _finish(self, before: list[str], body: list[str], after: list[str]) -> list[str]:
        scope, nest, owner = self.scope, self.nest, self.owner
        lines = ["    wide_and_unaliased()"]
        indent = "    "
        for loop in nest.loops:
            lines.append(indent + loop_line(loop))
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
        scope.functions.append(["@njit(**NEST)", *head, *comment, *lines])
        return list(given.values())

    def fresh(self, wanted: str) -> str:
        name, number = f"{wanted}_1", 1
        while name in self.names or name in self.scope.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.names.add(name)
        return name

    def _use(self, name: str) -> None:
        self.parameters[name] = name
        self.owner._note(name)

    def _text(self, expression: Expression, lanes: dict[str, str]) -> str:
        for name in names_read(expression, self.axis, self.loops):
            if name not in self._assigned():
                self._use(name)
        if uses_axis(expression, self.axis):
            self.uses_first = True
        plain = without_elements(expression, lambda element: self._read(element, lanes))
        return expression_text(plain, self.scope.program.dtype, lanes)

    def _assigned(self) -> set[str]:
        if not hasattr(self, "_own"):
            self._own = {s.name for s in self.nest.body if isinstance(s, Assignment)}
        return self._own

    def _is_invariant(self, element: Element) -> bool:
        return all(isinstance(p, Affine) and self.axis not in dict(p.terms) for p in element.index)

    def _target(self, element: Element) -> str:
        self._use_places(element)
        return self.scope.entry_text(element, {}, self._array(element.array))

    def _array(self, array: str) -> str:
        """The name of an array that is read or written entry by entry."""
        if array not in self.held:
            self._use(array)
            return array
        name = self.owner.room(array)
        self.parameters[name] = name
        return name

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
            self._use_places(element)
            return self._hoist(self.scope.entry_text(element, {}, self._array(array)), f"{array}_at")
        shifts = self._shifts(element)
        if self._is_shifted(element):
            return self._shifted(element, shifts[0] or 0)
        moving = [p for p, i in enumerate(element.index) if not isinstance(i, Affine) or self.axis in dict(i.terms)]
        if not element.clamped and len(moving) == 1 and shifts[moving[0]] is not None:
            row = self._row(element, moving[0], shifts[moving[0]] or 0)
            if row is not None:
                return row
        return self._anywhere(element, lanes)

    def _shifts(self, element: Element) -> list[int | None]:
        """For each place how far it is from the index of the data, where it moves with that."""
        return [
            place.offset if isinstance(place, Affine) and place.terms == ((self.axis, 1),) else None
            for place in element.index
        ]

    def _is_shifted(self, element: Element) -> bool:
        """Whether a copy of a part of the vector serves, with its last entry where there is none."""
        shifts = self._shifts(element)
        is_vector = len(shifts) == 1 and element.array in self.scope.inputs
        return bool(element.clamped) and is_vector and shifts[0] is not None

    def _shifted(self, element: Element, shift: int) -> str:
        """An entry of a vector that may lie outside: of a copy of the block that repeats its last entry there."""
        owner, array = self.owner, element.array
        self._use_places(element)
        owner._note(array)
        buffer = owner.shifted.setdefault((array, shift), owner.local(f"{array}_{_shift_name(shift)}"))
        self.parameters[buffer] = buffer
        return f"{buffer}[{self.axis}]"

    def _anywhere(self, element: Element, lanes: dict[str, str]) -> str:
        """An entry at a place that is known in the loop only."""
        array = element.array
        name = self._array(array)
        self._use_places(element)
        storage = self.scope.storages.get(array)
        is_buffer = storage is not None and storage.data is not None
        texts = []
        for place, index in enumerate(element.index):
            if is_buffer and storage is not None and place == storage.data:
                texts.append(self.axis)
            elif isinstance(index, Affine):
                if self.axis in dict(index.terms):
                    self.uses_first = True
                texts.append(self.scope.place_text(element, place, lanes))
            else:
                inner = self._text(index, lanes)
                held = dict(element.clamped)
                if place in held:
                    inner = f"clamped({inner}, {affine_text(held[place])})"
                texts.append(inner)
        return f"{name}[{', '.join(texts)}]"

    def _row(self, element: Element, place: int, shift: int) -> str | None:
        """An entry of a row of lanes, as text."""
        scope, owner, array = self.scope, self.owner, element.array
        storage = scope.storages.get(array)
        others = [affine_text(i) for p, i in enumerate(element.index) if p != place]  # type: ignore[arg-type]
        self._use_places(element)
        if storage is not None and storage.data is not None:
            owner._note(array)
            self.parameters[array] = array
            return f"{array}[{', '.join([*others, self.axis])}]"
        rank = len(element.index)
        if rank == 1:
            suffix = f"_{_shift_name(shift)}" if shift else ""
            name = owner.local(f"{array}_block{suffix}")
            owner._note(array)
            self.parameters[name] = f"{array}[{owner.span(shift)}]"
            return f"{name}[{self.axis}]"
        if place == rank - 1:
            owner._note(array)
            self.parameters[array] = array
            self.uses_first = True
            row = self._hoist(f"{array}[{', '.join(others)}][{owner.span(shift)}]", f"{array}_row")
            return f"{row}[{self.axis}]"
        if place or rank > 3 or scope.kind(array) != "real" or array in owner.joined:
            return None
        owner._note(array)
        suffix = f"_{_shift_name(shift)}" if shift else ""
        blocks = owner.unpacked if array in owner.stored else owner.packed
        buffer = blocks.setdefault((array, shift), owner.local(f"{array}_block{suffix}"))
        self.parameters[buffer] = buffer
        return f"{buffer}[{', '.join([*others, self.axis])}]"

    def _hoist(self, text: str, wanted: str) -> str:
        if text not in self.hoisted:
            self.hoisted[text] = self.fresh(wanted)
        return self.hoisted[text]
