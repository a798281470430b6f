"""The peers of whole arrays: each takes a workload and its inputs by name, and returns a call as those of peers.py do.

They have the names that they have there; those that know no arrays are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from .array_workload import Arrays, ArrayWorkload
from .peers import PEERS, Call, Peer
from .workload import Workload, aligned

ARRAY_PEERS: dict[str, Peer] = {}


def peer(name: str, words: str, *packages: str) -> Callable[[Callable[[ArrayWorkload, Arrays], Call]], Any]:
    """Enters a peer in the table."""

    def enter(make: Callable[[ArrayWorkload, Arrays], Call]) -> Callable[[ArrayWorkload, Arrays], Call]:
        ARRAY_PEERS[name] = Peer(name, words, packages, make)
        return make

    return enter


def peers_of(workload: Workload | ArrayWorkload) -> dict[str, Peer]:
    """The peers that can do a workload."""
    return ARRAY_PEERS if isinstance(workload, ArrayWorkload) else PEERS


@peer("symgrad", "symgrad, out=")
def symgrad(workload: ArrayWorkload, inputs: Arrays) -> Call:
    import symgrad

    expression, symbols = workload.formula()
    wrt = [symbol for symbol in symbols if symbol.name in workload.parameters]
    kernel, arguments = symgrad.compile(expression, args=symbols, wrt=wrt), list(inputs.values())
    out = kernel(*arguments)
    return lambda: kernel(*arguments, out=out)


def by_hand(workload: ArrayWorkload, inputs: Arrays, functions: SimpleNamespace) -> Call:
    kernel, arguments = workload.with_numba(functions), list(inputs.values())
    derivatives = [aligned(*inputs[name].shape) for name in workload.parameters]

    def call() -> tuple[Any, Sequence[Any]]:
        return kernel(*arguments, *derivatives), derivatives

    return call


@peer("hand", "Numba by hand, scalar functions")
def hand(workload: ArrayWorkload, inputs: Arrays) -> Call:
    from .vector_math import scalar_functions

    return by_hand(workload, inputs, scalar_functions())


@peer("hand-simd", "Numba by hand, SIMD functions")
def hand_simd(workload: ArrayWorkload, inputs: Arrays) -> Call:
    from .vector_math import simd_functions

    return by_hand(workload, inputs, simd_functions())


@peer("numpy", "NumPy by hand")
def numpy(workload: ArrayWorkload, inputs: Arrays) -> Call:
    def call() -> tuple[Any, Sequence[Any]]:
        value, *derivatives = workload.by_hand(inputs)
        return value, derivatives

    return call


def split(workload: ArrayWorkload, inputs: Arrays) -> tuple[Arrays, Arrays]:
    """The parameters, and the rest."""
    parameters = {name: inputs[name] for name in workload.parameters}
    return parameters, {name: array for name, array in inputs.items() if name not in parameters}


def jax_functions() -> SimpleNamespace:
    import jax
    import jax.numpy as jnp

    def cross_entropy(scores: Any, labels: Any) -> Any:
        return -jax.nn.log_softmax(scores)[jnp.arange(len(labels)), labels].mean()

    return SimpleNamespace(
        exp=jnp.exp,
        einsum=jnp.einsum,
        tril=jnp.tril,
        diagonal=jax.vmap(jnp.diag),
        relu=jax.nn.relu,
        softplus=jax.nn.softplus,
        logsumexp=jax.nn.logsumexp,
        cross_entropy=cross_entropy,
    )


@peer("jax", "jax.jit(value_and_grad)", "jax")
def jax(workload: ArrayWorkload, inputs: Arrays) -> Call:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    functions = jax_functions()
    arrays = {name: jnp.from_dlpack(array) for name, array in inputs.items()}  # without a copy, as they are placed
    parameters, rest = split(workload, arrays)
    gradient = jax.jit(jax.value_and_grad(lambda these, others: workload.loss(functions, **these, **others)))

    def call() -> tuple[Any, Sequence[Any]]:
        value, derivatives = jax.block_until_ready(gradient(parameters, rest))
        return value, [derivatives[name] for name in workload.parameters]

    return call


def torch_functions() -> SimpleNamespace:
    import torch

    return SimpleNamespace(
        exp=torch.exp,
        einsum=torch.einsum,
        tril=torch.tril,
        diagonal=torch.diag_embed,
        relu=torch.relu,
        softplus=torch.nn.functional.softplus,
        logsumexp=torch.logsumexp,
        cross_entropy=torch.nn.functional.cross_entropy,
    )


def torch_tensors(inputs: Arrays) -> Arrays:
    import torch

    torch.set_num_threads(1)
    return {name: torch.from_numpy(array) for name, array in inputs.items()}


@peer("torch-compile", "torch.compile(func.grad_and_value)", "torch")
def torch_compile(workload: ArrayWorkload, inputs: Arrays) -> Call:
    import torch

    functions = torch_functions()
    parameters, rest = split(workload, torch_tensors(inputs))
    gradient = torch.compile(
        torch.func.grad_and_value(lambda these, others: workload.loss(functions, **these, **others))
    )

    def call() -> tuple[Any, Sequence[Any]]:
        derivatives, value = gradient(parameters, rest)
        return value, [derivatives[name] for name in workload.parameters]

    return call


@peer("torch-eager", "torch.autograd.grad, eager", "torch")
def torch_eager(workload: ArrayWorkload, inputs: Arrays) -> Call:
    import torch

    functions, tensors = torch_functions(), torch_tensors(inputs)
    parameters = [tensors[name].requires_grad_() for name in workload.parameters]

    def call() -> tuple[Any, Sequence[Any]]:
        value = workload.loss(functions, **tensors)
        return value.detach(), torch.autograd.grad(value, parameters)

    return call
