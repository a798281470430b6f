"""Arrays on a GPU as far as they can be tried without one: in the simulator, as PTX, through NVIDIA's assembler.

What runs or compiles does so in processes of its own (cuda_array_jobs.py): a test each, which reports all that failed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from symgrad_codegen.functions import FUNCTIONS
from symgrad_codegen.targets import TARGETS
from test_cuda import MOST_REGISTERS, OF_LARGE_ANGLES, environment, module_names, needs_compiler

import symgrad

GOLDEN = Path(__file__).parent / "golden" / "logistic_loss_cuda.py"
RUNTIME = "# --- Fixed run-time text"
LOSS = """
X: matrix(n, d)
w: vector(d)
y: vector(n)
z = X @ w
sum(log(1 + exp(-y[i]*z[i])) for i in range(n)) + lam*sum(w[j]**2 for j in range(d))/2
"""


def found_by(*job: str, simulated: bool = False) -> dict[str, Any]:
    own = {"NUMBA_ENABLE_CUDASIM": "1"} if simulated else {}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("cuda_array_jobs.py")), *job],
        env=environment(PYTHONPATH=os.pathsep.join(sys.path), **own),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@needs_compiler
@pytest.mark.parametrize(
    ("job", "least"),
    [(("simulated_corpus",), 130), (("simulated_long",), 5), (("checks", "arrays"), 15)],
    ids=["corpus", "long", "calls"],
)
def test_in_the_simulator(job: tuple[str, ...], least: int) -> None:
    found = found_by(*job, simulated=True)
    assert not found["failed"], "\n".join(found["failed"])
    assert found["made"] >= least


@needs_compiler
@pytest.mark.parametrize(("dtype", "step"), [("float64", "12"), ("float32", "30")])
def test_sums_compile(dtype: str, step: str) -> None:
    rows = found_by("ptx_arrays", dtype, step)
    assert rows
    for name, row in rows.items():
        assert_fits(name, row)
        if dtype == "float32":
            assert set(row["float64"]) <= (OF_LARGE_ANGLES if row["circular"] else set()), name


@needs_compiler
def test_a_net_compiles_for_older_gpus() -> None:
    found = found_by("ptx_net")
    assert list(found["rows"]) == ["7.5", "8.0"]
    for name, row in found["rows"].items():
        assert_fits(name, row)
    assert found["products"]
    assert "no GPU" in found["refusal"]


def assert_fits(name: str, row: dict[str, Any]) -> None:
    """Nothing is spilled, and no sum is in the order in which threads come."""
    assert row["atomic"] == [], name
    assert row["entries"] == row["kernels"], name
    assert row.get("spilled", 0) == 0, name
    assert row.get("registers", 0) <= MOST_REGISTERS, name


def test_golden_source(update_golden: bool) -> None:
    source = symgrad.emit(LOSS, target="cuda")
    shown = source[: source.index(RUNTIME)]
    if update_golden:
        GOLDEN.write_text(shown, encoding="utf-8", newline="\n")
    assert shown == GOLDEN.read_text(encoding="utf-8")


def test_names_of_the_module_are_reserved() -> None:
    source = symgrad.emit(LOSS, target="cuda")
    (kernels,) = re.findall(r"^KERNELS = .*?^\)$", source, re.M | re.S)
    own = {"kernel", "kernel_into", *re.findall(r"^    \((\w+), \(", kernels, re.M)}
    names = set(module_names(ast.parse(source).body))
    assert own < names
    assert names - own - set(FUNCTIONS) <= TARGETS["cuda"].reserved


ALONE = """
import sys
sys.modules.update(symgrad=None, symgrad_codegen=None, sympy=None)
sys.path.insert(0, {folder!r})
import numpy as np
import emitted
X, w, y = np.arange(12.0).reshape(4, 3) / 10, np.array([0.5, -0.25, 0.125]), np.array([1.0, -1.0, 1.0, -1.0])
value, gradient = emitted.kernel(X, 0.5, w, y)
margin = y * (X @ w)
p = -y / (1 + np.exp(margin))
assert abs(value - np.log1p(np.exp(-margin)).sum() - 0.25 * (w @ w)) < 1e-14
for got, want in zip(gradient, (np.outer(p, w), 0.5 * (w @ w), X.T @ p + 0.5 * w, p * (X @ w) / y)):
    assert np.shape(got) == np.shape(want)
    assert np.allclose(got, want, rtol=1e-13, atol=1e-15)
again = emitted.kernel(X, 1.0, w, y, out=(value, gradient))
assert again[1][0] is gradient[0]
print("right")
"""


@needs_compiler
def test_the_module_runs_without_symgrad(tmp_path: Path) -> None:
    (tmp_path / "emitted.py").write_text(symgrad.emit(LOSS, target="cuda"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", ALONE.format(folder=str(tmp_path))],
        env=environment(NUMBA_ENABLE_CUDASIM="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "right\n", done.stderr
