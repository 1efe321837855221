"""Parameters are frozen and thawed in the course of training: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "freezes_parameters"
REFUSED = [
    (
        "a module that is made frozen",
        "import torch\nfor x in loader:\n    m = Conv(1).requires_grad_(False)\n"
        "    f(m(x)).backward()\n    optimizer.step()\n",
    ),
    (
        "a loop that leaves them alone",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "parameters frozen before the loop",
        """\
model.requires_grad_(False)
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "frozen in the body",
        """\
for x in loader:
    netD.requires_grad_(False)  # !
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "frozen one by one in a function",
        """\
def freeze(net):
    for p in net.parameters():
        p.requires_grad = False  # !
for x in loader:
    freeze(netD)
    f(x).backward()
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
