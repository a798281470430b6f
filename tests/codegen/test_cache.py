"""Compiled kernels on disk: found by the next process, private, and never a reason to fail."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numba
import pytest
from symgrad_codegen.run import build

ROOT = Path(__file__).resolve().parents[2]

# Compiles one expression, calls it both ways, and tells how often Numba compiled anything.
PROGRAM = f"""
import sys
sys.path[:0] = {[str(ROOT), str(ROOT / "codegen")]!r}
import logging
logging.basicConfig(level=logging.DEBUG, format="log %(name)s %(message)s", stream=sys.stdout)
logging.getLogger("numba").setLevel(logging.WARNING)
from numba.core import event
import numpy as np, sympy as sp, symgrad
x, y = sp.symbols("x y")
with event.install_recorder("numba:compile") as compiled:
    f = symgrad.compile(sp.exp(-x**2)*y)
    print("value", f(0.5, 2.0).value.hex(), f(np.array([0.5, 1.0]), 2.0).value[0].hex())
print("compiled", len(compiled.buffer))
print("file", f.jitted.py_func.__code__.co_filename)
"""


def run(folder: Path | str, program: str = PROGRAM, **environment: str) -> dict[str, list[str]]:
    """The program in a new process: {first word of a line: the rest of the lines that begin with it}."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "SYMGRAD_CACHE_DIR": str(folder), **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        found.setdefault(word, []).append(rest)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kernels"


def test_the_second_process_compiles_nothing(folder: Path) -> None:
    first, second = run(folder), run(folder)
    assert int(first["compiled"][0]) > 0
    assert int(second["compiled"][0]) == 0
    assert first["value"] == second["value"]
    assert first["file"] == second["file"]
    assert Path(first["file"][0]).is_relative_to(folder)


# A sum in lanes that reads its array from both ends.
OF_ARRAYS = PROGRAM.replace(
    PROGRAM[PROGRAM.index("x, y =") : PROGRAM.index('print("compiled')],
    """
n, i, t = sp.Symbol("n", integer=True), sp.Symbol("i", integer=True), sp.Symbol("t")
x = sp.IndexedBase("x", shape=(n,))
with event.install_recorder("numba:compile") as compiled:
    f = symgrad.compile(sp.Sum(sp.exp(x[i]*t)*x[n - 1 - i], (i, 0, n - 1)))
    found = f(0.7, np.random.default_rng(0).normal(size=200_003))
    print("value", found.value.hex(), found.grad["t"].hex(), found.grad["x"].sum().hex())
""",
)


def test_the_second_process_has_the_same_bits_of_arrays(folder: Path) -> None:
    first, second = run(folder, OF_ARRAYS), run(folder, OF_ARRAYS)
    assert int(first["compiled"][0]) > int(second["compiled"][0]) == 0
    assert first["value"] == second["value"]


def test_folders_are_private(folder: Path) -> None:
    run(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    for inner in folder.iterdir():
        assert inner.stat().st_mode & 0o077 == 0


def test_another_accuracy_or_dtype_is_another_kernel() -> None:
    text = "VECTORISE = True"
    assert build.key(text) != build.key("VECTORISE = False")
    assert build.key(text) == build.key(text)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    found = run(folder)
    assert not list(folder.iterdir())
    assert any("symgrad" in line and str(folder) in line for line in found["log"])
    assert found["value"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_a_folder_of_somebody_else_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(folder))
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with caplog.at_level(logging.DEBUG, "symgrad"):
        assert build.cache_root() is None
    assert str(folder) in caplog.text
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
@pytest.mark.parametrize("name", ["DISABLE_JIT", "BOUNDSCHECK", "CPU_NAME"])
def test_how_numba_compiles_is_part_of_the_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba itself does not ask whether what it has on disk checks bounds."""
    plain = build.key("x = 1")
    monkeypatch.setattr(numba.config, name, "another")
    assert build.key("x = 1") != plain


def test_a_link_is_not_followed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(folder))
    assert build.cache_root() is None


@pytest.mark.parametrize("place", ["a file in its place", "below a file", "read-only"])
def test_where_nothing_can_be_written_it_still_works(folder: Path, place: str, tmp_path: Path) -> None:
    if place == "a file in its place":
        folder.write_text("")
    elif place == "below a file":
        (tmp_path / "file").write_text("")
        folder = tmp_path / "file" / "kernels"
    elif os.geteuid() == 0:
        folder = Path("/proc/symgrad")  # nobody can write there, whoever one is
    else:
        folder.mkdir(mode=0o500)
    found = run(folder)
    assert found["value"]
    assert found["log"]


def test_what_is_not_kept_is_written_nowhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = run(
        tmp_path / "file",
        PROGRAM.replace('print("comp', 'import os; print("left", os.listdir(os.environ["TMPDIR"]))\nprint("comp'),
        TMPDIR=str(scratch),
    )
    assert found["left"] == ["[]"]
    assert found["file"][0].startswith("<symgrad_kernel_")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs limits of a process")
@pytest.mark.parametrize("largest", [0, 1_000, 30_000], ids=["no_byte", "not_the_source", "not_the_compiled_code"])
def test_a_full_disk_is_no_reason_to_fail(folder: Path, largest: int) -> None:
    """Files beyond a size cannot be written: at once, and after the source has been."""
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))\n"
    first = run(folder, full + PROGRAM)
    assert any("no kernel cache" in line for line in first["log"])
    assert run(folder, full + PROGRAM)["value"] == first["value"]
    assert run(folder)["value"] == first["value"]
    assert int(run(folder)["compiled"][0]) == 0


def test_a_disk_that_is_full_later_is_no_reason_to_fail(folder: Path) -> None:
    """A batch is compiled at its first call."""
    late = PROGRAM.replace("**2)*y)\n", "**2)*y); import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n")
    first = run(folder, late)
    assert any("no kernel cache" in line for line in first["log"])
    assert run(folder)["value"] == first["value"]


def test_no_cache_when_asked(folder: Path) -> None:
    run(folder, PROGRAM.replace("**2)*y)", "**2)*y, cache=False)"))
    assert not folder.exists() or not list(folder.iterdir())


def flipped(data: bytes, place: float) -> bytes:
    """The bytes with one bit of one of them flipped; `place` runs from 0 to 1."""
    at = min(int(place * len(data)), len(data) - 1)
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


DAMAGES = {
    "garbage": lambda data: b"garbage",
    "empty": lambda data: b"",
    "short": lambda data: data[: len(data) // 2],
    **{f"bit_at_{place}": partial(flipped, place=place) for place in (0.0, 0.3, 0.6, 1.0)},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A folder in which a kernel is, and what the program that made it printed."""
    folder = tmp_path_factory.mktemp("built") / "kernels"
    return folder, run(folder)


@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc", "checksums"])
@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_files_are_made_again(
    folder: Path, built: tuple[Path, dict[str, list[str]]], what: str, kind: str
) -> None:
    original, first = built
    shutil.copytree(original, folder)
    files = list(folder.rglob(kind))
    assert files
    for file in files:
        file.write_bytes(DAMAGES[what](file.read_bytes()))
    second = run(folder)
    assert second["value"] == first["value"]
    assert any("discarded" in line for line in second["log"])
    third = run(folder)
    assert third["value"] == first["value"]
    assert int(third["compiled"][0]) == 0


def test_every_bit_counts(folder: Path) -> None:
    """Each file of compiled code, damaged anywhere, is discarded, and it alone."""
    run(folder)
    (inner,) = folder.iterdir()
    files = list(build._compiled_files(inner))
    assert len(files) == 4  # an index and code, of the function of a point and of that of a batch
    build._discard_damaged(inner)
    assert all(file.exists() for file in files)
    for file in files:
        data = file.read_bytes()
        for place in range(0, 101):
            file.write_bytes(flipped(data, place / 100))
            build._discard_damaged(inner)
            assert not file.exists()
        file.write_bytes(data)
    build._discard_damaged(inner)
    assert all(file.exists() for file in files)


def test_compiled_code_elsewhere_is_checked_too(folder: Path, tmp_path: Path) -> None:
    """Numba keeps it where NUMBA_CACHE_DIR says."""
    elsewhere = {"NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    first = run(folder, **elsewhere)
    files = list((tmp_path / "numba").rglob("*.nbc"))
    assert files
    assert int(run(folder, **elsewhere)["compiled"][0]) == 0
    for file in files:
        file.write_bytes(flipped(file.read_bytes(), 0.5))
    assert run(folder, **elsewhere)["value"] == first["value"]


def test_bytecode_on_disk_is_not_believed(folder: Path) -> None:
    first = run(folder, PYTHONDONTWRITEBYTECODE="")
    assert not list(folder.rglob("*.pyc"))
    assert run(folder, PYTHONDONTWRITEBYTECODE="")["value"] == first["value"]


@pytest.mark.parametrize("text", ["", "raise SystemExit(3)\n"], ids=["empty", "another"])
def test_a_damaged_source_is_written_again(folder: Path, text: str) -> None:
    first = run(folder)
    Path(first["file"][0]).write_text(text)
    assert run(folder)["value"] == first["value"]


def test_a_lost_source_or_index_is_made_again(folder: Path) -> None:
    first = run(folder)
    Path(first["file"][0]).unlink()
    assert run(folder)["value"] == first["value"]


def test_processes_at_the_same_time(folder: Path) -> None:
    environment = {**os.environ, "SYMGRAD_CACHE_DIR": str(folder)}
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    outputs = [job.communicate() for job in jobs]
    assert all(job.returncode == 0 for job in jobs), outputs
    assert len({line for text, _ in outputs for line in text.splitlines() if line.startswith("value")}) == 1
    assert not list(folder.rglob("*.tmp"))


# --- pruning ----------------------------------------------------------------------------------------------------------


def entry(root: Path, name: str, age: float, size: int) -> Path:
    folder = root / f"symgrad_kernel_{name}"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "code.nbc").write_bytes(bytes(size))
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def pruned(root: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    root.chmod(0o700)
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(root))
    build._prune_once.cache_clear()
    assert build.cache_root() == root
    return {folder.name.removeprefix("symgrad_kernel_") for folder in root.iterdir()}


def test_what_was_not_used_for_long_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(tmp_path, "old", build._KEPT_SECONDS + 60, 10)
    entry(tmp_path, "new", 60, 10)
    assert pruned(tmp_path, monkeypatch) == {"new"}


def test_beyond_the_size_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_KEPT_BYTES", 2500)
    for age, name in enumerate(["a", "b", "c", "d"]):
        entry(tmp_path, name, 60.0 * (age + 1), 1000)
    assert pruned(tmp_path, monkeypatch) == {"a", "b"}


def test_what_is_not_ours_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    os.utime(tmp_path / "notes.txt", (0, 0))
    entry(tmp_path, "old", build._KEPT_SECONDS + 60, 10)
    assert pruned(tmp_path, monkeypatch) == {"notes.txt"}


def test_use_is_remembered(folder: Path) -> None:
    run(folder)
    (inner,) = folder.iterdir()
    os.utime(inner, (0, 0))
    run(folder)
    assert time.time() - inner.stat().st_mtime < 600
