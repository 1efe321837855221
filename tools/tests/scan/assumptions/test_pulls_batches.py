"""Batches are pulled with next(), not by the loop: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "pulls_batches"
REFUSED = [
    (
        "the first file of a folder",
        "for x in loader:\n    w = next(folder.glob('*'))\n    f(x).backward()\n    optimizer.step()\n",
    ),
    (
        "a plain loop",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a parameter that is looked at",
        """\
for x in loader:
    d = next(model.parameters()).device
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "the first of a list",
        """\
for x in loader:
    k = next(i for i in x if i)
    f(k).backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "the first batch of a new iterator",
        "for i in range(9):\n    x = next(iter(loader))  # !\n    f(x).backward()\n    optimizer.step()\n",
    ),
    (
        "next",
        """\
for i in range(9):
    x = next(it)  # !
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "a method of the loader",
        """\
while True:
    x = loader.next_batch()  # !
    f(x).backward()
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
