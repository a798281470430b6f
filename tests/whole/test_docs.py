"""The documentation cannot drift: its Python runs, and prints what the pages show; so do its command lines."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import symgrad
from symgrad.cli import main

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

# What pages show: `python` is run, in one namespace for the page; `output` (`{.python .output}` where it is source) is
# what the Python since the last output has printed; `console` has lines `$ symgrad ...`, each before what it prints;
# `expr` is a text in the language of expr.txt. `py` is Python that needs more than symgrad has, and is not run.
BLOCK = re.compile(r"^```(\w+|\{\.python \.output\})\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?(?![\w.])")


def as_it_runs(page: Path, folder: Path) -> str:
    """The page with all that it shows as it comes out now; `folder` has the examples, and is where all of it runs."""
    names: dict[str, object] = {"__name__": page.stem}
    printed = io.StringIO()
    parts: list[str] = []
    text = page.read_text(encoding="utf-8")
    end = 0
    for block in BLOCK.finditer(text):
        parts.append(text[end : block.start(2)])
        end = block.end(2)
        shown = block[2]
        if block[1] == "python":
            line = text.count("\n", 0, block.start(2))
            code = compile("\n" * line + shown, str(page), "exec")  # so that a traceback names the line of the page
            with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
                exec(code, names)
        elif "output" in block[1]:
            shown = unless_same(shown, printed.getvalue())
            printed = io.StringIO()
        elif block[1] == "console":
            shown = "".join(unless_same(old, new) for old, new in session(shown, folder))
        elif block[1] == "expr":
            symgrad.parse(shown)
        parts.append(shown)
    return "".join([*parts, text[end:]])


def session(shown: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Each command of a console with what is shown of it, and with what it prints now, errors included."""
    for part in re.split(r"^(?=\$ )", shown, flags=re.MULTILINE)[1:]:
        command, *_ = part.splitlines()
        program, *arguments = shlex.split(command.removeprefix("$ "))
        assert program == "symgrad", command
        printed = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            main(arguments)
        yield part, f"{command}\n{printed.getvalue()}"


def unless_same(shown: str, printed: str) -> str:
    """What is shown, if what is printed differs in the last digits of numbers alone, as it may on other machines."""
    frames = [NUMBER.sub("0", text).split() for text in (shown, printed)]
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (shown, printed)]
    same = frames[0] == frames[1] and numbers[0] == pytest.approx(numbers[1], rel=1e-8, abs=1e-8, nan_ok=True)
    return shown if same else printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS).with_suffix("")))
def test_page_runs_and_shows_what_comes_out(page: Path, tmp_path: Path, update_golden: bool) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    found = as_it_runs(page, tmp_path)
    if update_golden:
        page.write_text(found, encoding="utf-8")
    assert found == page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("d_x  0.25000000000000000001\n", "d_x  0.25\n", True),
        ("x1 0.25\n", "x2 0.25\n", False),
        ("0.25", "0.2500001", False),
        ("rel. error 3.1e-11\n", "rel. error   0.0\n", True),
        ("nan -inf", "nan -inf", True),
        ("nan", "0.0", False),
    ],
)
def test_only_last_digits_may_differ(shown: str, printed: str, same: bool) -> None:
    assert unless_same(shown, printed) == (shown if same else printed)
