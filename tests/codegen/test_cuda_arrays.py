"""The text of kernels for GPUs over arrays, and a module of theirs alone.

What runs in the simulator is in test_cuda_arrays_simulator.py, what becomes PTX in test_cuda_arrays_ptx.py.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.targets import TARGETS
from symgrad_codegen.text.expressions import WIDTH

import symgrad
from tests.codegen.conftest import environment
from tests.codegen.test_cuda import module_names, needs_compiler
from tests.codegen.test_emit import GOLDEN, RUNTIME
from tests.evaluate.test_arrays import CASES
from tests.kernel.test_arrays import LOSS

LOGISTIC_LOSS = """
X: matrix(n, d)
w: vector(d)
y: vector(n)
z = X @ w
sum(log(1 + exp(-y[i]*z[i])) for i in range(n)) + lam*sum(w[j]**2 for j in range(d))/2
"""


# --- the text ---------------------------------------------------------------------------------------------------------

# The simulator would now and then give threads that come at the same time a shared array each.
ALONE = """
import sys
sys.modules.update(symgrad=None, symgrad_codegen=None, sympy=None)
sys.path.insert(0, {folder!r})
import numpy as np
from numba.cuda.simulator.kernelapi import FakeCUDAShared
FakeCUDAShared.array = lambda self, shape, dtype: self._allocations.setdefault(shape, np.empty(shape))
import emitted
X, w, y = np.arange(28.0).reshape(7, 4) / 28 - 0.5, np.arange(4.0) - 1.5, np.resize([1.0, -1.0, -1.0], 7)
result = emitted.kernel(X, 0.25, w, y)
print(emitted.ARGUMENTS, emitted.WRT, [type(a).__name__ for a in (result[0], *result[1])])
print(*(float(a).hex() for output in (result[0], *result[1]) for a in np.ravel(output)))
again = emitted.kernel(X[:3], 0.25, w, y[:3])
print(*(float(a).hex() for output in (again[0], *again[1]) for a in np.ravel(output)))
outputs = [np.empty_like(a) if np.ndim(a) else a for a in result[1]]
filled = emitted.kernel(X, 0.25, w, y, out=(0.0, outputs))
print([np.array_equal(a, b) for a, b in zip(filled[1], result[1])], [a is b for a, b in zip(filled[1], outputs)])
"""


def by_numpy(X: Any, lam: float, w: Any, y: Any) -> list[float]:
    margin = y * (X @ w)
    pull = -y / (1 + np.exp(margin))
    gradient = np.outer(pull, w), w @ w / 2, X.T @ pull + lam * w, pull * y * (X @ w)
    return [np.log1p(np.exp(-margin)).sum() + lam * w @ w / 2, *(a for d in gradient for a in np.ravel(d))]


def test_golden(update_golden: bool) -> None:
    path = GOLDEN / "logistic_loss_cuda.py"
    head = symgrad.emit(LOGISTIC_LOSS, target="cuda").split(RUNTIME)[0].rstrip() + "\n"
    if update_golden:
        path.write_text(head, encoding="utf-8", newline="\n")
    assert head == path.read_text(encoding="utf-8"), "pytest --update-golden writes it anew"
    assert all(len(line) <= WIDTH + 4 and line == line.rstrip() for line in head.splitlines())


@needs_compiler
def test_golden_text_runs_without_symgrad(tmp_path: Path) -> None:
    (tmp_path / "emitted.py").write_text(symgrad.emit(LOGISTIC_LOSS, target="cuda"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", ALONE.format(folder=str(tmp_path))],
        cwd=tmp_path,
        env=environment(NUMBA_ENABLE_CUDASIM="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    what, first, second, out = done.stdout.splitlines()
    assert what == "{0} {0} ['float', 'ndarray', 'float', 'ndarray', 'ndarray']".format(("X", "lam", "w", "y"))
    X, w, y = np.arange(28.0).reshape(7, 4) / 28 - 0.5, np.arange(4.0) - 1.5, np.resize([1.0, -1.0, -1.0], 7)
    for line, rows in ((first, 7), (second, 3)):
        found = [float.fromhex(word) for word in line.split()]
        np.testing.assert_allclose(found, by_numpy(X[:rows], 0.25, w, y[:rows]), rtol=1e-12, atol=1e-14)
    assert out == "[True, True, True, True] [True, False, True, True]"  # a number is no place to write to


SOURCES = {
    "logistic loss": LOGISTIC_LOSS,
    "softmax loss": LOSS,
    **{name: CASES[name].expression() for name in ("net", "mixture", "more_generated_names", "polynomial")},
}


@pytest.mark.parametrize("name", SOURCES)
def test_names_of_the_module_are_reserved(name: str) -> None:
    source = symgrad.emit(SOURCES[name], target="cuda")
    names = module_names(ast.parse(source).body)
    (kernels,) = re.findall(r"^KERNELS = .*?^\)$", source, re.M | re.S)
    (main,) = re.findall(r"^def (\w+)_into\(", source, re.M)
    own = {main, f"{main}_into", f"{main}_shapes", *re.findall(r"^    \((\w+), \(", kernels, re.M)}
    assert own < set(names)
    assert set(names) - own - set(FUNCTIONS) <= TARGETS["cuda"].reserved()
    assert not [name for name in own if names.count(name) > 1]


PRINTED = """
import hashlib, symgrad
from tests.codegen import test_cuda_arrays
expressions = [*test_cuda_arrays.SOURCES.values(), test_cuda_arrays.CASES["cross_entropy"].expression()]
print(*(hashlib.sha256(symgrad.emit(e, target="cuda").encode()).hexdigest() for e in expressions))
"""


def test_the_text_is_the_same_every_time() -> None:
    """Whatever the order of sets is, which is another one in each process. The last one keeps several rows."""
    texts = [
        subprocess.run(
            [sys.executable, "-c", PRINTED],
            env=environment(PYTHONPATH=os.pathsep.join(sys.path), PYTHONHASHSEED=seed),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0].split()) == len(SOURCES) + 1


def test_no_module_asks_for_fast_math() -> None:
    for expression in SOURCES.values():
        assert "fastmath" not in symgrad.emit(expression, target="cuda")


@pytest.mark.parametrize("name", list(CASES)[::7])
def test_a_sum_of_one_entry_has_the_name_of_its_array(name: str) -> None:
    assert not re.findall(r"\w+_here_\d\w*", symgrad.emit(CASES[name].expression(), target="cuda"))


def test_code_does_not_grow_with_the_data() -> None:
    source = symgrad.emit(LOSS, target="cuda")
    known = symgrad.emit(LOSS, target="cuda", extents={"d": 1000, "c": 1000})
    assert known.count("\n") <= source.count("\n") + 5


@needs_compiler
def test_cupy_is_asked_for_where_there_are_products() -> None:
    """Of whole matrices, in passes, inverses and determinants; sums over pairs need none."""
    n = sp.Symbol("n", integer=True, positive=True)
    A, B = (sp.MatrixSymbol(name, n, n) for name in "AB")
    for expr, needed in [
        (LOSS, True),
        (CASES["net"].expression(), True),
        (sp.Trace(A * B * A), True),
        (sp.Determinant(A), True),
        (sp.Trace(sp.Inverse(A)), True),
        (LOGISTIC_LOSS, False),
        (CASES["kernel_form"].expression(), False),
    ]:
        source = symgrad.emit(expr, target="cuda")
        assert f"NEEDS_CUPY = {needed}" in source, expr
        assert ("and CuPy for linear algebra" in source) == needed
