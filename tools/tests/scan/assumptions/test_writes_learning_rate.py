"""The learning rate is written into param_groups by hand: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "writes_learning_rate"
REFUSED = [
    (
        "reading it",
        """\
import torch
x = opt.param_groups[0]['lr']
""",
    ),
    (
        "a config",
        """\
import torch
args['lr'] = 1
for g in groups:
    g['lr'] = 1
""",
    ),
]
SHOWN = [
    (
        "through a loop",
        """\
import torch
for g in optimizer.param_groups:
    g['lr'] = lr  # !
    g['momentum'] *= 2  # !
""",
    ),
    (
        "directly",
        """\
import torch
opt.param_groups[0]['lr'] = 1  # !
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
