"""One program, run by symgrad in several ways and compared with the oracle.

    from trials import check
    check(sp.Sum(x[i]**2, (i, 0, n - 1)), {"x": np.arange(3.0)})        # raises AssertionError where it is wrong

The ways are the reference evaluator, and the emitted module as plain Python, in which every new array is full of NaN
and an index that is negative or a slice that reaches out of its array is an error; both behind the checks of a
kernel's call. Compiled kernels are a third.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import oracle

import symgrad
from symgrad.evaluate.evaluation import evaluate
from symgrad.kernel.arguments import Shapes
from symgrad.kernel.host import HostRunner
from symgrad.kernel.reference import Reference
from symgrad.kernel.runner import RUNNERS
from symgrad.kernel.sparse import Placed
from symgrad.result import HessianResult, JacobianResult

# What symgrad says when it refuses: with these, and a message. An IndexError is one of a call's checks.
REFUSALS = (symgrad.UnsupportedExpression, symgrad.ShapeError, IndexError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Program:
    """An expression and the inputs that it is tried at."""

    expression: Any
    inputs: Mapping[str, Any]  # arrays of floats and of integers, numbers, extents that no array tells
    extents: Mapping[str, int] = field(default_factory=dict)  # told when it is compiled
    dtype: str = "float64"
    derivative: str = "gradient"  # or hessian; or jacobian, of a family
    family: tuple[Any, Any] | None = None  # an index of the expression, and its extent: there is an output for each

    def __str__(self) -> str:
        more = f" for {self.family[0]} from 0 to {self.family[1]} - 1" if self.family else ""
        return f"{self.expression}{more}{self._data()}"

    def _data(self) -> str:
        data = ", ".join(f"{name}={_listed(value)}" for name, value in self.inputs.items())
        more = f", extents={dict(self.extents)}" if self.extents else ""
        return f"\n    at {data}{more}" + (f" in {self.dtype}" if self.dtype != "float64" else "")

    def want(self) -> oracle.Answer | list[oracle.Answer]:
        if self.family is not None:
            return oracle.family(self.expression, *self.family, self.inputs, self.extents, self.dtype)
        order = 2 if self.derivative == "hessian" else 1
        return oracle.evaluate(self.expression, self.inputs, self.extents, self.dtype, order)


def _listed(value: Any) -> str:
    array = np.asarray(value)
    text = str(array.tolist())
    shape = f" of shape {array.shape}" if not array.size else ""
    return (text if len(text) < 400 else f"{text[:400]}...") + shape


class OutOfArray(Exception):
    """A negative index, or a slice that reaches out of its array: NumPy would take it, compiled code runs astray."""


class Guarded(np.ndarray):
    """An array that does not count indices from its end."""

    def __getitem__(self, key: Any) -> Any:
        _check_bounds(self.shape, key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _check_bounds(self.shape, key)
        super().__setitem__(key, value)


def _check_bounds(shape: tuple[int, ...], key: Any) -> None:
    parts = key if type(key) is tuple else (key,)
    for part, length in zip(parts, shape, strict=False):
        if isinstance(part, slice):
            start, stop = part.start or 0, length if part.stop is None else part.stop
            if start < 0 or stop < 0 or max(start, stop) > length:
                raise OutOfArray(f"the slice {start}:{stop} of an axis of {length}")
        elif isinstance(part, int | np.integer) and not 0 <= part < length:
            raise OutOfArray(f"the index {part} of an axis of {length}")


class _Poisoned:
    """NumPy, with NaN in every new array: what is read before it is written shows."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any = float) -> Any:
        return np.full(shape, np.nan, dtype).view(Guarded)


class _Quiet:
    """The module math, with infinity and NaN where that raises: as compiled code has it."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(math, name)

        def quiet(*arguments: Any) -> Any:
            try:
                return np.float64(function(*arguments))
            except (OverflowError, ValueError):
                return np.float64(getattr(np, name, lambda *_: np.nan)(*arguments))

        return quiet


class PlainRunner(HostRunner):
    """Runs the emitted module as plain Python, but for numbers that divide by 0 as compiled ones do."""

    def _load(self) -> str:
        if not self._compiled.has_arrays:  # none is left in the expression, and nothing is run
            self._run_outputs = Reference(self._compiled.graph, self._kind).points
            return "nothing"
        assert self._compiled.source is not None
        names: dict[str, Any] = {"__name__": "emitted", "np": _Poisoned(), "math": _Quiet()}
        source = self._compiled.source.replace("import numpy as np\n", "").replace("import math\n", "")
        source = source.replace('real, real_name = float, "float64"', 'real, real_name = np.float64, "float64"')
        exec(compile(source, "<emitted>", "exec"), names)
        into = names[f"{self._options.name}_into"]
        self._walk = names["walk_parts"]
        self._into = lambda walk, *arrays: into(walk, *map(_guarded, arrays))
        return "plain Python"

    def index_range(self, values: Any) -> tuple[int, int]:
        return int(values.min()), int(values.max())

    def _outputs(self, arrays: Sequence[Any], shapes: Shapes, out: Any, placed: Placed | None = None) -> list[Any]:
        outputs = super()._outputs(arrays, shapes, out, placed)
        for array in outputs:
            array.fill(np.nan)
        return outputs


def _guarded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(Guarded)
    return np.float64(value) if isinstance(value, float) else value


@dataclass(frozen=True)
class Second:
    """A value with its gradient and its Hessian, or one triangle of that, by the names of inputs."""

    value: Any
    grad: dict[str, Any]
    hessian: dict[tuple[str, str], Any]


def _by_names(result: Any, kernel: Any) -> Any:
    """What a kernel returns, with a Jacobian and a Hessian by names."""
    names = [symbol.name for symbol in kernel.wrt]
    if isinstance(result, JacobianResult):
        return symgrad.Result(result.value, dict(zip(names, result.jacobian, strict=True)))
    if not isinstance(result, HessianResult):
        return result
    rows = {
        (a, b): block for a, row in zip(names, result.hessian, strict=True) for b, block in zip(names, row, strict=True)
    }
    return Second(result.value, dict(zip(names, result.grad, strict=True)), rows)


def built(program: Program, target: str = "python", **options: Any) -> Any:
    """A kernel for the program; of the target "python" one that runs as plain Python, None where it has no arrays."""
    with mock.patch.dict(RUNNERS, python=PlainRunner):
        kernel = symgrad.compile(
            program.expression if program.family is None else symgrad.family(program.expression, program.family),
            target=target,
            dtype=program.dtype,
            extents=dict(program.extents) or None,
            derivative=program.derivative,
            **options,
        )
    return None if target == "python" and kernel.graph.over_points else kernel


def run_plain(program: Program, kernel: Any) -> Any:
    with np.errstate(all="ignore"):
        return _by_names(kernel(**_named(program, kernel)), kernel)


def run_evaluator(program: Program, kernel: Any) -> Any:
    """The graph of value and gradients on the reference evaluator, behind the checks of a call."""
    arguments = kernel._runner.arguments
    arrays = arguments.arrays(arguments.ordered((), _named(program, kernel)))
    sizes = arguments.shapes_of(arrays).sizes
    outputs = evaluate(kernel.graph, [np.asarray(a) for a in arrays], sizes, program.dtype)
    by = [tuple(kernel.graph.inputs[at] for at in output.by) for output in kernel.graph.outputs]
    found = dict(zip(by, outputs, strict=True))
    gradients = {names[0]: array for names, array in found.items() if len(names) == 1}
    if program.derivative != "hessian":
        return symgrad.Result(found[()], gradients)
    return Second(found[()], gradients, {names: array for names, array in found.items() if len(names) == 2})


def run_compiled(program: Program, _: Any) -> Any:
    """Compiled, with options and kinds of arrays that depend on the program; once more into arrays that are there."""
    variant = zlib.crc32(str(program.expression).encode())
    options = {"accuracy": ("fast", "strict")[variant % 2], "threads": (None, 2)[variant // 2 % 2]}
    kernel = built(program, "cpu", cache=False, **options)
    inputs = {name: _spread(value, variant // 4) for name, value in _named(program, kernel).items()}
    result = kernel(**inputs)
    if program.derivative != "gradient":
        return _by_names(result, kernel)
    out = symgrad.Result(0.0, tuple(np.full_like(array, np.nan) for array in result.grad))
    again = kernel(**inputs, out=out)
    if not _same_bits(result, again):
        raise AssertionError("a second call, into arrays that are there, gives other bits")
    return result


def run_simulated(program: Program, _: Any) -> Any:
    """For a GPU, in the simulator of Numba: in a process that has NUMBA_ENABLE_CUDASIM set."""
    kernel = built(program, "cuda")
    return kernel(**_named(program, kernel))


def run_javascript(program: Program, kernel: Any) -> Any:
    """The module for JavaScript in Node, which checks its arguments itself."""
    from node_arrays import Job, run

    options = {"dtype": program.dtype, "extents": dict(program.extents) or None}
    source = symgrad.emit(program.expression, target="javascript", **options)
    named = _named(program, kernel)
    call = [value if isinstance(value, int) else np.asarray(value) for value in named.values()]
    call = [value.item() if isinstance(value, np.ndarray) and not value.ndim else value for value in call]
    (found,) = run([Job(source, [call])])
    if isinstance(found.calls[0], str):
        raise _refusal(found.calls[0])
    value, gradient = found.calls[0]
    return symgrad.Result(value, dict(zip([symbol.name for symbol in kernel.wrt], gradient, strict=True)))


def _refusal(message: str) -> Exception:
    """What JavaScript has thrown, as what a kernel raises."""
    if not message.startswith(("RangeError: ", "TypeError: ")):
        return AssertionError(message)
    if "out of the bounds" in message:
        return IndexError(message)
    return np.linalg.LinAlgError(message) if "singular" in message else symgrad.ShapeError(message)


def _spread(value: Any, variant: int) -> Any:
    """An array with strides, in Fortran's order, read-only, or as it is."""
    if not isinstance(value, np.ndarray) or not value.size:
        return value
    kind = variant % 4
    array = np.repeat(value, 2, axis=0)[::2] if kind == 1 else np.asfortranarray(value) if kind == 2 else value.copy()
    array.flags.writeable = kind != 3
    return array


def _same_bits(one: Any, two: Any) -> bool:
    pairs = [(one.value, two.value), *zip(one.grad, two.grad, strict=True)]
    return all(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True) for a, b in pairs)


def _named(program: Program, kernel: Any) -> dict[str, Any]:
    return {symbol.name: program.inputs[symbol.name] for symbol in kernel.args}


RUNS: dict[str, Callable[[Program, Any], Any]] = {
    "evaluator": run_evaluator,
    "python": run_plain,
    "compiled": run_compiled,
    "cuda": run_simulated,
    "javascript": run_javascript,
}
QUICK = ("evaluator", "python")


@dataclass(frozen=True)
class Outcome:
    """What came of a program: "right", "refused", "undecided", "out of bounds", "raises" or "wrong"; and why."""

    kind: str  # and "unknown": the oracle has no rule for it; "too large": it takes too long
    why: str = ""
    ratio: float = 0.0  # the error in units of what rounding may do


def tried(program: Program, runs: Sequence[str] = QUICK) -> Outcome:
    """The program in these ways, beside the oracle."""
    try:
        want: oracle.Answer | list[oracle.Answer] | None = program.want()
    except oracle.Undecided as error:
        return Outcome("undecided", str(error))
    except oracle.OutOfBounds:
        want = None  # symgrad has to refuse
    except oracle.Unknown as error:
        return Outcome("unknown", str(error))
    except oracle.TooLarge:
        return Outcome("too large")
    except ZeroDivisionError:
        return Outcome("undecided", "a singular matrix")
    try:
        kernel = built(program)
    except (*REFUSALS, ValueError) as error:
        return Outcome("refused", f"{type(error).__name__}: {error}")
    except Exception as error:
        return Outcome("wrong", f"building raises {error!r}")
    if kernel is None:
        return Outcome("refused", "no array is left in it")
    outcomes = [_compared(f"{name}: ", lambda name=name: RUNS[name](program, kernel), want) for name in runs]
    order = ("wrong", "refused", "raises", "undecided", "right")
    worst = min(outcomes, key=lambda outcome: order.index(outcome.kind))
    if want is None:
        # What the check at a call has refused, no run may compute.
        return Outcome("right") if worst.kind == "refused" else Outcome("wrong", "an index out of bounds is not told")
    return worst


def _compared(name: str, run: Callable[[], Any], want: oracle.Answer | list[oracle.Answer] | None) -> Outcome:
    try:
        result = run()
    except OutOfArray as error:
        return Outcome("wrong", f"{name}{error}")
    except REFUSALS as error:
        if isinstance(error, IndexError) and "out of the bounds" not in str(error):
            return Outcome("wrong", f"{name}raises {error!r}")
        return Outcome("refused", f"{type(error).__name__}: {error}")
    except (OverflowError, ZeroDivisionError, ValueError) as error:
        if "math" in str(error) or "division" in str(error) or isinstance(error, OverflowError):
            return Outcome("raises", f"{name}{error!r}")  # plain Python, where compiled code gives infinity or NaN
        return Outcome("wrong", f"{name}raises {error!r}")
    except Exception as error:
        return Outcome("wrong", f"{name}raises {error!r}")
    if want is None:
        return Outcome("right")
    if isinstance(want, list):
        return _rows(name, result, want)
    gradients = result.grad if isinstance(result.grad, dict) else result.grad.as_dict()
    missing = [name for name in want.gradients if name not in gradients]
    rest = {name: np.zeros(np.shape(want.gradients[name])) for name in missing}
    hessian = _second(result.hessian, want) if isinstance(result, Second) else {}
    found = want.differences(result.value, {**gradients, **rest}, hessian)
    if found:
        return Outcome("wrong", name + "; ".join(found[:6]))
    return Outcome("right", ratio=want.ratio(result.value, {**gradients, **rest}, hessian))


def _rows(name: str, result: Any, want: list[oracle.Answer]) -> Outcome:
    """Each output with its row of the Jacobian."""
    if np.shape(result.value) != (len(want),):
        return Outcome("wrong", f"{name}value of the shape {np.shape(result.value)}, want {len(want)}")
    found, ratio = [], 0.0
    for k, row in enumerate(want):
        zeros = {own: np.zeros(np.shape(slope)) for own, slope in row.gradients.items() if own not in result.grad}
        given = result.value[k], {own: array[k] for own, array in result.grad.items()} | zeros
        found += [f"{line} in row {k}" for line in row.differences(*given)]
        ratio = max(ratio, row.ratio(*given))
    return Outcome("wrong", name + "; ".join(found[:6])) if found else Outcome("right", ratio=ratio)


def _second(hessian: Mapping[tuple[str, str], Any], want: oracle.Answer) -> dict[tuple[str, str], Any]:
    """The blocks of a Hessian that the oracle knows; what is there in neither order is 0."""
    found = {pair: block for pair, block in hessian.items() if pair in want.hessian}
    missing = [pair for pair in want.hessian if pair not in found and pair[::-1] not in found]
    return found | {pair: np.zeros(np.shape(want.hessian[pair])) for pair in missing}


def check(
    expression: Any,
    inputs: Mapping[str, Any],
    extents: Mapping[str, int] | None = None,
    dtype: str = "float64",
    runs: Sequence[str] = QUICK,
) -> Outcome:
    """Raises AssertionError, with what is wrong, where symgrad and the oracle do not agree; text is parsed."""
    expression = symgrad.parse(expression).expression if isinstance(expression, str) else expression
    program = Program(expression, inputs, extents or {}, dtype)
    outcome = tried(program, runs)
    assert outcome.kind != "wrong", f"{outcome.why}\n    {program}"
    return outcome
