"""The loop draws from several loaders at once: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "two_loaders"
REFUSED = [
    (
        "one loader",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a zip of columns",
        """\
for a, b in zip(xs, ys):
    f(a, b).backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "a zip of loaders",
        """\
for a, b in zip(loader_a, loader_b):  # !
    f(a, b).backward()
    optimizer.step()
""",
    ),
    (
        "two iterators",
        """\
while True:
    a = next(it_a)  # !
    b = next(it_b)  # !
    f(a, b).backward()
    optimizer.step()
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
