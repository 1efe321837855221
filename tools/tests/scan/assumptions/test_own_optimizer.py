"""The optimizer is the project's own: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "own_optimizer"
REFUSED = [
    (
        "an optimizer of torch's that is built",
        """\
import torch
o = torch.optim.SGD(ps)
""",
    ),
    (
        "a trainer that steps an optimizer",
        """\
class Trainer:
    def __init__(self, model, optimizer, loader):
        self.optimizer = optimizer
    def step(self):
        self.optimizer.step()
""",
    ),
    (
        "a simulation with steps",
        """\
class Env:
    def step(self, action):
        self.x += action
""",
    ),
]
SHOWN = [
    (
        "a subclass",
        """\
from torch.optim import Optimizer, Adam
class Lion(Optimizer):  # !
    pass
class Mine(Adam):  # !
    pass
""",
    ),
    (
        "a wrapper",
        """\
class ScheduledOptim:  # !
    def __init__(self, optimizer, lr):
        self._optimizer = optimizer
    def step_and_update_lr(self):
        self._optimizer.step()
""",
    ),
    (
        "one from scratch",
        """\
class Momentum:  # !
    def step(self):
        for p in self.params:
            p.data.add_(p.grad, alpha=-self.lr)
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
