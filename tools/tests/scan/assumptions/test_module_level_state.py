"""State lives at module level: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "module_level_state"
REFUSED = [
    (
        "a loop in a function",
        """\
def main():
    for x in loader:
        f(x).backward()
        optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "a loop in the script itself",
        """\
for x in loader:  # !
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "a global in what is called",
        """\
def note():
    global best  # !
    best = 1
def main():
    for x in loader:
        f(x).backward()
        optimizer.step()
        note()
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
