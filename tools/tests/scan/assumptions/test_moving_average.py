"""A moving average of the weights is kept: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "moving_average"
REFUSED = [
    (
        "a batch norm's statistics",
        """\
class BN:
    def forward(self, x):
        self.running_mean.data.mul_(0.9).add_(x.data)
""",
    ),
    (
        "a schema",
        """\
schema.update(1)
""",
    ),
    (
        "a semantic name",
        """\
load_schema()
semaphore.step()
""",
    ),
]
SHOWN = [
    (
        "a class of that name",
        """\
import torch
ema = ModelEMA(model)  # !
ema.update(model)  # !
""",
    ),
    (
        "averages written out",
        """\
import torch
for p, q in zip(a, b):
    p.data.mul_(decay).add_(q.data, alpha=1 - decay)  # !
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
