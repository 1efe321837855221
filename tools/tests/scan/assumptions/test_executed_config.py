"""A config file is executed: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "executed_config"
REFUSED = [
    (
        "a statement that is executed",
        """\
exec('x = 1')
""",
    ),
    (
        "a method called exec",
        """\
import torch
query.exec(open('f').read())
""",
    ),
]
SHOWN = [
    (
        "a file that is executed",
        """\
exec(open('configurator.py').read())  # !
""",
    ),
    (
        "globals that are written",
        """\
globals()[key] = value  # !
""",
    ),
]


@pytest.mark.parametrize(("fact", "source"), REFUSED, ids=[fact for fact, _ in REFUSED])
def test_not_told_by(shows: Callable[[str, str], list[int]], fact: str, source: str) -> None:
    """What looks alike and is not."""
    assert shows(NAME, source) == [], fact


@pytest.mark.parametrize(("fact", "source"), SHOWN, ids=[fact for fact, _ in SHOWN])
def test_told_by(shows: Callable[[str, str], list[int]], fact: str, source: str) -> None:
    """The marked lines, each once, and no other."""
    marked = [number for number, line in enumerate(source.splitlines(), 1) if line.endswith("# !")]
    assert shows(NAME, source) == marked, fact
