"""Some rounds of the loop make no step: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "skips_steps"
REFUSED = [
    (
        "a loop that always steps",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a break of an inner loop",
        """\
for x in loader:
    for k in x:
        if k:
            break
    f(x).backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "a whole update every n-th time",
        """\
for step in range(n):
    act()
    if step % 4 == 0:  # !
        f(x).backward()
        optimizer.step()
""",
    ),
    (
        "leaving and going on",
        """\
for x in loader:
    if bad(x):
        continue  # !
    f(x).backward()
    optimizer.step()
    if done():
        break  # !
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
