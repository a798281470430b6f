"""Kernels for GPUs where there is none: as PTX, and through NVIDIA's assembler, in a process that sees no GPU."""

from __future__ import annotations

import pickle
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from assembler import MAX_REGISTERS, Measured, measured, needs_ptxas, ptxas_version, stop_collecting
from corpus import CORPUS, Case
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.run import build
from symgrad_codegen.targets import TARGETS
from together import together

import symgrad
from symgrad import Kernel, SymgradError
from symgrad.emission import program_of
from symgrad.options import Options
from tests.codegen.test_cuda import needs_compiler
from tests.gates.test_gates import CASES, spelled

pytestmark = [needs_compiler, pytest.mark.own_process(CUDA_VISIBLE_DEVICES="")]

REGISTERS = Path(__file__).resolve().parents[2] / "docs" / "registers.md"

x, y, z = sp.symbols("x y z")


@cache
def circuit() -> Kernel:
    return symgrad.compile((x + y) * z, target="cuda")


def test_a_call_says_what_is_missing() -> None:
    kernel = circuit()
    for call in (lambda: kernel(1.0, 2.0, 3.0), lambda: kernel(np.ones(3), 2.0, 3.0), lambda: kernel.check(1, 2, 3)):
        with pytest.raises(SymgradError, match=r"no GPU to run on.*driver.*symgrad\[cuda13\]"):
            call()
    with pytest.raises(TypeError, match="missing z"):
        kernel(1.0, 2.0)


def test_what_needs_no_gpu_works() -> None:
    kernel = pickle.loads(pickle.dumps(circuit()))
    assert kernel.source == symgrad.emit((x + y) * z, target="cuda")
    assert kernel.args == (x, y, z)
    assert "fma" not in kernel.ptx()
    for major, minor in ((7, 5), (8, 0), (9, 0), (10, 0)):
        assert f".target sm_{major}{minor}" in kernel.ptx((major, minor))
    with pytest.raises(ValueError, match="compute capability"):
        kernel.ptx((1, 0))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_packs_jacobians_becomes_ptx(dtype: str) -> None:
    from numba import cuda, types

    kernel = symgrad.compile([x * y, sp.sin(z)], target="cuda", dtype=dtype)
    assert kernel.ptx().count(".visible .entry") == 1
    module = build.load(kernel.source)
    given = types.void(module.real[:, ::1], types.int64[::1], module.real[::1])
    text, _ = cuda.compile_ptx(module.pack_points.py_func, given, cc=(9, 0))
    assert text.count(".visible .entry") == 1
    assert dtype == "float64" or not re.search(r"\.f64", text)
    with pytest.raises(SymgradError, match="no GPU to run on"):
        kernel(1.0, 2.0, 3.0)


def test_only_fast_kernels_fuse() -> None:
    for dtype in ("float64", "float32"):
        for f in (x * y + z, x**3 * y**5 - z * sp.sqrt(y)):
            fast, strict = (
                symgrad.compile(f, target="cuda", dtype=dtype, accuracy=accuracy).ptx()
                for accuracy in ("fast", "strict")
            )
            assert fusible(fast)
            assert not fusible(strict), f
            assert f"mul.rn.{dtype[0]}{dtype[-2:]}" in strict


def test_strict_formulas_do_not_fuse() -> None:
    tried = 0
    for case in CORPUS[::8]:
        source = symgrad.emit(case.text, target="cuda", accuracy="strict")
        # What else libdevice computes has multiplications of its own.
        if set(re.findall(r"^(\w+) = device_function", source, re.M)) <= {"sqrt", "floor", "ceil"}:
            tried += 1
            assert not fusible(build.load(source).ptx((9, 0))), case.name
    assert tried > 4


def fusible(text: str) -> list[str]:
    """The products in PTX that are, or may become, one with a sum; without those by a power of two, which are exact."""
    products = re.findall(r"^\s+(?:fma\.rn|mad\.rn|mul)\.f(?:32|64) .*", text, re.M)
    return [line for line in products if not re.search(r" 0(d...0{13}|f..[08]0{5})\b", line)]


def test_inputs_of_every_dtype_are_expanded() -> None:
    """The kernel that converts what is on the device: types, and layouts of one to three axes."""
    from numba import cuda, types

    several = (types.boolean, types.int8, types.uint64, types.float16, types.float32, types.float64)
    for dtype, sources in (("float64", several), ("float32", several[-1:])):
        module = build.load(symgrad.emit(x, target="cuda", dtype=dtype))
        for place, source in enumerate(sources):
            shape = types.UniTuple(types.int64, 1 + place % 3)
            arguments = types.void(source[::1], shape, shape, module.real[::1])
            text, _ = cuda.compile_ptx(module.expand_points.py_func, arguments, cc=(9, 0))
            assert ".visible .entry" in text


# --- PTX and registers ------------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every third formula, all with --all-rows."""
    if "case" in metafunc.fixturenames:
        rows = CORPUS if metafunc.config.getoption("--all-rows") else CORPUS[::3]
        metafunc.parametrize("case", rows, ids=[case.name for case in rows])


@cache
def formula(text: str, dtype: str) -> Measured:
    found = measured(symgrad.emit(text, target="cuda", dtype=dtype), (9, 0))
    stop_collecting()
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_formula_fits_into_registers(case: Case, dtype: str) -> None:
    found = formula(case.text, dtype)
    assert dtype == "float64" or not found.in_float64
    assert not found.is_spilled, found


@needs_ptxas
def test_the_table_of_registers_has_every_formula(update_golden: bool) -> None:
    """The numbers depend on the version of ptxas: only whether they are there is tested."""
    if update_golden:
        REGISTERS.write_text(table(), encoding="utf-8", newline="\n")
    shown = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", REGISTERS.read_text(encoding="utf-8"), re.M)
    assert [name for name, *_ in shown] == [case.name for case in CORPUS], "pytest --update-golden writes it anew"
    assert all(0 < int(count) <= MAX_REGISTERS for _, *counts in shown for count in counts)


def table() -> str:
    lines = [
        "# Registers",
        "",
        "How many registers a thread takes for value and gradient of each formula of",
        "[the corpus](../tests/corpus/corpus.py),",
        f"at compute capability 9.0, by ptxas {ptxas_version()}. A thread has {MAX_REGISTERS}, and nothing is spilled.",
        "`pytest tests/codegen/test_cuda_ptx.py --update-golden` writes this table.",
        "",
        "| expression | float64 | float32 |",
        "|---|---|---|",
    ]
    for case in CORPUS:
        wide, narrow = (formula(case.text, dtype).registers for dtype in ("float64", "float32"))
        lines.append(f"| `{case.name}` | {wide} | {narrow} |")
    return "\n".join(lines) + "\n"


GENERATIONS = (("fast", (9, 0)), ("strict", (7, 5)), ("fast", (8, 0)))


@cache
def everything(dtype: str, accuracy: str) -> str:
    """All gates in one module."""
    whole = together([spelled(case) for case in {case.gate: case for case in CASES}.values()])
    return TARGETS["cuda"].emit(program_of(whole, whole, Options("cuda", dtype, accuracy)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("accuracy", "capability"), GENERATIONS, ids=str)
def test_every_function_compiles(accuracy: str, capability: tuple[int, int], dtype: str) -> None:
    found = measured(everything(dtype, accuracy), capability, assemble=capability == (9, 0))
    assert dtype == "float64" or not found.in_float64
    assert not found.is_spilled, found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_function_is_called(dtype: str) -> None:
    called = set(re.findall(r"\b(\w+)\(", everything(dtype, "fast") + everything(dtype, "strict")))
    assert not [name for name, function in FUNCTIONS.items() if not function.operator and name not in called]


@needs_ptxas
def test_a_long_body_is_cut_in_parts_that_fit() -> None:
    """The energy of eight atoms is too long for the registers of a thread."""
    places = np.array(sp.symbols("x:24")).reshape(8, 3)
    squares = [sum((places[i] - places[j]) ** 2) for i in range(8) for j in range(i)]
    source = symgrad.emit(sp.Add(*(4 * (square**-6 - square**-3) for square in squares)), target="cuda")
    found = measured(source, (9, 0))
    assert found.entries == len(build.load(source).KERNELS) > 1
    assert not found.is_spilled, found
