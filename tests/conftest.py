"""Fixtures and options for all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture(scope="session", autouse=True)
def _own_cache() -> Iterator[None]:
    """Compiled kernels of the tests go into a folder of their own, unless one is given."""
    if os.environ.get("SYMGRAD_CACHE_DIR"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="symgrad-tests-") as folder:
        os.environ["SYMGRAD_CACHE_DIR"] = folder
        yield
        del os.environ["SYMGRAD_CACHE_DIR"]


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
