"""One loop steps several optimizers: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "several_optimizers"
REFUSED = [
    (
        "several algorithms, each with one",
        """\
class A:
    def learn(self, x):
        f(x).backward()
        self.optimizer.step()
class B:
    def learn(self, x):
        f(x).backward()
        self.opt.step()
for x in loader:
    algorithm.learn(x)
""",
    ),
    (
        "one optimizer",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "one optimizer and its scaler",
        """\
for x in loader:
    f(x).backward()
    if a:
        scaler.step(optimizer)
    else:
        optimizer.step()
""",
    ),
    (
        "a wrapper of one",
        """\
class W:
    def __init__(self, optimizer):
        self.inner_optimizer = optimizer
    def step_and_update_lr(self):
        self.inner_optimizer.step()
def main():
    optimizer = W(torch.optim.SGD(ps))
    for x in loader:
        f(x).backward()
        optimizer.step_and_update_lr()
""",
    ),
]
SHOWN = [
    (
        "two in a method",
        """\
class A:
    def learn(self, x):
        f(x).backward()
        self.critic_optimizer.step()  # !
        g(x).backward()
        self.actor_optimizer.step()  # !
for x in loader:
    algorithm.learn(x)
""",
    ),
    (
        "two",
        """\
for x in loader:
    f(x).backward()
    optimizerD.step()  # !
    g(x).backward()
    optimizerG.step()  # !
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
