"""The peers on a GPU: each takes a workload and its inputs there by name, and builds what can be built once.

They have the names that they have on the CPU. The inputs are arrays of Numba, which all of them use without a copy. In
Numba's simulator the other libraries compute on the host, and a kernel by hand is run as Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from . import black_scholes, gaussian_mixture, logistic_loss, neuron
from .array_peers import jax_functions, split, torch_functions
from .array_workload import Arrays, ArrayWorkload
from .device_arrays import SIMULATED, to_host, unset
from .peers import Peer, torch_function
from .workload import Workload

Call = Callable[[], Sequence[Any]]


class Ready(NamedTuple):
    """A peer that is built."""

    start: Callable[[], Call]  # makes the arrays that calls fill; a call returns the value and the derivatives
    wait: Callable[[Any], Any] = lambda results: None  # for results of streams other than the default one


DEVICE_PEERS: dict[str, Peer] = {}


def peer(name: str, words: str, *packages: str) -> Callable[[Callable[[Any, Arrays], Ready]], Any]:
    """Enters a peer in the table."""

    def enter(make: Callable[[Any, Arrays], Ready]) -> Callable[[Any, Arrays], Ready]:
        DEVICE_PEERS[name] = Peer(name, words, packages, make)
        return make

    return enter


def dtype_of(inputs: Arrays) -> str:
    return str(next(iter(inputs.values())).dtype)


def new_results(workload: Workload | ArrayWorkload, inputs: Arrays) -> list[Any]:
    """Arrays on the device for the value and the derivatives."""
    if isinstance(workload, ArrayWorkload):
        shapes = [(), *(tuple(inputs[name].shape) for name in workload.parameters)]
    else:
        shapes = [tuple(array.shape) for array in (next(iter(inputs.values())), *inputs.values())]
    return [unset(shape, dtype_of(inputs)) for shape in shapes]


@cache
def kernel_of(workload: Workload | ArrayWorkload, dtype: str) -> Any:
    """What symgrad compiles."""
    import sympy

    import symgrad

    if isinstance(workload, ArrayWorkload):
        expression, symbols = workload.formula()
        wrt = [symbol for symbol in symbols if symbol.name in workload.parameters]
    else:
        wrt = symbols = sympy.symbols(workload.inputs)
        expression = workload.formula(sympy, symbols)
    return symgrad.compile(expression, args=symbols, wrt=wrt, target="cuda", dtype=dtype)


@peer("symgrad", "symgrad, target cuda, out=")
def symgrad(workload: Workload | ArrayWorkload, inputs: Arrays) -> Ready:
    kernel, arguments = kernel_of(workload, dtype_of(inputs)), list(inputs.values())

    def start() -> Call:
        value, *derivatives = new_results(workload, inputs)

        def call() -> Sequence[Any]:
            result = kernel(*arguments, out=(value, derivatives))
            return [result.value, *result.grad]

        return call

    return Ready(start)


# By hand: one kernel for all results of a point, with what a person knows. Lines that are C as well as Python; R is the
# type of numbers, so that no float32 becomes a float64.

NEURON = """
value = R(1)/(R(1) + exp(-(w0*x0 + w1*x1 + w2)))
d_w2 = value*(R(1) - value)
d_w0 = d_w2*x0
d_x0 = d_w2*w0
d_w1 = d_w2*x1
d_x1 = d_w2*w1
"""

BLACK_SCHOLES = f"""
root = sqrt(T)
deviation = v*root
d1 = (log(S/K) + (r + R(0.5)*v*v)*T)/deviation
n1 = R(0.5) + R(0.5)*erf(d1*R({black_scholes.ROOT_HALF}))
n2 = R(0.5) + R(0.5)*erf((d1 - deviation)*R({black_scholes.ROOT_HALF}))
discounted = exp(-r*T)*n2
strike = K*discounted
density = S*R({black_scholes.DENSITY_AT_0})*exp(-R(0.5)*d1*d1)
value = S*n1 - strike
d_S = n1
d_K = -discounted
d_T = R(0.5)*density*v/root + r*strike
d_r = T*strike
d_v = density*root
"""

# Of a row of the data: its loss, and the derivative by its score.
LOGISTIC_LOSS = """
margin = y*score
loss = log1p(exp(-fabs(margin))) + fmax(-margin, R(0))
d_score = -y/(R(1) + exp(margin))
"""


def by_points(workload: Workload, lines: str, inputs: Arrays) -> Ready:
    results = ["value", *(f"d_{name}" for name in workload.inputs)]
    kernel, arguments = elementwise(lines, workload.inputs, results), library_arrays(inputs)

    def start() -> Call:
        outputs = library_arrays(dict(enumerate(new_results(workload, inputs))))

        def call() -> Sequence[Any]:
            kernel(*arguments.values(), *outputs.values())
            return list(outputs.values())

        return call

    return Ready(start)


def logistic_by_hand(workload: ArrayWorkload, inputs: Arrays) -> Ready:
    """cuBLAS for the two products, and between them one kernel."""
    X, y, w = library_arrays(inputs).values()
    kernel = elementwise(LOGISTIC_LOSS, ("y", "score"), ("loss", "d_score"))

    def start() -> Call:
        loss, d_score = y.copy(), y.copy()

        def call() -> Sequence[Any]:
            kernel(y, X @ w, loss, d_score)
            return [loss.sum(), d_score @ X]

        return call

    return Ready(start)


def mixture_by_hand(workload: ArrayWorkload, inputs: Arrays) -> Ready:
    """What is written with NumPy, done by CuPy: products of matrices, and an array for each step between them."""
    arguments = library_arrays(inputs)
    return Ready(lambda: lambda: workload.by_hand(arguments))


LINES = {neuron.by_hand: NEURON, black_scholes.by_hand: BLACK_SCHOLES}
OF_ARRAYS = {logistic_loss.with_numpy: logistic_by_hand, gaussian_mixture.with_numpy: mixture_by_hand}


@peer("hand", "its text as Python, by NumPy" if SIMULATED else "CuPy by hand", *([] if SIMULATED else ["cupy"]))
def hand(workload: Workload | ArrayWorkload, inputs: Arrays) -> Ready:
    if isinstance(workload, ArrayWorkload):
        return OF_ARRAYS[workload.with_numpy](workload, inputs)
    return by_points(workload, LINES[workload.by_hand], inputs)


def elementwise(lines: str, inputs: Sequence[str], outputs: Sequence[str]) -> Callable[..., Any]:
    """kernel(*inputs, *outputs) of lines that assign one number each."""
    if SIMULATED:
        return elementwise_in_python(lines, inputs, outputs)
    import cupy

    given, made = (", ".join(f"R {way}_{name}" for name in names) for way, names in (("in", inputs), ("out", outputs)))
    return cupy.ElementwiseKernel(given, made, "\n".join(c_lines(lines, inputs, outputs)), "by_hand")


def c_lines(lines: str, inputs: Sequence[str], outputs: Sequence[str]) -> Iterator[str]:
    """All is read first and written last: for all that the compiler knows, arrays overlap."""
    yield from (f"const R {name} = in_{name};" for name in inputs)
    yield from (f"const R {line};" for line in lines.strip().splitlines())
    yield from (f"out_{name} = {name};" for name in outputs)


def elementwise_in_python(lines: str, inputs: Sequence[str], outputs: Sequence[str]) -> Callable[..., Any]:
    functions = {name: getattr(np, name) for name in ("exp", "log", "log1p", "sqrt", "fabs", "fmax")}
    code = compile(lines, "by hand", "exec")

    def kernel(*arrays: Any) -> None:
        given, targets = arrays[: len(inputs)], arrays[len(inputs) :]
        names = {
            **functions,
            "erf": black_scholes.erf,
            "R": arrays[0].dtype.type,
            **dict(zip(inputs, given, strict=True)),
        }
        exec(code, names)
        for name, target in zip(outputs, targets, strict=True):
            target[...] = names[name]

    return kernel


def library_arrays(arrays: dict[Any, Any]) -> dict[Any, Any]:
    """The arrays as those of CuPy."""
    if SIMULATED:
        return {name: to_host(array) for name, array in arrays.items()}
    import cupy

    return {name: cupy.asarray(array) for name, array in arrays.items()}


# Other ways to a gradient ---------------------------------------------------------------------------------------------


@peer("jax", "jax.jit(value_and_grad)", "jax")
def jax(workload: Workload | ArrayWorkload, inputs: Arrays) -> Ready:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")  # else float32 is multiplied with 10 bits
    if not SIMULATED and jax.default_backend() != "gpu":
        raise RuntimeError("JAX sees no GPU: pip install 'jax[cuda13]'")
    arrays = {name: jnp.asarray(to_host(array) if SIMULATED else array) for name, array in inputs.items()}
    arguments: Sequence[Any]
    if isinstance(workload, ArrayWorkload):
        loss_functions = jax_functions()
        arguments = split(workload, arrays)
        gradient = jax.jit(jax.value_and_grad(lambda these, others: workload.loss(loss_functions, **these, **others)))
    else:
        functions = SimpleNamespace(exp=jnp.exp, log=jnp.log, sqrt=jnp.sqrt, erf=jax.scipy.special.erf)
        arguments, places = list(arrays.values()), tuple(range(len(arrays)))
        gradient = jax.jit(jax.vmap(jax.value_and_grad(lambda *x: workload.formula(functions, x), argnums=places)))

    def call() -> Sequence[Any]:
        value, derivatives = gradient(*arguments)
        return [value, *in_order(workload, derivatives)]

    return Ready(lambda: call, jax.block_until_ready)


@peer("torch-compile", "torch.compile of the gradient by autograd", "torch")
def torch_compile(workload: Workload | ArrayWorkload, inputs: Arrays) -> Ready:
    import torch

    torch.compiler.reset()  # so that no compiled function is made general for the shapes of two workloads
    if not SIMULATED and not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no GPU")
    tensors = {
        name: torch.from_numpy(to_host(array)) if SIMULATED else torch.as_tensor(array, device="cuda")
        for name, array in inputs.items()
    }
    arguments: Sequence[Any]
    if isinstance(workload, ArrayWorkload):
        functions = torch_functions()
        arguments = split(workload, tensors)
        gradient = torch.func.grad_and_value(lambda these, others: workload.loss(functions, **these, **others))
    else:
        function, arguments = torch_function(workload), list(tensors.values())

        def gradient(*inputs: Any) -> Any:
            value, pull_back = torch.func.vjp(function, *inputs)
            return pull_back(torch.ones_like(value)), value

    compiled = torch.compile(gradient)

    def call() -> Sequence[Any]:
        derivatives, value = compiled(*arguments)
        return [value, *in_order(workload, derivatives)]

    return Ready(lambda: call)


def in_order(workload: Workload | ArrayWorkload, derivatives: Any) -> Sequence[Any]:
    """The derivatives as a list, where they come by name."""
    return [derivatives[name] for name in workload.parameters] if isinstance(workload, ArrayWorkload) else derivatives
