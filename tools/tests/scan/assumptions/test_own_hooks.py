"""There is a hook system of its own: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "own_hooks"
REFUSED = [
    (
        "a method that runs a batch",
        "for x in loader:\n    f(x).backward()\n    optimizer.step()\n    self._run_batch(x)\n",
    ),
    (
        "methods that train",
        """\
class T:
    def run(self):
        for x in self.loader:
            self.train_step(x)
    def train_step(self, x):
        f(x).backward()
        self.optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "moments that are called",
        """\
for x in loader:
    f(x).backward()
    optimizer.step()
    self.trigger_callbacks('end')  # !
    hook.after_step(x)  # !
    cb.on_batch_end()  # !
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
