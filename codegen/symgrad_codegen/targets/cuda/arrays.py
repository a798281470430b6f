"""Arrays on a GPU: a thread for each index of the data, sums in the threads' own numbers, joined in a fixed order.

A pass becomes one kernel, or several where a product of matrices stands between: the data are shared out among the
threads of a grid. What varies along the data is a register, or a row of memory `[other axes ...][thread]`; where a
later kernel or a product reads it, `[other axes ...][data]`. A sum over the data is added up by each thread for itself,
then over the threads of a block in shared memory, then over the blocks by a second kernel: in the same order in every
run. A nest outside of the passes is a pass over its first loop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

from ...program import Assignment, Fill, LoopRange, Matrix, Nest, Operand, Pass, Product, Program, Step
from ...text.arrays import extent_lines, factors, inner_steps, number_text, sliced
from ...text.expressions import affine_text, listed
from ...text.module import Module, runtime_text, tuple_lines
from ...text.names import free
from .functions import kernel_table
from .kernels import Range, alone, low_text, shared_out, stop_text
from .scope import DeviceScope, Launch
from .segments import Segment, arrays_of, parts_of, segments_of, shared_loops

RUNTIME = "cuda/runtime_arrays.py"


def module(program: Program, reserved: Iterable[str]) -> Module:
    """Kernels over the data, the function that launches them on arrays of the device, and `kernel` on any arrays."""
    scope = DeviceScope(program, reserved)
    launches = list(_launches(scope))
    kernels = [own.kernel for own in launches if own.kernel is not None]
    functions = [line for own in kernels for line in ("@cuda.jit(cache=CACHE)", *own.lines, "", "")]
    functions += [*_begin(scope), *(line for own in launches for line in own.lines)]
    libraries = any(isinstance(step, (Product, Matrix)) for step in inner_steps(program.steps))
    callers = [
        *_kernel_function(program),
        "",
        "",
        *_shapes_function(scope),
        "",
        "",
        f"INTO, SHAPES = {program.name}_into, {program.name}_shapes",
        f"NEEDS_CUPY = {libraries}",
        "INPUTS = (  # the kind of numbers, and the rank",
        *(f'    ("{own.kind}", {len(own.shape)}),' for own in program.inputs),
        ")",
        *kernel_table("and the types of their arguments", {own.name: own.types for own in kernels}),
    ]
    return Module(
        "NumPy and numba-cuda" + (", and CuPy for linear algebra" if libraries else ""),
        functions,
        imports=["import builtins"],
        callers=callers,
        runtime=runtime_text(RUNTIME),
    )


def _kernel_function(program: Program) -> list[str]:
    out, stream = free(("out", "stream"), program.arguments)
    return [
        *listed(f"def {program.name}(", [*program.arguments, f"{out}=None", f"{stream}=0"], "):"),
        '    """Values and derivatives: on the device where an argument is there, else numbers and NumPy arrays."""',
        *tuple_lines("    return run_arrays(", program.arguments, f", {out}, {len(program.values)}, {stream})", "    "),
    ]


def _shapes_function(scope: DeviceScope) -> list[str]:
    program = scope.program
    shapes = [scope.result_shape(output, "builtins.") for output in program.outputs]
    return [
        *listed(f"def {program.name}_shapes(", program.arguments, "):"),
        '    """The shapes of the values and derivatives; () of a number."""',
        *extent_lines(program, "builtins."),
        *tuple_lines("    return ", shapes, indent="    "),
    ]


def _begin(scope: DeviceScope) -> list[str]:
    """The head of the function that launches everything, with room for what the program keeps."""
    program = scope.program
    head = [scope.stream, *program.arguments, *program.values, *program.gradients]
    lines = listed(f"def {program.name}_into(", head, "):")
    lines.append('    """Fills arrays on the device with values and derivatives: of numbers they have one entry."""')
    lines += extent_lines(program, "builtins.")
    lines += [f"    {own.name} = number({own.name})" for own in program.inputs if not own.shape and own.kind == "real"]
    for storage in program.storages:
        if storage.data is None:
            lines += scope.room(storage.name, scope.row_shape(storage) or ["1"], storage.kind)
    for name, kind in scope.kinds.items():
        if name not in program.numbers:
            lines += scope.room(name, ["1"], kind)
    for array, held in scope.held.items():
        if scope.data(array) is None:
            shape, instead = scope.padded(array, "builtins."), f"{array} if {array}.size else "
            lines += scope.room(held, shape, scope.kind(array), instead)
    return lines


def _launches(scope: DeviceScope) -> Iterator[Launch]:
    for is_alone, steps in groupby(scope.program.steps, _is_alone):
        if is_alone:
            yield alone(scope, [step for step in steps if isinstance(step, (Nest, Assignment))])
        else:
            for step in steps:
                yield from _step(scope, step)


def _is_alone(step: Step) -> bool:
    """Whether one thread does a step: numbers, and single entries."""
    return isinstance(step, Assignment) or (isinstance(step, Nest) and not shared_loops(step))


def _step(scope: DeviceScope, step: Step) -> Iterator[Launch]:
    if isinstance(step, Fill):
        yield Launch([f"    set_all({step.array}, {number_text(step.value)}, {scope.stream})"])
    elif isinstance(step, Nest):
        shared = shared_loops(step)
        yield from _pass(scope, step.name, Range(step.loops[:shared]), [step._replace(loops=step.loops[shared:])])
    elif isinstance(step, Pass):
        yield from _pass(scope, step.name, Range((LoopRange(step.axis, (step.low,), (step.high,)),)), step.steps)
    elif isinstance(step, Product):
        left, right = factors(step)
        yield Launch([f"    matrix_product({step.target.array}, {left}, {right}, False, {scope.stream})"])
    elif isinstance(step, Matrix):
        arguments = ", ".join([step.target, *step.arguments])
        yield Launch([f"    matrix_{step.function}({arguments}, {scope.stream})"])


# --- passes -----------------------------------------------------------------------------------------------------------


def _pass(scope: DeviceScope, name: str, over: Range, steps: Sequence[Step]) -> Iterator[Launch]:
    """The kernels of a pass, one after the other, and the products of matrices between them."""
    rows = {own for own, storage in scope.storages.items() if storage.data is not None}
    segments = segments_of(over.axes, steps, rows)
    if any(isinstance(segment, Product) for segment in segments):
        # Rows are in memory anyway, and the data of such a pass are often short.
        segments = [part for segment in segments for part in parts_of(segment, over.loops[0])]
    lines = [f"    # over {', '.join(over.axes)}"]
    if not over.is_product:
        lines += [f"    {scope.low} = {low_text(over.loops[0])}", f"    {scope.stop} = {stop_text(over.loops[0])}"]
    long = _long(segments, rows)
    for array in long:
        length = f"builtins.max(1, {scope.stop} - {scope.low})"
        lines += scope.room(array, [*scope.row_shape(scope.storages[array]), length], scope.kind(array))
    yield Launch(lines)
    own_name = name
    for segment in segments:
        if isinstance(segment, Product):
            yield _product(scope, segment, over.axes[0], long)
        else:
            yield shared_out(scope, own_name or scope.free(name), Range((*segment.loops, *over.loops)), segment, long)
            own_name = ""


def _long(segments: Sequence[Segment | Product], rows: Collection[str]) -> list[str]:
    """The arrays along the data that are kept whole: several kernels use them, or a product."""
    uses: dict[str, list[Segment | Product]] = {}
    for segment in segments:
        for array in sorted(arrays_of(segment) & set(rows)):
            uses.setdefault(array, []).append(segment)
    return [name for name, own in uses.items() if len(own) > 1 or isinstance(own[0], Product)]


def _product(scope: DeviceScope, step: Product, axis: str, long: Collection[str]) -> Launch:
    def text(own: Operand) -> str:
        if axis not in own.axes or own.array not in long:
            return sliced(own, axis, f"{scope.low}:{scope.stop}")
        lengths = [f":{affine_text(length) if own.array in scope.held else ''}" for length in scope.lengths(own.array)]
        return f"{own.array}[{', '.join([*lengths, f': {scope.stop} - {scope.low}'])}]"

    given = [text(step.target), *factors(step, text), str(step.adds), scope.stream]
    comment = [f"    # {step.comment}"] if step.comment else []
    return Launch([*comment, *listed("    matrix_product(", given, ")", "    ")])
