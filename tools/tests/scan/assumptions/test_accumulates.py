"""Gradients of several backward passes make one step: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "accumulates"
REFUSED = [
    (
        "an update every n-th time, whose gradients are used at once",
        """\
for step in range(n):
    if step % 4 == 0:
        optimizer.zero_grad()
        f(x).backward()
        optimizer.step()
""",
    ),
    (
        "a step of every round",
        """\
for x in loader:
    f(x).backward()
    optimizer.step()
    optimizer.zero_grad()
""",
    ),
    (
        "logging every n-th time",
        """\
for i, x in enumerate(loader):
    f(x).backward()
    optimizer.step()
    if i % 10 == 0:
        print(i)
""",
    ),
    (
        "a loss averaged over a batch",
        """\
loss = loss / len(x)
""",
    ),
]
SHOWN = [
    ("a step when enough was accumulated", "if ni - last >= accumulate:  # !\n    optimizer.step()\n"),
    (
        "a step under a modulo",
        """\
for i, x in enumerate(loader):
    f(x).backward()
    if i % 4 == 0:  # !
        optimizer.step()
""",
    ),
    (
        "a scaler's step under a modulo",
        """\
if (i + 1) % n == 0:  # !
    scaler.step(optimizer)
""",
    ),
    (
        "a loss divided by a number of micro-steps",
        """\
loss = loss / args.accumulation_steps  # !
loss /= gradient_accumulation_steps  # !
""",
    ),
    (
        "a loop of micro-steps",
        """\
for micro_step in range(gradient_accumulation_steps):  # !
    f(x).backward()
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
