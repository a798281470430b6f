"""The README cannot drift: its Python runs, its emitted source is what comes out now, CI runs its test command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import symgrad
from symgrad.cli import main

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def neuron_kernel() -> str:
    """The one-point function of the module that is emitted for the neuron."""
    source = symgrad.emit((ROOT / "examples" / "neuron.txt").read_text(encoding="utf-8"))
    found = re.search(r"^@njit.*\ndef kernel\(.*?\n\n\n", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group().rstrip() + "\n"


def test_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks("python"):
        if not block.startswith("@njit"):
            exec(block, names)
    assert "agrees" in capsys.readouterr().out


def test_emitted_source_is_what_comes_out_now(update_golden: bool) -> None:
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"(?<=^```python\n)(@njit.*?)?(?=^```$)", text, re.MULTILINE | re.DOTALL)
    assert shown is not None
    if update_golden:
        README.write_text(text[: shown.start()] + neuron_kernel() + text[shown.end() :], encoding="utf-8")
        return
    assert shown.group() == neuron_kernel()


def test_text_of_the_neuron_is_the_example() -> None:
    example = (ROOT / "examples" / "neuron.txt").read_text(encoding="utf-8")
    assert any(block in example for block in blocks("text"))


def test_gate_shown_is_the_one_in_the_table() -> None:
    table = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "symgrad" / "gates").glob("*.py"))
    assert any(block.startswith("@gate") and block in table for block in blocks("text"))


def test_command_for_the_main_job_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    steps = [shlex.split(step) for step in blocks("sh")[0].split(" && ")]
    runs = [step[1:] for step in steps if step[0] == ".venv/bin/symgrad"]
    assert [run[0] for run in runs] == ["emit", "eval", "check"]
    assert [main(run) for run in runs] == [0, 0, 0]
    assert "value  0.731058578630004" in capsys.readouterr().out


def test_ci_calls_the_command_for_the_tests() -> None:
    command = blocks("sh")[1].strip()
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_links_lead_somewhere() -> None:
    for document in [README, *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
