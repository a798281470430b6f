"""The functions that kernels by hand call: scalar ones, and those with which LLVM makes SIMD loops of them.

Stock Numba calls exp, log and erf of the C library, one number at a time. A call that carries LLVM's attribute
`vector-function-abi-variant` names SIMD versions beside the scalar one; glibc has them in libmvec (x86-64 only). This
is written without symgrad, which uses the same technique, so that the comparison has two sides.
"""

from __future__ import annotations

import ctypes
import math
from types import SimpleNamespace
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Letters of the x86-64 vector ABI, and how many float64 they hold: SSE, AVX2, AVX-512.
LANES = {"b": 2, "d": 4, "e": 8}
FEATURES = {"b": "sse4.2", "d": "avx2", "e": "avx512f"}


def scalar_functions() -> SimpleNamespace:
    """The functions of the C library, as stock Numba calls them."""

    @njit  # type: ignore[untyped-decorator]
    def tune() -> None:
        pass

    return SimpleNamespace(exp=math.exp, log=math.log, erf=math.erf, sqrt=math.sqrt, tune=tune)


def simd_functions() -> SimpleNamespace:
    """The same with SIMD versions from libmvec, and `tune` for wide vectors. OSError where there is no libmvec."""
    library = ctypes.CDLL("libmvec.so.1", mode=ctypes.RTLD_GLOBAL)
    llvmlite.binding.load_library_permanently("libmvec.so.1")
    names = {name: simd_function(library, name) for name in ("exp", "log", "erf")}
    return SimpleNamespace(**names, sqrt=math.sqrt, tune=tune)


def simd_function(library: ctypes.CDLL, name: str) -> Any:
    """The C function `name` of one float64; LLVM may call its SIMD versions instead."""
    here = llvmlite.binding.get_host_cpu_features()
    versions = {
        LANES[letter]: f"_ZGV{letter}N{LANES[letter]}v_{name}" for letter in LANES if here.get(FEATURES[letter])
    }
    versions = {lanes: version for lanes, version in versions.items() if hasattr(library, version)}

    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        double, module = ir.DoubleType(), builder.module
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(double, [double]), name)
        for lanes, version in versions.items():
            if version not in module.globals:
                vector = ir.VectorType(double, lanes)
                keep(module, ir.Function(module, ir.FunctionType(vector, [vector]), version))
        result = builder.call(function, arguments)
        listed = ",".join(f"_ZGV_LLVM_N{lanes}v_{name}({version})" for lanes, version in versions.items())
        # Llvmlite checks the names of attributes in its own `add`; these are newer than its list.
        for attribute in ("nounwind", "willreturn", "memory(none)", f'"vector-function-abi-variant"="{listed}"'):
            set.add(result.attributes, attribute)
        return result

    @intrinsic  # type: ignore[untyped-decorator]
    def function(typing: Any, x: Any) -> Any:
        return types.float64(types.float64), call

    return function


def keep(module: Any, function: Any) -> None:
    """Enters a function that nothing calls yet in `llvm.compiler.used`, so that LLVM does not drop its declaration."""
    pointer = ir.IntType(8).as_pointer()
    used = module.globals.get("llvm.compiler.used")
    kept = [*(used.initializer.constant if used is not None else ()), function.bitcast(pointer)]
    array = ir.ArrayType(pointer, len(kept))
    if used is None:
        used = ir.GlobalVariable(module, array, "llvm.compiler.used")
        used.linkage, used.section = "appending", "llvm.metadata"
    used.value_type, used.type = array, array.as_pointer()
    used.initializer = ir.Constant(array, kept)


@intrinsic  # type: ignore[untyped-decorator]
def tune(typing: Any) -> Any:
    """Marks the function that it is called in: its arrays do not overlap, and 512-bit vectors are welcome."""

    def mark(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), mark
