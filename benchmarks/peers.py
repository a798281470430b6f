"""The peers: each takes a workload and rows of inputs, and returns a call that gives the value and the derivatives.

What can be made once is made before the call; what a call may reuse (the arrays of results) it reuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, TypeAlias

from .workload import Array, Workload, aligned, jit

Call: TypeAlias = Callable[[], tuple[Any, Sequence[Any]]]


@dataclass(frozen=True)
class Peer:
    name: str
    words: str  # for the table
    packages: tuple[str, ...]  # that it needs
    make: Callable[[Any, Any], Call]  # of a workload and its inputs

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for package in self.packages if find_spec(package) is None]


PEERS: dict[str, Peer] = {}


def peer(name: str, words: str, *packages: str) -> Callable[[Callable[[Workload, Array], Call]], Any]:
    """Enters a peer in the table."""

    def enter(make: Callable[[Workload, Array], Call]) -> Callable[[Workload, Array], Call]:
        PEERS[name] = Peer(name, words, packages, make)
        return make

    return enter


def chosen(names: Sequence[str]) -> list[Peer]:
    """The peers of these names, or whose names begin so: "torch" is both of them. All if there is no name."""
    unknown = [name for name in names if not any(known.startswith(name) for known in PEERS)]
    if unknown:
        raise ValueError(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return [peer for peer in PEERS.values() if not names or any(peer.name.startswith(name) for name in names)]


@peer("symgrad", "symgrad, out=")
def symgrad(workload: Workload, inputs: Array) -> Call:
    import sympy

    import symgrad

    symbols = sympy.symbols(workload.inputs)
    kernel = symgrad.compile(workload.formula(sympy, symbols), args=symbols)
    out = kernel(*inputs)
    return lambda: kernel(*inputs, out=out)


# Kernels by hand. The first is what one writes at first; the second asks for all that Numba can do.


def by_hand(workload: Workload, inputs: Array, functions: SimpleNamespace) -> Call:
    kernel = jit(workload.loop(functions))
    outputs = aligned(1 + len(inputs), inputs.shape[1])
    results = outputs[0], list(outputs[1:])

    def call() -> tuple[Any, Sequence[Any]]:
        kernel(*inputs, *outputs)
        return results

    return call


@peer("hand", "Numba by hand, scalar functions")
def hand(workload: Workload, inputs: Array) -> Call:
    from .vector_math import scalar_functions

    return by_hand(workload, inputs, scalar_functions())


@peer("hand-simd", "Numba by hand, SIMD functions")
def hand_simd(workload: Workload, inputs: Array) -> Call:
    from .vector_math import simd_functions

    return by_hand(workload, inputs, simd_functions())


@peer("numpy", "NumPy by hand")
def numpy(workload: Workload, inputs: Array) -> Call:
    def call() -> tuple[Any, Sequence[Any]]:
        value, *derivatives = workload.by_hand(inputs)
        return value, derivatives

    return call


@peer("lambdify", "sympy.lambdify of the gradient, cse, NumPy", "scipy")
def lambdify(workload: Workload, inputs: Array) -> Call:
    import sympy

    symbols = sympy.symbols(workload.inputs)
    value = workload.formula(sympy, symbols)
    outputs = [value, *(sympy.diff(value, symbol) for symbol in symbols)]
    function = sympy.lambdify(symbols, outputs, ["scipy", "numpy"], cse=True)

    def call() -> tuple[Any, Sequence[Any]]:
        value, *derivatives = function(*inputs)
        return value, derivatives

    return call


@peer("jax", "jax.jit(vmap(value_and_grad))", "jax")
def jax(workload: Workload, inputs: Array) -> Call:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    functions = SimpleNamespace(exp=jnp.exp, log=jnp.log, sqrt=jnp.sqrt, erf=jax.scipy.special.erf)
    places, rows = tuple(range(len(inputs))), [jnp.asarray(row) for row in inputs]
    gradient = jax.jit(jax.vmap(jax.value_and_grad(lambda *x: workload.formula(functions, x), argnums=places)))

    def call() -> tuple[Any, Sequence[Any]]:
        value, derivatives = jax.block_until_ready(gradient(*rows))
        return value, derivatives

    return call


def torch_function(workload: Workload) -> Callable[..., Any]:
    """The formula in PyTorch's terms: of one tensor per input, or of one tensor of them all."""
    import torch

    return workload.of_tensor or (lambda *x: workload.formula(torch, x))


def torch_tensors(workload: Workload, inputs: Array) -> list[Any]:
    import torch

    torch.set_num_threads(1)
    return [torch.from_numpy(rows) for rows in (inputs if workload.of_tensor is None else [inputs])]


@peer("torch-compile", "torch.compile(func.vjp)", "torch")
def torch_compile(workload: Workload, inputs: Array) -> Call:
    import torch

    function, tensors = torch_function(workload), torch_tensors(workload, inputs)

    def value_and_gradient(*arguments: Any) -> Any:
        value, pull_back = torch.func.vjp(function, *arguments)
        return value, pull_back(torch.ones_like(value))

    compiled = torch.compile(value_and_gradient)

    def call() -> tuple[Any, Sequence[Any]]:
        value, derivatives = compiled(*tensors)
        return value, derivatives if len(derivatives) > 1 else derivatives[0]

    return call


@peer("torch-eager", "torch.autograd.grad, eager", "torch")
def torch_eager(workload: Workload, inputs: Array) -> Call:
    import torch

    function = torch_function(workload)
    tensors = [tensor.requires_grad_() for tensor in torch_tensors(workload, inputs)]

    def call() -> tuple[Any, Sequence[Any]]:
        value = function(*tensors)
        derivatives = torch.autograd.grad(value.sum(), tensors)
        return value.detach(), derivatives if len(derivatives) > 1 else derivatives[0]

    return call


@peer("heyoka", "heyoka cfunc(diff_tensors), fast_math", "heyoka")
def heyoka(workload: Workload, inputs: Array) -> Call:
    import heyoka

    symbols = heyoka.make_vars(*workload.inputs)
    value = workload.formula(heyoka, symbols)
    tensors = heyoka.diff_tensors([value], diff_args=symbols, diff_order=1)
    function = heyoka.cfunc([value, *tensors.gradient], vars=symbols, fast_math=True)
    outputs = aligned(1 + len(inputs), inputs.shape[1])
    results = outputs[0], list(outputs[1:])

    def call() -> tuple[Any, Sequence[Any]]:
        function(inputs, outputs=outputs)
        return results

    return call
