"""A moving average of the weights is kept: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "moving_average"
REFUSED = [
    (
        "a mixture of batches, a copy",
        """\
x = lam * x + (1 - lam) * x[index]
target.data.copy_(source.data)
y.copy_(a * x + b * z)
""",
    ),
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
notif = EmailNotificator(server)
RemoteMachine.update(1)
""",
    ),
]
SHOWN = [
    (
        "averages copied, assigned and interpolated",
        """\
import torch
for p, q in zip(a, b):
    q.data.copy_(tau * p.data + (1 - tau) * q.data)  # !
    q.data = q.data * (1.0 - tau) + p.data * tau  # !
    p_ema.copy_(p.detach().lerp(p_ema, beta))  # !
    q.data.lerp_(p.data, 0.1)  # !
    dict2[name].data.copy_(beta * dict1[name].data + (1 - beta) * dict2[name].data)  # !
""",
    ),
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
