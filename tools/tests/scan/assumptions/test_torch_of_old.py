"""The code speaks to a torch of years ago: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "torch_of_old"
REFUSED = [
    (
        "the function next",
        """\
import torch
x = next(data_iter)
""",
    ),
    (
        "a list",
        """\
import torch
x = words.next()
""",
    ),
    (
        "an iterator of the project's own",
        """\
import torch
class P:
    def next(self):
        return 1
x = loader_iter.next()
""",
    ),
]
SHOWN = [
    (
        "a method that is gone",
        """\
import torch
x = data_iter.next()  # !
""",
    ),
    (
        "arguments and items that are gone",
        """\
import torch
v = Variable(x, volatile=True)  # !
y = loss.data[0]  # !
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
