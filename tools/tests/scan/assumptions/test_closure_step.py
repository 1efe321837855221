"""The step is given a closure: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "closure_step"
REFUSED = [
    (
        "a plain step",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a step with a loss",
        """\
optimizer.step(loss)
""",
    ),
    (
        "an optimizer that hands its closure on",
        """\
class O(Optimizer):
    def step(self, closure=None):
        self.base_optimizer.step(closure)
""",
    ),
]
SHOWN = [
    (
        "a function of the file",
        """\
def again():
    return f()
optimizer.step(again)  # !
""",
    ),
    (
        "a lambda",
        """\
optimizer.step(lambda: f())  # !
""",
    ),
    (
        "an argument called closure",
        """\
optimizer.step(closure=closure)  # !
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
