"""One step takes several forward and backward passes: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "several_passes"
REFUSED = [
    (
        "one pass",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a pass in either branch",
        """\
if a:
    f().backward()
else:
    g().backward()
""",
    ),
    (
        "a pass and its step, twice",
        """\
def go():
    f().backward()
    o.step()
    g().backward()
    o.step()
""",
    ),
]
SHOWN = [
    (
        "two passes before a step",
        """\
def go():
    f().backward()
    g().backward()  # !
    o.step()
""",
    ),
    (
        "a graph that is kept",
        """\
loss.backward(retain_graph=True)  # !
""",
    ),
    (
        "a step in two phases",
        """\
optimizer.first_step()  # !
optimizer.second_step()  # !
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
