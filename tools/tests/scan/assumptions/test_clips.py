"""Gradients are clipped: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "clips"
REFUSED = [
    (
        "clamping a prediction",
        """\
import torch
x = y.clamp_(0, 1)
""",
    ),
]
SHOWN = [
    (
        "clipping by norm",
        """\
import torch
torch.nn.utils.clip_grad_norm_(ps, 1)  # !
""",
    ),
    (
        "clipping by value, imported by name",
        """\
from torch.nn.utils import clip_grad_value_
clip_grad_value_(ps, 1)  # !
""",
    ),
    (
        "clipping by hand",
        """\
p.grad.data.clamp_(-1, 1)  # !
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
