"""The text of a pass over the data: a function that walks them by blocks, with buffers for the rows of a block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...program import Fill, Nest, Operand, Pass, Product
from ...text.arrays import factor_text, factors, kind_text, length_text, number_text, sliced
from ...text.expressions import listed
from .lanes import nest_text
from .rows import Block, Copy, Rows, block_of, entries_of, rows_of
from .scope import Compiled, Scope


def pass_function(scope: Scope, step: Pass) -> Compiled:
    """The function of a pass over [start, stop), with its nests; it is given names of the kernel and its sums."""
    block = block_of(scope, step)
    entries = {inner.name: entries_of(block, inner) for inner in step.steps if isinstance(inner, Nest)}
    rows = rows_of(block, step, entries)
    nests = {name: nest_text(block, own) for name, own in entries.items()}
    calls: list[str] = []
    for inner in step.steps:
        if isinstance(inner, Fill):
            calls.append(f"        {inner.array}.fill({number_text(inner.value)})")
        elif isinstance(inner, Product):
            calls += _product(block, inner)
        elif isinstance(inner, Nest):
            calls += listed(f"        {inner.name}(", list(nests[inner.name].given.values()), ")", "        ")
    sums = [array for _, array in step.accumulated]
    lengths = [length for array in (*rows.held, *rows.buffers) for length in scope.shape(array)]
    needs = {*rows.arrays, *(name for length in lengths for name, _ in length.terms)}
    needs = needs.union(*(nest.given for nest in nests.values())) - {*sums, *rows.buffers}
    given = [name for name in scope.order() if name in needs]
    lines = [
        "@njit(**OPTIONS)",
        *listed(f"def {step.name}(", [block.start, block.stop, *given, *sums], "):"),
        *(scope.held_line(array) for array in rows.held if array not in rows.buffers),
        *_memory(block, rows),
        f"    for {block.first} in range({block.start}, {block.stop}, {rows.points}):",
        f"        {block.count} = min({rows.points}, {block.stop} - {block.first})",
        *_views(block, rows),
        *calls,
        *_unpacked(block, rows.copies),
    ]
    types = ["types.int64", "types.int64", *map(scope.type, given)]
    types += [f"types.Array(float64, {scope.rank(array)}, 'C')" for array in sums]
    return Compiled(step.name, given, types, [*(nest.lines for nest in nests.values()), lines])


# --- rows -------------------------------------------------------------------------------------------------------------


def _memory(block: Block, rows: Rows) -> Iterator[str]:
    """Memory for the rows of a whole block."""
    scope = block.scope
    kept = [(array, _lengths(scope, array, array in rows.held), scope.kind(array)) for array in rows.buffers]
    kept += [(own.name, _copy_lengths(scope, own), scope.kind(own.array)) for own in rows.copies]
    for name, lengths, kind in kept:
        size = " * ".join([*map(factor_text, lengths), str(rows.points)])
        yield f"    {scope.local(f'{name}_memory')} = np.empty({size}, {kind_text(kind, 'real')})"


def _views(block: Block, rows: Rows) -> list[str]:
    """The rows as arrays that hold just this block, and what is read into them."""
    scope = block.scope
    lines: list[str] = []
    for array in rows.buffers:
        lines.append(_view(block, array, array, _lengths(scope, array, False)))
        if array in rows.held:
            lines.append(_view(block, scope.held[array], array, _lengths(scope, array, True)))
    for own in rows.copies:
        lines.append(_view(block, own.name, own.name, _copy_lengths(scope, own)))
        if own.role == "packed":
            lines.append(f"        pack_{scope.rank(own.array)}({own.array}[{block.span(own.shift)}], {own.name})")
        elif own.role == "shifted":
            lines.append(f"        copy_shifted({own.array}, {block.begin(own.shift)}, {own.name})")
    return lines


def _view(block: Block, name: str, memory: str, lengths: Sequence[str]) -> str:
    own = block.scope.local(f"{memory}_memory")
    if not lengths:
        return f"        {name} = {own}[:{block.count}]"
    size = " * ".join([*map(factor_text, lengths), block.count])
    return f"        {name} = {own}[:{size}].reshape(({', '.join([*lengths, block.count])}))"


def _unpacked(block: Block, copies: Sequence[Copy]) -> list[str]:
    """What was written to rows goes to its array."""
    return [
        f"        unpack_{block.scope.rank(own.array)}({own.name}, {own.array}[{block.span(own.shift)}])"
        for own in copies
        if own.role == "unpacked"
    ]


def _lengths(scope: Scope, array: str, is_padded: bool) -> list[str]:
    """The lengths of a buffer but for that of the lanes."""
    if is_padded:
        return scope.padded(array)
    return [length_text(length, scope.program.derived) for length in scope.lengths(array)]


def _copy_lengths(scope: Scope, own: Copy) -> list[str]:
    return [f"{own.array}.shape[{place}]" for place in range(1, scope.rank(own.array))]


# --- products ---------------------------------------------------------------------------------------------------------


def _product(block: Block, step: Product) -> list[str]:
    """A product of matrices on the block; what is added up over the data is written the first time."""

    def text(own: Operand) -> str:
        is_row = block.scope.data(own.array) is not None
        return own.array if is_row else sliced(own, block.axis, block.span(0))

    given = ", ".join([text(step.target), *factors(step, text)])
    comment = f"        # {step.comment}"
    # What is added up over the data is written the first time, and added to from then on.
    adds = f"{block.first} > {block.start}" if step.adds else "False"
    if step.adds and block.scope.program.dtype == "float32":  # its sums are kept in float64
        return [comment, f"        wide_product({given})"]
    return [comment, f"        matrix_product({given}, {adds})"]
