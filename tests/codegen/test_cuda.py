"""The text of kernels for GPUs, a module of theirs alone, and what is refused.

What runs in the simulator is in test_cuda_simulator.py, what becomes PTX in test_cuda_ptx.py.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from corpus import CORPUS
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.run import build
from symgrad_codegen.run import device as run_cuda
from symgrad_codegen.targets import TARGETS
from symgrad_codegen.targets.cuda import parts

import symgrad
from symgrad import SymgradError, UnsupportedExpression
from tests.codegen.conftest import environment

x, y, z = sp.symbols("x y z")
MIXED = sp.exp(-(x**2)) * sp.sin(y) + sp.Max(x, y, z) * sp.floor(z) + sp.Piecewise((sp.log(x), x > 0), (y, True))
MIXED += sp.gamma(z) * sp.sinc(x) + sp.cbrt(z) + sp.Mod(y, x) + sp.Abs(y) ** 5 + sp.loggamma(z) + sp.atan2(x, y)

needs_compiler = pytest.mark.skipif(
    not run_cuda.is_installed(), reason=f"numba-cuda is not installed: {run_cuda.HOW_TO_INSTALL}"
)


# --- a module alone ---------------------------------------------------------------------------------------------------

ALONE = """
import sys
sys.modules.update(symgrad=None, symgrad_codegen=None, sympy=None)
sys.path.insert(0, {folder!r})
import numpy as np
import emitted
columns = [np.full(3, a) for a in {point!r}]
result = emitted.kernel_batch(*columns)
print(*(float(a[1]).hex() for a in (result[0], *result[1])))
again = emitted.kernel_batch(*(column + 1 for column in columns), out=result)
print(again[0] is result[0], all(a is b for a, b in zip(again[1], result[1])), emitted.ARGUMENTS)
print(*(float(a[1]).hex() for a in (result[0], *result[1])))
short = np.empty(2, emitted.real_name)
for wrong, out in [
    ([columns[0], columns[1][:2], columns[2]], None),
    ([column.reshape(3, 1) for column in columns], None),
    (columns, (short, result[1])),
    (columns, (result[0], (*result[1][:2], short))),
    (columns, (result[0].astype("float16"), result[1])),
]:
    try:
        emitted.kernel_batch(*wrong, out=out)
    except ValueError as error:
        print(error)
"""


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_module_runs_without_symgrad(dtype: str, tmp_path: Path) -> None:
    (tmp_path / "emitted.py").write_text(symgrad.emit(MIXED, target="cuda", dtype=dtype), encoding="utf-8")
    point = (0.5, 1.25, 2.5)
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", ALONE.format(folder=str(tmp_path), point=point)],
        cwd=tmp_path,
        env=environment(NUMBA_ENABLE_CUDASIM="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, words, second, *refusals = done.stdout.splitlines()
    plain = build.load(symgrad.emit(MIXED, target="python", dtype=dtype))
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    for line, at in ((first, point), (second, [a + 1 for a in point])):
        value, gradient = plain.kernel_batch(*(np.full(1, a) for a in at))
        want = [float(array[0]) for array in (value, *gradient)]
        assert [float.fromhex(word) for word in line.split()] == pytest.approx(want, rel=tolerance)
    assert words == "True True ('x', 'y', 'z')"
    assert [" ".join(line.split()[:2]) for line in refusals] == ["kernel_batch takes"] * 2 + ["out must"] * 3


# --- the text ---------------------------------------------------------------------------------------------------------


def sources(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A short body, one in parts, and one of many arguments; all options."""
    many = sp.Add(*(symbol**2 for symbol in sp.symbols("s:35")))
    found = [symgrad.emit(f, target="cuda", dtype=d) for f in (MIXED, many) for d in ("float64", "float32")]
    found.append(symgrad.emit(MIXED, target="cuda", accuracy="strict"))
    monkeypatch.setattr(parts, "_REGISTERS", 24)
    return [*found, symgrad.emit(MIXED, target="cuda")]


def test_names_of_the_module_are_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in sources(monkeypatch):
        names = set(module_names(ast.parse(source).body))
        (kernels,) = re.findall(r"^KERNELS = .*?^\)$", source, re.M | re.S)
        own = {"kernel", "kernel_batch", *re.findall(r"^    \((\w+), \(", kernels, re.M)}
        assert own < names
        assert names - own - set(FUNCTIONS) <= TARGETS["cuda"].reserved()


def test_empty_arrays_overlap_nothing() -> None:
    array = np.ones(4)  # stands for one on the device: what counts is its address
    run_cuda.check_overlaps([array[2:2], array[:0]], [array])
    with pytest.raises(ValueError, match="overlap"):
        run_cuda.check_overlaps([array[1:3]], [array])
    with pytest.raises(ValueError, match="overlap"):
        run_cuda.check_overlaps([array[1:3], array[:2]], [array[:0]])


def test_function_that_the_device_calls_instead_is_reserved() -> None:
    source = symgrad.emit(sp.Mod(sp.Symbol("floored_mod"), 2), target="cuda")
    assert "floored_mod(floored_mod_2, 2.0)" in source


def module_names(body: list[ast.stmt]) -> list[str]:
    """What a module defines, also in its branches."""
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign):
            found += [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        elif isinstance(node, ast.If):
            found += module_names([*node.body, *node.orelse])
    return found


def test_nothing_says_that_there_are_no_nans(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in [*sources(monkeypatch), *(symgrad.emit(case.text, target="cuda") for case in CORPUS[::10])]:
        assert not re.search(r"fastmath|nnan|ninf", source)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_without_numba_cuda_the_source_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cuda, "is_installed", lambda: False)
    with pytest.raises(SymgradError, match=r"numba-cuda.*symgrad\[cuda13\].*symgrad\.emit"):
        symgrad.compile(x * y, target="cuda")
    assert "@cuda.jit" in symgrad.emit(x * y, target="cuda")


def test_threads_are_of_the_cpu() -> None:
    for threads in (1, 2, "auto"):
        with pytest.raises(ValueError, match="threads"):
            symgrad.compile(x * y, target="cuda", threads=threads)


@pytest.mark.parametrize(
    ("lacking", "expr"), [("sinh", sp.sinh(x) * y), ("real_cbrt", sp.cbrt(x)), ("tan", sp.gamma(x))], ids=str
)
def test_a_function_that_a_gpu_lacks_is_refused(lacking: str, expr: sp.Expr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, lacking, FUNCTIONS[lacking]._replace(device=""))
    with pytest.raises(UnsupportedExpression, match="the target 'cuda' has no function"):
        symgrad.emit(expr, target="cuda")
    symgrad.emit(expr, target="cpu")


@needs_compiler
def test_a_body_that_takes_too_long_to_compile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symgrad.kernel.compiled.MAX_OPERATIONS", 3)
    with pytest.raises(UnsupportedExpression, match=r"operations.*the target 'cpu'"):
        symgrad.compile(sp.sin(x) * y + z, target="cuda")
