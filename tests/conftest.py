"""Options for all tests, and a folder of their own for the kernels that they compile."""

from __future__ import annotations

import os
import random
import shutil
import tempfile

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")
    parser.addoption("--all-rows", action="store_true", help="build a kernel for every row of the tables")
    parser.addoption("--random", type=int, default=None, metavar="N", help="run N random programs of each kind")


def pytest_configure(config: pytest.Config) -> None:
    # Set before pytest-xdist starts its workers, so that they share it.
    if not os.environ.get("SYMGRAD_CACHE_DIR") and not hasattr(config, "workerinput"):
        folder = os.environ["SYMGRAD_CACHE_DIR"] = tempfile.mkdtemp(prefix="symgrad-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        config.add_cleanup(lambda: os.environ.pop("SYMGRAD_CACHE_DIR", None))
    os.environ.setdefault("SYMGRAD_SEED", str(random.SystemRandom().randrange(10**9)))
    os.environ.setdefault("SYMGRAD_VERIFY", "1")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    seed = os.environ["SYMGRAD_SEED"]
    terminalreporter.write_line(f"new random programs are from seed {seed}; SYMGRAD_SEED={seed} makes the same again")


@pytest.fixture
def all_rows(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--all-rows"))


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def random_count(request: pytest.FixtureRequest) -> int | None:
    """How many random programs of a kind were asked for; None: what the test runs by itself."""
    count: int | None = request.config.getoption("--random")
    return count


@pytest.fixture
def fresh_seed() -> int:
    """From which random programs are made that no run before had; the end of the report says it."""
    return int(os.environ["SYMGRAD_SEED"])
