"""Tests that run in another process: Numba chooses its simulator, and CUDA the GPUs that it sees, when it is imported.

`@pytest.mark.own_process(NAME="value")` runs a test where the environment says so. All such tests of a file share one
process, which is asked for one test after the other. What is set so already runs here, for a debugger:

    NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/codegen/test_cuda_simulator.py -k numbers_give_floats
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

PIPES = "SYMGRAD_TESTS_ASKED_FOR"  # set in such a process: where it reads names of tests, and writes what came of them


def environment(**own: str) -> dict[str, str]:
    """That of a process that sees no GPU."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "PYTHON", "PYTEST_"))}
    return {**kept, "CUDA_VISIBLE_DEVICES": "", **own}


# --- here -------------------------------------------------------------------------------------------------------------


class Process:
    """Another pytest, for the tests of one file."""

    def __init__(self, config: pytest.Config, path: Path, variables: Mapping[str, str]) -> None:
        self.key = path, variables
        asked, to_ask = os.pipe()
        answers, to_answer = os.pipe()
        options = [name for name in ("--all-rows", "--update-golden") if config.getoption(name)]
        own = {**variables, "PYTHONPATH": os.pathsep.join(sys.path), PIPES: f"{asked} {to_answer}"}
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # open as long as the process runs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *options, str(path)],
            cwd=config.rootpath,
            env=environment(**own),
            pass_fds=(asked, to_answer),
            stdout=self.said,
            stderr=subprocess.STDOUT,
        )
        os.close(asked)
        os.close(to_answer)
        self.questions, self.answers = os.fdopen(to_ask, "w"), os.fdopen(answers)

    def outcome(self, nodeid: str) -> dict[str, str]:
        try:
            print(nodeid, file=self.questions, flush=True)
            answer = self.answers.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            outcome: dict[str, str] = json.loads(answer)
            return outcome
        self.close()
        self.said.seek(0)
        ended = f"the process of its own has ended with {self.process.returncode}"
        return {"outcome": "failed", "text": f"{ended}:\n{self.said.read()}"}

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self.questions.close()
        self.answers.close()
        self.process.wait()


RUNNING = pytest.StashKey[Process]()


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    marker = pyfuncitem.get_closest_marker("own_process")
    if marker is None or all(os.environ.get(name) == value for name, value in marker.kwargs.items()):
        return None
    config = pyfuncitem.config
    process = config.stash.get(RUNNING, None)
    if process is None or process.key != (pyfuncitem.path, marker.kwargs) or process.process.poll() is not None:
        pytest_unconfigure(config)
        process = config.stash[RUNNING] = Process(config, pyfuncitem.path, marker.kwargs)
    found = process.outcome(pyfuncitem.nodeid)
    if found["outcome"] == "skipped":
        pytest.skip(found["text"])
    if found["outcome"] == "failed":
        pytest.fail(found["text"], pytrace=False)
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    process = config.stash.get(RUNNING, None)
    if process is not None:
        process.close()
        process.said.close()
        del config.stash[RUNNING]


# --- there ------------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    if PIPES in os.environ:
        config.pluginmanager.register(Answering())


class Answering:
    """Runs the tests that it is asked for, and says what came of each."""

    def __init__(self) -> None:
        self.reports: list[pytest.TestReport] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:  # while they were collected: pytest says so, and ends
            return None
        asked, to_answer = map(int, os.environ[PIPES].split())
        items = {item.nodeid: item for item in session.items}
        with os.fdopen(asked) as questions, os.fdopen(to_answer, "w") as answers:
            for line in questions:
                item = items[line.rstrip("\n")]
                self.reports.clear()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                print(json.dumps(self._outcome()), file=answers, flush=True)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)

    def _outcome(self) -> dict[str, Any]:
        failed = [report for report in self.reports if report.failed]
        if failed:
            captured = "".join(f"\n--- {title} ---\n{text}" for title, text in failed[-1].sections)
            return {"outcome": "failed", "text": "\n".join(report.longreprtext for report in failed) + captured}
        for report in self.reports:
            if report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
                return {"outcome": "skipped", "text": str(reason).removeprefix("Skipped: ")}
        return {"outcome": "passed", "text": ""}
