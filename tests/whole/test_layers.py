"""The import direction of the house, what an import costs, and how long files and classes may be."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import symgrad

ROOT = Path(__file__).resolve().parents[2]
CODEGEN = sorted((ROOT / "codegen" / "symgrad_codegen").rglob("*.py"))
SYMGRAD = sorted((ROOT / "symgrad").rglob("*.py"))
# The order of folders and files, each importing only what stands before it. It is that of the data.
LAYERS = {
    "symgrad": (
        "errors",
        "tables",
        "reductions",
        "result",
        "graph",
        "gates",
        "analysis",
        "evaluate",
        "lower",
        "outputs",
        "transform",
        "schedule",
        "verify",
        "options",
        "stats",
        "emission",
        "language",
        "explore",
        "kernel",
        "compiler",
        "varying",
        "solvers",
        "optimizers",
        "constraints",
        "nonlinear_programs",
        "lambdified",
        "estimates",
        "debug",
        "__init__",
        "bench",
        "commands",
        "cli",
        "__main__",
    ),
    "symgrad_codegen": (
        "functions",
        "reductions",
        "program",
        "text",
        "program_text",
        "marks",
        "verify",
        "targets",
        "run",
        "__init__",
    ),
}


def imports(path: Path) -> set[str]:
    """The top-level names of everything that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


def package_of(path: Path) -> Path:
    return ROOT / "symgrad" if path in SYMGRAD else ROOT / "codegen" / "symgrad_codegen"


def name_of(path: Path) -> str:
    """The module that a file is, within its package."""
    return ".".join(path.relative_to(package_of(path)).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """The modules of its package that a file imports: those for types and those inside of functions as well."""
    root, parts = package_of(path), name_of(path).split(".")
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            start = [*parts[: len(parts) - node.level], *(node.module.split(".") if node.module else ())]
            for alias in node.names:  # a module, or a name in one
                is_module = (root / Path(*start, f"{alias.name}.py")).exists()
                found.add(".".join([*start, alias.name] if is_module else start) or "__init__")
    return found


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    path = [str(ROOT), str(ROOT / "codegen")]
    code = f"import sys; sys.path[:0] = {path!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("path", CODEGEN, ids=name_of)
def test_codegen_is_a_leaf(path: Path) -> None:
    assert not imports(path) & {"symgrad", "sympy", "mpmath"}


@pytest.mark.parametrize("path", SYMGRAD, ids=name_of)
def test_symgrad_leaves_numba_to_codegen(path: Path) -> None:
    assert not imports(path) & {"numba", "llvmlite"}


@pytest.mark.parametrize("path", [*SYMGRAD, *CODEGEN], ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    layers = LAYERS[package_of(path).name]
    own = layers.index(name_of(path).split(".")[0])
    above = {name for name in imported(path) if layers.index(name.split(".")[0]) > own}
    assert not above, f"{path} imports what comes later: {', '.join(sorted(above))}"


@pytest.mark.parametrize("files", [SYMGRAD, CODEGEN], ids=LAYERS)
def test_no_circles(files: list[Path]) -> None:
    """Whatever imports what, nothing comes back to itself."""
    arrows = {name_of(path).removesuffix(".__init__"): imported(path) for path in files}
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("folder", ["graph", "analysis", "transform", "schedule"])
def test_graphs_and_passes_know_no_sympy(folder: str) -> None:
    for path in (ROOT / "symgrad" / folder).rglob("*.py"):
        assert not imports(path) & {"sympy", "numba"}, path


def test_import_symgrad_is_light() -> None:
    loaded = loaded_by("import symgrad")
    assert not loaded & {"numba", "llvmlite", "scipy", "lark", "matplotlib", "hypothesis", "importlib.metadata"}
    assert not {name for name in loaded if name.startswith(("symgrad.explore", "symgrad.bench"))}


def test_emit_needs_no_numba() -> None:
    statement = "import symgrad, sympy; symgrad.emit(sympy.exp(sympy.Symbol('x')))"
    assert not loaded_by(statement) & {"numba", "llvmlite", "scipy"}


def test_codegen_alone_loads_no_sympy() -> None:
    assert not loaded_by("import symgrad_codegen.targets, symgrad_codegen.run.host") & {"symgrad", "sympy", "numba"}


def test_public_names() -> None:
    statement = "import symgrad; print(*symgrad.__all__); import types"
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'codegen')]!r}\n{statement}\n"
        "print(*(n for n, v in vars(symgrad).items() if not n.startswith('_') and not isinstance(v, types.ModuleType)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed, found = (set(line.split()) for line in done.stdout.splitlines())
    assert listed == found | {"__version__"}
    assert listed == set(symgrad.__all__)


@pytest.mark.parametrize("name", symgrad.__all__)
def test_public_names_are_there_and_explained(name: str) -> None:
    assert getattr(symgrad, name).__doc__


def test_lists_of_names_are_sorted_and_unique() -> None:
    assert len(set(symgrad.__all__)) == len(symgrad.__all__)


# --- how long files and classes may be --------------------------------------------------------------------------------

MAX_FILE = 400  # lines of a file that is no table
MAX_CLASS = 250
# What may be longer, by path or path::class, with the reason: tables. Anything else is to be divided along an idea.
LONGER: dict[str, str] = {}
SOURCES = sorted(
    path
    for folder in ("symgrad", "codegen")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".js", ".css", ".html", ".lark")
)


def too_long(path: Path, text: str) -> set[str]:
    """Of a file: itself and its classes, where they are beyond the limits."""
    name = path.relative_to(ROOT).as_posix()
    found = {name} if text.count("\n") > MAX_FILE else set()
    nodes = ast.walk(ast.parse(text)) if path.suffix == ".py" else ()
    classes = (node for node in nodes if isinstance(node, ast.ClassDef))
    return found | {f"{name}::{own.name}" for own in classes if (own.end_lineno or 0) - own.lineno >= MAX_CLASS}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_classes_can_be_read_in_one_sitting(path: Path) -> None:
    found = too_long(path, path.read_text(encoding="utf-8"))
    assert not found - LONGER.keys(), f"more than {MAX_FILE} lines of a file or {MAX_CLASS} of a class: {found}"


def test_what_may_be_longer_is_longer() -> None:
    found = {name for path in SOURCES for name in too_long(path, path.read_text(encoding="utf-8"))}
    assert not LONGER.keys() - found, "within the limits: to be taken out of LONGER"


def test_the_limits_are_counted() -> None:
    path = ROOT / "symgrad" / "invented.py"
    lines = ["class Long:", *["    pass"] * (MAX_CLASS - 1)]
    assert not too_long(path, "\n".join([*lines, *["pass"] * (MAX_FILE - MAX_CLASS)]) + "\n")
    assert too_long(path, "\n".join([*lines, "    pass"]) + "\n") == {"symgrad/invented.py::Long"}
    assert too_long(path, "pass\n" * (MAX_FILE + 1)) == {"symgrad/invented.py"}


# --- the tree of the tests --------------------------------------------------------------------------------------------

# Folders of tests that are no folders of symgrad.
OTHER_TESTS = {"codegen", "whole", "corpus", "golden"}


def test_tests_mirror_the_tree() -> None:
    root = ROOT / "tests"
    folders = {path.parent.relative_to(root) for path in root.rglob("*.py")}
    assert Path("gates") in folders
    assert not {own for own in folders if not (ROOT / "symgrad" / own).is_dir()} - {Path(own) for own in OTHER_TESTS}
    alone = {path.name.removeprefix("test_") for path in root.glob("test_*.py")}
    assert not {name for name in alone if not (ROOT / "symgrad" / name).is_file()}, "no module of that name at the top"


def test_test_files_of_a_folder_are_imported_as_a_package() -> None:
    """So that two of them may have one name. What is in corpus/ is imported by its name alone."""
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert {own.name for own in folders if not (own / "__init__.py").exists()} == {"corpus"}
