"""Parameters are updated by hand, without an optimizer: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "updates_by_hand"
REFUSED = [
    (
        "an optimizer",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "an optimizer class of the project's, which steps",
        """\
class O(torch.optim.Optimizer):
    def step(self):
        for p in self.ps:
            p.data.add_(p.grad)
optimizer = O()
for x in loader:
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "gradients that are added up, scaled, zeroed or measured",
        """\
for x in loader:
    f(x).backward()
    for p, q in zip(ps, qs):
        q.grad.add_(p.grad)
        p.grad.data.mul_(0.5)
        total += p.grad.norm() ** 2
        p.grad.zero_()
""",
    ),
    (
        "an attack on an input",
        """\
for x in loader:
    f(x + delta).backward()
    delta.data.add_(alpha * delta.grad.sign())
    delta.grad.zero_()
""",
    ),
    (
        "weights that are decayed or masked where there is a gradient",
        """\
for x in loader:
    f(x).backward()
    for p in ps:
        if p.grad is not None:
            p.data.mul_(mask)
""",
    ),
]
SHOWN = [
    (
        "an update in the script",
        """\
for x in loader:
    f(x).backward()
    for p in ps:
        p.data.add_(p.grad, alpha=-lr)  # !
""",
    ),
    (
        "an update by assignment",
        """\
def go():
    for step in range(10):
        f(w).backward()
        w -= lr * w.grad  # !
        w.grad.zero_()
""",
    ),
    (
        "an update of data",
        """\
for x in loader:
    f(x).backward()
    for p in ps:
        p.data = p.data - lr * p.grad  # !
""",
    ),
    (
        "a home-grown optimizer that owns backward, with a name of its own for it",
        """\
class Momentum:
    def minimize(self, loss):
        loss.backward()
        for p, v in zip(self.params, self.velocity):
            v.mul_(0.9).add_(p.grad)
            p.sub_(self.lr * v)  # !
class Trainer:
    def __init__(self, model):
        self.optimizer = Momentum()
    def run(self):
        while self.steps:
            self.optimizer.minimize(f(x))
""",
    ),
    (
        "an update from torch.autograd.grad",
        """\
for x in loader:
    grads = torch.autograd.grad(f(x), params)
    with torch.no_grad():
        for p, g in zip(params, grads):
            p -= lr * g  # !
""",
    ),
    (
        "torch's foreach functions",
        """\
for x in loader:
    f(x).backward()
    torch._foreach_add_(params, [p.grad for p in params], alpha=-lr)  # !
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
