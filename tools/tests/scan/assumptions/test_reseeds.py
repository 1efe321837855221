"""Generators are seeded again in the course of training: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "reseeds"
REFUSED = [
    (
        "a seed before the loop",
        """\
torch.manual_seed(0)
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "a seed in the loop",
        """\
import torch, random
for x in loader:
    torch.manual_seed(0)  # !
    random.seed(0)  # !
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
