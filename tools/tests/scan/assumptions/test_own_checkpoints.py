"""The code saves and resumes by itself: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "own_checkpoints"
REFUSED = [
    (
        "a model's weights that are loaded",
        """\
model.load_state_dict(torch.load(f))
""",
    ),
]
SHOWN = [
    (
        "saving",
        """\
import torch
torch.save(model.state_dict(), f)  # !
""",
    ),
    (
        "resuming an optimizer",
        """\
self.optimizer.load_state_dict(c['opt'])  # !
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
