"""Where the entries of a sparse derivative are, as a program says it: for modules that stand alone."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad_codegen import program
from symgrad_codegen.program import Affine, Expression, LoopRange
from symgrad_codegen.text.patterns import spells

from ..errors import UnsupportedExpression
from ..graph.node import View
from .bounds import Body
from .layout import Layout


def pattern(layout: Layout) -> program.Pattern | None:
    """The pattern of families of entries; None where there are none.

    Raises UnsupportedExpression where programs have no words for an index.
    """
    own = layout.graph.pattern
    if own is None:
        return None
    sinks = {sink.output: sink for sink in layout.plan.sinks}
    outputs = layout.graph.outputs[len(layout.graph.outputs) - len(own.families) :]
    found = []
    for output, (located, rows, columns, there) in zip(outputs, own.told(), strict=True):
        body, loops, at = Body(layout), list[LoopRange](), dict[int, Affine]()
        for axis, (low, high) in enumerate(output.bounds):
            name = layout.loop_name(layout.plan.class_of(sinks[output], axis), [loop.axis for loop in loops])
            at[axis] = Affine(((name, 1),))
            loops.append(LoopRange(name, (layout.affine(low),), (layout.affine(high),)))

        def spelled(views: Sequence[View], body: Body = body, at: dict[int, Affine] = at) -> tuple[Expression, ...]:
            values = [value for view in views if (value := body.value(view, at)) is not None]
            if len(values) < len(views) or not all(map(spells, [*values, *(made.value for made in body.statements)])):
                raise UnsupportedExpression(
                    "a module has no words for an index of this sparse derivative; give it as an array of integers"
                )
            return tuple(values)

        row, column, (is_there,) = spelled(rows), spelled(columns), spelled([there.view])
        family = program.Family(
            layout.output_names[output],
            tuple(loops),
            tuple(body.statements),
            row,
            column,
            is_there,
            (located.row, located.column),
            located.is_mirrored,
            layout.called.quotient(output, at),
        )
        found.append(family)
    row_shapes, column_shapes = (
        tuple(tuple(map(layout.affine, shape)) for shape in side) for side in (own.rows, own.columns)
    )
    return program.Pattern(row_shapes, column_shapes, tuple(found))
