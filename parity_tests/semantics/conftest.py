"""The fixture of the semantics' tests, and the table that is made from them.

python -m pytest parity_tests/semantics --semantics-table docs/semantics.md
"""

from __future__ import annotations

import gc
import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from semantics import table
from semantics.harness import Parity, clean

PROPERTY = "semantics"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that writes the table."""
    parser.addoption("--semantics-table", metavar="PATH", help="write what was proven as a Markdown table")


def pytest_configure(config: pytest.Config) -> None:
    """Whoever collects reports, also those of other processes, writes the table."""
    path = config.getoption("--semantics-table", default=None)
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(Path(path)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What compares the tests with the table that is there is left out where a table is made."""
    if config.getoption("--semantics-table", default=None) is not None:
        items[:] = [item for item in items if "parity" in getattr(item, "fixturenames", ())]


@attrs.define
class _Writer:
    """Collects the rows of a session."""

    path: Path
    rows: list[table.Row] = attrs.field(factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test's row comes with the report of its teardown."""
        if report.when == "teardown":
            values = [value for name, value in report.user_properties if name == PROPERTY]
            self.rows += [table.Row(**json.loads(str(value))) for value in values]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the table; only when all was proven."""
        if exitstatus == pytest.ExitCode.OK:
            self.path.write_text(table.markdown(self.rows), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Say where it is not."""
        if exitstatus != pytest.ExitCode.OK:
            terminalreporter.write_line(f"{self.path}: not written, since not every test passed", red=True)


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
    row = table.row(function.__module__, function.__name__, function.__doc__, found.found, function)
    request.node.user_properties.append((PROPERTY, json.dumps(attrs.asdict(row))))


@pytest.fixture
def trains(tmp_path: Path) -> Iterator[Parity]:
    """Trains and compares, for a test that is no row of the table."""
    yield Parity(tmp_path)
    clean()
