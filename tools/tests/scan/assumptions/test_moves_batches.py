"""The code moves its batches to the device itself: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "moves_batches"
REFUSED = [
    (
        "a loop that moves nothing",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a model that is moved",
        """\
for x in loader:
    model.to(d)
    criterion.cuda()
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "a type that is changed",
        """\
for x in loader:
    x = x.to(torch.float32)
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "a move inside a module",
        """\
class M(torch.nn.Module):
    def forward(self, x):
        return x.to(self.d)
m = M()
for x in loader:
    m(x).backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "moves in the body",
        """\
for x, y in loader:
    x, y = x.to(d), y.cuda(non_blocking=True)  # !
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "moves in a function that fetches",
        """\
def get_batch():
    x = data[0]
    return x.to(device)  # !
while True:
    f(get_batch()).backward()
    optimizer.step()
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
