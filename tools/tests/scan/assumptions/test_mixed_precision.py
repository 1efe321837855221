"""The code runs its own mixed precision: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "mixed_precision"
REFUSED = [
    (
        "full precision",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "halving a number",
        """\
import torch
x = width.half()
""",
    ),
]
SHOWN = [
    (
        "a scaler and autocast",
        """\
import torch
scaler = torch.cuda.amp.GradScaler()  # !
with torch.autocast('cpu'):  # !
    pass
""",
    ),
    (
        "the names of today",
        """\
from torch.amp import GradScaler, autocast
s = GradScaler('cpu')  # !
""",
    ),
    (
        "apex",
        """\
from apex import amp
m, o = amp.initialize(m, o)  # !
""",
    ),
    (
        "parameters in half precision",
        """\
import torch
model.half()  # !
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
