"""Training stops early, by the code's own rule: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "stops_early"
REFUSED = [
    (
        "patience that is printed",
        """\
if patience > 3:
    print('optimizer')
""",
    ),
    (
        "a break for another reason",
        """\
import torch
while 1:
    if done:
        break
""",
    ),
]
SHOWN = [
    (
        "a break",
        """\
import torch
while 1:
    if bad_epochs > patience:  # !
        break
""",
    ),
    (
        "a flag",
        """\
import torch
if self.counter >= self.patience:  # !
    self.early_stop = True
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
