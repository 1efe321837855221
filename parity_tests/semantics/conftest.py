"""The fixture of the semantics' tests, and the table that is made from them.

python -m pytest parity_tests/semantics --semantics-table docs/semantics.md
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from semantics import table
from semantics.harness import Parity, clean

ROWS = pytest.StashKey[list[table.Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that writes the table."""
    parser.addoption("--semantics-table", metavar="PATH", help="write what was proven as a Markdown table")


def pytest_configure(config: pytest.Config) -> None:
    """An empty table."""
    config.stash[ROWS] = []


@pytest.fixture(scope="session", autouse=True)
def _frozen() -> None:
    """The recorder looks for modules among all live objects; those of the libraries need not be looked at."""
    importlib.import_module("lab_bridge.trainer")
    gc.collect()
    gc.freeze()


@pytest.fixture
def parity(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Parity]:
    """Trains and compares; what it found becomes a row of the table."""
    found = Parity(tmp_path)
    yield found
    clean()
    function = request.function
    request.config.stash[ROWS].append(table.row(function.__module__, function.__name__, function.__doc__, found.found))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the table; only when all was proven, in one process."""
    path = session.config.getoption("--semantics-table", default=None)
    if path is None:
        return
    if exitstatus != pytest.ExitCode.OK:
        raise pytest.UsageError(f"{path}: not written, since not every test passed")
    if not session.config.stash[ROWS]:
        raise pytest.UsageError(f"{path}: not written, since this process ran no test; leave out -n")
    Path(path).write_text(table.markdown(session.config.stash[ROWS]), encoding="utf-8")
