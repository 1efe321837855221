"""Gradients are changed by hand between backward and step: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "changes_gradients"
REFUSED = [
    (
        "a step",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "an optimizer's own business",
        """\
class Own(Optimizer):
    def step(self):
        p.grad.mul_(2)
""",
    ),
    (
        "gradients zeroed by hand in a function of that name",
        """\
def zero_grads(ps):
    for p in ps:
        p.grad.zero_()
""",
    ),
]
SHOWN = [
    (
        "gradients divided in place",
        """\
p.grad.div_(n)  # !
""",
    ),
    (
        "gradients reduced",
        """\
import torch.distributed as dist
dist.all_reduce(p.grad)  # !
""",
    ),
    (
        "gradients replaced",
        """\
p.grad = None  # !
p.grad *= 2  # !
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
