"""CONTRIBUTING.md cannot rot: what it says to write is written into a copy of the tree, where it works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "CONTRIBUTING.md"
COPIED = ("symgrad", "codegen", "tests", "pyproject.toml")
WORKED = ("gate", "law", "target")

# A paragraph that ends in the place, then the block. Blocks without a place are not written but run.
BLOCK = re.compile(r"(?:^([^\n]+):\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACES = (
    re.compile(r"(?P<end>At the end of) `(?P<file>[^`]+)`"),
    re.compile(r"(?P<new>The new file) `(?P<file>[^`]+)`"),
    re.compile(r"In `(?P<file>[^`]+)`, above `(?P<above>[^`]+)`"),
    re.compile(r"In `(?P<file>[^`]+)`, in the place of `(?P<old>[^`]+)`"),
)


class Edit(NamedTuple):
    place: re.Match[str]
    text: str

    @property
    def file(self) -> str:
        return self.place["file"]

    def apply(self, root: Path) -> None:
        path = root / self.file
        groups = self.place.groupdict()
        if "new" in groups:
            assert not path.exists(), f"{self.file} is there"
            path.write_text(self.text, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        if "end" in groups:
            path.write_text(f"{text.rstrip()}\n\n\n{self.text}", encoding="utf-8")
            return
        anchor = groups.get("above") or groups["old"]
        lines = text.splitlines(keepends=True)
        found = [place for place, line in enumerate(lines) if line.strip() == anchor]
        assert len(found) == 1, f"{self.file} has the line {len(found)} times: {anchor}"
        (at,) = found
        is_definition = self.text.startswith(("@", "def ", "class "))
        lines[at : at + ("old" in groups)] = [self.text, "\n\n" if is_definition else ""]
        path.write_text("".join(lines), encoding="utf-8")


class Example(NamedTuple):
    """What is written where, what then runs, and the commands of its tests."""

    edits: list[Edit]
    code: str
    commands: list[list[str]]


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no section {title!r}"
    return found[1]


def example(what: str) -> Example:
    edits, code, commands = [], [], []
    for words, language, text in BLOCK.findall(section(f"How to add a {what}")):
        place = next((place for way in PLACES if (place := way.fullmatch(words))), None)
        if place is not None:
            edits.append(Edit(place, text))
        elif language == "python":
            code.append(text)
        else:
            assert language == "sh", f"where does this belong?\n{text}"
            commands += [shlex.split(line) for line in text.splitlines()]
    return Example(edits, "\n".join(code), commands)


def run(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    """A command in a tree, whose symgrad it imports."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "codegen")])
    command = [sys.executable, *command[1:]] if command[0] == "python" else command
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", WORKED)
def test_worked_example(what: str, tmp_path: Path) -> None:
    edits, code, commands = example(what)
    assert edits
    assert commands
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        options = {"ignore": shutil.ignore_patterns("__pycache__")} if (ROOT / name).is_dir() else {}
        copy(ROOT / name, tmp_path / name, **options)
    assert run(["python", "-c", code], tmp_path).returncode, "it works already: the example adds nothing"
    for edit in edits:
        edit.apply(tmp_path)
    code = f"import symgrad\nassert symgrad.__file__.startswith({str(tmp_path)!r})\n{code}"
    for command in (["python", "-c", code], *commands, *_style(edits)):
        done = run(command, tmp_path)
        assert not done.returncode, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"


def _style(edits: list[Edit]) -> list[list[str]]:
    files = sorted({edit.file for edit in edits if edit.file.endswith(".py")})
    ruff = ["python", "-m", "ruff"]
    return [[*ruff, "check", "--no-cache", *files], [*ruff, "format", "--no-cache", "--check", *files]]


def test_every_section_on_adding_is_tried() -> None:
    assert re.findall(r"^## How to add an? (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == [*WORKED]


def test_tests_of_an_example_are_there(tmp_path: Path) -> None:
    """pytest ends with another status where nothing was chosen: a misspelled name in a command would show."""
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
    assert run(["python", "-m", "pytest", "test_one.py", "-k", "other"], tmp_path).returncode == 5
    assert run(["python", "-m", "pytest", "test_one.py", "-k", "one"], tmp_path).returncode == 0


def test_golden_tests_are_those_that_take_the_option() -> None:
    having = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"\bupdate_golden: bool", path.read_text(encoding="utf-8"))
    }
    for page in (PAGE, ROOT / "Makefile"):
        (files,) = re.findall(r" pytest --update-golden (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(files.split()) == having, page.name


def test_links_and_files_are_there() -> None:
    prose = BLOCK.sub("", PAGE.read_text(encoding="utf-8"))
    files = re.findall(r"\]\(([^)#]+)\)", prose) + re.findall(r"`((?:tests|docs|symgrad|codegen)/[\w/.-]+)`", prose)
    assert "docs/architecture.md" in files
    assert not [file for file in files if not (ROOT / file).exists()]


def test_files_to_look_at_are_there() -> None:
    text = (ROOT / "docs" / "contributing" / "debugging.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`(?:python )?([\w/]+(?:\.py|/))", text))
    assert {"schedule/", "text/expressions.py", "tests/corpus/oracle.py"} <= files
    folders = [ROOT, ROOT / "symgrad", ROOT / "symgrad" / "transform", ROOT / "codegen" / "symgrad_codegen"]
    assert not [file for file in sorted(files) if not any((folder / file).exists() for folder in folders)]


def test_the_architecture_names_every_file_once() -> None:
    """A row is of a file in the folder of the last heading, or beside it; a folder stands for what is in it."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named: list[Path] = []
    for root in (ROOT / "symgrad", ROOT / "codegen" / "symgrad_codegen"):
        (table,) = re.findall(rf"^## {root.relative_to(ROOT)}/.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
        folder = root
        for row in re.findall(r"^\| (?!folder)(.+?) \|", table, re.MULTILINE):
            names = re.findall(r"`([\w./]+)`", row)
            if row.startswith("**"):
                folder = root / names[0]
                continue
            for name in names:
                path = folder / name if (folder / name).exists() else root / name
                assert path.exists(), f"docs/architecture.md: there is no {name}, neither in {folder} nor in {root}"
                whole = sorted(path.rglob("*.*")) if path.is_dir() else [path]
                named += [file for file in whole if "__pycache__" not in file.parts]
        files = {file for file in root.rglob("*.*") if file.suffix in (".py", ".js", ".lark")}
        missing = sorted(str(file.relative_to(ROOT)) for file in files - {*named, *root.rglob("__init__.py")})
        assert not missing, f"docs/architecture.md has no row for {', '.join(missing)}"
    twice = sorted(str(path.relative_to(ROOT)) for path in {*named} if named.count(path) > 1)
    assert not twice, f"docs/architecture.md has several rows for {', '.join(twice)}"


def test_tasks_of_the_makefile_are_listed() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make")
    listed = run(["make"], ROOT).stdout
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == run(["make", "help"], ROOT).stdout
    assert targets
    assert all(re.search(rf"^  {target}\b", listed, re.MULTILINE) for target in targets)
