"""Gradients are zeroed after the step, not before backward: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "zeroes_after_step"
REFUSED = [
    (
        "zeroing before backward",
        """\
for x in loader:
    optimizer.zero_grad()
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "zeroing both ways",
        """\
for x in loader:
    optimizer.zero_grad()
    f(x).backward()
    optimizer.step()
    optimizer.zero_grad()
""",
    ),
    (
        "zeroing for the next optimizer",
        """\
for x in loader:
    a.zero_grad()
    f(x).backward()
    optimizer_a.step()
    b.zero_grad()
    g(x).backward()
    optimizer_b.step()
""",
    ),
]
SHOWN = [
    (
        "zeroing last",
        """\
for x in loader:
    f(x).backward()
    optimizer.step()
    optimizer.zero_grad()  # !
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
