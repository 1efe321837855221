"""Parameters are updated by hand, without an optimizer: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "updates_by_hand"
REFUSED = [
    (
        "an optimizer",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "an optimizer class",
        """\
class O:
    def step(self):
        loss.backward()
        p.data.add_(p.grad)
""",
    ),
    (
        "gradients that are added up",
        """\
def go():
    loss.backward()
    q.grad.add_(p.grad)
""",
    ),
]
SHOWN = [
    (
        "an update in the script",
        """\
import torch
loss.backward()
for p in ps:
    p.data.add_(p.grad, alpha=-lr)  # !
""",
    ),
    (
        "an update by assignment",
        """\
import torch
def go():
    loss.backward()
    w -= lr * w.grad  # !
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
