"""Evaluation runs between training steps: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "evaluates_between_steps"
REFUSED = [
    (
        "a loop without evaluation",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "eval of a string",
        """\
for x in loader:
    eval('x')
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "evaluation after the loop",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
model.eval()
""",
    ),
]
SHOWN = [
    (
        "evaluation in the body",
        """\
for x in loader:
    f(x).backward()
    optimizer.step()
    model.eval()  # !
""",
    ),
    (
        "evaluation in a function called from the body",
        """\
def evaluate():
    model.eval()
for x in loader:
    f(x).backward()
    optimizer.step()
    evaluate()  # !
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
